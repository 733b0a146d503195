//! Whether two samples come from one distribution: the Kolmogorov-Smirnov test and the population stability index.

/// Share that an empty bin is held to have, so that the stability index stays finite.
const EMPTY: f64 = 1e-4;

/// Result of a two-sample test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KolmogorovSmirnov {
    /// Largest distance between the two empirical distribution functions, 0..1.
    pub distance: f64,
    /// Probability of at least this distance if both samples come from one distribution (asymptotic).
    pub p_value: f64,
}

/// The two-sample Kolmogorov-Smirnov test; values that are not finite are left out, `None` when a sample is empty.
/// The p-value is the asymptotic series with Stephens' (1970) correction for small samples. Samples of a time series
/// depend on each other, which makes p-values too small: thin them by [`decorrelation_lag`] first.
pub fn kolmogorov_smirnov(one: &[f64], other: &[f64]) -> Option<KolmogorovSmirnov> {
    let (one, other) = (sorted(one), sorted(other));
    if one.is_empty() || other.is_empty() {
        return None;
    }
    let (n, m) = (one.len() as f64, other.len() as f64);
    let (mut i, mut j, mut distance) = (0, 0, 0.0f64);
    while i < one.len() && j < other.len() {
        let value = one[i].min(other[j]);
        i += one[i..].partition_point(|held| *held <= value);
        j += other[j..].partition_point(|held| *held <= value);
        distance = distance.max((i as f64 / n - j as f64 / m).abs());
    }
    let root = (n * m / (n + m)).sqrt();
    Some(KolmogorovSmirnov { distance, p_value: kolmogorov((root + 0.12 + 0.11 / root) * distance) })
}

/// Probability that the Kolmogorov statistic exceeds `lambda`: `2 * sum (-1)^(k-1) exp(-2 k^2 lambda^2)`.
fn kolmogorov(lambda: f64) -> f64 {
    if lambda < 0.2 {
        return 1.0; // the series needs many terms here and differs from 1 by less than 1e-12
    }
    let mut sum = 0.0;
    for k in 1..=100 {
        let term = (-2.0 * f64::from(k * k) * lambda * lambda).exp();
        sum += if k % 2 == 1 { term } else { -term };
        if term < 1e-16 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// Columns of `now` whose values come from elsewhere than those of `reference`, both whole rows of `columns` values: by
/// the Kolmogorov-Smirnov test at the level `level`, corrected for the number of columns compared (Bonferroni), and by at
/// least the distance `least` of the column, for many samples make every little difference sure. With how many could be
/// compared: those with at least [`FEW`] finite values on both sides.
pub fn drifted(
    reference: &[f64],
    now: &[f64],
    columns: usize,
    level: f64,
    least: impl Fn(usize) -> f64,
) -> (Vec<usize>, usize) {
    let column =
        |rows: &[f64], at: usize| sorted(&rows.iter().skip(at).step_by(columns.max(1)).copied().collect::<Vec<_>>());
    let pairs = (0..columns).map(|at| (at, column(reference, at), column(now, at)));
    let compared: Vec<(usize, KolmogorovSmirnov)> = pairs
        .filter(|(_, one, other)| one.len() >= FEW && other.len() >= FEW)
        .filter_map(|(at, one, other)| Some((at, kolmogorov_smirnov(&one, &other)?)))
        .collect();
    let each = level / compared.len().max(1) as f64;
    let far = compared.iter().filter(|(at, ks)| ks.p_value < each && ks.distance >= least(*at));
    (far.map(|(at, _)| *at).collect(), compared.len())
}

/// Fewer values say nothing of where they come from.
pub const FEW: usize = 20;

/// Population stability index of `now` against `reference` over `bins` quantile bins of the reference; 0 is no change,
/// above 0.25 is commonly called a major one. `None` when a sample has no finite value or there are no bins.
pub fn population_stability(reference: &[f64], now: &[f64], bins: usize) -> Option<f64> {
    let (reference, now) = (sorted(reference), sorted(now));
    if reference.is_empty() || now.is_empty() || bins == 0 {
        return None;
    }
    let mut edges: Vec<f64> = (1..bins).map(|bin| reference[bin * reference.len() / bins]).collect();
    edges.dedup();
    let shares = |sample: &[f64]| -> Vec<f64> {
        let mut from = 0;
        let mut counts: Vec<usize> = Vec::with_capacity(edges.len() + 1);
        for edge in &edges {
            let to = sample.partition_point(|value| value < edge);
            counts.push(to - from);
            from = to;
        }
        counts.push(sample.len() - from);
        counts.into_iter().map(|count| (count as f64 / sample.len() as f64).max(EMPTY)).collect()
    };
    Some(shares(&reference).iter().zip(shares(&now)).map(|(was, is)| (is - was) * (is / was).ln()).sum())
}

/// The first lag at which the autocorrelation falls below `1/e`: samples this far apart are about independent; at
/// least 1, and a quarter of the series when it never falls.
pub fn decorrelation_lag(series: &[f64]) -> usize {
    let count = series.len() as f64;
    let mean = series.iter().sum::<f64>() / count.max(1.0);
    let variance: f64 = series.iter().map(|value| (value - mean).powi(2)).sum();
    let most = (series.len() / 4).max(1);
    (1..most)
        .find(|&lag| {
            let shared: f64 = series.iter().zip(&series[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum();
            shared < variance / std::f64::consts::E || variance <= 0.0
        })
        .unwrap_or(most)
}

/// The finite values, rising.
pub(crate) fn sorted(sample: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = sample.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1u64 << 53) as f64
            })
            .collect()
    }

    #[test]
    fn the_distance_is_the_largest_gap_and_ties_count_together() {
        let ks = kolmogorov_smirnov(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(ks.distance, 0.5);
        assert_eq!(kolmogorov_smirnov(&[1.0; 9], &[1.0; 5]).unwrap().distance, 0.0);
        assert_eq!(kolmogorov_smirnov(&[1.0; 9], &[2.0; 5]).unwrap().distance, 1.0);
    }

    #[test]
    fn the_kolmogorov_distribution_has_its_tabulated_quantiles() {
        for (lambda, p) in [(1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01)] {
            assert!((kolmogorov(lambda) - p).abs() < 1e-4, "{lambda}");
        }
        assert_eq!(kolmogorov(0.0), 1.0);
    }

    #[test]
    fn distance_and_p_value_agree_with_scipys_exact_test() {
        let one: Vec<f64> = (0..50).map(|i| (f64::from(i) * 0.37).fract()).collect();
        for (power, distance, p_value) in [(1.3, 0.12, 0.869_006), (2.0, 0.245, 0.118_250)] {
            let other: Vec<f64> = (0..40).map(|i| (f64::from(i) * 0.61).fract().powf(power)).collect();
            let ks = kolmogorov_smirnov(&one, &other).unwrap();
            assert!((ks.distance - distance).abs() < 1e-12);
            assert!((ks.p_value - p_value).abs() < 0.02, "{}", ks.p_value);
        }
    }

    #[test]
    fn p_values_of_equal_distributions_are_uniform() {
        let p: Vec<f64> = (0..400)
            .map(|trial| kolmogorov_smirnov(&uniform(120, trial), &uniform(80, trial + 10_000)).unwrap().p_value)
            .collect();
        for level in [0.05, 0.2, 0.5] {
            let below = p.iter().filter(|value| **value < level).count() as f64 / 400.0;
            assert!((below - level).abs() < 0.07, "{below} below {level}");
        }
    }

    #[test]
    fn columns_that_moved_far_are_named_and_those_that_moved_a_little_or_are_missing_are_not() {
        let rows = |seed: u64, shift: [f64; 3]| -> Vec<f64> {
            let columns = [uniform(300, seed), uniform(300, seed + 1), uniform(300, seed + 2)];
            let value = |i: usize, c: usize| columns[c][i] + shift[c];
            (0..300).flat_map(|i| [value(i, 0), value(i, 1), value(i, 2), f64::NAN]).collect()
        };
        let reference = rows(1, [0.0; 3]);
        assert_eq!(drifted(&reference, &rows(11, [0.0; 3]), 4, 0.01, |_| 0.3), (vec![], 3));
        assert_eq!(drifted(&reference, &rows(21, [0.0, 0.5, 0.2]), 4, 0.01, |_| 0.3), (vec![1], 3));
        assert_eq!(drifted(&reference, &rows(21, [0.0, 0.5, 0.2])[..4 * 19], 4, 0.01, |_| 0.3), (vec![], 0), "too few");
        assert_eq!(drifted(&[], &[], 0, 0.01, |_| 0.3), (vec![], 0));
    }

    #[test]
    fn a_shift_is_seen_by_both_measures() {
        let was = uniform(1000, 1);
        let shifted: Vec<f64> = uniform(1000, 2).iter().map(|value| value + 0.4).collect();
        assert!(kolmogorov_smirnov(&was, &shifted).unwrap().p_value < 1e-10);
        assert!(population_stability(&was, &shifted, 10).unwrap() > 0.25);
        assert!(population_stability(&was, &uniform(1000, 3), 10).unwrap() < 0.05);
    }

    #[test]
    fn bad_input_has_an_answer() {
        assert!(kolmogorov_smirnov(&[], &[1.0]).is_none());
        assert!(kolmogorov_smirnov(&[f64::NAN, f64::INFINITY], &[1.0]).is_none());
        assert!(population_stability(&[1.0], &[1.0], 0).is_none());
        assert_eq!(population_stability(&[3.0; 50], &[3.0; 20], 10), Some(0.0));
        assert_eq!(decorrelation_lag(&[]), 1);
        assert_eq!(decorrelation_lag(&[2.0; 40]), 1);
    }

    #[test]
    fn the_decorrelation_lag_of_an_ar_1_process_is_that_of_its_coefficient() {
        let mut value = 0.0;
        let series: Vec<f64> = uniform(20_000, 5)
            .iter()
            .map(|step| {
                value = 0.9 * value + step - 0.5;
                value
            })
            .collect();
        assert!((8..=12).contains(&decorrelation_lag(&series))); // 0.9^9.5 = 1/e
    }
}
