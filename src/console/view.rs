//! One frame: header, pane, footer, and the layers over them. Pure: reads the model, draws cells.

use super::app::Model;
use super::keys::Found;
use super::layers::boxed;
use super::theme::Role;
use super::{footer, header, layers};
use crate::autopilot::world::Link;
use crate::config::chord::written;
use crate::model::time::short;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr as _;

/// Least width and height that show everything that must always be seen.
pub const LEAST: (u16, u16) = (60, 15);

/// Draws the whole console.
pub fn view(model: &Model, frame: &mut Frame) {
    let area = frame.area();
    frame.buffer_mut().set_style(area, model.look.theme.style(Role::Text));
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(frame, area);
        return;
    }
    let trail = !(model.pane().trail().is_empty() && model.pane().filter().is_empty());
    let head = if trail && area.height >= 20 { 3 } else { 2 };
    let trouble = u16::from(matches!(model.world.link, Link::Broken { .. }));
    let [top, notice, body, bottom] = Layout::vertical([
        Constraint::Length(head),
        Constraint::Length(trouble),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    header::view(model, frame, top);
    if trouble > 0 {
        broken(model, frame, notice);
    }
    model.pane().view(frame, body, &model.ctx());
    footer::view(model, frame, bottom);
    let over = Rect { y: top.bottom(), height: bottom.bottom() - top.bottom(), ..area };
    for layer in &model.layers {
        // Prompts take the footer's line; everything else stays above it.
        let room = Rect { height: over.height - 1, ..over };
        let whole = if layer.hints().is_empty() { over } else { room };
        layer.view(frame, whole, &model.env());
    }
    if model.offer {
        layers::tour::offer(frame, body, &model.env());
    }
    if !model.typed.is_empty() {
        which_key(model, frame, body);
    }
    if model.look.theme.glyphs.ascii {
        spell(frame.buffer_mut());
    }
}

/// Signs that sentences use, in ASCII. Names from the cluster stay as they are: they must be recognised.
fn spell(buffer: &mut ratatui::buffer::Buffer) {
    for cell in &mut buffer.content {
        let plain = match cell.symbol() {
            "×" => "x",
            "…" => "~",
            "→" | "›" => ">",
            "·" | "–" | "—" => "-",
            "≥" => ">",
            "≤" => "<",
            _ => continue,
        };
        cell.set_symbol(plain);
    }
}

fn too_small(frame: &mut Frame, area: Rect) {
    let text = format!(
        "kansole needs {}×{}, this is {}×{}. Make the window larger, or press q.",
        LEAST.0, LEAST.1, area.width, area.height
    );
    frame.render_widget(Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: true }), area);
}

/// Why there is no connection, and when it is tried again.
fn broken(model: &Model, frame: &mut Frame, area: Rect) {
    let Link::Broken { why, retry } = &model.world.link else { return };
    let next = retry.map_or_else(
        || format!(" · {} tries again", model.look.keymap.key(super::command::CommandId::Contexts)),
        |at| format!(" · next try in {}", short(at.signed_duration_since(model.now))),
    );
    let room = (area.width as usize).saturating_sub(next.width() + 1);
    let line = Line::from(vec![Span::raw(format!(" {}", header::cut(why, room, &model.look.theme))), Span::raw(next)]);
    frame.render_widget(line.style(model.look.theme.style(Role::Bad)), area);
}

/// What may follow the keys typed so far.
fn which_key(model: &Model, frame: &mut Frame, body: Rect) {
    let Found::Prefix(follow) = model.look.keymap.find(model.pane_id(), &model.typed) else { return };
    let wide = follow.iter().map(|(k, t)| k.width() + t.width() + 3).max().unwrap_or(0).max(12) as u16 + 2;
    let height = (follow.len() as u16 + 2).min(body.height);
    let area =
        Rect { x: body.right().saturating_sub(wide + 1), y: body.bottom().saturating_sub(height), width: wide, height };
    let inside = boxed(frame, area, &written(&model.typed), &model.look.theme);
    for (row, (keys, title)) in follow.iter().take(inside.height as usize).enumerate() {
        let line = Line::from(vec![
            Span::styled(format!("{keys} "), model.look.theme.style(Role::Key)),
            Span::raw((*title).to_owned()),
        ]);
        frame.buffer_mut().set_line(inside.x, inside.y + row as u16, &line, inside.width);
    }
}
