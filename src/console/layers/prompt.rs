//! One line of input in the place of the footer.

use super::{Env, Layer, Press, Reply, Said, edit, input_line, insert, leaves};
use crate::autopilot::world::Command;
use crate::console::effect::{Effect, Prompt, Purpose};
use crate::console::theme::Role;
use crossterm::event::KeyCode;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::Clear;
use tui_input::Input;

/// The prompt with what was typed.
#[derive(Debug)]
pub struct PromptLayer {
    prompt: Prompt,
    input: Input,
}

impl PromptLayer {
    /// A prompt with its initial text and the cursor at its end.
    pub fn new(prompt: Prompt) -> Self {
        let input = Input::new(prompt.initial.clone());
        Self { prompt, input }
    }

    fn live(&self) -> Vec<Effect> {
        match self.prompt.purpose {
            Purpose::Filter => vec![Effect::Filter(self.input.value().to_owned())],
            _ => Vec::new(),
        }
    }

    fn done(&self) -> Vec<Effect> {
        let text = self.input.value().trim().to_owned();
        vec![match &self.prompt.purpose {
            Purpose::Filter => Effect::Filter(text),
            Purpose::Search => Effect::Search(text),
            Purpose::RejectReason(id) => Effect::Send(Command::Reject { id: id.clone(), reason: text }),
            Purpose::Context if text.is_empty() => return Vec::new(),
            Purpose::Context => Effect::Send(Command::SwitchContext { context: text }),
            Purpose::Namespaces => {
                let namespaces = text.split([',', ' ']).filter(|n| !n.is_empty()).map(str::to_owned).collect();
                Effect::Send(Command::SetNamespaces { namespaces })
            }
        }]
    }
}

impl Layer for PromptLayer {
    fn key(&mut self, press: &Press, _env: &Env) -> Reply {
        if leaves(press.chord) {
            // A filter that was being typed goes back to what it was.
            return Reply::Close(match self.prompt.purpose {
                Purpose::Filter => vec![Effect::Filter(self.prompt.initial.clone())],
                _ => Vec::new(),
            });
        }
        if press.chord == crate::config::chord::Chord::plain(KeyCode::Enter) {
            return if press.held { Reply::Ignored } else { Reply::Close(self.done()) };
        }
        if edit(&mut self.input, press) { Reply::Stay(self.live()) } else { Reply::Stay(Vec::new()) }
    }

    fn paste(&mut self, text: &str) -> Reply {
        insert(&mut self.input, text);
        Reply::Stay(self.live())
    }

    fn say(&self, _env: &Env) -> Said {
        let label = self.prompt.label.trim_end_matches([':', ' ']);
        let now = &self.prompt.initial;
        Said::Asks(vec![if now.is_empty() { label.to_owned() } else { format!("{label}, now {now}") }])
    }

    fn answer(&mut self, line: &str) -> Reply {
        self.input = Input::new(line.to_owned());
        // A rejection without a reason is none; an empty filter is one that is taken away.
        match self.prompt.purpose {
            Purpose::RejectReason(_) if line.is_empty() => Reply::Close(Vec::new()),
            _ => Reply::Close(self.done()),
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, env: &Env) {
        let line = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
        frame.render_widget(Clear, line);
        frame.buffer_mut().set_style(line, env.theme.style(Role::Text));
        input_line(frame, line, &self.prompt.label, &self.input, env.theme);
    }

    fn hints(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}
