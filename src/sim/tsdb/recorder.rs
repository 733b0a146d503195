//! Evaluates rules in time and stores what they give. What a rule is, is not known here: a function is asked.

use super::Tsdb;
use crate::model::time::Timestamp;
use crate::sim::clock::at;
use crate::sim::engine::Actor;
use crate::sim::promql::storage::{Labels, Sample};
use crate::sim::store::Change;
use std::sync::Arc;

/// Milliseconds between evaluations.
const EVERY: i64 = 30_000;

/// Evaluates what is due at a moment (milliseconds) and stores what it gives, rule by rule: later ones read it.
pub type Evaluate = Box<dyn FnMut(i64, &mut dyn FnMut(&Labels, Sample)) + Send>;

/// The actor; it comes after the [`Scraper`](super::Scraper), so that rules see the scrapes of their own moment.
pub struct Recorder {
    db: Arc<Tsdb>,
    evaluate: Evaluate,
    next: i64,
}

impl Recorder {
    /// Evaluates every 30 s, from the first whole half minute after the present on.
    pub fn new(db: Arc<Tsdb>, evaluate: Evaluate) -> Self {
        let next = db.clock.now_ms().div_euclid(EVERY) * EVERY + EVERY;
        Self { db, evaluate, next }
    }
}

impl Actor for Recorder {
    fn name(&self) -> &'static str {
        "rules"
    }

    fn observe(&mut self, _: &Change) {}

    fn due(&self) -> Option<Timestamp> {
        Some(at(self.next))
    }

    fn act(&mut self, now: Timestamp) {
        let ms = now.timestamp_millis();
        (self.evaluate)(ms, &mut |labels, sample| self.db.append(labels, sample));
        self.next = ms.div_euclid(EVERY) * EVERY + EVERY;
    }
}
