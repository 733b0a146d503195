//! Commands, approvals and actions: what the loop does when somebody, or auto mode, says yes.

use super::engine::{Engine, Flight, Note};
use super::world::{Command, CommandResult, Level};
use crate::execute::guard::{AUTO, Guard};
use crate::execute::queue::Queue;
use crate::execute::{self, Actor, Deps, GuardHistory, Progress, Request, Surroundings};
use crate::model::action::{ActionState, Approval, Preview, QueueItem, Verdict};
use crate::model::journal::{Kind, Record};
use crate::model::mode::Mode;
use crate::model::plan::{ActionId, Proposal, Right};
use crate::model::time::Timestamp;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Actions that are remembered from the journal at start.
pub(super) const REMEMBERED: usize = 500;

/// Rights are asked for again after this long: roles change.
const RIGHTS_AGE: TimeDelta = TimeDelta::seconds(120);

impl Engine {
    /// Does what a command says, or says why not. What changed what kansole may do is journalled.
    pub(super) fn obey(&mut self, command: Command) -> CommandResult {
        let now = Utc::now();
        self.dirty = true;
        let actor = self.options.actor.clone();
        let result = match command {
            Command::Approve { id, hash } => self.approve(&id, Approval { by: actor, at: now, hash }),
            Command::Reject { id, reason } => self.reject(&id, &actor, reason, now),
            Command::Revert { id } => self.revert(&id),
            Command::SetMode { mode } => {
                let text = self.control.set_mode(mode);
                self.write(Kind::ModeChanged, None, None, json!({ "mode": mode, "text": text }));
                if mode == Mode::Observe {
                    self.withdraw("observe mode proposes nothing", |_| false, now);
                }
                Ok(text)
            }
            Command::Pause { on } => self.control.pause(on).inspect(|text| {
                self.write(Kind::ModeChanged, None, None, json!({ "text": text }));
            }),
            Command::Kill { on } => Ok(self.pull_kill_switch(on)),
            Command::Step => self.step(),
            Command::Refresh => {
                self.planning.all_again();
                self.round();
                Ok("round finished".into())
            }
            Command::SwitchContext { context } => self.switch(Some(context), None),
            Command::SetNamespaces { namespaces } => self.switch(None, Some(namespaces)),
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
    fn approve(&mut self, id: &ActionId, approval: Approval) -> CommandResult {
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

    fn item(&self, id: &ActionId) -> Result<Arc<QueueItem>, String> {
        self.queue.get(id).cloned().ok_or_else(|| format!("there is no action {id}: it may have been replaced"))
    }

    /// Starts a task that carries an action on; its end comes back as a note.
    fn fly(
        &mut self,
        id: &ActionId,
        cancel: CancellationToken,
        course: impl Future<Output = QueueItem> + Send + 'static,
    ) {
        let (notes, id2) = (self.notes.clone(), id.clone());
        let course = tokio::spawn(course);
        let task = tokio::spawn(async move {
            let ended = course.await.map_err(|e| e.to_string());
            let _ = notes.send(Note::Landed(id2, Box::new(ended))).await;
        });
        self.flights.insert(id.clone(), Flight { cancel, task });
    }

    fn deps(&self) -> Option<Deps> {
        let session = self.session.as_ref()?;
        let (progress, mut moves) = tokio::sync::mpsc::channel::<Progress>(64);
        let notes = self.notes.clone();
        tokio::spawn(async move {
            while let Some(p) = moves.recv().await {
                if notes.send(Note::Progress(Box::new(p))).await.is_err() {
                    return;
                }
            }
        });
        Some(Deps {
            act: session.conn.act.clone(),
            ledger: session.journal.clone()?,
            kill: session.kill.clone(),
            worlds: self.judged.subscribe(),
            settings: self.options.settings.guard.clone(),
            progress,
            cancel: CancellationToken::new(),
            clock: Arc::new(Utc::now),
        })
    }

    fn reject(&mut self, id: &ActionId, actor: &str, reason: String, now: Timestamp) -> CommandResult {
        let item = self.queue.reject(id, actor, &reason, now).map_err(|e| e.to_string())?;
        self.write_item(Kind::Rejected, &item, json!({ "by": actor, "reason": reason }));
        self.planning.mute(&item.proposal.finding, None, format!("rejected by {actor}: {reason}"));
        Ok(format!("{id} rejected"))
    }

    /// Undo for the operator. An action that is still being verified is stopped first, so that its target
    /// has one writer; it is undone as soon as it has stopped.
    fn revert(&mut self, id: &ActionId) -> CommandResult {
        let now = Utc::now();
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
        self.control.fall_back("the connection changes", Utc::now());
        self.control.brakes.read_only = self.options.read_only.then(|| "--read-only".into());
        self.leave();
        self.connect(Duration::ZERO);
        Ok("connecting".into())
    }

    fn verify_journal(&mut self) -> CommandResult {
        let journal = self.session.as_ref().and_then(|s| s.journal.clone()).ok_or("there is no journal")?;
        let report = journal.verify().map_err(|e| e.to_string())?;
        Ok(report.to_string())
    }

    // --- auto mode, gates, previews, rights ------------------------------------------------------

    /// In auto mode, approves what no gate holds back, oldest first; the guard decides again for each.
    pub(super) fn act_alone(&mut self, now: Timestamp) {
        if !self.control.may_act_alone() {
            return;
        }
        self.review(now);
        let ready: Vec<(ActionId, String)> = self
            .queue
            .items()
            .iter()
            .filter(|i| i.pending() && i.blocked.is_empty() && i.proposal.plan.writes())
            .filter(|i| i.preview.as_ref().is_some_and(|p| p.refused.is_none()))
            .map(|i| (i.proposal.id.clone(), i.proposal.hash.clone()))
            .collect();
        for (id, hash) in ready {
            match self.approve(&id, Approval { by: AUTO.into(), at: now, hash }) {
                Ok(text) => self.control.say(Level::Info, format!("auto: {text}"), now),
                Err(why) => self.control.say(Level::Warning, format!("auto: {why}"), now),
            }
        }
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
    fn with_request<T>(
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
            self.act_alone(Utc::now());
        }
    }

    /// Asks for the rights of a proposal's steps that are not known, or known for too long.
    pub(super) fn ask_for_rights(&mut self, proposal: &Proposal) {
        let Some(session) = &self.session else { return };
        let now = Utc::now();
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
        let now = Utc::now();
        for (right, answer) in answers {
            self.asking.remove(&right);
            match answer {
                Ok(allowed) => drop(self.rights.insert(right, (allowed, now))),
                Err(e) => tracing::warn!("right to {right}: {e}"),
            }
        }
        self.review(now);
    }

    // --- actions under way -----------------------------------------------------------------------

    /// An action moved. It has journalled that itself, before it said so.
    pub(super) fn progressed(&mut self, p: Progress) {
        self.journal_moved = true;
        let what = p.item.story.last().map_or_else(|| p.item.state.word().to_owned(), |m| m.what.clone());
        let level = match p.item.state {
            ActionState::Failed { .. } | ActionState::HandedOver { .. } => Level::Error,
            ActionState::Refused { .. } | ActionState::Reverting { .. } => Level::Warning,
            _ => Level::Info,
        };
        self.control.say(level, format!("{}: {what}", p.item.proposal.id), Utc::now());
        self.take(p.item);
    }

    /// Takes an item as its action left it.
    fn take(&mut self, item: Arc<QueueItem>) {
        if let Err(e) = self.queue.update(item) {
            self.control.say(Level::Error, format!("queue: {e}"), Utc::now());
        }
    }

    /// An action's task ended: the guard, the planner and the modes learn from it.
    pub(super) fn landed(&mut self, id: &ActionId, ended: Result<QueueItem, String>) {
        let now = Utc::now();
        self.flights.remove(id);
        self.journal_moved = true;
        match ended {
            Ok(item) => {
                self.take(Arc::new(item.clone()));
                self.guard.conclude(&item);
                if item.state.ended() {
                    self.learn(&item, now);
                }
            }
            Err(why) => {
                self.control.say(
                    Level::Error,
                    format!("{id} ended abnormally ({why}): the next start looks after it"),
                    now,
                );
                self.control.fall_back("an action ended abnormally", now);
            }
        }
        if self.undo_next.remove(id)
            && let Err(why) = self.revert(id)
        {
            self.control.say(Level::Warning, why, now);
        }
        self.review(now);
    }

    fn learn(&mut self, item: &QueueItem, now: Timestamp) {
        learn(&mut self.history, item);
        let finding = &item.proposal.finding;
        match &item.state {
            ActionState::HandedOver { why } => self.planning.mute(finding, None, format!("handed over: {why}")),
            ActionState::Reverted { why, .. } => {
                let until = now + TimeDelta::from_std(self.options.settings.guard.cooldown).unwrap_or_default();
                self.planning.mute(finding, Some(until), format!("undone: {why}"));
            }
            _ => self.planning.again(finding),
        }
        if let ActionState::Reverted { verdict: Some(Verdict::Harmful), .. }
        | ActionState::Failed { .. }
        | ActionState::HandedOver { .. } = &item.state
        {
            self.control.fall_back(&format!("{} ended {}", item.proposal.id, item.state.word()), now);
        }
    }

    /// After a start: what the journal says was in flight is taken up again, each by its own task, once
    /// there is a picture of the cluster to judge by.
    pub(super) fn remember(&mut self) {
        let Some(journal) = self.session.as_ref().and_then(|s| s.journal.clone()) else { return };
        match journal.items(REMEMBERED) {
            Err(e) => self.control.brakes.read_only = Some(format!("the journal cannot be read: {e}").into()),
            Ok(mut items) => {
                items.reverse(); // the journal gives the newest first
                self.guard = Guard::new(self.options.settings.guard.clone(), GuardHistory::from_items(&items));
                items.iter().filter(|i| i.state.ended()).for_each(|i| learn(&mut self.history, i));
                self.to_resume = items.iter().filter(|i| i.state.in_flight()).map(|i| i.proposal.id.clone()).collect();
                self.queue = Queue::new(REMEMBERED);
                self.queue.restore(items);
            }
        }
    }

    /// Takes up what was in flight, as soon as the data is fresh enough for the guard's leave.
    pub(super) fn resume_in_flight(&mut self, now: Timestamp) {
        let stale = super::round::stale_why(&self.snapshot, now, self.options.settings.guard.stale_after);
        if self.to_resume.is_empty() || stale.is_some() {
            return;
        }
        for id in std::mem::take(&mut self.to_resume) {
            let Ok(item) = self.item(&id) else { continue };
            let permit = self.with_request(&item, Actor::Person, now, |guard, request| guard.permit_resume(request));
            match (permit, self.deps()) {
                (Ok(permit), Some(deps)) => {
                    self.control.say(
                        Level::Warning,
                        format!("{id} was {} when kansole ended: looking at the cluster", item.state.word()),
                        now,
                    );
                    let cancel = deps.cancel.clone();
                    self.fly(&id, cancel, execute::resume(permit, deps));
                }
                (Err(reasons), _) => {
                    let why = format!(
                        "it was {} when kansole ended, and may not be finished now: {}",
                        item.state.word(),
                        told(&reasons)
                    );
                    let mut item = (*item).clone();
                    item.state = ActionState::HandedOver { why: why.clone() };
                    self.write_item(Kind::HandedOver, &item, json!({ "why": why }));
                    self.control.say(Level::Error, format!("{id}: {why}"), now);
                    self.take(Arc::new(item));
                }
                (Ok(_), None) => {}
            }
        }
    }

    // --- kill switch -----------------------------------------------------------------------------

    fn pull_kill_switch(&mut self, on: bool) -> String {
        self.kill_handle.set(on);
        self.control.brakes.killed = on.then(|| "key".into());
        self.control.brakes.paused = true;
        self.write(Kind::KillSwitch, None, None, json!({ "on": on, "by": "key" }));
        self.poll_kill_switch();
        if on {
            "kill switch on: no write leaves this console".into()
        } else {
            "kill switch released; auto stays paused".into()
        }
    }

    pub(super) fn poll_kill_switch(&self) {
        let Some(session) = &self.session else { return };
        let (kill, notes) = (session.kill.clone(), self.notes.clone());
        tokio::spawn(async move {
            let why = kill.check(Actor::Person).await.err().map(|reason| Arc::from(reason.to_string()));
            let _ = notes.send(Note::Killed(why)).await;
        });
    }

    pub(super) fn kill_switch_seen(&mut self, why: Option<Arc<str>>) {
        if self.control.brakes.killed == why {
            return;
        }
        if let Some(why) = &why {
            self.control.say(Level::Warning, format!("kill switch: {why}"), Utc::now());
            self.control.brakes.paused = true;
            self.write(Kind::KillSwitch, None, None, json!({ "on": true, "why": why }));
        }
        self.control.brakes.killed = why;
    }

    // --- journal ---------------------------------------------------------------------------------

    /// Withdraws proposals whose finding no longer holds, and journals each.
    pub(super) fn withdraw(&mut self, why: &str, holds: impl Fn(&Proposal) -> bool, now: Timestamp) {
        for item in self.queue.withdraw(holds, now) {
            self.write_item(Kind::Superseded, &item, json!({ "why": why }));
        }
    }

    /// Journals something that is not an action. A journal that fails makes the console read-only.
    pub(super) fn write(&mut self, kind: Kind, action: Option<ActionId>, object: Option<String>, payload: Value) {
        let Some(journal) = self.session.as_ref().and_then(|s| s.journal.clone()) else { return };
        let record = Record { at: Utc::now(), actor: self.options.actor.clone(), kind, action, object, payload };
        let result = journal.append(record);
        self.journal_written(result.map_err(|e| e.to_string()));
    }

    /// Journals a step of an action together with its state.
    pub(super) fn write_item(&mut self, kind: Kind, item: &QueueItem, payload: Value) {
        let Some(journal) = self.session.as_ref().and_then(|s| s.journal.clone()) else { return };
        let record = Record {
            at: Utc::now(),
            actor: item.approval.as_ref().map_or_else(|| self.options.actor.clone(), |a| a.by.clone()),
            kind,
            action: Some(item.proposal.id.clone()),
            object: Some(item.proposal.subject.to_string()),
            payload,
        };
        let result = journal.append_with_item(record, item);
        self.journal_written(result.map_err(|e| e.to_string()));
    }

    fn journal_written(&mut self, result: Result<u64, String>) {
        self.journal_moved = true;
        self.dirty = true;
        if let Err(why) = result {
            self.control.say(Level::Error, &why, Utc::now());
            self.control.fall_back("the journal cannot be written", Utc::now());
            self.control.brakes.read_only = Some(why.into());
        }
    }
}

fn actor_of(approval: &Approval) -> Actor {
    if approval.by == AUTO { Actor::Auto } else { Actor::Person }
}

fn told(reasons: &[crate::model::action::Refusal]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What the planner remembers of an action that was written: it counts, and its verdict teaches.
fn learn(history: &mut crate::plan::history::History, item: &QueueItem) {
    let (Some(approval), Some(outcome)) = (&item.approval, &item.outcome) else { return };
    history.applied(&item.proposal, approval.at);
    history.judged(item.proposal.strategy, outcome.verdict, None);
}
