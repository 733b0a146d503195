//! Reads what failure prediction learns from: the seven signals by the backfill's queries, and beside them what
//! kube-state-metrics says of pods and limits, and who called whom by the service graph. What is not there stays absent.

use super::backfill::{self, Filled, Job, Slice};
use super::calls;
use super::pods::PodIndex;
use super::queries::memory;
use crate::model::failure::{Calls, FACTS, Fact, Past, Record};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::monitor::prometheus::answer::{Labels, Track};
use crate::monitor::prometheus::families::By;
use crate::monitor::prometheus::profile::{Profile, join};
use crate::monitor::prometheus::{PromClient, PromError};
use std::collections::HashMap;

/// Slots in one query: all pods of a cluster come in one answer.
const SLOTS_PER_QUERY: usize = 120;

/// Reads everything a job asks for. An error means that the server is lost; what it refuses stays absent.
pub async fn read(client: &PromClient, profile: &Profile, index: &PodIndex, job: &Job) -> Result<Past, PromError> {
    let whole = job.whole();
    let mut reader = Reader { client, profile, index, whole, records: HashMap::new(), slots: whole.slots() };
    reader.signals(job).await?;
    reader.containers().await?;
    reader.pods().await?;
    reader.wanted().await?;
    let calls = reader.calls().await?;
    let mut records: Vec<Record> = reader.records.into_values().filter(|r| job.keys.contains(&r.key)).collect();
    records.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Past { from: whole.from, step: whole.step, slots: whole.slots(), records, calls, found: Vec::new() })
}

struct Reader<'a> {
    client: &'a PromClient,
    profile: &'a Profile,
    index: &'a PodIndex,
    whole: Slice,
    records: HashMap<usize, Record>,
    slots: usize,
}

/// Namespace, pod and container.
type Place = (String, String, String);

/// One value per slot; NaN is a gap.
type Row = Vec<f32>;

impl Reader<'_> {
    fn record(&mut self, workload: usize) -> &mut Record {
        let (slots, index) = (self.slots, self.index);
        self.records.entry(workload).or_insert_with(|| Record {
            key: index.workloads[workload].0.clone(),
            signals: std::array::from_fn(|_| vec![f32::NAN; slots]),
            facts: std::array::from_fn::<_, FACTS, _>(|_| vec![f32::NAN; slots]),
        })
    }

    fn fact(&mut self, workload: usize, fact: Fact) -> &mut Row {
        &mut self.record(workload).facts[fact as usize]
    }

    async fn signals(&mut self, job: &Job) -> Result<(), PromError> {
        let (out, mut filled) = tokio::sync::mpsc::channel::<Filled>(64);
        let (client, profile, index, whole) = (self.client, self.profile, self.index, self.whole);
        // The sender goes with the job, so that the other side ends.
        let run = async move { backfill::run(client, profile, index, job, &out).await };
        let take = async {
            let mut all = Vec::new();
            while let Some(one) = filled.recv().await {
                all.push(one);
            }
            all
        };
        let (done, all) = tokio::join!(run, take);
        done?;
        let numbers: HashMap<&WorkloadKey, usize> =
            index.workloads.iter().enumerate().map(|(i, (key, _))| (key, i)).collect();
        for Filled { key, signal, points } in all {
            let Some(workload) = numbers.get(&key) else { continue };
            let row = &mut self.record(*workload).signals[signal as usize];
            for (at, value) in points {
                if let Some(slot) = whole.slot(at) {
                    row[slot] = value as f32;
                }
            }
        }
        Ok(())
    }

    /// All tracks of a query, part by part. A refused query gives none.
    async fn ask(&self, query: &str) -> Result<Vec<Track>, PromError> {
        let mut all = Vec::new();
        for part in self.whole.parts(SLOTS_PER_QUERY) {
            match self.client.query_range(query, part.from, part.to, part.step).await {
                Ok(answer) => all.extend(answer.data),
                Err(e) if e.is_about_the_query() => tracing::warn!("the past is incomplete: {e}"),
                Err(e) => return Err(e),
            }
        }
        Ok(all)
    }

    /// Tracks by who they are of.
    async fn rows<K: std::hash::Hash + Eq>(
        &self,
        query: &str,
        of: impl Fn(&Labels) -> Option<K>,
    ) -> Result<HashMap<K, Row>, PromError> {
        let mut rows: HashMap<K, Row> = HashMap::new();
        for track in self.ask(query).await? {
            let Some(key) = of(&track.labels) else { continue };
            let row = rows.entry(key).or_insert_with(|| vec![f32::NAN; self.slots]);
            for (at, value) in track.points.iter().filter(|(_, v)| v.is_finite()) {
                if let Some(slot) = self.whole.slot(*at) {
                    row[slot] = *value as f32;
                }
            }
        }
        Ok(rows)
    }

    fn cluster(&self) -> &str {
        self.profile.cluster.as_deref().unwrap_or_default()
    }

    /// Pods that run, what they may use, and how full the fullest container is: container by container.
    async fn containers(&mut self) -> Result<(), PromError> {
        let Some(c) = &self.profile.cadvisor else { return Ok(()) };
        let fresh = self.profile.fresh_for().num_seconds();
        let place = |by: &By, l: &Labels, container: &str| -> Option<Place> {
            let (namespace, pod) = by.key(l)?;
            Some((namespace.to_owned(), pod.to_owned(), l.get(container)?.to_owned()))
        };
        let used = self.rows(&memory(c, "", Some(fresh)), |l| place(&c.by, l, &c.container)).await?;
        let states = state_pods();
        let mut limits = Vec::new();
        for resource in ["memory", "cpu"] {
            let matchers = join([&format!("resource=\"{resource}\""), self.cluster()]);
            let of =
                format!("max by ({},container) (kube_pod_container_resource_limits{{{matchers}}})", states.clause());
            limits.push(self.rows(&of, |l| place(&states, l, "container")).await?);
        }
        let mut pods: HashMap<(usize, usize), Vec<&str>> = HashMap::new();
        // In order of place, so that sums come out the same each time.
        let mut places: Vec<&Place> = used.keys().collect();
        places.sort();
        let nothing = vec![f32::NAN; self.slots];
        for place in places {
            let Some(workload) = self.index.workload_of(&place.0, &place.1) else { continue };
            let limit = |i: usize| limits[i].get(place).unwrap_or(&nothing);
            for slot in (0..self.slots).filter(|s| used[place][*s].is_finite()) {
                let seen = pods.entry((workload, slot)).or_default();
                let first = seen.is_empty();
                if !seen.contains(&place.1.as_str()) {
                    seen.push(&place.1);
                }
                let count = seen.len() as f32;
                self.fact(workload, Fact::Pods)[slot] = count;
                for (fact, i) in [(Fact::MemoryLimit, 0), (Fact::CpuLimit, 1)] {
                    let sum = &mut self.fact(workload, fact)[slot];
                    // One container without a limit leaves the sum without one: NaN stays NaN.
                    *sum = if first { limit(i)[slot] } else { *sum + limit(i)[slot] };
                }
                let share = used[place][slot] / limit(0)[slot];
                let fullest = &mut self.fact(workload, Fact::Fullest)[slot];
                *fullest = fullest.max(share);
            }
        }
        Ok(())
    }

    /// Pods that are ready, and containers that were started anew.
    async fn pods(&mut self) -> Result<(), PromError> {
        let by = state_pods();
        let index = self.index;
        let owner = |l: &Labels| by.key(l).map(|(n, p)| (n.to_owned(), p.to_owned()));
        let clause = by.clause();
        let matchers = join(["condition=\"true\"", self.cluster()]);
        let ready = self.rows(&format!("max by ({clause}) (kube_pod_status_ready{{{matchers}}})"), &owner).await?;
        for ((namespace, pod), row) in ready {
            let Some(workload) = index.workload_of(&namespace, &pod) else { continue };
            let sums = self.fact(workload, Fact::Ready);
            for (sum, value) in sums.iter_mut().zip(row).filter(|(_, v)| v.is_finite()) {
                *sum = if sum.is_nan() { value } else { *sum + value };
            }
        }
        let restarts = format!(
            "sum by ({clause}) (max by ({clause},container) (kube_pod_container_status_restarts_total{{{}}}))",
            self.cluster()
        );
        for ((namespace, pod), row) in self.rows(&restarts, &owner).await? {
            let Some(workload) = index.workload_of(&namespace, &pod) else { continue };
            let sums = self.fact(workload, Fact::Restarts);
            let mut before = f32::NAN;
            for (sum, value) in sums.iter_mut().zip(row).filter(|(_, v)| v.is_finite()) {
                let more = if before.is_nan() { 0.0 } else { (value - before).max(0.0) };
                *sum = if sum.is_nan() { more } else { *sum + more };
                before = value;
            }
        }
        Ok(())
    }

    /// Pods that are wanted.
    async fn wanted(&mut self) -> Result<(), PromError> {
        let kinds = [
            (WorkloadKind::Deployment, "deployment", "kube_deployment_spec_replicas"),
            (WorkloadKind::StatefulSet, "statefulset", "kube_statefulset_replicas"),
            (WorkloadKind::DaemonSet, "daemonset", "kube_daemonset_status_desired_number_scheduled"),
        ];
        for (kind, label, metric) in kinds {
            let by = By {
                pairs: vec![("exported_namespace".into(), label.into()), ("namespace".into(), label.into())],
                pod: false,
            };
            let query = format!("max by (exported_namespace,namespace,{label}) ({metric}{{{}}})", self.cluster());
            let index = self.index;
            let of = |l: &Labels| {
                let (namespace, name) = by.key(l)?;
                let key = WorkloadKey::new(namespace, kind.clone(), name);
                index.workloads.iter().position(|(k, _)| *k == key)
            };
            for (workload, row) in self.rows(&query, of).await? {
                *self.fact(workload, Fact::Desired) = row;
            }
        }
        Ok(())
    }

    /// Who called whom.
    async fn calls(&self) -> Result<Vec<Calls>, PromError> {
        let Some(queries) = calls::Queries::new(self.profile) else { return Ok(Vec::new()) };
        let of = |l: &Labels| queries.ends(self.index, l);
        let (total, mut bad) = (self.rows(&queries.total, of).await?, self.rows(&queries.failed, of).await?);
        let mut calls: Vec<Calls> = total
            .into_iter()
            .map(|((from, to), rate)| {
                let bad = bad.remove(&(from, to)).unwrap_or_else(|| vec![0.0; self.slots]);
                let share = |(total, bad): (&f32, &f32)| if *total > 0.0 { bad.max(0.0) / total } else { f32::NAN };
                let failed = rate.iter().zip(&bad).map(share).collect();
                let key = |i: usize| self.index.workloads[i].0.clone();
                Calls { caller: key(from), callee: key(to), rate, failed }
            })
            .collect();
        calls.sort_by(|a, b| (&a.caller, &a.callee).cmp(&(&b.caller, &b.callee)));
        Ok(calls)
    }
}

/// Pods as kube-state-metrics names them, with and without `honor_labels`.
pub(super) fn state_pods() -> By {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    By { pairs: vec![pair("exported_namespace", "exported_pod"), pair("namespace", "pod")], pod: true }
}
