//! What somebody changed lately: rollouts, numbers of replicas, workloads that are gone. ConfigMaps and Secrets are not
//! watched; a restart of a workload that reads one is told with their names.

use crate::model::cluster::Workload;
use crate::model::object::WorkloadKey;
use crate::model::pod::ContainerSpec;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Changes older than this are suspects of nothing new.
const KEPT: TimeDelta = TimeDelta::minutes(30);
/// So many turns of the number of replicas within [`FIGHT_SPAN`], down and up, are two hands on one number.
const TURNS: usize = 3;
const FIGHT_SPAN: TimeDelta = TimeDelta::minutes(5);

/// What kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A new template.
    Rollout,
    /// Scaled down by somebody, or to nothing.
    Down,
    /// Scaled below the least that an autoscaler keeps: not by that one.
    Against,
    /// Any other number of replicas.
    Scale,
    /// Deleted.
    Gone,
}

/// A change of a workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub at: Timestamp,
    pub what: What,
    pub says: String,
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
                self.recent.entry(key).or_default().push(Change { at: now, what: What::Gone, says });
            }
        }
        for list in self.recent.values_mut() {
            list.retain(|c| now - c.at <= KEPT);
        }
        self.recent.retain(|_, list| !list.is_empty());
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
    use crate::model::snapshot::SourceState;
    ["deployments", "statefulsets", "daemonsets"].iter().all(|s| matches!(snapshot.source(s), SourceState::Live { .. }))
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
        found.push(Change { at: now, what, says: format!("scaled from {old} to {new} replicas{by}") });
    }
    found
}

fn rollout(w: &Workload, before: &[ContainerSpec], at: Timestamp) -> Change {
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
        let maps: Vec<String> = w.config_maps.iter().map(|m| format!("ConfigMap {m}")).collect();
        let read = if maps.is_empty() { String::new() } else { format!(", so it reads {} anew", maps.join(" and ")) };
        let _ = write!(says, ": same images and limits{read}");
    } else {
        let _ = write!(says, ": {}", differs.join(", "));
    }
    Change { at, what: What::Rollout, says }
}

fn short(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}
