//! Silence, taints, eviction, zones, nodes that are removed.

use super::super::testing::{World, deployment, node};
use super::taints::has;
use crate::sim::object::{at, condition, holds, text};
use serde_json::Value;

fn shop() -> World {
    let mut world = World::shop();
    world.create("deployments.apps", deployment(3, "web:1"));
    world.run(100.0);
    world
}

fn ready(n: &Value) -> &str {
    condition(n, "Ready").map_or("", |c| text(c, "status"))
}

#[test]
fn a_silent_node_loses_its_pods_after_their_patience() {
    let mut world = shop();
    assert_eq!(world.writes(600.0), Vec::<String>::new());
    world.power("n1", false);
    world.run(45.0);
    assert_eq!(ready(&world.get("nodes", "n1")), "True");
    world.run(25.0);
    let n1 = world.get("nodes", "n1");
    assert_eq!(ready(&n1), "Unknown");
    assert_eq!(text(condition(&n1, "Ready").unwrap(), "message"), "Kubelet stopped posting node status.");
    for effect in ["NoSchedule", "NoExecute"] {
        assert!(has(&n1, "node.kubernetes.io/unreachable", effect));
    }
    let on = |w: &World| w.pods().into_iter().filter(|p| text(p, "spec.nodeName") == "n1").count();
    assert_eq!((on(&world), world.ready()), (1, 2), "its pod serves nobody, and is not evicted yet");
    world.run(200.0);
    assert_eq!(on(&world), 1);
    world.run(120.0);
    assert_eq!(on(&world), 0);
    let going: Vec<Value> =
        world.list("pods").into_iter().filter(|p| at(p, "metadata.deletionTimestamp").is_some()).collect();
    assert_eq!(going.len(), 1, "nobody can end it there");
    assert!(holds(&going[0], "DisruptionTarget"));
    assert_eq!(world.ready(), 3, "it was replaced elsewhere");
    let name = text(&going[0], "metadata.name").to_owned();
    let told = world.events(&name);
    assert!(
        told.contains(&("TaintManagerEviction".into(), format!("Marking for deletion Pod shop/{name}"))),
        "{told:?}"
    );
    world.power("n1", true);
    world.run(30.0);
    let n1 = world.get("nodes", "n1");
    assert!(ready(&n1) == "True" && at(&n1, "spec.taints").is_none());
}

#[test]
fn a_node_that_comes_back_in_time_keeps_its_pods() {
    let mut world = shop();
    let before: Vec<Value> = world.pods().iter().map(|p| p["metadata"]["uid"].clone()).collect();
    world.power("n2", false);
    world.run(200.0);
    world.power("n2", true);
    world.run(900.0);
    let after: Vec<Value> = world.pods().iter().map(|p| p["metadata"]["uid"].clone()).collect();
    assert_eq!(before, after);
    assert!(
        world.list("events").iter().any(|e| text(e, "message").starts_with("Cancelling deletion of Pod shop/web-"))
    );
}

#[test]
fn when_every_node_is_lost_nothing_is_evicted() {
    let mut world = shop();
    for n in ["n1", "n2", "n3"] {
        world.power(n, false);
    }
    world.run(1200.0);
    assert_eq!(world.pods().len(), 3);
    for n in ["n1", "n2", "n3"] {
        let n = world.get("nodes", n);
        assert!(ready(&n) == "Unknown" && !has(&n, "node.kubernetes.io/unreachable", "NoExecute"), "{n}");
    }
}

#[test]
fn a_small_zone_that_is_mostly_lost_is_not_emptied() {
    let mut world = shop();
    for i in 4..=6 {
        world.create("nodes", node(&format!("n{i}")));
    }
    world.run(60.0);
    for i in 1..=4 {
        world.power(&format!("n{i}"), false);
    }
    world.run(1200.0);
    // The look that finds all four silent tells at once that four of six are more than 55 %.
    let tainted =
        (1..=4).filter(|i| has(&world.get("nodes", &format!("n{i}")), "node.kubernetes.io/unreachable", "NoExecute"));
    assert_eq!(tainted.count(), 0);
}

#[test]
fn pods_of_a_removed_node_go() {
    let mut world = shop();
    world.delete("nodes", "n3", "");
    world.run(30.0);
    assert!(world.pods().iter().any(|p| text(p, "spec.nodeName") == "n3"));
    world.run(30.0);
    assert!(world.list("pods").iter().all(|p| text(p, "spec.nodeName") != "n3"));
    assert_eq!(world.ready(), 3);
}

#[test]
fn cordoning_and_pressure_taint() {
    let mut world = shop();
    world.edit("nodes", "n1", |n| crate::sim::object::set(n, "spec.unschedulable", true));
    world.run(1.0);
    assert!(has(&world.get("nodes", "n1"), "node.kubernetes.io/unschedulable", "NoSchedule"));
    world.edit("nodes", "n1", |n| drop(crate::sim::object::take(n, "spec.unschedulable")));
    world.run(1.0);
    assert!(at(&world.get("nodes", "n1"), "spec.taints").is_none());
}
