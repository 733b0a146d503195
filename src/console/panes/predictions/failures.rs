//! Which workload is about to fail: a row per workload, those with most trouble first.

use super::super::show;
use super::losses;
use crate::autopilot::world::World;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::cursor::Scroll;
use crate::console::widgets::lines::{Lines, Piece};
use crate::console::widgets::table::{Cell, Column};
use crate::model::failure::{FailureOutlook, ModelCard, Moved, Pattern, State, TimeToFailure, Training};
use crate::model::snapshot::SourceState;
use crate::model::time::{age, short};
use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The columns.
pub const COLUMNS: [Column; 6] = [
    Column::text("WORKLOAD", 14, 40, 0),
    Column::text("NOW", 8, 9, 1),
    Column::number("FAILS", 5, 6, 0),
    Column::number("LEFT", 5, 14, 0),
    Column::text("PATTERN", 8, 40, 1),
    Column::text("ALARM OR WHY NONE", 10, 100, 2),
];

fn role_of(state: State) -> Role {
    match state {
        State::Healthy => Role::Good,
        State::Degraded => Role::Warning,
        State::Unhealthy | State::Critical => Role::Bad,
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// Seconds as a duration of one unit; at most a year, for trends that hardly rise.
fn span(seconds: f64) -> String {
    short(TimeDelta::seconds(seconds.clamp(0.0, 31_536_000.0) as i64))
}

/// The cells of one row.
pub fn row<'a>(o: &'a FailureOutlook, ctx: &Ctx) -> Vec<Cell<'a>> {
    let none = || Cell::new(show::absent(&ctx.theme.glyphs), Role::Stale);
    let alarm = if o.alarm() { Role::Bad } else { Role::Text };
    let patterns: Vec<&str> = o.patterns.iter().map(|p| p.kind.title()).collect();
    let probability = |f: &crate::model::failure::Foreseen| Cell::new(percent(f.failure()), alarm);
    vec![
        Cell::plain(format!("{}/{}", o.key.namespace, o.key.name)),
        o.now.map_or_else(none, |s| Cell::new(s.word(), role_of(s))),
        o.model.as_ref().map_or_else(|_| none(), probability),
        o.time_to_failure.map_or_else(none, |t| Cell::new(span(t.expected), alarm)),
        if patterns.is_empty() { none() } else { Cell::new(patterns.join(", "), alarm) },
        match &o.model {
            _ if o.alarm() => Cell::new("expected to fail", Role::Bad),
            Ok(_) => Cell::muted("no failure expected"),
            Err(why) => Cell::new(format!("rules only: {why}"), Role::Stale),
        },
    ]
}

/// How fresh the list is, who speaks, and what is being learned, on one line.
pub fn state(world: &World, ctx: &Ctx) -> Vec<Piece> {
    let f = &world.failures;
    let mut out = Vec::new();
    if let Some(made) = f.made {
        let alarms = f.all.iter().filter(|o| o.alarm()).count();
        let role = if alarms > 0 { Role::Bad } else { Role::Text };
        out.push((format!("{alarms} of {} expected to fail", f.all.len()), role));
        out.push((format!("  {} ago", age(ctx.now, made)), Role::Muted));
    }
    let speaker = match &f.card {
        None => "  rules only: there is no model".to_owned(),
        Some(card) if card.silent.is_some() => "  rules only: the model is silent".to_owned(),
        Some(card) => format!("  rules and {}", title(card)),
    };
    out.push((speaker, Role::Muted));
    if let Some((text, role)) = training(&f.training, ctx) {
        out.push((format!("  training: {text}"), role));
    }
    out
}

/// What is being learned; `None`: nothing is, and nothing was.
fn training(training: &Training, ctx: &Ctx) -> Option<(String, Role)> {
    match training {
        Training::Idle => None,
        Training::Reading { since } => Some((format!("reading the past for {}", age(ctx.now, *since)), Role::Series1)),
        Training::Learning { since, losses } => {
            let text = format!("learning for {}{}", age(ctx.now, *since), losses::progress(losses, ctx));
            Some((text, Role::Series1))
        }
        Training::Ended { at, said } => Some((format!("ended {} ago: {said}", age(ctx.now, *at)), Role::Muted)),
    }
}

/// Why there is no row.
pub fn nothing(world: &World) -> &'static str {
    match &world.snapshot.metrics.state {
        SourceState::NotServed => "nothing is measured: Prometheus is turned off or was not found",
        SourceState::Failed { .. } | SourceState::Denied { .. } => "nothing is measured: Prometheus cannot be asked",
        _ if world.failures.made.is_some() => "no workload is measured",
        _ => "the first measurements are being read",
    }
}

fn title(card: &ModelCard) -> String {
    format!("{} version {}, trained here", card.kind, card.version)
}

/// Draws what is foreseen of one workload; below it, where there is room, how the model learns or learned.
pub fn draw(buf: &mut Buffer, area: Rect, ctx: &Ctx, world: &World, o: &FailureOutlook, scroll: &Scroll) {
    let title = format!("{}: failures to come", o.key);
    let f = &world.failures;
    let learning = match &f.training {
        Training::Learning { losses, .. } if !losses.epochs.is_empty() => Some((losses, "learning now")),
        _ => f.card.as_ref().and_then(|c| c.losses.as_ref()).map(|l| (l, "as it learned")),
    };
    let low = if learning.is_some() && area.height >= 18 { area.height / 3 } else { 0 };
    let text = Rect { height: area.height - low, ..area };
    detail(o, world, ctx).draw(buf, ctx.theme, text, &title, scroll, ctx.focused);
    if let Some((losses, when)) = learning.filter(|_| low > 0) {
        let plot = Rect { y: text.bottom(), height: low, ..area };
        losses::chart(losses, when).draw(buf, ctx.theme, plot);
    }
}

/// Everything that is foreseen of one workload, and by whom.
fn detail(o: &FailureOutlook, world: &World, ctx: &Ctx) -> Lines {
    let mut l = Lines::default();
    let now = o.now.map_or(("not measured", Role::Stale), |s| (s.word(), role_of(s)));
    l.field("now", now.0, now.1);
    match &o.model {
        Ok(f) => {
            let parts: Vec<String> =
                State::ALL.iter().zip(f.probabilities).map(|(s, p)| format!("{} {}", s.word(), percent(p))).collect();
            let role = if f.alarm { Role::Bad } else { Role::Text };
            l.field("in 5 min", parts.join(", "), role);
        }
        Err(why) => {
            l.field("in 5 min", format!("the model says nothing: {why}"), Role::Stale);
        }
    }
    if let Some(t) = o.time_to_failure {
        l.field("left", left(t), Role::Warning);
    }
    for p in &o.patterns {
        pattern(&mut l, p);
    }
    if o.patterns.is_empty() {
        l.field("patterns", "none of leak, exhaustion, dependency failure, cascade", Role::Text);
    }
    if let Ok(f) = &o.model {
        because(&mut l, &f.why);
    }
    for missing in &o.missing {
        l.field("not judged", missing.to_string(), Role::Stale);
    }
    card(&mut l, world, ctx);
    l
}

fn left(t: TimeToFailure) -> String {
    format!("{} (between {} and {}, by the slope's 95% interval)", span(t.expected), span(t.earliest), span(t.latest))
}

fn pattern(l: &mut Lines, p: &Pattern) {
    l.head(p.kind.title());
    if let Some(t) = p.time_to_failure {
        l.field("left", left(t), if p.alarm { Role::Bad } else { Role::Warning });
    }
    for e in &p.evidence {
        l.item("-", vec![(format!("{}: ", e.source), Role::Muted), (e.says.to_string(), Role::Text)]);
    }
}

/// The features that moved the model most.
fn because(l: &mut Lines, why: &[Moved]) {
    if why.is_empty() {
        return;
    }
    l.head("What moved the model");
    for m in why.iter().take(6) {
        let value = if m.value.is_finite() { format!("{:.3}", m.value) } else { "not measured".into() };
        let role = if m.by > 0.0 { Role::Warning } else { Role::Good };
        l.item("-", vec![(format!("{:+.0}% ", m.by * 100.0), role), (format!("{} = {value}", m.feature), Role::Text)]);
    }
}

fn card(l: &mut Lines, world: &World, ctx: &Ctx) {
    let f = &world.failures;
    l.head("Model");
    if let Some((text, role)) = training(&f.training, ctx) {
        l.field("training", text, role);
    }
    let Some(card) = &f.card else {
        l.field("card", "there is no model: the rules speak alone", Role::Stale);
        return;
    };
    l.field("card", title(card), Role::Text);
    if let Some(why) = &card.silent {
        l.field("silent", why.to_string(), Role::Warning);
    }
    let trained = format!("{} ago on {} examples from {}", age(ctx.now, card.trained), card.samples, card.source);
    l.field("trained", trained, Role::Text);
    if let Some(curve) = &card.losses {
        l.field("learned", losses::summary(curve), Role::Text);
    }
    let figures: Vec<String> = card.back_test.iter().map(|(name, value)| format!("{name} {value:.2}")).collect();
    l.field("back-test", figures.join(", "), Role::Text);
    match &card.drift {
        None => l.field("drift", "too little was seen to tell", Role::Muted),
        Some(d) => {
            let names: Vec<&str> = d.drifted.iter().take(4).map(|n| &**n).collect();
            let which = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
            let text = format!("{} of {} features over {} rows{which}", d.drifted.len(), d.features, d.rows);
            let unlike = if d.moved.is_empty() { String::new() } else { format!(": {}", d.moved.join(", ")) };
            let cluster = format!("; {} of {} sizes and speeds{unlike}", d.moved.len(), d.compared);
            l.field("drift", text + &cluster, if card.silent.is_some() { Role::Warning } else { Role::Text })
        }
    };
    l.field("inputs", format!("hash {:.12}", card.features), Role::Muted);
    l.field("earlier", format!("{} versions to roll back to", card.earlier), Role::Muted);
}
