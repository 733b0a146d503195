//! The list: a row per workload and signal, and how fresh all of it is.

use super::super::show;
use super::against;
use crate::autopilot::world::World;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::lines::Piece;
use crate::console::widgets::table::{Cell, Column};
use crate::console::widgets::unit::Unit;
use crate::model::prediction::{Expected, Near, Outlook, Prediction, Work};
use crate::model::reading::Reading;
use crate::model::snapshot::SourceState;
use crate::model::time::{Timestamp, age, short};

/// The columns.
pub const COLUMNS: [Column; 10] = [
    Column::text("WORKLOAD", 14, 40, 0),
    Column::text("SIGNAL", 8, 8, 0),
    Column::number("NOW", 6, 12, 2),
    Column::number("4H PEAK", 7, 9, 1),
    Column::number("24H PEAK", 8, 9, 1),
    Column::text("80% BAND", 11, 15, 2),
    Column::number("WHEN", 6, 14, 1),
    Column::number("LIMIT", 6, 9, 2),
    Column::number("SKILL", 5, 6, 3),
    Column::text("MODEL OR WHY NOT", 12, 100, 0),
];

/// The ends of an interval.
pub fn band(ends: (f64, f64), unit: Unit) -> String {
    format!("{}..{}", unit.show(ends.0), unit.show(ends.1))
}

/// How far ahead: `+5h`; an hour that has begun is now.
pub fn ahead(at: Timestamp, now: Timestamp) -> String {
    let left = at - now;
    if left.num_seconds() <= 0 { "now".into() } else { format!("+{}", short(left)) }
}

/// The value now, as live metrics have it.
pub fn now_of(p: &Prediction, world: &World) -> Reading {
    world.snapshot.metrics.workloads.get(&p.key).map_or(Reading::Absent, |m| m.now(p.signal).clone())
}

/// The next hours of it.
pub fn near<'a>(p: &Prediction, world: &'a World) -> Option<&'a Near> {
    world.predictions.near.all.get(&(p.key.clone(), p.signal))
}

/// The greatest value that is expected of the next hours.
fn soon<'a>(p: &Prediction, world: &World, ctx: &Ctx) -> Cell<'a> {
    match near(p, world).and_then(|n| n.outlook.as_ref().ok()).and_then(Outlook::peak) {
        Some((_, most)) => Cell::new(Unit::of(p.signal).show(most.mean), against(most.band80.1, p.limit)),
        None => Cell::new(show::absent(&ctx.theme.glyphs), Role::Stale),
    }
}

/// The hour that matters: the crossing of the limit where one is possible, else the peak.
fn worst(outlook: &Outlook, now: Timestamp) -> Option<(String, Role, Expected)> {
    let (at, hour) = outlook.peak()?;
    let (text, role) = match outlook.crossing {
        Some(c) if c.expected.is_some() => (ahead(c.expected.unwrap_or(at), now), Role::Bad),
        Some(c) => (ahead(c.possible, now), Role::Warning),
        None => (ahead(at, now), Role::Text),
    };
    Some((text, role, *hour))
}

/// The cells of one row.
pub fn row<'a>(p: &'a Prediction, world: &World, ctx: &Ctx) -> Vec<Cell<'a>> {
    let (unit, g) = (Unit::of(p.signal), &ctx.theme.glyphs);
    let none = || Cell::new(show::absent(g), Role::Stale);
    let limit = p.limit.map_or_else(|| Cell::muted("none"), |l| Cell::plain(unit.show(l)));
    let mut cells = vec![
        Cell::plain(format!("{}/{}", p.key.namespace, p.key.name)),
        Cell::plain(p.signal.title()),
        show::reading(&now_of(p, world), unit, ctx.now, g),
        soon(p, world, ctx),
    ];
    match p.outlook.as_ref().map(|o| (o, worst(o, ctx.now))) {
        Ok((o, Some((when, role, hour)))) => {
            let skill = o.backtest.map(|t| format!("{:.0}%", t.skill * 100.0));
            cells.extend([
                Cell::new(unit.show(hour.mean), against(hour.mean, p.limit)),
                Cell::new(band(hour.band80, unit), against(hour.band80.1, p.limit)),
                Cell::new(when, role),
                limit,
                skill.map_or_else(none, Cell::plain),
                Cell::muted(o.model.as_str()),
            ]);
        }
        Ok((_, None)) => cells.extend([none(), none(), none(), limit, none(), none()]),
        Err(why) => cells.extend([none(), none(), none(), limit, none(), Cell::new(why.word(), Role::Stale)]),
    }
    cells
}

/// How fresh the list is and what is under way, on one line.
pub fn state(world: &World, ctx: &Ctx) -> Vec<Piece> {
    let (p, long) = (&world.predictions, &world.snapshot.metrics.long);
    let mut out = Vec::new();
    if let Work::Running { done, total } = p.work {
        let cells = (done * 10).checked_div(total).unwrap_or(0);
        let (full, free) = if ctx.theme.glyphs.ascii { ("#", ".") } else { ("█", "░") };
        out.push((format!("{}{} ", full.repeat(cells), free.repeat(10 - cells)), Role::Series1));
        out.push((format!("computing, {done} of {total} series  "), Role::Text));
    }
    if let Some((made, read)) = p.made.zip(p.read) {
        let silent = p.all.iter().filter(|p| p.outlook.is_err()).count();
        out.push((format!("{} of {} speak", p.all.len() - silent, p.all.len()), Role::Text));
        out.push((
            format!("  made {} ago from history read {} ago", age(ctx.now, made), age(ctx.now, read)),
            Role::Muted,
        ));
        if let Some(at) = p.near.made {
            let speak = p.near.all.values().filter(|n| n.outlook.is_ok()).count();
            let text = format!("  next 4 hours: {speak} of {} speak, {} ago", p.near.all.len(), age(ctx.now, at));
            out.push((text, Role::Muted));
        }
    } else if let Some(read) = long.read {
        out.push((format!("history read {} ago", age(ctx.now, read)), Role::Muted));
    }
    if let Some((at, why)) = &long.failed {
        out.push((format!("  not read {} ago: {why}", age(ctx.now, *at)), Role::Bad));
    }
    out
}

/// Why there is no row.
pub fn nothing(world: &World) -> &'static str {
    match (&world.snapshot.metrics.state, &world.snapshot.metrics.long.read) {
        (SourceState::NotServed, _) => "there is no history: Prometheus is turned off or was not found",
        (SourceState::Failed { .. } | SourceState::Denied { .. }, None) => {
            "there is no history: Prometheus cannot be asked"
        }
        (_, None) => "two weeks of history are being read; then the forecasts are computed",
        (_, Some(_)) if world.snapshot.workloads.is_empty() => "there are no workloads",
        (_, Some(_)) => "the first forecasts are being computed",
    }
}
