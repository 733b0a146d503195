//! Commands: what the loop does when somebody, or auto mode, says yes, no, undo or stop.

use super::engine::Engine;
use super::world::{Command, CommandResult, Level};
use crate::execute::guard::AUTO;
use crate::execute::{self, Actor};
use crate::model::action::{Approval, QueueItem};
use crate::model::journal::Kind;
use crate::model::mode::Mode;
use crate::model::plan::ActionId;
use crate::model::time;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

impl Engine {
    /// Does what a command says, or says why not. What changed what kansole may do is journalled.
    pub(super) fn obey(&mut self, command: Command) -> CommandResult {
        let now = time::now();
        self.dirty = true;
        let actor = self.options.actor.clone();
        let result = match command {
            Command::Approve { id, hash } => self.approve(&id, Approval { by: actor, at: now, hash }),
            Command::ApproveAll { plans } => self.approve_all(plans, &actor, now),
            Command::Adjust { id, hash, to } => self.adjust(&id, &hash, to, &actor, now),
            Command::Reject { id, reason } => self.reject(&id, &actor, reason, now),
            Command::Snooze { id, minutes } => self.snooze(&id, minutes, now),
            Command::Revert { id } => self.revert(&id),
            Command::SetMode { mode } => {
                self.auto_by_hand();
                self.clear_line("the mode changes", now);
                let text = self.control.set_mode(mode);
                self.write(Kind::ModeChanged, None, None, json!({ "mode": mode, "text": text }));
                if mode == Mode::Observe {
                    self.withdraw("observe mode proposes nothing", |_| false, now);
                }
                Ok(text)
            }
            Command::Pause { on } => {
                self.auto_by_hand();
                let within = self.options.settings.guard.confirm_within;
                let done = self.control.pause(on, now, within);
                self.journal_mode(done)
            }
            Command::Confirm => {
                let done = self.control.confirm(now, self.options.settings.guard.confirm_within);
                self.journal_mode(done)
            }
            Command::SetGuard { guard } => Ok(self.set_guard(*guard, now)),
            Command::Kill { on } => {
                self.auto_by_hand();
                self.clear_line("the kill switch", now);
                Ok(self.pull_kill_switch(on))
            }
            Command::Step => self.step(),
            Command::Refresh => {
                self.planning.all_again();
                self.round();
                Ok("round finished".into())
            }
            Command::SwitchContext { context } => self.switch(Some(context), None),
            Command::SetNamespaces { namespaces } => self.switch(None, Some(namespaces)),
            Command::Rightsize { workload } => self.ask_for_size(&workload),
            Command::Train => self.train(),
            Command::CancelTraining => self.cancel_training(),
            Command::RollModelBack => self.roll_model_back(),
            Command::VerifyJournal => self.verify_journal(),
            Command::Shutdown => {
                self.stop();
                Ok("stopping".into())
            }
        };
        match &result {
            Ok(text) => self.control.say(Level::Info, text, now),
            Err(why) => self.control.say(Level::Warning, why, now),
        }
        result
    }

    /// An approval by a person or by auto. What a gate holds back stays in the queue, with the reasons.
    pub(super) fn approve(&mut self, id: &ActionId, approval: Approval) -> CommandResult {
        let now = approval.at;
        let deps = self.deps().ok_or("not connected, or no journal")?;
        let item = self.queue.approve(id, &approval.hash, &approval.by, now).map_err(|e| e.to_string())?;
        let actor = actor_of(&approval);
        let permit = self.with_request(&item, actor, now, |guard, request| guard.permit(request, approval.clone()));
        let permit = permit.map_err(|reasons| {
            let text = told(&reasons);
            if let Err(e) = self.queue.unapprove(id, reasons, now) {
                tracing::error!("{id}: {e}");
            }
            if let Ok(item) = self.item(id) {
                let payload = json!({ "by": approval.by, "hash": approval.hash, "why": text });
                self.write_item(Kind::Refused, &item, payload);
            }
            format!("{id} refused: {text}")
        })?;
        self.write_item(Kind::Approved, &item, json!({ "hash": item.proposal.hash }));
        let cancel = deps.cancel.clone();
        self.fly(id, cancel, execute::run(permit, deps));
        Ok(format!("{id} approved"))
    }

    pub(super) fn item(&self, id: &ActionId) -> Result<Arc<QueueItem>, String> {
        self.queue.get(id).cloned().ok_or_else(|| format!("there is no action {id}: it may have been replaced"))
    }

    fn reject(&mut self, id: &ActionId, actor: &str, reason: String, now: Timestamp) -> CommandResult {
        let item = self.queue.reject(id, actor, &reason, now).map_err(|e| e.to_string())?;
        self.write_item(Kind::Rejected, &item, json!({ "by": actor, "reason": reason }));
        self.planning.mute(&item.proposal.finding, None, format!("rejected by {actor}: {reason}"));
        Ok(format!("{id} rejected"))
    }

    /// Not now: the proposal is withdrawn, and its finding planned again after a while.
    fn snooze(&mut self, id: &ActionId, minutes: u32, now: Timestamp) -> CommandResult {
        let item = self.item(id)?;
        if !item.pending() {
            return Err(format!("{id} does not wait for a decision: it is {}", item.state.word()));
        }
        let until = now + TimeDelta::minutes(i64::from(minutes.clamp(1, 24 * 60)));
        let why = format!("snoozed by {} until {}", self.options.actor, until.format("%H:%M UTC"));
        self.planning.mute(&item.proposal.finding, Some(until), why.clone());
        self.withdraw(&why, |p| p.id != *id, now);
        Ok(format!("{id} {why}"))
    }

    /// Undo for the operator. An action that is still being verified is stopped first, so that its target
    /// has one writer; it is undone as soon as it has stopped.
    pub(super) fn revert(&mut self, id: &ActionId) -> CommandResult {
        let now = time::now();
        let item = self.item(id)?;
        if let Some(flight) = self.flights.get(id) {
            flight.cancel.cancel();
            self.undo_next.insert(id.clone());
            return Ok(format!("{id} is {}: it stops, then it is undone", item.state.word()));
        }
        let by = self.options.actor.clone();
        let permit = self.with_request(&item, Actor::Person, now, |guard, request| guard.permit_revert(request, &by));
        let permit = permit.map_err(|reasons| format!("{id} cannot be undone: {}", told(&reasons)))?;
        let deps = self.deps().ok_or("not connected, or no journal")?;
        let cancel = deps.cancel.clone();
        self.fly(id, cancel, execute::revert(permit, deps));
        Ok(format!("{id}: undoing"))
    }

    fn switch(&mut self, context: Option<String>, namespaces: Option<Vec<String>>) -> CommandResult {
        if let Some(id) = self.flights.keys().next() {
            return Err(format!("action {id} is in flight: an action must never meet another cluster; wait for it"));
        }
        if let Some(context) = context {
            let known = crate::monitor::connect::contexts(&self.options.connect).map_err(|e| e.to_string())?;
            if !known.iter().any(|c| **c == context) {
                return Err(format!("the kubeconfig has no context {context:?}"));
            }
            self.options.connect.context = Some(context);
        }
        if let Some(namespaces) = namespaces {
            self.options.connect.namespaces = namespaces;
        }
        self.auto_by_hand();
        self.control.fall_back("the connection changes", time::now());
        self.control.brakes.read_only = self.options.read_only.then(|| "--read-only".into());
        let (context, namespaces) = (&self.options.connect.context, &self.options.connect.namespaces);
        let to = json!({ "context": context, "namespaces": namespaces });
        self.write(Kind::ContextChanged, None, None, to);
        self.leave();
        self.connect(Duration::ZERO);
        Ok("connecting".into())
    }

    fn verify_journal(&mut self) -> CommandResult {
        let journal = self.session.as_ref().and_then(|s| s.journal.clone()).ok_or("there is no journal")?;
        let report = journal.verify().map_err(|e| e.to_string())?;
        Ok(report.to_string())
    }
}

fn actor_of(approval: &Approval) -> Actor {
    if approval.by == AUTO { Actor::Auto } else { Actor::Person }
}

pub(super) fn told(reasons: &[crate::model::action::Refusal]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
