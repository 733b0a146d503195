use super::*;
use crate::model::bounds::Bounds;
use crate::model::fixtures;
use crate::model::reading::Reading;

const STEP: i64 = 60;
const START: i64 = 1_700_000_000 / 3600 * 3600;

fn at(second: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(second, 0).unwrap()
}

fn load(second: i64) -> f64 {
    let hours = second as f64 / 3600.0;
    2.0 + (hours * std::f64::consts::TAU / 24.0).sin()
}

/// Deterministic noise of about a twentieth.
fn dust(second: i64) -> f64 {
    let x = (second as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (((x ^ (x >> 32)) >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * 0.1
}

/// A workload with ten days of hours until `START` and samples from a day before `START` until `minutes` after it. Of
/// late everything is a quarter above what it was: the mean day is too low.
fn world(minutes: i64, factor: f64) -> (Snapshot, Vec<Subject>) {
    let mut s = fixtures::snapshot(vec![fixtures::deployment("cart", vec![], vec![])]);
    let key = s.workloads[0].key.clone();
    let mut history: [Series; 7] = std::array::from_fn(|_| Series::new(STEP as u32, TimeDelta::hours(30)));
    let level = |t: i64| if t > START - 30 * 3600 { 1.25 } else { 1.0 };
    for i in -24 * 60..=minutes {
        let t = START + i * STEP;
        let extra = if t > START { factor } else { 1.0 };
        history[Signal::Cpu as usize].put(at(t), (load(t) * level(t) + dust(t)) * extra);
    }
    let metrics = WorkloadMetrics { now: std::array::from_fn(|_| Reading::Absent), history };
    s.metrics.workloads = Arc::new(HashMap::from([(key.clone(), Arc::new(metrics))]));
    s.metrics.step = STEP as u32;
    s.metrics.state = SourceState::Live { last: at(START + minutes * STEP) };
    let from = START - 10 * 86_400;
    // An hour's value is the mean of the hour before it.
    let mean = |h: i64| {
        let values = (1..=60).map(|m| from + (h - 1) * 3600 + m * 60).map(|t| load(t) * level(t));
        Some(values.sum::<f64>() / 60.0)
    };
    let hours = 10 * 24 + minutes / 60;
    let track = Arc::new(Track { from: at(from), values: (0..=hours).map(mean).collect() });
    let tracks = [((key.clone(), Signal::Cpu), track)].into();
    s.metrics.long = Arc::new(LongHistory { read: Some(at(START)), tracks, ..LongHistory::default() });
    let bounds = Bounds { cpu_limit: Some(3.6), ..Bounds::default() };
    (s, vec![Subject { key, bounds }])
}

fn made((s, subjects): &(Snapshot, Vec<Subject>)) -> All {
    predict(s, subjects, &AtomicBool::new(false)).unwrap()
}

#[test]
fn four_hours_are_told_at_the_step_of_the_samples_and_follow_the_present_level() {
    let all = made(&world(0, 1.0));
    assert_eq!(all.len(), 1, "what is not measured is not made up");
    let outlook = all.values().next().unwrap().outlook.as_ref().unwrap();
    assert_eq!((outlook.from, outlook.step.num_seconds(), outlook.steps.len()), (at(START + STEP), STEP, 240));
    for (i, e) in outlook.steps.iter().enumerate() {
        let truth = load(outlook.at(i).timestamp()) * 1.25;
        assert!((e.mean - truth).abs() < 0.25, "{i}: {} for {truth}", e.mean);
        assert!(e.band95.0 <= e.band80.0 && e.band80.0 <= e.mean && e.mean <= e.band80.1 && e.band80.1 <= e.band95.1);
    }
    assert!(outlook.backtest.unwrap().skill > 0.0 && !outlook.members.is_empty());
    let limit = 3.6;
    assert_eq!(outlook.crossing.is_some(), outlook.steps.iter().any(|e| e.band80.1 >= limit));
}

#[test]
fn many_series_make_the_step_longer_and_keep_the_memory() {
    let (mut s, subjects) = world(0, 1.0);
    let one = s.metrics.workloads.values().next().unwrap().clone();
    let name = |i: usize| {
        let mut key = subjects[0].key.clone();
        key.name = format!("cart-{i}").into();
        key
    };
    let many: Vec<Subject> = (0..3001).map(|i| Subject { key: name(i), bounds: Bounds::default() }).collect();
    s.metrics.workloads = Arc::new(many.iter().map(|m| (m.key.clone(), one.clone())).collect());
    s.metrics.long = Arc::default();
    let all = predict(&s, &many, &AtomicBool::new(false)).unwrap();
    assert_eq!(all.len(), 3001);
    let short = Err(Silence::Short { have: 0, need: 48 });
    assert!(all.values().all(|n| n.outlook == short), "without hours there is no time of day");
    let draft =
        ready(&subjects[0], Signal::Cpu, one.history(Signal::Cpu), 2 * STEP, at(START), &s.metrics.long).unwrap();
    let pair = [START - 2 * STEP, START - STEP].map(|t| load(t) * 1.25 + dust(t));
    let last = draft.fine[draft.fine.len() - 2];
    assert!((last - f64::midpoint(pair[0], pair[1])).abs() < 1e-5, "{last}: the mean of two samples");
}

#[test]
fn samples_that_stopped_and_samples_of_few_hours_say_so() {
    let (mut s, subjects) = world(0, 1.0);
    s.metrics.state = SourceState::Live { last: at(START + 600) };
    let all = made(&(s.clone(), subjects.clone()));
    assert_eq!(all.values().next().unwrap().outlook, Err(Silence::Stopped { last: at(START) }));
    let mut young: [Series; 7] = std::array::from_fn(|_| Series::new(STEP as u32, TimeDelta::hours(30)));
    (0..180).for_each(|i| young[0].put(at(START - i * STEP), 1.0));
    let metrics = WorkloadMetrics { now: std::array::from_fn(|_| Reading::Absent), history: young };
    s.metrics.state = SourceState::Live { last: at(START) };
    s.metrics.workloads = Arc::new(HashMap::from([(subjects[0].key.clone(), Arc::new(metrics))]));
    let all = made(&(s, subjects));
    assert_eq!(all.values().next().unwrap().outlook, Err(Silence::Young { have: 3, need: 11 }));
}

/// Quarter of an hour by quarter of an hour: what comes is settled, then the next forecast is entered.
fn lived(factor: f64, hours: i64) -> All {
    let mut ledger = NearLedger::default();
    let mut all = made(&world(0, 1.0));
    ledger.enter(&mut all);
    for hour in 1..=hours {
        let now = world(60 * hour, factor);
        ledger.settle(&now.0.metrics.workloads, at(START + 3600 * hour));
        all = made(&now);
        ledger.enter(&mut all);
    }
    all
}

#[test]
fn each_quarter_of_an_hour_counts_once_and_calm_days_keep_speaking() {
    let near = lived(1.0, 4).into_values().next().unwrap();
    // The mark of the last quarter is not over yet.
    assert_eq!(near.kept.values(), 15);
    assert!(near.kept.count95() >= 13 && near.outlook.is_ok(), "{near:?}");
}

#[test]
fn intervals_that_no_longer_hold_are_silenced() {
    let mut ledger = NearLedger::default();
    let mut all = made(&world(0, 1.0));
    ledger.enter(&mut all);
    for hour in 1..=24 {
        // Each hour doubles what there was: no forecast can know.
        let now = world(60 * hour, 2f64.powi(hour as i32));
        ledger.settle(&now.0.metrics.workloads, at(START + 3600 * hour));
        all = made(&now);
        ledger.enter(&mut all);
    }
    let near = all.into_values().next().unwrap();
    assert!(matches!(near.outlook, Err(Silence::Drifted { within95, values: 64 }) if within95 < 40), "{near:?}");
}
