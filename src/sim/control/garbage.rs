//! Garbage collection by owner references: Background, Foreground and Orphan (pkg/controller/garbagecollector).

use super::Controller;
use super::context::Context;
use super::queue::{Id, Queue};
use super::world::{Meta, Owner, Seen, World, meta};
use crate::model::time::Timestamp;
use crate::sim::object::{list, set, take, text};
use crate::sim::store::Stored;
use serde_json::Value;
use std::sync::Arc;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

pub struct Collector;

impl Controller for Collector {
    fn observe(&mut self, seen: &Seen<'_>, world: &World, queue: &mut Queue) {
        if seen.gone() {
            world.dependents(&seen.object().uid).for_each(|id| queue.add(id.clone()));
            // Whoever waits for this one in the foreground.
            owners_of(seen).for_each(|id| queue.add(id));
            return;
        }
        let fresh = seen.change.before.is_none();
        if fresh && !seen.meta.owners().is_empty() {
            queue.add(seen.id());
        }
        if seen.meta.deletion_timestamp.is_some() && (seen.meta.finalizer(FOREGROUND) || seen.meta.finalizer(ORPHAN)) {
            queue.add(seen.id());
        }
        if let Some(before) = &seen.change.before
            && !fresh
            && !seen.meta.owners().is_empty()
            && meta(before).owners() != seen.meta.owners()
        {
            queue.add(seen.id());
            owners_of(seen).for_each(|id| queue.add(id));
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let stored = cx.store.get(&id.key, &id.namespace, &id.name)?;
        let about = meta(&stored);
        if about.deletion_timestamp.is_some() {
            if about.finalizer(ORPHAN) {
                orphan(cx, id, &stored);
            } else if about.finalizer(FOREGROUND) {
                wait_for_dependents(cx, id, &stored);
            }
            return None;
        }
        collect(cx, id, &stored, &about);
        None
    }
}

/// The owners that a gone or changed object named, as far as their kinds are plain to see from the reference.
fn owners_of<'a>(seen: &'a Seen<'_>) -> impl Iterator<Item = Id> + 'a {
    seen.meta
        .owners()
        .iter()
        .chain(seen.was.as_ref())
        .filter_map(|o| locate(seen.registry, o, &seen.object().namespace))
}

/// Where the owner that a reference names is stored.
fn locate(registry: &crate::sim::resource::Registry, owner: &Owner, namespace: &str) -> Option<Id> {
    let kind = registry.of_kind(&owner.api_version, &owner.kind)?;
    Some(Id::new(&kind.key(), if kind.namespaced { namespace } else { "" }, &owner.name))
}

/// An object whose owners are all gone is deleted; one that still has an owner only forgets the others
/// (attemptToDeleteItem).
fn collect(cx: &Context<'_>, id: &Id, stored: &Arc<Stored>, about: &Meta) {
    if about.owners().is_empty() {
        return;
    }
    let (mut solid, mut gone, mut waiting) = (0, Vec::new(), Vec::new());
    for owner in about.owners() {
        // A kind that is not served cannot be judged: the object stays, as with an undiscovered kind.
        let Some(place) = locate(&cx.store.registry, owner, &id.namespace) else {
            solid += 1;
            continue;
        };
        match cx.store.get(&place.key, &place.namespace, &place.name).filter(|o| o.uid == owner.uid) {
            None => gone.push(owner.uid.clone()),
            Some(o) => {
                // Most owners are not being deleted: a look at the text spares reading them.
                let m = if o.body.contains(FOREGROUND) { meta(&o) } else { Meta::default() };
                if m.deletion_timestamp.is_some() && m.finalizer(FOREGROUND) {
                    waiting.push(owner.uid.clone());
                } else {
                    solid += 1;
                }
            }
        }
    }
    if gone.is_empty() && waiting.is_empty() {
        return;
    }
    if solid > 0 {
        gone.append(&mut waiting);
        drop_references(cx, id, &gone);
        return;
    }
    let has_dependents = cx.world.dependents(&stored.uid).next().is_some();
    let policy = match () {
        () if !waiting.is_empty() && has_dependents => "Foreground",
        () if about.finalizer(ORPHAN) => "Orphan",
        () if about.finalizer(FOREGROUND) => "Foreground",
        () => "Background",
    };
    cx.delete_how(id, &stored.uid, policy);
}

/// A deletion in the foreground: the dependents go first; those that block it are waited for
/// (processDeletingDependentsItem).
fn wait_for_dependents(cx: &Context<'_>, id: &Id, stored: &Stored) {
    let blocking: Vec<&Id> = cx
        .world
        .dependents(&stored.uid)
        .filter(|d| cx.store.get(&d.key, &d.namespace, &d.name).is_some())
        .filter(|d| cx.world.owners(d).iter().any(|o| o.uid == stored.uid && o.block_owner_deletion))
        .collect();
    if blocking.is_empty() {
        drop_finalizer(cx, id, FOREGROUND);
        return;
    }
    let dependents: Vec<&Id> = cx.world.dependents(&stored.uid).collect();
    for dependent in dependents {
        let Some(d) = cx.store.get(&dependent.key, &dependent.namespace, &dependent.name) else { continue };
        let m = meta(&d);
        if m.deletion_timestamp.is_none() {
            collect(cx, dependent, &d, &m);
        }
    }
}

/// A deletion that leaves the dependents behind (orphanDependents).
fn orphan(cx: &Context<'_>, id: &Id, stored: &Stored) {
    let dependents: Vec<&Id> = cx.world.dependents(&stored.uid).collect();
    for dependent in dependents {
        drop_references(cx, dependent, std::slice::from_ref(&stored.uid));
    }
    drop_finalizer(cx, id, ORPHAN);
}

fn drop_references(cx: &Context<'_>, id: &Id, uids: &[String]) {
    cx.update(id, |v| {
        let rest: Vec<Value> = list(v, "metadata.ownerReferences")
            .iter()
            .filter(|o| !uids.iter().any(|u| u == text(o, "uid")))
            .cloned()
            .collect();
        put_or_take(v, "metadata.ownerReferences", rest);
    });
}

fn drop_finalizer(cx: &Context<'_>, id: &Id, name: &str) {
    cx.update(id, |v| {
        let rest: Vec<Value> = list(v, "metadata.finalizers").iter().filter(|f| *f != name).cloned().collect();
        put_or_take(v, "metadata.finalizers", rest);
    });
}

fn put_or_take(object: &mut Value, path: &str, rest: Vec<Value>) {
    if rest.is_empty() {
        take(object, path);
    } else {
        set(object, path, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, deployment, pod};
    use crate::sim::object::{list, set};
    use serde_json::json;

    fn up() -> World {
        let mut world = World::shop();
        world.create("deployments.apps", deployment(2, "web:1"));
        world.run(10.0);
        world
    }

    #[test]
    fn in_the_background_dependents_follow() {
        let mut world = up();
        world.delete("deployments.apps", "web", "Background");
        assert!(world.find("deployments.apps", "web").is_none());
        world.run(5.0);
        assert_eq!((world.list("replicasets.apps").len(), world.list("pods").len()), (0, 0));
    }

    #[test]
    fn in_the_foreground_they_go_first() {
        let mut world = up();
        world.delete("deployments.apps", "web", "Foreground");
        world.run(1.0);
        assert!(world.find("deployments.apps", "web").is_some(), "pods are still ending");
        assert_eq!(world.list("replicasets.apps").len(), 1);
        world.run(5.0);
        assert!(world.find("deployments.apps", "web").is_none());
        assert_eq!((world.list("replicasets.apps").len(), world.list("pods").len()), (0, 0));
    }

    #[test]
    fn orphans_stay_and_are_adopted_again() {
        let mut world = up();
        world.delete("deployments.apps", "web", "Orphan");
        world.run(5.0);
        assert!(world.find("deployments.apps", "web").is_none());
        let sets = world.list("replicasets.apps");
        assert_eq!((sets.len(), world.pods().len()), (1, 2));
        assert!(list(&sets[0], "metadata.ownerReferences").is_empty());
        world.create("deployments.apps", deployment(2, "web:1"));
        world.run(5.0);
        let sets = world.list("replicasets.apps");
        assert_eq!((sets.len(), list(&sets[0], "metadata.ownerReferences").len()), (1, 1));
        assert_eq!(world.pods().len(), 2);
    }

    #[test]
    fn an_owner_that_never_was_is_gone_and_one_of_two_is_forgotten() {
        let mut world = up();
        let gone = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "no", "uid": "never"});
        let set_of = world.list("replicasets.apps").remove(0);
        let there = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set_of["metadata"]["name"], "uid": set_of["metadata"]["uid"]});
        let (mut a, mut b) = (pod("a", json!({})), pod("b", json!({})));
        set(&mut a, "metadata.ownerReferences", vec![gone.clone()]);
        set(&mut b, "metadata.ownerReferences", vec![gone, there]);
        world.create("pods", a);
        world.create("pods", b);
        world.run(10.0);
        assert!(world.find("pods", "a").is_none());
        assert_eq!(list(&world.get("pods", "b"), "metadata.ownerReferences").len(), 1);
    }

    #[test]
    fn a_relabelled_pod_is_released_and_replaced() {
        let mut world = up();
        let name = crate::sim::object::text(&world.pods()[0], "metadata.name").to_owned();
        world.edit("pods", &name, |p| set(p, "metadata.labels", json!({"app": "other"})));
        world.run(10.0);
        assert_eq!(world.pods().len(), 3);
        assert!(list(&world.get("pods", &name), "metadata.ownerReferences").is_empty());
    }
}
