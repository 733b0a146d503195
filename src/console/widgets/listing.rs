//! A list that is filtered, walked through and opened: the state that panes with one list share.

use super::cursor::{Cursor, Motion, Scroll};
use super::filter::Filter;

/// State of a list. `K` tells rows apart, `D` is what is kept of an open row.
#[derive(Debug)]
pub struct Listing<K, D = ()> {
    /// What is looked for.
    pub filter: Filter,
    /// Where the rows that pass stand in what is listed, in the order shown.
    pub rows: Vec<u32>,
    /// The row that is pointed at.
    pub cursor: Cursor<K>,
    /// The open row, and how far it is scrolled.
    pub detail: Option<(D, Scroll)>,
}

impl<K, D> Default for Listing<K, D>
where
    Cursor<K>: Default,
{
    fn default() -> Self {
        Self { filter: Filter::default(), rows: Vec::new(), cursor: Cursor::default(), detail: None }
    }
}

impl<K: Clone + PartialEq, D> Listing<K, D> {
    /// Takes other rows; the cursor stays with what it pointed at. `key` is of a place in what is listed.
    pub fn fill(&mut self, rows: Vec<u32>, key: impl Fn(u32) -> K) {
        self.cursor.sync(rows.len(), |i| key(rows[i]));
        self.rows = rows;
    }

    /// Where the row that is pointed at stands in what is listed.
    pub fn selected(&self) -> Option<usize> {
        self.rows.get(self.cursor.index()).map(|at| *at as usize)
    }

    /// Moves in the open row, else in the list.
    pub fn step(&mut self, motion: Motion, key: impl Fn(u32) -> K) {
        let rows = &self.rows;
        match &mut self.detail {
            Some((_, scroll)) => scroll.step(motion),
            None => self.cursor.step(motion, rows.len(), |i| key(rows[i])),
        }
    }

    /// Opens the row that is pointed at.
    pub fn open(&mut self, kept: D) {
        self.detail = Some((kept, Scroll::default()));
    }

    /// The place of the cursor, and the filter if there is one, for a heading.
    pub fn note(&self) -> String {
        let place = self.cursor.position(self.rows.len());
        if self.filter.is_empty() { place } else { format!("filter {}, {place}", self.filter.source()) }
    }

    /// The filter as it was typed; none while a row is open: it is not filtered, and stepping back closes it first.
    pub fn source(&self) -> &str {
        if self.detail.is_some() { "" } else { self.filter.source() }
    }

    /// Whether stepping back has nothing to close.
    pub fn at_root(&self) -> bool {
        self.detail.is_none() && self.filter.is_empty()
    }
}
