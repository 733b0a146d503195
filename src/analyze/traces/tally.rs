//! What is counted of traces: sums that can be added up over time, each bounded in number.

use crate::ml::sketch::Sketch;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Most different things of one sort that are counted apart: operations with ids in their names would never end.
const DIFFERENT: usize = 4_000;
/// Spans of one trace that are looked at as the origin of a failure, or as a request of an objective.
pub const PER_TRACE: usize = 256;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Who {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace, if told.
    pub namespace: Option<Arc<str>>,
}

/// Sums that can be added to each other; the default one changes nothing.
pub trait Sum: Default {
    /// Adds the other one.
    fn merge(&mut self, other: &Self);
}

/// Requests: how many, how many of them failed, how long they took in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// How long.
    pub took: Sketch,
    /// How many failed.
    pub failed: u64,
    /// The workload that its spans name.
    pub workload: Option<Arc<str>>,
}

impl Served {
    /// One request.
    pub fn add(&mut self, took: i64, failed: bool) {
        self.took.add(took.max(0).cast_unsigned());
        self.failed += u64::from(failed);
    }
}

impl Sum for Served {
    fn merge(&mut self, other: &Self) {
        self.took.merge(&other.took);
        self.failed += other.failed;
        if self.workload.is_none() {
            self.workload.clone_from(&other.workload);
        }
    }
}

/// From, to, and whether the caller does not wait.
pub type Way = (Who, Who, bool);

/// Calls along an edge.
#[derive(Debug, Clone, Default)]
pub struct Crossed {
    /// The calls.
    pub calls: Served,
    /// Requests at the entrances that went over it.
    pub traces: u64,
    /// Of those, the ones in which a call failed, and of these, the ones that failed as a whole.
    pub failed: u64,
    /// Failed calls that made the whole fail.
    pub carried: u64,
}

impl Sum for Crossed {
    fn merge(&mut self, other: &Self) {
        self.calls.merge(&other.calls);
        self.traces += other.traces;
        self.failed += other.failed;
        self.carried += other.carried;
    }
}

/// Time of an operation on critical paths, nanoseconds, and traces in which it was there.
#[derive(Debug, Clone, Default)]
pub struct Spent {
    /// Time of its own.
    pub own: u128,
    /// Traces.
    pub traces: u64,
}

impl Sum for Spent {
    fn merge(&mut self, other: &Self) {
        self.own += other.own;
        self.traces += other.traces;
    }
}

/// A way that failures went.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fall {
    /// Where it began: service and operation.
    pub origin: (Arc<str>, Arc<str>),
    /// Services from there up.
    pub path: Vec<Arc<str>>,
}

/// Traces that went a way, the last of them, and what it said.
#[derive(Debug, Clone, Default)]
pub struct Fell {
    /// How many.
    pub traces: u64,
    /// Its message.
    pub message: Option<Arc<str>>,
    /// Its id.
    pub example: Option<Arc<str>>,
}

impl Sum for Fell {
    fn merge(&mut self, other: &Self) {
        self.traces += other.traces;
        if other.message.is_some() {
            self.message.clone_from(&other.message);
        }
        if other.example.is_some() {
            self.example.clone_from(&other.example);
        }
    }
}

/// Requests of an objective.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// All.
    pub all: u64,
    /// Those that broke it.
    pub broken: u64,
    /// Who was the greatest part in the broken ones; with the last such trace.
    pub blamed: Tally<(Arc<str>, Arc<str>), Fell>,
}

impl Sum for Held {
    fn merge(&mut self, other: &Self) {
        self.all += other.all;
        self.broken += other.broken;
        self.blamed.merge(&other.blamed);
    }
}

/// Sums by key, bounded in number.
#[derive(Debug, Clone)]
pub struct Tally<K, V>(pub HashMap<K, V>);

impl<K, V> Default for Tally<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq + Clone, V: Sum> Tally<K, V> {
    /// The sum under a key; `None` if there is no room for another key.
    pub fn at(&mut self, key: &K) -> Option<&mut V> {
        if self.0.len() >= DIFFERENT && !self.0.contains_key(key) {
            return None;
        }
        Some(self.0.entry(key.clone()).or_default())
    }

    /// Adds the sums of another one.
    pub fn merge(&mut self, other: &Self) {
        for (key, sum) in &other.0 {
            if let Some(mine) = self.at(key) {
                mine.merge(sum);
            }
        }
    }
}

/// All that is counted of a stretch of time.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Traces.
    pub traces: u64,
    /// Traces that began as a request at an entrance.
    pub entrances: u64,
    /// Time of all critical paths, nanoseconds.
    pub critical: u128,
    /// What services served.
    pub services: Tally<Who, Served>,
    /// Who called whom.
    pub edges: Tally<Way, Crossed>,
    /// Operations on critical paths: service and operation.
    pub operations: Tally<(Arc<str>, Arc<str>), Spent>,
    /// How failures travelled.
    pub falls: Tally<Fall, Fell>,
    /// Objectives by name.
    pub objectives: Tally<Arc<str>, Held>,
}

impl Sum for Totals {
    fn merge(&mut self, other: &Self) {
        self.traces += other.traces;
        self.entrances += other.entrances;
        self.critical += other.critical;
        self.services.merge(&other.services);
        self.edges.merge(&other.edges);
        self.operations.merge(&other.operations);
        self.falls.merge(&other.falls);
        self.objectives.merge(&other.objectives);
    }
}
