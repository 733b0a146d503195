//! Live objects that a plan is built from, fetched whole just before planning.
//!
//! Snapshots hold slim rows; a patch needs the real thing. The monitor fetches a dossier for each
//! subject that has a finding; the planner turns finding and dossier into exact steps.

use super::finding::Subject;
use super::time::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// Annotation of a Service that names the workload which may take its place: `standby` or `StatefulSet/standby`.
pub const BACKUP: &str = "kansole.dev/backup";

/// Live JSON around one subject. A part that could not be read is in `gaps`, never silently empty.
#[derive(Debug, Clone, Default)]
pub struct Dossier {
    /// Who it is about.
    pub subject: Option<Subject>,
    /// The workload or node itself.
    pub object: Option<Value>,
    /// ReplicaSets of a Deployment, or ControllerRevisions of a StatefulSet or DaemonSet.
    pub revisions: Vec<Value>,
    /// Its pods, whole; at most 50, troubled ones first.
    pub pods: Vec<Value>,
    /// HPAs, VPAs and ScaledObjects of the namespace that target it.
    pub autoscalers: Vec<Value>,
    /// LimitRanges and ResourceQuotas of the namespace.
    pub limits: Vec<Value>,
    /// The namespace object.
    pub namespace: Option<Value>,
    /// PodDisruptionBudgets of the namespace; around a node those of all namespaces.
    pub budgets: Vec<Value>,
    /// Services of the namespace whose selector picks the pods of its template.
    pub services: Vec<Value>,
    /// Workloads that those Services declare as their backup ([`BACKUP`]).
    pub backups: Vec<Value>,
    /// ConfigMaps that its template reads, as far as kansole may read them.
    pub configs: Vec<ConfigFile>,
    /// What could not be read, and why: `hpas: forbidden`.
    pub gaps: Vec<Arc<str>>,
    /// When it was fetched.
    pub taken: Timestamp,
}

/// A ConfigMap, whole, and what it held before.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFile {
    /// The object.
    pub live: Value,
    /// `data` and `binaryData` before its last change by somebody else, and when that was seen; `None`: no change was seen.
    pub before: Option<(Value, Timestamp)>,
}
