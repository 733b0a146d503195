//! Gates on by whose leave automation acts: the rung of the ladder, a person's confirmation, a maintenance window,
//! and the Lease that only one kansole of a cluster holds.

use super::Context;
use crate::execute::ladder::{self, Key};
use crate::execute::window;
use crate::execute::work::Work;
use crate::model::action::Refusal;
use crate::model::authority::{LeaseView, Rung};
use crate::model::plan::Op;
use crate::model::time::short;
use chrono::TimeDelta;

const PERSON: &str = "approve it yourself";

/// G6: the rung of this kind of action in this namespace. `observe` and `recommend` are what the operator set, and
/// hold for persons too; auto needs at least `canary`.
pub(super) fn g06_rung_is_high_enough(c: &Context<'_>) -> Vec<Refusal> {
    let proposal = &c.request.item.proposal;
    let key = Key::of(proposal);
    let standing = ladder::standing(&key, c.settings, c.history);
    let refuse = |remedy: &str| {
        let why = format!("{} stands on {}: {}", key.told(), standing.rung, standing.why);
        vec![Refusal::new("g06", why, remedy)]
    };
    match standing.rung {
        Rung::Observe | Rung::Recommend => refuse("do it by hand, or raise its rung in guard.rung"),
        Rung::Approve if c.auto() => refuse("approve it yourself: verified successes lead back up"),
        Rung::Canary if c.auto() => {
            let canary = ladder::canary(proposal, c.history, c.request.now);
            let told = |d: &crate::execute::history::Deed| {
                let how = if d.ending.is_some() { "did not prove effective" } else { "is not verified yet" };
                let why = format!("{} stands on canary, and {} on {} {how}", key.told(), d.id, d.subject);
                Refusal::new("g06", why, "wait for its verdict, or approve it yourself")
            };
            canary.map(told).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// G7: auto is off unless a person has recently confirmed it. A person who approves is there.
pub(super) fn g07_recently_confirmed(c: &Context<'_>) -> Vec<Refusal> {
    if !c.auto() {
        return Vec::new();
    }
    let limit = TimeDelta::from_std(c.settings.confirm_within).unwrap_or(TimeDelta::zero());
    let why = match c.request.confirmed {
        Some(at) if at <= c.request.now && c.request.now - at < limit => return Vec::new(),
        Some(at) => {
            format!("nobody has confirmed auto for {}, the limit is {}", short(c.request.now - at), short(limit))
        }
        None => "nobody has confirmed auto".to_owned(),
    };
    vec![Refusal::new("g07", why, "confirm auto, or approve it yourself")]
}

/// G13: optimisation by auto only inside a maintenance window that stays open for longer than the plan needs. Healing
/// and scaling up to demand are not bound to windows.
pub(super) fn g13_window_is_open_long_enough(c: &Context<'_>) -> Vec<Refusal> {
    if !c.auto() || Work::of(&c.request.item.proposal) != Work::Optimisation {
        return Vec::new();
    }
    let now = c.request.now;
    let windows: Vec<_> = c.settings.window.iter().filter(|w| window::concerns(w, c.namespace())).collect();
    if windows.is_empty() {
        let why = "no maintenance window is set for it, and it is no healing";
        return vec![Refusal::new("g13", why, "add a [[guard.window]], or approve it yourself")];
    }
    let needed = needed(c);
    let mut reasons = Vec::new();
    for w in windows {
        match window::open_until(w, now) {
            Ok(Some(end)) if end - now > needed => return Vec::new(),
            Ok(Some(end)) => {
                let why = format!("the window is open for {} more, the plan needs {}", short(end - now), short(needed));
                reasons.push(Refusal::new("g13", why, PERSON));
            }
            Ok(None) => {
                let next = window::next(w, now).map_or("never again".to_owned(), |t| window::local(w, t));
                reasons.push(Refusal::new("g13", format!("the window opens {next}"), PERSON));
            }
            Err(why) => reasons.push(Refusal::new("g13", why, "correct guard.window")),
        }
    }
    reasons
}

/// Until the plan is done and judged: its recovery as estimated, its waits, and the time of verification, in which it
/// may have to be undone.
fn needed(c: &Context<'_>) -> TimeDelta {
    let proposal = &c.request.item.proposal;
    let steps = proposal.plan.steps.len().max(1) as u32;
    let estimate = proposal.effect.recovery_s.or(proposal.strategy.prior().map(|(s, _)| s));
    let recovery = estimate.map_or(c.settings.step_timeout * steps, |s| std::time::Duration::from_secs(u64::from(s)));
    let waits: u64 =
        proposal.plan.steps.iter().map(|s| if let Op::Wait { seconds } = s.op { u64::from(seconds) } else { 0 }).sum();
    let whole = recovery + std::time::Duration::from_secs(waits) + c.settings.settle + c.settings.observe;
    TimeDelta::from_std(whole).unwrap_or(TimeDelta::MAX)
}

/// G19: of all kansoles of a cluster one acts by itself. It is asked again right before each write of auto.
pub(super) fn g19_lease_is_held(c: &Context<'_>) -> Vec<Refusal> {
    if !c.auto() || c.request.lease.is_mine() {
        return Vec::new();
    }
    let (why, remedy) = match c.request.lease {
        LeaseView::Other { holder } => {
            (format!("auto runs in another kansole, {holder}"), "pause auto there, or approve it yourself")
        }
        LeaseView::Failed { why } => (why.to_string(), "approve it yourself"),
        _ => ("the Lease is not held yet".to_owned(), "wait a moment"),
    };
    vec![Refusal::new("g19", why, remedy)]
}
