//! What a detector promises on any series, good or bad.

use super::{ALARM, Detector, Kind, Score, Stream};
use proptest::prelude::*;

/// A repeatable value in 0..1 for a row.
fn noise(row: usize) -> f64 {
    let mut x = row as u64 ^ 0x9e37_79b9_7f4a_7c15;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn run(kind: Kind, rows: impl IntoIterator<Item = (f64, f64)>) -> Vec<Score> {
    let mut detector = Detector::new(kind);
    rows.into_iter().map(|(time, value)| detector.push(time, value)).collect()
}

/// Samples every five minutes.
fn every_5_min(values: impl IntoIterator<Item = f64>) -> Vec<(f64, f64)> {
    values.into_iter().enumerate().map(|(row, value)| (row as f64 * 300.0, value)).collect()
}

fn alarms(scores: &[Score]) -> Vec<usize> {
    (0..scores.len()).filter(|&row| scores[row].anomaly).collect()
}

/// The alarms that a change to a series adds: noise has its own few.
fn news(kind: Kind, plain: &[(f64, f64)], changed: &[(f64, f64)]) -> Vec<usize> {
    let usual = alarms(&run(kind, plain.iter().copied()));
    alarms(&run(kind, changed.iter().copied())).into_iter().filter(|row| !usual.contains(row)).collect()
}

/// What a change to quiet noise raises.
fn raised(rows: usize, change: impl Fn(usize, f64) -> f64) -> Vec<usize> {
    news(Kind::Gauge, &quiet(rows, |_, value| value), &quiet(rows, change))
}

/// Noise around 20 with the given change.
fn quiet(rows: usize, change: impl Fn(usize, f64) -> f64) -> Vec<(f64, f64)> {
    every_5_min((0..rows).map(|row| change(row, 20.0 + noise(row))))
}

#[test]
fn a_spike_is_flagged_at_its_row_with_evidence() {
    let scores = run(Kind::Gauge, quiet(2000, |row, value| if row == 1500 { 40.0 } else { value }));
    assert!(scores[1500].anomaly && !scores[1501].anomaly);
    let evidence = scores[1500].evidence.unwrap();
    assert_eq!((evidence.stream, evidence.observed), (Stream::Value, 40.0));
    assert!(evidence.high <= 21.0 && evidence.novelty > 9.0);
}

#[test]
fn a_level_shift_is_one_incident_and_then_normal() {
    let flagged = raised(4000, |row, value| if row >= 1500 { value + 5.0 } else { value });
    assert!(flagged[0] == 1500 && flagged.len() <= 3, "{flagged:?}");
    assert!(flagged.iter().all(|&row| row < 1600), "{flagged:?}");
}

#[test]
fn a_long_burst_is_one_incident() {
    let burst = |row: usize| (1500..1540).contains(&row);
    let flagged = raised(3000, |row, value| if burst(row) { 60.0 + 9.0 * noise(row) } else { value });
    assert!(flagged[0] == 1500 && flagged.len() <= 3, "{flagged:?}");
}

#[test]
fn a_missing_peak_of_a_daily_wave_is_off_season() {
    let wave = |row: usize| (row as f64 / 288.0 * std::f64::consts::TAU).sin().max(0.0) * 50.0 + noise(row);
    let absent = 288 * 12..288 * 13;
    let scores = run(
        Kind::Gauge,
        every_5_min((0..288 * 14).map(|row| if absent.contains(&row) { noise(row) } else { wave(row) })),
    );
    let flagged = alarms(&scores);
    let first = flagged.iter().find(|&&row| row >= 288 * 3).unwrap();
    assert!(absent.contains(first), "{flagged:?}");
    assert_eq!(scores[*first].evidence.unwrap().stream, Stream::Season);
    assert!(scores[*first].expected.unwrap() > 3.0);
}

#[test]
fn a_frozen_sensor_is_a_spread_never_seen() {
    let scores = run(Kind::Gauge, quiet(3000, |row, value| if row >= 1500 { 20.5 } else { value }));
    let first = *alarms(&scores).iter().find(|&&row| row >= 1500).unwrap();
    assert!(first < 1530, "{first}");
    assert_eq!(scores[first].evidence.unwrap().stream, Stream::Spread);
}

#[test]
fn a_constant_series_is_never_anomalous_and_its_first_change_is() {
    let mut rows = every_5_min(vec![7.0; 2000]);
    assert!(alarms(&run(Kind::Gauge, rows.clone())).is_empty());
    rows[1800].1 = 7.5;
    assert_eq!(alarms(&run(Kind::Gauge, rows)), [1800]);
}

#[test]
fn missing_values_score_nothing_and_change_nothing() {
    assert!(run(Kind::Gauge, every_5_min(vec![f64::NAN; 500])).iter().all(|score| *score == Score::default()));
    let whole = quiet(1500, |_, value| value);
    let mut holes = whole.clone();
    holes.iter_mut().skip(700).step_by(7).for_each(|row| row.1 = f64::NAN);
    let scores = run(Kind::Gauge, holes.clone());
    let present = run(Kind::Gauge, holes.iter().copied().filter(|row| row.1.is_finite()));
    let seen: Vec<_> =
        scores.iter().zip(&holes).filter(|(_, row)| row.1.is_finite()).map(|(score, _)| *score).collect();
    assert_eq!(seen, present);
}

#[test]
fn infinities_and_overflowing_values_are_missing() {
    let odd = [(600, f64::INFINITY), (650, f64::NEG_INFINITY), (700, f64::MAX), (750, -1e200)];
    let (mut infinite, mut missing) = (quiet(1000, |_, value| value), quiet(1000, |_, value| value));
    for (row, value) in odd {
        infinite[row].1 = value;
        missing[row].1 = f64::NAN;
    }
    assert_eq!(run(Kind::Gauge, infinite), run(Kind::Gauge, missing));
}

#[test]
fn one_point_and_none_are_quiet() {
    assert_eq!(run(Kind::Gauge, [(0.0, 5.0)])[0].score, 0.0);
    assert!(run(Kind::Gauge, []).is_empty());
}

#[test]
fn a_gap_is_not_a_jump() {
    let slow = |time: f64| 50.0 + 40.0 * (time / 40_000.0).sin();
    let after = |pause: f64| -> Vec<_> {
        let times = (0..2000).map(|row| f64::from(row) * 300.0 + if row >= 1500 { pause } else { 0.0 });
        times.map(|time| (time, slow(time))).collect()
    };
    let half_a_wave = 40_000.0 * std::f64::consts::PI;
    assert!(!alarms(&run(Kind::Gauge, after(half_a_wave))).contains(&1500));
    assert!(
        alarms(&run(
            Kind::Gauge,
            after(0.0)
                .into_iter()
                .enumerate()
                .map(|(row, (time, _))| { (time, slow(time + if row >= 1500 { half_a_wave } else { 0.0 })) })
        ))
        .contains(&1500),
        "without the pause the same values jump"
    );
}

#[test]
fn duplicate_and_unordered_timestamps_are_scored_in_the_order_they_come() {
    let plain = quiet(2000, |_, value| value);
    let mut rows = quiet(2000, |row, value| if row == 1500 { 40.0 } else { value });
    for row in (100..1990).step_by(37) {
        rows[row].0 = rows[row - 1].0;
        let (one, other) = (rows[row + 4].0, rows[row + 5].0);
        (rows[row + 4].0, rows[row + 5].0) = (other, one);
    }
    assert_eq!(news(Kind::Gauge, &plain, &rows), [1500]);
}

#[test]
fn a_counters_reset_is_no_anomaly_and_its_surge_is() {
    let counter = |resets: bool, surge: f64| {
        let mut total = 0.0;
        every_5_min((0..3000).map(|row| {
            total = if resets && row % 800 == 799 { 0.0 } else { total };
            total += 300.0 + 60.0 * noise(row) + if row == 2500 { surge } else { 0.0 };
            total
        }))
    };
    let plain = counter(false, 0.0);
    assert!(news(Kind::Counter, &plain, &counter(true, 0.0)).is_empty());
    assert_eq!(news(Kind::Counter, &plain, &counter(true, 900.0)), [2500]);
}

#[test]
fn another_scrape_interval_is_at_most_one_incident() {
    let mut time = 0.0;
    let changed: Vec<_> = (0..6000)
        .map(|row| {
            time += if row < 3000 { 300.0 } else { 15.0 };
            (time, 20.0 + noise(row))
        })
        .collect();
    assert!(news(Kind::Gauge, &quiet(6000, |_, value| value), &changed).len() <= 1);
}

#[test]
fn an_absurd_reading_does_not_blind_the_detector() {
    let flagged = raised(3000, |row, value| match row {
        1000 => 1e15,
        2000 => 45.0,
        _ => value,
    });
    assert!(flagged.contains(&1000) && flagged.contains(&2000) && flagged.len() <= 4, "{flagged:?}");
}

#[test]
fn noise_alone_raises_about_one_alarm_in_a_thousand_samples_at_most() {
    let rows = 50_000;
    let normal = |row: usize| (0..12).map(|part| noise(row * 12 + part)).sum::<f64>() - 6.0;
    let flagged = alarms(&run(Kind::Gauge, every_5_min((0..rows).map(normal))));
    assert!(flagged.len() <= rows / 1000, "{}", flagged.len());
}

#[test]
fn a_stored_detector_continues_where_it_was() {
    let rows = quiet(3000, |row, value| if row == 2500 { 40.0 } else { value * (1.0 + row as f64 / 3000.0) });
    let whole = run(Kind::Gauge, rows.clone());
    let mut before = Detector::default();
    rows[..1700].iter().for_each(|row| {
        before.push(row.0, row.1);
    });
    let mut after: Detector = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
    for (row, expected) in rows[1700..].iter().zip(&whole[1700..]) {
        let score = after.push(row.0, row.1);
        assert!((score.score - expected.score).abs() < 1e-6 && score.anomaly == expected.anomaly);
    }
}

#[test]
fn a_million_samples_need_no_more_state_than_a_hundred_thousand() {
    // all work per sample is over this state, so that time grows no faster than the series
    let rows = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let mut detector = Detector::default();
    let mut bytes = Vec::new();
    for row in 0..rows {
        detector.push(row as f64 * 30.0, noise(row) * (1.0 + row as f64 * 100.0 / rows as f64));
        if (row + 1) % (rows / 10) == 0 {
            bytes.push(serde_json::to_vec(&detector).unwrap().len());
        }
    }
    assert!(bytes.iter().all(|size| *size < 300_000), "{bytes:?}");
    assert!(bytes[9] as f64 <= 1.2 * bytes[2] as f64, "{bytes:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_series_at_all_is_scored_between_0_and_1(
        rows in prop::collection::vec((any::<f64>(), any::<f64>()), 0..400)
    ) {
        for score in run(Kind::Gauge, rows.clone()).into_iter().chain(run(Kind::Counter, rows)) {
            prop_assert!((0.0..=1.0).contains(&score.score) && (0.0..=1.0).contains(&score.intensity));
            prop_assert_eq!(score.anomaly, score.score >= ALARM);
        }
    }

    #[test]
    fn a_score_knows_only_its_row_and_those_before(
        values in prop::collection::vec(-1e3..1e3f64, 200..600), cut in 100usize..200
    ) {
        let whole = run(Kind::Gauge, every_5_min(values.clone()));
        let prefix = run(Kind::Gauge, every_5_min(values[..cut].iter().copied()));
        prop_assert_eq!(&whole[..cut], &prefix[..]);
    }

    #[test]
    fn unit_and_origin_do_not_matter(
        seed in 0usize..100_000, scale in prop::sample::select(vec![-1024.0, -1.0, 0.001, 3.0, 1e6]), shift in -100.0..100.0f64
    ) {
        let wild = |row: usize| noise(seed + row).powi(8) + if noise(row ^ seed) > 0.995 { 2.0 } else { 0.0 };
        let plain = run(Kind::Gauge, every_5_min((0..1500).map(wild)));
        let other = run(Kind::Gauge, every_5_min((0..1500).map(|row| scale * (wild(row) + shift))));
        prop_assert_eq!(alarms(&plain), alarms(&other));
    }
}
