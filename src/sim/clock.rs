//! Simulated time: where it stands, and where it should stand at the chosen speed.

use crate::model::time::Timestamp;
use chrono::{DateTime, TimeDelta};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// The simulation's clock, in milliseconds. It never runs backwards, and [`Clock::now`] is always a moment up to which
/// everything has happened: a simulation that cannot keep the pace makes its clock late, never its events wrong.
#[derive(Debug)]
pub struct Clock {
    now_ms: AtomicI64,
    pace: Mutex<Pace>,
}

#[derive(Debug, Clone, Copy)]
struct Pace {
    since: Instant,
    from_ms: i64,
    /// Simulated seconds per second; 0 stands still.
    speed: f64,
}

impl Clock {
    /// A clock at `start`, running at `speed` (simulated seconds per second); 0 for one that is only stepped.
    pub fn new(start: Timestamp, speed: f64) -> Self {
        let now = start.timestamp_millis();
        Self { now_ms: AtomicI64::new(now), pace: Mutex::new(Pace { since: Instant::now(), from_ms: now, speed }) }
    }

    /// The moment up to which everything has happened.
    pub fn now(&self) -> Timestamp {
        at(self.now_ms())
    }

    /// The same in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Acquire)
    }

    /// Where the clock should stand by now.
    pub fn target(&self) -> Timestamp {
        let pace = *self.pace.lock().expect("no panic while the pace is held");
        let passed = pace.since.elapsed().as_secs_f64() * pace.speed * 1000.0;
        at((pace.from_ms + passed as i64).max(self.now_ms()))
    }

    /// Simulated seconds per second.
    pub fn speed(&self) -> f64 {
        self.pace.lock().expect("no panic while the pace is held").speed
    }

    /// Counts real time from now on: what came before was built, not lived.
    pub(super) fn begin(&self) {
        let mut pace = self.pace.lock().expect("no panic while the pace is held");
        *pace = Pace { since: Instant::now(), from_ms: self.now_ms(), speed: pace.speed };
    }

    /// Says that everything up to `to` has happened.
    pub(super) fn reached(&self, to: Timestamp) {
        // Rounded up: an actor due between two milliseconds is due at the later one, not never.
        let ms = to.timestamp_micros().div_euclid(1000) + i64::from(to.timestamp_micros().rem_euclid(1000) > 0);
        self.now_ms.fetch_max(ms, Ordering::AcqRel);
    }
}

/// A moment from milliseconds since 1970.
pub fn at(ms: i64) -> Timestamp {
    DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::UNIX_EPOCH)
}

/// A time span of so many seconds.
pub fn seconds(s: f64) -> TimeDelta {
    TimeDelta::milliseconds((s * 1000.0).round() as i64)
}

/// A moment as Kubernetes writes it: whole seconds, `2026-11-21T03:04:05Z`.
pub fn rfc3339(t: Timestamp) -> String {
    t.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The same with microseconds, as in Leases and events.k8s.io.
pub fn rfc3339_micro(t: Timestamp) -> String {
    t.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
