//! Who uses what: nodes with the sums of their pods' requests, kept up change by change, so that a decision does not
//! look at every pod.

use super::super::object::{amount, at, controller, holds, int, list, strings, text, yes};
use super::super::store::{Change, Stored, What};
use super::requests::{Ask, of_pod};
use super::selector::Labels;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Namespace and name.
pub type Key = (String, String);

/// The label of pods that only fill a fleet: their specification is the same for the same labels.
pub const FILLER: &str = "kansole.dev/filler";

/// A port on the node: protocol, number, host IP.
pub type Port = (String, i64, String);

/// A pod on a node.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Its last version.
    pub stored: Arc<Stored>,
    /// The node.
    pub node: Arc<str>,
    /// What it asks for.
    pub ask: Arc<Ask>,
    /// Priority.
    pub priority: i64,
    /// UID of its controller.
    pub owner: Option<Arc<str>>,
    /// Host ports.
    pub ports: Vec<Port>,
    /// Has required anti-affinity, which others must respect.
    pub repels: bool,
    /// Is being deleted.
    pub leaving: bool,
}

/// A node.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Labels.
    pub labels: Labels,
    /// Taints.
    pub taints: Vec<Value>,
    /// Cordoned.
    pub unschedulable: bool,
    /// Allocatable.
    pub room: Ask,
    /// Pods it may have.
    pub slots: i64,
    /// Sum of requests.
    pub used: Ask,
    /// The same with 100 m and 200 MiB for containers that ask for nothing, for scoring.
    pub counted: [i64; 2],
    /// Pods it has.
    pub pods: i64,
    /// Host ports in use.
    pub ports: Vec<Port>,
    /// The Node exists; pods may be bound to a name that has no Node.
    pub there: bool,
    /// Ready, for the record of changes that matter.
    pub ready: bool,
}

/// What a pod counts as in scores when it asks for nothing.
const LEAST: [i64; 2] = [100, 200 << 20];

/// Nodes, and the pods on them.
#[derive(Debug, Default)]
pub struct Table {
    /// By name.
    pub nodes: BTreeMap<Arc<str>, Node>,
    /// Pods on nodes that have not ended.
    pub pods: BTreeMap<Key, Placed>,
    /// Pods with required anti-affinity.
    pub repelling: BTreeSet<Key>,
    /// How many pods there are of each priority.
    pub priorities: BTreeMap<i64, usize>,
    fillers: BTreeMap<(String, Labels), (Arc<Ask>, i64)>,
}

impl Table {
    /// Takes in a change of a Node; gives back whether it may make room.
    pub fn node(&mut self, change: &Change) -> bool {
        let name: Arc<str> = Arc::from(change.object.name.as_str());
        if change.what == What::Deleted {
            if let Some(node) = self.nodes.get_mut(&name) {
                node.there = false;
                if node.pods == 0 {
                    self.nodes.remove(&name);
                }
            }
            return false;
        }
        let object = change.object.shared();
        let node = self.nodes.entry(name).or_default();
        let before =
            (node.there, node.labels.clone(), node.taints.clone(), node.unschedulable, node.room.clone(), node.ready);
        node.there = true;
        node.labels = strings(&object, "metadata.labels");
        node.taints = list(&object, "spec.taints").to_vec();
        node.unschedulable = yes(&object, "spec.unschedulable");
        node.room = Ask::of(at(&object, "status.allocatable"));
        node.slots = amount(at(&object, "status.allocatable.pods")).unwrap_or(0.0) as i64;
        node.ready = holds(&object, "Ready");
        before != (true, node.labels.clone(), node.taints.clone(), node.unschedulable, node.room.clone(), node.ready)
    }

    /// Takes in a pod's new version, or that it is gone; gives back whether it freed something.
    pub fn pod(&mut self, stored: &Arc<Stored>, what: What) -> bool {
        let key = (stored.namespace.clone(), stored.name.clone());
        let placed = (what != What::Deleted).then(|| self.read(stored)).flatten();
        let smaller = |old: &Placed, new: &Placed| new.ask.cpu < old.ask.cpu || new.ask.memory < old.ask.memory;
        let freed = self.pods.get(&key).is_some_and(|old| placed.as_ref().is_none_or(|new| smaller(old, new)));
        self.remove(&key);
        if let Some(placed) = placed {
            self.put(key, placed);
        }
        freed
    }

    /// Counts a pod on a node.
    pub fn put(&mut self, key: Key, placed: Placed) {
        self.count(&placed, 1);
        if placed.repels {
            self.repelling.insert(key.clone());
        }
        self.pods.insert(key, placed);
    }

    /// Stops counting a pod.
    pub fn remove(&mut self, key: &Key) -> Option<Placed> {
        let placed = self.pods.remove(key)?;
        self.count(&placed, -1);
        self.repelling.remove(key);
        Some(placed)
    }

    fn count(&mut self, placed: &Placed, sign: i64) {
        let many = self.priorities.entry(placed.priority).or_default();
        *many = many.saturating_add_signed(sign as isize);
        if *many == 0 {
            self.priorities.remove(&placed.priority);
        }
        let node = self.nodes.entry(placed.node.clone()).or_default();
        node.used.add(&placed.ask, sign);
        let counted = counted(&placed.ask);
        node.counted[0] += sign * counted[0];
        node.counted[1] += sign * counted[1];
        node.pods += sign;
        for port in &placed.ports {
            match sign {
                1 => node.ports.push(port.clone()),
                _ => {
                    if let Some(i) = node.ports.iter().position(|p| p == port) {
                        node.ports.swap_remove(i);
                    }
                }
            }
        }
        if node.pods == 0 && !node.there {
            self.nodes.remove(&placed.node);
        }
    }

    fn read(&mut self, stored: &Arc<Stored>) -> Option<Placed> {
        let filler = stored.labels.contains_key(FILLER).then(|| (stored.namespace.clone(), stored.labels.clone()));
        if let Some(cached) = filler.as_ref().and_then(|k| self.fillers.get(k)).cloned()
            && !stored.body.contains("\"deletionTimestamp\"")
            && stored.body.contains("\"phase\":\"Running\"")
        {
            let node = self.intern(quoted(&stored.body, "\"nodeName\":\"")?);
            let (ask, priority) = cached;
            let stored = stored.clone();
            return Some(Placed {
                stored,
                node,
                ask,
                priority,
                owner: None,
                ports: Vec::new(),
                repels: false,
                leaving: false,
            });
        }
        let object = stored.shared();
        let node = text(&object, "spec.nodeName");
        if node.is_empty() || matches!(text(&object, "status.phase"), "Succeeded" | "Failed") {
            return None;
        }
        let node = self.intern(node);
        let placed = placed(&object, stored.clone(), node);
        if let Some(key) = filler {
            self.fillers.insert(key, (placed.ask.clone(), placed.priority));
        }
        Some(placed)
    }

    fn intern(&self, node: &str) -> Arc<str> {
        self.nodes.get_key_value(node).map_or_else(|| Arc::from(node), |(k, _)| k.clone())
    }
}

/// What a pod counts for in scores.
pub fn counted(ask: &Ask) -> [i64; 2] {
    let or = |n: i64, least: i64| if n == 0 { least } else { n };
    [or(ask.cpu, LEAST[0]), or(ask.memory, LEAST[1])]
}

/// A pod as it counts on `node`.
pub fn placed(object: &Value, stored: Arc<Stored>, node: Arc<str>) -> Placed {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    Placed {
        stored,
        node,
        ask: Arc::new(of_pod(spec)),
        priority: int(spec, "priority").unwrap_or(0),
        owner: controller(object).map(|(_, _, uid)| Arc::from(uid)),
        ports: host_ports(spec),
        repels: !list(spec, "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution").is_empty(),
        leaving: at(object, "metadata.deletionTimestamp").is_some(),
    }
}

/// The ports a pod wants on its node.
pub fn host_ports(spec: &Value) -> Vec<Port> {
    let containers = list(spec, "containers").iter().chain(list(spec, "initContainers"));
    let ports = containers.flat_map(|c| list(c, "ports"));
    ports
        .filter_map(|p| {
            let number = int(p, "hostPort").filter(|n| *n > 0)?;
            let protocol = if text(p, "protocol").is_empty() { "TCP" } else { text(p, "protocol") };
            Some((protocol.to_owned(), number, text(p, "hostIP").to_owned()))
        })
        .collect()
}

/// The text after `start` up to the next quote: for bodies too many to be read whole.
pub fn quoted<'a>(body: &'a str, start: &str) -> Option<&'a str> {
    let rest = &body[body.find(start)? + start.len()..];
    rest.split('"').next()
}
