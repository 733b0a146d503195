//! The traces that are kept, within a bound: errors and slow ones first, of the rest a sample that is fair to every operation.
//!
//! Every operation of every class has a shelf with a level. A trace is admitted if the hash of its id ends in at least so many
//! zeros, so what is kept of an operation is a random sample of all of it, whoever takes it. When room is needed, the fullest
//! shelf of a class that has more than its share first loses what is old, and else goes a level up, which halves it.

use crate::model::time::Timestamp;
use crate::model::trace::Trace;
use chrono::TimeDelta;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Why a trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Part of it failed.
    Error,
    /// Slower than its operation usually is.
    Slow,
    /// Neither.
    Usual,
}

/// Share of the memory that a class may take while others need room.
const SHARES: [(Class, f64); 3] = [(Class::Usual, 0.25), (Class::Slow, 0.25), (Class::Error, 0.5)];
/// What is older than this goes first when room is needed.
const OLD: TimeDelta = TimeDelta::minutes(15);

/// A trace that is kept.
#[derive(Debug)]
struct Kept {
    trace: Arc<Trace>,
    shelf: (Class, Arc<str>),
    bytes: usize,
    at: Timestamp,
    number: u64,
}

/// The traces of one operation and class, by the hash of their id, in the order in which they came.
#[derive(Debug, Default)]
struct Shelf {
    level: u32,
    held: Vec<u64>,
}

/// All that is kept.
#[derive(Debug, Default)]
pub struct Shelves {
    kept: HashMap<u64, Kept>,
    places: HashMap<(Class, Arc<str>), Shelf>,
    /// Shelves by class and how full they are.
    fullest: BTreeSet<(Class, usize, Arc<str>)>,
    bytes: [usize; 3],
    number: u64,
}

impl Shelves {
    /// Bytes held, as estimated.
    pub fn bytes(&self) -> usize {
        self.bytes.iter().sum()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Puts a trace on its shelf. `false`: enough like it are kept.
    pub fn put(
        &mut self,
        hash: u64,
        trace: Arc<Trace>,
        class: Class,
        operation: Arc<str>,
        bytes: usize,
        now: Timestamp,
    ) -> bool {
        let key = (class, operation);
        let shelf = self.places.entry(key.clone()).or_default();
        if hash.trailing_zeros() < shelf.level || self.kept.contains_key(&hash) {
            return false;
        }
        self.fullest.remove(&(class, shelf.held.len(), key.1.clone()));
        shelf.held.push(hash);
        self.fullest.insert((class, shelf.held.len(), key.1.clone()));
        self.bytes[class as usize] += bytes;
        self.number += 1;
        self.kept.insert(hash, Kept { trace, shelf: key, bytes, at: now, number: self.number });
        true
    }

    /// Changes a trace that is kept; its new class and size are what `change` gives. `false`: it is not kept, or `change` gave
    /// nothing and changed nothing.
    pub fn mend(&mut self, hash: u64, change: impl FnOnce(&Trace) -> Option<(Arc<Trace>, bool, usize)>) -> bool {
        let Some(kept) = self.kept.get_mut(&hash) else { return false };
        let Some((trace, failed, more)) = change(&kept.trace) else { return false };
        let (class, operation) = kept.shelf.clone();
        kept.trace = trace;
        kept.bytes += more;
        self.bytes[class as usize] += more;
        let full = self.places.get(&(Class::Error, operation.clone())).map_or(0, |s| s.level);
        if failed && class != Class::Error && hash.trailing_zeros() >= full {
            let at = kept.at;
            if let Some(gone) = self.remove(&[hash]).pop() {
                self.put(hash, gone.trace, Class::Error, operation, gone.bytes, at);
            }
        }
        true
    }

    /// Makes room: drops at least one trace, if there is any. How many spans went.
    pub fn thin(&mut self, limit: usize, now: Timestamp) -> usize {
        let over = |(class, share): &&(Class, f64)| self.bytes[*class as usize] as f64 > limit as f64 * share;
        let some = |(class, _): &&(Class, f64)| self.bytes[*class as usize] > 0;
        let Some((class, _)) = SHARES.iter().find(over).or_else(|| SHARES.iter().find(some)) else { return 0 };
        let (from, to) = ((*class, 0, Arc::from("")), (*class, usize::MAX, Arc::from("")));
        let Some((_, _, operation)) = self.fullest.range(from..to).next_back().cloned() else { return 0 };
        let key = (*class, operation);
        let Some(shelf) = self.places.get_mut(&key) else { return 0 };
        let old = |h: &u64| self.kept.get(h).is_none_or(|k| now.signed_duration_since(k.at) > OLD);
        let mut gone: Vec<u64> = shelf.held.iter().copied().filter(old).collect();
        while gone.is_empty() && !shelf.held.is_empty() {
            // A last one goes whatever its hash is.
            shelf.level = if shelf.held.len() == 1 { shelf.level } else { shelf.level + 1 };
            let level = if shelf.held.len() == 1 { 65 } else { shelf.level };
            gone = shelf.held.iter().copied().filter(|h| h.trailing_zeros() < level).collect();
        }
        self.remove(&gone).iter().map(|k| k.trace.spans.len()).sum()
    }

    /// Lets shelves admit more again whose traces reach back far enough, and forgets empty ones. About once a minute.
    pub fn relax(&mut self, now: Timestamp) {
        for shelf in self.places.values_mut() {
            let oldest = shelf.held.first().and_then(|h| self.kept.get(h)).map(|k| k.at);
            if oldest.is_none_or(|at| now.signed_duration_since(at) > OLD) {
                shelf.level = shelf.level.saturating_sub(1);
            }
        }
        self.places.retain(|_, s| s.level > 0 || !s.held.is_empty());
    }

    fn remove(&mut self, hashes: &[u64]) -> Vec<Kept> {
        let mut gone = Vec::with_capacity(hashes.len());
        for hash in hashes {
            let Some(kept) = self.kept.remove(hash) else { continue };
            self.bytes[kept.shelf.0 as usize] -= kept.bytes;
            gone.push(kept);
        }
        let touched: BTreeSet<(Class, Arc<str>)> = gone.iter().map(|k| k.shelf.clone()).collect();
        for (class, operation) in touched {
            let Some(shelf) = self.places.get_mut(&(class, operation.clone())) else { continue };
            self.fullest.remove(&(class, shelf.held.len(), operation.clone()));
            shelf.held.retain(|h| self.kept.contains_key(h));
            if !shelf.held.is_empty() {
                self.fullest.insert((class, shelf.held.len(), operation));
            }
        }
        gone
    }

    /// All that is kept: errors and slow ones first, then the rest, each the latest first.
    pub fn all(&self) -> Arc<[Arc<Trace>]> {
        let mut all: Vec<&Kept> = self.kept.values().collect();
        all.sort_unstable_by_key(|k| (k.shelf.0 == Class::Usual, std::cmp::Reverse(k.number)));
        all.into_iter().map(|k| k.trace.clone()).collect()
    }
}
