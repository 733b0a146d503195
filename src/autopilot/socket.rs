//! The control socket: how a script reaches the running kansole of a cluster.
//!
//! One JSON object per line in each direction, over a Unix socket in the state directory that only its
//! owner can open. A script gives the same commands as the keyboard and gets the same refusals.

use super::handle::LoopHandle;
use super::world::Command;
use crate::model::action::QueueItem;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Longest request or answer line, bytes.
const LINE: u64 = 16 * 1024 * 1024;

/// A question to the running kansole.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// The queue as it is.
    Queue,
    /// A command, as from the keyboard.
    Do {
        /// Which.
        command: Command,
    },
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The queue.
    Queue {
        /// Oldest first.
        items: Vec<Arc<QueueItem>>,
    },
    /// The command was done.
    Done {
        /// What was done.
        text: String,
    },
    /// The command was refused, or the question was not understood.
    Refused {
        /// Why.
        why: String,
    },
}

/// Listens until the loop ends. A leftover socket of a dead process is replaced; the journal's lock has
/// already made sure that there is no living one.
pub async fn serve(path: PathBuf, handle: LoopHandle) -> std::io::Result<()> {
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    loop {
        let (stream, _) = listener.accept().await?;
        let handle = handle.clone();
        tokio::spawn(async move {
            if let Err(e) = converse(stream, handle).await {
                tracing::warn!("control socket: {e}");
            }
        });
    }
}

async fn converse(stream: UnixStream, handle: LoopHandle) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(LINE)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Err(e) => Answer::Refused { why: format!("not understood: {e}") },
        Ok(Ask::Queue) => Answer::Queue { items: handle.worlds.borrow().queue.to_vec() },
        Ok(Ask::Do { command }) => match handle.command(command).await {
            Ok(text) => Answer::Done { text },
            Err(why) => Answer::Refused { why },
        },
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    write.write_all(&text).await
}

/// Asks the kansole behind a socket. `None` if nobody listens there.
pub async fn ask(path: &Path, question: &Ask) -> std::io::Result<Option<Answer>> {
    let stream = match UnixStream::connect(path).await {
        Ok(s) => s,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let (read, mut write) = stream.into_split();
    let mut text = serde_json::to_vec(question)?;
    text.push(b'\n');
    write.write_all(&text).await?;
    let mut line = String::new();
    BufReader::new(read.take(LINE)).read_line(&mut line).await?;
    Ok(Some(serde_json::from_str(&line)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autopilot::world::World;
    use tokio::sync::{mpsc, watch};

    /// A loop that refuses every approval, behind a real socket.
    async fn listening(dir: &Path) -> PathBuf {
        let path = dir.join("control.sock");
        let (_worlds_tx, worlds) = watch::channel(Arc::new(World::empty("test", crate::model::time::now())));
        let (commands, mut inbox) = mpsc::channel::<(Command, tokio::sync::oneshot::Sender<_>)>(1);
        let (details, _) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some((command, reply)) = inbox.recv().await {
                let _ = reply.send(match command {
                    Command::Refresh => Ok("round started".into()),
                    other => Err(format!("refused {other:?}")),
                });
            }
        });
        let listener = path.clone();
        tokio::spawn(async move { serve(listener, LoopHandle { worlds, commands, details }).await });
        while UnixStream::connect(&path).await.is_err() {
            tokio::task::yield_now().await;
        }
        path
    }

    #[tokio::test]
    async fn a_script_gets_the_answers_of_the_keyboard() {
        let dir = tempfile::tempdir().unwrap();
        let path = listening(dir.path()).await;
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "nobody else may approve");
        let done = ask(&path, &Ask::Do { command: Command::Refresh }).await.unwrap();
        assert!(matches!(done, Some(Answer::Done { text }) if text == "round started"));
        let approve = Command::Approve { id: "x".into(), hash: "h".into() };
        let refused = ask(&path, &Ask::Do { command: approve }).await.unwrap();
        assert!(matches!(refused, Some(Answer::Refused { why }) if why.contains("Approve")));
        assert!(matches!(ask(&path, &Ask::Queue).await.unwrap(), Some(Answer::Queue { items }) if items.is_empty()));
    }

    #[tokio::test]
    async fn nobody_there_is_not_an_error_and_nonsense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ask(&dir.path().join("none.sock"), &Ask::Queue).await.unwrap().is_none());
        let path = listening(dir.path()).await;
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"approve everything\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.contains("not understood"), "{text}");
    }
}
