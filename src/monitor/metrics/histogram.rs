//! Classic histograms: buckets of many pods added up, and quantiles exactly as Prometheus computes them
//! (`promql/quantile.go`, `bucketQuantile`): linear interpolation inside the bucket that holds the rank.

/// Cumulative counts (or rates) by upper bound. Adding the same bound again adds the counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buckets(Vec<(f64, f64)>);

/// A quantile of a histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// In the histogram's unit.
    pub value: f64,
    /// The rank lies beyond the last finite bound: the true value is larger than `value`.
    pub saturated: bool,
}

impl Buckets {
    /// Adds one bucket: `le` as in the label, `count` cumulative. What is not a number is ignored.
    pub fn add(&mut self, le: &str, count: f64) {
        let Ok(bound) = le.parse::<f64>() else { return };
        if bound.is_nan() || !count.is_finite() {
            return;
        }
        match self.0.binary_search_by(|(b, _)| b.total_cmp(&bound)) {
            Ok(i) => self.0[i].1 += count,
            Err(i) => self.0.insert(i, (bound, count)),
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The quantile `q` (0..1). `None` without observations or without a `+Inf` bucket.
    pub fn quantile(&self, q: f64) -> Option<Quantile> {
        let (&(last_bound, _), n) = (self.0.last()?, self.0.len());
        if last_bound != f64::INFINITY || n < 2 {
            return None;
        }
        // Buckets of one scrape can be torn: counts are made to rise, as Prometheus does.
        let mut counts: Vec<f64> = self.0.iter().map(|b| b.1).collect();
        for i in 1..n {
            counts[i] = counts[i].max(counts[i - 1]);
        }
        let all = counts[n - 1];
        if all <= 0.0 {
            return None;
        }
        let mut rank = q.clamp(0.0, 1.0) * all;
        let b = counts[..n - 1].iter().position(|c| *c >= rank).unwrap_or(n - 1);
        if b == n - 1 {
            return Some(Quantile { value: self.0[n - 2].0, saturated: true });
        }
        let end = self.0[b].0;
        if b == 0 && end <= 0.0 {
            return Some(Quantile { value: end, saturated: false });
        }
        let (mut start, mut count) = (0.0, counts[b]);
        if b > 0 {
            start = self.0[b - 1].0;
            count -= counts[b - 1];
            rank -= counts[b - 1];
        }
        let share = if count > 0.0 { rank / count } else { 0.0 };
        Some(Quantile { value: start + (end - start) * share, saturated: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(list: &[(&str, f64)]) -> Buckets {
        let mut b = Buckets::default();
        for (le, count) in list {
            b.add(le, *count);
        }
        b
    }

    #[test]
    fn quantiles_are_those_of_prometheus() {
        // Prometheus' own test data, promql/testdata/histograms.test, series testhistogram{start="positive"}
        // and {start="negative"} at 50m.
        let positive = buckets(&[("0.1", 50.0), (".2", 70.0), ("1e0", 110.0), ("+Inf", 120.0)]);
        for (q, expected) in [(0.0, 0.0), (0.2, 0.048), (0.5, 0.15), (0.8, 0.72), (1.0, 1.0)] {
            let got = positive.quantile(q).unwrap().value;
            assert!((got - expected).abs() < 1e-12, "q {q}: {got}");
        }
        let negative = buckets(&[("-.2", 10.0), ("-0.1", 20.0), ("0.3", 20.0), ("+Inf", 30.0)]);
        for (q, expected) in [(0.0, -0.2), (0.2, -0.2), (0.5, -0.15), (1.0, 0.3)] {
            let got = negative.quantile(q).unwrap().value;
            assert!((got - expected).abs() < 1e-12, "q {q}: {got}");
        }
    }

    #[test]
    fn beyond_the_last_bound_is_said_to_be_a_floor() {
        let b = buckets(&[("1", 50.0), ("10", 90.0), ("+Inf", 100.0)]);
        assert_eq!(b.quantile(0.99), Some(Quantile { value: 10.0, saturated: true }));
        assert!(!b.quantile(0.5).unwrap().saturated);
    }

    #[test]
    fn pods_add_up_to_the_workload() {
        let mut both = buckets(&[("0.1", 10.0), ("1", 10.0), ("+Inf", 10.0)]);
        for (le, count) in [("0.1", 0.0), ("1.0", 30.0), ("+Inf", 30.0)] {
            both.add(le, count);
        }
        assert_eq!(both, buckets(&[("0.1", 10.0), ("1", 40.0), ("+Inf", 40.0)]));
        assert!((both.quantile(0.5).unwrap().value - 0.4).abs() < 1e-12);
    }

    proptest::proptest! {
        #[test]
        fn quantiles_rise_with_q_and_pods_may_come_in_any_order(
            pods in proptest::collection::vec(proptest::collection::vec(0.0..100.0f64, 4), 1..5),
            low in 0.0..1.0f64, high in 0.0..1.0f64,
        ) {
            let merged = |order: &mut dyn Iterator<Item = &Vec<f64>>| {
                let mut b = Buckets::default();
                for pod in order {
                    let mut all = 0.0;
                    for (le, n) in ["0.1", "0.5", "2", "+Inf"].iter().zip(pod) {
                        all += n;
                        b.add(le, all);
                    }
                }
                b
            };
            let (a, b) = (merged(&mut pods.iter()), merged(&mut pods.iter().rev()));
            let (low, high) = (low.min(high), low.max(high));
            if let (Some(l), Some(h), Some(other)) = (a.quantile(low), a.quantile(high), b.quantile(high)) {
                proptest::prop_assert!(l.value <= h.value + 1e-9);
                proptest::prop_assert!((h.value - other.value).abs() < 1e-6);
                proptest::prop_assert!((0.0..=2.0).contains(&h.value));
            }
        }
    }

    #[test]
    fn no_observations_is_no_number() {
        assert_eq!(Buckets::default().quantile(0.5), None);
        assert_eq!(buckets(&[("1", 0.0), ("+Inf", 0.0)]).quantile(0.5), None);
        assert_eq!(buckets(&[("1", 5.0), ("2", 5.0)]).quantile(0.5), None, "without +Inf nobody knows the rest");
        assert!(buckets(&[("x", 1.0), ("NaN", 1.0), ("1", f64::NAN)]).is_empty());
    }
}
