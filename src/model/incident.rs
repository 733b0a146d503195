//! Incidents (A5): alerts, findings and anomalies of one cause, with the causes that are likeliest.

use super::object::WorkloadKey;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is suspected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A workload.
    Workload(WorkloadKey),
    /// A node, by name.
    Node(Arc<str>),
    /// A zone, by name.
    Zone(Arc<str>),
    /// A change that somebody made to a workload or to what it reads: the object, as `Kind namespace/name`.
    Change(WorkloadKey, Arc<str>),
}

/// A suspect with what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Who.
    pub subject: Subject,
    /// One line for people: what it did.
    pub what: Arc<str>,
    /// Share of the belief that it is the cause, 0..1; the shares of one incident add up to at most 1, the rest is `something else`.
    pub sureness: f64,
    /// When it began, if it can be dated.
    pub onset: Option<Timestamp>,
    /// What speaks for it, the strongest first: numbers with their units and what they were before.
    pub evidence: Vec<Arc<str>>,
}

/// Something that happened in an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// One line.
    pub what: Arc<str>,
}

/// All that belongs together, because one cause explains it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Stable while it lasts and after.
    pub id: Arc<str>,
    /// One line: what suffers, and why by what is known.
    pub title: Arc<str>,
    /// When the first of it began.
    pub since: Timestamp,
    /// When anything of it was last seen.
    pub last_seen: Timestamp,
    /// When all of it was over; `None`: it goes on.
    pub ended: Option<Timestamp>,
    /// Ids of its findings.
    pub findings: Vec<Arc<str>>,
    /// Ids of its anomalies.
    pub anomalies: Vec<Arc<str>>,
    /// Workloads that suffer, the cause's own first.
    pub affected: Vec<WorkloadKey>,
    /// What happened, oldest first.
    pub timeline: Vec<Happening>,
    /// The suspects, the likeliest first; empty: nothing is known.
    pub causes: Vec<Suspect>,
    /// What would tell the first suspects apart; empty: nothing needs to.
    pub would_tell: Arc<str>,
    /// What can be done.
    pub recommendation: Arc<str>,
}

/// All incidents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Incidents {
    /// Those that go on, the one that hurts most first, then those that ended within a day, the latest first.
    pub all: Arc<[Arc<Incident>]>,
}

impl Incidents {
    /// Those that go on.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.all.iter().filter(|c| c.ended.is_none())
    }
}
