//! The loop: owns all state, runs the phases, knows the modes.

mod act;
mod aftermath;
mod authority;
mod bulk;
mod configs;
pub mod control;
mod decide;
mod details;
mod engine;
mod flight;
mod forecasting;
mod foresight;
pub mod handle;
mod notify;
mod observing;
mod pipeline;
mod planning;
mod reasoning;
mod record;
pub mod replay;
mod round;
pub mod session;
mod sizing;
pub mod socket;
mod watching;
pub mod world;

use crate::config::Settings;
use crate::model::time;
use crate::monitor::connect::ConnectOptions;
use handle::LoopHandle;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use world::World;

/// Whether the loop keeps a journal. Without one nothing is ever written to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalUse {
    /// Open it for writing; if another kansole holds it, the loop is read-only.
    Open,
    /// Leave it alone: for commands that only look.
    None,
}

/// What the loop needs to know at start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which cluster.
    pub connect: ConnectOptions,
    /// All settings.
    pub settings: Settings,
    /// Never write to the cluster.
    pub read_only: bool,
    /// Journal or not.
    pub journal: JournalUse,
    /// Directory for journal, socket and kill file.
    pub state: PathBuf,
    /// The first connection waits for this, so that the console can draw before anything is asked.
    pub hold: Option<CancellationToken>,
    /// Who sits at this console, as `user@host`: the actor of approvals.
    pub actor: String,
}

impl Options {
    /// Who is told by webhook. Commands that only look, look in passing: they call nobody.
    fn receivers(&self) -> &[crate::config::settings::Notify] {
        if self.journal == JournalUse::Open { &self.settings.notify } else { &[] }
    }
}

/// Starts the loop. It connects in the background; the first world is there at once.
pub fn spawn(options: Options) -> (LoopHandle, JoinHandle<()>) {
    let context = options.connect.context.clone().unwrap_or_default();
    let mut first = World::empty(&context, time::now());
    first.mode = options.settings.guard.mode;
    first.brakes.paused = true;
    let (worlds_tx, worlds) = watch::channel(Arc::new(first));
    let (commands_tx, commands) = mpsc::channel(64);
    let (details_tx, details) = mpsc::channel(16);
    let (notes_tx, notes) = mpsc::channel(256);
    let handle = LoopHandle { worlds, commands: commands_tx, details: details_tx };
    let engine = engine::Engine::new(options, handle.clone(), worlds_tx, notes_tx);
    let task = tokio::spawn(engine.run(engine::Inbox { commands, details, notes }));
    (handle, task)
}

/// For a thread that computes beside the loop: lets the loop and the screen go first. On Linux a thread can do so for
/// itself; elsewhere it would be the whole program, and is left out. A system that refuses it loses a little smoothness.
fn stand_back() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
}
