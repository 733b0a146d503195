//! The next four hours at the step of the samples (A2): the level of the last minutes of the rings, which are filled by
//! range queries, on the time of day that two weeks of hours tell.
//!
//! Cheap enough to be made anew every few minutes. What a forecast of four hours said is held against what came at each
//! quarter of an hour, and one whose intervals no longer hold is silenced (A10).

use super::ledger::{UNLIKELY, lower_tail, within};
use super::{Subject, outlook, silence};
use crate::ml::forecast::near::{Past, near_all};
use crate::model::object::WorkloadKey;
use crate::model::prediction::{Expected, HOUR, Kept, LongHistory, Near, Outlook, SIGNALS, Silence, Track};
use crate::model::series::{Series, Signal};
use crate::model::snapshot::{Snapshot, SourceState, WorkloadMetrics};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How far ahead.
pub const AHEAD: TimeDelta = TimeDelta::hours(4);
/// How much of the rings is looked at.
const SEEN: TimeDelta = TimeDelta::hours(24);
/// Nothing measured for so long: the level of then is not that of now.
const STOPPED: TimeDelta = TimeDelta::minutes(5);
/// Values that are predicted in all: about thirty megabytes. With more series than that allows, and only then, the step
/// is a multiple of that of the samples.
const MOST: usize = 720_000;
/// Hours in a season.
const DAY: usize = 24;

/// Workloads and their signals.
pub type All = BTreeMap<(WorkloadKey, Signal), Near>;

/// One series made ready.
struct Draft {
    key: (WorkloadKey, Signal),
    limit: Option<f64>,
    /// The moment of the first fine value, and after the last one.
    from: Timestamp,
    to: Timestamp,
    fine: Vec<f64>,
    track: Option<Arc<Track>>,
}

/// Predicts what is measured of each subject. `None`: cancelled.
pub fn predict(snapshot: &Snapshot, subjects: &[Subject], cancel: &AtomicBool) -> Option<All> {
    let SourceState::Live { last } = snapshot.metrics.state else { return Some(All::new()) };
    let (metrics, long) = (&snapshot.metrics.workloads, &snapshot.metrics.long);
    let measured: Vec<(&Subject, Signal, &Series)> = subjects
        .iter()
        .filter_map(|s| Some((s, metrics.get(&s.key)?)))
        .flat_map(|(s, m)| SIGNALS.into_iter().map(move |signal| (s, signal, m.history(signal))))
        .filter(|(_, _, series)| !series.is_empty())
        .collect();
    let step = i64::from(snapshot.metrics.step.max(1));
    let horizon = (AHEAD.num_seconds() / step).max(1) as usize;
    let step = step * (measured.len() * horizon).div_ceil(MOST).max(1) as i64;
    let horizon = (AHEAD.num_seconds() / step).max(1) as usize;
    let mut all = All::new();
    let mut drafts = Vec::new();
    for (subject, signal, series) in measured {
        match ready(subject, signal, series, step, last, long) {
            Ok(draft) => drafts.push(draft),
            Err(why) => {
                all.insert((subject.key.clone(), signal), Near { outlook: Err(why), kept: Kept::default() });
            }
        }
    }
    let coarse: Vec<Vec<f64>> = drafts
        .iter()
        .map(|d| d.track.iter().flat_map(|t| &t.values).map(|v| v.unwrap_or(f64::NAN)).collect())
        .collect();
    let pasts: Vec<Past> = drafts.iter().zip(&coarse).map(|(d, coarse)| d.past(coarse, step)).collect();
    let made = near_all(&pasts, horizon, cancel)?;
    for (draft, made) in drafts.into_iter().zip(made) {
        let said = made.map(|f| outlook(f, draft.to, TimeDelta::seconds(step), draft.limit)).map_err(silence);
        all.insert(draft.key, Near { outlook: said, kept: Kept::default() });
    }
    Some(all)
}

fn ready(
    subject: &Subject,
    signal: Signal,
    series: &Series,
    step: i64,
    last: Timestamp,
    long: &LongHistory,
) -> Result<Draft, Silence> {
    let (newest, _) = series.last().ok_or(Silence::Absent)?;
    if last - newest > STOPPED {
        return Err(Silence::Stopped { last: newest });
    }
    let slot = |at: Timestamp| at.timestamp().div_euclid(step);
    let oldest = series.range(newest - SEEN, newest).next().map_or(newest, |(at, _)| at);
    let (first, end) = (slot(oldest), slot(newest) + 1);
    let mut sums = vec![(0.0, 0u32); (end - first) as usize];
    for (at, value) in series.range(oldest, newest) {
        let sum = &mut sums[(slot(at) - first) as usize];
        *sum = (sum.0 + value, sum.1 + 1);
    }
    let at = |slot: i64| chrono::DateTime::from_timestamp(slot * step, 0).unwrap_or(newest);
    let key = (subject.key.clone(), signal);
    Ok(Draft {
        limit: subject.bounds.for_signal(signal).1,
        from: at(first),
        to: at(end),
        fine: sums.into_iter().map(|(sum, n)| if n > 0 { sum / f64::from(n) } else { f64::NAN }).collect(),
        track: long.tracks.get(&key).cloned(),
        key,
    })
}

impl Draft {
    fn past<'a>(&'a self, coarse: &'a [f64], step: i64) -> Past<'a> {
        let steps = |span: TimeDelta| span.num_seconds() as f64 / step as f64;
        Past {
            fine: &self.fine,
            coarse,
            ratio: steps(HOUR).max(1.0),
            offset: self.track.as_ref().map_or(0.0, |t| steps(t.from - self.from)),
            // Memory is what it was at the hour, the others are means of the hour before.
            middle: if self.key.1 == Signal::Memory { 0.0 } else { steps(HOUR) / 2.0 },
            season: DAY,
        }
    }
}

/// What comes is looked at so often.
const MARK: TimeDelta = TimeDelta::minutes(15);
/// Marks of one forecast fail together: so many of them are worth one that stands alone.
const TOGETHER: u32 = 8;

/// A forecast of each series that waits for its marks, and how earlier ones did. Bounded by the series there are.
#[derive(Debug, Default)]
pub struct NearLedger {
    lines: BTreeMap<(WorkloadKey, Signal), Entry>,
}

#[derive(Debug)]
struct Entry {
    marks: std::collections::VecDeque<(Timestamp, Expected)>,
    /// How long a mark lasts.
    step: TimeDelta,
    kept: Kept,
}

impl NearLedger {
    /// Holds what was promised against what was measured until `last`. A mark at which nothing was measured says nothing.
    pub fn settle(&mut self, metrics: &HashMap<WorkloadKey, Arc<WorkloadMetrics>>, last: Timestamp) {
        for ((key, signal), entry) in &mut self.lines {
            while let Some((at, expected)) = entry.marks.front().copied().filter(|(at, _)| *at + entry.step <= last) {
                entry.marks.pop_front();
                let Some(series) = metrics.get(key).map(|m| m.history(*signal)) else { continue };
                let until = at + entry.step - TimeDelta::seconds(1);
                let (sum, n) = series.range(at, until).fold((0.0, 0u32), |(s, n), (_, v)| (s + v, n + 1));
                if n > 0 {
                    let value = sum / f64::from(n);
                    entry.kept.note(within(value, expected.band80), within(value, expected.band95));
                }
            }
        }
    }

    /// Takes a new promise where the last one is settled, tells each prediction how its series has done, and silences those
    /// whose intervals no longer hold. Series that are gone are forgotten.
    pub fn enter(&mut self, made: &mut All) {
        let mut before = std::mem::take(&mut self.lines);
        for (key, near) in made.iter_mut() {
            let earlier = before.remove(key);
            let kept = earlier.as_ref().map_or_else(Kept::default, |e| e.kept);
            near.kept = kept;
            let waiting = earlier.filter(|e| !e.marks.is_empty() || near.outlook.is_err());
            let fresh = || near.outlook.as_ref().ok().map(|o| Entry { marks: marks(o), step: o.step, kept });
            if let Some(entry) = waiting.or_else(fresh) {
                self.lines.insert(key.clone(), entry);
            }
            let apart = |n: u32| n / TOGETHER;
            let unlikely = lower_tail(apart(kept.count95()), apart(kept.values()), 0.95) < UNLIKELY;
            if near.outlook.is_ok() && unlikely {
                near.outlook = Err(Silence::Drifted { within95: kept.count95(), values: kept.values() });
            }
        }
    }
}

/// The moments at which a forecast is held against what comes, and what it says of them.
fn marks(o: &Outlook) -> std::collections::VecDeque<(Timestamp, Expected)> {
    let every = (MARK.num_seconds() / o.step.num_seconds().max(1)).max(1) as usize;
    o.steps.iter().enumerate().skip(every - 1).step_by(every).map(|(i, e)| (o.at(i), *e)).collect()
}

#[cfg(test)]
mod tests;
