//! What the pane promises: traces are found, opened and walked; keys lead where they say.

use super::super::fixtures::{ascii, ctx, traces, troubled, unicode};
use super::super::tests::draw;
use super::*;
use crate::console::app::{Model, Msg};
use crate::console::caps::Depth;
use crate::console::testing::{look, type_keys};
use crate::console::theme::Theme;
use crate::console::update::update;
use chrono::TimeDelta;

/// A console over the shop in trouble, with all real panes.
fn console(world: World) -> Model {
    let mut m =
        Model::new(super::super::all(), Arc::new(world), look("dark", Depth::True, false), TimeDelta::seconds(60));
    m.size = (120, 40);
    m
}

fn opened(world: &Arc<World>, theme: &Theme) -> Traces {
    let c = ctx(world, theme, true);
    let mut p = Traces::default();
    p.sync(&c);
    let [Effect::Fetch(Detail::Path(trace))] = &p.run(CommandId::Open, &c)[..] else { panic!("no path is asked for") };
    p.path(trace, &traces::path());
    p
}

fn shown(m: &mut Model) -> String {
    crate::console::snapshot::write(&crate::console::snapshot::draw(m, 120, 40), crate::console::snapshot::Format::Text)
}

#[test]
fn a_trace_is_opened_folded_and_leads_to_its_pod() {
    let mut m = console(troubled());
    let effects = type_keys(&mut m, "7 enter");
    let [Effect::Fetch(Detail::Path(trace))] = &effects[..] else { panic!("{effects:?}") };
    let now = m.now;
    update(&mut m, Msg::Path(trace.clone(), traces::path()), now);
    assert!(shown(&mut m).contains("* critical path") && shown(&mut m).contains("orders process"));
    // Down to checkout's PlaceOrder, and fold it.
    type_keys(&mut m, "j j j j left");
    assert!(m.pane().trail().ends_with("[checkout] PlaceOrder"), "{}", m.pane().trail());
    assert!(!shown(&mut m).contains("orders process"));
    type_keys(&mut m, "right");
    assert!(shown(&mut m).contains("orders process"));
    type_keys(&mut m, "p");
    assert_eq!((m.pane_id(), m.pane().copy().unwrap().as_str()), (PaneId::Workloads, "checkout-7d9f8c6b5-000"));
    type_keys(&mut m, "7 c");
    assert_eq!(m.pane_id(), PaneId::Metrics);
    assert_eq!(m.pane().trail(), "shop/Deployment/checkout");
    let logs = type_keys(&mut m, "7 L");
    assert!(
        matches!(&logs[..], [Effect::Fetch(Detail::Logs { pod, .. })] if &*pod.name == "checkout-7d9f8c6b5-000"),
        "{logs:?}"
    );
    // orders' pod is gone: nothing happens, and the reason is told.
    assert!(type_keys(&mut m, "e j p").is_empty());
    assert_eq!(m.pane_id(), PaneId::Traces);
    assert!(m.flash.as_ref().unwrap().0.text.contains("is gone, or not watched"), "{:?}", m.flash);
}

#[test]
fn traces_are_filtered_by_keys_and_the_filter_is_left_by_esc() {
    let mut m = console(troubled());
    type_keys(&mut m, "7 / s e r v i c e : o r d e r s enter");
    let text = shown(&mut m);
    assert!(text.contains("Traces 1, newest first") && text.contains("POST /checkout"), "{text}");
    type_keys(&mut m, "esc");
    assert!(shown(&mut m).contains("Traces 23, newest first"));
    type_keys(&mut m, "s");
    assert!(shown(&mut m).contains("longest first"));
}

#[test]
fn the_next_error_is_found_below_what_is_folded() {
    let (world, theme) = (Arc::new(troubled()), unicode());
    let c = ctx(&world, &theme, true);
    let mut p = opened(&world, &theme);
    p.run(CommandId::Fold, &c);
    p.run(CommandId::NextError, &c);
    assert_eq!(p.span().unwrap().name(), "[checkout] PlaceOrder");
    for _ in 0..6 {
        p.run(CommandId::NextError, &c);
    }
    assert_eq!(p.span().unwrap().name(), "[frontend] POST /checkout", "from the last one to the first");
}

#[test]
fn waterfalls() {
    let world = Arc::new(troubled());
    for (name, theme, size) in [
        ("waterfall_60x12", unicode(), (60, 12)),
        ("waterfall_80x21", unicode(), (80, 21)),
        ("waterfall_120x37", unicode(), (120, 37)),
        ("waterfall_220x57", unicode(), (220, 57)),
        ("waterfall_ascii", ascii(), (100, 30)),
    ] {
        insta::assert_snapshot!(name, draw(&opened(&world, &theme), &world, &theme, size));
    }
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let mut p = opened(&world, &theme);
    p.run(CommandId::NextError, &c);
    p.run(CommandId::Open, &c);
    insta::assert_snapshot!("span_detail", draw(&p, &world, &theme, (80, 21)));
}

#[test]
fn what_traces_mean() {
    let (world, theme) = (Arc::new(troubled()), unicode());
    let c = ctx(&world, &theme, true);
    let mut p = Traces::default();
    p.sync(&c);
    for name in ["operations", "failures", "edges"] {
        p.run(CommandId::TraceView, &c);
        insta::assert_snapshot!(format!("meaning_{name}"), draw(&p, &world, &theme, (80, 12)));
        p.run(CommandId::Open, &c);
        insta::assert_snapshot!(format!("meaning_{name}_detail"), draw(&p, &world, &theme, (80, 21)));
        p.run(CommandId::Back, &c);
        if name == "failures" {
            assert_eq!(p.why_not(CommandId::Example, &c), None);
            assert_eq!(
                p.run(CommandId::Example, &c),
                [Effect::Fetch(Detail::Path(world.snapshot.traces.kept[0].clone()))]
            );
            p.run(CommandId::Back, &c);
        }
    }
}

#[test]
fn without_spans_it_says_where_to_send_them() {
    let mut world = troubled();
    let t = Arc::make_mut(&mut Arc::make_mut(&mut world.snapshot).traces);
    (t.kept, t.received, t.last) = (Arc::from([]), 0, None);
    let (theme, silent) = (unicode(), Arc::new(world.clone()));
    let mut p = Traces::default();
    p.sync(&ctx(&silent, &theme, true));
    let text = draw(&p, &silent, &theme, (120, 20));
    assert!(
        text.contains("no spans received from OTLP gRPC 127.0.0.1:4317") && text.contains("OTEL_EXPORTER"),
        "{text}"
    );
    Arc::make_mut(&mut world.snapshot).traces = Arc::default();
    let off = Arc::new(world);
    p.sync(&ctx(&off, &theme, true));
    assert!(draw(&p, &off, &theme, (80, 20)).contains("traces are turned off"));
}

#[test]
fn a_hundred_thousand_spans_are_opened_and_only_what_is_seen_is_drawn() {
    let mut world = troubled();
    let spans = (0..100_000).map(|i: i64| Span {
        id: i.to_string().into(),
        parent: (i > 0).then(|| ((i - 1) / 3).to_string().into()),
        service: "deep".into(),
        operation: format!("step {i}").into(),
        start: i,
        duration: 200_000 - i,
        ..Span::default()
    });
    let trace = Arc::new(Trace { id: "big".into(), spans: spans.collect(), negative: 0 });
    Arc::make_mut(&mut Arc::make_mut(&mut world.snapshot).traces).kept = Arc::from([trace]);
    let (world, theme) = (Arc::new(world), unicode());
    let c = ctx(&world, &theme, true);
    let mut p = Traces::default();
    p.sync(&c);
    p.run(CommandId::Open, &c);
    assert!(draw(&p, &world, &theme, (80, 21)).contains("100000 spans"));
    p.run(CommandId::Bottom, &c);
    assert!(draw(&p, &world, &theme, (80, 21)).contains("100000/100000"));
    p.run(CommandId::Top, &c);
    p.run(CommandId::Fold, &c);
    assert!(draw(&p, &world, &theme, (80, 21)).contains(" 1/1 "));
}
