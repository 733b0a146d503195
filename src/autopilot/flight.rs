//! Actions under way: started, followed, landed, learned from, and taken up again after a restart.

use super::act::told;
use super::engine::{Engine, Flight, Note};
use super::world::Level;
use crate::execute::{self, Actor, Deps, Guard, GuardHistory, Progress, Queue};
use crate::model::action::{ActionState, QueueItem, Verdict};
use crate::model::journal::Kind;
use crate::model::plan::ActionId;
use crate::model::time;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Actions that are remembered from the journal at start.
pub(super) const REMEMBERED: usize = 500;

/// Longest wait for actions under way when the loop ends.
const LANDING: Duration = Duration::from_secs(20);

impl Engine {
    /// The end: every action is asked to stop at its next safe point. A write under way is awaited, for it
    /// is short; one that only waits for its effect is found in the journal by the next start.
    pub(super) async fn end(mut self) {
        let left: Vec<ActionId> = self.flights.keys().cloned().collect();
        for flight in self.flights.values() {
            flight.cancel.cancel();
        }
        for (_, flight) in self.flights.drain() {
            if tokio::time::timeout(LANDING, flight.task).await.is_err() {
                tracing::error!("an action did not stop within {LANDING:?}; the next start looks after it");
            }
        }
        if let Some(session) = &self.session {
            session.fence.let_go().await;
        }
        self.write(Kind::SessionEnded, None, None, serde_json::json!({ "in_flight": left }));
    }

    /// Starts a task that carries an action on; its end comes back as a note.
    pub(super) fn fly(
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

    pub(super) fn deps(&self) -> Option<Deps> {
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
            fence: session.fence.clone(),
            worlds: self.judged.subscribe(),
            settings: Arc::new(self.options.settings.guard.clone()),
            progress,
            cancel: CancellationToken::new(),
            clock: Arc::new(time::now),
        })
    }

    /// An action moved. It has journalled that itself, before it said so.
    pub(super) fn progressed(&mut self, p: Progress) {
        self.journal_moved = true;
        let what = p.item.story.last().map_or_else(|| p.item.state.word().to_owned(), |m| m.what.clone());
        let level = match p.item.state {
            ActionState::Failed { .. } | ActionState::HandedOver { .. } => Level::Error,
            ActionState::Refused { .. } | ActionState::Reverting { .. } => Level::Warning,
            _ => Level::Info,
        };
        self.control.say(level, format!("{}: {what}", p.item.proposal.id), time::now());
        self.take(p.item);
    }

    /// Takes an item as its action left it.
    fn take(&mut self, item: Arc<QueueItem>) {
        if let Err(e) = self.queue.update(item) {
            self.control.say(Level::Error, format!("queue: {e}"), time::now());
        }
    }

    /// An action's task ended: the guard, the planner and the modes learn from it.
    pub(super) fn landed(&mut self, id: &ActionId, ended: Result<QueueItem, String>) {
        let now = time::now();
        self.flights.remove(id);
        self.journal_moved = true;
        match ended {
            Ok(item) => {
                self.take(Arc::new(item.clone()));
                self.guard.conclude(&item);
                if item.state.ended() {
                    self.tell_bad_end(&item);
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
        self.next_in_line(now);
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
        // However many actions came after it: what was in flight is always found.
        match journal.items(REMEMBERED).and_then(|items| Ok((items, journal.in_flight()?))) {
            Err(e) => self.control.brakes.read_only = Some(format!("the journal cannot be read: {e}").into()),
            Ok((mut items, in_flight)) => {
                items.reverse(); // the journal gives the newest first
                self.guard = Guard::new(self.options.settings.guard.clone(), GuardHistory::from_items(&items));
                items.iter().filter(|i| i.state.ended()).for_each(|i| learn(&mut self.history, i));
                self.to_resume = in_flight.iter().map(|i| i.proposal.id.clone()).collect();
                self.queue = Queue::new(REMEMBERED);
                self.queue.restore(items);
                self.queue.restore(in_flight);
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
            let permit =
                self.with_request(&item, Actor::Person, now, super::super::execute::guard::Guard::permit_resume);
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
                    self.tell_bad_end(&item);
                    self.take(Arc::new(item));
                }
                (Ok(_), None) => {}
            }
        }
    }
}

/// What the planner remembers of an action that was written: it counts, and its verdict teaches.
fn learn(history: &mut crate::plan::history::History, item: &QueueItem) {
    let (Some(approval), Some(outcome)) = (&item.approval, &item.outcome) else { return };
    history.applied(&item.proposal, approval.at);
    let recovery = item.times().to_recover().and_then(|t| u32::try_from(t.num_seconds()).ok());
    history.judged(item.proposal.strategy, outcome.verdict, recovery);
}
