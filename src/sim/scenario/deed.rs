//! What a step can do.

use chrono::TimeDelta;
use regex::Regex;
use serde_json::Value;
use std::fmt;

/// `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Name {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// An object by kind (`Deployment`, `deployments.apps`, `hpa`) and name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    /// Kind, plural, short name or key.
    pub kind: String,
    /// The namespace is empty for kinds without.
    pub name: Name,
}

/// A server that can have faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// The Kubernetes API.
    Api,
    /// Prometheus.
    Prometheus,
}

/// A fault of a server; its amount is beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Seconds every answer waits.
    Latency,
    /// Share of requests answered with 429.
    Throttled,
    /// Share answered with a 5xx.
    Failing,
    /// Watches are cut after so many events.
    ResetAfter,
    /// Share of answers that end in the middle.
    Truncated,
    /// Share of lists that are out of date.
    Stale,
    /// Share of watches told that their version is too old.
    Expired,
    /// Seconds the server's clock is ahead.
    Skew,
}

impl Fault {
    /// The words in files.
    pub const ALL: [(&'static str, Self); 8] = [
        ("latency", Self::Latency),
        ("throttled", Self::Throttled),
        ("failing", Self::Failing),
        ("reset-after", Self::ResetAfter),
        ("truncated", Self::Truncated),
        ("stale", Self::Stale),
        ("expired", Self::Expired),
        ("skew", Self::Skew),
    ];

    /// Whether its amount is a share.
    pub fn is_share(self) -> bool {
        !matches!(self, Self::Latency | Self::ResetAfter | Self::Skew)
    }
}

/// What is done. The first group changes objects, the second presses on what runs.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Deed {
    /// Nothing: something to say.
    Note,
    /// Creates or changes these objects.
    Apply { objects: Vec<Value> },
    /// Deletes an object.
    Delete { object: Object },
    /// Merges into an object; lists of things with names merge by name, null removes.
    Patch { object: Object, patch: Value },
    /// Another image for a container of a workload; the first one if none is named.
    SetImage { workload: Name, container: Option<String>, image: String },
    /// Another number of replicas.
    Scale { workload: Name, replicas: i64 },
    /// Starts a workload's pods anew, as `kubectl rollout restart`.
    Restart { workload: Name },
    /// A value of a ConfigMap.
    Config { map: Name, key: String, value: String },
    /// An annotation of an object; `None` removes it.
    Annotate { object: Object, key: String, value: Option<String> },
    /// Bounds and CPU target (percent of the request) of a HorizontalPodAutoscaler.
    Hpa { name: Name, min: Option<i64>, max: Option<i64>, cpu: Option<i64> },
    /// Factor on the load of an entrance.
    Load { entrance: String, factor: f64, ramp: TimeDelta },
    /// Factor on the time a workload takes for a request.
    Slow { workload: Name, factor: f64, ramp: TimeDelta },
    /// Share of requests a workload fails.
    Failing { workload: Name, share: f64, ramp: TimeDelta },
    /// The worker threads of so many pods (all if `None`) wait for each other.
    Lock { workload: Name, pods: Option<usize> },
    /// The readiness endpoint of so many pods fails; on and off in turns of `every`.
    Unready { workload: Name, pods: Option<usize>, every: Option<TimeDelta> },
    /// Nodes lose power, or get it back.
    Power { nodes: Vec<String>, on: bool },
    /// Nodes lose the network.
    Partition { zone: Option<String>, nodes: Vec<String> },
    /// Kubelets stop.
    StopKubelet { nodes: Vec<String> },
    /// Something writes so many bytes a second to nodes' disks.
    FillDisk { nodes: Vec<String>, rate: f64 },
    /// Something outside the pods burns cores.
    StealCpu { nodes: Vec<String>, cores: f64 },
    /// Exporters whose `node` or `namespace/pod/container` matches answer no scrapes; on and off in turns of `every`.
    DropMetrics { targets: Regex, every: Option<TimeDelta> },
    /// Factor on prices of an instance type, or `*`.
    Price { instances: String, factor: f64 },
    /// A fault of a server.
    Server { server: Server, fault: Fault, amount: f64 },
    /// Plays another scenario.
    Scenario { name: String },
}

impl Deed {
    /// The words in files, for suggestions.
    pub const WORDS: [&'static str; 25] = [
        "note",
        "apply",
        "delete",
        "patch",
        "set-image",
        "scale",
        "restart",
        "config",
        "annotate",
        "hpa",
        "load",
        "slow",
        "failing",
        "lock",
        "unready",
        "power-off",
        "power-on",
        "partition",
        "stop-kubelet",
        "fill-disk",
        "steal-cpu",
        "drop-metrics",
        "price",
        "server",
        "scenario",
    ];

    /// Whether it changes objects.
    pub fn writes(&self) -> bool {
        matches!(
            self,
            Self::Apply { .. }
                | Self::Delete { .. }
                | Self::Patch { .. }
                | Self::SetImage { .. }
                | Self::Scale { .. }
                | Self::Restart { .. }
                | Self::Config { .. }
                | Self::Annotate { .. }
                | Self::Hpa { .. }
        )
    }
}
