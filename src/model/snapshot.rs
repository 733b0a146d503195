//! What is: one immutable picture of the cluster and its metrics, with the age of every part.

use super::cluster::{ConfigMapRow, EventRow, HpaRow, NamespaceRow, NodeRow, PdbRow, Workload};
use super::failure::Call;
use super::object::{PodKey, WorkloadKey, WorkloadKind};
use super::prediction::LongHistory;
use super::reading::Reading;
use super::series::{Series, Signal};
use super::service::MapSource;
use super::sizing::UsageHistory;
use super::time::Timestamp;
use super::trace::TracesView;
use chrono::TimeDelta;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How one source (a watched kind, or Prometheus) is doing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum SourceState {
    /// Not asked yet.
    Unknown,
    /// First list under way.
    Syncing { since: Timestamp },
    /// Up to date; `last` is the last sign of life (event, bookmark, answer).
    Live { last: Timestamp },
    /// The server refused: the verb that is missing, as the server put it.
    Denied { why: Arc<str> },
    /// The server does not have this kind, or the operator turned the source off.
    NotServed,
    /// Lost since `since`; what is shown is as old as `last`.
    Failed { since: Timestamp, last: Option<Timestamp>, why: Arc<str> },
}

impl SourceState {
    /// Whether it is live and its last sign of life is younger than `limit`.
    pub fn is_fresh(&self, now: Timestamp, limit: TimeDelta) -> bool {
        matches!(self, Self::Live { last } if now.signed_duration_since(*last) <= limit)
    }

    /// The last sign of life.
    pub fn last(&self) -> Option<Timestamp> {
        match self {
            Self::Live { last } => Some(*last),
            Self::Failed { last, .. } => *last,
            _ => None,
        }
    }
}

/// One watched kind.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Source {
    /// Plural name, such as `pods`.
    pub name: Arc<str>,
    /// Namespaces it covers; `None` for the whole cluster.
    pub namespaces: Option<Arc<[Arc<str>]>>,
    /// How it is doing.
    pub state: SourceState,
    /// Objects held.
    pub objects: u32,
}

/// How the API server is doing, from a small request repeated every few seconds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ApiHealth {
    /// How it is doing; `Live.last` is the last answer.
    pub state: SourceState,
    /// Round trip of the last answer, milliseconds.
    pub latency_ms: Option<f64>,
    /// The server's clock minus ours in seconds, from its `Date` header.
    pub clock_skew_s: Option<f64>,
    /// Answers 429 to the small requests of the last minute: the server is throttling us.
    pub throttled: u32,
}

/// Which cluster this is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ClusterInfo {
    /// Stable id: UID of namespace kube-system, or a hash of the server's URL and CA where that is denied.
    pub id: Arc<str>,
    /// Kubeconfig context.
    pub context: Arc<str>,
    /// Server URL.
    pub server: Arc<str>,
    /// Server version, such as `v1.36.2`; empty until known.
    pub version: Arc<str>,
    /// User name in the kubeconfig.
    pub user: Arc<str>,
    /// Namespaces the console is limited to; `None` for the whole cluster.
    pub namespaces: Option<Arc<[Arc<str>]>>,
}

/// The seven service metrics of one workload: now and over the last day.
#[derive(Debug, Clone)]
pub struct WorkloadMetrics {
    /// Latest reading per signal, in the order of [`Signal::ALL`].
    pub now: [Reading; 7],
    /// History per signal, in the same order.
    pub history: [Series; 7],
}

impl WorkloadMetrics {
    /// The latest reading of a signal.
    pub fn now(&self, signal: Signal) -> &Reading {
        &self.now[signal as usize]
    }

    /// The history of a signal.
    pub fn history(&self, signal: Signal) -> &Series {
        &self.history[signal as usize]
    }
}

/// Latest usage of one pod.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PodUsage {
    /// Cores.
    pub cpu: f32,
    /// Working set, bytes.
    pub memory: f32,
    /// Working set over limit of its fullest container, if a limit is set.
    pub memory_share: Option<f32>,
    /// Share of its CPU periods, 0..1, in which the container that is held back most was; `None` without a CPU limit.
    pub throttled: Option<f32>,
    /// When it was sampled.
    pub at: Timestamp,
}

/// What kind of Prometheus this is and how it names things. Shown as it was detected.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct MetricsProfile {
    /// How it is reached: a URL, or `service proxy ns/name:port`.
    pub via: String,
    /// Product and version from buildinfo.
    pub server: String,
    /// Label selector of cAdvisor series, such as `job="kubelet",metrics_path="/metrics/cadvisor"`.
    pub cadvisor: Option<String>,
    /// Job of kube-state-metrics.
    pub kube_state: Option<String>,
    /// Job of node-exporter.
    pub node_exporter: Option<String>,
    /// Family the request metrics come from, such as `istio_requests_total`, with the labels used.
    pub requests: Option<String>,
    /// Histograms of the durations of requests, best first.
    pub latency: Vec<Buckets>,
    /// What counts calls between workloads; `None`: nobody.
    pub calls: Option<MapSource>,
    /// Recording rules that are used instead of raw queries.
    pub rules: Vec<String>,
    /// Scrape interval of cAdvisor, seconds.
    pub scrape_interval_s: Option<f64>,
    /// Retention as the server says it.
    pub retention: Option<String>,
    /// Value of the `cluster` label that is selected, if several clusters share the server.
    pub cluster_label: Option<String>,
    /// What was looked for and not found, and what it costs.
    pub missing: Vec<String>,
}

/// A histogram of durations and whose they are.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Buckets {
    /// Its counter by bucket, such as `http_request_duration_seconds_bucket`.
    pub metric: String,
    /// Matchers that always apply; may be empty.
    pub selector: String,
    /// Label of the namespace.
    pub namespace: String,
    /// Label of the pod or workload.
    pub name: String,
    /// Whether that label names a pod.
    pub pod: bool,
    /// Seconds that rates are taken over.
    pub window_s: i64,
}

impl Buckets {
    /// PromQL for observations per second of a workload by bucket. Pods of earlier rollouts count too: they are found by how
    /// controllers name them.
    pub fn of(&self, workload: &WorkloadKey) -> String {
        let Self { metric, selector, namespace, name, pod, window_s } = self;
        let own = if *pod {
            let tail = match workload.kind {
                WorkloadKind::Deployment | WorkloadKind::CronJob => "-[a-z0-9]+-[a-z0-9]{5}",
                WorkloadKind::StatefulSet => "-[0-9]+",
                WorkloadKind::Pod => "",
                _ => "-[a-z0-9]{5}",
            };
            format!("{name}=~\"{}{tail}\"", workload.name)
        } else {
            format!("{name}=\"{}\"", workload.name)
        };
        let all = [selector.as_str(), &format!("{namespace}=\"{}\"", workload.namespace), &own];
        let all: Vec<&str> = all.into_iter().filter(|m| !m.is_empty()).collect();
        format!("sum by (le) (rate({metric}{{{}}}[{window_s}s]))", all.join(","))
    }
}

/// Error ratios of one SLO over the windows of the SRE workbook.
#[derive(Debug, Clone, PartialEq)]
pub struct SloReadings {
    /// Name of the SLO in the configuration.
    pub name: Arc<str>,
    /// Share of bad events per window, in the order of [`SLO_WINDOWS`].
    pub bad: [Reading; 7],
    /// Share of bad events over the whole period that the server still holds, and that period in seconds.
    pub period: (Reading, f64),
    /// Events per second in the shortest window: too few, and no alarm is raised.
    pub events: Reading,
}

/// Windows of burn rates: 5 m, 30 m, 1 h, 2 h, 6 h, 1 d, 3 d.
pub const SLO_WINDOWS: [(&str, u32); 7] =
    [("5m", 300), ("30m", 1800), ("1h", 3600), ("2h", 7200), ("6h", 21_600), ("1d", 86_400), ("3d", 259_200)];

/// All that Prometheus said.
#[derive(Debug, Clone)]
pub struct MetricsView {
    /// How Prometheus is doing.
    pub state: SourceState,
    /// Detected profile.
    pub profile: Option<Arc<MetricsProfile>>,
    /// Seconds between samples.
    pub step: u32,
    /// Per workload.
    pub workloads: Arc<HashMap<WorkloadKey, Arc<WorkloadMetrics>>>,
    /// Per pod.
    pub pods: Arc<HashMap<PodKey, PodUsage>>,
    /// Per SLO of the configuration.
    pub slos: Arc<[SloReadings]>,
    /// Share of memory in use per node, 0..1.
    pub node_memory: Arc<HashMap<Arc<str>, Reading>>,
    /// Share of the processors' time that neighbours on the same machine took per node, 0..1.
    pub node_stolen: Arc<HashMap<Arc<str>, Reading>>,
    /// Workloads whose p99 lies beyond the last finite bucket of their histogram: the true value is larger.
    pub saturated: Arc<HashSet<WorkloadKey>>,
    /// Two weeks of hours, for forecasts.
    pub long: Arc<LongHistory>,
    /// What containers used in the last eight days.
    pub usage: Arc<UsageHistory>,
    /// Who calls whom, where anybody measures it.
    pub calls: Arc<[Call]>,
    /// Workloads whose rings still lack the past that the server has.
    pub filling: usize,
    /// Scrape targets that the numbers come from, as far as they are known.
    pub targets: Arc<[Targets]>,
}

/// Scrape targets of one exporter.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Targets {
    /// `cAdvisor` or `kube-state-metrics`.
    pub name: Arc<str>,
    /// How many there are, at least 1.
    pub all: u32,
    /// How many could not be scraped.
    pub down: u32,
}

impl Default for MetricsView {
    fn default() -> Self {
        Self {
            state: SourceState::Unknown,
            profile: None,
            step: 30,
            workloads: Arc::default(),
            pods: Arc::default(),
            slos: Arc::from([]),
            node_memory: Arc::default(),
            node_stolen: Arc::default(),
            saturated: Arc::default(),
            long: Arc::default(),
            usage: Arc::default(),
            calls: Arc::from([]),
            filling: 0,
            targets: Arc::from([]),
        }
    }
}

/// One picture of everything, cheap to clone and never changed.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Grows by one with every change.
    pub seq: u64,
    /// When it was put together.
    pub taken: Timestamp,
    /// Which cluster.
    pub cluster: Arc<ClusterInfo>,
    /// The API server.
    pub api: ApiHealth,
    /// The watched kinds.
    pub sources: Arc<[Source]>,
    /// Workloads, sorted by key.
    pub workloads: Arc<[Arc<Workload>]>,
    /// Nodes, sorted by name.
    pub nodes: Arc<[Arc<NodeRow>]>,
    /// Namespaces, sorted by name; only those that pods are in where listing them is denied.
    pub namespaces: Arc<[Arc<NamespaceRow>]>,
    /// Horizontal autoscalers.
    pub hpas: Arc<[Arc<HpaRow>]>,
    /// Disruption budgets.
    pub pdbs: Arc<[Arc<PdbRow>]>,
    /// ConfigMaps, sorted by namespace and name.
    pub config_maps: Arc<[Arc<ConfigMapRow>]>,
    /// Recent events, newest first, bounded.
    pub events: Arc<[Arc<EventRow>]>,
    /// Prometheus.
    pub metrics: MetricsView,
    /// Traces.
    pub traces: Arc<TracesView>,
}

impl Snapshot {
    /// The snapshot before anything was asked.
    pub fn empty(cluster: ClusterInfo, now: Timestamp) -> Self {
        Self {
            seq: 0,
            taken: now,
            cluster: Arc::new(cluster),
            api: ApiHealth { state: SourceState::Unknown, latency_ms: None, clock_skew_s: None, throttled: 0 },
            sources: Arc::from([]),
            workloads: Arc::from([]),
            nodes: Arc::from([]),
            namespaces: Arc::from([]),
            hpas: Arc::from([]),
            pdbs: Arc::from([]),
            config_maps: Arc::from([]),
            events: Arc::from([]),
            metrics: MetricsView::default(),
            traces: Arc::default(),
        }
    }

    /// A workload by key.
    pub fn workload(&self, key: &WorkloadKey) -> Option<&Arc<Workload>> {
        self.workloads.binary_search_by(|w| w.key.cmp(key)).ok().map(|i| &self.workloads[i])
    }

    /// A node by name.
    pub fn node(&self, name: &str) -> Option<&Arc<NodeRow>> {
        self.nodes.binary_search_by(|n| (*n.name).cmp(name)).ok().map(|i| &self.nodes[i])
    }

    /// How a watched kind is doing.
    pub fn source(&self, name: &str) -> &SourceState {
        self.sources.iter().find(|s| &*s.name == name).map_or(&SourceState::Unknown, |s| &s.state)
    }

    /// Pods in all workloads.
    pub fn pod_count(&self) -> usize {
        self.workloads.iter().map(|w| w.pods.len()).sum()
    }
}
