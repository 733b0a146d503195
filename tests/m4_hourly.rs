//! The forecast figures on series of the M4 competition: `KANSOLE_DATA` names the folder that holds `m4-hourly/train.csv`
//! and `m4-hourly/test.csv` (one series per line, `id,v1,v2,…`; 48 hours are predicted).

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use kansole::lab::forecast::{ForecastArgs, run};

const SEASON: usize = 24;
const HORIZON: usize = 48;

fn read(path: &Path) -> HashMap<String, Vec<f64>> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let row = |line: &str| {
        let mut cells = line.split(',');
        let id = cells.next().unwrap_or_default().to_owned();
        (id, cells.filter(|c| !c.is_empty()).map(|c| c.parse().expect("a number")).collect())
    };
    text.lines().map(row).collect()
}

/// Mean absolute error in units of the mean daily change of `past`, computed here on purpose, not by the library.
fn mase(past: &[f64], real: &[f64], said: &[f64]) -> f64 {
    let changes: f64 = past.windows(SEASON + 1).map(|w| (w[SEASON] - w[0]).abs()).sum();
    let errors: f64 = real.iter().zip(said).map(|(r, s)| (r - s).abs()).sum();
    (errors / real.len() as f64) / (changes / (past.len() - SEASON) as f64)
}

#[test]
#[cfg_attr(debug_assertions, ignore = "minutes of computing without optimisation: run with --release")]
fn m4_hourly_is_forecast_as_well_as_promised() {
    let Some(folder) = std::env::var_os("KANSOLE_DATA") else {
        eprintln!("skipped: KANSOLE_DATA is not set; it names the folder with m4-hourly/train.csv and test.csv");
        return;
    };
    let folder = Path::new(&folder).join("m4-hourly");
    let args = ForecastArgs {
        train: folder.join("train.csv"),
        horizon: HORIZON as u32,
        season: Some(SEASON as u32),
        test: Some(folder.join("test.csv")),
        threads: 0,
    };
    let mut out = Vec::new();
    run(&args, &mut out, &mut std::io::stderr(), &AtomicBool::new(false)).expect("the files are good");
    let (past, real) = (read(&args.train), read(&folder.join("test.csv")));

    let (mut ours, mut naive, mut inside, mut count) = (Vec::new(), Vec::new(), 0, 0);
    for line in String::from_utf8(out).expect("JSON is text").lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a JSON object per line");
        let list = |key: &str| -> Vec<f64> {
            line[key].as_array().expect(key).iter().map(|v| v.as_f64().expect(key)).collect()
        };
        let id = line["id"].as_str().expect("id");
        let (past, real) = (&past[id], &real[id]);
        ours.push(mase(past, real, &list("mean")));
        let day: Vec<f64> = (0..HORIZON).map(|h| past[past.len() - SEASON + h % SEASON]).collect();
        naive.push(mase(past, real, &day));
        let (low, high) = (list("lo95"), list("hi95"));
        inside += real.iter().enumerate().filter(|(h, v)| (low[*h]..=high[*h]).contains(v)).count();
        count += real.len();
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let covered = inside as f64 / count as f64;
    assert!(mean(&ours) < 0.84, "MASE {}", mean(&ours));
    assert!((0.93..=0.97).contains(&covered), "95 % intervals cover {covered}");
    for start in 0..ours.len() - 9 {
        let (a, b) = (mean(&ours[start..start + 10]), mean(&naive[start..start + 10]));
        assert!(a <= b, "ten series from the {start}th: {a} against {b} of the seasonal naive forecast");
    }
}
