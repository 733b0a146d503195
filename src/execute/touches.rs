//! What a plan touches, read off its patches: replicas, resources, the template, a node; and whether it
//! makes anything smaller. The guard decides on this rather than on what the planner calls its plan.

use crate::model::object::{ObjectRef, Resource};
use crate::model::plan::{Op, Plan, Step};
use crate::model::quantity::parse_quantity;
use json_patch::PatchOperation;
use serde_json::Value;
use std::sync::Arc;

/// What a plan touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Touches {
    /// The number of replicas of a workload.
    pub replicas: bool,
    /// Requests or limits.
    pub resources: bool,
    /// A memory limit.
    pub memory_limit: bool,
    /// Any desired state of an object (not only evicting pods).
    pub spec: bool,
    /// The pod template: pods will be replaced.
    pub template: bool,
    /// Pods are evicted.
    pub evicts: bool,
    /// Pods are taken from their controllers and Services.
    pub detaches: bool,
    /// A number becomes smaller, or something is removed.
    pub shrinks: bool,
}

impl Touches {
    /// Of all steps together.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut all = Self::default();
        for step in &plan.steps {
            all.add(step);
        }
        all
    }

    /// Whether pods go away or are replaced.
    pub(super) fn disrupts(self) -> bool {
        self.template || self.evicts || self.detaches || (self.replicas && self.shrinks)
    }

    fn add(&mut self, step: &Step) {
        match &step.op {
            Op::Evict { .. } => self.evicts = true,
            Op::Wait { .. } => {}
            Op::Patch { patch, subresource } => {
                for op in patch.iter().filter(|op| !matches!(op, PatchOperation::Test(_))) {
                    let path = op.path().as_str();
                    if path.starts_with("/metadata/annotations") {
                        continue;
                    }
                    self.spec = true;
                    self.detaches |= step.target.resource == Resource::PODS && path.starts_with("/metadata/labels");
                    // Keys of a ConfigMap are chosen by people, and may be called like fields of a workload.
                    if step.target.resource == Resource::CONFIGMAPS {
                        continue;
                    }
                    let resources = path.contains("/resources") || subresource.as_deref() == Some("resize");
                    self.resources |= resources;
                    self.memory_limit |= resources && (path.ends_with("/limits/memory") || sets_memory_limit(op));
                    self.replicas |= path == "/spec/replicas" || subresource.as_deref() == Some("scale");
                    self.template |= path.starts_with("/spec/template");
                    self.shrinks |= shrinks(op, patch);
                }
            }
        }
    }
}

fn sets_memory_limit(op: &PatchOperation) -> bool {
    match op {
        PatchOperation::Add(a) => !a.value["limits"]["memory"].is_null() || !a.value["memory"].is_null(),
        PatchOperation::Replace(r) => !r.value["limits"]["memory"].is_null() || !r.value["memory"].is_null(),
        _ => false,
    }
}

/// Whether a replicas count or resource becomes smaller than the value tested before, or cannot be compared.
fn shrinks(op: &PatchOperation, patch: &json_patch::Patch) -> bool {
    let path = op.path().as_str();
    let sized = path == "/spec/replicas" || path == "/spec/minReplicas" || path.contains("/resources");
    match op {
        PatchOperation::Remove(_) => sized,
        PatchOperation::Replace(r) if sized => {
            let before = patch.iter().find_map(|o| match o {
                PatchOperation::Test(t) if t.path == r.path => Some(&t.value),
                _ => None,
            });
            match (before.and_then(number), number(&r.value)) {
                (Some(before), Some(after)) => after < before,
                _ => r.value.is_string() || r.value.is_number(), // nothing to compare with: assume the worst
            }
        }
        _ => false,
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str().and_then(parse_quantity))
}

/// Objects that a plan writes to, each once.
pub(super) fn targets(plan: &Plan) -> Vec<&ObjectRef> {
    let mut found: Vec<&ObjectRef> = plan.steps.iter().filter(|s| s.writes()).map(|s| &s.target).collect();
    found.sort();
    found.dedup();
    found
}

/// Nodes among the targets, each once.
pub(super) fn node_names(plan: &Plan) -> Vec<Arc<str>> {
    targets(plan).iter().filter(|t| t.resource == Resource::NODES).map(|t| t.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::fixture;
    use serde_json::json;

    fn of(patch: Value) -> Touches {
        Touches::of(&fixture::patch_plan(patch))
    }

    #[test]
    fn the_patch_tells_what_is_touched() {
        let raise = of(
            json!([{"op": "test", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": "128Mi"},
            {"op": "replace", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": "256Mi"}]),
        );
        assert!(raise.resources && raise.memory_limit && raise.template && !raise.shrinks && !raise.replicas);
        let lower = of(
            json!([{"op": "test", "path": "/spec/replicas", "value": 3}, {"op": "replace", "path": "/spec/replicas", "value": 2}]),
        );
        assert!(lower.replicas && lower.shrinks && lower.disrupts());
        let blind = of(json!([{"op": "replace", "path": "/spec/replicas", "value": 5}]));
        assert!(blind.shrinks, "without the old value the worst is assumed");
        let cordon = of(json!([{"op": "add", "path": "/spec/unschedulable", "value": true}]));
        assert!(cordon.spec && !cordon.shrinks && !cordon.disrupts());
    }
}
