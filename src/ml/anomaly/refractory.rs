//! One anomaly for a burst: after an alarm, what is no clearer than it stays quiet for a while.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Rest, as a share of the rows seen so far: who has seen little must not be silent for long.
const SHARE: f64 = 0.04;
/// Shortest and longest rest, in rows.
const REST: (u64, u64) = (10, 240);
/// How much clearer a row must be to break the rest.
const CLEARER: f64 = 1.02;

/// The largest surprises within the rest, descending, each with its row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Refractory {
    peaks: VecDeque<(u64, f64)>,
}

impl Refractory {
    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.peaks.capacity() * size_of::<(u64, f64)>()
    }

    /// `surprise` if nothing nearly as surprising came shortly before, else 0.
    pub fn pass(&mut self, row: u64, surprise: f64) -> f64 {
        let rest = ((row as f64 * SHARE) as u64).clamp(REST.0, REST.1);
        while self.peaks.front().is_some_and(|(at, _)| at + rest < row) {
            self.peaks.pop_front();
        }
        let highest = self.peaks.front().map_or(0.0, |(_, peak)| *peak);
        if surprise > 0.0 {
            while self.peaks.back().is_some_and(|(_, peak)| *peak <= surprise) {
                self.peaks.pop_back();
            }
            self.peaks.push_back((row, surprise));
        }
        if surprise > CLEARER * highest { surprise } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_once_and_again_when_clearer_or_later() {
        let mut refractory = Refractory::default();
        let passed: Vec<u64> = (1000..1100u64).filter(|&row| refractory.pass(row, 3.0) > 0.0).collect();
        assert_eq!(passed, [1000]);
        assert_eq!(refractory.pass(1100, 4.0), 4.0);
        assert_eq!(refractory.pass(1101, 4.0), 0.0);
        assert_eq!(refractory.pass(1200, 2.0), 2.0, "after the rest");
    }

    #[test]
    fn memory_is_bounded_by_the_rest() {
        let mut refractory = Refractory::default();
        for row in 0..100_000u64 {
            refractory.pass(row, 1.0 / (1.0 + row as f64));
        }
        assert!(refractory.peaks.len() as u64 <= REST.1 + 1);
    }
}
