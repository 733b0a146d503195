//! Load forecasts (A2): from two weeks of hours to what is expected of the next day, per workload and signal; [`near`] is
//! for the next hours, sample by sample.
//!
//! The hours have a season of a day, and of a week where two weeks show it. What is not better than repeating the day
//! before, on its own past, says nothing: nothing may be scaled by it.

pub mod ledger;
pub mod near;

use crate::ml::forecast::{Config, Forecast, Refusal, Series, forecast_all};
use crate::model::bounds::Bounds;
use crate::model::cluster::Workload;
use crate::model::object::WorkloadKey;
use crate::model::prediction::{
    BackTest, Crossing, Expected, HOUR, Kept, LongHistory, Outlook, Prediction, SIGNALS, Silence, Track,
};
use crate::model::series::Signal;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Hours that are predicted.
pub const AHEAD: usize = 24;

/// A day, in hours.
const DAY: usize = 24;

/// What is predicted of one workload, without all the rest that is known of it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Whose.
    pub key: WorkloadKey,
    /// What its pods ask for and may use.
    pub bounds: Bounds,
}

impl Subject {
    /// Of a workload as it is now.
    pub fn new(workload: &Workload) -> Self {
        Self { key: workload.key.clone(), bounds: Bounds::of_workload(workload) }
    }
}

/// Predicts every signal of every subject; `threads` as for [`Config::threads`]. `None` if cancelled. Those that predict
/// most trouble come first: limits that are expected to be crossed, then those that may be, soonest first; then by how
/// much of the limit the day may take; then what has no limit; then what says nothing.
///
/// CPU and memory are told of every subject, requests only where somebody counted them.
pub fn predict(
    history: &LongHistory,
    subjects: &[Subject],
    threads: usize,
    cancel: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Option<Vec<Prediction>> {
    let mut drafts: Vec<Prediction> = subjects.iter().flat_map(|s| drafts(history, s)).collect();
    let mut asked = Vec::new();
    let mut series = Vec::new();
    for (i, draft) in drafts.iter_mut().enumerate() {
        match draft.history.as_deref().map(numbers) {
            Some(Ok(s)) => {
                asked.push(i);
                series.push(s);
            }
            Some(Err(silence)) => draft.outlook = Err(silence),
            None => {}
        }
    }
    let config = Config { seasons: vec![DAY], require_skill: true, explain: true, threads, ..Config::new(AHEAD) };
    let results = forecast_all(&series, &config, cancel, progress);
    for (i, result) in asked.into_iter().zip(results) {
        let draft = &mut drafts[i];
        let from = draft.history.as_deref().map(Track::end)?;
        draft.outlook = match result {
            Ok(forecast) => Ok(outlook(forecast, from, HOUR, draft.limit)),
            Err(Refusal::Cancelled) => return None,
            Err(refusal) => Err(silence(refusal)),
        };
    }
    drafts.sort_by_cached_key(|p| (trouble(p), p.key.clone(), p.signal));
    Some(drafts)
}

/// The predictions of one subject before they are made.
fn drafts<'a>(history: &'a LongHistory, subject: &'a Subject) -> impl Iterator<Item = Prediction> + 'a {
    SIGNALS.into_iter().filter_map(|signal| {
        let track = history.tracks.get(&(subject.key.clone(), signal)).cloned();
        if track.is_none() && signal == Signal::RequestRate {
            return None;
        }
        let (request, limit) = subject.bounds.for_signal(signal);
        let outlook = Err(match history.refused.get(&signal) {
            Some(why) => Silence::Refused(why.clone()),
            None => Silence::Absent,
        });
        Some(Prediction {
            key: subject.key.clone(),
            signal,
            history: track,
            request,
            limit,
            outlook,
            kept: Kept::default(),
        })
    })
}

fn numbers(track: &Track) -> Result<Series, Silence> {
    let values: Vec<f64> = track.values.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
    Series::from_values(&values).map_err(|e| Silence::Bad(e.to_string().into()))
}

fn silence(refusal: Refusal) -> Silence {
    match refusal {
        Refusal::TooShort { have, need } => Silence::Short { have, need },
        Refusal::TooYoung { have, need } => Silence::Young { have, need },
        Refusal::NoSkill { mase, baseline } => Silence::NoSkill { mase, baseline },
        other => Silence::Bad(other.to_string().into()),
    }
}

/// A forecast whose first moment is `from`.
fn outlook(forecast: Forecast, from: Timestamp, step: TimeDelta, limit: Option<f64>) -> Outlook {
    let ends = |band: &crate::ml::forecast::Band, i: usize| (band.low[i], band.high[i]);
    let steps: Vec<Expected> = (0..forecast.mean.len())
        .map(|i| Expected {
            mean: forecast.mean[i],
            band80: ends(&forecast.band80, i),
            band95: ends(&forecast.band95, i),
        })
        .collect();
    let share = |v: f64| v.is_finite().then_some(v);
    let backtest = forecast.backtest.map(|t| BackTest {
        folds: t.folds,
        mase: t.mase,
        baseline: t.baseline,
        skill: t.skill(),
        coverage80: share(t.coverage80),
        coverage95: share(t.coverage95),
    });
    let crossing = limit.and_then(|limit| {
        let first = |reaches: &dyn Fn(&Expected) -> bool| Some(from + step * steps.iter().position(reaches)? as i32);
        let possible = first(&|h| h.band80.1 >= limit)?;
        Some(Crossing { possible, expected: first(&|h| h.mean >= limit) })
    });
    Outlook {
        from,
        step,
        model: forecast.model,
        members: forecast.members,
        seasons: forecast.seasons,
        steps,
        backtest,
        crossing,
        parts: forecast.parts,
    }
}

/// Sorts: smaller is worse.
fn trouble(p: &Prediction) -> (u8, i64) {
    let Ok(outlook) = &p.outlook else { return (4, 0) };
    match (outlook.crossing, p.limit) {
        (Some(Crossing { expected: Some(at), .. }), _) => (0, at.timestamp()),
        (Some(Crossing { possible, .. }), _) => (1, possible.timestamp()),
        (None, Some(limit)) if limit > 0.0 => {
            let high = outlook.steps.iter().map(|h| h.band80.1).fold(0.0, f64::max);
            (2, -(high / limit * 1e6) as i64)
        }
        _ => (3, 0),
    }
}

/// What is known of workloads, ready to be sent to another thread.
pub fn subjects(workloads: &[Arc<Workload>]) -> Vec<Subject> {
    workloads.iter().map(|w| Subject::new(w)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::object::WorkloadKind;
    use std::sync::Mutex;

    const START: i64 = 1_700_000_000 / 3600 * 3600;
    /// Enough for a back-test, and soon forecast without optimisation.
    const DAYS: usize = 6;

    fn key(name: &str) -> WorkloadKey {
        WorkloadKey::new("shop", WorkloadKind::Deployment, name)
    }

    fn subject(name: &str, cpu_limit: Option<f64>) -> Subject {
        Subject { key: key(name), bounds: Bounds { cpu_limit, ..Bounds::default() } }
    }

    fn track(values: Vec<Option<f64>>) -> Arc<Track> {
        Arc::new(Track { from: chrono::DateTime::from_timestamp(START, 0).unwrap(), values })
    }

    /// Days that grow, with a little noise that repeats with no season.
    fn growing(hours: usize) -> Vec<Option<f64>> {
        let mut noise = 7u64;
        let mut next = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (noise >> 33) as f64 / f64::from(1u32 << 31) - 0.5
        };
        let wave = |i: usize| (i as f64 * std::f64::consts::TAU / 24.0).sin();
        (0..hours).map(|i| Some(1.0 + 0.5 * wave(i) + 0.004 * i as f64 + 0.1 * next())).collect()
    }

    fn history(tracks: Vec<(&str, Signal, Vec<Option<f64>>)>) -> LongHistory {
        let tracks = tracks.into_iter().map(|(name, signal, values)| ((key(name), signal), track(values))).collect();
        LongHistory { tracks, ..LongHistory::default() }
    }

    fn made(history: &LongHistory, subjects: &[Subject]) -> Vec<Prediction> {
        predict(history, subjects, 1, &AtomicBool::new(false), &|_, _| ()).unwrap()
    }

    #[test]
    fn a_day_is_predicted_from_the_hour_after_the_last_one_with_its_skill() {
        let all = made(&history(vec![("web", Signal::Cpu, growing(DAYS * 24))]), &[subject("web", None)]);
        assert_eq!(all.len(), 2, "cpu and memory; nobody counts its requests");
        let cpu = all.iter().find(|p| p.signal == Signal::Cpu).unwrap();
        let outlook = cpu.outlook.as_ref().unwrap();
        assert_eq!((outlook.from.timestamp(), outlook.steps.len()), (START + DAYS as i64 * 24 * 3600, AHEAD));
        let test = outlook.backtest.unwrap();
        assert!(test.mase < test.baseline && test.skill > 0.0, "{test:?}");
        assert!(outlook.crossing.is_none(), "without a limit nothing can be crossed");
        for (i, h) in outlook.steps.iter().enumerate() {
            let at = DAYS * 24 + i;
            let truth = 1.0 + 0.5 * (at as f64 * std::f64::consts::TAU / 24.0).sin() + 0.004 * at as f64;
            assert!((h.mean - truth).abs() < 0.3, "hour {i}: {} against {truth}", h.mean);
            assert!(
                h.band95.0 <= h.band80.0 && h.band80.0 <= h.mean && h.mean <= h.band80.1 && h.band80.1 <= h.band95.1
            );
        }
        let memory = all.iter().find(|p| p.signal == Signal::Memory).unwrap();
        assert_eq!((memory.outlook.as_ref().unwrap_err(), &memory.history), (&Silence::Absent, &None));
    }

    #[test]
    fn a_limit_is_crossed_when_the_band_reaches_it_and_such_come_first() {
        let names = ["far", "near", "none"];
        let tracks = names.iter().map(|n| (*n, Signal::Cpu, growing(DAYS * 24))).collect();
        let subjects = [subject("far", Some(100.0)), subject("near", Some(2.0)), subject("none", None)];
        let all = made(&history(tracks), &subjects);
        let order: Vec<&str> = all.iter().filter(|p| p.signal == Signal::Cpu).map(|p| &*p.key.name).collect();
        assert_eq!(order, ["near", "far", "none"]);
        assert!(all[3..].iter().all(|p| p.outlook.is_err()), "what says nothing comes last");
        let near = all[0].outlook.as_ref().unwrap();
        let crossing = near.crossing.unwrap();
        let hour = |at: Timestamp| ((at - near.from).num_hours()) as usize;
        assert!(near.steps[hour(crossing.possible)].band80.1 >= 2.0);
        assert!(near.steps[..hour(crossing.possible)].iter().all(|h| h.band80.1 < 2.0), "the first such hour");
        assert!(crossing.expected.is_none_or(|at| at >= crossing.possible));
        assert_eq!(all[1].outlook.as_ref().unwrap().crossing, None);
    }

    #[test]
    fn less_than_two_days_no_skill_and_a_refused_query_say_so() {
        let mut h = history(vec![
            ("young", Signal::Cpu, growing(30)),
            ("dice", Signal::Cpu, dice(DAYS * 24)),
            ("gone", Signal::Cpu, vec![None; DAYS * 24]),
        ]);
        h.refused.insert(Signal::Memory, "too many samples".into());
        let all = made(&h, &[subject("young", None), subject("dice", None), subject("gone", None)]);
        let of = |name: &str, signal| {
            let p = all.iter().find(|p| &*p.key.name == name && p.signal == signal).unwrap();
            p.outlook.as_ref().unwrap_err().clone()
        };
        assert!(matches!(of("young", Signal::Cpu), Silence::Short { have: 30, need } if need > 48));
        assert!(matches!(of("dice", Signal::Cpu), Silence::NoSkill { mase, baseline } if mase >= baseline));
        assert!(matches!(of("gone", Signal::Cpu), Silence::Bad(_)));
        assert_eq!(of("young", Signal::Memory), Silence::Refused("too many samples".into()));
    }

    /// A random walk by days: the best guess of tomorrow is today, hour by hour.
    fn dice(hours: usize) -> Vec<Option<f64>> {
        let mut noise = 3u64;
        let mut values: Vec<f64> = Vec::new();
        for i in 0..hours {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let step = (noise >> 33) as f64 / f64::from(1u32 << 31) - 0.5;
            values.push(if i < 24 { 50.0 + 20.0 * step } else { values[i - 24] + step });
        }
        values.into_iter().map(Some).collect()
    }

    #[test]
    fn it_tells_how_far_it_is_and_stops_when_told_to() {
        let h = history(vec![("a", Signal::Cpu, growing(120)), ("b", Signal::Cpu, growing(120))]);
        let subjects = [subject("a", None), subject("b", None)];
        let told = Mutex::new(Vec::new());
        predict(&h, &subjects, 1, &AtomicBool::new(false), &|done, total| told.lock().unwrap().push((done, total)));
        assert_eq!(*told.lock().unwrap(), [(1, 2), (2, 2)]);
        assert_eq!(predict(&h, &subjects, 1, &AtomicBool::new(true), &|_, _| ()), None);
    }
}
