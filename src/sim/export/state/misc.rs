//! Namespaces, ConfigMaps, Services, claims, EndpointSlices.

use super::super::gauge;
use super::Take::{Info, Number, One, Time, With};
use super::{Item, Put, bit, item};
use crate::sim::object::{at, list, text};
use serde_json::Value;

pub(super) static NAMESPACES: [Item; 2] = [
    item(gauge("kube_namespace_created", "[STABLE] Unix creation timestamp"), Time("metadata.creationTimestamp")),
    item(
        gauge("kube_namespace_status_phase", "[STABLE] kubernetes namespace status phase."),
        With(|o, p| phases(o, &["Active", "Terminating"], p)),
    ),
];

pub(super) static CONFIGMAPS: [Item; 3] = [
    item(gauge("kube_configmap_info", "[STABLE] Information about configmap."), One),
    item(gauge("kube_configmap_created", "[STABLE] Unix creation timestamp"), Time("metadata.creationTimestamp")),
    item(
        gauge(
            "kube_configmap_metadata_resource_version",
            "Resource version representing a specific version of the configmap.",
        ),
        Number("metadata.resourceVersion"),
    ),
];

pub(super) static SERVICES: [Item; 3] = [
    item(
        gauge("kube_service_info", "[STABLE] Information about service."),
        Info(&[
            ("cluster_ip", "spec.clusterIP"),
            ("external_name", "spec.externalName"),
            ("load_balancer_ip", "spec.loadBalancerIP"),
        ]),
    ),
    item(gauge("kube_service_created", "[STABLE] Unix creation timestamp"), Time("metadata.creationTimestamp")),
    item(gauge("kube_service_spec_type", "[STABLE] Type about service."), Info(&[("type", "spec.type")])),
];

pub(super) static CLAIMS: [Item; 4] = [
    item(
        gauge("kube_persistentvolumeclaim_info", "[STABLE] Information about persistent volume claim."),
        Info(&[
            ("storageclass", "spec.storageClassName"),
            ("volumename", "spec.volumeName"),
            ("volumemode", "spec.volumeMode"),
        ]),
    ),
    item(
        gauge(
            "kube_persistentvolumeclaim_status_phase",
            "[STABLE] The phase the persistent volume claim is currently in.",
        ),
        With(|o, p| phases(o, &["Lost", "Bound", "Pending"], p)),
    ),
    item(
        gauge(
            "kube_persistentvolumeclaim_resource_requests_storage_bytes",
            "[STABLE] The capacity of storage requested by the persistent volume claim.",
        ),
        Number("spec.resources.requests.storage"),
    ),
    item(
        gauge(
            "kube_persistentvolumeclaim_access_mode",
            "[STABLE] The access mode(s) specified by the persistent volume claim.",
        ),
        With(|o, p| {
            for mode in list(o, "spec.accessModes").iter().filter_map(Value::as_str) {
                p.put(&[("access_mode", mode)], 1.0);
            }
        }),
    ),
];

pub(super) static ENDPOINTSLICES: [Item; 2] = [
    item(gauge("kube_endpointslice_info", "Information about endpointslice."), Info(&[("addresstype", "addressType")])),
    item(gauge("kube_endpointslice_endpoints", "Endpoints attached to the endpointslice."), With(endpoints)),
];

fn phases(o: &Value, all: &[&str], put: &mut Put) {
    for phase in all {
        put.put(&[("phase", phase)], bit(text(o, "status.phase") == *phase));
    }
}

fn endpoints(o: &Value, put: &mut Put) {
    for e in list(o, "endpoints") {
        // What a condition does not say counts as the API documents it: ready and serving, not terminating.
        let condition = |name: &str, otherwise: bool| {
            let yes = at(e, "conditions").and_then(|c| c.get(name)).and_then(Value::as_bool).unwrap_or(otherwise);
            if yes { "true" } else { "false" }
        };
        for address in list(e, "addresses").iter().filter_map(Value::as_str) {
            put.put(
                &[
                    ("ready", condition("ready", true)),
                    ("serving", condition("serving", true)),
                    ("terminating", condition("terminating", false)),
                    ("hostname", text(e, "hostname")),
                    ("targetref_kind", text(e, "targetRef.kind")),
                    ("targetref_name", text(e, "targetRef.name")),
                    ("targetref_namespace", text(e, "targetRef.namespace")),
                    ("endpoint_nodename", text(e, "nodeName")),
                    ("endpoint_zone", text(e, "zone")),
                    ("address", address),
                ],
                1.0,
            );
        }
    }
}
