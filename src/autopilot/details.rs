//! What is read or computed in full when somebody opens it: an object, a log, the critical path of a trace. Beside the loop,
//! which never waits for it.

use super::world::{Detail, Full};
use crate::analyze::traces::critical::CriticalPath;
use crate::analyze::traces::tree::Mended;
use crate::model::time;
use crate::model::trace::{PathStep, Trace, TracePath};
use crate::monitor::detail::{self, DetailError, LogRequest};
use crate::monitor::prometheus::{PromClient, adhoc};
use crate::monitor::{self, browse};
use futures::TryStreamExt as _;
use kube::Client;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Answers a request; `client` is `None` while there is no connection.
pub(super) fn answer(
    client: Option<Client>,
    server: Option<PromClient>,
    wanted: Detail,
    reply: oneshot::Sender<Result<Full, String>>,
) {
    // A path is computed from what is at hand: it needs no cluster, but a thread of its own, for a trace may be large.
    if let Detail::Path(trace) = wanted {
        tokio::task::spawn_blocking(move || {
            let _ = reply.send(Ok(Full::Path(path(&trace))));
        });
        return;
    }
    let wanted = match wanted {
        Detail::Query(_) | Detail::Words(_) => return ask(server, wanted, reply),
        other => other,
    };
    let Some(client) = client else {
        let _ = reply.send(Err("not connected".into()));
        return;
    };
    tokio::spawn(async move {
        let text = match wanted {
            Detail::Yaml(object) => detail::yaml(&client, &object).await,
            Detail::Logs { pod, container, previous, tail } => {
                let container = container.map(|c| c.to_string());
                log_text(&client, &LogRequest { pod, container, previous, tail, follow: false }).await
            }
            Detail::Describe(object) => browse::describe::describe(&client, &object, time::now()).await,
            Detail::Drift(object) => browse::applied::drift(&client, &object).await,
            Detail::Kinds(_) => {
                let kinds = browse::kinds::kinds(&client).await;
                let _ = reply.send(kinds.map(Full::Kinds).map_err(|p| p.why));
                return;
            }
            Detail::List(wanted) => {
                let listed = browse::table::list(&client, &wanted).await;
                let _ = reply.send(listed.map(Full::Listed).map_err(|p| p.why));
                return;
            }
            Detail::Follow(ask, lines) => {
                let _ = reply.send(Ok(Full::Text(String::new())));
                let taken = lines.0.clone();
                tokio::select! {
                    () = taken.closed() => {}
                    () = monitor::logs::follow(client, ask, lines.0) => {}
                }
                return;
            }
            Detail::Path(_) | Detail::Query(_) | Detail::Words(_) => return,
        };
        let _ = reply.send(text.map(Full::Text).map_err(|e| e.to_string()));
    });
}

/// What goes to Prometheus rather than to the cluster.
fn ask(server: Option<PromClient>, wanted: Detail, reply: oneshot::Sender<Result<Full, String>>) {
    let Some(server) = server else {
        let _ = reply.send(Err("there is no Prometheus: it is turned off, or was not found yet".into()));
        return;
    };
    tokio::spawn(async move {
        let full = match wanted {
            Detail::Query(query) => Ok(Full::Query(adhoc::query(&server, &query).await)),
            Detail::Words(wanted) => adhoc::words(&server, &wanted).await.map(Full::Words).map_err(|e| e.to_string()),
            _ => return,
        };
        let _ = reply.send(full);
    });
}

/// The last lines of a log as one text.
async fn log_text(client: &Client, wanted: &LogRequest) -> Result<String, DetailError> {
    let lines: Vec<String> = detail::logs(client, wanted).await?.try_collect().await?;
    Ok(if lines.is_empty() { "the log is empty".to_owned() } else { lines.join("\n") })
}

/// The critical path as plain data.
fn path(trace: &Trace) -> TracePath {
    let Some(path) = CriticalPath::of(trace) else {
        let why = "no span is a root: the trace is empty, or its spans wait for each other in a circle";
        return TracePath { steps: Vec::new(), mended: vec![why.into()] };
    };
    let steps = path.steps.iter().map(|s| PathStep { span: s.span, own: s.own }).collect();
    TracePath { steps, mended: mended(&path.mended, path.roots) }
}

fn mended(m: &Mended, roots: usize) -> Vec<Arc<str>> {
    let other = roots.saturating_sub(1);
    [
        (other, "further roots; the path is that of the main one"),
        (m.duplicates, "ids that came more than once; the last span counts"),
        (m.orphans, "spans whose parent is not in the trace"),
        (m.apart, "spans that the main root does not reach"),
        (m.moved, "spans moved into their caller's time, for two clocks disagreed"),
        (m.cut, "spans cut to the time of the one that waited"),
        (m.outside, "spans outside of their parent's time, for which nobody waited"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{what}: {n}").into())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trace::Span;

    fn span(id: &str, parent: Option<&str>, start: i64, duration: i64) -> Span {
        Span { id: id.into(), parent: parent.map(Into::into), start, duration, ..Span::default() }
    }

    #[tokio::test]
    async fn a_path_is_told_without_a_cluster_and_a_log_is_not() {
        let spans = vec![span("a", None, 0, 100), span("b", Some("a"), 10, 80), span("x", Some("gone"), 0, 5)];
        let trace = Arc::new(Trace { spans, ..Trace::default() });
        let (tx, rx) = oneshot::channel();
        answer(None, None, Detail::Path(trace), tx);
        let Ok(Ok(Full::Path(path))) = rx.await else { panic!("no path") };
        assert_eq!(path.steps, [PathStep { span: 0, own: 20 }, PathStep { span: 1, own: 80 }]);
        assert!(path.mended.iter().any(|m| **m == *"spans whose parent is not in the trace: 1"), "{:?}", path.mended);
        let (tx, rx) = oneshot::channel();
        let node = crate::model::object::ObjectRef::cluster(crate::model::object::Resource::NODES, "n1");
        answer(None, None, Detail::Yaml(node), tx);
        assert_eq!(rx.await, Ok(Err("not connected".into())));
        assert!(path.mended.len() < 7 && super::path(&Trace::default()).steps.is_empty());
    }
}
