//! What is slow for an operation: above the 95th percentile of its own last traces.

use std::collections::HashMap;
use std::sync::Arc;

/// Operations that are told apart; the rest is judged together.
const OPERATIONS: usize = 1024;
/// Traces of one operation that are remembered.
const LAST: usize = 128;
/// With fewer nothing is slow.
const LEAST: usize = 20;

/// The last durations by operation.
#[derive(Debug, Default)]
pub struct Pace {
    known: HashMap<Arc<str>, Ring>,
    other: Ring,
}

#[derive(Debug, Default)]
struct Ring {
    last: Vec<i64>,
    next: usize,
    /// The 95th percentile, when it was last worked out.
    limit: Option<i64>,
}

impl Pace {
    /// Whether a trace of `operation` that took so many nanoseconds is slow against those before it; remembers it.
    pub fn slow(&mut self, operation: &Arc<str>, duration: i64) -> bool {
        let room = self.known.len() < OPERATIONS;
        let ring = match self.known.get_mut(operation) {
            Some(ring) => ring,
            None if room => self.known.entry(operation.clone()).or_default(),
            None => &mut self.other,
        };
        let slow = ring.limit.is_some_and(|limit| duration > limit);
        ring.add(duration);
        slow
    }
}

impl Ring {
    fn add(&mut self, duration: i64) {
        if self.last.len() < LAST {
            self.last.push(duration);
        } else {
            self.last[self.next % LAST] = duration;
        }
        self.next += 1;
        if self.last.len() >= LEAST && (self.limit.is_none() || self.next.is_multiple_of(8)) {
            let mut sorted = self.last.clone();
            let rank = (sorted.len() * 95).div_ceil(100) - 1;
            self.limit = Some(*sorted.select_nth_unstable(rank).1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_what_is_above_the_95th_percentile_of_its_own_operation_and_follows_it() {
        let (mut pace, fast, slow): (_, Arc<str>, Arc<str>) = (Pace::default(), "fast".into(), "slow".into());
        let mut few = 0;
        for i in 0..1000i64 {
            few += usize::from(pace.slow(&fast, 100 + (i * 7919) % 100));
            assert!(!pace.slow(&slow, 10_000));
        }
        assert!((20..=90).contains(&few), "{few} of 1000");
        assert!(pace.slow(&fast, 1000));
        // What is slow for long is usual.
        let last = (0..400).filter(|_| pace.slow(&fast, 1000)).count();
        assert!(last < 150, "{last}");
        assert!(!pace.slow(&fast, 1000));
    }

    #[test]
    fn without_a_past_nothing_is_slow_and_operations_are_bounded() {
        let mut pace = Pace::default();
        for i in 0..OPERATIONS * 3 {
            assert!(!pace.slow(&i.to_string().into(), 1));
        }
        assert_eq!(pace.known.len(), OPERATIONS);
    }
}
