//! Adds the samples of pods up to workloads, and says how complete the sum is. Missing is not zero: a sum
//! that lacks more than a fifth of the pods which must be there is not a value.

use super::batch::{FamilyBatch, Outcome};
use super::histogram::Buckets;
use super::pods::PodIndex;
use crate::model::object::PodKey;
use crate::model::reading::Reading;
use crate::model::time::Timestamp;
use crate::monitor::prometheus::answer::{Labels, Sample};
use crate::monitor::prometheus::families::By;
use chrono::TimeDelta;
use std::collections::HashSet;
use std::sync::Arc;

/// Share of the expected pods that may be missing from a value.
const MAY_MISS: f64 = 0.20;

/// A value that vanished is shown as stale for this long, then it is absent.
pub const FORGET: TimeDelta = TimeDelta::minutes(10);

/// When it is, and what counts as fresh.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Our clock.
    pub now: Timestamp,
    /// Greatest age of a fresh sample.
    pub fresh_for: TimeDelta,
}

impl Clock {
    /// Whether a sample of this age, in seconds, is fresh. NaN is not.
    pub fn is_fresh(self, age: f64) -> bool {
        age <= self.fresh_for.num_milliseconds() as f64 / 1000.0
    }

    /// The moment that many seconds ago.
    pub fn ago(self, age: f64) -> Timestamp {
        self.now - TimeDelta::milliseconds((age.min(1e9) * 1000.0) as i64)
    }
}

/// Pods that had series before.
pub type Seen = HashSet<PodKey>;

/// What the pods of a workload add up to.
#[derive(Debug, Clone, PartialEq)]
pub enum Sum {
    /// All that must be there is there and fresh. `at` is the oldest sample in it.
    Full {
        /// The sum.
        value: f64,
        /// Time of its oldest sample.
        at: Timestamp,
    },
    /// Samples are there, all too old.
    Old {
        /// Their sum.
        value: f64,
        /// Time of the oldest.
        at: Timestamp,
    },
    /// Too many pods are missing.
    Partial {
        /// Pods with a fresh sample among those expected.
        have: usize,
        /// Pods that must have one.
        expected: usize,
    },
    /// A pod's sample is not a number.
    Broken {
        /// What it is.
        value: f64,
    },
    /// No samples at all.
    Nothing,
}

impl Sum {
    /// The reading it makes. `last` is the last complete value: it is shown as stale while samples are missing,
    /// never a partial sum, which would look like a fall in load.
    pub fn reading(&self, last: Option<(f64, Timestamp)>, clock: Clock) -> Reading {
        let stale = last
            .filter(|(_, at)| clock.now.signed_duration_since(*at) <= FORGET)
            .map(|(value, at)| Reading::Stale { value, at });
        match self {
            Self::Full { value, at } => Reading::from_sample(*value, *at, clock.now, clock.fresh_for),
            Self::Old { value, at } => Reading::Stale { value: *value, at: *at },
            Self::Partial { have, expected } => stale.unwrap_or_else(|| Reading::Failed {
                why: format!(
                    "only {have} of {expected} ready pods have fresh samples: look at the targets in Prometheus"
                )
                .into(),
            }),
            Self::Broken { value } => Reading::Failed { why: format!("the server answered {value} for a pod").into() },
            Self::Nothing => stale.unwrap_or(Reading::Absent),
        }
    }
}

/// Samples of one quantity by pod of an index.
#[derive(Debug, Default)]
pub struct PodValues(Vec<Option<f64>>);

impl PodValues {
    /// Sorts samples to pods; several series of one pod are added up. Pods that are gone are left out.
    pub fn new(index: &PodIndex, by: &By, samples: &[Sample]) -> Self {
        let mut values = vec![None; index.pods.len()];
        for (pod, v, _) in pairs(index, by, samples) {
            values[pod] = Some(values[pod].unwrap_or(0.0) + v);
        }
        Self(values)
    }

    /// Ages in seconds from samples whose value is a unix time; the youngest series of a pod counts.
    /// Measured on the server's clock, so that a difference to ours does not matter.
    pub fn ages(index: &PodIndex, by: &By, samples: &[Sample]) -> Self {
        let mut ages: Vec<Option<f64>> = vec![None; index.pods.len()];
        for (pod, v, at) in pairs(index, by, samples) {
            let age = seconds_between(v, at);
            ages[pod] = Some(ages[pod].map_or(age, |old| old.min(age)));
        }
        Self(ages)
    }

    /// The value of a pod.
    pub fn get(&self, pod: usize) -> Option<f64> {
        self.0[pod]
    }
}

/// From a unix time to a moment of the same clock; never negative.
fn seconds_between(then: f64, now: Timestamp) -> f64 {
    (now.timestamp_millis() as f64 / 1000.0 - then).max(0.0)
}

fn pairs<'a>(
    index: &'a PodIndex,
    by: &'a By,
    samples: &'a [Sample],
) -> impl Iterator<Item = (usize, f64, Timestamp)> + 'a {
    samples.iter().filter_map(|s| {
        let (namespace, pod) = by.key(&s.labels)?;
        Some((index.pod(namespace, pod)?, s.value.float()?, s.at))
    })
}

/// Adds up the pods `range` of the index. `must` says whether samples of a pod must be there.
pub fn add_up(
    range: std::ops::Range<usize>,
    values: &PodValues,
    ages: &PodValues,
    must: impl Fn(usize) -> bool,
    clock: Clock,
) -> Sum {
    let (mut sum, mut oldest, mut fresh) = (0.0, 0.0_f64, 0_usize);
    let (mut old_sum, mut old_oldest, mut old) = (0.0, 0.0_f64, 0_usize);
    let (mut expected, mut have) = (0_usize, 0_usize);
    for pod in range {
        let must = must(pod);
        expected += usize::from(must);
        let (Some(v), Some(age)) = (values.get(pod), ages.get(pod)) else { continue };
        if !v.is_finite() {
            return Sum::Broken { value: v };
        }
        if !clock.is_fresh(age) {
            (old_sum, old_oldest, old) = (old_sum + v, old_oldest.max(age), old + 1);
            continue;
        }
        (sum, oldest, fresh, have) = (sum + v, oldest.max(age), fresh + 1, have + usize::from(must));
    }
    let missing = (expected - have) as f64;
    match (fresh, old) {
        (0, 0) => Sum::Nothing,
        (0, _) => Sum::Old { value: old_sum, at: clock.ago(old_oldest) },
        _ if missing > MAY_MISS * expected as f64 => Sum::Partial { have, expected },
        _ => Sum::Full { value: sum, at: clock.ago(oldest) },
    }
}

/// What one family says of one workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Requests per second.
    pub total: Sum,
    /// Failed requests per second, over the pods in `total`.
    pub bad: f64,
    /// Buckets, over the pods in `total`.
    pub buckets: Buckets,
}

/// The answers of one family, read; what was not asked or failed is empty.
struct Said<'a> {
    total: &'a [Sample],
    sampled: &'a [Sample],
    bad: &'a [Sample],
    buckets: &'a [Sample],
}

/// What one family says of every workload of the index. The error is shown as it is.
///
/// A pod must have samples only if it had some before (`seen`): a counter may come to life with the first
/// request. A mesh or an ingress that speaks of workloads cannot be asked for pods: its sums count as complete.
pub fn loads(
    batch: &FamilyBatch,
    by: &By,
    index: &PodIndex,
    seen: &mut Seen,
    clock: Clock,
) -> Result<Vec<Load>, Arc<str>> {
    fn some(outcome: Option<&Outcome>) -> &[Sample] {
        outcome.and_then(|o| o.as_ref().ok()).map_or(&[], Vec::as_slice)
    }
    for needed in [&batch.total, &batch.sampled] {
        if let Err(e) = needed {
            return Err(e.to_string().into());
        }
    }
    let said = Said {
        total: some(Some(&batch.total)),
        sampled: some(Some(&batch.sampled)),
        bad: some(batch.bad.as_ref()),
        buckets: some(batch.buckets.as_ref()),
    };
    Ok(if by.pod { by_pod(&said, by, index, seen, clock) } else { by_workload(&said, by, index, clock) })
}

fn by_pod(said: &Said, by: &By, index: &PodIndex, seen: &mut Seen, clock: Clock) -> Vec<Load> {
    let (values, ages) = (PodValues::new(index, by, said.total), PodValues::ages(index, by, said.sampled));
    let bad = PodValues::new(index, by, said.bad);
    let fresh = |pod: usize| ages.get(pod).is_some_and(|age| clock.is_fresh(age));
    let mut loads: Vec<Load> = Vec::with_capacity(index.workloads.len());
    for (_, range) in &index.workloads {
        let must = |p: usize| index.pods[p].is_expected() && seen.contains(&index.pods[p].key);
        let total = add_up(range.clone(), &values, &ages, must, clock);
        let bad = range.clone().filter(|p| fresh(*p)).filter_map(|p| bad.get(p)).sum();
        loads.push(Load { total, bad, buckets: Buckets::default() });
    }
    seen.extend((0..index.pods.len()).filter(|p| values.get(*p).is_some()).map(|p| index.pods[p].key.clone()));
    for (pod, le, v) in bucket_samples(said.buckets, |l| by.key(l).and_then(|(n, p)| index.pod(n, p))) {
        if fresh(pod) {
            loads[index.pods[pod].workload].buckets.add(le, v);
        }
    }
    loads
}

fn by_workload(said: &Said, by: &By, index: &PodIndex, clock: Clock) -> Vec<Load> {
    let owner = |l: &Labels| by.key(l).and_then(|(n, w)| index.workload_named(n, w));
    let mut loads = vec![Load { total: Sum::Nothing, bad: 0.0, buckets: Buckets::default() }; index.workloads.len()];
    let mut ages = vec![None; index.workloads.len()];
    for s in said.sampled {
        if let (Some(w), Some(v)) = (owner(&s.labels), s.value.float()) {
            ages[w] = Some(seconds_between(v, s.at));
        }
    }
    for s in said.total {
        let (Some(w), Some(value)) = (owner(&s.labels), s.value.float()) else { continue };
        let Some(age) = ages[w] else { continue };
        let at = clock.ago(age);
        loads[w].total = match (value.is_finite(), clock.is_fresh(age)) {
            (false, _) => Sum::Broken { value },
            (true, true) => Sum::Full { value, at },
            (true, false) => Sum::Old { value, at },
        };
    }
    for s in said.bad {
        if let (Some(w), Some(v)) = (owner(&s.labels), s.value.float()) {
            loads[w].bad += v;
        }
    }
    for (w, le, v) in bucket_samples(said.buckets, owner) {
        loads[w].buckets.add(le, v);
    }
    loads
}

fn bucket_samples<'a>(
    samples: &'a [Sample],
    owner: impl Fn(&Labels) -> Option<usize> + 'a,
) -> impl Iterator<Item = (usize, &'a str, f64)> + 'a {
    samples.iter().filter_map(move |s| Some((owner(&s.labels)?, s.labels.get("le")?, s.value.float()?)))
}
