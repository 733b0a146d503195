//! The charts of one workload: six frames for the seven signals, with limits, requests, rollouts and incidents.

use super::super::show;
use super::super::usage::Bounds;
use crate::autopilot::world::World;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::chart::{Chart, Level, Line};
use crate::console::widgets::lines::Lines;
use crate::console::widgets::unit::Unit;
use crate::model::cluster::Workload;
use crate::model::reading::Reading;
use crate::model::series::Signal;
use crate::model::snapshot::{SourceState, WorkloadMetrics};
use crate::model::time::{Timestamp, age};
use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Signals per frame: both latencies share one.
pub const FRAMES: [&[Signal]; 6] = [
    &[Signal::Cpu],
    &[Signal::Memory],
    &[Signal::RequestRate],
    &[Signal::ErrorRate],
    &[Signal::LatencyP50, Signal::LatencyP99],
    &[Signal::Connections],
];

const ROLES: [Role; 3] = [Role::Series1, Role::Series2, Role::Series3];

/// The span of time that is shown.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Its end; `None` follows the present.
    pub end: Option<Timestamp>,
    /// Its length.
    pub length: TimeDelta,
}

/// What the frames show.
pub struct View<'a> {
    /// The world.
    pub world: &'a World,
    /// The workload.
    pub workload: &'a Workload,
    /// The span of time.
    pub span: Span,
    /// Logarithmic values.
    pub log: bool,
    /// The moment whose values are told.
    pub cross: Option<Timestamp>,
}

/// Draws one frame. `chosen` marks the one that Enter enlarges.
pub fn draw(buf: &mut Buffer, area: Rect, ctx: &Ctx, view: &View, frame: usize, chosen: bool) {
    let View { world, workload: w, span, log, cross } = view;
    let metrics = world.snapshot.metrics.workloads.get(&w.key);
    let to = span.end.unwrap_or_else(|| full(ctx.now, world.snapshot.metrics.step));
    let from = to - span.length;
    let bounds = Bounds::of_workload(w);
    let signals = FRAMES[frame];
    let unit = Unit::of(signals[0]);
    let (request, limit) = bounds.for_signal(signals[0]);
    let saturated = world.snapshot.metrics.saturated.contains(&w.key);
    let levels = [(request, Role::Request), (limit, Role::Limit)];
    let chart = Chart {
        title: title(ctx, metrics.map(|m| &**m), signals, (request, limit), chosen, saturated),
        from: from.timestamp() as f64,
        to: to.timestamp() as f64,
        now: ctx.now.timestamp() as f64,
        ends: None,
        step: f64::from(world.snapshot.metrics.step),
        lines: signals
            .iter()
            .zip(ROLES)
            .map(|(s, role)| Line {
                role,
                points: metrics.map_or_else(Vec::new, |m| {
                    m.history(*s).range(from, to).map(|(at, v)| (at.timestamp() as f64, v)).collect()
                }),
            })
            .collect(),
        band: None,
        levels: levels.into_iter().filter_map(|(v, role)| Some(Level { value: v?, role })).collect(),
        marks: w.revisions.iter().map(|r| r.created.timestamp() as f64).collect(),
        spans: show::spans(&world.anomalies, &w.key, ctx.now),
        unit,
        missing: Some(missing(world, metrics.map(|m| m.now(signals[0])))),
        log: *log,
        cross: cross.map(|at| at.timestamp() as f64),
    };
    chart.draw(buf, ctx.theme, area);
}

/// The end of the present step: the chart moves when there may be a new sample, not with every second, so that
/// samples stay in their columns and a frame in between costs nothing.
fn full(now: Timestamp, step: u32) -> Timestamp {
    let step = i64::from(step.max(1));
    let past = now.timestamp().rem_euclid(step);
    if past == 0 { now } else { now + TimeDelta::seconds(step - past) }
}

/// Name, the number now with its state and age, request and limit.
fn title(
    ctx: &Ctx,
    metrics: Option<&WorkloadMetrics>,
    signals: &[Signal],
    (request, limit): (Option<f64>, Option<f64>),
    chosen: bool,
    saturated: bool,
) -> Vec<(String, Role)> {
    let unit = Unit::of(signals[0]);
    let mark = if chosen { ctx.theme.glyphs.cursor } else { " " };
    let mut out = vec![(mark.to_owned(), Role::Focus)];
    for (n, (signal, role)) in signals.iter().zip(ROLES).enumerate() {
        if n > 0 {
            out.push(("  ".into(), Role::Text));
        }
        let line_role = if signals.len() > 1 { role } else { Role::Title };
        out.push((format!("{} ", signal.title()), line_role));
        let known = metrics.is_some_and(|m| m.now(*signal).last().is_some());
        if saturated && known && *signal == Signal::LatencyP99 {
            // Beyond the last bucket of the histogram the number is a lower bound.
            out.push(("more than ".into(), Role::Warning));
        }
        out.push(match metrics.map(|m| m.now(*signal)) {
            None | Some(Reading::Absent) => (show::absent(&ctx.theme.glyphs).into(), Role::Stale),
            Some(Reading::Stale { value, at }) => {
                (format!("{}, {} old", unit.show(*value), age(ctx.now, *at)), Role::Stale)
            }
            Some(r) => show::reading_words(r, unit, ctx.now),
        });
    }
    for (name, value, role) in [("request", request, Role::Request), ("limit", limit, Role::Limit)] {
        if let Some(v) = value {
            out.push((format!("  {name} {}", unit.show(v)), role));
        }
    }
    let newest = metrics.and_then(|m| {
        signals.iter().filter(|s| m.now(**s).fresh().is_some()).filter_map(|s| m.now(*s).last()).map(|(_, at)| at).max()
    });
    if let Some(at) = newest {
        out.push((format!("  {} ago", age(ctx.now, at)), Role::Muted));
    }
    out
}

/// Why there is nothing to draw.
pub fn missing(world: &World, now: Option<&Reading>) -> String {
    match (&world.snapshot.metrics.state, now) {
        (_, Some(Reading::Failed { why })) => why.to_string(),
        (SourceState::NotServed, _) => "Prometheus is turned off or was not found".into(),
        (SourceState::Unknown | SourceState::Syncing { .. }, _) => "Prometheus was not asked yet".into(),
        (SourceState::Failed { why, .. } | SourceState::Denied { why }, None) => format!("Prometheus: {why}"),
        (SourceState::Failed { why, .. } | SourceState::Denied { why }, Some(Reading::Absent)) => {
            format!("Prometheus: {why}")
        }
        (SourceState::Live { .. }, None | Some(Reading::Absent)) => "the server has no such series".into(),
        (_, Some(_)) => "nothing was measured in this span".into(),
    }
}

/// What kind of Prometheus was found, what is missing in it and what that costs.
pub fn profile(world: &World, ctx: &Ctx) -> Lines {
    let m = &world.snapshot.metrics;
    let mut l = Lines::default();
    let (glyph, words, role) = show::source(&m.state, ctx.now, &ctx.theme.glyphs);
    l.add(2, vec![(format!("{glyph} "), role), (format!("Prometheus {words}"), role)]);
    let Some(p) = &m.profile else {
        l.text("No profile was detected yet.", Role::Muted);
        return l;
    };
    let or = |v: &Option<String>| v.clone().map_or(("not found".to_owned(), Role::Warning), |v| (v, Role::Text));
    l.field("reached by", p.via.clone(), Role::Text);
    l.field("server", p.server.clone(), Role::Text);
    for (name, value) in [
        ("containers", &p.cadvisor),
        ("kube-state", &p.kube_state),
        ("nodes", &p.node_exporter),
        ("requests", &p.requests),
        ("calls", &p.calls.map(|c| c.title().to_owned())),
    ] {
        let (text, role) = or(value);
        l.field(name, text, role);
    }
    l.field("scraped", p.scrape_interval_s.map_or_else(|| "unknown".into(), |s| format!("every {s:.0} s")), Role::Text);
    l.field("keeps", p.retention.as_deref().unwrap_or("unknown").to_owned(), Role::Text);
    if let Some(label) = &p.cluster_label {
        l.field("cluster", label.clone(), Role::Text);
    }
    if !p.rules.is_empty() {
        l.field("rules", p.rules.join(", "), Role::Text);
    }
    if !p.missing.is_empty() {
        l.head("Missing");
        for what in &p.missing {
            l.item("-", vec![(what.clone(), Role::Warning)]);
        }
    }
    l
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::{ago, ctx, troubled, unicode};
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_chart_stands_still_within_a_step() {
        let now = super::super::super::fixtures::now();
        let ends: Vec<_> = (1..=30).map(|s| full(now + TimeDelta::seconds(s), 30)).collect();
        assert!(ends.iter().all(|e| *e == now + TimeDelta::seconds(30)), "{ends:?}");
        assert_eq!(full(now, 30), now);
    }

    #[test]
    fn a_latency_beyond_the_last_bucket_is_called_a_lower_bound() {
        let world = Arc::new(troubled());
        let theme = unicode();
        let c = ctx(&world, &theme, true);
        let mut m = (**world.snapshot.metrics.workloads.values().next().unwrap()).clone();
        m.now[Signal::LatencyP99 as usize] = Reading::Value { value: 10.0, at: ago(12) };
        let text = |saturated| {
            title(&c, Some(&m), FRAMES[4], (None, None), false, saturated)
                .into_iter()
                .map(|(t, _)| t)
                .collect::<String>()
        };
        assert!(text(true).contains("p99 more than 10.0s"), "{}", text(true));
        assert!(!text(false).contains("more than"));
    }
}
