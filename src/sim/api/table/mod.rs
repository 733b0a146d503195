//! `meta.k8s.io` Tables: what `kubectl get` prints. Columns as the real server declares them (captured from 1.36),
//! cells as pkg/printers/internalversion fills them; custom kinds by their `additionalPrinterColumns`.

mod custom;
mod human;
mod others;
mod pods;
mod row;
mod workloads;

use super::view;
use crate::model::time::Timestamp;
use crate::sim::resource::Resource;
use crate::sim::store::Store;
use row::Row;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a row says of its object (`includeObject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the parameter.
    ///
    /// # Errors
    /// The server's text for anything else.
    pub fn read(text: &str) -> Result<Self, String> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: \
                 must be 'Metadata', 'Object', 'None', or empty"
            )),
        }
    }
}

/// Definitions of the columns by the key of the kind.
static COLUMNS: LazyLock<HashMap<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("columns.json")).expect("the packed columns are JSON; a test reads them")
});

/// Makes the rows of one kind.
#[derive(Debug)]
pub struct Printer {
    key: String,
    columns: Value,
    /// For custom kinds: a path and a type for each column after the name.
    paths: Option<Vec<custom::Column>>,
    now: Timestamp,
    include: Include,
    version: &'static str,
}

impl Printer {
    /// A printer for a kind; `version` is that of the Table.
    pub fn new(store: &Store, kind: &Resource, served: &str, include: Include, version: &'static str) -> Self {
        let key = view::storage(kind);
        let now = store.clock().now();
        if let Some(columns) = COLUMNS.get(&key) {
            return Self { key, columns: columns.clone(), paths: None, now, include, version };
        }
        let (columns, paths) = custom::columns(store, kind, served);
        Self { key, columns, paths: Some(paths), now, include, version }
    }

    /// A Table. `columns: false` leaves their definitions out, as in all but the first event of a watch.
    pub fn table(&self, objects: impl Iterator<Item = Value>, meta: Value, columns: bool) -> Value {
        let rows: Vec<Value> = objects.map(|o| self.row(o)).collect();
        // The registry's default convertor, of kinds without a printer, knows no empty list.
        let default = self.columns[1]["name"] == "Created At" || self.paths.is_some();
        let rows = if rows.is_empty() && default { Value::Null } else { rows.into() };
        json!({
            "kind": "Table", "apiVersion": format!("meta.k8s.io/{}", self.version), "metadata": meta,
            "columnDefinitions": if columns { self.columns.clone() } else { Value::Null }, "rows": rows,
        })
    }

    fn row(&self, object: Value) -> Value {
        let mut row = Map::new();
        row.insert("cells".into(), self.cells(&object).into());
        if self.key == "pods"
            && let Some(conditions) = pods::conditions(&object)
        {
            row.insert("conditions".into(), conditions);
        }
        let shown = match self.include {
            Include::None => Value::Null,
            Include::Metadata => view::metadata(&object, self.version),
            Include::Object => object,
        };
        row.insert("object".into(), shown);
        Value::Object(row)
    }

    fn cells(&self, object: &Value) -> Vec<Value> {
        if let Some(paths) = &self.paths {
            return custom::cells(paths, object, self.now);
        }
        if self.key == "pods" {
            return pods::cells(object, self.now);
        }
        // Events are printed in the core shape, whichever they are asked for in.
        let core = view::core_event(object);
        let row = Row { object: core.as_ref().unwrap_or(object), now: self.now };
        let known = workloads::cells(&self.key, row).or_else(|| others::cells(&self.key, row));
        known.unwrap_or_else(|| vec![row.name(), row.text("metadata.creationTimestamp")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::resource::Registry;

    #[test]
    fn every_built_in_kind_has_columns() {
        for kind in Registry::default().all() {
            let columns = COLUMNS.get(&view::storage(&kind)).unwrap_or_else(|| panic!("{}", kind.key()));
            assert!(columns.as_array().is_some_and(|c| c.iter().any(|c| c["name"] == "Name")), "{}", kind.key());
        }
    }
}
