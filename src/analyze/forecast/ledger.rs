//! What forecasts promised and what then came: whether their intervals still hold what they say (A10).
//!
//! A forecast is made anew from all history every hour, so there is nothing to train again; one whose intervals no longer
//! hold is silenced until they do.

use crate::model::object::WorkloadKey;
use crate::model::prediction::{Expected, HOUR, Kept, LongHistory, Prediction, Silence};
use crate::model::series::Signal;
use crate::model::time::Timestamp;
use std::collections::BTreeMap;

/// Chance of an honest forecast to be silenced at one look.
pub(super) const UNLIKELY: f64 = 1e-3;

/// The forecasts of each series that wait for their hours, and how earlier ones did. Bounded by the series there are.
#[derive(Debug, Default)]
pub struct Ledger {
    lines: BTreeMap<(WorkloadKey, Signal), Entry>,
}

#[derive(Debug)]
struct Entry {
    from: Timestamp,
    hours: Vec<Expected>,
    kept: Kept,
}

impl Ledger {
    /// Holds what was promised against the hours that have come since. An hour in which nothing was measured says nothing.
    pub fn settle(&mut self, history: &LongHistory) {
        for (key, entry) in &mut self.lines {
            let Some(track) = history.tracks.get(key) else { continue };
            let come = ((track.end() - entry.from).num_hours().max(0) as usize).min(entry.hours.len());
            for (i, hour) in entry.hours.drain(..come).enumerate() {
                let Ok(at) = usize::try_from((entry.from - track.from).num_hours() + i as i64) else { continue };
                if let Some(Some(value)) = track.values.get(at) {
                    entry.kept.note(within(*value, hour.band80), within(*value, hour.band95));
                }
            }
            entry.from += HOUR * come as i32;
        }
    }

    /// Takes what is promised now in the place of earlier promises, tells each prediction how its series has done, and
    /// silences those whose intervals no longer hold; these go to the end. Series that are gone are forgotten.
    pub fn enter(&mut self, made: &mut [Prediction]) {
        let mut before = std::mem::take(&mut self.lines);
        for p in made.iter_mut() {
            let key = (p.key.clone(), p.signal);
            let earlier = before.remove(&key);
            let kept = earlier.as_ref().map_or_else(Kept::default, |e| e.kept);
            p.kept = kept;
            let Ok(outlook) = &p.outlook else {
                self.lines.extend(earlier.map(|e| (key, e)));
                continue;
            };
            self.lines.insert(key, Entry { from: outlook.from, hours: outlook.steps.clone(), kept });
            if lower_tail(kept.count95(), kept.values(), 0.95) < UNLIKELY {
                p.outlook = Err(Silence::Drifted { within95: kept.count95(), values: kept.values() });
            }
        }
        made.sort_by_key(|p| p.outlook.is_err()); // stable: the order of trouble stays
    }
}

pub(super) fn within(value: f64, band: (f64, f64)) -> bool {
    (band.0..=band.1).contains(&value)
}

/// Probability of at most `k` hits in `n` tries of chance `p`.
pub(super) fn lower_tail(k: u32, n: u32, p: f64) -> f64 {
    let mut term = (1.0 - p).powi(n as i32);
    let mut sum = term;
    for i in 0..k.min(n) {
        term *= f64::from(n - i) / f64::from(i + 1) * p / (1.0 - p);
        sum += term;
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::object::WorkloadKind;
    use crate::model::prediction::{Outlook, Track};
    use std::sync::Arc;

    fn start() -> Timestamp {
        chrono::DateTime::from_timestamp(1_700_000_000 / 3600 * 3600, 0).unwrap()
    }

    fn key() -> WorkloadKey {
        WorkloadKey::new("shop", WorkloadKind::Deployment, "web")
    }

    /// A forecast at hour `from` that says 9..11 (80 %) and 8..12 (95 %) for a day.
    fn promise(from: i32) -> Prediction {
        let hour = Expected { mean: 10.0, band80: (9.0, 11.0), band95: (8.0, 12.0) };
        Prediction {
            key: key(),
            signal: Signal::Cpu,
            history: None,
            request: None,
            limit: None,
            outlook: Ok(Outlook {
                from: start() + HOUR * from,
                step: HOUR,
                model: "m".into(),
                members: vec![],
                seasons: vec![],
                steps: vec![hour; 24],
                backtest: None,
                crossing: None,
                parts: vec![],
            }),
            kept: Kept::default(),
        }
    }

    fn history(values: &[Option<f64>]) -> LongHistory {
        let track = Arc::new(Track { from: start(), values: values.to_vec() });
        LongHistory { tracks: [((key(), Signal::Cpu), track)].into(), ..LongHistory::default() }
    }

    /// Hour by hour: what comes is read, then the next forecast is made.
    fn lived(ledger: &mut Ledger, values: &[Option<f64>]) -> Prediction {
        let mut last = promise(0);
        ledger.enter(std::slice::from_mut(&mut last));
        for n in 1..=values.len() {
            ledger.settle(&history(&values[..n]));
            last = promise(n as i32);
            ledger.enter(std::slice::from_mut(&mut last));
        }
        last
    }

    #[test]
    fn each_hour_counts_once_against_the_forecast_that_was_made_last_before_it() {
        let mut ledger = Ledger::default();
        let values = [Some(10.0), Some(11.5), None, Some(20.0), Some(9.0)];
        let last = lived(&mut ledger, &values);
        assert_eq!((last.kept.values(), last.kept.count80(), last.kept.count95()), (4, 2, 3));
        // Hours that come together, after a time without Prometheus, all count too.
        let more: Vec<_> = values.into_iter().chain([Some(10.0); 6]).collect();
        ledger.settle(&history(&more));
        ledger.settle(&history(&more));
        let mut next = promise(11);
        ledger.enter(std::slice::from_mut(&mut next));
        assert_eq!((next.kept.values(), next.kept.count80(), next.kept.count95()), (10, 8, 9));
    }

    #[test]
    fn intervals_that_no_longer_hold_are_silenced_and_speak_again_when_they_do() {
        let mut ledger = Ledger::default();
        let mut values = vec![Some(10.0); 30];
        assert!(lived(&mut ledger, &values).outlook.is_ok());
        values.extend([Some(30.0); 10]);
        let drifted = lived(&mut Ledger::default(), &values);
        assert_eq!(drifted.outlook, Err(Silence::Drifted { within95: 30, values: 40 }));
        values.extend([Some(10.0); 64]);
        let healed = lived(&mut Ledger::default(), &values);
        assert!(healed.outlook.is_ok(), "it was judged while it was silent");
        assert_eq!(healed.kept.values(), Kept::MOST);
    }

    #[test]
    fn series_that_are_gone_are_forgotten_and_the_silent_go_last() {
        let mut ledger = Ledger::default();
        lived(&mut ledger, &[Some(30.0); 30]);
        let mut other = promise(30);
        other.key = WorkloadKey::new("shop", WorkloadKind::Deployment, "other");
        let mut both = [promise(30), other.clone()];
        ledger.enter(&mut both);
        assert_eq!(both[0].key, other.key, "the drifted one is last");
        ledger.enter(&mut [other]);
        assert_eq!(ledger.lines.len(), 1);
    }

    #[test]
    fn the_tail_is_that_of_the_binomial_distribution() {
        assert!((lower_tail(1, 4, 0.5) - 5.0 / 16.0).abs() < 1e-12);
        assert!((lower_tail(17, 20, 0.95) - 0.075_483_9).abs() < 1e-6);
        assert!((lower_tail(64, 64, 0.95) - 1.0).abs() < 1e-9);
        assert_eq!(lower_tail(0, 0, 0.95), 1.0);
    }
}
