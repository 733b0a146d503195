//! How a workload is at the end of a window: the label a model learns, and what "failed" means in every figure.
//!
//! Worst of what can be told: containers that were started anew, pods that are not ready, requests that fail, latency
//! against its own past. What is not measured says nothing, and where nothing is measured there is no state.

use super::window::{Window, newest};
use crate::model::failure::{Fact, STEPS, State};
use crate::model::series::Signal;

/// Seconds for which a restart counts as trouble.
const RESTARTED: f64 = 300.0;

/// Seconds a pod may be away, as in a rollout or after a scale-up, before it counts: half of them, some of them.
const AWAY: [f64; 2] = [60.0, 120.0];

/// Shares of failed requests from which it is degraded, unhealthy, critical: ten, fifty and five hundred times what the
/// usual objective of 99.9 % allows.
const ERRORS: [f64; 3] = [0.01, 0.05, 0.5];

/// p99 over its own past from which it is degraded or unhealthy, and the least seconds that matter to anybody.
const SLOW: [(f64, f64); 2] = [(3.0, 0.25), (8.0, 1.0)];

/// Requests per second below which a share of errors is a matter of luck.
const LEAST_RATE: f64 = 0.2;

/// The state at the end of a window; `None`: neither requests nor pods nor restarts are measured.
pub fn state(window: &Window) -> Option<State> {
    [restarts(window), readiness(window), errors(window), latency(window)].into_iter().flatten().max()
}

fn restarts(window: &Window) -> Option<State> {
    let recent = &window.fact(Fact::Restarts)[STEPS - window.steps(RESTARTED)..];
    recent
        .iter()
        .any(|v| v.is_finite())
        .then(|| if recent.iter().any(|v| *v >= 1.0) { State::Unhealthy } else { State::Healthy })
}

fn readiness(window: &Window) -> Option<State> {
    let share = |i: usize| match (window.fact(Fact::Ready)[i], window.fact(Fact::Desired)[i]) {
        // All of nothing is there: what is wanted from a moment ago on has its time to come.
        (_, 0.0) => 1.0,
        (ready, wanted) => f64::from(ready / wanted),
    };
    // The greatest share within the time that pods may be away: all that time it was no better.
    let best = |seconds: f64| {
        let from = STEPS - window.steps(seconds);
        (from..STEPS).map(share).filter(|v| v.is_finite()).reduce(f64::max)
    };
    let (brief, long) = (best(AWAY[0])?, best(AWAY[1])?);
    Some(match () {
        () if brief <= 0.0 => State::Critical,
        () if brief < 0.5 => State::Unhealthy,
        () if long < 1.0 => State::Degraded,
        () => State::Healthy,
    })
}

/// The lesser of the last two values: one bad sample is no trouble yet.
fn lasting(window: &Window, signal: Signal) -> Option<f64> {
    let busy = newest(window.signal(Signal::RequestRate), window.steps(60.0)).is_some_and(|rate| rate >= LEAST_RATE);
    let recent = &window.signal(signal)[STEPS - window.steps(60.0).max(2)..];
    let two = recent.iter().rev().filter(|v| v.is_finite()).take(2);
    two.copied().reduce(f32::min).filter(|_| busy).map(f64::from)
}

fn errors(window: &Window) -> Option<State> {
    let share = lasting(window, Signal::ErrorRate)?;
    Some(State::ALL[ERRORS.iter().filter(|bar| share >= **bar).count()])
}

fn latency(window: &Window) -> Option<State> {
    let (now, good) = (lasting(window, Signal::LatencyP99)?, window.good_p99?);
    let worse = SLOW.iter().filter(|(times, seconds)| now >= times * good && now >= *seconds).count();
    Some(State::ALL[worse])
}

/// The share of errors, and the p99 in seconds, from which the workload is unhealthy.
pub fn bars(window: &Window) -> (f64, Option<f64>) {
    let (times, seconds) = SLOW[1];
    (ERRORS[1], window.good_p99.map(|good| (times * good).max(seconds)))
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::blank;
    use super::*;
    use crate::model::failure::Record;

    fn well() -> Record {
        let mut r = blank("cart", STEPS);
        for (fact, value) in [(Fact::Desired, 3.0), (Fact::Ready, 3.0), (Fact::Restarts, 0.0)] {
            r.facts[fact as usize].fill(value);
        }
        for (signal, value) in [(Signal::RequestRate, 40.0), (Signal::ErrorRate, 0.0), (Signal::LatencyP99, 0.05)] {
            r.signals[signal as usize].fill(value);
        }
        r
    }

    fn of(r: &Record) -> Option<State> {
        state(&Window::of_record(r, STEPS - 1, 15))
    }

    #[test]
    fn each_kind_of_trouble_is_told_and_the_worst_one_counts() {
        assert_eq!(of(&well()), Some(State::Healthy));
        let mut once = well();
        once.signals[Signal::ErrorRate as usize][59] = 1.0;
        assert_eq!(of(&once), Some(State::Healthy), "one sample is no trouble yet");
        let mut r = well();
        r.facts[Fact::Restarts as usize][45] = 1.0;
        assert_eq!(of(&r), Some(State::Unhealthy), "killed less than five minutes ago");
        r.facts[Fact::Restarts as usize][45] = 0.0;
        r.facts[Fact::Restarts as usize][30] = 1.0;
        assert_eq!(of(&r), Some(State::Healthy), "killed long ago");
        for (share, state) in
            [(0.009, State::Healthy), (0.02, State::Degraded), (0.2, State::Unhealthy), (0.9, State::Critical)]
        {
            r.signals[Signal::ErrorRate as usize][58..].fill(share);
            assert_eq!(of(&r), Some(state), "{share}");
        }
        let mut slow = well();
        for (p99, state) in [(0.2, State::Healthy), (0.3, State::Degraded), (1.2, State::Unhealthy)] {
            slow.signals[Signal::LatencyP99 as usize][50..].fill(p99);
            assert_eq!(of(&slow), Some(state), "{p99}");
        }
    }

    #[test]
    fn a_rollout_is_no_trouble_and_pods_that_stay_away_are() {
        let mut r = well();
        r.facts[Fact::Ready as usize][56..].fill(2.0);
        assert_eq!(of(&r), Some(State::Healthy), "one of three away for a minute");
        r.facts[Fact::Ready as usize][51..].fill(2.0);
        assert_eq!(of(&r), Some(State::Degraded), "for more than two");
        r.facts[Fact::Ready as usize][55..].fill(1.0);
        assert_eq!(of(&r), Some(State::Unhealthy));
        r.facts[Fact::Ready as usize][55..].fill(0.0);
        assert_eq!(of(&r), Some(State::Critical));
    }

    #[test]
    fn what_was_wanted_a_moment_ago_has_its_time_to_come() {
        let mut r = well();
        r.facts[Fact::Desired as usize][..57].fill(0.0);
        r.facts[Fact::Ready as usize].fill(0.0);
        assert_eq!(of(&r), Some(State::Healthy), "scaled up from zero 45 seconds ago");
        r.facts[Fact::Desired as usize][50..].fill(3.0);
        assert_eq!(of(&r), Some(State::Critical), "two and a half minutes ago");
    }

    #[test]
    fn without_request_metrics_pods_tell_and_without_anything_nobody_does() {
        let mut r = well();
        r.signals.iter_mut().for_each(|s| s.fill(f32::NAN));
        assert_eq!(of(&r), Some(State::Healthy));
        assert_eq!(of(&blank("x", STEPS)), None);
        let mut idle = blank("x", STEPS);
        idle.signals[Signal::RequestRate as usize].fill(0.01);
        idle.signals[Signal::ErrorRate as usize].fill(1.0);
        assert_eq!(of(&idle), None, "one failed request an hour is luck");
    }
}
