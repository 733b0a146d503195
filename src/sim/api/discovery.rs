//! What is served: `/api`, `/apis` and below, plain and aggregated. The built-in kinds as the real server of 1.36 lists
//! them (captured), as far as they are served here; custom kinds from the registry.

use super::path::Place;
use super::view::api_version;
use crate::sim::resource::{Registry, Resource};
use crate::sim::status::Status;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// APIResources by group and version, as captured.
static CAPTURED: LazyLock<BTreeMap<String, Vec<Value>>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("discovery.json")).expect("the packed discovery is JSON; a test reads it")
});

/// Groups in the real server's order (by priority); custom ones follow.
const ORDER: [&str; 14] = [
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
];

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The versions of a group, preferred first; empty if it is not served.
pub fn versions(registry: &Registry, group: &str) -> Vec<String> {
    match group {
        "metrics.k8s.io" => return vec!["v1beta1".into()],
        "authentication.k8s.io" | "authorization.k8s.io" => return vec!["v1".into()],
        _ => {}
    }
    let mut all: Vec<String> = Vec::new();
    for kind in registry.all().iter().filter(|k| k.group == group) {
        let new: Vec<String> = kind.versions.iter().filter(|v| !all.contains(v)).cloned().collect();
        all.extend(new);
    }
    all
}

fn groups(registry: &Registry) -> Vec<String> {
    let mut all: Vec<String> = ORDER.iter().map(|g| (*g).to_owned()).collect();
    for kind in registry.all() {
        if !kind.group.is_empty() && !all.contains(&kind.group) {
            all.push(kind.group.clone());
        }
    }
    all.push("metrics.k8s.io".into());
    all
}

/// APIResources of a group and version.
pub fn resources(registry: &Registry, group: &str, version: &str) -> Vec<Value> {
    if group == "metrics.k8s.io" {
        return ["nodes", "pods"]
            .iter()
            .map(|n| {
                let kind = if *n == "nodes" { "NodeMetrics" } else { "PodMetrics" };
                json!({"name": n, "singularName": "", "namespaced": *n == "pods", "kind": kind, "verbs": ["get", "list"]})
            })
            .collect();
    }
    let mut all = CAPTURED.get(&api_version(group, version)).cloned().unwrap_or_default();
    for kind in registry.all() {
        if kind.custom && kind.group == group && kind.versions.iter().any(|v| v == version) {
            all.extend(custom(&kind, version));
        }
    }
    all
}

fn custom(kind: &Resource, version: &str) -> Vec<Value> {
    let mut main = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
        "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
    });
    for (field, words) in [("shortNames", &kind.short), ("categories", &kind.categories)] {
        if !words.is_empty() {
            main[field] = words.clone().into();
        }
    }
    let sub = |name: &String| {
        let mut one = json!({"name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": ["get", "patch", "update"]});
        if name == "scale" {
            one["group"] = "autoscaling".into();
            one["version"] = "v1".into();
            one["kind"] = "Scale".into();
        } else {
            one["group"] = kind.group.as_str().into();
            one["version"] = version.into();
        }
        one
    };
    std::iter::once(main).chain(kind.subresources.iter().map(sub)).collect()
}

fn group_body(group: &str, versions: &[String]) -> Value {
    let all: Vec<Value> =
        versions.iter().map(|v| json!({"groupVersion": api_version(group, v), "version": v})).collect();
    json!({"name": group, "versions": all, "preferredVersion": all[0]})
}

/// `/api`.
pub fn core(address: &str) -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]})
}

/// `/apis`.
pub fn all(registry: &Registry) -> Value {
    let groups: Vec<Value> = groups(registry).iter().map(|g| group_body(g, &versions(registry, g))).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`, `/apis/GROUP/VERSION`, `/api/VERSION`.
pub fn below(registry: &Registry, group: &str, version: Option<&str>) -> Result<Value, Status> {
    let served = versions(registry, group);
    match version {
        _ if served.is_empty() => Err(not_found()),
        None => {
            let mut body = json!({"kind": "APIGroup", "apiVersion": "v1"});
            if let (Value::Object(body), Value::Object(more)) = (&mut body, group_body(group, &served)) {
                body.extend(more);
            }
            Ok(body)
        }
        Some(version) if served.iter().any(|v| v == version) => {
            let mut body = json!({"kind": "APIResourceList"});
            if !group.is_empty() {
                body["apiVersion"] = "v1".into();
            }
            body["groupVersion"] = api_version(group, version).into();
            body["resources"] = resources(registry, group, version).into();
            Ok(body)
        }
        Some(_) => Err(not_found()),
    }
}

/// 404 for a path that names nothing.
pub fn not_found() -> Status {
    Status::new(404, "NotFound", "the server could not find the requested resource").with(json!({}))
}

/// `APIGroupDiscoveryList` of the core group, or of all others.
pub fn aggregated(registry: &Registry, core: bool, form: &str) -> Value {
    let names = if core { vec![String::new()] } else { groups(registry) };
    let items: Vec<Value> = names
        .iter()
        .map(|group| {
            let versions: Vec<Value> = versions(registry, group)
                .iter()
                .map(|version| {
                    let kinds = nested(resources(registry, group, version), group, version);
                    json!({"version": version, "resources": kinds, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{form}"), "metadata": {}, "items": items})
}

/// APIResources with their subresources inside, as the aggregated form has them.
fn nested(resources: Vec<Value>, group: &str, version: &str) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for one in resources {
        let name = one["name"].as_str().unwrap_or_default();
        let field = |key: &str, default: &str| one.get(key).and_then(Value::as_str).unwrap_or(default).to_owned();
        let kind = json!({"group": field("group", group), "version": field("version", version), "kind": one["kind"]});
        if let Some((parent, sub)) = name.split_once('/') {
            let Some(parent) = all.iter_mut().find(|p| p["resource"] == parent) else { continue };
            if parent.get("subresources").is_none() {
                parent["subresources"] = json!([]);
            }
            if let Some(list) = parent["subresources"].as_array_mut() {
                list.push(json!({"subresource": sub, "responseKind": kind, "verbs": one["verbs"]}));
            }
            continue;
        }
        let scope = if one["namespaced"] == true { "Namespaced" } else { "Cluster" };
        let mut item = json!({"resource": name, "responseKind": kind, "scope": scope,
            "singularResource": one["singularName"], "verbs": one["verbs"]});
        for key in ["shortNames", "categories"] {
            if let Some(words) = one.get(key) {
                item[key] = words.clone();
            }
        }
        all.push(item);
    }
    all
}

/// Whether a subresource is served at all.
pub fn serves_any(registry: &Registry, kind: &Resource, place: &Place) -> bool {
    let name = place.resource();
    kind.custom && kind.has(&place.subresource)
        || resources(registry, &kind.group, &place.version).iter().any(|r| r["name"] == name.as_str())
}

/// Whether a verb is among those a kind (or subresource) is served with.
pub fn serves(registry: &Registry, kind: &Resource, version: &str, subresource: &str, verb: &str) -> bool {
    if kind.custom {
        return if subresource.is_empty() {
            VERBS.contains(&verb)
        } else {
            kind.has(subresource) && ["get", "patch", "update"].contains(&verb)
        };
    }
    let name = if subresource.is_empty() { kind.plural.clone() } else { format!("{}/{subresource}", kind.plural) };
    resources(registry, &kind.group, version)
        .iter()
        .find(|r| r["name"] == name.as_str())
        .is_some_and(|r| r["verbs"].as_array().is_some_and(|v| v.iter().any(|v| v == verb)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_kind_is_discovered_and_only_those() {
        let registry = Registry::default();
        for kind in registry.all() {
            for version in &kind.versions {
                assert!(serves(&registry, &kind, version, "", "list"), "{}", kind.key());
            }
        }
        let tree = aggregated(&registry, false, "v2");
        let apps = tree["items"].as_array().unwrap().iter().find(|i| i["metadata"]["name"] == "apps").unwrap();
        let kinds = apps["versions"][0]["resources"].as_array().unwrap();
        let deployments = kinds.iter().find(|r| r["resource"] == "deployments").unwrap();
        assert_eq!(deployments["subresources"][0]["responseKind"]["kind"], "Scale");
        assert!(below(&registry, "nonsense.io", None).is_err());
    }
}
