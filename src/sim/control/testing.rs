//! A small cluster for tests: nodes that exist, and a stand-in for scheduler and kubelet that binds pods round robin and
//! makes them ready after a while.

use super::{actors, admit};
use crate::model::time::Timestamp;
use crate::sim::clock::{Clock, at as moment, rfc3339, seconds};
use crate::sim::engine::{Actor, Engine};
use crate::sim::fields::Writer;
use crate::sim::machine::{Machine, Shared};
use crate::sim::noise::Noise;
use crate::sim::object::{at, list, set, text};
use crate::sim::store::{Change, Delete, Store, StoreError, What};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Seconds a pod needs to become ready.
const START: f64 = 3.0;
/// Seconds a pod needs to end.
const STOP: f64 = 2.0;

/// Binds, starts and ends pods. An image with `bad` in it never becomes ready; with `done` it succeeds after starting,
/// with `fails` it fails.
struct Toy {
    store: Arc<Store>,
    due: BTreeSet<(Timestamp, String, String)>,
    bound: usize,
    machines: Shared,
    beat: Timestamp,
}

/// Seconds between two renewals of a node's lease.
const BEAT: f64 = 10.0;

impl Toy {
    fn alive(&self, node: &str) -> bool {
        self.machines.lock().nodes.get(node).is_none_or(|m| m.powered)
    }

    /// Every living node renews its lease, and says that it is ready.
    fn beat(&mut self, now: Timestamp) {
        self.beat = now + seconds(BEAT);
        for stored in self.store.list("nodes", None).1 {
            if !self.alive(&stored.name) {
                continue;
            }
            let key = "leases.coordination.k8s.io";
            let writer = Writer::of("kubelet");
            let renew = |l: &mut Value| {
                set(l, "spec.renewTime", rfc3339(now));
                Ok::<_, StoreError>(())
            };
            if self.store.modify(key, "kube-node-lease", &stored.name, writer, renew).is_err() {
                let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": stored.name, "namespace": "kube-node-lease"}, "spec": {}});
                self.store.create(key, lease, writer).expect("it was not there");
            }
            drop(self.store.modify("nodes", "", &stored.name, Writer::status("kubelet"), |n| {
                if !crate::sim::object::holds(n, "Ready") {
                    set(
                        n,
                        "status.conditions",
                        json!([{"type": "Ready", "status": "True", "lastHeartbeatTime": rfc3339(now)}]),
                    );
                }
                Ok::<_, StoreError>(())
            }));
        }
    }
}

impl Actor for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn observe(&mut self, change: &Change) {
        if &*change.object.key == "pods" && change.what != What::Deleted {
            let pod = change.object.value();
            let now = self.store.clock().now();
            let id = |t| (t, change.object.namespace.clone(), change.object.name.clone());
            if at(&pod, "metadata.deletionTimestamp").is_some() {
                self.due.insert(id(now + seconds(STOP)));
            } else if text(&pod, "spec.nodeName").is_empty() {
                self.due.insert(id(now));
            } else if text(&pod, "status.phase") == "Pending" {
                self.due.insert(id(now + seconds(START)));
            }
        }
    }

    fn due(&self) -> Option<Timestamp> {
        self.due.first().map(|(t, ..)| *t).into_iter().chain([self.beat]).min()
    }

    fn act(&mut self, now: Timestamp) {
        if self.beat <= now {
            return self.beat(now);
        }
        let Some((_, namespace, name)) = self.due.pop_first() else { return };
        let Some(stored) = self.store.get("pods", &namespace, &name) else { return };
        let pod = stored.value();
        if !self.alive(text(&pod, "spec.nodeName")) {
            return;
        }
        if at(&pod, "metadata.deletionTimestamp").is_some() {
            drop(self.store.delete("pods", &namespace, &name, &Delete { grace: Some(0), ..Delete::default() }));
            return;
        }
        let image = list(&pod, "spec.containers").first().map_or("", |c| text(c, "image")).to_owned();
        let bound = !text(&pod, "spec.nodeName").is_empty();
        let mut nodes = self.store.list("nodes", None).1;
        nodes.retain(|n| !n.body.contains("NoSchedule"));
        let node = nodes.get(self.bound % nodes.len().max(1)).map(|n| n.name.clone());
        self.bound += usize::from(!bound);
        let ip = format!("10.0.0.{}", self.bound);
        let change = |p: &mut Value| {
            let time = rfc3339(now);
            if !bound {
                // A pod of a DaemonSet says where it must run.
                let pinned = p
                    .to_string()
                    .split("\"metadata.name\",\"operator\":\"In\",\"values\":[\"")
                    .nth(1)
                    .map(|s| s.split('"').next().unwrap_or_default().to_owned());
                if let Some(n) = pinned.or(node) {
                    set(p, "spec.nodeName", n);
                }
                return Ok::<_, StoreError>(());
            }
            set(p, "status.podIP", ip);
            set(p, "status.startTime", time.as_str());
            let ready = if image.contains("bad") { "False" } else { "True" };
            let phase = match () {
                () if image.contains("done") => "Succeeded",
                () if image.contains("fails") => "Failed",
                () => "Running",
            };
            set(p, "status.phase", phase);
            set(p, "status.conditions", json!([{"type": "Ready", "status": ready, "lastTransitionTime": time}]));
            Ok(())
        };
        drop(self.store.modify("pods", &namespace, &name, Writer::status("kubelet"), change));
    }
}

/// The cluster.
pub struct World {
    pub store: Arc<Store>,
    pub machines: Shared,
    engine: Engine,
}

impl World {
    pub fn new() -> Self {
        let clock = Arc::new(Clock::new(moment(1_800_000_000_000), 0.0));
        let store = Arc::new(Store::new(clock, Noise::new(5)));
        let machines = Shared::default();
        Self { engine: Self::engine(&store, &machines), store, machines }
    }

    fn engine(store: &Arc<Store>, machines: &Shared) -> Engine {
        let mut all = actors(store, machines, Noise::new(5));
        all.push(Box::new(Toy {
            store: store.clone(),
            due: BTreeSet::new(),
            bound: 0,
            machines: machines.clone(),
            beat: store.clock().now(),
        }));
        Engine::new(store.clone(), all)
    }

    /// New controllers, which find everything that is there as if it had always been.
    pub fn restart(&mut self) {
        self.engine = Self::engine(&self.store, &self.machines);
    }

    /// With a namespace `shop` and three nodes that renew their leases.
    pub fn shop() -> Self {
        let world = Self::new();
        world.create("namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}, "spec": {"finalizers": ["kubernetes"]}}));
        for n in 1..=3 {
            world.create("nodes", node(&format!("n{n}")));
        }
        world
    }

    /// Turns a node's machine on or off.
    pub fn power(&self, node: &str, on: bool) {
        let machine = Machine { name: node.to_owned(), powered: on, ..Machine::default() };
        self.machines.lock().nodes.insert(node.to_owned(), machine);
    }

    pub fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    pub fn run(&mut self, s: f64) {
        let to = self.now() + seconds(s);
        self.engine.advance(to);
    }

    pub fn create(&self, key: &str, object: Value) {
        self.store.create(key, object, Writer::of("test")).expect("a test's object is good");
    }

    pub fn edit(&self, key: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let ns = if self.store.registry.get(key).is_some_and(|k| k.namespaced) { "shop" } else { "" };
        self.store
            .modify(key, ns, name, Writer::of("test"), |v| {
                change(v);
                Ok::<_, StoreError>(())
            })
            .expect("a test's object is there");
    }

    pub fn delete(&self, key: &str, name: &str, propagation: &str) {
        let ns = if self.store.registry.get(key).is_some_and(|k| k.namespaced) { "shop" } else { "" };
        let how = Delete { propagation: propagation.into(), ..Delete::default() };
        self.store.delete(key, ns, name, &how).expect("a test's object is there");
    }

    pub fn find(&self, key: &str, name: &str) -> Option<Value> {
        let ns = if self.store.registry.get(key).is_some_and(|k| k.namespaced) { "shop" } else { "" };
        self.store.get(key, ns, name).map(|s| s.value())
    }

    pub fn get(&self, key: &str, name: &str) -> Value {
        self.find(key, name).unwrap_or_else(|| panic!("{key} {name} is there"))
    }

    pub fn list(&self, key: &str) -> Vec<Value> {
        self.store.list(key, None).1.iter().map(|s| s.value()).collect()
    }

    /// Reasons and messages of the events about an object.
    pub fn events(&self, name: &str) -> Vec<(String, String)> {
        let mut all: Vec<Value> =
            self.list("events").into_iter().filter(|e| text(e, "involvedObject.name") == name).collect();
        all.sort_by_key(version);
        all.iter().map(|e| (text(e, "reason").to_owned(), text(e, "message").to_owned())).collect()
    }

    /// Pods that are not being deleted.
    pub fn pods(&self) -> Vec<Value> {
        self.list("pods").into_iter().filter(|p| at(p, "metadata.deletionTimestamp").is_none()).collect()
    }

    pub fn ready(&self) -> usize {
        self.pods().iter().filter(|p| crate::sim::object::holds(p, "Ready")).count()
    }

    /// Writes made by `act`, by key and name.
    pub fn writes(&mut self, s: f64) -> Vec<String> {
        let from = self.store.version();
        self.run(s);
        self.store
            .since(from)
            .expect("a short log")
            .iter()
            .filter(|c| &*c.object.key != "leases.coordination.k8s.io")
            .map(|c| format!("{:?} {}/{}", c.what, c.object.key, c.object.name))
            .collect()
    }
}

fn version(object: &Value) -> i64 {
    text(object, "metadata.resourceVersion").parse().unwrap_or(0)
}

/// A ready node.
pub fn node(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "a"}},
        "spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// A pod template.
pub fn template(app: &str, image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "image": image, "resources": {"requests": {"cpu": "100m"}}, "ports": [{"name": "http", "containerPort": 8080}]}]},
    })
}

/// A Deployment `web`.
pub fn deployment(replicas: i64, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "template": template("web", image),
        },
    })
}

/// A bare pod.
pub fn pod(name: &str, labels: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "idle"}]},
    });
    admit(&mut pod);
    pod
}
