//! Rows of pods (printers.go `printPod`).

use super::human;
use crate::model::time::Timestamp;
use crate::sim::object::{at, holds, int, list, text, yes};
use serde_json::{Value, json};

/// `Completed` and `Failed`, which kubectl can hide.
pub fn conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match text(pod, "status.phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

/// What a pod's containers add up to.
struct Sum {
    reason: String,
    ready: usize,
    restarts: i64,
    /// When a container last ended before it was restarted.
    last: Option<Timestamp>,
}

impl Sum {
    fn restarted(&mut self, container: &Value) {
        self.restarts += int(container, "restartCount").unwrap_or(0);
        self.last = self.last.max(human::time(at(container, "lastState.terminated.finishedAt")));
    }
}

fn ended(container: &Value) -> String {
    let state = at(container, "state.terminated").unwrap_or(&Value::Null);
    match (text(state, "reason"), int(state, "signal").unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", int(state, "exitCode").unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// Goes through the init containers; gives back whether they still hold the pod.
fn initializing(pod: &Value, sum: &mut Sum, sidecars: &mut Sum) -> bool {
    let init = list(pod, "spec.initContainers");
    for (i, container) in list(pod, "status.initContainerStatuses").iter().enumerate() {
        sum.restarted(container);
        let sidecar = init.iter().any(|c| text(c, "name") == text(container, "name") && restartable(c));
        if sidecar {
            sidecars.restarted(container);
        }
        let terminated = at(container, "state.terminated");
        let waiting = text(container, "state.waiting.reason");
        if terminated.is_some_and(|t| int(t, "exitCode").unwrap_or(0) == 0) {
            continue;
        }
        if sidecar && yes(container, "started") {
            sum.ready += usize::from(yes(container, "ready"));
            continue;
        }
        sum.reason = if terminated.is_some() {
            format!("Init:{}", ended(container))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{i}/{}", init.len())
        };
        return true;
    }
    false
}

fn restartable(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

fn running(pod: &Value, sum: &mut Sum) {
    let (mut any, mut error) = (false, None);
    for container in list(pod, "status.containerStatuses").iter().rev() {
        sum.restarted(container);
        let waiting = text(container, "state.waiting.reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut sum.reason);
        } else if let Some(terminated) = at(container, "state.terminated") {
            sum.reason = ended(container);
            if int(terminated, "exitCode").unwrap_or(0) != 0 {
                error = Some(sum.reason.clone());
            }
        } else if yes(container, "ready") && at(container, "state.running").is_some() {
            any = true;
            sum.ready += 1;
        }
    }
    if sum.reason == "Completed" {
        match error {
            _ if any && holds(pod, "Ready") => sum.reason = "Running".into(),
            Some(error) => sum.reason = error,
            None if any => sum.reason = "NotReady".into(),
            None => {}
        }
    }
}

/// The cells of a pod.
pub fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let phase = text(pod, "status.phase");
    let why = text(pod, "status.reason");
    let empty = |reason: &str| Sum { reason: reason.to_owned(), ready: 0, restarts: 0, last: None };
    let mut sum = empty(if why.is_empty() { phase } else { why });
    if list(pod, "status.conditions")
        .iter()
        .any(|c| text(c, "type") == "PodScheduled" && text(c, "reason") == "SchedulingGated")
    {
        sum.reason = "SchedulingGated".into();
    }
    let sidecars = list(pod, "spec.initContainers").iter().filter(|c| restartable(c)).count();
    let total = list(pod, "spec.containers").len() + sidecars;
    let mut side = empty("");
    if !initializing(pod, &mut sum, &mut side) || holds(pod, "Initialized") {
        (sum.restarts, sum.last) = (side.restarts, side.last);
        running(pod, &mut sum);
    }
    if at(pod, "metadata.deletionTimestamp").is_some() {
        if why == "NodeLost" {
            sum.reason = "Unknown".into();
        } else if !["Succeeded", "Failed"].contains(&phase) {
            sum.reason = "Terminating".into();
        }
    }
    let restarts = match sum.last {
        Some(last) if sum.restarts != 0 => {
            format!("{} ({} ago)", sum.restarts, human::duration((now - last).num_seconds()))
        }
        _ => sum.restarts.to_string(),
    };
    let or_none = |path: &str| Some(text(pod, path)).filter(|t| !t.is_empty()).unwrap_or("<none>").to_owned();
    let ip = list(pod, "status.podIPs").first().map_or("", |i| text(i, "ip"));
    let gates = list(pod, "spec.readinessGates");
    let open = gates.iter().filter(|g| holds(pod, text(g, "conditionType"))).count();
    vec![
        text(pod, "metadata.name").into(),
        format!("{}/{total}", sum.ready).into(),
        sum.reason.into(),
        restarts.into(),
        human::since(at(pod, "metadata.creationTimestamp"), now).into(),
        if ip.is_empty() { "<none>" } else { ip }.into(),
        or_none("spec.nodeName").into(),
        or_none("status.nominatedNodeName").into(),
        if gates.is_empty() { "<none>".to_owned() } else { format!("{open}/{}", gates.len()) }.into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::clock::at as moment;

    fn printed(pod: &Value) -> String {
        let cells = cells(pod, moment(100_000_000));
        cells[1..4].iter().map(|c| c.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pods_are_told_as_kubectl_tells_them() {
        let pod = |status: Value| json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a"}]}, "status": status});
        let waiting =
            pod(json!({"phase": "Running", "containerStatuses": [{"name": "a", "restartCount": 3, "ready": false,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "finishedAt": "1970-01-02T03:45:40Z"}}}]}));
        assert_eq!(printed(&waiting), "0/1 CrashLoopBackOff 3 (60s ago)");
        let mut going = pod(
            json!({"phase": "Running", "containerStatuses": [{"name": "a", "ready": true, "state": {"running": {}}}]}),
        );
        assert_eq!(printed(&going), "1/1 Running 0");
        going["metadata"]["deletionTimestamp"] = "1970-01-02T03:45:40Z".into();
        assert_eq!(printed(&going), "1/1 Terminating 0");
        let init = pod(
            json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 2}}}]}),
        );
        assert_eq!(printed(&init), "0/1 Init:ExitCode:2 0");
        assert_eq!(printed(&pod(json!({"phase": "Failed", "reason": "Evicted"}))), "0/1 Evicted 0");
    }
}
