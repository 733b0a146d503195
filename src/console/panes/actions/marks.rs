//! Several actions at once: which are marked, why not all of them can be approved, and what is asked before it.

use super::rows::{Rows, Shown};
use super::{ask, gate};
use crate::autopilot::world::{self, Command, World};
use crate::console::effect::{Effect, Question};
use crate::model::plan::{ActionId, Risk};
use crate::model::time::Timestamp;
use std::collections::BTreeSet;

/// Actions that the operator marked. They are marked by id; what is approved is the plan that was seen.
#[derive(Default)]
pub struct Marks(BTreeSet<ActionId>);

impl Marks {
    /// Whether an action is marked.
    pub fn has(&self, id: &str) -> bool {
        self.0.contains(id)
    }

    /// None is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all marks away.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Marks actions, or takes their marks away if all of them have one.
    pub fn toggle(&mut self, ids: &[ActionId]) {
        if ids.iter().all(|id| self.0.contains(id)) {
            self.0.retain(|id| !ids.contains(id));
        } else {
            self.0.extend(ids.iter().cloned());
        }
    }

    /// What has left the queue, or waits no more, has no mark any more.
    pub fn prune(&mut self, rows: &Rows) {
        self.0.retain(|id| rows.all.iter().any(|r| r.id() == id && r.item.pending() && !r.gone));
    }

    /// How many are marked, and how many of them the list does not show.
    pub fn count(&self, rows: &Rows) -> (usize, usize) {
        let seen = rows.shown(None).filter(|r| self.has(r.id())).count();
        (self.0.len(), self.0.len() - seen)
    }

    /// The marked rows, shown or not, in the order of the queue.
    pub fn rows<'a>(&'a self, rows: &'a Rows) -> Vec<&'a Shown> {
        rows.all.iter().filter(|r| self.has(r.id())).collect()
    }

    /// `3 actions, 1 of them hidden`.
    pub fn words(&self, rows: &Rows) -> String {
        let (n, hidden) = self.count(rows);
        let s = if n == 1 { "" } else { "s" };
        if hidden == 0 { format!("{n} action{s}") } else { format!("{n} action{s}, {hidden} of them hidden") }
    }
}

/// Why the marked plans cannot all be approved: the first reason, with the action it is about. One that waits only for room
/// may go into the line.
pub fn why_not(marked: &[&Shown], world: &World, now: Timestamp, focused: bool) -> Option<String> {
    marked.iter().find_map(|s| {
        let id = s.id();
        if s.item.proposal.risk == Risk::High {
            return Some(format!("{id} is of high risk: it is approved alone; take its mark away"));
        }
        let why = gate::approve_in_line(s, world, now, focused)?;
        Some(format!("{id}: {why}; take its mark away"))
    })
}

/// The question before several approvals. Whatever their risk, it is asked.
pub fn approve(marked: &[&Shown], words: &str) -> Effect {
    let mut body = Vec::new();
    for s in marked {
        let p = &s.item.proposal;
        let undo = if p.plan.reversible() { "" } else { "; it CANNOT be undone" };
        body.push(format!("{} ({} risk{undo})", p.title, ask::risk_word(p.risk)));
        body.push(format!("  touches {}; plan {}", p.blast.text, p.hash.get(..12).unwrap_or(&p.hash)));
    }
    body.push("They are carried out one after another, as the guard has room for them.".into());
    let plans = marked
        .iter()
        .map(|s| world::Shown { id: s.id().clone(), hash: s.item.proposal.hash.clone() })
        .collect::<Vec<_>>();
    Effect::Ask(Question {
        title: format!("Approve {words}?"),
        body,
        risk: Risk::Medium,
        typed: None,
        then: Box::new(Effect::Send(Command::ApproveAll { plans })),
    })
}
