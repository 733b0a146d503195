//! Journal: everything that was decided and done, newest first, with its place in the hash chain.

use super::super::command::{CommandId, PaneId};
use crate::autopilot::world::{Command, World};
use crate::console::effect::{Effect, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::theme::Role;
use crate::console::widgets::cursor::Motion;
use crate::console::widgets::filter::{Field, Filter};
use crate::console::widgets::lines::Lines;
use crate::console::widgets::listing::Listing;
use crate::console::widgets::table::{Cell, Column, Table};
use crate::console::widgets::text::rule;
use crate::model::journal::{Entry, Kind};
use crate::model::time::age;
use ratatui::Frame;
use ratatui::layout::Rect;
use serde_json::Value;
use std::sync::Arc;

const COLUMNS: [Column; 7] = [
    Column::number("SEQ", 4, 8, 0),
    Column::text("TIME (UTC)", 10, 14, 3),
    Column::text("ACTOR", 8, 18, 4),
    Column::text("WHAT", 10, 16, 0),
    Column::text("ACTION", 12, 28, 2),
    Column::text("OBJECT", 14, 34, 1),
    Column::text("DETAILS", 14, 100, 5),
];

/// State of the pane.
#[derive(Default)]
pub struct Journal {
    world: Option<Arc<World>>,
    oldest_first: bool,
    list: Listing<u64, Arc<Entry>>,
}

/// The payload on one line: what says most first, then the plain values.
pub fn summary(payload: &Value) -> String {
    let word = |v: &Value| match v {
        Value::String(s) => Some(s.clone()),
        Value::Number(_) | Value::Bool(_) => Some(v.to_string()),
        _ => None,
    };
    let Some(map) = payload.as_object() else { return word(payload).unwrap_or_default() };
    let first = ["title", "why", "reason", "message", "verdict", "mode", "on"];
    let mut parts: Vec<String> = Vec::new();
    for key in first {
        if let Some(text) = map.get(key).and_then(word) {
            parts.push(if key == "on" { format!("on={text}") } else { text });
        }
    }
    for (key, value) in map.iter().filter(|(k, _)| !first.contains(&k.as_str())) {
        if let Some(text) = word(value) {
            parts.push(format!("{key}={text}"));
        }
    }
    parts.join("  ")
}

fn kind_role(kind: Kind) -> Role {
    match kind {
        Kind::Failed | Kind::HandedOver | Kind::KillSwitch => Role::Bad,
        Kind::Refused | Kind::RevertIntent | Kind::Reverted | Kind::Recovered => Role::Warning,
        Kind::Intent | Kind::Applied | Kind::Approved => Role::Key,
        Kind::Outcome => Role::Good,
        _ => Role::Text,
    }
}

impl Journal {
    fn rebuild(&mut self) {
        let Some(world) = &self.world else { return };
        let all = &world.journal;
        let mut rows: Vec<u32> = (0..all.len() as u32)
            .filter(|&i| {
                let r = &all[i as usize].record;
                let filter = &self.list.filter;
                filter.is_empty()
                    || filter.passes(&[
                        (Field::Text, &r.actor),
                        (Field::Text, r.action.as_deref().unwrap_or_default()),
                        (Field::Text, r.object.as_deref().unwrap_or_default()),
                        (Field::Namespace, r.object.as_deref().and_then(|o| o.split('/').next()).unwrap_or_default()),
                        (Field::State, r.kind.as_str()),
                        (Field::Text, r.kind.as_str()),
                        (Field::Text, &summary(&r.payload)),
                    ])
            })
            .collect();
        if self.oldest_first {
            rows.reverse();
        }
        self.list.fill(rows, |i| all[i as usize].seq);
    }

    fn selected(&self) -> Option<&Arc<Entry>> {
        if let Some((entry, _)) = &self.list.detail {
            return Some(entry);
        }
        self.world.as_ref()?.journal.get(self.list.selected()?)
    }
}

fn detail(entry: &Entry, ctx: &Ctx) -> Lines {
    let r = &entry.record;
    let mut l = Lines::default();
    l.field("what", r.kind.as_str(), kind_role(r.kind));
    l.field("time", format!("{} ({} ago)", r.at.format("%F %T%.3f UTC"), age(ctx.now, r.at)), Role::Text);
    l.field("actor", r.actor.clone(), Role::Text);
    l.field("action", r.action.as_deref().unwrap_or("none").to_owned(), Role::Text);
    l.field("object", r.object.as_deref().unwrap_or("none").to_owned(), Role::Text);
    l.field("hash", entry.hash.clone(), Role::Muted);
    l.field("before", entry.prev.clone(), Role::Muted);
    l.head("Details");
    let text = serde_json::to_string_pretty(&r.payload).unwrap_or_default();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len() + 2;
        l.add(indent as u16, vec![(line.to_owned(), Role::Text)]);
    }
    l
}

impl Pane for Journal {
    fn id(&self) -> PaneId {
        PaneId::Journal
    }

    fn sync(&mut self, ctx: &Ctx) {
        self.world = Some(ctx.world.clone());
        self.rebuild();
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            if let Some(world) = &self.world {
                self.list.step(motion, |i| world.journal[i as usize].seq);
            }
            return vec![];
        }
        match command {
            CommandId::Open => {
                if let Some(entry) = self.selected().cloned() {
                    self.list.open(entry);
                }
            }
            CommandId::Back if self.list.detail.take().is_none() => self.set_filter(String::new(), ctx),
            CommandId::Sort | CommandId::SortReverse => {
                self.oldest_first = !self.oldest_first;
                self.rebuild();
            }
            CommandId::VerifyChain => return vec![Effect::Send(Command::VerifyJournal)],
            CommandId::Copy => return self.copy().map(Effect::Copy).into_iter().collect(),
            _ => {}
        }
        vec![]
    }

    fn why_not(&self, command: CommandId, _: &Ctx) -> Option<String> {
        match command {
            CommandId::Open if self.list.detail.is_some() => Some("the entry is open already".into()),
            CommandId::Open | CommandId::Copy if self.selected().is_none() => Some("there is no entry here".into()),
            CommandId::Sort | CommandId::SortReverse if self.list.detail.is_some() => {
                Some("close the entry first".into())
            }
            CommandId::Back if self.list.at_root() => Some("nothing to step out of".into()),
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let Some(world) = &self.world else { return };
        let buf = frame.buffer_mut();
        if let Some((entry, scroll)) = &self.list.detail {
            detail(entry, ctx).draw(buf, ctx.theme, area, &format!("Entry {}", entry.seq), scroll, ctx.focused);
            return;
        }
        let order = if self.oldest_first { "oldest first" } else { "newest first" };
        rule(
            buf,
            ctx.theme,
            area,
            &format!("Journal, last {} entries, {order}", world.journal.len()),
            &self.list.note(),
            ctx.focused,
        );
        let empty =
            if self.list.filter.is_empty() { "nothing was written down yet" } else { "no entry matches the filter" };
        let table = Table { columns: &COLUMNS, sort: Some((0, !self.oldest_first)), empty, theme: ctx.theme };
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let today = ctx.now.date_naive();
        table.draw(buf, body, &self.list.cursor, self.list.rows.len(), |i| {
            let entry = &world.journal[self.list.rows[i] as usize];
            let r = &entry.record;
            let format = if r.at.date_naive() == today { "%H:%M:%S" } else { "%m-%d %H:%M:%S" };
            vec![
                Cell::muted(entry.seq.to_string()),
                Cell::muted(r.at.format(format).to_string()),
                Cell::plain(&*r.actor),
                Cell::new(r.kind.as_str(), kind_role(r.kind)),
                Cell::plain(r.action.as_deref().unwrap_or_default()),
                Cell::plain(r.object.as_deref().unwrap_or_default()),
                Cell::muted(summary(&r.payload)),
            ]
        });
    }

    fn trail(&self) -> String {
        self.list.detail.as_ref().map_or_else(String::new, |(e, _)| format!("entry {}", e.seq))
    }

    fn filter(&self) -> &str {
        self.list.source()
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        self.list.filter = Filter::parse(&filter);
        self.rebuild();
    }

    fn go(&mut self, target: &Target, ctx: &Ctx) -> bool {
        let Target::Entry(seq) = target else { return false };
        self.world = Some(ctx.world.clone());
        let Some(entry) = ctx.world.journal.iter().find(|e| e.seq == *seq).cloned() else { return false };
        self.list.filter = Filter::default();
        self.list.cursor.select(*seq);
        self.rebuild();
        self.list.open(entry);
        true
    }

    fn copy(&self) -> Option<String> {
        self.selected().and_then(|e| serde_json::to_string(e).ok())
    }
}
