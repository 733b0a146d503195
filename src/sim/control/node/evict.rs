//! What happens to the pods of tainted nodes (pkg/controller/tainteviction), and to pods whose node is gone
//! (pkg/controller/podgc).

use super::NODES;
use crate::model::time::Timestamp;
use crate::sim::clock::seconds;
use crate::sim::control::Controller;
use crate::sim::control::context::Context;
use crate::sim::control::queue::{Id, Queue};
use crate::sim::control::world::{Seen, World};
use crate::sim::object::{int, list, set, set_condition, text};
use crate::sim::store::Delete;
use serde_json::Value;
use std::collections::BTreeMap;

const TAINTS: &str = "taint-eviction-controller";
/// Seconds that a pod of an unknown node waits for the node to show up.
const QUARANTINE: f64 = 40.0;

/// Deletes pods that do not tolerate the NoExecute taints of their node, or no longer.
#[derive(Default)]
pub struct Evictions {
    /// NoExecute taints by node, without entry for none.
    tainted: BTreeMap<String, Vec<Value>>,
    /// Since when a pod has been bearing them.
    since: BTreeMap<Id, Timestamp>,
}

impl Controller for Evictions {
    fn observe(&mut self, seen: &Seen<'_>, world: &World, queue: &mut Queue) {
        let object = seen.object();
        match seen.key() {
            NODES => {
                let all: Vec<Value> = if seen.gone() || !object.body.contains("NoExecute") {
                    Vec::new()
                } else {
                    let node = object.shared();
                    list(&node, "spec.taints").iter().filter(|t| text(t, "effect") == "NoExecute").cloned().collect()
                };
                if self.tainted.get(&object.name).map_or(&[][..], Vec::as_slice) == all.as_slice() {
                    return;
                }
                if all.is_empty() {
                    self.tainted.remove(&object.name);
                } else {
                    self.tainted.insert(object.name.clone(), all);
                }
                world.pods_on(&object.name).for_each(|p| queue.add(p.id()));
            }
            "pods" => {
                let id = seen.id();
                if seen.gone() {
                    self.since.remove(&id);
                } else if !self.tainted.is_empty()
                    && world.pod(&id.namespace, &id.name).is_some_and(|p| self.tainted.contains_key(&p.node))
                {
                    queue.add(id);
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let known = cx.world.pod(&id.namespace, &id.name)?;
        let pod = cx.get(id)?;
        let Some(taints) = self.tainted.get(&known.node).filter(|_| !known.deleting) else {
            if self.since.remove(id).is_some() && !known.deleting {
                let message = format!("Cancelling deletion of Pod {}/{}", id.namespace, id.name);
                cx.event(&pod, "Normal", "TaintManagerEviction", &message, TAINTS);
            }
            return None;
        };
        let tolerations = list(&pod, "spec.tolerations");
        let mut patience: Option<i64> = None;
        let mut untolerated = false;
        for taint in taints {
            let bearing: Vec<&Value> = tolerations.iter().filter(|t| tolerates(t, taint)).collect();
            untolerated |= bearing.is_empty();
            let shortest = bearing.iter().filter_map(|t| int(t, "tolerationSeconds")).map(|s| s.max(0)).min();
            patience = [patience, shortest].into_iter().flatten().min();
        }
        if !untolerated && patience.is_none() {
            return None;
        }
        let since = *self.since.entry(id.clone()).or_insert(cx.now);
        let due = if untolerated { cx.now } else { since + seconds(patience.unwrap_or(0) as f64) };
        if due > cx.now {
            return Some(due);
        }
        self.since.remove(id);
        disrupt(cx, id, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
        let message = format!("Marking for deletion Pod {}/{}", id.namespace, id.name);
        cx.event(&pod, "Normal", "TaintManagerEviction", &message, TAINTS);
        cx.delete(id, &known.stored.uid);
        None
    }
}

/// Whether a toleration bears a taint (Toleration.ToleratesTaint).
pub fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (effect, key) = (text(toleration, "effect"), text(toleration, "key"));
    (effect.is_empty() || effect == text(taint, "effect"))
        && (key.is_empty() || key == text(taint, "key"))
        && match text(toleration, "operator") {
            "Exists" => true,
            "" | "Equal" => text(toleration, "value") == text(taint, "value"),
            _ => false,
        }
}

/// Says on the pod that it is being disrupted.
fn disrupt(cx: &Context<'_>, id: &Id, reason: &str, message: &str) {
    let time = cx.time();
    cx.update_status(id, |v| {
        set_condition(v, "DisruptionTarget", "True", reason, message, &time);
    });
}

/// Removes pods whose node is gone, and pods that were deleted before they had a node.
pub struct Orphans;

impl Controller for Orphans {
    fn observe(&mut self, seen: &Seen<'_>, world: &World, queue: &mut Queue) {
        match seen.key() {
            NODES if seen.gone() => {
                for pod in world.pods_on(&seen.object().name) {
                    queue.at(pod.id(), seen.now + seconds(QUARANTINE));
                }
            }
            "pods" if !seen.gone() => {
                let Some(pod) = world.pod(&seen.object().namespace, &seen.object().name) else { return };
                let moved = seen.pod_before.as_ref().is_none_or(|b| b.node != pod.node);
                if moved && !pod.node.is_empty() {
                    queue.at(seen.id(), seen.now + seconds(QUARANTINE));
                }
                if pod.node.is_empty() && pod.deleting {
                    queue.add(seen.id());
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let pod = cx.world.pod(&id.namespace, &id.name)?;
        let there = !pod.node.is_empty() && cx.store.get(NODES, "", &pod.node).is_some();
        if there || (pod.node.is_empty() && !pod.deleting) {
            return None;
        }
        if !pod.node.is_empty() {
            disrupt(cx, id, "DeletionByPodGC", "PodGC: node no longer exists");
            if !pod.ended() {
                cx.update_status(id, |v| set(v, "status.phase", "Failed"));
            }
        }
        let how = Delete { grace: Some(0), uid: Some(pod.stored.uid.clone()), ..Delete::default() };
        // It may have gone by itself meanwhile.
        drop(cx.store.delete(&id.key, &id.namespace, &id.name, &how));
        None
    }
}
