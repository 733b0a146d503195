//! Scenarios of the classifier: what is seen, and the findings that come of it, worst first.

use super::Analyzer;
use crate::config::settings::{Analyze, Planning};
use crate::model::cluster::{HpaRow, NodeTrouble, Workload};
use crate::model::finding::{Fault, Finding, Severity};
use crate::model::fixtures as fx;
use crate::model::object::WorkloadKind;
use crate::model::pod::{Phase, PodRow, PodTrouble};
use crate::model::series::Signal;
use crate::model::snapshot::{Snapshot, SourceState};
use chrono::TimeDelta;
use std::sync::Arc;

fn find(snapshot: &Snapshot) -> Vec<Finding> {
    Analyzer::new().analyze(snapshot, &Analyze::default(), &Planning::default(), &[], fx::now())
}

/// Deployment `cart` of one old revision, with its first pods broken by `break_it`.
fn cart(pods: usize, broken: usize, break_it: impl Fn(&mut PodRow)) -> Workload {
    cart_named("cart", pods, broken, break_it)
}

fn cart_named(name: &str, pods: usize, broken: usize, break_it: impl Fn(&mut PodRow)) -> Workload {
    let mut workload = fx::healthy(name, pods);
    let rows = workload.pods.iter().enumerate().map(|(i, p)| {
        let mut row = (**p).clone();
        if i < broken {
            break_it(&mut row);
        }
        row
    });
    let rows: Vec<PodRow> = rows.collect();
    workload = fx::deployment(name, rows, workload.revisions.to_vec());
    workload
}

/// Deployment `cart` in a rollout: two pods of healthy revision 1, and one broken pod of revision 2.
fn rollout(break_it: impl Fn(&mut PodRow)) -> Workload {
    let mut bad = fx::pod("cart-bbb-0", "cart-bbb", "shop/cart:2");
    bad.created = fx::ago(300);
    break_it(&mut bad);
    let pods =
        vec![fx::pod("cart-aaa-0", "cart-aaa", "shop/cart:1"), fx::pod("cart-aaa-1", "cart-aaa", "shop/cart:1"), bad];
    let revisions = vec![
        fx::revision(2, "cart-bbb", "shop/cart:2", 1, 0, 300),
        fx::revision(1, "cart-aaa", "shop/cart:1", 2, 2, 86_400),
    ];
    fx::deployment("cart", pods, revisions)
}

fn growing(per_hour: f64) -> impl Fn(i64) -> f64 {
    move |back| 1e8 * (1.0 - per_hour * back as f64 / 3600.0)
}

const PULL: &str = "Back-off pulling image \"shop/cart:2\"";
const NO_ROOM: &str = "0/5 nodes are available: 5 Insufficient cpu.";

#[test]
fn each_fault_gets_its_one_class() {
    let one = |w: Workload| fx::snapshot(vec![w]);
    let lost = |since: i64| {
        let mut nodes: Vec<_> = ["n1", "n2", "n3", "n4", "n5"].map(fx::node).into();
        fx::sick(&mut nodes[0], NodeTrouble::Unknown, since);
        nodes
    };
    let unready = |since: i64| move |p: &mut PodRow| fx::not_ready(p, since, "ContainersNotReady", "unready: [app]");
    let oom = "oom:shop/Deployment/cart:app";
    let release = "bad-release:shop/Deployment/cart:2";
    let crash = "crash-loop:shop/Deployment/cart:app";
    let killing = fx::event("cart-aaa-0", "Killing", "Container app failed liveness probe, will be restarted");
    let cases: Vec<(&str, Snapshot, Vec<&str>)> = vec![
        ("all healthy", one(fx::healthy("cart", 3)), vec![]),
        ("killed at its limit", one(cart(3, 1, |p| fx::oom(p, 3, 60))), vec![oom]),
        (
            "killed long ago, running since",
            one(cart(3, 1, |p| {
                fx::oom(p, 1, 7200);
                p.containers[0].trouble.as_mut().unwrap().waiting = None;
                p.ready = true;
                p.trouble = None;
            })),
            vec![],
        ),
        (
            "killed by a node under memory pressure",
            {
                let mut nodes = lost(0);
                fx::sick(&mut nodes[0], NodeTrouble::MemoryPressure, 120);
                nodes[0].ready = true;
                fx::with_nodes(one(cart(3, 1, |p| fx::oom(p, 3, 60))), nodes)
            },
            vec!["oom-node:shop/Deployment/cart:n1", "node-pressure:Node/n1:MemoryPressure"],
        ),
        ("bad image, old revision serves", one(rollout(|p| fx::waiting(p, "ImagePullBackOff", PULL))), vec![release]),
        ("new revision exits at once", one(rollout(|p| fx::crashed(p, "Error", 1, 4, 3, 30))), vec![release]),
        (
            "new revision lacks its config",
            one(rollout(|p| {
                fx::waiting(p, "CreateContainerConfigError", "configmap \"cart\" not found");
            })),
            vec![release],
        ),
        ("new revision never becomes ready", one(rollout(unready(250))), vec![release]),
        ("new revision is killed for memory: memory, not the release", one(rollout(|p| fx::oom(p, 3, 200))), vec![oom]),
        (
            "both revisions crash: not the release",
            {
                let mut w = rollout(|p| fx::crashed(p, "Error", 1, 4, 3, 30));
                let mut rows: Vec<PodRow> = w.pods.iter().map(|p| (**p).clone()).collect();
                fx::crashed(&mut rows[0], "Error", 1, 4, 3, 30);
                w = fx::deployment("cart", rows, w.revisions.to_vec());
                one(w)
            },
            vec![crash],
        ),
        (
            "a release that ran well for hours and crashes now",
            {
                let mut w = rollout(|p| fx::crashed(p, "Error", 1, 4, 3, 30));
                let mut revisions = w.revisions.to_vec();
                revisions[0].created = fx::ago(7200);
                revisions[0].last_healthy = Some(fx::ago(600));
                w.revisions = revisions.into();
                one(w)
            },
            vec![crash],
        ),
        (
            "image error without an older revision",
            one(cart(2, 2, |p| fx::waiting(p, "ErrImagePull", PULL))),
            vec!["image-error:shop/Deployment/cart"],
        ),
        (
            "missing ConfigMap without an older revision",
            one(cart(2, 2, |p| {
                fx::waiting(p, "CreateContainerConfigError", "configmap \"cart\" not found");
            })),
            vec!["missing-config:shop/Deployment/cart"],
        ),
        (
            "missing Secret of a volume",
            fx::with_events(
                one(cart(2, 1, |p| {
                    fx::waiting(p, "ContainerCreating", "");
                })),
                vec![fx::event(
                    "cart-aaa-0",
                    "FailedMount",
                    "MountVolume.SetUp failed for volume \"s\" : secret \"db\" not found",
                )],
            ),
            vec!["missing-config:shop/Deployment/cart"],
        ),
        ("plain crash loop", one(cart(3, 1, |p| fx::crashed(p, "Error", 2, 6, 300, 30))), vec![crash]),
        (
            "liveness kills",
            fx::with_events(one(cart(3, 1, |p| fx::crashed(p, "Error", 137, 4, 90, 30))), vec![killing]),
            vec!["liveness-kills:shop/Deployment/cart:app"],
        ),
        (
            "137 without an event is only a crash",
            one(cart(3, 1, |p| fx::crashed(p, "Error", 137, 4, 90, 30))),
            vec![crash],
        ),
        ("not ready within the grace", one(cart(3, 1, unready(60))), vec![]),
        ("not ready beyond the grace", one(cart(3, 1, unready(180))), vec!["not-ready:shop/Deployment/cart"]),
        ("no node", one(cart(3, 1, |p| fx::unschedulable(p, 60, NO_ROOM))), vec!["unschedulable:shop/Deployment/cart"]),
        ("no node, but only just made", one(cart(3, 1, |p| fx::unschedulable(p, 10, NO_ROOM))), vec![]),
        (
            "evicted pod",
            one(cart(3, 1, |p| {
                p.phase = Phase::Failed;
                p.ready = false;
                p.trouble = Some(Box::new(PodTrouble {
                    reason: Some(("Evicted".into(), "low on memory".into())),
                    ..PodTrouble::default()
                }));
            })),
            vec!["pod-failed:shop/Deployment/cart"],
        ),
        (
            "a lost node explains its pods",
            fx::with_nodes(one(cart(3, 3, unready(300))), lost(90)),
            vec!["node-not-ready:Node/n1"],
        ),
        ("a node that blinked", fx::with_nodes(one(fx::healthy("cart", 3)), lost(10)), vec![]),
        (
            "callers of one dead host",
            fx::with_events(
                fx::snapshot(vec![cart(2, 2, unready(300)), cart_named("web", 2, 2, unready(300))]),
                vec![
                    fx::event(
                        "cart-aaa-0",
                        "Unhealthy",
                        "Readiness probe failed: dial tcp: lookup db on 10.0.0.10:53: no such host",
                    ),
                    fx::event(
                        "cart-aaa-1",
                        "Unhealthy",
                        "Readiness probe failed: dial tcp: lookup db on 10.0.0.10:53: no such host",
                    ),
                    fx::event(
                        "web-aaa-0",
                        "Unhealthy",
                        "Readiness probe failed: dial tcp: lookup db on 10.0.0.10:53: no such host",
                    ),
                    fx::event(
                        "web-aaa-1",
                        "Unhealthy",
                        "Readiness probe failed: dial tcp: lookup db on 10.0.0.10:53: no such host",
                    ),
                ],
            ),
            vec!["dependency:shop/Deployment/cart", "dependency:shop/Deployment/web"],
        ),
        (
            "one caller alone proves nothing",
            fx::with_events(
                one(cart(2, 1, unready(300))),
                vec![fx::event(
                    "cart-aaa-0",
                    "Unhealthy",
                    "Readiness probe failed: dial tcp: lookup db on 10.0.0.10:53: no such host",
                )],
            ),
            vec!["not-ready:shop/Deployment/cart"],
        ),
        (
            "cpu above target",
            fx::with_metrics(one(fx::healthy("cart", 3)), "cart", 600, &[(Signal::Cpu, &|_| 0.27)]),
            vec!["saturated:shop/Deployment/cart:cpu"],
        ),
        (
            "cpu within tolerance",
            fx::with_metrics(one(fx::healthy("cart", 3)), "cart", 600, &[(Signal::Cpu, &|_| 0.23)]),
            vec![],
        ),
        (
            "memory leaks",
            fx::with_metrics(one(fx::healthy("cart", 3)), "cart", 3600, &[(Signal::Memory, &growing(0.3))]),
            vec!["leak:shop/Deployment/cart"],
        ),
        (
            "memory grows with traffic",
            fx::with_metrics(
                one(fx::healthy("cart", 3)),
                "cart",
                3600,
                &[(Signal::Memory, &growing(0.3)), (Signal::RequestRate, &growing(0.4))],
            ),
            vec![],
        ),
    ];
    for (name, snapshot, want) in cases {
        let found = find(&snapshot);
        let ids: Vec<&str> = found.iter().map(|f| &*f.id).collect();
        assert_eq!(ids, want, "{name}");
        for f in &found {
            assert!(
                !f.evidence.is_empty() && f.evidence.iter().all(|e| !e.source.is_empty() && !e.says.is_empty()),
                "{name}"
            );
        }
    }
}

#[test]
fn an_oom_finding_carries_what_the_planner_needs() {
    let snapshot = fx::with_usage(fx::snapshot(vec![cart(3, 2, |p| fx::oom(p, 3, 60))]), "cart-aaa-0", 1.3e8, 0.97);
    let found = find(&snapshot);
    let Fault::OomContainer { container, limit, peak, kills } = &found[0].fault else { panic!("{found:?}") };
    assert_eq!((&**container, *limit, *kills), ("app", 128 << 20, 6));
    assert_eq!(peak.unwrap(), (f64::from(0.97f32) * f64::from(128 << 20)) as u64);
    assert_eq!(
        &*found[0].evidence[0].source,
        "pod shop/cart-aaa-0 status.containerStatuses[name=app].lastState.terminated"
    );
    assert_eq!(found[0].severity, Severity::High);
    assert_eq!(found[0].pods.len(), 2);
}

#[test]
fn a_saw_tooth_is_one_leak_and_its_kills_are_evidence() {
    // Grows by half of its start within 20 minutes, is killed, and starts again: three times an hour.
    let tooth = |back: i64| 1e8 * (1.0 + 0.5 * ((3600 - back).rem_euclid(1200)) as f64 / 1200.0);
    let base = fx::snapshot(vec![cart(1, 1, |p| fx::oom(p, 3, 60))]);
    let found = find(&fx::with_metrics(base, "cart", 3600, &[(Signal::Memory, &tooth)]));
    assert_eq!(found.iter().map(|f| &*f.id).collect::<Vec<_>>(), ["leak:shop/Deployment/cart"]);
    let Fault::Leak { r2, per_hour, .. } = found[0].fault else { panic!() };
    assert!(r2 > 0.95 && per_hour > 0.9, "{r2} {per_hour}");
    assert!(found[0].evidence.iter().any(|e| e.says.contains("OOMKilled")));
}

#[test]
fn after_a_release_that_asks_for_other_resources_use_is_not_held_against_them_at_once() {
    let released = |age: i64, request: &str| {
        let mut workload = fx::healthy("cart", 3);
        let mut newest = fx::revision(2, "cart-2", "shop/cart:2", 3, 3, age);
        newest.template = Arc::from([fx::container("app", "shop/cart:2", Some(request), Some("128Mi"))]);
        workload.revisions = Arc::from([newest, fx::revision(1, "cart-1", "shop/cart:1", 0, 0, 7200)]);
        find(&fx::with_metrics(fx::snapshot(vec![workload]), "cart", 600, &[(Signal::Cpu, &|_| 0.27)])).len()
    };
    assert_eq!(released(120, "32Mi"), 0, "use and base are of two templates");
    assert_eq!(released(120, "64Mi"), 1, "the base is the same");
    assert_eq!(released(400, "32Mi"), 1, "five minutes later they are of one");
}

#[test]
fn old_readings_find_neither_leak_nor_saturation() {
    let leak = growing(0.3);
    let mut snapshot = fx::with_metrics(
        fx::snapshot(vec![fx::healthy("cart", 3)]),
        "cart",
        3600,
        &[(Signal::Memory, &leak), (Signal::Cpu, &|_| 9.0)],
    );
    assert_eq!(find(&snapshot).len(), 1);
    snapshot.metrics.state = SourceState::Live { last: fx::ago(600) };
    assert_eq!(find(&snapshot), vec![]);
    snapshot.metrics.state =
        SourceState::Failed { since: fx::ago(600), last: Some(fx::ago(600)), why: "connection refused".into() };
    assert_eq!(find(&snapshot), vec![]);
}

#[test]
fn a_warming_cache_is_no_leak() {
    let warm = |back: i64| 1e8 * (1.0 - 0.5 * (-((3600 - back) as f64) / 900.0).exp());
    let found =
        find(&fx::with_metrics(fx::snapshot(vec![fx::healthy("cart", 3)]), "cart", 3600, &[(Signal::Memory, &warm)]));
    assert_eq!(found, vec![]);
}

#[test]
fn scaling_is_left_to_an_hpa_that_has_room() {
    let mut snapshot =
        fx::with_metrics(fx::snapshot(vec![fx::healthy("cart", 3)]), "cart", 600, &[(Signal::Cpu, &|_| 0.3)]);
    let hpa = |max: u32| {
        Arc::new(HpaRow {
            namespace: "shop".into(),
            name: "cart".into(),
            target: crate::model::object::WorkloadKey::new("shop", WorkloadKind::Deployment, "cart"),
            min: 1,
            max,
            current: 3,
            desired: 3,
            resources: Box::new(["cpu".into()]),
            blocked: None,
            scaling: None,
        })
    };
    snapshot.hpas = Arc::from([hpa(10)]);
    assert_eq!(find(&snapshot), vec![]);
    snapshot.hpas = Arc::from([hpa(3)]);
    assert!(find(&snapshot)[0].evidence.iter().any(|e| e.says.contains("maximum of 3")));
}

#[test]
fn systemic_needs_a_share_and_a_number() {
    let bad = |n: usize| {
        let mut all: Vec<Workload> =
            (0..n).map(|i| cart_named(&format!("bad{i}"), 1, 1, |p| fx::crashed(p, "Error", 1, 9, 300, 30))).collect();
        all.extend((0..6).map(|i| fx::healthy(&format!("good{i}"), 1)));
        find(&fx::snapshot(all))
    };
    assert!(!bad(3).iter().any(|f| f.fault.class() == "systemic"), "three are too few, though they are a third");
    let found = bad(4);
    assert_eq!(&*found[4].id, "systemic:cluster:workloads of namespace shop");
    assert_eq!(found.len(), 5, "the workloads' own findings stay visible");
}

#[test]
fn two_sick_nodes_of_five_are_systemic() {
    let mut nodes: Vec<_> = ["n1", "n2", "n3", "n4", "n5"].map(fx::node).into();
    fx::sick(&mut nodes[0], NodeTrouble::NotReady, 90);
    fx::sick(&mut nodes[1], NodeTrouble::DiskPressure, 90);
    let found = find(&fx::with_nodes(fx::snapshot(vec![fx::healthy("cart", 2)]), nodes));
    assert!(found.iter().any(|f| &*f.id == "systemic:cluster:nodes"), "{found:?}");
}

#[test]
fn since_survives_the_calm_between_two_crashes_and_is_forgotten_later() {
    let mut analyzer = Analyzer::new();
    let mut run = |snapshot: &Snapshot, minutes: i64| {
        let now = fx::now() + TimeDelta::minutes(minutes);
        analyzer.analyze(snapshot, &Analyze::default(), &Planning::default(), &[], now)
    };
    let sick = fx::snapshot(vec![cart(3, 1, |p| fx::crashed(p, "Error", 2, 6, 300, 30))]);
    let calm = fx::snapshot(vec![fx::healthy("cart", 3)]);
    assert_eq!(run(&sick, 0)[0].since, fx::now());
    assert_eq!(run(&calm, 5), vec![]);
    assert_eq!(run(&sick, 8)[0].since, fx::now());
    run(&calm, 30);
    assert_eq!(run(&sick, 31)[0].since, fx::now() + TimeDelta::minutes(31));
}

#[test]
fn a_single_old_restart_is_not_a_loop_until_it_rises() {
    let calm = |restarts| {
        fx::snapshot(vec![cart(3, 1, |p| {
            fx::crashed(p, "Error", 2, restarts, 300, 30);
            p.containers[0].trouble.as_mut().unwrap().waiting = None;
            p.containers[0].ready = true;
            p.ready = true;
            p.trouble = None;
        })])
    };
    let mut analyzer = Analyzer::new();
    let mut run = |s: &Snapshot| analyzer.analyze(s, &Analyze::default(), &Planning::default(), &[], fx::now()).len();
    assert_eq!(run(&calm(1)), 0, "it restarted once, before we looked");
    assert_eq!(run(&calm(2)), 1, "and again while we looked");
}
