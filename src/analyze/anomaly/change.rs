//! What was done to a workload: rollouts, more or fewer pods, restarts. They explain new levels and name suspects.

use crate::model::anomaly::Change;
use crate::model::cluster::Workload;
use crate::model::pod::ContainerSpec;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::VecDeque;
use std::sync::Arc;

/// Changes remembered.
const MOST: usize = 24;

/// A change this long before an anomaly can be its cause; the sample that shows it may carry a slightly older time.
const CAUSE: TimeDelta = TimeDelta::minutes(30);
const SKEW: TimeDelta = TimeDelta::seconds(30);

/// What a restart is called.
const RESTARTED: &str = "containers of it were restarted";

/// Changes of one workload, by time.
#[derive(Debug, Default)]
pub(super) struct Changes {
    known: VecDeque<Change>,
    before: Option<Facts>,
}

/// What is compared between two looks.
#[derive(Debug)]
struct Facts {
    revision: Option<u64>,
    template: Arc<[ContainerSpec]>,
    pods: usize,
    restarts: u32,
}

impl Changes {
    /// Takes in the workload as it is now. At first sight its revisions tell of the rollouts before.
    pub fn look(&mut self, workload: &Workload, now: Timestamp) {
        let newest = workload.revisions.first();
        let facts = Facts {
            revision: newest.map(|r| r.number),
            template: workload.template.clone(),
            pods: workload.live_pods().count(),
            restarts: workload.restarts(),
        };
        let Some(before) = self.before.replace(facts) else {
            for r in workload.revisions.iter().rev() {
                self.add(r.created, format!("revision {} was rolled out", r.number), true);
            }
            return;
        };
        let Some(facts) = &self.before else { return };
        let (pods, restarts) = (facts.pods, facts.restarts);
        match newest {
            Some(r) if before.revision != Some(r.number) => {
                // A rollback brings an old ReplicaSet back under a new number.
                let back = before.revision.is_some_and(|b| r.number < b) || now - r.created > CAUSE;
                let at = if back { now } else { r.created };
                self.add(at, format!("revision {} was rolled out", r.number), true);
            }
            None if !Arc::ptr_eq(&before.template, &workload.template) && before.template != workload.template => {
                self.add(now, "its template was changed".into(), true);
            }
            _ => {}
        }
        if pods != before.pods {
            self.add(now, format!("its pods went from {} to {pods}", before.pods), false);
        }
        if restarts > before.restarts {
            self.add(now, RESTARTED.into(), false);
        }
    }

    fn add(&mut self, at: Timestamp, what: String, rollout: bool) {
        if self.known.len() == MOST {
            self.known.pop_front();
        }
        let place = self.known.partition_point(|c| c.at <= at);
        self.known.insert(place, Change { at, what: what.into(), rollout });
    }

    /// Whether something was changed at most `span` before `at`.
    pub fn within(&self, at: Timestamp, span: TimeDelta) -> bool {
        self.known.iter().any(|c| c.at <= at + SKEW && at - c.at <= span)
    }

    /// Whether it was rolled out, or its pods became more or fewer, at most `span` before `at`: restarts are left out, for
    /// a leak has them.
    pub fn rolled(&self, at: Timestamp, span: TimeDelta) -> bool {
        self.known.iter().any(|c| &*c.what != RESTARTED && c.at <= at + SKEW && at - c.at <= span)
    }

    /// When it was last rolled out, or its pods became more or fewer, before `at`.
    pub fn last_rolled(&self, at: Timestamp) -> Option<Timestamp> {
        self.known.iter().rev().find(|c| &*c.what != RESTARTED && c.at <= at).map(|c| c.at)
    }

    /// How often containers of it were restarted, as far as it was looked at, at most `span` before `at`.
    pub fn restarts(&self, at: Timestamp, span: TimeDelta) -> usize {
        let near = |c: &&Change| &*c.what == RESTARTED && c.at <= at + SKEW && at - c.at <= span;
        self.known.iter().filter(near).count()
    }

    /// What can have caused something that began at `since`: rollouts first, then the latest first.
    pub fn before(&self, since: Timestamp) -> Vec<Change> {
        let near = self.known.iter().rev().filter(|c| c.at <= since + SKEW && since - c.at <= CAUSE);
        let (mut rollouts, others): (Vec<Change>, Vec<Change>) = near.cloned().partition(|c| c.rollout);
        rollouts.extend(others);
        rollouts.truncate(3);
        rollouts
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.known.iter().map(|c| size_of::<Change>() + c.what.len()).sum()
    }
}
