//! Spans and processes in OpenTelemetry's words: its semantic conventions for HTTP, databases, messaging and Kubernetes.

use super::Made;
use crate::sim::machine::Process;
use crate::sim::shop::graph::Service;
use crate::sim::shop::pod::{Link, Pod};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use std::collections::HashMap;
use std::sync::Arc;

pub use span::SpanKind;

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// An attribute of text.
pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

fn number(key: &str, value: i64) -> KeyValue {
    pair(key, Value::IntValue(value))
}

/// What a process says of itself, as the SDK with the Kubernetes attributes processor does.
pub fn resource(service: &Service, process: &Process) -> Resource {
    let (kind, workload) = &process.workload;
    let version = process.image.rsplit_once(':').map_or("", |(_, tag)| tag);
    let attributes = vec![
        text("service.name", &service.name),
        text("service.namespace", &service.namespace),
        text("service.version", version),
        text("service.instance.id", &process.uid),
        text("k8s.namespace.name", &process.place.namespace),
        text(&format!("k8s.{}.name", kind.to_lowercase()), workload),
        text("k8s.pod.name", &process.place.pod),
        text("k8s.pod.uid", &process.uid),
        text("k8s.container.name", &process.place.container),
        text("k8s.node.name", &process.node),
        // The node's clock is the pod's: all machines of the simulation share one.
        text("host.name", &process.place.pod),
        text("telemetry.sdk.name", "opentelemetry"),
    ];
    Resource { attributes, ..Resource::default() }
}

/// A span without attributes. Nanoseconds.
pub fn span(trace: [u8; 16], id: [u8; 8], parent: Option<[u8; 8]>, kind: SpanKind, (start, end): (i64, i64)) -> Span {
    Span {
        trace_id: trace.to_vec(),
        span_id: id.to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |p| p.to_vec()),
        kind: kind.into(),
        start_time_unix_nano: start.max(0).cast_unsigned(),
        end_time_unix_nano: end.max(start).max(0).cast_unsigned(),
        ..Span::default()
    }
}

/// Says that a span failed, and with what.
pub fn fail(span: &mut Span, why: &Failure) {
    span.status = Some(Status { code: StatusCode::Error.into(), message: why.text.clone() });
    span.attributes.push(text("error.type", why.status.to_string()));
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status that the caller sees.
    pub status: u16,
    /// In words.
    pub text: String,
}

impl Failure {
    /// From its parts.
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }
}

/// What a server says of a request it answered with this status.
pub fn served(span: &mut Span, route: &str, status: u16) {
    route.clone_into(&mut span.name);
    let (method, path) = route.split_once(' ').unwrap_or(("", route));
    if path.starts_with('/') {
        span.attributes.extend([
            text("http.request.method", method),
            text("http.route", path),
            text("url.scheme", "http"),
            number("http.response.status_code", i64::from(status)),
        ]);
    } else {
        let (_, destination) = route.split_once(' ').unwrap_or(("", "messages"));
        span.name = format!("process {destination}");
        span.attributes.extend([
            text("messaging.system", "rabbitmq"),
            text("messaging.operation.type", "process"),
            text("messaging.destination.name", destination),
        ]);
    }
}

/// What a caller says of a call; `status` is what it was answered, if it was.
pub fn called(span: &mut Span, link: &Link, route: &str, callee: Option<&Pod>, status: Option<u16>) {
    let (method, path) = route.split_once(' ').unwrap_or((route, ""));
    span.attributes.push(text("server.address", &link.host));
    if path.starts_with('/') {
        method.clone_into(&mut span.name);
        span.attributes.push(text("http.request.method", method));
        span.attributes.push(text("url.template", path));
        if let Some(status) = status {
            span.attributes.push(number("http.response.status_code", i64::from(status)));
        }
    } else if route == "PUBLISH" {
        "publish orders".clone_into(&mut span.name);
        span.kind = SpanKind::Producer.into();
        span.attributes.extend([
            text("messaging.system", "rabbitmq"),
            text("messaging.operation.type", "send"),
            text("messaging.destination.name", "orders"),
        ]);
    } else {
        let cache = callee.is_some_and(|p| p.behaviour.hits > 0.0);
        let system = if cache { "redis" } else { "postgresql" };
        span.name = format!("{method} {}", link.to);
        span.attributes.extend([text("db.system.name", system), text("db.operation.name", method)]);
    }
}

/// Spans by their makers, as an exporter sends them.
pub fn batch(spans: Vec<Made>) -> Vec<ResourceSpans> {
    let mut places: HashMap<*const Resource, usize> = HashMap::new();
    let mut out: Vec<ResourceSpans> = Vec::new();
    for made in spans {
        let place = *places.entry(Arc::as_ptr(&made.maker)).or_insert_with(|| {
            let scope = InstrumentationScope { name: "shop".to_owned(), ..InstrumentationScope::default() };
            let spans = ScopeSpans { scope: Some(scope), ..ScopeSpans::default() };
            let resource = Some((*made.maker).clone());
            out.push(ResourceSpans { resource, scope_spans: vec![spans], ..ResourceSpans::default() });
            out.len() - 1
        });
        out[place].scope_spans[0].spans.push(made.span);
    }
    out
}
