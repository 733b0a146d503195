//! Promises of the pane, by keys in a whole console.

use super::super::all;
use super::super::fixtures::troubled;
use super::*;
use crate::console::app::{Model, Msg};
use crate::console::caps::Depth;
use crate::console::snapshot;
use crate::console::testing::{look, type_keys};
use crate::console::update::update;
use crate::model::browse::{Ask, Column, Owner, Row};
use crate::model::object::ObjectRef;

fn kind(resource: Resource, short: &str) -> Kind {
    let singular = resource.kind.to_lowercase().into();
    Kind { resource, singular, short: vec![short.into()] }
}

fn kinds() -> Vec<Kind> {
    let secrets = Resource { kind: "Secret".into(), plural: "secrets".into(), ..Resource::CONFIGMAPS };
    let metrics = Resource { group: "metrics.k8s.io".into(), kind: "PodMetrics".into(), ..Resource::PODS };
    let replica_sets = Resource { version: "v1".into(), ..Resource::REPLICASETS };
    vec![
        kind(Resource::PODS, "po"),
        kind(Resource::SERVICES, "svc"),
        kind(Resource::NODES, "no"),
        kind(secrets, "sec"),
        kind(Resource::DEPLOYMENTS, "deploy"),
        kind(replica_sets, "rs"),
        kind(metrics, "pm"),
    ]
}

fn pods(names: &[(&str, &str)]) -> Listed {
    let column = |name: &str, number: bool, wide: bool| Column { name: name.into(), number, wide };
    let columns = vec![
        column("Name", false, false),
        column("Ready", false, false),
        column("Status", false, false),
        column("Restarts", false, false),
        column("Age", false, false),
        column("Node", false, true),
    ];
    let row = |(i, (name, status)): (usize, &(&str, &str))| Row {
        namespace: Some("shop".into()),
        name: (*name).into(),
        created: Some(super::super::fixtures::now() - TimeDelta::minutes(30 - i as i64)),
        labels: vec![format!("app={}", name.split('-').next().unwrap_or_default()).into()],
        owner: Some(Owner { api_version: "apps/v1".into(), kind: "ReplicaSet".into(), name: "cart-7d".into() }),
        cells: [*name, "1/1", *status, &format!("{}", 9 + i), "99d", "n1"].map(Box::from).into(),
    };
    Listed { columns, rows: names.iter().enumerate().map(row).collect(), more: false }
}

const THREE: [(&str, &str); 3] = [("cart-1", "Running"), ("cart-2", "CrashLoopBackOff"), ("web-1", "Running")];

/// A console that has learned the kinds.
fn console() -> Model {
    let look = look("dark", Depth::True, false);
    let mut model = Model::new(all(), Arc::new(troubled()), look, TimeDelta::seconds(60));
    model.size = (100, 20);
    let now = model.now;
    let asked = update(&mut model, Msg::Tick, now);
    let [Effect::Fetch(of @ Detail::Kinds(_))] = &asked[..] else { panic!("kinds are not asked for: {asked:?}") };
    assert_eq!(update(&mut model, Msg::Tick, now), [], "they are asked for once");
    update(&mut model, Msg::Listed(of.clone(), Ok(Full::Kinds(kinds()))), now);
    model
}

/// Types letters and named keys; gives the list that is asked for.
fn ask_of(effects: &[Effect]) -> Ask {
    match effects {
        [Effect::Fetch(Detail::List(ask))] => ask.clone(),
        other => panic!("no list is asked for: {other:?}"),
    }
}

fn answer(model: &mut Model, ask: Ask, listed: Listed) {
    let now = model.now + TimeDelta::milliseconds(200);
    update(model, Msg::Listed(Detail::List(ask), Ok(Full::Listed(listed))), now);
}

fn later(model: &mut Model, seconds: i64) -> Vec<Effect> {
    let now = model.now + TimeDelta::seconds(seconds);
    update(model, Msg::Tick, now)
}

fn frame(model: &mut Model) -> String {
    let (w, h) = model.size;
    snapshot::write(&snapshot::draw(model, w, h), snapshot::Format::Text)
}

/// Pods of the shop, read.
fn shop_pods() -> Model {
    let mut model = console();
    let ask = ask_of(&type_keys(&mut model, ": p o space - n space s h o p enter"));
    answer(&mut model, ask, pods(&THREE));
    model
}

#[test]
fn a_short_name_in_the_palette_leads_to_the_list_in_a_namespace() {
    let mut model = console();
    let ask = ask_of(&type_keys(&mut model, ": s v c space - n space s h o p enter"));
    assert_eq!((&*ask.resource.kind, ask.namespace.as_deref()), ("Service", Some("shop")));
    let ask = ask_of(&type_keys(&mut model, ": d e p l o y space - A enter"));
    assert_eq!((&*ask.resource.kind, ask.namespace.as_deref()), ("Deployment", None));
    let ask = ask_of(&type_keys(&mut model, ": p o d s enter"));
    assert_eq!((&*ask.resource.kind, &*ask.resource.group), ("Pod", ""), "the core kind, not that of metrics");
    let ask = ask_of(&type_keys(&mut model, ": n o d e enter"));
    assert_eq!((&*ask.resource.kind, ask.namespace), ("Node", None));
}

#[test]
fn a_list_is_drawn_filtered_sorted_and_marked() {
    let mut model = shop_pods();
    insta::assert_snapshot!("list", frame(&mut model));
    type_keys(&mut model, "j j space / l : a p p = c a r t enter s s s s o");
    insta::assert_snapshot!("filtered_sorted_marked", frame(&mut model));
    assert_eq!(model.pane().copy().as_deref(), Some("web-1"), "what is marked is copied, seen or not");
    type_keys(&mut model, "esc / / ( / enter");
    assert!(frame(&mut model).contains("/(/ is left out"), "{}", frame(&mut model));
}

#[test]
fn a_list_is_read_again_only_while_it_is_seen_and_never_twice_at_once() {
    let mut model = shop_pods();
    assert_eq!(later(&mut model, 1), [], "not yet");
    let ask = ask_of(&later(&mut model, 5));
    assert_eq!(later(&mut model, 20), [], "one is under way");
    type_keys(&mut model, "1");
    answer(&mut model, ask, pods(&THREE));
    assert_eq!(later(&mut model, 1000), [], "nobody looks");
    let effects = type_keys(&mut model, "R");
    assert_eq!(&*ask_of(&effects).resource.plural, "pods");
    // It took twenty seconds to answer: the next one is asked for after twenty times as long.
    let now = model.now + TimeDelta::seconds(20);
    update(&mut model, Msg::Listed(Detail::List(ask_of(&effects)), Ok(Full::Listed(pods(&THREE)))), now);
    assert_eq!(later(&mut model, 399), []);
    ask_of(&later(&mut model, 1));
}

#[test]
fn an_answer_of_another_cluster_or_list_is_not_shown_and_nothing_of_the_old_one_stays() {
    let mut model = shop_pods();
    let old = ask_of(&later(&mut model, 5));
    let mut world = troubled();
    let s = Arc::make_mut(&mut world.snapshot);
    let cluster = Arc::make_mut(&mut s.cluster);
    (cluster.context, cluster.id) = ("staging".into(), "other".into());
    let now = model.now;
    let asked = update(&mut model, Msg::World(Arc::new(world)), now);
    assert!(matches!(&asked[..], [Effect::Fetch(Detail::Kinds(c))] if c.contains("staging")), "{asked:?}");
    answer(&mut model, old, pods(&THREE));
    let text = frame(&mut model);
    assert!(!text.contains("cart-1") && text.contains("Kinds 0"), "{text}");
    assert!(model.why_not(CommandId::ResourceBack).is_some(), "no way back into the old cluster");
}

#[test]
fn what_cannot_be_read_is_said_and_what_was_read_stays_with_its_age() {
    let mut model = shop_pods();
    let ask = ask_of(&later(&mut model, 5));
    let now = model.now;
    update(&mut model, Msg::Listed(Detail::List(ask), Err("403: pods is forbidden".into())), now);
    let text = frame(&mut model);
    assert!(
        text.contains("403: pods is forbidden") && text.contains("cart-1") && text.contains("read 5s ago"),
        "{text}"
    );
}

#[test]
fn history_goes_back_and_forward_and_the_owner_is_found() {
    let mut model = shop_pods();
    let ask = ask_of(&type_keys(&mut model, "j U"));
    assert_eq!((&*ask.resource.kind, ask.namespace.as_deref()), ("ReplicaSet", Some("shop")));
    assert_eq!(&*ask_of(&type_keys(&mut model, "[")).resource.kind, "Pod");
    assert_eq!(&*ask_of(&type_keys(&mut model, "]")).resource.kind, "ReplicaSet");
    assert!(model.why_not(CommandId::ResourceForward).is_some());
    type_keys(&mut model, "esc");
    assert_eq!(model.pane().trail(), "shop › pods");
}

#[test]
fn secrets_are_listed_and_never_opened() {
    let mut model = console();
    let ask = ask_of(&type_keys(&mut model, ": s e c r e t s space - n space s h o p enter"));
    let mut listed = pods(&[("token", "Opaque")]);
    listed.columns.truncate(3);
    listed.rows[0].cells.truncate(3);
    answer(&mut model, ask, listed);
    assert_eq!(type_keys(&mut model, "Y enter"), []);
    assert!(frame(&mut model).contains("Secrets are never fetched"), "{}", frame(&mut model));
}

#[test]
fn an_object_is_described_shown_as_yaml_and_found_in_workloads() {
    let mut model = shop_pods();
    let pod = ObjectRef::namespaced(Resource::PODS, "shop", "cart-1");
    assert_eq!(type_keys(&mut model, "enter"), [Effect::Fetch(Detail::Describe(pod.clone()))]);
    assert_eq!(type_keys(&mut model, "Y"), [Effect::Fetch(Detail::Yaml(pod))]);
    let ask = ask_of(&type_keys(&mut model, ": s v c enter"));
    answer(&mut model, ask, pods(&THREE));
    assert!(model.why_not(CommandId::ResourceWorkload).is_some_and(|w| w.contains("only pods")));
}

#[test]
fn marks_of_what_is_gone_go_too_and_another_namespace_begins_without_marks() {
    let mut model = shop_pods();
    type_keys(&mut model, "space space");
    assert!(frame(&mut model).contains("2 marked"));
    let ask = ask_of(&later(&mut model, 5));
    answer(&mut model, ask, pods(&THREE[1..]));
    assert!(frame(&mut model).contains("1 marked"));
    let ask = ask_of(&type_keys(&mut model, "n home enter"));
    assert_eq!(ask.namespace, None);
    answer(&mut model, ask, pods(&THREE));
    assert!(!frame(&mut model).contains("marked"), "{}", frame(&mut model));
}

#[test]
fn a_thousand_rows_of_any_width_are_drawn_without_panic() {
    let names: Vec<(String, &str)> = (0..1000).map(|i| (format!("購物車-{i}"), "Running")).collect();
    let names: Vec<(&str, &str)> = names.iter().map(|(n, s)| (&**n, *s)).collect();
    let mut model = shop_pods();
    let ask = ask_of(&later(&mut model, 5));
    answer(&mut model, ask, pods(&names));
    type_keys(&mut model, "G");
    for size in [(60, 15), (80, 24), (120, 40), (220, 60)] {
        model.size = size;
        assert!(frame(&mut model).contains("1000/1000"));
    }
}

#[test]
fn columns_are_chosen_per_kind_and_logs_are_those_of_the_marked_pods() {
    let mut model = shop_pods();
    assert!(frame(&mut model).contains("Restarts"));
    type_keys(&mut model, "H");
    assert!(frame(&mut model).contains("as the width allows"));
    type_keys(&mut model, "j j enter");
    assert!(!frame(&mut model).contains("Restarts"));
    type_keys(&mut model, "space j space");
    type_keys(&mut model, "L");
    assert_eq!(model.pane_id(), PaneId::Logs);
    assert!(frame(&mut model).contains("Logs of 2 pods"));
}
