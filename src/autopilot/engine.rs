//! The loop itself: one task that owns all state and hears of everything by message.

use super::Options;
use super::aftermath::Aftermath;
use super::configs::Configs;
use super::control::Control;
use super::forecasting::{Forecasting, News, near};
use super::foresight::{self, Foresight};
use super::handle::LoopHandle;
use super::notify::Notifier;
use super::observing::Observing;
use super::planning::Planning;
use super::reasoning::{Reasoning, Told};
use super::session::{OpenError, Session};
use super::sizing::Sizing;
use super::watching::Watching;
use super::world::{Command, CommandResult, Detail, Full, Level, Link, World};
use crate::analyze::Analyzer;
use crate::execute::{Guard, GuardHistory, KillHandle, Progress, Queue};
use crate::model::action::{Approval, Preview, QueueItem};
use crate::model::anomaly::Anomalies;
use crate::model::authority::LeaseView;
use crate::model::dossier::Dossier;
use crate::model::finding::{Finding, FindingId};
use crate::model::journal::Kind;
use crate::model::pipeline::Pipeline;
use crate::model::plan::{ActionId, Right};
use crate::model::service::TraceInsight;
use crate::model::sizing::Sizings;
use crate::model::snapshot::Snapshot;
use crate::model::time;
use crate::model::time::Timestamp;
use crate::monitor;
use crate::plan::history::History;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Least time between two rounds that a changing cluster triggers.
const ROUND_SPACING: Duration = Duration::from_secs(1);
/// Between two looks at the kill switch for the screen; every write looks again by itself.
const KILL_POLL: Duration = Duration::from_secs(5);
/// First wait before a broken connection is tried again; doubles to a minute.
const RECONNECT: Duration = Duration::from_secs(2);

/// What background work reports back.
pub(super) enum Note {
    /// A connection was made or not.
    Connected(Box<Result<Session, OpenError>>),
    /// A dossier for a finding arrived.
    Dossier(FindingId, Box<Dossier>),
    /// The server's dry-run of a proposal, by id and hash.
    Previewed(ActionId, String, Box<Preview>),
    /// Rights were asked for.
    Rights(BTreeMap<Right, Result<bool, String>>),
    /// An action moved.
    Progress(Box<Progress>),
    /// An action's task ended: with its item, or abnormally.
    Landed(ActionId, Box<Result<QueueItem, String>>),
    /// A run of the forecasts, by number, moved.
    Forecast(u64, News),
    /// A run of the forecasts of the next hours, by number, ended.
    Nearby(u64, near::News),
    /// Failure prediction, by number of the session, moved.
    Foresight(u64, foresight::News),
    /// The watch for anomalies, by number: all anomalies, or nothing if it broke down.
    Anomalies(u64, Option<Anomalies>),
    /// The analysis of traces, by number: what they mean, or nothing if it broke down.
    Insight(u64, Option<TraceInsight>),
    /// The reasoning about causes, by number: all incidents, or nothing if it broke down.
    Incidents(u64, Option<Told>),
    /// A ConfigMap was read, or could not be.
    Config(super::configs::Place, Box<Option<serde_json::Value>>),
    /// Right-sizing, by number: all sizes, or nothing if it broke down.
    Sized(u64, Option<Sizings>),
    /// Somebody could not be told.
    NotDelivered(String),
    /// The Lease may say something new.
    Lease,
    /// The kill switch was looked at.
    Killed(Option<Arc<str>>),
}

/// An action under way.
pub(super) struct Flight {
    /// Asks it to stop at the next safe point.
    pub(super) cancel: CancellationToken,
    /// Ends when it has stopped.
    pub(super) task: tokio::task::JoinHandle<()>,
}

/// State of the loop.
pub(super) struct Engine {
    pub(super) options: Options,
    pub(super) control: Control,
    pub(super) link: Link,
    pub(super) session: Option<Session>,
    pub(super) queue: Queue,
    pub(super) guard: Guard,
    pub(super) notifier: Notifier,
    pub(super) analyzer: Analyzer,
    pub(super) findings: Arc<[Arc<Finding>]>,
    pub(super) planning: Planning,
    pub(super) forecasting: Forecasting,
    pub(super) foresight: Foresight,
    pub(super) watching: Watching,
    pub(super) observing: Observing,
    pub(super) reasoning: Reasoning,
    pub(super) sizing: Sizing,
    pub(super) dossiers: HashMap<FindingId, Arc<Dossier>>,
    pub(super) configs: Configs,
    pub(super) aftermath: Aftermath,
    pub(super) history: History,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) rights: BTreeMap<Right, (bool, Timestamp)>,
    pub(super) flights: HashMap<ActionId, Flight>,
    /// Approved together and waiting for their turn, in the order of their approval.
    pub(super) line: VecDeque<(ActionId, Approval)>,
    /// Actions to undo as soon as they have stopped.
    pub(super) undo_next: BTreeSet<ActionId>,
    /// Actions that were in flight when kansole ended.
    pub(super) to_resume: Vec<ActionId>,
    /// Rights being asked for.
    pub(super) asking: BTreeSet<Right>,
    /// The kill switch of this process: it outlives every session.
    pub(super) kill_handle: KillHandle,
    pub(super) notes: mpsc::Sender<Note>,
    /// Snapshot and findings of the last judgement: what verification watches.
    pub(super) judged: watch::Sender<(Arc<Snapshot>, Arc<[Arc<Finding>]>)>,
    /// The snapshot that the present round of step mode works on.
    pub(super) frozen: Option<Arc<Snapshot>>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) last_round: Option<Timestamp>,
    handle: LoopHandle,
    worlds: watch::Sender<Arc<World>>,
    contexts: Arc<[Arc<str>]>,
    journal_tail: Arc<[Arc<crate::model::journal::Entry>]>,
    pub(super) journal_moved: bool,
    reconnect: Duration,
    seq: u64,
    pub(super) dirty: bool,
    ending: bool,
}

/// The receiving ends that the loop listens to.
pub(super) struct Inbox {
    pub(super) commands: mpsc::Receiver<(Command, oneshot::Sender<CommandResult>)>,
    pub(super) details: mpsc::Receiver<(Detail, oneshot::Sender<Result<Full, String>>)>,
    pub(super) notes: mpsc::Receiver<Note>,
}

impl Engine {
    pub(super) fn new(
        options: Options,
        handle: LoopHandle,
        worlds: watch::Sender<Arc<World>>,
        notes: mpsc::Sender<Note>,
    ) -> Self {
        let first = worlds.borrow().clone();
        let snapshot = first.snapshot.clone();
        let read_only = options.read_only.then(|| Arc::from("--read-only"));
        let findings: Arc<[Arc<Finding>]> = Arc::from([]);
        Self {
            control: Control::new(options.settings.guard.mode, read_only),
            link: first.link.clone(),
            session: None,
            queue: Queue::new(super::flight::REMEMBERED),
            guard: Guard::new(options.settings.guard.clone(), GuardHistory::default()),
            notifier: Notifier::start(options.receivers(), &notes),
            analyzer: Analyzer::new(),
            judged: watch::channel((snapshot.clone(), findings.clone())).0,
            findings,
            planning: Planning::default(),
            forecasting: Forecasting::default(),
            foresight: Foresight::default(),
            watching: Watching::default(),
            observing: Observing::default(),
            reasoning: Reasoning::default(),
            sizing: Sizing::default(),
            dossiers: HashMap::new(),
            configs: Configs::default(),
            aftermath: Aftermath::default(),
            history: History::default(),
            pipeline: Arc::default(),
            rights: BTreeMap::new(),
            flights: HashMap::new(),
            line: VecDeque::new(),
            undo_next: BTreeSet::new(),
            to_resume: Vec::new(),
            asking: BTreeSet::new(),
            kill_handle: KillHandle::default(),
            notes,
            frozen: None,
            snapshot,
            last_round: None,
            handle,
            worlds,
            contexts: Arc::from([]),
            journal_tail: Arc::from([]),
            journal_moved: false,
            reconnect: RECONNECT,
            seq: 0,
            dirty: true,
            ending: false,
            options,
        }
    }

    /// Runs until told to stop.
    pub(super) async fn run(mut self, mut inbox: Inbox) {
        self.connect(Duration::ZERO);
        let mut next_round = Instant::now();
        let mut wanted = true;
        let mut kill_poll = tokio::time::interval(KILL_POLL);
        kill_poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.ending {
            let due = if wanted { next_round } else { next_round + time::real(self.options.settings.guard.interval) };
            tokio::select! {
                biased;
                Some((command, reply)) = inbox.commands.recv() => {
                    let _ = reply.send(self.obey(command));
                    wanted = true;
                }
                Some(note) = inbox.notes.recv() => self.hear(note),
                () = changed(&mut self.session) => {
                    self.look();
                    wanted = true;
                }
                Some((detail, reply)) = inbox.details.recv() => self.read_in_full(detail, reply),
                _ = kill_poll.tick() => self.poll_kill_switch(),
                () = tokio::time::sleep_until(due), if self.session.is_some() => {
                    wanted = false;
                    next_round = Instant::now() + time::real(ROUND_SPACING);
                    self.round();
                }
            }
            self.want_lease();
            self.watch_auto();
            if self.dirty {
                self.publish();
            }
        }
        self.end().await;
    }

    fn now() -> Timestamp {
        time::now()
    }

    /// Takes the latest snapshot; the screen always shows it, whatever phase step mode is in.
    fn look(&mut self) {
        self.seq += 1;
        if let Some(session) = &self.session {
            self.snapshot = session.snapshot(self.seq, Self::now());
            self.dirty = true;
            self.look_ahead();
            self.foresee();
            self.watch();
            self.size();
            self.show_traces();
            self.reason(&self.observing.insight());
        }
    }

    fn hear(&mut self, note: Note) {
        self.dirty = true;
        match note {
            Note::Connected(result) => self.connected(*result),
            Note::Dossier(id, dossier) => self.plan(&id, *dossier),
            Note::Previewed(id, hash, preview) => self.previewed(&id, &hash, *preview),
            Note::Rights(rights) => self.learn_rights(rights),
            Note::Progress(progress) => self.progressed(*progress),
            Note::Landed(id, ended) => self.landed(&id, *ended),
            Note::Forecast(run, news) => self.forecast(run, news),
            Note::Nearby(run, news) => self.nearby(run, news),
            Note::Foresight(run, news) => self.foresight(run, news),
            Note::Anomalies(run, news) => self.watched(run, news),
            Note::Insight(run, news) => self.observed(run, news),
            Note::Incidents(run, news) => self.reasoned(run, news),
            Note::Config(place, answer) => self.config_read(&place, *answer),
            Note::Sized(run, made) => self.sized(run, made),
            Note::NotDelivered(why) => self.not_delivered(&why),
            Note::Lease => self.lease_seen(),
            Note::Killed(why) => self.kill_switch_seen(why),
        }
    }

    /// Starts connecting after a pause; the result comes back as a note.
    pub(super) fn connect(&mut self, after: Duration) {
        match monitor::connect::contexts(&self.options.connect) {
            Ok(names) => self.contexts = names.into(),
            Err(e) => tracing::warn!("contexts: {e}"),
        }
        let options = self.options.clone();
        let (notes, kill) = (self.notes.clone(), self.kill_handle.clone());
        tokio::spawn(async move {
            if let Some(drawn) = &options.hold {
                drawn.cancelled().await;
            }
            tokio::time::sleep(after).await;
            let result = Session::open(&options, kill).await;
            let _ = notes.send(Note::Connected(Box::new(result))).await;
        });
    }

    fn connected(&mut self, result: Result<Session, OpenError>) {
        let now = Self::now();
        match result {
            Err(e) => {
                let retry =
                    e.worth_retrying().then(|| now + chrono::TimeDelta::from_std(self.reconnect).unwrap_or_default());
                self.link = Link::Broken { why: crate::model::text::clean(&e.to_string()).into(), retry };
                self.control.say(Level::Error, e.to_string(), now);
                if retry.is_some() {
                    self.connect(self.reconnect);
                    self.reconnect = (self.reconnect * 2).min(Duration::from_secs(60));
                }
            }
            Ok(session) => {
                self.reconnect = RECONNECT;
                self.link = Link::Connected;
                self.adopt(session, now);
            }
        }
    }

    /// Makes a new session the present one: its journal, its history, what was in flight.
    fn adopt(&mut self, session: Session, now: Timestamp) {
        let info = session.conn.info.clone();
        self.control.say(Level::Info, format!("connected to {} ({})", info.context, info.server), now);
        if let Some(why) = &session.no_journal {
            self.control.brakes.read_only = Some(why.clone());
            self.control.say(Level::Warning, format!("read-only: {why}"), now);
        }
        let socket = session.dir.join("control.sock");
        let has_journal = session.journal.is_some();
        let cancel = session.cancel.clone();
        if let Some(complaint) = self.foresight.open(has_journal.then_some(&*session.dir)) {
            self.control.say(Level::Warning, complaint, now);
        }
        self.control.brakes.lease = LeaseView::Unknown;
        self.follow_lease(&session);
        self.session = Some(session);
        self.observe();
        self.look();
        if has_journal {
            self.write(
                Kind::SessionStarted,
                None,
                None,
                serde_json::json!({
                    "context": info.context, "server": info.server, "version": info.version,
                    "mode": self.control.mode, "pid": std::process::id(), "kansole": env!("CARGO_PKG_VERSION"),
                }),
            );
            self.remember();
            let handle = self.handle.clone();
            tokio::spawn(async move {
                tokio::select! {
                    r = super::socket::serve(socket, handle) => if let Err(e) = r { tracing::warn!("control socket: {e}"); },
                    () = cancel.cancelled() => {}
                }
            });
        }
    }

    /// Leaves the present session, so that nothing of it can touch the next one.
    pub(super) fn leave(&mut self) {
        self.write(Kind::SessionEnded, None, None, serde_json::json!({}));
        self.session = None;
        self.line.clear();
        self.queue = Queue::new(super::flight::REMEMBERED);
        self.guard = Guard::new(self.options.settings.guard.clone(), GuardHistory::default());
        self.analyzer = Analyzer::new();
        self.planning = Planning::default();
        self.forecasting.forget();
        self.foresight.open(None);
        self.watching.forget();
        self.observing.forget();
        self.reasoning.forget();
        self.sizing.forget();
        self.dossiers.clear();
        self.configs = Configs::default();
        self.aftermath = Aftermath::default();
        self.history = History::default();
        self.pipeline = Arc::default();
        self.rights.clear();
        self.asking.clear();
        self.to_resume.clear();
        self.findings = Arc::from([]);
        self.frozen = None;
        self.last_round = None;
        self.journal_tail = Arc::from([]);
        let context = self.options.connect.context.clone().unwrap_or_default();
        self.snapshot = World::empty(&context, Self::now()).snapshot.clone();
        self.link = Link::Connecting { context: context.into() };
        self.dirty = true;
    }

    fn read_in_full(&self, detail: Detail, reply: oneshot::Sender<Result<Full, String>>) {
        let session = self.session.as_ref();
        let server = session.and_then(|s| s.metrics.server.borrow().clone());
        super::details::answer(session.map(|s| s.conn.read.clone()), server, detail, reply);
    }

    fn publish(&mut self) {
        self.dirty = false;
        self.seq += 1;
        if self.journal_moved {
            self.journal_moved = false;
            if let Some(journal) = self.session.as_ref().and_then(|s| s.journal.clone()) {
                match journal.tail(500) {
                    Ok(entries) => self.journal_tail = entries.into_iter().map(Arc::new).collect(),
                    Err(e) => self.control.say(Level::Error, format!("journal: {e}"), Self::now()),
                }
            }
        }
        let world = World {
            seq: self.seq,
            at: Self::now(),
            link: self.link.clone(),
            snapshot: self.snapshot.clone(),
            findings: self.findings.clone(),
            predictions: self.forecasting.predictions(),
            failures: self.foresight.failures(),
            anomalies: self.watching.anomalies(),
            insight: self.observing.insight(),
            incidents: self.reasoning.incidents(),
            reasoned: self.reasoning.through(),
            sizings: self.sizing.sizings(),
            queue: self.queue.items(),
            pipeline: self.pipeline.clone(),
            unplanned: Arc::new(self.planning.unplanned()),
            slos: self.options.settings.slo.clone().into(),
            mode: self.control.mode,
            brakes: self.control.brakes.clone(),
            ladder: self.guard.ladder().into(),
            alerts: self.notifier.count,
            step: self.control.step.clone(),
            journal: self.journal_tail.clone(),
            rights: Arc::new(self.rights.iter().map(|(r, (ok, _))| (r.clone(), *ok)).collect()),
            messages: self.control.messages(),
            contexts: self.contexts.clone(),
            last_round: self.last_round,
        };
        self.worlds.send_replace(Arc::new(world));
    }

    /// Asks for the end of the loop.
    pub(super) fn stop(&mut self) {
        self.ending = true;
    }
}

async fn changed(session: &mut Option<Session>) {
    match session {
        Some(s) => s.changed().await,
        None => std::future::pending().await,
    }
}
