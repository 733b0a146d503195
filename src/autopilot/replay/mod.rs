//! A past once more, from the journal: the same worlds in the same panes, at any speed, and nothing can be done in them.
//!
//! What the journal holds is what is shown: findings, anomalies, incidents, actions with every state they went through, modes and
//! brakes. What it does not hold (pods, metrics, traces) is shown as not known, not as it is now.

mod clock;
mod past;
#[cfg(test)]
mod tests;

pub use clock::Clock;
pub use past::Past;

use super::handle::LoopHandle;
use super::world::{Command, CommandResult, Link, World};
use crate::knowledge::journal::{Journal, JournalError};
use crate::model::journal::{Entry, Kind};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Nothing is waited for longer than this, in real time: what lies between two entries is jumped, and said.
const PATIENCE: Duration = Duration::from_secs(5);

/// What led up to it is shown from so long before.
const LEAD: TimeDelta = TimeDelta::seconds(30);

/// Which part of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// An incident, by id, to its end and the end of what was done in it.
    Incident(String),
    /// An action, by id, with the finding it answers.
    Action(String),
    /// Entries by position, both included; no end: to the last.
    Entries(u64, Option<u64>),
    /// The last session.
    LastSession,
}

/// Why there is nothing to replay.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ReplayError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal has no {what}: `kansole journal list` shows what it has")]
    Nothing { what: String },
}

/// The entries to replay, and those before them that tell how things stood.
#[derive(Debug, Clone, PartialEq)]
pub struct Reel {
    /// What it is, for the header.
    pub title: Arc<str>,
    /// From the beginning of the session.
    pub entries: Vec<Entry>,
    /// The first of `entries` that is shown as it happens.
    pub first: usize,
}

impl Reel {
    /// Finds a part of a journal.
    pub fn of(journal: &Journal, part: &Part) -> Result<Self, ReplayError> {
        let all = journal.range(1, u64::MAX)?;
        let nothing = |what: &str| ReplayError::Nothing { what: what.to_owned() };
        let (title, first, last) = match part {
            Part::Incident(id) => {
                let of = |e: &&Entry, kind: Kind| e.record.kind == kind && e.record.payload["id"] == id.as_str();
                let opened = all.iter().position(|e| of(&e, Kind::IncidentOpened));
                let opened = opened.ok_or_else(|| nothing(&format!("incident {id}")))?;
                let payload = &all[opened].record.payload;
                let since = payload["since"].as_str().and_then(|t| t.parse::<Timestamp>().ok());
                let from = since.unwrap_or(all[opened].record.at).min(all[opened].record.at) - LEAD;
                let ended = all.iter().position(|e| of(&e, Kind::IncidentEnded)).unwrap_or(all.len() - 1);
                // What was done about its findings may be judged after it is over.
                let findings = payload["findings"].as_array().cloned().unwrap_or_default();
                let proposed = |e: &Entry| findings.contains(&e.record.payload["proposal"]["finding"]);
                let acted: Vec<_> =
                    all.iter().filter(|e| proposed(e)).filter_map(|e| e.record.action.clone()).collect();
                let done = all.iter().rposition(|e| e.record.action.as_ref().is_some_and(|a| acted.contains(a)));
                let first = all.iter().position(|e| e.record.at >= from).unwrap_or(opened);
                (format!("incident {id}"), first.min(opened), ended.max(done.unwrap_or(0)))
            }
            Part::Action(id) => {
                let about = |e: &&Entry| e.record.action.as_deref() == Some(id.as_str());
                let first = all.iter().position(|e| about(&e)).ok_or_else(|| nothing(&format!("action {id}")))?;
                let last = all.iter().rposition(|e| about(&e)).unwrap_or(first);
                let finding = all[first].record.payload["proposal"]["finding"].clone();
                let found = all[..first]
                    .iter()
                    .rposition(|e| e.record.kind == Kind::FindingOpened && e.record.payload["id"] == finding);
                (format!("action {id}"), found.unwrap_or(first), last)
            }
            Part::Entries(from, to) => {
                let first = all.iter().position(|e| e.seq >= *from).ok_or_else(|| nothing(&format!("entry {from}")))?;
                let last = all.iter().rposition(|e| to.is_none_or(|to| e.seq <= to)).filter(|last| *last >= first);
                let last = last.ok_or_else(|| nothing(&format!("entries from {from} to {}", to.unwrap_or(0))))?;
                (format!("entries {} to {}", all[first].seq, all[last].seq), first, last)
            }
            Part::LastSession => {
                let first = all.iter().rposition(|e| e.record.kind == Kind::SessionStarted);
                ("the last session".to_owned(), first.ok_or_else(|| nothing("session"))?, all.len() - 1)
            }
        };
        // How things stood is told by what came before, since kansole was started.
        let began = all[..=first].iter().rposition(|e| e.record.kind == Kind::SessionStarted).unwrap_or(0);
        Ok(Self { title: title.into(), first: first - began, entries: all[began..=last].to_vec() })
    }

    /// When it begins.
    pub fn begins(&self) -> Timestamp {
        self.entries[self.first].record.at
    }
}

/// Starts a replay on the given clock, which must stand at [`Reel::begins`] and is the clock of the whole process. The handle
/// is that of a loop: it refuses everything but pausing, stepping and beginning again.
pub fn spawn(reel: Reel, clock: Arc<Clock>) -> (LoopHandle, JoinHandle<()>) {
    let past = Past::before(&reel);
    let (worlds_tx, worlds) = watch::channel(Arc::new(past.world(0, &link(&reel, &clock))));
    let (commands, mut inbox) = mpsc::channel(64);
    let (details, mut questions) = mpsc::channel(16);
    let handle = LoopHandle { worlds, commands, details };
    let task = tokio::spawn(async move {
        let mut player = Player { next: reel.first, past, reel, clock, seq: 0, worlds: worlds_tx };
        loop {
            player.publish();
            let wait = player.wait();
            tokio::select! {
                biased;
                command = inbox.recv() => {
                    let Some((command, reply)) = command else { return };
                    let end = command == Command::Shutdown;
                    let _ = reply.send(player.obey(command));
                    if end {
                        return;
                    }
                }
                Some((_, reply)) = questions.recv() => {
                    let _ = reply.send(Err("a replay shows what the journal holds, and this it does not hold".into()));
                }
                () = async { match wait { Some(d) => tokio::time::sleep(d).await, None => std::future::pending().await } } => {
                    player.advance();
                }
            }
        }
    });
    (handle, task)
}

fn link(reel: &Reel, clock: &Clock) -> Link {
    Link::Replay { of: reel.title.clone(), speed: clock.speed(), paused: !clock.runs() }
}

struct Player {
    reel: Reel,
    past: Past,
    clock: Arc<Clock>,
    /// The entry that comes next.
    next: usize,
    seq: u64,
    worlds: watch::Sender<Arc<World>>,
}

impl Player {
    /// How long until the next entry, in real time; `None`: it stands still.
    fn wait(&mut self) -> Option<Duration> {
        let entry = self.reel.entries.get(self.next).filter(|_| self.clock.runs())?;
        let at = entry.record.at;
        if self.clock.until(at) > PATIENCE {
            let from = self.clock.now();
            self.clock.jump(at);
            self.past.say(at, &format!("{} in which nothing was written down", crate::model::time::short(at - from)));
        }
        Some(self.clock.until(at))
    }

    /// The next entry happens.
    fn advance(&mut self) {
        let Some(entry) = self.reel.entries.get(self.next) else { return };
        self.past.take(entry, true);
        self.next += 1;
        if self.next == self.reel.entries.len() {
            self.clock.jump(entry.record.at);
            self.clock.pause(true);
            self.past.say(entry.record.at, "the replay is over: refresh begins it again");
            if let untold @ 1.. = self.past.untold() {
                let text =
                    format!("{untold} entries were written by an older kansole and do not tell all that happened");
                self.past.say(entry.record.at, &text);
            }
        }
    }

    fn publish(&mut self) {
        self.seq += 1;
        self.worlds.send_replace(Arc::new(self.past.world(self.seq, &link(&self.reel, &self.clock))));
    }

    fn obey(&mut self, command: Command) -> CommandResult {
        match command {
            Command::Pause { on } => {
                if !on && self.next == self.reel.entries.len() {
                    return Err("the replay is over: refresh begins it again".into());
                }
                self.clock.pause(on);
                Ok(if on { "replay paused" } else { "replay goes on" }.into())
            }
            Command::Step => {
                let entry = self.reel.entries.get(self.next).ok_or("the replay is over: refresh begins it again")?;
                self.clock.jump(entry.record.at);
                self.clock.pause(true);
                let what = entry.record.kind.as_str().to_owned();
                self.advance();
                Ok(what)
            }
            Command::Refresh => {
                self.past = Past::before(&self.reel);
                self.next = self.reel.first;
                self.clock.jump(self.reel.begins());
                self.clock.pause(false);
                Ok("from the beginning".into())
            }
            Command::Shutdown => Ok("the end".into()),
            _ => Err("this is a replay: nothing can be done in the past".into()),
        }
    }
}
