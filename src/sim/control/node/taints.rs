//! Taints that follow from a node's conditions.

use crate::sim::control::context::Context;
use crate::sim::control::queue::Id;
use crate::sim::object::{condition, list, set, take, text, yes};
use serde_json::{Value, json};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// Condition, the status that taints, and the taint.
const BY_CONDITION: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// The NoExecute taint of a Ready status.
pub fn no_execute(ready: &str) -> Option<&'static str> {
    match ready {
        "True" => None,
        "False" => Some(NOT_READY),
        _ => Some(UNREACHABLE),
    }
}

pub fn has(node: &Value, key: &str, effect: &str) -> bool {
    list(node, "spec.taints").iter().any(|t| text(t, "key") == key && text(t, "effect") == effect)
}

pub fn has_any_no_execute(node: &Value) -> bool {
    has(node, NOT_READY, "NoExecute") || has(node, UNREACHABLE, "NoExecute")
}

/// Brings the NoSchedule taints in line with the conditions (doNoScheduleTaintingPass).
pub fn sync_no_schedule(cx: &Context<'_>, id: &Id, node: &Value) {
    let mut wanted: Vec<&str> = BY_CONDITION
        .iter()
        .filter(|(kind, status, _)| condition(node, kind).is_some_and(|c| text(c, "status") == *status))
        .map(|(_, _, taint)| *taint)
        .collect();
    if yes(node, "spec.unschedulable") {
        wanted.push(UNSCHEDULABLE);
    }
    let ours = |key: &str| key == UNSCHEDULABLE || BY_CONDITION.iter().any(|(_, _, t)| *t == key);
    let off = list(node, "spec.taints")
        .iter()
        .any(|t| text(t, "effect") == "NoSchedule" && ours(text(t, "key")) && !wanted.contains(&text(t, "key")));
    let missing: Vec<&str> = wanted.iter().copied().filter(|k| !has(node, k, "NoSchedule")).collect();
    if !off && missing.is_empty() {
        return;
    }
    swap(
        cx,
        id,
        |t| text(t, "effect") == "NoSchedule" && ours(text(t, "key")) && !wanted.contains(&text(t, "key")),
        &missing,
        "NoSchedule",
    );
}

pub fn clear_no_execute(cx: &Context<'_>, id: &Id) {
    if cx.get(id).is_some_and(|n| has_any_no_execute(&n)) {
        swap(
            cx,
            id,
            |t| text(t, "effect") == "NoExecute" && [NOT_READY, UNREACHABLE].contains(&text(t, "key")),
            &[],
            "",
        );
    }
}

pub fn set_no_execute(cx: &Context<'_>, id: &Id, key: &str) {
    swap(
        cx,
        id,
        |t| text(t, "effect") == "NoExecute" && [NOT_READY, UNREACHABLE].contains(&text(t, "key")),
        &[key],
        "NoExecute",
    );
}

/// Takes off what `off` says, and puts `on` on.
fn swap(cx: &Context<'_>, id: &Id, off: impl Fn(&Value) -> bool, on: &[&str], effect: &str) {
    let time = cx.time();
    cx.update(id, |v| {
        let mut all: Vec<Value> = list(v, "spec.taints").iter().filter(|t| !off(t)).cloned().collect();
        all.extend(on.iter().map(|key| json!({"key": key, "effect": effect, "timeAdded": time})));
        if all.is_empty() {
            take(v, "spec.taints");
        } else {
            set(v, "spec.taints", all);
        }
    });
}
