//! Anomalies of several metrics together: combinations that were never seen though each metric alone is usual.
//!
//! How badly the principal components of a sliding window, refitted now and then, reconstruct a row; how novel that number
//! is for this series is judged as for a single series. About 20 KB for seven metrics.

use super::member::{ALARM, Member, score_of};
use super::refractory::Refractory;
use crate::ml::pca::Pca;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Rows that the components are fitted to.
const WINDOW: usize = 256;
/// Rows before the first fit, and between fits.
const FIRST: u64 = 128;
const REFIT: u64 = 256;

/// What a row is worth.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct VectorScore {
    /// 0..1, as a single series' score.
    pub score: f64,
    /// Whether `score` reaches [`ALARM`].
    pub anomaly: bool,
    /// Like `score` but for every row of a burst.
    pub intensity: f64,
}

/// A streaming detector of rows of metrics; memory bounded, state storable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VectorDetector {
    columns: usize,
    row: u64,
    /// Rows one after the other.
    window: VecDeque<f64>,
    pca: Option<Pca>,
    member: Member,
    refractory: Refractory,
}

impl VectorDetector {
    /// For rows of `columns` metrics.
    pub fn new(columns: usize) -> Self {
        Self {
            columns,
            row: 0,
            window: VecDeque::new(),
            pca: None,
            member: Member::new(0, true),
            refractory: Refractory::default(),
        }
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let components = self.pca.as_ref().map_or(0, |pca| (pca.components() + 2) * self.columns * size_of::<f64>());
        size_of::<Self>()
            + self.window.capacity() * size_of::<f64>()
            + components
            + self.member.bytes()
            + self.refractory.bytes()
    }

    /// Scores a row by those before it and learns it. A metric that is not finite is missing: it is taken as
    /// usual; a row without any, or with another number of metrics, scores 0 and is not learned.
    pub fn push(&mut self, row: &[f64]) -> VectorScore {
        if row.len() != self.columns || !row.iter().any(|value| value.is_finite()) {
            return VectorScore::default();
        }
        let surprise = self.surprise(row);
        let passed = score_of(self.refractory.pass(self.row, surprise));
        self.learn(row);
        VectorScore { score: passed, anomaly: passed >= ALARM, intensity: score_of(surprise) }
    }

    fn surprise(&mut self, row: &[f64]) -> f64 {
        let Some(pca) = &self.pca else { return 0.0 };
        let error = pca.residuals(row).iter().sum::<f64>().sqrt();
        match self.member.push(error, self.row) {
            // A row that is more usual than any other is no anomaly.
            Some((surprise, novelty)) if error > novelty.high => surprise.max(0.0),
            _ => 0.0,
        }
    }

    fn learn(&mut self, row: &[f64]) {
        if row.iter().all(|value| value.is_finite()) {
            if self.window.len() >= self.columns * WINDOW {
                self.window.drain(..self.columns);
            }
            self.window.extend(row);
        }
        self.row += 1;
        if self.row == FIRST || self.row.is_multiple_of(REFIT) {
            let rows: &[f64] = self.window.make_contiguous();
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
    fn a_combination_never_seen_is_an_anomaly() {
        let mut detector = VectorDetector::new(7);
        for row in 0..1500 {
            detector.push(&healthy(row));
        }
        let mut broken = healthy(1500);
        broken[4] = 5.0 * (130.0 - broken[4] / 5.0); // within its range, but high when the load is low
        let score = detector.push(&broken);
        assert!(score.anomaly, "{score:?}");
    }

    #[test]
    fn healthy_rows_raise_few_alarms() {
        let mut detector = VectorDetector::new(7);
        let alarms = (0..5000).filter(|&row| detector.push(&healthy(row)).anomaly).count();
        assert!(alarms <= 10, "{alarms}");
    }

    #[test]
    fn missing_metrics_hide_no_anomaly_and_bad_rows_score_nothing() {
        let mut detector = VectorDetector::new(7);
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
        assert!(score.anomaly, "{score:?}");
    }

    #[test]
    fn a_stored_detector_continues_where_it_was() {
        let mut detector = VectorDetector::new(7);
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
