//! What an operator asks Prometheus by hand, and what comes of it.

use super::time::Timestamp;
use std::sync::Arc;

/// Most series of one answer that are kept; how many were left out is said.
pub const MOST_SERIES: usize = 200;

/// Most characters of an expression.
pub const LONGEST: usize = 4096;

/// An expression and when it is to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// PromQL.
    pub expression: Arc<str>,
    /// Over a span of time; `None`: now.
    pub range: Option<Span>,
}

/// A span of time in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its begin.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Seconds between two points, at least 1.
    pub step: u32,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name and labels as Prometheus writes them: `up{job="api"}`.
    pub name: Arc<str>,
    /// (unix seconds, value), oldest first; one point if it was asked for now.
    pub points: Vec<(f64, f64)>,
}

/// What came of a query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// Series in the server's order, at most [`MOST_SERIES`].
    pub series: Vec<Series>,
    /// Series that were left out.
    pub left_out: usize,
    /// Series of native histograms, which are not shown.
    pub histograms: usize,
    /// Warnings of the server, and what was done to keep the answer small.
    pub notes: Vec<Arc<str>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The reason.
    pub why: Arc<str>,
    /// The character (from 0) of the expression that offends, where that is known.
    pub at: Option<usize>,
}

/// Names that an expression may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// Names of metrics and of labels.
    Names {
        /// Metrics, sorted.
        metrics: Arc<[Arc<str>]>,
        /// Labels, sorted.
        labels: Arc<[Arc<str>]>,
    },
    /// Values of one label, sorted.
    Values {
        /// The label.
        label: Arc<str>,
        /// Its values.
        values: Arc<[Arc<str>]>,
    },
    /// What a metric says of itself: its type, unit and help.
    Meaning {
        /// The metric.
        metric: Arc<str>,
        /// One sentence; empty if its targets say nothing.
        text: Arc<str>,
    },
}

/// What is asked about names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// [`Words::Names`].
    Names,
    /// [`Words::Values`] of this label.
    Values(Arc<str>),
    /// [`Words::Meaning`] of this metric.
    Meaning(Arc<str>),
}
