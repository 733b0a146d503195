//! Pods and nodes that only fill a fleet (label `kansole.dev/filler`): nothing runs in them, and what the exporters say of
//! them is a function of their UID and the time, computed when somebody asks.

use super::{Known, View};
use crate::sim::clock::at;
use crate::sim::machine::{Calls, Machine, Place, Process, State, Usage};
use crate::sim::noise::Noise;
use crate::sim::object::quantity_of;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::f64::consts::TAU;

/// The label.
pub const FILLER: &str = "kansole.dev/filler";

/// What of a pod is needed to measure it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    uid: String,
    /// Node; empty: not bound.
    pub node: String,
    /// Milliseconds of its creation.
    pub born: i64,
    /// Whether it runs.
    pub running: bool,
    containers: Vec<Container>,
}

/// Name, image, requests and limits (cores, bytes) of a container.
#[derive(Debug, Clone, PartialEq)]
struct Container {
    name: String,
    image: String,
    requests: [f64; 2],
    limits: [Option<f64>; 2],
}

/// What of a node is needed to measure it.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name.
    pub name: String,
    uid: String,
    /// Internal address, or its name.
    pub address: String,
    cores: f64,
    memory: f64,
    /// Milliseconds of its creation.
    pub born: i64,
}

#[derive(Deserialize)]
struct Meta {
    name: String,
    #[serde(default)]
    namespace: String,
    uid: String,
    #[serde(rename = "creationTimestamp")]
    born: chrono::DateTime<chrono::Utc>,
}

/// The fields read; the rest is skipped without being built.
#[derive(Deserialize)]
struct PodFields {
    metadata: Meta,
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    #[serde(default)]
    node_name: String,
    #[serde(default)]
    containers: Vec<ContainerFields>,
}

#[derive(Deserialize, Default)]
struct PodStatus {
    #[serde(default)]
    phase: String,
}

#[derive(Deserialize)]
struct ContainerFields {
    name: String,
    #[serde(default)]
    image: String,
    #[serde(default)]
    resources: Resources,
}

#[derive(Deserialize, Default)]
struct Resources {
    #[serde(default)]
    requests: BTreeMap<String, String>,
    #[serde(default)]
    limits: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct NodeFields {
    metadata: Meta,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize, Default)]
struct NodeStatus {
    #[serde(default)]
    capacity: BTreeMap<String, String>,
    #[serde(default)]
    addresses: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

fn amounts(of: &BTreeMap<String, String>) -> [Option<f64>; 2] {
    ["cpu", "memory"].map(|r| of.get(r).and_then(|q| quantity_of(q)))
}

impl Pod {
    /// A pod from its object's text; `None` if it is not one.
    pub fn read(body: &str) -> Option<Self> {
        let p: PodFields = serde_json::from_str(body).ok()?;
        let containers = p.spec.containers.into_iter().map(|c| Container {
            name: c.name,
            image: c.image,
            requests: amounts(&c.resources.requests).map(Option::unwrap_or_default),
            limits: amounts(&c.resources.limits),
        });
        Some(Self {
            namespace: p.metadata.namespace,
            name: p.metadata.name,
            uid: p.metadata.uid,
            node: p.spec.node_name,
            born: p.metadata.born.timestamp_millis(),
            running: p.status.phase == "Running",
            containers: containers.collect(),
        })
    }

    /// Its containers.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.containers.iter().map(|c| Place {
            namespace: self.namespace.clone(),
            pod: self.name.clone(),
            container: c.name.clone(),
        })
    }

    fn process(&self, c: &Container, place: Place) -> Process {
        let id = Noise::new(0).of(&self.uid).of(&c.name);
        Process {
            place,
            uid: self.uid.clone(),
            node: self.node.clone(),
            workload: Default::default(),
            image: c.image.clone(),
            id: format!("containerd://{:016x}{:016x}{:016x}{:016x}", id.bits(0), id.bits(1), id.bits(2), id.bits(3)),
            restarts: 0,
            started: at(self.born),
            config: BTreeMap::new(),
            annotations: BTreeMap::new(),
            requests: c.requests,
            limits: c.limits,
            state: State::Running,
            ready: true,
            live: true,
            started_up: true,
            exporting: true,
            usage: Usage::default(),
            log: VecDeque::new(),
        }
    }

    /// What a container uses at `ms`: around half of what it asks for, a little more in the daytime.
    fn usage(&self, c: &Container, ms: i64) -> Usage {
        let noise = Noise::new(0).of(&self.uid).of(&c.name);
        let age = (ms - self.born).max(0) as f64 / 1000.0;
        let mean = c.requests[0].max(0.005) * (0.25 + 0.5 * noise.unit(0));
        let (cores, seconds) = daily(mean, noise.unit(1), ms, self.born);
        let memory = c.requests[1].max(16e6) * (0.4 + 0.4 * noise.unit(2));
        let working_set = memory * (1.0 + 0.03 * (age / 900.0 + TAU * noise.unit(3)).sin());
        Usage {
            cores,
            cpu_seconds: [seconds * 0.8, seconds * 0.2],
            cfs: [age * 10.0, 0.0, 0.0],
            working_set,
            rss: working_set * 0.9,
            cache: working_set * 0.15,
            network: [seconds * 20_000.0, seconds * 60_000.0],
            disk: 1e6,
            threads: 8.0,
            ..Usage::default()
        }
    }
}

/// A load with a daily swing of a fifth: its value at `ms`, and its integral since `born` in seconds.
fn daily(mean: f64, phase: f64, ms: i64, born: i64) -> (f64, f64) {
    const SWING: f64 = 0.2;
    let angle = |ms: i64| TAU * (ms.rem_euclid(86_400_000) as f64 / 86_400_000.0 + 0.1 * phase);
    let age = (ms - born).max(0) as f64 / 1000.0;
    let waved = SWING * 86_400.0 / TAU * (angle(born).cos() - angle(ms.max(born)).cos());
    (mean * (1.0 + SWING * angle(ms).sin()), mean * (age + waved))
}

impl Node {
    /// A node from its object's text; `None` if it is not one.
    pub fn read(body: &str) -> Option<Self> {
        let n: NodeFields = serde_json::from_str(body).ok()?;
        let [cores, memory] = amounts(&n.status.capacity).map(Option::unwrap_or_default);
        let address = n.status.addresses.into_iter().find(|a| a.kind == "InternalIP").map(|a| a.address);
        Some(Self {
            address: address.unwrap_or_else(|| n.metadata.name.clone()),
            name: n.metadata.name,
            uid: n.metadata.uid,
            cores,
            memory,
            born: n.metadata.born.timestamp_millis(),
        })
    }

    fn machine(&self, ms: i64) -> Machine {
        let noise = Noise::new(0).of(&self.uid);
        let age = (ms - self.born).max(0) as f64 / 1000.0;
        let (_, busy) = daily(self.cores * (0.2 + 0.3 * noise.unit(0)), noise.unit(1), ms, self.born);
        let idle = (self.cores * age - busy).max(0.0);
        Machine {
            name: self.name.clone(),
            cores: self.cores,
            memory: self.memory,
            disk: 200e9,
            disk_used: 200e9 * (0.2 + 0.3 * noise.unit(2)),
            memory_used: self.memory * (0.4 + 0.3 * noise.unit(3)),
            cpu_seconds: [idle, 0.0, 0.0, busy * 0.25, busy * 0.75],
            network: [busy * 50_000.0, busy * 80_000.0],
            io: [busy * 5_000.0, busy * 9_000.0, busy * 0.01],
            booted: at(self.born),
            ..Machine::default()
        }
    }
}

/// One pod or node of the fleet at one moment.
pub struct Filler<'a> {
    /// The pod, if it is one.
    pod: Option<(&'a Pod, BTreeMap<Place, Process>)>,
    node: Option<&'a Node>,
    known: Known,
    /// Milliseconds.
    pub now: i64,
}

impl<'a> Filler<'a> {
    /// A pod.
    pub fn pod(pod: &'a Pod, now: i64) -> Self {
        let processes = pod.containers.iter().zip(pod.places()).map(|(c, p)| (p.clone(), pod.process(c, p))).collect();
        Self { pod: Some((pod, processes)), node: None, known: Known::default(), now }
    }

    /// A node.
    pub fn node(node: &'a Node, now: i64) -> Self {
        Self { pod: None, node: Some(node), known: Known::default(), now }
    }
}

impl View for Filler<'_> {
    fn now(&self) -> i64 {
        self.now
    }

    fn known(&self) -> &Known {
        &self.known
    }

    fn process(&self, place: &Place) -> Option<&Process> {
        self.pod.as_ref()?.1.get(place)
    }

    fn usage(&self, place: &Place) -> Option<Cow<'_, Usage>> {
        let pod = self.pod.as_ref()?.0;
        let container = pod.containers.iter().find(|c| c.name == place.container)?;
        Some(Cow::Owned(pod.usage(container, self.now)))
    }

    fn pod<'a>(&'a self, _: &str, _: &str) -> Vec<&'a Process> {
        self.pod.iter().flat_map(|(_, all)| all.values()).collect()
    }

    fn on<'a>(&'a self, _: &str) -> Vec<&'a Process> {
        Vec::new()
    }

    fn machine(&self, _: &str) -> Option<Cow<'_, Machine>> {
        self.node.map(|n| Cow::Owned(n.machine(self.now)))
    }

    fn calls(&self, _: &str, _: &str) -> Option<Cow<'_, Calls>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_integral_of_the_load() {
        let (mut sum, born) = (0.0, 1_800_000_000_000);
        for s in 0..100_000 {
            sum += daily(0.3, 0.7, born + s * 1000 + 500, born).0;
        }
        let (_, total) = daily(0.3, 0.7, born + 100_000_000, born);
        assert!((sum - total).abs() < 0.01, "{sum} {total}");
    }
}
