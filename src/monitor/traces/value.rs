//! Numbers and attributes as JSON writers put them: numbers as text, text as numbers, errors in many words.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A list or an object is told up to this many characters; what lies behind is read over without being held.
const LIST: usize = 256;

/// Any JSON value, held in space that its own text bounds: lists and objects become their text, cut.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Plain {
    /// `null`, or nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, or what a list or an object was told as.
    Text(String),
}

impl Plain {
    /// As text; numbers and truth in their usual writing.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Bool(b) => Cow::Borrowed(if *b { "true" } else { "false" }),
            Self::Int(i) => Cow::Owned(i.to_string()),
            Self::Float(f) => Cow::Owned(f.to_string()),
            Self::Text(s) => Cow::Borrowed(s),
        }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(s) = self { Some(s) } else { None }
    }

    /// The whole number, also one that was written as text.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            Self::Text(s) => s.parse().ok(),
            _ => None,
        }
    }

    fn is(&self, text: &str) -> bool {
        self.as_str() == Some(text)
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(s) => write!(f, "{:?}", s.chars().take(64).collect::<String>()),
            other => f.write_str(&other.text()),
        }
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any { typed: false })
    }
}

/// A value within its type, as OTLP JSON has it: `{"stringValue": "x"}` is `"x"`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Typed(pub Plain);

impl<'de> Deserialize<'de> for Typed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any { typed: true }).map(Self)
    }
}

/// `{"values": [{"stringValue": "x"}]}`
#[derive(Deserialize)]
struct Values {
    #[serde(default)]
    values: List,
}

/// Typed values as text.
#[derive(Default)]
struct List(String);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Any { typed: true }).map(|list| Self(list.text().into_owned()))
    }
}

/// Reads anything; `typed`: what it meets first is wrapped in its type, or is a list of such.
struct Any {
    typed: bool,
}

impl<'de> Visitor<'de> for Any {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Plain, E> {
        Ok(Plain::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Plain, E> {
        Ok(Plain::Int(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Plain, E> {
        Ok(i64::try_from(v).map_or(Plain::Float(v as f64), Plain::Int))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Plain, E> {
        Ok(Plain::Float(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Plain, E> {
        Ok(Plain::Text(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Plain, E> {
        Ok(Plain::Text(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Plain, A::Error> {
        let mut out = String::from("[");
        while out.len() < LIST {
            let next = if self.typed { list.next_element::<Typed>()?.map(|t| t.0) } else { list.next_element()? };
            let Some(next) = next else {
                out.push(']');
                return Ok(Plain::Text(out));
            };
            if out.len() > 1 {
                out.push_str(", ");
            }
            out.push_str(&next.text());
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Plain::Text(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
        if self.typed {
            let value = match map.next_key::<String>()?.as_deref() {
                None => Plain::Null,
                Some("arrayValue") => Plain::Text(map.next_value::<Values>()?.values.0),
                Some(_) => map.next_value()?,
            };
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(value);
        }
        let mut out = String::from("{");
        while out.len() < LIST {
            let Some((key, value)) = map.next_entry::<String, Plain>()? else {
                out.push('}');
                return Ok(Plain::Text(out));
            };
            if out.len() > 1 {
                out.push_str(", ");
            }
            out.push_str(&key);
            out.push_str(": ");
            out.push_str(&value.text());
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Plain::Text(out))
    }
}

/// A whole number that may stand in quotes, as 64 bits do in OTLP JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whole(pub i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Plain::deserialize(deserializer)?;
        let float = |f: f64| f.is_finite().then_some(f as i64); // saturates
        let found = match &value {
            Plain::Int(n) => Some(*n),
            Plain::Float(f) => float(*f),
            Plain::Text(s) => s.trim().parse().ok().or_else(|| s.trim().parse().ok().and_then(float)),
            _ => None,
        };
        found.map(Self).ok_or_else(|| serde::de::Error::custom(format!("expected a whole number, found {value}")))
    }
}

/// Reads a value of this shape; an error names the place in it.
pub fn at_place<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|e| e.to_string())
}

/// Reads one document of this shape; an error names the place in it, and line and column.
pub fn document<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|e| e.to_string())?;
    reader.end().map_err(|e| e.to_string())?;
    Ok(read)
}

/// A duration that may not be negative; tells whether it was.
pub fn duration(value: i64) -> (i64, bool) {
    (value.max(0), value < 0)
}

/// Whether an attribute says that its span failed, as Jaeger and OpenTelemetry write it. Only an answer that the server
/// is to blame for is one of HTTP's.
pub fn says_error(key: &str, value: &Plain) -> bool {
    match key {
        "error" => !(matches!(value, Plain::Bool(false) | Plain::Null) || value.is("false") || value.is("")),
        "otel.status_code" | "status.code" => value.is("ERROR") || *value == Plain::Int(2),
        "http.status_code" | "http.response.status_code" => value.as_i64().is_some_and(|code| code >= 500),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn plain(value: Value) -> Plain {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn whole_numbers_may_be_text_and_too_large_ones_stay_in_range() {
        let read = |v: Value| serde_json::from_value::<Whole>(v).map(|w| w.0);
        assert_eq!(read(json!(12)).unwrap(), 12);
        assert_eq!(read(json!("1700000000000000000")).unwrap(), 1_700_000_000_000_000_000);
        assert_eq!(read(json!(1.5e300)).unwrap(), i64::MAX);
        assert_eq!(read(json!(u64::MAX)).unwrap(), i64::MAX);
        for bad in [json!(null), json!("x"), json!([1])] {
            let said = read(bad).unwrap_err().to_string();
            assert!(said.contains("expected a whole number"), "{said}");
        }
    }

    #[test]
    fn lists_and_objects_are_told_as_text_whose_length_is_bounded() {
        assert_eq!(plain(json!([1, "a", null, {"k": true}])), Plain::Text("[1, a, , {k: true}]".into()));
        let many = plain(json!(vec![0; 100_000]));
        assert!(many.text().len() < LIST + 8, "{}", many.text().len());
        let keys: serde_json::Map<String, Value> = (0..10_000).map(|i| (i.to_string(), json!(i))).collect();
        assert!(plain(Value::Object(keys)).text().len() < LIST + 16);
    }

    #[test]
    fn values_come_out_of_their_types() {
        for (value, text) in [
            (json!({"stringValue": "x"}), "x"),
            (json!({"intValue": "5"}), "5"),
            (json!({"intValue": 5}), "5"),
            (json!({"doubleValue": 0.5}), "0.5"),
            (json!({"boolValue": true}), "true"),
            (json!({"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}), "[a, 1]"),
            (json!({"arrayValue": {}}), ""),
            (json!({}), ""),
            (json!("bare"), "bare"),
        ] {
            assert_eq!(serde_json::from_value::<Typed>(value.clone()).unwrap().0.text(), text, "{value}");
        }
    }

    #[test]
    fn errors_are_told_in_many_words() {
        for (key, value) in [
            ("error", json!(true)),
            ("error", json!("true")),
            ("error", json!("ClientSideError")),
            ("otel.status_code", json!("ERROR")),
            ("http.status_code", json!(504)),
            ("http.response.status_code", json!("500")),
        ] {
            assert!(says_error(key, &plain(value.clone())), "{key} {value}");
        }
        for (key, value) in [
            ("error", json!(false)),
            ("error", json!("false")),
            ("error", json!(null)),
            ("otel.status_code", json!("OK")),
            ("http.status_code", json!(404)),
            ("http.method", json!("ERROR")),
        ] {
            assert!(!says_error(key, &plain(value.clone())), "{key} {value}");
        }
    }
}
