//! Which of two series moves first: correlation at a few lags, and whether it is more than chance.

/// The lag at which two series go along best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lag {
    /// Samples by which the second series follows the first; negative: it goes before.
    pub steps: i32,
    /// Pearson's correlation at that lag, -1..1.
    pub r: f64,
    /// Whether it is more than 1.96 standard errors from 0, with as many independent samples as the series' own memory leaves
    /// (Bartlett): n (1 - r1 r2) / (1 + r1 r2).
    pub significant: bool,
}

/// Square of the relative error that a mean of many values may have.
const ROUNDING: f64 = 1e-24;

/// Fewer pairs say nothing.
const FEW: usize = 8;

/// Correlates two series of evenly spaced samples at lags of at most `most` samples. Not-a-numbers are missing. `None`: too
/// few pairs, or one of them does not move. Of lags that are equally good the shortest is taken.
pub fn lagged(first: &[f64], second: &[f64], most: usize) -> Option<Lag> {
    let most = most as i32;
    let mut lags: Vec<i32> = (-most..=most).collect();
    lags.sort_by_key(|l| l.abs());
    let mut best: Option<Lag> = None;
    for steps in lags {
        let pairs = pairs(first, second, steps);
        let Some(r) = pearson(&pairs) else { continue };
        if best.is_none_or(|b| r > b.r + 1e-9) {
            let own = |side: fn(&(f64, f64)) -> f64| memory(&pairs.iter().map(side).collect::<Vec<_>>());
            let product = (own(|p| p.0) * own(|p| p.1)).clamp(-0.99, 0.99);
            let independent = (pairs.len() as f64 * (1.0 - product) / (1.0 + product)).max(1.0);
            best = Some(Lag { steps, r, significant: r.abs() > 1.96 / independent.sqrt() });
        }
    }
    best
}

fn pairs(first: &[f64], second: &[f64], steps: i32) -> Vec<(f64, f64)> {
    let (skip_first, skip_second) = ((-steps).max(0) as usize, steps.max(0) as usize);
    let all = first.iter().skip(skip_first).zip(second.iter().skip(skip_second));
    all.map(|(a, b)| (*a, *b)).filter(|(a, b)| a.is_finite() && b.is_finite()).collect()
}

fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < FEW {
        return None;
    }
    let n = pairs.len() as f64;
    let (a, b) = pairs.iter().fold((0.0, 0.0), |(a, b), p| (a + p.0 / n, b + p.1 / n));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    // What rounding alone moves does not move: a share of the squares themselves, so that units do not matter.
    let (mut least_a, mut least_b) = (0.0, 0.0);
    for (x, y) in pairs {
        least_a += x * x * ROUNDING;
        least_b += y * y * ROUNDING;
        ab += (x - a) * (y - b);
        aa += (x - a).powi(2);
        bb += (y - b).powi(2);
    }
    (aa > least_a && bb > least_b).then(|| (ab / (aa * bb).sqrt()).clamp(-1.0, 1.0))
}

/// How much a value tells of the next one: the correlation of the series with itself one sample later.
fn memory(values: &[f64]) -> f64 {
    pearson(&values.windows(2).map(|w| (w[0], w[1])).collect::<Vec<_>>()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quiet series that steps up at a time, with a ripple of its own.
    fn step(at: usize, seed: usize) -> Vec<f64> {
        let ripple = |i: usize| ((i * 37 + seed * 11) % 17) as f64 / 40.0;
        (0..60).map(|i| if i >= at && i < at + 8 { 10.0 } else { 1.0 } + ripple(i)).collect()
    }

    #[test]
    fn who_moves_first_is_told_with_the_number_of_samples() {
        let found = lagged(&step(20, 1), &step(23, 2), 6).expect("they move");
        assert_eq!((found.steps, found.significant), (3, true), "{found:?}");
        assert_eq!(lagged(&step(23, 2), &step(20, 1), 6).map(|l| l.steps), Some(-3));
        assert!(found.r > 0.9);
    }

    #[test]
    fn gaps_are_left_out_and_what_does_not_move_says_nothing() {
        let mut gappy = step(20, 1);
        gappy.iter_mut().step_by(7).for_each(|v| *v = f64::NAN);
        assert_eq!(lagged(&gappy, &step(20, 2), 4).map(|l| l.steps), Some(0));
        assert!(lagged(&[1.0; 60], &step(20, 2), 4).is_none());
        assert!(lagged(&step(20, 1)[..5], &step(20, 2)[..5], 4).is_none());
    }
}
