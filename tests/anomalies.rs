//! The watch for anomalies on the simulated cluster, as Prometheus tells of it: a quiet day raises nothing, and what a
//! scenario breaks is found under its right name. Nobody waits: the clock is stepped.

use chrono::{DateTime, TimeDelta, Utc};
use kansole::analyze::anomaly::Watch;
use kansole::model::cluster::{Replicas, Revision, Workload};
use kansole::model::incident::{Class, Incident};
use kansole::model::object::{WorkloadKey, WorkloadKind};
use kansole::model::reading::Reading;
use kansole::model::series::{Series, Signal};
use kansole::model::snapshot::{ClusterInfo, Snapshot, WorkloadMetrics};
use kansole::sim::demo::{Demo, Options};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Seconds between samples, and hours of the past that are learned.
const LOOK: (i64, i64) = (60, 14);

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
}

impl Shop {
    /// A scenario after so many minutes.
    fn after(scenario: &str, minutes: i64) -> (Self, DateTime<Utc>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let start: DateTime<Utc> = "2026-03-10T10:00:00Z".parse().expect("a time");
        let options = Options { scenario: scenario.into(), speed: 0.0, start: Some(start), ..Options::default() };
        let demo = runtime.block_on(Demo::start(&options)).expect("the demo starts");
        let client = reqwest::Client::builder().build().expect("a client");
        let shop = Self { demo, runtime, client, start };
        for _ in 0..minutes * 6 {
            shop.demo.step(TimeDelta::seconds(10));
        }
        (shop, start + TimeDelta::minutes(minutes))
    }

    /// A query over the past and until now: points by the value of a label.
    fn range(&self, query: &str, label: &str, to: DateTime<Utc>) -> BTreeMap<String, Vec<(i64, f64)>> {
        let url = format!("http://127.0.0.1:{}/api/v1/query_range", self.demo.ports().prometheus);
        let (step, past) = LOOK;
        let from = self.start - TimeDelta::hours(past);
        let ends = [from, to].map(|t| (t.timestamp() / step * step).to_string());
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

    /// What the watch makes of it. `released` tells when a workload had a rollout.
    fn incidents(&self, to: DateTime<Utc>, released: Option<(&str, DateTime<Utc>)>) -> Vec<Incident> {
        let mut all: BTreeMap<String, WorkloadMetrics> = BTreeMap::new();
        for (signal, label, query) in queries() {
            for (name, points) in self.range(&query, label, to) {
                let metrics = all.entry(name).or_insert_with(|| WorkloadMetrics {
                    now: std::array::from_fn(|_| Reading::Absent),
                    history: std::array::from_fn(|_| Series::new(LOOK.0 as u32, TimeDelta::hours(24))),
                });
                for (at, value) in points {
                    metrics.history[signal as usize].put(DateTime::from_timestamp(at, 0).expect("a time"), value);
                }
            }
        }
        let mut snapshot = Snapshot::empty(cluster(), to);
        let revision = |name: &str| released.filter(|r| r.0 == name).map(|r| revision(name, r.1));
        snapshot.workloads = all.keys().map(|name| Arc::new(workload(name, revision(name)))).collect();
        let metrics = snapshot.workloads.iter().zip(all.into_values()).map(|(w, m)| (w.key.clone(), Arc::new(m)));
        snapshot.metrics.workloads = Arc::new(metrics.collect::<HashMap<_, _>>());
        assert!(snapshot.metrics.workloads.len() > 8, "the shop has more than eight workloads");
        let mut watch = Watch::new();
        assert_eq!(watch.observe(&snapshot, to, usize::MAX), 0);
        let known = watch.incidents(0);
        assert!(known.judged > 30 && known.learning * 4 < known.judged, "{} and {}", known.judged, known.learning);
        known.all.iter().map(|i| (**i).clone()).collect()
    }
}

fn cluster() -> ClusterInfo {
    let none: Arc<str> = "".into();
    let [id, context, server, version, user] = std::array::from_fn(|_| none.clone());
    ClusterInfo { id, context, server, version, user, namespaces: None }
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

fn workload(name: &str, revision: Option<Revision>) -> Workload {
    Workload {
        key: WorkloadKey::new("shop", WorkloadKind::Deployment, name),
        uid: "1".into(),
        resource_version: "1".into(),
        generation: 1,
        observed_generation: 1,
        created: None,
        replicas: Replicas::default(),
        paused: false,
        template: Arc::from([]),
        revisions: revision.into_iter().collect(),
        stuck: None,
        owners: Arc::from([]),
        opted_in: false,
        config_maps: Arc::from([]),
        pods: Arc::from([]),
    }
}

fn told(all: &[Incident]) -> String {
    let line = |i: &Incident| {
        format!("{} {} {:.2} since {} ended {:?}", i.class.as_str(), i.title, i.severity, i.since, i.ended)
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The open incidents of a workload.
fn open<'a>(all: &'a [Incident], name: &str) -> Vec<&'a Incident> {
    all.iter().filter(|i| &*i.key.name == name && i.ended.is_none()).collect()
}

#[test]
fn a_quiet_morning_after_a_quiet_night_raises_nothing() {
    let (shop, now) = Shop::after("quiet-day", 60);
    let all = shop.incidents(now, None);
    assert!(all.is_empty(), "{}", told(&all));
}

#[test]
fn a_bad_release_is_high_errors_and_the_rollout_is_suspect() {
    let (shop, now) = Shop::after("bad-release", 8);
    let all = shop.incidents(now, Some(("search", shop.start + TimeDelta::seconds(15))));
    let found = open(&all, "search");
    assert_eq!(found.len(), 1, "{}", told(&all));
    assert_eq!(found[0].class, Class::HighErrorRate, "{}", told(&all));
    assert!(found[0].since - shop.start < TimeDelta::minutes(4), "{}", told(&all));
    assert_eq!(&*found[0].suspect().expect("a rollout").what, "revision 2 was rolled out");
    assert!(all.iter().all(|i| i.since >= shop.start), "{}", told(&all));
}

#[test]
fn five_times_the_customers_is_a_traffic_spike() {
    let (shop, now) = Shop::after("traffic-spike", 8);
    let all = shop.incidents(now, None);
    let found = open(&all, "frontend");
    assert_eq!(found.len(), 1, "{}", told(&all));
    assert_eq!(found[0].class, Class::TrafficSpike, "{}", told(&all));
    assert!(all.iter().all(|i| i.since >= shop.start), "{}", told(&all));
}
