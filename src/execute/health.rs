//! Health of a target at one moment, and what got worse since: plain functions over snapshots.

use super::touches::Touches;
use crate::model::action::Health;
use crate::model::cluster::{PdbRow, Workload};
use crate::model::finding::{Fault, Finding};
use crate::model::object::PodKey;
use crate::model::plan::Proposal;
use crate::model::pod::{ContainerRow, PodRow, Terminated};
use crate::model::series::Signal;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Restarts of one workload's pods that count as harm.
const RESTARTS: u32 = 2;
/// Growth of p99 that counts as harm, together with errors.
const P99_FACTOR: f64 = 1.2;
/// Share of CPU periods from which being held back is harm, and the growth that is harm below that.
const THROTTLED: f64 = 0.5;
const THROTTLED_MORE: f64 = 0.2;
/// The factor of the burn-rate alarm on 5 minutes and an hour (Google SRE workbook).
const FAST_BURN: f64 = 14.4;
/// Share of failed requests above which growing errors count as harm (P8 calls more than 1 % an error state).
const ERRORS: f64 = 0.01;

/// What later moments are compared with.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Baseline {
    /// Health just before the write.
    pub before: Health,
    /// Restarts per pod then.
    pub restarts: HashMap<Box<str>, u32>,
    /// Why the controller was stuck then, if it was.
    pub was_stuck: bool,
    /// When the last step was written.
    pub written: Option<Timestamp>,
    /// Generation that the last step made; 0 if unknown.
    pub generation: i64,
}

impl Baseline {
    /// Taken just before the first write.
    pub(super) fn take(proposal: &Proposal, snapshot: &Snapshot, before: Health) -> Self {
        let workload = proposal.workload().and_then(|key| snapshot.workload(key));
        let restarts =
            workload.map(|w| w.pods.iter().map(|p| (p.uid.clone(), p.restarts())).collect()).unwrap_or_default();
        Self { before, restarts, was_stuck: workload.is_some_and(|w| w.stuck.is_some()), written: None, generation: 0 }
    }
}

/// Whether pods can be judged by this snapshot: the API answers and the watch of pods is alive.
pub(super) fn fresh(snapshot: &Snapshot, now: Timestamp, limit: TimeDelta) -> bool {
    snapshot.api.state.is_fresh(now, limit) && snapshot.source("pods").is_fresh(now, limit)
}

/// Health of the proposal's target. What cannot be read is `None`.
pub(super) fn of(
    proposal: &Proposal,
    snapshot: &Snapshot,
    findings: &[Arc<Finding>],
    now: Timestamp,
    limit: TimeDelta,
) -> Health {
    if !fresh(snapshot, now, limit) {
        return Health { at: Some(now), ..Health::default() };
    }
    let workload = proposal.workload().and_then(|key| snapshot.workload(key));
    let metrics = proposal.workload().and_then(|key| snapshot.metrics.workloads.get(key));
    Health {
        at: Some(now),
        desired: workload.map(|w| w.replicas.desired),
        available: workload.map(|w| w.replicas.available),
        restarts: workload.map(|w| w.restarts()),
        oom_kills: workload.map(|w| w.pods.iter().map(|p| oom_kills(p, None)).sum()),
        error_rate: metrics.and_then(|m| m.now(Signal::ErrorRate).fresh()),
        p99_s: metrics.and_then(|m| m.now(Signal::LatencyP99).fresh()),
        throttled: workload.and_then(|w| throttled(w, snapshot, now, limit)),
        budgets: BTreeMap::new(),
        finding_present: present(proposal, snapshot, findings, now, limit),
        gone_since: None,
    }
}

/// How much the pod of a workload that is held back most is; `None` if none has a limit, or nothing fresh is known.
fn throttled(workload: &Workload, snapshot: &Snapshot, now: Timestamp, limit: TimeDelta) -> Option<f64> {
    let limit = limit.max(TimeDelta::seconds(2 * i64::from(snapshot.metrics.step)));
    let shares = workload.live_pods().filter_map(|p| {
        let key = PodKey { namespace: p.namespace.clone(), name: (*p.name).into() };
        let usage = snapshot.metrics.pods.get(&key).filter(|u| now - u.at <= limit)?;
        usage.throttled.map(f64::from)
    });
    shares.reduce(f64::max)
}

/// What budgets of these names allow now.
pub(super) fn allowed(proposal: &Proposal, names: &[Arc<str>], snapshot: &Snapshot) -> BTreeMap<Arc<str>, u32> {
    let rows = rows(proposal, snapshot).filter(|b| names.contains(&b.name));
    rows.map(|b| (b.name.clone(), b.allowed)).collect()
}

/// Budgets of the target's namespace, as far as they are watched.
fn rows<'a>(proposal: &'a Proposal, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Arc<PdbRow>> {
    let namespace = proposal.workload().map(|key| &key.namespace);
    snapshot.pdbs.iter().filter(move |b| namespace == Some(&b.namespace))
}

/// A budget that allowed disruptions before and allows none now, because pods are missing and not because an autoscaler wants
/// fewer. It is judged once the rollout is complete: while pods move, a budget is used up rightly.
pub(super) fn used_up(proposal: &Proposal, base: &Baseline, snapshot: &Snapshot) -> Option<String> {
    let desired = snapshot.workload(proposal.workload()?)?.replicas.desired;
    let fell = |b: &&Arc<PdbRow>| {
        base.before.budgets.get(&b.name).is_some_and(|before| *before > 0) && b.allowed == 0 && b.healthy < desired
    };
    let budget = rows(proposal, snapshot).find(fell)?;
    Some(format!(
        "disruption budget {} allows none any more ({} of {desired} pods are healthy)",
        budget.name, budget.healthy
    ))
}

/// Whether the trigger still holds; `None` if the data it is concluded from is not fresh.
fn present(
    proposal: &Proposal,
    snapshot: &Snapshot,
    findings: &[Arc<Finding>],
    now: Timestamp,
    limit: TimeDelta,
) -> Option<bool> {
    let metrics_limit = limit.max(TimeDelta::seconds(2 * i64::from(snapshot.metrics.step)));
    if super::gates::rests_on_metrics(&proposal.fault) && !snapshot.metrics.state.is_fresh(now, metrics_limit) {
        return None;
    }
    Some(findings.iter().any(|f| f.id == proposal.finding))
}

/// What got worse so badly that waiting is wrong. `None` if nothing did.
pub(super) fn immediate_harm(proposal: &Proposal, base: &Baseline, snapshot: &Snapshot) -> Option<String> {
    let written = base.written?;
    let workload = snapshot.workload(proposal.workload()?)?;
    if !base.was_stuck
        && workload.observed_generation >= base.generation
        && let Some((reason, message)) = &workload.stuck
    {
        return Some(format!("the rollout does not progress: {reason}: {message}"));
    }
    // Pods of the old template are on their way out: what they still suffer is the trouble being cured.
    let replaces = Touches::of(&proposal.plan).template;
    let judged = || workload.pods.iter().filter(move |p| !p.deleting && (!replaces || p.created >= written));
    if !out_of_memory(&proposal.fault) {
        let kills: u32 = judged().map(|p| oom_kills(p, Some(written))).sum();
        if kills > 0 {
            return Some(format!("{kills} containers were killed for memory since the write"));
        }
    }
    if !crashing(&proposal.fault) {
        let since = |p: &PodRow| p.restarts().saturating_sub(base.restarts.get(&p.uid).copied().unwrap_or(0));
        let restarts: u32 = judged().map(|p| since(p)).sum();
        if restarts >= RESTARTS {
            return Some(format!("{restarts} restarts since the write"));
        }
    }
    None
}

/// Pods that are held back at their CPU limit much more than before, judged only after settling (§2.4).
pub(super) fn held_back(before: &Health, after: &Health) -> Option<String> {
    let (was, is) = (before.throttled?, after.throttled?);
    let worse = is - was > THROTTLED_MORE || (is > THROTTLED && was <= THROTTLED);
    worse.then(|| {
        format!(
            "a pod is held back at its CPU limit in {:.0} % of all periods ({:.0} % before)",
            is * 100.0,
            was * 100.0
        )
    })
}

/// Requests that got worse, judged only after settling, so that the rate windows hold nothing from before.
pub(super) fn settled_harm(before: &Health, after: &Health) -> Option<String> {
    let (p99, p99_now) = (before.p99_s?, after.p99_s?);
    let (errors, errors_now) = (before.error_rate?, after.error_rate?);
    (p99_now > p99 * P99_FACTOR && errors_now > ERRORS && errors_now > errors).then(|| {
        format!(
            "p99 went from {p99:.3} s to {p99_now:.3} s and failed requests from {:.1} % to {:.1} %",
            errors * 100.0,
            errors_now * 100.0
        )
    })
}

/// An objective of the target that burns fast (5 min and 1 h) and did not before the write; judged only after settling, when
/// the short window holds nothing from before.
pub(super) fn fast_burn(proposal: &Proposal, base: &Baseline, findings: &[Arc<Finding>]) -> Option<String> {
    let written = base.written?;
    findings.iter().filter(|f| f.subject == proposal.subject && f.since > written).find_map(|f| match &f.fault {
        Fault::SloBurn { slo, burn, factor, .. } if *factor >= FAST_BURN => {
            Some(format!("objective {slo} burns {burn:.0} times too fast since the write"))
        }
        _ => None,
    })
}

/// Pods that must be available: as many as before, or as many as are wanted now.
pub(super) fn wanted(base: &Baseline, workload: &Workload) -> u32 {
    base.before.available.unwrap_or(workload.replicas.desired).min(workload.replicas.desired)
}

/// Whether the controller has seen the change and finished it.
pub(super) fn rolled_out(base: &Baseline, workload: &Workload) -> bool {
    let r = workload.replicas;
    workload.observed_generation >= base.generation.max(workload.generation)
        && r.updated >= r.desired
        && r.available >= r.desired
        && r.current <= r.desired
}

/// Kills for memory that a pod's containers report, since a moment or at all.
fn oom_kills(pod: &PodRow, since: Option<Timestamp>) -> u32 {
    let killed = |t: &Terminated| &*t.reason == "OOMKilled" && since.is_none_or(|s| t.finished.is_some_and(|f| f >= s));
    let count = |c: &ContainerRow| {
        c.trouble.as_ref().map_or(0, |t| t.terminated.iter().chain(&t.last).filter(|t| killed(t)).count() as u32)
    };
    pod.containers.iter().map(count).sum()
}

/// Faults whose own symptom are kills for memory: a further one says "not cured", not "made worse".
fn out_of_memory(fault: &Fault) -> bool {
    matches!(fault, Fault::OomContainer { .. } | Fault::OomNode { .. } | Fault::Leak { .. })
}

/// Faults whose own symptom are restarts.
fn crashing(fault: &Fault) -> bool {
    out_of_memory(fault)
        || matches!(
            fault,
            Fault::BadRelease { .. } | Fault::CrashLoop { .. } | Fault::LivenessKills { .. } | Fault::Dependency { .. }
        )
}
