//! Services and their calls as traces and meshes tell them, and what follows from it (A6): plain data.

use super::object::WorkloadKey;
use super::time::Timestamp;
use std::sync::Arc;

/// Rate, errors and duration of a service or of the calls along an edge. `None`: nobody measured it.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Red {
    /// Requests per second.
    pub rate: Option<f64>,
    /// Share of them that failed, 0..1.
    pub failed: Option<f64>,
    /// Median duration, milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile, milliseconds.
    pub p95_ms: Option<f64>,
    /// 99th percentile, milliseconds.
    pub p99_ms: Option<f64>,
}

/// What the numbers of a map come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MapSource {
    /// Spans that kansole received or read itself.
    Spans,
    /// Metrics made of spans: `traces_spanmetrics_*`, `traces_span_metrics_*`.
    SpanMetrics,
    /// Metrics of edges: `traces_service_graph_request_*`.
    ServiceGraph,
    /// A mesh's: `istio_requests_total`.
    Mesh,
    /// What services count themselves: `http_server_request_duration_seconds` and its like.
    Requests,
}

impl MapSource {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::SpanMetrics => "span metrics",
            Self::ServiceGraph => "service graph metrics",
            Self::Mesh => "mesh metrics",
            Self::Requests => "request metrics",
        }
    }
}

/// A service of the map.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ServiceNode {
    /// Name as its spans or metrics say it.
    pub name: Arc<str>,
    /// Namespace, if told.
    pub namespace: Option<Arc<str>>,
    /// Its workload in this cluster, if there is one.
    pub workload: Option<WorkloadKey>,
    /// What it served.
    pub red: Red,
}

/// Calls from one service to another.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ServiceEdge {
    /// Index of the caller in [`ServiceMap::nodes`].
    pub from: usize,
    /// Index of the callee.
    pub to: usize,
    /// Whether the caller does not wait: messages through a queue.
    pub detached: bool,
    /// The calls.
    pub red: Red,
}

/// Who calls whom, and how it goes.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct ServiceMap {
    /// Sorted by name and namespace.
    pub nodes: Vec<ServiceNode>,
    /// Sorted by their ends.
    pub edges: Vec<ServiceEdge>,
    /// What it was made from, the one that tells most first; empty: nothing tells.
    pub sources: Vec<MapSource>,
    /// The moment it speaks of.
    pub at: Option<Timestamp>,
    /// Seconds it looks back.
    pub window_s: u32,
}

/// What an operation costs the requests that wait for it: its own time on their critical paths.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct OperationTime {
    /// Whose.
    pub service: Arc<str>,
    /// Which.
    pub operation: Arc<str>,
    /// Traces on whose critical path it was.
    pub traces: u64,
    /// Its own time there, mean per trace of those, milliseconds.
    pub own_ms: f64,
    /// Share of all critical time, 0..1.
    pub share: f64,
    /// What all traces would gain on average if it took half as long, milliseconds: an upper bound, for another path may
    /// become critical.
    pub saving_ms: f64,
}

/// Failures that began in one place and travelled to the callers.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Cascade {
    /// `[service] operation` where they began: a span that failed although none it called did. Where that was a call that
    /// nobody's span answered, or whose callee was still at work, the service that was called.
    pub origin: Arc<str>,
    /// Services from the origin up, as far as it travelled; the origin first.
    pub path: Vec<Arc<str>>,
    /// Traces that went this way.
    pub traces: u64,
    /// What the first span said of its failure, if anything.
    pub message: Option<Arc<str>>,
    /// One of them.
    pub example: Arc<str>,
}

/// An objective that spans break, and the operation that takes most of the time or makes most of the errors.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SpanBreach {
    /// Name of the SLO in the configuration.
    pub slo: Arc<str>,
    /// `[service] operation` to blame most.
    pub operation: Arc<str>,
    /// Requests that broke it, and requests in all.
    pub broken: (u64, u64),
    /// Share of the broken ones in which this operation was the greatest part.
    pub share: f64,
    /// One of them.
    pub example: Arc<str>,
}

/// The edge whose loss would hurt most.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct WeakEdge {
    /// Who calls.
    pub from: Arc<str>,
    /// Who is called.
    pub to: Arc<str>,
    /// Share of all requests at the entrances that go over it, 0..1.
    pub share: f64,
    /// Of requests in which this call failed, the share that failed as a whole; `None`: it never failed yet, so nobody knows.
    pub carried: Option<f64>,
    /// A Chaos Mesh object that would show it, as YAML.
    pub experiment: Arc<str>,
}

/// What traces mean.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct TraceInsight {
    /// Who calls whom.
    pub map: Arc<ServiceMap>,
    /// Operations by what they cost, the dearest first.
    pub operations: Arc<[OperationTime]>,
    /// How failures travel, the most frequent first.
    pub cascades: Arc<[Cascade]>,
    /// Objectives that are broken.
    pub breaches: Arc<[SpanBreach]>,
    /// Edges by what their loss would do, the worst first.
    pub weakest: Arc<[WeakEdge]>,
    /// Traces that were looked at in the window.
    pub traces: u64,
    /// Completed traces that were not looked at, because the analysis fell behind.
    pub missed: u64,
}
