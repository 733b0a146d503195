//! Jobs (pkg/controller/job, pkg/controller/ttlafterfinished).

use super::Controller;
use super::context::{Context, Refused, time_at};
use super::pods;
use super::queue::{Id, Queue};
use super::world::{Pod, Seen, World};
use crate::model::time::Timestamp;
use crate::sim::clock::seconds;
use crate::sim::object::{at, condition, holds, int, list, set, set_condition, take, text, yes};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const KEY: &str = "jobs.batch";
const COMPONENT: &str = "job-controller";
/// Holds a pod until it is counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Seconds to wait after the first failure; doubled with each, up to the longest.
const BACKOFF: f64 = 10.0;
const LONGEST_BACKOFF: f64 = 600.0;

pub struct Jobs;

impl Controller for Jobs {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        match seen.key() {
            KEY if !seen.gone() => queue.add(seen.id()),
            "pods" => seen.controllers("Job", KEY).into_iter().for_each(|id| queue.add(id)),
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let job = cx.get(id)?;
        let all: Vec<Arc<Pod>> = cx.world.pods_of(text(&job, "metadata.uid")).cloned().collect();
        let mut work =
            Work { cx, after: Value::clone(&job), job: &job, active: Vec::new(), terminating: 0, again: None };
        work.count(&all);
        if finished(&job) {
            work.write(id);
            return work.expire(id);
        }
        if at(&job, "metadata.deletionTimestamp").is_none() {
            work.act();
        }
        work.write(id);
        work.again
    }
}

pub fn finished(job: &Value) -> bool {
    holds(job, "Complete") || holds(job, "Failed")
}

struct Work<'a> {
    cx: &'a Context<'a>,
    job: &'a Value,
    /// The job as its status should be.
    after: Value,
    active: Vec<Arc<Pod>>,
    terminating: i64,
    again: Option<Timestamp>,
}

impl Work<'_> {
    fn number(&self, path: &str) -> i64 {
        int(&self.after, path).unwrap_or(0)
    }

    fn add(&mut self, field: &str) {
        let path = format!("status.{field}");
        let n = self.number(&path) + 1;
        set(&mut self.after, &path, n);
    }

    fn indexed(&self) -> bool {
        text(self.job, "spec.completionMode") == "Indexed"
    }

    /// Counts pods that have ended, once each, and lets them go.
    fn count(&mut self, all: &[Arc<Pod>]) {
        for pod in all {
            let held = pod.stored.body.contains(TRACKING);
            let over = pod.ended() || (pod.deleting && pod.node.is_empty());
            if over && held {
                if pod.phase == "Succeeded" {
                    self.add("succeeded");
                    self.complete_index(pod);
                } else if !finished(self.job) {
                    self.add("failed");
                }
                self.cx.update(&pod.id(), |v| {
                    let rest: Vec<Value> =
                        list(v, "metadata.finalizers").iter().filter(|f| *f != TRACKING).cloned().collect();
                    if rest.is_empty() {
                        take(v, "metadata.finalizers");
                    } else {
                        set(v, "metadata.finalizers", rest);
                    }
                });
            }
            if !pod.ended() {
                if pod.deleting {
                    self.terminating += 1;
                } else {
                    self.active.push(pod.clone());
                }
            }
        }
    }

    fn complete_index(&mut self, pod: &Pod) {
        if let (true, Some(i)) = (self.indexed(), index(pod)) {
            let mut done = indexes(text(&self.after, "status.completedIndexes"));
            done.insert(i);
            set(&mut self.after, "status.completedIndexes", ranges(&done));
        }
    }

    fn condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let time = self.cx.time();
        let fresh = condition(&self.after, kind).is_none_or(|c| text(c, "status") != status);
        set_condition(&mut self.after, kind, status, reason, message, &time);
        if let Some(c) = self.after.pointer_mut("/status/conditions").and_then(Value::as_array_mut)
            && let Some(c) = c.iter_mut().find(|c| fresh && text(c, "type") == kind)
        {
            set(c, "lastProbeTime", time);
        }
    }

    fn event(&self, kind: &str, reason: &str, message: &str) {
        self.cx.event(self.job, kind, reason, message, COMPONENT);
    }

    fn act(&mut self) {
        if yes(self.job, "spec.suspend") {
            return self.suspend();
        }
        if condition(&self.after, "Suspended").is_some_and(|c| text(c, "status") == "True") {
            self.condition("Suspended", "False", "JobResumed", "Job resumed");
            self.event("Normal", "Resumed", "Job resumed");
        }
        if text(&self.after, "status.startTime").is_empty() {
            set(&mut self.after, "status.startTime", self.cx.time());
        }
        if self.fail() || self.complete() {
            return;
        }
        self.create_or_delete();
    }

    fn suspend(&mut self) {
        for pod in std::mem::take(&mut self.active) {
            self.cx.delete_pod(&pod, self.job, COMPONENT);
            self.terminating += 1;
        }
        take(&mut self.after, "status.startTime");
        if !holds(&self.after, "Suspended") {
            self.condition("Suspended", "True", "JobSuspended", "Job suspended");
            self.event("Normal", "Suspended", "Job suspended");
        }
    }

    /// Ends the job if it has failed too often or taken too long.
    fn fail(&mut self) -> bool {
        let restarts: i64 = match text(self.job, "spec.template.spec.restartPolicy") {
            "OnFailure" => self.active.iter().map(|p| p.restarts).sum(),
            _ => 0,
        };
        let limit = int(self.job, "spec.backoffLimit").unwrap_or(6);
        let started = time_at(&self.after, "status.startTime").unwrap_or(self.cx.now);
        let deadline = int(self.job, "spec.activeDeadlineSeconds").map(|s| started + seconds(s as f64));
        let (reason, message) = if self.number("status.failed") > limit || (restarts > 0 && restarts > limit) {
            ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        } else if deadline.is_some_and(|d| d <= self.cx.now) {
            ("DeadlineExceeded", "Job was active longer than specified deadline")
        } else {
            self.again = deadline;
            return false;
        };
        self.end(false, reason, message);
        self.event("Warning", reason, message);
        true
    }

    fn complete(&mut self) -> bool {
        let succeeded = self.number("status.succeeded");
        let done = match int(self.job, "spec.completions") {
            Some(n) => succeeded >= n,
            // A work queue: one success, and nobody works any more.
            None => succeeded > 0 && self.active.is_empty(),
        };
        if done {
            self.end(true, "CompletionsReached", "Reached expected number of succeeded pods");
            set(&mut self.after, "status.completionTime", self.cx.time());
            self.event("Normal", "Completed", "Job completed");
        }
        done
    }

    /// What is still active is deleted, and the conditions tell how it ended.
    fn end(&mut self, well: bool, reason: &str, message: &str) {
        for pod in std::mem::take(&mut self.active) {
            self.cx.delete_pod(&pod, self.job, COMPONENT);
            self.terminating += 1;
        }
        let (first, last) = if well { ("SuccessCriteriaMet", "Complete") } else { ("FailureTarget", "Failed") };
        self.condition(first, "True", reason, message);
        self.condition(last, "True", reason, message);
    }

    fn create_or_delete(&mut self) {
        let parallel = int(self.job, "spec.parallelism").unwrap_or(1).max(0);
        let active = self.active.len() as i64;
        let wanted = match int(self.job, "spec.completions") {
            Some(n) => parallel.min(n - self.number("status.succeeded")),
            None if self.number("status.succeeded") > 0 => active.min(parallel),
            None => parallel,
        };
        if active > wanted {
            pods::rank(&mut self.active, &std::collections::BTreeMap::new(), self.cx.now);
            for pod in self.active.drain(..(active - wanted) as usize).collect::<Vec<_>>() {
                self.cx.delete_pod(&pod, self.job, COMPONENT);
                self.terminating += 1;
            }
            return;
        }
        if let Some(later) = self.backoff() {
            self.again = Some(self.again.map_or(later, |t| t.min(later)));
            return;
        }
        for _ in active..wanted {
            let index = self.indexed().then(|| self.free_index());
            match self.create(index) {
                Ok(()) => {}
                Err(_) => break,
            }
        }
    }

    /// When the next pod may be made, if not now: failures double the wait.
    fn backoff(&self) -> Option<Timestamp> {
        let failed = self.number("status.failed");
        if failed == 0 {
            return None;
        }
        let last = self
            .cx
            .world
            .pods_of(text(self.job, "metadata.uid"))
            .filter(|p| p.phase == "Failed")
            .filter_map(|p| ended_at(&p.stored.shared()))
            .max()?;
        let wait = (BACKOFF * 2_f64.powi((failed - 1).min(10) as i32)).min(LONGEST_BACKOFF);
        Some(last + seconds(wait)).filter(|t| *t > self.cx.now)
    }

    fn free_index(&self) -> i64 {
        let done = indexes(text(&self.after, "status.completedIndexes"));
        let busy: BTreeSet<i64> = self.active.iter().filter_map(|p| index(p)).collect();
        (0..=i64::MAX).find(|i| !done.contains(i) && !busy.contains(i)).unwrap_or(0)
    }

    fn create(&mut self, index: Option<i64>) -> Result<(), Refused> {
        let (name, uid) = (text(self.job, "metadata.name"), text(self.job, "metadata.uid"));
        let mut pod = pods::from_template(&self.job["spec"]["template"], self.job);
        let mut labels = at(&pod, "metadata.labels").cloned().unwrap_or_else(|| json!({}));
        for (key, value) in [
            ("batch.kubernetes.io/controller-uid", uid),
            ("batch.kubernetes.io/job-name", name),
            ("controller-uid", uid),
            ("job-name", name),
        ] {
            labels[key] = value.into();
        }
        if let Some(i) = index {
            labels[INDEX] = i.to_string().into();
            pod["metadata"]["annotations"][INDEX] = i.to_string().into();
            set(&mut pod, "metadata.generateName", format!("{name}-{i}-"));
            set(&mut pod, "spec.hostname", format!("{name}-{i}"));
        }
        set(&mut pod, "metadata.labels", labels);
        set(&mut pod, "metadata.finalizers", vec![TRACKING]);
        let made = self.cx.create_pod(pod, self.job, COMPONENT)?;
        if let Some(stored) = self.cx.store.get("pods", text(self.job, "metadata.namespace"), &made) {
            self.active.push(Arc::new(super::world::short(&stored)));
        }
        Ok(())
    }

    fn write(&mut self, id: &Id) {
        let ready = self.active.iter().filter(|p| p.ready.is_some()).count() as i64;
        for (field, n) in [("active", self.active.len() as i64), ("ready", ready), ("terminating", self.terminating)] {
            let path = format!("status.{field}");
            // `ready` and `terminating` are pointers: told as 0 once the job has begun.
            if n == 0 && (field == "active" || at(&self.after, &path).is_none()) {
                take(&mut self.after, &path);
            } else {
                set(&mut self.after, &path, n);
            }
        }
        if self.after.get("status") != self.job.get("status")
            && let Some(status) = self.after.get("status").cloned()
        {
            self.cx.update_status(id, |v| set(v, "status", status));
        }
    }

    /// Deletes a finished job when its time is over.
    fn expire(&self, id: &Id) -> Option<Timestamp> {
        let ttl = int(self.job, "spec.ttlSecondsAfterFinished")?;
        let ended = list(self.job, "status.conditions")
            .iter()
            .find(|c| matches!(text(c, "type"), "Complete" | "Failed") && text(c, "status") == "True")
            .and_then(|c| time_at(c, "lastTransitionTime"))?;
        let due = ended + seconds(ttl as f64);
        if due > self.cx.now {
            return Some(due);
        }
        if at(self.job, "metadata.deletionTimestamp").is_none() {
            self.cx.delete_how(id, text(self.job, "metadata.uid"), "Foreground");
        }
        None
    }
}

fn index(pod: &Pod) -> Option<i64> {
    pod.stored.labels.get(INDEX)?.parse().ok()
}

/// When the last container of a pod ended.
fn ended_at(pod: &Value) -> Option<Timestamp> {
    let told =
        list(pod, "status.containerStatuses").iter().filter_map(|c| time_at(c, "state.terminated.finishedAt")).max();
    told.or_else(|| list(pod, "status.conditions").iter().filter_map(|c| time_at(c, "lastTransitionTime")).max())
}

/// `1,3-5` as a set.
fn indexes(text: &str) -> BTreeSet<i64> {
    text.split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.parse::<i64>().ok()?..=to.parse::<i64>().ok()?)
        })
        .flatten()
        .collect()
}

fn ranges(all: &BTreeSet<i64>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for i in all {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == *i => *end = *i,
            _ => runs.push((*i, *i)),
        }
    }
    let told = runs.into_iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    told.collect::<Vec<_>>().join(",")
}
