//! One anomaly of a burst: it opens after some samples in a row, gathers evidence, goes on through short calms and ends.

use super::change::Changes;
use super::law::{self, CLASSES, Scene, Sight};
use crate::model::anomaly::{Anomaly, Change, Class, End, Measure};
use crate::model::object::WorkloadKey;
use crate::model::quantity::human_bytes;
use crate::model::series::Signal;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

/// Calm for so long, and so many samples, ends it; what comes back this soon after is the same one, and so is a leak that
/// goes on after a kill.
const CALM: TimeDelta = TimeDelta::minutes(2);
const CALM_SAMPLES: u32 = 4;
const AGAIN: TimeDelta = TimeDelta::minutes(5);
const LEAKS_AGAIN: TimeDelta = TimeDelta::hours(2);
/// Nothing measured for so long ends it too.
const SILENCE: TimeDelta = TimeDelta::minutes(30);
/// For so long after its begin a class that explains the present one takes its place.
const REFINE: TimeDelta = TimeDelta::minutes(5);
/// Ended ones are kept for so long, and so many of a workload.
const KEEP: TimeDelta = TimeDelta::hours(24);
const MOST: usize = 8;

/// Samples in a row that look like a class.
#[derive(Debug, Clone)]
struct Streak {
    since: Timestamp,
    samples: u32,
    expected: [Option<f64>; 7],
    worst: Vec<Measure>,
}

/// An anomaly under way, with what was expected of each signal before it began.
#[derive(Debug)]
struct Open {
    anomaly: Anomaly,
    seen: Vec<Class>,
    expected: [Option<f64>; 7],
    calm: Option<(Timestamp, u32)>,
    /// How fast memory grew, share an hour, when it last did.
    growth: Option<f64>,
}

/// The anomalies of one workload.
#[derive(Debug, Default)]
pub(super) struct Case {
    streaks: [Option<Streak>; 5],
    open: Option<Open>,
    ended: VecDeque<(Open, Timestamp)>,
}

impl Case {
    /// Takes in one time. `true`: an anomaly ended because its level is taken as usual from now on.
    pub fn step(&mut self, key: &WorkloadKey, at: Timestamp, scene: &Scene, changes: &Changes) -> bool {
        for (place, class) in CLASSES.into_iter().enumerate() {
            let streak = &mut self.streaks[place];
            let Some(signal) = law::looks_like(class, scene) else {
                *streak = None;
                continue;
            };
            let expected = scene.sights.map(|s| s.map(|s| s.expected));
            let streak = streak.get_or_insert_with(|| Streak { since: at, samples: 0, expected, worst: Vec::new() });
            streak.samples += 1;
            gather(&mut streak.worst, signal, scene, &streak.expected, at);
            let (samples, span) = law::persistence(class);
            if streak.samples >= samples && at - streak.since >= span {
                let streak = streak.clone();
                self.found(key, class, &streak, at, scene, changes);
            }
        }
        self.go_on(at, scene)
    }

    fn found(&mut self, key: &WorkloadKey, class: Class, s: &Streak, at: Timestamp, scene: &Scene, changes: &Changes) {
        if self.open.is_none() {
            let soon = if class == Class::MemoryLeak { LEAKS_AGAIN } else { AGAIN };
            let again = |(o, end): &(Open, Timestamp)| at - *end <= soon && o.seen.contains(&class);
            self.open = match self.ended.back() {
                Some(last) if again(last) => self.ended.pop_back().map(|(o, _)| o),
                _ => Some(Open::new(key, class, s, changes.before(s.since))),
            };
        }
        let Some(open) = &mut self.open else { return };
        let i = &mut open.anomaly;
        (i.ended, i.last_seen, open.calm) = (None, at, None);
        if !open.seen.contains(&class) {
            open.seen.push(class);
            if class < i.class && s.since - i.since <= REFINE {
                i.class = class;
            }
        }
        for (known, expected) in open.expected.iter_mut().zip(s.expected) {
            *known = known.or(expected);
        }
        s.worst.iter().for_each(|m| worse(&mut i.evidence, m.clone()));
        open.tell(scene);
    }

    fn go_on(&mut self, at: Timestamp, scene: &Scene) -> bool {
        let Some(open) = &mut self.open else { return false };
        let told: Vec<bool> = open.seen.iter().filter_map(|c| law::goes_on(*c, scene, &open.expected)).collect();
        if told.contains(&true) {
            open.calm = None;
            open.anomaly.last_seen = at;
            for class in open.seen.clone() {
                let main = law::signals(class).iter().find(|s| scene.sight(**s).is_some());
                if let Some(s) = main {
                    gather(&mut open.anomaly.evidence, *s, scene, &open.expected, at);
                }
            }
            open.tell(scene);
        } else if !told.is_empty() {
            let calm = open.calm.get_or_insert((at, 0));
            calm.1 += 1;
            if calm.1 >= CALM_SAMPLES && at - calm.0 >= CALM {
                self.end(at, End::Calm);
                return false;
            }
        }
        let Some(open) = &self.open else { return false };
        let patience = open.seen.iter().map(|c| law::patience(*c)).max().unwrap_or(TimeDelta::MAX);
        let lasts = at - open.anomaly.since > patience;
        if lasts {
            self.end(at, End::Adapted);
        }
        lasts
    }

    fn end(&mut self, at: Timestamp, why: End) {
        self.streaks = Default::default();
        let Some(mut open) = self.open.take() else { return };
        open.anomaly.ended = Some((at, why));
        if self.ended.len() == MOST {
            self.ended.pop_front();
        }
        self.ended.push_back((open, at));
    }

    /// Lets time pass without samples.
    pub fn age(&mut self, last: Timestamp, now: Timestamp) {
        if now - last > SILENCE {
            self.end(now, End::Silent);
        }
        while self.ended.front().is_some_and(|(_, end)| now - *end > KEEP) {
            self.ended.pop_front();
        }
    }

    /// Those that ended and the one that goes on.
    pub fn anomalies(&self) -> impl Iterator<Item = &Anomaly> {
        self.ended.iter().map(|(o, _)| &o.anomaly).chain(self.open.as_ref().map(|o| &o.anomaly))
    }

    /// Whether memory leaks, or did until shortly before.
    pub fn leaks(&self, at: Timestamp) -> bool {
        let leak = |o: &Open| o.seen.contains(&Class::MemoryLeak);
        self.open.as_ref().is_some_and(leak) || self.ended.iter().any(|(o, end)| leak(o) && at - *end <= LEAKS_AGAIN)
    }

    /// The one that goes on, to say when it began.
    pub fn opened(&mut self) -> Option<&mut Anomaly> {
        self.open.as_mut().map(|o| &mut o.anomaly)
    }

    /// Whether one goes on.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Bytes on the heap, roughly: texts are counted as they come.
    pub fn bytes(&self) -> usize {
        self.anomalies().map(|i| size_of::<Open>() + i.evidence.len() * size_of::<Measure>() + i.title.len()).sum()
    }
}

/// Adds what the scene says to the evidence: `main`, and whatever else is improbable enough to be told.
fn gather(evidence: &mut Vec<Measure>, main: Signal, scene: &Scene, expected: &[Option<f64>; 7], at: Timestamp) {
    for signal in std::iter::once(main).chain(Signal::ALL.into_iter().filter(|s| *s != main)) {
        let Some(sight) = scene.sight(signal) else { continue };
        if signal == main || law::worth_telling(sight) {
            worse(evidence, measure(signal, sight, expected[signal as usize], at));
        }
    }
}

/// A measure against what was expected before; the distance in the spread there is now.
fn measure(signal: Signal, s: &Sight, expected: Option<f64>, at: Timestamp) -> Measure {
    Measure {
        signal,
        observed: s.value,
        expected: expected.unwrap_or(s.expected),
        distance: s.distance,
        tail: s.tail,
        at,
    }
}

/// Keeps the worse of two measures of a signal: the one that is farther from what was expected. The least probability that
/// was found stays with it.
fn worse(evidence: &mut Vec<Measure>, new: Measure) {
    let Some(known) = evidence.iter_mut().find(|m| m.signal == new.signal) else {
        evidence.push(new);
        return;
    };
    let tail = known.tail.min(new.tail);
    if (new.observed - known.expected).abs() > (known.observed - known.expected).abs() {
        *known = Measure { expected: known.expected, ..new };
    }
    known.tail = tail;
}

impl Open {
    fn new(key: &WorkloadKey, class: Class, s: &Streak, changes: Vec<Change>) -> Self {
        let anomaly = Anomaly {
            id: format!("anomaly:{key}:{}", s.since.timestamp()).into(),
            key: key.clone(),
            class,
            severity: 0.0,
            score: 0.0,
            title: "".into(),
            since: s.since,
            onset: None,
            together: None,
            last_seen: s.since,
            ended: None,
            evidence: Vec::new(),
            changes,
            remedy: "".into(),
        };
        Self { anomaly, seen: Vec::new(), expected: s.expected, calm: None, growth: None }
    }

    /// Writes what follows from the evidence.
    fn tell(&mut self, scene: &Scene) {
        let i = &mut self.anomaly;
        let main = law::signals(i.class);
        i.evidence.sort_by(|a, b| {
            let place = |m: &Measure| main.iter().position(|s| *s == m.signal).unwrap_or(main.len());
            place(a).cmp(&place(b)).then(a.tail.total_cmp(&b.tail)).then(a.signal.cmp(&b.signal))
        });
        let of = |class: Class| law::signals(class).iter().find_map(|s| i.evidence.iter().find(|m| m.signal == *s));
        let bad = |class: &Class| of(*class).map_or(0.0, |m| law::severity(*class, m.observed, m.expected));
        i.severity = self.seen.iter().map(bad).fold(i.severity, f64::max);
        i.score = 1.0 - i.evidence.iter().map(|m| m.tail).fold(1.0, f64::min);
        self.growth = scene.growth.or(self.growth);
        i.title = title(i, self.growth).into();
        i.remedy = remedy(i).into();
    }
}

/// What can be done about it, and that nothing is.
fn remedy(i: &Anomaly) -> String {
    let suspect = i.suspect().filter(|_| i.class != Class::TrafficSpike);
    let suspect = suspect.map(|c| format!(" The suspect is a rollout: {}.", c.what)).unwrap_or_default();
    format!("{}{suspect} Nothing acts by an anomaly yet: no plan is made from it.", i.class.remedy())
}

fn title(i: &Anomaly, growth: Option<f64>) -> String {
    let mut title = format!("{}/{}: ", i.key.namespace, i.key.name);
    if let Some(m) = i.evidence.first() {
        let (now, before) = (show(m.signal, m.observed), show(m.signal, m.expected));
        let times = if m.expected > 0.0 { format!("{:.1} times", m.observed / m.expected) } else { "not".into() };
        let _ = match (i.class, growth) {
            (Class::HighErrorRate, _) => write!(title, "{now} of requests fail, {before} expected"),
            (Class::TrafficSpike, _) => write!(title, "traffic {times} the expected: {now}, {before} expected"),
            (Class::MemoryLeak, Some(share)) => {
                write!(title, "memory grows {:.0}% an hour, to {now} from {before}", share * 100.0)
            }
            (Class::MemoryLeak, None) => write!(title, "memory {times} the expected: {now}, {before} expected"),
            (Class::Degradation, _) => write!(title, "{} {now}, {before} expected", m.signal.title()),
            (Class::SecurityThreat, _) => {
                write!(title, "cpu {times} the expected with no more requests: {now}, {before} expected")
            }
        };
    }
    if let Some(c) = i.suspect().filter(|_| i.class != Class::TrafficSpike) {
        let _ = write!(title, "; {} at {}", c.what, c.at.format("%H:%M:%S"));
    }
    title
}

/// A value in its unit, short.
pub(super) fn show(signal: Signal, value: f64) -> String {
    match signal {
        Signal::Memory => human_bytes(value),
        Signal::ErrorRate if value < 0.0995 => format!("{:.1}%", value * 100.0),
        Signal::ErrorRate => format!("{:.0}%", value * 100.0),
        Signal::LatencyP50 | Signal::LatencyP99 if value < 1.0 => format!("{:.0}ms", value * 1000.0),
        Signal::LatencyP50 | Signal::LatencyP99 => format!("{value:.1}s"),
        Signal::Cpu => format!("{value:.2} cores"),
        Signal::RequestRate => format!("{value:.1} req/s"),
        Signal::Connections => format!("{value:.0} open"),
    }
}

/// The anomalies as they are shown.
pub(super) fn shared(case: &Case) -> Vec<Arc<Anomaly>> {
    case.anomalies().cloned().map(Arc::new).collect()
}
