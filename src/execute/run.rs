//! Running a permit: dry-run, write, verify, undo where it must be; every edge journalled and shown.

use super::apply::{self, StepError};
use super::course::Course;
use super::guard::{Permit, Purpose};
use super::health::{self, Baseline};
use super::killswitch::KillSwitch;
use super::lease::Fence;
use super::preview::preview;
use super::recheck::Expected;
use super::touches::Touches;
use super::undo::{self, Compensation};
use super::verify::{self, Judgement, Mark, Waiting};
use crate::config::settings;
use crate::model::action::{ActionState, Health, Outcome, QueueItem, Refusal, Verdict};
use crate::model::finding::Finding;
use crate::model::journal::{Kind, Ledger};
use crate::model::object::ObjectRef;
use crate::model::plan::{Gate, Op};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// What verification looks at: what is, and what it means. Published together, so that they belong together.
pub type View = (Arc<Snapshot>, Arc<[Arc<Finding>]>);

/// Everything a run needs from outside.
#[derive(Clone)]
pub struct Deps {
    /// Client for reads and writes of execution. It must not retry by itself (`default_retry = false`).
    pub act: kube::Client,
    /// Where intents and outcomes are written down.
    pub ledger: Arc<dyn Ledger>,
    /// Asked right before each write.
    pub kill: KillSwitch,
    /// Asked right before each write of auto.
    pub fence: Fence,
    /// The world as it goes on.
    pub worlds: watch::Receiver<View>,
    /// Times and limits.
    pub settings: Arc<settings::Guard>,
    /// Every change of the item, as it happens.
    pub progress: mpsc::Sender<Progress>,
    /// kansole is being closed.
    pub cancel: CancellationToken,
    /// The time; `Arc::new(time::now)` outside of tests.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// One change of an action under way. It has been journalled already.
#[derive(Debug, Clone)]
pub struct Progress {
    /// What kind of entry was written.
    pub kind: Kind,
    /// The item as it is now.
    pub item: Arc<QueueItem>,
}

/// Runs what was permitted to its end and gives the item back. If kansole is closed meanwhile, the item is
/// still in flight and [`super::resume()`] takes it up at the next start.
pub async fn run(permit: Permit, deps: Deps) -> QueueItem {
    let purpose = permit.purpose();
    let mut course = Course::begin(permit, deps);
    if purpose != Purpose::Run {
        return course.item; // A permit to undo or to resume permits no apply.
    }
    let now = course.now();
    course.enter(Kind::DryRun, ActionState::DryRun, "asking the server for a dry-run".into(), Value::Null).await;
    let shown = preview(&course.deps.act, &course.item.proposal.plan).await;
    let refused = shown.refused.clone();
    course.item.preview = Some(Arc::new(shown));
    if let Some(why) = refused {
        return refuse(course, Refusal::new("g04", why, "see the message; the next plan takes it into account")).await;
    }
    let (snapshot, findings) = verify::look(&course);
    let limit = TimeDelta::from_std(course.deps.settings.stale_after).unwrap_or(TimeDelta::zero());
    let mut before = health::of(&course.item.proposal, &snapshot, &findings, now, limit);
    before.budgets = health::allowed(&course.item.proposal, &course.budgets, &snapshot);
    let mut base = Baseline::take(&course.item.proposal, &snapshot, before);
    let mut done = Written::default();
    match write_all(&mut course, &mut base, &mut done).await {
        Ok(()) => finish(course, base, done, None).await,
        Err(failure) => failed(course, failure, done).await,
    }
}

/// Undoes an action for the operator and gives the item back.
pub async fn revert(permit: Permit, deps: Deps) -> QueueItem {
    let purpose = permit.purpose();
    let course = Course::begin(permit, deps);
    if purpose != Purpose::Revert {
        return course.item;
    }
    let verdict = course.item.outcome.as_ref().map(|o| o.verdict);
    let written = compensations(&course);
    revert_all(course, &written, verdict, "the operator asked for it".into()).await
}

/// What was written so far.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// How each step is undone, in the order of writing.
    pub undo: Vec<Compensation>,
    /// The targets as our last write left them.
    pub marks: Vec<Mark>,
}

/// Why writing stopped before the end.
#[derive(Debug)]
pub(super) enum Failure {
    /// This step was not written.
    Refused(usize, Refusal),
    /// After this step something got worse, or it did not complete.
    Harm(usize, String),
    /// It cannot be told whether this step was written.
    Unknown(usize, String),
    /// kansole is being closed.
    Interrupted,
}

/// Writes step by step. A failure ends it and leaves in `done` what must be undone.
async fn write_all(course: &mut Course, base: &mut Baseline, done: &mut Written) -> Result<(), Failure> {
    let proposal = course.proposal();
    let with_replicas = Touches::of(&proposal.plan).replicas;
    let mut expected: HashMap<&ObjectRef, Expected> = HashMap::new();
    let last = proposal.plan.steps.len().saturating_sub(1);
    for (i, step) in proposal.plan.steps.iter().enumerate() {
        if let Op::Wait { seconds } = step.op {
            let what = format!("step {}: waiting {seconds} s", i + 1);
            course.enter(Kind::Applied, ActionState::Applying { step: i }, what, json!({"step": i})).await;
            if !course.pause(Duration::from_secs(u64::from(seconds))).await {
                return Err(Failure::Interrupted);
            }
            continue;
        }
        let wanted = expected.get(&step.target).cloned().unwrap_or_else(|| Expected::bound(&step.bound));
        let at = course.now();
        let answer = match apply::write_step(course, i, &wanted).await {
            Ok(answer) => answer,
            Err(StepError::NotWritten(refusal)) => return Err(Failure::Refused(i, refusal)),
            Err(StepError::Unknown(why)) => return Err(Failure::Unknown(i, why)),
        };
        base.written = Some(at);
        done.undo.push(Compensation::of(i, step));
        let object = match (&step.op, answer) {
            (Op::Patch { .. }, Some(object)) => Some(object),
            (Op::Patch { .. }, None) => super::recheck::look(&course.deps.act, &step.target).await.ok().flatten(),
            _ => None,
        };
        if let Some(object) = &object {
            base.generation = base.generation.max(object["metadata"]["generation"].as_i64().unwrap_or(0));
            done.marks.retain(|m| m.target != step.target);
            done.marks.extend(Mark::of(&step.target, object, with_replicas));
            if let Some(seen) = Expected::seen(object) {
                expected.insert(&step.target, seen);
            }
        }
        let payload = json!({"step": i, "resourceVersion": object.as_ref().map(|o| &o["metadata"]["resourceVersion"])});
        let what = format!("step {} is written", i + 1);
        course.enter(Kind::Applied, ActionState::Applying { step: i }, what, payload).await;
        if step.gate == Gate::WorkloadReady && i < last {
            match verify::wait_ready(course, base).await {
                Ok(()) => {}
                Err(Waiting::Harm(why)) => return Err(Failure::Harm(i, why)),
                Err(Waiting::Interrupted) => return Err(Failure::Interrupted),
            }
        }
    }
    Ok(())
}

/// Ends an action that was not written to the end.
async fn failed(mut course: Course, failure: Failure, done: Written) -> QueueItem {
    let (step, why) = match failure {
        Failure::Refused(_, refusal) if done.undo.is_empty() => return refuse(course, refusal).await,
        Failure::Interrupted => return course.item, // still in flight: the next start takes it up
        Failure::Unknown(step, why) => {
            return hand_over(course, format!("step {}: {why}; look at the object by hand", step + 1)).await;
        }
        Failure::Refused(step, refusal) => (step, refusal.to_string()),
        Failure::Harm(step, why) => (step, why),
    };
    let why = format!("step {}: {why}", step + 1);
    if let Some(who) = verify::drift(&mut course, &done.marks).await {
        return hand_over(course, format!("{why}; not undone, because {who}")).await;
    }
    match undo::undo(&mut course, &done.undo, &why).await {
        Ok(0) => end(course, Kind::Failed, ActionState::Failed { why }).await,
        Ok(n) => {
            let why = format!("{why}; {n} written before undone");
            end(course, Kind::Failed, ActionState::Failed { why }).await
        }
        Err(stopped) => hand_over(course, format!("{why}; {stopped}")).await,
    }
}

/// Verifies what was written, and undoes it if it must be. `window` comes from before a restart.
pub(super) async fn finish(
    mut course: Course,
    base: Baseline,
    done: Written,
    window: Option<(Timestamp, Timestamp)>,
) -> QueueItem {
    let now = course.now();
    let judgement = if done.undo.is_empty() {
        waited(&course) // Nothing was changed: there is nothing to settle.
    } else {
        let (settle, observe) = (course.deps.settings.settle, course.deps.settings.observe);
        let (settle, until) = window.unwrap_or((now + settle, now + settle + observe));
        // Kept with the item while it is verified, so that a restart still knows what it was like before.
        course.item.outcome =
            Some(outcome(&course, Verdict::Unknown, vec!["being verified".into()], &base, &base.before));
        let since = base.written.unwrap_or(now);
        let state = ActionState::Verifying { since, settle, until, complete: false };
        course.enter(Kind::Verifying, state, "written; verifying".into(), json!({"before": base.before})).await;
        verify::judge(&mut course, &base, &done.marks, window).await
    };
    let (verdict, why, after) = match judgement {
        Judgement::Interrupted => return course.item,
        Judgement::Drift(who) => {
            // Their change stays, so what we did can be neither judged nor undone.
            let why = vec![format!("{who} while it was verified; nothing is undone over that")];
            let (snapshot, findings) = verify::look(&course);
            let limit = TimeDelta::from_std(course.deps.settings.stale_after).unwrap_or(TimeDelta::zero());
            let after = health::of(&course.item.proposal, &snapshot, &findings, course.now(), limit);
            course.item.outcome = Some(outcome(&course, Verdict::Unknown, why.clone(), &base, &after));
            return end(course, Kind::Outcome, ActionState::Done { verdict: Verdict::Unknown, why: why.join("; ") })
                .await;
        }
        Judgement::Verdict(verdict, why, after) => (verdict, why, after),
    };
    course.item.outcome = Some(outcome(&course, verdict, why.clone(), &base, &after));
    let why = why.join("; ");
    let undoable = done.undo.iter().any(|c| c.patch.is_some() || c.impossible.is_some());
    if !undoable || matches!(verdict, Verdict::Effective | Verdict::Neutral) {
        return end(course, Kind::Outcome, ActionState::Done { verdict, why }).await;
    }
    let state = ActionState::Reverting { why: why.clone() };
    let what = format!("{}: {why}", verdict.as_str());
    course.enter(Kind::Outcome, state, what, json!({"verdict": verdict})).await;
    revert_all(course, &done.undo, Some(verdict), why).await
}

/// Undoes all and ends the action as reverted, or hands it over.
pub(super) async fn revert_all(
    mut course: Course,
    written: &[Compensation],
    verdict: Option<Verdict>,
    why: String,
) -> QueueItem {
    match undo::undo(&mut course, written, &why).await {
        Ok(_) => end(course, Kind::Reverted, ActionState::Reverted { verdict, why }).await,
        Err(stopped) => hand_over(course, format!("{why}; not undone: {stopped}")).await,
    }
}

/// How each writing step of the plan is undone.
pub(super) fn compensations(course: &Course) -> Vec<Compensation> {
    let steps = course.item.proposal.plan.steps.iter().enumerate();
    steps.filter(|(_, s)| s.writes()).map(|(i, s)| Compensation::of(i, s)).collect()
}

/// Ends it before anything was written.
pub(super) async fn refuse(course: Course, refusal: Refusal) -> QueueItem {
    end(course, Kind::Refused, ActionState::Refused { reasons: vec![refusal] }).await
}

/// Stops here: a person must look.
pub(super) async fn hand_over(course: Course, why: String) -> QueueItem {
    end(course, Kind::HandedOver, ActionState::HandedOver { why }).await
}

/// Enters a last state and gives the item back.
pub(super) async fn end(mut course: Course, kind: Kind, state: ActionState) -> QueueItem {
    let (word, why) = (state.word(), reason(&state));
    let what = if why.is_empty() { word.to_owned() } else { format!("{word}: {why}") };
    let payload = json!({"state": state, "outcome": course.item.outcome, "times": course.item.times()});
    course.enter(kind, state, what, payload).await;
    course.item
}

fn reason(state: &ActionState) -> String {
    match state {
        ActionState::Done { why, .. }
        | ActionState::Reverted { why, .. }
        | ActionState::Failed { why }
        | ActionState::Superseded { why }
        | ActionState::HandedOver { why } => why.clone(),
        ActionState::Refused { reasons } => reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        _ => String::new(),
    }
}

/// The verdict on having waited: nothing was changed, so only the trigger counts.
fn waited(course: &Course) -> Judgement {
    let (snapshot, findings) = verify::look(course);
    let limit = TimeDelta::from_std(course.deps.settings.stale_after).unwrap_or(TimeDelta::zero());
    let after = health::of(&course.item.proposal, &snapshot, &findings, course.now(), limit);
    let finding = &course.item.proposal.finding;
    let (verdict, why) = match after.finding_present {
        Some(false) => (Verdict::Effective, format!("{finding} is gone after waiting")),
        Some(true) => (Verdict::Neutral, format!("{finding} is still found after waiting")),
        None => (Verdict::Unknown, "there is no fresh data to judge by".to_owned()),
    };
    Judgement::Verdict(verdict, vec![why], after)
}

fn outcome(course: &Course, verdict: Verdict, why: Vec<String>, base: &Baseline, after: &Health) -> Outcome {
    let action = course.item.proposal.id.clone();
    Outcome { action, verdict, why, before: base.before.clone(), after: after.clone(), at: course.now() }
}

#[cfg(test)]
mod tests;
