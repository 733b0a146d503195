//! Releases that Kubernetes calls a success and users do not: every pod is ready, and requests fail or wait since the newest
//! revision took over.
//!
//! It is claimed only where nothing else is to blame: the older revision was seen healthy, its template was another one (a
//! restart changes nothing that a rollback could bring back), the requests were well before, they are bad in every one of the
//! last samples, the load is not larger, and nothing that it calls is in trouble itself.

use super::case::{Draft, Scene};
use crate::model::cluster::{Revision, Workload};
use crate::model::finding::{Evidence, Fault, Severity, Subject};
use crate::model::object::WorkloadKind;
use crate::model::series::Signal;
use crate::model::snapshot::WorkloadMetrics;
use crate::model::time::{Timestamp, age};
use chrono::TimeDelta;

/// A release older than this is not blamed for what begins now.
const RECENT: TimeDelta = TimeDelta::minutes(60);
/// Samples right after a rollout mix both revisions.
const MIXED: TimeDelta = TimeDelta::seconds(45);
/// What was usual before is read from this long before the release.
const BEFORE: TimeDelta = TimeDelta::minutes(15);
/// So many samples in a row must be bad, the newest among them…
const BAD: usize = 4;
/// …and so many must be known from before.
const KNOWN: usize = 8;
/// Share of failed requests from which errors count (A3's bound of a failing service), and how much more than before.
const ERRORS: f64 = 0.05;
const ERRORS_FACTOR: f64 = 3.0;
/// Seconds of p99 from which a wait counts, and how many times what it was at worst before.
const SLOW: f64 = 0.5;
const SLOW_FACTOR: f64 = 3.0;
/// Load above this many times the former explains a wait.
const LOAD: f64 = 1.3;
/// Fewer requests a second say nothing.
const LEAST_RATE: f64 = 0.1;
/// A callee of which more than this share of the calls fails is in trouble itself.
const CALLEE: f64 = 0.02;

/// Looks for a release since which requests are worse.
pub fn find(scene: &Scene<'_>, workload: &Workload) -> Option<Draft> {
    if workload.key.kind != WorkloadKind::Deployment || workload.paused || !scene.metrics_fresh() {
        return None;
    }
    let (newest, older) = workload.revisions.split_first()?;
    let good = older.iter().find(|r| r.last_healthy.is_some())?;
    let old_enough = scene.now - newest.created >= MIXED;
    if !old_enough || !scene.within(Some(newest.created), RECENT) || good.template == newest.template {
        return None;
    }
    let metrics = scene.snapshot.metrics.workloads.get(&workload.key)?;
    let symptom = symptom(scene, metrics, newest.created)?;
    if callee_in_trouble(scene, workload) {
        return None;
    }
    Some(draft(scene, workload, newest, good, symptom))
}

/// What is worse with the requests since a change, although there are no more of them.
pub fn symptom(scene: &Scene<'_>, metrics: &WorkloadMetrics, since: Timestamp) -> Option<String> {
    metrics.now(Signal::RequestRate).fresh().filter(|r| *r >= LEAST_RATE)?;
    failing(scene, metrics, since).or_else(|| waiting(scene, metrics, since))
}

/// Samples since the change took effect, newest last, and those from before.
fn samples(scene: &Scene<'_>, metrics: &WorkloadMetrics, signal: Signal, since: Timestamp) -> (Vec<f64>, Vec<f64>) {
    let values = |from: Timestamp, to: Timestamp| -> Vec<f64> {
        metrics.history(signal).range(from, to).map(|(_, v)| v).filter(|v| v.is_finite()).collect()
    };
    (values(since + MIXED, scene.now), values(since - BEFORE, since))
}

fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Requests that fail since then.
fn failing(scene: &Scene<'_>, metrics: &WorkloadMetrics, since: Timestamp) -> Option<String> {
    let now = metrics.now(Signal::ErrorRate).fresh()?;
    let (after, before) = samples(scene, metrics, Signal::ErrorRate, since);
    if before.len() < KNOWN || after.len() < BAD {
        return None;
    }
    let usual = worst(&before);
    let bad = |v: &f64| *v >= ERRORS && *v >= usual * ERRORS_FACTOR;
    (after.iter().rev().take(BAD).all(bad) && bad(&now))
        .then(|| format!("{:.0} % of requests fail (at most {:.1} % before)", now * 100.0, usual * 100.0))
}

/// Requests that wait since then, although there are no more of them.
fn waiting(scene: &Scene<'_>, metrics: &WorkloadMetrics, since: Timestamp) -> Option<String> {
    let now = metrics.now(Signal::LatencyP99).fresh()?;
    let (after, before) = samples(scene, metrics, Signal::LatencyP99, since);
    let (load_after, load_before) = samples(scene, metrics, Signal::RequestRate, since);
    if before.len() < KNOWN || after.len() < BAD || load_before.is_empty() {
        return None;
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
    if mean(&load_after) > mean(&load_before) * LOAD {
        return None;
    }
    let usual = worst(&before);
    let bad = |v: &f64| *v >= SLOW && *v >= usual * SLOW_FACTOR;
    (after.iter().rev().take(BAD).all(bad) && bad(&now))
        .then(|| format!("p99 is {now:.2} s (at most {usual:.2} s before) and the load is no larger"))
}

/// Whether something it calls fails or is not all there: then the fault may lie there.
fn callee_in_trouble(scene: &Scene<'_>, workload: &Workload) -> bool {
    scene.snapshot.metrics.calls.iter().filter(|c| c.caller == workload.key).any(|call| {
        let fails = call.failed.is_some_and(|share| share > CALLEE);
        let missing = scene.snapshot.workload(&call.callee).is_none_or(|w| {
            let (ready, desired) = w.readiness();
            ready < desired || desired == 0
        });
        fails || missing
    })
}

fn draft(scene: &Scene<'_>, workload: &Workload, newest: &Revision, good: &Revision, symptom: String) -> Draft {
    let key = &workload.key;
    let says = |what: &str, at: Timestamp| format!("{what} {} ago", age(scene.now, at));
    let set = |r: &Revision| format!("replicaset {}/{} (revision {})", key.namespace, r.name, r.number);
    let evidence = vec![
        Evidence::new("prometheus requests of this workload", symptom.clone(), Some(scene.now)),
        Evidence::new(set(newest), says("rolled out", newest.created), Some(newest.created)),
        Evidence::new(
            set(good),
            good.last_healthy.map_or_else(String::new, |at| says("was fully available", at)),
            good.last_healthy,
        ),
    ];
    let title = format!("{}/{}: worse since revision {}: {symptom}", key.namespace, key.name, newest.number);
    Draft {
        fault: Fault::Regression { revision: newest.number, symptom: symptom.into() },
        subject: Subject::Workload(key.clone()),
        detail: Some(newest.number.to_string()),
        severity: Severity::High,
        title,
        evidence,
        pods: Vec::new(),
        related: Vec::new(),
    }
}
