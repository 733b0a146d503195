//! Deployments (pkg/controller/deployment): which ReplicaSet is the new one, how many pods each may have, and what the
//! status tells of it.

mod rollout;
mod scaling;
pub(super) mod sets;
mod status;
#[cfg(test)]
mod tests;

use super::Controller;
use super::context::{Context, id_of};
use super::queue::{Id, Queue};
use super::select;
use super::world::{Seen, World};
use crate::model::time::Timestamp;
use crate::sim::object::{at, int, text, yes};
use serde_json::Value;
use std::sync::Arc;

const KEY: &str = "deployments.apps";
const SETS: &str = "replicasets.apps";
const COMPONENT: &str = "deployment-controller";

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const ROLLBACK: &str = "deprecated.deployment.rollback.to";
pub(super) const HASH: &str = "pod-template-hash";

pub struct Deployments;

impl Controller for Deployments {
    fn observe(&mut self, seen: &Seen<'_>, world: &World, queue: &mut Queue) {
        match seen.key() {
            KEY if !seen.gone() => queue.add(seen.id()),
            SETS => {
                seen.controllers("Deployment", KEY).into_iter().for_each(|id| queue.add(id));
                if !seen.gone() && seen.meta.controller().is_none() {
                    queue.add(Id::new("namespaces", "", &seen.object().namespace));
                }
            }
            // Recreate waits for the last old pod to be gone.
            "pods" if seen.gone() => {
                let set = seen.meta.controller().filter(|o| o.kind == "ReplicaSet");
                let owners = set.map(|o| world.owners(&Id::new(SETS, &seen.object().namespace, &o.name)));
                if let Some(d) = owners.and_then(|all| all.iter().find(|o| o.controller && o.kind == "Deployment")) {
                    queue.add(Id::new(KEY, &seen.object().namespace, &d.name));
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        if &*id.key == "namespaces" {
            // A ReplicaSet without a controller appeared here: whoever selects it adopts it.
            let orphans: Vec<_> =
                cx.world.orphans(SETS, &id.name).filter_map(|n| cx.store.get(SETS, &id.name, n)).collect();
            for stored in cx.store.list(KEY, Some(&id.name)).1.iter().filter(|_| !orphans.is_empty()) {
                let d = stored.shared();
                if orphans.iter().any(|o| select::matches(at(&d, "spec.selector"), &o.labels)) {
                    sync(cx, &Id::of(stored));
                }
            }
            return None;
        }
        sync(cx, id)
    }
}

/// A Deployment and its ReplicaSets in one reconcile.
struct Work<'a> {
    cx: &'a Context<'a>,
    id: &'a Id,
    d: Value,
    /// All it controls, oldest first.
    sets: Vec<Arc<Value>>,
    /// Index of the oldest with the present template.
    new: Option<usize>,
}

fn sync(cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
    let d = cx.get(id)?;
    if select::selects_nothing(at(&d, "spec.selector")) {
        return None;
    }
    let mut sets = cx.claim(SETS, &d, at(&d, "spec.selector"));
    sort_oldest_first(&mut sets);
    let wanted = sets::normal(at(&d, "spec.template"));
    let new = sets.iter().position(|s| sets::normal(at(s, "spec.template")) == wanted);
    let mut work = Work { cx, id, d: Arc::unwrap_or_clone(d), sets, new };
    if at(&work.d, "metadata.deletionTimestamp").is_some() {
        work.sync_revision(false);
        return work.write_status();
    }
    work.note_pause();
    if yes(&work.d, "spec.paused") || work.is_scaling() {
        return work.sync_scale();
    }
    if text(&work.d, "spec.strategy.type") == "Recreate" { work.recreate() } else { work.roll() }
}

fn sort_oldest_first(sets: &mut [Arc<Value>]) {
    sets.sort_by_cached_key(|s| (super::context::created(s), text(s, "metadata.name").to_owned()));
}

impl Work<'_> {
    fn replicas(&self) -> i64 {
        super::context::replicas(&self.d)
    }

    /// maxSurge and maxUnavailable in pods; RollingUpdate only (ResolveFenceposts).
    fn fenceposts(&self) -> (i64, i64) {
        if text(&self.d, "spec.strategy.type") == "Recreate" {
            return (0, 0);
        }
        let desired = self.replicas();
        let of = |field: &str, up: bool| {
            let value = at(&self.d, &format!("spec.strategy.rollingUpdate.{field}"));
            let quarter = Value::from("25%");
            super::context::scaled(value.or(Some(&quarter)), desired, up).unwrap_or(0)
        };
        let (surge, unavailable) = (of("maxSurge", true), of("maxUnavailable", false));
        if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
    }

    fn max_surge(&self) -> i64 {
        self.fenceposts().0
    }

    fn max_unavailable(&self) -> i64 {
        if self.replicas() == 0 { 0 } else { self.fenceposts().1.min(self.replicas()) }
    }

    /// Seconds; `None`: no progress is asked for.
    fn deadline(&self) -> Option<i64> {
        int(&self.d, "spec.progressDeadlineSeconds").or(Some(600)).filter(|s| *s != i64::from(i32::MAX))
    }

    fn set_id(set: &Value) -> Id {
        id_of(SETS, set)
    }
}
