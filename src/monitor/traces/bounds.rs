//! What a source says of a span or of a process, cleaned and cut before anything else sees it.

use super::value::{Plain, says_error};
use crate::model::text::clean;
use crate::model::trace::{Attribute, Origin, Span, SpanKind};
use std::collections::HashSet;
use std::mem::size_of;
use std::sync::Arc;

/// Attributes of one span, and of one process, that are kept: the first.
pub const ATTRIBUTES: usize = 32;
/// Characters of a name or a value that are kept.
pub const CHARACTERS: usize = 256;

/// A span with the trace it belongs to, as it comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// Id of its trace.
    pub trace: Arc<str>,
    /// The span.
    pub span: Span,
    /// Its duration was negative and is taken as 0.
    pub negative: bool,
}

/// The texts of one message, each held once: exporters send the same words with every span.
#[derive(Debug, Default)]
pub struct Words(HashSet<Arc<str>>);

impl Words {
    /// The text cleaned, cut and shared.
    pub fn share(&mut self, text: &str) -> Arc<str> {
        let text = short(text);
        if let Some(known) = self.0.get(&*text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.0.insert(new.clone());
        new
    }
}

/// Cut to [`CHARACTERS`], an ellipsis in place of the rest, and cleaned. The work does not grow with what is cut off.
pub fn short(text: &str) -> std::borrow::Cow<'_, str> {
    let cut = if text.len() <= CHARACTERS { None } else { text.char_indices().nth(CHARACTERS) };
    match cut {
        None => clean(text),
        Some((at, _)) => format!("{}…", clean(&text[..at])).into(),
    }
}

/// The first attributes, and what all of them say together.
#[derive(Debug, Default)]
pub struct Said {
    kept: Vec<Attribute>,
    /// One of them says that the span failed.
    pub error: bool,
    /// What one of them says of the failure.
    pub message: Option<Arc<str>>,
    /// What Jaeger's `span.kind` says.
    pub kind: Option<SpanKind>,
}

impl Said {
    /// Adds an attribute of a span.
    pub fn add(&mut self, words: &mut Words, key: &str, value: &Plain) {
        self.error |= says_error(key, value);
        match key {
            "span.kind" => self.kind = Some(kind(&value.text())),
            "otel.status_description" | "error.message" | "exception.message" if self.message.is_none() => {
                self.message = Some(words.share(&value.text())).filter(|m| !m.is_empty());
            }
            _ => {}
        }
        self.keep(words, key, value);
    }

    fn keep(&mut self, words: &mut Words, key: &str, value: &Plain) {
        if self.kept.len() < ATTRIBUTES {
            self.kept.push((words.share(key), words.share(&value.text())));
        }
    }

    /// The attributes.
    pub fn attributes(self) -> Arc<[Attribute]> {
        self.kept.into()
    }
}

fn kind(text: &str) -> SpanKind {
    match text {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

/// A process as it is put together from its attributes.
#[derive(Debug, Default)]
pub struct Process {
    /// `service.name`.
    pub service: Option<Arc<str>>,
    /// `host.name`, or Jaeger's `hostname`.
    pub host: Option<Arc<str>>,
    origin: Origin,
    rest: Said,
}

impl Process {
    /// Adds an attribute of the process. Names are OpenTelemetry's semantic conventions.
    pub fn add(&mut self, words: &mut Words, key: &str, value: &Plain) {
        let o = &mut self.origin;
        let field = match key {
            "service.name" => &mut self.service,
            "host.name" | "hostname" => &mut self.host,
            "k8s.namespace.name" => &mut o.namespace,
            "k8s.deployment.name"
            | "k8s.statefulset.name"
            | "k8s.daemonset.name"
            | "k8s.cronjob.name"
            | "k8s.job.name" => &mut o.workload,
            "k8s.pod.name" => &mut o.pod,
            "k8s.node.name" => &mut o.node,
            "service.version" => &mut o.version,
            "service.namespace" => {
                // The cluster's own name for it is surer.
                if o.namespace.is_none() {
                    o.namespace = Some(words.share(&value.text())).filter(|t| !t.is_empty());
                }
                return;
            }
            _ => return self.rest.keep(words, key, value),
        };
        let text = value.text();
        if !text.is_empty() {
            *field = Some(words.share(&text));
        }
    }

    /// Service, host and origin.
    pub fn done(self) -> (Arc<str>, Option<Arc<str>>, Arc<Origin>) {
        let attributes = self.rest.attributes();
        let origin = Arc::new(Origin { attributes, ..self.origin });
        (self.service.unwrap_or_else(|| Arc::from("unknown")), self.host, origin)
    }
}

/// Bytes a span holds, as estimated: shared words are counted with every span, its process is not.
pub fn weight(span: &Span) -> usize {
    // Of every allocation: two counters, and what the allocator rounds up.
    const EACH: usize = 24;
    let text = |t: &Arc<str>| EACH + t.len();
    let maybe = |t: &Option<Arc<str>>| t.as_ref().map_or(0, text);
    let attributes: usize = span.attributes.iter().map(|(_, v)| size_of::<Attribute>() + text(v)).sum();
    size_of::<Span>() + EACH + text(&span.id) + maybe(&span.parent) + maybe(&span.message) + attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_cleaned_and_cut_and_a_large_one_costs_no_more() {
        assert_eq!(short("GET /\u{1b}[2J\n"), "GET /[2J ");
        let large = "ä".repeat(64 * 1024);
        let cut = short(&large);
        assert_eq!(cut.chars().count(), CHARACTERS + 1);
        assert!(cut.ends_with('…'));
        let exact = "x".repeat(CHARACTERS);
        assert_eq!(short(&exact), exact);
    }

    #[test]
    fn attributes_beyond_the_bound_are_left_out_but_still_heard() {
        let (mut said, mut words) = (Said::default(), Words::default());
        for i in 0..100 {
            said.add(&mut words, &format!("k{i}"), &Plain::Int(i));
        }
        said.add(&mut words, "http.status_code", &Plain::Text("503".into()));
        said.add(&mut words, "span.kind", &Plain::Text("client".into()));
        assert!(said.error);
        assert_eq!(said.kind, Some(SpanKind::Client));
        assert_eq!(said.attributes().len(), ATTRIBUTES);
    }

    #[test]
    fn the_clusters_own_words_win_in_whatever_order_they_come() {
        let text = |t: &str| Plain::Text(t.into());
        for order in [[0, 1], [1, 0]] {
            let pairs = [("service.namespace", "team"), ("k8s.namespace.name", "shop")];
            let (mut process, mut words) = (Process::default(), Words::default());
            for i in order {
                process.add(&mut words, pairs[i].0, &text(pairs[i].1));
            }
            process.add(&mut words, "k8s.statefulset.name", &text("db"));
            process.add(&mut words, "k8s.pod.name", &text("db-0"));
            process.add(&mut words, "k8s.node.name", &text("n1"));
            process.add(&mut words, "service.version", &text("1.2"));
            process.add(&mut words, "service.name", &text("db"));
            process.add(&mut words, "host.name", &text(""));
            process.add(&mut words, "telemetry.sdk.name", &text("opentelemetry"));
            let (service, host, o) = process.done();
            assert_eq!((&*service, host), ("db", None));
            let found = [&o.namespace, &o.workload, &o.pod, &o.node, &o.version].map(|t| t.as_deref().unwrap());
            assert_eq!(found, ["shop", "db", "db-0", "n1", "1.2"]);
            assert_eq!(o.attributes.len(), 1);
        }
    }
}
