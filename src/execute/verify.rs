//! Verification (E4): is it better, worse, or can it not be told?
//!
//! After the write: the rollout completes (bounded), then it settles, then it is observed, then judged. Harm
//! that needs no waiting ends it at once. If somebody else changes the target meanwhile, the verdict is
//! unknown and nothing is undone over their change.

use super::course::Course;
use super::health::{self, Baseline};
use super::recheck;
use super::touches::Touches;
use crate::model::action::{ActionState, Health, Verdict};
use crate::model::finding::Finding;
use crate::model::journal::Kind;
use crate::model::object::ObjectRef;
use crate::model::plan::Proposal;
use crate::model::snapshot::Snapshot;
use crate::model::time::{self, Timestamp};
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Available pods may be below the former number this long after the rollout, for a single pod that moves.
const LOW_GRACE: TimeDelta = TimeDelta::seconds(30);
/// The world is looked at again at least this often, however quiet it is.
const LOOK: Duration = Duration::from_secs(15);

/// How a verification ended.
#[derive(Debug)]
pub(super) enum Judgement {
    /// A verdict, with its reasons and the health it rests on.
    Verdict(Verdict, Vec<String>, Health),
    /// Somebody else changed the target: who and what.
    Drift(String),
    /// kansole is being closed; the next start goes on.
    Interrupted,
}

/// A target as our last write left it.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub target: ObjectRef,
    pub uid: String,
    pub spec: String,
    pub with_replicas: bool,
}

impl Mark {
    /// Remembers the desired state of an object we wrote.
    pub(super) fn of(target: &ObjectRef, object: &Value, with_replicas: bool) -> Option<Self> {
        let uid = object["metadata"]["uid"].as_str()?.to_owned();
        let spec = recheck::spec_digest(object, with_replicas);
        Some(Self { target: target.clone(), uid, spec, with_replicas })
    }
}

/// Waits until the workload has rolled out what was written so far. `Err` says why it did not.
pub(super) async fn wait_ready(course: &mut Course, base: &Baseline) -> Result<(), Waiting> {
    let proposal = course.proposal();
    let Some(key) = proposal.workload() else { return Ok(()) };
    let deadline = course.now() + course.deps.settings.step_timeout;
    loop {
        let (snapshot, _) = look(course);
        let now = course.now();
        if known(course, &snapshot, base, now) {
            if let Some(harm) = health::immediate_harm(&proposal, base, &snapshot) {
                return Err(Waiting::Harm(harm));
            }
            if snapshot.workload(key).is_some_and(|w| health::rolled_out(base, w)) {
                return Ok(());
            }
        }
        if now >= deadline {
            let seconds = course.deps.settings.step_timeout.as_secs();
            return Err(Waiting::Harm(format!("{key} was not complete after {seconds} s")));
        }
        if !next(course, deadline).await {
            return Err(Waiting::Interrupted);
        }
    }
}

/// Why waiting ended without the workload being ready.
#[derive(Debug)]
pub(super) enum Waiting {
    Harm(String),
    Interrupted,
}

/// Judges what was written. `window` is the time that a run before a restart had already set.
pub(super) async fn judge(
    course: &mut Course,
    base: &Baseline,
    marks: &[Mark],
    window: Option<(Timestamp, Timestamp)>,
) -> Judgement {
    let touches = Touches::of(&course.item.proposal.plan);
    let controlled = course.item.proposal.workload().is_some_and(|k| {
        use crate::model::object::WorkloadKind as W;
        matches!(k.kind, W::Deployment | W::StatefulSet | W::DaemonSet)
    });
    if controlled && (touches.template || touches.replicas || touches.evicts || touches.detaches) {
        match wait_ready(course, base).await {
            Ok(()) => {}
            Err(Waiting::Interrupted) => return Judgement::Interrupted,
            Err(Waiting::Harm(why)) => {
                return match drift(course, marks).await {
                    Some(who) => Judgement::Drift(who),
                    None => verdict(course, Verdict::Harmful, why),
                };
            }
        }
    }
    let now = course.now();
    let (settle, until) = window.unwrap_or_else(|| {
        let settle = now + course.deps.settings.settle;
        (settle, settle + course.deps.settings.observe)
    });
    let since = base.written.unwrap_or(now);
    let state = ActionState::Verifying { since, settle, until, complete: true };
    course.enter(Kind::Verifying, state, "complete; settling, then observing".into(), json!({"until": until})).await;
    observe(course, base, marks, settle, until).await
}

/// Watches until `until`, then decides.
async fn observe(
    course: &mut Course,
    base: &Baseline,
    marks: &[Mark],
    settle: Timestamp,
    until: Timestamp,
) -> Judgement {
    let proposal = course.proposal();
    let limit = stale_after(course);
    let last_call = until + course.deps.settings.step_timeout;
    let mut low_since: Option<Timestamp> = None;
    let mut used_up: Option<(Timestamp, String)> = None;
    let mut gone_since: Option<Timestamp> = None;
    let mut generation = base.generation;
    loop {
        let (snapshot, findings) = look(course);
        let now = course.now();
        let known = known(course, &snapshot, base, now);
        let mut after = health::of(&proposal, &snapshot, &findings, now, limit);
        match after.finding_present.filter(|_| known) {
            Some(true) => gone_since = None,
            Some(false) => gone_since = gone_since.or(Some(now)),
            None => {}
        }
        after.gone_since = gone_since;
        if known && let Some(workload) = proposal.workload().and_then(|k| snapshot.workload(k)) {
            // A moved generation is only a hint: the live object tells whether it concerns us.
            if workload.generation > generation {
                generation = workload.generation;
                if let Some(who) = drift(course, marks).await {
                    return Judgement::Drift(who);
                }
            }
            low_since =
                (workload.replicas.available < health::wanted(base, workload)).then(|| low_since.unwrap_or(now));
        }
        if known {
            used_up = still(used_up, health::used_up(&proposal, base, &snapshot), now);
        }
        let tight = lasting(used_up.as_ref(), now);
        let harm = if known { health::immediate_harm(&proposal, base, &snapshot) } else { None };
        let low =
            low_since.filter(|s| now - *s >= LOW_GRACE).map(|_| "fewer pods are available than before".to_owned());
        let settled = if known && now >= settle { settled_harm(&proposal, base, &after, &findings) } else { None };
        if let Some(why) = harm.or(low).or(tight).or(settled) {
            return match drift(course, marks).await {
                Some(who) => Judgement::Drift(who),
                None => Judgement::Verdict(Verdict::Harmful, vec![why], after),
            };
        }
        if now >= until {
            match after.finding_present.filter(|_| known) {
                Some(present) => return conclude(course, marks, present, after).await,
                None if now >= last_call => {
                    let why = vec!["there is no fresh data to judge by".to_owned()];
                    return Judgement::Verdict(Verdict::Unknown, why, after);
                }
                None => {}
            }
        }
        let wake = if now < settle {
            settle
        } else if now < until {
            until
        } else {
            last_call
        };
        if !next(course, wake).await {
            return Judgement::Interrupted;
        }
    }
}

/// Harm that shows only after settling, when rate windows hold nothing from before.
fn settled_harm(proposal: &Proposal, base: &Baseline, after: &Health, findings: &[Arc<Finding>]) -> Option<String> {
    health::settled_harm(&base.before, after)
        .or_else(|| health::held_back(&base.before, after))
        .or_else(|| health::fast_burn(proposal, base, findings))
}

/// What is so now, with since when it has been so without a break.
fn still(before: Option<(Timestamp, String)>, now_so: Option<String>, now: Timestamp) -> Option<(Timestamp, String)> {
    let since = before.map_or(now, |(since, _)| since);
    now_so.map(|why| (since, why))
}

/// What has been so for longer than a single pod needs to move.
fn lasting(what: Option<&(Timestamp, String)>, now: Timestamp) -> Option<String> {
    what.filter(|(since, _)| now - *since >= LOW_GRACE).map(|(_, why)| why.clone())
}

async fn conclude(course: &mut Course, marks: &[Mark], present: bool, after: Health) -> Judgement {
    if let Some(who) = drift(course, marks).await {
        return Judgement::Drift(who);
    }
    let class = course.item.proposal.fault.class();
    if present {
        Judgement::Verdict(
            Verdict::Neutral,
            vec![format!("the trigger ({class}) is still found, and nothing got worse")],
            after,
        )
    } else {
        Judgement::Verdict(
            Verdict::Effective,
            vec![format!("the trigger ({class}) is gone, and nothing got worse")],
            after,
        )
    }
}

fn verdict(course: &Course, verdict: Verdict, why: String) -> Judgement {
    let (snapshot, findings) = look(course);
    let after = health::of(&course.item.proposal, &snapshot, &findings, course.now(), stale_after(course));
    Judgement::Verdict(verdict, vec![why], after)
}

/// Who changed a target's desired state since our write. What cannot be read is not called drift.
pub(super) async fn drift(course: &mut Course, marks: &[Mark]) -> Option<String> {
    for mark in marks {
        match recheck::look(&course.deps.act, &mark.target).await {
            Ok(Some(live)) => {
                let same = live["metadata"]["uid"].as_str() == Some(&mark.uid)
                    && recheck::spec_digest(&live, mark.with_replicas) == mark.spec;
                if !same {
                    let who = recheck::newest_manager(&live).unwrap_or_else(|| "somebody".into());
                    return Some(format!("{} was changed by {who}", mark.target));
                }
            }
            Ok(None) => return Some(format!("{} was deleted by somebody", mark.target)),
            Err(e) => course.tell(format!("{} cannot be read: {e}", mark.target)),
        }
    }
    None
}

/// Whether the snapshot is fresh and shows a time after the write.
fn known(course: &Course, snapshot: &Snapshot, base: &Baseline, now: Timestamp) -> bool {
    health::fresh(snapshot, now, stale_after(course)) && base.written.is_none_or(|w| snapshot.taken >= w)
}

fn stale_after(course: &Course) -> TimeDelta {
    TimeDelta::from_std(course.deps.settings.stale_after).unwrap_or(TimeDelta::zero())
}

pub(super) fn look(course: &Course) -> (Arc<Snapshot>, Arc<[Arc<Finding>]>) {
    course.deps.worlds.borrow().clone()
}

/// Waits for the next picture or until `wake`. False: kansole is being closed.
async fn next(course: &mut Course, wake: Timestamp) -> bool {
    let now = course.now();
    let time = (wake - now).to_std().unwrap_or(Duration::ZERO).min(LOOK);
    let time = time::real(time).max(Duration::from_millis(10));
    let cancel = course.deps.cancel.clone();
    tokio::select! {
        biased;
        () = cancel.cancelled() => false,
        changed = course.deps.worlds.changed() => changed.is_ok(),
        () = tokio::time::sleep(time) => true,
    }
}
