//! What the watch promises, on made-up workloads: few false anomalies, every class found, and adaptation.

use super::Watch;
use super::watched::Watched;
use crate::model::anomaly::{Anomaly, Class, End};
use crate::model::fixtures;
use crate::model::object::WorkloadKey;
use crate::model::reading::Reading;
use crate::model::series::{Series, Signal};
use crate::model::snapshot::{Snapshot, WorkloadMetrics};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::HashMap;
use std::sync::Arc;

const STEP: i64 = 60;
const DAY: i64 = 86_400;

/// SplitMix64 in 0..1 and normal, by place and stream: the same for whoever asks.
fn unit(place: i64, stream: u64) -> f64 {
    let mut x = (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((x ^ (x >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

fn normal(place: i64, stream: u64) -> f64 {
    (-2.0 * unit(place, stream).ln()).sqrt() * (std::f64::consts::TAU * unit(place, stream + 50)).cos()
}

/// A service on a day like any other: load that follows the day, everything else that follows the load, with noise. `t` in
/// seconds since it was first measured.
fn usual(t: i64, seed: u64) -> [Option<f64>; 7] {
    let place = t / STEP;
    let n = |signal: u64| normal(place, seed * 100 + signal);
    let day = (t as f64 / DAY as f64 * std::f64::consts::TAU).sin();
    let rate = 100.0 * (1.0 + 0.5 * day) * (1.0 + 0.05 * n(2));
    let bad = (0.002 * (1.0 + n(3).abs())).min(1.0);
    [
        Some(rate * 0.01 * (1.0 + 0.05 * n(0))),
        Some(4e8 * (1.0 + 0.1 * day + 0.01 * n(1))),
        Some(rate),
        Some(bad),
        Some(0.02 * (0.1 * n(4)).exp()),
        Some(0.2 * (0.15 * n(5)).exp()),
        Some(rate * 0.02 * (1.0 + 0.1 * n(6))),
    ]
}

fn start() -> Timestamp {
    chrono::DateTime::from_timestamp(1_790_035_200, 0).unwrap()
}

fn at(t: i64) -> Timestamp {
    start() + TimeDelta::seconds(t)
}

fn metrics(seconds: std::ops::Range<i64>, make: &dyn Fn(i64) -> [Option<f64>; 7]) -> Arc<WorkloadMetrics> {
    let mut history: [Series; 7] = std::array::from_fn(|_| Series::new(STEP as u32, TimeDelta::days(40)));
    for t in seconds.step_by(STEP as usize) {
        for (series, value) in history.iter_mut().zip(make(t)) {
            if let Some(v) = value {
                series.put(at(t), v);
            }
        }
    }
    Arc::new(WorkloadMetrics { now: std::array::from_fn(|_| Reading::Absent), history })
}

fn key() -> WorkloadKey {
    fixtures::deployment("cart", vec![], vec![]).key
}

/// A workload that was watched for so many seconds.
fn watched(seconds: i64, make: impl Fn(i64) -> [Option<f64>; 7]) -> Watched {
    let mut w = Watched::default();
    w.learn(&key(), &metrics(0..seconds, &make), usize::MAX);
    w
}

fn anomalies(w: &Watched) -> Vec<Anomaly> {
    w.anomalies().map(|i| (**i).clone()).collect()
}

/// The one anomaly of a day and more in which something happens at noon of the second day.
fn only(hours: i64, make: impl Fn(i64) -> [Option<f64>; 7]) -> Anomaly {
    let mut found = anomalies(&watched(DAY + hours * 3600, make));
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn with(t: i64, seed: u64, change: impl Fn(&mut [Option<f64>; 7])) -> [Option<f64>; 7] {
    let mut row = usual(t, seed);
    change(&mut row);
    row
}

fn times(row: &mut [Option<f64>; 7], signal: Signal, factor: f64) {
    row[signal as usize] = row[signal as usize].map(|v| v * factor);
}

#[test]
fn weeks_without_trouble_have_less_than_one_false_incident_in_twenty_series_weeks() {
    // six workloads of seven signals over half a week each: 21 series-weeks
    let false_ones: Vec<Anomaly> =
        (1..=6).flat_map(|seed| anomalies(&watched(DAY * 7 / 2, move |t| usual(t, seed)))).collect();
    assert!(false_ones.len() <= 1, "{false_ones:#?}");
}

#[test]
fn five_times_the_traffic_is_one_spike_with_all_that_follows_from_it() {
    let spike = DAY + 1800..DAY + 2700;
    let i = only(2, |t| {
        with(t, 1, |row| {
            if spike.contains(&t) {
                for (signal, factor) in [(Signal::RequestRate, 5.0), (Signal::Cpu, 5.0), (Signal::LatencyP99, 6.0)] {
                    times(row, signal, factor);
                }
                row[Signal::ErrorRate as usize] = Some(0.2);
            }
        })
    });
    assert_eq!((i.class, i.since), (Class::TrafficSpike, at(spike.start)), "{i:#?}");
    let (end, why) = i.ended.unwrap();
    assert!(why == End::Calm && end - at(spike.end) <= TimeDelta::minutes(5), "{i:#?}");
    let first = &i.evidence[0];
    assert!(
        first.signal == Signal::RequestRate && (4.0..6.5).contains(&(first.observed / first.expected)),
        "{first:?}"
    );
    assert!(first.tail < 1e-5 && first.distance > 10.0, "{first:?}");
    for signal in [Signal::Cpu, Signal::ErrorRate, Signal::LatencyP99] {
        assert!(i.evidence.iter().any(|m| m.signal == signal), "{signal:?}: {i:#?}");
    }
    assert!(i.severity > 0.4 && i.score > 0.999);
    assert!(i.title.contains("shop/cart: traffic") && i.remedy.contains("Nothing acts"), "{i:#?}");
}

#[test]
fn errors_after_a_rollout_name_it_and_end_with_it() {
    let bad = DAY + 3600..DAY + 3600 + 1200;
    let make = |t| {
        with(t, 2, |row| {
            if bad.contains(&t) {
                row[Signal::ErrorRate as usize] = Some(0.33 + 0.02 * normal(t / STEP, 9));
            }
        })
    };
    let mut w = Watched::default();
    let mut workload = fixtures::deployment("cart", vec![], vec![]);
    let mut revision = fixtures::revision(7, "cart-7", "cart:7", 2, 2, 0);
    revision.created = at(0);
    workload.revisions = Arc::from([revision.clone()]);
    w.look(&workload, at(DAY));
    w.learn(&key(), &metrics(0..DAY, &make), usize::MAX);
    (revision.number, revision.created) = (8, at(bad.start - 30));
    workload.revisions = Arc::from([revision]);
    w.look(&workload, at(bad.start - 20));
    w.learn(&key(), &metrics(0..bad.start + 300, &make), usize::MAX);
    let i = anomalies(&w).remove(0);
    assert_eq!((i.class, i.since, i.ended), (Class::HighErrorRate, at(bad.start), None), "{i:#?}");
    assert_eq!(&*i.suspect().unwrap().what, "revision 8 was rolled out");
    assert!(i.title.contains("of requests fail") && i.title.contains("revision 8 was rolled out"), "{}", i.title);
    w.learn(&key(), &metrics(0..bad.end + 1200, &make), usize::MAX);
    let all = anomalies(&w);
    assert!(all.len() == 1 && all[0].ended.unwrap().1 == End::Calm && all[0].id == i.id, "{all:#?}");
}

#[test]
fn memory_that_climbs_is_a_leak_even_with_kills_in_between_and_memory_that_follows_traffic_is_not() {
    let leak = |t: i64| {
        with(t, 3, |row| {
            if t > DAY {
                times(row, Signal::Memory, 1.0 + ((t - DAY) % 3600) as f64 / 2400.0);
            }
        })
    };
    let i = only(3, leak);
    assert!(i.class == Class::MemoryLeak && i.since - at(DAY) < TimeDelta::minutes(40), "{i:#?}");
    assert!(i.ended.is_none() && i.title.contains("an hour"), "{i:#?}");
    let load = |t: i64| {
        with(t, 3, |row| {
            if t > DAY {
                let factor = 1.0 + ((t - DAY) as f64 / 2400.0).min(1.5);
                row.iter_mut()
                    .enumerate()
                    .filter(|(i, _)| [0, 1, 2, 6].contains(i))
                    .for_each(|(_, v)| *v = v.map(|v| v * factor));
            }
        })
    };
    let all = anomalies(&watched(DAY + 10_800, load));
    assert!(all.iter().all(|i| i.class != Class::MemoryLeak), "{all:#?}");
}

#[test]
fn a_past_that_arrives_signal_by_signal_is_learned_of_each() {
    let fails = |t: i64| {
        with(t, 4, |row| {
            if t >= DAY + 900 {
                row[Signal::ErrorRate as usize] = Some(0.5);
            }
        })
    };
    let cpu_alone = |t: i64| {
        let mut row = [None; 7];
        row[Signal::Cpu as usize] = usual(t, 4)[Signal::Cpu as usize];
        row
    };
    let mut w = Watched::default();
    w.learn(&key(), &metrics(0..DAY, &cpu_alone), usize::MAX);
    w.learn(&key(), &metrics(0..DAY + 1800, &fails), usize::MAX);
    let all = anomalies(&w);
    assert!(all.len() == 1 && all[0].class == Class::HighErrorRate, "{all:#?}");
}

/// A workload whose containers were restarted so often.
fn restarted(times: u32) -> crate::model::cluster::Workload {
    let mut pod = fixtures::pod("cart-0", "cart-7", "cart:7");
    pod.containers.iter_mut().take(1).for_each(|c| c.restarts = times);
    fixtures::deployment("cart", vec![pod], vec![])
}

/// Watches a workload minute by minute for two hours after a day; containers of it restart where `kills` says so.
fn minute_by_minute(make: impl Fn(i64) -> [Option<f64>; 7], kills: impl Fn(i64) -> u32) -> Vec<Anomaly> {
    let mut w = Watched::default();
    w.look(&restarted(0), at(0));
    w.learn(&key(), &metrics(0..DAY, &make), usize::MAX);
    for minute in 0..120 {
        let t = DAY + minute * STEP;
        w.look(&restarted(kills(t - DAY)), at(t));
        w.learn(&key(), &metrics(DAY - STEP..t + STEP, &make), usize::MAX);
    }
    anomalies(&w)
}

#[test]
fn three_pods_that_leak_and_are_killed_in_turn_are_one_leak_and_pods_that_only_start_again_are_none() {
    // A pod holds a third of the memory, trebles within eight minutes and is killed; the three take turns.
    let phase = |t: i64, pod: i64| (t + pod * 180).rem_euclid(480) as f64 / 480.0;
    let sum = |t: i64, of: &dyn Fn(f64) -> f64| (0..3).map(|pod| of(phase(t, pod))).sum::<f64>() / 3.0;
    let make = |of: fn(f64) -> f64| {
        move |t: i64| {
            with(t, 5, |row| {
                if t >= DAY {
                    times(row, Signal::Memory, sum(t - DAY, &of));
                }
            })
        }
    };
    let kills = |t: i64| u32::try_from(t / 160).unwrap_or(0);
    let leak = minute_by_minute(make(|phase| 1.0 + 2.0 * phase), kills);
    assert_eq!(leak.len(), 1, "{leak:#?}");
    assert_eq!((leak[0].class, leak[0].ended), (Class::MemoryLeak, None), "{leak:#?}");
    assert!(leak[0].since - at(DAY) <= TimeDelta::minutes(22), "{leak:#?}");
    let starts = minute_by_minute(make(|phase| 0.35 + 0.65 * (3.0 * phase).min(1.0)), kills);
    assert!(starts.iter().all(|i| i.class != Class::MemoryLeak), "{starts:#?}");
    let heap = minute_by_minute(make(|phase| 1.0 + 2.0 * phase), |_| 0);
    assert!(heap.iter().all(|i| !i.title.contains("an hour")), "a heap that is collected has no kills: {heap:#?}");
}

#[test]
fn slow_answers_are_degradation_and_cpu_without_cause_is_a_threat() {
    let trouble = DAY + 3600..DAY + 5400;
    let slow = only(2, |t| {
        with(t, 4, |row| {
            if trouble.contains(&t) {
                times(row, Signal::LatencyP99, 4.0);
                times(row, Signal::LatencyP50, 3.0);
            }
        })
    });
    assert!(slow.class == Class::Degradation && slow.evidence[0].signal == Signal::LatencyP99, "{slow:#?}");
    let mined = |t: i64| {
        with(t, 5, |row| {
            if trouble.contains(&t) {
                times(row, Signal::Cpu, 4.0);
            }
        })
    };
    let threat = only(2, mined);
    assert!(threat.class == Class::SecurityThreat && threat.evidence[0].signal == Signal::Cpu, "{threat:#?}");
    // with requests that grow as much it is load
    let busy = anomalies(&watched(DAY + 7200, |t| {
        let mut row = mined(t);
        if trouble.contains(&t) {
            times(&mut row, Signal::RequestRate, 2.5);
        }
        row
    }));
    assert!(busy.iter().all(|i| i.class != Class::SecurityThreat), "{busy:#?}");
    // without request metrics nobody can tell
    let blind = watched(DAY + 7200, |t| {
        let mut row = mined(t);
        row[2..].fill(None);
        row
    });
    assert_eq!(anomalies(&blind), []);
}

#[test]
fn a_new_level_is_taken_as_usual_after_an_hour_and_its_return_is_an_event_of_its_own() {
    let make = |t: i64| {
        with(t, 6, |row| {
            if t > DAY + 3600 {
                for s in [Signal::Cpu, Signal::RequestRate, Signal::Connections] {
                    times(row, s, 4.0);
                }
            }
        })
    };
    let all = anomalies(&watched(2 * DAY, make));
    assert_eq!(all.len(), 1, "{all:#?}");
    let (end, why) = all[0].ended.unwrap();
    assert_eq!((all[0].class, why), (Class::TrafficSpike, End::Adapted));
    assert!((end - all[0].since - TimeDelta::hours(1)).abs() < TimeDelta::minutes(5));
}

#[test]
fn gaps_zeros_and_beginnings_are_no_incidents() {
    let gap = watched(2 * DAY, |t| if (DAY..DAY + 6 * 3600).contains(&t) { [None; 7] } else { usual(t, 7) });
    assert_eq!(anomalies(&gap), []);
    let zeros = watched(2 * DAY, |_| [Some(0.0); 7]);
    assert_eq!(anomalies(&zeros), []);
    let appears = watched(2 * DAY, |t| {
        let mut row = usual(t, 7);
        if t < DAY + 3600 {
            row[2..].fill(None);
        }
        row
    });
    assert_eq!(anomalies(&appears), []);
}

#[test]
fn more_pods_and_a_restart_explain_what_is_used() {
    let make = |t: i64| {
        with(t, 8, |row| {
            if t >= DAY {
                times(row, Signal::Cpu, 3.0);
                times(row, Signal::Memory, 3.0);
            }
        })
    };
    let pods = |n: usize| {
        let pod = |i: usize| fixtures::pod(&format!("cart-{i}"), "cart-7", "cart:7");
        fixtures::deployment("cart", (0..n).map(pod).collect(), vec![])
    };
    let run = |after: usize| {
        let mut w = Watched::default();
        w.look(&pods(2), at(0));
        w.learn(&key(), &metrics(0..DAY, &make), usize::MAX);
        w.look(&pods(after), at(DAY));
        w.learn(&key(), &metrics(0..DAY + 7200, &make), usize::MAX);
        anomalies(&w)
    };
    assert_eq!(run(6), []);
    assert_ne!(run(2), [], "the same without more pods is an anomaly");
}

#[test]
fn samples_are_learned_once_whatever_the_budget_and_whenever_the_past_arrives() {
    let make = |t: i64| {
        with(t, 1, |row| {
            if (DAY..DAY + 900).contains(&t) {
                times(row, Signal::RequestRate, 5.0);
            }
        })
    };
    let all = metrics(0..DAY + 7200, &make);
    let mut once = Watched::default();
    let samples = once.learn(&key(), &all, usize::MAX);
    assert_eq!(samples, 7 * ((DAY + 7200) / STEP) as usize);
    assert_eq!((once.learn(&key(), &all, usize::MAX), once.knows(&all)), (0, true));
    let mut bits = Watched::default();
    let mut learned = 0;
    while !bits.knows(&all) {
        assert!(bits.anomalies().next().is_none(), "nothing is shown of a past that is half known");
        learned += bits.learn(&key(), &all, 1000);
    }
    assert_eq!((learned, anomalies(&bits)), (samples, anomalies(&once)));
    let mut late = Watched::default();
    late.learn(&key(), &metrics(DAY + 3600..DAY + 5400, &make), usize::MAX);
    late.learn(&key(), &all, usize::MAX);
    assert_eq!(anomalies(&late), anomalies(&once));
}

fn snapshot(workloads: usize, metrics: &Arc<WorkloadMetrics>) -> Snapshot {
    let all: Vec<_> = (0..workloads).map(|i| fixtures::deployment(&format!("w{i:04}"), vec![], vec![])).collect();
    let mut s = fixtures::snapshot(all);
    let map: HashMap<_, _> = s.workloads.iter().map(|w| (w.key.clone(), metrics.clone())).collect();
    s.metrics.workloads = Arc::new(map);
    s
}

#[test]
fn the_budget_holds_everybody_has_a_turn_and_who_is_gone_is_forgotten() {
    let m = metrics(0..7200, &|t| usual(t, 1));
    let s = snapshot(5, &m);
    let mut watch = Watch::new();
    let mut calls = 0;
    while watch.observe(&s, at(7200), 300) > 0 {
        calls += 1;
        assert!(calls < 30);
    }
    assert!(calls >= 5 * 7 * 120 / 400, "{calls} calls are more than the budget allows");
    let known = watch.anomalies(0);
    assert_eq!((known.judged, known.learning), (35, 0));
    assert_eq!(watch.observe(&snapshot(2, &m), at(7200), 300), 0);
    assert_eq!(watch.anomalies(0).judged, 14);
}

#[test]
fn a_workload_takes_less_than_two_hundred_kilobytes() {
    let w = watched(5 * DAY, |t| usual(t, 1));
    assert!(w.bytes() < 200_000, "{}", w.bytes());
}

#[test]
fn an_incident_without_data_ends_after_half_an_hour() {
    let m = metrics(0..DAY + 600, &|t| {
        with(t, 1, |row| {
            if t >= DAY {
                row[Signal::ErrorRate as usize] = Some(0.5);
            }
        })
    });
    let s = snapshot(1, &m);
    let mut watch = Watch::new();
    assert_eq!(watch.observe(&s, at(DAY + 600), usize::MAX), 0);
    assert_eq!(watch.anomalies(0).open().count(), 1);
    watch.observe(&s, at(DAY + 600 + 1900), usize::MAX);
    let all = watch.anomalies(0).all;
    assert!(all.len() == 1 && all[0].ended.unwrap().1 == End::Silent, "{all:#?}");
    watch.observe(&s, at(3 * DAY), usize::MAX);
    assert_eq!(watch.anomalies(0).all.len(), 0, "after a day it is forgotten");
}

#[test]
fn who_judges_signals_together_proves_itself_on_the_last_day_and_an_incident_says_who_it_is() {
    let fails = |t: i64| {
        with(t, 6, |row| {
            if t >= DAY + 3600 {
                row[Signal::ErrorRate as usize] = Some(0.4);
            }
        })
    };
    let mut w = Watched::default();
    let calm = metrics(0..DAY, &fails);
    w.learn(&key(), &calm, usize::MAX);
    assert!(w.unproved(at(DAY)));
    w.prove(&calm, at(DAY));
    assert!(!w.unproved(at(DAY + 5 * 3600)) && w.unproved(at(DAY + 6 * 3600)));
    w.learn(&key(), &metrics(0..DAY + 4500, &fails), usize::MAX);
    let all = anomalies(&w);
    let card = all[0].together.clone().expect("it was proved before");
    assert!(card.contains("autoencoder found") && card.contains("isolation forest found"), "{card}");
    assert!(all[0].onset.is_some_and(|o| (o - at(DAY + 3600)).num_seconds().abs() <= 120), "{all:#?}");
    assert!(w.bytes() < 450_000, "{}", w.bytes());
}
