//! `kube_pod_*`.

use super::super::{Family, counter, gauge};
use super::Take::{Info, Time, With};
use super::{Item, Put, bit, count, item, labels, owners, resources, seconds};
use crate::sim::object::{at, condition, list, text, yes};
use serde_json::Value;

const fn container(family: Family, with: fn(&Value, &mut Put)) -> Item {
    item(family, With(with))
}

pub(super) static PODS: [Item; 31] = [
    item(gauge("kube_pod_info", "[STABLE] Information about pod."), With(info)),
    item(gauge("kube_pod_owner", "[STABLE] Information about the Pod's owner."), With(owners)),
    item(gauge("kube_pod_labels", "[STABLE] Kubernetes labels converted to Prometheus labels."), With(labels)),
    item(gauge("kube_pod_created", "[STABLE] Unix creation timestamp"), Time("metadata.creationTimestamp")),
    item(gauge("kube_pod_deletion_timestamp", "Unix deletion timestamp"), Time("metadata.deletionTimestamp")),
    item(gauge("kube_pod_start_time", "[STABLE] Start time in unix timestamp for a pod."), Time("status.startTime")),
    item(gauge("kube_pod_completion_time", "[STABLE] Completion time in unix timestamp for a pod."), With(completed)),
    item(
        gauge("kube_pod_restart_policy", "[STABLE] Describes the restart policy in use by this pod."),
        Info(&[("type", "spec.restartPolicy")]),
    ),
    item(gauge("kube_pod_status_phase", "[STABLE] The pods current phase."), With(phase)),
    item(
        gauge("kube_pod_status_ready", "[STABLE] Describes whether the pod is ready to serve requests."),
        With(|o, p| three(o, "Ready", p)),
    ),
    item(
        gauge("kube_pod_status_scheduled", "[STABLE] Describes the status of the scheduling process for the pod."),
        With(|o, p| three(o, "PodScheduled", p)),
    ),
    item(
        gauge("kube_pod_status_scheduled_time", "[STABLE] Unix timestamp when pod moved into scheduled status"),
        With(|o, p| since(o, "PodScheduled", p)),
    ),
    item(
        gauge("kube_pod_status_ready_time", "Readiness achieved time in unix timestamp for a pod."),
        With(|o, p| since(o, "Ready", p)),
    ),
    item(gauge("kube_pod_status_reason", "The pod status reasons"), With(reason)),
    item(
        gauge("kube_pod_status_unschedulable", "[STABLE] Describes the unschedulable status for the pod."),
        With(unschedulable),
    ),
    item(gauge("kube_pod_status_qos_class", "The pods current qosClass."), With(qos)),
    item(
        gauge(
            "kube_pod_spec_volumes_persistentvolumeclaims_info",
            "[STABLE] Information about persistentvolumeclaim volumes in a pod.",
        ),
        With(claims),
    ),
    container(gauge("kube_pod_container_info", "[STABLE] Information about a container in a pod."), images),
    container(
        gauge(
            "kube_pod_container_status_ready",
            "[STABLE] Describes whether the containers readiness check succeeded.",
        ),
        |o, p| each(o, p, |s| Some(bit(yes(s, "ready")))),
    ),
    container(
        gauge(
            "kube_pod_container_status_running",
            "[STABLE] Describes whether the container is currently in running state.",
        ),
        |o, p| each(o, p, |s| Some(bit(at(s, "state.running").is_some()))),
    ),
    container(
        gauge(
            "kube_pod_container_status_waiting",
            "[STABLE] Describes whether the container is currently in waiting state.",
        ),
        |o, p| each(o, p, |s| Some(bit(at(s, "state.waiting").is_some()))),
    ),
    container(
        gauge(
            "kube_pod_container_status_terminated",
            "[STABLE] Describes whether the container is currently in terminated state.",
        ),
        |o, p| each(o, p, |s| Some(bit(at(s, "state.terminated").is_some()))),
    ),
    container(
        gauge("kube_pod_container_state_started", "[STABLE] Start time in unix timestamp for a pod container."),
        |o, p| each(o, p, |s| seconds(text(s, "state.running.startedAt"))),
    ),
    container(
        counter("kube_pod_container_status_restarts_total", "[STABLE] The number of container restarts per container."),
        |o, p| each(o, p, |s| Some(count(s, "restartCount"))),
    ),
    container(
        gauge(
            "kube_pod_container_status_waiting_reason",
            "[STABLE] Describes the reason the container is currently in waiting state.",
        ),
        |o, p| why(o, p, "state.waiting.reason"),
    ),
    container(
        gauge(
            "kube_pod_container_status_terminated_reason",
            "Describes the reason the container is currently in terminated state.",
        ),
        |o, p| why(o, p, "state.terminated.reason"),
    ),
    container(
        gauge(
            "kube_pod_container_status_last_terminated_reason",
            "Describes the last reason the container was in terminated state.",
        ),
        |o, p| why(o, p, "lastState.terminated.reason"),
    ),
    container(
        gauge(
            "kube_pod_container_status_last_terminated_exitcode",
            "Describes the exit code for the last container in terminated state.",
        ),
        |o, p| each(o, p, |s| Some(at(s, "lastState.terminated.exitCode")?.as_i64()? as f64)),
    ),
    container(
        gauge(
            "kube_pod_container_status_last_terminated_timestamp",
            "Last terminated time for a pod container in unix timestamp.",
        ),
        |o, p| each(o, p, |s| seconds(text(s, "lastState.terminated.finishedAt"))),
    ),
    container(
        gauge(
            "kube_pod_container_resource_requests",
            "The number of requested request resource by a container. It is recommended to use the kube_pod_resource_requests metric exposed by kube-scheduler instead, as it is more precise.",
        ),
        |o, p| of_resources(o, p, "requests"),
    ),
    container(
        gauge(
            "kube_pod_container_resource_limits",
            "The number of requested limit resource by a container. It is recommended to use the kube_pod_resource_limits metric exposed by kube-scheduler instead, as it is more precise.",
        ),
        |o, p| of_resources(o, p, "limits"),
    ),
];

fn info(o: &Value, put: &mut Put) {
    let owner = list(o, "metadata.ownerReferences").first();
    let of = |path| owner.map_or("", |w| text(w, path));
    let network = if yes(o, "spec.hostNetwork") { "true" } else { "false" };
    put.put(
        &[
            ("host_ip", text(o, "status.hostIP")),
            ("pod_ip", text(o, "status.podIP")),
            ("node", text(o, "spec.nodeName")),
            ("created_by_kind", of("kind")),
            ("created_by_name", of("name")),
            ("priority_class", text(o, "spec.priorityClassName")),
            ("host_network", network),
        ],
        1.0,
    );
}

fn completed(o: &Value, put: &mut Put) {
    let times = list(o, "status.containerStatuses").iter().map(|s| seconds(text(s, "state.terminated.finishedAt")));
    if let Some(Some(last)) = times.max_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
        && matches!(text(o, "status.phase"), "Succeeded" | "Failed")
    {
        put.put(&[], last);
    }
}

fn phase(o: &Value, put: &mut Put) {
    let is = text(o, "status.phase");
    if is.is_empty() {
        return;
    }
    for phase in ["Pending", "Succeeded", "Failed", "Unknown", "Running"] {
        put.put(&[("phase", phase)], bit(phase == is));
    }
}

fn three(o: &Value, kind: &str, put: &mut Put) {
    let Some(c) = condition(o, kind) else { return };
    for value in ["true", "false", "unknown"] {
        put.put(&[("condition", value)], bit(text(c, "status").eq_ignore_ascii_case(value)));
    }
}

fn since(o: &Value, kind: &str, put: &mut Put) {
    if let Some(c) = condition(o, kind).filter(|c| text(c, "status") == "True")
        && let Some(t) = seconds(text(c, "lastTransitionTime"))
    {
        put.put(&[], t);
    }
}

fn reason(o: &Value, put: &mut Put) {
    let why = text(o, "status.reason");
    let ended = |w: &str| list(o, "status.containerStatuses").iter().any(|s| text(s, "state.terminated.reason") == w);
    for reason in ["Evicted", "NodeAffinity", "NodeLost", "Shutdown", "UnexpectedAdmissionError"] {
        if why == reason || ended(reason) {
            put.put(&[("reason", reason)], 1.0);
        }
    }
}

fn unschedulable(o: &Value, put: &mut Put) {
    if condition(o, "PodScheduled")
        .is_some_and(|c| (text(c, "status"), text(c, "reason")) == ("False", "Unschedulable"))
    {
        put.put(&[], 1.0);
    }
}

fn qos(o: &Value, put: &mut Put) {
    let is = text(o, "status.qosClass");
    for class in ["BestEffort", "Burstable", "Guaranteed"] {
        if !is.is_empty() {
            put.put(&[("qos_class", class)], bit(class == is));
        }
    }
}

fn claims(o: &Value, put: &mut Put) {
    for v in list(o, "spec.volumes") {
        let claim = text(v, "persistentVolumeClaim.claimName");
        if !claim.is_empty() {
            put.put(&[("volume", text(v, "name")), ("persistentvolumeclaim", claim)], 1.0);
        }
    }
}

fn images(o: &Value, put: &mut Put) {
    for s in list(o, "status.containerStatuses") {
        let name = text(s, "name");
        let spec = list(o, "spec.containers").iter().find(|c| text(c, "name") == name).map_or("", |c| text(c, "image"));
        put.put(
            &[
                ("container", name),
                ("image_spec", spec),
                ("image", text(s, "image")),
                ("image_id", text(s, "imageID")),
                ("container_id", text(s, "containerID")),
            ],
            1.0,
        );
    }
}

fn each(o: &Value, put: &mut Put, value: fn(&Value) -> Option<f64>) {
    for s in list(o, "status.containerStatuses") {
        if let Some(v) = value(s) {
            put.put(&[("container", text(s, "name"))], v);
        }
    }
}

/// Only the reason that holds is told, as since v2.
fn why(o: &Value, put: &mut Put, path: &str) {
    for s in list(o, "status.containerStatuses") {
        let reason = text(s, path);
        if !reason.is_empty() {
            put.put(&[("container", text(s, "name")), ("reason", reason)], 1.0);
        }
    }
}

fn of_resources(o: &Value, put: &mut Put, which: &str) {
    let node = text(o, "spec.nodeName");
    for c in list(o, "spec.containers") {
        let amounts = at(c, "resources").and_then(|r| r.get(which));
        resources(amounts, &[("container", text(c, "name")), ("node", node)], put);
    }
}
