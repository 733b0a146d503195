//! Actions: the queue of proposals, what is under way, and what became of the rest.
//!
//! Rows do not move while the queue has the focus: what ends keeps its place, what is new is put below
//! a line that says so. What is approved is the hash that was seen, never the newest one.

mod ask;
mod detail;
mod gate;
mod list;
mod marks;
mod rows;
#[cfg(test)]
mod tests;

use crate::autopilot::world::{Command, World};
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Prompt, Purpose, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::theme::Role;
use crate::console::widgets::cursor::{Cursor, Motion, Scroll};
use crate::console::widgets::filter::Filter;
use crate::console::widgets::table::{Cell, Table};
use crate::console::widgets::text::rule;
use crate::model::plan::ActionId;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use marks::Marks;
use ratatui::Frame;
use ratatui::layout::Rect;
use rows::{Entry, Key, Rows, SORTS, Shown};
use std::fmt::Write as _;
use std::sync::Arc;

pub use list::state_role;

/// How long a snoozed proposal stays away.
const SNOOZE_MINUTES: u32 = 30;

/// No approval so soon after something came up under the fingers.
const LOOK_FIRST: TimeDelta = TimeDelta::milliseconds(400);

/// State of the pane.
#[derive(Default)]
pub struct Actions {
    world: Option<Arc<World>>,
    rows: Rows,
    cursor: Cursor<Key>,
    marks: Marks,
    detail: Option<Scroll>,
    focused: bool,
    /// When the queue got the focus, or was jumped into.
    arrived: Option<Timestamp>,
}

impl Actions {
    /// Puts everything in order anew. Only while the queue has no focus, or when the operator asks.
    fn regroup(&mut self) {
        let Some(world) = self.world.clone() else { return };
        self.rows.regroup(&world);
        self.seek();
    }

    fn seek(&mut self) {
        self.cursor.sync(self.rows.entries.len(), |i| self.rows.key(i));
    }

    fn selected(&self) -> Option<&Shown> {
        self.rows.at(self.cursor.index())
    }

    /// What a command is for: the marked actions, seen or not, else the one under the cursor. An open action is looked at
    /// alone.
    fn chosen(&self) -> Vec<&Shown> {
        if self.marks.is_empty() || self.detail.is_some() {
            self.selected().into_iter().collect()
        } else {
            self.marks.rows(&self.rows)
        }
    }

    /// What a command is for, in words: the id of one, or how many.
    fn whom(&self) -> String {
        match (&self.chosen()[..], self.marks.is_empty() || self.detail.is_some()) {
            ([one], true) => one.id().to_string(),
            _ => self.marks.words(&self.rows),
        }
    }

    fn step(&mut self, motion: Motion) {
        if let Some(scroll) = &mut self.detail {
            scroll.step(motion);
            return;
        }
        let len = self.rows.entries.len();
        self.cursor.step(motion, len, |i| self.rows.key(i));
        if self.cursor.key() == Some(&Key::New) {
            // The "n new" line is no row: step over it, back if it is the last.
            let on = if matches!(motion, Motion::Up | Motion::PageUp) { Motion::Up } else { Motion::Down };
            self.cursor.step(on, len, |i| self.rows.key(i));
        }
    }

    /// Opens the selected action, or takes over the present plan of a changed one.
    fn open(&mut self) {
        let Some(Entry::Item(i)) = self.rows.entries.get(self.cursor.index()).cloned() else { return };
        let row = &mut self.rows.all[i];
        if let Some(now) = self.world.as_ref().and_then(|w| w.item(row.id())) {
            *row = Shown::new(now.clone());
        }
        self.detail = Some(Scroll::default());
    }

    /// Marks what is under the cursor and goes on to the next line; on the head of a group, all of it that can be decided.
    fn mark(&mut self) {
        let ids: Vec<ActionId> = match self.cursor.key() {
            Some(Key::Item(id)) => vec![id.clone()],
            Some(Key::Head(name)) => {
                self.rows.shown(Some(name)).filter(|r| r.item.pending()).map(|r| r.id().clone()).collect()
            }
            _ => return,
        };
        self.marks.toggle(&ids);
        if matches!(self.cursor.key(), Some(Key::Item(_))) {
            self.step(Motion::Down);
        }
    }

    fn order(&mut self, command: CommandId) {
        match command {
            CommandId::Sort => self.rows.sort = (self.rows.sort + 1) % SORTS.len(),
            CommandId::SortReverse => self.rows.reverse = !self.rows.reverse,
            CommandId::GroupActions => self.rows.group = self.rows.group.next(),
            _ => self.rows.hide_ended = !self.rows.hide_ended,
        }
        self.regroup();
    }

    /// How many wait, are hidden and are marked.
    fn title(&self) -> String {
        let waiting = self.rows.all.iter().filter(|r| r.item.pending() && !r.gone).count();
        let mut title = format!("Queue: {waiting} waiting");
        if self.rows.hidden() > 0 {
            let _ = write!(title, ", {} hidden", self.rows.hidden());
        }
        match self.marks.count(&self.rows) {
            (0, _) => {}
            (n, 0) => drop(write!(title, " · {n} marked")),
            (n, hidden) => drop(write!(title, " · {n} marked, {hidden} of them hidden")),
        }
        title
    }

    /// Groups, filter and place.
    fn note(&self) -> String {
        let place = self.cursor.position(self.rows.entries.len());
        let by = Some(self.rows.group.word()).filter(|w| !w.is_empty()).map(|w| format!("by {w}"));
        let filter = Some(self.rows.filter.source()).filter(|f| !f.is_empty()).map(|f| format!("filter {f}"));
        by.into_iter().chain(filter).chain([place]).collect::<Vec<_>>().join(", ")
    }

    /// What a decision about the chosen actions leads to.
    fn decide(&self, command: CommandId) -> Vec<Effect> {
        let chosen = self.chosen();
        match command {
            CommandId::Approve if self.marks.is_empty() || self.detail.is_some() => {
                chosen.iter().map(|s| ask::approve(&s.item.proposal)).collect()
            }
            CommandId::Approve => vec![marks::approve(&chosen, &self.whom())],
            CommandId::Reject => vec![Effect::Prompt(Prompt {
                label: format!("Reject {}, because", self.whom()),
                initial: String::new(),
                purpose: Purpose::RejectReason(chosen.iter().map(|s| s.id().clone()).collect()),
            })],
            _ => {
                let snooze = |s: &&Shown| Command::Snooze { id: s.id().clone(), minutes: SNOOZE_MINUTES };
                chosen.iter().map(snooze).map(Effect::Send).collect()
            }
        }
    }
}

impl Pane for Actions {
    fn id(&self) -> PaneId {
        PaneId::Actions
    }

    fn sync(&mut self, ctx: &Ctx) {
        self.world = Some(ctx.world.clone());
        for row in &mut self.rows.all {
            row.update(ctx.world);
        }
        self.marks.prune(&self.rows);
        let frozen = ctx.focused && self.focused || self.detail.is_some();
        if ctx.focused && !self.focused {
            self.arrived = Some(ctx.now);
        }
        self.focused = ctx.focused;
        if frozen {
            self.rows.freeze(ctx.world);
            self.seek();
        } else {
            self.regroup();
        }
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            self.step(motion);
            return vec![];
        }
        let effect = match command {
            CommandId::Open => {
                self.open();
                None
            }
            CommandId::Back => {
                if self.detail.take().is_none() {
                    if self.marks.is_empty() {
                        self.set_filter(String::new(), ctx);
                    }
                    self.marks.clear();
                }
                None
            }
            CommandId::Sort | CommandId::SortReverse | CommandId::Ended | CommandId::GroupActions => {
                self.order(command);
                None
            }
            CommandId::MarkAction => {
                self.mark();
                None
            }
            CommandId::Approve | CommandId::Reject | CommandId::Snooze => return self.decide(command),
            CommandId::Adjust => self.selected().and_then(|s| ask::adjust(&s.item.proposal)),
            CommandId::Revert => self.selected().map(|s| ask::revert(&s.item.proposal)),
            CommandId::Export => self.selected().and_then(|s| {
                let text = ask::export(&s.item.proposal)?;
                Some(Effect::Show { title: format!("Patch of {}", s.id()), text })
            }),
            CommandId::Copy => self.copy().map(Effect::Copy),
            _ => None,
        };
        effect.into_iter().collect()
    }

    fn why_not(&self, command: CommandId, ctx: &Ctx) -> Option<String> {
        let selected = self.selected();
        let on = |f: &dyn Fn(&Shown) -> Option<String>| match selected {
            Some(s) => f(s),
            None => Some("there is no action here".into()),
        };
        match command {
            CommandId::Approve if self.arrived.is_some_and(|at| ctx.now - at < LOOK_FIRST) => {
                Some("look first: it came up just now".into())
            }
            CommandId::Approve if !self.marks.is_empty() && self.detail.is_none() => {
                marks::why_not(&self.chosen(), ctx.world, ctx.now, ctx.focused)
            }
            CommandId::Approve => on(&|s| gate::approve(s, ctx.world, ctx.now, ctx.focused)),
            CommandId::Reject | CommandId::Snooze if !self.marks.is_empty() && self.detail.is_none() => {
                self.chosen().into_iter().find_map(|s| gate::reject(s, ctx.world))
            }
            CommandId::Reject | CommandId::Snooze => on(&|s| gate::reject(s, ctx.world)),
            CommandId::Adjust => on(&|s| gate::adjust(s, ctx.world, ctx.now, ctx.focused)),
            CommandId::MarkAction if self.detail.is_some() => Some("close the action first".into()),
            CommandId::MarkAction if matches!(self.cursor.key(), Some(Key::Head(_))) => None,
            CommandId::MarkAction => on(&|s| gate::reject(s, ctx.world)),
            CommandId::Revert => on(&|s| gate::revert(s, ctx.world, ctx.focused)),
            CommandId::Export => {
                on(&|s| ask::export(&s.item.proposal).is_none().then(|| "there is no patch in it".into()))
            }
            CommandId::Open if self.detail.is_some() => {
                on(&|s| (!s.changed()).then(|| "the action is open already".into()))
            }
            CommandId::Open | CommandId::Copy => on(&|_| None),
            CommandId::Sort | CommandId::SortReverse | CommandId::Ended | CommandId::GroupActions
                if self.detail.is_some() =>
            {
                Some("close the action first".into())
            }
            CommandId::Back if self.detail.is_none() && self.rows.filter.is_empty() && self.marks.is_empty() => {
                Some("nothing to step out of".into())
            }
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let buf = frame.buffer_mut();
        if let (Some(scroll), Some(shown)) = (&self.detail, self.selected()) {
            let lines = detail::lines(shown, ctx);
            lines.draw(buf, ctx.theme, area, &format!("Action {}", shown.item.proposal.id), scroll, ctx.focused);
            return;
        }
        let rows = &self.rows;
        rule(buf, ctx.theme, area, &self.title(), &self.note(), ctx.focused);
        let table = Table {
            columns: &list::COLUMNS,
            sort: Some((SORTS[rows.sort], rows.reverse)),
            empty: if rows.all.is_empty() {
                "nothing was proposed yet"
            } else {
                "every action is hidden by the filter, or because it has ended"
            },
            theme: ctx.theme,
        };
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let new = rows.entries.iter().skip_while(|e| **e != Entry::New).skip(1).count();
        table.draw(buf, body, &self.cursor, rows.entries.len(), |i| match &rows.entries[i] {
            Entry::Item(r) => list::row(&rows.all[*r], self.marks.has(rows.all[*r].id()), ctx),
            Entry::New => {
                vec![
                    Cell::new(format!("{new} new"), Role::Title),
                    Cell::muted(""),
                    Cell::muted("below"),
                    Cell::muted("came in while you were reading this list"),
                ]
            }
            Entry::Head(name) => {
                let n = rows.shown(Some(name)).count();
                vec![Cell::new(format!("{n} of"), Role::Title), Cell::muted(""), Cell::new(&**name, Role::Title)]
            }
        });
    }

    fn trail(&self) -> String {
        match (&self.detail, self.selected()) {
            (Some(_), Some(s)) => s.item.proposal.id.to_string(),
            _ => String::new(),
        }
    }

    /// None while a detail is open: it is not filtered, and stepping back closes it first.
    fn filter(&self) -> &str {
        if self.detail.is_some() { "" } else { self.rows.filter.source() }
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        self.rows.filter = Filter::parse(&filter);
        self.regroup();
    }

    fn go(&mut self, to: &Target, ctx: &Ctx) -> bool {
        let Target::Action(id) = to else { return false };
        if ctx.world.item(id).is_none() {
            return false;
        }
        self.world = Some(ctx.world.clone());
        self.arrived = Some(ctx.now);
        self.rows.filter = Filter::default();
        self.rows.hide_ended = false;
        self.cursor.select(Key::Item(id.clone()));
        self.regroup();
        self.open();
        true
    }

    fn copy(&self) -> Option<String> {
        let ids: Vec<String> = self.chosen().iter().map(|s| s.id().to_string()).collect();
        (!ids.is_empty()).then(|| ids.join("\n"))
    }
}
