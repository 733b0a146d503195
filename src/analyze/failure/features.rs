//! What a sight amounts to, as one row of numbers: the input of a learner that has no memory of its own. NaN: not measured.

use super::course::Moment;
use super::scene::Callee;
use super::sight::{Growth, Sight};
use crate::model::failure::{PatternKind, State, TimeToFailure};
use crate::model::series::Signal;

/// The columns, in order. Their hash is in a model's card.
pub const NAMES: [&str; 54] = [
    "state now",
    "memory of limit",
    "memory growth a minute",
    "memory growth a minute, least",
    "minutes until memory is full",
    "minutes of memory growth",
    "memory growth is steady",
    "memory over its last peak",
    "cpu of limit",
    "cpu growth a minute",
    "minutes until cpu is full",
    "cpu over its last peak",
    "cpu over usual",
    "requests over usual",
    "request growth a minute",
    "share of errors",
    "error growth a minute",
    "p50 over usual",
    "p99 over usual",
    "p99",
    "p99 growth a minute",
    "minutes until it is unhealthy",
    "in flight over usual",
    "in-flight growth a minute",
    "ready of wanted",
    "restarts in the window",
    "minutes since a restart",
    "pods over usual",
    "worst state of a callee",
    "share of requests lost to calls",
    "worst state behind a callee",
    "minutes until a callee is full",
    "p99 of a callee over usual",
    "a callee gets worse",
    "errors or p99 of what is unhealthy",
    "p99 growth a minute, last two minutes",
    "error growth a minute, last two minutes",
    "in flight of what load and p50 explain",
    "cpu of limit in five minutes",
    "errors or p99 of a callee of what is unhealthy",
    "cpu of limit of a callee",
    "memory of limit of a callee",
    "callees that are not ready",
    "callees that get worse or fail",
    "rules: memory leak",
    "rules: resource exhaustion",
    "rules: dependency failure",
    "rules: cascading failure",
    "rules: minutes until failure",
    "calls that fail",
    "requests are measured",
    "calls are measured",
    "minutes without half of its pods",
    "callees that were scaled to zero",
];

/// Times and ratios beyond these say no more.
const MOST_MINUTES: f64 = 60.0;
const MOST_RATIO: f64 = 50.0;

/// One row of [`NAMES`].
pub fn row(moment: &Moment) -> Vec<f64> {
    let (sight, around) = (moment.sight, moment.around);
    let unknown = f64::NAN;
    let ratio = |signal| sight.level(signal).ratio().map_or(unknown, |r| r.min(MOST_RATIO));
    let now = |signal| sight.level(signal).now;
    let pace = |growth: Option<Growth>, low: bool| {
        growth.and_then(|g| g.trend).map_or(unknown, |t| 60.0 * if low { t.low } else { t.slope })
    };
    let full = |growth: Option<Growth>| growth.map_or(unknown, |g| minutes(g.reaches()));
    let peak = |growth: Option<Growth>| growth.and_then(|g| g.over_peak).map_or(unknown, |r| r.min(MOST_RATIO));
    // Relative to the level, so that large and small services are alike.
    let relative = |trend: Option<super::trend::Trend>, signal| {
        trend.zip(now(signal)).filter(|(_, n)| *n > 0.0).map_or(unknown, |(t, n)| 60.0 * t.slope / n)
    };
    let worst = |of: &dyn Fn(&Callee) -> Option<f64>| {
        let found = around.callees.iter().filter_map(of).reduce(f64::max);
        found.unwrap_or(if around.known { 0.0 } else { unknown })
    };
    let callee_full = around.callees.iter().map(|c| minutes(c.time)).reduce(f64::min);
    let flag = |yes: bool| f64::from(u8::from(yes));
    // What the rules make of it: a pattern that is seen, or one that is worth an alarm.
    let rule = |kind: PatternKind| {
        let seen = moment.patterns.iter().find(|p| p.kind == kind);
        seen.map_or(0.0, |p| 1.0 + flag(p.alarm))
    };
    vec![
        sight.state.map_or(unknown, |s| f64::from(s as u8)),
        sight.memory.map_or(unknown, |m| m.level),
        pace(sight.memory, false),
        pace(sight.memory, true),
        full(sight.memory),
        sight.memory.map_or(unknown, |m| m.seconds / 60.0),
        sight.memory.map_or(unknown, |m| flag(m.steady)),
        peak(sight.memory),
        sight.cpu.map_or(unknown, |c| c.level),
        pace(sight.cpu, false),
        full(sight.cpu),
        peak(sight.cpu),
        ratio(Signal::Cpu),
        ratio(Signal::RequestRate),
        relative(sight.coming, Signal::RequestRate),
        now(Signal::ErrorRate).unwrap_or(unknown),
        sight.failing.map_or(unknown, |t| 60.0 * t.slope),
        ratio(Signal::LatencyP50),
        ratio(Signal::LatencyP99),
        now(Signal::LatencyP99).unwrap_or(unknown),
        relative(sight.slowing, Signal::LatencyP99),
        minutes(sight.worsens.map(|(_, time)| time)),
        ratio(Signal::Connections),
        relative(sight.piling, Signal::Connections),
        sight.ready.unwrap_or(unknown),
        sight.restarts.unwrap_or(unknown),
        sight.restarted.map_or(MOST_MINUTES, |s| (s / 60.0).min(MOST_MINUTES)),
        sight.pods.unwrap_or(unknown),
        worst(&|c| c.state.map(|s| f64::from(s as u8))),
        worst(&|c| Some(c.failed? * c.per_request.unwrap_or(1.0))),
        worst(&|c| c.behind.as_ref().map(|(_, s)| f64::from(*s as u8))),
        callee_full.unwrap_or(if around.known { MOST_MINUTES } else { unknown }),
        worst(&|c| c.slower.map(|r| r.min(MOST_RATIO))),
        worst(&|c| Some(flag(c.worsens))),
        sight.near.map_or(unknown, |n| n.min(MOST_RATIO)),
        relative(sight.lately[0], Signal::LatencyP99),
        sight.lately[1].map_or(unknown, |t| 60.0 * t.slope),
        piled(sight),
        sight.cpu.map_or(unknown, |c| c.level + 300.0 * c.trend.map_or(0.0, |t| t.slope)),
        worst(&|c| c.near.map(|n| n.min(MOST_RATIO))),
        worst(&|c| c.cpu),
        worst(&|c| c.memory),
        worst(&|c| c.ready.map(|r| 1.0 - r)),
        around.callees.iter().filter(|c| c.worsens || c.state.is_some_and(|s| s >= State::Degraded)).count() as f64,
        rule(PatternKind::MemoryLeak),
        rule(PatternKind::ResourceExhaustion),
        rule(PatternKind::DependencyFailure),
        rule(PatternKind::CascadingFailure),
        moment.patterns.iter().map(|p| minutes(p.time_to_failure)).fold(MOST_MINUTES, f64::min),
        worst(&|c| c.failed),
        flag(now(Signal::RequestRate).is_some()),
        flag(around.known),
        (sight.lacking / 60.0).min(MOST_MINUTES),
        around.callees.iter().filter(|c| c.gone).count() as f64,
    ]
}

/// Requests in flight over those that would be at this rate if each took as long as the median one (Little's law).
fn piled(sight: &Sight) -> f64 {
    let now = |signal| sight.level(signal).now.unwrap_or(f64::NAN);
    let explained = now(Signal::RequestRate) * now(Signal::LatencyP50);
    let piled = now(Signal::Connections) / explained;
    if piled.is_finite() { piled.min(MOST_RATIO) } else { f64::NAN }
}

fn minutes(time: Option<TimeToFailure>) -> f64 {
    time.map_or(MOST_MINUTES, |t| (t.expected / 60.0).min(MOST_MINUTES))
}

#[cfg(test)]
mod tests {
    use super::super::scene::Around;
    use super::super::window::Window;
    use super::super::window::tests::blank;
    use super::*;
    use crate::model::failure::{Fact, STEPS};

    #[test]
    fn a_row_has_a_value_for_every_name_and_what_is_not_measured_is_not_zero() {
        let of = |r| {
            let window = Window::of_record(&r, STEPS - 1, 15);
            let (sight, around) = (Sight::new(&window), Around::default());
            row(&Moment { window: &window, sight: &sight, around: &around, patterns: &[] })
        };
        let nothing = of(blank("x", STEPS));
        assert_eq!(nothing.len(), NAMES.len());
        let at = |name: &str| NAMES.iter().position(|n| *n == name).unwrap();
        assert!(nothing[at("share of errors")].is_nan() && nothing[at("ready of wanted")].is_nan());
        assert_eq!((nothing[at("requests are measured")], nothing[at("calls are measured")]), (0.0, 0.0));
        let mut leaks = blank("x", STEPS);
        for i in 0..STEPS {
            leaks.facts[Fact::Fullest as usize][i] = 0.2 + 0.005 * i as f32;
        }
        let leaks = of(leaks);
        assert!((leaks[at("memory growth a minute")] - 0.02).abs() < 1e-5);
        assert!((leaks[at("minutes until memory is full")] - (1.0 - 0.495) / 0.02).abs() < 0.01);
    }
}
