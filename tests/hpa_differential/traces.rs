//! What a trace is: an autoscaler, and at each step the state of its pods and what they use.
//!
//! Each container requests 100m CPU and 64Mi of memory unless a trace says otherwise.

mod stories;

pub use stories::all;

use serde_json::{Value, json};

/// The pods' containers.
pub const CONTAINERS: [&str; 2] = ["main", "side"];
/// Seconds that measurements are taken over.
pub const WINDOW: i64 = 30;
/// All windows and periods of the autoscalers, in seconds: no decision is made near the end of one.
pub const WINDOWS: [i64; 3] = [3, 5, 15];
/// The replicas of a target that is made, or made to run, later.
pub const LATER: i64 = 2;
/// Reasons of conditions that the traces must come to, or they test less than they say.
pub const REASONS: [&str; 15] = [
    "AmbiguousSelector",
    "DesiredWithinRange",
    "FailedGetContainerResourceMetric",
    "FailedGetResourceMetric",
    "FailedGetScale",
    "ReadyForNewScale",
    "ScaleDownLimit",
    "ScaleDownStabilized",
    "ScaleUpLimit",
    "ScaleUpStabilized",
    "ScalingDisabled",
    "SucceededRescale",
    "TooFewReplicas",
    "TooManyReplicas",
    "ValidMetricFound",
];

/// The state a pod is brought into; times in seconds before now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dress {
    /// Started an hour ago, and ready since.
    Ready,
    /// Running, with a Ready condition.
    Is {
        ready: bool,
        started: i64,
        since: i64,
    },
    /// Running, without a Ready condition.
    Unknown,
    Pending,
    Failed,
    /// Being deleted.
    Deleting,
}

/// What a pod uses, in both containers alike: millicores, and MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Use {
    pub cpu: Option<i64>,
    pub memory: Option<i64>,
}

impl Use {
    /// Of a container: half of the pod's, and of an odd number the larger half in the first. In thousandths.
    pub fn of(&self, container: &str, resource: &str) -> Option<i64> {
        let whole = match resource {
            "cpu" => self.cpu?,
            _ => self.memory? * 1024 * 1024 * 1000,
        };
        match container {
            "main" => Some(whole - whole / 2),
            "side" => Some(whole / 2),
            _ => None,
        }
    }
}

/// One decision.
pub struct Step {
    pub what: &'static str,
    /// Of the first pods by name; the others are ready.
    pub dress: Vec<Dress>,
    /// Of the pods by name; the last is that of all others. Nothing: they are not measured.
    pub uses: Vec<Option<Use>>,
    /// How often it is repeated.
    pub times: usize,
}

impl Step {
    /// What the pod uses.
    pub fn used(&self, pod: usize) -> Option<Use> {
        *self.uses.get(pod).or(self.uses.last())?
    }

    fn dressed(mut self, dress: &[Dress]) -> Self {
        self.dress = dress.to_vec();
        self
    }

    fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}

/// An autoscaler's story.
pub struct Trace {
    pub name: &'static str,
    /// Of the target at the beginning; none: there is no target.
    pub replicas: Option<i64>,
    pub spec: Value,
    pub containers: Value,
    /// Whether another autoscaler has the same target at the beginning.
    pub rival: bool,
    pub steps: Vec<Step>,
}

impl Trace {
    /// The reason told by the looks that need no measurements, if the trace begins with one.
    pub fn opening(&self) -> Option<&'static str> {
        let of = |field: &str| self.spec[field].as_i64().unwrap_or(1);
        match self.replicas {
            _ if self.rival => Some("AmbiguousSelector"),
            None => Some("FailedGetScale"),
            Some(0) => Some("ScalingDisabled"),
            Some(n) if n < of("minReplicas") || n > of("maxReplicas") => Some("SucceededRescale"),
            Some(_) => None,
        }
    }

    /// How often it asks for measurements in a look.
    pub fn questions(&self) -> usize {
        self.spec["metrics"].as_array().map_or(0, Vec::len)
    }

    fn behaving(mut self, behavior: Value) -> Self {
        self.spec["behavior"] = behavior;
        self
    }

    fn measured(mut self, metrics: Value) -> Self {
        self.spec["metrics"] = metrics;
        self
    }

    fn of(mut self, containers: Value) -> Self {
        self.containers = containers;
        self
    }
}

fn utilization(resource: &str, percent: i64) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": resource, "target": target}})
}

fn average(resource: &str, value: &str) -> Value {
    let target = json!({"type": "AverageValue", "averageValue": value});
    json!({"type": "Resource", "resource": {"name": resource, "target": target}})
}

fn containers(cpu: &str, memory: &str) -> Value {
    let requests = json!({"cpu": cpu, "memory": memory});
    CONTAINERS
        .map(|name| json!({"name": name, "image": "registry.example/app:1", "resources": {"requests": requests}}))
        .to_vec()
        .into()
}

/// A trace whose autoscaler wants half of the CPU that is requested in use.
fn trace(name: &'static str, replicas: i64, bounds: [i64; 2], steps: Vec<Step>) -> Trace {
    let spec = json!({"minReplicas": bounds[0], "maxReplicas": bounds[1], "metrics": [utilization("cpu", 50)]});
    Trace { name, replicas: Some(replicas), spec, containers: containers("100m", "64Mi"), rival: false, steps }
}

/// All pods use so many percent of the CPU they request, and half of the memory.
fn cpu(what: &'static str, percent: i64) -> Step {
    some(what, &[Some(percent)])
}

/// The pods use so many percent of the CPU they request, the others as the last.
fn some(what: &'static str, percents: &[Option<i64>]) -> Step {
    both(what, &percents.iter().map(|p| p.map(|p| (Some(p), Some(50)))).collect::<Vec<_>>())
}

/// The pods use so many percent of the CPU and the memory they request.
fn both(what: &'static str, percents: &[Option<(Option<i64>, Option<i64>)>]) -> Step {
    let of = |(cpu, memory): (Option<i64>, Option<i64>)| Use {
        cpu: cpu.map(|p| p * 2),
        memory: memory.map(|p| p * 128 / 100),
    };
    Step { what, dress: Vec::new(), uses: percents.iter().map(|p| p.map(of)).collect(), times: 1 }
}

fn policy(kind: &str, value: i64, period: i64) -> Value {
    json!({"type": kind, "value": value, "periodSeconds": period})
}

fn rules(window: i64, select: &str, policies: &[Value]) -> Value {
    json!({"stabilizationWindowSeconds": window, "selectPolicy": select, "policies": policies})
}
