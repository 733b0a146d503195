//! What the pane does with its lists: shows them, goes back and forward, marks, and finds owners.

use super::rows;
use super::{EVERY, HISTORY, Key, Reading, Resources, SHARE, Show, Step, known_to_workloads};
use crate::autopilot::world::{Full, World};
use crate::console::command::PaneId;
use crate::console::effect::{Effect, LogsOf, Place, Target};
use crate::console::pane::Ctx;
use crate::console::widgets::cursor::Motion;
use crate::model::browse::{Ask, Kind, Listed, Row};
use crate::model::object::{ObjectRef, PodKey, Resource, WorkloadKey, WorkloadKind};
use chrono::TimeDelta;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// What a cluster is told apart by: the context alone may come to mean another one.
pub(super) fn identity(world: &World) -> String {
    let c = &world.snapshot.cluster;
    format!("{} {}", c.context, c.id)
}

impl Resources {
    pub(super) fn ask(&self) -> Option<Ask> {
        let Show::Objects { resource, namespace } = &self.at.show else { return None };
        Some(Ask { cluster: self.cluster.clone(), resource: resource.clone(), namespace: namespace.clone() })
    }

    pub(super) fn key(&self, at: u32) -> Key {
        match &self.at.show {
            Show::Kinds => {
                let r = &self.kinds[at as usize].resource;
                (Arc::from(&*r.group), Arc::from(&*r.plural))
            }
            Show::Objects { .. } => key(&self.listed.rows[at as usize]),
        }
    }

    pub(super) fn rebuild(&mut self) {
        self.rows = match &self.at.show {
            Show::Kinds => rows::kinds(&self.kinds, &self.at.filter, self.at.sort, self.at.reverse),
            Show::Objects { resource, namespace } => {
                let order = (self.at.sort, self.at.reverse);
                rows::objects(&self.listed, resource, namespace.is_none(), &self.at.filter, order)
            }
        };
        let rows = std::mem::take(&mut self.rows);
        let mut cursor = std::mem::take(&mut self.at.cursor);
        cursor.sync(rows.len(), |i| self.key(rows[i]));
        (self.at.cursor, self.rows) = (cursor, rows);
    }

    pub(super) fn step(&mut self, motion: Motion) {
        let mut cursor = std::mem::take(&mut self.at.cursor);
        cursor.step(motion, self.rows.len(), |i| self.key(self.rows[i]));
        self.at.cursor = cursor;
    }

    /// What was read is of something else now.
    pub(super) fn forget(&mut self) {
        self.listed = Listed::default();
        self.reading = Reading::default();
        self.rebuild();
    }

    pub(super) fn show(&mut self, show: Show) {
        if self.at.show != show {
            self.back.push(std::mem::replace(&mut self.at, Step::new(show)));
            self.forward.clear();
            if self.back.len() > HISTORY {
                self.back.remove(0);
            }
            self.forget();
        }
    }

    pub(super) fn history(&mut self, forward: bool) {
        let (from, to) =
            if forward { (&mut self.forward, &mut self.back) } else { (&mut self.back, &mut self.forward) };
        let Some(step) = from.pop() else { return };
        to.push(std::mem::replace(&mut self.at, step));
        if let Show::Objects { resource: Resource { namespaced: true, .. }, namespace } = &self.at.show {
            self.namespace.clone_from(namespace);
        }
        self.forget();
    }

    pub(super) fn row(&self) -> Option<&Row> {
        match self.at.show {
            Show::Objects { .. } => self.listed.rows.get(*self.rows.get(self.at.cursor.index())? as usize),
            Show::Kinds => None,
        }
    }

    pub(super) fn kind(&self) -> Option<&Kind> {
        match self.at.show {
            Show::Kinds => self.kinds.get(*self.rows.get(self.at.cursor.index())? as usize),
            Show::Objects { .. } => None,
        }
    }

    pub(super) fn object(&self) -> Option<ObjectRef> {
        match &self.at.show {
            Show::Objects { resource, .. } => Some(self.row()?.object(resource)),
            Show::Kinds => None,
        }
    }

    /// The list in which the owner of the object stands.
    pub(super) fn owner(&self) -> Result<Effect, String> {
        let row = self.row().ok_or("there is no object under the cursor")?;
        let owner = row.owner.as_ref().ok_or("nothing owns it")?;
        let of = |k: &&Kind| k.resource.api_version() == *owner.api_version && *k.resource.kind == *owner.kind;
        // The owner may be written in a version that is not the preferred one.
        let group = |k: &&Kind| {
            owner.api_version.split_once('/').map_or("", |(g, _)| g) == k.resource.group
                && *k.resource.kind == *owner.kind
        };
        let kind = self.kinds.iter().find(of).or_else(|| self.kinds.iter().find(group));
        let kind = kind.ok_or_else(|| format!("{} {} is of a kind that is not listed", owner.kind, owner.name))?;
        let place = row.namespace.clone().filter(|_| kind.resource.namespaced).map_or(Place::Here, Place::In);
        Ok(listed(kind.resource.clone(), place, Some(owner.name.clone())))
    }

    /// What leads to the logs of the marked pods, or of the pod or workload under the cursor.
    pub(super) fn logs(&self) -> Option<Effect> {
        let Show::Objects { resource, .. } = &self.at.show else { return None };
        let of = if resource.kind == "Pod" && resource.group.is_empty() {
            let pod = |(namespace, name): &Key| PodKey { namespace: namespace.clone(), name: name.clone() };
            let marked: Vec<PodKey> = self.at.marks.iter().map(pod).collect();
            LogsOf::Pods(if marked.is_empty() { vec![pod(&key(self.row()?))] } else { marked })
        } else {
            let row = self.row().filter(|_| known_to_workloads(resource) && resource.namespaced)?;
            let kind = WorkloadKind::from_kind(&resource.kind);
            LogsOf::Workload(WorkloadKey { namespace: row.namespace.clone()?, kind, name: row.name.clone() })
        };
        Some(Effect::Go(PaneId::Logs, Some(Target::Logs(of))))
    }

    /// What the list is called, so that it keeps its own columns.
    pub(super) fn list(&self) -> &str {
        match &self.at.show {
            Show::Kinds => "",
            Show::Objects { resource, .. } => &resource.plural,
        }
    }

    pub(super) fn columns_menu(&self) -> Effect {
        let columns = rows::columns(&self.at.show, &self.listed);
        self.chosen.menu(PaneId::Resources, self.list(), &columns)
    }

    /// Shows a column otherwise; false if that is not meant.
    pub(super) fn turn(&mut self, target: &Target) -> bool {
        let Target::Column { list, title, at } = target else { return false };
        self.chosen.turn(list, title, *at);
        true
    }

    pub(super) fn namespace_menu(&self) -> Option<Effect> {
        let Show::Objects { resource, namespace } = &self.at.show else { return None };
        let everywhere = ("all namespaces".to_owned(), listed(resource.clone(), Place::Everywhere, None));
        let one = |n: &Arc<str>| (n.to_string(), listed(resource.clone(), Place::In(n.clone()), None));
        let items: Vec<_> = std::iter::once(everywhere).chain(self.namespaces.iter().map(one)).collect();
        let at = namespace.as_ref().and_then(|n| self.namespaces.iter().position(|m| m == n)).map_or(0, |i| i + 1);
        Some(Effect::Menu { title: "namespace".into(), items, at })
    }

    pub(super) fn mark(&mut self) {
        let Some(row) = self.row() else { return };
        let key = key(row);
        if !self.at.marks.remove(&key) {
            self.at.marks.insert(key);
        }
        self.step(Motion::Down);
    }

    /// How many are marked, and how many of them the filter hides.
    pub(super) fn marked(&self) -> (usize, usize) {
        let marks = &self.at.marks;
        let seen = self.rows.iter().filter(|at| !marks.is_empty() && marks.contains(&self.key(**at))).count();
        (marks.len(), marks.len() - seen)
    }

    pub(super) fn title(&self) -> String {
        let n = self.rows.len();
        let mut title = match &self.at.show {
            Show::Kinds => format!("Kinds {n}"),
            Show::Objects { resource, namespace: Some(ns) } => format!("{} {n} in {ns}", resource.plural),
            Show::Objects { resource: r, .. } if r.namespaced => format!("{} {n}, all namespaces", r.plural),
            Show::Objects { resource, .. } => format!("{} {n}", resource.plural),
        };
        if self.listed.more {
            let _ = write!(title, " of more than {}: choose a namespace", self.listed.rows.len());
        }
        match self.marked() {
            (0, _) => {}
            (n, 0) => drop(write!(title, " · {n} marked")),
            (n, hidden) => drop(write!(title, " · {n} marked, {hidden} of them hidden by the filter")),
        }
        title
    }

    pub(super) fn state(&self) -> &Reading {
        match self.at.show {
            Show::Kinds => &self.learning,
            Show::Objects { .. } => &self.reading,
        }
    }

    pub(super) fn empty(&self) -> String {
        let state = self.state();
        if state.problem.is_some() && state.read.is_none() {
            "nothing can be seen; the reason stands above".into()
        } else if state.read.is_none() {
            "not read yet".into()
        } else if self.at.filter.is_empty() {
            "there are none".into()
        } else {
            "nothing matches the filter".into()
        }
    }

    pub(super) fn take(&mut self, ask: &Ask, full: &Result<Full, String>, ctx: &Ctx) {
        if self.ask().as_ref() != Some(ask) {
            return;
        }
        let took = self.reading.asked.map_or(TimeDelta::zero(), |at| ctx.now - at);
        let problem = match full {
            Ok(Full::Listed(listed)) => {
                self.listed = listed.clone();
                None
            }
            Ok(_) => Some("an answer to another question came".to_owned()),
            Err(why) => Some(why.clone()),
        };
        self.reading.answered(problem, EVERY.max(took * SHARE), ctx.now);
        if !self.at.marks.is_empty() {
            let there: BTreeSet<Key> = self.listed.rows.iter().map(key).collect();
            self.at.marks.retain(|k| there.contains(k));
        }
        self.rebuild();
    }
}

pub(super) fn key(row: &Row) -> Key {
    (row.namespace.clone().unwrap_or_default(), row.name.clone())
}

/// Leads to a list.
pub(super) fn listed(resource: Resource, place: Place, name: Option<Arc<str>>) -> Effect {
    Effect::Go(PaneId::Resources, Some(Target::Listed { resource, place, name }))
}
