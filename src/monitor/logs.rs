//! Follows the log of a container over breaks: each reconnection asks from the last line's second on, and what was told
//! already is left out by its time, so that no line comes twice and none is lost.
//!
//! Lines are gathered for a moment; when they come faster than they are taken, the oldest are let go and counted, so that
//! what is shown never lags behind what is written.

use super::detail::{DetailError, first_container, lines};
use super::problem::{Problem, Trouble};
use crate::model::logs::{Ask, Batch, Line, Since, State};
use crate::model::object::{ObjectRef, Resource};
use crate::model::time::Timestamp;
use chrono::{DateTime, SubsecRound as _, Utc};
use futures::{Stream, StreamExt as _};
use kube::Client;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Longest wait for the head of an answer: the kubelet sends it with the first line, and a program may be silent for long.
const ANSWER: Duration = Duration::from_secs(60);

/// How long lines are gathered before they are handed on.
const GATHER: Duration = Duration::from_millis(150);

/// Lines that wait to be taken; beyond them the oldest are let go.
const WAITING: usize = 4_000;

/// Bytes of text that wait to be taken.
const BYTES: usize = 4 << 20;

/// First and longest pause before a log is asked for again.
const PAUSES: (u32, u32) = (1, 30);

/// Follows a log and hands on what comes until it ends or nobody takes it any more.
pub async fn follow(client: Client, ask: Ask, to: mpsc::Sender<Batch>) {
    let mut place = Place::default();
    let mut pause = PAUSES.0;
    loop {
        let before = place.told;
        let why = match open(&client, &ask, &mut place).await {
            Ok(body) => {
                let open = Batch { state: Some(State::Open), ..Batch::default() };
                if to.send(open).await.is_err() {
                    return;
                }
                match pump(body, &mut place, &to).await {
                    Ok(broken) => {
                        broken.unwrap_or_else(|| "the container has ended, or the connection was closed".into())
                    }
                    Err(Nobody) => return,
                }
            }
            Err(problem) if over(&problem) => {
                end(&to, problem.why).await;
                return;
            }
            Err(problem) => problem.why,
        };
        if ask.previous {
            end(&to, "this is all of the instance before".into()).await;
            return;
        }
        pause = if place.told > before { PAUSES.0 } else { (pause * 2).min(PAUSES.1) };
        let state = State::Waiting { why: why.into(), again: pause };
        if to.send(Batch { state: Some(state), ..Batch::default() }).await.is_err() {
            return;
        }
        sleep(Duration::from_secs(pause.into())).await;
        place.resume();
    }
}

/// Whether asking again is no use.
fn over(problem: &Problem) -> bool {
    matches!(problem.trouble, Trouble::NotFound | Trouble::Gone | Trouble::Forbidden)
        // kube-apiserver's words for a container that the pod does not have, and for `previous` without one.
        || problem.trouble == Trouble::Invalid
            && (problem.why.contains("is not valid for pod") || problem.why.contains("previous terminated"))
}

async fn end(to: &mpsc::Sender<Batch>, why: String) {
    let state = State::Ended { why: why.into() };
    // Whoever does not listen any more need not be told.
    let _ = to.send(Batch { state: Some(state), ..Batch::default() }).await;
}

/// Opens the log from where it was left.
async fn open(
    client: &Client,
    ask: &Ask,
    place: &mut Place,
) -> Result<impl Stream<Item = Result<String, DetailError>> + Send + use<>, Problem> {
    let pod = ObjectRef::namespaced(Resource::PODS, ask.pod.namespace.clone(), ask.pod.name.clone());
    let container = match &ask.container {
        Some(name) => Some(name.to_string()),
        None => first_container(client, &pod).await?,
    };
    let mut path = format!("{}/log?timestamps=true&follow={}", pod.path(), !ask.previous);
    if let Some(container) = container {
        let _ = write!(path, "&container={container}");
    }
    if ask.previous {
        path.push_str("&previous=true");
    }
    let _ = match (place.from(), ask.since) {
        // Servers take whole seconds only; what was told of that second is left out by its time.
        (Some(at), _) => write!(path, "&sinceTime={}", at.trunc_subsecs(0).format("%Y-%m-%dT%H:%M:%SZ")),
        (None, Since::Tail(n)) => write!(path, "&tailLines={n}"),
        (None, Since::Seconds(n)) => write!(path, "&sinceSeconds={}", n.max(1)),
        (None, Since::Start) => Ok(()),
    };
    let request = http::Request::get(path).body(Vec::new());
    let request = request.map_err(|e| Problem::of(&kube::Error::HttpError(e)))?;
    match timeout(ANSWER, client.request_stream(request)).await {
        Err(_) => {
            Err(Problem { trouble: Trouble::Unreachable, why: format!("nothing came within {} s", ANSWER.as_secs()) })
        }
        Ok(Err(e)) => Err(Problem::of(&e)),
        Ok(Ok(body)) => Ok(Box::pin(lines(Box::pin(body), format!("log of {pod}")))),
    }
}

/// Nobody takes what is read.
struct Nobody;

/// Hands lines on until they end; says why if they broke.
async fn pump(
    from: impl Stream<Item = Result<String, DetailError>> + Send,
    place: &mut Place,
    to: &mpsc::Sender<Batch>,
) -> Result<Option<String>, Nobody> {
    let mut from = std::pin::pin!(from);
    let mut waiting = Waiting::default();
    let mut due = Instant::now() + GATHER;
    let broken = loop {
        let ready = !waiting.lines.is_empty() && due <= Instant::now();
        tokio::select! {
            permit = to.reserve(), if ready => {
                permit.map_err(|_| Nobody)?.send(waiting.take());
                due = Instant::now() + GATHER;
            }
            () = sleep_until(due), if !ready && !waiting.lines.is_empty() => {}
            () = to.closed() => return Err(Nobody),
            line = from.next() => match line {
                Some(Ok(text)) => waiting.push(place.take(&text)),
                Some(Err(e)) => break Some(e.to_string()),
                None => break None,
            },
        }
    };
    if !waiting.lines.is_empty() || waiting.dropped > 0 {
        to.send(waiting.take()).await.map_err(|_| Nobody)?;
    }
    Ok(broken)
}

/// Lines between the server and whoever takes them.
#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    bytes: usize,
    dropped: u64,
}

impl Waiting {
    fn push(&mut self, line: Option<Line>) {
        let Some(line) = line else { return };
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > WAITING || self.bytes > BYTES {
            let Some(gone) = self.lines.pop_front() else { return };
            self.bytes -= gone.text.len();
            self.dropped += 1;
        }
    }

    fn take(&mut self) -> Batch {
        self.bytes = 0;
        let lines = std::mem::take(&mut self.lines).into();
        Batch { lines, dropped: std::mem::take(&mut self.dropped), state: None }
    }
}

/// How far a log was told.
#[derive(Debug, Default)]
struct Place {
    /// Time of the last line, and how many lines of exactly that time were told.
    last: Option<(Timestamp, u32)>,
    /// How many of exactly that time came again since it was opened again; `None` when past them.
    again: Option<u32>,
    /// Lines told so far.
    told: u64,
}

impl Place {
    /// From when on to ask.
    fn from(&self) -> Option<Timestamp> {
        self.last.map(|(at, _)| at)
    }

    /// It is opened once more.
    fn resume(&mut self) {
        self.again = self.last.map(|_| 0);
    }

    /// A line as the server wrote it, its time in front; `None` if it was told before.
    fn take(&mut self, written: &str) -> Option<Line> {
        let (at, text) = stamped(written);
        if let (Some(seen), Some((last, told)), Some(at)) = (&mut self.again, self.last, at) {
            if at < last {
                return None;
            }
            if at == last && *seen < told {
                *seen += 1;
                return None;
            }
            self.again = None;
        }
        match (at, &mut self.last) {
            (Some(at), Some((last, told))) if at == *last => *told += 1,
            (Some(at), Some((last, _))) if at < *last => {}
            (Some(at), _) => self.last = Some((at, 1)),
            (None, _) => {}
        }
        self.told += 1;
        Some(Line { at, text: plain(text).into() })
    }
}

/// The time in front of a line, if there is one.
fn stamped(line: &str) -> (Option<Timestamp>, &str) {
    let (head, rest) = line.split_once(' ').unwrap_or((line, ""));
    match DateTime::parse_from_rfc3339(head) {
        Ok(at) => (Some(at.with_timezone(&Utc)), rest),
        Err(_) => (None, line),
    }
}

/// A line without the colours that programs write for terminals: their escape characters are gone already.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        out.push_str(&rest[..at]);
        let inside = &rest[at + 1..];
        let end = inside.find(|c: char| !c.is_ascii_digit() && c != ';');
        match end {
            Some(end) if inside[end..].starts_with('m') && (end > 0 || at == 0) => rest = &inside[end + 1..],
            _ => {
                out.push('[');
                rest = inside;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::object::PodKey;
    use wiremock::matchers::{path, query_param, query_param_is_missing};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    fn client_of(server: &MockServer) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap()
    }

    fn ask(previous: bool) -> Ask {
        let pod = PodKey { namespace: "shop".into(), name: "web".into() };
        Ask { id: 1, pod, container: Some("app".into()), previous, since: Since::Tail(2) }
    }

    fn take(place: &mut Place, lines: &[&str]) -> Vec<String> {
        lines.iter().filter_map(|l| place.take(l)).map(|l| l.text.to_string()).collect()
    }

    #[test]
    fn what_was_told_before_a_break_is_not_told_again_and_nothing_is_lost() {
        let mut place = Place::default();
        let first = ["2026-01-01T00:00:00.1Z a", "2026-01-01T00:00:00.5Z b", "2026-01-01T00:00:00.5Z c"];
        assert_eq!(take(&mut place, &first), ["a", "b", "c"]);
        place.resume();
        assert_eq!(place.from().unwrap().to_rfc3339(), "2026-01-01T00:00:00.500+00:00");
        // The server gives the whole second again, and a third line of the same nanosecond.
        let again = [&first[..], &["2026-01-01T00:00:00.5Z d", "2026-01-01T00:00:00.6Z e"]].concat();
        assert_eq!(take(&mut place, &again), ["d", "e"]);
        assert_eq!(take(&mut place, &["2026-01-01T00:00:00.6Z e"]), ["e"], "a program may say the same twice");
    }

    #[test]
    fn what_comes_faster_than_it_is_taken_is_let_go_and_counted() {
        let mut waiting = Waiting::default();
        for i in 0..WAITING + 7 {
            waiting.push(Some(Line { at: None, text: i.to_string().into() }));
        }
        let batch = waiting.take();
        assert_eq!((batch.lines.len(), batch.dropped, &*batch.lines[0].text), (WAITING, 7, "7"));
        waiting.push(Some(Line { at: None, text: "x".repeat(BYTES + 1).into() }));
        assert_eq!(waiting.take().dropped, 1, "bytes count too");
    }

    #[test]
    fn colours_go_and_brackets_stay() {
        assert_eq!(plain("[31mred[0m a[0] [x] [12] [m"), "red a[0] [x] [12] [m");
        assert_eq!(stamped("no time").0, None);
    }

    #[tokio::test]
    async fn a_log_is_asked_for_again_from_its_last_second_and_ends_when_the_pod_is_gone() {
        let server = MockServer::start().await;
        let at = "/api/v1/namespaces/shop/pods/web/log";
        let body = "2026-01-01T00:00:07.25Z one\n2026-01-01T00:00:07.75Z two\n";
        Mock::given(path(at))
            .and(query_param("tailLines", "2"))
            .and(query_param("container", "app"))
            .and(query_param_is_missing("sinceTime"))
            .respond_with(ResponseTemplate::new(200).set_body_string(body))
            .up_to_n_times(1)
            .mount(&server)
            .await;
        Mock::given(path(at))
            .and(query_param("sinceTime", "2026-01-01T00:00:07Z"))
            .respond_with(ResponseTemplate::new(200).set_body_string(format!("{body}2026-01-01T00:00:08Z three\n")))
            .up_to_n_times(1)
            .mount(&server)
            .await;
        let gone = serde_json::json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "pods \"web\" not found"});
        Mock::given(path(at)).respond_with(ResponseTemplate::new(404).set_body_json(gone)).mount(&server).await;
        let (tx, mut rx) = mpsc::channel(16);
        tokio::time::timeout(Duration::from_secs(60), follow(client_of(&server), ask(false), tx)).await.unwrap();
        let (mut lines, mut last) = (Vec::new(), None);
        while let Some(batch) = rx.recv().await {
            lines.extend(batch.lines.into_iter().map(|l| l.text.to_string()));
            last = batch.state.or(last);
        }
        assert_eq!(lines, ["one", "two", "three"]);
        assert!(matches!(last, Some(State::Ended { why }) if why.contains("not found")));
    }
}
