//! How a model learns, or learned: its losses epoch by epoch.

use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::chart::{Chart, Line};
use crate::console::widgets::unit::Unit;
use crate::model::failure::{Epoch, Losses};

/// Cells of the bar.
const CELLS: u32 = 10;

/// A bar and the epoch, for a line; empty before the first epoch.
pub fn progress(losses: &Losses, ctx: &Ctx) -> String {
    let Some(last) = losses.epochs.last() else { return String::new() };
    let full = (last.epoch * CELLS).checked_div(last.epochs).unwrap_or(0).min(CELLS);
    let (done, free) = if ctx.theme.glyphs.ascii { ("#", ".") } else { ("█", "░") };
    let bar = done.repeat(full as usize) + &free.repeat((CELLS - full) as usize);
    format!(", {} {bar} epoch {} of {} at most", losses.learner, last.epoch, last.epochs)
}

/// The epoch that was kept: the one with the least validation loss.
fn best(losses: &Losses) -> Option<&Epoch> {
    losses.epochs.iter().filter(|e| e.validation.is_finite()).min_by(|a, b| a.validation.total_cmp(&b.validation))
}

/// In words, for a card.
pub fn summary(losses: &Losses) -> String {
    best(losses).map_or_else(
        || "no epoch had a finite loss".into(),
        |e| {
            format!(
                "{} epochs, the {}. was kept: loss {:.3}, on validation {:.3}",
                losses.epochs.len(),
                e.epoch,
                e.training,
                e.validation
            )
        },
    )
}

/// Both losses over the epochs.
pub fn chart(losses: &Losses, when: &str) -> Chart {
    let points = |of: fn(&Epoch) -> f64| losses.epochs.iter().map(|e| (f64::from(e.epoch), of(e))).collect();
    let to = losses.epochs.last().map_or(1, |e| e.epoch);
    Chart {
        title: vec![
            (format!("{} {when}: ", losses.learner), Role::Muted),
            ("training loss".into(), Role::Series1),
            ("  validation loss".into(), Role::Series2),
        ],
        from: 1.0,
        to: f64::from(to.max(2)),
        now: 1.0,
        ends: Some(["epoch 1".into(), format!("epoch {}", to.max(2))]),
        step: 1.0,
        lines: vec![
            Line { role: Role::Series1, points: points(|e| e.training) },
            Line { role: Role::Series2, points: points(|e| e.validation) },
        ],
        band: None,
        levels: vec![],
        marks: vec![],
        spans: vec![],
        unit: Unit::Number,
        missing: None,
        ..Chart::default()
    }
}
