//! Custom kinds and their types, from their CustomResourceDefinition.

use super::tree::{Shape, Type, any};
use crate::sim::object::{at, list, text};
use crate::sim::resource::Resource;
use serde_json::Value;

/// The type of a version of a custom kind. apiVersion, kind and metadata are known whatever the definition says; without
/// a schema everything else is kept as it comes.
pub fn custom_type(definition: &Value, version: &str) -> Type {
    let schema = schema_of(definition, version);
    let mut made = schema.map_or_else(|| any().clone(), |s| Type::of(s, text(definition, "spec.names.kind")));
    made.add_field("apiVersion", Type::plain(Shape::Text));
    made.add_field("kind", Type::plain(Shape::Text));
    let metadata = Shape::Ref("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta".into());
    made.add_field("metadata", Type::plain(metadata));
    made
}

/// The kind a CustomResourceDefinition defines; `None` if it lacks a name or a served version.
pub fn custom_kind(crd: &Value) -> Option<Resource> {
    let words =
        |path: &str| -> Vec<String> { list(crd, path).iter().filter_map(Value::as_str).map(str::to_owned).collect() };
    let mut versions: Vec<&Value> = list(crd, "spec.versions").iter().filter(|v| v["served"] == true).collect();
    versions.sort_by_key(|v| v["storage"] != true);
    let kind = text(crd, "spec.names.kind").to_owned();
    let singular = text(crd, "spec.names.singular");
    let resource = Resource {
        group: text(crd, "spec.group").to_owned(),
        plural: text(crd, "spec.names.plural").to_owned(),
        singular: if singular.is_empty() { kind.to_lowercase() } else { singular.to_owned() },
        short: words("spec.names.shortNames"),
        categories: words("spec.names.categories"),
        namespaced: text(crd, "spec.scope") == "Namespaced",
        subresources: ["status", "scale"]
            .into_iter()
            .filter(|s| versions.first().is_some_and(|v| at(v, "subresources").is_some_and(|o| o.get(s).is_some())))
            .map(str::to_owned)
            .collect(),
        versions: versions.iter().map(|v| text(v, "name").to_owned()).collect(),
        generation: true,
        custom: true,
        kind,
    };
    (!resource.plural.is_empty() && !resource.kind.is_empty() && !resource.versions.is_empty()).then_some(resource)
}

/// The OpenAPI schema of a version, if the definition gives one.
pub(super) fn schema_of<'a>(definition: &'a Value, version: &str) -> Option<&'a Value> {
    let found = list(definition, "spec.versions").iter().find(|v| text(v, "name") == version)?;
    found.pointer("/schema/openAPIV3Schema").filter(|s| s.is_object())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_definition_says_what_is_known() {
        let closed = json!({"spec": {"names": {"kind": "Widget"}, "versions": [{"name": "v1", "schema": {"openAPIV3Schema":
            {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}});
        let widget = custom_type(&closed, "v1");
        assert!(matches!(widget.field("spec").unwrap().field("size").unwrap().shape(), Shape::Int));
        assert!(widget.field("spec").unwrap().field("other").is_none());
        assert!(widget.field("metadata").unwrap().field("labels").is_some());
        let open = json!({"spec": {"names": {"kind": "Widget"}, "versions": [{"name": "v1"}]}});
        assert!(matches!(custom_type(&open, "v1").shape(), Shape::Struct { open: true, .. }));
    }
}
