//! Against a real Prometheus (feature `rig`): it discovers our targets, scrapes our pages, and ends up with the same
//! series under the same labels, and the same values where nothing moves between its scrapes and ours.

use super::fixtures::{START, world};
use crate::sim::promql::storage::{Labels, Storage};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to stop.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Answers of an instant query, by labels.
async fn ask(at: &str, query: &str) -> Option<Vec<(Labels, f64)>> {
    let url = format!("http://{at}/api/v1/query");
    let answer = reqwest::Client::new().get(url).query(&[("query", query)]).send().await.ok()?;
    let body: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    let rows = body.pointer("/data/result")?.as_array()?.iter().filter_map(|r| {
        let labels = r["metric"].as_object()?.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or("").to_owned()));
        Some((Labels::new(labels.collect()), r["value"][1].as_str()?.parse().ok()?))
    });
    Some(rows.collect())
}

#[tokio::test]
async fn a_real_prometheus_holds_the_same_series() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut w = world(3);
    w.run(60);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let router = super::router(w.store.clone(), w.machines.clone(), w.db.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let dir = tempfile::tempdir().unwrap();
    let config = super::prometheus_yml(&host).replace("15s", "1s");
    std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    // A port that was free a moment ago: Prometheus cannot tell which one it took.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let _server = Server(
        Command::new("prometheus")
            .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the feature `rig` needs prometheus"),
    );
    let targets = w.db.targets().len() as f64;
    let deadline = Instant::now() + Duration::from_secs(60);
    while ask(&port, "sum(up)").await.is_none_or(|r| r.first().is_none_or(|(_, v)| *v < targets)) {
        let log = || std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "not all of {targets} targets are up: {}", log());
        // Nothing tells when a scrape of another process is done.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let theirs: BTreeSet<Labels> =
        ask(&port, "{job=~\".+\"}").await.unwrap().into_iter().map(|(l, _)| l).filter(|l| !companion(l)).collect();
    let ours: BTreeSet<Labels> =
        w.db.select(&[], START, START + 60_000).iter().map(|s| s.labels().clone()).filter(|l| !companion(l)).collect();
    let only: Vec<_> = ours.symmetric_difference(&theirs).take(5).collect();
    assert!(only.is_empty(), "ours {}, theirs {}, on one side only: {only:#?}", ours.len(), theirs.len());
    for name in [
        "up",
        "container_memory_rss",
        "container_spec_memory_limit_bytes",
        "kube_pod_container_status_restarts_total",
        "kube_pod_container_resource_limits",
        "http_server_active_requests",
        "node_memory_MemAvailable_bytes",
        "node_total_hourly_cost",
    ] {
        let theirs = ask(&port, &format!("sum({name})")).await.unwrap()[0].1;
        let sum = |s: &std::sync::Arc<dyn crate::sim::promql::storage::Series>| {
            let mut out = Vec::new();
            s.samples(START + 45_000, START + 60_000, &mut out);
            out.last().map_or(0.0, |s| s.value)
        };
        let ours: f64 = w.select(&[("__name__", name)], 45, 60).iter().map(sum).sum();
        assert!((ours - theirs).abs() <= 1e-9 * ours.abs(), "sum({name}): ours {ours}, theirs {theirs}");
    }
}

/// What a server writes beside a scrape: versions differ in which there are.
fn companion(labels: &Labels) -> bool {
    labels["__name__"].starts_with("scrape_")
}
