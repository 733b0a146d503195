//! Actions: the queue of proposals, what is under way, and what became of the rest.
//!
//! Rows do not move while the queue has the focus: what ends keeps its place, what is new is put below
//! a line that says so. What is approved is the hash that was seen, never the newest one.

mod ask;
mod detail;
mod gate;
mod list;
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
use crate::model::action::QueueItem;
use crate::model::plan::ActionId;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::sync::Arc;

/// One row: an item of the queue, and the hash of the plan that the operator saw.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The item. While it is changed, the item that was seen.
    pub item: Arc<QueueItem>,
    /// The hash of its present plan.
    pub present: String,
    /// It is in the queue no more.
    pub gone: bool,
}

impl Shown {
    fn new(item: Arc<QueueItem>) -> Self {
        Self { present: item.proposal.hash.clone(), item, gone: false }
    }

    /// Whether the present plan is another one than was seen.
    pub fn changed(&self) -> bool {
        self.present != self.item.proposal.hash
    }

    /// Takes over what the queue says now; another plan is only noted until the operator looks.
    fn update(&mut self, world: &World) {
        match world.item(&self.item.proposal.id) {
            Some(now) if now.proposal.hash == self.item.proposal.hash => {
                *self = Self::new(now.clone());
            }
            Some(now) => self.present.clone_from(&now.proposal.hash),
            None => self.gone = true,
        }
    }
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// Row by number.
    Item(usize),
    /// The line above what came in while the queue had the focus.
    New,
}

pub use list::state_role;

/// How long a snoozed proposal stays away.
const SNOOZE_MINUTES: u32 = 30;

/// No approval so soon after something came up under the fingers.
const LOOK_FIRST: TimeDelta = TimeDelta::milliseconds(400);

/// What the queue is sorted by, in the order `sort` goes through: state, risk, age.
const SORTS: [usize; 3] = [0, 1, 5];

/// State of the pane.
#[derive(Default)]
pub struct Actions {
    world: Option<Arc<World>>,
    filter: Filter,
    sort: usize,
    reverse: bool,
    hide_ended: bool,
    rows: Vec<Shown>,
    entries: Vec<Entry>,
    cursor: Cursor<Option<ActionId>>,
    detail: Option<Scroll>,
    focused: bool,
    /// When the queue got the focus, or was jumped into.
    arrived: Option<Timestamp>,
}

impl Actions {
    /// Puts everything in order anew. Only while the queue has no focus, or when the operator asks.
    fn regroup(&mut self) {
        let Some(world) = self.world.clone() else { return };
        self.rows.retain(|row| !row.gone);
        self.append_new(&world);
        // What is under way, what can be approved, what is only advice, what has ended.
        let group = |i: &QueueItem| match i {
            i if i.state.in_flight() => 0,
            i if i.state.ended() => 3,
            i => 1 + usize::from(i.proposal.plan.steps.is_empty()),
        };
        match SORTS[self.sort] {
            1 => self.rows.sort_by_key(|r| (std::cmp::Reverse(r.item.proposal.risk), r.item.proposal.created)),
            5 => self.rows.sort_by_key(|r| std::cmp::Reverse(r.item.proposal.created)),
            _ => self.rows.sort_by_key(|r| {
                let t = r.item.proposal.created.timestamp();
                (group(&r.item), if r.item.state.ended() { -t } else { t })
            }),
        }
        if self.reverse {
            self.rows.reverse();
        }
        self.entries = (0..self.rows.len()).filter(|&i| self.listed(&self.rows[i])).map(Entry::Item).collect();
        self.seek();
    }

    fn listed(&self, row: &Shown) -> bool {
        !(self.hide_ended && row.item.state.ended()) && list::passes(&self.filter, &row.item)
    }

    fn append_new(&mut self, world: &World) -> usize {
        let before = self.rows.len();
        for item in &*world.queue {
            if !self.rows.iter().any(|r| r.item.proposal.id == item.proposal.id) {
                self.rows.push(Shown::new(item.clone()));
            }
        }
        before
    }

    /// Keeps the order and adds what is new at the end, below a line.
    fn freeze(&mut self, world: &World) {
        let first_new = self.append_new(world);
        for i in first_new..self.rows.len() {
            if self.listed(&self.rows[i]) {
                if !self.entries.contains(&Entry::New) && !self.entries.is_empty() {
                    self.entries.push(Entry::New);
                }
                self.entries.push(Entry::Item(i));
            }
        }
        self.seek();
    }

    fn key_at(&self, place: usize) -> Option<ActionId> {
        match self.entries[place] {
            Entry::Item(i) => Some(self.rows[i].item.proposal.id.clone()),
            Entry::New => None,
        }
    }

    fn seek(&mut self) {
        let mut cursor = std::mem::take(&mut self.cursor);
        cursor.sync(self.entries.len(), |i| self.key_at(i));
        self.cursor = cursor;
    }

    fn selected(&self) -> Option<&Shown> {
        match self.entries.get(self.cursor.index())? {
            Entry::Item(i) => self.rows.get(*i),
            Entry::New => None,
        }
    }

    fn step(&mut self, motion: Motion) {
        if let Some(scroll) = &mut self.detail {
            scroll.step(motion);
            return;
        }
        let mut cursor = std::mem::take(&mut self.cursor);
        let len = self.entries.len();
        cursor.step(motion, len, |i| self.key_at(i));
        if cursor.key() == Some(&None) {
            // The "n new" line is no row: step over it, back if it is the last.
            let on = if matches!(motion, Motion::Up | Motion::PageUp) { Motion::Up } else { Motion::Down };
            cursor.step(on, len, |i| self.key_at(i));
        }
        self.cursor = cursor;
    }

    /// Opens the selected action, or takes over the present plan of a changed one.
    fn open(&mut self) {
        let Some(Entry::Item(i)) = self.entries.get(self.cursor.index()).cloned() else { return };
        if let Some(now) = self.world.as_ref().and_then(|w| w.item(&self.rows[i].item.proposal.id)) {
            self.rows[i] = Shown::new(now.clone());
        }
        self.detail = Some(Scroll::default());
    }
}

impl Pane for Actions {
    fn id(&self) -> PaneId {
        PaneId::Actions
    }

    fn sync(&mut self, ctx: &Ctx) {
        self.world = Some(ctx.world.clone());
        for row in &mut self.rows {
            row.update(ctx.world);
        }
        let frozen = ctx.focused && self.focused || self.detail.is_some();
        if ctx.focused && !self.focused {
            self.arrived = Some(ctx.now);
        }
        self.focused = ctx.focused;
        if frozen {
            self.freeze(ctx.world);
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
                    self.set_filter(String::new(), ctx);
                }
                None
            }
            CommandId::Sort | CommandId::SortReverse => {
                if command == CommandId::Sort {
                    self.sort = (self.sort + 1) % SORTS.len();
                } else {
                    self.reverse = !self.reverse;
                }
                self.regroup();
                None
            }
            CommandId::Ended => {
                self.hide_ended = !self.hide_ended;
                self.regroup();
                None
            }
            CommandId::Approve => self.selected().map(|s| ask::approve(&s.item.proposal)),
            CommandId::Revert => self.selected().map(|s| ask::revert(&s.item.proposal)),
            CommandId::Reject => self.selected().map(|s| {
                Effect::Prompt(Prompt {
                    label: format!("Reject {}, because", s.item.proposal.id),
                    initial: String::new(),
                    purpose: Purpose::RejectReason(s.item.proposal.id.clone()),
                })
            }),
            CommandId::Snooze => self
                .selected()
                .map(|s| Effect::Send(Command::Snooze { id: s.item.proposal.id.clone(), minutes: SNOOZE_MINUTES })),
            CommandId::Export => self.selected().and_then(|s| {
                let text = ask::export(&s.item.proposal)?;
                Some(Effect::Show { title: format!("Patch of {}", s.item.proposal.id), text })
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
            CommandId::Approve => on(&|s| gate::approve(s, ctx.world, ctx.now, ctx.focused)),
            CommandId::Reject | CommandId::Snooze => on(&|s| gate::reject(s, ctx.world)),
            CommandId::Revert => on(&|s| gate::revert(s, ctx.world, ctx.focused)),
            CommandId::Export => {
                on(&|s| ask::export(&s.item.proposal).is_none().then(|| "there is no patch in it".into()))
            }
            CommandId::Open if self.detail.is_some() => {
                on(&|s| (!s.changed()).then(|| "the action is open already".into()))
            }
            CommandId::Open | CommandId::Copy => on(&|_| None),
            CommandId::Sort | CommandId::SortReverse | CommandId::Ended if self.detail.is_some() => {
                Some("close the action first".into())
            }
            CommandId::Back if self.detail.is_none() && self.filter.is_empty() => Some("nothing to step out of".into()),
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
        let waiting = self.rows.iter().filter(|r| r.item.pending() && !r.gone).count();
        let hidden = self.rows.len() - self.entries.iter().filter(|e| **e != Entry::New).count();
        let mut title = format!("Queue: {waiting} waiting");
        if hidden > 0 {
            title = format!("{title}, {hidden} hidden");
        }
        let note = if self.filter.is_empty() {
            self.cursor.position(self.entries.len())
        } else {
            format!("filter {}, {}", self.filter.source(), self.cursor.position(self.entries.len()))
        };
        rule(buf, ctx.theme, area, &title, &note, ctx.focused);
        let table = Table {
            columns: &list::COLUMNS,
            sort: Some((SORTS[self.sort], self.reverse)),
            empty: if self.rows.is_empty() {
                "nothing was proposed yet"
            } else {
                "every action is hidden by the filter, or because it has ended"
            },
            theme: ctx.theme,
        };
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let new = self.entries.iter().skip_while(|e| **e != Entry::New).skip(1).count();
        table.draw(buf, body, &self.cursor, self.entries.len(), |i| match &self.entries[i] {
            Entry::Item(r) => list::row(&self.rows[*r], ctx),
            Entry::New => {
                vec![
                    Cell::new(format!("{new} new"), Role::Title),
                    Cell::muted(""),
                    Cell::muted("below"),
                    Cell::muted("came in while you were reading this list"),
                ]
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
        if self.detail.is_some() { "" } else { self.filter.source() }
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        self.filter = Filter::parse(&filter);
        self.regroup();
    }

    fn go(&mut self, to: &Target, ctx: &Ctx) -> bool {
        let Target::Action(id) = to else { return false };
        if ctx.world.item(id).is_none() {
            return false;
        }
        self.world = Some(ctx.world.clone());
        self.arrived = Some(ctx.now);
        self.filter = Filter::default();
        self.hide_ended = false;
        self.cursor.select(Some(id.clone()));
        self.regroup();
        self.open();
        true
    }

    fn copy(&self) -> Option<String> {
        let shown = self.selected()?;
        Some(shown.item.proposal.id.to_string())
    }
}
