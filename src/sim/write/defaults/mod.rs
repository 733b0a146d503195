//! What the server fills in: the defaults of each kind, and what its strategies and admission plugins set on creation.
//! Source: k8s.io/kubernetes pkg/apis/*/v1/defaults.go, pkg/registry/*/*/strategy.go, plugin/pkg/admission.

pub mod network;
pub mod pod;
mod workload;

use crate::sim::object::{at, list, set, take, text};
use crate::sim::resource::Resource;
use crate::sim::store::Store;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

/// Sets `path` unless something is there; an empty text is nothing.
fn default(object: &mut Value, path: &str, value: impl Into<Value>) {
    if at(object, path).is_none_or(|v| v == "") {
        set(object, path, value);
    }
}

/// The list at `path`, to change it; empty if there is none.
fn each<'a>(object: &'a mut Value, path: &str) -> impl Iterator<Item = &'a mut Value> {
    let found = path.split('.').try_fold(object, |v, key| v.get_mut(key));
    found.and_then(Value::as_array_mut).into_iter().flatten()
}

/// A new object, before it is validated.
pub fn on_create(kind: &Resource, object: &mut Value) {
    if kind.has("status") && !kind.custom && kind.plural != "customresourcedefinitions" && kind.plural != "nodes" {
        match kind.plural.as_str() {
            "namespaces" => set(object, "status", json!({"phase": "Active"})),
            "persistentvolumes" | "persistentvolumeclaims" => set(object, "status", json!({"phase": "Pending"})),
            "horizontalpodautoscalers" => {
                // Go writes this list even when there is none.
                set(object, "status", json!({"desiredReplicas": 0, "currentMetrics": null}));
            }
            _ => set(object, "status", empty_status(kind)),
        }
    }
    if kind.custom {
        take(object, "status");
    }
    fill(kind, object);
}

/// What admission and the registry add to a new object. Nobody owns it: managedFields are made before.
pub fn admit(store: &Store, kind: &Resource, object: &mut Value) {
    match kind.key().as_str() {
        "pods" => pod::admit(store, object),
        "services" => network::allocate(&network::services(store), object, None),
        "namespaces" => set(object, "spec.finalizers", json!(["kubernetes"])),
        "jobs.batch" => workload::select_own(object),
        "persistentvolumeclaims" => protect(object, "kubernetes.io/pvc-protection"),
        "persistentvolumes" => protect(object, "kubernetes.io/pv-protection"),
        _ => {}
    }
}

/// Adds the finalizer that keeps a volume while it is used.
fn protect(object: &mut Value, finalizer: &str) {
    let mut all = list(object, "metadata.finalizers").to_vec();
    if !all.iter().any(|f| f == finalizer) {
        all.push(finalizer.into());
        set(object, "metadata.finalizers", all);
    }
}

/// A changed object, before it is validated. It is called while the store is held: what it has to know of other
/// objects (`services`, for one) is read before.
pub fn on_update(services: &[Value], kind: &Resource, before: &Value, object: &mut Value) {
    fill(kind, object);
    if kind.key() == "services" {
        network::allocate(services, object, Some(before));
    }
}

/// The status of an object that nothing happened to yet, as Go writes it.
fn empty_status(kind: &Resource) -> Value {
    let ty = crate::sim::schema::of_kind(&kind.api_version(), &kind.kind).and_then(|t| t.field("status"));
    let mut status = ty.map_or_else(|| json!({}), crate::sim::fields::walk::empty);
    super::decode::drop_nulls(&mut status);
    status
}

/// The defaults of a kind.
pub fn fill(kind: &Resource, object: &mut Value) {
    match kind.key().as_str() {
        "pods" => {
            pod::fill(object, "spec");
            default(object, "spec.enableServiceLinks", true);
        }
        "podtemplates" => pod::fill(object, "template.spec"),
        "namespaces" => namespace(object),
        "secrets" => secret(object),
        "services" => network::service(object),
        "endpoints" => network::endpoints(object),
        "endpointslices.discovery.k8s.io" => network::endpoint_slice(object),
        "ingresses.networking.k8s.io" => {}
        "networkpolicies.networking.k8s.io" => network::policy(object),
        "horizontalpodautoscalers.autoscaling" => workload::autoscaler(object),
        "deployments.apps" => workload::deployment(object),
        "replicasets.apps" => workload::replica_set(object),
        "replicationcontrollers" => workload::replication_controller(object),
        "statefulsets.apps" => workload::stateful_set(object),
        "daemonsets.apps" => workload::daemon_set(object),
        "jobs.batch" => workload::job(object),
        "cronjobs.batch" => workload::cron_job(object),
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => binding(object),
        "persistentvolumeclaims" => default(object, "spec.volumeMode", "Filesystem"),
        "persistentvolumes" => {
            default(object, "spec.volumeMode", "Filesystem");
            default(object, "spec.persistentVolumeReclaimPolicy", "Retain");
        }
        "storageclasses.storage.k8s.io" => {
            default(object, "reclaimPolicy", "Delete");
            default(object, "volumeBindingMode", "Immediate");
        }
        "priorityclasses.scheduling.k8s.io" => default(object, "preemptionPolicy", "PreemptLowerPriority"),
        "customresourcedefinitions.apiextensions.k8s.io" => definition(object),
        _ => {}
    }
}

fn namespace(object: &mut Value) {
    let name = text(object, "metadata.name").to_owned();
    if !name.is_empty() {
        if object["metadata"]["labels"].is_null() {
            object["metadata"]["labels"] = json!({});
        }
        object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
    }
}

fn secret(object: &mut Value) {
    default(object, "type", "Opaque");
    let Some(Value::Object(plain)) = take(object, "stringData") else { return };
    for (key, value) in plain {
        if object["data"].is_null() {
            object["data"] = json!({});
        }
        object["data"][key] = BASE64_STANDARD.encode(value.as_str().unwrap_or_default()).into();
    }
}

fn binding(object: &mut Value) {
    default(object, "roleRef.apiGroup", "rbac.authorization.k8s.io");
    for subject in each(object, "subjects") {
        match text(subject, "kind") {
            "User" | "Group" => default(subject, "apiGroup", "rbac.authorization.k8s.io"),
            _ => {}
        }
    }
}

fn definition(object: &mut Value) {
    let kind = text(object, "spec.names.kind").to_owned();
    if !kind.is_empty() {
        default(object, "spec.names.singular", kind.to_lowercase());
        default(object, "spec.names.listKind", format!("{kind}List"));
    }
    default(object, "spec.conversion.strategy", "None");
}
