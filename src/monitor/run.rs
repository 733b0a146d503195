//! Starts the watches and owns the table: gathers changes for a moment, then publishes once.

use super::connect::Connection;
use super::feed::Watched;
use super::scope::{self, Scope};
use super::table::{News, Table};
use super::watch::{Context, Message};
use super::{discovery, heartbeat};
use crate::config::settings;
use crate::model::snapshot::{ApiHealth, Snapshot, SourceState};
use crate::model::time;
use crate::model::time::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Changes on their way to the table; the watches wait when it is full.
const IN_FLIGHT: usize = 1024;
/// Between two looks for kinds that were not served before.
const DISCOVER: Duration = Duration::from_secs(300);
/// The same after a failed look.
const DISCOVER_AGAIN: Duration = Duration::from_secs(15);
/// Between two publications when only ages changed.
const AGES: Duration = Duration::from_secs(5);
/// A quiet watch is renewed after this many seconds, within these bounds.
const RENEW: (u64, u64) = (10, 60);

/// A running monitor. It stops when its token is cancelled.
#[derive(Debug, Clone)]
pub struct MonitorHandle {
    /// The latest picture of the cluster; `metrics` in it is left empty.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// Starts watching. Must be called inside a tokio runtime; everything ends when `cancel` is cancelled.
pub fn spawn(connection: &Connection, settings: &settings::Monitor, cancel: CancellationToken) -> MonitorHandle {
    let (out, changes) = mpsc::channel(IN_FLIGHT);
    let empty = Snapshot::empty(connection.info.clone(), time::now());
    let (publish, snapshots) = watch::channel(Arc::new(empty));
    let renew = (time::real(settings.stale_after).as_secs() * 2 / 3).clamp(RENEW.0, RENEW.1) as u32;
    let context = Context { client: connection.read.clone(), out: out.clone(), renew };
    let watches = Box::pin(supervise(context, Arc::new(Scope::of(connection))));
    let beats = Box::pin(heartbeat::run(connection.read.clone(), settings.heartbeat, out));
    let table = Table::new(settings.events, connection.info.namespaces.clone());
    let keeper = Box::pin(keep(table, changes, publish, settings.debounce));
    tokio::spawn(async move {
        cancel.run_until_cancelled(async { tokio::join!(watches, beats, keeper) }).await;
    });
    MonitorHandle { snapshots }
}

/// Watches the kinds every cluster has, and those that discovery finds, now or later.
async fn supervise(context: Context, scope: Arc<Scope>) {
    // Dropped with this future, and the watches with it.
    let mut watches = JoinSet::new();
    let mut started = HashSet::new();
    let mut start = |watched: Arc<Watched>| {
        if started.insert((watched.resource.group.clone(), watched.resource.plural.clone())) {
            watches.spawn(scope::watch(context.clone(), watched, scope.clone()));
        }
    };
    Watched::core().into_iter().for_each(&mut start);
    loop {
        let again = match discovery::optional(&context.client).await {
            Ok(kinds) => {
                kinds.into_iter().for_each(&mut start);
                DISCOVER
            }
            Err(_) => DISCOVER_AGAIN,
        };
        sleep(again).await;
    }
}

/// Owns the table. The first change starts the clock; when it rings, everything gathered is published at once.
async fn keep(
    mut table: Table,
    mut changes: mpsc::Receiver<Message>,
    publish: watch::Sender<Arc<Snapshot>>,
    debounce: Duration,
) {
    let mut api = publish.borrow().api.clone();
    let mut batch = Vec::with_capacity(IN_FLIGHT);
    let mut due: Option<Instant> = None;
    let mut published = Instant::now();
    loop {
        let ring = async {
            match due {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = ring => {
                send(&mut table, &publish, &api, time::now());
                published = Instant::now();
                due = None;
            }
            got = changes.recv_many(&mut batch, IN_FLIGHT) => {
                if got == 0 {
                    return;
                }
                let now = time::now();
                let mut news = News::None;
                for message in batch.drain(..) {
                    match message {
                        Message::Delta(delta) => table.apply(delta, now),
                        Message::Api(health) => {
                            let turned = std::mem::discriminant(&health.state) != std::mem::discriminant(&api.state);
                            news = news.max(if turned { News::Change } else { News::Ages });
                            api = health;
                        }
                    }
                }
                let at = match news.max(table.news()) {
                    News::None => None,
                    News::Ages => Some(published + time::real(AGES)),
                    News::Change => Some(Instant::now() + debounce),
                };
                // Never later than already promised, so that a steady stream of changes cannot put it off.
                due = [due, at].into_iter().flatten().min();
            }
        }
    }
}

fn send(table: &mut Table, publish: &watch::Sender<Arc<Snapshot>>, api: &ApiHealth, now: Timestamp) {
    let parts = table.publish();
    publish.send_modify(|last| {
        *last = Arc::new(Snapshot {
            seq: last.seq + 1,
            taken: now,
            cluster: last.cluster.clone(),
            api: api.clone(),
            sources: parts.sources,
            workloads: parts.workloads,
            nodes: parts.nodes,
            namespaces: parts.namespaces,
            hpas: parts.hpas,
            pdbs: parts.pdbs,
            config_maps: parts.config_maps,
            events: parts.events,
            metrics: last.metrics.clone(),
            traces: last.traces.clone(),
        });
    });
}

/// Whether a snapshot's watched kinds have all been listed, refused, or lost: nothing more comes for now.
pub fn settled(snapshot: &Snapshot) -> bool {
    let waiting = |s: &SourceState| matches!(s, SourceState::Unknown | SourceState::Syncing { .. });
    snapshot.sources.len() >= Watched::core().len() && !snapshot.sources.iter().any(|s| waiting(&s.state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::object::Resource;
    use crate::model::snapshot::ClusterInfo;
    use crate::monitor::feed::{Change, Delta, Feed, Object};

    const DEBOUNCE: Duration = Duration::from_millis(200);

    fn start() -> (mpsc::Sender<Message>, watch::Receiver<Arc<Snapshot>>) {
        let text = |t: &str| Arc::from(t);
        let (id, context, server) = (text("c"), text("x"), text("s"));
        let info = ClusterInfo { id, context, server, version: text("v"), user: text("u"), namespaces: None };
        let (out, changes) = mpsc::channel(64);
        let (publish, snapshots) = watch::channel(Arc::new(Snapshot::empty(info, time::now())));
        tokio::spawn(keep(Table::new(10, None), changes, publish, DEBOUNCE));
        (out, snapshots)
    }

    async fn say(out: &mpsc::Sender<Message>, change: Change) {
        let feed = Arc::new(Feed { watched: Watched::of(&Resource::PODS).unwrap(), namespace: None });
        out.send(Message::Delta(Delta { feed, change })).await.unwrap();
    }

    fn pod(name: &str) -> Object {
        let raw = format!("{{\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"shop\",\"uid\":\"{name}\"}}}}");
        Object::Pod(serde_json::from_str(&raw).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_a_moment_are_published_once_and_a_steady_stream_does_not_put_it_off() {
        let (out, mut snapshots) = start();
        let began = Instant::now();
        say(&out, Change::Begin).await;
        for n in 0..10 {
            say(&out, Change::Listed(pod(&format!("p{n}")))).await;
            sleep(Duration::from_millis(30)).await;
        }
        snapshots.changed().await.unwrap();
        let first = snapshots.borrow_and_update().clone();
        assert_eq!(first.seq, 1, "one publication for all that came within the debounce");
        assert!((6..=8).contains(&first.pod_count()), "{}", first.pod_count());
        snapshots.changed().await.unwrap();
        let second = snapshots.borrow_and_update().clone();
        assert_eq!((second.pod_count(), second.seq), (10, 2));
        assert!(began.elapsed() < 3 * DEBOUNCE);
    }

    #[tokio::test(start_paused = true)]
    async fn signs_of_life_alone_are_published_every_few_seconds_and_silence_never() {
        let (out, mut snapshots) = start();
        for change in [Change::Begin, Change::ListDone] {
            say(&out, change).await;
        }
        snapshots.changed().await.unwrap();
        let published = Instant::now();
        let before = snapshots.borrow_and_update().clone();
        say(&out, Change::Alive).await;
        snapshots.changed().await.unwrap();
        assert!(published.elapsed() + DEBOUNCE >= AGES, "{:?}", published.elapsed());
        let after = snapshots.borrow_and_update().clone();
        assert!(Arc::ptr_eq(&before.workloads, &after.workloads));
        assert!(tokio::time::timeout(Duration::from_secs(3600), snapshots.changed()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stops_answering_is_published_at_once() {
        let (out, mut snapshots) = start();
        let now = time::now();
        let health = |state| Message::Api(ApiHealth { state, latency_ms: None, clock_skew_s: None, throttled: 0 });
        out.send(health(SourceState::Live { last: now })).await.unwrap();
        snapshots.changed().await.unwrap();
        let asked = Instant::now();
        let failed = SourceState::Failed { since: now, last: Some(now), why: "gone".into() };
        out.send(health(failed.clone())).await.unwrap();
        snapshots.changed().await.unwrap();
        assert_eq!(snapshots.borrow().api.state, failed);
        assert!(asked.elapsed() <= DEBOUNCE);
    }
}
