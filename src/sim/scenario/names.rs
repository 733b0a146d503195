//! What scenarios may name: checks a scenario against the world before it plays.

use super::deed::{Deed, Name};
use super::objects;
use super::problem::{Problem, one_of};
use super::{Scenario, Step};
use crate::sim::machine::Shared;
use crate::sim::store::Store;
use std::collections::BTreeMap;

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Names {
    workloads: Vec<String>,
    nodes: Vec<String>,
    zones: Vec<String>,
    /// Keys by ConfigMap.
    maps: BTreeMap<String, Vec<String>>,
    scalers: Vec<String>,
    entrances: Vec<String>,
    scenarios: Vec<String>,
}

impl Names {
    /// What stands in the store and among the machines; `entrances` and `scenarios` by name.
    pub fn of(store: &Store, machines: &Shared, entrances: &[&str], scenarios: &[&str]) -> Self {
        let owned = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect();
        let machines = machines.lock();
        let mut zones: Vec<String> = machines.nodes.values().map(|m| m.zone.clone()).collect();
        let nodes = machines.nodes.keys().cloned().collect();
        drop(machines);
        zones.sort();
        zones.dedup();
        let maps = store.list("configmaps", None).1;
        let maps = maps.iter().map(|o| Name { namespace: o.namespace.clone(), name: o.name.clone() });
        Self {
            workloads: objects::workloads(store),
            nodes,
            zones,
            maps: maps.map(|n| (n.to_string(), objects::keys(store, &n).unwrap_or_default())).collect(),
            scalers: objects::names(store, "horizontalpodautoscalers.autoscaling"),
            entrances: owned(entrances),
            scenarios: owned(scenarios),
        }
    }

    /// What the scenario names and is not there, with its place. What it creates itself is there.
    pub fn check(&self, scenario: &Scenario) -> Vec<Problem> {
        let mut known = self.clone();
        let mut out = Vec::new();
        for step in &scenario.steps {
            if let Deed::Apply { objects } = &step.deed {
                for (kind, name) in objects::created(objects) {
                    match kind.as_str() {
                        "Deployment" | "StatefulSet" | "DaemonSet" | "CronJob" => known.workloads.push(name),
                        "HorizontalPodAutoscaler" => known.scalers.push(name),
                        "ConfigMap" => drop(known.maps.insert(name, Vec::new())),
                        _ => {}
                    }
                }
            }
            if let Some((key, what, found, all)) = known.unknown(&step.deed) {
                let place = place(step, key);
                let what = format!("there is no {what} {found:?}");
                out.push(Problem { file: scenario.file.clone(), place, what, remedy: one_of(&found, &all) });
            }
        }
        out
    }

    /// The first thing a deed names that is not there: the key, what it should be, the name, and what there is.
    fn unknown(&self, deed: &Deed) -> Option<(&'static str, &'static str, String, Vec<String>)> {
        let missing = |key, what, found: &str, all: &[String]| {
            (!all.iter().any(|n| n == found)).then(|| (key, what, found.to_owned(), all.to_vec()))
        };
        match deed {
            Deed::SetImage { workload, .. }
            | Deed::Scale { workload, .. }
            | Deed::Restart { workload }
            | Deed::Slow { workload, .. }
            | Deed::Failing { workload, .. }
            | Deed::Lock { workload, .. }
            | Deed::Unready { workload, .. } => missing("workload", "workload", &workload.to_string(), &self.workloads),
            Deed::Config { map, .. } => {
                let all: Vec<String> = self.maps.keys().cloned().collect();
                missing("configmap", "ConfigMap", &map.to_string(), &all)
            }
            Deed::Hpa { name, .. } => missing("name", "HorizontalPodAutoscaler", &name.to_string(), &self.scalers),
            Deed::Load { entrance, .. } if entrance != "*" => {
                missing("entrance", "entrance", entrance, &self.entrances)
            }
            Deed::Partition { zone: Some(zone), .. } => missing("zone", "zone", zone, &self.zones),
            Deed::Power { nodes, .. }
            | Deed::StopKubelet { nodes }
            | Deed::FillDisk { nodes, .. }
            | Deed::StealCpu { nodes, .. }
            | Deed::Partition { nodes, .. } => nodes.iter().find_map(|n| missing("node", "node", n, &self.nodes)),
            Deed::Scenario { name } => missing("name", "scenario", name, &self.scenarios),
            _ => None,
        }
    }
}

fn place(step: &Step, key: &str) -> (usize, usize) {
    step.places.get(key).or_else(|| step.places.get("")).copied().unwrap_or((1, 1))
}
