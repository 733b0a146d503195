//! Logs that are followed: which container's, from when, and the lines as they come.

use super::object::PodKey;
use super::time::Timestamp;
use std::sync::Arc;

/// From when on lines are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This many lines from the end.
    Tail(u32),
    /// What was written in the last seconds.
    Seconds(u32),
    /// Everything that the kubelet still keeps.
    Start,
}

/// The log of one container that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Told with every batch, so that late ones of another question are not taken for these.
    pub id: u64,
    /// Pod.
    pub pod: PodKey,
    /// Container; `None` for the first of the spec.
    pub container: Option<Arc<str>>,
    /// The instance before the last restart: read once, not followed.
    pub previous: bool,
    /// From when on.
    pub since: Since,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When the runtime took it; `None` where the server told no time.
    pub at: Option<Timestamp>,
    /// Its text, clean.
    pub text: Box<str>,
}

/// How it stands with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Asked for, nothing came yet.
    Opening,
    /// Lines come as they are written.
    Open,
    /// Nothing comes now; it is asked for again.
    Waiting {
        /// Why.
        why: Arc<str>,
        /// In how many seconds.
        again: u32,
    },
    /// Nothing more will come.
    Ended {
        /// Why.
        why: Arc<str>,
    },
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// New lines in the order in which they came.
    pub lines: Vec<Line>,
    /// Lines that came faster than they were taken and were let go, oldest first.
    pub dropped: u64,
    /// How it stands from now on, if that changed.
    pub state: Option<State>,
}
