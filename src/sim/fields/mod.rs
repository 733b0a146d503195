//! Who owns which field: managedFields, kept as the real server keeps them. Source:
//! k8s.io/apimachinery/pkg/util/managedfields and structured-merge-diff's merge/update.go.

pub mod apply;
mod managers;
pub mod set;
pub mod walk;

pub use managers::{Manager, Managers, stripped};

use super::object::{set as put, take, text};
use super::schema::{self, Type};
use serde_json::Value;
use std::borrow::Cow;

/// Who writes, for managedFields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writer<'a> {
    /// Field manager, such as `kube-controller-manager`; empty: not tracked.
    pub manager: &'a str,
    /// `status`, `scale`, or empty for the main resource.
    pub subresource: &'a str,
}

impl<'a> Writer<'a> {
    /// A writer of the main resource.
    pub const fn of(manager: &'a str) -> Self {
        Self { manager, subresource: "" }
    }

    /// The same writer of the status.
    pub const fn status(manager: &'a str) -> Self {
        Self { manager, subresource: "status" }
    }
}

/// The type that ownership in an object goes by. That of a custom kind's objects is deduced: maps by key, lists whole.
pub(in crate::sim) fn type_of(object: &Value) -> Cow<'static, Type> {
    match schema::of_kind(text(object, "apiVersion"), text(object, "kind")) {
        Some(ty) => Cow::Borrowed(ty),
        None => Cow::Owned(schema::custom_type(&Value::Null, "")),
    }
}

/// Records in `new`'s managedFields that `writer` made it out of `old` (`None`: created) by an update at `time`.
/// An object that came without managedFields (loaded, or made before anybody kept them) stays without: the real server
/// begins to track such an object with its first apply.
pub fn track(old: Option<&Value>, new: &mut Value, writer: Writer<'_>, time: &str) {
    if writer.manager.is_empty() {
        return;
    }
    // What a client says about managedFields counts only as far as it clears them.
    let given = take(new, "metadata.managedFields");
    let mut managers = match old {
        Some(old) => Managers::of(old),
        None => Managers::default(),
    };
    if old.is_some() && managers.is_empty() {
        return;
    }
    if given.as_ref().is_some_and(|g| g.as_array().is_some_and(|all| all.len() == 1 && all[0] == serde_json::json!({})))
    {
        return;
    }
    let ty = type_of(new);
    // That managedFields are gone in the new one is nobody's loss: no manager owns them.
    let before = old.map_or_else(|| Cow::Owned(walk::empty(&ty)), Cow::Borrowed);
    let difference = walk::compare(&ty, &before, new);
    let me = Manager::update(writer, text(new, "apiVersion"));
    managers.updated(&me, difference, ignored(writer.subresource), time);
    if let Some(json) = managers.to_json() {
        put(new, "metadata.managedFields", json);
    }
}

/// The part of an object that a write through this subresource cannot change, so that nobody owns it by trying.
pub(in crate::sim) fn ignored(subresource: &str) -> &'static str {
    if subresource == "status" { "f:spec" } else { "f:status" }
}

/// Whether two objects differ in no more than the times in managedFields: a write that changes only those is none.
pub fn same_but_times(a: &Value, b: &Value) -> bool {
    let timeless = |entry: &Value| entry.as_object().map(|e| e.iter().filter(|(k, _)| *k != "time").count());
    let entry = |a: &Value, b: &Value| {
        let said = |(k, v): (&String, &Value)| k == "time" || b.get(k) == Some(v);
        timeless(a) == timeless(b) && a.as_object().is_some_and(|a| a.iter().all(said))
    };
    let entries = |a: &Value, b: &Value| match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| entry(a, b)),
        _ => a == b,
    };
    same_but("metadata", a, b, |a, b| same_but("managedFields", a, b, entries))
}

/// Whether two values are the same, where `like` judges the value of `key` if both have one.
fn same_but(key: &str, a: &Value, b: &Value, like: impl Fn(&Value, &Value) -> bool) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return a == b };
    a.len() == b.len()
        && a.iter().all(|(k, v)| b.get(k).is_some_and(|other| if k == key { like(v, other) } else { v == other }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_in_managed_fields_are_no_difference_and_everything_else_is() {
        let object = |time: &str, manager: &str, replicas: i64| {
            let entry = json!({"manager": manager, "time": time});
            json!({"metadata": {"name": "a", "managedFields": [entry]}, "spec": {"replicas": replicas}})
        };
        let one = object("t1", "m", 1);
        assert!(same_but_times(&one, &one) && same_but_times(&one, &object("t2", "m", 1)));
        assert!(!same_but_times(&one, &object("t1", "other", 1)));
        assert!(!same_but_times(&one, &object("t2", "m", 2)));
        let mut bare = one.clone();
        take(&mut bare, "metadata.managedFields");
        assert!(!same_but_times(&one, &bare) && !same_but_times(&bare, &one));
        let mut timeless = one.clone();
        take(&mut timeless["metadata"]["managedFields"][0], "time");
        assert!(same_but_times(&one, &timeless) && same_but_times(&timeless, &one));
    }
}
