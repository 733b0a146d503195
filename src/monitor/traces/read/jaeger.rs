//! Reads Jaeger: the traces of a window, service by service, for it has no search over all of them.

use super::error::ReadError;
use super::product::Product;
use super::transport::Backend;
use super::{Round, Window};
use crate::model::trace::Trace;
use crate::monitor::traces::otlp::{self, Gathered};
use crate::monitor::traces::{jaeger, value};
use chrono::SecondsFormat;
use futures::StreamExt as _;
use serde::Deserialize;

/// Services that are asked for in one round.
const SERVICES: usize = 100;
/// Traces of one service in one round.
const TRACES: usize = 100;
/// Requests under way at once.
const AT_ONCE: usize = 2;

/// The services, wherever they stand.
#[derive(Deserialize)]
struct Services {
    #[serde(default, alias = "data")]
    services: Option<Vec<String>>,
}

/// The traces of a window. An error is one without which nothing can be asked.
pub async fn read(backend: &Backend, product: Product, window: &Window) -> Result<Round, ReadError> {
    let path = if product == Product::JaegerV3 { "/api/v3/services" } else { "/api/services" };
    let bytes = backend.body(path, &[]).await?.unwrap_or_else(|| b"{}".to_vec());
    let listed: Services = value::document(&bytes).map_err(|what| unreadable(backend, path, what))?;
    let mut services = listed.services.unwrap_or_default();
    services.sort();
    let mut round = Round { unread: services.len().saturating_sub(SERVICES) as u64, ..Round::default() };
    services.truncate(SERVICES);
    let asked = services.into_iter().map(|service| async move {
        if product == Product::JaegerV3 {
            newer(backend, &service, window).await
        } else {
            older(backend, &service, window).await
        }
    });
    let mut answers = futures::stream::iter(asked).buffered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(more) => {
                round.unread += u64::from(more.len() >= TRACES);
                round.traces.extend(more);
            }
            // What the others say is worth having.
            Err(e) => round.wrong = round.wrong.or(Some(e)),
        }
    }
    Ok(round)
}

fn unreadable(backend: &Backend, path: &str, what: String) -> ReadError {
    ReadError::Answer { place: backend.place(), path: path.into(), what }
}

/// One chunk of an answer; the gateway in front of the newer interface sends several, one after the other.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    result: otlp::Request,
}

async fn newer(backend: &Backend, service: &str, window: &Window) -> Result<Vec<Trace>, ReadError> {
    let path = "/api/v3/traces";
    let time = |t: crate::model::time::Timestamp| t.to_rfc3339_opts(SecondsFormat::Nanos, true);
    let parameters = [
        ("query.service_name", service.to_owned()),
        ("query.start_time_min", time(window.from)),
        ("query.start_time_max", time(window.to)),
        ("query.search_depth", TRACES.to_string()),
        // Its older name.
        ("query.num_traces", TRACES.to_string()),
    ];
    // It says 404 where there is none.
    let Some(bytes) = backend.body(path, &parameters).await? else { return Ok(Vec::new()) };
    let mut gathered = Gathered::default();
    for chunk in serde_json::Deserializer::from_slice(&bytes).into_iter::<Chunk>() {
        let chunk = chunk.map_err(|e| unreadable(backend, path, e.to_string()))?;
        gathered.add_all(otlp::spans(chunk.result));
    }
    Ok(gathered.traces())
}

async fn older(backend: &Backend, service: &str, window: &Window) -> Result<Vec<Trace>, ReadError> {
    let path = "/api/traces";
    let parameters = [
        ("service", service.to_owned()),
        ("start", window.from.timestamp_micros().to_string()),
        ("end", window.to.timestamp_micros().to_string()),
        ("limit", TRACES.to_string()),
    ];
    let Some(bytes) = backend.body(path, &parameters).await? else { return Ok(Vec::new()) };
    jaeger::answer(&bytes).map_err(|what| unreadable(backend, path, what))
}
