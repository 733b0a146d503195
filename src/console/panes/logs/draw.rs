//! How the lines are drawn: from the bottom up, and none that is not seen.

use super::fields;
use super::ring::Line;
use super::{LINES, Logs};
use crate::console::effect::LogsOf;
use crate::console::layers::skip_columns;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::text::{fit, put, put_all, rule, width};
use crate::model::logs::State;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation as _;

/// Colours of containers, one after the other.
const COLOURS: [Role; 6] = [Role::Series1, Role::Series2, Role::Series3, Role::Series4, Role::Series5, Role::Series6];

/// Widest name before a line.
const NAME: usize = 28;

/// Most lines that tell what is wrong with logs.
const TROUBLES: usize = 3;

type Piece = (String, Role);

impl Logs {
    pub(super) fn draw(&self, buf: &mut Buffer, area: Rect, ctx: &Ctx) {
        rule(buf, ctx.theme, area, &self.title(), &self.note(), ctx.focused);
        let mut top = area.y + 1;
        if self.of.is_none() {
            let text = "no logs are open: choose a workload, a pod or a container in Workloads or Resources";
            put(buf, ctx.theme, area.x + 1, top, area.width.saturating_sub(2), text, Role::Muted);
            return;
        }
        for (text, role) in self.troubles() {
            put(buf, ctx.theme, area.x + 1, top, area.width.saturating_sub(2), &text, role);
            top += 1;
        }
        let body = Rect { y: top.min(area.bottom()), height: area.bottom().saturating_sub(top), ..area };
        self.height.set(body.height);
        if self.ring.shown() == 0 {
            let text = if self.ring.len() > 0 { "nothing matches the filter" } else { "nothing came yet" };
            put(buf, ctx.theme, body.x + 1, body.y, body.width.saturating_sub(2), text, Role::Muted);
            return;
        }
        self.lines(buf, body, ctx);
    }

    fn lines(&self, buf: &mut Buffer, body: Rect, ctx: &Ctx) {
        let end = self.bottom.map_or(self.ring.len(), |id| self.ring.place(id) + 1);
        let names = self.sources.iter().map(|s| width(&s.name).min(NAME)).max().unwrap_or(0);
        let narrow = body.width < 80;
        let mut rows: Vec<(Vec<Piece>, bool)> = Vec::new();
        for line in self.ring.before(end) {
            if rows.len() >= body.height as usize {
                break;
            }
            let head = self.head(line, names, narrow, ctx);
            let room = (body.width as usize).saturating_sub(head.iter().map(|(t, _)| width(t)).sum()).max(8);
            let text = fields::pieces(&line.text, line.role).filter(|_| self.fields);
            let text = text.unwrap_or_else(|| vec![(line.text.to_string(), line.role)]);
            let mut parts = if self.wrap { broken(text, room) } else { vec![shifted(text, self.left)] };
            let chosen = self.bottom == Some(line.id);
            let indent = body.width as usize - room.min(body.width as usize);
            // Later parts hang below the first; they are collected from the bottom up.
            while let Some(part) = parts.pop() {
                let lead = if parts.is_empty() { head.clone() } else { vec![(" ".repeat(indent), Role::Text)] };
                rows.push(([lead, part].concat(), chosen));
            }
        }
        rows.truncate(body.height as usize);
        let first = body.bottom() - rows.len() as u16;
        // A short log stands at the top.
        let first = if rows.len() < body.height as usize { body.y } else { first };
        for (i, (pieces, chosen)) in rows.iter().rev().enumerate() {
            let y = first + i as u16;
            let texts: Vec<(&str, Role)> = pieces.iter().map(|(t, r)| (t.as_str(), *r)).collect();
            put_all(buf, ctx.theme, body.x, y, body.width, &texts);
            if *chosen {
                buf.set_style(Rect { y, height: 1, ..body }, ctx.theme.style(Role::Selection));
            }
        }
    }

    /// Time and name before a line.
    fn head(&self, line: &Line, names: usize, narrow: bool, ctx: &Ctx) -> Vec<Piece> {
        let mut head = Vec::new();
        if self.times {
            let form = if narrow { "%H:%M:%S " } else { "%H:%M:%S%.3f " };
            let absent = if narrow { "--:--:-- " } else { "--:--:--.--- " };
            head.push((line.at.map_or_else(|| absent.into(), |at| at.format(form).to_string()), Role::Muted));
        }
        if names > 0
            && let Some(source) = self.sources.get(line.source)
        {
            let most = if narrow { names.min(12) } else { names };
            let name = fit(&source.name, most, ctx.theme.glyphs.ellipsis).into_owned();
            let pad = most.saturating_sub(width(&name)) + 1;
            head.push((format!("{name}{}", " ".repeat(pad)), COLOURS[line.source % COLOURS.len()]));
        }
        head
    }

    fn title(&self) -> String {
        let what = match &self.of {
            None => return "Logs".into(),
            Some(LogsOf::Workload(key)) => format!("{} {} in {}", key.kind.as_str(), key.name, key.namespace),
            Some(LogsOf::Pods(pods)) => match &pods[..] {
                [pod] => format!("pod {} in {}", pod.name, pod.namespace),
                pods => format!("{} pods", pods.len()),
            },
            Some(LogsOf::Container(pod, container)) => format!("{container} of pod {} in {}", pod.name, pod.namespace),
        };
        let before = if self.previous { ", before the last restart" } else { "" };
        let only =
            self.only.and_then(|i| self.sources.get(i)).map_or_else(String::new, |s| format!(" · only {}", s.name));
        format!("Logs of {what}{before}{only}")
    }

    /// Whether it follows, how many lines there are, and what is missing of them.
    fn note(&self) -> String {
        if self.of.is_none() {
            return String::new();
        }
        let mut notes = vec![if self.bottom.is_none() { "following".to_owned() } else { "standing still".to_owned() }];
        let (shown, all) = (self.ring.shown(), self.ring.len());
        notes.push(if shown == all { format!("{all} lines") } else { format!("{shown} of {all} lines") });
        if self.ring.gone() > 0 {
            notes.push(format!("{} older than the last {LINES} let go", self.ring.gone()));
        }
        let dropped: u64 = self.sources.iter().map(|s| s.dropped).sum();
        if dropped > 0 {
            notes.push(format!("{dropped} dropped (too fast)"));
        }
        notes.join(", ")
    }

    /// What is wrong with logs, one line each, and how many more there are.
    fn troubles(&self) -> Vec<Piece> {
        let tell = |s: &super::sources::Source| {
            let name = if s.name.is_empty() { &s.key.0.name } else { s.name.as_str() };
            match &s.state {
                State::Waiting { why, again } => {
                    Some((format!("{name}: {why}; asked again in {again} s"), Role::Warning))
                }
                State::Ended { why } => Some((format!("{name}: {why}"), Role::Muted)),
                State::Opening | State::Open => None,
            }
        };
        let mut all: Vec<Piece> = self.sources.iter().filter_map(tell).collect();
        // What may come again is told before what has ended.
        all.sort_by_key(|(_, role)| *role == Role::Muted);
        if all.len() > TROUBLES {
            let more = all.len() - (TROUBLES - 1);
            all.truncate(TROUBLES - 1);
            all.push((format!("and {more} more that say nothing now"), Role::Muted));
        }
        if self.left_out > 0 {
            let text = format!(
                "{} more containers are not followed: {} at once are enough",
                self.left_out,
                super::sources::MOST
            );
            all.push((text, Role::Warning));
        }
        all
    }
}

/// Pieces without their first columns.
fn shifted(pieces: Vec<Piece>, mut left: usize) -> Vec<Piece> {
    if left == 0 {
        return pieces;
    }
    let mut out = Vec::with_capacity(pieces.len());
    for (text, role) in pieces {
        let w = width(&text);
        if w > left {
            out.push((skip_columns(&text, left), role));
        }
        left = left.saturating_sub(w);
    }
    out
}

/// Pieces broken into rows of at most `room` columns, at grapheme borders.
fn broken(pieces: Vec<Piece>, room: usize) -> Vec<Vec<Piece>> {
    let mut rows = vec![Vec::new()];
    let mut used = 0;
    for (text, role) in pieces {
        let mut part = String::new();
        for g in text.graphemes(true) {
            let w = width(g);
            if used + w > room && used > 0 {
                rows.last_mut()
                    .into_iter()
                    .for_each(|row: &mut Vec<Piece>| row.push((std::mem::take(&mut part), role)));
                rows.push(Vec::new());
                used = 0;
            }
            part.push_str(g);
            used += w;
        }
        rows.last_mut().into_iter().for_each(|row| row.push((std::mem::take(&mut part), role)));
    }
    rows
}
