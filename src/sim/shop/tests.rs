//! The laws of the shop, on machines without a cluster around them: every pod of `world.toml` runs, and a stand-in for the
//! kubelet keeps the Ready condition and starts anew what has ended.

use super::*;
use crate::sim::clock::{self, Clock, rfc3339};
use crate::sim::fields::Writer;
use crate::sim::machine::{BUCKETS, Past, Usage};
use crate::sim::object::amount;
use crate::sim::store::StoreError;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// A Wednesday evening, when most comes in.
const START: i64 = 1_790_190_000_000;

pub struct Bench {
    pub tap: Tap,
    store: Arc<Store>,
    pub shared: Shared,
    shop: Shop,
    now: Timestamp,
    seen: u64,
    ooms: BTreeMap<String, u32>,
    exits: BTreeMap<String, Vec<i32>>,
}

fn process(o: &Value, pod: &str, node: &str, now: Timestamp) -> Process {
    let spec = o.pointer("/spec/template/spec/containers/0").unwrap();
    let of = |what: &str, which: &str| amount(spec.pointer(&format!("/resources/{what}/{which}")));
    let name = text(o, "metadata.name");
    let namespace = text(o, "metadata.namespace").to_owned();
    let config = World::shop().workloads.iter().find(|w| w.name == name).map(|w| w.config.clone()).unwrap_or_default();
    Process {
        place: Place { namespace, pod: pod.to_owned(), container: name.to_owned() },
        uid: pod.to_owned(),
        node: node.to_owned(),
        workload: (text(o, "kind").to_owned(), name.to_owned()),
        image: text(spec, "image").to_owned(),
        id: format!("containerd://{pod}-0"),
        restarts: 0,
        started: now,
        config,
        annotations: BTreeMap::new(),
        requests: [of("requests", "cpu").unwrap_or(0.0), of("requests", "memory").unwrap_or(0.0)],
        limits: [of("limits", "cpu"), of("limits", "memory")],
        state: State::Running,
        ready: false,
        live: true,
        started_up: false,
        exporting: true,
        usage: Usage::default(),
        log: VecDeque::new(),
    }
}

impl Bench {
    pub fn new(seed: u64) -> Self {
        let now = clock::at(START);
        let noise = Noise::new(seed);
        let store = Arc::new(Store::new(Arc::new(Clock::new(now, 0.0)), noise));
        let shared = Shared::default();
        let nodes = World::shop().machines(now);
        let names: Vec<String> = nodes.iter().map(|m| m.name.clone()).collect();
        shared.lock().nodes = nodes.into_iter().map(|m| (m.name.clone(), m)).collect();
        let tap = Tap::default();
        let shop = Shop::new(store.clone(), shared.clone(), noise, tap.clone());
        let mut bench = Self { tap, store, shared, shop, now, seen: 0, ooms: BTreeMap::new(), exits: BTreeMap::new() };
        let mut next = 0;
        for o in manifests().iter().filter(|o| matches!(text(o, "kind"), "Deployment" | "StatefulSet" | "DaemonSet")) {
            let count = if text(o, "kind") == "DaemonSet" {
                6
            } else {
                o.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
            };
            for i in 0..count {
                let pod = format!("{}-{i}", text(o, "metadata.name"));
                bench.start(process(o, &pod, &names[next % names.len()], now));
                next += 1;
            }
        }
        bench.seen = bench.store.version();
        bench
    }

    fn start(&mut self, p: Process) {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": p.place.pod, "namespace": p.place.namespace,
            "creationTimestamp": rfc3339(self.now)}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}});
        self.store.create("pods", pod, Writer::of("")).unwrap();
        self.shared.lock().processes.insert(p.place.clone(), p);
    }

    pub fn run(&mut self, secs: i64) {
        for _ in 0..secs {
            self.now += clock::seconds(1.0);
            let version = self.store.version();
            if version != self.seen {
                for change in self.store.since(self.seen.max(self.store.oldest())).unwrap() {
                    self.shop.observe(&change);
                }
                self.seen = version;
            }
            self.shop.act(self.now);
            self.kubelet();
        }
    }

    fn kubelet(&mut self) {
        let mut conditions = Vec::new();
        let now = self.now;
        let mut machines = self.shared.lock();
        for p in machines.processes.values_mut() {
            let name = p.workload.1.clone();
            if p.limits[1].is_some_and(|l| p.usage.working_set > l) {
                *self.ooms.entry(name.clone()).or_default() += 1;
                p.state = State::Exited(137);
            }
            if let State::Exited(code) = p.state {
                self.exits.entry(name).or_default().push(code);
                p.restarts += 1;
                (p.id, p.state, p.started) = (format!("{}-{}", p.place.pod, p.restarts), State::Running, now);
                (p.usage, p.ready, p.started_up) = (Usage::default(), false, false);
            }
            let ready = if p.ready { "True" } else { "False" };
            conditions.push((p.place.clone(), ready));
        }
        drop(machines);
        for (place, ready) in conditions {
            let old = self.store.get("pods", &place.namespace, &place.pod).unwrap();
            if old.body.contains(&format!("\"status\":\"{ready}\"")) {
                continue;
            }
            self.store
                .modify("pods", &place.namespace, &place.pod, Writer::of(""), |o| {
                    o["status"]["conditions"][0]["status"] = ready.into();
                    Ok::<_, StoreError>(())
                })
                .unwrap();
        }
    }

    pub fn flow(&self, name: &str) -> graph::Flow {
        let s = self.shop.graph.services.iter().find(|s| s.name == name).unwrap();
        self.shop.graph.flows[s.first].clone()
    }

    fn of(&self, name: &str) -> Vec<Pod> {
        self.shop
            .pods
            .iter()
            .filter(|p| p.service.is_some_and(|s| self.shop.graph.services[s].name == name))
            .cloned()
            .collect()
    }

    fn each(&mut self, name: &str, change: impl Fn(&mut Process)) {
        let mut machines = self.shared.lock();
        machines.processes.values_mut().filter(|p| p.workload.1 == name).for_each(change);
    }

    /// Another image or other configuration: new runs.
    fn roll(&mut self, name: &str, change: impl Fn(&mut Process)) {
        let now = self.now;
        self.each(name, |p| {
            change(p);
            p.restarts += 1;
            (p.id, p.started, p.ready) = (format!("{}-{}", p.place.pod, p.restarts), now, false);
            p.usage = Usage::default();
        });
    }

    /// Share of requests at the frontend that failed in the next `secs` seconds, and the share within 250 ms.
    fn frontend(&mut self, secs: i64) -> (f64, f64) {
        let sum = |b: &Self| {
            let machines = b.shared.lock();
            let c = &machines.calls[&("user".to_owned(), "shop/frontend".to_owned())];
            (c.total, c.failed, c.buckets[6])
        };
        let before = sum(self);
        self.run(secs);
        let after = sum(self);
        ((after.1 - before.1) / (after.0 - before.0), (after.2 - before.2) / (after.0 - before.0))
    }

    fn logged(&self, name: &str, what: &str) -> bool {
        self.shared
            .lock()
            .processes
            .values()
            .any(|p| p.workload.1 == name && p.log.iter().any(|l| l.text.contains(what)))
    }
}

fn ready() -> Bench {
    let mut b = Bench::new(7);
    b.run(420);
    b
}

#[test]
fn a_quiet_shop_is_well_within_its_objectives() {
    let mut b = ready();
    let (failed, fast) = b.frontend(120);
    for s in &b.shop.graph.services {
        let pods: Vec<&Pod> = s.pods.iter().map(|p| &b.shop.pods[*p]).collect();
        let f = &b.shop.graph.flows[s.first];
        println!(
            "{:24} n={} offered={:6.1} mean={:6.2}ms fails={:.5} cores={:.3} request={:.2} thr={:.3} in_flight={:.2} ws={:.0}Mi",
            s.key,
            s.endpoints,
            f.offered,
            f.mean * 1e3,
            f.fails,
            pods.iter().map(|p| p.used).sum::<f64>() / pods.len() as f64,
            pods[0].request,
            pods[0].throttled.0,
            pods[0].in_flight,
            usage::working_set(pods[0], 1e12) / 1_048_576.0
        );
    }
    println!("failed {failed:.6} fast {fast:.4}");
    assert!(failed < 0.001, "{failed}");
    assert!(fast > 0.99, "{fast}");
}

#[test]
fn what_is_inside_is_the_rate_times_the_time_it_takes() {
    let b = ready();
    for pod in b.shop.pods.iter().filter(|p| p.life.backlog <= 0.0 && p.offered() > 0.5) {
        let little: f64 = pod.answers.iter().map(|a| a.served * a.takes.mean()).sum();
        assert!(
            (pod.in_flight - little).abs() < 0.02 * little.max(0.01),
            "{:?}: {} {little}",
            pod.place,
            pod.in_flight
        );
    }
}

#[test]
fn a_slow_database_backs_up_its_callers_and_all_is_well_when_it_is_fast_again() {
    let mut b = ready();
    let checkout = b.flow("checkout").mean;
    b.shared.lock().outside.slow.insert("shop/orders-db".into(), 150.0);
    let (failed, _) = b.frontend(90);
    assert!(b.flow("checkout").mean > 4.0 * checkout && failed > 0.02, "{} {failed}", b.flow("checkout").mean);
    assert!(b.of("orders-db")[0].in_flight > 5.0);
    assert!(
        b.logged("checkout", "deadline exceeded calling")
            || b.logged("inventory", "deadline exceeded calling orders-db")
    );
    b.shared.lock().outside.slow.clear();
    b.run(120);
    let (failed, _) = b.frontend(60);
    assert!(failed < 0.001, "{failed}");
}

#[test]
fn overload_queues_then_turns_away_and_passes_with_the_load() {
    let mut b = ready();
    b.shared.lock().outside.load.insert("*".into(), 15.0);
    let (failed, _) = b.frontend(60);
    let f = &b.of("frontend")[0];
    assert!(
        failed > 0.1 && f.life.backlog > 10.0 && f.throttled.0 > 0.9,
        "{failed} {} {:?}",
        f.life.backlog,
        f.throttled
    );
    assert!(b.logged("frontend", "accept queue full") || b.logged("frontend", "deadline exceeded"));
    b.shared.lock().outside.load.clear();
    b.run(120);
    assert!(b.of("frontend").iter().all(|p| p.life.backlog <= 0.0));
    let (failed, _) = b.frontend(60);
    let left: Vec<_> = b
        .shop
        .graph
        .services
        .iter()
        .map(|s| (&s.key, s.endpoints, b.shop.graph.flows[s.first].fails, s.depth))
        .collect();
    assert!(failed < 0.001, "{failed} {left:?} {:?} {:?}", b.ooms, b.exits);
}

#[test]
fn a_bad_release_hurts_and_the_one_before_cures() {
    for (name, bad, good) in
        [("frontend", "2.9.1", "2.8.1"), ("checkout", "3.5.0", "3.4.0"), ("payment", "2.3.0", "2.2.3")]
    {
        let mut b = ready();
        b.roll(name, |p| p.image = format!("registry.example/shop/{name}:{bad}"));
        b.run(20);
        let (failed, _) = b.frontend(40);
        assert!(failed > 0.01, "{name} {failed}");
        b.roll(name, |p| p.image = format!("registry.example/shop/{name}:{good}"));
        b.run(60);
        let (failed, _) = b.frontend(60);
        assert!(failed < 0.001, "{name} {failed}");
    }
}

#[test]
fn a_slow_release_is_throttled_and_slow() {
    let mut b = ready();
    let before = b.flow("frontend").mean;
    b.roll("frontend", |p| p.image = "registry.example/shop/frontend:2.9.0".into());
    b.run(60);
    let pods = b.of("frontend");
    assert!(b.flow("frontend").mean > 3.0 * before, "{} {before}", b.flow("frontend").mean);
    assert!(pods[0].used > 0.7, "{}", pods[0].used);
}

#[test]
fn a_leak_grows_until_the_limit_and_starts_anew() {
    let mut b = ready();
    b.roll("cart", |p| p.image = "registry.example/shop/cart:1.19.0".into());
    b.run(300);
    assert!(b.ooms.get("cart").is_some_and(|n| (2..=12).contains(n)), "{:?}", b.ooms);
    b.roll("cart", |p| p.image = "registry.example/shop/cart:1.18.2".into());
    b.run(10);
    b.ooms.clear();
    b.run(400);
    assert!(b.ooms.is_empty(), "{:?}", b.ooms);
    b.roll("recommendations", |p| p.image = "registry.example/shop/recommendations:0.9.0".into());
    b.run(120);
    assert!(b.ooms.contains_key("recommendations"));
}

#[test]
fn a_lower_limit_throttles() {
    let mut b = ready();
    let before = b.flow("search").mean;
    b.each("search", |p| p.limits[0] = Some(0.15));
    b.run(60);
    let machines = b.shared.lock();
    let p = machines.processes.values().find(|p| p.workload.1 == "search").unwrap();
    assert!(p.usage.cfs[1] > 100.0 && p.usage.cfs[2] > 5.0, "{:?}", p.usage.cfs);
    drop(machines);
    assert!(b.flow("search").mean > 3.0 * before);
}

#[test]
fn a_cache_that_starts_anew_is_cold_and_warms() {
    let mut b = ready();
    let rate = b.flow("users-db").offered;
    b.roll("cache", |_| {});
    b.run(20);
    let cold = b.flow("users-db").offered;
    assert!(cold > 1.8 * rate, "{cold} {rate}");
    b.run(600);
    assert!(b.flow("users-db").offered < 1.3 * rate, "{}", b.flow("users-db").offered);
}

#[test]
fn tries_again_add_load() {
    let mut b = ready();
    let rate = b.flow("payment").offered;
    b.shared.lock().outside.failing.insert("shop/payment".into(), 0.5);
    b.run(20);
    assert!(b.flow("payment").offered > 1.4 * rate);
    let machines = b.shared.lock();
    assert!(machines.calls[&("shop/checkout".to_owned(), "shop/payment".to_owned())].retried > 30.0);
}

#[test]
fn configuration_is_read_at_the_start_and_a_bad_one_ends_it() {
    let mut b = ready();
    let set =
        |key: &'static str, value: &'static str| move |p: &mut Process| drop(p.config.insert(key.into(), value.into()));
    b.each("checkout", set("PAYMENT_URL", "http://payment.shop.svc:80x"));
    b.run(30);
    assert!(b.exits.is_empty(), "only a start reads it");
    b.roll("checkout", |_| {});
    b.run(10);
    assert!(b.exits["checkout"].contains(&1) && b.logged("checkout", "invalid port \":80x\" after host"));
    b.roll("checkout", set("PAYMENT_URL", "http://payments.shop.svc:80"));
    b.run(30);
    let (failed, _) = b.frontend(30);
    assert!(failed > 0.03 && b.logged("checkout", "no such host"), "{failed}");
    b.roll("checkout", set("PAYMENT_URL", "http://payment.shop.svc:80"));
    b.run(60);
    assert!(b.frontend(30).0 < 0.001);
    b.roll("cart", set("DB_POOL_SIZE", "0"));
    b.run(60);
    assert!(b.logged("cart", "connection pool exhausted"));
}

#[test]
fn locked_workers_answer_nobody_and_nobody_listens_where_nothing_runs() {
    let mut b = ready();
    let place = b.of("cart")[0].place.clone();
    b.shared.lock().outside.locked.insert(place.clone());
    b.run(3);
    // Until the kubelet notices, a third of the calls waits in vain.
    let t = b.of("frontend")[0].answers[2].failed[2];
    assert!(b.shop.graph.services[b.shop.graph.service_of("shop", "cart").unwrap()].endpoints < 3 || t > 0.05, "{t}");
    b.shared.lock().outside.locked.clear();
    let node = b.of("payment")[0].node;
    let name = b.shop.nodes[node].name.clone();
    b.shared.lock().nodes.get_mut(&name).unwrap().powered = false;
    b.run(5);
    assert!(b.of("checkout").iter().any(|p| p.answers[0].fails() > 0.05), "half of the payments are out of reach");
}

#[test]
fn a_broken_consumer_lets_the_queue_grow_and_a_good_one_works_it_off() {
    let mut b = ready();
    b.roll("order-worker", |p| p.image = "registry.example/shop/order-worker:2.2.0".into());
    b.run(300);
    let depth = b.of("queue")[0].waiting.unwrap();
    assert!(depth > 500.0, "{depth}");
    b.roll("order-worker", |p| p.image = "registry.example/shop/order-worker:2.1.0".into());
    b.run(300);
    assert!(b.of("queue")[0].waiting.unwrap() < 50.0, "{:?}", b.of("queue")[0].waiting);
}

#[test]
fn a_noisy_neighbour_slows_whom_it_sits_beside() {
    let mut b = ready();
    let pod = b.of("search")[0].clone();
    let before = pod.answers[0].takes.mean();
    let name = b.shop.nodes[pod.node].name.clone();
    b.shared.lock().nodes.get_mut(&name).unwrap().stolen_cores = 3.9;
    b.run(30);
    let after = &b.of("search")[0];
    assert!(after.answers[0].takes.mean() > 2.0 * before, "{} {before}", after.answers[0].takes.mean());
    assert!(b.shared.lock().nodes[&name].pressure[0] > 20.0);
}

#[test]
fn a_job_ends_by_itself_and_fails_without_its_database() {
    let mut b = ready();
    let job = manifests().into_iter().find(|o| text(o, "metadata.name") == "sales-report").unwrap();
    let mut p = {
        let mut o = job.clone();
        o["spec"]["template"] = job["spec"]["jobTemplate"]["spec"]["template"].clone();
        process(&o, "sales-report-1", "node-a1", b.now)
    };
    b.start(p.clone());
    b.run(200);
    assert_eq!(b.exits["sales-report"][0], 0);
    b.shared.lock().outside.failing.insert("shop/orders-db".into(), 1.0);
    p.place.pod = "sales-report-2".into();
    p.id = "two".into();
    p.started = b.now;
    b.exits.clear();
    b.start(p);
    b.run(40);
    assert!(b.exits["sales-report"].contains(&1), "{:?}", b.exits);
}

#[test]
fn annotations_mean_what_they_mean_on_the_rig() {
    let mut b = ready();
    let mut p = process(
        &manifests()
            .into_iter()
            .find(|o| text(o, "metadata.name") == "crm" && text(o, "kind") == "Deployment")
            .unwrap(),
        "pricing-0",
        "node-a1",
        b.now,
    );
    p.workload.1 = "pricing".into();
    p.image = "registry.example/pricing:1.4.0".into();
    p.place.namespace = "shop".into();
    p.limits = [Some(0.2), Some(256.0 * 1_048_576.0)];
    p.annotations = [("rps", "90"), ("cost", "4"), ("latency", "20"), ("memory", "90Mi")]
        .map(|(k, v)| (format!("kansole.dev/{k}"), v.to_owned()))
        .into();
    let mut oom = p.clone();
    b.start(p.clone());
    b.run(60);
    let place = p.place.clone();
    {
        let machines = b.shared.lock();
        let u = &machines.processes[&place].usage;
        assert!(u.cfs[1] > 200.0 && (u.working_set / 1_048_576.0 - 95.0).abs() < 20.0, "{:?} {}", u.cfs, u.working_set);
        assert!(u.requests.iter().any(|r| r.code == 503 && r.count > 100.0));
    }
    oom.place.pod = "ledger-0".into();
    oom.id = "ledger".into();
    oom.workload.1 = "ledger".into();
    oom.annotations = [("kansole.dev/needs-memory".to_owned(), "200Mi".to_owned())].into();
    oom.limits[1] = Some(128.0 * 1_048_576.0);
    oom.started = b.now;
    b.start(oom);
    b.run(30);
    assert!((3..=5).contains(&b.ooms["ledger"]), "{:?}", b.ooms);
    b.each("ledger", |p| p.limits[1] = Some(256.0 * 1_048_576.0));
    b.ooms.clear();
    b.run(30);
    assert!(b.ooms.is_empty());
}

fn sane(u: &Usage) -> bool {
    let mut all =
        vec![u.cores, u.working_set, u.rss, u.cache, u.disk, u.in_flight, u.threads, u.waiting.unwrap_or(0.0)];
    all.extend(
        u.cpu_seconds
            .iter()
            .chain(&u.cfs)
            .chain(&u.stalled)
            .chain(&u.network)
            .chain(&u.io)
            .chain(u.cached.iter().flatten()),
    );
    for r in &u.requests {
        all.extend([r.count, r.seconds]);
        all.extend(r.buckets);
        if r.buckets.windows(2).any(|w| w[1] < w[0] - 1e-6) || r.buckets[BUCKETS.len() - 1] > r.count + 1e-6 {
            return false;
        }
    }
    all.iter().all(|x| x.is_finite() && *x >= 0.0)
}

#[test]
fn whatever_presses_the_figures_stay_figures_and_a_seed_gives_one_history() {
    let play = |seed: u64| {
        let noise = Noise::new(seed).of("press");
        let mut b = Bench::new(seed);
        let names: Vec<String> = b.shop.graph.services.iter().map(|s| s.key.clone()).collect();
        for round in 0..25 {
            {
                let mut m = b.shared.lock();
                let pick = |i: i64| names[(noise.bits(round * 100 + i) % names.len() as u64) as usize].clone();
                m.outside.slow = [(pick(1), 1e4_f64.powf(noise.unit(round * 100 + 2)))].into();
                m.outside.failing = [(pick(3), noise.unit(round * 100 + 4) * 1.2)].into();
                m.outside.load = [("*".to_owned(), 30.0 * noise.unit(round * 100 + 5).powi(3))].into();
                let n = m.nodes.len();
                let node = m.nodes.values_mut().nth(round as usize % n).unwrap();
                node.powered = noise.unit(round * 100 + 6) > 0.4;
                node.connected = noise.unit(round * 100 + 7) > 0.4;
                node.stolen_cores = 6.0 * noise.unit(round * 100 + 8);
                node.disk_filling = 1e9 * noise.unit(round * 100 + 9);
                let place = m.processes.keys().nth((noise.bits(round * 100 + 10) % 30) as usize).unwrap().clone();
                m.outside.locked = [place].into();
            }
            b.run(10);
            let m = b.shared.lock();
            assert!(m.processes.values().all(|p| sane(&p.usage)), "seed {seed} round {round}");
            assert!(m.calls.values().all(|c| {
                [c.total, c.failed, c.retried, c.server_seconds, c.client_seconds]
                    .iter()
                    .all(|x| x.is_finite() && *x >= 0.0)
                    && c.failed <= c.total + 1e-6
            }));
            assert!(
                m.nodes.values().all(|n| n
                    .cpu_seconds
                    .iter()
                    .chain(&n.io)
                    .chain(&n.pressure)
                    .all(|x| x.is_finite() && *x >= 0.0)
                    && n.disk_used <= n.disk)
            );
        }
        format!("{:?}", b.shared.lock().processes)
    };
    assert!(play(3) == play(3));
    play(4);
}

#[test]
fn the_past_runs_on_into_the_present() {
    let mut b = ready();
    // As a kubelet takes over pods whose objects were dated back.
    for p in b.shared.lock().processes.values_mut() {
        p.started -= chrono::TimeDelta::days(11);
    }
    let before = std::time::Instant::now();
    let past = settle(&mut b.shared.lock(), Noise::new(7), b.now);
    let now = b.now;
    let (places, usages): (Vec<Place>, Vec<Usage>) = {
        let m = b.shared.lock();
        m.processes.values().map(|p| (p.place.clone(), p.usage.clone())).unzip()
    };
    for (place, live) in places.iter().zip(&usages) {
        assert_eq!(&past.usage(place, now).unwrap(), live, "{place:?}");
        let mut later = live.clone();
        for minutes in [1_i64, 7, 30, 200, 1_000, 1_439] {
            let u = past.usage(place, now - chrono::TimeDelta::minutes(minutes)).unwrap();
            assert!(sane(&u), "{place:?} {minutes}");
            assert!(u.cpu_seconds[0] <= later.cpu_seconds[0] && u.network[0] <= later.network[0]);
            for r in &u.requests {
                let l = later
                    .requests
                    .iter()
                    .find(|l| l.code == r.code && l.route == r.route && l.method == r.method)
                    .unwrap();
                assert!(r.count <= l.count + 1e-6, "{place:?} {minutes} {} {}", r.count, l.count);
            }
            later = u;
        }
    }
    println!("a day of the past: {:?}", before.elapsed());
    let key = ("user".to_owned(), "shop/frontend".to_owned());
    let live = b.shared.lock().calls[&key].clone();
    assert_eq!(past.calls("user", "shop/frontend", now).unwrap(), live);
    let hour = past.calls("user", "shop/frontend", now - chrono::TimeDelta::hours(1)).unwrap();
    let rate = (live.total - hour.total) / 3600.0;
    assert!((80.0..300.0).contains(&rate), "{rate}");
    assert!(past.usage(&places[0], now - chrono::TimeDelta::days(15)).is_none());
    let m = past.machine("node-a1", now - chrono::TimeDelta::hours(5)).unwrap();
    let idle = b.shared.lock().nodes["node-a1"].cpu_seconds[0] - m.cpu_seconds[0];
    assert!((0.3..1.0).contains(&(idle / (4.0 * 5.0 * 3600.0))), "{idle}");
    // And the live totals go on from there.
    b.run(1);
    let m = b.shared.lock();
    assert!(m.processes[&places[0]].usage.cpu_seconds[0] >= usages[0].cpu_seconds[0]);
}
