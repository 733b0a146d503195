//! Real pods, as the API server writes them, become the rows that engines rely on.

use super::*;
use crate::model::pod::{ContainerRow, Phase, PodRow};
use crate::model::time;
use crate::monitor::lite::PodLite;
use serde_json::{Value, json};

fn project(raw: Value) -> PodRow {
    let lite: PodLite = serde_json::from_slice(&serde_json::to_vec(&raw).unwrap()).unwrap();
    pod(&lite, &mut Interner::default())
}

fn meta(name: &str) -> Value {
    json!({
        "name": name, "namespace": "shop", "uid": "2f1c6c3e-9b0a-4c39-8d43-6f3a2b7d1e55", "resourceVersion": "4711",
        "creationTimestamp": "2026-11-21T06:00:00Z", "labels": {"app": "x"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-7d9f8", "uid": "u", "controller": true}],
        "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {"f:phase": {}}}}]
    })
}

fn spec() -> Value {
    json!({"nodeName": "n1", "containers": [{"name": "app", "image": "registry/cart:1",
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}}, "env": [{"name": "A", "value": "b"}]}]})
}

#[test]
fn a_crash_loop_after_an_oom_kill_shows_both() {
    let row = project(json!({"metadata": meta("cart-7d9f8-x"), "spec": spec(), "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady",
            "message": "containers with unready status: [app]", "lastTransitionTime": "2026-11-21T06:05:00Z"}],
        "containerStatuses": [{"name": "app", "restartCount": 4, "ready": false,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 1m20s restarting failed container=app"}},
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137,
                "startedAt": "2026-11-21T06:04:50Z", "finishedAt": "2026-11-21T06:04:57Z"}}}]}}));
    assert_eq!((row.status(), row.restarts(), row.phase), ("CrashLoopBackOff", 4, Phase::Running));
    let trouble = row.containers[0].trouble.as_ref().unwrap();
    let last = trouble.last.as_ref().unwrap();
    assert_eq!((&*last.reason, last.exit_code), ("OOMKilled", 137));
    assert_eq!((last.finished.unwrap() - last.started.unwrap()).num_seconds(), 7);
    assert!(row.trouble.as_ref().unwrap().not_ready.as_ref().unwrap().2.is_some());
    let r = &row.specs[0].resources;
    assert_eq!(r.memory_limit.as_ref().map(|a| (a.value.0, &*a.raw)), Some((128 << 20, "128Mi")));
    assert_eq!(r.cpu_limit, None, "not set is not zero");
    assert!(row.specs[0].probes.readiness && !row.specs[0].probes.liveness);
    assert_eq!(row.owner.as_ref().map(|o| (o.0.as_str(), &*o.1)), Some(("ReplicaSet", "cart-7d9f8")));
}

#[test]
fn an_image_that_cannot_be_pulled_names_its_reason() {
    let row = project(json!({"metadata": meta("p"), "spec": spec(), "status": {"phase": "Pending",
        "containerStatuses": [{"name": "app", "restartCount": 0, "ready": false,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"registry/cart:bad\""}}}]}}));
    assert_eq!(row.status(), "ImagePullBackOff");
    assert!(!row.containers[0].running);
}

#[test]
fn an_evicted_pod_keeps_the_reason_and_has_no_containers() {
    let row = project(json!({"metadata": meta("p"), "spec": spec(), "status": {"phase": "Failed", "reason": "Evicted",
        "message": "The node was low on resource: memory."}}));
    assert_eq!((row.status(), row.containers.len()), ("Evicted", 0));
    assert_eq!(&*row.trouble.unwrap().reason.unwrap().1, "The node was low on resource: memory.");
}

#[test]
fn init_containers_come_first_and_a_finished_one_is_no_trouble() {
    let mut spec = spec();
    spec["initContainers"] = json!([{"name": "migrate", "image": "m:1"},
        {"name": "proxy", "image": "envoy:1", "restartPolicy": "Always"}]);
    let row = project(json!({"metadata": meta("p"), "spec": spec, "status": {"phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "initContainerStatuses": [
            {"name": "proxy", "restartCount": 2, "ready": true, "state": {"running": {"startedAt": "2026-11-21T06:00:03Z"}}},
            {"name": "migrate", "ready": true, "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}],
        "containerStatuses": [{"name": "app", "ready": true, "state": {"running": {}}}]}}));
    let names: Vec<&str> = row.specs.iter().map(|s| &*s.name).collect();
    assert_eq!(names, ["migrate", "proxy", "app"]);
    assert!(row.containers[0].trouble.is_none(), "ended well");
    assert!(row.containers[1].running && row.containers[1].restarts == 2, "matched by name, not by place");
    assert_eq!((row.ready_containers(), row.status(), row.trouble.is_none()), ((1, 1), "Running", true));
}

#[test]
fn an_unschedulable_pod_says_why() {
    let mut spec = spec();
    spec.as_object_mut().unwrap().remove("nodeName");
    let row = project(json!({"metadata": meta("p"), "spec": spec, "status": {"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/4 nodes are available: 4 Insufficient cpu."}]}}));
    assert_eq!((row.status(), row.node.is_none()), ("Pending", true));
    assert!(row.trouble.unwrap().unschedulable.unwrap().1.contains("Insufficient cpu"));
}

#[test]
fn control_characters_lose_their_power_and_messages_their_length() {
    let mut meta = meta("evil\u{1b}[2Jname");
    meta["ownerReferences"] = json!([]);
    let long = format!("\u{1b}]52;c;aGk=\u{7}{}", "ü".repeat(2000));
    let row = project(
        json!({"metadata": meta, "spec": {"containers": [{"name": "a\u{7}pp"}]}, "status": {"phase": "Pending",
        "containerStatuses": [{"name": "a\u{7}pp", "state": {"waiting": {"reason": "Bad\u{1b}[31m", "message": long}}}]}}),
    );
    assert_eq!((&*row.name, row.owner.is_none(), &*row.specs[0].name), ("evil[2Jname", true, "app"));
    let (reason, said) = row.containers[0].trouble.as_ref().unwrap().waiting.clone().unwrap();
    assert_eq!(&*reason, "Bad[31m");
    assert!(said.len() <= LONGEST_MESSAGE && !said.contains('\u{1b}'));
}

#[test]
fn missing_and_null_fields_are_no_error() {
    let row = project(
        json!({"metadata": {"labels": null, "creationTimestamp": null, "deletionTimestamp": "2026-11-21T06:00:00Z"}}),
    );
    assert!(row.deleting && row.containers.is_empty() && row.phase == Phase::Unknown);
}

#[test]
fn a_template_names_the_config_maps_it_cannot_start_without() {
    let raw: crate::monitor::lite::ControllerLite = serde_json::from_value(json!({
        "metadata": {"name": "cart", "namespace": "shop", "annotations": {"autonomous/enabled": "false",
            "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        "spec": {"replicas": 0, "template": {"spec": {
            "containers": [{"name": "app",
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}},
                        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "maybe", "key": "b", "optional": true}}}],
                "envFrom": [{"configMapRef": {"name": "flags"}}, {"secretRef": {"name": "token"}}]}],
            "volumes": [{"name": "v", "configMap": {"name": "settings"}},
                        {"name": "w", "projected": {"sources": [{"configMap": {"name": "ca"}}, {"serviceAccountToken": {}}]}}]}}}}))
    .unwrap();
    let c = controller(&WorkloadKind::Deployment, &raw, &mut Interner::default(), time::now());
    assert_eq!(c.config_maps.iter().map(|m| &**m).collect::<Vec<_>>(), ["ca", "flags", "settings"]);
    assert_eq!((c.replicas.desired, c.enabled), (0, Some(false)));
}

/// What a row costs, beside its own name, UID and version: 100 000 pods must fit in 250 MiB with all the rest.
#[test]
fn rows_stay_slim() {
    assert!(size_of::<PodRow>() <= 184, "{}", size_of::<PodRow>());
    assert_eq!(size_of::<ContainerRow>(), 16);
}
