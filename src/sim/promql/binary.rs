//! Operators between two expressions: numbers, series and numbers, and series matched by their labels.

use super::aggregate::{Reader, push, value};
use super::eval::{Evaluator, Result, Row, Value, failed, joined, merged, size};
use super::metric::{Grouping, Groups, Metric};
use super::plan::{Binary, Many, Operator};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What an operator makes of two numbers: a value, and whether a comparison holds (else always).
fn apply(op: Operator, a: f64, b: f64) -> (f64, bool) {
    use Operator as O;
    match op {
        O::Add => (a + b, true),
        O::Sub => (a - b, true),
        O::Mul => (a * b, true),
        O::Div => (a / b, true),
        O::Mod => (a % b, true),
        O::Pow => (a.powf(b), true),
        O::Atan2 => (a.atan2(b), true),
        O::Equal => (a, a == b),
        O::NotEqual => (a, a != b),
        O::Greater => (a, a > b),
        O::Less => (a, a < b),
        O::GreaterEqual => (a, a >= b),
        O::LessEqual => (a, a <= b),
        // Sets have no values to combine.
        O::And | O::Or | O::Unless => (a, true),
    }
}

impl Evaluator<'_> {
    /// An operator's value.
    pub(super) fn binary(&self, b: &Binary) -> Result<Value> {
        match (self.eval(&b.left)?, self.eval(&b.right)?) {
            (Value::Scalar(left), Value::Scalar(right)) => {
                let number = |(a, c): (&f64, &f64)| match apply(b.op, *a, *c) {
                    (_, holds) if b.op.compares() => f64::from(u8::from(holds)),
                    (value, _) => value,
                };
                Ok(Value::Scalar(left.iter().zip(&right).map(number).collect()))
            }
            (Value::Rows(rows), Value::Scalar(numbers)) => self.with_number(b, rows, &numbers, false),
            (Value::Scalar(numbers), Value::Rows(rows)) => self.with_number(b, rows, &numbers, true),
            (Value::Rows(left), Value::Rows(right)) => {
                let rows = match b.op {
                    Operator::And | Operator::Or | Operator::Unless => self.set(b, &left, &right)?,
                    _ => self.matched(b, &left, &right)?,
                };
                self.run.hold(size(&rows))?;
                self.run.release(size(&left) + size(&right));
                Ok(value(rows))
            }
            _ => failed("binary expression must contain only scalar and instant vector types"),
        }
    }

    fn with_number(&self, b: &Binary, mut rows: Vec<Row>, numbers: &[f64], number_first: bool) -> Result<Value> {
        for row in &mut rows {
            row.points.retain_mut(|p| {
                let number = numbers[((p.at - self.steps.start) / self.steps.every) as usize];
                let old = p.value;
                let (new, holds) = if number_first { apply(b.op, number, old) } else { apply(b.op, old, number) };
                // A comparison keeps the series' value, whichever side it is on.
                p.value = match (b.op.compares(), b.bool) {
                    (true, true) => f64::from(u8::from(holds)),
                    (true, false) => old,
                    (false, _) => new,
                };
                holds || b.bool
            });
            if !b.op.compares() || b.bool {
                row.metric = row.metric.clone().nameless();
            }
        }
        rows.retain(|r| !r.points.is_empty());
        merged(rows).map(Value::Rows)
    }

    fn set(&self, b: &Binary, left: &[Row], right: &[Row]) -> Result<Vec<Row>> {
        let mut groups = Groups::default();
        let of = |rows: &[Row], groups: &mut Groups| -> Vec<usize> {
            rows.iter().map(|r| groups.number(&b.on, &r.metric).0).collect()
        };
        let (l, r) = (of(left, &mut groups), of(right, &mut groups));
        let empty = |rows: &[Row]| -> Vec<Row> {
            rows.iter().map(|r| Row { metric: r.metric.clone(), points: Vec::new() }).collect()
        };
        let (mut from_left, mut from_right) = (empty(left), empty(right));
        let (mut read_left, mut read_right) = (Reader::new(left), Reader::new(right));
        // The step at which a group was last seen, on either side.
        let (mut seen_left, mut seen_right) = (vec![None; groups.count()], vec![None; groups.count()]);
        for at in self.steps.times() {
            self.run.check()?;
            let rights: Vec<Option<f64>> = (0..right.len()).map(|i| read_right.at(i, at)).collect();
            for (group, _) in r.iter().zip(&rights).filter(|(_, value)| value.is_some()) {
                seen_right[*group] = Some(at);
            }
            for (i, group) in l.iter().enumerate() {
                let Some(value) = read_left.at(i, at) else { continue };
                seen_left[*group] = Some(at);
                let matched = seen_right[*group] == Some(at);
                if b.op == Operator::Or || matched == (b.op == Operator::And) {
                    push(&mut from_left[i], at, value)?;
                }
            }
            if b.op == Operator::Or {
                for (i, group) in r.iter().enumerate() {
                    if let Some(value) = rights[i].filter(|_| seen_left[*group] != Some(at)) {
                        push(&mut from_right[i], at, value)?;
                    }
                }
            }
        }
        let rows = from_left.into_iter().chain(from_right).filter(|r| !r.points.is_empty()).collect();
        // The two sides of `or` may have the same labels at different steps.
        joined(rows)
    }

    fn matched(&self, b: &Binary, left: &[Row], right: &[Row]) -> Result<Vec<Row>> {
        // From here on the right side is the one that has each group once.
        let swapped = b.many == Many::Right;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let mut groups = Groups::default();
        let of_one: Vec<usize> = one.iter().map(|r| groups.number(&b.on, &r.metric).0).collect();
        let of_many: Vec<usize> = many.iter().map(|r| groups.number(&b.on, &r.metric).0).collect();
        let (mut read_many, mut read_one) = (Reader::new(many), Reader::new(one));
        let mut results = Results { b, places: HashMap::new(), pairs: HashMap::new(), rows: Vec::new() };
        let mut ones: Vec<Option<(usize, f64)>> = vec![None; groups.count()];
        let mut matched: HashSet<(usize, usize)> = HashSet::new();
        for at in self.steps.times() {
            self.run.check()?;
            ones.fill(None);
            matched.clear();
            let mut values: Vec<Option<f64>> = (0..many.len()).map(|i| read_many.at(i, at)).collect();
            let none = values.iter().all(Option::is_none);
            for (i, group) in of_one.iter().enumerate() {
                let Some(value) = read_one.at(i, at) else { continue };
                // With nothing on the other side Prometheus does not look for duplicates.
                if let Some((before, _)) = ones[*group].filter(|_| !none) {
                    return failed(duplicate(b, &one[i].metric, &one[before].metric));
                }
                ones[*group] = Some((i, value));
            }
            for (i, group) in of_many.iter().enumerate() {
                let (Some(value), Some((j, other))) = (values[i].take(), ones[*group]) else { continue };
                let (new, holds) = if swapped { apply(b.op, other, value) } else { apply(b.op, value, other) };
                if !holds && !b.bool {
                    continue;
                }
                let place = results.place(i, j, &many[i].metric, &one[j].metric);
                let key = if b.many == Many::Neither { (*group, 0) } else { (*group, place) };
                if !matched.insert(key) {
                    return failed(if b.many == Many::Neither {
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                    } else {
                        "multiple matches for labels: grouping labels must ensure unique matches"
                    });
                }
                push(&mut results.rows[place], at, if b.bool { f64::from(u8::from(holds)) } else { new })?;
            }
        }
        Ok(results.rows)
    }
}

/// The rows of matched series, found by the pair that they come from.
struct Results<'a> {
    b: &'a Binary,
    places: HashMap<(usize, usize), usize>,
    pairs: HashMap<Metric, usize>,
    rows: Vec<Row>,
}

impl Results<'_> {
    fn place(&mut self, i: usize, j: usize, many: &Metric, one: &Metric) -> usize {
        if let Some(place) = self.places.get(&(i, j)) {
            return *place;
        }
        let metric = result(self.b, many, one);
        let place = *self.pairs.entry(metric).or_insert_with_key(|metric| {
            self.rows.push(Row { metric: metric.clone(), points: Vec::new() });
            self.rows.len() - 1
        });
        self.places.insert((i, j), place);
        place
    }
}

/// The labels of a matched pair.
fn result(b: &Binary, many: &Metric, one: &Metric) -> Metric {
    let metric = if b.op.compares() && !b.bool { many.clone() } else { many.clone().nameless() };
    let mut labels: BTreeMap<String, String> = match b.many {
        Many::Neither if b.on.only => Grouping { named: false, ..b.on.clone() }.common(&metric).to_map(),
        Many::Neither => {
            let mut labels = metric.to_map();
            labels.retain(|l, _| b.on.labels.binary_search(l).is_err());
            labels
        }
        _ if b.include.is_empty() => return metric,
        _ => metric.to_map(),
    };
    for label in &b.include {
        labels.insert(label.clone(), one.get(label).to_owned());
    }
    Metric::of(labels)
}

fn duplicate(b: &Binary, one: &Metric, other: &Metric) -> String {
    let side = if b.many == Many::Right { "left" } else { "right" };
    format!(
        "found duplicate series for the match group {} on the {side} hand-side of the operation: [{one}, {other}];many-to-many \
         matching not allowed: matching labels must be unique on one side",
        b.on.common(one)
    )
}
