//! The evaluator: walks the plan and gives each node's value for all steps at once, as Prometheus's `promql/engine.go`.

use super::functions;
use super::metric::Metric;
use super::plan::{Function, Node, Selector, ValueType, absent_labels};
use super::storage::{Sample, Series, Storage, is_stale};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The request is wrong (`bad_data`).
    #[error("{0}")]
    Bad(String),
    /// It cannot be evaluated (`execution`).
    #[error("{0}")]
    Execution(String),
    /// It took too long (`timeout`).
    #[error("query timed out in {0}")]
    Timeout(&'static str),
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, QueryError>;

/// An error of execution.
pub fn failed<T>(text: impl Into<String>) -> Result<T> {
    Err(QueryError::Execution(text.into()))
}

/// A remark on a result: whether it is a warning, and its text.
pub type Note = (bool, String);

/// A series of a result; its points are at times of evaluation.
#[derive(Debug, Clone)]
pub struct Row {
    /// Labels.
    pub metric: Metric,
    /// Oldest first; at least one.
    pub points: Vec<Sample>,
}

/// A node's value for all steps.
#[derive(Debug)]
pub enum Value {
    /// One number for each step.
    Scalar(Vec<f64>),
    /// Series. For a single step their order has a meaning.
    Rows(Vec<Row>),
    /// A text.
    Text(String),
}

/// When an expression is evaluated; milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    /// First.
    pub start: i64,
    /// The last is not after this.
    pub end: i64,
    /// Between two; more than 0.
    pub every: i64,
}

impl Steps {
    /// A single one.
    pub fn once(at: i64) -> Self {
        Self { start: at, end: at, every: 1 }
    }

    /// The times.
    pub fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count() as i64).map(move |n| self.start + n * self.every)
    }

    /// How many there are.
    pub fn count(self) -> usize {
        if self.end < self.start { 0 } else { ((self.end - self.start) / self.every) as usize + 1 }
    }

    /// Whether it is an instant.
    pub fn single(self) -> bool {
        self.start == self.end
    }
}

/// One query's evaluation: what it reads, what it may use, and what is to be said about it.
pub struct Run<'a> {
    /// The samples.
    pub storage: &'a dyn Storage,
    /// When to give up.
    pub deadline: Instant,
    /// How far back an instant selector looks, milliseconds.
    pub lookback: i64,
    /// The step of subqueries that name none, milliseconds.
    pub default_step: i64,
    /// How many samples may be in memory.
    pub max_samples: usize,
    /// How many are.
    pub held: Cell<usize>,
    /// How many were at most.
    pub peak: Cell<usize>,
    /// How many were looked at.
    pub read: Cell<u64>,
    /// Remarks.
    pub notes: RefCell<BTreeSet<Note>>,
}

impl Run<'_> {
    /// Adds a remark of the kind that Prometheus calls info.
    pub fn info(&self, text: impl std::fmt::Display) {
        self.notes.borrow_mut().insert((false, format!("PromQL info: {text}")));
    }

    /// Adds a warning.
    pub fn warn(&self, text: impl std::fmt::Display) {
        self.notes.borrow_mut().insert((true, format!("PromQL warning: {text}")));
    }

    /// Gives up when it is too late.
    pub fn check(&self) -> Result<()> {
        if Instant::now() >= self.deadline { Err(QueryError::Timeout("expression evaluation")) } else { Ok(()) }
    }

    /// Counts samples that are now in memory.
    pub fn hold(&self, samples: usize) -> Result<()> {
        let held = self.held.get() + samples;
        self.held.set(held);
        self.peak.set(self.peak.get().max(held));
        if held > self.max_samples {
            return failed("query processing would load too many samples into memory in query execution");
        }
        Ok(())
    }

    /// And that no longer are.
    pub fn release(&self, samples: usize) {
        self.held.set(self.held.get().saturating_sub(samples));
    }

    /// The series of a selector over a stretch of time, sorted by their labels.
    pub fn select(&self, selector: &Selector, after: i64, to: i64) -> Vec<Arc<dyn Series>> {
        let mut series = self.storage.select(&selector.matchers, after, to);
        // Costs next to nothing when the storage has them in order.
        series.sort_by(|a, b| a.labels().cmp(b.labels()));
        series
    }
}

/// How many samples rows hold.
pub fn size(rows: &[Row]) -> usize {
    rows.iter().map(|r| r.points.len()).sum()
}

/// Evaluates over some steps.
#[derive(Clone, Copy)]
pub struct Evaluator<'a> {
    /// The query.
    pub run: &'a Run<'a>,
    /// When.
    pub steps: Steps,
}

impl Evaluator<'_> {
    /// A node's value.
    pub fn eval(&self, node: &Node) -> Result<Value> {
        self.run.check()?;
        if self.steps.count() == 0 {
            return Ok(match node.gives() {
                ValueType::Scalar => Value::Scalar(Vec::new()),
                _ => Value::Rows(Vec::new()),
            });
        }
        match node {
            Node::Number(n) => Ok(Value::Scalar(vec![*n; self.steps.count()])),
            Node::Text(text) => Ok(Value::Text(text.clone())),
            Node::Select(selector) => self.instant(selector, |_, s| s.value).map(Value::Rows),
            Node::Window(selector, range) => self.raw(selector, *range).map(Value::Rows),
            Node::Subquery(subquery) => self.subquery(subquery).map(Value::Rows),
            Node::Call(function, args) => self.call(*function, args),
            Node::Aggregate(aggregate) => self.aggregate(aggregate).map(Value::Rows),
            Node::Binary(binary) => self.binary(binary),
            Node::Negate(inner) => self.negate(inner),
            Node::Invariant(inner) => self.once(inner),
        }
    }

    /// The value of a node that gives series.
    pub fn rows(&self, node: &Node) -> Result<Vec<Row>> {
        match self.eval(node)? {
            Value::Rows(rows) => Ok(rows),
            // The parser has checked types; a scalar here would be its fault.
            Value::Scalar(_) | Value::Text(_) => failed("expected a vector"),
        }
    }

    /// The value of a node that gives a number for each step.
    pub fn scalar(&self, node: &Node) -> Result<Vec<f64>> {
        match self.eval(node)? {
            Value::Scalar(values) => Ok(values),
            Value::Rows(_) | Value::Text(_) => failed("expected a scalar"),
        }
    }

    fn once(&self, inner: &Node) -> Result<Value> {
        let first = Evaluator { run: self.run, steps: Steps { end: self.steps.start, ..self.steps } };
        let value = first.eval(inner)?;
        let more = self.steps.count() - 1;
        Ok(match value {
            // What a window holds does not depend on the step.
            Value::Rows(rows) if inner.gives() == ValueType::Matrix => Value::Rows(rows),
            Value::Rows(mut rows) => {
                self.run.hold(rows.len() * more)?;
                for row in &mut rows {
                    let value = row.points[0].value;
                    row.points.extend(self.steps.times().skip(1).map(|at| Sample { at, value }));
                }
                Value::Rows(rows)
            }
            Value::Scalar(values) => Value::Scalar(vec![values[0]; more + 1]),
            Value::Text(text) => Value::Text(text),
        })
    }

    fn negate(&self, inner: &Node) -> Result<Value> {
        match self.eval(inner)? {
            Value::Scalar(values) => Ok(Value::Scalar(values.into_iter().map(|v| -v).collect())),
            Value::Rows(mut rows) => {
                for row in &mut rows {
                    row.metric = row.metric.clone().nameless();
                    row.points.iter_mut().for_each(|p| p.value = -p.value);
                }
                distinct(&rows)?;
                Ok(Value::Rows(rows))
            }
            Value::Text(_) => failed("unary expression only allowed on expressions of type scalar or vector"),
        }
    }

    /// The last sample of each series at each step; `value` makes its value of the step and the sample.
    pub fn instant(&self, selector: &Selector, value: fn(i64, Sample) -> f64) -> Result<Vec<Row>> {
        let (run, steps, lookback) = (self.run, self.steps, self.run.lookback);
        let when = |at: i64| selector.at.unwrap_or(at) - selector.offset;
        let (first, last) = (when(steps.start), when(steps.end));
        let apart = steps.every > lookback.saturating_mul(2) && selector.at.is_none();
        let (mut rows, mut samples) = (Vec::new(), Vec::new());
        for series in run.select(selector, first - lookback, last) {
            run.check()?;
            let mut points = Vec::new();
            if !apart {
                samples.clear();
                series.samples(first - lookback, last, &mut samples);
            }
            let mut next = 0;
            for at in steps.times() {
                let to = when(at);
                let found = if apart {
                    samples.clear();
                    series.samples(to - lookback, to, &mut samples);
                    samples.last()
                } else {
                    next += samples[next..].iter().take_while(|s| s.at <= to).count();
                    next.checked_sub(1).map(|n| &samples[n])
                };
                if let Some(s) = found.filter(|s| s.at > to - lookback && !is_stale(s.value)) {
                    points.push(Sample { at, value: value(at, *s) });
                }
            }
            if !points.is_empty() {
                run.hold(points.len())?;
                run.read.set(run.read.get() + points.len() as u64);
                rows.push(Row { metric: Metric::new(series.labels().clone()), points });
            }
        }
        Ok(rows)
    }

    fn call(&self, function: Function, args: &[Node]) -> Result<Value> {
        if let Some(over_time) = functions::window(function.name) {
            return self.over_time(function.name, over_time, args).map(Value::Rows);
        }
        match function.name {
            "absent_over_time" => self.absent_over_time(&args[0]).map(Value::Rows),
            _ => self.special(function.name, args),
        }
    }

    /// A row of ones where something is absent, with the labels that it would have.
    pub fn absent_at(&self, arg: &Node, absent: impl Fn(i64) -> bool) -> Vec<Row> {
        let points: Vec<Sample> =
            self.steps.times().filter(|t| absent(*t)).map(|at| Sample { at, value: 1.0 }).collect();
        if points.is_empty() { Vec::new() } else { vec![Row { metric: Metric::of(absent_labels(arg)), points }] }
    }
}

/// The error for two series with the same labels.
pub const SAME: &str = "vector cannot contain metrics with the same labelset";

/// Refuses rows with the same labels.
pub fn distinct(rows: &[Row]) -> Result<()> {
    if one_name(rows) {
        return Ok(());
    }
    let mut seen = std::collections::HashSet::with_capacity(rows.len());
    if rows.iter().all(|r| seen.insert(&r.metric)) { Ok(()) } else { failed(SAME) }
}

/// Whether all rows come from series of one name, so that dropping it leaves them distinct.
fn one_name(rows: &[Row]) -> bool {
    rows.split_first().is_none_or(|(first, rest)| rest.iter().all(|r| r.metric.same_origin(&first.metric)))
}

/// Joins rows that may have become the same series by losing their names.
pub fn merged(rows: Vec<Row>) -> Result<Vec<Row>> {
    if one_name(&rows) { Ok(rows) } else { joined(rows) }
}

/// Joins rows of the same series; at one step they must not meet.
pub fn joined(rows: Vec<Row>) -> Result<Vec<Row>> {
    let mut known: HashMap<Metric, usize> = HashMap::with_capacity(rows.len());
    let mut out: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(place) = known.get(&row.metric) {
            out[*place].points.extend(row.points);
        } else {
            known.insert(row.metric.clone(), out.len());
            out.push(row);
        }
    }
    for row in &mut out {
        row.points.sort_by_key(|p| p.at);
        if row.points.windows(2).any(|w| w[0].at == w[1].at) {
            return failed(SAME);
        }
    }
    Ok(out)
}
