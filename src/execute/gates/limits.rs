//! Gates on how much and how often. Every limit is a plain number: none can be unset.

use super::Context;
use crate::execute::history::{nodes_of, raised_container};
use crate::execute::touches::{self, Touches};
use crate::model::action::{ActionState, QueueItem, Refusal};
use crate::model::plan::Proposal;
use crate::model::time::{Timestamp, short};
use chrono::TimeDelta;

const BY_HAND: &str = "wait, or approve it yourself";

/// G8: actions under way at once, and in any hour. Concurrency holds for everybody. The hourly limits count
/// everything and stop only auto: in an emergency a person must not be stopped by what auto used up.
///
/// An action that is only looked at gives its place up, so that a second fault need not wait for the first one's verdict;
/// what [`still_acts`] says when. Its target stays its own until then (G10).
pub(super) fn g08_rate_limits(c: &Context<'_>) -> Vec<Refusal> {
    let s = c.settings;
    let mut reasons = Vec::new();
    let own = &c.request.item.proposal.id;
    let others = c.request.queue.iter().filter(|i| i.proposal.id != *own);
    let under_way = others.filter(|i| still_acts(i, &c.request.item.proposal, c.request.now)).count();
    if under_way >= s.concurrent as usize {
        reasons.push(Refusal::new(
            "g08",
            format!("{under_way} under way, the limit is {}", s.concurrent),
            "wait until it has ended",
        ));
    }
    // A limit that is kept per namespace needs one: what cannot be counted is refused.
    let plan = &c.request.item.proposal.plan;
    if plan.steps.iter().any(|step| step.target.resource.namespaced && step.target.namespace.is_none()) {
        reasons.push(Refusal::new("g08", "a step does not say its namespace", "wait for the next plan"));
    }
    if !c.auto() {
        return reasons;
    }
    let all = c.history.in_hour(c.request.now, None);
    if all >= s.per_hour as usize {
        reasons.push(Refusal::new(
            "g08",
            format!("{all} actions in the last hour, the limit is {}", s.per_hour),
            BY_HAND,
        ));
    }
    if let Some(ns) = c.namespace() {
        let here = c.history.in_hour(c.request.now, Some(ns));
        if here >= s.per_hour_namespace as usize {
            let why = format!("{here} actions in {ns} in the last hour, the limit is {}", s.per_hour_namespace);
            reasons.push(Refusal::new("g08", why, BY_HAND));
        }
    }
    let strategy = c.request.item.proposal.strategy;
    let alike = c.history.in_hour_of_kind(c.request.now, strategy);
    if alike >= s.per_hour_kind as usize {
        let why = format!("{alike} times {} in the last hour, the limit is {}", strategy.as_str(), s.per_hour_kind);
        reasons.push(Refusal::new("g08", why, BY_HAND));
    }
    for node in nodes_of(&c.request.item.proposal) {
        let there = c.history.in_hour_on_node(c.request.now, &node);
        if there >= s.per_hour_node as usize {
            let why = format!("{there} actions on node {node} in the last hour, the limit is {}", s.per_hour_node);
            reasons.push(Refusal::new("g08", why, BY_HAND));
        }
    }
    reasons
}

/// Whether an action under way still takes one of the places at the side of `next`. It does until what it wrote is complete;
/// until it has settled, if it took anything down; and until its verdict, if both reach the same node.
fn still_acts(item: &QueueItem, next: &Proposal, now: Timestamp) -> bool {
    let ActionState::Verifying { settle, complete, .. } = &item.state else { return item.state.in_flight() };
    let settling = now < *settle && Touches::of(&item.proposal.plan).disrupts();
    let (theirs, ours) = (nodes_of(&item.proposal), nodes_of(next));
    !complete || settling || theirs.iter().any(|node| ours.contains(node))
}

/// G9: a pause between two actions on one subject, an end after some that did not help, and an end to
/// raising memory. These stop auto so that a person looks; the person who looks is not stopped.
pub(super) fn g09_cooldown_and_streak(c: &Context<'_>) -> Vec<Refusal> {
    if !c.auto() {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    let subject = &c.request.item.proposal.subject;
    let cooldown = TimeDelta::from_std(c.settings.cooldown).unwrap_or(TimeDelta::MAX);
    if let Some(last) = c.history.last(subject) {
        let since = c.request.now - last;
        if since < cooldown {
            let why = format!("{subject} was acted on {} ago, the pause is {}", short(since), short(cooldown));
            reasons.push(Refusal::new("g09", why, BY_HAND));
        }
    }
    let streak = c.history.streak(subject);
    if streak >= c.settings.ineffective_streak as usize {
        let why = format!("{streak} actions in a row on {subject} did not help");
        reasons.push(Refusal::new("g09", why, "a person must look at it"));
    }
    if let Some(container) = raised_container(c.request.item) {
        let raises = c.history.raises(subject, &container);
        if raises >= c.request.memory_raises as usize {
            let why = format!("memory of {container} was raised {raises} times already");
            reasons.push(Refusal::new("g09", why, "a person must look: more memory does not cure it"));
        }
    }
    reasons
}

/// G10: one actor per target, for everybody.
pub(super) fn g10_one_actor_per_target(c: &Context<'_>) -> Vec<Refusal> {
    let own = &c.request.item.proposal;
    let targets = touches::targets(&own.plan);
    let other = c.request.queue.iter().find(|other| {
        other.state.in_flight()
            && other.proposal.id != own.id
            && (other.proposal.subject == own.subject
                || touches::targets(&other.proposal.plan).iter().any(|t| targets.contains(t)))
    });
    other
        .map(|o| {
            Refusal::new("g10", format!("blocked by {} on the same target", o.proposal.id), "wait until it has ended")
        })
        .into_iter()
        .collect()
}
