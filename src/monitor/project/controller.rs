//! Controllers: Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs, CronJobs.

use super::{reason_of, specs, uid};
use crate::model::cluster::{Owner, Replicas};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::ownership;
use crate::model::pod::{ContainerSpec, Uid};
use crate::model::time::Timestamp;
use crate::monitor::intern::{Interner, OwnerName};
use crate::monitor::lite::{ControllerLite, condition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One controller, reduced to what a workload needs of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Controller {
    /// Its name.
    pub key: WorkloadKey,
    /// UID.
    pub uid: Uid,
    /// `resourceVersion`.
    pub resource_version: Box<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed_generation: i64,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Its own controller: the Deployment of a ReplicaSet, the CronJob of a Job.
    pub owner: Option<OwnerName>,
    /// Counts.
    pub replicas: Replicas,
    /// `spec.paused` or `spec.suspend`.
    pub paused: bool,
    /// Containers of its template.
    pub template: Arc<[ContainerSpec]>,
    /// ConfigMaps its template needs.
    pub config_maps: Arc<[Arc<str>]>,
    /// Reason and message of a condition that says it is stuck.
    pub stuck: Option<(Arc<str>, Arc<str>)>,
    /// Owners that its own metadata tells.
    pub owners: Box<[Owner]>,
    /// Annotation `autonomous/enabled`: `true`, `false`, or neither.
    pub enabled: Option<bool>,
    /// `deployment.kubernetes.io/revision`, of a ReplicaSet.
    pub revision: Option<u64>,
    /// When it was last seen fully available.
    pub last_healthy: Option<Timestamp>,
}

impl Controller {
    /// Whether all the pods it wants are available, and it wants some.
    pub fn healthy(&self) -> bool {
        self.replicas.desired > 0 && self.replicas.available >= self.replicas.desired
    }
}

/// One controller of this kind, seen at `now`.
pub fn controller(kind: &WorkloadKind, raw: &ControllerLite, names: &mut Interner, now: Timestamp) -> Controller {
    let (meta, spec) = (&raw.metadata, &raw.spec);
    let pod_spec =
        if *kind == WorkloadKind::CronJob { &spec.job_template.spec.template.spec } else { &spec.template.spec };
    let maps: BTreeSet<&str> =
        pod_spec.config_maps().filter(|m| !m.optional && !m.name.is_empty()).map(|m| &*m.name).collect();
    let refs = meta.owner_references.iter().map(|o| (&*o.kind, &*o.name));
    let mut one = Controller {
        key: WorkloadKey { namespace: names.text(&meta.namespace), name: names.text(&meta.name), kind: kind.clone() },
        uid: uid(&meta.uid),
        resource_version: uid(&meta.resource_version),
        generation: meta.generation,
        observed_generation: raw.status.observed_generation,
        created: meta.creation_timestamp,
        owner: meta.controller().map(|o| names.owner(&o.kind, &o.name)),
        replicas: replicas(kind, raw),
        paused: spec.paused || spec.suspend,
        template: specs(pod_spec, names),
        config_maps: maps.into_iter().map(|m| names.text(m)).collect(),
        stuck: stuck(raw, names),
        owners: ownership::from_metadata(|k| meta.labels.get(k), |k| meta.annotations.get(k), refs).into(),
        enabled: meta.annotations.get("autonomous/enabled").and_then(|v| v.parse().ok()),
        revision: meta.annotations.get("deployment.kubernetes.io/revision").and_then(|r| r.parse().ok()),
        last_healthy: None,
    };
    one.last_healthy = one.healthy().then_some(now);
    one
}

fn replicas(kind: &WorkloadKind, raw: &ControllerLite) -> Replicas {
    let (spec, s) = (&raw.spec, &raw.status);
    match kind {
        WorkloadKind::DaemonSet => Replicas {
            desired: s.desired_number_scheduled,
            current: s.current_number_scheduled,
            ready: s.number_ready,
            available: s.number_available,
            updated: s.updated_number_scheduled,
        },
        // A finished or suspended job wants no pods.
        WorkloadKind::Job => {
            let over =
                spec.suspend || ["Complete", "Failed"].iter().any(|c| condition(&s.conditions, c, "True").is_some());
            Replicas {
                desired: if over { 0 } else { spec.parallelism.unwrap_or(1) },
                current: s.active.0,
                ready: s.ready,
                available: s.ready,
                updated: s.active.0,
            }
        }
        WorkloadKind::CronJob => Replicas { current: s.active.0, ..Replicas::default() },
        _ => Replicas {
            desired: spec.replicas.unwrap_or(1),
            current: s.replicas,
            ready: s.ready_replicas,
            available: s.available_replicas,
            updated: s.updated_replicas,
        },
    }
}

fn stuck(raw: &ControllerLite, names: &mut Interner) -> Option<(Arc<str>, Arc<str>)> {
    let says = [("ReplicaFailure", "True"), ("Progressing", "False"), ("Failed", "True")];
    let found = says.iter().find_map(|(kind, status)| condition(&raw.status.conditions, kind, status))?;
    Some(reason_of(found, names))
}
