//! Bodies of requests: how much, of what type, and whether they can be read.

use crate::sim::status::Status;
use crate::sim::write::{Errors, Options, Patch, Validation, read_json};
use axum::body::{Body, to_bytes};
use http::{HeaderMap, header};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;

/// The most a body may have: `--max-resource-write-bytes` of the real server.
const MOST: usize = 3 * 1024 * 1024;

/// The whole body.
///
/// # Errors
/// 413.
pub async fn read(body: Body) -> Result<axum::body::Bytes, Status> {
    to_bytes(body, MOST).await.map_err(|_| {
        Status::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {MOST}"))
            .with(serde_json::json!({}))
    })
}

fn media_type(headers: &HeaderMap) -> &str {
    let whole = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim()
}

/// A body of POST, PUT or DELETE as JSON.
///
/// # Errors
/// 415; 400 for YAML that is none.
pub fn object<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Status> {
    match media_type(headers) {
        "" | "application/json" => Ok(Cow::Borrowed(body)),
        "application/yaml" => {
            let value: Value = std::str::from_utf8(body)
                .map_err(|e| e.to_string())
                .and_then(|t| serde_saphyr::from_str(t).map_err(|e| e.to_string()))
                .map_err(|e| Status::bad_request(format!("error converting YAML to JSON: yaml: {e}")))?;
            Ok(Cow::Owned(value.to_string().into_bytes()))
        }
        "application/vnd.kubernetes.protobuf" => {
            // A DELETE without options says so all the same.
            if body.is_empty() {
                return Ok(Cow::Borrowed(body));
            }
            let object = super::protobuf::read(body).map_err(Status::bad_request)?;
            Ok(Cow::Owned(object.to_string().into_bytes()))
        }
        _ => Err(unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf")),
    }
}

/// What kind of patch it is.
///
/// # Errors
/// 415.
pub fn patch(headers: &HeaderMap, custom: bool) -> Result<Patch, Status> {
    match media_type(headers) {
        "application/json-patch+json" => Ok(Patch::Json),
        "application/merge-patch+json" => Ok(Patch::Merge),
        "application/strategic-merge-patch+json" if !custom => Ok(Patch::Strategic),
        "application/apply-patch+yaml" => Ok(Patch::Apply),
        "application/strategic-merge-patch+json" => {
            Err(unsupported("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"))
        }
        _ => Err(Status::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").with(serde_json::json!({}))),
    }
}

fn unsupported(known: &str) -> Status {
    let why = format!("the body of the request was in an unknown format - accepted media types include: {known}");
    Status::new(415, "UnsupportedMediaType", why)
}

/// Options as JSON.
///
/// # Errors
/// 400.
pub fn json(body: &[u8]) -> Result<Value, Status> {
    read_json(body).map_err(|e| Status::bad_request(format!("couldn't get version/kind; json parse error: {e}")))
}

/// The same of JSON or YAML: an apply's configuration.
///
/// # Errors
/// 400.
pub fn json_or_yaml(body: &[u8]) -> Result<Value, Status> {
    json(body).or_else(|why| std::str::from_utf8(body).ok().and_then(|t| serde_saphyr::from_str(t).ok()).ok_or(why))
}

/// The most a field manager's name may have.
const LONGEST_MANAGER: usize = 128;

/// The parameters of a write; `kind` is `CreateOptions`, `UpdateOptions`, `PatchOptions` or `ApplyOptions`.
///
/// # Errors
/// 422 for what is unknown or does not go together (apimachinery's validation of the meta group).
pub fn options(query: &HashMap<String, String>, headers: &HeaderMap, kind: &str) -> Result<Options, Status> {
    let mut errors = Errors::default();
    let given = |name: &str| query.get(name).map(String::as_str).filter(|v| !v.is_empty());
    let apply = kind == "ApplyOptions";
    let manager = given("fieldManager");
    if apply && manager.is_none() {
        errors.required("fieldManager", "is required for apply patch");
    }
    if kind == "PatchOptions" && query.contains_key("force") {
        errors.forbidden("force", "may not be specified for non-apply patch");
    }
    if let Some(manager) = manager {
        if manager.len() > LONGEST_MANAGER {
            errors.too_long("fieldManager", LONGEST_MANAGER);
        }
        if let Some((i, c)) = manager.char_indices().find(|(_, c)| c.is_control()) {
            let why = format!("invalid character U+{:04X} (at position {i})", u32::from(c));
            errors.invalid("fieldManager", &manager.into(), &why);
        }
    }
    if let Some(other) = given("dryRun").filter(|d| *d != "All") {
        errors.unsupported_value("dryRun", &serde_json::json!([other]), &["All"]);
    }
    let validation = match given("fieldValidation") {
        None | Some("Warn") => Validation::Warn,
        Some("Ignore") => Validation::Ignore,
        Some("Strict") => Validation::Strict,
        Some(other) => {
            errors.unsupported("fieldValidation", other, &["", "Ignore", "Strict", "Warn"]);
            Validation::Warn
        }
    };
    errors.into_result("meta.k8s.io", if apply { "PatchOptions" } else { kind }, "")?;
    let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    // Who does not name himself is named after the client.
    let field_manager = manager.unwrap_or_else(|| agent.split('/').next().unwrap_or_default()).to_owned();
    let force = super::path::flag(query, "force").unwrap_or(false);
    Ok(Options { dry_run: given("dryRun").is_some(), field_manager, validation, force })
}
