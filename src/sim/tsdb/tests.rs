//! What a query finds, now and before, through restarts, silence and deletions.

use super::STEP;
use super::fixtures::{START, place, pod, process, world};
use crate::sim::fields::Writer;
use crate::sim::object::set;
use crate::sim::promql::storage::{Match, Storage, is_stale};
use crate::sim::store::{Delete, StoreError};

const CPU: [(&str, &str); 3] =
    [("__name__", "container_cpu_usage_seconds_total"), ("pod", "cart-0"), ("container", "main")];

#[test]
fn what_kansole_reads_is_there_with_the_labels_of_kube_prometheus() {
    let mut w = world(2);
    w.run(60);
    let labels = w.select(&CPU, 0, 60)[0].labels().clone();
    for (name, value) in [
        ("job", "kubelet"),
        ("metrics_path", "/metrics/cadvisor"),
        ("namespace", "shop"),
        ("image", "shop/cart:1"),
        ("node", "n1"),
        ("instance", "10.1.0.1:10250"),
        ("name", "id-cart-0"),
    ] {
        assert_eq!(labels[name], value, "{name}");
    }
    for name in [
        "container_memory_working_set_bytes",
        "container_cpu_cfs_throttled_periods_total",
        "kube_pod_info",
        "kube_pod_container_status_restarts_total",
        "kube_node_info",
        "node_memory_MemAvailable_bytes",
        "node_uname_info",
        "machine_memory_bytes",
        "http_server_request_duration_seconds_count",
        "http_server_request_duration_seconds_bucket",
        "http_server_active_requests",
        "traces_service_graph_request_total",
        "node_total_hourly_cost",
        "up",
    ] {
        assert!(!w.select(&[("__name__", name)], 0, 60).is_empty(), "{name}");
    }
    let app = [("__name__", "http_server_request_duration_seconds_count"), ("pod", "cart-1")];
    let labels = w.select(&app, 0, 60)[0].labels().clone();
    assert_eq!((labels["job"].as_str(), labels["instance"].as_str()), ("cart", "10.0.0.7:8080"));
    let root = w.select(&[("__name__", "container_memory_working_set_bytes"), ("id", "/")], 0, 60);
    assert!(!root[0].labels().contains_key("container"));
    assert!(w.db.metadata().contains_key("http_server_request_duration_seconds"));
}

#[test]
fn counters_run_from_the_past_into_the_present_on_one_grid() {
    let mut w = world(1);
    w.run(600);
    let s = w.one(&CPU, -1200, 600);
    assert_eq!(s.len(), 120, "every 15 s from 20 minutes before to 10 minutes after");
    for pair in s.windows(2) {
        assert_eq!(pair[1].at - pair[0].at, STEP);
        let grown = pair[1].value - pair[0].value;
        assert!((grown - 0.25 * 15.0).abs() < 1e-6, "at {}: grew by {grown}", pair[1].at - START);
    }
    // Processes began three days ago: nothing before that, though there are fourteen days of history.
    let all = w.one(&CPU, -14 * 86_400, 600);
    assert!(all[0].at > START - 3 * 86_400_000 && all[0].at <= START - 3 * 86_400_000 + STEP);
    let old = [("__name__", "kube_pod_container_status_restarts_total")];
    let told = w.one(&old, -14 * 86_400, 600);
    assert_eq!(told[0].value, 2.0);
    assert!((told[0].at - (START - 86_400_000)).abs() <= STEP, "since the pod was created");
}

#[test]
fn a_restart_is_another_series_and_the_old_one_ends() {
    let mut w = world(1);
    w.run(300);
    w.machines.lock().processes.insert(place("cart-0"), process("cart-0", "second", START + 300_000));
    w.run(600);
    let both = w.select(&CPU, 0, 600);
    assert_eq!(both.len(), 2);
    let old = w.one(&[CPU[0], CPU[1], CPU[2], ("name", "id-cart-0")], 0, 600);
    assert!(is_stale(old.last().unwrap().value));
    let new = w.one(&[CPU[0], CPU[1], CPU[2], ("name", "second")], -600, 600);
    assert!(new[0].at >= START + 300_000, "a new run has no past");
    assert_eq!(new[0].at, old.last().unwrap().at);
}

#[test]
fn silence_is_down_and_stale_and_comes_back() {
    let mut w = world(1);
    w.run(120);
    w.machines.lock().nodes.get_mut("n1").unwrap().exporting = false;
    w.run(240);
    w.machines.lock().nodes.get_mut("n1").unwrap().exporting = true;
    w.run(360);
    let up: Vec<f64> = w.one(&[("__name__", "up"), ("job", "node-exporter")], 0, 360).iter().map(|s| s.value).collect();
    assert_eq!((up.len(), up.iter().filter(|v| **v == 0.0).count()), (24, 8));
    let cpu = w.one(&CPU, 0, 360);
    assert_eq!(cpu.iter().filter(|s| is_stale(s.value)).count(), 1);
    assert_eq!(cpu.iter().filter(|s| !is_stale(s.value)).count(), 16);
    // An application is down while its process is, and its target goes with its pod.
    w.machines.lock().processes.clear();
    w.run(420);
    let app = [("__name__", "up"), ("pod", "cart-0")];
    assert_eq!(w.one(&app, 380, 420).iter().map(|s| s.value).sum::<f64>(), 0.0);
    w.store.delete("pods", "shop", "cart-0", &Delete { grace: Some(0), ..Delete::default() }).unwrap();
    w.run(480);
    assert!(is_stale(w.one(&app, 380, 480).last().unwrap().value));
    assert!(w.select(&app, 440, 480).is_empty());
}

#[test]
fn objects_are_read_when_they_change_and_end_with_them() {
    let mut w = world(1);
    w.run(100);
    let restarts = [("__name__", "kube_pod_container_status_restarts_total")];
    w.store
        .modify("pods", "shop", "cart-0", Writer::of("test"), |o| {
            o["status"]["containerStatuses"][0]["restartCount"] = 3.into();
            set(o, "status.phase", "Failed");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    w.store.create("pods", pod("cart-9"), Writer::of("test")).unwrap();
    w.run(200);
    let s = w.one(&[restarts[0], ("pod", "cart-0")], 0, 200);
    assert_eq!((s[0].value, s.last().unwrap().value), (2.0, 3.0));
    let phase = w.one(&[("__name__", "kube_pod_status_phase"), ("pod", "cart-0"), ("phase", "Running")], 0, 200);
    assert_eq!((phase[0].value, phase.last().unwrap().value), (1.0, 0.0));
    let new = w.one(&[restarts[0], ("pod", "cart-9")], -1000, 200);
    assert!(new[0].at > START + 100_000);
    w.store.delete("pods", "shop", "cart-9", &Delete { grace: Some(0), ..Delete::default() }).unwrap();
    w.run(300);
    assert!(is_stale(w.one(&[restarts[0], ("pod", "cart-9")], 0, 300).last().unwrap().value));
}

#[test]
fn one_history_whatever_the_step() {
    let told = |step: i64| {
        let mut w = world(2);
        for t in (step..=600).step_by(step as usize) {
            w.run(t);
        }
        let mut lines: Vec<String> =
            w.db.select(&[], START - 100_000, START + 600_000)
                .iter()
                .map(|s| {
                    let mut out = Vec::new();
                    s.samples(START - 100_000, START + 600_000, &mut out);
                    format!("{:?} {:?}", s.labels(), out.iter().map(|s| (s.at, s.value.to_bits())).collect::<Vec<_>>())
                })
                .collect();
        lines.sort();
        lines
    };
    let (fine, coarse) = (told(1), told(60));
    assert!(fine.len() > 300, "{}", fine.len());
    assert_eq!(fine, coarse);
}

fn filler(i: usize) -> serde_json::Value {
    let mut p = pod(&format!("fill-{i}"));
    set(&mut p, "metadata.labels", serde_json::json!({"app": "fill", "kansole.dev/filler": "true"}));
    set(&mut p, "metadata.namespace", "fleet");
    set(&mut p, "spec.nodeName", format!("f{}", i % 4));
    p["spec"]["containers"][0]["resources"] = serde_json::json!({"requests": {"cpu": "200m", "memory": "64Mi"}});
    p
}

fn fleet(w: &super::fixtures::World, pods: usize) {
    let nodes = (0..4).map(|i| {
        serde_json::json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": format!("f{i}"), "labels": {"kansole.dev/filler": "true"}, "creationTimestamp": "2027-01-14T08:00:00Z"},
            "status": {"capacity": {"cpu": "32", "memory": "128Gi"}, "addresses": [{"type": "InternalIP", "address": format!("10.9.0.{i}")}]}})
    });
    w.store.load("nodes", nodes.collect()).unwrap();
    w.store.load("pods", (0..pods).map(filler).collect()).unwrap();
}

#[test]
fn a_fleet_is_computed_and_never_stored() {
    let w = world(1);
    fleet(&w, 20);
    let mut w = w.again();
    w.run(60);
    let stored = w.db.figures().series;
    let cpu = ("__name__", "container_cpu_usage_seconds_total");
    assert_eq!(w.select(&[cpu, ("namespace", "fleet"), ("container", "main")], 0, 60).len(), 20);
    assert_eq!(w.select(&[cpu, ("namespace", "fleet"), ("container", "main"), ("node", "f1")], 0, 60).len(), 5);
    assert_eq!(w.select(&[cpu, ("container", "main")], 0, 60).len(), 21);
    let s = w.one(&[cpu, ("pod", "fill-3"), ("container", "main")], -600, 600);
    assert_eq!(s.len(), 44, "up to now and no further: {s:?}");
    for pair in s.windows(2) {
        let cores = (pair[1].value - pair[0].value) / 15.0;
        assert!((0.02..0.2).contains(&cores), "{cores}");
        assert_eq!(pair[1].at - pair[0].at, STEP);
    }
    let labels = w.select(&[cpu, ("pod", "fill-3"), ("container", "main")], 0, 60)[0].labels().clone();
    assert_eq!((labels["instance"].as_str(), labels["image"].as_str()), ("10.9.0.3:10250", "shop/cart:1"));
    assert_eq!(w.select(&[("__name__", "kube_pod_info"), ("namespace", "fleet")], 0, 60).len(), 20);
    let pods = [("__name__".to_owned(), Match::Equal("kube_pod_info".to_owned()))];
    let recorded = super::Recording(w.db.clone()).select(&pods, START, START + 60_000);
    assert!(!recorded.is_empty() && recorded.iter().all(|s| s.labels()["namespace"] != "fleet"), "rules go without");
    assert_eq!(w.select(&[("__name__", "up"), ("node", "f2")], 0, 60).len(), 1);
    assert_eq!(w.select(&[("__name__", "node_memory_MemTotal_bytes")], 0, 60).len(), 5);
    w.store.delete("pods", "fleet", "fill-3", &Delete { grace: Some(0), ..Delete::default() }).unwrap();
    w.run(120);
    assert!(w.select(&[cpu, ("pod", "fill-3")], 0, 60).is_empty());
    assert!(w.db.figures().series <= stored, "nothing of the fleet is stored");
}

#[test]
fn what_rules_give_is_stored_and_found() {
    use super::{DAYS, Recorder};
    use crate::sim::engine::Actor as _;
    use crate::sim::promql::storage::{Labels, Sample};
    let mut w = world(1);
    let labels: Labels = Labels::new([("__name__".to_owned(), "a:sum".to_owned())].into());
    let of = labels.clone();
    let mut recorder =
        Recorder::new(w.db.clone(), Box::new(move |at, store| store(&of, Sample { at, value: at as f64 })));
    for _ in 0..4 {
        let due = recorder.due().unwrap();
        w.run((due.timestamp_millis() - START) / 1000);
        recorder.act(due);
    }
    let s = w.one(&[("__name__", "a:sum")], -DAYS / 1000, 120);
    assert_eq!(s.iter().map(|s| s.at - START).collect::<Vec<_>>(), [30_000, 60_000, 90_000, 120_000]);
    w.db.append(&labels, s[1]);
    assert_eq!(w.one(&[("__name__", "a:sum")], 0, 120).len(), 4, "nothing is written twice or back in time");
}

#[tokio::test]
async fn a_real_prometheus_would_find_the_same_series() {
    use axum::body::to_bytes;
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt as _;
    let mut w = world(1);
    w.run(60);
    let router = super::router(w.store.clone(), w.machines.clone(), w.db.clone());
    let ask = |path: String| {
        let router = router.clone();
        async move {
            let request = Request::get(path).header("host", "127.0.0.1:9").body(axum::body::Body::empty()).unwrap();
            let answer = router.oneshot(request).await.unwrap();
            let status = answer.status();
            (status, String::from_utf8(to_bytes(answer.into_body(), 1 << 24).await.unwrap().to_vec()).unwrap())
        }
    };
    let groups: Vec<serde_json::Value> = serde_json::from_str(&ask("/sd".into()).await.1).unwrap();
    let (mut lines, mut types) = (0, 0);
    for group in &groups {
        assert_eq!(group["targets"][0], "127.0.0.1:9");
        let path = group["labels"]["__metrics_path__"].as_str().unwrap();
        let (status, page) = ask(path.into()).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        lines += page.lines().filter(|l| !l.starts_with('#')).count();
        types += page.lines().filter(|l| l.starts_with("# TYPE ")).count();
        let mut seen = std::collections::BTreeSet::new();
        assert!(page.lines().filter(|l| l.starts_with("# TYPE ")).all(|l| seen.insert(l.to_owned())), "{path}");
    }
    // Everything but up and its four companions comes from a page.
    let own = groups.len() * 4;
    assert_eq!(lines + own, w.db.select(&[], START, START + 60_000).len());
    assert!(types > 100, "{types}");
    assert_eq!(ask("/targets/none/metrics".into()).await.0, StatusCode::NOT_FOUND);
    assert!(ask("/prometheus.yml".into()).await.1.contains("http://127.0.0.1:9/sd"));
    w.machines.lock().nodes.get_mut("n1").unwrap().powered = false;
    assert_eq!(ask("/targets/node-exporter-n1/metrics".into()).await.0, StatusCode::SERVICE_UNAVAILABLE);
}
