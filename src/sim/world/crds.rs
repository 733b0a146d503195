//! CustomResourceDefinitions of common add-ons, made from the rows of `objects/crds.yaml`. Their schemas keep whatever is
//! stored: the operators behind them are not simulated, their objects only exist.

use crate::model::time::Timestamp;
use crate::sim::clock::rfc3339;
use crate::sim::object::set;
use serde::Deserialize;
use serde_json::{Value, json};

/// A kind of an add-on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    group: String,
    /// The stored one first.
    versions: Vec<String>,
    kind: String,
    plural: String,
    #[serde(default)]
    short: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    /// Has the status subresource.
    #[serde(default)]
    status: bool,
    /// Name, type, JSONPath, and the priority if it is not 0.
    #[serde(default)]
    columns: Vec<Vec<Value>>,
    /// `api-approved.kubernetes.io`, which groups below k8s.io must have.
    approved: Option<String>,
}

/// All definitions, established since `born`.
pub fn all(born: Timestamp) -> Vec<Value> {
    let rows: Vec<Row> = serde_saphyr::from_str(include_str!("objects/crds.yaml")).expect("our own rows parse: tested");
    rows.iter().map(|row| definition(row, &rfc3339(born))).collect()
}

fn definition(row: &Row, born: &str) -> Value {
    let names = json!({
        "plural": row.plural, "singular": row.kind.to_lowercase(), "shortNames": row.short, "kind": row.kind,
        "listKind": format!("{}List", row.kind), "categories": row.categories,
    });
    let names: Value = names.as_object().map_or(Value::Null, |m| {
        m.iter().filter(|(_, v)| v != &&json!([])).map(|(k, v)| (k.clone(), v.clone())).collect()
    });
    let versions: Vec<Value> = row.versions.iter().enumerate().map(|(i, v)| version(row, v, i == 0)).collect();
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "lastTransitionTime": born, "reason": reason, "message": message});
    let mut crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{}.{}", row.plural, row.group), "creationTimestamp": born, "generation": 1,
        },
        "spec": {
            "group": row.group, "names": names, "scope": "Namespaced", "versions": versions,
            "conversion": {"strategy": "None"},
        },
        "status": {
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            "acceptedNames": names, "storedVersions": [row.versions[0]],
        },
    });
    if let Some(link) = &row.approved {
        set(&mut crd, "metadata.annotations", json!({"api-approved.kubernetes.io": link}));
    }
    crd
}

fn version(row: &Row, name: &str, stored: bool) -> Value {
    let columns: Vec<Value> = row
        .columns
        .iter()
        .map(|c| {
            let mut column = json!({"name": c[0], "type": c[1], "jsonPath": c[2]});
            if let Some(priority) = c.get(3) {
                set(&mut column, "priority", priority.clone());
            }
            column
        })
        .collect();
    let mut version = json!({
        "name": name, "served": true, "storage": stored,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    });
    if row.status {
        set(&mut version, "subresources", json!({"status": {}}));
    }
    if !columns.is_empty() {
        set(&mut version, "additionalPrinterColumns", columns);
    }
    version
}
