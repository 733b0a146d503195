//! A measured unit between scrapes. Its samples come in the same order every time, so each finds its series by its place
//! in the last scrape, and no labels are put together or hashed again.

use super::Tsdb;
use super::history::{Before, Column, Measured, World, same};
use super::series::{Grid, Stored};
use super::target::Info;
use crate::sim::export::{Family, Sink, Unit};
use std::sync::Arc;

struct Slot {
    column: Column,
    series: Arc<Stored>,
}

/// The series of a unit, as its last scrape left them.
#[derive(Default)]
pub struct State {
    base: Vec<(Box<str>, Box<str>)>,
    slots: Vec<Slot>,
    /// The scrape that last saw it.
    pub seen: u32,
}

impl State {
    /// Ends all series.
    pub fn end(&mut self, n: u32) {
        self.slots.drain(..).for_each(|s| s.series.end(n));
        self.base.clear();
    }

    /// How many series it has.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Says that it was there before the start, and how.
    pub fn began(&self, unit: &Unit, world: &Arc<World>) {
        let columns = self.slots.iter().map(|s| s.column.clone()).collect();
        let measured = Arc::new(Measured::new(world.clone(), unit.clone(), columns));
        for (column, slot) in self.slots.iter().enumerate() {
            slot.series.begins(Before::Measured { unit: measured.clone(), column });
        }
    }
}

/// What a scrape is about, for those that write series.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Where series are.
    pub db: &'a Tsdb,
    /// The target.
    pub info: &'a Info,
    /// Its times.
    pub grid: &'a Arc<Grid>,
    /// Which scrape.
    pub n: u32,
}

/// Takes the samples of one unit.
pub struct Writer<'a> {
    context: Context<'a>,
    state: &'a mut State,
    next: usize,
    /// Not of now: since (milliseconds), until the start, the same value.
    before: Option<(i64, i64)>,
}

impl<'a> Writer<'a> {
    /// A writer of samples of now.
    pub fn new(context: Context<'a>, state: &'a mut State) -> Self {
        state.seen = context.n;
        Self { context, state, next: 0, before: None }
    }

    /// A writer of what was the same from a time until the start (milliseconds).
    pub fn before(context: Context<'a>, state: &'a mut State, from: i64, start: i64) -> Self {
        Self { context, state, next: 0, before: Some((from, start)) }
    }

    /// Ends the series that did not come this time. Gives back how many did.
    pub fn finish(self) -> usize {
        self.state.slots.drain(self.next..).for_each(|s| s.series.end(self.context.n));
        self.next
    }

    fn make(&self, family: &Family, suffix: &str, labels: &[(&str, &str)]) -> Arc<Stored> {
        let all = self.context.info.series(family, suffix, &self.state.base, labels);
        self.context.db.index_mut().series(all, self.context.grid)
    }
}

impl Sink for Writer<'_> {
    fn base(&mut self, labels: &[(&str, &str)]) {
        let base = &self.state.base;
        if base.len() != labels.len() || base.iter().zip(labels).any(|((a, b), (c, d))| **a != **c || **b != **d) {
            self.state.end(self.context.n);
            self.state.base = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        }
    }

    fn put(&mut self, family: &'static Family, suffix: &'static str, labels: &[(&str, &str)], value: f64) {
        let slots = &mut self.state.slots;
        let found = (self.next..slots.len()).find(|i| same(&slots[*i].column, family, suffix, labels));
        if let Some(i) = found {
            // What was left out may come later in this scrape: it moves back, and ends if it does not.
            slots[self.next..=i].rotate_right(1);
        } else {
            let series = self.make(family, suffix, labels);
            let owned = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            self.state.slots.insert(self.next, Slot { column: (family, suffix, owned), series });
        }
        let series = &self.state.slots[self.next].series;
        match self.before {
            Some((from, start)) => series.begins(Before::Same { from, value, start }),
            None => series.push(self.context.n, value),
        }
        self.next += 1;
    }
}
