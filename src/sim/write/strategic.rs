//! Strategic merge patch: a merge patch that merges lists of objects by the keys their type names. Source:
//! k8s.io/apimachinery/pkg/util/strategicpatch/patch.go.

use crate::sim::schema::{Type, any};
use serde_json::{Map, Value};

/// Applies the patch; the error is the real server's text.
pub fn apply(ty: &Type, object: &mut Value, patch: &Value) -> Result<(), String> {
    match (&mut *object, patch) {
        (Value::Object(mine), Value::Object(theirs)) => maps(ty, mine, theirs),
        (_, theirs) => {
            *object = theirs.clone();
            Ok(())
        }
    }
}

fn directive(patch: &Map<String, Value>) -> Option<&str> {
    patch.get("$patch").and_then(Value::as_str)
}

fn maps(ty: &Type, mine: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), String> {
    match directive(patch) {
        Some("replace") => {
            *mine = plain(patch);
            return Ok(());
        }
        Some("delete") => {
            mine.clear();
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => {
            return Err(format!("unknown patch type: {other} in map: {}", go(&Value::Object(patch.clone()))));
        }
    }
    if let Some(Value::Array(keep)) = patch.get("$retainKeys") {
        mine.retain(|k, _| keep.iter().any(|x| x == k));
    }
    for (key, theirs) in patch {
        if key.starts_with('$') {
            continue;
        }
        let field = ty.field(key).unwrap_or_else(|| any());
        if let (Value::Array(theirs), Some(order)) = (theirs, order(patch, key)) {
            check_order(theirs, order, field.strategy.key.as_ref())?;
        }
        match (mine.get_mut(key), theirs) {
            (_, Value::Null) => drop(mine.shift_remove(key)),
            (Some(Value::Object(here)), Value::Object(theirs)) => maps(field, here, theirs)?,
            (Some(Value::Array(here)), Value::Array(theirs)) if field.strategy.merge => {
                lists(field, here, theirs, order(patch, key))?;
            }
            (None, Value::Object(theirs)) => {
                let mut made = Map::new();
                maps(field, &mut made, theirs)?;
                if directive(theirs) != Some("delete") {
                    mine.insert(key.clone(), Value::Object(made));
                }
            }
            (None, Value::Array(theirs)) if field.strategy.merge => {
                let mut made = Vec::new();
                lists(field, &mut made, theirs, None)?;
                mine.insert(key.clone(), Value::Array(made));
            }
            (_, theirs) => {
                mine.insert(key.clone(), theirs.clone());
            }
        }
    }
    for (key, gone) in patch {
        if let (Some(key), Value::Array(gone)) = (key.strip_prefix("$deleteFromPrimitiveList/"), gone)
            && let Some(Value::Array(here)) = mine.get_mut(key)
        {
            here.retain(|x| !gone.contains(x));
        }
        if let Some(key) = key.strip_prefix("$setElementOrder/")
            && !patch.contains_key(key)
            && let Some(Value::Array(here)) = mine.get_mut(key)
        {
            let field = ty.field(key).unwrap_or_else(|| any());
            let before = here.clone();
            arrange(field, here, order(patch, key).unwrap_or_default(), &before);
        }
    }
    Ok(())
}

fn order<'a>(patch: &'a Map<String, Value>, key: &str) -> Option<&'a [Value]> {
    patch.get(&format!("$setElementOrder/{key}")).and_then(Value::as_array).map(Vec::as_slice)
}

/// The patch itself as a value: without directives.
fn plain(patch: &Map<String, Value>) -> Map<String, Value> {
    patch.iter().filter(|(k, v)| !k.starts_with('$') && !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn lists(field: &Type, mine: &mut Vec<Value>, patch: &[Value], order: Option<&[Value]>) -> Result<(), String> {
    let item = field.item().unwrap_or_else(|| any());
    let before = mine.clone();
    let Some(key) = &field.strategy.key else {
        for value in patch {
            if !mine.contains(value) {
                mine.push(value.clone());
            }
        }
        arrange(field, mine, order.unwrap_or(patch), &before);
        return Ok(());
    };
    if patch.iter().any(|p| p.get("$patch").is_some_and(|d| d == "replace")) {
        *mine = patch.iter().filter(|p| p.get("$patch").is_none()).cloned().collect();
        return Ok(());
    }
    for value in patch {
        let Value::Object(theirs) = value else {
            return Err(format!("expected elements of list to be maps, found {value}"));
        };
        let Some(name) = theirs.get(key) else {
            return Err(format!("map: {} does not contain declared merge key: {key}", go(value)));
        };
        let found = mine.iter().position(|m| m.get(key) == Some(name));
        match (directive(theirs), found) {
            (Some("delete"), found) => drop(found.map(|i| mine.remove(i))),
            (_, Some(i)) => apply(item, &mut mine[i], value)?,
            (_, None) => {
                let mut made = Map::new();
                maps(item, &mut made, theirs)?;
                mine.push(Value::Object(made));
            }
        }
    }
    arrange(field, mine, order.unwrap_or(patch), &before);
    Ok(())
}

/// Puts the items that `order` names into that order and merges the others in where they stood before them; what cannot
/// be told goes after them (`normalizeElementOrder`, `mergeSortedSlice`).
fn arrange(field: &Type, mine: &mut Vec<Value>, order: &[Value], before: &[Value]) {
    let name =
        |v: &Value| field.strategy.key.as_ref().map_or_else(|| v.clone(), |k| v.get(k).cloned().unwrap_or_default());
    let rank = |all: &[Value], v: &Value| all.iter().position(|o| name(o) == name(v));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        std::mem::take(mine).into_iter().partition(|v| rank(order, v).is_some());
    named.sort_by_key(|v| rank(order, v));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(n), Some(o)) = (named.peek(), others.peek()) {
        let first = matches!((rank(before, o), rank(before, n)), (Some(o), Some(n)) if o < n);
        mine.extend(if first { others.next() } else { named.next() });
    }
    mine.extend(named.chain(others));
}

/// Refuses a list whose items come in another order than the directive beside it tells, or are not in it.
fn check_order(patch: &[Value], order: &[Value], merge_key: Option<&String>) -> Result<(), String> {
    let name = |v: &Value| merge_key.map_or_else(|| v.clone(), |k| v.get(k).cloned().unwrap_or_default());
    let mut rest = order.iter();
    let deleted = |v: &Value| v.get("$patch").is_some_and(|d| d == "delete");
    let fits =
        patch.iter().filter(|v| !deleted(v) && v.get("$patch").is_none()).all(|v| rest.any(|o| name(o) == name(v)));
    if fits {
        return Ok(());
    }
    let (patch, order) = (go(&Value::from(patch)), go(&Value::from(order)));
    Err(format!("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n"))
}

/// A value as Go prints it: `map[image:a name:b]`.
pub fn go(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut all: Vec<(&String, &Value)> = map.iter().collect();
            all.sort_by_key(|(k, _)| *k);
            let all: Vec<String> = all.into_iter().map(|(k, v)| format!("{k}:{}", go(v))).collect();
            format!("map[{}]", all.join(" "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(go).collect::<Vec<_>>().join(" ")),
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::schema;
    use serde_json::json;

    fn patched(object: Value, patch: Value) -> Value {
        let mut object = object;
        apply(schema::of_kind("v1", "Pod").unwrap(), &mut object, &patch).unwrap();
        object
    }

    #[test]
    fn lists_merge_by_their_key_and_directives_are_followed() {
        let pod = json!({"metadata": {"finalizers": ["a", "b"]}, "spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}],
            "nodeSelector": {"x": "y"}}});
        let got = patched(
            pod.clone(),
            json!({"spec": {"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]}}),
        );
        assert_eq!(
            got["spec"]["containers"],
            json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"}])
        );
        let got = patched(pod.clone(), json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}));
        assert_eq!(got["spec"]["containers"], json!([{"name": "b", "image": "1"}]));
        let got = patched(
            pod.clone(),
            json!({"spec": {"containers": [{"name": "z"}, {"$patch": "replace"}], "nodeSelector": {"$patch": "replace", "n": "1"}}}),
        );
        assert_eq!(got["spec"], json!({"containers": [{"name": "z"}], "nodeSelector": {"n": "1"}}));
        let got = patched(pod.clone(), json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}));
        assert_eq!(got["metadata"]["finalizers"], json!(["b"]));
        let got =
            patched(pod.clone(), json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}));
        assert_eq!(got["spec"]["containers"][0]["name"], "b");
        let mut pod = pod;
        let ty = schema::of_kind("v1", "Pod").unwrap();
        assert!(
            apply(ty, &mut pod, &json!({"spec": {"containers": [{"image": "2"}]}}))
                .unwrap_err()
                .contains("merge key: name")
        );
    }
}
