//! OTLP's JSON: an export request, as exporters send it and the collector's file exporter writes it, and as Jaeger and
//! Tempo answer.

use super::bounds::{Incoming, Process, Said, Words, short};
use super::value::{Plain, Typed, Whole, at_place, document, duration};
use crate::model::trace::{Origin, Span, SpanKind, Trace};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// An export request: spans by who made them. Tempo calls the same list `batches`, or wraps it in `trace`.
#[derive(Debug, Default, Deserialize)]
pub struct Request {
    #[serde(default, rename = "resourceSpans", alias = "resource_spans", alias = "batches")]
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
    kind: Plain,
    #[serde(alias = "start_time_unix_nano")]
    start_time_unix_nano: Whole,
    #[serde(alias = "end_time_unix_nano")]
    end_time_unix_nano: Whole,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    status: Option<Status>,
}

/// Something that happened within a span, such as an exception.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default)]
    code: Plain,
    #[serde(default)]
    message: Plain,
}

#[derive(Debug, Deserialize)]
struct Attribute {
    key: String,
    #[serde(default)]
    value: Typed,
}

/// Gathers the spans of many requests by trace, in the order in which traces were first seen.
#[derive(Debug, Default)]
pub struct Gathered {
    traces: Vec<Trace>,
    by_id: HashMap<Arc<str>, usize>,
}

impl Gathered {
    /// Adds a request. An error names the place in it; nothing of it was added then.
    pub fn add(&mut self, document: Value) -> Result<(), String> {
        let wrapped = document.get("trace").is_some();
        self.add_all(spans(if wrapped { at_place::<Wrapped>(document)?.trace } else { at_place(document)? }));
        Ok(())
    }

    /// Adds spans.
    pub fn add_all(&mut self, spans: Vec<Incoming>) {
        for Incoming { trace, span, negative } in spans {
            let next = self.traces.len();
            let at = *self.by_id.entry(trace.clone()).or_insert(next);
            if at == next {
                self.traces.push(Trace { id: trace, ..Trace::default() });
            }
            self.traces[at].negative += usize::from(negative);
            self.traces[at].spans.push(span);
        }
    }

    /// All traces.
    pub fn traces(self) -> Vec<Trace> {
        self.traces
    }
}

/// The spans of one request as bytes. An error names the place in it.
pub fn read(bytes: &[u8]) -> Result<Vec<Incoming>, String> {
    document(bytes).map(spans)
}

/// The spans of a request.
pub fn spans(request: Request) -> Vec<Incoming> {
    let mut words = Words::default();
    let mut out = Vec::new();
    for part in request.resources {
        let mut process = Process::default();
        for a in part.resource.map_or_else(Vec::new, |r| r.attributes) {
            process.add(&mut words, &a.key, &a.value.0);
        }
        let maker = process.done();
        for raw in part.scope_spans.into_iter().flat_map(|s| s.spans) {
            out.push(incoming(raw, &maker, &mut words));
        }
    }
    out
}

fn incoming(raw: RawSpan, maker: &Maker, words: &mut Words) -> Incoming {
    let mut said = Said::default();
    for a in &raw.attributes {
        said.add(words, &a.key, &a.value.0);
    }
    let status = raw.status.unwrap_or(Status { code: Plain::Null, message: Plain::Null });
    let exceptions = raw.events.iter().rev().flat_map(|e| &e.attributes).filter(|a| a.key == "exception.message");
    Draft {
        trace: &id(&raw.trace_id, TRACE_ID),
        id: &id(&raw.span_id, SPAN_ID),
        parent: &id(&raw.parent_span_id, SPAN_ID),
        name: &raw.name,
        kind: kind(&raw.kind),
        start: raw.start_time_unix_nano.0,
        end: raw.end_time_unix_nano.0,
        failed: status.code == Plain::Int(2) || status.code.as_str() == Some("STATUS_CODE_ERROR"),
        message: &status.message.text(),
        exception: &exceptions.map(|a| a.value.0.text()).next().unwrap_or_default(),
    }
    .finish(said, maker, words)
}

fn kind(value: &Plain) -> SpanKind {
    match (value, value.as_str().unwrap_or_default()) {
        (Plain::Int(2), _) | (_, "SPAN_KIND_SERVER") => SpanKind::Server,
        (Plain::Int(3), _) | (_, "SPAN_KIND_CLIENT") => SpanKind::Client,
        (Plain::Int(4), _) | (_, "SPAN_KIND_PRODUCER") => SpanKind::Producer,
        (Plain::Int(5), _) | (_, "SPAN_KIND_CONSUMER") => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

/// Bytes of a trace's id.
pub const TRACE_ID: usize = 16;
/// Bytes of a span's id.
pub const SPAN_ID: usize = 8;

/// An id of so many bytes in lower-case hex, whether it was written in hex, as OTLP wants, or in base64, as protobuf's own
/// JSON does. Anything else stays as it is.
fn id(text: &str, bytes: usize) -> Cow<'_, str> {
    if is_hex(text, bytes) {
        return if text.bytes().any(|b| b.is_ascii_uppercase()) {
            text.to_ascii_lowercase().into()
        } else {
            text.into()
        };
    }
    let decoded = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text.trim_end_matches('=')));
    decoded.ok().filter(|d| d.len() == bytes).map_or(Cow::Borrowed(text), |d| hex(&d).into())
}

fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether an id is one as OTLP defines it: so many bytes in hex, not all zero.
pub fn is_id(text: &str, bytes: usize) -> bool {
    is_hex(text, bytes) && !text.bytes().all(|b| b == b'0')
}

/// Bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        let _ = write!(out, "{b:02x}");
    }
    out
}

/// Service, host and the rest of who made a span.
pub type Maker = (Arc<str>, Option<Arc<str>>, Arc<Origin>);

/// What OTLP says of a span, whatever it was written in.
pub struct Draft<'a> {
    /// Its trace.
    pub trace: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its parent; empty or zero: none.
    pub parent: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its kind.
    pub kind: SpanKind,
    /// Nanoseconds since the Unix epoch.
    pub start: i64,
    /// Nanoseconds since the Unix epoch.
    pub end: i64,
    /// Its status says that it failed.
    pub failed: bool,
    /// Its status' message.
    pub message: &'a str,
    /// What the last exception in it says.
    pub exception: &'a str,
}

impl Draft<'_> {
    /// The span.
    pub fn finish(self, said: Said, maker: &Maker, words: &mut Words) -> Incoming {
        let (lasted, negative) = duration(self.end.saturating_sub(self.start));
        let parent = Some(self.parent).filter(|p| !p.trim_matches('0').is_empty());
        let told = [self.message, self.exception].into_iter().find(|m| !m.is_empty());
        let (service, host, origin) = maker.clone();
        let span = Span {
            id: short(self.id).into(),
            parent: parent.map(|p| words.share(p)),
            // What takes a message was not waited for by whoever put it there.
            detached: self.kind == SpanKind::Consumer,
            service,
            operation: words.share(self.name),
            kind: self.kind,
            start: self.start,
            duration: lasted,
            error: self.failed || said.error,
            message: told.map(|m| words.share(m)).or_else(|| said.message.clone()),
            host,
            origin,
            attributes: said.attributes(),
        };
        Incoming { trace: words.share(self.trace), span, negative }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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

    #[test]
    fn ids_in_base64_or_in_capitals_become_the_same_hex() {
        let span = |trace: &str, span: &str| json!({"traceId": trace, "spanId": span, "parentSpanId": span, "startTimeUnixNano": 1, "endTimeUnixNano": "2"});
        let all = gathered(vec![request(json!([
            span("AAECAwQFBgcICQoLDA0ODw==", "8PHy8/T19vc="),
            span("000102030405060708090A0B0C0D0E0F", "F0f1f2f3f4f5f6f7"),
        ]))]);
        assert_eq!((all.len(), all[0].spans.len()), (1, 2));
        assert_eq!(&*all[0].id, "000102030405060708090a0b0c0d0e0f");
        assert!(all[0].spans.iter().all(|s| &*s.id == "f0f1f2f3f4f5f6f7" && s.parent.as_ref() == Some(&s.id)));
        assert!(is_id(&all[0].id, TRACE_ID) && !is_id("0000000000000000", SPAN_ID) && !is_id("xyz", SPAN_ID));
    }

    #[test]
    fn what_a_span_and_its_process_say_is_kept_cleaned_and_cut() {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let span = json!({"traceId": "t", "spanId": "a", "startTimeUnixNano": 1, "endTimeUnixNano": 2, "name": "a\u{7}b",
            "attributes": [text("http.route", "/\u{1b}[31mpay"), text("big", &"x".repeat(64 * 1024)),
                {"key": "n", "value": {"intValue": "7"}}],
            "events": [{"name": "exception", "attributes": [text("exception.message", "card refused")]}],
            "status": {"code": 2}});
        let resource =
            json!({"attributes": [text("service.name", "pay"), text("k8s.pod.name", "pay-0"), text("zone", "a")]});
        let one = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]});
        let bytes = serde_json::to_vec(&one).unwrap();
        let all = read(&bytes).unwrap();
        let s = &all[0].span;
        assert_eq!((&*s.operation, s.message.as_deref(), s.error), ("ab", Some("card refused"), true));
        let pairs: Vec<_> = s.attributes.iter().map(|(k, v)| (&**k, v.chars().count())).collect();
        assert_eq!(pairs, [("http.route", 8), ("big", 257), ("n", 1)]);
        assert_eq!((s.origin.pod.as_deref(), s.origin.attributes.len()), (Some("pay-0"), 1));
        assert!(read(&bytes[..bytes.len() - 3]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn a_document_with_bytes_changed_is_read_or_refused_and_what_is_read_is_bounded(
            changes in proptest::collection::vec((0usize..100_000, any::<u8>()), 1..16),
            cut in 0usize..100_000,
        ) {
            let attribute = json!([{"key": "k", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}}]);
            let span = json!({"traceId": "01".repeat(16), "spanId": "02".repeat(8), "kind": 2, "name": "n", "attributes": attribute,
                "startTimeUnixNano": "1000", "endTimeUnixNano": 3500, "status": {"code": 2, "message": "m"}});
            let mut bytes = serde_json::to_vec(&request(json!([span]))).unwrap();
            let length = bytes.len();
            for (at, byte) in changes {
                bytes[at % length] = byte;
            }
            bytes.truncate(length - (cut % length) / 8);
            if let Ok(all) = read(&bytes) {
                for one in all {
                    prop_assert!(one.span.duration >= 0 && !one.span.operation.chars().any(char::is_control));
                    prop_assert!(one.span.attributes.iter().all(|(k, v)| k.len() + v.len() < 3000));
                }
            }
        }
    }
}
