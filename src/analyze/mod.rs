//! What it means: the deterministic fault classifier (A7). A snapshot goes in, findings with evidence come out.
//!
//! One file per family of faults. A workload's pods pass the families in a fixed order, and a family that
//! explains a pod takes it out of the case, so that one cause gives one finding:
//!
//! 1. `node`: pods on a node that is not ready, and pods evicted by a node under pressure, are the node's;
//! 2. `leak` before `oom`: more memory would only delay a leak (its kills become evidence);
//! 3. `oom` before everything that a killed container looks like;
//! 4. `release`: only the newest revision fails while an older one was healthy; then missing objects, then images;
//! 5. `crash`: liveness kills, a dependency, then the plain crash loop;
//! 6. `schedule`: no node, or failed for good;
//! 7. `crash` again: running, yet not ready.
//!
//! `away` finds what was scaled to nothing while others need it, `worse` releases whose pods are well and whose requests are
//! not, and `edits` changed ConfigMaps of that kind. `scale` looks at demand, and only where nothing above was found, nor among those it calls and is called by; `systemic` looks at all findings together.
//! `size` tells what containers should ask for, where that is wanted: nothing is broken then.
//! `slo` judges burn rates (A1). `forecast` predicts load (A2), `anomaly` finds what never was so (A3) and `failure`
//! foresees failures (A4): beside the findings, for they take long.

pub mod anomaly;
mod away;
mod case;
pub mod cause;
mod crash;
mod edits;
pub mod failure;
pub mod forecast;
mod leak;
mod node;
mod oom;
mod release;
mod scale;
mod schedule;
pub mod size;
pub mod slo;
mod systemic;
pub mod traces;
mod worse;

use crate::config::settings::{Analyze, Planning, Slo};
use crate::model::finding::{Finding, FindingId};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use case::{Case, Draft, Restarts, Scene};
use chrono::TimeDelta;
use std::collections::HashMap;

/// A finding that was away for less than this keeps its `since`: crash loops look healthy between two crashes.
const REMEMBER: TimeDelta = TimeDelta::minutes(10);

/// The fault classifier, with the little it must remember: since when each finding is known, and which
/// containers' restart counts rose. Both are bounded by what the last snapshots held. Does no I/O.
#[derive(Debug, Default)]
pub struct Analyzer {
    /// First and last time each finding was seen.
    seen: HashMap<FindingId, (Timestamp, Timestamp)>,
    restarts: Restarts,
    away: away::Away,
    edits: edits::Edits,
}

impl Analyzer {
    /// A classifier that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Classifies everything that is wrong in `snapshot`, worst first, then by id.
    ///
    /// Findings say what is there, whatever its age: the guard and the planner refuse to act on sources that are
    /// not fresh. Leaks and saturation come from measurements alone, so these need fresh readings to be found.
    ///
    /// Burning SLOs (A1) are added as they are: a burning objective is a symptom and never hides a cause.
    pub fn analyze(
        &mut self,
        snapshot: &Snapshot,
        settings: &Analyze,
        planning: &Planning,
        slos: &[Slo],
        now: Timestamp,
    ) -> Vec<Finding> {
        self.restarts.observe(snapshot, now);
        self.away.observe(snapshot, now);
        self.edits.observe(snapshot, now);
        let scene = Scene::new(snapshot, settings, planning, &self.restarts, now);
        let mut drafts = node::find(&scene);
        for workload in snapshot.workloads.iter() {
            let before = drafts.len();
            if let Some(case) = Case::open(&scene, workload) {
                investigate(case, &mut drafts);
            }
            let leaks = drafts[before..].iter().any(|d| matches!(d.fault.class(), "leak" | "oom"));
            if !leaks && let Some(leak) = leak::find(&scene, workload, &[]) {
                drafts.push(leak);
            }
            drafts.extend(self.away.find(&scene, workload));
            if drafts.len() == before {
                drafts.extend(worse::find(&scene, workload).or_else(|| self.edits.find(&scene, workload)));
            }
        }
        drafts.extend(scale::all(&scene, &drafts));
        systemic::find(&scene, &mut drafts);
        self.settle(drafts, slo::slo_findings(snapshot, slos, now), now)
    }

    /// Gives drafts their ids and ages, and sorts them.
    fn settle(&mut self, drafts: Vec<Draft>, slos: Vec<Finding>, now: Timestamp) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::with_capacity(drafts.len() + slos.len());
        for draft in drafts {
            let id = draft.id();
            let since = self.seen_since(&id, now);
            findings.push(draft.finish(id, since));
        }
        for slo in slos {
            let since = self.seen_since(&slo.id, now);
            findings.push(Finding { since, ..slo });
        }
        self.seen.retain(|_, (_, last)| now.signed_duration_since(*last) <= REMEMBER);
        findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
        findings.dedup_by(|a, b| a.id == b.id);
        findings
    }

    /// Since when a finding is known without a longer break.
    fn seen_since(&mut self, id: &FindingId, now: Timestamp) -> Timestamp {
        let (since, last) = self.seen.entry(id.clone()).or_insert((now, now));
        *last = now;
        *since
    }
}

/// Runs one workload's troubled pods through the families in the order of precedence.
fn investigate(mut case: Case<'_>, drafts: &mut Vec<Draft>) {
    const FAMILIES: [fn(&mut Case<'_>) -> Vec<Draft>; 10] = [
        node::explain,
        oom::find,
        release::bad_release,
        release::missing_config,
        release::image_error,
        crash::liveness,
        crash::dependency,
        crash::loops,
        schedule::find,
        crash::not_ready,
    ];
    for family in FAMILIES {
        drafts.extend(family(&mut case));
    }
}

#[cfg(test)]
mod tests;
