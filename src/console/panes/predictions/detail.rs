//! One prediction: its history and what is expected as a chart, the numbers, and how it did on its own past.

use super::super::show;
use super::{against, list};
use crate::autopilot::world::World;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::chart::{Band, Chart, Level, Line};
use crate::console::widgets::cursor::Scroll;
use crate::console::widgets::lines::Lines;
use crate::console::widgets::text::rule;
use crate::console::widgets::unit::Unit;
use crate::model::prediction::{BackTest, HOUR, Kept, Outlook, Prediction};
use crate::model::series::Signal;
use crate::model::time::age;
use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// How much of the past stands before the forecast.
const PAST: TimeDelta = TimeDelta::days(4);

/// Draws the chart above the numbers; without room for both, the numbers only.
pub fn draw(buf: &mut Buffer, area: Rect, ctx: &Ctx, world: &World, p: &Prediction, scroll: &Scroll) {
    let title = format!("{}/{} {}: {}", p.key.namespace, p.key.name, p.key.kind.as_str(), p.signal.title());
    let text = numbers(p, world, ctx);
    let high = if area.height >= 16 { area.height / 2 } else { 0 };
    if high == 0 {
        text.draw(buf, ctx.theme, area, &title, scroll, ctx.focused);
        return;
    }
    rule(buf, ctx.theme, area, &title, "", ctx.focused);
    chart(p, world, ctx).draw(buf, ctx.theme, Rect { y: area.y + 1, height: high - 1, ..area });
    let rest = Rect { y: area.y + high, height: area.height - high, ..area };
    text.draw(buf, ctx.theme, rest, "Numbers", scroll, false);
}

fn chart(p: &Prediction, world: &World, ctx: &Ctx) -> Chart {
    let unit = Unit::of(p.signal);
    let outlook = p.outlook.as_ref().ok();
    let turn = outlook.map(|o| o.from).or_else(|| p.history.as_ref().map(|t| t.end())).unwrap_or(ctx.now);
    let to = outlook.map_or(turn, |o| o.from + HOUR * (o.hours.len().max(1) - 1) as i32);
    let at = |o: &Outlook, i: usize| (o.from + HOUR * i as i32).timestamp() as f64;
    let mut lines = vec![Line { role: Role::Series1, points: p.history.iter().flat_map(|t| t.points()).collect() }];
    lines.extend(outlook.map(|o| Line {
        role: Role::Series2,
        points: o.hours.iter().enumerate().map(|(i, h)| (at(o, i), h.mean)).collect(),
    }));
    let mut title = vec![("measured".to_owned(), Role::Series1)];
    if outlook.is_some() {
        title.push(("  expected".into(), Role::Series2));
        title.push(("  80% band".into(), Role::Muted));
    }
    for (name, value, role) in [("request", p.request, Role::Request), ("limit", p.limit, Role::Limit)] {
        title.extend(value.map(|v| (format!("  {name} {}", unit.show(v)), role)));
    }
    title.push((format!("  {} now", ctx.theme.glyphs.down), Role::Rollout));
    let levels = [(p.request, Role::Request), (p.limit, Role::Limit)];
    Chart {
        title,
        from: (turn - PAST).timestamp() as f64,
        to: to.timestamp() as f64,
        now: ctx.now.timestamp() as f64,
        step: 3600.0,
        lines,
        band: outlook.map(|o| Band {
            role: Role::Muted,
            points: o.hours.iter().enumerate().map(|(i, h)| (at(o, i), h.band80.0, h.band80.1)).collect(),
        }),
        levels: levels.into_iter().filter_map(|(v, role)| Some(Level { value: v?, role })).collect(),
        marks: vec![ctx.now.timestamp() as f64],
        spans: show::spans(&world.incidents, &p.key, ctx.now),
        unit,
        missing: p.outlook.as_ref().err().map(ToString::to_string),
    }
}

fn numbers(p: &Prediction, world: &World, ctx: &Ctx) -> Lines {
    let unit = Unit::of(p.signal);
    let mut l = Lines::default();
    match &p.outlook {
        Err(why) => {
            l.field("says", "nothing, and nothing is scaled by it", Role::Stale);
            l.field("because", why.to_string(), Role::Warning);
        }
        Ok(o) => expected(&mut l, o, p, ctx),
    }
    let (text, role) = show::reading_words(&list::now_of(p, world), unit, ctx.now);
    l.field("now", text, role);
    let bound = |v: Option<f64>| v.map_or_else(|| "none".to_owned(), |v| unit.show(v));
    if p.signal != Signal::RequestRate {
        l.field("request", bound(p.request), Role::Text);
        l.field("limit", format!("{}, of the pods there are now", bound(p.limit)), Role::Text);
    }
    if let Some(track) = &p.history {
        let known = track.values.iter().flatten().count();
        let text = format!("{known} of {} hours since {}", track.values.len(), track.from.format("%F %H:%M UTC"));
        l.field("history", text, Role::Text);
    }
    if let Some((made, read)) = world.predictions.made.zip(world.predictions.read) {
        let text = format!("{} ago from history read {} ago", age(ctx.now, made), age(ctx.now, read));
        l.field("made", text, Role::Muted);
    }
    l
}

fn expected(l: &mut Lines, o: &Outlook, p: &Prediction, ctx: &Ctx) {
    let unit = Unit::of(p.signal);
    if let Some((at, hour)) = o.peak() {
        let when = format!("{} ({})", list::ahead(at, ctx.now), at.format("%m-%d %H:%M UTC"));
        let ends = |band| list::band(band, unit);
        let text = format!(
            "{} {when}, 80% between {}, 95% between {}",
            unit.show(hour.mean),
            ends(hour.band80),
            ends(hour.band95)
        );
        l.field("peak", text, against(hour.band80.1, p.limit));
    }
    match (o.crossing, p.limit) {
        (Some(c), Some(limit)) => {
            let limit = unit.show(limit);
            let (text, role) = match c.expected {
                Some(at) => (format!("the limit {limit} is reached {}", list::ahead(at, ctx.now)), Role::Bad),
                None => {
                    (format!("the band reaches the limit {limit} {}", list::ahead(c.possible, ctx.now)), Role::Warning)
                }
            };
            l.field("crossing", text, role);
        }
        (None, Some(_)) => {
            l.field("crossing", "none: the 80% band stays below the limit", Role::Text);
        }
        (_, None) => {}
    }
    match &o.backtest {
        Some(test) => l.field("back-test", judged(test), if test.skill > 0.0 { Role::Text } else { Role::Warning }),
        None => l.field("back-test", "none: the series never changed", Role::Muted),
    };
    if p.kept.hours() > 0 {
        l.field("since then", lived(p.kept), Role::Text);
    }
    let members: Vec<String> = o.members.iter().take(4).map(|(n, w)| format!("{n} {:.0}%", w * 100.0)).collect();
    l.field("model", format!("{} ({})", o.model, members.join(", ")), Role::Text);
    let seasons: Vec<String> = o.seasons.iter().map(|s| format!("{s} hours")).collect();
    l.field("seasons", if seasons.is_empty() { "none".into() } else { seasons.join(", ") }, Role::Text);
}

/// How it did on the hours that came since.
fn lived(kept: Kept) -> String {
    format!(
        "of the last {} hours {} were inside the 80% band of the forecast before them, {} inside the 95% band",
        kept.hours(),
        kept.count80(),
        kept.count95()
    )
}

/// How it did on its own past.
fn judged(test: &BackTest) -> String {
    let percent = |share: Option<f64>| share.map_or_else(|| "cannot be told".into(), |s| format!("{:.0}%", s * 100.0));
    format!(
        "MASE {:.2} against {:.2} of seasonal naive over {} folds (skill {:.0}%), 80% band covered {}, 95% band {}",
        test.mase,
        test.baseline,
        test.folds,
        test.skill * 100.0,
        percent(test.coverage80),
        percent(test.coverage95)
    )
}
