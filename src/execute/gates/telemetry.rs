//! Gates on what is known: fresh, complete, and still true. Missing is not zero.

use super::Context;
use crate::execute::work::Work;
use crate::model::action::Refusal;
use crate::model::finding::{Fault, Subject};
use crate::model::series::Signal;
use crate::model::snapshot::{SourceState, Targets};
use crate::model::time::age;
use chrono::TimeDelta;

const WAIT: &str = "wait until the data is fresh again";

/// G1: the API server answers, the kinds the plan rests on are fresh, and so are the metrics where the fault
/// rests on metrics. Holds for persons too: what they read would be old.
pub(super) fn g01_telemetry_is_fresh(c: &Context<'_>) -> Vec<Refusal> {
    let snapshot = c.request.snapshot;
    let mut reasons = Vec::new();
    let mut check = |what: &str, state: &SourceState, limit: TimeDelta| {
        if !state.is_fresh(c.request.now, limit) {
            reasons.push(Refusal::new("g01", stale(what, state, c), WAIT));
        }
    };
    let limit = limit(c);
    check("the API server", &snapshot.api.state, limit);
    check("pods", snapshot.source("pods"), limit);
    match &c.request.item.proposal.subject {
        Subject::Workload(key) => match key.kind.resource() {
            Some(r) if r.plural != "pods" && r.plural != "cronjobs" => {
                check(&r.plural, snapshot.source(&r.plural), limit);
            }
            _ => {}
        },
        Subject::Node(_) | Subject::Cluster => check("nodes", snapshot.source("nodes"), limit),
    }
    if rests_on_metrics(&c.request.item.proposal.fault) {
        check("Prometheus", &snapshot.metrics.state, metrics_limit(c));
    }
    reasons
}

/// G1: whatever makes something smaller needs positive proof that the measuring itself works: fresh readings
/// of this very workload, not only a backend that answers.
pub(super) fn g01_shrinking_needs_proof(c: &Context<'_>) -> Vec<Refusal> {
    if !c.touches().shrinks {
        return Vec::new();
    }
    let refuse = |why: String| vec![Refusal::new("g01", why, "nothing is made smaller without fresh proof of its use")];
    if !c.request.snapshot.metrics.state.is_fresh(c.request.now, metrics_limit(c)) {
        return refuse(stale("Prometheus", &c.request.snapshot.metrics.state, c));
    }
    let metrics = c.request.item.proposal.workload().and_then(|key| c.request.snapshot.metrics.workloads.get(key));
    let Some(metrics) = metrics else {
        return refuse("the use of this workload is not measured".into());
    };
    let unproven: Vec<&str> = [(Signal::Cpu, "CPU"), (Signal::Memory, "memory")]
        .into_iter()
        .filter(|(signal, _)| metrics.now(*signal).fresh().is_none())
        .map(|(_, name)| name)
        .collect();
    if unproven.is_empty() { Vec::new() } else { refuse(format!("no fresh reading of {}", unproven.join(" and "))) }
}

/// G3: the trigger is still there. (Target and plan are compared again right before the write.)
pub(super) fn g03_trigger_still_holds(c: &Context<'_>) -> Vec<Refusal> {
    let proposal = &c.request.item.proposal;
    if c.request.findings.iter().any(|f| f.id == proposal.finding) {
        return Vec::new();
    }
    vec![Refusal::new("g03", format!("{} is no longer found", proposal.finding), "nothing: the trouble is gone")]
}

/// G22: automation stands back when what it depends on is slow or tells another time. A person may act then:
/// a slow API server is often the very thing being repaired.
pub(super) fn g22_own_dependencies_are_healthy(c: &Context<'_>) -> Vec<Refusal> {
    if !c.auto() {
        return Vec::new();
    }
    let api = &c.request.snapshot.api;
    let mut reasons = Vec::new();
    match api.latency_ms {
        Some(ms) if ms <= c.settings.api_latency_ms => {}
        Some(ms) => reasons.push(Refusal::new(
            "g22",
            format!("the API server takes {ms:.0} ms, the limit is {:.0} ms", c.settings.api_latency_ms),
            "wait, or approve it yourself",
        )),
        None => {
            reasons.push(Refusal::new("g22", "the API server's latency is not known", "wait, or approve it yourself"));
        }
    }
    match api.clock_skew_s {
        Some(s) if s.abs() <= c.settings.clock_skew_s => {}
        Some(s) => reasons.push(Refusal::new(
            "g22",
            format!("the clocks differ by {s:.0} s, the limit is {:.0} s", c.settings.clock_skew_s),
            "set the clock of this machine or of the server",
        )),
        None => reasons.push(Refusal::new("g22", "the server's clock is not known", "wait, or approve it yourself")),
    }
    if api.throttled >= c.settings.throttled {
        let why = format!(
            "the API server throttled {} requests in the last minute, the limit is {}",
            api.throttled, c.settings.throttled
        );
        reasons.push(Refusal::new("g22", why, "wait, or approve it yourself"));
    }
    reasons.extend(blind(c));
    reasons
}

/// Exporters that are down, where the fault was concluded from their numbers or nothing is broken at all. What is read
/// off the API is healed all the same: a node that died takes its exporter with it.
fn blind(c: &Context<'_>) -> Vec<Refusal> {
    let proposal = &c.request.item.proposal;
    if !rests_on_metrics(&proposal.fault) && Work::of(proposal) == Work::Healing {
        return Vec::new();
    }
    let many = |t: &&Targets| f64::from(t.down) > f64::from(t.all) * c.settings.targets_down;
    let told = |t: &Targets| {
        let why = format!("{} of {} targets of {} are down", t.down, t.all, t.name);
        Refusal::new("g22", why, "wait until they are scraped again")
    };
    c.request.snapshot.metrics.targets.iter().filter(many).map(told).collect()
}

/// Whether the fault itself was concluded from metrics.
pub(in crate::execute) fn rests_on_metrics(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Leak { .. }
            | Fault::Regression { .. }
            | Fault::ConfigEdit { .. }
            | Fault::Saturated { .. }
            | Fault::Missized { .. }
            | Fault::SloBurn { .. }
            | Fault::OomNode { .. }
    )
}

fn limit(c: &Context<'_>) -> TimeDelta {
    TimeDelta::from_std(c.settings.stale_after).unwrap_or(TimeDelta::zero())
}

/// Metrics arrive once a step: two steps without an answer is stale, however short the limit.
fn metrics_limit(c: &Context<'_>) -> TimeDelta {
    limit(c).max(TimeDelta::seconds(2 * i64::from(c.request.snapshot.metrics.step)))
}

fn stale(what: &str, state: &SourceState, c: &Context<'_>) -> String {
    let now = c.request.now;
    match state {
        SourceState::Denied { why } => format!("{what}: not readable ({why})"),
        SourceState::NotServed => format!("{what}: not served or turned off"),
        SourceState::Failed { why, last, .. } => match last {
            Some(last) => format!("{what}: lost, last heard of {} ago ({why})", age(now, *last)),
            None => format!("{what}: lost ({why})"),
        },
        SourceState::Live { last } => format!("{what}: last heard of {} ago", age(now, *last)),
        SourceState::Unknown | SourceState::Syncing { .. } => format!("{what}: nothing known yet"),
    }
}
