//! The cluster before anybody deploys anything: namespaces, bootstrap policy, priorities, nodes, the system's own
//! workloads, and the kinds and objects of common add-ons. Static objects are YAML files beside this one.

pub mod crds;
pub mod fleet;
pub mod node;

use super::clock::rfc3339;
use super::fields::Writer;
use super::machine::{Machine, Shared};
use super::object::{at, set, take, text};
use super::status::Status;
use super::store::Store;
use super::write::{self, Options, Target};
use crate::model::time::Timestamp;
use crate::sim::schema::custom_kind;
use serde_json::{Value, json};

/// Files of objects in the order they are installed, and who is said to have applied them.
const FILES: [(&str, &str); 6] = [
    ("kube-apiserver", include_str!("objects/system.yaml")),
    ("kube-apiserver", include_str!("objects/roles.yaml")),
    ("kube-apiserver", include_str!("objects/bindings.yaml")),
    ("kubectl-client-side-apply", include_str!("objects/access.yaml")),
    ("helm", include_str!("objects/monitoring.yaml")),
    ("helm", include_str!("objects/addons.yaml")),
];

/// Installs the world as if it had been there since `born`, with these machines as its nodes. To be called once, on a
/// store without a history: before the engine starts.
pub fn install(store: &Store, shared: &Shared, machines: Vec<Machine>, born: Timestamp) {
    let crds = crds::all(born);
    for crd in &crds {
        store.registry.add(custom_kind(crd).expect("our own definitions are complete: a test installs them"));
    }
    store.load("customresourcedefinitions.apiextensions.k8s.io", crds).expect("the kind is built in");
    let mut all: Vec<(&str, Vec<Value>)> = FILES
        .iter()
        .map(|(manager, yaml)| (*manager, parse(yaml).expect("our own files parse: a test installs them")))
        .collect();
    aggregate(all.iter_mut().flat_map(|(_, objects)| objects));
    for (manager, objects) in all {
        load(store, objects, manager, born).expect("our own objects are valid: a test installs them");
    }
    let now = store.clock().now();
    let nodes = machines.iter().enumerate().map(|(i, m)| node::object(m, i, born, now)).collect();
    store.load("nodes", nodes).expect("the kind is built in");
    shared.lock().nodes.extend(machines.into_iter().map(|m| (m.name.clone(), m)));
}

/// The objects of a YAML file of one or more documents; empty documents are left out.
pub fn parse(yaml: &str) -> Result<Vec<Value>, serde_saphyr::Error> {
    Ok(serde_saphyr::from_multiple::<Value>(yaml)?.into_iter().filter(|o| !o.is_null()).collect())
}

/// Stores objects as they would be had `manager` created them at `born`: defaults filled in, fields owned. A status that
/// is given is kept.
pub fn load(store: &Store, objects: Vec<Value>, manager: &str, born: Timestamp) -> Result<(), Status> {
    for object in objects {
        let (api, kind) = (text(&object, "apiVersion"), text(&object, "kind"));
        let kind = store.registry.of_kind(api, kind).ok_or_else(|| {
            Status::new(404, "NotFound", format!("no matches for kind \"{kind}\" in version \"{api}\""))
        })?;
        let version = kind.versions[0].clone();
        let target = Target {
            kind: &kind,
            version: &version,
            namespace: text(&object, "metadata.namespace"),
            name: "",
            subresource: "",
        };
        let options = Options { dry_run: true, field_manager: manager.to_owned(), ..Options::default() };
        let mut new = match write::create(store, target, object.to_string().as_bytes(), &options) {
            Ok(written) => written.object,
            Err(s) if s.code == 501 => bare(object.clone(), &kind.kind),
            Err(s) => return Err(s),
        };
        take(&mut new, "metadata.uid");
        let since = rfc3339(born);
        if let Some(fields) = new.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
            for entry in fields {
                set(entry, "time", since.as_str());
            }
        }
        set(&mut new, "metadata.creationTimestamp", since);
        if let Some(status) = at(&object, "status") {
            set(&mut new, "status", status.clone());
        }
        store.load(&kind.key(), vec![new]).expect("the kind was just found");
    }
    Ok(())
}

/// Without admission: the little that nothing works without.
fn bare(mut object: Value, kind: &str) -> Value {
    if kind == "Namespace" {
        let name = text(&object, "metadata.name").to_owned();
        set(&mut object, "spec.finalizers", json!(["kubernetes"]));
        set(&mut object, "status.phase", "Active");
        let Some(labels) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) else { return object };
        let labels = labels.entry("labels").or_insert_with(|| json!({}));
        labels["kubernetes.io/metadata.name"] = name.into();
    }
    object
}

/// Fills in the rules of aggregated ClusterRoles, as the controller of that name does
/// (kubernetes/pkg/controller/clusterroleaggregation). view is part of edit and edit of admin, hence the order.
fn aggregate<'a>(objects: impl Iterator<Item = &'a mut Value>) {
    let mut roles: Vec<&mut Value> = objects.filter(|o| text(o, "kind") == "ClusterRole").collect();
    for (name, label) in [("view", "aggregate-to-view"), ("edit", "aggregate-to-edit"), ("admin", "aggregate-to-admin")]
    {
        let label = format!("rbac.authorization.k8s.io/{label}");
        let mut rules: Vec<Value> = Vec::new();
        for role in roles.iter().filter(|r| r["metadata"]["labels"][&label] == "true") {
            for rule in role["rules"].as_array().into_iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        if let Some(role) = roles.iter_mut().find(|r| text(r, "metadata.name") == name) {
            role["rules"] = rules.into();
        }
    }
}

/// Somebody whose writes are not tracked: what writes here has no field manager.
const NOBODY: Writer<'static> = Writer::of("");

#[cfg(test)]
mod tests;
