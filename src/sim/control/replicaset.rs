//! ReplicaSets and ReplicationControllers (pkg/controller/replicaset).

use super::Controller;
use super::context::{Context, Refused, replicas};
use super::pods;
use super::queue::{Id, Queue};
use super::select;
use super::world::{Pod, Seen, World};
use crate::model::time::Timestamp;
use crate::sim::object::{at, condition, int, list, set, set_condition, strings, take, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const SETS: &str = "replicasets.apps";
const CONTROLLERS: &str = "replicationcontrollers";
/// Pods made or deleted in one go.
const BURST: usize = 500;

pub struct ReplicaSets;

impl Controller for ReplicaSets {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        match seen.key() {
            SETS | CONTROLLERS if !seen.gone() => queue.add(seen.id()),
            "pods" => {
                for id in seen
                    .controllers("ReplicaSet", SETS)
                    .into_iter()
                    .chain(seen.controllers("ReplicationController", CONTROLLERS))
                {
                    queue.add(id);
                }
                if !seen.gone() && seen.meta.controller().is_none() {
                    // Somebody may want to adopt it.
                    queue.add(Id::new("namespaces", "", &seen.object().namespace));
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        if &*id.key != "namespaces" {
            return sync(cx, id);
        }
        // An orphan appeared in this namespace: whoever selects it looks at it.
        let orphans: Vec<&Arc<Pod>> = cx
            .world
            .orphans("pods", &id.name)
            .filter_map(|n| cx.world.pod(&id.name, n))
            .filter(|p| p.active())
            .collect();
        if orphans.is_empty() {
            return None;
        }
        for key in [SETS, CONTROLLERS] {
            for stored in cx.store.list(key, Some(&id.name)).1 {
                let selector = selector(&stored.shared());
                if orphans.iter().any(|p| select::matches(selector.as_ref(), &p.stored.labels)) {
                    sync(cx, &Id::of(&stored));
                }
            }
        }
        None
    }
}

/// The selector; a ReplicationController's is a plain map.
fn selector(set: &Value) -> Option<Value> {
    let selector = at(set, "spec.selector")?;
    Some(if text(set, "kind") == "ReplicationController" { json!({"matchLabels": selector}) } else { selector.clone() })
}

fn sync(cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
    let set = cx.get(id)?;
    let component = if &*id.key == SETS { "replicaset-controller" } else { "replication-controller" };
    let selector = selector(&set);
    if select::selects_nothing(selector.as_ref()) {
        return None;
    }
    let all = cx.claim_pods(&set, selector.as_ref());
    let (mut active, terminating): (Vec<Arc<Pod>>, Vec<Arc<Pod>>) =
        all.into_iter().filter(|p| !p.ended()).partition(|p| !p.deleting);
    let failure = if at(&set, "metadata.deletionTimestamp").is_none() {
        manage(cx, &set, &mut active, component)
    } else {
        Ok(())
    };
    update_status(cx, id, &set, &active, terminating.len(), failure.err());
    let wait = int(&set, "spec.minReadySeconds").unwrap_or(0);
    active.iter().filter_map(|p| p.available_from(wait)).filter(|t| *t > cx.now).min()
}

/// Makes or deletes pods until there are as many as wanted; the error is what the status tells.
fn manage(
    cx: &Context<'_>,
    set: &Value,
    active: &mut [Arc<Pod>],
    component: &str,
) -> Result<(), (&'static str, String)> {
    let want = replicas(set).max(0) as usize;
    if active.len() < want {
        let template = at(set, "spec.template").cloned().unwrap_or_default();
        for _ in 0..(want - active.len()).min(BURST) {
            match cx.create_pod(pods::from_template(&template, set), set, component) {
                Ok(_) => {}
                Err(Refused::Terminating) => return Ok(()),
                Err(Refused::Other(why)) => return Err(("FailedCreate", why)),
            }
        }
    } else if active.len() > want {
        pods::rank(active, &related(cx, set), cx.now);
        for pod in active.iter().take((active.len() - want).min(BURST)) {
            cx.delete_pod(pod, set, component);
        }
    }
    Ok(())
}

/// How many active pods of the same workload each node has: of all sets with the same controller.
fn related(cx: &Context<'_>, set: &Value) -> BTreeMap<String, usize> {
    let siblings: Vec<String> = match crate::sim::object::controller(set) {
        Some((_, _, owner)) => cx
            .world
            .dependents(owner)
            .filter(|d| &*d.key == SETS)
            .filter_map(|d| Some(cx.store.get(&d.key, &d.namespace, &d.name)?.uid.clone()))
            .collect(),
        None => vec![text(set, "metadata.uid").to_owned()],
    };
    let mut count = BTreeMap::new();
    for pod in siblings.iter().flat_map(|uid| cx.world.pods_of(uid)).filter(|p| p.active() && !p.node.is_empty()) {
        *count.entry(pod.node.clone()).or_default() += 1;
    }
    count
}

fn update_status(
    cx: &Context<'_>,
    id: &Id,
    rs: &Value,
    active: &[Arc<Pod>],
    terminating: usize,
    failure: Option<(&'static str, String)>,
) {
    let labels = strings(rs, "spec.template.metadata.labels");
    let wait = int(rs, "spec.minReadySeconds").unwrap_or(0);
    let count = |f: &dyn Fn(&Pod) -> bool| active.iter().filter(|p| f(p)).count();
    let mut counts = vec![
        ("replicas", active.len()),
        ("fullyLabeledReplicas", count(&|p| labels.iter().all(|(k, v)| p.stored.labels.get(k) == Some(v)))),
        ("readyReplicas", count(&|p| p.ready.is_some())),
        ("availableReplicas", count(&|p| p.available(wait, cx.now))),
    ];
    if &*id.key == SETS {
        counts.push(("terminatingReplicas", terminating));
    }
    let generation = int(rs, "metadata.generation");
    let same = counts.iter().all(|(k, n)| int(rs, &format!("status.{k}")).unwrap_or(0) == *n as i64)
        && int(rs, "status.observedGeneration") == generation
        && condition(rs, "ReplicaFailure").is_some() == failure.is_some();
    if same {
        return;
    }
    cx.update_status(id, |v| {
        for (k, n) in counts {
            let path = format!("status.{k}");
            // Counts other than replicas are left out when they are 0, as omitempty does; terminatingReplicas is a pointer.
            if n == 0 && k != "replicas" && k != "terminatingReplicas" {
                take(v, &path);
            } else {
                set(v, &path, n as i64);
            }
        }
        if let Some(g) = generation {
            set(v, "status.observedGeneration", g);
        }
        match &failure {
            Some((reason, why)) if condition(v, "ReplicaFailure").is_none() => {
                set_condition(v, "ReplicaFailure", "True", reason, why, &cx.time());
            }
            Some(_) => {}
            None if condition(v, "ReplicaFailure").is_some() => {
                let rest: Vec<Value> = list(v, "status.conditions")
                    .iter()
                    .filter(|c| text(c, "type") != "ReplicaFailure")
                    .cloned()
                    .collect();
                if rest.is_empty() {
                    take(v, "status.conditions");
                } else {
                    set(v, "status.conditions", rest);
                }
            }
            None => {}
        }
    });
}
