//! What persons do with proposals beyond yes and no: several approvals at once, and a plan with another value.

use super::engine::Engine;
use super::planning::Wanted;
use super::world::{CommandResult, Level, Shown};
use crate::execute::Actor;
use crate::model::action::{Approval, Refusal};
use crate::model::plan::{ActionId, Proposal};
use crate::model::time::Timestamp;

impl Wanted {
    /// A plan with what was set, saying so.
    pub(super) fn mark(&self, mut proposal: Proposal) -> Proposal {
        let now = proposal.adjustable().unwrap_or_default();
        proposal.notes.push(format!("{now} was set by {}; the planner reckoned {}", self.by, self.instead_of));
        proposal
    }
}

impl Engine {
    /// Takes several approvals, given together, and carries out what there is room for; the rest waits in line.
    pub(super) fn approve_all(&mut self, plans: Vec<Shown>, actor: &str, now: Timestamp) -> CommandResult {
        if plans.is_empty() {
            return Err("no plan was named".into());
        }
        // All of them or none: half of what was meant is not what was meant.
        for Shown { id, hash } in &plans {
            if self.item(id)?.proposal.hash != *hash {
                return Err(format!(
                    "the plan of {id} is not the one that was shown: read it again; none was approved"
                ));
            }
        }
        for Shown { id, hash } in plans {
            if !self.line.iter().any(|(waiting, _)| *waiting == id) {
                self.line.push_back((id, Approval { by: actor.to_owned(), at: now, hash }));
            }
        }
        let before = self.line.len();
        self.next_in_line(now);
        let (begun, left) = (before - self.line.len(), self.line.len());
        Ok(match left {
            0 => format!("{begun} taken from the line, none waits"),
            _ => format!("{begun} taken from the line, {left} approved and waiting for their turn"),
        })
    }

    /// Carries out what was approved and waits for its turn: one after another, each under the guard's eyes at that time.
    pub(super) fn next_in_line(&mut self, now: Timestamp) {
        while let Some((id, given)) = self.line.front().cloned() {
            let waits = self.queue.get(&id).is_some_and(|i| i.pending() && i.proposal.hash == given.hash);
            if !waits {
                self.line.pop_front();
                self.control.say(Level::Warning, format!("{id} was approved, but left the queue before its turn"), now);
                continue;
            }
            let busy = self.flights.keys().any(|f| {
                let on = |id: &ActionId| self.queue.get(id).map(|i| i.proposal.subject.clone());
                on(f) == on(&id)
            });
            if busy || self.only_full(&id, now) {
                return;
            }
            match self.approve(&id, Approval { at: now, ..given }) {
                Ok(text) => self.control.say(Level::Info, text, now),
                Err(why) => self.control.say(Level::Warning, why, now),
            }
            self.line.pop_front();
        }
    }

    /// Whether nothing holds a person's approval back but that enough is under way. Asked before it is given: a plan that only
    /// waits for room was not refused, and the journal shall not say so.
    fn only_full(&mut self, id: &ActionId, now: Timestamp) -> bool {
        let Some(item) = self.queue.get(id).cloned().filter(|_| !self.flights.is_empty()) else { return false };
        let held = self.with_request(&item, Actor::Person, now, |guard, request| guard.review(request));
        !held.is_empty() && held.iter().all(Refusal::is_of_room)
    }

    /// Forgets what waits in line: whoever changes what kansole may do decides anew.
    pub(super) fn clear_line(&mut self, why: &str, now: Timestamp) {
        if !self.line.is_empty() {
            self.control.say(
                Level::Warning,
                format!("{} approved and waiting were let go: {why}", self.line.len()),
                now,
            );
            self.line.clear();
        }
    }

    /// Plans the same with another value, as a new proposal in the place of the old one.
    pub(super) fn adjust(&mut self, id: &ActionId, hash: &str, to: String, by: &str, now: Timestamp) -> CommandResult {
        let item = self.item(id)?;
        if !item.pending() {
            return Err(format!("{id} does not wait for a decision: it is {}", item.state.word()));
        }
        let p = &item.proposal;
        if p.hash != hash {
            return Err(format!("the plan of {id} is not the one that was shown: read it again"));
        }
        let present = p.adjustable().ok_or_else(|| format!("there is nothing to set in the plan of {id}"))?;
        let finding = self.findings.iter().find(|f| f.id == p.finding).cloned();
        let (Some(finding), Some(dossier)) = (finding, self.dossiers.get(&p.finding).cloned()) else {
            return Err(format!("what {id} answers is gone"));
        };
        let (set, history, snapshot) = (&self.options.settings.plan, &self.history, self.planned_on());
        let own = crate::plan::propose(&finding, &snapshot, &dossier, history, set, now).map_err(|no| no.why)?;
        if to.is_empty() {
            self.planning.unwant(&p.finding);
            self.offer(own, now);
            return Ok(format!("{id}: what the planner reckons"));
        }
        let instead_of = own.adjustable().unwrap_or(present);
        let wanted = Wanted { value: to, by: by.to_owned(), instead_of };
        let made = crate::plan::adjust(&finding, &snapshot, &dossier, history, set, now, &wanted.value);
        let made = wanted.mark(made.map_err(|no| no.why)?);
        let title = made.title.clone();
        self.planning.want(&p.finding, wanted);
        self.offer(made, now);
        self.review(now);
        Ok(format!("{id} became: {title}; approve it when you have read it"))
    }
}
