//! Typed lines in, told lines out: the console's own model, driven by words instead of keys. Pure: no I/O, no clock.

use super::changes::changes;
use crate::autopilot::world::Message;
use crate::config::problem::nearest;
use crate::console::app::{Model, Msg};
use crate::console::command::{CommandId, Danger, PaneId, Scope};
use crate::console::effect::{Effect, Target};
use crate::console::header;
use crate::console::layers::{Said, lines};
use crate::console::shell;
use crate::console::update::{answer, update, word};
use crate::model::time::Timestamp;

/// What panes are laid out for; long enough that most lists need no second page.
const SIZE: (u16, u16) = (110, 60);

/// Words beside the names of commands.
const WORDS: [(&str, &str); 4] = [
    ("read", "Say what the pane shows."),
    ("status", "Say cluster, mode, connection and the age of the data."),
    ("action", "Open an action by its id: action ID."),
    ("words", "Say every word that works here."),
];

/// Words that move the cursor; a number after them repeats.
const MOVES: [CommandId; 6] =
    [CommandId::Up, CommandId::Down, CommandId::PageUp, CommandId::PageDown, CommandId::Top, CommandId::Bottom];

/// What came of a line or a message.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    /// Lines to tell.
    pub lines: Vec<String>,
    /// What only the outside can carry out.
    pub effects: Vec<Effect>,
}

/// The console without a screen.
pub struct Desk {
    /// Everything it knows.
    pub model: Model,
    /// Why nothing that changes something may be said here, if so.
    deaf: Option<&'static str>,
    /// The last note that was told.
    note: Option<Message>,
    /// Under the cursor when the operator last heard of it: what moved since is not what they mean.
    heard: Option<String>,
    /// How many layers were told.
    layers: usize,
}

impl Desk {
    /// A desk over a model. `deaf`: why nothing may be approved here.
    pub fn new(mut model: Model, deaf: Option<&'static str>) -> Self {
        model.size = SIZE;
        Self { model, deaf, note: None, heard: None, layers: 0 }
    }

    /// A line was typed.
    pub fn line(&mut self, line: &str, now: Timestamp) -> Heard {
        let line = line.trim();
        let before = (self.model.pane_id(), self.pane());
        let mut heard = Heard::default();
        if self.model.layers.is_empty() {
            self.command(line, now, &mut heard);
        } else {
            self.layers = 0;
            heard.effects = answer(&mut self.model, line, now);
        }
        self.tell(&mut heard.lines);
        let changed = (self.model.pane_id(), self.pane()) != before;
        if self.model.layers.is_empty() && changed && heard.lines.is_empty() {
            heard.lines = self.read();
        }
        heard
    }

    /// A message from the loop.
    pub fn message(&mut self, msg: Msg, now: Timestamp) -> Heard {
        let mut heard = Heard::default();
        if let Msg::World(world) = &msg {
            heard.lines = changes(&self.model.world, world);
        }
        heard.effects = update(&mut self.model, msg, now);
        self.tell(&mut heard.lines);
        heard
    }

    /// What the pane shows.
    pub fn read(&mut self) -> Vec<String> {
        self.heard = self.model.pane().copy();
        let mut out = vec![self.model.pane_id().as_str().to_owned()];
        let (trail, filter) = (self.model.pane().trail(), self.model.pane().filter());
        out[0].extend((!trail.is_empty()).then(|| format!(", {trail}")));
        out[0].extend((!filter.is_empty()).then(|| format!(", filter {filter}")));
        out.extend(self.pane());
        out
    }

    fn pane(&self) -> Vec<String> {
        lines(SIZE, |frame, area| self.model.pane().view(frame, area, &self.model.ctx()))
    }

    fn command(&mut self, line: &str, now: Timestamp, heard: &mut Heard) {
        let (first, rest) = line.split_once(' ').map_or((line, ""), |(a, b)| (a, b.trim()));
        match first {
            "" => {}
            "read" => heard.lines = self.read(),
            "status" => heard.lines = lines((200, 2), |frame, area| header::view(&self.model, frame, area)),
            "words" => heard.lines = self.words(),
            "action" => match self.model.world.queue.iter().find(|i| i.proposal.id.starts_with(rest)) {
                Some(item) if !rest.is_empty() => {
                    let to = Effect::Go(PaneId::Actions, Some(Target::Action(item.proposal.id.clone())));
                    heard.effects = word(&mut self.model, to, now);
                    heard.effects.extend(word(&mut self.model, Effect::Run(CommandId::Open), now));
                    heard.lines = self.read();
                }
                _ => heard.lines.push(format!("no action begins with {rest:?}; type actions to hear them")),
            },
            _ => self.named(line, first, rest, now, heard),
        }
    }

    /// A command by its name, a context, a theme.
    fn named(&mut self, line: &str, first: &str, rest: &str, now: Timestamp, heard: &mut Heard) {
        if let Some(id) = MOVES.into_iter().find(|id| id.spec().name == first) {
            for _ in 0..rest.parse::<u16>().unwrap_or(1).clamp(1, 1000) {
                heard.effects.extend(word(&mut self.model, Effect::Run(id), now));
            }
            heard.lines.push(self.at_cursor());
            return;
        }
        let entries = shell::entries(&self.model);
        let found = entries.iter().find(|e| e.name == line).or_else(|| entries.iter().find(|e| e.name == first));
        let Some(entry) = found else {
            let names: Vec<&str> = entries.iter().map(|e| &*e.name).chain(WORDS.iter().map(|w| w.0)).collect();
            let near = nearest(first, &names).map_or_else(String::new, |n| format!("did you mean {n}? "));
            heard.lines.push(format!("there is no word {first:?}; {near}type words to hear all"));
            return;
        };
        if let Some(why) = &entry.why_not {
            heard.lines.push(format!("{}: {why}", entry.name));
            return;
        }
        let (effect, rest) = (entry.then.clone(), if entry.name == line { "" } else { rest });
        if let Effect::Run(id) = effect
            && let Some(why) = self.refuses(id)
        {
            heard.lines.push(why);
            return;
        }
        heard.effects = word(&mut self.model, effect, now);
        // `filter cart` answers what `filter` asks; a question about something dangerous is never answered ahead.
        let asks_text =
            matches!(CommandId::by_name(first), Some(CommandId::Filter | CommandId::Namespaces | CommandId::EditQuery));
        if !rest.is_empty() && asks_text && !self.model.layers.is_empty() {
            heard.effects.extend(answer(&mut self.model, rest, now));
        }
    }

    /// Why a command that approves or changes what kansole may do is not taken now.
    fn refuses(&mut self, id: CommandId) -> Option<String> {
        let spec = id.spec();
        // The kill switch is pulled from anywhere; only releasing it takes somebody.
        let brakes = id == CommandId::Kill && self.model.world.brakes.killed.is_none();
        if spec.danger != Danger::Control || brakes {
            return None;
        }
        if let Some(why) = self.deaf {
            return Some(format!("{}: {why}", spec.name));
        }
        if spec.scope != Scope::Global && self.model.pane().copy() != self.heard {
            let now = self.at_cursor();
            return Some(format!(
                "{}: what is under the cursor is not what you last heard. {now}. Say it again.",
                spec.name
            ));
        }
        None
    }

    /// The line under the cursor, which is heard from now on.
    fn at_cursor(&mut self) -> String {
        self.heard = self.model.pane().copy();
        let mark = self.model.look.theme.glyphs.cursor;
        let row = self.pane().into_iter().find_map(|l| l.trim_start().strip_prefix(mark).map(|l| l.trim().to_owned()));
        row.or_else(|| self.heard.clone()).unwrap_or_else(|| "nothing is here".into())
    }

    fn words(&self) -> Vec<String> {
        let own = WORDS.iter().map(|(w, doc)| format!("{w}: {doc}"));
        let moves = MOVES.iter().map(|id| format!("{}: {}", id.spec().name, id.spec().doc));
        let entries = shell::entries(&self.model).into_iter().map(|e| match e.why_not {
            Some(why) => format!("{}: not now: {why}", e.name),
            None => format!("{}: {}", e.name, e.doc),
        });
        own.chain(moves).chain(entries).collect()
    }

    /// Notes and layers that were not told yet. A text is over once it is told; a question waits.
    fn tell(&mut self, out: &mut Vec<String>) {
        let new = self.model.notes.iter().take_while(|n| Some(*n) != self.note.as_ref());
        let mut new: Vec<String> = new.map(|n| n.text.to_string()).collect();
        new.reverse();
        out.extend(new);
        self.note = self.model.notes.front().cloned();
        while let Some(layer) = self.model.layers.last() {
            match layer.say(&self.model.env()) {
                Said::Told(text) => {
                    out.extend(text);
                    self.model.layers.pop();
                }
                Said::Asks(text) => {
                    if self.layers < self.model.layers.len() {
                        out.extend(text);
                    }
                    break;
                }
            }
        }
        self.layers = self.model.layers.len();
    }
}
