//! Load forecasts beside the loop: a thread of their own computes them whenever new history was read.

pub(super) mod near;

use super::engine::{Engine, Note};
use super::world::Level;
use crate::analyze::forecast::ledger::Ledger;
use crate::analyze::forecast::{Subject, predict, subjects};
use crate::model::prediction::{LongHistory, Prediction, Predictions, Work};
use crate::model::time;
use crate::model::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// What the thread reports. `run` tells runs apart, so that one of a cluster that was left is not heard.
#[derive(Debug)]
pub(super) enum News {
    /// So many series are done, of so many.
    Progress { done: usize, total: usize },
    /// All are done; `None` if it stopped early.
    Ended(Option<Vec<Prediction>>),
}

/// State of the forecasts.
#[derive(Debug, Default)]
pub(super) struct Forecasting {
    known: Arc<Predictions>,
    ledger: Ledger,
    run: u64,
    running: Option<Run>,
    /// When the history behind the last run was read.
    read: Option<Timestamp>,
    near: near::Nearcast,
}

/// A run under way; dropped, it stops.
#[derive(Debug)]
struct Run {
    history: Arc<LongHistory>,
    cancel: Arc<AtomicBool>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

impl Forecasting {
    /// What is known.
    pub(super) fn predictions(&self) -> Arc<Predictions> {
        self.known.clone()
    }

    /// Forgets everything: the next cluster has other workloads. The number of the run stays, so that the last one is
    /// not heard.
    pub(super) fn forget(&mut self) {
        let mut near = std::mem::take(&mut self.near);
        near.forget();
        *self = Self { run: self.run, near, ..Self::default() };
    }

    /// Starts a run if this is history that no run has seen, and none is under way.
    fn look(&mut self, history: &Arc<LongHistory>, of: impl FnOnce() -> Vec<Subject>, notes: &mpsc::Sender<Note>) {
        if history.read.is_none() || history.read == self.read || self.running.is_some() {
            return;
        }
        self.read = history.read;
        self.run += 1;
        let (run, of, notes) = (self.run, of(), notes.clone());
        let (cancel, seen) = (Arc::new(AtomicBool::new(false)), history.clone());
        let told = cancel.clone();
        let work = move || compute(run, &seen, &of, &told, &notes);
        match std::thread::Builder::new().name("forecast".into()).spawn(work) {
            Ok(_) => self.running = Some(Run { history: history.clone(), cancel }),
            Err(e) => tracing::warn!("no thread for the forecasts: {e}"),
        }
    }

    /// Hears of a run. An answer is what the operator must know of it.
    fn hear(&mut self, run: u64, news: News, now: Timestamp) -> Option<&'static str> {
        if run != self.run || self.running.is_none() {
            return None;
        }
        let made = match news {
            News::Progress { done, total } => {
                Arc::make_mut(&mut self.known).work = Work::Running { done, total };
                return None;
            }
            News::Ended(made) => made,
        };
        let ended = self.running.take()?;
        // Cancelled runs are of clusters that were left, and not heard: this one broke down.
        let Some(mut made) = made else {
            Arc::make_mut(&mut self.known).work = Work::Idle;
            return Some("no forecasts: their computation broke down");
        };
        self.ledger.settle(&ended.history);
        self.ledger.enter(&mut made);
        let all = made.into_iter().map(Arc::new).collect();
        let near = self.known.near.clone();
        self.known = Arc::new(Predictions { work: Work::Idle, made: Some(now), read: self.read, all, near });
        None
    }
}

/// The thread. Half of the cores are left to the loop and the screen, and on Linux, where a thread can do so for itself,
/// it stands back for them on the others.
fn compute(run: u64, history: &LongHistory, of: &[Subject], cancel: &AtomicBool, notes: &mpsc::Sender<Note>) {
    super::stand_back();
    let threads = (std::thread::available_parallelism().map_or(1, std::num::NonZero::get) / 2).max(1);
    let percent = AtomicUsize::new(0);
    let progress = |done: usize, total: usize| {
        let now = done * 100 / total.max(1);
        if percent.fetch_max(now, Ordering::Relaxed) < now {
            // A loop that is behind hears of the next percent.
            let _ = notes.try_send(Note::Forecast(run, News::Progress { done, total }));
        }
    };
    // A fault in one model must not leave the operator before a bar that never moves.
    let work = std::panic::AssertUnwindSafe(|| predict(history, of, threads, cancel, &progress));
    let made = std::panic::catch_unwind(work).unwrap_or_else(|_| {
        tracing::error!("the forecasts ended abnormally");
        None
    });
    // A loop that has ended needs no answer.
    let _ = notes.blocking_send(Note::Forecast(run, News::Ended(made)));
}

impl Engine {
    /// Starts a run if there is history that no run has seen, and one for the next hours if it is time for it.
    pub(super) fn look_ahead(&mut self) {
        let snapshot = &self.snapshot;
        self.forecasting.look(&snapshot.metrics.long, || subjects(&snapshot.workloads), &self.notes);
        self.forecasting.near.look(snapshot, &self.notes);
    }

    /// Hears of a run.
    pub(super) fn forecast(&mut self, run: u64, news: News) {
        let now = time::now();
        if let Some(bad) = self.forecasting.hear(run, news, now) {
            self.control.say(Level::Error, bad, now);
        }
        // While it was at work the next hour may have been read.
        self.look_ahead();
    }

    /// Hears of the next hours.
    pub(super) fn nearby(&mut self, run: u64, news: near::News) {
        let f = &mut self.forecasting;
        if let Some(known) = f.near.hear(run, news) {
            Arc::make_mut(&mut f.known).near = known;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::object::{WorkloadKey, WorkloadKind};
    use crate::model::prediction::Track;
    use crate::model::series::Signal;

    fn key() -> WorkloadKey {
        WorkloadKey::new("shop", WorkloadKind::Deployment, "web")
    }

    fn at(second: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(second, 0).unwrap()
    }

    /// Three hours of one workload: too short to say anything, which is known at once.
    fn history(read: i64) -> Arc<LongHistory> {
        let track = Arc::new(Track { from: at(0), values: vec![Some(1.0); 3] });
        let tracks = [((key(), Signal::Cpu), track)].into();
        Arc::new(LongHistory { read: Some(at(read)), tracks, ..LongHistory::default() })
    }

    fn subject() -> Vec<Subject> {
        vec![Subject { key: key(), bounds: crate::model::bounds::Bounds::default() }]
    }

    /// Takes what the thread says until it has ended.
    fn ended(heard: &mut mpsc::Receiver<Note>) -> (u64, News) {
        loop {
            match heard.blocking_recv() {
                Some(Note::Forecast(run, news @ News::Ended(_))) => return (run, news),
                Some(Note::Forecast(..)) => {}
                _ => panic!("only forecasts are told of here"),
            }
        }
    }

    #[test]
    fn new_history_is_forecast_once_and_the_result_says_from_what() {
        let (notes, mut heard) = mpsc::channel(8);
        let mut f = Forecasting::default();
        f.look(&Arc::new(LongHistory::default()), subject, &notes);
        assert!(f.running.is_none(), "nothing was read yet");
        f.look(&history(100), subject, &notes);
        f.look(&history(200), || unreachable!("one run at a time"), &notes);
        let (run, news) = ended(&mut heard);
        assert_eq!(f.hear(run, news, at(101)), None);
        let known = f.predictions();
        assert_eq!((known.made, known.read, known.all.len()), (Some(at(101)), Some(at(100)), 2));
        f.look(&history(100), || unreachable!("that history was seen"), &notes);
        f.look(&history(200), subject, &notes);
        assert!(f.running.is_some(), "the next hour");
    }

    #[test]
    fn a_cluster_that_was_left_is_not_heard_of_and_its_run_stops() {
        let (notes, mut heard) = mpsc::channel(8);
        let mut f = Forecasting::default();
        f.look(&history(100), subject, &notes);
        let cancel = f.running.as_ref().unwrap().cancel.clone();
        f.forget();
        assert!(cancel.load(Ordering::Relaxed));
        let (run, news) = ended(&mut heard);
        assert_eq!(f.hear(run, news, at(101)), None);
        assert_eq!(*f.predictions(), Predictions::default());
        f.look(&history(100), subject, &notes);
        assert!(f.running.is_some(), "the same hour of another cluster");
    }

    #[test]
    fn progress_is_shown_and_a_broken_run_says_so_and_keeps_what_was_known() {
        let (notes, mut heard) = mpsc::channel(8);
        let mut f = Forecasting::default();
        f.look(&history(100), subject, &notes);
        let (run, news) = ended(&mut heard);
        f.hear(run, news, at(101));
        f.look(&history(200), subject, &notes);
        f.hear(run + 1, News::Progress { done: 1, total: 3 }, at(201));
        assert_eq!(f.predictions().work, Work::Running { done: 1, total: 3 });
        f.hear(run, News::Progress { done: 2, total: 3 }, at(201));
        assert_eq!(f.predictions().work, Work::Running { done: 1, total: 3 }, "another run's news");
        assert!(f.hear(run + 1, News::Ended(None), at(202)).unwrap().contains("broke down"));
        let known = f.predictions();
        assert_eq!((known.work, known.made, known.all.len()), (Work::Idle, Some(at(101)), 2));
    }
}
