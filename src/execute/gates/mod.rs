//! The gates: one small function per guardrail, named by its row in the threat model. Each gives its reasons
//! or nothing; none knows another. Where a gate holds only for auto, its comment says why a person may pass.

mod authority;
mod limits;
mod owners;
mod scope;
mod telemetry;

pub(super) use telemetry::rests_on_metrics;

use super::guard::{Actor, Request};
use super::history::{GuardHistory, namespace_of};
use super::touches::Touches;
use crate::config::settings;
use crate::model::action::{ActionState, Approval, Refusal};
use crate::model::mode::Mode;
use crate::model::plan::Step;

/// What gates decide on.
pub(super) struct Context<'a> {
    pub request: &'a Request<'a>,
    pub settings: &'a settings::Guard,
    pub history: &'a GuardHistory,
}

impl Context<'_> {
    fn auto(&self) -> bool {
        self.request.actor == Actor::Auto
    }

    fn touches(&self) -> Touches {
        Touches::of(&self.request.item.proposal.plan)
    }

    fn namespace(&self) -> Option<&str> {
        namespace_of(&self.request.item.proposal.subject)
    }
}

type Gate = fn(&Context<'_>) -> Vec<Refusal>;

/// Every gate, in the order of the threat model.
const GATES: [Gate; 23] = [
    telemetry::g01_telemetry_is_fresh,
    telemetry::g01_shrinking_needs_proof,
    g02_plan_is_whole,
    telemetry::g03_trigger_still_holds,
    g05_not_expired,
    g06_mode_allows_it,
    authority::g06_rung_is_high_enough,
    g07_kill_switch_is_off,
    authority::g07_recently_confirmed,
    limits::g08_rate_limits,
    limits::g09_cooldown_and_streak,
    limits::g10_one_actor_per_target,
    scope::g11_not_systemic,
    scope::g12_budgets_allow_it,
    scope::g12_single_replicas_need_a_person,
    authority::g13_window_is_open_long_enough,
    scope::g14_auto_needs_an_undo,
    owners::g15_autoscalers_keep_their_own,
    owners::g16_declared_elsewhere,
    g18_rights_are_there,
    authority::g19_lease_is_held,
    scope::g21_opted_in_and_not_protected,
    telemetry::g22_own_dependencies_are_healthy,
];

/// Every reason against running the item.
pub(super) fn all(context: &Context<'_>) -> Vec<Refusal> {
    let gates = GATES.iter();
    #[cfg(test)]
    let gates = gates.enumerate().filter(|(i, _)| !removed::is(*i)).map(|(_, gate)| gate);
    gates.flat_map(|gate| gate(context)).collect()
}

/// Reasons against writing anything at all: mode, kill switch, rights, one actor per target.
pub(super) fn to_write_at_all(context: &Context<'_>) -> Vec<Refusal> {
    let gates: [Gate; 4] =
        [g06_mode_allows_it, g07_kill_switch_is_off, limits::g10_one_actor_per_target, g18_rights_are_there];
    gates.iter().flat_map(|gate| gate(context)).collect()
}

/// Reasons against finishing what was in flight. A paused auto or a lower mode is none: what was begun is
/// brought to an end.
pub(super) fn to_resume(context: &Context<'_>) -> Vec<Refusal> {
    let mut reasons = g07_kill_switch_is_off(context);
    if let Some(why) = context.request.read_only {
        reasons.push(Refusal::new("g06", why, "start without --read-only, or close the other kansole"));
    }
    reasons.extend(other_cluster(context));
    reasons
}

/// The approval names exactly this plan, by somebody who may speak for the actor.
pub(super) fn approval(request: &Request<'_>, approval: &Approval) -> Vec<Refusal> {
    let mut reasons = Vec::new();
    if approval.hash != request.item.proposal.hash || approval.hash != request.item.proposal.plan.hash() {
        let why = "the plan is not the one that was approved".to_owned();
        reasons.push(Refusal::new("g02", why, "read the new plan and approve it again"));
    }
    if (approval.by == super::guard::AUTO) != (request.actor == Actor::Auto) || approval.by.is_empty() {
        reasons.push(Refusal::new("g02", "the approval does not say who gave it", "approve again"));
    }
    if approval.at > request.now || approval.at < request.item.proposal.created {
        reasons.push(Refusal::new(
            "g05",
            "the approval is not from the life of the plan",
            "check the clock, approve again",
        ));
    }
    // Either fresh from the queue, or approved there by this very approval and waiting for its turn.
    let waiting =
        matches!(request.item.state, ActionState::Approved { .. }) && request.item.approval.as_ref() == Some(approval);
    if !request.item.pending() && !waiting {
        let why = format!("the action is {} already", request.item.state.word());
        reasons.push(Refusal::new("g02", why, "approve the next proposal"));
    }
    reasons
}

fn other_cluster(c: &Context<'_>) -> Option<Refusal> {
    let (planned, here) = (&c.request.item.proposal.plan.cluster, &c.request.snapshot.cluster.id);
    (planned != here).then(|| {
        Refusal::new("g02", format!("it was planned for cluster {planned}, this is {here}"), "switch to its context")
    })
}

/// G2: the plan writes something, is the one its hash names, and is for this cluster.
fn g02_plan_is_whole(c: &Context<'_>) -> Vec<Refusal> {
    let proposal = &c.request.item.proposal;
    let mut reasons = Vec::new();
    if proposal.plan.steps.is_empty() {
        reasons.push(Refusal::new("g02", "it is advice: there is nothing to run", "do what it says by hand"));
    }
    if proposal.plan.hash() != proposal.hash {
        reasons.push(Refusal::new("g02", "the plan does not match its hash", "wait for the next plan"));
    }
    reasons.extend(other_cluster(c));
    reasons
}

/// G5: approvals end.
fn g05_not_expired(c: &Context<'_>) -> Vec<Refusal> {
    let expires = c.request.item.proposal.expires;
    if c.request.now < expires {
        return Vec::new();
    }
    vec![Refusal::new("g05", format!("it expired at {}", expires.format("%H:%M:%S UTC")), "wait for the next plan")]
}

/// G6: the mode allows it; auto starts paused.
fn g06_mode_allows_it(c: &Context<'_>) -> Vec<Refusal> {
    let mut reasons = Vec::new();
    if let Some(why) = c.request.read_only {
        reasons.push(Refusal::new("g06", why, "start without --read-only, or close the other kansole"));
    }
    match (c.request.mode, c.request.actor) {
        (Mode::Observe, _) => {
            reasons.push(Refusal::new("g06", "mode observe changes nothing", "switch to manual"));
        }
        (Mode::Manual | Mode::Step, Actor::Auto) => {
            reasons.push(Refusal::new("g06", format!("mode {} needs a person", c.request.mode), "approve it yourself"));
        }
        (Mode::Auto, Actor::Auto) if c.request.paused => {
            reasons.push(Refusal::new("g06", "auto is paused", "resume auto, or approve it yourself"));
        }
        _ => {}
    }
    reasons
}

/// G7: the kill switch. It is asked again right before each write.
fn g07_kill_switch_is_off(c: &Context<'_>) -> Vec<Refusal> {
    let reason = c.request.killed.map(|why| Refusal::new("g07", why, "release the kill switch"));
    reason.into_iter().collect()
}

/// G18: the server said that the user may do every step. What was not asked is not there.
fn g18_rights_are_there(c: &Context<'_>) -> Vec<Refusal> {
    let mut missing: Vec<_> = c.request.item.proposal.plan.steps.iter().filter_map(Step::right).collect();
    missing.sort();
    missing.dedup();
    missing
        .into_iter()
        .filter_map(|right| match c.request.rights.get(&right) {
            Some(true) => None,
            Some(false) => Some(Refusal::new("g18", format!("you may not {right}"), "ask for a role with this right")),
            None => Some(Refusal::new(
                "g18",
                format!("not known yet: may you {right}?"),
                "it is being asked; wait a moment",
            )),
        })
        .collect()
}

#[cfg(test)]
mod removed;
