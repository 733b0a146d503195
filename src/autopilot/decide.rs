//! What may run now: gates, dry-runs and rights of every pending proposal; and auto mode's own approvals.

use super::engine::{Engine, Note};
use super::world::Level;
use crate::execute::guard::{AUTO, Guard};
use crate::execute::{self, Actor, Request, Surroundings};
use crate::model::action::{Approval, Preview, QueueItem};
use crate::model::finding::Severity;
use crate::model::plan::{ActionId, Proposal, Right};
use crate::model::time;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rights are asked for again after this long: roles change.
const RIGHTS_AGE: TimeDelta = TimeDelta::seconds(120);

impl Engine {
    /// In auto mode, approves what no gate holds back; the guard decides again for each. First what is worst, then what
    /// likelier helps, then what recovers sooner, then what waits longer.
    pub(super) fn act_alone(&mut self, now: Timestamp) {
        if !self.control.may_act_alone() {
            return;
        }
        self.review(now);
        let mut ready: Vec<Arc<QueueItem>> = self
            .queue
            .items()
            .iter()
            .filter(|i| i.pending() && i.blocked.is_empty() && i.proposal.plan.writes())
            .filter(|i| i.preview.as_ref().is_some_and(|p| p.refused.is_none()))
            .cloned()
            .collect();
        ready.sort_by_key(|i| Reverse(self.urgency(&i.proposal)));
        for item in ready {
            let (id, hash) = (item.proposal.id.clone(), item.proposal.hash.clone());
            match self.approve(&id, Approval { by: AUTO.into(), at: now, hash }) {
                Ok(text) => self.control.say(Level::Info, format!("auto: {text}"), now),
                Err(why) => self.control.say(Level::Warning, format!("auto: {why}"), now),
            }
        }
    }

    /// What auto does first: the larger the sooner.
    fn urgency(&self, p: &Proposal) -> (Option<Severity>, u32, Reverse<u32>, Reverse<Timestamp>) {
        let severity = self.findings.iter().find(|f| f.id == p.finding).map(|f| f.severity);
        let chance = p.effect.probability.map_or(0, |share| (share.clamp(0.0, 1.0) * 1000.0) as u32);
        (severity, chance, Reverse(p.effect.recovery_s.unwrap_or(u32::MAX)), Reverse(p.created))
    }

    /// Asks the guard why each pending proposal could not run now, for the screen and for auto mode.
    pub(super) fn review(&mut self, now: Timestamp) {
        let actor = if self.control.may_act_alone() { Actor::Auto } else { Actor::Person };
        for item in self.queue.items().iter().filter(|i| i.pending() && i.proposal.plan.writes()) {
            self.ask_for_rights(&item.proposal);
            let blocked = self.with_request(item, actor, now, |guard, request| guard.review(request));
            self.dirty |= item.blocked != blocked;
            self.queue.set_blocked(&item.proposal.id, blocked);
        }
    }

    /// Puts together everything the guard looks at, as it is now, and lets it decide.
    pub(super) fn with_request<T>(
        &mut self,
        item: &QueueItem,
        actor: Actor,
        now: Timestamp,
        decide: impl FnOnce(&mut Guard, &Request<'_>) -> T,
    ) -> T {
        let surroundings = self.dossiers.get(&item.proposal.finding).map(|d| Surroundings::of(d));
        let rights: BTreeMap<Right, bool> = self.rights.iter().map(|(r, (ok, _))| (r.clone(), *ok)).collect();
        let queue = self.queue.items();
        let brakes = &self.control.brakes;
        let request = Request {
            item,
            actor,
            mode: self.control.mode,
            paused: brakes.paused,
            read_only: brakes.read_only.as_deref(),
            killed: brakes.killed.as_deref(),
            snapshot: &self.snapshot,
            findings: &self.findings,
            surroundings: surroundings.as_ref(),
            rights: &rights,
            queue: &queue,
            memory_raises: self.options.settings.plan.memory_raises,
            now,
        };
        decide(&mut self.guard, &request)
    }

    pub(super) fn ask_for_preview(&self, id: &ActionId) {
        let (Some(session), Some(item)) = (&self.session, self.queue.get(id)) else { return };
        if !item.proposal.plan.writes() {
            return;
        }
        let (client, notes, proposal) = (session.conn.act.clone(), self.notes.clone(), item.proposal.clone());
        tokio::spawn(async move {
            let preview = execute::preview(&client, &proposal.plan).await;
            let _ = notes.send(Note::Previewed(proposal.id.clone(), proposal.hash.clone(), Box::new(preview))).await;
        });
    }

    pub(super) fn previewed(&mut self, id: &ActionId, hash: &str, preview: Preview) {
        if self.queue.get(id).is_some_and(|i| i.proposal.hash == hash) {
            self.queue.set_preview(id, Arc::new(preview));
            self.act_alone(time::now());
        }
    }

    /// Asks for the rights of a proposal's steps that are not known, or known for too long.
    pub(super) fn ask_for_rights(&mut self, proposal: &Proposal) {
        let Some(session) = &self.session else { return };
        let now = time::now();
        let unknown: Vec<Right> = proposal
            .plan
            .steps
            .iter()
            .filter_map(crate::model::plan::Step::right)
            .filter(|r| self.rights.get(r).is_none_or(|(_, at)| now.signed_duration_since(*at) > RIGHTS_AGE))
            .filter(|r| self.asking.insert(r.clone()))
            .collect();
        if unknown.is_empty() {
            return;
        }
        let (client, notes) = (session.conn.read.clone(), self.notes.clone());
        tokio::spawn(async move {
            let _ = notes.send(Note::Rights(crate::monitor::rights::check(&client, &unknown).await)).await;
        });
    }

    pub(super) fn learn_rights(&mut self, answers: BTreeMap<Right, Result<bool, String>>) {
        let now = time::now();
        for (right, answer) in answers {
            self.asking.remove(&right);
            match answer {
                Ok(allowed) => drop(self.rights.insert(right, (allowed, now))),
                Err(e) => tracing::warn!("right to {right}: {e}"),
            }
        }
        self.review(now);
    }
}
