//! What pods use, as a metrics server would measure it: CPU over a window, memory at its end.

use super::decide::Sample;
use crate::model::time::Timestamp;
use crate::sim::clock::seconds;
use crate::sim::machine::{Machines, Place, Process};
use std::collections::{BTreeMap, VecDeque};

/// Seconds between two looks at a process, as metrics-server has them (`--metric-resolution`).
const WINDOW: f64 = 30.0;
/// Seconds after which a look is too old.
const OLDEST: f64 = 60.0;
/// Seconds a process must have run to be measured at all.
const YOUNGEST: f64 = 15.0;

/// CPU seconds of a process at a moment; `started` tells its runs apart.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Timestamp,
    started: Timestamp,
    seconds: f64,
}

/// The looks taken so far.
#[derive(Debug, Default)]
pub struct Meter {
    looks: BTreeMap<Place, VecDeque<Look>>,
}

impl Meter {
    /// What one container uses of `cpu` (millicores) or `memory` (thousandths of bytes); `None` if it cannot be told.
    pub fn measure(&mut self, machines: &Machines, place: &Place, resource: &str, now: Timestamp) -> Option<Sample> {
        let process = machines.processes.get(place)?;
        if resource == "memory" {
            let value = (process.usage.working_set * 1000.0) as i64;
            return (now - process.started >= seconds(YOUNGEST)).then_some(Sample { value, at: now, window: 0 });
        }
        let (cores, window) = self.cores(process, now)?;
        Some(Sample { value: (cores * 1000.0).ceil() as i64, at: now, window })
    }

    /// Cores used over the window, and its length in seconds.
    fn cores(&mut self, process: &Process, now: Timestamp) -> Option<(f64, i64)> {
        let total = process.usage.cpu_seconds.iter().sum::<f64>();
        let looks = self.looks.entry(process.place.clone()).or_default();
        looks.retain(|l| l.started == process.started && now - l.at <= seconds(OLDEST));
        let since = |at: Timestamp| (now - at).num_milliseconds() as f64 / 1000.0;
        let from = looks.iter().rev().find(|l| since(l.at) >= WINDOW).or(looks.front()).copied();
        if looks.back().is_none_or(|l| l.at < now) {
            looks.push_back(Look { at: now, started: process.started, seconds: total });
        }
        match from.filter(|l| since(l.at) > 0.0) {
            Some(l) => Some(((total - l.seconds).max(0.0) / since(l.at), since(l.at) as i64)),
            // The first look: a young process is measured from its start, of an old one only the present is known.
            None => match since(process.started) {
                s if s < YOUNGEST => None,
                s if s <= OLDEST => Some((total / s, s as i64)),
                _ => Some((process.usage.cores, WINDOW as i64)),
            },
        }
    }

    /// Forgets processes that are gone.
    pub fn tidy(&mut self, machines: &Machines) {
        self.looks.retain(|place, _| machines.processes.contains_key(place));
    }
}
