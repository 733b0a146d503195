//! The differences that remain: where they are and why they are accepted. One that disappears fails the test as one that is
//! new does.

use serde_json::Value;

/// A difference of one case.
pub struct Known {
    /// The case's name.
    pub case: &'static str,
    /// Where its answers differ: JSON pointers into the list of answers, each of which must be hit.
    pub at: &'static [&'static str],
    /// Why that is accepted.
    pub why: &'static str,
}

/// All of them.
pub const KNOWN: &[Known] = &[
    Known {
        case: "protobuf is not insisted on",
        at: &["/0/answer"],
        why: "we answer JSON whoever prefers protobuf; clients that do take both",
    },
    Known {
        case: "defaults of Pod",
        at: &["/0/answer/spec/serviceAccount", "/0/answer/spec/serviceAccountName"],
        why: SERVICE_ACCOUNT,
    },
    Known {
        case: "defaults of a rich Pod",
        at: &["/0/answer/spec/serviceAccount", "/0/answer/spec/serviceAccountName"],
        why: SERVICE_ACCOUNT,
    },
    Known {
        case: "broken patches",
        at: &["/3/answer/message"],
        why: "another YAML library words its errors otherwise",
    },
    Known {
        case: "custom: a kind is made",
        at: &["/0/answer/metadata/continue", "/1/answer/resources/0/storageVersionHash", "/1/answer/resources/1"],
        why: "lists and discovery of custom kinds show what is empty or said already otherwise than those of built-in kinds",
    },
    Known { case: "custom: no kind", at: &["/0/answer/message"], why: CUSTOM },
    Known { case: "custom: another kind", at: &["/0/code", "/0/answer"], why: CUSTOM },
    Known { case: "custom: a wrong type", at: &["/0/code", "/0/answer"], why: CUSTOM },
    Known {
        case: "custom: update without a version",
        at: &["/0/code", "/0/answer"],
        why: "the real server lets nobody update a custom object unconditionally; ours treats all kinds alike",
    },
    Known {
        case: "custom: nothing there",
        at: &["/2/answer/details", "/2/answer/message"],
        why: "of an unknown subresource of a custom object the real server tells that the object is not there",
    },
];

const CUSTOM: &str = "custom objects are refused by our decoder, not by the schema's validator with its own words";
const SERVICE_ACCOUNT: &str = "the rig runs without the ServiceAccount admission plugin, which every real cluster has";

/// What is new or gone in a case, given where its answers differ; nothing if that is just what is known.
pub fn surprises(case: &str, differing: &[String]) -> Vec<String> {
    let places: Vec<&str> = KNOWN.iter().filter(|k| k.case == case).flat_map(|k| k.at).copied().collect();
    let below = |place: &str, pointer: &str| {
        pointer.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let new = differing.iter().filter(|p| !places.iter().any(|k| below(k, p))).map(|p| format!("differs at {p}"));
    let gone = places.iter().filter(|k| !differing.iter().any(|p| below(k, p)));
    new.chain(gone.map(|k| format!("agrees at {k}, and is listed as a known difference"))).collect()
}

/// Pointers to the smallest parts in which two values differ.
pub fn differing(a: &Value, b: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(Some(a), Some(b), &mut String::new(), &mut found);
    found
}

/// `None` is what is not there, which differs from null.
fn walk(a: Option<&Value>, b: Option<&Value>, at: &mut String, found: &mut Vec<String>) {
    let mut inner = |key: &str, a: Option<&Value>, b: Option<&Value>| {
        let length = at.len();
        at.push('/');
        at.push_str(&key.replace('~', "~0").replace('/', "~1"));
        walk(a, b, at, found);
        at.truncate(length);
    };
    match (a, b) {
        (Some(Value::Object(x)), Some(Value::Object(y))) => {
            for (key, value) in x {
                inner(key, Some(value), y.get(key));
            }
            for (key, value) in y.iter().filter(|(k, _)| !x.contains_key(*k)) {
                inner(key, None, Some(value));
            }
        }
        (Some(Value::Array(x)), Some(Value::Array(y))) => {
            for i in 0..x.len().max(y.len()) {
                inner(&i.to_string(), x.get(i), y.get(i));
            }
        }
        _ if a != b => found.push(at.clone()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_is_found_where_it_is() {
        let (a, b) = (json!([{"a": 1, "b": [1, 2]}, null]), json!([{"a": 1, "b": [1], "c/d": null}, null]));
        assert_eq!(differing(&a, &b), ["/0/b/1", "/0/c~1d"]);
        assert_eq!(differing(&a, &a), Vec::<String>::new());
    }
}
