//! Reads Tempo: searches the window for failed traces first, then for any, and fetches those not seen before.

use super::Round;
use super::error::ReadError;
use super::transport::Backend;
use super::{Seen, Window};
use crate::model::trace::Trace;
use crate::monitor::traces::otlp::{self, Gathered};
use crate::monitor::traces::value;
use futures::StreamExt as _;
use serde::Deserialize;
use std::collections::HashSet;

/// Searches of a round, with the traces each may name.
const SEARCHES: [(&str, u32); 2] = [("{status=error}", 50), ("{}", 100)];
/// Requests under way at once.
const AT_ONCE: usize = 4;

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    traces: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "traceID")]
    id: String,
}

/// `/api/v2/traces/<id>`; the older interface gives the request itself.
#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    trace: otlp::Request,
}

/// The traces of a window that are not in `seen`.
pub async fn read(backend: &Backend, window: &Window, seen: &Seen) -> Result<Round, ReadError> {
    let path = "/api/search";
    let mut ids: Vec<String> = Vec::new();
    let mut new = HashSet::new();
    let mut round = Round::default();
    for (query, limit) in SEARCHES {
        let parameters = [
            ("q", query.to_owned()),
            ("start", window.from.timestamp().to_string()),
            ("end", (window.to.timestamp() + 1).to_string()),
            ("limit", limit.to_string()),
            ("spss", "1".to_owned()),
        ];
        let bytes = backend.body(path, &parameters).await?.unwrap_or_else(|| b"{}".to_vec());
        let found: Found = value::document(&bytes).map_err(|what| unreadable(backend, path, what))?;
        let found = found.traces.unwrap_or_default();
        round.unread += u64::from(found.len() >= limit as usize);
        let named = found.into_iter().map(|t| t.id);
        ids.extend(named.filter(|id| hexadecimal(id) && !seen.has(id) && new.insert(id.clone())));
    }
    let mut fetched = futures::stream::iter(ids.into_iter().map(|id| fetch(backend, id))).buffered(AT_ONCE);
    while let Some(one) = fetched.next().await {
        match one {
            Ok(more) => round.traces.extend(more),
            Err(e) => round.wrong = round.wrong.or(Some(e)),
        }
    }
    Ok(round)
}

/// What goes into a path.
fn hexadecimal(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit())
}

async fn fetch(backend: &Backend, id: String) -> Result<Vec<Trace>, ReadError> {
    let path = format!("/api/v2/traces/{id}");
    let mut gathered = Gathered::default();
    if let Some(bytes) = backend.body(&path, &[]).await? {
        let whole: Whole = value::document(&bytes).map_err(|what| unreadable(backend, &path, what))?;
        gathered.add_all(otlp::spans(whole.trace));
        return Ok(gathered.traces());
    }
    // A Tempo that does not have the newer interface, or that has let the trace go since the search.
    let path = format!("/api/traces/{id}");
    if let Some(bytes) = backend.body(&path, &[]).await? {
        let request: otlp::Request = value::document(&bytes).map_err(|what| unreadable(backend, &path, what))?;
        gathered.add_all(otlp::spans(request));
    }
    Ok(gathered.traces())
}

fn unreadable(backend: &Backend, path: &str, what: String) -> ReadError {
    ReadError::Answer { place: backend.place(), path: path.into(), what }
}
