//! Defaults of what runs pods.

use super::{default, each, pod};
use crate::sim::object::{at, int, list, set, text};
use serde_json::{Value, json};

/// The template's labels where the object has none of its own.
fn labels_of_template(object: &mut Value) {
    if let Some(labels) = at(object, "spec.template.metadata.labels").cloned() {
        default(object, "metadata.labels", labels);
    }
}

/// apps/v1 Deployment
pub fn deployment(object: &mut Value) {
    default(object, "spec.replicas", 1);
    default(object, "spec.revisionHistoryLimit", 10);
    default(object, "spec.progressDeadlineSeconds", 600);
    default(object, "spec.strategy.type", "RollingUpdate");
    if text(object, "spec.strategy.type") == "RollingUpdate" {
        default(object, "spec.strategy.rollingUpdate.maxUnavailable", "25%");
        default(object, "spec.strategy.rollingUpdate.maxSurge", "25%");
    }
    pod::fill(object, "spec.template.spec");
}

/// apps/v1 ReplicaSet
pub fn replica_set(object: &mut Value) {
    default(object, "spec.replicas", 1);
    pod::fill(object, "spec.template.spec");
}

/// v1 ReplicationController
pub fn replication_controller(object: &mut Value) {
    if let Some(labels) = at(object, "spec.template.metadata.labels").cloned() {
        default(object, "spec.selector", labels.clone());
        default(object, "metadata.labels", labels);
    }
    default(object, "spec.replicas", 1);
    pod::fill(object, "spec.template.spec");
}

/// apps/v1 StatefulSet
pub fn stateful_set(object: &mut Value) {
    default(object, "spec.podManagementPolicy", "OrderedReady");
    default(object, "spec.replicas", 1);
    default(object, "spec.revisionHistoryLimit", 10);
    default(object, "spec.updateStrategy.type", "RollingUpdate");
    if text(object, "spec.updateStrategy.type") == "RollingUpdate" {
        default(object, "spec.updateStrategy.rollingUpdate.partition", 0);
    }
    default(object, "spec.persistentVolumeClaimRetentionPolicy.whenDeleted", "Retain");
    default(object, "spec.persistentVolumeClaimRetentionPolicy.whenScaled", "Retain");
    for claim in each(object, "spec.volumeClaimTemplates") {
        default(claim, "apiVersion", "v1");
        default(claim, "kind", "PersistentVolumeClaim");
        default(claim, "spec.volumeMode", "Filesystem");
        default(claim, "status.phase", "Pending");
    }
    pod::fill(object, "spec.template.spec");
}

/// apps/v1 DaemonSet
pub fn daemon_set(object: &mut Value) {
    default(object, "spec.revisionHistoryLimit", 10);
    if object["metadata"]["annotations"].is_null() {
        set(object, "metadata.annotations", json!({}));
    }
    let counted = &mut object["metadata"]["annotations"]["deprecated.daemonset.template.generation"];
    if counted.is_null() {
        *counted = "1".into();
    }
    default(object, "spec.updateStrategy.type", "RollingUpdate");
    if text(object, "spec.updateStrategy.type") == "RollingUpdate" {
        default(object, "spec.updateStrategy.rollingUpdate.maxUnavailable", 1);
        default(object, "spec.updateStrategy.rollingUpdate.maxSurge", 0);
    }
    pod::fill(object, "spec.template.spec");
}

fn job_spec(object: &mut Value, path: &str) {
    let Some(spec) = path.split('.').try_fold(&mut *object, |v, key| v.get_mut(key)).filter(|s| s.is_object()) else {
        return;
    };
    if at(spec, "completions").is_none() && at(spec, "parallelism").is_none() {
        set(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "podReplacementPolicy", "TerminatingOrFailed");
    if at(spec, "backoffLimitPerIndex").is_some() {
        default(spec, "backoffLimit", i64::from(i32::MAX));
    }
    default(spec, "backoffLimit", 6);
    pod::fill(spec, "template.spec");
}

/// batch/v1 Job
pub fn job(object: &mut Value) {
    job_spec(object, "spec");
    default(object, "spec.manualSelector", false);
    labels_of_template(object);
}

/// Lets a new Job select its pods by its own UID, unless it brought a selector.
pub fn select_own(object: &mut Value) {
    if object["spec"]["manualSelector"] == true || at(object, "spec.selector").is_some() {
        return;
    }
    let (uid, name) = (text(object, "metadata.uid").to_owned(), text(object, "metadata.name").to_owned());
    let own = at(object, "metadata.labels") == at(object, "spec.template.metadata.labels");
    let own_labels = [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ];
    if at(object, "spec.template.metadata.labels").is_none() {
        set(object, "spec.template.metadata.labels", json!({}));
    }
    for (key, value) in own_labels {
        object["spec"]["template"]["metadata"]["labels"][key] = value.as_str().into();
    }
    if own {
        // Labels that came from the template follow it.
        let labels = object["spec"]["template"]["metadata"]["labels"].clone();
        set(object, "metadata.labels", labels);
    }
    object["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
}

/// batch/v1 CronJob
pub fn cron_job(object: &mut Value) {
    default(object, "spec.concurrencyPolicy", "Allow");
    default(object, "spec.suspend", false);
    default(object, "spec.successfulJobsHistoryLimit", 3);
    default(object, "spec.failedJobsHistoryLimit", 1);
    // Only the pod template of the job template is filled in; the rest is when the job is made.
    pod::fill(object, "spec.jobTemplate.spec.template.spec");
}

/// autoscaling HorizontalPodAutoscaler
pub fn autoscaler(object: &mut Value) {
    default(object, "spec.minReplicas", 1);
    if list(object, "spec.metrics").is_empty() && int(object, "spec.targetCPUUtilizationPercentage").is_none() {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        set(object, "spec.metrics", json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]));
    }
    if !object["spec"]["behavior"].is_object() {
        return;
    }
    for (direction, policies, select, window) in [
        (
            "scaleUp",
            json!([{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]),
            "Max",
            Some(0),
        ),
        ("scaleDown", json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]), "Max", None),
    ] {
        let path = format!("spec.behavior.{direction}");
        if at(object, &path).is_none() && at(object, "spec.behavior").is_none() {
            continue;
        }
        if let Some(window) = window {
            default(object, &format!("{path}.stabilizationWindowSeconds"), window);
        }
        default(object, &format!("{path}.selectPolicy"), select);
        default(object, &format!("{path}.policies"), policies);
    }
}
