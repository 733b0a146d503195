//! One stored series. Every target is scraped on a grid of its own ([`Grid`]), so no sample stores its time: a series
//! is the list of the scrapes at which its value changed, and a value that stays costs nothing.

use super::history::Before;
use crate::sim::promql::storage::{Labels, STALE, Sample, Series, is_stale};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// Milliseconds between scrapes of a target.
pub const STEP: i64 = 15_000;

/// When a target is scraped: at `n * STEP + offset`, for every whole `n`.
#[derive(Debug)]
pub struct Grid {
    /// Milliseconds, below [`STEP`].
    pub offset: i64,
    /// The newest scrape that is complete.
    last: AtomicU32,
}

impl Grid {
    /// A grid without a scrape yet.
    pub fn new(offset: i64) -> Self {
        Self { offset, last: AtomicU32::new(0) }
    }

    /// Milliseconds of a scrape.
    pub fn time(&self, n: u32) -> i64 {
        i64::from(n) * STEP + self.offset
    }

    /// The last scrape not after a moment.
    pub fn at(&self, ms: i64) -> u32 {
        u32::try_from((ms - self.offset).div_euclid(STEP)).unwrap_or(0)
    }

    /// The newest complete scrape; 0 before the first.
    pub fn last(&self) -> u32 {
        self.last.load(Ordering::Acquire)
    }

    /// Says that a scrape is complete.
    pub fn done(&self, n: u32) {
        self.last.store(n, Ordering::Release);
    }
}

/// Changes of a value, in order of scrapes. The value of scrape `n` is that of the last change at or before it; a
/// [`STALE`] one ends the series until the next.
#[derive(Debug, Default)]
struct Changes {
    at: Vec<u32>,
    values: Vec<f64>,
}

/// A stored series.
#[derive(Debug)]
pub struct Stored {
    labels: Labels,
    grid: Arc<Grid>,
    changes: Mutex<Changes>,
    before: OnceLock<Before>,
}

/// Bytes of a sample that is a change.
pub const CHANGE: usize = size_of::<u32>() + size_of::<f64>();

impl Stored {
    /// An empty series.
    pub fn new(labels: Labels, grid: Arc<Grid>) -> Self {
        Self { labels, grid, changes: Mutex::default(), before: OnceLock::new() }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().expect("no panic while a series is held")
    }

    /// Its labels.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Says what it was before the start.
    pub fn begins(&self, before: Before) {
        // Told once, when the series is made.
        let _ = self.before.set(before);
    }

    /// Appends the value of scrape `n`.
    pub fn push(&self, n: u32, value: f64) {
        let mut c = self.changes();
        if c.values.last().is_none_or(|v| v.to_bits() != value.to_bits()) {
            c.at.push(n);
            c.values.push(value);
        }
    }

    /// Ends it at scrape `n`: the marker, unless it has ended or has never been.
    pub fn end(&self, n: u32) {
        let mut c = self.changes();
        let goes_on = match c.values.last() {
            Some(v) => !is_stale(*v),
            None => self.before.get().is_some(),
        };
        if goes_on {
            c.at.push(n);
            c.values.push(f64::from_bits(STALE));
        }
    }

    /// Forgets what was before scrape `n`. Gives back whether anything is left to know.
    pub fn forget(&self, n: u32) -> bool {
        let mut c = self.changes();
        let keep = c.at.partition_point(|at| *at <= n).saturating_sub(1);
        c.at.drain(..keep);
        c.values.drain(..keep);
        if c.at.capacity() > c.at.len() * 2 + 64 {
            c.at.shrink_to_fit();
            c.values.shrink_to_fit();
        }
        let over = c.at.first().is_some_and(|at| *at < n) && c.values.len() == 1 && is_stale(c.values[0]);
        !over
    }

    /// Bytes it holds, and samples it stands for, up to the newest scrape.
    pub fn size(&self) -> (usize, u64) {
        let c = self.changes();
        let last = self.grid.last();
        let mut samples = 0;
        for (i, (at, value)) in c.at.iter().zip(&c.values).enumerate() {
            let until = c.at.get(i + 1).copied().unwrap_or(last + 1);
            samples += if is_stale(*value) { 1 } else { u64::from(until.saturating_sub(*at)) };
        }
        let labels: usize = self.labels.iter().map(|(k, v)| 2 * size_of::<String>() + k.len() + v.len()).sum();
        (c.at.capacity() * CHANGE + labels + size_of::<Self>(), samples)
    }

    /// Whether it has a sample with `after < at <= to`.
    pub fn any(&self, after: i64, to: i64, last: u32) -> bool {
        if self.before.get().is_some_and(|b| b.any(after, to, &self.grid)) {
            return true;
        }
        let (from, until) = self.window(after, to, last);
        let c = self.changes();
        let next = c.at.partition_point(|at| *at < from);
        // Either something changes inside, or a value lasts into it.
        until >= from
            && (c.at.get(next).is_some_and(|at| *at <= until)
                || next.checked_sub(1).is_some_and(|i| !is_stale(c.values[i])))
    }

    /// The scrapes with `after < time <= to`; empty if the second is less than the first.
    fn window(&self, after: i64, to: i64, last: u32) -> (u32, u32) {
        (self.grid.at(after).saturating_add(1), self.grid.at(to).min(last))
    }

    fn samples(&self, after: i64, to: i64, last: u32, out: &mut Vec<Sample>) {
        if let Some(before) = self.before.get() {
            before.samples(after, to, &self.grid, out);
        }
        let (from, until) = self.window(after, to, last);
        if until < from {
            return;
        }
        let c = self.changes();
        let mut i = c.at.partition_point(|at| *at <= from).saturating_sub(1);
        while let Some(at) = c.at.get(i).copied().filter(|at| *at <= until) {
            let value = c.values[i];
            let end = c.at.get(i + 1).map_or(until, |next| (*next - 1).min(until));
            if is_stale(value) {
                if at >= from {
                    out.push(Sample { at: self.grid.time(at), value });
                }
            } else {
                out.extend((at.max(from)..=end).map(|n| Sample { at: self.grid.time(n), value }));
            }
            i += 1;
        }
    }
}

/// A series as a query sees it: scrapes that come later are not in it.
pub struct Seen {
    series: Arc<Stored>,
    last: u32,
    after: i64,
}

impl Seen {
    /// The series after a time (milliseconds) and up to its newest complete scrape.
    pub fn new(series: Arc<Stored>, after: i64) -> Self {
        let last = series.grid.last();
        Self { series, last, after }
    }

    /// Whether it has a sample with `after < at <= to`.
    pub fn any(&self, after: i64, to: i64) -> bool {
        self.series.any(after, to, self.last)
    }
}

impl Series for Seen {
    fn labels(&self) -> &Labels {
        &self.series.labels
    }

    fn samples(&self, after: i64, to: i64, out: &mut Vec<Sample>) {
        self.series.samples(after.max(self.after), to, self.last, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(s: &Arc<Stored>, after: i64, to: i64) -> Vec<(i64, f64)> {
        let mut out = Vec::new();
        let seen = Seen::new(s.clone(), 0);
        seen.samples(after, to, &mut out);
        assert_eq!(seen.any(after, to), !out.is_empty(), "any({after}, {to}) says what samples gives");
        out.iter().map(|s| (s.at / 1000, if is_stale(s.value) { -1.0 } else { s.value })).collect()
    }

    #[test]
    fn runs_gaps_and_windows() {
        let grid = Arc::new(Grid::new(3_000));
        let s = Arc::new(Stored::new(Labels::default(), grid.clone()));
        for (n, value) in [(10, 1.0), (11, 1.0), (12, 2.0)] {
            s.push(n, value);
            grid.done(n);
        }
        s.end(13);
        s.end(14);
        s.push(16, 2.0);
        grid.done(18);
        let expected = [(153, 1.0), (168, 1.0), (183, 2.0), (198, -1.0), (243, 2.0), (258, 2.0), (273, 2.0)];
        assert_eq!(all(&s, 0, 1_000_000), expected);
        for after in (130..290).step_by(4) {
            for to in (after..300).step_by(7) {
                let inside: Vec<_> = expected.iter().copied().filter(|(t, _)| *t > after && *t <= to).collect();
                assert_eq!(all(&s, after * 1000, to * 1000), inside, "({after}, {to}]");
            }
        }
        assert_eq!(s.size().1, 7);
        assert!(s.forget(11));
        assert_eq!(all(&s, 170_000, 1_000_000), expected[2..]);
    }

    #[test]
    fn a_query_does_not_see_later_scrapes() {
        let grid = Arc::new(Grid::new(0));
        let s = Arc::new(Stored::new(Labels::default(), grid.clone()));
        s.push(1, 1.0);
        grid.done(1);
        let seen = Seen::new(s.clone(), 0);
        grid.done(2);
        s.push(3, 5.0);
        let mut out = Vec::new();
        seen.samples(0, 1_000_000, &mut out);
        assert_eq!(out.len(), 1);
    }
}
