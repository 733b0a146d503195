//! OTLP's protobuf. A message is weighed before it is decoded: two bytes may stand for an empty span, which takes hundreds.

use super::bounds::{Incoming, Process, Said, Words};
use super::otlp::{Draft, Maker, SPAN_ID, TRACE_ID, hex};
use super::value::Plain;
use crate::model::trace::SpanKind;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span, status};
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint};
use std::mem::size_of;

/// Why a message gives no spans.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    /// It ends early, or is no export request at all.
    #[error("not an OTLP export request: {0}")]
    Malformed(String),
    /// Decoded it would take more memory than allowed.
    #[error("decoded it would take more than {0} bytes; send fewer spans at once")]
    Heavy(usize),
}

/// A message's parts that are messages themselves, by number; and what one of it takes in memory.
struct Shape {
    bytes: usize,
    parts: &'static [(u32, &'static Shape)],
}

static ANY: Shape = Shape { bytes: size_of::<AnyValue>(), parts: &[(5, &LIST), (6, &PAIRS)] };
static LIST: Shape = Shape { bytes: 24, parts: &[(1, &ANY)] };
static PAIRS: Shape = Shape { bytes: 24, parts: &[(1, &PAIR)] };
static PAIR: Shape = Shape { bytes: size_of::<KeyValue>(), parts: &[(2, &ANY)] };
static ENTITY: Shape = Shape { bytes: 96, parts: &[] };
static RESOURCE: Shape = Shape { bytes: size_of::<Resource>(), parts: &[(1, &PAIR), (3, &ENTITY)] };
static EVENT: Shape = Shape { bytes: size_of::<span::Event>(), parts: &[(3, &PAIR)] };
static LINK: Shape = Shape { bytes: size_of::<span::Link>(), parts: &[(4, &PAIR)] };
static SPAN: Shape = Shape { bytes: size_of::<Span>(), parts: &[(9, &PAIR), (11, &EVENT), (13, &LINK)] };
static SCOPE: Shape = Shape { bytes: 96, parts: &[(3, &PAIR)] };
static SCOPE_SPANS: Shape = Shape { bytes: size_of::<ScopeSpans>(), parts: &[(1, &SCOPE), (2, &SPAN)] };
static RESOURCE_SPANS: Shape = Shape { bytes: size_of::<ResourceSpans>(), parts: &[(1, &RESOURCE), (2, &SCOPE_SPANS)] };
static REQUEST: Shape = Shape { bytes: 24, parts: &[(1, &RESOURCE_SPANS)] };

/// Values within values deeper than this are no spans of anybody; prost itself stops at 100.
const DEPTH: usize = 64;

/// What a message takes in memory at least, or why it is none.
fn weigh(mut bytes: &[u8], shape: &Shape, depth: usize, limit: usize) -> Result<usize, ProtoError> {
    let bad = |e: prost::DecodeError| ProtoError::Malformed(e.to_string());
    let early = || ProtoError::Malformed("it ends early".into());
    if depth > DEPTH {
        return Err(ProtoError::Malformed(format!("values within values deeper than {DEPTH}")));
    }
    let mut total = shape.bytes;
    while !bytes.is_empty() {
        let (tag, wire) = decode_key(&mut bytes).map_err(bad)?;
        let skip = match wire {
            WireType::Varint => {
                decode_varint(&mut bytes).map_err(bad)?;
                0
            }
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut bytes).map_err(bad)?).map_err(|_| early())?;
                let part = bytes.get(..length).ok_or_else(early)?;
                total += match shape.parts.iter().find(|(t, _)| *t == tag) {
                    Some((_, inner)) => weigh(part, inner, depth + 1, limit)?,
                    None => length,
                };
                length
            }
            WireType::StartGroup | WireType::EndGroup => {
                return Err(ProtoError::Malformed("groups are not part of OTLP".into()));
            }
        };
        bytes = bytes.get(skip..).ok_or_else(early)?;
        if total > limit {
            return Err(ProtoError::Heavy(limit));
        }
    }
    Ok(total)
}

/// The spans of an export request that takes at most `limit` bytes when decoded.
pub fn read(bytes: &[u8], limit: usize) -> Result<Vec<Incoming>, ProtoError> {
    weigh(bytes, &REQUEST, 0, limit)?;
    let request = ExportTraceServiceRequest::decode(bytes).map_err(|e| ProtoError::Malformed(e.to_string()))?;
    let mut words = Words::default();
    let mut out = Vec::new();
    for part in request.resource_spans {
        let mut process = Process::default();
        for a in part.resource.map_or_else(Vec::new, |r| r.attributes) {
            process.add(&mut words, &a.key, &plain(a.value.as_ref()));
        }
        let maker = process.done();
        for raw in part.scope_spans.into_iter().flat_map(|s| s.spans) {
            out.push(incoming(raw, &maker, &mut words));
        }
    }
    Ok(out)
}

fn incoming(raw: Span, maker: &Maker, words: &mut Words) -> Incoming {
    let mut said = Said::default();
    for a in &raw.attributes {
        said.add(words, &a.key, &plain(a.value.as_ref()));
    }
    let status = raw.status.unwrap_or_default();
    let mut exceptions = raw.events.iter().rev().flat_map(|e| &e.attributes).filter(|a| a.key == "exception.message");
    let nanoseconds = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Draft {
        trace: &id(&raw.trace_id, TRACE_ID),
        id: &id(&raw.span_id, SPAN_ID),
        parent: &id(&raw.parent_span_id, SPAN_ID),
        name: &raw.name,
        kind: match span::SpanKind::try_from(raw.kind).unwrap_or_default() {
            span::SpanKind::Server => SpanKind::Server,
            span::SpanKind::Client => SpanKind::Client,
            span::SpanKind::Producer => SpanKind::Producer,
            span::SpanKind::Consumer => SpanKind::Consumer,
            span::SpanKind::Internal | span::SpanKind::Unspecified => SpanKind::Internal,
        },
        start: nanoseconds(raw.start_time_unix_nano),
        end: nanoseconds(raw.end_time_unix_nano),
        failed: status.code == status::StatusCode::Error as i32,
        message: &status.message,
        exception: &exceptions.next().map(|a| plain(a.value.as_ref())).unwrap_or_default().text(),
    }
    .finish(said, maker, words)
}

/// An id in hex; one that is longer than it may be is cut just beyond, so that it is still seen to be wrong.
fn id(bytes: &[u8], most: usize) -> String {
    hex(&bytes[..bytes.len().min(most + 1)])
}

fn plain(value: Option<&AnyValue>) -> Plain {
    use any_value::Value;
    match value.and_then(|v| v.value.as_ref()) {
        None => Plain::Null,
        Some(Value::StringValue(s)) => {
            // Never the whole of a large one: it is cut anyway, and a character takes at most four bytes.
            let most = super::bounds::CHARACTERS * 4 + 4;
            Plain::Text(s[..s.floor_char_boundary(most)].to_owned())
        }
        Some(Value::BoolValue(b)) => Plain::Bool(*b),
        Some(Value::IntValue(i)) => Plain::Int(*i),
        Some(Value::DoubleValue(f)) => Plain::Float(*f),
        Some(Value::BytesValue(b)) => Plain::Text(hex(&b[..b.len().min(super::bounds::CHARACTERS)])),
        Some(Value::ArrayValue(list)) => told('[', ']', list.values.iter().map(|v| (None, plain(Some(v))))),
        Some(Value::KvlistValue(list)) => {
            told('{', '}', list.values.iter().map(|p| (Some(&*p.key), plain(p.value.as_ref()))))
        }
        // An index into a table that only profiles have.
        Some(_) => Plain::Null,
    }
}

/// A list as text, until it is longer than is kept anyway.
fn told<'a>(open: char, close: char, items: impl Iterator<Item = (Option<&'a str>, Plain)>) -> Plain {
    let mut out = String::from(open);
    for (key, value) in items {
        if out.len() > super::bounds::CHARACTERS {
            return Plain::Text(out);
        }
        if out.len() > 1 {
            out.push_str(", ");
        }
        if let Some(key) = key {
            out.push_str(&super::bounds::short(key));
            out.push_str(": ");
        }
        out.push_str(&value.text());
    }
    out.push(close);
    Plain::Text(out)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
    use opentelemetry_proto::tonic::trace::v1::Status;
    use proptest::prelude::*;

    const LIMIT: usize = 32 * 1024 * 1024;

    fn value(value: any_value::Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    pub fn text(key: &str, text: &str) -> KeyValue {
        let value = Some(value(any_value::Value::StringValue(text.into())));
        KeyValue { key: key.into(), value, ..KeyValue::default() }
    }

    /// A request with these spans of service `shop`.
    pub fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
        let resource = Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() };
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }],
        }
    }

    /// Span `n` of trace `trace`; the first is the root.
    pub fn span(trace: u8, n: u8) -> Span {
        Span {
            trace_id: vec![trace; 16],
            span_id: vec![n; 8],
            parent_span_id: if n > 1 { vec![1; 8] } else { vec![] },
            name: format!("op{n}"),
            kind: 2,
            start_time_unix_nano: 1_700_000_000_000_000_000,
            end_time_unix_nano: 1_700_000_000_000_001_000,
            ..Span::default()
        }
    }

    fn full() -> Vec<u8> {
        let list =
            ArrayValue { values: vec![value(any_value::Value::IntValue(1)), value(any_value::Value::BoolValue(true))] };
        let pairs = KeyValueList { values: vec![text("a", "b")] };
        let any = |key: &str, v| KeyValue { key: key.into(), value: Some(value(v)), ..KeyValue::default() };
        let one = Span {
            attributes: vec![
                text("big", &"x".repeat(64 * 1024)),
                text("ctl", "a\u{1b}[2Jb"),
                any("list", any_value::Value::ArrayValue(list)),
                any("pairs", any_value::Value::KvlistValue(pairs)),
                any("bytes", any_value::Value::BytesValue(vec![1, 255])),
            ],
            events: vec![span::Event { attributes: vec![text("exception.message", "boom")], ..span::Event::default() }],
            links: vec![span::Link { trace_id: vec![9; 16], ..span::Link::default() }],
            status: Some(Status { code: 2, message: String::new() }),
            ..span(1, 1)
        };
        request(vec![one, span(1, 2)]).encode_to_vec()
    }

    #[test]
    fn everything_that_is_said_arrives() {
        let all = read(&full(), LIMIT).unwrap();
        let s = &all[0].span;
        assert_eq!((&*s.id, &*s.service, &*s.operation, s.duration), ("0101010101010101", "shop", "op1", 1000));
        assert_eq!((s.error, s.message.as_deref(), s.kind), (true, Some("boom"), SpanKind::Server));
        let said: Vec<_> = s.attributes.iter().skip(1).map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(said, [("ctl", "a[2Jb"), ("list", "[1, true]"), ("pairs", "{a: b}"), ("bytes", "01ff")]);
        assert_eq!(s.attributes[0].1.chars().count(), super::super::bounds::CHARACTERS + 1);
        assert_eq!(all[1].span.parent.as_deref(), Some("0101010101010101"));
        assert_eq!(&*all[1].trace, "01".repeat(16));
    }

    #[test]
    fn a_message_that_ends_early_is_an_error_wherever_it_ends() {
        let bytes = full();
        for end in (0..bytes.len()).filter(|e| *e > 0 && (*e < 300 || e % 997 == 0)) {
            assert!(matches!(read(&bytes[..end], LIMIT), Err(ProtoError::Malformed(_))), "{end}");
        }
        assert_eq!(read(&[], LIMIT).unwrap(), []);
    }

    #[test]
    fn a_small_message_of_many_empty_parts_is_refused_before_it_is_decoded() {
        // A million spans of two bytes each, in one scope of one resource.
        let spans = [0x12, 0x00].repeat(1_000_000);
        let wrap = |tag: u8, inner: &[u8]| {
            let mut out = vec![tag];
            prost::encoding::encode_varint(inner.len() as u64, &mut out);
            out.extend_from_slice(inner);
            out
        };
        let bomb = wrap(0x0a, &wrap(0x12, &spans));
        assert_eq!(read(&bomb, LIMIT), Err(ProtoError::Heavy(LIMIT)));
        // Values within values, without end.
        let deep = (0..200).fold(vec![], |inner, _| wrap(0x2a, &wrap(0x0a, &inner)));
        let deep = wrap(0x0a, &wrap(0x0a, &wrap(0x0a, &wrap(0x12, &deep))));
        assert!(matches!(read(&deep, LIMIT), Err(ProtoError::Malformed(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn a_message_with_bytes_changed_is_read_or_refused_and_what_is_read_is_bounded(
            changes in proptest::collection::vec((0usize..100_000, any::<u8>()), 1..24),
            cut in 0usize..100_000,
        ) {
            // Without the large attribute, which would take nearly all changes.
            let mut bytes = request(vec![span(1, 1), Span { attributes: vec![text("k", "v")], ..span(1, 2) }]).encode_to_vec();
            let length = bytes.len();
            for (at, byte) in changes {
                bytes[at % length] = byte;
            }
            bytes.truncate(length - (cut % length) / 8);
            if let Ok(all) = read(&bytes, LIMIT) {
                for one in all {
                    prop_assert!(one.span.duration >= 0 && one.span.attributes.len() <= super::super::bounds::ATTRIBUTES);
                    prop_assert!(!one.span.operation.chars().any(char::is_control));
                    prop_assert!(one.span.id.len() <= 2 * (SPAN_ID + 1));
                }
            }
        }
    }
}
