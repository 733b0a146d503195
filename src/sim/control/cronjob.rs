//! CronJobs (pkg/controller/cronjob).

use super::Controller;
use super::context::{Context, reference, time_at};
use super::job::finished;
use super::queue::{Id, Queue};
use super::world::{Seen, World};
use crate::model::time::Timestamp;
use crate::sim::clock::{rfc3339, seconds};
use crate::sim::object::{at, holds, int, list, set, take, text, yes};
use chrono::Utc;
use chrono_tz::Tz;
use croner::Cron;
use serde_json::{Value, json};
use std::str::FromStr;
use std::sync::Arc;

const KEY: &str = "cronjobs.batch";
const JOBS: &str = "jobs.batch";
const COMPONENT: &str = "cronjob-controller";

pub struct CronJobs;

impl Controller for CronJobs {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        match seen.key() {
            KEY if !seen.gone() => queue.add(seen.id()),
            JOBS => seen.controllers("CronJob", KEY).into_iter().for_each(|id| queue.add(id)),
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let cron = cx.get(id)?;
        let mut after = Value::clone(&cron);
        let jobs: Vec<Arc<Value>> = cx
            .world
            .dependents(text(&cron, "metadata.uid"))
            .filter(|d| &*d.key == JOBS)
            .filter_map(|d| cx.get(d))
            .collect();
        note_finished(cx, &cron, &jobs, &mut after);
        tidy(cx, &cron, &jobs);
        let next = if at(&cron, "metadata.deletionTimestamp").is_some() || yes(&cron, "spec.suspend") {
            None
        } else {
            run_due(cx, &cron, &jobs, &mut after)
        };
        if after.get("status") != cron.get("status")
            && let Some(status) = after.get("status").cloned()
        {
            cx.update_status(id, |v| set(v, "status", status));
        }
        next
    }
}

/// Takes finished jobs off the list of active ones.
fn note_finished(cx: &Context<'_>, cron: &Value, jobs: &[Arc<Value>], after: &mut Value) {
    let active = list(cron, "status.active");
    let mut rest = Vec::new();
    for entry in active {
        let job = jobs.iter().find(|j| text(j, "metadata.uid") == text(entry, "uid"));
        let name = text(entry, "name");
        match job {
            None => {
                cx.event(cron, "Normal", "MissingJob", &format!("Active job went missing: {name}"), COMPONENT);
            }
            Some(j) if finished(j) => {
                let how = if holds(j, "Complete") { "Complete" } else { "Failed" };
                let message = format!("Saw completed job: {name}, condition: {how}");
                cx.event(cron, "Normal", "SawCompletedJob", &message, COMPONENT);
                if how == "Complete" {
                    let time = text(j, "status.completionTime");
                    if time > text(after, "status.lastSuccessfulTime") {
                        set(after, "status.lastSuccessfulTime", time);
                    }
                }
            }
            Some(_) => rest.push(entry.clone()),
        }
    }
    if rest.len() != active.len() {
        if rest.is_empty() {
            take(after, "status.active");
        } else {
            set(after, "status.active", rest);
        }
    }
}

/// Deletes finished jobs beyond the history limits, the oldest first.
fn tidy(cx: &Context<'_>, cron: &Value, jobs: &[Arc<Value>]) {
    for (kind, field, default) in
        [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)]
    {
        let limit = int(cron, &format!("spec.{field}")).unwrap_or(default).max(0) as usize;
        let mut done: Vec<&Arc<Value>> = jobs.iter().filter(|j| holds(j, kind)).collect();
        done.sort_by_key(|j| (text(j, "status.startTime").to_owned(), text(j, "metadata.name").to_owned()));
        for job in done.iter().take(done.len().saturating_sub(limit)) {
            delete_job(cx, cron, job);
        }
    }
}

fn delete_job(cx: &Context<'_>, cron: &Value, job: &Value) {
    let id = Id::new(JOBS, text(job, "metadata.namespace"), text(job, "metadata.name"));
    if at(job, "metadata.deletionTimestamp").is_none() && cx.delete(&id, text(job, "metadata.uid")) {
        cx.event(cron, "Normal", "SuccessfulDelete", &format!("Deleted job {}", id.name), COMPONENT);
    }
}

/// The times of a schedule in its zone.
struct Schedule {
    cron: Cron,
    zone: Tz,
}

impl Schedule {
    /// The first time after `t`.
    fn after(&self, t: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&t.with_timezone(&self.zone), false).ok()?;
        Some(next.with_timezone(&Utc))
    }

    /// The last time in (`from`, `to`].
    fn last(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let last = self.cron.find_previous_occurrence(&to.with_timezone(&self.zone), true).ok()?.with_timezone(&Utc);
        Some(last).filter(|t| *t > from)
    }
}

fn schedule(cx: &Context<'_>, cron: &Value) -> Option<Schedule> {
    let zone = match text(cron, "spec.timeZone") {
        "" => Tz::UTC,
        name => {
            let Ok(zone) = name.parse() else {
                let message = format!("invalid timeZone: \"{name}\": unknown time zone {name}");
                cx.event(cron, "Warning", "UnknownTimeZone", &message, COMPONENT);
                return None;
            };
            zone
        }
    };
    let given = text(cron, "spec.schedule");
    match Cron::from_str(given) {
        Ok(cron) => Some(Schedule { cron, zone }),
        Err(why) => {
            let message = format!("unparseable schedule: \"{given}\" : {why}");
            cx.event(cron, "Warning", "UnparseableSchedule", &message, COMPONENT);
            None
        }
    }
}

/// Starts a job if a time has come; gives back the next time (syncCronJob).
fn run_due(cx: &Context<'_>, cron: &Value, jobs: &[Arc<Value>], after: &mut Value) -> Option<Timestamp> {
    let schedule = schedule(cx, cron)?;
    let next = schedule.after(cx.now);
    let deadline = int(cron, "spec.startingDeadlineSeconds");
    let mut since = time_at(cron, "status.lastScheduleTime").unwrap_or_else(|| super::context::created(cron));
    if let Some(s) = deadline {
        since = since.max(cx.now - seconds(s as f64));
    }
    let Some(due) = schedule.last(since, cx.now) else { return next };
    if list(after, "status.active").is_empty() {
        // Nothing runs that the policy could speak of.
    } else if text(cron, "spec.concurrencyPolicy") == "Forbid" {
        let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
        cx.event(cron, "Normal", "JobAlreadyActive", message, COMPONENT);
        return next;
    } else if text(cron, "spec.concurrencyPolicy") == "Replace" {
        for entry in list(after, "status.active").to_vec() {
            if let Some(job) = jobs.iter().find(|j| text(j, "metadata.uid") == text(&entry, "uid")) {
                delete_job(cx, cron, job);
            }
        }
        take(after, "status.active");
    }
    start(cx, cron, due, after);
    next
}

fn start(cx: &Context<'_>, cron: &Value, due: Timestamp, after: &mut Value) {
    // Named by the minute it was due, so that one time makes one job.
    let name = format!("{}-{}", text(cron, "metadata.name"), due.timestamp() / 60);
    let mut annotations = at(cron, "spec.jobTemplate.metadata.annotations").cloned().unwrap_or_else(|| json!({}));
    annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] = rfc3339(due).into();
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": text(cron, "metadata.namespace"),
            "annotations": annotations,
            "ownerReferences": [reference(cron)],
        },
        "spec": at(cron, "spec.jobTemplate.spec").cloned().unwrap_or_else(|| json!({})),
        "status": {},
    });
    if let Some(labels) = at(cron, "spec.jobTemplate.metadata.labels") {
        set(&mut job, "metadata.labels", labels.clone());
    }
    for field in ["parallelism", "completions"] {
        if int(&job, "spec.parallelism").is_none() || field == "completions" {
            let path = format!("spec.{field}");
            if int(&job, &path).is_none() && (field == "parallelism" || int(&job, "spec.parallelism") == Some(1)) {
                set(&mut job, &path, 1);
            }
        }
    }
    let uid = cx.noise.of(text(cron, "metadata.uid")).uuid(due.timestamp());
    set(&mut job, "metadata.uid", uid.as_str());
    let label = json!({"batch.kubernetes.io/controller-uid": uid});
    if at(&job, "spec.selector").is_none() {
        set(&mut job, "spec.selector", json!({"matchLabels": label}));
    }
    if let Ok(made) = cx.create(JOBS, job) {
        cx.event(cron, "Normal", "SuccessfulCreate", &format!("Created job {}", made.name), COMPONENT);
        let mut active = list(after, "status.active").to_vec();
        active.push(json!({
            "apiVersion": "batch/v1", "kind": "Job", "namespace": made.namespace, "name": made.name, "uid": made.uid,
            "resourceVersion": made.version.to_string(),
        }));
        set(after, "status.active", active);
    }
    set(after, "status.lastScheduleTime", rfc3339(due));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, template};
    use crate::sim::object::{condition, holds, int, list, set, text};
    use serde_json::{Value, json};

    fn job(image: &str, more: Value) -> Value {
        let mut t = template("batch", image);
        set(&mut t, "spec.restartPolicy", "Never");
        let mut spec = json!({"template": t, "completions": 1, "parallelism": 1});
        for (k, v) in more.as_object().unwrap() {
            spec[k] = v.clone();
        }
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job", "namespace": "shop"}, "spec": spec})
    }

    fn world(image: &str, more: Value) -> World {
        let world = World::shop();
        world.create(super::JOBS, job(image, more));
        world
    }

    #[test]
    fn a_job_completes_and_is_forgotten() {
        let mut world = world(
            "done",
            json!({"completions": 5, "parallelism": 2, "completionMode": "Indexed", "ttlSecondsAfterFinished": 60}),
        );
        world.run(1.0);
        assert_eq!(int(&world.get(super::JOBS, "job"), "status.active"), Some(2));
        world.run(20.0);
        let j = world.get(super::JOBS, "job");
        assert!(holds(&j, "Complete") && holds(&j, "SuccessCriteriaMet"), "{j}");
        assert_eq!((int(&j, "status.succeeded"), text(&j, "status.completedIndexes")), (Some(5), "0-4"));
        assert_eq!(world.pods().len(), 5);
        world.run(70.0);
        assert!(world.find(super::JOBS, "job").is_none() && world.list("pods").is_empty());
    }

    #[test]
    fn a_job_that_fails_is_tried_ever_more_seldom_and_given_up() {
        let mut world = world("fails", json!({"backoffLimit": 2}));
        world.run(12.0);
        assert_eq!(int(&world.get(super::JOBS, "job"), "status.failed"), Some(1));
        world.run(10.0);
        assert_eq!(int(&world.get(super::JOBS, "job"), "status.failed"), Some(2));
        world.run(60.0);
        let j = world.get(super::JOBS, "job");
        assert_eq!(text(condition(&j, "Failed").unwrap(), "reason"), "BackoffLimitExceeded");
        assert_eq!(int(&j, "status.failed"), Some(3));
        assert_eq!(world.writes(3000.0), Vec::<String>::new());
    }

    #[test]
    fn a_job_is_suspended_and_runs_out_of_time() {
        let mut world = world("idle", json!({"suspend": true, "activeDeadlineSeconds": 100}));
        world.run(10.0);
        assert!(holds(&world.get(super::JOBS, "job"), "Suspended") && world.pods().is_empty());
        world.edit(super::JOBS, "job", |j| set(j, "spec.suspend", false));
        world.run(10.0);
        assert_eq!(world.ready(), 1);
        world.run(100.0);
        assert_eq!(text(condition(&world.get(super::JOBS, "job"), "Failed").unwrap(), "reason"), "DeadlineExceeded");
        assert!(world.pods().is_empty());
    }

    #[test]
    fn a_schedule_makes_jobs_and_keeps_a_few() {
        let mut world = World::shop();
        let spec = job("done", json!({}))["spec"].clone();
        world.create(
            super::KEY,
            json!({
                "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "report", "namespace": "shop"},
                "spec": {"schedule": "*/10 * * * *", "timeZone": "Europe/Berlin", "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 2, "jobTemplate": {"spec": spec}},
            }),
        );
        world.run(3700.0);
        let cron = world.get(super::KEY, "report");
        assert_eq!(text(&cron, "status.lastScheduleTime"), "2027-01-15T09:00:00Z");
        assert_eq!(world.list(super::JOBS).len(), 2);
        assert!(list(&cron, "status.active").is_empty());
        assert_eq!(world.events("report").iter().filter(|(r, _)| r == "SuccessfulCreate").count(), 6);
    }
}
