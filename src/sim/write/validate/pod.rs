//! Pod specifications, wherever they stand.

use super::{Errors, meta, names};
use crate::sim::object::{at, int, list, text};
use crate::sim::write::quantity;
use serde_json::Value;
use std::collections::BTreeSet;

/// What the specification is for: it decides which restart policies are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A pod.
    Pod,
    /// A template of what runs for ever.
    Always,
    /// A job's template.
    Job,
}

const HIGHEST_PORT: i64 = 65_535;

/// Validates a pod's specification at `path`.
pub fn validate(spec: Option<&Value>, path: &str, place: Place, errors: &mut Errors) {
    let nothing = Value::Null;
    let spec = spec.unwrap_or(&nothing);
    let volumes = volumes(spec, path, errors);
    let mut all_names = BTreeSet::new();
    if list(spec, "containers").is_empty() {
        errors.required(&format!("{path}.containers"), "");
    }
    for field in ["initContainers", "containers"] {
        for (i, c) in list(spec, field).iter().enumerate() {
            container(c, &format!("{path}.{field}[{i}]"), &volumes, &mut all_names, errors);
        }
    }
    let policy = text(spec, "restartPolicy");
    let field = format!("{path}.restartPolicy");
    let all = ["Always", "OnFailure", "Never"];
    if !policy.is_empty() && !all.contains(&policy) {
        errors.unsupported(&field, policy, &all);
    }
    match place {
        Place::Always if !matches!(policy, "" | "Always") => errors.unsupported(&field, policy, &["Always"]),
        Place::Job if matches!(policy, "" | "Always") => {
            errors.required(&field, "valid values: \"OnFailure\", \"Never\"");
        }
        _ => {}
    }
    let dns = text(spec, "dnsPolicy");
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    if !dns.is_empty() && !policies.contains(&dns) {
        errors.unsupported(
            &format!("{path}.dnsPolicy"),
            dns,
            &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
        );
    }
    if let Some(deadline) = int(spec, "activeDeadlineSeconds").filter(|d| *d < 1) {
        errors.invalid(
            &format!("{path}.activeDeadlineSeconds"),
            &deadline.into(),
            "must be between 1 and 2147483647, inclusive",
        );
    }
    meta::labels_as(spec.get("nodeSelector"), &format!("{path}.nodeSelector"), errors);
    let account = text(spec, "serviceAccountName");
    if !account.is_empty() {
        errors.names(&format!("{path}.serviceAccountName"), account, names::subdomain(account));
    }
    for (i, toleration) in list(spec, "tolerations").iter().enumerate() {
        tolerated(toleration, &format!("{path}.tolerations[{i}]"), errors);
    }
}

fn tolerated(toleration: &Value, path: &str, errors: &mut Errors) {
    let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
    if !key.is_empty() {
        errors.names(&format!("{path}.key"), key, names::qualified(key));
    } else if operator != "Exists" {
        let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.invalid(&format!("{path}.operator"), &operator.into(), why);
    }
    if int(toleration, "tolerationSeconds").is_some() && text(toleration, "effect") != "NoExecute" {
        errors.invalid(
            &format!("{path}.effect"),
            &text(toleration, "effect").into(),
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
        );
    }
    if !matches!(operator, "" | "Equal" | "Exists") {
        errors.unsupported(&format!("{path}.operator"), operator, &["Equal", "Exists"]);
    }
    let effect = text(toleration, "effect");
    if !matches!(effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
        errors.unsupported(&format!("{path}.effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
    }
}

fn volumes<'a>(spec: &'a Value, path: &str, errors: &mut Errors) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (i, volume) in list(spec, "volumes").iter().enumerate() {
        let (name, field) = (text(volume, "name"), format!("{path}.volumes[{i}]"));
        if name.is_empty() {
            errors.required(&format!("{field}.name"), "");
        } else if !names::label(name).is_empty() {
            errors.names(&format!("{field}.name"), name, names::label(name));
        } else if !seen.insert(name) {
            errors.duplicate(&format!("{field}.name"), &name.into());
        }
        if volume["configMap"].is_object() && text(volume, "configMap.name").is_empty() {
            errors.required(&format!("{field}.configMap.name"), "");
        }
        if volume["secret"].is_object() && text(volume, "secret.secretName").is_empty() {
            errors.required(&format!("{field}.secret.secretName"), "");
        }
        let sources = volume.as_object().map_or(0, |m| m.keys().filter(|k| *k != "name").count());
        if sources > 1 {
            let second = volume.as_object().into_iter().flatten().map(|(k, _)| k).filter(|k| *k != "name").nth(1);
            let second = second.map_or("", String::as_str);
            errors.forbidden(&format!("{field}.{second}"), "may not specify more than 1 volume type");
        }
    }
    seen
}

fn container<'a>(
    c: &'a Value,
    path: &str,
    volumes: &BTreeSet<&str>,
    seen: &mut BTreeSet<&'a str>,
    errors: &mut Errors,
) {
    let name = text(c, "name");
    if name.is_empty() {
        errors.required(&format!("{path}.name"), "");
    } else {
        errors.names(&format!("{path}.name"), name, names::label(name));
        if !seen.insert(name) {
            errors.duplicate(&format!("{path}.name"), &name.into());
        }
    }
    let image = text(c, "image");
    if image.is_empty() {
        errors.required(&format!("{path}.image"), "");
    } else if image != image.trim() {
        errors.invalid(&format!("{path}.image"), &image.into(), "must not have leading or trailing whitespace");
    }
    let pull = text(c, "imagePullPolicy");
    if !matches!(pull, "" | "Always" | "IfNotPresent" | "Never") {
        errors.unsupported(&format!("{path}.imagePullPolicy"), pull, &["Always", "IfNotPresent", "Never"]);
    }
    ports(c, path, errors);
    for (i, variable) in list(c, "env").iter().enumerate() {
        env(variable, &format!("{path}.env[{i}]"), errors);
    }
    let mut mounted = BTreeSet::new();
    for (i, mount) in list(c, "volumeMounts").iter().enumerate() {
        let (volume, place, field) =
            (text(mount, "name"), text(mount, "mountPath"), format!("{path}.volumeMounts[{i}]"));
        if volume.is_empty() {
            errors.required(&format!("{field}.name"), "");
        }
        if !volumes.contains(volume) {
            errors.missing(&format!("{field}.name"), volume);
        }
        if place.is_empty() {
            errors.required(&format!("{field}.mountPath"), "");
        } else if !mounted.insert(place) {
            errors.invalid(&format!("{field}.mountPath"), &place.into(), "must be unique");
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(p) = at(c, probe) {
            probed(p, &format!("{path}.{probe}"), probe, errors);
        }
    }
    resources(c, &format!("{path}.resources"), errors);
}

fn ports(c: &Value, path: &str, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (i, port) in list(c, "ports").iter().enumerate() {
        let field = format!("{path}.ports[{i}]");
        let name = text(port, "name");
        if !name.is_empty() {
            let faults = names::port(name);
            if faults.is_empty() && !seen.insert(name) {
                errors.duplicate(&format!("{field}.name"), &name.into());
            }
            errors.names(&format!("{field}.name"), name, faults);
        }
        match int(port, "containerPort").unwrap_or(0) {
            0 => errors.required(&format!("{field}.containerPort"), ""),
            n => in_range(&format!("{field}.containerPort"), n, errors),
        }
        let protocol = text(port, "protocol");
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            errors.unsupported(&format!("{field}.protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        }
    }
}

/// A port's number.
pub fn in_range(field: &str, port: i64, errors: &mut Errors) {
    if !(1..=HIGHEST_PORT).contains(&port) {
        errors.invalid(field, &port.into(), "must be between 1 and 65535, inclusive");
    }
}

fn env(variable: &Value, path: &str, errors: &mut Errors) {
    let name = text(variable, "name");
    if name.is_empty() {
        errors.required(&format!("{path}.name"), "");
    } else if name.contains('=') || !name.bytes().all(|c| (0x20..0x7f).contains(&c)) {
        let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
        errors.invalid(&format!("{path}.name"), &name.into(), why);
    }
    let Some(from) = at(variable, "valueFrom") else { return };
    let sources = from.as_object().map_or(0, serde_json::Map::len);
    let field = format!("{path}.valueFrom");
    if sources == 0 {
        errors.invalid(
            &field,
            &"".into(),
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        );
    } else if !text(variable, "value").is_empty() {
        errors.invalid(&field, &"".into(), "may not be specified when `value` is not empty");
    } else if sources > 1 {
        errors.invalid(&field, &"".into(), "may not have more than one field specified at a time");
    }
    for source in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(reference) = at(from, source) {
            for needed in ["name", "key"] {
                if text(reference, needed).is_empty() {
                    errors.required(&format!("{field}.{source}.{needed}"), "");
                }
            }
        }
    }
}

fn probed(probe: &Value, path: &str, kind: &str, errors: &mut Errors) {
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    match handlers.iter().filter(|h| at(probe, h).is_some()).count() {
        0 => errors.required(path, "must specify a handler type"),
        1 => {}
        _ => {
            let second = handlers.iter().filter(|h| at(probe, h).is_some()).nth(1).unwrap_or(&"");
            errors.forbidden(&format!("{path}.{second}"), "may not specify more than 1 handler type");
        }
    }
    if let Some(port) = at(probe, "httpGet.port").and_then(Value::as_i64) {
        in_range(&format!("{path}.httpGet.port"), port, errors);
    }
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        errors.not_negative(&format!("{path}.{field}"), int(probe, field));
    }
    if kind != "readinessProbe"
        && let Some(threshold) = int(probe, "successThreshold").filter(|t| *t > 1)
    {
        errors.invalid(&format!("{path}.successThreshold"), &threshold.into(), "must be 1");
    }
}

pub fn resources(c: &Value, path: &str, errors: &mut Errors) {
    let amounts =
        |part: &str| at(c, &format!("resources.{part}")).and_then(Value::as_object).cloned().unwrap_or_default();
    let (limits, requests) = (amounts("limits"), amounts("requests"));
    for (part, all) in [("limits", &limits), ("requests", &requests)] {
        for (name, value) in all {
            let field = format!("{path}.{part}[{name}]");
            let standard =
                matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
            if !standard && !name.contains('/') {
                errors.invalid(&field, &name.as_str().into(), "must be a standard resource type or fully qualified");
                errors.invalid(&field, &name.as_str().into(), "must be a standard resource for containers");
            }
            if value.as_str().and_then(quantity::nano).is_some_and(|n| n < 0) {
                errors.invalid(&field, value, "must be greater than or equal to 0");
            }
        }
    }
    for (name, request) in &requests {
        let (Some(said), Some(limit)) = (request.as_str(), limits.get(name).and_then(Value::as_str)) else { continue };
        if quantity::nano(said) > quantity::nano(limit) {
            let why = format!("must be less than or equal to {name} limit of {limit}");
            errors.invalid(&format!("{path}.requests"), request, &why);
        }
    }
}

/// What may change of a pod: images, deadlines, more tolerations; the rest is for `resize` or for a new pod.
pub fn unchanged(before: &Value, object: &Value, errors: &mut Errors) {
    let comparable = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for field in ["containers", "initContainers"] {
            for c in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                crate::sim::object::take(c, "image");
            }
        }
        for free in ["activeDeadlineSeconds", "tolerations"] {
            crate::sim::object::take(&mut spec, free);
        }
        spec
    };
    let more = list(before, "spec.tolerations").iter().all(|t| list(object, "spec.tolerations").contains(t));
    if !more {
        errors.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds");
    }
    for field in ["containers", "initContainers"] {
        for (i, c) in list(object, &format!("spec.{field}")).iter().enumerate() {
            if text(c, "image").is_empty() {
                errors.required(&format!("spec.{field}[{i}].image"), "");
            }
        }
    }
    if comparable(before) != comparable(object) {
        errors.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        );
    }
}
