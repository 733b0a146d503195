//! The book of all workloads: their latest readings and their rings. Plain state without I/O; the collector
//! hands it answers, losses and history, and publishes what it says.

use super::batch::{Batch, Outcome};
use super::pods::PodIndex;
use super::sums::{Clock, FORGET, Load, PodValues, Seen, Sum, add_up, loads};
use crate::model::cluster::NodeRow;
use crate::model::object::{PodKey, WorkloadKey};
use crate::model::reading::Reading;
use crate::model::series::{Series, Signal};
use crate::model::snapshot::{PodUsage, WorkloadMetrics};
use crate::model::time::Timestamp;
use crate::monitor::prometheus::answer::Sample;
use crate::monitor::prometheus::profile::{Cadvisor, Profile};
use chrono::TimeDelta;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Readings and rings of every workload, usage of every pod, memory of every node.
#[derive(Debug)]
pub struct Book {
    step: u32,
    span: TimeDelta,
    entries: HashMap<WorkloadKey, Entry>,
    /// Pods that had request (or in-flight) series: they are expected to go on having them.
    seen: Seen,
    seen_in_flight: Seen,
    nodes: HashMap<Arc<str>, Reading>,
    stolen: HashMap<Arc<str>, Reading>,
    pods: Arc<HashMap<PodKey, PodUsage>>,
    saturated: HashSet<WorkloadKey>,
}

#[derive(Debug)]
struct Entry {
    metrics: Arc<WorkloadMetrics>,
    last_seen: Timestamp,
}

/// What all pods of the cluster said about CPU and memory.
struct Usage {
    cpu: Result<PodValues, Arc<str>>,
    memory: Result<PodValues, Arc<str>>,
    share: Vec<Option<f64>>,
    throttled: PodValues,
    ages: PodValues,
}

impl Book {
    /// An empty book: `step` seconds between samples, `span` of history.
    pub fn new(step: u32, span: TimeDelta) -> Self {
        Self {
            step,
            span,
            entries: HashMap::new(),
            seen: Seen::new(),
            seen_in_flight: Seen::new(),
            nodes: HashMap::new(),
            stolen: HashMap::new(),
            pods: Arc::default(),
            saturated: HashSet::new(),
        }
    }

    /// Seconds between samples.
    pub fn step(&self) -> u32 {
        self.step
    }

    /// Takes another step: the history that fits is carried over.
    pub fn set_step(&mut self, step: u32, now: Timestamp) {
        if step == self.step {
            return;
        }
        self.step = step;
        for entry in self.entries.values_mut() {
            let metrics = Arc::make_mut(&mut entry.metrics);
            for series in &mut metrics.history {
                let mut other = Series::new(step, self.span);
                for (at, v) in series.range(now - self.span, now) {
                    other.put(at, v);
                }
                *series = other;
            }
        }
    }

    /// Latest readings and history per workload, shared with whoever gets it.
    pub fn workloads(&self) -> Arc<HashMap<WorkloadKey, Arc<WorkloadMetrics>>> {
        Arc::new(self.entries.iter().map(|(k, e)| (k.clone(), e.metrics.clone())).collect())
    }

    /// Latest usage per pod.
    pub fn pods(&self) -> Arc<HashMap<PodKey, PodUsage>> {
        self.pods.clone()
    }

    /// Share of memory in use per node.
    pub fn nodes(&self) -> Arc<HashMap<Arc<str>, Reading>> {
        Arc::new(self.nodes.clone())
    }

    /// Share of the processors' time that neighbours took, per node.
    pub fn stolen(&self) -> Arc<HashMap<Arc<str>, Reading>> {
        Arc::new(self.stolen.clone())
    }

    /// Workloads whose p99 lies beyond the last finite bucket.
    pub fn saturated(&self) -> Arc<HashSet<WorkloadKey>> {
        Arc::new(self.saturated.clone())
    }

    /// Puts history into a ring. Values that are there already are replaced; unknown workloads get an entry
    /// only with the next step, so what is filled for them is dropped.
    pub fn fill(&mut self, key: &WorkloadKey, signal: Signal, points: &[(Timestamp, f64)]) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let series = &mut Arc::make_mut(&mut entry.metrics).history[signal as usize];
        for (at, v) in points {
            series.put(*at, *v);
        }
    }

    /// Takes the answers of one step.
    pub fn absorb(
        &mut self,
        index: &PodIndex,
        nodes: &[Arc<NodeRow>],
        profile: &Profile,
        batch: &Batch,
        now: Timestamp,
    ) {
        let clock = Clock { now, fresh_for: profile.fresh_for() };
        self.meet(index, now);
        self.take_usage(index, profile, batch, clock);
        self.take_requests(index, profile, batch, clock);
        self.take_in_flight(index, profile, batch, clock);
        take_nodes(&mut self.nodes, nodes, batch.node_memory.as_ref(), clock);
        take_nodes(&mut self.stolen, nodes, batch.node_stolen.as_ref(), clock);
        self.forget(index, now);
    }

    /// Prometheus cannot be asked: values age, and what it said of absence is not known any more.
    pub fn lost(&mut self, why: &Arc<str>, fresh_for: TimeDelta, now: Timestamp) {
        let age = |reading: &Reading| match reading {
            Reading::Value { .. } | Reading::Zero { .. } | Reading::Stale { .. } => {
                let (value, at) = reading.last()?;
                (now.signed_duration_since(at) > fresh_for).then_some(Reading::Stale { value, at })
            }
            Reading::Absent | Reading::Failed { .. } => Some(Reading::Failed { why: why.clone() }),
        };
        for entry in self.entries.values_mut() {
            let changed = entry.metrics.now.iter().any(|r| age(r).is_some_and(|new| new != *r));
            if !changed {
                continue;
            }
            for reading in &mut Arc::make_mut(&mut entry.metrics).now {
                if let Some(new) = age(reading) {
                    *reading = new;
                }
            }
        }
        for reading in self.nodes.values_mut().chain(self.stolen.values_mut()) {
            if let Some(new) = age(reading) {
                *reading = new;
            }
        }
        let old = |u: &PodUsage| now.signed_duration_since(u.at) > FORGET;
        if self.pods.values().any(old) {
            self.pods = Arc::new(self.pods.iter().filter(|(_, u)| !old(u)).map(|(k, u)| (k.clone(), *u)).collect());
        }
    }

    fn meet(&mut self, index: &PodIndex, now: Timestamp) {
        for (key, _) in &index.workloads {
            if let Some(entry) = self.entries.get_mut(key) {
                entry.last_seen = now;
                continue;
            }
            let metrics = WorkloadMetrics {
                now: std::array::from_fn(|_| Reading::Absent),
                history: std::array::from_fn(|_| Series::new(self.step, self.span)),
            };
            self.entries.insert(key.clone(), Entry { metrics: Arc::new(metrics), last_seen: now });
        }
    }

    /// Drops workloads that have been gone for as long as the rings remember, and pods that are gone.
    fn forget(&mut self, index: &PodIndex, now: Timestamp) {
        let span = self.span;
        self.entries.retain(|_, e| now.signed_duration_since(e.last_seen) <= span);
        self.seen.retain(|p| index.pod(&p.namespace, &p.name).is_some());
        self.seen_in_flight.retain(|p| index.pod(&p.namespace, &p.name).is_some());
        for entry in self.entries.values_mut().filter(|e| e.last_seen < now) {
            if entry.metrics.now.iter().any(|r| *r != Reading::Absent) {
                Arc::make_mut(&mut entry.metrics).now = std::array::from_fn(|_| Reading::Absent);
            }
        }
    }

    fn set(&mut self, key: &WorkloadKey, signal: Signal, reading: Reading, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let metrics = Arc::make_mut(&mut entry.metrics);
        if let Some(v) = reading.fresh() {
            metrics.history[signal as usize].put(now, v);
        }
        metrics.now[signal as usize] = reading;
    }

    fn last(&self, key: &WorkloadKey, signal: Signal) -> Option<(f64, Timestamp)> {
        let metrics = &self.entries.get(key)?.metrics;
        metrics.now(signal).last().or_else(|| metrics.history(signal).last().map(|(at, v)| (v, at)))
    }

    fn settle(&mut self, key: &WorkloadKey, signal: Signal, sum: &Sum, clock: Clock) {
        let reading = sum.reading(self.last(key, signal), clock);
        self.set(key, signal, reading, clock.now);
    }

    fn take_usage(&mut self, index: &PodIndex, profile: &Profile, batch: &Batch, clock: Clock) {
        let Some(usage) = profile.cadvisor.as_ref().and_then(|c| Usage::new(index, c, batch)) else {
            for (key, _) in &index.workloads {
                self.set(key, Signal::Cpu, Reading::Absent, clock.now);
                self.set(key, Signal::Memory, Reading::Absent, clock.now);
            }
            return;
        };
        let must = |p: usize| index.pods[p].is_expected();
        for (key, range) in &index.workloads {
            for (signal, values) in [(Signal::Cpu, &usage.cpu), (Signal::Memory, &usage.memory)] {
                match values {
                    Ok(v) => self.settle(key, signal, &add_up(range.clone(), v, &usage.ages, must, clock), clock),
                    Err(why) => self.set(key, signal, Reading::Failed { why: why.clone() }, clock.now),
                }
            }
        }
        self.pods = Arc::new(usage.pods(index, clock));
    }

    fn take_requests(&mut self, index: &PodIndex, profile: &Profile, batch: &Batch, clock: Clock) {
        let families: Vec<Result<Vec<Load>, Arc<str>>> = batch
            .families
            .iter()
            .zip(&profile.requests)
            .map(|(b, r)| loads(b, &r.by, index, &mut self.seen, clock))
            .collect();
        self.saturated.clear();
        for (number, (key, _)) in index.workloads.iter().enumerate() {
            // The first family that knows the workload; else an error, if one could have known it.
            let chosen = families.iter().enumerate().find_map(|(f, loads)| {
                let load = &loads.as_ref().ok()?[number];
                (load.total != Sum::Nothing).then_some((f, load))
            });
            if let Some((family, load)) = chosen {
                self.take_load(key, load, &batch.families[family], clock);
                continue;
            }
            let failed = families.iter().find_map(|f| f.as_ref().err());
            for signal in [Signal::RequestRate, Signal::ErrorRate, Signal::LatencyP50, Signal::LatencyP99] {
                match failed {
                    Some(why) => self.set(key, signal, Reading::Failed { why: why.clone() }, clock.now),
                    None => self.settle(key, signal, &Sum::Nothing, clock),
                }
            }
        }
    }

    /// Readings of one workload from the family that knows it. Without requests there is no error rate and no
    /// latency: both are absent then, not zero.
    fn take_load(&mut self, key: &WorkloadKey, load: &Load, batch: &super::batch::FamilyBatch, clock: Clock) {
        self.settle(key, Signal::RequestRate, &load.total, clock);
        let derived = [Signal::ErrorRate, Signal::LatencyP50, Signal::LatencyP99];
        let Sum::Full { value: total, at } = load.total else {
            for signal in derived {
                // As good as the rate: old, partial or broken; a value of its own there is none.
                let sum = match &load.total {
                    Sum::Old { .. } => &Sum::Nothing,
                    other => other,
                };
                self.settle(key, signal, sum, clock);
            }
            return;
        };
        let errors = match &batch.bad {
            Some(Ok(_)) if total > 0.0 => {
                Reading::from_sample((load.bad / total).clamp(0.0, 1.0), at, clock.now, clock.fresh_for)
            }
            Some(Err(e)) => Reading::Failed { why: e.to_string().into() },
            Some(Ok(_)) | None => Reading::Absent,
        };
        self.set(key, Signal::ErrorRate, errors, clock.now);
        for (signal, q) in [(Signal::LatencyP50, 0.50), (Signal::LatencyP99, 0.99)] {
            let quantile = load.buckets.quantile(q);
            let reading = match (&batch.buckets, quantile) {
                (Some(Err(e)), _) => Reading::Failed { why: e.to_string().into() },
                (Some(Ok(_)), Some(found)) => {
                    Reading::from_sample(found.value * batch.unit, at, clock.now, clock.fresh_for)
                }
                _ => Reading::Absent,
            };
            if q > 0.9 && quantile.is_some_and(|f| f.saturated) {
                self.saturated.insert(key.clone());
            }
            self.set(key, signal, reading, clock.now);
        }
    }

    fn take_in_flight(&mut self, index: &PodIndex, profile: &Profile, batch: &Batch, clock: Clock) {
        let asked = profile.in_flight.as_ref().zip(batch.in_flight.as_ref());
        let values = asked.map(|((_, by), (values, times))| match (values, times) {
            (Ok(v), Ok(t)) => Ok((PodValues::new(index, by, v), PodValues::ages(index, by, t))),
            (Err(e), _) | (_, Err(e)) => Err(Arc::<str>::from(e.to_string())),
        });
        for (key, range) in &index.workloads {
            match &values {
                None => self.set(key, Signal::Connections, Reading::Absent, clock.now),
                Some(Err(why)) => {
                    self.set(key, Signal::Connections, Reading::Failed { why: why.clone() }, clock.now);
                }
                Some(Ok((values, ages))) => {
                    let seen = &self.seen_in_flight;
                    let must = |p: usize| index.pods[p].is_expected() && seen.contains(&index.pods[p].key);
                    let sum = add_up(range.clone(), values, ages, must, clock);
                    self.settle(key, Signal::Connections, &sum, clock);
                }
            }
        }
        if let Some(Ok((values, _))) = &values {
            let known = (0..index.pods.len()).filter(|p| values.get(*p).is_some());
            self.seen_in_flight.extend(known.map(|p| index.pods[p].key.clone()));
        }
    }
}

/// Takes one number of every node.
fn take_nodes(known: &mut HashMap<Arc<str>, Reading>, nodes: &[Arc<NodeRow>], outcome: Option<&Outcome>, clock: Clock) {
    let old = std::mem::take(known);
    let Some(outcome) = outcome else { return };
    let of = |s: &Sample| Some((Arc::<str>::from(s.labels.get("node")?), s.value.float()?));
    let found: HashMap<Arc<str>, f64> =
        outcome.as_ref().map(|list| list.iter().filter_map(of).collect()).unwrap_or_default();
    for node in nodes {
        let reading = match (outcome, found.get(&node.name)) {
            (Err(e), _) => Reading::Failed { why: e.to_string().into() },
            (Ok(_), Some(v)) => Reading::from_sample(*v, clock.now, clock.now, clock.fresh_for),
            (Ok(_), None) => Sum::Nothing.reading(old.get(&node.name).and_then(Reading::last), clock),
        };
        known.insert(node.name.clone(), reading);
    }
}

impl Usage {
    /// `None` if the batch did not ask for usage.
    fn new(index: &PodIndex, cadvisor: &Cadvisor, batch: &Batch) -> Option<Self> {
        let text = |e: &crate::monitor::prometheus::PromError| Arc::<str>::from(e.to_string());
        let by = &cadvisor.by;
        let (cpu, memory, sampled) = (batch.cpu.as_ref()?, batch.memory.as_ref()?, batch.sampled.as_ref()?);
        let ages = match sampled {
            Ok(s) => PodValues::ages(index, by, s),
            // Without ages nothing can be called fresh.
            Err(e) => {
                let failed = || Err(text(e));
                return Some(Self {
                    cpu: failed(),
                    memory: failed(),
                    share: Vec::new(),
                    throttled: PodValues::default(),
                    ages: PodValues::default(),
                });
            }
        };
        let mut share = vec![None; index.pods.len()];
        if let Ok(samples) = memory {
            for s in samples {
                let Some(pod) = by.key(&s.labels).and_then(|(n, p)| index.pod(n, p)) else { continue };
                let (Some(name), Some(used)) = (s.labels.get(&cadvisor.container), s.value.float()) else { continue };
                let spec = index.pods[pod].row.specs.iter().find(|c| &*c.name == name);
                let limit = spec.and_then(|c| c.resources.memory_limit.as_ref()).map(|m| m.value.0 as f64);
                if let Some(of_limit) = limit.filter(|l| *l > 0.0).map(|l| used / l) {
                    share[pod] = Some(share[pod].map_or(of_limit, |old: f64| old.max(of_limit)));
                }
            }
        }
        let values = |o: &Outcome| o.as_ref().map(|s| PodValues::new(index, by, s)).map_err(text);
        let throttled = batch.throttled.as_ref().and_then(|o| o.as_ref().ok());
        let throttled = throttled.map(|s| PodValues::new(index, by, s)).unwrap_or_default();
        Some(Self { cpu: values(cpu), memory: values(memory), share, throttled, ages })
    }

    /// Usage of the pods of which both CPU and memory are known.
    fn pods(&self, index: &PodIndex, clock: Clock) -> HashMap<PodKey, PodUsage> {
        let (Ok(cpu), Ok(memory)) = (&self.cpu, &self.memory) else { return HashMap::new() };
        let finite = |v: Option<f64>| v.filter(|v| v.is_finite());
        index
            .pods
            .iter()
            .enumerate()
            .filter_map(|(i, pod)| {
                let (cpu, memory, age) = (finite(cpu.get(i))?, finite(memory.get(i))?, finite(self.ages.get(i))?);
                let at = clock.ago(age);
                let memory_share = self.share[i].map(|s| s as f32);
                let throttled = finite(self.throttled.get(i)).map(|s| s as f32);
                Some((
                    pod.key.clone(),
                    PodUsage { cpu: cpu as f32, memory: memory as f32, memory_share, throttled, at },
                ))
            })
            .collect()
    }
}

#[cfg(test)]
#[path = "book_test.rs"]
mod tests;
