//! Too much broken at once: then it is one cause above the workloads, and automation stands back.
//!
//! Scopes: the workloads of a namespace, and the nodes. A share alone would call one sick workload of three
//! systemic, so there is a least number as well: four workloads of one namespace, or two nodes. The pods of one
//! workload are no scope of their own: a bad release breaks all of them, and healing that is the point.

use super::case::{Draft, Scene};
use crate::model::finding::{Evidence, Fault, Severity, Subject};
use crate::model::object::WorkloadKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Fewer sick workloads of a namespace than this are never systemic.
const LEAST_WORKLOADS: usize = 4;

/// Fewer sick nodes than this are never systemic.
const LEAST_NODES: usize = 2;

/// Adds a finding for each scope of which more than `systemic_share` is unhealthy.
pub fn find(scene: &Scene<'_>, drafts: &mut Vec<Draft>) {
    let mut sick: BTreeMap<Arc<str>, BTreeSet<&WorkloadKey>> = BTreeMap::new();
    let broken: BTreeSet<&WorkloadKey> = drafts
        .iter()
        .filter(|d| {
            d.severity >= Severity::High
                && !matches!(
                    d.fault,
                    Fault::Leak { .. } | Fault::Saturated { .. } | Fault::Regression { .. } | Fault::ConfigEdit { .. }
                )
        })
        .filter_map(|d| if let Subject::Workload(key) = &d.subject { Some(key) } else { None })
        .collect();
    // Pods that a lost node explains have no finding of their own, yet their workloads are down all the same.
    let mut all: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for workload in scene.snapshot.workloads.iter().filter(|w| w.replicas.desired > 0 || w.uid.is_empty()) {
        let namespace = &workload.key.namespace;
        *all.entry(namespace.clone()).or_default() += 1;
        let dark = workload
            .pods
            .iter()
            .any(|p| !p.ready && !p.deleting && p.node.as_deref().is_some_and(|n| scene.lost_nodes.contains(n)));
        if dark || broken.contains(&workload.key) {
            sick.entry(namespace.clone()).or_default().insert(&workload.key);
        }
    }
    let mut found = Vec::new();
    for (namespace, keys) in &sick {
        let of = all.get(namespace).copied().unwrap_or(keys.len());
        let names: Vec<&str> = keys.iter().take(8).map(|k| &*k.name).collect();
        let scope = format!("workloads of namespace {namespace}");
        found.extend(judge(scene, &scope, keys.len(), of, LEAST_WORKLOADS, &names.join(", ")));
    }
    let nodes: BTreeSet<&str> = scene.lost_nodes.union(&scene.pressed_nodes).copied().collect();
    let names: Vec<&str> = nodes.iter().take(8).copied().collect();
    found.extend(judge(scene, "nodes", nodes.len(), scene.snapshot.nodes.len(), LEAST_NODES, &names.join(", ")));
    drafts.extend(found);
}

fn judge(scene: &Scene<'_>, scope: &str, sick: usize, all: usize, least: usize, names: &str) -> Option<Draft> {
    let share = sick as f64 / all.max(1) as f64;
    if sick < least || share <= scene.set.systemic_share {
        return None;
    }
    let says = format!("{sick} of {all} unhealthy at once ({:.0} %): {names}", share * 100.0);
    Some(Draft {
        fault: Fault::Systemic { share, scope: scope.into() },
        subject: Subject::Cluster,
        detail: Some(scope.to_owned()),
        severity: Severity::Critical,
        title: format!("systemic: {sick} of {all} {scope} are unhealthy at once; look for one cause above them"),
        evidence: vec![Evidence::new(format!("findings about {scope}"), says, Some(scene.now))],
        pods: Vec::new(),
        related: Vec::new(),
    })
}
