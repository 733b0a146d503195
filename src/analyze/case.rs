//! What every family looks at: the scene (everything) and the case (one workload's troubled pods).

use crate::config::settings::{Analyze, Planning};
use crate::model::cluster::{EventRow, NodeTrouble, Workload};
use crate::model::finding::{Evidence, Fault, Finding, FindingId, Severity, Subject};
use crate::model::object::{ObjectRef, PodKey, Resource};
use crate::model::pod::{ContainerRow, ContainerSpec, Phase, PodRow, Terminated, Uid};
use crate::model::snapshot::Snapshot;
use crate::model::time::{Timestamp, age};
use chrono::TimeDelta;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

/// Restarts within this time count as "rising": twice the kubelet's longest back-off of five minutes.
pub const RISING: TimeDelta = TimeDelta::minutes(10);

/// Evidence and pods listed per finding are cut here: the first few tell the story.
const MOST_EVIDENCE: usize = 6;

/// Restart counts of pods that restarted at all, so that "rising" can be told from "happened once".
#[derive(Debug, Default)]
pub struct Restarts {
    /// Per pod: the count last seen, and when it was last seen to rise.
    seen: HashMap<Uid, (u32, Option<Timestamp>)>,
}

impl Restarts {
    /// Takes in a snapshot, and forgets pods that are gone.
    pub fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let mut next = HashMap::new();
        for pod in snapshot.workloads.iter().flat_map(|w| w.pods.iter()) {
            let count = pod.restarts();
            if count == 0 {
                continue;
            }
            let (before, rose) = self.seen.get(&pod.uid).copied().unwrap_or((count, None));
            next.insert(pod.uid.clone(), (count, if count > before { Some(now) } else { rose }));
        }
        self.seen = next;
    }

    /// Whether the pod's restart count was seen to rise within [`RISING`].
    pub fn rising(&self, pod: &PodRow, now: Timestamp) -> bool {
        self.seen
            .get(&pod.uid)
            .and_then(|(_, rose)| *rose)
            .is_some_and(|rose| now.signed_duration_since(rose) <= RISING)
    }
}

/// Everything a family may look at.
pub struct Scene<'a> {
    pub snapshot: &'a Snapshot,
    pub set: &'a Analyze,
    pub planning: &'a Planning,
    pub restarts: &'a Restarts,
    pub now: Timestamp,
    events: HashMap<(&'a str, &'a str), Vec<&'a EventRow>>,
    /// Nodes that are not ready or unreachable beyond the grace period.
    pub lost_nodes: HashSet<&'a str>,
    /// Nodes short of memory, disk or process ids.
    pub pressed_nodes: HashSet<&'a str>,
}

impl<'a> Scene<'a> {
    /// Indexes a snapshot once for all workloads.
    pub fn new(
        snapshot: &'a Snapshot,
        set: &'a Analyze,
        planning: &'a Planning,
        restarts: &'a Restarts,
        now: Timestamp,
    ) -> Self {
        let mut events: HashMap<_, Vec<_>> = HashMap::new();
        for event in snapshot.events.iter().filter(|e| e.object.resource.kind == "Pod") {
            let namespace = event.object.namespace.as_deref().unwrap_or_default();
            events.entry((namespace, &*event.object.name)).or_default().push(&**event);
        }
        let mut scene = Self {
            snapshot,
            set,
            planning,
            restarts,
            now,
            events,
            lost_nodes: HashSet::new(),
            pressed_nodes: HashSet::new(),
        };
        for node in snapshot.nodes.iter() {
            for (trouble, since, _) in &node.troubles {
                if matches!(trouble, NodeTrouble::NotReady | NodeTrouble::Unknown) {
                    if scene.older(*since, scene.set.node_grace) {
                        scene.lost_nodes.insert(&node.name);
                    }
                } else {
                    scene.pressed_nodes.insert(&node.name);
                }
            }
        }
        scene
    }

    /// Whether `then` is longer ago than `grace`. An unknown start counts as long ago.
    pub fn older(&self, then: Option<Timestamp>, grace: std::time::Duration) -> bool {
        then.is_none_or(|t| self.now.signed_duration_since(t) >= delta(grace))
    }

    /// Whether `then` is known and at most `limit` ago.
    pub fn within(&self, then: Option<Timestamp>, limit: TimeDelta) -> bool {
        then.is_some_and(|t| self.now.signed_duration_since(t) <= limit)
    }

    /// Events about a pod, newest first, not older than half an hour.
    pub fn events<'b>(&'b self, pod: &'b PodRow) -> impl Iterator<Item = &'a EventRow> + 'b {
        self.events
            .get(&(&*pod.namespace, &*pod.name))
            .into_iter()
            .flatten()
            .copied()
            .filter(|e| self.within(Some(e.last), TimeDelta::minutes(30)))
    }

    /// Whether Prometheus answered recently: readings and rings are a basis for findings.
    pub fn metrics_fresh(&self) -> bool {
        self.snapshot.metrics.state.is_fresh(self.now, self.freshness())
    }

    /// The greatest age of a sample that counts as fresh: three steps, at least two minutes.
    pub fn freshness(&self) -> TimeDelta {
        TimeDelta::seconds((i64::from(self.snapshot.metrics.step) * 3).max(120))
    }
}

/// A `Duration` of the settings as the difference of two times.
pub fn delta(d: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(d).unwrap_or(TimeDelta::MAX)
}

/// One workload, and those of its pods whose trouble nobody explained yet.
pub struct Case<'a> {
    pub scene: &'a Scene<'a>,
    pub workload: &'a Workload,
    pub pods: Vec<&'a PodRow>,
}

impl<'a> Case<'a> {
    /// Opens a case. `None` if the workload looks healthy, which is nearly always.
    pub fn open(scene: &'a Scene<'a>, workload: &'a Workload) -> Option<Self> {
        let pods: Vec<&PodRow> = workload
            .pods
            .iter()
            .map(|p| &**p)
            .filter(|p| !p.deleting && p.phase != Phase::Succeeded)
            .filter(|p| !p.ready || p.trouble.is_some() || p.containers.iter().any(|c| c.trouble.is_some()))
            .collect();
        (!pods.is_empty() || workload.stuck.is_some()).then_some(Self { scene, workload, pods })
    }

    /// Takes the pods that `explains` picks out of the case and returns them.
    pub fn claim(&mut self, mut explains: impl FnMut(&'a PodRow) -> bool) -> Vec<&'a PodRow> {
        let (taken, left) = self.pods.iter().partition(|p| explains(p));
        self.pods = left;
        taken
    }

    /// The workload as a finding's subject.
    pub fn subject(&self) -> Subject {
        Subject::Workload(self.workload.key.clone())
    }

    /// How bad it is that this workload has trouble: nothing ready is critical, something missing is high.
    pub fn severity(&self) -> Severity {
        let (ready, desired) = self.workload.readiness();
        match () {
            () if desired > 0 && ready == 0 => Severity::Critical,
            () if ready < desired => Severity::High,
            () => Severity::Warning,
        }
    }

    /// `1 of 3 ready`.
    pub fn ready_words(&self) -> String {
        let (ready, desired) = self.workload.readiness();
        format!("{ready} of {desired} ready")
    }

    /// A draft about this workload and these pods.
    pub fn draft(&self, fault: Fault, pods: &[&PodRow], title: String, evidence: Vec<Evidence>) -> Draft {
        Draft {
            detail: None,
            subject: self.subject(),
            severity: self.severity(),
            related: related(pods),
            pods: pods.iter().map(|p| key(p)).collect(),
            fault,
            title,
            evidence,
        }
    }
}

/// A finding before it has its id and age.
pub struct Draft {
    pub fault: Fault,
    pub subject: Subject,
    pub detail: Option<String>,
    pub severity: Severity,
    pub title: String,
    pub evidence: Vec<Evidence>,
    pub pods: Vec<PodKey>,
    pub related: Vec<ObjectRef>,
}

impl Draft {
    /// The same draft with a detail in its id, where one subject can have several of a class.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// `class:subject[:detail]`.
    pub fn id(&self) -> FindingId {
        match &self.detail {
            Some(detail) => format!("{}:{}:{detail}", self.fault.class(), self.subject),
            None => format!("{}:{}", self.fault.class(), self.subject),
        }
        .into()
    }

    /// The finding.
    pub fn finish(mut self, id: FindingId, since: Timestamp) -> Finding {
        self.evidence.truncate(MOST_EVIDENCE);
        Finding {
            id,
            fault: self.fault,
            subject: self.subject,
            severity: self.severity,
            title: self.title.into(),
            evidence: self.evidence,
            pods: self.pods,
            since,
            related: self.related,
        }
    }
}

/// A pod's name.
pub fn key(pod: &PodRow) -> PodKey {
    PodKey { namespace: pod.namespace.clone(), name: (*pod.name).into() }
}

/// The nodes of some pods, for jumping.
fn related(pods: &[&PodRow]) -> Vec<ObjectRef> {
    let nodes: BTreeSet<&Arc<str>> = pods.iter().filter_map(|p| p.node.as_ref()).collect();
    nodes.into_iter().take(10).map(|n| ObjectRef::cluster(Resource::NODES, n.clone())).collect()
}

/// `pod shop/cart-x status.containerStatuses[name=app].<field>`.
pub fn place(pod: &PodRow, spec: &ContainerSpec, field: &str) -> String {
    let list = if spec.init { "initContainerStatuses" } else { "containerStatuses" };
    format!("pod {}/{} status.{list}[name={}].{field}", pod.namespace, pod.name, spec.name)
}

/// How a container last ended, and in which field that is written.
pub fn last_end(row: &ContainerRow) -> Option<(&Terminated, &'static str)> {
    let trouble = row.trouble.as_deref()?;
    let now = trouble.terminated.as_ref().map(|t| (t, "state.terminated"));
    now.or_else(|| trouble.last.as_ref().map(|t| (t, "lastState.terminated")))
}

/// Containers of a pod that reported a state, with that state.
pub fn states(pod: &PodRow) -> impl Iterator<Item = (&ContainerSpec, &ContainerRow)> {
    pod.each_container().filter_map(|(spec, row)| Some((spec, row?)))
}

/// What a container waits for: reason and message.
pub fn waiting(row: &ContainerRow) -> Option<(&Arc<str>, &Arc<str>)> {
    row.trouble.as_ref()?.waiting.as_ref().map(|(reason, message)| (reason, message))
}

/// Evidence from how a container ended.
pub fn end_evidence(scene: &Scene<'_>, pod: &PodRow, spec: &ContainerSpec, row: &ContainerRow) -> Option<Evidence> {
    let (end, field) = last_end(row)?;
    let mut says = format!("reason {}, exit code {}", end.reason, end.exit_code);
    if let (Some(from), Some(to)) = (end.started, end.finished) {
        let _ = write!(says, " after running {}", crate::model::time::short(to.signed_duration_since(from)));
    }
    if let Some(to) = end.finished {
        let _ = write!(says, ", {} ago", age(scene.now, to));
    }
    let _ = write!(says, "; restartCount {}", row.restarts);
    Some(Evidence::new(place(pod, spec, field), says, end.finished))
}

/// Evidence from what a container waits for.
pub fn wait_evidence(scene: &Scene<'_>, pod: &PodRow, spec: &ContainerSpec, row: &ContainerRow) -> Option<Evidence> {
    let (reason, message) = waiting(row)?;
    let says = if message.is_empty() { reason.to_string() } else { format!("{reason}: {message}") };
    Some(Evidence::new(place(pod, spec, "state.waiting"), says, Some(scene.now)))
}

/// Evidence from an event.
pub fn event_evidence(event: &EventRow) -> Evidence {
    let times = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
    Evidence::new(
        format!("event on pod {}/{}", event.object.namespace.as_deref().unwrap_or_default(), event.object.name),
        format!("{}: {}{times}", event.reason, event.message),
        Some(event.last),
    )
}
