//! Killed for memory: at the container's own limit, or because the node ran out.
//!
//! The kubelet writes `OOMKilled` for both. A kill is the node's when the node reports memory pressure or is
//! full (`oom_node_share`) and the victim was not measured at its own limit, or has no limit at all.
//! Source: VPA's OOM observer, Robusta's threshold, reference classifier §5.0.

use super::case::{Case, Draft, Scene, delta, end_evidence, last_end, states};
use crate::model::cluster::NodeTrouble;
use crate::model::finding::{Evidence, Fault};
use crate::model::object::PodKey;
use crate::model::pod::{ContainerRow, ContainerSpec, PodRow};
use crate::model::quantity::human_bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether this container was killed for memory recently.
fn killed(scene: &Scene<'_>, pod: &PodRow, row: &ContainerRow) -> bool {
    last_end(row).is_some_and(|(end, _)| {
        &*end.reason == "OOMKilled"
            && match end.finished {
                Some(_) => scene.within(end.finished, delta(scene.set.oom_recent)),
                // Not every runtime says when: then it counts while it is down, or was seen to restart.
                None => !row.running || scene.restarts.rising(pod, scene.now),
            }
    })
}

/// Finds kills and takes their pods out of the case. A leak explains them all.
pub fn find(case: &mut Case<'_>) -> Vec<Draft> {
    let scene = case.scene;
    let pods = case.claim(|p| states(p).any(|(_, row)| killed(scene, p, row)));
    if pods.is_empty() {
        return Vec::new();
    }
    let kills: Vec<Evidence> = pods
        .iter()
        .flat_map(|p| states(p).filter(|(_, row)| killed(case.scene, p, row)).map(move |(s, r)| (p, s, r)))
        .filter_map(|(p, s, r)| end_evidence(case.scene, p, s, r))
        .collect();
    if let Some(leak) = super::leak::find(case.scene, case.workload, &kills) {
        return vec![leak];
    }
    let mut own: BTreeMap<Arc<str>, Vec<&PodRow>> = BTreeMap::new();
    let mut by_node: BTreeMap<Arc<str>, Vec<&PodRow>> = BTreeMap::new();
    for pod in pods {
        for (spec, _) in states(pod).filter(|(_, row)| killed(scene, pod, row)) {
            match &pod.node {
                Some(node) if node_did_it(case, pod, spec, node).is_some() => {
                    by_node.entry(node.clone()).or_default().push(pod);
                }
                _ if spec.resources.memory_limit.is_some() => own.entry(spec.name.clone()).or_default().push(pod),
                Some(node) => by_node.entry(node.clone()).or_default().push(pod),
                None => {}
            }
        }
    }
    let container = own.into_iter().filter_map(|(name, pods)| at_limit(case, &name, &pods));
    let node = by_node.into_iter().map(|(name, pods)| of_node(case, &name, &pods));
    container.chain(node).collect()
}

/// Why the node is to blame rather than the limit; `None` if it is not.
fn node_did_it(case: &Case<'_>, pod: &PodRow, spec: &ContainerSpec, node: &str) -> Option<Evidence> {
    let scene = case.scene;
    let at_limit = share(case, pod).is_some_and(|s| f64::from(s) >= scene.set.oom_share_of_limit);
    if spec.resources.memory_limit.is_some() && at_limit {
        return None;
    }
    let row = scene.snapshot.node(node)?;
    if let Some((_, since, message)) = row.troubles.iter().find(|(t, ..)| *t == NodeTrouble::MemoryPressure) {
        let place = format!("node {node} status.conditions[type=MemoryPressure]");
        return Some(Evidence::new(place, format!("True: {message}"), *since));
    }
    let used = scene.snapshot.metrics.node_memory.get(node)?;
    let full = scene.metrics_fresh() && used.fresh()? >= scene.set.oom_node_share;
    full.then(|| {
        let says = format!("{:.0} % of memory in use", used.fresh().unwrap_or_default() * 100.0);
        Evidence::new(format!("prometheus, memory of node {node}"), says, used.last().map(|(_, at)| at))
    })
}

/// Working set over limit of a pod's fullest container, if measured freshly.
fn share(case: &Case<'_>, pod: &PodRow) -> Option<f32> {
    let key = PodKey { namespace: pod.namespace.clone(), name: (*pod.name).into() };
    let usage = case.scene.snapshot.metrics.pods.get(&key)?;
    case.scene.within(Some(usage.at), case.scene.freshness()).then_some(usage.memory_share)?
}

/// A container killed at its own limit.
fn at_limit(case: &Case<'_>, container: &Arc<str>, pods: &[&PodRow]) -> Option<Draft> {
    let mut limit = 0;
    let mut kills = 0;
    let mut peak: Option<u64> = None;
    let mut evidence = Vec::new();
    for pod in pods {
        let limited = pod.specs.iter().filter(|s| s.resources.memory_limit.is_some()).count();
        let (spec, row) = states(pod).find(|(s, _)| s.name == *container)?;
        let amount = spec.resources.memory_limit.as_ref()?;
        limit = limit.max(amount.value.0);
        kills += row.restarts.max(1);
        // The share is that of the fullest container: it is this one's only if no other has a limit.
        if let Some(share) = share(case, pod).filter(|_| limited == 1) {
            let bytes = (f64::from(share) * amount.value.0 as f64) as u64;
            peak = peak.max(Some(bytes));
        }
        evidence.extend(end_evidence(case.scene, pod, spec, row));
        if evidence.len() == 1 {
            let place = format!("pod {}/{} spec.containers[name={container}].resources", pod.namespace, pod.name);
            evidence.push(Evidence::new(place, format!("limits.memory {}", amount.raw), None));
        }
    }
    if let Some(peak) = peak {
        let says = format!(
            "working set {} now, {:.0} % of the limit",
            human_bytes(peak as f64),
            peak as f64 / limit as f64 * 100.0
        );
        evidence.insert(
            2.min(evidence.len()),
            Evidence::new("prometheus container_memory_working_set_bytes", says, Some(case.scene.now)),
        );
    }
    let key = &case.workload.key;
    let title = format!(
        "{}/{}: container {container} killed at its memory limit of {} ({} pod{}, {})",
        key.namespace,
        key.name,
        human_bytes(limit as f64),
        pods.len(),
        if pods.len() == 1 { "" } else { "s" },
        case.ready_words()
    );
    let fault = Fault::OomContainer { container: container.clone(), limit, peak, kills };
    Some(case.draft(fault, pods, title, evidence).detail(&**container))
}

/// Containers killed because their node ran out.
fn of_node(case: &Case<'_>, node: &Arc<str>, pods: &[&PodRow]) -> Draft {
    let mut evidence = Vec::new();
    for pod in pods {
        for (spec, row) in states(pod).filter(|(_, row)| killed(case.scene, pod, row)) {
            evidence.extend(end_evidence(case.scene, pod, spec, row));
            let cause = node_did_it(case, pod, spec, node).unwrap_or_else(|| {
                let place = format!("pod {}/{} spec.containers[name={}].resources", pod.namespace, pod.name, spec.name);
                Evidence::new(place, "no limits.memory: only the node's memory bounds it", None)
            });
            if !evidence.contains(&cause) {
                evidence.push(cause);
            }
        }
    }
    let key = &case.workload.key;
    let title = format!("{}/{}: killed because node {node} ran out of memory", key.namespace, key.name);
    case.draft(Fault::OomNode { node: node.clone() }, pods, title, evidence).detail(&**node)
}
