//! One workload under watch: its detectors, fed with every sample once and in order, and its case.

use super::case::{Case, shared};
use super::change::Changes;
use super::law::{self, Scene, Sight};
use super::onset::Recent;
use crate::analyze::leak::fit_cut;
use crate::ml::anomaly::{ALARM, Detector, Kind, Panel, VectorDetector};
use crate::model::anomaly::Anomaly;
use crate::model::cluster::Workload;
use crate::model::object::WorkloadKey;
use crate::model::series::{Series, Signal};
use crate::model::snapshot::WorkloadMetrics;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What a detector called new is new for so long.
const NOVEL: TimeDelta = TimeDelta::minutes(5);
/// For so long after a change use of CPU and memory finds its new level.
const SETTLES: TimeDelta = TimeDelta::minutes(2);
/// For so long after a change what is used is the change's.
const CHANGED: TimeDelta = TimeDelta::minutes(10);
/// Memory is looked at over so long for growth; no sooner than so long after a change.
const CLIMB: TimeDelta = TimeDelta::minutes(20);
const START: TimeDelta = TimeDelta::minutes(3);
/// Growth: samples, hours covered, least fit, share of the level an hour, share of the level in all. What leaks slower
/// than it doubles in an hour is the classifier's, which looks at it for longer: heaps and caches grow like that too.
const POINTS: usize = 20;
const HOURS: f64 = 0.05;
const FITS: f64 = 0.8;
const PER_HOUR: f64 = 1.0;
const IN_ALL: f64 = 0.1;
/// Between two kills there may be few samples, and a leak may be fast: it is cut where memory falls.
const PIECE: usize = 4;
const RISE: f64 = 0.5;
const FALL: f64 = 0.1;
/// A leak that kills is one after so many looks at which containers had been restarted, if of the samples between the falls
/// at least so many are above the one before. Memory of a process that only starts again and again does not come higher
/// than it ever was.
const KILLS: usize = 2;
const RISING: f64 = 0.75;
const HIGHER: f64 = 1.1;
/// Requests that grow half as fast explain memory that grows.
const TRAFFIC: f64 = 0.5;
/// Who judges the signals together is proved anew so often.
const PROVED_AGAIN: TimeDelta = TimeDelta::hours(6);
/// Peaks of memory are kept for 24 hours in parts of 20 minutes.
const PEAKS: usize = 72;

/// One signal.
#[derive(Debug)]
struct Track {
    detector: Detector,
    novel: Option<Timestamp>,
    judged: bool,
}

/// Everything that is known of one workload.
#[derive(Debug)]
pub(super) struct Watched {
    /// All of this is learned.
    done: Option<Arc<WorkloadMetrics>>,
    /// The oldest sample of each signal when it was first seen, and the newest that was learned.
    firsts: [Option<Timestamp>; 7],
    cursor: Option<Timestamp>,
    tracks: [Option<Box<Track>>; 7],
    joint: VectorDetector,
    odd: Option<Timestamp>,
    /// The signals that are judged together, by whom, and when that was proved.
    panel: Option<(Vec<Signal>, Panel)>,
    proved: Option<Timestamp>,
    /// Hours, memory and requests of the last while.
    climb: VecDeque<(f64, f64, Option<f64>)>,
    /// Greatest memory per part of the day, by the part's number.
    peaks: VecDeque<(i64, f64)>,
    recent: Recent,
    changes: Changes,
    case: Case,
    shown: Vec<Arc<Anomaly>>,
}

impl Default for Watched {
    fn default() -> Self {
        Self {
            done: None,
            firsts: [None; 7],
            cursor: None,
            tracks: Default::default(),
            joint: VectorDetector::new(Signal::ALL.len()),
            odd: None,
            panel: None,
            proved: None,
            climb: VecDeque::new(),
            peaks: VecDeque::new(),
            recent: Recent::default(),
            changes: Changes::default(),
            case: Case::default(),
            shown: Vec::new(),
        }
    }
}

impl Watched {
    /// Takes in what the cluster says of it.
    pub fn look(&mut self, workload: &Workload, now: Timestamp) {
        self.changes.look(workload, now);
    }

    /// Learns samples that are new, oldest first; stops when `budget` are learned. The answer: how many were. History that
    /// arrives late lets it begin anew: what a start knows is what the rings hold.
    pub fn learn(&mut self, key: &WorkloadKey, metrics: &Arc<WorkloadMetrics>, budget: usize) -> usize {
        if self.knows(metrics) || budget == 0 {
            return 0;
        }
        // The past is filled signal by signal: one that came after the others were learned would never be.
        let firsts = metrics.history.each_ref().map(Series::first);
        let late = |(now, before): (&Option<Timestamp>, &Option<Timestamp>)| match (now, before.or(self.cursor)) {
            (Some(now), Some(before)) => *now < before,
            _ => false,
        };
        if firsts.iter().zip(&self.firsts).any(late) {
            // A panel stays until it is proved anew.
            let (changes, shown) = (std::mem::take(&mut self.changes), std::mem::take(&mut self.shown));
            let (panel, proved) = (self.panel.take(), self.proved);
            *self = Self { panel, proved, changes, shown, ..Self::default() };
        }
        self.firsts = std::array::from_fn(|i| self.firsts[i].or(firsts[i]));
        let from = self.cursor.unwrap_or(Timestamp::MIN_UTC);
        let mut news = metrics.history.each_ref().map(|series| series.after(from).peekable());
        let mut learned = 0;
        while learned < budget {
            let Some(at) = news.iter_mut().filter_map(|n| Some(n.peek()?.0)).min() else {
                self.done = Some(metrics.clone());
                // Only now: in the middle of a past, what goes on there does not go on.
                self.shown = shared(&self.case);
                break;
            };
            let row = news.each_mut().map(|n| n.next_if(|sample| sample.0 == at).map(|sample| sample.1));
            learned += row.iter().flatten().count();
            self.step(key, at, row);
            self.cursor = Some(at);
        }
        learned
    }

    /// Whether all of `metrics` is learned.
    pub fn knows(&self, metrics: &Arc<WorkloadMetrics>) -> bool {
        self.done.as_ref().is_some_and(|d| Arc::ptr_eq(d, metrics))
    }

    /// One time of all signals.
    fn step(&mut self, key: &WorkloadKey, at: Timestamp, row: [Option<f64>; 7]) {
        let settles = self.changes.rolled(at, SETTLES);
        let mut scene = Scene {
            values: row,
            changed: self.changes.within(at, CHANGED),
            growth: self.growth(at, row),
            ..Scene::default()
        };
        for (signal, value) in Signal::ALL.into_iter().zip(row) {
            let Some(value) = value else { continue };
            scene.sights[signal as usize] = self.push(signal, at, value, settles);
        }
        scene.odd = self.odd(at, row);
        self.recent.push(at, row);
        let calm = !self.case.is_open();
        let adapted = self.case.step(key, at, &scene, &self.changes);
        if let Some(anomaly) = self.case.opened().filter(|_| calm) {
            let main = law::signals(anomaly.class).iter().find(|s| row[**s as usize].is_some());
            anomaly.together = self.panel.as_ref().map(|(_, panel)| panel.card().into());
            anomaly.onset = main.and_then(|s| self.recent.onset(*s, anomaly.class, anomaly.since));
        }
        if adapted {
            self.tracks.iter_mut().flatten().for_each(|t| t.detector.restart_level());
        }
    }

    fn push(&mut self, signal: Signal, at: Timestamp, value: f64, settles: bool) -> Option<Sight> {
        let track = self.tracks[signal as usize].get_or_insert_with(|| {
            Box::new(Track { detector: Detector::small(Kind::Gauge), novel: None, judged: false })
        });
        // More pods use more, and a new release uses what it uses; that it fails more or is slower is its fault.
        if settles && matches!(signal, Signal::Cpu | Signal::Memory | Signal::Connections) {
            track.detector.restart_level();
        }
        let score = track.detector.push(at.timestamp() as f64, value);
        if score.intensity >= ALARM {
            track.novel = Some(at);
        }
        let d = score.deviation?;
        track.judged = true;
        let novel = track.novel.is_some_and(|then| at - then <= NOVEL);
        Some(Sight { value, expected: d.expected, distance: d.distance, tail: d.tail, novel })
    }

    /// Whether the signals do not go together as they did, within the last minutes. What was never measured is no part of
    /// it, what is missing now is taken as usual.
    fn odd(&mut self, at: Timestamp, row: [Option<f64>; 7]) -> bool {
        let known = self.tracks.each_ref().map(Option::is_some);
        let row: [f64; 7] = std::array::from_fn(|i| if known[i] { row[i].unwrap_or(f64::NAN) } else { 0.0 });
        if self.joint.push(&row).intensity >= ALARM {
            self.odd = Some(at);
        }
        let judged = self
            .panel
            .as_ref()
            .and_then(|(signals, panel)| panel.odd(&signals.iter().map(|s| row[*s as usize]).collect::<Vec<f64>>()));
        judged == Some(true) || self.odd.is_some_and(|then| at - then <= NOVEL)
    }

    /// Whether it is time to prove who may judge the signals together.
    pub fn unproved(&self, now: Timestamp) -> bool {
        self.proved.is_none_or(|at| now - at >= PROVED_AGAIN)
    }

    /// Lets those that judge signals together learn the last day, anomalies left out, and prove themselves on it.
    pub fn prove(&mut self, metrics: &WorkloadMetrics, now: Timestamp) {
        self.proved = Some(now);
        let from = now - TimeDelta::hours(24);
        let calm = |at: Timestamp| self.case.anomalies().all(|i| at < i.since || i.ended.is_some_and(|e| at > e.0));
        let mut rows: BTreeMap<Timestamp, [f64; 7]> = BTreeMap::new();
        let mut counts = [0usize; 7];
        for signal in Signal::ALL {
            for (at, value) in metrics.history(signal).range(from, now).filter(|(at, _)| calm(*at)) {
                rows.entry(at).or_insert([f64::NAN; 7])[signal as usize] = value;
                counts[signal as usize] += 1;
            }
        }
        // A signal that is rarely measured would leave hardly a whole row.
        let signals: Vec<Signal> = Signal::ALL
            .into_iter()
            .filter(|s| counts[*s as usize] * 10 >= rows.len() * 9 && !rows.is_empty())
            .collect();
        let flat: Vec<f64> = rows.values().flat_map(|row| signals.iter().map(|s| row[*s as usize])).collect();
        self.panel = Panel::new(&flat, signals.len(), 0).map(|panel| (signals, panel));
    }

    /// Growth of memory as a share of its level per hour, if it is steady, large, goes where memory never was, and neither
    /// requests nor a change explain it.
    fn growth(&mut self, at: Timestamp, row: [Option<f64>; 7]) -> Option<f64> {
        let memory = row[Signal::Memory as usize]?;
        let hours = at.timestamp() as f64 / 3600.0;
        let from = (at - CLIMB).timestamp() as f64 / 3600.0;
        self.climb.push_back((hours, memory, row[Signal::RequestRate as usize]));
        while self.climb.front().is_some_and(|p| p.0 < from) {
            self.climb.pop_front();
        }
        let part = at.timestamp().div_euclid(CLIMB.num_seconds());
        match self.peaks.back_mut() {
            Some(last) if last.0 == part => last.1 = last.1.max(memory),
            _ => self.peaks.push_back((part, memory)),
        }
        if self.peaks.len() > PEAKS {
            self.peaks.pop_front();
        }
        let before = self.peaks.iter().filter(|p| p.0 + 1 < part).map(|p| p.1).reduce(f64::max)?;
        if let Some(share) = self.growth_between_kills(at, before) {
            return Some(share);
        }
        if !self.case.leaks(at) && (memory <= before || self.changes.rolled(at, START)) {
            return None;
        }
        // What another release, or fewer pods, used before is no part of this climb.
        let rolled = self.changes.last_rolled(at).map_or(f64::MIN, |t| (t + SETTLES).timestamp() as f64 / 3600.0);
        let points: Vec<(f64, f64)> = self.climb.iter().filter(|p| p.0 >= rolled).map(|p| (p.0, p.1)).collect();
        if points.len() < POINTS {
            return None;
        }
        let fit = |points| fit_cut(points, PIECE, RISE, FALL);
        let (whole, late) = (fit(&points)?, fit(&points[points.len() / 2..])?);
        let level = points.iter().map(|p| p.1).sum::<f64>() / points.len() as f64;
        let share = whole.slope / level;
        let steady = whole.r2 >= FITS && whole.hours >= HOURS && late.slope >= whole.slope / 2.0;
        let large = share >= PER_HOUR && share * whole.hours >= IN_ALL;
        (steady && large && !self.traffic_grows(share)).then_some(share)
    }

    /// Growth while containers are killed so soon after each other that no stretch between two falls is long enough for a
    /// fit: the median change from one sample to the next, falls left out. The killed pods of a workload fall at different
    /// times, so that its sum hardly rises on the whole.
    fn growth_between_kills(&self, at: Timestamp, before: f64) -> Option<f64> {
        let highest = self.climb.iter().map(|p| p.1).fold(0.0, f64::max);
        let known = self.case.leaks(at) || highest > HIGHER * before;
        if !known || self.climb.len() < POINTS || self.changes.restarts(at, CLIMB) < KILLS {
            return None;
        }
        let changes = self.climb.iter().zip(self.climb.iter().skip(1));
        let mut rates: Vec<f64> = changes
            .filter(|(a, b)| b.1 > a.1 * (1.0 - FALL) && b.1 < a.1 * (1.0 + RISE) && b.0 > a.0)
            .map(|(a, b)| (b.1 - a.1) / (b.0 - a.0))
            .collect();
        let rising = rates.iter().filter(|r| **r > 0.0).count() as f64;
        if rates.len() < POINTS / 2 || rising < RISING * rates.len() as f64 {
            return None;
        }
        rates.sort_by(f64::total_cmp);
        let level = self.climb.iter().map(|p| p.1).sum::<f64>() / self.climb.len() as f64;
        let share = rates[rates.len() / 2] / level;
        (share >= PER_HOUR && !self.traffic_grows(share)).then_some(share)
    }

    /// Whether requests grow at least half as fast as memory, from the first to the second half of the climb.
    fn traffic_grows(&self, share: f64) -> bool {
        let middle = self.climb.len() / 2;
        let mean = |from: usize, to: usize| {
            let rates: Vec<f64> = self.climb.range(from..to).filter_map(|p| p.2).collect();
            (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
        };
        let Some((early, late)) = mean(0, middle).zip(mean(middle, self.climb.len())) else { return false };
        let hours = (self.climb[self.climb.len() - 1].0 - self.climb[0].0) / 2.0;
        early > 0.0 && late / early - 1.0 >= TRAFFIC * share * hours
    }

    /// Lets time pass.
    pub fn age(&mut self, now: Timestamp) {
        let Some(last) = self.cursor else { return };
        let before = self.shown.len();
        let open = self.case.is_open();
        self.case.age(last, now);
        if self.done.is_some() && (open != self.case.is_open() || self.case.anomalies().count() != before) {
            self.shown = shared(&self.case);
        }
    }

    /// Its anomalies: those that ended and the one that goes on.
    pub fn anomalies(&self) -> impl Iterator<Item = &Arc<Anomaly>> {
        self.shown.iter()
    }

    /// Per series, whether it is judged yet.
    pub fn series(&self) -> impl Iterator<Item = bool> {
        self.tracks.iter().flatten().map(|t| t.judged)
    }

    /// Bytes that are held, without the rings.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self
                .tracks
                .iter()
                .flatten()
                .map(|t| size_of::<Track>() - size_of::<Detector>() + t.detector.bytes())
                .sum::<usize>()
            + self.joint.bytes()
            + self.panel.as_ref().map_or(0, |(signals, panel)| panel.bytes() + signals.capacity())
            + self.climb.capacity() * size_of::<(f64, f64, Option<f64>)>()
            + self.peaks.capacity() * size_of::<(i64, f64)>()
            + self.recent.bytes()
            + self.changes.bytes()
            + self.case.bytes()
    }
}
