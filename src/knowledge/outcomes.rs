//! What actions did (K2): how each strategy fares, how soon trouble is found and over, and whether that gets better. Read from
//! the items of the journal, so that every start and every script sees the same.

use crate::model::action::{Means, QueueItem, Verdict};
use crate::model::plan::Strategy;
use chrono::TimeDelta;
use serde::Serialize;
use std::collections::BTreeMap;

/// Outcomes of a strategy from which they replace the prior; fewer say too little.
pub const ENOUGH: usize = 5;

/// How one strategy fares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fared {
    /// Which.
    pub strategy: Strategy,
    /// Verdicts that tell something: all but unknown ones.
    pub judged: usize,
    /// Of those, effective ones.
    pub effective: usize,
    /// Of those, harmful ones.
    pub harmful: usize,
    /// Unknown verdicts.
    pub unknown: usize,
    /// Probability of success that proposals show, 0..1: the share of outcomes if there are enough, else the prior.
    pub probability: Option<f64>,
    /// Seconds to recovery that proposals show: the median of outcomes if there are enough, else the prior.
    pub recovery_s: Option<u32>,
    /// `5 outcomes` or `prior`.
    pub basis: String,
}

/// All that outcomes tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Per strategy that was used.
    pub strategies: Vec<Fared>,
    /// Share of judged actions that were effective; `None`: none was judged.
    pub success: Option<f64>,
    /// How much the success of an action rises from one to the next, by least squares over the judged ones in order of time;
    /// `None` with fewer than [`ENOUGH`].
    pub trend: Option<f64>,
    /// Mean seconds from the first sign to the finding, and over how many healings.
    pub mttd: Option<(i64, usize)>,
    /// Mean seconds from the first sign to the recovery, and over how many healings.
    pub mttr: Option<(i64, usize)>,
}

impl Report {
    /// From stored items, in any order.
    pub fn of(items: &[QueueItem]) -> Self {
        let mut judged: Vec<&QueueItem> = items.iter().filter(|i| i.state.ended() && i.outcome.is_some()).collect();
        judged.sort_by_key(|i| i.outcome.as_ref().map(|o| o.at));
        let mut by: BTreeMap<Strategy, Vec<&QueueItem>> = BTreeMap::new();
        for item in &judged {
            by.entry(item.proposal.strategy).or_default().push(item);
        }
        let told: Vec<f64> =
            judged.iter().filter_map(|i| verdict(i)).filter(|v| *v != Verdict::Unknown).map(success).collect();
        let means = Means::of(items);
        let seconds = |m: Option<(TimeDelta, usize)>| m.map(|(t, n)| (t.num_seconds(), n));
        Self {
            strategies: by.into_iter().map(|(strategy, items)| fared(strategy, &items)).collect(),
            success: (!told.is_empty()).then(|| told.iter().sum::<f64>() / told.len() as f64),
            trend: slope(&told),
            mttd: seconds(means.detect),
            mttr: seconds(means.recover),
        }
    }
}

fn verdict(item: &QueueItem) -> Option<Verdict> {
    item.outcome.as_ref().map(|o| o.verdict)
}

fn success(verdict: Verdict) -> f64 {
    f64::from(u8::from(verdict == Verdict::Effective))
}

fn fared(strategy: Strategy, items: &[&QueueItem]) -> Fared {
    let count = |v: Verdict| items.iter().filter(|i| verdict(i) == Some(v)).count();
    let (effective, harmful, unknown) = (count(Verdict::Effective), count(Verdict::Harmful), count(Verdict::Unknown));
    let judged = items.len() - unknown;
    let mut times: Vec<i64> = items
        .iter()
        .filter(|i| verdict(i) == Some(Verdict::Effective))
        .filter_map(|i| i.times().to_recover())
        .map(|t| t.num_seconds())
        .collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).and_then(|s| u32::try_from(*s).ok());
    let prior = strategy.prior();
    let known = judged >= ENOUGH;
    Fared {
        strategy,
        judged,
        effective,
        harmful,
        unknown,
        probability: if known { Some(effective as f64 / judged as f64) } else { prior.map(|(_, p)| p) },
        recovery_s: median.filter(|_| known).or(prior.map(|(s, _)| s)),
        basis: if known { format!("{judged} outcomes") } else { "prior".into() },
    }
}

/// Slope of a line through values at 0, 1, 2, …
fn slope(values: &[f64]) -> Option<f64> {
    if values.len() < ENOUGH {
        return None;
    }
    let n = values.len() as f64;
    let (mx, my) = ((n - 1.0) / 2.0, values.iter().sum::<f64>() / n);
    let (mut sxy, mut sxx) = (0.0, 0.0);
    for (x, y) in values.iter().enumerate() {
        sxy += (x as f64 - mx) * (y - my);
        sxx += (x as f64 - mx).powi(2);
    }
    Some(sxy / sxx)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::tests::item;
    use crate::model::action::{ActionState, Health, Outcome};

    fn ended(n: i64, verdict: Verdict, recovered: Option<i64>) -> QueueItem {
        let at = |s: i64| chrono::DateTime::from_timestamp(1_700_000_000 + n * 1000 + s, 0).unwrap();
        let mut item = item(&format!("a{n}"), ActionState::Done { verdict, why: "x".into() });
        std::sync::Arc::make_mut(&mut item.proposal).strategy = Strategy::Rollback;
        item.outcome = Some(Outcome {
            action: item.proposal.id.clone(),
            verdict,
            why: vec![],
            before: Health { at: Some(at(0)), ..Health::default() },
            after: Health { gone_since: recovered.map(at), ..Health::default() },
            at: at(600),
        });
        item
    }

    #[test]
    fn few_outcomes_leave_the_prior_and_enough_replace_it() {
        let mut items: Vec<QueueItem> = (0..4).map(|n| ended(n, Verdict::Effective, Some(50))).collect();
        items.push(ended(9, Verdict::Unknown, None));
        let few = &Report::of(&items).strategies[0];
        assert_eq!((few.judged, few.unknown, &*few.basis), (4, 1, "prior"));
        assert_eq!((few.probability, few.recovery_s), (Some(0.95), Some(120)), "the prior of P9");
        items.push(ended(10, Verdict::Harmful, None));
        let report = Report::of(&items);
        let enough = &report.strategies[0];
        assert_eq!((enough.probability, enough.recovery_s, &*enough.basis), (Some(0.8), Some(50), "5 outcomes"));
        assert_eq!((enough.effective, enough.harmful), (4, 1));
        assert!(report.trend.unwrap() < 0.0, "the last one was harmful");
        assert_eq!(Report::of(&[]).success, None, "nothing is not zero");
    }
}
