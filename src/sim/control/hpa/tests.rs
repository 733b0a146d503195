//! Decisions on cases of replica_calculator_test.go and horizontal_test.go, and whole rounds.

use super::decide::*;
use crate::sim::clock::at as ms;
use crate::sim::control::testing::{World, deployment};
use crate::sim::machine::{Place, Process, State, Usage};
use crate::sim::object::{condition, int, text};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};

const NOW: i64 = 1_000_000;
const TEN_PERCENT: Tolerances = Tolerances { down: 0.1, up: 0.1 };

fn pods(requests: &[i64]) -> Vec<Pod> {
    requests
        .iter()
        .enumerate()
        .map(|(i, r)| Pod {
            name: format!("p{i}"),
            ready: Some((true, ms(0))),
            started: Some(ms(0)),
            request: Some(Ok(*r)),
            ..Pod::default()
        })
        .collect()
}

fn samples(levels: &[i64]) -> BTreeMap<String, Sample> {
    let of = |v: &i64| Sample { value: *v, at: ms(NOW * 1000), window: 60 };
    levels.iter().enumerate().map(|(i, v)| (format!("p{i}"), of(v))).collect()
}

fn cpu(current: i64, percent: i64, pods: &[Pod], levels: &[i64]) -> Result<i64, String> {
    propose(current, Target::Utilization(percent), true, TEN_PERCENT, pods, samples(levels), ms(NOW * 1000))
        .map(|p| p.replicas)
}

#[test]
fn the_cases_of_the_replica_calculator() {
    // TestReplicaCalcScaleUp
    assert_eq!(cpu(3, 30, &pods(&[1000; 3]), &[300, 500, 700]), Ok(5));
    // TestReplicaCalcScaleDown
    assert_eq!(cpu(5, 50, &pods(&[1000; 5]), &[100, 300, 500, 250, 250]), Ok(3));
    // TestReplicaCalcTolerance: 107 % of the target
    assert_eq!(cpu(3, 100, &pods(&[900, 1000, 1100]), &[1010, 1030, 1020]), Ok(3));
    // TestReplicaCalcMissingMetricsUnreadyScaleUp family: one pod without metrics counts as idle on the way up
    assert_eq!(cpu(3, 30, &pods(&[1000; 3]), &[400, 950]), Ok(5));
    // TestReplicaCalcMissingMetricsNoChangeEq: missing at 100 % of its request: 1.9 of 2
    assert_eq!(cpu(2, 100, &pods(&[1000; 2]), &[950]), Ok(2));
    // TestReplicaCalcMissingMetricsUnreadyChange: unready and missing pods count as idle on the way up
    let mut some = pods(&[1000; 4]);
    some[0].ready = Some((false, ms(0)));
    let mut found = samples(&[100, 450, 700]);
    let propose_with = |pods: &[Pod], found: BTreeMap<String, Sample>| {
        propose(4, Target::Utilization(50), true, TEN_PERCENT, pods, found, ms(NOW * 1000)).map(|p| p.replicas)
    };
    assert_eq!(propose_with(&some, found.clone()), Ok(4), "575 of 500 on two pods, 287 of 500 with the others idle");
    // TestReplicaCalcEmptyMetrics, TestReplicaCalcEmptyCPURequest
    found.clear();
    assert!(propose_with(&some, found).is_err());
    let mut none = pods(&[1000; 1]);
    none[0].request = Some(Err("missing request for cpu in container c of Pod p0".into()));
    assert_eq!(cpu(1, 100, &none, &[200]), Err("missing request for cpu in container c of Pod p0".into()));
    // TestReplicaCalcScaleUpIgnoresFailedPods
    let mut failing = pods(&[1000; 4]);
    failing[2].ignored = true;
    failing[3].ignored = true;
    assert_eq!(cpu(2, 30, &failing, &[500, 700]), Ok(4));
    // TestReplicaCalcScaleUpUnreadyLessScale
    let mut unready = pods(&[1000; 3]);
    unready[0].ready = Some((false, ms(0)));
    assert_eq!(cpu(3, 30, &unready, &[300, 500, 700]), Ok(4));
}

#[test]
fn young_pods_count_only_with_a_whole_window_of_readiness() {
    let mut two = pods(&[1000; 2]);
    two[1].started = Some(ms((NOW - 100) * 1000));
    two[1].ready = Some((true, ms((NOW - 30) * 1000)));
    // p1 became ready 30 s ago and its window is 60 s: it counts as idle, and 500/1000 of 50 % stays.
    assert_eq!(cpu(2, 50, &two, &[1000, 1000]), Ok(2));
    two[1].ready = Some((true, ms((NOW - 61) * 1000)));
    assert_eq!(cpu(2, 50, &two, &[1000, 1000]), Ok(4));
}

fn plain(min: i64, max: i64) -> Bounds {
    Bounds { min, max, behavior: None, stabilization: DOWNSCALE_STABILIZATION }
}

#[test]
fn without_a_behavior_growth_is_bounded_and_shrinking_waits() {
    let mut history = History::default();
    let mut at =
        |s: i64, current: i64, desired: i64| normalize(&plain(1, 100), &mut history, current, desired, ms(s * 1000));
    assert_eq!(at(0, 3, 50).replicas, 6);
    let held = at(15, 6, 2);
    assert_eq!((held.replicas, held.able.0), (12, "ScaleDownStabilized"), "50 was wanted a moment ago");
    let later = at(400, 12, 2);
    assert_eq!((later.replicas, later.able.0, later.limited.1), (2, "ReadyForNewScale", "DesiredWithinRange"));
    let few = normalize(&plain(3, 9), &mut History::default(), 4, 1, ms(0));
    assert_eq!(
        (few.replicas, few.limited),
        (3, (true, "TooFewReplicas", "the desired replica count is less than the minimum replica count"))
    );
}

#[test]
fn policies_limit_by_what_was_done_in_their_period() {
    let pods_of = |value, period| Policy { percent: false, value, period };
    let up = Rules {
        stabilization: 0,
        select: Select::Min,
        policies: vec![pods_of(2, 60), Policy { percent: true, value: 50, period: 60 }],
    };
    let down = Rules { stabilization: 60, select: Select::Max, policies: vec![pods_of(1, 30)] };
    let bounds = Bounds { min: 1, max: 20, behavior: Some((up, down)), stabilization: 0 };
    let mut history = History::default();
    let mut step = |s: i64, current: i64, desired: i64| {
        let d = normalize(&bounds, &mut history, current, desired, ms(s * 1000));
        if d.replicas != current {
            remember(&bounds, &mut history, current, d.replicas, ms(s * 1000));
        }
        (d.replicas, d.limited.1)
    };
    assert_eq!(step(0, 10, 20), (12, "ScaleUpLimit"));
    assert_eq!(step(15, 12, 20), (12, "ScaleUpLimit"));
    assert_eq!(step(61, 12, 20), (14, "ScaleUpLimit"));
    assert_eq!(step(100, 14, 1), (14, "DesiredWithinRange"), "20 was wanted within the window");
    assert_eq!(step(170, 14, 1), (13, "ScaleDownLimit"));
    assert_eq!(step(185, 13, 1), (13, "ScaleDownLimit"));
    assert_eq!(step(201, 13, 1), (12, "ScaleDownLimit"));
    let off = Rules { stabilization: 0, select: Select::Disabled, policies: vec![] };
    let bounds = Bounds { min: 1, max: 20, behavior: Some((off.clone(), off)), stabilization: 0 };
    assert_eq!(normalize(&bounds, &mut History::default(), 5, 9, ms(0)).replicas, 5);
}

/// Puts a process under every pod, using `cores` since `started`.
fn load(world: &World, cores: f64, started: i64) {
    let now = world.now();
    let mut machines = world.machines.lock();
    for pod in world.pods() {
        let place =
            Place { namespace: "shop".into(), pod: text(&pod, "metadata.name").into(), container: "main".into() };
        let began = ms(started);
        let p = machines.processes.entry(place.clone()).or_insert_with(|| Process {
            place,
            uid: String::new(),
            node: String::new(),
            workload: (String::new(), String::new()),
            image: String::new(),
            id: String::new(),
            restarts: 0,
            started: began,
            config: BTreeMap::new(),
            annotations: BTreeMap::new(),
            requests: [0.0; 2],
            limits: [None; 2],
            state: State::Running,
            ready: true,
            live: true,
            started_up: true,
            exporting: true,
            usage: Usage::default(),
            log: VecDeque::new(),
        });
        let passed = (now - began).num_seconds() as f64;
        p.usage.cores = cores;
        p.usage.cpu_seconds = [passed * cores, 0.0];
    }
}

#[test]
fn an_autoscaler_follows_the_load_and_tells_why() {
    let mut world = World::shop();
    world.create("deployments.apps", deployment(2, "web:1"));
    world.run(400.0);
    world.create(
        super::KEY,
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 5,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]},
        }),
    );
    world.run(1.0);
    let hpa = world.get(super::KEY, "web");
    let active = condition(&hpa, "ScalingActive").unwrap();
    assert_eq!((text(active, "status"), text(active, "reason")), ("False", "FailedGetResourceMetric"));
    assert_eq!(
        text(active, "message"),
        "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API"
    );
    load(&world, 0.08, 1_800_000_000_000);
    world.run(15.0);
    let hpa = world.get(super::KEY, "web");
    assert_eq!(int(&world.get("deployments.apps", "web"), "spec.replicas"), Some(4), "80 % of 100m, wanted 50 %: 3.2");
    assert_eq!(
        hpa["status"]["currentMetrics"][0]["resource"]["current"],
        json!({"averageValue": "80m", "averageUtilization": 80})
    );
    assert_eq!(text(condition(&hpa, "AbleToScale").unwrap(), "reason"), "SucceededRescale");
    assert!(world.events("web").contains(&(
        "SuccessfulRescale".into(),
        "New size: 4; reason: cpu resource utilization (percentage of request) above target".into()
    )));
}
