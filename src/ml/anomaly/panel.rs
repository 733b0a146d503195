//! Judges of several metrics together that must prove themselves: an autoencoder, an isolation forest and principal
//! components learn the calm past of one series of rows, and the one that finds most without crying speaks.
//!
//! Nobody labels anything. The past is split by time: learned from, calibrated on, examined on. The examination counts the
//! calm rows that a judge would call odd, and the disturbances it finds: rows of which one metric is that of another time,
//! usual by itself but not beside the others. A judge that cries too often or finds too little stays silent.

use crate::ml::iforest::{self, IsolationForest};
use crate::ml::net::{Net, Params, Samples, Shape, train};
use crate::ml::pca::Pca;
use crate::ml::random::Random;
use std::sync::atomic::AtomicBool;

/// Rows that are learned from at most, evenly taken; and fewest rows of a past.
const LEARNED: usize = 720;
const FEWEST: usize = 240;
/// Shares of the past that are learned from and calibrated on; the rest examines.
const SPLIT: (f64, f64) = (0.5, 0.75);
/// The share of the calibration that lies above the threshold.
const ABOVE: f64 = 0.01;
/// At most so many of the calm rows may be called odd, and at least so many of the disturbances found.
const CRIES: f64 = 0.03;
const FINDS: f64 = 0.5;
/// Disturbances that are tried.
const TRIED: usize = 200;
/// A metric is disturbed by at least so many of its standard deviations.
const FAR: f64 = 1.0;
/// Small enough to be held for every workload.
const TREES: iforest::Params = iforest::Params { trees: 32, sample: 64, seed: 0 };

/// Who may judge.
#[derive(Debug)]
enum Judge {
    Autoencoder(Box<Net>),
    Isolation(IsolationForest),
    Components(Pca),
}

impl Judge {
    fn name(&self) -> &'static str {
        match self {
            Self::Autoencoder(_) => "autoencoder",
            Self::Isolation(_) => "isolation forest",
            Self::Components(_) => "principal components",
        }
    }

    /// How odd each row is; larger is odder.
    fn scores(&self, rows: &[f64], columns: usize) -> Vec<f64> {
        match self {
            Self::Autoencoder(net) => net.reconstruction_errors(rows),
            Self::Isolation(forest) => forest.score_many(rows),
            Self::Components(pca) => rows.chunks_exact(columns).map(|row| pca.residuals(row).iter().sum()).collect(),
        }
    }
}

/// What the examination of a judge found.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// Who.
    pub judge: &'static str,
    /// The share of calm rows it would call odd.
    pub cries: f64,
    /// The share of disturbances it found.
    pub finds: f64,
}

impl Proof {
    fn holds(&self) -> bool {
        self.cries <= CRIES && self.finds >= FINDS
    }
}

/// What was learned of one series of rows.
#[derive(Debug)]
pub struct Panel {
    columns: usize,
    /// The one that speaks, and the score from which a row is odd.
    speaks: Option<(Judge, f64)>,
    /// How each did, the one that speaks first.
    pub proofs: Vec<Proof>,
}

impl Panel {
    /// Learns whole rows of `columns` metrics, oldest first; the same rows and seed give the same panel. Rows with a metric
    /// that is not finite are left out. `None`: too few rows are left.
    pub fn new(rows: &[f64], columns: usize, seed: u64) -> Option<Self> {
        let whole = |row: &&[f64]| row.iter().all(|v| v.is_finite());
        let rows: Vec<&[f64]> = rows.chunks_exact(columns.max(1)).filter(whole).collect();
        if columns < 2 || rows.len() < FEWEST {
            return None;
        }
        let at = |share: f64| (rows.len() as f64 * share) as usize;
        let (taught, rest) = rows.split_at(at(SPLIT.0));
        let (calibrated, exam) = rest.split_at(at(SPLIT.1) - at(SPLIT.0));
        let taught: Vec<f64> =
            taught.iter().step_by(taught.len().div_ceil(LEARNED)).copied().flatten().copied().collect();
        let flat = |rows: &[&[f64]]| -> Vec<f64> { rows.concat() };
        let (calibrated, exam) = (flat(calibrated), flat(exam));
        let disturbed = disturbances(&exam, columns, seed);
        let mut known: Vec<(Judge, f64, Proof)> = judges(&taught, columns, seed)
            .into_iter()
            .map(|judge| {
                let mut usual = judge.scores(&calibrated, columns);
                usual.sort_by(f64::total_cmp);
                let threshold = usual[((usual.len() - 1) as f64 * (1.0 - ABOVE)) as usize];
                let above = |rows: &[f64]| {
                    let scores = judge.scores(rows, columns);
                    scores.iter().filter(|s| **s > threshold).count() as f64 / scores.len().max(1) as f64
                };
                let proof = Proof { judge: judge.name(), cries: above(&exam), finds: above(&disturbed) };
                (judge, threshold, proof)
            })
            .collect();
        known.sort_by(|a, b| b.2.holds().cmp(&a.2.holds()).then(b.2.finds.total_cmp(&a.2.finds)));
        let proofs: Vec<Proof> = known.iter().map(|k| k.2.clone()).collect();
        let best = known.into_iter().next().filter(|k| k.2.holds());
        Some(Self { columns, speaks: best.map(|(judge, threshold, _)| (judge, threshold)), proofs })
    }

    /// Whether a row is odd; `None` when nobody may speak, or a metric is missing.
    pub fn odd(&self, row: &[f64]) -> Option<bool> {
        let (judge, threshold) = self.speaks.as_ref()?;
        if row.len() != self.columns || row.iter().any(|v| !v.is_finite()) {
            return None;
        }
        Some(judge.scores(row, self.columns)[0] > *threshold)
    }

    /// Who speaks, and why one may believe it; or that nobody does.
    pub fn card(&self) -> String {
        let says = |p: &Proof| {
            format!(
                "{} found {:.0}% of disturbances, cried in {:.1}% of calm samples",
                p.judge,
                p.finds * 100.0,
                p.cries * 100.0
            )
        };
        let all: Vec<String> = self.proofs.iter().map(says).collect();
        let who =
            self.speaks.as_ref().map_or("none of them speaks".to_owned(), |(j, _)| format!("the {} speaks", j.name()));
        format!("{who}: {}", all.join("; "))
    }

    /// Bytes it holds, the forest's nodes at what they take at most.
    pub fn bytes(&self) -> usize {
        let judge = self.speaks.as_ref().map_or(0, |(judge, _)| match judge {
            Judge::Autoencoder(net) => net.to_bytes().len(),
            Judge::Isolation(_) => TREES.trees * TREES.sample * 2 * 40,
            Judge::Components(pca) => (pca.components() + 2) * self.columns * size_of::<f64>(),
        });
        size_of::<Self>() + judge + self.proofs.capacity() * size_of::<Proof>()
    }
}

fn judges(taught: &[f64], columns: usize, seed: u64) -> Vec<Judge> {
    let params = Params { epochs: 40, patience: 5, plateau: 3, seed, ..Params::default() };
    let net = train(&Shape::autoencoder(columns), Samples::Rows(taught), &params, &AtomicBool::new(false), |_| {});
    let net = net.ok().map(|trained| Judge::Autoencoder(Box::new(trained.net)));
    let forest = IsolationForest::fit(taught, columns, iforest::Params { seed, ..TREES }).map(Judge::Isolation);
    let components = Pca::fit(taught, columns).map(Judge::Components);
    [net, forest, components].into_iter().flatten().collect()
}

/// Rows of which one metric that moves is that of another row, at least [`FAR`] away.
fn disturbances(rows: &[f64], columns: usize, seed: u64) -> Vec<f64> {
    let count = rows.len() / columns;
    let spread: Vec<f64> = (0..columns)
        .map(|c| {
            let mean = rows.iter().skip(c).step_by(columns).sum::<f64>() / count as f64;
            let squares = rows.iter().skip(c).step_by(columns).map(|v| (v - mean).powi(2)).sum::<f64>();
            (squares / count as f64).sqrt()
        })
        .collect();
    let moving: Vec<usize> = (0..columns).filter(|c| spread[*c] > 0.0).collect();
    let (mut random, mut out) = (Random(seed), Vec::with_capacity(TRIED * columns));
    // What hardly moves has few rows that are far from each other: the tries are bounded.
    for _ in 0..TRIED * 10 {
        if moving.is_empty() || out.len() >= TRIED * columns {
            break;
        }
        let (at, other) = (random.below(count) * columns, random.below(count) * columns);
        let c = moving[random.below(moving.len())];
        if (rows[at + c] - rows[other + c]).abs() >= FAR * spread[c] {
            let start = out.len();
            out.extend_from_slice(&rows[at..at + columns]);
            out[start + c] = rows[other + c];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Metrics that follow one load, each by a law of its own that is no straight line.
    fn bent(count: usize, seed: u64) -> Vec<f64> {
        let mut random = Random(seed);
        (0..count)
            .flat_map(|i| {
                let load = 1.0 + 0.8 * (i as f64 / 60.0).sin() + 0.05 * random.unit();
                let mut dust = || 0.02 * (random.unit() - 0.5);
                [load + dust(), load * load + dust(), 1.0 / (0.3 + load) + dust(), (3.0 * load).sin() + dust()]
            })
            .collect()
    }

    #[test]
    fn the_judge_that_finds_most_speaks_and_a_row_that_does_not_go_together_is_odd() {
        let rows = bent(1200, 1);
        let panel = Panel::new(&rows, 4, 1).unwrap();
        assert_eq!(panel.proofs.len(), 3);
        let first = &panel.proofs[0];
        assert!(first.holds() && panel.proofs.iter().all(|p| p.finds <= first.finds || !p.holds()), "{}", panel.card());
        assert!(panel.card().starts_with(&format!("the {} speaks", first.judge)), "{}", panel.card());
        let fresh = bent(1500, 2);
        let later = fresh.chunks_exact(4).skip(1200);
        let cries = later.filter(|row| panel.odd(row) == Some(true)).count();
        assert!(cries <= 15, "{cries} of 300 calm rows: {}", panel.card());
        assert_eq!(panel.odd(&[1.9, 0.1, 0.46, -0.6]), Some(true), "the square of 1.9 is not 0.1: {}", panel.card());
        assert_eq!(panel.odd(&[f64::NAN, 1.0, 1.0, 1.0]), None);
    }

    #[test]
    fn where_metrics_have_nothing_to_do_with_each_other_nobody_speaks() {
        let mut random = Random(3);
        let rows: Vec<f64> = (0..4 * 1000).map(|_| random.unit()).collect();
        let panel = Panel::new(&rows, 4, 1).unwrap();
        assert!(panel.card().starts_with("none of them speaks"), "{}", panel.card());
        assert_eq!(panel.odd(&rows[..4]), None);
    }

    #[test]
    fn too_few_rows_constants_and_missing_values_have_an_answer() {
        assert!(Panel::new(&bent(200, 1), 4, 1).is_none());
        assert!(Panel::new(&vec![f64::NAN; 4000], 4, 1).is_none());
        assert!(Panel::new(&[], 0, 1).is_none());
        let constant = Panel::new(&vec![1.0; 4000], 4, 1).unwrap();
        assert_eq!(constant.odd(&[1.0; 4]), None, "nothing could be disturbed, so nothing was proved");
    }
}
