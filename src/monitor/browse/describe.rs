//! One object in words: who made and owns it, what state it says it is in, and its events.

use super::table::secret;
use crate::model::object::{ObjectRef, Resource};
use crate::model::text::{clean, clean_lines};
use crate::model::time::{Timestamp, age};
use crate::monitor::detail::DetailError;
use crate::monitor::live;
use chrono::{DateTime, Utc};
use kube::Client;
use kube::api::ListParams;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Events that are shown, newest first.
const EVENTS: usize = 30;

/// Longest value of an annotation that is shown, in characters.
const VALUE: usize = 120;

/// Written by kubectl; the whole object once more.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object and its events as text for people.
///
/// # Errors
/// Secrets are refused without asking the server; otherwise what the server said of the object. Events that cannot be
/// read are said in their place.
pub async fn describe(client: &Client, object: &ObjectRef, now: Timestamp) -> Result<String, DetailError> {
    if secret(&object.resource) || object.resource.kind == "Secret" {
        return Err(DetailError::Secret(object.clone()));
    }
    let found = live::get(client, &object.path()).await;
    let found = found.map_err(|p| DetailError::Unreadable { what: object.to_string(), why: p.why })?;
    let mut text = text(&found, object, now);
    text.push_str("\nevents\n");
    let selector = format!("involvedObject.name={},involvedObject.kind={}", object.name, object.resource.kind);
    let wanted = ListParams::default().fields(&selector).limit(500);
    match live::list(client, &Resource::EVENTS, object.namespace.as_deref(), &wanted).await {
        Ok(events) if events.is_empty() => text.push_str("  none that the server still keeps\n"),
        Ok(events) => write_events(&mut text, events, now),
        Err(p) => {
            let _ = writeln!(text, "  could not be read: {}", p.why);
        }
    }
    Ok(clean_lines(&text))
}

/// Everything but the events.
fn text(found: &Value, object: &ObjectRef, now: Timestamp) -> String {
    let mut out = format!("{object} ({})\n\n", object.resource.api_version());
    let meta = &found["metadata"];
    let mut field = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<13} {value}");
    };
    if let Some(at) = time(&meta["creationTimestamp"]) {
        field("created", format!("{} ({} ago)", at.format("%Y-%m-%d %H:%M:%S UTC"), age(now, at)));
    }
    if let Some(at) = time(&meta["deletionTimestamp"]) {
        field("being deleted", format!("since {}", at.format("%Y-%m-%d %H:%M:%S UTC")));
    }
    if let Some(generation) = meta["generation"].as_i64() {
        let seen = found["status"]["observedGeneration"].as_i64();
        field("generation", seen.map_or_else(|| generation.to_string(), |s| format!("{generation} (acted on: {s})")));
    }
    for owner in meta["ownerReferences"].as_array().into_iter().flatten() {
        let role = if owner["controller"] == true { "controlled by" } else { "owned by" };
        field(role, format!("{}/{}", word(&owner["kind"]), word(&owner["name"])));
    }
    for (name, key) in [("labels", "labels"), ("annotations", "annotations")] {
        let mut title = name;
        for (key, value) in meta[key].as_object().into_iter().flatten().filter(|(k, _)| *k != APPLIED) {
            field(title, format!("{key}={}", cut(&word(value))));
            title = "";
        }
    }
    let mut title = "finalizers";
    for finalizer in meta["finalizers"].as_array().into_iter().flatten() {
        field(title, word(finalizer));
        title = "";
    }
    data(&mut out, found);
    status(&mut out, &found["status"], now);
    out
}

/// Keys of a ConfigMap with the length of their values.
fn data(out: &mut String, found: &Value) {
    let keys: Vec<String> = ["data", "binaryData"]
        .into_iter()
        .filter_map(|part| found[part].as_object())
        .flatten()
        .map(|(key, value)| format!("  {key}  {} bytes", value.as_str().map_or(0, str::len)))
        .collect();
    if !keys.is_empty() {
        let _ = writeln!(out, "\ndata\n{}", keys.join("\n"));
    }
}

/// Conditions, then what else the status says in single values.
fn status(out: &mut String, status: &Value, now: Timestamp) {
    if let Some(conditions) = status["conditions"].as_array().filter(|c| !c.is_empty()) {
        out.push_str("\nconditions\n");
        for c in conditions {
            let since = time(&c["lastTransitionTime"]).map_or_else(String::new, |at| format!("for {}", age(now, at)));
            let why = [word(&c["reason"]), word(&c["message"])].into_iter().filter(|w| !w.is_empty());
            let why = why.collect::<Vec<_>>().join(": ");
            let line = format!("  {:<28} {:<8} {since:<9} {why}", word(&c["type"]), word(&c["status"]));
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    let single = |v: &&Value| matches!(v, Value::String(_) | Value::Number(_) | Value::Bool(_));
    let rest: Map<String, Value> = status.as_object().cloned().unwrap_or_default();
    let lines: Vec<String> = rest
        .iter()
        .filter(|(key, value)| single(value) && *key != "observedGeneration")
        .map(|(key, value)| format!("  {key:<28} {}", cut(&word(value))))
        .collect();
    if !lines.is_empty() {
        let _ = writeln!(out, "\nstatus\n{}", lines.join("\n"));
    }
}

fn write_events(out: &mut String, events: Vec<Value>, now: Timestamp) {
    let when = |e: &Value| {
        let last = time(&e["series"]["lastObservedTime"]).or_else(|| time(&e["lastTimestamp"]));
        last.or_else(|| time(&e["eventTime"])).or_else(|| time(&e["metadata"]["creationTimestamp"]))
    };
    let mut dated: Vec<(Option<Timestamp>, Value)> = events.into_iter().map(|e| (when(&e), e)).collect();
    dated.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    for (at, e) in dated.iter().take(EVENTS) {
        let count = e["series"]["count"].as_i64().or_else(|| e["count"].as_i64()).unwrap_or(1);
        let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
        let ago = at.map_or_else(|| "?".to_owned(), |at| age(now, at));
        let _ = writeln!(
            out,
            "  {ago:>6} ago  {:<8} {:<24} {}{times}",
            word(&e["type"]),
            word(&e["reason"]),
            word(&e["message"])
        );
    }
    if dated.len() > EVENTS {
        let _ = writeln!(out, "  and {} older ones", dated.len() - EVENTS);
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse::<DateTime<Utc>>().ok()
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => clean(text).into_owned(),
        other => clean(&other.to_string()).into_owned(),
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= VALUE {
        return text.to_owned();
    }
    text.chars().take(VALUE).chain(['…']).collect()
}
