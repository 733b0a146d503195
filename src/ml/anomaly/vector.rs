//! Anomalies of several metrics together: combinations that were never seen though each metric alone is usual.
//!
//! Two views, refitted now and then to a sliding window: how soon random cuts isolate a row (isolation forest), and how
//! badly the window's principal components reconstruct it. How novel a view's number is for this series is judged as
//! for a single series.

use super::member::{ALARM, Member, score_of};
use super::refractory::Refractory;
use crate::ml::iforest::{IsolationForest, Params};
use crate::ml::pca::Pca;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Rows that the views are fitted to, and with the components alone.
const WINDOW: usize = 1024;
const SMALL: usize = 256;
/// Rows before the first fit, and between fits.
const FIRST: u64 = 128;
const REFIT: u64 = 256;

/// What told an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// The row is isolated from the others.
    Isolation,
    /// The metrics do not go together as they did.
    Correlation,
}

/// What a row is worth.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct VectorScore {
    /// 0..1, as a single series' score.
    pub score: f64,
    /// Whether `score` reaches [`ALARM`].
    pub anomaly: bool,
    /// Like `score` but for every row of a burst.
    pub intensity: f64,
    /// What told, when anything was novel.
    pub view: Option<View>,
    /// Each metric's share in it, 0..1, with sum 1; empty when nothing was novel.
    pub contributions: Vec<f64>,
}

/// A streaming detector of rows of metrics; memory bounded, state storable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VectorDetector {
    columns: usize,
    /// Without the forest, over a shorter window.
    small: bool,
    row: u64,
    seed: u64,
    /// Rows one after the other.
    window: VecDeque<f64>,
    forest: Option<IsolationForest>,
    pca: Option<Pca>,
    views: [Member; 2],
    refractory: Refractory,
}

impl VectorDetector {
    /// For rows of `columns` metrics; the same seed and rows give the same scores.
    pub fn new(columns: usize, seed: u64) -> Self {
        Self {
            columns,
            small: false,
            row: 0,
            seed,
            window: VecDeque::new(),
            forest: None,
            pca: None,
            views: <[Member; 2]>::default(),
            refractory: Refractory::default(),
        }
    }

    /// The principal components alone, over a window of 256 rows: about 20 KB for seven metrics, where the forest takes
    /// a megabyte.
    pub fn small(columns: usize) -> Self {
        Self { small: true, views: [Member::new(0, true), Member::new(0, true)], ..Self::new(columns, 0) }
    }

    /// Bytes it holds, the forest left out.
    pub fn bytes(&self) -> usize {
        let components = self.pca.as_ref().map_or(0, |pca| (pca.components() + 2) * self.columns * size_of::<f64>());
        size_of::<Self>()
            + self.window.capacity() * size_of::<f64>()
            + components
            + self.views.iter().map(Member::bytes).sum::<usize>()
            + self.refractory.bytes()
    }

    /// Scores a row by those before it and learns it. A metric that is not finite is missing: it is taken as usual and
    /// has no share; a row without any, or with another number of metrics, scores 0 and is not learned.
    pub fn push(&mut self, row: &[f64]) -> VectorScore {
        if row.len() != self.columns || !row.iter().any(|value| value.is_finite()) {
            return VectorScore::default();
        }
        let (surprise, view) = self.surprise(row);
        let passed = score_of(self.refractory.pass(self.row, surprise));
        let contributions = view.map(|view| self.contributions(view, row)).unwrap_or_default();
        self.learn(row);
        VectorScore { score: passed, anomaly: passed >= ALARM, intensity: score_of(surprise), view, contributions }
    }

    fn surprise(&mut self, row: &[f64]) -> (f64, Option<View>) {
        let isolation = self.forest.as_ref().map(|forest| forest.score(row));
        let error = self.pca.as_ref().map(|pca| pca.residuals(row).iter().sum::<f64>().sqrt());
        let mut most = (0.0, None);
        for ((view, value), member) in
            [View::Isolation, View::Correlation].into_iter().zip([isolation, error]).zip(&mut self.views)
        {
            let Some(value) = value else { continue };
            if let Some((surprise, novelty)) = member.push(value, self.row)
                && value > novelty.high // a row that is more usual than any other is no anomaly
                && surprise > most.0
            {
                most = (surprise, Some(view));
            }
        }
        most
    }

    fn contributions(&self, view: View, row: &[f64]) -> Vec<f64> {
        let parts = match (view, &self.forest, &self.pca) {
            (View::Isolation, Some(forest), _) => forest.contributions(row),
            (View::Correlation, _, Some(pca)) => pca.residuals(row),
            _ => return Vec::new(),
        };
        let present = |(part, value): (f64, &f64)| if value.is_finite() { part } else { 0.0 };
        let parts: Vec<f64> = parts.into_iter().zip(row).map(present).collect();
        let sum: f64 = parts.iter().sum();
        if sum > 0.0 { parts.into_iter().map(|part| part / sum).collect() } else { Vec::new() }
    }

    fn learn(&mut self, row: &[f64]) {
        if row.iter().all(|value| value.is_finite()) {
            if self.window.len() >= self.columns * if self.small { SMALL } else { WINDOW } {
                self.window.drain(..self.columns);
            }
            self.window.extend(row);
        }
        self.row += 1;
        if self.row == FIRST || self.row.is_multiple_of(REFIT) {
            let rows: &[f64] = self.window.make_contiguous();
            let params = Params { seed: self.seed.wrapping_add(self.row), ..Params::default() };
            self.forest = if self.small { None } else { IsolationForest::fit(rows, self.columns, params) };
            self.pca = Pca::fit(rows, self.columns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(at: usize) -> f64 {
        let x = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((x ^ (x >> 32)) >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    }

    /// Seven metrics that follow one load.
    fn healthy(row: usize) -> Vec<f64> {
        let load = 50.0 + 30.0 * (row as f64 / 40.0).sin();
        (0..7).map(|metric| load * (1.0 + metric as f64) + 4.0 * noise(row * 7 + metric)).collect()
    }

    #[test]
    fn a_combination_never_seen_is_an_anomaly_with_its_metric_named() {
        let mut detector = VectorDetector::new(7, 1);
        for row in 0..1500 {
            detector.push(&healthy(row));
        }
        let mut broken = healthy(1500);
        broken[4] = 5.0 * (130.0 - broken[4] / 5.0); // within its range, but high when the load is low
        let score = detector.push(&broken);
        assert!(score.anomaly, "{score:?}");
        assert_eq!(score.view, Some(View::Correlation));
        assert!((score.contributions.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(score.contributions[4] > 0.5, "{score:?}");
    }

    #[test]
    fn healthy_rows_raise_few_alarms() {
        let mut detector = VectorDetector::new(7, 2);
        let alarms = (0..5000).filter(|&row| detector.push(&healthy(row)).anomaly).count();
        assert!(alarms <= 10, "{alarms}");
    }

    #[test]
    fn missing_metrics_have_no_share_and_bad_rows_score_nothing() {
        let mut detector = VectorDetector::new(7, 3);
        for row in 0..1500 {
            detector.push(&healthy(row));
        }
        let before = detector.clone();
        assert_eq!(detector.push(&[f64::NAN; 7]), VectorScore::default());
        assert_eq!(detector.push(&[1.0; 3]), VectorScore::default());
        assert_eq!(detector, before);
        let mut partial = healthy(1500);
        partial[2] = f64::NAN;
        partial[5] = 5000.0;
        let score = detector.push(&partial);
        assert!(score.anomaly && score.contributions[2] == 0.0);
    }

    #[test]
    fn a_stored_detector_continues_where_it_was() {
        let mut detector = VectorDetector::new(7, 4);
        for row in 0..700 {
            detector.push(&healthy(row));
        }
        let mut again: VectorDetector = serde_json::from_str(&serde_json::to_string(&detector).unwrap()).unwrap();
        for row in 700..900 {
            let (one, other) = (detector.push(&healthy(row)), again.push(&healthy(row)));
            assert!((one.score - other.score).abs() < 1e-6);
        }
    }
}
