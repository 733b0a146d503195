//! What rows of all kinds are made of.

use super::human;
use crate::model::time::Timestamp;
use crate::sim::object::{at, int, list, strings, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// An object that becomes a row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The object.
    pub object: &'a Value,
    /// The time its age is told at.
    pub now: Timestamp,
}

impl<'a> Row<'a> {
    /// Text, or empty.
    pub fn text(&self, path: &str) -> Value {
        text(self.object, path).into()
    }

    /// Text, or `default` if it is empty.
    pub fn or(&self, path: &str, default: &str) -> Value {
        let found = text(self.object, path);
        if found.is_empty() { default.into() } else { found.into() }
    }

    /// A number, or 0.
    pub fn int(&self, path: &str) -> Value {
        int(self.object, path).unwrap_or(0).into()
    }

    /// `a/b` of two numbers.
    pub fn of(&self, some: &str, all: &str) -> Value {
        let n = |path| int(self.object, path).unwrap_or(0);
        format!("{}/{}", n(some), n(all)).into()
    }

    /// Name.
    pub fn name(&self) -> Value {
        self.text("metadata.name")
    }

    /// Age.
    pub fn age(&self) -> Value {
        self.since("metadata.creationTimestamp")
    }

    /// Time since a time.
    pub fn since(&self, path: &str) -> Value {
        human::since(at(self.object, path), self.now).into()
    }

    /// A list.
    pub fn list(&self, path: &str) -> &'a [Value] {
        list(self.object, path)
    }

    /// Names and images of containers.
    pub fn containers(&self, path: &str) -> [Value; 2] {
        ["name", "image"].map(|field| joined(self.list(path).iter().map(|c| text(c, field))).into())
    }

    /// Labels as a selector, `<none>` without.
    pub fn labels(&self, path: &str) -> Value {
        formatted(&strings(self.object, path)).into()
    }

    /// A LabelSelector.
    pub fn selector(&self, path: &str) -> Value {
        at(self.object, path).map_or_else(|| "<none>".to_owned(), selector).into()
    }
}

/// With commas.
pub fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

fn formatted(labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return "<none>".to_owned();
    }
    labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

/// A LabelSelector as its string form (apimachinery `FormatLabelSelector`): conditions by key.
pub fn selector(selector: &Value) -> String {
    let mut all: Vec<(String, String)> =
        strings(selector, "matchLabels").into_iter().map(|(k, v)| (k.clone(), format!("{k}={v}"))).collect();
    for condition in list(selector, "matchExpressions") {
        let key = text(condition, "key");
        let mut values: Vec<&str> = list(condition, "values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let shown = match text(condition, "operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        all.push((key.to_owned(), shown));
    }
    all.sort();
    if all.is_empty() {
        return "<none>".to_owned();
    }
    joined(all.iter().map(|(_, s)| s.as_str()))
}

/// At most `most` of a list, and how many more; `<unset>`-like `none` for an empty one.
pub fn some_of(all: &[String], most: usize, none: &str) -> String {
    if all.is_empty() {
        return none.to_owned();
    }
    let shown = all.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(",");
    if all.len() > most { format!("{shown} + {} more...", all.len() - most) } else { shown }
}
