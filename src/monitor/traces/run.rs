//! Starts the sources and owns the store: gathers what comes in and publishes a view of it.

use super::bounds::Incoming;
use super::read;
use super::receive::{self, Gate};
use super::store::{Limits, Store};
use super::tally::{Tally, Why};
use crate::config::settings;
use crate::model::snapshot::SourceState;
use crate::model::time;
use crate::model::trace::{Trace, TraceSource, TracesView};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Messages on their way to the store; sources wait when it is full.
const IN_FLIGHT: usize = 16;
/// Complete traces that wait to be looked at.
const COMPLETED: usize = 1024;
/// Least time between two views.
const PUBLISH: Duration = Duration::from_secs(1);
/// Longest time for which a trace is put together, in the cluster's time.
const LONGEST: Duration = Duration::from_secs(120);

/// A source's place in the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP.
    Http,
    /// Jaeger or Tempo.
    Backend,
}

/// What sources tell the store.
pub enum News {
    /// Spans were received. The place of their message is given back when they are stored.
    Spans(Slot, Vec<Incoming>, OwnedSemaphorePermit),
    /// Traces were read.
    Whole(Slot, Vec<Trace>),
    /// What a backend may hold was not read.
    Unread(u64),
    /// How a source is doing, under which name.
    Source(Slot, Arc<str>, SourceState),
}

/// Addresses that are listened on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bound {
    /// OTLP over gRPC.
    pub grpc: Option<SocketAddr>,
    /// OTLP over HTTP.
    pub http: Option<SocketAddr>,
}

/// Running trace sources. They end when their token is cancelled.
#[derive(Debug, Clone)]
pub struct TracesHandle {
    /// What is held; at most one a second.
    pub views: watch::Receiver<Arc<TracesView>>,
    /// Where spans can be sent to.
    pub bound: watch::Receiver<Bound>,
    missed: Arc<AtomicU64>,
}

impl TracesHandle {
    /// The latest view.
    pub fn view(&self) -> Arc<TracesView> {
        self.views.borrow().clone()
    }

    /// Complete traces that nobody could look at, because the queue to whoever does was full.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// Starts all sources that the settings ask for. Complete traces come out of the receiver, each once. Must be called inside a
/// tokio runtime.
pub fn spawn(
    settings: &settings::Traces,
    namespaces: &[String],
    kube: Option<&kube::Client>,
    cancel: &CancellationToken,
) -> (TracesHandle, mpsc::Receiver<Arc<Trace>>) {
    let (publish, views) = watch::channel(Arc::default());
    let (bound_tx, bound) = watch::channel(Bound::default());
    let (completed, traces) = mpsc::channel(COMPLETED);
    let missed = Arc::new(AtomicU64::new(0));
    let handle = TracesHandle { views, bound, missed: missed.clone() };
    if settings.url == "none" {
        return (handle, traces);
    }
    let tally = Arc::new(Tally::default());
    let limits = Limits {
        memory: settings.memory as usize,
        spans: settings.spans_per_trace as usize,
        // Exporters send in batches by the cluster's clock.
        quiet: time::real(settings.quiet),
        longest: time::real(LONGEST),
    };
    let store = Store::new(limits, tally.clone(), completed, missed);
    let (news, inbox) = mpsc::channel(IN_FLIGHT);
    let gate = Arc::new(Gate::new(settings, tally.clone(), news.clone()));
    let bound_tx = Arc::new(bound_tx);
    for (slot, address) in [(Slot::Grpc, &settings.otlp_grpc), (Slot::Http, &settings.otlp_http)] {
        if address != "none" {
            tokio::spawn(receive::run(slot, address.clone(), gate.clone(), bound_tx.clone(), cancel.clone()));
        }
    }
    let reader = Box::pin(read::run(settings.clone(), namespaces.to_vec(), kube.cloned(), news));
    let keeper = Box::pin(keep(store, inbox, publish, tally));
    let cancel = cancel.clone();
    tokio::spawn(async move { cancel.run_until_cancelled(async { tokio::join!(reader, keeper) }).await });
    (handle, traces)
}

/// Owns the store and the list of sources until all sources have ended.
async fn keep(
    mut store: Store,
    mut inbox: mpsc::Receiver<News>,
    publish: watch::Sender<Arc<TracesView>>,
    tally: Arc<Tally>,
) {
    let mut sources: [Option<TraceSource>; 3] = [None, None, None];
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut published: Option<Instant> = None;
    let mut changed = false;
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let (at, now) = (Instant::now(), time::now());
                store.tick(at, now);
                if changed && published.is_none_or(|then| at.duration_since(then) >= PUBLISH) {
                    let (received, rate, last) = store.received(now);
                    // While spans come or their rate is still falling, the view changes with time alone.
                    changed = rate > 0.0;
                    published = Some(at);
                    publish.send_replace(Arc::new(TracesView {
                        sources: sources.iter().flatten().cloned().collect(),
                        kept: store.kept(),
                        received,
                        rate,
                        dropped: tally.dropped(),
                        odd: tally.oddities(),
                        bytes: store.bytes(),
                        last,
                    }));
                }
            }
            news = inbox.recv() => {
                let Some(news) = news else { return };
                let now = time::now();
                changed = true;
                match news {
                    News::Spans(slot, spans, _place) => {
                        heard(&mut sources, slot, spans.len());
                        store.push(spans, Instant::now(), now);
                    }
                    News::Whole(slot, traces) => {
                        heard(&mut sources, slot, traces.iter().map(|t| t.spans.len()).sum());
                        store.whole(traces, now);
                    }
                    News::Unread(count) => tally.lost(Why::Unread, count as usize),
                    News::Source(slot, name, state) => {
                        let spans = sources[slot as usize].as_ref().map_or(0, |s| s.spans);
                        sources[slot as usize] = Some(TraceSource { name, state, spans });
                        // Whether a source works is told at once.
                        published = None;
                    }
                }
            }
        }
    }
}

fn heard(sources: &mut [Option<TraceSource>; 3], slot: Slot, spans: usize) {
    if let Some(source) = &mut sources[slot as usize] {
        source.spans += spans as u64;
        source.state = SourceState::Live { last: time::now() };
    }
}
