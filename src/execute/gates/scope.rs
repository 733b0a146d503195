//! Gates on where and how wide: systemic trouble, disruption budgets, single replicas, protected namespaces.

use super::Context;
use crate::execute::touches;
use crate::model::action::Refusal;
use crate::model::finding::{Fault, Subject};
use crate::model::plan::{Gate, Op, Risk};
use crate::model::snapshot::Snapshot;

const PERSON: &str = "approve it yourself";

/// Namespaces in which auto never acts, whatever the settings say.
const PROTECTED: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// G11: when too much is broken at once, or a plan reaches too far, automation stands back. A person decides.
pub(super) fn g11_not_systemic(c: &Context<'_>) -> Vec<Refusal> {
    if !c.auto() {
        return Vec::new();
    }
    let mut reasons: Vec<Refusal> = c
        .request
        .findings
        .iter()
        .filter_map(|f| match &f.fault {
            Fault::Systemic { share, scope } => Some(Refusal::new(
                "g11",
                format!("{:.0} % of {scope} is broken at once", share * 100.0),
                "find the common cause first",
            )),
            _ => None,
        })
        .collect();
    let nodes = touches::node_names(&c.request.item.proposal.plan).len();
    if nodes > 1 {
        reasons.push(Refusal::new("g11", format!("it touches {nodes} nodes"), PERSON));
    }
    reasons
}

/// G12: evictions against disruption budgets, counted here because each dry-run passes on its own. Holds for
/// persons too: the server would refuse.
pub(super) fn g12_budgets_allow_it(c: &Context<'_>) -> Vec<Refusal> {
    let plan = &c.request.item.proposal.plan;
    if !c.touches().evicts {
        return Vec::new();
    }
    let Some(around) = c.request.surroundings else {
        return vec![Refusal::new("g12", "disruption budgets were not looked at", "wait a moment")];
    };
    if let Some(gap) = around
        .gaps
        .iter()
        .find(|g| g.starts_with("poddisruptionbudgets") || g.starts_with("pdbs") || g.starts_with("budgets"))
    {
        return vec![Refusal::new("g12", format!("disruption budgets: {gap}"), "ask for the right to list them")];
    }
    let mut reasons = Vec::new();
    for budget in &around.budgets {
        let covered = |step: &crate::model::plan::Step| {
            matches!(step.op, Op::Evict { .. }) && budget.pods.contains(&step.target.name)
        };
        // A gate that waits for the workload gives the budget back.
        let at_once = plan.steps.split_inclusive(|s| s.gate == Gate::WorkloadReady);
        let most = at_once.map(|run| run.iter().filter(|s| covered(s)).count()).max().unwrap_or(0);
        match budget.allowed {
            Some(allowed) if most <= allowed as usize => {}
            Some(allowed) => reasons.push(Refusal::new(
                "g12",
                format!("it evicts {most} pods at once, budget {} allows {allowed}", budget.name),
                "wait until more of its pods are healthy",
            )),
            None => {
                reasons.push(Refusal::new(
                    "g12",
                    format!("budget {} has no current status", budget.name),
                    "wait a moment",
                ));
            }
        }
    }
    for step in plan.steps.iter().filter(|s| matches!(s.op, Op::Evict { .. })) {
        let covering: Vec<&str> =
            around.budgets.iter().filter(|b| b.pods.contains(&step.target.name)).map(|b| &*b.name).collect();
        if covering.len() > 1 {
            let why = format!("{} is covered by several budgets ({})", step.target, covering.join(", "));
            reasons.push(Refusal::new("g12", why, "the server evicts no such pod: leave one budget"));
        }
    }
    reasons
}

/// G12: a workload with few replicas is down while its pod moves: a person decides.
pub(super) fn g12_single_replicas_need_a_person(c: &Context<'_>) -> Vec<Refusal> {
    if !c.auto() || !c.touches().disrupts() {
        return Vec::new();
    }
    let Subject::Workload(key) = &c.request.item.proposal.subject else { return Vec::new() };
    let replicas = c.request.snapshot.workload(key).map(|w| w.replicas.desired);
    match replicas {
        Some(n) if n >= c.settings.min_replicas_auto => Vec::new(),
        Some(n) => {
            let why = format!("{key} has {n} replicas, auto needs {}", c.settings.min_replicas_auto);
            vec![Refusal::new("g12", why, PERSON)]
        }
        None => vec![Refusal::new("g12", format!("the replicas of {key} are not known"), PERSON)],
    }
}

/// G14: auto does only what can be undone and is not of high risk.
pub(super) fn g14_auto_needs_an_undo(c: &Context<'_>) -> Vec<Refusal> {
    if !c.auto() {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    if !c.request.item.proposal.plan.reversible() {
        reasons.push(Refusal::new("g14", "a step cannot be undone", PERSON));
    }
    if c.request.item.proposal.risk == Risk::High {
        reasons.push(Refusal::new("g14", "its risk is high", PERSON));
    }
    reasons
}

/// G21: auto acts only where it was let in, and never in protected namespaces. A person who has the rights
/// may act anywhere.
pub(super) fn g21_opted_in_and_not_protected(c: &Context<'_>) -> Vec<Refusal> {
    if !c.auto() {
        return Vec::new();
    }
    let proposal = &c.request.item.proposal;
    let mut reasons = Vec::new();
    let mut namespaces: Vec<&str> =
        proposal.plan.steps.iter().filter_map(|s| s.target.namespace.as_deref()).chain(c.namespace()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    for ns in namespaces {
        if PROTECTED.contains(&ns) || c.settings.protected.iter().any(|p| p == ns) {
            reasons.push(Refusal::new("g21", format!("namespace {ns} is protected"), PERSON));
        }
    }
    if !opted_in(&proposal.subject, c.request.snapshot) {
        reasons.push(Refusal::new(
            "g21",
            format!("{} is not opted in to automation", proposal.subject),
            "set annotation autonomous/enabled: \"true\" on it or label autonomous-enabled=true on its namespace",
        ));
    }
    reasons
}

/// Nodes and the cluster as a whole cannot be opted in: there auto never acts.
fn opted_in(subject: &Subject, snapshot: &Snapshot) -> bool {
    match subject {
        Subject::Workload(key) => snapshot.workload(key).is_some_and(|w| w.opted_in),
        Subject::Node(_) | Subject::Cluster => false,
    }
}
