//! What a series is expected to be, how far it is from that, and how rarely it was as far: a calibrated tail probability.
//!
//! The expected value is the season's where there is one, else a level that forgets in an hour. Distances are measured in
//! the recent mean distance, and ranked among all distances of this series (a conformal p-value); beyond what was seen,
//! a Pareto tail goes on (Hill 1975). So a tail of 1 % is one sample in a hundred on every series, whatever its noise.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Seconds in which the level and the mean distance forget all but 1/e.
const MEMORY: f64 = 3600.0;
/// After a pause of so many seconds the level is learned anew.
const PAUSE: f64 = 1800.0;
/// A distance of more than so many mean distances moves the level and the mean distance by no more than this.
const CLIP: f64 = 4.0;
/// Samples after a start or a pause before anything is judged.
const YOUNG: u32 = 10;
/// Distances that must be known before one is ranked: no tail can be told from fewer.
const ENOUGH: f64 = 50.0;
/// A mean distance below this share of the values is rounding.
const ROUNDING: f64 = 0.01;

/// How a sample stands to what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// The expected value.
    pub expected: f64,
    /// The recent mean distance from the expected value, in the series' unit.
    pub spread: f64,
    /// The sample's distance in spreads; negative below the expected value.
    pub distance: f64,
    /// The probability of a distance at least as great on either side, above 0 to 1; uniform on every series.
    pub tail: f64,
}

/// Level, mean distance and the ranks of distances.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    level: f64,
    spread: f64,
    /// Samples since the start or the last pause.
    samples: u32,
    clock: Option<f64>,
    ranks: Ranks,
}

impl Baseline {
    /// How `value` stands to what was expected, `season` being what the season expects of it; learns it.
    pub fn push(&mut self, time: f64, value: f64, season: Option<f64>) -> Option<Deviation> {
        let elapsed = self.clock.map_or(0.0, |clock| time - clock);
        self.clock = Some(time);
        if elapsed > PAUSE {
            self.samples = 0;
        }
        let expected = season.unwrap_or(if self.samples == 0 { value } else { self.level });
        let spread = self.spread.max(ROUNDING * value.abs().max(expected.abs())).max(f64::MIN_POSITIVE.sqrt());
        let distance = (value - expected) / spread;
        let tail = if self.samples >= YOUNG { self.ranks.tail(distance.abs()) } else { None };
        self.learn(elapsed, value, value - expected, spread);
        tail.map(|tail| Deviation { expected, spread, distance, tail })
    }

    /// Learns the level anew from the next sample on: what comes is not to be held against what was.
    pub fn restart(&mut self) {
        self.samples = 0;
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.ranks.bins.capacity() * size_of::<f32>() + self.ranks.waiting.capacity()
    }

    fn learn(&mut self, elapsed: f64, value: f64, residual: f64, spread: f64) {
        let young = self.samples < YOUNG;
        let rate = (1.0 - (-elapsed.max(0.0) / MEMORY).exp()).max(1.0 / (f64::from(self.samples) + 1.0).min(1e3));
        let most = if young { f64::INFINITY } else { CLIP * spread };
        self.level += rate * (value - self.level).clamp(-most, most);
        // the first residuals of a level that is being learned say nothing of its spread
        if self.samples > 0 {
            self.spread += rate * (residual.abs().min(most) - self.spread);
        }
        if !young {
            self.ranks.learn((residual / spread).abs());
        }
        self.samples = self.samples.saturating_add(1);
    }
}

/// Bins per doubling of the distance, and bins in all (fewer than 256): from an eighth of a spread up to 512.
const FINE: f64 = 16.0;
const BINS: usize = 192;
const LOWEST: f64 = 0.125;
/// From this many distances on, all are halved: what was usual long ago counts less and less.
const FULL: f32 = 8192.0;
/// So many distances wait before they are counted, once there are enough: a burst is not held against itself.
const WAIT: usize = 120;
/// With fewer distances beyond it, a distance's rank is taken from the fitted tail.
const FEW: f64 = 10.0;

/// Distances seen, counted in bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ranks {
    bins: Vec<f32>,
    total: f32,
    /// Bins of the latest distances.
    waiting: VecDeque<u8>,
}

impl Default for Ranks {
    fn default() -> Self {
        Self { bins: vec![0.0; BINS], total: 0.0, waiting: VecDeque::new() }
    }
}

/// The bin of a distance, with how far in it lies, 0..1.
fn bin(distance: f64) -> (usize, f64) {
    let place = ((distance / LOWEST).max(1.0).log2() * FINE).min(BINS as f64 - 1e-9);
    (place as usize, place.fract())
}

impl Ranks {
    fn learn(&mut self, distance: f64) {
        self.waiting.push_back(bin(distance).0 as u8);
        let wait = if f64::from(self.total) < ENOUGH { 0 } else { WAIT };
        if self.waiting.len() <= wait {
            return;
        }
        let Some(old) = self.waiting.pop_front() else { return };
        self.bins[usize::from(old)] += 1.0;
        self.total += 1.0;
        if self.total >= FULL {
            self.bins.iter_mut().for_each(|count| *count *= 0.5);
            self.total *= 0.5;
        }
    }

    /// The probability of a distance of at least `distance`.
    fn tail(&self, distance: f64) -> Option<f64> {
        let total = f64::from(self.total);
        if total < ENOUGH {
            return None;
        }
        let (at, part) = bin(distance);
        let beyond: f64 = self.bins[at + 1..].iter().copied().map(f64::from).sum();
        let above = beyond + (1.0 - part) * f64::from(self.bins[at]);
        if above >= FEW {
            return Some((above / total).min(1.0));
        }
        // the largest ones, from the start of the bin that makes them enough
        let (mut count, mut folds, mut from) = (0.0, 0.0, BINS);
        while from > 0 && count < FEW {
            from -= 1;
            let held = f64::from(self.bins[from]);
            count += held;
            // so far as to the middle of that bin, in e-folds
            folds += held * (from as f64 + 0.5) / FINE * std::f64::consts::LN_2;
        }
        let start = from as f64 / FINE * std::f64::consts::LN_2;
        let index = (count + 1.0) / (folds - count * start + 0.5);
        let gone = ((distance / LOWEST).max(1.0).ln() - start).max(0.0);
        Some((count / total * (-index * gone).exp()).max(f64::MIN_POSITIVE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::random::Random;

    /// Shares of the samples after the first 4000 whose tail is at most 1 % and 0.1 %, one sample each 30 s.
    fn shares(rows: usize, mut next: impl FnMut(usize, &mut Random) -> f64) -> (f64, f64) {
        let (mut baseline, mut random) = (Baseline::default(), Random(11));
        let (mut rare, mut rarer, mut all) = (0.0, 0.0, 0.0);
        for row in 0..rows {
            let value = next(row, &mut random);
            let Some(deviation) = baseline.push(row as f64 * 30.0, value, None) else { continue };
            if row < 4000 {
                continue;
            }
            all += 1.0;
            rare += f64::from(u8::from(deviation.tail <= 0.01));
            rarer += f64::from(u8::from(deviation.tail <= 0.001));
        }
        (rare / all, rarer / all)
    }

    fn normal(random: &mut Random) -> f64 {
        (-2.0 * random.unit().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos()
    }

    #[test]
    fn one_percent_is_one_percent_on_every_noise() {
        let laws: [(&str, Box<dyn FnMut(usize, &mut Random) -> f64>); 8] = [
            ("normal", Box::new(|_, r| 50.0 + 3.0 * normal(r))),
            ("uniform", Box::new(|_, r| 1e9 * r.unit())),
            ("exponential", Box::new(|_, r| -r.unit().max(1e-300).ln())),
            ("laplace", Box::new(|_, r| 7.0 - r.unit().max(1e-300).ln() + r.unit().max(1e-300).ln())),
            ("lognormal", Box::new(|_, r| (0.8 * normal(r)).exp())),
            (
                "student t3",
                Box::new(|_, r| {
                    let chi: f64 = (0..3).map(|_| normal(r).powi(2)).sum();
                    normal(r) / (chi / 3.0).sqrt()
                }),
            ),
            (
                "autoregressive",
                Box::new({
                    let mut last = 0.0;
                    move |_, r| {
                        last = 0.9 * last + normal(r);
                        100.0 + last
                    }
                }),
            ),
            (
                "a day's wave",
                Box::new(|row, r| {
                    let day = (row as f64 * 30.0 / 86_400.0 * std::f64::consts::TAU).sin();
                    100.0 + 50.0 * day + 5.0 * normal(r)
                }),
            ),
        ];
        for (name, law) in laws {
            let (rare, rarer) = shares(30_000, law);
            assert!((0.006..=0.014).contains(&rare), "{name}: {rare}");
            assert!(rarer <= 0.0025, "{name}: {rarer}");
        }
    }

    #[test]
    fn further_is_never_more_probable() {
        let mut ranks = Ranks::default();
        let mut random = Random(5);
        for _ in 0..5000 {
            ranks.learn(normal(&mut random).abs());
        }
        let mut last = 1.1;
        for step in 0..4000 {
            let tail = ranks.tail(f64::from(step) * 0.01).unwrap();
            assert!(tail <= last + 1e-12 && tail > 0.0, "{step}: {tail} after {last}");
            last = tail;
        }
        assert!(last < 1e-6, "{last}");
    }

    #[test]
    fn a_level_that_moves_is_expected_after_a_few_hours_and_at_once_when_told_or_after_a_pause() {
        let mut random = Random(3);
        let mut baseline = Baseline::default();
        let mut at = |baseline: &mut Baseline, row: usize, level: f64| {
            baseline.push(row as f64 * 30.0, level + normal(&mut random), None)
        };
        for row in 0..2880 {
            at(&mut baseline, row, 100.0);
        }
        let before = baseline.clone();
        let first = at(&mut baseline, 2880, 300.0).unwrap();
        assert!(first.tail < 1e-6 && (first.expected - 100.0).abs() < 1.0, "{first:?}");
        for row in 2881..2880 + 480 {
            at(&mut baseline, row, 300.0);
        }
        let late = at(&mut baseline, 2880 + 480, 300.0).unwrap();
        assert!((late.expected - 300.0).abs() < 10.0 && late.tail > 0.01, "{late:?}");
        for (mut other, row) in [(before.clone(), 2880), (before, 2880 + 120)] {
            if row == 2880 {
                other.restart();
            }
            for row in row..row + 10 {
                assert_eq!(at(&mut other, row, 300.0), None);
            }
            assert!(at(&mut other, row + 10, 300.0).unwrap().tail > 1e-3);
        }
    }

    #[test]
    fn a_constant_is_usual_its_rounding_too_and_its_first_leap_is_not() {
        for level in [0.0, 1e-9, 5.0, -3e12] {
            let mut baseline = Baseline::default();
            for row in 0..500 {
                let value = level * (1.0 + 1e-6 * f64::from(row % 2));
                let said = baseline.push(f64::from(row) * 30.0, value, None);
                assert!(said.is_none_or(|d| d.tail > 0.5), "{level}: {said:?}");
            }
            let leap = baseline.push(15_000.0, level + 2.0 * level.abs().max(1.0), None).unwrap();
            assert!(
                leap.tail < 1e-4
                    && leap.expected == leap.expected.clamp(level - 1e-6 * level.abs(), level + 1e-6 * level.abs()),
                "{level}: {leap:?}"
            );
        }
    }
}
