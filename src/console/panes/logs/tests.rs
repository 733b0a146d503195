//! Promises of the pane, by keys in a whole console.

use super::super::all;
use super::super::fixtures::troubled;
use super::*;
use crate::autopilot::world::World;
use crate::console::app::{Model, Msg};
use crate::console::caps::Depth;
use crate::console::effect::Following;
use crate::console::snapshot;
use crate::console::testing::{look, type_keys};
use crate::console::update::update;
use crate::model::logs::{Ask, Line, State};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::sync::Arc;

fn console(size: (u16, u16)) -> Model {
    let mut model = Model::new(all(), Arc::new(troubled()), look("dark", Depth::True, false), TimeDelta::seconds(60));
    model.size = size;
    model
}

/// Opens the logs of the first workload with pods; gives what is asked for.
fn open(model: &mut Model) -> Vec<Following> {
    let key = busiest(&model.world);
    model.go(PaneId::Logs);
    assert!(model.with_pane(|pane, ctx| pane.go(&Target::Logs(LogsOf::Workload(key)), ctx)));
    tick(model)
}

fn busiest(world: &World) -> crate::model::object::WorkloadKey {
    world.snapshot.workloads.iter().max_by_key(|w| w.pods.len()).unwrap().key.clone()
}

fn tick(model: &mut Model) -> Vec<Following> {
    let now = model.now;
    update(model, Msg::Tick, now)
        .into_iter()
        .filter_map(|e| if let Effect::Follow(f) = e { Some(f) } else { None })
        .collect()
}

fn at(second: i64) -> Timestamp {
    super::super::fixtures::now() + TimeDelta::seconds(second)
}

fn say(model: &mut Model, ask: &Ask, lines: &[(i64, &str)]) {
    let lines = lines.iter().map(|(s, t)| Line { at: Some(at(*s)), text: (*t).into() }).collect();
    let batch = Batch { lines, state: Some(State::Open), dropped: 0 };
    let now = model.now;
    update(model, Msg::Logged(ask.id, batch), now);
}

fn frame(model: &mut Model) -> String {
    let (w, h) = model.size;
    snapshot::write(&snapshot::draw(model, w, h), snapshot::Format::Text)
}

#[test]
fn containers_of_a_workload_are_interleaved_by_time_filtered_and_told_apart() {
    let mut m = console((100, 20));
    let asked = open(&mut m);
    assert!(asked.len() >= 2, "{asked:?}");
    assert_eq!(tick(&mut m), [], "nothing is asked for twice");
    let (a, b) = (&asked[0].ask, &asked[1].ask);
    say(&mut m, a, &[(1, "GET /cart 200"), (3, "ERROR no connection to redis-0:6379")]);
    say(&mut m, b, &[(2, r#"{"level":"warn","msg":"slow query","ms":812}"#), (4, "GET /cart 200")]);
    let now = m.now;
    let dropped = Batch {
        dropped: 12,
        state: Some(State::Waiting { why: "the connection broke".into(), again: 2 }),
        ..Batch::default()
    };
    update(&mut m, Msg::Logged(b.id, dropped), now);
    insta::assert_snapshot!("interleaved", frame(&mut m));
    type_keys(&mut m, "x w t / ! c a r t enter");
    insta::assert_snapshot!("fields_filtered", frame(&mut m));
    type_keys(&mut m, "esc");
    assert_eq!(m.pane().filter(), "");
}

#[test]
fn scrolling_up_stands_still_and_the_end_follows_again() {
    let mut m = console((80, 16));
    let ask = open(&mut m)[0].ask.clone();
    let lines: Vec<(i64, String)> = (0..50).map(|i| (i, format!("line {i}"))).collect();
    let lines: Vec<(i64, &str)> = lines.iter().map(|(i, t)| (*i, t.as_str())).collect();
    say(&mut m, &ask, &lines);
    frame(&mut m);
    assert_eq!(m.pane().copy().as_deref(), Some("line 49"));
    type_keys(&mut m, "k k");
    assert_eq!(m.pane().copy().as_deref(), Some("line 47"));
    say(&mut m, &ask, &[(60, "new")]);
    assert_eq!(m.pane().copy().as_deref(), Some("line 47"), "it stands still whatever comes");
    assert!(frame(&mut m).contains("standing still"));
    type_keys(&mut m, "j j j");
    assert_eq!(m.pane().copy().as_deref(), Some("new"));
    say(&mut m, &ask, &[(61, "newer")]);
    assert_eq!(m.pane().copy().as_deref(), Some("newer"), "at the end it follows again");
    type_keys(&mut m, "g g");
    let top = frame(&mut m);
    assert!(top.contains("line 0") && !top.contains("newer"), "{top}");
    type_keys(&mut m, "f");
    assert!(frame(&mut m).contains("newer"));
}

#[test]
fn another_question_stops_the_first_and_late_lines_are_not_taken() {
    let mut m = console((80, 20));
    let first = open(&mut m);
    let second: Vec<Following> = type_keys(&mut m, "V")
        .into_iter()
        .filter_map(|e| if let Effect::Follow(f) = e { Some(f) } else { None })
        .collect();
    assert!(first.iter().all(|f| f.stop.is_cancelled()), "what nobody looks at is not followed");
    assert!(!second.is_empty() && second.iter().all(|f| f.ask.previous && !f.stop.is_cancelled()));
    say(&mut m, &first[0].ask, &[(1, "late")]);
    assert!(!frame(&mut m).contains("late"));
    let mut other = troubled();
    let mut snapshot = (*other.snapshot).clone();
    Arc::make_mut(&mut snapshot.cluster).context = "another".into();
    other.snapshot = Arc::new(snapshot);
    let now = m.now;
    update(&mut m, Msg::World(Arc::new(other)), now);
    assert!(second.iter().all(|f| f.stop.is_cancelled()), "logs end with their cluster");
    assert!(frame(&mut m).contains("no logs are open"));
}
