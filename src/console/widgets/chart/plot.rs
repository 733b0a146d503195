//! What is drawn inside a chart: series as dots, bands, and the lines down.

use super::{Axis, Band, Chart, Line};
use crate::console::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::braille::BRAILLE;

/// Quarter blocks by pattern, for fonts without braille.
const QUADRANTS: [char; 16] = [' ', '▘', '▝', '▀', '▖', '▌', '▞', '▛', '▗', '▚', '▐', '▜', '▄', '▙', '▟', '█'];

/// Samples that fall into one dot column.
#[derive(Clone, Copy)]
struct Bucket {
    first: (f64, f64),
    last: (f64, f64),
    low: f64,
    high: f64,
}

/// Gathers samples into `columns` buckets over `from..=to`.
fn gather(points: &[(f64, f64)], from: f64, to: f64, columns: usize) -> Vec<Option<Bucket>> {
    let mut buckets: Vec<Option<Bucket>> = vec![None; columns];
    let span = (to - from).max(1.0);
    for &(at, value) in points {
        if at < from || at > to || !value.is_finite() {
            continue;
        }
        let place = (((at - from) / span * columns as f64) as usize).min(columns - 1);
        match &mut buckets[place] {
            Some(b) => {
                b.last = (at, value);
                b.low = b.low.min(value);
                b.high = b.high.max(value);
            }
            empty => *empty = Some(Bucket { first: (at, value), last: (at, value), low: value, high: value }),
        }
    }
    buckets
}

/// Dots of one series: `columns` × `rows` bits, row 0 at the top.
struct Dots {
    columns: usize,
    rows: usize,
    set: Vec<bool>,
}

impl Dots {
    fn column(&mut self, x: usize, a: usize, b: usize) {
        for y in a.min(b)..=a.max(b) {
            if x < self.columns && y < self.rows {
                self.set[y * self.columns + x] = true;
            }
        }
    }

    /// A slope between two dots, as vertical strokes so that it has no holes.
    fn slope(&mut self, (x0, y0): (usize, usize), (x1, y1): (usize, usize)) {
        let run = (x1 - x0).max(1);
        let at = |i: usize| (y0 as f64 + (y1 as f64 - y0 as f64) * i as f64 / run as f64).round() as usize;
        for i in 0..run {
            let (a, b) = (at(i), at(i + 1));
            let half = usize::midpoint(a, b);
            self.column(x0 + i, a, half);
            self.column(x0 + i + 1, half, b);
        }
    }

    /// The pattern of one cell of quarter blocks: upper left, upper right, lower left, lower right.
    fn quadrants(&self, cx: usize, cy: usize) -> usize {
        (0..4).filter(|bit| self.set[(cy * 2 + bit / 2) * self.columns + cx * 2 + bit % 2]).map(|bit| 1 << bit).sum()
    }

    /// The pattern of one braille cell.
    fn braille(&self, cx: usize, cy: usize) -> usize {
        (0..8).filter(|bit| self.set[(cy * 4 + bit / 2) * self.columns + cx * 2 + bit % 2]).map(|bit| 1 << bit).sum()
    }
}

impl Chart {
    fn rollouts(&self, buf: &mut Buffer, theme: &Theme, plot: Rect) {
        let bar = if theme.glyphs.ascii { ":" } else { "┊" };
        for mark in self.marks.iter().filter(|m| **m >= self.from && **m <= self.to) {
            let share = (mark - self.from) / (self.to - self.from).max(1.0);
            let x = plot.x + ((share * f64::from(plot.width)) as u16).min(plot.width - 1);
            for y in plot.top()..plot.bottom() {
                let symbol = if y == plot.y { theme.glyphs.down } else { bar };
                buf[(x, y)].set_symbol(symbol).set_style(theme.style(Role::Rollout));
            }
        }
    }

    /// Rollouts and anomalies: where both fall into one column, the rollout's line and the incident's top are seen.
    pub(super) fn incidents(&self, buf: &mut Buffer, theme: &Theme, plot: Rect) {
        let (bar, top) = if theme.glyphs.ascii { ("!", "=") } else { ("╎", "━") };
        let place = |at: f64| {
            let share = (at - self.from) / (self.to - self.from).max(1.0);
            plot.x + ((share.clamp(0.0, 1.0) * f64::from(plot.width)) as u16).min(plot.width - 1)
        };
        let style = theme.style(Role::Bad);
        let shown = || self.spans.iter().filter(|s| s.1 >= self.from && s.0 <= self.to);
        // One that began before the chart does has no beginning on it.
        for (from, _) in shown().filter(|s| s.0 >= self.from) {
            for y in plot.top() + 1..plot.bottom() {
                buf[(place(*from), y)].set_symbol(bar).set_style(style);
            }
        }
        self.rollouts(buf, theme, plot);
        for (from, to) in shown() {
            for x in place(*from)..=place(*to) {
                buf[(x, plot.y)].set_symbol(top).set_style(style);
            }
        }
    }

    /// Fills the band.
    pub(super) fn shade(&self, buf: &mut Buffer, theme: &Theme, plot: Rect, band: &Band, axis: Axis) {
        let cell = (self.to - self.from).max(1.0) / f64::from(plot.width);
        let symbol = if theme.glyphs.ascii { "." } else { "░" };
        for cx in 0..plot.width {
            let at = self.from + (f64::from(cx) + 0.5) * cell;
            let Some((low, high)) = between(&band.points, at) else { continue };
            let rows = plot.height as usize;
            for row in axis.row(high, rows)..=axis.row(low, rows) {
                buf[(plot.x + cx, plot.y + row as u16)].set_symbol(symbol).set_style(theme.style(band.role));
            }
        }
    }

    pub(super) fn series(&self, buf: &mut Buffer, theme: &Theme, plot: Rect, line: &Line, axis: Axis, number: usize) {
        let (fine_x, fine_y) = match (theme.glyphs.ascii, theme.glyphs.blocks) {
            (true, _) => (1, 1),
            (_, true) => (2, 2),
            _ => (2, 4),
        };
        let mut dots = Dots {
            columns: plot.width as usize * fine_x,
            rows: plot.height as usize * fine_y,
            set: vec![false; plot.width as usize * fine_x * plot.height as usize * fine_y],
        };
        let rows = dots.rows;
        let buckets = gather(&line.points, self.from, self.to, dots.columns);
        let mut before: Option<(usize, (f64, f64))> = None;
        for (x, bucket) in buckets.iter().enumerate() {
            let Some(b) = bucket else { continue };
            dots.column(x, axis.row(b.high, rows), axis.row(b.low, rows));
            if let Some((from_x, (at, value))) = before
                && b.first.0 - at <= self.step * 2.5
            {
                dots.slope((from_x, axis.row(value, rows)), (x, axis.row(b.first.1, rows)));
            }
            before = Some((x, b.last));
        }
        let style = theme.style(line.role);
        for cy in 0..plot.height as usize {
            for cx in 0..plot.width as usize {
                let cell = &mut buf[(plot.x + cx as u16, plot.y + cy as u16)];
                if theme.glyphs.ascii {
                    if dots.set[cy * dots.columns + cx] {
                        cell.set_symbol(["*", "+", "x"][number % 3]).set_style(style);
                    }
                } else if theme.glyphs.blocks {
                    let pattern = dots.quadrants(cx, cy);
                    if pattern != 0 {
                        cell.set_char(QUADRANTS[pattern]).set_style(style);
                    }
                } else {
                    let pattern = dots.braille(cx, cy);
                    if pattern != 0 {
                        cell.set_char(BRAILLE[pattern]).set_style(style);
                    }
                }
            }
        }
    }
}

/// The ends of a band at a time, on a line between its points; `None` outside of it.
fn between(points: &[(f64, f64, f64)], at: f64) -> Option<(f64, f64)> {
    let (a, b) = points.windows(2).map(|w| (w[0], w[1])).find(|(a, b)| a.0 <= at && at <= b.0)?;
    let part = (at - a.0) / (b.0 - a.0).max(f64::MIN_POSITIVE);
    Some((a.1 + (b.1 - a.1) * part, a.2 + (b.2 - a.2) * part))
}
