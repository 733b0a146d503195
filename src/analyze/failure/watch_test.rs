use super::*;
use crate::model::failure::{PatternKind, State};
use crate::model::fixtures::{ago, healthy, now, pod, snapshot, with_metrics, with_usage};
use crate::model::object::WorkloadKind;
use crate::model::series::Signal;

fn none() -> FailureWatch {
    FailureWatch::new(Err(NotTrained::Nothing { need: "nobody trained one".into() }))
}

/// `cart`, whose three pods may use 384 MiB together, with memory that grows by so many MiB a minute from 150 MiB, and its
/// fullest pod at this share of its limit.
fn leaking(mib_a_minute: f64, share: f32) -> Snapshot {
    let memory = move |before: i64| (250.0 - mib_a_minute * before as f64 / 60.0) * 1_048_576.0;
    let with = with_metrics(snapshot(vec![healthy("cart", 3)]), "cart", 3600, &[(Signal::Memory, &memory)]);
    let name = with.workloads[0].pods[0].name.clone();
    with_usage(with, &name, 1e8, share)
}

#[test]
fn a_leak_is_told_with_numbers_and_its_end_without_any_model() {
    let all = none().round(&leaking(4.0, 0.7), &[], now());
    let cart = all.iter().find(|o| &*o.key.name == "cart").unwrap();
    let leak = cart.patterns.iter().find(|p| p.kind == PatternKind::MemoryLeak).unwrap();
    assert!(leak.evidence[0].says.starts_with("70 % of its limit, rising 1.0"), "{}", leak.evidence[0].says);
    // 0.3 of the limit left at 4 MiB of 384 MiB a minute.
    let left = cart.time_to_failure.unwrap();
    assert!((left.expected - 0.3 * 384.0 / 4.0 * 60.0).abs() < 60.0, "{left:?}");
    assert!(left.earliest <= left.expected && left.expected <= left.latest);
    assert!(!cart.alarm(), "half an hour is left");
    assert!(none().round(&leaking(9.0, 0.8), &[], now())[0].alarm(), "now it is minutes");
    assert_eq!(cart.model.as_ref().unwrap_err().to_string(), "not trained: nobody trained one");
    assert!(
        cart.missing.iter().any(|m| m.contains("who calls whom")) && cart.missing.iter().any(|m| m.contains("CPU"))
    );
}

#[test]
fn restarts_count_from_the_first_round_on_and_make_it_unhealthy() {
    let mut watch = none();
    let before = leaking(0.0, 0.4);
    watch.round(&before, &[], now());
    let mut cart = (*before.workloads[0]).clone();
    let mut pods = cart.pods.to_vec();
    let mut first = (*pods[0]).clone();
    first.containers[0].restarts += 1;
    pods[0] = Arc::new(first);
    cart.pods = pods.into();
    let killed = Snapshot { workloads: Arc::from([Arc::new(cart)]), ..before.clone() };
    let later = now() + TimeDelta::seconds(40);
    assert_eq!(watch.round(&killed, &[], later)[0].now, Some(State::Unhealthy));
    let fresh = none().round(&killed, &[], later);
    assert_eq!(fresh[0].now, Some(State::Healthy), "what was before anybody looked is not news");
}

#[test]
fn a_caller_is_warned_of_what_it_calls() {
    let mut db = pod("db-1", "db-rs", "db:1");
    db.ready = false;
    let mut store = healthy("db", 1);
    store.pods = Arc::from([Arc::new(db)]);
    let both = snapshot(vec![healthy("cart", 3), store]);
    let calm = |_: i64| 20.0;
    let failing = |_: i64| 0.0;
    let signals: [(Signal, &dyn Fn(i64) -> f64); 2] = [(Signal::RequestRate, &calm), (Signal::ErrorRate, &failing)];
    let both = with_metrics(with_metrics(both, "cart", 3600, &signals), "db", 3600, &signals);
    let key = |name: &str| WorkloadKey::new("shop", WorkloadKind::Deployment, name);
    let call = Call { caller: key("cart"), callee: key("db"), rate: 20.0, failed: Some(0.6), took_ms: [None; 3] };
    let mut watch = none();
    watch.round(&both, std::slice::from_ref(&call), ago(30));
    let all = watch.round(&both, &[call], now());
    let cart = all.iter().find(|o| &*o.key.name == "cart").unwrap();
    assert!(cart.alarm() && cart.patterns[0].kind == PatternKind::DependencyFailure, "{cart:?}");
    assert!(cart.patterns[0].evidence[0].says.contains("60 % of the calls fail"));
    assert!(!all.iter().find(|o| &*o.key.name == "db").unwrap().alarm(), "it is down already");
    let alone = watch.round(&both, &[], now());
    assert!(alone.iter().all(|o| o.patterns.is_empty()), "nobody measures calls: nothing is made up");
}

#[test]
fn nothing_measured_gaps_and_a_strange_step_say_nothing() {
    assert_eq!(none().round(&snapshot(vec![healthy("cart", 3)]), &[], now()), vec![]);
    let broken = |_: i64| f64::NAN;
    let with = with_metrics(snapshot(vec![healthy("cart", 3)]), "cart", 3600, &[(Signal::Memory, &broken)]);
    assert_eq!(none().round(&with, &[], now()), vec![]);
    let mut young = leaking(9.0, 0.9);
    young.metrics.step = 60;
    let all = none().round(&young, &[], now());
    assert!(all.iter().all(|o| o.patterns.is_empty()), "samples of another step are not read as this one");
}
