//! Metadata: names, labels, annotations, owners.

use super::{Errors, names};
use crate::sim::object::{at, list, text};
use crate::sim::resource::Resource;
use serde_json::Value;

/// The most all annotations may take together.
const MOST_ANNOTATIONS: usize = 256 * 1024;

/// Validates the metadata of an object of a kind.
pub fn validate(kind: &Resource, object: &Value, errors: &mut Errors) {
    let name = text(object, "metadata.name");
    let generated = text(object, "metadata.generateName");
    let check = by_kind(kind);
    if !generated.is_empty() {
        errors.names("metadata.generateName", generated, check(generated.trim_end_matches('-')));
    }
    if name.is_empty() && generated.is_empty() {
        errors.required("metadata.name", "name or generateName is required");
    } else if !name.is_empty() {
        errors.names("metadata.name", name, check(name));
    }
    labels(object, "metadata.labels", errors);
    if let Some(Value::Object(all)) = at(object, "metadata.annotations") {
        let mut total = 0;
        for (key, value) in all {
            errors.names("metadata.annotations", key, names::qualified(&key.to_lowercase()));
            total += key.len() + value.as_str().map_or(0, str::len);
        }
        if total > MOST_ANNOTATIONS {
            errors.too_long("metadata.annotations", MOST_ANNOTATIONS);
        }
    }
    for owner in list(object, "metadata.ownerReferences") {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                let why = if field == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                errors.invalid(&format!("metadata.ownerReferences.{field}"), &"".into(), why);
            }
        }
    }
    for finalizer in list(object, "metadata.finalizers").iter().filter_map(Value::as_str) {
        errors.names("metadata.finalizers", finalizer, names::qualified(finalizer));
    }
}

/// Validates the labels at `path`.
pub fn labels(object: &Value, path: &str, errors: &mut Errors) {
    labels_as(at(object, path), path, errors);
}

/// Validates labels that are said to be at `path`.
pub fn labels_as(labels: Option<&Value>, path: &str, errors: &mut Errors) {
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        errors.names(path, key, names::qualified(key));
        let value = value.as_str().unwrap_or_default();
        errors.names(path, value, names::value(value));
    }
}

/// What a name of this kind has to look like.
fn by_kind(kind: &Resource) -> fn(&str) -> Vec<String> {
    match kind.plural.as_str() {
        "namespaces" | "services" => names::label,
        "roles" | "rolebindings" | "clusterroles" | "clusterrolebindings" => names::segment,
        _ => names::subdomain,
    }
}

/// What no update changes.
pub fn unchanged(before: &Value, object: &Value, errors: &mut Errors) {
    for field in ["metadata.uid", "metadata.creationTimestamp"] {
        if let (Some(old), Some(new)) = (at(before, field), at(object, field))
            && old != new
        {
            errors.invalid(field, new, "field is immutable");
        }
    }
}
