//! The watch for anomalies on the simulated cluster, as Prometheus tells of it: a quiet day raises nothing, and what a
//! scenario breaks is found under its right name. Nobody waits: the clock is stepped.

#[path = "support/cluster.rs"]
mod support;

use chrono::{DateTime, TimeDelta, Utc};
use kansole::analyze::anomaly::Watch;
use kansole::model::anomaly::{Anomaly, Class};
use kansole::model::cluster::Revision;
use kansole::model::pod::{ContainerRow, Phase, PodRow};
use kansole::model::reading::Reading;
use kansole::model::series::{Series, Signal};
use kansole::model::snapshot::{Snapshot, WorkloadMetrics};
use kansole::sim::demo::{Demo, Options};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use support::{cluster, workload};

/// Hours of the past that are learned.
const PAST: TimeDelta = TimeDelta::hours(14);

const COUNT: &str = "http_server_request_duration_seconds_count";

/// What is asked for each signal, by the name of the workload.
fn queries() -> Vec<(Signal, &'static str, String)> {
    let rate = |of: &str| format!("sum by (service) (rate({COUNT}{{{of}}}[1m]))");
    let bad = rate("http_response_status_code=~\"5..\"");
    let quantile =
        "histogram_quantile(0.99, sum by (service, le) (rate(http_server_request_duration_seconds_bucket[1m])))";
    let pods = "{namespace=\"shop\",container!=\"\"}";
    vec![
        (Signal::Cpu, "container", format!("sum by (container) (rate(container_cpu_usage_seconds_total{pods}[1m]))")),
        (Signal::Memory, "container", format!("sum by (container) (container_memory_working_set_bytes{pods})")),
        (Signal::RequestRate, "service", rate("")),
        (Signal::ErrorRate, "service", format!("({bad} or 0 * {all}) / {all}", all = rate(""))),
        (Signal::LatencyP99, "service", quantile.into()),
    ]
}

struct Shop {
    demo: Demo,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    start: DateTime<Utc>,
    now: DateTime<Utc>,
    /// Seconds between samples.
    step: i64,
    watch: Watch,
    metrics: BTreeMap<String, WorkloadMetrics>,
}

impl Shop {
    /// A scenario at its start.
    fn playing(scenario: &str, step: i64) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let start: DateTime<Utc> = "2026-03-10T10:00:00Z".parse().expect("a time");
        let options = Options { scenario: scenario.into(), speed: 0.0, start: Some(start), ..Options::default() };
        let demo = runtime.block_on(Demo::start(&options)).expect("the demo starts");
        let client = reqwest::Client::builder().build().expect("a client");
        let (watch, metrics) = (Watch::new(), BTreeMap::new());
        Self { demo, runtime, client, start, now: start, step, watch, metrics }
    }

    fn pass(&mut self, minutes: i64) {
        for _ in 0..minutes * 6 {
            self.demo.step(TimeDelta::seconds(10));
        }
        self.now += TimeDelta::minutes(minutes);
    }

    /// A query from a time until now: points by the value of a label.
    fn range(&self, query: &str, label: &str, from: DateTime<Utc>) -> BTreeMap<String, Vec<(i64, f64)>> {
        let url = format!("http://127.0.0.1:{}/api/v1/query_range", self.demo.ports().prometheus);
        let step = self.step;
        let ends = [from, self.now].map(|t| (t.timestamp() / step * step).to_string());
        let parameters = [("query", query), ("start", &ends[0]), ("end", &ends[1]), ("step", &step.to_string())];
        let answer: Value = self.runtime.block_on(async {
            let answer = self.client.get(url).query(&parameters).send().await.expect("an answer");
            serde_json::from_str(&answer.text().await.expect("a whole one")).expect("JSON")
        });
        let result = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{query}: {answer}"));
        let point =
            |p: &Value| Some((p[0].as_f64()? as i64, p[1].as_str()?.parse().ok().filter(|v: &f64| v.is_finite())?));
        let track = |s: &Value| {
            let name = s["metric"][label].as_str().unwrap_or_default().to_owned();
            (name, s["values"].as_array().expect("values").iter().filter_map(point).collect())
        };
        result.iter().map(track).collect()
    }

    /// Reads the samples from a time until now.
    fn measure(&mut self, from: DateTime<Utc>) {
        for (signal, label, query) in queries() {
            for (name, points) in self.range(&query, label, from) {
                let step = self.step as u32;
                let metrics = self.metrics.entry(name).or_insert_with(|| WorkloadMetrics {
                    now: std::array::from_fn(|_| Reading::Absent),
                    history: std::array::from_fn(|_| Series::new(step, TimeDelta::hours(24))),
                });
                for (at, value) in points {
                    metrics.history[signal as usize].put(DateTime::from_timestamp(at, 0).expect("a time"), value);
                }
            }
        }
    }

    /// How often containers of each pod of a workload were restarted until now.
    fn restarts(&self, name: &str) -> Vec<PodRow> {
        let query = format!("sum by (pod) (kube_pod_container_status_restarts_total{{container=\"{name}\"}})");
        let pods = self.range(&query, "pod", self.now);
        pods.into_iter().filter_map(|(pod, points)| Some(pod_row(&pod, points.last()?.1 as u32, self.now))).collect()
    }

    /// What the watch makes of it. `released` tells when a workload had a rollout.
    fn anomalies(&mut self, released: Option<(&str, DateTime<Utc>)>, killed: Option<&str>) -> Vec<Anomaly> {
        let mut snapshot = Snapshot::empty(cluster(), self.now);
        let revisions =
            |name: &str| released.filter(|r| r.0 == name).map(|r| revision(name, r.1)).into_iter().collect();
        let pods = |name: &str| if killed == Some(name) { self.restarts(name) } else { vec![] };
        let of = |name: &String| Arc::new(workload(name, Arc::from([]), pods(name), revisions(name)));
        snapshot.workloads = self.metrics.keys().map(of).collect();
        let metrics = snapshot.workloads.iter().zip(self.metrics.values());
        let metrics = metrics.map(|(w, m)| (w.key.clone(), Arc::new(m.clone())));
        snapshot.metrics.workloads = Arc::new(metrics.collect::<HashMap<_, _>>());
        assert!(snapshot.metrics.workloads.len() > 8, "the shop has more than eight workloads");
        assert_eq!(self.watch.observe(&snapshot, self.now, usize::MAX), 0);
        let known = self.watch.anomalies(0);
        assert!(known.judged > 30 && known.learning * 4 < known.judged, "{} and {}", known.judged, known.learning);
        known.all.iter().map(|i| (**i).clone()).collect()
    }

    /// A scenario after so many minutes, and what the watch makes of all of it at once.
    fn after(scenario: &str, minutes: i64, released: Option<(&str, TimeDelta)>) -> (Self, Vec<Anomaly>) {
        let mut shop = Self::playing(scenario, 60);
        shop.pass(minutes);
        shop.measure(shop.start - PAST);
        let start = shop.start;
        let all = shop.anomalies(released.map(|(name, after)| (name, start + after)), None);
        (shop, all)
    }
}

fn pod_row(name: &str, restarts: u32, now: DateTime<Utc>) -> PodRow {
    PodRow {
        namespace: "shop".into(),
        name: name.into(),
        uid: "u".into(),
        resource_version: "1".into(),
        owner: None,
        node: None,
        specs: Arc::from([]),
        containers: Box::new([ContainerRow { restarts, ready: true, running: true, trouble: None }]),
        phase: Phase::Running,
        ready: true,
        deleting: false,
        created: now,
        trouble: None,
    }
}

fn revision(name: &str, created: DateTime<Utc>) -> Revision {
    Revision {
        number: 2,
        name: format!("{name}-2").into(),
        uid: "2".into(),
        created,
        desired: 1,
        ready: 1,
        available: 1,
        template: Arc::from([]),
        last_healthy: None,
    }
}

fn told(all: &[Anomaly]) -> String {
    let line = |i: &Anomaly| {
        format!("{} {} {:.2} since {} ended {:?}", i.class.as_str(), i.title, i.severity, i.since, i.ended)
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The open anomalies of a workload.
fn open<'a>(all: &'a [Anomaly], name: &str) -> Vec<&'a Anomaly> {
    all.iter().filter(|i| &*i.key.name == name && i.ended.is_none()).collect()
}

#[test]
fn a_quiet_morning_after_a_quiet_night_raises_nothing() {
    let (_, all) = Shop::after("quiet-day", 60, None);
    assert!(all.is_empty(), "{}", told(&all));
}

#[test]
fn a_bad_release_is_high_errors_and_the_rollout_is_suspect() {
    let (shop, all) = Shop::after("bad-release", 8, Some(("search", TimeDelta::seconds(15))));
    let found = open(&all, "search");
    assert_eq!(found.len(), 1, "{}", told(&all));
    assert_eq!(found[0].class, Class::HighErrorRate, "{}", told(&all));
    assert!(found[0].since - shop.start < TimeDelta::minutes(4), "{}", told(&all));
    assert_eq!(&*found[0].suspect().expect("a rollout").what, "revision 2 was rolled out");
    assert!(all.iter().all(|i| i.since >= shop.start), "{}", told(&all));
}

#[test]
fn five_times_the_customers_is_a_traffic_spike() {
    let (shop, all) = Shop::after("traffic-spike", 8, None);
    let found = open(&all, "frontend");
    assert_eq!(found.len(), 1, "{}", told(&all));
    assert_eq!(found[0].class, Class::TrafficSpike, "{}", told(&all));
    assert!(all.iter().all(|i| i.since >= shop.start), "{}", told(&all));
}

#[test]
fn a_release_that_leaks_is_a_leak_though_it_is_killed_every_few_minutes() {
    let mut shop = Shop::playing("memory-leak", 30);
    shop.measure(shop.start - PAST);
    assert_eq!(shop.anomalies(None, Some("cart")), [], "before the release");
    let released = shop.start + TimeDelta::seconds(15);
    let mut all = Vec::new();
    for _ in 0..30 {
        shop.pass(1);
        shop.measure(shop.now - TimeDelta::minutes(2));
        all = shop.anomalies(Some(("cart", released)), Some("cart"));
        if !open(&all, "cart").is_empty() {
            break;
        }
    }
    let found = open(&all, "cart");
    let memory = shop.metrics["cart"].history(Signal::Memory);
    let seen: Vec<String> =
        memory.after(shop.start).map(|(t, v)| format!("{} {:.0}", (t - shop.start).num_seconds(), v / 1e6)).collect();
    assert_eq!(found.len(), 1, "{}\nmemory: {}", told(&all), seen.join(", "));
    assert_eq!(found[0].class, Class::MemoryLeak, "{}", told(&all));
    assert!(all.iter().all(|i| i.since >= shop.start), "{}", told(&all));
}
