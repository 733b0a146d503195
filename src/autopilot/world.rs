//! What the loop shows to the outside, and what the outside may tell the loop.

use crate::config::settings::{self, Slo};
use crate::model::action::QueueItem;
use crate::model::anomaly::Anomalies;
use crate::model::authority::{LeaseView, Standing};
use crate::model::browse;
use crate::model::failure::Failures;
use crate::model::finding::Finding;
use crate::model::incident::Incidents;
use crate::model::journal::Entry;
use crate::model::logs;
use crate::model::mode::{Mode, PhaseName};
use crate::model::object::{ObjectRef, PodKey, WorkloadKey};
use crate::model::pipeline::Pipeline;
use crate::model::plan::{ActionId, Right};
use crate::model::prediction::Predictions;
use crate::model::query;
use crate::model::service::TraceInsight;
use crate::model::sizing::Sizings;
use crate::model::snapshot::{ClusterInfo, Snapshot};
use crate::model::time::Timestamp;
use crate::model::trace::{Trace, TracePath};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How the console is connected.
#[derive(Debug, Clone, PartialEq)]
pub enum Link {
    /// Not tried yet, or under way.
    Connecting {
        /// Kubeconfig context.
        context: Arc<str>,
    },
    /// A client exists; how fresh the data is, the snapshot tells.
    Connected,
    /// Not connected: the past is shown, from the journal.
    Replay {
        /// Which part of it.
        of: Arc<str>,
        /// How many times as fast as it was.
        speed: f64,
        /// It stands still.
        paused: bool,
    },
    /// No client could be made: place and remedy.
    Broken {
        /// What to show.
        why: Arc<str>,
        /// When it is tried again; `None`: only by hand.
        retry: Option<Timestamp>,
    },
}

/// Why automation stands still, if it does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Brakes {
    /// Auto is paused by hand or since start.
    pub paused: bool,
    /// The kill switch is on, and which one.
    pub killed: Option<Arc<str>>,
    /// Automation stands back by itself: the reason.
    pub held: Option<Arc<str>>,
    /// When a person last confirmed auto.
    pub confirmed: Option<Timestamp>,
    /// Until when auto goes on without being confirmed again.
    pub confirm_by: Option<Timestamp>,
    /// Who holds the Lease that auto needs.
    pub lease: LeaseView,
    /// No write may happen at all (`--read-only`, or the journal is held by another kansole).
    pub read_only: Option<Arc<str>>,
}

/// What one phase of the last round produced, for step mode.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseProduct {
    /// Which phase.
    pub phase: PhaseName,
    /// When it ran.
    pub at: Timestamp,
    /// How long it took, milliseconds.
    pub took_ms: f64,
    /// What it produced, one line each.
    pub lines: Vec<String>,
}

/// Step mode: what ran, and what is next.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepView {
    /// Phase that runs on the next step.
    pub next: PhaseName,
    /// Products of the present round, oldest first.
    pub products: Vec<PhaseProduct>,
    /// Rounds finished.
    pub round: u64,
}

/// A message for the operator; kept in a history.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// When.
    pub at: Timestamp,
    /// How serious.
    pub level: Level,
    /// One line.
    pub text: Arc<str>,
}

/// How serious a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Info,
    Warning,
    Error,
}

/// Everything the loop knows, immutable; a new one is published whenever something changed.
#[derive(Debug, Clone)]
pub struct World {
    /// Grows by one with every publication.
    pub seq: u64,
    /// When it was published.
    pub at: Timestamp,
    /// Connection.
    pub link: Link,
    /// What is.
    pub snapshot: Arc<Snapshot>,
    /// What it means, worst first.
    pub findings: Arc<[Arc<Finding>]>,
    /// What was never so: anomalies of workloads.
    pub anomalies: Arc<Anomalies>,
    /// What belongs together, and its likeliest causes.
    pub incidents: Arc<Incidents>,
    /// Incidents take into account all that was known then; `None`: nothing was looked at yet.
    pub reasoned: Option<Timestamp>,
    /// What traces mean.
    pub insight: Arc<TraceInsight>,
    /// What load is expected of the next day.
    pub predictions: Arc<Predictions>,
    /// What is about to fail.
    pub failures: Arc<Failures>,
    /// What containers should ask for.
    pub sizings: Arc<Sizings>,
    /// Queue, oldest first: pending, in flight, and the last that ended.
    pub queue: Arc<[Arc<QueueItem>]>,
    /// What each stage of the pipeline decided about each opted-in workload.
    pub pipeline: Arc<Pipeline>,
    /// Why findings have no proposal, by finding id.
    pub unplanned: Arc<BTreeMap<Arc<str>, Arc<str>>>,
    /// SLOs of the configuration: what the readings of the snapshot are held against.
    pub slos: Arc<[Slo]>,
    /// Mode.
    pub mode: Mode,
    /// What holds automation back.
    pub brakes: Brakes,
    /// Where kinds of action that were taken stand on the autonomy ladder.
    pub ladder: Arc<[Standing]>,
    /// Grows by one with everything that somebody should come and see.
    pub alerts: u64,
    /// Step mode.
    pub step: StepView,
    /// Last entries of the journal, newest first.
    pub journal: Arc<[Arc<Entry>]>,
    /// What the user may do, as the server answered; a right that is not here was not asked yet.
    pub rights: Arc<BTreeMap<Right, bool>>,
    /// Messages, newest first.
    pub messages: Arc<[Message]>,
    /// Contexts of the kubeconfig.
    pub contexts: Arc<[Arc<str>]>,
    /// When the loop last finished a round.
    pub last_round: Option<Timestamp>,
}

impl World {
    /// The world before anything was asked.
    pub fn empty(context: &str, now: Timestamp) -> Self {
        let none: Arc<str> = "".into();
        let cluster = ClusterInfo {
            id: none.clone(),
            context: context.into(),
            server: none.clone(),
            version: none.clone(),
            user: none,
            namespaces: None,
        };
        Self {
            seq: 0,
            at: now,
            link: Link::Connecting { context: context.into() },
            snapshot: Arc::new(Snapshot::empty(cluster, now)),
            findings: Arc::from([]),
            anomalies: Arc::default(),
            incidents: Arc::default(),
            reasoned: None,
            insight: Arc::default(),
            predictions: Arc::default(),
            failures: Arc::default(),
            sizings: Arc::default(),
            queue: Arc::from([]),
            pipeline: Arc::default(),
            unplanned: Arc::default(),
            slos: Arc::from([]),
            mode: Mode::default(),
            brakes: Brakes::default(),
            ladder: Arc::from([]),
            alerts: 0,
            step: StepView::default(),
            journal: Arc::from([]),
            rights: Arc::default(),
            messages: Arc::from([]),
            contexts: Arc::from([]),
            last_round: None,
        }
    }

    /// Proposals that wait for a decision; advice is none, for there is nothing to approve.
    pub fn pending(&self) -> usize {
        self.queue.iter().filter(|i| i.pending() && !i.proposal.plan.steps.is_empty()).count()
    }

    /// An item of the queue by id.
    pub fn item(&self, id: &str) -> Option<&Arc<QueueItem>> {
        self.queue.iter().find(|i| &*i.proposal.id == id)
    }
}

/// A plan as it was on the screen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shown {
    /// Which action.
    pub id: ActionId,
    /// The hash of its plan.
    pub hash: String,
}

/// What the outside may tell the loop. Every command is journalled with its actor.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Approve the plan with this hash, as it was shown.
    Approve {
        /// Which.
        id: ActionId,
        /// Hash that was on the screen.
        hash: String,
    },
    /// Approve several plans, each as it was shown. They are carried out in this order, as the guard has room for them.
    ApproveAll {
        /// Which.
        plans: Vec<Shown>,
    },
    /// Plan the same with another value; the proposal that comes of it waits for its own approval.
    Adjust {
        /// Which.
        id: ActionId,
        /// Hash that was on the screen.
        hash: String,
        /// What shall be written instead, in the server's notation: `300Mi`, `4`. Empty: what the planner reckons.
        to: String,
    },
    /// Say no.
    Reject {
        /// Which.
        id: ActionId,
        /// Why; may be empty from the console, never from auto.
        reason: String,
    },
    /// Ask again later: the proposal goes, and its finding is planned again after that time if it still holds.
    Snooze {
        /// Which.
        id: ActionId,
        /// For how long.
        minutes: u32,
    },
    /// Undo an action that was applied.
    Revert {
        /// Which.
        id: ActionId,
    },
    /// Change the mode. Auto starts paused.
    SetMode {
        /// To what.
        mode: Mode,
    },
    /// Pause or resume auto.
    Pause {
        /// On or off.
        on: bool,
    },
    /// A person is there: auto may go on for another while.
    Confirm,
    /// Take changed settings of the guard over. Only from the configuration: no script may loosen what holds it.
    #[serde(skip)]
    SetGuard {
        /// All of them.
        guard: Box<settings::Guard>,
    },
    /// Pull or release the kill switch of this console.
    Kill {
        /// On or off.
        on: bool,
    },
    /// Run the next phase (step mode).
    Step,
    /// Run a round now.
    Refresh,
    /// Connect to another context of the kubeconfig.
    SwitchContext {
        /// Which.
        context: String,
    },
    /// Limit what is watched to these namespaces; empty: the whole cluster.
    SetNamespaces {
        /// Which.
        namespaces: Vec<String>,
    },
    /// Propose other requests and limits for a workload, if it needs others.
    Rightsize {
        /// Which.
        workload: WorkloadKey,
    },
    /// Train the model of failures on what Prometheus kept of the last day.
    Train,
    /// Stop a training under way.
    CancelTraining,
    /// Go back to the model of failures before the present one.
    RollModelBack,
    /// Verify the hash chain of the journal; the answer says what was found.
    VerifyJournal,
    /// Stop: finish what must be finished, write the end of the session.
    Shutdown,
}

/// Why a command was not done, or what was done.
pub type CommandResult = Result<String, String>;

/// Something to read in full: fetched only when opened.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// An object as YAML, secrets masked, managedFields left out.
    Yaml(ObjectRef),
    /// Last lines of a container's log, and what follows.
    Logs {
        /// Pod.
        pod: PodKey,
        /// Container; `None` for the first.
        container: Option<Arc<str>>,
        /// The instance before the last restart.
        previous: bool,
        /// Lines from the end.
        tail: u32,
    },
    /// The critical path of a trace.
    Path(Arc<Trace>),
    /// What Prometheus answers to an expression of the operator.
    Query(query::Query),
    /// Names that an expression may use.
    Words(query::Wanted),
    /// Every kind that this cluster lists.
    Kinds(Arc<str>),
    /// Objects of one kind.
    List(browse::Ask),
    /// An object in words, with its events.
    Describe(ObjectRef),
    /// What differs between an object and what was applied last.
    Drift(ObjectRef),
    /// The log of a container as it is written. Its lines go where it says, until nobody takes them; the answer is empty.
    Follow(logs::Ask, Lines),
}

/// Where the lines of a followed log go.
#[derive(Debug, Clone)]
pub struct Lines(pub mpsc::Sender<logs::Batch>);

impl PartialEq for Lines {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

/// What a request for details gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Full {
    /// Text to be read.
    Text(String),
    /// The path of the trace that was asked about.
    Path(TracePath),
    /// The answer to an expression, or why there is none.
    Query(Result<query::Answer, query::Fault>),
    /// Names for expressions.
    Words(query::Words),
    /// Kinds.
    Kinds(Vec<browse::Kind>),
    /// Objects.
    Listed(browse::Listed),
}
