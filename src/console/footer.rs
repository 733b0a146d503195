//! The footer: the newest message for a while, else the keys that work here, from the registry.

use super::app::Model;
use super::command::{CommandId, Scope};
use super::header::cut;
use super::theme::Role;
use crate::autopilot::world::Level;
use crate::config::chord::written;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

/// Always at the right end.
const ALWAYS: [CommandId; 3] = [CommandId::Palette, CommandId::Help, CommandId::Quit];

/// Commands of every list that are worth a hint; moving is not.
const LIST: [CommandId; 4] = [CommandId::Open, CommandId::Filter, CommandId::Sort, CommandId::Copy];

/// One hint: key, title, and whether it works now.
struct Hint(String, String, bool);

/// Draws the footer into one row.
pub fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = &model.look.theme;
    frame.buffer_mut().set_style(area, theme.style(Role::Bar));
    // A message gets the whole line.
    let always = if model.layers.is_empty() && model.flash.is_none() { hints(model, &ALWAYS) } else { Vec::new() };
    let right: usize = always.iter().map(width).sum();
    let room = (area.width as usize).saturating_sub(right);
    if let Some((message, _)) = &model.flash {
        let (role, glyph) = match message.level {
            Level::Info => (Role::Good, theme.glyphs.good),
            Level::Warning => (Role::Warning, theme.glyphs.warning),
            Level::Error => (Role::Bad, theme.glyphs.bad),
        };
        let mut text = format!(" {glyph} {}", message.text);
        if text.width() > room {
            // The whole of it is in the history.
            let more = format!(" ({})", model.look.keymap.key(CommandId::Messages));
            text = cut(&text, room.saturating_sub(more.width()), theme) + &more;
        }
        frame.buffer_mut().set_stringn(area.x, area.y, text, room, theme.style(role));
    } else if model.typed.is_empty() {
        draw(model, frame, Rect { width: room as u16, ..area }, here(model));
    } else {
        let text = format!(" {} {}", written(&model.typed), theme.glyphs.ellipsis);
        frame.buffer_mut().set_stringn(area.x, area.y, text, room, theme.style(Role::Key));
    }
    let x = area.right().saturating_sub(right as u16);
    draw(model, frame, Rect { x, width: right as u16, ..area }, always);
}

fn width(hint: &Hint) -> usize {
    hint.0.width() + hint.1.width() + 3
}

/// Hints of the top layer, or of the focused pane.
fn here(model: &Model) -> Vec<Hint> {
    if let Some(layer) = model.layers.last() {
        return layer.hints().into_iter().map(|(key, what)| Hint(key, what, true)).collect();
    }
    let own: Vec<CommandId> = model.known().filter(|id| matches!(id.spec().scope, Scope::Pane(_))).collect();
    let mut all = hints(model, &own);
    all.extend(hints(model, &LIST));
    all
}

fn hints(model: &Model, ids: &[CommandId]) -> Vec<Hint> {
    ids.iter()
        .map(|id| Hint(model.look.keymap.key(*id), id.spec().title.to_owned(), model.why_not(*id).is_none()))
        .filter(|h| !h.0.is_empty())
        .collect()
}

/// Draws hints as long as they fit whole; those that don't work now are faint.
fn draw(model: &Model, frame: &mut Frame, area: Rect, hints: Vec<Hint>) {
    let theme = &model.look.theme;
    let mut x = area.x;
    for hint in hints {
        let wide = width(&hint) as u16;
        if x + wide > area.right() {
            return;
        }
        let key = theme.style(if hint.2 { Role::Key } else { Role::Muted });
        let title = theme.style(if hint.2 { Role::Text } else { Role::Muted });
        let line =
            Line::from(vec![Span::raw(" "), Span::styled(hint.0, key), Span::raw(" "), Span::styled(hint.1, title)]);
        frame.buffer_mut().set_line(x, area.y, &line, wide);
        x += wide;
    }
}
