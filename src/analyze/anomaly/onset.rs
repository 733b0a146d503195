//! When an anomaly began: an unusual sample is often not the first of its kind, for what creeps up is usual for a while.

use crate::ml::change::change_points;
use crate::model::anomaly::Class;
use crate::model::series::Signal;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::VecDeque;

/// Samples that are kept.
const MOST: usize = 120;
/// Fewer say nothing.
const FEW: usize = 30;
/// A level is expected to last so many samples, and a new one is believed after so many.
const REGIME: f64 = 250.0;
const CONFIRM: usize = 3;
/// A change that long before the first unusual sample is another story.
const BEFORE: TimeDelta = TimeDelta::minutes(45);
/// Memory that falls by more than this share from one sample to the next was freed: that is not how it grows.
const FREED: f64 = 0.1;

/// The last samples of a workload.
#[derive(Debug, Default)]
pub(super) struct Recent {
    rows: VecDeque<(Timestamp, [f32; 7])>,
}

impl Recent {
    /// Takes in one time.
    pub fn push(&mut self, at: Timestamp, row: [Option<f64>; 7]) {
        if self.rows.len() == MOST {
            self.rows.pop_front();
        }
        self.rows.push_back((at, row.map(|v| v.map_or(f32::NAN, |v| v as f32))));
    }

    /// When the level of `signal` changed, or for a leak its slope: the last change that is not after `since`, the first
    /// unusual sample, and not long before it.
    pub fn onset(&self, signal: Signal, class: Class, since: Timestamp) -> Option<Timestamp> {
        let points: Vec<(Timestamp, f64)> = self
            .rows
            .iter()
            .map(|(at, row)| (*at, f64::from(row[signal as usize])))
            .filter(|p| p.1.is_finite())
            .collect();
        let series: Vec<(Timestamp, f64)> = if class == Class::MemoryLeak {
            let grown = |(a, b): (&(Timestamp, f64), &(Timestamp, f64))| {
                let freed = b.1 < a.1 * (1.0 - FREED);
                (a.0, if freed { f64::NAN } else { b.1 - a.1 })
            };
            points.iter().zip(points.iter().skip(1)).map(grown).collect()
        } else {
            points
        };
        if series.len() < FEW {
            return None;
        }
        let values: Vec<f64> = series.iter().map(|p| p.1).collect();
        let mut found = change_points(&values, REGIME, CONFIRM).into_iter().map(|i| series[i].0);
        found.rfind(|at| *at <= since && since - *at <= BEFORE)
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<(Timestamp, [f32; 7])>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_700_000_000 + minute * 60, 0).unwrap()
    }

    fn noise(i: i64) -> f64 {
        let x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((x ^ (x >> 32)) >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    }

    fn recent(signal: Signal, minutes: i64, value: impl Fn(i64) -> f64) -> Recent {
        let mut recent = Recent::default();
        for i in 0..minutes {
            let mut row = [None; 7];
            row[signal as usize] = Some(value(i));
            recent.push(at(i), row);
        }
        recent
    }

    #[test]
    fn a_slope_is_dated_to_where_it_began_and_a_level_to_where_it_shifted() {
        let leak = |i: i64| 100.0 + noise(i) + if i > 70 { 4.0 * (i - 70) as f64 } else { 0.0 };
        let onset = recent(Signal::Memory, 100, leak).onset(Signal::Memory, Class::MemoryLeak, at(95)).unwrap();
        assert!((onset - at(70)).num_minutes().abs() <= 2, "{onset}");
        let slow = |i: i64| 0.2 + 0.02 * noise(i) + if i >= 80 { 0.3 } else { 0.0 };
        let onset = recent(Signal::LatencyP99, 90, slow).onset(Signal::LatencyP99, Class::Degradation, at(82)).unwrap();
        assert!((onset - at(80)).num_minutes().abs() <= 1, "{onset}");
    }

    #[test]
    fn what_did_not_change_or_was_not_measured_has_no_onset() {
        let level = recent(Signal::Cpu, 90, |i| 1.0 + 0.1 * noise(i));
        assert_eq!(level.onset(Signal::Cpu, Class::SecurityThreat, at(89)), None);
        assert_eq!(level.onset(Signal::Memory, Class::MemoryLeak, at(89)), None);
        let long_ago = recent(Signal::Cpu, 110, |i| noise(i) + if i > 30 { 9.0 } else { 0.0 });
        assert_eq!(long_ago.onset(Signal::Cpu, Class::SecurityThreat, at(109)), None);
    }
}
