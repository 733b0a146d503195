//! Services and what goes with them: defaults, and addresses and ports out of the cluster's ranges.

use super::{default, each};
use crate::sim::noise::Noise;
use crate::sim::object::{at, int, list, set, take, text};
use crate::sim::store::Store;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Node ports: 30000–32767, as by default.
const FIRST_NODE_PORT: i64 = 30_000;
const NODE_PORTS: i64 = 2_768;

/// v1 Service
pub fn service(object: &mut Value) {
    default(object, "spec.sessionAffinity", "None");
    if text(object, "spec.sessionAffinity") == "ClientIP" {
        default(object, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", 10_800);
    }
    default(object, "spec.type", "ClusterIP");
    for port in each(object, "spec.ports") {
        default(port, "protocol", "TCP");
        if let Some(number) = at(port, "port").cloned() {
            default(port, "targetPort", number);
        }
    }
    let kind = text(object, "spec.type").to_owned();
    if kind != "ExternalName" {
        default(object, "spec.internalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        default(object, "spec.externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(object, "spec.allocateLoadBalancerNodePorts", true);
    }
}

/// All services, for [`allocate`].
pub fn services(store: &Store) -> Vec<Value> {
    store.list("services", None).1.iter().map(|s| s.value()).collect()
}

/// Gives a service its address and node ports beside those `others` have, or keeps those it has.
pub fn allocate(others: &[Value], object: &mut Value, before: Option<&Value>) {
    let kind = text(object, "spec.type").to_owned();
    if kind == "ExternalName" {
        take(object, "spec.clusterIP");
        take(object, "spec.clusterIPs");
        return;
    }
    if let Some(before) = before.filter(|b| text(b, "spec.type") != "ExternalName") {
        for kept in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if let Some(value) = at(before, &format!("spec.{kept}")) {
                default(object, &format!("spec.{kept}"), value.clone());
            }
        }
    }
    default(object, "spec.ipFamilies", json!(["IPv4"]));
    default(object, "spec.ipFamilyPolicy", "SingleStack");
    let noise = Noise::new(0).of(&format!("{}/{}", text(object, "metadata.namespace"), text(object, "metadata.name")));
    let needs_address = at(object, "spec.clusterIP").is_none();
    let needs_ports = matches!(kind.as_str(), "NodePort" | "LoadBalancer")
        && list(object, "spec.ports").iter().any(|p| int(p, "nodePort").is_none());
    if needs_address {
        set(object, "spec.clusterIP", free_address(others, noise));
    }
    if needs_ports {
        give_ports(object, before, others, noise);
    }
    let address = object["spec"]["clusterIP"].clone();
    default(object, "spec.clusterIPs", json!([address]));
    if kind == "ClusterIP" {
        for port in each(object, "spec.ports") {
            take(port, "nodePort");
        }
    }
}

/// A free address in 10.96.0.0/16; where the search begins follows from the name, so that one seed gives one world.
fn free_address(others: &[Value], noise: Noise) -> String {
    let taken: BTreeSet<&str> = others.iter().map(|s| text(s, "spec.clusterIP")).collect();
    let start = noise.bits(0) % 65_000;
    (0..65_000)
        .map(|i| (start + i) % 65_000 + 256)
        .map(|n| format!("10.96.{}.{}", n / 256, n % 256))
        .find(|a| !taken.contains(a.as_str()))
        .unwrap_or_else(|| "10.96.255.254".to_owned())
}

fn give_ports(object: &mut Value, before: Option<&Value>, others: &[Value], noise: Noise) {
    let mut taken: BTreeSet<i64> =
        others.iter().flat_map(|s| list(s, "spec.ports")).filter_map(|p| int(p, "nodePort")).collect();
    taken.extend(list(object, "spec.ports").iter().filter_map(|p| int(p, "nodePort")));
    let start = (noise.bits(1) % NODE_PORTS as u64) as i64;
    for port in each(object, "spec.ports") {
        if int(port, "nodePort").is_some() {
            continue;
        }
        let same = before.and_then(|b| {
            list(b, "spec.ports").iter().find(|p| int(p, "port") == int(port, "port")).and_then(|p| int(p, "nodePort"))
        });
        let number = same.or_else(|| {
            (0..NODE_PORTS).map(|i| FIRST_NODE_PORT + (start + i) % NODE_PORTS).find(|n| !taken.contains(n))
        });
        if let Some(number) = number {
            taken.insert(number);
            set(port, "nodePort", number);
        }
    }
}

/// v1 Endpoints
pub fn endpoints(object: &mut Value) {
    for subset in each(object, "subsets") {
        for port in each(subset, "ports") {
            default(port, "protocol", "TCP");
        }
    }
}

/// discovery.k8s.io/v1 EndpointSlice
pub fn endpoint_slice(object: &mut Value) {
    for port in each(object, "ports") {
        default(port, "name", "");
        default(port, "protocol", "TCP");
    }
}

/// networking.k8s.io/v1 NetworkPolicy
pub fn policy(object: &mut Value) {
    for rules in ["spec.ingress", "spec.egress"] {
        for rule in each(object, rules) {
            for port in each(rule, "ports") {
                default(port, "protocol", "TCP");
            }
        }
    }
    if at(object, "spec.policyTypes").is_none() {
        let mut types = vec!["Ingress"];
        if !list(object, "spec.egress").is_empty() {
            types.push("Egress");
        }
        set(object, "spec.policyTypes", json!(types));
    }
}
