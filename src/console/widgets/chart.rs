//! Charts over time: series in braille (or ASCII), limits as lines across, rollouts as lines down, incidents as spans.
//!
//! Samples are gathered per dot column with their least and greatest value, so peaks survive at every
//! width. A gap between samples stays a gap, and the axis is dotted where nothing was measured.

mod axis;
mod cross;
mod plot;

use super::text::{put, put_all, width};
use super::unit::Unit;
use crate::console::theme::{Role, Theme};
use crate::model::time::short;
use axis::Axis;
use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// One series. Points are (unix seconds, value), oldest first.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its colour.
    pub role: Role,
    /// Its samples.
    pub points: Vec<(f64, f64)>,
}

/// A stretch between two lines: an interval around a forecast.
#[derive(Debug, Clone)]
pub struct Band {
    /// Its colour.
    pub role: Role,
    /// (unix seconds, lower end, upper end), oldest first.
    pub points: Vec<(f64, f64, f64)>,
}

/// A line across: a limit or a request.
#[derive(Debug, Clone, Copy)]
pub struct Level {
    /// Where.
    pub value: f64,
    /// Its colour.
    pub role: Role,
}

/// A chart. Times are unix seconds.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// What is written above it.
    pub title: Vec<(String, Role)>,
    /// Start of the axis.
    pub from: f64,
    /// End of the axis.
    pub to: f64,
    /// The present, for the labels of the axis.
    pub now: f64,
    /// Seconds between samples; a longer pause (2.5 steps) is a gap.
    pub step: f64,
    /// Written at the ends of the axis in place of times.
    pub ends: Option<[String; 2]>,
    /// What is drawn.
    pub lines: Vec<Line>,
    /// Drawn under the lines.
    pub band: Option<Band>,
    /// Lines across. One far above the data (three times) is not drawn, so that the data stays readable.
    pub levels: Vec<Level>,
    /// Lines down, such as rollouts.
    pub marks: Vec<f64>,
    /// Spans of time such as incidents, from and to: a line down where one begins, and one across the top.
    pub spans: Vec<(f64, f64)>,
    /// Unit of the values.
    pub unit: Unit,
    /// Logarithmic: only where some value is above zero.
    pub log: bool,
    /// A moment whose values are told under the chart.
    pub cross: Option<f64>,
    /// Said in place of the data where there is none: the reason.
    pub missing: Option<String>,
}

impl Chart {
    /// The greatest value of the axis.
    fn top(&self) -> f64 {
        let data = self.peak();
        let levels = self.levels.iter().map(|l| l.value).filter(|v| data <= 0.0 || *v <= data * 3.0);
        self.unit.round_up(levels.fold(data, f64::max))
    }

    /// How values become rows.
    fn scale(&self) -> Axis {
        let top = self.top();
        let shown = || self.lines.iter().flat_map(|l| &l.points).filter(|p| p.0 >= self.from && p.0 <= self.to);
        if self.log {
            let least = shown().map(|p| p.1).filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
            if least.is_finite() {
                // The decade below the least value; one decade at least is shown.
                let low = 10_f64.powf(least.log10().floor()).min(top / 10.0);
                return Axis { low, top, log: true };
            }
        }
        let least = shown().map(|p| p.1).filter(|v| v.is_finite()).fold(0.0, f64::min);
        let low = if least < 0.0 { -self.unit.round_up(-least) } else { 0.0 };
        Axis { low, top, log: false }
    }

    fn peak(&self) -> f64 {
        let inside = |p: &&(f64, f64)| p.0 >= self.from && p.0 <= self.to && p.1.is_finite();
        let band = self.band.iter().flat_map(|b| &b.points).map(|p| (p.0, p.2));
        let band = band.filter(|p| inside(&p)).map(|p| p.1);
        self.lines.iter().flat_map(|l| l.points.iter().filter(inside).map(|p| p.1)).chain(band).fold(0.0, f64::max)
    }

    fn has_data(&self) -> bool {
        self.lines.iter().any(|l| l.points.iter().any(|p| p.0 >= self.from && p.0 <= self.to))
    }

    /// Draws the chart: title, axis with unit, data, times.
    pub fn draw(&self, buf: &mut Buffer, theme: &Theme, area: Rect) {
        if area.height < 4 || area.width < 16 {
            return;
        }
        let title: Vec<_> = self.title.iter().map(|(t, r)| (t.as_str(), *r)).collect();
        put_all(buf, theme, area.x, area.y, area.width, &title);
        if !self.has_data() {
            let why = self.missing.clone().unwrap_or_else(|| "nothing was measured in this span".into());
            let mut lines = super::lines::Lines::default();
            lines.text(format!("no data: {why}"), Role::Stale);
            for (line, y) in
                lines.wrap(area.width.saturating_sub(4)).iter().zip(area.y + 1 + (area.height - 2) / 3..area.bottom())
            {
                super::text::put_line(buf, theme, Rect { x: area.x + 2, y, width: area.width - 4, height: 1 }, line);
            }
            return;
        }
        let scale = self.scale();
        let low = if scale.low == 0.0 { "0".to_owned() } else { self.unit.show(scale.low) };
        let labels = [self.unit.show(scale.top), self.unit.show(scale.middle()), low];
        let gutter = labels.iter().map(|l| width(l)).max().unwrap_or(0).max(6) as u16;
        let plot =
            Rect { x: area.x + gutter + 1, y: area.y + 1, width: area.width - gutter - 2, height: area.height - 2 };
        self.axis(buf, theme, plot, gutter, &labels);
        for level in self.levels.iter().filter(|l| (scale.low..=scale.top).contains(&l.value)) {
            let y = plot.y + scale.row(level.value, plot.height as usize) as u16;
            let dash = if theme.glyphs.ascii { "-" } else { "┄" };
            for x in plot.left()..plot.right() {
                buf[(x, y)].set_symbol(dash).set_style(theme.style(level.role));
            }
        }
        if let Some(band) = &self.band {
            self.shade(buf, theme, plot, band, scale);
        }
        self.incidents(buf, theme, plot);
        for (n, line) in self.lines.iter().enumerate() {
            self.series(buf, theme, plot, line, scale, n);
        }
        self.crosshair(buf, theme, plot);
    }

    fn axis(&self, buf: &mut Buffer, theme: &Theme, plot: Rect, gutter: u16, labels: &[String; 3]) {
        let bar = if theme.glyphs.ascii { "|" } else { "│" };
        for y in plot.top()..plot.bottom() {
            put(buf, theme, plot.x - 1, y, 1, bar, Role::Border);
        }
        let places = [1.0, 0.5, 0.0].map(|share| plot.y + Axis::SHARE.row(share, plot.height as usize) as u16);
        for (i, (label, y)) in labels.iter().zip(places).enumerate() {
            if i == 1 && plot.height < 5 {
                continue;
            }
            let w = width(label) as u16;
            put(buf, theme, plot.x - 1 - w.min(gutter), y, w, label, Role::Muted);
        }
        let y = plot.bottom();
        let measured = self.measured(plot.width as usize);
        let (line, dot) = if theme.glyphs.ascii { ("-", ".") } else { ("─", "·") };
        for (i, known) in measured.into_iter().enumerate() {
            let (symbol, role) = if known { (line, Role::Border) } else { (dot, Role::Stale) };
            buf[(plot.x + i as u16, y)].set_symbol(symbol).set_style(theme.style(role));
            if !known {
                // Also inside, where the times of the axis do not cover it: the tail of stale data is seen.
                buf[(plot.x + i as u16, y - 1)].set_symbol(dot).set_style(theme.style(role));
            }
        }
        let ago = |t: f64| {
            let s = self.now - t;
            let (sign, span) = (if s < 0.0 { "+" } else { "-" }, TimeDelta::seconds(s.abs() as i64));
            if s.abs() < 30.0 { "now".to_owned() } else { format!("{sign}{}", short(span)) }
        };
        let [left, right] = self.ends.clone().unwrap_or_else(|| [ago(self.from), ago(self.to)]);
        let (left, right) = (format!("{left} "), format!(" {right}"));
        put(buf, theme, plot.x, y, plot.width / 2, &left, Role::Muted);
        let w = width(&right) as u16;
        put(buf, theme, plot.right().saturating_sub(w), y, w, &right, Role::Muted);
    }

    /// Per cell column, whether something was measured there or so near that it is no gap.
    fn measured(&self, columns: usize) -> Vec<bool> {
        let cell = (self.to - self.from).max(1.0) / columns as f64;
        let mut known = vec![false; columns];
        for line in &self.lines {
            let mut before: Option<f64> = None;
            for &(at, _) in line.points.iter().filter(|p| p.0 >= self.from && p.0 <= self.to) {
                let start = before.filter(|b| at - b <= self.step * 2.5).unwrap_or(at);
                let (a, b) = (((start - self.from) / cell) as usize, ((at - self.from) / cell) as usize);
                known[a.min(columns - 1)..=b.min(columns - 1)].fill(true);
                before = Some(at);
            }
        }
        known
    }
}

#[cfg(test)]
mod tests;
