//! Pods that wait for a node: the active ones by priority and arrival, and those that found none, until something
//! changes and their back-off is over (pkg/scheduler/backend/queue).

use super::table::Key;
use crate::model::time::Timestamp;
use crate::sim::clock::at;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// First and longest back-off, milliseconds.
const BACKOFF: (i64, i64) = (1_000, 10_000);

/// Milliseconds after which a pod is tried again even though nothing changed.
const FLUSH: i64 = 300_000;

#[derive(Debug)]
struct Waiting {
    priority: i64,
    arrived: u64,
    attempts: u32,
    /// The specification it was judged by.
    spec: String,
    /// Since when it is parked; `None` while it is active.
    parked: Option<i64>,
    /// Something changed since.
    woken: bool,
}

impl Waiting {
    fn ready_at(&self, parked: i64) -> i64 {
        let backoff = (BACKOFF.0 << self.attempts.saturating_sub(1).min(10)).min(BACKOFF.1);
        parked + if self.woken { backoff } else { FLUSH }
    }
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<Key, Waiting>,
    active: BTreeSet<(Reverse<i64>, u64, Key)>,
    arrivals: u64,
    /// Earliest time at which a parked pod is ready; kept so that asking is cheap.
    soonest: Option<i64>,
}

impl Queue {
    /// A pod without a node was seen. What has been judged with this specification stays parked.
    pub fn offer(&mut self, key: Key, priority: i64, spec: String) {
        if let Some(old) = self.waiting.get(&key) {
            if old.spec == spec {
                return;
            }
            self.forget(&key);
        }
        self.arrivals += 1;
        let arrived = self.arrivals;
        self.active.insert((Reverse(priority), arrived, key.clone()));
        self.waiting.insert(key, Waiting { priority, arrived, attempts: 0, spec, parked: None, woken: false });
    }

    /// The pod needs no node any more.
    pub fn forget(&mut self, key: &Key) {
        if let Some(w) = self.waiting.remove(key) {
            self.active.remove(&(Reverse(w.priority), w.arrived, key.clone()));
        }
    }

    /// No node was found.
    pub fn park(&mut self, key: Key, now: Timestamp) {
        if let Some(w) = self.waiting.get_mut(&key) {
            w.attempts += 1;
            (w.parked, w.woken) = (Some(now.timestamp_millis()), false);
        }
        self.reckon();
    }

    /// Something changed that may make room: what is parked is tried again after its back-off.
    pub fn woken(&mut self) {
        self.waiting.values_mut().for_each(|w| w.woken |= w.parked.is_some());
        self.reckon();
    }

    fn reckon(&mut self) {
        self.soonest = self.waiting.values().filter_map(|w| w.parked.map(|p| w.ready_at(p))).min();
    }

    /// When there is a pod to try.
    pub fn due(&self) -> Option<Timestamp> {
        if self.active.is_empty() { self.soonest.map(at) } else { Some(Timestamp::UNIX_EPOCH) }
    }

    /// The next pod to try.
    pub fn next(&mut self, now: Timestamp) -> Option<Key> {
        let now = now.timestamp_millis();
        if self.soonest.is_some_and(|s| s <= now) {
            for (key, w) in &mut self.waiting {
                if w.parked.is_some_and(|p| w.ready_at(p) <= now) {
                    w.parked = None;
                    self.active.insert((Reverse(w.priority), w.arrived, key.clone()));
                }
            }
            self.reckon();
        }
        self.active.pop_first().map(|(_, _, key)| key)
    }
}
