//! Jaeger's JSON, as `/api/traces` answers and its page saves it: spans with references, processes beside them.

use super::value::{Whole, at_place, duration, says_error};
use crate::model::trace::{Span, SpanKind, Trace};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// `{"data": [...]}`
#[derive(Debug, Deserialize)]
struct Answer {
    data: Vec<Raw>,
}

/// A trace as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(rename = "traceID")]
    trace_id: String,
    spans: Vec<RawSpan>,
    #[serde(default)]
    processes: HashMap<String, Process>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSpan {
    #[serde(rename = "spanID")]
    span_id: String,
    operation_name: String,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(rename = "parentSpanID", default)]
    parent_span_id: Option<String>,
    start_time: Whole,
    duration: Whole,
    #[serde(default, rename = "processID")]
    process_id: Option<String>,
    #[serde(default)]
    process: Option<Process>,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    service_name: Arc<str>,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: Value,
}

/// The traces of an answer, or one trace by itself; microseconds become nanoseconds. An error names the place in it.
pub fn read(document: Value) -> Result<Vec<Trace>, String> {
    let raw =
        if document.get("data").is_some() { at_place::<Answer>(document)?.data } else { vec![at_place(document)?] };
    Ok(raw.into_iter().map(trace).collect())
}

fn trace(raw: Raw) -> Trace {
    let hosts: HashMap<&str, Arc<str>> =
        raw.processes.iter().filter_map(|(id, p)| Some((id.as_str(), host(p)?))).collect();
    let mut negative = 0;
    let spans = raw.spans.into_iter().map(|s| {
        let process = s.process.as_ref().or_else(|| raw.processes.get(s.process_id.as_deref()?));
        let (lasted, less) = duration(s.duration.0);
        negative += usize::from(less);
        let tags = s.tags.unwrap_or_default();
        // The last of several parents is the one Jaeger's own tools take.
        let references = s.references.unwrap_or_default();
        let waited = references.iter().rfind(|r| r.ref_type == "CHILD_OF").map(|r| r.span_id.as_str());
        let waited = waited.or(s.parent_span_id.as_deref()).filter(|id| !id.is_empty());
        let follows = references.iter().rfind(|r| r.ref_type != "CHILD_OF").map(|r| r.span_id.as_str());
        Span {
            id: s.span_id.into(),
            parent: waited.or(follows).map(Arc::from),
            detached: waited.is_none() && follows.is_some(),
            service: process.map_or_else(|| Arc::from("unknown"), |p| p.service_name.clone()),
            operation: s.operation_name.into(),
            kind: tags.iter().find(|t| t.key == "span.kind").map_or(SpanKind::Internal, kind),
            start: s.start_time.0.saturating_mul(1000),
            duration: lasted.saturating_mul(1000),
            error: tags.iter().any(|t| says_error(&t.key, &t.value)),
            host: s.process_id.as_deref().and_then(|id| hosts.get(id).cloned()).or_else(|| host(process?)),
            ..Span::default()
        }
    });
    let spans = spans.collect();
    Trace { id: raw.trace_id.into(), spans, negative }
}

fn host(process: &Process) -> Option<Arc<str>> {
    let tags = process.tags.as_deref().unwrap_or_default();
    let tag = tags.iter().find(|t| matches!(t.key.as_str(), "hostname" | "host.name"))?;
    tag.value.as_str().filter(|h| !h.is_empty()).map(Arc::from)
}

fn kind(tag: &Tag) -> SpanKind {
    match tag.value.as_str().unwrap_or_default() {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Vec<Trace> {
        super::read(value).unwrap()
    }

    #[test]
    fn spans_have_their_service_parent_kind_error_and_host() {
        let process = json!({"serviceName": "shop", "tags": [{"key": "hostname", "type": "string", "value": "n1"}]});
        let span = json!({
            "traceID": "t", "spanID": "b", "operationName": "GET /", "startTime": 5, "duration": "7", "processID": "p1",
            "references": [{"refType": "FOLLOWS_FROM", "traceID": "t", "spanID": "x"},
                           {"refType": "CHILD_OF", "traceID": "t", "spanID": "a"}],
            "tags": [{"key": "span.kind", "value": "server"}, {"key": "error", "type": "bool", "value": true}]});
        let all = read(json!({"data": [{"traceID": "t", "spans": [span], "processes": {"p1": process}}], "total": 0}));
        let expected = Span {
            id: "b".into(),
            parent: Some("a".into()),
            detached: false,
            service: "shop".into(),
            operation: "GET /".into(),
            kind: SpanKind::Server,
            start: 5000,
            duration: 7000,
            error: true,
            host: Some("n1".into()),
            ..Span::default()
        };
        assert_eq!(all, [Trace { id: "t".into(), spans: vec![expected], negative: 0 }]);
    }

    #[test]
    fn one_trace_by_itself_older_parents_missing_processes_and_negative_durations_are_read() {
        let span = |id: &str, d: i64| {
            json!({"spanID": id, "operationName": "o", "startTime": 1, "duration": d, "parentSpanID": "a",
                "references": null, "tags": null})
        };
        let all = read(json!({"traceID": "t", "spans": [span("b", -4), span("c", 4)]}));
        assert_eq!((all[0].negative, all[0].spans[0].duration, &*all[0].spans[0].service), (1, 0, "unknown"));
        assert_eq!(all[0].spans[1].parent.as_deref(), Some("a"));
    }

    #[test]
    fn what_only_follows_was_not_waited_for() {
        let span = json!({"spanID": "b", "operationName": "o", "startTime": 1, "duration": 2,
            "references": [{"refType": "FOLLOWS_FROM", "spanID": "a"}]});
        let all = read(json!({"traceID": "t", "spans": [span]}));
        assert!(all[0].spans[0].detached);
    }
}
