//! Whether a series repeats itself every hour, day or week, and how far a value is from what its time of day would be:
//! the median of the same slots of the last periods. Which period counts is found online, by what it explains.

use serde::{Deserialize, Serialize};

/// How many periods are tried.
pub(super) const PERIODS: usize = 3;
/// The period (seconds), the slots it is cut into at most, and how many past periods are kept.
const CANDIDATES: [(f64, usize, usize); PERIODS] = [(3600.0, 60, 24), (86_400.0, 288, 7), (604_800.0, 336, 4)];
/// The day alone, coarser and shorter, for whoever watches thousands of series.
const DAY: (f64, usize, usize) = (86_400.0, 144, 3);
/// A series is seasonal when a period leaves less than this share of the mean absolute deviation unexplained.
const UNEXPLAINED: f64 = 0.5;
/// Values of the same and the neighbouring slots needed for a median: two periods' worth.
const ENOUGH: usize = 6;

/// The candidate periods of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Seasons {
    candidates: [Option<Season>; PERIODS],
}

impl Seasons {
    /// For a series with a sample every `interval` seconds; periods of fewer than four samples are left out. `small`
    /// tries the day alone.
    pub fn new(interval: f64, small: bool) -> Self {
        let season = |(period, slots, kept): (f64, usize, usize)| {
            let samples = (period / interval) as usize;
            (samples >= 4).then(|| Season::new(period, slots.min(samples), kept))
        };
        Self { candidates: if small { [None, season(DAY), None] } else { CANDIDATES.map(season) } }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.candidates.iter().flatten().map(|s| s.table.capacity() * size_of::<Option<f32>>()).sum()
    }

    /// What `value` would be at `time` by each candidate period, shortest first, and whether the series repeats with
    /// it; learns `value`.
    pub fn expect(&mut self, time: f64, value: f64) -> [Option<(f64, bool)>; PERIODS] {
        let mut said = [None; PERIODS];
        for (slot, season) in said.iter_mut().zip(&mut self.candidates) {
            let Some(season) = season else { continue };
            let expected = season.expect(time);
            *slot = expected.map(|expected| (expected, season.unexplained() < UNEXPLAINED));
            season.learn(time, value, expected);
        }
        said
    }

    /// The period that explains most, in seconds, and the share it explains, 0..1; `None` when none explains enough.
    pub fn strongest(&self) -> Option<(f64, f64)> {
        let seasons = self.candidates.iter().flatten();
        let season = seasons.min_by(|a, b| a.unexplained().total_cmp(&b.unexplained()))?;
        (season.unexplained() < UNEXPLAINED).then(|| (season.period, 1.0 - season.unexplained()))
    }
}

/// One candidate period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Season {
    period: f64,
    slots: usize,
    kept: usize,
    /// Means of the slots of the last `kept` periods, by period modulo `kept`, then slot.
    table: Vec<Option<f32>>,
    /// Period number and slot being filled, the sum of its values and how many.
    filling: Option<(i64, usize, f64, f64)>,
    /// Samples compared, mean absolute residual, mean, mean absolute deviation: means over the last few periods.
    compared: f64,
    residual: f64,
    mean: f64,
    deviation: f64,
}

impl Season {
    fn new(period: f64, slots: usize, kept: usize) -> Self {
        let table = vec![None; slots * kept];
        Self { period, slots, kept, table, filling: None, compared: 0.0, residual: 0.0, mean: 0.0, deviation: 0.0 }
    }

    fn at(&self, time: f64) -> (i64, usize) {
        let number = (time / self.period).floor();
        let slot = ((time / self.period - number) * self.slots as f64) as usize;
        (number as i64, slot.min(self.slots - 1))
    }

    fn unexplained(&self) -> f64 {
        if self.compared < self.slots as f64 || self.deviation <= 0.0 { 1.0 } else { self.residual / self.deviation }
    }

    fn expect(&self, time: f64) -> Option<f64> {
        let (_, slot) = self.at(time);
        let mut held = Vec::with_capacity(3 * self.kept);
        for row in self.table.chunks_exact(self.slots) {
            for near in [(slot + self.slots - 1) % self.slots, slot, (slot + 1) % self.slots] {
                held.extend(row[near].map(f64::from));
            }
        }
        if held.len() < ENOUGH {
            return None;
        }
        let middle = held.len() / 2;
        Some(*held.select_nth_unstable_by(middle, f64::total_cmp).1)
    }

    fn learn(&mut self, time: f64, value: f64, expected: Option<f64>) {
        if let Some(expected) = expected {
            self.compared += 1.0;
            let rate = 1.0 / self.compared.min((self.kept * self.slots) as f64);
            self.residual += rate * ((value - expected).abs() - self.residual);
            self.mean += rate * (value - self.mean);
            self.deviation += rate * ((value - self.mean).abs() - self.deviation);
        }
        let (number, slot) = self.at(time);
        match &mut self.filling {
            Some((filled, at, sum, count)) if (*filled, *at) == (number, slot) => {
                *sum += value;
                *count += 1.0;
            }
            filling => {
                if let Some((filled, at, sum, count)) = filling.replace((number, slot, value, 1.0)) {
                    self.settle(filled, at, sum / count);
                }
                self.clear(number, slot);
            }
        }
    }

    fn settle(&mut self, number: i64, slot: usize, mean: f64) {
        let row = number.rem_euclid(self.kept as i64) as usize;
        self.table[row * self.slots + slot] = Some(mean as f32);
    }

    /// The slot that starts still holds what was there `kept` periods ago.
    fn clear(&mut self, number: i64, slot: usize) {
        let row = number.rem_euclid(self.kept as i64) as usize;
        self.table[row * self.slots + slot] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(
        seasons: &mut Seasons,
        hours: f64,
        wave: impl Fn(f64) -> f64,
    ) -> Vec<(f64, [Option<(f64, bool)>; PERIODS])> {
        (0..(hours * 12.0) as usize)
            .map(|row| {
                let time = row as f64 * 300.0;
                let value = wave(time);
                (value, seasons.expect(time, value))
            })
            .collect()
    }

    #[test]
    fn a_daily_wave_is_expected_after_three_days() {
        let mut seasons = Seasons::new(300.0, false);
        let wave = |time: f64| (time / 86_400.0 * std::f64::consts::TAU).sin() * 10.0 + 50.0;
        let rows = feed(&mut seasons, 24.0 * 6.0, wave);
        assert_eq!(seasons.strongest().unwrap().0, 86_400.0);
        for (value, expected) in &rows[rows.len() - 288..] {
            let (expected, seasonal) = expected[1].unwrap();
            assert!(seasonal && (value - expected).abs() < 0.5);
        }
    }

    #[test]
    fn a_weekly_pattern_is_told_from_a_daily_one() {
        let mut seasons = Seasons::new(300.0, false);
        let week = |time: f64| if (time / 86_400.0) as i64 % 7 >= 5 { 10.0 } else { 100.0 };
        feed(&mut seasons, 24.0 * 7.0 * 6.0, week);
        assert_eq!(seasons.strongest().unwrap().0, 604_800.0);
    }

    #[test]
    fn noise_has_no_season() {
        let mut seasons = Seasons::new(300.0, false);
        let noise = |time: f64| (time * 12.9898).sin() * 43_758.545 % 1.0;
        feed(&mut seasons, 24.0 * 14.0, noise);
        assert!(seasons.strongest().is_none());
    }

    #[test]
    fn hourly_samples_have_a_daily_season_too() {
        let mut seasons = Seasons::new(3600.0, false);
        for hour in 0..24 * 10 {
            seasons.expect(f64::from(hour) * 3600.0, f64::from(hour % 24));
        }
        let (period, share) = seasons.strongest().unwrap();
        assert_eq!(period, 86_400.0);
        assert!(share > 0.8, "{share}");
    }
}
