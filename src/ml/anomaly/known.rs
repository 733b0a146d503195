//! The values a stream has had, and how far a new one lies from all of them: one-dimensional nearest-neighbour novelty.

use serde::{Deserialize, Serialize};

/// Values closer together than this share of the known range are one value, and more values than this are thinned to
/// it; it bounds the memory. Fine, and coarse for whoever watches thousands of series.
const FINE: (f64, usize) = (0.004, 320);
const COARSE: (f64, usize) = (0.01, 126);
/// A difference smaller than this share of the values themselves is rounding, not novelty.
const ROUNDING: f64 = 1e-10;
/// A first step away from a constant, and a step of many ranges, count at most this many ranges.
const FURTHEST: f64 = 10.0;

/// A value that was seen, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Seen {
    value: f64,
    row: u64,
}

/// The known values, ascending, each with the row that last came near it; bounded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    coarse: bool,
    values: Vec<Seen>,
    /// A value further than [`FURTHEST`] ranges out, learned only when the like of it comes again: one absurd reading
    /// must not widen the range so far that nothing is novel any more.
    suspect: Option<Seen>,
}

/// What a value looks like to the memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Novelty {
    /// Distance to the nearest known value in known ranges, 0 (known) to [`FURTHEST`].
    pub distance: f64,
    /// The nearest known value.
    pub nearest: f64,
    /// The lowest known value.
    pub low: f64,
    /// The highest known value.
    pub high: f64,
}

impl Known {
    /// A memory with fewer values.
    pub fn coarse() -> Self {
        Self { coarse: true, ..Self::default() }
    }

    /// Least distance of two values in ranges, and most values.
    fn size(&self) -> (f64, usize) {
        if self.coarse { COARSE } else { FINE }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<Seen>()
    }

    /// How novel `value` is; `None` before anything is known.
    pub fn novelty(&self, value: f64) -> Option<Novelty> {
        let (low, high) = self.range_of()?;
        let nearest = self.nearest(value)?;
        let gap = (value - nearest).abs();
        let rounding = ROUNDING * value.abs().max(nearest.abs());
        let range = high - low;
        let distance = if gap <= rounding {
            0.0
        } else if range > rounding {
            (gap / range).min(FURTHEST)
        } else {
            1.0 // the first step away from a constant
        };
        Some(Novelty { distance, nearest, low, high })
    }

    /// The lowest and the highest known value.
    pub fn range_of(&self) -> Option<(f64, f64)> {
        Some((self.values.first()?.value, self.values.last()?.value))
    }

    fn nearest(&self, value: f64) -> Option<f64> {
        Some(self.values[self.nearest_at(value)?].value)
    }

    fn nearest_at(&self, value: f64) -> Option<usize> {
        let above = self.values.partition_point(|seen| seen.value < value);
        let distance = |at: usize| self.values.get(at).map(|seen| ((seen.value - value).abs(), at));
        let below = above.checked_sub(1).and_then(distance);
        match (below, distance(above)) {
            (Some(left), Some(right)) => Some(if left.0 <= right.0 { left.1 } else { right.1 }),
            (one, other) => one.or(other).map(|(_, at)| at),
        }
    }

    /// Remembers `value`, seen at `row`.
    pub fn learn(&mut self, value: f64, row: u64) {
        let (range, middle) = (self.range(), self.middle());
        if self.is_lone(value) {
            self.suspect = Some(Seen { value, row });
            return;
        }
        if let Some(confirmed) = self.suspect.take_if(|seen| is_like(seen.value, value, middle)) {
            self.insert(confirmed);
        }
        if let Some(at) = self.nearest_at(value)
            && (self.values[at].value - value).abs() <= self.size().0 * range
        {
            self.values[at].row = row;
            return;
        }
        self.insert(Seen { value, row });
    }

    /// Whether `value` is absurdly far out and the last such value was not like it.
    pub fn is_lone(&self, value: f64) -> bool {
        let range = self.range();
        let far = |near: f64| range > 0.0 && (value - near).abs() > FURTHEST * range;
        self.nearest(value).is_some_and(far)
            && !self.suspect.is_some_and(|seen| is_like(seen.value, value, self.middle()))
    }

    fn insert(&mut self, new: Seen) {
        let at = self.values.partition_point(|seen| seen.value < new.value);
        self.values.insert(at, new);
        if self.values.len() > self.size().1 {
            self.thin();
        }
    }

    /// Forgets values that nothing came near since `row`, so that a mishap does not widen the known range for ever.
    pub fn forget_before(&mut self, row: u64) {
        self.values.retain(|seen| seen.row >= row);
    }

    fn middle(&self) -> f64 {
        self.range_of().map_or(0.0, |(low, high)| f64::midpoint(low, high))
    }

    fn range(&self) -> f64 {
        self.range_of().map_or(0.0, |(low, high)| high - low)
    }

    /// Keeps one value per resolution step; the range is not changed by it.
    fn thin(&mut self) {
        let (resolution, most) = self.size();
        let step = resolution * self.range();
        let last = self.values.len() - 1;
        let mut kept: Vec<Seen> = Vec::with_capacity(most + 1);
        for (at, &seen) in self.values.iter().enumerate() {
            match kept.last_mut() {
                Some(previous) if at < last && seen.value - previous.value < step => {
                    previous.row = previous.row.max(seen.row);
                }
                _ => kept.push(seen),
            }
        }
        self.values = kept;
    }
}

/// Whether two far values lie on one side and neither is twice as far out as the other.
fn is_like(one: f64, other: f64, middle: f64) -> bool {
    let ratio = (one - middle) / (other - middle);
    (0.5..=2.0).contains(&ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(values: &[f64]) -> Known {
        let mut known = Known::default();
        for (row, &value) in values.iter().enumerate() {
            known.learn(value, row as u64);
        }
        known
    }

    #[test]
    fn novelty_is_the_gap_to_the_nearest_known_value_in_known_ranges() {
        let known = known(&[0.0, 10.0, 4.0]);
        let inside = known.novelty(6.0).unwrap();
        assert_eq!((inside.distance, inside.nearest, inside.low, inside.high), (0.2, 4.0, 0.0, 10.0));
        assert_eq!(known.novelty(15.0).unwrap().distance, 0.5);
        assert_eq!(known.novelty(4.0).unwrap().distance, 0.0);
        assert_eq!(known.novelty(1e9).unwrap().distance, FURTHEST);
    }

    #[test]
    fn a_constant_knows_nothing_but_itself_and_rounding_is_not_novel() {
        let known = known(&[0.3; 50]);
        assert_eq!(known.novelty(0.1 + 0.2).unwrap().distance, 0.0);
        assert_eq!(known.novelty(0.31).unwrap().distance, 1.0);
        assert!(Known::default().novelty(1.0).is_none());
    }

    #[test]
    fn memory_stays_bounded_and_keeps_the_range() {
        let mut known = Known::default();
        for row in 0..200_000u64 {
            let spread = 1.0 + row as f64 / 1000.0; // the range keeps growing, so old values are ever closer together
            known.learn((row as f64 * 0.754_877).fract() * spread, row);
        }
        assert!(known.values.len() <= FINE.1);
        assert!(known.range() > 199.0);
        assert!(known.values.is_sorted_by(|a, b| a.value < b.value));
    }

    #[test]
    fn an_absurd_value_widens_the_range_only_when_its_like_comes_again() {
        let mut known = known(&[1.0, 2.0, 1.5]);
        known.learn(1e12, 3);
        assert_eq!(known.range_of(), Some((1.0, 2.0)));
        known.learn(1.2, 4);
        assert!(!known.is_lone(0.8e12) && known.is_lone(-1e12) && known.is_lone(1e5));
        known.learn(0.8e12, 5);
        assert_eq!(known.range_of(), Some((1.0, 1e12)));
    }

    #[test]
    fn what_is_long_unseen_is_forgotten() {
        let mut known = known(&[1.0, 2.0, 9.0]);
        known.learn(1.0, 100);
        known.learn(2.0, 101);
        known.forget_before(50);
        assert_eq!(known.novelty(3.0).unwrap().distance, 1.0);
    }
}
