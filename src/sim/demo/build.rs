//! Makes the world that a demo starts with: rolled out by the real controllers, dated back, with a past, and with two
//! minutes of recorded life.

use super::faults::Both;
use super::play::Play;
use super::{Options, StartError};
use crate::model::time::Timestamp;
use crate::sim::api::faults::Faults;
use crate::sim::clock::{Clock, seconds};
use crate::sim::engine::{Actor, Engine};
use crate::sim::fields::Writer;
use crate::sim::machine::{Machine, Shared};
use crate::sim::noise::Noise;
use crate::sim::object::text;
use crate::sim::promql::storage::{Labels, Sample};
use crate::sim::promql::{self, Rules, rules};
use crate::sim::scenario::{self, Names, Scenario, Servers};
use crate::sim::store::{Delete, Store};
use crate::sim::tsdb::{Recorder, Recording, STEP, Tsdb};
use crate::sim::world::fleet::{self, Churn};
use crate::sim::write::{self, Target};
use crate::sim::{control, kubelet, scheduler, shop, world};
use chrono::{DurationRound, TimeDelta};
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// Seconds for everything to be rolled out, to warm up, and to be scraped, before the demo begins.
const ROLLOUT: f64 = 180.0;
const WARM: f64 = 30.0;
const SCRAPED: f64 = 120.0;

/// Everything but the servers.
pub(super) struct Built {
    pub store: Arc<Store>,
    pub machines: Shared,
    pub engine: Engine,
    pub play: Arc<Play>,
    pub faults: Pair,
    pub tsdb: Arc<Tsdb>,
    pub promql: Arc<promql::Engine>,
    pub rules: Arc<Mutex<Rules>>,
    pub tap: shop::Tap,
}

/// The faults of both servers.
#[derive(Clone)]
pub(super) struct Pair {
    pub api: Arc<Faults>,
    pub prometheus: Arc<Faults>,
}

impl Built {
    /// Builds it; takes about a second.
    pub fn new(options: &Options) -> Result<Self, StartError> {
        let first = find(&options.scenario)?;
        let second = TimeDelta::seconds(1);
        let start = options.start.unwrap_or_else(chrono::Utc::now);
        let start = start.duration_trunc(second).unwrap_or(start);
        let clock = Arc::new(Clock::new(start - seconds(ROLLOUT + WARM + SCRAPED), options.speed));
        let noise = Noise::new(options.seed);
        let store = Arc::new(Store::new(clock.clone(), noise));
        let machines = Shared::default();
        let born = start - TimeDelta::days(64);
        world::install(&store, &machines, nodes(options, born), born);
        fleet::install(&store, noise, options.fleet, born).expect("its kinds are built in");
        let mut engine = Engine::new(store.clone(), platform(&store, &machines, noise));
        if !options.bare {
            deploy(&store);
        }
        engine.advance(clock.now() + seconds(ROLLOUT));
        drop(engine);
        age(&store, &machines);
        let (kubelet, controllers) = {
            let mut all = platform(&store, &machines, noise);
            (all.pop().expect("the kubelet is the last of the platform"), all)
        };
        let tap = shop::Tap::default();
        let shop = Box::new(shop::Shop::new(store.clone(), machines.clone(), noise, tap.clone()));
        let mut engine = Engine::new(store.clone(), vec![shop, kubelet]);
        engine.advance(clock.now() + seconds(WARM));
        // Before anybody measures: whoever did would see two weeks of work in one second.
        let past = Arc::new(shop::settle(&mut machines.lock(), noise, clock.now()));
        for controller in controllers {
            engine.push(controller);
        }
        let (scraper, tsdb) = Tsdb::open(store.clone(), machines.clone(), past);
        engine.push(Box::new(scraper));
        let time = clock.clone();
        let promql = Arc::new(promql::Engine::new(tsdb.clone(), move || time.now_ms()));
        let rules =
            Rules::parse(rules::DEFAULT, "rules.yaml", 2 * STEP).expect("our own rules parse: a test reads them");
        let rules = Arc::new(Mutex::new(rules));
        engine.push(Box::new(recorder(&tsdb, &rules)));
        if options.churn > 0 {
            engine.push(Box::new(Churn::new(store.clone(), noise, options.churn)));
        }
        engine.advance(clock.now() + seconds(SCRAPED));
        let both = || Faults::new(clock.clone(), noise);
        let faults = Pair { api: Arc::new(both()), prometheus: Arc::new(both()) };
        let servers = Both { api: faults.api.clone(), prometheus: faults.prometheus.clone() };
        for set in &options.faults {
            servers.set(set.server, set.fault, Some(set.amount));
        }
        if options.start.is_none() && options.speed > 0.0 {
            // Building took a moment; the world's clock starts with the operator's.
            engine.advance(chrono::Utc::now());
        }
        let play = direct(&store, &machines, servers, &first, clock.now(), &mut engine)?;
        clock.begin();
        Ok(Self { store, machines, engine, play, faults, tsdb, promql, rules, tap })
    }
}

/// The scenario of that name or in that file.
fn find(name: &str) -> Result<Arc<Scenario>, StartError> {
    let all = scenario::builtin();
    if let Some(found) = all.iter().find(|s| s.name == name) {
        return Ok(found.clone());
    }
    let path = std::path::Path::new(name);
    if !path.exists() && !name.contains(['/', '.']) {
        let known: Vec<&str> = all.iter().map(|s| s.name.as_str()).collect();
        return Err(StartError::Wrong(format!(
            "there is no scenario {name:?}; {}, or give a file",
            scenario::one_of(name, &known)
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|e| {
        StartError::Wrong(format!("{name}: {e}; give a shipped scenario (`--scenario list`) or a file"))
    })?;
    scenario::parse(name, &text).map(Arc::new).map_err(|e| StartError::Wrong(e.to_string()))
}

fn nodes(options: &Options, booted: Timestamp) -> Vec<Machine> {
    let mut all = shop::World::shop().machines(booted);
    if options.bare {
        all.truncate(4);
        for (i, machine) in all.iter_mut().enumerate() {
            machine.name = format!("n{}", i + 1);
        }
    }
    all
}

/// What runs in every cluster, the kubelets last.
fn platform(store: &Arc<Store>, machines: &Shared, noise: Noise) -> Vec<Box<dyn Actor>> {
    let mut actors = control::actors(store, machines, noise);
    actors.push(Box::new(scheduler::Scheduler::new(store.clone(), noise)));
    let images = Arc::new(kubelet::AnyImage(noise));
    actors.push(Box::new(kubelet::Kubelet::new(store.clone(), machines.clone(), noise, images)));
    actors
}

/// Applies the shop's manifests as those do who own them.
fn deploy(store: &Store) {
    for object in shop::manifests() {
        let (api, kind) = (text(&object, "apiVersion"), text(&object, "kind"));
        let kind = store.registry.of_kind(api, kind).expect("our own manifests have known kinds: a test applies them");
        let argo = object.pointer("/metadata/annotations/argocd.argoproj.io~1tracking-id").is_some();
        let manager = if argo { "argocd-controller" } else { "ci-deployer" };
        let options = write::Options { field_manager: manager.into(), ..write::Options::default() };
        let version = kind.versions[0].clone();
        let namespace = text(&object, "metadata.namespace");
        let target = Target { kind: &kind, version: &version, namespace, name: "", subresource: "" };
        write::create(store, target, object.to_string().as_bytes(), &options)
            .unwrap_or_else(|e| panic!("our own manifests are valid: a test applies them: {}", e.message));
    }
}

/// Dates everything back by weeks, gives Deployments the revisions they had before, and forgets the events of the rollout.
/// No process runs afterwards: the next kubelet takes over pods that have long been ready.
fn age(store: &Store, machines: &Shared) {
    let now = store.clock().now();
    for kind in store.registry.all() {
        let key = kind.key();
        let objects = store.list(&key, None).1;
        if key == "events" {
            for e in &objects {
                // An event has neither finalizers nor a grace period: it is gone at once.
                let _ = store.delete(&key, &e.namespace, &e.name, &Delete::default());
            }
        } else if !objects.is_empty() {
            // A fleet is as old as it should be, and too large to be read for nothing.
            let own = objects.iter().filter(|o| !o.labels.contains_key(fleet::FILLER));
            let mut older: Vec<Value> = own.map(|o| o.value()).collect();
            for object in &mut older {
                shop::age(object, now);
            }
            store.load(&key, older).expect("a listed kind is served");
        }
    }
    for deployment in store.list("deployments.apps", None).1 {
        let before = shop::history(&deployment.value(), now);
        if before.is_empty() {
            continue;
        }
        let revision = (before.len() + 1).to_string();
        let current = store.list("replicasets.apps", Some(&deployment.namespace)).1;
        let current = current
            .iter()
            .filter(|r| super::super::object::controller(&r.value()).is_some_and(|(_, _, uid)| uid == deployment.uid));
        let numbered = current.map(|r| ("replicasets.apps", r.name.clone()));
        for (key, name) in numbered.chain([("deployments.apps", deployment.name.clone())]) {
            let path = "/metadata/annotations";
            let _ = store.modify(key, &deployment.namespace, &name, Writer::of(""), |o| {
                if let Some(notes) = o.pointer_mut(path).and_then(Value::as_object_mut) {
                    notes.insert("deployment.kubernetes.io/revision".into(), revision.as_str().into());
                }
                Ok::<_, crate::sim::store::StoreError>(())
            });
        }
        store.load("replicasets.apps", before).expect("the kind is built in");
    }
    let mut machines = machines.lock();
    machines.processes.clear();
    machines.previous.clear();
}

/// The scenarios' director, at its work, with the first scenario playing.
fn direct(
    store: &Arc<Store>,
    machines: &Shared,
    servers: Both,
    first: &Arc<Scenario>,
    now: Timestamp,
    engine: &mut Engine,
) -> Result<Arc<Play>, StartError> {
    let mut library = scenario::builtin();
    if !library.iter().any(|s| s.name == first.name) {
        let entrances: Vec<&str> = shop::World::shop().entrances.iter().map(|e| e.name.as_str()).collect();
        let shipped: Vec<&str> = library.iter().map(|s| s.name.as_str()).collect();
        let problems = Names::of(store, machines, &entrances, &shipped).check(first);
        if !problems.is_empty() {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            return Err(StartError::Wrong(problems.join("\n")));
        }
        library.push(first.clone());
    }
    let director =
        scenario::Director::new(store.clone(), machines.clone(), Box::new(servers), library, Some((&first.name, now)))
            .map_err(|e| StartError::Wrong(e.to_string()))?;
    let play = Arc::new(Play(director.handle()));
    engine.push(Box::new(director));
    Ok(play)
}

/// What evaluates Prometheus's rules and stores what they give.
fn recorder(tsdb: &Arc<Tsdb>, rules: &Arc<Mutex<Rules>>) -> Recorder {
    let rules = rules.clone();
    // Rules are told their time; nobody asks this engine for the present.
    let promql = promql::Engine::new(Arc::new(Recording(tsdb.clone())), || 0);
    let evaluate = move |now, store: &mut dyn FnMut(&Labels, Sample)| {
        let mut rules = rules.lock().expect("no panic while the rules are held");
        rules.evaluate(&promql, now, &mut |r| store(&Arc::new(r.labels), r.sample));
    };
    Recorder::new(tsdb.clone(), Box::new(evaluate))
}
