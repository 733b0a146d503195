//! Resizes in place: what the specification asks of running containers, and what they are given (KEP-1287).

use super::pod::{Pod, Role};
use super::start::resources;
use super::work::Work;
use crate::sim::object::{amount, at, list, text};
use crate::sim::scheduler::requests::{Ask, of_pod};
use serde_json::Value;

/// Milliseconds that a resize takes.
const TAKES: i64 = 800;

/// Milliseconds after which one that could not be done is tried again.
const AGAIN: i64 = 10_000;

const PENDING: &str = "PodResizePending";
const PROGRESS: &str = "PodResizeInProgress";

impl Work<'_> {
    /// Gives running containers the resources that are asked for now.
    pub(super) fn resize(&mut self, pod: &mut Pod) {
        let changed: Vec<usize> = (0..pod.cells.len())
            .filter(|i| pod.cells[*i].role != Role::Init && pod.cells[*i].runs() && pod.cells[*i].stop.is_none())
            .filter(|i| {
                let (wanted, applied) = (at(pod.spec(*i), "resources"), &pod.cells[*i].applied);
                wanted.is_some_and(|w| w != applied && differs(w, applied))
            })
            .collect();
        if changed.is_empty() {
            pod.resize = None;
            resizing(pod, None);
            return;
        }
        if let Some(refusal) = self.refusal(pod) {
            let told = pod.resizing.as_ref().is_none_or(|(_, reason, _)| *reason != refusal.1);
            if told {
                let reason = format!("Resize{}", refusal.1);
                self.tell_at(pod, "", "Warning", &reason, &format!("Pod resize {}: {}", refusal.1, refusal.2));
            }
            resizing(pod, Some(refusal));
            pod.again(self.now + AGAIN);
            return;
        }
        let Some(since) = pod.resize else {
            pod.resize = Some(self.now);
            self.tell_at(pod, "", "Normal", "ResizeStarted", "Pod resize started");
            resizing(pod, Some((PROGRESS, String::new(), String::new())));
            pod.again(self.now + TAKES);
            return;
        };
        if self.now < since + TAKES {
            pod.again(since + TAKES);
            return;
        }
        for i in changed {
            if !self.apply(pod, i) {
                return;
            }
        }
        pod.resize = None;
        resizing(pod, None);
        self.tell_at(pod, "", "Normal", "ResizeCompleted", "Pod resize completed");
        pod.dirty = true;
    }

    /// Why the node cannot give what is asked.
    fn refusal(&self, pod: &Pod) -> Option<(&'static str, String, String)> {
        if pod.annotation("kansole.dev/fault") == "resize-infeasible" {
            return Some((PENDING, "Infeasible".to_owned(), "Node didn't have enough capacity".to_owned()));
        }
        let ask = of_pod(&pod.object["spec"]);
        let others = (self.others)(&self.node.name, pod);
        let rows = [("cpu", ask.cpu, 0, "m"), ("memory", ask.memory, 1, "")];
        for (name, want, i, _) in rows {
            if self.node.room[i] > 0 && want > self.node.room[i] {
                let message = format!(
                    "Node didn't have enough capacity: {name}, requested: {want}, capacity: {}",
                    self.node.room[i]
                );
                return Some((PENDING, "Infeasible".to_owned(), message));
            }
        }
        let had = current(pod);
        for (name, want, i, _) in rows {
            if self.node.room[i] > 0 && want > had[i] && want + others[i] > self.node.room[i] {
                let message = format!(
                    "Node didn't have enough resource: {name}, requested: {want}, used: {}, capacity: {}",
                    others[i], self.node.room[i]
                );
                return Some((PENDING, "Deferred".to_owned(), message));
            }
        }
        None
    }

    /// Gives container `i` its resources; `false`: it has to wait.
    fn apply(&mut self, pod: &mut Pod, i: usize) -> bool {
        let wanted = resources(pod.spec(i));
        let place = pod.place(i);
        let limit = amount(at(&wanted, "limits.memory"));
        if restarts(pod, i, &wanted) {
            pod.cells[i].applied = wanted;
            let message = format!("Container {} resize requires restart", pod.cells[i].name);
            self.tell(pod, i, "Normal", "Killing", &message);
            self.stop(pod, i, None);
            pod.cells[i].afresh = true;
            return true;
        }
        if let (Some(limit), Some(process)) = (limit, self.machines.processes.get(&place))
            && process.usage.working_set > limit
            && amount(at(&pod.cells[i].applied, "limits.memory")).is_none_or(|old| limit < old)
        {
            let (want, used) = (limit as i64, process.usage.working_set as i64);
            let message = format!("attempting to set pod memory limit ({want}) below current usage ({used})");
            resizing(pod, Some((PROGRESS, "Error".to_owned(), message)));
            pod.again(self.now + AGAIN);
            return false;
        }
        if let Some(process) = self.machines.processes.get_mut(&place) {
            let of = |path: &str| amount(at(&wanted, path));
            process.requests = [of("requests.cpu").unwrap_or(0.0), of("requests.memory").unwrap_or(0.0)];
            process.limits = [of("limits.cpu"), limit];
        }
        pod.cells[i].applied = wanted;
        true
    }
}

/// Requests of the pod as its containers have them now: millicores, bytes.
fn current(pod: &Pod) -> [i64; 2] {
    let asks = pod.cells.iter().filter(|c| c.role != Role::Init).map(|c| Ask::of(at(&c.applied, "requests")));
    asks.fold([0, 0], |sum, a| [sum[0] + a.cpu, sum[1] + a.memory])
}

/// Whether requests or limits differ in amount.
fn differs(a: &Value, b: &Value) -> bool {
    ["requests", "limits"].iter().any(|kind| {
        let amounts = |v: &Value| {
            let ask = Ask::of(v.get(*kind));
            (ask.cpu, ask.memory)
        };
        amounts(a) != amounts(b)
    })
}

/// Whether the change of container `i` needs a restart by its `resizePolicy`.
fn restarts(pod: &Pod, i: usize, wanted: &Value) -> bool {
    let changed = |name: &str| {
        ["requests", "limits"].iter().any(|kind| {
            let of = |v: &Value| amount(v.get(*kind).and_then(|r| r.get(name)));
            of(wanted) != of(&pod.cells[i].applied)
        })
    };
    list(pod.spec(i), "resizePolicy")
        .iter()
        .any(|p| text(p, "restartPolicy") == "RestartContainer" && changed(text(p, "resourceName")))
}

/// Keeps what is to be said of the resize.
fn resizing(pod: &mut Pod, now: Option<(&'static str, String, String)>) {
    if pod.resizing != now {
        pod.resizing = now;
        pod.dirty = true;
    }
}
