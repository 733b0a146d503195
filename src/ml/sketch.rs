//! A summary of many durations that can be merged (M6): count, sum, extrema, and quantiles to within 1 %.
//!
//! Buckets grow by a constant factor, as in DDSketch (Masson, Rim and Lee, VLDB 2019). Values are whole numbers up to
//! `u64::MAX`, for which some 2 200 buckets suffice, so that none is ever collapsed, and all that is summed is whole: merging
//! is exactly associative and commutative, which crates that collapse buckets and sum floats cannot promise.

/// Largest relative error of a quantile.
pub const ERROR: f64 = 0.01;

/// Factor between the bounds of a bucket.
const GAMMA: f64 = (1.0 + ERROR) / (1.0 - ERROR);

/// The summary; the default one is empty, and merging it changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Number of the first bucket in `counts`. Both ends of `counts` are in use.
    first: usize,
    counts: Vec<u64>,
    zeros: u64,
    count: u64,
    sum: u128,
    least: u64,
    greatest: u64,
}

/// The bucket of a value above zero: bucket `i` holds what is above `GAMMA^(i-1)` and at most `GAMMA^i`.
fn bucket(value: u64) -> usize {
    ((value as f64).ln() / GAMMA.ln()).ceil() as usize
}

impl Sketch {
    /// Adds a value.
    pub fn add(&mut self, value: u64) {
        self.least = if self.count == 0 { value } else { self.least.min(value) };
        self.greatest = self.greatest.max(value);
        self.count += 1;
        self.sum += u128::from(value);
        if value == 0 {
            self.zeros += 1;
        } else {
            let i = bucket(value);
            self.reach(i, i);
            self.counts[i - self.first] += 1;
        }
    }

    /// Adds all that another one has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.least = if self.count == 0 { other.least } else { self.least.min(other.least) };
        self.greatest = self.greatest.max(other.greatest);
        self.count += other.count;
        self.sum += other.sum;
        self.zeros += other.zeros;
        if !other.counts.is_empty() {
            self.reach(other.first, other.first + other.counts.len() - 1);
            let at = other.first - self.first;
            self.counts[at..].iter_mut().zip(&other.counts).for_each(|(mine, more)| *mine += more);
        }
    }

    /// Makes room for buckets `from..=to`.
    fn reach(&mut self, from: usize, to: usize) {
        if self.counts.is_empty() {
            self.first = from;
        }
        if from < self.first {
            let more = self.first - from;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.first = from;
        }
        if to >= self.first + self.counts.len() {
            self.counts.resize(to - self.first + 1, 0);
        }
    }

    /// How many values it has seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The least and the greatest; `None` without values.
    pub fn extrema(&self) -> Option<(u64, u64)> {
        (self.count > 0).then_some((self.least, self.greatest))
    }

    /// The value below which the share `q` (0..1) lies, within [`ERROR`] of the one at rank `q * (count - 1)`, rounded down;
    /// `None` without values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (least, greatest) = self.extrema()?;
        let rank = (q.clamp(0.0, 1.0) * (self.count - 1) as f64) as u64;
        let mut seen = self.zeros;
        if rank < seen {
            return Some(0.0);
        }
        for (i, n) in self.counts.iter().enumerate() {
            seen += n;
            if rank < seen {
                let middle = 2.0 * GAMMA.powf((self.first + i) as f64) / (GAMMA + 1.0);
                return Some(middle.clamp(least as f64, greatest as f64));
            }
        }
        Some(greatest as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        for v in values {
            sketch.add(*v);
        }
        sketch
    }

    fn both(a: &Sketch, b: &Sketch) -> Sketch {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    }

    /// Durations from nothing to centuries, most of them usual.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let one = prop_oneof![4 => 1_000..10_000_000_000_u64, 1 => any::<u64>(), 1 => 0..3_u64];
        prop::collection::vec(one, 0..60)
    }

    proptest! {
        #[test]
        fn merging_is_associative_and_commutative_and_has_an_identity(a in values(), b in values(), c in values()) {
            let (x, y, z) = (of(&a), of(&b), of(&c));
            prop_assert_eq!(both(&both(&x, &y), &z), both(&x, &both(&y, &z)));
            prop_assert_eq!(both(&x, &y), both(&y, &x));
            prop_assert_eq!(both(&x, &Sketch::default()), x.clone());
            prop_assert_eq!(both(&Sketch::default(), &x), x.clone());
            // And it is the same as having seen everything oneself.
            prop_assert_eq!(both(&x, &y), of(&[a, b].concat()));
        }

        #[test]
        fn quantiles_are_within_the_stated_error_and_the_rest_is_exact(a in values(), q in 0.0..=1.0) {
            let sketch = of(&a);
            let mut sorted = a.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sketch.count(), a.len() as u64);
            prop_assert_eq!(sketch.sum(), a.iter().map(|v| u128::from(*v)).sum::<u128>());
            prop_assert_eq!(sketch.extrema(), sorted.first().copied().zip(sorted.last().copied()));
            match sketch.quantile(q) {
                None => prop_assert!(a.is_empty()),
                Some(told) => {
                    let exact = sorted[(q * (a.len() - 1) as f64) as usize] as f64;
                    prop_assert!((told - exact).abs() <= exact * ERROR * 1.000_001, "{} {}", told, exact);
                }
            }
        }
    }

    #[test]
    fn it_stays_small_whatever_it_sees() {
        let mut sketch = of(&[0, 1, u64::MAX]);
        (0..64).for_each(|i| sketch.add(1 << i));
        assert!(sketch.counts.len() < 2_300, "{}", sketch.counts.len());
    }
}
