//! A short list to choose one thing from.

use super::{Env, Layer, Press, Reply, Said, leaves, moved, popup, window};
use crate::autopilot::world::Level;
use crate::console::command::CommandId;
use crate::console::effect::Effect;
use crate::console::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

/// A menu.
#[derive(Debug)]
pub struct Menu {
    title: String,
    items: Vec<(String, Effect)>,
    at: usize,
    /// The line that was under the cursor at first.
    first: usize,
}

impl Menu {
    /// A menu with line `at` under the cursor, or the last if there are fewer.
    pub fn new(title: String, items: Vec<(String, Effect)>, at: usize) -> Self {
        let at = at.min(items.len().saturating_sub(1));
        Self { at, first: at, title, items }
    }

    /// Themes are seen before they are chosen: what moving onto a line, or leaving, does at once.
    fn preview(&self, at: usize) -> Vec<Effect> {
        let theme = |(_, e): &&(String, Effect)| matches!(e, Effect::Theme(_));
        self.items.get(at).filter(theme).map(|(_, e)| e.clone()).into_iter().collect()
    }

    /// Leaves without a choice: what was there at first comes back.
    fn leave(&self) -> Reply {
        Reply::Close(if self.at == self.first { Vec::new() } else { self.preview(self.first) })
    }
}

impl Layer for Menu {
    fn key(&mut self, press: &Press, env: &Env) -> Reply {
        if leaves(press.chord) {
            return self.leave();
        }
        let command = env.command(press.chord);
        if let Some(at) = moved(command, self.at, self.items.len(), 10) {
            self.at = at;
            return Reply::Stay(self.preview(at));
        }
        match command {
            // A held key must not run down a chain of menus and questions.
            Some(CommandId::Open) if !press.held => {
                Reply::Close(self.items.get(self.at).map(|(_, e)| e.clone()).into_iter().collect())
            }
            Some(CommandId::Back) => self.leave(),
            _ => Reply::Ignored,
        }
    }

    fn say(&self, _env: &Env) -> Said {
        let now = |i| if i == self.first { ", the present one" } else { "" };
        let line = |(i, (label, _)): (usize, &(String, Effect))| {
            let words: Vec<&str> = label.split_whitespace().collect();
            format!("{}: {}{}", i + 1, words.join(" "), now(i))
        };
        let head = format!("{}: type a number, or nothing to leave", self.title);
        Said::Asks(std::iter::once(head).chain(self.items.iter().enumerate().map(line)).collect())
    }

    fn answer(&mut self, line: &str) -> Reply {
        match line.parse::<usize>().ok().and_then(|n| self.items.get(n.checked_sub(1)?)) {
            Some((_, effect)) => Reply::Close(vec![effect.clone()]),
            None if line.is_empty() => Reply::Close(Vec::new()),
            None => {
                let what = format!("{line:?} is none of 1 to {}", self.items.len());
                Reply::Stay(vec![Effect::Note(Level::Warning, what)])
            }
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, env: &Env) {
        let width = self.items.iter().map(|(l, _)| l.width()).chain([self.title.width()]).max().unwrap_or(0) as u16;
        let inside = popup(frame, area, width + 6, self.items.len() as u16 + 2, &self.title, env.theme);
        let top = window(self.at, self.items.len(), inside.height as usize);
        for (row, (i, (label, _))) in self.items.iter().enumerate().skip(top).take(inside.height as usize).enumerate() {
            let y = inside.y + row as u16;
            let chosen = i == self.at;
            let style = env.theme.style(if chosen { Role::Selection } else { Role::Text });
            let mark = if chosen { env.theme.glyphs.cursor } else { " " };
            let line = format!("{mark} {label:<width$}", width = inside.width as usize);
            frame.buffer_mut().set_stringn(inside.x, y, line, inside.width as usize, style);
        }
    }

    fn hints(&self) -> Vec<(String, String)> {
        [("enter", "choose"), ("esc", "cancel")].map(|(k, w)| (k.into(), w.into())).into()
    }
}
