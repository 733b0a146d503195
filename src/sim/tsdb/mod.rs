//! The Prometheus of the simulated cluster: scrapes what [`export`](super::export) measures every 15 simulated seconds,
//! keeps it for two weeks, and computes the two weeks before the start when asked. What an evaluator reads is
//! [`Tsdb`] as a [`Storage`]; what the engine drives is the [`Scraper`].

mod fleet;
mod history;
mod index;
mod recorder;
mod scraper;
mod series;
mod target;
mod text;
mod unit;

pub use history::DAYS;
pub use recorder::{Evaluate, Recorder};
pub use scraper::Scraper;
pub use series::STEP;
pub use target::{Info, Which};
pub use text::{prometheus_yml, router};

use super::clock::Clock;
use super::export::{self, Known};
use super::machine::{Past, Shared};
use super::promql::storage::{Labels, Matcher, Meta, Sample, Series, Storage};
use super::store::Store;
use fleet::Fleet;
use index::Index;
use series::Seen;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Bytes that stored samples may take; beyond them the oldest go.
pub const CAP: usize = 512 << 20;

/// The stored and the computed series.
#[derive(Debug)]
pub struct Tsdb {
    index: RwLock<Index>,
    /// Targets with their health, in order.
    targets: RwLock<Vec<Health>>,
    /// What objects say, for pages that are asked for.
    known: RwLock<Arc<Known>>,
    /// What is computed for pods and nodes that only fill a fleet.
    fleet: RwLock<Fleet>,
    clock: Arc<Clock>,
    /// Milliseconds of the oldest sample that is still told.
    oldest: AtomicI64,
}

/// A target and how it answered last.
#[derive(Debug, Clone)]
pub struct Health {
    /// What it is.
    pub info: Arc<Info>,
    /// Whether it answered.
    pub up: bool,
    /// Milliseconds of the last scrape.
    pub scraped: i64,
    /// Samples of it.
    pub samples: usize,
}

/// What is stored, in figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Series.
    pub series: usize,
    /// Bytes, labels and all.
    pub bytes: usize,
    /// Samples they stand for.
    pub samples: u64,
}

impl Tsdb {
    /// An empty one, and the actor that fills it. `past` knows what was before the store's present time.
    pub fn open(store: Arc<Store>, machines: Shared, past: Arc<dyn Past>) -> (Scraper, Arc<Self>) {
        let start = store.clock().now_ms();
        let db = Arc::new(Self {
            index: RwLock::default(),
            targets: RwLock::default(),
            known: RwLock::default(),
            fleet: RwLock::default(),
            clock: store.clock().clone(),
            oldest: AtomicI64::new(start - DAYS),
        });
        (Scraper::new(store, machines, past, db.clone()), db)
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().expect("no panic while the index is held")
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().expect("no panic while the index is held")
    }

    /// Appends a sample that a rule recorded. Labels hold the name; what is not newer than the last is dropped.
    pub fn append(&self, labels: &Labels, sample: Sample) {
        let known = self.index().known(labels).cloned();
        known.unwrap_or_else(|| self.index_mut().recorded(labels)).push(sample);
    }

    /// The targets and how they answered last.
    pub fn targets(&self) -> Vec<Health> {
        self.targets.read().expect("no panic while the targets are held").clone()
    }

    /// What objects say, as exporters know it.
    pub fn known(&self) -> Arc<Known> {
        self.known.read().expect("no panic while it is held").clone()
    }

    /// What is stored.
    pub fn figures(&self) -> Figures {
        let index = self.index();
        let (bytes, samples) = index.size();
        Figures { series: index.len(), bytes, samples }
    }

    /// What is stored under the names that matchers allow.
    fn named<'a, T>(all: &'a BTreeMap<Box<str>, T>, matchers: &'a [Matcher]) -> Box<dyn Iterator<Item = &'a T> + 'a> {
        let exact = index::wanted(matchers, "__name__").find_map(|(_, m)| match m {
            super::promql::storage::Match::Equal(name) if !name.is_empty() => Some(name.as_str()),
            _ => None,
        });
        let allowed = |name: &str| index::wanted(matchers, "__name__").all(|(_, m)| m.matches(name));
        match exact {
            Some(name) => Box::new(all.get(name).into_iter()),
            None => Box::new(all.iter().filter(move |(name, _)| allowed(name)).map(|(_, found)| found)),
        }
    }

    /// The stored series that match.
    fn stored(&self, matchers: &[Matcher], after: i64, to: i64) -> Vec<Arc<dyn Series>> {
        let after = after.max(self.oldest() - 1);
        let index = self.index();
        let mut found: Vec<Arc<dyn Series>> = Vec::new();
        for series in Self::named(&index.scraped, matchers).flatten().filter(|s| index::matches(s.labels(), matchers)) {
            let seen = Seen::new(series.clone(), after);
            if seen.any(after, to) {
                found.push(Arc::new(seen));
            }
        }
        let recorded = Self::named(&index.recorded, matchers).flatten();
        for (_, series) in recorded.filter(|(l, _)| index::matches(l, matchers)) {
            if series.any(after, to) {
                found.push(Arc::new(series.seen(after, to)));
            }
        }
        found
    }
}

/// What is stored, without what is computed for a fleet: for rules, which ask every half minute.
pub struct Recording(pub Arc<Tsdb>);

impl Storage for Recording {
    fn select(&self, matchers: &[Matcher], after: i64, to: i64) -> Vec<Arc<dyn Series>> {
        self.0.stored(matchers, after, to)
    }

    fn metadata(&self) -> BTreeMap<String, Meta> {
        self.0.metadata()
    }

    fn oldest(&self) -> i64 {
        self.0.oldest()
    }
}

impl Storage for Tsdb {
    fn select(&self, matchers: &[Matcher], after: i64, to: i64) -> Vec<Arc<dyn Series>> {
        let mut found = self.stored(matchers, after, to);
        let fleet = self.fleet.read().expect("no panic while the fleet is held");
        found.extend(fleet.select(matchers, after.max(self.oldest() - 1), to.min(self.clock.now_ms())));
        found
    }

    fn metadata(&self) -> BTreeMap<String, Meta> {
        export::families()
            .iter()
            .map(|f| (f.name.to_owned(), Meta { kind: f.kind.text(), help: f.help.to_owned() }))
            .collect()
    }

    fn oldest(&self) -> i64 {
        self.oldest.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod fixtures;
#[cfg(all(test, feature = "rig"))]
mod real;
#[cfg(test)]
mod tests;
