//! DaemonSets (pkg/controller/daemon): a pod on every node that suits.

use super::Controller;
use super::context::{Context, Refused, scaled};
use super::queue::{Id, Queue};
use super::revisions::{self, LABEL};
use super::world::{Pod, Seen, World};
use super::{pods, select};
use crate::model::time::Timestamp;
use crate::sim::object::{at, int, list, set, strings, text, yes};
use crate::sim::store::Stored;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const KEY: &str = "daemonsets.apps";
const COMPONENT: &str = "daemonset-controller";

/// Taints that every DaemonSet bears (AddOrUpdateDaemonPodTolerations).
const BORNE: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// What of a node decides whether a pod should run on it.
#[derive(Debug, PartialEq)]
struct Place {
    labels: BTreeMap<String, String>,
    taints: Vec<Value>,
}

/// The controller; it remembers the nodes, so that a look at a set does not read a thousand of them.
#[derive(Default)]
pub struct DaemonSets {
    nodes: BTreeMap<String, Place>,
}

impl Controller for DaemonSets {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        match seen.key() {
            KEY if !seen.gone() => queue.add(seen.id()),
            "pods" | revisions::KEY => {
                seen.controllers("DaemonSet", KEY).into_iter().for_each(|id| queue.add(id));
            }
            "nodes" => {
                let object = seen.object();
                let place = (!seen.gone()).then(|| Place::of(object));
                // Heartbeats are of no interest.
                if self.nodes.get(object.name.as_str()) != place.as_ref() {
                    match place {
                        Some(place) => drop(self.nodes.insert(object.name.clone(), place)),
                        None => drop(self.nodes.remove(&object.name)),
                    }
                    queue.add(Id::new("nodes", "", ""));
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        if &*id.key == "nodes" {
            for set in cx.store.list(KEY, None).1 {
                self.sync(cx, &Id::of(&set));
            }
            return None;
        }
        self.sync(cx, id)
    }
}

impl DaemonSets {
    fn sync(&self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let ds = cx.get(id)?;
        if select::selects_nothing(at(&ds, "spec.selector")) {
            return None;
        }
        let pods = cx.claim_pods(&ds, at(&ds, "spec.selector"));
        let history = revisions::sync(cx, &ds, super::statefulset::one_hash(&pods))?;
        let wants = Wants::of(&ds["spec"]["template"]);
        let mut by_node: HashMap<Cow<'_, str>, Vec<&Pod>> = HashMap::new();
        for pod in pods.iter().map(|p| &**p) {
            let node =
                if pod.node.is_empty() { pinned(&pod.stored.shared()).into() } else { Cow::from(pod.node.as_str()) };
            by_node.entry(node).or_default().push(pod);
        }
        let spots = self.nodes.iter().map(|(name, place)| {
            let (run, stay) = place.suits(name, &wants);
            Spot { name, run, stay, here: by_node.remove(name.as_str()).unwrap_or_default() }
        });
        let spots = spots.collect();
        let mut lost: Vec<_> = by_node.into_iter().filter(|(name, _)| !name.is_empty()).collect();
        lost.sort_by(|(a, _), (b, _)| a.cmp(b));
        let work = Work {
            cx,
            ds: &ds,
            hash: revisions::hash(history.present()),
            wait: int(&ds, "spec.minReadySeconds").unwrap_or(0),
            spots,
            lost: lost.into_iter().flat_map(|(_, pods)| pods).collect(),
        };
        if at(&ds, "metadata.deletionTimestamp").is_none() {
            let disturbed = work.manage();
            if !disturbed && text(&ds, "spec.updateStrategy.type") != "OnDelete" {
                work.update();
            }
            let present = text(history.present(), "metadata.name");
            revisions::truncate(cx, &ds, &history, |r| {
                let hash = revisions::hash(r);
                let bears = |p: &Arc<Pod>| p.stored.labels.get(LABEL).is_some_and(|l| l == hash);
                text(r, "metadata.name") == present || pods.iter().any(bears)
            });
        }
        work.write_status(id);
        pods.iter().filter_map(|p| p.available_from(work.wait)).filter(|t| *t > cx.now).min()
    }
}

/// The node that a pod's affinity names.
fn pinned(pod: &Value) -> String {
    terms(pod)
        .iter()
        .flat_map(|t| list(t, "matchFields"))
        .find(|f| text(f, "key") == "metadata.name")
        .and_then(|f| list(f, "values").first()?.as_str().map(str::to_owned))
        .unwrap_or_default()
}

const AFFINITY: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";

fn terms(pod: &Value) -> &[Value] {
    list(pod, AFFINITY)
}

impl Place {
    fn of(node: &Stored) -> Self {
        Self { labels: node.labels.clone(), taints: list(&node.shared(), "spec.taints").to_vec() }
    }

    /// Whether a pod should run on the node, and whether one that runs there may stay (NodeShouldRunDaemonPod).
    fn suits(&self, name: &str, wants: &Wants<'_>) -> (bool, bool) {
        let wanted = wants.selector.iter().all(|(k, v)| self.labels.get(k) == Some(v));
        let near = wants.terms.is_empty()
            || wants.terms.iter().any(|t| {
                let fields = list(t, "matchFields").iter().all(|f| {
                    let named = list(f, "values").iter().any(|v| v == name);
                    named == (text(f, "operator") == "In")
                });
                fields && select::matches(Some(&json!({"matchExpressions": list(t, "matchExpressions")})), &self.labels)
            });
        if !wanted || !near {
            return (false, false);
        }
        let bears = |taint: &Value| {
            BORNE.iter().any(|(k, e)| text(taint, "key") == *k && text(taint, "effect") == *e)
                || (wants.host_network && text(taint, "key") == "node.kubernetes.io/network-unavailable")
                || wants.tolerations.iter().any(|t| super::node::tolerates(t, taint))
        };
        let unborne = |effects: &[&str]| self.taints.iter().any(|t| effects.contains(&text(t, "effect")) && !bears(t));
        (!unborne(&["NoSchedule", "NoExecute"]), !unborne(&["NoExecute"]))
    }
}

/// What a set's template wants of a node.
struct Wants<'a> {
    selector: BTreeMap<String, String>,
    terms: &'a [Value],
    tolerations: &'a [Value],
    host_network: bool,
}

impl<'a> Wants<'a> {
    fn of(template: &'a Value) -> Self {
        Self {
            selector: strings(template, "spec.nodeSelector"),
            terms: terms(template),
            tolerations: list(template, "spec.tolerations"),
            host_network: yes(template, "spec.hostNetwork"),
        }
    }
}

/// What a set makes of a node.
struct Spot<'a> {
    name: &'a str,
    /// A pod should run there.
    run: bool,
    /// One that runs there may stay.
    stay: bool,
    /// Its pods there.
    here: Vec<&'a Pod>,
}

struct Work<'a> {
    cx: &'a Context<'a>,
    ds: &'a Value,
    hash: &'a str,
    wait: i64,
    spots: Vec<Spot<'a>>,
    /// Pods of nodes that are gone.
    lost: Vec<&'a Pod>,
}

impl Work<'_> {
    /// Makes what is missing and deletes what is too much; whether it did anything (manage, podsShouldBeOnNode).
    fn manage(&self) -> bool {
        let (mut create, mut delete) = (Vec::new(), Vec::new());
        for spot in &self.spots {
            let here = &spot.here;
            let mut alive: Vec<&Pod> = here.iter().copied().filter(|p| !p.deleting && !p.ended()).collect();
            for failed in here.iter().filter(|p| p.ended() && !p.deleting) {
                let message = format!(
                    "Found failed daemon pod {}/{} on node {}, will try to kill it",
                    failed.stored.namespace, failed.stored.name, spot.name
                );
                self.cx.event(self.ds, "Warning", "FailedDaemonPod", &message, COMPONENT);
                delete.push(*failed);
            }
            if spot.run && here.is_empty() {
                create.push(spot.name);
            } else if !spot.stay {
                delete.extend(alive);
            } else if alive.len() > 1 {
                // The oldest stays.
                alive.sort_by_key(|p| (p.created, p.stored.name.clone()));
                delete.extend(&alive[1..]);
            }
        }
        delete.extend(self.lost.iter().filter(|p| p.node.is_empty() && !p.deleting));
        for name in &create {
            if self.create(name).is_err() {
                break;
            }
        }
        for pod in &delete {
            self.cx.delete_pod(pod, self.ds, COMPONENT);
        }
        !create.is_empty() || !delete.is_empty()
    }

    fn create(&self, node: &str) -> Result<String, Refused> {
        let mut pod = pods::from_template(&self.ds["spec"]["template"], self.ds);
        let mut labels = at(&pod, "metadata.labels").cloned().unwrap_or_else(|| json!({}));
        labels[LABEL] = self.hash.into();
        labels["pod-template-generation"] = int(self.ds, "metadata.generation").unwrap_or(1).to_string().into();
        set(&mut pod, "metadata.labels", labels);
        let mine = json!([{"key": "metadata.name", "operator": "In", "values": [node]}]);
        let mut terms = terms(&pod).to_vec();
        if terms.is_empty() {
            terms.push(json!({}));
        }
        for term in &mut terms {
            set(term, "matchFields", mine.clone());
        }
        set(&mut pod, AFFINITY, terms);
        let mut tolerations: Vec<Value> = list(&self.ds["spec"]["template"], "spec.tolerations").to_vec();
        tolerations.extend(BORNE.iter().map(|(k, e)| json!({"key": k, "operator": "Exists", "effect": e})));
        if yes(&pod, "spec.hostNetwork") {
            tolerations.push(
                json!({"key": "node.kubernetes.io/network-unavailable", "operator": "Exists", "effect": "NoSchedule"}),
            );
        }
        set(&mut pod, "spec.tolerations", tolerations);
        self.cx.create_pod(pod, self.ds, COMPONENT)
    }

    /// Replaces old pods, as many at a time as may be missing (rollingUpdate).
    fn update(&self) {
        let desired = self.spots.iter().filter(|s| s.run).count() as i64;
        let one = Value::from(1);
        let allowed = at(self.ds, "spec.updateStrategy.rollingUpdate.maxUnavailable").unwrap_or(&one);
        let allowed = scaled(Some(allowed), desired, true).unwrap_or(1).max(1);
        let (mut missing, mut old) = (0, Vec::new());
        for spot in self.spots.iter().filter(|s| s.run) {
            let Some(pod) = spot.here.iter().find(|p| !p.deleting) else {
                missing += 1;
                continue;
            };
            let available = pod.available(self.wait, self.cx.now);
            missing += i64::from(!available);
            if !self.is_new(pod) {
                old.push((available, pod));
            }
        }
        // Those that serve nobody go at once, the others as far as it is allowed.
        for (available, pod) in old {
            if !available {
                self.cx.delete_pod(pod, self.ds, COMPONENT);
            } else if missing < allowed {
                self.cx.delete_pod(pod, self.ds, COMPONENT);
                missing += 1;
            }
        }
    }

    fn is_new(&self, pod: &Pod) -> bool {
        pod.stored.labels.get(LABEL).is_some_and(|hash| hash == self.hash)
    }

    fn write_status(&self, id: &Id) {
        let [mut desired, mut current, mut misplaced, mut ready, mut updated, mut available] = [0_i64; 6];
        for spot in &self.spots {
            let here = &spot.here;
            if !spot.run {
                misplaced += i64::from(!here.is_empty());
                continue;
            }
            desired += 1;
            let Some(pod) = here.iter().min_by(|a, b| (a.created, &a.stored.name).cmp(&(b.created, &b.stored.name)))
            else {
                continue;
            };
            current += 1;
            ready += i64::from(pod.ready.is_some());
            available += i64::from(pod.available(self.wait, self.cx.now));
            updated += i64::from(self.is_new(pod));
        }
        let mut status = at(self.ds, "status").cloned().unwrap_or_else(|| json!({}));
        let required = [
            ("currentNumberScheduled", current),
            ("numberMisscheduled", misplaced),
            ("desiredNumberScheduled", desired),
            ("numberReady", ready),
        ];
        for (field, n) in required {
            set(&mut status, field, n);
        }
        let optional = [
            ("observedGeneration", int(self.ds, "metadata.generation").unwrap_or(0)),
            ("updatedNumberScheduled", updated),
            ("numberAvailable", available),
            ("numberUnavailable", desired - available),
        ];
        for (field, n) in optional {
            if n == 0 {
                crate::sim::object::take(&mut status, field);
            } else {
                set(&mut status, field, n);
            }
        }
        if at(self.ds, "status") != Some(&status) {
            self.cx.update_status(id, |v| set(v, "status", status));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, node, template};
    use crate::sim::object::{int, set, text};
    use serde_json::json;

    #[test]
    fn one_on_every_node_replaced_one_by_one() {
        let mut world = World::shop();
        let mut tainted = node("gpu");
        set(&mut tainted, "spec.taints", json!([{"key": "gpu", "effect": "NoSchedule"}]));
        world.create("nodes", tainted);
        world.create(
            super::KEY,
            json!({
                "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "shop"},
                "spec": {"selector": {"matchLabels": {"app": "agent"}}, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}, "template": template("agent", "agent:1")},
            }),
        );
        world.run(20.0);
        let ds = world.get(super::KEY, "agent");
        assert_eq!((int(&ds, "status.desiredNumberScheduled"), int(&ds, "status.numberAvailable")), (Some(3), Some(3)));
        let mut on: Vec<String> = world.pods().iter().map(|p| text(p, "spec.nodeName").to_owned()).collect();
        on.sort();
        assert_eq!(on, ["n1", "n2", "n3"]);
        assert_eq!(world.writes(600.0), Vec::<String>::new());
        world.edit(super::KEY, "agent", |d| d["spec"]["template"]["spec"]["containers"][0]["image"] = "agent:2".into());
        for _ in 0..120 {
            world.run(0.5);
            assert!(world.ready() >= 2);
        }
        assert!(world.pods().iter().all(|p| p["spec"]["containers"][0]["image"] == "agent:2"));
        assert_eq!(int(&world.get(super::KEY, "agent"), "status.updatedNumberScheduled"), Some(3));
        world.create("nodes", node("n4"));
        world.run(20.0);
        assert_eq!(world.ready(), 4);
        // Its pods bear a silent node: nobody evicts them.
        world.power("n4", false);
        world.run(900.0);
        assert_eq!(world.pods().len(), 4);
    }
}
