//! Exponential smoothing with additive errors: level, additive damped trend, additive season.
//!
//! Hyndman, Koehler, Ord and Snyder, "Forecasting with Exponential Smoothing" (2008), the models (A,N,N), (A,Ad,N),
//! (A,N,A) and (A,Ad,A). Parameters by least squared one-step errors, the model by the corrected Akaike criterion.

use super::simplex;

/// Smoothing parameters. `season` is the book's gamma; without trend, `slope` and `damping` are unused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothing {
    /// Weight of an error on the level, 0..1.
    pub level: f64,
    /// Weight of an error on the slope, 0..level.
    pub slope: f64,
    /// What remains of the slope after one step, 0.8..0.98.
    pub damping: f64,
    /// Weight of an error on the season, 0..1-level.
    pub season: f64,
}

/// The state after the last value that was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The level.
    pub level: f64,
    /// The slope per step; `None` in a model without trend.
    pub slope: Option<f64>,
    /// One value per phase, that of the next step first; empty in a model without season.
    pub season: Vec<f64>,
}

impl State {
    /// Takes in one value and returns the one-step error that it made.
    fn step(&mut self, value: f64, by: &Smoothing) -> f64 {
        let drift = self.slope.map_or(0.0, |b| b * by.damping);
        let seasonal = self.season.first().copied().unwrap_or(0.0);
        let error = value - (self.level + drift + seasonal);
        self.level += drift + by.level * error;
        if let Some(slope) = &mut self.slope {
            *slope = drift + by.slope * error;
        }
        if let Some(first) = self.season.first_mut() {
            *first += by.season * error;
            self.season.rotate_left(1);
        }
        error
    }

    /// The expected values of the next `horizon` steps.
    pub fn predict(&self, by: &Smoothing, horizon: usize) -> Vec<f64> {
        let (mut drift, mut factor) = (0.0, 1.0);
        let phases = self.season.len().max(1);
        (0..horizon)
            .map(|h| {
                factor *= by.damping;
                drift += self.slope.unwrap_or(0.0) * factor;
                self.level + drift + self.season.get(h % phases).copied().unwrap_or(0.0)
            })
            .collect()
    }
}

/// A fitted model.
#[derive(Debug, Clone)]
pub struct Ets {
    /// The parameters that made the least squared error.
    pub smoothing: Smoothing,
    /// The state at the end of the history.
    pub state: State,
    /// The sum of squared one-step errors.
    pub squared_error: f64,
    /// The corrected Akaike criterion; smaller is better.
    pub aicc: f64,
}

impl Ets {
    /// Fits one model. `season` below 2 means none. `None` when history is shorter than two seasons or 6 values.
    pub fn fit(history: &[f64], season: usize, trend: bool) -> Option<Self> {
        let season = if season < 2 { 0 } else { season };
        if history.len() < (2 * season).max(6) {
            return None;
        }
        let start = initial(history, season, trend);
        let squared = |by: &Smoothing| {
            let mut state = Cursor::new(&start);
            history.iter().map(|v| state.step(*v, by).powi(2)).sum::<f64>()
        };
        let seeds: &[[f64; 4]] = &[[0.3, 0.2, 0.6, 0.2], [0.8, 0.1, 0.9, 0.5]];
        let (unit, error) = seeds
            .iter()
            .map(|seed| simplex::minimise(|p| squared(&constrain(p)), seed, 0.15, 200))
            .min_by(|a, b| a.1.total_cmp(&b.1))?;
        let smoothing = constrain(&unit);
        let mut state = start;
        let squared_error: f64 = history.iter().map(|v| state.step(*v, &smoothing).powi(2)).sum();
        if !error.is_finite() || !state.level.is_finite() {
            return None;
        }
        let n = history.len() as f64;
        // Parameters: level weight and start, slope weight, damping and start, season weight and starts, variance.
        let k = 3.0 + if trend { 3.0 } else { 0.0 } + if season > 0 { season as f64 } else { 0.0 };
        let aicc = n * (squared_error / n).max(f64::MIN_POSITIVE).ln()
            + 2.0 * k
            + 2.0 * k * (k + 1.0) / (n - k - 1.0).max(1.0);
        Some(Self { smoothing, state, squared_error, aicc })
    }

    /// Fits the models with and without trend and keeps the one with the smaller criterion.
    pub fn best(history: &[f64], season: usize) -> Option<Self> {
        let fits = [false, true].into_iter().filter_map(|trend| Self::fit(history, season, trend));
        fits.min_by(|a, b| a.aicc.total_cmp(&b.aicc))
    }

    /// The expected values of the next `horizon` steps.
    pub fn predict(&self, horizon: usize) -> Vec<f64> {
        self.state.predict(&self.smoothing, horizon)
    }
}

/// The same recursion as [`State::step`] with the season read in place: the fit runs it hundreds of times.
struct Cursor {
    state: State,
    season: Vec<f64>,
    phase: usize,
}

impl Cursor {
    fn new(start: &State) -> Self {
        let state = State { season: Vec::new(), ..start.clone() };
        Self { state, season: start.season.clone(), phase: 0 }
    }

    fn step(&mut self, value: f64, by: &Smoothing) -> f64 {
        let Some(seasonal) = self.season.get_mut(self.phase) else { return self.state.step(value, by) };
        let error = self.state.step(value - *seasonal, by);
        *seasonal += by.season * error;
        self.phase = (self.phase + 1) % self.season.len();
        error
    }
}

/// From the unconstrained point of the search to admissible parameters.
fn constrain(p: &[f64; 4]) -> Smoothing {
    // Reflected at the borders, so that the search may cross them.
    let unit = |v: f64| (v.rem_euclid(2.0) - 1.0).abs().mul_add(-1.0, 1.0);
    let level = 1e-4 + 0.9998 * unit(p[0]);
    Smoothing { level, slope: level * unit(p[1]), damping: 0.8 + 0.18 * unit(p[2]), season: (1.0 - level) * unit(p[3]) }
}

/// Starting values: phase means about the level of the first seasons (up to four), level and slope from the first values.
fn initial(history: &[f64], season: usize, trend: bool) -> State {
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    if season == 0 {
        let head = &history[..history.len().min(10)];
        let slope = (head[head.len() - 1] - head[0]) / (head.len() - 1) as f64;
        return State { level: history[0] - slope, slope: trend.then_some(slope), season: Vec::new() };
    }
    let cycles = (history.len() / season).min(4);
    let levels: Vec<f64> = history.chunks_exact(season).take(cycles).map(mean).collect();
    let slope = (levels[cycles - 1] - levels[0]) / ((cycles - 1) * season) as f64;
    let middle = (season as f64 - 1.0) / 2.0;
    let phases = (0..season)
        .map(|i| {
            let off = |c: usize| history[c * season + i] - levels[c] - slope * (i as f64 - middle);
            (0..cycles).map(off).sum::<f64>() / cycles as f64
        })
        .collect();
    let level = if trend { levels[0] - slope * (middle + 1.0) } else { levels[0] };
    State { level, slope: trend.then_some(slope), season: phases }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// A level with slope, a season of twelve and two disturbances; the same formula made the reference figures.
    fn made_up() -> Vec<f64> {
        let value = |t: f64| {
            50.0 + 0.1 * t
                + 10.0 * (TAU * t / 12.0).sin()
                + 3.0 * (TAU * t * 7.0 / 31.0).cos()
                + 2.0 * (t * t * 0.37).sin()
        };
        (0..120).map(|t| value(f64::from(t))).collect()
    }

    #[test]
    fn the_recursion_is_that_of_statsmodels() {
        // statsmodels 0.15 ETSModel(error=add, trend=add, damped, seasonal=add 12, known states).smooth([.3, .05, .2, .9])
        let by = Smoothing { level: 0.3, slope: 0.05, damping: 0.9, season: 0.2 };
        let season: Vec<f64> = (0..12).map(|i| 10.0 * (TAU * f64::from(i) / 12.0).sin()).collect();
        let mut state = State { level: 50.0, slope: Some(0.1), season };
        let squared: f64 = made_up().iter().map(|v| state.step(*v, &by).powi(2)).sum();
        assert!((squared - 1_325.634_431_859_267_1).abs() < 1e-6, "{squared}");
        let path = state.predict(&by, 14);
        assert!(
            (path[0] - 60.221_967_478_756_91).abs() < 1e-8 && (path[13] - 66.498_751_451_963_41).abs() < 1e-8,
            "{path:?}"
        );
    }

    #[test]
    fn the_search_finds_errors_as_small_as_those_of_statsmodels() {
        // Sums of squared errors of statsmodels 0.15 with estimated starting states. Ours are set by rule, not estimated,
        // which costs a tenth at most.
        for (season, trend, theirs) in
            [(0, false, 2_909.087_9), (0, true, 2_717.939_9), (12, false, 887.729_7), (12, true, 767.201)]
        {
            let ours = Ets::fit(&made_up(), season, trend).unwrap().squared_error;
            assert!(ours < 1.1 * theirs, "season {season}, trend {trend}: {ours} against {theirs}");
        }
    }

    #[test]
    fn the_criterion_takes_the_season_and_leaves_a_trend_that_is_not_there() {
        let fit = Ets::best(&made_up(), 12).unwrap();
        assert!(fit.aicc < Ets::best(&made_up(), 0).unwrap().aicc);
        let flat: Vec<f64> = crate::ml::forecast::made_up::noise(5, 200);
        assert!(Ets::best(&flat, 0).unwrap().state.slope.is_none());
    }

    #[test]
    fn a_level_that_stays_is_predicted_as_it_is() {
        let fit = Ets::best(&[7.0; 40], 12).unwrap();
        assert!(fit.predict(24).iter().all(|v| (v - 7.0).abs() < 1e-9));
        assert!(Ets::fit(&[1.0; 23], 12, true).is_none(), "two seasons are needed");
    }
}
