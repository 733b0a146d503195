//! Kubernetes objects as JSON: reading and writing by path, without a type for each kind, so that nothing a client
//! stored is lost.

use crate::model::quantity;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is at `path` (dots between names, no list indices): `spec.template.spec`.
pub fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |v, key| v.get(key)).filter(|v| !v.is_null())
}

/// Text at `path`, or empty.
pub fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number at `path`.
pub fn int(object: &Value, path: &str) -> Option<i64> {
    at(object, path).and_then(Value::as_i64)
}

/// Whether `path` says true.
pub fn yes(object: &Value, path: &str) -> bool {
    at(object, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The list at `path`, or an empty one.
pub fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    at(object, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Strings by name at `path` (labels, annotations, nodeSelector, a ConfigMap's data).
pub fn strings(object: &Value, path: &str) -> BTreeMap<String, String> {
    let Some(Value::Object(map)) = at(object, path) else { return BTreeMap::new() };
    map.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

/// Sets `path`, making the objects on the way.
pub fn set(object: &mut Value, path: &str, value: impl Into<Value>) {
    let mut here = object;
    let mut keys = path.split('.').peekable();
    while let Some(key) = keys.next() {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Value::Object(map) = here else { return };
        if keys.peek().is_none() {
            map.insert(key.to_owned(), value.into());
            return;
        }
        here = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    }
}

/// Removes `path`; gives back what was there.
pub fn take(object: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = if parent.is_empty() { Some(object) } else { parent.split('.').try_fold(object, |v, k| v.get_mut(k)) };
    parent?.as_object_mut()?.shift_remove(key)
}

/// The owner reference with `controller: true`, as (kind, name, uid).
pub fn controller(object: &Value) -> Option<(&str, &str, &str)> {
    list(object, "metadata.ownerReferences")
        .iter()
        .find(|o| yes(o, "controller"))
        .map(|o| (text(o, "kind"), text(o, "name"), text(o, "uid")))
}

/// An owner reference to `owner` as its controller.
pub fn owned_by(owner: &Value) -> Value {
    serde_json::json!({
        "apiVersion": text(owner, "apiVersion"), "kind": text(owner, "kind"), "name": text(owner, "metadata.name"),
        "uid": text(owner, "metadata.uid"), "controller": true, "blockOwnerDeletion": true,
    })
}

/// The condition of `kind` in `status.conditions`.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "status.conditions").iter().find(|c| text(c, "type") == kind)
}

/// Whether the condition of `kind` is `True`.
pub fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| text(c, "status") == "True")
}

/// Sets a condition; `lastTransitionTime` moves only when its status does. Gives back whether anything changed.
pub fn set_condition(object: &mut Value, kind: &str, status: &str, reason: &str, message: &str, now: &str) -> bool {
    if let Some(old) = condition(object, kind)
        && (text(old, "status"), text(old, "reason"), text(old, "message")) == (status, reason, message)
    {
        return false;
    }
    if at(object, "status.conditions").is_none() {
        set(object, "status.conditions", Value::Array(Vec::new()));
    }
    let Some(all) = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut) else { return false };
    let index = all.iter().position(|c| text(c, "type") == kind);
    let moved = index.is_none_or(|i| text(&all[i], "status") != status);
    let since = if moved { now.to_owned() } else { text(&all[index.unwrap_or(0)], "lastTransitionTime").to_owned() };
    let mut new = index.map_or_else(|| serde_json::json!({"type": kind}), |i| all[i].clone());
    set(&mut new, "status", status);
    set(&mut new, "lastTransitionTime", since);
    for (key, value) in [("reason", reason), ("message", message)] {
        if value.is_empty() {
            take(&mut new, key);
        } else {
            set(&mut new, key, value);
        }
    }
    match index {
        Some(i) => all[i] = new,
        None => all.push(new),
    }
    true
}

/// A quantity (`250m`, `1Gi`, or a bare number) in units; `None` if it is absent or malformed.
pub fn amount(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => quantity_of(s),
        _ => None,
    }
}

/// A quantity's text in units.
pub fn quantity_of(text: &str) -> Option<f64> {
    quantity::parse_quantity(text)
}
