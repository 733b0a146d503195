//! What must differ between two servers is replaced, so that the rest can be compared.

use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Fields whose values are of one server.
const OWN: [&str; 22] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "time",
    "continue",
    "lastTransitionTime",
    "lastUpdateTime",
    "lastProbeTime",
    "lastHeartbeatTime",
    "startTime",
    "completionTime",
    "clusterIP",
    "clusterIPs",
    "nodePort",
    "serverAddress",
    "storageVersionHash",
    "startedAt",
    "renewTime",
    "acquireTime",
    "eventTime",
    "timestamp",
];

static TEXTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
        (r"^(\d+[smhdy])+$", "<age>"),
        (r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$", "<time>"),
        (r"(resource version: |current: |ResourceVersion in precondition: |ResourceVersion in object meta: |ResourceVersion in record \()\d+( \(\d+\))?", "$1<n>"),
        (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-<suffix>"),
    ]
    .map(|(pattern, with)| (Regex::new(pattern).expect("a pattern"), with))
    .to_vec()
});

/// The same answer without what is of one server.
pub fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) if map.get("reason").is_some_and(|r| r == "Invalid") && causes(value).is_some() => {
            fields(&in_order(value))
        }
        Value::Object(_) => fields(value),
        Value::Array(all) => {
            let mut all: Vec<Value> = all.iter().map(normal).collect();
            // Conflicts with several managers come in the order of a Go map: any.
            if all.iter().all(|c| c["reason"] == "FieldManagerConflict") {
                all.sort_by_key(|c| (c["field"].to_string(), c["message"].to_string()));
            }
            all.into()
        }
        Value::String(text) => {
            let mut text = text.clone();
            for (pattern, with) in TEXTS.iter() {
                text = pattern.replace_all(&text, *with).into_owned();
            }
            // Errors of fields come in the order of a Go map: any.
            if let Some((head, errors)) = text.split_once("): errors:\n") {
                let mut errors: Vec<&str> = errors.lines().collect();
                errors.sort_unstable();
                text = format!("{head}): errors:\n{}", errors.join("\n"));
            }
            text.into()
        }
        other => other.clone(),
    }
}

/// An object, field by field, in the order of their keys, so that a difference shows nothing else.
fn fields(value: &Value) -> Value {
    let one = |(key, value): (&String, &Value)| {
        let own = OWN.contains(&key.as_str()) && !value.is_null() && !value.is_object();
        (key.clone(), if own { Value::from(format!("<{key}>")) } else { normal(value) })
    };
    value.as_object().into_iter().flatten().map(one).collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn causes(status: &Value) -> Option<&Vec<Value>> {
    status["details"]["causes"].as_array().filter(|all| all.len() > 1)
}

/// A Status of several invalid fields, in which neighbours that are keys of one map are sorted: the real server goes
/// through Go maps (`data`, labels, resources), so their order is any. The order of everything else is compared.
fn in_order(status: &Value) -> Value {
    let mut status = status.clone();
    let Some(before) = causes(&status).cloned() else { return status };
    let mut sorted = before.clone();
    for neighbours in sorted.chunk_by_mut(|a, b| map_of(a) == map_of(b)) {
        neighbours.sort_by_key(|c| (c["field"].to_string(), c["message"].to_string()));
    }
    // The message says the causes again; it is put in the same order only if it says exactly them.
    let said = |all: &[Value]| {
        let one = |c: &Value| format!("{}: {}", c["field"].as_str().unwrap_or(""), c["message"].as_str().unwrap_or(""));
        format!("[{}]", all.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    let message = status["message"].as_str().unwrap_or("").replace(&said(&before), &said(&sorted));
    status["message"] = message.into();
    status["details"]["causes"] = sorted.into();
    status
}

/// The field whose map a cause is of: `data` of `data[a b]`; an index of a list stays, its order is the list's.
fn map_of(cause: &Value) -> String {
    let field = cause["field"].as_str().unwrap_or("");
    let key = field.strip_suffix(']').and_then(|f| f.rsplit_once('[')).filter(|(_, k)| k.parse::<usize>().is_err());
    key.map_or(field, |(map, _)| map).to_owned()
}

#[test]
fn keys_of_a_map_come_in_any_order_and_nothing_else_does() {
    let status = |fields: [&str; 3]| {
        let causes = fields.map(|f| serde_json::json!({"field": f, "message": "bad"}));
        let said = fields.map(|f| format!("{f}: bad")).join(", ");
        serde_json::json!({"reason": "Invalid", "details": {"causes": causes}, "message": format!("x is invalid: [{said}]")})
    };
    assert_eq!(normal(&status(["data[b]", "data[a]", "spec"])), normal(&status(["data[a]", "data[b]", "spec"])));
    assert_ne!(normal(&status(["data[a]", "spec", "data[b]"])), normal(&status(["data[a]", "data[b]", "spec"])));
    assert_ne!(normal(&status(["list[1]", "list[0]", "spec"])), normal(&status(["list[0]", "list[1]", "spec"])));
}
