use super::*;
use crate::sim::clock::{Clock, at as moment, seconds};
use crate::sim::engine::{Actor, Engine};
use crate::sim::noise::Noise;
use crate::sim::object::{holds, list};
use std::sync::Arc;

const START: i64 = 1_795_000_000_000;

fn store() -> Arc<Store> {
    Arc::new(Store::new(Arc::new(Clock::new(moment(START), 0.0)), Noise::new(1)))
}

fn machine(name: &str) -> Machine {
    Machine {
        name: name.into(),
        zone: "eu-west-1a".into(),
        instance_type: "m6i.xlarge".into(),
        cores: 4.0,
        memory: 16.0 * 1_073_741_824.0,
        disk: 100.0 * 1_073_741_824.0,
        ..Machine::default()
    }
}

fn installed() -> (Arc<Store>, Shared) {
    let (store, shared) = (store(), Shared::default());
    install(&store, &shared, vec![machine("n1"), machine("n2")], moment(START) - seconds(86_400.0));
    (store, shared)
}

#[test]
fn the_world_installs_and_is_older_than_the_simulation() {
    let (store, shared) = installed();
    for (key, name) in [
        ("clusterroles.rbac.authorization.k8s.io", "cluster-admin"),
        ("priorityclasses.scheduling.k8s.io", "system-node-critical"),
        ("customresourcedefinitions.apiextensions.k8s.io", "podchaos.chaos-mesh.org"),
        ("namespaces", "kube-node-lease"),
        ("nodes", "n2"),
    ] {
        let object = store.get(key, "", name).unwrap_or_else(|| panic!("{key}/{name}")).value();
        assert_eq!(text(&object, "metadata.creationTimestamp"), "2026-11-17T11:06:40Z");
    }
    assert!(store.get("services", "monitoring", "prometheus-server").is_some());
    assert!(store.registry.find("keda.sh", "v1alpha1", "scaledobjects").is_some_and(|r| r.custom));
    assert_eq!(shared.lock().nodes.len(), 2);
    let node = store.get("nodes", "", "n1").unwrap().value();
    assert!(holds(&node, "Ready"));
    assert_eq!(node["status"]["allocatable"]["cpu"], "3920m");
    let namespace = store.get("namespaces", "", "default").unwrap();
    assert_eq!(namespace.labels["kubernetes.io/metadata.name"], "default");
}

#[test]
fn aggregated_roles_hold_each_other() {
    let (store, _) = installed();
    let rules = |name: &str| {
        let role = store.get("clusterroles.rbac.authorization.k8s.io", "", name).unwrap().value();
        role["rules"].as_array().unwrap().clone()
    };
    let (view, edit, admin) = (rules("view"), rules("edit"), rules("admin"));
    assert!(view.iter().all(|r| edit.contains(r)) && edit.iter().all(|r| admin.contains(r)));
    let reads = |rules: &[Value], resource: &str| {
        rules
            .iter()
            .any(|r| list(r, "resources").iter().any(|x| x == resource) && list(r, "verbs").iter().any(|v| v == "get"))
    };
    assert!(reads(&view, "deployments") && reads(&view, "applications") && !reads(&view, "secrets"));
    assert!(reads(&edit, "secrets"));
}

#[test]
fn kinds_of_definitions_have_what_discovery_tells() {
    let all = crds::all(moment(START));
    let of = |name: &str| {
        crate::sim::schema::custom_kind(all.iter().find(|c| text(c, "metadata.name") == name).unwrap()).unwrap()
    };
    let ks = of("kustomizations.kustomize.toolkit.fluxcd.io");
    assert_eq!(
        (ks.api_version().as_str(), ks.has("status"), ks.singular.as_str()),
        ("kustomize.toolkit.fluxcd.io/v1", true, "kustomization")
    );
    assert_eq!(of("applications.argoproj.io").short, ["app", "apps"]);
    assert!(!of("applications.argoproj.io").has("status"), "as Argo CD defines it");
    assert!(crate::sim::schema::custom_kind(&json!({"spec": {"group": "x"}})).is_none());
}

#[test]
fn a_fleet_has_as_many_as_asked_and_consistent_owners() {
    let store = store();
    fleet::install(&store, Noise::new(1), fleet::Size { nodes: 30, pods: 2_500 }, moment(START)).unwrap();
    assert_eq!((store.count("nodes"), store.count("pods"), store.count("namespaces")), (30, 2_500, 2));
    let mut running: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    for pod in store.list("pods", None).1.iter().map(|p| p.value()) {
        assert!(store.get("nodes", "", text(&pod, "spec.nodeName")).is_some());
        *running.entry(crate::sim::object::controller(&pod).unwrap().2.to_owned()).or_default() += 1;
    }
    let mut wanted = 0;
    for set in store.list("replicasets.apps", None).1 {
        let value = set.value();
        let owner = crate::sim::object::controller(&value).unwrap();
        let deployment = store.get("deployments.apps", &set.namespace, owner.1).unwrap();
        assert_eq!(deployment.uid, owner.2);
        assert_eq!(running[&set.uid], value["status"]["readyReplicas"]);
        wanted += value["spec"]["replicas"].as_i64().unwrap();
    }
    assert_eq!(wanted, 2_500);
}

#[test]
fn churn_is_the_same_for_a_seed_and_keeps_the_number() {
    let run = |step: f64| {
        let store = store();
        fleet::install(&store, Noise::new(3), fleet::Size { nodes: 2, pods: 50 }, moment(START)).unwrap();
        let churn = fleet::Churn::new(store.clone(), Noise::new(3), 4);
        let mut engine = Engine::new(store.clone(), vec![Box::new(churn) as Box<dyn Actor>]);
        let mut to = 0.0;
        while to < 30.0 {
            to += step;
            engine.advance(moment(START) + seconds(to));
        }
        let (_, pods) = store.list("pods", None);
        assert_eq!(pods.len(), 50);
        (store.version(), pods.iter().map(|p| p.body.clone()).collect::<Vec<_>>())
    };
    let (version, bodies) = run(1.0);
    assert!(version > 1_150, "{version}");
    assert_eq!((version, bodies), run(30.0));
}
