//! The write itself (E3): one step, with everything checked again just before, and nothing repeated blindly.

use super::api::{self, Answer, CallError};
use super::course::Course;
use super::guard::Actor;
use super::preview::blocked_eviction;
use super::recheck::{self, Expected, Mismatch};
use crate::model::action::{ActionState, Refusal};
use crate::model::journal::Kind;
use crate::model::plan::{ACTION_ANNOTATION, Op, Step};
use crate::model::time;
use json_patch::{AddOperation, Patch, PatchOperation, TestOperation, jsonptr::PointerBuf};
use serde_json::{Value, json};
use std::time::Duration;

/// Attempts at one step: conflicts and throttling together.
const ATTEMPTS: u32 = 5;
/// Conflicts that are looked at again before the step counts as contended.
const CONFLICTS: u32 = 3;
/// Wait after 429 if the server names none, and the longest wait that is honoured.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Why a step was not written.
#[derive(Debug)]
pub(super) enum StepError {
    /// Nothing was written by this step.
    NotWritten(Refusal),
    /// It cannot be told whether it was.
    Unknown(String),
}

/// Writes step `i`, if its target still is as expected. Gives the server's object, where it told one.
///
/// In this order, and again for each attempt: target read and compared, kill switch, permit, intent in the
/// journal, write with a `test` on the resource version just read.
pub(super) async fn write_step(course: &mut Course, i: usize, expected: &Expected) -> Result<Option<Value>, StepError> {
    let proposal = course.proposal();
    let step = &proposal.plan.steps[i];
    let mut conflicts = 0;
    for attempt in 1..=ATTEMPTS {
        let live = recheck::target(&course.deps.act, step, expected).await.map_err(mismatch)?;
        may_still_write(course, i).await?;
        intend(course, i, &live, attempt).await?;
        let error = match send(course, step, &live).await {
            Ok(answer) => {
                for warning in answer.warnings {
                    course.tell(format!("the server warns: {warning}"));
                }
                // Subresources answer with another kind of object, Scale even under the same UID.
                let (body, uid) = (answer.body, step.bound.uid.as_str());
                let ours = body["kind"] == live["kind"] && body["metadata"]["uid"].as_str() == Some(uid);
                return Ok(ours.then_some(body));
            }
            Err(e) => e,
        };
        match error {
            CallError::Refused { code: 409 | 422, ref message, .. } => {
                conflicts += 1;
                if !moved(course, step, &live).await {
                    return Err(not_written(
                        "g04",
                        format!("the server refused it: {message}"),
                        "wait for the next plan",
                    ));
                }
                if conflicts >= CONFLICTS {
                    let why = format!("{} changes too often to be written safely", step.target);
                    return Err(not_written("g17", why, "see who writes it, then approve again"));
                }
                course.tell(format!("{} moved while it was written; looking again", step.target));
            }
            CallError::Refused { code: 429, retry_after, .. } if attempt < ATTEMPTS => {
                let wait = retry_after.unwrap_or(RETRY_AFTER).min(RETRY_AFTER_MAX);
                course.tell(format!("{}; trying again in {} s", blocked_eviction(&error), wait.as_secs()));
                if !course.pause(wait).await {
                    return Err(not_written("g06", "kansole is being closed".into(), "approve it again"));
                }
            }
            CallError::Refused { code: 429, .. } => {
                return Err(not_written("g12", blocked_eviction(&error), "wait until more pods are healthy"));
            }
            CallError::Refused { code, message, .. } => {
                let gate = if code == 403 { "g18" } else { "g04" };
                return Err(not_written(gate, format!("the server refused it ({code}): {message}"), "see the message"));
            }
            CallError::Unknown { why } => return find_out(course, step, &why).await,
        }
    }
    Err(not_written(
        "g08",
        format!("{} attempts at {} did not succeed", ATTEMPTS, step.target),
        "approve it again later",
    ))
}

fn not_written(gate: &str, why: String, remedy: &str) -> StepError {
    StepError::NotWritten(Refusal::new(gate, why, remedy))
}

fn mismatch(m: Mismatch) -> StepError {
    match m {
        Mismatch::Changed(why) => not_written("g03", why, "wait for the next plan"),
        Mismatch::Call(e) => not_written("g03", format!("the target cannot be read: {e}"), "wait for the API server"),
    }
}

/// Kill switch, Lease, shutdown and the permit's time, right before the write.
async fn may_still_write(course: &mut Course, i: usize) -> Result<(), StepError> {
    match course.deps.kill.check(course.actor).await {
        Ok(None) => {}
        Ok(Some(warning)) => course.tell(warning),
        Err(reason) => {
            return Err(not_written("g07", reason.to_string(), "release the kill switch, then approve again"));
        }
    }
    if course.actor == Actor::Auto
        && let Err(why) = Box::pin(course.deps.fence.check(Duration::ZERO)).await
    {
        return Err(not_written("g19", why, "another kansole may act now; approve it yourself if it does not"));
    }
    if course.deps.cancel.is_cancelled() {
        return Err(not_written("g06", "kansole is being closed".into(), "approve it again"));
    }
    let first = i == 0 && course.now() >= course.item.proposal.expires;
    if first || !course.permitted() {
        return Err(not_written("g05", "the approval ran out before the write".into(), "approve the next plan"));
    }
    Ok(())
}

/// Writes down exactly what is about to be sent.
async fn intend(course: &mut Course, i: usize, live: &Value, attempt: u32) -> Result<(), StepError> {
    let proposal = course.proposal();
    let step = &proposal.plan.steps[i];
    let payload = json!({
        "step": i, "title": step.title, "attempt": attempt, "target": step.target.path(), "uid": step.bound.uid,
        "resourceVersion": live["metadata"]["resourceVersion"], "stamp": course.stamp(), "op": step.op,
        "inverse": step.inverse,
    });
    let what = format!("writing step {}: {}", i + 1, step.title);
    let state = ActionState::Applying { step: i };
    course
        .intend(Kind::Intent, state, what, payload)
        .await
        .map_err(|e| not_written("g20", e.to_string(), "free space or repair the journal, then approve again"))
}

async fn send(course: &Course, step: &Step, live: &Value) -> Result<Answer, CallError> {
    let client = &course.deps.act;
    match &step.op {
        Op::Patch { patch, subresource } => {
            let stamp = subresource.is_none().then(|| course.stamp());
            let sealed = seal(patch, live, stamp.as_deref());
            api::patch(client, &step.target, subresource.as_deref(), &sealed, false).await
        }
        Op::Evict { grace_seconds } => api::evict(client, &step.target, &step.bound.uid, *grace_seconds, false).await,
        Op::Wait { .. } => Ok(Answer { body: Value::Null, warnings: Vec::new() }),
    }
}

/// The patch as it is sent: valid only for the version just read, and leaving the action's annotation. The
/// annotation cannot go through a subresource, which ignores metadata.
pub(super) fn seal(patch: &Patch, live: &Value, stamp: Option<&str>) -> Patch {
    let mut ops = Vec::with_capacity(patch.len() + 3);
    let at = |parts: &[&str]| PointerBuf::from_tokens(parts.iter().copied());
    if let Some(version) = live["metadata"]["resourceVersion"].as_str() {
        ops.push(PatchOperation::Test(TestOperation {
            path: at(&["metadata", "resourceVersion"]),
            value: version.into(),
        }));
    }
    if let Some(stamp) = stamp {
        if !live["metadata"]["annotations"].is_object() {
            ops.push(PatchOperation::Add(AddOperation { path: at(&["metadata", "annotations"]), value: json!({}) }));
        }
        ops.push(PatchOperation::Add(AddOperation {
            path: at(&["metadata", "annotations", ACTION_ANNOTATION]),
            value: stamp.into(),
        }));
    }
    ops.extend(patch.iter().cloned());
    Patch(ops)
}

/// Whether the target's version is another than the one the write was tested against.
async fn moved(course: &Course, step: &Step, live: &Value) -> bool {
    let now = recheck::look(&course.deps.act, &step.target).await;
    !matches!(now, Ok(Some(now)) if now["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"])
}

/// No answer came: the write may have happened, may still happen, or may never. The object tells. It is asked
/// until the server answers, and a "no" is asked for twice, because a request may still be on its way.
async fn find_out(course: &mut Course, step: &Step, why: &str) -> Result<Option<Value>, StepError> {
    course.tell(format!("{why}; looking whether it was written"));
    let stamp = course.stamp();
    let deadline = tokio::time::Instant::now() + time::real(course.deps.settings.step_timeout);
    let mut noes = 0;
    let mut wait = Duration::from_secs(1);
    loop {
        match recheck::look(&course.deps.act, &step.target).await {
            Ok(live) if recheck::was_written(step, &stamp, live.as_ref()) => return Ok(live),
            Ok(_) if noes >= 1 => {
                return Err(not_written(
                    "g17",
                    format!("{why}, and the object shows that it was not written"),
                    "approve it again",
                ));
            }
            Ok(_) => noes += 1,
            Err(_) => {}
        }
        if tokio::time::Instant::now() >= deadline || !course.pause(wait).await {
            return Err(StepError::Unknown(format!("{why}, and {} cannot be read since", step.target)));
        }
        wait = (wait * 2).min(RETRY_AFTER_MAX);
    }
}
