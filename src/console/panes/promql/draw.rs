//! Drawing of the PromQL pane: the expression with its mistake, then a table, or a chart with its legend.

use super::super::show;
use super::{Look, Promql};
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::chart::{Chart, Line};
use crate::console::widgets::lines::Lines;
use crate::console::widgets::table::{Cell, Column, Table};
use crate::console::widgets::text::{put, put_line, rule, width};
use crate::console::widgets::unit::Unit;
use crate::model::query::{Answer, Query, Span};
use crate::model::snapshot::SourceState;
use crate::model::time::{age, short};
use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::fmt::Write as _;

const COLUMNS: [Column; 2] = [Column::number("VALUE", 10, 24, 0), Column::text("SERIES", 20, 400, 0)];

/// Colours of series, in the order of the legend.
const ROLES: [Role; 6] = [Role::Series1, Role::Series2, Role::Series3, Role::Series4, Role::Series5, Role::Series6];

/// Rows of a chart without its title and axis that are worth drawing.
const LEAST_CHART: u16 = 7;

impl Promql {
    pub(super) fn draw(&self, buf: &mut Buffer, area: Rect, ctx: &Ctx) {
        let note = self.note(ctx);
        rule(buf, ctx.theme, area, "PromQL", &note, ctx.focused);
        let mut rest = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let head = self.expression_lines(buf, rest, ctx);
        rest = Rect { y: rest.y + head, height: rest.height.saturating_sub(head), ..rest };
        if rest.height == 0 {
            return;
        }
        match &self.answer {
            // An expression that is wrong leaves the last answer in its place, with its age.
            Some((query, answer, _)) => match &query.range {
                Some(span) if self.look == Look::Heat => self.heatmap(buf, rest, ctx, *span),
                Some(span) => self.chart(buf, rest, ctx, answer, *span),
                None => self.table(buf, rest, ctx, answer),
            },
            None if self.fault.is_none() => self.hint(buf, rest, ctx),
            None => {}
        }
    }

    fn note(&self, ctx: &Ctx) -> String {
        let view = match self.look {
            Look::Table => "values now".to_owned(),
            Look::Heat => format!("last {}", short(TimeDelta::minutes(self.minutes()))),
            Look::Chart => format!(
                "last {}{}",
                short(TimeDelta::minutes(self.minutes())),
                if self.log { ", logarithmic" } else { "" }
            ),
        };
        let mut note = view;
        if self.waiting.is_some() {
            note += ", asking";
        }
        if let Some((Query { expression, .. }, answer, at)) = &self.answer {
            let of = if **expression == *self.expression { "" } else { " of an earlier expression" };
            let _ = write!(note, ", {}{of}, {} old", self.cursor.position(self.rows.len()), age(ctx.now, *at));
            if answer.left_out > 0 {
                let _ = write!(note, ", {} more left out", answer.left_out);
            }
        }
        note
    }

    /// The expression, the mark under what offends, the reason, warnings. Gives the lines used.
    fn expression_lines(&self, buf: &mut Buffer, area: Rect, ctx: &Ctx) -> u16 {
        if self.expression.is_empty() || area.height == 0 || area.width < 4 {
            return 0;
        }
        let room = area.width - 2;
        let at = self.fault.as_ref().and_then(|f| f.at);
        // A long expression is moved so that its mistake is seen.
        let before: String = self.expression.chars().take(at.unwrap_or(0)).collect();
        let gone = width(&before).saturating_sub(usize::from(room) * 2 / 3);
        let shown = crate::console::layers::skip_columns(&self.expression, gone);
        put(buf, ctx.theme, area.x + 1, area.y, room, &shown, Role::Title);
        let mut used = 1;
        if let Some(fault) = &self.fault {
            if fault.at.is_some() && used < area.height {
                let x = area.x + 1 + (width(&before) - gone) as u16;
                put(buf, ctx.theme, x, area.y + used, 1, "^", Role::Bad);
                used += 1;
            }
            let mut lines = Lines::default();
            lines.text(fault.why.to_string(), Role::Bad);
            for line in lines.wrap(room).iter().take(usize::from(area.height.saturating_sub(used)).min(4)) {
                put_line(buf, ctx.theme, Rect { x: area.x + 1, y: area.y + used, width: room, height: 1 }, line);
                used += 1;
            }
        }
        let notes = self.answer.iter().flat_map(|(_, a, _)| a.notes.iter().map(ToString::to_string));
        let hidden = self.answer.as_ref().map_or(0, |(_, a, _)| a.histograms);
        let hidden = (hidden > 0).then(|| format!("{hidden} series of native histograms are not shown"));
        for note in notes.chain(hidden).take(2) {
            if used < area.height {
                put(buf, ctx.theme, area.x + 1, area.y + used, room, &note, Role::Warning);
                used += 1;
            }
        }
        used
    }

    fn hint(&self, buf: &mut Buffer, area: Rect, ctx: &Ctx) {
        let mut lines = Lines::default();
        if self.waiting.is_some() {
            lines.text("The server was asked.", Role::Muted);
        } else {
            lines.text("Enter writes an expression; r runs it again; v shows a table or a chart.", Role::Muted);
        }
        if let Some(world) = &self.world
            && !matches!(world.snapshot.metrics.state, SourceState::Live { .. })
        {
            let (glyph, words, role) = show::source(&world.snapshot.metrics.state, ctx.now, &ctx.theme.glyphs);
            lines.text(format!("{glyph} Prometheus {words}"), role);
        }
        for (line, y) in lines.wrap(area.width.saturating_sub(2)).iter().zip(area.y..area.bottom()) {
            put_line(buf, ctx.theme, Rect { x: area.x + 1, y, width: area.width.saturating_sub(2), height: 1 }, line);
        }
    }

    fn heatmap(&self, buf: &mut Buffer, area: Rect, ctx: &Ctx, span: Span) {
        let place = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        if let Some(heat) = self.heat() {
            heat.draw(buf, ctx.theme, place, span.from.timestamp() as f64, span.to.timestamp() as f64);
            return;
        }
        let text = "no buckets alone: an expression such as sum by (le) (rate(x_bucket[5m])) gives them";
        put(buf, ctx.theme, place.x, place.y, place.width, text, Role::Muted);
    }

    fn table(&self, buf: &mut Buffer, area: Rect, ctx: &Ctx, answer: &Answer) {
        let empty = if answer.series.is_empty() {
            "the expression gives no series: nothing matches now"
        } else {
            "no series matches the filter"
        };
        let sort = self.by_value.then_some((0, !self.reverse));
        let table = Table { columns: &COLUMNS, sort, empty, theme: ctx.theme };
        table.draw(buf, area, &self.cursor, self.rows.len(), |i| {
            let series = &answer.series[self.rows[i]];
            let value = series.points.last().map_or_else(|| "?".to_owned(), |p| number(p.1));
            vec![Cell::plain(value), Cell::plain(series.name.to_string())]
        });
    }

    fn chart(&self, buf: &mut Buffer, area: Rect, ctx: &Ctx, answer: &Answer, span: Span) {
        // The selected series and its neighbours are drawn, as many as there are colours.
        let first = self.cursor.index() / ROLES.len() * ROLES.len();
        let drawn: Vec<usize> = self.rows.iter().copied().skip(first).take(ROLES.len()).collect();
        let legend = (drawn.len() as u16).min(area.height.saturating_sub(LEAST_CHART));
        let place = Rect { height: area.height - legend, ..area };
        let more = self.rows.len().saturating_sub(drawn.len());
        let title = if more > 0 {
            format!("{} of {} series; the cursor leads to the others", drawn.len(), self.rows.len())
        } else {
            format!("{} series", drawn.len())
        };
        let unit = Unit::Plain;
        let chart = Chart {
            title: vec![(title, Role::Muted)],
            from: span.from.timestamp() as f64,
            to: span.to.timestamp() as f64,
            now: ctx.now.timestamp() as f64,
            step: f64::from(span.step),
            lines: drawn
                .iter()
                .zip(ROLES)
                .map(|(&i, role)| Line { role, points: answer.series[i].points.clone() })
                .collect(),
            unit,
            missing: Some("the expression gives no series in this span".into()),
            log: self.log,
            cross: self.cross.map(|at| at.timestamp() as f64),
            ..Chart::default()
        };
        chart.draw(buf, ctx.theme, place);
        for (n, &i) in drawn.iter().enumerate().take(usize::from(legend)) {
            let y = place.bottom() + n as u16;
            let chosen = first + n == self.cursor.index();
            let mark = if chosen { ctx.theme.glyphs.cursor } else { " " };
            let sign = if ctx.theme.glyphs.ascii { ["*", "+", "x"][n % 3] } else { "━" };
            let last = answer.series[i].points.last().map_or_else(|| "?".to_owned(), |p| number(p.1));
            let name = answer.series[i].name.to_string();
            let texts = [
                (mark.to_owned(), Role::Focus),
                (format!("{sign} "), ROLES[n]),
                (format!("{last:>12} "), Role::Text),
                (name, if chosen { Role::Title } else { Role::Text }),
            ];
            put_line(buf, ctx.theme, Rect { y, height: 1, ..area }, &texts);
        }
    }
}

/// A number without a unit as short as it can be without lying about its size.
fn number(value: f64) -> String {
    Unit::Plain.show(value)
}
