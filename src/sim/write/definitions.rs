//! CustomResourceDefinitions take effect: what they define is served as soon as they are written, and gone with its objects
//! when they are deleted (apiextensions-apiserver's naming, establishing and finalizing controllers).

use crate::sim::clock::rfc3339;
use crate::sim::fields::Writer;
use crate::sim::object::{holds, set, set_condition, text};
use crate::sim::resource::Resource;
use crate::sim::schema::custom_kind;
use crate::sim::store::{Delete, Store, StoreError};
use serde_json::{Value, json};

const KEY: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Whether objects of this kind define others.
pub fn defines(kind: &Resource) -> bool {
    kind.key() == KEY
}

/// Serves what a stored definition defines, and says so in its status.
pub fn establish(store: &Store, definition: &Value) {
    // One that names no kind or serves no version defines nothing.
    let Some(kind) = custom_kind(definition) else { return };
    let stored: Vec<String> = kind.versions.first().cloned().into_iter().collect();
    store.registry.add(kind);
    if holds(definition, "Established") {
        return;
    }
    let now = rfc3339(store.clock().now());
    let tell = |live: &mut Value| {
        let names = live["spec"]["names"].clone();
        set(live, "status.acceptedNames", names);
        set(live, "status.storedVersions", json!(stored));
        set_condition(live, "NamesAccepted", "True", "NoConflicts", "no conflicts found", &now);
        set_condition(
            live,
            "Established",
            "True",
            "InitialNamesAccepted",
            "the initial names have been accepted",
            &now,
        );
        Ok::<_, StoreError>(())
    };
    // It may be gone again already; then there is nothing to tell.
    let _ = store.modify(KEY, "", text(definition, "metadata.name"), Writer::status("kube-apiserver"), tell);
}

/// Deletes the objects of what was defined, and serves it no more.
pub fn retire(store: &Store, name: &str) {
    for object in store.list(name, None).1 {
        // Somebody else may have been quicker.
        let _ = store.delete(name, &object.namespace, &object.name, &Delete::default());
    }
    store.registry.remove(name);
}
