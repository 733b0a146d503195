//! Reading live objects and writing patches against them.

use super::NoProposal;
use crate::model::object::{ObjectRef, Resource};
use crate::model::plan::{Bound, Gate, Inverse, Op, Step};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation, TestOperation};
use serde_json::Value;
use std::sync::Arc;

/// A JSON pointer from its parts, escaped as RFC 6901 demands.
fn pointer(path: &[&str]) -> PointerBuf {
    PointerBuf::from_tokens(path.iter().copied())
}

/// `test`: the value at `path` must be `value`.
pub fn test(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Test(TestOperation { path: pointer(path), value })
}

/// `replace`.
pub fn replace(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Replace(ReplaceOperation { path: pointer(path), value })
}

/// `add`.
pub fn add(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: pointer(path), value })
}

/// `remove`.
pub fn remove(path: &[&str]) -> PatchOperation {
    PatchOperation::Remove(RemoveOperation { path: pointer(path) })
}

/// A change of one value, both ways: `test` old, `replace` by new; and back.
pub fn change(path: &[&str], old: &Value, new: &Value) -> (Vec<PatchOperation>, Vec<PatchOperation>) {
    (
        vec![test(path, old.clone()), replace(path, new.clone())],
        vec![test(path, new.clone()), replace(path, old.clone())],
    )
}

/// A step that patches a live object, bound to it.
pub fn patch_step(
    title: String,
    object: &Value,
    target: ObjectRef,
    forth: Vec<PatchOperation>,
    back: Vec<PatchOperation>,
    subresource: Option<&str>,
) -> Result<Step, NoProposal> {
    Ok(Step {
        title: title.into(),
        op: Op::Patch { patch: Patch(forth), subresource: subresource.map(str::to_owned) },
        bound: bind(object, &target)?,
        target,
        inverse: Inverse::Patch { patch: Patch(back) },
        gate: Gate::None,
    })
}

/// Binds a step to a live object.
pub fn bind(object: &Value, target: &ObjectRef) -> Result<Bound, NoProposal> {
    Bound::to(object).ok_or_else(|| NoProposal::because(format!("the live {target} has no UID")))
}

/// A step that evicts one live pod, bound to its UID.
pub fn evict_step(pod: &Value, gate: Gate, why: &str) -> Result<Step, NoProposal> {
    let name: Arc<str> = text(&pod["metadata"]["name"]).into();
    let namespace: Arc<str> = text(&pod["metadata"]["namespace"]).into();
    let target = ObjectRef::namespaced(Resource::PODS, namespace, name.clone());
    Ok(Step {
        title: format!("evict pod {name} ({why})").into(),
        op: Op::Evict { grace_seconds: None },
        bound: bind(pod, &target)?,
        target,
        inverse: Inverse::NotNeeded { why: "the controller makes a new pod; the desired state does not change".into() },
        gate,
    })
}

/// A string of a live object, empty if it is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// List and index of a container in a pod template: `("containers", 0)`.
pub fn container<'a>(template: &'a Value, name: &str) -> Option<(&'static str, usize, &'a Value)> {
    ["containers", "initContainers"].into_iter().find_map(|list| {
        let found = template["spec"][list].as_array()?.iter().enumerate().find(|(_, c)| c["name"] == name)?;
        Some((list, found.0, found.1))
    })
}

/// Whether a live pod has a controller that will make a new one.
pub fn has_controller(pod: &Value) -> bool {
    pod["metadata"]["ownerReferences"].as_array().is_some_and(|o| o.iter().any(|r| r["controller"] == true))
}

/// Whether a live pod is ready.
pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|c| c.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

/// Images of a pod template, for titles.
pub fn images(template: &Value) -> String {
    let containers = template["spec"]["containers"].as_array();
    let images: Vec<&str> = containers.into_iter().flatten().map(|c| text(&c["image"])).collect();
    images.join(", ")
}
