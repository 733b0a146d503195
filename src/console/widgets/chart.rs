//! Charts over time: series in braille (or ASCII), limits as lines across, rollouts as lines down, incidents as spans.
//!
//! Samples are gathered per dot column with their least and greatest value, so peaks survive at every
//! width. A gap between samples stays a gap, and the axis is dotted where nothing was measured.

use super::text::{put, put_all, width};
use super::unit::Unit;
use crate::console::theme::{Role, Theme};
use crate::model::time::short;
use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::braille::BRAILLE;

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
#[derive(Debug, Clone)]
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
    /// Said in place of the data where there is none: the reason.
    pub missing: Option<String>,
}

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

    /// The pattern of one braille cell.
    fn braille(&self, cx: usize, cy: usize) -> usize {
        (0..8).filter(|bit| self.set[(cy * 4 + bit / 2) * self.columns + cx * 2 + bit % 2]).map(|bit| 1 << bit).sum()
    }
}

impl Chart {
    /// The greatest value of the axis.
    fn top(&self) -> f64 {
        let data = self.peak();
        let levels = self.levels.iter().map(|l| l.value).filter(|v| data <= 0.0 || *v <= data * 3.0);
        self.unit.round_up(levels.fold(data, f64::max))
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
        let top = self.top();
        let labels = [self.unit.show(top), self.unit.show(top * 0.5), "0".to_owned()];
        let gutter = labels.iter().map(|l| width(l)).max().unwrap_or(0).max(6) as u16;
        let plot =
            Rect { x: area.x + gutter + 1, y: area.y + 1, width: area.width - gutter - 2, height: area.height - 2 };
        self.axis(buf, theme, plot, gutter, &labels);
        for level in self.levels.iter().filter(|l| l.value <= top) {
            let y = plot.y + row_of(level.value, top, plot.height as usize) as u16;
            let dash = if theme.glyphs.ascii { "-" } else { "┄" };
            for x in plot.left()..plot.right() {
                buf[(x, y)].set_symbol(dash).set_style(theme.style(level.role));
            }
        }
        if let Some(band) = &self.band {
            self.shade(buf, theme, plot, band, top);
        }
        self.incidents(buf, theme, plot);
        for (n, line) in self.lines.iter().enumerate() {
            self.series(buf, theme, plot, line, top, n);
        }
    }

    fn axis(&self, buf: &mut Buffer, theme: &Theme, plot: Rect, gutter: u16, labels: &[String; 3]) {
        let bar = if theme.glyphs.ascii { "|" } else { "│" };
        for y in plot.top()..plot.bottom() {
            put(buf, theme, plot.x - 1, y, 1, bar, Role::Border);
        }
        let places = [1.0, 0.5, 0.0].map(|share| plot.y + row_of(share, 1.0, plot.height as usize) as u16);
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
        let (left, right) = (format!("{} ", ago(self.from)), format!(" {}", ago(self.to)));
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

    /// Rollouts and incidents: where both fall into one column, the rollout's line and the incident's top are seen.
    fn incidents(&self, buf: &mut Buffer, theme: &Theme, plot: Rect) {
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
    fn shade(&self, buf: &mut Buffer, theme: &Theme, plot: Rect, band: &Band, top: f64) {
        let cell = (self.to - self.from).max(1.0) / f64::from(plot.width);
        let symbol = if theme.glyphs.ascii { "." } else { "░" };
        for cx in 0..plot.width {
            let at = self.from + (f64::from(cx) + 0.5) * cell;
            let Some((low, high)) = between(&band.points, at) else { continue };
            let rows = plot.height as usize;
            for row in row_of(high, top, rows)..=row_of(low, top, rows) {
                buf[(plot.x + cx, plot.y + row as u16)].set_symbol(symbol).set_style(theme.style(band.role));
            }
        }
    }

    fn series(&self, buf: &mut Buffer, theme: &Theme, plot: Rect, line: &Line, top: f64, number: usize) {
        let (fine_x, fine_y) = if theme.glyphs.ascii { (1, 1) } else { (2, 4) };
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
            dots.column(x, row_of(b.high, top, rows), row_of(b.low, top, rows));
            if let Some((from_x, (at, value))) = before
                && b.first.0 - at <= self.step * 2.5
            {
                dots.slope((from_x, row_of(value, top, rows)), (x, row_of(b.first.1, top, rows)));
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

/// The row of a value, 0 at the top.
fn row_of(value: f64, top: f64, rows: usize) -> usize {
    let share = (value / top).clamp(0.0, 1.0);
    ((1.0 - share) * (rows - 1) as f64).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::theme::Glyphs;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        Chart {
            title: vec![("cpu".into(), Role::Title)],
            from: 0.0,
            to: 3600.0,
            now: 3600.0,
            step: 30.0,
            lines: vec![Line { role: Role::Series1, points }],
            band: None,
            levels: vec![],
            marks: vec![],
            spans: vec![],
            unit: Unit::Count,
            missing: None,
        }
    }

    fn shown(chart: &Chart, theme: &Theme) -> Vec<String> {
        let area = Rect::new(0, 0, 47, 12);
        let mut buf = Buffer::empty(area);
        chart.draw(&mut buf, theme, area);
        (0..12).map(|y| (0..47).map(|x| buf[(x, y)].symbol()).collect()).collect()
    }

    #[test]
    fn one_peak_among_thousands_survives() {
        let theme = Theme::plain(Glyphs::ASCII);
        let mut points: Vec<(f64, f64)> = (0..3600).map(|i| (f64::from(i), 1.0)).collect();
        points[1800].1 = 10.0;
        let rows = shown(&chart(points), &theme);
        assert_eq!(rows[1].matches('*').count(), 1, "{rows:#?}");
        assert!(rows[1].trim_start().starts_with("10"));
    }

    #[test]
    fn an_incident_has_its_begin_and_its_length_and_one_outside_is_not_drawn() {
        let theme = Theme::plain(Glyphs::ASCII);
        let low = (0..120).map(|i| (f64::from(i) * 30.0, if i == 0 { 9.0 } else { 1.0 })).collect();
        let mut c = chart(low);
        c.spans = vec![(1800.0, 2700.0), (-900.0, -60.0), (3700.0, 4000.0)];
        let rows = shown(&c, &theme);
        let across = rows[1].matches('=').count();
        assert!((9..=12).contains(&across), "a quarter of 38 columns: {across} {rows:#?}");
        let begin = rows[1].find('=').unwrap();
        assert!(rows[2..8].iter().all(|r| r.find('!') == Some(begin) && r.matches('!').count() == 1), "{rows:#?}");
        c.spans = vec![(-900.0, 360.0)];
        let rows = shown(&c, &theme);
        assert!(rows[1].contains('=') && rows.iter().all(|r| !r.contains('!')), "{rows:#?}");
    }

    #[test]
    fn a_gap_stays_a_gap_and_the_axis_says_so() {
        let theme = Theme::plain(Glyphs::ASCII);
        let points: Vec<(f64, f64)> =
            (0..120).filter(|i| !(40..80).contains(i)).map(|i| (f64::from(i) * 30.0, 5.0)).collect();
        let rows = shown(&chart(points), &theme);
        let line = rows.iter().find(|r| r.contains('*')).unwrap();
        let gap = line.trim().trim_start_matches(|c| c != '*').trim_matches('*');
        assert!(gap.len() >= 10 && gap.trim().is_empty(), "{rows:#?}");
        assert!(rows[11].contains("......"), "{rows:#?}");
    }

    #[test]
    fn no_data_gives_the_reason_and_no_zero() {
        let theme = Theme::plain(Glyphs::UNICODE);
        let mut c = chart(vec![]);
        c.missing = Some("no series".into());
        let all = shown(&c, &theme).join("\n");
        assert!(all.contains("no data: no series") && !all.contains('0'), "{all}");
    }

    #[test]
    fn a_limit_far_above_does_not_flatten_the_data() {
        let mut c = chart((0..120).map(|i| (f64::from(i) * 30.0, 5.0)).collect());
        c.levels.push(Level { value: 8.0, role: Role::Limit });
        assert_eq!(c.top(), 8.0);
        c.levels[0].value = 1000.0;
        assert_eq!(c.top(), 5.0);
    }

    #[test]
    fn a_band_is_shaded_where_it_is_and_raises_the_axis() {
        let theme = Theme::plain(Glyphs::ASCII);
        let mut c = chart((0..60).map(|i| (f64::from(i) * 30.0, 4.0)).collect());
        let points = (60..=120).map(|i| (f64::from(i) * 30.0, 5.0, 9.5)).collect();
        c.band = Some(Band { role: Role::Muted, points });
        c.now = 1800.0;
        assert_eq!(c.top(), 10.0);
        let rows = shown(&c, &theme);
        let shaded: Vec<usize> = (1..10).filter(|y| rows[*y].contains("....")).collect();
        assert_eq!(shaded, [1, 2, 3, 4, 5, 6], "{rows:#?}");
        assert!(rows[2].find('.').unwrap() > 20, "only the second half: {rows:#?}");
        assert!(rows[11].contains("-30m") && rows[11].contains("+30m"), "{}", rows[11]);
    }
}
