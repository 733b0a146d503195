//! Telling somebody who does not look: by webhook, and by the terminal's bell.
//!
//! This is the loop's voice to the outside and lives with it: only the loop knows when a proposal waits for a person,
//! when an action went wrong and when auto stopped. It never waits for a receiver: each has a bounded queue and a task of
//! its own (`deliver`), and what could not be told is told on the screen.

mod deliver;
mod words;

use super::engine::{Engine, Note};
use super::world::Level;
use crate::config::settings::{Notice, Notify};
use crate::model::action::{ActionState, QueueItem, Verdict};
use crate::model::finding::FindingId;
use crate::model::mode::Mode;
use crate::model::time::{self, Timestamp};
use chrono::TimeDelta;
use deliver::Receiver;
use serde::Serialize;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// What comes back within this was never away: a crash loop is well for a moment after each start.
const FLAPPING: TimeDelta = TimeDelta::minutes(10);
/// Alerts that wait for one receiver. What comes on top is dropped and counted.
const WAITING: usize = 64;

/// Something that somebody should come and see. Plain text from which control characters were removed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Alert {
    /// Which kind.
    pub event: Notice,
    /// When.
    pub at: Timestamp,
    /// Context of the kubeconfig.
    pub cluster: String,
    /// One line.
    pub title: String,
    /// More about it; may be empty.
    pub text: String,
    /// The action it is about.
    pub action: Option<String>,
}

/// All receivers, and what they were told.
#[derive(Default)]
pub(super) struct Notifier {
    receivers: Vec<(Notify, mpsc::Sender<Alert>)>,
    /// Findings whose proposal somebody was called for, and when they were last there.
    called: BTreeMap<FindingId, Timestamp>,
    /// Whether auto was running when last looked at.
    running: bool,
    /// The operator stopped it, who knows that.
    by_hand: bool,
    /// Alerts so far: the console rings when it grows.
    pub count: u64,
}

impl Notifier {
    /// Starts a task per receiver. They end with the notifier.
    pub(super) fn start(settings: &[Notify], notes: &mpsc::Sender<Note>) -> Self {
        let begin = |(i, notify): (usize, &Notify)| {
            let (tx, rx) = mpsc::channel(WAITING);
            let receiver = Receiver { name: format!("notify[{i}]"), settings: notify.clone() };
            tokio::spawn(deliver::run(receiver, rx, notes.clone()));
            (notify.clone(), tx)
        };
        Self { receivers: settings.iter().enumerate().map(begin).collect(), ..Self::default() }
    }

    /// Keeps in mind what is there; forgets what was away for long.
    fn seen<'a>(&mut self, present: impl Iterator<Item = &'a FindingId>, now: Timestamp) {
        for id in present {
            if let Some(last) = self.called.get_mut(id) {
                *last = now;
            }
        }
        self.called.retain(|_, last| now - *last <= FLAPPING);
    }

    /// Whether nobody was called for a finding yet. From then on somebody was.
    fn is_news(&mut self, id: &FindingId, now: Timestamp) -> bool {
        self.called.insert(id.clone(), now).is_none()
    }

    /// Hands an alert to every receiver that wants it. Gives the receivers that could not take it.
    fn tell(&mut self, alert: &Alert) -> Vec<usize> {
        self.count += 1;
        let wanting = self.receivers.iter().enumerate().filter(|(_, (s, _))| s.on.contains(&alert.event));
        wanting.filter(|(_, (_, tx))| tx.try_send(alert.clone()).is_err()).map(|(i, _)| i).collect()
    }
}

impl Engine {
    pub(super) fn alert(&mut self, event: Notice, title: String, text: String, action: Option<String>) {
        let clean = |s: String| crate::model::text::clean(&s).into_owned();
        let cluster = clean(self.snapshot.cluster.context.to_string());
        let alert = Alert { event, at: time::now(), cluster, title: clean(title), text: clean(text), action };
        for i in self.notifier.tell(&alert) {
            let why = format!("notify[{i}] was not told of {:?}: {WAITING} alerts wait for it already", alert.title);
            self.control.say(Level::Warning, why, alert.at);
        }
        self.dirty = true;
    }

    /// What a receiver's task reports: only failures.
    pub(super) fn not_delivered(&mut self, why: &str) {
        self.control.say(Level::Warning, why, time::now());
        self.dirty = true;
    }

    /// Calls a person for every proposal that waits for one, once per finding: plans follow a moving cluster, and each new
    /// one is no news.
    pub(super) fn call_for_approvals(&mut self) {
        let now = time::now();
        self.notifier.seen(self.findings.iter().map(|f| &f.id), now);
        let alone = self.control.may_act_alone();
        let waits = |i: &QueueItem| {
            let possible = i.preview.as_ref().is_some_and(|p| p.refused.is_none());
            // In auto what nothing holds back is done by itself; otherwise it waits for a person unless a gate holds it.
            i.pending() && i.proposal.plan.writes() && possible && i.blocked.is_empty() != alone
        };
        let items = self.queue.items();
        for item in items.iter().filter(|i| waits(i)) {
            if !self.notifier.is_news(&item.proposal.finding, now) {
                continue;
            }
            let p = &item.proposal;
            let mut text = format!("{} — expires {}", p.effect.text, p.expires.format("%H:%M UTC"));
            if let Some(r) = item.blocked.first() {
                text = format!("{text}; not by auto: {r}");
            }
            self.alert(Notice::Approval, format!("waits for approval: {}", p.title), text, Some(p.id.to_string()));
        }
    }

    /// Tells how an action ended, if it ended badly.
    pub(super) fn tell_bad_end(&mut self, item: &QueueItem) {
        let (event, why) = match &item.state {
            ActionState::HandedOver { why } => (Notice::HandedOver, why),
            ActionState::Failed { why } => (Notice::HandedOver, why),
            ActionState::Reverted { verdict: Some(Verdict::Harmful), why }
            | ActionState::Done { verdict: Verdict::Harmful, why } => (Notice::Harmful, why),
            _ => return,
        };
        let title = format!("{}: {}", item.state.word(), item.proposal.title);
        self.alert(event, title, why.clone(), Some(item.proposal.id.to_string()));
    }

    /// The operator changes mode or pauses: no news to anybody.
    pub(super) fn auto_by_hand(&mut self) {
        self.notifier.by_hand = true;
    }

    /// Tells that auto stopped, if nobody stopped it by hand since the last look.
    pub(super) fn watch_auto(&mut self) {
        let running = self.control.mode == Mode::Auto && !self.control.brakes.paused;
        let stopped = self.notifier.running && !running && !self.notifier.by_hand;
        (self.notifier.running, self.notifier.by_hand) = (running, false);
        if stopped {
            let why = self.control.messages().iter().find(|m| m.level != Level::Info).map(|m| m.text.to_string());
            self.alert(Notice::Paused, "auto has stopped".into(), why.unwrap_or_default(), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_flaps_is_one_call_and_what_comes_back_later_another() {
        let mut n = Notifier::default();
        let (id, start) = (FindingId::from("oom:cart"), time::now());
        let at = |minutes: i64| start + TimeDelta::minutes(minutes);
        assert!(n.is_news(&id, at(0)));
        n.seen([&id].into_iter(), at(30));
        n.seen([].into_iter(), at(39));
        assert!(!n.is_news(&id, at(39)), "it was there nine minutes ago");
        n.seen([].into_iter(), at(50));
        assert!(n.is_news(&id, at(50)), "it was away for eleven minutes");
    }
}
