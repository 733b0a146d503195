//! Replace single pods by eviction, so that disruption budgets count.

use super::draft::Draft;
use super::risk::Change;
use super::{Ask, NoProposal, blast, budget, live};
use crate::model::finding::Fault;
use crate::model::plan::{Gate, Risk, Strategy};
use crate::model::pod::Phase;
use serde_json::Value;

/// Finished pods removed by one plan.
const MOST_FAILED: usize = 5;

/// Replaces one pod that is stuck while its siblings are healthy: a hang, bad local state or a bad place.
///
/// If more than a quarter of the pods (and more than one) have the same trouble, the cause is shared, and new
/// pods would have it too. The healer adds no restarts to such a crash loop (§5.0).
pub fn one(ask: &Ask<'_>) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    ask.live()?;
    let all = workload.live_pods().count();
    let sick = ask.finding.pods.len();
    let serving = workload.live_pods().filter(|p| p.ready).count();
    if sick == 0 {
        return Err(NoProposal::because("no pod of its own shows it: there is nothing to replace"));
    }
    if sick > 1.max(all / 4) || serving == 0 {
        return Err(NoProposal::because(format!(
            "{sick} of {all} pods have it: the cause is shared, and new pods would have it too"
        )));
    }
    let pods: Vec<&Value> = named(ask).collect();
    let Some(pod) = pods.first() else {
        return Err(NoProposal::because("the troubled pod is gone, or was not fetched yet"));
    };
    check(ask, pod)?;
    let name = live::text(&pod["metadata"]["name"]);
    let (gate, why) = match &ask.finding.fault {
        Fault::CrashLoop { .. } => (Gate::WorkloadReady, "it crashes while its siblings are healthy"),
        _ => (Gate::WorkloadReady, "it hangs while its siblings are healthy"),
    };
    Ok(Draft {
        strategy: Strategy::Restart,
        title: format!("{}/{}: replace pod {name}: {why}", workload.key.namespace, workload.key.name),
        steps: vec![live::evict_step(pod, gate, why)?],
        change: Change::Evict,
        blast: blast::evictions(1, all as u32),
        effect: "a new pod takes its place and becomes ready".into(),
        notes: vec!["its logs and last state are gone afterwards: look at them first if you need them".into()],
        why: Vec::new(),
        manifest: None,
        at_least: Risk::Low,
    })
}

/// Removes pods that failed for good, where the workload lacks them. Where they were replaced already, they are
/// only a record, and stay.
pub fn failed(ask: &Ask<'_>) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    ask.live()?;
    let (ready, desired) = workload.readiness();
    if ready >= desired {
        return Err(NoProposal::because(format!(
            "all {desired} pods were replaced already; what is left is the record of it. To remove it: kubectl delete pods -n {} --field-selector status.phase=Failed",
            workload.key.namespace
        )));
    }
    let mut steps = Vec::new();
    for pod in named(ask).filter(|p| p["status"]["phase"] == "Failed").take(MOST_FAILED) {
        check(ask, pod)?;
        steps.push(live::evict_step(pod, Gate::None, "it failed for good")?);
    }
    if steps.is_empty() {
        return Err(NoProposal::because("the failed pods are gone, or were not fetched yet"));
    }
    let count = steps.len() as u32;
    let mut touched = blast::evictions(count, desired);
    touched.share_down = 0.0;
    touched.text = format!("{count} pods that have failed already; none that runs");
    Ok(Draft {
        strategy: Strategy::Restart,
        title: format!("{}/{}: remove {count} failed pod(s)", workload.key.namespace, workload.key.name),
        steps,
        change: Change::Evict,
        blast: touched,
        effect: "the controller makes new pods in their place".into(),
        notes: vec!["the pods' logs and messages are gone afterwards".into()],
        why: Vec::new(),
        manifest: None,
        at_least: Risk::Low,
    })
}

/// Live pods that the finding names.
fn named<'a>(ask: &Ask<'a>) -> impl Iterator<Item = &'a Value> {
    let finding = ask.finding;
    ask.dossier.pods.iter().filter(|p| finding.pods.iter().any(|k| *k.name == *live::text(&p["metadata"]["name"])))
}

/// Whether a live pod may be evicted: it is the one that was seen, it will come back, and its budgets allow it.
pub fn check(ask: &Ask<'_>, pod: &Value) -> Result<(), NoProposal> {
    let name = live::text(&pod["metadata"]["name"]);
    if !live::has_controller(pod) {
        return Err(NoProposal::because(format!("nobody owns pod {name}: once evicted it would not come back")));
    }
    let seen = ask.workload()?.pods.iter().find(|p| &*p.name == name);
    if seen.is_none_or(|p| *p.uid != *live::text(&pod["metadata"]["uid"])) {
        return Err(NoProposal::because(format!("pod {name} was replaced since it was seen")));
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return Err(NoProposal::because(format!("pod {name} is being deleted already")));
    }
    if seen.is_some_and(|p| p.phase == Phase::Failed) {
        return Ok(());
    }
    budget::allows(&ask.dossier.budgets, pod)
}
