//! Bayesian optimisation: a Gaussian process of what was measured, and the point of greatest expected improvement next
//! (Jones, Schonlau & Welch 1998), over numbers, whole numbers, categories and switches.
//!
//! Scores are learned on a scale on which the good half is spread and the bad half pressed together, and what is not
//! finite counts as bad as the worst. The process sees rounded values, so between two whole numbers nothing is believed
//! (Garrido-Merchán & Hernández-Lobato 2020).

use super::encode::Encoding;
use super::{Phase, Search, Stop, begin, vary};
use crate::ml::gp::{Gp, Hyper, Inputs, Predicted};
use crate::ml::random::Random;

/// How it searches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bayes {
    /// Measurements before there is a model.
    pub first: usize,
    /// Most measurements: a model of more rows takes too long.
    pub most: usize,
    /// Random points among which the best is looked for, each time.
    pub candidates: usize,
}

impl Default for Bayes {
    fn default() -> Self {
        Self { first: 10, most: 200, candidates: 200 }
    }
}

impl Phase for Bayes {
    fn name(&self) -> &'static str {
        "bayesian"
    }

    fn run(&mut self, search: &mut Search, seed: u64) -> Stop {
        self.improve(search, &mut Random(seed)).err().unwrap_or(Stop::Done)
    }
}

impl Bayes {
    fn improve(&self, search: &mut Search, random: &mut Random) -> Result<(), Stop> {
        begin(search, random, self.first)?;
        let encoding = Encoding::of(search.space());
        let (mut hyper, mut fitted): (Option<Hyper>, usize) = (None, 0);
        while search.history().len() < self.most {
            let count = search.history().len();
            let next = match targets(search) {
                Some(targets) => {
                    let rows: Vec<f64> =
                        search.history().iter().flat_map(|state| encoding.row(search.space(), &state.point)).collect();
                    let inputs = Inputs { rows: &rows, groups: encoding.groups() };
                    // lengths change slowly once there are many rows
                    let gp = match hyper.clone().filter(|_| fitted > 0 && count < fitted + 1 + fitted / 5) {
                        Some(held) => Gp::with(inputs, &targets, held),
                        None => Gp::fit(inputs, &targets, hyper.as_ref(), &|| search.check().is_ok()),
                    };
                    search.check()?;
                    if let Some(gp) = &gp
                        && hyper.as_ref() != Some(gp.hyper())
                    {
                        (hyper, fitted) = (Some(gp.hyper().clone()), count);
                    }
                    gp.and_then(|gp| self.promising(search, &encoding, &gp, &targets, random))
                }
                None => None,
            };
            let point = next.map_or_else(|| search.draw(random), Ok)?;
            search.measure(&point, search.best_at())?;
        }
        Ok(())
    }

    /// The unknown point of the greatest expected improvement among random ones and neighbours of the best.
    fn promising(
        &self,
        search: &Search,
        encoding: &Encoding,
        gp: &Gp,
        targets: &[f64],
        random: &mut Random,
    ) -> Option<Vec<f64>> {
        let space = search.space();
        let least = targets.iter().copied().fold(f64::INFINITY, f64::min);
        let best = search.best()?.point.clone();
        let mut points: Vec<Vec<f64>> = Vec::new();
        for at in 0..self.candidates {
            if at % 100 == 0 {
                search.check().ok()?;
            }
            points.push(space.draw(random).ok()?);
        }
        let near =
            |of: &[f64], spread: f64, random: &mut Random| space.toward(of, &vary(space, of, spread, 0.5, random));
        points.extend((0..self.candidates / 4).map(|at| near(&best, [0.1, 0.03, 0.01][at % 3], random)));
        let mut chosen = best_of(search, encoding, gp, least, points)?;
        for spread in [0.05, 0.015, 0.005, 0.0015] {
            let beside = (0..self.candidates / 8).map(|_| near(&chosen.1, spread, random)).collect();
            if let Some(better) = best_of(search, encoding, gp, least, beside).filter(|better| better.0 > chosen.0) {
                chosen = better;
            }
        }
        Some(chosen.1)
    }
}

/// Of points that were not measured, the one of the greatest expected improvement, and the logarithm of that.
fn best_of(
    search: &Search,
    encoding: &Encoding,
    gp: &Gp,
    least: f64,
    points: Vec<Vec<f64>>,
) -> Option<(f64, Vec<f64>)> {
    let unknown: Vec<Vec<f64>> = points.into_iter().filter(|point| search.known(point).is_none()).collect();
    let rows: Vec<f64> = unknown.iter().flat_map(|point| encoding.row(search.space(), point)).collect();
    let hopes = gp.predict(&rows).into_iter().map(|predicted| hope(predicted, least));
    hopes.zip(unknown).max_by(|a, b| a.0.total_cmp(&b.0))
}

/// Scores on the scale they are learned on: the logarithm of one and how far each is above the least, in units of how
/// far the median is. Nothing if there are not two different finite ones.
fn targets(search: &Search) -> Option<Vec<f64>> {
    let scores: Vec<f64> = search.history().iter().map(|state| state.outcome.score).collect();
    let mut finite: Vec<f64> = scores.iter().copied().filter(|score| score.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    let (least, most) = (*finite.first()?, *finite.last()?);
    let unit = (finite[finite.len() / 2] - least).max(1e-3 * (most - least));
    if unit <= 0.0 || !unit.is_finite() {
        return None;
    }
    let learned = |score: f64| (1.0 + (if score.is_finite() { score } else { most } - least) / unit).ln();
    Some(scores.into_iter().map(learned).collect())
}

/// The logarithm of the expected improvement on `least`; far below it an asymptote, so that hopeless points still have
/// an order.
fn hope(predicted: Predicted, least: f64) -> f64 {
    let z = (least - predicted.mean) / predicted.spread;
    let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    let ratio = if z > -5.0 {
        (density + z * below(z)).max(f64::MIN_POSITIVE).ln()
    } else {
        -0.5 * z * z - 0.5 * std::f64::consts::TAU.ln() - 2.0 * (-z).ln()
    };
    predicted.spread.ln() + ratio
}

/// The share of a normal distribution below `z`, within 1.2e-7 of itself (Press et al., Numerical Recipes, erfcc).
fn below(z: f64) -> f64 {
    const TERMS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let sum = TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    let tail = 0.5 * t * (sum - x * x).exp();
    if z < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hope_is_that_of_the_formula_and_has_no_jump() {
        assert!((below(-1.96) - 0.024_997_9).abs() < 1e-6 && (below(1.0) - 0.841_344_7).abs() < 1e-6);
        let hope_at = |z: f64| hope(Predicted { mean: -2.0 * z, spread: 2.0 }, 0.0);
        assert!((hope_at(0.0).exp() - 2.0 * 0.398_942_3).abs() < 1e-6);
        assert!((hope_at(-4.999) - hope_at(-5.001)).abs() < 0.15);
        assert!(hope_at(-40.0) > hope_at(-41.0) && hope_at(-41.0).is_finite());
    }
}
