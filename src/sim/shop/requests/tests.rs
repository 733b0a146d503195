//! Requests that are drawn agree with the flows they are drawn from.

use super::*;
use crate::sim::machine::BUCKETS;
use crate::sim::shop::tests::Bench;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use std::collections::{BTreeMap, HashMap, HashSet};

fn open(bench: &Bench, per_second: f64) -> mpsc::Receiver<Batch> {
    let (to, from) = mpsc::channel(1000);
    bench.tap.open(to, per_second);
    from
}

/// All spans, with the service that made them.
fn spans(from: &mut mpsc::Receiver<Batch>) -> Vec<(String, Span)> {
    let mut all = Vec::new();
    while let Ok(batch) = from.try_recv() {
        for part in batch {
            let name = part.resource.iter().flat_map(|r| &r.attributes).find(|a| a.key == "service.name");
            let Some(Value::StringValue(name)) = name.and_then(|a| a.value.clone()).and_then(|v| v.value) else {
                panic!()
            };
            all.extend(part.scope_spans.into_iter().flat_map(|s| s.spans).map(|s| (name.clone(), s)));
        }
    }
    all
}

fn serves(span: &Span) -> bool {
    [SpanKind::Server as i32, SpanKind::Consumer as i32].contains(&span.kind)
}

/// Requests and how many of them were within each of the buckets, by service, as the processes count them.
fn counted(bench: &Bench) -> BTreeMap<String, (f64, [f64; BUCKETS.len()])> {
    let mut all: BTreeMap<String, (f64, [f64; BUCKETS.len()])> = BTreeMap::new();
    for p in bench.shared.lock().processes.values() {
        let sum = all.entry(p.workload.1.clone()).or_insert((0.0, [0.0; BUCKETS.len()]));
        for r in &p.usage.requests {
            sum.0 += r.count;
            sum.1.iter_mut().zip(r.buckets).for_each(|(s, b)| *s += b);
        }
    }
    all
}

#[test]
fn rates_and_durations_are_those_of_the_histograms() {
    let mut bench = Bench::new(5);
    bench.run(120);
    let mut from = open(&bench, f64::INFINITY);
    let before = counted(&bench);
    bench.run(60);
    let after = counted(&bench);
    let mut told: HashMap<String, Vec<f64>> = HashMap::new();
    for (service, span) in spans(&mut from).into_iter().filter(|(_, s)| serves(s)) {
        let took = (span.end_time_unix_nano - span.start_time_unix_nano) as f64 / 1e9;
        told.entry(service).or_default().push(took);
    }
    for name in [
        "frontend",
        "cart",
        "checkout",
        "payment",
        "search",
        "inventory",
        "recommendations",
        "shipping",
        "order-worker",
    ] {
        let (told, n) = (&told[name], after[name].0 - before[name].0);
        // Which calls a request makes is drawn: four deviations, and what is still under way at both ends.
        let off = (told.len() as f64 - n).abs();
        assert!(off < 4.0 * n.sqrt() + 0.01 * n, "{name}: {} of {n}", told.len());
        for (i, bound) in BUCKETS.iter().enumerate() {
            let counted = ((after[name].1[i] - before[name].1[i]) / n).clamp(0.0, 1.0);
            let drawn = told.iter().filter(|t| *t <= bound).count() as f64 / told.len() as f64;
            let deviation = (counted * (1.0 - counted) / told.len() as f64).sqrt();
            assert!((drawn - counted).abs() < 4.0 * deviation + 0.05, "{name} within {bound} s: {drawn} {counted}");
        }
    }
}

#[test]
fn a_request_is_one_tree_whose_parents_cover_what_they_waited_for_and_whose_pods_run() {
    let mut bench = Bench::new(6);
    bench.run(60);
    let mut from = open(&bench, 40.0);
    bench.run(20);
    let all = spans(&mut from);
    let by_id: HashMap<&[u8], &(String, Span)> = all.iter().map(|s| (&*s.1.span_id, s)).collect();
    assert_eq!(by_id.len(), all.len(), "ids are unique");
    let traces: HashSet<&[u8]> = all.iter().map(|(_, s)| &*s.trace_id).collect();
    assert!((750..=800).contains(&traces.len()), "40 a second, whatever came: {}", traces.len());
    let mut crossed = HashSet::new();
    for (service, span) in &all {
        if span.parent_span_id.is_empty() {
            assert!(service == "frontend" || service == "crm", "{service}");
            continue;
        }
        let (caller, parent) = by_id[&*span.parent_span_id];
        crossed.insert(format!("{caller}>{service}"));
        assert_eq!(parent.trace_id, span.trace_id);
        assert!(span.start_time_unix_nano >= parent.start_time_unix_nano);
        if span.kind != SpanKind::Consumer as i32 {
            assert!(
                span.end_time_unix_nano <= parent.end_time_unix_nano,
                "{caller} did not wait for {service} {span:?}"
            );
        }
    }
    for edge in
        ["frontend>checkout", "checkout>payment", "checkout>order-worker", "order-worker>shipping", "crm>billing"]
    {
        assert!(crossed.contains(edge), "{edge} is not in {crossed:?}");
    }
}

#[test]
fn the_same_seed_draws_the_same_requests_and_who_does_not_listen_disturbs_nothing() {
    let run = |listen: bool| {
        let mut bench = Bench::new(7);
        let mut from = if listen {
            open(&bench, 20.0)
        } else {
            // Full after the first second, and closed after some.
            let (to, from) = mpsc::channel(1);
            bench.tap.open(to, 20.0);
            from
        };
        bench.run(20);
        if !listen {
            drop(from);
            bench.run(20);
            return (Vec::new(), counted(&bench));
        }
        let told = spans(&mut from);
        bench.run(20);
        (told, counted(&bench))
    };
    let (first, again, deaf) = (run(true), run(true), run(false));
    assert!(!first.0.is_empty());
    assert_eq!(first, again);
    assert_eq!(first.1, deaf.1);
}

#[test]
fn a_dependency_that_fails_is_where_the_failures_begin() {
    let mut bench = Bench::new(8);
    bench.run(60);
    bench.shared.lock().outside.failing.insert("shop/payment".into(), 0.6);
    bench.run(10);
    let mut from = open(&bench, f64::INFINITY);
    bench.run(30);
    let all = spans(&mut from);
    let failed = |s: &Span| s.status.as_ref().is_some_and(|s| s.code == 2);
    let with_failed: HashSet<&[u8]> = all.iter().filter(|(_, s)| failed(s)).map(|(_, s)| &*s.parent_span_id).collect();
    let mut origins: BTreeMap<&str, usize> = BTreeMap::new();
    for (service, span) in all.iter().filter(|(_, s)| failed(s) && !with_failed.contains(&*s.span_id)) {
        *origins.entry(service).or_default() += usize::from(span.end_time_unix_nano > 0);
    }
    let payments = origins["payment"];
    assert!(payments > 50 && payments * 10 > origins.values().sum::<usize>() * 9, "{origins:?}");
    // Two tries again mend some: of three tries at 0.6 a fifth fails, as far as the budget of tries allows.
    let of = |name: &str| {
        let mine: Vec<&Span> = all.iter().filter(|(n, s)| n == name && serves(s)).map(|(_, s)| s).collect();
        mine.iter().filter(|s| failed(s)).count() as f64 / mine.len() as f64
    };
    assert!((of("payment") - 0.6).abs() < 0.1, "{}", of("payment"));
    let flow = bench.flow("checkout").fails;
    assert!((of("checkout") - flow).abs() < 0.1, "{} {flow}", of("checkout"));
}
