//! Status of PodDisruptionBudgets (pkg/controller/disruption): how many pods may be evicted now.

use super::Controller;
use super::context::{Context, replicas, scaled};
use super::queue::{Id, Queue};
use super::select;
use super::world::{Owner, Pod, Seen, World, moment};
use crate::model::time::Timestamp;
use crate::sim::clock::seconds;
use crate::sim::object::{at, int, set, set_condition, strings};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const KEY: &str = "poddisruptionbudgets.policy";
/// Seconds in which an evicted pod must be seen to go, or the eviction counts as failed.
const DELETION_TIMEOUT: f64 = 120.0;

/// Remembers what budgets select.
#[derive(Default)]
pub struct Budgets {
    selectors: BTreeMap<(String, String), Value>,
}

impl Controller for Budgets {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        let object = seen.object();
        match seen.key() {
            KEY => {
                let at_ = (object.namespace.clone(), object.name.clone());
                if seen.gone() {
                    self.selectors.remove(&at_);
                    return;
                }
                self.selectors.insert(at_, at(&object.shared(), "spec.selector").cloned().unwrap_or_default());
                queue.add(seen.id());
            }
            "pods" => self.mark(&object.namespace, queue, |selector| {
                select::matches(Some(selector), &object.labels)
                    || seen.pod_before.as_ref().is_some_and(|b| select::matches(Some(selector), &b.stored.labels))
            }),
            "deployments.apps" | "statefulsets.apps" | "replicasets.apps" => {
                let labels = strings(&object.shared(), "spec.template.metadata.labels");
                self.mark(&object.namespace, queue, |selector| select::matches(Some(selector), &labels));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let pdb = cx.get(id)?;
        let selector = at(&pdb, "spec.selector");
        let pods: Vec<&Pod> =
            cx.world.pods_in(&id.namespace).filter(|p| select::matches(selector, &p.stored.labels)).collect();
        let (expected, desired) = wanted(cx, &pdb, &pods);
        let (disrupted, again) = disrupted(cx, &pdb, &pods);
        let healthy =
            pods.iter().filter(|p| p.ready.is_some() && !p.deleting && !disrupted.contains_key(&p.stored.name)).count()
                as i64;
        let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
        let mut after = Value::clone(&pdb);
        for (field, n) in [
            ("disruptionsAllowed", allowed),
            ("currentHealthy", healthy),
            ("desiredHealthy", desired),
            ("expectedPods", expected),
            ("observedGeneration", int(&pdb, "metadata.generation").unwrap_or(1)),
        ] {
            set(&mut after, &format!("status.{field}"), n);
        }
        if disrupted.is_empty() {
            crate::sim::object::take(&mut after, "status.disruptedPods");
        } else {
            set(&mut after, "status.disruptedPods", disrupted);
        }
        let (status, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        set_condition(&mut after, "DisruptionAllowed", status, reason, "", &cx.time());
        if let Some(c) = after.pointer_mut("/status/conditions/0").and_then(Value::as_object_mut) {
            // The type has no omitempty for it.
            c.insert("message".into(), "".into());
            c.insert("observedGeneration".into(), int(&pdb, "metadata.generation").unwrap_or(1).into());
        }
        if after.get("status") != pdb.get("status")
            && let Some(status) = after.get("status").cloned()
        {
            cx.update_status(id, |v| set(v, "status", status));
        }
        again
    }
}

impl Budgets {
    fn mark(&self, namespace: &str, queue: &mut Queue, hit: impl Fn(&Value) -> bool) {
        let from = (namespace.to_owned(), String::new());
        for ((ns, name), selector) in self.selectors.range(from..).take_while(|((ns, _), _)| ns == namespace) {
            if hit(selector) {
                queue.add(Id::new(KEY, ns, name));
            }
        }
    }
}

/// How many pods there should be, and how many of them must be healthy (getExpectedPodCount).
fn wanted(cx: &Context<'_>, pdb: &Value, pods: &[&Pod]) -> (i64, i64) {
    if let Some(most) = at(pdb, "spec.maxUnavailable") {
        let expected = expected(cx, pods);
        return (expected, (expected - scaled(Some(most), expected, true).unwrap_or(0)).max(0));
    }
    match at(pdb, "spec.minAvailable") {
        Some(Value::Number(n)) => (pods.len() as i64, n.as_i64().unwrap_or(0)),
        Some(percent) => {
            let expected = expected(cx, pods);
            (expected, scaled(Some(percent), expected, true).unwrap_or(0))
        }
        None => (pods.len() as i64, 1),
    }
}

/// The sizes of the workloads that the pods belong to.
fn expected(cx: &Context<'_>, pods: &[&Pod]) -> i64 {
    let mut sizes: BTreeMap<String, i64> = BTreeMap::new();
    for pod in pods {
        let Some(mut owner) = pod.owner.as_ref() else { continue };
        let namespace = &pod.stored.namespace;
        if owner.kind == "ReplicaSet" {
            let set = Id::new("replicasets.apps", namespace, &owner.name);
            if let Some(above) = cx.world.owners(&set).iter().find(|o| o.controller && o.kind == "Deployment") {
                owner = above;
            }
        }
        if !sizes.contains_key(&owner.uid) {
            sizes.insert(owner.uid.clone(), size(cx, owner, namespace));
        }
    }
    sizes.values().sum()
}

fn size(cx: &Context<'_>, owner: &Owner, namespace: &str) -> i64 {
    let kind = cx.store.registry.of_kind(&owner.api_version, &owner.kind).filter(|k| k.has("scale"));
    let found = kind.and_then(|k| cx.store.get(&k.key(), namespace, &owner.name));
    found.map_or(0, |s| replicas(&s.shared()))
}

/// Evicted pods that have not gone yet, and when the first of them stops to count.
fn disrupted(cx: &Context<'_>, pdb: &Value, pods: &[&Pod]) -> (Map<String, Value>, Option<Timestamp>) {
    let mut rest = Map::new();
    let mut again: Option<Timestamp> = None;
    for (name, since) in strings(pdb, "status.disruptedPods") {
        let Some(expires) = moment(&since).map(|t| t + seconds(DELETION_TIMEOUT)) else { continue };
        let there = pods.iter().any(|p| p.stored.name == name && !p.deleting);
        if there && expires > cx.now {
            again = Some(again.map_or(expires, |t| t.min(expires)));
            rest.insert(name, json!(since));
        }
    }
    (rest, again)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, deployment};
    use crate::sim::clock::rfc3339;
    use crate::sim::object::{condition, int, set, text};
    use serde_json::{Value, json};

    fn numbers(p: &Value) -> [Option<i64>; 4] {
        ["expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed"]
            .map(|f| int(p, &format!("status.{f}")))
    }

    #[test]
    fn a_budget_follows_its_pods() {
        let mut world = World::shop();
        world.create("deployments.apps", deployment(4, "web:1"));
        world.create(
            super::KEY,
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"maxUnavailable": "30%", "selector": {"matchLabels": {"app": "web"}}}}),
        );
        world.run(1.0);
        assert_eq!(numbers(&world.get(super::KEY, "web")), [Some(4), Some(2), Some(0), Some(0)]);
        world.run(10.0);
        let pdb = world.get(super::KEY, "web");
        assert_eq!(numbers(&pdb), [Some(4), Some(2), Some(4), Some(2)]);
        assert_eq!(text(condition(&pdb, "DisruptionAllowed").unwrap(), "reason"), "SufficientPods");
        assert_eq!(world.writes(600.0), Vec::<String>::new());
        let pod = text(&world.pods()[0], "metadata.name").to_owned();
        let now = rfc3339(world.now());
        world.edit(super::KEY, "web", |p| set(p, "status.disruptedPods", json!({pod: now})));
        world.run(60.0);
        assert_eq!(numbers(&world.get(super::KEY, "web"))[2], Some(3), "an evicted pod does not count");
        world.run(70.0);
        assert_eq!(numbers(&world.get(super::KEY, "web"))[2], Some(4), "until it is plain that it did not go");
    }
}
