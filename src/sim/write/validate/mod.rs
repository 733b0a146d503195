//! Validation: what is refused with 422, field by field, in the words of k8s.io/kubernetes pkg/apis/*/validation.

mod meta;
pub mod names;
mod other;
mod pod;
mod workload;

use super::Target;
use crate::sim::status::Status;
use serde_json::{Value, json};

/// Collects what is wrong with an object.
#[derive(Debug, Default)]
pub struct Errors {
    all: Vec<(&'static str, String, String)>,
}

impl Errors {
    fn push(&mut self, reason: &'static str, field: &str, message: String) {
        let new = (reason, field.to_owned(), message);
        if !self.all.contains(&new) {
            self.all.push(new);
        }
    }

    /// A field that must be given.
    pub fn required(&mut self, field: &str, detail: &str) {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        self.push("FieldValueRequired", field, message);
    }

    /// A value that cannot be.
    pub fn invalid(&mut self, field: &str, value: &Value, detail: &str) {
        self.push("FieldValueInvalid", field, format!("Invalid value: {}: {detail}", quoted(value)));
    }

    /// A value out of a list of others.
    pub fn unsupported(&mut self, field: &str, value: &str, known: &[&str]) {
        self.unsupported_value(field, &value.into(), known);
    }

    /// The same of any value.
    pub fn unsupported_value(&mut self, field: &str, value: &Value, known: &[&str]) {
        let known: Vec<String> = known.iter().map(|k| format!("{k:?}")).collect();
        let message = format!("Unsupported value: {}: supported values: {}", quoted(value), known.join(", "));
        self.push("FieldValueNotSupported", field, message);
    }

    /// A value that is there already.
    pub fn duplicate(&mut self, field: &str, value: &Value) {
        self.push("FieldValueDuplicate", field, format!("Duplicate value: {}", quoted(value)));
    }

    /// A field that may not be given, or not changed.
    pub fn forbidden(&mut self, field: &str, detail: &str) {
        self.push("FieldValueForbidden", field, format!("Forbidden: {detail}"));
    }

    /// A reference to something that is not in the object.
    pub fn missing(&mut self, field: &str, value: &str) {
        self.push("FieldValueNotFound", field, format!("Not found: {value:?}"));
    }

    /// A text that is too long.
    pub fn too_long(&mut self, field: &str, most: usize) {
        self.push("FieldValueTooLong", field, format!("Too long: may not be more than {most} bytes"));
    }

    /// A whole number below zero.
    pub fn not_negative(&mut self, field: &str, value: Option<i64>) {
        if let Some(value) = value.filter(|v| *v < 0) {
            self.invalid(field, &value.into(), "must be greater than or equal to 0");
        }
    }

    /// A name's faults, each of them.
    pub fn names(&mut self, field: &str, value: &str, faults: Vec<String>) {
        for fault in faults {
            self.invalid(field, &value.into(), &fault);
        }
    }

    /// 422 with all causes, or nothing.
    pub fn into_result(self, group: &str, kind: &str, name: &str) -> Result<(), Status> {
        if self.all.is_empty() {
            return Ok(());
        }
        let mut said: Vec<String> = Vec::new();
        for (_, field, message) in &self.all {
            let text = format!("{field}: {message}");
            if !said.contains(&text) {
                said.push(text);
            }
        }
        let what = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let list = if let [one] = said.as_slice() { one.clone() } else { format!("[{}]", said.join(", ")) };
        let causes: Value = self
            .all
            .iter()
            .map(|(reason, field, message)| json!({"reason": reason, "message": message, "field": field}))
            .collect();
        let mut details = json!({});
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details[key] = value.into();
            }
        }
        details["causes"] = causes;
        Err(Status::new(422, "Invalid", format!("{what} {name:?} is invalid: {list}")).with(details))
    }
}

/// A value as Go's `%q` shows a text, and as JSON anything else.
fn quoted(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if u32::from(c) < 0x80 && c.is_control() => out.extend(format!("\\x{:02x}", u32::from(c)).chars()),
            c if c.is_control() => out.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What is wrong with the containers of a pod that was resized.
pub fn resized(spec: &Value, errors: &mut Errors) {
    for field in ["containers", "initContainers"] {
        for (i, c) in crate::sim::object::list(spec, field).iter().enumerate() {
            pod::resources(c, &format!("spec.{field}[{i}].resources"), errors);
        }
    }
}

/// Refuses a new object that is not valid.
pub fn on_create(target: Target<'_>, object: &Value) -> Result<(), Status> {
    let mut errors = Errors::default();
    meta::validate(target.kind, object, &mut errors);
    by_kind(target, object, &mut errors);
    finish(errors, target, object)
}

/// Kinds whose strategy validates a changed object as it does a new one.
const WHOLE_AGAIN: [&str; 3] = ["configmaps", "secrets", "services"];

/// Refuses a change that is not valid, or of what cannot change.
pub fn on_update(target: Target<'_>, before: &Value, object: &Value) -> Result<(), Status> {
    let mut errors = Errors::default();
    // The registry validates the metadata twice over, and then so does the kind's own strategy: each cause comes as often.
    meta::validate(target.kind, object, &mut errors);
    let rounds = if WHOLE_AGAIN.contains(&target.kind.key().as_str()) { 4 } else { 3 };
    errors.all = std::iter::repeat_n(errors.all, rounds).flatten().collect();
    let mut changed = Errors::default();
    meta::unchanged(before, object, &mut changed);
    errors.all.extend(std::iter::repeat_n(changed.all, 2).flatten());
    if target.subresource.is_empty() || target.subresource == "scale" {
        match target.kind.key().as_str() {
            "pods" => pod::unchanged(before, object, &mut errors),
            "deployments.apps" | "replicasets.apps" | "daemonsets.apps" => {
                workload::selector_unchanged(before, object, &mut errors);
            }
            "statefulsets.apps" => workload::stateful_set_unchanged(before, object, &mut errors),
            "jobs.batch" => workload::job_unchanged(before, object, &mut errors),
            _ => other::unchanged(target.kind, before, object, &mut errors),
        }
        if target.kind.key() != "pods" {
            by_kind(target, object, &mut errors);
        }
    }
    finish(errors, target, object)
}

fn finish(errors: Errors, target: Target<'_>, object: &Value) -> Result<(), Status> {
    errors.into_result(&target.kind.group, &target.kind.kind, crate::sim::object::text(object, "metadata.name"))
}

fn by_kind(target: Target<'_>, object: &Value, errors: &mut Errors) {
    match target.kind.key().as_str() {
        "pods" => pod::validate(object.get("spec"), "spec", pod::Place::Pod, errors),
        "deployments.apps" => workload::deployment(object, errors),
        "replicasets.apps" | "replicationcontrollers" => workload::replica_set(target.kind, object, errors),
        "statefulsets.apps" => workload::stateful_set(object, errors),
        "daemonsets.apps" => workload::daemon_set(object, errors),
        "jobs.batch" => workload::job(object.get("spec"), "spec", errors),
        "cronjobs.batch" => workload::cron_job(object, errors),
        _ => other::validate(target.kind, object, errors),
    }
}
