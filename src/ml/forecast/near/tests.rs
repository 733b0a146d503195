use super::*;
use crate::ml::forecast::made_up::noise;

/// Fine steps in an hour, and hours of the coarse history; the fine one is its last day.
const RATIO: usize = 30;
const HOURS: usize = 10 * 24;
const HORIZON: usize = 4 * RATIO;

fn day(hour: f64) -> f64 {
    10.0 + 4.0 * (hour * std::f64::consts::TAU / 24.0).sin()
}

/// Ten days whose level wanders from day to day, the last one above the others: yesterday is no good guess, yesterday at
/// the present level is.
fn wandering(seed: u64, spread: f64) -> (Vec<f64>, Vec<f64>) {
    let levels = noise(seed, HOURS / 24 + 2);
    let level = |hour: f64| {
        let at = hour / 24.0;
        let (i, f) = (at as usize, at.fract());
        let above = if hour > (HOURS - 24) as f64 { 2.0 } else { 0.0 };
        above + levels[i] * (1.0 - f) + levels[i + 1] * f
    };
    let coarse: Vec<f64> = (0..=HOURS).map(|h| day(h as f64) + level(h as f64)).collect();
    let dust = noise(seed + 100, 24 * RATIO);
    let hour = |t: usize| (HOURS - 24) as f64 + (t + 1) as f64 / RATIO as f64;
    let fine = dust.iter().enumerate().map(|(t, e)| day(hour(t)) + level(hour(t)) + spread * e).collect();
    (fine, coarse)
}

fn past<'a>(fine: &'a [f64], coarse: &'a [f64]) -> Past<'a> {
    let offset = -1.0 - ((HOURS - 24) * RATIO) as f64;
    Past { fine, coarse, ratio: RATIO as f64, offset, middle: 0.0, season: 24 }
}

fn one(past: &Past) -> Result<Forecast, Refusal> {
    near_all(std::slice::from_ref(past), HORIZON, &AtomicBool::new(false)).unwrap().remove(0)
}

#[test]
fn the_next_hours_follow_the_day_at_the_present_level_and_most_samples_lie_inside() {
    let (mut inside, mut all) = ([0, 0], 0);
    for seed in 0..12 {
        let (fine, coarse) = wandering(seed, 0.2);
        let end = fine.len() - HORIZON;
        // The last four hours are not shown.
        let shown = &coarse[..coarse.len() - 4];
        let forecast = one(&past(&fine[..end], shown)).unwrap();
        let test = forecast.backtest.unwrap();
        assert!(test.mase < test.baseline, "{seed}: {test:?}");
        for (h, actual) in fine[end..].iter().enumerate() {
            all += 1;
            let within = |b: &crate::ml::forecast::Band| usize::from(b.low[h] <= *actual && *actual <= b.high[h]);
            inside[0] += within(&forecast.band80);
            inside[1] += within(&forecast.band95);
            assert!(forecast.band95.low[h] <= forecast.band80.low[h] && forecast.band80.low[h] <= forecast.mean[h]);
        }
    }
    let share = inside.map(|n| f64::from(n as u32) / f64::from(all));
    assert!((0.7..0.95).contains(&share[0]) && share[1] > 0.88, "{share:?}");
}

#[test]
fn a_back_test_sees_only_what_was_known_at_its_origin() {
    let (mut fine, mut coarse) = wandering(3, 0.1);
    let origin = fine.len() - HORIZON;
    let before: Vec<_> = MODELS.iter().map(|(_, m)| past(&fine, &coarse).path(*m, origin, HORIZON)).collect();
    fine[origin..].fill(1e9);
    let known = coarse.len() - 4;
    coarse[known..].fill(1e9);
    let after: Vec<_> = MODELS.iter().map(|(_, m)| past(&fine, &coarse).path(*m, origin, HORIZON)).collect();
    assert_eq!(before, after);
    assert!(before.iter().all(Option::is_some), "ten days show a week");
}

#[test]
fn the_middle_of_an_hour_is_where_its_mean_stands() {
    // Means of hours of a straight line, known at the hour's end, lie on the line at its middle.
    let coarse: Vec<f64> = (0..100).map(|h| f64::from(h) - 0.5).collect();
    let p = Past { fine: &[], coarse: &coarse, ratio: 10.0, offset: 0.0, middle: 5.0, season: 24 };
    assert_eq!(p.coarse_at(420.0, 1000), Some(42.0));
    assert_eq!(p.coarse_at(423.0, 423), Some(41.5), "the next hour is not known yet");
    assert_eq!(p.coarse_at(-100.0, 423), None);
}

#[test]
fn what_is_too_young_too_short_or_without_skill_says_so() {
    let (fine, coarse) = wandering(1, 0.2);
    let refused = |p: &Past| one(p).unwrap_err();
    assert_eq!(refused(&past(&fine, &coarse[..47])), Refusal::TooShort { have: 47, need: 48 });
    let young = past(&fine[fine.len() - 5 * RATIO..], &coarse);
    assert_eq!(refused(&young), Refusal::TooYoung { have: 5, need: 11 });
    // The day repeats exactly and its samples jump about: nothing is better than yesterday.
    let same: Vec<f64> = (0..=HOURS).map(|h| day(h as f64)).collect();
    let hour = |t: usize| (HOURS - 24) as f64 + (t + 1) as f64 / RATIO as f64;
    let dust = noise(9, 24 * RATIO);
    let jumping: Vec<f64> = dust.iter().enumerate().map(|(t, e)| day(hour(t)) + 2.0 * e).collect();
    let told = one(&past(&jumping, &same));
    assert!(
        matches!(told, Err(Refusal::NoSkill { mase, baseline }) if mase >= baseline)
            || told.as_ref().is_ok_and(|f| f.backtest.unwrap().skill() < 0.05),
        "{told:?}"
    );
    assert_eq!(near_all(&[past(&fine, &coarse)], 0, &AtomicBool::new(false)).unwrap()[0], Err(Refusal::NoHorizon));
    assert_eq!(near_all(&[past(&fine, &coarse)], 5, &AtomicBool::new(true)), None);
}

#[test]
fn constants_gaps_and_values_that_are_no_numbers_have_an_answer() {
    let (fine, coarse) = wandering(2, 0.2);
    let flat = one(&past(&[3.0; 24 * RATIO], &[3.0; HOURS + 1])).unwrap();
    assert!(flat.mean.iter().chain(&flat.band95.low).chain(&flat.band95.high).all(|v| (*v - 3.0).abs() < 1e-9));
    assert_eq!(flat.backtest, None, "nothing was there to get wrong");
    let nothing = [f64::NAN; 24 * RATIO];
    assert!(matches!(one(&past(&nothing, &coarse)), Err(Refusal::TooYoung { have: 0, .. })));
    assert!(matches!(one(&past(&fine, &[f64::INFINITY; HOURS])), Err(Refusal::TooShort { have: 0, .. })));
    assert!(matches!(one(&past(&[], &coarse)), Err(Refusal::TooYoung { .. })));
    assert!(matches!(one(&past(&[1.0], &coarse)), Err(Refusal::TooYoung { .. })));
    let mut holes = fine.clone();
    (0..holes.len()).filter(|i| i % 7 == 0).for_each(|i| holes[i] = f64::NAN);
    holes[200..260].fill(f64::INFINITY);
    let mut gaps = coarse.clone();
    gaps[100..130].fill(f64::NAN);
    let with = one(&past(&holes, &gaps)).unwrap();
    let whole = one(&past(&fine, &coarse)).unwrap();
    assert!(with.mean.iter().all(|v| v.is_finite()));
    assert!(with.mean.iter().zip(&whole.mean).all(|(a, b)| (a - b).abs() < 2.0));
}

#[test]
fn every_model_and_the_forecast_come_apart_without_a_rest() {
    for seed in 0..4 {
        let (fine, coarse) = wandering(seed, 0.3);
        let past = past(&fine, &coarse);
        for (name, model) in MODELS {
            let path = past.path(model, fine.len(), HORIZON).unwrap();
            for step in [0, 7, HORIZON - 1] {
                let parts = past.part(model, fine.len(), step).unwrap();
                assert!((parts.iter().sum::<f64>() - path[step]).abs() < 1e-9, "{name}: {parts:?} {}", path[step]);
            }
        }
        let said = one(&past).unwrap();
        let most = said.mean.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = said.parts.iter().map(|(_, part)| part).sum();
        assert!((sum - most).abs() < 1e-9, "{:?} {most}", said.parts);
        assert!(
            said.parts.iter().any(|(cause, part)| *cause == "the time of day" && part.abs() > 0.05),
            "{:?}",
            said.parts
        );
    }
}
