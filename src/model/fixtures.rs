//! Small builders of realistic snapshots and live objects, for tests only.
//!
//! Everything starts healthy; a test breaks exactly what it is about.

use super::cluster::{EventRow, NodeRow, NodeTrouble, Replicas, Revision, Workload};
use super::dossier::Dossier;
use super::finding::Subject;
use super::object::{ObjectRef, Resource, WorkloadKey, WorkloadKind};
use super::pod::{
    Amount, ContainerRow, ContainerSpec, ContainerTrouble, Phase, PodRow, PodTrouble, Probes, Resources, Terminated,
};
use super::quantity::{Bytes, Cpu, MIB};
use super::reading::Reading;
use super::series::{Series, Signal};
use super::snapshot::{ClusterInfo, MetricsView, PodUsage, Snapshot, Source, SourceState, WorkloadMetrics};
use super::time::Timestamp;
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// The moment all fixtures are built around.
pub fn now() -> Timestamp {
    DateTime::from_timestamp(1_790_000_010, 0).expect("a fixed time")
}

/// So many seconds before [`now`].
pub fn ago(seconds: i64) -> Timestamp {
    now() - TimeDelta::seconds(seconds)
}

/// A container with the given memory request and limit (as written) and 100m CPU.
pub fn container(name: &str, image: &str, request: Option<&str>, limit: Option<&str>) -> ContainerSpec {
    let memory = |t: &str| Amount { value: Bytes::parse(t).expect("a quantity"), raw: t.into() };
    ContainerSpec {
        name: name.into(),
        image: image.into(),
        resources: Resources {
            cpu_request: Some(Amount { value: Cpu(100), raw: "100m".into() }),
            cpu_limit: None,
            memory_request: request.map(memory),
            memory_limit: limit.map(memory),
        },
        probes: Probes { liveness: true, readiness: true, startup: false },
        init: false,
    }
}

/// A healthy, running pod of a ReplicaSet with one container `app`, one hour old, on node `n1`.
pub fn pod(name: &str, replica_set: &str, image: &str) -> PodRow {
    PodRow {
        namespace: "shop".into(),
        name: name.into(),
        uid: format!("uid-{name}").into(),
        resource_version: "100".into(),
        owner: Some(Arc::new((WorkloadKind::ReplicaSet, replica_set.into()))),
        node: Some("n1".into()),
        specs: Arc::from([container("app", image, Some("64Mi"), Some("128Mi"))]),
        containers: Box::new([ContainerRow { restarts: 0, ready: true, running: true, trouble: None }]),
        phase: Phase::Running,
        ready: true,
        deleting: false,
        created: ago(3600),
        trouble: None,
    }
}

fn end(reason: &str, exit_code: i32, ran: i64, ended: i64) -> Terminated {
    Terminated { reason: reason.into(), exit_code, started: Some(ago(ended + ran)), finished: Some(ago(ended)) }
}

/// The container was killed for memory `ended` seconds ago and waits in its back-off.
pub fn oom(pod: &mut PodRow, restarts: u32, ended: i64) {
    crashed(pod, "OOMKilled", 137, restarts, 40, ended);
}

/// The container ended with this code `ended` seconds ago after `ran` seconds and waits in its back-off.
pub fn crashed(pod: &mut PodRow, reason: &str, exit_code: i32, restarts: u32, ran: i64, ended: i64) {
    let trouble = ContainerTrouble {
        waiting: Some(("CrashLoopBackOff".into(), "back-off 40s restarting failed container".into())),
        terminated: None,
        last: Some(end(reason, exit_code, ran, ended)),
    };
    pod.containers =
        Box::new([ContainerRow { restarts, ready: false, running: false, trouble: Some(Box::new(trouble)) }]);
    not_ready(pod, ended, "ContainersNotReady", "containers with unready status: [app]");
}

/// The container waits for this reason.
pub fn waiting(pod: &mut PodRow, reason: &str, message: &str) {
    let trouble = ContainerTrouble { waiting: Some((reason.into(), message.into())), terminated: None, last: None };
    pod.containers =
        Box::new([ContainerRow { restarts: 0, ready: false, running: false, trouble: Some(Box::new(trouble)) }]);
    pod.phase = Phase::Pending;
    not_ready(pod, 300, "ContainersNotReady", "containers with unready status: [app]");
}

/// The pod says it is not ready since `since` seconds ago.
pub fn not_ready(pod: &mut PodRow, since: i64, reason: &str, message: &str) {
    pod.ready = false;
    if let Some(c) = pod.containers.first_mut() {
        c.ready = false;
    }
    pod.trouble.get_or_insert_default().not_ready = Some((reason.into(), message.into(), Some(ago(since))));
}

/// No node was found for the pod, which is `age` seconds old.
pub fn unschedulable(pod: &mut PodRow, age: i64, message: &str) {
    pod.phase = Phase::Pending;
    pod.ready = false;
    pod.node = None;
    pod.containers = Box::new([]);
    pod.created = ago(age);
    pod.trouble = Some(Box::new(PodTrouble {
        unschedulable: Some(("Unschedulable".into(), message.into())),
        ..PodTrouble::default()
    }));
}

/// A revision of Deployment `cart` with its own image.
pub fn revision(number: u64, name: &str, image: &str, desired: u32, available: u32, age: i64) -> Revision {
    Revision {
        number,
        name: name.into(),
        uid: format!("uid-{name}").into(),
        created: ago(age),
        desired,
        ready: available,
        available,
        template: Arc::from([container("app", image, Some("64Mi"), Some("128Mi"))]),
        last_healthy: None,
    }
}

/// Deployment `shop/cart` with these pods and revisions (newest first).
pub fn deployment(name: &str, pods: Vec<PodRow>, revisions: Vec<Revision>) -> Workload {
    let ready = pods.iter().filter(|p| p.ready).count() as u32;
    let desired = pods.len() as u32;
    let template = revisions
        .first()
        .map_or_else(|| pods.first().map_or_else(|| Arc::from([]), |p| p.specs.clone()), |r| r.template.clone());
    Workload {
        key: WorkloadKey::new("shop", WorkloadKind::Deployment, name),
        uid: format!("uid-{name}").into(),
        resource_version: "200".into(),
        generation: 2,
        observed_generation: 2,
        created: Some(ago(86_400)),
        replicas: Replicas { desired, current: desired, ready, available: ready, updated: desired },
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

/// Deployment `name` with `n` healthy pods of one old revision.
pub fn healthy(name: &str, n: usize) -> Workload {
    let rs = format!("{name}-aaa");
    let pods = (0..n).map(|i| pod(&format!("{rs}-{i}"), &rs, "shop/cart:1")).collect();
    deployment(name, pods, vec![revision(1, &rs, "shop/cart:1", n as u32, n as u32, 86_400 * 3)])
}

/// A healthy node with 4 cores and 8 GiB.
pub fn node(name: &str) -> NodeRow {
    NodeRow {
        name: name.into(),
        uid: format!("uid-{name}").into(),
        resource_version: "10".into(),
        ready: true,
        cordoned: false,
        troubles: Box::new([]),
        cpu: Cpu(4000),
        memory: Bytes(8192 * MIB),
        pods: 110,
        zone: "".into(),
        version: "v1.36.2".into(),
        created: ago(86_400 * 30),
    }
}

/// Gives a node a condition since `since` seconds ago.
pub fn sick(node: &mut NodeRow, trouble: NodeTrouble, since: i64) {
    node.ready &= !matches!(trouble, NodeTrouble::NotReady | NodeTrouble::Unknown);
    node.troubles = Box::new([(trouble, Some(ago(since)), "Kubelet stopped posting node status.".into())]);
}

/// A warning event about a pod of namespace `shop`, a minute ago.
pub fn event(pod: &str, reason: &str, message: &str) -> Arc<EventRow> {
    Arc::new(EventRow {
        uid: format!("uid-{pod}-{reason}").into(),
        object: ObjectRef::namespaced(Resource::PODS, "shop", pod),
        warning: reason != "Killing",
        reason: reason.into(),
        message: message.into(),
        count: 3,
        last: ago(60),
    })
}

/// A fresh snapshot with these workloads and five healthy nodes.
pub fn snapshot(mut workloads: Vec<Workload>) -> Snapshot {
    let cluster = ClusterInfo {
        id: "c1".into(),
        context: "test".into(),
        server: "https://127.0.0.1:6443".into(),
        version: "v1.36.2".into(),
        user: "test".into(),
        namespaces: None,
    };
    workloads.sort_by(|a, b| a.key.cmp(&b.key));
    let source = |name: &str| Source {
        name: name.into(),
        namespaces: None,
        state: SourceState::Live { last: now() },
        objects: 1,
    };
    Snapshot {
        sources: ["pods", "nodes", "deployments", "events"].map(source).into(),
        workloads: workloads.into_iter().map(Arc::new).collect(),
        nodes: ["n1", "n2", "n3", "n4", "n5"].map(|n| Arc::new(node(n))).into(),
        ..Snapshot::empty(cluster, now())
    }
}

/// Replaces the nodes of a snapshot.
pub fn with_nodes(mut snapshot: Snapshot, nodes: Vec<NodeRow>) -> Snapshot {
    snapshot.nodes = nodes.into_iter().map(Arc::new).collect();
    snapshot
}

/// Adds events to a snapshot.
pub fn with_events(mut snapshot: Snapshot, events: Vec<Arc<EventRow>>) -> Snapshot {
    snapshot.events = events.into();
    snapshot
}

/// Adds the history of one workload: each signal as a function of seconds before now, over `span` seconds
/// at a 30 s step. Signals that are not given are absent.
pub fn with_metrics(
    mut snapshot: Snapshot,
    workload: &str,
    span: i64,
    signals: &[(Signal, &dyn Fn(i64) -> f64)],
) -> Snapshot {
    let empty = || Series::new(30, TimeDelta::hours(24));
    let mut metrics =
        WorkloadMetrics { now: std::array::from_fn(|_| Reading::Absent), history: std::array::from_fn(|_| empty()) };
    for (signal, f) in signals {
        let series = &mut metrics.history[*signal as usize];
        for back in (0..=span / 30).rev() {
            series.put(ago(back * 30), f(back * 30));
        }
        metrics.now[*signal as usize] = Reading::from_sample(f(0), now(), now(), TimeDelta::seconds(60));
    }
    let mut all: HashMap<_, _> = (*snapshot.metrics.workloads).clone();
    all.insert(WorkloadKey::new("shop", WorkloadKind::Deployment, workload), Arc::new(metrics));
    snapshot.metrics =
        MetricsView { state: SourceState::Live { last: now() }, workloads: Arc::new(all), ..snapshot.metrics };
    snapshot
}

/// Adds what one pod of namespace `shop` uses now.
pub fn with_usage(mut snapshot: Snapshot, pod: &str, memory: f32, share: f32) -> Snapshot {
    let mut all: HashMap<_, _> = (*snapshot.metrics.pods).clone();
    let key = super::object::PodKey { namespace: "shop".into(), name: pod.into() };
    all.insert(key, PodUsage { cpu: 0.1, memory, memory_share: Some(share), throttled: None, at: now() });
    snapshot.metrics.pods = Arc::new(all);
    snapshot.metrics.state = SourceState::Live { last: now() };
    snapshot
}

/// The live JSON of Deployment `shop/<name>` with one container `app`.
pub fn live_deployment(name: &str, replicas: u32, image: &str, request: &str, limit: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "200",
            "generation": 2, "annotations": {"deployment.kubernetes.io/revision": "2"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "template": template(name, image, request, limit)},
        "status": {"replicas": replicas}
    })
}

fn template(name: &str, image: &str, request: &str, limit: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": image, "resources": {
            "requests": {"cpu": "100m", "memory": request}, "limits": {"memory": limit}}}]}})
}

/// The live JSON of a ReplicaSet of that Deployment.
pub fn live_replica_set(deployment: &str, name: &str, number: u64, image: &str, available: u32) -> Value {
    let mut t = template(deployment, image, "64Mi", "128Mi");
    t["metadata"]["labels"]["pod-template-hash"] = name.into();
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "150",
            "annotations": {"deployment.kubernetes.io/revision": number.to_string()},
            "ownerReferences": [{"kind": "Deployment", "name": deployment, "uid": format!("uid-{deployment}"),
                "controller": true}]},
        "spec": {"replicas": available, "template": t},
        "status": {"replicas": available, "availableReplicas": available}
    })
}

/// The live JSON of a pod row.
pub fn live_pod(row: &PodRow, labels: Value) -> Value {
    let owner = row.owner.as_ref().map(|o| json!([{"kind": o.0.as_str(), "name": &*o.1, "controller": true}]));
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": &*row.name, "namespace": &*row.namespace, "uid": &*row.uid, "resourceVersion": "100",
            "labels": labels, "ownerReferences": owner.unwrap_or(json!([]))},
        "spec": {"nodeName": row.node.as_deref(), "containers": [{"name": "app", "image": "shop/cart:1"}]},
        "status": {"phase": format!("{:?}", row.phase),
            "conditions": [{"type": "Ready", "status": if row.ready { "True" } else { "False" }}]}
    })
}

/// The live JSON of a node row.
pub fn live_node(row: &NodeRow) -> Value {
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": &*row.name, "uid": &*row.uid, "resourceVersion": "10"}, "spec": {}, "status": {}})
}

/// A dossier around one live object, without gaps.
pub fn dossier(subject: Subject, object: Value) -> Dossier {
    Dossier { subject: Some(subject), object: Some(object), taken: now(), ..Dossier::default() }
}
