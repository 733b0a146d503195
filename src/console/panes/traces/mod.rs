//! Traces: which requests were slow or failed and where, one of them as a waterfall, and what all of them mean.

mod histogram;
mod list;
mod meaning;
mod search;
mod summary;
#[cfg(test)]
mod tests;
mod tree;
mod waterfall;

use super::workloads::logs::LOG_LINES;
use crate::autopilot::world::{Detail, World};
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::widgets::cursor::{Cursor, Motion, Scroll};
use crate::console::widgets::table::Table;
use crate::console::widgets::text::{put_line, rule};
use crate::model::object::{ObjectRef, PodKey, Resource, WorkloadKey};
use crate::model::trace::{Span, Trace, TracePath};
use chrono::DateTime;
use meaning::{Fact, View};
use ratatui::Frame;
use ratatui::layout::Rect;
use search::Search;
use std::cmp::Reverse;
use std::sync::Arc;
use summary::Summaries;
use waterfall::Opened;

/// What traces are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum By {
    #[default]
    Time,
    Duration,
}

/// State of the pane.
#[derive(Default)]
pub struct Traces {
    world: Option<Arc<World>>,
    view: View,
    search: Search,
    by: By,
    reverse: bool,
    summaries: Summaries,
    rows: Vec<u32>,
    /// Durations of the rows, for the histogram.
    durations: Vec<i64>,
    cursor: Cursor<Arc<str>>,
    opened: Option<Opened>,
    facts: Vec<Fact>,
    fact: Cursor<String>,
    detail: Option<Scroll>,
}

impl Traces {
    fn rebuild(&mut self) {
        let all = &self.summaries.all;
        let passes = |i: &u32| {
            let (trace, summary) = &all[*i as usize];
            self.search.passes(trace, summary)
        };
        let mut rows: Vec<u32> = (0..all.len() as u32).filter(passes).collect();
        match self.by {
            By::Time => rows.sort_by_key(|&i| Reverse(all[i as usize].1.start)),
            By::Duration => rows.sort_by_key(|&i| Reverse(all[i as usize].1.duration)),
        }
        if self.reverse {
            rows.reverse();
        }
        self.cursor.sync(rows.len(), |i| all[rows[i] as usize].0.id.clone());
        self.durations = rows.iter().map(|&i| all[i as usize].1.duration).collect();
        self.rows = rows;
        if let Some(world) = &self.world {
            self.facts = Fact::all(self.view, &world.insight);
            let facts = &self.facts;
            self.fact.sync(facts.len(), |i| facts[i].key());
        }
    }

    fn selected(&self) -> Option<&Arc<Trace>> {
        Some(&self.summaries.all[*self.rows.get(self.cursor.index())? as usize].0)
    }

    fn fact(&self) -> Option<&Fact> {
        self.facts.get(self.fact.index())
    }

    /// Whether the list of traces is on the screen.
    fn listing(&self) -> bool {
        self.view == View::Traces && self.opened.is_none()
    }

    fn step(&mut self, motion: Motion) {
        if let Some(opened) = &mut self.opened {
            opened.step(motion);
        } else if let Some(scroll) = &mut self.detail {
            scroll.step(motion);
        } else if self.view == View::Traces {
            let (rows, all) = (&self.rows, &self.summaries.all);
            self.cursor.step(motion, rows.len(), |i| all[rows[i] as usize].0.id.clone());
        } else {
            let facts = &self.facts;
            self.fact.step(motion, facts.len(), |i| facts[i].key());
        }
    }

    /// Opens a trace and asks for its critical path.
    fn open(&mut self, trace: Arc<Trace>) -> Vec<Effect> {
        let known = self.summaries.all.iter().find(|(t, _)| Arc::ptr_eq(t, &trace)).map(|(_, s)| s.clone());
        self.opened = Some(Opened::new(trace.clone(), known.unwrap_or_default()));
        vec![Effect::Fetch(Detail::Path(trace))]
    }

    fn enter(&mut self) -> Vec<Effect> {
        if let Some(opened) = &mut self.opened {
            opened.span = Some(Scroll::default());
        } else if self.view != View::Traces {
            self.detail = Some(Scroll::default());
        } else if let Some(trace) = self.selected().cloned() {
            return self.open(trace);
        }
        vec![]
    }

    fn back(&mut self) {
        match &mut self.opened {
            Some(opened) if opened.span.is_some() => opened.span = None,
            Some(_) => self.opened = None,
            None if self.detail.is_some() => self.detail = None,
            None if self.view != View::Traces => self.view = View::Traces,
            None => self.search = Search::default(),
        }
        self.rebuild();
    }

    fn span(&self) -> Option<&Span> {
        self.opened.as_ref()?.selected()
    }

    /// The pod that made the span under the cursor, if it is still in the cluster; else why not.
    fn pod(&self, ctx: &Ctx) -> Result<PodKey, String> {
        let span = self.span().ok_or("open a trace first")?;
        let name = span.origin.pod.clone().ok_or("its source does not say which pod made this span")?;
        let all = ctx.world.snapshot.workloads.iter().flat_map(|w| w.pods.iter());
        let mut named =
            all.filter(|p| *p.name == *name && span.origin.namespace.as_ref().is_none_or(|n| *n == p.namespace));
        let pod = named.next().ok_or_else(|| format!("pod {name} is gone, or not watched"))?;
        Ok(PodKey { namespace: pod.namespace.clone(), name })
    }

    /// The workload of the span under the cursor: its pod's, else the one that its source names, else the service's name.
    fn workload(&self, ctx: &Ctx) -> Result<WorkloadKey, String> {
        let span = self.span().ok_or("open a trace first")?;
        let all = &ctx.world.snapshot.workloads;
        if let Ok(pod) = self.pod(ctx)
            && let Some(w) =
                all.iter().find(|w| w.pods.iter().any(|p| *p.name == *pod.name && p.namespace == pod.namespace))
        {
            return Ok(w.key.clone());
        }
        let name = span.origin.workload.as_ref().unwrap_or(&span.service);
        let namespace = span.origin.namespace.as_ref();
        let found = all.iter().find(|w| w.key.name == *name && namespace.is_none_or(|n| *n == w.key.namespace));
        found.map(|w| w.key.clone()).ok_or_else(|| format!("no workload named {name} is watched"))
    }

    fn jump(&self, command: CommandId, ctx: &Ctx) -> Option<Effect> {
        Some(match command {
            CommandId::SpanPod => {
                let pod = self.pod(ctx).ok()?;
                let pod = ObjectRef::namespaced(Resource::PODS, pod.namespace, pod.name);
                Effect::Go(PaneId::Workloads, Some(Target::Object(pod)))
            }
            CommandId::SpanLogs => {
                let pod = self.pod(ctx).ok()?;
                Effect::Fetch(Detail::Logs { pod, container: None, previous: false, tail: LOG_LINES })
            }
            CommandId::SpanCharts => {
                let at = DateTime::from_timestamp_nanos(self.span()?.start);
                Effect::Go(PaneId::Metrics, Some(Target::Moment(self.workload(ctx).ok()?, at)))
            }
            _ => return None,
        })
    }

    fn list(&self, frame: &mut Frame, area: Rect, ctx: &Ctx, world: &World) {
        let place = self.cursor.position(self.rows.len());
        let note = if self.search.is_empty() { place } else { format!("filter {}, {place}", self.search.source()) };
        let buf = frame.buffer_mut();
        let order = match (self.by, self.reverse) {
            (By::Time, false) => "newest first",
            (By::Time, true) => "oldest first",
            (By::Duration, false) => "longest first",
            (By::Duration, true) => "shortest first",
        };
        rule(buf, ctx.theme, area, &format!("Traces {}, {order}", self.rows.len()), &note, ctx.focused);
        let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let state = list::state(world, ctx, inner.width);
        let shown = state.len().min((area.height / 4).max(1) as usize);
        for (line, y) in state.iter().take(shown).zip(area.y + 1..area.bottom()) {
            put_line(buf, ctx.theme, Rect { y, height: 1, ..inner }, line);
        }
        let mut y = area.y + 1 + shown as u16;
        let high = match area.height {
            0..16 => 0,
            16..30 => 4,
            _ => 6,
        };
        if high > 0 && !self.rows.is_empty() {
            let selected = self.durations.get(self.cursor.index()).copied();
            histogram::draw(buf, ctx.theme, Rect { y, height: high, ..inner }, &self.durations, selected);
            y += high;
        }
        let body = Rect { y, height: area.bottom().saturating_sub(y), ..area };
        let empty = list::nothing(world, !self.search.is_empty());
        let sort = (if self.by == By::Time { 0 } else { 2 }, !self.reverse);
        let table = Table { columns: &list::COLUMNS, sort: Some(sort), empty: &empty, theme: ctx.theme };
        table.draw(buf, body, &self.cursor, self.rows.len(), |i| {
            let (trace, summary) = &self.summaries.all[self.rows[i] as usize];
            list::row(trace, summary, ctx)
        });
    }

    fn meaning(&self, frame: &mut Frame, area: Rect, ctx: &Ctx, world: &World) {
        let buf = frame.buffer_mut();
        if let (Some(scroll), Some(fact)) = (&self.detail, self.fact()) {
            fact.detail(ctx).draw(buf, ctx.theme, area, self.view.title(), scroll, ctx.focused);
            return;
        }
        let note = format!("of {} traces  {}", world.insight.traces, self.fact.position(self.facts.len()));
        rule(buf, ctx.theme, area, self.view.title(), &note, ctx.focused);
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let table = Table {
            columns: self.view.columns(),
            sort: None,
            empty: self.view.nothing(&world.insight),
            theme: ctx.theme,
        };
        table.draw(buf, body, &self.fact, self.facts.len(), |i| self.facts[i].row(ctx));
    }
}

impl Pane for Traces {
    fn id(&self) -> PaneId {
        PaneId::Traces
    }

    fn sync(&mut self, ctx: &Ctx) {
        self.summaries.take(&ctx.world.snapshot.traces.kept);
        self.world = Some(ctx.world.clone());
        self.rebuild();
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            self.step(motion);
            return vec![];
        }
        match command {
            CommandId::Open => return self.enter(),
            CommandId::Back => self.back(),
            CommandId::TraceView => {
                self.view = self.view.next();
                self.fact = Cursor::default();
                self.rebuild();
            }
            CommandId::Sort => {
                self.by = if self.by == By::Time { By::Duration } else { By::Time };
                self.rebuild();
            }
            CommandId::SortReverse => {
                self.reverse = !self.reverse;
                self.rebuild();
            }
            CommandId::Fold | CommandId::Unfold | CommandId::NextError => {
                if let Some(opened) = &mut self.opened {
                    match command {
                        CommandId::Fold => opened.fold(),
                        CommandId::Unfold => opened.unfold(),
                        _ => opened.next_error(),
                    }
                }
            }
            CommandId::Example => {
                let id = self.fact().and_then(Fact::example);
                let trace = self.summaries.all.iter().find(|(t, _)| Some(&t.id) == id).map(|(t, _)| t.clone());
                return trace.map(|t| self.open(t)).unwrap_or_default();
            }
            CommandId::Copy => return self.copy().map(Effect::Copy).into_iter().collect(),
            _ => return self.jump(command, ctx).into_iter().collect(),
        }
        vec![]
    }

    fn why_not(&self, command: CommandId, ctx: &Ctx) -> Option<String> {
        let inside = self.opened.is_some();
        let alone = self.opened.as_ref().is_some_and(|o| o.span.is_some());
        match command {
            CommandId::Open if alone || self.detail.is_some() => Some("this is open already".into()),
            CommandId::Open | CommandId::Copy if self.copy().is_none() => Some("there is nothing here".into()),
            CommandId::Back if self.listing() && self.search.is_empty() => Some("nothing to step out of".into()),
            CommandId::Sort | CommandId::SortReverse if !self.listing() => {
                Some("only the list of traces is sorted".into())
            }
            CommandId::TraceView if inside || self.detail.is_some() => Some("close what is open first".into()),
            CommandId::Fold | CommandId::Unfold | CommandId::NextError if !inside || alone => {
                Some("this is for the spans of an opened trace".into())
            }
            CommandId::Unfold if self.opened.as_ref().is_some_and(|o| !o.can_unfold()) => {
                Some("nothing is hidden below this span".into())
            }
            CommandId::NextError if self.opened.as_ref().is_some_and(|o| o.summary.errors == 0) => {
                Some("no span of this trace failed".into())
            }
            CommandId::Example => match self.fact().filter(|_| !inside).map(Fact::example) {
                Some(Some(id)) if self.summaries.all.iter().any(|(t, _)| t.id == *id) => None,
                Some(Some(_)) => Some("its example is not kept any more".into()),
                _ => Some("there is no example of this".into()),
            },
            CommandId::SpanPod | CommandId::SpanLogs => self.pod(ctx).err(),
            CommandId::SpanCharts => self.workload(ctx).err(),
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let Some(world) = &self.world else { return };
        match &self.opened {
            Some(opened) => opened.draw(frame.buffer_mut(), area, ctx),
            None if self.view == View::Traces => self.list(frame, area, ctx, world),
            None => self.meaning(frame, area, ctx, world),
        }
    }

    fn trail(&self) -> String {
        match &self.opened {
            Some(o) => format!("trace {} › {}", o.trace.id, o.selected().map_or_else(String::new, Span::name)),
            None if self.view == View::Traces => String::new(),
            None => self.view.title().to_owned(),
        }
    }

    /// None where something else than the list is shown: only that is filtered.
    fn filter(&self) -> &str {
        if self.listing() { self.search.source() } else { "" }
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        if self.listing() {
            self.search = Search::parse(&filter);
            self.rebuild();
        }
    }

    fn go(&mut self, target: &Target, ctx: &Ctx) -> bool {
        let Target::Traces(filter) = target else { return false };
        (self.view, self.opened, self.detail) = (View::Traces, None, None);
        self.search = Search::parse(filter);
        self.sync(ctx);
        true
    }

    fn copy(&self) -> Option<String> {
        match &self.opened {
            Some(o) => o.selected().map(|s| format!("{} {}", o.trace.id, s.id)),
            None if self.view == View::Traces => self.selected().map(|t| t.id.to_string()),
            None => self.fact().map(Fact::copy),
        }
    }

    fn path(&mut self, trace: &Arc<Trace>, path: &TracePath) {
        if let Some(opened) = self.opened.as_mut().filter(|o| Arc::ptr_eq(&o.trace, trace)) {
            opened.take(path);
        }
    }
}
