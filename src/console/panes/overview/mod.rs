//! Overview: is anything wrong, what is being done about it, and can what is shown be trusted?

mod detail;
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
use crate::model::finding::{Finding, FindingId, Severity, Subject};
use crate::model::mode::Mode;
use crate::model::time::age;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::sync::Arc;

const COLUMNS: [Column; 6] = [
    Column::text("", 1, 1, 0),
    // The longest class; the sentence tells it too, so that a narrow screen can do without.
    Column::text("CLASS", 14, 14, 4),
    Column::text("SUBJECT", 13, 30, 0),
    // The problem itself: never left out, and whatever room is left is its own.
    Column::text("WHAT IS WRONG", 13, 36, 0),
    Column::number("AGE", 5, 5, 3),
    Column::text("PLAN", 11, 11, 0),
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
    rows: Vec<u32>,
    cursor: Cursor<FindingId>,
    /// The operator has moved the cursor. Until then it stays on the first line, whatever comes in above.
    chosen: bool,
    detail: Option<(Arc<Finding>, Scroll)>,
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
        let findings = &world.findings;
        let mut rows: Vec<u32> =
            (0..findings.len() as u32).filter(|&i| passes(&self.filter, &findings[i as usize])).collect();
        match SORTS[self.sort] {
            4 => rows.sort_by_key(|&i| std::cmp::Reverse(findings[i as usize].since)),
            2 => rows.sort_by(|&a, &b| findings[a as usize].subject.cmp(&findings[b as usize].subject)),
            1 => rows.sort_by_key(|&i| findings[i as usize].fault.class()),
            _ => {}
        }
        if self.reverse {
            rows.reverse();
        }
        self.rows = rows;
        if !self.chosen {
            self.cursor = Cursor::default();
        }
        let rows = &self.rows;
        self.cursor.sync(rows.len(), |i| findings[rows[i] as usize].id.clone());
    }

    fn selected(&self) -> Option<&Arc<Finding>> {
        if let Some((finding, _)) = &self.detail {
            return Some(finding);
        }
        self.world.as_ref()?.findings.get(*self.rows.get(self.cursor.index())? as usize)
    }

    fn step(&mut self, motion: Motion) {
        if let Some((_, scroll)) = &mut self.detail {
            scroll.step(motion);
        } else if let Some(world) = &self.world {
            self.chosen = true;
            let rows = &self.rows;
            self.cursor.step(motion, rows.len(), |i| world.findings[rows[i] as usize].id.clone());
        }
    }

    fn findings(&self, frame: &mut Frame, area: Rect, ctx: &Ctx, world: &World) {
        let note = if self.filter.is_empty() {
            self.cursor.position(self.rows.len())
        } else {
            format!("filter {}, {} of {}", self.filter.source(), self.rows.len(), world.findings.len())
        };
        let buf = frame.buffer_mut();
        rule(buf, ctx.theme, area, &format!("Findings {}", world.findings.len()), &note, ctx.focused);
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let empty = sections::nothing_found(world, !self.filter.is_empty());
        let table =
            Table { columns: &COLUMNS, sort: Some((SORTS[self.sort], self.reverse)), empty: &empty, theme: ctx.theme };
        table.draw(buf, body, &self.cursor, self.rows.len(), |i| {
            row(&world.findings[self.rows[i] as usize], world, ctx)
        });
    }
}

fn passes(filter: &Filter, f: &Finding) -> bool {
    let subject = f.subject.to_string();
    let (ns, kind, node): (&str, &str, &str) = match &f.subject {
        Subject::Workload(k) => (&k.namespace, k.kind.as_str(), ""),
        Subject::Node(n) => ("", "Node", n),
        Subject::Cluster => ("", "Cluster", ""),
    };
    filter.passes(&[
        (Field::Text, &subject),
        (Field::Text, &f.title),
        (Field::Class, f.fault.class()),
        (Field::Namespace, ns),
        (Field::Kind, kind),
        (Field::Node, node),
        (Field::Health, show::severity_word(f.severity)),
        (Field::Health, if f.severity >= Severity::High { "bad" } else { "warning" }),
    ])
}

fn row<'a>(f: &'a Finding, world: &'a World, ctx: &Ctx) -> Vec<Cell<'a>> {
    let (glyph, role) = show::severity(f.severity, &ctx.theme.glyphs);
    let plan = match (action_for(world, &f.id), world.unplanned.get(&f.id)) {
        (Some(item), _) if item.proposal.plan.steps.is_empty() => Cell::muted("advice only"),
        (Some(item), _) if item.pending() && !item.blocked.is_empty() => Cell::new("blocked", Role::Warning),
        (Some(item), _) => Cell::new(format!("{} {}", ctx.theme.glyphs.arrow, item.state.word()), Role::Key),
        (None, Some(why)) => Cell::muted(format!("none: {why}")),
        (None, None) if world.mode == Mode::Observe => Cell::muted("observing"),
        (None, None) => Cell::muted("not planned"),
    };
    vec![
        Cell::new(glyph, role),
        Cell::new(f.fault.class(), role),
        Cell::plain(show::subject(&f.subject)),
        Cell::plain(show::without_subject(&f.title, &f.subject)),
        Cell::muted(age(ctx.now, f.since)),
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
        if let Some((finding, _)) = &mut self.detail
            && let Some(newer) = ctx.world.findings.iter().find(|f| f.id == finding.id)
        {
            *finding = newer.clone();
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
                self.detail = self.selected().cloned().map(|f| (f, Scroll::default()));
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
                let action = self.selected().and_then(|f| action_for(ctx.world, &f.id));
                action
                    .map(|i| Effect::Go(PaneId::Actions, Some(Target::Action(i.proposal.id.clone()))))
                    .into_iter()
                    .collect()
            }
            CommandId::GoWorkload => match self.selected().map(|f| &f.subject) {
                Some(Subject::Workload(key)) => {
                    vec![Effect::Go(PaneId::Workloads, Some(Target::Workload(key.clone())))]
                }
                Some(Subject::Node(name)) => {
                    let node =
                        crate::model::object::ObjectRef::cluster(crate::model::object::Resource::NODES, name.clone());
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
                Some(f) if action_for(ctx.world, &f.id).is_some() => None,
                Some(f) => Some(match ctx.world.unplanned.get(&f.id) {
                    Some(why) => format!("no proposal: {why}"),
                    None => "no proposal yet".into(),
                }),
            },
            CommandId::GoWorkload => match selected.map(|f| &f.subject) {
                None => Some("there is no finding here".into()),
                Some(Subject::Cluster) => Some("this finding is about the whole cluster".into()),
                Some(_) => None,
            },
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let Some(world) = &self.world else { return };
        if let Some((finding, scroll)) = &self.detail {
            let lines = detail::lines(finding, world, ctx);
            lines.draw(frame.buffer_mut(), ctx.theme, area, "Finding", scroll, ctx.focused);
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
        self.detail
            .as_ref()
            .map_or_else(String::new, |(f, _)| format!("{} {}", f.fault.class(), show::subject(&f.subject)))
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
        self.selected().map(|f| format!("{}: {}", f.subject, f.title))
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
