//! The input for an expression: in the place of the footer, with what may follow and earlier expressions above it.

use super::{Env, Layer, Press, Reply, Said, boxed, edit, input_line, insert, leaves};
use crate::autopilot::world::Detail;
use crate::config::chord::Chord;
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Target};
use crate::console::promql::{Expected, completions, expected};
use crate::console::theme::Role;
use crate::console::widgets::text::{put, width};
use crate::model::query::Wanted;
use crossterm::event::KeyCode;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::Clear;
use std::collections::BTreeSet;
use std::sync::Arc;
use tui_input::Input;

/// Completions that are offered at once.
const OFFERED: usize = 8;

/// An expression as it is typed.
pub struct Expression {
    input: Input,
    /// Earlier ones, newest first.
    history: Vec<String>,
    /// Which of them is shown; `None`: what is being typed.
    back: Option<usize>,
    /// What was typed before going back in time.
    typed: String,
    /// Which completion Tab takes.
    at: usize,
    /// What was asked for already.
    asked: BTreeSet<Arc<str>>,
}

impl Expression {
    /// An input with its initial text and the cursor at its end.
    pub fn new(initial: &str, history: Vec<String>) -> Self {
        let (back, typed) = (None, String::new());
        Self { input: Input::new(initial.to_owned()), history, back, typed, at: 0, asked: BTreeSet::new() }
    }

    /// The text before the cursor.
    fn before(&self) -> String {
        self.input.value().chars().take(self.input.cursor()).collect()
    }

    fn offered(&self, env: &Env) -> Vec<Arc<str>> {
        completions(&expected(&self.before()), env.words, OFFERED)
    }

    /// Puts the chosen completion in the place of what is typed of it.
    fn complete(&mut self, env: &Env) {
        let offered = self.offered(env);
        let Some(name) = offered.get(self.at.min(offered.len().saturating_sub(1))) else { return };
        let typed = match expected(&self.before()) {
            Expected::Name(t) | Expected::Label(t) | Expected::Value(_, t) => t.chars().count(),
            Expected::Nothing => 0,
        };
        for _ in 0..typed {
            self.input.handle(tui_input::InputRequest::DeletePrevChar);
        }
        insert(&mut self.input, name);
        self.at = 0;
    }

    /// One expression back (1) or forth (-1) in the history.
    fn travel(&mut self, by: isize) {
        let now = self.back.map_or(-1, |i| i as isize);
        let to = (now + by).clamp(-1, self.history.len() as isize - 1);
        if now == -1 {
            self.input.value().clone_into(&mut self.typed);
        }
        self.back = usize::try_from(to).ok();
        let text = self.back.map_or_else(|| self.typed.clone(), |i| self.history[i].clone());
        self.input = Input::new(text);
    }

    /// What must be known to complete here, each asked for once.
    fn ask(&mut self, env: &Env) -> Vec<Effect> {
        let mut out = Vec::new();
        if let Expected::Value(label, _) = expected(&self.before()) {
            let label: Arc<str> = label.into();
            if !label.is_empty() && self.asked.insert(label.clone()) && !env.words.values.contains_key(&label) {
                out.push(Effect::Fetch(Detail::Words(Wanted::Values(label))));
            }
        }
        if let Some(metric) = self.metric(env)
            && self.asked.insert(metric.clone())
            && !env.words.meanings.contains_key(&metric)
        {
            out.push(Effect::Fetch(Detail::Words(Wanted::Meaning(metric))));
        }
        out
    }

    /// The metric whose meaning is told: the one that is typed in full, or that Tab would take.
    fn metric(&self, env: &Env) -> Option<Arc<str>> {
        let Expected::Name(typed) = expected(&self.before()) else { return None };
        let known = |name: &Arc<str>| env.words.metrics.binary_search(name).is_ok();
        let whole: Arc<str> = typed.into();
        if known(&whole) {
            return Some(whole);
        }
        self.offered(env).get(self.at).filter(|n| known(n)).cloned()
    }

    fn done(&self) -> Vec<Effect> {
        let text = self.input.value().trim().to_owned();
        if text.is_empty() {
            return Vec::new();
        }
        let target = Target::Expression(text.clone());
        vec![Effect::Remember(text), Effect::Go(PaneId::Promql, Some(target)), Effect::Run(CommandId::RunQuery)]
    }
}

impl Layer for Expression {
    fn key(&mut self, press: &Press, env: &Env) -> Reply {
        if leaves(press.chord) {
            return Reply::Close(Vec::new());
        }
        let control = press.event.modifiers == crossterm::event::KeyModifiers::CONTROL;
        match press.chord {
            c if c == Chord::plain(KeyCode::Enter) => {
                return if press.held { Reply::Ignored } else { Reply::Close(self.done()) };
            }
            c if c == Chord::plain(KeyCode::Tab) => self.complete(env),
            c if c == Chord::plain(KeyCode::Down) || (control && c.code == KeyCode::Char('n')) => {
                let offered = self.offered(env).len();
                if self.back.is_none() && offered > 0 && !control {
                    self.at = (self.at + 1) % offered;
                } else {
                    self.travel(-1);
                }
            }
            c if c == Chord::plain(KeyCode::Up) || (control && c.code == KeyCode::Char('p')) => {
                // Up from the first completion leads into the past.
                if self.at > 0 && !control { self.at -= 1 } else { self.travel(1) }
            }
            _ => {
                if edit(&mut self.input, press) {
                    (self.at, self.back) = (0, None);
                }
            }
        }
        Reply::Stay(self.ask(env))
    }

    fn paste(&mut self, text: &str) -> Reply {
        insert(&mut self.input, text);
        self.back = None;
        Reply::Stay(Vec::new())
    }

    fn say(&self, _env: &Env) -> Said {
        let now = self.input.value();
        Said::Asks(vec![if now.is_empty() { "expression".into() } else { format!("expression, now {now}") }])
    }

    fn answer(&mut self, line: &str) -> Reply {
        self.input = Input::new(line.to_owned());
        Reply::Close(self.done())
    }

    fn view(&self, frame: &mut Frame, area: Rect, env: &Env) {
        let line = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
        frame.render_widget(Clear, line);
        frame.buffer_mut().set_style(line, env.theme.style(Role::Text));
        input_line(frame, line, "promql: ", &self.input, env.theme);
        let offered = self.offered(env);
        let meaning = self.metric(env).and_then(|m| env.words.meanings.get(&m).cloned()).filter(|m| !m.is_empty());
        if offered.is_empty() && meaning.is_none() {
            return;
        }
        let widest = offered.iter().map(|n| width(n)).chain(meaning.iter().map(|m| width(m))).max().unwrap_or(0);
        let height = offered.len() as u16 + u16::from(meaning.is_some()) + 2;
        let height = height.min(area.height.saturating_sub(1));
        let wide = (widest as u16 + 4).clamp(24, area.width.max(24));
        let area = Rect { x: area.x, y: line.y.saturating_sub(height), width: wide, height };
        let inside = boxed(frame, area, "tab completes", env.theme);
        let buf = frame.buffer_mut();
        let mut y = inside.y;
        if let Some(meaning) = meaning {
            put(buf, env.theme, inside.x, y, inside.width, &meaning, Role::Muted);
            y += 1;
        }
        for (i, name) in offered.iter().enumerate().take(usize::from(inside.bottom().saturating_sub(y))) {
            let chosen = i == self.at;
            let mark = if chosen { env.theme.glyphs.cursor } else { " " };
            let role = if chosen { Role::Selection } else { Role::Text };
            put(buf, env.theme, inside.x, y + i as u16, inside.width, &format!("{mark} {name}"), role);
        }
    }

    fn hints(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}
