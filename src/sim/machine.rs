//! What really runs: machines, and the processes in containers. The API shows what the kubelet says about them; the
//! exporters measure them; causes act on them. Three hands write here, each its own fields:
//! the kubelet starts, stops and kills processes; the shop (the model of load and service) moves what they use and how
//! they answer; scenarios break machines and processes. Everybody else reads.

use crate::model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

/// Upper bounds of request durations in seconds, as OpenTelemetry's `http.server.request.duration` has them.
pub const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Log lines a process keeps.
const LINES: usize = 2_000;

/// A container of a pod, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Namespace.
    pub namespace: String,
    /// Pod.
    pub pod: String,
    /// Container.
    pub container: String,
}

/// A machine under a node.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// The node's name.
    pub name: String,
    /// Availability zone.
    pub zone: String,
    /// Such as `m6i.xlarge`.
    pub instance_type: String,
    /// Bought on the spot market.
    pub spot: bool,
    /// US dollars an hour; `None`: no price known.
    pub price: Option<f64>,
    /// Cores.
    pub cores: f64,
    /// Bytes of memory.
    pub memory: f64,
    /// Bytes of the filesystem that images, logs and emptyDirs share.
    pub disk: f64,
    /// Has power. Without it nothing runs and the kubelet is silent. (scenario)
    pub powered: bool,
    /// Can reach the control plane and the other zones. (scenario)
    pub connected: bool,
    /// The kubelet process answers. (scenario)
    pub kubelet: bool,
    /// Its exporters answer scrapes. (scenario)
    pub exporting: bool,
    /// Cores of its host that a neighbour takes. (scenario)
    pub stolen_cores: f64,
    /// Bytes a second that something outside the pods writes to its disk. (scenario)
    pub disk_filling: f64,
    /// Bytes of it that are there. (shop)
    pub disk_filled: f64,
    /// Bytes in use on the filesystem. (shop)
    pub disk_used: f64,
    /// Bytes of memory in use, page cache left out. (shop)
    pub memory_used: f64,
    /// CPU seconds since boot: idle, iowait, steal, system, user. (shop)
    pub cpu_seconds: [f64; 5],
    /// Bytes received and sent since boot. (shop)
    pub network: [f64; 2],
    /// Bytes read and written, and seconds the disk was busy, since boot. (shop)
    pub io: [f64; 3],
    /// Seconds that some task waited for cpu, memory and io since boot (PSI). (shop)
    pub pressure: [f64; 3],
    /// When it started.
    pub booted: Timestamp,
}

/// The state of a container's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It ended by itself with this code; the kubelet has not seen it yet. (shop)
    Exited(i32),
}

/// Requests a process has answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Requests {
    /// Method, such as `GET`.
    pub method: String,
    /// Route, such as `/cart/{id}`.
    pub route: String,
    /// Status code.
    pub code: u16,
    /// How many, and their seconds in all.
    pub count: f64,
    /// Seconds in all.
    pub seconds: f64,
    /// How many took at most as long as each of [`BUCKETS`]; cumulative.
    pub buckets: [f64; BUCKETS.len()],
}

/// What a process uses. Totals count from its start. (shop)
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// Cores right now.
    pub cores: f64,
    /// CPU seconds: user, system.
    pub cpu_seconds: [f64; 2],
    /// CFS periods, those in which it was throttled, and seconds it was.
    pub cfs: [f64; 3],
    /// Bytes: working set. The kubelet kills at the limit.
    pub working_set: f64,
    /// Bytes: anonymous memory.
    pub rss: f64,
    /// Bytes: page cache, the reclaimable part.
    pub cache: f64,
    /// Seconds some task waited for cpu, memory, io (PSI).
    pub stalled: [f64; 3],
    /// Bytes received, sent.
    pub network: [f64; 2],
    /// Bytes read, written.
    pub io: [f64; 2],
    /// Bytes on the node's filesystem: writable layer and logs.
    pub disk: f64,
    /// Requests being worked on.
    pub in_flight: f64,
    /// Threads.
    pub threads: f64,
    /// Cache hits and misses, for processes that have a cache.
    pub cached: Option<[f64; 2]>,
    /// Messages waiting, for queues and their workers.
    pub waiting: Option<f64>,
    /// Answered requests by method, route and code.
    pub requests: Vec<Requests>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// A process in a container, one run of it.
#[derive(Debug, Clone)]
pub struct Process {
    /// Where.
    pub place: Place,
    /// The pod's UID.
    pub uid: String,
    /// The node.
    pub node: String,
    /// The workload: top controller's kind and name, such as ("Deployment", "cart").
    pub workload: (String, String),
    /// Image.
    pub image: String,
    /// `containerd://…`
    pub id: String,
    /// Times it was started before.
    pub restarts: u32,
    /// When this run started.
    pub started: Timestamp,
    /// Environment and mounted ConfigMaps as they were at its start: `ConfigMap name/key` → value, and env names.
    pub config: BTreeMap<String, String>,
    /// The pod's annotations, for behaviour that tests ask for (`kansole.dev/…`).
    pub annotations: BTreeMap<String, String>,
    /// Requests: cores, bytes; 0 without.
    pub requests: [f64; 2],
    /// Limits: cores, bytes; `None` without. An in-place resize changes them.
    pub limits: [Option<f64>; 2],
    /// Runs, or ended.
    pub state: State,
    /// What its readiness endpoint would answer. (shop)
    pub ready: bool,
    /// What its liveness endpoint would answer. (shop)
    pub live: bool,
    /// Whether it has finished starting. (shop)
    pub started_up: bool,
    /// Its exporter answers scrapes. (scenario)
    pub exporting: bool,
    /// What it uses.
    pub usage: Usage,
    /// What it said.
    pub log: VecDeque<Line>,
}

impl Process {
    /// Writes a line to its log.
    pub fn say(&mut self, at: Timestamp, text: impl Into<String>) {
        if self.log.len() == LINES {
            self.log.pop_front();
        }
        self.log.push_back(Line { at, text: text.into() });
    }
}

/// Calls from one workload to another, as a mesh or the service graph counts them. Totals. (shop)
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calls {
    /// All.
    pub total: f64,
    /// Failed.
    pub failed: f64,
    /// Tried again.
    pub retried: f64,
    /// Seconds the server took, in all.
    pub server_seconds: f64,
    /// Seconds the client waited, in all.
    pub client_seconds: f64,
    /// Server durations at most as long as each of [`BUCKETS`]; cumulative.
    pub buckets: [f64; BUCKETS.len()],
}

/// What presses on the world from outside Kubernetes. (scenario) The shop reads it, and the exporters the prices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Disturbances {
    /// Factor on the load of an entrance, by name; `*` for all. 1 without an entry.
    pub load: BTreeMap<String, f64>,
    /// Factor on the time a workload needs for a request, by `namespace/workload`: a slow disk, a bad plan, a lock.
    pub slow: BTreeMap<String, f64>,
    /// Share of its requests that a workload fails of itself, by `namespace/workload`.
    pub failing: BTreeMap<String, f64>,
    /// Processes whose worker threads wait for each other; gone with the process.
    pub locked: BTreeSet<Place>,
    /// Processes whose readiness endpoint fails while they are here.
    pub unready: BTreeSet<Place>,
    /// Factor on machine prices, by instance type; `*` for all.
    pub price: BTreeMap<String, f64>,
}

/// What was before the simulation began, computed and not stored. Totals run on into the first live values.
pub trait Past: Send + Sync {
    /// What a process that runs at the start used at `at`; `None` if it did not run then, or nothing is known of it.
    fn usage(&self, place: &Place, at: Timestamp) -> Option<Usage>;
    /// A machine at `at`; only what the shop moves differs from now.
    fn machine(&self, node: &str, at: Timestamp) -> Option<Machine>;
    /// Calls between two workloads until `at`.
    fn calls(&self, caller: &str, callee: &str, at: Timestamp) -> Option<Calls>;
}

/// Everything that runs.
#[derive(Debug, Default)]
pub struct Machines {
    /// What presses from outside.
    pub outside: Disturbances,
    /// By node name.
    pub nodes: BTreeMap<String, Machine>,
    /// Running or just ended processes.
    pub processes: BTreeMap<Place, Process>,
    /// The run before the present one, for `logs --previous`. (kubelet)
    pub previous: BTreeMap<Place, VecDeque<Line>>,
    /// Calls by (caller, callee), each `namespace/workload`; callers outside the cluster are `user`.
    pub calls: BTreeMap<(String, String), Calls>,
}

/// Shared between the engine's actors and the servers that read. Lock for one act or one answer, never across two.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Machines>>);

impl Shared {
    /// The machines, locked.
    pub fn lock(&self) -> MutexGuard<'_, Machines> {
        self.0.lock().expect("no panic while the machines are held")
    }
}
