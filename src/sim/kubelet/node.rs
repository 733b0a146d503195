//! Nodes: whether their kubelet can speak, their Lease and their conditions.

use super::pod::{stamp, when};
use super::{Kubelet, NAME};
use crate::sim::clock::{at as moment, rfc3339_micro};
use crate::sim::events::{self, Event};
use crate::sim::fields::Writer;
use crate::sim::machine::{Machines, Place};
use crate::sim::noise::Noise;
use crate::sim::object::{amount, at, condition, list, set, set_condition, text};
use crate::sim::store::{Store, StoreError};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Milliseconds between two renewals of a Lease, and at most: with more than a hundred nodes a Lease is renewed less
/// often, but always well within the 40 s it lasts.
const LEASE: (i64, i64) = (10_000, 30_000);

/// Milliseconds after which a status is written even though nothing changed (`nodeStatusReportFrequency`).
const HEARTBEAT: i64 = 300_000;

/// Type, and reason and message when it holds and when it does not.
const CONDITIONS: [(&str, [&str; 2], [&str; 2]); 4] = [
    (
        "MemoryPressure",
        ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available"],
        ["KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
    ),
    (
        "DiskPressure",
        ["KubeletHasDiskPressure", "kubelet has disk pressure"],
        ["KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
    ),
    ("PIDPressure", ["", ""], ["KubeletHasSufficientPID", "kubelet has sufficient PID available"]),
    ("Ready", ["KubeletReady", "kubelet is posting ready status"], ["KubeletNotReady", "container runtime is down"]),
];

/// A node.
#[derive(Debug, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// UID of its object.
    pub uid: String,
    /// Its object exists.
    pub there: bool,
    /// Its address.
    pub ip: String,
    /// Allocatable: millicores, bytes.
    pub room: [i64; 2],
    /// The kubelet runs and reaches the API server.
    pub online: bool,
    /// The machine has power.
    pub powered: bool,
    /// Images on it, with bytes.
    pub images: BTreeMap<String, u64>,
    /// Containers that the kernel killed for memory and the kubelet has not seen yet.
    pub oom: BTreeSet<Place>,
    /// Pressure on memory and disk: when it was last felt.
    pub pressed: [Option<i64>; 2],
    /// What `kansole.dev/fault` on it says.
    fault: String,
    /// Statuses of [`CONDITIONS`] in its object.
    shown: [String; 4],
    cidr: Option<(u32, u32)>,
    used: BTreeSet<u32>,
    /// When Lease and status are next due.
    lease: i64,
    heartbeat: i64,
    rebooted: bool,
}

impl Node {
    /// A node of which only the name is known.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), online: true, powered: true, ..Self::default() }
    }

    /// Takes an address out of the free ones.
    pub fn take(&mut self, ip: &str) {
        if let Ok(ip) = ip.parse::<Ipv4Addr>() {
            self.used.insert(ip.into());
        }
    }

    /// Gives an address back.
    pub fn release(&mut self, ip: &str) {
        if let Ok(ip) = ip.parse::<Ipv4Addr>() {
            self.used.remove(&ip.into());
        }
    }

    /// A free address of the node's range for the pod with this UID.
    pub fn address(&mut self, uid: &str, noise: Noise) -> String {
        let (base, size) = self.cidr.unwrap_or_else(|| {
            // A node without a range (not from a cloud) gets one that follows from its name.
            let third = (noise.of("cidr").of(&self.name).bits(0) % 256) as u32;
            (u32::from(Ipv4Addr::new(10, 244, 0, 0)) + (third << 8), 256)
        });
        let (first, room) = (2, size.saturating_sub(3).max(1));
        let start = (noise.of("ip").of(uid).bits(0) % u64::from(room)) as u32;
        let free = (0..room).map(|i| base + first + (start + i) % room).find(|ip| !self.used.contains(ip));
        let ip = free.unwrap_or(base + first + start);
        self.used.insert(ip);
        Ipv4Addr::from(ip).to_string()
    }

    fn read(&mut self, object: &Value) {
        text(object, "metadata.uid").clone_into(&mut self.uid);
        let addresses = list(object, "status.addresses");
        let ip = addresses.iter().find(|a| text(a, "type") == "InternalIP").map_or("", |a| text(a, "address"));
        ip.clone_into(&mut self.ip);
        let of = |name: &str| amount(at(object, &format!("status.allocatable.{name}"))).unwrap_or(0.0);
        self.room = [(of("cpu") * 1000.0) as i64, of("memory") as i64];
        self.cidr = range(text(object, "spec.podCIDR"));
        let fault = object.pointer("/metadata/annotations").and_then(|a| a.get("kansole.dev/fault"));
        fault.and_then(Value::as_str).unwrap_or_default().clone_into(&mut self.fault);
        if self.images.is_empty() {
            for image in list(object, "status.images") {
                let bytes = at(image, "sizeBytes").and_then(Value::as_u64).unwrap_or(0);
                self.images
                    .extend(list(image, "names").iter().filter_map(Value::as_str).map(|n| (n.to_owned(), bytes)));
            }
        }
        let status = |kind: &str| condition(object, kind).map_or("", |c| text(c, "status")).to_owned();
        self.shown = CONDITIONS.map(|(kind, ..)| status(kind));
        if self.heartbeat == 0 {
            let beat = condition(object, "Ready").map_or(0, |c| when(text(c, "lastHeartbeatTime")));
            self.heartbeat = beat;
        }
    }

    /// Whether each of [`CONDITIONS`] holds.
    fn holds(&self) -> [bool; 4] {
        let pressed = |i: usize, fault: &str| self.pressed[i].is_some() || self.fault == fault;
        [pressed(0, "memory-pressure"), pressed(1, "disk-pressure"), false, self.fault != "not-ready"]
    }

    fn differs(&self) -> bool {
        self.holds().iter().zip(&self.shown).any(|(holds, shown)| (if *holds { "True" } else { "False" }) != shown)
    }
}

/// First address and size of `10.1.2.0/24`.
fn range(cidr: &str) -> Option<(u32, u32)> {
    let (base, bits) = cidr.split_once('/')?;
    let bits: u32 = bits.parse().ok().filter(|b| (8..=30).contains(b))?;
    Some((base.parse::<Ipv4Addr>().ok()?.into(), 1 << (32 - bits)))
}

impl Kubelet {
    /// Reads a node's object again.
    pub(super) fn refresh(&mut self, name: &str, now: i64, machines: &Machines) {
        let Some(stored) = self.store.get("nodes", "", name) else {
            if let Some(node) = self.nodes.remove(name) {
                self.reports.remove(&(node.lease, node.name));
            }
            return;
        };
        let (noise, period) = (self.noise, self.lease_period());
        let node = self.node(name);
        node.read(&stored.shared());
        let first = node.lease == 0;
        if first {
            let machine = machines.nodes.get(name);
            node.powered = machine.is_none_or(|m| m.powered);
            node.online = machine.is_none_or(|m| m.powered && m.connected && m.kubelet);
            let chance = noise.of("heartbeat").of(name);
            node.lease = now + 1 + (chance.unit(0) * period as f64) as i64;
            node.heartbeat = node.heartbeat.max(now - HEARTBEAT) + (chance.unit(1) * HEARTBEAT as f64) as i64;
            let lease = node.lease;
            self.reports.insert((lease, name.to_owned()));
            let waiting = self.pods.values().filter(|p| p.node == name).map(|p| p.key.clone());
            self.dirty.extend(waiting);
        }
        if self.nodes.get(name).is_some_and(|n| n.online && n.differs()) {
            self.write_node(name, now);
        }
    }

    fn lease_period(&self) -> i64 {
        (LEASE.0 * self.nodes.len().div_ceil(100).max(1) as i64).min(LEASE.1)
    }

    /// Renews a node's Lease, and writes its status when that is due.
    pub(super) fn report(&mut self, name: &str, now: i64) {
        let period = self.lease_period();
        let Some(node) = self.nodes.get_mut(name).filter(|n| n.there) else { return };
        node.lease = now + period;
        let (lease, online, uid) = (node.lease, node.online, node.uid.clone());
        let beat = node.heartbeat + HEARTBEAT <= now;
        self.reports.insert((lease, name.to_owned()));
        if !online {
            return;
        }
        renew(&self.store, name, &uid, now);
        if beat {
            self.write_node(name, now);
        }
    }

    /// Writes a node's conditions, and tells of those that changed.
    pub(super) fn write_node(&mut self, name: &str, now: i64) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        node.heartbeat = now;
        let (holds, time) = (node.holds(), stamp(now));
        let mut told = Vec::new();
        let boot = node.rebooted.then(|| self.noise.of("boot").of(name).uuid(now));
        let written = self.store.modify("nodes", "", name, Writer::status(NAME), |o| {
            for ((kind, yes, no), holds) in CONDITIONS.iter().zip(holds) {
                let status = if holds { "True" } else { "False" };
                let [reason, message] = if holds { yes } else { no };
                let moved = condition(o, kind).is_none_or(|c| text(c, "status") != status);
                set_condition(o, kind, status, reason, message, &time);
                beat(o, kind, &time);
                if moved {
                    told.push(word(kind, holds));
                }
            }
            if let Some(boot) = &boot {
                set(o, "status.nodeInfo.bootID", boot.as_str());
            }
            Ok::<_, StoreError>(())
        });
        let Ok(stored) = written else { return };
        let object = stored.shared();
        node.shown = holds.map(|h| if h { "True" } else { "False" }.to_owned());
        if let Some(boot) = std::mem::take(&mut node.rebooted).then_some(boot).flatten() {
            let message = format!("Node {name} has been rebooted, boot id: {boot}");
            self.tell_node(&object, "Warning", "Rebooted", &message, now);
        }
        for reason in told {
            self.tell_node(&object, "Normal", reason, &format!("Node {name} status is now: {reason}"), now);
        }
    }

    /// Tells of a node.
    pub(super) fn tell_node(&self, node: &Value, kind: &str, reason: &str, message: &str, now: i64) {
        let host = text(node, "metadata.name");
        let event = Event { about: node, field: "", kind, reason, message, component: NAME, host };
        events::tell(&self.store, self.noise, moment(now), event);
    }

    /// Sees which machines have lost or regained power, network or kubelet.
    pub(super) fn power(&mut self, now: i64, machines: &mut Machines) {
        let mut died = Vec::new();
        let mut back = Vec::new();
        for (name, machine) in &mut machines.nodes {
            let Some(node) = self.nodes.get_mut(name) else { continue };
            let online = machine.powered && machine.connected && machine.kubelet;
            if node.powered && !machine.powered {
                died.push(name.clone());
            }
            if !node.powered && machine.powered {
                machine.booted = moment(now);
                node.rebooted = true;
            }
            node.powered = machine.powered;
            if online && !node.online {
                back.push(name.clone());
            }
            node.online = online;
        }
        for name in died {
            let gone: Vec<Place> =
                machines.processes.values().filter(|p| p.node == name).map(|p| p.place.clone()).collect();
            for place in gone {
                if let Some(process) = machines.processes.remove(&place) {
                    machines.previous.insert(place, process.log);
                }
            }
        }
        for name in back {
            self.dirty.extend(self.pods.values().filter(|p| p.node == name).map(|p| p.key.clone()));
            if let Some(node) = self.nodes.get(&name).filter(|n| n.lease != 0) {
                renew(&self.store, &name, &node.uid, now);
                if let Some(object) = self.store.get("nodes", "", &name).filter(|_| node.rebooted) {
                    self.tell_node(&object.shared(), "Normal", "Starting", "Starting kubelet.", now);
                }
                self.write_node(&name, now);
            }
        }
    }
}

/// `lastHeartbeatTime` of a condition.
fn beat(node: &mut Value, kind: &str, time: &str) {
    let all = node.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    if let Some(c) = all.and_then(|a| a.iter_mut().find(|c| text(c, "type") == kind)) {
        set(c, "lastHeartbeatTime", time);
    }
}

/// The reason of the event about a condition.
fn word(kind: &str, holds: bool) -> &'static str {
    match (kind, holds) {
        ("Ready", true) => "NodeReady",
        ("Ready", false) => "NodeNotReady",
        ("MemoryPressure", true) => "NodeHasInsufficientMemory",
        ("MemoryPressure", false) => "NodeHasSufficientMemory",
        ("DiskPressure", true) => "NodeHasDiskPressure",
        ("DiskPressure", false) => "NodeHasNoDiskPressure",
        _ => "NodeHasSufficientPID",
    }
}

fn renew(store: &Store, name: &str, uid: &str, now: i64) {
    let time = rfc3339_micro(moment(now));
    let writer = Writer::of(NAME);
    let renewed = store.modify("leases.coordination.k8s.io", "kube-node-lease", name, writer, |o| {
        set(o, "spec.renewTime", time.as_str());
        Ok::<_, StoreError>(())
    });
    if renewed.is_err() {
        let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]);
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease", "ownerReferences": owner},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": time}});
        // Only a Lease that was made this moment could be in the way, and it says the same.
        drop(store.create("leases.coordination.k8s.io", lease, writer));
    }
}
