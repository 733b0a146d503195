//! The forecasts everyone must beat: the last value, the last season, the last season at today's level.

/// The last value for ever. `None` without history.
pub fn last(history: &[f64], horizon: usize) -> Option<Vec<f64>> {
    history.last().map(|v| vec![*v; horizon])
}

/// The value one `season` ago, again and again. `None` when history is shorter than a season.
pub fn seasonal(history: &[f64], season: usize, horizon: usize) -> Option<Vec<f64>> {
    let start = history.len().checked_sub(season).filter(|_| season > 0)?;
    Some((0..horizon).map(|h| history[start + h % season]).collect())
}

/// The last `long` season, moved to the level of the last `short` one: last week's shape around yesterday's mean.
pub fn levelled(history: &[f64], short: usize, long: usize, horizon: usize) -> Option<Vec<f64>> {
    let shape = seasonal(history, long, horizon)?;
    let n = history.len();
    let then = n.checked_sub(long + short).filter(|_| short > 0)?;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / short as f64;
    let shift = mean(&history[n - short..]) - mean(&history[then..then + short]);
    Some(shape.into_iter().map(|v| v + shift).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seasons_repeat_past_the_first_one() {
        assert_eq!(seasonal(&[9.0, 1.0, 2.0, 3.0], 3, 5), Some(vec![1.0, 2.0, 3.0, 1.0, 2.0]));
        assert_eq!(seasonal(&[1.0], 3, 5), None);
        assert_eq!(last(&[], 2), None);
    }

    #[test]
    fn the_week_is_moved_to_the_level_of_yesterday() {
        // Days of two, weeks of four: the last day stands 10 above the same day a week before.
        let y = [1.0, 3.0, 5.0, 7.0, 11.0, 13.0];
        assert_eq!(levelled(&y, 2, 4, 2), Some(vec![15.0, 17.0]));
        assert_eq!(levelled(&y[1..], 2, 4, 2), None, "a week and a day are needed");
    }
}
