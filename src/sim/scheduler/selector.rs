//! Label selectors, node selector terms, taints and tolerations.

use super::super::object::{list, strings, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// Whether a `LabelSelector` (matchLabels, matchExpressions) selects; an absent one selects nothing, an empty one all.
pub fn selects(selector: Option<&Value>, labels: &Labels) -> bool {
    let Some(selector) = selector else { return false };
    strings(selector, "matchLabels").iter().all(|(k, v)| labels.get(k) == Some(v))
        && list(selector, "matchExpressions").iter().all(|e| requirement(e, labels))
}

/// One `{key, operator, values}`.
pub fn requirement(e: &Value, labels: &Labels) -> bool {
    let has = labels.get(text(e, "key"));
    let listed = |v: &String| list(e, "values").iter().any(|x| x == v.as_str());
    let number = |v: &String| v.parse::<i64>().ok();
    let bound = || list(e, "values").first().and_then(Value::as_str).and_then(|v| v.parse::<i64>().ok());
    match text(e, "operator") {
        "In" => has.is_some_and(listed),
        "NotIn" => !has.is_some_and(listed),
        "Exists" => has.is_some(),
        "DoesNotExist" => has.is_none(),
        "Gt" => has.and_then(number).zip(bound()).is_some_and(|(v, b)| v > b),
        "Lt" => has.and_then(number).zip(bound()).is_some_and(|(v, b)| v < b),
        _ => false,
    }
}

/// Whether a node of this name and with these labels matches a node selector term.
pub fn term(term: &Value, name: &str, labels: &Labels) -> bool {
    let (by_label, by_field) = (list(term, "matchExpressions"), list(term, "matchFields"));
    let fields = Labels::from([("metadata.name".to_owned(), name.to_owned())]);
    // An empty term matches nothing.
    (!by_label.is_empty() || !by_field.is_empty())
        && by_label.iter().all(|e| requirement(e, labels))
        && by_field.iter().all(|e| requirement(e, &fields))
}

/// Whether one of the tolerations tolerates the taint.
pub fn tolerated(taint: &Value, tolerations: &[Value]) -> bool {
    tolerations.iter().any(|t| {
        let (effect, key) = (text(t, "effect"), text(t, "key"));
        if !effect.is_empty() && effect != text(taint, "effect") || !key.is_empty() && key != text(taint, "key") {
            return false;
        }
        match text(t, "operator") {
            "Exists" => true,
            "" | "Equal" => !key.is_empty() && text(t, "value") == text(taint, "value"),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_and_tolerations_as_the_api_defines_them() {
        let labels = Labels::from([("app".to_owned(), "web".to_owned()), ("n".to_owned(), "7".to_owned())]);
        assert!(selects(Some(&json!({})), &labels) && !selects(None, &labels));
        assert!(selects(
            Some(&json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "x", "operator": "NotIn", "values": ["y"]}, {"key": "n", "operator": "Gt", "values": ["6"]}]})),
            &labels
        ));
        assert!(!term(&json!({}), "n1", &labels));
        assert!(term(
            &json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}),
            "n1",
            &labels
        ));
        let taint = json!({"key": "a", "value": "b", "effect": "NoSchedule"});
        for (toleration, yes) in [
            (json!({"operator": "Exists"}), true),
            (json!({"key": "a", "value": "b"}), true),
            (json!({"key": "a", "operator": "Exists", "effect": "NoExecute"}), false),
            (json!({"key": "a", "value": "c", "effect": "NoSchedule"}), false),
        ] {
            assert_eq!(tolerated(&taint, std::slice::from_ref(&toleration)), yes, "{toleration}");
        }
    }
}
