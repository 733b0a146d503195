//! A pod's status as the kubelet writes it.

use super::pod::{Cell, Pod, Role, Run, stamp};
use crate::sim::object::{at, holds, int, list, set, set_condition, text, yes};
use crate::sim::scheduler::requests::qos;
use serde_json::{Value, json};

/// Writes the status of `pod` into `object`; `host` is the node's address.
pub fn write(pod: &Pod, object: &mut Value, host: &str, now: &str) {
    let phase = pod.phase();
    if let Some(generation) = int(object, "metadata.generation") {
        set(object, "status.observedGeneration", generation);
    }
    set(object, "status.phase", phase);
    if let Some((reason, message)) = pod.failed.as_ref().filter(|(reason, _)| !reason.is_empty()) {
        set(object, "status.reason", reason.as_str());
        set(object, "status.message", message.as_str());
    }
    conditions(pod, object, phase, now);
    set(object, "status.hostIP", host);
    set(object, "status.hostIPs", json!([{"ip": host}]));
    if !pod.ip.is_empty() {
        set(object, "status.podIP", pod.ip.as_str());
        set(object, "status.podIPs", json!([{"ip": pod.ip}]));
    }
    set(object, "status.startTime", pod.start.as_str());
    let statuses = |init: bool| -> Vec<Value> {
        let of = |i: &usize| (pod.cells[*i].role != Role::Main) == init;
        (0..pod.cells.len()).filter(of).map(|i| container(&pod.cells[i], pod.spec(i))).collect()
    };
    let inits = statuses(true);
    if !inits.is_empty() {
        set(object, "status.initContainerStatuses", inits);
    }
    set(object, "status.containerStatuses", statuses(false));
    if text(object, "status.qosClass").is_empty() {
        let class = qos(&object["spec"]);
        set(object, "status.qosClass", class);
    }
}

fn container(cell: &Cell, spec: &Value) -> Value {
    let state = match &cell.run {
        Run::Waiting(reason, message) if message.is_empty() => json!({"waiting": {"reason": reason}}),
        Run::Waiting(reason, message) => json!({"waiting": {"reason": reason, "message": message}}),
        Run::Running(since) => json!({"running": {"startedAt": stamp(*since)}}),
        Run::Ended(end) => json!({"terminated": end.json()}),
    };
    let last = cell.last.as_ref().map_or_else(|| json!({}), |end| json!({"terminated": end.json()}));
    let mut status = json!({
        "name": cell.name, "state": state, "lastState": last, "ready": cell.ready, "restartCount": cell.restarts,
        "image": text(spec, "image"), "imageID": cell.image_id,
    });
    if !cell.id.is_empty() {
        status["containerID"] = cell.id.as_str().into();
    }
    status["started"] = cell.started.into();
    if let Some(requests) = at(&cell.applied, "requests") {
        status["allocatedResources"] = requests.clone();
    }
    if cell.runs() {
        let mut resources = cell.applied.clone();
        crate::sim::object::take(&mut resources, "claims");
        status["resources"] = resources;
    }
    let mounts: Vec<Value> = list(spec, "volumeMounts")
        .iter()
        .map(|m| {
            let mut mount = json!({"name": text(m, "name"), "mountPath": text(m, "mountPath")});
            if yes(m, "readOnly") {
                mount["readOnly"] = true.into();
                mount["recursiveReadOnly"] = "Disabled".into();
            }
            mount
        })
        .collect();
    if !mounts.is_empty() {
        status["volumeMounts"] = mounts.into();
    }
    status
}

fn conditions(pod: &Pod, object: &mut Value, phase: &str, now: &str) {
    let mut put = |kind: &str, status: bool, reason: &str, message: &str| {
        condition(object, kind, if status { "True" } else { "False" }, reason, message, now);
    };
    put("PodReadyToStartContainers", !pod.ip.is_empty() && !pod.over(), "", "");
    let names = |pick: &dyn Fn(&Cell) -> bool| -> String {
        let all: Vec<&str> = pod.cells.iter().filter(|c| pick(c)).map(|c| c.name.as_str()).collect();
        format!("[{}]", all.join(" "))
    };
    let incomplete = |c: &Cell| match c.role {
        Role::Init => c.end().is_none_or(|e| e.exit != 0),
        Role::Sidecar => !c.started,
        Role::Main => false,
    };
    if phase == "Succeeded" {
        put("Initialized", true, "PodCompleted", "");
    } else if pod.cells.iter().any(incomplete) && phase != "Running" {
        let message = format!("containers with incomplete status: {}", names(&incomplete));
        put("Initialized", false, "ContainersNotInitialized", &message);
    } else {
        put("Initialized", true, "", "");
    }
    let unready = |c: &Cell| c.role != Role::Init && !c.ready;
    let (ready, reason, message) = match phase {
        "Succeeded" => (false, "PodCompleted", String::new()),
        "Failed" => (false, "PodFailed", String::new()),
        _ if pod.cells.iter().any(unready) => {
            (false, "ContainersNotReady", format!("containers with unready status: {}", names(&unready)))
        }
        _ => (true, "", String::new()),
    };
    put("ContainersReady", ready, reason, &message);
    let gates: Vec<String> =
        list(&pod.object, "spec.readinessGates").iter().map(|g| text(g, "conditionType").to_owned()).collect();
    let shut = gates.iter().find(|g| !holds(object, g));
    if let Some(gate) = shut.filter(|_| ready) {
        let message = format!("corresponding condition of pod readiness gate \"{gate}\" does not exist.");
        condition(object, "Ready", "False", "ReadinessGatesNotReady", &message, now);
    } else {
        condition(object, "Ready", if ready { "True" } else { "False" }, reason, &message, now);
    }
    condition(object, "PodScheduled", "True", "", "", now);
    if pod.failed.as_ref().is_some_and(|(reason, _)| reason == "Evicted") {
        let message = pod.failed.as_ref().map_or("", |(_, m)| m.as_str());
        condition(object, "DisruptionTarget", "True", "TerminationByKubelet", message, now);
    }
    resizing(pod, object, now);
}

/// The conditions of an in-place resize stand only while there is something to say.
fn resizing(pod: &Pod, object: &mut Value, now: &str) {
    let kept = pod.resizing.as_ref().map_or("", |(kind, ..)| kind);
    if let Some(all) = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        all.retain(|c| !text(c, "type").starts_with("PodResize") || text(c, "type") == kept);
    }
    if let Some((kind, reason, message)) = &pod.resizing {
        condition(object, kind, "True", reason, message, now);
    }
}

/// Sets a pod condition with what only pods' conditions have.
fn condition(object: &mut Value, kind: &str, status: &str, reason: &str, message: &str, now: &str) {
    set_condition(object, kind, status, reason, message, now);
    let generation = int(object, "metadata.generation");
    let all = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    if let Some(c) = all.and_then(|a| a.iter_mut().find(|c| text(c, "type") == kind)) {
        if c.get("lastProbeTime").is_none() {
            set(c, "lastProbeTime", Value::Null);
        }
        if let Some(generation) = generation {
            set(c, "observedGeneration", generation);
        }
    }
}
