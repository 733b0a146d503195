//! Autoscalers in autoscaling/v1: its one CPU target, and annotations for everything that only v2 has words for. Source:
//! k8s.io/kubernetes pkg/apis/autoscaling/v1/conversion.go.

use crate::sim::object::{at, list, set, take, text};
use serde_json::{Map, Value, json};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

/// Where the sources of metrics keep their parts: source, path in v2, name in v1 (`*` is `target` or `current`).
const PARTS: [(&str, &str, &str); 18] = [
    ("resource", "name", "name"),
    ("resource", "*.averageUtilization", "*AverageUtilization"),
    ("resource", "*.averageValue", "*AverageValue"),
    ("containerResource", "name", "name"),
    ("containerResource", "container", "container"),
    ("containerResource", "*.averageUtilization", "*AverageUtilization"),
    ("containerResource", "*.averageValue", "*AverageValue"),
    ("pods", "metric.name", "metricName"),
    ("pods", "metric.selector", "selector"),
    ("pods", "*.averageValue", "*AverageValue"),
    ("object", "describedObject", "target"),
    ("object", "metric.name", "metricName"),
    ("object", "metric.selector", "selector"),
    ("object", "*.value", "*Value"),
    ("object", "*.averageValue", "averageValue"),
    ("external", "metric.name", "metricName"),
    ("external", "metric.selector", "metricSelector"),
    ("external", "*.value", "*Value"),
];

/// The source of a metric: the one field beside its type.
fn source(metric: &Value) -> Option<(&String, &Value)> {
    metric.as_object()?.iter().find(|(k, v)| *k != "type" && v.is_object())
}

fn parts<'a>(source: &'a str, side: &'a str) -> impl Iterator<Item = (String, String)> + 'a {
    let external = (source == "external").then_some(("external", "*.averageValue", "*AverageValue"));
    let all = PARTS.into_iter().chain(external).filter(move |(s, ..)| *s == source);
    all.map(move |(_, new, old)| (new.replace('*', side), old.replace('*', side)))
}

fn metric_v1(metric: &Value, side: &str) -> Value {
    let Some((name, inner)) = source(metric) else { return metric.clone() };
    let mut old = Map::new();
    for (new, v1) in parts(name, side) {
        if let Some(value) = at(inner, &new) {
            old.insert(v1, value.clone());
        }
    }
    json!({"type": text(metric, "type"), name: old})
}

fn metric_v2(metric: &Value) -> Value {
    let Some((name, inner)) = source(metric) else { return metric.clone() };
    let mut new = json!({});
    for (v2, old) in parts(name, "target") {
        if let Some(value) = inner.get(&old) {
            set(&mut new, &v2, value.clone());
        }
    }
    let given = |part: &str| at(&new, &format!("target.{part}")).is_some();
    let kind = if given("averageUtilization") {
        "Utilization"
    } else if given("averageValue") {
        "AverageValue"
    } else {
        "Value"
    };
    set(&mut new, "target.type", kind);
    json!({"type": text(metric, "type"), name: new})
}

/// The share of a request of CPU that a metric of v2 is about, and that v1 has a field for.
fn cpu<'a>(metric: &'a Value, side: &str) -> Option<&'a Value> {
    (text(metric, "type") == "Resource" && text(metric, "resource.name") == "cpu")
        .then(|| at(metric, &format!("resource.{side}.averageUtilization")))?
}

/// An autoscaler of v2, in v1.
pub fn to_v1(mut object: Value) -> Value {
    let mut notes: Map<String, Value> = Map::new();
    let metrics = list(&object, "spec.metrics").to_vec();
    let now = list(&object, "status.currentMetrics").to_vec();
    if let Some(target) = metrics.iter().find_map(|m| cpu(m, "target")) {
        set(&mut object, "spec.targetCPUUtilizationPercentage", target.clone());
    }
    if let Some(share) = now.iter().find_map(|m| cpu(m, "current")) {
        set(&mut object, "status.currentCPUUtilizationPercentage", share.clone());
    }
    let others: Vec<Value> =
        metrics.iter().filter(|m| cpu(m, "target").is_none()).map(|m| metric_v1(m, "target")).collect();
    let now: Vec<Value> = now.iter().map(|m| metric_v1(m, "current")).collect();
    let conditions = list(&object, "status.conditions").to_vec();
    for (note, all) in [(METRICS, others), (CURRENT, now), (CONDITIONS, conditions)] {
        if !all.is_empty() {
            notes.insert(note.to_owned(), Value::from(all).to_string().into());
        }
    }
    for gone in ["spec.metrics", "status.currentMetrics", "status.conditions"] {
        take(&mut object, gone);
    }
    if let Some(behavior) = take(&mut object, "spec.behavior") {
        notes.insert(BEHAVIOR.to_owned(), behavior.to_string().into());
    }
    if !notes.is_empty() {
        if !object["metadata"]["annotations"].is_object() {
            object["metadata"]["annotations"] = json!({});
        }
        for (note, value) in notes {
            object["metadata"]["annotations"][note] = value;
        }
    }
    object
}

/// An autoscaler of v1 as somebody sends it, or a part of one, in v2. Annotations that do not parse are dropped, as the
/// real server drops them.
pub fn to_v2(mut object: Value) -> Value {
    if object.get("apiVersion").is_some() {
        set(&mut object, "apiVersion", "autoscaling/v2");
    }
    let mut noted = |name: &str| -> Option<Value> {
        let notes = object.pointer_mut("/metadata/annotations")?.as_object_mut()?;
        serde_json::from_str(notes.shift_remove(name)?.as_str()?).ok()
    };
    let (others, behavior) = (noted(METRICS), noted(BEHAVIOR));
    // The status is the stored object's own.
    for gone in [CURRENT, CONDITIONS] {
        noted(gone);
    }
    if object.pointer("/metadata/annotations").and_then(Value::as_object).is_some_and(Map::is_empty) {
        take(&mut object, "metadata.annotations");
    }
    let target = take(&mut object, "spec.targetCPUUtilizationPercentage");
    let first = target.filter(|t| !t.is_null()).map(|t| {
        json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": t}}})
    });
    let others = others.as_ref().and_then(Value::as_array).into_iter().flatten().map(metric_v2);
    let metrics: Vec<Value> = first.into_iter().chain(others).collect();
    if !metrics.is_empty() {
        set(&mut object, "spec.metrics", metrics);
    }
    if let Some(behavior) = behavior.filter(Value::is_object) {
        set(&mut object, "spec.behavior", behavior);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_v1_has_no_words_for_comes_back() {
        let target = |kind: &str, part: &str, value: Value| json!({"type": kind, part: value});
        let v2 = json!({"apiVersion": "autoscaling/v2", "metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": target("Utilization", "averageUtilization", json!(60))}},
            {"type": "Resource", "resource": {"name": "memory", "target": target("AverageValue", "averageValue", json!("1Gi"))}},
            {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": target("AverageValue", "averageValue", json!("100"))}},
            {"type": "External", "external": {"metric": {"name": "lag", "selector": {"matchLabels": {"q": "x"}}}, "target": target("Value", "value", json!("30"))}},
        ], "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}});
        let v1 = to_v1(v2.clone());
        assert_eq!(v1["spec"], json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 60}));
        assert!(text(&v1, "metadata.annotations").is_empty());
        let metrics = v1["metadata"]["annotations"][METRICS].as_str().unwrap();
        assert!(metrics.contains(r#""pods":{"metricName":"rps","targetAverageValue":"100"}"#), "{metrics}");
        assert_eq!(to_v2(v1), v2);
    }
}
