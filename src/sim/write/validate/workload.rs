//! What runs pods.

use super::pod::{self, Place};
use super::{Errors, meta};
use crate::sim::object::{at, int, list, strings, take, text};
use crate::sim::resource::Resource;
use serde_json::{Value, json};

/// A label selector at `path`; `required` with the word that its emptiness is refused with.
pub fn selector(object: &Value, path: &str, empty_for: Option<&str>, errors: &mut Errors) {
    let Some(selector) = at(object, path) else {
        errors.required(path, "");
        return;
    };
    meta::labels_as(selector.get("matchLabels"), &format!("{path}.matchLabels"), errors);
    for (i, e) in list(selector, "matchExpressions").iter().enumerate() {
        let field = format!("{path}.matchExpressions[{i}]");
        match text(e, "operator") {
            "In" | "NotIn" if list(e, "values").is_empty() => {
                errors.required(&format!("{field}.values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !list(e, "values").is_empty() => {
                errors.forbidden(
                    &format!("{field}.values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.invalid(&format!("{field}.operator"), &other.into(), "not a valid selector operator"),
        }
    }
    let empty = strings(selector, "matchLabels").is_empty() && list(selector, "matchExpressions").is_empty();
    if let (true, Some(kind)) = (empty, empty_for) {
        errors.invalid(path, selector, &format!("empty selector is invalid for {kind}"));
    }
}

/// Whether labels match a selector.
fn matches(selector: Option<&Value>, labels: Option<&Value>) -> bool {
    let nothing = Value::Null;
    let (selector, labels) = (selector.unwrap_or(&nothing), labels.unwrap_or(&nothing));
    let has = |key: &str| labels.get(key).and_then(Value::as_str);
    strings(selector, "matchLabels").iter().all(|(k, v)| has(k) == Some(v))
        && list(selector, "matchExpressions").iter().all(|e| {
            let value = has(text(e, "key"));
            let named = value.is_some_and(|v| list(e, "values").iter().any(|x| x == v));
            match text(e, "operator") {
                "In" => named,
                "NotIn" => !named,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}

fn template(object: &Value, selected: bool, errors: &mut Errors) {
    let labels = at(object, "spec.template.metadata.labels");
    // Without a selector the labels cannot match: nothing selects nothing.
    if !selected || !matches(at(object, "spec.selector"), labels) {
        let shown = labels.cloned().unwrap_or_default();
        errors.invalid("spec.template.metadata.labels", &shown, "`selector` does not match template `labels`");
    }
    meta::labels(object, "spec.template.metadata.labels", errors);
    pod::validate(at(object, "spec.template.spec"), "spec.template.spec", Place::Always, errors);
}

fn counts(object: &Value, fields: &[&str], errors: &mut Errors) {
    for field in fields {
        errors.not_negative(&format!("spec.{field}"), int(object, &format!("spec.{field}")));
    }
}

/// A number or percentage.
fn share(object: &Value, path: &str, errors: &mut Errors) -> Option<i64> {
    match at(object, path)? {
        Value::Number(n) => {
            errors.not_negative(path, n.as_i64());
            n.as_i64()
        }
        Value::String(s) => {
            let Some(percent) = s.strip_suffix('%').and_then(|p| p.parse::<i64>().ok()).filter(|p| *p >= 0) else {
                let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                errors.invalid(path, &s.as_str().into(), why);
                return None;
            };
            Some(percent)
        }
        _ => None,
    }
}

/// apps/v1 Deployment
pub fn deployment(object: &Value, errors: &mut Errors) {
    counts(object, &["replicas"], errors);
    selector(object, "spec.selector", Some("deployment"), errors);
    template(object, at(object, "spec.selector").is_some(), errors);
    match text(object, "spec.strategy.type") {
        "Recreate" if at(object, "spec.strategy.rollingUpdate").is_some() => {
            errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let unavailable = share(object, "spec.strategy.rollingUpdate.maxUnavailable", errors);
            let surge = share(object, "spec.strategy.rollingUpdate.maxSurge", errors);
            if unavailable == Some(0) && surge == Some(0) {
                let path = "spec.strategy.rollingUpdate.maxUnavailable";
                let shown = at(object, path).cloned().unwrap_or_default();
                errors.invalid(path, &shown, "may not be 0 when `maxSurge` is 0");
            }
        }
        other => {
            // The whole strategy is shown, spelt as Go does.
            let rolling = at(object, "spec.strategy.rollingUpdate").cloned().unwrap_or_default();
            let shown = json!({"Type": other, "RollingUpdate": rolling});
            errors.unsupported_value("spec.strategy", &shown, &["Recreate", "RollingUpdate"]);
        }
    }
    counts(object, &["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"], errors);
    let ready = int(object, "spec.minReadySeconds").unwrap_or(0);
    if let Some(deadline) = int(object, "spec.progressDeadlineSeconds").filter(|d| *d <= ready) {
        errors.invalid("spec.progressDeadlineSeconds", &deadline.into(), "must be greater than minReadySeconds");
    }
}

/// apps/v1 ReplicaSet, and v1 ReplicationController with its plain selector
pub fn replica_set(kind: &Resource, object: &Value, errors: &mut Errors) {
    counts(object, &["replicas", "minReadySeconds"], errors);
    if kind.plural == "replicationcontrollers" {
        let (selector, labels) = (strings(object, "spec.selector"), strings(object, "spec.template.metadata.labels"));
        if selector.is_empty() {
            errors.required("spec.selector", "");
        }
        if at(object, "spec.template").is_none() {
            errors.required("spec.template", "");
            return;
        }
        if !selector.iter().all(|(k, v)| labels.get(k) == Some(v)) {
            let shown = at(object, "spec.template.metadata.labels").cloned().unwrap_or_default();
            errors.invalid("spec.template.metadata.labels", &shown, "`selector` does not match template `labels`");
        }
        pod::validate(at(object, "spec.template.spec"), "spec.template.spec", Place::Always, errors);
        return;
    }
    selector(object, "spec.selector", Some("replicaset"), errors);
    template(object, at(object, "spec.selector").is_some(), errors);
}

/// apps/v1 StatefulSet
pub fn stateful_set(object: &Value, errors: &mut Errors) {
    match text(object, "spec.podManagementPolicy") {
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid("spec.podManagementPolicy", &other.into(), "must be 'OrderedReady' or 'Parallel'"),
    }
    counts(object, &["replicas", "minReadySeconds"], errors);
    selector(object, "spec.selector", Some("statefulset"), errors);
    template(object, at(object, "spec.selector").is_some(), errors);
}

/// apps/v1 DaemonSet
pub fn daemon_set(object: &Value, errors: &mut Errors) {
    // A missing selector is only told by the labels that do not match it.
    if at(object, "spec.selector").is_some() {
        selector(object, "spec.selector", Some("daemonset"), errors);
    }
    template(object, at(object, "spec.selector").is_some(), errors);
    counts(object, &["minReadySeconds", "revisionHistoryLimit"], errors);
}

/// batch/v1 Job's specification, also as a CronJob's template
pub fn job(spec: Option<&Value>, path: &str, errors: &mut Errors) {
    let nothing = Value::Null;
    let spec = spec.unwrap_or(&nothing);
    for field in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] {
        errors.not_negative(&format!("{path}.{field}"), int(spec, field));
    }
    pod::validate(at(spec, "template.spec"), &format!("{path}.template.spec"), Place::Job, errors);
}

/// batch/v1 CronJob
pub fn cron_job(object: &Value, errors: &mut Errors) {
    let schedule = text(object, "spec.schedule");
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if schedule.is_empty() {
        errors.required("spec.schedule", "");
    } else if !schedule.starts_with('@') && fields.len() != 5 {
        let why = format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" "));
        errors.invalid("spec.schedule", &schedule.into(), &why);
    }
    errors.not_negative("spec.startingDeadlineSeconds", int(object, "spec.startingDeadlineSeconds"));
    match text(object, "spec.concurrencyPolicy") {
        "Allow" | "Forbid" | "Replace" => {}
        "" => errors.required("spec.concurrencyPolicy", ""),
        other => errors.unsupported("spec.concurrencyPolicy", other, &["Allow", "Forbid", "Replace"]),
    }
    job(at(object, "spec.jobTemplate.spec"), "spec.jobTemplate.spec", errors);
    counts(object, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"], errors);
    let name = text(object, "metadata.name");
    if name.len() > 52 {
        errors.invalid("metadata.name", &name.into(), "must be no more than 52 characters");
    }
}

/// The selector of what owns pods by it does not change.
pub fn selector_unchanged(before: &Value, object: &Value, errors: &mut Errors) {
    if at(before, "spec.selector") != at(object, "spec.selector") {
        let shown = at(object, "spec.selector").cloned().unwrap_or_default();
        errors.invalid("spec.selector", &shown, "field is immutable");
    }
}

/// Most of a StatefulSet does not change.
pub fn stateful_set_unchanged(before: &Value, object: &Value, errors: &mut Errors) {
    let fixed = |o: &Value| {
        let mut spec = o["spec"].clone();
        for free in [
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ] {
            take(&mut spec, free);
        }
        spec
    };
    if fixed(before) != fixed(object) {
        errors.forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
    }
}

/// A Job's selector, template and completions do not change.
pub fn job_unchanged(before: &Value, object: &Value, errors: &mut Errors) {
    for field in ["completions", "selector", "template", "completionMode"] {
        let path = format!("spec.{field}");
        if at(before, &path) != at(object, &path) && !(field == "template" && object["spec"]["suspend"] == true) {
            let shown = at(object, &path).cloned().unwrap_or_default();
            errors.invalid(&path, &shown, "field is immutable");
        }
    }
}
