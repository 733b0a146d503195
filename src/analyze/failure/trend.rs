//! A robust trend and what it says of a limit: the median of the slopes between all pairs of points (Theil 1950, Sen 1968)
//! with Sen's interval from the distribution of Kendall's S. A third of the points may be outliers.

use crate::model::failure::TimeToFailure;

/// Fewest points that make a trend.
pub const LEAST: usize = 5;

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.96;

/// A slope, its 95 % interval, and the level of the line at the last point. Neighbouring samples are not independent, so
/// that the interval is narrower than its name says; what rests on it says "by this trend".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Lower end of the slope's interval, units per second.
    pub low: f64,
    /// The slope.
    pub slope: f64,
    /// Upper end.
    pub high: f64,
    /// Value of the line at the last point.
    pub level: f64,
}

impl Trend {
    /// Whether the interval excludes a slope of zero or below.
    pub fn rises(&self) -> bool {
        self.low > 0.0
    }

    /// When the line from `level` reaches `limit`. `None` where the interval contains no rise; 0 where it is there.
    pub fn reaches(&self, level: f64, limit: f64) -> Option<TimeToFailure> {
        if !level.is_finite() || !limit.is_finite() {
            return None;
        }
        if level >= limit {
            return Some(TimeToFailure { earliest: 0.0, expected: 0.0, latest: 0.0 });
        }
        let left = limit - level;
        self.rises().then(|| TimeToFailure {
            earliest: left / self.high,
            expected: left / self.slope,
            latest: left / self.low,
        })
    }
}

/// The trend of `points` (seconds, value) in the order of time. `None` below [`LEAST`] finite points.
pub fn trend(points: &[(f64, f64)]) -> Option<Trend> {
    let points: Vec<(f64, f64)> = points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let n = points.len();
    if n < LEAST {
        return None;
    }
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    for (i, (x, y)) in points.iter().enumerate() {
        slopes.extend(points[i + 1..].iter().filter(|(later, _)| later > x).map(|(later, z)| (z - y) / (later - x)));
    }
    if slopes.is_empty() {
        return None;
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let count = slopes.len();
    let pairs = n as f64;
    let spread = Z * (pairs * (pairs - 1.0) * (2.0 * pairs + 5.0) / 18.0).sqrt();
    let rank = |r: f64| slopes[(r.max(0.0) as usize).min(count - 1)];
    let slope = median_sorted(&slopes);
    let last = points[n - 1].0;
    let mut levels: Vec<f64> = points.iter().map(|(x, y)| y + slope * (last - x)).collect();
    levels.sort_unstable_by(f64::total_cmp);
    Some(Trend {
        low: rank((count as f64 - spread) / 2.0),
        slope,
        high: rank(f64::midpoint(count as f64, spread)),
        level: median_sorted(&levels),
    })
}

fn median_sorted(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

/// The median of the finite values; `None` without any.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut finite: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    finite.sort_unstable_by(f64::total_cmp);
    (!finite.is_empty()).then(|| median_sorted(&finite))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize, slope: f64) -> Vec<(f64, f64)> {
        (0..n).map(|i| (15.0 * i as f64, 10.0 + slope * 15.0 * i as f64)).collect()
    }

    #[test]
    fn a_line_is_found_exactly_and_reaches_its_limit_when_it_does() {
        let t = trend(&line(20, 0.5)).unwrap();
        assert!((t.slope - 0.5).abs() < 1e-9 && (t.level - (10.0 + 0.5 * 285.0)).abs() < 1e-9);
        let when = t.reaches(t.level, t.level + 60.0).unwrap();
        assert!((when.expected - 120.0).abs() < 1e-6);
        assert!(when.earliest <= when.expected && when.expected <= when.latest);
    }

    #[test]
    fn outliers_do_not_turn_a_trend() {
        let mut points = line(30, 0.2);
        for i in [3, 11, 17, 25] {
            points[i].1 = 9000.0;
        }
        let t = trend(&points).unwrap();
        assert!((t.slope - 0.2).abs() < 0.02 && t.rises(), "{t:?}");
    }

    #[test]
    fn noise_and_constants_reach_nothing() {
        let mut state = 7u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1u32 << 31)
        };
        let t = trend(&(0..60).map(|i| (f64::from(i), noise())).collect::<Vec<_>>()).unwrap();
        assert!(t.low < 0.0 && t.high > 0.0 && t.reaches(0.5, 2.0).is_none(), "{t:?}");
        let flat = trend(&[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0)]).unwrap();
        assert!(flat.reaches(1.0, 2.0).is_none());
        assert_eq!(flat.reaches(2.0, 2.0).map(|t| t.latest), Some(0.0), "what is there needs no trend");
    }

    #[test]
    fn bad_input_has_no_trend() {
        let nan = f64::NAN;
        assert_eq!(trend(&[]), None);
        assert_eq!(trend(&[(0.0, 1.0), (1.0, nan), (nan, 2.0), (2.0, f64::INFINITY), (3.0, 3.0)]), None);
        assert_eq!(trend(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0), (1.0, 4.0), (1.0, 5.0)]), None, "one moment");
        let t = trend(&line(6, 1.0)).unwrap();
        assert_eq!((t.reaches(nan, 5.0), t.reaches(1.0, f64::INFINITY)), (None, None));
        assert_eq!(median([nan, 3.0, 1.0, 2.0]), Some(2.0));
    }
}
