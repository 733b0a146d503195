//! Overview: is anything wrong, what is being done about it, and can what is shown be trusted?

mod detail;
mod entry;
mod incident;
mod sections;

use super::health::Tally;
use super::show;
use crate::autopilot::world::World;
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::theme::Role;
use crate::console::widgets::cursor::{Cursor, Motion, Scroll};
use crate::console::widgets::filter::{Field, Filter};
use crate::console::widgets::table::{Cell, Column, Table};
use crate::console::widgets::text::{flow, put_line, rule};
use crate::model::action::QueueItem;
use crate::model::finding::{FindingId, Severity, Subject};
use crate::model::mode::Mode;
use crate::model::time::age;
use entry::Entry;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::HashSet;
use std::sync::Arc;

const COLUMNS: [Column; 6] = [
    Column::text("", 1, 1, 0),
    // The longest class; the sentence tells it too, so that a narrow screen can do without.
    Column::text("CLASS", 14, 14, 4),
    Column::text("SUBJECT", 13, 30, 0),
    // The problem itself: never left out, and whatever room is left is its own.
    Column::text("WHAT IS WRONG", 13, 36, 0),
    Column::number("AGE", 5, 5, 3),
    Column::text("PLAN, CAUSE", 11, 20, 0),
];

/// What the findings are sorted by, in the order `sort` goes through.
const SORTS: [usize; 4] = [0, 4, 2, 1];

/// State of the pane.
#[derive(Default)]
pub struct Overview {
    world: Option<Arc<World>>,
    filter: Filter,
    sort: usize,
    reverse: bool,
    entries: Vec<Entry>,
    /// Ids of what belongs to an incident.
    below: HashSet<FindingId>,
    rows: Vec<u32>,
    cursor: Cursor<FindingId>,
    /// The operator has moved the cursor. Until then it stays on the first line, whatever comes in above.
    chosen: bool,
    detail: Option<(Entry, Scroll)>,
    tally: Tally,
}

/// The action for a finding that matters most: one under way, else one waiting, else the last that ended.
pub fn action_for<'a>(world: &'a World, finding: &str) -> Option<&'a Arc<QueueItem>> {
    let rank = |i: &QueueItem| (i.state.in_flight(), i.pending(), i.proposal.created);
    world.queue.iter().filter(|i| &*i.proposal.finding == finding).max_by_key(|i| rank(i))
}

impl Overview {
    fn rebuild(&mut self) {
        let Some(world) = self.world.clone() else { return };
        (self.entries, self.below) = Entry::all(&world);
        let entries = &self.entries;
        let mut rows: Vec<u32> =
            (0..entries.len() as u32).filter(|&i| passes(&self.filter, &entries[i as usize])).collect();
        match SORTS[self.sort] {
            4 => rows.sort_by_key(|&i| std::cmp::Reverse(entries[i as usize].since())),
            2 => rows.sort_by_cached_key(|&i| entries[i as usize].subject()),
            1 => rows.sort_by_key(|&i| entries[i as usize].class()),
            _ => {}
        }
        if self.reverse {
            rows.reverse();
        }
        self.rows = rows;
        if !self.chosen {
            self.cursor = Cursor::default();
        }
        let (rows, entries) = (&self.rows, &self.entries);
        self.cursor.sync(rows.len(), |i| entries[rows[i] as usize].id().clone());
    }

    fn selected(&self) -> Option<&Entry> {
        if let Some((entry, _)) = &self.detail {
            return Some(entry);
        }
        self.entries.get(*self.rows.get(self.cursor.index())? as usize)
    }

    fn step(&mut self, motion: Motion) {
        if let Some((_, scroll)) = &mut self.detail {
            scroll.step(motion);
        } else {
            self.chosen = true;
            let (rows, entries) = (&self.rows, &self.entries);
            self.cursor.step(motion, rows.len(), |i| entries[rows[i] as usize].id().clone());
        }
    }

    fn findings(&self, frame: &mut Frame, area: Rect, ctx: &Ctx, world: &World) {
        let note = if self.filter.is_empty() {
            self.cursor.position(self.rows.len())
        } else {
            format!("filter {}, {} of {}", self.filter.source(), self.rows.len(), self.entries.len())
        };
        let buf = frame.buffer_mut();
        let counts = [("incidents", world.incidents.open().count()), ("anomalies", world.anomalies.open().count())];
        let more = counts.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{what} {n}"));
        let all: Vec<String> = std::iter::once(format!("Findings {}", world.findings.len())).chain(more).collect();
        let title = all.join(", ");
        rule(buf, ctx.theme, area, &title, &note, ctx.focused);
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let empty = sections::nothing_found(world, !self.filter.is_empty());
        let table =
            Table { columns: &COLUMNS, sort: Some((SORTS[self.sort], self.reverse)), empty: &empty, theme: ctx.theme };
        table.draw(buf, body, &self.cursor, self.rows.len(), |i| {
            let entry = &self.entries[self.rows[i] as usize];
            row(entry, self.sort == 0 && self.below.contains(entry.id()), world, ctx)
        });
    }
}

fn passes(filter: &Filter, e: &Entry) -> bool {
    let about = e.subject();
    let subject = about.to_string();
    let (ns, kind, node): (&str, &str, &str) = match &about {
        Subject::Workload(k) => (&k.namespace, k.kind.as_str(), ""),
        Subject::Node(n) => ("", "Node", n),
        Subject::Cluster => ("", "Cluster", ""),
    };
    filter.passes(&[
        (Field::Text, &subject),
        (Field::Text, e.title()),
        (Field::Class, e.class()),
        (Field::Namespace, ns),
        (Field::Kind, kind),
        (Field::Node, node),
        (Field::Health, show::severity_word(e.severity())),
        (Field::Health, if e.severity() >= Severity::High { "bad" } else { "warning" }),
    ])
}

/// The action for an entry: of an incident that of any of its findings.
fn action_of<'a>(world: &'a World, e: &Entry) -> Option<&'a Arc<QueueItem>> {
    match e {
        Entry::Finding(f) => action_for(world, &f.id),
        Entry::Incident(c, _) => c.findings.iter().find_map(|id| action_for(world, id)),
        Entry::Anomaly(_) => None,
    }
}

/// The cells of an entry; one that belongs to the incident above is moved in.
fn row<'a>(e: &'a Entry, below: bool, world: &'a World, ctx: &Ctx) -> Vec<Cell<'a>> {
    let (glyph, role) = show::severity(e.severity(), &ctx.theme.glyphs);
    let (id, subject) = (e.id(), e.subject());
    let plan = match (action_for(world, id), world.unplanned.get(id)) {
        _ if matches!(e, Entry::Anomaly(_)) => Cell::muted("shown only"),
        _ if matches!(e, Entry::Incident(..)) => incident::suspect(e),
        (Some(item), _) if item.proposal.plan.steps.is_empty() => Cell::muted("advice only"),
        (Some(item), _) if item.pending() && !item.blocked.is_empty() => Cell::new("blocked", Role::Warning),
        (Some(item), _) => Cell::new(format!("{} {}", ctx.theme.glyphs.arrow, item.state.word()), Role::Key),
        (None, Some(why)) => Cell::muted(format!("none: {why}")),
        (None, None) if world.mode == Mode::Observe => Cell::muted("observing"),
        (None, None) => Cell::muted("not planned"),
    };
    vec![
        Cell::new(glyph, role),
        Cell::new(e.class(), role),
        Cell::plain(if below { format!("  {}", show::subject(&subject)) } else { show::subject(&subject) }),
        Cell::new(
            show::without_subject(e.title(), &subject),
            if matches!(e, Entry::Incident(..)) { Role::Title } else { Role::Text },
        ),
        Cell::muted(age(ctx.now, e.since())),
        plan,
    ]
}

impl Pane for Overview {
    fn id(&self) -> PaneId {
        PaneId::Overview
    }

    fn sync(&mut self, ctx: &Ctx) {
        if !self.world.as_ref().is_some_and(|w| Arc::ptr_eq(w, ctx.world)) {
            self.tally = Tally::of(ctx.world);
        }
        self.world = Some(ctx.world.clone());
        if let Some((entry, _)) = &mut self.detail
            && let Some(newer) = entry.newer(ctx.world)
        {
            *entry = newer;
        }
        self.rebuild();
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            self.step(motion);
            return vec![];
        }
        match command {
            CommandId::Open => {
                self.chosen = true;
                self.detail = self.selected().cloned().map(|e| (e, Scroll::default()));
                vec![]
            }
            CommandId::Back => {
                if self.detail.take().is_none() {
                    self.set_filter(String::new(), ctx);
                }
                vec![]
            }
            CommandId::Sort | CommandId::SortReverse => {
                if command == CommandId::Sort {
                    self.sort = (self.sort + 1) % SORTS.len();
                } else {
                    self.reverse = !self.reverse;
                }
                self.rebuild();
                vec![]
            }
            CommandId::GoFix => {
                let action = self.selected().and_then(|e| action_of(ctx.world, e));
                action
                    .map(|i| Effect::Go(PaneId::Actions, Some(Target::Action(i.proposal.id.clone()))))
                    .into_iter()
                    .collect()
            }
            CommandId::GoWorkload => match self.selected().map(Entry::subject) {
                Some(Subject::Workload(key)) => {
                    vec![Effect::Go(PaneId::Workloads, Some(Target::Workload(key)))]
                }
                Some(Subject::Node(name)) => {
                    let node = crate::model::object::ObjectRef::cluster(crate::model::object::Resource::NODES, name);
                    vec![Effect::Go(PaneId::Workloads, Some(Target::Object(node)))]
                }
                _ => vec![],
            },
            CommandId::Copy => self.copy().map(Effect::Copy).into_iter().collect(),
            _ => vec![],
        }
    }

    fn why_not(&self, command: CommandId, ctx: &Ctx) -> Option<String> {
        let selected = self.selected();
        match command {
            CommandId::Open if self.detail.is_some() => Some("the finding is open already".into()),
            CommandId::Open | CommandId::Copy if selected.is_none() => Some("there is no finding here".into()),
            CommandId::Sort | CommandId::SortReverse if self.detail.is_some() => Some("close the finding first".into()),
            CommandId::Back if self.detail.is_none() && self.filter.is_empty() => Some("nothing to step out of".into()),
            CommandId::GoFix => match selected {
                None => Some("there is no finding here".into()),
                Some(Entry::Anomaly(_)) => Some("no plan is made from anomalies".into()),
                Some(e) if action_of(ctx.world, e).is_some() => None,
                Some(e) => Some(match ctx.world.unplanned.get(e.id()) {
                    Some(why) => format!("no proposal: {why}"),
                    None => "no proposal yet".into(),
                }),
            },
            CommandId::GoWorkload => match selected.map(Entry::subject) {
                None => Some("there is no finding here".into()),
                Some(Subject::Cluster) => Some("this finding is about the whole cluster".into()),
                Some(_) => None,
            },
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let Some(world) = &self.world else { return };
        if let Some((entry, scroll)) = &self.detail {
            let (lines, title) = match entry {
                Entry::Finding(f) => (detail::lines(f, world, ctx), "Finding"),
                Entry::Anomaly(i) => (detail::anomaly(i, world, ctx), "Anomaly"),
                Entry::Incident(c, _) => (incident::lines(c, world, ctx), "Incident"),
            };
            lines.draw(frame.buffer_mut(), ctx.theme, area, title, scroll, ctx.focused);
            return;
        }
        let stepping = world.mode == Mode::Step;
        let (main, side, below) = split(area, stepping);
        let status = flow(
            sections::status(world, &self.tally, ctx, side.is_none() && below.is_none()),
            main.width.saturating_sub(2),
        );
        let most = if stepping && main.height < 18 { 2 } else { (main.height / 3).max(2) };
        let shown = status.len().min(most as usize);
        for (i, line) in status.iter().take(shown).enumerate() {
            let at = Rect { x: main.x + 1, y: main.y + i as u16, width: main.width.saturating_sub(2), height: 1 };
            put_line(frame.buffer_mut(), ctx.theme, at, line);
        }
        let mut y = main.y + shown as u16;
        if stepping {
            let room = main.bottom().saturating_sub(y + 4).min(main.height / 2);
            let used = sections::step(frame.buffer_mut(), Rect { y, height: room, ..main }, ctx, world);
            y += used;
        }
        self.findings(frame, Rect { y, height: main.bottom().saturating_sub(y), ..main }, ctx, world);
        if let Some(side) = side {
            sections::column(frame.buffer_mut(), side, ctx, world);
        }
        if let Some(below) = below {
            sections::columns(frame.buffer_mut(), below, ctx, world);
        }
    }

    fn trail(&self) -> String {
        self.detail.as_ref().map_or_else(String::new, |(e, _)| format!("{} {}", e.class(), show::subject(&e.subject())))
    }

    /// None while a detail is open: it is not filtered, and stepping back closes it first.
    fn filter(&self) -> &str {
        if self.detail.is_some() { "" } else { self.filter.source() }
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        self.filter = Filter::parse(&filter);
        self.rebuild();
    }

    fn go(&mut self, _: &Target, _: &Ctx) -> bool {
        false
    }

    fn copy(&self) -> Option<String> {
        self.selected().map(|e| format!("{}: {}", e.subject(), e.title()))
    }
}

/// The main part, and where SLOs, sources and actions go: beside it, below it, or nowhere. Step mode needs
/// the room below for what the phases produced.
fn split(area: Rect, stepping: bool) -> (Rect, Option<Rect>, Option<Rect>) {
    if area.width >= 150 {
        let w = (area.width * 36 / 100).clamp(44, 72);
        let main = Rect { width: area.width - w - 1, ..area };
        return (main, Some(Rect { x: main.right() + 1, width: w, ..area }), None);
    }
    if area.height >= if stepping { 30 } else { 18 } {
        let h = (area.height / 3).clamp(8, 16);
        let main = Rect { height: area.height - h, ..area };
        return (main, None, Some(Rect { y: main.bottom(), height: h, ..area }));
    }
    (area, None, None)
}
