//! After a crash: what was in flight is looked at in the cluster, and then finished, undone or handed over.
//! Nothing is ever applied again.

use super::course::Course;
use super::guard::{Permit, Purpose};
use super::health::Baseline;
use super::recheck;
use super::run::{Deps, Written, compensations, end, finish, hand_over, revert_all};
use super::touches::Touches;
use super::undo::Compensation;
use super::verify::Mark;
use crate::model::action::{ActionState, QueueItem};
use crate::model::journal::Kind;
use crate::model::plan::Op;
use serde_json::json;

/// Takes up an action that the journal says was in flight, and gives it back ended (or still in flight, if
/// kansole is closed again meanwhile).
///
/// - Approved or in its dry-run: nothing was written; it ends, and is planned again if it is still needed.
/// - Being written: the annotation and the values on each target tell which steps were. All of them: it is
///   verified. Some: they are undone. None: it ends as failed.
/// - Being verified: goes on to the end that was set then.
/// - Being undone: goes on undoing; what is undone already is seen and not repeated.
pub async fn resume(permit: Permit, deps: Deps) -> QueueItem {
    let purpose = permit.purpose();
    let mut course = Course::begin(permit, deps);
    if purpose != Purpose::Resume {
        return course.item;
    }
    let state = course.item.state.clone();
    let what = format!("kansole had stopped while it was {}", state.word());
    course.enter(Kind::Recovered, state.clone(), what, json!({"found": state})).await;
    match state {
        ActionState::Approved { .. } | ActionState::DryRun => {
            let why = "kansole stopped before anything was written".to_owned();
            end(course, Kind::Superseded, ActionState::Superseded { why }).await
        }
        ActionState::Applying { .. } => applying(course).await,
        ActionState::Verifying { since, settle, until, .. } => match found(&mut course).await {
            Err(why) => hand_over(course, why).await,
            Ok(steps) if steps.iter().all(|s| s.there) => {
                let (base, done) = taken_up(&course, steps, since);
                finish(course, base, done, Some((settle, until))).await
            }
            // Our values are gone: somebody else decided meanwhile.
            Ok(_) => {
                hand_over(course, "its values are not there any more: somebody changed them meanwhile".into()).await
            }
        },
        ActionState::Reverting { why } => {
            let verdict = course.item.outcome.as_ref().map(|o| o.verdict);
            let written = compensations(&course);
            revert_all(course, &written, verdict, why).await
        }
        _ => course.item,
    }
}

/// A writing step as it is found in the cluster.
struct Found {
    undo: Compensation,
    there: bool,
    mark: Option<Mark>,
    generation: i64,
}

async fn applying(mut course: Course) -> QueueItem {
    let steps = match found(&mut course).await {
        Ok(steps) => steps,
        Err(why) => return hand_over(course, why).await,
    };
    let there = steps.iter().filter(|s| s.there).count();
    if there == 0 {
        let why = "kansole stopped before the write; nothing was changed".to_owned();
        return end(course, Kind::Failed, ActionState::Failed { why }).await;
    }
    if there == steps.len() {
        let since = course.item.story.last().map_or_else(|| course.now(), |m| m.at);
        let (base, done) = taken_up(&course, steps, since);
        return finish(course, base, done, None).await;
    }
    // Half a plan is not what was approved, and the approval was for one run.
    let why = format!("kansole stopped after {there} of {} steps", steps.len());
    let written: Vec<_> = steps.into_iter().filter(|s| s.there).map(|s| s.undo).collect();
    revert_all(course, &written, None, why).await
}

/// Looks at every target. `Err` if one cannot be read.
async fn found(course: &mut Course) -> Result<Vec<Found>, String> {
    let proposal = course.proposal();
    let stamp = course.stamp();
    let with_replicas = Touches::of(&proposal.plan).replicas;
    let mut all = Vec::new();
    for (i, step) in proposal.plan.steps.iter().enumerate().filter(|(_, s)| s.writes()) {
        let live = recheck::look(&course.deps.act, &step.target)
            .await
            .map_err(|e| format!("{} cannot be read after the restart: {e}", step.target))?;
        let mark = match (&step.op, &live) {
            (Op::Patch { .. }, Some(object)) => Mark::of(&step.target, object, with_replicas),
            _ => None,
        };
        all.push(Found {
            undo: Compensation::of(i, step),
            there: recheck::was_written(step, &stamp, live.as_ref()),
            mark,
            generation: live.as_ref().and_then(|l| l["metadata"]["generation"].as_i64()).unwrap_or(0),
        });
    }
    Ok(all)
}

/// What verification goes on with. Restarts per pod from before the write are not known any more, so only
/// what is absolute is judged beside the health that was kept with the item.
fn taken_up(course: &Course, steps: Vec<Found>, since: crate::model::time::Timestamp) -> (Baseline, Written) {
    let before = course.item.outcome.as_ref().map(|o| o.before.clone()).unwrap_or_default();
    let (snapshot, _) = super::verify::look(course);
    let mut base = Baseline::take(&course.item.proposal, &snapshot, before);
    base.written = Some(since);
    base.generation = steps.iter().map(|s| s.generation).max().unwrap_or(0);
    let mut done = Written::default();
    for step in steps {
        done.marks.retain(|m| step.mark.as_ref().is_none_or(|new| new.target != m.target));
        done.marks.extend(step.mark);
        done.undo.push(step.undo);
    }
    (base, done)
}
