//! Tests of the book: which answers become which readings.

use super::super::batch::FamilyBatch;
use super::super::fixtures::{sample, snapshot, start, workload};
use super::super::queries::tests::profile;
use super::*;
use crate::model::object::WorkloadKind;
use crate::monitor::prometheus::PromError;

const PODS: [&str; 5] = ["cart-a-1", "cart-a-2", "cart-a-3", "cart-a-4", "cart-a-5"];

fn index() -> PodIndex {
    PodIndex::new(&snapshot(vec![
        workload("shop", WorkloadKind::Deployment, "cart", &PODS),
        workload("shop", WorkloadKind::Deployment, "idle", &["idle-b-1"]),
    ]))
}

fn cart() -> WorkloadKey {
    WorkloadKey::new("shop", WorkloadKind::Deployment, "cart")
}

/// Each pod uses half a core and 40 MiB, and serves 2 requests a second of which `bad` fail.
fn batch(pods: &[&str], now: Timestamp, age: f64, bad: f64) -> Batch {
    let of = |extra: &str, value: f64| -> Outcome {
        Ok(pods.iter().map(|p| sample(&format!("namespace=shop,pod={p}{extra}"), value, now)).collect())
    };
    let sampled = || of("", now.timestamp() as f64 - age);
    let mut buckets = of(",le=0.1", 1.0).unwrap();
    buckets.extend(of(",le=1", 1.9).unwrap());
    buckets.extend(of(",le=+Inf", 2.0).unwrap());
    Batch {
        alive: Some(Ok(Vec::new())),
        cpu: Some(of("", 0.5)),
        memory: Some(of(",container=app", 40.0 * 1024.0 * 1024.0)),
        sampled: Some(sampled()),
        throttled: Some(of("", 0.25)),
        families: vec![FamilyBatch {
            total: of("", 2.0),
            bad: Some(if bad > 0.0 { of("", bad) } else { Ok(Vec::new()) }),
            buckets: Some(Ok(buckets)),
            sampled: sampled(),
            unit: 1.0,
        }],
        in_flight: None,
        node_memory: None,
        node_stolen: None,
    }
}

fn book() -> Book {
    Book::new(30, TimeDelta::hours(24))
}

fn reading(book: &Book, signal: Signal) -> Reading {
    book.workloads()[&cart()].now(signal).clone()
}

#[test]
fn a_full_answer_becomes_values_rings_and_pod_usage() {
    let (mut book, now) = (book(), start());
    book.absorb(&index(), &[], &profile(), &batch(&PODS, now, 10.0, 0.5), now);
    let at = now - TimeDelta::seconds(10);
    assert_eq!(reading(&book, Signal::Cpu), Reading::Value { value: 2.5, at });
    assert_eq!(reading(&book, Signal::RequestRate), Reading::Value { value: 10.0, at });
    assert_eq!(reading(&book, Signal::ErrorRate), Reading::Value { value: 0.25, at });
    assert_eq!(reading(&book, Signal::LatencyP50), Reading::Value { value: 0.1, at });
    assert_eq!(reading(&book, Signal::LatencyP99), Reading::Value { value: 1.0, at });
    assert!(book.saturated().contains(&cart()), "1 of 20 is beyond the last bound");
    assert_eq!(reading(&book, Signal::Connections), Reading::Absent);
    assert_eq!(book.workloads()[&cart()].history(Signal::Cpu).len(), 1);
    let usage = book.pods()[&PodKey { namespace: "shop".into(), name: PODS[0].into() }];
    assert_eq!((usage.cpu, usage.memory_share, usage.throttled, usage.at), (0.5, Some(0.4), Some(0.25), at));
    let idle = WorkloadKey::new("shop", WorkloadKind::Deployment, "idle");
    assert_eq!(*book.workloads()[&idle].now(Signal::Cpu), Reading::Absent, "no series is not zero");
    assert!(book.workloads()[&idle].history(Signal::Cpu).is_empty());
}

#[test]
fn no_failed_request_is_zero_and_no_request_is_no_error_rate() {
    let (mut book, now) = (book(), start());
    let mut b = batch(&PODS, now, 10.0, 0.0);
    book.absorb(&index(), &[], &profile(), &b, now);
    assert_eq!(reading(&book, Signal::ErrorRate).state(), "zero");
    b.families[0].total = Ok(PODS.iter().map(|p| sample(&format!("namespace=shop,pod={p}"), 0.0, now)).collect());
    b.families[0].buckets = Some(Ok(Vec::new()));
    book.absorb(&index(), &[], &profile(), &b, now);
    assert_eq!(reading(&book, Signal::RequestRate).state(), "zero");
    assert_eq!(reading(&book, Signal::ErrorRate), Reading::Absent);
    assert_eq!(reading(&book, Signal::LatencyP99), Reading::Absent);
}

#[test]
fn a_missing_fifth_is_a_value_and_more_shows_the_last_full_one() {
    let (mut book, now) = (book(), start());
    book.absorb(&index(), &[], &profile(), &batch(&PODS[..2], now, 0.0, 0.0), now);
    let Reading::Failed { why } = reading(&book, Signal::Cpu) else { panic!("a partial sum is no value") };
    assert!(why.contains("2 of 5 ready pods"), "{why}");
    book.absorb(&index(), &[], &profile(), &batch(&PODS, now, 0.0, 0.0), now);
    let full = reading(&book, Signal::Cpu);
    assert_eq!(full.fresh(), Some(2.5));
    let later = now + TimeDelta::seconds(30);
    book.absorb(&index(), &[], &profile(), &batch(&PODS[..3], later, 0.0, 0.0), later);
    for signal in [Signal::Cpu, Signal::Memory, Signal::RequestRate] {
        let now = reading(&book, signal);
        assert_eq!(now.state(), "stale", "{signal:?}");
        assert_eq!(now.fresh(), None);
    }
    assert_eq!(reading(&book, Signal::Cpu).last(), Some((2.5, now)), "the last full value with its age, not 1.5");
    assert_eq!(book.workloads()[&cart()].history(Signal::Cpu).len(), 1, "a partial sum is a gap in the ring");
    book.absorb(&index(), &[], &profile(), &batch(&PODS[..4], later, 0.0, 0.0), later);
    assert_eq!(reading(&book, Signal::Cpu).fresh(), Some(2.0));
}

#[test]
fn vanished_series_are_stale_for_ten_minutes_and_then_absent() {
    let (mut book, now) = (book(), start());
    book.absorb(&index(), &[], &profile(), &batch(&PODS, now, 0.0, 1.0), now);
    for (minutes, state) in [(1, "stale"), (9, "stale"), (11, "absent")] {
        let later = now + TimeDelta::minutes(minutes);
        book.absorb(&index(), &[], &profile(), &batch(&[], later, 0.0, 0.0), later);
        for signal in [Signal::Cpu, Signal::Memory, Signal::RequestRate, Signal::ErrorRate, Signal::LatencyP99] {
            assert_eq!(reading(&book, signal).state(), state, "{signal:?} after {minutes} min");
        }
    }
}

#[test]
fn old_samples_under_a_fresh_evaluation_are_stale() {
    let (mut book, now) = (book(), start());
    book.absorb(&index(), &[], &profile(), &batch(&PODS, now, 200.0, 1.0), now);
    assert_eq!(reading(&book, Signal::Memory).state(), "stale");
    assert_eq!(reading(&book, Signal::RequestRate).last().unwrap().1, now - TimeDelta::seconds(200));
    assert_eq!(reading(&book, Signal::ErrorRate).fresh(), None);
    assert!(book.workloads()[&cart()].history(Signal::Memory).is_empty());
}

#[test]
fn nan_of_one_pod_is_a_failure_that_says_so() {
    let (mut book, now) = (book(), start());
    let mut b = batch(&PODS, now, 0.0, 0.0);
    b.memory.as_mut().unwrap().as_mut().unwrap()[2] =
        sample("namespace=shop,pod=cart-a-3,container=app", f64::NAN, now);
    book.absorb(&index(), &[], &profile(), &b, now);
    let Reading::Failed { why } = reading(&book, Signal::Memory) else { panic!("NaN became a value") };
    assert!(why.contains("NaN"));
    assert_eq!(reading(&book, Signal::Cpu).state(), "value", "the other signals go on");
}

#[test]
fn a_failed_query_fails_its_signal_only() {
    let (mut book, now) = (book(), start());
    let e = || PromError::BadQuery { place: "p".into(), why: "too many samples".into(), query: "q".into() };
    let mut b = batch(&PODS, now, 0.0, 0.0);
    b.families[0].buckets = Some(Err(e()));
    b.cpu = Some(Err(e()));
    book.absorb(&index(), &[], &profile(), &b, now);
    for (signal, state) in [
        (Signal::Cpu, "failed"),
        (Signal::Memory, "value"),
        (Signal::RequestRate, "value"),
        (Signal::ErrorRate, "zero"),
        (Signal::LatencyP99, "failed"),
    ] {
        assert_eq!(reading(&book, signal).state(), state, "{signal:?}");
    }
    let mut b = batch(&PODS, now, 0.0, 0.0);
    b.sampled = Some(Err(e()));
    book.absorb(&index(), &[], &profile(), &b, now);
    assert_eq!(reading(&book, Signal::Cpu).state(), "failed", "of unknown age is not fresh");
}

#[test]
fn an_outage_turns_values_stale_by_age_and_keeps_the_rings() {
    let (mut book, now) = (book(), start());
    book.absorb(&index(), &[], &profile(), &batch(&PODS, now, 0.0, 1.0), now);
    let why: Arc<str> = "gone".into();
    book.lost(&why, TimeDelta::seconds(60), now + TimeDelta::seconds(30));
    assert_eq!(reading(&book, Signal::Cpu).state(), "value");
    assert_eq!(reading(&book, Signal::Connections).state(), "failed", "absence is not known any more");
    book.lost(&why, TimeDelta::seconds(60), now + TimeDelta::hours(3));
    assert_eq!(reading(&book, Signal::Cpu), Reading::Stale { value: 2.5, at: now });
    assert!(book.pods().is_empty());
    assert_eq!(book.workloads()[&cart()].history(Signal::Cpu).len(), 1);
    let back = now + TimeDelta::hours(4);
    book.absorb(&index(), &[], &profile(), &batch(&PODS, back, 0.0, 1.0), back);
    assert_eq!(reading(&book, Signal::Cpu).fresh(), Some(2.5));
    assert_eq!(book.workloads()[&cart()].history(Signal::Cpu).len(), 2, "and a gap in between");
}

#[test]
fn workloads_that_are_gone_are_dropped_after_a_day() {
    let (mut book, now) = (book(), start());
    book.absorb(&index(), &[], &profile(), &batch(&PODS, now, 0.0, 1.0), now);
    let (none, later) = (PodIndex::default(), now + TimeDelta::hours(2));
    book.absorb(&none, &[], &profile(), &batch(&[], later, 0.0, 0.0), later);
    assert_eq!(reading(&book, Signal::Cpu), Reading::Absent);
    assert_eq!(book.workloads()[&cart()].history(Signal::Cpu).len(), 1, "its past can still be seen");
    let tomorrow = now + TimeDelta::hours(25);
    book.absorb(&none, &[], &profile(), &batch(&[], tomorrow, 0.0, 0.0), tomorrow);
    assert!(book.workloads().is_empty());
}

#[test]
fn a_server_clock_that_differs_does_not_make_data_old() {
    let (mut book, now) = (book(), start());
    let server = now - TimeDelta::minutes(30);
    book.absorb(&index(), &[], &profile(), &batch(&PODS, server, 5.0, 1.0), now);
    assert_eq!(reading(&book, Signal::Cpu), Reading::Value { value: 2.5, at: now - TimeDelta::seconds(5) });
}

#[test]
fn a_mesh_names_workloads_and_the_first_family_that_knows_one_wins() {
    let (mut book, now, mut p) = (book(), start(), profile());
    let mut mesh = p.requests[0].clone();
    mesh.by = crate::monitor::prometheus::families::By::workloads("dns", "dw");
    p.requests.insert(0, mesh);
    let mut b = batch(&PODS, now, 0.0, 0.0);
    let one = |extra: &str, v: f64| Ok(vec![sample(&format!("dns=shop,dw=cart{extra}"), v, now)]);
    b.families.insert(
        0,
        FamilyBatch {
            total: one("", 7.0),
            bad: Some(one("", 0.7)),
            buckets: Some(Ok(Vec::new())),
            sampled: one("", now.timestamp() as f64),
            unit: 0.001,
        },
    );
    book.absorb(&index(), &[], &p, &b, now);
    assert_eq!(reading(&book, Signal::RequestRate).fresh(), Some(7.0));
    assert!((reading(&book, Signal::ErrorRate).fresh().unwrap() - 0.1).abs() < 1e-12);
}
