//! Questions about rights: access, rules and self subject reviews. They are answered and not stored.

use super::auth::{Deed, User, may, rules};
use super::path::Place;
use crate::sim::object::{at, list, set, text};
use crate::sim::status::Status;
use crate::sim::store::Store;
use serde_json::{Value, json};

const AUTHORIZATION: [&str; 4] =
    ["selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews", "localsubjectaccessreviews"];

/// Whether a place takes reviews.
pub fn is(place: &Place) -> bool {
    match (place.group.as_str(), place.version.as_str()) {
        ("authorization.k8s.io", "v1") => AUTHORIZATION.contains(&&*place.plural),
        ("authentication.k8s.io", "v1") => place.plural == "selfsubjectreviews",
        _ => false,
    }
}

/// Answers a review.
///
/// # Errors
/// 400 for a body that cannot be read.
pub fn answer(store: &Store, user: &User, place: &Place, body: &[u8]) -> Result<Value, Status> {
    let mut review = super::body::json(body)?;
    let status = match place.plural.as_str() {
        "selfsubjectaccessreviews" => access(store, user, &review),
        "selfsubjectrulesreviews" => rights(store, user, text(&review, "spec.namespace")),
        "selfsubjectreviews" => json!({"userInfo": {"username": user.name, "groups": user.groups}}),
        _ => {
            let local = place.plural.starts_with("local");
            if local && text(&review, "spec.resourceAttributes.namespace") != place.namespace {
                return Err(Status::bad_request("spec.resourceAttributes.namespace must match namespace"));
            }
            let groups = list(&review, "spec.groups").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            access(store, &User { name: text(&review, "spec.user").to_owned(), groups }, &review)
        }
    };
    set(&mut review, "status", status);
    Ok(review)
}

fn access(store: &Store, user: &User, review: &Value) -> Value {
    let part = |name: &str| text(review, &format!("spec.resourceAttributes.{name}")).to_owned();
    let deed = if at(review, "spec.nonResourceAttributes").is_some() {
        let part = |name: &str| text(review, &format!("spec.nonResourceAttributes.{name}")).to_owned();
        Deed { verb: part("verb"), path: part("path"), ..Deed::default() }
    } else {
        let sub = part("subresource");
        let resource = part("resource");
        Deed {
            verb: part("verb"),
            group: part("group"),
            resource: if sub.is_empty() { resource } else { format!("{resource}/{sub}") },
            namespace: part("namespace"),
            name: part("name"),
            path: String::new(),
        }
    };
    let allowed = may(store, user, &deed);
    if allowed { json!({"allowed": true}) } else { json!({"allowed": false}) }
}

fn rights(store: &Store, user: &User, namespace: &str) -> Value {
    let mut resources: Vec<Value> = Vec::new();
    let mut paths: Vec<Value> = Vec::new();
    if user.groups.iter().any(|g| g == "system:masters") {
        resources.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        paths.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    for rule in rules(store, user, namespace) {
        if at(&rule, "nonResourceURLs").is_some() {
            paths.push(json!({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}));
        } else {
            resources.push(rule);
        }
    }
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}
