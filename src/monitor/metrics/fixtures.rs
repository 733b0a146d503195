//! Snapshots and answers for the tests of this room.

use crate::model::cluster::{Replicas, Workload};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::pod::{Amount, ContainerSpec, Phase, PodRow, Probes, Resources};
use crate::model::quantity::{Bytes, MIB};
use crate::model::snapshot::{ClusterInfo, Snapshot};
use crate::model::time::Timestamp;
use crate::monitor::prometheus::answer::{Datum, Sample};
use std::sync::Arc;

/// A round moment.
pub fn start() -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_010, 0).unwrap()
}

/// A workload with ready pods of one container `app` with a limit of 100 MiB.
pub fn workload(namespace: &str, kind: WorkloadKind, name: &str, pods: &[&str]) -> Workload {
    let limit = Amount { value: Bytes(100 * MIB), raw: "100Mi".into() };
    let template: Arc<[ContainerSpec]> = Arc::from([ContainerSpec {
        name: "app".into(),
        image: "app:1".into(),
        resources: Resources { memory_limit: Some(limit), ..Resources::default() },
        probes: Probes::default(),
        init: false,
    }]);
    let row = |name: &&str| {
        Arc::new(PodRow {
            namespace: namespace.into(),
            name: (*name).into(),
            uid: "u".into(),
            resource_version: "1".into(),
            owner: None,
            node: None,
            specs: template.clone(),
            containers: Box::default(),
            phase: Phase::Running,
            ready: true,
            deleting: false,
            created: start() - chrono::TimeDelta::hours(1),
            trouble: None,
        })
    };
    Workload {
        key: WorkloadKey::new(namespace, kind, name),
        uid: "u".into(),
        resource_version: "1".into(),
        generation: 1,
        observed_generation: 1,
        created: Some(start() - chrono::TimeDelta::days(3)),
        replicas: Replicas::default(),
        paused: false,
        template: template.clone(),
        revisions: Arc::from([]),
        stuck: None,
        owners: Arc::from([]),
        opted_in: false,
        config_maps: Arc::from([]),
        pods: pods.iter().map(row).collect(),
    }
}

/// A snapshot of these workloads.
pub fn snapshot(workloads: Vec<Workload>) -> Snapshot {
    let cluster = ClusterInfo {
        id: "id".into(),
        context: "test".into(),
        server: "https://test".into(),
        version: "v1.36.0".into(),
        user: "me".into(),
        namespaces: None,
    };
    let mut list: Vec<Arc<Workload>> = workloads.into_iter().map(Arc::new).collect();
    list.sort_by(|a, b| a.key.cmp(&b.key));
    Snapshot { workloads: list.into(), ..Snapshot::empty(cluster, start()) }
}

/// One sample: labels as `a=b,c=d`.
pub fn sample(labels: &str, value: f64, at: Timestamp) -> Sample {
    let labels = labels.split(',').filter_map(|p| p.split_once('=')).collect();
    Sample { labels, at, value: Datum::Float(value) }
}
