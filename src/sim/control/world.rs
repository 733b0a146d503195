//! What all controllers know: the pods in short, and who owns whom. Kept up with the changes, so that no controller
//! has to read every pod to find its own.

use super::queue::Id;
use crate::model::time::Timestamp;
use crate::sim::resource::Registry;
use crate::sim::store::{Change, Stored, What};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Kinds no controller looks at when they change.
const IGNORED: [&str; 2] = ["events", "events.events.k8s.io"];

/// An owner reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub controller: bool,
    pub block_owner_deletion: bool,
}

/// The part of metadata that controllers look at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub owner_references: Option<Vec<Owner>>,
    pub deletion_timestamp: Option<String>,
    pub creation_timestamp: Option<String>,
    pub finalizers: Option<Vec<String>>,
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Meta {
    pub fn owners(&self) -> &[Owner] {
        self.owner_references.as_deref().unwrap_or_default()
    }

    pub fn controller(&self) -> Option<&Owner> {
        self.owners().iter().find(|o| o.controller)
    }

    pub fn finalizer(&self, name: &str) -> bool {
        self.finalizers.as_ref().is_some_and(|all| all.iter().any(|f| f == name))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AnyView {
    metadata: Meta,
}

/// The metadata of a stored object.
pub fn meta(stored: &Stored) -> Meta {
    serde_json::from_str::<AnyView>(&stored.body).unwrap_or_default().metadata
}

/// A pod in short.
#[derive(Debug, Clone)]
pub struct Pod {
    pub stored: Arc<Stored>,
    pub owner: Option<Owner>,
    pub node: String,
    pub phase: String,
    /// When its Ready condition became true; `None`: it is not ready.
    pub ready: Option<Timestamp>,
    pub deleting: bool,
    pub created: Timestamp,
    /// `controller.kubernetes.io/pod-deletion-cost`.
    pub cost: i64,
    /// Most restarts of any container.
    pub restarts: i64,
    pub ip: String,
    /// Its name in the domain of a headless Service, and that Service; empty without.
    pub hostname: String,
    pub subdomain: String,
}

impl Pod {
    pub fn id(&self) -> Id {
        Id::of(&self.stored)
    }

    /// Neither ended nor being deleted.
    pub fn active(&self) -> bool {
        !self.deleting && !self.ended()
    }

    pub fn ended(&self) -> bool {
        self.phase == "Succeeded" || self.phase == "Failed"
    }

    /// Since when it has been ready for `seconds`; in the future if it has to wait, `None` if it is not ready.
    pub fn available_from(&self, seconds: i64) -> Option<Timestamp> {
        self.ready.map(|t| t + chrono::TimeDelta::seconds(seconds))
    }

    pub fn available(&self, seconds: i64, now: Timestamp) -> bool {
        self.available_from(seconds).is_some_and(|t| t <= now)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodView {
    metadata: Meta,
    spec: SpecView,
    status: StatusView,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SpecView {
    node_name: Option<String>,
    hostname: Option<String>,
    subdomain: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct StatusView {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    conditions: Option<Vec<ConditionView>>,
    container_statuses: Option<Vec<ContainerView>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ConditionView {
    r#type: String,
    status: String,
    last_transition_time: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContainerView {
    restart_count: i64,
}

/// A time as the API writes it.
pub fn moment(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.with_timezone(&Utc))
}

/// A stored pod in short.
pub fn short(stored: &Arc<Stored>) -> Pod {
    pod(stored).0
}

fn pod(stored: &Arc<Stored>) -> (Pod, Meta) {
    let view: PodView = serde_json::from_str(&stored.body).unwrap_or_default();
    let created = view.metadata.creation_timestamp.as_deref().and_then(moment).unwrap_or_default();
    let conditions = view.status.conditions.unwrap_or_default();
    let ready = conditions.iter().find(|c| c.r#type == "Ready" && c.status == "True");
    let cost = view.metadata.annotations.as_ref().and_then(|a| a.get("controller.kubernetes.io/pod-deletion-cost"));
    let pod = Pod {
        stored: stored.clone(),
        owner: view.metadata.controller().cloned(),
        node: view.spec.node_name.unwrap_or_default(),
        phase: view.status.phase.unwrap_or_default(),
        ready: ready.map(|c| c.last_transition_time.as_deref().and_then(moment).unwrap_or(created)),
        deleting: view.metadata.deletion_timestamp.is_some(),
        created,
        cost: cost.and_then(|c| c.parse().ok()).unwrap_or(0),
        restarts: view.status.container_statuses.iter().flatten().map(|c| c.restart_count).max().unwrap_or(0),
        ip: view.status.pod_ip.unwrap_or_default(),
        hostname: view.spec.hostname.unwrap_or_default(),
        subdomain: view.spec.subdomain.unwrap_or_default(),
    };
    (pod, view.metadata)
}

/// A change with what controllers ask of every change.
pub struct Seen<'a> {
    pub change: &'a Change,
    /// When it is seen.
    pub now: Timestamp,
    /// The kinds that are served.
    pub registry: &'a Registry,
    /// Metadata after the change.
    pub meta: Meta,
    /// The controller's reference before the change.
    pub was: Option<Owner>,
    /// The pod before the change, for pods.
    pub pod_before: Option<Arc<Pod>>,
}

impl Seen<'_> {
    pub fn key(&self) -> &str {
        &self.change.object.key
    }

    pub fn id(&self) -> Id {
        Id::of(&self.change.object)
    }

    pub fn object(&self) -> &Arc<Stored> {
        &self.change.object
    }

    pub fn gone(&self) -> bool {
        self.change.what == What::Deleted
    }

    /// The controllers of kind `kind` that the object has and had, as objects of `key`.
    pub fn controllers(&self, kind: &str, key: &str) -> Vec<Id> {
        let mut all: Vec<Id> = [self.meta.controller(), self.was.as_ref()]
            .into_iter()
            .flatten()
            .filter(|o| o.kind == kind)
            .map(|o| Id::new(key, &self.change.object.namespace, &o.name))
            .collect();
        all.dedup();
        all
    }
}

/// Pods by namespace and name.
type Pods = BTreeMap<(String, String), Arc<Pod>>;

/// Takes a pod out of a group.
fn leave(groups: &mut BTreeMap<String, Pods>, of: &str, at: &(String, String)) {
    if let Some(all) = groups.get_mut(of) {
        all.remove(at);
        if all.is_empty() {
            groups.remove(of);
        }
    }
}

/// Everything that is known.
#[derive(Debug, Default)]
pub struct World {
    pods: Pods,
    /// Pods by node.
    by_node: BTreeMap<String, Pods>,
    /// Pods by the UID of their controller.
    controlled: BTreeMap<String, Pods>,
    /// By UID of the owner: what has a reference to it.
    dependents: BTreeMap<String, BTreeSet<Id>>,
    /// By key of a kind and namespace: what has no controller, of the kinds that are adopted.
    orphans: BTreeMap<(Arc<str>, String), BTreeSet<String>>,
    /// UIDs of the owners of each object that has some, and whether one of them is its controller.
    owned: BTreeMap<Id, Vec<Owner>>,
}

/// Kinds that their controllers adopt by their labels.
const ADOPTED: [&str; 4] = ["pods", "replicasets.apps", "controllerrevisions.apps", "jobs.batch"];

impl World {
    /// Takes a change in; gives it back in the form controllers want, or `None` if it is of no interest to any.
    pub fn note<'a>(&mut self, change: &'a Change, registry: &'a Registry, now: Timestamp) -> Option<Seen<'a>> {
        let object = &change.object;
        if IGNORED.contains(&&*object.key) {
            return None;
        }
        let gone = change.what == What::Deleted;
        let id = Id::of(object);
        let mut pod_before = None;
        let meta = if &*object.key == "pods" {
            let (pod, meta) = pod(object);
            pod_before = self.put_pod(pod, gone);
            meta
        } else {
            meta(object)
        };
        let was = self.owned.get(&id).and_then(|all| all.iter().find(|o| o.controller).cloned());
        self.put_owners(&id, meta.owners(), gone);
        if ADOPTED.contains(&&*object.key) {
            let place = (object.key.clone(), object.namespace.clone());
            if gone || meta.controller().is_some() {
                if let Some(all) = self.orphans.get_mut(&place) {
                    all.remove(&object.name);
                }
            } else {
                self.orphans.entry(place).or_default().insert(object.name.clone());
            }
        }
        Some(Seen { change, now, registry, meta, was, pod_before })
    }

    fn put_pod(&mut self, pod: Pod, gone: bool) -> Option<Arc<Pod>> {
        let at = (pod.stored.namespace.clone(), pod.stored.name.clone());
        let before = self.pods.remove(&at);
        if let Some(old) = &before {
            leave(&mut self.by_node, &old.node, &at);
            old.owner.iter().for_each(|o| leave(&mut self.controlled, &o.uid, &at));
        }
        if !gone {
            let pod = Arc::new(pod);
            if !pod.node.is_empty() {
                self.by_node.entry(pod.node.clone()).or_default().insert(at.clone(), pod.clone());
            }
            if let Some(owner) = &pod.owner {
                self.controlled.entry(owner.uid.clone()).or_default().insert(at.clone(), pod.clone());
            }
            self.pods.insert(at, pod);
        }
        before
    }

    fn put_owners(&mut self, id: &Id, owners: &[Owner], gone: bool) {
        let owners = if gone { &[] } else { owners };
        if self.owned.get(id).map_or(&[][..], Vec::as_slice) == owners {
            return;
        }
        for owner in self.owned.remove(id).unwrap_or_default() {
            if let Some(all) = self.dependents.get_mut(&owner.uid) {
                all.remove(id);
                if all.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
        for owner in owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(id.clone());
        }
        if !owners.is_empty() {
            self.owned.insert(id.clone(), owners.to_vec());
        }
    }

    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Arc<Pod>> {
        self.pods.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// The pods of a namespace.
    pub fn pods_in<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Pod> {
        let from = (namespace.to_owned(), String::new());
        self.pods.range(from..).take_while(move |((ns, _), _)| ns == namespace).map(|(_, p)| &**p)
    }

    /// The pods of a node.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &Pod> {
        self.by_node.get(node).into_iter().flat_map(BTreeMap::values).map(|p| &**p)
    }

    /// The pods whose controller has this UID.
    pub fn pods_of(&self, uid: &str) -> impl Iterator<Item = &Arc<Pod>> {
        self.controlled.get(uid).into_iter().flat_map(BTreeMap::values)
    }

    /// What has a reference to the owner with this UID.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &Id> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// The references an object has.
    pub fn owners(&self, id: &Id) -> &[Owner] {
        self.owned.get(id).map_or(&[], Vec::as_slice)
    }

    /// The names of what has no controller in a namespace.
    pub fn orphans(&self, key: &str, namespace: &str) -> impl Iterator<Item = &String> {
        self.orphans.get(&(Arc::from(key), namespace.to_owned())).into_iter().flatten()
    }
}
