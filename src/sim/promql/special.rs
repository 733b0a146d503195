//! Functions of instant vectors and scalars, and those that change labels or order.

use super::eval::{Evaluator, QueryError, Result, Row, SAME, Value, failed, merged};
use super::functions;
use super::metric::Metric;
use super::plan::Node;
use super::storage::Sample;
use chrono::DateTime;
use std::cmp::Ordering;
use std::collections::HashSet;

impl Evaluator<'_> {
    /// Calls a function that is not over time.
    pub(super) fn special(&self, name: &'static str, args: &[Node]) -> Result<Value> {
        if let Some(f) = functions::math(name) {
            return self.each(&args[0], |_, v| f(v)).map(Value::Rows);
        }
        if let Some(f) = functions::date(name) {
            return self.dates(f, args).map(Value::Rows);
        }
        Ok(Value::Rows(match name {
            "time" => return Ok(Value::Scalar(self.steps.times().map(|t| t as f64 / 1000.0).collect())),
            "pi" => return Ok(Value::Scalar(vec![std::f64::consts::PI; self.steps.count()])),
            "scalar" => return self.single(&args[0]),
            "vector" => vec![self.constant(&self.scalar(&args[0])?)],
            "absent" => {
                let present: HashSet<i64> =
                    self.rows(&args[0])?.iter().flat_map(|r| r.points.iter().map(|p| p.at)).collect();
                self.absent_at(&args[0], |t| !present.contains(&t))
            }
            "timestamp" => self.timestamps(&args[0])?,
            "round" => {
                let nearest = args.get(1).map(|a| self.scalar(a)).transpose()?;
                // Inverted, as Prometheus does: fewer errors of rounding.
                self.each(&args[0], |step, v| {
                    let inverse = 1.0 / nearest.as_ref().map_or(1.0, |n| n[step]);
                    (v * inverse + 0.5).floor() / inverse
                })?
            }
            "clamp" | "clamp_min" | "clamp_max" => self.clamp(name, args)?,
            "sort" | "sort_desc" => self.sorted(&args[0], name == "sort_desc")?,
            "sort_by_label" | "sort_by_label_desc" => self.sorted_by_label(args, name == "sort_by_label_desc")?,
            "label_replace" => self.label_replace(args)?,
            "label_join" => self.label_join(args)?,
            "histogram_quantile" | "histogram_fraction" => self.classic(name, args)?,
            // Of native histograms, of which there are none.
            "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev" | "histogram_stdvar" => {
                self.rows(&args[0])?;
                Vec::new()
            }
            _ => return failed(format!("{name} is not supported by the simulated Prometheus")),
        }))
    }

    /// Changes every value; the function is given the step's number.
    pub(super) fn each(&self, arg: &Node, f: impl Fn(usize, f64) -> f64) -> Result<Vec<Row>> {
        let mut rows = self.rows(arg)?;
        for row in &mut rows {
            row.metric = row.metric.clone().nameless();
            for p in &mut row.points {
                p.value = f(((p.at - self.steps.start) / self.steps.every) as usize, p.value);
            }
        }
        merged(rows)
    }

    fn constant(&self, values: &[f64]) -> Row {
        let points = self.steps.times().zip(values).map(|(at, value)| Sample { at, value: *value }).collect();
        Row { metric: Metric::none(), points }
    }

    fn single(&self, arg: &Node) -> Result<Value> {
        let mut found = vec![None; self.steps.count()];
        for p in self.rows(arg)?.iter().flat_map(|r| &r.points) {
            let slot = &mut found[((p.at - self.steps.start) / self.steps.every) as usize];
            *slot = Some(if slot.is_some() { f64::NAN } else { p.value });
        }
        Ok(Value::Scalar(found.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect()))
    }

    fn dates(&self, f: fn(DateTime<chrono::Utc>) -> f64, args: &[Node]) -> Result<Vec<Row>> {
        // Out of chrono's years there is no date to tell; Go would wrap around.
        let date = |seconds: i64| DateTime::from_timestamp(seconds, 0).map_or(f64::NAN, f);
        match args.first() {
            None => {
                let values: Vec<f64> = self.steps.times().map(|t| date(t.div_euclid(1000))).collect();
                Ok(vec![self.constant(&values)])
            }
            Some(arg) => self.each(arg, |_, v| date(if v.is_nan() { i64::MIN } else { v as i64 })),
        }
    }

    fn timestamps(&self, arg: &Node) -> Result<Vec<Row>> {
        let rows = if let Node::Select(selector) = arg.bare() {
            self.instant(selector, |_, s| s.at as f64 / 1000.0)?
        } else {
            let mut rows = self.rows(arg)?;
            rows.iter_mut().flat_map(|r| &mut r.points).for_each(|p| p.value = p.at as f64 / 1000.0);
            rows
        };
        merged(rows.into_iter().map(|r| Row { metric: r.metric.nameless(), ..r }).collect())
    }

    fn clamp(&self, name: &str, args: &[Node]) -> Result<Vec<Row>> {
        let limits: Vec<Vec<f64>> = args[1..].iter().map(|a| self.scalar(a)).collect::<Result<_>>()?;
        let limits = |step: usize| match name {
            "clamp_min" => (limits[0][step], f64::INFINITY),
            "clamp_max" => (f64::NEG_INFINITY, limits[0][step]),
            _ => (limits[0][step], limits[1][step]),
        };
        let mut rows = self.each(&args[0], |step, v| {
            let (low, high) = limits(step);
            go_max(low, go_min(high, v))
        })?;
        // Where the limits are the wrong way round there is nothing.
        for row in &mut rows {
            row.points.retain(|p| {
                let (low, high) = limits(((p.at - self.steps.start) / self.steps.every) as usize);
                !matches!(high.partial_cmp(&low), Some(Ordering::Less))
            });
        }
        rows.retain(|r| !r.points.is_empty());
        Ok(rows)
    }

    fn sorted(&self, arg: &Node, descending: bool) -> Result<Vec<Row>> {
        let mut rows = self.rows(arg)?;
        if self.steps.single() {
            rows.sort_by(|a, b| {
                let (a, b) = (a.points[0].value, b.points[0].value);
                let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
                a.is_nan().cmp(&b.is_nan()).then(if descending { order.reverse() } else { order })
            });
        }
        Ok(rows)
    }

    fn sorted_by_label(&self, args: &[Node], descending: bool) -> Result<Vec<Row>> {
        let mut rows = self.rows(&args[0])?;
        let labels: Vec<&str> = args[1..].iter().map(text).collect();
        if self.steps.single() {
            rows.sort_by(|a, b| {
                let by_label = labels.iter().map(|l| natural(a.metric.get(l), b.metric.get(l)));
                let order = by_label.fold(Ordering::Equal, Ordering::then).then_with(|| a.metric.cmp(&b.metric));
                if descending { order.reverse() } else { order }
            });
        }
        Ok(rows)
    }

    fn label_replace(&self, args: &[Node]) -> Result<Vec<Row>> {
        let [to, replacement, from, pattern] = [1, 2, 3, 4].map(|i| text(&args[i]));
        let regex = regex::Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|_| QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
        if to.is_empty() {
            return failed(format!("invalid destination label name in label_replace(): {to}"));
        }
        let mut rows = self.rows(&args[0])?;
        for row in &mut rows {
            let value = row.metric.get(from).to_owned();
            if let Some(found) = regex.captures(&value) {
                let mut new = String::new();
                found.expand(replacement, &mut new);
                let mut labels = row.metric.to_map();
                labels.insert(to.to_owned(), new);
                row.metric = Metric::of(labels);
            }
        }
        unlike(rows)
    }

    fn label_join(&self, args: &[Node]) -> Result<Vec<Row>> {
        let (to, separator) = (text(&args[1]), text(&args[2]));
        let from: Vec<&str> = args[3..].iter().map(text).collect();
        if from.iter().any(|l| l.is_empty()) {
            return failed("invalid source label name in label_join(): ");
        }
        if to.is_empty() {
            return failed(format!("invalid destination label name in label_join(): {to}"));
        }
        let mut rows = self.rows(&args[0])?;
        for row in &mut rows {
            let parts: Vec<&str> = from.iter().map(|l| row.metric.get(l)).collect();
            let mut labels = row.metric.to_map();
            labels.insert(to.to_owned(), parts.join(separator));
            row.metric = Metric::of(labels);
        }
        unlike(rows)
    }
}

/// The rows, unless two have the same labels.
fn unlike(rows: Vec<Row>) -> Result<Vec<Row>> {
    let mut seen = HashSet::with_capacity(rows.len());
    if rows.iter().all(|r| seen.insert(&r.metric)) { Ok(rows) } else { failed(SAME) }
}

/// A text argument; the parser has checked that it is one.
pub fn text(node: &Node) -> &str {
    if let Node::Text(text) = node.bare() { text } else { "" }
}

/// `math.Max`: infinity wins over NaN, NaN over the rest.
fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

/// The order people expect (`facette/natsort`): runs of digits by their number.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (chunks(a), chunks(b));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) if a != b => {
                return match (a.parse::<i64>(), b.parse::<i64>()) {
                    (Ok(m), Ok(n)) if m != n => m.cmp(&n),
                    _ => a.cmp(b),
                };
            }
            _ => {}
        }
    }
}

fn chunks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digit = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (chunk, tail) = rest.split_at(end);
        rest = tail;
        Some(chunk)
    })
}

/// A label's value as a number, as `histogram_quantile` reads `le`.
pub fn bound(metric: &Metric) -> Option<f64> {
    super::format::number(metric.get("le"))
}
