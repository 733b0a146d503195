//! Right-sizing beside the loop: a thread of its own works out what every container should ask for whenever their use was
//! read again; the loop makes findings of it for the workloads whose size somebody wants to hear of.

use super::engine::{Engine, Note};
use super::world::Level;
use crate::analyze::size;
use crate::model::finding::{Finding, FindingId, Subject};
use crate::model::object::WorkloadKey;
use crate::model::sizing::{Prices, Sizings, UsageHistory};
use crate::model::snapshot::Snapshot;
use crate::model::time;
use crate::model::time::Timestamp;
use crate::plan::rightsize::fleet;
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Worked out again so often, beside each time that use was read.
const AGAIN: TimeDelta = TimeDelta::minutes(5);

/// State of right-sizing.
#[derive(Debug, Default)]
pub(super) struct Sizing {
    known: Arc<Sizings>,
    /// Workloads whose size a person asked about.
    asked: BTreeSet<WorkloadKey>,
    seen: BTreeMap<FindingId, Timestamp>,
    run: u64,
    running: Option<Run>,
    /// When the history behind the last run was read.
    read: Option<Timestamp>,
}

/// A run under way; dropped, it stops.
#[derive(Debug)]
struct Run(Arc<AtomicBool>);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Sizing {
    /// What is known.
    pub(super) fn sizings(&self) -> Arc<Sizings> {
        self.known.clone()
    }

    /// Forgets everything but the number of the run, so that the last one is not heard.
    pub(super) fn forget(&mut self) {
        *self = Self { run: self.run, ..Self::default() };
    }

    /// Starts a run if this is history that no run has seen, and none is under way.
    fn look(&mut self, snapshot: &Arc<Snapshot>, notes: &mpsc::Sender<Note>, now: Timestamp) {
        let history = &snapshot.metrics.usage;
        if history.failed != self.known.failed {
            Arc::make_mut(&mut self.known).failed.clone_from(&history.failed);
        }
        // Pods and their autoscalers move on while the history stays.
        let old = self.known.made.is_none_or(|made| now - made >= AGAIN);
        if history.read.is_none() || (history.read == self.read && !old) || self.running.is_some() {
            return;
        }
        self.read = history.read;
        self.run += 1;
        let (run, notes, cancel) = (self.run, notes.clone(), Arc::new(AtomicBool::new(false)));
        let (history, snapshot, told) = (history.clone(), snapshot.clone(), cancel.clone());
        let work = move || {
            super::stand_back();
            let made = compute(&history, &snapshot, now, &told);
            // A loop that has ended needs no answer.
            let _ = notes.blocking_send(Note::Sized(run, made));
        };
        match std::thread::Builder::new().name("rightsize".into()).spawn(work) {
            Ok(_) => self.running = Some(Run(cancel)),
            Err(e) => tracing::warn!("no thread for right-sizing: {e}"),
        }
    }

    /// Hears of a run. An answer is what the operator must know of it.
    fn hear(&mut self, run: u64, made: Option<Sizings>) -> Option<&'static str> {
        if run != self.run || self.running.take().is_none() {
            return None;
        }
        match made {
            Some(made) => self.known = Arc::new(made),
            None => return Some("no right-sizing: its computation broke down"),
        }
        None
    }

    /// Asks for a proposal for one workload.
    fn ask(&mut self, key: &WorkloadKey) -> Result<String, String> {
        if self.known.of(key).next().is_none() {
            let silent = self.known.silent.iter().find(|((k, _), _)| k == key);
            return Err(match (silent, self.known.made) {
                (Some(((_, container), why)), _) => format!("nothing is said of {key}, {container}: {why}"),
                (None, None) => "what containers used was not read yet".to_owned(),
                (None, Some(_)) => format!("no use of {key} was measured"),
            });
        }
        if self.known.of(key).all(|s| s.next.is_none()) {
            return Err(format!("{key} asks for what it needs; nothing changes"));
        }
        self.asked.insert(key.clone());
        Ok(format!("a change of the size of {key} is being planned"))
    }

    /// Findings for the workloads of a picture: those that opted in if `all` is set, and those that were asked about.
    pub(super) fn findings(&mut self, snapshot: &Snapshot, all: bool, now: Timestamp) -> Vec<Finding> {
        let asked = &self.asked;
        let wanted = |w: &crate::model::cluster::Workload| (all && w.opted_in) || asked.contains(&w.key);
        let found = size::find(&self.known, snapshot, wanted, &mut self.seen, now);
        // Once for each question: the next step is proposed when somebody asks again.
        self.asked.retain(|key| found.iter().any(|f| f.subject == Subject::Workload(key.clone())));
        found
    }
}

/// A fault in the recommender must not take the loop with it.
fn compute(history: &UsageHistory, snapshot: &Snapshot, now: Timestamp, cancel: &AtomicBool) -> Option<Sizings> {
    let work = std::panic::AssertUnwindSafe(|| fleet::all(history, snapshot, now, cancel));
    std::panic::catch_unwind(work).unwrap_or_else(|_| {
        tracing::error!("right-sizing ended abnormally");
        None
    })
}

impl Engine {
    /// Starts a run if there is use that no run has seen.
    pub(super) fn size(&mut self) {
        self.sizing.look(&self.snapshot, &self.notes, time::now());
    }

    /// Hears of a run.
    pub(super) fn sized(&mut self, run: u64, made: Option<Sizings>) {
        let plan = &self.options.settings.plan;
        let prices = Prices { core: plan.price_core, gib: plan.price_gib };
        let made = made.map(|made| Sizings { prices, ..made });
        if let Some(bad) = self.sizing.hear(run, made) {
            self.control.say(Level::Error, bad, time::now());
        }
    }

    /// A person wants a proposal for the size of a workload.
    pub(super) fn ask_for_size(&mut self, key: &WorkloadKey) -> Result<String, String> {
        let said = self.sizing.ask(key)?;
        self.round();
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures as fx;

    fn picture(read: i64) -> Arc<Snapshot> {
        let mut snapshot = fx::snapshot(vec![fx::healthy("cart", 2)]);
        let key = (fx::healthy("cart", 2).key, Arc::from("app"));
        let pods = Arc::new(vec![fleet::steady(192, 0.5, 10e6); 2]);
        let containers = [(key, pods)].into();
        snapshot.metrics.usage =
            Arc::new(UsageHistory { read: Some(fx::ago(read)), containers, ..UsageHistory::default() });
        Arc::new(snapshot)
    }

    fn heard(notes: &mut mpsc::Receiver<Note>) -> (u64, Option<Sizings>) {
        match notes.blocking_recv() {
            Some(Note::Sized(run, made)) => (run, made),
            _ => panic!("only sizes are told of here"),
        }
    }

    #[test]
    fn sizes_are_told_when_asked_for_and_for_those_that_opted_in_if_that_is_set() {
        let (notes, mut inbox) = mpsc::channel(8);
        let mut s = Sizing::default();
        let (one, cart) = (picture(100), fx::healthy("cart", 2).key);
        assert!(s.ask(&cart).unwrap_err().contains("not read yet"));
        s.look(&one, &notes, fx::now());
        let (run, made) = heard(&mut inbox);
        assert_eq!(s.hear(run, made), None);
        assert_eq!(s.findings(&one, true, fx::now()), [], "it did not opt in, and nobody asked");
        assert!(s.ask(&fx::healthy("other", 1).key).unwrap_err().contains("no use of"));
        s.ask(&cart).unwrap();
        assert_eq!(s.findings(&one, false, fx::now()).len(), 1);
        s.look(&one, &notes, fx::now());
        assert!(s.running.is_none(), "that reading was seen");
        s.look(&picture(50), &notes, fx::now());
        assert!(s.running.is_some(), "the next hour");
        s.forget();
        let (run, made) = heard(&mut inbox);
        assert_eq!((s.hear(run, made), s.sizings().made), (None, None), "of a cluster that was left");
    }
}
