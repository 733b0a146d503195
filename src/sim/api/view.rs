//! Objects in the version a client asks for. Events are stored once, in the core shape, and served in two groups;
//! autoscalers are stored as v2 and served as v1 too.

use super::autoscaler;
use crate::sim::object::{set, text};
use crate::sim::resource::Resource;
use crate::sim::store::Stored;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Fields of an Event: core/v1, events.k8s.io/v1.
const EVENT: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The key under which a kind's objects are stored.
pub fn storage(kind: &Resource) -> String {
    if kind.group == "events.k8s.io" { "events".to_owned() } else { kind.key() }
}

/// `v1`, `apps/v1`.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Whether objects of a kind are served in another shape than they are stored in.
pub fn differs(kind: &Resource, version: &str) -> bool {
    kind.group == "events.k8s.io" || kind.versions[0] != version
}

/// The body of an object in a version.
pub fn body<'a>(object: &'a Stored, kind: &Resource, version: &str) -> Cow<'a, str> {
    if differs(kind, version) {
        Cow::Owned(outward(object.value(), kind, version).to_string())
    } else {
        Cow::Borrowed(&object.body)
    }
}

/// A stored object in the version that is served.
pub fn outward(mut object: Value, kind: &Resource, version: &str) -> Value {
    if !differs(kind, version) {
        return object;
    }
    set(&mut object, "apiVersion", api_version(&kind.group, version));
    match kind.key().as_str() {
        "events.events.k8s.io" => {
            let mut event = renamed(&object, |k| EVENT.iter().find(|(core, _)| *core == k).map(|(_, new)| *new));
            if let Value::Object(event) = &mut event {
                // What core/v1 always writes, this version leaves out when empty; but not the time.
                event.retain(|k, v| !(["reportingController", "reportingInstance"].contains(&k.as_str()) && v == ""));
                event.entry("eventTime").or_insert(Value::Null);
            }
            event
        }
        "horizontalpodautoscalers.autoscaling" => autoscaler::to_v1(object),
        _ => object,
    }
}

/// An object as a client sends it in a version, as it is stored.
pub fn inward(mut object: Value, kind: &Resource, version: &str) -> Value {
    if !differs(kind, version) {
        return object;
    }
    if kind.group == "events.k8s.io" {
        if object.get("apiVersion").is_some() {
            set(&mut object, "apiVersion", "v1");
        }
        return in_core(&object);
    }
    if kind.key() == "horizontalpodautoscalers.autoscaling" { autoscaler::to_v2(object) } else { object }
}

fn in_core(event: &Value) -> Value {
    renamed(event, |k| EVENT.iter().find(|(_, new)| *new == k).map(|(core, _)| *core))
}

/// The core shape of an Event of events.k8s.io; `None` for anything else.
pub fn core_event(object: &Value) -> Option<Value> {
    (text(object, "apiVersion") == "events.k8s.io/v1").then(|| in_core(object))
}

fn renamed(object: &Value, name: impl Fn(&str) -> Option<&'static str>) -> Value {
    let Value::Object(map) = object else { return object.clone() };
    let map: Map<String, Value> =
        map.iter().map(|(k, v)| (name(k).map_or_else(|| k.clone(), str::to_owned), v.clone())).collect();
    Value::Object(map)
}

/// PartialObjectMetadata of an object.
pub fn metadata(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::resource::Registry;

    #[test]
    fn an_event_has_two_shapes() {
        let kind = Registry::default().get("events.events.k8s.io").unwrap();
        let core = json!({"apiVersion": "v1", "kind": "Event", "message": "hi", "involvedObject": {"name": "a"}, "count": 2, "eventTime": null});
        let new = outward(core.clone(), &kind, "v1");
        assert_eq!(new["note"], "hi");
        assert_eq!((&new["regarding"]["name"], &new["apiVersion"]), (&json!("a"), &json!("events.k8s.io/v1")));
        assert_eq!(inward(new, &kind, "v1"), core);
    }
}
