//! OTLP as JSON: what the OpenTelemetry collector's file exporter writes, one request per line, and what Tempo answers.

use super::value::{Whole, at_place, duration, says_error};
use crate::model::trace::{Span, SpanKind, Trace};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// An export request: spans by who made them. Tempo calls the same list `batches`, or wraps it in `trace`.
#[derive(Debug, Deserialize)]
struct Request {
    #[serde(rename = "resourceSpans", alias = "resource_spans", alias = "batches")]
    resources: Vec<ResourceSpans>,
}

#[derive(Debug, Deserialize)]
struct Wrapped {
    trace: Request,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    #[serde(default)]
    resource: Option<Resource>,
    #[serde(default, alias = "instrumentationLibrarySpans", alias = "scope_spans")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Debug, Deserialize)]
struct ScopeSpans {
    #[serde(default)]
    spans: Vec<RawSpan>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSpan {
    #[serde(alias = "trace_id")]
    trace_id: String,
    #[serde(alias = "span_id")]
    span_id: String,
    #[serde(default, alias = "parent_span_id")]
    parent_span_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: Value,
    #[serde(alias = "start_time_unix_nano")]
    start_time_unix_nano: Whole,
    #[serde(alias = "end_time_unix_nano")]
    end_time_unix_nano: Whole,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    code: Value,
}

#[derive(Debug, Deserialize)]
struct Attribute {
    key: String,
    #[serde(default)]
    value: Value,
}

impl Attribute {
    /// The value out of its type: `{"stringValue": "x"}` is `"x"`.
    fn plain(&self) -> &Value {
        self.value.as_object().and_then(|o| o.values().next()).unwrap_or(&self.value)
    }
}

/// Gathers the spans of many requests by trace, in the order in which traces were first seen.
#[derive(Debug, Default)]
pub struct Gathered {
    traces: Vec<Trace>,
    by_id: HashMap<String, usize>,
}

impl Gathered {
    /// Adds a request. An error names the place in it; nothing of it was added then.
    pub fn add(&mut self, document: Value) -> Result<(), String> {
        let wrapped = document.get("trace").is_some();
        let request = if wrapped { at_place::<Wrapped>(document)?.trace } else { at_place(document)? };
        for part in request.resources {
            let attributes = part.resource.map_or_else(Vec::new, |r| r.attributes);
            let text = |key: &str| attributes.iter().find(|a| a.key == key)?.plain().as_str().filter(|s| !s.is_empty());
            let service: Arc<str> = text("service.name").unwrap_or("unknown").into();
            let host: Option<Arc<str>> = text("host.name").map(Arc::from);
            for raw in part.scope_spans.into_iter().flat_map(|s| s.spans) {
                let next = self.traces.len();
                let at = *self.by_id.entry(raw.trace_id.clone()).or_insert(next);
                if at == next {
                    self.traces.push(Trace { id: raw.trace_id.as_str().into(), ..Trace::default() });
                }
                let (span, less) = span(raw, &service, host.as_ref());
                self.traces[at].negative += usize::from(less);
                self.traces[at].spans.push(span);
            }
        }
        Ok(())
    }

    /// All traces.
    pub fn traces(self) -> Vec<Trace> {
        self.traces
    }
}

fn span(raw: RawSpan, service: &Arc<str>, host: Option<&Arc<str>>) -> (Span, bool) {
    let (lasted, less) = duration(raw.end_time_unix_nano.0.saturating_sub(raw.start_time_unix_nano.0));
    let failed = raw.status.is_some_and(|s| s.code == 2 || s.code == "STATUS_CODE_ERROR");
    let kind = kind(&raw.kind);
    let span = Span {
        id: raw.span_id.into(),
        parent: Some(raw.parent_span_id).filter(|p| !p.trim_matches('0').is_empty()).map(Arc::from),
        // What takes a message was not waited for by whoever put it there.
        detached: kind == SpanKind::Consumer,
        service: service.clone(),
        operation: raw.name.into(),
        kind,
        start: raw.start_time_unix_nano.0,
        duration: lasted,
        error: failed || raw.attributes.iter().any(|a| says_error(&a.key, a.plain())),
        host: host.cloned(),
        ..Span::default()
    };
    (span, less)
}

fn kind(value: &Value) -> SpanKind {
    match (value.as_i64(), value.as_str().unwrap_or_default()) {
        (Some(2), _) | (_, "SPAN_KIND_SERVER") => SpanKind::Server,
        (Some(3), _) | (_, "SPAN_KIND_CLIENT") => SpanKind::Client,
        (Some(4), _) | (_, "SPAN_KIND_PRODUCER") => SpanKind::Producer,
        (Some(5), _) | (_, "SPAN_KIND_CONSUMER") => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gathered(documents: Vec<Value>) -> Vec<Trace> {
        let mut all = Gathered::default();
        for document in documents {
            all.add(document).unwrap();
        }
        all.traces()
    }

    fn request(spans: Value) -> Value {
        let attributes = json!([{"key": "service.name", "value": {"stringValue": "shop"}}]);
        json!({"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": spans}]}]})
    }

    #[test]
    fn spans_of_one_trace_from_several_requests_come_together() {
        let one = |trace: &str, id: &str, parent: &str| {
            json!({"traceId": trace, "spanId": id, "parentSpanId": parent, "name": "n", "kind": 2,
                "startTimeUnixNano": "1000", "endTimeUnixNano": 3500, "status": {"code": "STATUS_CODE_ERROR"}})
        };
        let all = gathered(vec![
            request(json!([one("t1", "a", ""), one("t2", "x", "0000000000000000")])),
            request(json!([one("t1", "b", "a")])),
        ]);
        assert_eq!(all.iter().map(|t| (&*t.id, t.spans.len())).collect::<Vec<_>>(), [("t1", 2), ("t2", 1)]);
        let b = &all[0].spans[1];
        assert_eq!((b.parent.as_deref(), b.start, b.duration, &*b.service), (Some("a"), 1000, 2500, "shop"));
        assert!(b.error && b.kind == SpanKind::Server && all[1].spans[0].parent.is_none());
    }

    #[test]
    fn tempos_answers_are_read_and_a_consumer_was_not_waited_for() {
        let span = json!({"traceId": "t", "spanId": "a", "kind": "SPAN_KIND_CONSUMER", "parentSpanId": "p",
            "startTimeUnixNano": "10", "endTimeUnixNano": "5"});
        let batches = json!([{"scopeSpans": [{"spans": [span]}]}]);
        for document in [json!({"batches": batches}), json!({"trace": {"resourceSpans": batches}})] {
            let all = gathered(vec![document]);
            let span = &all[0].spans[0];
            assert_eq!((all[0].negative, span.duration, span.detached, &*span.service), (1, 0, true, "unknown"));
        }
    }
}
