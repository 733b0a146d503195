//! kube-state-metrics: what objects say, as numbers. Names, labels and helps as in its version 2 (internal/store/*.go).

mod misc;
mod nodes;
mod pods;
mod workloads;

use super::{Family, Sink};
use crate::sim::object::{amount, at, int, list, text, yes};
use chrono::DateTime;
use serde_json::Value;

/// How a family is read off an object. What is absent in the object gives no sample.
#[derive(Clone, Copy)]
enum Take {
    /// The object is there: 1.
    One,
    /// A number, or a truth as 0 or 1.
    Number(&'static str),
    /// The same; this if absent.
    Or(&'static str, f64),
    /// A time as seconds since 1970.
    Time(&'static str),
    /// The labels of `name=path` beside a 1; absent ones are left out.
    Info(&'static [(&'static str, &'static str)]),
    /// Each condition times `true`, `false`, `unknown`.
    Conditions(&'static str),
    /// Whatever else.
    With(fn(&Value, &mut Put)),
}

/// A family of a kind.
struct Item {
    family: Family,
    take: Take,
}

const fn item(family: Family, take: Take) -> Item {
    Item { family, take }
}

/// What is said of one kind.
struct Of {
    /// Key of the kind.
    key: &'static str,
    /// Label of its name.
    label: &'static str,
    items: &'static [Item],
}

static KINDS: [Of; 15] = [
    Of { key: "pods", label: "pod", items: &pods::PODS },
    Of { key: "nodes", label: "node", items: &nodes::NODES },
    Of { key: "deployments.apps", label: "deployment", items: &workloads::DEPLOYMENTS },
    Of { key: "replicasets.apps", label: "replicaset", items: &workloads::REPLICASETS },
    Of { key: "statefulsets.apps", label: "statefulset", items: &workloads::STATEFULSETS },
    Of { key: "daemonsets.apps", label: "daemonset", items: &workloads::DAEMONSETS },
    Of { key: "jobs.batch", label: "job_name", items: &workloads::JOBS },
    Of { key: "cronjobs.batch", label: "cronjob", items: &workloads::CRONJOBS },
    Of { key: "horizontalpodautoscalers.autoscaling", label: "horizontalpodautoscaler", items: &workloads::HPAS },
    Of { key: "poddisruptionbudgets.policy", label: "poddisruptionbudget", items: &workloads::PDBS },
    Of { key: "namespaces", label: "namespace", items: &misc::NAMESPACES },
    Of { key: "configmaps", label: "configmap", items: &misc::CONFIGMAPS },
    Of { key: "services", label: "service", items: &misc::SERVICES },
    Of { key: "persistentvolumeclaims", label: "persistentvolumeclaim", items: &misc::CLAIMS },
    Of { key: "endpointslices.discovery.k8s.io", label: "endpointslice", items: &misc::ENDPOINTSLICES },
];

/// The kinds it follows: key, and the label that names an object.
pub fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.iter().map(|k| (k.key, k.label))
}

/// Whether it follows a kind.
pub fn follows(key: &str) -> bool {
    kinds().any(|(k, _)| k == key)
}

/// Whether it has a family of such a name for a kind.
pub fn tells(key: &str, name: &dyn Fn(&str) -> bool) -> bool {
    KINDS.iter().any(|k| k.key == key && k.items.iter().any(|i| name(i.family.name)))
}

/// All of this page.
pub(in crate::sim) fn families(all: &mut Vec<&'static Family>) {
    all.extend(KINDS.iter().flat_map(|k| k.items).map(|i| &i.family));
}

/// Says everything about an object of a kind.
pub fn object(key: &str, object: &Value, sink: &mut dyn Sink) {
    say(key, object, None, sink);
}

/// The same for some families only, by name; all with `None`.
pub fn say(key: &str, object: &Value, only: Option<&dyn Fn(&str) -> bool>, sink: &mut dyn Sink) {
    let Some(kind) = KINDS.iter().find(|k| k.key == key) else { return };
    let mut base = vec![(kind.label, text(object, "metadata.name"))];
    if kind.label != "namespace" {
        base.push(("namespace", text(object, "metadata.namespace")));
    }
    if kind.key == "pods" {
        base.push(("uid", text(object, "metadata.uid")));
    }
    sink.base(&base);
    for item in kind.items.iter().filter(|i| only.is_none_or(|f| f(i.family.name))) {
        item.put(object, sink);
    }
}

/// Where a [`Take::With`] puts its samples.
struct Put<'a> {
    family: &'static Family,
    sink: &'a mut dyn Sink,
}

impl Put<'_> {
    fn put(&mut self, labels: &[(&str, &str)], value: f64) {
        self.sink.put(self.family, "", labels, value);
    }
}

fn bit(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// Seconds since 1970 of an object's time.
fn seconds(text: &str) -> Option<f64> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp() as f64)
}

fn number(object: &Value, path: &str) -> Option<f64> {
    match at(object, path)? {
        Value::Bool(b) => Some(bit(*b)),
        other => amount(Some(other)),
    }
}

impl Item {
    fn put(&'static self, object: &Value, sink: &mut dyn Sink) {
        let mut put = Put { family: &self.family, sink };
        let value = match self.take {
            Take::One => Some(1.0),
            Take::Number(path) => number(object, path),
            Take::Or(path, otherwise) => Some(number(object, path).unwrap_or(otherwise)),
            Take::Time(path) => seconds(text(object, path)),
            Take::Info(labels) => {
                let labels: Vec<(&str, &str)> = labels.iter().map(|(n, path)| (*n, text(object, path))).collect();
                put.put(&labels, 1.0);
                None
            }
            Take::Conditions(label) => {
                for c in list(object, "status.conditions") {
                    let (kind, holds) = (text(c, "type"), text(c, "status"));
                    for status in ["true", "false", "unknown"] {
                        put.put(&[(label, kind), ("status", status)], bit(holds.eq_ignore_ascii_case(status)));
                    }
                }
                None
            }
            Take::With(with) => {
                with(object, &mut put);
                None
            }
        };
        if let Some(value) = value {
            put.put(&[], value);
        }
    }
}

/// `kube_*_owner`: each owner, or one series that says there is none.
fn owners(object: &Value, put: &mut Put) {
    let owners = list(object, "metadata.ownerReferences");
    if owners.is_empty() {
        put.put(&[("owner_kind", ""), ("owner_name", ""), ("owner_is_controller", "")], 1.0);
    }
    for o in owners {
        let controls = if yes(o, "controller") { "true" } else { "false" };
        let labels =
            [("owner_kind", text(o, "kind")), ("owner_name", text(o, "name")), ("owner_is_controller", controls)];
        put.put(&labels, 1.0);
    }
}

/// Kubernetes labels as Prometheus labels: `label_app_kubernetes_io_name`. Only those of the recommended set, as with
/// `--metric-labels-allowlist`.
fn labels(object: &Value, put: &mut Put) {
    const ALLOWED: [&str; 10] = [
        "app",
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
        "app.kubernetes.io/component",
        "app.kubernetes.io/part-of",
        "app.kubernetes.io/version",
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
    ];
    let Some(Value::Object(map)) = at(object, "metadata.labels") else { return };
    let named: Vec<(String, &str)> = map
        .iter()
        .filter(|(k, _)| ALLOWED.contains(&k.as_str()))
        .filter_map(|(k, v)| {
            let name: String = k.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            Some((format!("label_{name}"), v.as_str()?))
        })
        .collect();
    let labels: Vec<(&str, &str)> = named.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    if !labels.is_empty() {
        put.put(&labels, 1.0);
    }
}

/// Samples by resource and unit of a list of quantities.
fn resources(amounts: Option<&Value>, with: &[(&str, &str)], put: &mut Put) {
    let Some(Value::Object(map)) = amounts else { return };
    for (name, value) in map {
        let Some(value) = amount(Some(value)) else { continue };
        let (resource, unit) = match name.as_str() {
            "cpu" => ("cpu".to_owned(), "core"),
            "memory" | "ephemeral-storage" | "storage" => (name.replace('-', "_"), "byte"),
            other => (other.replace(['-', '.', '/'], "_"), "integer"),
        };
        let mut labels = with.to_vec();
        labels.extend([("resource", resource.as_str()), ("unit", unit)]);
        put.put(&labels, value);
    }
}

/// A whole number in `status`, 0 if absent.
fn count(object: &Value, path: &str) -> f64 {
    int(object, path).unwrap_or(0) as f64
}
