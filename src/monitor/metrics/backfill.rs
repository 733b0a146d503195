//! Fills the past of the rings: range queries for some workloads at a time, in the background.
//!
//! Pods that are long gone count too; their names come from the index of Prometheus and find their workload by
//! shape. Where no pod had a fresh sample there is a gap. How many pods a workload had then is not known, so
//! that a past sum can lack pods whose target was down; live sums cannot.

use super::histogram::Buckets;
use super::pods::PodIndex;
use super::queries::{cpu, family, in_flight, limits, memory};
use crate::model::object::WorkloadKey;
use crate::model::series::Signal;
use crate::model::time::Timestamp;
use crate::monitor::prometheus::answer::{Labels, Track};
use crate::monitor::prometheus::families::{By, Requests};
use crate::monitor::prometheus::profile::{Profile, join, matcher};
use crate::monitor::prometheus::{PromClient, PromError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Pods in one query, as KRR does it.
const PODS_PER_QUERY: usize = 50;

/// Points of a series in one query; Prometheus' own limit is 11 000.
const POINTS_PER_QUERY: i64 = 10_000;

/// History of one signal of one workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled {
    /// Whose.
    pub key: WorkloadKey,
    /// Which signal.
    pub signal: Signal,
    /// Oldest first; gaps are not there.
    pub points: Vec<(Timestamp, f64)>,
}

/// What to fill.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which workloads.
    pub keys: BTreeSet<WorkloadKey>,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Seconds between points: the step of the rings.
    pub step: u32,
}

/// One value per slot of a time slice; NaN is a gap.
pub(super) type Grid = Vec<f64>;

/// A stretch of time that fits into one query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) step: u32,
}

impl Slice {
    pub(super) fn slots(self) -> usize {
        ((self.to - self.from).num_seconds() / i64::from(self.step) + 1).max(0) as usize
    }

    pub(super) fn slot(self, at: Timestamp) -> Option<usize> {
        let seconds = ((at - self.from).num_milliseconds() as f64 / 1000.0).round() as i64;
        let slot = usize::try_from(seconds.div_euclid(i64::from(self.step))).ok()?;
        (slot < self.slots()).then_some(slot)
    }

    /// The same in parts of at most `slots`, oldest first.
    pub(super) fn parts(self, slots: usize) -> impl Iterator<Item = Self> {
        let step = chrono::TimeDelta::seconds(i64::from(self.step));
        (0..self.slots()).step_by(slots).map(move |first| {
            let from = self.from + step * first as i32;
            Self { from, to: self.to.min(from + step * (slots as i32 - 1)), step: self.step }
        })
    }

    fn points(self, grid: &[f64]) -> Vec<(Timestamp, f64)> {
        let at = |i: usize| self.from + chrono::TimeDelta::seconds(i as i64 * i64::from(self.step));
        grid.iter().enumerate().filter(|(_, v)| v.is_finite()).map(|(i, v)| (at(i), *v)).collect()
    }
}

impl Job {
    /// All of it as one slice, whose points lie on the slots of the rings.
    pub(super) fn whole(&self) -> Slice {
        let step = self.step.max(1);
        let time = |slot: i64| chrono::DateTime::from_timestamp(slot * i64::from(step), 0);
        let first = self.from.timestamp().div_euclid(i64::from(step)) + 1;
        let last = self.to.timestamp().div_euclid(i64::from(step));
        let from = time(first).unwrap_or(self.from);
        Slice { from, to: time(last).unwrap_or(self.to), step }
    }

    /// Slices whose points lie on the slots of the rings, newest first: what is looked at is filled first.
    fn slices(&self) -> Vec<Slice> {
        let step = i64::from(self.step.max(1));
        let time = |slot: i64| chrono::DateTime::from_timestamp(slot * step, 0);
        let (first, mut last) = (self.from.timestamp().div_euclid(step) + 1, self.to.timestamp().div_euclid(step));
        let mut list = Vec::new();
        while last >= first {
            let start = (last - POINTS_PER_QUERY + 1).max(first);
            let (Some(from), Some(to)) = (time(start), time(last)) else { break };
            list.push(Slice { from, to, step: self.step.max(1) });
            last = start - 1;
        }
        list
    }
}

/// Runs a job; `out` gets each signal of each workload and slice as it comes. An error means that the server is lost:
/// the job is to be done again. Queries that are refused are skipped; how many is the answer.
pub async fn run(
    client: &PromClient,
    profile: &Profile,
    index: &PodIndex,
    job: &Job,
    out: &tokio::sync::mpsc::Sender<Filled>,
) -> Result<usize, PromError> {
    let mut namespaces: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
    for (i, (key, _)) in index.workloads.iter().enumerate().filter(|(_, (k, _))| job.keys.contains(k)) {
        namespaces.entry(key.namespace.clone()).or_default().push(i);
    }
    let slices = job.slices();
    let mut work = Work { client, profile, index, out, refused: 0 };
    for (namespace, workloads) in &namespaces {
        let pods = work.pods(namespace, workloads, job).await?;
        for slice in &slices {
            work.usage(namespace, &pods, *slice).await?;
            work.requests(namespace, workloads, &pods, *slice).await?;
        }
    }
    Ok(work.refused)
}

struct Work<'a> {
    client: &'a PromClient,
    profile: &'a Profile,
    index: &'a PodIndex,
    out: &'a tokio::sync::mpsc::Sender<Filled>,
    refused: usize,
}

impl Work<'_> {
    /// Pods that the workloads of a namespace have or had, by workload.
    async fn pods(
        &mut self,
        namespace: &str,
        workloads: &[usize],
        job: &Job,
    ) -> Result<BTreeMap<usize, BTreeSet<String>>, PromError> {
        let mut sources: Vec<(&str, &By)> = Vec::new();
        sources.extend(self.profile.cadvisor.as_ref().map(|c| ("container_memory_working_set_bytes", &c.by)));
        sources.extend(self.profile.requests.iter().filter(|r| r.by.pod).map(|r| (r.total.as_str(), &r.by)));
        sources.extend(self.profile.in_flight.as_ref().map(|(m, by)| (m.as_str(), by)));
        let cluster = self.profile.cluster.as_deref().unwrap_or_default();
        let mut found: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for (metric, by) in sources {
            for (n, p) in &by.pairs {
                let selector = format!("{metric}{{{}}}", join([matcher(n, namespace).as_str(), cluster]));
                let names = self.client.label_values(p, Some(&selector), job.from, job.to).await;
                let Some(names) = self.keep(names.map(|a| a.data))? else { continue };
                for pod in names {
                    if let Some(w) = self.index.workload_of(namespace, &pod).filter(|w| workloads.contains(w)) {
                        found.entry(w).or_default().insert(pod);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Lets a refused query pass as nothing, and a lost server as an error.
    fn keep<T>(&mut self, answer: Result<T, PromError>) -> Result<Option<T>, PromError> {
        match answer {
            Ok(data) => Ok(Some(data)),
            Err(e) if e.is_about_the_query() => {
                tracing::warn!("history is incomplete: {e}");
                self.refused += 1;
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    async fn range(&mut self, query: &str, slice: Slice) -> Result<Option<Vec<Track>>, PromError> {
        let answer = self.client.query_range(query, slice.from, slice.to, slice.step).await;
        self.keep(answer.map(|a| a.data))
    }

    async fn send(&self, workload: usize, signal: Signal, slice: Slice, grid: &[f64]) {
        let points = slice.points(grid);
        if !points.is_empty() {
            // A closed channel means that the collector is gone, and this task with it in a moment.
            let _ = self.out.send(Filled { key: self.index.workloads[workload].0.clone(), signal, points }).await;
        }
    }

    /// Asks `query` for the pods of all workloads, some at a time, and adds the answers up per workload.
    async fn by_pods(
        &mut self,
        namespace: &str,
        pods: &BTreeMap<usize, BTreeSet<String>>,
        by: &By,
        slice: Slice,
        query: impl Fn(&str) -> String,
    ) -> Result<BTreeMap<usize, Grid>, PromError> {
        let all: Vec<&str> = pods.values().flatten().map(String::as_str).collect();
        let mut grids = BTreeMap::new();
        for names in all.chunks(PODS_PER_QUERY) {
            for limit in limits(by, namespace, names) {
                let Some(tracks) = self.range(&query(&limit), slice).await? else { continue };
                add(&mut grids, &tracks, slice, |l| by.key(l).and_then(|(n, p)| self.index.workload_of(n, p)));
            }
        }
        Ok(grids)
    }

    async fn usage(
        &mut self,
        namespace: &str,
        pods: &BTreeMap<usize, BTreeSet<String>>,
        slice: Slice,
    ) -> Result<(), PromError> {
        let profile = self.profile;
        let fresh = profile.fresh_for().num_seconds();
        if let Some(c) = &profile.cadvisor {
            let cores = self.by_pods(namespace, pods, &c.by, slice, |l| cpu(profile, c, l, profile.window_s())).await?;
            let bytes = self.by_pods(namespace, pods, &c.by, slice, |l| memory(c, l, Some(fresh))).await?;
            for (signal, grids) in [(Signal::Cpu, cores), (Signal::Memory, bytes)] {
                for (workload, grid) in grids {
                    self.send(workload, signal, slice, &grid).await;
                }
            }
        }
        if let Some((metric, by)) = &profile.in_flight {
            let cluster = profile.cluster.as_deref().unwrap_or_default();
            let query = |l: &str| in_flight(metric, by, &join([cluster, l]), fresh);
            for (workload, grid) in self.by_pods(namespace, pods, by, slice, query).await? {
                self.send(workload, Signal::Connections, slice, &grid).await;
            }
        }
        Ok(())
    }

    /// Request signals: for each workload from the first family that has any.
    async fn requests(
        &mut self,
        namespace: &str,
        workloads: &[usize],
        pods: &BTreeMap<usize, BTreeSet<String>>,
        slice: Slice,
    ) -> Result<(), PromError> {
        let mut done: BTreeSet<usize> = BTreeSet::new();
        let window = self.profile.window_s();
        let cluster = self.profile.cluster.as_deref().unwrap_or_default();
        for r in &self.profile.requests {
            let names: BTreeMap<usize, BTreeSet<String>> = if r.by.pod {
                pods.iter().filter(|(w, _)| !done.contains(w)).map(|(w, p)| (*w, p.clone())).collect()
            } else {
                let rest = workloads.iter().filter(|w| !done.contains(w));
                rest.map(|w| (*w, BTreeSet::from([self.index.workloads[*w].0.name.to_string()]))).collect()
            };
            let q = |l: &str| family(r, &join([cluster, l]), window);
            let totals = self.by_names(namespace, &names, r, slice, |l| q(l).total).await?;
            let bads = match &r.bad {
                Some(_) => Some(self.by_names(namespace, &names, r, slice, |l| q(l).bad.unwrap_or_default()).await?),
                None => None,
            };
            for (workload, total) in totals {
                self.send(workload, Signal::RequestRate, slice, &total).await;
                if let Some(bads) = &bads {
                    let shares = shares(&total, bads.get(&workload));
                    self.send(workload, Signal::ErrorRate, slice, &shares).await;
                }
                if let (Some(own), Some(_)) = (names.get(&workload), &r.bucket) {
                    self.latency(namespace, workload, own, r, slice).await?;
                }
                done.insert(workload);
            }
        }
        Ok(())
    }

    async fn by_names(
        &mut self,
        namespace: &str,
        names: &BTreeMap<usize, BTreeSet<String>>,
        r: &Requests,
        slice: Slice,
        query: impl Fn(&str) -> String,
    ) -> Result<BTreeMap<usize, Grid>, PromError> {
        if r.by.pod {
            return self.by_pods(namespace, names, &r.by, slice, query).await;
        }
        let all: Vec<&str> = names.values().flatten().map(String::as_str).collect();
        let mut grids = BTreeMap::new();
        for some in all.chunks(PODS_PER_QUERY) {
            for limit in limits(&r.by, namespace, some) {
                let Some(tracks) = self.range(&query(&limit), slice).await? else { continue };
                add(&mut grids, &tracks, slice, |l| r.by.key(l).and_then(|(n, w)| self.index.workload_named(n, w)));
            }
        }
        Ok(grids)
    }

    /// Quantiles of one workload; its buckets are added up by the server, which keeps answers small.
    async fn latency(
        &mut self,
        namespace: &str,
        workload: usize,
        names: &BTreeSet<String>,
        r: &Requests,
        slice: Slice,
    ) -> Result<(), PromError> {
        let Some((bucket, unit)) = &r.bucket else { return Ok(()) };
        let cluster = self.profile.cluster.as_deref().unwrap_or_default();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut slots: Vec<Buckets> = vec![Buckets::default(); slice.slots()];
        for some in names.chunks(PODS_PER_QUERY) {
            for limit in limits(&r.by, namespace, some) {
                let selector = join([r.selector.as_str(), cluster, &limit]);
                let window = self.profile.window_s();
                let query = format!("sum by (le) (rate({bucket}{{{selector}}}[{window}s]))");
                let Some(tracks) = self.range(&query, slice).await? else { continue };
                for track in &tracks {
                    let Some(le) = track.labels.get("le") else { continue };
                    for (at, v) in &track.points {
                        if let Some(i) = slice.slot(*at) {
                            slots[i].add(le, *v);
                        }
                    }
                }
            }
        }
        for (signal, q) in [(Signal::LatencyP50, 0.50), (Signal::LatencyP99, 0.99)] {
            let grid: Grid = slots.iter().map(|b| b.quantile(q).map_or(f64::NAN, |f| f.value * unit)).collect();
            self.send(workload, signal, slice, &grid).await;
        }
        Ok(())
    }
}

/// Adds tracks to the grids of their owners.
pub(super) fn add(
    grids: &mut BTreeMap<usize, Grid>,
    tracks: &[Track],
    slice: Slice,
    owner: impl Fn(&Labels) -> Option<usize>,
) {
    for track in tracks {
        let Some(workload) = owner(&track.labels) else { continue };
        let grid = grids.entry(workload).or_insert_with(|| vec![f64::NAN; slice.slots()]);
        for (at, v) in track.points.iter().filter(|(_, v)| v.is_finite()) {
            if let Some(i) = slice.slot(*at) {
                grid[i] = if grid[i].is_nan() { *v } else { grid[i] + v };
            }
        }
    }
}

/// Failed over all; unknown where there was no request.
fn shares(total: &[f64], bad: Option<&Grid>) -> Grid {
    let bad = |i: usize| bad.map_or(0.0, |b| if b[i].is_nan() { 0.0 } else { b[i] });
    total.iter().enumerate().map(|(i, t)| if *t > 0.0 { (bad(i) / t).clamp(0.0, 1.0) } else { f64::NAN }).collect()
}

/// Workloads that wait for their past, with the moment from which it is missing.
#[derive(Debug, Default)]
pub struct Waiting(HashMap<WorkloadKey, Timestamp>);

impl Waiting {
    /// `key` lacks everything since `from`.
    pub fn add(&mut self, key: WorkloadKey, from: Timestamp) {
        self.0.entry(key).and_modify(|f| *f = (*f).min(from)).or_insert(from);
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes the workloads that lack most, those within an hour of the worst together.
    pub fn take(&mut self, to: Timestamp, step: u32) -> Option<Job> {
        let from = *self.0.values().min()?;
        let near = from + chrono::TimeDelta::hours(1);
        let keys: BTreeSet<WorkloadKey> = self.0.iter().filter(|(_, f)| **f <= near).map(|(k, _)| k.clone()).collect();
        self.0.retain(|k, _| !keys.contains(k));
        Some(Job { keys, from, to, step })
    }
}

#[cfg(test)]
#[path = "backfill_test.rs"]
mod tests;
