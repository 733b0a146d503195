//! The few raw requests that execution makes, with what the server says beside the body.
//!
//! Raw, because kube's typed calls hide warning headers, because its eviction body is not what the server
//! reads, and because a write must never be repeated behind our back: use a client without retry. Every call
//! is bounded in time, and a write whose answer did not come is told apart from one that was refused.

use crate::model::object::ObjectRef;
use crate::model::plan::FIELD_MANAGER;
use crate::model::text::clean;
use http::{Method, Request};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use std::time::Duration;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What the server answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// The object, or the server's status.
    pub body: Value,
    /// `Warning` headers, without code and agent.
    pub warnings: Vec<String>,
}

/// Why a call did not do what was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum CallError {
    /// The server answered, and the answer is no: nothing was changed.
    #[error("the server refused ({code}): {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// The server's words, cleaned.
        message: String,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// No answer, or one that does not tell: a write may or may not have happened.
    #[error("the server's answer is not known: {why}")]
    Unknown {
        /// What happened instead.
        why: String,
    },
}

impl CallError {
    /// HTTP status of a refusal.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unknown { .. } => None,
        }
    }
}

/// Reads an object; `None` if there is none.
pub(super) async fn get(client: &Client, path: &str) -> Result<Option<Value>, CallError> {
    match send(client, Method::GET, path, None, Vec::new()).await {
        Ok(answer) => Ok(Some(answer.body)),
        Err(e) if e.code() == Some(404) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Sends a JSON patch, as a dry-run or for real.
pub(super) async fn patch(
    client: &Client,
    target: &ObjectRef,
    subresource: Option<&str>,
    patch: &json_patch::Patch,
    dry_run: bool,
) -> Result<Answer, CallError> {
    let body = serde_json::to_vec(patch).map_err(|e| unknown(&e))?;
    let path = write_path(target, subresource, dry_run);
    send(client, Method::PATCH, &path, Some("application/json-patch+json"), body).await
}

/// Evicts a pod with its UID as precondition, as a dry-run or for real.
///
/// The body is the one of `policy/v1`: `deleteOptions`, in which kube 5.0's own call writes `delete_options`,
/// so that the server ignores precondition and grace period.
pub(super) async fn evict(
    client: &Client,
    pod: &ObjectRef,
    uid: &str,
    grace_seconds: Option<u32>,
    dry_run: bool,
) -> Result<Answer, CallError> {
    let mut options = serde_json::json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
    if let Some(seconds) = grace_seconds {
        options["gracePeriodSeconds"] = seconds.into();
    }
    let body = serde_json::json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": options,
    });
    let path = write_path(pod, Some("eviction"), dry_run);
    send(client, Method::POST, &path, Some("application/json"), body.to_string().into_bytes()).await
}

/// Creates an object in a collection. Only the Lease is made so.
pub(super) async fn create(client: &Client, collection: &str, object: &Value) -> Result<Answer, CallError> {
    let path = format!("{collection}?fieldManager={FIELD_MANAGER}");
    send(client, Method::POST, &path, Some("application/json"), object.to_string().into_bytes()).await
}

/// Replaces an object of ours, which must hold the resource version it was read with. Only the Lease is written so:
/// what belongs to others is patched.
pub(super) async fn replace(client: &Client, path: &str, object: &Value) -> Result<Answer, CallError> {
    let path = format!("{path}?fieldManager={FIELD_MANAGER}");
    send(client, Method::PUT, &path, Some("application/json"), object.to_string().into_bytes()).await
}

fn write_path(target: &ObjectRef, subresource: Option<&str>, dry_run: bool) -> String {
    let mut path = target.path();
    if let Some(sub) = subresource {
        path.push('/');
        path.push_str(sub);
    }
    path.push_str("?fieldManager=");
    path.push_str(FIELD_MANAGER);
    path.push_str("&fieldValidation=Strict");
    if dry_run {
        path.push_str("&dryRun=All");
    }
    path
}

fn unknown(e: &impl std::fmt::Display) -> CallError {
    CallError::Unknown { why: clean(&e.to_string()).into_owned() }
}

async fn send(
    client: &Client,
    method: Method,
    path: &str,
    content_type: Option<&str>,
    body: Vec<u8>,
) -> Result<Answer, CallError> {
    let mut request = Request::builder().method(method).uri(path).header(http::header::ACCEPT, "application/json");
    if let Some(kind) = content_type {
        request = request.header(http::header::CONTENT_TYPE, kind);
    }
    let request = request.body(Body::from(body)).map_err(|e| CallError::Refused {
        code: 0,
        message: format!("{path} is not a request path: {e}"),
        retry_after: None,
    })?;
    let exchange = async {
        let response = client.send(request).await.map_err(|e| unknown(&e))?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect_bytes().await.map_err(|e| unknown(&e))?;
        answer(&parts, &bytes)
    };
    match tokio::time::timeout(TIMEOUT, exchange).await {
        Ok(result) => result,
        Err(_) => Err(CallError::Unknown { why: format!("no answer within {} s", TIMEOUT.as_secs()) }),
    }
}

/// Sorts an answer into done, refused or unknown.
fn answer(parts: &http::response::Parts, bytes: &[u8]) -> Result<Answer, CallError> {
    let code = parts.status.as_u16();
    let body = serde_json::from_slice::<Value>(bytes);
    if parts.status.is_success() {
        let warnings =
            parts.headers.get_all(http::header::WARNING).iter().filter_map(|v| v.to_str().ok()).map(warning).collect();
        return body.map(|body| Answer { body, warnings }).map_err(|e| unknown(&e));
    }
    let text = body
        .ok()
        .and_then(|b| b["message"].as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned());
    let message = clean(&text).into_owned();
    // A gateway or the server itself may fail after the write went through. Only a 500 that the eviction
    // registry gives on purpose ("more than one PodDisruptionBudget") is a definite no.
    if parts.status.is_server_error() && !message.contains("more than one PodDisruptionBudget") {
        return Err(CallError::Unknown { why: format!("{code} {message}") });
    }
    let retry_after = parts
        .headers
        .get(http::header::RETRY_AFTER)
        .and_then(|v| v.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    Err(CallError::Refused { code, message, retry_after })
}

/// The text of `299 - "text"`.
fn warning(header: &str) -> String {
    let text = header.split_once('"').map_or(header, |(_, rest)| rest.strip_suffix('"').unwrap_or(rest));
    clean(&text.replace("\\\"", "\"")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(code: u16, headers: &[(&str, &str)]) -> http::response::Parts {
        let mut response = http::Response::builder().status(code);
        for (k, v) in headers {
            response = response.header(*k, *v);
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn refused_and_unknown_stay_apart() {
        let busy = answer(&parts(429, &[("retry-after", "7")]), br#"{"message":"would violate the budget"}"#);
        let seven = Some(Duration::from_secs(7));
        assert_eq!(
            busy,
            Err(CallError::Refused { code: 429, message: "would violate the budget".into(), retry_after: seven })
        );
        assert!(matches!(answer(&parts(504, &[]), b"<html>"), Err(CallError::Unknown { .. })));
        assert!(matches!(answer(&parts(200, &[]), b"<html>"), Err(CallError::Unknown { .. })), "a proxy answered");
        let two = br#"{"message":"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."}"#;
        assert!(matches!(answer(&parts(500, &[]), two), Err(CallError::Refused { code: 500, .. })));
    }

    #[test]
    fn warnings_lose_their_wrapping() {
        let ok = answer(&parts(201, &[("warning", r#"299 - "unknown field \"x\"""#)]), b"{}").unwrap();
        assert_eq!(ok.warnings, vec![r#"unknown field "x""#]);
    }
}
