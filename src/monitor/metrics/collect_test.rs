//! Tests of the collector against servers that answer rightly, wrongly and not at all.

use super::super::fixtures::{snapshot, workload};
use super::*;
use crate::config::settings::Connection;
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::series::Signal;
use crate::model::time;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// A small Prometheus: cAdvisor series of one pod, scraped every 15 s, and nothing else.
fn prometheus(request: &Request) -> ResponseTemplate {
    let query = request.url.query_pairs().find(|(k, _)| k == "query").map(|(_, v)| v.into_owned()).unwrap_or_default();
    let now = time::now().timestamp();
    let vector = |labels: Value, value: String| {
        json!({"status": "success", "data": {"resultType": "vector",
            "result": [{"metric": labels, "value": [now, value]}]}})
    };
    let pod = json!({"namespace": "shop", "pod": "web-0", "container": "app"});
    let empty = json!({"status": "success", "data": {"resultType": "vector", "result": []}});
    let body = match (request.url.path(), query.as_str()) {
        (p, _) if p.ends_with("/labels") => {
            json!({"status": "success", "data": ["namespace", "pod", "container", "job"]})
        }
        (p, _) if p.ends_with("/values") => json!({"status": "success", "data": ["web-0"]}),
        (p, q) if p.ends_with("/query_range") => {
            let value = if q.contains("cpu") { "0.25" } else { "1000" };
            let at = (now - 3600) / 15 * 15;
            json!({"status": "success", "data": {"resultType": "matrix",
                "result": [{"metric": pod, "values": [[at, value], [at + 15, value]]}]}})
        }
        (_, "vector(1)") => vector(json!({}), "1".into()),
        (_, q) if q.starts_with("count by (job") && q.contains("image") => {
            vector(json!({"job": "kubelet"}), "1".into())
        }
        (_, q) if q.starts_with("topk(1") => vector(json!({"job": "kubelet"}), "40".into()),
        (_, q) if q.starts_with("up{") => json!({"status": "success", "data": {"resultType": "matrix",
            "result": [{"metric": {}, "values": [[now - 30, "1"], [now - 15, "1"], [now, "1"]]}]}}),
        (_, q) if q.contains("timestamp(") => vector(pod, now.to_string()),
        (_, q) if q.contains("rate(container_cpu") => vector(pod, "0.5".into()),
        (_, q) if q.contains("working_set") => vector(pod, "2000".into()),
        (p, _) if p.ends_with("/query") => empty,
        _ => return ResponseTemplate::new(404),
    };
    ResponseTemplate::new(200).set_body_json(body)
}

fn start_on(prometheus: &str, cancel: &CancellationToken) -> MetricsHandle {
    let mut settings = Settings {
        connection: Connection { prometheus: prometheus.into(), ..Connection::default() },
        ..Settings::default()
    };
    settings.monitor.metrics_step = Some(Duration::from_secs(5));
    let web = workload("shop", WorkloadKind::StatefulSet, "web", &["web-0"]);
    let mut web = web;
    web.created = None;
    let (_, snapshots) = watch::channel(Arc::new(snapshot(vec![web])));
    spawn(Arc::new(settings), None, snapshots, cancel.clone())
}

async fn until(handle: &mut MetricsHandle, what: impl Fn(&MetricsView) -> bool) -> Arc<MetricsView> {
    let wait = handle.views.wait_for(|v| what(v));
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("in time").expect("collector runs").clone()
}

fn web() -> WorkloadKey {
    WorkloadKey::new("shop", WorkloadKind::StatefulSet, "web")
}

#[tokio::test]
async fn live_values_come_first_then_the_past_and_an_outage_is_survived() {
    let server = MockServer::start().await;
    let healthy = Mock::given(any()).respond_with(prometheus).mount_as_scoped(&server).await;
    let cancel = CancellationToken::new();
    let mut handle = start_on(&server.uri(), &cancel);
    let view = until(&mut handle, |v| v.workloads.contains_key(&web())).await;
    assert!(matches!(view.state, SourceState::Live { .. }));
    assert_eq!(view.workloads[&web()].now(Signal::Cpu).fresh(), Some(0.5));
    assert_eq!(view.workloads[&web()].now(Signal::Memory).fresh(), Some(2000.0));
    assert_eq!(view.profile.as_ref().unwrap().scrape_interval_s, Some(15.0));
    let view = until(&mut handle, |v| v.workloads[&web()].history(Signal::Cpu).len() >= 3).await;
    let past = view.workloads[&web()].history(Signal::Memory);
    assert!(past.range(time::now() - TimeDelta::hours(2), time::now()).any(|(_, v)| v == 1000.0));

    drop(healthy);
    let view = until(&mut handle, |v| matches!(v.state, SourceState::Failed { .. })).await;
    let SourceState::Failed { last, why, .. } = &view.state else { unreachable!("just matched") };
    assert!(last.is_some() && why.contains(&server.uri()), "{why}");
    assert!(view.workloads[&web()].now(Signal::Cpu).last().is_some(), "what was known is kept");
    assert!(view.workloads[&web()].history(Signal::Cpu).len() >= 3);

    Mock::given(any()).respond_with(prometheus).mount(&server).await;
    until(&mut handle, |v| matches!(v.state, SourceState::Live { .. })).await;
    cancel.cancel();
    handle.task.await.expect("ends without a panic");
}

#[tokio::test]
async fn whatever_answers_ends_as_a_state_with_place_and_remedy() {
    for (answer, remedy) in [
        (ResponseTemplate::new(200).set_body_raw("<html>", "text/html"), "Did you mean"),
        (ResponseTemplate::new(401), "prometheus_token_file"),
        (ResponseTemplate::new(422).set_body_string("{}"), "The query was"),
        (ResponseTemplate::new(200).set_body_string(r#"{"status":"succ"#), "cut long answers"),
        (ResponseTemplate::new(500), "Look at its log"),
    ] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let cancel = CancellationToken::new();
        let mut handle = start_on(&server.uri(), &cancel);
        let view = until(&mut handle, |v| matches!(v.state, SourceState::Failed { .. })).await;
        let SourceState::Failed { why, .. } = &view.state else { unreachable!("just matched") };
        assert!(why.contains(&server.uri()) && why.contains(remedy), "{why}");
        cancel.cancel();
    }
}

#[tokio::test]
async fn a_server_without_any_series_is_live_and_says_what_is_missing() {
    let server = MockServer::start().await;
    let empty = json!({"status": "success", "data": {"resultType": "vector", "result": []}});
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(empty)).mount(&server).await;
    let cancel = CancellationToken::new();
    let mut handle = start_on(&server.uri(), &cancel);
    let view = until(&mut handle, |v| matches!(v.state, SourceState::Live { .. })).await;
    assert!(view.profile.as_ref().unwrap().missing.iter().any(|m| m.contains("cAdvisor")));
    assert!(view.workloads[&web()].now.iter().all(|r| *r == crate::model::reading::Reading::Absent));
    cancel.cancel();
}

#[tokio::test]
async fn the_first_pods_do_not_wait_for_the_next_step() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(prometheus).mount(&server).await;
    let mut settings = Settings {
        connection: Connection { prometheus: server.uri(), ..Connection::default() },
        ..Settings::default()
    };
    settings.monitor.metrics_step = Some(Duration::from_secs(3600));
    let (pods, snapshots) = watch::channel(Arc::new(snapshot(vec![])));
    let cancel = CancellationToken::new();
    let mut handle = spawn(Arc::new(settings), None, snapshots, cancel.clone());
    until(&mut handle, |v| matches!(v.state, SourceState::Live { .. })).await;
    pods.send_replace(Arc::new(snapshot(vec![workload("shop", WorkloadKind::StatefulSet, "web", &["web-0"])])));
    until(&mut handle, |v| v.workloads.contains_key(&web())).await;
    cancel.cancel();
}

#[tokio::test]
async fn none_means_none() {
    let cancel = CancellationToken::new();
    let mut handle = start_on("none", &cancel);
    until(&mut handle, |v| v.state == SourceState::NotServed).await;
    let mut handle = start_on("auto", &cancel);
    let view = until(&mut handle, |v| matches!(v.state, SourceState::Failed { .. })).await;
    assert!(matches!(&view.state, SourceState::Failed { why, .. } if why.contains("--prometheus")));
    cancel.cancel();
}

#[test]
fn every_slot_gets_one_step() {
    let at = |ms| chrono::DateTime::from_timestamp_millis(ms).unwrap();
    assert_eq!(until_slot(at(30_000), 15), Duration::from_millis(15_050));
    assert_eq!(until_slot(at(44_999), 15), Duration::from_millis(51));
}
