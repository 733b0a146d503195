//! The guard (E2): the only place where a permit is made.
//!
//! [`Guard::review`] says every reason against an action, so that the queue can show why it waits.
//! [`Guard::permit`] makes a [`Permit`] when there is none left. A permit cannot be built, copied or stored
//! by anybody else:
//!
//! ```compile_fail,E0451
//! // Its fields are private: nobody else can make one.
//! let permit = kansole::execute::Permit { item: todo!(), purpose: todo!(), budgets: todo!(), valid_until: todo!() };
//! ```
//! ```compile_fail,E0599
//! // It cannot be copied: one approval is one run.
//! fn twice(permit: kansole::execute::Permit) {
//!     let _again = permit.clone();
//! }
//! ```
//! ```compile_fail,E0277
//! // It cannot be written down and used later.
//! fn keep(permit: &kansole::execute::Permit) -> String {
//!     serde_json::to_string(permit).unwrap()
//! }
//! ```

use super::gates;
use super::history::GuardHistory;
use super::surroundings::Surroundings;
use crate::config::settings;
use crate::model::action::{ActionState, Approval, Moment, QueueItem, Refusal};
use crate::model::authority::{LeaseView, Standing};
use crate::model::finding::Finding;
use crate::model::mode::Mode;
use crate::model::plan::{ActionId, Inverse, Plan, Right};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The approver's name when auto mode approves.
pub const AUTO: &str = "auto";

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person, who has seen the plan.
    Person,
    /// Auto mode.
    Auto,
}

/// Everything the guard decides on, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The item that should run.
    pub item: &'a QueueItem,
    /// Who asks.
    pub actor: Actor,
    /// Mode of the loop.
    pub mode: Mode,
    /// Auto is paused.
    pub paused: bool,
    /// Why no write may happen at all, if so.
    pub read_only: Option<&'a str>,
    /// The kill switch that is on, if one is.
    pub killed: Option<&'a str>,
    /// When a person last confirmed auto.
    pub confirmed: Option<Timestamp>,
    /// Who holds the Lease.
    pub lease: &'a LeaseView,
    /// What is.
    pub snapshot: &'a Snapshot,
    /// What it means.
    pub findings: &'a [Arc<Finding>],
    /// Owners and budgets from the live objects; `None` if they were not looked at, which refuses.
    pub surroundings: Option<&'a Surroundings>,
    /// What the user may do, as the server answered.
    pub rights: &'a BTreeMap<Right, bool>,
    /// Every item of the queue; those in flight block their targets.
    pub queue: &'a [Arc<QueueItem>],
    /// Raises of one container's memory before a person must look (`plan.memory_raises`).
    pub memory_raises: u32,
    /// Now.
    pub now: Timestamp,
}

/// What a permit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Apply, verify, undo if needed.
    Run,
    /// Undo what was applied.
    Revert,
    /// Finish what was in flight when kansole stopped.
    Resume,
}

/// The guard's leave for one plan. Holds the plan by value and is used up by running it.
#[derive(Debug)]
#[must_use = "a permit that is dropped permits nothing, but it has used up a slot"]
pub struct Permit {
    item: QueueItem,
    purpose: Purpose,
    /// Disruption budgets over the target's pods, as the guard saw them.
    budgets: Vec<Arc<str>>,
    valid_until: Timestamp,
}

impl Permit {
    /// Which action it is for.
    pub fn action(&self) -> &ActionId {
        &self.item.proposal.id
    }

    /// The plan that may run, and no other.
    pub fn plan(&self) -> &Plan {
        &self.item.proposal.plan
    }

    /// After this it permits nothing more.
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// `user@host` or `auto`.
    pub fn approver(&self) -> &str {
        self.item.approval.as_ref().map_or("", |a| &a.by)
    }

    pub(super) fn actor(&self) -> Actor {
        if self.approver() == AUTO { Actor::Auto } else { Actor::Person }
    }

    pub(super) fn budgets(&self) -> &[Arc<str>] {
        &self.budgets
    }

    pub(super) fn item(&self) -> &QueueItem {
        &self.item
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }
}

/// Decides what may run. Keeps what it permitted, for rate limits, cooldowns and streaks.
#[derive(Debug)]
pub struct Guard {
    settings: settings::Guard,
    history: GuardHistory,
}

impl Guard {
    /// A guard with its memory restored from the journal.
    pub fn new(settings: settings::Guard, history: GuardHistory) -> Self {
        Self { settings, history }
    }

    /// Where every kind of action that was taken stands on the autonomy ladder.
    pub fn ladder(&self) -> Vec<Standing> {
        super::ladder::all(&self.settings, &self.history)
    }

    /// Takes changed settings; the memory stays.
    pub fn set_settings(&mut self, settings: settings::Guard) {
        self.settings = settings;
    }

    /// Every reason why the item may not run now; empty means it may. Changes nothing.
    pub fn review(&self, request: &Request<'_>) -> Vec<Refusal> {
        gates::all(&gates::Context { request, settings: &self.settings, history: &self.history })
    }

    /// Turns an approval into a permit and reserves its slot, or says every reason against it.
    pub fn permit(&mut self, request: &Request<'_>, approval: Approval) -> Result<Permit, Vec<Refusal>> {
        let mut reasons = gates::approval(request, &approval);
        if self.history.used(&request.item.proposal.id, approval.at) {
            reasons.push(Refusal::new("g02", "this approval has been used", "approve it again"));
        }
        reasons.extend(self.review(request));
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let mut item = request.item.clone();
        item.state = ActionState::Approved { by: approval.by.clone(), at: approval.at };
        item.approval = Some(approval);
        item.blocked = Vec::new();
        self.history.add(&item);
        let valid_until = self.validity(&item, request.now);
        let budgets = request.surroundings.iter().flat_map(|s| s.budgets.iter().map(|b| b.name.clone())).collect();
        Ok(Permit { item, purpose: Purpose::Run, budgets, valid_until })
    }

    /// Leave to undo an action that was applied, for the operator. Rate limits and cooldowns do not apply:
    /// going back is always better than waiting.
    pub fn permit_revert(&mut self, request: &Request<'_>, by: &str) -> Result<Permit, Vec<Refusal>> {
        let context = gates::Context { request, settings: &self.settings, history: &self.history };
        let mut reasons = gates::to_write_at_all(&context);
        let item = request.item;
        // Verifying: its run has been stopped, and what it wrote stands.
        let applied = matches!(
            item.state,
            ActionState::Done { .. } | ActionState::HandedOver { .. } | ActionState::Verifying { .. }
        );
        if !applied || item.approval.is_none() {
            reasons.push(Refusal::new(
                "g14",
                format!("the action is {}", item.state.word()),
                "only an action that was applied can be undone",
            ));
        }
        if !item.proposal.plan.steps.iter().any(|s| matches!(s.inverse, Inverse::Patch { .. })) {
            reasons.push(Refusal::new(
                "g14",
                "none of its steps has an undo",
                "see the plan's notes for what to do by hand",
            ));
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let mut item = item.clone();
        let what = format!("undo asked for by {by}");
        item.story.push(Moment { at: request.now, what });
        let valid_until = self.validity(&item, request.now);
        Ok(Permit { item, purpose: Purpose::Revert, budgets: Vec::new(), valid_until })
    }

    /// Leave to finish an action that was in flight when kansole stopped: to verify it, and to undo it if it
    /// must be. It never applies anything again. Without it, hand the action over with the reasons.
    pub fn permit_resume(&mut self, request: &Request<'_>) -> Result<Permit, Vec<Refusal>> {
        let context = gates::Context { request, settings: &self.settings, history: &self.history };
        let mut reasons = gates::to_resume(&context);
        let approved = request.item.approval.as_ref().is_some_and(|a| a.hash == request.item.proposal.plan.hash());
        if !request.item.state.in_flight() || !approved {
            reasons.push(Refusal::new(
                "g02",
                "the stored plan is not the one that was approved",
                "look at the object and the journal by hand",
            ));
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let valid_until = self.validity(request.item, request.now);
        // Which budgets count was written down before the write.
        Ok(Permit { item: request.item.clone(), purpose: Purpose::Resume, budgets: Vec::new(), valid_until })
    }

    /// Notes how an action ended. Call it with the item that a run gives back.
    pub fn conclude(&mut self, item: &QueueItem) {
        self.history.conclude(item);
    }

    /// Long enough for every step to complete and be judged; each write checks it again.
    fn validity(&self, item: &QueueItem, now: Timestamp) -> Timestamp {
        let steps = item.proposal.plan.steps.len().max(1) as u32;
        now + self.settings.step_timeout * (steps + 1) + self.settings.settle + self.settings.observe
    }
}

#[cfg(test)]
mod tests;
