//! The task that keeps the metrics: connects, asks every step, fills the past in the background, and survives
//! that Prometheus goes away. It owns the book; everyone else gets immutable views.

use super::backfill::{self, Filled, Job, Waiting};
use super::batch::Batch;
use super::book::Book;
use super::calls;
use super::long;
use super::past;
use super::pods::PodIndex;
use super::queries::Live;
use super::slo::{self, Kept};
use super::targets;
use super::usage;
use crate::config::Settings;
use crate::model::failure::{Call, Past};
use crate::model::prediction::LongHistory;
use crate::model::sizing::UsageHistory;
use crate::model::snapshot::{MetricsView, Snapshot, SourceState, Targets};
use crate::model::time;
use crate::model::time::Timestamp;
use crate::monitor::prometheus::client::Limits;
use crate::monitor::prometheus::discover::{self, Wanted};
use crate::monitor::prometheus::{Profile, PromClient, PromError, profile};
use chrono::{DurationRound as _, TimeDelta};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Least time between two steps.
const LEAST_STEP: f64 = 5.0;
/// First wait before a lost Prometheus is tried again; doubles to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The profile is looked at again this often: installers and applications change.
const REDETECT: TimeDelta = TimeDelta::minutes(10);
/// SLOs are asked at most this often.
const SLO_EVERY: TimeDelta = TimeDelta::seconds(60);
/// Two weeks of hours are read again so long after a failure.
const LONG_AGAIN: TimeDelta = TimeDelta::minutes(5);
/// What containers used is read so long after two weeks of hours, which are asked for first…
const USAGE_AFTER: TimeDelta = TimeDelta::seconds(60);
/// …and again so often.
const USAGE_EVERY: TimeDelta = TimeDelta::hours(1);
/// After an hour is full its last samples may still be on their way.
const HOUR_SETTLES: TimeDelta = TimeDelta::minutes(1);

/// Most bytes of an answer to what is asked by hand.
const BY_HAND: usize = 16 * 1024 * 1024;

/// The running collector. It ends when the token it was given is cancelled.
#[derive(Debug)]
pub struct MetricsHandle {
    /// What is known; a new view with every step and every change of state.
    pub views: watch::Receiver<Arc<MetricsView>>,
    /// The server that was found, for what is asked by hand; `None` while there is none.
    pub server: watch::Receiver<Option<PromClient>>,
    /// Asks for what failure prediction learns from.
    pub asks: mpsc::Sender<Ask>,
    /// The task, to be awaited after cancelling.
    pub task: JoinHandle<()>,
}

/// What is asked of the past.
#[derive(Debug)]
pub struct Ask {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Where the answer goes. Dropped without one when the server is lost.
    pub answer: oneshot::Sender<Past>,
}

/// Starts the collector. `kube` is needed for `prometheus = "auto"`: a client that does not retry by itself.
/// `snapshots` tell which pods belong to which workload. Returns at once; state, and why there are no
/// numbers, are in the views. Must be called inside a tokio runtime.
pub fn spawn(
    settings: Arc<Settings>,
    kube: Option<kube::Client>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    cancel: CancellationToken,
) -> MetricsHandle {
    let (out, views) = watch::channel(Arc::new(MetricsView::default()));
    let (asks, asked) = mpsc::channel(1);
    let (found, server) = watch::channel(None);
    let span = TimeDelta::from_std(settings.monitor.history).unwrap_or(TimeDelta::hours(24));
    let collector = Collector {
        limits: Limits::from_settings(&settings.monitor),
        kept: settings.slo.iter().map(Kept::new).collect(),
        book: Book::new(settings.monitor.metrics_step.map_or(30, |s| step(s.as_secs_f64())), span),
        state: SourceState::Unknown,
        profile: None,
        waiting: Waiting::default(),
        filling: 0,
        known: HashSet::new(),
        long: Arc::default(),
        long_due: Timestamp::UNIX_EPOCH,
        usage: Arc::default(),
        usage_due: None,
        span,
        settings,
        kube,
        calls: Arc::from([]),
        targets: Arc::from([]),
        asked,
        snapshots,
        out,
        found,
    };
    let task = tokio::spawn(async move {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = collector.run() => {}
        }
    });
    MetricsHandle { views, server, asks, task }
}

/// Whole seconds, at least 5.
fn step(seconds: f64) -> u32 {
    seconds.max(LEAST_STEP).ceil() as u32
}

struct Collector {
    settings: Arc<Settings>,
    limits: Limits,
    kube: Option<kube::Client>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    out: watch::Sender<Arc<MetricsView>>,
    found: watch::Sender<Option<PromClient>>,
    book: Book,
    kept: Vec<Kept>,
    state: SourceState,
    profile: Option<Arc<Profile>>,
    waiting: Waiting,
    /// Workloads whose past is being read.
    filling: usize,
    /// Workloads whose past was asked for.
    known: HashSet<crate::model::object::WorkloadKey>,
    /// Two weeks of hours, and when they are to be read again.
    long: Arc<LongHistory>,
    long_due: Timestamp,
    /// What containers used in eight days, and when it is to be read again; `None`: not before the two weeks are there.
    usage: Arc<UsageHistory>,
    usage_due: Option<Timestamp>,
    calls: Arc<[Call]>,
    targets: Arc<[Targets]>,
    asked: mpsc::Receiver<Ask>,
    span: TimeDelta,
}

/// What background work brings.
enum Done {
    Slos(Vec<Kept>, slo::Reach),
    Profile(Result<Box<Profile>, PromError>),
    Backfill(Job, Result<usize, PromError>),
    Long(Result<LongHistory, PromError>),
    Usage(Result<UsageHistory, PromError>),
    Past,
}

/// Background work of one connection; all of it ends with the connection.
struct Jobs {
    done: mpsc::Sender<Done>,
    filled: mpsc::Sender<Filled>,
    backfill: Option<AbortOnDropHandle<()>>,
    slos: Option<AbortOnDropHandle<()>>,
    detect: Option<AbortOnDropHandle<()>>,
    long: Option<AbortOnDropHandle<()>>,
    usage: Option<AbortOnDropHandle<()>>,
    past: Option<AbortOnDropHandle<()>>,
    slos_asked: Option<Timestamp>,
    detected: Timestamp,
}

impl Collector {
    async fn run(mut self) {
        let wanted = Wanted::from_setting(&self.settings.connection.prometheus);
        if wanted == Wanted::Nothing {
            self.state = SourceState::NotServed;
            self.publish();
            return;
        }
        let mut wait = FIRST_WAIT;
        self.state = SourceState::Syncing { since: time::now() };
        self.publish();
        loop {
            let why = match self.connect(&wanted).await {
                Ok((client, profile)) => {
                    wait = FIRST_WAIT;
                    // It stays when the server is lost: whoever asks by hand is then told why it does not answer.
                    self.found.send_replace(Some(client.aside().holding(BY_HAND)));
                    Box::pin(self.session(client, profile)).await.to_string()
                }
                Err(why) => why,
            };
            self.fail(&why, time::now());
            self.rest(wait, &why).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Waits, while what is shown grows old.
    async fn rest(&mut self, wait: Duration, why: &str) {
        let until = tokio::time::Instant::now() + wait;
        while tokio::time::Instant::now() < until {
            let next = (tokio::time::Instant::now() + Duration::from_secs(5)).min(until);
            tokio::time::sleep_until(next).await;
            self.fail(why, time::now());
        }
    }

    async fn connect(&mut self, wanted: &Wanted) -> Result<(PromClient, Profile), String> {
        let found = discover::connect(wanted, &self.settings.connection, self.limits, self.kube.as_ref()).await;
        let client = found.map_err(|e| e.to_string())?.ok_or("Prometheus is turned off")?;
        let profile = profile::detect(&client, &self.nodes(), time::now()).await.map_err(|e| e.to_string())?;
        Ok((client, profile))
    }

    fn nodes(&self) -> Vec<String> {
        self.snapshots.borrow().nodes.iter().map(|n| n.name.to_string()).collect()
    }

    fn fresh_for(&self) -> TimeDelta {
        self.profile.as_ref().map_or(TimeDelta::seconds(60), |p| p.fresh_for())
    }

    fn fail(&mut self, why: &str, now: Timestamp) {
        let (since, last) = match &self.state {
            SourceState::Failed { since, last, .. } => (*since, *last),
            SourceState::Live { last } => (now, Some(*last)),
            _ => (now, None),
        };
        let why: Arc<str> = why.into();
        self.state = SourceState::Failed { since, last, why: why.clone() };
        let limit = self.fresh_for();
        self.book.lost(&why, limit, now);
        self.calls = Arc::from([]);
        self.targets = Arc::from([]);
        for kept in &mut self.kept {
            kept.age(now, limit);
        }
        self.publish();
    }

    fn publish(&self) {
        self.out.send_replace(Arc::new(MetricsView {
            state: self.state.clone(),
            profile: self.profile.as_ref().map(|p| Arc::new(p.shown.clone())),
            step: self.book.step(),
            workloads: self.book.workloads(),
            pods: self.book.pods(),
            slos: self.kept.iter().map(|k| k.readings.clone()).collect(),
            node_memory: self.book.nodes(),
            node_stolen: self.book.stolen(),
            saturated: self.book.saturated(),
            long: self.long.clone(),
            usage: self.usage.clone(),
            calls: self.calls.clone(),
            filling: self.waiting.count() + self.filling,
            targets: self.targets.clone(),
        }));
    }

    fn adopt(&mut self, profile: Profile, now: Timestamp) -> Live {
        let wanted = self.settings.monitor.metrics_step.map(|s| s.as_secs_f64());
        self.book.set_step(step(wanted.unwrap_or(profile.interval_s)), now);
        let live = Live::new(&profile);
        self.profile = Some(Arc::new(profile));
        live
    }

    /// Runs until the server is lost; gives the reason.
    async fn session(&mut self, client: PromClient, profile: Profile) -> PromError {
        let now = time::now();
        // What could not be asked while it was lost is filled like everything else that lies in the past.
        if let SourceState::Failed { last: Some(lost), .. } = self.state {
            for key in &self.known {
                self.waiting.add(key.clone(), lost.max(now - self.span));
            }
        }
        let mut live = self.adopt(profile, now);
        let (done, mut finished) = mpsc::channel(8);
        let (filled, mut points) = mpsc::channel(64);
        let (backfill, slos, detect, long, usage, past, slos_asked) = (None, None, None, None, None, None, None);
        let mut jobs = Jobs { done, filled, backfill, slos, detect, long, usage, past, slos_asked, detected: now };
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(next) => {
                    if let Err(e) = Box::pin(self.tick(&client, &live)).await {
                        return e;
                    }
                    self.start(&mut jobs, &client);
                    next = tokio::time::Instant::now() + time::real(until_slot(time::now(), self.book.step()));
                }
                // The first pods do not wait for the next slot: nobody looks at an empty table for a minute.
                Ok(()) = self.snapshots.changed(), if self.known.is_empty() => {
                    if !self.snapshots.borrow_and_update().workloads.is_empty() {
                        next = tokio::time::Instant::now();
                    }
                }
                Some(ask) = self.asked.recv(), if jobs.past.is_none() => self.read_past(&mut jobs, &client, ask),
                Some(Filled { key, signal, points }) = points.recv() => self.book.fill(&key, signal, &points),
                Some(message) = finished.recv() => match message {
                    Done::Slos(kept, reach) => {
                        self.kept = kept;
                        if reach == slo::Reach::Period {
                            jobs.slos = None;
                        }
                        self.publish();
                    }
                    Done::Profile(Ok(profile)) => (live, jobs.detect) = (self.adopt(*profile, time::now()), None),
                    Done::Profile(Err(e)) => {
                        // The next step tells whether the server is lost; until then the old profile serves.
                        tracing::warn!("the metrics profile could not be read again: {e}");
                        jobs.detect = None;
                    }
                    Done::Backfill(job, result) => {
                        jobs.backfill = None;
                        self.filled(&job, result);
                    }
                    Done::Past => jobs.past = None,
                    Done::Long(result) => {
                        jobs.long = None;
                        self.remember(result, time::now());
                    }
                    Done::Usage(result) => {
                        jobs.usage = None;
                        self.remember_usage(result, time::now());
                    }
                },
            }
        }
    }

    fn filled(&mut self, job: &Job, result: Result<usize, PromError>) {
        self.filling = 0;
        match result {
            Ok(refused) => {
                tracing::info!("history of {} workloads filled, {refused} queries refused", job.keys.len());
                self.publish();
            }
            Err(e) => {
                tracing::warn!("history could not be filled: {e}");
                job.keys.iter().for_each(|k| self.waiting.add(k.clone(), job.from));
            }
        }
    }

    /// Takes two weeks of hours over; what an earlier reading brought outlives one that fails.
    fn remember(&mut self, result: Result<LongHistory, PromError>, now: Timestamp) {
        match result {
            Ok(history) => {
                let full = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now) + TimeDelta::hours(1);
                self.long_due = full + HOUR_SETTLES;
                self.long = Arc::new(history);
                self.usage_due.get_or_insert(now + USAGE_AFTER);
            }
            Err(e) => {
                self.long_due = now + LONG_AGAIN;
                let failed = Some((now, e.to_string().into()));
                self.long = Arc::new(LongHistory { failed, ..(*self.long).clone() });
            }
        }
        self.publish();
    }

    /// Takes eight days of containers over, in the same way.
    fn remember_usage(&mut self, result: Result<UsageHistory, PromError>, now: Timestamp) {
        match result {
            Ok(history) => {
                self.usage_due = Some(now + USAGE_EVERY);
                self.usage = Arc::new(history);
            }
            Err(e) => {
                self.usage_due = Some(now + LONG_AGAIN);
                let failed = Some((now, e.to_string().into()));
                self.usage = Arc::new(UsageHistory { failed, ..(*self.usage).clone() });
            }
        }
        self.publish();
    }

    async fn tick(&mut self, client: &PromClient, live: &Live) -> Result<(), PromError> {
        let Some(profile) = self.profile.clone() else { return Ok(()) };
        let (batch, calls, up) = tokio::join!(
            Batch::fetch(client, live),
            calls::ask(client, &profile),
            Box::pin(targets::ask(client, &profile))
        );
        if let Some(e) = batch.lost() {
            return Err(e.clone());
        }
        let (now, snapshot) = (time::now(), self.snapshots.borrow_and_update().clone());
        let index = PodIndex::new(&snapshot);
        self.book.absorb(&index, &snapshot.nodes, &profile, &batch, now);
        self.targets = up.into();
        // What is not answered is not known: dependencies are not judged then.
        self.calls = calls.map_or_else(|| Arc::from([]), |(queries, answers)| queries.read(&index, &answers).into());
        for workload in snapshot.workloads.iter().filter(|w| !self.known.contains(&w.key)) {
            let born = workload.created.unwrap_or(now - self.span);
            self.waiting.add(workload.key.clone(), born.max(now - self.span));
        }
        let there: HashSet<_> = snapshot.workloads.iter().map(|w| w.key.clone()).collect();
        self.known = there;
        self.state = SourceState::Live { last: now };
        self.publish();
        Ok(())
    }

    /// Reads what failure prediction learns from, for all workloads there are.
    fn read_past(&self, jobs: &mut Jobs, client: &PromClient, ask: Ask) {
        let Some(profile) = self.profile.clone() else { return };
        let (done, client, snapshot) = (jobs.done.clone(), client.aside(), self.snapshots.borrow().clone());
        let keys = snapshot.workloads.iter().map(|w| w.key.clone()).collect();
        let job = Job { keys, from: ask.from, to: ask.to, step: self.book.step() };
        jobs.past = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            match past::read(&client, &profile, &PodIndex::new(&snapshot), &job).await {
                // Whoever no longer waits needs no answer.
                Ok(past) => drop(ask.answer.send(past)),
                Err(e) => tracing::warn!("the past could not be read: {e}"),
            }
            let _ = done.send(Done::Past).await;
        })));
    }

    /// Starts background work that is due and not under way.
    fn start(&mut self, jobs: &mut Jobs, client: &PromClient) {
        let Some(profile) = self.profile.clone() else { return };
        let (now, snapshot) = (time::now(), self.snapshots.borrow().clone());
        if jobs.backfill.is_none()
            && let Some(job) = self.waiting.take(now, self.book.step())
        {
            self.filling = job.keys.len();
            let (done, filled, client) = (jobs.done.clone(), jobs.filled.clone(), client.aside());
            let (profile, snapshot) = (profile.clone(), snapshot.clone());
            jobs.backfill = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                let index = PodIndex::new(&snapshot);
                let result = backfill::run(&client, &profile, &index, &job, &filled).await;
                let _ = done.send(Done::Backfill(job, result)).await;
            })));
        }
        if jobs.long.is_none() && now >= self.long_due && !snapshot.workloads.is_empty() {
            let (done, client, profile) = (jobs.done.clone(), client.aside(), profile.clone());
            let snapshot = snapshot.clone();
            jobs.long = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                let found = long::read(&client, &profile, &PodIndex::new(&snapshot), now).await;
                let _ = done.send(Done::Long(found)).await;
            })));
        }
        if jobs.usage.is_none() && jobs.long.is_none() && self.usage_due.is_some_and(|due| now >= due) {
            let (done, client, profile) = (jobs.done.clone(), client.aside(), profile.clone());
            let snapshot = snapshot.clone();
            jobs.usage = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                let found = usage::read(&client, &profile, &PodIndex::new(&snapshot), now).await;
                let _ = done.send(Done::Usage(found)).await;
            })));
        }
        let due = |last: Option<Timestamp>, every| last.is_none_or(|at| now.signed_duration_since(at) >= every);
        if jobs.slos.is_none() && !self.kept.is_empty() && due(jobs.slos_asked, SLO_EVERY) {
            jobs.slos_asked = Some(now);
            let (done, client, profile) = (jobs.done.clone(), client.aside(), profile);
            let (slos, kept) = (self.settings.clone(), self.kept.clone());
            jobs.slos = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                let mut kept = kept;
                for reach in [slo::Reach::Hours, slo::Reach::Period] {
                    let mut new = Vec::with_capacity(kept.len());
                    for (slo, kept) in slos.slo.iter().zip(kept) {
                        new.push(slo::refresh(&client, &profile, slo, kept, reach, time::now()).await);
                    }
                    let _ = done.send(Done::Slos(new.clone(), reach)).await;
                    kept = new;
                }
            })));
        }
        if jobs.detect.is_none() && due(Some(jobs.detected), REDETECT) {
            jobs.detected = now;
            let (done, client, nodes) = (jobs.done.clone(), client.aside(), self.nodes());
            jobs.detect = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                let found = profile::detect(&client, &nodes, time::now()).await.map(Box::new);
                let _ = done.send(Done::Profile(found)).await;
            })));
        }
    }
}

/// Time until just after the next slot of the rings begins, so that every slot gets exactly one step.
fn until_slot(now: Timestamp, step: u32) -> Duration {
    let step = u64::from(step) * 1000;
    let ms = now.timestamp_millis().max(0) as u64;
    Duration::from_millis(step - ms % step + 50)
}

#[cfg(test)]
#[path = "collect_test.rs"]
mod tests;
