//! What a cluster is like: sizes and speeds of its workloads in their own units, which no learner looks at.
//!
//! What a model sees is relative (shares of limits, ratios to what is usual), so that small and large services are alike to it;
//! by that alone it would not notice that it speaks of another cluster. So a model keeps what the healthy workloads were like
//! where it learned. How far an hour may be from the whole day is learned as well: nights are unlike days, and no drift.

use super::state::state;
use super::window::{Window, newest};
use crate::ml::drift::{FEW, drifted, kolmogorov_smirnov};
use crate::model::failure::{Fact, Past, STEPS, State};
use crate::model::series::Signal;
use serde::{Deserialize, Serialize};

/// What is looked at, in order. Logarithms, so that a distance is a ratio.
pub const NAMES: [&str; 10] = [
    "memory of a pod",
    "cpu of a pod",
    "requests of a pod",
    "p50",
    "p99",
    "in flight of a pod",
    "cpu of a request",
    "memory limit of a pod",
    "cpu limit of a pod",
    "pods",
];

/// Seconds between two looks, as the watch keeps them.
const LOOKS: usize = 600;

/// Looks of one stretch: an hour, after which the watch judges.
const STRETCH: usize = 6;

/// Rows that are kept.
const KEPT: usize = 400;

/// The share of its own stretches that are no further from the whole than what is usual.
const USUAL: f64 = 0.95;

/// So much further than usual a distribution must be to count as moved.
const BEYOND: f64 = 0.1;

/// Level of the tests, corrected for their number.
const LEVEL: f64 = 0.01;

/// One row of [`NAMES`]; `None` unless the workload is healthy: what trouble makes of it is not what it is like.
pub fn row(window: &Window, state: Option<State>) -> Option<Vec<f64>> {
    if state != Some(State::Healthy) {
        return None;
    }
    let minute = window.steps(60.0);
    let signal = |s: Signal| newest(window.signal(s), minute).unwrap_or(f64::NAN);
    let fact = |f: Fact| newest(window.fact(f), minute).unwrap_or(f64::NAN);
    let (pods, rate) = (fact(Fact::Pods), signal(Signal::RequestRate));
    let all = [
        signal(Signal::Memory) / pods,
        signal(Signal::Cpu) / pods,
        rate / pods,
        signal(Signal::LatencyP50),
        signal(Signal::LatencyP99),
        signal(Signal::Connections) / pods,
        signal(Signal::Cpu) / rate,
        fact(Fact::MemoryLimit) / pods,
        fact(Fact::CpuLimit) / pods,
        pods,
    ];
    // Nothing at all has no logarithm, and is not what is looked for.
    Some(all.map(|v| if v > 0.0 && v.is_finite() { v.ln() } else { f64::NAN }).to_vec())
}

/// What the cluster was like in which a model learned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Habitat {
    /// Whole rows; NaN, which JSON cannot hold, is `None`.
    rows: Vec<Option<f64>>,
    /// How far its own stretches were from the whole, column by column: Kolmogorov-Smirnov distances.
    usual: Vec<f64>,
}

impl Habitat {
    /// Of pasts. Stretches are an hour, or a whole past that is shorter.
    pub fn of(pasts: &[Past]) -> Self {
        let stretches: Vec<Vec<f64>> = pasts.iter().flat_map(stretches).filter(|s| !s.is_empty()).collect();
        let all = stretches.concat();
        let column = |rows: &[f64], at: usize| -> Vec<f64> {
            rows.iter().skip(at).step_by(NAMES.len()).copied().filter(|v| v.is_finite()).collect()
        };
        let usual = |at: usize| {
            let whole = column(&all, at);
            let far = stretches.iter().map(|s| column(s, at)).filter(|s| s.len() >= FEW);
            let mut far: Vec<f64> = far.filter_map(|s| Some(kolmogorov_smirnov(&whole, &s)?.distance)).collect();
            far.sort_by(f64::total_cmp);
            // Nothing to be held against: whatever comes is as far as can be.
            far.get((far.len() as f64 * USUAL).ceil() as usize - usize::from(!far.is_empty())).copied().unwrap_or(1.0)
        };
        let every = (all.len() / NAMES.len()).div_ceil(KEPT).max(1);
        let kept = all.chunks_exact(NAMES.len()).step_by(every).flatten();
        Self { rows: kept.map(|v| v.is_finite().then_some(*v)).collect(), usual: (0..NAMES.len()).map(usual).collect() }
    }

    /// Whether a file held one that can be used.
    pub fn is_whole(&self) -> bool {
        self.usual.len() == NAMES.len() && self.rows.len().is_multiple_of(NAMES.len())
    }

    /// Which of [`NAMES`] are further from what was learned than an hour usually was, by whole rows of now; and how many could
    /// be compared.
    pub fn moved(&self, now: &[f64]) -> (Vec<usize>, usize) {
        let rows: Vec<f64> = self.rows.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
        let least = |at: usize| self.usual.get(at).copied().unwrap_or(1.0) + BEYOND;
        drifted(&rows, now, NAMES.len(), LEVEL, least)
    }
}

/// Rows of each stretch of a past.
fn stretches(past: &Past) -> Vec<Vec<f64>> {
    let every = (LOOKS / past.step.max(1) as usize).max(1);
    let looks: Vec<usize> = (STEPS.saturating_sub(1)..past.slots).step_by(every).collect();
    let rows = |end: &usize| {
        let end = *end;
        past.records.iter().filter_map(move |record| {
            let window = Window::of_record(record, end, past.step);
            row(&window, state(&window))
        })
    };
    looks.chunks(STRETCH).map(|looks| looks.iter().flat_map(rows).flatten().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::blank;
    use super::*;

    /// Half a day of a cluster of many services: each with its own size, at loads that go up and down.
    fn past(times: f32, from: usize, slots: usize) -> Past {
        let service = |i: usize| {
            let mut r = blank(&format!("w{i}"), slots);
            let size = 1.0 + i as f32;
            for at in 0..slots {
                let day = 1.5 + ((from + at) as f32 / 2880.0 * std::f32::consts::TAU).sin();
                let mut put = |s: Signal, v: f32| r.signals[s as usize][at] = v;
                put(Signal::Memory, 1e8 * size * times);
                put(Signal::Cpu, 0.01 * size * day * times);
                put(Signal::RequestRate, 5.0 * size * day);
                put(Signal::ErrorRate, 0.0);
                put(Signal::LatencyP50, 0.004 * size * times);
                put(Signal::LatencyP99, 0.02 * size * times);
                r.facts[Fact::Pods as usize][at] = 2.0;
                r.facts[Fact::Desired as usize][at] = 2.0;
                r.facts[Fact::Ready as usize][at] = 2.0;
                r.facts[Fact::MemoryLimit as usize][at] = 4e8 * size * times;
            }
            r
        };
        Past {
            from: chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("a time"),
            step: 15,
            slots,
            records: (0..24).map(service).collect(),
            calls: Vec::new(),
            found: Vec::new(),
        }
    }

    fn seen(past: &Past) -> Vec<f64> {
        stretches(past).concat()
    }

    #[test]
    fn another_hour_is_no_other_cluster_and_another_cluster_is_one_at_any_hour() {
        let home = Habitat::of(&[past(1.0, 0, 2880)]);
        assert!(home.is_whole());
        for from in [300, 1200, 2500] {
            let (moved, compared) = home.moved(&seen(&past(1.0, from, 300)));
            assert_eq!((moved, compared), (vec![], 8), "an hour from slot {from}");
            let (moved, _) = home.moved(&seen(&past(6.0, from, 300)));
            let names: Vec<&str> = moved.into_iter().map(|at| NAMES[at]).collect();
            for name in ["memory of a pod", "p50", "p99", "cpu of a request", "memory limit of a pod"] {
                assert!(names.contains(&name), "{name} at slot {from}: {names:?}");
            }
            assert!(!names.contains(&"requests of a pod") && !names.contains(&"pods"), "{names:?}");
        }
    }

    #[test]
    fn what_is_not_healthy_or_not_measured_says_nothing_of_the_cluster() {
        let whole = past(1.0, 0, STEPS);
        let window = Window::of_record(&whole.records[0], STEPS - 1, 15);
        assert_eq!(row(&window, Some(State::Degraded)), None);
        let row = row(&window, state(&window)).expect("it is healthy");
        assert!(row[8].is_nan(), "no limit of CPU is not one of zero: {row:?}");
        let nothing = Habitat::of(&[]);
        assert_eq!(nothing.moved(&seen(&whole)), (vec![], 0));
        assert!(!Habitat::default().is_whole(), "a file without one is none");
    }
}
