//! Pods that found no node, and pods that failed as a whole.

use super::case::{Case, Draft};
use crate::model::finding::{Evidence, Fault, Severity};
use crate::model::object::WorkloadKind;
use crate::model::pod::{Phase, PodRow};
use std::sync::Arc;

/// Unschedulable pods beyond the grace period, and failed pods of controllers that should keep running.
pub fn find(case: &mut Case<'_>) -> Vec<Draft> {
    [unschedulable(case), failed(case)].into_iter().flatten().collect()
}

fn unschedulable(case: &mut Case<'_>) -> Option<Draft> {
    let scene = case.scene;
    let verdict = |p: &PodRow| p.trouble.as_ref().and_then(|t| t.unschedulable.clone());
    let pods = case.claim(|p| verdict(p).is_some() && scene.older(Some(p.created), scene.set.unschedulable_grace));
    let (_, why) = verdict(pods.first()?)?;
    let evidence = pods
        .iter()
        .filter_map(|p| {
            let (reason, message) = verdict(p)?;
            let place = format!("pod {}/{} status.conditions[type=PodScheduled]", p.namespace, p.name);
            Some(Evidence::new(place, format!("False: {reason}: {message}"), Some(p.created)))
        })
        .collect();
    let key = &case.workload.key;
    let title = format!("{}/{}: no node for {} pod(s): {why}", key.namespace, key.name, pods.len());
    Some(case.draft(Fault::Unschedulable { why }, &pods, title, evidence))
}

/// A Job retries and counts its failures itself; its pods are left to it.
fn failed(case: &mut Case<'_>) -> Option<Draft> {
    if matches!(case.workload.key.kind, WorkloadKind::Job | WorkloadKind::CronJob) {
        return None;
    }
    let pods = case.claim(|p| p.phase == Phase::Failed);
    let said = |p: &PodRow| -> (Arc<str>, Arc<str>) {
        p.trouble.as_ref().and_then(|t| t.reason.clone()).unwrap_or_else(|| ("Failed".into(), "".into()))
    };
    let (reason, _) = said(pods.first()?);
    let evidence = pods
        .iter()
        .map(|p| {
            let (reason, message) = said(p);
            let place = format!("pod {}/{} status.reason", p.namespace, p.name);
            let says = if message.is_empty() { reason.to_string() } else { format!("{reason}: {message}") };
            Evidence::new(place, format!("phase Failed, {says}"), None)
        })
        .collect();
    let key = &case.workload.key;
    let title =
        format!("{}/{}: {} pod(s) failed: {reason} ({})", key.namespace, key.name, pods.len(), case.ready_words());
    let mut draft = case.draft(Fault::PodFailed { reason }, &pods, title, evidence);
    // Replaced already: what is left is only the record of it.
    let (ready, desired) = case.workload.readiness();
    if ready >= desired && desired > 0 {
        draft.severity = Severity::Info;
    }
    Some(draft)
}
