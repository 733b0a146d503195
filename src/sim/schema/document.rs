//! The OpenAPI v3 documents that kubectl explains, validates and applies by: the schemas a group's kinds reach, and for
//! each kind the paths that tell kubectl its kind, the patches it takes, and that it knows `fieldValidation`.

use super::{custom, schemas};
use crate::sim::resource::Resource;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The document of a group and version (`""`, `v1` for the core), for the kinds of that group that are served now;
/// `definitions` are the CustomResourceDefinitions. `None` if no kind is served in it.
pub fn document(group: &str, version: &str, kinds: &[&Resource], definitions: &[Value]) -> Option<Value> {
    let all = schemas();
    let served: Vec<&&Resource> =
        kinds.iter().filter(|k| k.group == group && k.versions.iter().any(|v| v == version)).collect();
    if served.is_empty() {
        return None;
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let roots = all.roots.get(&group_version).and_then(Value::as_array);
    let mut reached = BTreeSet::new();
    for name in roots.into_iter().flatten().filter_map(Value::as_str) {
        reach(name, &mut reached);
    }
    let mut components: Map<String, Value> =
        reached.iter().filter_map(|n| Some((n.clone(), all.raw.get(n)?.clone()))).collect();
    for kind in served.iter().filter(|k| k.custom) {
        reach(OBJECT_META, &mut reached);
        let definition = definitions.iter().find(|d| crate::sim::object::text(d, "metadata.name") == kind.key());
        components.insert(custom_name(kind, version), custom_schema(kind, version, definition));
        for name in &reached {
            if let Some(schema) = all.raw.get(name) {
                components.insert(name.clone(), schema.clone());
            }
        }
    }
    let base = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let mut paths = Map::new();
    for kind in served {
        add_paths(&mut paths, &base, kind, version);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": all.version},
        "paths": paths,
        "components": {"schemas": components},
    }))
}

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The schema and all that it refers to.
fn reach(name: &str, reached: &mut BTreeSet<String>) {
    let mut todo = vec![name.to_owned()];
    while let Some(name) = todo.pop() {
        let Some(schema) = schemas().raw.get(&name) else { continue };
        if reached.insert(name) {
            references(schema, &mut todo);
        }
    }
}

fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(name)) = map.get("$ref") {
                found.push(name.trim_start_matches("#/components/schemas/").to_owned());
            }
            map.values().for_each(|v| references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

/// `com.example.v1.Widget`, as the API server names the schemas of custom kinds.
fn custom_name(kind: &Resource, version: &str) -> String {
    let reversed: Vec<&str> = kind.group.rsplit('.').collect();
    format!("{}.{version}.{}", reversed.join("."), kind.kind)
}

fn custom_schema(kind: &Resource, version: &str, definition: Option<&Value>) -> Value {
    let mut schema = definition
        .and_then(|d| custom::schema_of(d, version))
        .cloned()
        .unwrap_or_else(|| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    schema["x-kubernetes-group-version-kind"] = json!([gvk(kind, version)]);
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = json!({"allOf": [{"$ref": format!("#/components/schemas/{OBJECT_META}")}]});
    schema
}

fn gvk(kind: &Resource, version: &str) -> Value {
    json!({"group": kind.group, "kind": kind.kind, "version": version})
}

fn add_paths(paths: &mut Map<String, Value>, base: &str, kind: &Resource, version: &str) {
    let place = if kind.namespaced { format!("{base}/namespaces/{{namespace}}") } else { base.to_owned() };
    let collection = format!("{place}/{}", kind.plural);
    let action =
        |name: &str| json!({"x-kubernetes-action": name, "x-kubernetes-group-version-kind": gvk(kind, version)});
    let writing = |name: &str| {
        let mut made = action(name);
        let parameters = ["dryRun", "fieldManager", "fieldValidation"];
        made["parameters"] =
            parameters.iter().map(|p| json!({"name": p, "in": "query", "schema": {"type": "string"}})).collect();
        made
    };
    let mut patch = writing("patch");
    let mut content = Map::new();
    let strategic = (!kind.custom).then_some("application/strategic-merge-patch+json");
    for media in ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"]
        .into_iter()
        .chain(strategic)
    {
        content.insert(media.to_owned(), json!({"schema": {"type": "object"}}));
    }
    patch["requestBody"] = json!({"content": content, "required": true});
    if kind.namespaced {
        paths.insert(format!("{base}/{}", kind.plural), json!({"get": action("list")}));
    }
    let item = format!("{collection}/{{name}}");
    paths.insert(collection, json!({"get": action("list"), "post": writing("post")}));
    let one = json!({"get": action("get"), "put": writing("put"), "patch": patch, "delete": action("delete")});
    paths.insert(item, one);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::resource::Registry;

    #[test]
    fn a_document_is_closed_under_references_and_has_the_paths_kubectl_looks_for() {
        let kinds = Registry::default().all();
        let kinds: Vec<&Resource> = kinds.iter().map(AsRef::as_ref).collect();
        let apps = document("apps", "v1", &kinds, &[]).unwrap();
        let mut all = Vec::new();
        references(&apps, &mut all);
        assert!(all.len() > 100);
        assert!(all.iter().all(|n| apps["components"]["schemas"].get(n).is_some()));
        let one = &apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
        assert_eq!(one["patch"]["x-kubernetes-group-version-kind"]["kind"], "Deployment");
        assert!(document("apps", "v1beta1", &kinds, &[]).is_none());
    }
}
