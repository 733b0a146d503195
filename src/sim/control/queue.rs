//! What a controller has still to look at: at once, or at a time.

use crate::model::time::Timestamp;
use crate::sim::store::Stored;
use chrono::DateTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Key of its kind.
    pub key: Arc<str>,
    /// Namespace, or empty.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Id {
    pub fn new(key: &str, namespace: &str, name: &str) -> Self {
        Self { key: Arc::from(key), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    pub fn of(stored: &Stored) -> Self {
        Self { key: stored.key.clone(), namespace: stored.namespace.clone(), name: stored.name.clone() }
    }
}

/// A queue in which an object stands once.
#[derive(Debug, Default)]
pub struct Queue {
    times: BTreeSet<(Timestamp, Id)>,
    by_id: BTreeMap<Id, Timestamp>,
}

impl Queue {
    /// Wants `id` looked at as soon as possible.
    pub fn add(&mut self, id: Id) {
        self.put(id, DateTime::UNIX_EPOCH);
    }

    /// Wants `id` looked at at `when`, unless it is wanted earlier.
    pub fn at(&mut self, id: Id, when: Timestamp) {
        if self.by_id.get(&id).is_none_or(|t| *t > when) {
            self.put(id, when);
        }
    }

    /// The time of the first.
    pub fn due(&self) -> Option<Timestamp> {
        self.times.first().map(|(t, _)| *t)
    }

    /// Takes out everything wanted by `now`, in order.
    pub fn take(&mut self, now: Timestamp) -> Vec<Id> {
        let mut all = Vec::new();
        while self.times.first().is_some_and(|(t, _)| *t <= now) {
            if let Some((_, id)) = self.times.pop_first() {
                self.by_id.remove(&id);
                all.push(id);
            }
        }
        all
    }

    fn put(&mut self, id: Id, when: Timestamp) {
        if let Some(old) = self.by_id.insert(id.clone(), when) {
            self.times.remove(&(old, id.clone()));
        }
        self.times.insert((when, id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::clock::at;

    #[test]
    fn the_earliest_wish_counts_and_is_taken_once() {
        let mut queue = Queue::default();
        let (a, b) = (Id::new("pods", "shop", "a"), Id::new("pods", "shop", "b"));
        queue.at(a.clone(), at(9000));
        queue.at(a.clone(), at(5000));
        queue.at(a.clone(), at(7000));
        assert_eq!(queue.due(), Some(at(5000)));
        queue.add(b.clone());
        assert_eq!(queue.take(at(4999)), [b]);
        assert_eq!(queue.take(at(5000)), [a]);
        assert_eq!(queue.due(), None);
    }
}
