//! The shop: what load there is, how its services answer, and what their processes use. A fluid model in steps of a
//! second: everything follows from demand, capacity, limits and state, so what takes a cause away makes it well.
//!
//! [`Shop`] is the actor; [`manifests`] are its objects; `world.toml` and `images.toml` its tables.

pub mod catalogue;
mod graph;
mod law;
mod load;
mod machines;
mod manifests;
mod past;
mod pod;
mod requests;
mod serve;
#[cfg(test)]
mod tests;
mod usage;
mod world;

pub use manifests::{age, history, manifests};
pub use past::{History, settle};
pub use requests::{Batch, Tap};
pub use world::World;

use super::clock::{at, seconds};
use super::engine::Actor;
use super::machine::{Machines, Place, Process, Shared, State};
use super::noise::Noise;
use super::object::{controller, holds, text};
use super::store::{Change, Store, What};
use crate::model::time::Timestamp;
use graph::{Graph, Node};
use pod::Pod;
use requests::{Sampler, Second};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A process met at this age, seconds, has been at work before, on so many requests: enough to be as large as it becomes.
const OLD: f64 = 3600.0;
const WORKED: f64 = 20_000.0;

/// What the store says of a pod that has, or had, a process.
#[derive(Debug, Clone, Default)]
struct Seen {
    ready: bool,
    workload: String,
}

/// The actor that moves the shop each whole second.
pub struct Shop {
    store: Arc<Store>,
    shared: Shared,
    noise: Noise,
    next: Option<Timestamp>,
    graph: Graph,
    pods: Vec<Pod>,
    nodes: Vec<Node>,
    /// Bytes of logs and layers on each machine a second ago.
    disks: Vec<f64>,
    /// Pods by namespace and name, as far as they run something.
    seen: BTreeMap<(String, String), Seen>,
    changed: BTreeSet<(String, String)>,
    requests: Sampler,
}

impl Shop {
    /// A shop over these machines, which tells of its requests through the tap.
    pub fn new(store: Arc<Store>, shared: Shared, noise: Noise, tap: Tap) -> Self {
        let now = store.clock().now_ms();
        Self {
            store,
            shared,
            noise: noise.of("shop"),
            next: Some(at(now.div_euclid(1000) * 1000 + 1000)),
            graph: Graph::shop(),
            pods: Vec::new(),
            nodes: Vec::new(),
            disks: Vec::new(),
            seen: BTreeMap::new(),
            changed: BTreeSet::new(),
            requests: Sampler::new(tap, noise.of("shop")),
        }
    }

    /// Follows what runs: new runs, ended ones, machines.
    fn follow(&mut self, machines: &mut Machines, now: Timestamp) {
        self.nodes.resize_with(machines.nodes.len(), Node::default);
        self.disks.resize(machines.nodes.len(), 0.0);
        for (node, m) in self.nodes.iter_mut().zip(machines.nodes.values()) {
            if node.name != m.name {
                node.name.clone_from(&m.name);
                node.zone.clone_from(&m.zone);
            }
            (node.up, node.connected, node.cores, node.stolen) = (m.powered, m.connected, m.cores, machines::stolen(m));
        }
        let same = |(pod, process): (&Pod, &Process)| {
            pod.id == process.id && pod.place == process.place && pod.annotations == process.annotations
        };
        if self.pods.len() != machines.processes.len() || !self.pods.iter().zip(machines.processes.values()).all(same) {
            self.read(machines, now);
        }
        for key in std::mem::take(&mut self.changed) {
            let first = Place { namespace: key.0.clone(), pod: key.1.clone(), container: String::new() };
            let runs = machines.processes.range(first..).next().filter(|(p, _)| p.namespace == key.0 && p.pod == key.1);
            if runs.is_some() || self.seen.contains_key(&key) {
                let workload = runs.map(|(_, p)| p.workload.1.clone());
                self.look(key, workload);
            }
        }
    }

    fn look(&mut self, key: (String, String), workload: Option<String>) {
        let Some(object) = self.store.get("pods", &key.0, &key.1).map(|s| s.shared()) else {
            self.seen.remove(&key);
            return;
        };
        let seen = self.seen.entry(key).or_default();
        seen.ready = holds(&object, "Ready") && text(&object, "metadata.deletionTimestamp").is_empty();
        if let Some(workload) =
            workload.or_else(|| controller(&object).map(|c| c.1.to_owned())).filter(|_| seen.workload.is_empty())
        {
            seen.workload = workload;
        }
    }

    /// Reads the process table anew; runs that go on keep what they have gone through.
    fn read(&mut self, machines: &Machines, now: Timestamp) {
        let mut old: BTreeMap<(Place, String), Pod> =
            std::mem::take(&mut self.pods).into_iter().map(|p| ((p.place.clone(), p.id.clone()), p)).collect();
        for process in machines.processes.values() {
            let node = self.nodes.iter().position(|n| n.name == process.node).unwrap_or(usize::MAX);
            let key = (process.place.clone(), process.id.clone());
            let age = (now - process.started).num_milliseconds() as f64 / 1000.0;
            let pod = match old.remove(&key) {
                Some(pod) if pod.annotations == process.annotations => pod,
                before => {
                    let mut pod = Pod::new(process, &self.graph, node, age.max(0.0));
                    match before {
                        Some(before) => pod.life = before.life,
                        // Met after hours of work: its caches are full, and it has grown as far as it does.
                        None if age >= OLD => (pod.life.warmth, pod.life.worked) = (1.0, WORKED),
                        None => {}
                    }
                    pod
                }
            };
            let key = (process.place.namespace.clone(), process.place.pod.clone());
            if !self.seen.contains_key(&key) {
                self.changed.insert(key);
            }
            self.pods.push(pod);
        }
        for service in &mut self.graph.services {
            service.pods.clear();
        }
        for (i, pod) in self.pods.iter().enumerate() {
            if let Some(service) = pod.service {
                self.graph.services[service].pods.push(i);
            }
        }
    }

    /// What presses from outside, and what the API says, on each process.
    fn press(&mut self, machines: &Machines, now: Timestamp) {
        let outside = &machines.outside;
        for (pod, process) in self.pods.iter_mut().zip(machines.processes.values()) {
            let runs = process.state == State::Running;
            let key = (process.place.namespace.clone(), process.place.pod.clone());
            pod.endpoint = self.seen.get(&key).is_some_and(|s| s.ready) && (runs || pod.service.is_some());
            pod.limits(process);
            pod.life.age = ((now - process.started).num_milliseconds() as f64 / 1000.0).max(0.0);
            (pod.slow, pod.failing) = (1.0, 0.0);
            if !outside.slow.is_empty() || !outside.failing.is_empty() {
                let name = format!("{}/{}", process.place.namespace, process.workload.1);
                pod.slow = outside.slow.get(&name).copied().unwrap_or(1.0).max(0.0);
                pod.failing = outside.failing.get(&name).copied().unwrap_or(0.0).clamp(0.0, 1.0);
            }
            let locked = outside.locked.contains(&process.place);
            pod.life.stuck = locked || pod.life.stuck && pod.behaviour.deadlock > 0.0;
        }
    }

    /// Draws some of the second's requests, if anybody wants to know of them.
    fn tell(&mut self, machines: &Machines, now: Timestamp) {
        if !self.requests.wanted() {
            return;
        }
        let outside = &machines.outside;
        let factor = |name: &str| {
            let of = |n: &str| outside.load.get(n).copied().unwrap_or(1.0).max(0.0);
            of(name) * of("*")
        };
        let arrivals = arrivals(&self.graph, now, self.noise, factor);
        let second = Second::new(&self.graph, &self.pods, &self.nodes, machines.processes.values());
        self.requests.second(&second, &arrivals, now);
    }

    fn entrances(&self, machines: &Machines, now: Timestamp) -> Vec<(usize, f64)> {
        let factor = |name: &str| {
            let of = |n: &str| machines.outside.load.get(n).copied().unwrap_or(1.0).max(0.0);
            of(name) * of("*")
        };
        let mut all = arrivals(&self.graph, now, self.noise, factor);
        // Batches query the orders.
        for (pod, process) in self.pods.iter().zip(machines.processes.values()) {
            if let Some(batch) = pod.behaviour.batch.filter(|_| process.state == State::Running)
                && let Some(flow) = self.graph.flow_of(&pod.place.namespace, "orders-db", "SELECT")
            {
                all.push((flow, batch.rate));
            }
        }
        all
    }

    /// Processes that stand for themselves: what the rig's annotations ask for.
    fn alone(&mut self, now: Timestamp) {
        if !self.pods.iter().any(|p| p.service.is_none() && p.behaviour.rps > 0.0) {
            return;
        }
        let mut counts: BTreeMap<(&str, &str), (f64, f64)> = BTreeMap::new();
        for ((namespace, _), seen) in &self.seen {
            let entry = counts.entry((namespace, &seen.workload)).or_default();
            entry.1 += 1.0;
            entry.0 += f64::from(u8::from(seen.ready));
        }
        let t = now.timestamp() as f64;
        for pod in self.pods.iter_mut().filter(|p| p.service.is_none() && p.behaviour.rps > 0.0) {
            let namespace = pod.place.namespace.clone();
            let Some(seen) = self.seen.get(&(namespace.clone(), pod.place.pod.clone())) else { continue };
            let ready = counts.get(&(namespace.as_str(), seen.workload.as_str())).map_or(1.0, |c| c.0.max(1.0));
            let phase = self.noise.of(&seen.workload).unit(0);
            let swing = 1.0 + 0.3 * (std::f64::consts::TAU * (t / 1800.0 + phase)).sin();
            if let Some(answer) = pod.answers.first_mut() {
                answer.offered = if pod.endpoint { pod.behaviour.rps * swing / ready } else { 0.0 };
            }
            let missing = |name: &String| {
                let (up, all) = counts.get(&(namespace.as_str(), name.as_str())).copied().unwrap_or((0.0, 0.0));
                if all > 0.0 { 1.0 - up / all } else { 0.0 }
            };
            let gone: f64 = pod.behaviour.depends.iter().map(missing).sum();
            pod.slow *= 1.0 + 4.0 * gone;
            pod.failing = 1.0 - (1.0 - pod.failing) * (1.0 - (0.5 * gone).min(1.0));
        }
        for pod in self.pods.iter_mut().filter(|p| p.service.is_none() && p.behaviour.rps > 0.0) {
            serve::serve(pod, &self.graph, 1.0);
        }
    }

    /// Writes what came of the second into the process table.
    fn record(&mut self, machines: &mut Machines, now: Timestamp) {
        let graph = &self.graph;
        for (pod, process) in self.pods.iter_mut().zip(machines.processes.values_mut()) {
            if process.state != State::Running || self.nodes.get(pod.node).is_some_and(|n| !n.up) {
                continue;
            }
            if pod.service.is_none() && pod.behaviour.rps <= 0.0 {
                pod.used = graph::idle(pod).min(pod.cores).min(pod.limit);
                pod.throttled = if graph::idle(pod) > pod.limit { (0.9, 0.05) } else { (0.0, 0.0) };
            }
            if pod.behaviour.batch.is_some() {
                let flow = graph.flow_of(&pod.place.namespace, "orders-db", "SELECT");
                let gone = flow.is_some_and(|f| graph.flows[f].fails > 0.5);
                pod.life.without = if gone { pod.life.without + 1.0 } else { 0.0 };
                let wants = pod.behaviour.batch.map_or(1.0, |b| b.cores).max(0.001);
                pod.life.done += if gone { 0.0 } else { (pod.used / (wants + pod.behaviour.idle)).min(1.0) };
            }
            pod.waiting = pod.service.and_then(|s| {
                let broker = if pod.behaviour.broker { Some(s) } else { graph.services[s].consumes };
                broker.map(|b| graph.services[b].depth)
            });
            usage::advance(&mut process.usage, pod, process.limits[1], 1.0);
            process.started_up = pod.started();
            let gone = |name: &String| {
                let callee = graph.service_of(&pod.place.namespace, name);
                callee.is_some_and(|s| {
                    graph.services[s].endpoints == 0 || graph.flows[graph.services[s].first].fails > 0.95
                })
            };
            process.ready = pod.started() && !pod.life.stuck && !pod.behaviour.needs.iter().any(gone);
            process.live = !machines.outside.locked.contains(&process.place);
            usage::speak(process, pod, now);
        }
        for ((caller, callee), edge) in &graph.edges {
            if edge.total > 0.0 {
                let caller = caller.map_or("user", |c| graph.services[c].key.as_str());
                machines::calls(&mut machines.calls, (caller, &graph.services[*callee].key), edge, 1.0);
            }
        }
    }
}

/// Requests a second from outside, by flow.
fn arrivals(graph: &Graph, now: Timestamp, noise: Noise, factor: impl Fn(&str) -> f64) -> Vec<(usize, f64)> {
    let mut all = Vec::new();
    for entrance in &World::shop().entrances {
        let rate = load::rate(entrance, now, noise) * factor(&entrance.name);
        for (route, share) in &entrance.routes {
            if let Some(flow) = graph.flow_of(&entrance.namespace, &entrance.to, route) {
                all.push((flow, rate * share));
            }
        }
    }
    all
}

impl Actor for Shop {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn observe(&mut self, change: &Change) {
        if &*change.object.key == "pods" {
            let key = (change.object.namespace.clone(), change.object.name.clone());
            if change.what == What::Deleted {
                self.changed.remove(&key);
                self.seen.remove(&key);
            } else {
                self.changed.insert(key);
            }
        }
    }

    fn due(&self) -> Option<Timestamp> {
        self.next
    }

    fn act(&mut self, now: Timestamp) {
        self.next = Some(now + seconds(1.0));
        let shared = self.shared.clone();
        let mut machines = shared.lock();
        self.follow(&mut machines, now);
        self.press(&machines, now);
        let entrances = self.entrances(&machines, now);
        self.graph.step(&mut self.pods, &self.nodes, &entrances, 1.0);
        self.alone(now);
        self.tell(&machines, now);
        self.record(&mut machines, now);
        machines::advance(&mut machines, &self.pods, &mut self.disks, 1.0);
    }
}
