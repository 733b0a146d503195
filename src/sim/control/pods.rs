//! Pods as controllers make, count and delete them.

use super::context::{Context, Refused, reference};
use super::select;
use super::world::Pod;
use crate::model::time::Timestamp;
use crate::sim::object::{amount, at, list, set, take, text};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pod that `parent` makes out of a template: without a name, but with the prefix for one.
pub fn from_template(template: &Value, parent: &Value) -> Value {
    let name = text(parent, "metadata.name");
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": format!("{name}-"), "namespace": text(parent, "metadata.namespace")},
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(v) = at(template, &format!("metadata.{field}")) {
            set(&mut pod, &format!("metadata.{field}"), v.clone());
        }
    }
    set(&mut pod, "metadata.ownerReferences", vec![reference(parent)]);
    set(&mut pod, "spec", template.get("spec").cloned().unwrap_or_else(|| json!({})));
    admit(&mut pod);
    pod
}

/// Fills in what defaulting and admission add to a pod that the API server's defaults for templates have not: the
/// tolerations of DefaultTolerationSeconds, the service account, priority, and the first status.
pub fn admit(pod: &mut Value) {
    for (path, value) in [
        ("spec.serviceAccountName", json!("default")),
        ("spec.restartPolicy", json!("Always")),
        ("spec.terminationGracePeriodSeconds", json!(30)),
        ("spec.dnsPolicy", json!("ClusterFirst")),
        ("spec.schedulerName", json!("default-scheduler")),
        ("spec.securityContext", json!({})),
        ("spec.enableServiceLinks", json!(true)),
        ("spec.priority", json!(0)),
        ("spec.preemptionPolicy", json!("PreemptLowerPriority")),
    ] {
        if at(pod, path).is_none() {
            set(pod, path, value);
        }
    }
    let account = text(pod, "spec.serviceAccountName").to_owned();
    set(pod, "spec.serviceAccount", account);
    let mut tolerations = list(pod, "spec.tolerations").to_vec();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = tolerations.iter().any(|t| {
            matches!(text(t, "effect"), "NoExecute" | "")
                && (text(t, "key") == key || (text(t, "key").is_empty() && text(t, "operator") == "Exists"))
        });
        if !covered {
            tolerations
                .push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
    set(pod, "spec.tolerations", tolerations);
    let class = qos_class(pod);
    set(pod, "status", json!({"phase": "Pending", "qosClass": class}));
}

/// `Guaranteed`, `Burstable` or `BestEffort` (pkg/apis/core/v1/helper/qos).
pub fn qos_class(pod: &Value) -> &'static str {
    let containers = || list(pod, "spec.containers").iter().chain(list(pod, "spec.initContainers"));
    let of = |c: &Value, kind: &str, resource: &str| {
        amount(at(c, &format!("resources.{kind}")).and_then(|r| r.get(resource))).filter(|v| *v > 0.0)
    };
    let both = ["cpu", "memory"];
    if containers().all(|c| both.iter().all(|r| of(c, "requests", r).is_none() && of(c, "limits", r).is_none())) {
        return "BestEffort";
    }
    let guaranteed = containers().all(|c| {
        both.iter().all(|r| {
            let limit = of(c, "limits", r);
            limit.is_some() && (of(c, "requests", r).is_none() || of(c, "requests", r) == limit)
        })
    });
    if guaranteed { "Guaranteed" } else { "Burstable" }
}

impl Context<'_> {
    /// Creates a pod for `parent` and says so; the refusal as its conditions and events word it.
    pub fn create_pod(&self, pod: Value, parent: &Value, component: &str) -> Result<String, Refused> {
        match self.create("pods", pod) {
            Ok(made) => {
                let message = format!("Created pod: {}", made.name);
                self.event(parent, "Normal", "SuccessfulCreate", &message, component);
                Ok(made.name.clone())
            }
            Err(Refused::Other(why)) => {
                self.event(parent, "Warning", "FailedCreate", &format!("Error creating: {why}"), component);
                Err(Refused::Other(why))
            }
            Err(Refused::Terminating) => Err(Refused::Terminating),
        }
    }

    /// Deletes a pod for `parent` and says so.
    pub fn delete_pod(&self, pod: &Pod, parent: &Value, component: &str) {
        if self.delete(&pod.id(), &pod.stored.uid) {
            let message = format!("Deleted pod: {}", pod.stored.name);
            self.event(parent, "Normal", "SuccessfulDelete", &message, component);
        }
    }

    /// The pods that `owner` controls, adopting and releasing by its selector.
    pub fn claim_pods(&self, owner: &Value, selector: Option<&Value>) -> Vec<Arc<Pod>> {
        let (namespace, uid) = (text(owner, "metadata.namespace"), text(owner, "metadata.uid"));
        let deleting = at(owner, "metadata.deletionTimestamp").is_some();
        let mut mine = Vec::new();
        for pod in self.world.pods_of(uid) {
            if select::matches(selector, &pod.stored.labels) {
                mine.push(pod.clone());
            } else if !deleting {
                self.update(&pod.id(), |v| {
                    let rest: Vec<Value> =
                        list(v, "metadata.ownerReferences").iter().filter(|o| text(o, "uid") != uid).cloned().collect();
                    if rest.is_empty() {
                        take(v, "metadata.ownerReferences");
                    } else {
                        set(v, "metadata.ownerReferences", rest);
                    }
                });
            }
        }
        if !deleting {
            for pod in self.world.orphans("pods", namespace).filter_map(|n| self.world.pod(namespace, n)) {
                if pod.active() && select::matches(selector, &pod.stored.labels) {
                    self.update(&pod.id(), |v| {
                        let mut all = list(v, "metadata.ownerReferences").to_vec();
                        all.push(reference(owner));
                        set(v, "metadata.ownerReferences", all);
                    });
                    mine.push(pod.clone());
                }
            }
        }
        mine
    }
}

/// Orders pods so that those to delete first come first (ActivePodsWithRanks in controller_utils.go). `related` counts
/// the active pods of the same workload on each node.
pub fn rank(pods: &mut [Arc<Pod>], related: &BTreeMap<String, usize>, now: Timestamp) {
    let phase = |p: &Pod| match p.phase.as_str() {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    };
    let age = |t: Timestamp| {
        let passed = (now - t).num_nanoseconds().unwrap_or(i64::MAX);
        if passed > 0 { (passed as f64).log2() as i64 } else { -1 }
    };
    let doubled = |p: &Pod| related.get(&p.node).copied().unwrap_or(0);
    let by_age = |a: Timestamp, b: Timestamp, p: &Pod, q: &Pod| {
        if a == b { Ordering::Equal } else { age(a).cmp(&age(b)).then_with(|| p.stored.uid.cmp(&q.stored.uid)) }
    };
    pods.sort_by(|a, b| {
        (!a.node.is_empty())
            .cmp(&!b.node.is_empty())
            .then_with(|| phase(a).cmp(&phase(b)))
            .then_with(|| a.ready.is_some().cmp(&b.ready.is_some()))
            .then_with(|| a.cost.cmp(&b.cost))
            .then_with(|| doubled(b).cmp(&doubled(a)))
            .then_with(|| match (a.ready, b.ready) {
                (Some(x), Some(y)) => by_age(x, y, a, b),
                _ => Ordering::Equal,
            })
            .then_with(|| b.restarts.cmp(&a.restarts))
            .then_with(|| by_age(a.created, b.created, a, b))
            .then_with(|| a.stored.name.cmp(&b.stored.name))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::clock::{Clock, at as moment};
    use crate::sim::fields::Writer;
    use crate::sim::noise::Noise;
    use crate::sim::store::Store;
    use std::sync::Arc;

    #[test]
    fn admission_fills_in_once() {
        let mut pod = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}});
        admit(&mut pod);
        let once = pod.clone();
        admit(&mut pod);
        assert_eq!(pod, once);
        assert_eq!((list(&pod, "spec.tolerations").len(), text(&pod, "status.qosClass")), (2, "Burstable"));
        let guaranteed = json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]}});
        assert_eq!(qos_class(&guaranteed), "Guaranteed");
        assert_eq!(qos_class(&json!({"spec": {"containers": [{}]}})), "BestEffort");
    }

    #[test]
    fn what_serves_least_goes_first() {
        let store = Store::new(Arc::new(Clock::new(moment(1_800_000_000_000), 0.0)), Noise::new(1));
        let pod = |name: &str, node: &str, phase: &str, ready: Option<i64>, cost: i64| {
            Arc::new(Pod {
                stored: store
                    .create("pods", json!({"metadata": {"name": name, "namespace": "s"}}), Writer::of("t"))
                    .unwrap(),
                owner: None,
                node: node.into(),
                phase: phase.into(),
                ready: ready.map(|s| moment(s * 1000)),
                deleting: false,
                created: moment(0),
                cost,
                restarts: 0,
                ip: String::new(),
                hostname: String::new(),
                subdomain: String::new(),
            })
        };
        let mut pods = vec![
            pod("old", "n1", "Running", Some(10), 0),
            pod("young", "n2", "Running", Some(9000), 0),
            pod("cheap", "n2", "Running", Some(10), -5),
            pod("doubled", "n3", "Running", Some(10), 0),
            pod("unready", "n1", "Running", None, 0),
            pod("pending", "n1", "Pending", None, 0),
            pod("unscheduled", "", "Pending", None, 0),
        ];
        let related = BTreeMap::from([("n3".to_owned(), 3), ("n1".to_owned(), 1), ("n2".to_owned(), 1)]);
        rank(&mut pods, &related, moment(10_000_000));
        let names: Vec<&str> = pods.iter().map(|p| p.stored.name.as_str()).collect();
        assert_eq!(names, ["unscheduled", "pending", "unready", "cheap", "doubled", "young", "old"]);
    }
}
