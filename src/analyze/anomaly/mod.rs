//! Anomalies in the loop (A3): every sample of every workload's signals is learned once, in order, and what was never so
//! becomes one anomaly per burst, with its class, its evidence and a remedy.
//!
//! A detector per workload and signal says how improbable a sample is by the series' own past, on the same scale for all;
//! `law` says from what such a sample is worth an anomaly, and of which class; `case` makes one anomaly of a burst;
//! `change` knows what was done to the workload, which explains new levels and names suspects. Nothing is stored: the
//! rings hold a day, and a start learns from that.

mod case;
mod change;
mod law;
mod onset;
mod watched;

#[cfg(test)]
mod tests;

use crate::model::anomaly::{Anomalies, Anomaly};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use watched::Watched;

/// Watches all workloads. Its memory is bounded by what a workload takes: see [`Watch::bytes`].
#[derive(Debug, Default)]
pub struct Watch {
    workloads: BTreeMap<WorkloadKey, Watched>,
    /// Who was last when the budget ended: the next call goes on behind it.
    last: Option<WorkloadKey>,
}

impl Watch {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns what is new in `snapshot`, at most about `budget` samples of single signals, and forgets workloads that are
    /// gone. The answer: how many workloads are left for the next call. Jobs are left out: they have no usual level.
    pub fn observe(&mut self, snapshot: &Snapshot, now: Timestamp, budget: usize) -> usize {
        let known = &snapshot.metrics.workloads;
        self.workloads.retain(|key, _| known.contains_key(key) && snapshot.workload(key).is_some());
        for workload in snapshot.workloads.iter() {
            if matches!(workload.key.kind, WorkloadKind::Job | WorkloadKind::CronJob) {
                continue;
            }
            if known.contains_key(&workload.key) {
                self.workloads.entry(workload.key.clone()).or_default().look(workload, now);
            }
        }
        let start = self.last.take();
        let (mut left, mut backlog, mut stopped) = (budget, 0, None);
        let behind = |key: &WorkloadKey| start.as_ref().is_some_and(|s| key <= s);
        for second in [false, true] {
            for (key, watched) in self.workloads.iter_mut().filter(|(key, _)| behind(key) == second) {
                let Some(metrics) = known.get(key) else { continue };
                left = left.saturating_sub(watched.learn(key, metrics, left));
                if !watched.knows(metrics) {
                    stopped = stopped.or_else(|| Some(key.clone()));
                    backlog += 1;
                }
                watched.age(now);
            }
        }
        self.last = stopped;
        backlog
    }

    /// Lets the judges of one workload prove themselves, if one is due: for when all is learned.
    pub fn prove(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let known = &snapshot.metrics.workloads;
        let due = |(key, w): (&WorkloadKey, &Watched)| w.unproved(now) && known.get(key).is_some_and(|m| w.knows(m));
        let Some((key, _)) = self.workloads.iter().find(|(key, w)| due((key, w))) else { return };
        let key = key.clone();
        if let (Some(watched), Some(metrics)) = (self.workloads.get_mut(&key), known.get(&key)) {
            watched.prove(metrics, now);
        }
    }

    /// All anomalies as they stand. `backlog` is what [`Watch::observe`] answered.
    pub fn anomalies(&self, backlog: usize) -> Anomalies {
        let mut all: Vec<Arc<Anomaly>> = self.workloads.values().flat_map(Watched::anomalies).cloned().collect();
        all.sort_by(|a, b| {
            let open = |i: &Anomaly| i.ended.is_none();
            open(b)
                .cmp(&open(a))
                .then_with(|| b.ended.map(|e| e.0).cmp(&a.ended.map(|e| e.0)))
                .then_with(|| b.severity.total_cmp(&a.severity))
                .then_with(|| a.id.cmp(&b.id))
        });
        let series = || self.workloads.values().flat_map(Watched::series);
        let judged = series().filter(|judged| *judged).count();
        Anomalies { all: all.into(), judged, learning: series().count() - judged, backlog }
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.workloads.values().map(Watched::bytes).sum()
    }
}
