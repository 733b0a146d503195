//! Workloads that somebody scaled to nothing while others need them. Nothing in Kubernetes calls that a fault: zero of zero
//! pods are ready.

use super::case::{Draft, Scene};
use crate::model::cluster::Workload;
use crate::model::finding::{Evidence, Fault, Severity, Subject};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::series::Signal;
use crate::model::snapshot::Snapshot;
use crate::model::time::{Timestamp, age};
use chrono::TimeDelta;
use std::collections::HashMap;

/// A workload that is away for longer is meant to be.
const RECENT: TimeDelta = TimeDelta::minutes(60);
/// Share of failed requests from which a neighbour suffers.
const ERRORS: f64 = 0.05;
/// What suffered before, or begins later than this, is not its doing.
const SOON: TimeDelta = TimeDelta::minutes(10);

/// How many replicas workloads had before they were scaled to nothing.
#[derive(Debug, Default)]
pub struct Away {
    /// Replicas last wanted, above zero, and since when it is zero.
    known: HashMap<WorkloadKey, (u32, Option<Timestamp>)>,
}

impl Away {
    /// Takes in a snapshot, and forgets workloads that are gone.
    pub fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let mut next = HashMap::new();
        for workload in snapshot.workloads.iter().filter(|w| restorable(w)) {
            let before = self.known.get(&workload.key);
            match (workload.replicas.desired, before) {
                (0, Some((was, since))) => {
                    next.insert(workload.key.clone(), (*was, since.or(Some(now))));
                }
                (0, None) => {}
                (n, _) => {
                    next.insert(workload.key.clone(), (n, None));
                }
            }
        }
        self.known = next;
    }

    /// A workload that is away, with what it was and who suffers since.
    pub fn find(&self, scene: &Scene<'_>, workload: &Workload) -> Option<Draft> {
        let (was, since) = self.known.get(&workload.key)?;
        let since = (*since)?;
        if !scene.within(Some(since), RECENT) || scaled_by_somebody_else(scene, workload) {
            return None;
        }
        let suffer: Vec<(&Workload, String)> = scene
            .snapshot
            .workloads
            .iter()
            .filter(|w| w.key != workload.key && needs(scene, &w.key, &workload.key))
            .filter_map(|w| Some((&**w, suffering(scene, w, since)?)))
            .collect();
        if suffer.is_empty() {
            return None;
        }
        Some(draft(scene, workload, *was, since, &suffer))
    }
}

fn restorable(workload: &Workload) -> bool {
    !workload.uid.is_empty() && matches!(workload.key.kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet)
}

/// An autoscaler that may go to zero does so on purpose.
fn scaled_by_somebody_else(scene: &Scene<'_>, workload: &Workload) -> bool {
    scene.snapshot.hpas.iter().any(|h| h.target == workload.key && h.min == 0)
        || workload.owners.iter().any(|o| matches!(o, crate::model::cluster::Owner::Keda(_)))
}

/// Whether one calls the other, where anybody measured calls; else whether they share a namespace.
fn needs(scene: &Scene<'_>, caller: &WorkloadKey, callee: &WorkloadKey) -> bool {
    let calls = &scene.snapshot.metrics.calls;
    if calls.iter().any(|c| c.callee == *callee) {
        return calls.iter().any(|c| c.callee == *callee && c.caller == *caller);
    }
    caller.namespace == callee.namespace
}

/// What a neighbour suffers, if it began after `since`: pods that are not ready, or requests that fail.
fn suffering(scene: &Scene<'_>, workload: &Workload, since: Timestamp) -> Option<String> {
    let began = |t: Timestamp| t >= since - TimeDelta::seconds(30) && t <= since + SOON;
    let unready = workload.live_pods().filter(|p| !p.ready).filter(|p| {
        let when = p.trouble.as_ref().and_then(|t| t.not_ready.as_ref()).and_then(|(_, _, at)| *at);
        when.is_some_and(began)
    });
    let (unready, all) = (unready.count(), workload.live_pods().count());
    if unready > 0 {
        return Some(format!("{unready} of {all} pods are not ready since"));
    }
    let metrics = scene.snapshot.metrics.workloads.get(&workload.key).filter(|_| scene.metrics_fresh())?;
    let now = metrics.now(Signal::ErrorRate).fresh().filter(|e| *e >= ERRORS)?;
    let before = metrics.history(Signal::ErrorRate).range(since - SOON, since).map(|(_, v)| v).fold(0.0, f64::max);
    (before < ERRORS)
        .then(|| format!("{:.0} % of its requests fail (at most {:.1} % before)", now * 100.0, before * 100.0))
}

fn draft(scene: &Scene<'_>, workload: &Workload, was: u32, since: Timestamp, suffer: &[(&Workload, String)]) -> Draft {
    let key = &workload.key;
    let names: Vec<&str> = suffer.iter().take(4).map(|(w, _)| &*w.key.name).collect();
    let mut evidence = vec![Evidence::new(
        format!("{key} spec.replicas"),
        format!("0 since {} ago; it was {was}", age(scene.now, since)),
        Some(since),
    )];
    evidence.extend(
        suffer.iter().take(4).map(|(w, what)| Evidence::new(w.key.to_string(), what.as_str(), Some(scene.now))),
    );
    Draft {
        fault: Fault::ScaledAway { was },
        subject: Subject::Workload(key.clone()),
        detail: None,
        severity: Severity::Critical,
        title: format!("{}/{}: scaled from {was} to 0, and {} suffer since", key.namespace, key.name, names.join(", ")),
        evidence,
        pods: Vec::new(),
        related: Vec::new(),
    }
}
