//! What tests of the console share: a world, a pane, a keyboard, a terminal.

use super::app::{Model, Msg};
use super::caps::{Caps, Depth, Multiplexer};
use super::command::{CommandId, PaneId};
use super::effect::{Effect, Question, Target};
use super::look::Look;
use super::pane::{Ctx, Pane};
use super::theme::Role;
use super::update::update;
use crate::autopilot::world::{Brakes, Command, Link, StepView, World};
use crate::config::chord::Chord;
use crate::config::{dirs::Dirs, settings::Ui};
use crate::model::mode::Mode;
use crate::model::plan::Risk;
use crate::model::snapshot::{ClusterInfo, Snapshot, Source, SourceState};
use crate::model::time::Timestamp;
use chrono::{DateTime, TimeDelta};
use crossterm::event::{KeyEvent, KeyEventKind};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::sync::Arc;

/// The moment at which tests begin.
pub fn start() -> Timestamp {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

/// A connected world with data of known ages and nothing in its queue.
pub fn world() -> World {
    let now = start();
    let ago = |s| SourceState::Live { last: now - TimeDelta::seconds(s) };
    let mut snapshot = Snapshot::empty(
        ClusterInfo {
            id: "c1".into(),
            context: "prod-eu".into(),
            server: "https://api.example:6443".into(),
            version: "v1.36.2".into(),
            user: "ada".into(),
            namespaces: None,
        },
        now,
    );
    snapshot.api.state = ago(2);
    snapshot.metrics.state = ago(12);
    snapshot.sources = Arc::from([Source { name: "pods".into(), namespaces: None, state: ago(5), objects: 3 }]);
    World {
        seq: 1,
        at: now,
        link: Link::Connected,
        snapshot: Arc::new(snapshot),
        findings: Arc::from([]),
        anomalies: Arc::default(),
        incidents: Arc::default(),
        reasoned: None,
        insight: Arc::default(),
        predictions: Arc::default(),
        sizings: Arc::default(),
        failures: Arc::default(),
        queue: Arc::from([]),
        pipeline: Arc::default(),
        unplanned: Arc::default(),
        slos: Arc::from([]),
        mode: Mode::Manual,
        ladder: Arc::from([]),
        alerts: 0,
        brakes: Brakes::default(),
        step: StepView::default(),
        journal: Arc::from([]),
        rights: Arc::default(),
        messages: Arc::from([]),
        contexts: Arc::from(["prod-eu".into(), "staging".into()]),
        last_round: Some(now),
    }
}

/// A pane with three lines. In Actions, approving the first asks nothing, the second y, the third its name.
pub struct Lines {
    id: PaneId,
    names: Vec<String>,
    at: String,
    filter: String,
}

impl Lines {
    pub fn new(id: PaneId) -> Self {
        let names: Vec<String> = ["low-1", "medium-2", "high-3"].map(str::to_owned).into();
        Self { id, at: names[0].clone(), names, filter: String::new() }
    }

    fn shown(&self) -> Vec<&String> {
        self.names.iter().filter(|n| n.contains(&self.filter)).collect()
    }

    fn step(&mut self, by: isize) {
        let shown = self.shown();
        let i = shown.iter().position(|n| **n == self.at).unwrap_or(0);
        let to = i.saturating_add_signed(by).min(shown.len().saturating_sub(1));
        if let Some(name) = shown.get(to) {
            self.at = (*name).clone();
        }
    }
}

impl Pane for Lines {
    fn id(&self) -> PaneId {
        self.id
    }

    fn sync(&mut self, ctx: &Ctx) {
        // A world with an odd number replaces the lines, as a cluster may.
        if ctx.world.seq > 1 {
            self.at = format!("world-{}", ctx.world.seq);
            self.names = vec![self.at.clone()];
        }
    }

    fn run(&mut self, command: CommandId, _ctx: &Ctx) -> Vec<Effect> {
        let approve = Effect::Send(Command::Approve { id: self.at.as_str().into(), hash: "h".into() });
        let (risk, typed) = match self.at.split('-').next() {
            Some("medium") => (Risk::Medium, None),
            Some("high") => (Risk::High, Some(self.at.clone())),
            _ => (Risk::Low, None),
        };
        match command {
            CommandId::Up => self.step(-1),
            CommandId::Down => self.step(1),
            CommandId::Top => self.at.clone_from(&self.names[0]),
            CommandId::Approve => {
                let title = format!("Approve {}?", self.at);
                let body = vec!["memory limit 128Mi → 256Mi".to_owned(), "2 pods restart, one after the other".into()];
                return vec![Effect::Ask(Question { title, body, risk, typed, then: Box::new(approve) })];
            }
            CommandId::GoFix => return vec![Effect::Go(PaneId::Actions, None)],
            _ => {}
        }
        Vec::new()
    }

    fn why_not(&self, command: CommandId, _ctx: &Ctx) -> Option<String> {
        (command == CommandId::Revert).then(|| "it has not been applied".to_owned())
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        for (row, name) in self.shown().iter().enumerate() {
            let style = ctx.theme.style(if **name == self.at { Role::Selection } else { Role::Text });
            frame.buffer_mut().set_stringn(area.x + 1, area.y + row as u16, name, area.width as usize, style);
        }
    }

    fn trail(&self) -> String {
        format!("{} › {}", self.id.as_str(), self.at)
    }

    fn filter(&self) -> &str {
        &self.filter
    }

    fn set_filter(&mut self, filter: String, _ctx: &Ctx) {
        self.filter = filter;
        self.step(0);
    }

    fn go(&mut self, _target: &Target, _ctx: &Ctx) -> bool {
        true
    }

    fn copy(&self) -> Option<String> {
        Some(self.at.clone())
    }
}

/// The shipped look of a theme at a colour depth.
pub fn look(theme: &str, depth: Depth, ascii: bool) -> Look {
    let dirs = Dirs::below(std::path::Path::new("/nonexistent"));
    let caps = Caps { depth, ascii, blocks: false, light: false, remote: false, multiplexer: Multiplexer::None };
    Look::load(&Ui { theme: theme.into(), ..Ui::default() }, &dirs, &caps).unwrap_or_else(|e| panic!("{e}"))
}

/// A console over test panes with a given world.
pub fn model(world: World) -> Model {
    let panes = PaneId::ALL[..5].iter().map(|id| Box::new(Lines::new(*id)) as Box<dyn Pane>).collect();
    Model::new(panes, Arc::new(world), look("dark", Depth::True, false), TimeDelta::seconds(60))
}

/// Types keys one after the other, half a second apart, and gives what must happen outside.
pub fn type_keys(model: &mut Model, keys: &str) -> Vec<Effect> {
    keys.split_whitespace().flat_map(|key| press(model, key, KeyEventKind::Press, 500)).collect()
}

/// One key, so many milliseconds after the last thing that happened.
pub fn press(model: &mut Model, key: &str, kind: KeyEventKind, after_ms: i64) -> Vec<Effect> {
    let chord = Chord::parse(key).unwrap();
    let mut event = KeyEvent::new(chord.code, chord.modifiers);
    event.kind = kind;
    let now = model.now + TimeDelta::milliseconds(after_ms);
    update(model, Msg::Key(event), now)
}

/// A terminal that keeps what it shows.
pub fn parser(width: u16, height: u16) -> vt100::Parser {
    let size = |n| std::num::NonZero::new(n).unwrap();
    vt100::Parser::new(size(height), size(width), 0)
}
