//! What the tests of this room share: one Deployment with an OOM finding and a plan to raise its memory, a
//! world in which everything is well, and a request that the guard has nothing against.

use super::guard::{Actor, Request};
use super::surroundings::Surroundings;
use crate::model::action::{ActionState, Approval, QueueItem};
use crate::model::cluster::{NamespaceRow, Replicas, Workload};
use crate::model::finding::{Evidence, Fault, Finding, Severity, Subject};
use crate::model::journal::{Ledger, LedgerError, Record};
use crate::model::mode::Mode;
use crate::model::object::{ObjectRef, Resource, WorkloadKey, WorkloadKind};
use crate::model::plan::{Blast, Bound, Expectation, Gate, Inverse, Op, Plan, Proposal, Right, Risk, Step, Strategy};
use crate::model::snapshot::{ApiHealth, ClusterInfo, Snapshot, Source, SourceState};
use crate::model::time::Timestamp;
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub(super) mod server;
pub(super) mod stage;

pub(super) const LIMIT: &str = "/spec/template/spec/containers/0/resources/limits/memory";

pub(super) fn t0() -> Timestamp {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// Deployment shop/cart as the API server would hold it.
pub(super) fn deployment(limit: &str) -> Value {
    named("cart", limit)
}

pub(super) fn named(name: &str, limit: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("u-{name}"), "resourceVersion": "10", "generation": 1,
            "managedFields": [{"manager": "kubectl", "time": "2026-01-01T00:00:00Z"}]},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [
            {"name": "app", "resources": {"limits": {"memory": limit}}}]}}},
        "status": {"availableReplicas": 3}})
}

fn change(path: &str, from: &Value, to: &Value) -> json_patch::Patch {
    serde_json::from_value(
        json!([{"op": "test", "path": path, "value": from}, {"op": "replace", "path": path, "value": to}]),
    )
    .unwrap()
}

/// A step that raises the memory limit of a deployment from 128Mi to 256Mi, with its undo.
pub(super) fn raise_step(name: &str) -> Step {
    Step {
        title: format!("raise the memory limit of {name}").into(),
        op: Op::Patch { patch: change(LIMIT, &json!("128Mi"), &json!("256Mi")), subresource: None },
        target: ObjectRef::namespaced(Resource::DEPLOYMENTS, "shop", name),
        bound: Bound::to(&named(name, "128Mi")).unwrap(),
        inverse: Inverse::Patch { patch: change(LIMIT, &json!("256Mi"), &json!("128Mi")) },
        gate: Gate::None,
    }
}

/// A step that evicts a pod of shop/cart.
pub(super) fn evict_step(pod: &str) -> Step {
    Step {
        title: format!("evict {pod}").into(),
        op: Op::Evict { grace_seconds: Some(7) },
        target: ObjectRef::namespaced(Resource::PODS, "shop", pod),
        bound: Bound { uid: format!("u-{pod}"), resource_version: "1".into(), generation: 0, digest: String::new() },
        inverse: Inverse::NotNeeded { why: "its controller makes a new one".into() },
        gate: Gate::None,
    }
}

/// A plan of one patch on shop/cart without undo.
pub(super) fn patch_plan(patch: Value) -> Plan {
    let mut step = raise_step("cart");
    step.op = Op::Patch { patch: serde_json::from_value(patch).unwrap(), subresource: None };
    Plan { cluster: "c1".into(), steps: vec![step] }
}

pub(super) fn cart() -> WorkloadKey {
    WorkloadKey::new("shop", WorkloadKind::Deployment, "cart")
}

pub(super) fn proposal(steps: Vec<Step>) -> Proposal {
    let plan = Plan { cluster: "c1".into(), steps };
    let fault = Fault::OomContainer { container: "app".into(), limit: 128 << 20, peak: None, kills: 2 };
    let subject = Subject::Workload(cart());
    let hash = plan.hash();
    Proposal {
        id: Proposal::make_id(&fault, &subject, &hash),
        finding: "oom:shop/Deployment/cart:app".into(),
        fault,
        subject,
        strategy: Strategy::Reconfigure,
        title: "raise the memory limit".into(),
        why: vec![],
        plan,
        hash,
        blast: Blast::default(),
        risk: Risk::Low,
        effect: Expectation { text: "no more kills".into(), recovery_s: None, probability: None, basis: "test".into() },
        notes: vec![],
        export: None,
        onset: crate::model::plan::Onset::default(),
        created: t0() - TimeDelta::seconds(10),
        expires: t0() + TimeDelta::minutes(15),
    }
}

pub(super) fn item(steps: Vec<Step>) -> QueueItem {
    item_of(proposal(steps))
}

pub(super) fn item_of(proposal: Proposal) -> QueueItem {
    QueueItem {
        proposal: Arc::new(proposal),
        state: ActionState::Proposed,
        preview: None,
        blocked: vec![],
        approval: None,
        story: vec![],
        outcome: None,
    }
}

/// Changes the proposal of an item and keeps its hash right.
pub(super) fn with_proposal(item: &mut QueueItem, edit: impl FnOnce(&mut Proposal)) {
    let p = Arc::make_mut(&mut item.proposal);
    edit(p);
    p.hash = p.plan.hash();
}

pub(super) fn approval(item: &QueueItem, by: &str) -> Approval {
    Approval { by: by.into(), at: t0(), hash: item.proposal.hash.clone() }
}

pub(super) fn finding(id: &str, fault: Fault) -> Arc<Finding> {
    Arc::new(Finding {
        id: id.into(),
        fault,
        subject: Subject::Workload(cart()),
        severity: Severity::High,
        title: "t".into(),
        evidence: vec![Evidence::new("s", "s", None)],
        pods: vec![],
        since: t0(),
        related: vec![],
    })
}

pub(super) fn workload() -> Workload {
    Workload {
        key: cart(),
        uid: "u-cart".into(),
        resource_version: "10".into(),
        generation: 1,
        observed_generation: 1,
        created: None,
        replicas: Replicas { desired: 3, current: 3, ready: 3, available: 3, updated: 3 },
        paused: false,
        template: Arc::from([]),
        revisions: Arc::from([]),
        stuck: None,
        owners: Arc::from([]),
        opted_in: true,
        config_maps: Arc::from([]),
        pods: Arc::from([]),
    }
}

/// A snapshot at `now` in which every source is fresh.
pub(super) fn snapshot(now: Timestamp, workload: Workload) -> Snapshot {
    let info = ClusterInfo {
        id: "c1".into(),
        context: "test".into(),
        server: "http://test".into(),
        version: "v1.36.0".into(),
        user: "ann".into(),
        namespaces: None,
    };
    let live = SourceState::Live { last: now };
    let source = |name: &str| Source { name: name.into(), namespaces: None, state: live.clone(), objects: 1 };
    let mut s = Snapshot::empty(info, now);
    s.api = ApiHealth { state: live.clone(), latency_ms: Some(5.0), clock_skew_s: Some(0.1) };
    s.sources = ["pods", "deployments", "nodes"].map(source).into();
    s.namespaces = Arc::from([Arc::new(NamespaceRow { name: "shop".into(), opted_in: true, terminating: false })]);
    s.workloads = Arc::from([Arc::new(workload)]);
    s.metrics.state = live;
    s
}

/// Everything a [`Request`] borrows; well disposed towards the item.
pub(super) struct Case {
    pub item: QueueItem,
    pub snapshot: Snapshot,
    pub findings: Vec<Arc<Finding>>,
    pub surroundings: Option<Surroundings>,
    pub rights: BTreeMap<Right, bool>,
    pub queue: Vec<Arc<QueueItem>>,
    pub actor: Actor,
    pub mode: Mode,
    pub paused: bool,
    pub read_only: Option<&'static str>,
    pub killed: Option<&'static str>,
    pub now: Timestamp,
}

impl Case {
    /// Auto mode in an opted-in namespace, with nothing against it.
    pub(super) fn new(steps: Vec<Step>) -> Self {
        let item = item(steps);
        let rights = item.proposal.plan.steps.iter().filter_map(Step::right).map(|r| (r, true)).collect();
        Self {
            snapshot: snapshot(t0(), workload()),
            findings: vec![finding(&item.proposal.finding, item.proposal.fault.clone())],
            surroundings: Some(Surroundings::default()),
            rights,
            queue: vec![],
            actor: Actor::Auto,
            mode: Mode::Auto,
            paused: false,
            read_only: None,
            killed: None,
            now: t0(),
            item,
        }
    }

    pub(super) fn request(&self) -> Request<'_> {
        Request {
            item: &self.item,
            actor: self.actor,
            mode: self.mode,
            paused: self.paused,
            read_only: self.read_only,
            killed: self.killed,
            snapshot: &self.snapshot,
            findings: &self.findings,
            surroundings: self.surroundings.as_ref(),
            rights: &self.rights,
            queue: &self.queue,
            memory_raises: 3,
            now: self.now,
        }
    }
}

/// A ledger in memory, which can be told to refuse from the n-th entry on.
#[derive(Debug, Default)]
pub(super) struct MemoryLedger {
    pub entries: Mutex<Vec<(Record, Option<QueueItem>)>>,
    pub refuse_from: Option<usize>,
}

impl MemoryLedger {
    fn keep(&self, record: Record, item: Option<QueueItem>) -> Result<u64, LedgerError> {
        let mut entries = self.entries.lock().unwrap();
        if self.refuse_from.is_some_and(|n| entries.len() >= n) {
            return Err(LedgerError { path: "memory".into(), why: "disk full".into() });
        }
        entries.push((record, item));
        Ok(entries.len() as u64)
    }
}

impl Ledger for MemoryLedger {
    fn record(&self, record: Record) -> Result<u64, LedgerError> {
        self.keep(record, None)
    }

    fn record_item(&self, record: Record, item: &QueueItem) -> Result<u64, LedgerError> {
        self.keep(record, Some(item.clone()))
    }
}
