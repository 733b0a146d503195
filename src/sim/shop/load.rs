//! What comes in from outside: entrances with their day and week, a slow drift, and smooth noise.

use super::world::Entrance;
use crate::model::time::Timestamp;
use crate::sim::noise::Noise;

const DAY: f64 = 86_400.0;

/// Requests a second at an entrance at `at` without anything pressing. Most come around 19:00 UTC, a second rise is at
/// noon, fewest at 4:00; Saturdays and Sundays have a tenth more, Tuesdays least; over weeks it drifts by some percent.
pub fn rate(entrance: &Entrance, at: Timestamp, noise: Noise) -> f64 {
    let t = at.timestamp_millis() as f64 / 1000.0;
    let noise = noise.of("load").of(&entrance.name);
    let day = std::f64::consts::TAU * (t / DAY).fract();
    let hour = |h: f64| std::f64::consts::TAU * h / 24.0;
    // Two harmonics: the evening and the shoulder at noon.
    let daily = 0.8 * (day - hour(17.5)).cos() + 0.25 * (2.0 * (day - hour(20.0))).cos();
    // 1 January 1970 was a Thursday: -2 days brings Saturday to 0.
    let week = std::f64::consts::TAU * ((t / DAY - 2.5) / 7.0).fract();
    let weekly = 0.08 * week.cos();
    let drift = 0.03 * noise.of("drift").smooth(t, 5.0 * DAY);
    let wobble = 0.025 * noise.of("minutes").smooth(t, 420.0) + 0.02 * noise.of("seconds").smooth(t, 23.0);
    (entrance.rate * (1.0 + entrance.swing * daily) * (1.0 + weekly + drift + wobble)).max(0.02 * entrance.rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::clock;
    use crate::sim::shop::world::World;

    #[test]
    fn days_have_their_evening_and_the_weekly_mean_is_what_the_table_says() {
        let e = &World::shop().entrances[0];
        let noise = Noise::new(1);
        let at = |hours: i64| rate(e, clock::at((20_000 * 24 + hours) * 3_600_000), noise);
        assert!(at(19) > 1.8 * at(4), "{} {}", at(19), at(4));
        let mean = (0..24 * 7).map(at).sum::<f64>() / (24.0 * 7.0);
        assert!((mean / e.rate - 1.0).abs() < 0.08, "{mean}");
    }
}
