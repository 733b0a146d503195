//! The Help pane: the whole key reference, to scroll and filter.

use super::command::{CommandId, PaneId};
use super::effect::{Effect, Target};
use super::keyref::{Format, reference};
use super::keys::Keymap;
use super::pane::{Ctx, Pane};
use super::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;

/// Lines of a page; the pane does not know its height when it scrolls.
const PAGE: usize = 10;

/// The key reference with a place in it.
#[derive(Debug)]
pub struct Help {
    lines: Vec<String>,
    filter: String,
    top: usize,
}

impl Help {
    /// The reference of a keymap, from its first line.
    pub fn new(keymap: &Keymap) -> Self {
        let lines = reference(keymap, Format::Text).lines().map(str::to_owned).collect();
        Self { lines, filter: String::new(), top: 0 }
    }

    /// Lines that contain all words of the filter; headings go when there is one.
    fn shown(&self) -> impl Iterator<Item = &String> {
        let words: Vec<String> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        self.lines.iter().filter(move |l| {
            let line = l.to_lowercase();
            words.iter().all(|w| line.contains(w)) && (words.is_empty() || l.starts_with(' '))
        })
    }
}

impl Pane for Help {
    fn id(&self) -> PaneId {
        PaneId::Help
    }

    fn sync(&mut self, _ctx: &Ctx) {}

    fn run(&mut self, command: CommandId, _ctx: &Ctx) -> Vec<Effect> {
        let last = self.shown().count().saturating_sub(1);
        if let Some(top) = super::layers::moved(Some(command), self.top, last + 1, PAGE) {
            self.top = top;
        }
        Vec::new()
    }

    fn why_not(&self, command: CommandId, _ctx: &Ctx) -> Option<String> {
        match command {
            CommandId::Open | CommandId::Sort | CommandId::SortReverse => Some("help has nothing to do here".into()),
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        for (row, line) in self.shown().skip(self.top).take(area.height as usize).enumerate() {
            let role = if line.starts_with(' ') { Role::Text } else { Role::Title };
            let y = area.y + row as u16;
            frame.buffer_mut().set_stringn(area.x + 1, y, line, area.width as usize - 1, ctx.theme.style(role));
            if line.starts_with(' ') {
                let keys: String = line.chars().take(22).collect();
                frame.buffer_mut().set_stringn(
                    area.x + 1,
                    y,
                    keys,
                    area.width as usize - 1,
                    ctx.theme.style(Role::Key),
                );
            }
        }
    }

    fn trail(&self) -> String {
        "help".into()
    }

    fn filter(&self) -> &str {
        &self.filter
    }

    fn set_filter(&mut self, filter: String, _ctx: &Ctx) {
        self.filter = filter;
        self.top = 0;
    }

    fn go(&mut self, _target: &Target, _ctx: &Ctx) -> bool {
        false
    }

    fn copy(&self) -> Option<String> {
        self.shown().nth(self.top).map(|l| l.trim().to_owned())
    }
}
