//! A question before something dangerous. Cancel has the focus; a held key never answers.

use super::{Env, Layer, Press, Reply, Said, edit, input_line, leaves, popup};
use crate::autopilot::world::Level;
use crate::console::effect::{Effect, Question};
use crate::console::theme::Role;
use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Paragraph, Wrap};
use tui_input::Input;
use unicode_width::UnicodeWidthStr as _;

/// The question with the state of its answer.
#[derive(Debug)]
pub struct QuestionLayer {
    question: Question,
    /// Whether Yes has the focus rather than Cancel.
    yes: bool,
    input: Input,
}

impl QuestionLayer {
    /// A question with Cancel in focus and nothing typed.
    pub fn new(question: Question) -> Self {
        Self { question, yes: false, input: Input::default() }
    }

    /// Yes, once what must be typed has been typed.
    fn confirm(&self) -> Reply {
        match &self.question.typed {
            Some(typed) if self.input.value().trim() != typed => Reply::Stay(Vec::new()),
            _ => Reply::Close(vec![(*self.question.then).clone()]),
        }
    }
}

impl Layer for QuestionLayer {
    fn key(&mut self, press: &Press, _env: &Env) -> Reply {
        if leaves(press.chord) {
            return Reply::Close(Vec::new());
        }
        if press.held
            && !(self.question.typed.is_some() && matches!(press.chord.code, KeyCode::Char(_) | KeyCode::Backspace))
        {
            return Reply::Ignored;
        }
        if self.question.typed.is_some() {
            if press.chord.code == KeyCode::Enter {
                return self.confirm();
            }
            edit(&mut self.input, press);
            return Reply::Stay(Vec::new());
        }
        match press.chord.code {
            KeyCode::Char('y') if press.chord.modifiers == KeyModifiers::NONE => return self.confirm(),
            KeyCode::Char('n' | 'q') => return Reply::Close(Vec::new()),
            KeyCode::Enter if self.yes => return self.confirm(),
            KeyCode::Enter => return Reply::Close(Vec::new()),
            KeyCode::Left | KeyCode::Right | KeyCode::Tab | KeyCode::BackTab => self.yes = !self.yes,
            _ => return Reply::Ignored,
        }
        Reply::Stay(Vec::new())
    }

    fn paste(&mut self, text: &str) -> Reply {
        // What must be typed shall be typed: a name pasted without reading is no check.
        let _ = text;
        Reply::Ignored
    }

    fn say(&self, _env: &Env) -> Said {
        let how = match &self.question.typed {
            Some(typed) => format!("type {typed} to confirm; anything else is no"),
            None => "type yes to confirm; anything else is no".to_owned(),
        };
        let title = std::iter::once(self.question.title.clone());
        Said::Asks(title.chain(self.question.body.iter().cloned()).chain([how]).collect())
    }

    fn answer(&mut self, line: &str) -> Reply {
        let word = self.question.typed.as_deref().unwrap_or("yes");
        let no = || Effect::Note(Level::Info, "not confirmed; nothing was done".into());
        Reply::Close(vec![if line == word { (*self.question.then).clone() } else { no() }])
    }

    fn view(&self, frame: &mut Frame, area: Rect, env: &Env) {
        let body: Vec<Line> = self.question.body.iter().map(|l| Line::raw(l.as_str())).collect();
        let widest = self.question.body.iter().map(|l| l.width()).chain([self.question.title.width(), 40]).max();
        let width = (widest.unwrap_or(40) as u16 + 4).min(area.width.saturating_sub(4));
        let text = Paragraph::new(Text::from(body)).wrap(Wrap { trim: false });
        let lines = wrapped_height(&self.question.body, width.saturating_sub(2));
        let inside = popup(frame, area, width, lines + 5, &self.question.title, env.theme);
        let foot = inside.bottom().saturating_sub(1);
        frame.render_widget(text, Rect { height: inside.height.saturating_sub(2), ..inside });
        let line = Rect { y: foot, height: 1, ..inside };
        if let Some(typed) = &self.question.typed {
            input_line(frame, line, &format!("type {typed} to confirm: "), &self.input, env.theme);
        } else {
            let style = |on| env.theme.style(if on { Role::Selection } else { Role::Text });
            let mark = |on| if on { env.theme.glyphs.cursor } else { " " };
            let buttons = Line::from(vec![
                Span::styled(format!("{} Cancel ", mark(!self.yes)), style(!self.yes)),
                Span::raw("   "),
                Span::styled(format!("{} Yes (y) ", mark(self.yes)), style(self.yes)),
            ]);
            frame.render_widget(buttons, line);
        }
    }

    fn hints(&self) -> Vec<(String, String)> {
        let pairs: &[(&str, &str)] = if self.question.typed.is_some() {
            &[("enter", "confirm what was typed"), ("esc", "cancel")]
        } else {
            &[("y", "yes"), ("tab", "choose"), ("enter", "the chosen"), ("esc", "cancel")]
        };
        pairs.iter().map(|(k, w)| ((*k).to_owned(), (*w).to_owned())).collect()
    }
}

/// Lines a text takes when wrapped at `width`; words make it at most one more a line.
fn wrapped_height(lines: &[String], width: u16) -> u16 {
    lines.iter().map(|l| (l.width() as u16).div_ceil(width.max(1)).max(1) + u16::from(l.width() as u16 > width)).sum()
}
