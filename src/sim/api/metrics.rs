//! `metrics.k8s.io/v1beta1`: what nodes and pods use right now, as metrics-server tells it.

use super::options::Options;
use crate::model::time::Timestamp;
use crate::sim::clock::rfc3339;
use crate::sim::machine::{Machine, Machines, Process, Shared};
use crate::sim::status::Status;
use crate::sim::store::{Store, Stored};
use serde_json::{Value, json};
use std::sync::Arc;

/// What is asked for: `nodes` or `pods`, in a namespace, by name; empty: all.
pub struct Asked<'a> {
    /// Kind.
    pub plural: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

/// Answers.
///
/// # Errors
/// 404 for what is not measured.
pub fn answer(
    store: &Store,
    machines: &Shared,
    asked: &Asked<'_>,
    options: &Options,
    now: Timestamp,
) -> Result<Value, Status> {
    let (list, make): (&str, fn(&Machines, &Stored, Timestamp) -> Option<Value>) = match asked.plural {
        "nodes" => ("NodeMetricsList", node),
        "pods" => ("PodMetricsList", pod),
        _ => return Err(super::discovery::not_found()),
    };
    let found: Vec<Arc<Stored>> = if asked.name.is_empty() {
        let namespace = Some(asked.namespace).filter(|n| !n.is_empty());
        let all = store.list(asked.plural, namespace).1;
        all.into_iter().filter(|o| options.labels.matches(&o.labels) && options.fields.matches(o)).collect()
    } else {
        store.get(asked.plural, asked.namespace, asked.name).into_iter().collect()
    };
    let machines = machines.lock();
    let mut items: Vec<Value> = found.iter().filter_map(|o| make(&machines, o, now)).collect();
    if asked.name.is_empty() {
        return Ok(json!({"kind": list, "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}));
    }
    items.pop().ok_or_else(|| {
        let kind = if asked.plural == "nodes" { "nodemetrics" } else { "podmetrics" };
        let name = if asked.namespace.is_empty() {
            asked.name.to_owned()
        } else {
            format!("{}/{}", asked.namespace, asked.name)
        };
        Status::not_found("metrics.k8s.io", kind, &name)
    })
}

fn measured(machine: Option<&Machine>) -> bool {
    machine.is_some_and(|m| m.powered && m.connected && m.kubelet)
}

fn head(object: &Stored, kind: &str, now: Timestamp) -> Value {
    let mut metadata = json!({"name": object.name, "creationTimestamp": rfc3339(now)});
    if !object.namespace.is_empty() {
        metadata["namespace"] = object.namespace.as_str().into();
    }
    if !object.labels.is_empty() {
        metadata["labels"] = json!(object.labels);
    }
    json!({"kind": kind, "apiVersion": "metrics.k8s.io/v1beta1", "metadata": metadata, "timestamp": rfc3339(now), "window": "15s"})
}

fn usage(cores: f64, bytes: f64) -> Value {
    json!({"cpu": format!("{}n", (cores * 1e9).round() as i64), "memory": format!("{}Ki", (bytes / 1024.0).round() as i64)})
}

fn node(machines: &Machines, object: &Stored, now: Timestamp) -> Option<Value> {
    let machine = machines.nodes.get(&object.name).filter(|m| measured(Some(m)))?;
    let here = machines.processes.values().filter(|p| p.node == object.name);
    let cores: f64 = here.map(|p| p.usage.cores).sum();
    let mut item = head(object, "NodeMetrics", now);
    item["usage"] = usage(cores, machine.memory_used);
    Some(item)
}

fn pod(machines: &Machines, object: &Stored, now: Timestamp) -> Option<Value> {
    let first = crate::sim::machine::Place {
        namespace: object.namespace.clone(),
        pod: object.name.clone(),
        container: String::new(),
    };
    let here = machines.processes.range(first..);
    let own: Vec<&Process> = here
        .map(|(_, p)| p)
        .take_while(|p| p.place.namespace == object.namespace && p.place.pod == object.name)
        .filter(|p| p.uid == object.uid && measured(machines.nodes.get(&p.node)))
        .collect();
    if own.is_empty() {
        return None;
    }
    let containers: Vec<Value> = own
        .iter()
        .map(|p| json!({"name": p.place.container, "usage": usage(p.usage.cores, p.usage.working_set)}))
        .collect();
    let mut item = head(object, "PodMetrics", now);
    item["containers"] = containers.into();
    Some(item)
}
