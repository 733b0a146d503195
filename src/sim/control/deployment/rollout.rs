//! One step of a rollout (rolling.go, recreate.go).

use super::Work;
use crate::model::time::Timestamp;
use crate::sim::control::context::replicas;
use crate::sim::object::{int, text};

fn available(rs: &serde_json::Value) -> i64 {
    int(rs, "status.availableReplicas").unwrap_or(0)
}

impl Work<'_> {
    /// RollingUpdate: grow the new set if there is room, else shrink the old ones if enough is available.
    pub(super) fn roll(&mut self) -> Option<Timestamp> {
        let Some(new) = self.sync_revision(true) else { return self.write_rollout_status(None) };
        if self.grow_new(new) || self.shrink_old(new) {
            return self.write_rollout_status(Some(new));
        }
        if self.is_complete(&self.d) {
            self.clean_up();
        }
        self.write_rollout_status(Some(new))
    }

    fn grow_new(&mut self, new: usize) -> bool {
        let (own, desired) = (replicas(&self.sets[new]), self.replicas());
        if own == desired {
            return false;
        }
        let size = if own > desired { desired } else { self.new_size(&self.sets[new]) };
        self.resize(new, size, false)
    }

    fn shrink_old(&mut self, new: usize) -> bool {
        let old: Vec<usize> = self.old_sets().into_iter().filter(|i| replicas(&self.sets[*i]) > 0).collect();
        if old.is_empty() {
            return false;
        }
        let all: i64 = self.sets.iter().map(|s| replicas(s)).sum();
        let least = self.replicas() - self.max_unavailable();
        let waiting = replicas(&self.sets[new]) - available(&self.sets[new]);
        let room = all - least - waiting;
        if room <= 0 {
            return false;
        }
        let cleaned = self.drop_unhealthy(&old, room);
        let spare = self.sets.iter().map(|s| available(s)).sum::<i64>() - least;
        let mut dropped = 0;
        for i in old {
            if dropped >= spare {
                break;
            }
            let size = replicas(&self.sets[i]);
            let drop = size.min(spare - dropped);
            if size > 0 {
                self.resize(i, size - drop, false);
                dropped += drop;
            }
        }
        cleaned + dropped > 0
    }

    /// Old pods that serve nobody go first (cleanupUnhealthyReplicas).
    fn drop_unhealthy(&mut self, old: &[usize], room: i64) -> i64 {
        let mut dropped = 0;
        for i in old {
            let (size, healthy) = (replicas(&self.sets[*i]), available(&self.sets[*i]));
            let drop = (room - dropped).min(size - healthy);
            if size > 0 && drop > 0 {
                self.resize(*i, size - drop, false);
                dropped += drop;
            }
        }
        dropped
    }

    /// Recreate: everything old goes before anything new comes.
    pub(super) fn recreate(&mut self) -> Option<Timestamp> {
        let new = self.sync_revision(false);
        let old = self.old_sets();
        let mut shrunk = false;
        for i in &old {
            if replicas(&self.sets[*i]) > 0 {
                shrunk |= self.resize(*i, 0, false);
            }
        }
        if shrunk || self.old_pods_run(&old) {
            return self.write_rollout_status(new);
        }
        let Some(new) = new.or_else(|| self.sync_revision(true)) else { return self.write_rollout_status(None) };
        self.resize(new, self.replicas(), false);
        if self.is_complete(&self.d) {
            self.clean_up();
        }
        self.write_rollout_status(Some(new))
    }

    fn old_pods_run(&self, old: &[usize]) -> bool {
        old.iter().any(|i| {
            int(&self.sets[*i], "status.replicas").unwrap_or(0) > 0
                || self.cx.world.pods_of(text(&self.sets[*i], "metadata.uid")).any(|p| !p.ended())
        })
    }
}
