//! What was done before, as far as planning needs it. The autopilot keeps it and fills it from outcomes.

use crate::model::action::Verdict;
use crate::model::finding::Fault;
use crate::model::object::WorkloadKey;
use crate::model::plan::{Proposal, Strategy};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Memory raises older than this no longer count: VPA's memory window.
const RAISES_COUNT: TimeDelta = TimeDelta::days(8);

/// A back-off starts afresh after this long without one.
const BACKOFF_FORGETS: TimeDelta = TimeDelta::hours(1);

/// A restart that did not last is remembered this long.
const RESTARTS_COUNT: TimeDelta = TimeDelta::hours(1);

/// Outcomes kept per strategy.
const KEPT: usize = 50;

/// Outcomes of a strategy from which they replace the prior.
const ENOUGH: usize = 5;

/// How one use of a strategy ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The verdict was effective.
    pub effective: bool,
    /// Seconds from the write until the trigger was gone, where known.
    pub recovery_s: Option<u32>,
}

/// Plain memory of past actions. Everything in it is bounded by time or count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    raises: BTreeMap<(WorkloadKey, Arc<str>), Vec<Timestamp>>,
    scaled_up: BTreeMap<WorkloadKey, Timestamp>,
    rightsized: BTreeMap<WorkloadKey, Timestamp>,
    backoffs: BTreeMap<WorkloadKey, (u32, Timestamp)>,
    restarts: BTreeMap<WorkloadKey, Vec<Timestamp>>,
    outcomes: BTreeMap<Strategy, VecDeque<Sample>>,
}

impl History {
    /// Takes in an action that was written at `at`: counts memory raises, scalings and back-offs.
    pub fn applied(&mut self, proposal: &Proposal, at: Timestamp) {
        let Some(key) = proposal.workload() else { return };
        match (&proposal.fault, proposal.strategy) {
            (Fault::OomContainer { container, .. }, Strategy::Reconfigure) => {
                let times = self.raises.entry((key.clone(), container.clone())).or_default();
                times.retain(|t| at - *t <= RAISES_COUNT);
                times.push(at);
            }
            (_, Strategy::Restart) => {
                let times = self.restarts.entry(key.clone()).or_default();
                times.retain(|t| at - *t <= RESTARTS_COUNT);
                times.push(at);
            }
            (_, Strategy::Scale) => {
                self.scaled_up.insert(key.clone(), at);
            }
            (_, Strategy::Rightsize) => {
                self.rightsized.insert(key.clone(), at);
            }
            (_, Strategy::Backoff) => {
                let count = self.backoffs(key, at) + 1;
                self.backoffs.insert(key.clone(), (count, at));
            }
            _ => {}
        }
    }

    /// Takes in how an action ended. Unknown verdicts teach nothing.
    pub fn judged(&mut self, strategy: Strategy, verdict: Verdict, recovery_s: Option<u32>) {
        if verdict == Verdict::Unknown {
            return;
        }
        let samples = self.outcomes.entry(strategy).or_default();
        samples.push_back(Sample { effective: verdict == Verdict::Effective, recovery_s });
        if samples.len() > KEPT {
            samples.pop_front();
        }
    }

    /// Memory raises of a container that still count at `now`.
    pub fn memory_raises(&self, key: &WorkloadKey, container: &str, now: Timestamp) -> u32 {
        let times = self.raises.get(&(key.clone(), container.into()));
        times.map_or(0, |t| t.iter().filter(|t| now - **t <= RAISES_COUNT).count() as u32)
    }

    /// Restarts of the workload or of pods of it within the hour before `now`.
    pub fn restarts(&self, key: &WorkloadKey, now: Timestamp) -> usize {
        self.restarts.get(key).map_or(0, |t| t.iter().filter(|t| now - **t <= RESTARTS_COUNT).count())
    }

    /// When the workload was last scaled up.
    pub fn last_scale_up(&self, key: &WorkloadKey) -> Option<Timestamp> {
        self.scaled_up.get(key).copied()
    }

    /// When the workload's requests and limits were last changed for its size.
    pub fn last_rightsizing(&self, key: &WorkloadKey) -> Option<Timestamp> {
        self.rightsized.get(key).copied()
    }

    /// Back-offs of a workload in a row.
    pub fn backoffs(&self, key: &WorkloadKey, now: Timestamp) -> u32 {
        self.backoffs.get(key).filter(|(_, at)| now - *at <= BACKOFF_FORGETS).map_or(0, |(n, _)| *n)
    }

    /// Recovery time (median, seconds), success probability and number of outcomes of a strategy, once there are
    /// at least five.
    pub fn learned(&self, strategy: Strategy) -> Option<(Option<u32>, f64, usize)> {
        let samples = self.outcomes.get(&strategy).filter(|s| s.len() >= ENOUGH)?;
        let effective = samples.iter().filter(|s| s.effective).count();
        let mut times: Vec<u32> = samples.iter().filter(|s| s.effective).filter_map(|s| s.recovery_s).collect();
        times.sort_unstable();
        Some((times.get(times.len() / 2).copied(), effective as f64 / samples.len() as f64, samples.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_outcomes_replace_the_prior_and_unknown_ones_do_not_count() {
        let mut h = History::default();
        for (i, verdict) in
            [Verdict::Effective, Verdict::Effective, Verdict::Neutral, Verdict::Unknown, Verdict::Harmful]
                .into_iter()
                .enumerate()
        {
            h.judged(Strategy::Rollback, verdict, Some(100 + i as u32));
        }
        assert_eq!(h.learned(Strategy::Rollback), None, "four known outcomes are too few");
        h.judged(Strategy::Rollback, Verdict::Effective, Some(90));
        assert_eq!(h.learned(Strategy::Rollback), Some((Some(100), 0.6, 5)));
        assert_eq!(h.learned(Strategy::Scale), None);
    }
}
