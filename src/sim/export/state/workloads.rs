//! Workloads: `kube_deployment_*`, `kube_replicaset_*`, `kube_statefulset_*`, `kube_daemonset_*`, `kube_job_*`,
//! `kube_cronjob_*`, `kube_horizontalpodautoscaler_*`, `kube_poddisruptionbudget_*`.

use super::super::gauge;
use super::Take::{Conditions, Info, Number, Or, Time, With};
use super::{Item, Put, bit, item, labels, number, owners};
use crate::sim::object::{amount, at, int, list, text};
use serde_json::Value;

macro_rules! items {
    ($($name:literal, $help:literal, $take:expr;)*) => {
        [$(item(gauge($name, $help), $take)),*]
    };
}

pub(super) static DEPLOYMENTS: [Item; 15] = items![
    "kube_deployment_created", "[STABLE] Unix creation timestamp", Time("metadata.creationTimestamp");
    "kube_deployment_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", With(labels);
    "kube_deployment_metadata_generation", "[STABLE] Sequence number representing a specific generation of the desired state.", Number("metadata.generation");
    "kube_deployment_spec_paused", "[STABLE] Whether the deployment is paused and will not be processed by the deployment controller.", Or("spec.paused", 0.0);
    "kube_deployment_spec_replicas", "[STABLE] Number of desired pods for a deployment.", Number("spec.replicas");
    "kube_deployment_spec_strategy_rollingupdate_max_surge", "[STABLE] Maximum number of replicas that can be scheduled above the desired number of replicas during a rolling update of a deployment.", With(|o, p| share(o, "maxSurge", true, p));
    "kube_deployment_spec_strategy_rollingupdate_max_unavailable", "[STABLE] Maximum number of unavailable replicas during a rolling update of a deployment.", With(|o, p| share(o, "maxUnavailable", false, p));
    "kube_deployment_status_condition", "[STABLE] The current status conditions of a deployment.", With(reasoned);
    "kube_deployment_status_observed_generation", "[STABLE] The generation observed by the deployment controller.", Or("status.observedGeneration", 0.0);
    "kube_deployment_status_replicas", "[STABLE] The number of replicas per deployment.", Or("status.replicas", 0.0);
    "kube_deployment_status_replicas_available", "[STABLE] The number of available replicas per deployment.", Or("status.availableReplicas", 0.0);
    "kube_deployment_status_replicas_ready", "[STABLE] The number of ready replicas per deployment.", Or("status.readyReplicas", 0.0);
    "kube_deployment_status_replicas_unavailable", "[STABLE] The number of unavailable replicas per deployment.", Or("status.unavailableReplicas", 0.0);
    "kube_deployment_status_replicas_updated", "[STABLE] The number of updated replicas per deployment.", Or("status.updatedReplicas", 0.0);
    "kube_deployment_owner", "Information about the Deployment's owner.", With(owners);
];

pub(super) static REPLICASETS: [Item; 8] = items![
    "kube_replicaset_created", "[STABLE] Unix creation timestamp", Time("metadata.creationTimestamp");
    "kube_replicaset_metadata_generation", "[STABLE] Sequence number representing a specific generation of the desired state.", Number("metadata.generation");
    "kube_replicaset_owner", "[STABLE] Information about the ReplicaSet's owner.", With(owners);
    "kube_replicaset_spec_replicas", "[STABLE] Number of desired pods for a ReplicaSet.", Number("spec.replicas");
    "kube_replicaset_status_fully_labeled_replicas", "[STABLE] The number of fully labeled replicas per ReplicaSet.", Or("status.fullyLabeledReplicas", 0.0);
    "kube_replicaset_status_observed_generation", "[STABLE] The generation observed by the ReplicaSet controller.", Or("status.observedGeneration", 0.0);
    "kube_replicaset_status_ready_replicas", "[STABLE] The number of ready replicas per ReplicaSet.", Or("status.readyReplicas", 0.0);
    "kube_replicaset_status_replicas", "[STABLE] The number of replicas per ReplicaSet.", Or("status.replicas", 0.0);
];

pub(super) static STATEFULSETS: [Item; 12] = items![
    "kube_statefulset_created", "[STABLE] Unix creation timestamp", Time("metadata.creationTimestamp");
    "kube_statefulset_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", With(labels);
    "kube_statefulset_metadata_generation", "[STABLE] Sequence number representing a specific generation of the desired state for the StatefulSet.", Number("metadata.generation");
    "kube_statefulset_replicas", "[STABLE] Number of desired pods for a StatefulSet.", Number("spec.replicas");
    "kube_statefulset_status_current_revision", "[STABLE] Indicates the version of the StatefulSet used to generate Pods in the sequence [0,currentReplicas).", Info(&[("revision", "status.currentRevision")]);
    "kube_statefulset_status_observed_generation", "[STABLE] The generation observed by the StatefulSet controller.", Or("status.observedGeneration", 0.0);
    "kube_statefulset_status_replicas", "[STABLE] The number of replicas per StatefulSet.", Or("status.replicas", 0.0);
    "kube_statefulset_status_replicas_available", "The number of available replicas per StatefulSet.", Or("status.availableReplicas", 0.0);
    "kube_statefulset_status_replicas_current", "[STABLE] The number of current replicas per StatefulSet.", Or("status.currentReplicas", 0.0);
    "kube_statefulset_status_replicas_ready", "[STABLE] The number of ready replicas per StatefulSet.", Or("status.readyReplicas", 0.0);
    "kube_statefulset_status_replicas_updated", "[STABLE] The number of updated replicas per StatefulSet.", Or("status.updatedReplicas", 0.0);
    "kube_statefulset_status_update_revision", "[STABLE] Indicates the version of the StatefulSet used to generate Pods in the sequence [replicas-updatedReplicas,replicas)", Info(&[("revision", "status.updateRevision")]);
];

pub(super) static DAEMONSETS: [Item; 11] = items![
    "kube_daemonset_created", "[STABLE] Unix creation timestamp", Time("metadata.creationTimestamp");
    "kube_daemonset_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", With(labels);
    "kube_daemonset_metadata_generation", "[STABLE] Sequence number representing a specific generation of the desired state.", Number("metadata.generation");
    "kube_daemonset_status_current_number_scheduled", "[STABLE] The number of nodes running at least one daemon pod and are supposed to.", Or("status.currentNumberScheduled", 0.0);
    "kube_daemonset_status_desired_number_scheduled", "[STABLE] The number of nodes that should be running the daemon pod.", Or("status.desiredNumberScheduled", 0.0);
    "kube_daemonset_status_number_available", "[STABLE] The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and available", Or("status.numberAvailable", 0.0);
    "kube_daemonset_status_number_misscheduled", "[STABLE] The number of nodes running a daemon pod but are not supposed to.", Or("status.numberMisscheduled", 0.0);
    "kube_daemonset_status_number_ready", "[STABLE] The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and ready.", Or("status.numberReady", 0.0);
    "kube_daemonset_status_number_unavailable", "[STABLE] The number of nodes that should be running the daemon pod and have none of the daemon pod running and available", Or("status.numberUnavailable", 0.0);
    "kube_daemonset_status_observed_generation", "[STABLE] The most recent generation observed by the daemon set controller.", Or("status.observedGeneration", 0.0);
    "kube_daemonset_status_updated_number_scheduled", "[STABLE] The total number of nodes that are running updated daemon pod", Or("status.updatedNumberScheduled", 0.0);
];

pub(super) static JOBS: [Item; 12] = items![
    "kube_job_created", "[STABLE] Unix creation timestamp", Time("metadata.creationTimestamp");
    "kube_job_owner", "[STABLE] Information about the Job's owner.", With(owners);
    "kube_job_info", "[STABLE] Information about job.", Info(&[]);
    "kube_job_spec_completions", "[STABLE] The desired number of successfully finished pods the job should be run with.", Number("spec.completions");
    "kube_job_spec_parallelism", "[STABLE] The maximum desired number of pods the job should run at any given time.", Number("spec.parallelism");
    "kube_job_status_active", "[STABLE] The number of actively running pods.", Or("status.active", 0.0);
    "kube_job_status_succeeded", "[STABLE] The number of pods which reached Phase Succeeded.", Or("status.succeeded", 0.0);
    "kube_job_status_failed", "[STABLE] The number of pods which reached Phase Failed and the reason for failure.", Or("status.failed", 0.0);
    "kube_job_status_start_time", "[STABLE] StartTime represents time when the job was acknowledged by the Job Manager.", Time("status.startTime");
    "kube_job_status_completion_time", "[STABLE] CompletionTime represents time when the job was completed.", Time("status.completionTime");
    "kube_job_complete", "[STABLE] The job has completed its execution.", With(|o, p| ended(o, "Complete", p));
    "kube_job_failed", "[STABLE] The job has failed its execution.", With(|o, p| ended(o, "Failed", p));
];

pub(super) static CRONJOBS: [Item; 7] = items![
    "kube_cronjob_created", "[STABLE] Unix creation timestamp", Time("metadata.creationTimestamp");
    "kube_cronjob_info", "[STABLE] Info about cronjob.", Info(&[("schedule", "spec.schedule"), ("concurrency_policy", "spec.concurrencyPolicy"), ("timezone", "spec.timeZone")]);
    "kube_cronjob_spec_suspend", "[STABLE] Suspend flag tells the controller to suspend subsequent executions.", Or("spec.suspend", 0.0);
    "kube_cronjob_spec_starting_deadline_seconds", "[STABLE] Deadline in seconds for starting the job if it misses scheduled time for any reason.", Number("spec.startingDeadlineSeconds");
    "kube_cronjob_status_active", "[STABLE] Active holds pointers to currently running jobs.", With(|o, p| p.put(&[], list(o, "status.active").len() as f64));
    "kube_cronjob_status_last_schedule_time", "[STABLE] LastScheduleTime keeps information of when was the last time the job was successfully scheduled.", Time("status.lastScheduleTime");
    "kube_cronjob_status_last_successful_time", "LastSuccessfulTime keeps information of when was the last time the job was completed successfully.", Time("status.lastSuccessfulTime");
];

pub(super) static HPAS: [Item; 9] = items![
    "kube_horizontalpodautoscaler_info", "[STABLE] Information about this autoscaler.", Info(&[("scaletargetref_kind", "spec.scaleTargetRef.kind"), ("scaletargetref_name", "spec.scaleTargetRef.name"), ("scaletargetref_api_version", "spec.scaleTargetRef.apiVersion")]);
    "kube_horizontalpodautoscaler_metadata_generation", "[STABLE] The generation observed by the HorizontalPodAutoscaler controller.", Number("metadata.generation");
    "kube_horizontalpodautoscaler_spec_max_replicas", "[STABLE] Upper limit for the number of pods that can be set by the autoscaler; cannot be smaller than MinReplicas.", Number("spec.maxReplicas");
    "kube_horizontalpodautoscaler_spec_min_replicas", "[STABLE] Lower limit for the number of pods that can be set by the autoscaler, default 1.", Or("spec.minReplicas", 1.0);
    "kube_horizontalpodautoscaler_spec_target_metric", "The metric specifications used by this autoscaler when calculating the desired replica count.", With(|o, p| targets(o, "spec.metrics", "target", p));
    "kube_horizontalpodautoscaler_status_target_metric", "The current metric status used by this autoscaler when calculating the desired replica count.", With(|o, p| targets(o, "status.currentMetrics", "current", p));
    "kube_horizontalpodautoscaler_status_condition", "[STABLE] The condition of this autoscaler.", Conditions("condition");
    "kube_horizontalpodautoscaler_status_current_replicas", "[STABLE] Current number of replicas of pods managed by this autoscaler.", Or("status.currentReplicas", 0.0);
    "kube_horizontalpodautoscaler_status_desired_replicas", "[STABLE] Desired number of replicas of pods managed by this autoscaler.", Or("status.desiredReplicas", 0.0);
];

pub(super) static PDBS: [Item; 6] = items![
    "kube_poddisruptionbudget_created", "[STABLE] Unix creation timestamp", Time("metadata.creationTimestamp");
    "kube_poddisruptionbudget_status_current_healthy", "[STABLE] Current number of healthy pods", Or("status.currentHealthy", 0.0);
    "kube_poddisruptionbudget_status_desired_healthy", "[STABLE] Minimum desired number of healthy pods", Or("status.desiredHealthy", 0.0);
    "kube_poddisruptionbudget_status_pod_disruptions_allowed", "[STABLE] Number of pod disruptions that are currently allowed", Or("status.disruptionsAllowed", 0.0);
    "kube_poddisruptionbudget_status_expected_pods", "[STABLE] Total number of pods counted by this disruption budget", Or("status.expectedPods", 0.0);
    "kube_poddisruptionbudget_status_observed_generation", "[STABLE] Most recent generation observed when updating this PDB status", Or("status.observedGeneration", 0.0);
];

/// A whole number or a percentage of the replicas, rounded as the controller does.
fn share(o: &Value, which: &str, up: bool, put: &mut Put) {
    let Some(value) = at(o, &format!("spec.strategy.rollingUpdate.{which}")) else { return };
    let replicas = int(o, "spec.replicas").unwrap_or(1) as f64;
    let number = match value.as_str().and_then(|s| s.strip_suffix('%')).and_then(|s| s.parse::<f64>().ok()) {
        Some(percent) if up => (replicas * percent / 100.0).ceil(),
        Some(percent) => (replicas * percent / 100.0).floor(),
        None => match amount(Some(value)) {
            Some(n) => n,
            None => return,
        },
    };
    put.put(&[], number);
}

fn reasoned(o: &Value, put: &mut Put) {
    for c in list(o, "status.conditions") {
        for status in ["true", "false", "unknown"] {
            let labels = [("reason", text(c, "reason")), ("condition", text(c, "type")), ("status", status)];
            put.put(&labels, bit(text(c, "status").eq_ignore_ascii_case(status)));
        }
    }
}

fn ended(o: &Value, kind: &str, put: &mut Put) {
    for c in list(o, "status.conditions").iter().filter(|c| text(c, "type") == kind) {
        for value in ["true", "false", "unknown"] {
            let mut labels = vec![("condition", value)];
            if kind == "Failed" {
                labels.push(("reason", text(c, "reason")));
            }
            put.put(&labels, bit(text(c, "status").eq_ignore_ascii_case(value)));
        }
    }
}

fn targets(o: &Value, metrics: &str, of: &str, put: &mut Put) {
    for m in list(o, metrics) {
        let kind = text(m, "type");
        let mut letters = kind.chars();
        let key = letters.next().map_or(String::new(), |c| c.to_lowercase().chain(letters).collect());
        let Some(body) = m.get(&key) else { continue };
        let name = match text(body, "name") {
            "" => text(body, "metric.name"),
            name => name,
        };
        let goals = [("utilization", "averageUtilization"), ("average", "averageValue"), ("value", "value")];
        for (label, field) in goals {
            if let Some(value) = number(body, &format!("{of}.{field}")) {
                put.put(&[("metric_name", name), ("metric_target_type", label)], value);
            }
        }
    }
}
