use super::*;
use crate::sim::clock::{Clock, at as moment, seconds};
use crate::sim::engine::Engine;
use crate::sim::object::condition;
use crate::sim::store::Delete;
use serde_json::json;

const START: i64 = 1_800_000_000_000;
const USER: Writer<'static> = Writer::of("test");

struct World {
    store: Arc<Store>,
    engine: Engine,
}

fn node(name: &str, cpu: &str, zone: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}},
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "3"}}})
}

fn pod(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    if spec.get("containers").is_none() {
        spec["containers"] = json!([{"name": "c", "image": "x"}]);
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}}, "spec": spec})
}

fn asking(cpu: &str) -> Value {
    json!({"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": cpu}}}]})
}

fn world(nodes: Vec<Value>) -> World {
    let store = Arc::new(Store::new(Arc::new(Clock::new(moment(START), 0.0)), Noise::new(1)));
    store.load("nodes", nodes).unwrap();
    let engine = Engine::new(store.clone(), vec![Box::new(Scheduler::new(store.clone(), Noise::new(2)))]);
    World { store, engine }
}

impl World {
    fn run(&mut self, s: f64) {
        let to = self.store.clock().now() + seconds(s);
        self.engine.advance(to);
    }

    fn create(&self, object: Value) {
        let kind = self.store.registry.of_kind(text(&object, "apiVersion"), text(&object, "kind")).unwrap();
        self.store.create(&kind.key(), object, USER).unwrap();
    }

    fn change(&self, key: &str, namespace: &str, name: &str, f: impl FnOnce(&mut Value)) {
        let change = |o: &mut Value| {
            f(o);
            Ok::<_, StoreError>(())
        };
        self.store.modify(key, namespace, name, USER, change).unwrap();
    }

    fn place(&mut self, name: &str, spec: Value) -> String {
        self.create(pod(name, spec));
        self.run(0.0);
        self.node_of(name)
    }

    fn node_of(&self, name: &str) -> String {
        text(&self.store.get("pods", "shop", name).unwrap().value(), "spec.nodeName").to_owned()
    }

    fn why(&self, name: &str) -> String {
        let pod = self.store.get("pods", "shop", name).unwrap().value();
        let c = condition(&pod, "PodScheduled").cloned().unwrap_or(Value::Null);
        assert_eq!(text(&c, "status"), "False", "{c}");
        text(&c, "message").to_owned()
    }
}

#[test]
fn what_the_real_scheduler_says_it_says() {
    // Texts as kube-scheduler 1.36.3 gave them for the same objects.
    let mut w = world(["n1", "n2", "n3", "n4"].map(|n| node(n, "4", "a")).to_vec());
    w.change("nodes", "", "n1", |o| set(o, "spec.unschedulable", true));
    w.change("nodes", "", "n2", |o| {
        set(o, "spec.taints", json!([{"key": "foo", "value": "bar", "effect": "NoSchedule"}]));
    });
    w.place("big", asking("100"));
    let tail =
        "no new claims to deallocate, preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling.";
    let head = "0/4 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable,";
    assert_eq!(w.why("big"), format!("{head} 2 Insufficient cpu. {tail}"));
    w.place("sel", json!({"nodeSelector": {"a": "b"}}));
    assert_eq!(w.why("sel"), format!("{head} 2 node(s) didn't match Pod's node affinity/selector. {tail}"));
    w.place("pvc", json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "nope"}}]}));
    assert_eq!(w.why("pvc"), "0/4 nodes are available: persistentvolumeclaim \"nope\" not found. not found");
    let events = w.store.list("events", Some("shop")).1;
    assert_eq!(events.iter().filter(|e| e.body.contains("\"FailedScheduling\"")).count(), 3);
    w.create(pod("ok", json!({})));
    w.run(0.0);
    let bound = w.store.get("pods", "shop", "ok").unwrap().value();
    assert!(["n3", "n4"].contains(&text(&bound, "spec.nodeName")));
    assert_eq!(int(&bound, "metadata.generation"), Some(1), "binding is no change of the specification");
    assert_eq!(bound["metadata"]["labels"]["topology.kubernetes.io/zone"], "a");
}

#[test]
fn room_is_counted_and_a_pod_is_tried_again_when_there_is_some() {
    let mut w = world(vec![node("n1", "1", "a")]);
    assert_eq!(w.place("a", asking("600m")), "n1");
    assert_eq!(w.place("b", asking("600m")), "");
    assert!(w.why("b").contains("1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found"));
    w.run(30.0);
    assert_eq!(w.node_of("b"), "");
    w.store.delete("pods", "shop", "a", &Delete { grace: Some(0), ..Delete::default() }).unwrap();
    w.run(0.0);
    assert_eq!(w.node_of("b"), "n1");
    // An in-place resize to less, and a node that grows, make room too.
    assert_eq!(w.place("c", asking("500m")), "");
    w.change("pods", "shop", "b", |o| set(o, "spec.containers", asking("100m")["containers"].clone()));
    w.run(1.0);
    assert_eq!(w.node_of("c"), "n1");
    assert_eq!((w.place("d", json!({})), w.place("e", json!({}))), ("n1".into(), String::new()));
    assert!(w.why("e").starts_with("0/1 nodes are available: 1 Too many pods."));
}

#[test]
fn the_more_important_goes_first_and_makes_others_leave() {
    let mut w = world(vec![node("n1", "1", "a"), node("n2", "1", "a")]);
    for (name, priority) in [("low", 1), ("mid", 2)] {
        let mut spec = asking("800m");
        spec["priority"] = priority.into();
        w.place(name, spec);
    }
    let (low, mid) = (w.node_of("low"), w.node_of("mid"));
    assert!(!low.is_empty() && !mid.is_empty() && low != mid);
    let mut spec = asking("500m");
    spec["priority"] = 10.into();
    w.place("high", spec);
    let victim = w.store.get("pods", "shop", "low").unwrap().value();
    assert!(!text(&victim, "metadata.deletionTimestamp").is_empty());
    assert_eq!(text(condition(&victim, "DisruptionTarget").unwrap(), "reason"), "PreemptionByScheduler");
    assert!(text(&w.store.get("pods", "shop", "mid").unwrap().value(), "metadata.deletionTimestamp").is_empty());
    w.store.delete("pods", "shop", "low", &Delete { grace: Some(0), ..Delete::default() }).unwrap();
    w.run(2.0);
    assert_eq!(w.node_of("high"), low);
}

#[test]
fn affinity_spread_and_ports_decide() {
    let mut w = world(vec![node("n1", "4", "a"), node("n2", "4", "a"), node("n3", "4", "b")]);
    let anti = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}]}}});
    let mut nodes = ["a", "b", "c"].map(|n| w.place(n, anti.clone()));
    nodes.sort();
    assert_eq!(nodes, ["n1", "n2", "n3"]);
    w.place("d", anti);
    assert!(w.why("d").contains("3 node(s) didn't match pod anti-affinity rules"), "{}", w.why("d"));
    w.place("e", json!({}));
    assert!(w.why("e").contains("3 node(s) didn't satisfy existing pods anti-affinity rules"), "{}", w.why("e"));

    let mut w = world(vec![node("n1", "4", "a"), node("n2", "4", "a"), node("n3", "4", "b")]);
    let spread = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}]});
    let placed = ["a", "b", "c", "d"].map(|n| w.place(n, spread.clone()));
    assert_eq!(placed.iter().filter(|n| *n == "n3").count(), 2, "{placed:?}");
    let near = json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "none"}}}]}}});
    w.place("far", near);
    assert!(w.why("far").contains("3 node(s) didn't match pod affinity rules"));

    let mut w = world(vec![node("n1", "4", "a")]);
    let port = json!({"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    assert_eq!((w.place("a", port.clone()), w.place("b", port)), ("n1".into(), String::new()));
    assert!(w.why("b").contains("1 node(s) didn't have free ports for the requested pod ports"));
}

#[test]
fn replicas_of_one_owner_go_to_different_nodes_and_preferences_count() {
    let mut w = world(vec![node("n1", "4", "a"), node("n2", "4", "a"), node("n3", "4", "b")]);
    let mut nodes: Vec<String> = Vec::new();
    for name in ["a", "b", "c"] {
        let mut p = pod(name, asking("100m"));
        p["metadata"]["ownerReferences"] =
            json!([{"kind": "ReplicaSet", "name": "web", "uid": "u", "controller": true}]);
        w.create(p);
        w.run(0.0);
        nodes.push(w.node_of(name));
    }
    nodes.sort();
    assert_eq!(nodes, ["n1", "n2", "n3"]);
    let prefers = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "preference": {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n2"]}]}}]}}});
    assert_eq!(w.place("p", prefers), "n2");
}

#[test]
fn a_fleet_is_taken_in_without_reading_every_pod() {
    let store = Arc::new(Store::new(Arc::new(Clock::new(moment(START), 0.0)), Noise::new(1)));
    store
        .load(
            "nodes",
            (0..100)
                .map(|i| node(&format!("n{i}"), "400", "a"))
                .map(|mut n| {
                    n["status"]["allocatable"]["pods"] = "2000".into();
                    n
                })
                .collect(),
        )
        .unwrap();
    let filler = |i: usize| {
        let mut p = pod(&format!("f{i}"), asking("100m"));
        p["metadata"]["labels"] = json!({"kansole.dev/filler": "true", "app": format!("a{}", i % 50)});
        p["spec"]["nodeName"] = format!("n{}", i % 100).into();
        p["status"] = json!({"phase": "Running"});
        p
    };
    store.load("pods", (0..20_000).map(filler).collect()).unwrap();
    let mut scheduler = Scheduler::new(store.clone(), Noise::new(2));
    for kind in ["nodes", "pods"] {
        for object in store.list(kind, None).1 {
            scheduler.observe(&Change { version: object.version, what: What::Added, object, before: None });
        }
    }
    assert_eq!(scheduler.table.nodes["n7"].used.cpu, 200 * 100);
    assert!(scheduler.due().is_none(), "nothing to do");
}
