//! What was before the simulation began: computed when a query asks for it, by the code that measures the present.

use super::series::{Grid, STEP};
use crate::sim::clock::at;
use crate::sim::export::{self, Family, Known, Sink, Unit, View};
use crate::sim::machine::{Calls, Machine, Past, Place, Process, Usage};
use crate::sim::promql::storage::{STALE, Sample, is_stale};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

/// Milliseconds of history there are.
pub const DAYS: i64 = 14 * 86_400_000;

/// Scrapes that are computed together.
const BLOCK: u32 = 60;

/// Scrapes of a block that are measured; what lies between follows the line through its neighbours, as what it counts goes on
/// evenly but for a slow waver.
const KNOTS: [u32; 7] = [0, 10, 20, 30, 40, 50, BLOCK - 1];

/// Bytes of computed values that are kept for the next series or query.
const KEPT: usize = 64 << 20;

/// What a series was before the start.
#[derive(Debug)]
pub enum Before {
    /// The same all along: an object that did not change, from its creation (milliseconds) on.
    Same {
        /// Since when.
        from: i64,
        /// Value.
        value: f64,
        /// Until when, exclusive: the start.
        start: i64,
    },
    /// One of the values of something measured.
    Measured {
        /// What.
        unit: Arc<Measured>,
        /// Which of its values.
        column: usize,
    },
}

impl Before {
    fn span(&self) -> (i64, i64) {
        match self {
            Self::Same { from, start, .. } => ((*from).max(start - DAYS), *start),
            Self::Measured { unit, .. } => (unit.world.start - DAYS, unit.world.start),
        }
    }

    /// The scrapes within `after < t <= to` that are before the start.
    fn window(&self, after: i64, to: i64, grid: &Grid) -> std::ops::Range<u32> {
        let (from, start) = self.span();
        let first = grid.at(after.max(from - 1)) + 1;
        first..(grid.at(to.min(start - 1)) + 1).max(first)
    }

    /// Whether there is a sample with `after < at <= to`.
    pub fn any(&self, after: i64, to: i64, grid: &Grid) -> bool {
        let window = self.window(after, to, grid);
        match self {
            Self::Same { .. } => !window.is_empty(),
            // Whether it was measured then is told by its ends: processes of the start ran on since they began.
            Self::Measured { unit, .. } => {
                !window.is_empty() && (unit.ran(grid.time(window.end - 1)) || unit.ran(grid.time(window.start)))
            }
        }
    }

    /// Appends the samples with `after < at <= to`.
    pub fn samples(&self, after: i64, to: i64, grid: &Grid, out: &mut Vec<Sample>) {
        let window = self.window(after, to, grid);
        match self {
            Self::Same { value, .. } => {
                out.extend(window.map(|n| Sample { at: grid.time(n), value: *value }));
            }
            Self::Measured { unit, column } => {
                let mut n = window.start;
                while n < window.end {
                    let block = n / BLOCK;
                    let values = unit.block(block, grid);
                    let until = ((block + 1) * BLOCK).min(window.end);
                    for n in n..until {
                        let value = values[column * BLOCK as usize + (n % BLOCK) as usize];
                        if !is_stale(value) {
                            out.push(Sample { at: grid.time(n), value });
                        }
                    }
                    n = until;
                }
            }
        }
    }
}

/// The world as it was at the start, and how it came there.
pub struct World {
    /// Milliseconds of the start.
    pub start: i64,
    /// How it came there.
    past: Arc<dyn Past>,
    known: Known,
    processes: BTreeMap<Place, Process>,
    cache: Mutex<Cache>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("start", &self.start).finish_non_exhaustive()
    }
}

type Key = (usize, u32);

#[derive(Default)]
struct Cache {
    blocks: HashMap<Key, Arc<[f64]>>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl World {
    /// The world of a start, with the processes that run then.
    pub fn new(start: i64, past: Arc<dyn Past>, known: Known, processes: &BTreeMap<Place, Process>) -> Self {
        let light = |p: &Process| {
            let mut p = p.clone();
            p.log.clear();
            p.config.clear();
            p.annotations.clear();
            p
        };
        let processes = processes.iter().map(|(k, p)| (k.clone(), light(p))).collect();
        Self { start, past, known, processes, cache: Mutex::default() }
    }

    /// Whether a unit has a history.
    pub fn has(&self, unit: &Unit) -> bool {
        self.ran(unit, self.start - STEP)
    }

    fn ran(&self, unit: &Unit, ms: i64) -> bool {
        let moment = Moment { world: self, ms };
        match unit {
            Unit::Root(node) | Unit::Node(node) | Unit::Price(node) | Unit::Kubelet(node) => {
                self.past.machine(node, at(ms)).is_some()
            }
            Unit::Container(place) | Unit::App(place) | Unit::Allotted(place) => moment.usage(place).is_some(),
            Unit::Pod(namespace, pod) | Unit::Volume { namespace, pod, .. } => {
                moment.pod(namespace, pod).iter().any(|p| moment.usage(&p.place).is_some())
            }
            Unit::Edge(caller, callee) => self.past.calls(caller, callee, at(ms)).is_some(),
            Unit::Object(..) | Unit::Own => false,
        }
    }
}

/// A unit of the start whose values before it are computed.
#[derive(Debug)]
pub struct Measured {
    world: Arc<World>,
    unit: Unit,
    columns: Vec<Column>,
}

/// Which sample of a unit.
pub type Column = (&'static Family, &'static str, Box<[(Box<str>, Box<str>)]>);

impl Measured {
    /// A unit with its samples, in order.
    pub fn new(world: Arc<World>, unit: Unit, columns: Vec<Column>) -> Self {
        Self { world, unit, columns }
    }

    fn ran(&self, ms: i64) -> bool {
        self.world.ran(&self.unit, ms)
    }

    /// All values of a block of scrapes, by column.
    fn block(self: &Arc<Self>, block: u32, grid: &Grid) -> Arc<[f64]> {
        let key = (Arc::as_ptr(self).addr(), block);
        let cache = || self.world.cache.lock().expect("no panic while the cache is held");
        if let Some(found) = cache().blocks.get(&key) {
            return found.clone();
        }
        // Computed without the lock: two queries may do the same work, none waits for the other.
        let mut values = vec![f64::from_bits(STALE); self.columns.len() * BLOCK as usize];
        let measure = |i: u32, values: &mut Vec<f64>| {
            let mut fill = Fill { columns: &self.columns, next: 0, row: i as usize, values };
            let moment = Moment { world: &self.world, ms: grid.time(block * BLOCK + i) };
            export::measure(&self.unit, &moment, &mut fill);
        };
        let whole = grid.time(block * BLOCK + BLOCK - 1) < self.world.start;
        if whole && self.ran(grid.time(block * BLOCK)) {
            for i in KNOTS {
                measure(i, &mut values);
            }
            values.chunks_exact_mut(BLOCK as usize).for_each(draw_lines);
        } else {
            // It begins or ends within: every scrape for itself.
            let before = (0..BLOCK).filter(|i| grid.time(block * BLOCK + i) < self.world.start);
            for i in before {
                measure(i, &mut values);
            }
        }
        let values: Arc<[f64]> = values.into();
        let mut cache = cache();
        cache.bytes += values.len() * size_of::<f64>();
        if cache.blocks.insert(key, values.clone()).is_none() {
            cache.order.push_back(key);
        }
        while cache.bytes > KEPT
            && let Some(old) = cache.order.pop_front()
        {
            let size = cache.blocks.remove(&old).map_or(0, |b| b.len() * size_of::<f64>());
            cache.bytes -= size;
        }
        values
    }
}

/// Fills a column between its knots. Whole numbers stay whole: they count things.
fn draw_lines(column: &mut [f64]) {
    for ends in KNOTS.windows(2) {
        let (from, to) = (ends[0] as usize, ends[1] as usize);
        let (a, b) = (column[from], column[to]);
        if is_stale(a) || is_stale(b) {
            continue;
        }
        let whole = a.fract() == 0.0 && b.fract() == 0.0;
        let slope = (b - a) / (to - from) as f64;
        for (i, between) in column[from + 1..to].iter_mut().enumerate() {
            let value = a + slope * (i + 1) as f64;
            *between = if whole { value.floor() } else { value };
        }
    }
}

/// Puts samples into their columns.
struct Fill<'a> {
    columns: &'a [Column],
    next: usize,
    row: usize,
    values: &'a mut [f64],
}

/// Whether a sample is the one of a column.
pub fn same(column: &Column, family: &'static Family, suffix: &str, labels: &[(&str, &str)]) -> bool {
    std::ptr::eq(column.0, family)
        && column.1 == suffix
        && column.2.len() == labels.len()
        && column.2.iter().zip(labels).all(|((a, b), (c, d))| **b == **d && **a == **c)
}

impl Sink for Fill<'_> {
    fn base(&mut self, _labels: &[(&str, &str)]) {}

    fn put(&mut self, family: &'static Family, suffix: &'static str, labels: &[(&str, &str)], value: f64) {
        let n = self.columns.len();
        // Usually the next one; what only the past has is nowhere.
        let found = (0..n).map(|i| (self.next + i) % n).find(|i| same(&self.columns[*i], family, suffix, labels));
        if let Some(i) = found {
            self.values[i * BLOCK as usize + self.row] = value;
            self.next = i + 1;
        }
    }
}

/// A moment before the start.
struct Moment<'a> {
    world: &'a World,
    ms: i64,
}

impl View for Moment<'_> {
    fn now(&self) -> i64 {
        self.ms
    }

    fn known(&self) -> &Known {
        &self.world.known
    }

    fn process(&self, place: &Place) -> Option<&Process> {
        self.world.processes.get(place)
    }

    fn usage(&self, place: &Place) -> Option<Cow<'_, Usage>> {
        self.world.past.usage(place, at(self.ms)).map(Cow::Owned)
    }

    fn pod<'a>(&'a self, namespace: &str, pod: &str) -> Vec<&'a Process> {
        export::of_pod(&self.world.processes, namespace, pod)
    }

    fn on<'a>(&'a self, node: &str) -> Vec<&'a Process> {
        self.world.processes.values().filter(|p| p.node == node).collect()
    }

    fn machine(&self, node: &str) -> Option<Cow<'_, Machine>> {
        self.world.past.machine(node, at(self.ms)).map(Cow::Owned)
    }

    fn calls(&self, caller: &str, callee: &str) -> Option<Cow<'_, Calls>> {
        self.world.past.calls(caller, callee, at(self.ms)).map(Cow::Owned)
    }
}

impl World {
    /// Since when a process of the start has run, milliseconds.
    pub fn started(&self, place: &Place) -> Option<i64> {
        self.processes.get(place).map(|p| p.started.timestamp_millis()).filter(|ms| *ms < self.start)
    }

    /// Whether a process is the one that ran at the start.
    pub fn is(&self, place: &Place, id: &str) -> bool {
        self.processes.get(place).is_some_and(|p| p.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_between_knots_never_runs_backwards_and_counts_whole_things() {
        let mut column = vec![f64::from_bits(STALE); BLOCK as usize];
        for i in KNOTS {
            column[i as usize] = 1000.0 + f64::from(7 * i);
        }
        draw_lines(&mut column);
        assert!(column.windows(2).all(|w| w[0] <= w[1]), "{column:?}");
        assert!(column.iter().all(|v| v.fract() == 0.0), "{column:?}");
        assert_eq!(column[25], 1175.0);
        let mut gap = vec![f64::from_bits(STALE); BLOCK as usize];
        (gap[0], gap[20]) = (1.5, 2.5);
        draw_lines(&mut gap);
        assert!(gap[1..20].iter().all(|v| is_stale(*v)), "nothing is drawn to what is not there");
    }
}
