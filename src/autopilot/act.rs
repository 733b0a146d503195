//! Commands, approvals and actions: what the loop does when somebody, or auto mode, says yes.

use super::engine::{Engine, Flight, Note};
use super::world::{Command, CommandResult, Level};
use crate::execute::guard::Request;
use crate::execute::run::{self, Deps, Progress};
use crate::execute::surroundings::Surroundings;
use crate::model::action::{ActionState, Approval, Preview, QueueItem, Verdict};
use crate::model::journal::{Kind, Record};
use crate::model::mode::Mode;
use crate::model::plan::{ActionId, Proposal, Right};
use crate::model::time::Timestamp;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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
                    self.withdraw_all("observe mode proposes nothing", now);
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

    fn approve(&mut self, id: &ActionId, approval: Approval) -> CommandResult {
        let now = approval.at;
        let item = self.queue.get(id).ok_or_else(|| format!("there is no action {id}"))?;
        if !item.proposal.plan.writes() {
            return Err(format!("{id} is advice: there is nothing to run"));
        }
        let by_auto = approval.by == AUTO;
        self.queue.approve(id, &approval, now).map_err(|e| e.to_string())?;
        let item = self.queue.get(id).unwrap_or(item);
        self.write_item(Kind::Approved, &item, json!({ "by": approval.by, "hash": approval.hash }));
        let request = self.request(&item, by_auto, now);
        match self.guard.permit(&request, approval) {
            Err(reasons) => {
                let text = reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                self.queue.transition(id, ActionState::Refused { reasons }, now, &text);
                if let Some(item) = self.queue.get(id) {
                    self.write_item(Kind::Refused, &item, json!({ "why": text }));
                }
                self.planning.again(&item.proposal.finding);
                Err(format!("{id} refused: {text}"))
            }
            Ok(permit) => {
                let deps = self.deps().ok_or("not connected")?;
                let cancel = deps.cancel.clone();
                let task = tokio::spawn(run::run(permit, deps));
                self.fly(id, cancel, task);
                Ok(format!("{id} approved"))
            }
        }
    }

    fn fly<T: Send + 'static>(&mut self, id: &ActionId, cancel: CancellationToken, task: tokio::task::JoinHandle<T>) {
        let (notes, id2) = (self.notes.clone(), id.clone());
        let task = tokio::spawn(async move {
            if let Err(e) = task.await {
                tracing::error!("action {id2} ended abnormally: {e}");
            }
            let _ = notes.send(Note::Landed(id2)).await;
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
            read: session.conn.read.clone(),
            act: session.conn.act.clone(),
            ledger: session.journal.clone()?,
            kill: session.kill.clone(),
            judged: self.judged.subscribe(),
            settings: self.options.settings.guard.clone(),
            progress,
            cancel: CancellationToken::new(),
        })
    }

    fn reject(&mut self, id: &ActionId, actor: &str, reason: String, now: Timestamp) -> CommandResult {
        let item = self.queue.reject(id, actor, &reason, now).map_err(|e| e.to_string())?;
        self.write_item(Kind::Rejected, &item, json!({ "by": actor, "reason": reason }));
        self.planning.mute(&item.proposal.finding, None, format!("rejected by {actor}: {reason}"));
        Ok(format!("{id} rejected"))
    }

    fn revert(&mut self, id: &ActionId) -> CommandResult {
        let item = self.queue.get(id).ok_or_else(|| format!("there is no action {id}"))?;
        if let Some(why) = &self.control.brakes.read_only {
            return Err(format!("read-only: {why}"));
        }
        if self.control.mode == Mode::Observe {
            return Err("observe mode writes nothing: choose manual first".into());
        }
        if let Some(flight) = self.flights.get(id) {
            // The running action owns its target: it is told to stop and undo, so that there is one writer.
            flight.cancel.cancel();
            return Err(format!("{id} is {}: asked it to stop; revert it again once it has", item.state.word()));
        }
        run::can_revert(&item).map_err(|why| format!("{id} cannot be undone: {why}"))?;
        let deps = self.deps().ok_or("not connected, or no journal")?;
        let cancel = deps.cancel.clone();
        let task = tokio::spawn(run::revert((*item).clone(), self.options.actor.clone(), deps));
        self.fly(id, cancel, task);
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
        let by_auto = self.control.mode == Mode::Auto && !self.control.brakes.paused;
        for item in self.queue.items().iter().filter(|i| i.pending() && i.proposal.plan.writes()) {
            self.ask_for_rights(&item.proposal);
            let blocked = self.guard.review(&self.request(item, by_auto, now));
            self.dirty |= self.queue.set_blocked(&item.proposal.id, blocked);
        }
    }

    /// Everything the guard looks at, as it is now.
    fn request(&self, item: &QueueItem, by_auto: bool, now: Timestamp) -> Request {
        let dossier = self.dossiers.get(&item.proposal.finding);
        Request {
            item: Arc::new(item.clone()),
            cluster: self.snapshot.cluster.id.clone(),
            mode: self.control.mode,
            paused: self.control.brakes.paused,
            by_auto,
            read_only: self.control.brakes.read_only.clone(),
            killed: self.control.brakes.killed.clone(),
            snapshot: self.snapshot.clone(),
            findings: self.findings.clone(),
            surroundings: dossier.map(|d| Surroundings::of(d)),
            rights: self.rights.iter().map(|(r, (ok, _))| (r.clone(), *ok)).collect(),
            in_flight: self.queue.in_flight(),
            now,
        }
    }

    pub(super) fn ask_for_preview(&self, id: &ActionId) {
        let (Some(session), Some(item)) = (&self.session, self.queue.get(id)) else { return };
        if !item.proposal.plan.writes() {
            return;
        }
        let (client, notes, proposal) = (session.conn.act.clone(), self.notes.clone(), item.proposal.clone());
        tokio::spawn(async move {
            let preview = crate::execute::preview::preview(&client, &proposal.plan).await;
            let _ = notes.send(Note::Previewed(proposal.id.clone(), proposal.hash.clone(), Box::new(preview))).await;
        });
    }

    pub(super) fn previewed(&mut self, id: &ActionId, hash: &str, preview: Preview) {
        if self.queue.set_preview(id, hash, preview) {
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

    pub(super) fn progressed(&mut self, p: Progress) {
        let now = Utc::now();
        self.journal_moved = true;
        let ended = p.state.ended();
        let text = format!("{}: {}", p.id, p.what);
        self.queue.progress(&p);
        self.control.say(if matches!(p.state, ActionState::Failed { .. } | ActionState::HandedOver { .. }) { Level::Error } else { Level::Info }, text, now);
        if !ended {
            return;
        }
        let Some(item) = self.queue.get(&p.id) else { return };
        self.guard.learn(&item, now);
        self.history.learn(&item, now);
        let finding = item.proposal.finding.clone();
        match &item.state {
            ActionState::HandedOver { why } => self.planning.mute(&finding, None, format!("handed over: {why}")),
            ActionState::Reverted { why, .. } => {
                let until = now + TimeDelta::from_std(self.options.settings.guard.cooldown).unwrap_or_default();
                self.planning.mute(&finding, Some(until), format!("reverted: {why}"));
            }
            _ => self.planning.again(&finding),
        }
        if let ActionState::Reverted { verdict: Some(Verdict::Harmful), .. } | ActionState::Failed { .. } | ActionState::HandedOver { .. } = &item.state {
            self.control.fall_back(&format!("{} ended {}", item.proposal.id, item.state.word()), now);
        }
    }

    pub(super) fn landed(&mut self, id: &ActionId) {
        self.flights.remove(id);
        self.review(Utc::now());
    }

    /// After a start: what the journal says was in flight is taken up again, each by its own task.
    pub(super) fn resume_in_flight(&mut self) {
        let now = Utc::now();
        let Some(journal) = self.session.as_ref().and_then(|s| s.journal.clone()) else { return };
        let (known, open) = match (journal.items(200), journal.in_flight()) {
            (Ok(known), Ok(open)) => (known, open),
            (Err(e), _) | (_, Err(e)) => {
                self.control.brakes.read_only = Some(format!("the journal cannot be read: {e}").into());
                return;
            }
        };
        for item in &known {
            self.guard.learn(item, now);
            self.history.learn(item, now);
        }
        self.queue.restore(known);
        for item in open {
            let Some(deps) = self.deps() else { return };
            let id = item.proposal.id.clone();
            self.control.say(Level::Warning, format!("{id} was {} when kansole ended: looking at the cluster", item.state.word()), now);
            let cancel = deps.cancel.clone();
            let task = tokio::spawn(run::resume(item, deps));
            self.fly(&id, cancel, task);
        }
    }

    // --- kill switch -----------------------------------------------------------------------------

    fn pull_kill_switch(&mut self, on: bool) -> String {
        let Some(session) = &self.session else { return "not connected: nothing can be written anyway".into() };
        session.kill.set(on);
        self.control.brakes.killed = on.then(|| "key".into());
        self.control.brakes.paused = true;
        self.write(Kind::KillSwitch, None, None, json!({ "on": on, "by": "key" }));
        self.poll_kill_switch();
        if on { "kill switch on: no write leaves this console".into() } else { "kill switch released; auto stays paused".into() }
    }

    pub(super) fn poll_kill_switch(&self) {
        let Some(session) = &self.session else { return };
        let (kill, notes) = (session.kill.clone(), self.notes.clone());
        tokio::spawn(async move {
            let why = kill.check().await.err().map(|reason| Arc::from(reason.to_string()));
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

    fn withdraw_all(&mut self, why: &str, now: Timestamp) {
        for finding in self.findings.clone().iter() {
            for item in self.queue.withdraw(&finding.id, why, now) {
                self.write_item(Kind::Superseded, &item, json!({ "why": why }));
            }
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

/// The actor of auto mode.
pub const AUTO: &str = "auto";
