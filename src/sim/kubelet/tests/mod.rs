//! A cluster of one node with a scripted shop.

mod faults;
mod lifecycle;
mod nodes;
mod starting;

use super::*;
use crate::sim::clock::{Clock, seconds};
use crate::sim::engine::Engine;
use crate::sim::fields::Writer;
use crate::sim::machine::{Machine, Place, Process};
use crate::sim::object::{at, condition, int, list, set, text};
use crate::sim::scheduler::Scheduler;
use crate::sim::store::{Delete, StoreError};
use serde_json::{Value, json};

const START: i64 = 1_800_000_000_000;

/// Moves processes as a test says, on whole seconds, before the kubelet looks.
type Script = Box<dyn FnMut(i64, &mut Process) + Send>;

struct Shop {
    machines: Shared,
    script: Script,
    next: i64,
}

impl Actor for Shop {
    fn name(&self) -> &'static str {
        "shop"
    }
    fn observe(&mut self, _: &Change) {}
    fn due(&self) -> Option<Timestamp> {
        Some(moment(self.next))
    }
    fn act(&mut self, now: Timestamp) {
        self.next = now.timestamp_millis() + 1000;
        for process in self.machines.lock().processes.values_mut() {
            let ran = (now - process.started).num_milliseconds();
            (process.started_up, process.ready) = (true, true);
            (self.script)(ran, process);
        }
    }
}

struct World {
    store: Arc<Store>,
    machines: Shared,
    engine: Engine,
}

const USER: Writer<'static> = Writer::of("test");

fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {"podCIDR": "10.244.1.0/24"},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}, "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}}})
}

fn machine(name: &str) -> Machine {
    let (memory, disk) = (8.0 * 1024.0 * 1024.0 * 1024.0, 100e9);
    Machine {
        name: name.into(),
        cores: 4.0,
        memory,
        disk,
        powered: true,
        connected: true,
        kubelet: true,
        exporting: true,
        ..Machine::default()
    }
}

fn pod(name: &str, container: Value) -> Value {
    let mut container = container;
    for (key, value) in [("name", "app"), ("image", "shop/app:1")] {
        if container.get(key).is_none() {
            container[key] = value.into();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "spec": {"containers": [container]}})
}

fn world(loaded: Vec<Value>, script: impl FnMut(i64, &mut Process) + Send + 'static) -> World {
    let store = Arc::new(Store::new(Arc::new(Clock::new(moment(START), 0.0)), Noise::new(1)));
    let machines = Shared::default();
    store.load("nodes", vec![node("n1")]).unwrap();
    store.load("pods", loaded).unwrap();
    machines.lock().nodes.insert("n1".into(), machine("n1"));
    let noise = Noise::new(3);
    let shop = Shop { machines: machines.clone(), script: Box::new(script), next: START };
    let kubelet = Kubelet::new(store.clone(), machines.clone(), noise, Arc::new(AnyImage(noise)));
    let actors: Vec<Box<dyn Actor>> =
        vec![Box::new(Scheduler::new(store.clone(), noise)), Box::new(shop), Box::new(kubelet)];
    let engine = Engine::new(store.clone(), actors);
    World { store, machines, engine }
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

    fn pod(&self, name: &str) -> Value {
        self.store.get("pods", "shop", name).expect("the pod exists").value()
    }

    fn status(&self, name: &str) -> Value {
        list(&self.pod(name), "status.containerStatuses").first().cloned().unwrap_or(Value::Null)
    }

    /// Reason and message of the events about a name.
    fn events(&self, name: &str) -> Vec<(String, String)> {
        let all = self.store.list("events", None).1;
        let about = all.iter().map(|e| e.value()).filter(|e| text(e, "involvedObject.name") == name);
        about.map(|e| (text(&e, "reason").to_owned(), text(&e, "message").to_owned())).collect()
    }

    fn told(&self, name: &str, reason: &str) -> Vec<String> {
        self.events(name).into_iter().filter(|(r, _)| r == reason).map(|(_, m)| m).collect()
    }

    fn process(&self, name: &str) -> Option<Process> {
        let place = Place { namespace: "shop".into(), pod: name.into(), container: "app".into() };
        self.machines.lock().processes.get(&place).cloned()
    }

    fn waiting(&self, name: &str) -> (String, String) {
        let s = self.status(name);
        (text(&s, "state.waiting.reason").to_owned(), text(&s, "state.waiting.message").to_owned())
    }

    fn condition(&self, name: &str, kind: &str) -> (String, String, String) {
        let pod = self.pod(name);
        let c = condition(&pod, kind).cloned().unwrap_or(Value::Null);
        (text(&c, "status").to_owned(), text(&c, "reason").to_owned(), text(&c, "message").to_owned())
    }
}

fn idle(_: i64, _: &mut Process) {}
