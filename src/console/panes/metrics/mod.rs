//! Metrics: charts of the seven signals of one workload over time.

mod charts;

use super::{show, usage};
use crate::autopilot::world::World;
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::theme::Role;
use crate::console::widgets::bar::sparkline;
use crate::console::widgets::cursor::{Cursor, Motion, Scroll};
use crate::console::widgets::filter::{Field, Filter};
use crate::console::widgets::table::{Cell, Column, Table};
use crate::console::widgets::text::rule;
use crate::console::widgets::unit::Unit;
use crate::model::cluster::Workload;
use crate::model::object::WorkloadKey;
use crate::model::series::Signal;
use crate::model::time::{Timestamp, short};
use charts::{FRAMES, Span};
use chrono::TimeDelta;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::cmp::Reverse;
use std::sync::Arc;

/// Spans that zooming goes through, in minutes: up to what the rings hold.
const SPANS: [i64; 7] = [15, 30, 60, 180, 360, 720, 1440];

/// Least width at which the list stands beside the charts.
const BESIDE: u16 = 100;

/// Columns of a sparkline.
const SPARK: usize = 16;

const COLUMNS: [Column; 6] = [
    Column::text("WORKLOAD", 16, 44, 0),
    Column::number("CPU", 6, 12, 1),
    Column::number("MEM", 6, 12, 2),
    Column::number("REQUESTS", 8, 12, 4),
    Column::number("ERRORS", 6, 12, 3),
    Column::text("CPU OVER TIME", SPARK as u16, SPARK as u16, 5),
];

/// What the list is sorted by, in the order `sort` goes through.
const SORTS: [usize; 3] = [0, 1, 2];

/// How close the operator looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Look {
    /// Choosing a workload.
    #[default]
    List,
    /// All charts of one workload.
    Grid,
    /// One chart.
    One,
}

/// State of the pane.
pub struct Metrics {
    world: Option<Arc<World>>,
    filter: Filter,
    sort: usize,
    reverse: bool,
    rows: Vec<u32>,
    cursor: Cursor<WorkloadKey>,
    look: Look,
    frame: usize,
    span: usize,
    end: Option<Timestamp>,
    log: bool,
    cross: Option<Timestamp>,
    profile: Scroll,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            world: None,
            filter: Filter::default(),
            sort: 0,
            reverse: false,
            rows: Vec::new(),
            cursor: Cursor::default(),
            look: Look::List,
            frame: 0,
            span: 2,
            end: None,
            log: false,
            cross: None,
            profile: Scroll::default(),
        }
    }
}

impl Metrics {
    fn rebuild(&mut self) {
        let Some(world) = &self.world else { return };
        let all = &world.snapshot.workloads;
        let mut rows: Vec<u32> = (0..all.len() as u32)
            .filter(|&i| {
                let k = &all[i as usize].key;
                self.filter.passes(&[
                    (Field::Text, &k.name),
                    (Field::Text, &k.namespace),
                    (Field::Namespace, &k.namespace),
                    (Field::Kind, k.kind.as_str()),
                    (Field::Kind, k.kind.short()),
                ])
            })
            .collect();
        let signal = match SORTS[self.sort] {
            1 => Some(Signal::Cpu),
            2 => Some(Signal::Memory),
            _ => None,
        };
        if let Some(signal) = signal {
            // Greatest first; what has no number comes last.
            let value = |i: u32| {
                let m = world.snapshot.metrics.workloads.get(&all[i as usize].key)?;
                Some(ordered(m.now(signal).last()?.0))
            };
            rows.sort_by_cached_key(|&i| Reverse(value(i)));
        }
        if self.reverse {
            rows.reverse();
        }
        self.cursor.sync(rows.len(), |i| all[rows[i] as usize].key.clone());
        self.rows = rows;
    }

    fn selected(&self) -> Option<&Arc<Workload>> {
        self.world.as_ref()?.snapshot.workloads.get(*self.rows.get(self.cursor.index())? as usize)
    }

    fn span(&self) -> Span {
        Span { end: self.end, length: TimeDelta::minutes(SPANS[self.span]) }
    }

    fn step(&mut self, motion: Motion) {
        let Some(world) = self.world.clone() else { return };
        if world.snapshot.workloads.is_empty() {
            self.profile.step(motion);
        } else if self.look == Look::List {
            let rows = &self.rows;
            self.cursor.step(motion, rows.len(), |i| world.snapshot.workloads[rows[i] as usize].key.clone());
        } else {
            self.frame = match motion {
                Motion::Up => (self.frame + FRAMES.len() - 1) % FRAMES.len(),
                Motion::Down => (self.frame + 1) % FRAMES.len(),
                Motion::Top | Motion::PageUp => 0,
                Motion::Bottom | Motion::PageDown => FRAMES.len() - 1,
            };
        }
    }

    /// Moves the window by half a span; never past the present, never before what is kept.
    fn pan(&mut self, direction: i32, ctx: &Ctx) {
        let half = TimeDelta::minutes(SPANS[self.span]) / 2;
        let end = self.end.unwrap_or(ctx.now) + half * direction;
        let oldest = ctx.now - TimeDelta::minutes(SPANS[SPANS.len() - 1]) + TimeDelta::minutes(SPANS[self.span]);
        self.end = if end >= ctx.now { None } else { Some(end.max(oldest.min(ctx.now))) };
    }

    /// Moves the crosshair by a fiftieth of the span; the first step sets it at the end.
    fn cross(&mut self, direction: i32, ctx: &Ctx) {
        let to = self.end.unwrap_or(ctx.now);
        let length = TimeDelta::minutes(SPANS[self.span]);
        let at = self.cross.map_or(to, |at| at + length / 50 * direction);
        self.cross = Some(at.clamp(to - length, to));
    }

    fn list(&self, frame: &mut Frame, area: Rect, ctx: &Ctx, world: &World) {
        let place = self.cursor.position(self.rows.len());
        let note = if self.filter.is_empty() { place } else { format!("filter {}, {place}", self.filter.source()) };
        let focused = ctx.focused && self.look == Look::List;
        rule(frame.buffer_mut(), ctx.theme, area, "Workloads", &note, focused);
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let table = Table {
            columns: &COLUMNS,
            sort: Some((SORTS[self.sort], self.reverse == (SORTS[self.sort] == 0))),
            empty: "no workload matches the filter",
            theme: ctx.theme,
        };
        table.draw(frame.buffer_mut(), body, &self.cursor, self.rows.len(), |i| {
            row(&world.snapshot.workloads[self.rows[i] as usize], world, ctx)
        });
    }

    fn charts(&self, frame: &mut Frame, area: Rect, ctx: &Ctx, world: &World) {
        let Some(w) = self.selected() else { return };
        let span = self.span();
        let mut note = format!("last {}", short(span.length));
        if let Some(end) = self.end {
            note = format!("{} until {}", short(span.length), end.format("%H:%M:%S UTC"));
        }
        let k = &w.key;
        let to = self.end.unwrap_or(ctx.now);
        let seen = show::spans(&world.anomalies, k, ctx.now);
        if seen.iter().any(|s| s.1 >= (to - span.length).timestamp() as f64 && s.0 <= to.timestamp() as f64) {
            note += if ctx.theme.glyphs.ascii { ", = anomaly" } else { ", ━ anomaly" };
        }
        if self.log {
            note += ", logarithmic";
        }
        let title = format!("{}/{} {}", k.namespace, k.name, k.kind.as_str());
        let buf = frame.buffer_mut();
        rule(buf, ctx.theme, area, &title, &note, ctx.focused && self.look != Look::List);
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        if !world.snapshot.metrics.workloads.contains_key(k) && self.look != Look::One {
            let text = charts::profile(world, ctx);
            let place = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
            let why = Rect { height: 1, ..body };
            crate::console::widgets::text::put(
                buf,
                ctx.theme,
                why.x + 1,
                why.y,
                why.width.saturating_sub(2),
                &format!("no data for this workload: {}", charts::missing(world, None)),
                Role::Stale,
            );
            text.draw(buf, ctx.theme, place, "Metrics profile", &self.profile, false);
            return;
        }
        let (columns, rows) = if self.look == Look::One { (1, 1) } else { grid(body) };
        let fits = (columns * rows) as usize;
        let first = self.frame / fits * fits;
        let (cw, ch) = (body.width / columns, body.height / rows);
        if cw == 0 || ch == 0 {
            return;
        }
        for (place, n) in (first..FRAMES.len().min(first + fits)).enumerate() {
            let (cx, cy) = (place as u16 % columns, place as u16 / columns);
            let cell =
                Rect { x: body.x + cx * cw, y: body.y + cy * ch, width: cw - u16::from(columns > 1), height: ch };
            let chosen = self.look != Look::List && n == self.frame;
            let view = charts::View { world, workload: w, span, log: self.log, cross: self.cross };
            charts::draw(buf, cell, ctx, &view, n, chosen);
        }
    }
}

/// Columns and rows of charts that stay readable: at least 40 × 7 each, at most 3 × 2 or 2 × 3 or 1 × 6.
fn grid(area: Rect) -> (u16, u16) {
    let columns = (area.width / 40).clamp(1, 3);
    let rows = (area.height / 7).clamp(1, 6 / columns);
    (columns, rows)
}

/// A number that sorts; readings are never NaN.
fn ordered(value: f64) -> i64 {
    (value * 1000.0) as i64
}

fn row<'a>(w: &'a Workload, world: &World, ctx: &Ctx) -> Vec<Cell<'a>> {
    let m = &world.snapshot.metrics;
    let g = &ctx.theme.glyphs;
    let used = usage::of_workload(m, w);
    let series = m.workloads.get(&w.key);
    let other = |signal: Signal| match series {
        Some(s) => show::reading(s.now(signal), Unit::of(signal), ctx.now, g),
        None => Cell::new(show::absent(g), Role::Stale),
    };
    let spark = series.map_or_else(String::new, |s| {
        let (from, to) = (ctx.now - TimeDelta::hours(1), ctx.now);
        let points: Vec<_> = s.history(Signal::Cpu).range(from, to).map(|(at, v)| (at.timestamp() as f64, v)).collect();
        sparkline(&points, from.timestamp() as f64, to.timestamp() as f64, SPARK, g)
    });
    vec![
        Cell::plain(format!("{}/{}", w.key.namespace, w.key.name)),
        show::reading(&used.cpu, Unit::Cores, ctx.now, g),
        show::reading(&used.memory, Unit::Bytes, ctx.now, g),
        other(Signal::RequestRate),
        other(Signal::ErrorRate),
        Cell::new(spark, Role::Series1),
    ]
}

impl Pane for Metrics {
    fn id(&self) -> PaneId {
        PaneId::Metrics
    }

    fn sync(&mut self, ctx: &Ctx) {
        self.world = Some(ctx.world.clone());
        self.rebuild();
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            self.step(motion);
            return vec![];
        }
        match command {
            CommandId::Open => self.look = if self.look == Look::List { Look::Grid } else { Look::One },
            CommandId::Back if self.cross.is_some() => self.cross = None,
            CommandId::Back => match self.look {
                Look::One => self.look = Look::Grid,
                Look::Grid => self.look = Look::List,
                Look::List => self.set_filter(String::new(), ctx),
            },
            CommandId::ZoomIn => self.span = self.span.saturating_sub(1),
            CommandId::ZoomOut => self.span = (self.span + 1).min(SPANS.len() - 1),
            CommandId::Earlier => self.pan(-1, ctx),
            CommandId::Later => self.pan(1, ctx),
            CommandId::Now => (self.end, self.cross) = (None, None),
            CommandId::CrossEarlier => self.cross(-1, ctx),
            CommandId::CrossLater => self.cross(1, ctx),
            CommandId::LogScale => self.log = !self.log,
            CommandId::Sort | CommandId::SortReverse => {
                if command == CommandId::Sort {
                    self.sort = (self.sort + 1) % SORTS.len();
                } else {
                    self.reverse = !self.reverse;
                }
                self.rebuild();
            }
            CommandId::Copy => return self.copy().map(Effect::Copy).into_iter().collect(),
            _ => {}
        }
        vec![]
    }

    fn why_not(&self, command: CommandId, _: &Ctx) -> Option<String> {
        match command {
            CommandId::Open if self.look == Look::One => Some("this chart is enlarged already".into()),
            CommandId::Open | CommandId::Copy if self.selected().is_none() => Some("there is no workload here".into()),
            CommandId::Back if self.cross.is_none() && self.look == Look::List && self.filter.is_empty() => {
                Some("nothing to step out of".into())
            }
            CommandId::ZoomIn if self.span == 0 => Some("15 minutes is the shortest span".into()),
            CommandId::ZoomOut if self.span + 1 == SPANS.len() => Some("a day is the longest span that is kept".into()),
            CommandId::Later if self.end.is_none() => Some("this is the present".into()),
            CommandId::Now if self.end.is_none() && self.cross.is_none() => Some("this is the present".into()),
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let Some(world) = &self.world else { return };
        if world.snapshot.workloads.is_empty() {
            let text = charts::profile(world, ctx);
            text.draw(frame.buffer_mut(), ctx.theme, area, "Metrics profile", &self.profile, ctx.focused);
            return;
        }
        if self.look == Look::List && area.width >= BESIDE {
            let w = (area.width / 4).clamp(34, 52);
            self.list(frame, Rect { width: w, ..area }, ctx, world);
            self.charts(frame, Rect { x: area.x + w + 1, width: area.width - w - 1, ..area }, ctx, world);
        } else if self.look == Look::List {
            self.list(frame, area, ctx, world);
        } else {
            self.charts(frame, area, ctx, world);
        }
    }

    fn trail(&self) -> String {
        match (self.look, self.selected()) {
            (Look::List, _) | (_, None) => String::new(),
            (Look::Grid, Some(w)) => w.key.to_string(),
            (Look::One, Some(w)) => format!("{} › {}", w.key, FRAMES[self.frame][0].title()),
        }
    }

    /// None over charts: they are not filtered, and stepping back leaves them first.
    fn filter(&self) -> &str {
        if self.look == Look::List { self.filter.source() } else { "" }
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        self.filter = Filter::parse(&filter);
        self.rebuild();
    }

    fn go(&mut self, target: &Target, ctx: &Ctx) -> bool {
        let (key, at) = match target {
            Target::Workload(key) => (key, None),
            Target::Moment(key, at) => (key, Some(*at)),
            _ => return false,
        };
        if ctx.world.snapshot.workload(key).is_none() {
            return false;
        }
        self.world = Some(ctx.world.clone());
        self.filter = Filter::default();
        self.cursor.select(key.clone());
        self.rebuild();
        self.look = Look::Grid;
        if let Some(at) = at {
            // The moment stands in the middle, or as near to it as the present allows.
            self.end = Some(at);
            self.pan(1, ctx);
        }
        true
    }

    fn copy(&self) -> Option<String> {
        self.selected().map(|w| w.key.to_string())
    }
}
