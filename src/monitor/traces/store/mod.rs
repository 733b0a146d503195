//! Puts spans together to traces, hands every complete one on exactly once, and keeps what is worth keeping within a bound.

mod shape;
mod shelf;
mod slow;
#[cfg(test)]
mod tests;

use super::bounds::{Incoming, weight};
use super::tally::{Odd, Tally, Why};
use crate::model::time::Timestamp;
use crate::model::trace::{Span, Trace};
use chrono::TimeDelta;
use shelf::{Class, Shelves};
use slow::Pace;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

/// Complete traces that are remembered, so that what comes late is known to be late.
const REMEMBERED: usize = 65_536;
/// A kept trace with more spans is not mended with late ones: each time it would be copied.
const MENDABLE: usize = 2_000;
/// Clocks that are wrong by more are not believed.
const FUTURE: TimeDelta = TimeDelta::hours(1);
/// Seconds over which the rate is told.
const RATE_OVER: i64 = 60;
/// Bytes of a trace beside its spans.
const TRACE: usize = 256;

/// How much is held, and how long a trace is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes, as estimated, for traces that are being put together and that are kept.
    pub memory: usize,
    /// Spans of one trace.
    pub spans: usize,
    /// A trace is complete when nothing of it came for so long,
    pub quiet: Duration,
    /// or when it has been put together for so long.
    pub longest: Duration,
}

/// A trace that is being put together.
#[derive(Debug)]
struct Open {
    trace: Trace,
    bytes: usize,
    first: Instant,
    last: Instant,
}

/// The store. One task owns it.
pub struct Store {
    limits: Limits,
    tally: Arc<Tally>,
    completed: mpsc::Sender<Arc<Trace>>,
    missed: Arc<AtomicU64>,
    /// Bytes of the traces that were handed on last, as many as still wait there.
    waiting: VecDeque<usize>,
    open: HashMap<u64, Open>,
    open_bytes: usize,
    /// When to look whether a trace is complete; each open trace is in it once.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    kept: Shelves,
    relaxed: Option<Timestamp>,
    pace: Pace,
    known: HashSet<u64>,
    known_order: VecDeque<u64>,
    received: u64,
    seconds: VecDeque<(i64, u64)>,
    began: Option<i64>,
    last: Option<Timestamp>,
}

/// One number for a trace's id.
fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

impl Store {
    /// An empty store that hands complete traces to `completed` and counts those that find no place there in `missed`.
    pub fn new(limits: Limits, tally: Arc<Tally>, completed: mpsc::Sender<Arc<Trace>>, missed: Arc<AtomicU64>) -> Self {
        Self {
            limits,
            tally,
            completed,
            missed,
            waiting: VecDeque::new(),
            open: HashMap::new(),
            open_bytes: 0,
            due: BinaryHeap::new(),
            kept: Shelves::default(),
            relaxed: None,
            pace: Pace::default(),
            known: HashSet::new(),
            known_order: VecDeque::new(),
            received: 0,
            seconds: VecDeque::new(),
            began: None,
            last: None,
        }
    }

    /// Takes spans as they came. `at` is when, `now` the time of the cluster.
    pub fn push(&mut self, spans: Vec<Incoming>, at: Instant, now: Timestamp) {
        self.count(spans.len(), now);
        let latest = (now + FUTURE).timestamp_nanos_opt().unwrap_or(i64::MAX);
        let mut late: HashMap<u64, Vec<Span>> = HashMap::new();
        for one in spans {
            if one.span.start > latest {
                self.tally.lost(Why::Future, 1);
                continue;
            }
            let hash = hash(&one.trace);
            if self.known.contains(&hash) {
                late.entry(hash).or_default().push(one.span);
                continue;
            }
            self.add(hash, one, at);
        }
        for (hash, spans) in late {
            self.mend(hash, spans);
        }
        self.make_room(now);
    }

    /// Takes traces that a backend put together. What is known already is left out: backends are asked again and again.
    pub fn whole(&mut self, traces: Vec<Trace>, now: Timestamp) {
        for mut trace in traces {
            let hash = hash(&trace.id);
            if self.known.contains(&hash) || self.open.contains_key(&hash) {
                continue;
            }
            self.count(trace.spans.len(), now);
            let over = trace.spans.len().saturating_sub(self.limits.spans);
            trace.spans.truncate(self.limits.spans);
            self.tally.lost(Why::TooMany, over);
            self.tally.odd(Odd::Negative, trace.negative);
            let bytes = TRACE + trace.spans.iter().map(weight).sum::<usize>();
            self.complete(hash, trace, bytes, now);
            self.make_room(now);
        }
    }

    /// Looks which traces are complete, and lets go what is old.
    pub fn tick(&mut self, at: Instant, now: Timestamp) {
        while let Some(Reverse((due, hash))) = self.due.peek().copied() {
            if due > at {
                break;
            }
            self.due.pop();
            let Some(open) = self.open.get(&hash) else { continue };
            let due = (open.last + self.limits.quiet).min(open.first + self.limits.longest);
            if due > at {
                self.due.push(Reverse((due, hash)));
            } else {
                self.finish(hash, now);
            }
        }
        if self.relaxed.is_none_or(|then| now.signed_duration_since(then) >= TimeDelta::minutes(1)) {
            self.relaxed = Some(now);
            self.kept.relax(now);
        }
        self.make_room(now);
    }

    /// What is kept: errors and slow traces first.
    pub fn kept(&self) -> Arc<[Arc<Trace>]> {
        self.kept.all()
    }

    /// Bytes held, as estimated, and their limit.
    pub fn bytes(&self) -> (usize, usize) {
        (self.open_bytes + self.kept.bytes(), self.limits.memory)
    }

    /// Spans received, spans per second over the last minute, and when the last came.
    pub fn received(&self, now: Timestamp) -> (u64, f64, Option<Timestamp>) {
        let since = now.timestamp() - RATE_OVER;
        let lately: u64 = self.seconds.iter().filter(|(s, _)| *s > since).map(|(_, n)| n).sum();
        let over = self.began.map_or(RATE_OVER, |began| (now.timestamp() - began).clamp(1, RATE_OVER));
        (self.received, lately as f64 / over as f64, self.last)
    }

    fn count(&mut self, spans: usize, now: Timestamp) {
        let second = now.timestamp();
        self.received += spans as u64;
        self.last = Some(now);
        self.began.get_or_insert(second);
        match self.seconds.back_mut() {
            Some((s, n)) if *s >= second => *n += spans as u64,
            _ => self.seconds.push_back((second, spans as u64)),
        }
        while self.seconds.len() > RATE_OVER as usize {
            self.seconds.pop_front();
        }
    }

    fn add(&mut self, hash: u64, one: Incoming, at: Instant) {
        let Incoming { trace, span, negative } = one;
        let open = self.open.entry(hash).or_insert_with(|| {
            self.due.push(Reverse((at + self.limits.quiet, hash)));
            self.open_bytes += TRACE;
            Open { trace: Trace { id: trace, ..Trace::default() }, bytes: TRACE, first: at, last: at }
        });
        open.last = at;
        if open.trace.spans.len() >= self.limits.spans {
            self.tally.lost(Why::TooMany, 1);
            return;
        }
        let bytes = weight(&span);
        open.bytes += bytes;
        self.open_bytes += bytes;
        open.trace.negative += usize::from(negative);
        self.tally.odd(Odd::Negative, usize::from(negative));
        open.trace.spans.push(span);
    }

    /// Late spans go into their trace where it is kept and small; whoever looked at it has not seen them.
    fn mend(&mut self, hash: u64, spans: Vec<Span>) {
        let count = spans.len();
        let mut twice = 0;
        let mended = self.kept.mend(hash, |trace| {
            if trace.spans.len() + count > MENDABLE {
                return None;
            }
            let bytes = spans.iter().map(weight).sum();
            let failed = spans.iter().any(|s| s.error);
            let mut trace = trace.clone();
            trace.spans.extend(spans);
            twice = shape::unique(&mut trace).0;
            Some((Arc::new(trace), failed, bytes))
        });
        if mended {
            self.tally.lost(Why::Twice, twice);
            self.tally.odd(Odd::Mended, count - twice.min(count));
        } else {
            self.tally.lost(Why::Late, count);
        }
    }

    fn finish(&mut self, hash: u64, now: Timestamp) {
        if let Some(open) = self.open.remove(&hash) {
            self.open_bytes -= open.bytes;
            self.complete(hash, open.trace, open.bytes, now);
        }
    }

    fn complete(&mut self, hash: u64, mut trace: Trace, bytes: usize, now: Timestamp) {
        let (twice, shared) = shape::unique(&mut trace);
        let (orphans, circle) = shape::astray(&trace);
        self.tally.lost(Why::Twice, twice);
        self.tally.odd(Odd::SharedId, shared);
        self.tally.odd(Odd::Orphan, orphans);
        self.tally.odd(Odd::Circle, circle);
        self.remember(hash);
        let Some(root) = shape::root(&trace) else { return };
        let operation: Arc<str> = root.name().into();
        let slow = self.pace.slow(&operation, root.duration);
        let class = if trace.spans.iter().any(|s| s.error) {
            Class::Error
        } else if slow {
            Class::Slow
        } else {
            Class::Usual
        };
        trace.spans.shrink_to_fit();
        let trace = Arc::new(trace);
        self.hand_on(&trace, bytes);
        let spans = trace.spans.len();
        if !self.kept.put(hash, trace, class, operation, bytes, now) {
            self.tally.lost(Why::Sampled, spans);
        }
    }

    /// Every complete trace goes to whoever looks at them, unless a quarter of the memory already waits there.
    fn hand_on(&mut self, trace: &Arc<Trace>, bytes: usize) {
        let queued = self.completed.max_capacity() - self.completed.capacity();
        while self.waiting.len() > queued {
            self.waiting.pop_front();
        }
        let held: usize = self.waiting.iter().sum();
        let sent = if held > self.limits.memory / 4 {
            Ok(false)
        } else {
            self.completed.try_send(trace.clone()).map(|()| true)
        };
        match sent {
            Ok(true) => self.waiting.push_back(bytes),
            Ok(false) | Err(TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
            // Nobody looks at them.
            Err(TrySendError::Closed(_)) => {}
        }
    }

    fn remember(&mut self, hash: u64) {
        if self.known.insert(hash) {
            self.known_order.push_back(hash);
        }
        if self.known_order.len() > REMEMBERED
            && let Some(old) = self.known_order.pop_front()
        {
            self.known.remove(&old);
        }
    }

    /// Traces that are being put together take at most half of the memory: beyond that those that wait longest count as complete.
    fn make_room(&mut self, now: Timestamp) {
        while self.open_bytes > self.limits.memory / 2
            && let Some(Reverse((_, hash))) = self.due.pop()
        {
            self.finish(hash, now);
        }
        while self.open_bytes + self.kept.bytes() > self.limits.memory && !self.kept.is_empty() {
            self.tally.lost(Why::Memory, self.kept.thin(self.limits.memory, now));
        }
    }
}
