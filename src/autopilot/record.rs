//! What is written down, and what stops every write: the journal and the kill switch.

use super::engine::{Engine, Note};
use super::world::Level;
use crate::execute::Actor;
use crate::model::action::QueueItem;
use crate::model::journal::{Kind, Record};
use crate::model::plan::{ActionId, Proposal};
use crate::model::time;
use crate::model::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// The actor of what nobody decided: findings, proposals, expiry.
pub(super) const KANSOLE: &str = "kansole";

impl Engine {
    pub(super) fn pull_kill_switch(&mut self, on: bool) -> String {
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
            self.control.say(Level::Warning, format!("kill switch: {why}"), time::now());
            self.control.brakes.paused = true;
            self.write(Kind::KillSwitch, None, None, json!({ "on": true, "why": why }));
        }
        self.control.brakes.killed = why;
    }

    /// Withdraws proposals whose finding no longer holds, and journals each.
    pub(super) fn withdraw(&mut self, why: &str, holds: impl Fn(&Proposal) -> bool, now: Timestamp) {
        for item in self.queue.withdraw(holds, now) {
            self.write_item(Kind::Superseded, &item, json!({ "why": why }));
        }
    }

    /// Journals something that is not an action. A journal that fails makes the console read-only.
    pub(super) fn write(&mut self, kind: Kind, action: Option<ActionId>, object: Option<String>, payload: Value) {
        let Some(journal) = self.session.as_ref().and_then(|s| s.journal.clone()) else { return };
        let actor = match kind {
            Kind::FindingOpened
            | Kind::FindingClosed
            | Kind::Aftermath
            | Kind::AnomalyOpened
            | Kind::AnomalyEnded
            | Kind::IncidentOpened
            | Kind::IncidentEnded => KANSOLE.to_owned(),
            _ => self.options.actor.clone(),
        };
        let record = Record { at: time::now(), actor, kind, action, object, payload };
        let result = journal.append(record);
        self.journal_written(result.map_err(|e| e.to_string()));
    }

    /// Journals a step of an action together with its state.
    pub(super) fn write_item(&mut self, kind: Kind, item: &QueueItem, payload: Value) {
        let Some(journal) = self.session.as_ref().and_then(|s| s.journal.clone()) else { return };
        let record = Record {
            at: time::now(),
            actor: match kind {
                Kind::Approved | Kind::Rejected | Kind::Refused => {
                    item.approval.as_ref().map_or_else(|| self.options.actor.clone(), |a| a.by.clone())
                }
                _ => KANSOLE.to_owned(),
            },
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
            self.control.say(Level::Error, &why, time::now());
            self.control.fall_back("the journal cannot be written", time::now());
            self.control.brakes.read_only = Some(why.into());
        }
    }
}
