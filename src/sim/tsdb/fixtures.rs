//! A small world for tests: its usage is a function of time, so that past and present must meet.

use super::{Scraper, Tsdb};
use crate::model::time::Timestamp;
use crate::sim::clock::{Clock, at, rfc3339};
use crate::sim::engine::{Actor, Engine};
use crate::sim::fields::Writer;
use crate::sim::machine::{BUCKETS, Calls, Machine, Past, Place, Process, Requests, Shared, State, Usage};
use crate::sim::noise::Noise;
use crate::sim::promql::storage::{Match, Sample, Series, Storage};
use crate::sim::store::{Change, Store};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Milliseconds of the start.
pub const START: i64 = 1_800_000_000_000;

/// Seconds since processes and machines began, at `ms`: three days at the start.
fn age(ms: i64) -> f64 {
    (ms - START) as f64 / 1000.0 + 3.0 * 86_400.0
}

pub fn place(pod: &str) -> Place {
    Place { namespace: "shop".into(), pod: pod.into(), container: "main".into() }
}

fn usage(ms: i64) -> Usage {
    let t = age(ms);
    let request = |code: u16, rate: f64| {
        let count = rate * t;
        let buckets = std::array::from_fn(|i| count * (i + 1) as f64 / BUCKETS.len() as f64);
        let (method, route) = ("GET".into(), "/cart/{id}".into());
        Requests { method, route, code, count, seconds: count * 0.02, buckets }
    };
    Usage {
        cores: 0.25,
        cpu_seconds: [0.2 * t, 0.05 * t],
        cfs: [10.0 * t, t, 0.1 * t],
        working_set: 64e6 + (t / 600.0).sin() * 1e6,
        rss: 60e6,
        cache: 8e6,
        stalled: [0.01 * t; 3],
        network: [1000.0 * t, 5000.0 * t],
        io: [10.0 * t, 20.0 * t],
        disk: 1e6,
        in_flight: 3.0,
        threads: 12.0,
        requests: vec![request(200, 50.0), request(503, 0.5)],
        ..Usage::default()
    }
}

fn machine(name: &str, ms: i64) -> Machine {
    let t = age(ms);
    Machine {
        name: name.into(),
        instance_type: "m6i.xlarge".into(),
        price: Some(0.192),
        cores: 4.0,
        memory: 16e9,
        disk: 100e9,
        powered: true,
        connected: true,
        kubelet: true,
        exporting: true,
        disk_used: 30e9,
        memory_used: 5e9,
        cpu_seconds: [3.0 * t, 0.0, 0.0, 0.2 * t, 0.8 * t],
        booted: at(START - 3 * 86_400_000),
        ..Machine::default()
    }
}

/// Nothing began before three days ago.
struct Before;

impl Past for Before {
    fn usage(&self, _: &Place, at: Timestamp) -> Option<Usage> {
        (age(at.timestamp_millis()) > 0.0).then(|| usage(at.timestamp_millis()))
    }
    fn machine(&self, node: &str, at: Timestamp) -> Option<Machine> {
        (age(at.timestamp_millis()) > 0.0).then(|| machine(node, at.timestamp_millis()))
    }
    fn calls(&self, _: &str, _: &str, at: Timestamp) -> Option<Calls> {
        let total = age(at.timestamp_millis()) * 50.0;
        (total > 0.0).then(|| Calls { total, ..Calls::default() })
    }
}

/// Moves the usage every second, as the shop does.
struct Mover {
    machines: Shared,
    next: i64,
}

impl Actor for Mover {
    fn name(&self) -> &'static str {
        "mover"
    }
    fn observe(&mut self, _: &Change) {}
    fn due(&self) -> Option<Timestamp> {
        Some(at(self.next))
    }
    fn act(&mut self, now: Timestamp) {
        self.next += 1000;
        let mut m = self.machines.lock();
        let ms = now.timestamp_millis();
        m.processes.values_mut().for_each(|p| p.usage = usage(ms));
        m.nodes.values_mut().for_each(|n| n.cpu_seconds = machine("", ms).cpu_seconds);
        m.calls.values_mut().for_each(|c| c.total = age(ms) * 50.0);
    }
}

/// The world.
pub struct World {
    pub engine: Engine,
    pub store: Arc<Store>,
    pub machines: Shared,
    pub db: Arc<Tsdb>,
}

pub fn process(pod: &str, id: &str, started: i64) -> Process {
    Process {
        place: place(pod),
        uid: format!("uid-{pod}"),
        node: "n1".into(),
        workload: ("Deployment".into(), "cart".into()),
        image: "shop/cart:1".into(),
        id: format!("containerd://{id}"),
        restarts: 0,
        started: at(started),
        config: BTreeMap::new(),
        annotations: BTreeMap::new(),
        requests: [0.1, 64e6],
        limits: [Some(1.0), Some(128e6)],
        state: State::Running,
        ready: true,
        live: true,
        started_up: true,
        exporting: true,
        usage: Usage::default(),
        log: VecDeque::new(),
    }
}

pub fn pod(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "labels": {"app": "cart"},
            "creationTimestamp": rfc3339(at(START - 86_400_000))},
        "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "shop/cart:1",
            "ports": [{"containerPort": 8080}], "resources": {"limits": {"cpu": "1", "memory": "128Mi"}}}]},
        "status": {"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": [{"name": "main", "restartCount": 2,
            "ready": true, "state": {"running": {"startedAt": rfc3339(at(START - 86_400_000))}}}]}})
}

/// `pods` pods of one service on one node.
pub fn world(pods: usize) -> World {
    let store = Arc::new(Store::new(Arc::new(Clock::new(at(START), 0.0)), Noise::new(1)));
    let w = Writer::of("test");
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "creationTimestamp": rfc3339(at(START - 86_400_000))},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.1.0.1"}], "capacity": {"cpu": "4", "memory": "16Gi"}}});
    store.create("nodes", node, w).unwrap();
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "shop"}, "spec": {"selector": {"app": "cart"}}});
    store.create("services", service, w).unwrap();
    let machines = Shared::default();
    {
        let mut m = machines.lock();
        m.nodes.insert("n1".into(), machine("n1", START));
        m.calls.insert(("user".into(), "shop/cart".into()), Calls::default());
        for i in 0..pods {
            let name = format!("cart-{i}");
            store.create("pods", pod(&name), w).unwrap();
            m.processes.insert(place(&name), process(&name, &format!("id-{name}"), START - 3 * 86_400_000));
        }
    }
    started(store, machines)
}

fn started(store: Arc<Store>, machines: Shared) -> World {
    let (scraper, db): (Scraper, _) = Tsdb::open(store.clone(), machines.clone(), Arc::new(Before));
    let mover = Mover { machines: machines.clone(), next: START };
    let engine = Engine::new(store.clone(), vec![Box::new(mover), Box::new(scraper)]);
    World { engine, store, machines, db }
}

impl World {
    /// The same, begun anew with what is in the store now.
    pub fn again(self) -> Self {
        started(self.store, self.machines)
    }

    /// Runs on to so many seconds after the start.
    pub fn run(&mut self, seconds: i64) {
        self.engine.advance(at(START + seconds * 1000));
    }

    /// Series by matchers of equality, within seconds after the start: `after < t <= to`.
    pub fn select(&self, matchers: &[(&str, &str)], after: i64, to: i64) -> Vec<Arc<dyn Series>> {
        let m: Vec<_> = matchers.iter().map(|(k, v)| ((*k).to_owned(), Match::Equal((*v).to_owned()))).collect();
        self.db.select(&m, START + after * 1000, START + to * 1000)
    }

    /// The samples of the one series that matches.
    pub fn one(&self, matchers: &[(&str, &str)], after: i64, to: i64) -> Vec<Sample> {
        let found = self.select(matchers, after, to);
        assert_eq!(found.len(), 1, "{matchers:?}: {:?}", found.iter().map(|s| s.labels().clone()).collect::<Vec<_>>());
        let mut out = Vec::new();
        found[0].samples(START + after * 1000, START + to * 1000, &mut out);
        out
    }
}
