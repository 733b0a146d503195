//! An action's life: from proposal to outcome, and every reason why it may not go on.

use super::plan::{ActionId, Proposal};
use super::time::Timestamp;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why something may not be done, with what would make it possible.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    /// The guardrail by its row in the threat model: `g01`…`g23`.
    pub gate: String,
    /// What stopped it, with the number.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

impl Refusal {
    /// A refusal from its parts.
    pub fn new(gate: &str, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { gate: gate.to_owned(), why: why.into(), remedy: remedy.into() }
    }

    /// Whether it only says that enough is under way or was done (G8): with time it goes by itself.
    pub fn is_of_room(&self) -> bool {
        self.gate == "g08"
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {}", self.why, self.gate, self.remedy)
    }
}

/// What came of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The trigger is gone and nothing got worse.
    Effective,
    /// Nothing got worse, but the trigger is still there.
    Neutral,
    /// Something got worse.
    Harmful,
    /// It cannot be told: data is missing, or somebody else changed the object.
    Unknown,
}

impl Verdict {
    /// As shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Effective => "effective",
            Self::Neutral => "neutral",
            Self::Harmful => "harmful",
            Self::Unknown => "unknown",
        }
    }
}

/// Where an action is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ActionState {
    /// In the queue.
    Proposed,
    /// Approved, waiting for the guard and its turn.
    Approved { by: String, at: Timestamp },
    /// The server is asked what would happen.
    DryRun,
    /// Step `step` (from 0) is being written.
    Applying { step: usize },
    /// Written; settling until `settle`, then observed until `until`. `complete`: the controllers have finished what was
    /// written, and only its effect is looked at. Not in journals of older versions, where it counts as not yet.
    Verifying {
        since: Timestamp,
        settle: Timestamp,
        until: Timestamp,
        #[serde(default)]
        complete: bool,
    },
    /// Being undone.
    Reverting { why: String },
    /// Finished, with its verdict.
    Done { verdict: Verdict, why: String },
    /// Undone.
    Reverted { verdict: Option<Verdict>, why: String },
    /// A person said no.
    Rejected { by: String, reason: String },
    /// Not approved in time.
    Expired,
    /// The trigger went away or a newer proposal took its place.
    Superseded { why: String },
    /// Approved, but a gate or the server refused before anything was written.
    Refused { reasons: Vec<Refusal> },
    /// A write failed; what was written before is undone or told.
    Failed { why: String },
    /// kansole stops here and a person must look.
    HandedOver { why: String },
}

impl ActionState {
    /// One word for tables and filters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved { .. } => "approved",
            Self::DryRun => "dry-run",
            Self::Applying { .. } => "applying",
            Self::Verifying { .. } => "verifying",
            Self::Reverting { .. } => "reverting",
            Self::Done { verdict, .. } => verdict.as_str(),
            Self::Reverted { .. } => "reverted",
            Self::Rejected { .. } => "rejected",
            Self::Expired => "expired",
            Self::Superseded { .. } => "superseded",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::HandedOver { .. } => "handed over",
        }
    }

    /// Between approval and outcome.
    pub fn in_flight(&self) -> bool {
        matches!(
            self,
            Self::Approved { .. }
                | Self::DryRun
                | Self::Applying { .. }
                | Self::Verifying { .. }
                | Self::Reverting { .. }
        )
    }

    /// Nothing more will happen by itself.
    pub fn ended(&self) -> bool {
        !self.in_flight() && !matches!(self, Self::Proposed)
    }
}

/// What the server says a plan would change: the dry-run, step by step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// When it was asked.
    pub at: Timestamp,
    /// Per step: unified diff of the live object against the server's dry-run result, as YAML lines
    /// (`+`, `-`, ` ` in the first column), without managedFields and status.
    pub diffs: Vec<String>,
    /// Warning headers of the server.
    pub warnings: Vec<String>,
    /// Set if the server refused the dry-run, and so would refuse the write.
    pub refused: Option<String>,
}

/// Health of the target at one moment, as verification compares it. `None` where it could not be read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Health {
    pub at: Option<Timestamp>,
    pub desired: Option<u32>,
    pub available: Option<u32>,
    pub restarts: Option<u32>,
    pub oom_kills: Option<u32>,
    pub error_rate: Option<f64>,
    pub p99_s: Option<f64>,
    /// Largest share of CPU periods, 0..1, in which one of its pods was held back at its limit.
    #[serde(default)]
    pub throttled: Option<f64>,
    /// Disruptions that the budgets over its pods allow, by their names. Only taken before the write.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub budgets: BTreeMap<Arc<str>, u32>,
    /// Whether the finding that triggered the action still holds.
    pub finding_present: Option<bool>,
    /// Since when it does not, without a break, as verification saw it after the write.
    #[serde(default)]
    pub gone_since: Option<Timestamp>,
}

/// What an action did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which action.
    pub action: ActionId,
    /// The verdict.
    pub verdict: Verdict,
    /// Its reasons, in order of weight.
    pub why: Vec<String>,
    /// Health just before the write.
    pub before: Health,
    /// Health when judged.
    pub after: Health,
    /// When judged.
    pub at: Timestamp,
}

/// One line of an action's story.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub what: String,
}

/// A proposal in the queue with everything that happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueItem {
    /// The proposal.
    pub proposal: Arc<Proposal>,
    /// Where it is.
    pub state: ActionState,
    /// The server's dry-run, once asked.
    pub preview: Option<Arc<Preview>>,
    /// Why it could not run if it were approved now; empty means it could.
    pub blocked: Vec<Refusal>,
    /// Who approved which hash.
    pub approval: Option<Approval>,
    /// Its story, oldest first.
    pub story: Vec<Moment>,
    /// What came of it.
    pub outcome: Option<Outcome>,
}

impl QueueItem {
    /// When its phases were, as far as they came.
    pub fn times(&self) -> Times {
        let outcome = self.outcome.as_ref();
        Times {
            began: self.proposal.onset.began,
            found: self.proposal.onset.found,
            decided: self.approval.as_ref().map(|a| a.at),
            acted: outcome.and_then(|o| o.before.at),
            recovered: outcome.and_then(|o| o.after.gone_since),
        }
    }

    /// Whether it waits for a decision.
    pub fn pending(&self) -> bool {
        matches!(self.state, ActionState::Proposed)
    }
}

/// When the phases of a healing were. `None`: it did not come to that, or it cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Times {
    /// The first sign of the trouble.
    pub began: Option<Timestamp>,
    /// It was found.
    pub found: Option<Timestamp>,
    /// Somebody, or auto, said yes.
    pub decided: Option<Timestamp>,
    /// Just before the first write.
    pub acted: Option<Timestamp>,
    /// The trigger was gone, and stayed gone.
    pub recovered: Option<Timestamp>,
}

impl Times {
    /// From the first sign to the finding.
    pub fn to_detect(&self) -> Option<TimeDelta> {
        span(self.began, self.found)
    }

    /// From the finding to the yes.
    pub fn to_decide(&self) -> Option<TimeDelta> {
        span(self.found, self.decided)
    }

    /// From the yes to the write.
    pub fn to_act(&self) -> Option<TimeDelta> {
        span(self.decided, self.acted)
    }

    /// From the write to the recovery.
    pub fn to_recover(&self) -> Option<TimeDelta> {
        span(self.acted, self.recovered)
    }

    /// From the first sign, or else the finding, to the recovery.
    pub fn whole(&self) -> Option<TimeDelta> {
        span(self.began.or(self.found), self.recovered)
    }
}

/// Clocks of several machines may disagree a little: never below zero.
fn span(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<TimeDelta> {
    Some((to? - from?).max(TimeDelta::zero()))
}

/// Mean times over healings, each with the number of healings it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Means {
    /// Mean time to detect.
    pub detect: Option<(TimeDelta, usize)>,
    /// Mean time to recover, from the first sign.
    pub recover: Option<(TimeDelta, usize)>,
}

impl Means {
    /// Over the actions that were judged effective.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a QueueItem>) -> Self {
        let done = |i: &&QueueItem| matches!(i.state, ActionState::Done { verdict: Verdict::Effective, .. });
        let all: Vec<Times> = items.into_iter().filter(done).map(QueueItem::times).collect();
        let mean = |of: fn(&Times) -> Option<TimeDelta>| {
            let spans: Vec<TimeDelta> = all.iter().filter_map(of).collect();
            let sum: TimeDelta = spans.iter().sum();
            (!spans.is_empty()).then(|| (sum / spans.len() as i32, spans.len()))
        };
        Self { detect: mean(Times::to_detect), recover: mean(Times::whole) }
    }
}

/// Leave given by a person or by auto mode, for one hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// `user@host`, or `auto`.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The plan hash that was shown.
    pub hash: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Option<Timestamp> {
        chrono::DateTime::from_timestamp(1_700_000_000 + s, 0)
    }

    #[test]
    fn spans_need_both_ends_and_are_never_negative() {
        let times = Times { began: at(0), found: at(40), decided: at(100), acted: at(99), recovered: None };
        assert_eq!(times.to_detect(), Some(TimeDelta::seconds(40)));
        assert_eq!(times.to_decide(), Some(TimeDelta::seconds(60)));
        assert_eq!(times.to_act(), Some(TimeDelta::zero()), "clocks disagree");
        assert_eq!((times.to_recover(), times.whole()), (None, None), "not recovered is not zero");
        let found_only = Times { found: at(40), recovered: at(100), ..Times::default() };
        assert_eq!((found_only.to_detect(), found_only.whole()), (None, Some(TimeDelta::seconds(60))));
    }
}
