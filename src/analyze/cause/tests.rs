//! Incidents on small pictures: who belongs together, who is to blame, and how an incident lives and ends.

use super::*;
use crate::model::cluster::ConfigMapRow;
use crate::model::failure::Call;
use crate::model::fixtures::{self, ago, deployment, now, pod, revision, with_metrics};
use crate::model::incident::{Incident, Subject};
use crate::model::object::WorkloadKind;
use crate::model::series::Signal;

fn key(name: &str) -> WorkloadKey {
    WorkloadKey::new("shop", WorkloadKind::Deployment, name)
}

fn calls(list: &[(&str, &str)]) -> Arc<[Call]> {
    let call = |(a, b): &(&str, &str)| Call {
        caller: key(a),
        callee: key(b),
        rate: 10.0,
        failed: Some(0.0),
        took_ms: [None; 3],
    };
    list.iter().map(call).collect()
}

/// front calls search and cart, both call db; those named fail since so many seconds.
fn shop(failing: &[(&str, i64)]) -> Snapshot {
    let one =
        |name: &str| deployment(name, vec![pod(&format!("{name}-1"), &format!("{name}-7"), "shop/app:1")], vec![]);
    let mut s = fixtures::snapshot(["front", "search", "cart", "db"].map(one).to_vec());
    for name in ["front", "search", "cart", "db"] {
        let since = failing.iter().find(|f| f.0 == name).map(|f| f.1);
        let share = move |back: i64| if since.is_some_and(|s| back <= s) { 0.3 } else { 0.001 };
        let signals: [(Signal, &dyn Fn(i64) -> f64); 2] =
            [(Signal::RequestRate, &|_| 20.0), (Signal::ErrorRate, &share)];
        s = with_metrics(s, name, 7200, &signals);
    }
    s.metrics.calls = calls(&[("front", "search"), ("front", "cart"), ("search", "db"), ("cart", "db")]);
    s
}

fn seen(snapshot: Snapshot) -> Seen {
    Seen {
        snapshot: Arc::new(snapshot),
        findings: Arc::from([]),
        anomalies: Arc::default(),
        edges: Arc::from([]),
        proposals: Arc::from([]),
    }
}

fn open(incidents: &Incidents) -> Vec<Arc<Incident>> {
    incidents.open().cloned().collect()
}

#[test]
fn where_all_is_well_there_is_no_incident() {
    assert!(Reasoner::new().look(&seen(shop(&[])), now()).all.is_empty());
}

#[test]
fn the_callee_that_fails_with_its_callers_is_the_first_suspect_of_one_incident() {
    let incidents = Reasoner::new().look(&seen(shop(&[("front", 90), ("search", 90), ("db", 90)])), now());
    let open = open(&incidents);
    assert_eq!(open.len(), 1, "{incidents:#?}");
    assert_eq!(open[0].causes[0].subject, Subject::Workload(key("db")));
    assert_eq!(open[0].affected[0], key("db"));
    assert_eq!(open[0].affected.len(), 3);
    let sum: f64 = open[0].causes.iter().map(|s| s.sureness).sum();
    assert!(sum <= 1.0 && open[0].causes[0].sureness > 0.5, "{sum}");
}

/// The shop whose cart reads a ConfigMap of this version.
fn configured(failing: &[(&str, i64)], version: &str) -> Snapshot {
    let mut s = shop(failing);
    let mut workloads = s.workloads.to_vec();
    let cart = workloads.iter_mut().find(|w| &*w.key.name == "cart").unwrap();
    Arc::make_mut(cart).config_maps = Arc::from([Arc::from("cart-config")]);
    s.workloads = workloads.into();
    let row =
        |name: &str| Arc::new(ConfigMapRow { namespace: "shop".into(), name: name.into(), version: version.into() });
    s.config_maps = Arc::from([row("cart-config"), row("nobody-reads-it")]);
    s
}

#[test]
fn a_changed_config_map_is_the_suspect_of_what_its_readers_suffer() {
    let mut reasoner = Reasoner::new();
    for (back, version) in [(120, "7"), (60, "8")] {
        assert!(reasoner.look(&seen(configured(&[], version)), ago(back)).all.is_empty());
    }
    let told = reasoner.look(&seen(configured(&[("cart", 45), ("front", 45)], "8")), now());
    let first = &open(&told)[0].causes[0];
    assert_eq!(first.subject, Subject::Change(key("cart"), "ConfigMap shop/cart-config".into()));
    assert!(first.evidence[0].starts_with("ConfigMap shop/cart-config was changed"), "{:?}", first.evidence);
    let incident = &open(&told)[0];
    assert!(incident.recommendation.contains("rolling it back would not change what it reads"), "{incident:#?}");
    let changed = incident.timeline.iter().find(|h| h.what.contains("ConfigMap")).expect("told when it was changed");
    assert_eq!(changed.at, ago(60));
}

#[test]
fn a_config_map_that_a_program_keeps_writing_is_no_suspect() {
    let mut reasoner = Reasoner::new();
    for i in 0..9 {
        reasoner.look(&seen(configured(&[], &i.to_string())), ago(1200 - 120 * i));
    }
    let told = reasoner.look(&seen(configured(&[("cart", 45), ("front", 45)], "9")), now());
    assert_eq!(open(&told)[0].causes[0].subject, Subject::Workload(key("cart")));
}

#[test]
fn a_release_before_it_is_the_suspect_and_can_be_taken_back() {
    let mut s = shop(&[("front", 60), ("search", 60)]);
    let revisions =
        [revision(8, "search-8", "shop/search:2", 1, 1, 100), revision(7, "search-7", "shop/search:1", 0, 0, 9000)];
    let mut all = s.workloads.to_vec();
    let at = all.iter().position(|w| w.key == key("search")).expect("it is there");
    let w = Arc::make_mut(&mut all[at]);
    (w.template, w.revisions) = (revisions[0].template.clone(), revisions.into());
    s.workloads = all.into();
    let incidents = Reasoner::new().look(&seen(s), now());
    let open = open(&incidents);
    assert_eq!(open.len(), 1);
    let first = &open[0].causes[0];
    assert!(matches!(&first.subject, Subject::Change(k, _) if *k == key("search")), "{first:?}");
    assert!(first.what.contains("search:1 → search:2"), "{}", first.what);
    assert!(open[0].recommendation.contains("roll shop/search back"), "{}", open[0].recommendation);
}

#[test]
fn two_troubles_that_do_not_touch_are_two_incidents() {
    let mut s = shop(&[("search", 90), ("db", 90)]);
    let other = deployment("mail", vec![pod("mail-1", "mail-1", "shop/mail:1")], vec![]);
    let mut all = s.workloads.to_vec();
    all.push(Arc::new(other));
    all.sort_by(|a, b| a.key.cmp(&b.key));
    s.workloads = all.into();
    let failing: [(Signal, &dyn Fn(i64) -> f64); 2] =
        [(Signal::RequestRate, &|_| 20.0), (Signal::ErrorRate, &|back| if back <= 60 { 0.5 } else { 0.0 })];
    let s = with_metrics(s, "mail", 7200, &failing);
    let incidents = Reasoner::new().look(&seen(s), now());
    let mut firsts: Vec<Subject> = open(&incidents).iter().map(|c| c.causes[0].subject.clone()).collect();
    firsts.sort();
    assert_eq!(firsts, [Subject::Workload(key("db")), Subject::Workload(key("mail"))]);
}

#[test]
fn an_incident_keeps_its_name_while_it_lasts_and_ends_when_all_is_calm() {
    let mut reasoner = Reasoner::new();
    let first = reasoner.look(&seen(shop(&[("search", 60), ("db", 60)])), now());
    let again = reasoner.look(&seen(shop(&[("front", 60), ("search", 60), ("db", 60)])), now());
    assert_eq!((open(&first)[0].id.clone(), open(&again).len()), (open(&again)[0].id.clone(), 1));
    assert!(open(&again)[0].timeline.len() > open(&first)[0].timeline.len());
    let later = now() + TimeDelta::minutes(6);
    let mut calm = shop(&[]);
    calm.metrics.workloads = Arc::default();
    let ended = reasoner.look(&seen(calm.clone()), later);
    assert_eq!((ended.open().count(), ended.all.len()), (0, 1));
    assert!(ended.all[0].ended.is_some());
    let forgotten = reasoner.look(&seen(calm), later + TimeDelta::hours(25));
    assert!(forgotten.all.is_empty());
}

#[test]
fn a_lost_node_explains_those_on_it() {
    let mut s = shop(&[("search", 60)]);
    let mut nodes = s.nodes.to_vec();
    let at = nodes.iter().position(|n| &*n.name == "n1").expect("the fixture's node");
    let node = Arc::make_mut(&mut nodes[at]);
    let lost = crate::model::cluster::NodeTrouble::Unknown;
    node.troubles = Box::from([(lost, Some(ago(50)), Arc::from("Kubelet stopped posting node status."))]);
    s.nodes = nodes.into();
    let incidents = Reasoner::new().look(&seen(s), now());
    let open = open(&incidents);
    assert_eq!(open.len(), 1, "{incidents:#?}");
    assert_eq!(open[0].causes[0].subject, Subject::Node("n1".into()));
}
