//! Forecasts of the next hours beside the loop: a thread makes them anew every few minutes from the samples there are then.

use crate::analyze::forecast::near::{All, NearLedger, predict};
use crate::analyze::forecast::subjects;
use crate::autopilot::engine::Note;
use crate::model::prediction::{Nearby, Silence};
use crate::model::snapshot::{Snapshot, SourceState};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Between two runs; sooner while the rings are still being filled.
const AGAIN: TimeDelta = TimeDelta::minutes(5);
const FILLING: TimeDelta = TimeDelta::minutes(1);
/// It rests so many times as long as it worked, whatever the clock of the cluster does: a twentieth of a core at most.
const RESTS: u32 = 20;

/// What the thread brings back; `None` if it broke down or was stopped.
pub(in crate::autopilot) type News = Option<Box<(NearLedger, All, Duration)>>;

/// State of the forecasts of the next hours.
#[derive(Debug, Default)]
pub(super) struct Nearcast {
    run: u64,
    /// A run under way.
    cancel: Option<Arc<AtomicBool>>,
    /// `None` while it is lent.
    ledger: Option<Box<NearLedger>>,
    /// The samples and the hours that the last run saw.
    seen: Option<(Timestamp, Option<Timestamp>)>,
    filling: bool,
    rests: Option<Instant>,
}

impl Drop for Nearcast {
    fn drop(&mut self) {
        if let Some(cancel) = &self.cancel {
            cancel.store(true, Ordering::Relaxed);
        }
    }
}

impl Nearcast {
    /// Forgets everything but the number of the run, so that the last one is not heard.
    pub fn forget(&mut self) {
        let run = self.run;
        *self = Self::default();
        self.run = run;
    }

    /// Starts a run if it is time for one, and none is under way.
    pub fn look(&mut self, snapshot: &Arc<Snapshot>, notes: &mpsc::Sender<Note>) {
        let SourceState::Live { last } = snapshot.metrics.state else { return };
        let read = snapshot.metrics.long.read;
        let pause = if self.filling { FILLING } else { AGAIN };
        let due = self.seen.is_none_or(|(at, hours)| hours != read || last - at >= pause);
        let rests = self.rests.is_some_and(|until| Instant::now() < until);
        if read.is_none() || !due || rests || self.cancel.is_some() {
            return;
        }
        self.seen = Some((last, read));
        self.run += 1;
        let (run, snapshot, notes) = (self.run, snapshot.clone(), notes.clone());
        let cancel = Arc::new(AtomicBool::new(false));
        let (told, mut ledger) = (cancel.clone(), self.ledger.take().unwrap_or_default());
        let work = move || {
            super::super::stand_back();
            let began = Instant::now();
            let work = std::panic::AssertUnwindSafe(|| {
                ledger.settle(&snapshot.metrics.workloads, last);
                let mut made = predict(&snapshot, &subjects(&snapshot.workloads), &told)?;
                ledger.enter(&mut made);
                Some(Box::new((*ledger, made, began.elapsed())))
            });
            let made = std::panic::catch_unwind(work).unwrap_or_else(|_| {
                tracing::error!("the forecasts of the next hours ended abnormally");
                None
            });
            // A loop that has ended needs no answer.
            let _ = notes.blocking_send(Note::Nearby(run, made));
        };
        match std::thread::Builder::new().name("nearcast".into()).spawn(work) {
            Ok(_) => self.cancel = Some(cancel),
            Err(e) => tracing::warn!("no thread for the forecasts of the next hours: {e}"),
        }
    }

    /// Hears of a run: what is known now.
    pub fn hear(&mut self, run: u64, news: News) -> Option<Nearby> {
        if run != self.run {
            return None;
        }
        self.cancel.take()?;
        let (ledger, all, took) = *news?;
        self.filling = all.values().any(|n| matches!(n.outlook, Err(Silence::Young { .. })));
        (self.ledger, self.rests) = (Some(Box::new(ledger)), Some(Instant::now() + took * RESTS));
        Some(Nearby { made: self.seen.map(|s| s.0), all: Arc::new(all) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures;
    use crate::model::prediction::LongHistory;
    use crate::model::reading::Reading;
    use crate::model::series::{Series, Signal};
    use crate::model::snapshot::WorkloadMetrics;
    use std::collections::HashMap;

    fn at(minute: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_700_000_000 + minute * 60, 0).unwrap()
    }

    /// A workload with so many minutes of samples, and hours that were read or not.
    fn world(minutes: i64, hours: bool) -> Arc<Snapshot> {
        let mut s = fixtures::snapshot(vec![fixtures::deployment("cart", vec![], vec![])]);
        let mut history: [Series; 7] = std::array::from_fn(|_| Series::new(60, TimeDelta::hours(24)));
        (0..minutes).for_each(|i| history[Signal::Cpu as usize].put(at(i), 1.0));
        let metrics = WorkloadMetrics { now: std::array::from_fn(|_| Reading::Absent), history };
        s.metrics.workloads = Arc::new(HashMap::from([(s.workloads[0].key.clone(), Arc::new(metrics))]));
        s.metrics.state = SourceState::Live { last: at(minutes - 1) };
        s.metrics.long = Arc::new(LongHistory { read: hours.then(|| at(0)), ..LongHistory::default() });
        Arc::new(s)
    }

    fn news(heard: &mut mpsc::Receiver<Note>) -> (u64, News) {
        match heard.blocking_recv() {
            Some(Note::Nearby(run, news)) => (run, news),
            _ => panic!("only the next hours are told of here"),
        }
    }

    #[test]
    fn a_run_waits_for_the_hours_and_the_next_one_for_its_time() {
        let (notes, mut heard) = mpsc::channel(4);
        let mut n = Nearcast::default();
        n.look(&world(30, false), &notes);
        assert!(n.cancel.is_none(), "without hours there is no time of day");
        n.look(&world(30, true), &notes);
        n.look(&world(60, true), &notes);
        assert_eq!(n.run, 1, "one run at a time");
        let (run, said) = news(&mut heard);
        let known = n.hear(run, said).unwrap();
        assert_eq!((known.made, known.all.len()), (Some(at(29)), 1));
        n.rests = None;
        n.look(&world(34, true), &notes);
        assert_eq!(n.run, 1, "it was made a moment ago");
        n.look(&world(35, true), &notes);
        assert_eq!(n.run, 2);
        let (run, said) = news(&mut heard);
        let before = Instant::now();
        n.hear(run, said).unwrap();
        assert!(n.rests.is_some_and(|until| until >= before));
        n.rests = Some(Instant::now() + Duration::from_secs(600));
        n.look(&world(600, true), &notes);
        assert_eq!(n.run, 2, "it rests after its work");
    }

    #[test]
    fn a_cluster_that_was_left_is_not_heard_of_and_a_broken_run_leaves_what_was_known() {
        let (notes, mut heard) = mpsc::channel(4);
        let mut n = Nearcast::default();
        n.look(&world(30, true), &notes);
        n.forget();
        let (run, said) = news(&mut heard);
        assert_eq!(n.hear(run, said), None);
        n.look(&world(30, true), &notes);
        let (run, _) = news(&mut heard);
        assert_eq!((run, n.hear(run, None)), (2, None));
        assert!(n.cancel.is_none(), "the next one may start");
    }
}
