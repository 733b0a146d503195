//! The call whose loss would hurt most, and a Chaos Mesh experiment that would show it.

use super::tally::{Crossed, Totals, Way, Who};
use crate::model::service::{ServiceMap, WeakEdge};
use crate::model::snapshot::Snapshot;
use serde_json::{Map, Value, json};

/// Edges that are told.
const TOLD: usize = 20;
/// Chaos Mesh ends an experiment by itself only if it is told when.
const DURATION: &str = "60s";

/// Edges by what their loss would do, the worst first. Of a call that never failed it is not known whether the whole would
/// fail with it: it counts as if it did, until somebody tries.
pub fn edges(totals: &Totals, map: &ServiceMap, snapshot: &Snapshot) -> Vec<WeakEdge> {
    let entrances = totals.entrances.max(1) as f64;
    let share = |c: &Crossed| c.traces as f64 / entrances;
    let carried = |c: &Crossed| (c.failed > 0).then(|| c.carried as f64 / c.failed as f64);
    let harm = |c: &Crossed| share(c) * carried(c).unwrap_or(1.0);
    let mut all: Vec<(&Way, &Crossed)> =
        totals.edges.0.iter().filter(|((.., detached), c)| !detached && c.traces > 0).collect();
    all.sort_by(|a, b| harm(b.1).total_cmp(&harm(a.1)).then_with(|| a.0.cmp(b.0)));
    all.truncate(TOLD);
    let weak = |((from, to, _), crossed): (&Way, &Crossed)| WeakEdge {
        from: from.name.clone(),
        to: to.name.clone(),
        share: share(crossed),
        carried: carried(crossed),
        experiment: experiment(from, to, map, snapshot).into(),
    };
    all.into_iter().map(weak).collect()
}

/// Cuts one pod of the caller off from the callee: as little as shows what happens.
fn experiment(from: &Who, to: &Who, map: &ServiceMap, snapshot: &Snapshot) -> String {
    let (source, target) = (selector(from, map, snapshot), selector(to, map, snapshot));
    let namespace = source.namespace.clone();
    let mut spec = json!({
        "action": "partition", "mode": "one", "duration": DURATION, "direction": "to", "selector": source.value,
    });
    if target.inside {
        spec["target"] = json!({"mode": "all", "selector": target.value});
    } else {
        spec["externalTargets"] = json!([&*to.name]);
    }
    let object = json!({
        "apiVersion": "chaos-mesh.org/v1alpha1", "kind": "NetworkChaos",
        "metadata": {"name": name(from, to), "namespace": namespace}, "spec": spec,
    });
    let yaml = serde_saphyr::to_string(&object).unwrap_or_else(|_| object.to_string());
    if source.sure && (target.sure || !target.inside) {
        return yaml;
    }
    format!("# A workload of this name is not in the snapshot: check its labels before you apply this.\n{yaml}")
}

/// A name that Kubernetes accepts.
fn name(from: &Who, to: &Who) -> String {
    let text = format!("kansole-{}-{}", from.name, to.name).to_lowercase();
    let text: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    text.trim_matches('-').to_owned()
}

/// The pods of a service.
struct Pods {
    namespace: String,
    value: Value,
    /// They are in the snapshot.
    sure: bool,
    /// It is a service of this cluster, as far as is known.
    inside: bool,
}

fn selector(who: &Who, map: &ServiceMap, snapshot: &Snapshot) -> Pods {
    let node =
        map.nodes.iter().find(|n| n.name == who.name && (who.namespace.is_none() || n.namespace == who.namespace));
    let workload = node.and_then(|n| n.workload.as_ref()).and_then(|key| snapshot.workload(key));
    let namespace = workload
        .map(|w| w.key.namespace.clone())
        .or_else(|| who.namespace.clone())
        .map_or_else(|| "default".to_owned(), |n| n.to_string());
    let mut value = Map::new();
    value.insert("namespaces".into(), json!([namespace]));
    let pods: Vec<&str> = workload.map_or_else(Vec::new, |w| w.live_pods().map(|p| &*p.name).collect());
    let sure = !pods.is_empty();
    if sure {
        // By name: the labels of pods are not read, and these are the ones that are there now.
        value.insert("pods".into(), json!({ namespace.as_str(): pods }));
    } else {
        value.insert("labelSelectors".into(), json!({ "app.kubernetes.io/name": &*who.name }));
    }
    Pods { value: Value::Object(value), sure, inside: sure || who.namespace.is_some(), namespace }
}
