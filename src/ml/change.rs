//! When a series changed: Bayesian online change point detection (Adams & MacKay 2007, arXiv:0710.3742) with a normal
//! model of unknown mean and variance, whose prediction is a Student t.

use serde::{Deserialize, Serialize};

/// Run lengths that are told apart; older ones are merged into the longest.
const LONGEST: usize = 500;
/// Run lengths less probable than this are dropped.
const NEGLIGIBLE: f64 = 1e-8;
/// Prior weight of the mean, in samples, and shape of the prior of the precision.
const KAPPA: f64 = 0.1;
const ALPHA: f64 = 1.0;

/// One hypothesis: the current regime has lasted `length` samples with this mean and scatter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Run {
    length: usize,
    probability: f64,
    mean: f64,
    kappa: f64,
    alpha: f64,
    beta: f64,
}

impl Run {
    /// A new regime: nothing is known but the usual `scale` of the series.
    fn new(probability: f64, centre: f64, scale: f64) -> Self {
        Self { length: 0, probability, mean: centre, kappa: KAPPA, alpha: ALPHA, beta: ALPHA * scale * scale }
    }

    /// Density of the Student t that the regime predicts.
    fn density(&self, value: f64) -> f64 {
        let freedom = 2.0 * self.alpha;
        let spread = self.beta * (self.kappa + 1.0) / (self.alpha * self.kappa);
        let log = ln_gamma(f64::midpoint(freedom, 1.0))
            - ln_gamma(freedom / 2.0)
            - 0.5 * (freedom * std::f64::consts::PI * spread).ln()
            - f64::midpoint(freedom, 1.0) * (1.0 + (value - self.mean).powi(2) / (freedom * spread)).ln();
        log.exp()
    }

    /// The regime after `value`.
    fn after(&self, value: f64, probability: f64) -> Self {
        let kappa = self.kappa + 1.0;
        Self {
            length: (self.length + 1).min(LONGEST),
            probability,
            mean: (self.kappa * self.mean + value) / kappa,
            kappa,
            alpha: self.alpha + 0.5,
            beta: self.beta + self.kappa * (value - self.mean).powi(2) / (2.0 * kappa),
        }
    }
}

/// Follows the probability of how long the present regime has lasted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangePoints {
    hazard: f64,
    centre: f64,
    scale: f64,
    runs: Vec<Run>,
}

impl ChangePoints {
    /// For a series whose regimes last `regime` samples on average and whose values lie around `centre` within about
    /// `scale` (its standard deviation, or that of its changes).
    pub fn new(regime: f64, centre: f64, scale: f64) -> Self {
        let scale = if scale.is_finite() && scale > 0.0 { scale } else { 1e-9_f64.max(1e-9 * centre.abs()) };
        Self { hazard: 1.0 / regime.max(1.0), centre, scale, runs: vec![Run::new(1.0, centre, scale)] }
    }

    /// Takes the next value and returns how many samples the present regime most probably has, this one included.
    /// A value that is not finite changes nothing.
    pub fn push(&mut self, value: f64) -> usize {
        if value.is_finite() {
            let mut changed = 0.0;
            let mut next = Vec::with_capacity(self.runs.len() + 1);
            for run in &self.runs {
                let joint = run.probability * run.density(value);
                changed += joint * self.hazard;
                next.push(run.after(value, joint * (1.0 - self.hazard)));
            }
            next.push(Run::new(changed, self.centre, self.scale));
            let total: f64 = next.iter().map(|run| run.probability).sum();
            if total > 0.0 && total.is_finite() {
                for run in &mut next {
                    run.probability /= total;
                }
                next.retain(|run| run.probability > NEGLIGIBLE);
                self.runs = merged(next);
            } else {
                self.runs = vec![Run::new(1.0, value, self.scale)]; // impossible under every regime: a new one
            }
        }
        self.likeliest().map_or(0, |run| run.length)
    }

    /// Probability that the present regime is at most `samples` old.
    pub fn changed_within(&self, samples: usize) -> f64 {
        self.runs.iter().filter(|run| run.length <= samples).map(|run| run.probability).sum()
    }

    fn likeliest(&self) -> Option<&Run> {
        self.runs.iter().max_by(|a, b| a.probability.total_cmp(&b.probability))
    }
}

/// Merges the runs that have reached the longest length into the likeliest of them.
fn merged(runs: Vec<Run>) -> Vec<Run> {
    let (old, mut young): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|run| run.length >= LONGEST);
    let probability = old.iter().map(|run| run.probability).sum();
    if let Some(oldest) = old.into_iter().max_by(|a, b| a.probability.total_cmp(&b.probability)) {
        young.insert(0, Run { probability, ..oldest });
    }
    young
}

/// The rows at which `series` changed: where the likeliest regime starts anew, confirmed by `confirm` samples.
pub fn change_points(series: &[f64], regime: f64, confirm: usize) -> Vec<usize> {
    let finite: Vec<f64> = series.iter().copied().filter(|value| value.is_finite()).collect();
    if finite.len() < 2 {
        return Vec::new();
    }
    let count = finite.len() as f64;
    let mean = finite.iter().sum::<f64>() / count;
    let scale = (finite.windows(2).map(|two| (two[1] - two[0]).powi(2)).sum::<f64>() / (2.0 * (count - 1.0))).sqrt();
    let mut detector = ChangePoints::new(regime, mean, scale);
    let mut found = Vec::new();
    let mut expected = 0;
    for (row, &value) in series.iter().enumerate() {
        let length = detector.push(value);
        expected = (expected + usize::from(value.is_finite())).min(LONGEST);
        if length < expected && length >= confirm {
            found.push(row + 1 - length);
            expected = length;
        }
    }
    found
}

/// Logarithm of the gamma function for positive arguments (Lanczos' approximation, g = 7, n = 9).
fn ln_gamma(x: f64) -> f64 {
    const LANCZOS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let base = x + 7.5;
    let sum = LANCZOS[0] + LANCZOS[1..].iter().zip(1..).map(|(c, k)| c / (x + f64::from(k))).sum::<f64>();
    0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * base.ln() - base + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(at: usize) -> f64 {
        let unit = |at: u64| {
            let x = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((x ^ (x >> 32)) >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..12).map(|part| unit(at as u64 * 12 + part)).sum::<f64>() - 6.0
    }

    #[test]
    fn ln_gamma_is_right_at_known_points() {
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-12);
        assert!((ln_gamma(10.0) - 362_880f64.ln()).abs() < 1e-10);
    }

    #[test]
    fn two_shifts_are_found_where_they_are() {
        let series: Vec<f64> =
            (0..900).map(|row| normal(row) + if (300..600).contains(&row) { 4.0 } else { 0.0 }).collect();
        let found = change_points(&series, 250.0, 5);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].abs_diff(300) <= 2 && found[1].abs_diff(600) <= 2, "{found:?}");
    }

    #[test]
    fn a_change_of_scatter_alone_is_found() {
        let series: Vec<f64> = (0..800).map(|row| normal(row) * if row < 400 { 1.0 } else { 6.0 }).collect();
        let found = change_points(&series, 250.0, 5);
        assert!(found.iter().any(|row| row.abs_diff(400) <= 6), "{found:?}");
    }

    #[test]
    fn noise_and_bad_input_have_no_change() {
        let series: Vec<f64> = (0..2000).map(normal).collect();
        assert!(change_points(&series, 250.0, 5).len() <= 1);
        assert!(change_points(&[], 250.0, 5).is_empty());
        assert!(change_points(&[f64::NAN; 50], 250.0, 5).is_empty());
        assert!(change_points(&[3.0; 300], 250.0, 5).is_empty());
        let mut wild = ChangePoints::new(250.0, 0.0, f64::NAN);
        for value in [1e300, -1e300, f64::INFINITY, 0.0] {
            assert!(wild.push(value) <= LONGEST && (0.0..=1.0 + 1e-9).contains(&wild.changed_within(LONGEST)));
        }
    }

    #[test]
    fn the_probability_of_a_recent_change_rises_at_once() {
        let mut detector = ChangePoints::new(250.0, 0.0, 1.0);
        (0..200).for_each(|row| {
            detector.push(normal(row));
        });
        assert!(detector.changed_within(5) < 0.2);
        (0..3).for_each(|row| {
            detector.push(8.0 + normal(row));
        });
        assert!(detector.changed_within(5) > 0.9);
    }
}
