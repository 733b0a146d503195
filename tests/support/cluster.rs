//! Workloads and a cluster that nothing is known of but what a test says.

use kansole::model::cluster::{Replicas, Revision, Workload};
use kansole::model::object::{WorkloadKey, WorkloadKind};
use kansole::model::pod::{ContainerSpec, PodRow};
use kansole::model::snapshot::ClusterInfo;
use std::sync::Arc;

/// A cluster without a name.
pub fn cluster() -> ClusterInfo {
    let none: Arc<str> = "".into();
    let [id, context, server, version, user] = std::array::from_fn(|_| none.clone());
    ClusterInfo { id, context, server, version, user, namespaces: None }
}

/// A Deployment of the namespace `shop` with these pods and revisions.
pub fn workload(name: &str, template: Arc<[ContainerSpec]>, pods: Vec<PodRow>, revisions: Vec<Revision>) -> Workload {
    Workload {
        key: WorkloadKey::new("shop", WorkloadKind::Deployment, name),
        uid: "1".into(),
        resource_version: "1".into(),
        generation: 1,
        observed_generation: 1,
        created: None,
        replicas: Replicas::default(),
        paused: false,
        template,
        revisions: revisions.into(),
        stuck: None,
        owners: Arc::from([]),
        opted_in: false,
        config_maps: Arc::from([]),
        pods: pods.into_iter().map(Arc::new).collect(),
    }
}
