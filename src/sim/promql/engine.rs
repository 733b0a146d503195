//! Queries: parsed, planned, evaluated within limits, and answered.

use super::eval::{Evaluator, QueryError, Result, Row, Run, Steps, Value};
use super::metric::Metric;
use super::parse::{parse, unparsable};
use super::plan::{self, ValueType};
use super::storage::{Sample, Storage};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Evaluates PromQL over a storage.
pub struct Engine {
    storage: Arc<dyn Storage>,
    now: Box<dyn Fn() -> i64 + Send + Sync>,
    /// What a query may use.
    pub limits: Limits,
}

/// What a query may use; the defaults are Prometheus's.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Samples in memory.
    pub max_samples: usize,
    /// Time.
    pub timeout: Duration,
    /// How far back an instant selector looks, milliseconds.
    pub lookback: i64,
    /// The step of subqueries that name none, milliseconds (`global.evaluation_interval`).
    pub evaluation_interval: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_samples: 50_000_000,
            timeout: Duration::from_secs(120),
            lookback: 300_000,
            evaluation_interval: 60_000,
        }
    }
}

/// What a request may change.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Less time.
    pub timeout: Option<Duration>,
    /// Another lookback, milliseconds.
    pub lookback: Option<i64>,
}

/// A query's answer.
#[derive(Debug)]
pub struct Answer {
    /// Its value.
    pub value: Output,
    /// Remarks, and whether each is a warning.
    pub notes: BTreeSet<(bool, String)>,
    /// What it took.
    pub stats: Stats,
}

/// A query's value.
#[derive(Debug)]
pub enum Output {
    /// A number.
    Scalar(Sample),
    /// A text, at a time.
    Text(i64, String),
    /// Series with one value each.
    Vector(Vec<(Metric, Sample)>),
    /// Series with values over time.
    Matrix(Vec<Row>),
}

/// What a query took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    /// Parsing and planning.
    pub preparation: Duration,
    /// Evaluating.
    pub evaluation: Duration,
    /// Samples looked at.
    pub samples: u64,
    /// Samples in memory at most.
    pub peak: usize,
}

impl Engine {
    /// An engine over a storage; `now` tells the (simulated) time in milliseconds since 1970.
    pub fn new(storage: Arc<dyn Storage>, now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self { storage, now: Box::new(now), limits: Limits::default() }
    }

    /// The time, milliseconds since 1970.
    pub fn now(&self) -> i64 {
        (self.now)()
    }

    /// What it reads.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Evaluates at one time (milliseconds).
    pub fn instant(&self, query: &str, at: i64, options: Options) -> Result<Answer> {
        self.run(query, Steps::once(at), true, options)
    }

    /// Evaluates from `start` to `end` at every `step` (milliseconds; the caller has checked that they make sense).
    pub fn range(&self, query: &str, start: i64, end: i64, step: i64, options: Options) -> Result<Answer> {
        self.run(query, Steps { start, end, every: step.max(1) }, false, options)
    }

    fn run(&self, query: &str, steps: Steps, instant: bool, options: Options) -> Result<Answer> {
        let begun = Instant::now();
        let expr = parse(query)?;
        if !instant && !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
            let got = kind(expr.value_type());
            return Err(QueryError::Bad(format!(
                "invalid expression type \"{got}\" for range query, must be Scalar or instant Vector"
            )));
        }
        let node = plan::plan(expr, steps.start, steps.end).map_err(|e| unparsable(&e))?;
        let gives = node.gives();
        let timeout = options.timeout.map_or(self.limits.timeout, |t| t.min(self.limits.timeout));
        let run = Run {
            storage: &*self.storage,
            deadline: begun + timeout,
            lookback: options.lookback.filter(|l| *l > 0).unwrap_or(self.limits.lookback),
            default_step: self.limits.evaluation_interval,
            max_samples: self.limits.max_samples,
            held: Cell::new(0),
            peak: Cell::new(0),
            read: Cell::new(0),
            notes: RefCell::default(),
        };
        let preparation = begun.elapsed();
        let value = Evaluator { run: &run, steps }.eval(&node)?;
        run.check()?;
        let value = output(value, steps, instant, gives);
        let evaluation = begun.elapsed().saturating_sub(preparation);
        let stats = Stats { preparation, evaluation, samples: run.read.get(), peak: run.peak.get() };
        Ok(Answer { value, notes: run.notes.into_inner(), stats })
    }
}

fn output(value: Value, steps: Steps, instant: bool, gives: ValueType) -> Output {
    match value {
        Value::Text(text) => Output::Text(steps.start, text),
        Value::Scalar(values) if instant => {
            Output::Scalar(Sample { at: steps.start, value: values.first().copied().unwrap_or(f64::NAN) })
        }
        Value::Scalar(values) => {
            let points = steps.times().zip(values).map(|(at, value)| Sample { at, value }).collect();
            Output::Matrix(vec![Row { metric: Metric::none(), points }])
        }
        Value::Rows(rows) if instant && gives == ValueType::Vector => {
            let one = |r: Row| (r.metric, Sample { at: steps.start, value: r.points[0].value });
            Output::Vector(rows.into_iter().map(one).collect())
        }
        Value::Rows(mut rows) => {
            rows.sort_by(|a, b| a.metric.cmp(&b.metric));
            Output::Matrix(rows)
        }
    }
}

fn kind(gives: ValueType) -> &'static str {
    match gives {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "instant vector",
        ValueType::Matrix => "range vector",
    }
}
