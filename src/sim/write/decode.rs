//! A body made an object of its type: what Go's decoder would refuse is refused in its words, what the type does not
//! know is dropped and told, and values take the form in which the server stores them.

use super::quantity;
use crate::sim::schema::{Shape, Type};
use serde_json::{Map, Value};

/// What the decoder found besides the object.
#[derive(Debug, Default)]
pub struct Found {
    /// Paths that the type does not know.
    pub unknown: Vec<String>,
    /// The first mismatch, in Go's words.
    mismatch: Option<String>,
}

struct Decoder {
    found: Found,
    /// For unknown fields: `spec.containers[0]`.
    path: String,
    /// For mismatches, as Go's error context keeps it: `spec.containers`.
    stack: Vec<String>,
    /// The innermost Go struct.
    inside: String,
}

/// The object in stored form; the error is Go's text.
pub fn decode(ty: &Type, value: Value) -> Result<(Value, Vec<String>), String> {
    let inside = struct_name(ty);
    let mut d = Decoder { found: Found::default(), path: String::new(), stack: Vec::new(), inside };
    let made = d.value(ty, value, true)?.unwrap_or_else(|| Value::Object(Map::new()));
    match d.found.mismatch {
        Some(error) => Err(error),
        None => Ok((made, d.found.unknown)),
    }
}

fn struct_name(ty: &Type) -> String {
    match ty.shape() {
        Shape::Struct { name, .. } => name.clone(),
        _ => String::new(),
    }
}

/// Go's word for a JSON value.
pub fn said(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl Decoder {
    /// The value in stored form; `None` for what is left out (never with `keep`). An error ends the decoding.
    fn value(&mut self, ty: &Type, value: Value, keep: bool) -> Result<Option<Value>, String> {
        if value.is_null() {
            return Ok(Self::absent(ty));
        }
        let made = match (ty.shape(), value) {
            (Shape::Any | Shape::Ref(_), value) => value,
            (Shape::Struct { name, fields, open }, Value::Object(map)) => {
                let outer = std::mem::replace(&mut self.inside, name.clone());
                let made = self.object(fields, *open, map);
                self.inside = outer;
                return made.map(Some);
            }
            (Shape::Map(item), Value::Object(map)) => {
                let mut made = Map::new();
                for (key, inner) in map {
                    let before = self.path.len();
                    self.path.push('.');
                    self.path.push_str(&key);
                    if let Some(inner) = self.value(item, inner, true)? {
                        made.insert(key, inner);
                    }
                    self.path.truncate(before);
                }
                Value::Object(made)
            }
            (Shape::List(item), Value::Array(items)) => {
                let mut made = Vec::new();
                for (i, inner) in items.into_iter().enumerate() {
                    let before = self.path.len();
                    self.path = format!("{}[{i}]", self.path);
                    made.extend(self.value(item, inner, true)?);
                    self.path.truncate(before);
                }
                Value::Array(made)
            }
            (Shape::Text | Shape::Bytes, v @ Value::String(_)) => v,
            (Shape::Bool, v @ Value::Bool(_)) => v,
            (Shape::Int, Value::Number(n)) => match whole(&n, &ty.go) {
                Some(n) => n.into(),
                None => return Ok(self.mismatch(&format!("number {n}"), &ty.go)),
            },
            (Shape::Float, v @ Value::Number(_)) => v,
            (Shape::IntOrString, v @ (Value::String(_) | Value::Number(_))) => v,
            (Shape::Quantity, Value::String(s)) => quantity::canonical(&s)?.into(),
            (Shape::Quantity, Value::Number(n)) => quantity::canonical(&n.to_string())?.into(),
            (Shape::Time, Value::String(s)) => time(&s, false)?,
            (Shape::MicroTime, Value::String(s)) => time(&s, true)?,
            (shape, value) => {
                let wanted = match shape {
                    Shape::Time | Shape::MicroTime => {
                        return Err(format!("json: cannot unmarshal {} into Go value of type string", said(&value)));
                    }
                    Shape::Quantity => return Err(quantity::MALFORMED.to_owned()),
                    Shape::IntOrString => "int32".to_owned(),
                    _ => Self::wanted(ty),
                };
                return Ok(self.mismatch(said(&value), &wanted));
            }
        };
        let empty = match &made {
            Value::String(s) => s.is_empty(),
            Value::Number(n) => n.as_f64() == Some(0.0) && !matches!(ty.shape(), Shape::IntOrString),
            Value::Bool(b) => !b,
            Value::Array(a) => a.is_empty(),
            Value::Object(m) => m.is_empty() && !matches!(ty.shape(), Shape::Any),
            Value::Null => false,
        };
        Ok((keep || !empty || !ty.omit || ty.pointer || ty.go.is_empty()).then_some(made))
    }

    fn object(
        &mut self,
        fields: &std::collections::BTreeMap<String, Type>,
        open: bool,
        map: Map<String, Value>,
    ) -> Result<Value, String> {
        let mut made = Map::new();
        for (key, inner) in map {
            let before = self.path.len();
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(&key);
            match fields.get(&key) {
                Some(field) => {
                    self.stack.push(key.clone());
                    if let Some(inner) = self.value(field, inner, false)? {
                        made.insert(key, inner);
                    }
                    self.stack.pop();
                }
                None if open => {
                    made.insert(key, inner);
                }
                None => self.found.unknown.push(self.path.clone()),
            }
            self.path.truncate(before);
        }
        for (name, field) in fields {
            if !made.contains_key(name)
                && let Some(value) = Self::absent(field)
            {
                made.insert(name.clone(), value);
            }
        }
        Ok(Value::Object(made))
    }

    /// What Go writes for a field that was not given.
    fn absent(ty: &Type) -> Option<Value> {
        if ty.go.is_empty() || ty.pointer {
            return None;
        }
        match ty.shape() {
            Shape::Struct { .. } => Some(filled(ty)),
            _ if ty.omit => None,
            Shape::Text | Shape::Int | Shape::Float | Shape::Bool | Shape::Quantity => {
                Some(crate::sim::fields::walk::zero(ty))
            }
            _ => None,
        }
    }

    /// Go's name for the type where it stands.
    fn wanted(ty: &Type) -> String {
        if ty.go.is_empty() { struct_name(ty) } else { ty.go.clone() }
    }

    fn mismatch(&mut self, said: &str, wanted: &str) -> Option<Value> {
        if self.found.mismatch.is_none() {
            self.found.mismatch = Some(if self.stack.is_empty() {
                format!("json: cannot unmarshal {said} into Go value of type {wanted}")
            } else {
                let field = self.stack.join(".");
                format!("json: cannot unmarshal {said} into Go struct field {}.{field} of type {wanted}", self.inside)
            });
        }
        None
    }
}

/// A struct with nothing given, as Go writes it.
fn filled(ty: &Type) -> Value {
    let mut value = crate::sim::fields::walk::empty(ty);
    drop_nulls(&mut value);
    value
}

/// Without nulls: what is absent is absent.
pub fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A whole number that fits Go's type.
fn whole(n: &serde_json::Number, go: &str) -> Option<i64> {
    let n = n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64))?;
    (go != "int32" || i32::try_from(n).is_ok()).then_some(n)
}

/// A time in stored form: UTC, whole seconds or microseconds.
fn time(text: &str, micro: bool) -> Result<Value, String> {
    let parsed = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| {
        let layout = if micro { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
        format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\"")
    })?;
    let utc = parsed.with_timezone(&chrono::Utc);
    Ok(if micro { crate::sim::clock::rfc3339_micro(utc) } else { crate::sim::clock::rfc3339(utc) }.into())
}
