//! Finds the seasons of a series: peaks of its autocorrelation, one season after the other.

/// Autocorrelation that a season must reach, and by how much it must rise above the valley before it.
const STRONG: f64 = 0.3;
/// See [`STRONG`].
const RISE: f64 = 0.2;
/// A shorter season almost as strong as the strongest is the real one; the strongest is its multiple.
const ALMOST: f64 = 0.85;
/// The most seasons that are looked for.
const MOST: usize = 2;
/// Lengths that mean "a day" at usual steps (hour, half, quarter, 10, 5, 2 and 1 minutes), where a week may follow.
const DAYS: [usize; 7] = [24, 48, 96, 144, 288, 720, 1440];

/// The seasons of `values` in steps, ascending; empty when none shows at least three times.
pub fn detect(values: &[f64]) -> Vec<usize> {
    let mut rest = detrended(values);
    let mut found: Vec<usize> = Vec::new();
    while found.len() < MOST {
        let Some(season) = strongest(&rest, found.last().copied()) else { break };
        // A week repeats more exactly than the days in it, and then wins over them.
        if found.is_empty()
            && season % 7 == 0
            && DAYS.contains(&(season / 7))
            && autocorrelation(&rest, season / 7)[season / 7] > STRONG
        {
            return vec![season / 7, season];
        }
        found.push(season);
        let profile = profile(&rest, season);
        rest.iter_mut().enumerate().for_each(|(t, v)| *v -= profile[t % season]);
    }
    found
}

/// Adds the week to a day if the history holds two of them: whether it matters is for the back-test to say.
pub fn with_week(mut seasons: Vec<usize>, length: usize) -> Vec<usize> {
    let day = seasons.iter().copied().find(|s| DAYS.contains(s));
    if let Some(week) = day.map(|d| 7 * d).filter(|w| length >= 2 * w && seasons.iter().all(|s| s < w)) {
        seasons.push(week);
    }
    seasons
}

/// Autocorrelation for lags 0..=`longest`; all zero for a series that never moves.
pub fn autocorrelation(values: &[f64], longest: usize) -> Vec<f64> {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n.max(1) as f64;
    let centred: Vec<f64> = values.iter().map(|v| v - mean).collect();
    let energy: f64 = centred.iter().map(|v| v * v).sum();
    let at = |lag: usize| {
        let sum: f64 = centred.iter().zip(centred.get(lag..).unwrap_or(&[])).map(|(a, b)| a * b).sum();
        // Divided by the share of pairs: the raw sum would fall with the lag and hide long seasons.
        let share = (n - lag.min(n)) as f64 / n as f64;
        if energy > 0.0 && share > 0.0 { sum / energy / share } else { 0.0 }
    };
    (0..=longest).map(at).collect()
}

fn detrended(values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let (mut cross, mut square) = (0.0, 0.0);
    for (t, v) in values.iter().enumerate() {
        cross += (t as f64 - middle) * (v - mean);
        square += (t as f64 - middle).powi(2);
    }
    let slope = if square > 0.0 { cross / square } else { 0.0 };
    values.iter().enumerate().map(|(t, v)| v - mean - slope * (t as f64 - middle)).collect()
}

/// The season with the highest peak; multiples of `base` only, if given.
fn strongest(values: &[f64], base: Option<usize>) -> Option<usize> {
    let longest = values.len() / 3;
    let raw = autocorrelation(values, longest + longest / 8 + 1);
    let mut valley = f64::INFINITY;
    let mut peaks: Vec<(usize, f64)> = Vec::new();
    for lag in 2..=longest {
        valley = valley.min(raw[lag - 1]);
        if raw[lag] <= STRONG || raw[lag] - valley <= RISE {
            continue;
        }
        // Noise makes little peaks on the slopes of the real one: a peak is the highest far around.
        let reach = (lag / 8).max(1);
        let top = raw[lag - reach..=lag + reach].iter().all(|v| *v <= raw[lag]);
        if top && base.is_none_or(|b| lag > b && (lag % b <= 1 || b - lag % b <= 1)) && comes_back(values, lag) {
            peaks.push((lag, raw[lag]));
        }
    }
    let best = peaks.iter().map(|p| p.1).fold(0.0, f64::max);
    let (lag, _) = *peaks.iter().find(|p| p.1 >= ALMOST * best)?;
    // A long season next to a multiple of the short one is that multiple, and a length next to a day's is a day.
    let day = DAYS.into_iter().find(|d| lag.abs_diff(*d) <= d / 50);
    Some(base.map_or(day.unwrap_or(lag), |b| (lag as f64 / b as f64).round() as usize * b))
}

/// Whether what changed within an eighth of the season changes again a season later, more than by chance. A random walk
/// has high autocorrelation, with peaks by chance; its changes have none.
fn comes_back(values: &[f64], season: usize) -> bool {
    let steps = (season / 8).max(1);
    let changes: Vec<f64> = values.iter().zip(&values[steps..]).map(|(a, b)| b - a).collect();
    let n = changes.len();
    let energy: f64 = changes.iter().map(|c| c * c).sum::<f64>() / n as f64;
    let product = |near: usize| -> f64 {
        let sum: f64 = changes.iter().zip(&changes[near..]).map(|(a, b)| a * b).sum();
        sum / (n - near) as f64
    };
    let again = (season - 1..=season + 1).map(product).fold(f64::NEG_INFINITY, f64::max);
    // Changes that overlap are not independent: so many are.
    let independent = (n as f64 / steps as f64).max(1.0);
    again > energy * (2.5 / independent.sqrt()).max(0.1)
}

/// The mean of each phase of a season: what stands at `t` belongs to phase `t % season`. Phases never seen are zero.
pub fn profile(values: &[f64], season: usize) -> Vec<f64> {
    let mean = |phase: usize| {
        let seen = values.iter().skip(phase).step_by(season);
        let count = seen.len().max(1) as f64;
        seen.sum::<f64>() / count
    };
    (0..season).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::forecast::made_up::{noise, walk};
    use std::f64::consts::TAU;

    #[test]
    fn a_day_in_noise_and_trend_is_found() {
        let y: Vec<f64> = noise(1, 500)
            .iter()
            .enumerate()
            .map(|(t, e)| 0.05 * t as f64 + 3.0 * (TAU * t as f64 / 24.0).sin() + e)
            .collect();
        assert_eq!(detect(&y), vec![24]);
    }

    #[test]
    fn a_week_on_top_of_a_day_is_found_as_well() {
        let weekend = |t: usize| if t / 24 % 7 > 4 { 0.3 } else { 1.0 };
        let y: Vec<f64> = noise(2, 24 * 7 * 6)
            .iter()
            .enumerate()
            .map(|(t, e)| weekend(t) * (10.0 + 4.0 * (TAU * t as f64 / 24.0).sin()) + 0.3 * e)
            .collect();
        assert_eq!(detect(&y), vec![24, 168]);
    }

    #[test]
    fn a_day_of_many_steps_in_noise_is_found() {
        for (season, count) in [(288, 2016), (1440, 7200), (37, 300)] {
            let wave = |t: usize| 30.0 * (TAU * t as f64 / season as f64).sin();
            let y: Vec<f64> = noise(7, count).iter().enumerate().map(|(t, e)| wave(t) + 6.0 * e).collect();
            assert_eq!(detect(&y).first(), Some(&season));
        }
    }

    #[test]
    fn noise_walks_constants_and_stubs_have_no_season() {
        assert!(detect(&noise(3, 600)).is_empty());
        for seed in 0..20 {
            assert!(detect(&walk(seed, 600)).is_empty(), "walk {seed}");
        }
        assert!(detect(&[5.0; 100]).is_empty());
        assert!(detect(&[]).is_empty() && detect(&[1.0, 2.0]).is_empty());
    }

    #[test]
    fn weeks_follow_days_only_where_two_fit() {
        assert_eq!(with_week(vec![24], 700), vec![24, 168]);
        assert_eq!(with_week(vec![24], 335), vec![24]);
        assert_eq!(with_week(vec![12], 5000), vec![12]);
        assert_eq!(with_week(vec![24, 168], 700), vec![24, 168]);
    }
}
