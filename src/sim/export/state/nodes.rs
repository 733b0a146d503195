//! `kube_node_*`.

use super::super::gauge;
use super::Take::{Conditions, Or, Time, With};
use super::{Item, Put, item, labels, resources};
use crate::sim::object::{at, list, text};
use serde_json::Value;

pub(super) static NODES: [Item; 9] = [
    item(gauge("kube_node_info", "[STABLE] Information about a cluster node."), With(info)),
    item(gauge("kube_node_created", "[STABLE] Unix creation timestamp"), Time("metadata.creationTimestamp")),
    item(gauge("kube_node_labels", "[STABLE] Kubernetes labels converted to Prometheus labels."), With(labels)),
    item(gauge("kube_node_role", "The role of a cluster node."), With(role)),
    item(
        gauge("kube_node_spec_unschedulable", "[STABLE] Whether a node can schedule new pods."),
        Or("spec.unschedulable", 0.0),
    ),
    item(gauge("kube_node_spec_taint", "[STABLE] The taint of a cluster node."), With(taints)),
    item(gauge("kube_node_status_condition", "[STABLE] The condition of a cluster node."), Conditions("condition")),
    item(
        gauge("kube_node_status_capacity", "[STABLE] The total amount of resources available for a node."),
        With(|o, put| resources(at(o, "status.capacity"), &[], put)),
    ),
    item(
        gauge(
            "kube_node_status_allocatable",
            "[STABLE] The amount of resources allocatable for pods (after reserving some for system daemons).",
        ),
        With(|o, put| resources(at(o, "status.allocatable"), &[], put)),
    ),
];

fn info(o: &Value, put: &mut Put) {
    let address = list(o, "status.addresses").iter().find(|a| text(a, "type") == "InternalIP");
    let of = |field: &str| text(o, field);
    put.put(
        &[
            ("kernel_version", of("status.nodeInfo.kernelVersion")),
            ("os_image", of("status.nodeInfo.osImage")),
            ("container_runtime_version", of("status.nodeInfo.containerRuntimeVersion")),
            ("kubelet_version", of("status.nodeInfo.kubeletVersion")),
            ("kubeproxy_version", "deprecated"),
            ("provider_id", of("spec.providerID")),
            ("pod_cidr", of("spec.podCIDR")),
            ("system_uuid", of("status.nodeInfo.systemUUID")),
            ("internal_ip", address.map_or("", |a| text(a, "address"))),
        ],
        1.0,
    );
}

fn role(o: &Value, put: &mut Put) {
    let Some(Value::Object(map)) = at(o, "metadata.labels") else { return };
    for role in map.keys().filter_map(|k| k.strip_prefix("node-role.kubernetes.io/")) {
        put.put(&[("role", role)], 1.0);
    }
}

fn taints(o: &Value, put: &mut Put) {
    for t in list(o, "spec.taints") {
        put.put(&[("key", text(t, "key")), ("value", text(t, "value")), ("effect", text(t, "effect"))], 1.0);
    }
}
