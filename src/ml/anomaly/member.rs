//! One stream watched: what it has been, how novel it is now, and how surprising that is.

use super::known::{Known, Novelty};
use super::tail::Tail;
use serde::{Deserialize, Serialize};

/// A row is an anomaly when its score is at least this: see [`score_of`].
pub const ALARM: f64 = 0.5;
/// The surprise (`-log10` of the tail probability) whose score is [`ALARM`]: one sample in about five hundred.
const SURPRISING: f64 = 2.7;
/// A novelty of this many ranges weighs as its probability says; ten times as much weighs [`SIZE`] decades more.
const TYPICAL: f64 = 0.1;
/// Decades of probability that a decade of novelty is worth.
const SIZE: f64 = 0.6;
/// Samples of a stream that are learned before its novelties are counted.
const WARM_UP: u64 = 50;

/// Maps a surprise (decades of tail probability) to 0..1, with [`ALARM`] at [`SURPRISING`].
pub(super) fn score_of(surprise: f64) -> f64 {
    1.0 - ALARM.powf(surprise / SURPRISING)
}

/// A stream's memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    known: Known,
    tail: Tail,
    rows: u64,
}

impl Member {
    fn surprise(&self, novelty: &Novelty, rows: u64) -> f64 {
        let rarity = self.tail.surprise(novelty.distance, rows);
        if rarity > 0.0 { (rarity + SIZE * (novelty.distance / TYPICAL).log10()).max(0.0) } else { 0.0 }
    }

    /// Surprise and novelty of `value`; learns it.
    pub fn push(&mut self, value: f64, row: u64) -> Option<(f64, Novelty)> {
        let novelty = if self.rows >= WARM_UP { self.known.novelty(value) } else { None };
        let said = novelty.map(|novelty| (self.surprise(&novelty, row), novelty));
        if let Some(novelty) = novelty {
            self.tail.learn(novelty.distance, row);
        }
        self.known.learn(value, row);
        self.rows += 1;
        said
    }

    /// A stream that starts as one that was surprised `bursts` times by its whole range, for it is a guess at first;
    /// `coarse` keeps fewer values.
    pub fn new(bursts: usize, coarse: bool) -> Self {
        let known = if coarse { Known::coarse() } else { Known::default() };
        Self { known, tail: Tail::doubtful(bursts), rows: 0 }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.known.bytes() + self.tail.bytes()
    }

    /// The lowest and the highest value known.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.known.range_of()
    }

    /// Whether `value` is absurdly far out and nothing like it came just before.
    pub fn is_lone(&self, value: f64) -> bool {
        self.known.is_lone(value)
    }

    /// Forgets what was last seen before `row`.
    pub fn forget_before(&mut self, row: u64) {
        self.known.forget_before(row);
        self.tail.forget_before(row);
    }
}
