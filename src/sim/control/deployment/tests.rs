//! Rollouts, stalls, undoing, scaling.

use super::super::testing::{World, deployment};
use super::REVISION;
use super::sets::annotation;
use crate::sim::object::{condition, int, set, text};
use proptest::prelude::*;
use serde_json::{Value, json};

fn image(world: &World, name: &str, image: &str) {
    world.edit("deployments.apps", name, |d| {
        d["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
    });
}

fn counts(d: &Value) -> [i64; 4] {
    ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"]
        .map(|f| int(d, &format!("status.{f}")).unwrap_or(0))
}

fn reason<'a>(d: &'a Value, kind: &str) -> &'a str {
    condition(d, kind).map_or("", |c| text(c, "reason"))
}

#[test]
fn a_deployment_comes_up_rolls_and_rests() {
    let mut world = World::shop();
    world.create("deployments.apps", deployment(3, "web:1"));
    world.run(10.0);
    let d = world.get("deployments.apps", "web");
    assert_eq!(counts(&d), [3, 3, 3, 3]);
    assert_eq!(
        (reason(&d, "Progressing"), reason(&d, "Available")),
        ("NewReplicaSetAvailable", "MinimumReplicasAvailable")
    );
    assert_eq!(annotation(&d, REVISION).map(String::as_str), Some("1"));
    let first = text(&world.list("replicasets.apps")[0], "metadata.name").to_owned();
    assert_eq!(
        world.events("web"),
        [("ScalingReplicaSet".into(), format!("Scaled up replica set {first} from 0 to 3"))]
    );
    assert_eq!(world.writes(3000.0), Vec::<String>::new(), "what is steady is not written");

    image(&world, "web", "web:2");
    world.run(60.0);
    let d = world.get("deployments.apps", "web");
    assert_eq!(counts(&d), [3, 3, 3, 3]);
    assert_eq!(annotation(&d, REVISION).map(String::as_str), Some("2"));
    let told: Vec<String> = world.events("web").into_iter().map(|(_, m)| m).collect();
    assert!(told.contains(&format!("Scaled down replica set {first} from 3 to 2")), "{told:?}");
    assert!(told.contains(&format!("Scaled down replica set {first} from 1 to 0")), "{told:?}");
    assert_eq!(world.pods().len(), 3);
}

#[test]
fn a_bad_release_stalls_and_undoing_it_cures() {
    let mut world = World::shop();
    world.create("deployments.apps", deployment(4, "web:1"));
    world.run(20.0);
    let good = world.get("deployments.apps", "web")["spec"]["template"].clone();
    image(&world, "web", "web:bad");
    world.run(590.0);
    let d = world.get("deployments.apps", "web");
    assert_eq!(reason(&d, "Progressing"), "ReplicaSetUpdated");
    assert_eq!(counts(&d), [5, 2, 3, 3], "one surge, one unavailable, and no further");
    world.run(30.0);
    let d = world.get("deployments.apps", "web");
    assert_eq!(reason(&d, "Progressing"), "ProgressDeadlineExceeded");
    let message = condition(&d, "Progressing").map(|c| text(c, "message").to_owned()).unwrap_or_default();
    assert!(
        message.starts_with("ReplicaSet \"web-") && message.ends_with("\" has timed out progressing."),
        "{message}"
    );
    world.edit("deployments.apps", "web", |d| set(d, "spec.template", good));
    world.run(60.0);
    let d = world.get("deployments.apps", "web");
    assert_eq!((counts(&d), reason(&d, "Progressing")), ([4, 4, 4, 4], "NewReplicaSetAvailable"));
    assert_eq!(annotation(&d, REVISION).map(String::as_str), Some("3"));
    let new = world.list("replicasets.apps").into_iter().find(|r| int(r, "spec.replicas") == Some(4)).unwrap();
    assert_eq!(annotation(&new, super::HISTORY).map(String::as_str), Some("1"));
}

#[test]
fn sizes_change_in_proportion_while_a_rollout_is_paused() {
    let mut world = World::shop();
    world.create("deployments.apps", deployment(10, "web:1"));
    world.run(20.0);
    image(&world, "web", "web:bad");
    world.run(30.0);
    let sizes = |w: &World| {
        let mut all: Vec<i64> = w.list("replicasets.apps").iter().map(|r| int(r, "spec.replicas").unwrap()).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(sizes(&world), [5, 8]);
    world.edit("deployments.apps", "web", |d| set(d, "spec.paused", true));
    world.run(1.0);
    assert_eq!(reason(&world.get("deployments.apps", "web"), "Progressing"), "DeploymentPaused");
    world.edit("deployments.apps", "web", |d| set(d, "spec.replicas", 20));
    world.run(5.0);
    // 25 may run: 12 more, by share of 25/13: 8 → 15, 5 → 10.
    assert_eq!(sizes(&world), [10, 15]);
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let mut world = World::shop();
    let mut d = deployment(3, "web:1");
    set(&mut d, "spec.strategy", json!({"type": "Recreate"}));
    world.create("deployments.apps", d);
    world.run(10.0);
    image(&world, "web", "web:2");
    world.run(1.0);
    assert!(world.pods().is_empty(), "old pods end before new ones start");
    world.run(30.0);
    assert_eq!(counts(&world.get("deployments.apps", "web")), [3, 3, 3, 3]);
}

#[test]
fn old_sets_beyond_the_limit_go() {
    let mut world = World::shop();
    let mut d = deployment(1, "web:0");
    set(&mut d, "spec.revisionHistoryLimit", 2);
    world.create("deployments.apps", d);
    for i in 1..=5 {
        world.run(30.0);
        image(&world, "web", &format!("web:{i}"));
    }
    world.run(60.0);
    assert_eq!(world.list("replicasets.apps").len(), 3);
}

#[test]
fn ready_is_not_yet_available() {
    let mut world = World::shop();
    let mut d = deployment(2, "web:1");
    set(&mut d, "spec.minReadySeconds", 60);
    world.create("deployments.apps", d);
    world.run(30.0);
    assert_eq!(counts(&world.get("deployments.apps", "web")), [2, 2, 2, 0]);
    world.run(40.0);
    assert_eq!(counts(&world.get("deployments.apps", "web")), [2, 2, 2, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn a_rollout_keeps_within_its_bounds(n in 1_i64..8, surge in 0_i64..5, unavailable in 0_i64..5) {
        prop_assume!(surge + unavailable > 0);
        let mut world = World::shop();
        let mut d = deployment(n, "web:1");
        set(&mut d, "spec.strategy.rollingUpdate", json!({"maxSurge": surge, "maxUnavailable": unavailable}));
        world.create("deployments.apps", d);
        world.run(20.0);
        image(&world, "web", "web:2");
        for _ in 0..60 {
            world.run(1.0);
            prop_assert!(world.ready() as i64 >= n - unavailable, "{} ready of {n}", world.ready());
            prop_assert!(world.pods().len() as i64 <= n + surge);
        }
        prop_assert_eq!(counts(&world.get("deployments.apps", "web")), [n; 4]);
    }
}
