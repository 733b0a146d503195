//! A line of JSON in pieces that are read faster than JSON: level, message, then the other fields.

use crate::console::theme::Role;
use serde_json::{Map, Value};

const LEVELS: [&str; 4] = ["level", "severity", "lvl", "levelname"];
const MESSAGES: [&str; 4] = ["msg", "message", "event", "log"];
const TIMES: [&str; 6] = ["time", "ts", "timestamp", "@timestamp", "asctime", "t"];

/// The pieces of a line; `None` if it is no JSON object.
pub fn pieces(text: &str, role: Role) -> Option<Vec<(String, Role)>> {
    if !text.starts_with('{') {
        return None;
    }
    let fields: Map<String, Value> = serde_json::from_str(text).ok()?;
    let first = |names: &[&str]| names.iter().find_map(|n| fields.get(*n).map(|v| ((*n).to_owned(), word(v))));
    let (level, message) = (first(&LEVELS), first(&MESSAGES));
    let mut out = Vec::new();
    if let Some((_, level)) = &level {
        out.push((format!("{:<5} ", level.to_uppercase()), role));
    }
    if let Some((_, message)) = &message {
        out.push((format!("{message} "), role));
    }
    let told =
        |name: &str| TIMES.contains(&name) || [&level, &message].into_iter().flatten().any(|(known, _)| known == name);
    for (name, value) in fields.iter().filter(|(name, _)| !told(name)) {
        out.push((format!(" {name}="), Role::Muted));
        out.push((word(value), Role::Text));
    }
    Some(out)
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => crate::model::text::clean(text).into_owned(),
        other => crate::model::text::clean(&other.to_string()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_as_level_message_and_fields_and_everything_else_as_it_is() {
        let line = r#"{"ts":"2026","level":"error","msg":"boom \u001b[31m","code":500,"trace":{"id":"a"}}"#;
        let text: String = pieces(line, Role::Bad).unwrap().into_iter().map(|(t, _)| t).collect();
        assert_eq!(text, r#"ERROR boom [31m  code=500 trace={"id":"a"}"#);
        assert_eq!(pieces("{not json", Role::Text), None);
        assert_eq!(pieces("[1]", Role::Text), None);
    }
}
