//! Anomalies (A3): what a workload's signals did that they never did, as one anomaly for a whole burst.

use super::object::WorkloadKey;
use super::series::Signal;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What kind of anomaly. Ordered by what explains what: a class explains those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Requests are more than three times what was expected.
    TrafficSpike,
    /// Memory grows steadily, or is more than twice what was expected.
    MemoryLeak,
    /// More than one request in twenty fails.
    #[serde(rename = "high-errors")]
    HighErrorRate,
    /// Latency is far above what was expected.
    Degradation,
    /// CPU is far above what was expected, without more requests and without a change of the workload.
    #[serde(rename = "security")]
    SecurityThreat,
}

impl Class {
    /// The class as one stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TrafficSpike => "traffic-spike",
            Self::MemoryLeak => "memory-leak",
            Self::HighErrorRate => "high-errors",
            Self::Degradation => "degradation",
            Self::SecurityThreat => "security",
        }
    }

    /// What can be done about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::TrafficSpike => {
                "Look at where the requests come from. Add replicas, or raise the autoscaler's maximum, while CPU and latency \
                 follow them; limit the rate at the entrance if they are not wanted."
            }
            Self::MemoryLeak => {
                "Roll back the revision it began with, or have the leak mended: more memory and restarts only buy time."
            }
            Self::HighErrorRate => {
                "Roll back the revision it began with, if there is one; else look at what the workload calls, and at its logs."
            }
            Self::Degradation => {
                "Look for CPU at its limit, for something slow that it calls, and for a rollout it began with; add replicas if \
                 CPU is what it lacks."
            }
            Self::SecurityThreat => {
                "Look at what runs in its pods: a miner and a loop that never ends both look like this. If it is not yours, take \
                 the pods off the network before they are ended, so that they can be examined."
            }
        }
    }
}

/// How one signal stood at its worst.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Which signal.
    pub signal: Signal,
    /// What was measured, in the signal's unit.
    pub observed: f64,
    /// What was expected before it began, in the signal's unit.
    pub expected: f64,
    /// How many mean distances it was from there; negative below.
    pub distance: f64,
    /// The probability of being as far or farther, by all that is known of this series.
    pub tail: f64,
    /// When.
    pub at: Timestamp,
}

/// A change of the workload shortly before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What, such as `revision 8 was rolled out`.
    pub what: Arc<str>,
    /// Whether it was a rollout, which can be to blame; other changes only explain.
    pub rollout: bool,
}

/// Why an anomaly ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The signals are as they were expected again.
    Calm,
    /// It lasted so long that it is taken as usual now.
    Adapted,
    /// Nothing was measured any more.
    Silent,
}

impl End {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Calm => "the signals are as expected again",
            Self::Adapted => "it lasts: the new level is taken as usual",
            Self::Silent => "nothing is measured any more",
        }
    }
}

/// One burst of anomalies of one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Stable while it lasts and after.
    pub id: Arc<str>,
    /// Whose.
    pub key: WorkloadKey,
    /// What kind: the one that explains most of what was seen so far.
    pub class: Class,
    /// How bad, 0..1: the effect's size, for ordering.
    pub severity: f64,
    /// How improbable, 0..1: one minus the least tail probability of the evidence.
    pub score: f64,
    /// One line for people, which begins with the workload.
    pub title: Arc<str>,
    /// Its first unusual sample.
    pub since: Timestamp,
    /// When the signal that tells its class changed its level, or memory its slope, by a change point test: before its first
    /// unusual sample, where it crept up. `None`: that cannot be told.
    #[serde(default)]
    pub onset: Option<Timestamp>,
    /// Who judges whether the workload's signals go together, and how it proved itself on calm time; `None`: nobody does yet.
    #[serde(default)]
    pub together: Option<Arc<str>>,
    /// Its last unusual sample.
    pub last_seen: Timestamp,
    /// When it was found to be over, and why; `None`: it goes on.
    pub ended: Option<(Timestamp, End)>,
    /// The signals that were unusual, the one that tells the class first. Never empty.
    pub evidence: Vec<Measure>,
    /// What was changed shortly before it began, the likeliest cause first.
    pub changes: Vec<Change>,
    /// What can be done about it. Nothing is done by it: no plan is made from anomalies yet.
    pub remedy: Arc<str>,
}

impl Anomaly {
    /// The rollout it began with, if one did.
    pub fn suspect(&self) -> Option<&Change> {
        self.changes.iter().find(|c| c.rollout)
    }
}

/// All anomalies, and how much is watched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Anomalies {
    /// Those that go on, worst first, then those that ended within a day, the latest first.
    pub all: Arc<[Arc<Anomaly>]>,
    /// Series that are judged.
    pub judged: usize,
    /// Series that were seen too short to be judged.
    pub learning: usize,
    /// Workloads with samples that still have to be learned.
    pub backlog: usize,
}

impl Anomalies {
    /// Those that go on, worst first.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Anomaly>> {
        self.all.iter().filter(|i| i.ended.is_none())
    }

    /// Those of a workload, whether they go on or not.
    pub fn of<'a>(&'a self, key: &'a WorkloadKey) -> impl Iterator<Item = &'a Arc<Anomaly>> {
        self.all.iter().filter(move |i| i.key == *key)
    }
}
