//! What the console sends to the loop, and how answers come back: nothing here waits.

use super::app::Msg;
use crate::autopilot::handle::LoopHandle;
use crate::autopilot::world::{Command, Detail, Full};
use crate::model::query::Fault;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};

/// The loop, and where its answers go.
pub struct Wire {
    /// The loop.
    pub handle: LoopHandle,
    /// Where answers arrive as messages.
    pub inbox: mpsc::Sender<Msg>,
}

impl Wire {
    /// Sends a command without waiting; its answer arrives as a message.
    pub fn send(&self, command: Command) {
        let (tx, rx) = oneshot::channel();
        let inbox = self.inbox.clone();
        if self.handle.commands.try_send((command, tx)).is_err() {
            let why = "the loop does not take commands now; nothing was done: try again".to_owned();
            let _ = inbox.try_send(Msg::Answer(Err(why)));
            return;
        }
        tokio::spawn(async move {
            let answer = rx.await.unwrap_or_else(|_| Err("the loop gave no answer; look at the journal".into()));
            let _ = inbox.send(Msg::Answer(answer)).await;
        });
    }

    /// Asks for something in full; it arrives as a message.
    pub fn fetch(&self, detail: Detail) {
        let (tx, rx) = oneshot::channel();
        let inbox = self.inbox.clone();
        let refused = self.handle.details.try_send((detail.clone(), tx)).is_err();
        tokio::spawn(async move {
            let busy = "too many requests are under way: try again";
            let full = if refused { Err(busy.into()) } else { rx.await.unwrap_or_else(|_| Err("no answer".into())) };
            let _ = inbox.send(fetched(detail, full)).await;
        });
    }

    /// Tells the loop to finish or hand over what is under way, and says when it has.
    pub fn shut_down(&self, finished: Arc<Notify>) {
        let commands = self.handle.commands.clone();
        tokio::spawn(async move {
            let (tx, rx) = oneshot::channel();
            let _ = commands.send((Command::Shutdown, tx)).await;
            let _ = rx.await;
            finished.notify_one();
        });
    }
}

/// An answer to a request for details, as a message.
fn fetched(detail: Detail, full: Result<Full, String>) -> Msg {
    match (detail, full) {
        (Detail::Path(trace), Ok(Full::Path(path))) => Msg::Path(trace, path),
        (detail, Ok(Full::Text(text))) => Msg::Fetched { detail, text: Ok(text) },
        (Detail::Query(query), Err(why)) => Msg::Answered(query, Err(Fault { why: why.into(), at: None })),
        (detail, Err(why)) => Msg::Fetched { detail, text: Err(why) },
        (Detail::Query(query), Ok(Full::Query(answer))) => Msg::Answered(query, answer),
        (_, Ok(Full::Words(words))) => Msg::Words(words),
        (detail, Ok(_)) => Msg::Fetched { detail, text: Err("an answer to another question came".into()) },
    }
}
