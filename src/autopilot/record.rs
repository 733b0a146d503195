//! What is written down, and what stops every write: the journal and the kill switch.

use super::engine::{Engine, Note};
use super::world::Level;
use crate::config::settings;
use crate::execute::Actor;
use crate::execute::guard::AUTO;
use crate::model::action::QueueItem;
use crate::model::journal::{Kind, Record};
use crate::model::plan::{ActionId, Proposal};
use crate::model::time;
use crate::model::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// The actor of what nobody decided: findings, proposals, expiry.
const KANSOLE: &str = "kansole";

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

    /// Journals what changed about what auto may do.
    pub(super) fn journal_mode(&mut self, done: Result<String, String>) -> Result<String, String> {
        done.inspect(|text| self.write(Kind::ModeChanged, None, None, json!({ "text": text })))
    }

    /// The Lease may say something new.
    pub(super) fn lease_seen(&mut self) {
        let Some(lease) = self.session.as_ref().map(|s| s.fence.view()) else { return };
        let now = time::now();
        let won = lease.is_mine() && !self.control.brakes.lease.is_mine();
        if let Some(text) = self.control.lease_seen(lease, now) {
            self.auto_stopped(&text);
        }
        if won {
            self.act_alone(now);
        }
    }

    /// Auto wants the Lease while it is switched on, and until what it began has ended.
    pub(super) fn want_lease(&self) {
        let Some(session) = &self.session else { return };
        let by_auto = |i: &&Arc<QueueItem>| i.approval.as_ref().is_some_and(|a| a.by == AUTO);
        let under_way = self.queue.items().iter().filter(by_auto).any(|i| i.state.in_flight());
        let may_write = session.journal.is_some() && self.control.brakes.read_only.is_none();
        session.fence.want(may_write && (self.control.wants_to_act_alone() || under_way));
    }

    /// Auto paused itself: that is journalled, and somebody should know.
    pub(super) fn auto_stopped(&mut self, text: &str) {
        self.write(Kind::ModeChanged, None, None, json!({ "text": text, "by": KANSOLE }));
        self.dirty = true;
    }

    /// Changed settings of the guard hold from now on. What is read once, at the start or when a connection is made,
    /// says so.
    pub(super) fn set_guard(&mut self, new: settings::Guard, now: Timestamp) -> String {
        let old = std::mem::replace(&mut self.options.settings.guard, new.clone());
        if old == new {
            return "the guard's settings are as they were".into();
        }
        let changed = differences(&old, &new);
        self.guard.set_settings(new.clone());
        if let Some(confirmed) = self.control.brakes.confirmed {
            let within = chrono::TimeDelta::from_std(new.confirm_within).unwrap_or_default();
            self.control.brakes.confirm_by = Some(confirmed + within);
        }
        self.write(Kind::PolicyChanged, None, None, json!({ "changed": changed }));
        self.review(now);
        let later = ["mode", "kill_file", "kill_configmap", "lease"];
        let names: Vec<String> = changed
            .keys()
            .map(|k| if later.contains(&k.as_str()) { format!("{k} (from the next connection)") } else { k.clone() })
            .collect();
        format!("guard settings changed: {}", names.join(", "))
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

/// Settings that differ, with old and new value.
fn differences(old: &settings::Guard, new: &settings::Guard) -> serde_json::Map<String, Value> {
    let table = |g: &settings::Guard| serde_json::to_value(g).unwrap_or_default();
    let (old, new) = (table(old), table(new));
    let keys = new.as_object().into_iter().flat_map(serde_json::Map::keys);
    keys.filter(|k| old[k.as_str()] != new[k.as_str()])
        .map(|k| (k.clone(), json!({ "from": old[k.as_str()], "to": new[k.as_str()] })))
        .collect()
}
