//! What the map promises: it is walked along its calls, leads on, and says where its numbers come from.

use super::super::fixtures::{ascii, ctx, denied, troubled, unicode};
use super::super::tests::draw;
use super::*;
use crate::console::app::Model;
use crate::console::caps::Depth;
use crate::console::testing::{look, type_keys};
use crate::model::service::{Red, ServiceEdge, ServiceNode};

fn console(world: World) -> Model {
    let mut m =
        Model::new(super::super::all(), Arc::new(world), look("dark", Depth::True, false), TimeDelta::seconds(60));
    m.size = (120, 40);
    m
}

#[test]
fn the_cursor_begins_at_what_fails_and_walks_along_the_calls() {
    let mut m = console(troubled());
    type_keys(&mut m, "8");
    assert_eq!(m.pane().trail(), "postgres");
    type_keys(&mut m, "left");
    assert!(["orders", "catalogue"].contains(&&*m.pane().trail()), "{}", m.pane().trail());
    type_keys(&mut m, "g g");
    assert_eq!(m.pane().trail(), "frontend", "nobody calls it");
    type_keys(&mut m, "left");
    assert_eq!(m.pane().trail(), "frontend");
    assert!(m.flash.as_ref().unwrap().0.text.contains("no service is known to call it"));
    type_keys(&mut m, "right");
    assert_ne!(m.pane().trail(), "frontend");
    type_keys(&mut m, "/ c h e c k o u t enter");
    assert_eq!(m.pane().trail(), "checkout");
    type_keys(&mut m, "w");
    assert_eq!((m.pane_id(), m.pane().copy().unwrap().as_str()), (PaneId::Workloads, "checkout"));
    type_keys(&mut m, "8 t");
    assert_eq!((m.pane_id(), m.pane().filter()), (PaneId::Traces, "service:checkout"));
}

#[test]
fn drawn_and_listed() {
    let world = Arc::new(troubled());
    for (name, theme, size, list) in [
        ("map_ascii", ascii(), (120, 37), false),
        ("map_ascii_small", ascii(), (80, 21), false),
        ("map_listed", unicode(), (120, 37), true),
    ] {
        let c = ctx(&world, &theme, true);
        let mut p = Map::default();
        p.sync(&c);
        if list {
            p.run(CommandId::MapView, &c);
        }
        insta::assert_snapshot!(name, draw(&p, &world, &theme, size));
    }
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let mut p = Map::default();
    p.sync(&c);
    p.run(CommandId::Open, &c);
    insta::assert_snapshot!("map_service", draw(&p, &world, &theme, (80, 21)));
}

#[test]
fn where_nobody_measures_calls_it_says_what_would() {
    let (world, theme) = (Arc::new(denied()), unicode());
    let mut p = Map::default();
    p.sync(&ctx(&world, &theme, true));
    let text = draw(&p, &world, &theme, (80, 21));
    assert!(text.contains("Nobody measures calls") && text.contains("istio_requests_total"), "{text}");
    assert!(text.contains("503 from the service proxy"), "{text}");
}

#[test]
fn a_map_with_edges_to_nowhere_and_circles_is_drawn() {
    let node = |name: &str| ServiceNode { name: name.into(), namespace: None, workload: None, red: Red::default() };
    let edge = |from, to| ServiceEdge { from, to, detached: false, red: Red::default() };
    let map = ServiceMap {
        nodes: ["a", "b", "c"].map(node).into(),
        edges: [(0, 1), (1, 2), (2, 0), (1, 1), (2, 9)].map(|(a, b)| edge(a, b)).into(),
        ..ServiceMap::default()
    };
    let mut world = troubled();
    Arc::make_mut(&mut world.insight).map = Arc::new(map);
    let (world, theme) = (Arc::new(world), unicode());
    let c = ctx(&world, &theme, true);
    let mut p = Map::default();
    p.sync(&c);
    for size in [(120, 37), (60, 12), (5, 3)] {
        draw(&p, &world, &theme, size);
    }
    for _ in 0..4 {
        p.run(CommandId::Callees, &c);
    }
    assert_eq!(p.trail(), "b", "a, b, c, and round again");
}
