//! How wrong a forecast was.

/// The mean absolute change over one `season` within `history`: the unit of [`mase`] (Hyndman and Koehler 2006).
///
/// `None` when the history is no longer than a season, or never changed: nothing can be scaled by it.
pub fn seasonal_scale(history: &[f64], season: usize) -> Option<f64> {
    let count = history.len().checked_sub(season).filter(|n| *n > 0)?;
    let sum: f64 = history.iter().zip(&history[season..]).map(|(a, b)| (a - b).abs()).sum();
    Some(sum / count as f64).filter(|s| *s > 0.0 && s.is_finite())
}

/// The mean absolute error. Both slices must be equally long; empty ones give NaN.
pub fn mae(actual: &[f64], predicted: &[f64]) -> f64 {
    let sum: f64 = actual.iter().zip(predicted).map(|(a, p)| (a - p).abs()).sum();
    sum / actual.len() as f64
}

/// Mean absolute scaled error: 1 is as wrong as the seasonal naive forecast was, on average, within `history`.
pub fn mase(history: &[f64], season: usize, actual: &[f64], predicted: &[f64]) -> Option<f64> {
    seasonal_scale(history, season).map(|scale| mae(actual, predicted) / scale)
}

/// Symmetric mean absolute percentage error in percent (0..200), as the M4 competition defines it; 0/0 counts as 0.
pub fn smape(actual: &[f64], predicted: &[f64]) -> f64 {
    let part = |(a, p): (&f64, &f64)| if a == p { 0.0 } else { 200.0 * (a - p).abs() / (a.abs() + p.abs()) };
    actual.iter().zip(predicted).map(part).sum::<f64>() / actual.len() as f64
}

/// Mean pinball loss of a predicted quantile `level` (0..1): the score whose least value the true quantile has.
pub fn pinball(actual: &[f64], quantile: &[f64], level: f64) -> f64 {
    let part = |(a, q): (&f64, &f64)| if a >= q { level * (a - q) } else { (1.0 - level) * (q - a) };
    actual.iter().zip(quantile).map(part).sum::<f64>() / actual.len() as f64
}

/// The share (0..1) of values that lie within their interval, borders included.
pub fn coverage(actual: &[f64], low: &[f64], high: &[f64]) -> f64 {
    let inside = actual.iter().zip(low.iter().zip(high)).filter(|(a, (l, h))| *l <= *a && *a <= *h).count();
    inside as f64 / actual.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_checked_figures() {
        let history = [1.0, 2.0, 4.0, 4.0];
        assert_eq!(seasonal_scale(&history, 2), Some(2.5));
        assert_eq!(mase(&history, 2, &[5.0, 0.0], &[0.0, 0.0]), Some(1.0));
        assert_eq!(smape(&[0.0, 3.0], &[0.0, 1.0]), 50.0);
        assert!((pinball(&[10.0, 0.0], &[8.0, 5.0], 0.9) - 1.15).abs() < 1e-12);
        assert_eq!(coverage(&[1.0, 2.0, 3.0], &[0.0, 2.0, 4.0], &[1.0, 3.0, 5.0]), 2.0 / 3.0);
    }

    #[test]
    fn a_series_that_never_changed_has_no_scale() {
        assert_eq!(seasonal_scale(&[3.0; 9], 2), None);
        assert_eq!(seasonal_scale(&[3.0, 4.0], 2), None);
    }
}
