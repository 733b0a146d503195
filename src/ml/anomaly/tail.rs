//! How rarely a stream has been as novel as now: a tail probability whose Pareto tail is fitted by Hill's estimator
//! (Hill 1975) to the largest novelties so far, one per burst. It is what makes scores mean the same on every series.

use serde::{Deserialize, Serialize};

/// The tail is fitted to this many of the largest novelties.
const FITTED: usize = 10;
/// Novelties kept, so that forgetting some leaves enough to fit.
const KEPT: usize = 3 * FITTED;
/// Novelties within this many rows of each other are one burst and count once.
const BURST: u64 = 20;
/// Smaller novelties are of no interest on any series: the share of a range that can be seen on a chart.
const FLOOR: f64 = 0.01;

/// The largest novelties so far, descending, each with the last row of its burst.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tail {
    largest: Vec<(f64, u64)>,
}

impl Tail {
    /// A tail that starts with `bursts` as novel as the whole range, for a stream that is a guess at first.
    pub fn doubtful(bursts: usize) -> Self {
        Self { largest: vec![(1.0, 0); bursts] }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.largest.capacity() * size_of::<(f64, u64)>()
    }

    /// `-log10` of the probability, per row, of a novelty of at least `novelty` after `rows` rows; 0 or more.
    pub fn surprise(&self, novelty: f64, rows: u64) -> f64 {
        if novelty <= FLOOR {
            return 0.0;
        }
        let rows = rows as f64 + 1.0;
        let fitted = self.largest.len().min(FITTED);
        if fitted == 0 {
            return rows.log10();
        }
        let threshold = self.largest[fitted - 1].0;
        if novelty < threshold {
            let rarer = self.largest.iter().filter(|(held, _)| *held >= novelty).count() as f64 + 1.0;
            return (rows / rarer).log10().max(0.0);
        }
        // Hill's estimate with half an e-fold and one burst more, so that few bursts do not make a steep tail
        let folds: f64 = self.largest[..fitted].iter().map(|(held, _)| (held / threshold).ln()).sum();
        let index = (fitted as f64 + 1.0) / (folds + 0.5);
        ((rows / fitted as f64).log10() + index * (novelty / threshold).log10()).max(0.0)
    }

    /// Counts a novelty of row `row`.
    pub fn learn(&mut self, novelty: f64, row: u64) {
        if novelty <= FLOOR {
            return;
        }
        match self.largest.iter_mut().find(|(_, last)| row.saturating_sub(*last) <= BURST) {
            Some(burst) => *burst = (burst.0.max(novelty), row),
            None => self.largest.push((novelty, row)),
        }
        self.largest.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.largest.truncate(KEPT);
    }

    /// Forgets bursts that ended before `row`.
    pub fn forget_before(&mut self, row: u64) {
        self.largest.retain(|(_, last)| *last >= row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_novelty_is_as_rare_as_the_series_is_long() {
        let tail = Tail::default();
        assert!((tail.surprise(0.5, 999) - 3.0).abs() < 1e-9);
        assert_eq!(tail.surprise(0.0, 999), 0.0);
        assert_eq!(tail.surprise(FLOOR, 999), 0.0);
    }

    #[test]
    fn surprise_grows_with_novelty_and_shrinks_with_habit() {
        let mut tail = Tail::default();
        for burst in 0..20u64 {
            tail.learn(0.1 + 0.01 * burst as f64, burst * 100);
        }
        let mut last = 0.0;
        for step in 1..200 {
            let surprise = tail.surprise(f64::from(step) * 0.01, 2000);
            assert!(surprise >= last - 1e-9, "{step}: {surprise} after {last}");
            last = surprise;
        }
        let before = tail.surprise(0.5, 2000);
        tail.learn(0.5, 2100);
        tail.learn(0.6, 2200);
        assert!(tail.surprise(0.5, 2201) < before);
    }

    #[test]
    fn a_burst_counts_once() {
        let mut once = Tail::default();
        once.learn(0.4, 9);
        let mut burst = Tail::default();
        for row in 0..10 {
            burst.learn(0.4, row);
        }
        assert_eq!(once, burst);
    }

    #[test]
    fn a_pareto_tail_is_recovered() {
        // novelties u^(-1/2): exceedance falls with the square, so ten times further is a hundred times rarer
        let mut tail = Tail::default();
        for burst in 1..=1000u64 {
            tail.learn(0.02 * (burst as f64 / 1000.0).powf(-0.5), burst * 50);
        }
        let decade = tail.surprise(10.0, 50_000) - tail.surprise(1.0, 50_000);
        assert!((decade - 2.0).abs() < 0.6, "{decade}");
    }
}
