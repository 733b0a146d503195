//! How long traces took: a histogram with buckets that grow by a constant factor, the selected trace's marked.

use super::summary::nanos;
use crate::console::theme::{Role, Theme};
use crate::console::widgets::text::{put, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Columns of the screen per bucket, with the space between.
const WIDE: u16 = 3;

/// Counts of durations in buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    low: i64,
    high: i64,
    counts: Vec<usize>,
}

impl Histogram {
    /// Of durations in nanoseconds; `None` without any.
    pub fn of(durations: impl Iterator<Item = i64> + Clone, buckets: usize) -> Option<Self> {
        let low = durations.clone().min()?.max(1);
        let high = durations.clone().max()?.max(low);
        let mut all = Self { low, high, counts: vec![0; buckets.max(1)] };
        for d in durations {
            let bucket = all.bucket(d);
            all.counts[bucket] += 1;
        }
        Some(all)
    }

    /// The bucket of a duration.
    fn bucket(&self, ns: i64) -> usize {
        let span = (self.high as f64 / self.low as f64).ln();
        if span <= 0.0 {
            return 0;
        }
        let share = (ns.max(1) as f64 / self.low as f64).ln() / span;
        ((share * self.counts.len() as f64).max(0.0) as usize).min(self.counts.len() - 1)
    }
}

/// Draws in at least three rows: bars, a line with the mark, and the ends of the axis.
pub fn draw(buf: &mut Buffer, theme: &Theme, area: Rect, durations: &[i64], selected: Option<i64>) {
    if area.height < 3 || area.width < 20 {
        return;
    }
    let buckets = (area.width / WIDE).min(60);
    let Some(all) = Histogram::of(durations.iter().copied(), buckets as usize) else { return };
    let top = all.counts.iter().copied().max().unwrap_or(1).max(1);
    let marked = selected.map(|ns| all.bucket(ns));
    let levels: &[char] =
        if theme.glyphs.ascii { &['.', ':', '#'] } else { &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] };
    let rows = usize::from(area.height - 2);
    for (i, &count) in all.counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let x = area.x + i as u16 * WIDE;
        let role = if marked == Some(i) { Role::Focus } else { Role::Series1 };
        // In parts of a row; something is never nothing.
        let parts = (count * rows * levels.len()).div_ceil(top);
        for row in 0..rows {
            let left = parts.saturating_sub(row * levels.len());
            if left > 0 {
                let bar = levels[left.min(levels.len()) - 1].to_string().repeat(2);
                put(buf, theme, x, area.y + (rows - 1 - row) as u16, 2, &bar, role);
            }
        }
        if marked == Some(i) {
            put(buf, theme, x, area.bottom() - 2, 2, &theme.glyphs.up.repeat(2), Role::Focus);
        }
    }
    let y = area.bottom() - 1;
    let (low, high) = (nanos(all.low), nanos(all.high));
    put(buf, theme, area.x, y, area.width, &low, Role::Muted);
    let end = area.x + (buckets * WIDE).saturating_sub(1);
    if all.high > all.low {
        let middle = nanos(((all.low as f64) * (all.high as f64)).sqrt() as i64);
        put(buf, theme, end.saturating_sub(width(&high) as u16), y, width(&high) as u16, &high, Role::Muted);
        put(buf, theme, area.x + (end - area.x) / 2, y, width(&middle) as u16, &middle, Role::Muted);
    }
    let most = format!("most {top}");
    if end + 2 + width(&most) as u16 <= area.right() {
        put(buf, theme, end + 2, area.y, width(&most) as u16, &most, Role::Muted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow_by_a_factor_and_every_duration_is_in_one() {
        let all = [1_000, 10_000, 100_000, 1_000_000, 1_000_000];
        let h = Histogram::of(all.iter().copied(), 3).unwrap();
        assert_eq!(h.counts, [1, 1, 3]);
        assert_eq!(Histogram::of([5, 5].into_iter(), 4).unwrap().counts, [2, 0, 0, 0]);
        assert_eq!(Histogram::of([0, i64::MAX].into_iter(), 2).unwrap().counts, [1, 1]);
        assert_eq!(Histogram::of(std::iter::empty(), 4), None);
    }
}
