//! How every feed is doing, and what that means for the kind it belongs to.

use crate::model::snapshot::{Source, SourceState};
use crate::model::time::Timestamp;
use crate::monitor::feed::{Change, Feed};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug)]
struct FeedState {
    state: SourceState,
    /// List under way or last finished; rows bear it.
    epoch: u32,
    /// A list was finished at least once.
    synced: bool,
}

/// Kind (plural, group) → namespace → state.
type Kinds = BTreeMap<(Arc<str>, Arc<str>), BTreeMap<Option<Arc<str>>, FeedState>>;

/// States of all feeds.
#[derive(Debug, Default)]
pub struct Sources {
    kinds: Kinds,
    counts: BTreeMap<(Arc<str>, Arc<str>), u32>,
    epochs: u32,
}

fn kind_of(feed: &Feed) -> (Arc<str>, Arc<str>) {
    (Arc::from(&*feed.watched.resource.plural), Arc::from(&*feed.watched.resource.group))
}

impl Sources {
    /// Notes a change; gives the epoch that rows of this feed bear, and whether the state (not only its age) changed.
    pub fn note(&mut self, feed: &Feed, change: &Change, now: Timestamp) -> (u32, bool) {
        let kind = kind_of(feed);
        if matches!(change, Change::Closed) {
            let gone = self.kinds.get_mut(&kind).and_then(|feeds| feeds.remove(&feed.namespace)).is_some();
            return (0, gone);
        }
        let fresh = || FeedState { state: SourceState::Unknown, epoch: 0, synced: false };
        let f = self.kinds.entry(kind).or_default().entry(feed.namespace.clone()).or_insert_with(fresh);
        if matches!(change, Change::Begin) {
            self.epochs = self.epochs.wrapping_add(1);
            f.epoch = self.epochs;
        }
        f.synced |= matches!(change, Change::ListDone);
        let next = next(&f.state, f.synced, change, now);
        let changed = !same(&f.state, &next);
        f.state = next;
        (f.epoch, changed)
    }

    /// Whether the feeds of a kind have told all they can for now: listed once, refused, or lost.
    pub fn settled(&self, plural: &str) -> bool {
        let mut feeds = self.kinds.iter().filter(|((p, _), _)| &**p == plural).flat_map(|(_, f)| f.values());
        feeds.all(|f| f.synced || !matches!(f.state, SourceState::Unknown | SourceState::Syncing { .. }))
    }

    /// Whether any feed of a kind was ever listed to its end.
    pub fn listed(&self, plural: &str) -> bool {
        self.kinds.iter().any(|((p, _), feeds)| &**p == plural && feeds.values().any(|f| f.synced))
    }

    /// Namespaces that are watched one by one.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<str>> {
        self.kinds.values().flat_map(|feeds| feeds.keys().flatten())
    }

    /// Counts objects of a kind.
    pub fn count(&mut self, feed: &Feed, by: i64) {
        let n = self.counts.entry(kind_of(feed)).or_default();
        *n = (i64::from(*n) + by).clamp(0, i64::from(u32::MAX)) as u32;
    }

    /// One source per kind; where some namespaces are refused and others are not, the refused ones follow apart.
    pub fn publish(&self) -> Arc<[Source]> {
        let mut out = Vec::with_capacity(self.kinds.len());
        for (kind, feeds) in &self.kinds {
            let objects = self.counts.get(kind).copied().unwrap_or(0);
            let (denied, open): (Vec<_>, Vec<_>) =
                feeds.iter().partition(|(_, f)| matches!(f.state, SourceState::Denied { .. }));
            for (group, objects) in [(open, objects), (denied, 0)] {
                let Some(state) = worst(group.iter().map(|(_, f)| &f.state)) else { continue };
                let namespaces: Option<Vec<Arc<str>>> = group.iter().map(|(ns, _)| (*ns).clone()).collect();
                out.push(Source { name: kind.0.clone(), namespaces: namespaces.map(Arc::from), state, objects });
            }
        }
        out.into()
    }
}

/// The state after a change. A feed that was live and is refused counts as failed: its rows have an age.
fn next(state: &SourceState, synced: bool, change: &Change, now: Timestamp) -> SourceState {
    let lost = |why: &Arc<str>| SourceState::Failed {
        since: if let SourceState::Failed { since, .. } = state { *since } else { now },
        last: state.last(),
        why: why.clone(),
    };
    match change {
        Change::Begin if !synced && !matches!(state, SourceState::Syncing { .. }) => {
            SourceState::Syncing { since: now }
        }
        Change::Begin | Change::Listed(_) | Change::Closed => state.clone(),
        Change::ListDone => SourceState::Live { last: now },
        Change::Applied(_) | Change::Deleted(_) | Change::Alive if synced => SourceState::Live { last: now },
        Change::Applied(_) | Change::Deleted(_) | Change::Alive => state.clone(),
        Change::Failed(why) => lost(why),
        Change::Denied(why) if synced => lost(why),
        Change::Denied(why) => SourceState::Denied { why: why.clone() },
        Change::NotServed => SourceState::NotServed,
    }
}

/// Equal but for the age.
fn same(a: &SourceState, b: &SourceState) -> bool {
    matches!((a, b), (SourceState::Live { .. }, SourceState::Live { .. })) || a == b
}

/// The worst of several states; the oldest sign of life where all are live.
fn worst<'a>(states: impl Iterator<Item = &'a SourceState>) -> Option<SourceState> {
    let rank = |s: &SourceState| match s {
        SourceState::Failed { .. } => 5,
        SourceState::Denied { .. } => 4,
        SourceState::Unknown => 3,
        SourceState::Syncing { .. } => 2,
        SourceState::Live { .. } => 1,
        SourceState::NotServed => 0,
    };
    states.max_by_key(|s| (rank(s), s.last().map(|l| std::cmp::Reverse(l.timestamp_micros())))).cloned()
}
