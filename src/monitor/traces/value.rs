//! Numbers and attributes as JSON writers put them: numbers as text, text as numbers, errors in many words.

use serde::Deserialize;
use serde_json::Value;

/// A whole number that may stand in quotes, as 64 bits do in OTLP JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whole(pub i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let float = |f: f64| f.is_finite().then_some(f as i64); // saturates
        let found = match &value {
            Value::Number(n) => n.as_i64().or_else(|| n.as_f64().and_then(float)),
            Value::String(s) => s.trim().parse().ok().or_else(|| s.trim().parse().ok().and_then(float)),
            _ => None,
        };
        found.map(Self).ok_or_else(|| serde::de::Error::custom(format!("expected a whole number, found {value}")))
    }
}

/// Reads a value of this shape; an error names the place in it.
pub fn at_place<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|e| e.to_string())
}

/// A duration that may not be negative; tells whether it was.
pub fn duration(value: i64) -> (i64, bool) {
    (value.max(0), value < 0)
}

/// Whether an attribute says that its span failed, as Jaeger and OpenTelemetry write it. Only an answer that the server
/// is to blame for is one of HTTP's.
pub fn says_error(key: &str, value: &Value) -> bool {
    match key {
        "error" => !matches!(value, Value::Bool(false) | Value::Null) && value != "false" && value != "",
        "otel.status_code" | "status.code" => value == "ERROR" || value == 2,
        "http.status_code" | "http.response.status_code" => {
            let code = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            code.is_some_and(|code| code >= 500)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_may_be_text_and_too_large_ones_stay_in_range() {
        let read = |v: Value| serde_json::from_value::<Whole>(v).map(|w| w.0);
        assert_eq!(read(json!(12)).unwrap(), 12);
        assert_eq!(read(json!("1700000000000000000")).unwrap(), 1_700_000_000_000_000_000);
        assert_eq!(read(json!(1.5e300)).unwrap(), i64::MAX);
        for bad in [json!(null), json!("x"), json!([1])] {
            let said = read(bad).unwrap_err().to_string();
            assert!(said.contains("expected a whole number"), "{said}");
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
            assert!(says_error(key, &value), "{key} {value}");
        }
        for (key, value) in [
            ("error", json!(false)),
            ("error", json!("false")),
            ("otel.status_code", json!("OK")),
            ("http.status_code", json!(404)),
            ("http.method", json!("ERROR")),
        ] {
            assert!(!says_error(key, &value), "{key} {value}");
        }
    }
}
