//! Where samples come from. Nothing says they are stored: a series may compute them when asked.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels of a series, `__name__` included; ordered by name.
pub type Labels = Arc<BTreeMap<String, String>>;

/// The bits of the NaN that Prometheus writes when a series ends (`value.StaleNaN`). Other NaNs are values.
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Whether a value is the marker.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE
}

/// A sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at: i64,
    /// Value, or the [`STALE`] marker.
    pub value: f64,
}

/// A series.
pub trait Series: Send + Sync {
    /// Its labels.
    fn labels(&self) -> &Labels;
    /// Appends its samples with `after < at <= to` (milliseconds) to `out`, oldest first.
    fn samples(&self, after: i64, to: i64, out: &mut Vec<Sample>);
}

/// How a label is matched.
#[derive(Debug, Clone)]
pub enum Match {
    /// `=`; also matches an absent label when the text is empty.
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`, anchored at both ends.
    Regex(regex::Regex),
    /// `!~`
    NotRegex(regex::Regex),
}

impl Match {
    /// Whether a label's value (empty when absent) matches.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Equal(v) => v == value,
            Self::NotEqual(v) => v != value,
            Self::Regex(r) => r.is_match(value),
            Self::NotRegex(r) => !r.is_match(value),
        }
    }
}

/// A matcher: label name and condition.
pub type Matcher = (String, Match);

/// What a query reads.
pub trait Storage: Send + Sync {
    /// The series that have samples with `after < at <= to` (milliseconds) and match, in any order, without duplicates. They
    /// are a consistent view: later scrapes do not change them.
    fn select(&self, matchers: &[Matcher], after: i64, to: i64) -> Vec<Arc<dyn Series>>;
    /// Type, help and unit by metric name (of the family: `http_requests_total`, and histograms without `_bucket`).
    fn metadata(&self) -> BTreeMap<String, Meta>;
    /// When the oldest sample was taken, milliseconds.
    fn oldest(&self) -> i64;
}

/// What a metric is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// `counter`, `gauge`, `histogram`, `summary`, `info`.
    pub kind: &'static str,
    /// One line.
    pub help: String,
}
