//! What a forecast promises, on made-up series.

use std::sync::atomic::AtomicBool;

use super::made_up::{noise, traffic, walk};
use super::*;

static GO: AtomicBool = AtomicBool::new(false);

fn series(values: &[f64]) -> Series {
    Series::from_values(values).unwrap()
}

fn predict(values: &[f64], horizon: usize) -> Result<Forecast, Refusal> {
    forecast(&series(values), &Config::new(horizon), &GO)
}

#[test]
fn days_and_weeks_are_found_and_go_on_with_skill() {
    let cut = 24 * 7 * 4;
    let (mut ours, mut theirs) = (0.0, 0.0);
    for seed in 0..6 {
        let y = traffic(seed, cut + 24, 2.0);
        let (past, future) = y.split_at(cut);
        let f = predict(past, 24).unwrap();
        assert_eq!(f.seasons, vec![24, 168]);
        let test = f.backtest.unwrap();
        assert!(test.skill() > 0.2, "{test:?}");
        assert!(f.members.len() > 30 && (f.members.iter().map(|m| m.1).sum::<f64>() - 1.0).abs() < 1e-9);
        ours += metrics::mae(future, &f.mean) / 6.0;
        theirs += metrics::mae(future, &naive::seasonal(past, 24, 24).unwrap()) / 6.0;
    }
    // The noise alone makes an error of 1.6.
    assert!(ours < 2.2 && ours < 0.7 * theirs, "{ours} against {theirs}");
}

#[test]
fn intervals_hold_what_they_promise_on_series_never_seen() {
    let cut = 24 * 14;
    let all: Vec<Vec<f64>> = (0..40).map(|seed| traffic(seed, cut + 24, 5.0)).collect();
    let batch: Vec<Series> = all.iter().map(|y| series(&y[..cut])).collect();
    let results = forecast_all(&batch, &Config::new(24), &GO, &|_, _| ());
    let mut inside = [0.0; 2];
    for (y, f) in all.iter().zip(results) {
        let f = f.unwrap();
        for (sum, band) in inside.iter_mut().zip([&f.band80, &f.band95]) {
            *sum += metrics::coverage(&y[cut..], &band.low, &band.high) / 40.0;
        }
    }
    assert!((0.75..0.86).contains(&inside[0]) && (0.92..0.98).contains(&inside[1]), "{inside:?}");
}

#[test]
fn a_level_that_shifted_is_followed() {
    let y: Vec<f64> =
        traffic(3, 24 * 14, 2.0).into_iter().enumerate().map(|(t, v)| if t > 24 * 9 { v + 80.0 } else { v }).collect();
    let f = predict(&y, 24).unwrap();
    let mean = f.mean.iter().sum::<f64>() / 24.0;
    assert!((mean - 183.0).abs() < 12.0, "{mean}");
}

#[test]
fn a_random_walk_gets_no_false_skill_and_intervals_that_grow() {
    let f = predict(&walk(4, 400), 20).unwrap();
    assert!(f.seasons.is_empty());
    let test = f.backtest.unwrap();
    assert!(test.skill() < 0.25, "{test:?}");
    let width = |h: usize| f.band95.high[h] - f.band95.low[h];
    assert!(width(19) > 1.3 * width(0));
}

#[test]
fn noise_is_not_predicted() {
    let f = predict(&noise(5, 400), 20).unwrap();
    assert!(f.mean.iter().all(|m| m.abs() < 0.8), "{:?}", f.mean);
}

#[test]
fn rare_events_stay_above_zero() {
    let y: Vec<f64> = noise(6, 300).iter().map(|e| if *e > 1.3 { 5.0 + e } else { 0.0 }).collect();
    let f = predict(&y, 24).unwrap();
    assert!(f.mean.iter().chain(&f.band95.low).all(|v| *v >= 0.0));
    assert!(f.band95.high.iter().all(|v| *v > 1.0));
}

#[test]
fn a_constant_is_predicted_as_it_is() {
    let f = predict(&[4.5; 200], 10).unwrap();
    assert_eq!(
        (f.model.as_str(), &f.mean, &f.band95.low, f.backtest),
        ("constant", &vec![4.5; 10], &vec![4.5; 10], None)
    );
}

#[test]
fn short_histories_are_refused_with_what_is_missing() {
    assert_eq!(predict(&[1.0], 4), Err(Refusal::TooShort { have: 1, need: 18 }));
    let day = Config { seasons: vec![24], ..Config::new(24) };
    let refusal = forecast(&series(&traffic(7, 40, 1.0)), &day, &GO).unwrap_err();
    assert_eq!(refusal.to_string(), "less than two seasons and a back-test: needs 32 more values");
    assert!(forecast(&series(&traffic(7, 72, 1.0)), &day, &GO).is_ok());
    assert_eq!(predict(&[1.0; 50], 0), Err(Refusal::NoHorizon));
}

#[test]
fn no_skill_is_refused_where_skill_is_required() {
    // A random walk: the last value is the best forecast there is, and some models are fooled by chance.
    let config = Config { require_skill: true, ..Config::new(12) };
    let asked: Vec<_> = (0..8).map(|seed| forecast(&series(&walk(seed, 150)), &config, &GO)).collect();
    assert!(asked.iter().any(Result::is_err));
    for answer in asked {
        match answer {
            Ok(f) => assert!(f.backtest.unwrap().skill() > 0.0),
            Err(Refusal::NoSkill { mase, baseline }) => assert!(mase >= baseline),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_season_that_repeats_exactly_is_predicted_exactly() {
    let y: Vec<f64> = (0..240).map(|t| f64::from(t * 7919 % 24)).collect();
    let config = Config { require_skill: true, seasons: vec![24], ..Config::new(24) };
    let f = forecast(&series(&y), &config, &GO).unwrap();
    assert!(metrics::mae(&y[..24], &f.mean) < 1e-9, "{:?}", f.mean);
}

#[test]
fn an_outage_of_two_days_does_not_spoil_the_days_after_it() {
    let whole = traffic(11, 24 * 15, 2.0);
    let mut y = whole[..24 * 14].to_vec();
    y[24 * 10..24 * 12].fill(f64::NAN);
    let f = predict(&y, 24).unwrap();
    assert!(metrics::mae(&whole[24 * 14..], &f.mean) < 4.0, "{:?}", f.mean);
}

#[test]
fn results_are_the_same_with_any_number_of_threads() {
    let batch: Vec<Series> = (0..3).map(|seed| series(&traffic(seed, 300, 3.0))).collect();
    let run = |threads| forecast_all(&batch, &Config { threads, ..Config::new(12) }, &GO, &|_, _| ());
    let one = run(1);
    assert!(one.iter().all(Result::is_ok));
    assert_eq!(one, run(8));
}

#[test]
fn cancelling_stops_and_says_so() {
    assert_eq!(
        forecast(&series(&traffic(8, 300, 1.0)), &Config::new(12), &AtomicBool::new(true)),
        Err(Refusal::Cancelled)
    );
}

#[test]
fn stale_steps_are_predicted_over() {
    let y: Vec<f64> = (0..240).map(|t| (f64::from(t) * std::f64::consts::TAU / 24.0).sin() * 10.0 + 20.0).collect();
    let mut cut = y[..230].to_vec();
    cut.extend([f64::NAN; 4]);
    let f = predict(&cut, 6).unwrap();
    assert_eq!((f.mean.len(), f.band95.low.len()), (6, 6));
    assert!(metrics::mae(&y[234..], &f.mean) < 0.5, "{:?} {:?}", f.mean, &y[234..]);
}

#[test]
fn values_of_any_size_and_sign_give_finite_forecasts() {
    for scale in [1e-300, 1e-9, 1e12, -1e150] {
        let y: Vec<f64> = traffic(9, 200, 2.0).iter().map(|v| v * scale).collect();
        let f = predict(&y, 12).unwrap();
        let mut all = f.mean.iter().chain(&f.band80.low).chain(&f.band95.high);
        assert!(all.all(|v| v.is_finite()), "{scale}: {f:?}");
    }
}

#[test]
fn progress_counts_every_series_once() {
    let batch: Vec<Series> = (0..5).map(|_| series(&[3.0; 100])).collect();
    let seen = std::sync::Mutex::new(Vec::new());
    let results = forecast_all(&batch, &Config::new(3), &GO, &|done, total| seen.lock().unwrap().push((done, total)));
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert_eq!((seen, results.len()), ((1..=5).map(|i| (i, 5)).collect(), 5));
}
