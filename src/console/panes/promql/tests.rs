//! Whole ways through the PromQL pane, typed as an operator types them.

use super::super::all;
use super::super::fixtures::{ascii, healthy, now};
use super::*;
use crate::console::app::{Model, Msg};
use crate::console::caps::Depth;
use crate::console::snapshot;
use crate::console::testing::{look, type_keys};
use crate::console::update::update;
use crate::model::query::{Series, Words};

fn console() -> Model {
    let mut model = Model::new(all(), Arc::new(healthy()), look("mono", Depth::None, false), TimeDelta::seconds(60));
    model.now = now();
    model.size = (80, 24);
    model
}

fn shown(model: &mut Model, (w, h): (u16, u16)) -> String {
    snapshot::write(&snapshot::draw(model, w, h), snapshot::Format::Text)
}

/// Types an expression without spaces.
fn spelled(text: &str) -> String {
    text.chars().map(|c| if c == ' ' { "space ".into() } else { format!("{c} ") }).collect()
}

fn learn(model: &mut Model) {
    let all = |names: &[&str]| names.iter().map(|n| Arc::from(*n)).collect::<Arc<[Arc<str>]>>();
    let metrics = all(&["http_requests_total", "process_cpu_seconds_total", "up"]);
    let words = Words::Names { metrics, labels: all(&["instance", "job"]) };
    update(model, Msg::Words(words), now());
    let values = all(&["api", "cart"]);
    update(model, Msg::Words(Words::Values { label: "job".into(), values }), now());
    let text = "counter: Requests that were answered.".into();
    update(model, Msg::Words(Words::Meaning { metric: "http_requests_total".into(), text }), now());
}

/// The query among what must happen outside.
fn asked(effects: &[Effect]) -> Query {
    let query = effects.iter().find_map(|e| match e {
        Effect::Fetch(Detail::Query(q)) => Some(q.clone()),
        _ => None,
    });
    query.unwrap_or_else(|| panic!("nothing was asked: {effects:?}"))
}

fn answer(model: &mut Model, query: Query, answer: Result<Answer, Fault>) {
    let now = model.now;
    update(model, Msg::Answered(query, answer), now);
}

/// Two series that go up and down, one of them with a gap.
fn waves(query: &Query) -> Answer {
    let points = |gap: bool, height: f64| match query.range {
        None => vec![(now().timestamp() as f64, height)],
        Some(span) => (0..=(span.to - span.from).num_seconds() / i64::from(span.step))
            .filter(|i| !gap || !(100..200).contains(i))
            .map(|i| {
                let at = span.from.timestamp() + i * i64::from(span.step);
                (at as f64, height * (1.1 + (i as f64 / 30.0).sin()))
            })
            .collect(),
    };
    let series = |name: &str, gap, height| Series { name: name.into(), points: points(gap, height) };
    let series = vec![series("up{job=\"api\"}", false, 4.0), series("up{job=\"購物車\"}", true, 0.02)];
    Answer { series, left_out: 3, ..Answer::default() }
}

#[test]
fn an_expression_is_completed_run_and_kept() {
    let mut m = console();
    let effects = type_keys(&mut m, "9 enter");
    assert_eq!(effects, [Effect::Fetch(Detail::Words(Wanted::Names))]);
    learn(&mut m);
    type_keys(&mut m, &spelled("rat"));
    insta::assert_snapshot!("completion_functions", shown(&mut m, (60, 15)));
    type_keys(&mut m, "tab (");
    type_keys(&mut m, &spelled("http"));
    insta::assert_snapshot!("completion_metric", shown(&mut m, (80, 24)));
    type_keys(&mut m, "tab { j tab = \" c tab \" } [ 5 m ] )");
    let effects = type_keys(&mut m, "enter");
    let text = "rate(http_requests_total{job=\"cart\"}[5m])";
    assert_eq!(effects[0], Effect::Remember(text.into()));
    assert_eq!(asked(&effects), Query { expression: text.into(), range: None });
    // The past is one key away, also what another session typed.
    type_keys(&mut m, "enter up enter");
    let effects = type_keys(&mut m, "i ctrl-u ctrl-p enter");
    assert!(effects.contains(&Effect::Remember(text.into())), "{effects:?}");
}

#[test]
fn values_of_a_label_are_asked_for_once() {
    let mut m = console();
    type_keys(&mut m, "9 i");
    let effects = type_keys(&mut m, &spelled("up{zone=\"eu"));
    let zones = Effect::Fetch(Detail::Words(Wanted::Values("zone".into())));
    assert_eq!(effects.iter().filter(|e| **e == zones).count(), 1, "{effects:?}");
}

#[test]
fn a_mistake_is_marked_under_its_character_and_nothing_is_sent() {
    let mut m = console();
    type_keys(&mut m, "9 i");
    type_keys(&mut m, &spelled("sum(rate(up[5m])) + sun(up)"));
    let effects = type_keys(&mut m, "enter");
    assert!(!effects.iter().any(|e| matches!(e, Effect::Fetch(Detail::Query(_)))), "{effects:?}");
    let text = shown(&mut m, (80, 24));
    let column = |of: char, line: &str| line.find(of).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let row = lines.iter().position(|l| l.contains("sun(up)")).unwrap();
    assert_eq!(lines[row].find("sun").unwrap(), column('^', lines[row + 1]), "{text}");
    insta::assert_snapshot!("mistake", text);
    // A mistake that only the server sees.
    let mut m = console();
    type_keys(&mut m, "9 i");
    type_keys(&mut m, &spelled("up"));
    let query = asked(&type_keys(&mut m, "enter"));
    answer(&mut m, query, Err(Fault { why: "many-to-many matching not allowed".into(), at: Some(1) }));
    let text = shown(&mut m, (80, 24));
    assert!(text.contains("\n up\n  ^\n many-to-many"), "{text}");
}

#[test]
fn an_answer_is_a_table_or_a_chart_at_four_sizes() {
    let mut m = console();
    type_keys(&mut m, "9 i u p");
    let query = asked(&type_keys(&mut m, "enter"));
    let table = waves(&query);
    answer(&mut m, query, Ok(table));
    insta::assert_snapshot!("table", shown(&mut m, (80, 24)));
    let query = asked(&type_keys(&mut m, "v"));
    let chart = waves(&query);
    answer(&mut m, query, Ok(chart));
    for (w, h) in [(60, 15), (80, 24), (120, 40), (220, 60)] {
        insta::assert_snapshot!(format!("chart_{w}x{h}"), shown(&mut m, (w, h)));
    }
    type_keys(&mut m, "left left left left left left left left left left x");
    let text = shown(&mut m, (80, 24));
    insta::assert_snapshot!("chart_log_values", text);
    assert!(text.contains("logarithmic"));
    m.look.theme = ascii();
    insta::assert_snapshot!("chart_ascii", shown(&mut m, (80, 24)));
    m.look.theme = look("mono", Depth::None, false).theme;
    m.look.theme.glyphs.blocks = true;
    insta::assert_snapshot!("chart_blocks", shown(&mut m, (80, 24)));
}

#[test]
fn an_answer_to_an_earlier_question_is_not_shown() {
    let mut m = console();
    type_keys(&mut m, "9 i u p");
    let first = asked(&type_keys(&mut m, "enter"));
    type_keys(&mut m, "i ctrl-u");
    type_keys(&mut m, &spelled("vector(1)"));
    let second = asked(&type_keys(&mut m, "enter"));
    let late = waves(&first);
    answer(&mut m, first, Ok(late));
    assert!(!shown(&mut m, (80, 24)).contains("up{job"));
    answer(&mut m, second, Ok(Answer::default()));
    assert!(shown(&mut m, (80, 24)).contains("gives no series"));
}

#[test]
fn buckets_are_drawn_as_a_heatmap() {
    let mut m = console();
    m.go(PaneId::Promql);
    let expression = "sum by (le) (rate(http_request_duration_seconds_bucket{namespace=\"shop\"}[2m]))";
    assert!(m.with_pane(|pane, ctx| pane.go(&Target::Heat(expression.into()), ctx)));
    let now = m.now;
    let query = asked(&update(&mut m, Msg::Tick, now));
    assert_eq!(update(&mut m, Msg::Tick, now), [], "it is asked for once");
    let span = query.range.unwrap();
    let series = |le: &str, share: fn(f64) -> f64| Series {
        name: format!("{{le=\"{le}\"}}").into(),
        points: (0..400)
            .filter(|i| !(150..200).contains(i))
            .map(|i| ((span.from.timestamp() + i64::from(span.step) * i) as f64, share(i as f64 / 400.0)))
            .collect(),
    };
    // What is slow grows from nothing to half of all.
    let series = vec![
        series("0.05", |t| 10.0 - 8.0 * t),
        series("0.1", |t| 18.0 - 8.0 * t),
        series("0.5", |_| 20.0),
        series("+Inf", |t| if t > 0.9 { 20.4 } else { 20.0 }),
    ];
    answer(&mut m, query, Ok(Answer { series, ..Answer::default() }));
    insta::assert_snapshot!("heatmap", shown(&mut m, (80, 24)));
    m.look = look("mono", Depth::None, true);
    assert!(shown(&mut m, (80, 24)).is_ascii());
    assert_eq!(m.why_not(CommandId::QueryLog).as_deref(), Some("only over a chart"));
    type_keys(&mut m, "v");
    assert!(!shown(&mut m, (80, 24)).contains("densest"), "the view after a heatmap is a table");
}
