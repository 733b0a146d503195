//! Sets of fields, as managedFields hold them: a tree of path elements, each spelt as in `fieldsV1` (`f:spec`,
//! `k:{"name":"web"}`, `v:"a"`).

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    below: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    /// The path that ends here is in the set.
    own: bool,
    below: Set,
}

impl Set {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.below.values().all(|n| !n.own && n.below.is_empty())
    }

    /// Adds a path; the empty path is no path.
    pub fn insert(&mut self, path: &[String]) {
        match path {
            [] => {}
            [last] => self.below.entry(last.clone()).or_default().own = true,
            [first, rest @ ..] => self.below.entry(first.clone()).or_default().below.insert(rest),
        }
    }

    /// Whether the path of this one element is in it.
    pub fn has(&self, element: &str) -> bool {
        self.below.get(element).is_some_and(|n| n.own)
    }

    /// What is below an element.
    pub fn under(&self, element: &str) -> Option<&Self> {
        self.below.get(element).map(|n| &n.below).filter(|s| !s.is_empty())
    }

    /// Both together.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        for (element, node) in &other.below {
            let mine = self.below.entry(element.clone()).or_default();
            mine.own |= node.own;
            mine.below = std::mem::take(&mut mine.below).union(&node.below);
        }
        self
    }

    /// What is in this one only. A path does not take those below it with it.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        for (element, node) in &other.below {
            if let Some(mine) = self.below.get_mut(element) {
                mine.own &= !node.own;
                mine.below = std::mem::take(&mut mine.below).without(&node.below);
            }
        }
        self.below.retain(|_, n| n.own || !n.below.is_empty());
        self
    }

    /// What is in both.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        let mut below = BTreeMap::new();
        for (element, node) in &self.below {
            if let Some(theirs) = other.below.get(element) {
                let common = Node { own: node.own && theirs.own, below: node.below.both(&theirs.below) };
                if common.own || !common.below.is_empty() {
                    below.insert(element.clone(), common);
                }
            }
        }
        Self { below }
    }

    /// Without an element and everything below it.
    pub fn prune(&mut self, element: &str) {
        self.below.remove(element);
    }

    /// Only one element and what is below it.
    #[must_use]
    pub fn only(mut self, element: &str) -> Self {
        self.below.retain(|e, _| e == element);
        self
    }

    /// The same with every named field on the way to a path in it, too: a struct is somebody's when a field of it is.
    #[must_use]
    pub fn with_parents(&self) -> Self {
        let below = self.below.iter().map(|(element, node)| {
            let inner = node.below.with_parents();
            let own = node.own || (element.starts_with("f:") && !inner.is_empty());
            (element.clone(), Node { own, below: inner })
        });
        Self { below: below.collect() }
    }

    /// All paths, in order.
    pub fn paths(&self) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        self.collect(&mut Vec::new(), &mut all);
        all
    }

    fn collect(&self, path: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
        // Members first, then what is below them: the order of structured-merge-diff's iteration.
        for (element, node) in &self.below {
            if node.own {
                path.push(element.clone());
                all.push(path.clone());
                path.pop();
            }
        }
        for (element, node) in &self.below {
            path.push(element.clone());
            node.below.collect(path, all);
            path.pop();
        }
    }

    /// As `fieldsV1`.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        for (element, node) in &self.below {
            let mut inner = node.below.to_json();
            if let (true, Value::Object(inner)) = (node.own && !node.below.is_empty(), &mut inner) {
                inner.shift_insert(0, ".".into(), Value::Object(Map::new()));
            }
            map.insert(element.clone(), inner);
        }
        Value::Object(map)
    }

    /// From `fieldsV1`; what is no field set is empty.
    pub fn of_json(json: &Value) -> Self {
        let mut below = BTreeMap::new();
        for (element, inner) in json.as_object().into_iter().flatten().filter(|(e, _)| *e != ".") {
            let own = inner.as_object().is_none_or(|m| m.is_empty() || m.contains_key("."));
            below.insert(element.clone(), Node { own, below: Self::of_json(inner) });
        }
        Self { below }
    }
}

/// A path as conflicts name it: `.spec.template.spec.containers[name="web"].image`.
pub fn spell(path: &[String]) -> String {
    let mut text = String::new();
    for element in path {
        let (kind, rest) = element.split_at_checked(2).unwrap_or(("f:", element));
        let said = match kind {
            "k:" => {
                let keys = serde_json::from_str::<Map<String, Value>>(rest).unwrap_or_default();
                let all: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("[{}]", all.join(","))
            }
            "v:" => format!("[={rest}]"),
            "i:" => format!("[{rest}]"),
            _ => format!(".{rest}"),
        };
        text.push_str(&said);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sets_read_and_write_as_fields_v1() {
        let json =
            json!({"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}, "f:replicas": {}}});
        let set = Set::of_json(&json);
        assert_eq!(set.to_json(), json);
        assert_eq!(
            set.paths().iter().map(|p| spell(p)).collect::<Vec<_>>(),
            [".spec.replicas", ".spec.containers[name=\"web\"]", ".spec.containers[name=\"web\"].image"]
        );
        let image = Set::of_json(&json!({"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}));
        assert_eq!(set.both(&image), image);
        assert_eq!(set.clone().without(&image).union(&image), set);
        assert!(image.clone().without(&set).is_empty());
    }
}
