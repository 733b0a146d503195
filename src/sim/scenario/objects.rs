//! Deeds that change objects, and how they are taken back: only what still is as the scenario left it, so that what
//! somebody corrected meanwhile stays corrected.

use super::deed::{Deed, Name, Object};
use super::problem::one_of;
use crate::sim::clock::rfc3339;
use crate::sim::fields::Writer;
use crate::sim::object::{at, set, take, text};
use crate::sim::resource::Resource;
use crate::sim::store::{Delete, Store, StoreError};
use crate::sim::write::{self, Options, Patch, Target};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Kinds a workload can be of.
pub const WORKLOADS: [&str; 4] = ["deployments.apps", "statefulsets.apps", "daemonsets.apps", "cronjobs.batch"];

/// Tries of a write that somebody else's write came before.
const TRIES: usize = 5;

/// How a change is taken back.
#[derive(Debug, Clone)]
pub enum Undo {
    /// Sets these values back.
    Edited { kind: Arc<Resource>, name: Name, changes: Vec<Difference> },
    /// Deletes the object with this UID.
    Created { kind: Arc<Resource>, name: Name, uid: String },
    /// Creates the object again.
    Deleted { kind: Arc<Resource>, object: Value },
}

/// A value that differs: its path, before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    path: Vec<String>,
    before: Option<Value>,
    after: Option<Value>,
}

/// Does what `deed` says as `manager`. Gives back how to undo it; the error says why it could not be done.
pub fn perform(store: &Store, deed: &Deed, manager: &str) -> Result<Vec<Undo>, String> {
    match deed {
        Deed::Apply { objects } => objects.iter().map(|o| apply(store, o, manager)).collect(),
        Deed::Delete { object } => delete(store, object).map(|u| vec![u]),
        _ => {
            let (kind, name) = target(store, deed)?;
            let stamp = rfc3339(store.clock().now());
            edit(store, &kind, &name, manager, |o| change(deed, &stamp, o)).map(|u| vec![u])
        }
    }
}

/// The object a deed changes.
fn target(store: &Store, deed: &Deed) -> Result<(Arc<Resource>, Name), String> {
    let named = |kind: &str, name: &Name| find(store, &Object { kind: kind.to_owned(), name: name.clone() });
    match deed {
        Deed::Patch { object, .. } | Deed::Annotate { object, .. } => find(store, object),
        Deed::SetImage { workload, .. } | Deed::Scale { workload, .. } | Deed::Restart { workload } => {
            self::workload(store, workload)
        }
        Deed::Config { map, .. } => named("ConfigMap", map),
        Deed::Hpa { name, .. } => named("HorizontalPodAutoscaler", name),
        _ => Err("it changes no object".to_owned()),
    }
}

/// The kind that `word` means: its kind, plural, singular, short name or key.
pub fn kind(store: &Store, word: &str) -> Result<Arc<Resource>, String> {
    let all = store.registry.all();
    let lower = word.to_lowercase();
    let means = |r: &Resource| {
        r.key() == lower || r.kind == word || r.plural == lower || r.singular == lower || r.short.contains(&lower)
    };
    // A custom kind never hides a built-in one.
    let found = all.iter().filter(|r| means(r)).min_by_key(|r| (r.custom, r.key()));
    found.cloned().ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|r| r.kind.as_str()).collect();
        format!("there is no kind {word:?}; {}", one_of(word, &known))
    })
}

fn find(store: &Store, object: &Object) -> Result<(Arc<Resource>, Name), String> {
    let kind = kind(store, &object.kind)?;
    match store.get(&kind.key(), &object.name.namespace, &object.name.name) {
        Some(_) => Ok((kind, object.name.clone())),
        None => Err(format!("there is no {} {}", object.kind, object.name)),
    }
}

/// The workload of that name, of whatever kind.
pub fn workload(store: &Store, name: &Name) -> Result<(Arc<Resource>, Name), String> {
    let found = WORKLOADS.iter().find(|key| store.get(key, &name.namespace, &name.name).is_some());
    let kind = found.and_then(|key| store.registry.get(key));
    kind.map(|k| (k, name.clone())).ok_or_else(|| format!("there is no workload {name}"))
}

/// Where the pod's specification is.
fn template(object: &Value) -> &'static str {
    if text(object, "kind") == "CronJob" { "spec.jobTemplate.spec.template" } else { "spec.template" }
}

/// Makes the change in an object.
fn change(deed: &Deed, stamp: &str, object: &mut Value) -> Result<(), String> {
    match deed {
        Deed::Patch { patch, .. } => merge(object, patch),
        Deed::Annotate { key, value, .. } => {
            merge(object, &json!({"metadata": {"annotations": {key: value}}}));
        }
        Deed::SetImage { container, image, .. } => {
            let path = format!("/{}/spec/containers", template(object).replace('.', "/"));
            let all = object.pointer_mut(&path).and_then(Value::as_array_mut).ok_or("it has no containers")?;
            let wanted = all.iter_mut().find(|c| container.as_ref().is_none_or(|n| text(c, "name") == n));
            set(wanted.ok_or("it has no such container")?, "image", image.as_str());
        }
        Deed::Scale { replicas, .. } => set(object, "spec.replicas", *replicas),
        Deed::Restart { .. } => {
            let key = "kubectl.kubernetes.io/restartedAt";
            let path = template(object);
            let mut part = at(object, path).cloned().ok_or("it has no pod template")?;
            merge(&mut part, &json!({"metadata": {"annotations": {key: stamp}}}));
            set(object, path, part);
        }
        Deed::Config { key, value, .. } => merge(object, &json!({"data": {key: value}})),
        Deed::Hpa { min, max, cpu, .. } => {
            min.inspect(|n| set(object, "spec.minReplicas", *n));
            max.inspect(|n| set(object, "spec.maxReplicas", *n));
            if let Some(cpu) = cpu {
                let target = json!({"type": "Utilization", "averageUtilization": cpu});
                set(
                    object,
                    "spec.metrics",
                    json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]),
                );
            }
        }
        _ => return Err("it changes no object".to_owned()),
    }
    Ok(())
}

/// Merges `patch` into `object`: objects by key, lists of things with names by name, null removes, all else replaces.
pub fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (object, Value::Object(patch)) => {
            if !object.is_object() {
                *object = Value::Object(Map::new());
            }
            let Value::Object(map) = object else { return };
            for (key, value) in patch {
                if value.is_null() {
                    map.shift_remove(key);
                } else {
                    merge(map.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (Value::Array(all), Value::Array(patch)) if patch.iter().all(|p| !text(p, "name").is_empty()) => {
            for item in patch {
                match all.iter_mut().find(|o| text(o, "name") == text(item, "name")) {
                    Some(found) => merge(found, item),
                    None => all.push(item.clone()),
                }
            }
        }
        (object, patch) => *object = patch.clone(),
    }
}

fn options(manager: &str) -> Options {
    Options { field_manager: manager.to_owned(), force: true, ..Options::default() }
}

/// Reads, changes and writes an object as a client does.
fn edit(
    store: &Store,
    kind: &Arc<Resource>,
    name: &Name,
    manager: &str,
    change: impl Fn(&mut Value) -> Result<(), String>,
) -> Result<Undo, String> {
    let gone = || format!("there is no {} {name}", kind.kind);
    for _ in 0..TRIES {
        let before = store.get(&kind.key(), &name.namespace, &name.name).ok_or_else(gone)?.value();
        let mut after = before.clone();
        change(&mut after)?;
        let target =
            Target { kind, version: &kind.versions[0], namespace: &name.namespace, name: &name.name, subresource: "" };
        let written = match write::update(store, target, after.to_string().as_bytes(), &options(manager)) {
            Ok(written) => written.object,
            Err(s) if s.code == 409 => continue,
            Err(s) if s.code == 501 => direct(store, kind, name, manager, &after)?,
            Err(s) => return Err(s.message),
        };
        return Ok(Undo::Edited { kind: kind.clone(), name: name.clone(), changes: differences(&before, &written) });
    }
    Err(format!("{} {name} is changed by somebody else all the time", kind.kind))
}

/// A write without admission.
fn direct(store: &Store, kind: &Resource, name: &Name, manager: &str, after: &Value) -> Result<Value, String> {
    let change = |o: &mut Value| {
        *o = after.clone();
        Ok::<_, StoreError>(())
    };
    let done = store.modify(&kind.key(), &name.namespace, &name.name, Writer::of(manager), change);
    done.map(|s| s.value()).map_err(|e| e.to_string())
}

fn apply(store: &Store, object: &Value, manager: &str) -> Result<Undo, String> {
    let (api, word) = (text(object, "apiVersion"), text(object, "kind"));
    let kind =
        store.registry.of_kind(api, word).ok_or_else(|| format!("there is no kind {word:?} in version {api:?}"))?;
    let namespace = if kind.namespaced { text(object, "metadata.namespace") } else { "" };
    let namespace = if kind.namespaced && namespace.is_empty() { "default" } else { namespace };
    let name = Name { namespace: namespace.to_owned(), name: text(object, "metadata.name").to_owned() };
    let before = store.get(&kind.key(), &name.namespace, &name.name);
    let version = api.rsplit('/').next().unwrap_or(api);
    let target = Target { kind: &kind, version, namespace, name: &name.name, subresource: "" };
    let written = match write::patch(store, target, Patch::Apply, object.to_string().as_bytes(), &options(manager)) {
        Ok(written) => written.object,
        Err(s) if s.code == 501 => {
            if let Some(old) = &before {
                let mut after = old.value();
                merge(&mut after, object);
                direct(store, &kind, &name, manager, &after)?
            } else {
                let mut object = object.clone();
                if kind.namespaced {
                    set(&mut object, "metadata.namespace", namespace);
                }
                let made = store.create(&kind.key(), object, Writer::of(manager));
                made.map_err(|e| e.to_string())?.value()
            }
        }
        Err(s) => return Err(s.message),
    };
    Ok(match before {
        Some(old) => Undo::Edited { kind, name, changes: differences(&old.value(), &written) },
        None => Undo::Created { kind, name, uid: text(&written, "metadata.uid").to_owned() },
    })
}

fn delete(store: &Store, object: &Object) -> Result<Undo, String> {
    let (kind, name) = find(store, object)?;
    let how = Delete { propagation: "Background".to_owned(), ..Delete::default() };
    let (last, _) = store.delete(&kind.key(), &name.namespace, &name.name, &how).map_err(|e| e.to_string())?;
    let mut object = last.value();
    take(&mut object, "status");
    let meta = object["metadata"].as_object_mut().map(std::mem::take).unwrap_or_default();
    let kept = meta.into_iter().filter(|(k, _)| matches!(k.as_str(), "name" | "namespace" | "labels" | "annotations"));
    object["metadata"] = kept.collect::<Map<_, _>>().into();
    Ok(Undo::Deleted { kind, object })
}

/// Takes a change back. The error says why it could not be.
pub fn undo(store: &Store, undo: &Undo, manager: &str) -> Result<(), String> {
    match undo {
        Undo::Edited { kind, name, changes } => {
            if store.get(&kind.key(), &name.namespace, &name.name).is_none() {
                return Ok(());
            }
            edit(store, kind, name, manager, |o| {
                changes.iter().rev().for_each(|c| restore(o, c));
                Ok(())
            })
            .map(drop)
        }
        Undo::Created { kind, name, uid } => {
            let how = Delete { uid: Some(uid.clone()), propagation: "Background".to_owned(), ..Delete::default() };
            match store.delete(&kind.key(), &name.namespace, &name.name, &how) {
                // Gone already, or another one of that name: not ours.
                Ok(_) | Err(StoreError::NotFound(_) | StoreError::Conflict(_)) => Ok(()),
                Err(e) => Err(e.to_string()),
            }
        }
        Undo::Deleted { kind, object } => {
            let namespace = text(object, "metadata.namespace");
            if store.get(&kind.key(), namespace, text(object, "metadata.name")).is_some() {
                return Ok(());
            }
            let target = Target { kind, version: &kind.versions[0], namespace, name: "", subresource: "" };
            match write::create(store, target, object.to_string().as_bytes(), &options(manager)) {
                Ok(_) => Ok(()),
                Err(s) if s.code == 501 => {
                    store.create(&kind.key(), object.clone(), Writer::of(manager)).map(drop).map_err(|e| e.to_string())
                }
                Err(s) => Err(s.message),
            }
        }
    }
}

/// What differs between two states of an object, left out what the server keeps.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut out = Vec::new();
    compare(Some(before), Some(after), &mut Vec::new(), &mut out);
    out.retain(|d| {
        let path: Vec<&str> = d.path.iter().take(2).map(String::as_str).collect();
        !matches!(path.as_slice(), ["status", ..] | ["metadata", "managedFields" | "resourceVersion" | "generation"])
    });
    out
}

fn compare(before: Option<&Value>, after: Option<&Value>, path: &mut Vec<String>, out: &mut Vec<Difference>) {
    let mut below = |key: String, b: Option<&Value>, a: Option<&Value>| {
        path.push(key);
        compare(b, a, path, out);
        path.pop();
    };
    match (before, after) {
        (Some(Value::Object(b)), Some(Value::Object(a))) => {
            let added = a.keys().filter(|k| !b.contains_key(*k));
            for key in b.keys().chain(added) {
                below(key.clone(), b.get(key), a.get(key));
            }
        }
        (Some(Value::Array(b)), Some(Value::Array(a))) if a.len() == b.len() => {
            for (i, (b, a)) in b.iter().zip(a).enumerate() {
                below(i.to_string(), Some(b), Some(a));
            }
        }
        (b, a) if b != a => {
            out.push(Difference { path: path.clone(), before: b.cloned(), after: a.cloned() });
        }
        _ => {}
    }
}

/// Sets a value back if it still is what it was changed to.
fn restore(object: &mut Value, change: &Difference) {
    let Some((last, way)) = change.path.split_last() else { return };
    let mut here = object;
    for key in way {
        let next = match here {
            Value::Object(map) => map.get_mut(key),
            Value::Array(all) => key.parse::<usize>().ok().and_then(|i| all.get_mut(i)),
            _ => None,
        };
        let Some(next) = next else { return };
        here = next;
    }
    match here {
        Value::Object(map) if map.get(last) == change.after.as_ref() => match &change.before {
            Some(value) => drop(map.insert(last.clone(), value.clone())),
            None => drop(map.shift_remove(last)),
        },
        Value::Array(all) => {
            let item = last.parse::<usize>().ok().and_then(|i| all.get_mut(i));
            if let (Some(item), Some(before)) = (item, &change.before)
                && Some(&*item) == change.after.as_ref()
            {
                *item = before.clone();
            }
        }
        _ => {}
    }
}

/// Workloads of the store, for suggestions.
pub fn workloads(store: &Store) -> Vec<String> {
    let all = WORKLOADS.iter().flat_map(|key| store.list(key, None).1);
    all.map(|o| format!("{}/{}", o.namespace, o.name)).collect()
}

/// Keys of a ConfigMap.
pub fn keys(store: &Store, map: &Name) -> Option<Vec<String>> {
    let object = store.get("configmaps", &map.namespace, &map.name)?.value();
    Some(at(&object, "data").and_then(Value::as_object).map_or_else(Vec::new, |m| m.keys().cloned().collect()))
}

/// Names of all objects of a kind, with namespaces where they have them.
pub fn names(store: &Store, key: &str) -> Vec<String> {
    let all = store.list(key, None).1;
    all.iter()
        .map(|o| if o.namespace.is_empty() { o.name.clone() } else { format!("{}/{}", o.namespace, o.name) })
        .collect()
}

/// What `apply` creates: (kind, namespace/name).
pub fn created(objects: &[Value]) -> impl Iterator<Item = (String, String)> + '_ {
    objects.iter().map(|o| {
        let (namespace, name) = (text(o, "metadata.namespace"), text(o, "metadata.name"));
        let name = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
        (text(o, "kind").to_owned(), name)
    })
}
