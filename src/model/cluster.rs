//! Everything else a snapshot holds about a cluster: workloads, nodes, namespaces, events, budgets.

use super::autoscaler::Scaling;
use super::object::{ObjectRef, WorkloadKey};
use super::pod::{ContainerSpec, PodRow, Uid};
use super::quantity::{Bytes, Cpu};
use super::time::Timestamp;
use std::sync::Arc;

/// Pod counts of a workload as its controller reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[allow(missing_docs)]
pub struct Replicas {
    pub desired: u32,
    pub current: u32,
    pub ready: u32,
    pub available: u32,
    pub updated: u32,
}

/// Who else writes to an object's desired state. Found from labels, annotations, owners and managedFields.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "by", content = "name", rename_all = "lowercase")]
pub enum Owner {
    /// An Argo CD application.
    ArgoCd(Arc<str>),
    /// A Flux Kustomization or HelmRelease.
    Flux(Arc<str>),
    /// A Helm release.
    Helm(Arc<str>),
    /// An operator's custom resource: `Kind/name`.
    Operator(Arc<str>),
    /// A HorizontalPodAutoscaler: owns replicas.
    Hpa(Arc<str>),
    /// A VerticalPodAutoscaler that acts (mode other than Off): owns requests and limits.
    Vpa(Arc<str>),
    /// A KEDA ScaledObject: owns replicas.
    Keda(Arc<str>),
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ArgoCd(n) => write!(f, "Argo CD app {n}"),
            Self::Flux(n) => write!(f, "Flux {n}"),
            Self::Helm(n) => write!(f, "Helm release {n}"),
            Self::Operator(n) => write!(f, "operator object {n}"),
            Self::Hpa(n) => write!(f, "HPA {n}"),
            Self::Vpa(n) => write!(f, "VPA {n}"),
            Self::Keda(n) => write!(f, "KEDA ScaledObject {n}"),
        }
    }
}

/// One revision of a Deployment (a ReplicaSet).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// `deployment.kubernetes.io/revision`.
    pub number: u64,
    /// ReplicaSet name.
    pub name: Arc<str>,
    /// ReplicaSet UID.
    pub uid: Uid,
    /// When it was created.
    pub created: Timestamp,
    /// Pods wanted, ready and available now.
    pub desired: u32,
    #[allow(missing_docs)]
    pub ready: u32,
    #[allow(missing_docs)]
    pub available: u32,
    /// Its containers, shared.
    pub template: Arc<[ContainerSpec]>,
    /// When kansole last saw it fully available (available ≥ desired > 0). `None`: never seen.
    pub last_healthy: Option<Timestamp>,
}

/// A workload with its pods.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Its name.
    pub key: WorkloadKey,
    /// UID of the controller object; empty for kinds that are not watched.
    pub uid: Uid,
    /// `resourceVersion` when last seen.
    pub resource_version: Box<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed_generation: i64,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Counts from its controller.
    pub replicas: Replicas,
    /// `spec.paused` of a Deployment, `spec.suspend` of a Job or CronJob.
    pub paused: bool,
    /// The current template's containers, init containers first.
    pub template: Arc<[ContainerSpec]>,
    /// Revisions of a Deployment, newest first.
    pub revisions: Arc<[Revision]>,
    /// `Progressing=False` reason and message, or another condition that says the controller is stuck.
    pub stuck: Option<(Arc<str>, Arc<str>)>,
    /// Who else owns its desired state, as far as the watched objects tell.
    pub owners: Arc<[Owner]>,
    /// Opted in to automation: annotation `autonomous/enabled: "true"` here or label
    /// `autonomous-enabled=true` on the namespace. An annotation `"false"` here opts out.
    pub opted_in: bool,
    /// Names of ConfigMaps the template needs (without optional ones).
    pub config_maps: Arc<[Arc<str>]>,
    /// Its pods, sorted by name.
    pub pods: Arc<[Arc<PodRow>]>,
}

impl Workload {
    /// Pods that should serve: not being deleted and not finished.
    pub fn live_pods(&self) -> impl Iterator<Item = &Arc<PodRow>> {
        self.pods
            .iter()
            .filter(|p| !p.deleting && !matches!(p.phase, super::pod::Phase::Succeeded | super::pod::Phase::Failed))
    }

    /// Restarts over all its pods.
    pub fn restarts(&self) -> u32 {
        self.pods.iter().map(|p| p.restarts()).sum()
    }

    /// Pods ready, and pods wanted (or existing, where no controller says).
    pub fn readiness(&self) -> (u32, u32) {
        let ready = self.pods.iter().filter(|p| p.ready && !p.deleting).count() as u32;
        (ready, self.replicas.desired.max(if self.uid.is_empty() { self.pods.len() as u32 } else { 0 }))
    }
}

/// Node conditions that matter, each with since when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[allow(missing_docs)]
pub enum NodeTrouble {
    NotReady,
    Unknown,
    MemoryPressure,
    DiskPressure,
    PidPressure,
    NetworkUnavailable,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Name.
    pub name: Arc<str>,
    /// UID.
    pub uid: Uid,
    /// `resourceVersion` when last seen.
    pub resource_version: Box<str>,
    /// `Ready=True`.
    pub ready: bool,
    /// `spec.unschedulable`.
    pub cordoned: bool,
    /// What is wrong, since when, with the kubelet's message.
    pub troubles: Box<[(NodeTrouble, Option<Timestamp>, Arc<str>)]>,
    /// Allocatable CPU.
    pub cpu: Cpu,
    /// Allocatable memory.
    pub memory: Bytes,
    /// Allocatable pods.
    pub pods: u32,
    /// `topology.kubernetes.io/zone`, empty if none.
    pub zone: Arc<str>,
    /// `status.nodeInfo.kubeletVersion`.
    pub version: Arc<str>,
    /// When it was created.
    pub created: Timestamp,
}

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceRow {
    /// Name.
    pub name: Arc<str>,
    /// Label `autonomous-enabled=true`.
    pub opted_in: bool,
    /// Being deleted.
    pub terminating: bool,
}

/// One horizontal autoscaler.
#[derive(Debug, Clone, PartialEq)]
pub struct HpaRow {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// What it scales.
    pub target: WorkloadKey,
    /// Bounds and counts.
    pub min: u32,
    #[allow(missing_docs)]
    pub max: u32,
    #[allow(missing_docs)]
    pub current: u32,
    #[allow(missing_docs)]
    pub desired: u32,
    /// Resource metrics it scales on (`cpu`, `memory`).
    pub resources: Box<[Arc<str>]>,
    /// A condition that says it cannot scale: reason and message.
    pub blocked: Option<(Arc<str>, Arc<str>)>,
    /// By what it scales, in full.
    pub scaling: Option<Arc<Scaling>>,
}

/// One ConfigMap. What it holds is never read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMapRow {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// `metadata.resourceVersion`: another one means that somebody changed it.
    pub version: Box<str>,
}

/// One disruption budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PdbRow {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// `spec.selector` as `key=value` pairs; `None` if it uses expressions.
    pub selector: Option<Box<[(Arc<str>, Arc<str>)]>>,
    /// `status.disruptionsAllowed`.
    pub allowed: u32,
    /// `status.currentHealthy`.
    pub healthy: u32,
    /// `status.desiredHealthy`.
    pub desired: u32,
}

/// One event, folded by object and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// UID of the event object.
    pub uid: Uid,
    /// What it is about.
    pub object: ObjectRef,
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// Reason, such as `BackOff`.
    pub reason: Arc<str>,
    /// Message, cleaned.
    pub message: Box<str>,
    /// How often.
    pub count: u32,
    /// When last.
    pub last: Timestamp,
}
