//! Things read in full when they are opened: an object as YAML, a container's log.

use super::live;
use super::problem::Problem;
use crate::model::object::{ObjectRef, PodKey, Resource};
use crate::model::text;
use futures::{AsyncBufRead, AsyncBufReadExt, Stream};
use kube::Client;
use kube::api::LogParams;
use kube::core::Request;
use serde_json::Value;
use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for the head of an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// A line longer than this, in bytes, is cut.
const LONGEST_LINE: usize = 16 * 1024;

/// Why something cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum DetailError {
    #[error("{0}: Secrets are never fetched; read it with kubectl if you must")]
    Secret(ObjectRef),
    #[error("{what}: {why}")]
    Unreadable { what: String, why: String },
}

fn unreadable(what: &impl ToString, problem: &Problem) -> DetailError {
    DetailError::Unreadable { what: what.to_string(), why: problem.why.clone() }
}

/// An object as YAML, without managedFields and safe to draw.
///
/// # Errors
/// Secrets are refused without asking the server; otherwise what the server said.
pub async fn yaml(client: &Client, object: &ObjectRef) -> Result<String, DetailError> {
    if object.resource.plural == "secrets" || object.resource.kind == "Secret" {
        return Err(DetailError::Secret(object.clone()));
    }
    let mut value = live::get(client, &object.path()).await.map_err(|p| unreadable(object, &p))?;
    if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
    }
    let written = serde_saphyr::to_string(&value)
        .map_err(|e| DetailError::Unreadable { what: object.to_string(), why: e.to_string() })?;
    Ok(text::clean_lines(&written))
}

/// Which lines of which log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRequest {
    /// Pod.
    pub pod: PodKey,
    /// Container; `None` for the first of the spec.
    pub container: Option<String>,
    /// The instance before the last restart.
    pub previous: bool,
    /// Lines from the end.
    pub tail: u32,
    /// Go on with what is written from now on.
    pub follow: bool,
}

/// The lines of a log, cleaned, as they come; nothing is read ahead of what is taken. Lines are cut at 16 KiB.
///
/// # Errors
/// What the server said when the log was opened. An error inside the stream ends it.
pub async fn logs(
    client: &Client,
    wanted: &LogRequest,
) -> Result<Pin<Box<dyn Stream<Item = Result<String, DetailError>> + Send>>, DetailError> {
    let object = ObjectRef::namespaced(Resource::PODS, wanted.pod.namespace.clone(), wanted.pod.name.clone());
    let container = match &wanted.container {
        Some(name) => Some(name.clone()),
        None => first_container(client, &object).await.map_err(|p| unreadable(&object, &p))?,
    };
    let params = LogParams {
        container,
        follow: wanted.follow,
        previous: wanted.previous,
        tail_lines: Some(i64::from(wanted.tail)),
        ..LogParams::default()
    };
    let what = format!("log of {object}");
    let fails = |why: String| DetailError::Unreadable { what: what.clone(), why };
    let path = Resource::PODS.path(Some(&wanted.pod.namespace), None);
    let request = Request::new(path).logs(&wanted.pod.name, &params).map_err(|e| fails(e.to_string()))?;
    let body = match timeout(ANSWER, client.request_stream(request)).await {
        Err(_) => return Err(fails(format!("no answer within {} s", ANSWER.as_secs()))),
        Ok(Err(e)) => return Err(unreadable(&what, &Problem::of(&e))),
        Ok(Ok(body)) => body,
    };
    Ok(Box::pin(lines(Box::pin(body), what)))
}

/// The container that is meant where none is named.
pub(super) async fn first_container(client: &Client, pod: &ObjectRef) -> Result<Option<String>, Problem> {
    let object = live::get(client, &pod.path()).await?;
    Ok(object["spec"]["containers"][0]["name"].as_str().map(str::to_owned))
}

/// Reads a body line by line.
pub(super) fn lines<R>(body: Pin<Box<R>>, what: String) -> impl Stream<Item = Result<String, DetailError>> + Send
where
    R: AsyncBufRead + Send,
{
    let start = (body, Cutter::default(), VecDeque::new(), false);
    futures::stream::unfold(start, move |(mut body, mut cutter, mut ready, mut ended)| {
        let what = what.clone();
        async move {
            loop {
                if let Some(line) = ready.pop_front() {
                    return Some((Ok(line), (body, cutter, ready, ended)));
                }
                if ended {
                    return None;
                }
                let taken = match body.fill_buf().await {
                    Ok([]) => {
                        ended = true;
                        ready.extend(cutter.rest());
                        continue;
                    }
                    Ok(bytes) => {
                        cutter.feed(bytes, &mut ready);
                        bytes.len()
                    }
                    Err(e) => {
                        let error = DetailError::Unreadable { what, why: format!("the stream broke: {e}") };
                        return Some((Err(error), (body, cutter, ready, true)));
                    }
                };
                body.as_mut().consume_unpin(taken);
            }
        }
    })
}

/// Cuts bytes into clean lines of bounded length.
#[derive(Debug, Default)]
struct Cutter {
    open: Vec<u8>,
    /// The rest of an overlong line is being dropped.
    dropping: bool,
}

impl Cutter {
    fn feed(&mut self, bytes: &[u8], out: &mut VecDeque<String>) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            if !self.dropping {
                let room = LONGEST_LINE - self.open.len();
                self.open.extend_from_slice(&text[..text.len().min(room)]);
                self.dropping = text.len() > room;
            }
            if ends {
                out.push_back(self.take());
            }
        }
    }

    fn rest(&mut self) -> Option<String> {
        (!self.open.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let mut line = String::from_utf8_lossy(&self.open).trim_end_matches('\r').replace('\t', "    ");
        if std::mem::take(&mut self.dropping) {
            line.push('…');
        }
        self.open.clear();
        text::clean(&line).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(server: &wiremock::MockServer) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap()
    }

    #[tokio::test]
    async fn a_secret_is_refused_without_a_request_and_other_objects_come_without_managed_fields() {
        use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};
        let server = MockServer::start().await;
        let body = serde_json::json!({"kind": "Pod", "metadata": {"name": "web", "managedFields": [{"manager": "m"}]},
            "status": {"message": "\u{1b}[31mred\u{1b}[0m"}});
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
        let pod = ObjectRef::namespaced(Resource::PODS, "shop", "web");
        let shown = yaml(&client(&server), &pod).await.unwrap();
        assert!(
            shown.contains("name: web") && !shown.contains("managedFields") && !shown.contains('\u{1b}'),
            "{shown}"
        );
        let mut secret = pod;
        secret.resource.kind = "Secret".into();
        let asked = server.received_requests().await.unwrap().len();
        assert!(matches!(yaml(&client(&server), &secret).await, Err(DetailError::Secret(_))));
        assert_eq!(server.received_requests().await.unwrap().len(), asked);
    }

    #[tokio::test]
    async fn logs_come_line_by_line_from_the_first_container() {
        use futures::TryStreamExt;
        use wiremock::matchers::{path, query_param};
        use wiremock::{Mock, MockServer, ResponseTemplate};
        let server = MockServer::start().await;
        let pod = serde_json::json!({"spec": {"containers": [{"name": "app"}, {"name": "proxy"}]}});
        let at = "/api/v1/namespaces/shop/pods/web";
        Mock::given(path(at)).respond_with(ResponseTemplate::new(200).set_body_json(pod)).mount(&server).await;
        Mock::given(path(format!("{at}/log")))
            .and(query_param("container", "app"))
            .and(query_param("tailLines", "2"))
            .respond_with(ResponseTemplate::new(200).set_body_string("a\nb"))
            .mount(&server)
            .await;
        let pod = PodKey { namespace: "shop".into(), name: "web".into() };
        let wanted = LogRequest { pod, container: None, previous: false, tail: 2, follow: false };
        let lines: Vec<String> = logs(&client(&server), &wanted).await.unwrap().try_collect().await.unwrap();
        assert_eq!(lines, ["a", "b"]);
    }

    #[test]
    fn lines_are_cut_wherever_the_chunks_end() {
        let mut cutter = Cutter::default();
        let mut out = VecDeque::new();
        for chunk in ["one\ntw", "o\r\n\u{1b}[31mred", "\n\nlast"] {
            cutter.feed(chunk.as_bytes(), &mut out);
        }
        out.extend(cutter.rest());
        assert_eq!(out, ["one", "two", "[31mred", "", "last"]);
    }

    #[test]
    fn an_endless_line_does_not_eat_memory() {
        let mut cutter = Cutter::default();
        let mut out = VecDeque::new();
        for _ in 0..100 {
            cutter.feed(&[b'x'; 10_000], &mut out);
        }
        assert!(cutter.open.len() <= LONGEST_LINE);
        cutter.feed(b"y\nnext\n", &mut out);
        assert!(out[0].len() <= LONGEST_LINE + '…'.len_utf8() && out[0].ends_with('…'));
        assert_eq!(out[1], "next");
    }
}
