//! The streaming detector: derived streams, their novelty and tail probability, the burst's one anomaly.

use super::baseline::{Baseline, Deviation};
use super::known::Novelty;
use super::member::{ALARM, Member, score_of};
use super::refractory::Refractory;
use super::season::{PERIODS, Seasons};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Samples of a series that are learned before it is scored.
const SILENT: u64 = 100;
/// Samples averaged for comparing with the season.
const SEASONAL: usize = 3;
/// Samples of the short and the long window whose mean is a level and whose standard deviation is a spread.
const SHORT: usize = 6;
const LONG: usize = 24;
/// A pause of this many usual intervals is a gap: what comes after it is not a jump.
const GAP: f64 = 10.0;
/// Steps from which the usual interval is taken.
const STEPS: usize = 15;
/// Bursts as novel as the whole range that a season is held to have had before it is known.
const DOUBT: usize = 3;
/// What was not seen for this many samples is forgotten.
const MEMORY: u64 = 50_000;

/// Nothing that is measured is larger; a value beyond it would overflow a square and counts as missing.
const LARGEST: f64 = 1e150;
/// Streams watched.
const MEMBERS: usize = 6 + PERIODS;

/// How a series is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The value itself counts.
    #[default]
    Gauge,
    /// The increase per second counts; a decrease is a restart from zero, as in Prometheus.
    Counter,
}

/// What about a series was surprising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// A value never seen.
    Value,
    /// A change from one sample to the next never seen.
    Jump,
    /// A short mean never seen.
    Level,
    /// A short standard deviation never seen: turbulence, or silence.
    Spread,
    /// A distance never seen from what this time of day or week is otherwise.
    Season,
}

impl Stream {
    /// Which stream each member watches; the last ones are the seasons'.
    const MEMBERS: [Self; MEMBERS] = [
        Self::Value,
        Self::Jump,
        Self::Level,
        Self::Level,
        Self::Spread,
        Self::Spread,
        Self::Season,
        Self::Season,
        Self::Season,
    ];

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Jump => "jump",
            Self::Level => "level",
            Self::Spread => "spread",
            Self::Season => "season",
        }
    }
}

/// Why a sample has its score: the stream that spoke, and what it knew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The stream.
    pub stream: Stream,
    /// The stream's value now.
    pub observed: f64,
    /// The nearest value it ever had.
    pub nearest: f64,
    /// The lowest value it ever had.
    pub low: f64,
    /// The highest value it ever had.
    pub high: f64,
    /// Distance from `nearest` in units of `high - low`.
    pub novelty: f64,
}

/// What a sample is worth.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Score {
    /// 0 (as usual, missing, or part of a burst that has spoken) to 1; [`ALARM`] means the same on every series.
    pub score: f64,
    /// Whether `score` reaches [`ALARM`].
    pub anomaly: bool,
    /// Like `score` but for every sample of a burst, so that an anomaly's extent can be drawn.
    pub intensity: f64,
    /// The value that was to be expected: by season, else the recent level.
    pub expected: Option<f64>,
    /// The lowest value ever seen.
    pub low: Option<f64>,
    /// The highest value ever seen.
    pub high: Option<f64>,
    /// How far the value is from what was to be expected over an hour, once that can be told.
    pub deviation: Option<Deviation>,
    /// What spoke, when anything was novel at all.
    pub evidence: Option<Evidence>,
}

/// A streaming detector of one series. Its memory is bounded; its state can be stored and continued after a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    kind: Kind,
    small: bool,
    row: u64,
    /// The last timestamp, and whether it was after the one before.
    clock: Option<f64>,
    forward: bool,
    /// The counter's last value.
    counted: Option<f64>,
    steps: VecDeque<f64>,
    recent: VecDeque<f64>,
    seasons: Option<Seasons>,
    members: [Member; MEMBERS],
    refractory: Refractory,
    baseline: Baseline,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new(Kind::Gauge)
    }
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(kind: Kind) -> Self {
        Self::sized(kind, false)
    }

    /// The same with less than a third of the memory (about 25 KB), for whoever watches thousands of series: values are told
    /// apart less finely, and of the seasons only the day is tried.
    pub fn small(kind: Kind) -> Self {
        Self::sized(kind, true)
    }

    fn sized(kind: Kind, small: bool) -> Self {
        let doubt = |stream| if stream == Stream::Season { DOUBT } else { 0 };
        let members = Stream::MEMBERS.map(|stream| Member::new(doubt(stream), small));
        Self {
            kind,
            small,
            members,
            row: 0,
            clock: None,
            forward: false,
            counted: None,
            steps: VecDeque::new(),
            recent: VecDeque::new(),
            seasons: None,
            refractory: Refractory::default(),
            baseline: Baseline::default(),
        }
    }

    /// Bytes it takes, with what it holds on the heap.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + (self.steps.capacity() + self.recent.capacity()) * size_of::<f64>()
            + self.seasons.as_ref().map_or(0, Seasons::bytes)
            + self.members.iter().map(Member::bytes).sum::<usize>()
            + self.refractory.bytes()
            + self.baseline.bytes()
    }

    /// Something outside explains that the level is another one now: what comes is not held against what was.
    pub fn restart_level(&mut self) {
        self.baseline.restart();
    }

    /// Scores a sample by those before it and learns it. `timestamp` is in seconds. A value that is not finite, or
    /// beyond 1e150, is a missing sample: it scores 0 and is not learned. A timestamp not after the one before is
    /// allowed; such a sample is the series' next but has no time of day.
    pub fn push(&mut self, timestamp: f64, value: f64) -> Score {
        if !timestamp.is_finite() || value.is_nan() || value.abs() > LARGEST {
            return Score::default();
        }
        let elapsed = self.tick(timestamp);
        let Some(value) = self.read(value, elapsed) else {
            return Score::default();
        };
        let level = mean(&self.recent, SHORT);
        let mut streams = [None; MEMBERS];
        streams[0] = Some((value, true));
        // an absurd reading is reported but is no part of level, spread and season until its like comes again
        let usual = if self.members[0].is_lone(value) { None } else { self.derive(timestamp, value, &mut streams) };
        let expected = usual.or(level);
        let deviation = self.baseline.push(timestamp, value, usual);
        let (low, high) = self.members[0].range().unzip();
        let (surprise, evidence) = self.surprise(streams);
        let surprise = if self.row < SILENT { 0.0 } else { surprise };
        let passed = score_of(self.refractory.pass(self.row, surprise));
        self.row += 1;
        if self.row.is_multiple_of(MEMORY / 8) {
            self.forget();
        }
        let (anomaly, intensity) = (passed >= ALARM, score_of(surprise));
        Score { score: passed, anomaly, intensity, expected, low, high, deviation, evidence }
    }

    /// The streams derived from the value, each with whether it may speak; returns what the season expects.
    fn derive(&mut self, timestamp: f64, value: f64, streams: &mut [Option<(f64, bool)>; MEMBERS]) -> Option<f64> {
        let jump = self.recent.back().map(|last| value - last);
        if self.recent.len() == LONG {
            self.recent.pop_front();
        }
        self.recent.push_back(value);
        let derived = [
            jump,
            mean(&self.recent, SHORT),
            mean(&self.recent, LONG),
            spread(&self.recent, SHORT),
            spread(&self.recent, LONG),
        ];
        for (slot, observed) in streams[1..].iter_mut().zip(derived) {
            *slot = observed.map(|observed| (observed, true));
        }
        let recent = mean(&self.recent, SEASONAL)?;
        let mut usual = None;
        for (slot, season) in streams[MEMBERS - PERIODS..].iter_mut().zip(self.seasonal(timestamp, recent)?) {
            let Some((expected, repeats)) = season else { continue };
            *slot = Some((recent - expected, repeats));
            usual = if repeats { Some(expected) } else { usual };
        }
        usual
    }

    /// The period in seconds that the series repeats with, and the share of its movement that this explains.
    pub fn season(&self) -> Option<(f64, f64)> {
        self.seasons.as_ref()?.strongest()
    }

    /// The most surprising stream that may speak, of those that have a value now.
    fn surprise(&mut self, streams: [Option<(f64, bool)>; MEMBERS]) -> (f64, Option<Evidence>) {
        let mut most = (0.0, None);
        for ((stream, observed), member) in Stream::MEMBERS.into_iter().zip(streams).zip(&mut self.members) {
            let Some((observed, may_speak)) = observed else { continue };
            if let Some((surprise, novelty)) = member.push(observed, self.row)
                && may_speak
                && surprise > most.0
            {
                let Novelty { distance, nearest, low, high } = novelty;
                most = (surprise, Some(Evidence { stream, observed, nearest, low, high, novelty: distance }));
            }
        }
        most
    }

    /// Moves the clock; seconds since the last sample if time went forward. A gap clears what is recent.
    fn tick(&mut self, timestamp: f64) -> Option<f64> {
        let elapsed = self.clock.map(|clock| timestamp - clock).filter(|elapsed| *elapsed > 0.0);
        if let Some(elapsed) = elapsed {
            if self.interval().is_some_and(|usual| elapsed > GAP * usual) {
                self.recent.clear();
            }
            if self.steps.len() == STEPS {
                self.steps.pop_front();
            }
            self.steps.push_back(elapsed);
        }
        self.forward = self.clock.is_none() || elapsed.is_some();
        self.clock = Some(timestamp);
        elapsed
    }

    /// The usual seconds between samples, once enough are known.
    fn interval(&self) -> Option<f64> {
        if self.steps.len() < STEPS {
            return None;
        }
        let mut steps: Vec<f64> = self.steps.iter().copied().collect();
        Some(*steps.select_nth_unstable_by(STEPS / 2, f64::total_cmp).1)
    }

    /// What a gauge shows or how fast a counter grows; `None` when that cannot be told.
    fn read(&mut self, value: f64, elapsed: Option<f64>) -> Option<f64> {
        if self.kind == Kind::Gauge {
            return Some(value);
        }
        let last = self.counted.replace(value)?;
        let increase = if value < last { value } else { value - last };
        Some(increase / elapsed?)
    }

    /// What each season expects of the mean of the last few samples; nothing when time did not go forward.
    fn seasonal(&mut self, timestamp: f64, recent: f64) -> Option<[Option<(f64, bool)>; PERIODS]> {
        if self.seasons.is_none() {
            self.seasons = Some(Seasons::new(self.interval()?, self.small));
        }
        if self.forward { Some(self.seasons.as_mut()?.expect(timestamp, recent)) } else { None }
    }

    fn forget(&mut self) {
        let before = self.row.saturating_sub(MEMORY);
        self.members.iter_mut().for_each(|member| member.forget_before(before));
    }
}

/// Mean of the last `count` samples, or of fewer if there are fewer.
fn mean(recent: &VecDeque<f64>, count: usize) -> Option<f64> {
    let count = count.min(recent.len());
    (count > 0).then(|| recent.iter().rev().take(count).sum::<f64>() / count as f64)
}

/// Standard deviation of the last `count` samples, once there are as many.
fn spread(recent: &VecDeque<f64>, count: usize) -> Option<f64> {
    if recent.len() < count {
        return None;
    }
    let mean = mean(recent, count)?;
    let squares: f64 = recent.iter().rev().take(count).map(|value| (value - mean).powi(2)).sum();
    Some((squares / count as f64).sqrt())
}
