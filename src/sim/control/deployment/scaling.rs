//! Sizes of ReplicaSets: a rollout's steps set them one by one, a change of the Deployment's size all in proportion.

use super::sets::{annotation, set_annotation};
use super::{COMPONENT, DESIRED, MAX, Work};
use crate::model::time::Timestamp;
use crate::sim::control::context::{created, replicas};
use crate::sim::object::{at, int, list, set, text, yes};
use std::cmp::Reverse;

impl Work<'_> {
    /// Whether the Deployment's size changed since its active sets were last told (isScalingEvent).
    pub(super) fn is_scaling(&mut self) -> bool {
        self.sync_revision(false);
        let desired = self.replicas();
        self.sets.iter().filter(|s| replicas(s) > 0).any(|s| number(s, DESIRED).is_some_and(|n| n != desired))
    }

    /// A paused Deployment, or one whose size changed.
    pub(super) fn sync_scale(&mut self) -> Option<Timestamp> {
        let new = self.sync_revision(false);
        self.scale(new);
        if yes(&self.d, "spec.paused") {
            self.clean_up();
        }
        self.write_status()
    }

    fn scale(&mut self, new: Option<usize>) {
        let desired = self.replicas();
        let active: Vec<usize> = (0..self.sets.len()).filter(|i| replicas(&self.sets[*i]) > 0).collect();
        let only = match active.as_slice() {
            // Nothing is active: the new one, else the newest.
            [] => new.or_else(|| self.sets.len().checked_sub(1)),
            [one] => Some(*one),
            _ => None,
        };
        if let Some(i) = only {
            self.resize(i, desired, false);
            return;
        }
        if active.is_empty() {
            return;
        }
        if let Some(n) = new.filter(|n| self.is_saturated(*n)) {
            for i in active.into_iter().filter(|i| *i != n) {
                self.resize(i, 0, false);
            }
            return;
        }
        if text(&self.d, "spec.strategy.type") != "Recreate" {
            self.scale_in_proportion(active);
        }
    }

    fn is_saturated(&self, new: usize) -> bool {
        let (rs, desired) = (&self.sets[new], self.replicas());
        replicas(rs) == desired
            && number(rs, DESIRED) == Some(desired)
            && int(rs, "status.availableReplicas").unwrap_or(0) == desired
    }

    fn scale_in_proportion(&mut self, mut active: Vec<usize>) {
        let desired = self.replicas();
        let allowed = if desired > 0 { desired + self.max_surge() } else { 0 };
        let add = allowed - active.iter().map(|i| replicas(&self.sets[*i])).sum::<i64>();
        // The larger first; of equals the newer when growing, the older when shrinking.
        active.sort_by_key(|i| {
            let age = created(&self.sets[*i]).timestamp();
            (Reverse(replicas(&self.sets[*i])), if add > 0 { -age } else { age })
        });
        let mut added = 0;
        let mut sizes: Vec<i64> = Vec::with_capacity(active.len());
        for i in &active {
            let share = if add == 0 || add == added { 0 } else { self.share(*i, add - added, add > 0) };
            sizes.push(replicas(&self.sets[*i]) + share);
            added += share;
        }
        if let Some(first) = sizes.first_mut() {
            *first = (*first + add - added).max(0);
        }
        for (i, size) in active.into_iter().zip(sizes) {
            self.resize(i, size, true);
        }
    }

    /// What of the pods to add or remove falls to one set (GetReplicaSetProportion).
    fn share(&self, index: usize, allowed: i64, growing: bool) -> i64 {
        let rs = &self.sets[index];
        let size = replicas(rs);
        if size == 0 {
            return 0;
        }
        let desired = self.replicas();
        let fraction = if desired == 0 {
            -size
        } else {
            let before = number(rs, MAX).filter(|n| *n != 0).or(int(&self.d, "status.replicas")).unwrap_or(0);
            if before == 0 {
                0
            } else {
                let exact = (size * (desired + self.max_surge())) as f64 / before as f64;
                exact.round() as i64 - size
            }
        };
        if growing { fraction.min(allowed) } else { fraction.max(allowed) }
    }

    /// Gives a set its size; with `always` also what it tells of the Deployment's size. Whether the size changed
    /// (scaleReplicaSet).
    pub(super) fn resize(&mut self, index: usize, size: i64, always: bool) -> bool {
        let old = replicas(&self.sets[index]);
        let (desired, max) = (self.replicas(), self.replicas() + self.max_surge());
        let told = number(&self.sets[index], DESIRED) == Some(desired) && number(&self.sets[index], MAX) == Some(max);
        if old == size && (!always || told) {
            return false;
        }
        let id = Self::set_id(&self.sets[index]);
        let written = self.cx.update(&id, |v| {
            set(v, "spec.replicas", size);
            set_annotation(v, DESIRED, &desired.to_string());
            set_annotation(v, MAX, &max.to_string());
        });
        let Some(written) = written else { return false };
        self.sets[index] = written;
        if old == size {
            return false;
        }
        let way = if old < size { "up" } else { "down" };
        let message = format!("Scaled {way} replica set {} from {old} to {size}", id.name);
        self.cx.event(&self.d, "Normal", "ScalingReplicaSet", &message, COMPONENT);
        true
    }

    /// Deletes empty old sets beyond the history limit (cleanupDeployment).
    pub(super) fn clean_up(&mut self) {
        let limit = int(&self.d, "spec.revisionHistoryLimit").unwrap_or(10);
        let mut old: Vec<usize> = self
            .old_sets()
            .into_iter()
            .filter(|i| at(&self.sets[*i], "metadata.deletionTimestamp").is_none())
            .collect();
        let excess = old.len() as i64 - limit;
        if excess <= 0 {
            return;
        }
        old.sort_by_key(|i| super::sets::revision(&self.sets[*i]));
        for i in old.into_iter().take(excess as usize) {
            let rs = &self.sets[i];
            let busy = int(rs, "status.replicas").unwrap_or(0) != 0
                || replicas(rs) != 0
                || int(rs, "metadata.generation").unwrap_or(0) > int(rs, "status.observedGeneration").unwrap_or(0)
                || !list(rs, "metadata.finalizers").is_empty();
            if !busy {
                self.cx.delete(&Self::set_id(rs), text(rs, "metadata.uid"));
            }
        }
    }
}

/// A whole number that is not negative, in an annotation.
fn number(object: &serde_json::Value, name: &str) -> Option<i64> {
    annotation(object, name)?.parse().ok().filter(|n| *n >= 0)
}
