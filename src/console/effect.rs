//! What a key press may lead to. Panes and layers return effects; only the console's loop carries them out.

use super::command::PaneId;
use crate::autopilot::world::{Command, Detail, Level};
use crate::model::logs;
use crate::model::object::{ObjectRef, PodKey, Resource, WorkloadKey};
use crate::model::plan::{ActionId, Risk};
use crate::model::time::Timestamp;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A wish of the user interface.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Tell the loop something.
    Send(Command),
    /// Read something in full; the answer opens as a text layer.
    Fetch(Detail),
    /// Follow a log; its lines arrive as messages until `stop` is told.
    Follow(Following),
    /// Put a layer with a question on top.
    Ask(Question),
    /// Put a layer with a one-line input on top.
    Prompt(Prompt),
    /// Put an input for an expression on top: what it starts with, and earlier ones, newest first.
    Expression {
        /// Text it starts with.
        initial: String,
        /// Earlier expressions, newest first.
        history: Vec<String>,
    },
    /// Keep an expression for later sessions.
    Remember(String),
    /// Put a menu on top.
    Menu {
        /// Its title.
        title: String,
        /// Lines and what each leads to.
        items: Vec<(String, Effect)>,
        /// Which line is under the cursor at first: the present one, so that a hasty Enter changes nothing.
        at: usize,
    },
    /// Show text in a scrollable layer.
    Show {
        /// Its title.
        title: String,
        /// Its text.
        text: String,
    },
    /// Focus a pane, and something in it.
    Go(PaneId, Option<Target>),
    /// Copy to the operator's own clipboard (OSC 52).
    Copy(String),
    /// Tell the operator something.
    Note(Level, String),
    /// Run a command as if its key had been pressed, with all its checks.
    Run(super::command::CommandId),
    /// Set the focused pane's filter.
    Filter(String),
    /// Search in the text layer on top.
    Search(String),
    /// Play a scenario of the demo; none: end the present one.
    Play(Option<String>),
    /// Draw with another theme from now on.
    Theme(String),
    /// Close the top layer, or step back in a pane.
    Back,
    /// Ring the terminal's bell.
    Bell,
    /// Clear and draw everything again.
    Repaint,
    /// Stop the process as ctrl-z does.
    Suspend,
    /// Leave the console.
    Quit,
}

/// A log that is followed until it is stopped.
#[derive(Debug, Clone)]
pub struct Following {
    /// Which log.
    pub ask: logs::Ask,
    /// Ends it.
    pub stop: CancellationToken,
}

impl PartialEq for Following {
    fn eq(&self, other: &Self) -> bool {
        self.ask == other.ask
    }
}

/// Whose logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogsOf {
    /// All pods of a workload, also those that come later.
    Workload(WorkloadKey),
    /// Some pods with all their containers.
    Pods(Vec<PodKey>),
    /// One container.
    Container(PodKey, Arc<str>),
}

/// Where objects are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the namespace that was looked at last.
    Here,
    /// In all namespaces.
    Everywhere,
    /// In one namespace.
    In(Arc<str>),
}

/// Something to jump to.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A workload.
    Workload(WorkloadKey),
    /// An action in the queue.
    Action(ActionId),
    /// Any object.
    Object(ObjectRef),
    /// A journal entry.
    Entry(u64),
    /// A workload as it was measured around a moment.
    Moment(WorkloadKey, Timestamp),
    /// Traces that pass a filter.
    Traces(String),
    /// The list of a kind, and an object in it.
    Listed {
        /// Which kind.
        resource: Resource,
        /// Where.
        place: Place,
        /// What to point at.
        name: Option<Arc<str>>,
    },
    /// An expression for Prometheus.
    Expression(String),
    /// An expression that gives buckets, as a heatmap.
    Heat(String),
    /// Logs as they are written.
    Logs(LogsOf),
    /// The open logs from another moment on; `None`: their last lines.
    LogsSince(Option<logs::Since>),
    /// A column that is to be shown otherwise.
    Column {
        /// Which list has it.
        list: String,
        /// Its head.
        title: String,
        /// Its place in the menu of columns.
        at: usize,
    },
    /// One of the open logs by its place, or all.
    LogsOnly(Option<usize>),
}

/// A question before something dangerous. Cancel has the focus; Esc and a lost terminal mean no.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is asked: `Approve cart-oom-3f9a2c?`
    pub title: String,
    /// What the operator should read before answering.
    pub body: Vec<String>,
    /// How dangerous: low asks nothing, medium wants yes, high wants `typed`.
    pub risk: Risk,
    /// What must be typed for high risk.
    pub typed: Option<String>,
    /// What yes leads to.
    pub then: Box<Effect>,
}

/// A one-line input and what its text is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Its label.
    pub label: String,
    /// Text it starts with.
    pub initial: String,
    /// What the text is for.
    pub purpose: Purpose,
}

/// What an input is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Purpose {
    /// The focused pane's filter, applied while typing.
    Filter,
    /// The reason of a rejection, of one or several.
    RejectReason(Vec<ActionId>),
    /// Another value in a plan.
    Adjust {
        /// Which action.
        id: ActionId,
        /// The hash of the plan that was on the screen.
        hash: String,
    },
    /// Search inside a text layer.
    Search,
    /// Context to switch to.
    Context,
    /// Namespaces to watch, separated by commas; empty: all.
    Namespaces,
}
