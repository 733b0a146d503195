//! Traces: spans of one request as their sources told them, whatever the source.

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

/// One span. Times are nanoseconds; `start` counts from the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
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
    /// The host whose clock it was measured with, if told.
    pub host: Option<Arc<str>>,
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
