//! Events of an object and of what belongs to it, as text.

use super::level::Key;
use crate::autopilot::world::World;
use crate::model::cluster::EventRow;
use crate::model::object::{ObjectRef, WorkloadKey};
use crate::model::snapshot::SourceState;
use crate::model::time::{Timestamp, age};
use std::fmt::Write as _;

/// Whether an event is about a workload, one of its pods or one of its revisions.
fn about_workload(world: &World, key: &WorkloadKey, o: &ObjectRef) -> bool {
    if o.namespace.as_ref() != Some(&key.namespace) {
        return false;
    }
    if o.resource.kind == key.kind.as_str() && o.name == key.name {
        return true;
    }
    let Some(w) = world.snapshot.workload(key) else { return false };
    match &*o.resource.kind {
        "Pod" => w.pods.iter().any(|p| *p.name == *o.name),
        "ReplicaSet" => w.revisions.iter().any(|r| r.name == o.name),
        "HorizontalPodAutoscaler" => {
            world.snapshot.hpas.iter().any(|h| h.target == *key && h.namespace == key.namespace && h.name == o.name)
        }
        _ => false,
    }
}

fn about(world: &World, key: &Key, o: &ObjectRef) -> bool {
    match key {
        Key::Namespace(ns) => o.namespace.as_ref() == Some(ns),
        Key::Node(name) => o.resource.kind == "Node" && o.name == *name,
        Key::Workload(key) => about_workload(world, key, o),
        Key::Pod(p) => o.resource.kind == "Pod" && o.namespace.as_ref() == Some(&p.namespace) && o.name == p.name,
        _ => true,
    }
}

/// Events newest first; says so where there are none, and why they may be missing.
pub fn text(world: &World, key: &Key, now: Timestamp) -> String {
    let mut out = String::new();
    match world.snapshot.source("events") {
        SourceState::Denied { why } => {
            let _ = write!(out, "Events are denied: {why}\n\n");
        }
        SourceState::Failed { why, .. } => {
            let _ = write!(out, "Events are not up to date: {why}\n\n");
        }
        _ => {}
    }
    let found: Vec<&EventRow> =
        world.snapshot.events.iter().filter(|e| about(world, key, &e.object)).map(|e| &**e).collect();
    if found.is_empty() {
        out.push_str("No events about this were seen.");
    }
    for e in found {
        let kind = if e.warning { "Warning" } else { "Normal " };
        let times = if e.count > 1 { format!(" x{}", e.count) } else { String::new() };
        let _ = writeln!(out, "{:>6} ago  {kind}  {}{times}  {}", age(now, e.last), e.reason, e.object);
        let _ = writeln!(out, "            {}", e.message);
    }
    out
}
