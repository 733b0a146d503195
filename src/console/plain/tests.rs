//! The console in lines: what changes is told once, and a yes is typed by the rules of the screen.

use super::changes::changes;
use super::desk::{Desk, Heard};
use crate::autopilot::world::{Command, Level, Link, Message};
use crate::console::app::Msg;
use crate::console::command::PaneId;
use crate::console::effect::Effect;
use crate::console::panes::fixtures;
use crate::console::testing::{look, model, start, world};
use crate::console::{app::Model, caps::Depth, panes};
use chrono::TimeDelta;
use std::sync::Arc;

fn desk() -> Desk {
    Desk::new(model(world()), None)
}

/// Types lines one after the other; gives what the last one led to.
fn type_lines(desk: &mut Desk, lines: &[&str]) -> Heard {
    let mut last = Heard::default();
    for (i, line) in lines.iter().enumerate() {
        last = desk.line(line, start() + TimeDelta::seconds(5 + i as i64));
    }
    last
}

fn approved(heard: &Heard) -> bool {
    heard.effects.iter().any(|e| matches!(e, Effect::Send(Command::Approve { .. })))
}

#[test]
fn an_approval_is_typed_and_takes_what_its_risk_takes() {
    assert!(approved(&type_lines(&mut desk(), &["actions", "approve"])), "low risk");
    for (answer, done) in [("yes", true), ("y", false), ("", false), ("approve", false), ("YES", false)] {
        let mut desk = desk();
        let asked = type_lines(&mut desk, &["actions", "down", "approve"]);
        assert!(!approved(&asked) && asked.lines.iter().any(|l| l.contains("type yes")), "{asked:?}");
        assert_eq!(approved(&desk.line(answer, start() + TimeDelta::seconds(30))), done, "{answer:?}");
        assert!(desk.model.layers.is_empty(), "a question is answered once");
    }
    for (answer, done) in [("high-3", true), ("yes", false), ("high-", false)] {
        let mut desk = desk();
        let asked = type_lines(&mut desk, &["actions", "down 2", "approve"]);
        assert!(asked.lines.iter().any(|l| l.contains("type high-3 to confirm")), "{asked:?}");
        assert_eq!(approved(&desk.line(answer, start() + TimeDelta::seconds(30))), done, "{answer:?}");
    }
    // A question about something dangerous is never answered in the same line.
    assert!(!approved(&type_lines(&mut desk(), &["actions", "down", "approve yes"])));
}

#[test]
fn what_moved_since_it_was_heard_is_not_approved() {
    let mut desk = desk();
    type_lines(&mut desk, &["actions"]);
    let mut later = world();
    later.seq = 7;
    desk.message(Msg::World(Arc::new(later)), start() + TimeDelta::seconds(20));
    let refused = desk.line("approve", start() + TimeDelta::seconds(40));
    assert!(!approved(&refused) && refused.lines[0].contains("not what you last heard"), "{refused:?}");
    let second = desk.line("approve", start() + TimeDelta::seconds(50));
    assert!(approved(&second), "it was heard: {second:?}");
}

#[test]
fn a_pipe_approves_nothing_and_reads_everything() {
    let mut desk = Desk::new(model(world()), Some("not from a pipe"));
    let heard = type_lines(&mut desk, &["actions", "approve"]);
    assert!(!approved(&heard) && heard.lines == ["approve: not from a pipe"], "{heard:?}");
    assert!(type_lines(&mut desk, &["mode"]).lines[0].contains("not from a pipe"));
    let pulled = type_lines(&mut desk, &["kill-switch"]);
    assert_eq!(pulled.effects, [Effect::Send(Command::Kill { on: true })], "a brake is never refused");
    assert!(type_lines(&mut desk, &["journal"]).lines[0].starts_with("journal"));
    assert!(type_lines(&mut desk, &["status"]).lines[0].contains("MANUAL"));
    assert_eq!(type_lines(&mut desk, &["quit"]).effects, [Effect::Quit]);
}

#[test]
fn words_are_those_of_the_palette_and_a_mistake_names_the_nearest() {
    let mut desk = desk();
    let words = type_lines(&mut desk, &["words"]).lines;
    for word in ["read: ", "overview: ", "filter: ", "context staging: ", "down: "] {
        assert!(words.iter().any(|l| l.starts_with(word)), "{word}: {words:#?}");
    }
    assert!(words.iter().any(|l| l.starts_with("tour: not now: only in kansole demo")), "{words:#?}");
    assert!(type_lines(&mut desk, &["overveiw"]).lines[0].contains("did you mean overview?"));
    type_lines(&mut desk, &["actions", "filter high"]);
    assert_eq!((desk.model.pane_id(), desk.model.pane().filter()), (PaneId::Actions, "high"));
    let menu = type_lines(&mut desk, &["mode"]);
    assert!(menu.lines.iter().any(|l| l.starts_with("1: observe")), "{menu:?}");
    assert!(type_lines(&mut desk, &["9"]).lines[0].contains("none of 1 to"));
    let chosen = type_lines(&mut desk, &["1"]);
    assert!(!chosen.effects.is_empty() || !chosen.lines.is_empty());
    assert!(desk.model.layers.is_empty());
}

#[test]
fn changes_are_told_once_the_gravest_first() {
    let before = world();
    assert_eq!(changes(&before, &before), Vec::<String>::new());
    let mut after = fixtures::troubled();
    after.messages = Arc::from([Message { at: start(), level: Level::Info, text: "one round".into() }]);
    let told = changes(&before, &after);
    let at = |word: &str| told.iter().position(|l| l.starts_with(word)).unwrap_or_else(|| panic!("{word}: {told:#?}"));
    assert!(at("proposal ") < at("message: one round"));
    assert!(told.iter().any(|l| l.starts_with("high: ") || l.starts_with("critical: ")), "{told:#?}");
    assert_eq!(changes(&after, &after), Vec::<String>::new());
    let over = changes(&after, &before);
    assert!(over.iter().any(|l| l.starts_with("over: ")), "{over:#?}");
    let mut broken = world();
    broken.link = Link::Broken { why: "no route".into(), retry: None };
    assert_eq!(changes(&before, &broken), ["not connected: no route"]);
    broken.messages = Arc::from([Message { at: start(), level: Level::Error, text: "no route".into() }]);
    assert_eq!(changes(&before, &broken), ["not connected: no route"], "told once");
}

#[test]
fn every_pane_can_be_read_without_a_cursor_or_a_colour() {
    let world = Arc::new(fixtures::troubled());
    let look = look("mono", Depth::None, true);
    let mut desk = Desk::new(Model::new(panes::all(), world, look, TimeDelta::seconds(60)), None);
    for pane in PaneId::ALL.into_iter().filter(|p| *p != PaneId::Help) {
        let heard = if desk.model.pane_id() == pane {
            desk.line("read", fixtures::now())
        } else {
            desk.line(pane.as_str(), fixtures::now())
        };
        assert!(heard.lines[0].starts_with(pane.as_str()) && heard.lines.len() > 1, "{pane:?}: {heard:#?}");
        assert!(heard.lines.iter().all(|l| !l.contains('\u{1b}')));
    }
}
