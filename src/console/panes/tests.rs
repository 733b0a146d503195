//! What the panes show, at four sizes, and what holds for all of them.

use super::fixtures::{ascii, ctx, denied, healthy, stepping, troubled, unicode};
use super::*;
use crate::autopilot::world::World;
use crate::console::command::{CommandId, PaneId};
use crate::console::theme::Theme;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::sync::Arc;

/// Content areas of terminals of 60×15, 80×24, 120×40 and 220×60.
const SIZES: [(u16, u16); 4] = [(60, 12), (80, 21), (120, 37), (220, 57)];

const PANES: [PaneId; 11] = [
    PaneId::Overview,
    PaneId::Workloads,
    PaneId::Metrics,
    PaneId::Actions,
    PaneId::Journal,
    PaneId::Predictions,
    PaneId::Traces,
    PaneId::Map,
    PaneId::Promql,
    PaneId::Resources,
    PaneId::Logs,
];

pub(super) fn draw(pane: &dyn Pane, world: &Arc<World>, theme: &Theme, (w, h): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(w, h)).unwrap();
    terminal.draw(|f| pane.view(f, f.area(), &ctx(world, theme, true))).unwrap();
    let buf = terminal.backend().buffer();
    let mut out = String::new();
    for y in 0..h {
        let mut line = String::new();
        let mut x = 0;
        while x < w {
            let symbol = buf[(x, y)].symbol();
            line.push_str(symbol);
            x += unicode_width::UnicodeWidthStr::width(symbol).max(1) as u16;
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn pane(id: PaneId) -> Box<dyn Pane> {
    all().into_iter().find(|p| p.id() == id).unwrap()
}

/// Runs commands that must be possible, and draws.
fn shot(id: PaneId, world: World, theme: &Theme, size: (u16, u16), commands: &[CommandId]) -> String {
    let world = Arc::new(world);
    let c = ctx(&world, theme, true);
    let mut p = pane(id);
    p.sync(&c);
    draw(&*p, &world, theme, size);
    for command in commands {
        assert_eq!(p.why_not(*command, &c), None, "{command:?}");
        p.run(*command, &c);
    }
    draw(&*p, &world, theme, size)
}

#[test]
fn every_pane_at_every_size() {
    for id in PANES {
        for size in SIZES {
            let text = shot(id, troubled(), &unicode(), size, &[]);
            insta::assert_snapshot!(format!("{}_{}x{}", id.as_str(), size.0, size.1), text);
        }
    }
}

#[test]
fn in_ascii_nothing_but_names_leaves_ascii() {
    for id in PANES {
        for size in SIZES {
            // Resources and Logs have nothing to open before something was read.
            let opens = if matches!(id, PaneId::Resources | PaneId::Logs) { 1 } else { 2 };
            for open in [&[][..], &[CommandId::Open][..]].into_iter().take(opens) {
                let text = shot(id, troubled(), &ascii(), size, open);
                let odd: String = text.chars().filter(|c| !c.is_ascii() && !c.is_alphabetic()).collect();
                assert!(odd.is_empty(), "{id:?} {size:?}: {odd:?}\n{text}");
            }
        }
    }
    insta::assert_snapshot!("metrics_ascii", shot(PaneId::Metrics, troubled(), &ascii(), (120, 37), &[]));
}

#[test]
fn details() {
    use CommandId::{Down, Open};
    let big = (100, 60);
    let overview = |commands: &[CommandId]| shot(PaneId::Overview, troubled(), &unicode(), (80, 40), commands);
    insta::assert_snapshot!("incident_detail", overview(&[Open]));
    insta::assert_snapshot!("anomaly_detail", overview(&[Down, Down, Open]));
    insta::assert_snapshot!("finding_detail", overview(&[Down, Down, Down, Open]));
    insta::assert_snapshot!("action_detail", shot(PaneId::Actions, troubled(), &unicode(), big, &[Down, Open]));
    insta::assert_snapshot!("action_verifying", shot(PaneId::Actions, troubled(), &unicode(), big, &[Open]));
    insta::assert_snapshot!("journal_detail", shot(PaneId::Journal, troubled(), &unicode(), (80, 21), &[Open]));
}

#[test]
fn levels_of_the_tree() {
    use CommandId::{Back, Bottom, Down, Open};
    let size = (120, 20);
    let go = |commands: &[CommandId]| shot(PaneId::Workloads, troubled(), &unicode(), size, commands);
    insta::assert_snapshot!("namespaces", go(&[Back]));
    insta::assert_snapshot!("pods", go(&[Back, Bottom, Open, Open]));
    insta::assert_snapshot!("containers", go(&[Back, Bottom, Open, Open, Bottom, Open]));
    insta::assert_snapshot!("nodes", go(&[Back, CommandId::Top, Down, Down, Open]));
}

#[test]
fn states_of_the_world() {
    let size = (80, 21);
    insta::assert_snapshot!("overview_step", shot(PaneId::Overview, stepping(), &unicode(), size, &[]));
    insta::assert_snapshot!("overview_step_small", shot(PaneId::Overview, stepping(), &unicode(), (60, 12), &[]));
    insta::assert_snapshot!("overview_denied", shot(PaneId::Overview, denied(), &unicode(), size, &[]));
    insta::assert_snapshot!("overview_healthy", shot(PaneId::Overview, healthy(), &unicode(), size, &[]));
    insta::assert_snapshot!("workloads_denied", shot(PaneId::Workloads, denied(), &unicode(), size, &[]));
    insta::assert_snapshot!("metrics_denied", shot(PaneId::Metrics, denied(), &unicode(), size, &[CommandId::Open]));
    insta::assert_snapshot!(
        "metrics_grid",
        shot(
            PaneId::Metrics,
            troubled(),
            &unicode(),
            size,
            &[CommandId::Down, CommandId::Down, CommandId::Down, CommandId::Open]
        )
    );
}

#[test]
fn before_the_analysis_step_mode_does_not_say_that_nothing_is_wrong() {
    let mut world = stepping();
    world.findings = Arc::from([]);
    world.anomalies = Arc::default();
    world.incidents = Arc::default();
    world.step.products.retain(|p| p.phase == crate::model::mode::PhaseName::Monitor);
    let text = shot(PaneId::Overview, world, &unicode(), (80, 21), &[]);
    assert!(text.contains("nothing was analyzed yet") && !text.contains("nothing is wrong"), "{text}");
}

#[test]
fn however_much_a_phase_produces_the_others_stay_in_sight() {
    let mut world = stepping();
    for p in &mut world.step.products {
        p.lines = (0..40).map(|n| format!("{} line {n}", p.phase.as_str())).collect();
    }
    let text = shot(PaneId::Overview, world, &unicode(), (140, 37), &[]);
    for shown in ["monitor line 0  (39 more", "analyze line 0", "analyze line 1"] {
        assert!(text.contains(shown), "{shown}:\n{text}");
    }
}

#[test]
fn the_overview_points_at_the_worst_until_the_operator_points_elsewhere() {
    let (theme, mut all) = (unicode(), troubled());
    all.incidents = Arc::default();
    let mut some = all.clone();
    some.findings = all.findings.iter().skip(2).cloned().collect();
    let (some, all) = (Arc::new(some), Arc::new(all));
    let mut untouched = pane(PaneId::Overview);
    untouched.sync(&ctx(&some, &theme, true));
    untouched.sync(&ctx(&all, &theme, true));
    assert!(untouched.copy().unwrap().contains("cart"));
    let mut pointed = pane(PaneId::Overview);
    pointed.sync(&ctx(&some, &theme, true));
    pointed.run(CommandId::Down, &ctx(&some, &theme, true));
    let chosen = pointed.copy();
    pointed.sync(&ctx(&all, &theme, true));
    assert_eq!(pointed.copy(), chosen);
}

#[test]
fn limits_requests_and_rollouts_stand_in_the_chart() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let mut p = pane(PaneId::Metrics);
    let cart = crate::model::object::WorkloadKey::new("shop", crate::model::object::WorkloadKind::Deployment, "cart");
    assert!(p.go(&crate::console::effect::Target::Workload(cart), &c));
    p.run(CommandId::Down, &c);
    insta::assert_snapshot!("metrics_cart", draw(&*p, &world, &theme, (100, 24)));
    p.run(CommandId::Open, &c);
    insta::assert_snapshot!("metrics_cart_memory", draw(&*p, &world, &theme, (80, 21)));
}

#[test]
fn stepping_back_closes_the_detail_before_the_filter() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    for id in [
        PaneId::Overview,
        PaneId::Metrics,
        PaneId::Actions,
        PaneId::Journal,
        PaneId::Predictions,
        PaneId::Traces,
        PaneId::Map,
    ] {
        let mut p = pane(id);
        p.sync(&c);
        p.set_filter("c".into(), &c);
        p.run(CommandId::Open, &c);
        assert_eq!(p.filter(), "", "{id:?}");
        p.run(CommandId::Back, &c);
        assert_eq!(p.filter(), "c", "{id:?}");
        p.run(CommandId::Back, &c);
        assert_eq!((p.filter(), p.why_not(CommandId::Back, &c).is_some()), ("", true), "{id:?}");
    }
}

#[test]
fn a_lost_connection_is_told_first() {
    let mut world = healthy();
    world.link =
        crate::autopilot::world::Link::Broken { why: "no context named prod in ~/.kube/config".into(), retry: None };
    let text = shot(PaneId::Overview, world, &unicode(), (80, 21), &[]);
    assert!(text.starts_with(" NOT CONNECTED no context named prod"), "{text}");
}

#[test]
fn what_cannot_be_read_is_not_called_healthy() {
    let text = shot(PaneId::Overview, denied(), &unicode(), (120, 37), &[]);
    assert!(text.contains("does not mean that all is well"), "{text}");
    assert!(text.contains("workloads cannot be told") && text.contains("nodes cannot be told"), "{text}");
    assert!(!text.contains("0/0"), "{text}");
}

#[test]
fn a_pane_of_any_size_draws_without_panic() {
    for id in PANES {
        for world in [troubled(), denied(), stepping()] {
            for size in [(1, 1), (3, 2), (17, 4), (40, 3), (9, 30)] {
                shot(id, world.clone(), &unicode(), size, &[]);
            }
        }
    }
}

#[test]
fn a_prediction_says_what_it_expects_or_why_it_says_nothing() {
    use CommandId::{Bottom, Down, Open, PredictionView};
    let go = |size, theme: &Theme, commands: &[CommandId]| {
        let commands = [&[PredictionView], commands].concat();
        shot(PaneId::Predictions, troubled(), theme, size, &commands)
    };
    insta::assert_snapshot!("prediction_load", go((120, 37), &unicode(), &[]));
    insta::assert_snapshot!("prediction_crossing", go((120, 37), &unicode(), &[Open]));
    insta::assert_snapshot!("prediction_ascii", go((80, 21), &ascii(), &[Open]));
    insta::assert_snapshot!("prediction_without_limit", go((80, 21), &unicode(), &[Down, Down, Open]));
    let silent = go((80, 21), &unicode(), &[Bottom, Open]);
    insta::assert_snapshot!("prediction_silent", silent);
    assert!(silent.contains("nothing is scaled by it"), "{silent}");
}

#[test]
fn a_failure_to_come_says_when_why_and_who_says_so() {
    use CommandId::{Bottom, Open};
    let go = |size, theme: &Theme, commands: &[CommandId]| shot(PaneId::Predictions, troubled(), theme, size, commands);
    insta::assert_snapshot!("failure_leak", go((120, 37), &unicode(), &[Open]));
    insta::assert_snapshot!("failure_ascii", go((80, 21), &ascii(), &[Open]));
    let young = go((80, 21), &unicode(), &[Bottom, Open]);
    assert!(young.contains("7 of 20 steps are measured") && young.contains("not judged"), "{young}");
    let mut world = troubled();
    world.failures = Arc::default();
    let text = shot(PaneId::Predictions, world, &unicode(), (80, 21), &[]);
    assert!(text.contains("the first measurements are being read") && text.contains("there is no model"), "{text}");
}

#[test]
fn training_is_offered_only_when_none_is_under_way() {
    let theme = unicode();
    let world = Arc::new(troubled());
    let c = ctx(&world, &theme, true);
    let mut p = pane(PaneId::Predictions);
    p.sync(&c);
    assert!(p.why_not(CommandId::Train, &c).is_some_and(|why| why.contains("already")));
    assert_eq!(p.why_not(CommandId::CancelTraining, &c), None);
    assert_eq!(p.run(CommandId::RollModelBack, &c).len(), 1);
    let mut idle = troubled();
    idle.failures = Arc::default();
    let world = Arc::new(idle);
    let c = ctx(&world, &theme, true);
    assert_eq!(p.why_not(CommandId::Train, &c), None);
    assert!(p.why_not(CommandId::CancelTraining, &c).is_some() && p.why_not(CommandId::RollModelBack, &c).is_some());
}

#[test]
fn before_and_without_forecasts_the_reason_stands_in_their_place() {
    let size = (80, 21);
    let mut world = troubled();
    world.predictions = Arc::default();
    let shown = |w: &World| shot(PaneId::Predictions, w.clone(), &unicode(), size, &[CommandId::PredictionView]);
    assert!(shown(&world).contains("two weeks of history are being read"), "{}", shown(&world));
    Arc::make_mut(&mut world.predictions).work = crate::model::prediction::Work::Running { done: 12, total: 60 };
    assert!(shown(&world).contains("computing, 12 of 60 series"), "{}", shown(&world));
    let mut blind = denied();
    blind.predictions = Arc::default();
    assert!(shown(&blind).contains("Prometheus cannot be asked"), "{}", shown(&blind));
}
