//! Failure prediction (A4): what it looks at, what it says, and why it may say nothing.

use super::finding::Evidence;
use super::object::WorkloadKey;
use super::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Steps in a window.
pub const STEPS: usize = 60;

/// How far ahead a model looks.
pub const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// How a workload is, as an operator would put it. Ordered: later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Everything wanted is there and answers.
    Healthy,
    /// It answers, less well than it should.
    Degraded,
    /// A part of it fails: containers were killed, half is gone, or many requests fail.
    Unhealthy,
    /// It serves nobody.
    Critical,
}

impl State {
    /// All four, best first: the order of a model's classes.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Critical];

    /// Whether that is what is to be foreseen: unhealthy or worse.
    pub fn is_failure(self) -> bool {
        self >= Self::Unhealthy
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        ["healthy", "degraded", "unhealthy", "critical"][self as usize]
    }
}

/// What is known of a workload beside its seven signals, at each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Pods that run, by their samples of memory.
    Pods,
    /// Pods that are wanted.
    Desired,
    /// Pods that are ready.
    Ready,
    /// Containers that were started anew during the step.
    Restarts,
    /// Working set over limit of the fullest container, 0..1.
    Fullest,
    /// Memory that its running pods may use, bytes; absent without a limit.
    MemoryLimit,
    /// Cores that its running pods may use; absent without a limit.
    CpuLimit,
}

/// How many facts there are.
pub const FACTS: usize = 7;

/// One workload at evenly spaced moments. NaN: not measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Whose.
    pub key: WorkloadKey,
    /// The seven signals, in the order of [`super::series::Signal::ALL`].
    pub signals: [Vec<f32>; 7],
    /// What else is known, by [`Fact`].
    pub facts: [Vec<f32>; FACTS],
}

/// Calls from one workload to another, at the same moments as the records. NaN: not measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    /// Who calls.
    pub caller: WorkloadKey,
    /// Who is called.
    pub callee: WorkloadKey,
    /// Requests per second.
    pub rate: Vec<f32>,
    /// Share of them that failed.
    pub failed: Vec<f32>,
}

/// What a learner sees of the past of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The first moment.
    pub from: Timestamp,
    /// Seconds between moments.
    pub step: u32,
    /// How many moments.
    pub slots: usize,
    /// One per workload.
    pub records: Vec<Record>,
    /// Who called whom; empty where nobody measures it.
    pub calls: Vec<Calls>,
    /// Faults that were found then; empty where nobody looked, which proves nothing.
    pub found: Vec<Trouble>,
}

/// A fault of a workload that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// Whose, as the journal writes its key.
    pub workload: Arc<str>,
    /// Its class, as in [`super::finding::Fault::class`].
    pub class: Arc<str>,
    /// From when on it counts, and until when.
    pub from: Timestamp,
    #[allow(missing_docs)]
    pub until: Timestamp,
    /// How bad it makes the workload at least.
    pub state: State,
}

/// Who calls whom now, as far as it is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Who calls.
    pub caller: WorkloadKey,
    /// Who is called.
    pub callee: WorkloadKey,
    /// Requests per second.
    pub rate: f64,
    /// Share of the requests that failed; `None`: not measured, or there were none.
    pub failed: Option<f64>,
    /// Median, 95th and 99th percentile of how long the caller waited, milliseconds; `None`: not measured.
    pub took_ms: [Option<f64>; 3],
}

/// A known way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatternKind {
    /// Memory grows towards its limit whatever the load does.
    MemoryLeak,
    /// What it needs is running out: CPU or memory at the limit, or requests that pile up.
    ResourceExhaustion,
    /// Something it calls fails.
    DependencyFailure,
    /// A failure climbs along the calls, from callee to caller.
    CascadingFailure,
}

impl PatternKind {
    /// All four.
    pub const ALL: [Self; 4] =
        [Self::MemoryLeak, Self::ResourceExhaustion, Self::DependencyFailure, Self::CascadingFailure];

    /// The words for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::MemoryLeak => "memory leak",
            Self::ResourceExhaustion => "resource exhaustion",
            Self::DependencyFailure => "dependency failure",
            Self::CascadingFailure => "cascading failure",
        }
    }
}

/// A pattern that a rule recognised.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// Which one.
    pub kind: PatternKind,
    /// What was observed, in numbers. Never empty.
    pub evidence: Vec<Evidence>,
    /// When it ends in failure, if a trend tells.
    pub time_to_failure: Option<TimeToFailure>,
    /// Whether failure is expected so soon that somebody should be told: within [`HORIZON`].
    pub alarm: bool,
}

/// An alarm is for a failure within this time.
pub const HORIZON: TimeDelta = TimeDelta::minutes(15);

/// When a trend reaches its limit, from the interval of its slope. Seconds from now; 0: it is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeToFailure {
    /// By the upper end of the slope's interval.
    pub earliest: f64,
    /// By the slope itself.
    pub expected: f64,
    /// By the lower end of the interval, which is above 0: else there is no trend to speak of.
    pub latest: f64,
}

/// What a model says of the next [`AHEAD`].
#[derive(Debug, Clone, PartialEq)]
pub struct Foreseen {
    /// Probability that this is the worst state within that time, in the order of [`State::ALL`].
    pub probabilities: [f64; 4],
    /// Whether unhealthy and critical together reach the threshold that was calibrated for the wanted precision, or a rule
    /// raises an alarm whose word was good on the model's back-test.
    pub alarm: bool,
    /// What moved the probability of failure, strongest first; empty where it was not asked for.
    pub why: Vec<Moved>,
}

impl Foreseen {
    /// Probability of a failure: unhealthy or critical.
    pub fn failure(&self) -> f64 {
        self.probabilities[State::Unhealthy as usize] + self.probabilities[State::Critical as usize]
    }
}

/// One feature's part in a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// Its name.
    pub feature: Arc<str>,
    /// Its value; NaN: not measured, which the model also uses.
    pub value: f64,
    /// What it added to the probability of failure.
    pub by: f64,
}

/// Why a model says nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum NotTrained {
    /// There is none.
    Nothing {
        /// What is needed until there can be one.
        need: Arc<str>,
    },
    /// On time and clusters it had not seen it was no better than the rules.
    NoSkill {
        /// What it scored: F1 over episodes and alarms.
        model: f64,
        /// What the rules scored.
        rules: f64,
    },
    /// It was trained on another step between samples, and would misread this one.
    Step {
        /// Seconds it was trained on.
        trained: u32,
        /// Seconds there are.
        found: u32,
    },
    /// What it sees is not what it learned.
    Drifted {
        /// Features whose distributions differ.
        drifted: usize,
        /// Of so many.
        features: usize,
    },
    /// The cluster is not like the one that it learned in.
    Elsewhere {
        /// Which of its sizes and speeds.
        moved: Arc<[Arc<str>]>,
        /// Of so many.
        compared: usize,
    },
    /// This workload was not measured long enough.
    Short {
        /// Steps there are.
        have: usize,
        /// Steps that would do.
        need: usize,
    },
}

impl std::fmt::Display for NotTrained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing { need } => write!(f, "not trained: {need}"),
            Self::NoSkill { model, rules } => {
                write!(f, "no skill: it scored {model:.2} on its back-test, the rules {rules:.2} (F1)")
            }
            Self::Step { trained, found } => {
                write!(f, "trained on samples every {trained} s; there is one every {found} s")
            }
            Self::Drifted { drifted, features } => {
                write!(f, "{drifted} of {features} features are not what it learned from: it is to be trained again")
            }
            Self::Elsewhere { moved, compared } => {
                let (count, names) = (moved.len(), moved.join(", "));
                write!(
                    f,
                    "another cluster than it learned in, by {count} of {compared} sizes and speeds ({names}): it is to be trained again"
                )
            }
            Self::Short { have, need } => write!(f, "{have} of {need} steps are measured"),
        }
    }
}

/// Everything that is foreseen of one workload.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureOutlook {
    /// Whose.
    pub key: WorkloadKey,
    /// How it is now, as far as it is measured; `None`: too little is.
    pub now: Option<State>,
    /// What the model says.
    pub model: Result<Foreseen, NotTrained>,
    /// What the rules say: each pattern that is seen.
    pub patterns: Vec<Pattern>,
    /// The soonest time to failure among the patterns.
    pub time_to_failure: Option<TimeToFailure>,
    /// What could not be judged, and why.
    pub missing: Vec<Arc<str>>,
}

impl FailureOutlook {
    /// Whether somebody should be told. A model that may speak has the last word: it was told what the rules make of it, and
    /// its alarms were right more often than theirs. Without one the rules decide.
    pub fn alarm(&self) -> bool {
        self.model.as_ref().map_or_else(|_| self.patterns.iter().any(|p| p.alarm), |model| model.alarm)
    }
}

/// All that is foreseen, and by whom.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Failures {
    /// When it was foreseen; `None`: not yet.
    pub made: Option<Timestamp>,
    /// One per workload that is measured: alarms first, then soonest.
    pub all: Arc<[Arc<FailureOutlook>]>,
    /// The model that speaks, or would.
    pub card: Option<Arc<ModelCard>>,
    /// How far training is.
    pub training: Training,
}

/// What is known of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCard {
    /// What it is.
    pub kind: Arc<str>,
    /// Counts up from 1.
    pub version: u32,
    /// When training ended.
    pub trained: Timestamp,
    /// Where what it learned from came from.
    pub source: Arc<str>,
    /// How many examples.
    pub samples: u64,
    /// Figures of its back-test by name.
    pub back_test: Vec<(Arc<str>, f64)>,
    /// Hash of the names of its inputs.
    pub features: Arc<str>,
    /// How far what it sees now is from what it learned; `None`: too little was seen.
    pub drift: Option<Drift>,
    /// Why it is silent, if it is.
    pub silent: Option<Arc<str>>,
    /// How it learned, if it learned in epochs.
    pub losses: Option<Arc<Losses>>,
    /// Versions that can be rolled back to.
    pub earlier: usize,
}

/// How far the features of now are from those of training.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// Features that were compared.
    pub features: usize,
    /// Those whose distributions differ (Kolmogorov-Smirnov, corrected for their number).
    pub drifted: Vec<Arc<str>>,
    /// Rows of now.
    pub rows: usize,
    /// Sizes and speeds of the workloads, in their own units, that are unlike those of the cluster that was learned from.
    pub moved: Arc<[Arc<str>]>,
    /// Of so many that could be compared.
    pub compared: usize,
}

impl Drift {
    /// The share of drifted features above which a model is silenced.
    pub const MOST: f64 = 0.5;

    /// The share of sizes and speeds from which on it is another cluster.
    pub const ELSEWHERE: f64 = 0.5;

    /// Why a model is silent; `None`: it may speak.
    pub fn silences(&self) -> Option<NotTrained> {
        if self.share() > Self::MOST {
            return Some(NotTrained::Drifted { drifted: self.drifted.len(), features: self.features });
        }
        let elsewhere = self.compared > 0 && self.moved.len() as f64 >= Self::ELSEWHERE * self.compared as f64;
        elsewhere.then(|| NotTrained::Elsewhere { moved: self.moved.clone(), compared: self.compared })
    }

    /// Share of the features that drifted.
    pub fn share(&self) -> f64 {
        self.drifted.len() as f64 / self.features.max(1) as f64
    }
}

/// The losses after one pass over what is learned from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counts up from 1.
    pub epoch: u32,
    /// Most there will be.
    pub epochs: u32,
    /// Of what is learned from.
    pub training: f64,
    /// Of what only judges.
    pub validation: f64,
}

/// The losses of a learner, epoch by epoch.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Losses {
    /// Who learned.
    pub learner: Arc<str>,
    /// Its epochs, in order.
    pub epochs: Vec<Epoch>,
}

/// How far training is.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Training {
    /// Nobody trains.
    #[default]
    Idle,
    /// The past is being read.
    Reading {
        /// Since when.
        since: Timestamp,
    },
    /// A learner learns.
    Learning {
        /// Since when.
        since: Timestamp,
        /// The epochs that are over, of learners that have some.
        losses: Arc<Losses>,
    },
    /// The last training ended so.
    Ended {
        /// When.
        at: Timestamp,
        /// What came of it.
        said: Arc<str>,
    },
}
