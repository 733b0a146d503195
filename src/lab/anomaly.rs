//! `kansole lab anomaly`: scores a table row by row, or the detector on a copy of the Numenta Anomaly Benchmark.

use super::readings::{self, Row};
use crate::ml::anomaly::{Detector, Kind};
use crate::ml::nab::{self, Labelled, PROFILES};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What to do.
#[derive(Debug, Clone)]
pub enum Task {
    /// Score the rows of a `timestamp,value` table.
    Data {
        /// The table.
        path: PathBuf,
        /// Whether its values are a counter's.
        kind: Kind,
    },
    /// Score the detector on a benchmark's directory: `windows.json` and the files it names.
    ScoreNab(PathBuf),
}

/// Runs the task: results to `out`, progress to `progress`.
pub fn run(task: &Task, out: &mut impl Write, progress: &mut impl Write) -> Result<()> {
    match task {
        Task::Data { path, kind } => {
            let rows = readings::read(path)?;
            let started = Instant::now();
            let scored = score(&rows, *kind);
            for row in &scored {
                serde_json::to_writer(&mut *out, row)?;
                out.write_all(b"\n")?;
            }
            let flagged = scored.iter().filter(|row| row.anomaly).count();
            writeln!(progress, "{} rows, {flagged} anomalies, {:.2} s", rows.len(), started.elapsed().as_secs_f64())?;
        }
        Task::ScoreNab(directory) => score_nab(directory, out, progress)?,
    }
    out.flush()?;
    Ok(())
}

/// A row of the answer.
#[derive(Debug, Clone, Serialize)]
struct Scored<'a> {
    timestamp: Value,
    value: Option<f64>,
    score: f64,
    anomaly: bool,
    detector: &'a str,
}

/// Scores rows in the order given. Only the flag knows the table's length: nothing is flagged in probation.
fn score(rows: &[Row], kind: Kind) -> Vec<Scored<'static>> {
    let probation = nab::probation_rows(rows.len());
    let mut detector = Detector::new(kind);
    rows.iter()
        .enumerate()
        .map(|(at, row)| {
            let score = detector.push(row.seconds, row.value);
            let detector = match score.evidence {
                _ if !row.value.is_finite() => "missing",
                Some(evidence) if score.score > 0.0 => evidence.stream.name(),
                _ => "none",
            };
            let timestamp = row.stamp.parse().map_or_else(|_| Value::from(row.stamp.as_str()), Value::Number);
            let value = row.value.is_finite().then_some(row.value);
            Scored { timestamp, value, score: score.score, anomaly: score.anomaly && at >= probation, detector }
        })
        .collect()
}

fn score_nab(directory: &Path, out: &mut impl Write, progress: &mut impl Write) -> Result<()> {
    let labels = directory.join("windows.json");
    let text = std::fs::read_to_string(&labels).with_context(|| format!("cannot read {}", labels.display()))?;
    let labels: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&text).with_context(|| format!("{} holds no windows", labels.display()))?;
    if labels.is_empty() {
        bail!("{} names no files", directory.join("windows.json").display());
    }
    let started = Instant::now();
    let (mut swept, mut flagged, mut count) = (Vec::new(), Vec::new(), 0);
    for (name, windows) in &labels {
        let rows = readings::read(&directory.join(name))?;
        count += rows.len();
        let windows = windows.iter().filter_map(|window| range(&rows, window)).collect::<Vec<_>>();
        let scored = score(&rows, Kind::Gauge);
        swept.push(Labelled { scores: scored.iter().map(|row| row.score).collect(), windows: windows.clone() });
        flagged.push(Labelled { scores: scored.iter().map(|row| f64::from(u8::from(row.anomaly))).collect(), windows });
    }
    writeln!(progress, "{count} rows in {} files, {:.2} s", labels.len(), started.elapsed().as_secs_f64())?;
    writeln!(out, "{:<20} {:>13} {:>9} {:>9}", "profile", "one threshold", "threshold", "own flags")?;
    for profile in &PROFILES {
        let best = nab::best_threshold(&swept, profile);
        let own = nab::with_threshold(&flagged, profile, 1.0);
        let (name, score, at, own) = (profile.name, best.normalised, best.threshold, own.normalised);
        writeln!(out, "{name:<20} {score:>13.2} {at:>9.4} {own:>9.2}")?;
    }
    Ok(())
}

/// The rows of a labelled window, both ends included; `None` when it holds none.
fn range(rows: &[Row], (start, end): &(String, String)) -> Option<(usize, usize)> {
    let (start, end) = (readings::seconds(start)?, readings::seconds(end)?);
    let first = rows.iter().position(|row| row.seconds >= start)?;
    let last = rows.iter().rposition(|row| row.seconds <= end)?;
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(directory: &Path, name: &str, spikes: &[usize]) -> PathBuf {
        let row = |row: usize| {
            let value = if spikes.contains(&row) { 90.0 } else { 20.0 + (row * 7919 % 101) as f64 / 101.0 };
            let time = chrono::DateTime::from_timestamp(1_396_310_400 + row as i64 * 300, 0).unwrap();
            format!("{},{value}\n", time.format("%Y-%m-%d %H:%M:%S"))
        };
        let text: Vec<String> = (0..1000).map(row).collect();
        let path = directory.join(name);
        std::fs::write(&path, format!("timestamp,value\n{}", text.concat())).unwrap();
        path
    }

    fn output(task: &Task) -> String {
        let mut out = Vec::new();
        run(task, &mut out, &mut std::io::sink()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_row_is_answered_with_the_contracts_keys_and_probation_flags_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = table(directory.path(), "spike.csv", &[120, 700]);
        let out = output(&Task::Data { path, kind: Kind::Gauge });
        let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 1000);
        for (at, row) in rows.iter().enumerate() {
            let keys: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["timestamp", "value", "score", "anomaly", "detector"]);
            assert_eq!(row["anomaly"], at == 700, "{at}: {row}");
        }
        assert_eq!(rows[0]["timestamp"], "2014-04-01 00:00:00");
        assert!(rows[120]["score"].as_f64().unwrap() > 0.5, "scored in probation, but not flagged");
        assert_eq!(rows[120]["detector"], "value");
    }

    #[test]
    fn a_missing_value_is_null_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hole.csv");
        std::fs::write(&path, "timestamp,value\n1396310400,1.5\n1396310700,\n1396311000,inf\n").unwrap();
        let out = output(&Task::Data { path, kind: Kind::Gauge });
        let expected = concat!(
            r#"{"timestamp":1396310400,"value":1.5,"score":0.0,"anomaly":false,"detector":"none"}"#,
            "\n",
            r#"{"timestamp":1396310700,"value":null,"score":0.0,"anomaly":false,"detector":"missing"}"#,
            "\n",
            r#"{"timestamp":1396311000,"value":null,"score":0.0,"anomaly":false,"detector":"missing"}"#,
            "\n",
        );
        assert_eq!(out, expected);
    }

    #[test]
    fn a_benchmark_directory_is_scored_by_profile() {
        let directory = tempfile::tempdir().unwrap();
        table(directory.path(), "spike.csv", &[700]);
        let windows = r#"{"spike.csv":[["2014-04-03 10:20:00.000000","2014-04-03 18:35:00.000000"]]}"#;
        std::fs::write(directory.path().join("windows.json"), windows).unwrap();
        let out = output(&Task::ScoreNab(directory.path().to_owned()));
        let standard: Vec<&str> = out.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(standard[0], "standard");
        assert_eq!(standard[1], "100.00", "row 700 is the window's first: {out}");
        assert_eq!(standard[3], "100.00");
    }

    #[test]
    fn a_missing_benchmark_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let task = Task::ScoreNab(directory.path().to_owned());
        let error = run(&task, &mut Vec::new(), &mut std::io::sink()).unwrap_err();
        assert!(format!("{error:#}").contains("windows.json"));
    }
}
