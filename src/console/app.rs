//! The console's model: everything it knows. Owned by the console's task alone.

use super::command::{CommandId, PaneId, Scope};
use super::effect::Effect;
use super::keys::HeldGuard;
use super::layers::{Env, Layer};
use super::look::Look;
use super::pane::{Ctx, Pane};
use super::promql::Vocabulary;
use crate::autopilot::world::{CommandResult, Detail, Level, Message, World};
use crate::config::chord::Chord;
use crate::model::demo::Director;
use crate::model::query::{Answer, Fault, Query, Words};
use crate::model::text::clean;
use crate::model::time::Timestamp;
use crate::model::trace::{Trace, TracePath};
use chrono::TimeDelta;
use crossterm::event::KeyEvent;
use std::collections::VecDeque;
use std::sync::Arc;

/// How long a message stays in the footer.
const FLASH: TimeDelta = TimeDelta::seconds(6);

/// Messages of the console itself that are kept.
const KEPT: usize = 200;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Msg {
    /// A key.
    Key(KeyEvent),
    /// Pasted text: data, never keys.
    Paste(String),
    /// A new size.
    Resize(u16, u16),
    /// The loop's latest word.
    World(Arc<World>),
    /// What came of a command.
    Answer(CommandResult),
    /// What came of a request for details.
    Fetched {
        /// What was asked for.
        detail: Detail,
        /// The text, or why there is none.
        text: Result<String, String>,
    },
    /// The critical path of a trace that was asked about.
    Path(Arc<Trace>, TracePath),
    /// What came of an expression.
    Answered(Query, Result<Answer, Fault>),
    /// Names for completion.
    Words(Words),
    /// Theme and keymap were loaded again, or why not.
    Look(Result<Box<Look>, String>),
    /// Something the console itself has to tell.
    Note(Level, String),
    /// A second has passed: ages may read differently.
    Tick,
    /// The process was stopped and continued, or the screen was spoilt.
    Repaint,
    /// The terminal is gone, or a signal said to end: every open question is answered with no.
    End,
}

/// Everything the console knows.
pub struct Model {
    /// The loop's latest word.
    pub world: Arc<World>,
    /// Time of this update.
    pub now: Timestamp,
    /// Panes, in the order of their keys.
    pub panes: Vec<Box<dyn Pane>>,
    /// Which has the focus.
    pub focus: usize,
    /// Layers over them; the last is on top.
    pub layers: Vec<Box<dyn Layer>>,
    /// Theme and keymap.
    pub look: Look,
    /// Names that expressions may use, as far as they were asked for.
    pub words: Vocabulary,
    /// Keys typed of a sequence that is not complete.
    pub typed: Vec<Chord>,
    /// Keeps held keys from approving.
    pub held: HeldGuard,
    /// Width and height.
    pub size: (u16, u16),
    /// Data older than this is stale.
    pub stale_after: TimeDelta,
    /// Messages of the console itself, newest first.
    pub notes: VecDeque<Message>,
    /// The message in the footer, and until when.
    pub flash: Option<(Message, Timestamp)>,
    /// Who directs the demo; `None` on a real cluster.
    pub demo: Option<Arc<dyn Director>>,
    /// The tour is offered, until a key is pressed.
    pub offer: bool,
    /// The end has been asked for.
    pub ending: bool,
    /// Something may look different: draw.
    pub dirty: bool,
}

impl Model {
    /// A console over panes, before anything was drawn. `panes` must not be empty.
    pub fn new(panes: Vec<Box<dyn Pane>>, world: Arc<World>, look: Look, stale_after: TimeDelta) -> Self {
        assert!(!panes.is_empty(), "a console without panes has nothing to show");
        let now = world.at;
        let mut model = Self {
            world,
            now,
            panes,
            focus: 0,
            layers: Vec::new(),
            look,
            words: Vocabulary::default(),
            typed: Vec::new(),
            held: HeldGuard::default(),
            size: (80, 24),
            stale_after,
            notes: VecDeque::new(),
            flash: None,
            demo: None,
            offer: false,
            ending: false,
            dirty: true,
        };
        model.sync();
        model
    }

    /// What panes may look at.
    pub fn ctx(&self) -> Ctx<'_> {
        Ctx { world: &self.world, theme: &self.look.theme, now: self.now, focused: self.layers.is_empty() }
    }

    /// What layers may look at.
    pub fn env(&self) -> Env<'_> {
        Env { keymap: &self.look.keymap, theme: &self.look.theme, size: self.size, words: &self.words }
    }

    /// The focused pane.
    pub fn pane(&self) -> &dyn Pane {
        self.panes[self.focus].as_ref()
    }

    /// Which pane has the focus.
    pub fn pane_id(&self) -> PaneId {
        self.pane().id()
    }

    /// Does something with the focused pane and what it may look at.
    pub fn with_pane<R>(&mut self, act: impl FnOnce(&mut dyn Pane, &Ctx) -> R) -> R {
        let ctx = Ctx { world: &self.world, theme: &self.look.theme, now: self.now, focused: self.layers.is_empty() };
        act(self.panes[self.focus].as_mut(), &ctx)
    }

    /// Rebuilds what the focused pane derives from the world.
    pub fn sync(&mut self) {
        self.with_pane(|pane, ctx| pane.sync(ctx));
    }

    /// Moves the focus; unknown panes are ignored.
    pub fn go(&mut self, id: PaneId) {
        if let Some(i) = self.panes.iter().position(|p| p.id() == id) {
            // Both hear that they are not focused first: rows that stood still may be put in order again.
            self.unfocused(self.focus);
            self.unfocused(i);
            self.focus = i;
            self.typed.clear();
            self.sync();
        }
    }

    fn unfocused(&mut self, pane: usize) {
        let ctx = Ctx { world: &self.world, theme: &self.look.theme, now: self.now, focused: false };
        self.panes[pane].sync(&ctx);
    }

    /// Draws and listens differently from now on.
    pub fn set_look(&mut self, look: Look) {
        for pane in self.panes.iter_mut().filter(|p| p.id() == PaneId::Help) {
            *pane = Box::new(super::help::Help::new(&look.keymap));
        }
        self.look = look;
        self.sync();
        self.dirty = true;
    }

    /// Tells the operator something: in the footer now, in the history for later.
    pub fn note(&mut self, level: Level, text: &str) {
        let message = Message { at: self.now, level, text: clean(text).into() };
        self.notes.push_front(message.clone());
        self.notes.truncate(KEPT);
        self.show(message);
    }

    /// Shows a message in the footer for a while.
    pub fn show(&mut self, message: Message) {
        self.flash = Some((message, self.now + FLASH));
        self.dirty = true;
    }

    /// All messages of loop and console, newest first.
    pub fn messages(&self) -> Vec<&Message> {
        let mut all: Vec<&Message> = self.world.messages.iter().chain(&self.notes).collect();
        all.sort_by_key(|m| std::cmp::Reverse(m.at));
        all
    }

    /// Why a command cannot run now; `None` if it can. The one place that gates keys, palette, hints and help.
    pub fn why_not(&self, id: CommandId) -> Option<String> {
        let spec = id.spec();
        if !spec.scope.covers(self.pane_id()) {
            return Some(format!("only in the pane {}", super::keys::table(spec.scope)));
        }
        match spec.scope {
            Scope::Global => super::shell::why_not(self, id),
            Scope::Pane(_) => super::shell::read_only(self, id).or_else(|| self.pane().why_not(id, &self.ctx())),
            Scope::List => match id {
                // The shell does these for every pane.
                CommandId::Filter => None,
                CommandId::Copy => self.pane().copy().is_none().then(|| "nothing is under the cursor".to_owned()),
                _ => self.pane().why_not(id, &self.ctx()),
            },
        }
    }

    /// Commands known in the focused pane, in the order of the registry.
    pub fn known(&self) -> impl Iterator<Item = CommandId> {
        let pane = self.pane_id();
        super::command::COMMANDS.iter().filter(move |c| c.scope.covers(pane)).map(|c| c.id)
    }

    /// When the screen may look different by itself: the next second while ages are shown or a message goes.
    pub fn next_change(&self) -> Timestamp {
        let second = TimeDelta::seconds(1);
        let next = self.now + second;
        self.flash.as_ref().map_or(next, |(_, until)| next.min((*until).max(self.now)))
    }
}

/// An effect that only the loop around the model can carry out.
pub fn outside(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Send(_)
            | Effect::Fetch(_)
            | Effect::Copy(_)
            | Effect::Remember(_)
            | Effect::Play(_)
            | Effect::Theme(_)
            | Effect::Bell
            | Effect::Repaint
            | Effect::Suspend
            | Effect::Quit
    )
}
