//! What a reconcile has at hand: the store, the time, and the ways controllers write.

use super::queue::Id;
use super::world::{World, moment};
use super::{MANAGER, select};
use crate::model::time::Timestamp;
use crate::sim::clock::rfc3339;
use crate::sim::events;
use crate::sim::fields::Writer;
use crate::sim::machine::Shared;
use crate::sim::noise::Noise;
use crate::sim::object::{at, int, list, set, text};
use crate::sim::store::{Delete, Store, StoreError, Stored};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Context<'a> {
    pub store: &'a Store,
    pub machines: &'a Shared,
    pub noise: Noise,
    pub now: Timestamp,
    pub world: &'a World,
}

/// A creation that the API server would refuse.
#[derive(Debug)]
pub enum Refused {
    /// The namespace is being emptied; controllers do nothing about it.
    Terminating,
    /// Anything else, as the server words it.
    Other(String),
}

impl Context<'_> {
    pub fn time(&self) -> String {
        rfc3339(self.now)
    }

    pub fn get(&self, id: &Id) -> Option<Arc<Value>> {
        self.store.get(&id.key, &id.namespace, &id.name).map(|s| s.shared())
    }

    pub fn event(&self, about: &Value, kind: &str, reason: &str, message: &str, component: &str) {
        events::record(self.store, self.noise, self.now, about, kind, reason, message, component);
    }

    /// Changes an object outside of its status; gives it back as it is then, or `None` if it is gone.
    pub fn update(&self, id: &Id, change: impl FnOnce(&mut Value)) -> Option<Arc<Value>> {
        self.write(id, Writer::of(MANAGER), change)
    }

    /// Changes an object's status.
    pub fn update_status(&self, id: &Id, change: impl FnOnce(&mut Value)) -> Option<Arc<Value>> {
        self.write(id, Writer::status(MANAGER), change)
    }

    /// Changes an object in the name of another manager or subresource.
    pub fn write(&self, id: &Id, writer: Writer<'_>, change: impl FnOnce(&mut Value)) -> Option<Arc<Value>> {
        self.store
            .modify(&id.key, &id.namespace, &id.name, writer, |v| {
                change(v);
                Ok::<_, StoreError>(())
            })
            .ok()
            .map(|s| s.shared())
    }

    pub fn create(&self, key: &str, object: Value) -> Result<Arc<Stored>, Refused> {
        let namespace = text(&object, "metadata.namespace").to_owned();
        let terminating = !namespace.is_empty()
            && self
                .store
                .get("namespaces", "", &namespace)
                .is_some_and(|n| !text(&n.shared(), "metadata.deletionTimestamp").is_empty());
        if terminating {
            return Err(Refused::Terminating);
        }
        self.store.create(key, object, Writer::of(MANAGER)).map_err(|e| Refused::Other(e.to_string()))
    }

    /// Deletes in the background; whether it was there.
    pub fn delete(&self, id: &Id, uid: &str) -> bool {
        self.delete_how(id, uid, "Background")
    }

    pub fn delete_how(&self, id: &Id, uid: &str, propagation: &str) -> bool {
        let uid = Some(uid.to_owned()).filter(|u| !u.is_empty());
        let how = Delete { uid, propagation: propagation.to_owned(), ..Delete::default() };
        self.store.delete(&id.key, &id.namespace, &id.name, &how).is_ok()
    }

    /// The objects of `key` that `owner` controls. Those without a controller that its selector matches are adopted,
    /// those it no longer matches released, as controller_ref_manager.go does it.
    pub fn claim(&self, key: &str, owner: &Value, selector: Option<&Value>) -> Vec<Arc<Value>> {
        let (namespace, uid) = (text(owner, "metadata.namespace"), text(owner, "metadata.uid"));
        let deleting = at(owner, "metadata.deletionTimestamp").is_some();
        let mut mine = Vec::new();
        for id in self.world.dependents(uid).filter(|id| &*id.key == key) {
            let Some(stored) = self.store.get(key, &id.namespace, &id.name) else { continue };
            if !self.world.owners(id).iter().any(|o| o.controller && o.uid == uid) {
                continue;
            }
            if select::matches(selector, &stored.labels) {
                mine.push(stored.shared());
            } else if !deleting {
                self.update(id, |v| {
                    let rest: Vec<Value> =
                        list(v, "metadata.ownerReferences").iter().filter(|o| text(o, "uid") != uid).cloned().collect();
                    set(v, "metadata.ownerReferences", rest);
                });
            }
        }
        if deleting {
            return mine;
        }
        for name in self.world.orphans(key, namespace) {
            let Some(stored) = self.store.get(key, namespace, name) else { continue };
            if !select::matches(selector, &stored.labels) {
                continue;
            }
            let value = stored.shared();
            if at(&value, "metadata.deletionTimestamp").is_some()
                || matches!(text(&value, "status.phase"), "Failed" | "Succeeded")
            {
                continue;
            }
            let adopted = self.update(&Id::of(&stored), |v| {
                let mut all = list(v, "metadata.ownerReferences").to_vec();
                all.push(reference(owner));
                set(v, "metadata.ownerReferences", all);
            });
            mine.extend(adopted);
        }
        mine
    }
}

/// The controller reference to `owner`.
pub fn reference(owner: &Value) -> Value {
    json!({
        "apiVersion": text(owner, "apiVersion"),
        "kind": text(owner, "kind"),
        "name": text(owner, "metadata.name"),
        "uid": text(owner, "metadata.uid"),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The id of a stored object's value.
pub fn id_of(key: &str, object: &Value) -> Id {
    Id::new(key, text(object, "metadata.namespace"), text(object, "metadata.name"))
}

/// When an object was created.
pub fn created(object: &Value) -> Timestamp {
    moment(text(object, "metadata.creationTimestamp")).unwrap_or_default()
}

/// The time at `path`.
pub fn time_at(object: &Value, path: &str) -> Option<Timestamp> {
    moment(text(object, path))
}

/// `spec.replicas`, 1 if absent.
pub fn replicas(object: &Value) -> i64 {
    int(object, "spec.replicas").unwrap_or(1)
}

/// A whole number or a percentage of `of`, as intstr.GetScaledValueFromIntOrPercent reads it.
pub fn scaled(value: Option<&Value>, of: i64, up: bool) -> Option<i64> {
    match value? {
        Value::Number(n) => n.as_i64(),
        Value::String(s) => {
            let percent: i64 = s.strip_suffix('%')?.parse().ok()?;
            let exact = percent * of;
            Some(if up { (exact + 99).div_euclid(100) } else { exact.div_euclid(100) })
        }
        _ => None,
    }
}
