//! Workloads: namespaces, workloads, pods, containers and nodes, one level at a time.

mod events;
mod level;
pub mod logs;
mod pipeline;
mod rows;
#[cfg(test)]
mod tests;

use super::columns::Chosen;
use super::health::{self, Worst};
use super::show;
use crate::autopilot::world::{Detail, World};
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::theme::Role;
use crate::console::widgets::cursor::{Cursor, Motion};
use crate::console::widgets::filter::Filter;
use crate::console::widgets::table::{Column, Table};
use crate::console::widgets::text::{put, rule};
use crate::model::object::{ObjectRef, PodKey, Resource, WorkloadKey};
use crate::model::snapshot::SourceState;
use level::{Key, Level, Place, Scope};
use ratatui::Frame;
use ratatui::layout::Rect;
use rows::{Counts, Rows};
use std::sync::Arc;

/// One level as the operator left it.
#[derive(Debug, Clone)]
struct Step {
    level: Level,
    filter: Filter,
    cursor: Cursor<Key>,
    sort: Option<usize>,
    reverse: bool,
}

impl Step {
    fn new(level: Level) -> Self {
        Self { level, filter: Filter::default(), cursor: Cursor::default(), sort: None, reverse: false }
    }
}

/// State of the pane: the way down the tree, and what is derived from the world for its end.
pub struct Workloads {
    world: Option<Arc<World>>,
    way: Vec<Step>,
    at: Step,
    rows: Vec<Place>,
    columns: Vec<Column<'static>>,
    chosen: Chosen,
    worst: Worst,
    counts: Counts,
    notes: Vec<(String, Role)>,
}

impl Default for Workloads {
    fn default() -> Self {
        Self {
            world: None,
            way: vec![Step::new(Level::Namespaces)],
            at: Step::new(Level::Workloads(None)),
            rows: Vec::new(),
            columns: Vec::new(),
            chosen: Chosen::default(),
            worst: Worst::new(),
            counts: Counts::default(),
            notes: Vec::new(),
        }
    }
}

impl Workloads {
    fn rebuild(&mut self, ctx: &Ctx) {
        let Some(world) = self.world.clone() else { return };
        let mut rows = level::places(&self.at.level, &world, &self.worst, &self.at.filter);
        self.columns = level::columns(&self.at.level, level::longest(&rows, &world));
        self.chosen.apply(self.at.level.name(), &mut self.columns);
        if let Some(column) = self.at.sort {
            Rows::new(&world, &self.worst, &self.counts, ctx).order(&mut rows, column, self.at.reverse);
        } else if self.at.reverse {
            rows.reverse();
        }
        self.at.cursor.sync(rows.len(), |i| level::key_of(rows[i], &world));
        self.rows = rows;
        self.notes = notes(&world, &self.at.level, ctx);
    }

    /// What leads to the heatmap of the workload's requests, or why there is none.
    fn heat(&self) -> Result<Effect, String> {
        let key = self.workload().ok_or("choose a workload or a pod")?;
        let world = self.world.as_ref().ok_or("there is no data yet")?;
        let profile = world.snapshot.metrics.profile.as_ref().ok_or("Prometheus was not read yet")?;
        let buckets = profile.latency.first().ok_or("Prometheus has no histogram of requests that kansole knows")?;
        Ok(Effect::Go(PaneId::Promql, Some(Target::Heat(buckets.of(&key)))))
    }

    fn columns_menu(&self) -> Effect {
        let name = self.at.level.name();
        self.chosen.menu(PaneId::Workloads, name, &level::columns(&self.at.level, 12))
    }

    fn enter(&mut self, level: Level, ctx: &Ctx) {
        let before = std::mem::replace(&mut self.at, Step::new(level));
        self.way.push(before);
        self.rebuild(ctx);
    }

    fn place(&self) -> Option<Place> {
        self.rows.get(self.at.cursor.index()).copied()
    }

    fn key(&self) -> Option<Key> {
        Some(level::key_of(self.place()?, self.world.as_ref()?))
    }

    /// Where Enter leads.
    fn below(&self) -> Option<Level> {
        Some(match self.key()? {
            Key::AllWorkloads => Level::Workloads(None),
            Key::AllPods => Level::Pods(Scope::All),
            Key::AllNodes => Level::Nodes,
            Key::Namespace(ns) => Level::Workloads(Some(ns)),
            Key::Node(name) => Level::Pods(Scope::Node(name)),
            Key::Workload(key) => Level::Pods(Scope::Workload(key)),
            Key::Pod(key) => Level::Containers(key),
            Key::Container(_) => return None,
        })
    }

    /// The object under the cursor; a container stands for its pod.
    fn object(&self) -> Option<ObjectRef> {
        Some(match self.key()? {
            Key::Namespace(ns) => ObjectRef::cluster(Resource::NAMESPACES, ns),
            Key::Node(name) => ObjectRef::cluster(Resource::NODES, name),
            Key::Workload(key) => return key.object(),
            Key::Pod(key) => ObjectRef::namespaced(Resource::PODS, key.namespace, key.name),
            Key::Container(_) => match &self.at.level {
                Level::Containers(key) => {
                    ObjectRef::namespaced(Resource::PODS, key.namespace.clone(), key.name.clone())
                }
                _ => return None,
            },
            Key::AllWorkloads | Key::AllPods | Key::AllNodes => return None,
        })
    }

    /// The workload under the cursor, or the one whose pods are shown.
    fn workload(&self) -> Option<WorkloadKey> {
        let world = self.world.as_ref()?;
        match self.place()? {
            Place::Workload(i) | Place::Pod(i, _) | Place::Container(i, _, _) => {
                Some(world.snapshot.workloads[i as usize].key.clone())
            }
            _ => None,
        }
    }

    /// One namespace after the other, then all.
    fn next_namespace(&mut self, ctx: &Ctx) {
        let Level::Workloads(now) = &self.at.level else { return };
        let names: Vec<Arc<str>> = ctx.world.snapshot.namespaces.iter().map(|n| n.name.clone()).collect();
        let next = match now {
            None => names.first().cloned(),
            Some(ns) => names.iter().position(|n| n == ns).and_then(|i| names.get(i + 1).cloned()),
        };
        self.at.level = Level::Workloads(next);
        self.rebuild(ctx);
    }

    fn next_sort(&mut self, ctx: &Ctx) {
        self.at.sort = match self.at.sort {
            None => Some(0),
            Some(i) if i + 1 < self.columns.len() => Some(i + 1),
            Some(_) => None,
        };
        if self.at.sort == Some(1) && self.one_namespace() {
            self.at.sort = Some(2);
        }
        self.rebuild(ctx);
    }

    /// Whether all rows are of one namespace, so that sorting by it says nothing.
    fn one_namespace(&self) -> bool {
        matches!(self.at.level, Level::Workloads(Some(_)) | Level::Pods(Scope::Workload(_)))
    }

    fn step(&mut self, motion: Motion) {
        let Some(world) = self.world.clone() else { return };
        let rows = &self.rows;
        self.at.cursor.step(motion, rows.len(), |i| level::key_of(rows[i], &world));
    }

    fn empty(&self) -> String {
        if !self.at.filter.is_empty() {
            return "nothing matches the filter".into();
        }
        match self.at.level {
            Level::Containers(_) => "this pod is gone".into(),
            Level::Pods(Scope::Workload(_)) => "it has no pods".into(),
            _ if self.notes.is_empty() => "nothing here".into(),
            _ => "nothing can be seen; the reason stands above".into(),
        }
    }

    /// `all namespaces`, or the few that are watched.
    fn everywhere(&self) -> String {
        let watched = self.world.as_ref().and_then(|w| w.snapshot.cluster.namespaces.as_ref());
        watched.map_or_else(|| "all namespaces".into(), |names| show::only(names))
    }

    fn title(&self) -> String {
        let n = self.rows.len();
        match &self.at.level {
            Level::Namespaces => "Namespaces".into(),
            Level::Nodes => format!("Nodes {n}"),
            Level::Workloads(None) => format!("Workloads {n}, {}", self.everywhere()),
            Level::Workloads(Some(ns)) => format!("Workloads {n} in {ns}"),
            Level::Pods(Scope::All) => format!("Pods {n}"),
            Level::Pods(Scope::Workload(k)) => format!("Pods {n} of {} {}", k.kind.as_str(), k.name),
            Level::Pods(Scope::Node(name)) => format!("Pods {n} on node {name}"),
            Level::Containers(k) => format!("Containers {n} of pod {}", k.name),
        }
    }
}

/// Which sources a level lives from, and what is wrong with them: denied with the missing verb, lost, old.
fn notes(world: &World, level: &Level, ctx: &Ctx) -> Vec<(String, Role)> {
    let wanted: &[&str] = match level {
        Level::Namespaces => &["namespaces", "pods"],
        Level::Nodes => &["nodes", "pods"],
        Level::Workloads(_) => {
            &["pods", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs"]
        }
        Level::Pods(_) | Level::Containers(_) => &["pods"],
    };
    let s = &world.snapshot;
    let glyphs = &ctx.theme.glyphs;
    let troubled = |state: &SourceState| show::troubled(state, ctx.now) || matches!(state, SourceState::Syncing { .. });
    let sources = s.sources.iter().filter(|x| wanted.contains(&&*x.name) && troubled(&x.state));
    let mut notes: Vec<(String, Role)> = show::sources(sources.map(|x| (&*x.name, &x.state)), ctx.now, glyphs)
        .into_iter()
        .map(|(name, glyph, words, role)| (format!("{glyph} {name}: {words}"), role))
        .collect();
    if !matches!(level, Level::Namespaces) && show::troubled(&s.metrics.state, ctx.now) {
        let (glyph, words, role) = show::source(&s.metrics.state, ctx.now, glyphs);
        notes.push((format!("{glyph} metrics: {words}"), role));
    }
    notes
}

impl Pane for Workloads {
    fn id(&self) -> PaneId {
        PaneId::Workloads
    }

    fn sync(&mut self, ctx: &Ctx) {
        if !self.world.as_ref().is_some_and(|w| Arc::ptr_eq(w, ctx.world)) {
            self.worst = health::worst(ctx.world);
            self.counts = Counts::of(ctx.world, &self.worst);
        }
        self.world = Some(ctx.world.clone());
        self.rebuild(ctx);
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            self.step(motion);
            return vec![];
        }
        let effect = match command {
            CommandId::Open => {
                if let Some(level) = self.below() {
                    self.enter(level, ctx);
                }
                None
            }
            CommandId::Back => {
                if !self.at.filter.is_empty() {
                    self.set_filter(String::new(), ctx);
                } else if let Some(before) = self.way.pop() {
                    self.at = before;
                    self.rebuild(ctx);
                }
                None
            }
            CommandId::Sort => {
                self.next_sort(ctx);
                None
            }
            CommandId::SortReverse => {
                self.at.reverse = !self.at.reverse;
                self.rebuild(ctx);
                None
            }
            CommandId::NamespaceNext => {
                self.next_namespace(ctx);
                None
            }
            CommandId::Yaml => self.object().map(|o| Effect::Fetch(Detail::Yaml(o))),
            CommandId::Heat => self.heat().ok(),
            CommandId::Columns => Some(self.columns_menu()),
            CommandId::OpenLogs => self.follow(),
            CommandId::PreviousLogs => self.previous(),
            CommandId::Events => self.key().map(|key| {
                let key = match (&key, &self.at.level) {
                    (Key::Container(_), Level::Containers(pod)) => Key::Pod(pod.clone()),
                    _ => key,
                };
                let of = self.object().map_or_else(|| "the cluster".to_owned(), |o| o.to_string());
                Effect::Show { title: format!("Events of {of}"), text: events::text(ctx.world, &key, ctx.now) }
            }),
            CommandId::Pipeline => self.workload().map(|key| Effect::Show {
                title: format!("Pipeline for {key}"),
                text: pipeline::text(ctx.world, &key, ctx.now),
            }),
            CommandId::Charts => self.workload().map(|k| Effect::Go(PaneId::Metrics, Some(Target::Workload(k)))),
            CommandId::Copy => self.copy().map(Effect::Copy),
            _ => None,
        };
        effect.into_iter().collect()
    }

    fn why_not(&self, command: CommandId, _: &Ctx) -> Option<String> {
        let none = || Some("there is nothing under the cursor".to_owned());
        match command {
            CommandId::Open | CommandId::Copy | CommandId::Events if self.key().is_none() => none(),
            CommandId::Open if self.below().is_none() => {
                Some("a container is the last level; its log and the YAML of its pod can be shown".into())
            }
            CommandId::Back if self.way.is_empty() && self.at.filter.is_empty() => {
                Some("nothing to step out of".into())
            }
            CommandId::Yaml if self.object().is_none() => {
                Some(if self.key().is_some() { "this is no object that kansole can read".into() } else { none()? })
            }
            CommandId::OpenLogs | CommandId::PreviousLogs => match self.log_of() {
                None => Some("logs need a pod: choose a workload with pods, a pod or a container".into()),
                Some((_, _, Some(0))) if command == CommandId::PreviousLogs => {
                    Some("the container has not restarted, so there is no earlier log".into())
                }
                Some(_) => None,
            },
            CommandId::Heat => self.heat().err(),
            CommandId::Pipeline if self.workload().is_none() => Some("choose a workload or a pod".into()),
            CommandId::Charts if self.workload().is_none() => Some("charts need a workload or a pod".into()),
            CommandId::NamespaceNext if !matches!(self.at.level, Level::Workloads(_)) => {
                Some("this goes through namespaces only where workloads are listed".into())
            }
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        let Some(world) = &self.world else { return };
        let buf = frame.buffer_mut();
        let place = self.at.cursor.position(self.rows.len());
        let note =
            if self.at.filter.is_empty() { place } else { format!("filter {}, {place}", self.at.filter.source()) };
        rule(buf, ctx.theme, area, &self.title(), &note, ctx.focused);
        let shown = self.notes.len().min((area.height / 4).max(1) as usize);
        for (i, (text, role)) in self.notes.iter().take(shown).enumerate() {
            put(buf, ctx.theme, area.x + 1, area.y + 1 + i as u16, area.width.saturating_sub(2), text, *role);
        }
        let top = area.y + 1 + shown as u16;
        let body = Rect { y: top, height: area.bottom().saturating_sub(top), ..area };
        let rows = Rows::new(world, &self.worst, &self.counts, ctx);
        let empty = self.empty();
        let table = Table {
            columns: &self.columns,
            sort: self.at.sort.map(|c| (c, self.at.reverse)),
            empty: &empty,
            theme: ctx.theme,
        };
        table.draw(buf, body, &self.at.cursor, self.rows.len(), |i| rows.cells(self.rows[i]));
    }

    fn trail(&self) -> String {
        match &self.at.level {
            Level::Namespaces => "namespaces".into(),
            Level::Nodes => "nodes".into(),
            Level::Workloads(None) => self.everywhere(),
            Level::Workloads(Some(ns)) => ns.to_string(),
            Level::Pods(Scope::All) => "all pods".into(),
            Level::Pods(Scope::Workload(k)) => format!("{} › {}/{} › pods", k.namespace, k.kind.as_str(), k.name),
            Level::Pods(Scope::Node(name)) => format!("nodes › {name} › pods"),
            Level::Containers(k) => format!("{} › Pod/{} › containers", k.namespace, k.name),
        }
    }

    fn filter(&self) -> &str {
        self.at.filter.source()
    }

    fn set_filter(&mut self, filter: String, ctx: &Ctx) {
        self.at.filter = Filter::parse(&filter);
        self.rebuild(ctx);
    }

    fn go(&mut self, target: &Target, ctx: &Ctx) -> bool {
        if let Target::Column { list, title, at } = target {
            self.chosen.turn(list, title, *at);
            self.rebuild(ctx);
            return true;
        }
        let s = &ctx.world.snapshot;
        let (way, key) = match target {
            Target::Workload(key) if s.workload(key).is_some() => {
                (vec![Level::Namespaces, Level::Workloads(Some(key.namespace.clone()))], Key::Workload(key.clone()))
            }
            Target::Object(o) if o.resource.kind == "Node" && s.node(&o.name).is_some() => {
                (vec![Level::Namespaces, Level::Nodes], Key::Node(o.name.clone()))
            }
            Target::Object(o) if o.resource.kind == "Pod" => {
                let Some(namespace) = o.namespace.clone() else { return false };
                let pod = PodKey { namespace, name: o.name.clone() };
                let Some((i, _)) = level::find_pod(ctx.world, &pod) else { return false };
                let owner = s.workloads[i].key.clone();
                let list = Level::Workloads(Some(owner.namespace.clone()));
                (vec![Level::Namespaces, list, Level::Pods(Scope::Workload(owner))], Key::Pod(pod))
            }
            Target::Object(o) => {
                let found = s.workloads.iter().find(|w| {
                    w.key.kind.as_str() == o.resource.kind
                        && o.namespace.as_ref() == Some(&w.key.namespace)
                        && w.key.name == o.name
                });
                return found.is_some_and(|w| self.go(&Target::Workload(w.key.clone()), ctx));
            }
            _ => return false,
        };
        self.sync(ctx);
        let mut steps: Vec<Step> = way.into_iter().map(Step::new).collect();
        let Some(mut last) = steps.pop() else { return false };
        last.cursor.select(key);
        self.way = steps;
        self.at = last;
        self.rebuild(ctx);
        true
    }

    fn copy(&self) -> Option<String> {
        Some(match self.key()? {
            Key::AllWorkloads | Key::AllPods | Key::AllNodes => return None,
            Key::Namespace(n) | Key::Node(n) | Key::Container(n) => n.to_string(),
            Key::Workload(k) => k.name.to_string(),
            Key::Pod(k) => k.name.to_string(),
        })
    }
}
