//! What traces mean, as lists beside the traces: operations by what they cost, how failures travel and which objectives
//! they break, and the edges whose loss would hurt most.

use super::super::show;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::lines::Lines;
use crate::console::widgets::table::{Cell, Column};
use crate::console::widgets::unit::Unit;
use crate::model::service::{Cascade, OperationTime, SpanBreach, TraceInsight, WeakEdge};
use std::sync::Arc;

/// What the pane lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// Traces.
    #[default]
    Traces,
    /// Operations by their own time on critical paths.
    Operations,
    /// Cascades and broken objectives.
    Failures,
    /// The weakest edges.
    Edges,
}

impl View {
    /// The one after it.
    pub fn next(self) -> Self {
        match self {
            Self::Traces => Self::Operations,
            Self::Operations => Self::Failures,
            Self::Failures => Self::Edges,
            Self::Edges => Self::Traces,
        }
    }

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Traces => "Traces",
            Self::Operations => "Operations by critical time",
            Self::Failures => "How failures travel",
            Self::Edges => "Edges whose loss would hurt most",
        }
    }

    /// Its columns; of traces there are others.
    pub fn columns(self) -> &'static [Column<'static>] {
        match self {
            Self::Traces => &[],
            Self::Operations => &OPERATIONS,
            Self::Failures => &FAILURES,
            Self::Edges => &EDGES,
        }
    }

    /// Why there is no row.
    pub fn nothing(self, insight: &TraceInsight) -> &'static str {
        match self {
            _ if insight.traces == 0 => "no trace was looked at yet",
            Self::Failures => "no failure travelled, and no objective is broken by what traces tell",
            Self::Edges => "no calls between services are known",
            _ => "nothing was found in the traces that were looked at",
        }
    }
}

const OPERATIONS: [Column; 6] = [
    Column::text("SERVICE", 8, 28, 0),
    Column::text("OPERATION", 12, 60, 0),
    Column::number("SHARE", 5, 6, 0),
    Column::number("OWN TIME", 8, 9, 1),
    Column::number("HALVED SAVES", 7, 12, 1),
    Column::number("TRACES", 6, 8, 2),
];

const FAILURES: [Column; 4] = [
    Column::text("WHAT", 7, 9, 0),
    Column::text("BEGINS AT", 14, 50, 0),
    Column::text("TRAVELS, OR BREAKS", 14, 80, 0),
    Column::number("TRACES", 6, 12, 1),
];

const EDGES: [Column; 4] = [
    Column::text("FROM", 8, 30, 0),
    Column::text("TO", 8, 30, 0),
    Column::number("SHARE", 6, 7, 0),
    Column::number("FAIL WHOLE", 10, 11, 0),
];

/// One row.
#[derive(Debug, Clone)]
pub enum Fact {
    /// An operation.
    Operation(OperationTime),
    /// How a failure travels.
    Cascade(Cascade),
    /// A broken objective.
    Breach(SpanBreach),
    /// An edge.
    Edge(WeakEdge),
}

impl Fact {
    /// All of a view, the worst first.
    pub fn all(view: View, insight: &TraceInsight) -> Vec<Self> {
        match view {
            View::Traces => Vec::new(),
            View::Operations => insight.operations.iter().cloned().map(Self::Operation).collect(),
            View::Failures => {
                let breaches = insight.breaches.iter().cloned().map(Self::Breach);
                breaches.chain(insight.cascades.iter().cloned().map(Self::Cascade)).collect()
            }
            View::Edges => insight.weakest.iter().cloned().map(Self::Edge).collect(),
        }
    }

    /// What it is about, in one line; tells facts of one view apart.
    pub fn key(&self) -> String {
        match self {
            Self::Operation(o) => format!("[{}] {}", o.service, o.operation),
            Self::Cascade(c) => format!("{} via {}", c.origin, c.path.join(" ")),
            Self::Breach(b) => format!("{} by {}", b.slo, b.operation),
            Self::Edge(e) => format!("{} to {}", e.from, e.to),
        }
    }

    /// A trace that shows it.
    pub fn example(&self) -> Option<&Arc<str>> {
        match self {
            Self::Cascade(c) => Some(&c.example),
            Self::Breach(b) => Some(&b.example),
            Self::Operation(_) | Self::Edge(_) => None,
        }
    }

    /// The cells of its row.
    pub fn row(&self, ctx: &Ctx) -> Vec<Cell<'_>> {
        let share = |s: f64| Unit::Share.show(s);
        match self {
            Self::Operation(o) => vec![
                Cell::new(&*o.service, Role::Title),
                Cell::plain(&*o.operation),
                Cell::plain(share(o.share)),
                Cell::plain(millis(o.own_ms)),
                Cell::plain(millis(o.saving_ms)),
                Cell::muted(o.traces.to_string()),
            ],
            Self::Cascade(c) => vec![
                Cell::new("cascade", Role::Warning),
                Cell::plain(&*c.origin),
                Cell::plain(path(c, ctx)),
                Cell::plain(c.traces.to_string()),
            ],
            Self::Breach(b) => vec![
                Cell::new("breach", Role::Bad),
                Cell::plain(&*b.operation),
                Cell::plain(format!("{}: greatest part of {} of the broken", b.slo, share(b.share))),
                Cell::plain(format!("{}/{}", b.broken.0, b.broken.1)),
            ],
            Self::Edge(e) => vec![
                Cell::plain(&*e.from),
                Cell::plain(&*e.to),
                Cell::plain(share(e.share)),
                e.carried
                    .map_or_else(|| Cell::new(show::absent(&ctx.theme.glyphs), Role::Stale), |c| Cell::plain(share(c))),
            ],
        }
    }

    /// All of it.
    pub fn detail(&self, ctx: &Ctx) -> Lines {
        let mut l = Lines::default();
        l.add(2, vec![(self.key(), Role::Title)]);
        match self {
            Self::Operation(o) => {
                l.field("share", format!("{} of all critical time", Unit::Share.show(o.share)), Role::Text);
                l.field(
                    "own time",
                    format!("{} on the critical path of {} traces, mean", millis(o.own_ms), o.traces),
                    Role::Text,
                );
                let saves = format!(
                    "{} per trace on average if it took half as long; at most, for another path may become critical",
                    millis(o.saving_ms)
                );
                l.field("saves", saves, Role::Text);
            }
            Self::Cascade(c) => {
                l.field("begins at", c.origin.to_string(), Role::Bad);
                l.field("says", c.message.as_deref().unwrap_or("nothing of its failure"), Role::Text);
                l.field("travels", path(c, ctx), Role::Text);
                l.field("traces", c.traces.to_string(), Role::Text);
                l.field("example", c.example.to_string(), Role::Text);
            }
            Self::Breach(b) => {
                l.field("objective", b.slo.to_string(), Role::Text);
                l.field("broken by", format!("{} of {} requests", b.broken.0, b.broken.1), Role::Bad);
                l.field(
                    "most of it",
                    format!("{}: the greatest part of {} of them", b.operation, Unit::Share.show(b.share)),
                    Role::Text,
                );
                l.field("example", b.example.to_string(), Role::Text);
            }
            Self::Edge(e) => {
                l.field(
                    "share",
                    format!("{} of all requests at the entrances go over it", Unit::Share.show(e.share)),
                    Role::Text,
                );
                let carried = e.carried.map_or_else(
                    || "nobody knows: this call never failed yet".to_owned(),
                    |c| format!("{} of requests in which this call failed", Unit::Share.show(c)),
                );
                l.field("fail whole", carried, Role::Text);
                l.head("The experiment that would show it (Chaos Mesh; kansole does not run it)");
                for line in e.experiment.lines() {
                    l.add(4, vec![(line.to_owned(), Role::Text)]);
                }
            }
        }
        l
    }

    /// What `copy` copies: the experiment, or what it is about.
    pub fn copy(&self) -> String {
        if let Self::Edge(e) = self { e.experiment.to_string() } else { self.key() }
    }
}

fn path(c: &Cascade, ctx: &Ctx) -> String {
    c.path.join(&format!(" {} ", ctx.theme.glyphs.arrow))
}

/// Milliseconds as people read them.
pub fn millis(ms: f64) -> String {
    super::summary::nanos((ms * 1e6) as i64)
}
