//! Quantiles and fractions of classic histograms (`promql/quantile.go`).

use super::eval::{Evaluator, Result, Row, Run, merged};
use super::format::{general, quoted};
use super::metric::{Grouping, Groups, Metric};
use super::plan::Node;
use super::storage::Sample;

/// A cumulative bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Its upper bound, which belongs to it.
    pub bound: f64,
    /// How many observations are at most that.
    pub count: f64,
}

/// Warns of a quantile that is none.
pub fn check_quantile(run: &Run<'_>, q: f64) {
    if !(0.0..=1.0).contains(&q) {
        run.warn(format_args!("quantile value should be between 0 and 1, got {}", general(q, 6)));
    }
}

impl Evaluator<'_> {
    /// `histogram_quantile` and `histogram_fraction`: their scalars come first, the buckets last.
    pub(super) fn classic(&self, name: &str, args: &[Node]) -> Result<Vec<Row>> {
        let (buckets, scalars) = args.split_last().map_or((&args[0], args), |(last, rest)| (last, rest));
        let scalars: Vec<Vec<f64>> = scalars.iter().map(|a| self.scalar(a)).collect::<Result<_>>()?;
        if name == "histogram_quantile" {
            scalars[0].iter().for_each(|q| check_quantile(self.run, *q));
        }
        let input = self.rows(buckets)?;
        let grouping = Grouping::all_but(&["le"]);
        let (mut groups, mut members): (Groups, Vec<(Metric, Vec<(f64, usize)>)>) = (Groups::default(), Vec::new());
        for (i, row) in input.iter().enumerate() {
            let Some(bound) = super::special::bound(&row.metric) else {
                let what = "bucket label \"le\" is missing or has a malformed value of";
                self.run.warn(format_args!("{what} {}", quoted(row.metric.get("le"))));
                continue;
            };
            let (number, new) = groups.number(&grouping, &row.metric);
            if new {
                members.push((grouping.common(&row.metric).nameless(), Vec::new()));
            }
            members[number].1.push((bound, i));
        }
        let mut rows = Vec::new();
        for (metric, members) in members {
            self.run.check()?;
            let mut next = vec![0; members.len()];
            let (mut points, mut buckets) = (Vec::new(), Vec::new());
            for (step, at) in self.steps.times().enumerate() {
                buckets.clear();
                for ((bound, row), next) in members.iter().zip(&mut next) {
                    if let Some(p) = input[*row].points.get(*next).filter(|p| p.at == at) {
                        *next += 1;
                        buckets.push(Bucket { bound: *bound, count: p.value });
                    }
                }
                if !buckets.is_empty() {
                    let value = if name == "histogram_quantile" {
                        let (value, forced) = quantile(scalars[0][step], &mut buckets);
                        if forced {
                            self.run.info(FORCED);
                        }
                        value
                    } else {
                        fraction(scalars[0][step], scalars[1][step], &mut buckets)
                    };
                    points.push(Sample { at, value });
                }
            }
            if !points.is_empty() {
                rows.push(Row { metric, points });
            }
        }
        merged(rows)
    }
}

const FORCED: &str = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

/// Sorts buckets and adds those of the same bound up; false when the last is not `+Inf`.
fn prepare(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|a, b| a.bound.partial_cmp(&b.bound).unwrap_or(std::cmp::Ordering::Equal));
    if buckets.last().is_none_or(|b| b.bound != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.bound == kept.bound;
        if same {
            kept.count += next.count;
        }
        same
    });
    true
}

/// A quantile by linear interpolation in its bucket, and whether falling counts had to be lifted (`BucketQuantile`).
pub fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, false);
    }
    if !prepare(buckets) {
        return (f64::NAN, false);
    }
    let forced = make_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        // Too few to have fixed anything that matters: Prometheus says nothing then.
        return (f64::NAN, false);
    }
    let rank = q * observations;
    // What Go's binary search finds; a NaN count is never enough.
    let found = buckets[..last].partition_point(|b| !matches!(b.count.partial_cmp(&rank), Some(o) if o.is_ge()));
    if found == last {
        return (buckets[last - 1].bound, forced);
    }
    let bucket = buckets[found];
    if found == 0 && bucket.bound <= 0.0 {
        return (bucket.bound, forced);
    }
    let before = found.checked_sub(1).map_or(Bucket { bound: 0.0, count: 0.0 }, |n| buckets[n]);
    let part = (rank - before.count) / (bucket.count - before.count);
    (before.bound + (bucket.bound - before.bound) * part, forced)
}

/// Lifts counts that fall from bucket to bucket; tiny differences are levelled silently.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if nearly(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            forced = true;
        } else {
            before = count;
        }
    }
    forced
}

/// `almost.Equal` with the tolerance 1e-12.
fn nearly(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    if a.is_nan() && b.is_nan() {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

/// The share of observations between two values (`BucketFraction`).
pub fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !prepare(buckets) {
        return f64::NAN;
    }
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| {
        let mut rank = 0.0;
        let mut start = if buckets[0].bound <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
        for b in &*buckets {
            if start >= value {
                return rank;
            }
            if b.bound > value {
                // In a bucket without a lower end there is nothing to interpolate.
                let endless = start == f64::NEG_INFINITY;
                return if endless { b.count } else { rank + (b.count - rank) * (value - start) / (b.bound - start) };
            }
            rank = b.count;
            start = b.bound;
        }
        count
    };
    let capped = |rank: f64| if rank > count { count } else { rank };
    (capped(below(upper)) - capped(below(lower))) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    #[test]
    fn a_quantile_lies_on_the_line_through_its_bucket() {
        let all = [(0.1, 5.0), (0.5, 9.0), (1.0, 10.0), (f64::INFINITY, 10.0)];
        assert_eq!(quantile(0.7, &mut buckets(&all)).0, 0.1 + 0.4 * 0.5);
        assert_eq!(quantile(0.25, &mut buckets(&all)).0, 0.05);
        assert_eq!(quantile(2.0, &mut buckets(&all)).0, f64::INFINITY);
        assert!(quantile(0.5, &mut buckets(&all[..3])).0.is_nan(), "without +Inf nothing can be said");
        assert!(quantile(0.5, &mut buckets(&[(0.1, 0.0), (f64::INFINITY, 0.0)])).0.is_nan());
    }

    #[test]
    fn the_highest_bucket_gives_its_lower_end() {
        assert_eq!(quantile(0.9, &mut buckets(&[(0.1, 1.0), (f64::INFINITY, 10.0)])).0, 0.1);
    }

    #[test]
    fn falling_counts_are_lifted_and_told() {
        let (value, forced) = quantile(0.5, &mut buckets(&[(1.0, 4.0), (2.0, 3.0), (f64::INFINITY, 8.0)]));
        assert_eq!((value, forced), (1.0, true));
    }

    #[test]
    fn a_fraction_is_the_quantile_turned_round() {
        let all = [(0.1, 5.0), (0.5, 9.0), (1.0, 10.0), (f64::INFINITY, 10.0)];
        assert!((fraction(f64::NEG_INFINITY, 0.3, &mut buckets(&all)) - 0.7).abs() < 1e-12);
        assert_eq!(fraction(1.0, 0.5, &mut buckets(&all)), 0.0);
        assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, &mut buckets(&all)), 1.0);
    }
}
