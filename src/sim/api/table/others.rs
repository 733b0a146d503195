//! Rows of networks, nodes, storage, configuration and rights (printers.go).

use super::row::{Row, joined, some_of};
use crate::sim::object::{at, condition, int, list, strings, text, yes};
use serde_json::Value;
use std::collections::BTreeSet;

/// The cells of an object of one of these kinds.
pub fn cells(key: &str, row: Row<'_>) -> Option<Vec<Value>> {
    let object = row.object;
    let (name, age) = (row.name(), row.age());
    let entries = |path: &str| at(object, path).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    Some(match key {
        "namespaces" => vec![name, row.text("status.phase"), age],
        "configmaps" => vec![name, (entries("data") + entries("binaryData")).into(), age],
        "secrets" => vec![name, row.text("type"), entries("data").into(), age],
        "serviceaccounts" => vec![name, age],
        "leases.coordination.k8s.io" => vec![name, row.text("spec.holderIdentity"), age],
        "networkpolicies.networking.k8s.io" => vec![name, row.selector("spec.podSelector"), age],
        "nodes" => node(row),
        "services" => service(row),
        "endpoints" => vec![name, endpoints(row).into(), age],
        "endpointslices.discovery.k8s.io" => slice(row),
        "ingresses.networking.k8s.io" => ingress(row),
        "ingressclasses.networking.k8s.io" => ingress_class(row),
        "persistentvolumes" => volume(row),
        "persistentvolumeclaims" => claim(row),
        "storageclasses.storage.k8s.io" => vec![
            default_class(row, "storageclass.kubernetes.io/is-default-class"),
            row.text("provisioner"),
            row.or("reclaimPolicy", "Delete"),
            row.or("volumeBindingMode", "Immediate"),
            yes(object, "allowVolumeExpansion").into(),
            age,
        ],
        "resourcequotas" => {
            let [requests, limits] = quota(object);
            vec![name, requests.into(), limits.into(), age]
        }
        "priorityclasses.scheduling.k8s.io" => {
            vec![name, row.int("value"), yes(object, "globalDefault").into(), age, row.text("preemptionPolicy")]
        }
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => binding(row),
        "events" => event(row),
        // The rest has the registry's default columns: name and time of creation.
        _ => return None,
    })
}

fn node(row: Row<'_>) -> Vec<Value> {
    let node = row.object;
    let mut status = vec![match condition(node, "Ready") {
        Some(c) if text(c, "status") == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if yes(node, "spec.unschedulable") {
        status.push("SchedulingDisabled");
    }
    let labels = strings(node, "metadata.labels");
    let roles: BTreeSet<&str> = labels
        .iter()
        .filter_map(|(k, v)| match k.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None => (k == "kubernetes.io/role").then_some(v.as_str()),
        })
        .filter(|r| !r.is_empty())
        .collect();
    let roles = if roles.is_empty() { "<none>".to_owned() } else { joined(roles.into_iter()) };
    let address = |kind: &str| {
        let found = row.list("status.addresses").iter().find(|a| text(a, "type") == kind);
        Value::from(found.map_or("<none>", |a| text(a, "address")))
    };
    let info = |field: &str| row.or(&format!("status.nodeInfo.{field}"), "<unknown>");
    let mut kernel = info("kernelVersion");
    let arch = text(node, "status.nodeInfo.architecture");
    if !arch.is_empty() {
        kernel = format!("{} ({arch})", kernel.as_str().unwrap_or_default()).into();
    }
    vec![
        row.name(),
        status.join(",").into(),
        roles.into(),
        row.age(),
        row.text("status.nodeInfo.kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        info("osImage"),
        kernel,
        info("containerRuntimeVersion"),
    ]
}

fn balancer(object: &Value) -> Vec<String> {
    let all: BTreeSet<&str> = list(object, "status.loadBalancer.ingress")
        .iter()
        .map(|i| if text(i, "ip").is_empty() { text(i, "hostname") } else { text(i, "ip") })
        .filter(|a| !a.is_empty())
        .collect();
    all.into_iter().map(str::to_owned).collect()
}

fn words(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn service(row: Row<'_>) -> Vec<Value> {
    let service = row.object;
    let fixed = words(row.list("spec.externalIPs"));
    let external = match text(service, "spec.type") {
        "ClusterIP" | "NodePort" => some_of(&fixed, usize::MAX, "<none>"),
        "LoadBalancer" => some_of(&[balancer(service), fixed].concat(), usize::MAX, "<pending>"),
        "ExternalName" => text(service, "spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    };
    let ports: Vec<String> = row
        .list("spec.ports")
        .iter()
        .map(|p| {
            let (port, protocol) = (int(p, "port").unwrap_or(0), text(p, "protocol"));
            match int(p, "nodePort").unwrap_or(0) {
                0 => format!("{port}/{protocol}"),
                node => format!("{port}:{node}/{protocol}"),
            }
        })
        .collect();
    let own = row.list("spec.clusterIPs").first().and_then(Value::as_str).unwrap_or("<none>");
    vec![
        row.name(),
        row.text("spec.type"),
        own.into(),
        external.into(),
        some_of(&ports, usize::MAX, "<none>").into(),
        row.age(),
        row.labels("spec.selector"),
    ]
}

fn endpoints(row: Row<'_>) -> String {
    let mut all = Vec::new();
    for subset in row.list("subsets") {
        let addresses = list(subset, "addresses").iter().map(|a| text(a, "ip"));
        let ports: Vec<i64> = list(subset, "ports").iter().filter_map(|p| int(p, "port")).collect();
        if ports.is_empty() {
            all.extend(addresses.clone().map(str::to_owned));
        }
        for port in ports {
            all.extend(addresses.clone().map(|ip| format!("{ip}:{port}")));
        }
    }
    // Subsets without ready addresses leave the cell empty.
    some_of(&all, 3, if row.list("subsets").is_empty() { "<none>" } else { "" })
}

fn slice(row: Row<'_>) -> Vec<Value> {
    let ports: Vec<String> = row
        .list("ports")
        .iter()
        .map(|p| {
            let name = Some(text(p, "name")).filter(|n| !n.is_empty());
            int(p, "port").map_or_else(|| name.unwrap_or("*").to_owned(), |n| n.to_string())
        })
        .collect();
    let all: Vec<String> = row.list("endpoints").iter().flat_map(|e| words(list(e, "addresses"))).collect();
    vec![
        row.name(),
        row.text("addressType"),
        some_of(&ports, 3, "<unset>").into(),
        some_of(&all, 3, "<unset>").into(),
        row.age(),
    ]
}

fn ingress(row: Row<'_>) -> Vec<Value> {
    let rules = row.list("spec.rules");
    let hosts: Vec<String> =
        rules.iter().map(|r| text(r, "host")).filter(|h| !h.is_empty()).map(str::to_owned).collect();
    vec![
        row.name(),
        row.or("spec.ingressClassName", "<none>"),
        some_of(&hosts, 3, "*").into(),
        balancer(row.object).join(",").into(),
        if row.list("spec.tls").is_empty() { "80" } else { "80, 443" }.into(),
        row.age(),
    ]
}

fn default_class(row: Row<'_>, annotation: &str) -> Value {
    let name = text(row.object, "metadata.name");
    let default = strings(row.object, "metadata.annotations").get(annotation).is_some_and(|v| v == "true");
    if default { format!("{name} (default)").into() } else { name.into() }
}

fn ingress_class(row: Row<'_>) -> Vec<Value> {
    let parameters = at(row.object, "spec.parameters").map_or_else(
        || "<none>".to_owned(),
        |p| {
            let group = Some(text(p, "apiGroup")).filter(|g| !g.is_empty());
            let group = group.map_or(String::new(), |g| format!(".{g}"));
            format!("{}{group}/{}", text(p, "kind"), text(p, "name"))
        },
    );
    let name = default_class(row, "ingressclass.kubernetes.io/is-default-class");
    vec![name, row.text("spec.controller"), parameters.into(), row.age()]
}

/// `RWO,ROX,RWX,RWOP`, each once and in this order.
fn modes(values: &[Value]) -> String {
    const MODES: [(&str, &str); 4] =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    joined(MODES.iter().filter(|(long, _)| values.iter().any(|v| v == long)).map(|(_, short)| *short))
}

fn volume(row: Row<'_>) -> Vec<Value> {
    let object = row.object;
    let going = at(object, "metadata.deletionTimestamp").is_some();
    let claim = at(object, "spec.claimRef").map(|c| format!("{}/{}", text(c, "namespace"), text(c, "name")));
    vec![
        row.name(),
        row.or("spec.capacity.storage", "0"),
        modes(row.list("spec.accessModes")).into(),
        row.text("spec.persistentVolumeReclaimPolicy"),
        if going { "Terminating".into() } else { row.text("status.phase") },
        claim.unwrap_or_default().into(),
        row.text("spec.storageClassName"),
        row.or("spec.volumeAttributesClassName", "<unset>"),
        row.text("status.reason"),
        row.age(),
        row.or("spec.volumeMode", "<unset>"),
    ]
}

fn claim(row: Row<'_>) -> Vec<Value> {
    let object = row.object;
    let going = at(object, "metadata.deletionTimestamp").is_some();
    let bound = !text(object, "spec.volumeName").is_empty();
    vec![
        row.name(),
        if going { "Terminating".into() } else { row.text("status.phase") },
        row.text("spec.volumeName"),
        if bound { row.or("status.capacity.storage", "0") } else { "".into() },
        if bound { modes(row.list("status.accessModes")) } else { String::new() }.into(),
        row.text("spec.storageClassName"),
        row.or("spec.volumeAttributesClassName", "<unset>"),
        row.age(),
        row.or("spec.volumeMode", "<unset>"),
    ]
}

fn quota(object: &Value) -> [String; 2] {
    let (hard, used) = (strings(object, "status.hard"), strings(object, "status.used"));
    let side = |limits: bool| {
        let all: Vec<String> = hard
            .iter()
            .filter(|(name, _)| name.starts_with("limits.") == limits)
            .map(|(name, hard)| format!("{name}: {}/{hard}", used.get(name).map_or("0", String::as_str)))
            .collect();
        all.join(", ")
    };
    [side(false), side(true)]
}

fn binding(row: Row<'_>) -> Vec<Value> {
    let of = |kind: &str| {
        let all: Vec<String> = row
            .list("subjects")
            .iter()
            .filter(|s| text(s, "kind") == kind)
            .map(|s| match text(s, "namespace") {
                ns if kind == "ServiceAccount" => format!("{ns}/{}", text(s, "name")),
                _ => text(s, "name").to_owned(),
            })
            .collect();
        Value::from(all.join(", "))
    };
    let role = format!("{}/{}", text(row.object, "roleRef.kind"), text(row.object, "roleRef.name"));
    vec![row.name(), role.into(), row.age(), of("User"), of("Group"), of("ServiceAccount")]
}

fn event(row: Row<'_>) -> Vec<Value> {
    let event = row.object;
    let has = |path: &str| at(event, path).is_some();
    let first = if has("firstTimestamp") { row.since("firstTimestamp") } else { row.since("eventTime") };
    let mut last = if has("lastTimestamp") { row.since("lastTimestamp") } else { first.clone() };
    let mut count = int(event, "count").filter(|c| *c != 0).unwrap_or(1);
    if has("series") {
        last = row.since("series.lastObservedTime");
        count = int(event, "series.count").unwrap_or(0);
    }
    let kind = text(event, "involvedObject.kind").to_lowercase();
    let name = text(event, "involvedObject.name");
    let either = |a: &str, b: &str| row.or(a, text(event, b)).as_str().unwrap_or_default().to_owned();
    let source = either("source.component", "reportingComponent");
    let host = either("source.host", "reportingInstance");
    vec![
        last,
        row.text("type"),
        row.text("reason"),
        if name.is_empty() { kind } else { format!("{kind}/{name}") }.into(),
        row.text("involvedObject.fieldPath"),
        if host.is_empty() { source } else { format!("{source}, {host}") }.into(),
        text(event, "message").trim().into(),
        first,
        count.into(),
        row.name(),
    ]
}
