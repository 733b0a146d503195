//! Traces: spans of one request as their sources told them, whatever the source.

use super::snapshot::SourceState;
use super::time::Timestamp;
use std::sync::Arc;

/// What a span was, as its author said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpanKind {
    /// Not said.
    #[default]
    Internal,
    /// Served a call.
    Server,
    /// Made a call and waited for it.
    Client,
    /// Put a message somewhere and did not wait.
    Producer,
    /// Took a message.
    Consumer,
}

/// A key and a value of a span or of its resource, cleaned of control characters and cut to a bounded length.
pub type Attribute = (Arc<str>, Arc<str>);

/// Where a span was made, as its source said it; shared by the spans of one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// `k8s.namespace.name`, or `service.namespace`.
    pub namespace: Option<Arc<str>>,
    /// `k8s.deployment.name` and its like; without it the service's name may be the workload's.
    pub workload: Option<Arc<str>>,
    /// `k8s.pod.name`.
    pub pod: Option<Arc<str>>,
    /// `k8s.node.name`.
    pub node: Option<Arc<str>>,
    /// `service.version`.
    pub version: Option<Arc<str>>,
    /// What else it said, bounded in number.
    pub attributes: Arc<[Attribute]>,
}

/// One span. Times are nanoseconds; `start` counts from the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Span {
    /// Unique within its trace, if its source keeps to the rules.
    pub id: Arc<str>,
    /// The span that waited for this one, if any did.
    pub parent: Option<Arc<str>>,
    /// Follows another span that did not wait for it.
    pub detached: bool,
    /// Who did it.
    pub service: Arc<str>,
    /// What.
    pub operation: Arc<str>,
    /// Which side of a call.
    pub kind: SpanKind,
    /// When it began.
    pub start: i64,
    /// How long it took; never negative.
    pub duration: i64,
    /// Whether it says that it failed.
    pub error: bool,
    /// What it says of its failure, if anything: the status message or the exception's.
    pub message: Option<Arc<str>>,
    /// The host whose clock it was measured with, if told.
    pub host: Option<Arc<str>>,
    /// The process that made it.
    pub origin: Arc<Origin>,
    /// Its attributes, bounded in number.
    pub attributes: Arc<[Attribute]>,
}

impl Span {
    /// When it ended.
    pub fn end(&self) -> i64 {
        self.start.saturating_add(self.duration)
    }

    /// The name under which its time is told: `[service] operation`.
    pub fn name(&self) -> String {
        format!("[{}] {}", self.service, self.operation)
    }
}

/// All spans that are known of one request, in the order of their source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// As its source writes it.
    pub id: Arc<str>,
    /// In no particular order.
    pub spans: Vec<Span>,
    /// Spans whose duration was negative and is taken as 0.
    pub negative: usize,
}

impl Trace {
    /// First start and last end of its spans, nanoseconds since the Unix epoch; `None` without spans.
    pub fn extent(&self) -> Option<(i64, i64)> {
        let first = self.spans.iter().map(|s| s.start).min()?;
        Some((first, self.spans.iter().map(Span::end).max()?))
    }
}

/// A span on the critical path of its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathStep {
    /// The span, as an index into [`Trace::spans`].
    pub span: usize,
    /// What of its time no other step accounts for, nanoseconds; never negative.
    pub own: i64,
}

/// The critical path of one trace, as the loop reads it: the spans whose shortening would have shortened the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TracePath {
    /// The root first; parents come before what they waited for. Empty: the trace has no root.
    pub steps: Vec<PathStep>,
    /// What had to be mended in the trace before a path could be told, one line each; empty: nothing.
    pub mended: Vec<Arc<str>>,
}

/// Where traces come from, and how it is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSource {
    /// Such as `OTLP gRPC 127.0.0.1:4317` or `Jaeger http://jaeger:16686`.
    pub name: Arc<str>,
    /// How it is doing; `Live.last` is the last span or answer.
    pub state: SourceState,
    /// Spans it gave since it was opened.
    pub spans: u64,
}

/// Spans that were not kept, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Such as `over the memory limit` or `larger than 4 MiB`.
    pub why: Arc<str>,
    /// How many spans; of undecodable messages, how many messages.
    pub count: u64,
}

/// What is held of traces, and what became of the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TracesView {
    /// Every source that was asked for; empty: traces are turned off. One that was looked for and is not there is `NotServed`.
    pub sources: Arc<[TraceSource]>,
    /// Whole traces that are kept, the latest first: errors and slow ones first of all.
    pub kept: Arc<[Arc<Trace>]>,
    /// Spans received since the start.
    pub received: u64,
    /// Spans per second over the last minute.
    pub rate: f64,
    /// What was not kept, by reason; empty: nothing.
    pub dropped: Arc<[Dropped]>,
    /// What is kept although something is wrong with it, by what is wrong.
    pub odd: Arc<[Dropped]>,
    /// Bytes held, as estimated, and their limit.
    pub bytes: (usize, usize),
    /// When a span last came.
    pub last: Option<Timestamp>,
}
