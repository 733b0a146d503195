//! What it means: findings with evidence, and incidents that group them.

use super::object::{ObjectRef, PodKey, WorkloadKey};
use super::sizing::Resize;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How bad. Ordered: later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Severity {
    Info,
    Warning,
    High,
    Critical,
}

/// One observed fact behind a finding: what was seen, where, when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it was read, such as `pod shop/cart-7d9f-x status.containerStatuses[0].lastState`.
    pub source: Arc<str>,
    /// What it said, cleaned.
    pub says: Arc<str>,
    /// When it was so.
    pub at: Option<Timestamp>,
}

impl Evidence {
    /// A fact, with its place.
    pub fn new(source: impl Into<Arc<str>>, says: impl Into<Arc<str>>, at: Option<Timestamp>) -> Self {
        Self { source: source.into(), says: says.into(), at }
    }
}

/// What is wrong, with the facts the planner needs (A7 and A1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "class", rename_all = "snake_case")]
pub enum Fault {
    /// A container was killed at its own memory limit.
    OomContainer {
        /// Container name.
        container: Arc<str>,
        /// Limit it was killed at, bytes.
        limit: u64,
        /// Largest working set measured since, bytes; `None` if Prometheus has no such series.
        peak: Option<u64>,
        /// Kills counted from restarts of its present pods.
        kills: u32,
    },
    /// The node ran out of memory and killed it below its limit.
    OomNode {
        /// Node name.
        node: Arc<str>,
    },
    /// Memory grows steadily until the kernel kills.
    Leak {
        /// Container name, if it can be told.
        container: Option<Arc<str>>,
        /// Growth, share of the present level per hour.
        per_hour: f64,
        /// Coefficient of determination of the fit.
        r2: f64,
        /// Seconds until the limit is reached at this pace; `None` without a limit.
        seconds_to_limit: Option<f64>,
    },
    /// Only the newest revision fails while an older one was healthy.
    BadRelease {
        /// Revision that fails.
        revision: u64,
        /// What its pods say, such as `ImagePullBackOff` or `exit code 1`.
        symptom: Arc<str>,
    },
    /// Pods are well, but requests fail or wait since the newest revision took over.
    Regression {
        /// Revision since which it is so.
        revision: u64,
        /// What got worse, with numbers.
        symptom: Arc<str>,
    },
    /// Pods are well, but requests fail or wait since a ConfigMap that it reads was changed.
    ConfigEdit {
        /// Name of the ConfigMap, in the same namespace.
        map: Arc<str>,
        /// What got worse, with numbers.
        symptom: Arc<str>,
    },
    /// Somebody scaled it to nothing, and others suffer since.
    ScaledAway {
        /// Replicas it had.
        was: u32,
    },
    /// An image cannot be pulled, and no older revision serves.
    ImageError {
        /// Image reference.
        image: Arc<str>,
        /// Waiting reason.
        reason: Arc<str>,
    },
    /// A ConfigMap, Secret or key that the template names is missing.
    MissingConfig {
        /// What the kubelet says is missing.
        what: Arc<str>,
    },
    /// Containers crash in every revision, and no better class fits.
    CrashLoop {
        /// Container name.
        container: Arc<str>,
        /// Last exit code.
        exit_code: i32,
    },
    /// Liveness kills: exit 137 without OOM, and an event says so.
    LivenessKills {
        /// Container name.
        container: Arc<str>,
    },
    /// Running but not ready beyond the grace period.
    NotReady {
        /// What the condition says.
        why: Arc<str>,
    },
    /// The thing it calls is down; the fault is there.
    Dependency {
        /// The workload or host that fails.
        on: Arc<str>,
    },
    /// The scheduler finds no node.
    Unschedulable {
        /// The scheduler's message.
        why: Arc<str>,
    },
    /// A node is not ready or unreachable.
    NodeNotReady {
        /// Node name.
        node: Arc<str>,
    },
    /// A node is short of memory, disk or process ids.
    NodePressure {
        /// Node name.
        node: Arc<str>,
        /// `MemoryPressure`, `DiskPressure` or `PIDPressure`.
        condition: Arc<str>,
    },
    /// A pod was evicted or failed as a whole and will not come back by itself.
    PodFailed {
        /// Reason, such as `Evicted`.
        reason: Arc<str>,
    },
    /// CPU or memory demand above target: reactive scaling (P8).
    Saturated {
        /// `cpu` or `memory`.
        resource: Arc<str>,
        /// Use over request, 1.0 = all of it.
        utilisation: f64,
        /// Target utilisation.
        target: f64,
    },
    /// Containers ask for more or less than they need (P10). Nothing is broken.
    Missized {
        /// Whether they are to grow; else to shrink.
        grow: bool,
        /// What changes.
        changes: Vec<Resize>,
    },
    /// An SLO burns its budget too fast.
    SloBurn {
        /// SLO name.
        slo: Arc<str>,
        /// Burn rate over the long window.
        burn: f64,
        /// Threshold that was crossed (14.4, 6, 3 or 1).
        factor: f64,
        /// Share of the budget left over the period that is known; `None` if unknown.
        budget_left: Option<f64>,
    },
    /// Too much of the scope is broken at once: automation stands back.
    Systemic {
        /// Share of the scope that is unhealthy.
        share: f64,
        /// What the scope is.
        scope: Arc<str>,
    },
}

impl Fault {
    /// The class as one stable word: part of ids, filters and the journal.
    pub fn class(&self) -> &'static str {
        match self {
            Self::OomContainer { .. } => "oom",
            Self::OomNode { .. } => "oom-node",
            Self::Leak { .. } => "leak",
            Self::BadRelease { .. } => "bad-release",
            Self::Regression { .. } => "regression",
            Self::ConfigEdit { .. } => "config-edit",
            Self::ScaledAway { .. } => "scaled-away",
            Self::ImageError { .. } => "image-error",
            Self::MissingConfig { .. } => "missing-config",
            Self::CrashLoop { .. } => "crash-loop",
            Self::LivenessKills { .. } => "liveness-kills",
            Self::NotReady { .. } => "not-ready",
            Self::Dependency { .. } => "dependency",
            Self::Unschedulable { .. } => "unschedulable",
            Self::NodeNotReady { .. } => "node-not-ready",
            Self::NodePressure { .. } => "node-pressure",
            Self::PodFailed { .. } => "pod-failed",
            Self::Saturated { .. } => "saturated",
            Self::Missized { .. } => "missized",
            Self::SloBurn { .. } => "slo-burn",
            Self::Systemic { .. } => "systemic",
        }
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A workload.
    Workload(WorkloadKey),
    /// A node, by name.
    Node(Arc<str>),
    /// The cluster as a whole.
    Cluster,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Workload(key) => write!(f, "{key}"),
            Self::Node(name) => write!(f, "Node/{name}"),
            Self::Cluster => write!(f, "cluster"),
        }
    }
}

/// Stable while the same trouble lasts: `class:subject[:detail]`.
pub type FindingId = Arc<str>;

/// Something true and notable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable id.
    pub id: FindingId,
    /// What is wrong.
    pub fault: Fault,
    /// What it is about.
    pub subject: Subject,
    /// How bad.
    pub severity: Severity,
    /// One line for people.
    pub title: Arc<str>,
    /// The facts it rests on, strongest first. Never empty.
    pub evidence: Vec<Evidence>,
    /// Pods that show it.
    pub pods: Vec<PodKey>,
    /// Since when it is known.
    pub since: Timestamp,
    /// Related objects, for jumping.
    pub related: Vec<ObjectRef>,
}
