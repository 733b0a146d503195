//! Resources: any kind of object, in the columns in which the server itself lists it.
//!
//! A list is read again while it is looked at, never while one is under way, and never so often that reading takes more
//! than a twentieth of the time. What was read of another cluster is not shown: every request carries the cluster it is of.

mod list;
mod rows;
#[cfg(test)]
mod tests;

use crate::autopilot::world::{Detail, Full, Level, Link};
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Place, Target};
use crate::console::layers::palette::Entry;
use crate::console::pane::{Ctx, Pane};
use crate::console::panes::columns::Chosen;
use crate::console::theme::Role;
use crate::console::widgets::cursor::{Cursor, Motion};
use crate::console::widgets::filter::Filter;
use crate::console::widgets::table::Table;
use crate::console::widgets::text::{put, rule};
use crate::model::browse::{Kind, Listed};
use crate::model::object::{Resource, WorkloadKind};
use crate::model::time::{Timestamp, age};
use chrono::TimeDelta;
use list::{identity, listed};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Least time between two readings of a list.
const EVERY: TimeDelta = TimeDelta::seconds(5);

/// A list is read for at most one part in this many of the time.
const SHARE: i32 = 20;

/// An answer that has not come by then is not waited for any longer.
const PATIENCE: TimeDelta = TimeDelta::minutes(5);

/// Time between two attempts to learn the kinds.
const KINDS_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// Steps that can be gone back.
const HISTORY: usize = 50;

/// What tells rows apart: namespace and name, or group and plural of a kind. The first may be empty.
type Key = (Arc<str>, Arc<str>);

/// What is listed.
#[derive(Debug, Clone, PartialEq)]
enum Show {
    Kinds,
    Objects { resource: Resource, namespace: Option<Arc<str>> },
}

/// A list as the operator left it.
#[derive(Debug, Clone)]
struct Step {
    show: Show,
    filter: Filter,
    cursor: Cursor<Key>,
    sort: Option<usize>,
    reverse: bool,
    marks: BTreeSet<Key>,
}

impl Step {
    fn new(show: Show) -> Self {
        let (filter, cursor) = (Filter::default(), Cursor::default());
        Self { show, filter, cursor, sort: None, reverse: false, marks: BTreeSet::new() }
    }
}

/// Something that is read again and again.
#[derive(Debug, Clone, Default)]
struct Reading {
    /// When it was asked for, while no answer has come.
    asked: Option<Timestamp>,
    /// When it may be asked for again; `None`: at once.
    next: Option<Timestamp>,
    /// When it was read last.
    read: Option<Timestamp>,
    /// Why it could not be read the last time.
    problem: Option<String>,
}

impl Reading {
    fn due(&mut self, now: Timestamp) -> bool {
        let waiting = self.asked.is_some_and(|at| now - at < PATIENCE);
        let due = !waiting && self.next.is_none_or(|at| at <= now);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// An answer came; the next one is asked for when it is due again.
    fn answered(&mut self, problem: Option<String>, pause: TimeDelta, now: Timestamp) {
        self.asked = None;
        self.next = Some(now + pause);
        if problem.is_none() {
            self.read = Some(now);
        }
        self.problem = problem;
    }
}

/// State of the pane.
pub struct Resources {
    /// Context and id of the cluster that everything here is of.
    cluster: Arc<str>,
    kinds: Vec<Kind>,
    learning: Reading,
    /// Namespaces to choose from.
    namespaces: Vec<Arc<str>>,
    /// Where kinds that live in namespaces are listed next; `None`: everywhere.
    namespace: Option<Arc<str>>,
    at: Step,
    back: Vec<Step>,
    forward: Vec<Step>,
    listed: Listed,
    reading: Reading,
    rows: Vec<u32>,
    chosen: Chosen,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cluster: "".into(),
            kinds: Vec::new(),
            learning: Reading::default(),
            namespaces: Vec::new(),
            namespace: None,
            at: Step::new(Show::Kinds),
            back: Vec::new(),
            forward: Vec::new(),
            listed: Listed::default(),
            reading: Reading::default(),
            rows: Vec::new(),
            chosen: Chosen::default(),
        }
    }
}

/// Whether the pane Workloads knows objects of a kind.
fn known_to_workloads(resource: &Resource) -> bool {
    matches!(&*resource.kind, "Pod" | "Node") && resource.group.is_empty()
        || [
            WorkloadKind::Deployment,
            WorkloadKind::StatefulSet,
            WorkloadKind::DaemonSet,
            WorkloadKind::Job,
            WorkloadKind::CronJob,
        ]
        .iter()
        .any(|k| k.as_str() == resource.kind)
}

impl Pane for Resources {
    fn id(&self) -> PaneId {
        PaneId::Resources
    }

    fn sync(&mut self, ctx: &Ctx) {
        let now = identity(ctx.world);
        let limited = &ctx.world.snapshot.cluster.namespaces;
        if *self.cluster != *now {
            // Nothing of the old cluster stays, history and marks least of all.
            let chosen = std::mem::take(&mut self.chosen);
            *self = Self { cluster: now.into(), chosen, ..Self::default() };
            self.namespace = limited.as_ref().and_then(|n| n.first().cloned());
        }
        let mut names: BTreeSet<Arc<str>> = ctx.world.snapshot.namespaces.iter().map(|n| n.name.clone()).collect();
        names.extend(limited.iter().flat_map(|n| n.iter().cloned()));
        self.namespaces = names.into_iter().collect();
    }

    fn due(&mut self, ctx: &Ctx) -> Vec<Effect> {
        if !matches!(ctx.world.link, Link::Connected) {
            return Vec::new();
        }
        self.sync(ctx);
        let mut wanted = Vec::new();
        if self.learning.read.is_none() && self.learning.due(ctx.now) {
            wanted.push(Effect::Fetch(Detail::Kinds(self.cluster.clone())));
        }
        if ctx.focused
            && let Some(ask) = self.ask()
            && self.reading.due(ctx.now)
        {
            wanted.push(Effect::Fetch(Detail::List(ask)));
        }
        wanted
    }

    fn found(&mut self, of: &Detail, full: &Result<Full, String>, ctx: &Ctx) {
        match of {
            Detail::Kinds(cluster) if *cluster == self.cluster => {
                let problem = match full {
                    Ok(Full::Kinds(kinds)) => {
                        self.kinds.clone_from(kinds);
                        None
                    }
                    Ok(_) => Some("an answer to another question came".to_owned()),
                    Err(why) => Some(why.clone()),
                };
                self.learning.answered(problem, KINDS_AGAIN, ctx.now);
                self.rebuild();
            }
            Detail::List(ask) => self.take(ask, full, ctx),
            _ => {}
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let first = |k: &Kind| self.kinds.iter().find(|o| o.resource.plural == k.resource.plural) == Some(k);
        let entry = |k: &Kind| {
            let r = &k.resource;
            let mut also: Vec<String> = k.names().collect();
            let name = if first(k) { r.plural.to_string() } else { format!("{}.{}", r.plural, r.group) };
            if !first(k) {
                also.retain(|n| *n != *r.plural);
            }
            let names: Vec<&str> = std::iter::once(&*r.kind).chain(k.short.iter().map(|s| &**s)).collect();
            Entry {
                name,
                doc: format!("List {} ({}); -n NAMESPACE or -A behind it.", names.join(", "), r.api_version()),
                key: String::new(),
                also,
                why_not: None,
                then: listed(r.clone(), Place::Here, None),
            }
        };
        self.kinds.iter().map(entry).collect()
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            self.step(motion);
            return vec![];
        }
        let effect = match command {
            CommandId::Open => match self.kind() {
                Some(kind) => Some(listed(kind.resource.clone(), Place::Here, None)),
                None => self.object().map(|o| Effect::Fetch(Detail::Describe(o))),
            },
            CommandId::ResourceYaml => self.object().map(|o| Effect::Fetch(Detail::Yaml(o))),
            CommandId::ResourceOwner => match self.owner() {
                Ok(effect) => Some(effect),
                Err(why) => Some(Effect::Note(Level::Warning, why)),
            },
            CommandId::ResourceWorkload => {
                self.object().map(|o| Effect::Go(PaneId::Workloads, Some(Target::Object(o))))
            }
            CommandId::ResourceDrift => self.object().map(|o| Effect::Fetch(Detail::Drift(o))),
            CommandId::ResourceColumns => Some(self.columns_menu()),
            CommandId::ResourceLogs => self.logs(),
            CommandId::ResourceNamespace => self.namespace_menu(),
            CommandId::ResourceKinds => {
                self.show(Show::Kinds);
                None
            }
            CommandId::ResourceBack => {
                self.history(false);
                None
            }
            CommandId::ResourceForward => {
                self.history(true);
                None
            }
            CommandId::Mark => {
                self.mark();
                None
            }
            CommandId::Back => {
                if !self.at.filter.is_empty() {
                    self.set_filter(String::new(), ctx);
                } else if self.at.marks.is_empty() {
                    self.history(false);
                } else {
                    self.at.marks.clear();
                }
                None
            }
            CommandId::Sort => {
                let columns = rows::columns(&self.at.show, &self.listed).len();
                self.at.sort = match self.at.sort {
                    None => Some(0),
                    Some(i) => Some(i + 1).filter(|i| *i < columns),
                };
                self.rebuild();
                None
            }
            CommandId::SortReverse => {
                self.at.reverse = !self.at.reverse;
                self.rebuild();
                None
            }
            _ => None,
        };
        effect.into_iter().collect()
    }

    fn why_not(&self, command: CommandId, _: &Ctx) -> Option<String> {
        let nothing = || Some("there is nothing under the cursor".to_owned());
        let no_object = || match self.at.show {
            Show::Kinds => Some("choose a kind first".to_owned()),
            Show::Objects { .. } => nothing(),
        };
        match command {
            CommandId::Open if self.kind().is_none() && self.row().is_none() => nothing(),
            CommandId::ResourceYaml | CommandId::ResourceDrift | CommandId::ResourceWorkload | CommandId::Mark
                if self.row().is_none() =>
            {
                no_object()
            }
            CommandId::ResourceYaml | CommandId::ResourceDrift | CommandId::Open => match &self.at.show {
                Show::Objects { resource, .. } if resource.kind == "Secret" => {
                    Some("Secrets are never fetched; read it with kubectl if you must".into())
                }
                _ => None,
            },
            CommandId::ResourceOwner => self.owner().err(),
            CommandId::ResourceWorkload => match &self.at.show {
                Show::Objects { resource, .. } if !known_to_workloads(resource) => {
                    Some("only pods, nodes and what runs pods are in Workloads".into())
                }
                _ => None,
            },
            CommandId::ResourceLogs if self.logs().is_none() => Some("logs are of pods and of what runs pods".into()),
            CommandId::ResourceNamespace => match &self.at.show {
                Show::Kinds => Some("choose a kind first".into()),
                Show::Objects { resource, .. } if !resource.namespaced => {
                    Some(format!("{} do not live in namespaces", resource.plural))
                }
                Show::Objects { .. } => None,
            },
            CommandId::ResourceKinds if self.at.show == Show::Kinds => Some("these are the kinds".into()),
            CommandId::ResourceBack if self.back.is_empty() => Some("there is nothing to go back to".into()),
            CommandId::ResourceForward if self.forward.is_empty() => Some("there is nothing to go forward to".into()),
            CommandId::Back if self.back.is_empty() && self.at.filter.is_empty() && self.at.marks.is_empty() => {
                Some("nothing to step out of".into())
            }
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let buf = frame.buffer_mut();
        let state = self.state();
        let place = self.at.cursor.position(self.rows.len());
        let mut notes: Vec<String> = Vec::new();
        if matches!(self.at.show, Show::Objects { .. }) {
            notes.extend(state.read.map(|at| format!("read {} ago", age(ctx.now, at))));
        }
        notes.extend(Some(place).filter(|p| !p.is_empty()));
        rule(buf, ctx.theme, area, &self.title(), &notes.join(", "), ctx.focused);
        let mut top = area.y + 1;
        if let Some(why) = &state.problem {
            put(buf, ctx.theme, area.x + 1, top, area.width.saturating_sub(2), why, Role::Bad);
            top += 1;
        }
        let body = Rect { y: top.min(area.bottom()), height: area.bottom().saturating_sub(top), ..area };
        let mut columns = rows::columns(&self.at.show, &self.listed);
        self.chosen.apply(self.list(), &mut columns);
        let sort = self.at.sort.map(|c| (c, self.at.reverse));
        let empty = self.empty();
        let table = Table { columns: &columns, sort, empty: &empty, theme: ctx.theme };
        table.draw(buf, body, &self.at.cursor, self.rows.len(), |i| {
            let at = self.rows[i];
            let marked = !self.at.marks.is_empty() && self.at.marks.contains(&self.key(at));
            match &self.at.show {
                Show::Kinds => rows::kind_cells(&self.kinds[at as usize]),
                Show::Objects { resource, namespace } => {
                    let far = namespace.is_none() && resource.namespaced;
                    rows::cells(&self.listed, &self.listed.rows[at as usize], far, marked, ctx)
                }
            }
        });
    }

    fn trail(&self) -> String {
        match &self.at.show {
            Show::Kinds => "kinds".into(),
            Show::Objects { resource: r, namespace: Some(ns) } => format!("{ns} › {}", r.plural),
            Show::Objects { resource: r, .. } if r.namespaced => format!("all namespaces › {}", r.plural),
            Show::Objects { resource, .. } => resource.plural.to_string(),
        }
    }

    fn filter(&self) -> &str {
        self.at.filter.source()
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        self.at.filter = Filter::parse(&filter);
        self.rebuild();
    }

    fn go(&mut self, target: &Target, ctx: &Ctx) -> bool {
        self.sync(ctx);
        let Target::Listed { resource, place, name } = target else { return self.turn(target) };
        if resource.namespaced {
            match place {
                Place::Here => {}
                Place::Everywhere => self.namespace = None,
                Place::In(namespace) => self.namespace = Some(namespace.clone()),
            }
        }
        let namespace = self.namespace.clone().filter(|_| resource.namespaced);
        self.show(Show::Objects { resource: resource.clone(), namespace: namespace.clone() });
        if let Some(name) = name {
            self.at.cursor.select((namespace.unwrap_or_default(), name.clone()));
            self.rebuild();
        }
        true
    }

    fn copy(&self) -> Option<String> {
        if !self.at.marks.is_empty() {
            return Some(self.at.marks.iter().map(|(_, name)| &**name).collect::<Vec<_>>().join("\n"));
        }
        match self.kind() {
            Some(kind) => Some(kind.resource.plural.to_string()),
            None => self.row().map(|r| r.name.to_string()),
        }
    }
}
