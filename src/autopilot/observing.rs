//! Traces beside the loop: a thread of their own looks at every complete one, and reports what they mean together.

use super::engine::{Engine, Note};
use super::world::Level;
use crate::analyze::traces::Window;
use crate::config::settings::Slo;
use crate::model::service::TraceInsight;
use crate::model::snapshot::Snapshot;
use crate::model::time;
use crate::model::trace::Trace;
use crate::monitor::traces::TracesHandle;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// What is known is told this often at most.
const TELL: Duration = Duration::from_secs(1);
/// Traces that are looked at before anything else is.
const BATCH: usize = 256;

/// State of the observer.
#[derive(Debug, Default)]
pub(super) struct Observing {
    known: Arc<TraceInsight>,
    /// Tells threads apart, so that one of a cluster that was left is not heard.
    run: u64,
    /// Snapshots for the thread, which ends with this.
    thread: Option<watch::Sender<Arc<Snapshot>>>,
}

/// What the thread works on.
struct Work {
    run: u64,
    slos: Vec<Slo>,
    traces: mpsc::Receiver<Arc<Trace>>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    handle: TracesHandle,
    notes: mpsc::Sender<Note>,
}

impl Observing {
    /// What is known.
    pub(super) fn insight(&self) -> Arc<TraceInsight> {
        self.known.clone()
    }

    /// Forgets everything: the next cluster has other services.
    pub(super) fn forget(&mut self) {
        *self = Self { run: self.run, ..Self::default() };
    }
}

impl Work {
    /// Looks at traces as they come. It ends when nobody sends it snapshots or hears it any more.
    async fn run(mut self) {
        let mut window = Window::new(&self.slos);
        let mut told: Option<TraceInsight> = None;
        let mut at: Option<Instant> = None;
        let mut open = true;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                news = self.snapshots.changed() => {
                    if news.is_err() {
                        return;
                    }
                    if at.is_some_and(|at| at.elapsed() < TELL) {
                        continue;
                    }
                    let snapshot = self.snapshots.borrow_and_update().clone();
                    let missed = self.handle.missed();
                    let Some(insight) = guarded(|| window.insight(&snapshot, time::now(), missed)) else { break };
                    at = Some(Instant::now());
                    if told.as_ref() != Some(&insight) {
                        told = Some(insight.clone());
                        if self.notes.send(Note::Insight(self.run, Some(insight))).await.is_err() {
                            return;
                        }
                    }
                }
                count = self.traces.recv_many(&mut batch, BATCH), if open => {
                    open = count > 0;
                    let now = time::now();
                    if guarded(|| batch.drain(..).for_each(|trace| window.take(&trace, now))).is_none() {
                        break;
                    }
                }
            }
        }
        tracing::error!("the analysis of traces ended abnormally");
        let _ = self.notes.send(Note::Insight(self.run, None)).await;
    }
}

/// What `work` makes; `None` if it broke down.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

impl Engine {
    /// Starts looking at the traces of a new session.
    pub(super) fn observe(&mut self) {
        self.observing.forget();
        let Some(session) = &mut self.session else { return };
        let Some(traces) = session.completed.take() else { return };
        self.observing.run += 1;
        let (snapshots_tx, snapshots) = watch::channel(self.snapshot.clone());
        let work = Work {
            run: self.observing.run,
            slos: self.options.settings.slo.clone(),
            traces,
            snapshots,
            handle: session.traces.clone(),
            notes: self.notes.clone(),
        };
        // The thread stands back for the loop and the screen.
        let aside = move || {
            super::stand_back();
            futures::executor::block_on(work.run());
        };
        match std::thread::Builder::new().name("traces".into()).spawn(aside) {
            Ok(_) => self.observing.thread = Some(snapshots_tx),
            Err(e) => tracing::warn!("no thread for the traces: {e}"),
        }
    }

    /// Hands the present snapshot to the thread.
    pub(super) fn show_traces(&self) {
        if let Some(thread) = &self.observing.thread {
            thread.send_replace(self.snapshot.clone());
        }
    }

    /// Hears of the thread.
    pub(super) fn observed(&mut self, run: u64, news: Option<TraceInsight>) {
        if run != self.observing.run || self.observing.thread.is_none() {
            return;
        }
        let Some(news) = news else {
            self.observing.forget();
            self.control.say(
                Level::Error,
                "no map and no critical paths: the analysis of traces broke down",
                time::now(),
            );
            return;
        };
        self.observing.known = Arc::new(news);
    }
}
