//! The functions by what they take: numbers, times, or a window of samples. Formulas are those of Prometheus 3.8
//! (`promql/functions.go`).

use super::storage::Sample;
use chrono::{DateTime, Datelike, Timelike, Utc};

/// Whether there is such a function here: those of Prometheus 3.8 with its experimental ones, `info` excepted.
pub fn known(name: &str) -> bool {
    math(name).is_some() || date(name).is_some() || window(name).is_some() || SPECIAL.contains(&name)
}

/// Functions that the evaluator treats one by one.
const SPECIAL: [&str; 25] = [
    "absent",
    "absent_over_time",
    "clamp",
    "clamp_max",
    "clamp_min",
    "histogram_avg",
    "histogram_count",
    "histogram_fraction",
    "histogram_quantile",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "label_join",
    "label_replace",
    "pi",
    "round",
    "scalar",
    "sort",
    "sort_by_label",
    "sort_by_label_desc",
    "sort_desc",
    "time",
    "timestamp",
    "vector",
    "info",
];

/// A function of one number.
pub fn math(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "sgn" => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        _ => return None,
    })
}

/// A function of a time.
pub fn date(name: &str) -> Option<fn(DateTime<Utc>) -> f64> {
    Some(match name {
        "minute" => |t| f64::from(t.minute()),
        "hour" => |t| f64::from(t.hour()),
        "day_of_week" => |t| f64::from(t.weekday().num_days_from_sunday()),
        "day_of_month" => |t| f64::from(t.day()),
        "day_of_year" => |t| f64::from(t.ordinal()),
        "days_in_month" => |t| f64::from(t.num_days_in_month()),
        "month" => |t| f64::from(t.month()),
        "year" => |t| f64::from(t.year()),
        _ => return None,
    })
}

/// A series' samples in a window, as a function over time sees them.
pub struct Window<'a> {
    /// At least one.
    pub samples: &'a [Sample],
    /// The window's left edge, milliseconds; it belongs to the one before.
    pub from: i64,
    /// The window's right edge, milliseconds.
    pub to: i64,
    /// The time of evaluation, milliseconds.
    pub now: i64,
    /// The other arguments.
    pub args: &'a [f64],
}

impl Window<'_> {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.samples.iter().map(|s| s.value)
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        self.samples.windows(2).map(|w| (w[0].value, w[1].value))
    }

    fn last(&self) -> Sample {
        self.samples[self.samples.len() - 1]
    }
}

/// What a function over time gives: a value, nothing, or an error.
type Outcome = Result<Option<f64>, String>;

/// A function of a window.
pub fn window(name: &str) -> Option<fn(&Window<'_>) -> Outcome> {
    Some(match name {
        "rate" => |w| Ok(extrapolated(w, true, true)),
        "increase" => |w| Ok(extrapolated(w, true, false)),
        "delta" => |w| Ok(extrapolated(w, false, false)),
        "irate" => |w| Ok(last_two(w, true)),
        "idelta" => |w| Ok(last_two(w, false)),
        "deriv" => |w| Ok((w.samples.len() > 1).then(|| regression(w.samples, w.samples[0].at).0)),
        "predict_linear" => |w| {
            Ok((w.samples.len() > 1).then(|| {
                let (slope, intercept) = regression(w.samples, w.now);
                slope * w.args[0] + intercept
            }))
        },
        "double_exponential_smoothing" => smoothing,
        "resets" => |w| Ok(Some(w.pairs().filter(|(a, b)| b < a).count() as f64)),
        "changes" => |w| Ok(Some(w.pairs().filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan())).count() as f64)),
        "count_over_time" => |w| Ok(Some(w.samples.len() as f64)),
        "sum_over_time" => |w| Ok(Some(w.values().fold(Sum::default(), Sum::plus).total())),
        "avg_over_time" => |w| {
            let mut values = w.values();
            let first = values.next().map(Mean::of);
            Ok(first.map(|first| values.fold(first, Mean::plus).value()))
        },
        "min_over_time" => |w| Ok(Some(extreme(w, |new, old| new < old).value)),
        "max_over_time" => |w| Ok(Some(extreme(w, |new, old| new > old).value)),
        "ts_of_min_over_time" => |w| Ok(Some(extreme(w, |new, old| new <= old).at as f64 / 1000.0)),
        "ts_of_max_over_time" => |w| Ok(Some(extreme(w, |new, old| new >= old).at as f64 / 1000.0)),
        "first_over_time" => |w| Ok(Some(w.samples[0].value)),
        "last_over_time" => |w| Ok(Some(w.last().value)),
        "ts_of_first_over_time" => |w| Ok(Some(w.samples[0].at as f64 / 1000.0)),
        "ts_of_last_over_time" => |w| Ok(Some(w.last().at as f64 / 1000.0)),
        "present_over_time" => |_| Ok(Some(1.0)),
        "stdvar_over_time" => |w| Ok(Some(variance(w))),
        "stddev_over_time" => |w| Ok(Some(variance(w).sqrt())),
        "quantile_over_time" => |w| Ok(Some(quantile(w.args[0], w.values().collect()))),
        "mad_over_time" => |w| {
            let median = quantile(0.5, w.values().collect());
            Ok(Some(quantile(0.5, w.values().map(|v| (v - median).abs()).collect())))
        },
        _ => return None,
    })
}

/// Kahan's summation with Neumaier's improvement (`kahanSumInc`).
#[derive(Debug, Default, Clone, Copy)]
pub struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    /// A sum of one.
    pub fn of(value: f64) -> Self {
        Self { sum: value, lost: 0.0 }
    }

    /// And another.
    #[must_use]
    pub fn plus(self, value: f64) -> Self {
        let sum = self.sum + value;
        let lost = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.lost + ((self.sum - sum) + value)
        } else {
            self.lost + ((value - sum) + self.sum)
        };
        Self { sum, lost }
    }

    /// The sum.
    pub fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }
}

/// The mean: a sum that is divided at the end, or, once it would overflow, a running mean.
#[derive(Debug, Clone, Copy)]
pub struct Mean {
    sum: Sum,
    count: f64,
    running: bool,
}

impl Mean {
    /// Of one.
    pub fn of(value: f64) -> Self {
        Self { sum: Sum::of(value), count: 1.0, running: false }
    }

    /// And of another.
    #[must_use]
    pub fn plus(mut self, value: f64) -> Self {
        self.count += 1.0;
        if !self.running {
            let sum = self.sum.plus(value);
            if !sum.sum.is_infinite() {
                return Self { sum, ..self };
            }
            self.running = true;
            let before = self.count - 1.0;
            self.sum = Sum { sum: self.sum.sum / before, lost: self.sum.lost / before };
        }
        let part = (self.count - 1.0) / self.count;
        self.sum = Sum { sum: part * self.sum.sum, lost: part * self.sum.lost }.plus(value / self.count);
        self
    }

    /// The mean.
    pub fn value(self) -> f64 {
        if self.running { self.sum.sum + self.sum.lost } else { self.sum.sum / self.count + self.sum.lost / self.count }
    }
}

/// `extrapolatedRate`: what the counter grew by, carried on to the window's edges where samples come close to them.
fn extrapolated(w: &Window<'_>, counter: bool, per_second: bool) -> Option<f64> {
    let [first, .., last] = w.samples else { return None };
    let mut grown = last.value - first.value;
    if counter {
        grown = w.pairs().filter(|(before, after)| after < before).fold(grown, |grown, (before, _)| grown + before);
    }
    let sampled = (last.at - first.at) as f64 / 1000.0;
    let between = sampled / (w.samples.len() - 1) as f64;
    let near = between * 1.1;
    let mut to_start = (first.at - w.from) as f64 / 1000.0;
    let mut to_end = (w.to - last.at) as f64 / 1000.0;
    if to_start >= near {
        to_start = between / 2.0;
    }
    // A counter is not carried on to below zero.
    if counter && grown > 0.0 && first.value >= 0.0 {
        to_start = to_start.min(sampled * (first.value / grown));
    }
    if to_end >= near {
        to_end = between / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if per_second {
        factor /= (w.to - w.from) as f64 / 1000.0;
    }
    Some(grown * factor)
}

fn last_two(w: &Window<'_>, per_second: bool) -> Option<f64> {
    let [.., before, last] = w.samples else { return None };
    let reset = per_second && last.value < before.value;
    let grown = if reset { last.value } else { last.value - before.value };
    Some(if per_second { grown / ((last.at - before.at) as f64 / 1000.0) } else { grown })
}

/// Least squares: slope per second, and the value at `at`.
fn regression(samples: &[Sample], at: i64) -> (f64, f64) {
    let first = samples[0].value;
    if samples.iter().skip(1).all(|s| s.value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    // Of x, y, xy and xx.
    let mut sums = [Sum::default(); 4];
    for s in samples {
        let t = (s.at - at) as f64 / 1e3;
        let terms = [t, s.value, t * s.value, t * t];
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum = sum.plus(term));
    }
    let n = samples.len() as f64;
    let [x, y, xy, xx] = sums.map(|s| s.sum + s.lost);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

/// Holt's double exponential smoothing.
fn smoothing(w: &Window<'_>) -> Outcome {
    let (smooth, trend) = (w.args[0], w.args[1]);
    for (name, factor) in [("smoothing", smooth), ("trend", trend)] {
        if factor <= 0.0 || factor >= 1.0 {
            return Err(format!("invalid {name} factor. Expected: 0 < {}f < 1, got: {factor:.6}", &name[..1]));
        }
    }
    if w.samples.len() < 2 {
        return Ok(None);
    }
    let (mut before, mut level) = (0.0, w.samples[0].value);
    let mut slope = w.samples[1].value - level;
    for (i, s) in w.samples.iter().enumerate().skip(1) {
        if i > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        (before, level) = (level, smooth * s.value + (1.0 - smooth) * (level + slope));
    }
    Ok(Some(level))
}

/// The first sample that none beats; a NaN is beaten by anything.
fn extreme(w: &Window<'_>, beats: fn(f64, f64) -> bool) -> Sample {
    w.samples
        .iter()
        .skip(1)
        .fold(w.samples[0], |best, s| if beats(s.value, best.value) || best.value.is_nan() { *s } else { best })
}

fn variance(w: &Window<'_>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for v in w.values() {
        count += 1.0;
        let delta = v - (mean.sum + mean.lost);
        mean = mean.plus(delta / count);
        squares = squares.plus(delta * (v - (mean.sum + mean.lost)));
    }
    (squares.sum + squares.lost) / count
}

/// A quantile of values, between two of them by weight; NaN sorts first.
pub fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)));
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = rank.floor().max(0.0) as usize;
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}
