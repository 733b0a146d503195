//! The crosshair: a line down at a moment, and under the chart the values that were measured there.

use super::super::text::{put, width};
use super::Chart;
use crate::console::theme::{Role, Theme};
use chrono::DateTime;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

impl Chart {
    /// What a series measured nearest to a moment; `None` in a gap.
    fn value_at(&self, line: usize, at: f64) -> Option<f64> {
        let points = &self.lines.get(line)?.points;
        let after = points.partition_point(|p| p.0 < at);
        let near = [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|i| points.get(i));
        let (when, value) = near.min_by(|a, b| (a.0 - at).abs().total_cmp(&(b.0 - at).abs()))?;
        ((when - at).abs() <= self.step * 2.5 && value.is_finite()).then_some(*value)
    }

    /// Draws it where a moment is chosen that the chart shows.
    pub(super) fn crosshair(&self, buf: &mut Buffer, theme: &Theme, plot: Rect) {
        let Some(at) = self.cross.filter(|at| (self.from..=self.to).contains(at)) else { return };
        let share = (at - self.from) / (self.to - self.from).max(1.0);
        let x = plot.x + ((share * f64::from(plot.width)) as u16).min(plot.width - 1);
        let bar = if theme.glyphs.ascii { "|" } else { "│" };
        for y in plot.top()..plot.bottom() {
            // Data stays: the line is seen between it.
            if buf[(x, y)].symbol() == " " {
                put(buf, theme, x, y, 1, bar, Role::Focus);
            }
        }
        let clock =
            DateTime::from_timestamp(at as i64, 0).map_or_else(String::new, |t| t.format("%H:%M:%S").to_string());
        let mut texts = vec![(format!(" {clock}"), Role::Focus)];
        for (n, line) in self.lines.iter().enumerate() {
            let text = self.value_at(n, at).map_or_else(|| "?".to_owned(), |v| self.unit.show(v));
            texts.push((format!(" {text}"), line.role));
        }
        texts.push((" ".into(), Role::Text));
        let wide: usize = texts.iter().map(|(t, _)| width(t)).sum();
        let wide = (wide as u16).min(plot.width);
        let mut x = x.saturating_sub(wide / 2).clamp(plot.x, plot.right() - wide);
        for (text, role) in &texts {
            let room = plot.right().saturating_sub(x);
            x += put(buf, theme, x, plot.bottom(), room, text, *role);
        }
    }
}
