//! The metrics room against a real Prometheus that holds a prepared day: cAdvisor and HTTP series of a workload
//! whose pods were replaced in between, a gap of two hours, and a NaN.
//!
//! `promtool` makes the blocks and `prometheus` serves them; `tests/prometheus_real.sh` does both and sets
//! KANSOLE_REAL_PROMETHEUS. Built with the feature `rig` only, and then never skipped.

#[path = "support/cluster.rs"]
mod support;

use chrono::{DateTime, TimeDelta, Utc};
use kansole::config::Settings;
use kansole::config::settings::{Connection, Indicator, Slo};
use kansole::model::object::{WorkloadKey, WorkloadKind};
use kansole::model::pod::{ContainerSpec, Phase, PodRow, Probes, Resources};
use kansole::model::series::Signal;
use kansole::model::snapshot::{MetricsView, Snapshot, SourceState};
use kansole::monitor::metrics;
use kansole::monitor::metrics::histogram::Buckets;
use kansole::monitor::metrics::queries::Live;
use kansole::monitor::prometheus::client::Limits;
use kansole::monitor::prometheus::families::{By, FAMILIES};
use kansole::monitor::prometheus::profile::NodeMemory;
use kansole::monitor::prometheus::{PromClient, PromError, Transport, profile};
use std::sync::Arc;
use std::time::Duration;
use support::{cluster, workload};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const LIMITS: Limits = Limits { timeout: Duration::from_secs(20), in_flight: 4, answer: 64 << 20 };

fn server() -> String {
    std::env::var("KANSOLE_REAL_PROMETHEUS").expect("run tests/prometheus_real.sh, which sets KANSOLE_REAL_PROMETHEUS")
}

fn client(url: &str) -> PromClient {
    PromClient::new(Transport::url(url, &Connection::default()).unwrap(), LIMITS)
}

fn snapshot() -> Snapshot {
    let template: Arc<[ContainerSpec]> = Arc::from([ContainerSpec {
        name: "app".into(),
        image: "app:1".into(),
        resources: Resources::default(),
        probes: Probes::default(),
        init: false,
    }]);
    let now = Utc::now();
    let pod = |name: &&str| PodRow {
        namespace: "shop".into(),
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
        created: now - TimeDelta::days(1),
        trouble: None,
    };
    let of =
        |name: &str, pods: &[&str]| Arc::new(workload(name, template.clone(), pods.iter().map(pod).collect(), vec![]));
    let list =
        vec![of("broken", &["broken-5c4d5c4d-qqqqq"]), of("cart", &["cart-6b6b6b6b-aaaaa", "cart-6b6b6b6b-bbbbb"])];
    Snapshot { workloads: list.into(), ..Snapshot::empty(cluster(), now) }
}

fn cart() -> WorkloadKey {
    WorkloadKey::new("shop", WorkloadKind::Deployment, "cart")
}

#[tokio::test]
async fn the_client_and_the_profile_read_a_real_server() {
    let url = server();
    let client = client(&url);
    let now = Utc::now();
    assert!(client.buildinfo().await.unwrap().data["version"].is_string());
    assert!(matches!(client.query("sum(").await, Err(PromError::BadQuery { .. })));
    assert!(matches!(client.query("up[5m]").await, Err(PromError::BadQuery { .. })), "a matrix is no vector");
    let day = now - TimeDelta::hours(24);
    assert!(client.query_range("up", day, now, 1).await.is_err_and(|e| e.to_string().contains("11,000")));
    let pods = client.label_values("pod", Some("container_memory_working_set_bytes"), day, now).await.unwrap().data;
    assert!(pods.contains(&"cart-5a5a5a5a-zzzzz".to_owned()), "a pod that is gone: {pods:?}");
    assert!(!client.labels(None, day, now).await.unwrap().data.is_empty());
    assert!(!client.series("up", day, now).await.unwrap().data.is_empty());
    assert!(client.rules().await.unwrap().data.is_empty());
    client.targets().await.unwrap();
    client.metadata("up").await.unwrap();

    let found = profile::detect(&client, &[], now).await.unwrap();
    assert_eq!(found.shown.cadvisor.as_deref(), Some("job=\"kubelet\",metrics_path=\"/metrics/cadvisor\""));
    assert_eq!(found.shown.scrape_interval_s, Some(30.0));
    assert!(found.shown.requests.as_deref().unwrap().contains("http_requests_total by namespace,pod, failed code"));
    assert!(found.retention_s.is_some());
    assert!(found.shown.missing.iter().any(|m| m.contains("kube-state-metrics")));
}

#[tokio::test]
async fn every_query_of_every_profile_is_accepted() {
    let url = server();
    let client = client(&url);
    let mut found = profile::detect(&client, &[], Utc::now()).await.unwrap();
    let labels: Vec<String> = [
        "namespace",
        "pod",
        "exported_namespace",
        "exported_pod",
        "code",
        "status",
        "response_code",
        "grpc_code",
        "destination_workload_namespace",
        "destination_workload",
        "direction",
        "deployment",
        "classification",
        "ingress",
        "service",
    ]
    .map(str::to_owned)
    .into();
    found.requests = FAMILIES.iter().map(|f| f.resolve(&labels, |_| true).expect("all labels are there")).collect();
    found.in_flight = Some(("http_requests_in_flight".into(), By::pods(&labels).unwrap()));
    found.cluster = Some("cluster=\"a\"".into());
    if let Some(c) = &mut found.cadvisor {
        c.node = Some("node".into());
    }
    for source in [NodeMemory::ExporterByNode, NodeMemory::ExporterByUname, NodeMemory::Cadvisor] {
        found.node_memory = Some(source);
        let live = Live::new(&found);
        let mut queries = vec![live.cpu.unwrap(), live.memory.unwrap(), live.sampled.unwrap()];
        queries.extend(live.node_memory);
        queries.extend(live.in_flight.into_iter().flat_map(|(a, b)| [a, b]));
        for f in live.families {
            queries.extend([Some(f.total), f.bad, f.buckets, Some(f.sampled)].into_iter().flatten());
        }
        assert!(queries.len() > 30);
        for query in queries {
            let answer = client.query(&query).await;
            assert!(answer.is_ok(), "{query}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn quantiles_equal_those_of_the_server() {
    let url = server();
    let client = client(&url);
    let inner = "sum by (le) (rate(http_request_duration_seconds_bucket{namespace=\"shop\"}[2m]))";
    let mut buckets = Buckets::default();
    for s in client.query(inner).await.unwrap().data {
        buckets.add(s.labels.get("le").unwrap(), s.value.float().unwrap());
    }
    for q in [0.1, 0.5, 0.9, 0.99, 0.999] {
        let theirs = client.query(&format!("histogram_quantile({q}, {inner})")).await.unwrap().data;
        let (theirs, ours) = (theirs[0].value.float().unwrap(), buckets.quantile(q).unwrap().value);
        assert!((theirs - ours).abs() < 1e-6 * theirs, "{q}: {theirs} {ours}");
    }
}

#[tokio::test]
async fn the_collector_reads_now_fills_the_day_and_leaves_the_gap() {
    let url = server();
    let mut settings = Settings {
        connection: Connection { prometheus: url, ..Connection::default() },
        slo: vec![Slo {
            name: "cart".into(),
            workload: "shop/Deployment/cart".into(),
            indicator: Indicator::Errors,
            objective: 0.99,
            days: 30,
        }],
        ..Settings::default()
    };
    settings.monitor.metrics_step = Some(Duration::from_secs(30));
    let (_keep, snapshots) = watch::channel(Arc::new(snapshot()));
    let cancel = CancellationToken::new();
    let mut handle = metrics::spawn(Arc::new(settings), None, snapshots, cancel.clone());
    let full = |v: &MetricsView| {
        let w = v.workloads.get(&cart());
        w.is_some_and(|w| w.history(Signal::LatencyP99).len() > 2000) && v.slos[0].bad[0].fresh().is_some()
    };
    let shown = handle.views.clone();
    let wait = tokio::time::timeout(Duration::from_secs(60), handle.views.wait_for(|v| full(v))).await;
    let Ok(view) = wait else { panic!("not in time: {:?}", shown.borrow().state) };
    let view = view.unwrap().clone();
    assert!(matches!(view.state, SourceState::Live { .. }));
    let m = &view.workloads[&cart()];
    let close = |signal: Signal, wanted: f64| {
        let got = m.now(signal).fresh();
        assert!(got.is_some_and(|v| (v - wanted).abs() < 0.02 * wanted), "{signal:?}: {:?}", m.now(signal));
    };
    close(Signal::Cpu, 0.5);
    close(Signal::Memory, 2.0 * 104_857_600.0);
    close(Signal::RequestRate, 22.0);
    close(Signal::ErrorRate, 2.0 / 22.0);
    close(Signal::LatencyP50, 0.1);
    assert_eq!(m.now(Signal::Connections).state(), "absent");
    let broken = &view.workloads[&WorkloadKey::new("shop", WorkloadKind::Deployment, "broken")];
    assert_eq!(broken.now(Signal::Memory).state(), "failed", "NaN is not a value: {:?}", broken.now(Signal::Memory));

    // The day: old pods until 12 h ago, the gap from 10 h to 8 h ago, present pods since.
    let now = Utc::now();
    let hours = |h: f64| now - TimeDelta::seconds((h * 3600.0) as i64);
    let count = |signal: Signal, from: DateTime<Utc>, to: DateTime<Utc>| m.history(signal).range(from, to).count();
    for signal in [Signal::Cpu, Signal::Memory, Signal::RequestRate, Signal::ErrorRate, Signal::LatencyP50] {
        assert!(count(signal, hours(20.0), hours(13.0)) > 800, "{signal:?}: the pods of the old revision");
        assert_eq!(count(signal, hours(9.9), hours(8.1)), 0, "{signal:?}: the gap stays a gap");
        assert!(count(signal, hours(7.9), hours(0.1)) > 900, "{signal:?}");
    }
    let old: Vec<f64> = m.history(Signal::Cpu).range(hours(20.0), hours(13.0)).map(|(_, v)| v).collect();
    assert!(old.iter().all(|v| (v - 0.25).abs() < 0.01), "one pod then: {:?}", &old[..3]);
    let slo = &view.slos[0];
    assert!(slo.bad.iter().all(|r| r.fresh().is_some_and(|v| (v - 2.0 / 22.0).abs() < 0.005)), "{slo:?}");
    assert!((80_000.0..95_000.0).contains(&slo.period.1), "a day, not thirty: {}", slo.period.1);
    cancel.cancel();
    handle.task.await.unwrap();
}

#[tokio::test]
async fn a_server_that_stops_and_starts_again_is_survived() {
    let url = server();
    let Some(ctl) = std::env::var_os("KANSOLE_REAL_PROMETHEUS_CTL") else {
        println!("NOT RUN: KANSOLE_REAL_PROMETHEUS_CTL is not set; tests/prometheus_real.sh sets it");
        return;
    };
    let ctl = async |what: &str| {
        let status = tokio::process::Command::new(&ctl).arg(what).status().await.unwrap();
        assert!(status.success(), "{what}");
    };
    let mut settings =
        Settings { connection: Connection { prometheus: url.clone(), ..Connection::default() }, ..Settings::default() };
    settings.monitor.metrics_step = Some(Duration::from_secs(5));
    let (_keep, snapshots) = watch::channel(Arc::new(snapshot()));
    let cancel = CancellationToken::new();
    let mut handle = metrics::spawn(Arc::new(settings), None, snapshots, cancel.clone());
    let limit = Duration::from_secs(60);
    let live = |v: &Arc<MetricsView>| {
        matches!(v.state, SourceState::Live { .. })
            && v.workloads.get(&cart()).is_some_and(|w| w.history(Signal::Cpu).len() > 1000)
    };
    tokio::time::timeout(limit, handle.views.wait_for(live)).await.expect("live in time").unwrap();
    ctl("stop").await;
    let failed = |v: &Arc<MetricsView>| matches!(v.state, SourceState::Failed { .. });
    let view = tokio::time::timeout(limit, handle.views.wait_for(failed)).await.expect("noticed").unwrap().clone();
    let SourceState::Failed { last, why, .. } = &view.state else { unreachable!("just matched") };
    assert!(last.is_some() && why.contains(&url) && why.contains("cannot be reached"), "{why}");
    let cpu = view.workloads[&cart()].now(Signal::Cpu).last();
    assert!(cpu.is_some_and(|(v, _)| (v - 0.5).abs() < 0.01), "what was known is shown with its age");
    assert!(view.workloads[&cart()].history(Signal::Cpu).len() > 1000, "the rings are kept");
    ctl("start").await;
    let view = tokio::time::timeout(limit, handle.views.wait_for(live)).await.expect("back by itself").unwrap().clone();
    assert!(view.workloads[&cart()].now(Signal::Cpu).fresh().is_some());
    cancel.cancel();
    handle.task.await.unwrap();
}
