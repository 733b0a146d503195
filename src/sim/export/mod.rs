//! What real exporters would say about the simulated cluster at one moment: kubelet and its cAdvisor,
//! kube-state-metrics, node-exporter, instrumented services, the service graph, OpenCost. Names, labels, types and helps
//! are theirs. A page is made of [`Unit`]s, things measured together; the same code measures now and the past.

pub mod app;
pub mod cadvisor;
pub mod fleet;
pub mod kubelet;
pub mod node;
pub mod state;
pub mod system;

use super::machine::{Calls, Machine, Machines, Place, Process, State, Usage};
use crate::model::time::Timestamp;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a metric is, as its `# TYPE` line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
}

impl Kind {
    /// As it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric family.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Name, without `_bucket`, `_sum` and `_count` of histograms.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// One line.
    pub help: &'static str,
}

/// A counter.
const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help }
}

/// A gauge.
const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help }
}

/// A histogram.
const fn histogram(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Histogram, help }
}

/// A family and how it is read; where `get` gives `None`, the exporter leaves it out.
struct Row<F> {
    family: Family,
    /// Labels that are always the same.
    labels: &'static [(&'static str, &'static str)],
    get: F,
}

const fn row<F: Copy>(family: Family, get: F) -> Row<F> {
    Row { family, labels: &[], get }
}

/// Reads a value off a process and what it uses.
type OfProcess = fn(&Process, &Usage) -> Option<f64>;

/// Where samples go. The order of a unit's samples should stay the same from one time to the next.
pub trait Sink {
    /// The labels that all following samples of the unit have.
    fn base(&mut self, labels: &[(&str, &str)]);
    /// A sample: `suffix` is `_bucket`, `_sum`, `_count` or empty; `labels` come on top of the base.
    fn put(&mut self, family: &'static Family, suffix: &'static str, labels: &[(&str, &str)], value: f64);
}

/// Puts all rows of a table.
fn of_process(table: &'static [Row<OfProcess>], p: &Process, u: &Usage, sink: &mut dyn Sink) {
    for row in table {
        if let Some(value) = (row.get)(p, u) {
            sink.put(&row.family, "", row.labels, value);
        }
    }
}

/// Puts a classic histogram: cumulative `buckets`, then everything. Counts are whole, as requests are.
fn buckets(
    family: &'static Family,
    labels: &[(&str, &str)],
    cumulative: &[f64],
    seconds: f64,
    count: f64,
    sink: &mut dyn Sink,
) {
    let mut with: Vec<(&str, &str)> = labels.to_vec();
    with.push(("le", ""));
    let last = with.len() - 1;
    let count = count.floor();
    for (le, n) in LE.iter().zip(cumulative) {
        with[last].1 = le;
        sink.put(family, "_bucket", &with, n.floor().min(count));
    }
    with[last].1 = "+Inf";
    sink.put(family, "_bucket", &with, count);
    sink.put(family, "_sum", labels, seconds);
    sink.put(family, "_count", labels, count);
}

/// [`super::machine::BUCKETS`] as text.
const LE: [&str; 14] =
    ["0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1", "2.5", "5", "7.5", "10"];

/// Something that is measured together and has a base of labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// cAdvisor: the machine and its root cgroup.
    Root(String),
    /// cAdvisor: a pod's cgroup and its sandbox, by namespace and name.
    Pod(String, String),
    /// cAdvisor: a container.
    Container(Place),
    /// The kubelet of a node itself.
    Kubelet(String),
    /// Kubelet: a volume a pod mounts from a claim.
    Volume {
        /// Namespace.
        namespace: String,
        /// The pod that mounts it.
        pod: String,
        /// The claim.
        claim: String,
    },
    /// node-exporter.
    Node(String),
    /// An instrumented process.
    App(Place),
    /// Calls between two workloads.
    Edge(String, String),
    /// OpenCost: prices of a node.
    Price(String),
    /// OpenCost: what a container has been allotted.
    Allotted(Place),
    /// kube-state-metrics: an object, by kind's key, namespace and name.
    Object(String, String, String),
    /// What the monitoring says of itself.
    Own,
}

/// What exporters know that [`Machines`] does not: from objects, kept by who follows the store.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Known {
    /// By node.
    pub nodes: BTreeMap<String, KnownNode>,
    /// By namespace and name.
    pub pods: BTreeMap<(String, String), KnownPod>,
    /// Capacity in bytes of claims, by namespace and name.
    pub claims: BTreeMap<(String, String), f64>,
    /// Selectors of Services, by namespace and name.
    pub services: BTreeMap<(String, String), BTreeMap<String, String>>,
}

/// A node, as its object says.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct KnownNode {
    /// Internal address, or its name.
    pub address: String,
    /// `spec.providerID`.
    pub provider_id: String,
    /// `status.nodeInfo.kernelVersion`.
    pub kernel: String,
    /// Labels of region and architecture.
    pub region: String,
    /// `kubernetes.io/arch`.
    pub arch: String,
}

/// A pod, as its object says.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct KnownPod {
    /// UID.
    pub uid: String,
    /// Node it is bound to; empty: none.
    pub node: String,
    /// Address; empty: none yet.
    pub address: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// First declared port, by container.
    pub ports: BTreeMap<String, i64>,
    /// Claims it mounts.
    pub claims: Vec<String>,
    /// Whether it has ended for good.
    pub over: bool,
}

impl Known {
    /// The Service that selects a pod, or `None`: the first by name, as a pod is usually in one.
    pub fn service(&self, namespace: &str, pod: &str) -> Option<&str> {
        let pod = self.pods.get(&(namespace.to_owned(), pod.to_owned()))?;
        self.services
            .range((namespace.to_owned(), String::new())..)
            .take_while(|((ns, _), _)| ns == namespace)
            .find(|(_, s)| !s.is_empty() && s.iter().all(|(k, v)| pod.labels.get(k) == Some(v)))
            .map(|((_, name), _)| name.as_str())
    }
}

/// The world at one moment, as exporters see it.
pub trait View {
    /// Milliseconds since 1970.
    fn now(&self) -> i64;
    /// What objects say.
    fn known(&self) -> &Known;
    /// A running process.
    fn process(&self, place: &Place) -> Option<&Process>;
    /// What it uses.
    fn usage(&self, place: &Place) -> Option<Cow<'_, Usage>>;
    /// The running processes of a pod, by container.
    fn pod<'a>(&'a self, namespace: &str, pod: &str) -> Vec<&'a Process>;
    /// The running processes of a node.
    fn on<'a>(&'a self, node: &str) -> Vec<&'a Process>;
    /// A machine.
    fn machine(&self, node: &str) -> Option<Cow<'_, Machine>>;
    /// Calls by caller and callee.
    fn calls(&self, caller: &str, callee: &str) -> Option<Cow<'_, Calls>>;
}

/// Now.
pub struct Live<'a> {
    /// What runs.
    pub machines: &'a Machines,
    /// What objects say.
    pub known: &'a Known,
    /// When.
    pub now: Timestamp,
}

/// The running processes of a pod among all, which are ordered by place.
pub(super) fn of_pod<'a>(all: &'a BTreeMap<Place, Process>, namespace: &str, pod: &str) -> Vec<&'a Process> {
    let from = Place { namespace: namespace.to_owned(), pod: pod.to_owned(), container: String::new() };
    all.range(from..)
        .take_while(|(p, _)| p.namespace == namespace && p.pod == pod)
        .map(|(_, p)| p)
        .filter(|p| p.state == State::Running)
        .collect()
}

impl View for Live<'_> {
    fn now(&self) -> i64 {
        self.now.timestamp_millis()
    }

    fn known(&self) -> &Known {
        self.known
    }

    fn process(&self, place: &Place) -> Option<&Process> {
        self.machines.processes.get(place).filter(|p| p.state == State::Running)
    }

    fn usage(&self, place: &Place) -> Option<Cow<'_, Usage>> {
        self.process(place).map(|p| Cow::Borrowed(&p.usage))
    }

    fn pod<'a>(&'a self, namespace: &str, pod: &str) -> Vec<&'a Process> {
        of_pod(&self.machines.processes, namespace, pod)
    }

    fn on<'a>(&'a self, node: &str) -> Vec<&'a Process> {
        self.machines.processes.values().filter(|p| p.node == node && p.state == State::Running).collect()
    }

    fn machine(&self, node: &str) -> Option<Cow<'_, Machine>> {
        let machine = self.machines.nodes.get(node)?;
        let prices = &self.machines.outside.price;
        let factor = prices.get(&machine.instance_type).or_else(|| prices.get("*"));
        let Some((factor, price)) = factor.zip(machine.price) else { return Some(Cow::Borrowed(machine)) };
        Some(Cow::Owned(Machine { price: Some(price * factor), ..machine.clone() }))
    }

    fn calls(&self, caller: &str, callee: &str) -> Option<Cow<'_, Calls>> {
        self.machines.calls.get(&(caller.to_owned(), callee.to_owned())).map(Cow::Borrowed)
    }
}

/// Measures one unit. What is not there gives nothing.
pub fn measure(unit: &Unit, view: &dyn View, sink: &mut dyn Sink) {
    match unit {
        Unit::Root(node) => cadvisor::root(node, view, sink),
        Unit::Pod(namespace, pod) => cadvisor::pod(namespace, pod, view, sink),
        Unit::Container(place) => cadvisor::container(place, view, sink),
        Unit::Kubelet(node) => kubelet::own(node, view, sink),
        Unit::Volume { namespace, pod, claim } => kubelet::volume(namespace, pod, claim, view, sink),
        Unit::Node(node) => node::machine(node, view, sink),
        Unit::App(place) => app::process(place, view, sink),
        Unit::Edge(caller, callee) => system::edge(caller, callee, view, sink),
        Unit::Price(node) => system::price(node, view, sink),
        Unit::Allotted(place) => system::allotted(place, view, sink),
        // Objects are read from the store when they change; what the monitoring says of itself, by who scrapes.
        Unit::Object(..) | Unit::Own => {}
    }
}

/// Every family there is, in no order, each once.
pub fn families() -> Vec<&'static Family> {
    let tables: [fn(&mut Vec<&'static Family>); 6] =
        [cadvisor::families, kubelet::families, node::families, app::families, state::families, system::families];
    let mut all = Vec::new();
    for table in tables {
        table(&mut all);
    }
    all
}

/// What metrics.k8s.io tells of a running container, or of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Used {
    /// Cores.
    pub cores: f64,
    /// Bytes: working set.
    pub memory: f64,
}

/// What the running containers of a pod use now, by name. The shop moves usage once a second and smoothly: what it is now
/// stands for the last 15 s, which the real metrics-server averages over.
pub fn usage(machines: &Machines, namespace: &str, pod: &str) -> Vec<(String, Used)> {
    of_pod(&machines.processes, namespace, pod)
        .into_iter()
        .map(|p| (p.place.container.clone(), Used { cores: p.usage.cores, memory: p.usage.working_set }))
        .collect()
}

/// What a node uses now; `None`: there is no such machine, or it does not answer.
pub fn node_usage(machines: &Machines, node: &str) -> Option<Used> {
    let m = machines.nodes.get(node).filter(|m| m.powered && m.connected && m.kubelet)?;
    let pods = machines.processes.values().filter(|p| p.node == node && p.state == State::Running);
    let cores = pods.map(|p| p.usage.cores).sum::<f64>();
    Some(Used { cores: cores.min(m.cores), memory: m.memory_used })
}
