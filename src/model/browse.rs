//! Objects of any kind as the server itself lists them: columns as it says, one row per object.

use super::object::{ObjectRef, Resource};
use super::time::Timestamp;
use std::sync::Arc;

/// A kind that the server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// What it is.
    pub resource: Resource,
    /// Name of one, such as `deployment`; may be empty.
    pub singular: Arc<str>,
    /// Short names, such as `deploy`.
    pub short: Vec<Arc<str>>,
}

/// One list that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The cluster it is asked of: an answer from another one is not shown.
    pub cluster: Arc<str>,
    /// Which kind.
    pub resource: Resource,
    /// Where; `None` for everywhere.
    pub namespace: Option<Arc<str>>,
}

/// A list as the server gave it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// Columns in the server's order.
    pub columns: Vec<Column>,
    /// Rows in the server's order.
    pub rows: Vec<Row>,
    /// There are more objects than were read.
    pub more: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its head.
    pub name: Arc<str>,
    /// Whether its cells are numbers.
    pub number: bool,
    /// Whether `kubectl get -o wide` alone shows it.
    pub wide: bool,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// Its namespace, if it lives in one.
    pub namespace: Option<Arc<str>>,
    /// Its name.
    pub name: Arc<str>,
    /// When it was made, if the server told.
    pub created: Option<Timestamp>,
    /// Labels, each as `key=value`.
    pub labels: Vec<Box<str>>,
    /// What controls it, or else owns it.
    pub owner: Option<Owner>,
    /// A text per column, clean; what has no value is empty.
    pub cells: Vec<Box<str>>,
}

/// Who owns an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its `apiVersion`.
    pub api_version: Arc<str>,
    /// Its kind.
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl Kind {
    /// Every name it is known by: plural, singular, short names, and the plural with its group.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let r = &self.resource;
        let full = (!r.group.is_empty()).then(|| format!("{}.{}", r.plural, r.group));
        [r.plural.to_string(), self.singular.to_string()]
            .into_iter()
            .chain(self.short.iter().map(ToString::to_string))
            .chain(full)
            .filter(|n| !n.is_empty())
    }
}

impl Row {
    /// The object it stands for.
    pub fn object(&self, resource: &Resource) -> ObjectRef {
        ObjectRef { resource: resource.clone(), namespace: self.namespace.clone(), name: self.name.clone() }
    }
}
