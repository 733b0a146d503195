//! Predictions: which workload is about to fail, and what load is expected of the next day per workload and signal; those
//! with most trouble first.

mod detail;
mod failures;
mod list;
mod losses;

use crate::autopilot::world::{Command, World};
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::theme::Role;
use crate::console::widgets::cursor::{Cursor, Motion};
use crate::console::widgets::filter::{Field, Filter};
use crate::console::widgets::lines::Piece;
use crate::console::widgets::listing::Listing;
use crate::console::widgets::table::{Column, Table};
use crate::console::widgets::text::{put_line, rule};
use crate::model::failure::{FailureOutlook, Training};
use crate::model::object::WorkloadKey;
use crate::model::prediction::{Prediction, Silence};
use crate::model::series::Signal;
use detail::Ahead;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::sync::Arc;

/// What a row is about; a failure has no signal.
type Key = (WorkloadKey, Option<Signal>);

/// What the pane lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum View {
    #[default]
    Failures,
    Load,
}

/// State of the pane.
#[derive(Default)]
pub struct Predictions {
    world: Option<Arc<World>>,
    view: View,
    by_name: bool,
    reverse: bool,
    list: Listing<Key>,
    ahead: Ahead,
}

/// What the row at a place of its list is about.
fn key(world: &World, view: View, at: u32) -> Key {
    match view {
        View::Failures => (world.failures.all[at as usize].key.clone(), None),
        View::Load => {
            let p = &world.predictions.all[at as usize];
            (p.key.clone(), Some(p.signal))
        }
    }
}

impl Predictions {
    fn rebuild(&mut self) {
        let Some(world) = self.world.clone() else { return };
        let view = self.view;
        let count = match view {
            View::Failures => world.failures.all.len(),
            View::Load => world.predictions.all.len(),
        };
        let mut rows: Vec<u32> = (0..count as u32).filter(|&i| self.passes(&world, i)).collect();
        if self.by_name {
            rows.sort_by_cached_key(|&i| key(&world, view, i));
        }
        if self.reverse {
            rows.reverse();
        }
        self.list.fill(rows, |i| key(&world, view, i));
    }

    fn passes(&self, world: &World, at: u32) -> bool {
        let (about, title, state) = match self.view {
            View::Failures => {
                let o = &world.failures.all[at as usize];
                let state = if o.alarm() { "alarm" } else { o.now.map_or("unknown", |s| s.word()) };
                (&o.key, o.patterns.first().map_or("", |p| p.kind.title()), state)
            }
            View::Load => {
                let p = &world.predictions.all[at as usize];
                (&p.key, p.signal.title(), p.outlook.as_ref().map_or_else(Silence::word, |_| "speaks"))
            }
        };
        self.list.filter.passes(&[
            (Field::Text, &about.name),
            (Field::Text, &about.namespace),
            (Field::Text, title),
            (Field::Namespace, &about.namespace),
            (Field::Kind, about.kind.as_str()),
            (Field::Kind, about.kind.short()),
            (Field::State, state),
        ])
    }

    fn selected(&self) -> Option<(&World, usize)> {
        Some((self.world.as_deref()?, self.list.selected()?))
    }

    fn load(&self) -> Option<&Arc<Prediction>> {
        self.selected().filter(|_| self.view == View::Load).and_then(|(w, at)| w.predictions.all.get(at))
    }

    fn failure(&self) -> Option<&Arc<FailureOutlook>> {
        self.selected().filter(|_| self.view == View::Failures).and_then(|(w, at)| w.failures.all.get(at))
    }

    fn table(&self, frame: &mut Frame, area: Rect, ctx: &Ctx, world: &World) {
        let shown = Shown::of(self.view, world, ctx);
        let (note, rows) = (self.list.note(), &self.list.rows);
        let order = if self.by_name { "by name" } else { "most trouble first" };
        let buf = frame.buffer_mut();
        rule(buf, ctx.theme, area, &format!("{}, {order}", shown.title), &note, ctx.focused);
        let state = Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: 1 };
        if area.height > 1 {
            put_line(buf, ctx.theme, state, &shown.state);
        }
        let body = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
        let empty = if shown.none { shown.nothing } else { "no prediction matches the filter" };
        let sort = if self.by_name { Some((0, self.reverse)) } else { None };
        let table = Table { columns: shown.columns, sort, empty, theme: ctx.theme };
        table.draw(buf, body, &self.list.cursor, rows.len(), |i| match self.view {
            View::Failures => failures::row(&world.failures.all[rows[i] as usize], ctx),
            View::Load => list::row(&world.predictions.all[rows[i] as usize], world, ctx),
        });
    }

    fn turn(&mut self) {
        if self.list.detail.is_some() {
            self.ahead = if self.ahead == Ahead::Hours { Ahead::Day } else { Ahead::Hours };
            return;
        }
        self.view = if self.view == View::Failures { View::Load } else { View::Failures };
        self.list.cursor = Cursor::default();
        self.rebuild();
    }
}

/// What tells one list from the other.
struct Shown {
    title: &'static str,
    state: Vec<Piece>,
    columns: &'static [Column],
    nothing: &'static str,
    none: bool,
}

impl Shown {
    fn of(view: View, world: &World, ctx: &Ctx) -> Self {
        match view {
            View::Failures => Self {
                title: "Predictions, failures to come",
                state: failures::state(world, ctx),
                columns: &failures::COLUMNS,
                nothing: failures::nothing(world),
                none: world.failures.all.is_empty(),
            },
            View::Load => Self {
                title: "Predictions, load of the next 4 and 24 hours",
                state: list::state(world, ctx),
                columns: &list::COLUMNS,
                nothing: list::nothing(world),
                none: world.predictions.all.is_empty(),
            },
        }
    }
}

impl Pane for Predictions {
    fn id(&self) -> PaneId {
        PaneId::Predictions
    }

    fn sync(&mut self, ctx: &Ctx) {
        self.world = Some(ctx.world.clone());
        self.rebuild();
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            if let Some(world) = &self.world {
                let view = self.view;
                self.list.step(motion, |i| key(world, view, i));
            }
            return vec![];
        }
        match command {
            CommandId::Open => self.list.open(()),
            CommandId::Back if self.list.detail.take().is_none() => self.set_filter(String::new(), ctx),
            CommandId::PredictionView => self.turn(),
            CommandId::Sort => {
                self.by_name = !self.by_name;
                self.rebuild();
            }
            CommandId::SortReverse => {
                self.reverse = !self.reverse;
                self.rebuild();
            }
            CommandId::Copy => return self.copy().map(Effect::Copy).into_iter().collect(),
            CommandId::Train => return vec![Effect::Send(Command::Train)],
            CommandId::CancelTraining => return vec![Effect::Send(Command::CancelTraining)],
            CommandId::RollModelBack => return vec![Effect::Send(Command::RollModelBack)],
            _ => {}
        }
        vec![]
    }

    fn why_not(&self, command: CommandId, ctx: &Ctx) -> Option<String> {
        let failures = &ctx.world.failures;
        let idle = matches!(failures.training, Training::Idle | Training::Ended { .. });
        match command {
            CommandId::Open if self.list.detail.is_some() => Some("the prediction is open already".into()),
            CommandId::Open | CommandId::Copy if self.list.rows.is_empty() => {
                Some("there is no prediction here".into())
            }
            CommandId::PredictionView if self.list.detail.is_some() && self.view == View::Load => None,
            CommandId::Sort | CommandId::SortReverse | CommandId::PredictionView if self.list.detail.is_some() => {
                Some("close the prediction first".into())
            }
            CommandId::Back if self.list.at_root() => Some("nothing to step out of".into()),
            CommandId::Train if !idle => Some("a model is being trained already".into()),
            CommandId::CancelTraining if idle => Some("nothing is being trained".into()),
            CommandId::RollModelBack if failures.card.as_ref().is_none_or(|c| c.earlier == 0) => {
                Some("there is no version to go back to".into())
            }
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let Some(world) = &self.world else { return };
        let buf = frame.buffer_mut();
        match (&self.list.detail, self.load(), self.failure()) {
            (Some(((), scroll)), Some(p), _) => detail::draw(buf, area, ctx, world, p, scroll, self.ahead),
            (Some(((), scroll)), _, Some(o)) => failures::draw(buf, area, ctx, world, o, scroll),
            _ => self.table(frame, area, ctx, world),
        }
    }

    fn trail(&self) -> String {
        match (&self.list.detail, self.load(), self.failure()) {
            (Some(_), Some(p), _) => format!("{} › {}", p.key, p.signal.title()),
            (Some(_), _, Some(o)) => o.key.to_string(),
            _ => String::new(),
        }
    }

    fn filter(&self) -> &str {
        self.list.source()
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        self.list.filter = Filter::parse(&filter);
        self.rebuild();
    }

    fn layout(&self) -> Option<String> {
        Some(if self.view == View::Load { "load" } else { "failures" }.to_owned())
    }

    fn set_layout(&mut self, layout: &str, ctx: &Ctx) {
        self.view = if layout == "load" { View::Load } else { View::Failures };
        self.sync(ctx);
    }

    fn go(&mut self, target: &Target, ctx: &Ctx) -> bool {
        let Target::Workload(wanted) = target else { return false };
        self.world = Some(ctx.world.clone());
        let failure = ctx.world.failures.all.iter().find(|o| o.key == *wanted).map(|o| (o.key.clone(), None));
        let load = || ctx.world.predictions.all.iter().find(|p| p.key == *wanted);
        let Some(first) = failure.or_else(|| load().map(|p| (p.key.clone(), Some(p.signal)))) else { return false };
        self.view = if first.1.is_none() { View::Failures } else { View::Load };
        self.list.filter = Filter::default();
        self.list.cursor.select(first);
        self.rebuild();
        true
    }

    fn copy(&self) -> Option<String> {
        let load = self.load().map(|p| format!("{} {}", p.key, p.signal.title()));
        load.or_else(|| self.failure().map(|o| o.key.to_string()))
    }
}

/// What a number that comes close to a bound is worth: nothing without a bound.
fn against(value: f64, bound: Option<f64>) -> Role {
    bound.filter(|b| *b > 0.0).map_or(Role::Text, |b| crate::console::widgets::bar::share_role(value / b))
}
