//! Label sets while a query runs: shared with the series they came from, and keys made of them.

use super::storage::Labels;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

static NONE: LazyLock<Labels> = LazyLock::new(Labels::default);

/// Whether it describes the metric rather than the series; dropped wherever the name is (`schema.IsMetadataLabel`).
pub fn is_metadata(label: &str) -> bool {
    matches!(label, NAME | "__type__" | "__unit__")
}

/// The labels of a row of a result. Dropping the name costs nothing: it is only no longer shown.
#[derive(Debug, Clone)]
pub struct Metric {
    labels: Labels,
    nameless: bool,
}

impl Metric {
    /// As a series has them.
    pub fn new(labels: Labels) -> Self {
        Self { labels, nameless: false }
    }

    /// No labels.
    pub fn none() -> Self {
        Self::new(NONE.clone())
    }

    /// Of labels; empty values are no labels.
    pub fn of(mut labels: BTreeMap<String, String>) -> Self {
        labels.retain(|_, v| !v.is_empty());
        Self::new(Arc::new(labels))
    }

    /// Without the name.
    #[must_use]
    pub fn nameless(mut self) -> Self {
        self.nameless = true;
        self
    }

    /// Its labels, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).filter(|(k, _)| !(self.nameless && is_metadata(k)))
    }

    /// A label's value; empty when there is none.
    pub fn get(&self, label: &str) -> &str {
        if self.nameless && is_metadata(label) { "" } else { self.labels.get(label).map_or("", String::as_str) }
    }

    /// Whether both were made for series of the same name; false when one of them is not a series' own.
    pub fn same_origin(&self, other: &Self) -> bool {
        self.labels.get(NAME).is_some_and(|name| other.labels.get(NAME) == Some(name))
    }

    /// A copy to change.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        (self.nameless == other.nameless && Arc::ptr_eq(&self.labels, &other.labels)) || self.iter().eq(other.iter())
    }
}

impl Eq for Metric {}

impl PartialOrd for Metric {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Metric {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

impl Hash for Metric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|pair| pair.hash(state));
    }
}

/// As `labels.Labels.String` writes it: `{a="b", c="d"}`.
impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (i, (k, v)) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{k}={}", super::format::quoted(v))?;
        }
        f.write_str("}")
    }
}

/// Which labels make a group: of an aggregation (`by`, `without`), or of matching (`on`, `ignoring`).
#[derive(Debug, Clone, Default)]
pub struct Grouping {
    /// `by` and `on`: only these; else all but these and the name.
    pub only: bool,
    /// The labels, sorted.
    pub labels: Vec<String>,
    /// The name is kept too, when not `only`.
    pub named: bool,
}

impl Grouping {
    /// Everything but these labels; the name is kept.
    pub fn all_but(labels: &[&str]) -> Self {
        Self { only: false, labels: labels.iter().map(|l| (*l).to_owned()).collect(), named: true }
    }

    fn keeps(&self, label: &str) -> bool {
        if self.only { self.has(label) } else { !self.has(label) && (self.named || label != NAME) }
    }

    fn has(&self, label: &str) -> bool {
        self.labels.binary_search_by(|l| l.as_str().cmp(label)).is_ok()
    }

    /// Writes what two metrics of one group have in common, and nothing else, to `key`.
    fn write_key(&self, metric: &Metric, key: &mut Vec<u8>) {
        key.clear();
        let mut push = |text: &str| {
            key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            key.extend_from_slice(text.as_bytes());
        };
        if self.only {
            self.labels.iter().for_each(|l| push(metric.get(l)));
        } else {
            for (k, v) in metric.iter().filter(|(k, _)| self.keeps(k)) {
                push(k);
                push(v);
            }
        }
    }

    /// The labels that a group has in common.
    pub fn common(&self, metric: &Metric) -> Metric {
        Metric::of(metric.iter().filter(|(k, _)| self.keeps(k)).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }
}

/// Numbers groups in the order in which they are met.
#[derive(Default)]
pub struct Groups {
    known: HashMap<Vec<u8>, usize>,
    key: Vec<u8>,
}

impl Groups {
    /// The number of the metric's group, and whether it is a new one.
    pub fn number(&mut self, grouping: &Grouping, metric: &Metric) -> (usize, bool) {
        grouping.write_key(metric, &mut self.key);
        if let Some(number) = self.known.get(&self.key) {
            return (*number, false);
        }
        let number = self.known.len();
        self.known.insert(self.key.clone(), number);
        (number, true)
    }

    /// How many groups there are.
    pub fn count(&self) -> usize {
        self.known.len()
    }
}
