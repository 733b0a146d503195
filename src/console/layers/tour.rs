//! The tour of the demo: five steps, each on the pane that it speaks of, in a box that leaves the pane to be seen.

use super::{Env, Layer, Press, Reply, Said, boxed, leaves};
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::Effect;
use crate::console::theme::Role;
use crossterm::event::KeyCode;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::{Paragraph, Wrap};

struct Step {
    pane: PaneId,
    title: &'static str,
    /// `{}` stands for the key of each command in turn.
    text: &'static str,
    keys: &'static [CommandId],
}

impl Step {
    fn written(&self, env: &Env) -> String {
        let key = |id: &CommandId| Some(env.keymap.key(*id)).filter(|k| !k.is_empty());
        self.keys.iter().fold(self.text.to_owned(), |text, id| {
            text.replacen("{}", &key(id).unwrap_or_else(|| format!("({})", id.spec().name)), 1)
        })
    }
}

const STEPS: [Step; 5] = [
    Step {
        pane: PaneId::Overview,
        title: "what is wrong",
        text: "Findings and incidents, worst first, each with the field or series it was read from; {} opens one. \
               The line at the top always tells the mode, the connection and how old the data is. \
               In this shop the first thing breaks within a minute.",
        keys: &[CommandId::Open],
    },
    Step {
        pane: PaneId::Workloads,
        title: "what there is",
        text: "Workloads, their pods, their containers: {} goes in, {} comes back, {} filters, {} sorts. \
               On a line, {} shows its charts, {} the YAML, {} the log, {} its events.",
        keys: &[
            CommandId::Open,
            CommandId::Back,
            CommandId::Filter,
            CommandId::Sort,
            CommandId::Charts,
            CommandId::Yaml,
            CommandId::Logs,
            CommandId::Events,
        ],
    },
    Step {
        pane: PaneId::Metrics,
        title: "how it went",
        text: "Charts with limits, requests, rollouts and anomalies. {} and {} tell the values at a moment, {} and {} change \
               the span. A gap is a gap: what was not measured is never drawn as zero.",
        keys: &[CommandId::CrossEarlier, CommandId::CrossLater, CommandId::ZoomIn, CommandId::ZoomOut],
    },
    Step {
        pane: PaneId::Actions,
        title: "what would help",
        text: "Proposals wait here. {} opens one: why, the exact change, the server's own dry-run, and the way back. \
               Nothing runs before you approve it with {}; more dangerous ones ask for yes or for a name. \
               What was done is watched, and {} undoes it.",
        keys: &[CommandId::Open, CommandId::Approve, CommandId::Revert],
    },
    Step {
        pane: PaneId::Journal,
        title: "what was done",
        text: "Every decision and every write, chained by hashes; {} verifies the chain. {} plays another scenario, {} chooses \
               how much kansole may do by itself, {} finds any command by name, {} tells the keys of a pane.",
        keys: &[CommandId::VerifyChain, CommandId::Scenarios, CommandId::Mode, CommandId::Palette, CommandId::Help],
    },
];

/// The tour at one of its steps.
#[derive(Debug, Default)]
pub struct Tour {
    at: usize,
}

impl Tour {
    /// The pane of the first step.
    pub const FIRST: PaneId = STEPS[0].pane;

    fn to(&mut self, at: usize) -> Reply {
        self.at = at;
        Reply::Stay(vec![Effect::Go(STEPS[at].pane, None)])
    }
}

impl Layer for Tour {
    fn key(&mut self, press: &Press, _env: &Env) -> Reply {
        if leaves(press.chord) || press.chord.code == KeyCode::Char('q') {
            return Reply::Close(Vec::new());
        }
        match press.chord.code {
            KeyCode::Enter | KeyCode::Right | KeyCode::Char(' ') if self.at + 1 < STEPS.len() => self.to(self.at + 1),
            // A key held down must not run into what is below.
            KeyCode::Enter if !press.held => Reply::Close(vec![Effect::Go(Self::FIRST, None)]),
            KeyCode::Left | KeyCode::Backspace if self.at > 0 => self.to(self.at - 1),
            _ => Reply::Ignored,
        }
    }

    fn say(&self, env: &Env) -> Said {
        let step = &STEPS[self.at];
        let how = "type next, back, or nothing to leave the tour";
        Said::Asks(vec![
            format!("tour {} of {}: {}", self.at + 1, STEPS.len(), step.title),
            step.written(env),
            how.into(),
        ])
    }

    fn answer(&mut self, line: &str) -> Reply {
        match line {
            "next" if self.at + 1 < STEPS.len() => self.to(self.at + 1),
            "back" if self.at > 0 => self.to(self.at - 1),
            _ => Reply::Close(Vec::new()),
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, env: &Env) {
        let step = &STEPS[self.at];
        let text = step.written(env);
        let title = format!("tour {}/{} · {}", self.at + 1, STEPS.len(), step.title);
        corner(frame, area, &title, &text, env);
    }

    fn hints(&self) -> Vec<(String, String)> {
        let next = if self.at + 1 < STEPS.len() { "next" } else { "end" };
        [("enter", next), ("left", "back"), ("esc", "leave the tour")].map(|(k, w)| (k.into(), w.into())).into()
    }
}

/// Offers the tour, once in an operator's life. It takes no key: whatever is pressed does what it always does.
pub fn offer(frame: &mut Frame, area: Rect, env: &Env) {
    let (tour, palette) = (env.keymap.key(CommandId::Tour), env.keymap.key(CommandId::Palette));
    let text = format!(
        "{tour} shows you around in five steps, now or later ({palette} and the word tour). Any key takes this away."
    );
    corner(frame, area, "new here?", &text, env);
}

/// A box at the bottom right, as high as its text.
fn corner(frame: &mut Frame, area: Rect, title: &str, text: &str, env: &Env) {
    let width = 58.min(area.width.saturating_sub(2));
    let inner = usize::from(width.saturating_sub(2)).max(1);
    let lines = Paragraph::new(text).wrap(Wrap { trim: true });
    let height = (rows_of(text, inner) as u16 + 2).min(area.height);
    let place =
        Rect { x: area.right().saturating_sub(width + 1), y: area.bottom().saturating_sub(height), width, height };
    let inside = boxed(frame, place, title, env.theme);
    frame.render_widget(lines.style(env.theme.style(Role::Text)), inside);
}

/// Rows that words take at a width.
fn rows_of(text: &str, width: usize) -> usize {
    let (mut rows, mut used) = (1, 0);
    for word in text.split_whitespace() {
        let word = unicode_width::UnicodeWidthStr::width(word);
        if used > 0 && used + 1 + word > width {
            rows += 1;
            used = word;
        } else {
            used += word + usize::from(used > 0);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autopilot::world::CommandResult;
    use crate::console::snapshot::{Format, draw, write};
    use crate::console::testing::{model, type_keys, world};
    use crate::model::demo::{Director, Playing, Scenario};
    use std::sync::Arc;

    struct Demo;
    impl Director for Demo {
        fn scenarios(&self) -> Vec<Scenario> {
            Vec::new()
        }
        fn playing(&self) -> Playing {
            Playing::default()
        }
        fn play(&self, _name: Option<&str>) -> CommandResult {
            Ok(String::new())
        }
    }

    fn demo() -> crate::console::app::Model {
        let mut model = model(world());
        model.demo = Some(Arc::new(Demo));
        model.size = (80, 24);
        model
    }

    #[test]
    fn the_tour_walks_through_five_panes_and_every_key_it_names_exists() {
        let mut model = demo();
        type_keys(&mut model, "f1");
        for (i, step) in STEPS.iter().enumerate() {
            assert_eq!(model.pane_id(), step.pane);
            let text = write(&draw(&mut model, 80, 24), Format::Text);
            assert!(text.contains(&format!("tour {}/5", i + 1)) && !text.contains("{}"), "{text}");
            assert_eq!(step.text.matches("{}").count(), step.keys.len(), "{}", step.title);
            for id in step.keys {
                assert!(id.spec().scope.covers(step.pane), "{} is not a key of {}", id.spec().name, step.pane.as_str());
                assert!(!model.look.keymap.key(*id).is_empty());
            }
            type_keys(&mut model, "enter");
        }
        assert!(model.layers.is_empty() && model.pane_id() == Tour::FIRST);
        type_keys(&mut model, "f1 enter left esc");
        assert!(model.layers.is_empty() && model.pane_id() == STEPS[0].pane);
    }

    #[test]
    fn the_offer_takes_no_key_and_outside_the_demo_there_is_no_tour() {
        let mut model = demo();
        model.offer = true;
        assert!(write(&draw(&mut model, 80, 24), Format::Text).contains("new here?"));
        type_keys(&mut model, "2");
        assert_eq!(model.pane_id(), PaneId::Workloads);
        assert!(!write(&draw(&mut model, 80, 24), Format::Text).contains("new here?"));
        model.demo = None;
        assert_eq!(model.why_not(CommandId::Tour).as_deref(), Some("only in kansole demo"));
    }
}
