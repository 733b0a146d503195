//! What containers used over the last days, and what they should ask for (P10).

use super::cluster::Workload;
use super::object::WorkloadKey;
use super::pod::{ContainerSpec, Resources};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One sample of one pod's container.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Unix seconds.
    pub time: f64,
    /// Cores, the mean since the sample before.
    pub cpu: Option<f64>,
    /// Bytes of the working set, the greatest since the sample before.
    pub memory: Option<f64>,
    /// Share of the CPU periods in which it was throttled, 0 to 1.
    pub throttled: Option<f64>,
    /// Whether it was killed for memory since the sample before.
    pub killed: bool,
}

/// A container of a workload.
pub type ContainerKey = (WorkloadKey, Arc<str>);

/// Eight days of hours of every container of every pod, those that are gone too.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UsageHistory {
    /// When it was read; `None`: not yet.
    pub read: Option<Timestamp>,
    /// Why the last attempt brought nothing, and when; what an earlier one brought is kept.
    pub failed: Option<(Timestamp, Arc<str>)>,
    /// Per container the samples of each pod, in the order of time.
    pub containers: BTreeMap<ContainerKey, Arc<Vec<Vec<Sample>>>>,
    /// What could not be read, and why, as the server put it.
    pub refused: BTreeMap<&'static str, Arc<str>>,
}

/// A change of what one container asks for of one resource. `None` is "not set" before, and "stays" after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resize {
    /// Which container.
    pub container: Arc<str>,
    /// `cpu` or `memory`.
    pub resource: Arc<str>,
    /// Requested before, in cores or bytes.
    pub request: Option<f64>,
    /// Its limit before.
    pub limit: Option<f64>,
    /// To be requested.
    pub new_request: f64,
    /// The new limit, if it changes.
    pub new_limit: Option<f64>,
}

impl Resize {
    /// Whether it asks for more than before.
    pub fn grows(&self) -> bool {
        self.request.is_none_or(|r| self.new_request > r)
    }
}

/// What is said of one resource of one container.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizing {
    /// Whose.
    #[serde(skip)]
    pub key: WorkloadKey,
    /// Which container.
    pub container: Arc<str>,
    /// `cpu` or `memory`.
    pub resource: Arc<str>,
    /// Requested now, in cores or bytes.
    pub request: Option<f64>,
    /// Its limit.
    pub limit: Option<f64>,
    /// What the Vertical Pod Autoscaler's recommender would request, with its lower and upper bound.
    pub target: f64,
    #[allow(missing_docs)]
    pub lower: f64,
    #[allow(missing_docs)]
    pub upper: f64,
    /// Greatest value measured.
    pub peak: f64,
    /// Days between the first and the last sample.
    pub days: f64,
    /// What was used may have been cut off at the limit.
    pub censored: bool,
    /// The next step; `None` if it stays as it is.
    pub next: Option<Resize>,
    /// Over all pods: requested above the target. Negative: below it.
    pub waste: Option<f64>,
    /// Over all pods: what the next step gives back. Negative: it takes.
    pub saving: Option<f64>,
    /// Why it changes, or why it stays.
    pub why: Vec<Arc<str>>,
}

/// What an autoscaler would have come to over recorded load.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// Under which settings.
    pub settings: Arc<str>,
    /// Pods times hours.
    pub pod_hours: f64,
    /// Minutes in which what was used was more than the ready pods request.
    pub short_minutes: f64,
    /// Changes of the number of pods.
    pub changes: u32,
    /// Most pods at once.
    pub most: i64,
}

/// What an autoscaler would do next, and would have done otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    /// What it scales.
    pub key: WorkloadKey,
    /// Its name.
    pub name: Arc<str>,
    /// Pods now.
    pub current: i64,
    /// Pods it would ask for now and what limits it, or why nothing can be told.
    pub next: Result<(i64, Arc<str>), Arc<str>>,
    /// Over the last day: with its present settings first. Or why nothing can be told.
    pub ran: Result<Arc<[Ran]>, Arc<str>>,
    /// Hours of that day in which use was measured.
    pub hours: f64,
}

/// What an hour costs, in whatever currency the operator counts in; `None`: not told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Prices {
    /// Of a core.
    pub core: Option<f64>,
    /// Of a GiB of memory.
    pub gib: Option<f64>,
}

/// Everything that is said of sizes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sizings {
    /// When it was worked out; `None`: not yet.
    pub made: Option<Timestamp>,
    /// From what was read then.
    pub read: Option<Timestamp>,
    /// By workload, container and resource.
    pub all: Arc<[Arc<Sizing>]>,
    /// Why nothing is said of a container.
    pub silent: BTreeMap<ContainerKey, Arc<str>>,
    /// What could not be read.
    pub refused: BTreeMap<&'static str, Arc<str>>,
    /// Why the last reading failed, and when.
    pub failed: Option<(Timestamp, Arc<str>)>,
    /// What waste costs.
    pub prices: Prices,
    /// What autoscalers would do and would have done.
    pub autoscalers: Arc<[Arc<WhatIf>]>,
}

impl Sizings {
    /// What is said of one workload.
    pub fn of<'a>(&'a self, key: &'a WorkloadKey) -> impl Iterator<Item = &'a Arc<Sizing>> {
        self.all.iter().filter(move |s| s.key == *key)
    }
}

/// What a container asks for now. Pods that were all resized in place say so, and not what the template says.
pub fn asked<'a>(workload: &'a Workload, container: &str) -> Option<&'a ContainerSpec> {
    let named = |specs: &'a [ContainerSpec]| specs.iter().find(|s| &*s.name == container);
    let mut pods = workload.live_pods().map(|p| named(&p.specs));
    let first = pods.next().flatten();
    let same = first.filter(|f| pods.all(|p| p.is_some_and(|p| p.resources == f.resources)));
    same.or_else(|| named(&workload.template))
}

/// Request and limit of `cpu` in cores, or of `memory` in bytes.
pub fn amounts(r: &Resources, resource: &str) -> (Option<f64>, Option<f64>) {
    if resource == "cpu" {
        let cores = |a: &Option<super::pod::Amount<super::quantity::Cpu>>| a.as_ref().map(|a| a.value.cores());
        (cores(&r.cpu_request), cores(&r.cpu_limit))
    } else {
        let bytes = |a: &Option<super::pod::Amount<super::quantity::Bytes>>| a.as_ref().map(|a| a.value.0 as f64);
        (bytes(&r.memory_request), bytes(&r.memory_limit))
    }
}

/// Whether what a container asks for of a resource is still what a resize was worked out from.
pub fn stands(spec: &ContainerSpec, resize: &Resize) -> bool {
    amounts(&spec.resources, &resize.resource) == (resize.request, resize.limit)
}
