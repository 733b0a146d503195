//! Pods as slim rows: about 250 bytes each, so that a hundred thousand fit on an ops box.
//!
//! What replicas share (template, node, names of containers) is interned behind `Arc`s; what only
//! troubled pods have (messages, exit codes) is boxed and absent from healthy ones.

use super::object::{WorkloadKey, WorkloadKind};
use super::quantity::{Bytes, Cpu};
use super::time::Timestamp;
use std::sync::Arc;

/// A UID as the API server writes it (36 characters), boxed to its length.
pub type Uid = Box<str>;

/// A resource amount with the exact text the object holds, which patches must `test` against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Amount<T> {
    /// Parsed value.
    pub value: T,
    /// As written in the object.
    pub raw: Arc<str>,
}

/// Requests and limits of one container. `None` is "not set", which is not zero.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub struct Resources {
    pub cpu_request: Option<Amount<Cpu>>,
    pub cpu_limit: Option<Amount<Cpu>>,
    pub memory_request: Option<Amount<Bytes>>,
    pub memory_limit: Option<Amount<Bytes>>,
}

/// What a template says about one container. Interned: replicas share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContainerSpec {
    /// Container name.
    pub name: Arc<str>,
    /// Image reference.
    pub image: Arc<str>,
    /// Requests and limits.
    pub resources: Resources,
    /// Whether it has a liveness, readiness or startup probe.
    pub probes: Probes,
    /// Whether it is an init container.
    pub init: bool,
}

/// Which probes a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub struct Probes {
    pub liveness: bool,
    pub readiness: bool,
    pub startup: bool,
}

/// `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[allow(missing_docs)]
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminated {
    /// `OOMKilled`, `Error`, `Completed`…
    pub reason: Arc<str>,
    /// Exit code; 137 is SIGKILL.
    pub exit_code: i32,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

/// What a troubled container says of itself. Healthy containers have none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerTrouble {
    /// `state.waiting.reason` and message, cleaned.
    pub waiting: Option<(Arc<str>, Arc<str>)>,
    /// `state.terminated`.
    pub terminated: Option<Terminated>,
    /// `lastState.terminated`.
    pub last: Option<Terminated>,
}

/// One container of one pod, in the order of `ContainerSpec`s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRow {
    /// `restartCount`.
    pub restarts: u32,
    /// `ready`.
    pub ready: bool,
    /// `state.running` is set.
    pub running: bool,
    /// Present only when something is or was wrong.
    pub trouble: Option<Box<ContainerTrouble>>,
}

/// What a troubled pod says of itself as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodTrouble {
    /// `status.reason`, such as `Evicted` or `NodeLost`, and message.
    pub reason: Option<(Arc<str>, Arc<str>)>,
    /// `PodScheduled=False`: reason and message.
    pub unschedulable: Option<(Arc<str>, Arc<str>)>,
    /// `Ready=False`: reason, message and since when.
    pub not_ready: Option<(Arc<str>, Arc<str>, Option<Timestamp>)>,
}

/// One pod, reduced to what engines and tables need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRow {
    /// Namespace, interned.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Box<str>,
    /// UID.
    pub uid: Uid,
    /// `resourceVersion` when last seen.
    pub resource_version: Box<str>,
    /// Direct controller: kind and name, interned; `None` for a bare pod.
    pub owner: Option<Arc<(WorkloadKind, Arc<str>)>>,
    /// Node it is bound to, interned.
    pub node: Option<Arc<str>>,
    /// Its containers' specs (init containers first), shared with its siblings.
    pub specs: Arc<[ContainerSpec]>,
    /// Its containers' states, in the same order; empty until the kubelet reports.
    pub containers: Box<[ContainerRow]>,
    /// Phase.
    pub phase: Phase,
    /// `Ready` condition is true.
    pub ready: bool,
    /// `deletionTimestamp` is set.
    pub deleting: bool,
    /// When it was created.
    pub created: Timestamp,
    /// Present only when something is wrong with the pod as a whole.
    pub trouble: Option<Box<PodTrouble>>,
}

impl PodRow {
    /// Restarts of all its containers.
    pub fn restarts(&self) -> u32 {
        self.containers.iter().map(|c| c.restarts).sum()
    }

    /// Containers (without init containers) that are ready, and how many there are.
    pub fn ready_containers(&self) -> (usize, usize) {
        let mut ready = 0;
        let mut all = 0;
        for (i, spec) in self.specs.iter().enumerate().filter(|(_, s)| !s.init) {
            let _ = spec;
            all += 1;
            ready += usize::from(self.containers.get(i).is_some_and(|c| c.ready));
        }
        (ready, all)
    }

    /// Specs and states side by side; the state is `None` until the kubelet reports it.
    pub fn each_container(&self) -> impl Iterator<Item = (&ContainerSpec, Option<&ContainerRow>)> {
        self.specs.iter().enumerate().map(|(i, spec)| (spec, self.containers.get(i)))
    }

    /// The one word kubectl shows in its STATUS column.
    pub fn status(&self) -> &str {
        if self.deleting {
            return "Terminating";
        }
        if let Some((reason, _)) = self.trouble.as_ref().and_then(|t| t.reason.as_ref()) {
            return reason;
        }
        for c in &self.containers {
            let Some(t) = &c.trouble else { continue };
            if let Some((reason, _)) = &t.waiting
                && &**reason != "ContainerCreating"
                && &**reason != "PodInitializing"
            {
                return reason;
            }
            if let Some(end) = &t.terminated
                && (end.exit_code != 0 || self.phase == Phase::Failed)
            {
                return &end.reason;
            }
        }
        match self.phase {
            Phase::Pending if self.node.is_some() => "ContainerCreating",
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Completed",
            Phase::Failed => "Failed",
            Phase::Unknown => "Unknown",
        }
    }

    /// The key of the workload it would be alone: used when nobody owns it.
    pub fn as_workload(&self) -> WorkloadKey {
        WorkloadKey::new(self.namespace.clone(), WorkloadKind::Pod, &*self.name)
    }
}
