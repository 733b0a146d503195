//! Seasonal-trend decomposition with several seasons (MSTL: Bandara, Hyndman and Bergmeir 2021, by the crate `stlrs`);
//! what is left after the seasons is smoothed exponentially, the seasons repeat.

use super::ets::Ets;
use super::naive;

/// Predicts `horizon` steps. `None` when history is shorter than two of the longest season, or decomposition fails.
pub fn predict(history: &[f64], seasons: &[usize], horizon: usize) -> Option<Vec<f64>> {
    let parts = stlrs::Mstl::fit(history, seasons).ok()?;
    let mut adjusted = history.to_vec();
    for season in parts.seasonal() {
        for (value, part) in adjusted.iter_mut().zip(season) {
            *value -= part;
        }
    }
    let mut path = Ets::best(&adjusted, 0)?.predict(horizon);
    for (part, season) in parts.seasonal().iter().zip(seasons) {
        for (value, cycle) in path.iter_mut().zip(naive::seasonal(part, *season, horizon)?) {
            *value += cycle;
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    #[test]
    fn the_decomposition_is_that_of_statsmodels() {
        // statsmodels 0.15 MSTL(periods=(12, 60)) on the same formula; R's jumps make small differences.
        let value = |t: f64| {
            100.0 + 0.05 * t + 8.0 * (TAU * t / 12.0).sin() + 5.0 * (TAU * t / 60.0).sin() + (t * t * 0.37).sin()
        };
        let y: Vec<f64> = (0..400).map(|t| value(f64::from(t))).collect();
        let parts = stlrs::Mstl::fit(&y, &[12, 60]).unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 0.1, "{a} against {b}");
        near(parts.trend()[200], 110.015_465_78);
        near(parts.seasonal()[0][200], -7.123_510_57);
        near(parts.seasonal()[1][200], 4.534_948_61);
    }

    #[test]
    fn the_parts_add_up_to_the_series() {
        let y: Vec<f64> = crate::ml::forecast::made_up::traffic(1, 400, 2.0);
        let parts = stlrs::Mstl::fit(&y, &[24, 168]).unwrap();
        for (t, v) in y.iter().enumerate() {
            let sum = parts.trend()[t] + parts.seasonal()[0][t] + parts.seasonal()[1][t] + parts.remainder()[t];
            assert!((sum - v).abs() < 1e-9);
        }
    }

    #[test]
    fn two_seasons_and_a_trend_go_on() {
        let value = |t: f64| 100.0 + 0.05 * t + 8.0 * (TAU * t / 12.0).sin() + 5.0 * (TAU * t / 60.0).sin();
        let y: Vec<f64> = (0..600).map(|t| value(f64::from(t))).collect();
        let path = super::predict(&y, &[12, 60], 60).unwrap();
        for (h, p) in path.iter().enumerate() {
            assert!((p - value(600.0 + h as f64)).abs() < 2.0, "step {h}: {p}");
        }
        assert!(super::predict(&y[..100], &[12, 60], 60).is_none(), "two of the longest season are needed");
    }
}
