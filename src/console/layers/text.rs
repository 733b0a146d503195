//! A text to read: YAML, logs, messages, help. Scrolls, searches, wraps, copies.

use super::{Env, Layer, Press, Reply, boxed, leaves, skip_columns};
use crate::console::command::CommandId;
use crate::console::effect::{Effect, Prompt, Purpose};
use crate::console::theme::Role;
use crate::model::text::clean_lines;
use crossterm::event::KeyCode;
use ratatui::Frame;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthChar as _;

/// A text with a place in it.
#[derive(Debug)]
pub struct Text {
    title: String,
    lines: Vec<String>,
    top: usize,
    left: usize,
    wrap: bool,
    /// Words searched for, in lower case; empty: none.
    words: String,
}

impl Text {
    /// A text from its first line on; unsafe characters are removed.
    pub fn new(title: String, text: &str) -> Self {
        let lines = clean_lines(text).lines().map(str::to_owned).collect();
        Self { title, lines, top: 0, left: 0, wrap: false, words: String::new() }
    }

    /// The same, from its end: for logs.
    #[must_use]
    pub fn at_end(mut self, height: u16) -> Self {
        self.top = self.lines.len().saturating_sub(usize::from(height));
        self
    }

    fn page(env: &Env) -> usize {
        usize::from(env.size.1).saturating_sub(6).max(1)
    }

    fn find(&mut self, forward: bool) {
        if self.words.is_empty() {
            return;
        }
        let hit = |i: &usize| self.lines[*i].to_lowercase().contains(&self.words);
        let found = if forward {
            (self.top + 1..self.lines.len()).chain(0..=self.top).find(hit)
        } else {
            (0..self.top).rev().chain((self.top..self.lines.len()).rev()).find(hit)
        };
        if let Some(line) = found {
            self.top = line;
        }
    }
}

impl Layer for Text {
    fn key(&mut self, press: &Press, env: &Env) -> Reply {
        if leaves(press.chord) {
            return Reply::Close(Vec::new());
        }
        let page = Self::page(env);
        let last = self.lines.len().saturating_sub(page);
        match press.chord.code {
            KeyCode::Char('w') => self.wrap = !self.wrap,
            KeyCode::Char('n') => self.find(true),
            KeyCode::Char('N') => self.find(false),
            KeyCode::Char('g') => self.top = 0,
            // Here one key is enough, also where the keymap has a sequence.
            KeyCode::Char('y') => return Reply::Stay(vec![Effect::Copy(self.lines.join("\n"))]),
            KeyCode::Left => self.left = self.left.saturating_sub(10),
            KeyCode::Right => self.left += 10,
            _ => match env.command(press.chord) {
                Some(CommandId::Up) => self.top = self.top.saturating_sub(1),
                Some(CommandId::Down) => self.top = (self.top + 1).min(last.max(self.top)),
                Some(CommandId::PageUp) => self.top = self.top.saturating_sub(page),
                Some(CommandId::PageDown) => self.top = (self.top + page).min(last),
                Some(CommandId::Top) => self.top = 0,
                Some(CommandId::Bottom) => self.top = last,
                Some(CommandId::Copy) => return Reply::Stay(vec![Effect::Copy(self.lines.join("\n"))]),
                Some(CommandId::Filter) => {
                    let (label, initial) = ("search: ".into(), self.words.clone());
                    return Reply::Stay(vec![Effect::Prompt(Prompt { label, initial, purpose: Purpose::Search })]);
                }
                Some(CommandId::Back | CommandId::Quit) => return Reply::Close(Vec::new()),
                _ => return Reply::Ignored,
            },
        }
        Reply::Stay(Vec::new())
    }

    fn search(&mut self, words: &str) {
        self.words = words.to_lowercase();
        if !self.lines.get(self.top).is_some_and(|l| l.to_lowercase().contains(&self.words)) {
            self.find(true);
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, env: &Env) {
        let hits = if self.words.is_empty() {
            String::new()
        } else {
            let n = self.lines.iter().filter(|l| l.to_lowercase().contains(&self.words)).count();
            format!(" · {n} lines with {:?}", self.words)
        };
        let place = format!("{} · {}/{}{hits}", self.title, (self.top + 1).min(self.lines.len()), self.lines.len());
        let inside = boxed(frame, area, &place, env.theme);
        let (width, mut y) = (inside.width as usize, inside.y);
        for line in &self.lines[self.top.min(self.lines.len())..] {
            let parts = if self.wrap { wrapped(line, width) } else { vec![skip_columns(line, self.left)] };
            let hit = !self.words.is_empty() && line.to_lowercase().contains(&self.words);
            let style = env.theme.style(if hit { Role::Match } else { Role::Text });
            for part in parts {
                if y >= inside.bottom() {
                    return;
                }
                frame.buffer_mut().set_stringn(inside.x, y, part, width, style);
                y += 1;
            }
        }
    }

    fn hints(&self) -> Vec<(String, String)> {
        [("up/down", "scroll"), ("/", "search"), ("n", "next"), ("w", "wrap"), ("y", "copy"), ("esc", "close")]
            .map(|(k, w)| (k.into(), w.into()))
            .into()
    }
}

/// A line cut into pieces of at most `width` columns.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut used = 0;
    for c in line.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > width.max(2) {
            out.push(String::new());
            used = 0;
        }
        if let Some(last) = out.last_mut() {
            last.push(c);
        }
        used += w;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wrap_by_columns_not_by_bytes() {
        assert_eq!(wrapped("購物車-x", 4), ["購物", "車-x"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}
