//! What auto would be refused, and why, before anything is wrong: the gates themselves are asked about actions that
//! nobody proposes. So the answer cannot disagree with what happens later.

use super::guard::{Actor, Guard, Request};
use super::surroundings::Surroundings;
use crate::model::action::{ActionState, QueueItem, Refusal};
use crate::model::authority::LeaseView;
use crate::model::cluster::Workload;
use crate::model::finding::{Fault, Finding, Severity, Subject};
use crate::model::mode::Mode;
use crate::model::object::{ObjectRef, WorkloadKey, WorkloadKind};
use crate::model::plan::{Blast, Bound, Expectation, Gate, Inverse, Op, Plan, Proposal, Right, Risk, Step, Strategy};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The answer for one kind of action on one workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// On what.
    pub workload: WorkloadKey,
    /// `restart`, `more memory` or `more replicas`.
    pub action: &'static str,
    /// Every reason against it; empty: auto would do it.
    pub reasons: Vec<Refusal>,
}

/// Asks the gates about a restart, more memory and more replicas of every workload that has a template, as if each were
/// found to be needed now, auto had just been resumed, and its owners were those of the snapshot. Rights that are not in
/// `rights` count as given: they were not asked about.
pub fn explain(
    guard: &Guard,
    snapshot: &Snapshot,
    rights: &BTreeMap<Right, bool>,
    lease: &LeaseView,
    now: Timestamp,
) -> Vec<Explained> {
    let mut out = Vec::new();
    for workload in snapshot.workloads.iter() {
        let scaled = matches!(workload.key.kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet);
        if !scaled && workload.key.kind != WorkloadKind::DaemonSet {
            continue;
        }
        for action in
            ["restart", "more memory", "more replicas"].into_iter().filter(|a| scaled || *a != "more replicas")
        {
            let Some(item) = imagined(workload, action, snapshot, now) else { continue };
            let reasons = ask(guard, snapshot, rights, lease, &item, workload, now);
            out.push(Explained { workload: workload.key.clone(), action, reasons });
        }
    }
    out
}

fn ask(
    guard: &Guard,
    snapshot: &Snapshot,
    rights: &BTreeMap<Right, bool>,
    lease: &LeaseView,
    item: &QueueItem,
    workload: &Workload,
    now: Timestamp,
) -> Vec<Refusal> {
    let mut all: BTreeMap<Right, bool> =
        item.proposal.plan.steps.iter().filter_map(Step::right).map(|r| (r, true)).collect();
    for (right, may) in &mut all {
        *may = rights.get(right).copied().unwrap_or(true);
    }
    let surroundings = Surroundings { owners: workload.owners.to_vec(), ..Surroundings::default() };
    let found = Finding {
        id: item.proposal.finding.clone(),
        fault: item.proposal.fault.clone(),
        subject: item.proposal.subject.clone(),
        severity: Severity::High,
        title: item.proposal.title.clone(),
        evidence: Vec::new(),
        pods: Vec::new(),
        since: now,
        related: Vec::new(),
    };
    let findings = [Arc::new(found)];
    // Nobody wants it while doctor looks: what is free would be taken.
    let lease = match lease {
        LeaseView::Other { .. } | LeaseView::Failed { .. } => lease.clone(),
        _ => LeaseView::Mine { since: now },
    };
    guard.review(&Request {
        item,
        actor: Actor::Auto,
        mode: Mode::Auto,
        paused: false,
        read_only: None,
        killed: None,
        confirmed: Some(now),
        lease: &lease,
        snapshot,
        findings: &findings,
        surroundings: Some(&surroundings),
        rights: &all,
        queue: &[],
        memory_raises: u32::MAX,
        now,
    })
}

fn imagined(workload: &Workload, action: &'static str, snapshot: &Snapshot, now: Timestamp) -> Option<QueueItem> {
    let template = "/spec/template/spec/containers/0/resources/limits/memory";
    let (strategy, fault, patch, subresource) = match action {
        "restart" => (
            Strategy::Restart,
            Fault::NotReady { why: "imagined".into() },
            json!([{"op": "add", "path": "/spec/template/metadata/annotations/x", "value": "x"}]),
            None,
        ),
        "more memory" => (
            Strategy::Reconfigure,
            Fault::OomContainer { container: "imagined".into(), limit: 1, peak: None, kills: 1 },
            json!([{"op": "test", "path": template, "value": "1Mi"}, {"op": "replace", "path": template, "value": "2Mi"}]),
            None,
        ),
        _ => {
            let n = workload.replicas.desired;
            (
                Strategy::Scale,
                Fault::Saturated { resource: "cpu".into(), utilisation: 1.0, target: 0.7 },
                json!([{"op": "test", "path": "/spec/replicas", "value": n}, {"op": "replace", "path": "/spec/replicas", "value": n + 1}]),
                Some("scale".to_owned()),
            )
        }
    };
    let patch = || serde_json::from_value(patch.clone()).ok();
    let step = Step {
        title: action.into(),
        op: Op::Patch { patch: patch()?, subresource },
        target: ObjectRef::namespaced(
            workload.key.kind.resource()?,
            workload.key.namespace.clone(),
            workload.key.name.clone(),
        ),
        bound: Bound { uid: "imagined".into(), resource_version: String::new(), generation: 0, digest: String::new() },
        inverse: Inverse::Patch { patch: patch()? },
        gate: Gate::None,
    };
    let plan = Plan { cluster: snapshot.cluster.id.clone(), steps: vec![step] };
    let proposal = Proposal {
        id: "imagined".into(),
        finding: "imagined".into(),
        fault,
        subject: Subject::Workload(workload.key.clone()),
        strategy,
        title: action.into(),
        why: Vec::new(),
        hash: plan.hash(),
        plan,
        blast: Blast::default(),
        risk: Risk::Low,
        effect: Expectation { text: String::new(), recovery_s: None, probability: None, basis: "imagined".into() },
        notes: Vec::new(),
        export: None,
        onset: crate::model::plan::Onset::default(),
        created: now,
        expires: now + TimeDelta::minutes(15),
    };
    Some(QueueItem {
        proposal: Arc::new(proposal),
        state: ActionState::Proposed,
        preview: None,
        blocked: Vec::new(),
        approval: None,
        story: Vec::new(),
        outcome: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings;
    use crate::execute::fixture::{cart, snapshot, t0, workload};
    use crate::execute::history::GuardHistory;
    use crate::model::cluster::Owner;

    fn gates(
        edit: impl Fn(&mut Workload),
        settings: settings::Guard,
        lease: &LeaseView,
    ) -> Vec<(&'static str, Vec<String>)> {
        let mut w = workload();
        edit(&mut w);
        let guard = Guard::new(settings, GuardHistory::default());
        let all = explain(&guard, &snapshot(t0(), w), &BTreeMap::new(), lease, t0());
        assert!(all.iter().all(|e| e.workload == cart()));
        all.into_iter().map(|e| (e.action, e.reasons.into_iter().map(|r| r.gate).collect())).collect()
    }

    fn all(gate: &[&str]) -> Vec<(&'static str, Vec<String>)> {
        let gate: Vec<String> = gate.iter().map(|g| (*g).to_owned()).collect();
        ["restart", "more memory", "more replicas"].map(|a| (a, gate.clone())).into()
    }

    #[test]
    fn every_answer_is_the_gates_own() {
        let usual = settings::Guard::default;
        assert_eq!(gates(|_| {}, usual(), &LeaseView::Unknown), all(&[]));
        assert_eq!(gates(|w| w.opted_in = false, usual(), &LeaseView::Free), all(&["g21"]));
        let protected = settings::Guard { protected: vec!["shop".into()], ..usual() };
        assert_eq!(gates(|_| {}, protected, &LeaseView::Free), all(&["g21"]));
        let other = LeaseView::Other { holder: "bob".into() };
        assert_eq!(gates(|_| {}, usual(), &other), all(&["g19"]));
        let single = gates(|w| w.replicas.desired = 1, usual(), &LeaseView::Free);
        assert_eq!(single[2], ("more replicas", vec![]), "one more replica takes nothing down");
        assert_eq!(single[0].1, ["g12"]);
        let argo = gates(|w| w.owners = Arc::from([Owner::ArgoCd("shop".into())]), usual(), &LeaseView::Free);
        assert!(argo.iter().all(|(_, g)| g.contains(&"g16".to_owned())), "{argo:?}");
        let hpa = gates(|w| w.owners = Arc::from([Owner::Hpa("h".into())]), usual(), &LeaseView::Free);
        assert_eq!((hpa[0].1.len(), &*hpa[2].1), (0, ["g15".to_owned()].as_slice()));
    }
}
