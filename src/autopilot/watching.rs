//! Anomalies beside the loop: a thread of their own learns every sample once and reports the anomalies.

use super::engine::{Engine, Note};
use super::world::Level;
use crate::analyze::anomaly::Watch;
use crate::model::anomaly::{Anomalies, Anomaly};
use crate::model::journal::Kind;
use crate::model::snapshot::Snapshot;
use crate::model::time;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Samples that are learned before the thread looks for a newer snapshot and reports: a fraction of a second.
const BUDGET: usize = 5_000;
/// While a past is learned, how far it is is told this often.
const TELL: Duration = Duration::from_secs(1);

/// Between two workloads whose judges prove themselves, which takes a tenth of a second.
const PROVE: Duration = Duration::from_secs(10);

/// State of the watch.
#[derive(Debug, Default)]
pub(super) struct Watching {
    known: Arc<Anomalies>,
    /// Tells threads apart, so that one of a cluster that was left is not heard.
    run: u64,
    /// Snapshots for the thread, which ends with this.
    thread: Option<Sender<Arc<Snapshot>>>,
    broken: bool,
}

impl Watching {
    /// What is known.
    pub(super) fn anomalies(&self) -> Arc<Anomalies> {
        self.known.clone()
    }

    /// Forgets everything: the next cluster has other workloads.
    pub(super) fn forget(&mut self) {
        *self = Self { run: self.run, ..Self::default() };
    }

    fn start(&mut self, notes: &mpsc::Sender<Note>) {
        self.run += 1;
        let (run, notes) = (self.run, notes.clone());
        let (snapshots, inbox) = channel();
        match std::thread::Builder::new().name("watch".into()).spawn(move || aside(run, &inbox, &notes)) {
            Ok(_) => self.thread = Some(snapshots),
            Err(e) => tracing::warn!("no thread for the anomalies: {e}"),
        }
    }
}

/// The thread stands back for the loop and the screen: a day of samples may be waiting.
fn aside(run: u64, inbox: &Receiver<Arc<Snapshot>>, notes: &mpsc::Sender<Note>) {
    super::stand_back();
    work(run, inbox, notes);
}

/// What it does. It ends when nobody sends it snapshots or hears it any more.
fn work(run: u64, inbox: &Receiver<Arc<Snapshot>>, notes: &mpsc::Sender<Note>) {
    let mut watch = Watch::new();
    let mut told = Anomalies::default();
    let mut at = Instant::now();
    let mut proved = Instant::now();
    let Ok(mut snapshot) = inbox.recv() else { return };
    loop {
        let began = Instant::now();
        let made = catch_unwind(AssertUnwindSafe(|| {
            let backlog = watch.observe(&snapshot, time::now(), BUDGET);
            if backlog == 0 && proved.elapsed() >= PROVE {
                watch.prove(&snapshot, time::now());
                proved = Instant::now();
            }
            watch.anomalies(backlog)
        }));
        let Ok(anomalies) = made else {
            tracing::error!("the watch for anomalies ended abnormally");
            let _ = notes.blocking_send(Note::Anomalies(run, None));
            return;
        };
        let (busy, news) = (anomalies.backlog > 0, anomalies.all != told.all);
        if !busy && told.backlog > 0 {
            tracing::info!("the past of {} series is learned, {} KiB", anomalies.judged, watch.bytes() / 1024);
        }
        if news || (anomalies != told && (!busy || at.elapsed() >= TELL)) {
            (told, at) = (anomalies.clone(), Instant::now());
            if notes.blocking_send(Note::Anomalies(run, Some(anomalies))).is_err() {
                return;
            }
        }
        // A past is learned half of the time: the other half is the loop's and the screen's.
        let next = if busy {
            inbox.recv_timeout(began.elapsed())
        } else {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match next {
            Ok(newer) => snapshot = inbox.try_iter().last().unwrap_or(newer),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Engine {
    /// Hands the present snapshot to the watch.
    pub(super) fn watch(&mut self) {
        let w = &mut self.watching;
        if w.thread.is_none() && !w.broken {
            w.start(&self.notes);
        }
        if let Some(thread) = &w.thread {
            // A thread that broke down has said so.
            let _ = thread.send(self.snapshot.clone());
        }
    }

    /// Hears of the watch; what opened and ended since it was last heard is journalled.
    pub(super) fn watched(&mut self, run: u64, news: Option<Anomalies>) {
        if run != self.watching.run || self.watching.thread.is_none() {
            return;
        }
        let Some(news) = news else {
            (self.watching.thread, self.watching.broken) = (None, true);
            self.watching.known = Arc::default();
            self.control.say(Level::Error, "no anomalies: the watch for anomalies broke down", time::now());
            return;
        };
        let news = Arc::new(news);
        let before = std::mem::replace(&mut self.watching.known, news.clone());
        for i in news.open().filter(|i| before.open().all(|b| b.id != i.id)) {
            self.write(Kind::AnomalyOpened, None, Some(i.key.to_string()), serde_json::json!(i));
        }
        for b in before.open().filter(|b| news.open().all(|i| i.id != b.id)) {
            let now: Option<&Arc<Anomaly>> = news.all.iter().find(|i| i.id == b.id);
            let why = now.and_then(|i| i.ended).map_or("the workload is gone", |(_, why)| why.words());
            let i = now.unwrap_or(b);
            let mut payload = serde_json::json!(i);
            payload["why"] = why.into();
            self.write(Kind::AnomalyEnded, None, Some(i.key.to_string()), payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::anomaly::Class;
    use crate::model::fixtures;
    use crate::model::reading::Reading;
    use crate::model::series::{Series, Signal};
    use crate::model::snapshot::WorkloadMetrics;
    use chrono::TimeDelta;
    use std::collections::HashMap;

    /// One workload that was well for some hours and fails since some minutes.
    fn failing() -> Snapshot {
        let mut s = fixtures::snapshot(vec![fixtures::deployment("cart", vec![], vec![])]);
        let mut history: [Series; 7] = std::array::from_fn(|_| Series::new(30, TimeDelta::hours(24)));
        for i in 0..500 {
            let at = time::now() - TimeDelta::seconds((500 - i) * 30);
            history[Signal::RequestRate as usize].put(at, 100.0);
            history[Signal::ErrorRate as usize].put(at, if i < 490 { 0.001 } else { 0.5 });
        }
        let metrics = WorkloadMetrics { now: std::array::from_fn(|_| Reading::Absent), history };
        s.metrics.workloads = Arc::new(HashMap::from([(s.workloads[0].key.clone(), Arc::new(metrics))]));
        s
    }

    #[test]
    fn the_thread_tells_what_it_learned_and_ends_when_nothing_is_sent_any_more() {
        let (snapshots, inbox) = channel();
        let (notes, mut heard) = mpsc::channel(16);
        let thread = std::thread::spawn(move || work(7, &inbox, &notes));
        snapshots.send(Arc::new(failing())).unwrap();
        let Some(Note::Anomalies(7, Some(told))) = heard.blocking_recv() else { panic!("another note") };
        let open: Vec<_> = told.open().collect();
        assert_eq!((open.len(), open[0].class, told.backlog), (1, Class::HighErrorRate, 0));
        // What is known already opens nothing new.
        snapshots.send(Arc::new(failing())).unwrap();
        drop(snapshots);
        thread.join().unwrap();
        while let Some(note) = heard.blocking_recv() {
            assert!(matches!(note, Note::Anomalies(7, Some(again)) if again.open().count() == 1));
        }
    }
}
