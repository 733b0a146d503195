//! What the tests of this room share: one Deployment with a plan to raise its memory.

use crate::model::finding::{Fault, Subject};
use crate::model::object::{ObjectRef, Resource, WorkloadKey, WorkloadKind};
use crate::model::plan::{Bound, Gate, Inverse, Op, Plan, Step};
use serde_json::{Value, json};

/// A plan of one patch on deployment shop/cart, bound to [`deployment`].
pub(super) fn patch_plan(patch: Value) -> Plan {
    Plan { cluster: "c1".into(), steps: vec![patch_step(patch, Inverse::NotNeeded { why: "test".into() })] }
}

pub(super) fn patch_step(patch: Value, inverse: Inverse) -> Step {
    Step {
        title: "change it".into(),
        op: Op::Patch { patch: serde_json::from_value(patch).unwrap(), subresource: None },
        target: ObjectRef::namespaced(Resource::DEPLOYMENTS, "shop", "cart"),
        bound: Bound::to(&deployment("128Mi")).unwrap(),
        inverse,
        gate: Gate::None,
    }
}

/// Deployment shop/cart as the API server would hold it.
pub(super) fn deployment(limit: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "cart", "namespace": "shop", "uid": "u-cart", "resourceVersion": "10", "generation": 1,
            "managedFields": [{"manager": "kubectl", "time": "2026-01-01T00:00:00Z"}]},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [
            {"name": "app", "resources": {"limits": {"memory": limit}}}]}}},
        "status": {"availableReplicas": 3}})
}

pub(super) fn cart() -> WorkloadKey {
    WorkloadKey::new("shop", WorkloadKind::Deployment, "cart")
}

pub(super) fn subject() -> Subject {
    Subject::Workload(cart())
}

pub(super) fn oom() -> Fault {
    Fault::OomContainer { container: "app".into(), limit: 128 << 20, peak: None, kills: 2 }
}
