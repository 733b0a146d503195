//! All controllers together.

use super::testing::{World, deployment, template};
use crate::sim::object::set;
use serde_json::json;

/// A world with something of everything.
fn busy() -> World {
    let world = World::shop();
    world.create("deployments.apps", deployment(3, "web:1"));
    let meta = |name: &str| json!({"name": name, "namespace": "shop"});
    let selector = |app: &str| json!({"matchLabels": {"app": app}});
    let mut job = template("batch", "done");
    set(&mut job, "spec.restartPolicy", "Never");
    for (key, kind, version, name, spec) in [
        (
            "statefulsets.apps",
            "StatefulSet",
            "apps/v1",
            "db",
            json!({"replicas": 2, "serviceName": "db", "selector": selector("db"), "template": template("db", "db:1")}),
        ),
        (
            "daemonsets.apps",
            "DaemonSet",
            "apps/v1",
            "agent",
            json!({"selector": selector("agent"), "template": template("agent", "agent:1")}),
        ),
        (
            "services",
            "Service",
            "v1",
            "web",
            json!({"selector": {"app": "web"}, "clusterIP": "10.96.0.1", "ports": [{"port": 80, "targetPort": 8080}]}),
        ),
        (
            "poddisruptionbudgets.policy",
            "PodDisruptionBudget",
            "policy/v1",
            "web",
            json!({"minAvailable": 2, "selector": selector("web")}),
        ),
        ("jobs.batch", "Job", "batch/v1", "job", json!({"completions": 2, "parallelism": 2, "template": job})),
    ] {
        world.create(key, json!({"apiVersion": version, "kind": kind, "metadata": meta(name), "spec": spec}));
    }
    world
}

#[test]
fn controllers_that_find_a_steady_world_write_nothing() {
    let mut world = busy();
    world.run(120.0);
    world.restart();
    assert_eq!(world.writes(600.0), Vec::<String>::new());
}

#[test]
fn the_same_seed_gives_the_same_history_at_any_step() {
    let history = |step: f64| {
        let mut world = busy();
        for turn in 0..(600.0 / step) as usize {
            if (turn as f64 * step - 120.0).abs() < 0.1 {
                world.power("n2", false);
            }
            world.run(step);
        }
        let all: Vec<String> = world
            .store
            .registry
            .all()
            .iter()
            .flat_map(|k| world.store.list(&k.key(), None).1)
            .map(|o| o.body.clone())
            .collect();
        all
    };
    assert_eq!(history(1.0), history(60.0));
}
