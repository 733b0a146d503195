//! Ridge regression on a series' own past, applied step by step: each prediction becomes the past of the next.

use super::ridge::Ridge;

/// How far beyond the range of the history a step may go, as a share of that range: a recursion that explodes stops there.
const ROOM: f64 = 0.5;

/// Rows enough for a fit: of longer histories every second, third, … row is taken, so that all of it still counts.
const ROWS: usize = 2_000;

/// Predicts `horizon` values after `history` from the values `lags` steps back (each at least 1, ascending).
///
/// `None` when the history is too short for the longest lag and as many rows again as there are lags, halved.
pub fn recursive(history: &[f64], lags: &[usize], horizon: usize) -> Option<Vec<f64>> {
    let longest = *lags.iter().max()?;
    let stride = (history.len().saturating_sub(longest) / ROWS).max(1);
    if history.len() < longest + (lags.len() / 2).max(8) {
        return None;
    }
    let times = || (longest..history.len()).rev().step_by(stride);
    let rows: Vec<f64> = times().flat_map(|t| lags.iter().map(move |lag| history[t - lag])).collect();
    let target: Vec<f64> = times().map(|t| history[t]).collect();
    let model = Ridge::fit(&rows, lags.len(), &target)?;
    let (low, high) = bounds(history);
    let mut path = history[history.len() - longest..].to_vec();
    let mut row = vec![0.0; lags.len()];
    for _ in 0..horizon {
        for (cell, lag) in row.iter_mut().zip(lags) {
            *cell = path[path.len() - lag];
        }
        path.push(model.predict(&row).clamp(low, high));
    }
    Some(path.split_off(longest))
}

/// The range of the history, widened by [`ROOM`] on both sides.
pub(super) fn bounds(history: &[f64]) -> (f64, f64) {
    let (low, high) =
        history.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    let room = (high - low) * ROOM;
    (low - room, high + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_goes_on() {
        let y: Vec<f64> = (0..200).map(|t| (f64::from(t) * 0.3).sin()).collect();
        let path = recursive(&y, &[1, 2, 3], 30).unwrap();
        for (h, p) in path.iter().enumerate() {
            assert!((p - ((200 + h) as f64 * 0.3).sin()).abs() < 0.02, "step {h}: {p}");
        }
    }

    #[test]
    fn a_recursion_that_explodes_stays_near_the_range_of_the_history() {
        let y: Vec<f64> = (0..60).map(|t| 1.2f64.powi(t)).collect();
        let (low, high) = bounds(&y);
        assert!(recursive(&y, &[1, 2], 500).unwrap().iter().all(|v| (low..=high).contains(v)));
    }

    #[test]
    fn a_history_shorter_than_its_lags_is_refused() {
        assert!(recursive(&[1.0; 30], &[1, 24], 5).is_none());
        assert!(recursive(&[], &[1], 5).is_none());
        assert!(recursive(&[1.0; 30], &[], 5).is_none());
    }
}
