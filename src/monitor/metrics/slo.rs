//! Error ratios of the configured SLOs over the windows of the SRE workbook, from raw counters.
//!
//! Short windows are asked every minute, long ones less often (they move slowly and cost more). Whether the
//! counters behind them are still alive is asked every time: a ratio of a dead counter is stale.

use super::pods::name_pattern;
use super::queries::matching;
use super::sums::Clock;
use crate::config::settings::{Indicator, Slo};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::reading::Reading;
use crate::model::snapshot::{SLO_WINDOWS, SloReadings};
use crate::model::time::Timestamp;
use crate::monitor::prometheus::answer::Sample;
use crate::monitor::prometheus::families::Requests;
use crate::monitor::prometheus::profile::{Profile, escape, join};
use crate::monitor::prometheus::{PromClient, PromError};
use chrono::TimeDelta;
use std::sync::Arc;

/// One SLO with what is known of it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// As published.
    pub readings: SloReadings,
    /// When each window, and last the period, was asked.
    asked: [Option<Timestamp>; 8],
    /// Oldest sample known, unix seconds.
    oldest: Option<f64>,
}

impl Kept {
    /// Nothing known yet.
    pub fn new(slo: &Slo) -> Self {
        let unasked = || Reading::Failed { why: "not asked yet".into() };
        Self {
            readings: SloReadings {
                name: slo.name.as_str().into(),
                bad: std::array::from_fn(|_| unasked()),
                period: (unasked(), f64::from(slo.days) * 86_400.0),
                events: unasked(),
            },
            asked: [None; 8],
            oldest: None,
        }
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Reading> {
        let r = &mut self.readings;
        r.bad.iter_mut().chain([&mut r.period.0, &mut r.events])
    }

    /// What was fresh is not any more: Prometheus, or the counter, is gone. `limit`: values younger stay.
    pub fn age(&mut self, now: Timestamp, limit: TimeDelta) {
        for reading in self.each() {
            if let Some((value, at)) = reading.last()
                && now.signed_duration_since(at) > limit
            {
                *reading = Reading::Stale { value, at };
            }
        }
    }

    /// The counter is not there: what was known ages, and there is nothing to ask for.
    fn gone(&mut self, now: Timestamp, limit: TimeDelta) {
        self.age(now, limit);
        self.each().filter(|r| matches!(r, Reading::Failed { .. })).for_each(|r| *r = Reading::Absent);
    }

    fn fail(&mut self, why: &str) {
        let why: Arc<str> = why.into();
        for reading in self.each() {
            *reading = Reading::Failed { why: why.clone() };
        }
        self.asked = [None; 8];
    }
}

/// Seconds until a window of `seconds` is asked again: a minute at least, half an hour at most.
fn cadence(seconds: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(seconds / 120).clamp(60, 1800))
}

/// How the ratio is asked; `$window` stands for the range.
#[derive(Debug, Clone, PartialEq)]
struct Ratio {
    /// Bad events per second, or good ones if `bad_is_good`.
    part: String,
    bad_is_good: bool,
    total: String,
    /// Selectors of the counter behind it, for its age; empty for own queries, which cannot be asked for it.
    counters: Vec<String>,
}

/// How far back is asked. Days take seconds on a busy server, so the hours of all SLOs are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Windows of up to six hours.
    Hours,
    /// All windows and the whole period.
    Period,
}

/// Longest window of [`Reach::Hours`], seconds.
const HOURS: u32 = 21_600;

/// Asks what is due of one SLO. Never fails: what goes wrong is in the readings.
pub async fn refresh(
    client: &PromClient,
    profile: &Profile,
    slo: &Slo,
    mut kept: Kept,
    reach: Reach,
    now: Timestamp,
) -> Kept {
    let ratio = match plan(client, profile, slo, now).await {
        Ok(Some(ratio)) => ratio,
        Ok(None) => {
            // No counter (any more): what was known grows old, what was not is absent.
            kept.gone(now, profile.fresh_for());
            return kept;
        }
        Err(why) => {
            kept.fail(&why);
            return kept;
        }
    };
    let clock = Clock { now, fresh_for: profile.fresh_for() };
    let at = match sampled(client, &ratio, now).await {
        Ok(at) => at,
        Err(e) => {
            kept.fail(&e.to_string());
            return kept;
        }
    };
    if now.signed_duration_since(at) > clock.fresh_for {
        // At once, however young the last answer is: the counter behind it is dead.
        kept.gone(now, TimeDelta::zero());
        return kept;
    }
    for (i, (name, seconds)) in SLO_WINDOWS.iter().enumerate() {
        if (reach == Reach::Hours && *seconds > HOURS) || !due(kept.asked[i], cadence(*seconds), now) {
            continue;
        }
        let (bad, total) = ask(client, &ratio, name, at, clock).await;
        kept.readings.bad[i] = bad;
        if i == 0 {
            kept.readings.events = total;
        }
        kept.asked[i] = Some(now);
    }
    let days = slo.days.max(1);
    if reach == Reach::Period && due(kept.asked[7], cadence(days * 86_400), now) {
        kept.oldest = oldest(client, &ratio, days).await.or(kept.oldest);
        let held = kept.oldest.map(|t| now.timestamp() as f64 - t).or(profile.retention_s);
        let seconds = held.unwrap_or(f64::INFINITY).clamp(60.0, f64::from(days) * 86_400.0);
        let (bad, _) = ask(client, &ratio, &format!("{}s", seconds as u64), at, clock).await;
        kept.readings.period = (bad, seconds);
        kept.asked[7] = Some(now);
    }
    kept
}

fn due(asked: Option<Timestamp>, cadence: TimeDelta, now: Timestamp) -> bool {
    asked.is_none_or(|at| now.signed_duration_since(at) >= cadence)
}

/// The share of bad events over a window, and events per second.
async fn ask(client: &PromClient, r: &Ratio, window: &str, at: Timestamp, clock: Clock) -> (Reading, Reading) {
    let (part, total) = (r.part.replace("$window", window), r.total.replace("$window", window));
    let (part, total) = futures::future::join(client.query(&part), client.query(&total)).await;
    let (part, total) = match (part, total) {
        (Ok(p), Ok(t)) => (sum(&p.data), sum(&t.data)),
        (Err(e), _) | (_, Err(e)) => {
            let failed = Reading::Failed { why: e.to_string().into() };
            return (failed.clone(), failed);
        }
    };
    let Some(total) = total else { return (Reading::Absent, Reading::Absent) };
    let events = Reading::from_sample(total, at, clock.now, clock.fresh_for);
    if total == 0.0 {
        // No events, so no share of them: unknown, not zero.
        return (Reading::Absent, events);
    }
    // The total is there and this part of it is not: nothing of the kind happened.
    let part = part.unwrap_or(0.0);
    let bad = if r.bad_is_good { total - part } else { part };
    let share = (bad / total).clamp(0.0, 1.0);
    (Reading::from_sample(share, at, clock.now, clock.fresh_for), events)
}

fn sum(samples: &[Sample]) -> Option<f64> {
    samples.iter().filter_map(|s| s.value.float()).reduce(|a, b| a + b)
}

/// When the counter behind the ratio was last sampled, on our clock.
async fn sampled(client: &PromClient, r: &Ratio, now: Timestamp) -> Result<Timestamp, PromError> {
    let mut youngest: Option<f64> = None;
    for counter in &r.counters {
        for s in client.query(&format!("max(timestamp({counter}))")).await?.data {
            let age = s.at.timestamp_millis() as f64 / 1000.0 - s.value.float().unwrap_or(0.0);
            youngest = Some(youngest.map_or(age, |y| y.min(age)).max(0.0));
        }
    }
    Ok(match (youngest, r.counters.is_empty()) {
        (Some(age), _) => now - TimeDelta::milliseconds((age.min(1e9) * 1000.0) as i64),
        (None, true) => now,
        (None, false) => Timestamp::UNIX_EPOCH,
    })
}

/// The oldest sample within the period, at a resolution of an hour.
async fn oldest(client: &PromClient, r: &Ratio, days: u32) -> Option<f64> {
    let mut oldest: Option<f64> = None;
    for counter in &r.counters {
        let found = client.query(&format!("min(min_over_time(timestamp({counter})[{days}d:1h]))")).await.ok()?;
        let value = found.data.first().and_then(|s| s.value.float()).filter(|v| v.is_finite());
        oldest = match (oldest, value) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    oldest
}

/// Finds the counters of an SLO. `None`: no family knows its workload. The error is for people.
async fn plan(client: &PromClient, profile: &Profile, slo: &Slo, now: Timestamp) -> Result<Option<Ratio>, String> {
    if let Indicator::Query { bad, total } = &slo.indicator {
        let (part, total) = (bad.clone(), total.clone());
        return Ok(Some(Ratio { part, bad_is_good: false, total, counters: Vec::new() }));
    }
    let key = workload(&slo.workload).ok_or_else(|| {
        format!("slo {:?}: workload {:?} must be written namespace/Kind/name", slo.name, slo.workload)
    })?;
    for family in &profile.requests {
        let selectors = selectors(family, &key, profile.cluster.as_deref().unwrap_or_default());
        let counters: Vec<String> = selectors.iter().map(|s| format!("{}{{{s}}}", family.total)).collect();
        let count = format!("count({})", counters.join(" or "));
        if client.query(&count).await.map_err(|e| e.to_string())?.data.is_empty() {
            continue;
        }
        return match &slo.indicator {
            Indicator::Errors => errors(family, &selectors, counters).map(Some),
            Indicator::LatencyAbove(limit) => {
                latency(client, family, &selectors, counters, *limit, now).await.map(Some)
            }
            Indicator::Query { .. } => Ok(None),
        };
    }
    Ok(None)
}

/// Matchers that pick one workload's series.
fn selectors(family: &Requests, key: &WorkloadKey, cluster: &str) -> Vec<String> {
    let pattern = if family.by.pod { name_pattern(key) } else { escape(&key.name) };
    let sets = matching(&family.by, &key.namespace, &pattern);
    sets.iter().map(|s| join([family.selector.as_str(), s, cluster])).collect()
}

fn rate(metric: &str, selectors: &[String], extra: &str) -> String {
    let rates: Vec<String> =
        selectors.iter().map(|s| format!("rate({metric}{{{}}}[$window])", join([s.as_str(), extra]))).collect();
    format!("sum({})", rates.join(" or "))
}

fn errors(family: &Requests, selectors: &[String], counters: Vec<String>) -> Result<Ratio, String> {
    let Some(bad) = &family.bad else {
        return Err(format!("{} has no label that tells failed requests: use a query indicator", family.total));
    };
    let part = rate(&family.total, selectors, bad);
    Ok(Ratio { part, bad_is_good: false, total: rate(&family.total, selectors, ""), counters })
}

async fn latency(
    client: &PromClient,
    family: &Requests,
    selectors: &[String],
    counters: Vec<String>,
    limit: f64,
    now: Timestamp,
) -> Result<Ratio, String> {
    let Some((bucket, unit)) = &family.bucket else {
        return Err(format!("{} has no histogram beside it: use a query indicator", family.total));
    };
    let mut bounds = Vec::new();
    for s in selectors {
        let (metric, from) = (format!("{bucket}{{{s}}}"), now - TimeDelta::minutes(10));
        bounds.extend(client.label_values("le", Some(&metric), from, now).await.map_err(|e| e.to_string())?.data);
    }
    let close = |le: &str| le.parse::<f64>().is_ok_and(|b| (b * unit - limit).abs() <= 1e-9 * limit.abs().max(1e-9));
    let mut found: Vec<&str> = bounds.iter().map(String::as_str).filter(|le| close(le)).collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        bounds.sort_by(|a, b| a.parse().unwrap_or(f64::NAN).total_cmp(&b.parse().unwrap_or(f64::NAN)));
        bounds.dedup();
        return Err(format!(
            "{bucket} has no bound at {limit} s, so that slower requests cannot be counted; its bounds are {} (unit {unit} s): use one of them",
            bounds.join(", ")
        ));
    }
    let le = format!("le=~\"{}\"", found.iter().map(|f| escape(f)).collect::<Vec<_>>().join("|"));
    let part = rate(bucket, selectors, &le);
    Ok(Ratio { part, bad_is_good: true, total: rate(bucket, selectors, "le=\"+Inf\""), counters })
}

/// `namespace/Kind/name`.
fn workload(text: &str) -> Option<WorkloadKey> {
    let mut parts = text.split('/');
    let (namespace, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && ![namespace, kind, name].contains(&"");
    whole.then(|| WorkloadKey::new(namespace, WorkloadKind::from_kind(kind), name))
}

#[cfg(test)]
#[path = "slo_test.rs"]
mod tests;
