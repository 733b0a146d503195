//! Nodes that are lost or under pressure, and the pods whose trouble they explain.

use super::case::{Case, Draft, Scene, key};
use crate::model::cluster::{NodeRow, NodeTrouble};
use crate::model::finding::{Evidence, Fault, Severity, Subject};
use crate::model::object::PodKey;
use crate::model::pod::{Phase, PodRow};
use crate::model::time::age;
use std::collections::HashMap;

/// One finding per node and kind of trouble, with the pods that are on it.
pub fn find(scene: &Scene<'_>) -> Vec<Draft> {
    if scene.lost_nodes.is_empty() && scene.pressed_nodes.is_empty() {
        return Vec::new();
    }
    let mut on: HashMap<&str, Vec<PodKey>> = HashMap::new();
    for pod in scene.snapshot.workloads.iter().flat_map(|w| w.live_pods()) {
        if let Some(node) = pod.node.as_deref()
            && (scene.lost_nodes.contains(node) || scene.pressed_nodes.contains(node))
        {
            on.entry(node).or_default().push(key(pod));
        }
    }
    scene.snapshot.nodes.iter().flat_map(|n| drafts(scene, n, on.get(&*n.name).cloned().unwrap_or_default())).collect()
}

fn drafts(scene: &Scene<'_>, node: &NodeRow, pods: Vec<PodKey>) -> Vec<Draft> {
    let mut found = Vec::new();
    for (trouble, since, message) in &node.troubles {
        let (condition, lost) = match trouble {
            NodeTrouble::NotReady | NodeTrouble::Unknown => ("Ready", true),
            NodeTrouble::MemoryPressure => ("MemoryPressure", false),
            NodeTrouble::DiskPressure => ("DiskPressure", false),
            NodeTrouble::PidPressure => ("PIDPressure", false),
            NodeTrouble::NetworkUnavailable => ("NetworkUnavailable", false),
        };
        if lost && !scene.lost_nodes.contains(&*node.name) {
            continue;
        }
        let status = match trouble {
            NodeTrouble::NotReady => "False",
            NodeTrouble::Unknown => "Unknown",
            _ => "True",
        };
        let for_how_long = since.map(|s| format!(" for {}", age(scene.now, s))).unwrap_or_default();
        let what = match trouble {
            NodeTrouble::NotReady => "is not ready",
            NodeTrouble::Unknown => "does not answer",
            NodeTrouble::MemoryPressure => "is short of memory",
            NodeTrouble::DiskPressure => "is short of disk",
            NodeTrouble::PidPressure => "is short of process ids",
            NodeTrouble::NetworkUnavailable => "has no network",
        };
        let place = format!("node {} status.conditions[type={condition}]", node.name);
        let title = format!("node {} {what}{for_how_long}, {} pods on it", node.name, pods.len());
        let fault = if lost {
            Fault::NodeNotReady { node: node.name.clone() }
        } else {
            Fault::NodePressure { node: node.name.clone(), condition: condition.into() }
        };
        let draft = Draft {
            fault,
            subject: Subject::Node(node.name.clone()),
            detail: (!lost).then(|| condition.to_owned()),
            severity: if lost { Severity::High } else { Severity::Warning },
            title,
            evidence: vec![Evidence::new(place, format!("{status}{for_how_long}: {message}"), *since)],
            pods: pods.clone(),
            related: Vec::new(),
        };
        found.push(draft);
    }
    found
}

/// Takes out of the case the pods whose trouble a node explains: unready on a lost node, evicted by a pressed one.
pub fn explain(case: &mut Case<'_>) -> Vec<Draft> {
    let scene = case.scene;
    let on = |p: &PodRow, nodes: &std::collections::HashSet<&str>| p.node.as_deref().is_some_and(|n| nodes.contains(n));
    case.claim(|p| (on(p, &scene.lost_nodes) && !p.ready) || (on(p, &scene.pressed_nodes) && p.phase == Phase::Failed));
    Vec::new()
}
