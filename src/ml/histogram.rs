//! A histogram whose buckets grow and whose weights halve with age: percentiles of what was, the newest counting most.
//!
//! It is that of the Vertical Pod Autoscaler (`pkg/recommender/util/{histogram,decaying_histogram}.go`): the same buckets,
//! the same percentile, the same age, so that the same samples give the same numbers.

/// Weights are scaled down when a sample's would be more than two to the power of this.
const HIGHEST: f64 = 100.0;

/// Buckets and age of a histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Greatest value that has a bucket of its own.
    pub most: f64,
    /// Width of the first bucket, which begins at 0.
    pub first: f64,
    /// How much wider each bucket is than the one before.
    pub ratio: f64,
    /// Weight below which a bucket counts as empty.
    pub epsilon: f64,
    /// Seconds after which a sample counts half.
    pub half_life: f64,
}

/// Samples, by bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Decaying {
    options: Options,
    weights: Vec<f64>,
    total: f64,
    /// The time, in seconds, at which a sample counts once.
    reference: f64,
}

impl Decaying {
    /// Without samples.
    pub fn new(options: Options) -> Self {
        let Options { most, first, ratio, .. } = options;
        let count = (most * (ratio - 1.0) / first + 1.0).log(ratio).ceil() as usize + 1;
        Self { options, weights: vec![0.0; count], total: 0.0, reference: 0.0 }
    }

    /// Adds a sample of a time, in seconds, in any order. What is not finite or below 0 is left out.
    pub fn add(&mut self, value: f64, weight: f64, time: f64) {
        if !(value.is_finite() && value >= 0.0 && weight.is_finite() && time.is_finite()) {
            return;
        }
        let half_life = self.options.half_life;
        if (time - self.reference) / half_life > HIGHEST {
            // whole half-lives, so that scaling is exact
            let shift = ((time - self.reference) / half_life).round();
            self.reference += shift * half_life;
            let scale = 0.5f64.powf(shift);
            self.weights.iter_mut().for_each(|weight| *weight *= scale);
            self.total *= scale;
        }
        let aged = weight * ((time - self.reference) / half_life).exp2();
        let at = self.bucket(value);
        self.weights[at] += aged;
        self.total += aged;
    }

    /// Whether no bucket counts.
    pub fn is_empty(&self) -> bool {
        self.weights.iter().all(|weight| *weight < self.options.epsilon)
    }

    /// The end of the bucket up to which this share of the weight lies; 0 without samples.
    pub fn percentile(&self, share: f64) -> f64 {
        let counts = |weight: &f64| *weight >= self.options.epsilon;
        let (Some(first), Some(last)) = (self.weights.iter().position(counts), self.weights.iter().rposition(counts))
        else {
            return 0.0;
        };
        let (threshold, mut sum, mut at) = (share * self.total, 0.0, first);
        while at < last {
            sum += self.weights[at];
            if sum >= threshold {
                break;
            }
            at += 1;
        }
        // the last bucket has no end
        self.start(if at + 1 < self.weights.len() { at + 1 } else { at })
    }

    fn bucket(&self, value: f64) -> usize {
        let Options { first, ratio, .. } = self.options;
        if value < first {
            return 0;
        }
        ((value * (ratio - 1.0) / first + 1.0).log(ratio) as usize).min(self.weights.len() - 1)
    }

    fn start(&self, bucket: usize) -> f64 {
        let Options { first, ratio, .. } = self.options;
        first * (ratio.powi(bucket as i32) - 1.0) / (ratio - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86_400.0;

    fn doubling() -> Decaying {
        Decaying::new(Options { most: 100.0, first: 1.0, ratio: 2.0, epsilon: 1e-4, half_life: DAY })
    }

    #[test]
    fn percentiles_are_ends_of_buckets() {
        let mut held = doubling(); // buckets begin at 0, 1, 3, 7, 15, 31, 63, 127
        assert!(held.is_empty() && held.percentile(0.9) == 0.0);
        for value in [0.5, 1.5, 2.5, 10.0] {
            held.add(value, 1.0, 0.0);
        }
        assert_eq!(
            [0.2, 0.25, 0.5, 0.75, 0.76, 1.0].map(|share| held.percentile(share)),
            [1.0, 1.0, 3.0, 3.0, 15.0, 15.0]
        );
        held.add(f64::NAN, 1.0, 0.0);
        held.add(-1.0, 1.0, 0.0);
        assert_eq!(held.percentile(1.0), 15.0);
    }

    #[test]
    fn a_day_halves_a_sample_and_years_change_nothing_else() {
        for begin in [0.0, 20_000.0 * DAY] {
            let mut held = doubling();
            held.add(2.0, 1.0, begin);
            held.add(10.0, 1.0, begin + DAY);
            // weights 1 and 2
            assert_eq!([0.33, 0.34].map(|share| held.percentile(share)), [3.0, 15.0]);
        }
        let mut old = doubling();
        old.add(50.0, 1.0, 0.0);
        old.add(2.0, 1.0, 300.0 * DAY);
        assert_eq!(old.percentile(1.0), 3.0, "what counts less than epsilon is forgotten");
    }
}
