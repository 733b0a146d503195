//! Drawing the map: layers from left to right with lines between them, or a list of services with their calls. Only what
//! is on the screen is built.

use super::chart::{Chart, Row, State, long, short};
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::graph::Segment;
use crate::console::widgets::text::{fit, put, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::cell::Cell;
use std::ops::Range;

/// Columns of a gap besides its vertical lines, and what a label of an edge needs more.
const GAP: u16 = 4;
const LABEL: u16 = 12;

/// What is on the screen of the whole drawing: first column and row, remembered from frame to frame.
#[derive(Debug, Default)]
pub struct Window {
    left: Cell<usize>,
    top: Cell<usize>,
}

impl Window {
    /// Moves as little as needed for `wanted` to be seen.
    fn along(at: &Cell<usize>, wanted: Range<usize>, seen: usize, whole: usize) -> usize {
        let mut first = at.get().min(whole.saturating_sub(seen));
        if wanted.end > first + seen {
            first = wanted.end - seen;
        }
        first = first.min(wanted.start);
        at.set(first);
        first
    }
}

/// The first column of each layer, and of the gap behind it; `labels`: edges have room for their numbers.
fn columns(chart: &Chart, labels: bool) -> Vec<(usize, usize)> {
    let mut x = 0;
    let layers = chart.wide.iter().enumerate();
    layers
        .map(|(l, wide)| {
            let gap = x + usize::from(*wide);
            let tracks = chart.graph.tracks.get(l).map_or(0, |t| *t as u16);
            let own = (x, gap);
            x = gap + usize::from(tracks + GAP + if labels { LABEL } else { 0 });
            own
        })
        .collect()
}

/// The whole width of the drawing without labels of edges.
pub fn wide(chart: &Chart) -> usize {
    columns(chart, false).last().map_or(0, |l| l.1)
}

/// A part of the drawing on the screen.
struct Canvas<'a, 'b> {
    buf: &'a mut Buffer,
    area: Rect,
    ctx: &'a Ctx<'b>,
    left: usize,
    top: usize,
}

impl Canvas<'_, '_> {
    /// The cell of the screen for a place of the drawing, if it is seen.
    fn at(&self, x: usize, y: usize) -> Option<(u16, u16)> {
        let (x, y) = (x.checked_sub(self.left)?, y.checked_sub(self.top)?);
        (x < usize::from(self.area.width) && y < usize::from(self.area.height))
            .then(|| (self.area.x + x as u16, self.area.y + y as u16))
    }

    fn text(&mut self, x: usize, y: usize, columns: usize, text: &str, role: Role) -> usize {
        // What begins left of the screen is not drawn in part: a name without its head is another name.
        let Some((sx, sy)) = self.at(x, y) else { return 0 };
        let room = columns.min(usize::from(self.area.right() - sx)) as u16;
        usize::from(put(self.buf, self.ctx.theme, sx, sy, room, text, role))
    }

    /// Adds arms of a line to a cell: 1 up, 2 down, 4 left, 8 right.
    fn arms(&mut self, x: usize, y: usize, arms: usize, role: Role) {
        let Some(place) = self.at(x, y) else { return };
        let ascii = self.ctx.theme.glyphs.ascii;
        let signs = if ascii { &ASCII } else { &LINES };
        let old = signs.iter().position(|s| *s == self.buf[place].symbol()).unwrap_or(0);
        // In ASCII one sign stands for several arms; a cross is right for all that meet.
        let sign = if ascii && old != 0 && signs[old] != signs[arms] {
            "+"
        } else {
            signs[if ascii { arms } else { old | arms }]
        };
        self.buf[place].set_symbol(sign).set_style(self.ctx.theme.style(role));
    }

    /// A line through a gap whose first column is `x` and width `w`.
    fn line(&mut self, s: &Segment, x: usize, w: usize, role: Role) {
        let turn = x + 1 + s.track;
        let (low, high) = (s.from.min(s.to), s.from.max(s.to));
        for c in x..turn {
            self.arms(c, s.from, 12, role);
        }
        for c in turn + 1..x + w {
            self.arms(c, s.to, 12, role);
        }
        if low == high {
            self.arms(turn, s.from, 12, role);
            return;
        }
        let down = s.to > s.from;
        self.arms(turn, s.from, if down { 4 | 2 } else { 4 | 1 }, role);
        self.arms(turn, s.to, if down { 8 | 1 } else { 8 | 2 }, role);
        let seen = self.top..self.top + usize::from(self.area.height);
        for row in (low + 1).max(seen.start)..high.min(seen.end) {
            self.arms(turn, row, 3, role);
        }
    }
}

const LINES: [&str; 16] = [" ", "╵", "╷", "│", "╴", "┘", "┐", "┤", "╶", "└", "┌", "├", "─", "┴", "┬", "┼"];
const ASCII: [&str; 16] = [" ", "|", "|", "|", "-", "+", "+", "+", "-", "+", "+", "+", "-", "+", "+", "+"];

/// Draws layers with lines between them; the lines of the selected service stand out.
pub fn drawn(buf: &mut Buffer, area: Rect, ctx: &Ctx, chart: &Chart, selected: usize, window: &Window) {
    if area.width == 0 || area.height == 0 || chart.graph.places.is_empty() {
        return;
    }
    let labelled = columns(chart, true);
    let labels = labelled.last().is_some_and(|l| l.1 <= usize::from(area.width));
    let columns = if labels { labelled } else { columns(chart, false) };
    let (layer, row) = chart.graph.places[selected];
    let whole = columns.last().map_or(0, |l| l.1);
    let left = Window::along(&window.left, columns[layer].0..columns[layer].1, area.width.into(), whole);
    let top = Window::along(&window.top, row..row + 1, area.height.into(), chart.graph.height);
    let mut canvas = Canvas { buf, area, ctx, left, top };
    let seen = top..top + usize::from(area.height);
    let own = |s: &Segment| {
        let e = &chart.map.edges[s.edge];
        e.from == selected || e.to == selected
    };
    for strong in [false, true] {
        for (l, segments) in chart.graph.gaps.iter().enumerate() {
            let (x, w) = (columns[l].1, columns[l + 1].0 - columns[l].1);
            if x + w < left || x > left + usize::from(area.width) {
                continue;
            }
            let here = |s: &&Segment| s.from.max(s.to) >= seen.start && s.from.min(s.to) < seen.end;
            for s in segments.iter().filter(here).filter(|s| own(s) == strong) {
                let failing = State::of(chart.map.edges[s.edge].red.failed) == State::Failing;
                let role = match (strong, failing) {
                    (true, _) => Role::Focus,
                    (_, true) => Role::Bad,
                    _ => Role::Muted,
                };
                canvas.line(s, x, w, role);
            }
        }
    }
    passing(&mut canvas, chart, &columns, selected);
    for (l, segments) in chart.graph.gaps.iter().enumerate() {
        ends(&mut canvas, chart, segments, (columns[l].1, columns[l + 1].0), labels);
    }
    for (l, slots) in chart.graph.layers.iter().enumerate() {
        for (row, slot) in slots.iter().filter(|(row, _)| seen.contains(row)) {
            if let crate::console::widgets::graph::Slot::Node(i) = slot {
                node(&mut canvas, chart, *i, (columns[l].0, *row), usize::from(chart.wide[l]), *i == selected);
            }
        }
    }
}

/// Lines that pass a layer on their way.
fn passing(canvas: &mut Canvas, chart: &Chart, columns: &[(usize, usize)], selected: usize) {
    for (l, slots) in chart.graph.layers.iter().enumerate() {
        for (row, slot) in slots {
            if let crate::console::widgets::graph::Slot::Through(edge) = slot {
                let e = &chart.map.edges[*edge];
                let role = if e.from == selected || e.to == selected { Role::Focus } else { Role::Muted };
                for x in columns[l].0..columns[l].1 {
                    canvas.arms(x, *row, 12, role);
                }
            }
        }
    }
}

/// Arrow heads where lines arrive, and numbers on lines that are alone there.
fn ends(canvas: &mut Canvas, chart: &Chart, segments: &[Segment], (x, end): (usize, usize), labels: bool) {
    let ascii = canvas.ctx.theme.glyphs.ascii;
    for s in segments {
        let e = &chart.map.edges[s.edge];
        let (to, back) = if chart.graph.back[s.edge] { (e.from, true) } else { (e.to, false) };
        let arrives = chart.graph.places[to].1 == s.to && chart.graph.places[to].0 > 0;
        let last = chart.graph.gaps.get(chart.graph.places[to].0.wrapping_sub(1));
        if !arrives || !last.is_some_and(|g| std::ptr::eq(g.as_slice(), segments)) {
            continue;
        }
        let head = match (back, ascii) {
            (false, false) => "▸",
            (true, false) => "◂",
            (false, true) => ">",
            (true, true) => "<",
        };
        canvas.text(end - 1, s.to, 1, head, Role::Text);
        let alone = segments.iter().filter(|o| o.to == s.to).count() == 1;
        let text = short(&e.red);
        if labels && alone && !text.is_empty() {
            let room = usize::from(LABEL - 1);
            let text = fit(&text, room, "").into_owned();
            let at = (end - 2 - width(&text)).max(x);
            canvas.text(at, s.to, room, &text, State::of(e.red.failed).sign(&canvas.ctx.theme.glyphs).1);
        }
    }
}

fn node(canvas: &mut Canvas, chart: &Chart, i: usize, (x, y): (usize, usize), wide: usize, selected: bool) {
    let (sign, role) = chart.state(i).sign(&canvas.ctx.theme.glyphs);
    let node = &chart.map.nodes[i];
    let numbers = short(&node.red);
    canvas.text(x, y, 1, sign, role);
    let name = wide.saturating_sub(width(&numbers) + 4).max(4);
    let used = canvas.text(
        x + 2,
        y,
        name.min(wide.saturating_sub(3)),
        &node.name,
        if selected { Role::Title } else { Role::Text },
    );
    let rest = wide.saturating_sub(used + 4);
    if used > 0 && rest > 0 {
        canvas.text(x + 3 + used, y, rest, &numbers, if role == Role::Good { Role::Muted } else { role });
    }
    if selected && let Some((sx, sy)) = canvas.at(x, y) {
        let room = wide.saturating_sub(1).min(usize::from(canvas.area.right() - sx)) as u16;
        let style = canvas.ctx.theme.style(Role::Selection);
        canvas.buf.set_style(Rect { x: sx, y: sy, width: room, height: 1 }, style);
    }
}

/// Draws services by layer, each with the calls it makes below it.
pub fn listed(buf: &mut Buffer, area: Rect, ctx: &Ctx, chart: &Chart, selected: usize, window: &Window) {
    let (theme, g) = (ctx.theme, &ctx.theme.glyphs);
    let Some(&at) = chart.row_of.get(selected) else { return };
    let wanted = at.saturating_sub(1)..(at + 1 + chart.out[selected].len()).min(at + usize::from(area.height).max(1));
    let top = Window::along(&window.top, wanted, area.height.into(), chart.rows.len());
    let room = area.width.saturating_sub(2);
    for (row, y) in chart.rows[top..].iter().zip(area.top()..area.bottom()) {
        let x = area.x + 1;
        match *row {
            Row::Layer(0) => {
                put(buf, theme, x, y, room, "called by nobody, or from outside", Role::Muted);
            }
            Row::Layer(l) => {
                put(buf, theme, x, y, room, &format!("{l} call{} deep", if l == 1 { "" } else { "s" }), Role::Muted);
            }
            Row::Node(i) => {
                let (sign, role) = chart.state(i).sign(g);
                put(buf, theme, x, y, 1, sign, role);
                let name =
                    put(buf, theme, x + 2, y, room.saturating_sub(2).min(30), &chart.map.nodes[i].name, Role::Title);
                let at = x + 3 + name.max(18);
                put(
                    buf,
                    theme,
                    at,
                    y,
                    area.right().saturating_sub(at + 1),
                    &long(&chart.map.nodes[i].red, ctx),
                    Role::Text,
                );
                if i == selected {
                    buf.set_style(Rect { y, height: 1, ..area }, theme.style(Role::Selection));
                    put(buf, theme, area.x, y, 1, g.cursor, Role::Selection);
                }
            }
            Row::Edge(e) => {
                let edge = &chart.map.edges[e];
                let (sign, role) = State::of(edge.red.failed).sign(g);
                let arrow = if edge.detached { "~" } else { "" };
                let text = format!("    {arrow}{} {}", g.arrow, chart.map.nodes[edge.to].name);
                let used = put(buf, theme, x, y, room.min(34), &text, Role::Text);
                let at = x + used.max(21) + 1;
                put(
                    buf,
                    theme,
                    at,
                    y,
                    area.right().saturating_sub(at + 1),
                    &format!("{sign} {}", short(&edge.red)),
                    role,
                );
            }
        }
    }
}
