//! Load forecasts (A2): two weeks of hours as Prometheus kept them, what is expected of the next day by the hour, and of
//! the next hours sample by sample.

use super::object::WorkloadKey;
use super::series::Signal;
use super::time::Timestamp;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The signals that are predicted, in the order in which they are shown.
pub const SIGNALS: [Signal; 3] = [Signal::Cpu, Signal::Memory, Signal::RequestRate];

/// Between two values: an hour.
pub const HOUR: TimeDelta = TimeDelta::hours(1);

/// One signal of one workload at whole hours.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// The hour of the first value.
    pub from: Timestamp,
    /// One value per hour in the signal's unit; `None`: nothing was measured.
    pub values: Vec<Option<f64>>,
}

impl Track {
    /// The hour after the last value.
    pub fn end(&self) -> Timestamp {
        self.from + HOUR * self.values.len() as i32
    }

    /// What was measured, as (Unix seconds, value), oldest first.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = (f64, f64)> + '_ {
        let from = self.from.timestamp();
        self.values.iter().enumerate().filter_map(move |(i, v)| Some(((from + 3600 * i as i64) as f64, (*v)?)))
    }
}

/// Two weeks of hours: cores and requests as the mean of the hour before, bytes as they were at the hour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LongHistory {
    /// When it was read; `None`: not yet.
    pub read: Option<Timestamp>,
    /// Why the last attempt brought nothing, and when; what an earlier one brought is kept.
    pub failed: Option<(Timestamp, Arc<str>)>,
    /// Per workload and signal; what was never measured is not there.
    pub tracks: BTreeMap<(WorkloadKey, Signal), Arc<Track>>,
    /// Why parts of a signal could not be read, as the server put it.
    pub refused: BTreeMap<Signal, Arc<str>>,
}

/// How far the forecasts are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Work {
    /// Nothing is being computed.
    #[default]
    Idle,
    /// So many series are done, of so many.
    Running {
        /// Done.
        done: usize,
        /// Of so many.
        total: usize,
    },
}

/// All forecasts, those that predict most trouble first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predictions {
    /// What is being computed now; `all` is what was known before.
    pub work: Work,
    /// When `all` was computed; `None`: never.
    pub made: Option<Timestamp>,
    /// When the history behind `all` was read.
    pub read: Option<Timestamp>,
    /// One per workload and signal.
    pub all: Arc<[Arc<Prediction>]>,
    /// The next hours, sample by sample.
    pub near: Nearby,
}

/// The forecasts of the next hours, sample by sample.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Nearby {
    /// When they were made; `None`: never.
    pub made: Option<Timestamp>,
    /// Per workload and signal that is measured.
    pub all: Arc<BTreeMap<(WorkloadKey, Signal), Near>>,
}

/// The next hours of one signal of one workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// What is expected, or why nothing is said.
    pub outlook: Result<Outlook, Silence>,
    /// How its earlier forecasts did, quarter of an hour by quarter of an hour.
    pub kept: Kept,
}

/// One signal of one workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Whose.
    pub key: WorkloadKey,
    /// Which signal.
    pub signal: Signal,
    /// What was measured; `None`: nothing.
    pub history: Option<Arc<Track>>,
    /// What its pods ask for, in the signal's unit, if all of them say so.
    pub request: Option<f64>,
    /// What its pods may use, in the signal's unit, if all of them say so.
    pub limit: Option<f64>,
    /// What is expected, or why nothing is said.
    pub outlook: Result<Outlook, Silence>,
    /// How its earlier forecasts did.
    pub kept: Kept,
}

/// How forecasts held against the values that then came, for the last [`Kept::MOST`] of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    values: u32,
    /// One bit per value, the last one lowest: whether it was inside.
    band80: u64,
    band95: u64,
}

impl Kept {
    /// Values that are remembered.
    pub const MOST: u32 = u64::BITS;

    /// One more value, and whether what came was inside the 80 % and the 95 % interval.
    pub fn note(&mut self, in80: bool, in95: bool) {
        self.values = (self.values + 1).min(Self::MOST);
        self.band80 = self.band80 << 1 | u64::from(in80);
        self.band95 = self.band95 << 1 | u64::from(in95);
    }

    /// Values that were judged.
    pub fn values(self) -> u32 {
        self.values
    }

    /// Those of them inside the 80 % interval.
    pub fn count80(self) -> u32 {
        self.band80.count_ones()
    }

    /// Those of them inside the 95 % interval.
    pub fn count95(self) -> u32 {
        self.band95.count_ones()
    }
}

/// Why nothing is predicted. Nothing is scaled by a silent forecast.
#[derive(Debug, Clone, PartialEq)]
pub enum Silence {
    /// Nothing was measured in two weeks.
    Absent,
    /// The server refused to answer, and why.
    Refused(Arc<str>),
    /// Less than two seasons and a back-test.
    Short {
        /// Hours there are.
        have: usize,
        /// Hours that would do.
        need: usize,
    },
    /// Too few samples for a back-test at their step.
    Young {
        /// Hours of samples there are.
        have: usize,
        /// Hours that would do.
        need: usize,
    },
    /// Nothing was measured lately.
    Stopped {
        /// The last sample.
        last: Timestamp,
    },
    /// On its own past it was not better than repeating the day before.
    NoSkill {
        /// Error of the forecast (MASE).
        mase: f64,
        /// Error of the seasonal naive forecast (MASE).
        baseline: f64,
    },
    /// What came was outside its intervals too often.
    Drifted {
        /// Values that were inside the 95 % interval.
        within95: u32,
        /// Of so many.
        values: u32,
    },
    /// The history is no series.
    Bad(Arc<str>),
}

impl Silence {
    /// In a word or two, for a table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Absent => "not measured",
            Self::Refused(_) => "not readable",
            Self::Short { .. } | Self::Young { .. } => "too short",
            Self::Stopped { .. } => "stopped",
            Self::NoSkill { .. } => "no skill",
            Self::Drifted { .. } => "drifted",
            Self::Bad(_) => "no series",
        }
    }
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => write!(f, "nothing was measured in two weeks"),
            Self::Refused(why) => write!(f, "its history could not be read: {why}"),
            Self::Short { have, need } => {
                write!(
                    f,
                    "{have} hours of history are less than two days and a back-test: {} more are needed",
                    need - have
                )
            }
            Self::Young { have, need } => write!(
                f,
                "samples of {have} hours are too few for a back-test at their step: {} more hours are needed",
                need - have
            ),
            Self::Stopped { last } => write!(f, "nothing was measured since {}", last.format("%F %H:%M UTC")),
            Self::NoSkill { mase, baseline } => write!(
                f,
                "no skill: on its own past it erred by {mase:.2}, repeating the day before by {baseline:.2} (MASE)"
            ),
            Self::Drifted { within95, values } => write!(
                f,
                "drifted: of the last {values} values {within95} were inside its 95% interval; it speaks again when they are"
            ),
            Self::Bad(why) => write!(f, "its history is no series: {why}"),
        }
    }
}

/// What is expected at each of the next steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// The first moment.
    pub from: Timestamp,
    /// Between two moments.
    pub step: TimeDelta,
    /// Who speaks.
    pub model: String,
    /// Every model with its share of the weight, heaviest first.
    pub members: Vec<(String, f64)>,
    /// The seasons that were looked at, in hours.
    pub seasons: Vec<usize>,
    /// One per moment.
    pub steps: Vec<Expected>,
    /// `None` for a series that never changed: nothing was there to get wrong.
    pub backtest: Option<BackTest>,
    /// The limit's crossing, if the band reaches it.
    pub crossing: Option<Crossing>,
    /// What the highest expected value is made of: causes and what they bring, in the signal's unit, which add up to it. Empty
    /// where its models cannot be taken apart.
    pub parts: Vec<(&'static str, f64)>,
}

/// What is expected of one moment, in the signal's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The expected value.
    pub mean: f64,
    /// Ends of the interval that holds four of five values.
    pub band80: (f64, f64),
    /// Ends of the interval that holds nineteen of twenty.
    pub band95: (f64, f64),
}

/// How the forecast did on stretches of the history that its models had not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackTest {
    /// Stretches that were predicted.
    pub folds: usize,
    /// Its mean absolute error over the mean change from one day to the next.
    pub mase: f64,
    /// The same of the seasonal naive forecast.
    pub baseline: f64,
    /// The share of the baseline's error that it avoids.
    pub skill: f64,
    /// The share of values inside the 80 % interval; `None`: too few stretches to tell.
    pub coverage80: Option<f64>,
    /// The share of values inside the 95 % interval; `None`: too few stretches to tell.
    pub coverage95: Option<f64>,
}

/// When a limit is crossed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crossing {
    /// The first moment at which the upper end of the 80 % interval reaches the limit.
    pub possible: Timestamp,
    /// The first moment at which the expected value does.
    pub expected: Option<Timestamp>,
}

impl Outlook {
    /// When moment `i` is.
    pub fn at(&self, i: usize) -> Timestamp {
        self.from + self.step * i32::try_from(i).unwrap_or(i32::MAX)
    }

    /// The moment with the greatest expected value.
    pub fn peak(&self) -> Option<(Timestamp, &Expected)> {
        let (i, most) = self.steps.iter().enumerate().max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))?;
        Some((self.at(i), most))
    }
}
