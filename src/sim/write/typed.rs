//! Whether an applied configuration fits its type, in the words of structured-merge-diff, which reads it before Go's
//! decoder does. Source: sigs.k8s.io/structured-merge-diff/v6, typed/validate.go.

use super::strategic::go;
use crate::sim::fields::walk::element;
use crate::sim::schema::{Merge, Shape, Type};
use serde_json::Value;

/// The first words of the answer name the object as it was sent.
pub fn check(ty: &Type, value: &Value) -> Result<(), String> {
    let mut errors = Vec::new();
    walk(ty, value, &mut String::new(), &mut errors);
    errors.sort();
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        all => Err(format!("errors:\n{}", all.iter().map(|e| format!("  {e}")).collect::<Vec<_>>().join("\n"))),
    }
}

fn walk(ty: &Type, value: &Value, at: &mut String, errors: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    let wanted = match (ty.shape(), value) {
        (Shape::Struct { fields, open, .. }, Value::Object(map)) => {
            for (key, inner) in map {
                below(at, &format!(".{key}"), |at| match fields.get(key) {
                    Some(field) => walk(field, inner, at, errors),
                    None if *open => {}
                    None => errors.push(format!("{at}: field not declared in schema")),
                });
            }
            return;
        }
        (Shape::Map(item), Value::Object(map)) => {
            for (key, inner) in map {
                below(at, &format!(".{key}"), |at| walk(item, inner, at, errors));
            }
            return;
        }
        (Shape::List(item), Value::Array(items)) => return list(ty, item, items, at, errors),
        (Shape::Struct { .. } | Shape::Map(_), _) => format!("expected map, got &{{{}}}", go(value)),
        (Shape::List(_), _) => format!("expected list, got &{{{}}}", go(value)),
        (Shape::Text | Shape::Bytes | Shape::Time | Shape::MicroTime, v) if !v.is_string() => {
            format!("expected string, got {}", spelt(v))
        }
        (Shape::Int | Shape::Float, v) if !v.is_number() => {
            format!("expected numeric (int or float), got {}", kind(v))
        }
        (Shape::Bool, v) if !v.is_boolean() => format!("expected boolean, got &{{{}}}", go(v)),
        _ => return,
    };
    errors.push(format!("{at}: {wanted}"));
}

fn below(at: &mut String, step: &str, act: impl FnOnce(&mut String)) {
    let length = at.len();
    at.push_str(step);
    act(at);
    at.truncate(length);
}

fn list(ty: &Type, item: &Type, items: &[Value], at: &mut String, errors: &mut Vec<String>) {
    let mut seen = Vec::new();
    for (i, inner) in items.iter().enumerate() {
        let step = match &ty.merge {
            Merge::Atomic => format!("[{i}]"),
            Merge::Set => format!("[={inner}]"),
            Merge::ByKeys(_) if !inner.is_object() => {
                errors.push(format!("{at}: element {i}: associative list with keys may not have non-map elements"));
                return;
            }
            Merge::ByKeys(keys) => {
                let given = |key: &String| inner.get(key).is_some_and(|v| !v.is_null());
                let default = |key: &String| item.field(key).is_some_and(|f| f.default.is_some());
                if let Some(key) = keys.iter().find(|k| !given(k) && !default(k)) {
                    errors.push(format!(
                        "{at}: element {i}: associative list with keys has an element that omits key field {key:?} (and doesn't have default value)"
                    ));
                    return;
                }
                keyed(&element(ty, item, inner))
            }
        };
        if seen.contains(&step) {
            errors.push(format!("{at}: duplicate entries for key {step}"));
        }
        below(at, &step, |at| walk(item, inner, at, errors));
        seen.push(step);
    }
}

/// `k:{"name":"web","port":80}` as a path has it: `[name="web",port=80]`.
fn keyed(element: &str) -> String {
    let keys: Value = element.strip_prefix("k:").and_then(|k| serde_json::from_str(k).ok()).unwrap_or_default();
    let keys = keys.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
    format!("[{}]", keys.join(","))
}

/// Go's word for the type of a value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go spells it in source.
fn spelt(value: &Value) -> String {
    fn inner(value: &Value) -> String {
        match value {
            Value::Null => "interface {}(nil)".to_owned(),
            Value::Array(items) => {
                format!("[]interface {{}}{{{}}}", items.iter().map(inner).collect::<Vec<_>>().join(", "))
            }
            Value::Object(map) => {
                let mut all: Vec<String> = map.iter().map(|(k, v)| format!("{k:?}:{}", inner(v))).collect();
                all.sort();
                format!("map[string]interface {{}}{{{}}}", all.join(", "))
            }
            other => other.to_string(),
        }
    }
    format!("&value.valueUnstructured{{Value:{}}}", inner(value))
}
