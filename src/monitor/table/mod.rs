//! The table: everything that is watched, as slim rows, owned by one task.
//!
//! Feed it with [`Table::apply`], then take a snapshot with [`Table::publish`]. It needs no server and
//! no runtime, so tests and benchmarks feed it directly:
//!
//! ```
//! use kansole::monitor::feed::{Change, Delta, Feed, Object, Watched};
//! use kansole::monitor::lite::PodLite;
//! use kansole::monitor::table::Table;
//! use kansole::model::object::Resource;
//! use std::sync::Arc;
//!
//! let now = kansole::model::time::now();
//! let mut table = Table::new(2000, None);
//! let pods = Arc::new(Feed { watched: Watched::of(&Resource::PODS).unwrap(), namespace: None });
//! let pod: PodLite = serde_json::from_str(
//!     r#"{"metadata":{"namespace":"shop","name":"cart","uid":"1"},"spec":{"containers":[{"name":"app"}]}}"#,
//! ).unwrap();
//! for change in [Change::Begin, Change::Listed(Object::Pod(Box::new(pod))), Change::ListDone] {
//!     table.apply(Delta { feed: pods.clone(), change }, now);
//! }
//! assert_eq!(table.publish().workloads.len(), 1);
//! ```

mod apply;
mod assemble;
mod publish;
mod shelf;
mod sources;

use super::feed::{Change, Delta};
use super::intern::Interner;
use super::project::{Controller, Scaler};
use crate::model::cluster::{ConfigMapRow, EventRow, HpaRow, NamespaceRow, NodeRow, Owner, PdbRow, Workload};
use crate::model::object::WorkloadKey;
use crate::model::pod::PodRow;
use crate::model::time::Timestamp;
use shelf::{Key, Shelf};
use sources::Sources;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What has to be published, and how urgently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// Nothing.
    None,
    /// Only how recently sources were heard of.
    Ages,
    /// Something was added, changed, removed, lost or found.
    Change,
}

/// The parts of the last publication, reused where nothing changed.
#[derive(Debug, Clone)]
pub struct Parts {
    /// As in `Snapshot`.
    pub sources: Arc<[crate::model::snapshot::Source]>,
    /// As in `Snapshot`.
    pub workloads: Arc<[Arc<Workload>]>,
    /// As in `Snapshot`.
    pub nodes: Arc<[Arc<NodeRow>]>,
    /// As in `Snapshot`.
    pub namespaces: Arc<[Arc<NamespaceRow>]>,
    /// As in `Snapshot`.
    pub hpas: Arc<[Arc<HpaRow>]>,
    /// As in `Snapshot`.
    pub pdbs: Arc<[Arc<PdbRow>]>,
    /// As in `Snapshot`.
    pub config_maps: Arc<[Arc<ConfigMapRow>]>,
    /// As in `Snapshot`.
    pub events: Arc<[Arc<EventRow>]>,
}

/// Which lists must be put together anew.
#[derive(Debug, Default)]
struct Stale {
    workloads: HashSet<WorkloadKey>,
    nodes: bool,
    namespaces: bool,
    hpas: bool,
    pdbs: bool,
    config_maps: bool,
    events: bool,
    scalers: bool,
}

/// All rows. One task owns it.
#[derive(Debug)]
pub struct Table {
    names: Interner,
    sources: Sources,
    pods: Shelf<Key, Arc<PodRow>>,
    /// Pods by what they hang on directly, sorted by name.
    groups: HashMap<WorkloadKey, Vec<Arc<PodRow>>>,
    controllers: Shelf<WorkloadKey, Controller>,
    /// ReplicaSets and Jobs by who made them.
    children: HashMap<WorkloadKey, BTreeSet<WorkloadKey>>,
    nodes: Shelf<Key, Arc<NodeRow>>,
    namespaces: Shelf<Arc<str>, Arc<NamespaceRow>>,
    hpas: Shelf<Key, Arc<HpaRow>>,
    pdbs: Shelf<Key, Arc<PdbRow>>,
    config_maps: Shelf<Key, Arc<ConfigMapRow>>,
    events: Shelf<Key, Arc<EventRow>>,
    scalers: Shelf<Key, Scaler>,
    scalers_by_target: HashMap<WorkloadKey, Vec<Owner>>,
    /// Objects that are only counted: plural and namespace.
    counted: Shelf<Key, (Arc<str>, Arc<str>)>,
    stale: Stale,
    news: News,
    built: BTreeMap<WorkloadKey, Arc<Workload>>,
    parts: Parts,
    /// Events kept.
    most_events: usize,
    /// Namespaces the console is limited to.
    limited_to: Option<Arc<[Arc<str>]>>,
}

impl Table {
    /// An empty table that keeps `most_events` events; `limited_to` names the namespaces that are watched, if not all.
    pub fn new(most_events: usize, limited_to: Option<Arc<[Arc<str>]>>) -> Self {
        Self {
            names: Interner::default(),
            sources: Sources::default(),
            pods: Shelf::default(),
            groups: HashMap::new(),
            controllers: Shelf::default(),
            children: HashMap::new(),
            nodes: Shelf::default(),
            namespaces: Shelf::default(),
            hpas: Shelf::default(),
            pdbs: Shelf::default(),
            config_maps: Shelf::default(),
            events: Shelf::default(),
            scalers: Shelf::default(),
            scalers_by_target: HashMap::new(),
            counted: Shelf::default(),
            stale: Stale { namespaces: limited_to.is_some(), ..Stale::default() },
            news: News::Change,
            built: BTreeMap::new(),
            parts: Parts {
                sources: Arc::from([]),
                workloads: Arc::from([]),
                nodes: Arc::from([]),
                namespaces: Arc::from([]),
                hpas: Arc::from([]),
                pdbs: Arc::from([]),
                config_maps: Arc::from([]),
                events: Arc::from([]),
            },
            most_events,
            limited_to,
        }
    }

    /// Takes in one change, seen at `now`.
    pub fn apply(&mut self, delta: Delta, now: Timestamp) {
        let Delta { feed, change } = delta;
        let (epoch, changed) = self.sources.note(&feed, &change, now);
        self.news = self.news.max(if changed { News::Change } else { News::Ages });
        if changed && matches!(change, Change::ListDone | Change::Denied(_) | Change::NotServed | Change::Failed(_)) {
            self.retry_held_back();
        }
        let by = match change {
            Change::Listed(object) | Change::Applied(object) => self.put(&feed, object, epoch, now),
            Change::Deleted(object) => -self.remove(&feed, &object),
            Change::ListDone => -self.sweep(&feed, epoch),
            _ => return,
        };
        if by != 0 {
            self.sources.count(&feed, by);
        }
    }

    /// What has to be published.
    pub fn news(&self) -> News {
        self.news
    }

    /// Texts and templates held in common; for tests of memory.
    pub fn shared(&self) -> usize {
        self.names.len()
    }

    /// Pods whose controllers were still being listed get another look.
    fn retry_held_back(&mut self) {
        for key in self.groups.keys().filter(|k| assemble::is_middle(&k.kind) && self.controllers.get(k).is_none()) {
            self.stale.workloads.insert(key.clone());
        }
    }
}

#[cfg(test)]
mod tests;
