//! Where the operator is in a list or text: selection by key, scroll by line.
//!
//! The height of the last drawing is remembered in a `Cell`, because only drawing knows it and a page
//! is as long as what was seen.

use crate::console::command::CommandId;
use std::cell::{Cell, RefCell};

/// A movement through a list or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Motion {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
}

impl Motion {
    /// The movement a command stands for, if it is one.
    pub fn of(command: CommandId) -> Option<Self> {
        Some(match command {
            CommandId::Up => Self::Up,
            CommandId::Down => Self::Down,
            CommandId::PageUp => Self::PageUp,
            CommandId::PageDown => Self::PageDown,
            CommandId::Top => Self::Top,
            CommandId::Bottom => Self::Bottom,
            _ => return None,
        })
    }

    /// Where it leads from `at` in a list of `len`, with pages of `page`.
    fn from(self, at: usize, len: usize, page: usize) -> usize {
        let last = len.saturating_sub(1);
        match self {
            Self::Up => at.saturating_sub(1),
            Self::Down => at + 1,
            Self::PageUp => at.saturating_sub(page),
            Self::PageDown => at + page,
            Self::Top => 0,
            Self::Bottom => last,
        }
        .min(last)
    }
}

/// A selection by key in a list that changes.
#[derive(Debug, Clone)]
pub struct Cursor<K> {
    key: Option<K>,
    index: usize,
    offset: Cell<usize>,
    height: Cell<usize>,
    widths: RefCell<Vec<u16>>,
}

impl<K> Default for Cursor<K> {
    fn default() -> Self {
        Self { key: None, index: 0, offset: Cell::new(0), height: Cell::new(10), widths: RefCell::default() }
    }
}

impl<K: Clone + PartialEq> Cursor<K> {
    /// The selected key.
    pub fn key(&self) -> Option<&K> {
        self.key.as_ref()
    }

    /// The place of the selected key in the list as of the last [`Cursor::sync`].
    pub fn index(&self) -> usize {
        self.index
    }

    /// Selects a key; the next sync finds its place.
    pub fn select(&mut self, key: K) {
        self.key = Some(key);
    }

    /// The list changed: finds the selected key again. If it is gone, its neighbour is selected.
    pub fn sync(&mut self, len: usize, key_at: impl Fn(usize) -> K) {
        if len == 0 {
            self.index = 0;
            return;
        }
        let guess = self.index.min(len - 1);
        let found = self
            .key
            .as_ref()
            .and_then(|key| if key_at(guess) == *key { Some(guess) } else { (0..len).find(|&i| key_at(i) == *key) });
        if found.is_some_and(|found| found != self.index) {
            // The list grew or shrank above: the row stays where it is on the screen.
            let shift = found.unwrap_or(0) as isize - self.index as isize;
            self.offset.set(self.offset.get().saturating_add_signed(shift));
        }
        self.index = found.unwrap_or(guess);
        if found.is_none() {
            self.key = Some(key_at(self.index));
        }
    }

    /// Moves the selection.
    pub fn step(&mut self, motion: Motion, len: usize, key_at: impl Fn(usize) -> K) {
        if len > 0 {
            self.index = motion.from(self.index, len, self.height.get().max(1));
            self.key = Some(key_at(self.index));
        }
    }

    /// The rows to draw in `height` lines, keeping the selection visible.
    pub fn window(&self, len: usize, height: usize) -> std::ops::Range<usize> {
        self.height.set(height);
        let mut top = self.offset.get().min(len.saturating_sub(height));
        if self.index < top {
            top = self.index;
        } else if self.index >= top + height {
            top = (self.index + 1).saturating_sub(height);
        }
        self.offset.set(top);
        top..(top + height).min(len)
    }

    /// The widest cells seen so far per column. They only grow, so that columns do not jump while scrolling.
    pub fn widen(&self, cells: impl Iterator<Item = Vec<usize>>) -> Vec<u16> {
        let mut widths = self.widths.borrow_mut();
        for row in cells {
            let columns = widths.len().max(row.len());
            widths.resize(columns, 0);
            for (w, cell) in widths.iter_mut().zip(row) {
                *w = (*w).max(cell.min(usize::from(u16::MAX)) as u16);
            }
        }
        widths.clone()
    }

    /// `12/50000`, empty for an empty list.
    pub fn position(&self, len: usize) -> String {
        if len == 0 { String::new() } else { format!("{}/{len}", self.index + 1) }
    }
}

/// How far a text is scrolled.
#[derive(Debug, Clone, Default)]
pub struct Scroll {
    offset: usize,
    seen: Cell<(usize, usize)>,
}

impl Scroll {
    /// Moves by a line, a page, or to an end of what was last drawn.
    pub fn step(&mut self, motion: Motion) {
        let (total, height) = self.seen.get();
        let places = total.saturating_sub(height) + 1;
        self.offset = motion.from(self.offset.min(places - 1), places, height.max(1));
    }

    /// The lines to draw of `total` in `height`.
    pub fn window(&self, total: usize, height: usize) -> std::ops::Range<usize> {
        self.seen.set((total, height));
        let top = self.offset.min(total.saturating_sub(height));
        top..(top + height).min(total)
    }

    /// `3-20/120` if not everything fits, else empty.
    pub fn position(&self, total: usize, height: usize) -> String {
        let shown = self.window(total, height);
        if total <= height { String::new() } else { format!("{}-{}/{total}", shown.start + 1, shown.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selection_follows_its_key_when_rows_above_vanish() {
        let rows = ["a", "b", "c", "d"];
        let mut cursor = Cursor::default();
        cursor.sync(4, |i| rows[i]);
        cursor.step(Motion::Down, 4, |i| rows[i]);
        cursor.step(Motion::Down, 4, |i| rows[i]);
        assert_eq!(cursor.key(), Some(&"c"));
        let fewer = ["c", "d"];
        cursor.sync(2, |i| fewer[i]);
        assert_eq!((cursor.key(), cursor.index()), (Some(&"c"), 0));
        let gone = ["d"];
        cursor.sync(1, |i| gone[i]);
        assert_eq!(cursor.key(), Some(&"d"), "its neighbour is selected");
        cursor.sync(0, |_| unreachable!());
        assert_eq!(cursor.window(0, 5), 0..0);
    }

    #[test]
    fn the_window_keeps_the_selection_in_sight() {
        let mut cursor = Cursor::default();
        cursor.sync(50_000, |i| i);
        assert_eq!(cursor.window(50_000, 10), 0..10);
        cursor.step(Motion::Bottom, 50_000, |i| i);
        assert_eq!(cursor.window(50_000, 10), 49_990..50_000);
        cursor.step(Motion::PageUp, 50_000, |i| i);
        assert_eq!(cursor.window(50_000, 10), 49_989..49_999);
        assert_eq!(cursor.position(50_000), "49990/50000");
    }

    #[test]
    fn text_scrolls_to_its_ends_and_no_further() {
        let mut scroll = Scroll::default();
        assert_eq!(scroll.window(30, 10), 0..10);
        scroll.step(Motion::Bottom);
        assert_eq!(scroll.window(30, 10), 20..30);
        scroll.step(Motion::Down);
        assert_eq!(scroll.window(30, 10), 20..30);
        assert_eq!(scroll.window(4, 10), 0..4);
    }
}
