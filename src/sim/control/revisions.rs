//! ControllerRevisions: the templates that StatefulSets and DaemonSets had, for rolling back (pkg/controller/history).

use super::context::{Context, reference};
use super::deployment::sets::{normal, template_hash};
use super::queue::Id;
use crate::sim::object::{at, int, set, text};
use serde_json::{Value, json};
use std::sync::Arc;

pub const KEY: &str = "controllerrevisions.apps";
/// The label that pods bear of the revision they were made from.
pub const LABEL: &str = "controller-revision-hash";

/// Revisions of one owner, oldest first.
pub struct History {
    pub all: Vec<Arc<Value>>,
    /// Index of the one with the present template.
    pub present: usize,
}

impl History {
    pub fn present(&self) -> &Value {
        &self.all[self.present]
    }

    pub fn named(&self, name: &str) -> Option<&Value> {
        self.all.iter().find(|r| text(r, "metadata.name") == name).map(|r| &**r)
    }
}

/// The owner's revisions, with one of the present template: made if there is none, made the newest if it is old.
/// `hash_in_use` is the hash that running pods bear, if all bear one: a set that was there before its history keeps it.
pub fn sync(cx: &Context<'_>, owner: &Value, hash_in_use: Option<String>) -> Option<History> {
    let mut all = cx.claim(KEY, owner, at(owner, "spec.selector"));
    all.sort_by_key(|r| (int(r, "revision").unwrap_or(0), text(r, "metadata.name").to_owned()));
    let wanted = normal(at(owner, "spec.template"));
    let newest = all.last().map_or(0, |r| int(r, "revision").unwrap_or(0));
    let found = all.iter().rposition(|r| normal(Some(&template(r))) == wanted);
    if let Some(i) = found {
        if i + 1 < all.len() {
            let id = Id::new(KEY, text(owner, "metadata.namespace"), text(&all[i], "metadata.name"));
            let written = cx.update(&id, |v| set(v, "revision", newest + 1))?;
            all.remove(i);
            all.push(written);
        }
        return Some(History { present: all.len() - 1, all });
    }
    let hash = hash_in_use.filter(|_| all.is_empty());
    let hash = hash.unwrap_or_else(|| {
        template_hash(at(owner, "spec.template"), int(owner, "status.collisionCount").filter(|n| *n > 0))
    });
    let mut template = at(owner, "spec.template").cloned().unwrap_or_default();
    set(&mut template, "$patch", "replace");
    let mut labels = at(owner, "spec.template.metadata.labels").cloned().unwrap_or_else(|| json!({}));
    labels["controller.kubernetes.io/hash"] = hash.as_str().into();
    let made = json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": format!("{}-{hash}", text(owner, "metadata.name")),
            "namespace": text(owner, "metadata.namespace"),
            "labels": labels,
            "ownerReferences": [reference(owner)],
        },
        "data": {"spec": {"template": template}},
        "revision": newest + 1,
    });
    all.push(cx.create(KEY, made).ok()?.shared());
    Some(History { present: all.len() - 1, all })
}

/// The hash in a revision's name.
pub fn hash(revision: &Value) -> &str {
    at(revision, "metadata.labels")
        .and_then(|l| l.get("controller.kubernetes.io/hash")?.as_str())
        .unwrap_or_else(|| text(revision, "metadata.name").rsplit('-').next().unwrap_or_default())
}

/// The template of a revision.
pub fn template(revision: &Value) -> Value {
    let mut template = at(revision, "data.spec.template").cloned().unwrap_or_default();
    crate::sim::object::take(&mut template, "$patch");
    template
}

/// Deletes the oldest revisions beyond `spec.revisionHistoryLimit` that are not `live`.
pub fn truncate(cx: &Context<'_>, owner: &Value, history: &History, live: impl Fn(&Value) -> bool) {
    let limit = int(owner, "spec.revisionHistoryLimit").unwrap_or(10).max(0) as usize;
    let idle: Vec<&Arc<Value>> = history.all.iter().filter(|r| !live(r)).collect();
    for revision in idle.iter().take(idle.len().saturating_sub(limit)) {
        let id = Id::new(KEY, text(owner, "metadata.namespace"), text(revision, "metadata.name"));
        cx.delete(&id, text(revision, "metadata.uid"));
    }
}
