//! The time of a replay: it runs as many times as fast as ours as was asked for, stands still and jumps.

use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A clock that can be stopped and set.
#[derive(Debug)]
pub struct Clock {
    speed: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    at: Timestamp,
    /// Since when it runs from `at`; `None`: it stands.
    since: Option<Instant>,
}

impl State {
    fn now(&self, speed: f64) -> Timestamp {
        let ran = self.since.map_or(Duration::ZERO, |s| s.elapsed()).mul_f64(speed);
        self.at + TimeDelta::from_std(ran).unwrap_or(TimeDelta::zero())
    }
}

impl Clock {
    /// Runs from `at`, `speed` times as fast as the system's (above 0).
    pub fn new(at: Timestamp, speed: f64) -> Self {
        Self { speed, state: Mutex::new(State { at, since: Some(Instant::now()) }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        self.state().now(self.speed)
    }

    /// How many of its seconds pass in one of ours.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.state().since.is_some()
    }

    /// Stops it, or lets it go on.
    pub fn pause(&self, on: bool) {
        let mut s = self.state();
        s.at = s.now(self.speed);
        s.since = (!on).then(Instant::now);
    }

    /// Sets it; it runs or stands as before.
    pub fn jump(&self, to: Timestamp) {
        let mut s = self.state();
        s.at = to;
        s.since = s.since.map(|_| Instant::now());
    }

    /// Our time until it shows `then`, if it runs.
    pub fn until(&self, then: Timestamp) -> Duration {
        (then - self.now()).to_std().unwrap_or_default().div_f64(self.speed)
    }
}
