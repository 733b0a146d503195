//! Aggregations, step by step over the rows of their argument.

use super::eval::{Evaluator, Result, Row, SAME, Value, failed, size};
use super::format::{general, plain};
use super::functions::{Mean, Sum, quantile};
use super::metric::{Groups, Metric};
use super::plan::Aggregate;
use super::storage::Sample;
use std::collections::HashMap;

/// What is known of a group at a step.
struct State {
    sum: Sum,
    mean: Mean,
    best: f64,
    count: f64,
    // Welford's, as Prometheus has it.
    center: f64,
    squares: f64,
    values: Vec<f64>,
}

impl State {
    fn new(value: f64, op: &str) -> Self {
        Self {
            sum: Sum::of(value),
            mean: Mean::of(value),
            best: value,
            count: 1.0,
            center: value,
            squares: if value.is_finite() { 0.0 } else { f64::NAN },
            values: if op == "quantile" { vec![value] } else { Vec::new() },
        }
    }

    fn add(&mut self, value: f64, op: &str) {
        match op {
            "sum" => self.sum = self.sum.plus(value),
            "avg" => self.mean = self.mean.plus(value),
            "min" if self.best > value || self.best.is_nan() => self.best = value,
            "max" if self.best < value || self.best.is_nan() => self.best = value,
            "count" => self.count += 1.0,
            "stddev" | "stdvar" => {
                self.count += 1.0;
                let delta = value - self.center;
                self.center += delta / self.count;
                self.squares += delta * (value - self.center);
            }
            "quantile" => self.values.push(value),
            _ => {}
        }
    }

    fn value(self, op: &str, param: f64) -> f64 {
        match op {
            "sum" => self.sum.total(),
            "avg" => self.mean.value(),
            "count" => self.count,
            "stdvar" => self.squares / self.count,
            "stddev" => (self.squares / self.count).sqrt(),
            "quantile" => quantile(param, self.values),
            "group" => 1.0,
            _ => self.best,
        }
    }
}

/// Reads rows step by step.
pub struct Reader<'a> {
    rows: &'a [Row],
    next: Vec<usize>,
}

impl<'a> Reader<'a> {
    /// From the first step.
    pub fn new(rows: &'a [Row]) -> Self {
        Self { rows, next: vec![0; rows.len()] }
    }

    /// The row's value at the step, to be asked for each step in turn.
    pub fn at(&mut self, row: usize, at: i64) -> Option<f64> {
        let point = self.rows[row].points.get(self.next[row]).filter(|p| p.at == at)?;
        self.next[row] += 1;
        Some(point.value)
    }
}

impl Evaluator<'_> {
    /// An aggregation's rows.
    pub(super) fn aggregate(&self, a: &Aggregate) -> Result<Vec<Row>> {
        if a.op == "count_values" {
            return self.count_values(a);
        }
        let params = match &a.param {
            Some(param) => self.scalar(param)?,
            None => vec![0.0; self.steps.count()],
        };
        let input = self.rows(&a.inner)?;
        let (mut groups, mut of, mut rows) = (Groups::default(), Vec::with_capacity(input.len()), Vec::new());
        let selects = matches!(a.op.as_str(), "topk" | "bottomk" | "limitk" | "limit_ratio");
        for row in &input {
            let (number, new) = groups.number(&a.grouping, &row.metric);
            if new && !selects {
                rows.push(Row { metric: a.grouping.common(&row.metric), points: Vec::new() });
            }
            of.push(number);
        }
        if !self.check_param(&a.op, &params)? {
            return Ok(Vec::new());
        }
        if selects {
            rows = self.chosen(a, &input, &of, groups.count(), &params)?;
        } else {
            self.reduce(a, &input, &of, &mut rows, &params)?;
        }
        rows.retain(|r| !r.points.is_empty());
        self.run.hold(size(&rows))?;
        self.run.release(size(&input));
        Ok(rows)
    }

    fn reduce(&self, a: &Aggregate, input: &[Row], of: &[usize], rows: &mut [Row], params: &[f64]) -> Result<()> {
        let mut reader = Reader::new(input);
        for (step, at) in self.steps.times().enumerate() {
            self.run.check()?;
            let mut states: Vec<Option<State>> = Vec::new();
            states.resize_with(rows.len(), || None);
            for (row, group) in of.iter().enumerate() {
                if let Some(value) = reader.at(row, at) {
                    match &mut states[*group] {
                        Some(state) => state.add(value, &a.op),
                        empty => *empty = Some(State::new(value, &a.op)),
                    }
                }
            }
            for (row, state) in rows.iter_mut().zip(states) {
                if let Some(state) = state {
                    row.points.push(Sample { at, value: state.value(&a.op, params[step]) });
                }
            }
        }
        Ok(())
    }

    /// Checks a parameter as Prometheus does, over all steps; false when the result is empty whatever the input.
    fn check_param(&self, op: &str, params: &[f64]) -> Result<bool> {
        let max = params.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let min = params.iter().copied().fold(f64::INFINITY, f64::min);
        let nan = params.iter().any(|p| p.is_nan());
        match op {
            "topk" | "bottomk" | "limitk" => {
                if max < 1.0 && !(nan && max == f64::NEG_INFINITY) {
                    return Ok(false);
                }
                if nan {
                    return failed("Parameter value is NaN");
                }
                if min <= i64::MIN as f64 {
                    return failed(format!("Scalar value {} underflows int64", general(min, 21)));
                }
                if max >= i64::MAX as f64 {
                    return failed(format!("Scalar value {} overflows int64", general(max, 21)));
                }
            }
            "limit_ratio" => {
                if max == 0.0 && min == 0.0 {
                    return Ok(false);
                }
                if nan {
                    return failed("Ratio value is NaN");
                }
                for (given, limit) in [(max, 1.0), (min, -1.0)] {
                    if given.abs() > 1.0 && given.signum() == limit {
                        let what = "ratio value should be between -1 and 1";
                        self.run.warn(format_args!("{what}, got {}, capping to {limit}", general(given, 6)));
                    }
                }
            }
            "quantile" => {
                let odd = [(nan, f64::NAN), (max > 1.0, max), (min < 0.0, min)];
                odd.iter().filter(|(odd, _)| *odd).for_each(|(_, q)| super::histogram::check_quantile(self.run, *q));
            }
            _ => {}
        }
        Ok(true)
    }

    /// `topk` and its like: some of the rows, as they are.
    fn chosen(&self, a: &Aggregate, input: &[Row], of: &[usize], groups: usize, params: &[f64]) -> Result<Vec<Row>> {
        let mut reader = Reader::new(input);
        let mut out: Vec<Row> = input.iter().map(|r| Row { metric: r.metric.clone(), points: Vec::new() }).collect();
        let mut order = Vec::new();
        let offsets: Vec<f64> = match a.op.as_str() {
            "limit_ratio" => input.iter().map(|r| hash(&r.metric) as f64 / u64::MAX as f64).collect(),
            _ => Vec::new(),
        };
        for (step, at) in self.steps.times().enumerate() {
            self.run.check()?;
            let k = (params[step] as i64).min(input.len() as i64).max(0) as usize;
            let ratio = params[step].clamp(-1.0, 1.0);
            let mut heaps: Vec<Heap> = (0..groups).map(|_| Heap::default()).collect();
            for (row, group) in of.iter().enumerate() {
                let Some(value) = reader.at(row, at) else { continue };
                let heap = &mut heaps[*group];
                match a.op.as_str() {
                    "limit_ratio" => {
                        let offset = offsets[row];
                        if ratio > 0.0 && offset < ratio || ratio < 0.0 && offset >= 1.0 + ratio {
                            heap.items.push((row, value));
                        }
                    }
                    "limitk" if heap.items.len() < k => heap.items.push((row, value)),
                    "limitk" => {}
                    op => heap.offer((row, value), k, op == "bottomk"),
                }
            }
            for mut heap in heaps {
                heap.sort(&a.op);
                for (row, value) in heap.items {
                    out[row].points.push(Sample { at, value });
                    order.push(row);
                }
            }
        }
        if self.steps.single() {
            return Ok(order.into_iter().map(|row| out[row].clone()).collect());
        }
        Ok(out)
    }

    fn count_values(&self, a: &Aggregate) -> Result<Vec<Row>> {
        let label = a.param.as_ref().map_or("", super::special::text);
        if label.is_empty() {
            return failed("invalid label name \"\"");
        }
        let mut grouping = a.grouping.clone();
        if grouping.only {
            grouping.labels.push(label.to_owned());
            grouping.labels.sort();
            grouping.labels.dedup();
        }
        let input = self.rows(&a.inner)?;
        let mut reader = Reader::new(&input);
        let mut known: HashMap<Metric, usize> = HashMap::new();
        let mut rows: Vec<Row> = Vec::new();
        for at in self.steps.times() {
            self.run.check()?;
            for (n, row) in input.iter().enumerate() {
                let Some(value) = reader.at(n, at) else { continue };
                let mut labels = row.metric.to_map();
                labels.insert(label.to_owned(), plain(value));
                let metric = grouping.common(&Metric::of(labels));
                let place = *known.entry(metric).or_insert_with_key(|metric| {
                    rows.push(Row { metric: metric.clone(), points: Vec::new() });
                    rows.len() - 1
                });
                match rows[place].points.last_mut().filter(|p| p.at == at) {
                    Some(point) => point.value += 1.0,
                    None => rows[place].points.push(Sample { at, value: 1.0 }),
                }
            }
        }
        self.run.hold(size(&rows))?;
        self.run.release(size(&input));
        Ok(rows)
    }
}

/// The k largest or smallest so far; the one that would go next is at its top (Go's `container/heap`, so that ties go
/// the same way).
#[derive(Default)]
struct Heap {
    items: Vec<(usize, f64)>,
}

fn less(a: f64, b: f64, reverse: bool) -> bool {
    a.is_nan() || if reverse { a > b } else { a < b }
}

impl Heap {
    fn offer(&mut self, item: (usize, f64), k: usize, smallest: bool) {
        if self.items.len() < k {
            self.items.push(item);
            let mut j = self.items.len() - 1;
            while j > 0 {
                let parent = (j - 1) / 2;
                if !less(self.items[j].1, self.items[parent].1, smallest) {
                    break;
                }
                self.items.swap(j, parent);
                j = parent;
            }
        } else if let Some(top) = self.items.first_mut() {
            let better = if smallest { top.1 > item.1 } else { top.1 < item.1 };
            if better || (top.1.is_nan() && !item.1.is_nan()) {
                *top = item;
                self.sink(smallest);
            }
        }
    }

    fn sink(&mut self, smallest: bool) {
        let (mut i, n) = (0, self.items.len());
        loop {
            let mut child = 2 * i + 1;
            if child >= n {
                return;
            }
            if child + 1 < n && less(self.items[child + 1].1, self.items[child].1, smallest) {
                child += 1;
            }
            if !less(self.items[child].1, self.items[i].1, smallest) {
                return;
            }
            self.items.swap(i, child);
            i = child;
        }
    }

    fn sort(&mut self, op: &str) {
        if matches!(op, "topk" | "bottomk") {
            self.items.sort_by(|(_, a), (_, b)| {
                let order = a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
                a.is_nan().cmp(&b.is_nan()).then(if op == "topk" { order.reverse() } else { order })
            });
        }
    }
}

/// `labels.Labels.Hash` of Prometheus 3: XXH64 of names and values, each after its length. `limit_ratio` goes by it.
fn hash(metric: &Metric) -> u64 {
    let mut bytes = Vec::new();
    for text in metric.iter().flat_map(|(k, v)| [k, v]) {
        match u8::try_from(text.len()) {
            Ok(n) if n < 255 => bytes.push(n),
            _ => {
                bytes.push(255);
                bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxh64(&bytes)
}

/// XXH64 with seed 0 (Yann Collet's specification).
fn xxh64(bytes: &[u8]) -> u64 {
    const P: [u64; 5] = [
        0x9e37_79b1_85eb_ca87,
        0xc2b2_ae3d_27d4_eb4f,
        0x1656_67b1_9e37_79f9,
        0x85eb_ca77_c2b2_ae63,
        0x27d4_eb2f_1656_67c5,
    ];
    let word = |b: &[u8]| b.iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    let round = |acc: u64, w: u64| acc.wrapping_add(w.wrapping_mul(P[1])).rotate_left(31).wrapping_mul(P[0]);
    let mut stripes = bytes.chunks_exact(32);
    let mut h = if bytes.len() >= 32 {
        let mut v = [P[0].wrapping_add(P[1]), P[1], 0, 0_u64.wrapping_sub(P[0])];
        for stripe in &mut stripes {
            for (v, lane) in v.iter_mut().zip(stripe.chunks_exact(8)) {
                *v = round(*v, word(lane));
            }
        }
        let mixed = v.iter().zip([1, 7, 12, 18]).fold(0_u64, |h, (v, by)| h.wrapping_add(v.rotate_left(by)));
        v.iter().fold(mixed, |h, v| (h ^ round(0, *v)).wrapping_mul(P[0]).wrapping_add(P[3]))
    } else {
        P[4]
    };
    h = h.wrapping_add(bytes.len() as u64);
    let mut eights = stripes.remainder().chunks_exact(8);
    for b in &mut eights {
        h = (h ^ round(0, word(b))).rotate_left(27).wrapping_mul(P[0]).wrapping_add(P[3]);
    }
    let mut fours = eights.remainder().chunks_exact(4);
    for b in &mut fours {
        h = (h ^ word(b).wrapping_mul(P[0])).rotate_left(23).wrapping_mul(P[1]).wrapping_add(P[2]);
    }
    for b in fours.remainder() {
        h = (h ^ u64::from(*b).wrapping_mul(P[4])).rotate_left(11).wrapping_mul(P[0]);
    }
    h = (h ^ h >> 33).wrapping_mul(P[1]);
    h = (h ^ h >> 29).wrapping_mul(P[2]);
    h ^ h >> 32
}

/// Refuses a step at which a series would come twice.
pub fn push(row: &mut Row, at: i64, value: f64) -> Result<()> {
    if row.points.last().is_some_and(|p| p.at == at) {
        return failed(SAME);
    }
    row.points.push(Sample { at, value });
    Ok(())
}

/// Rows as a value.
pub fn value(rows: Vec<Row>) -> Value {
    Value::Rows(rows.into_iter().filter(|r| !r.points.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xxh64_is_the_published_one() {
        assert_eq!(xxh64(b""), 0xef46_db37_51d8_e999);
        assert_eq!(xxh64(b"a"), 0xd24e_c4f1_a98c_6e5b);
        assert_eq!(xxh64(b"Nobody inspects the spammish repetition"), 0xfbce_a83c_8a37_8bf1);
    }

    #[test]
    fn the_largest_are_kept_and_nan_goes_first() {
        let mut heap = Heap::default();
        for (i, v) in [1.0, f64::NAN, 5.0, 3.0, 4.0].into_iter().enumerate() {
            heap.offer((i, v), 3, false);
        }
        heap.sort("topk");
        assert_eq!(heap.items, [(2, 5.0), (4, 4.0), (3, 3.0)]);
    }
}
