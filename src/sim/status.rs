//! The server's refusals: `metav1.Status`, worded as the real server words them.

use serde_json::{Map, Value, json};

/// A Status with `status: Failure`.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// HTTP code.
    pub code: u16,
    /// `NotFound`, `Conflict`, `Invalid`, …; empty for none.
    pub reason: &'static str,
    /// Text.
    pub message: String,
    /// `details`, or null.
    pub details: Value,
}

impl Status {
    /// A refusal without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    /// The same with details.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 404 for an object of a kind (`deployments`, group `apps`).
    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", qualified(group, plural)))
            .with(details(group, plural, name))
    }

    /// 409 for a name that is taken.
    pub fn exists(group: &str, plural: &str, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", qualified(group, plural)))
            .with(details(group, plural, name))
    }

    /// 409 for a precondition that does not hold; `why` as the real server gives it.
    pub fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(group, plural));
        Self::new(409, "Conflict", message).with(details(group, plural, name))
    }

    /// The body.
    pub fn body(&self) -> Value {
        let mut body =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message});
        if let Value::Object(map) = &mut body {
            if !self.reason.is_empty() {
                map.insert("reason".into(), self.reason.into());
            }
            if !self.details.is_null() {
                map.insert("details".into(), self.details.clone());
            }
            map.insert("code".into(), self.code.into());
        }
        body
    }
}

/// `pods`, or `deployments.apps`.
pub fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

/// `details` that name an object.
pub fn details(group: &str, plural: &str, name: &str) -> Value {
    let mut all = Map::new();
    all.insert("name".into(), name.into());
    if !group.is_empty() {
        all.insert("group".into(), group.into());
    }
    all.insert("kind".into(), plural.into());
    Value::Object(all)
}
