//! Optimizer: what every container asks for against what it needs, what that wastes, and the step towards it that can be
//! made a proposal; and what each autoscaler would do next and would have done under other settings.

mod scalers;
mod sizes;
#[cfg(test)]
mod tests;

use crate::autopilot::world::{Command, World};
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::widgets::cursor::{Cursor, Motion};
use crate::console::widgets::filter::{Field, Filter};
use crate::console::widgets::listing::Listing;
use crate::console::widgets::table::{Column, Table};
use crate::console::widgets::text::{put_line, rule};
use crate::model::object::WorkloadKey;
use crate::model::sizing::{Sizing, WhatIf};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::sync::Arc;

/// What a row is about: workload, container (or autoscaler) and resource (or nothing).
type Key = (WorkloadKey, Arc<str>, Arc<str>);

/// What the pane lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum View {
    #[default]
    Sizes,
    Scalers,
}

/// State of the pane.
#[derive(Default)]
pub struct Optimizer {
    world: Option<Arc<World>>,
    view: View,
    by_name: bool,
    reverse: bool,
    list: Listing<Key>,
}

fn key_of(s: &Sizing) -> Key {
    (s.key.clone(), s.container.clone(), s.resource.clone())
}

/// What the row at a place of its list is about.
fn key(world: &World, view: View, at: u32) -> Key {
    match view {
        View::Sizes => key_of(&world.sizings.all[at as usize]),
        View::Scalers => {
            let a = &world.sizings.autoscalers[at as usize];
            (a.key.clone(), a.name.clone(), "".into())
        }
    }
}

impl Optimizer {
    fn rebuild(&mut self) {
        let Some(world) = self.world.clone() else { return };
        let view = self.view;
        let count = match view {
            View::Sizes => world.sizings.all.len(),
            View::Scalers => world.sizings.autoscalers.len(),
        };
        let mut rows: Vec<u32> = (0..count as u32).filter(|&i| self.passes(&world, i)).collect();
        if !self.by_name && view == View::Sizes {
            // What changes comes first, and of that what grows: it may be short of something.
            let all = &world.sizings.all;
            rows.sort_by_key(|&i| all[i as usize].next.as_ref().map_or(2, |n| usize::from(!n.grows())));
        }
        if self.reverse {
            rows.reverse();
        }
        self.list.fill(rows, |i| key(&world, view, i));
    }

    fn passes(&self, world: &World, at: u32) -> bool {
        let (key, part, resource) = key(world, self.view, at);
        let state = match self.view {
            View::Sizes => {
                let next = world.sizings.all[at as usize].next.as_ref();
                next.map_or("stays", |n| if n.grows() { "grows" } else { "shrinks" })
            }
            View::Scalers => "hpa",
        };
        self.list.filter.passes(&[
            (Field::Text, &key.name),
            (Field::Text, &key.namespace),
            (Field::Text, &part),
            (Field::Text, &resource),
            (Field::Namespace, &key.namespace),
            (Field::Kind, key.kind.as_str()),
            (Field::Kind, key.kind.short()),
            (Field::State, state),
        ])
    }

    fn sizing(&self) -> Option<&Arc<Sizing>> {
        self.world.as_ref().filter(|_| self.view == View::Sizes)?.sizings.all.get(self.list.selected()?)
    }

    fn scaler(&self) -> Option<&Arc<WhatIf>> {
        self.world.as_ref().filter(|_| self.view == View::Scalers)?.sizings.autoscalers.get(self.list.selected()?)
    }

    fn table(&self, frame: &mut Frame, area: Rect, ctx: &Ctx, world: &World) {
        let (note, rows) = (self.list.note(), &self.list.rows);
        let (title, empty, columns): (_, _, &[Column]) = match self.view {
            View::Sizes => ("requests against need", sizes::nothing(world), &sizes::COLUMNS),
            View::Scalers => ("autoscalers over the last day", scalers::nothing(world), &scalers::COLUMNS),
        };
        let order = if self.by_name || self.view == View::Scalers { "by name" } else { "changes first" };
        let buf = frame.buffer_mut();
        rule(buf, ctx.theme, area, &format!("Optimizer, {title}, {order}"), &note, ctx.focused);
        let state = Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: 1 };
        if area.height > 1 {
            put_line(buf, ctx.theme, state, &sizes::state(world, ctx));
        }
        let body = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
        let empty = if self.list.source().is_empty() { empty } else { "nothing matches the filter" };
        let sort = if self.by_name { Some((0, self.reverse)) } else { None };
        let table = Table { columns, sort, empty, theme: ctx.theme };
        table.draw(buf, body, &self.list.cursor, rows.len(), |i| match self.view {
            View::Sizes => sizes::row(&world.sizings.all[rows[i] as usize], ctx),
            View::Scalers => scalers::row(&world.sizings.autoscalers[rows[i] as usize], ctx),
        });
    }
}

impl Pane for Optimizer {
    fn id(&self) -> PaneId {
        PaneId::Optimizer
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
            CommandId::OptimizerView => {
                self.view = if self.view == View::Sizes { View::Scalers } else { View::Sizes };
                self.list.cursor = Cursor::default();
                self.rebuild();
            }
            CommandId::Sort => {
                self.by_name = !self.by_name;
                self.rebuild();
            }
            CommandId::SortReverse => {
                self.reverse = !self.reverse;
                self.rebuild();
            }
            CommandId::Copy => return self.copy().map(Effect::Copy).into_iter().collect(),
            CommandId::Propose => {
                let ask = |s: &Arc<Sizing>| Effect::Send(Command::Rightsize { workload: s.key.clone() });
                return self.sizing().map(ask).into_iter().collect();
            }
            _ => {}
        }
        vec![]
    }

    fn why_not(&self, command: CommandId, ctx: &Ctx) -> Option<String> {
        match command {
            CommandId::Open if self.list.detail.is_some() => Some("it is open already".into()),
            CommandId::Open | CommandId::Copy | CommandId::Propose if self.list.rows.is_empty() => {
                Some("there is nothing here".into())
            }
            CommandId::Propose if self.view == View::Scalers => {
                Some("an autoscaler's settings are changed by hand".into())
            }
            CommandId::Propose => {
                let key = &self.sizing()?.key;
                let stays = ctx.world.sizings.of(key).all(|s| s.next.is_none());
                stays.then(|| format!("nothing of {} changes", key.name))
            }
            CommandId::Sort | CommandId::SortReverse | CommandId::OptimizerView if self.list.detail.is_some() => {
                Some("step back first".into())
            }
            CommandId::Back if self.list.at_root() => Some("nothing to step out of".into()),
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let Some(world) = &self.world else { return };
        match (&self.list.detail, self.sizing(), self.scaler()) {
            (Some(((), scroll)), _, Some(a)) => {
                let title = format!("autoscaler {} of {}", a.name, a.key);
                scalers::detail(a, world, ctx).draw(frame.buffer_mut(), ctx.theme, area, &title, scroll, ctx.focused);
            }
            (Some(((), scroll)), Some(s), _) => {
                let title = format!("{}, {} of {}", s.key, s.resource, s.container);
                sizes::detail(s, world, ctx).draw(frame.buffer_mut(), ctx.theme, area, &title, scroll, ctx.focused);
            }
            _ => self.table(frame, area, ctx, world),
        }
    }

    fn trail(&self) -> String {
        let open = self.list.detail.as_ref().and(self.copy());
        open.map_or_else(String::new, |name| name.replace(' ', " › "))
    }

    fn filter(&self) -> &str {
        self.list.source()
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        self.list.filter = Filter::parse(&filter);
        self.rebuild();
    }

    fn go(&mut self, target: &Target, ctx: &Ctx) -> bool {
        let Target::Workload(wanted) = target else { return false };
        self.world = Some(ctx.world.clone());
        let Some(first) = ctx.world.sizings.of(wanted).next().map(|s| key_of(s)) else { return false };
        self.view = View::Sizes;
        self.list.filter = Filter::default();
        self.list.cursor.select(first);
        self.rebuild();
        true
    }

    fn copy(&self) -> Option<String> {
        let scaler = || self.scaler().map(|a| format!("{} {}", a.key, a.name));
        self.sizing().map(|s| format!("{} {} {}", s.key, s.container, s.resource)).or_else(scaler)
    }
}
