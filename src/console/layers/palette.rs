//! The command palette: every command, pane, context and theme by fuzzy search.

use super::{Env, Layer, Press, Reply, Said, edit, input_line, insert, leaves, popup, window};
use crate::console::command::CommandId;
use crate::console::effect::Effect;
use crate::console::header::cut;
use crate::console::theme::Role;
use crossterm::event::{KeyCode, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use tui_input::Input;

/// One thing to choose.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is matched and shown.
    pub name: String,
    /// One sentence.
    pub doc: String,
    /// Its key, if it has one.
    pub key: String,
    /// Why it can't be done now.
    pub why_not: Option<String>,
    /// What choosing it leads to.
    pub then: Effect,
}

/// The palette.
#[derive(Debug)]
pub struct Palette {
    entries: Vec<Entry>,
    input: Input,
    /// Indices of entries that match, best first.
    found: Vec<usize>,
    at: usize,
}

impl Palette {
    /// A palette with nothing typed: all entries in their order.
    pub fn new(entries: Vec<Entry>) -> Self {
        let found = (0..entries.len()).collect();
        Self { entries, input: Input::default(), found, at: 0 }
    }

    fn filter(&mut self) {
        self.at = 0;
        let pattern = Pattern::parse(self.input.value(), CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, usize)> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(i, e)| {
                // A hit in the name counts twice as much as one in the sentence.
                let name = pattern.score(Utf32Str::new(&e.name, &mut buffer), &mut matcher).map(|s| s * 2);
                let doc = pattern.score(Utf32Str::new(&e.doc, &mut buffer), &mut matcher);
                name.max(doc).map(|s| (s, i))
            })
            .collect();
        // What can be done now comes first.
        scored.sort_by_key(|(score, i)| (self.entries[*i].why_not.is_some(), std::cmp::Reverse(*score), *i));
        self.found = scored.into_iter().map(|(_, i)| i).collect();
    }

    fn chosen(&self) -> Option<&Entry> {
        self.found.get(self.at).map(|i| &self.entries[*i])
    }
}

impl Layer for Palette {
    fn key(&mut self, press: &Press, _env: &Env) -> Reply {
        if leaves(press.chord) {
            return Reply::Close(Vec::new());
        }
        let control = press.chord.modifiers == KeyModifiers::CONTROL;
        let step = match press.chord.code {
            KeyCode::Up => Some(CommandId::Up),
            KeyCode::Down => Some(CommandId::Down),
            KeyCode::Char('p') if control => Some(CommandId::Up),
            KeyCode::Char('n') if control => Some(CommandId::Down),
            KeyCode::PageUp => Some(CommandId::PageUp),
            KeyCode::PageDown => Some(CommandId::PageDown),
            _ => None,
        };
        if let Some(at) = super::moved(step, self.at, self.found.len(), 10) {
            self.at = at;
            return Reply::Stay(Vec::new());
        }
        if press.chord.code == KeyCode::Enter {
            return match self.chosen() {
                Some(entry) if !press.held && entry.why_not.is_none() => Reply::Close(vec![entry.then.clone()]),
                _ => Reply::Stay(Vec::new()),
            };
        }
        if edit(&mut self.input, press) {
            self.filter();
        }
        Reply::Stay(Vec::new())
    }

    fn paste(&mut self, text: &str) -> Reply {
        insert(&mut self.input, text);
        self.filter();
        Reply::Stay(Vec::new())
    }

    fn say(&self, _env: &Env) -> Said {
        let can = self.entries.iter().filter(|e| e.why_not.is_none());
        Said::Told(can.map(|e| format!("{}: {}", e.name, e.doc)).collect())
    }

    fn view(&self, frame: &mut Frame, area: Rect, env: &Env) {
        let height = (self.entries.len() as u16 + 4).min(20);
        let inside = popup(frame, area, 104, height, "commands", env.theme);
        input_line(frame, Rect { height: 1, ..inside }, "> ", &self.input, env.theme);
        let rows = inside.height.saturating_sub(2) as usize;
        let top = window(self.at, self.found.len(), rows);
        for (row, i) in self.found.iter().enumerate().skip(top).take(rows) {
            let entry = &self.entries[*i];
            let y = inside.y + 2 + (row - top) as u16;
            let chosen = row == self.at;
            let mark = if chosen { env.theme.glyphs.cursor } else { " " };
            let said = entry.why_not.as_ref().map_or_else(|| entry.doc.clone(), |why| format!("not now: {why}"));
            let said = cut(&said, (inside.width as usize).saturating_sub(31), env.theme);
            let (name, role) =
                if entry.why_not.is_none() { (Role::Text, Role::Muted) } else { (Role::Muted, Role::Warning) };
            let (name, doc) = (env.theme.style(name), Span::styled(said, env.theme.style(role)));
            let line = Line::from(vec![
                Span::raw(format!("{mark} ")),
                Span::styled(format!("{:<18} ", entry.name), name),
                Span::styled(format!("{:<9} ", entry.key), env.theme.style(Role::Key)),
                doc,
            ]);
            let area = Rect { y, height: 1, ..inside };
            frame.buffer_mut().set_line(area.x, y, &line, area.width);
            if chosen {
                frame.buffer_mut().set_style(area, env.theme.style(Role::Selection));
            }
        }
    }

    fn hints(&self) -> Vec<(String, String)> {
        [("up/down", "choose"), ("enter", "run"), ("esc", "close")].map(|(k, w)| (k.into(), w.into())).into()
    }
}
