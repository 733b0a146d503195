//! What a forecast of the next hours is made of: every model here is a sum of a few causes, and what is heard of each model at a step
//! is a share, so that the forecast comes apart without anything left over.

use super::super::backtest::Member;
use super::super::ensemble;
use super::{Carried, FADES, LEVEL, MODELS, Model, Past};

/// The causes, in the order in which they are told.
const CAUSES: [&str; 4] =
    ["the last minutes", "the time of day", "the trend of the last hour", "what fades or is not carried on"];

impl Past<'_> {
    /// What the highest step of the ensemble's `mean` is made of; empty where a model cannot be taken apart.
    pub(super) fn parts(
        &self,
        members: &[Member],
        paths: &[&[f64]],
        weights: &[f64],
        mean: &[f64],
    ) -> Vec<(&'static str, f64)> {
        let Some((peak, _)) = mean.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) else { return Vec::new() };
        let mut sum = [0.0; 4];
        for (member, share) in members.iter().zip(ensemble::heard(paths, weights, peak)).filter(|(_, s)| *s > 0.0) {
            let known = MODELS.iter().find(|(name, _)| *name == member.name);
            let Some(parts) = known.and_then(|(_, model)| self.part(*model, self.fine.len(), peak)) else {
                return Vec::new();
            };
            sum.iter_mut().zip(parts).for_each(|(sum, part)| *sum += share * part);
        }
        CAUSES.into_iter().zip(sum).filter(|(_, part)| *part != 0.0).collect()
    }

    /// What one model's value `step` steps after `origin` is made of, by [`CAUSES`].
    pub(super) fn part(&self, model: Model, origin: usize, step: usize) -> Option<[f64; 4]> {
        let ahead = (step + 1) as f64 / self.ratio;
        Some(match model {
            Model::Last => [*self.fine[..origin].iter().rfind(|v| v.is_finite())?, 0.0, 0.0, 0.0],
            Model::Level => [self.level(origin, LEVEL)?, 0.0, 0.0, 0.0],
            Model::Trend => {
                let (level, slope) = self.trend(origin)?;
                // It would rise on for ever, and fades instead.
                let goes_on = slope * ahead;
                [level, 0.0, goes_on, slope * FADES * (1.0 - (-ahead / FADES).exp()) - goes_on]
            }
            Model::Season(usual, carried) => {
                let level = self.level(origin, LEVEL)?;
                let width = self.width(LEVEL).min(origin);
                let before: Option<Vec<f64>> = (origin - width..origin).map(|t| self.usual(usual, t, origin)).collect();
                let base = before?.iter().sum::<f64>() / width.max(1) as f64;
                let moves = self.usual(usual, origin + step, origin)? - base;
                match carried {
                    Carried::Not => [level, moves, 0.0, base - level],
                    Carried::Shifted => [level, moves, 0.0, 0.0],
                    Carried::Fading => [level, moves, 0.0, (level - base) * ((-ahead / FADES).exp() - 1.0)],
                    Carried::Scaled => [level, moves * level / base, 0.0, 0.0],
                }
            }
        })
    }
}
