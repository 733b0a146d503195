//! What somebody changed lately: rollouts, numbers of replicas, ConfigMaps that workloads read, workloads that are gone.
//! Secrets are never read, so that a change of one is not seen.

use crate::model::cluster::Workload;
use crate::model::object::WorkloadKey;
use crate::model::pod::ContainerSpec;
use crate::model::snapshot::{Snapshot, SourceState};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

/// Changes older than this are suspects of nothing new.
const KEPT: TimeDelta = TimeDelta::minutes(30);
/// So many turns of the number of replicas within [`FIGHT_SPAN`], down and up, are two hands on one number.
const TURNS: usize = 3;
const FIGHT_SPAN: TimeDelta = TimeDelta::minutes(5);
/// A ConfigMap that changes more often than this within [`KEPT`] is written by a program: a lock or a state, no configuration.
const MOST_EDITS: usize = 3;

/// What kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A new template.
    Rollout,
    /// A new template with the same images and limits: most often a restart, to read something anew.
    Restart,
    /// Scaled down by somebody, or to nothing.
    Down,
    /// Scaled below the least that an autoscaler keeps: not by that one.
    Against,
    /// Any other number of replicas.
    Scale,
    /// A ConfigMap that its template reads was changed.
    Config,
    /// Deleted.
    Gone,
}

/// A change of a workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub at: Timestamp,
    pub what: What,
    pub says: String,
    /// What was changed, where it is not the workload itself: `Kind namespace/name`.
    pub object: Option<Arc<str>>,
}

#[derive(Debug)]
struct Known {
    revision: Option<u64>,
    desired: u32,
    template: Arc<[ContainerSpec]>,
}

/// All recent changes.
#[derive(Debug, Default)]
pub struct Changes {
    known: BTreeMap<WorkloadKey, Known>,
    recent: BTreeMap<WorkloadKey, Vec<Change>>,
    /// Versions of ConfigMaps by namespace and name, and when they changed.
    maps: BTreeMap<(Arc<str>, Arc<str>), (Box<str>, Vec<Timestamp>)>,
}

impl Changes {
    /// Compares with the snapshot before.
    pub fn look(&mut self, snapshot: &Snapshot, now: Timestamp) {
        for w in snapshot.workloads.iter().filter(|w| !w.uid.is_empty()) {
            let changes = match self.known.get(&w.key) {
                Some(before) => compare(snapshot, w, before, now),
                None => young(w, now).into_iter().collect(),
            };
            if !changes.is_empty() {
                self.recent.entry(w.key.clone()).or_default().extend(changes);
            }
            let revision = w.revisions.first().map(|r| r.number);
            let known = Known { revision, desired: w.replicas.desired, template: w.template.clone() };
            self.known.insert(w.key.clone(), known);
        }
        if complete(snapshot) {
            let gone: Vec<WorkloadKey> =
                self.known.keys().filter(|k| snapshot.workload(k).is_none()).cloned().collect();
            for key in gone {
                self.known.remove(&key);
                let says = format!("{} {}/{} was deleted", key.kind.as_str(), key.namespace, key.name);
                self.recent.entry(key).or_default().push(Change { at: now, what: What::Gone, says, object: None });
            }
        }
        self.edits(snapshot, now);
        for list in self.recent.values_mut() {
            list.retain(|c| now - c.at <= KEPT);
        }
        self.recent.retain(|_, list| !list.is_empty());
    }

    /// ConfigMaps that changed since the snapshot before, as changes of those who read them.
    fn edits(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let mut edited: BTreeSet<(Arc<str>, Arc<str>)> = BTreeSet::new();
        for map in snapshot.config_maps.iter() {
            let key = (map.namespace.clone(), map.name.clone());
            let (version, times) = self.maps.entry(key.clone()).or_insert_with(|| (map.version.clone(), Vec::new()));
            if *version == map.version {
                continue;
            }
            version.clone_from(&map.version);
            times.retain(|at| now - *at <= KEPT);
            times.push(now);
            if times.len() <= MOST_EDITS {
                edited.insert(key);
            } else {
                let object = format!("ConfigMap {}/{}", key.0, key.1);
                self.recent.values_mut().for_each(|list| list.retain(|c| c.object.as_deref() != Some(&*object)));
            }
        }
        if self.maps.len() > snapshot.config_maps.len() && is_live(snapshot, "configmaps") {
            let there: BTreeSet<_> = snapshot.config_maps.iter().map(|m| (&*m.namespace, &*m.name)).collect();
            self.maps.retain(|(namespace, name), _| there.contains(&(&**namespace, &**name)));
        }
        if edited.is_empty() {
            return;
        }
        for w in snapshot.workloads.iter() {
            for name in w.config_maps.iter().filter(|m| edited.contains(&(w.key.namespace.clone(), (*m).clone()))) {
                let object = format!("ConfigMap {}/{name}", w.key.namespace);
                let says = format!("{object} was changed");
                let change = Change { at: now, what: What::Config, says, object: Some(object.into()) };
                self.recent.entry(w.key.clone()).or_default().push(change);
            }
        }
    }

    /// Changes of a workload, oldest first.
    pub fn of(&self, key: &WorkloadKey) -> &[Change] {
        self.recent.get(key).map_or(&[], Vec::as_slice)
    }

    /// Everybody that was changed.
    pub fn all(&self) -> impl Iterator<Item = (&WorkloadKey, &Change)> {
        self.recent.iter().flat_map(|(k, list)| list.iter().map(move |c| (k, c)))
    }

    /// The newest number of replicas that somebody set against an autoscaler, of the last minutes.
    pub fn against(&self, key: &WorkloadKey, now: Timestamp) -> Option<&Change> {
        self.of(key).iter().rev().find(|c| c.what == What::Against && now - c.at <= FIGHT_SPAN)
    }

    /// How often its number of replicas turned back and forth lately, if two hands are on it.
    pub fn fight(&self, key: &WorkloadKey, now: Timestamp) -> Option<usize> {
        let scales = self.of(key).iter().filter(|c| now - c.at <= FIGHT_SPAN);
        let ways: Vec<bool> = scales
            .filter(|c| matches!(c.what, What::Down | What::Scale | What::Against))
            .map(|c| c.what != What::Scale)
            .collect();
        let turns = ways.windows(2).filter(|w| w[0] != w[1]).count();
        (turns >= TURNS).then_some(turns + 1)
    }
}

/// Whether the controllers are all listed, so that absence says something.
pub fn complete(snapshot: &Snapshot) -> bool {
    ["deployments", "statefulsets", "daemonsets"].iter().all(|kind| is_live(snapshot, kind))
}

fn is_live(snapshot: &Snapshot, kind: &str) -> bool {
    matches!(snapshot.source(kind), SourceState::Live { .. })
}

/// A workload that is seen for the first time may have been rolled out just before.
fn young(w: &Workload, now: Timestamp) -> Option<Change> {
    let [newest, before, ..] = &*w.revisions else { return None };
    let fresh = now - newest.created <= KEPT && newest.desired > 0;
    fresh.then(|| rollout(w, &before.template, newest.created))
}

fn compare(snapshot: &Snapshot, w: &Workload, before: &Known, now: Timestamp) -> Vec<Change> {
    let mut found = Vec::new();
    let newest = w.revisions.first();
    let rolled = match (newest.map(|r| r.number), before.revision) {
        (Some(new), Some(old)) => new != old,
        _ => w.template != before.template,
    };
    if rolled {
        let at = newest.map_or(now, |r| if now - r.created < KEPT { r.created } else { now });
        found.push(rollout(w, &before.template, at));
    }
    let (old, new) = (before.desired, w.replicas.desired);
    let daemon = matches!(w.key.kind, crate::model::object::WorkloadKind::DaemonSet);
    if old != new && !daemon {
        let scaler = snapshot.hpas.iter().find(|h| h.target == w.key);
        let (what, by) = match scaler {
            Some(h) if new < h.min && new < old => {
                (What::Against, format!(", below the {} that HPA {} keeps: somebody else did it", h.min, h.name))
            }
            Some(h) if new < old => (What::Down, format!("; HPA {} scales it", h.name)),
            Some(h) => (What::Scale, format!("; HPA {} scales it", h.name)),
            None if new < old => (What::Down, String::new()),
            None => (What::Scale, String::new()),
        };
        let says = format!("scaled from {old} to {new} replicas{by}");
        found.push(Change { at: now, what, says, object: None });
    }
    found
}

fn rollout(w: &Workload, before: &[ContainerSpec], at: Timestamp) -> Change {
    let mut what = What::Rollout;
    let mut says = match w.revisions.first() {
        Some(r) => format!("revision {} was rolled out", r.number),
        None => "a new template was rolled out".to_owned(),
    };
    let mut differs = Vec::new();
    for new in w.template.iter() {
        let Some(old) = before.iter().find(|c| c.name == new.name) else { continue };
        if old.image != new.image {
            differs.push(format!("image {} → {}", short(&old.image), short(&new.image)));
        }
        let (o, n) = (&old.resources, &new.resources);
        let text = |a: &Option<Arc<str>>| a.as_deref().unwrap_or("none").to_owned();
        let raw = |a: &Option<crate::model::pod::Amount<_>>| a.as_ref().map(|a| a.raw.clone());
        let bytes = |a: &Option<crate::model::pod::Amount<_>>| a.as_ref().map(|a| a.raw.clone());
        for (name, old, new) in [
            ("CPU limit", raw(&o.cpu_limit), raw(&n.cpu_limit)),
            ("memory limit", bytes(&o.memory_limit), bytes(&n.memory_limit)),
        ] {
            if old != new {
                differs.push(format!("{name} {} → {}", text(&old), text(&new)));
            }
        }
    }
    if differs.is_empty() {
        what = What::Restart;
        let maps: Vec<String> = w.config_maps.iter().map(|m| format!("ConfigMap {m}")).collect();
        let read = if maps.is_empty() { String::new() } else { format!(", so it reads {} anew", maps.join(" and ")) };
        let _ = write!(says, ": same images and limits{read}");
    } else {
        let _ = write!(says, ": {}", differs.join(", "));
    }
    Change { at, what, says, object: None }
}

fn short(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}
