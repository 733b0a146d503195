//! Label selectors of workloads and budgets (`matchLabels`, `matchExpressions`).

use crate::sim::object::{at, list, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Whether a LabelSelector matches; an empty one matches everything, an absent one nothing.
pub fn matches(selector: Option<&Value>, labels: &BTreeMap<String, String>) -> bool {
    let Some(selector) = selector else { return false };
    let wanted = at(selector, "matchLabels").and_then(Value::as_object).into_iter().flatten();
    wanted.filter_map(|(k, v)| Some((k, v.as_str()?))).all(|(k, v)| labels.get(k).is_some_and(|l| l == v))
        && list(selector, "matchExpressions").iter().all(|e| {
            let have = labels.get(text(e, "key"));
            let named = || have.is_some_and(|h| list(e, "values").iter().any(|v| v == h));
            match text(e, "operator") {
                "In" => named(),
                "NotIn" => !named(),
                "Exists" => have.is_some(),
                "DoesNotExist" => have.is_none(),
                _ => false,
            }
        })
}

/// Whether the selector is absent or has no requirement.
pub fn selects_nothing(selector: Option<&Value>) -> bool {
    selector.is_none_or(|s| {
        at(s, "matchLabels").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
            && list(s, "matchExpressions").is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requirements_are_all_to_be_met() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "a".to_owned())]);
        let yes = |s: Value| matches(Some(&s), &labels);
        assert!(yes(json!({"matchLabels": {"app": "web"}})));
        assert!(!yes(json!({"matchLabels": {"app": "web", "x": "y"}})));
        assert!(yes(json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]})));
        assert!(!yes(json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]})));
        assert!(yes(json!({"matchExpressions": [{"key": "no", "operator": "NotIn", "values": ["a"]}]})));
        assert!(yes(json!({"matchExpressions": [{"key": "no", "operator": "DoesNotExist"}]})));
        assert!(!yes(json!({"matchExpressions": [{"key": "no", "operator": "Exists"}]})));
        assert!(yes(json!({})) && selects_nothing(Some(&json!({}))));
        assert!(!matches(None, &labels) && selects_nothing(None));
    }
}
