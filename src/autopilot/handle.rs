//! How the outside talks to the loop: worlds come out, commands and questions go in.

use super::world::{Command, CommandResult, Detail, World};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// A handle on the loop. Cloneable; the loop ends by [`Command::Shutdown`], not by dropping handles.
#[derive(Debug, Clone)]
pub struct LoopHandle {
    /// The latest world; only the newest is kept.
    pub worlds: watch::Receiver<Arc<World>>,
    /// Commands with the place their answer goes to. Bounded: a full queue is told, never waited for.
    pub commands: mpsc::Sender<(Command, oneshot::Sender<CommandResult>)>,
    /// Details to fetch; the answer is the text, or why there is none.
    pub details: mpsc::Sender<(Detail, oneshot::Sender<Result<String, String>>)>,
}
