//! StatefulSets (pkg/controller/statefulset): pods with names and claims of their own, one after the other.

use super::Controller;
use super::context::{Context, Refused, replicas};
use super::queue::{Id, Queue};
use super::revisions::{self, History, LABEL};
use super::world::{Pod, Seen, World};
use super::{pods, select};
use crate::model::time::Timestamp;
use crate::sim::object::{at, int, list, set, take, text};
use serde_json::{Value, json};
use std::sync::Arc;

const KEY: &str = "statefulsets.apps";
const COMPONENT: &str = "statefulset-controller";

pub struct StatefulSets;

impl Controller for StatefulSets {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        match seen.key() {
            KEY if !seen.gone() => queue.add(seen.id()),
            "pods" | revisions::KEY => {
                seen.controllers("StatefulSet", KEY).into_iter().for_each(|id| queue.add(id));
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let set = cx.get(id)?;
        if select::selects_nothing(at(&set, "spec.selector")) {
            return None;
        }
        let pods = cx.claim_pods(&set, at(&set, "spec.selector"));
        let borne = one_hash(&pods).map(|h| h.strip_prefix(&format!("{}-", id.name)).unwrap_or(&h).to_owned());
        let history = revisions::sync(cx, &set, borne)?;
        let update = text(history.present(), "metadata.name").to_owned();
        let current = match text(&set, "status.currentRevision") {
            "" => update.clone(),
            name => history.named(name).map_or(update.clone(), |r| text(r, "metadata.name").to_owned()),
        };
        let mut work =
            Work { cx, set: &set, history: &history, current, update, pods, made: Vec::new(), taken: Vec::new() };
        if at(&set, "metadata.deletionTimestamp").is_none() {
            work.act();
        }
        work.write_status(id);
        let (current, update) = (work.current.clone(), work.update.clone());
        let live: Vec<String> = work.pods.iter().filter_map(|p| p.stored.labels.get(LABEL).cloned()).collect();
        revisions::truncate(cx, &set, &history, |r| {
            let name = text(r, "metadata.name");
            name == current || name == update || live.iter().any(|l| l == name)
        });
        let wait = work.wait();
        work.pods.iter().filter_map(|p| p.available_from(wait)).filter(|t| *t > cx.now).min()
    }
}

/// The revision label that all pods bear.
pub fn one_hash(pods: &[Arc<Pod>]) -> Option<String> {
    let first = pods.first()?.stored.labels.get(LABEL)?;
    pods.iter().all(|p| p.stored.labels.get(LABEL) == Some(first)).then(|| first.clone())
}

struct Work<'a> {
    cx: &'a Context<'a>,
    set: &'a Value,
    history: &'a History,
    current: String,
    update: String,
    pods: Vec<Arc<Pod>>,
    /// Revisions of the pods made in this round, which the world does not show yet.
    made: Vec<String>,
    /// Names of the pods deleted in this round.
    taken: Vec<String>,
}

impl Work<'_> {
    fn wait(&self) -> i64 {
        int(self.set, "spec.minReadySeconds").unwrap_or(0)
    }

    fn start(&self) -> i64 {
        int(self.set, "spec.ordinals.start").unwrap_or(0)
    }

    fn ordered(&self) -> bool {
        text(self.set, "spec.podManagementPolicy") != "Parallel"
    }

    fn partition(&self) -> Option<i64> {
        int(self.set, "spec.updateStrategy.rollingUpdate.partition")
    }

    fn ordinal(&self, pod: &Pod) -> Option<i64> {
        pod.stored.name.strip_prefix(text(self.set, "metadata.name"))?.strip_prefix('-')?.parse().ok()
    }

    fn by_ordinal(&self, n: i64) -> Option<&Arc<Pod>> {
        self.pods.iter().find(|p| self.ordinal(p) == Some(n))
    }

    fn healthy(&self, pod: &Pod) -> bool {
        !pod.deleting && pod.phase == "Running" && pod.available(self.wait(), self.cx.now)
    }

    fn delete(&mut self, pod: &Pod) {
        let name = text(self.set, "metadata.name");
        if self.cx.delete(&pod.id(), &pod.stored.uid) {
            let message = format!("delete Pod {} in StatefulSet {name} successful", pod.stored.name);
            self.cx.event(self.set, "Normal", "SuccessfulDelete", &message, COMPONENT);
        }
        self.taken.push(pod.stored.name.clone());
    }

    /// One round (updateStatefulSet): the pods that should be, in order; those that should not, from the last; then the
    /// update, from the last.
    fn act(&mut self) {
        let (start, end) = (self.start(), self.start() + replicas(self.set));
        let ordered = self.ordered();
        for n in start..end {
            let Some(pod) = self.by_ordinal(n).cloned() else {
                self.create(n);
                if ordered {
                    return;
                }
                continue;
            };
            if pod.ended() && !pod.deleting {
                self.delete(&pod);
                if ordered {
                    return;
                }
                continue;
            }
            if ordered && (pod.deleting || !self.healthy(&pod)) {
                return;
            }
        }
        let mut condemned: Vec<Arc<Pod>> =
            self.pods.iter().filter(|p| self.ordinal(p).is_some_and(|n| n < start || n >= end)).cloned().collect();
        condemned.sort_by_key(|p| std::cmp::Reverse(self.ordinal(p)));
        for pod in &condemned {
            if !pod.deleting {
                self.delete(pod);
            }
            if ordered {
                return;
            }
        }
        if text(self.set, "spec.updateStrategy.type") == "OnDelete" {
            return;
        }
        for n in ((start + self.partition().unwrap_or(0))..end).rev() {
            let Some(pod) = self.by_ordinal(n).cloned() else { return };
            let old = pod.stored.labels.get(LABEL).is_none_or(|l| *l != self.update);
            if old && !pod.deleting {
                self.delete(&pod);
                return;
            }
            if !self.healthy(&pod) {
                return;
            }
        }
    }

    /// The revision a new pod is made from (newVersionedStatefulSetPod).
    fn revision_for(&self, n: i64) -> &str {
        let past = match self.partition() {
            _ if text(self.set, "spec.updateStrategy.type") == "OnDelete" => false,
            None => n < self.start() + int(self.set, "status.currentReplicas").unwrap_or(0),
            Some(p) => n < self.start() + p,
        };
        if past { &self.current } else { &self.update }
    }

    fn create(&mut self, n: i64) {
        let (name, revision) = (text(self.set, "metadata.name"), self.revision_for(n).to_owned());
        let Some(stored) = self.history.named(&revision) else { return };
        let mut pod = pods::from_template(&revisions::template(stored), self.set);
        let own = format!("{name}-{n}");
        take(&mut pod, "metadata.generateName");
        set(&mut pod, "metadata.name", own.as_str());
        let mut labels = at(&pod, "metadata.labels").cloned().unwrap_or_else(|| json!({}));
        labels[LABEL] = revision.as_str().into();
        labels["statefulset.kubernetes.io/pod-name"] = own.as_str().into();
        labels["apps.kubernetes.io/pod-index"] = n.to_string().into();
        set(&mut pod, "metadata.labels", labels);
        set(&mut pod, "spec.hostname", own.as_str());
        set(&mut pod, "spec.subdomain", text(self.set, "spec.serviceName"));
        let mut volumes = list(&pod, "spec.volumes").to_vec();
        for claim in list(self.set, "spec.volumeClaimTemplates") {
            let template = text(claim, "metadata.name");
            let claim_name = format!("{template}-{own}");
            self.claim(claim, &claim_name, &own);
            volumes.retain(|v| text(v, "name") != template);
            volumes.push(json!({"name": template, "persistentVolumeClaim": {"claimName": claim_name}}));
        }
        if !volumes.is_empty() {
            set(&mut pod, "spec.volumes", volumes);
        }
        match self.cx.create("pods", pod) {
            Ok(_) => {
                let message = format!("create Pod {own} in StatefulSet {name} successful");
                self.cx.event(self.set, "Normal", "SuccessfulCreate", &message, COMPONENT);
                self.made.push(revision);
            }
            Err(Refused::Other(why)) => {
                let message = format!("create Pod {own} in StatefulSet {name} failed error: {why}");
                self.cx.event(self.set, "Warning", "FailedCreate", &message, COMPONENT);
            }
            Err(Refused::Terminating) => {}
        }
    }

    /// Makes a claim, and the volume it is bound to at once.
    fn claim(&self, template: &Value, name: &str, pod: &str) {
        let (cx, namespace) = (self.cx, text(self.set, "metadata.namespace"));
        if cx.store.get("persistentvolumeclaims", namespace, name).is_some() {
            return;
        }
        let mut claim = template.clone();
        set(&mut claim, "apiVersion", "v1");
        set(&mut claim, "kind", "PersistentVolumeClaim");
        set(&mut claim, "metadata.name", name);
        set(&mut claim, "metadata.namespace", namespace);
        set(
            &mut claim,
            "metadata.labels",
            at(self.set, "spec.selector.matchLabels").cloned().unwrap_or_else(|| json!({})),
        );
        let uid = cx.noise.of(namespace).of(name).uuid(0);
        let volume = format!("pvc-{uid}");
        set(&mut claim, "metadata.uid", uid.as_str());
        set(&mut claim, "metadata.finalizers", vec!["kubernetes.io/pvc-protection"]);
        set(&mut claim, "spec.volumeName", volume.as_str());
        let size = at(template, "spec.resources.requests").cloned().unwrap_or_else(|| json!({}));
        let modes = at(template, "spec.accessModes").cloned().unwrap_or_else(|| json!(["ReadWriteOnce"]));
        let class = at(template, "spec.storageClassName").cloned().unwrap_or_else(|| "standard".into());
        set(&mut claim, "status", json!({"phase": "Bound", "accessModes": modes, "capacity": size}));
        if cx.create("persistentvolumeclaims", claim).is_err() {
            return;
        }
        let made = json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {
                "capacity": size, "accessModes": modes, "storageClassName": class,
                "persistentVolumeReclaimPolicy": "Delete", "volumeMode": "Filesystem",
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name, "uid": uid},
            },
            "status": {"phase": "Bound"},
        });
        // There already only if the claim was deleted and is made again.
        drop(cx.create("persistentvolumes", made));
        let owner = text(self.set, "metadata.name");
        let message = format!("create Claim {name} Pod {pod} in StatefulSet {owner} success");
        cx.event(self.set, "Normal", "SuccessfulCreate", &message, COMPONENT);
    }

    fn write_status(&self, id: &Id) {
        let there: Vec<&Arc<Pod>> = self.pods.iter().filter(|p| !p.ended()).collect();
        let of = |revision: &str| {
            let old = there.iter().filter(|p| !p.deleting && !self.taken.contains(&p.stored.name));
            old.filter(|p| p.stored.labels.get(LABEL).is_some_and(|l| l == revision)).count()
                + self.made.iter().filter(|m| *m == revision).count()
        };
        let all = (there.len() + self.made.len()) as i64;
        let ready = there.iter().filter(|p| p.phase == "Running" && p.ready.is_some()).count() as i64;
        let available =
            there.iter().filter(|p| p.phase == "Running" && p.available(self.wait(), self.cx.now)).count() as i64;
        let (mut now_current, updated) = (of(&self.current) as i64, of(&self.update) as i64);
        let mut current = self.current.as_str();
        // A finished update makes the new revision the current one (completeRollingUpdate).
        let want = replicas(self.set);
        if text(self.set, "spec.updateStrategy.type") != "OnDelete" && updated == want && all == want && ready == want {
            (current, now_current) = (&self.update, updated);
        }
        let mut status = at(self.set, "status").cloned().unwrap_or_else(|| json!({}));
        for (field, n) in [
            ("observedGeneration", int(self.set, "metadata.generation").unwrap_or(0)),
            ("readyReplicas", ready),
            ("currentReplicas", now_current),
            ("updatedReplicas", updated),
        ] {
            if n == 0 {
                take(&mut status, field);
            } else {
                set(&mut status, field, n);
            }
        }
        set(&mut status, "replicas", all);
        set(&mut status, "availableReplicas", available);
        set(&mut status, "currentRevision", current);
        set(&mut status, "updateRevision", self.update.as_str());
        if at(&status, "collisionCount").is_none() {
            set(&mut status, "collisionCount", 0);
        }
        if at(self.set, "status") != Some(&status) {
            self.cx.update_status(id, |v| set(v, "status", status));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, template};
    use crate::sim::object::{int, set, text};
    use serde_json::{Value, json};

    fn database(policy: &str) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "shop"},
            "spec": {
                "replicas": 3, "serviceName": "db", "podManagementPolicy": policy, "selector": {"matchLabels": {"app": "db"}},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "template": template("db", "db:1"),
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}],
            },
        })
    }

    fn names(world: &World) -> Vec<String> {
        world.pods().iter().map(|p| text(p, "metadata.name").to_owned()).collect()
    }

    #[test]
    fn pods_come_and_go_in_order_with_their_claims() {
        let mut world = World::shop();
        world.create(super::KEY, database("OrderedReady"));
        world.run(1.0);
        assert_eq!(names(&world), ["db-0"]);
        world.run(4.0);
        assert_eq!(names(&world), ["db-0", "db-1"]);
        world.run(20.0);
        let db = world.get(super::KEY, "db");
        assert_eq!((int(&db, "status.readyReplicas"), int(&db, "status.currentReplicas")), (Some(3), Some(3)));
        assert_eq!(text(&db, "status.currentRevision"), text(&db, "status.updateRevision"));
        assert_eq!((world.list("persistentvolumeclaims").len(), world.list("persistentvolumes").len()), (3, 3));
        assert_eq!(world.writes(600.0), Vec::<String>::new());
        world.edit(super::KEY, "db", |d| set(d, "spec.replicas", 1));
        world.run(1.0);
        assert_eq!(names(&world), ["db-0", "db-1"]);
        world.run(20.0);
        assert_eq!(names(&world), ["db-0"]);
        assert_eq!(world.list("persistentvolumeclaims").len(), 3, "claims stay");
    }

    #[test]
    fn updates_go_from_the_last_and_stop_at_the_partition_and_can_be_undone() {
        let mut world = World::shop();
        world.create(super::KEY, database("Parallel"));
        world.run(0.5);
        assert_eq!(names(&world).len(), 3);
        world.run(20.0);
        let first = world.get(super::KEY, "db");
        world.edit(super::KEY, "db", |d| {
            set(d, "spec.updateStrategy.rollingUpdate.partition", 1);
            d["spec"]["template"]["spec"]["containers"][0]["image"] = "db:2".into();
        });
        world.run(60.0);
        let images: Vec<Value> = world.pods().iter().map(|p| p["spec"]["containers"][0]["image"].clone()).collect();
        assert_eq!(images, ["db:1", "db:2", "db:2"]);
        let db = world.get(super::KEY, "db");
        assert_eq!((int(&db, "status.updatedReplicas"), int(&db, "status.currentReplicas")), (Some(2), Some(1)));
        world.edit(super::KEY, "db", |d| set(d, "spec.template", first["spec"]["template"].clone()));
        world.run(60.0);
        let db = world.get(super::KEY, "db");
        assert_eq!(text(&db, "status.updateRevision"), text(&first, "status.updateRevision"), "the old revision again");
        let numbers: Vec<Option<i64>> = world.list(super::revisions::KEY).iter().map(|r| int(r, "revision")).collect();
        assert!(numbers.contains(&Some(3)) && numbers.len() == 2, "{numbers:?}");
    }

    #[test]
    fn an_unready_pod_holds_up_those_after_it() {
        let mut world = World::shop();
        let mut db = database("OrderedReady");
        db["spec"]["template"]["spec"]["containers"][0]["image"] = "db:bad".into();
        world.create(super::KEY, db);
        world.run(600.0);
        assert_eq!(names(&world), ["db-0"]);
    }
}
