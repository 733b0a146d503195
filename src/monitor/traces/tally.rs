//! Counts what is not kept, by reason, and what is odd about what is: by whoever notices it, without waiting.

use crate::model::trace::Dropped;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why something was not kept.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Why { $($(#[$doc])* $name,)* }

        impl Why {
            const ALL: &[(Self, &str)] = &[$((Self::$name, $text),)*];
        }
    };
}

reasons! {
    /// No protobuf, no JSON, or neither of OTLP.
    Undecodable = "messages that could not be decoded",
    /// Over the limit, before or after decompression.
    TooLarge = "messages over the size limit (traces.message)",
    /// More spans per second than allowed.
    Rate = "messages refused over the rate limit (traces.spans_per_second)",
    /// All places for requests under way were taken.
    Busy = "messages refused while too many were under way",
    /// Neither protobuf nor JSON, or compressed with something else than gzip.
    Foreign = "messages in a format that is not spoken",
    /// Not what OTLP calls an id.
    BadId = "spans without a valid trace or span id",
    /// The clock that measured it is wrong by more than an hour.
    Future = "spans from more than an hour in the future",
    /// The same span again.
    Twice = "spans that came twice",
    /// More of one trace than is put together.
    TooMany = "spans over the limit of one trace (traces.spans_per_trace)",
    /// Its trace had been told as complete, and is not kept or too large to be mended.
    Late = "spans that came after their trace was complete",
    /// A backend was not asked for all it may have.
    Unread = "searches that a backend answered up to their limit, and services not asked for: there may be more traces",
    /// Like enough others that are kept.
    Sampled = "spans of traces of which enough alike are kept",
    /// Was kept, and gave its place to others.
    Memory = "spans that gave way at the memory limit (traces.memory)",
}

macro_rules! oddities {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What is wrong with something that is kept.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Odd { $($(#[$doc])* $name,)* }

        impl Odd {
            const ALL: &[(Self, &str)] = &[$((Self::$name, $text),)*];
        }
    };
}

oddities! {
    /// Taken as 0.
    Negative = "spans with a negative duration, taken as 0",
    /// Two different spans with one id.
    SharedId = "spans that share their id with another of their trace",
    /// Their parent never came.
    Orphan = "spans whose parent is missing",
    /// Each is its own ancestor.
    Circle = "spans that are their own ancestors",
    /// Came late, but their trace could be mended.
    Mended = "late spans that their trace was mended with",
}

/// The counters. Shared by all sources and the store.
#[derive(Debug)]
pub struct Tally {
    dropped: Vec<AtomicU64>,
    odd: Vec<AtomicU64>,
}

impl Default for Tally {
    fn default() -> Self {
        let zeros = |n: usize| std::iter::repeat_with(AtomicU64::default).take(n).collect();
        Self { dropped: zeros(Why::ALL.len()), odd: zeros(Odd::ALL.len()) }
    }
}

impl Tally {
    /// Counts what is not kept.
    pub fn lost(&self, why: Why, count: usize) {
        self.dropped[why as usize].fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Counts what is kept though something is wrong with it.
    pub fn odd(&self, what: Odd, count: usize) {
        self.odd[what as usize].fetch_add(count as u64, Ordering::Relaxed);
    }

    /// What is not zero.
    pub fn dropped(&self) -> Arc<[Dropped]> {
        listed(&self.dropped, Why::ALL.iter().map(|(_, text)| *text))
    }

    /// What is not zero.
    pub fn oddities(&self) -> Arc<[Dropped]> {
        listed(&self.odd, Odd::ALL.iter().map(|(_, text)| *text))
    }
}

fn listed<'a>(counts: &[AtomicU64], texts: impl Iterator<Item = &'a str>) -> Arc<[Dropped]> {
    let all = counts.iter().map(|c| c.load(Ordering::Relaxed)).zip(texts);
    all.filter(|(count, _)| *count > 0).map(|(count, why)| Dropped { why: why.into(), count }).collect()
}
