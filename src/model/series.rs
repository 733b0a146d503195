//! Rings of samples: the seven service metrics of a workload over the last day.
//!
//! A series is cut into chunks that are shared between the monitor and every snapshot. A chunk in
//! which nothing was ever measured is not stored, so a workload without request metrics pays only
//! for the two signals it has. At a 30 s step a full day of one signal is 11.5 KB.

use super::time::Timestamp;
use chrono::TimeDelta;
use std::collections::VecDeque;
use std::sync::Arc;

/// The seven service metrics (M3), in the order of the feature vector of A2, A3 and A4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Cores used by all pods.
    Cpu,
    /// Working set of all pods, bytes.
    Memory,
    /// Requests per second.
    RequestRate,
    /// Share of requests that failed, 0..1.
    ErrorRate,
    /// Median latency, seconds.
    LatencyP50,
    /// 99th percentile of latency, seconds.
    LatencyP99,
    /// Requests or connections in flight.
    Connections,
}

impl Signal {
    /// All seven, in order.
    pub const ALL: [Self; 7] = [
        Self::Cpu,
        Self::Memory,
        Self::RequestRate,
        Self::ErrorRate,
        Self::LatencyP50,
        Self::LatencyP99,
        Self::Connections,
    ];

    /// A short title for charts and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::RequestRate => "requests",
            Self::ErrorRate => "errors",
            Self::LatencyP50 => "p50",
            Self::LatencyP99 => "p99",
            Self::Connections => "in flight",
        }
    }

    /// The unit of its values.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "cores",
            Self::Memory => "bytes",
            Self::RequestRate => "req/s",
            Self::ErrorRate => "share",
            Self::LatencyP50 | Self::LatencyP99 => "s",
            Self::Connections => "open",
        }
    }
}

/// Samples in one chunk.
const CHUNK: usize = 120;

/// A ring of samples at a fixed step. Slots are counted from the epoch: slot = unix seconds / step.
#[derive(Debug, Clone)]
pub struct Series {
    step: u32,
    capacity: usize,
    /// Number of the first chunk held; chunk n covers slots n·120 .. n·120+119.
    first: i64,
    chunks: VecDeque<Option<Arc<[f32; CHUNK]>>>,
}

impl Series {
    /// An empty ring. `step` in seconds (at least 1); keeps at least `span`.
    pub fn new(step: u32, span: TimeDelta) -> Self {
        let step = step.max(1);
        let slots = (span.num_seconds().max(0) as usize).div_ceil(step as usize);
        Self { step, capacity: slots.div_ceil(CHUNK) + 1, first: 0, chunks: VecDeque::new() }
    }

    /// Seconds between samples.
    pub fn step(&self) -> u32 {
        self.step
    }

    /// Stores a value at its slot. Values that are not finite, and times older than the ring, are ignored.
    pub fn put(&mut self, at: Timestamp, value: f64) {
        if !value.is_finite() {
            return;
        }
        let slot = at.timestamp().div_euclid(i64::from(self.step));
        let chunk = slot.div_euclid(CHUNK as i64);
        if self.chunks.is_empty() {
            self.first = chunk;
        }
        if chunk < self.first {
            let missing = (self.first - chunk) as usize;
            if missing + self.chunks.len() > self.capacity {
                return;
            }
            for _ in 0..missing {
                self.chunks.push_front(None);
            }
            self.first = chunk;
        }
        if chunk - self.first >= self.chunks.len() as i64 + self.capacity as i64 {
            self.chunks.clear();
            self.first = chunk;
        }
        while self.first + (self.chunks.len() as i64) <= chunk {
            self.chunks.push_back(None);
        }
        while self.chunks.len() > self.capacity {
            self.chunks.pop_front();
            self.first += 1;
        }
        let place = &mut self.chunks[(chunk - self.first) as usize];
        let data = Arc::make_mut(place.get_or_insert_with(|| Arc::new([f32::NAN; CHUNK])));
        data[slot.rem_euclid(CHUNK as i64) as usize] = value as f32;
    }

    /// The samples in `from..=to`, oldest first; a gap is simply not there.
    pub fn range(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Timestamp, f64)> + '_ {
        let step = i64::from(self.step);
        let lo = from.timestamp().div_euclid(step);
        let hi = to.timestamp().div_euclid(step);
        self.chunks.iter().enumerate().filter_map(move |(i, c)| Some((self.first + i as i64, c.as_ref()?))).flat_map(
            move |(number, data)| {
                let base = number * CHUNK as i64;
                data.iter().enumerate().filter_map(move |(i, v)| {
                    let slot = base + i as i64;
                    let at = chrono::DateTime::from_timestamp(slot * step, 0)?;
                    (!v.is_nan() && slot >= lo && slot <= hi).then_some((at, f64::from(*v)))
                })
            },
        )
    }

    /// The samples after `at`, oldest first. Costs only as much as there are, and at most a chunk.
    pub fn after(&self, at: Timestamp) -> impl Iterator<Item = (Timestamp, f64)> + '_ {
        let step = i64::from(self.step);
        let slot = at.timestamp().div_euclid(step);
        let skip = usize::try_from(slot.div_euclid(CHUNK as i64) - self.first).unwrap_or(0).min(self.chunks.len());
        let held = self.chunks.range(skip..).enumerate();
        held.filter_map(move |(i, c)| Some(((self.first + (skip + i) as i64) * CHUNK as i64, c.as_ref()?))).flat_map(
            move |(base, data)| {
                data.iter().enumerate().filter_map(move |(i, v)| {
                    let number = base + i as i64;
                    let time = chrono::DateTime::from_timestamp(number * step, 0)?;
                    (!v.is_nan() && number > slot).then_some((time, f64::from(*v)))
                })
            },
        )
    }

    /// The time of the oldest sample.
    pub fn first(&self) -> Option<Timestamp> {
        self.after(Timestamp::MIN_UTC).next().map(|(at, _)| at)
    }

    /// The newest sample.
    pub fn last(&self) -> Option<(Timestamp, f64)> {
        for (i, chunk) in self.chunks.iter().enumerate().rev() {
            let Some(data) = chunk else { continue };
            if let Some(k) = data.iter().rposition(|v| !v.is_nan()) {
                let slot = (self.first + i as i64) * CHUNK as i64 + k as i64;
                return Some((chrono::DateTime::from_timestamp(slot * i64::from(self.step), 0)?, f64::from(data[k])));
            }
        }
        None
    }

    /// How many samples it holds.
    pub fn len(&self) -> usize {
        self.chunks.iter().flatten().map(|c| c.iter().filter(|v| !v.is_nan()).count()).sum()
    }

    /// Whether nothing was ever measured.
    pub fn is_empty(&self) -> bool {
        self.chunks.iter().all(Option::is_none)
    }

    /// Bytes held, without what is shared twice.
    pub fn bytes(&self) -> usize {
        self.chunks.len() * size_of::<Option<Arc<[f32; CHUNK]>>>()
            + self.chunks.iter().flatten().count() * (CHUNK * 4 + 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn at(s: i64) -> Timestamp {
        DateTime::from_timestamp(1_700_000_000 / 30 * 30 + s, 0).unwrap()
    }

    #[test]
    fn keeps_a_day_and_forgets_the_rest() {
        let mut s = Series::new(30, TimeDelta::hours(24));
        for i in 0..6000 {
            s.put(at(i * 30), i as f64);
        }
        let kept = s.range(at(0), at(6000 * 30)).count();
        assert!((2880..2880 + 2 * CHUNK).contains(&kept), "{kept}");
        assert_eq!(s.last(), Some((at(5999 * 30), 5999.0)));
    }

    #[test]
    fn a_gap_is_not_zero_and_back_filling_works() {
        let mut s = Series::new(30, TimeDelta::hours(1));
        s.put(at(3000), 1.0);
        s.put(at(0), 0.0);
        s.put(at(60), f64::NAN);
        assert_eq!(s.range(at(0), at(4000)).collect::<Vec<_>>(), vec![(at(0), 0.0), (at(3000), 1.0)]);
        assert_eq!(s.len(), 2);
    }

    #[test]
    fn what_came_after_a_moment_is_what_a_range_from_there_holds() {
        let mut s = Series::new(30, TimeDelta::hours(4));
        assert_eq!((s.first(), s.after(at(0)).count()), (None, 0));
        for i in (0..700).filter(|i| i % 7 != 3) {
            s.put(at(i * 30), i as f64);
        }
        for seconds in [-86_400, -30, 0, 29, 30, 3600, 3615, 12_000, 20_970, 90_000] {
            let wanted: Vec<_> = s.range(at(seconds) + TimeDelta::seconds(30), at(100_000)).collect();
            assert_eq!(s.after(at(seconds)).collect::<Vec<_>>(), wanted, "{seconds}");
        }
        assert_eq!(s.first(), s.range(at(-100_000), at(100_000)).next().map(|p| p.0));
    }

    #[test]
    fn a_clock_that_jumps_a_year_does_not_eat_memory() {
        let mut s = Series::new(30, TimeDelta::hours(24));
        s.put(at(0), 1.0);
        s.put(at(365 * 86_400), 2.0);
        assert!(s.bytes() < 10_000);
        assert_eq!(s.range(at(0), at(366 * 86_400)).count(), 1);
        s.put(at(0), 3.0);
        assert_eq!(s.len(), 1, "older than the ring is ignored");
    }

    #[test]
    fn snapshots_do_not_see_later_writes() {
        let mut s = Series::new(30, TimeDelta::hours(1));
        s.put(at(0), 1.0);
        let before = s.clone();
        s.put(at(30), 2.0);
        assert_eq!((before.len(), s.len()), (1, 2));
    }
}
