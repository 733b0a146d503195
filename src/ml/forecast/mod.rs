//! Forecasts with intervals that can be believed: many models compete on a rolling-origin back-test, those that were
//! right more often speak louder, and the intervals are what the back-test got wrong.
//!
//! [`forecast`] is for one series, [`forecast_all`] for many, which then share the calibration of their intervals.
//! Results are the same on every run and with any number of threads.

mod backtest;
mod candidates;
mod crew;
mod ensemble;
pub mod ets;
mod interval;
mod lags;
#[cfg(test)]
mod made_up;
pub mod metrics;
mod mstl;
pub mod naive;
pub mod near;
pub mod period;
mod ridge;
pub mod series;
mod simplex;
#[cfg(test)]
mod tests;
mod why;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use backtest::Member;
use interval::{Errors, Scores};
pub use series::{BadSeries, Meaning, Series};
use thiserror::Error;

/// What to predict, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How many steps ahead, at least 1.
    pub horizon: usize,
    /// The seasons in steps, ascending; empty: detect them.
    pub seasons: Vec<usize>,
    /// Refuse when the back-test was not better than the seasonal naive forecast.
    pub require_skill: bool,
    /// Say what the highest step is made of: a second as long again, or less.
    pub explain: bool,
    /// Threads to use; 0 means all cores.
    pub threads: usize,
}

impl Config {
    /// `horizon` steps ahead, seasons detected, no skill required, nothing explained, on all cores.
    pub fn new(horizon: usize) -> Self {
        Self { horizon, seasons: Vec::new(), require_skill: false, explain: false, threads: 0 }
    }
}

/// Why there is no forecast.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum Refusal {
    /// The values are no series.
    #[error(transparent)]
    Bad(#[from] BadSeries),
    /// A horizon of nothing.
    #[error("the horizon must be at least one step")]
    NoHorizon,
    /// Not enough history for a back-test.
    #[error("less than two seasons and a back-test: needs {} more values", need - have)]
    TooShort {
        /// Values there are.
        have: usize,
        /// Values that would do.
        need: usize,
    },
    /// The back-test was not better than the baseline's.
    #[error("no skill: back-test error {mase:.2} against {baseline:.2} of the seasonal naive forecast")]
    NoSkill {
        /// Error of the forecast (MASE).
        mase: f64,
        /// Error of the baseline (MASE).
        baseline: f64,
    },
    /// Not enough fine history for a back-test at its step.
    #[error("the samples of {have} hours are too few for a back-test at their step: {} more hours are needed", need - have)]
    TooYoung {
        /// Whole seasons' parts (such as hours) there are.
        have: usize,
        /// Those that would do.
        need: usize,
    },
    /// Told to stop.
    #[error("cancelled")]
    Cancelled,
}

/// An interval per step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Band {
    /// Lower ends.
    pub low: Vec<f64>,
    /// Upper ends.
    pub high: Vec<f64>,
}

/// How the forecast did on stretches of the history that its models had not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackTest {
    /// Stretches that were predicted.
    pub folds: usize,
    /// Mean absolute error over the mean change per season (or per step without seasons).
    pub mase: f64,
    /// The same for the seasonal naive forecast (or the naive one without seasons).
    pub baseline: f64,
    /// The share of left-out values inside 80 % intervals made without them, before the calibration that this share
    /// leads to; NaN with fewer than three folds.
    pub coverage80: f64,
    /// The same for 95 % intervals.
    pub coverage95: f64,
}

impl BackTest {
    /// The share of the baseline's error that the forecast avoids: negative when it is worse, 0 when neither is ever wrong.
    pub fn skill(&self) -> f64 {
        if self.mase == self.baseline { 0.0 } else { 1.0 - self.mase / self.baseline }
    }
}

/// What will be, as far as one can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Who speaks, in words.
    pub model: String,
    /// Every model with its share of the weight, heaviest first.
    pub members: Vec<(String, f64)>,
    /// The seasons that were looked at, in steps.
    pub seasons: Vec<usize>,
    /// The expected value at each step.
    pub mean: Vec<f64>,
    /// Holds four of five values.
    pub band80: Band,
    /// Holds nineteen of twenty values.
    pub band95: Band,
    /// `None` for a series that never changed: nothing was there to get wrong.
    pub backtest: Option<BackTest>,
    /// What the expected value of the highest step is made of, where the models can be taken apart: causes and their shares in
    /// the unit of the series, which add up to it. Empty where they cannot.
    pub parts: Vec<(&'static str, f64)>,
}

/// Predicts one series. See [`forecast_all`].
pub fn forecast(series: &Series, config: &Config, cancel: &AtomicBool) -> Result<Forecast, Refusal> {
    let mut results = forecast_all(std::slice::from_ref(series), config, cancel, &|_, _| ());
    results.pop().unwrap_or(Err(Refusal::Cancelled))
}

/// Predicts many series, one result each, in order; `progress(done, total)` is called from the threads that work.
pub fn forecast_all(
    all: &[Series],
    config: &Config,
    cancel: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Vec<Result<Forecast, Refusal>> {
    let done = AtomicUsize::new(0);
    let cores = crew::threads(config.threads);
    let inner = (cores / all.len().max(1)).max(1);
    let drafts = crew::map(all.len(), config.threads, |i| {
        let draft = draft(&all[i], config, inner, cancel);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, all.len());
        draft
    });
    let widening = calibrated(drafts.iter().filter_map(|d| d.as_ref().ok()));
    drafts.into_iter().zip(all).map(|(draft, series)| draft?.finish(series, config, widening)).collect()
}

/// The shares of values that the two bands hold.
const LEVELS: [f64; 2] = [0.8, 0.95];

/// Errors below this are rounding: a series that repeats exactly needs no skill.
const EXACT: f64 = 1e-9;

/// The least history, in values, whatever the season.
const LEAST: usize = 12;

/// A forecast before its intervals are calibrated.
struct Draft {
    seasons: Vec<usize>,
    members: Vec<(String, f64)>,
    mean: Vec<f64>,
    /// Errors of the ensemble on each fold, newest first.
    errors: Vec<Errors>,
    /// Mean absolute error of the baseline over the folds.
    baseline: f64,
    /// As in [`Forecast::parts`].
    parts: Vec<(&'static str, f64)>,
}

fn draft(series: &Series, config: &Config, threads: usize, cancel: &AtomicBool) -> Result<Draft, Refusal> {
    if config.horizon == 0 {
        return Err(Refusal::NoHorizon);
    }
    let ahead = config.horizon + series.stale;
    let seasons = if config.seasons.is_empty() { period::detect(&series.values) } else { config.seasons.clone() };
    let mut seasons = period::with_week(seasons, series.values.len());
    // Of the seasons that were asked for the first one is needed, longer ones must show twice.
    seasons.retain(|s| *s > 1 && (2 * s <= series.values.len() || config.seasons.first() == Some(s)));
    let season = seasons.first().copied();
    let history = season.map_or(Cow::Borrowed(series.values.as_slice()), |s| series.in_season(s));
    let history = history.as_ref();
    let least = (2 * season.unwrap_or(0)).max(LEAST);
    // At least three stretches are predicted, half of each new; a long horizon is tested as far as history allows.
    let need = least + 2 * ahead.min(least.div_ceil(4));
    if history.len() < need {
        return Err(Refusal::TooShort { have: history.len(), need });
    }
    if history.iter().all(|v| *v == history[0]) {
        return Ok(Draft {
            seasons,
            members: vec![("constant".to_owned(), 1.0)],
            mean: vec![history[0]; ahead],
            errors: Vec::new(),
            baseline: 0.0,
            parts: Vec::new(),
        });
    }
    let tested = ahead.min((history.len() - least) / 2).min(history.len() / 4).max(1);
    let origins = backtest::origins(history.len(), tested, least);
    let candidates = candidates::all(&seasons);
    let members: Vec<Member> = crew::map(candidates.len(), threads, |i| {
        backtest::run(&candidates[i], history, &origins, tested, ahead, cancel)
    })
    .into_iter()
    .flatten()
    .collect();
    if cancel.load(Ordering::Relaxed) || members.is_empty() {
        return Err(Refusal::Cancelled);
    }
    let means = backtest::means(&members, None);
    let weights = ensemble::weights(&means);
    let paths: Vec<&[f64]> = members.iter().map(|m| m.path.as_slice()).collect();
    let mean = ensemble::combine(&paths, &weights);
    let baseline_name = season.map_or("naive".to_owned(), |s| format!("seasonal naive {s}"));
    let baseline = members.iter().zip(&means).find(|(m, _)| m.name == baseline_name).map_or(f64::NAN, |(_, e)| *e);
    let errors = backtest::ensemble_errors(&members, history, &origins);
    let peak = (series.stale..ahead).max_by(|a, b| mean[*a].total_cmp(&mean[*b])).filter(|_| config.explain);
    let parts = peak.map_or_else(Vec::new, |at| {
        let shares = members.iter().zip(ensemble::heard(&paths, &weights, at)).filter(|(_, share)| *share > 0.0);
        let known = |name: &str| candidates.iter().find(|c| c.name == name);
        let heard: Vec<_> = shares.filter_map(|(m, share)| Some((known(&m.name)?, share))).collect();
        why::parts(history, &seasons, &heard, (at, mean[at]), threads, cancel)
    });
    let mut members: Vec<(String, f64)> = members.into_iter().map(|m| m.name).zip(weights).collect();
    members.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(Draft { seasons, members, mean, errors, baseline, parts })
}

impl Draft {
    fn finish(self, series: &Series, config: &Config, widening: [f64; 2]) -> Result<Forecast, Refusal> {
        let history = &series.values;
        // A season that repeats exactly is no unit; then the mean change per step is.
        let season = self.seasons.first().copied().unwrap_or(1);
        let scale = metrics::seasonal_scale(history, season).or_else(|| metrics::seasonal_scale(history, 1));
        let positive = history.iter().all(|v| *v >= 0.0);
        self.spoken(scale, positive, series.stale, config.require_skill, widening)
    }

    /// The forecast, its first `stale` steps left out; errors are told in units of `scale`.
    fn spoken(
        self,
        scale: Option<f64>,
        positive: bool,
        stale: usize,
        require_skill: bool,
        widening: [f64; 2],
    ) -> Result<Forecast, Refusal> {
        let floor = if positive { 0.0 } else { f64::NEG_INFINITY };
        let ahead = self.mean.len();
        let scores = Scores::new(&self.errors.iter().collect::<Vec<_>>());
        let bands = [0, 1].map(|i| {
            let half = scores.as_ref().map_or(vec![0.0; ahead], |s| s.half_widths(LEVELS[i], ahead));
            let ends = |sign: f64| {
                self.mean.iter().zip(&half).skip(stale).map(|(m, w)| (m + sign * w * widening[i]).max(floor)).collect()
            };
            Band { low: ends(-1.0), high: ends(1.0) }
        });
        let [band80, band95] = bands;
        let backtest = scale.map(|scale| self.score(scale));
        if let Some(test) = backtest.filter(|t| require_skill && t.mase > EXACT && t.skill() <= 0.0) {
            return Err(Refusal::NoSkill { mase: test.mase, baseline: test.baseline });
        }
        let mean = self.mean.iter().skip(stale).map(|v| v.max(floor)).collect();
        let model = match self.members.first() {
            Some((name, weight)) if *weight > 0.9 => name.clone(),
            _ => format!("ensemble of {}", self.members.len()),
        };
        // Where nothing is above the floor the expected value is the floor, whatever it was made of.
        let parts = if self.mean.iter().any(|v| *v > floor) { self.parts } else { Vec::new() };
        let (members, seasons) = (self.members, self.seasons);
        Ok(Forecast { model, members, seasons, mean, band80, band95, backtest, parts })
    }

    fn score(&self, scale: f64) -> BackTest {
        let count = self.errors.iter().map(Vec::len).sum::<usize>();
        let error = self.errors.iter().flatten().map(|e| e.abs()).sum::<f64>() / count as f64;
        let [coverage80, coverage95] = [0, 1].map(|i| {
            let left = interval::left_out(&self.errors, LEVELS[i]);
            left.iter().filter(|r| **r <= 1.0).count() as f64 / left.len() as f64
        });
        BackTest {
            folds: self.errors.len(),
            mase: error / scale,
            baseline: self.baseline / scale,
            coverage80,
            coverage95,
        }
    }
}

/// The factors on the half widths of all series of a batch: one series alone has too few independent errors.
fn calibrated<'a>(drafts: impl Iterator<Item = &'a Draft> + Clone) -> [f64; 2] {
    LEVELS.map(|level| {
        let mut pool: Vec<f64> = drafts.clone().flat_map(|d| interval::left_out(&d.errors, level)).collect();
        interval::widening(&mut pool, level)
    })
}
