//! Jaeger's JSON, as `/api/traces` answers and its page saves it: spans with references, processes beside them.

use super::bounds::{Process, Said, Words};
use super::value::{Plain, Whole, at_place, document, duration};
use crate::model::trace::{Origin, Span, Trace};
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
    processes: HashMap<String, RawProcess>,
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
    process: Option<RawProcess>,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
    #[serde(default)]
    logs: Option<Vec<Log>>,
}

/// Something that happened within a span, such as an exception.
#[derive(Debug, Deserialize)]
struct Log {
    #[serde(default)]
    fields: Option<Vec<Tag>>,
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
struct RawProcess {
    service_name: String,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: Plain,
}

/// The traces of a file; microseconds become nanoseconds. An error names the place in it.
pub fn read(document: Value) -> Result<Vec<Trace>, String> {
    let raw =
        if document.get("data").is_some() { at_place::<Answer>(document)?.data } else { vec![at_place(document)?] };
    Ok(raw.into_iter().map(trace).collect())
}

/// The traces of an answer of `/api/traces`.
pub fn answer(bytes: &[u8]) -> Result<Vec<Trace>, String> {
    Ok(document::<Answer>(bytes)?.data.into_iter().map(trace).collect())
}

/// Who made spans: service, host and the rest.
type Maker = (Arc<str>, Option<Arc<str>>, Arc<Origin>);

fn trace(raw: Raw) -> Trace {
    let mut words = Words::default();
    let makers: HashMap<String, Maker> = raw.processes.into_iter().map(|(id, p)| (id, maker(p, &mut words))).collect();
    let nobody = Process::default().done();
    let mut negative = 0;
    let mut spans = Vec::with_capacity(raw.spans.len());
    for s in raw.spans {
        let own = s.process.map(|p| maker(p, &mut words));
        let known = s.process_id.as_ref().and_then(|id| makers.get(id));
        let (service, host, origin) = own.as_ref().or(known).unwrap_or(&nobody);
        let (lasted, less) = duration(s.duration.0);
        negative += usize::from(less);
        let mut said = Said::default();
        for tag in s.tags.unwrap_or_default() {
            said.add(&mut words, &tag.key, &tag.value);
        }
        // The last of several parents is the one Jaeger's own tools take.
        let references = s.references.unwrap_or_default();
        let waited = references.iter().rfind(|r| r.ref_type == "CHILD_OF").map(|r| r.span_id.as_str());
        let waited = waited.or(s.parent_span_id.as_deref()).filter(|id| !id.is_empty());
        let follows = references.iter().rfind(|r| r.ref_type != "CHILD_OF").map(|r| r.span_id.as_str());
        spans.push(Span {
            id: words.share(&s.span_id),
            parent: waited.or(follows).map(|id| words.share(id)),
            detached: waited.is_none() && follows.is_some(),
            service: service.clone(),
            operation: words.share(&s.operation_name),
            kind: said.kind.unwrap_or_default(),
            start: s.start_time.0.saturating_mul(1000),
            duration: lasted.saturating_mul(1000),
            error: said.error,
            message: said.message.take().or_else(|| exception(s.logs.as_deref()?, &mut words)),
            host: host.clone(),
            origin: origin.clone(),
            attributes: said.attributes(),
        });
    }
    Trace { id: words.share(&raw.trace_id), spans, negative }
}

fn maker(raw: RawProcess, words: &mut Words) -> Maker {
    let mut process = Process::default();
    for tag in raw.tags.unwrap_or_default() {
        process.add(words, &tag.key, &tag.value);
    }
    process.service = Some(words.share(&raw.service_name));
    process.done()
}

/// What the last exception among the logs says of itself.
fn exception(logs: &[Log], words: &mut Words) -> Option<Arc<str>> {
    let fields = logs.iter().rev().flat_map(|l| l.fields.as_deref().unwrap_or_default());
    let text = |t: &Tag| words.share(&t.value.text());
    fields.filter(|t| matches!(t.key.as_str(), "exception.message" | "error.object")).map(text).find(|m| !m.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trace::SpanKind;
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
            "logs": [{"timestamp": 6, "fields": [{"key": "event", "value": "exception"},
                {"key": "exception.message", "type": "string", "value": "no\u{1b} stock"}]}],
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
            message: Some("no stock".into()),
            attributes: [("span.kind".into(), "server".into()), ("error".into(), "true".into())].into(),
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
