//! Gaussian processes (Rasmussen & Williams 2006) with a Matérn 5/2 kernel and a length for each input.
//!
//! Lengths, signal and noise are those that the data makes most probable, with weak priors, found by L-BFGS-B. For a few
//! hundred rows: a fit takes the cube of their number.

mod evidence;

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

/// Square root of five.
const ROOT5: f64 = 2.236_067_977_499_79;

/// Inputs, row-major: of each column the group that shares its length. Columns ought to be within about 0..1.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Values, whole rows.
    pub rows: &'a [f64],
    /// The group of each column, counted from 0 without gaps.
    pub groups: &'a [usize],
}

impl Inputs<'_> {
    fn columns(&self) -> usize {
        self.groups.len()
    }

    fn count(&self) -> usize {
        self.rows.len() / self.columns().max(1)
    }
}

/// What a fit finds; all are natural logarithms.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyper {
    /// Of the length of each group.
    pub lengths: Vec<f64>,
    /// Of the variance of what is to be learned, in variances of the targets.
    pub signal: f64,
    /// Of the variance of the noise, likewise.
    pub noise: f64,
}

/// Matérn 5/2 at a distance.
fn matern(distance: f64) -> f64 {
    let far = ROOT5 * distance;
    (1.0 + far + far * far / 3.0) * (-far).exp()
}

/// A fitted process.
#[derive(Debug, Clone)]
pub struct Gp {
    /// Rows divided by the lengths of their columns.
    scaled: Vec<f64>,
    /// What each column is divided by.
    lengths: Vec<f64>,
    hyper: Hyper,
    mean: f64,
    spread: f64,
    factor: Cholesky<f64, Dyn>,
    weights: DVector<f64>,
}

/// A prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// What is expected.
    pub mean: f64,
    /// Spread of what is believed of the expectation; the noise of a single measurement is not in it.
    pub spread: f64,
}

impl Gp {
    /// Fits a process to finite targets, one for each row, starting from what an earlier fit found if there is one. `go`
    /// is asked during the fit; when it says no, the best so far is taken. Nothing if there are no rows, if something is
    /// not finite, or if sizes do not fit.
    pub fn fit(inputs: Inputs, targets: &[f64], start: Option<&Hyper>, go: &dyn Fn() -> bool) -> Option<Self> {
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        if targets.is_empty() || inputs.count() != targets.len() || !finite(inputs.rows) || !finite(targets) {
            return None;
        }
        let (mean, spread) = scale(targets);
        let unit: Vec<f64> = targets.iter().map(|target| (target - mean) / spread).collect();
        let hyper = evidence::most_probable(inputs, &unit, start, go);
        Self::with(inputs, targets, hyper)
    }

    /// A process whose lengths, signal and noise are given.
    pub fn with(inputs: Inputs, targets: &[f64], hyper: Hyper) -> Option<Self> {
        let (mean, spread) = scale(targets);
        let unit = DVector::from_iterator(targets.len(), targets.iter().map(|target| (target - mean) / spread));
        let lengths: Vec<f64> = inputs.groups.iter().map(|group| hyper.lengths[*group].exp()).collect();
        let scaled = divided(inputs.rows, &lengths);
        let factor = factor(&scaled, lengths.len(), &hyper)?;
        let weights = factor.solve(&unit);
        Some(Self { scaled, lengths, hyper, mean, spread, factor, weights })
    }

    /// Lengths, signal and noise.
    pub fn hyper(&self) -> &Hyper {
        &self.hyper
    }

    /// Spread of the noise of a single measurement.
    pub fn noise(&self) -> f64 {
        self.spread * (self.hyper.noise / 2.0).exp()
    }

    /// Spread of what is believed far from everything known.
    pub fn ignorance(&self) -> f64 {
        self.spread * (self.hyper.signal / 2.0).exp()
    }

    /// Predicts many rows.
    pub fn predict(&self, rows: &[f64]) -> Vec<Predicted> {
        let columns = self.lengths.len();
        let (known, asked) = (self.scaled.len() / columns, rows.len() / columns);
        let (rows, signal) = (divided(rows, &self.lengths), self.hyper.signal.exp());
        let mut cross = DMatrix::zeros(known, asked);
        for (column, row) in rows.chunks_exact(columns).enumerate() {
            for (at, held) in self.scaled.chunks_exact(columns).enumerate() {
                cross[(at, column)] = signal * matern(distance(row, held));
            }
        }
        let means = cross.tr_mul(&self.weights);
        self.factor.l_dirty().solve_lower_triangular_mut(&mut cross);
        let predicted = |at: usize| {
            let variance = (signal - cross.column(at).norm_squared()).max(1e-12 * signal);
            Predicted { mean: self.mean + self.spread * means[at], spread: self.spread * variance.sqrt() }
        };
        (0..asked).map(predicted).collect()
    }
}

/// Mean and spread; a spread of 1 where all are alike.
fn scale(targets: &[f64]) -> (f64, f64) {
    let count = targets.len() as f64;
    let mean = targets.iter().sum::<f64>() / count;
    let spread = (targets.iter().map(|target| (target - mean).powi(2)).sum::<f64>() / count).sqrt();
    (mean, if spread > 1e-12 * mean.abs().max(f64::MIN_POSITIVE) { spread } else { 1.0 })
}

fn divided(rows: &[f64], lengths: &[f64]) -> Vec<f64> {
    rows.iter().zip(lengths.iter().cycle()).map(|(value, length)| value / length).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// The factor of the covariance of rows, with as much more noise as it takes.
fn factor(scaled: &[f64], columns: usize, hyper: &Hyper) -> Option<Cholesky<f64, Dyn>> {
    let count = scaled.len() / columns;
    let (signal, noise) = (hyper.signal.exp(), hyper.noise.exp());
    let row = |at: usize| &scaled[at * columns..(at + 1) * columns];
    let mut covariance = DMatrix::zeros(count, count);
    for a in 0..count {
        for b in 0..a {
            covariance[(a, b)] = signal * matern(distance(row(a), row(b)));
        }
    }
    [0.0, 1e-8, 1e-6, 1e-4, 1e-2].into_iter().find_map(|more| {
        let mut held = covariance.clone();
        held.fill_diagonal(signal * (1.0 + more) + noise);
        Cholesky::new(held)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::random::Random;

    fn rows(random: &mut Random, count: usize) -> Vec<f64> {
        (0..2 * count).map(|_| random.unit()).collect()
    }

    fn truth(row: &[f64]) -> f64 {
        100.0 + 20.0 * (4.0 * row[0]).sin()
    }

    #[test]
    fn it_learns_what_matters_how_much_noise_there_is_and_where_it_knows_nothing() {
        let mut random = Random(3);
        let known = rows(&mut random, 60);
        let noisy: Vec<f64> = known.chunks(2).map(|row| truth(row) + 2.0 * (random.unit() - 0.5)).collect();
        let gp = Gp::fit(Inputs { rows: &known, groups: &[0, 1] }, &noisy, None, &|| true).unwrap();
        assert!(gp.hyper().lengths[1] > gp.hyper().lengths[0] + 1.0, "{:?}", gp.hyper());
        assert!((gp.noise() - 2.0 / 12f64.sqrt()).abs() < 0.25, "{}", gp.noise());
        let asked = rows(&mut random, 200);
        let found = gp.predict(&asked);
        let off: Vec<f64> = found.iter().zip(asked.chunks(2)).map(|(p, row)| (p.mean - truth(row)).abs()).collect();
        assert!(off.iter().sum::<f64>() / 200.0 < 0.4, "{off:?}");
        let within = off.iter().zip(&found).filter(|(off, p)| **off < 1.96 * p.spread).count();
        assert!((150..=200).contains(&within), "{within} of 200 within 95 %");
        assert!(gp.predict(&[6.0, 0.5])[0].spread > 0.9 * gp.ignorance());
    }

    #[test]
    fn without_noise_it_passes_through_what_it_was_told() {
        let mut random = Random(4);
        let known = rows(&mut random, 25);
        let told: Vec<f64> = known.chunks(2).map(truth).collect();
        let gp = Gp::fit(Inputs { rows: &known, groups: &[0, 1] }, &told, None, &|| true).unwrap();
        let off = gp.predict(&known).iter().zip(&told).map(|(p, told)| (p.mean - told).abs()).fold(0.0, f64::max);
        assert!(off < 0.2, "{off}");
    }

    #[test]
    fn what_can_not_be_learned_from_is_refused_and_sameness_is_learned() {
        let inputs = Inputs { rows: &[0.1, 0.2, 0.1, 0.2], groups: &[0, 1] };
        assert!(Gp::fit(inputs, &[], None, &|| true).is_none());
        assert!(Gp::fit(inputs, &[1.0], None, &|| true).is_none());
        assert!(Gp::fit(inputs, &[1.0, f64::NAN], None, &|| true).is_none());
        let same = Gp::fit(inputs, &[5.0, 5.0], None, &|| true).unwrap();
        assert!((same.predict(&[0.1, 0.2])[0].mean - 5.0).abs() < 1e-9);
    }
}
