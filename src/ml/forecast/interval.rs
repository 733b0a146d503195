//! Intervals from what the back-test got wrong: split conformal prediction (Vovk et al. 2005) with a scale per step.
//!
//! The error at each step of the horizon is divided by what is usual at that step (a locally weighted score: Lei et al.
//! 2018), so that the scores of all folds and steps can be ranked together. Coverage is checked by leaving out one fold
//! at a time and never by the errors that set the width; what is missing there widens the interval.

/// Errors (actual minus predicted) of one fold, one per step of the horizon.
pub type Errors = Vec<f64>;

/// The usual error at each step and the ranked scores: what interval widths are read from.
#[derive(Debug, Clone)]
pub struct Scores {
    scale: Vec<f64>,
    ranked: Vec<f64>,
}

impl Scores {
    /// From the folds' errors. `None` without folds.
    pub fn new(folds: &[&Errors]) -> Option<Self> {
        let horizon = folds.first()?.len();
        let usual: Vec<f64> =
            (0..horizon).map(|h| folds.iter().map(|f| f[h].abs()).sum::<f64>() / folds.len() as f64).collect();
        // Few folds make a rough scale; neighbours within an eighth of the horizon smooth it, the overall mean steadies it.
        let radius = (horizon / 8).max(1);
        let overall = usual.iter().sum::<f64>() / horizon as f64;
        let scale: Vec<f64> = (0..horizon)
            .map(|h| {
                let near = &usual[h.saturating_sub(radius)..(h + radius + 1).min(horizon)];
                (near.iter().sum::<f64>() + overall) / (near.len() + 1) as f64
            })
            .collect();
        let mut ranked: Vec<f64> =
            folds.iter().flat_map(|f| f.iter().zip(&scale).map(|(e, s)| ratio(e.abs(), *s))).collect();
        ranked.sort_by(f64::total_cmp);
        Some(Self { scale, ranked })
    }

    /// Half the width of the interval that holds a share of `level` (0..1), at each of `ahead` steps.
    ///
    /// Steps beyond those that were tested are as wide as the last tested one, times the root of how much further they are.
    pub fn half_widths(&self, level: f64, ahead: usize) -> Vec<f64> {
        let n = self.ranked.len();
        let rank = ((n + 1) as f64 * level).ceil() as usize;
        let score = self.ranked[rank.clamp(1, n) - 1];
        let tested = self.scale.len();
        let further = |h: usize| ((h + 1) as f64 / tested as f64).max(1.0).sqrt();
        (0..ahead).map(|h| self.scale[h.min(tested - 1)] * score * further(h)).collect()
    }
}

/// How far outside (above 1) or inside (below 1) its interval each left-out error lies: errors over half widths.
pub fn left_out(folds: &[Errors], level: f64) -> Vec<f64> {
    let mut out = Vec::new();
    for (i, fold) in folds.iter().enumerate() {
        // Neighbours share half of their values: they would tell the answer.
        let others: Vec<&Errors> =
            folds.iter().enumerate().filter(|(j, _)| j.abs_diff(i) > 1).map(|(_, f)| f).collect();
        let Some(scores) = Scores::new(&others) else { continue };
        out.extend(fold.iter().zip(scores.half_widths(level, fold.len())).map(|(e, w)| ratio(e.abs(), w)));
    }
    out
}

/// The factor on half widths with which a share of `level` of the left-out errors would have lain inside.
///
/// Without left-out errors it is 1.
pub fn widening(left_out: &mut [f64], level: f64) -> f64 {
    if left_out.is_empty() {
        return 1.0;
    }
    left_out.sort_by(f64::total_cmp);
    let rank = ((left_out.len() + 1) as f64 * level).ceil() as usize;
    left_out[rank.clamp(1, left_out.len()) - 1]
}

/// `part / whole`, where nothing over nothing is a point on the border.
fn ratio(part: f64, whole: f64) -> f64 {
    if part == 0.0 && whole == 0.0 { 1.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::forecast::made_up::noise;

    /// Folds of twenty steps whose errors grow with the step.
    fn growing(seed: u64, folds: usize) -> Vec<Errors> {
        let all = noise(seed, folds * 20);
        all.chunks(20).map(|c| c.iter().enumerate().map(|(h, e)| e * (1.0 + h as f64 / 5.0)).collect()).collect()
    }

    #[test]
    fn widths_grow_where_errors_grow_and_hold_new_errors() {
        let known = growing(1, 40);
        let scores = Scores::new(&known.iter().collect::<Vec<_>>()).unwrap();
        for level in [0.8, 0.95] {
            let half = scores.half_widths(level, 20);
            assert!(half[19] > 1.8 * half[0]);
            let fresh = growing(2, 500);
            let inside = fresh.iter().flat_map(|f| f.iter().zip(&half)).filter(|(e, w)| e.abs() <= **w).count() as f64;
            assert!((inside / 10_000.0 - level).abs() < 0.03, "{level}: {inside}");
        }
    }

    #[test]
    fn the_widening_makes_left_out_errors_fit() {
        let folds = growing(3, 8);
        let mut outside = left_out(&folds, 0.8);
        assert_eq!(outside.len(), 160);
        let factor = widening(&mut outside, 0.8);
        let inside = outside.iter().filter(|r| **r <= factor).count();
        assert!((128..=130).contains(&inside), "{inside}");
    }

    #[test]
    fn steps_beyond_the_tested_ones_are_less_certain() {
        let scores = Scores::new(&[&vec![1.0, -1.0, 1.0, -1.0]]).unwrap();
        let half = scores.half_widths(0.8, 16);
        assert!((half[15] - 2.0 * half[3]).abs() < 1e-12);
        assert_eq!(widening(&mut [], 0.8), 1.0);
        assert!(Scores::new(&[]).is_none());
    }
}
