//! Waits between attempts: growing, bounded, and never the same for two watches.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// First wait.
const FIRST: Duration = Duration::from_millis(800);
/// Longest wait: short enough that a server that is back is noticed while one still looks.
const LONGEST: Duration = Duration::from_secs(10);

/// Exponential, with jitter over the upper half.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
    quick: u32,
}

impl Backoff {
    /// The next wait.
    pub fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.tries.min(6)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        let dice = RandomState::new().build_hasher().finish() as u32;
        full / 2 + (full / 2).mul_f64(f64::from(dice) / f64::from(u32::MAX))
    }

    /// After a success.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Notes a step that succeeded but ended at once; true from the third in a row on.
    pub fn quick_again(&mut self) -> bool {
        self.quick += 1;
        self.quick > 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_over() {
        let mut b = Backoff::default();
        let first = b.next();
        assert!(first >= FIRST / 2 && first <= FIRST, "{first:?}");
        let late = (0..20).map(|_| b.next()).last().unwrap();
        assert!(late >= LONGEST / 2 && late <= LONGEST, "{late:?}");
        b.reset();
        assert!(b.next() <= FIRST);
    }
}
