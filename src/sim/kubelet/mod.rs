//! The kubelets of all nodes: they report their nodes, and run the pods bound to them. What "runs" is a
//! [`Process`](super::machine::Process) in [`Machines`](super::machine::Machines); the shop moves it, the kubelet reacts.
//!
//! Driven by changes, by one timer per pod, and by one look per simulated second at the processes there are. Pods that
//! only fill a fleet (label `kansole.dev/filler`, loaded as Running) have no process and cost nothing until they are
//! deleted. Modelled on kubelet 1.36; texts as that version writes them.

mod config;
mod kernel;
mod node;
mod pod;
mod pressure;
mod probe;
mod resize;
mod start;
mod status;
mod stop;
mod work;

use super::engine::Actor;
use super::machine::{Machines, Shared, State};
use super::noise::Noise;
use super::object::text;
use super::scheduler::requests::of_pod;
use super::scheduler::table::{FILLER, Key, quoted};
use super::store::{Change, Store, What};
use crate::model::time::Timestamp;
use crate::sim::clock::at as moment;
use node::Node;
use pod::Pod;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use work::Work;

/// Who it says it is, in events and managed fields.
pub const NAME: &str = "kubelet";

/// Milliseconds between two looks at the processes.
const TICK: i64 = 1_000;

/// What the image registry says. The image catalogue may refuse a tag.
pub trait Images: Send + Sync {
    /// Bytes of an image, or why it cannot be pulled, as containerd words it.
    fn size(&self, image: &str) -> Result<u64, String>;
}

/// A registry that has every image, of 20 to 320 MB, but those tagged `bad`.
#[derive(Debug, Clone, Copy)]
pub struct AnyImage(pub Noise);

impl Images for AnyImage {
    fn size(&self, image: &str) -> Result<u64, String> {
        if image.ends_with(":bad") {
            return Err(unpullable(image));
        }
        Ok(20_000_000 + (self.0.of("image").of(image).unit(0) * 300e6) as u64)
    }
}

/// What containerd says of an image that its registry does not have.
pub fn unpullable(image: &str) -> String {
    let first = image.split('/').next().unwrap_or_default();
    let full = match image.contains('/') {
        false => format!("docker.io/library/{image}"),
        true if first.contains('.') || first.contains(':') || first == "localhost" => image.to_owned(),
        true => format!("docker.io/{image}"),
    };
    format!(
        "rpc error: code = NotFound desc = failed to pull and unpack image \"{full}\": failed to resolve reference \"{full}\": {full}: not found"
    )
}

/// The kubelets.
pub struct Kubelet {
    store: Arc<Store>,
    machines: Shared,
    noise: Noise,
    images: Arc<dyn Images>,
    nodes: BTreeMap<String, Node>,
    pods: BTreeMap<Key, Pod>,
    timers: BTreeSet<(i64, Key)>,
    /// Leases and heartbeats.
    reports: BTreeSet<(i64, String)>,
    dirty: BTreeSet<Key>,
    changed: BTreeSet<String>,
    /// When the processes are next looked at; `None` before the first act, which takes over what was loaded.
    tick: Option<i64>,
}

impl Kubelet {
    /// The kubelets of the nodes in `store`, whose machines are in `machines`.
    pub fn new(store: Arc<Store>, machines: Shared, noise: Noise, images: Arc<dyn Images>) -> Self {
        Self {
            store,
            machines,
            noise: noise.of("kubelet"),
            images,
            nodes: BTreeMap::new(),
            pods: BTreeMap::new(),
            timers: BTreeSet::new(),
            reports: BTreeSet::new(),
            dirty: BTreeSet::new(),
            changed: BTreeSet::new(),
            tick: None,
        }
    }

    fn see_pod(&mut self, change: &Change) {
        let stored = &change.object;
        let key = (stored.namespace.clone(), stored.name.clone());
        let known = self.pods.contains_key(&key);
        if stored.labels.contains_key(FILLER) && !known {
            // Bodies of a fleet are not read: there may be a hundred thousand.
            let leaving = stored.body.contains("\"deletionTimestamp\"");
            let running = self.tick.is_none() || stored.body.contains("\"phase\":\"Running\"");
            if running && !leaving || change.what == What::Deleted {
                self.filler_address(change);
                return;
            }
        }
        if known || change.what != What::Deleted && quoted(&stored.body, "\"nodeName\":\"").is_some() {
            self.dirty.insert(key);
        }
    }

    fn filler_address(&mut self, change: &Change) {
        let body = &change.object.body;
        let (Some(node), Some(ip)) = (quoted(body, "\"nodeName\":\""), quoted(body, "\"podIP\":\"")) else { return };
        match change.what {
            What::Added => self.node(node).take(ip),
            What::Deleted => self.node(node).release(ip),
            What::Modified => {}
        }
    }

    fn node(&mut self, name: &str) -> &mut Node {
        if !self.nodes.contains_key(name) {
            self.nodes.insert(name.to_owned(), Node::new(name));
        }
        self.nodes.get_mut(name).expect("just made")
    }

    /// Brings one pod on.
    fn sync(&mut self, key: &Key, now: i64, machines: &mut Machines) {
        let stored = self.store.get("pods", &key.0, &key.1);
        let old = self.pods.remove(key);
        if let Some(pod) = &old {
            self.timers.remove(&(pod.wake, key.clone()));
        }
        let mut pod = match (old, stored) {
            (Some(old), Some(stored)) if old.uid == stored.uid => {
                let mut pod = old;
                if pod.version != stored.version {
                    (pod.object, pod.version) = (stored.shared(), stored.version);
                }
                pod
            }
            (old, stored) => {
                if let Some(old) = old {
                    self.vanished(&old, machines);
                }
                let Some(stored) = stored else { return };
                let pod = Pod::adopt(&stored);
                if pod.node.is_empty() || pod.deadline().is_none() && pod.over() {
                    return;
                }
                self.adopted(pod, now, machines)
            }
        };
        let Some(node) = self.nodes.get_mut(&pod.node).filter(|n| n.online && n.there) else {
            pod.wake = i64::MAX;
            self.pods.insert(key.clone(), pod);
            return;
        };
        let pods = &self.pods;
        let others = |name: &str, me: &Pod| others(pods, name, me);
        let (noise, images) = (self.noise, &*self.images);
        let mut work = Work { store: &self.store, noise, now, machines, node, images, others: &others };
        if work.look(&mut pod) {
            self.vanished(&pod, machines);
            return;
        }
        if pod.wake < i64::MAX {
            self.timers.insert((pod.wake, key.clone()));
        }
        self.pods.insert(key.clone(), pod);
    }

    /// Takes over a pod that is new here; its running containers get the processes they should have.
    fn adopted(&mut self, pod: Pod, now: i64, machines: &mut Machines) -> Pod {
        let node = self.nodes.entry(pod.node.clone()).or_insert_with(|| Node::new(&pod.node));
        node.take(&pod.ip);
        if pod.ghost {
            return pod;
        }
        let (host, pods) = (node.ip.clone(), &self.pods);
        let others = |name: &str, me: &Pod| others(pods, name, me);
        let (noise, images) = (self.noise, &*self.images);
        let work = Work { store: &self.store, noise, now, machines, node, images, others: &others };
        for i in 0..pod.cells.len() {
            let pod::Run::Running(since) = pod.cells[i].run else { continue };
            let image = text(pod.spec(i), "image").to_owned();
            let bytes = images.size(&image).unwrap_or(0);
            work.node.images.entry(image).or_insert(bytes);
            // What is missing now was there when it started.
            let config = config::of(&self.store, &pod.object, pod.spec(i), &pod.ip, &host).unwrap_or_default();
            let mut process = work.process(&pod, i, config, since);
            process.started_up = pod.cells[i].started;
            process.ready = pod.cells[i].ready;
            work.machines.processes.entry(process.place.clone()).or_insert(process);
        }
        pod
    }

    /// The pod is gone: nothing of it stays.
    fn vanished(&mut self, pod: &Pod, machines: &mut Machines) {
        for i in 0..pod.cells.len() {
            let place = pod.place(i);
            if machines.processes.get(&place).is_some_and(|p| p.uid == pod.uid) {
                machines.processes.remove(&place);
            }
            if pod.deadline().is_some() {
                machines.previous.remove(&place);
            }
        }
        if let Some(node) = self.nodes.get_mut(&pod.node) {
            node.release(&pod.ip);
        }
    }

    fn each_second(&mut self, now: i64, machines: &mut Machines) {
        self.power(now, machines);
        self.out_of_memory(now, machines);
        for process in machines.processes.values().filter(|p| p.state != State::Running) {
            self.dirty.insert((process.place.namespace.clone(), process.place.pod.clone()));
        }
        if now % pressure::PERIOD == 0 {
            self.relieve(now, machines);
        }
    }

    fn settle(&mut self, now: i64, machines: &mut Machines) {
        for name in std::mem::take(&mut self.changed) {
            self.refresh(&name, now, machines);
        }
        while let Some(key) = self.dirty.pop_first() {
            self.sync(&key, now, machines);
        }
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.timers.pop_first() {
                self.sync(&key, now, machines);
            }
        }
        while self.reports.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, name)) = self.reports.pop_first() {
                self.report(&name, now);
            }
        }
    }
}

/// Requests of the other pods on a node: millicores, bytes.
fn others(pods: &BTreeMap<Key, Pod>, node: &str, me: &Pod) -> [i64; 2] {
    let asks =
        pods.values().filter(|p| p.node == node && p.uid != me.uid && !p.over()).map(|p| of_pod(&p.object["spec"]));
    asks.fold([0, 0], |sum, ask| [sum[0] + ask.cpu, sum[1] + ask.memory])
}

impl Actor for Kubelet {
    fn name(&self) -> &'static str {
        "kubelet"
    }

    fn observe(&mut self, change: &Change) {
        match &*change.object.key {
            "pods" => self.see_pod(change),
            "nodes" => {
                self.node(&change.object.name).there = change.what != What::Deleted;
                self.changed.insert(change.object.name.clone());
            }
            _ => {}
        }
    }

    fn due(&self) -> Option<Timestamp> {
        let Some(tick) = self.tick else { return Some(Timestamp::UNIX_EPOCH) };
        if !self.dirty.is_empty() || !self.changed.is_empty() {
            return Some(Timestamp::UNIX_EPOCH);
        }
        let timer = self.timers.first().map_or(tick, |(at, _)| *at);
        let report = self.reports.first().map_or(tick, |(at, _)| *at);
        Some(moment(tick.min(timer).min(report)))
    }

    fn act(&mut self, now: Timestamp) {
        let now = now.timestamp_millis();
        let shared = self.machines.clone();
        let mut machines = shared.lock();
        if self.tick.is_none_or(|t| t <= now) {
            let first = self.tick.is_none();
            self.tick = Some((now.div_euclid(TICK) + 1) * TICK);
            if first {
                self.power(now, &mut machines);
            } else {
                self.each_second(now, &mut machines);
            }
        }
        self.settle(now, &mut machines);
    }
}

#[cfg(test)]
mod tests;
