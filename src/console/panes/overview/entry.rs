//! What the list of the overview holds: incidents that go on, each with its findings and anomalies below it, and those that
//! belong to none.

use super::super::show;
use crate::autopilot::world::World;
use crate::model::anomaly::Anomaly;
use crate::model::finding::{Finding, Severity, Subject};
use crate::model::incident::Incident;
use crate::model::time::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;

/// A finding, an anomaly or an incident.
#[derive(Debug, Clone)]
pub enum Entry {
    /// The classifier found it.
    Finding(Arc<Finding>),
    /// The watch for anomalies found it.
    Anomaly(Arc<Anomaly>),
    /// What belongs together, and how bad the worst of it is.
    Incident(Arc<Incident>, Severity),
}

impl Entry {
    /// All of a world: incidents first, the one that hurts most first, each followed by what belongs to it, then the rest;
    /// both worst first, findings before anomalies that are as bad. Nothing is told twice. With it the ids of what belongs
    /// to an incident.
    pub fn all(world: &World) -> (Vec<Self>, HashSet<Arc<str>>) {
        let findings = world.findings.iter().cloned().map(Self::Finding);
        let anomalies = world.anomalies.open().cloned().map(Self::Anomaly);
        let mut rest: Vec<Self> = findings.chain(anomalies).collect();
        rest.sort_by_key(|e| std::cmp::Reverse(e.severity()));
        let (mut all, mut below) = (Vec::new(), HashSet::new());
        for incident in world.incidents.open() {
            let belongs = |e: &Self| incident.findings.contains(e.id()) || incident.anomalies.contains(e.id());
            let (own, others): (Vec<Self>, Vec<Self>) = rest.into_iter().partition(belongs);
            rest = others;
            // An incident whose parts are over already is not less of one.
            let worst = own.first().map_or(Severity::High, Self::severity);
            all.push(Self::Incident(incident.clone(), worst));
            below.extend(own.iter().map(|e| e.id().clone()));
            all.extend(own);
        }
        all.extend(rest);
        (all, below)
    }

    /// The same as it is in another world; `None`: it is not there any more.
    pub fn newer(&self, world: &World) -> Option<Self> {
        match self {
            Self::Finding(f) => world.findings.iter().find(|now| now.id == f.id).cloned().map(Self::Finding),
            Self::Anomaly(i) => world.anomalies.all.iter().find(|now| now.id == i.id).cloned().map(Self::Anomaly),
            Self::Incident(c, worst) => {
                let now = world.incidents.all.iter().find(|now| now.id == c.id);
                now.map(|now| Self::Incident(now.clone(), *worst))
            }
        }
    }

    /// Stable id.
    pub fn id(&self) -> &Arc<str> {
        match self {
            Self::Finding(f) => &f.id,
            Self::Anomaly(i) => &i.id,
            Self::Incident(c, _) => &c.id,
        }
    }

    /// The class in a word.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Finding(f) => f.fault.class(),
            Self::Anomaly(i) => i.class.as_str(),
            Self::Incident(..) => "incident",
        }
    }

    /// What it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Finding(f) => f.subject.clone(),
            Self::Anomaly(i) => Subject::Workload(i.key.clone()),
            Self::Incident(c, _) => c.affected.first().map_or(Subject::Cluster, |k| Subject::Workload(k.clone())),
        }
    }

    /// One line that begins with the subject.
    pub fn title(&self) -> &str {
        match self {
            Self::Finding(f) => &f.title,
            Self::Anomaly(i) => &i.title,
            Self::Incident(c, _) => &c.title,
        }
    }

    /// How bad; an anomaly alone is never critical.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Finding(f) => f.severity,
            Self::Anomaly(i) => show::badness(i.severity),
            Self::Incident(_, worst) => *worst,
        }
    }

    /// Since when.
    pub fn since(&self) -> Timestamp {
        match self {
            Self::Finding(f) => f.since,
            Self::Anomaly(i) => i.since,
            Self::Incident(c, _) => c.since,
        }
    }
}
