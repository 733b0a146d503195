//! What traces mean, on traces made for it.

use super::Window;
use crate::config::settings::{Indicator, Slo};
use crate::model::fixtures;
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::reading::Reading;
use crate::model::series::{Series, Signal};
use crate::model::service::{MapSource, TraceInsight};
use crate::model::snapshot::{Snapshot, WorkloadMetrics};
use crate::model::time::Timestamp;
use crate::model::trace::{Origin, Span, SpanKind, Trace};
use chrono::TimeDelta;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

const MS: i64 = 1_000_000;

fn now() -> Timestamp {
    fixtures::now()
}

/// A span of namespace `shop` that began so many milliseconds before now.
fn span(service: &str, id: &str, parent: &str, kind: SpanKind, ago: i64, took: i64) -> Span {
    Span {
        id: id.into(),
        parent: (!parent.is_empty()).then(|| parent.into()),
        detached: kind == SpanKind::Consumer,
        service: service.into(),
        operation: format!("{kind:?}").to_lowercase().into(),
        kind,
        start: now().timestamp_nanos_opt().unwrap() - ago * MS,
        duration: took * MS,
        origin: Arc::new(Origin { namespace: Some("shop".into()), ..Origin::default() }),
        ..Span::default()
    }
}

fn failed(mut span: Span, message: &str) -> Span {
    (span.error, span.message) = (true, (!message.is_empty()).then(|| message.into()));
    span
}

fn with(mut span: Span, key: &str, value: &str) -> Span {
    span.attributes = Arc::from([(key.into(), value.into())]);
    span
}

fn trace(id: &str, spans: Vec<Span>) -> Trace {
    Trace { id: id.into(), spans, negative: 0 }
}

use SpanKind::{Client, Consumer, Internal, Producer, Server};

/// web → cart → db; the database tells of itself only through its client.
fn request(id: &str, bad: bool, slow: i64) -> Trace {
    let all = vec![
        span("web", "a", "", Server, 1000, 100 + slow),
        span("web", "b", "a", Client, 990, 80 + slow),
        span("cart", "c", "b", Server, 985, 70 + slow),
        with(span("cart", "d", "c", Client, 980, 50 + slow), "server.address", "db.shop.svc.cluster.local"),
    ];
    let all = if bad { all.into_iter().map(|s| failed(s, "out of connections")).collect() } else { all };
    trace(id, all)
}

fn snapshot() -> Snapshot {
    fixtures::snapshot(["web", "cart", "db"].map(|n| fixtures::deployment(n, vec![], vec![])).into())
}

fn seen(slos: &[Slo], traces: &[Trace]) -> TraceInsight {
    let mut window = Window::new(slos);
    for t in traces {
        window.take(t, now());
    }
    window.insight(&snapshot(), now(), 0)
}

fn edges(insight: &TraceInsight) -> Vec<String> {
    let name = |i: usize| insight.map.nodes[i].name.clone();
    let edge = |e: &crate::model::service::ServiceEdge| {
        format!("{}{}{}", name(e.from), if e.detached { "~>" } else { "->" }, name(e.to))
    };
    insight.map.edges.iter().map(edge).collect()
}

#[test]
fn calls_join_client_and_server_and_reach_those_who_make_no_spans() {
    let traces: Vec<Trace> = (0..10).map(|i| request(&format!("t{i}"), i == 0, 0)).collect();
    let insight = seen(&[], &traces);
    assert_eq!(edges(&insight), ["cart->db", "web->cart"]);
    assert_eq!(insight.map.sources, [MapSource::Spans]);
    let db = insight.map.nodes.iter().find(|n| &*n.name == "db").unwrap();
    assert_eq!(db.workload, Some(WorkloadKey::new("shop", WorkloadKind::Deployment, "db")));
    assert_eq!(db.red.failed, Some(0.1));
    // The client waited 80 ms, however fast the server says it was.
    let called = &insight.map.edges[1].red;
    assert!((called.p50_ms.unwrap() - 80.0).abs() <= 0.8, "{called:?}");
}

#[test]
fn a_queue_is_an_edge_that_nobody_waits_for() {
    let message = trace(
        "m",
        vec![
            span("shop", "a", "", Server, 900, 50),
            with(span("shop", "b", "a", Producer, 890, 5), "server.address", "queue"),
            span("worker", "c", "b", Consumer, 700, 300),
        ],
    );
    let insight = seen(&[], &[message]);
    assert_eq!(edges(&insight), ["shop->queue", "shop~>worker"]);
    assert!(insight.operations.iter().all(|o| &*o.service != "worker"), "nobody waited for it");
    assert!(insight.weakest.iter().all(|w| &*w.to != "worker"));
}

#[test]
fn metrics_that_count_every_request_go_before_spans_of_some() {
    let mut snapshot = snapshot();
    let key = |name: &str| WorkloadKey::new("shop", WorkloadKind::Deployment, name);
    snapshot.metrics.calls = Arc::from([crate::model::failure::Call {
        caller: key("web"),
        callee: key("cart"),
        rate: 200.0,
        failed: Some(0.02),
        took_ms: [Some(9.0), Some(20.0), None],
    }]);
    let history: [Series; 7] = std::array::from_fn(|_| Series::new(30, TimeDelta::hours(1)));
    let mut readings: [Reading; 7] = std::array::from_fn(|_| Reading::Absent);
    readings[Signal::RequestRate as usize] = Reading::Value { value: 250.0, at: now() };
    let web = Arc::new(WorkloadMetrics { now: readings, history });
    snapshot.metrics.workloads = Arc::new(HashMap::from([(key("web"), web)]));
    let mut window = Window::new(&[]);
    window.take(&request("t", false, 0), now());
    let insight = window.insight(&snapshot, now(), 3);
    let edge = insight.map.edges.iter().find(|e| &*insight.map.nodes[e.from].name == "web").unwrap();
    assert_eq!((edge.red.rate, edge.red.failed), (Some(200.0), Some(0.02)));
    assert!(edge.red.p99_ms.is_some(), "spans still tell how long");
    let web = insight.map.nodes.iter().find(|n| &*n.name == "web").unwrap();
    assert_eq!(web.red.rate, Some(250.0));
    assert_eq!(insight.map.sources, [MapSource::ServiceGraph, MapSource::Requests, MapSource::Spans]);
    assert_eq!((insight.traces, insight.missed), (1, 3));
    // Without spans the map is what metrics tell.
    let bare = Window::new(&[]).insight(&snapshot, now(), 0);
    assert_eq!(
        (edges(&bare), bare.map.sources.clone()),
        (vec!["web->cart".to_owned()], vec![MapSource::ServiceGraph, MapSource::Requests])
    );
}

#[test]
fn an_operation_s_own_time_adds_up_and_says_what_halving_it_would_save() {
    let insight = seen(&[], &[request("t", false, 0)]);
    let all: Vec<(&str, i64)> =
        insight.operations.iter().map(|o| (&*o.service, (o.own_ms * o.traces as f64).round() as i64)).collect();
    assert_eq!(all.iter().map(|o| o.1).sum::<i64>(), 100);
    assert_eq!(all[0], ("cart", 50));
    assert!((insight.operations[0].share - 0.5).abs() < 1e-9);
    assert!((insight.operations[0].saving_ms - 25.0).abs() < 1e-9);
}

#[test]
fn a_failure_is_followed_from_the_one_called_to_as_far_as_it_went() {
    let insight = seen(&[], &[request("x", true, 0), request("y", true, 0), request("z", false, 0)]);
    assert_eq!(insight.cascades.len(), 1);
    let c = &insight.cascades[0];
    assert_eq!((&*c.origin, c.traces, &*c.example), ("[db] client", 2, "y"));
    assert_eq!(c.path.iter().map(|s| &**s).collect::<Vec<_>>(), ["db", "cart", "web"]);
    assert_eq!(c.message.as_deref(), Some("out of connections"));
    // A second try that went well ends it: the caller did not fail.
    let mended = trace(
        "r",
        vec![
            span("web", "a", "", Server, 1000, 100),
            failed(span("web", "b", "a", Client, 990, 20), ""),
            failed(span("cart", "c", "b", Server, 988, 15), "boom"),
            span("web", "d", "a", Client, 960, 20),
            span("cart", "e", "d", Server, 958, 15),
        ],
    );
    let insight = seen(&[], &[mended]);
    assert_eq!(insight.cascades[0].path.iter().map(|s| &**s).collect::<Vec<_>>(), ["cart", "web"]);
    assert_eq!(insight.weakest[0].carried, Some(0.0), "it failed, and the whole did not");
}

#[test]
fn who_is_still_at_work_when_the_caller_gives_up_is_the_origin() {
    let late = trace(
        "l",
        vec![
            failed(span("web", "a", "", Server, 1000, 100), ""),
            failed(span("web", "b", "a", Client, 990, 80), "deadline exceeded"),
            span("cart", "c", "b", Server, 985, 600),
        ],
    );
    let insight = seen(&[], &[late]);
    assert_eq!(&*insight.cascades[0].origin, "[cart] server");
    assert_eq!(insight.cascades[0].path.iter().map(|s| &**s).collect::<Vec<_>>(), ["cart", "web"]);
}

#[test]
fn a_broken_objective_names_the_operation_that_takes_the_time_or_makes_the_errors() {
    let slo = |name: &str, indicator| Slo {
        name: name.into(),
        workload: "shop/Deployment/web".into(),
        indicator,
        objective: 0.9,
        days: 30,
    };
    let slos = [slo("fast", Indicator::LatencyAbove(0.3)), slo("answers", Indicator::Errors)];
    let fine: Vec<Trace> = (0..20).map(|i| request(&format!("t{i}"), false, 0)).collect();
    assert!(seen(&slos, &fine).breaches.is_empty());
    let mut bad = fine;
    bad.extend((0..5).map(|i| request(&format!("slow{i}"), false, 500)));
    bad.extend((0..5).map(|i| request(&format!("bad{i}"), true, 0)));
    let breaches = seen(&slos, &bad).breaches;
    assert_eq!(breaches.len(), 2);
    assert_eq!(
        (&*breaches[0].operation, breaches[0].broken, &*breaches[0].example),
        ("[cart] client", (5, 30), "slow4")
    );
    assert_eq!((&*breaches[1].operation, breaches[1].broken, breaches[1].share), ("[db] client", (5, 30), 1.0));
}

#[test]
fn the_weakest_edge_comes_with_an_experiment_that_ends_by_itself() {
    let mut traces: Vec<Trace> = (0..8).map(|i| request(&format!("t{i}"), i == 0, 0)).collect();
    traces.extend((0..8).map(|i| trace(&format!("u{i}"), vec![span("web", "a", "", Server, 1000, 10)])));
    let insight = seen(&[], &traces);
    let w = &insight.weakest[0];
    assert_eq!((w.share, w.carried), (0.5, Some(1.0)));
    let yaml: serde_json::Value = serde_saphyr::from_str(&w.experiment).unwrap();
    assert_eq!(yaml["kind"], "NetworkChaos");
    assert_eq!(yaml["spec"]["duration"], "60s");
    assert_eq!(yaml["spec"]["selector"]["namespaces"][0], "shop");
}

#[test]
fn what_is_older_than_the_window_is_forgotten_and_the_future_is_now() {
    let mut window = Window::new(&[]);
    window.take(&request("old", false, 0), now() + TimeDelta::hours(1));
    window.take(&request("early", false, 0), now() - TimeDelta::days(1));
    assert_eq!(window.insight(&snapshot(), now(), 0).traces, 0, "an hour old; and a piece of yesterday");
    window.take(&request("t", false, 0), now());
    assert_eq!(window.insight(&snapshot(), now(), 0).traces, 1);
    assert_eq!(window.insight(&snapshot(), now() + TimeDelta::hours(1), 0).traces, 0);
}

#[test]
fn a_hundred_thousand_spans_in_a_chain_of_failures_are_looked_at_in_a_moment() {
    // A comb: every tooth fails by itself, at every depth.
    let mut spans = vec![failed(span("s0", "0", "", Server, 100_000, 100_000), "")];
    for i in 1..50_000 {
        let (id, parent) = (i.to_string(), (i - 1).to_string());
        spans.push(failed(span(&format!("s{}", i % 40), &id, &parent, Server, 100_000, 100_000), ""));
        spans.push(failed(span("tooth", &format!("t{i}"), &id, Internal, 90_000, 10), ""));
    }
    let began = std::time::Instant::now();
    let insight = seen(&[], &[trace("comb", spans)]);
    assert!(insight.cascades.iter().all(|c| c.path.len() <= 33));
    // Anything that grows with the square of it takes minutes.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

proptest! {
    #[test]
    fn whatever_comes_no_share_leaves_its_range(
        rows in prop::collection::vec((0..12_usize, 0..14_usize, 0..5_usize, 0..4_usize, any::<i64>(), 0..i64::MAX, any::<bool>()), 0..30)
    ) {
        let kinds = [Internal, Server, Client, Producer, Consumer];
        let spans = rows.iter().map(|&(id, parent, kind, service, start, duration, error)| {
            let parent = if parent == 13 { String::new() } else { parent.to_string() };
            let mut s = span(&format!("s{service}"), &id.to_string(), &parent, kinds[kind], 10, 5);
            (s.start, s.duration, s.error) = (start.max(now().timestamp_nanos_opt().unwrap() - 1000), duration, error);
            with(s, "peer.service", "p")
        });
        let slo = Slo {
            name: "s".into(), workload: "shop/Deployment/s1".into(), indicator: Indicator::LatencyAbove(0.1),
            objective: 0.5, days: 30,
        };
        let insight = seen(&[slo], &[trace("t", spans.collect())]);
        let share = |s: f64| (0.0..=1.0 + 1e-9).contains(&s);
        prop_assert!(insight.operations.iter().all(|o| share(o.share) && o.own_ms >= 0.0));
        prop_assert!(insight.weakest.iter().all(|w| share(w.share) && w.carried.is_none_or(share)));
        prop_assert!(insight.breaches.iter().all(|b| share(b.share) && b.broken.0 <= b.broken.1));
        let failed = |r: &crate::model::service::Red| r.failed.is_none_or(share);
        prop_assert!(insight.map.nodes.iter().all(|n| failed(&n.red)));
        prop_assert!(insight.map.edges.iter().all(|e| failed(&e.red) && e.from < insight.map.nodes.len()));
    }
}
