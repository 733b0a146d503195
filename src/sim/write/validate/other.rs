//! Everything that runs no pods: services, autoscalers, budgets, configuration, bindings.

use super::workload::selector;
use super::{Errors, meta, names, pod};
use crate::sim::object::{at, int, list, text};
use crate::sim::resource::Resource;
use serde_json::Value;
use std::collections::BTreeSet;

/// The most a ConfigMap or Secret may hold.
const MOST_DATA: usize = 1024 * 1024;

/// Validates an object of one of these kinds.
pub fn validate(kind: &Resource, object: &Value, errors: &mut Errors) {
    match kind.key().as_str() {
        "services" => service(object, errors),
        "horizontalpodautoscalers.autoscaling" => autoscaler(object, errors),
        "poddisruptionbudgets.policy" => budget(object, errors),
        "configmaps" => data(object, &["data", "binaryData"], errors),
        "secrets" => data(object, &["data"], errors),
        "leases.coordination.k8s.io" => lease(object, errors),
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => {
            binding(object, errors);
        }
        "storageclasses.storage.k8s.io" if text(object, "provisioner").is_empty() => errors.required("provisioner", ""),
        "persistentvolumeclaims" => {
            if list(object, "spec.accessModes").is_empty() {
                errors.required("spec.accessModes", "at least 1 access mode is required");
            }
            if at(object, "spec.resources.requests.storage").is_none() {
                errors.required("spec.resources[storage]", "");
            }
        }
        "networkpolicies.networking.k8s.io" => meta::labels(object, "spec.podSelector.matchLabels", errors),
        "ingresses.networking.k8s.io"
            if list(object, "spec.rules").is_empty() && at(object, "spec.defaultBackend").is_none() =>
        {
            let nothing = Value::Array(Vec::new());
            errors.invalid("spec", &nothing, "either `defaultBackend` or `rules` must be specified");
        }
        _ => {}
    }
}

fn service(object: &Value, errors: &mut Errors) {
    let ports = list(object, "spec.ports");
    let (kind, headless) = (text(object, "spec.type"), text(object, "spec.clusterIP") == "None");
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.required("spec.ports", "");
    }
    if kind == "ExternalName" && text(object, "spec.externalName").is_empty() {
        errors.required("spec.externalName", "");
    }
    let mut seen = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for (i, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{i}]");
        let name = text(port, "name");
        if name.is_empty() {
            if ports.len() > 1 {
                errors.required(&format!("{field}.name"), "");
            }
        } else {
            errors.names(&format!("{field}.name"), name, names::label(name));
            if !seen.insert(name) {
                errors.duplicate(&format!("{field}.name"), &name.into());
            }
        }
        let number = int(port, "port").unwrap_or(0);
        pod::in_range(&format!("{field}.port"), number, errors);
        let protocol = text(port, "protocol");
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            errors.unsupported(&format!("{field}.protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        }
        if let Some(target) = at(port, "targetPort").and_then(Value::as_i64) {
            pod::in_range(&format!("{field}.targetPort"), target, errors);
        }
        if !taken.insert((number, protocol)) {
            errors.duplicate(&field, &serde_json::json!({"port": number, "protocol": protocol}));
        }
    }
    meta::labels(object, "spec.selector", errors);
    let affinity = text(object, "spec.sessionAffinity");
    if !matches!(affinity, "None" | "ClientIP") {
        errors.unsupported("spec.sessionAffinity", affinity, &["ClientIP", "None"]);
    }
    if !matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        errors.unsupported("spec.type", kind, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    }
}

fn autoscaler(object: &Value, errors: &mut Errors) {
    let (min, max) = (int(object, "spec.minReplicas"), int(object, "spec.maxReplicas").unwrap_or(0));
    if let Some(min) = min.filter(|m| *m < 1) {
        errors.invalid("spec.minReplicas", &min.into(), "must be greater than or equal to 1");
    }
    if max == 0 {
        errors.required("spec.maxReplicas", "must be set and greater than 0");
    } else if max < 0 {
        errors.invalid("spec.maxReplicas", &max.into(), "must be greater than 0");
    }
    if min.is_some_and(|m| max < m) {
        errors.invalid("spec.maxReplicas", &max.into(), "must be greater than or equal to `minReplicas`");
    }
    for field in ["kind", "name"] {
        let (path, given) =
            (format!("spec.scaleTargetRef.{field}"), text(object, &format!("spec.scaleTargetRef.{field}")));
        if given.is_empty() {
            errors.required(&path, "");
        } else {
            errors.names(&path, given, names::segment(given));
        }
    }
    let api = text(object, "spec.scaleTargetRef.apiVersion");
    if !api.contains('/') && text(object, "spec.scaleTargetRef.kind") != "ReplicationController" {
        errors.invalid("spec.scaleTargetRef.apiVersion", &api.into(), "apiVersion must specify API group");
    }
    for (i, metric) in list(object, "spec.metrics").iter().enumerate() {
        let field = format!("spec.metrics[{i}]");
        let kind = text(metric, "type");
        let known = ["ContainerResource", "External", "Object", "Pods", "Resource"];
        if kind.is_empty() {
            errors.required(&format!("{field}.type"), "must specify a metric source type");
        } else if !known.contains(&kind) {
            errors.unsupported(&format!("{field}.type"), kind, &known);
        } else {
            let source = format!("{}{}", kind[..1].to_lowercase(), &kind[1..]);
            if at(metric, &source).is_none() {
                errors.required(&format!("{field}.{source}"), "must populate information for the given metric source");
            }
        }
    }
}

fn budget(object: &Value, errors: &mut Errors) {
    if at(object, "spec.minAvailable").is_some() && at(object, "spec.maxUnavailable").is_some() {
        // Shown as Go spells the internal type.
        let part = |name: &str| at(object, &format!("spec.{name}")).cloned().unwrap_or_default();
        let spec = serde_json::json!({"MinAvailable": part("minAvailable"), "Selector": part("selector"),
            "MaxUnavailable": part("maxUnavailable"), "UnhealthyPodEvictionPolicy": part("unhealthyPodEvictionPolicy")});
        errors.invalid("spec", &spec, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in ["spec.minAvailable", "spec.maxUnavailable"] {
        errors.not_negative(field, int(object, field));
    }
    if at(object, "spec.selector").is_some() {
        selector(object, "spec.selector", None, errors);
    }
}

fn data(object: &Value, fields: &[&str], errors: &mut Errors) {
    let mut total = 0;
    for field in fields {
        for (key, value) in object.get(*field).and_then(Value::as_object).into_iter().flatten() {
            errors.names(&format!("{field}[{key}]"), key, names::config_key(key));
            total += value.as_str().map_or(0, str::len);
            if *field == "binaryData" && object["data"].get(key).is_some() {
                errors.invalid(&format!("{field}[{key}]"), &key.as_str().into(), "duplicate of key present in data");
            }
        }
    }
    if total > MOST_DATA {
        errors.too_long("", MOST_DATA);
    }
}

fn lease(object: &Value, errors: &mut Errors) {
    if let Some(duration) = int(object, "spec.leaseDurationSeconds").filter(|d| *d <= 0) {
        errors.invalid("spec.leaseDurationSeconds", &duration.into(), "must be greater than 0");
    }
    if let Some(n) = int(object, "spec.leaseTransitions").filter(|n| *n < 0) {
        errors.invalid("spec.leaseTransitions", &n.into(), "must be greater than or equal to 0");
    }
}

fn binding(object: &Value, errors: &mut Errors) {
    let kind = text(object, "roleRef.kind");
    let known: &[&str] =
        if at(object, "metadata.namespace").is_some() { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !known.contains(&kind) {
        errors.unsupported("roleRef.kind", kind, known);
    }
    if text(object, "roleRef.name").is_empty() {
        errors.required("roleRef.name", "");
    }
}

/// What does not change once it is made.
pub fn unchanged(kind: &Resource, before: &Value, object: &Value, errors: &mut Errors) {
    match kind.key().as_str() {
        "configmaps" | "secrets" => {
            let fixed = before["immutable"] == true;
            if fixed && object["immutable"] != true {
                errors.forbidden("immutable", "field is immutable when `immutable` is set");
            }
            for field in ["data", "binaryData"] {
                if fixed && at(before, field) != at(object, field) {
                    errors.forbidden(field, "field is immutable when `immutable` is set");
                }
            }
            if kind.plural == "secrets" && text(before, "type") != text(object, "type") {
                errors.invalid("type", &text(object, "type").into(), "field is immutable");
            }
        }
        "services" => {
            let (old, new) = (text(before, "spec.clusterIP"), text(object, "spec.clusterIP"));
            let typed = text(before, "spec.type") != "ExternalName" && text(object, "spec.type") != "ExternalName";
            if typed && !old.is_empty() && old != new {
                let shown = at(object, "spec.clusterIPs").cloned().unwrap_or_default();
                errors.invalid("spec.clusterIPs[0]", &shown, "may not change once set");
            }
        }
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io"
            if at(before, "roleRef") != at(object, "roleRef") =>
        {
            errors.invalid("roleRef", &object["roleRef"], "cannot change roleRef");
        }
        _ => {}
    }
}
