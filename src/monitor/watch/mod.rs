//! One watch of one kind: list, watch, resume, and start over, for ever, telling the table all of it.
//!
//! kube's own `watcher` hides bookmarks and quiet reconnects, so that a silent kind and a dead
//! connection look alike. This loop uses the same requests and reports every sign of life: a watch is
//! asked for less time than data may be old, so even a quiet kind is heard of in time.

mod backoff;
mod list;

use super::feed::{Change, Delta, Feed, Object};
use super::lite::Lite;
use super::problem::{Problem, Trouble};
use crate::model::snapshot::ApiHealth;
use backoff::Backoff;
use futures::{StreamExt, pin_mut};
use kube::Client;
use kube::api::{WatchEvent, WatchParams};
use kube::core::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for the head of an answer.
const ANSWER: Duration = Duration::from_secs(15);
/// Between two questions that were refused.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// A watch that ends sooner than this was not quiet but broken.
const TOO_SHORT: Duration = Duration::from_secs(1);

/// What the table's task hears.
#[derive(Debug)]
pub enum Message {
    /// A change of what is watched.
    Delta(Delta),
    /// How the API server does.
    Api(ApiHealth),
}

/// What every watch needs.
#[derive(Clone)]
pub struct Context {
    /// For reading; without hidden retries.
    pub client: Client,
    /// To the table.
    pub out: mpsc::Sender<Message>,
    /// Seconds after which a quiet watch is renewed.
    pub renew: u32,
}

/// Why a watch did not go on.
#[derive(Debug)]
enum Stop {
    /// The table is gone: the console is leaving.
    Closed,
    /// Streaming lists are not understood here.
    NoStreaming,
    /// The server refused or was lost. With a resource version, the watch can go on from there.
    Problem(Problem, Option<String>),
}

/// One watch.
struct Watch<T> {
    context: Context,
    feed: Arc<Feed>,
    wrap: fn(Box<T>) -> Object,
    path: String,
}

/// Watches until the receiver is gone. With `may_yield`, gives up when it is refused before anything
/// was listed, so that the caller can try single namespaces.
pub async fn run<T: Lite>(context: Context, feed: Arc<Feed>, wrap: fn(Box<T>) -> Object, may_yield: bool) {
    let path = feed.watched.resource.path(feed.namespace.as_deref(), None);
    let watch = Watch { context, feed, wrap, path };
    let mut backoff = Backoff::default();
    let mut streaming = true;
    let mut listed = false;
    let mut resume: Option<String> = None;
    loop {
        let started = Instant::now();
        let step = match resume.take() {
            Some(version) => watch.follow(version).await,
            None if streaming => watch.list_streaming().await,
            None => watch.list_paged().await,
        };
        match step {
            Ok(version) => {
                listed = true;
                resume = Some(version);
                if started.elapsed() >= TOO_SHORT {
                    backoff.reset();
                } else if backoff.quick_again() {
                    sleep(backoff.next()).await;
                }
            }
            Err(Stop::Closed) => return,
            Err(Stop::NoStreaming) => streaming = false,
            Err(Stop::Problem(problem, version)) => {
                resume = version;
                let refused = matches!(problem.trouble, Trouble::Forbidden | Trouble::Unauthorized);
                if refused && !listed && may_yield {
                    return;
                }
                let wait = if refused && !listed { ASK_AGAIN } else { backoff.next() };
                let Some(wait) = watch.report(problem, wait).await else { return };
                sleep(wait).await;
            }
        }
    }
}

/// Tells the table that a feed is given up for others.
pub async fn close(context: &Context, feed: Arc<Feed>) {
    // Fails only when the table is gone, and then nobody is left to be told.
    let _ = context.out.send(Message::Delta(Delta { feed, change: Change::Closed })).await;
}

impl<T: Lite> Watch<T> {
    async fn tell(&self, change: Change) -> Result<(), Stop> {
        let message = Message::Delta(Delta { feed: self.feed.clone(), change });
        self.context.out.send(message).await.map_err(|_| Stop::Closed)
    }

    /// Tells the table about a problem; gives the time to wait, or nothing when the table is gone.
    async fn report(&self, problem: Problem, wait: Duration) -> Option<Duration> {
        let why: Arc<str> = problem.why.into();
        let (change, wait) = match problem.trouble {
            // The version is too old: nothing is wrong, the list is simply read again.
            Trouble::Gone => return Some(wait),
            Trouble::Forbidden | Trouble::Unauthorized => (Change::Denied(why), wait),
            Trouble::NotFound => (Change::NotServed, ASK_AGAIN),
            _ => (Change::Failed(why), wait),
        };
        self.tell(change).await.ok()?;
        Some(wait)
    }

    /// Follows changes from a version on; gives the version to go on from.
    async fn follow(&self, mut version: String) -> Result<String, Stop> {
        let params = WatchParams { timeout: Some(self.context.renew), bookmarks: true, ..WatchParams::default() };
        let events = match self.open(&params, &version).await {
            Ok(events) => events,
            Err(problem) => {
                let resume = (problem.trouble != Trouble::Gone).then_some(version);
                return Err(Stop::Problem(problem, resume));
            }
        };
        pin_mut!(events);
        self.tell(Change::Alive).await?;
        let idle = Duration::from_secs(u64::from(self.context.renew) + 5);
        loop {
            let Ok(next) = timeout(idle, events.next()).await else {
                let why = format!("nothing was heard for {} s: the connection is dead", idle.as_secs());
                return Err(Stop::Problem(Problem { trouble: Trouble::Unreachable, why }, Some(version)));
            };
            let change = match next {
                None => return Ok(version),
                Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    version.clone_from(&object.meta().resource_version);
                    Change::Applied((self.wrap)(Box::new(object)))
                }
                Some(Ok(WatchEvent::Deleted(object))) => {
                    version.clone_from(&object.meta().resource_version);
                    Change::Deleted((self.wrap)(Box::new(object)))
                }
                Some(Ok(WatchEvent::Bookmark(mark))) => {
                    version = mark.metadata.resource_version;
                    Change::Alive
                }
                Some(Ok(WatchEvent::Error(status))) => {
                    return Err(Stop::Problem(Problem::of_status(&status), None));
                }
                Some(Err(error)) => {
                    let problem = Problem::of(&error);
                    // What cannot be read would be sent again: only a new list gets past it.
                    let resume = (problem.trouble == Trouble::Unreachable).then_some(version);
                    return Err(Stop::Problem(problem, resume));
                }
            };
            self.tell(change).await?;
        }
    }

    /// Asks for metadata only, where nothing else is read; a server that cannot do so sends whole objects.
    fn ask_for(&self, request: &mut http::Request<Vec<u8>>, form: &str) {
        if self.feed.watched.is_bare() {
            let accept = format!("application/json;as={form};g=meta.k8s.io;v=v1,application/json");
            request.headers_mut().insert(http::header::ACCEPT, accept.parse().expect("a plain header"));
        }
    }

    /// Opens a watch.
    async fn open(
        &self,
        params: &WatchParams,
        version: &str,
    ) -> Result<impl futures::Stream<Item = kube::Result<WatchEvent<T>>> + use<T>, Problem> {
        let mut request = Request::new(&*self.path).watch(params, version).map_err(|e| invalid(&e))?;
        self.ask_for(&mut request, "PartialObjectMetadata");
        match timeout(ANSWER, self.context.client.request_events::<T>(request)).await {
            Ok(Ok(events)) => Ok(events),
            Ok(Err(error)) => Err(Problem::of(&error)),
            Err(_) => Err(no_answer()),
        }
    }
}

fn no_answer() -> Problem {
    let why = format!("no answer within {} s", ANSWER.as_secs());
    Problem { trouble: Trouble::Unreachable, why }
}

fn invalid(error: &kube::core::request::Error) -> Problem {
    Problem { trouble: Trouble::Invalid, why: error.to_string() }
}

#[cfg(test)]
mod tests;
