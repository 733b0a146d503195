//! How probable lengths, signal and noise are, given the data, and the most probable ones.

use super::{Hyper, Inputs, ROOT5};
use crate::ml::descent::{Slope, descend};
use nalgebra::{Cholesky, DMatrix, DVector};

/// Least and greatest logarithm of a length, of the signal, and of the noise.
const LENGTH: (f64, f64) = (-4.0, 4.0);
const SIGNAL: (f64, f64) = (-4.0, 6.0);
const NOISE: (f64, f64) = (-18.0, 0.5);
/// Mean and spread of what is believed of the logarithms before there is data: weak, but enough for ten rows.
const PRIOR_LENGTH: (f64, f64) = (-0.5, 1.2);
const PRIOR_SIGNAL: (f64, f64) = (0.5, 1.5);
const PRIOR_NOISE: (f64, f64) = (-8.0, 3.0);
/// Most steps of a search from nothing, and from what an earlier one found.
const STEPS: (usize, usize) = (30, 8);

/// The most probable ones; `targets` have mean 0 and spread 1.
pub fn most_probable(inputs: Inputs, targets: &[f64], start: Option<&Hyper>, go: &dyn Fn() -> bool) -> Hyper {
    let groups = inputs.groups.iter().max().map_or(0, |most| most + 1);
    let evidence = Evidence::new(inputs, targets, groups);
    let usual = vec![PRIOR_LENGTH.0; groups].into_iter().chain([0.0, -6.0]).collect::<Vec<f64>>();
    let short = vec![PRIOR_LENGTH.0 - 1.0; groups].into_iter().chain([0.0, -2.0]).collect();
    let warm = start.map(|held| held.lengths.iter().copied().chain([held.signal, held.noise]).collect::<Vec<f64>>());
    let steps = if warm.is_some() { STEPS.1 } else { STEPS.0 };
    let starts = match warm.filter(|warm| warm.len() == groups + 2) {
        Some(warm) => vec![warm],
        None => vec![usual.clone(), short],
    };
    let bounds: Vec<(f64, f64)> = vec![LENGTH; groups].into_iter().chain([SIGNAL, NOISE]).collect();
    let mut climb = Climb { evidence: &evidence, go, slopes: Vec::new(), best: (f64::INFINITY, usual) };
    for mut at in starts {
        descend(&mut climb, &mut at, &bounds, 1e-3, steps);
    }
    let mut best = climb.best;
    let noise = best.1.pop().unwrap_or(PRIOR_NOISE.0);
    let signal = best.1.pop().unwrap_or(PRIOR_SIGNAL.0);
    Hyper { lengths: best.1, signal, noise }
}

/// A search that remembers the best it came by.
struct Climb<'a> {
    evidence: &'a Evidence,
    go: &'a dyn Fn() -> bool,
    slopes: Vec<f64>,
    best: (f64, Vec<f64>),
}

impl Slope for Climb<'_> {
    fn value(&mut self, at: &[f64]) -> Option<f64> {
        if !(self.go)() {
            return None;
        }
        let (value, slopes) = self.evidence.at(at);
        if value < self.best.0 {
            self.best = (value, at.to_vec());
        }
        self.slopes = slopes;
        Some(value)
    }

    fn slopes(&mut self, _: &[f64], _: f64) -> Option<Vec<f64>> {
        Some(self.slopes.clone())
    }
}

/// Squared differences of all pairs of rows, by group.
struct Evidence {
    groups: usize,
    pairs: Vec<f64>,
    targets: DVector<f64>,
}

impl Evidence {
    fn new(inputs: Inputs, targets: &[f64], groups: usize) -> Self {
        let (columns, count) = (inputs.columns(), inputs.count());
        let row = |at: usize| &inputs.rows[at * columns..(at + 1) * columns];
        let mut pairs = vec![0.0; count * count.saturating_sub(1) / 2 * groups];
        let all = (0..count).flat_map(|a| (0..a).map(move |b| (a, b)));
        for ((a, b), sums) in all.zip(pairs.chunks_exact_mut(groups)) {
            for ((a, b), group) in row(a).iter().zip(row(b)).zip(inputs.groups) {
                sums[*group] += (a - b) * (a - b);
            }
        }
        Self { groups, pairs, targets: DVector::from_column_slice(targets) }
    }

    /// The negative logarithm of the probability, but for a constant, and its slopes.
    fn at(&self, logs: &[f64]) -> (f64, Vec<f64>) {
        let (count, groups) = (self.targets.len(), self.groups);
        let (signal, noise) = (logs[groups].exp(), logs[groups + 1].exp());
        let narrow: Vec<f64> = logs[..groups].iter().map(|log| (-2.0 * log).exp()).collect();
        let mut covariance = DMatrix::zeros(count, count);
        let all = || (0..count).flat_map(|a| (0..a).map(move |b| (a, b)));
        // what the slope of the kernel along a squared difference is, for each pair
        let mut steep = Vec::with_capacity(count * count / 2);
        for (at, pair) in all().zip(self.pairs.chunks_exact(groups)) {
            let squared: f64 = pair.iter().zip(&narrow).map(|(pair, narrow)| pair * narrow).sum();
            let far = ROOT5 * squared.sqrt();
            let fallen = signal * (-far).exp();
            covariance[at] = fallen * (1.0 + far + far * far / 3.0);
            steep.push(fallen * (1.0 + far) * (5.0 / 3.0));
        }
        covariance.fill_diagonal(signal * (1.0 + 1e-9) + noise);
        let Some(factor) = Cholesky::new(covariance.clone()) else {
            return (1e10, vec![0.0; groups + 2]);
        };
        let weights = factor.solve(&self.targets);
        let inverse = factor.inverse();
        let half_log: f64 = factor.l_dirty().diagonal().iter().map(|value| value.ln()).sum();
        let mut value = 0.5 * self.targets.dot(&weights) + half_log;
        let mut slopes = vec![0.0; groups + 2];
        // pairs stand on both sides of the diagonal, which the half before the trace makes up for
        for (((a, b), pair), steep) in all().zip(self.pairs.chunks_exact(groups)).zip(steep) {
            let pull = inverse[(a, b)] - weights[a] * weights[b];
            for (slope, (pair, narrow)) in slopes.iter_mut().zip(pair.iter().zip(&narrow)) {
                *slope += pull * steep * pair * narrow;
            }
            slopes[groups] += pull * covariance[(a, b)];
        }
        for at in 0..count {
            let pull = 0.5 * (inverse[(at, at)] - weights[at] * weights[at]);
            slopes[groups] += pull * signal;
            slopes[groups + 1] += pull * noise;
        }
        let priors = vec![PRIOR_LENGTH; groups].into_iter().chain([PRIOR_SIGNAL, PRIOR_NOISE]);
        for ((slope, log), (mean, spread)) in slopes.iter_mut().zip(logs).zip(priors) {
            let off = (log - mean) / spread;
            value += 0.5 * off * off;
            *slope += off / spread;
        }
        (value, slopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_value() {
        let rows: Vec<f64> = (0..36).map(|at| (f64::from(at) * 0.71).sin() * 0.5 + 0.5).collect();
        let targets: Vec<f64> = (0..12).map(|at| (f64::from(at) * 1.3).cos()).collect();
        let evidence = Evidence::new(Inputs { rows: &rows, groups: &[0, 1, 1] }, &targets, 2);
        let at = [-0.3, 0.4, 0.2, -3.0];
        let (_, slopes) = evidence.at(&at);
        for (index, slope) in slopes.iter().enumerate() {
            let beside = |step: f64| {
                let mut moved = at;
                moved[index] += step;
                evidence.at(&moved).0
            };
            let measured = (beside(1e-5) - beside(-1e-5)) / 2e-5;
            assert!((measured - slope).abs() < 1e-5 * (1.0 + slope.abs()), "{index}: {slope} is not {measured}");
        }
    }
}
