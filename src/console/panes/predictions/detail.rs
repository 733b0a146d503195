//! One prediction: its history and what is expected as charts, the numbers, and how it did on its own past; of the next
//! hours sample by sample, and of the next day by the hour.

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
use crate::model::prediction::{BackTest, Kept, Outlook, Prediction, Silence};
use crate::model::series::Signal;
use crate::model::time::age;
use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Which forecast is looked at where there is no room for both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ahead {
    /// The next hours, sample by sample.
    #[default]
    Hours,
    /// The next day, by the hour.
    Day,
}

/// From so many columns on both charts stand side by side.
const BOTH: u16 = 150;

/// Members of an ensemble that are named.
const NAMED: usize = 8;

/// Draws the charts above the numbers; without room for both, the numbers only.
pub fn draw(buf: &mut Buffer, area: Rect, ctx: &Ctx, world: &World, p: &Prediction, scroll: &Scroll, ahead: Ahead) {
    let title = format!("{}/{} {}: {}", p.key.namespace, p.key.name, p.key.kind.as_str(), p.signal.title());
    let text = numbers(p, world, ctx, ahead);
    let high = if area.height >= 16 { area.height / 2 } else { 0 };
    if high == 0 {
        text.draw(buf, ctx.theme, area, &title, scroll, ctx.focused);
        return;
    }
    rule(buf, ctx.theme, area, &title, "", ctx.focused);
    let plot = Rect { y: area.y + 1, height: high - 1, ..area };
    if area.width >= BOTH {
        let half = area.width / 2;
        chart(p, world, ctx, Ahead::Hours).draw(buf, ctx.theme, Rect { width: half, ..plot });
        chart(p, world, ctx, Ahead::Day).draw(
            buf,
            ctx.theme,
            Rect { x: plot.x + half, width: area.width - half, ..plot },
        );
    } else {
        chart(p, world, ctx, ahead).draw(buf, ctx.theme, plot);
    }
    let rest = Rect { y: area.y + high, height: area.height - high, ..area };
    text.draw(buf, ctx.theme, rest, "Numbers", scroll, false);
}

/// What one of the two forecasts says.
fn outlook<'a>(p: &'a Prediction, world: &'a World, ahead: Ahead) -> Result<&'a Outlook, &'a Silence> {
    match ahead {
        Ahead::Hours => list::near(p, world).map_or(Err(&Silence::Absent), |n| n.outlook.as_ref()),
        Ahead::Day => p.outlook.as_ref(),
    }
}

/// How much of the past stands before a forecast, and what was measured then.
fn past(p: &Prediction, world: &World, ctx: &Ctx, ahead: Ahead) -> (TimeDelta, Vec<(f64, f64)>) {
    match ahead {
        Ahead::Day => (TimeDelta::days(4), p.history.iter().flat_map(|t| t.points()).collect()),
        Ahead::Hours => {
            let span = TimeDelta::hours(8);
            let metrics = world.snapshot.metrics.workloads.get(&p.key);
            let ring = metrics.map(|m| m.history(p.signal).range(ctx.now - span, ctx.now));
            (span, ring.into_iter().flatten().map(|(at, v)| (at.timestamp() as f64, v)).collect())
        }
    }
}

fn chart(p: &Prediction, world: &World, ctx: &Ctx, ahead: Ahead) -> Chart {
    let unit = Unit::of(p.signal);
    let said = outlook(p, world, ahead);
    let outlook = said.ok();
    let (span, points) = past(p, world, ctx, ahead);
    let end = if ahead == Ahead::Day { p.history.as_ref().map(|t| t.end()) } else { None };
    let turn = outlook.map(|o| o.from).or(end).unwrap_or(ctx.now);
    let to = outlook.map_or(turn, |o| o.at(o.steps.len().max(1) - 1));
    let at = |o: &Outlook, i: usize| o.at(i).timestamp() as f64;
    let mut lines = vec![Line { role: Role::Series1, points }];
    lines.extend(outlook.map(|o| Line {
        role: Role::Series2,
        points: o.steps.iter().enumerate().map(|(i, e)| (at(o, i), e.mean)).collect(),
    }));
    let mut title = vec![("measured".to_owned(), Role::Series1)];
    if outlook.is_some() {
        let what = if ahead == Ahead::Day { "  expected of the day" } else { "  expected of 4 hours" };
        title.push((what.to_owned(), Role::Series2));
        title.push(("  80% band".into(), Role::Muted));
    }
    for (name, value, role) in [("request", p.request, Role::Request), ("limit", p.limit, Role::Limit)] {
        title.extend(value.map(|v| (format!("  {name} {}", unit.show(v)), role)));
    }
    title.push((format!("  {} now", ctx.theme.glyphs.down), Role::Rollout));
    let levels = [(p.request, Role::Request), (p.limit, Role::Limit)];
    let step = if ahead == Ahead::Day { 3600.0 } else { f64::from(world.snapshot.metrics.step) };
    Chart {
        title,
        from: (turn - span).timestamp() as f64,
        to: to.timestamp() as f64,
        now: ctx.now.timestamp() as f64,
        ends: None,
        step: outlook.map_or(step, |o| step.max(o.step.num_seconds() as f64)),
        lines,
        band: outlook.map(|o| Band {
            role: Role::Muted,
            points: o.steps.iter().enumerate().map(|(i, e)| (at(o, i), e.band80.0, e.band80.1)).collect(),
        }),
        levels: levels.into_iter().filter_map(|(v, role)| Some(Level { value: v?, role })).collect(),
        marks: vec![ctx.now.timestamp() as f64],
        spans: show::spans(&world.anomalies, &p.key, ctx.now),
        unit,
        missing: said.err().map(ToString::to_string),
        ..Chart::default()
    }
}

fn numbers(p: &Prediction, world: &World, ctx: &Ctx, ahead: Ahead) -> Lines {
    let unit = Unit::of(p.signal);
    let mut l = Lines::default();
    let both = if ahead == Ahead::Day { [Ahead::Day, Ahead::Hours] } else { [Ahead::Hours, Ahead::Day] };
    for which in both {
        forecast(&mut l, p, world, ctx, which);
    }
    l.head("Measured");
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
    l
}

/// One of the two: what it says and its card.
fn forecast(l: &mut Lines, p: &Prediction, world: &World, ctx: &Ctx, ahead: Ahead) {
    let known = &world.predictions;
    let (title, kept, made) = match ahead {
        Ahead::Hours => {
            let near = list::near(p, world);
            let made = known.near.made.map(|at| format!("{} ago from the samples of the last day", age(ctx.now, at)));
            ("Next 4 hours", near.map_or_else(Kept::default, |n| n.kept), made)
        }
        Ahead::Day => {
            let made = known
                .made
                .zip(known.read)
                .map(|(made, read)| format!("{} ago from history read {} ago", age(ctx.now, made), age(ctx.now, read)));
            ("Next 24 hours", p.kept, made)
        }
    };
    l.head(title);
    match outlook(p, world, ahead) {
        Err(_) if ahead == Ahead::Hours && known.near.made.is_none() => {
            l.field("says", "nothing yet: it is made when the samples and hours of the past are read", Role::Stale);
        }
        Err(why) => {
            l.field("says", "nothing, and nothing is scaled by it", Role::Stale);
            l.field("because", why.to_string(), Role::Warning);
        }
        Ok(o) => expected(l, o, p, ctx),
    }
    if kept.values() > 0 {
        l.field("since then", lived(kept, ahead), Role::Text);
    }
    if let Some(made) = made {
        l.field("made", made, Role::Muted);
    }
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
    if !o.parts.is_empty() {
        l.field("made of", made_of(&o.parts, unit), Role::Text);
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
    let step = o.step.num_seconds();
    let of = if step == 3600 { "hour by hour".to_owned() } else { format!("every {step} s") };
    l.field("model", format!("{}, {of}", o.model), Role::Text);
    let heard: Vec<String> = o
        .members
        .iter()
        .filter(|(_, w)| *w >= 0.005)
        .take(NAMED)
        .map(|(n, w)| format!("{n} {:.0}%", w * 100.0))
        .collect();
    let more = o.members.len().saturating_sub(heard.len());
    let more = if more > 0 { format!(", {more} more") } else { String::new() };
    l.field("weights", format!("{}{more}", heard.join(", ")), Role::Text);
    let seasons: Vec<String> = o.seasons.iter().map(|s| format!("{s} hours")).collect();
    l.field("seasons", if seasons.is_empty() { "none".into() } else { seasons.join(", ") }, Role::Text);
}

/// Why the peak is as high as it is: what each cause brings. The first is what there is now, the others are told as what they add.
fn made_of(parts: &[(&'static str, f64)], unit: Unit) -> String {
    let told = |(i, (cause, value)): (usize, &(&str, f64))| {
        let sign = match () {
            () if *value < 0.0 => "-",
            () if i > 0 => "+",
            () => "",
        };
        format!("{sign}{} {cause}", unit.show(value.abs()))
    };
    parts.iter().enumerate().map(told).collect::<Vec<_>>().join(", ")
}

/// How it did on what came since.
fn lived(kept: Kept, ahead: Ahead) -> String {
    let what = if ahead == Ahead::Day { "hours" } else { "quarters of an hour" };
    format!(
        "of the last {} {what} {} were inside the 80% band of the forecast before them, {} inside the 95% band",
        kept.values(),
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
