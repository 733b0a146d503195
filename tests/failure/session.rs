//! Runs a session in the simulated cluster and reads it back through its Prometheus, as from any other.

use super::lessons::Session;
use chrono::TimeDelta;
use kansole::config::settings::Connection;
use kansole::model::failure::{Past, STEPS};
use kansole::model::object::{WorkloadKey, WorkloadKind};
use kansole::model::time::Timestamp;
use kansole::monitor::metrics::backfill::Job;
use kansole::monitor::metrics::{past, pods::PodIndex};
use kansole::monitor::prometheus::client::Limits;
use kansole::monitor::prometheus::{PromClient, Transport, profile};
use kansole::sim::demo::{Demo, Options};
use std::collections::BTreeSet;
use std::time::Duration;

/// Runs it and reads everything from one window before anything happens to its end.
pub fn record(session: &Session) -> Past {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let file = session.toml.as_ref().map(|text| {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a temporary file");
        std::fs::write(file.path(), text).expect("it can be written");
        file
    });
    let scenario = file.as_ref().map_or("quiet-day".to_owned(), |f| f.path().display().to_string());
    let options =
        Options { scenario, seed: session.seed, speed: 0.0, start: Some(session.start), ..Options::default() };
    let demo = runtime.block_on(Demo::start(&options)).unwrap_or_else(|e| panic!("{}: {e}", session.name));
    let minutes = |n: i64| (0..n).for_each(|_| demo.step(TimeDelta::minutes(1)));
    minutes(session.before);
    if session.toml.is_none() {
        demo.director().play(Some(session.name)).expect("a built-in scenario");
    }
    minutes(session.minutes);
    let problems = demo.director().playing().problems;
    assert!(problems.is_empty(), "{}: {problems:?}", session.name);
    runtime.block_on(read(&demo, session.start + TimeDelta::minutes(session.before)))
}

async fn read(demo: &Demo, start: Timestamp) -> Past {
    let limits = Limits { timeout: Duration::from_secs(120), in_flight: 1, answer: 1 << 28 };
    let url = format!("http://127.0.0.1:{}", demo.ports().prometheus);
    let client = PromClient::new(Transport::url(&url, &Connection::default()).expect("a URL"), limits);
    let now = demo.clock().now();
    let profile = profile::detect(&client, &[], now).await.expect("a profile");
    let step = profile.interval_s.ceil() as u32;
    let keys = workloads(&client).await;
    let index = PodIndex::of_keys(keys.iter().cloned());
    let from = start - TimeDelta::seconds(i64::from(step) * STEPS as i64);
    past::read(&client, &profile, &index, &Job { keys, from, to: now, step }).await.expect("the past")
}

async fn workloads(client: &PromClient) -> BTreeSet<WorkloadKey> {
    let mut keys = BTreeSet::new();
    for (kind, label, metric) in [
        (WorkloadKind::Deployment, "deployment", "kube_deployment_spec_replicas"),
        (WorkloadKind::StatefulSet, "statefulset", "kube_statefulset_replicas"),
        (WorkloadKind::DaemonSet, "daemonset", "kube_daemonset_status_desired_number_scheduled"),
    ] {
        for sample in client.query(metric).await.expect("an answer").data {
            if let (Some(namespace), Some(name)) = (sample.labels.get("namespace"), sample.labels.get(label)) {
                keys.insert(WorkloadKey::new(namespace, kind.clone(), name));
            }
        }
    }
    keys
}
