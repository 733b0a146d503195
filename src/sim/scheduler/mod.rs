//! The scheduler: a queue of pods without a node, filters and scores over an incremental table of who uses what,
//! binding, and the preemption of less important pods. Modelled on kube-scheduler 1.36 with its default plugins; texts
//! as that version writes them.

pub mod filter;
mod preempt;
mod queue;
pub mod requests;
mod score;
pub mod selector;
pub mod table;
mod topology;

use super::clock::rfc3339;
use super::engine::Actor;
use super::events;
use super::fields::Writer;
use super::noise::Noise;
use super::object::{at, controller, int, list, set, set_condition, text};
use super::store::{Change, Store, StoreError, Stored, What};
use crate::model::time::Timestamp;
use filter::{Refusal, Wanted, refused};
use queue::Queue;
use selector::Labels;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use table::{Key, Node, Table};
use topology::Relations;

/// Who it says it is, in events and managed fields.
pub const NAME: &str = "default-scheduler";

/// Node labels that a pod takes over when it is bound (KEP-4742).
const TOPOLOGY: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

/// Places pods on nodes.
#[derive(Debug)]
pub struct Scheduler {
    store: Arc<Store>,
    noise: Noise,
    table: Table,
    namespaces: BTreeMap<String, Labels>,
    queue: Queue,
    /// Pods that wait for their victims to leave: node and what is kept for them.
    nominated: BTreeMap<Key, (Arc<str>, requests::Ask, i64)>,
    /// Where the search for possible nodes goes on, in fleets too large to look at each node for each pod.
    next_node: usize,
}

/// What became of a decision.
enum Outcome {
    Node(Arc<str>),
    /// The message, and the refusals by node.
    Nowhere(String),
}

impl Scheduler {
    /// A scheduler for the pods of `store`.
    pub fn new(store: Arc<Store>, noise: Noise) -> Self {
        Self {
            store,
            noise: noise.of("scheduler"),
            table: Table::default(),
            namespaces: BTreeMap::new(),
            queue: Queue::default(),
            nominated: BTreeMap::new(),
            next_node: 0,
        }
    }

    fn pod(&mut self, change: &Change) {
        let stored = &change.object;
        let key = (stored.namespace.clone(), stored.name.clone());
        // A fleet's pods are many and all placed: their bodies are not read here.
        let placed = stored.labels.contains_key(table::FILLER) && stored.body.contains("\"nodeName\":\"");
        if change.what == What::Deleted || placed {
            self.queue.forget(&key);
            self.nominated.remove(&key);
            if self.table.pod(stored, change.what) {
                self.queue.woken();
            }
            return;
        }
        let object = stored.shared();
        if !text(&object, "spec.nodeName").is_empty() {
            self.queue.forget(&key);
            self.nominated.remove(&key);
            if self.table.pod(stored, change.what) {
                self.queue.woken();
            }
        } else if wants(&object) {
            let spec = object["spec"].to_string();
            self.queue.offer(key, int(&object, "spec.priority").unwrap_or(0), spec);
        }
    }

    /// Tries to place one pod.
    fn place(&mut self, key: &Key, now: Timestamp) {
        let Some(stored) = self.store.get("pods", &key.0, &key.1) else { return };
        let object = stored.shared();
        if !wants(&object) {
            return;
        }
        if !list(&object, "spec.schedulingGates").is_empty() {
            let why = "Scheduling is blocked due to non-empty scheduling gates";
            self.say_unscheduled(&stored, "SchedulingGated", why, now);
            self.queue.park(key.clone(), now);
            return;
        }
        match self.decide(&object, &stored, now) {
            Outcome::Node(node) => self.bind(&object, &stored, &node, now),
            Outcome::Nowhere(message) => {
                self.say_unscheduled(&stored, "Unschedulable", &message, now);
                let (pod, kind) = (&object, "Warning");
                events::record(&self.store, self.noise, now, pod, kind, "FailedScheduling", &message, NAME);
                self.queue.park(key.clone(), now);
            }
        }
    }

    fn decide(&mut self, object: &Value, stored: &Arc<Stored>, now: Timestamp) -> Outcome {
        let total = self.table.nodes.values().filter(|n| n.there).count();
        if total == 0 {
            return Outcome::Nowhere("no nodes available to schedule pods".to_owned());
        }
        if let Some(claim) = self.missing_claim(object) {
            let message =
                format!("0/{total} nodes are available: persistentvolumeclaim \"{claim}\" not found. not found");
            return Outcome::Nowhere(message);
        }
        let spec = &object["spec"];
        let pod = Wanted {
            spec,
            namespace: &stored.namespace,
            labels: &stored.labels,
            ask: requests::of_pod(spec),
            ports: table::host_ports(spec),
        };
        let relations = Relations::new(&pod, &self.table, &self.namespaces);
        let key = (stored.namespace.clone(), stored.name.clone());
        let (found, refusals) = self.search(&pod, &key, &relations, total);
        if found.is_empty() {
            let text = preempt::explain(total, &refusals);
            let after = self.preempt(object, &pod, &key, &relations, &refusals, now);
            let more = if after { String::new() } else { format!(" {}", preempt::unhelpful(total, &refusals)) };
            return Outcome::Nowhere(text + &more);
        }
        if let [only] = &found[..] {
            return Outcome::Node(only.clone());
        }
        let candidates: Vec<(&str, &Node)> = found.iter().map(|n| (&**n, &self.table.nodes[n])).collect();
        let owner = controller(object).map(|(_, _, uid)| uid);
        let scores = score::scores(&pod, owner, &self.table, &self.namespaces, &candidates);
        let tie = self.noise.of(&stored.uid);
        let best = (0..candidates.len())
            .max_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(tie.bits(*a as i64).cmp(&tie.bits(*b as i64))))
            .unwrap_or(0);
        Outcome::Node(found[best].clone())
    }

    /// Possible nodes, as many as are needed, and why the others are not. Where one is named and possible, the others are
    /// not asked.
    fn search(
        &mut self,
        pod: &Wanted<'_>,
        key: &Key,
        relations: &Relations,
        total: usize,
    ) -> (Vec<Arc<str>>, Vec<(Arc<str>, Refusal)>) {
        let known = filter::pinned(pod.spec).and_then(|name| self.table.nodes.get_key_value(name));
        if let Some((name, node)) = known.filter(|(_, n)| n.there)
            && self.judge(pod, key, relations, name, node).is_none()
        {
            return (vec![name.clone()], Vec::new());
        }
        let names: Vec<&Arc<str>> = self.table.nodes.iter().filter(|(_, n)| n.there).map(|(k, _)| k).collect();
        let enough = enough(total);
        let (mut found, mut refusals, mut looked) = (Vec::new(), Vec::new(), 0);
        for i in 0..names.len() {
            let name = names[(self.next_node + i) % names.len()];
            looked += 1;
            match self.judge(pod, key, relations, name, &self.table.nodes[name]) {
                Some(r) => refusals.push((name.clone(), r)),
                None => found.push(name.clone()),
            }
            if found.len() >= enough {
                break;
            }
        }
        // In a small fleet all are looked at, and the order stays.
        self.next_node = (self.next_node + looked) % names.len().max(1);
        found.sort();
        (found, refusals)
    }

    /// Why a pod may not go to a node; what is kept there for others that are as important counts as used.
    fn judge(
        &self,
        pod: &Wanted<'_>,
        key: &Key,
        relations: &Relations,
        name: &Arc<str>,
        node: &Node,
    ) -> Option<Refusal> {
        let mine = int(pod.spec, "priority").unwrap_or(0);
        let mut with = None;
        for (_, (_, ask, _)) in self.nominated.iter().filter(|(k, (n, _, p))| *k != key && n == name && *p >= mine) {
            let copy: &mut Node = with.get_or_insert_with(|| node.clone());
            copy.used.add(ask, 1);
            copy.pods += 1;
        }
        refused(pod, name, with.as_ref().unwrap_or(node), relations)
    }

    fn missing_claim(&self, object: &Value) -> Option<String> {
        let namespace = text(object, "metadata.namespace");
        let claims = list(object, "spec.volumes").iter().map(|v| text(v, "persistentVolumeClaim.claimName"));
        let missing = |c: &&str| !c.is_empty() && self.store.get("persistentvolumeclaims", namespace, c).is_none();
        claims.into_iter().find(missing).map(str::to_owned)
    }

    fn bind(&mut self, object: &Value, stored: &Arc<Stored>, node: &Arc<str>, now: Timestamp) {
        let labels: Vec<(&str, String)> =
            TOPOLOGY.iter().filter_map(|l| Some((*l, self.table.nodes.get(node)?.labels.get(*l)?.clone()))).collect();
        let writer = Writer { manager: "kube-scheduler", subresource: "binding" };
        let time = rfc3339(now);
        let bound = self.store.modify("pods", &stored.namespace, &stored.name, writer, |pod| {
            if text(pod, "metadata.uid") != stored.uid || !text(pod, "spec.nodeName").is_empty() {
                return Err(StoreError::Conflict("pod has changed".to_owned()));
            }
            set(pod, "spec.nodeName", &**node);
            if !labels.is_empty() && at(pod, "metadata.labels").is_none() {
                set(pod, "metadata.labels", serde_json::json!({}));
            }
            if let Some(all) = pod.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
                for (k, v) in labels {
                    all.entry(k).or_insert_with(|| v.into());
                }
            }
            scheduled(pod, "True", "", "", &time);
            Ok(())
        });
        // Gone or changed meanwhile: its change will say so.
        let Ok(bound) = bound else { return };
        let key = (stored.namespace.clone(), stored.name.clone());
        self.nominated.remove(&key);
        self.table.remove(&key);
        self.table.put(key, table::placed(object, bound, node.clone()));
        let message = format!("Successfully assigned {}/{} to {node}", stored.namespace, stored.name);
        events::record(&self.store, self.noise, now, object, "Normal", "Scheduled", &message, NAME);
    }

    fn say_unscheduled(&self, stored: &Stored, reason: &str, message: &str, now: Timestamp) {
        let time = rfc3339(now);
        let writer = Writer::status("kube-scheduler");
        // A pod that is gone needs no condition.
        drop(self.store.modify("pods", &stored.namespace, &stored.name, writer, |pod| {
            scheduled(pod, "False", reason, message, &time);
            Ok::<_, StoreError>(())
        }));
    }
}

/// Sets `PodScheduled` with the generation it is about.
fn scheduled(pod: &mut Value, status: &str, reason: &str, message: &str, now: &str) {
    set_condition(pod, "PodScheduled", status, reason, message, now);
    let generation = int(pod, "metadata.generation");
    let all = pod.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    if let (Some(all), Some(g)) = (all, generation)
        && let Some(c) = all.iter_mut().find(|c| text(c, "type") == "PodScheduled")
    {
        set(c, "observedGeneration", g);
    }
}

/// Whether the pod is for this scheduler to place.
fn wants(pod: &Value) -> bool {
    matches!(text(pod, "spec.schedulerName"), "" | NAME)
        && text(pod, "spec.nodeName").is_empty()
        && at(pod, "metadata.deletionTimestamp").is_none()
        && !matches!(text(pod, "status.phase"), "Succeeded" | "Failed")
}

/// How many possible nodes are enough (numFeasibleNodesToFind with the adaptive percentage).
fn enough(nodes: usize) -> usize {
    if nodes < 100 { nodes } else { (nodes * 50_usize.saturating_sub(nodes / 125).max(5) / 100).max(100) }
}

impl Actor for Scheduler {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    fn observe(&mut self, change: &Change) {
        match &*change.object.key {
            "pods" => self.pod(change),
            "nodes" if self.table.node(change) => self.queue.woken(),
            "persistentvolumeclaims" => self.queue.woken(),
            "namespaces" => {
                self.namespaces.insert(change.object.name.clone(), change.object.labels.clone());
            }
            _ => {}
        }
    }

    fn due(&self) -> Option<Timestamp> {
        self.queue.due()
    }

    fn act(&mut self, now: Timestamp) {
        while let Some(key) = self.queue.next(now) {
            self.place(&key, now);
        }
    }
}

#[cfg(test)]
mod tests;
