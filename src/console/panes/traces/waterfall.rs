//! An opened trace: a row per span, a bar at its time, the critical path marked, and the span under the cursor in full.

use super::summary::{Summary, nanos};
use super::tree::Rows;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::cursor::{Cursor, Motion, Scroll};
use crate::console::widgets::lines::Lines;
use crate::console::widgets::text::{put, rule};
use crate::model::time::age;
use crate::model::trace::{Span, SpanKind, Trace, TracePath};
use chrono::DateTime;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::HashMap;
use std::sync::Arc;

/// Deeper than this the indentation does not grow: names have to be read.
const DEEPEST: usize = 12;

/// State of an opened trace. It stays as it was opened, whatever its sources add to it.
pub struct Opened {
    /// The trace.
    pub trace: Arc<Trace>,
    /// Its length and root.
    pub summary: Summary,
    rows: Rows,
    cursor: Cursor<usize>,
    /// The critical path; `None` while it is computed.
    path: Option<TracePath>,
    /// Own time on the path by span.
    own: HashMap<usize, i64>,
    /// The span in full is shown alone.
    pub span: Option<Scroll>,
}

impl Opened {
    /// Opens a trace at its first row.
    pub fn new(trace: Arc<Trace>, summary: Summary) -> Self {
        let rows = Rows::of(&trace);
        let mut all =
            Self { trace, summary, rows, cursor: Cursor::default(), path: None, own: HashMap::new(), span: None };
        all.sync();
        all
    }

    fn sync(&mut self) {
        let shown = &self.rows.shown;
        self.cursor.sync(shown.len(), |i| shown[i] as usize);
    }

    /// The path has been computed.
    pub fn take(&mut self, path: &TracePath) {
        self.own = path.steps.iter().map(|s| (s.span, s.own)).collect();
        self.path = Some(path.clone());
    }

    fn row(&self) -> Option<usize> {
        self.rows.shown.get(self.cursor.index()).map(|r| *r as usize)
    }

    /// Which span is under the cursor.
    fn at(&self) -> Option<usize> {
        Some(self.rows.all[self.row()?].span)
    }

    /// The span under the cursor.
    pub fn selected(&self) -> Option<&Span> {
        self.trace.spans.get(self.at()?)
    }

    /// Moves through the rows, or through the span that is open.
    pub fn step(&mut self, motion: Motion) {
        if let Some(scroll) = &mut self.span {
            scroll.step(motion);
            return;
        }
        let shown = &self.rows.shown;
        self.cursor.step(motion, shown.len(), |i| shown[i] as usize);
    }

    /// Hides what is below the cursor; where nothing is, goes to the span above.
    pub fn fold(&mut self) {
        let Some(row) = self.row() else { return };
        if self.rows.has_below(row) && !self.rows.is_folded(row) {
            self.rows.fold(row, true);
        } else if let Some(parent) = self.rows.all[row].parent {
            self.cursor.select(parent);
        }
        self.sync();
    }

    /// Shows what is below the cursor again.
    pub fn unfold(&mut self) {
        if let Some(row) = self.row() {
            self.rows.fold(row, false);
            self.sync();
        }
    }

    /// Whether something below the cursor is hidden.
    pub fn can_unfold(&self) -> bool {
        self.row().is_some_and(|row| self.rows.is_folded(row))
    }

    /// Goes to the next span that failed, from the last one to the first.
    pub fn next_error(&mut self) {
        let (Some(now), count) = (self.row(), self.rows.all.len()) else { return };
        let failed = |row: &usize| self.trace.spans[self.rows.all[*row].span].error;
        if let Some(row) = (now + 1..count).chain(0..=now).find(failed) {
            self.rows.reveal(row);
            self.cursor.select(row);
            self.sync();
        }
    }

    /// Draws the rows, and below them the span under the cursor where there is room.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, ctx: &Ctx) {
        if let Some(scroll) = &self.span {
            let lines = self.at().map(|s| self.about(s, ctx)).unwrap_or_default();
            lines.draw(buf, ctx.theme, area, "Span", scroll, ctx.focused);
            return;
        }
        let below = if area.height >= 24 { area.height / 3 } else { 0 };
        let upper = Rect { height: area.height - below, ..area };
        let name = self.summary.root.map_or_else(String::new, |r| self.trace.spans[r].name());
        let title = format!("{name} {}, {} spans", nanos(self.summary.duration), self.trace.spans.len());
        let note = format!("{} {}", self.cursor.position(self.rows.shown.len()), self.path_words());
        rule(buf, ctx.theme, upper, &title, &note, ctx.focused);
        self.rows(buf, Rect { y: upper.y + 1, height: upper.height.saturating_sub(1), ..upper }, ctx);
        if let Some(span) = self.at().filter(|_| below > 0) {
            let place = Rect { y: upper.bottom(), height: below, ..area };
            self.about(span, ctx).draw(buf, ctx.theme, place, "Span", &Scroll::default(), false);
        }
    }

    fn path_words(&self) -> &'static str {
        match &self.path {
            None => "critical path is being computed",
            Some(p) if p.steps.is_empty() => "no critical path",
            Some(p) if p.mended.is_empty() => "* critical path",
            Some(_) => "* critical path, mended",
        }
    }

    fn rows(&self, buf: &mut Buffer, area: Rect, ctx: &Ctx) {
        if area.height < 2 {
            return;
        }
        let columns = Columns::of(area);
        self.axis(buf, area, &columns, ctx);
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let shown = self.cursor.window(self.rows.shown.len(), body.height as usize);
        for (line, index) in shown.enumerate() {
            let y = body.y + line as u16;
            self.row_line(buf, y, self.rows.shown[index] as usize, &columns, ctx);
            if index == self.cursor.index() {
                buf.set_style(Rect { y, height: 1, ..body }, ctx.theme.style(Role::Selection));
                put(buf, ctx.theme, body.x, y, 1, ctx.theme.glyphs.cursor, Role::Selection);
            }
        }
    }

    /// Times from the start of the trace, as many as have room.
    fn axis(&self, buf: &mut Buffer, area: Rect, c: &Columns, ctx: &Ctx) {
        let parts = (c.bars.1 / 14).clamp(1, 6);
        put(buf, ctx.theme, c.name.0, area.y, c.name.1, "SPAN", Role::Title);
        for part in 0..parts {
            let at = (i128::from(self.summary.duration) * i128::from(part) / i128::from(parts)) as i64;
            let text = if part == 0 { "0".to_owned() } else { nanos(at) };
            put(buf, ctx.theme, c.bars.0 + c.bars.1 * part / parts, area.y, 13, &text, Role::Muted);
        }
        put(buf, ctx.theme, c.took.0, area.y, c.took.1, &format!("{:>8}", "TOOK"), Role::Title);
    }

    fn row_line(&self, buf: &mut Buffer, y: u16, row: usize, c: &Columns, ctx: &Ctx) {
        let (theme, place) = (ctx.theme, &self.rows.all[row]);
        let span = &self.trace.spans[place.span];
        let critical = self.own.contains_key(&place.span);
        let ascii = theme.glyphs.ascii;
        let role = match (span.error, critical) {
            (true, _) => Role::Bad,
            (_, true) => Role::Series2,
            _ => Role::Series1,
        };
        let mut x = c.name.0;
        let mut left = c.name.1;
        let mut write = |text: &str, role: Role| {
            let used = put(buf, theme, x, y, left, text, role);
            x += used;
            left -= used;
        };
        write(if critical { "*" } else { " " }, Role::Series2);
        write(if span.error { theme.glyphs.bad } else { " " }, Role::Bad);
        write(&" ".repeat(place.depth.min(DEEPEST)), Role::Muted);
        write(
            match (self.rows.has_below(row), self.rows.is_folded(row)) {
                (false, _) => "  ",
                (_, true) => "+ ",
                (_, false) => "- ",
            },
            Role::Muted,
        );
        if span.detached {
            write(if ascii { "~ " } else { "↝ " }, Role::Muted);
        }
        if place.retry {
            write("again: ", Role::Warning);
        }
        write(&span.service, Role::Title);
        write(" ", Role::Text);
        write(&span.operation, Role::Text);
        let bar = match (critical, ascii) {
            (true, true) => "#",
            (true, false) => "█",
            (false, true) => "-",
            (false, false) => "─",
        };
        let (from, cells) = self.bar(span, c.bars.1);
        put(buf, theme, c.bars.0 + from, y, cells, &bar.repeat(cells as usize), role);
        put(buf, theme, c.took.0, y, c.took.1, &format!("{:>8}", nanos(span.duration)), Role::Text);
    }

    /// First column and columns of a bar; at least one, and always inside.
    fn bar(&self, span: &Span, columns: u16) -> (u16, u16) {
        let all = self.summary.duration.max(1) as f64;
        let place = |ns: i64| ((ns as f64 / all).clamp(0.0, 1.0) * f64::from(columns)) as u16;
        let from = place(span.start.saturating_sub(self.summary.start)).min(columns.saturating_sub(1));
        let to = place(span.end().saturating_sub(self.summary.start)).max(from + 1).min(columns);
        (from, to - from)
    }

    /// The span in full.
    fn about(&self, which: usize, ctx: &Ctx) -> Lines {
        let (s, mut l) = (&self.trace.spans[which], Lines::default());
        l.add(2, vec![(s.name(), Role::Title)]);
        if s.error {
            let why = s.message.as_deref().unwrap_or("it does not say why");
            l.field("failed", why, Role::Bad);
        } else if let Some(message) = &s.message {
            l.field("message", message.to_string(), Role::Text);
        }
        let offset = nanos(s.start.saturating_sub(self.summary.start));
        let at = DateTime::from_timestamp_nanos(s.start);
        l.field(
            "time",
            format!("{} from +{offset}, {} ({} ago)", nanos(s.duration), at.format("%F %T%.3f UTC"), age(ctx.now, at)),
            Role::Text,
        );
        match self.own.get(&which) {
            Some(own) => l.field("critical", format!("yes, {} of it is its own time", nanos(*own)), Role::Series2),
            None if self.path.is_none() => l.field("critical", "is being computed", Role::Muted),
            None => l.field("critical", "no: nothing waited for it alone", Role::Text),
        };
        l.field("kind", kind(s), Role::Text);
        let o = &s.origin;
        let made = [
            ("pod", &o.pod),
            ("workload", &o.workload),
            ("namespace", &o.namespace),
            ("node", &o.node),
            ("version", &o.version),
            ("host", &s.host),
        ];
        let made: Vec<String> = made.iter().filter_map(|(n, v)| v.as_ref().map(|v| format!("{n} {v}"))).collect();
        l.field(
            "made by",
            if made.is_empty() { "its source does not say".into() } else { made.join(", ") },
            Role::Text,
        );
        l.field(
            "ids",
            format!("span {}, parent {}, trace {}", s.id, s.parent.as_deref().unwrap_or("none"), self.trace.id),
            Role::Muted,
        );
        for (title, all) in [("Attributes", &s.attributes), ("Attributes of the process", &o.attributes)] {
            if !all.is_empty() {
                l.head(title);
                for (k, v) in all.iter() {
                    l.add(4, vec![(format!("{k}="), Role::Muted), (v.to_string(), Role::Text)]);
                }
            }
        }
        if let Some(path) = self.path.as_ref().filter(|p| !p.mended.is_empty()) {
            l.head("Mended for the critical path");
            for m in &path.mended {
                l.item("-", vec![(m.to_string(), Role::Stale)]);
            }
        }
        if self.trace.negative > 0 {
            l.field("note", format!("{} spans had a negative duration, taken as 0", self.trace.negative), Role::Stale);
        }
        l
    }
}

fn kind(s: &Span) -> &'static str {
    match (s.kind, s.detached) {
        (_, true) => "follows another span that did not wait for it",
        (SpanKind::Internal, _) => "internal work",
        (SpanKind::Server, _) => "served a call",
        (SpanKind::Client, _) => "made a call and waited",
        (SpanKind::Producer, _) => "sent a message and did not wait",
        (SpanKind::Consumer, _) => "took a message",
    }
}

/// First column and columns of each part of a row.
struct Columns {
    name: (u16, u16),
    bars: (u16, u16),
    took: (u16, u16),
}

impl Columns {
    fn of(area: Rect) -> Self {
        let inner = area.width.saturating_sub(1);
        let took = 8.min(inner);
        let name = (inner * 2 / 5).clamp(10.min(inner), 60);
        let bars = inner.saturating_sub(name + took + 2);
        let x = area.x + 1;
        Self {
            name: (x, name),
            bars: (x + name + 1, bars),
            took: ((x + name + bars + 2).min(area.right()), took.min(inner.saturating_sub(name + bars + 2))),
        }
    }
}
