//! What a Deployment's status tells (calculateStatus in sync.go, progress.go).

use super::Work;
use crate::model::time::Timestamp;
use crate::sim::clock::seconds;
use crate::sim::control::context::{replicas, time_at};
use crate::sim::object::{at, condition, int, list, set, take, text, yes};
use serde_json::{Value, json};
use std::sync::Arc;

fn count(object: &Value, field: &str) -> i64 {
    int(object, &format!("status.{field}")).unwrap_or(0)
}

impl Work<'_> {
    /// A pause, or its end, is told in the Progressing condition, so that the time does not count against progress.
    pub(super) fn note_pause(&mut self) {
        let reason = condition(&self.d, "Progressing").map(|c| text(c, "reason").to_owned());
        if self.deadline().is_none() || reason.as_deref() == Some("ProgressDeadlineExceeded") {
            return;
        }
        let told = reason.as_deref() == Some("DeploymentPaused");
        match (yes(&self.d, "spec.paused"), told) {
            (true, false) => self.progressing("Unknown", "DeploymentPaused", "Deployment is paused"),
            (false, true) => self.progressing("Unknown", "DeploymentResumed", "Deployment is resumed"),
            _ => {}
        }
    }

    /// Writes the Progressing condition at once, if progress is asked for.
    pub(super) fn progressing(&mut self, status: &str, reason: &str, message: &str) {
        if self.deadline().is_none() {
            return;
        }
        let time = self.cx.time();
        if let Some(d) = self.cx.update_status(self.id, |v| put(v, "Progressing", status, reason, message, &time)) {
            self.renewed(d);
        }
    }

    /// Goes on with what was just written, but with the specification it began with: whatever somebody wrote meanwhile is
    /// the next look's, and must not be told as observed by this one.
    pub(super) fn renewed(&mut self, d: Arc<Value>) {
        let mut d = Arc::unwrap_or_clone(d);
        d["spec"] = self.d["spec"].take();
        if let Some(generation) = self.d.pointer_mut("/metadata/generation") {
            d["metadata"]["generation"] = generation.take();
        }
        self.d = d;
    }

    /// The status as it should be now, with everything but Progressing and ReplicaFailure.
    fn calculated(&self, new: Option<usize>) -> Value {
        let mut d = self.d.clone();
        let sum = |f: &dyn Fn(&Value) -> i64| self.sets.iter().map(|s| f(s)).sum::<i64>();
        let available = sum(&|s| count(s, "availableReplicas"));
        let wanted = sum(&replicas);
        let mut fields = vec![
            ("replicas", sum(&|s| count(s, "replicas"))),
            ("updatedReplicas", new.map_or(0, |i| count(&self.sets[i], "replicas"))),
            ("readyReplicas", sum(&|s| count(s, "readyReplicas"))),
            ("availableReplicas", available),
            ("unavailableReplicas", (wanted - available).max(0)),
        ];
        if let Some(generation) = int(&self.d, "metadata.generation") {
            fields.push(("observedGeneration", generation));
        }
        for (field, n) in fields {
            let path = format!("status.{field}");
            if n == 0 {
                take(&mut d, &path);
            } else {
                set(&mut d, &path, n);
            }
        }
        let ending = sum(&|s| count(s, "terminatingReplicas"));
        // A pointer in the API: 0 is told. A status that never told it does not begin to for a 0.
        if ending != count(&self.d, "terminatingReplicas") || at(&self.d, "status").is_none() {
            set(&mut d, "status.terminatingReplicas", ending);
        }
        let (status, reason, message) = if available >= self.replicas() - self.max_unavailable() {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        put(&mut d, "Available", status, reason, message, &self.cx.time());
        d
    }

    /// Whether everything wanted is new and available.
    pub(super) fn is_complete(&self, d: &Value) -> bool {
        let want = self.replicas();
        ["updatedReplicas", "replicas", "availableReplicas"].iter().all(|f| count(d, f) == want)
            && count(d, "observedGeneration") >= int(&self.d, "metadata.generation").unwrap_or(0)
    }

    /// The status outside of rollouts (syncDeploymentStatus).
    pub(super) fn write_status(&mut self) -> Option<Timestamp> {
        let after = self.calculated(self.new);
        self.store(after)
    }

    /// The status in a rollout, with its progress (syncRolloutStatus).
    pub(super) fn write_rollout_status(&mut self, new: Option<usize>) -> Option<Timestamp> {
        let mut after = self.calculated(new);
        match self.deadline() {
            None => remove(&mut after, "Progressing"),
            Some(deadline) => self.judge_progress(&mut after, new, deadline),
        }
        let failing = new
            .into_iter()
            .chain(0..self.sets.len())
            .find_map(|i| condition(&self.sets[i], "ReplicaFailure"))
            .map(|c| (text(c, "status").to_owned(), text(c, "reason").to_owned(), text(c, "message").to_owned()));
        match failing {
            Some((status, reason, message)) => {
                put(&mut after, "ReplicaFailure", &status, &reason, &message, &self.cx.time());
            }
            None => remove(&mut after, "ReplicaFailure"),
        }
        self.store(after)
    }

    fn judge_progress(&self, after: &mut Value, new: Option<usize>, deadline: i64) {
        let now = condition(&self.d, "Progressing");
        let reason = now.map_or("", |c| text(c, "reason"));
        if count(after, "replicas") == count(after, "updatedReplicas") && reason == "NewReplicaSetAvailable" {
            return;
        }
        let what = match new {
            Some(i) => format!("ReplicaSet \"{}\"", text(&self.sets[i], "metadata.name")),
            None => format!("Deployment \"{}\"", text(&self.d, "metadata.name")),
        };
        let time = self.cx.time();
        let old_left = |d: &Value| count(d, "replicas") - count(d, "updatedReplicas");
        let more = |f: &str| count(after, f) > count(&self.d, f);
        if self.is_complete(after) {
            let message = format!("{what} has successfully progressed.");
            put(after, "Progressing", "True", "NewReplicaSetAvailable", &message, &time);
        } else if more("updatedReplicas")
            || old_left(after) < old_left(&self.d)
            || more("readyReplicas")
            || more("availableReplicas")
        {
            // Any progress moves lastUpdateTime, and lastTransitionTime only when it was not progressing.
            let since = now
                .filter(|c| text(c, "status") == "True")
                .map_or(time.clone(), |c| text(c, "lastTransitionTime").to_owned());
            remove(after, "Progressing");
            put(after, "Progressing", "True", "ReplicaSetUpdated", &format!("{what} is progressing."), &time);
            if let Some(c) = after.pointer_mut("/status/conditions").and_then(Value::as_array_mut)
                && let Some(last) = c.last_mut()
            {
                set(last, "lastTransitionTime", since);
            }
        } else if self.deadline_over(deadline) {
            let message = format!("{what} has timed out progressing.");
            put(after, "Progressing", "False", "ProgressDeadlineExceeded", &message, &time);
        }
    }

    /// When the deadline for progress is over; `None`: none runs.
    fn deadline_at(d: &Value, deadline: i64) -> Option<Timestamp> {
        let c = condition(d, "Progressing")?;
        let settled = matches!(text(c, "reason"), "NewReplicaSetAvailable" | "ProgressDeadlineExceeded");
        if settled || yes(d, "spec.paused") {
            return None;
        }
        Some(time_at(c, "lastUpdateTime")? + seconds(deadline as f64))
    }

    fn deadline_over(&self, deadline: i64) -> bool {
        condition(&self.d, "Progressing").is_some_and(|c| text(c, "reason") == "ProgressDeadlineExceeded")
            || Self::deadline_at(&self.d, deadline).is_some_and(|t| t < self.cx.now)
    }

    /// Writes the status if it is another one; gives back when to look at the progress again.
    fn store(&mut self, after: Value) -> Option<Timestamp> {
        if after.get("status") != self.d.get("status") {
            let status = after.get("status").cloned().unwrap_or_else(|| json!({}));
            let d = self.cx.update_status(self.id, |v| set(v, "status", status))?;
            self.renewed(d);
        }
        if self.is_complete(&self.d) {
            return None;
        }
        let due = Self::deadline_at(&self.d, self.deadline()?)? + seconds(1.0);
        Some(due).filter(|t| *t > self.cx.now)
    }
}

/// Sets a Deployment condition (SetDeploymentCondition): the same status and reason change nothing, the same status
/// keeps lastTransitionTime; a changed one moves to the end.
fn put(d: &mut Value, kind: &str, status: &str, reason: &str, message: &str, now: &str) {
    let old = condition(d, kind);
    if old.is_some_and(|c| text(c, "status") == status && text(c, "reason") == reason) {
        return;
    }
    let since = old.filter(|c| text(c, "status") == status).map_or(now, |c| text(c, "lastTransitionTime")).to_owned();
    let mut all: Vec<Value> =
        list(d, "status.conditions").iter().filter(|c| text(c, "type") != kind).cloned().collect();
    all.push(json!({
        "type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": since,
        "reason": reason, "message": message,
    }));
    set(d, "status.conditions", all);
}

fn remove(d: &mut Value, kind: &str) {
    if condition(d, kind).is_some() {
        let rest: Vec<Value> =
            list(d, "status.conditions").iter().filter(|c| text(c, "type") != kind).cloned().collect();
        set(d, "status.conditions", rest);
    }
}
