//! What belongs together and why (A5): findings, anomalies and the first signs in the rings become incidents, each with the
//! suspects that are likeliest to be its cause.
//!
//! A look at a snapshot goes through five steps, one file each:
//!
//! 1. `sight`: who suffers, from what and since when, by pods that are missing and by signals out of their normal. This is
//!    quicker than findings and anomalies, which wait to be certain; they join in when they come;
//! 2. `change`: what somebody changed lately, told by comparing snapshots;
//! 3. `rank`: what each workload, node and zone has against it, and who explains whom: along calls, by a node or a zone,
//!    by demand that comes from a caller;
//! 4. `group`: who is explained belongs to the incident of the one that explains it; who is not, has an incident of its own;
//! 5. `file`: incidents keep their names while they last, have a timeline, end when all is calm, and are forgotten after a day.
//!
//! **Sureness is a weight, not a probability**: the scores of an incident's suspects and of `something else`, normalised. How
//! often a first suspect of a given sureness is right is measured on the simulated cluster (`cargo bench --bench figures --
//! causes`).

mod change;
mod file;
mod group;
mod rank;
mod sight;
mod tell;
#[cfg(test)]
mod tests;

use crate::model::anomaly::Anomalies;
use crate::model::finding::Finding;
use crate::model::incident::Incidents;
use crate::model::object::WorkloadKey;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A call that was not seen for so long is none any more.
const CALLS_LAST: TimeDelta = TimeDelta::hours(1);

/// What a look goes by.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What is.
    pub snapshot: Arc<Snapshot>,
    /// What the fault classifier says.
    pub findings: Arc<[Arc<Finding>]>,
    /// Bursts of anomalies.
    pub anomalies: Arc<Anomalies>,
    /// Who calls whom as traces tell, beside what the snapshot's metrics tell.
    pub edges: Arc<[(WorkloadKey, WorkloadKey)]>,
    /// What was proposed: finding and title of the proposal.
    pub proposals: Arc<[(Arc<str>, Arc<str>)]>,
}

/// The calls that are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    seen: BTreeMap<(WorkloadKey, WorkloadKey), Timestamp>,
    down: BTreeMap<WorkloadKey, BTreeSet<WorkloadKey>>,
    up: BTreeMap<WorkloadKey, BTreeSet<WorkloadKey>>,
}

impl Calls {
    fn look(&mut self, seen: &Seen, now: Timestamp) {
        let told = seen.snapshot.metrics.calls.iter().map(|c| (c.caller.clone(), c.callee.clone()));
        for edge in told.chain(seen.edges.iter().cloned()).filter(|(a, b)| a != b) {
            self.seen.insert(edge, now);
        }
        self.seen.retain(|_, at| now - *at <= CALLS_LAST);
        (self.down, self.up) = <_>::default();
        for (caller, callee) in self.seen.keys() {
            self.down.entry(caller.clone()).or_default().insert(callee.clone());
            self.up.entry(callee.clone()).or_default().insert(caller.clone());
        }
    }

    /// Whom it calls.
    fn callees(&self, key: &WorkloadKey) -> impl Iterator<Item = &WorkloadKey> {
        self.down.get(key).into_iter().flatten()
    }

    /// Who calls it.
    fn callers(&self, key: &WorkloadKey) -> impl Iterator<Item = &WorkloadKey> {
        self.up.get(key).into_iter().flatten()
    }

    /// Whether one waits for the other, over any number of calls.
    fn reaches(&self, from: &WorkloadKey, to: &WorkloadKey) -> bool {
        let (mut left, mut met) = (vec![from], BTreeSet::new());
        while let Some(key) = left.pop() {
            if key == to {
                return true;
            }
            left.extend(self.callees(key).filter(|c| met.insert((*c).clone())));
        }
        false
    }
}

/// Keeps the incidents. One per cluster; does no I/O. What it remembers is bounded by what the snapshots hold and by a day of incidents.
#[derive(Debug, Default)]
pub struct Reasoner {
    sight: sight::Sight,
    changes: change::Changes,
    calls: Calls,
    file: file::File,
}

impl Reasoner {
    /// A reasoner that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at what is known now and gives all incidents.
    pub fn look(&mut self, seen: &Seen, now: Timestamp) -> Incidents {
        self.calls.look(seen, now);
        self.changes.look(&seen.snapshot, now);
        let troubles = self.sight.look(seen, now);
        let scene = rank::Scene::new(seen, &self.calls, &self.changes, (troubles, self.sight.robbed()), now);
        let groups = group::groups(&scene);
        self.file.take(&scene, &groups, now)
    }
}
