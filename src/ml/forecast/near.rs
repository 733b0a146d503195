//! Forecasts of the next hours sample by sample, cheap enough to be made anew every few minutes for hundreds of series.
//!
//! A day of samples shows no season twice, but many days of hours do. So the time of day comes from the coarse history,
//! the level from the last minutes of the fine one, and models differ in how they put the two together. They compete on
//! rolling origins of the fine history as the models of [`super::forecast_all`] do; whatever a back-test starts from, it
//! sees only what was known then. The baseline repeats the hours of the day before: steadier than its samples were, and
//! so harder to beat.

use super::interval::Errors;
use super::{Draft, Forecast, Refusal, backtest::Member, calibrated, ensemble, metrics};
use std::sync::atomic::{AtomicBool, Ordering};

/// What is known of one series.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Values at equal steps, oldest first, the last one measured; what is not finite is a gap.
    pub fine: &'a [f64],
    /// Values at equal, longer steps such as hours, oldest first; what is not finite is a gap.
    pub coarse: &'a [f64],
    /// Fine steps in a coarse one, at least 1.
    pub ratio: f64,
    /// Where the first coarse value became known, in fine steps after the first fine value: usually far below 0.
    pub offset: f64,
    /// How long before it was known the middle of what it is the mean of lies, in fine steps; 0 for a value at its time.
    pub middle: f64,
    /// Coarse steps in a season.
    pub season: usize,
}

/// The most origins of a back-test; they lie half a horizon apart.
const FOLDS: usize = 8;
/// Fewer say nothing of intervals that were made without them and their neighbours.
const FEWEST: usize = 4;
/// Seasons whose mean is the usual one.
const USUAL: usize = 14;
/// In coarse steps: what is taken as the present level, what its trend is fitted to, and how fast a distance from the
/// usual fades.
const LEVEL: f64 = 0.25;
const TREND: f64 = 1.0;
const FADES: f64 = 2.0;

/// Predicts `horizon` fine steps of each series. Those without skill are refused. `None`: cancelled.
pub fn near_all(pasts: &[Past], horizon: usize, cancel: &AtomicBool) -> Option<Vec<Result<Forecast, Refusal>>> {
    let mut drafts = Vec::with_capacity(pasts.len());
    for past in pasts {
        if cancel.load(Ordering::Relaxed) {
            return None;
        }
        drafts.push(past.draft(horizon));
    }
    let widening = calibrated(drafts.iter().filter_map(|d| d.as_ref().ok()));
    let spoken = |(draft, past): (Result<Draft, Refusal>, &Past)| {
        let positive = !past.fine.iter().chain(past.coarse).any(|v| *v < 0.0);
        draft?.spoken(past.scale(), positive, 0, true, widening)
    };
    Some(drafts.into_iter().zip(pasts).map(spoken).collect())
}

/// How a model goes on from an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    /// The last value.
    Last,
    /// The level of the last minutes.
    Level,
    /// The trend of the last coarse step, fading.
    Trend,
    /// The time of day, as it was or at the present level.
    Season(Usual, Carried),
}

/// What the time of day makes usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Usual {
    /// One season ago.
    Yesterday,
    /// The mean of up to [`USUAL`] seasons.
    Mean,
    /// Seven seasons ago.
    Week,
}

/// How the usual is carried to the present level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carried {
    Not,
    Shifted,
    Scaled,
    Fading,
}

const MODELS: [(&str, Model); 12] = {
    use Carried::{Fading, Not, Scaled, Shifted};
    use Usual::{Mean, Week, Yesterday};
    [
        ("naive", Model::Last),
        ("the last minutes", Model::Level),
        ("the trend of the last hour", Model::Trend),
        (BASELINE, Model::Season(Yesterday, Not)),
        ("yesterday at the present level", Model::Season(Yesterday, Shifted)),
        ("yesterday times the present level", Model::Season(Yesterday, Scaled)),
        ("the mean day", Model::Season(Mean, Not)),
        ("the mean day at the present level", Model::Season(Mean, Shifted)),
        ("the mean day times the present level", Model::Season(Mean, Scaled)),
        ("the mean day, the present level fading", Model::Season(Mean, Fading)),
        ("last week at the present level", Model::Season(Week, Shifted)),
        ("last week times the present level", Model::Season(Week, Scaled)),
    ]
};

/// What the others are held against.
const BASELINE: &str = "seasonal naive";

impl Past<'_> {
    fn draft(&self, horizon: usize) -> Result<Draft, Refusal> {
        if horizon == 0 {
            return Err(Refusal::NoHorizon);
        }
        let known = self.coarse.iter().filter(|v| v.is_finite()).count();
        if known < 2 * self.season {
            return Err(Refusal::TooShort { have: known, need: 2 * self.season });
        }
        // Of origins without a measured present, or with a stretch that was hardly measured, nothing is learned.
        let judged = |o: &usize| {
            let stretch = &self.fine[*o..*o + horizon];
            stretch.iter().filter(|v| v.is_finite()).count() * 2 >= horizon && self.level(*o, LEVEL).is_some()
        };
        let first = (TREND * self.ratio).ceil() as usize;
        let stride = horizon.div_ceil(2);
        let back = |k: usize| self.fine.len().checked_sub(horizon + k * stride).filter(|o| *o >= first);
        let origins: Vec<usize> = (0..FOLDS).map_while(back).filter(judged).collect();
        if origins.len() < FEWEST {
            let hours = |steps: usize| (steps as f64 / self.ratio).ceil() as usize;
            let need = hours(first + horizon + (FEWEST - 1) * stride);
            let have = hours(self.fine.iter().filter(|v| v.is_finite()).count()).min(need - 1);
            return Err(Refusal::TooYoung { have, need });
        }
        let actual: Vec<Vec<f64>> = origins.iter().map(|o| filled(&self.fine[*o..*o + horizon])).collect();
        let members: Vec<Member> =
            MODELS.iter().filter_map(|(name, model)| self.member(name, *model, &origins, &actual, horizon)).collect();
        let means = super::backtest::means(&members, None);
        let weights = ensemble::weights(&means);
        let paths: Vec<&[f64]> = members.iter().map(|m| m.path.as_slice()).collect();
        let mean = ensemble::combine(&paths, &weights);
        let parts = self.parts(&members, &paths, &weights, &mean);
        let baseline = members.iter().zip(&means).find(|(m, _)| m.name == BASELINE).map_or(f64::NAN, |(_, e)| *e);
        let errors = errors(&members, &actual);
        let mut members: Vec<(String, f64)> = members.into_iter().map(|m| m.name).zip(weights).collect();
        members.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(Draft { seasons: vec![self.season], members, mean, errors, baseline, parts })
    }

    /// `None` where the model cannot speak at every origin.
    fn member(
        &self,
        name: &str,
        model: Model,
        origins: &[usize],
        actual: &[Vec<f64>],
        horizon: usize,
    ) -> Option<Member> {
        let folds = origins.iter().map(|o| self.path(model, *o, horizon)).collect::<Option<Vec<_>>>()?;
        let errors = folds.iter().zip(actual).map(|(path, actual)| metrics::mae(actual, path)).collect();
        let path = self.path(model, self.fine.len(), horizon)?;
        Some(Member { name: name.to_owned(), errors, folds, path })
    }

    /// What a model says of the `horizon` steps from `origin` on, by what was known before it.
    fn path(&self, model: Model, origin: usize, horizon: usize) -> Option<Vec<f64>> {
        let steps = origin..origin + horizon;
        let ahead = |t: usize| (t - origin + 1) as f64 / self.ratio;
        let path: Vec<f64> = match model {
            Model::Last => vec![*self.fine[..origin].iter().rfind(|v| v.is_finite())?; horizon],
            Model::Level => vec![self.level(origin, LEVEL)?; horizon],
            Model::Trend => {
                let (level, slope) = self.trend(origin)?;
                // What a trend that fades adds up to.
                steps.map(|t| level + slope * FADES * (1.0 - (-ahead(t) / FADES).exp())).collect()
            }
            Model::Season(usual, carried) => {
                let level = self.level(origin, LEVEL)?;
                let width = self.width(LEVEL).min(origin);
                let before: Vec<f64> =
                    (origin - width..origin).map(|t| self.usual(usual, t, origin)).collect::<Option<_>>()?;
                let base = before.iter().sum::<f64>() / width.max(1) as f64;
                let carry = |t: usize, v: f64| match carried {
                    Carried::Not => Some(v),
                    Carried::Shifted => Some(v + level - base),
                    Carried::Fading => Some(v + (level - base) * (-ahead(t) / FADES).exp()),
                    Carried::Scaled => (base > 0.0 && level >= 0.0).then(|| v * level / base),
                };
                steps.map(|t| carry(t, self.usual(usual, t, origin)?)).collect::<Option<_>>()?
            }
        };
        path.iter().all(|v| v.is_finite()).then_some(path)
    }

    fn width(&self, coarse: f64) -> usize {
        ((coarse * self.ratio).round() as usize).max(1)
    }

    /// The mean of the last steps before `origin`, a share `coarse` of a coarse step.
    fn level(&self, origin: usize, coarse: f64) -> Option<f64> {
        let from = origin.saturating_sub(self.width(coarse));
        let (sum, count) = finite(&self.fine[from..origin]).fold((0.0, 0), |(s, n), (_, v)| (s + v, n + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// The value at `origin` and its change per coarse step, by least squares over the last coarse step.
    fn trend(&self, origin: usize) -> Option<(f64, f64)> {
        let from = origin.saturating_sub(self.width(TREND));
        let at = |i: usize| (i + from) as f64 / self.ratio - origin as f64 / self.ratio;
        let points = || finite(&self.fine[from..origin]).map(|(i, v)| (at(i), v));
        let n = points().count() as f64;
        let (mx, my) = points().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
        let (xx, xy) = points().fold((0.0, 0.0), |s, p| (s.0 + (p.0 - mx).powi(2), s.1 + (p.0 - mx) * (p.1 - my)));
        (xx > 0.0).then(|| (my - xy / xx * mx, xy / xx))
    }

    /// What the time of day of step `t` makes usual, by the coarse values that were known at `origin`.
    fn usual(&self, usual: Usual, t: usize, origin: usize) -> Option<f64> {
        let ago = |seasons: usize| self.coarse_at(t as f64 - (seasons * self.season) as f64 * self.ratio, origin);
        match usual {
            Usual::Yesterday => (1..=3).find_map(ago),
            Usual::Week => ago(7),
            Usual::Mean => {
                let (sum, count) = (1..=USUAL).filter_map(ago).fold((0.0, 0), |(s, n), v| (s + v, n + 1));
                (count > 0).then(|| sum / f64::from(count))
            }
        }
    }

    /// The coarse value at a fine step, between its neighbours; a neighbour that is missing is stood in for by the other.
    fn coarse_at(&self, t: f64, origin: usize) -> Option<f64> {
        let place = (t - self.offset + self.middle) / self.ratio;
        let below = place.floor();
        let known = |j: f64| {
            let seen = self.offset + j * self.ratio < origin as f64;
            let value = (j >= 0.0 && seen).then(|| self.coarse.get(j as usize).copied());
            value.flatten().filter(|v| v.is_finite())
        };
        match (known(below), known(below + 1.0)) {
            (Some(a), Some(b)) => Some(a + (b - a) * (place - below)),
            (one, other) => one.or(other),
        }
    }

    /// The mean change from one season to the next, or of one coarse step: the unit of errors.
    fn scale(&self) -> Option<f64> {
        let change = |lag: usize| {
            let pairs = self.coarse.iter().zip(self.coarse.get(lag..)?).map(|(a, b)| (a - b).abs());
            let (sum, count) = pairs.filter(|d| d.is_finite()).fold((0.0, 0), |(s, n), d| (s + d, n + 1));
            (sum > 0.0).then(|| sum / f64::from(count))
        };
        change(self.season).or_else(|| change(1))
    }
}

mod parts;

/// The ensemble's errors on each fold, with weights learned on folds that share nothing with it.
fn errors(members: &[Member], actual: &[Vec<f64>]) -> Vec<Errors> {
    let fold = |(k, actual): (usize, &Vec<f64>)| {
        let weights = ensemble::weights(&super::backtest::means(members, Some(k)));
        let paths: Vec<&[f64]> = members.iter().map(|m| m.folds[k].as_slice()).collect();
        ensemble::combine(&paths, &weights).iter().zip(actual).map(|(p, a)| a - p).collect()
    };
    actual.iter().enumerate().map(fold).collect()
}

fn finite(values: &[f64]) -> impl Iterator<Item = (usize, f64)> + '_ {
    values.iter().copied().enumerate().filter(|(_, v)| v.is_finite())
}

/// Gaps take the last value before them, the first ones the first value after.
fn filled(values: &[f64]) -> Vec<f64> {
    let mut last = finite(values).next().map_or(f64::NAN, |(_, v)| v);
    let fill = |v: &f64| {
        if v.is_finite() {
            last = *v;
        }
        last
    };
    values.iter().map(fill).collect()
}

#[cfg(test)]
mod tests;
