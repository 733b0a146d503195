//! Endpoints and EndpointSlices of Services (pkg/controller/endpoint, k8s.io/endpointslice).

use super::Controller;
use super::context::{Context, id_of, reference};
use super::queue::{Id, Queue};
use super::world::{Pod, Seen, World};
use crate::model::time::Timestamp;
use crate::sim::object::{at, list, set, strings, text, yes};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const SERVICES: &str = "services";
const SLICES: &str = "endpointslices.discovery.k8s.io";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const SLICE_MANAGER: &str = "endpointslice.kubernetes.io/managed-by";
const SLICE_CONTROLLER: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";
/// Endpoints in a slice (`--max-endpoints-per-slice`).
const SLICE: usize = 100;

/// Remembers what Services select.
#[derive(Default)]
pub struct Endpoints {
    selectors: BTreeMap<(String, String), BTreeMap<String, String>>,
}

impl Controller for Endpoints {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        let object = seen.object();
        match seen.key() {
            SERVICES => {
                let at = (object.namespace.clone(), object.name.clone());
                let selector = if seen.gone() { BTreeMap::new() } else { strings(&object.shared(), "spec.selector") };
                if selector.is_empty() {
                    self.selectors.remove(&at);
                } else {
                    self.selectors.insert(at, selector);
                }
                queue.add(seen.id());
            }
            SLICES | "endpoints" => {
                let service = object.labels.get(SERVICE_NAME).unwrap_or(&object.name);
                if self.selectors.contains_key(&(object.namespace.clone(), service.clone())) {
                    queue.add(Id::new(SERVICES, &object.namespace, service));
                }
            }
            "pods" => {
                let before = seen.pod_before.as_ref();
                let from = (object.namespace.clone(), String::new());
                for ((ns, name), selector) in self.selectors.range(from..) {
                    if *ns != object.namespace {
                        break;
                    }
                    let selected =
                        |labels: &BTreeMap<String, String>| selector.iter().all(|(k, v)| labels.get(k) == Some(v));
                    if selected(&object.labels) || before.is_some_and(|b| selected(&b.stored.labels)) {
                        queue.add(Id::new(SERVICES, ns, name));
                    }
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let Some(service) = cx.get(id) else {
            // The slices go with their owner; Endpoints have none, and the controller deletes them itself.
            let managed = cx.store.get("endpoints", &id.namespace, &id.name);
            if let Some(e) = managed.filter(|e| e.labels.contains_key("endpoints.kubernetes.io/managed-by")) {
                cx.delete(&Id::of(&e), &e.uid);
            }
            return None;
        };
        let selector = strings(&service, "spec.selector");
        if selector.is_empty() || text(&service, "spec.type") == "ExternalName" {
            return None;
        }
        let pods: Vec<&Pod> = cx
            .world
            .pods_in(&id.namespace)
            .filter(|p| !p.ended() && !p.ip.is_empty())
            .filter(|p| selector.iter().all(|(k, v)| p.stored.labels.get(k) == Some(v)))
            .collect();
        let groups = by_ports(&service, &pods);
        write_slices(cx, id, &service, &groups);
        write_endpoints(cx, id, &service, &groups);
        None
    }
}

/// Pods by the ports they serve; ports as the slice has them.
type Groups<'a> = Vec<(Vec<Value>, Vec<&'a Pod>)>;

/// Groups pods by ports: a named target port may have another number in each pod.
fn by_ports<'a>(service: &Value, pods: &[&'a Pod]) -> Groups<'a> {
    let mut groups: Groups<'a> = Vec::new();
    let named = list(service, "spec.ports").iter().any(|p| at(p, "targetPort").is_some_and(Value::is_string));
    for pod in pods {
        let body = named.then(|| pod.stored.shared());
        let body = body.as_deref().unwrap_or(&Value::Null);
        let ports: Vec<Value> = list(service, "spec.ports")
            .iter()
            .filter_map(|p| {
                let mut port = json!({"name": text(p, "name"), "port": target(p, body)?, "protocol": protocol(p)});
                if let Some(v) = at(p, "appProtocol") {
                    set(&mut port, "appProtocol", v.clone());
                }
                Some(port)
            })
            .collect();
        match groups.iter_mut().find(|(p, _)| *p == ports) {
            Some((_, members)) => members.push(pod),
            None => groups.push((ports, vec![pod])),
        }
    }
    groups
}

fn protocol(port: &Value) -> &str {
    match text(port, "protocol") {
        "" => "TCP",
        p => p,
    }
}

/// The number of a Service's target port in a pod (FindPort).
fn target(port: &Value, pod: &Value) -> Option<i64> {
    match at(port, "targetPort") {
        Some(Value::String(name)) => list(pod, "spec.containers")
            .iter()
            .chain(list(pod, "spec.initContainers").iter().filter(|c| text(c, "restartPolicy") == "Always"))
            .flat_map(|c| list(c, "ports"))
            .find(|p| text(p, "name") == name && protocol(p) == protocol(port))
            .and_then(|p| p.get("containerPort")?.as_i64()),
        Some(Value::Number(n)) if n.as_i64() != Some(0) => n.as_i64(),
        _ => port.get("port").and_then(Value::as_i64),
    }
}

fn target_ref(pod: &Pod) -> Value {
    json!({"kind": "Pod", "namespace": pod.stored.namespace, "name": pod.stored.name, "uid": pod.stored.uid})
}

fn has_hostname(pod: &Pod, service: &Value) -> bool {
    !pod.hostname.is_empty() && pod.subdomain == text(service, "metadata.name")
}

fn endpoint(pod: &Pod, service: &Value, zones: &BTreeMap<String, String>) -> Value {
    let (serving, terminating) = (pod.ready.is_some(), pod.deleting);
    let ready = yes(service, "spec.publishNotReadyAddresses") || (serving && !terminating);
    let mut e = json!({
        "addresses": [pod.ip],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": target_ref(pod),
    });
    if has_hostname(pod, service) {
        set(&mut e, "hostname", pod.hostname.as_str());
    }
    if !pod.node.is_empty() {
        set(&mut e, "nodeName", pod.node.as_str());
        if let Some(zone) = zones.get(&pod.node) {
            set(&mut e, "zone", zone.as_str());
        }
    }
    e
}

fn is_headless(service: &Value) -> bool {
    matches!(text(service, "spec.clusterIP"), "None" | "")
}

fn labels(service: &Value, more: &[(&str, &str)]) -> Value {
    let mut all: Map<String, Value> =
        strings(service, "metadata.labels").into_iter().map(|(k, v)| (k, v.into())).collect();
    if is_headless(service) {
        all.insert(HEADLESS.into(), "".into());
    }
    for (k, v) in more {
        all.insert((*k).into(), (*v).into());
    }
    Value::Object(all)
}

/// Brings the slices in line, moving as few endpoints as possible (reconcile in k8s.io/endpointslice).
fn write_slices(cx: &Context<'_>, id: &Id, service: &Value, groups: &Groups<'_>) {
    let uid = text(service, "metadata.uid");
    let mut mine: Vec<Arc<Value>> = cx
        .world
        .dependents(uid)
        .filter(|d| &*d.key == SLICES)
        .filter_map(|d| cx.get(d))
        .filter(|s| at(s, "metadata.labels").and_then(|l| l.get(SLICE_MANAGER)?.as_str()) == Some(SLICE_CONTROLLER))
        .filter(|s| at(s, "metadata.deletionTimestamp").is_none())
        .collect();
    let wanted_labels = labels(service, &[(SERVICE_NAME, &id.name), (SLICE_MANAGER, SLICE_CONTROLLER)]);
    let zones = zones(cx, groups);
    let empty: Groups<'_> = vec![(Vec::new(), Vec::new())];
    let groups = if groups.is_empty() { &empty } else { groups };
    for (ports, members) in groups {
        let mut left: Vec<&Pod> = members.clone();
        // Slices of these ports; without any pod, whatever there is stands for "none".
        let (same, rest): (Vec<Arc<Value>>, Vec<Arc<Value>>) =
            mine.into_iter().partition(|s| list(s, "ports") == ports.as_slice() || members.is_empty());
        mine = rest;
        let mut kept: Vec<(Arc<Value>, Vec<Value>)> = Vec::new();
        for slice in same {
            let endpoints = list(&slice, "endpoints")
                .iter()
                .filter_map(|e| {
                    let i = left.iter().position(|p| p.stored.uid == text(e, "targetRef.uid"))?;
                    Some(endpoint(left.remove(i), service, &zones))
                })
                .collect();
            kept.push((slice, endpoints));
        }
        let mut left = left.into_iter().map(|p| endpoint(p, service, &zones));
        for (_, endpoints) in &mut kept {
            let room = SLICE.saturating_sub(endpoints.len());
            endpoints.extend(left.by_ref().take(room));
        }
        let mut standing = 0;
        let last = kept.len();
        for (i, (slice, endpoints)) in kept.into_iter().enumerate() {
            if endpoints.is_empty() && (standing > 0 || i + 1 < last || !members.is_empty()) {
                cx.delete(&id_of(SLICES, &slice), text(&slice, "metadata.uid"));
                continue;
            }
            standing += 1;
            update_slice(cx, &slice, &endpoints, ports, &wanted_labels);
        }
        let rest: Vec<Value> = left.collect();
        for endpoints in rest.chunks(SLICE) {
            create_slice(cx, service, endpoints, ports, &wanted_labels);
            standing += 1;
        }
        if standing == 0 {
            create_slice(cx, service, &[], ports, &wanted_labels);
        }
    }
    for slice in mine {
        cx.delete(&id_of(SLICES, &slice), text(&slice, "metadata.uid"));
    }
}

fn zones(cx: &Context<'_>, groups: &Groups<'_>) -> BTreeMap<String, String> {
    let mut zones = BTreeMap::new();
    for pod in groups.iter().flat_map(|(_, p)| p).filter(|p| !p.node.is_empty()) {
        if !zones.contains_key(&pod.node)
            && let Some(zone) =
                cx.store.get("nodes", "", &pod.node).and_then(|n| n.labels.get("topology.kubernetes.io/zone").cloned())
        {
            zones.insert(pod.node.clone(), zone);
        }
    }
    zones
}

fn update_slice(cx: &Context<'_>, slice: &Value, endpoints: &[Value], ports: &[Value], labels: &Value) {
    let same = list(slice, "endpoints") == endpoints
        && (endpoints.is_empty() || list(slice, "ports") == ports)
        && at(slice, "metadata.labels") == Some(labels);
    if same {
        return;
    }
    cx.update(&id_of(SLICES, slice), |v| {
        set(v, "endpoints", endpoints.to_vec());
        set(v, "ports", ports.to_vec());
        set(v, "metadata.labels", labels.clone());
        v["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"] = cx.time().into();
    });
}

fn create_slice(cx: &Context<'_>, service: &Value, endpoints: &[Value], ports: &[Value], labels: &Value) {
    let made = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{}-", text(service, "metadata.name")),
            "namespace": text(service, "metadata.namespace"),
            "labels": labels,
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": cx.time()},
            "ownerReferences": [reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    });
    // Refused only while the namespace is being emptied: then there is nothing to do.
    drop(cx.create(SLICES, made));
}

/// Brings Endpoints in line: one subset for each set of ports, sorted as RepackSubsets sorts.
fn write_endpoints(cx: &Context<'_>, id: &Id, service: &Value, groups: &Groups<'_>) {
    let all = yes(service, "spec.publishNotReadyAddresses");
    let mut subsets = Vec::new();
    for (ports, pods) in groups {
        let mut pods: Vec<&&Pod> = pods.iter().filter(|p| all || !p.deleting).collect();
        if pods.is_empty() || (ports.is_empty() && !is_headless(service)) {
            continue;
        }
        pods.sort_by(|a, b| (&a.ip, &a.stored.uid).cmp(&(&b.ip, &b.stored.uid)));
        let mut subset = json!({});
        for (field, ready) in [("addresses", true), ("notReadyAddresses", false)] {
            let addresses: Vec<Value> =
                pods.iter().filter(|p| (all || p.ready.is_some()) == ready).map(|p| address(p, service)).collect();
            if !addresses.is_empty() {
                set(&mut subset, field, addresses);
            }
        }
        if !ports.is_empty() {
            let mut ports = ports.clone();
            for p in &mut ports {
                if text(p, "name").is_empty() {
                    crate::sim::object::take(p, "name");
                }
            }
            set(&mut subset, "ports", ports);
        }
        subsets.push(subset);
    }
    let labels = labels(service, &[("endpoints.kubernetes.io/managed-by", "endpoint-controller")]);
    let target = Id::new("endpoints", &id.namespace, &id.name);
    if let Some(old) = cx.get(&target) {
        if list(&old, "subsets") == subsets && at(&old, "metadata.labels") == Some(&labels) {
            return;
        }
        cx.update(&target, |v| {
            set(v, "subsets", subsets);
            set(v, "metadata.labels", labels);
            v["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"] = cx.time().into();
        });
        return;
    }
    let made = json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": id.name,
            "namespace": id.namespace,
            "labels": labels,
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": cx.time()},
        },
        "subsets": subsets,
    });
    drop(cx.create("endpoints", made));
}

fn address(pod: &Pod, service: &Value) -> Value {
    let mut a = json!({"ip": pod.ip});
    if has_hostname(pod, service) {
        set(&mut a, "hostname", pod.hostname.as_str());
    }
    if !pod.node.is_empty() {
        set(&mut a, "nodeName", pod.node.as_str());
    }
    set(&mut a, "targetRef", target_ref(pod));
    a
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, deployment};
    use crate::sim::object::{at, list, set, text, yes};
    use serde_json::json;

    fn service() -> serde_json::Value {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"clusterIP": "10.96.0.9", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]},
        })
    }

    #[test]
    fn endpoints_follow_pods() {
        let mut world = World::shop();
        world.create("services", service());
        world.run(1.0);
        assert_eq!(world.list(super::SLICES).len(), 1, "a slice stands for none");
        world.create("deployments.apps", deployment(2, "web:1"));
        world.run(10.0);
        let slices = world.list(super::SLICES);
        assert_eq!(slices.len(), 1);
        let endpoints = list(&slices[0], "endpoints");
        assert_eq!(endpoints.len(), 2);
        assert!(endpoints.iter().all(|e| yes(e, "conditions.ready") && text(e, "zone") == "a"));
        assert_eq!(list(&slices[0], "ports")[0]["port"], 8080);
        let old = world.get("endpoints", "web");
        assert_eq!(list(&list(&old, "subsets")[0], "addresses").len(), 2);
        assert_eq!(world.writes(600.0), Vec::<String>::new());

        let name = text(&world.pods()[0], "metadata.name").to_owned();
        world.delete("pods", &name, "");
        world.run(0.5);
        let slices = world.list(super::SLICES);
        let going = list(&slices[0], "endpoints").iter().find(|e| text(e, "targetRef.name") == name).unwrap();
        assert!(
            !yes(going, "conditions.ready") && yes(going, "conditions.serving") && yes(going, "conditions.terminating")
        );
        world.run(10.0);
        world.edit("deployments.apps", "web", |d| set(d, "spec.replicas", 150));
        world.run(30.0);
        let sizes: Vec<usize> = world.list(super::SLICES).iter().map(|s| list(s, "endpoints").len()).collect();
        assert_eq!((sizes.len(), sizes.iter().sum::<usize>(), sizes.iter().max()), (2, 150, Some(&100)));
        world.edit("deployments.apps", "web", |d| set(d, "spec.replicas", 0));
        world.run(30.0);
        let slices = world.list(super::SLICES);
        assert_eq!((slices.len(), list(&slices[0], "endpoints").len()), (1, 0));
        assert!(at(&world.get("endpoints", "web"), "subsets").is_some_and(|s| s == &json!([])));
        world.delete("services", "web", "Background");
        world.run(1.0);
        assert!(world.find("endpoints", "web").is_none() && world.list(super::SLICES).is_empty());
    }
}
