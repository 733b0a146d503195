//! The last [`STEPS`] steps of one workload: seven signals and what else is known, evenly spaced. NaN: not measured.

use super::trend::median;
use crate::model::failure::{FACTS, Fact, Record, STEPS};
use crate::model::series::{Series, Signal};
use crate::model::time::Timestamp;
use chrono::TimeDelta;

/// What is judged, oldest step first.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Seconds between steps.
    pub step: u32,
    signals: [[f32; STEPS]; 7],
    facts: [[f32; STEPS]; FACTS],
    /// p99 as it is when all is well: the better fifth of the last [`LONG`]; `None`: measured for less than five minutes.
    pub good_p99: Option<f64>,
}

/// How far back what is usual is looked for: trouble that lasts an hour has not become usual.
pub const LONG: TimeDelta = TimeDelta::hours(6);

impl Window {
    /// The steps of a record that end with slot `end`; those before its first are not measured.
    pub fn of_record(record: &Record, end: usize, step: u32) -> Self {
        let cut = |row: &Vec<f32>| {
            std::array::from_fn(|i| {
                let slot = (end + 1 + i).checked_sub(STEPS);
                slot.and_then(|s| row.get(s)).copied().unwrap_or(f32::NAN)
            })
        };
        let step = step.max(1);
        let p99 = &record.signals[Signal::LatencyP99 as usize];
        let from = (end + 1).saturating_sub((LONG.num_seconds() / i64::from(step)) as usize);
        let long = p99.get(from.min(p99.len())..(end + 1).min(p99.len())).unwrap_or_default();
        Self {
            step,
            signals: record.signals.each_ref().map(cut),
            facts: record.facts.each_ref().map(cut),
            good_p99: good(long.iter().copied(), step),
        }
    }

    /// The steps of rings that end with `now`. A ring with another step is not measured here.
    pub fn of_series(signals: &[Series; 7], facts: &[Series; FACTS], step: u32, now: Timestamp) -> Self {
        let step = step.max(1);
        let last = now.timestamp().div_euclid(i64::from(step));
        let from = now - TimeDelta::seconds(i64::from(step) * (STEPS as i64 - 1));
        let cut = |series: &Series| {
            let mut row = [f32::NAN; STEPS];
            if series.step() == step {
                for (at, value) in series.range(from, now) {
                    let back = last - at.timestamp().div_euclid(i64::from(step));
                    if let Some(place) = usize::try_from(back).ok().and_then(|b| (STEPS - 1).checked_sub(b)) {
                        row[place] = value as f32;
                    }
                }
            }
            row
        };
        let p99 = &signals[Signal::LatencyP99 as usize];
        let long = p99.range(now - LONG, now).map(|(_, v)| v as f32);
        let good_p99 = good(long, p99.step());
        Self { step, signals: signals.each_ref().map(cut), facts: facts.each_ref().map(cut), good_p99 }
    }

    /// A signal's steps.
    pub fn signal(&self, signal: Signal) -> &[f32; STEPS] {
        &self.signals[signal as usize]
    }

    /// A fact's steps.
    pub fn fact(&self, fact: Fact) -> &[f32; STEPS] {
        &self.facts[fact as usize]
    }

    /// Steps at which at least one signal was measured.
    pub fn measured(&self) -> usize {
        (0..STEPS).filter(|i| self.signals.iter().any(|row| row[*i].is_finite())).count()
    }

    /// Seconds before the last step.
    pub fn ago(&self, place: usize) -> f64 {
        -(((STEPS - 1).saturating_sub(place)) as f64 * f64::from(self.step))
    }

    /// Steps that cover so many seconds, at least one.
    pub fn steps(&self, seconds: f64) -> usize {
        ((seconds / f64::from(self.step)).round() as usize).clamp(1, STEPS)
    }
}

fn good(p99: impl Iterator<Item = f32>, step: u32) -> Option<f64> {
    let mut known: Vec<f32> = p99.filter(|v| v.is_finite()).collect();
    if (known.len() as u64) * u64::from(step) < 300 {
        return None;
    }
    let fifth = known.len() / 5;
    Some(f64::from(*known.select_nth_unstable_by(fifth, f32::total_cmp).1))
}

/// The newest value that was measured within the last `steps`.
pub fn newest(row: &[f32], steps: usize) -> Option<f64> {
    row.iter().rev().take(steps).find(|v| v.is_finite()).map(|v| f64::from(*v))
}

/// What is usual for it: the median of the first two thirds of the window.
pub fn usual(row: &[f32]) -> Option<f64> {
    median(row[..row.len() * 2 / 3].iter().map(|v| f64::from(*v)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::object::{WorkloadKey, WorkloadKind};

    /// A record in which nothing was measured.
    pub fn blank(name: &str, slots: usize) -> Record {
        Record {
            key: WorkloadKey::new("shop", WorkloadKind::Deployment, name),
            signals: std::array::from_fn(|_| vec![f32::NAN; slots]),
            facts: std::array::from_fn(|_| vec![f32::NAN; slots]),
        }
    }

    #[test]
    fn a_record_and_rings_with_the_same_samples_give_the_same_window() {
        let mut record = blank("cart", 80);
        let start = chrono::DateTime::from_timestamp(1_700_000_000 / 15 * 15, 0).unwrap();
        let mut signals: [Series; 7] = std::array::from_fn(|_| Series::new(15, TimeDelta::hours(1)));
        let facts: [Series; FACTS] = std::array::from_fn(|_| Series::new(15, TimeDelta::hours(1)));
        for slot in (0..80).filter(|s| s % 7 != 0) {
            record.signals[Signal::Memory as usize][slot] = slot as f32;
            signals[Signal::Memory as usize].put(start + TimeDelta::seconds(15 * slot as i64), slot as f64);
        }
        let a = Window::of_record(&record, 79, 15);
        let b = Window::of_series(&signals, &facts, 15, start + TimeDelta::seconds(15 * 79 + 9));
        let bits = |w: &Window| w.signal(Signal::Memory).map(f32::to_bits);
        assert_eq!(bits(&a), bits(&b));
        assert_eq!((a.signal(Signal::Memory)[59], a.measured()), (79.0, 51));
        assert!(a.signal(Signal::Memory)[60 - 3].is_nan(), "slot 77 is a gap, not a zero");
        let other = Window::of_series(&signals, &facts, 30, start + TimeDelta::seconds(15 * 79));
        assert_eq!(other.measured(), 0, "another step is not read as this one");
    }

    #[test]
    fn what_lies_before_the_first_slot_is_not_measured() {
        let mut record = blank("cart", 10);
        record.signals[0].fill(1.0);
        assert_eq!(Window::of_record(&record, 9, 0).measured(), 10);
        assert_eq!(Window::of_record(&record, 500, 15).measured(), 0);
        assert_eq!((newest(&[1.0, f32::NAN], 1), newest(&[1.0, f32::NAN], 2)), (None, Some(1.0)));
        assert_eq!(usual(&[f32::NAN; 9]), None);
    }
}
