//! What the reconcile pipeline (E6) decided about each opted-in workload, stage by stage, and why nothing happened.

use super::object::WorkloadKey;
use super::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stage, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Stage {
    Scaling,
    Anomalies,
    Healing,
    Cost,
    Tuning,
    Hardening,
}

impl Stage {
    /// All six, in order.
    pub const ALL: [Self; 6] =
        [Self::Scaling, Self::Anomalies, Self::Healing, Self::Cost, Self::Tuning, Self::Hardening];

    /// As shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scaling => "predictive scaling",
            Self::Anomalies => "anomaly response",
            Self::Healing => "healing",
            Self::Cost => "cost",
            Self::Tuning => "tuning",
            Self::Hardening => "hardening",
        }
    }
}

/// What a stage came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// An action is under way or was taken.
    Acted,
    /// Something is proposed and waits.
    Proposed,
    /// It looked, and nothing is to be done.
    Nothing,
    /// It could not judge: what it needs is missing.
    Blind,
    /// kansole has no engine for it.
    NotBuilt,
    /// It failed; the others ran.
    Failed,
}

impl Came {
    /// As shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acted => "acts",
            Self::Proposed => "proposes",
            Self::Nothing => "nothing to do",
            Self::Blind => "cannot tell",
            Self::NotBuilt => "not built",
            Self::Failed => "FAILED",
        }
    }
}

/// One stage's word about one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which stage.
    pub stage: Stage,
    /// What it came to.
    pub came: Came,
    /// Why, one line.
    pub why: Arc<str>,
}

/// The last run over all opted-in workloads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pipeline {
    /// When; `None`: not yet.
    pub at: Option<Timestamp>,
    /// Per workload one decision of each stage, in order.
    pub workloads: BTreeMap<WorkloadKey, Arc<[Decision]>>,
}
