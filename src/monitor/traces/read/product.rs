//! Which backend it is: asked by what only that one answers.

use super::error::ReadError;
use super::transport::{Backend, Reply};
use serde_json::Value;

/// The interfaces that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Jaeger's `/api/v3`.
    JaegerV3,
    /// Jaeger's older `/api/traces`, which its own page uses.
    Jaeger,
    /// Tempo.
    Tempo,
}

impl Product {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::JaegerV3 | Self::Jaeger => "Jaeger",
            Self::Tempo => "Tempo",
        }
    }

    /// Finds out. Asks three times at most.
    pub async fn of(backend: &Backend) -> Result<Self, ReadError> {
        let limit = ("limit", "1".to_owned());
        let mut saw = Vec::new();
        for (product, path, parameters, keys) in [
            (Self::JaegerV3, "/api/v3/services", &[][..], &["services"][..]),
            (Self::Jaeger, "/api/services", &[], &["data"]),
            (Self::Tempo, "/api/search", &[limit], &["traces", "metrics"]),
        ] {
            let reply = backend.get(path, parameters).await?;
            if matches!(reply.status, 401 | 403) {
                return Err(backend.refusal(path, &reply));
            }
            if answers(&reply, keys) {
                return Ok(product);
            }
            saw.push(format!("{path}: {}", shown(&reply)));
        }
        Err(ReadError::Foreign { place: backend.place(), saw: saw.join(", ") })
    }
}

/// A JSON object with one of these keys; a page for browsers, as many servers answer everything with, is none. A Jaeger
/// without any service answers `{}` on the newer interface.
fn answers(reply: &Reply, keys: &[&str]) -> bool {
    let parsed: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let object = parsed.as_ref().and_then(Value::as_object);
    reply.status == 200 && object.is_some_and(|o| keys.iter().any(|k| o.contains_key(*k)) || o.is_empty())
}

fn shown(reply: &Reply) -> String {
    let html = reply.body.starts_with(b"<");
    format!("{}{}", reply.status, if html { " with a web page" } else { "" })
}
