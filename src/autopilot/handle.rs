//! The one door to the loop: worlds out, commands and questions in.

use super::world::{Command, CommandResult, Detail, Full, World};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// What the console, the control socket and tests hold. Cheap to clone.
#[derive(Clone)]
pub struct LoopHandle {
    /// The latest world; a new one whenever something changed.
    pub worlds: watch::Receiver<Arc<World>>,
    /// Commands, each with the place for its answer. Bounded: a full queue is an error, not a wait.
    pub commands: mpsc::Sender<(Command, oneshot::Sender<CommandResult>)>,
    /// Things to read in full.
    pub details: mpsc::Sender<(Detail, oneshot::Sender<Result<Full, String>>)>,
}

impl LoopHandle {
    /// Sends a command and waits for its answer.
    pub async fn command(&self, command: Command) -> CommandResult {
        let (tx, rx) = oneshot::channel();
        self.commands.send((command, tx)).await.map_err(|_| "the loop has ended".to_owned())?;
        rx.await.map_err(|_| "the loop ended before it answered".to_owned())?
    }

    /// Waits until the world satisfies a condition, or the time is up. The last world either way.
    pub async fn wait(
        &mut self,
        limit: std::time::Duration,
        done: impl Fn(&World) -> bool,
    ) -> Result<Arc<World>, Arc<World>> {
        if let Ok(Ok(world)) = tokio::time::timeout(limit, self.worlds.wait_for(|w| done(w))).await {
            return Ok(world.clone());
        }
        Err(self.worlds.borrow().clone())
    }
}
