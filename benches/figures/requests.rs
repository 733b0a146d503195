//! Figures of the panes that show traces: a map of 500 services drawn, and a trace of 100 000 spans opened and scrolled.

use crate::inside::{Sink, draw, model, press, screen, world};
use crate::report::{Report, repeat};
use kansole::console::app::Msg;
use kansole::console::update::update;
use kansole::model::service::{MapSource, Red, ServiceEdge, ServiceMap, ServiceNode, TraceInsight};
use kansole::model::snapshot::{ClusterInfo, Snapshot};
use kansole::model::trace::{Span, Trace, TracesView};
use std::sync::Arc;
use std::time::Instant;

const SERVICES: usize = 500;
const SPANS: usize = 100_000;

/// Services in layers as large clusters have them: each called by up to four before it; some calls skip layers.
fn services() -> ServiceMap {
    let red = |i: usize| Red { rate: Some(i as f64), failed: Some((i % 40) as f64 / 500.0), ..Red::default() };
    let node = |i| ServiceNode { name: format!("service-{i:03}").into(), namespace: None, workload: None, red: red(i) };
    let calls =
        |i: usize| [i * 7 / 8, i * 3 / 4, i / 2, i / 5].into_iter().map(move |from| (from, i)).filter(|(a, b)| a != b);
    let mut ends: Vec<(usize, usize)> = (0..SERVICES).flat_map(calls).collect();
    ends.sort_unstable();
    ends.dedup();
    let edge = |(from, to)| ServiceEdge { from, to, detached: false, red: red(to) };
    ServiceMap {
        nodes: (0..SERVICES).map(node).collect(),
        edges: ends.into_iter().map(edge).collect(),
        sources: vec![MapSource::Spans],
        at: Some(chrono::Utc::now()),
        window_s: 300,
    }
}

fn trace() -> Trace {
    let begin = chrono::Utc::now().timestamp_nanos_opt().unwrap_or(0);
    let span = |i: usize| Span {
        id: i.to_string().into(),
        parent: (i > 0).then(|| ((i - 1) / 3).to_string().into()),
        service: format!("service-{}", i % 50).into(),
        operation: "call".into(),
        start: begin + i as i64 * 1000,
        duration: (SPANS - i) as i64 * 1000,
        error: i % 1000 == 999,
        ..Span::default()
    };
    Trace { id: "large".into(), spans: (0..SPANS).map(span).collect(), negative: 0 }
}

/// Drawing them.
pub fn drawing(report: &mut Report) {
    let none: Arc<str> = "".into();
    let info = ClusterInfo {
        id: none.clone(),
        context: "bench".into(),
        server: none.clone(),
        version: none.clone(),
        user: none,
        namespaces: None,
    };
    let mut snapshot = Snapshot::empty(info, chrono::Utc::now());
    snapshot.traces = Arc::new(TracesView { kept: Arc::from([Arc::new(trace())]), ..TracesView::default() });
    let mut first = Arc::unwrap_or_clone(world(snapshot));
    first.insight = Arc::new(TraceInsight { map: Arc::new(services()), ..TraceInsight::default() });
    let first = Arc::new(first);
    let mut model = model(first.clone());
    let mut screen = screen(&Sink::default());
    press(&mut model, "8");
    for (name, key) in [("drawn", "j"), ("listed", "v")] {
        press(&mut model, key);
        let times = repeat(20, 500, || {
            press(&mut model, "j");
            draw(&mut model, &mut screen)
        });
        let what = format!("draw 220x60, a map of {SERVICES} services {name}, a key before each");
        report.judged(&what, times.words(), "p99 16 ms", times.p99() < 16.0);
    }
    // A map that changed has to be laid out before it can be drawn.
    let times = repeat(2, 50, || {
        let mut next = (*first).clone();
        next.insight = Arc::new(TraceInsight { map: Arc::new(services()), ..TraceInsight::default() });
        let began = Instant::now();
        update(&mut model, Msg::World(Arc::new(next)), chrono::Utc::now());
        began.elapsed() + draw(&mut model, &mut screen)
    });
    let what = format!("a new map of {SERVICES} services, laid out and drawn");
    report.judged(&what, times.words(), "p99 16 ms", times.p99() < 16.0);
    press(&mut model, "7");
    let began = Instant::now();
    press(&mut model, "enter");
    report.told(&format!("open a trace of {SPANS} spans"), format!("{:.1} ms", began.elapsed().as_secs_f64() * 1e3));
    let times = repeat(20, 500, || {
        press(&mut model, "pagedown");
        draw(&mut model, &mut screen)
    });
    report.told(&format!("draw 220x60, {SPANS} spans, a page before each"), times.words());
}
