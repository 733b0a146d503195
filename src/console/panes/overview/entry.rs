//! What the list of the overview holds: findings, and incidents that go on, in one order and one style.

use super::super::show;
use crate::autopilot::world::World;
use crate::model::finding::{Finding, Severity, Subject};
use crate::model::incident::Incident;
use crate::model::time::Timestamp;
use std::sync::Arc;

/// A finding or an incident.
#[derive(Debug, Clone)]
pub enum Entry {
    /// The classifier found it.
    Finding(Arc<Finding>),
    /// The watch for anomalies found it.
    Incident(Arc<Incident>),
}

impl Entry {
    /// All of a world: worst first, findings before incidents that are as bad.
    pub fn all(world: &World) -> Vec<Self> {
        let findings = world.findings.iter().cloned().map(Self::Finding);
        let incidents = world.incidents.open().cloned().map(Self::Incident);
        let mut all: Vec<Self> = findings.chain(incidents).collect();
        all.sort_by_key(|e| std::cmp::Reverse(e.severity()));
        all
    }

    /// The same as it is in another world; `None`: it is not there any more.
    pub fn newer(&self, world: &World) -> Option<Self> {
        match self {
            Self::Finding(f) => world.findings.iter().find(|now| now.id == f.id).cloned().map(Self::Finding),
            Self::Incident(i) => world.incidents.all.iter().find(|now| now.id == i.id).cloned().map(Self::Incident),
        }
    }

    /// Stable id.
    pub fn id(&self) -> &Arc<str> {
        match self {
            Self::Finding(f) => &f.id,
            Self::Incident(i) => &i.id,
        }
    }

    /// The class in a word.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Finding(f) => f.fault.class(),
            Self::Incident(i) => i.class.as_str(),
        }
    }

    /// What it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Finding(f) => f.subject.clone(),
            Self::Incident(i) => Subject::Workload(i.key.clone()),
        }
    }

    /// One line that begins with the subject.
    pub fn title(&self) -> &str {
        match self {
            Self::Finding(f) => &f.title,
            Self::Incident(i) => &i.title,
        }
    }

    /// How bad; an anomaly alone is never critical.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Finding(f) => f.severity,
            Self::Incident(i) => show::badness(i.severity),
        }
    }

    /// Since when.
    pub fn since(&self) -> Timestamp {
        match self {
            Self::Finding(f) => f.since,
            Self::Incident(i) => i.since,
        }
    }

    /// The finding, if it is one.
    pub fn finding(&self) -> Option<&Arc<Finding>> {
        match self {
            Self::Finding(f) => Some(f),
            Self::Incident(_) => None,
        }
    }
}
