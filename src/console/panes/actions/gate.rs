//! Why an action may not be approved, rejected or reverted from here. The loop's guard asks again.

use super::rows::Shown;
use crate::autopilot::world::{Link, World};
use crate::model::action::ActionState;
use crate::model::mode::Mode;
use crate::model::plan::Inverse;
use crate::model::time::{Timestamp, age};

/// What stops every write, if anything does.
fn stopped(world: &World) -> Option<String> {
    let b = &world.brakes;
    if let Link::Replay { .. } = world.link {
        return Some("this is a replay: nothing can be done in the past".into());
    }
    if let Some(by) = &b.killed {
        return Some(format!("the kill switch is on ({by})"));
    }
    if let Some(why) = &b.read_only {
        return Some(format!("read-only: {why}"));
    }
    (world.mode == Mode::Observe).then(|| "observe mode changes nothing; choose manual mode first".into())
}

/// Why the plan that was seen cannot be approved now.
pub fn approve(shown: &Shown, world: &World, now: Timestamp, focused: bool) -> Option<String> {
    let first = shown.item.blocked.first().map(|refusal| format!("blocked: {refusal}"));
    standing(shown, world, now, focused).or(first)
}

/// Why the plan that was seen cannot be approved to be carried out when there is room for it.
pub fn approve_in_line(shown: &Shown, world: &World, now: Timestamp, focused: bool) -> Option<String> {
    let holds = shown.item.blocked.iter().find(|refusal| !refusal.is_of_room());
    standing(shown, world, now, focused).or_else(|| holds.map(|refusal| format!("blocked: {refusal}")))
}

/// What stands against an approval, whatever the guard says of the moment.
fn standing(shown: &Shown, world: &World, now: Timestamp, focused: bool) -> Option<String> {
    let item = &shown.item;
    if !focused {
        return Some("the queue has no focus".into());
    }
    if shown.gone {
        return Some("it has left the queue".into());
    }
    if !item.pending() {
        return Some(format!("it does not wait for a decision: it is {}", item.state.word()));
    }
    if item.proposal.plan.steps.is_empty() {
        return Some("this is advice: it has no steps that kansole could run".into());
    }
    if shown.changed() {
        return Some("the plan changed since you saw it: press Enter to see the new plan".into());
    }
    if let Some(why) = stopped(world) {
        return Some(why);
    }
    if now >= item.proposal.expires {
        return Some(format!(
            "it expired {} ago; a new proposal follows if the trouble lasts",
            age(now, item.proposal.expires)
        ));
    }
    None
}

/// Why no other value can be set in its plan now.
pub fn adjust(shown: &Shown, world: &World, now: Timestamp, focused: bool) -> Option<String> {
    if shown.item.pending() && shown.item.proposal.adjustable().is_none() {
        return Some("there is nothing to set in this plan: take it or leave it".into());
    }
    standing(shown, world, now, focused)
}

/// Why it cannot be rejected now.
pub fn reject(shown: &Shown, world: &World) -> Option<String> {
    if shown.gone {
        return Some("it has left the queue".into());
    }
    if !shown.item.pending() {
        return Some(format!("it does not wait for a decision: it is {}", shown.item.state.word()));
    }
    if let Link::Replay { .. } = world.link {
        return stopped(world);
    }
    world.brakes.read_only.as_ref().map(|why| format!("read-only: {why}"))
}

/// Why it cannot be reverted now.
pub fn revert(shown: &Shown, world: &World, focused: bool) -> Option<String> {
    let item = &shown.item;
    if !focused {
        return Some("the queue has no focus".into());
    }
    if shown.gone {
        return Some("it has left the queue".into());
    }
    match &item.state {
        ActionState::Verifying { .. } | ActionState::Done { .. } | ActionState::HandedOver { .. } => {}
        ActionState::Reverted { .. } => return Some("it is reverted already".into()),
        other => return Some(format!("nothing of it is applied: it is {}", other.word())),
    }
    let plan = &item.proposal.plan;
    if let Some(why) = plan.steps.iter().find_map(|s| match &s.inverse {
        Inverse::Impossible { why } => Some(why),
        _ => None,
    }) {
        return Some(format!("it cannot be undone: {why}"));
    }
    if !plan.steps.iter().any(|s| matches!(s.inverse, Inverse::Patch { .. })) {
        return Some("there is nothing to undo: it left the desired state as it was".into());
    }
    stopped(world)
}
