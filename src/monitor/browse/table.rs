//! A list as the server's own Table (`meta.k8s.io/v1`): what `kubectl get` prints, for any kind.
//!
//! Of a Secret only the printed cells are asked for, never its metadata: annotations may repeat what is in it.

use super::get;
use crate::model::browse::{Ask, Column, Listed, Owner, Row};
use crate::model::object::Resource;
use crate::model::text::clean;
use crate::monitor::problem::{Problem, Trouble};
use chrono::{DateTime, Utc};
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Objects asked for at once.
const PAGE: usize = 500;

/// Most objects that are read; beyond them a namespace has to be chosen.
pub const MOST: usize = 5000;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// A Table, or the plain list that servers of other people's may give instead.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: Place,
    column_definitions: Option<Vec<Definition>>,
    rows: Option<Vec<Raw>>,
    items: Option<Vec<Partial>>,
}

#[derive(Deserialize, Default)]
struct Place {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Definition {
    name: String,
    #[serde(default, rename = "type")]
    of: String,
    #[serde(default)]
    priority: i32,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    cells: Vec<Value>,
    object: Option<Partial>,
}

#[derive(Deserialize, Default)]
struct Partial {
    #[serde(default)]
    metadata: Meta,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    name: String,
    namespace: Option<String>,
    creation_timestamp: Option<DateTime<Utc>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerReference {
    api_version: String,
    kind: String,
    name: String,
    #[serde(default)]
    controller: bool,
}

/// Whether a kind is the one that is never fetched.
pub fn secret(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "secrets"
}

/// Reads a list page by page, up to [`MOST`] objects.
///
/// # Errors
/// What the server said; for Secrets of all namespaces, that one must be chosen: their rows do not tell where they are.
pub async fn list(client: &Client, ask: &Ask) -> Result<Listed, Problem> {
    let sealed = secret(&ask.resource);
    if sealed && ask.namespace.is_none() {
        let why = "Secrets are listed by name only, one namespace at a time: choose a namespace".into();
        return Err(Problem { trouble: Trouble::Invalid, why });
    }
    // It becomes part of a path, and may have been typed.
    let odd = |n: &str| n.is_empty() || !n.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    if let Some(name) = ask.namespace.as_deref().filter(|n| odd(n)) {
        return Err(Problem { trouble: Trouble::Invalid, why: format!("{name:?} can be no namespace") });
    }
    // The plain form would hold whole objects: it is taken where no Table is made, but never of Secrets.
    let accept = if sealed { TABLE.to_owned() } else { format!("{TABLE},application/json") };
    let include = if sealed { "None" } else { "Metadata" };
    let base = ask.resource.path(ask.namespace.as_deref(), None);
    let mut all = Listed::default();
    let mut next = String::new();
    loop {
        let page: Answer = match get(client, &format!("{base}?{}", query(include, &next)), &accept).await {
            // The list changed too much while it was paged through: what was read is true, but not all.
            Err(p) if p.trouble == Trouble::Gone && !all.rows.is_empty() => {
                all.more = true;
                return Ok(all);
            }
            other => other?,
        };
        next = page.metadata.next.clone().unwrap_or_default();
        take(page, ask, &mut all)?;
        if next.is_empty() || all.rows.len() >= MOST {
            all.more = !next.is_empty();
            return Ok(all);
        }
    }
}

fn query(include: &str, next: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &PAGE.to_string()).append_pair("includeObject", include);
    if !next.is_empty() {
        query.append_pair("continue", next);
    }
    query.finish()
}

/// Adds a page.
fn take(page: Answer, ask: &Ask, all: &mut Listed) -> Result<(), Problem> {
    if page.kind != "Table" {
        if secret(&ask.resource) {
            return Err(super::garbled("the server makes no Table of Secrets; nothing was read of its answer".into()));
        }
        if all.columns.is_empty() {
            let column = |name: &str| Column { name: name.into(), number: false, wide: false };
            all.columns = vec![column("Name"), column("Age")];
        }
        all.rows.extend(page.items.unwrap_or_default().into_iter().map(|object| {
            let cells = vec![clean(&object.metadata.name).into(), Box::default()];
            row(cells, Some(object), ask, None)
        }));
        return Ok(());
    }
    if let Some(columns) = page.column_definitions.filter(|c| !c.is_empty() && all.columns.is_empty()) {
        all.columns = columns
            .into_iter()
            .map(|c| Column {
                name: clean(&c.name).into(),
                number: matches!(&*c.of, "integer" | "number"),
                wide: c.priority > 0,
            })
            .collect();
    }
    let name = all.columns.iter().position(|c| c.name.eq_ignore_ascii_case("name"));
    let rows = page.rows.unwrap_or_default();
    all.rows.extend(rows.into_iter().map(|raw| row(raw.cells.iter().map(cell).collect(), raw.object, ask, name)));
    Ok(())
}

fn row(cells: Vec<Box<str>>, object: Option<Partial>, ask: &Ask, name: Option<usize>) -> Row {
    let meta = object.unwrap_or_default().metadata;
    let printed = || name.and_then(|i| cells.get(i)).map_or("", |c| c);
    let of = if meta.name.is_empty() { printed().into() } else { Arc::from(&*clean(&meta.name)) };
    let namespace = meta.namespace.map(|n| Arc::from(&*clean(&n))).or_else(|| ask.namespace.clone());
    let owners = &meta.owner_references;
    let owner = owners.iter().find(|o| o.controller).or_else(|| owners.first()).map(|o| Owner {
        api_version: clean(&o.api_version).into(),
        kind: clean(&o.kind).into(),
        name: clean(&o.name).into(),
    });
    let labels = meta.labels.unwrap_or_default();
    Row {
        namespace: namespace.filter(|_| ask.resource.namespaced),
        name: of,
        created: meta.creation_timestamp,
        labels: labels.iter().map(|(k, v)| clean(&format!("{k}={v}")).into()).collect(),
        owner,
        cells,
    }
}

fn cell(value: &Value) -> Box<str> {
    match value {
        Value::Null => Box::default(),
        Value::String(text) => clean(text).into(),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join(",").into(),
        other => clean(&other.to_string()).into(),
    }
}
