//! ConfigMaps whose change made requests fail or wait, although the pods are well and no release is to blame.
//!
//! What a ConfigMap holds is not looked at here; that its version moved is enough. It is claimed only where the requests of
//! somebody who reads it were well before the change and are bad in each of the last samples, and everything that it calls is
//! all there. A map that changes again and again is written by a program and is no configuration.

use super::case::{Draft, Scene};
use super::worse;
use crate::model::cluster::Workload;
use crate::model::finding::{Evidence, Fault, Severity, Subject};
use crate::model::object::{ObjectRef, Resource};
use crate::model::series::Signal;
use crate::model::snapshot::{Snapshot, SourceState};
use crate::model::time::{Timestamp, age};
use chrono::TimeDelta;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A change older than this is not blamed for what begins now.
const RECENT: TimeDelta = TimeDelta::minutes(60);
/// More changes than this within [`RECENT`], and a program writes it.
const MOST: usize = 3;
/// Share of failed requests from which something that is called is in trouble itself.
const CALLEE: f64 = 0.02;

/// Versions of all ConfigMaps, and when they were seen to change.
#[derive(Debug, Default)]
pub struct Edits {
    known: HashMap<(Arc<str>, Arc<str>), (Box<str>, Vec<Timestamp>)>,
}

impl Edits {
    /// Takes in a snapshot, and forgets maps that are gone.
    pub fn observe(&mut self, snapshot: &Snapshot, now: Timestamp) {
        if !matches!(snapshot.source("configmaps"), SourceState::Live { .. }) {
            return;
        }
        let mut there = HashSet::new();
        for map in snapshot.config_maps.iter() {
            let key = (map.namespace.clone(), map.name.clone());
            let (version, times) = self.known.entry(key.clone()).or_insert_with(|| (map.version.clone(), Vec::new()));
            if *version != map.version {
                version.clone_from(&map.version);
                times.push(now);
            }
            times.retain(|at| now - *at <= RECENT);
            there.insert(key);
        }
        self.known.retain(|key, _| there.contains(key));
    }

    /// The newest change of a map that this workload reads and that made its requests worse.
    pub fn find(&self, scene: &Scene<'_>, workload: &Workload) -> Option<Draft> {
        if workload.paused || !scene.metrics_fresh() {
            return None;
        }
        let namespace = &workload.key.namespace;
        let edited = workload.config_maps.iter().filter_map(|name| {
            let (_, times) = self.known.get(&(namespace.clone(), name.clone()))?;
            let at = times.last().filter(|_| times.len() <= MOST)?;
            Some((*at, name))
        });
        let (at, map) = edited.max()?;
        let metrics = scene.snapshot.metrics.workloads.get(&workload.key)?;
        let symptom = worse::symptom(scene, metrics, at)?;
        (!callee_in_trouble(scene, workload)).then(|| draft(scene, workload, map, at, &symptom))
    }
}

/// Whether something it calls is not all there, or fails by its own account. That the calls fail proves nothing here: a wrong
/// address makes them fail, too.
fn callee_in_trouble(scene: &Scene<'_>, workload: &Workload) -> bool {
    scene.snapshot.metrics.calls.iter().filter(|c| c.caller == workload.key).any(|call| {
        // Nobody of that name is no trouble of its own: a wrong address leads to nobody.
        let missing = scene.snapshot.workload(&call.callee).is_some_and(|w| {
            let (ready, desired) = w.readiness();
            ready < desired || desired == 0
        });
        let own = scene.snapshot.metrics.workloads.get(&call.callee);
        let fails = own.and_then(|m| m.now(Signal::ErrorRate).fresh()).is_some_and(|share| share > CALLEE);
        missing || fails
    })
}

fn draft(scene: &Scene<'_>, workload: &Workload, map: &Arc<str>, at: Timestamp, symptom: &str) -> Draft {
    let key = &workload.key;
    let object = ObjectRef::namespaced(Resource::CONFIGMAPS, key.namespace.clone(), map.clone());
    Draft {
        fault: Fault::ConfigEdit { map: map.clone(), symptom: symptom.into() },
        subject: Subject::Workload(key.clone()),
        detail: Some(map.to_string()),
        severity: Severity::High,
        title: format!("{}/{}: worse since ConfigMap {map} was changed: {symptom}", key.namespace, key.name),
        evidence: vec![
            Evidence::new("prometheus requests of this workload", symptom, Some(scene.now)),
            Evidence::new(object.to_string(), format!("was changed {} ago", age(scene.now, at)), Some(at)),
        ],
        pods: Vec::new(),
        related: vec![object],
    }
}

#[cfg(test)]
mod tests {
    use crate::analyze::Analyzer;
    use crate::config::settings::{Analyze, Planning};
    use crate::model::cluster::ConfigMapRow;
    use crate::model::failure::Call;
    use crate::model::finding::{Fault, Finding};
    use crate::model::fixtures as fx;
    use crate::model::series::Signal;
    use crate::model::snapshot::{Snapshot, Source, SourceState};
    use std::sync::Arc;

    /// When the map is seen to change, seconds ago.
    const EDITED: i64 = 300;

    /// cart reads cart-config and calls db; `failing` says what share of its requests failed so many seconds ago.
    fn seen(version: &str, failing: &dyn Fn(i64) -> f64) -> Snapshot {
        let mut cart = fx::healthy("cart", 2);
        cart.config_maps = Arc::from([Arc::from("cart-config")]);
        let db = fx::healthy("db", 1);
        let call =
            Call { caller: cart.key.clone(), callee: db.key.clone(), rate: 5.0, failed: Some(0.9), took_ms: [None; 3] };
        let mut snapshot = fx::snapshot(vec![cart, db]);
        snapshot.config_maps = Arc::from([Arc::new(ConfigMapRow {
            namespace: "shop".into(),
            name: "cart-config".into(),
            version: version.into(),
        })]);
        let live = Source {
            name: "configmaps".into(),
            namespaces: None,
            state: SourceState::Live { last: fx::now() },
            objects: 1,
        };
        snapshot.sources = snapshot.sources.iter().cloned().chain([live]).collect();
        let mut snapshot =
            fx::with_metrics(snapshot, "cart", 1800, &[(Signal::RequestRate, &|_| 5.0), (Signal::ErrorRate, failing)]);
        snapshot.metrics.calls = Arc::from([call]);
        snapshot
    }

    fn judged(failing: &dyn Fn(i64) -> f64, versions: &[(&str, i64)], edit: impl Fn(&mut Snapshot)) -> Option<Finding> {
        let (set, planning) = (Analyze::default(), Planning::default());
        let mut analyzer = Analyzer::new();
        let mut last = Vec::new();
        for (version, ago) in versions {
            let mut snapshot = seen(version, failing);
            edit(&mut snapshot);
            last = analyzer.analyze(&snapshot, &set, &planning, &[], fx::ago(*ago));
        }
        last.into_iter().find(|f| f.fault.class() == "config-edit")
    }

    fn since_the_edit(ago: i64) -> f64 {
        if ago < EDITED { 0.3 } else { 0.001 }
    }

    const MOVED: [(&str, i64); 3] = [("1", 600), ("2", EDITED), ("2", 0)];

    #[test]
    fn requests_that_fail_since_a_config_map_changed_are_its_doing() {
        let found = judged(&since_the_edit, &MOVED, |_| {}).expect("a finding, although its calls to db fail");
        let Fault::ConfigEdit { map, symptom } = &found.fault else { panic!("{found:?}") };
        assert!(&**map == "cart-config" && symptom.contains("30 % of requests fail"), "{symptom}");
        assert!(found.evidence[1].says.contains("was changed"), "{:?}", found.evidence);
    }

    #[test]
    fn what_failed_before_or_did_not_move_or_moves_all_the_time_is_not_blamed() {
        assert_eq!(judged(&since_the_edit, &[("1", 600), ("1", 0)], |_| {}), None, "it did not change");
        assert_eq!(judged(&|ago| if ago < 900 { 0.3 } else { 0.001 }, &MOVED, |_| {}), None, "it failed before");
        let often: Vec<(String, i64)> = (0..6).map(|i| (i.to_string(), 600 - 60 * i)).collect();
        let often: Vec<(&str, i64)> = often.iter().map(|(v, ago)| (v.as_str(), *ago)).chain([("5", 0)]).collect();
        assert_eq!(judged(&since_the_edit, &often, |_| {}), None, "a program writes it");
    }

    #[test]
    fn a_callee_that_is_not_all_there_may_be_the_cause_instead() {
        let away = |s: &mut Snapshot| {
            let mut all: Vec<_> = s.workloads.iter().map(|w| (**w).clone()).collect();
            all[1].replicas.desired = 0;
            s.workloads = all.into_iter().map(Arc::new).collect();
        };
        assert_eq!(judged(&since_the_edit, &MOVED, away), None);
    }
}
