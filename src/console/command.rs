//! The command registry: every command once, with its title, doc, default keys, scope and danger.
//!
//! Key dispatch, footer hints, help, palette, gating, and the generated key reference all read this
//! table, so they cannot disagree.

use serde::{Deserialize, Serialize};

/// The panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum PaneId {
    Overview,
    Workloads,
    Metrics,
    Actions,
    Journal,
    Predictions,
    Traces,
    Map,
    Promql,
    Help,
}

impl PaneId {
    /// All panes in the order of their number keys.
    pub const ALL: [Self; 10] = [
        Self::Overview,
        Self::Workloads,
        Self::Metrics,
        Self::Actions,
        Self::Journal,
        Self::Predictions,
        Self::Traces,
        Self::Map,
        Self::Promql,
        Self::Help,
    ];

    /// As typed after `snapshot --pane` and shown in the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Workloads => "workloads",
            Self::Metrics => "metrics",
            Self::Actions => "actions",
            Self::Journal => "journal",
            Self::Predictions => "predictions",
            Self::Traces => "traces",
            Self::Map => "map",
            Self::Promql => "promql",
            Self::Help => "help",
        }
    }
}

/// Where a command is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everywhere.
    Global,
    /// In every pane with a list or text.
    List,
    /// In one pane only.
    Pane(PaneId),
}

/// What a command can do to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Danger {
    /// Looks only.
    None,
    /// Changes what kansole may do, or approves something.
    Control,
}

/// One command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandSpec {
    /// Its id.
    pub id: CommandId,
    /// Its name in keymaps and the palette.
    pub name: &'static str,
    /// A short title for hints.
    pub title: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Keys of the default keymap.
    pub keys: &'static [&'static str],
    /// Where it is known.
    pub scope: Scope,
    /// What it can do.
    pub danger: Danger,
}

macro_rules! commands {
    ($($id:ident $name:literal $title:literal [$($key:literal),*] $scope:expr, $danger:ident, $doc:literal;)*) => {
        /// Every command by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum CommandId { $($id,)* }

        /// The registry, in the order of the enum.
        pub const COMMANDS: &[CommandSpec] = &[$(CommandSpec {
            id: CommandId::$id, name: $name, title: $title, doc: $doc, keys: &[$($key),*],
            scope: $scope, danger: Danger::$danger,
        },)*];
    };
}

commands! {
    Quit "quit" "quit" ["q", "ctrl-c"] Scope::Global, None, "Leave the console; actions in flight are finished or handed over first.";
    Help "help" "help" ["?"] Scope::Global, None, "Show the keys of the focused pane.";
    Palette "palette" "commands" [":"] Scope::Global, None, "Find any command by name.";
    Overview "overview" "overview" ["1"] Scope::Global, None, "Incidents, findings, SLOs, sources and modes at a glance.";
    Workloads "workloads" "workloads" ["2"] Scope::Global, None, "Namespaces, workloads, pods and containers.";
    Metrics "metrics" "metrics" ["3"] Scope::Global, None, "Charts of the selected workload.";
    Actions "actions" "actions" ["4"] Scope::Global, None, "The queue of proposals and what became of them.";
    Journal "journal" "journal" ["5"] Scope::Global, None, "Everything that was decided and done.";
    Predictions "predictions" "predictions" ["6"] Scope::Global, None, "Which workload is about to fail, and what load is expected of the next day.";
    Traces "traces" "traces" ["7"] Scope::Global, None, "Requests across services: which were slow or failed, and why.";
    Map "map" "map" ["8"] Scope::Global, None, "Which service calls which, and how it goes.";
    Promql "promql" "promql" ["9"] Scope::Global, None, "Ask Prometheus anything: a table or a chart of an expression.";
    NextPane "next-pane" "next" ["tab"] Scope::Global, None, "Focus the next pane.";
    PreviousPane "previous-pane" "previous" ["backtab"] Scope::Global, None, "Focus the previous pane.";
    Back "back" "back" ["esc"] Scope::Global, None, "Close the top layer or step out. Never approves anything.";
    Refresh "refresh" "refresh" ["ctrl-r"] Scope::Global, None, "Run a round of the loop now.";
    Repaint "repaint" "repaint" ["ctrl-l"] Scope::Global, None, "Clear the screen and draw it again.";
    Suspend "suspend" "suspend" ["ctrl-z"] Scope::Global, None, "Stop the console and return to the shell; fg comes back.";
    Messages "messages" "messages" ["m"] Scope::Global, None, "Show the history of messages.";
    Contexts "contexts" "context" ["C"] Scope::Global, None, "Connect to another context of the kubeconfig.";
    Namespaces "namespaces" "namespaces" ["N"] Scope::Global, None, "Limit what is watched to some namespaces.";
    Mode "mode" "mode" ["M"] Scope::Global, Control, "Choose observe, manual, step or auto.";
    Pause "pause" "pause" ["P"] Scope::Global, Control, "Pause or resume auto mode.";
    Confirm "confirm" "confirm auto" ["A"] Scope::Global, Control, "Say that you are there: auto goes on for another while.";
    Kill "kill-switch" "kill switch" ["K"] Scope::Global, Control, "Stop every write at once; again to release it.";
    Step "step" "step" ["S"] Scope::Global, Control, "Run the next phase of the loop (step mode).";
    Scenarios "scenario" "scenario" ["D"] Scope::Global, None, "Play another scenario on the demo's cluster.";
    Tour "tour" "tour" ["f1"] Scope::Global, None, "Show the demo around in five steps.";
    Themes "theme" "theme" ["T"] Scope::Global, None, "Choose a theme.";

    Up "up" "up" ["up", "k"] Scope::List, None, "Move up.";
    Down "down" "down" ["down", "j"] Scope::List, None, "Move down.";
    PageUp "page-up" "page up" ["pageup", "ctrl-u"] Scope::List, None, "Move up by a page.";
    PageDown "page-down" "page down" ["pagedown", "ctrl-f"] Scope::List, None, "Move down by a page.";
    Top "top" "top" ["home", "g g"] Scope::List, None, "Move to the first line.";
    Bottom "bottom" "bottom" ["end", "G"] Scope::List, None, "Move to the last line.";
    Open "open" "open" ["enter", "l"] Scope::List, None, "Open what is under the cursor.";
    Filter "filter" "filter" ["/"] Scope::List, None, "Show only lines that contain all words; !word excludes.";
    Sort "sort" "sort" ["s"] Scope::List, None, "Sort by the next column.";
    SortReverse "sort-reverse" "reverse" ["o"] Scope::List, None, "Reverse the order.";
    Copy "copy" "copy" ["y"] Scope::List, None, "Copy what is under the cursor to your clipboard.";

    GoFix "go-action" "action" ["a"] Scope::Pane(PaneId::Overview), None, "Jump to the proposal for this finding.";
    GoWorkload "go-workload" "workload" ["w"] Scope::Pane(PaneId::Overview), None, "Jump to the workload of this finding.";

    Yaml "yaml" "yaml" ["Y"] Scope::Pane(PaneId::Workloads), None, "Show the object as YAML.";
    Logs "logs" "logs" ["L"] Scope::Pane(PaneId::Workloads), None, "Show the last lines of the container's log.";
    PreviousLogs "previous-logs" "previous logs" ["V"] Scope::Pane(PaneId::Workloads), None, "Show the log of the instance before the last restart.";
    Events "events" "events" ["E"] Scope::Pane(PaneId::Workloads), None, "Show the events of the object.";
    Pipeline "pipeline" "why" ["W"] Scope::Pane(PaneId::Workloads), None, "Show what each stage of the pipeline decided about the workload, and why nothing happened.";
    Charts "charts" "charts" ["c"] Scope::Pane(PaneId::Workloads), None, "Show the charts of this workload.";
    NamespaceNext "namespace-next" "namespace" ["n"] Scope::Pane(PaneId::Workloads), None, "Show one namespace after the other, then all.";

    ZoomIn "zoom-in" "zoom in" ["+"] Scope::Pane(PaneId::Metrics), None, "Show a shorter span.";
    ZoomOut "zoom-out" "zoom out" ["-"] Scope::Pane(PaneId::Metrics), None, "Show a longer span.";
    Earlier "earlier" "earlier" ["left", "h"] Scope::Pane(PaneId::Metrics), None, "Move back in time by half a span.";
    Later "later" "later" ["right"] Scope::Pane(PaneId::Metrics), None, "Move forward in time by half a span.";
    Now "now" "now" ["0"] Scope::Pane(PaneId::Metrics), None, "Return to the present.";

    CrossEarlier "crosshair-earlier" "values" [","] Scope::Pane(PaneId::Metrics), None, "Tell the values at a moment; once more: earlier.";
    CrossLater "crosshair-later" "values later" ["."] Scope::Pane(PaneId::Metrics), None, "Tell the values at a later moment.";
    LogScale "log-scale" "log scale" ["x"] Scope::Pane(PaneId::Metrics), None, "Draw values on a logarithmic or a linear axis.";

    Approve "approve" "approve" ["a"] Scope::Pane(PaneId::Actions), Control, "Approve the proposal exactly as shown.";
    Reject "reject" "reject" ["d"] Scope::Pane(PaneId::Actions), Control, "Reject the proposal, with a reason.";
    Snooze "snooze" "snooze" ["z"] Scope::Pane(PaneId::Actions), Control, "Ask again in half an hour.";
    Revert "revert" "revert" ["u"] Scope::Pane(PaneId::Actions), Control, "Undo an action that was applied.";
    Export "export" "export" ["e"] Scope::Pane(PaneId::Actions), None, "Show the change as a patch for Git.";
    Ended "ended" "ended" ["x"] Scope::Pane(PaneId::Actions), None, "Show or hide actions that have ended.";
    PredictionView "prediction-view" "failures or load" ["v"] Scope::Pane(PaneId::Predictions), None, "Show expected failures, or expected load; in a load, the next hours or the next day.";
    Train "train" "train" ["t"] Scope::Pane(PaneId::Predictions), None, "Train the model of failures on this cluster's last day.";
    CancelTraining "cancel-training" "stop training" ["x"] Scope::Pane(PaneId::Predictions), None, "Stop a training under way; the model stays as it was.";
    RollModelBack "roll-model-back" "model back" ["b"] Scope::Pane(PaneId::Predictions), None, "Go back to the model before the present one.";
    TraceView "trace-view" "view" ["v"] Scope::Pane(PaneId::Traces), None, "Show traces, operations by critical time, how failures travel, or the weakest edges.";
    Fold "fold" "fold" ["left", "h"] Scope::Pane(PaneId::Traces), None, "Hide what is below the span; once more: go to the span that waited for it.";
    Unfold "unfold" "unfold" ["right"] Scope::Pane(PaneId::Traces), None, "Show what is below the span again.";
    NextError "next-error" "next error" ["e"] Scope::Pane(PaneId::Traces), None, "Go to the next span that failed.";
    Example "example" "example" ["t"] Scope::Pane(PaneId::Traces), None, "Open a trace that shows it.";
    SpanPod "span-pod" "pod" ["p"] Scope::Pane(PaneId::Traces), None, "Jump to the pod that made the span.";
    SpanLogs "span-logs" "logs" ["L"] Scope::Pane(PaneId::Traces), None, "Show the last lines of the log of the pod that made the span.";
    SpanCharts "span-charts" "charts" ["c"] Scope::Pane(PaneId::Traces), None, "Show the charts of the span's workload around its time.";
    MapView "map-view" "drawn or listed" ["v"] Scope::Pane(PaneId::Map), None, "Draw the map, or list services with their calls.";
    Callers "callers" "callers" ["left", "h"] Scope::Pane(PaneId::Map), None, "Go to a service that calls this one.";
    Callees "callees" "callees" ["right"] Scope::Pane(PaneId::Map), None, "Go to a service that this one calls.";
    MapWorkload "map-workload" "workload" ["w"] Scope::Pane(PaneId::Map), None, "Jump to the workload of the service.";
    MapCharts "map-charts" "charts" ["c"] Scope::Pane(PaneId::Map), None, "Show the charts of the service's workload.";
    MapTraces "map-traces" "traces" ["t"] Scope::Pane(PaneId::Map), None, "Show the traces that the service takes part in.";
    EditQuery "edit-expression" "edit" ["i"] Scope::Pane(PaneId::Promql), None, "Write an expression, with completion and history.";
    RunQuery "run-expression" "run" ["r"] Scope::Pane(PaneId::Promql), None, "Evaluate the expression again.";
    QueryView "table-or-chart" "table or chart" ["v"] Scope::Pane(PaneId::Promql), None, "Show the values now as a table, or a span of time as a chart.";
    QueryShorter "expression-shorter" "zoom in" ["+"] Scope::Pane(PaneId::Promql), None, "Evaluate over a shorter span.";
    QueryLonger "expression-longer" "zoom out" ["-"] Scope::Pane(PaneId::Promql), None, "Evaluate over a longer span.";
    QueryCrossEarlier "expression-values-earlier" "values" ["left", "h"] Scope::Pane(PaneId::Promql), None, "Tell the values at a moment of the chart; once more: earlier.";
    QueryCrossLater "expression-values-later" "values later" ["right"] Scope::Pane(PaneId::Promql), None, "Tell the values at a later moment of the chart.";
    QueryLog "expression-log-scale" "log scale" ["x"] Scope::Pane(PaneId::Promql), None, "Draw the chart on a logarithmic or a linear axis.";
    VerifyChain "verify" "verify" ["v"] Scope::Pane(PaneId::Journal), None, "Verify the hash chain of the journal.";
}

impl CommandId {
    /// Its entry in the registry.
    pub fn spec(self) -> &'static CommandSpec {
        &COMMANDS[self as usize]
    }

    /// Finds a command by name.
    pub fn by_name(name: &str) -> Option<Self> {
        COMMANDS.iter().find(|c| c.name == name).map(|c| c.id)
    }
}

impl Scope {
    /// Whether a command of this scope is known in a pane.
    pub fn covers(self, pane: PaneId) -> bool {
        match self {
            Self::Global | Self::List => true,
            Self::Pane(p) => p == pane,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_names_are_unique() {
        for (i, c) in COMMANDS.iter().enumerate() {
            assert_eq!(c.id as usize, i);
            assert_eq!(CommandId::by_name(c.name), Some(c.id));
        }
        assert_eq!(COMMANDS.iter().map(|c| c.name).collect::<BTreeSet<_>>().len(), COMMANDS.len());
    }

    #[test]
    fn nothing_that_acts_sits_on_a_control_letter() {
        for c in COMMANDS.iter().filter(|c| c.danger == Danger::Control) {
            assert!(c.keys.iter().all(|k| !k.starts_with("ctrl-")), "{}", c.name);
        }
    }
}
