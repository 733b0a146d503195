//! Layers over the panes: the top one gets the key first, all are drawn from the bottom up.

pub mod expression;
pub mod menu;
pub mod palette;
pub mod prompt;
pub mod question;
pub mod text;
pub mod tour;

use super::command::{CommandId, PaneId};
use super::effect::Effect;
use super::keys::{Found, Keymap};
use super::promql::Vocabulary;
use super::theme::{Role, Theme};
use crate::autopilot::world::Detail;
use crate::config::chord::Chord;
use crate::model::time::Timestamp;
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::symbols::border;
use ratatui::text::Span;
use ratatui::widgets::{Block, Clear};
use tui_input::Input;
use unicode_width::UnicodeWidthStr as _;

/// A key press as layers see it.
#[derive(Debug, Clone, Copy)]
pub struct Press {
    /// In the normal form of keymaps.
    pub chord: Chord,
    /// As the terminal sent it, for line editing.
    pub event: KeyEvent,
    /// Held down rather than pressed: never confirms anything.
    pub held: bool,
}

/// What a layer may look at.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// Keys.
    pub keymap: &'a Keymap,
    /// Colours and glyphs.
    pub theme: &'a Theme,
    /// Width and height of the terminal.
    pub size: (u16, u16),
    /// Names that expressions may use.
    pub words: &'a Vocabulary,
}

impl Env<'_> {
    /// The command a single key runs in every list.
    pub fn command(&self, chord: Chord) -> Option<CommandId> {
        // No list command is of one pane only, so that any pane will do.
        match self.keymap.find(PaneId::Help, &[chord]) {
            Found::Command(id) => Some(id),
            _ => None,
        }
    }
}

/// What a layer made of a key.
#[derive(Debug, PartialEq)]
pub enum Reply {
    /// Not its key; layers consume all keys, so that nothing below hears it.
    Ignored,
    /// It stays, and this happens.
    Stay(Vec<Effect>),
    /// It goes, and then this happens.
    Close(Vec<Effect>),
}

/// A layer in lines.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// It only tells something: once said, it is over.
    Told(Vec<String>),
    /// It waits for an answer.
    Asks(Vec<String>),
}

/// What would be drawn on an area of this size, in lines without the blanks around them.
pub fn lines((width, height): (u16, u16), view: impl FnOnce(&mut Frame, Rect)) -> Vec<String> {
    let Ok(mut terminal) = ratatui::Terminal::new(ratatui::backend::TestBackend::new(width, height));
    let Ok(drawn) = terminal.draw(|frame| {
        let area = frame.area();
        view(frame, area);
    });
    let rows = drawn.buffer.content.chunks(usize::from(width).max(1));
    rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned())
        .filter(|line| !line.trim().is_empty())
        .collect()
}

/// Something drawn over the panes.
pub trait Layer {
    /// A key for it.
    fn key(&mut self, press: &Press, env: &Env) -> Reply;

    /// Pasted text, already one safe line. Only inputs take it.
    fn paste(&mut self, _text: &str) -> Reply {
        Reply::Ignored
    }

    /// Searches in it; only texts do.
    fn search(&mut self, _words: &str) {}

    /// Takes a newer reading of what it shows; false if it shows something else.
    fn read_again(&mut self, _what: &Detail, _text: &str, _now: Timestamp, _env: &Env) -> bool {
        false
    }

    /// What it says in lines, for `--plain`, and whether the next line typed is its answer.
    fn say(&self, env: &Env) -> Said {
        Said::Told(lines(env.size, |frame, area| self.view(frame, area, env)))
    }

    /// Takes a typed line as its answer, by the same rules as keys; an empty one leaves it.
    fn answer(&mut self, _line: &str) -> Reply {
        Reply::Close(Vec::new())
    }

    /// Draws itself into the screen's area.
    fn view(&self, frame: &mut Frame, area: Rect, env: &Env);

    /// Keys and what they do, for the footer.
    fn hints(&self) -> Vec<(String, String)>;
}

/// Clears a centred box and draws its border; gives the inside.
pub fn popup(frame: &mut Frame, area: Rect, width: u16, height: u16, title: &str, theme: &Theme) -> Rect {
    let width = width.min(area.width.saturating_sub(2)).max(4);
    let height = height.min(area.height.saturating_sub(2)).max(3);
    let x = area.x + (area.width.saturating_sub(width)) / 2;
    let y = area.y + (area.height.saturating_sub(height)) / 2;
    boxed(frame, Rect { x, y, width, height }, title, theme)
}

/// Clears an area and draws a border with a title around it; gives the inside.
pub fn boxed(frame: &mut Frame, area: Rect, title: &str, theme: &Theme) -> Rect {
    let area = area.intersection(frame.area());
    let title = if theme.glyphs.ascii { title.replace('·', "-") } else { title.to_owned() };
    let block = Block::bordered()
        .border_set(borders(theme))
        .border_style(theme.style(Role::Focus))
        .style(theme.style(Role::Text))
        .title(Span::styled(format!(" {title} "), theme.style(Role::Title)));
    let inside = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    inside
}

/// Border characters of the theme.
pub fn borders(theme: &Theme) -> border::Set<'static> {
    if !theme.glyphs.ascii {
        return border::PLAIN;
    }
    border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    }
}

/// Draws a one-line input after its label, with the cursor, scrolled so that the cursor is seen.
pub fn input_line(frame: &mut Frame, area: Rect, label: &str, input: &Input, theme: &Theme) {
    let taken = (label.width() as u16).min(area.width.saturating_sub(4));
    let room = area.width.saturating_sub(taken + 1);
    let scroll = input.visual_scroll(room as usize);
    let (x, y) = (area.x, area.y);
    frame.buffer_mut().set_stringn(x, y, label, taken as usize, theme.style(Role::Title));
    let shown: String = skip_columns(input.value(), scroll);
    frame.buffer_mut().set_stringn(x + taken, y, shown, room as usize, theme.style(Role::Text));
    let column = input.visual_cursor().saturating_sub(scroll) as u16;
    frame.set_cursor_position(Position { x: x + taken + column.min(room), y });
}

/// Text without its first columns.
pub fn skip_columns(text: &str, columns: usize) -> String {
    let mut gone = 0;
    text.chars()
        .skip_while(|c| {
            let skip = gone < columns;
            gone += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
            skip
        })
        .collect()
}

/// Line editing common to all inputs; true if the text changed.
pub fn edit(input: &mut Input, press: &Press) -> bool {
    use tui_input::backend::crossterm::EventHandler as _;
    let before = input.value().to_owned();
    input.handle_event(&crossterm::event::Event::Key(press.event));
    input.value() != before
}

/// Inserts pasted text at the cursor.
pub fn insert(input: &mut Input, text: &str) {
    for c in text.chars() {
        input.handle(tui_input::InputRequest::InsertChar(c));
    }
}

/// Whether a key leaves any layer, whatever the keymap says.
pub fn leaves(chord: Chord) -> bool {
    chord == Chord::plain(KeyCode::Esc)
        || chord == Chord { code: KeyCode::Char('c'), modifiers: crossterm::event::KeyModifiers::CONTROL }
}

/// A selection in a list of `len` lines, moved by a list command; `None` if it is no such command.
pub fn moved(command: Option<CommandId>, at: usize, len: usize, page: usize) -> Option<usize> {
    let last = len.saturating_sub(1);
    Some(match command? {
        CommandId::Up => at.saturating_sub(1),
        CommandId::Down => (at + 1).min(last),
        CommandId::PageUp => at.saturating_sub(page),
        CommandId::PageDown => (at + page).min(last),
        CommandId::Top => 0,
        CommandId::Bottom => last,
        _ => return None,
    })
}

/// First line to show so that `at` is visible in `height` lines.
pub fn window(at: usize, len: usize, height: usize) -> usize {
    at.saturating_sub(height.saturating_sub(1)).min(len.saturating_sub(height))
}
