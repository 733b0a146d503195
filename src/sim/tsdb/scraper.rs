//! The actor that scrapes: follows objects to know targets, and scrapes each when it is due.

use super::history::World;
use super::target::{Info, Scrape, Target, Which};
use super::{CAP, DAYS, Tsdb};
use crate::model::time::Timestamp;
use crate::sim::clock::at;
use crate::sim::engine::Actor;
use crate::sim::export::fleet::FILLER;
use crate::sim::export::{Known, KnownNode, KnownPod, Live, Unit, state};
use crate::sim::machine::{Machines, Past, Place, Process, Shared};
use crate::sim::object::{amount, int, list, strings, text};
use crate::sim::promql::storage::Storage;
use crate::sim::store::{Change, Store, Stored, What};
use chrono::DateTime;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Milliseconds between looks at what can be forgotten.
const TIDY: i64 = 2 * 3_600_000;

/// The scraping actor.
pub struct Scraper {
    store: Arc<Store>,
    machines: Shared,
    past: Arc<dyn Past>,
    db: Arc<Tsdb>,
    start: i64,
    world: Option<Arc<World>>,
    known: Known,
    /// Objects kube-state-metrics follows, as they are now.
    objects: BTreeMap<Unit, Arc<Stored>>,
    /// Those that were there at the start, as they were.
    initial: BTreeMap<Unit, Arc<Stored>>,
    /// Changed since kube-state-metrics was scraped.
    changed: BTreeSet<Unit>,
    /// Not yet looked at: what targets depend on.
    dirty: BTreeMap<Unit, Option<Arc<Stored>>>,
    targets: BTreeMap<Which, Target>,
    /// When the first of them is due, milliseconds.
    next: i64,
    /// The processes that targets were last made of, and whether each showed an endpoint; `None` before the first time.
    runs: Option<Vec<(Place, bool)>>,
    /// Workloads known to have an endpoint: namespace, kind, name, container.
    instrumented: BTreeSet<(String, String, String, String)>,
    tidy: i64,
}

/// Kinds that targets depend on.
const TOLD: [&str; 4] = ["nodes", "pods", "services", "persistentvolumeclaims"];

impl Scraper {
    pub(super) fn new(store: Arc<Store>, machines: Shared, past: Arc<dyn Past>, db: Arc<Tsdb>) -> Self {
        let start = store.clock().now_ms();
        Self {
            store,
            machines,
            past,
            db,
            start,
            world: None,
            known: Known::default(),
            objects: BTreeMap::new(),
            initial: BTreeMap::new(),
            changed: BTreeSet::new(),
            dirty: BTreeMap::new(),
            targets: BTreeMap::new(),
            next: start,
            runs: None,
            instrumented: BTreeSet::new(),
            tidy: start + TIDY,
        }
    }

    /// Takes up what changed: what is known, and which targets there are.
    fn follow(&mut self, machines: &Machines, now: i64) {
        let dirty = std::mem::take(&mut self.dirty);
        let moved = !dirty.is_empty();
        for (unit, object) in dirty {
            let Unit::Object(key, namespace, name) = unit else { continue };
            learn(&mut self.known, &key, namespace, name, object.map(|o| o.shared()).as_deref());
        }
        if moved {
            *self.db.known.write().expect("no panic while it is held") = Arc::new(self.known.clone());
        }
        let runs = || machines.processes.iter().map(|(place, p)| (place, instrumented(p)));
        if !moved && self.runs.as_ref().is_some_and(|old| runs().eq(old.iter().map(|(place, shows)| (place, *shows)))) {
            return;
        }
        self.runs = Some(runs().map(|(place, shows)| (place.clone(), shows)).collect());
        let mut wanted: BTreeSet<Which> = [Which::State, Which::Graph, Which::Cost, Which::Own].into();
        for node in self.known.nodes.keys().filter(|n| machines.nodes.contains_key(*n)) {
            wanted.extend([Which::Cadvisor(node.clone()), Which::Kubelet(node.clone()), Which::Node(node.clone())]);
        }
        for p in machines.processes.values() {
            let of = || {
                let (kind, name) = p.workload.clone();
                (p.place.namespace.clone(), kind, name, p.place.container.clone())
            };
            if instrumented(p) {
                self.instrumented.insert(of());
            }
            if self.instrumented.contains(&of()) {
                wanted.insert(Which::App(p.place.clone()));
            }
        }
        // A container that is down stays a target while its pod is there: that is what `up == 0` is for.
        let stays = |place: &Place| {
            let pod = self.known.pods.get(&(place.namespace.clone(), place.pod.clone()));
            pod.is_some_and(|p| !p.over)
        };
        let kept = self.targets.keys().filter(|w| matches!(w, Which::App(place) if stays(place)));
        wanted.extend(kept.cloned().collect::<Vec<_>>());
        self.settle(wanted, moved, now);
    }

    /// Makes and drops targets; one whose labels change is another one.
    fn settle(&mut self, wanted: BTreeSet<Which>, moved: bool, now: i64) {
        let gone: Vec<Which> = self.targets.keys().filter(|w| !wanted.contains(w)).cloned().collect();
        for which in gone {
            self.targets.remove(&which).into_iter().for_each(Target::vanish);
        }
        for which in wanted {
            let old = self.targets.get(&which);
            if old.is_some() && !moved {
                continue;
            }
            let info = Info::new(which.clone(), &self.known);
            if old.is_some_and(|t| *t.info == info) {
                continue;
            }
            if let Some(old) = self.targets.insert(which, Target::new(Arc::new(info), now)) {
                old.vanish();
            }
        }
    }

    fn scrape(&mut self, machines: &Machines, now: Timestamp) {
        let ms = now.timestamp_millis();
        let world = self.world.get_or_insert_with(|| {
            Arc::new(World::new(self.start, self.past.clone(), self.known.clone(), &machines.processes))
        });
        let live = Live { machines, known: &self.known, now };
        let with = Scrape { db: &self.db, live: &live, world };
        let (objects, initial, changed, start) = (&self.objects, &mut self.initial, &mut self.changed, self.start);
        for target in self.targets.values_mut().filter(|t| t.next <= ms) {
            target.scrape(&with, &mut |to, all| {
                for (unit, object) in std::mem::take(initial) {
                    let (key, object) = (object.key.clone(), object.shared());
                    let from = seconds(text(&object, "metadata.creationTimestamp")).map_or(start, |s| s * 1000);
                    if to.first && from < start {
                        to.said(&unit, &key, &object, from, start);
                    }
                    changed.insert(unit);
                }
                let now: Vec<Unit> = if all { objects.keys().cloned().collect() } else { Vec::new() };
                for unit in std::mem::take(changed).into_iter().chain(now).collect::<BTreeSet<_>>() {
                    match objects.get(&unit) {
                        Some(o) => to.say(&unit, &o.key, &o.shared()),
                        None => to.gone(&unit),
                    }
                }
            });
        }
    }

    /// Forgets what is too old, or too much.
    fn forget(&mut self, now: i64) {
        self.tidy = now + TIDY;
        let mut oldest = self.db.oldest().max(now - DAYS);
        loop {
            let n = u32::try_from(oldest / super::STEP).unwrap_or(0);
            self.db.index_mut().forget(n);
            if self.db.figures().bytes <= CAP || now - oldest < TIDY {
                break;
            }
            oldest += (now - oldest.max(self.start)) / 8;
        }
        self.db.oldest.store(oldest, Ordering::Release);
    }
}

impl Actor for Scraper {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn observe(&mut self, change: &Change) {
        let o = &change.object;
        let told = TOLD.contains(&&*o.key);
        if !told && !state::follows(&o.key) {
            return;
        }
        if o.labels.contains_key(FILLER) {
            let mut fleet = self.db.fleet.write().expect("no panic while the fleet is held");
            match change.what {
                What::Deleted => fleet.remove(o),
                _ => fleet.insert(o),
            }
            return;
        }
        let unit = Unit::Object(o.key.to_string(), o.namespace.clone(), o.name.clone());
        let now = (change.what != What::Deleted).then(|| o.clone());
        if told {
            self.dirty.insert(unit.clone(), now.clone());
        }
        if state::follows(&o.key) {
            if self.world.is_none() && self.store.clock().now_ms() <= self.start {
                self.initial.entry(unit.clone()).or_insert_with(|| o.clone());
            }
            match now {
                Some(o) => self.objects.insert(unit.clone(), o),
                None => self.objects.remove(&unit),
            };
            self.changed.insert(unit);
        }
    }

    fn due(&self) -> Option<Timestamp> {
        Some(at(self.next))
    }

    fn act(&mut self, now: Timestamp) {
        let ms = now.timestamp_millis();
        let shared = self.machines.clone();
        let machines = shared.lock();
        self.follow(&machines, ms);
        self.scrape(&machines, now);
        drop(machines);
        if ms >= self.tidy {
            self.forget(ms);
        }
        self.next = self.targets.values().map(|t| t.next).min().unwrap_or(self.next);
        let health = self.targets.values().map(Target::health).collect();
        *self.db.targets.write().expect("no panic while the targets are held") = health;
    }
}

/// Whether a process shows that it has an endpoint: it counts something of its own.
fn instrumented(p: &Process) -> bool {
    let u = &p.usage;
    !u.requests.is_empty() || u.cached.is_some() || u.waiting.is_some()
}

/// Seconds since 1970 of an object's time.
pub(super) fn seconds(text: &str) -> Option<i64> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp())
}

/// Takes up what an object says, or that it is gone.
fn learn(known: &mut Known, key: &str, namespace: String, name: String, object: Option<&Value>) {
    let at = (namespace, name);
    let Some(o) = object else {
        match key {
            "nodes" => drop(known.nodes.remove(&at.1)),
            "pods" => drop(known.pods.remove(&at)),
            "services" => drop(known.services.remove(&at)),
            _ => drop(known.claims.remove(&at)),
        }
        return;
    };
    match key {
        "nodes" => {
            let address = list(o, "status.addresses").iter().find(|a| text(a, "type") == "InternalIP");
            let labels = strings(o, "metadata.labels");
            let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
            let node = KnownNode {
                address: address.map_or(at.1.as_str(), |a| text(a, "address")).to_owned(),
                provider_id: text(o, "spec.providerID").to_owned(),
                kernel: text(o, "status.nodeInfo.kernelVersion").to_owned(),
                region: label("topology.kubernetes.io/region"),
                arch: label("kubernetes.io/arch"),
            };
            known.nodes.insert(at.1, node);
        }
        "pods" => drop(known.pods.insert(at, pod(o))),
        "services" => drop(known.services.insert(at, strings(o, "spec.selector"))),
        _ => {
            let capacity = crate::sim::object::at(o, "status.capacity.storage");
            if let Some(bytes) = amount(capacity) {
                known.claims.insert(at, bytes);
            }
        }
    }
}

fn pod(o: &Value) -> KnownPod {
    let ports = list(o, "spec.containers")
        .iter()
        .filter_map(|c| Some((text(c, "name").to_owned(), int(list(c, "ports").first()?, "containerPort")?)));
    let claims = list(o, "spec.volumes").iter().map(|v| text(v, "persistentVolumeClaim.claimName"));
    KnownPod {
        uid: text(o, "metadata.uid").to_owned(),
        node: text(o, "spec.nodeName").to_owned(),
        address: text(o, "status.podIP").to_owned(),
        labels: strings(o, "metadata.labels"),
        ports: ports.collect(),
        claims: claims.filter(|c| !c.is_empty()).map(str::to_owned).collect(),
        over: matches!(text(o, "status.phase"), "Succeeded" | "Failed"),
    }
}
