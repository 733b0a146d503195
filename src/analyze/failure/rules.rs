//! The four known ways to fail, by rule: each says what it observed, in numbers, and raises an alarm only when failure is
//! to be expected within [`HORIZON`]. Rules need no training and always speak.

use super::scene::Around;
use super::sight::{Growth, Sight};
use crate::model::failure::{HORIZON, Pattern, PatternKind, State, TimeToFailure};
use crate::model::finding::Evidence;
use crate::model::series::Signal;
use crate::model::time::{Timestamp, short};
use chrono::TimeDelta;

/// Below this use of the limit no trend of a few minutes is worth an alarm: a start fills heaps and caches.
const FULL: f64 = 0.5;

/// The same of CPU, which works as well at half of its limit as idle: only near it do requests wait.
const BUSY: f64 = 0.7;

/// CPU follows load, and load levels off sooner than a leak: a trend of five minutes is believed for five more.
const BELIEVED: TimeDelta = TimeDelta::minutes(5);

/// What was as high lately and did not fail is no news: collectors of garbage let memory rise and fall all day.
const NEW_HIGH: f64 = 1.08;

/// From this share of the limit on CPU is as good as gone: the kernel throttles before the mean is at 1.
const AT_LIMIT: f64 = 0.9;

/// Requests that pile up: so many times the usual number in flight, while requests come at most so much faster.
const PILE: f64 = 3.0;
const MORE_LOAD: f64 = 1.5;

/// From this share of the memory's relative growth on, growing traffic explains it.
const TRAFFIC: f64 = 0.5;

/// Share of failed calls from which a callee counts as failing for its caller.
const FAILED_CALLS: f64 = 0.05;

/// All patterns that are seen, in the order of [`PatternKind`].
pub fn patterns(sight: &Sight, around: &Around, at: Timestamp) -> Vec<Pattern> {
    let [leak, exhaustion] = memory(sight, at);
    let exhaustion = cpu(sight, at).or(exhaustion).or_else(|| worsens(sight, around, at));
    [leak, exhaustion, dependency(sight, around, at), cascade(sight, around, at)].into_iter().flatten().collect()
}

/// Whether it is higher than it was lately.
fn is_new(growth: &Growth) -> bool {
    growth.over_peak.is_none_or(|over| over >= NEW_HIGH)
}

/// Whether a growth is worth an alarm.
fn presses(growth: &Growth, time: &TimeToFailure) -> bool {
    time.expected <= HORIZON.as_seconds_f64() && growth.level >= FULL && is_new(growth)
}

fn evidence(source: &str, says: String, at: Timestamp) -> Evidence {
    Evidence::new(source, says, Some(at))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn span(seconds: f64) -> String {
    short(TimeDelta::seconds(seconds.clamp(0.0, 1e9) as i64))
}

/// The evidence of a growth and when it ends.
fn grows(what: &str, growth: &Growth, at: Timestamp) -> Option<(Vec<Evidence>, TimeToFailure)> {
    let (trend, time) = (growth.trend?, growth.reaches()?);
    let pace = |v: f64| format!("{:.2}", v * 6000.0);
    let says = format!(
        "{} of its limit, rising {} % a minute over {} (95 %: {} to {}); full in {} (earliest {}, latest {})",
        percent(growth.level),
        pace(trend.slope),
        span(growth.seconds),
        pace(trend.low),
        pace(trend.high),
        span(time.expected),
        span(time.earliest),
        span(time.latest),
    );
    Some((vec![evidence(what, says, at)], time))
}

/// Memory that grows: a leak, or load that explains it.
fn memory(sight: &Sight, at: Timestamp) -> [Option<Pattern>; 2] {
    // After a kill the same growth ends the same way.
    let killed = sight.restarts.is_some_and(|n| n > 0.0);
    let growth = sight.memory.filter(|growth| is_new(growth) || killed);
    let seen = growth.and_then(|growth| Some((growth, grows("memory of its fullest container", &growth, at)?)));
    let Some((growth, (mut facts, time))) = seen else { return [None, None] };
    let pace = growth.trend.map_or(0.0, |t| t.slope / growth.level.max(f64::MIN_POSITIVE));
    let requests = sight.level(Signal::RequestRate).now;
    let load = sight.coming.zip(requests).filter(|(t, now)| t.rises() && *now > 0.0);
    let coming = load.map_or(0.0, |(t, now)| t.slope / now);
    let alarm = presses(&growth, &time) || killed && growth.level >= FULL;
    if coming >= pace * TRAFFIC && coming > 0.0 {
        facts.push(evidence("requests", format!("they rise as well, by {} a minute", percent(coming * 60.0)), at));
        return [
            None,
            Some(Pattern {
                kind: PatternKind::ResourceExhaustion,
                evidence: facts,
                time_to_failure: Some(time),
                alarm,
            }),
        ];
    }
    let says = requests.map_or("not measured: whether load explains it cannot be told", |_| "they do not explain it");
    facts.push(evidence("requests", says.to_owned(), at));
    [Some(Pattern { kind: PatternKind::MemoryLeak, evidence: facts, time_to_failure: Some(time), alarm }), None]
}

/// CPU that runs out, or requests that pile up.
fn cpu(sight: &Sight, at: Timestamp) -> Option<Pattern> {
    let mut facts = Vec::new();
    let (mut time, mut alarm) = (None, false);
    if let Some(growth) = &sight.cpu {
        if let Some((seen, left)) =
            grows("cpu of all pods", growth, at).filter(|_| growth.level >= FULL && is_new(growth))
        {
            facts.extend(seen);
            let soon = growth.level >= BUSY && left.expected <= BELIEVED.as_seconds_f64();
            alarm |= soon && presses(growth, &left);
            time = Some(left);
        }
        if growth.level >= AT_LIMIT {
            facts.push(evidence(
                "cpu of all pods",
                format!("{} of its limit: it is throttled", percent(growth.level)),
                at,
            ));
            alarm = true;
        }
    }
    let (open, load) = (sight.level(Signal::Connections), sight.level(Signal::RequestRate));
    if let (Some(piled), Some(trend), Some(now)) = (open.ratio(), sight.piling, open.now)
        && piled >= PILE
        && trend.rises()
        && now >= PILE
        && load.ratio().is_none_or(|more| more <= MORE_LOAD)
    {
        let says = format!(
            "{now:.0} in flight, {piled:.1} times the usual, while requests come {:.1} times as fast",
            load.ratio().unwrap_or(1.0)
        );
        facts.push(evidence("requests in flight", says, at));
        alarm = true;
    }
    (!facts.is_empty()).then_some(Pattern {
        kind: PatternKind::ResourceExhaustion,
        evidence: facts,
        time_to_failure: time,
        alarm,
    })
}

/// What makes it fail by its trends, told: `None` unless that is soon, it is worse than healthy already, and not yet failed.
fn decline(sight: &Sight, at: Timestamp) -> Option<(Evidence, TimeToFailure)> {
    let (signal, time) = sight.worsens?;
    let degraded = sight.state == Some(State::Degraded);
    let now = sight.level(signal).now?;
    let what = if signal == Signal::ErrorRate { percent(now) } else { format!("{now:.2} s") };
    let says = format!("{what} and rising; unhealthy in {} (earliest {})", span(time.expected), span(time.earliest));
    (degraded && time.expected <= HORIZON.as_seconds_f64()).then(|| (evidence(signal.title(), says, at), time))
}

/// It declines, and nothing it calls explains that: something of its own runs out.
fn worsens(sight: &Sight, around: &Around, at: Timestamp) -> Option<Pattern> {
    if around.callees.iter().any(|c| c.state.is_some_and(|s| s >= State::Degraded)) {
        return None;
    }
    let (fact, time) = decline(sight, at)?;
    Some(Pattern {
        kind: PatternKind::ResourceExhaustion,
        evidence: vec![fact],
        time_to_failure: Some(time),
        alarm: true,
    })
}

/// Something it calls fails, or declines together with it.
fn dependency(sight: &Sight, around: &Around, at: Timestamp) -> Option<Pattern> {
    let mut facts = Vec::new();
    let mut lost = 0.0;
    let (mut declines, mut gone) = (false, false);
    for callee in &around.callees {
        let failed = callee.failed.filter(|share| *share >= FAILED_CALLS);
        let state = callee.state.filter(|s| *s >= State::Degraded);
        if failed.is_none() && state.is_none() && !callee.gone {
            continue;
        }
        gone |= callee.gone;
        lost += failed.unwrap_or(0.0) * callee.per_request.unwrap_or(1.0);
        declines |= callee.worsens;
        let calls = failed
            .map_or_else(|| "calls still get through".to_owned(), |f| format!("{} of the calls fail", percent(f)));
        let word = match callee.state {
            _ if callee.gone => "scaled to zero",
            state => state.map_or("not measured", State::word),
        };
        facts.push(evidence(&format!("calls to {}", callee.key), format!("it is {word}; {calls}"), at));
    }
    let decline = decline(sight, at).filter(|_| declines);
    let time_to_failure = decline.as_ref().map(|(_, time)| *time);
    // Who has been degraded by it for minutes and stays so lives with it: only who is about to feel it is told.
    let new = (gone || lost >= FAILED_CALLS) && sight.state == Some(State::Healthy);
    let alarm = new || decline.is_some();
    (!facts.is_empty()).then(|| {
        facts.extend(decline.map(|(fact, _)| fact));
        Pattern { kind: PatternKind::DependencyFailure, evidence: facts, time_to_failure, alarm }
    })
}

/// A failure two calls away that has already reached the workload between.
fn cascade(sight: &Sight, around: &Around, at: Timestamp) -> Option<Pattern> {
    let reached = around.callees.iter().filter(|c| c.state.is_some_and(|s| s >= State::Degraded));
    let facts: Vec<Evidence> = reached
        .clone()
        .filter_map(|c| {
            let (root, state) = c.behind.as_ref()?;
            let says = format!("it is {} and calls {root}, which is {}", c.state?.word(), state.word());
            Some(evidence(&format!("calls to {}", c.key), says, at))
        })
        .collect();
    // It climbs on as long as the workload between gets worse.
    let climbs = reached.clone().any(|c| c.behind.is_some() && c.worsens);
    (!facts.is_empty()).then(|| Pattern {
        kind: PatternKind::CascadingFailure,
        evidence: facts,
        time_to_failure: None,
        alarm: climbs && !sight.fails(),
    })
}

#[cfg(test)]
#[path = "rules_test.rs"]
mod tests;
