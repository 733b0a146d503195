//! By whose leave auto acts: the Lease, a person's confirmation, and the guard's settings, which may change while it runs.

use super::engine::{Engine, Note};
use super::record::KANSOLE;
use super::session::Session;
use crate::config::settings;
use crate::execute::guard::AUTO;
use crate::model::action::QueueItem;
use crate::model::authority::LeaseView;
use crate::model::journal::Kind;
use crate::model::time;
use crate::model::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

impl Engine {
    /// Hears of every change of the Lease.
    pub(super) fn follow_lease(&self, session: &Session) {
        let (fence, notes, cancel) = (session.fence.clone(), self.notes.clone(), session.cancel.clone());
        tokio::spawn(async move {
            let mut seen = LeaseView::Unknown;
            loop {
                tokio::select! {
                    () = fence.changed(&seen) => seen = fence.view(),
                    () = cancel.cancelled() => return,
                }
                if notes.send(Note::Lease).await.is_err() {
                    return;
                }
            }
        });
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
