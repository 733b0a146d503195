//! What is written down, and the promise that it is written before anything is done.

use super::action::QueueItem;
use super::plan::ActionId;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Kinds of journal entries. The words are stored: never change one, only add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Kind {
    SessionStarted,
    SessionEnded,
    ModeChanged,
    KillSwitch,
    ContextChanged,
    /// Settings of the guard changed while it ran.
    PolicyChanged,
    FindingOpened,
    FindingClosed,
    AnomalyOpened,
    AnomalyEnded,
    IncidentOpened,
    IncidentEnded,
    Proposed,
    Superseded,
    Expired,
    Approved,
    Rejected,
    Refused,
    DryRun,
    /// About to write: the payload says exactly what.
    Intent,
    /// The write was answered.
    Applied,
    /// Verification began, with the health before.
    Verifying,
    /// Verdict reached.
    Outcome,
    /// About to undo: the payload says exactly what.
    RevertIntent,
    Reverted,
    Failed,
    HandedOver,
    /// Found in flight after a restart, and what was done about it.
    Recovered,
    /// What became of a workload's pods after a fault.
    Aftermath,
}

impl Kind {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionStarted => "session_started",
            Self::SessionEnded => "session_ended",
            Self::ModeChanged => "mode_changed",
            Self::KillSwitch => "kill_switch",
            Self::ContextChanged => "context_changed",
            Self::PolicyChanged => "policy_changed",
            Self::FindingOpened => "finding_opened",
            Self::FindingClosed => "finding_closed",
            Self::AnomalyOpened => "anomaly_opened",
            Self::AnomalyEnded => "anomaly_ended",
            Self::IncidentOpened => "incident_opened",
            Self::IncidentEnded => "incident_ended",
            Self::Proposed => "proposed",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::DryRun => "dry_run",
            Self::Intent => "intent",
            Self::Applied => "applied",
            Self::Verifying => "verifying",
            Self::Outcome => "outcome",
            Self::RevertIntent => "revert_intent",
            Self::Reverted => "reverted",
            Self::Failed => "failed",
            Self::HandedOver => "handed_over",
            Self::Recovered => "recovered",
            Self::Aftermath => "aftermath",
        }
    }
}

/// An entry as handed to the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it happened.
    pub at: Timestamp,
    /// `user@host`, `auto` or `kansole`.
    pub actor: String,
    /// What happened.
    pub kind: Kind,
    /// Which action, if any.
    pub action: Option<ActionId>,
    /// The object, as `ns/Kind/name`, if any.
    pub object: Option<String>,
    /// Details; never secrets.
    pub payload: Value,
}

/// An entry as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Position, from 1, without gaps.
    pub seq: u64,
    /// The record.
    #[serde(flatten)]
    pub record: Record,
    /// Hash of the entry before.
    pub prev: String,
    /// SHA-256 over position, record and `prev`.
    pub hash: String,
}

/// The journal could not be written: nothing may be done.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal {path} cannot be written: {why}")]
pub struct LedgerError {
    /// File.
    pub path: Arc<str>,
    /// What went wrong.
    pub why: Arc<str>,
}

/// Where intents and outcomes are written down. Returning `Ok` means: durable, even across a power cut.
pub trait Ledger: Send + Sync {
    /// Appends one record durably and returns its position. Blocks for the fsync (milliseconds).
    fn record(&self, record: Record) -> Result<u64, LedgerError>;

    /// Appends one record and stores the action it is about as it is now, both or neither. Blocks like
    /// [`Ledger::record`]. After a restart the stored items tell what was in flight.
    fn record_item(&self, record: Record, item: &QueueItem) -> Result<u64, LedgerError>;
}
