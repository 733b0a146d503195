//! Map: which service calls which, how often, and how it goes.

mod chart;
mod draw;
#[cfg(test)]
mod tests;

use crate::autopilot::world::World;
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::theme::Role;
use crate::console::widgets::cursor::{Motion, Scroll};
use crate::console::widgets::filter::{Field, Filter};
use crate::console::widgets::lines::Lines;
use crate::console::widgets::text::{put_line, rule};
use crate::model::object::WorkloadKey;
use crate::model::service::ServiceMap;
use crate::model::time::{age, short};
use chart::{Chart, State, long};
use chrono::TimeDelta;
use draw::Window;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::cell::Cell;
use std::sync::Arc;

/// State of the pane.
#[derive(Default)]
pub struct Map {
    world: Option<Arc<World>>,
    /// The map that `chart` was made of.
    source: Option<Arc<ServiceMap>>,
    chart: Chart,
    /// The selected service, by name.
    at: Option<Arc<str>>,
    filter: Filter,
    /// The list is wanted where there is room for the drawing.
    listed: bool,
    window: Window,
    /// The service in full is shown alone.
    detail: Option<Scroll>,
    /// Rows of the last drawing: a page.
    page: Cell<usize>,
}

impl Map {
    fn selected(&self) -> Option<usize> {
        let at = self.at.as_ref()?;
        self.chart.find(at)
    }

    fn select(&mut self, node: usize) {
        self.at = Some(self.chart.map.nodes[node].name.clone());
    }

    fn passes(&self, node: usize) -> bool {
        let n = &self.chart.map.nodes[node];
        self.filter.passes(&[
            (Field::Text, &n.name),
            (Field::Namespace, n.namespace.as_deref().unwrap_or_default()),
            (
                Field::Health,
                match self.chart.state(node) {
                    State::Good => "good",
                    State::Degraded => "warning",
                    State::Failing => "bad",
                    State::Unknown => "unknown",
                },
            ),
        ])
    }

    /// Moves among the services that pass the filter, in the order of layers and rows.
    fn step(&mut self, motion: Motion) {
        if let Some(scroll) = &mut self.detail {
            scroll.step(motion);
            return;
        }
        let order: Vec<usize> = self.chart.order.iter().copied().filter(|&i| self.passes(i)).collect();
        if order.is_empty() {
            return;
        }
        let rank = self.selected().map_or(0, |i| self.chart.rank[i]);
        let at = order.partition_point(|&i| self.chart.rank[i] < rank).min(order.len() - 1);
        let page = self.page.get().max(1);
        let to = match motion {
            Motion::Up => at.saturating_sub(1),
            Motion::Down => at + 1,
            Motion::PageUp => at.saturating_sub(page),
            Motion::PageDown => at + page,
            Motion::Top => 0,
            Motion::Bottom => order.len() - 1,
        };
        self.select(order[to.min(order.len() - 1)]);
    }

    /// The service at the other end of the edge that is nearest on the screen.
    fn neighbour(&self, command: CommandId) -> Option<usize> {
        let own = self.selected()?;
        let edges = if command == CommandId::Callers { &self.chart.into[own] } else { &self.chart.out[own] };
        let other = |e: &usize| {
            let edge = &self.chart.map.edges[*e];
            if command == CommandId::Callers { edge.from } else { edge.to }
        };
        let row = self.chart.graph.places[own].1;
        edges.iter().map(other).filter(|&n| n != own).min_by_key(|&n| self.chart.graph.places[n].1.abs_diff(row))
    }

    fn workload(&self) -> Option<WorkloadKey> {
        self.chart.map.nodes[self.selected()?].workload.clone()
    }

    /// Where the numbers come from, how old they are, and how many services are how.
    fn state(&self, ctx: &Ctx) -> Vec<(String, Role)> {
        let m = &self.chart.map;
        let sources: Vec<&str> = m.sources.iter().map(|s| s.title()).collect();
        let mut out: Vec<(String, Role)> = Vec::new();
        for (state, count) in self.chart.counts().into_iter().filter(|(_, n)| *n > 0) {
            let (sign, role) = state.sign(&ctx.theme.glyphs);
            out.push((format!("{sign} {count} {}  ", state.word()), role));
        }
        let from = if sources.is_empty() { "an unnamed source".to_owned() } else { sources.join(" and ") };
        let window = short(TimeDelta::seconds(i64::from(m.window_s)));
        let old = m.at.map_or_else(|| "of unknown age".to_owned(), |at| format!("{} old", age(ctx.now, at)));
        out.push((format!("from {from}, last {window}, {old}"), Role::Muted));
        out
    }

    fn about(&self, node: usize, ctx: &Ctx) -> Lines {
        let (c, mut l) = (&self.chart, Lines::default());
        let n = &c.map.nodes[node];
        let state = c.state(node);
        let (sign, role) = state.sign(&ctx.theme.glyphs);
        l.add(
            2,
            vec![(format!("{sign} "), role), (n.name.to_string(), Role::Title), (format!("  {}", state.word()), role)],
        );
        l.field("served", long(&n.red, ctx), Role::Text);
        match &n.workload {
            Some(key) => l.field("workload", key.to_string(), Role::Text),
            None => l.field("workload", "none of this cluster's", Role::Muted),
        };
        for (title, edges, caller) in [("Callers", &c.into[node], true), ("Calls", &c.out[node], false)] {
            l.head(&format!("{title} {}", edges.len()));
            for &e in edges {
                let edge = &c.map.edges[e];
                let other = &c.map.nodes[if caller { edge.from } else { edge.to }].name;
                let (sign, role) = State::of(edge.red.failed).sign(&ctx.theme.glyphs);
                let waits = if edge.detached { " (does not wait)" } else { "" };
                l.item(sign, vec![(format!("{other}{waits}  "), role), (long(&edge.red, ctx), Role::Text)]);
            }
        }
        l.gap();
        let rule = format!(
            "degraded from {:.0}% failed requests, failing from {:.0}%",
            chart::DEGRADED * 100.0,
            chart::FAILING * 100.0
        );
        l.text(rule, Role::Muted);
        l
    }

    fn empty(frame: &mut Frame, area: Rect, ctx: &Ctx, world: &World) {
        let mut l = Lines::default();
        l.text("Nobody measures calls between services here.", Role::Title);
        l.text(
            "A map needs one of: spans sent to kansole (OTLP), a Jaeger or Tempo that it can read, the metrics \
             traces_spanmetrics_* or traces_service_graph_request_* in Prometheus, or a mesh's istio_requests_total.",
            Role::Text,
        );
        for (name, state) in std::iter::once(("Prometheus", &world.snapshot.metrics.state))
            .chain(world.snapshot.traces.sources.iter().map(|s| (&*s.name, &s.state)))
        {
            let (glyph, words, role) = super::show::source(state, ctx.now, &ctx.theme.glyphs);
            l.item(glyph, vec![(format!("{name}: {words}"), role)]);
        }
        if world.snapshot.traces.sources.is_empty() {
            l.item("-", vec![("traces are turned off, or no source was found".into(), Role::Muted)]);
        }
        l.draw(frame.buffer_mut(), ctx.theme, area, "Map", &Scroll::default(), ctx.focused);
    }
}

/// The map's part, and the part of the selected service: beside it, below it, or nowhere.
fn split(area: Rect) -> (Rect, Option<Rect>) {
    if area.width >= 170 {
        let w = (area.width / 3).clamp(50, 76);
        let main = Rect { width: area.width - w - 1, ..area };
        return (main, Some(Rect { x: main.right() + 1, width: w, ..area }));
    }
    if area.height >= 20 {
        let h = (area.height * 2 / 5).clamp(8, 18);
        let main = Rect { height: area.height - h, ..area };
        return (main, Some(Rect { y: main.bottom(), height: h, ..area }));
    }
    (area, None)
}

impl Pane for Map {
    fn id(&self) -> PaneId {
        PaneId::Map
    }

    fn sync(&mut self, ctx: &Ctx) {
        let map = &ctx.world.insight.map;
        if !self.source.as_ref().is_some_and(|m| Arc::ptr_eq(m, map)) {
            self.chart = Chart::of(map);
            self.source = Some(map.clone());
        }
        self.world = Some(ctx.world.clone());
        let found = self.selected().filter(|&i| self.passes(i));
        if found.is_none() {
            // The one that fails, else the first: what the operator came for.
            let pass = |i: &usize| self.passes(*i);
            let worst = self.chart.order.iter().copied().filter(pass).find(|&i| self.chart.state(i) == State::Failing);
            if let Some(first) = worst.or_else(|| self.chart.order.iter().copied().find(pass)) {
                self.select(first);
            }
        }
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            self.step(motion);
            return vec![];
        }
        let effect = match command {
            CommandId::Open => {
                self.detail = Some(Scroll::default());
                None
            }
            CommandId::Back => {
                if self.detail.take().is_none() {
                    self.set_filter(String::new(), ctx);
                }
                None
            }
            CommandId::MapView => {
                self.listed = !self.listed;
                None
            }
            CommandId::Callers | CommandId::Callees => {
                if let Some(node) = self.neighbour(command) {
                    self.select(node);
                }
                None
            }
            CommandId::MapWorkload => self.workload().map(|k| Effect::Go(PaneId::Workloads, Some(Target::Workload(k)))),
            CommandId::MapCharts => self.workload().map(|k| Effect::Go(PaneId::Metrics, Some(Target::Workload(k)))),
            CommandId::MapTraces => {
                self.at.as_ref().map(|name| Effect::Go(PaneId::Traces, Some(Target::Traces(format!("service:{name}")))))
            }
            CommandId::Copy => self.copy().map(Effect::Copy),
            _ => None,
        };
        effect.into_iter().collect()
    }

    fn why_not(&self, command: CommandId, _: &Ctx) -> Option<String> {
        let nothing = self.selected().is_none();
        match command {
            CommandId::Open if self.detail.is_some() => Some("the service is open already".into()),
            CommandId::Back if self.detail.is_none() && self.filter.is_empty() => Some("nothing to step out of".into()),
            CommandId::Sort | CommandId::SortReverse => Some("the map is in the order of its calls".into()),
            CommandId::Open | CommandId::Copy | CommandId::MapTraces | CommandId::MapView if nothing => {
                Some("there is no service here".into())
            }
            CommandId::MapWorkload | CommandId::MapCharts if self.workload().is_none() => {
                Some("no workload of this cluster is known for it".into())
            }
            CommandId::Callers if self.neighbour(command).is_none() => Some("no service is known to call it".into()),
            CommandId::Callees if self.neighbour(command).is_none() => {
                Some("it is not known to call any service".into())
            }
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let Some(world) = &self.world else { return };
        if self.chart.map.nodes.is_empty() {
            Self::empty(frame, area, ctx, world);
            return;
        }
        let Some(selected) = self.selected() else { return };
        if let Some(scroll) = &self.detail {
            self.about(selected, ctx).draw(frame.buffer_mut(), ctx.theme, area, "Service", scroll, ctx.focused);
            return;
        }
        let (main, side) = split(area);
        let buf = frame.buffer_mut();
        let pass = (0..self.chart.map.nodes.len()).filter(|&i| self.passes(i)).count();
        let title = format!("Map, {} services, {} calls", self.chart.map.nodes.len(), self.chart.map.edges.len());
        let note = if self.filter.is_empty() {
            String::new()
        } else {
            format!("filter {}, the cursor goes to {pass} of them", self.filter.source())
        };
        rule(buf, ctx.theme, main, &title, &note, ctx.focused);
        let line = Rect { x: main.x + 1, y: main.y + 1, width: main.width.saturating_sub(2), height: 1 };
        if main.height > 1 {
            put_line(buf, ctx.theme, line, &self.state(ctx));
        }
        let body = Rect { y: main.y + 2, height: main.height.saturating_sub(2), ..main };
        self.page.set(body.height.into());
        // A drawing that is cut off everywhere tells less than a list.
        let drawn = !self.listed && draw::wide(&self.chart) <= usize::from(body.width) * 2 && body.width >= 100;
        if drawn {
            let inner = Rect { x: body.x + 1, width: body.width.saturating_sub(2), ..body };
            draw::drawn(buf, inner, ctx, &self.chart, selected, &self.window);
        } else {
            draw::listed(buf, body, ctx, &self.chart, selected, &self.window);
        }
        if let Some(side) = side {
            self.about(selected, ctx).draw(buf, ctx.theme, side, "Service", &Scroll::default(), false);
        }
    }

    fn trail(&self) -> String {
        self.at.as_ref().map_or_else(String::new, ToString::to_string)
    }

    /// None while a service is open: it is not filtered, and stepping back closes it first.
    fn filter(&self) -> &str {
        if self.detail.is_some() { "" } else { self.filter.source() }
    }

    fn set_filter(&mut self, filter: String, ctx: &Ctx) {
        self.filter = Filter::parse(&filter);
        self.sync(ctx);
    }

    fn layout(&self) -> Option<String> {
        Some(if self.listed { "list" } else { "drawn" }.to_owned())
    }

    fn set_layout(&mut self, layout: &str, _: &Ctx) {
        self.listed = layout == "list";
    }

    fn go(&mut self, _: &Target, _: &Ctx) -> bool {
        false
    }

    fn copy(&self) -> Option<String> {
        self.at.as_ref().filter(|_| self.selected().is_some()).map(ToString::to_string)
    }
}
