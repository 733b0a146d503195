//! Sizes: a row per container and resource, what all of them waste, and one of them in full.

use super::super::show;
use crate::autopilot::world::World;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::lines::{Lines, Piece};
use crate::console::widgets::table::{Cell, Column};
use crate::console::widgets::unit::Unit;
use crate::model::finding::{Fault, Subject};
use crate::model::plan::Strategy;
use crate::model::sizing::{Sizing, Sizings};
use crate::model::snapshot::SourceState;
use crate::model::time::age;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Hours of a month, as clouds bill it.
const MONTH: f64 = 730.0;

/// The columns.
pub const COLUMNS: [Column; 9] = [
    Column::text("WORKLOAD", 14, 40, 0),
    Column::text("CONTAINER", 6, 20, 2),
    Column::text("OF", 6, 6, 0),
    Column::number("REQUEST", 7, 9, 0),
    Column::number("NEEDED", 6, 9, 0),
    Column::number("PEAK", 6, 9, 2),
    Column::number("NEXT", 6, 9, 0),
    Column::number("WASTE", 6, 9, 1),
    Column::text("WHY", 10, 100, 1),
];

fn unit(s: &Sizing) -> Unit {
    if &*s.resource == "cpu" { Unit::Cores } else { Unit::Bytes }
}

/// An amount that may be below zero.
fn signed(s: &Sizing, value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", unit(s).show(value.abs()))
}

/// The cells of one row.
pub fn row<'a>(s: &'a Sizing, ctx: &Ctx) -> Vec<Cell<'a>> {
    let none = || Cell::new(show::absent(&ctx.theme.glyphs), Role::Stale);
    let show = |v: f64| unit(s).show(v);
    let next = s.next.as_ref().map_or_else(
        || Cell::muted("stays"),
        |n| Cell::new(show(n.new_request), if n.grows() { Role::Warning } else { Role::Good }),
    );
    let short = s.waste.is_some_and(|w| w < 0.0);
    vec![
        Cell::plain(format!("{}/{}", s.key.namespace, s.key.name)),
        Cell::plain(&*s.container),
        Cell::plain(&*s.resource),
        s.request.map_or_else(none, |r| Cell::plain(show(r))),
        Cell::plain(show(s.target)),
        Cell::plain(show(s.peak)),
        next,
        s.waste.map_or_else(none, |w| Cell::new(signed(s, w), if short { Role::Warning } else { Role::Text })),
        Cell::muted(s.why.join("; ")),
    ]
}

/// What all requests above the target come to: cores and GiB.
fn wasted(all: &Sizings) -> (f64, f64) {
    let sum = |resource: &str| -> f64 {
        all.all.iter().filter(|s| &*s.resource == resource).filter_map(|s| s.waste).filter(|w| *w > 0.0).sum()
    };
    (sum("cpu"), sum("memory") / GIB)
}

/// The totals and how fresh they are, on one line.
pub fn state(world: &World, ctx: &Ctx) -> Vec<Piece> {
    let s = &world.sizings;
    let mut out = Vec::new();
    if let Some(made) = s.made {
        let (cores, gib) = wasted(s);
        out.push((format!("requested and not needed: {cores:.2} cores, {gib:.2} GiB"), Role::Text));
        if s.prices.core.is_some() || s.prices.gib.is_some() {
            // A resource without a price is left out, which is said.
            let month = MONTH * (s.prices.core.unwrap_or(0.0) * cores + s.prices.gib.unwrap_or(0.0) * gib);
            let of = match (s.prices.core, s.prices.gib) {
                (Some(_), None) => " (cores only)",
                (None, Some(_)) => " (memory only)",
                _ => "",
            };
            out.push((format!(", {month:.2} a month{of} at your prices"), Role::Text));
        }
        out.push((format!("  made {} ago", age(ctx.now, made)), Role::Muted));
        if !s.silent.is_empty() {
            out.push((format!("  {} containers known too little", s.silent.len()), Role::Muted));
        }
    }
    for what in s.refused.keys() {
        out.push((format!("  {what} not read"), Role::Bad));
    }
    if let Some((at, why)) = &s.failed {
        out.push((format!("  not read {} ago: {why}", age(ctx.now, *at)), Role::Bad));
    }
    out
}

/// Why there is no row.
pub fn nothing(world: &World) -> &'static str {
    match (&world.snapshot.metrics.state, world.sizings.made) {
        (SourceState::NotServed, _) => "nothing is measured: Prometheus is turned off or was not found",
        (SourceState::Failed { .. } | SourceState::Denied { .. }, None) => {
            "nothing is measured: Prometheus cannot be asked"
        }
        (_, None) => "eight days of every container are read after the history for the forecasts",
        (_, Some(_)) => "no container was measured long enough",
    }
}

/// Everything that is said of one resource of one container: present and proposed side by side.
pub fn detail(s: &Sizing, world: &World, ctx: &Ctx) -> Lines {
    let mut l = Lines::default();
    let show = |v: Option<f64>| v.map_or("not set".to_owned(), |v| unit(s).show(v));
    let beside = |now: Option<f64>, next: Option<f64>| match next {
        Some(next) => format!("{} now, {} proposed", show(now), unit(s).show(next)),
        None => format!("{} now, stays", show(now)),
    };
    l.field("request", beside(s.request, s.next.as_ref().map(|n| n.new_request)), Role::Text);
    l.field("limit", beside(s.limit, s.next.as_ref().and_then(|n| n.new_limit)), Role::Text);
    let bounds = format!(
        "{} (surely too low below {}, too high above {})",
        unit(s).show(s.target),
        unit(s).show(s.lower),
        unit(s).show(s.upper)
    );
    l.field("needed", bounds, Role::Text);
    l.field("peak", format!("{} in {:.1} days, hour by hour", unit(s).show(s.peak), s.days), Role::Text);
    if s.censored {
        l.field("cut off", "use reached what it may use: more may have been needed", Role::Warning);
    }
    if let Some(waste) = s.waste {
        l.field("waste", format!("{} over all pods", signed(s, waste)), Role::Text);
    }
    if let Some(saving) = s.saving {
        let text = if saving < 0.0 { "taken" } else { "given back" };
        l.field("saving", format!("{} {text} by this step", unit(s).show(saving.abs())), Role::Text);
    }
    l.head("Why");
    for why in &s.why {
        l.item("-", vec![(why.to_string(), Role::Text)]);
    }
    l.head("How it is told");
    l.text(
        "Needed is what covers 90 % of a histogram that halves in a day, and 15 % more (Vertical Pod Autoscaler).",
        Role::Muted,
    );
    let proposal =
        world.queue.iter().rev().find(|i| {
            i.pending() && i.proposal.workload() == Some(&s.key) && i.proposal.strategy == Strategy::Rightsize
        });
    let subject = Subject::Workload(s.key.clone());
    let found = world.findings.iter().find(|f| f.subject == subject && matches!(f.fault, Fault::Missized { .. }));
    match (proposal, found.map(|f| world.unplanned.get(&f.id)), &s.next) {
        (Some(item), ..) => l.field("proposal", format!("{} waits in Actions", item.proposal.id), Role::Good),
        (None, Some(Some(why)), _) => l.field("proposal", format!("none: {why}"), Role::Warning),
        (None, Some(None), _) => l.field("proposal", "being planned", Role::Text),
        (None, None, Some(_)) => {
            l.field("proposal", "none yet: make it one, and it goes through Actions like any other", Role::Muted)
        }
        (None, None, None) => l.field("proposal", "none: nothing changes", Role::Muted),
    };
    for (what, why) in &world.sizings.refused {
        l.field("not read", format!("{what}: {why}"), Role::Bad);
    }
    if let Some(read) = world.sizings.read {
        l.field("read", format!("{} ago", age(ctx.now, read)), Role::Muted);
    }
    l
}
