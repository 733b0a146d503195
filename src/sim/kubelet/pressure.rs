//! Node pressure: unused images go first, then pods, one at a time (pkg/kubelet/eviction).

use super::Kubelet;
use super::pod::Pod;
use crate::sim::events::{self, Event};
use crate::sim::machine::{Machine, Machines};
use crate::sim::noise::Noise;
use crate::sim::object::{int, text};
use crate::sim::scheduler::requests::Ask;
use crate::sim::scheduler::table::Key;
use crate::sim::store::Store;
use std::collections::BTreeSet;

/// Milliseconds between two looks at the node's signals.
pub const PERIOD: i64 = 10_000;

/// Milliseconds for which a condition stands after the pressure was last felt.
const TRANSITION: i64 = 300_000;

/// `memory.available` below this.
const MEMORY: f64 = 100.0 * 1024.0 * 1024.0;

/// `nodefs.available` below this share.
const DISK: f64 = 0.10;

/// Used shares of the disk at which unused images begin and cease to be removed.
const IMAGES: (f64, f64) = (0.85, 0.80);

/// What is short.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Short {
    Memory,
    Disk,
}

impl Short {
    fn name(self) -> &'static str {
        if self == Self::Memory { "memory" } else { "ephemeral-storage" }
    }
}

impl Kubelet {
    /// Looks at every node's memory and disk, and relieves one pod's worth where they are short.
    pub(super) fn relieve(&mut self, now: i64, machines: &mut Machines) {
        let names: Vec<String> = machines.nodes.keys().cloned().collect();
        for name in names {
            if !self.nodes.get(&name).is_some_and(|n| n.online && n.there) {
                continue;
            }
            self.collect_images(&name, machines);
            let Some(machine) = machines.nodes.get(&name) else { continue };
            let signals = [
                (Short::Memory, machine.memory > 0.0 && machine.memory - machine.memory_used < MEMORY),
                (Short::Disk, machine.disk > 0.0 && machine.disk - machine.disk_used < machine.disk * DISK),
            ];
            let mut changed = false;
            for (i, (_, short)) in signals.iter().enumerate() {
                let Some(node) = self.nodes.get_mut(&name) else { continue };
                let before = node.pressed[i].is_some();
                if *short {
                    node.pressed[i] = Some(now);
                } else if node.pressed[i].is_some_and(|felt| now - felt >= TRANSITION) {
                    node.pressed[i] = None;
                }
                changed |= before != node.pressed[i].is_some();
            }
            if changed {
                self.write_node(&name, now);
            }
            let machine = machine.clone();
            if let Some((short, _)) = signals.into_iter().find(|(_, short)| *short) {
                self.evict_one(&name, short, &machine, now, machines);
            }
        }
    }

    /// Removes images that no pod of the node uses, the largest first, until enough is free.
    fn collect_images(&mut self, name: &str, machines: &mut Machines) {
        let (Some(machine), Some(node)) = (machines.nodes.get_mut(name), self.nodes.get_mut(name)) else { return };
        if machine.disk <= 0.0 || machine.disk_used < IMAGES.0 * machine.disk {
            return;
        }
        let in_use: BTreeSet<&str> = self
            .pods
            .values()
            .filter(|p| p.node == name)
            .flat_map(|p| (0..p.cells.len()).map(|i| text(p.spec(i), "image")))
            .collect();
        let mut unused: Vec<(u64, String)> =
            node.images.iter().filter(|(n, _)| !in_use.contains(n.as_str())).map(|(n, b)| (*b, n.clone())).collect();
        unused.sort_by(|a, b| b.cmp(a));
        for (bytes, image) in unused {
            if machine.disk_used <= IMAGES.1 * machine.disk {
                break;
            }
            machine.disk_used -= bytes as f64;
            node.images.remove(&image);
        }
    }

    fn evict_one(&mut self, name: &str, short: Short, machine: &Machine, now: i64, machines: &mut Machines) {
        let victim = self
            .pods
            .values()
            .filter(|p| p.node == name && !p.ghost && p.failed.is_none() && p.deadline().is_none())
            .filter(|p| int(&p.object, "spec.priority").unwrap_or(0) < 2_000_000_000)
            .map(|p| (rank(p, short, machines), p.key.clone()))
            .max_by(|a, b| a.0.0.cmp(&b.0.0).then(a.0.1.cmp(&b.0.1)).then(a.0.2.total_cmp(&b.0.2)).then(b.1.cmp(&a.1)));
        let Some((_, key)) = victim else { return };
        let message = self.pods.get(&key).map(|p| message(p, short, machine, machines)).unwrap_or_default();
        self.evict(&key, &message, now, machines);
    }

    /// Fails a pod as evicted; its containers are killed at once.
    fn evict(&mut self, key: &Key, message: &str, now: i64, machines: &mut Machines) {
        let Some(pod) = self.pods.get_mut(key) else { return };
        tell(&self.store, self.noise, pod, message, now);
        pod.failed = Some(("Evicted".to_owned(), message.to_owned()));
        for i in 0..pod.cells.len() {
            if pod.cells[i].runs() {
                pod.cells[i].stop = Some((now, 137));
            }
        }
        pod.dirty = true;
        self.sync(key, now, machines);
    }
}

fn tell(store: &Store, noise: Noise, pod: &Pod, message: &str, now: i64) {
    let (about, host) = (&pod.object, pod.node.as_str());
    let event = Event { about, field: "", kind: "Warning", reason: "Evicted", message, component: super::NAME, host };
    events::tell(store, noise, crate::sim::clock::at(now), event);
}

/// What a container uses of what is short.
fn used(pod: &Pod, i: usize, short: Short, machines: &Machines) -> f64 {
    machines.processes.get(&pod.place(i)).map_or(0.0, |p| match short {
        Short::Memory => p.usage.working_set,
        Short::Disk => p.usage.disk,
    })
}

fn asked(pod: &Pod, i: usize, short: Short) -> i64 {
    let ask = Ask::of(pod.cells[i].applied.get("requests"));
    if short == Short::Memory { ask.memory } else { ask.disk }
}

/// Uses more than it asked for; is less important; by how much it exceeds. The greatest goes.
fn rank(pod: &Pod, short: Short, machines: &Machines) -> (bool, i64, f64) {
    let over: f64 = (0..pod.cells.len()).map(|i| used(pod, i, short, machines) - asked(pod, i, short) as f64).sum();
    (over > 0.0, -int(&pod.object, "spec.priority").unwrap_or(0), over)
}

/// As the eviction manager words it.
fn message(pod: &Pod, short: Short, machine: &Machine, machines: &Machines) -> String {
    let name = short.name();
    let (threshold, available) = match short {
        Short::Memory => ("100Mi".to_owned(), machine.memory - machine.memory_used),
        Short::Disk => (format!("{}", (machine.disk * DISK) as i64), machine.disk - machine.disk_used),
    };
    let kib = |b: f64| format!("{}Ki", (b / 1024.0).max(0.0) as i64);
    let mut text = format!(
        "The node was low on resource: {name}. Threshold quantity: {threshold}, available: {}. ",
        kib(available)
    );
    for i in 0..pod.cells.len() {
        let (used, asked) = (used(pod, i, short, machines), asked(pod, i, short));
        if used > asked as f64 {
            let container = &pod.cells[i].name;
            let request = request(pod, i, short);
            let told = format!(
                "Container {container} was using {}, request is {request}, has larger consumption of {name}. ",
                kib(used)
            );
            text.push_str(&told);
        }
    }
    text
}

/// The request as it was written; `0` without.
fn request(pod: &Pod, i: usize, short: Short) -> String {
    let value = pod.cells[i].applied.get("requests").and_then(|r| r.get(short.name()));
    value.and_then(|v| v.as_str()).unwrap_or("0").to_owned()
}
