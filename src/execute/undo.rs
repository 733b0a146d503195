//! Undoing what was written: the recorded inverse patches, last step first. Each holds `test` operations on
//! the values we wrote, so nothing of somebody else's is ever overwritten.

use super::api::{self, CallError};
use super::course::Course;
use super::recheck;
use crate::model::action::ActionState;
use crate::model::journal::Kind;
use crate::model::object::ObjectRef;
use crate::model::plan::{Inverse, Op, Step};
use json_patch::{Patch, PatchOperation, TestOperation, jsonptr::PointerBuf};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);

/// What undoes one written step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compensation {
    /// Which step.
    pub step: usize,
    /// Its one-line title.
    pub title: Arc<str>,
    /// What it wrote to.
    pub target: ObjectRef,
    /// The object it wrote to, and no namesake.
    pub uid: String,
    /// The subresource it went through, and goes back through.
    pub subresource: Option<String>,
    /// How to go back; `None` if nothing needs to be undone.
    pub patch: Option<Patch>,
    /// Set if it cannot be undone.
    pub impossible: Option<Arc<str>>,
}

impl Compensation {
    /// For step `i` of a plan.
    pub(super) fn of(i: usize, step: &Step) -> Self {
        let (patch, impossible) = match &step.inverse {
            Inverse::Patch { patch } => (Some(patch.clone()), None),
            Inverse::NotNeeded { .. } => (None, None),
            Inverse::Impossible { why } => (None, Some(why.clone())),
        };
        let subresource = match &step.op {
            Op::Patch { subresource, .. } => subresource.clone(),
            _ => None,
        };
        Self {
            subresource,
            step: i,
            title: step.title.clone(),
            target: step.target.clone(),
            uid: step.bound.uid.clone(),
            patch,
            impossible,
        }
    }
}

/// Undoes steps in reverse order. `Ok` tells how many were undone (0: there was nothing to undo); `Err` says
/// why it stopped, with what remains for a person.
pub(super) async fn undo(course: &mut Course, written: &[Compensation], why: &str) -> Result<usize, String> {
    let mut undone = 0;
    for compensation in written.iter().rev() {
        if let Some(reason) = &compensation.impossible {
            return Err(format!("step {} cannot be undone: {reason}", compensation.step + 1));
        }
        if let Some(patch) = &compensation.patch {
            undo_one(course, compensation, patch, why).await?;
            undone += 1;
        }
    }
    Ok(undone)
}

async fn undo_one(course: &mut Course, c: &Compensation, patch: &Patch, why: &str) -> Result<(), String> {
    let mut last = String::new();
    for attempt in 1..=ATTEMPTS {
        let live = match recheck::look(&course.deps.act, &c.target).await {
            Ok(live) => live,
            Err(e) => {
                last = e.to_string();
                wait(course).await?;
                continue;
            }
        };
        // What is gone, or has a new life, has nothing of ours left to undo.
        let Some(live) = live.filter(|l| l["metadata"]["uid"].as_str() == Some(&c.uid)) else {
            course.tell(format!("{} is gone: nothing to undo", c.target));
            return Ok(());
        };
        if recheck::holds(&live, patch) {
            course.tell(format!("step {} is undone", c.step + 1));
            return Ok(());
        }
        if !tests_hold(&live, patch) {
            let who = recheck::newest_manager(&live).unwrap_or_else(|| "somebody".into());
            return Err(format!("{} was changed since by {who}: kansole does not write over it", c.target));
        }
        may_write(course).await?;
        let payload = json!({"step": c.step, "target": c.target.path(), "uid": c.uid, "attempt": attempt,
            "resourceVersion": live["metadata"]["resourceVersion"], "patch": patch, "why": why});
        let what = format!("undoing step {}: {}", c.step + 1, c.title);
        let state = ActionState::Reverting { why: why.to_owned() };
        course.intend(Kind::RevertIntent, state, what, payload).await.map_err(|e| e.to_string())?;
        match api::patch(&course.deps.act, &c.target, c.subresource.as_deref(), &bound_to(&c.uid, patch), false).await {
            Ok(_) => return Ok(()),
            // Somebody moved it, the server is busy, or no answer came: the next look decides.
            Err(CallError::Refused { code: 409 | 422 | 429, message, .. }) => last = message,
            Err(CallError::Unknown { why }) => last = why,
            Err(CallError::Refused { code, message, .. }) => {
                return Err(format!("the server refused to undo step {} ({code}): {message}", c.step + 1));
            }
        }
        wait(course).await?;
    }
    Err(format!("step {} could not be undone after {ATTEMPTS} attempts: {last}", c.step + 1))
}

/// The inverse as it is sent: for this very object, whatever its status did meanwhile. Its own `test` operations hold the
/// values we wrote; the version of an object whose pods crash moves faster than anybody can answer.
fn bound_to(uid: &str, patch: &Patch) -> Patch {
    let path = PointerBuf::from_tokens(["metadata", "uid"]);
    let test = PatchOperation::Test(TestOperation { path, value: uid.into() });
    Patch(std::iter::once(test).chain(patch.iter().cloned()).collect())
}

async fn wait(course: &Course) -> Result<(), String> {
    if course.pause(PAUSE).await { Ok(()) } else { Err("kansole was closed before it was undone".into()) }
}

async fn may_write(course: &mut Course) -> Result<(), String> {
    match course.deps.kill.check(course.actor).await {
        Ok(None) => {}
        Ok(Some(warning)) => course.tell(warning),
        // The kill switch stops every write, this one too.
        Err(reason) => return Err(reason.to_string()),
    }
    if course.permitted() { Ok(()) } else { Err("the permit ran out before it was undone".into()) }
}

/// Whether the values we wrote are still there.
fn tests_hold(live: &Value, patch: &Patch) -> bool {
    patch.iter().all(|op| match op {
        PatchOperation::Test(t) => live.pointer(t.path.as_str()) == Some(&t.value),
        _ => true,
    })
}
