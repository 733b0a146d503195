//! From what a sample is worth an anomaly, and of which class. A class needs a size that an operator would call by its
//! name, a probability that rules out chance, and some samples in a row.

use crate::model::anomaly::Class;
use crate::model::series::Signal;
use chrono::TimeDelta;

/// All classes, those that explain others first.
pub(super) const CLASSES: [Class; 5] =
    [Class::TrafficSpike, Class::MemoryLeak, Class::HighErrorRate, Class::Degradation, Class::SecurityThreat];

/// How improbable a sample of a class must be at least. A workload in which a twentieth of the requests always fails has
/// no anomaly, and one whose signals swing is not cried about.
const RARE: f64 = 1e-3;
const RARER: f64 = 1e-4;

/// Share of failed requests, and failed requests a minute, from which errors are high.
const ERRORS: f64 = 0.05;
const FAILED: f64 = 3.0;
/// Requests over the expected from which traffic spikes, and requests a minute below which nobody cares.
const SPIKE: f64 = 3.0;
const BUSY: f64 = 30.0;
/// Memory over the expected from which it leaks, however it came there.
const HEAVY: f64 = 2.0;
/// Latency over the expected from which a workload is degraded, by at least so many seconds.
const SLOW: f64 = 1.5;
const FELT: f64 = 0.01;
/// CPU over the expected from which it needs a cause, by at least so many cores; and requests over the expected from
/// which these are the cause.
const HOT: f64 = 2.0;
const CORES: f64 = 0.05;
const LOADED: f64 = 1.3;

/// What is known of one signal at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// Measured.
    pub value: f64,
    /// Expected.
    pub expected: f64,
    /// In mean distances, and its probability.
    pub distance: f64,
    pub tail: f64,
    /// The detector saw something new in the last minutes.
    pub novel: bool,
}

/// What is known of a workload at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    /// Per signal, if it was measured and can be judged.
    pub sights: [Option<Sight>; 7],
    /// Per signal, what was measured.
    pub values: [Option<f64>; 7],
    /// Memory grows steadily to where it never was, traffic does not explain it: share of the level per hour.
    pub growth: Option<f64>,
    /// The signals do not go together as they did, or it is not known yet how they do.
    pub odd: bool,
    /// Something was changed in the last minutes.
    pub changed: bool,
}

impl Scene {
    pub fn sight(&self, signal: Signal) -> Option<&Sight> {
        self.sights[signal as usize].as_ref()
    }

    fn per_minute(&self) -> Option<f64> {
        Some(self.values[Signal::RequestRate as usize]? * 60.0)
    }
}

/// The signals that tell a class, the first one first.
pub(super) fn signals(class: Class) -> &'static [Signal] {
    match class {
        Class::TrafficSpike => &[Signal::RequestRate],
        Class::MemoryLeak => &[Signal::Memory],
        Class::HighErrorRate => &[Signal::ErrorRate],
        Class::Degradation => &[Signal::LatencyP99, Signal::LatencyP50],
        Class::SecurityThreat => &[Signal::Cpu],
    }
}

/// How many samples in a row, over how long, make an anomaly.
pub(super) fn persistence(class: Class) -> (u32, TimeDelta) {
    let (samples, seconds) = match class {
        Class::TrafficSpike | Class::HighErrorRate => (3, 20),
        Class::MemoryLeak | Class::Degradation => (4, 60),
        Class::SecurityThreat => (6, 120),
    };
    (samples, TimeDelta::seconds(seconds))
}

/// After how long it is taken as usual. Errors and leaks are not: only after so long that they are somebody's choice.
pub(super) fn patience(class: Class) -> TimeDelta {
    match class {
        Class::MemoryLeak | Class::HighErrorRate => TimeDelta::hours(6),
        _ => TimeDelta::hours(1),
    }
}

/// Whether `scene` looks like `class`: the signal that tells it.
pub(super) fn looks_like(class: Class, scene: &Scene) -> Option<Signal> {
    let by = |signal: Signal, factor: f64, most: f64| {
        scene.sight(signal).filter(|s| s.value > factor * s.expected && s.tail <= most && s.distance > 0.0)
    };
    match class {
        Class::TrafficSpike => {
            by(Signal::RequestRate, SPIKE, RARE).filter(|s| s.value * 60.0 >= BUSY).map(|_| Signal::RequestRate)
        }
        Class::MemoryLeak => {
            let heavy = by(Signal::Memory, HEAVY, RARE).is_some_and(|_| !scene.changed);
            scene.sight(Signal::Memory).filter(|_| heavy || scene.growth.is_some()).map(|_| Signal::Memory)
        }
        Class::HighErrorRate => {
            let enough = |share: f64| scene.per_minute().is_none_or(|n| n * share >= FAILED);
            by(Signal::ErrorRate, 1.0, RARE).filter(|s| s.value > ERRORS && enough(s.value)).map(|_| Signal::ErrorRate)
        }
        Class::Degradation => {
            let busy = scene.per_minute().is_none_or(|n| n >= BUSY);
            let slow = |s: &&Signal| by(**s, SLOW, RARER).is_some_and(|s| s.novel && s.value - s.expected >= FELT);
            signals(class).iter().find(slow).filter(|_| busy).copied()
        }
        Class::SecurityThreat => {
            let calm = scene.sight(Signal::RequestRate).is_some_and(|r| r.value <= LOADED * r.expected);
            let hot = by(Signal::Cpu, HOT, RARER).is_some_and(|s| s.novel && s.value - s.expected >= CORES);
            (hot && calm && scene.odd && !scene.changed).then_some(Signal::Cpu)
        }
    }
}

/// Whether a class that was seen goes on, by what was expected before it began: half of what it took to begin. `None`: it
/// cannot be told from this sample.
pub(super) fn goes_on(class: Class, scene: &Scene, expected: &[Option<f64>; 7]) -> Option<bool> {
    let half = |factor: f64| {
        let over = |s: &Signal| Some(scene.values[*s as usize]? > f64::midpoint(1.0, factor) * expected[*s as usize]?);
        signals(class).iter().filter_map(over).reduce(|a, b| a || b)
    };
    match class {
        Class::TrafficSpike => half(SPIKE),
        Class::MemoryLeak if scene.growth.is_some() => Some(true),
        Class::MemoryLeak => half(HEAVY),
        Class::HighErrorRate => scene.values[Signal::ErrorRate as usize].map(|share| share > ERRORS / 2.0),
        Class::Degradation => half(SLOW),
        Class::SecurityThreat => half(HOT),
    }
}

/// Whether a signal is worth telling beside the one that told the class.
pub(super) fn worth_telling(sight: &Sight) -> bool {
    sight.tail <= RARE
}

/// How bad, 0..1: how large the effect is.
pub(super) fn severity(class: Class, observed: f64, expected: f64) -> f64 {
    let ratio = if expected > 0.0 { observed / expected } else { 10.0 };
    match class {
        Class::HighErrorRate => 0.3 + 0.7 * observed.clamp(0.0, 1.0),
        Class::TrafficSpike | Class::Degradation => (0.1 + 0.1 * ratio).clamp(0.2, 0.8),
        Class::MemoryLeak | Class::SecurityThreat => 0.6,
    }
}
