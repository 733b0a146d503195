//! structured-merge-diff over JSON and our types: which fields a value has, how two values differ, one value merged into
//! another, fields taken out. Source: sigs.k8s.io/structured-merge-diff/v6, typed/.

use super::set::Set;
use crate::sim::schema::{Merge, Shape, Type, any};
use serde_json::{Map, Value};

/// How a value became another.
#[derive(Debug, Default)]
pub struct Difference {
    /// Paths that are new.
    pub added: Set,
    /// Paths that hold something else.
    pub modified: Set,
    /// Paths that are gone.
    pub removed: Set,
}

static NOTHING: Value = Value::Null;

/// The type of a map's entry.
fn entry<'a>(ty: &'a Type, key: &str) -> &'a Type {
    ty.field(key).unwrap_or_else(|| any())
}

/// Whether the value is merged field by field, item by item, or taken as one.
enum Kind<'a> {
    Leaf,
    Map,
    List(&'a Type),
}

fn kind<'a>(ty: &'a Type, value: Option<&Value>, other: Option<&Value>) -> Kind<'a> {
    let fits = |wanted: fn(&Value) -> bool| [value, other].into_iter().flatten().all(|v| v.is_null() || wanted(v));
    match ty.shape() {
        _ if ty.atomic() => Kind::Leaf,
        Shape::Struct { .. } | Shape::Map(_) if fits(Value::is_object) => Kind::Map,
        Shape::List(item) if fits(Value::is_array) => Kind::List(item),
        Shape::Any if value.or(other).is_some_and(Value::is_object) && fits(Value::is_object) => Kind::Map,
        _ => Kind::Leaf,
    }
}

fn map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object).filter(|m| !m.is_empty())
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The path element of a list's item.
pub fn element(list: &Type, item: &Type, value: &Value) -> String {
    match &list.merge {
        Merge::ByKeys(keys) => {
            let mut found: Vec<(&String, &Value)> = keys
                .iter()
                .filter_map(|k| {
                    let given = value.get(k).filter(|v| !v.is_null());
                    Some((k, given.or_else(|| item.field(k)?.default.as_ref())?))
                })
                .collect();
            found.sort_by_key(|(k, _)| *k);
            let object: Map<String, Value> = found.into_iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            format!("k:{}", Value::Object(object))
        }
        _ => format!("v:{value}"),
    }
}

/// All fields a value has.
pub fn fields(ty: &Type, value: &Value) -> Set {
    let mut all = Set::default();
    collect(ty, value, &mut Vec::new(), &mut all);
    all
}

fn collect(ty: &Type, value: &Value, path: &mut Vec<String>, all: &mut Set) {
    match kind(ty, Some(value), None) {
        Kind::Leaf => all.insert(path),
        Kind::Map => {
            let named = matches!(ty.shape(), Shape::Struct { .. });
            for (key, inner) in value.as_object().into_iter().flatten() {
                path.push(format!("f:{key}"));
                collect(entry(ty, key), inner, path, all);
                let empty = inner.is_null() || inner.as_object().is_some_and(Map::is_empty);
                if empty || !named || ty.field(key).is_none() {
                    all.insert(path);
                }
                path.pop();
            }
        }
        Kind::List(item) => {
            for inner in items(Some(value)) {
                path.push(element(ty, item, inner));
                collect(item, inner, path, all);
                all.insert(path);
                path.pop();
            }
        }
    }
}

/// What differs from `old` to `new`.
pub fn compare(ty: &Type, old: &Value, new: &Value) -> Difference {
    let mut found = Difference::default();
    differ(ty, Some(old), Some(new), &mut Vec::new(), &mut found);
    found
}

fn differ(ty: &Type, old: Option<&Value>, new: Option<&Value>, path: &mut Vec<String>, found: &mut Difference) {
    if old == new {
        return;
    }
    let leaf = match kind(ty, old, new) {
        Kind::Leaf => true,
        Kind::Map if map(old).is_none() && map(new).is_none() => true,
        Kind::List(_) if items(old).is_empty() && items(new).is_empty() => true,
        Kind::Map => {
            let (mine, theirs) = (map(old), map(new));
            for (key, inner) in mine.into_iter().flatten() {
                path.push(format!("f:{key}"));
                differ(entry(ty, key), Some(inner), theirs.and_then(|m| m.get(key)), path, found);
                path.pop();
            }
            for (key, inner) in theirs.into_iter().flatten().filter(|(k, _)| mine.is_none_or(|m| !m.contains_key(*k))) {
                path.push(format!("f:{key}"));
                differ(entry(ty, key), None, Some(inner), path, found);
                path.pop();
            }
            false
        }
        Kind::List(item) => {
            let named = |v: &'_ Value| element(ty, item, v);
            let mine: Vec<(String, &Value)> = items(old).iter().map(|v| (named(v), v)).collect();
            let theirs: Vec<(String, &Value)> = items(new).iter().map(|v| (named(v), v)).collect();
            let find = |all: &[(String, &Value)], e: &str| all.iter().position(|(x, _)| x == e);
            for (e, inner) in &mine {
                path.push(e.clone());
                differ(item, Some(inner), find(&theirs, e).map(|i| theirs[i].1), path, found);
                path.pop();
            }
            for (e, inner) in theirs.iter().filter(|(e, _)| find(&mine, e).is_none()) {
                path.push(e.clone());
                differ(item, None, Some(inner), path, found);
                path.pop();
            }
            false
        }
    };
    match (old, new) {
        (None, _) => found.added.insert(path),
        (_, None) => found.removed.insert(path),
        _ if leaf => found.modified.insert(path),
        _ => {}
    }
}

/// `new` merged into `old`: what `new` does not name stays.
pub fn merge(ty: &Type, old: Option<&Value>, new: Option<&Value>) -> Value {
    let (old, new) = match (old, new) {
        (Some(old), None) => return old.clone(),
        (None, Some(new)) => (&NOTHING, new),
        (Some(old), Some(new)) => (old, new),
        (None, None) => return Value::Null,
    };
    match kind(ty, Some(old), Some(new)) {
        Kind::Map if new.is_object() => {
            let mut made = old.as_object().cloned().unwrap_or_default();
            for (key, inner) in new.as_object().into_iter().flatten() {
                let merged = merge(entry(ty, key), old.get(key), Some(inner));
                made.insert(key.clone(), merged);
            }
            Value::Object(made)
        }
        Kind::List(item) if new.is_array() => merge_lists(ty, item, items(Some(old)), items(Some(new))),
        _ => new.clone(),
    }
}

/// Items only `old` has stay where they are; the others come in the order of `new`.
fn merge_lists(ty: &Type, item: &Type, old: &[Value], new: &[Value]) -> Value {
    let named = |all: &[Value]| -> Vec<String> { all.iter().map(|v| element(ty, item, v)).collect() };
    let (mine, theirs) = (named(old), named(new));
    let shared: Vec<&String> = theirs.iter().filter(|e| mine.contains(e)).collect();
    let (mut l, mut r, mut s) = (0, 0, 0);
    let mut made = Vec::new();
    loop {
        if l < mine.len() && !theirs.contains(&mine[l]) {
            made.push(old[l].clone());
            l += 1;
        } else if l < mine.len() && shared.get(s).is_some_and(|next| **next != mine[l]) {
            l += 1; // it comes later, in the order of `new`
        } else if r < theirs.len() {
            let before = mine.iter().position(|e| *e == theirs[r]);
            made.push(merge(item, before.map(|i| &old[i]), Some(&new[r])));
            if before.is_some() {
                s += 1;
                l += usize::from(before == Some(l));
            }
            r += 1;
        } else if l < mine.len() {
            l += 1;
        } else {
            return Value::Array(made);
        }
    }
}

/// The value without the fields in `gone`; `None` if nothing of a map or list is left.
pub fn remove(ty: &Type, value: &Value, gone: &Set) -> Option<Value> {
    match kind(ty, Some(value), None) {
        Kind::Leaf => Some(value.clone()),
        Kind::Map => {
            let mut made = Map::new();
            for (key, inner) in value.as_object().into_iter().flatten() {
                let e = format!("f:{key}");
                if gone.has(&e) {
                    continue;
                }
                let kept = gone.under(&e).map_or_else(|| Some(inner.clone()), |g| remove(entry(ty, key), inner, g));
                if let Some(kept) = kept {
                    made.insert(key.clone(), kept);
                }
            }
            (!made.is_empty()).then_some(Value::Object(made))
        }
        Kind::List(item) => {
            let mut made = Vec::new();
            for inner in items(Some(value)) {
                let e = element(ty, item, inner);
                if !gone.has(&e) {
                    made.extend(gone.under(&e).map_or_else(|| Some(inner.clone()), |g| remove(item, inner, g)));
                }
            }
            (!made.is_empty()).then_some(Value::Array(made))
        }
    }
}

/// What an object of this type holds before anything is set: structs that are never left out, lists that must be there.
pub fn empty(ty: &Type) -> Value {
    let Shape::Struct { fields, .. } = ty.shape() else { return Value::Null };
    let mut made = Map::new();
    for (name, field) in fields {
        match field.shape() {
            _ if field.pointer && field.omit => {}
            Shape::Struct { .. } if !field.pointer && !field.go.is_empty() => {
                made.insert(name.clone(), empty(field));
            }
            _ if field.omit => {}
            _ => {
                made.insert(name.clone(), zero(field));
            }
        }
    }
    Value::Object(made)
}

/// Go's zero value in JSON.
pub fn zero(ty: &Type) -> Value {
    match ty.shape() {
        _ if ty.pointer => Value::Null,
        Shape::Text => "".into(),
        Shape::Int | Shape::Float => 0.into(),
        Shape::Bool => false.into(),
        Shape::Quantity => "0".into(),
        _ => Value::Null,
    }
}
