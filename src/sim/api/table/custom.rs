//! Columns of custom kinds: `additionalPrinterColumns` of their definition, or name and age.

use super::human;
use crate::model::time::Timestamp;
use crate::sim::object::{list, text};
use crate::sim::resource::Resource;
use crate::sim::store::Store;
use serde_json::{Value, json};

/// A column after the name.
#[derive(Debug)]
pub struct Column {
    path: String,
    date: bool,
}

/// Definitions for the client, and paths for the cells.
pub fn columns(store: &Store, kind: &Resource, version: &str) -> (Value, Vec<Column>) {
    let definition = store.get("customresourcedefinitions.apiextensions.k8s.io", "", &kind.key()).map(|d| d.value());
    let declared: Vec<Value> = definition
        .iter()
        .flat_map(|d| list(d, "spec.versions"))
        .find(|v| text(v, "name") == version)
        .map(|v| list(v, "additionalPrinterColumns").to_vec())
        .unwrap_or_default();
    let about = super::COLUMNS.get("configmaps").map(|c| (c[0].clone(), c[2].clone()));
    let (name, age) = about.unwrap_or_default();
    let age = json!({"name": "Age", "type": "date", "format": "", "priority": 0, "description": age["description"],
        "jsonPath": ".metadata.creationTimestamp"});
    let declared = if declared.is_empty() { vec![age] } else { declared };
    let mut definitions = vec![name];
    let mut paths = Vec::new();
    for column in &declared {
        let path = text(column, "jsonPath");
        let about = Some(text(column, "description")).filter(|d| !d.is_empty());
        definitions.push(json!({
            "name": text(column, "name"), "type": text(column, "type"), "format": text(column, "format"),
            "description": about.map_or_else(|| format!("Custom resource definition column (in JSONPath format): {path}"), str::to_owned),
            "priority": column.get("priority").and_then(Value::as_i64).unwrap_or(0),
        }));
        paths.push(Column { path: path.to_owned(), date: text(column, "type") == "date" });
    }
    (definitions.into(), paths)
}

/// The cells of an object.
pub fn cells(columns: &[Column], object: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![text(object, "metadata.name").into()];
    cells.extend(columns.iter().map(|column| match find(object, &column.path) {
        Some(value) if column.date => human::since(Some(value), now).into(),
        Some(value @ (Value::Object(_) | Value::Array(_))) => value.to_string().into(),
        Some(value) => value.clone(),
        None => Value::Null,
    }));
    cells
}

/// The JSONPath that definitions use: names, `['quoted names']`, indices, and `[?(@.type=="Ready")]`.
fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut here = object;
    let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}');
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            // A backslash keeps a dot inside a name.
            let mut name = String::new();
            let mut chars = tail.char_indices();
            let mut end = tail.len();
            while let Some((i, c)) = chars.next() {
                match c {
                    '\\' => name.extend(chars.next().map(|(_, c)| c)),
                    '.' | '[' => {
                        end = i;
                        break;
                    }
                    c => name.push(c),
                }
            }
            rest = &tail[end..];
            if !name.is_empty() {
                here = here.get(&name)?;
            }
        } else {
            let (inside, tail) = rest.strip_prefix('[')?.split_once(']')?;
            rest = tail;
            here = if let Some(test) = inside.strip_prefix("?(@.").and_then(|t| t.strip_suffix(')')) {
                let (key, wanted) = test.split_once("==")?;
                let wanted = wanted.trim().trim_matches(['"', '\'']);
                here.as_array()?.iter().find(|v| text(v, key.trim()) == wanted)?
            } else if let Ok(index) = inside.parse::<usize>() {
                here.get(index)?
            } else {
                here.get(inside.trim_matches(['"', '\'']))?
            };
        }
    }
    Some(here).filter(|v| !v.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_definitions_are_followed() {
        let object = json!({"spec": {"a.b": 1, "list": [{"x": "y"}]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(find(&object, ".spec.a\\.b"), Some(&json!(1)));
        assert_eq!(find(&object, ".spec['a.b']").or(find(&object, ".spec.a\\.b")), Some(&json!(1)));
        assert_eq!(find(&object, ".spec.list[0].x"), Some(&json!("y")));
        assert_eq!(find(&object, ".status.conditions[?(@.type==\"Ready\")].status"), Some(&json!("True")));
        assert_eq!(find(&object, ".spec.none"), None);
    }
}
