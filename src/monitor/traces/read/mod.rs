//! Reads traces from Jaeger or Tempo, every few seconds those of the recent past that were not seen before.

mod error;
mod find;
mod jaeger;
mod product;
mod tempo;
#[cfg(test)]
mod tests;
mod transport;

use super::run::{News, Slot};
use crate::config::settings;
use crate::model::snapshot::SourceState;
use crate::model::time::{self, Timestamp};
use crate::model::trace::Trace;
use chrono::TimeDelta;
use error::ReadError;
use find::Look;
use product::Product;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use transport::Backend;

/// A trace whose last span is younger may still grow: it is read next time.
const SETTLE: TimeDelta = TimeDelta::seconds(10);
/// How far a round reaches back behind the one before, for what a backend is slow to show.
const BEHIND: TimeDelta = TimeDelta::seconds(60);
/// Between two looks for a backend in the cluster.
const LOOK: Duration = Duration::from_secs(300);
/// Longest wait after failures; the first is that between two rounds.
const LONGEST: Duration = Duration::from_secs(120);
/// Rounds that may fail before it is found out anew what is there.
const PATIENCE: u32 = 3;
/// What is looked for without a URL.
const CLUSTER: &str = "Jaeger or Tempo in the cluster";
/// Ids that are remembered.
const REMEMBERED: usize = 20_000;

/// From when to when traces are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Earliest start.
    pub from: Timestamp,
    /// Latest start.
    pub to: Timestamp,
}

/// What came of a round.
#[derive(Debug, Default)]
pub struct Round {
    /// Traces.
    pub traces: Vec<Trace>,
    /// The first thing that went wrong.
    pub wrong: Option<ReadError>,
    /// Searches that were answered up to their limit, so that there may be more, and services that were not asked for.
    pub unread: u64,
}

/// Ids of traces that were read, the last of them.
#[derive(Debug, Default)]
pub struct Seen {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    /// Whether it was read. Backends leave out leading zeros as they like.
    pub fn has(&self, id: &str) -> bool {
        self.ids.contains(&full(id))
    }

    fn add(&mut self, id: String) -> bool {
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(old) = self.order.pop_front()
        {
            self.ids.remove(&old);
        }
        true
    }
}

/// An id as OTLP writes it: 32 lower-case digits.
fn full(id: &str) -> String {
    let hex = !id.is_empty() && id.len() <= 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    if hex { format!("{:0>32}", id.to_ascii_lowercase()) } else { id.to_owned() }
}

/// Reads for ever.
pub async fn run(
    settings: settings::Traces,
    namespaces: Vec<String>,
    kube: Option<kube::Client>,
    news: mpsc::Sender<News>,
) {
    let mut reader = Reader { settings, namespaces, kube, news, seen: Seen::default(), failing: None, last: None };
    let mut wait = reader.settings.poll;
    loop {
        let rest = match reader.find().await {
            Found::Nothing => LOOK,
            Found::Failed => {
                wait = (wait * 2).min(LONGEST);
                wait
            }
            Found::Backend(backend, product) => {
                wait = reader.settings.poll;
                reader.rounds(&backend, product).await;
                continue;
            }
        };
        if reader.news.is_closed() {
            return;
        }
        tokio::time::sleep(rest).await;
    }
}

enum Found {
    Backend(Backend, Product),
    Nothing,
    Failed,
}

struct Reader {
    settings: settings::Traces,
    namespaces: Vec<String>,
    kube: Option<kube::Client>,
    news: mpsc::Sender<News>,
    seen: Seen,
    failing: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Reader {
    async fn find(&mut self) -> Found {
        if self.settings.url == "auto" {
            let Some(kube) = &self.kube else { return Found::Nothing };
            return match find::look(kube, &self.namespaces, &self.settings).await {
                Look::Found(backend, product) => Found::Backend(backend, product),
                Look::Nothing => {
                    self.say(CLUSTER, SourceState::NotServed).await;
                    Found::Nothing
                }
                Look::Refused(why) => {
                    let why = format!("{why}. Set --traces URL, or none to work without").into();
                    self.say(CLUSTER, SourceState::Denied { why }).await;
                    Found::Nothing
                }
                Look::Failed(why) => {
                    let why = format!("{why}. Set --traces URL, or none to work without");
                    self.failed(CLUSTER, &why).await;
                    Found::Failed
                }
            };
        }
        let url = self.settings.url.clone();
        let backend = match Backend::url(&url, &self.settings) {
            Ok(backend) => backend,
            Err(e) => {
                self.failed(&format!("traces {url}"), &e.to_string()).await;
                return Found::Failed;
            }
        };
        match Product::of(&backend).await {
            Ok(product) => Found::Backend(backend, product),
            Err(e) => {
                self.failed(&format!("traces {}", backend.place()), &e.to_string()).await;
                Found::Failed
            }
        }
    }

    /// Reads round by round until the backend failed a few times in a row, or nobody listens any more.
    async fn rounds(&mut self, backend: &Backend, product: Product) {
        let name = format!("{} {}", product.name(), backend.place());
        if self.last.is_none() {
            self.say(&name, SourceState::Syncing { since: time::now() }).await;
        }
        let mut failures = 0;
        while failures < PATIENCE && !self.news.is_closed() {
            match self.round(backend, product).await {
                Ok(round) => {
                    let _ = self.news.send(News::Whole(Slot::Backend, round.traces)).await;
                    if round.unread > 0 {
                        let _ = self.news.send(News::Unread(round.unread)).await;
                    }
                    match round.wrong {
                        None => self.well(&name).await,
                        Some(e) => self.failed(&name, &e.to_string()).await,
                    }
                    failures = 0;
                }
                Err(e) => {
                    self.failed(&name, &e.to_string()).await;
                    failures += 1;
                }
            }
            tokio::time::sleep((self.settings.poll * 2u32.pow(failures)).min(LONGEST)).await;
        }
    }

    /// What is new and at rest.
    async fn round(&mut self, backend: &Backend, product: Product) -> Result<Round, ReadError> {
        let now = time::now();
        let behind = SETTLE + BEHIND + TimeDelta::from_std(self.settings.poll).unwrap_or(BEHIND);
        let window = Window { from: now - behind, to: now };
        let mut round = match product {
            Product::Tempo => tempo::read(backend, &window, &self.seen).await?,
            Product::Jaeger | Product::JaegerV3 => jaeger::read(backend, product, &window).await?,
        };
        let settled = (now - SETTLE).timestamp_nanos_opt().unwrap_or(i64::MAX);
        let at_rest = |t: &Trace| t.extent().is_some_and(|(_, end)| end <= settled);
        round.traces = std::mem::take(&mut round.traces)
            .into_iter()
            .filter(at_rest)
            .filter_map(|mut t| {
                let id = full(&t.id);
                t.id = id.as_str().into();
                self.seen.add(id).then_some(t)
            })
            .collect();
        Ok(round)
    }

    async fn well(&mut self, name: &str) {
        let now = time::now();
        (self.failing, self.last) = (None, Some(now));
        self.say(name, SourceState::Live { last: now }).await;
    }

    async fn failed(&mut self, name: &str, why: &str) {
        let since = *self.failing.get_or_insert_with(time::now);
        let why: Arc<str> = crate::model::text::clean(why).into();
        self.say(name, SourceState::Failed { since, last: self.last, why }).await;
    }

    async fn say(&self, name: &str, state: SourceState) {
        // Who no longer listens has left this cluster, and this task with it.
        let _ = self.news.send(News::Source(Slot::Backend, name.into(), state)).await;
    }
}
