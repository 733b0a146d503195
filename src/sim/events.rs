//! Events, as client-go's recorder writes them: what happens again is counted on the Event that told of it first.
//! Source of the rules: k8s.io/client-go/tools/record (events_cache.go).

use super::clock::rfc3339;
use super::fields::Writer;
use super::noise::Noise;
use super::object::{int, set, text};
use super::store::{Store, StoreError};
use crate::model::time::Timestamp;
use serde_json::{Value, json};

/// How long the API server keeps an Event after its last write: an hour (`--event-ttl`).
pub const TTL_SECONDS: i64 = 3600;

/// Bytes of a message that are kept.
const MESSAGE: usize = 1024;

/// One thing to tell.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The object it is about, with `apiVersion` and `kind`.
    pub about: &'a Value,
    /// Part of the object, such as `spec.containers{web}`; empty for the whole.
    pub field: &'a str,
    /// `Normal` or `Warning`.
    pub kind: &'a str,
    /// CamelCase reason.
    pub reason: &'a str,
    /// Text.
    pub message: &'a str,
    /// Who says it: `kubelet`, `deployment-controller`, `default-scheduler`.
    pub component: &'a str,
    /// The node it says it from; empty for none.
    pub host: &'a str,
}

/// Records an Event about a whole object, from nowhere in particular. See [`tell`].
#[allow(clippy::too_many_arguments)] // the recorder's own arguments
pub fn record(
    store: &Store,
    noise: Noise,
    now: Timestamp,
    about: &Value,
    kind: &str,
    reason: &str,
    message: &str,
    component: &str,
) {
    tell(store, noise, now, Event { about, field: "", kind, reason, message, component, host: "" });
}

/// Records an Event, or counts it on the one that told the same of the same object before.
pub fn tell(store: &Store, noise: Noise, now: Timestamp, event: Event<'_>) {
    let Event { about, field, kind, reason, message, component, host } = event;
    let name = text(about, "metadata.name");
    // What is cluster-scoped is told in the namespace `default`.
    let own = text(about, "metadata.namespace");
    let namespace = if own.is_empty() { "default" } else { own };
    let message = cut(message);
    let uid = match text(about, "metadata.uid") {
        // The kubelet names nodes by name and not by UID.
        _ if component == "kubelet" && text(about, "kind") == "Node" => name,
        uid => uid,
    };
    let same = [component, host, text(about, "kind"), own, name, uid, field, kind, reason, message].join("\u{0}");
    let id = noise.of("events").of(&same).bits(0);
    let event_name = format!("{name}.{id:016x}");
    let time = rfc3339(now);
    let writer = Writer::of(component);
    let again = store.modify("events", namespace, &event_name, writer, |old| {
        set(old, "count", int(old, "count").unwrap_or(1) + 1);
        set(old, "lastTimestamp", time.as_str());
        Ok::<_, StoreError>(())
    });
    if again.is_ok() {
        return;
    }
    let mut involved = json!({"kind": text(about, "kind")});
    for (key, value) in [
        ("namespace", own),
        ("name", name),
        ("uid", uid),
        ("apiVersion", text(about, "apiVersion")),
        ("resourceVersion", text(about, "metadata.resourceVersion")),
        ("fieldPath", field),
    ] {
        if !value.is_empty() {
            set(&mut involved, key, value);
        }
    }
    let mut source = json!({"component": component});
    if !host.is_empty() {
        set(&mut source, "host", host);
    }
    let made = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": event_name, "namespace": namespace},
        "involvedObject": involved,
        "reason": reason, "message": message, "source": source,
        "firstTimestamp": time, "lastTimestamp": time, "count": 1, "type": kind, "eventTime": null,
        "reportingComponent": component, "reportingInstance": host,
    });
    // Only a name that has just been taken could be refused here, and nobody else uses these names.
    drop(store.create("events", made, writer));
}

/// The first [`MESSAGE`] bytes, whole characters.
fn cut(message: &str) -> &str {
    let end = (0..=message.len().min(MESSAGE)).rev().find(|i| message.is_char_boundary(*i)).unwrap_or(0);
    &message[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::clock::{Clock, at};
    use std::sync::Arc;

    #[test]
    fn what_repeats_is_counted_and_what_differs_is_not() {
        let store = Store::new(Arc::new(Clock::new(at(1_800_000_000_000), 0.0)), Noise::new(1));
        let pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "shop", "uid": "u"}});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "u2"}});
        for second in 0..3 {
            let now = at(1_800_000_000_000 + second * 1000);
            record(&store, Noise::new(1), now, &pod, "Warning", "BackOff", "Back-off restarting", "kubelet");
        }
        record(&store, Noise::new(1), at(0), &pod, "Normal", "Pulled", &"é".repeat(2000), "kubelet");
        record(&store, Noise::new(1), at(0), &node, "Normal", "NodeReady", "ready", "kubelet");
        let (_, all) = store.list("events", Some("shop"));
        let back = all.iter().map(|e| e.value()).find(|e| text(e, "reason") == "BackOff").unwrap();
        assert_eq!((all.len(), int(&back, "count")), (2, Some(3)));
        assert_eq!(text(&back, "lastTimestamp"), rfc3339(at(1_800_000_002_000)));
        assert_eq!(text(&back, "firstTimestamp"), rfc3339(at(1_800_000_000_000)));
        let pulled = all.iter().map(|e| e.value()).find(|e| text(e, "reason") == "Pulled").unwrap();
        assert_eq!(text(&pulled, "message").len(), 1024);
        let of_node = store.list("events", Some("default")).1[0].value();
        assert_eq!(text(&of_node, "involvedObject.uid"), "n");
    }
}
