//! Puts workloads together: controller, revisions, pods, owners.

use super::Table;
use crate::model::cluster::{Owner, Replicas, Revision, Workload};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::pod::{Phase, PodRow};
use crate::monitor::project::Controller;
use std::sync::Arc;

/// The kinds that other controllers make: their pods belong to whoever made them.
pub(super) fn is_middle(kind: &WorkloadKind) -> bool {
    matches!(kind, WorkloadKind::ReplicaSet | WorkloadKind::Job)
}

/// What a pod hangs on directly: its controller, or itself.
pub(super) fn direct(pod: &PodRow) -> WorkloadKey {
    match &pod.owner {
        Some(owner) => WorkloadKey { namespace: pod.namespace.clone(), name: owner.1.clone(), kind: owner.0.clone() },
        None => pod.as_workload(),
    }
}

/// Who made a controller that others make.
pub(super) fn parent(c: &Controller) -> Option<WorkloadKey> {
    let owner = c.owner.as_ref().filter(|_| is_middle(&c.key.kind))?;
    Some(WorkloadKey { namespace: c.key.namespace.clone(), name: owner.1.clone(), kind: owner.0.clone() })
}

impl Table {
    /// The workload that a direct controller's pods belong to.
    pub(super) fn top(&self, direct: &WorkloadKey) -> WorkloadKey {
        let above = self.controllers.get(direct).and_then(parent);
        above.unwrap_or_else(|| direct.clone())
    }

    /// One workload as it is now; `None` if it is none: gone, or part of another.
    pub(super) fn assemble(&self, key: &WorkloadKey) -> Option<Workload> {
        let own = self.controllers.get(key);
        if own.and_then(parent).is_some() {
            return None;
        }
        let children: Vec<&Controller> =
            self.children.get(key).into_iter().flatten().filter_map(|k| self.controllers.get(k)).collect();
        let pods = self.pods_of(key, &children);
        if own.is_none() && pods.is_empty() {
            return None;
        }
        let revisions = revisions(&children);
        let mut workload = match own {
            Some(c) => from_controller(c),
            None => from_pods(key, &pods, &revisions),
        };
        workload.pods = pods.into();
        workload.revisions = revisions.into();
        let mut owners: Vec<Owner> = own.map(|c| c.owners.to_vec()).unwrap_or_default();
        for owner in self.scalers_by_target.get(key).into_iter().flatten() {
            if !owners.contains(owner) {
                owners.push(owner.clone());
            }
        }
        workload.owners = owners.into();
        let namespace = self.namespaces.get(&key.namespace).is_some_and(|n| n.opted_in);
        workload.opted_in = own.and_then(|c| c.enabled).unwrap_or(namespace);
        Some(workload)
    }

    fn pods_of(&self, key: &WorkloadKey, children: &[&Controller]) -> Vec<Arc<PodRow>> {
        let groups = std::iter::once(key).chain(children.iter().map(|c| &c.key));
        let mut pods: Vec<Arc<PodRow>> = groups.filter_map(|k| self.groups.get(k)).flatten().cloned().collect();
        // Each group is sorted; a merge of sorted runs is what the standard sort is fast at.
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        pods
    }
}

/// ReplicaSets as revisions, newest first.
fn revisions(children: &[&Controller]) -> Vec<Revision> {
    let mut all: Vec<Revision> = children
        .iter()
        .filter_map(|c| {
            Some(Revision {
                number: c.revision?,
                name: c.key.name.clone(),
                uid: c.uid.clone(),
                created: c.created.unwrap_or_default(),
                desired: c.replicas.desired,
                ready: c.replicas.ready,
                available: c.replicas.available,
                template: c.template.clone(),
                last_healthy: c.last_healthy,
            })
        })
        .collect();
    all.sort_by(|a, b| b.number.cmp(&a.number).then_with(|| a.name.cmp(&b.name)));
    all
}

fn from_controller(c: &Controller) -> Workload {
    Workload {
        uid: c.uid.clone(),
        resource_version: c.resource_version.clone(),
        generation: c.generation,
        observed_generation: c.observed_generation,
        created: c.created,
        replicas: c.replicas,
        paused: c.paused,
        template: c.template.clone(),
        stuck: c.stuck.clone(),
        config_maps: c.config_maps.clone(),
        ..blank(&c.key)
    }
}

/// A workload whose controller is not watched: a bare pod, or an operator's own kind.
fn from_pods(key: &WorkloadKey, pods: &[Arc<PodRow>], revisions: &[Revision]) -> Workload {
    let live = pods.iter().filter(|p| !p.deleting && !matches!(p.phase, Phase::Succeeded | Phase::Failed));
    let ready = live.clone().filter(|p| p.ready).count() as u32;
    let current = live.count() as u32;
    let newest = pods.iter().max_by_key(|p| p.created);
    let mut workload = Workload {
        replicas: Replicas { desired: current, current, ready, available: ready, updated: current },
        template: revisions
            .first()
            .map(|r| r.template.clone())
            .or_else(|| newest.map(|p| p.specs.clone()))
            .unwrap_or_else(|| Arc::from([])),
        ..blank(key)
    };
    if let ([pod], WorkloadKind::Pod) = (pods, &key.kind) {
        workload.uid = pod.uid.clone();
        workload.resource_version = pod.resource_version.clone();
        workload.created = Some(pod.created);
    }
    workload
}

fn blank(key: &WorkloadKey) -> Workload {
    Workload {
        key: key.clone(),
        uid: Box::default(),
        resource_version: Box::default(),
        generation: 0,
        observed_generation: 0,
        created: None,
        replicas: Replicas::default(),
        paused: false,
        template: Arc::from([]),
        revisions: Arc::from([]),
        stuck: None,
        owners: Arc::from([]),
        opted_in: false,
        config_maps: Arc::from([]),
        pods: Arc::from([]),
    }
}
