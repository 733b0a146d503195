//! What the table promises: lists replace, watches change, what was not touched is the same Arc.

use super::*;
use crate::model::cluster::Owner;
use crate::model::object::{Resource, WorkloadKind};
use crate::model::snapshot::SourceState;
use crate::model::time;
use crate::monitor::feed::{Feed, Object, Watched, What};
use chrono::TimeDelta;
use serde_json::{Value, json};

struct Fixture {
    table: Table,
    now: Timestamp,
}

fn feed(resource: &Resource) -> Arc<Feed> {
    Arc::new(Feed { watched: Watched::of(resource).unwrap(), namespace: None })
}

fn object(resource: &Resource, raw: Value) -> Object {
    fn read<T: for<'de> serde::Deserialize<'de>>(raw: Value) -> T {
        serde_json::from_value(raw).unwrap()
    }
    match Watched::of(resource).unwrap().what {
        What::Pod => Object::Pod(Box::new(read(raw))),
        What::Controller(_) => Object::Controller(Box::new(read(raw))),
        What::Namespace => Object::Namespace(Box::new(read(raw))),
        What::Event => Object::Event(Box::new(read(raw))),
        What::Hpa => Object::Hpa(Box::new(read(raw))),
        What::ConfigMap => Object::ConfigMap(Box::new(read(raw))),
        _ => Object::Counted(Box::new(read(raw))),
    }
}

impl Fixture {
    fn new() -> Self {
        Self { table: Table::new(4, None), now: time::now() }
    }

    fn apply(&mut self, resource: &Resource, change: Change) {
        self.table.apply(Delta { feed: feed(resource), change }, self.now);
    }

    fn list(&mut self, resource: &Resource, objects: Vec<Value>) {
        self.apply(resource, Change::Begin);
        for raw in objects {
            self.apply(resource, Change::Listed(object(resource, raw)));
        }
        self.apply(resource, Change::ListDone);
    }

    fn put(&mut self, resource: &Resource, raw: Value) {
        self.apply(resource, Change::Applied(object(resource, raw)));
    }

    fn delete(&mut self, resource: &Resource, raw: Value) {
        self.apply(resource, Change::Deleted(object(resource, raw)));
    }

    fn names(&mut self) -> Vec<String> {
        self.table.publish().workloads.iter().map(|w| w.key.to_string()).collect()
    }

    fn get(&mut self, name: &str) -> Arc<Workload> {
        self.table.publish().workloads.iter().find(|w| w.key.to_string() == name).unwrap().clone()
    }
}

fn pod(name: &str, owner: Option<(&str, &str)>) -> Value {
    let owners: Vec<Value> =
        owner.iter().map(|(kind, n)| json!({"kind": kind, "name": n, "controller": true})).collect();
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("pod-{name}"), "ownerReferences": owners},
        "spec": {"containers": [{"name": "app", "image": "a:1"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn deployment(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("dep-{name}")}, "spec": {"replicas": 1}})
}

fn replica_set(name: &str, owner: &str, revision: u64, desired: u32, available: u32) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("rs-{name}"),
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"kind": "Deployment", "name": owner, "controller": true}]},
        "spec": {"replicas": desired}, "status": {"availableReplicas": available}})
}

#[test]
fn pods_belong_to_the_top_of_their_chain_in_whatever_order_they_come() {
    let mut f = Fixture::new();
    f.apply(&Resource::REPLICASETS, Change::Begin);
    f.list(&Resource::PODS, vec![pod("b", Some(("ReplicaSet", "web-1"))), pod("a", Some(("ReplicaSet", "web-1")))]);
    assert!(f.names().is_empty(), "held back until it is known whose they are");
    f.apply(
        &Resource::REPLICASETS,
        Change::Listed(object(&Resource::REPLICASETS, replica_set("web-1", "web", 1, 2, 2))),
    );
    f.apply(&Resource::REPLICASETS, Change::ListDone);
    assert_eq!(f.names(), ["shop/Deployment/web"]);
    f.put(&Resource::DEPLOYMENTS, deployment("web"));
    let web = f.get("shop/Deployment/web");
    assert_eq!(web.pods.iter().map(|p| &*p.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((&*web.uid, web.revisions.len()), ("dep-web", 1));
}

#[test]
fn bare_pods_operators_pods_and_workloads_without_pods_are_all_there() {
    let mut f = Fixture::new();
    f.list(
        &Resource::PODS,
        vec![pod("alone", None), pod("k-0", Some(("Kafka", "k"))), pod("j-x", Some(("Job", "j-1")))],
    );
    f.list(
        &Resource::JOBS,
        vec![json!({"metadata": {"name": "j-1", "namespace": "shop", "uid": "j",
        "ownerReferences": [{"kind": "CronJob", "name": "nightly", "controller": true}]}, "status": {"active": 1}})],
    );
    f.list(
        &Resource::CRONJOBS,
        vec![json!({"metadata": {"name": "nightly", "namespace": "shop", "uid": "c"},
        "status": {"active": [{"name": "j-1"}]}})],
    );
    f.put(&Resource::DEPLOYMENTS, deployment("empty"));
    assert_eq!(
        f.names(),
        ["shop/Pod/alone", "shop/Deployment/empty", "shop/Kafka/k", "shop/CronJob/nightly"],
        "by namespace, then name"
    );
    assert_eq!(&*f.get("shop/Pod/alone").uid, "pod-alone");
    assert_eq!(f.get("shop/Kafka/k").key.kind, WorkloadKind::Other("Kafka".into()));
    assert_eq!(f.get("shop/CronJob/nightly").pods.len(), 1);
}

#[test]
fn what_vanished_during_a_re_list_is_gone_and_until_then_it_stays() {
    let mut f = Fixture::new();
    f.list(&Resource::PODS, vec![pod("a", None), pod("b", None)]);
    f.apply(&Resource::PODS, Change::Begin);
    f.apply(&Resource::PODS, Change::Listed(object(&Resource::PODS, pod("b", None))));
    assert_eq!(f.names().len(), 2, "a half list takes nothing away");
    // The list breaks off and starts over.
    f.apply(&Resource::PODS, Change::Failed("reset".into()));
    f.list(&Resource::PODS, vec![pod("b", None), pod("c", None)]);
    assert_eq!(f.names(), ["shop/Pod/b", "shop/Pod/c"]);
    f.delete(&Resource::PODS, pod("b", None));
    assert_eq!(f.names(), ["shop/Pod/c"]);
    assert_eq!(f.table.publish().sources[0].objects, 1);
}

#[test]
fn a_list_of_one_namespace_leaves_the_others_alone() {
    let mut f = Fixture::new();
    let of = |ns: &str| Arc::new(Feed { watched: Watched::of(&Resource::PODS).unwrap(), namespace: Some(ns.into()) });
    let mut other = pod("x", None);
    other["metadata"]["namespace"] = "ops".into();
    for (ns, raw) in [("shop", pod("a", None)), ("ops", other)] {
        for change in [Change::Begin, Change::Listed(object(&Resource::PODS, raw)), Change::ListDone] {
            f.table.apply(Delta { feed: of(ns), change }, f.now);
        }
    }
    for change in [Change::Begin, Change::ListDone] {
        f.table.apply(Delta { feed: of("shop"), change }, f.now);
    }
    assert_eq!(f.names(), ["ops/Pod/x"]);
    let names: Vec<_> = f.table.publish().namespaces.iter().map(|n| n.name.to_string()).collect();
    assert_eq!(names, ["ops", "shop"], "where namespaces cannot be listed, those that are watched");
}

#[test]
fn untouched_workloads_are_the_same_allocation() {
    let mut f = Fixture::new();
    f.list(&Resource::PODS, vec![pod("a", None), pod("b", None)]);
    let before = f.table.publish();
    let mut changed = pod("b", None);
    changed["metadata"]["resourceVersion"] = "9".into();
    f.put(&Resource::PODS, changed);
    let after = f.table.publish();
    assert!(Arc::ptr_eq(&before.workloads[0], &after.workloads[0]));
    assert!(!Arc::ptr_eq(&before.workloads[1], &after.workloads[1]));
    assert!(Arc::ptr_eq(&before.nodes, &after.nodes));
    assert!(Arc::ptr_eq(&before.events, &after.events));
    assert!(Arc::ptr_eq(&after.workloads[0].pods[0].specs, &after.workloads[1].pods[0].specs), "templates are shared");
}

#[test]
fn a_sign_of_life_is_no_change() {
    let mut f = Fixture::new();
    f.list(&Resource::PODS, vec![pod("a", None)]);
    let before = f.table.publish();
    assert_eq!(f.table.news(), News::None);
    f.apply(&Resource::PODS, Change::Alive);
    assert_eq!(f.table.news(), News::Ages);
    assert!(Arc::ptr_eq(&before.workloads, &f.table.publish().workloads));
}

#[test]
fn a_revision_remembers_when_it_was_last_healthy() {
    let mut f = Fixture::new();
    let healthy_at = f.now;
    f.list(&Resource::DEPLOYMENTS, vec![deployment("web")]);
    f.list(&Resource::REPLICASETS, vec![replica_set("web-1", "web", 1, 2, 2), replica_set("web-2", "web", 2, 1, 0)]);
    f.now += TimeDelta::seconds(60);
    f.put(&Resource::REPLICASETS, replica_set("web-1", "web", 1, 0, 0));
    let left_at = f.now;
    f.now += TimeDelta::seconds(60);
    f.put(&Resource::REPLICASETS, replica_set("web-1", "web", 1, 0, 0));
    let web = f.get("shop/Deployment/web");
    let seen: Vec<_> = web.revisions.iter().map(|r| (r.number, r.last_healthy)).collect();
    assert_eq!(seen, [(2, None), (1, Some(left_at))], "newest first; healthy until it was scaled down");
    assert!(left_at > healthy_at);
}

#[test]
fn opt_in_comes_from_the_namespace_and_the_workload_has_the_last_word() {
    let mut f = Fixture::new();
    let namespace = |on: &str| json!({"metadata": {"name": "shop", "uid": "n", "labels": {"autonomous-enabled": on}}});
    f.list(&Resource::DEPLOYMENTS, vec![deployment("web")]);
    f.list(&Resource::NAMESPACES, vec![namespace("true")]);
    assert!(f.get("shop/Deployment/web").opted_in);
    let mut out = deployment("web");
    out["metadata"]["annotations"] = json!({"autonomous/enabled": "false"});
    f.put(&Resource::DEPLOYMENTS, out);
    assert!(!f.get("shop/Deployment/web").opted_in);
    f.put(&Resource::DEPLOYMENTS, deployment("web"));
    f.put(&Resource::NAMESPACES, namespace("false"));
    assert!(!f.get("shop/Deployment/web").opted_in);
}

#[test]
fn an_autoscaler_is_an_owner_while_it_exists() {
    let mut f = Fixture::new();
    let hpa = json!({"metadata": {"name": "h", "namespace": "shop", "uid": "h"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 5}});
    f.list(&Resource::DEPLOYMENTS, vec![deployment("web")]);
    f.list(&Resource::HPAS, vec![hpa.clone()]);
    assert_eq!(*f.get("shop/Deployment/web").owners, [Owner::Hpa("h".into())]);
    f.delete(&Resource::HPAS, hpa);
    assert!(f.get("shop/Deployment/web").owners.is_empty());
    assert!(f.table.publish().hpas.is_empty());
}

#[test]
fn events_are_folded_bounded_and_newest_first() {
    let mut f = Fixture::new();
    let event = |n: u32, pod: &str| {
        json!({"metadata": {"name": n.to_string(), "namespace": "shop", "uid": format!("e{n}")},
        "type": "Warning", "reason": "BackOff", "message": format!("try {n}"), "count": n,
        "lastTimestamp": format!("2026-11-21T06:00:{n:02}Z"), "involvedObject": {"kind": "Pod", "namespace": "shop", "name": pod}})
    };
    f.list(&Resource::EVENTS, vec![event(1, "a"), event(2, "a"), event(3, "b")]);
    let events = f.table.publish().events;
    let seen: Vec<_> = events.iter().map(|e| (e.object.to_string(), e.count, e.message.to_string())).collect();
    assert_eq!(seen, [("shop/Pod/b".into(), 3, "try 3".into()), ("shop/Pod/a".into(), 3, "try 2".into())]);
    for n in 4..60 {
        f.put(&Resource::EVENTS, event(n, &format!("p{n}")));
    }
    assert!(f.table.publish().events.len() <= 4);
    assert!(f.table.publish().sources[0].objects <= 5);
}

#[test]
fn a_lost_source_keeps_its_rows_and_its_age_and_comes_back() {
    let mut f = Fixture::new();
    f.list(&Resource::PODS, vec![pod("a", None)]);
    let seen = f.now;
    f.now += TimeDelta::seconds(10);
    f.apply(&Resource::PODS, Change::Failed("refused".into()));
    f.now += TimeDelta::seconds(10);
    // Right after its start a server may refuse what it will soon allow again.
    f.apply(&Resource::PODS, Change::Denied("403: not yet".into()));
    let parts = f.table.publish();
    let since = seen + TimeDelta::seconds(10);
    assert_eq!(parts.sources[0].state, SourceState::Failed { since, last: Some(seen), why: "403: not yet".into() });
    assert_eq!(parts.workloads.len(), 1);
    f.apply(&Resource::PODS, Change::Alive);
    assert_eq!(f.table.publish().sources[0].state, SourceState::Live { last: f.now });
}

#[test]
fn a_refusal_from_the_start_is_denied_and_apart_from_what_is_allowed() {
    let mut f = Fixture::new();
    let of = |ns: &str| Arc::new(Feed { watched: Watched::of(&Resource::PODS).unwrap(), namespace: Some(ns.into()) });
    for change in [Change::Begin, Change::ListDone] {
        f.table.apply(Delta { feed: of("mine"), change }, f.now);
    }
    f.table.apply(Delta { feed: of("theirs"), change: Change::Denied("403: no list".into()) }, f.now);
    let sources = f.table.publish().sources;
    let seen: Vec<_> =
        sources.iter().map(|s| (s.namespaces.as_ref().unwrap()[0].to_string(), s.state.clone())).collect();
    assert_eq!(
        seen,
        [
            ("mine".to_owned(), SourceState::Live { last: f.now }),
            ("theirs".to_owned(), SourceState::Denied { why: "403: no list".into() })
        ]
    );
}

#[test]
fn a_controller_made_anew_survives_its_predecessors_end() {
    let mut f = Fixture::new();
    f.list(&Resource::DEPLOYMENTS, vec![deployment("web")]);
    let mut anew = deployment("web");
    anew["metadata"]["uid"] = "dep-web-2".into();
    f.put(&Resource::DEPLOYMENTS, anew);
    f.delete(&Resource::DEPLOYMENTS, deployment("web"));
    assert_eq!(&*f.get("shop/Deployment/web").uid, "dep-web-2");
}

#[test]
fn names_that_are_gone_do_not_stay_in_memory() {
    let mut f = Fixture::new();
    f.list(&Resource::PODS, Vec::new());
    for n in 0..20_000 {
        let raw = pod(&format!("p{n}"), Some(("Job", &format!("job-{n}"))));
        f.put(&Resource::PODS, raw.clone());
        f.delete(&Resource::PODS, raw);
        if n % 100 == 0 {
            let _ = f.table.publish();
        }
    }
    assert!(f.table.shared() < 5000, "{} shared values for no pods", f.table.shared());
    assert!(f.table.groups.is_empty() && f.table.pods.len() == 0);
}

proptest::proptest! {
    /// However it came about, the picture is that of the last list.
    #[test]
    fn any_history_followed_by_a_list_is_the_list(
        history in proptest::collection::vec((0u8..8, 0u8..3, 0u8..4), 0..60),
        last in proptest::collection::btree_set((0u8..8, 0u8..3), 0..10),
    ) {
        let one = |n: u8, owner: u8| pod(&format!("p{n}"), [None, Some(("ReplicaSet", "r")), Some(("StatefulSet", "s"))][usize::from(owner)]);
        let last: BTreeMap<u8, u8> = last.into_iter().collect();
        let list = |f: &mut Fixture| f.list(&Resource::PODS, last.iter().map(|(n, o)| one(*n, *o)).collect());
        let mut lived = Fixture::new();
        for (n, owner, what) in history {
            match what {
                0 => lived.delete(&Resource::PODS, one(n, owner)),
                1 => lived.list(&Resource::PODS, vec![one(n, owner)]),
                2 => drop(lived.table.publish()),
                _ => lived.put(&Resource::PODS, one(n, owner)),
            }
        }
        list(&mut lived);
        let mut fresh = Fixture { table: Table::new(4, None), now: lived.now };
        list(&mut fresh);
        let (lived, fresh) = (lived.table.publish(), fresh.table.publish());
        proptest::prop_assert_eq!(lived.workloads, fresh.workloads);
        proptest::prop_assert_eq!(lived.sources, fresh.sources);
    }
}

#[test]
fn of_config_maps_the_version_is_kept_and_what_they_hold_is_not() {
    let map = |name: &str, version: &str| json!({"metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version}, "data": {"key": "value"}});
    let mut f = Fixture::new();
    f.list(&Resource::CONFIGMAPS, vec![map("web", "1"), map("cart", "1")]);
    f.put(&Resource::CONFIGMAPS, map("web", "2"));
    let rows = |f: &mut Fixture| -> Vec<(String, String)> {
        f.table.publish().config_maps.iter().map(|m| (m.name.to_string(), m.version.to_string())).collect()
    };
    assert_eq!(rows(&mut f), [("cart".into(), "1".into()), ("web".into(), "2".into())]);
    f.delete(&Resource::CONFIGMAPS, map("cart", "3"));
    assert_eq!(rows(&mut f).len(), 1);
    f.list(&Resource::CONFIGMAPS, vec![]);
    assert_eq!(rows(&mut f), []);
}
