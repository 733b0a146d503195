//! Node lifecycle (pkg/controller/nodelifecycle): nodes that fall silent, the taints that conditions cause, and how fast
//! a zone may lose its nodes.

mod evict;
mod taints;
#[cfg(test)]
mod tests;

pub use evict::{Evictions, Orphans, tolerates};

use super::Controller;
use super::context::Context;
use super::queue::{Id, Queue};
use super::world::{Seen, World};
use crate::model::time::Timestamp;
use crate::sim::clock::seconds;
use crate::sim::object::{condition, holds, list, set, text};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const NODES: &str = "nodes";
const LEASES: &str = "leases.coordination.k8s.io";
const COMPONENT: &str = "node-controller";
/// Seconds of silence after which a node's state is unknown (`--node-monitor-grace-period`).
const GRACE: f64 = 50.0;
/// Seconds that a new node may take for its first word (`--node-startup-grace-period`).
const STARTUP: f64 = 60.0;
/// Seconds between two looks at all nodes (`--node-monitor-period`).
const PERIOD: i64 = 5000;
/// Nodes a second that may be tainted NoExecute in one zone (`--node-eviction-rate`, `--secondary-node-eviction-rate`).
const RATE: f64 = 0.1;
const SECONDARY_RATE: f64 = 0.01;
/// Seconds from finding a node unready to tainting it (nodeEvictionPeriod).
const HOLD: f64 = 0.1;
/// Share of unready nodes from which a zone is disrupted (`--unhealthy-zone-threshold`).
const UNHEALTHY: f64 = 0.55;
/// Nodes from which on a disrupted zone is emptied slowly rather than not at all (`--large-cluster-size-threshold`).
const LARGE: usize = 50;

/// What is known of a node.
#[derive(Debug, Clone, Default)]
struct Known {
    zone: String,
    /// Status of the Ready condition; empty without.
    ready: String,
    heartbeat: String,
    /// When it last said something.
    heard: Timestamp,
    /// Whether it ever did.
    spoke: bool,
}

/// The lifecycle controller.
#[derive(Default)]
pub struct Lifecycle {
    nodes: BTreeMap<String, Known>,
    /// By zone: nodes that wait to be tainted NoExecute, and when the next may be.
    waiting: BTreeMap<String, (VecDeque<String>, Timestamp)>,
    /// All zones are lost: rather the controller's own network is, so nothing is evicted.
    all_lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Normal,
    Partial,
    Full,
}

/// The next look at all nodes after `t`.
fn next_look(t: Timestamp) -> Timestamp {
    let ms = t.timestamp_millis();
    crate::sim::clock::at(ms + PERIOD - ms.rem_euclid(PERIOD))
}

impl Controller for Lifecycle {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        let object = seen.object();
        match seen.key() {
            LEASES if object.namespace == "kube-node-lease" && !seen.gone() => {
                if let Some(node) = self.nodes.get_mut(&object.name) {
                    node.heard = seen.now;
                    node.spoke = true;
                }
            }
            NODES if seen.gone() => {
                self.nodes.remove(&object.name);
            }
            NODES => {
                let value = object.shared();
                let ready = condition(&value, "Ready");
                let heartbeat = ready.map_or("", |c| text(c, "lastHeartbeatTime"));
                let status = ready.map_or("", |c| text(c, "status"));
                let fresh = !self.nodes.contains_key(&object.name);
                let known = self.nodes.entry(object.name.clone()).or_default();
                if fresh || known.heartbeat != heartbeat {
                    known.heard = seen.now;
                }
                known.spoke |= ready.is_some();
                heartbeat.clone_into(&mut known.heartbeat);
                known.zone = object.labels.get("topology.kubernetes.io/zone").cloned().unwrap_or_default();
                if known.ready != status {
                    status.clone_into(&mut known.ready);
                }
                queue.add(seen.id());
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let node = cx.get(id)?;
        let known = self.nodes.get(&id.name)?.clone();
        let grace = if known.spoke { GRACE } else { STARTUP };
        let mut silent_at = next_look(known.heard + seconds(grace));
        let node = if cx.now >= silent_at && !self.is_unknown(&id.name) {
            let node = fall_silent(cx, id, &node, known.spoke)?;
            if let Some(k) = self.nodes.get_mut(&id.name) {
                "Unknown".clone_into(&mut k.ready);
                condition(&node, "Ready").map_or("", |c| text(c, "lastHeartbeatTime")).clone_into(&mut k.heartbeat);
            }
            if known.ready == "True" {
                Self::mark_pods(cx, &node);
            }
            node
        } else {
            node
        };
        taints::sync_no_schedule(cx, id, &node);
        self.judge(cx, id, &node, &known.zone);
        if silent_at <= cx.now {
            silent_at = cx.now + seconds(GRACE);
        }
        if self.waiting.get(&known.zone).is_some_and(|(w, _)| !w.is_empty()) {
            self.taint_next(cx, &known.zone);
        }
        let more = self.waiting.get(&known.zone).filter(|(w, _)| !w.is_empty()).map(|(_, t)| *t);
        Some(more.filter(|t| *t > cx.now).map_or(silent_at, |t| t.min(silent_at)))
    }
}

impl Lifecycle {
    fn is_unknown(&self, name: &str) -> bool {
        self.nodes.get(name).is_some_and(|k| k.ready == "Unknown")
    }

    fn state(&self, zone: &str) -> (Zone, usize) {
        let all = self.nodes.values().filter(|n| n.zone == zone);
        let (ready, not): (Vec<_>, Vec<_>) = all.partition(|n| n.ready == "True");
        let (ready, not) = (ready.len(), not.len());
        let state = if ready == 0 && not > 0 {
            Zone::Full
        } else if not > 2 && not as f64 / (ready + not) as f64 >= UNHEALTHY {
            Zone::Partial
        } else {
            Zone::Normal
        };
        (state, ready + not)
    }

    /// Whether every zone is lost.
    fn everything_lost(&self) -> bool {
        !self.nodes.is_empty() && self.nodes.values().all(|n| n.ready != "True")
    }

    /// Nodes a second that may be tainted in a zone (setLimiterInZone).
    fn rate(&self, zone: &str) -> f64 {
        match self.state(zone) {
            (Zone::Partial, size) if size > LARGE => SECONDARY_RATE,
            (Zone::Partial, _) => 0.0,
            (Zone::Full, _) if self.all_lost => 0.0,
            _ => RATE,
        }
    }

    /// NoExecute taints by readiness: off at once, on by the zone's rate; a change of kind at once
    /// (processTaintBaseEviction, handleDisruption).
    fn judge(&mut self, cx: &Context<'_>, id: &Id, node: &Value, zone: &str) {
        let lost = self.everything_lost();
        if lost != self.all_lost {
            self.all_lost = lost;
            // All nodes are given a new start: into the loss by dropping the taints, out of it by not counting its silence.
            let names: Vec<String> = self.nodes.keys().cloned().collect();
            for name in names {
                if lost {
                    taints::clear_no_execute(cx, &Id::new(NODES, "", &name));
                } else if let Some(k) = self.nodes.get_mut(&name) {
                    k.heard = cx.now;
                }
            }
        }
        let ready = condition(node, "Ready").map_or("Unknown", |c| text(c, "status"));
        let wanted = taints::no_execute(ready);
        let entry = self.waiting.entry(zone.to_owned()).or_default();
        let Some(wanted) = wanted else {
            entry.0.retain(|n| *n != id.name);
            taints::clear_no_execute(cx, id);
            return;
        };
        if taints::has(node, wanted, "NoExecute") {
            return;
        }
        if taints::has_any_no_execute(node) {
            taints::set_no_execute(cx, id, wanted);
        } else if !entry.0.contains(&id.name) {
            entry.0.push_back(id.name.clone());
            // Not before the rest of this look has told how the zone stands.
            entry.1 = entry.1.max(cx.now + seconds(HOLD));
        }
    }

    /// Taints the next waiting node of a zone, if its rate allows.
    fn taint_next(&mut self, cx: &Context<'_>, zone: &str) {
        let rate = self.rate(zone);
        let Some((waiting, next)) = self.waiting.get_mut(zone) else { return };
        if rate <= 0.0 {
            *next = next_look(cx.now);
            return;
        }
        while *next <= cx.now {
            let Some(name) = waiting.pop_front() else { return };
            let id = Id::new(NODES, "", &name);
            let Some(node) = cx.get(&id) else { continue };
            let status = condition(&node, "Ready").map_or("Unknown", |c| text(c, "status"));
            if let Some(taint) = taints::no_execute(status) {
                taints::set_no_execute(cx, &id, taint);
                *next = cx.now + seconds(1.0 / rate);
            }
        }
    }

    /// The pods of a silent node serve nobody any more (MarkPodsNotReady).
    fn mark_pods(cx: &Context<'_>, node: &Value) {
        let time = cx.time();
        for pod in cx.world.pods_on(text(node, "metadata.name")).filter(|p| p.ready.is_some()) {
            let written = cx.update_status(&pod.id(), |v| {
                if let Some(all) = v.pointer_mut("/status/conditions").and_then(Value::as_array_mut)
                    && let Some(c) = all.iter_mut().find(|c| text(c, "type") == "Ready")
                {
                    set(c, "status", "False");
                    set(c, "lastTransitionTime", time.as_str());
                }
            });
            if let Some(v) = written {
                cx.event(&v, "Warning", "NodeNotReady", "Node is not ready", COMPONENT);
            }
        }
    }
}

/// Says of a node that nothing is known of it (tryUpdateNodeHealth).
fn fall_silent(cx: &Context<'_>, id: &Id, node: &Value, spoke: bool) -> Option<Arc<Value>> {
    let time = cx.time();
    let (reason, message) = if spoke {
        ("NodeStatusUnknown", "Kubelet stopped posting node status.")
    } else {
        ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
    };
    let was_ready = holds(node, "Ready");
    let written = cx.update_status(id, |v| {
        let mut all = list(v, "status.conditions").to_vec();
        for kind in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
            match all.iter_mut().find(|c| text(c, "type") == kind) {
                Some(c) if text(c, "status") == "Unknown" => {}
                Some(c) => {
                    set(c, "status", "Unknown");
                    set(c, "reason", reason);
                    set(c, "message", message);
                    set(c, "lastTransitionTime", time.as_str());
                }
                None => all.push(json!({
                    "type": kind, "status": "Unknown", "lastHeartbeatTime": text(v, "metadata.creationTimestamp"),
                    "lastTransitionTime": time, "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                })),
            }
        }
        set(v, "status.conditions", all);
    })?;
    if was_ready {
        let message = format!("Node {} status is now: NodeNotReady", id.name);
        cx.event(&written, "Normal", "NodeNotReady", &message, COMPONENT);
    }
    Some(written)
}
