//! What an episode, a true alarm and a false one are, and how many of each there were.
//!
//! * An **episode** begins at the first step at which a workload fails (unhealthy or critical) after it did not for at least
//!   [`CALM`]; pauses shorter than that belong to it. One that begins before anything could be seen counts for nothing.
//! * An **alarm** counts while its workload is in no episode. Alarms without a pause of [`CALM`] are one **burst**;
//!   a burst that lasts is counted again every [`HORIZON`], so that crying all day is not one lucky cry.
//! * A burst is **true** if an episode of the same workload begins within [`HORIZON`] after one of its alarms; else it is
//!   false. One whose time is not over when the record ends counts for nothing.
//! * An episode is **foreseen** if an alarm came before it within [`HORIZON`]; its **lead** is the time from the first of
//!   these alarms.

use crate::model::failure::{HORIZON, State};
use chrono::TimeDelta;

/// So long without failure, or without alarm, ends what was.
pub const CALM: TimeDelta = TimeDelta::minutes(10);

/// Counts over any number of workloads.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    /// Episodes.
    pub episodes: usize,
    /// Seconds of warning of each that was foreseen.
    pub leads: Vec<f64>,
    /// Bursts of alarms.
    pub bursts: usize,
    /// Those that were true.
    pub hits: usize,
}

impl Score {
    /// Share of the episodes that were foreseen; `None` without any.
    pub fn recall(&self) -> Option<f64> {
        (self.episodes > 0).then(|| self.leads.len() as f64 / self.episodes as f64)
    }

    /// Share of the bursts that were true; `None` without any.
    pub fn precision(&self) -> Option<f64> {
        (self.bursts > 0).then(|| self.hits as f64 / self.bursts as f64)
    }

    /// Harmonic mean of both; 0 where either is 0 or cannot be told.
    pub fn f1(&self) -> f64 {
        let (p, r) = (self.precision().unwrap_or(0.0), self.recall().unwrap_or(0.0));
        if p + r > 0.0 { 2.0 * p * r / (p + r) } else { 0.0 }
    }

    /// Median seconds of warning.
    pub fn lead(&self) -> Option<f64> {
        super::trend::median(self.leads.iter().copied())
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.episodes += other.episodes;
        self.bursts += other.bursts;
        self.hits += other.hits;
        self.leads.extend(&other.leads);
    }

    /// Judges the alarms of one workload against its states, step by step; `step` in seconds.
    pub fn of(states: &[Option<State>], alarms: &[bool], step: u32) -> Self {
        let warned = warned(states, alarms, step);
        let leads = warned.iter().filter_map(|(_, lead)| *lead).collect();
        let bursts = bursts(states, alarms, step);
        let hits = bursts.iter().filter(|b| b.right).count();
        Self { episodes: warned.len(), leads, bursts: bursts.len(), hits }
    }
}

/// Alarms that are counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// Its first and last step.
    pub first: usize,
    #[allow(missing_docs)]
    pub last: usize,
    /// Whether an episode came.
    pub right: bool,
}

/// The bursts that count, in order.
pub fn bursts(states: &[Option<State>], alarms: &[bool], step: u32) -> Vec<Burst> {
    let slots = |span: TimeDelta| (span.num_seconds() / i64::from(step.max(1))).max(1) as usize;
    let (calm, horizon) = (slots(CALM), slots(HORIZON));
    let episodes = episodes(states, calm);
    let inside = |slot: usize| episodes.iter().any(|(from, to)| (*from..=*to).contains(&slot));
    let counted: Vec<usize> = (0..alarms.len().min(states.len())).filter(|s| alarms[*s] && !inside(*s)).collect();
    let known: Vec<usize> = episodes.iter().map(|(begin, _)| *begin).filter(|begin| *begin > 0).collect();
    let (mut all, mut at) = (Vec::new(), 0);
    while at < counted.len() {
        let first = counted[at];
        let mut last = first;
        while at < counted.len() && counted[at] - last < calm && counted[at] - first < horizon {
            last = counted[at];
            at += 1;
        }
        let right = known.iter().any(|begin| *begin > first && *begin - last.min(*begin) <= horizon && last < *begin);
        // Right ones too: who counted only those would call every alarm near the end right.
        if last + horizon < states.len() {
            all.push(Burst { first, last, right });
        }
    }
    all
}

/// The first step of each episode that counts, and the seconds of warning where it was foreseen.
pub fn warned(states: &[Option<State>], alarms: &[bool], step: u32) -> Vec<(usize, Option<f64>)> {
    let slots = |span: TimeDelta| (span.num_seconds() / i64::from(step.max(1))).max(1) as usize;
    let episodes = episodes(states, slots(CALM));
    let inside = |slot: usize| episodes.iter().any(|(from, to)| (*from..=*to).contains(&slot));
    let lead = |begin: usize| {
        let early = begin.saturating_sub(slots(HORIZON))..begin.min(alarms.len());
        let first = early.into_iter().find(|s| alarms[*s] && !inside(*s))?;
        Some((begin - first) as f64 * f64::from(step))
    };
    episodes.iter().filter(|(begin, _)| *begin > 0).map(|(begin, _)| (*begin, lead(*begin))).collect()
}

/// First and last step of each episode.
fn episodes(states: &[Option<State>], calm: usize) -> Vec<(usize, usize)> {
    let mut all: Vec<(usize, usize)> = Vec::new();
    for slot in (0..states.len()).filter(|s| states[*s].is_some_and(State::is_failure)) {
        match all.last_mut() {
            Some((_, last)) if slot - *last <= calm => *last = slot,
            _ => all.push((slot, slot)),
        }
    }
    // The pause that ends it is part of it as well: what is said there comes from what was.
    for (_, last) in &mut all {
        *last += calm;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day of minutes with failures and alarms at these.
    fn score(failures: &[usize], alarms: &[usize]) -> Score {
        let states: Vec<Option<State>> =
            (0..600).map(|m| Some(if failures.contains(&m) { State::Unhealthy } else { State::Healthy })).collect();
        let alarms: Vec<bool> = (0..600).map(|m| alarms.contains(&m)).collect();
        Score::of(&states, &alarms, 60)
    }

    #[test]
    fn an_alarm_before_an_episode_is_true_and_its_lead_is_from_the_first() {
        let s = score(&[100, 101, 105], &[92, 95, 96]);
        assert_eq!((s.episodes, s.bursts, s.hits, s.leads), (1, 1, 1, vec![480.0]));
    }

    #[test]
    fn alarms_too_early_in_the_middle_or_for_nothing_are_told_apart() {
        let early = score(&[100], &[70]);
        assert_eq!((early.bursts, early.hits, early.recall()), (1, 0, Some(0.0)));
        let during = score(&[100, 108], &[104, 112]);
        assert_eq!((during.episodes, during.bursts), (1, 0), "nobody needs a forecast of what is there");
        let never = score(&[], &[50, 52, 300]);
        assert_eq!((never.bursts, never.precision(), never.recall()), (2, Some(0.0), None));
    }

    #[test]
    fn crying_all_day_is_many_bursts_and_one_is_true() {
        let all: Vec<usize> = (0..300).collect();
        let s = score(&[300], &all);
        assert_eq!((s.episodes, s.hits, s.bursts), (1, 1, 20));
    }

    #[test]
    fn what_cannot_be_judged_counts_for_nothing() {
        assert_eq!(score(&[0, 1], &[]).episodes, 0, "it failed when the record began");
        assert_eq!(score(&[], &[595]).bursts, 0, "its quarter of an hour is not over");
        assert_eq!(Score::of(&[], &[true], 15), Score::default());
        assert_eq!(Score::default().f1(), 0.0);
    }
}
