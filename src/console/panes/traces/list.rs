//! The list of traces, what is above it, and what is said when it is empty.

use super::super::show;
use super::summary::{Summary, nanos};
use crate::autopilot::world::World;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::lines::Piece;
use crate::console::widgets::table::{Cell, Column};
use crate::console::widgets::text::{Chip, flow};
use crate::console::widgets::unit::Unit;
use crate::model::quantity::human_bytes;
use crate::model::snapshot::SourceState;
use crate::model::time::age;
use crate::model::trace::Trace;

/// The columns.
pub const COLUMNS: [Column; 6] = [
    Column::number("AGE", 5, 6, 1),
    Column::text("SERVICE, OPERATION", 20, 90, 0),
    Column::number("DURATION", 8, 9, 0),
    Column::number("SPANS", 5, 7, 2),
    Column::number("ERRORS", 6, 7, 0),
    Column::number("SERVICES", 8, 8, 3),
];

/// The cells of one row.
pub fn row<'a>(trace: &'a Trace, s: &Summary, ctx: &Ctx) -> Vec<Cell<'a>> {
    let name = s.root.map_or_else(
        || "no spans".to_owned(),
        |r| {
            let span = &trace.spans[r];
            format!("{} {}", span.service, span.operation)
        },
    );
    vec![
        Cell::muted(age(ctx.now, s.at())),
        Cell::new(name, if s.errors > 0 { Role::Bad } else { Role::Text }),
        Cell::plain(nanos(s.duration)),
        Cell::plain(trace.spans.len().to_string()),
        if s.errors > 0 {
            Cell::new(format!("{} {}", ctx.theme.glyphs.bad, s.errors), Role::Bad)
        } else {
            Cell::muted("0")
        },
        Cell::plain(s.services.to_string()),
    ]
}

/// Sources, what came, and what became of it: lines of at most `columns`.
pub fn state(world: &World, ctx: &Ctx, columns: u16) -> Vec<Vec<Piece>> {
    let t = &world.snapshot.traces;
    let mut chips: Vec<Chip> = t
        .sources
        .iter()
        .map(|s| {
            let (glyph, words, role) = show::source(&s.state, ctx.now, &ctx.theme.glyphs);
            // A receiver that waits for its first span is well: nobody sends.
            let words = match s.state {
                SourceState::Unknown | SourceState::Syncing { .. } if s.name.starts_with("OTLP") => {
                    "listens, nothing came yet".into()
                }
                SourceState::Syncing { .. } => "being asked".into(),
                _ => words,
            };
            vec![(format!("{glyph} "), role), (format!("{}: {words}, {} spans", s.name, s.spans), Role::Text)]
        })
        .collect();
    if t.received > 0 {
        let last = t.last.map_or_else(String::new, |at| format!(", last {} ago", age(ctx.now, at)));
        let text = format!("{} received, {}{last}", t.received, Unit::PerSecond.show(t.rate));
        chips.push(vec![(text, Role::Text)]);
    }
    if t.bytes.1 > 0 {
        chips.push(vec![(
            format!("{} of {} held", human_bytes(t.bytes.0 as f64), human_bytes(t.bytes.1 as f64)),
            Role::Muted,
        )]);
    }
    for d in &*t.dropped {
        chips.push(vec![(format!("{} not kept: {}", d.count, d.why), Role::Warning)]);
    }
    for o in &*t.odd {
        chips.push(vec![(format!("{} {}", o.count, o.why), Role::Muted)]);
    }
    if world.insight.missed > 0 {
        let text = format!("{} traces were not analysed: the analysis fell behind", world.insight.missed);
        chips.push(vec![(text, Role::Warning)]);
    }
    flow(chips, columns)
}

/// Why there is no trace, and what to do.
pub fn nothing(world: &World, filtered: bool) -> String {
    let t = &world.snapshot.traces;
    if filtered {
        return "no trace matches the filter: words, service:x op:y error >250ms <1s key=value, !not".into();
    }
    if t.sources.is_empty() {
        return "traces are turned off, or no source was found: start kansole with --traces URL, or let \
                applications send OTLP to it"
            .into();
    }
    let names: Vec<&str> = t.sources.iter().map(|s| &*s.name).collect();
    if t.received == 0 {
        return format!(
            "no spans received from {}. Point an application's OTEL_EXPORTER_OTLP_ENDPOINT, or a collector's otlp \
             exporter, at the address above.",
            names.join(", ")
        );
    }
    "spans were received, but no whole trace is kept yet: a trace is whole when nothing came of it for a while".into()
}
