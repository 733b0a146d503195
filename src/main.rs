//! Provisional: starts the console over a loop that is not connected, so that the terminal can be tried.

use kansole::autopilot::handle::LoopHandle;
use kansole::autopilot::world::{Brakes, Command, CommandResult, Link, StepView, World};
use kansole::config::{Overrides, dirs::Dirs, load};
use kansole::console::caps::Caps;
use kansole::console::command::{CommandId, PaneId};
use kansole::console::effect::{Effect, Target};
use kansole::console::look::Look;
use kansole::console::pane::{Ctx, Pane};
use kansole::console::run::{Start, run};
use kansole::model::snapshot::{ClusterInfo, Snapshot};
use ratatui::{Frame, layout::Rect};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

struct Blank;

impl Pane for Blank {
    fn id(&self) -> PaneId {
        PaneId::Overview
    }
    fn sync(&mut self, _: &Ctx) {}
    fn run(&mut self, _: CommandId, _: &Ctx) -> Vec<Effect> {
        Vec::new()
    }
    fn why_not(&self, _: CommandId, _: &Ctx) -> Option<String> {
        Some("nothing here".into())
    }
    fn view(&self, _: &mut Frame, _: Rect, _: &Ctx) {}
    fn trail(&self) -> String {
        "overview".into()
    }
    fn filter(&self) -> &'static str {
        ""
    }
    fn set_filter(&mut self, _: String, _: &Ctx) {}
    fn go(&mut self, _: &Target, _: &Ctx) -> bool {
        false
    }
    fn copy(&self) -> Option<String> {
        None
    }
}

fn world() -> World {
    let now = chrono::Utc::now();
    let text = |s: &str| Arc::<str>::from(s);
    let cluster = ClusterInfo {
        id: text(""),
        context: text("none"),
        server: text(""),
        version: text(""),
        user: text(""),
        namespaces: None,
    };
    World {
        seq: 1,
        at: now,
        link: Link::Broken { why: text("kubeconfig /nonexistent cannot be read"), retry: None },
        snapshot: Arc::new(Snapshot::empty(cluster, now)),
        findings: Arc::from([]),
        queue: Arc::from([]),
        unplanned: Arc::default(),
        mode: kansole::model::mode::Mode::Manual,
        brakes: Brakes::default(),
        step: StepView::default(),
        journal: Arc::from([]),
        rights: Arc::default(),
        messages: Arc::from([]),
        contexts: Arc::from([]),
        last_round: None,
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dirs = Dirs::of_user().map_err(anyhow::Error::msg)?;
    let env = |name: &str| std::env::var(name).ok();
    let flags = Overrides::default();
    let loaded = load(None, &dirs, &env, &flags)?;
    let caps = Caps::detect(&loaded.settings.ui.color, loaded.settings.ui.ascii, &env);
    let look = Look::load(&loaded.settings.ui, &dirs, &caps)?;
    let (_worlds, worlds) = watch::channel(Arc::new(world()));
    let (commands, mut asked) = mpsc::channel::<(Command, oneshot::Sender<CommandResult>)>(16);
    let (details, _details) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some((command, answer)) = asked.recv().await {
            let said: CommandResult =
                if command == Command::Shutdown { Ok("ended".into()) } else { Err("not connected".into()) };
            let _ = answer.send(said);
        }
    });
    let handle = LoopHandle { worlds, commands, details };
    run(Start { handle, panes: vec![Box::new(Blank)], loaded, flags, dirs, caps, look }).await?;
    Ok(())
}
