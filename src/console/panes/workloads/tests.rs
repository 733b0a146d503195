//! Promises of the tree.

use super::super::fixtures::{ascii, ctx, denied, pod, troubled, unicode, workload};
use super::super::tests::draw;
use super::*;
use crate::model::object::WorkloadKind;

fn synced(world: &Arc<World>) -> Workloads {
    let theme = unicode();
    let mut pane = Workloads::default();
    pane.sync(&ctx(world, &theme, true));
    pane
}

fn shop(name: &str) -> WorkloadKey {
    WorkloadKey::new("shop", WorkloadKind::Deployment, name)
}

fn with_workloads(world: &World, f: impl FnOnce(&mut Vec<Arc<crate::model::cluster::Workload>>)) -> Arc<World> {
    let mut next = world.clone();
    let s = Arc::make_mut(&mut next.snapshot);
    let mut all = s.workloads.to_vec();
    f(&mut all);
    all.sort_by(|a, b| a.key.cmp(&b.key));
    s.workloads = all.into();
    Arc::new(next)
}

#[test]
fn the_selection_follows_its_workload_when_rows_above_vanish() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let mut pane = synced(&world);
    pane.at.cursor.select(Key::Workload(shop("checkout")));
    pane.sync(&ctx(&world, &theme, true));
    let fewer = with_workloads(&world, |all| all.retain(|w| &*w.key.namespace != "kube-system"));
    pane.sync(&ctx(&fewer, &theme, true));
    assert_eq!(pane.key(), Some(Key::Workload(shop("checkout"))));
    let gone = with_workloads(&fewer, |all| all.retain(|w| &*w.key.name != "checkout"));
    pane.sync(&ctx(&gone, &theme, true));
    assert_eq!(pane.key(), Some(Key::Workload(shop("frontend"))), "its neighbour");
}

#[test]
fn filters_reach_namespace_kind_health_node_and_owner() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let mut pane = synced(&world);
    for (filter, names) in [
        ("ns:kube", &["coredns", "node-exporter"][..]),
        ("kind:sts", &["postgres"]),
        ("health:bad", &["cart", "checkout", "payments"]),
        ("owner:argo", &["payments"]),
        ("state:crashloop", &["cart"]),
        ("購物", &["購物車サービス"]),
        ("!ns:shop kind:dep node:worker-a", &["coredns", "購物車サービス"]),
        ("nothing-of-that", &[]),
    ] {
        pane.set_filter(filter.into(), &ctx(&world, &theme, true));
        let got: Vec<String> = pane
            .rows
            .iter()
            .map(|p| match level::key_of(*p, &world) {
                Key::Workload(k) => k.name.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(got, names, "{filter}");
    }
}

#[test]
fn enter_goes_down_and_esc_comes_back_to_the_same_row() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let mut pane = synced(&world);
    assert!(pane.go(&Target::Workload(shop("cart")), &c));
    pane.run(CommandId::Open, &c);
    assert_eq!(pane.trail(), "shop › Deployment/cart › pods");
    pane.run(CommandId::Bottom, &c);
    pane.run(CommandId::Open, &c);
    assert_eq!(pane.trail(), "shop › Pod/cart-7d9f8c6b5-002 › containers");
    assert!(pane.why_not(CommandId::Open, &c).is_some());
    pane.run(CommandId::Back, &c);
    assert!(matches!(pane.key(), Some(Key::Pod(p)) if &*p.name == "cart-7d9f8c6b5-002"));
    pane.run(CommandId::Back, &c);
    assert_eq!(pane.key(), Some(Key::Workload(shop("cart"))));
    pane.run(CommandId::Back, &c);
    assert!(pane.why_not(CommandId::Back, &c).is_some(), "the namespaces are the top");
}

#[test]
fn logs_of_a_workload_are_those_of_its_worst_pod() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let mut pane = synced(&world);
    pane.go(&Target::Workload(shop("checkout")), &c);
    match &pane.run(CommandId::PreviousLogs, &c)[..] {
        [Effect::Fetch(Detail::Logs { pod, container, previous: true, .. })] => {
            assert_eq!(&*pod.name, "checkout-7d9f8c6b5-003");
            assert_eq!(container.as_deref(), Some("app"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_earlier_log_is_offered_only_where_a_container_has_restarted() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let mut pane = synced(&world);
    for (name, restarted) in [("cart", true), ("frontend", false)] {
        pane.go(&Target::Workload(shop(name)), &c);
        assert_eq!(pane.why_not(CommandId::PreviousLogs, &c).is_none(), restarted, "{name}");
        assert_eq!(pane.why_not(CommandId::OpenLogs, &c), None, "{name}");
    }
}

#[test]
fn events_say_that_they_are_denied() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let mut pane = synced(&world);
    pane.go(&Target::Workload(shop("cart")), &c);
    match &pane.run(CommandId::Events, &c)[..] {
        [Effect::Show { text, .. }] => {
            assert!(text.contains("cannot list events") && text.contains("BackOff x31"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_missing_is_no_zero() {
    let world = Arc::new(denied());
    let theme = ascii();
    let mut pane = Workloads::default();
    pane.sync(&ctx(&world, &theme, true));
    let text = draw(&pane, &world, &theme, (160, 20));
    assert!(text.contains("cannot list pods"), "{text}");
    for line in text.lines().filter(|l| l.contains("shop")) {
        assert!(!line.contains("0%") && !line.contains(" 0m") && !line.contains("0B"), "{line}");
    }
}

#[test]
fn sorting_puts_what_has_no_number_last_both_ways() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let mut pane = synced(&world);
    pane.at.sort = Some(8);
    for reverse in [false, true] {
        pane.at.reverse = reverse;
        pane.rebuild(&c);
        let last = level::key_of(*pane.rows.last().unwrap(), &world);
        assert!(matches!(last, Key::Workload(k) if &*k.namespace == "markt-東京" || &*k.name == "report"));
    }
}

#[test]
fn fifty_thousand_pods_are_listed_and_only_those_in_sight_are_built() {
    let world = with_workloads(&troubled(), |all| {
        let mut big = workload("big", WorkloadKind::Deployment, "big", 1, 0, "");
        let specs = big.template.clone();
        big.pods = (0..50_000).map(|i| pod("big", &format!("big-{i:06}"), &specs, None)).collect();
        *all = vec![Arc::new(big)];
    });
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let mut pane = synced(&world);
    pane.enter(Level::Pods(Scope::All), &c);
    pane.run(CommandId::Bottom, &c);
    let text = draw(&pane, &world, &theme, (120, 37));
    assert!(text.contains("50000/50000") && text.contains("big-049999"), "{text}");
    assert_eq!(text.matches("big-0").count(), 35, "one row per line of the body");
    pane.set_filter("big-000123".into(), &c);
    assert_eq!(pane.rows.len(), 1);
}

#[test]
fn where_a_few_namespaces_are_watched_nothing_speaks_of_all() {
    let mut world = troubled();
    let mut snapshot = (*world.snapshot).clone();
    let mut cluster = (*snapshot.cluster).clone();
    cluster.namespaces = Some(Arc::from(["shop".into(), "bank".into()]));
    snapshot.cluster = Arc::new(cluster);
    world.snapshot = Arc::new(snapshot);
    let pane = synced(&Arc::new(world));
    assert_eq!(pane.trail(), "only namespaces shop, bank");
    assert!(pane.title().ends_with("only namespaces shop, bank"), "{}", pane.title());
}

#[test]
fn wide_screens_show_the_last_hour_and_what_was_not_measured_is_no_line() {
    let world = Arc::new(troubled());
    let mut pane = synced(&world);
    let wide = draw(&pane, &world, &unicode(), (260, 20));
    assert!(wide.contains("CPU 1H") && wide.contains('█'), "{wide}");
    assert!(!draw(&pane, &world, &unicode(), (100, 20)).contains("CPU 1H"));
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let turn = Target::Column { list: "workloads".into(), title: "CPU 1H".into(), at: 3 };
    for shown in [false, true] {
        assert!(pane.go(&turn, &c));
        assert_eq!(draw(&pane, &world, &unicode(), (120, 20)).contains("CPU 1H"), shown, "never, then always");
    }
}

#[test]
fn a_heatmap_needs_a_histogram_and_finds_pods_by_how_they_are_named() {
    use crate::model::snapshot::{Buckets, MetricsProfile};
    let mut world = troubled();
    let c = Arc::new(world.clone());
    let theme = unicode();
    let pane = synced(&c);
    assert!(pane.why_not(CommandId::Heat, &ctx(&c, &theme, true)).unwrap().contains("no histogram"));
    let buckets = Buckets {
        metric: "http_request_duration_seconds_bucket".into(),
        selector: "cluster=\"a\"".into(),
        namespace: "namespace".into(),
        name: "pod".into(),
        pod: true,
        window_s: 60,
    };
    let mut snapshot = (*world.snapshot).clone();
    snapshot.metrics.profile = Some(Arc::new(MetricsProfile { latency: vec![buckets], ..MetricsProfile::default() }));
    world.snapshot = Arc::new(snapshot);
    let world = Arc::new(world);
    let mut pane = synced(&world);
    pane.go(&Target::Workload(shop("cart")), &ctx(&world, &theme, true));
    match &pane.run(CommandId::Heat, &ctx(&world, &theme, true))[..] {
        [Effect::Go(PaneId::Promql, Some(Target::Heat(expression)))] => assert_eq!(
            expression,
            "sum by (le) (rate(http_request_duration_seconds_bucket{cluster=\"a\",namespace=\"shop\",\
             pod=~\"cart-[a-z0-9]+-[a-z0-9]{5}\"}[60s]))"
        ),
        other => panic!("{other:?}"),
    }
}
