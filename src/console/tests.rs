//! The console as a whole, driven by keys and seen as frames.

use super::app::{Model, Msg};
use super::caps::Depth;
use super::command::PaneId;
use super::effect::Effect;
use super::testing::{look, model, press, start, type_keys, world};
use super::update::update;
use super::{keyref, snapshot};
use crate::autopilot::world::{Command, Detail, Level, Link, Message, World};
use crate::model::authority::LeaseView;
use crate::model::mode::Mode;
use crate::model::object::{ObjectRef, PodKey, Resource};
use crate::model::snapshot::{Snapshot, SourceState};
use chrono::TimeDelta;
use crossterm::event::KeyEventKind;
use std::sync::Arc;

fn frame(model: &mut Model, width: u16, height: u16) -> String {
    snapshot::write(&snapshot::draw(model, width, height), snapshot::Format::Text)
}

fn approve(id: &str) -> Vec<Effect> {
    vec![Effect::Send(Command::Approve { id: id.into(), hash: "h".into() })]
}

fn with(change: impl FnOnce(&mut World, &mut Snapshot)) -> Model {
    let mut world = world();
    let mut snapshot = (*world.snapshot).clone();
    change(&mut world, &mut snapshot);
    world.snapshot = Arc::new(snapshot);
    model(world)
}

#[test]
fn the_shell_at_four_sizes() {
    for (width, height) in [(60, 15), (80, 24), (120, 40), (220, 60)] {
        let mut model = model(world());
        insta::assert_snapshot!(format!("shell_{width}x{height}"), frame(&mut model, width, height));
    }
}

#[test]
fn layers_at_80x24() {
    for (name, keys) in [
        ("palette", ": s w"),
        ("help", "4 ?"),
        ("menu", "M j"),
        ("medium", "4 j a"),
        ("high", "4 j j a h i"),
        ("prompt", "/ m e d"),
        ("which_key", "g"),
        ("messages", "4 u m"),
    ] {
        let mut model = model(world());
        model.size = (80, 24);
        type_keys(&mut model, keys);
        insta::assert_snapshot!(format!("layer_{name}"), frame(&mut model, 80, 24));
    }
}

#[test]
fn below_the_least_size_there_is_a_message_and_keys_do_nothing_but_leave() {
    let mut model = model(world());
    assert!(frame(&mut model, 59, 20).contains("needs 60×15, this is 59×20"));
    assert!(frame(&mut model, 80, 14).contains("this is 80×14"));
    assert_eq!(type_keys(&mut model, "4 a y K"), vec![]);
    assert_eq!(type_keys(&mut model, "q"), vec![Effect::Quit]);
    for size in [(1, 1), (2, 60), (200, 1)] {
        frame(&mut model, size.0, size.1);
    }
}

#[test]
fn mode_context_freshness_and_pending_are_always_there() {
    type Change = fn(&mut World, &mut Snapshot);
    let cases: [(&str, Change); 10] = [
        ("■ MANUAL", |_, _| {}),
        ("▷ STEP", |w, _| w.mode = Mode::Step),
        ("◇ AUTO PAUSED", |w, _| {
            w.mode = Mode::Auto;
            w.brakes.paused = true;
        }),
        ("◆ AUTO ", |w, _| {
            w.mode = Mode::Auto;
            w.brakes.lease = LeaseView::Mine { since: w.at };
        }),
        ("▲ AUTO HELD", |w, _| {
            w.mode = Mode::Auto;
            w.brakes.lease = LeaseView::Other { holder: "bob@box".into() };
        }),
        ("▲ AUTO HELD", |w, _| {
            w.mode = Mode::Auto;
            w.brakes.held = Some("data is stale".into());
        }),
        ("✖ KILLED", |w, _| w.brakes.killed = Some("file /tmp/kill".into())),
        ("□ READ-ONLY", |w, _| w.brakes.read_only = Some("--read-only".into())),
        ("DISCONNECTED", |w, _| w.link = Link::Broken { why: "no route".into(), retry: None }),
        ("○ OBSERVE", |w, _| w.mode = Mode::Observe),
    ];
    for (word, change) in cases {
        let mut model = with(change);
        for (width, height) in [(60, 15), (80, 24)] {
            let text = frame(&mut model, width, height);
            assert!(text.contains(word), "{word} at {width}×{height}:\n{text}");
            assert!(text.contains("api 2s · pods 5s · prom 12s"), "{text}");
            assert!(text.contains("prod-e"), "{text}");
        }
    }
}

#[test]
fn what_is_lost_or_denied_is_said_rather_than_left_out() {
    let mut model = with(|_, s| {
        s.api.state =
            SourceState::Failed { since: start(), last: Some(start() - TimeDelta::seconds(90)), why: "x".into() };
        s.sources = Arc::from([]);
        s.metrics.state = SourceState::Denied { why: "get services/proxy".into() };
    });
    let text = frame(&mut model, 100, 24);
    assert!(text.contains("api lost 90s · pods ? · prom denied") && text.contains("DISCONNECTED"), "{text}");

    let mut model = with(|w, s| {
        s.api.state =
            SourceState::Failed { since: start(), last: Some(start() - TimeDelta::seconds(90)), why: "x".into() };
        s.metrics.state = SourceState::Live { last: start() - TimeDelta::seconds(100) };
        (w.mode, w.brakes.paused) = (Mode::Auto, true);
    });
    // The pods are alive in this world, so that they keep their place also where it is narrow.
    for width in [60, 80, 100] {
        let text = frame(&mut model, width, 24);
        assert!(text.contains("api lost 90s · pods 5s · prom stale 100s"), "{text}");
    }
}

#[test]
fn a_risk_decides_what_an_approval_takes() {
    assert_eq!(type_keys(&mut model(world()), "4 a"), approve("low-1"));
    for (keys, done) in [
        ("4 j a y", true),
        ("4 j a enter", false),
        ("4 j a right enter", true),
        ("4 j a esc", false),
        ("4 j a ctrl-c", false),
        ("4 j a n", false),
    ] {
        let want = if done { approve("medium-2") } else { vec![] };
        assert_eq!(type_keys(&mut model(world()), keys), want, "{keys}");
    }
    for (keys, done) in [
        ("4 j j a y enter", false),
        ("4 j j a enter", false),
        ("4 j j a h i g h - 3 enter", true),
        ("4 j j a h i g h - 3 esc", false),
    ] {
        let want = if done { approve("high-3") } else { vec![] };
        assert_eq!(type_keys(&mut model(world()), keys), want, "{keys}");
    }
}

#[test]
fn a_held_key_approves_once_and_never_answers_a_question() {
    let mut m = model(world());
    type_keys(&mut m, "4");
    assert_eq!(press(&mut m, "a", KeyEventKind::Press, 500), approve("low-1"));
    for _ in 0..50 {
        assert_eq!(press(&mut m, "a", KeyEventKind::Press, 30), vec![], "as most terminals send a held key");
        assert_eq!(press(&mut m, "a", KeyEventKind::Repeat, 500), vec![], "as the kitty protocol does");
    }
    assert_eq!(press(&mut m, "a", KeyEventKind::Press, 400), approve("low-1"), "let go and pressed again");
    // `a` jumps from Overview to Actions, where it would approve.
    let mut m = model(world());
    assert_eq!(press(&mut m, "a", KeyEventKind::Press, 500), vec![]);
    assert_eq!(m.pane_id(), PaneId::Actions);
    assert_eq!(press(&mut m, "a", KeyEventKind::Press, 30), vec![]);
    let mut m = model(world());
    type_keys(&mut m, "4 j a");
    assert_eq!(press(&mut m, "y", KeyEventKind::Repeat, 500), vec![]);
    assert_eq!(m.layers.len(), 1, "the question still stands");
}

#[test]
fn what_moves_under_the_cursor_is_not_approved() {
    let mut m = model(world());
    type_keys(&mut m, "4");
    let mut next = world();
    next.seq = 2;
    let now = m.now + TimeDelta::seconds(1);
    update(&mut m, Msg::World(Arc::new(next)), now);
    assert_eq!(press(&mut m, "a", KeyEventKind::Press, 399), vec![]);
    assert_eq!(press(&mut m, "a", KeyEventKind::Press, 500), approve("world-2"));
}

#[test]
fn a_lost_terminal_answers_every_question_with_no() {
    let mut m = model(world());
    type_keys(&mut m, "4 j a");
    let now = m.now;
    assert_eq!(update(&mut m, Msg::End, now), vec![Effect::Quit]);
    assert!(m.layers.is_empty() && m.ending);
}

#[test]
fn pasted_text_is_never_taken_for_keys() {
    let mut m = model(world());
    type_keys(&mut m, "4");
    let paste = |m: &mut Model, text: &str| {
        let now = m.now + TimeDelta::seconds(1);
        update(m, Msg::Paste(text.into()), now)
    };
    assert_eq!(paste(&mut m, "a\ny\nK"), vec![]);
    assert!(m.flash.is_some(), "and it is said so");
    type_keys(&mut m, "/");
    paste(&mut m, "med\u{1b}[201~ium\n");
    type_keys(&mut m, "enter");
    assert_eq!(m.pane().filter(), "med[201~ium");
    type_keys(&mut m, "esc j j a");
    paste(&mut m, "high-3");
    assert_eq!(type_keys(&mut m, "enter"), vec![], "what must be typed cannot be pasted");
}

#[test]
fn a_sequence_waits_without_a_clock_and_escape_leaves_it() {
    let mut m = model(world());
    type_keys(&mut m, "j j g");
    assert_eq!(m.typed.len(), 1);
    let now = m.now + TimeDelta::hours(1);
    update(&mut m, Msg::Tick, now);
    type_keys(&mut m, "g");
    assert!(m.typed.is_empty());
    assert_eq!(m.pane().copy().as_deref(), Some("low-1"));
    type_keys(&mut m, "g esc");
    assert!(m.typed.is_empty());
}

#[test]
fn a_filter_applies_while_typing_and_escape_restores_it() {
    let mut m = model(world());
    type_keys(&mut m, "/ h i");
    assert_eq!(m.pane().filter(), "hi");
    type_keys(&mut m, "esc");
    assert_eq!(m.pane().filter(), "");
    type_keys(&mut m, "/ h i enter");
    assert_eq!((m.pane().filter(), m.layers.len()), ("hi", 0));
    type_keys(&mut m, "esc");
    assert_eq!(m.pane().filter(), "", "escape without a layer clears the filter");
}

#[test]
fn commands_that_cannot_run_say_why() {
    let mut m = model(world());
    assert_eq!(type_keys(&mut m, "4 u"), vec![]);
    assert_eq!(&*m.flash.as_ref().unwrap().0.text, "revert: it has not been applied");
    type_keys(&mut m, "S");
    assert_eq!(&*m.flash.as_ref().unwrap().0.text, "step: the mode is manual, not step");
    let mut m = with(|w, _| w.brakes.read_only = Some("--read-only".into()));
    assert_eq!(type_keys(&mut m, "4 a"), vec![]);
    assert!(m.flash.as_ref().unwrap().0.text.contains("read-only: --read-only"));
    assert_eq!(type_keys(&mut m, "K"), vec![Effect::Send(Command::Kill { on: true })], "always possible");
}

#[test]
fn auto_needs_the_name_of_the_cluster_and_resuming_a_yes() {
    let mut m = model(world());
    assert_eq!(type_keys(&mut m, "M G enter s t a g i n g enter"), vec![]);
    let mut m = model(world());
    let auto = vec![Effect::Send(Command::SetMode { mode: Mode::Auto })];
    assert_eq!(type_keys(&mut m, "M G enter p r o d - e u enter"), auto);
    let mut m = with(|w, _| {
        w.mode = Mode::Auto;
        w.brakes.paused = true;
    });
    assert_eq!(type_keys(&mut m, "P enter"), vec![]);
    assert_eq!(type_keys(&mut m, "P y"), vec![Effect::Send(Command::Pause { on: false })]);
}

#[test]
fn the_palette_finds_and_runs_with_the_same_checks_as_keys() {
    let mut m = model(world());
    type_keys(&mut m, "4 : a p p r o v e");
    assert_eq!(type_keys(&mut m, "enter"), approve("low-1"));
    let mut m = model(world());
    assert_eq!(type_keys(&mut m, ": v e r i f y enter"), vec![], "of another pane: shown with its reason");
    assert_eq!(m.layers.len(), 1);
    let mut m = model(world());
    let switch = Effect::Send(Command::SwitchContext { context: "staging".into() });
    assert_eq!(type_keys(&mut m, ": s t a g i n g enter"), vec![switch]);
}

#[test]
fn messages_of_the_loop_are_shown_once_and_kept() {
    let mut m = model(world());
    let mut next = world();
    next.messages = Arc::from([Message { at: start(), level: Level::Error, text: "prometheus: 401".into() }]);
    let next = Arc::new(next);
    update(&mut m, Msg::World(next.clone()), start());
    assert!(frame(&mut m, 80, 24).contains("prometheus: 401"));
    update(&mut m, Msg::Tick, start() + TimeDelta::seconds(7));
    assert!(!frame(&mut m, 80, 24).contains("prometheus: 401"));
    update(&mut m, Msg::World(next), start() + TimeDelta::seconds(8));
    assert!(!frame(&mut m, 80, 24).contains("prometheus: 401"), "not again");
    type_keys(&mut m, "m");
    assert!(frame(&mut m, 80, 24).contains("prometheus: 401"));
}

#[test]
fn a_broken_theme_keeps_the_old_one_and_says_so() {
    let mut m = model(world());
    let before = m.look.clone();
    update(&mut m, Msg::Look(Err("my.toml:3:1: key roles: no style for text; add it".into())), start());
    assert_eq!(m.look, before);
    assert!(m.flash.as_ref().unwrap().0.text.contains("my.toml:3:1"));
}

#[test]
fn a_theme_is_seen_before_it_is_chosen_and_escape_brings_the_old_one_back() {
    let mut m = model(world());
    let shown = |effects: Vec<Effect>| match &effects[..] {
        [Effect::Theme(name)] => name.clone(),
        other => panic!("{other:?}"),
    };
    let old = m.look.theme.name.clone();
    assert_eq!(type_keys(&mut m, "T"), vec![]);
    let first = shown(type_keys(&mut m, "j"));
    assert_ne!(first, old);
    assert_eq!(shown(type_keys(&mut m, "esc")), old);
    assert_eq!(type_keys(&mut m, "T esc"), vec![], "nothing was tried");
    assert!(!type_keys(&mut m, "T j enter").is_empty());
}

#[test]
fn ascii_frames_hold_nothing_but_ascii() {
    for keys in ["4 j a", ":", "?", "M", "g"] {
        let mut m = model(world());
        m.look = look("mono", Depth::None, true);
        type_keys(&mut m, keys);
        let text = frame(&mut m, 80, 24);
        // What the test pane and the cluster say is theirs; borders, marks and glyphs are ours.
        let foreign: String = text.chars().filter(|c| !c.is_ascii() && !"›→".contains(*c)).collect();
        assert_eq!(foreign, "", "{keys}:\n{text}");
    }
}

#[test]
fn pictures_are_deterministic_and_escape_what_they_show() {
    let mut m = with(|_, s| {
        let mut cluster = (*s.cluster).clone();
        cluster.context = "a<b>&\"c".into();
        s.cluster = Arc::new(cluster);
    });
    for format in [snapshot::Format::Svg, snapshot::Format::Html, snapshot::Format::Ansi] {
        let one = snapshot::write(&snapshot::draw(&mut m, 80, 24), format);
        assert_eq!(one, snapshot::write(&snapshot::draw(&mut m, 80, 24), format));
        assert_eq!(one.contains("a&lt;b&gt;&amp;&quot;c"), format != snapshot::Format::Ansi);
    }
}

#[test]
fn an_ansi_picture_shows_in_a_terminal_what_the_text_says() {
    let mut m = model(world());
    let buffer = snapshot::draw(&mut m, 80, 24);
    let mut parser = super::testing::parser(80, 24);
    let ansi = snapshot::write(&buffer, snapshot::Format::Ansi);
    parser.process(ansi.trim_end().replace('\n', "\r\n").as_bytes());
    let shown: Vec<String> = parser.screen().rows(0, 80).map(|r| r.trim_end().to_owned()).collect();
    assert_eq!(shown.join("\n").trim_end(), snapshot::write(&buffer, snapshot::Format::Text).trim_end());
    let banner = parser.screen().cell(0, 1).unwrap().bgcolor();
    assert_eq!(banner, vt100::Color::Rgb(0x5f, 0xb3, 0xb3), "the banner's colour");
}

#[test]
fn the_key_reference_names_every_command() {
    let keymap = look("dark", Depth::True, false).keymap;
    for format in [keyref::Format::Text, keyref::Format::Markdown, keyref::Format::Json] {
        let text = keyref::reference(&keymap, format);
        for c in super::command::COMMANDS {
            assert!(text.contains(c.name) && text.contains(c.doc), "{}", c.name);
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever is typed, pasted or resized: no panic, and no approval that was not asked for in full.
    #[test]
    fn no_input_breaks_the_console(
        keys in proptest::collection::vec((0usize..40, 0i64..900, 1u16..130, 1u16..50), 1..60),
    ) {
        const KEYS: [&str; 34] = [
            "a", "y", "n", "q", "j", "k", "g", "G", "h", "i", ":", "/", "?", "M", "P", "K", "S", "C", "N", "T", "m",
            "u", "d", "4", "1", "tab", "backtab", "enter", "esc", "left", "backspace", "pagedown", "ctrl-u", "w",
        ];
        let mut m = model(world());
        let mut asked = false;
        for (key, after, width, height) in keys {
            let open = m.layers.len();
            let effects = match key {
                0..34 => press(&mut m, KEYS[key], KeyEventKind::Press, after),
                34..36 => press(&mut m, "a", KeyEventKind::Repeat, after),
                36 => {
                    let now = m.now;
                    update(&mut m, Msg::Paste("high-3\ny\u{1b}".into()), now)
                }
                _ => {
                    let now = m.now;
                    update(&mut m, Msg::Resize(width, height), now)
                }
            };
            for effect in &effects {
                if let Effect::Send(Command::Approve { id, .. }) = effect {
                    proptest::prop_assert!(&**id == "low-1" || (asked && open > 0), "{id} without a question");
                    proptest::prop_assert!(key < 34 && KEYS[key] != "esc");
                }
            }
            asked = !m.layers.is_empty();
            snapshot::draw(&mut m, width, height);
        }
    }
}

#[test]
fn a_text_that_arrives_late_does_not_cover_a_question() {
    let mut m = model(world());
    type_keys(&mut m, "4 j a");
    let cart = ObjectRef::namespaced(Resource::DEPLOYMENTS, "shop", "cart");
    let text = Msg::Fetched { detail: Detail::Yaml(cart), text: Ok("kind: Deployment".into()) };
    let now = m.now;
    update(&mut m, text, now);
    assert_eq!(type_keys(&mut m, "y"), approve("medium-2"));
    assert!(frame(&mut m, 80, 24).contains("kind: Deployment"), "it waited beneath");
}

#[test]
fn a_log_is_read_again_in_place_and_stays_at_its_end() {
    let mut m = model(world());
    let pod = PodKey { namespace: "shop".into(), name: "cart-1".into() };
    let log = Detail::Logs { pod, container: None, previous: false, tail: 500 };
    let arrive = |m: &mut Model, lines: usize| {
        let text: Vec<String> = (1..=lines).map(|n| format!("line {n}")).collect();
        let now = m.now + TimeDelta::seconds(1);
        update(m, Msg::Fetched { detail: log.clone(), text: Ok(text.join("\n")) }, now);
    };
    arrive(&mut m, 100);
    assert!(frame(&mut m, 80, 24).contains("line 100"));
    assert_eq!(type_keys(&mut m, "ctrl-r"), vec![Effect::Fetch(log.clone())]);
    arrive(&mut m, 105);
    assert!(frame(&mut m, 80, 24).contains("line 105"), "it follows the end");
    type_keys(&mut m, "g");
    arrive(&mut m, 110);
    let text = frame(&mut m, 80, 24);
    assert!(text.contains("line 1 ") && text.contains("1/110"), "a place that was chosen stays:\n{text}");
    assert_eq!(m.layers.len(), 1);
}

#[test]
fn yaml_is_folded_by_levels_and_copied_whole() {
    let mut m = model(world());
    let cart = ObjectRef::namespaced(Resource::DEPLOYMENTS, "shop", "cart");
    let yaml = "kind: Deployment\nspec:\n  replicas: 3\n  template:\n    spec:\n      containers: []";
    let arrive = |m: &mut Model| {
        let (detail, now) = (Detail::Yaml(cart.clone()), m.now);
        update(m, Msg::Fetched { detail, text: Ok(yaml.into()) }, now);
    };
    arrive(&mut m);
    type_keys(&mut m, "- -");
    let text = frame(&mut m, 80, 24);
    assert!(text.contains("template: # 2 lines") && !text.contains("containers"), "{text}");
    arrive(&mut m);
    assert!(frame(&mut m, 80, 24).contains("template: # 2 lines"), "read again it stays folded");
    assert_eq!(type_keys(&mut m, "y"), [Effect::Copy(yaml.into())]);
    type_keys(&mut m, "+ +");
    assert!(frame(&mut m, 80, 24).contains("containers: []"));
}

#[test]
fn sentences_of_the_phases_lose_their_signs_in_ascii_and_names_stay() {
    let mut m = model(world());
    m.look = look("dark", Depth::True, true);
    m.note(Level::Info, "burns 14× its budget → 購物車 … done");
    assert!(frame(&mut m, 80, 24).contains("burns 14x its budget > 購物車 ~ done"));
}

#[test]
fn the_banner_is_never_empty() {
    let with = |link: Link| {
        with(|w, s| {
            w.link = link;
            let mut cluster = (*s.cluster).clone();
            cluster.context = "".into();
            s.cluster = Arc::new(cluster);
        })
    };
    let text = frame(&mut with(Link::Connecting { context: "prod-eu".into() }), 80, 24);
    assert!(text.starts_with(" prod-eu "), "{text}");
    let text = frame(&mut with(Link::Broken { why: "refused".into(), retry: None }), 80, 24);
    assert!(text.starts_with(" no cluster "), "{text}");
}

#[test]
fn the_bell_rings_once_for_what_is_new_and_not_where_it_is_turned_off() {
    for bell in [true, false] {
        let mut m = model(world());
        m.look.bell = bell;
        let mut tell = |alerts: u64| {
            let mut w = world();
            w.alerts = alerts;
            crate::console::update::update(&mut m, Msg::World(Arc::new(w)), crate::model::time::Timestamp::UNIX_EPOCH)
        };
        assert_eq!(tell(0), vec![]);
        assert_eq!(tell(2), if bell { vec![Effect::Bell] } else { vec![] });
        assert_eq!(tell(2), vec![], "said once");
    }
}
