//! Logs: several containers followed at once, their lines in the order of their times, each with the name of who wrote it.
//!
//! Scrolling up stands still; going to the end follows again. What had to go to stay within memory, and what came faster
//! than it could be taken, is counted and told.

mod draw;
mod fields;
mod ring;
mod sources;
#[cfg(test)]
mod tests;

use crate::autopilot::world::Link;
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, LogsOf, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::widgets::cursor::Motion;
use crate::console::widgets::filter::{Field, Filter};
use crate::model::logs::{Batch, Since};
use ratatui::Frame;
use ratatui::layout::Rect;
use ring::{LINES, Ring};
use sources::Source;
use std::cell::Cell;

/// Columns that one step to the side takes.
const ASIDE: usize = 16;

/// State of the pane.
pub struct Logs {
    /// Context and id of the cluster that everything here is of.
    cluster: String,
    of: Option<LogsOf>,
    previous: bool,
    /// From when on; `None`: the last lines of each.
    since: Option<Since>,
    /// The only source that is shown.
    only: Option<usize>,
    sources: Vec<Source>,
    /// Containers that are too many to be followed.
    left_out: usize,
    next_id: u64,
    /// The world that pods were taken from.
    seen: Option<u64>,
    ring: Ring,
    filter: Filter,
    /// The line at the bottom; `None`: the newest, whichever that is.
    bottom: Option<u64>,
    left: usize,
    wrap: bool,
    times: bool,
    fields: bool,
    /// Lines of the last drawing: a page.
    height: Cell<u16>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            cluster: String::new(),
            of: None,
            previous: false,
            since: None,
            only: None,
            sources: Vec::new(),
            left_out: 0,
            next_id: 0,
            seen: None,
            ring: Ring::default(),
            filter: Filter::default(),
            bottom: None,
            left: 0,
            wrap: false,
            times: true,
            fields: false,
            height: Cell::new(10),
        }
    }
}

fn passes(filter: &Filter, only: Option<usize>, source: usize, name: &str, text: &str) -> bool {
    only.is_none_or(|o| o == source)
        && (filter.is_empty() || filter.passes(&[(Field::Text, text), (Field::Text, name)]))
}

impl Logs {
    /// Everything is asked for anew; how it is shown stays.
    fn reopen(&mut self) {
        self.sources.clear();
        self.left_out = 0;
        self.seen = None;
        self.ring = Ring::default();
        self.bottom = None;
        self.only = None;
    }

    fn refilter(&mut self) {
        let Self { ring, filter, sources, only, .. } = self;
        let name = |i: usize| sources.get(i).map_or("", |s| s.name.as_str());
        ring.refilter(|source, text| passes(filter, *only, source, name(source), text));
    }

    fn step(&mut self, motion: Motion) {
        let page = usize::from(self.height.get().max(1));
        let at = self.bottom.map_or(self.ring.len().saturating_sub(1), |id| self.ring.place(id));
        let up = |n: usize| self.ring.before(at + 1).take(n + 1).last().map(|l| l.id);
        let down = |n: usize| {
            let mut later = self.ring.after(at + 1);
            // Past the last line it follows again.
            later
                .nth(n - 1)
                .map(|l| l.id)
                .filter(|id| self.ring.before(self.ring.len()).next().map(|l| l.id) != Some(*id))
        };
        self.bottom = match motion {
            Motion::Up => up(1),
            Motion::PageUp => up(page),
            Motion::Top => self.ring.after(0).take(page).last().map(|l| l.id),
            Motion::Down => down(1),
            Motion::PageDown => down(page),
            Motion::Bottom => None,
        };
    }

    /// The line under the cursor: the lowest.
    fn line(&self) -> Option<&ring::Line> {
        let end = self.bottom.map_or(self.ring.len(), |id| self.ring.place(id) + 1);
        self.ring.before(end).next()
    }

    fn since_menu(&self) -> Effect {
        const CHOICES: [(&str, Option<Since>); 7] = [
            ("the last 200 lines of each", None),
            ("the last 2000 lines of each", Some(Since::Tail(2000))),
            ("the last minute", Some(Since::Seconds(60))),
            ("the last 5 minutes", Some(Since::Seconds(300))),
            ("the last 15 minutes", Some(Since::Seconds(900))),
            ("the last hour", Some(Since::Seconds(3600))),
            ("everything that is kept", Some(Since::Start)),
        ];
        let items = CHOICES
            .into_iter()
            .map(|(label, since)| (label.to_owned(), Effect::Go(PaneId::Logs, Some(Target::LogsSince(since)))))
            .collect();
        let at = CHOICES.iter().position(|(_, since)| *since == self.since).unwrap_or(0);
        Effect::Menu { title: "lines since".into(), items, at }
    }

    fn only_menu(&self) -> Effect {
        let go = |only| Effect::Go(PaneId::Logs, Some(Target::LogsOnly(only)));
        let label = |s: &Source| match &s.key {
            (pod, Some(container)) => format!("{}/{container}", pod.name),
            (pod, None) => pod.name.to_string(),
        };
        let one = |(i, s)| (label(s), go(Some(i)));
        let items = std::iter::once(("all".to_owned(), go(None))).chain(self.sources.iter().enumerate().map(one));
        Effect::Menu { title: "container".into(), items: items.collect(), at: self.only.map_or(0, |i| i + 1) }
    }
}

impl Pane for Logs {
    fn id(&self) -> PaneId {
        PaneId::Logs
    }

    fn sync(&mut self, ctx: &Ctx) {
        let c = &ctx.world.snapshot.cluster;
        let now = format!("{} {}", c.context, c.id);
        if self.cluster != now {
            // Logs of another cluster end with it.
            self.reopen();
            self.of = None;
            self.cluster = now;
        }
    }

    fn due(&mut self, ctx: &Ctx) -> Vec<Effect> {
        self.sync(ctx);
        if self.of.is_none() || !matches!(ctx.world.link, Link::Connected) {
            return Vec::new();
        }
        self.follow(ctx.world)
    }

    fn logged(&mut self, id: u64, batch: Batch) -> Option<Batch> {
        let Some(at) = self.sources.iter().position(|s| s.id == id) else { return Some(batch) };
        let Self { ring, filter, sources, only, .. } = self;
        let source = &mut sources[at];
        source.dropped += batch.dropped;
        if let Some(state) = batch.state {
            source.state = state;
        }
        ring.add(at, batch.lines, |text| passes(filter, *only, at, &source.name, text));
        None
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            self.step(motion);
            return Vec::new();
        }
        match command {
            CommandId::LogFollow => {
                self.bottom = if self.bottom.is_some() { None } else { self.line().map(|l| l.id) };
            }
            CommandId::LogSince => return vec![self.since_menu()],
            CommandId::LogOnly => return vec![self.only_menu()],
            CommandId::LogPrevious => {
                self.previous = !self.previous;
                self.reopen();
            }
            CommandId::LogWrap => (self.wrap, self.left) = (!self.wrap, 0),
            CommandId::LogFields => self.fields = !self.fields,
            CommandId::LogTimes => self.times = !self.times,
            CommandId::LogLeft => self.left = self.left.saturating_sub(ASIDE),
            CommandId::LogRight => self.left += ASIDE,
            CommandId::Back if !self.filter.is_empty() => self.set_filter(String::new(), ctx),
            CommandId::Back => {
                self.reopen();
                self.of = None;
                return vec![Effect::Go(PaneId::Workloads, None)];
            }
            CommandId::Open => {
                let Some(line) = self.line() else { return Vec::new() };
                let pretty = serde_json::from_str::<serde_json::Value>(&line.text).ok();
                let text = pretty.and_then(|v| serde_json::to_string_pretty(&v).ok());
                let title = self.sources.get(line.source).map_or_else(String::new, |s| s.key.0.name.to_string());
                return vec![Effect::Show { title, text: text.unwrap_or_else(|| line.text.to_string()) }];
            }
            _ => {}
        }
        Vec::new()
    }

    fn why_not(&self, command: CommandId, _: &Ctx) -> Option<String> {
        let none = || Some("no logs are open: choose a workload or a pod in Workloads".to_owned());
        match command {
            _ if self.of.is_none() && Motion::of(command).is_none() => none(),
            CommandId::Sort | CommandId::SortReverse => Some("lines stand in the order of their times".into()),
            CommandId::LogOnly if self.sources.len() < 2 => Some("there is only one container".into()),
            CommandId::LogLeft | CommandId::LogRight if self.wrap => {
                Some("long lines are broken: nothing is aside".into())
            }
            CommandId::Open if self.line().is_none() => Some("there is no line".into()),
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        self.draw(frame.buffer_mut(), area, ctx);
    }

    fn trail(&self) -> String {
        match &self.of {
            None => "none open".into(),
            Some(LogsOf::Workload(key)) => format!("{} › {}/{}", key.namespace, key.kind.as_str(), key.name),
            Some(LogsOf::Pods(pods)) => match &pods[..] {
                [pod] => format!("{} › {}", pod.namespace, pod.name),
                pods => format!("{} pods", pods.len()),
            },
            Some(LogsOf::Container(pod, container)) => format!("{} › {} › {container}", pod.namespace, pod.name),
        }
    }

    fn filter(&self) -> &str {
        self.filter.source()
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        self.filter = Filter::parse(&filter);
        self.refilter();
    }

    fn go(&mut self, target: &Target, ctx: &Ctx) -> bool {
        self.sync(ctx);
        match target {
            Target::Logs(of) => {
                if self.of.as_ref() != Some(of) {
                    self.of = Some(of.clone());
                    self.previous = false;
                    self.reopen();
                }
                true
            }
            Target::LogsSince(since) => {
                self.since = *since;
                self.reopen();
                true
            }
            Target::LogsOnly(only) => {
                self.only = only.filter(|i| *i < self.sources.len());
                self.refilter();
                true
            }
            _ => false,
        }
    }

    fn copy(&self) -> Option<String> {
        self.line().map(|l| l.text.to_string())
    }
}
