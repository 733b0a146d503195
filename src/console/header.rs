//! The header: cluster, mode, connection, age of the data and what waits. Always visible, in words, shapes
//! and colours, so that none of the three is needed to read it.

use super::app::Model;
use super::command::{CommandId, PaneId};
use super::theme::{Role, Theme};
use super::widgets::filter::Filter;
use crate::autopilot::world::Link;
use crate::model::mode::Mode;
use crate::model::snapshot::SourceState;
use crate::model::time::{age, short};
use chrono::TimeDelta;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Draws the header into two or three rows.
pub fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let row = |n: u16| Rect { y: area.y + n, height: 1, ..area };
    for n in 0..2 {
        frame.buffer_mut().set_style(row(n), model.look.theme.style(Role::Bar));
    }
    first(model, frame, row(0));
    tabs(model, frame, row(1));
    if area.height > 2 {
        trail(model, frame, row(2));
    }
}

/// Text cut to a width, with an ellipsis where something is missing.
pub fn cut(text: &str, width: usize, theme: &Theme) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(theme.glyphs.ellipsis.width());
    let mut used = 0;
    let mut out: String = text
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect();
    out.push_str(if width == 0 { "" } else { theme.glyphs.ellipsis });
    out
}

/// Cluster and mode on the left, freshness on the right.
fn first(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = &model.look.theme;
    let fresh = freshness(model, area.width);
    let right_width: usize = fresh.iter().map(Span::width).sum();
    let (word, why, role) = mode(model);
    let shape = shape(word, theme);
    let mode = format!(" {shape} {word} ");
    let room = (area.width as usize).saturating_sub(right_width + mode.width() + 5);
    let banner = model.look.banner(context(model));
    let context = cut(context(model), room.max(6), theme);
    let left = room.saturating_sub(context.width());
    let mut spans =
        vec![Span::styled(format!(" {context} "), banner), Span::raw(" "), Span::styled(mode, theme.style(role))];
    if left > 8 && !why.is_empty() {
        spans.push(Span::styled(format!(" {}", cut(&why, left - 1, theme)), theme.style(Role::Warning)));
    }
    frame.buffer_mut().set_line(area.x, area.y, &Line::from(spans), area.width);
    let x = area.right().saturating_sub(right_width as u16 + 1).max(area.x);
    frame.buffer_mut().set_line(x, area.y, &Line::from(fresh), right_width as u16);
}

/// The cluster by its context; before the first connection the one that is being tried, if it is known.
fn context(model: &Model) -> &str {
    match (&*model.world.snapshot.cluster.context, &model.world.link) {
        ("", Link::Connecting { context }) => context,
        ("", _) => "no cluster",
        (context, _) => context,
    }
}

/// The mode's word, why it stands still, and its colour. The strongest brake is named.
fn mode(model: &Model) -> (&'static str, String, Role) {
    let brakes = &model.world.brakes;
    if let Link::Replay { of, speed, paused } = &model.world.link {
        let word = if *paused { "REPLAY PAUSED" } else { "REPLAY" };
        return (word, format!("{of}, {speed}x, {}", model.now.format("%d %b %H:%M:%S UTC")), Role::ModeObserve);
    }
    let text = |t: &Option<std::sync::Arc<str>>| t.as_deref().unwrap_or_default().to_owned();
    if model.ending {
        return ("ENDING", String::new(), Role::ModeManual);
    }
    if brakes.killed.is_some() {
        return ("KILLED", text(&brakes.killed), Role::ModeKilled);
    }
    if brakes.read_only.is_some() {
        return ("READ-ONLY", text(&brakes.read_only), Role::ModeObserve);
    }
    match model.world.mode {
        Mode::Observe => ("OBSERVE", String::new(), Role::ModeObserve),
        Mode::Manual => ("MANUAL", String::new(), Role::ModeManual),
        Mode::Step => ("STEP", String::new(), Role::ModeStep),
        Mode::Auto if brakes.paused => ("AUTO PAUSED", String::new(), Role::ModeManual),
        Mode::Auto if brakes.held.is_some() => ("AUTO HELD", text(&brakes.held), Role::ModeStep),
        Mode::Auto if !brakes.lease.is_mine() => ("AUTO HELD", format!("Lease: {}", brakes.lease), Role::ModeStep),
        Mode::Auto => ("AUTO", unconfirmed(model).unwrap_or_default(), Role::ModeAuto),
    }
}

/// When the time is nearly over in which somebody must say that they are there.
fn unconfirmed(model: &Model) -> Option<String> {
    let left = model.world.brakes.confirm_by? - model.now;
    let key = model.look.keymap.key(CommandId::Confirm);
    (left < TimeDelta::hours(1)).then(|| format!("confirm with {key} within {}", short(left)))
}

/// A shape per mode, for those who don't see the colours.
fn shape(word: &str, theme: &Theme) -> &'static str {
    let (unicode, ascii) = match word {
        "OBSERVE" => ("○", "o"),
        "READ-ONLY" => ("□", "-"),
        "STEP" | "REPLAY" => ("▷", ">"),
        "AUTO" => ("◆", "*"),
        "AUTO PAUSED" => ("◇", "="),
        "AUTO HELD" => ("▲", "!"),
        "KILLED" => ("✖", "x"),
        _ => ("■", "#"),
    };
    if theme.glyphs.ascii { ascii } else { unicode }
}

fn link(model: &Model) -> Option<Span<'static>> {
    let theme = &model.look.theme;
    match &model.world.link {
        Link::Connecting { .. } => Some(Span::styled(" CONNECTING ", theme.style(Role::Warning))),
        Link::Broken { .. } => Some(Span::styled(" DISCONNECTED ", theme.style(Role::Critical))),
        Link::Connected if matches!(model.world.snapshot.api.state, SourceState::Failed { .. }) => {
            Some(Span::styled(" DISCONNECTED ", theme.style(Role::Critical)))
        }
        Link::Connected | Link::Replay { .. } => None,
    }
}

/// `api 2s · pods 5s · prom 12s`: how old what is shown is.
///
/// What cannot be trusted says so: `stale` was silent for too long, `lost` answers no more. On narrow terminals
/// pods are left out where the API server tells the same, so that the cluster's name stays readable.
fn freshness(model: &Model, width: u16) -> Vec<Span<'static>> {
    let theme = &model.look.theme;
    let snapshot = &model.world.snapshot;
    let fresh = |state: &SourceState| state.is_fresh(model.now, model.stale_after);
    let mut parts = vec![("api", &snapshot.api.state), ("pods", snapshot.source("pods"))];
    if width < 80 && !fresh(parts[0].1) && !fresh(parts[1].1) {
        parts.pop();
    }
    parts.push(("prom", &snapshot.metrics.state));
    let mut spans = Vec::new();
    for (i, (name, state)) in parts.into_iter().enumerate() {
        if i > 0 {
            spans.push(Span::styled(if theme.glyphs.ascii { " - " } else { " · " }, theme.style(Role::Muted)));
        }
        let fresh = fresh(state);
        let text = match state {
            SourceState::Live { last } if fresh => age(model.now, *last),
            SourceState::Live { last } => format!("stale {}", age(model.now, *last)),
            SourceState::Failed { last: Some(last), .. } => format!("lost {}", age(model.now, *last)),
            SourceState::Failed { last: None, .. } => "failed".to_owned(),
            SourceState::Syncing { .. } => "syncing".to_owned(),
            SourceState::Denied { .. } => "denied".to_owned(),
            SourceState::NotServed => "none".to_owned(),
            SourceState::Unknown => "?".to_owned(),
        };
        spans.push(Span::styled(format!("{name} {text}"), theme.style(if fresh { Role::Good } else { Role::Stale })));
    }
    spans
}

/// Panes with their keys, whether the link is down, and how many proposals wait.
fn tabs(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = &model.look.theme;
    let mut right: Vec<Span> = link(model).into_iter().collect();
    let pending = model.world.pending();
    if pending > 0 {
        let waiting = format!(" {} {pending} pending ", theme.glyphs.warning);
        right.push(Span::styled(waiting, theme.style(Role::Warning)));
    }
    let right_width: usize = right.iter().map(Span::width).sum();
    let room = (area.width as usize).saturating_sub(right_width + 1);
    let keys: Vec<String> = model.panes.iter().map(|p| go_key(model, p.id())).collect();
    let mut names: Vec<&str> = model.panes.iter().map(|p| p.id().as_str()).collect();
    // Where there is no room for all names, the last ones go first; the focused one keeps its own.
    for i in (0..names.len()).rev().filter(|i| *i != model.focus) {
        let used: usize =
            names.iter().zip(&keys).map(|(n, k)| n.len() + k.len() + usize::from(!k.is_empty()) + 2).sum();
        if used <= room + 1 {
            break;
        }
        names[i] = "";
    }
    let mut spans = vec![Span::raw(" ")];
    for (i, (name, key)) in names.into_iter().zip(keys).enumerate() {
        let style = theme.style(if i == model.focus { Role::Selection } else { Role::Text });
        if !key.is_empty() {
            spans.push(Span::styled(format!("{key} "), theme.style(Role::Key)));
        }
        spans.push(Span::styled(name.to_owned(), style));
        spans.push(Span::raw("  "));
    }
    frame.buffer_mut().set_line(area.x, area.y, &Line::from(spans), room as u16);
    let x = area.right().saturating_sub(right_width as u16);
    frame.buffer_mut().set_line(x, area.y, &Line::from(right), right_width as u16);
}

/// The key that focuses a pane. `help` is the name of a command too, but of one that opens a layer.
fn go_key(model: &Model, pane: PaneId) -> String {
    CommandId::by_name(pane.as_str())
        .filter(|id| *id != CommandId::Help)
        .map_or_else(String::new, |id| model.look.keymap.key(id))
}

/// Where the focused pane is, and what it shows only.
fn trail(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = &model.look.theme;
    let filter = model.pane().filter();
    let mut spans = vec![Span::styled(format!(" {}", model.pane().trail()), theme.style(Role::Title))];
    if !filter.is_empty() {
        spans.push(Span::styled(format!("  filter: {filter}"), theme.style(Role::Match)));
        if let Some(why) = Filter::parse(filter).problem() {
            spans.push(Span::styled(format!("  {why}"), theme.style(Role::Bad)));
        }
    }
    frame.buffer_mut().set_line(area.x, area.y, &Line::from(spans), area.width);
}
