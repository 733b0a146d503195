//! Which ReplicaSet belongs to the present template, and the revisions of all of them.

use super::{APPLIED, COMPONENT, DESIRED, HASH, HISTORY, MAX, REVISION, ROLLBACK, SETS, Work};
use crate::sim::control::context::{Refused, reference, replicas};
use crate::sim::object::{at, int, set, strings, take, text};
use serde_json::{Value, json};
use std::sync::Arc;

/// Characters of the revision history that are kept.
const HISTORY_CHARACTERS: usize = 2000;
/// What hashes are written in.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl Work<'_> {
    pub(super) fn old_sets(&self) -> Vec<usize> {
        (0..self.sets.len()).filter(|i| Some(*i) != self.new).collect()
    }

    /// Gives the new ReplicaSet its revision and annotations, and the Deployment the same revision; makes the set if
    /// `create` says so. Gives back its index (getAllReplicaSetsAndSyncRevision).
    pub(super) fn sync_revision(&mut self, create: bool) -> Option<usize> {
        let next = self.old_sets().iter().map(|i| revision(&self.sets[*i])).max().unwrap_or(0) + 1;
        let Some(index) = self.new else {
            return if create { self.create_set(next) } else { None };
        };
        let mut wanted = Value::clone(&self.sets[index]);
        self.annotate(&mut wanted, next);
        set_or_take(
            &mut wanted,
            "spec.minReadySeconds",
            int(&self.d, "spec.minReadySeconds").filter(|s| *s != 0),
            &self.sets[index],
        );
        if wanted != *self.sets[index] {
            let annotations = at(&wanted, "metadata.annotations").cloned().unwrap_or_else(|| json!({}));
            let wait = at(&wanted, "spec.minReadySeconds").cloned();
            let id = Self::set_id(&wanted);
            let written = self.cx.update(&id, |v| {
                set(v, "metadata.annotations", annotations);
                match wait {
                    Some(w) => set(v, "spec.minReadySeconds", w),
                    None => drop(take(v, "spec.minReadySeconds")),
                }
            });
            self.sets[index] = written.unwrap_or_else(|| Arc::new(wanted));
        }
        let current = revision(&self.sets[index]);
        self.adopt_revision(current);
        if self.deadline().is_some() && crate::sim::object::condition(&self.d, "Progressing").is_none() {
            let message = format!("Found new replica set \"{}\"", text(&self.sets[index], "metadata.name"));
            self.progressing("True", "FoundNewReplicaSet", &message);
        }
        Some(index)
    }

    /// Copies a revision to the Deployment.
    fn adopt_revision(&mut self, revision: i64) {
        let wanted = revision.to_string();
        if annotation(&self.d, REVISION) == Some(&wanted) {
            return;
        }
        if let Some(d) = self.cx.update_status(self.id, |v| set_annotation(v, REVISION, &wanted)) {
            self.renewed(d);
        }
    }

    /// The annotations a new ReplicaSet has (SetNewReplicaSetAnnotations).
    fn annotate(&self, rs: &mut Value, next: i64) {
        for (k, v) in strings(&self.d, "metadata.annotations") {
            if ![APPLIED, REVISION, HISTORY, DESIRED, MAX, ROLLBACK].contains(&k.as_str()) {
                set_annotation(rs, &k, &v);
            }
        }
        let had = annotation(rs, REVISION).cloned();
        let old = had.as_deref().map_or(Some(0), |r| r.parse::<i64>().ok());
        let Some(old) = old.filter(|o| *o < next) else { return };
        set_annotation(rs, REVISION, &next.to_string());
        if had.is_none() {
            return;
        }
        let mut past: Vec<String> = annotation(rs, HISTORY)
            .filter(|h| !h.is_empty())
            .map(|h| h.split(',').map(str::to_owned).collect())
            .unwrap_or_default();
        past.push(old.to_string());
        while past.len() > 1 && past.join(",").len() > HISTORY_CHARACTERS {
            past.remove(0);
        }
        set_annotation(rs, HISTORY, &past.join(","));
    }

    fn create_set(&mut self, next: i64) -> Option<usize> {
        let hash = template_hash(at(&self.d, "spec.template"), int(&self.d, "status.collisionCount"));
        let name = format!("{}-{hash}", text(&self.d, "metadata.name"));
        let mut template = at(&self.d, "spec.template").cloned().unwrap_or_default();
        let mut labels = at(&template, "metadata.labels").cloned().unwrap_or_else(|| json!({}));
        labels[HASH] = hash.as_str().into();
        set(&mut template, "metadata.labels", labels.clone());
        let mut selector = at(&self.d, "spec.selector").cloned().unwrap_or_default();
        let mut match_labels = at(&selector, "matchLabels").cloned().unwrap_or_else(|| json!({}));
        match_labels[HASH] = hash.as_str().into();
        set(&mut selector, "matchLabels", match_labels);
        let mut rs = json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": self.id.namespace,
                "labels": labels,
                "annotations": {},
                "ownerReferences": [reference(&self.d)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
            "status": {"replicas": 0},
        });
        if let Some(wait) = int(&self.d, "spec.minReadySeconds").filter(|s| *s != 0) {
            set(&mut rs, "spec.minReadySeconds", wait);
        }
        let count = self.new_size(&rs);
        set(&mut rs, "spec.replicas", count);
        self.annotate(&mut rs, next);
        self.annotate_sizes(&mut rs);
        match self.cx.create(SETS, rs) {
            Ok(made) => {
                self.sets.push(made.shared());
                self.new = Some(self.sets.len() - 1);
                if count > 0 {
                    let message = format!("Scaled up replica set {name} from 0 to {count}");
                    self.cx.event(&self.d, "Normal", "ScalingReplicaSet", &message, COMPONENT);
                }
                self.adopt_revision(next);
                self.progressing("True", "NewReplicaSetCreated", &format!("Created new replica set \"{name}\""));
                self.new
            }
            Err(Refused::Terminating) => None,
            Err(Refused::Other(why)) if self.cx.store.get(SETS, &self.id.namespace, &name).is_some() => {
                tracing::debug!("{name}: {why}: another hash is tried");
                let tried = int(&self.d, "status.collisionCount").unwrap_or(0) + 1;
                self.cx.update_status(self.id, |v| set(v, "status.collisionCount", tried));
                None
            }
            Err(Refused::Other(why)) => {
                let message = format!("Failed to create new replica set \"{name}\": {why}");
                self.progressing("False", "ReplicaSetCreateError", &message);
                self.cx.event(&self.d, "Warning", "ReplicaSetCreateError", &message, COMPONENT);
                None
            }
        }
    }

    /// How many pods the new ReplicaSet may have now (NewRSNewReplicas).
    pub(super) fn new_size(&self, new: &Value) -> i64 {
        let desired = self.replicas();
        if text(&self.d, "spec.strategy.type") == "Recreate" {
            return desired;
        }
        let own = replicas(new);
        let uid = text(new, "metadata.uid");
        let others: i64 = self.sets.iter().filter(|s| text(s, "metadata.uid") != uid).map(|s| replicas(s)).sum();
        let room = desired + self.max_surge() - others - own;
        if room <= 0 { own } else { own + room.min(desired - own) }
    }

    /// Says in the set how large the Deployment wants to be and may be.
    pub(super) fn annotate_sizes(&self, rs: &mut Value) {
        set_annotation(rs, DESIRED, &self.replicas().to_string());
        set_annotation(rs, MAX, &(self.replicas() + self.max_surge()).to_string());
    }
}

/// The template without what does not count when templates are compared.
pub(in crate::sim::control) fn normal(template: Option<&Value>) -> Value {
    let mut t = template.cloned().unwrap_or_default();
    if let Some(labels) = t.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.shift_remove(HASH);
    }
    prune(&mut t);
    t
}

/// Takes out nulls, and metadata that says nothing.
fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(prune);
            for field in ["labels", "annotations", "metadata"] {
                if map.get(field).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
                    map.shift_remove(field);
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(prune),
        _ => {}
    }
}

/// The hash of a template: FNV-1a over its canonical form, written in the letters Kubernetes uses (rand.SafeEncodeString).
pub fn template_hash(template: Option<&Value>, collisions: Option<i64>) -> String {
    let mut hash = fold(0x811c_9dc5, &normal(template));
    if let Some(n) = collisions {
        hash = bytes(hash, &n.to_le_bytes());
    }
    hash.to_string().bytes().map(|b| char::from(LETTERS[usize::from(b) % LETTERS.len()])).collect()
}

fn bytes(hash: u32, all: &[u8]) -> u32 {
    all.iter().fold(hash, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193))
}

/// Folds a value in, names in alphabetical order.
fn fold(hash: u32, value: &Value) -> u32 {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            keys.iter().fold(bytes(hash, b"{"), |h, k| fold(bytes(h, k.as_bytes()), &map[k.as_str()]))
        }
        Value::Array(all) => all.iter().fold(bytes(hash, b"["), fold),
        other => bytes(hash, other.to_string().as_bytes()),
    }
}

pub(super) fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a String> {
    match at(object, "metadata.annotations")?.get(name)? {
        Value::String(s) => Some(s),
        _ => None,
    }
}

pub(super) fn set_annotation(object: &mut Value, name: &str, value: &str) {
    if at(object, "metadata.annotations").is_none() {
        set(object, "metadata.annotations", json!({}));
    }
    // Annotation names have dots: not a path.
    object["metadata"]["annotations"][name] = value.into();
}

/// The revision a ReplicaSet or Deployment tells; 0 without.
pub(in crate::sim::control) fn revision(object: &Value) -> i64 {
    annotation(object, REVISION).and_then(|r| r.parse().ok()).unwrap_or(0)
}

/// Sets or removes `path`; what means the same in `before` stays as it is.
fn set_or_take(object: &mut Value, path: &str, value: Option<i64>, before: &Value) {
    if int(before, path).unwrap_or(0) == value.unwrap_or(0) {
        return;
    }
    match value {
        Some(v) => set(object, path, v),
        None => drop(take(object, path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_what_the_template_means() {
        let a = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"a": 1, "b": [1, 2]}});
        let b = json!({"spec": {"b": [1, 2], "a": 1}, "metadata": {"creationTimestamp": null, "labels": {"app": "web", "pod-template-hash": "x"}}});
        assert_eq!(template_hash(Some(&a), None), template_hash(Some(&b), None));
        assert_ne!(template_hash(Some(&a), None), template_hash(Some(&a), Some(1)));
        let c = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"a": 2, "b": [1, 2]}});
        assert_ne!(template_hash(Some(&a), None), template_hash(Some(&c), None));
        assert!(template_hash(Some(&a), None).len() <= 10);
    }
}
