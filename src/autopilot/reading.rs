//! Objects and logs in full, read when the operator opens them.

use super::engine::Engine;
use super::world::Detail;
use crate::monitor;
use crate::monitor::detail::LogRequest;
use futures::TryStreamExt as _;
use tokio::sync::oneshot;

impl Engine {
    /// Reads something in full beside the loop.
    pub(super) fn read_in_full(&self, detail: Detail, reply: oneshot::Sender<Result<String, String>>) {
        let Some(session) = &self.session else {
            let _ = reply.send(Err("not connected".into()));
            return;
        };
        let client = session.conn.read.clone();
        tokio::spawn(async move {
            let text = match detail {
                Detail::Yaml(object) => monitor::detail::yaml(&client, &object).await,
                Detail::Logs { pod, container, previous, tail } => {
                    let container = container.map(|c| c.to_string());
                    let wanted = LogRequest { pod, container, previous, tail, follow: false };
                    log_text(&client, &wanted).await
                }
            };
            let _ = reply.send(text.map_err(|e| e.to_string()));
        });
    }
}

/// The last lines of a log as one text.
async fn log_text(client: &kube::Client, wanted: &LogRequest) -> Result<String, monitor::detail::DetailError> {
    let lines: Vec<String> = monitor::detail::logs(client, wanted).await?.try_collect().await?;
    Ok(if lines.is_empty() { "the log is empty".to_owned() } else { lines.join("\n") })
}
