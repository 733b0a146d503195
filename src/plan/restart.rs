//! Staggered restart: one pod after the other by eviction, each waiting until all are ready again.
//!
//! A mitigation of leaks, not a cure. By eviction rather than by the `restartedAt` annotation, so that the
//! template stays as its owner wrote it and disruption budgets count. Never for a crash loop: the kubelet backs
//! off already, and a restart only destroys the evidence (§5.0, §5.1).

use super::draft::Draft;
use super::risk::Change;
use super::{Ask, NoProposal, blast, live, replace};
use crate::model::plan::{Gate, Risk, Strategy};
use serde_json::Value;

/// Pods restarted by one plan; the rest follow with the next finding.
const MOST: usize = 10;

/// Plans the restart of all pods of the workload, one by one.
pub fn plan(ask: &Ask<'_>) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    ask.live()?;
    ask.metrics_fresh()?;
    let looping = workload.live_pods().find(|p| p.status() == "CrashLoopBackOff");
    if let Some(pod) = looping {
        return Err(NoProposal::because(format!(
            "pod {} is in a crash loop: it restarts by itself, and more restarts would only destroy evidence",
            pod.name
        )));
    }
    let all = workload.live_pods().count();
    if all > 1
        && let Some(pod) = workload.live_pods().find(|p| !p.ready)
    {
        return Err(NoProposal::because(format!(
            "pod {} is not ready: taking another one down would make it worse",
            pod.name
        )));
    }
    let mut pods: Vec<&Value> = ask
        .dossier
        .pods
        .iter()
        .filter(|p| workload.live_pods().any(|row| *row.uid == *live::text(&p["metadata"]["uid"])))
        .collect();
    pods.sort_by_key(|p| live::text(&p["metadata"]["name"]));
    let mut steps = Vec::new();
    for pod in pods.into_iter().take(MOST) {
        replace::check(ask, pod)?;
        steps.push(live::evict_step(pod, Gate::WorkloadReady, "its memory leaks")?);
    }
    if steps.is_empty() {
        return Err(NoProposal::because("the pods were not fetched yet"));
    }
    let mut notes =
        vec!["this buys time: the leak is in the program; a higher memory limit would only delay it".to_owned()];
    if all > steps.len() {
        notes.push(format!("the first {} of {all} pods; the others follow", steps.len()));
    }
    if all == 1 {
        notes.push("the only pod: the workload is down while it restarts".to_owned());
    }
    Ok(Draft {
        strategy: Strategy::Restart,
        title: format!(
            "{}/{}: restart {} pods one by one, since memory leaks",
            workload.key.namespace,
            workload.key.name,
            steps.len()
        ),
        blast: blast::evictions(steps.len() as u32, all as u32),
        steps,
        change: Change::Evict,
        effect: "memory starts from its level after a start".into(),
        notes,
        why: Vec::new(),
        manifest: None,
        at_least: Risk::Low,
    })
}
