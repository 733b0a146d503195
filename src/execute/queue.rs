//! The queue of proposals (E1): a pure state machine. It supersedes instead of piling up, keeps what somebody
//! may be reading stable, and allows only the transitions below. It does no I/O and knows no clock.

use crate::model::action::{ActionState, Approval, Moment, Preview, QueueItem, Refusal};
use crate::model::finding::Subject;
use crate::model::plan::{ActionId, Proposal};
use crate::model::time::Timestamp;
use std::sync::Arc;

/// Most proposals that wait at once; beyond it new ones are not taken, rather than old ones dropped.
const PENDING: usize = 200;

/// What became of an offered proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// It is in the queue.
    Added,
    /// The same change waits already; that item stays as it is, and may still be approved.
    Kept(ActionId),
    /// It took the place of an older plan for the same finding.
    Replaced(ActionId),
    /// An action on the same subject is under way.
    Busy(ActionId),
    /// The same change was rejected, refused by the server or handed over, and nothing is new since.
    Declined(ActionId),
    /// Too many wait already.
    Full,
}

/// Why the queue did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum QueueError {
    #[error("there is no action {0}: it may have been replaced; look at the queue")]
    Unknown(ActionId),
    #[error("the plan of {id} is not the one that was shown: read it again")]
    OtherHash { id: ActionId },
    #[error("{id} has expired: wait for the next plan")]
    Expired { id: ActionId },
    #[error("{id} is {from} and cannot become {to}")]
    Transition { id: ActionId, from: &'static str, to: &'static str },
    #[error("{id} waits for {by}, which acts on the same subject")]
    Busy { id: ActionId, by: ActionId },
    #[error("{id} is advice: there is nothing to approve")]
    Advice { id: ActionId },
}

/// All items, oldest first: waiting, under way, and the last that ended.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    items: Vec<Arc<QueueItem>>,
    keep: usize,
}

impl Queue {
    /// An empty queue that keeps the last `keep` ended items.
    pub fn new(keep: usize) -> Self {
        Self { items: Vec::new(), keep }
    }

    /// Takes over stored items, oldest first. Proposals from before a restart are not taken: they are planned
    /// again from what is now.
    pub fn restore(&mut self, items: impl IntoIterator<Item = QueueItem>) {
        for item in items {
            if !item.pending() && self.get(&item.proposal.id).is_none() {
                self.items.push(Arc::new(item));
            }
        }
        self.trim();
    }

    /// All items, oldest first. Cheap: items are shared.
    pub fn items(&self) -> Arc<[Arc<QueueItem>]> {
        self.items.clone().into()
    }

    /// An item by id.
    pub fn get(&self, id: &str) -> Option<&Arc<QueueItem>> {
        self.items.iter().find(|i| &*i.proposal.id == id)
    }

    /// Offers a proposal of the planner.
    pub fn offer(&mut self, proposal: Arc<Proposal>, now: Timestamp) -> Offer {
        if let Some(busy) = self.in_flight_on(&proposal.subject) {
            return Offer::Busy(busy.proposal.id.clone());
        }
        if let Some(declined) = self.items.iter().rev().find(|i| declines(i, &proposal)) {
            return Offer::Declined(declined.proposal.id.clone());
        }
        if let Some(same) = self.items.iter().find(|i| i.pending() && same_change(&i.proposal, &proposal)) {
            return Offer::Kept(same.proposal.id.clone());
        }
        let old = self.items.iter().position(|i| {
            i.pending() && i.proposal.finding == proposal.finding && i.proposal.subject == proposal.subject
        });
        if old.is_none() && self.items.iter().filter(|i| i.pending()).count() >= PENDING {
            return Offer::Full;
        }
        let replaced = old.map(|at| {
            let id = self.items[at].proposal.id.clone();
            let why = format!("replaced by {}", proposal.id);
            self.change(at, ActionState::Superseded { why }, now);
            id
        });
        // An ended item of the same id is the same plan once more: the new life takes its name.
        self.items.retain(|i| i.proposal.id != proposal.id);
        self.items.push(Arc::new(fresh(proposal, now)));
        self.trim();
        replaced.map_or(Offer::Added, Offer::Replaced)
    }

    /// Approves exactly the plan that was shown. The item then waits for its permit.
    pub fn approve(&mut self, id: &str, hash: &str, by: &str, now: Timestamp) -> Result<Arc<QueueItem>, QueueError> {
        let at = self.find(id)?;
        let item = self.items[at].clone();
        let id = || item.proposal.id.clone();
        let state = ActionState::Approved { by: by.to_owned(), at: now };
        legal(&item, &state)?;
        if item.proposal.plan.steps.is_empty() {
            return Err(QueueError::Advice { id: id() });
        }
        if hash != item.proposal.hash || hash != item.proposal.plan.hash() {
            return Err(QueueError::OtherHash { id: id() });
        }
        if now >= item.proposal.expires {
            return Err(QueueError::Expired { id: id() });
        }
        if let Some(busy) = self.in_flight_on(&item.proposal.subject) {
            return Err(QueueError::Busy { id: id(), by: busy.proposal.id.clone() });
        }
        let approval = Approval { by: by.to_owned(), at: now, hash: hash.to_owned() };
        self.edit(at, |i| i.approval = Some(approval));
        self.change(at, state, now);
        Ok(self.items[at].clone())
    }

    /// Takes an approval back that got no permit: the item waits again, with the reasons.
    pub fn unapprove(&mut self, id: &str, blocked: Vec<Refusal>, now: Timestamp) -> Result<(), QueueError> {
        let at = self.find(id)?;
        if !matches!(self.items[at].state, ActionState::Approved { .. }) {
            return Err(transition(&self.items[at], &ActionState::Proposed));
        }
        self.edit(at, |i| {
            i.approval = None;
            i.blocked = blocked;
        });
        self.change(at, ActionState::Proposed, now);
        Ok(())
    }

    /// Says no.
    pub fn reject(&mut self, id: &str, by: &str, reason: &str, now: Timestamp) -> Result<Arc<QueueItem>, QueueError> {
        let at = self.find(id)?;
        let state = ActionState::Rejected { by: by.to_owned(), reason: reason.to_owned() };
        legal(&self.items[at], &state)?;
        self.change(at, state, now);
        Ok(self.items[at].clone())
    }

    /// Ends what was not approved in time, and gives it.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Arc<QueueItem>> {
        self.end_pending(now, |p| now >= p.expires, || ActionState::Expired)
    }

    /// Ends what is no longer needed: proposals whose finding `holds` no more. Gives what it ended.
    pub fn withdraw(&mut self, holds: impl Fn(&Proposal) -> bool, now: Timestamp) -> Vec<Arc<QueueItem>> {
        self.end_pending(now, |p| !holds(p), || ActionState::Superseded { why: "the trigger is gone".into() })
    }

    /// Takes an item as a run or a resume left it. Only a later state of the same plan is taken.
    pub fn update(&mut self, item: Arc<QueueItem>) -> Result<(), QueueError> {
        let at = self.find(&item.proposal.id)?;
        let old = &self.items[at];
        if old.proposal.hash != item.proposal.hash {
            return Err(QueueError::OtherHash { id: item.proposal.id.clone() });
        }
        if old.state != item.state {
            legal(old, &item.state)?;
        } else if old.state.ended() {
            return Ok(()); // the same end, told twice
        }
        if !old.state.in_flight()
            && item.state.in_flight()
            && let Some(busy) = self.in_flight_on(&item.proposal.subject)
        {
            return Err(QueueError::Busy { id: item.proposal.id.clone(), by: busy.proposal.id.clone() });
        }
        self.items[at] = item;
        self.trim();
        Ok(())
    }

    /// Notes why an item could not run now; shown in the queue.
    pub fn set_blocked(&mut self, id: &str, blocked: Vec<Refusal>) {
        if let Ok(at) = self.find(id)
            && self.items[at].blocked != blocked
        {
            self.edit(at, |i| i.blocked = blocked);
        }
    }

    /// Keeps a dry-run with a waiting item.
    pub fn set_preview(&mut self, id: &str, preview: Arc<Preview>) {
        if let Ok(at) = self.find(id)
            && self.items[at].pending()
        {
            self.edit(at, |i| i.preview = Some(preview));
        }
    }

    fn find(&self, id: &str) -> Result<usize, QueueError> {
        self.items.iter().position(|i| &*i.proposal.id == id).ok_or_else(|| QueueError::Unknown(id.into()))
    }

    fn in_flight_on(&self, subject: &Subject) -> Option<&Arc<QueueItem>> {
        self.items.iter().find(|i| i.state.in_flight() && i.proposal.subject == *subject)
    }

    fn edit(&mut self, at: usize, edit: impl FnOnce(&mut QueueItem)) {
        edit(Arc::make_mut(&mut self.items[at]));
    }

    fn change(&mut self, at: usize, state: ActionState, now: Timestamp) {
        self.edit(at, |i| {
            i.story.push(Moment { at: now, what: state.word().to_owned() });
            i.state = state;
        });
    }

    fn end_pending(
        &mut self,
        now: Timestamp,
        ends: impl Fn(&Proposal) -> bool,
        state: impl Fn() -> ActionState,
    ) -> Vec<Arc<QueueItem>> {
        let which: Vec<usize> =
            (0..self.items.len()).filter(|i| self.items[*i].pending() && ends(&self.items[*i].proposal)).collect();
        for at in &which {
            self.change(*at, state(), now);
        }
        let ended = which.iter().map(|at| self.items[*at].clone()).collect();
        self.trim();
        ended
    }

    /// Forgets the oldest ended items beyond the limit; the journal keeps them.
    fn trim(&mut self) {
        let mut excess = self.items.iter().filter(|i| i.state.ended()).count().saturating_sub(self.keep);
        self.items.retain(|i| {
            let drop = excess > 0 && i.state.ended();
            excess -= usize::from(drop);
            !drop
        });
    }
}

fn fresh(proposal: Arc<Proposal>, now: Timestamp) -> QueueItem {
    QueueItem {
        story: vec![Moment { at: now, what: format!("proposed: {}", proposal.title) }],
        proposal,
        state: ActionState::Proposed,
        preview: None,
        blocked: Vec::new(),
        approval: None,
        outcome: None,
    }
}

/// The same change to the same contents. A generation that moved would be refused at the write.
fn same_change(a: &Proposal, b: &Proposal) -> bool {
    let generations = |p: &Proposal| p.plan.steps.iter().map(|s| s.bound.generation).collect::<Vec<_>>();
    a.plan.same_change(&b.plan) && generations(a) == generations(b) && !a.plan.steps.is_empty()
        || (a.plan.steps.is_empty() && b.plan.steps.is_empty() && a.finding == b.finding && a.title == b.title)
}

/// Whether an ended item is an answer to this proposal too.
fn declines(item: &QueueItem, proposal: &Proposal) -> bool {
    let answered = matches!(item.state, ActionState::Rejected { .. } | ActionState::HandedOver { .. });
    answered && item.proposal.finding == proposal.finding && same_change(&item.proposal, proposal)
}

fn transition(item: &QueueItem, to: &ActionState) -> QueueError {
    QueueError::Transition { id: item.proposal.id.clone(), from: item.state.word(), to: to.word() }
}

fn legal(item: &QueueItem, to: &ActionState) -> Result<(), QueueError> {
    if may_become(&item.state, to) { Ok(()) } else { Err(transition(item, to)) }
}

/// Every transition there is. What has ended stays ended, except that what was applied may be undone.
pub fn may_become(from: &ActionState, to: &ActionState) -> bool {
    use ActionState as S;
    match from {
        S::Proposed => {
            matches!(to, S::Approved { .. } | S::Rejected { .. } | S::Expired | S::Superseded { .. })
        }
        S::Approved { .. } => {
            matches!(to, S::Proposed | S::DryRun | S::Superseded { .. } | S::Refused { .. } | S::HandedOver { .. })
        }
        S::DryRun => matches!(
            to,
            S::Applying { .. } | S::Superseded { .. } | S::Refused { .. } | S::Failed { .. } | S::HandedOver { .. }
        ),
        S::Applying { step } => match to {
            S::Applying { step: next } => next >= step,
            S::Verifying { .. }
            | S::Reverting { .. }
            | S::Done { .. }
            | S::Reverted { .. }
            | S::Refused { .. }
            | S::Failed { .. }
            | S::HandedOver { .. } => true,
            _ => false,
        },
        S::Verifying { .. } => {
            matches!(to, S::Verifying { .. } | S::Done { .. } | S::Reverting { .. } | S::HandedOver { .. })
        }
        S::Reverting { .. } => {
            matches!(to, S::Reverting { .. } | S::Reverted { .. } | S::Failed { .. } | S::HandedOver { .. })
        }
        // The operator's undo. Where nothing is left to undo it ends as reverted at once.
        S::Done { .. } | S::HandedOver { .. } => {
            matches!(to, S::Reverting { .. } | S::Reverted { .. } | S::HandedOver { .. })
        }
        S::Reverted { .. }
        | S::Rejected { .. }
        | S::Expired
        | S::Superseded { .. }
        | S::Refused { .. }
        | S::Failed { .. } => false,
    }
}

#[cfg(test)]
mod tests;
