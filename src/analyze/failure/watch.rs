//! Failure prediction live: one round per snapshot, one outlook per workload. Does no I/O.
//!
//! The seven signals come with their past from the snapshot. What else is known of a workload (pods, restarts, the
//! fullest container) has no past there: the watch keeps it from the first round on.

use super::course::{MEASURED, Moment};
use super::scene::{Around, Scene};
use super::sight::Sight;
use super::training::Trained;
use super::window::Window;
use super::{habitat, rules};
use crate::model::bounds::Bounds;
use crate::model::cluster::Workload;
use crate::model::failure::{Call, Drift, FACTS, Fact, FailureOutlook, NotTrained, TimeToFailure};
use crate::model::object::{PodKey, WorkloadKey};
use crate::model::pod::Uid;
use crate::model::series::Series;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How long facts are kept; a window of 60 steps of a minute.
const KEPT: TimeDelta = TimeDelta::hours(1);

/// Rows are kept for drift this often, and so many of them.
const KEEP: TimeDelta = TimeDelta::minutes(10);
const SEEN: usize = 2000;
/// One moment is not a distribution: drift is judged after so many.
const TIMES: usize = 6;

/// A model trained on another step than that by more than this factor would misread the samples.
const STEP: f64 = 1.5;

/// Foresees failures, round by round.
#[derive(Debug)]
pub struct FailureWatch {
    model: Result<Trained, NotTrained>,
    facts: HashMap<WorkloadKey, Facts>,
    /// What the model saw lately, oldest first; when that was kept last, and how often.
    seen: VecDeque<Vec<f64>>,
    /// What the healthy workloads were like at the same times.
    like: VecDeque<Vec<f64>>,
    kept_at: Option<Timestamp>,
    noted: usize,
    drift: Option<Drift>,
}

/// What is kept of one workload.
#[derive(Debug)]
struct Facts {
    rings: [Series; FACTS],
    /// Restart counts by pod.
    restarts: HashMap<Uid, u32>,
}

impl FailureWatch {
    /// A watch with a model, or with the reason why there is none.
    pub fn new(model: Result<Trained, NotTrained>) -> Self {
        Self {
            model,
            facts: HashMap::new(),
            seen: VecDeque::new(),
            like: VecDeque::new(),
            kept_at: None,
            noted: 0,
            drift: None,
        }
    }

    /// Takes another model.
    pub fn adopt(&mut self, model: Result<Trained, NotTrained>) {
        self.model = model;
        (self.seen, self.like, self.noted, self.drift) = (VecDeque::new(), VecDeque::new(), 0, None);
    }

    /// How far what was seen lately is from what the model learned; `None`: there is no model, or too little was seen.
    pub fn drift(&self) -> Option<&Drift> {
        self.drift.as_ref()
    }

    /// Keeps what the model sees of every workload now, once in a while: what follows closely is the same again.
    fn keep(&mut self, scene: &Scene, windows: &HashMap<WorkloadKey, Window>, now: Timestamp) {
        let Ok(trained) = &self.model else { return };
        if self.kept_at.is_some_and(|at| now - at < KEEP) {
            return;
        }
        (self.kept_at, self.noted) = (Some(now), self.noted + 1);
        let learner = trained.learner();
        let whole = scene.sights.iter().filter(|(_, sight)| sight.measured >= MEASURED);
        let row = |key: &WorkloadKey, sight| {
            let around = scene.around(key);
            let patterns = rules::patterns(sight, &around, now);
            learner.row(&Moment { window: &windows[key], sight, around: &around, patterns: &patterns })
        };
        self.like.extend(whole.clone().filter_map(|(key, sight)| habitat::row(&windows[key], sight.state)));
        self.seen.extend(whole.map(|(key, sight)| row(key, sight)));
        for kept in [&mut self.seen, &mut self.like] {
            kept.drain(..kept.len().saturating_sub(SEEN));
        }
        if self.noted >= TIMES {
            let rows = |kept: &VecDeque<Vec<f64>>| kept.iter().flatten().copied().collect::<Vec<f64>>();
            self.drift = trained.drift(&rows(&self.seen), &rows(&self.like));
        }
    }

    /// What is foreseen of every workload that is measured: alarms first, then what ends soonest. `calls` says who calls
    /// whom, as far as anybody measures it. To be called once a step of the metrics, beside the loop: it fits some twenty
    /// robust trends for each workload, and explains each alarm of the model.
    pub fn round(&mut self, snapshot: &Snapshot, calls: &[Call], now: Timestamp) -> Vec<FailureOutlook> {
        let step = snapshot.metrics.step.max(1);
        self.facts.retain(|key, _| snapshot.workload(key).is_some());
        let mut windows = HashMap::new();
        for workload in snapshot.workloads.iter() {
            let facts = self.facts.entry(workload.key.clone()).or_insert_with(|| Facts::new(step));
            facts.note(workload, snapshot, step, now);
            let rings = snapshot.metrics.workloads.get(&workload.key);
            let signals = rings
                .map_or_else(|| std::array::from_fn(|_| Series::new(step, TimeDelta::zero())), |m| m.history.clone());
            windows.insert(workload.key.clone(), Window::of_series(&signals, &facts.rings, step, now));
        }
        let scene = Scene::new(windows.clone(), calls.to_vec());
        self.keep(&scene, &windows, now);
        let mut outlooks: Vec<FailureOutlook> = scene
            .sights
            .iter()
            .filter(|(_, sight)| sight.measured > 0)
            .map(|(key, sight)| self.outlook(key, &windows[key], sight, &scene.around(key), now))
            .collect();
        let soonest = |o: &FailureOutlook| o.time_to_failure.map_or(f64::INFINITY, |t| t.expected);
        outlooks.sort_by(|a, b| {
            b.alarm().cmp(&a.alarm()).then_with(|| soonest(a).total_cmp(&soonest(b))).then_with(|| a.key.cmp(&b.key))
        });
        outlooks
    }

    fn outlook(
        &self,
        key: &WorkloadKey,
        window: &Window,
        sight: &Sight,
        around: &Around,
        now: Timestamp,
    ) -> FailureOutlook {
        let patterns = if sight.measured >= MEASURED { rules::patterns(sight, around, now) } else { Vec::new() };
        let sooner = |a: TimeToFailure, b: TimeToFailure| if b.expected < a.expected { b } else { a };
        let moment = Moment { window, sight, around, patterns: &patterns };
        FailureOutlook {
            key: key.clone(),
            now: sight.state,
            model: self.foresee(&moment),
            time_to_failure: patterns.iter().filter_map(|p| p.time_to_failure).reduce(sooner),
            patterns,
            missing: missing(sight, around),
        }
    }

    fn foresee(&self, moment: &Moment) -> Result<crate::model::failure::Foreseen, NotTrained> {
        let trained = self.model.as_ref().map_err(Clone::clone)?;
        let (there, found) = (f64::from(trained.step), f64::from(moment.window.step));
        if there / found > STEP || found / there > STEP {
            return Err(NotTrained::Step { trained: trained.step, found: moment.window.step });
        }
        if let Some(why) = self.drift.as_ref().and_then(Drift::silences) {
            return Err(why);
        }
        trained.foresee(moment).ok_or(NotTrained::Short { have: moment.sight.measured, need: MEASURED })
    }
}

/// What cannot be judged, in words.
fn missing(sight: &Sight, around: &Around) -> Vec<Arc<str>> {
    let mut all: Vec<Arc<str>> = Vec::new();
    if sight.measured < MEASURED {
        all.push(format!("only {} of {MEASURED} steps are measured: no rule is applied", sight.measured).into());
    }
    if sight.memory.is_none() {
        all.push("memory has no limit, or is not measured: no time until it is full".into());
    }
    if sight.cpu.is_none() {
        all.push("CPU has no limit, or is not measured".into());
    }
    if sight.level(crate::model::series::Signal::RequestRate).now.is_none() {
        all.push("no requests are measured: errors, latency and load are not looked at".into());
    }
    if !around.known {
        all.push("nobody measures who calls whom: dependencies and cascades are not looked at".into());
    }
    all
}

impl Facts {
    fn new(step: u32) -> Self {
        Self { rings: std::array::from_fn(|_| Series::new(step, KEPT)), restarts: HashMap::new() }
    }

    /// Writes down what a snapshot knows. What it does not know leaves a gap.
    fn note(&mut self, workload: &Workload, snapshot: &Snapshot, step: u32, now: Timestamp) {
        if self.rings[0].step() != step {
            // What was noted at another step is given up: a window is shorter than an hour.
            self.rings = std::array::from_fn(|_| Series::new(step, KEPT));
        }
        let live: Vec<_> = workload.live_pods().collect();
        let mut put = |fact: Fact, value: Option<f64>| {
            if let Some(value) = value {
                self.rings[fact as usize].put(now, value);
            }
        };
        let (ready, desired) = workload.readiness();
        let usage = |name: &str| {
            let key = PodKey { namespace: workload.key.namespace.clone(), name: name.into() };
            snapshot.metrics.pods.get(&key)
        };
        let measured: Vec<_> = live.iter().filter_map(|p| usage(&p.name)).collect();
        let fullest = measured.iter().filter_map(|u| u.memory_share).reduce(f32::max);
        let bounds = Bounds::of_workload(workload);
        put(Fact::Pods, (!measured.is_empty()).then_some(measured.len() as f64));
        put(Fact::Desired, Some(f64::from(desired)));
        put(Fact::Ready, Some(f64::from(ready)));
        put(Fact::Fullest, fullest.map(f64::from));
        put(Fact::MemoryLimit, bounds.memory_limit);
        put(Fact::CpuLimit, bounds.cpu_limit);
        let mut more = 0;
        for pod in &live {
            let count = pod.restarts();
            // A pod that is new here has restarted before anybody looked.
            more += count - self.restarts.get(&pod.uid).copied().unwrap_or(count).min(count);
        }
        self.restarts = live.iter().map(|p| (p.uid.clone(), p.restarts())).collect();
        let ring = &mut self.rings[Fact::Restarts as usize];
        let slot = |at: Timestamp| at.timestamp().div_euclid(i64::from(step));
        // Several rounds may fall into one step.
        let before = ring.last().filter(|(at, _)| slot(*at) == slot(now)).map_or(0.0, |(_, v)| v);
        ring.put(now, before + f64::from(more));
    }
}

#[cfg(test)]
#[path = "watch_test.rs"]
mod tests;
