//! A fleet that fills the cluster for scale: nodes and running pods that nobody manages and no process stands behind.
//! Nodes and pods are labelled [`FILLER`], and so are their workloads: controllers, kubelet and scheduler leave them alone.

use super::node;
use crate::model::time::Timestamp;
use crate::sim::clock::{rfc3339, seconds};
use crate::sim::engine::Actor;
use crate::sim::machine::Machine;
use crate::sim::noise::Noise;
use crate::sim::object::{int, set, take};
use crate::sim::store::{Change, Delete, Store, StoreError};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The label of everything here; its value is `true`.
pub const FILLER: &str = "kansole.dev/filler";

/// Pods of a namespace, about.
const NAMESPACE: usize = 2_000;

/// What the fleet runs: name, image, cores and memory asked for. Sizes of workloads vary between 20 and 200.
const KINDS: [(&str, &str, &str, &str); 8] = [
    ("api", "registry.example/api:2.8.1", "100m", "128Mi"),
    ("worker", "registry.example/worker:5.0.3", "150m", "256Mi"),
    ("web", "registry.example/web:1.19.0", "50m", "64Mi"),
    ("sync", "registry.example/sync:0.9.4", "20m", "64Mi"),
    ("ingest", "registry.example/ingest:3.1.0", "200m", "384Mi"),
    ("render", "registry.example/render:7.2.2", "250m", "256Mi"),
    ("notify", "registry.example/notify:1.4.8", "30m", "48Mi"),
    ("index", "registry.example/index:4.4.1", "100m", "512Mi"),
];

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Nodes of the fleet; at least one is made if there are pods.
    pub nodes: usize,
    /// Pods on them.
    pub pods: usize,
}

/// One pod's place: what it takes to write it.
struct Slot<'a> {
    namespace: &'a str,
    /// ReplicaSet and its UID.
    set: (&'a str, &'a str),
    app: &'a str,
    hash: &'a str,
    kind: (&'a str, &'a str, &'a str, &'a str),
    node: usize,
    ordinal: usize,
}

/// Puts the fleet into the store as if it had run since `born`.
pub fn install(store: &Store, noise: Noise, size: Size, born: Timestamp) -> Result<(), StoreError> {
    if size.nodes == 0 && size.pods == 0 {
        return Ok(());
    }
    let noise = noise.of("fleet");
    let now = store.clock().now();
    let count = size.nodes.max(1);
    store.load("nodes", (1..=count).map(|i| filler_node(i, born, now)).collect())?;
    let (mut placed, mut index) = (0, 0_usize);
    let mut namespace = String::new();
    let mut free = 0;
    while placed < size.pods {
        if free == 0 {
            namespace = format!("fleet-{:02}", placed / NAMESPACE + 1);
            free = NAMESPACE;
            super::load(store, vec![named_namespace(&namespace)], "fleet", born).expect("a namespace is always valid");
        }
        let wanted = 20 + (noise.of("size").bits(index as i64) % 181) as usize;
        let pods = wanted.min(free).min(size.pods - placed);
        workload(store, noise, (&namespace, index), (placed, pods, count), &rfc3339(born))?;
        (placed, free, index) = (placed + pods, free - pods, index + 1);
    }
    Ok(())
}

/// The names of the fleet's nodes, in order: `fleet-0001`, …
pub fn node_name(i: usize) -> String {
    format!("fleet-{i:04}")
}

fn filler_node(i: usize, born: Timestamp, now: Timestamp) -> Value {
    let zone = ["eu-west-1a", "eu-west-1b", "eu-west-1c"][i % 3];
    let machine = Machine {
        name: node_name(i),
        zone: zone.to_owned(),
        instance_type: "m6i.8xlarge".to_owned(),
        cores: 32.0,
        memory: 128.0 * 1_073_741_824.0,
        disk: 200.0 * 1_073_741_824.0,
        ..Machine::default()
    };
    // Ordinals from 1000 keep the fleet's addresses apart from those of the other nodes.
    let mut node = node::object(&machine, 1_000 + i, born, now);
    if let Some(labels) = node.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.insert(FILLER.to_owned(), "true".into());
    }
    for what in ["capacity", "allocatable"] {
        set(&mut node, &format!("status.{what}.pods"), "250");
    }
    node
}

fn named_namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {FILLER: "true"}}})
}

/// A Deployment with its ReplicaSet and `pods` running pods, of which `placed` others came before, on `nodes` nodes.
fn workload(
    store: &Store,
    noise: Noise,
    (namespace, index): (&str, usize),
    (placed, pods, nodes): (usize, usize, usize),
    born: &str,
) -> Result<(), StoreError> {
    let kind = KINDS[index % KINDS.len()];
    let app = format!("{}-{}", kind.0, index / KINDS.len() + 1);
    let hash = noise.of("hash").suffix(index as i64, 10);
    let set_name = format!("{app}-{hash}");
    let (owner, set_uid) = (noise.of("deployment").uuid(index as i64), noise.of("set").uuid(index as i64));
    let template = json!({
        "metadata": {"labels": labels(&app, &hash)},
        "spec": {
            "containers": [container(kind)], "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
            "schedulerName": "default-scheduler", "securityContext": {}, "terminationGracePeriodSeconds": 30,
        },
    });
    store.load("deployments.apps", vec![deployment((namespace, &app, &owner), pods, &template, born)])?;
    store.load(
        "replicasets.apps",
        vec![replica_set((namespace, &set_name, &set_uid), (&app, &owner), &hash, pods, &template, born)],
    )?;
    let suffix = noise.of(&set_name);
    let mut taken = BTreeSet::new();
    let names = (0..).map(|i| suffix.suffix(i, 5)).filter(|s| taken.insert(s.clone())).take(pods);
    let all = names
        .enumerate()
        .map(|(i, name)| {
            let ordinal = placed + i;
            let slot = Slot {
                namespace,
                set: (&set_name, &set_uid),
                app: &app,
                hash: &hash,
                kind,
                node: ordinal % nodes + 1,
                ordinal,
            };
            pod(&slot, &name, noise, born)
        })
        .collect();
    store.load("pods", all)
}

fn labels(app: &str, hash: &str) -> Value {
    json!({"app.kubernetes.io/name": app, "pod-template-hash": hash, FILLER: "true"})
}

fn container((name, image, cpu, memory): (&str, &str, &str, &str)) -> Value {
    let resources = json!({"cpu": cpu, "memory": memory});
    json!({
        "name": name, "image": image, "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": resources, "limits": {"memory": memory}},
    })
}

fn deployment((namespace, name, uid): (&str, &str, &str), pods: usize, template: &Value, born: &str) -> Value {
    let mut template = template.clone();
    take(&mut template, "metadata.labels.pod-template-hash");
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message,
            "lastUpdateTime": born, "lastTransitionTime": born,
        })
    };
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": name, "namespace": namespace, "uid": uid, "creationTimestamp": born, "generation": 1,
            "labels": {"app.kubernetes.io/name": name, FILLER: "true"},
            "annotations": {"deployment.kubernetes.io/revision": "1"},
        },
        "spec": {
            "replicas": pods, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "template": template,
        },
        "status": {
            "observedGeneration": 1, "replicas": pods, "updatedReplicas": pods, "readyReplicas": pods, "availableReplicas": pods,
            "conditions": [
                condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
                condition("Progressing", "NewReplicaSetAvailable", "ReplicaSet has successfully progressed."),
            ],
        },
    })
}

fn replica_set(
    (namespace, name, uid): (&str, &str, &str),
    (app, owner): (&str, &str),
    hash: &str,
    pods: usize,
    template: &Value,
    born: &str,
) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": namespace, "uid": uid, "creationTimestamp": born, "generation": 1,
            "labels": labels(app, hash),
            "annotations": {"deployment.kubernetes.io/revision": "1", "deployment.kubernetes.io/desired-replicas": pods.to_string()},
            "ownerReferences": [owner_of("apps/v1", "Deployment", app, owner)],
        },
        "spec": {
            "replicas": pods, "template": template,
            "selector": {"matchLabels": {"app.kubernetes.io/name": app, "pod-template-hash": hash}},
        },
        "status": {
            "observedGeneration": 1, "replicas": pods, "fullyLabeledReplicas": pods, "readyReplicas": pods, "availableReplicas": pods,
        },
    })
}

fn owner_of(api: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!({"apiVersion": api, "kind": kind, "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true})
}

/// A running pod: the fields that clients read, and no more.
fn pod(slot: &Slot<'_>, suffix: &str, noise: Noise, since: &str) -> Value {
    let ordinal = slot.ordinal;
    let ip = format!("10.{}.{}.{}", 100 + ordinal / 62_500, ordinal / 250 % 250, ordinal % 250 + 2);
    let host = format!("10.0.{}.{}", (1_000 + slot.node) / 200 + 1, (1_000 + slot.node) % 200 + 10);
    let id = noise.of("container").bits(ordinal as i64);
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": since});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{}-{suffix}", slot.set.0), "generateName": format!("{}-", slot.set.0),
            "namespace": slot.namespace, "creationTimestamp": since, "generation": 1, "labels": labels(slot.app, slot.hash),
            "ownerReferences": [owner_of("apps/v1", "ReplicaSet", slot.set.0, slot.set.1)],
        },
        "spec": {
            "containers": [container(slot.kind)], "nodeName": node_name(slot.node), "priority": 0,
            "restartPolicy": "Always", "schedulerName": "default-scheduler", "securityContext": {},
            "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
        },
        "status": {
            "phase": "Running", "qosClass": "Burstable", "startTime": since,
            "hostIP": host, "hostIPs": [{"ip": host}], "podIP": ip, "podIPs": [{"ip": ip}],
            "conditions": [
                condition("PodReadyToStartContainers"), condition("Initialized"), condition("Ready"),
                condition("ContainersReady"), condition("PodScheduled"),
            ],
            "containerStatuses": [{
                "name": slot.kind.0, "image": slot.kind.1, "imageID": format!("registry.example/{}@sha256:{id:016x}", slot.kind.0),
                "containerID": format!("containerd://{id:016x}"), "ready": true, "started": true, "restartCount": 0,
                "lastState": {}, "state": {"running": {"startedAt": since}},
            }],
        },
    })
}

/// Keeps watches busy: every second some pods of the fleet restart or are replaced. Which, follows from the seed.
pub struct Churn {
    store: Arc<Store>,
    noise: Noise,
    rate: usize,
    /// Namespaces and names.
    pods: Vec<(String, String)>,
    turns: i64,
    next: Timestamp,
}

impl Churn {
    /// `rate` pods a second of those in the store now; the first a second from now.
    pub fn new(store: Arc<Store>, noise: Noise, rate: usize) -> Self {
        let pods = store.list("pods", None).1;
        let pods = pods.iter().filter(|p| p.labels.contains_key(FILLER)).map(|p| (p.namespace.clone(), p.name.clone()));
        let (pods, next) = (pods.collect(), store.clock().now() + seconds(1.0));
        Self { store, noise: noise.of("churn"), rate, pods, turns: 0, next }
    }

    /// The container starts again, as after a crash.
    fn restart(&self, namespace: &str, name: &str, now: &str) -> Result<(), StoreError> {
        let change = |pod: &mut Value| {
            let Some(status) = pod.pointer_mut("/status/containerStatuses/0") else { return Ok(()) };
            let before = status["state"]["running"]["startedAt"].clone();
            let restarts = int(status, "restartCount").unwrap_or(0) + 1;
            set(status, "restartCount", restarts);
            let ended = json!({"exitCode": 1, "reason": "Error", "startedAt": before, "finishedAt": now});
            set(status, "lastState.terminated", ended);
            set(status, "state.running.startedAt", now);
            Ok(())
        };
        self.store.modify("pods", namespace, name, super::NOBODY, change).map(drop)
    }

    /// A new pod takes its place, on the same node and with the same address.
    fn replace(&self, namespace: &str, name: &str, now: &str) -> Result<String, StoreError> {
        let old = self.store.get("pods", namespace, name).ok_or_else(|| StoreError::NotFound(name.to_owned()))?;
        let mut new = old.value();
        for field in ["name", "uid", "creationTimestamp", "resourceVersion"] {
            take(&mut new, &format!("metadata.{field}"));
        }
        set(&mut new, "status.startTime", now);
        if let Some(status) = new.pointer_mut("/status/containerStatuses/0") {
            set(status, "restartCount", 0);
            set(status, "lastState", json!({}));
            set(status, "state.running.startedAt", now);
        }
        let made = self.store.create("pods", new, super::NOBODY)?;
        self.store.delete("pods", namespace, name, &Delete { grace: Some(0), ..Delete::default() })?;
        Ok(made.name.clone())
    }
}

impl Actor for Churn {
    fn name(&self) -> &'static str {
        "churn"
    }

    fn observe(&mut self, _: &Change) {}

    fn due(&self) -> Option<Timestamp> {
        (self.rate > 0 && !self.pods.is_empty()).then_some(self.next)
    }

    fn act(&mut self, now: Timestamp) {
        let time = rfc3339(now);
        for _ in 0..self.rate {
            let bits = self.noise.bits(self.turns);
            self.turns += 1;
            let index = (bits >> 1) as usize % self.pods.len();
            let (namespace, name) = self.pods[index].clone();
            let done = if bits & 1 == 0 {
                self.restart(&namespace, &name, &time)
            } else {
                self.replace(&namespace, &name, &time).map(|new| self.pods[index].1 = new)
            };
            // Whoever deleted the pod took it out of the churn.
            if done.is_err() {
                self.pods.swap_remove(index);
                if self.pods.is_empty() {
                    return;
                }
            }
        }
        self.next = now + seconds(1.0);
    }
}
