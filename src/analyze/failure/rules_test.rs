use super::super::scene::Scene;
use super::super::window::Window;
use super::super::window::tests::blank;
use super::*;
use crate::model::failure::{Call, Fact, Record, STEPS};

fn at() -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// A service that is well: 40 requests a second, no errors, 50 ms, half its memory and a fifth of its CPU.
fn well(name: &str) -> Record {
    let mut r = blank(name, STEPS);
    for (fact, value) in
        [(Fact::Desired, 3.0), (Fact::Ready, 3.0), (Fact::Restarts, 0.0), (Fact::Fullest, 0.5), (Fact::CpuLimit, 3.0)]
    {
        r.facts[fact as usize].fill(value);
    }
    for (signal, value) in [
        (Signal::Cpu, 0.6),
        (Signal::RequestRate, 40.0),
        (Signal::ErrorRate, 0.0),
        (Signal::LatencyP99, 0.05),
        (Signal::Connections, 2.0),
    ] {
        r.signals[signal as usize].fill(value);
    }
    r
}

/// What is seen of the first of these.
fn seen(records: &[Record], calls: &[(usize, usize, f64)]) -> Vec<Pattern> {
    let key = |i: usize| records[i].key.clone();
    let calls = calls
        .iter()
        .map(|(from, to, failed)| Call {
            caller: key(*from),
            callee: key(*to),
            rate: 40.0,
            failed: Some(*failed),
            took_ms: [None; 3],
        })
        .collect();
    let windows = records.iter().map(|r| (r.key.clone(), Window::of_record(r, STEPS - 1, 15)));
    let scene = Scene::new(windows, calls);
    patterns(&scene.sights[&key(0)], &scene.around(&key(0)), at())
}

/// A row that rises in a line over its last `steps`.
fn rise(row: &mut [f32], steps: usize, to: f32) {
    let from = row[0];
    for (i, v) in row[STEPS - steps..].iter_mut().enumerate() {
        *v = from + (to - from) * (i + 1) as f32 / steps as f32;
    }
}

fn kinds(found: &[Pattern]) -> Vec<(PatternKind, bool)> {
    found.iter().map(|p| (p.kind, p.alarm)).collect()
}

#[test]
fn who_calls_what_was_scaled_to_zero_is_told_before_it_feels_it() {
    let mut db = well("db");
    for fact in [Fact::Desired, Fact::Ready] {
        db.facts[fact as usize][STEPS - 1] = 0.0;
    }
    let told = seen(&[well("cart"), db], &[(0, 1, 0.0)]);
    assert_eq!(kinds(&told), [(PatternKind::DependencyFailure, true)]);
    assert!(told[0].evidence[0].says.contains("scaled to zero"), "{told:?}");
}

#[test]
fn what_is_well_or_not_measured_shows_no_pattern() {
    assert_eq!(seen(&[well("cart"), well("db")], &[(0, 1, 0.0)]), vec![]);
    assert_eq!(seen(&[blank("cart", STEPS)], &[]), vec![]);
}

#[test]
fn growth_is_a_leak_unless_growing_load_explains_it() {
    let mut leaks = well("cart");
    rise(&mut leaks.facts[Fact::Fullest as usize], 20, 0.8);
    let found = seen(&[leaks.clone()], &[]);
    assert_eq!(kinds(&found), [(PatternKind::MemoryLeak, true)]);
    let time = found[0].time_to_failure.unwrap();
    assert!((time.expected - 0.2 / 0.3 * 300.0).abs() < 5.0, "{time:?}");
    rise(&mut leaks.signals[Signal::RequestRate as usize], 20, 80.0);
    let found = seen(&[leaks], &[]);
    assert_eq!(kinds(&found), [(PatternKind::ResourceExhaustion, true)]);
    assert!(found[0].evidence[1].says.starts_with("they rise as well"));
}

#[test]
fn the_rise_and_fall_of_a_collector_is_no_alarm() {
    let mut collects = well("cart");
    for (i, v) in collects.facts[Fact::Fullest as usize].iter_mut().enumerate() {
        *v = 0.6 + 0.012 * (i % 10) as f32;
    }
    assert!(seen(&[collects], &[]).iter().all(|p| !p.alarm));
}

#[test]
fn cpu_at_its_limit_and_requests_that_pile_up_are_exhaustion() {
    let mut hungry = well("cart");
    rise(&mut hungry.signals[Signal::Cpu as usize], 20, 2.8);
    let found = seen(&[hungry], &[]);
    assert_eq!(kinds(&found), [(PatternKind::ResourceExhaustion, true)]);
    assert!(found[0].evidence.iter().any(|e| e.says.contains("throttled")));
    let mut piles = well("cart");
    rise(&mut piles.signals[Signal::Connections as usize], 15, 30.0);
    let found = seen(&[piles], &[]);
    assert_eq!(kinds(&found), [(PatternKind::ResourceExhaustion, true)]);
    assert!(found[0].evidence[0].says.starts_with("30 in flight"), "{:?}", found[0].evidence);
}

#[test]
fn cpu_that_rises_far_from_its_limit_is_seen_and_no_alarm() {
    let at = |to: f32| {
        let mut grows = well("cart");
        rise(&mut grows.signals[Signal::Cpu as usize], 20, to);
        seen(&[grows], &[])
    };
    let half = at(1.65);
    assert_eq!(kinds(&half), [(PatternKind::ResourceExhaustion, false)], "55 %, and full in six minutes");
    assert!(half[0].evidence[0].says.starts_with("55 % of its limit"), "{:?}", half[0].evidence);
    assert_eq!(kinds(&at(2.25)), [(PatternKind::ResourceExhaustion, true)], "75 %, and full in two");
}

#[test]
fn a_decline_is_told_with_its_end_and_blamed_on_what_is_called_if_that_declines_too() {
    let mut slow = well("cart");
    rise(&mut slow.signals[Signal::LatencyP99 as usize], 20, 0.6);
    let found = seen(&[slow.clone()], &[]);
    assert_eq!(kinds(&found), [(PatternKind::ResourceExhaustion, true)]);
    assert!(found[0].evidence[0].says.starts_with("0.60 s and rising; unhealthy in"));
    let mut db = slow.clone();
    db.key = well("db").key;
    let found = seen(&[slow, db], &[(0, 1, 0.0)]);
    assert_eq!(kinds(&found), [(PatternKind::DependencyFailure, true)]);
}

#[test]
fn a_failed_callee_warns_who_depends_on_it_and_a_chain_is_a_cascade() {
    let mut down = well("db");
    down.facts[Fact::Ready as usize].fill(0.0);
    let found = seen(&[well("cart"), down.clone()], &[(0, 1, 0.5)]);
    assert_eq!(kinds(&found), [(PatternKind::DependencyFailure, true)]);
    let little = seen(&[well("cart"), down.clone()], &[(0, 1, 0.01)]);
    assert_eq!(kinds(&little), [(PatternKind::DependencyFailure, false)], "it is seen, and hurts nobody");
    let mut between = well("cart");
    rise(&mut between.signals[Signal::LatencyP99 as usize], 20, 0.6);
    let chain = [well("frontend"), between, down];
    let found = seen(&chain, &[(0, 1, 0.0), (1, 2, 0.5)]);
    assert_eq!(kinds(&found), [(PatternKind::DependencyFailure, false), (PatternKind::CascadingFailure, true)]);
    assert!(found[1].evidence[0].says.contains("and calls shop/"), "{:?}", found[1].evidence);
}
