//! `kansole lab forecast`: predicts the series of a file, one JSON object per line, and scores itself if the truth is given.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::table::{self, Row};
use crate::ml::forecast::{Band, Config, Forecast, Refusal, Series, forecast_all, metrics, naive};

/// Flags of `lab forecast`.
#[derive(Debug, Args)]
pub struct ForecastArgs {
    /// One series per line: id,v1,v2,… at equal steps. Empty, NA and NaN are gaps.
    #[arg(long, value_name = "FILE")]
    pub train: PathBuf,
    /// Steps to predict.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub horizon: u32,
    /// Steps per season, 1 for none; detected when left out. A week is looked for on top of a day.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..))]
    pub season: Option<u32>,
    /// What really came, in the same layout: prints MASE, sMAPE, pinball loss and coverage on stderr.
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// Threads to use; all cores when left out.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub threads: usize,
}

/// A line of the result.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    mean: &'a [f64],
    /// Without any change in the history no interval is known: null.
    lo80: Option<&'a [f64]>,
    hi80: Option<&'a [f64]>,
    lo95: Option<&'a [f64]>,
    hi95: Option<&'a [f64]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backtest: Option<serde_json::Value>,
}

/// Runs the command: results to `out`, progress and scores to `err`, until done or `cancel` is set.
pub fn run(
    args: &ForecastArgs,
    out: &mut dyn Write,
    err: &mut (dyn Write + Send),
    cancel: &AtomicBool,
) -> anyhow::Result<()> {
    let rows = table::read(&args.train)?;
    let truth = args.test.as_deref().map(table::read).transpose()?;
    let config = Config {
        seasons: args.season.map(|s| s as usize).into_iter().collect(),
        threads: args.threads,
        ..Config::new(args.horizon as usize)
    };
    let err = std::sync::Mutex::new(err);
    let told = |done: usize, total: usize| {
        let tenth = |n: usize| n * 20 / total;
        if tenth(done) != tenth(done - 1)
            && let Ok(mut err) = err.lock()
        {
            // Progress is a courtesy: a closed stderr doesn't stop the work.
            let _ = writeln!(err, "forecast: {done} of {total} series");
        }
    };
    let answers = answer(&rows, &config, cancel, &told);
    if cancel.load(Ordering::Relaxed) {
        bail!("cancelled");
    }
    for (row, answer) in rows.iter().zip(&answers) {
        write_line(out, &row.id, answer).context("writing the results")?;
    }
    out.flush().context("writing the results")?;
    if let (Some(truth), Some(test)) = (truth, &args.test) {
        let err = err.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        score(&rows, &answers, &truth, test, &config, err)?;
    }
    Ok(())
}

/// What is said about one series.
enum Answer {
    Full(Forecast, Option<String>),
    /// Too short for a back-test: the last value, and intervals (80 %, 95 %) if anything ever changed.
    Short {
        mean: Vec<f64>,
        bands: Option<[Band; 2]>,
        note: String,
    },
    /// Nothing to go by.
    None(String),
}

fn answer(rows: &[Row], config: &Config, cancel: &AtomicBool, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<Answer> {
    let parsed: Vec<_> = rows.iter().map(|r| Series::from_values(&r.values)).collect();
    let good: Vec<Series> = parsed.iter().filter_map(|s| s.as_ref().ok().cloned()).collect();
    let mut results = forecast_all(&good, config, cancel, progress).into_iter();
    let one = |series| match series {
        Err(bad) => Answer::None(format!("{bad}")),
        Ok(series) => match results.next() {
            Some(Ok(forecast)) => {
                let note = note(&series, &forecast);
                Answer::Full(forecast, note)
            }
            Some(Err(refusal @ Refusal::TooShort { .. })) => short(&series, config.horizon, &refusal),
            Some(Err(refusal)) => Answer::None(refusal.to_string()),
            None => Answer::None("no result".to_owned()),
        },
    };
    parsed.into_iter().map(one).collect()
}

fn note(series: &Series, forecast: &Forecast) -> Option<String> {
    let mut notes = Vec::new();
    if series.filled() > 0 {
        notes.push(format!("{} missing values filled in", series.filled()));
    }
    if series.stale > 0 {
        notes.push(format!("{} missing values at the end: predicted over", series.stale));
    }
    match forecast.backtest {
        None => notes.push("never changed: an interval of no width is all that history tells".to_owned()),
        Some(test) if test.skill() <= 0.0 => {
            notes.push("no skill: not better than the naive forecast in the back-test".to_owned());
        }
        Some(_) => {}
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// The last value, with intervals of a random walk whose steps are those of the history.
fn short(series: &Series, horizon: usize, why: &Refusal) -> Answer {
    let mean = naive::last(&series.values, horizon).unwrap_or_default();
    let changes: Vec<f64> = series.values.windows(2).map(|w| w[1] - w[0]).collect();
    let spread = (changes.iter().map(|c| c * c).sum::<f64>() / changes.len() as f64).sqrt();
    let band = |normal: f64| {
        let half = |h: usize| normal * spread * ((h + 1 + series.stale) as f64).sqrt();
        let ends = |sign: f64| mean.iter().enumerate().map(|(h, m)| m + sign * half(h)).collect();
        Band { low: ends(-1.0), high: ends(1.0) }
    };
    // Quantiles of the normal distribution at 90 % and 97.5 %.
    let bands = (spread > 0.0).then(|| [band(1.281_552), band(1.959_964)]);
    let known = if bands.is_some() { "intervals are those of a random walk" } else { "no interval is known" };
    Answer::Short { mean, bands, note: format!("{why}; the last value is repeated, {known}") }
}

fn write_line(out: &mut dyn Write, id: &str, answer: &Answer) -> io::Result<()> {
    let line = match answer {
        Answer::Full(f, note) => Line {
            id,
            model: &f.model,
            note: note.clone(),
            mean: &f.mean,
            lo80: Some(&f.band80.low),
            hi80: Some(&f.band80.high),
            lo95: Some(&f.band95.low),
            hi95: Some(&f.band95.high),
            backtest: f.backtest.map(|t| {
                json!({"mase": t.mase, "baseline": t.baseline, "skill": t.skill(), "folds": t.folds, "coverage80": t.coverage80, "coverage95": t.coverage95, "seasons": f.seasons})
            }),
        },
        Answer::Short { mean, bands, note } => {
            let [narrow, wide] = bands.as_ref().map_or([None, None], |[a, b]| [Some(a), Some(b)]);
            Line {
                id,
                model: "naive",
                note: Some(note.clone()),
                mean,
                lo80: narrow.map(|b| b.low.as_slice()),
                hi80: narrow.map(|b| b.high.as_slice()),
                lo95: wide.map(|b| b.low.as_slice()),
                hi95: wide.map(|b| b.high.as_slice()),
                backtest: None,
            }
        }
        Answer::None(why) => {
            Line { id, model: "none", note: Some(why.clone()), mean: &[], lo80: None, hi80: None, lo95: None, hi95: None, backtest: None }
        }
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// Prints the mean scores over the series that `truth` knows.
fn score(
    rows: &[Row],
    answers: &[Answer],
    truth: &[Row],
    file: &Path,
    config: &Config,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut sums = [0.0; 8];
    let (mut count, mut scaled) = (0.0, 0.0);
    for (row, answer) in rows.iter().zip(answers) {
        let (Some(real), Answer::Full(f, _)) = (truth.iter().find(|t| t.id == row.id), answer) else { continue };
        if real.values.len() != f.mean.len() {
            bail!(
                "{}: line {}: {} has {} values, the horizon is {}",
                file.display(),
                real.line,
                real.id,
                real.values.len(),
                f.mean.len()
            );
        }
        let y = &real.values;
        let season = config.seasons.first().or(f.seasons.first()).copied().unwrap_or(1);
        let base = naive::seasonal(&row.values, season, y.len()).unwrap_or_default();
        if let (Some(ours), Some(theirs)) =
            (metrics::mase(&row.values, season, y, &f.mean), metrics::mase(&row.values, season, y, &base))
        {
            scaled += 1.0;
            sums[0] += ours;
            sums[1] += theirs;
        }
        count += 1.0;
        let scale = metrics::seasonal_scale(&row.values, season).unwrap_or(1.0);
        let loss = |q: &[f64], level| metrics::pinball(y, q, level) / scale;
        sums[2] += metrics::smape(y, &f.mean);
        sums[3] += metrics::smape(y, &base);
        sums[4] += metrics::coverage(y, &f.band80.low, &f.band80.high);
        sums[5] += metrics::coverage(y, &f.band95.low, &f.band95.high);
        sums[6] += f64::midpoint(loss(&f.band80.low, 0.1), loss(&f.band80.high, 0.9));
        sums[7] += f64::midpoint(loss(&f.band95.low, 0.025), loss(&f.band95.high, 0.975));
    }
    writeln!(
        err,
        "{count} series: MASE {:.3} (seasonal naive {:.3}), sMAPE {:.2} % ({:.2} %), coverage of 80 %: {:.1} %, of 95 %: {:.1} %, scaled pinball loss {:.4} and {:.4}",
        sums[0] / scaled,
        sums[1] / scaled,
        sums[2] / count,
        sums[3] / count,
        100.0 * sums[4] / count,
        100.0 * sums[5] / count,
        sums[6] / count,
        sums[7] / count
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the command on `train`; the lines of stdout as JSON, and stderr.
    fn lines(
        train: &str,
        horizon: u32,
        season: Option<u32>,
        test: Option<&str>,
    ) -> anyhow::Result<(Vec<serde_json::Value>, String)> {
        let folder = tempfile::tempdir()?;
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).map(|()| path)
        };
        let test = test.map(|text| file("test.csv", text)).transpose()?;
        let args = ForecastArgs { train: file("train.csv", train)?, horizon, season, test, threads: 1 };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        run(&args, &mut out, &mut err, &AtomicBool::new(false))?;
        let parsed = String::from_utf8(out)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok((parsed, String::from_utf8(err)?))
    }

    fn wave(count: u32) -> String {
        let value = |t: u32| {
            format!(
                "{:.3}",
                10.0 + (f64::from(t) * std::f64::consts::TAU / 12.0).sin() + f64::from(t * 7919 % 11) / 50.0
            )
        };
        (0..count).map(value).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn each_series_is_a_line_with_mean_and_nested_bands() {
        let (out, err) = lines(&format!("a,{}\nb,{}\n", wave(120), wave(90)), 6, Some(12), None).unwrap();
        assert_eq!((out[0]["id"].as_str(), out[1]["id"].as_str(), out.len()), (Some("a"), Some("b"), 2));
        assert!(err.contains("forecast: 2 of 2 series"), "{err}");
        for line in &out {
            for h in 0..6 {
                let at = |key: &str| line[key][h].as_f64().unwrap();
                let order = [at("lo95"), at("lo80"), at("mean"), at("hi80"), at("hi95")];
                assert!(order.is_sorted(), "{order:?}");
            }
            assert_eq!(line["mean"].as_array().unwrap().len(), 6);
            assert!(line["backtest"]["skill"].is_f64());
        }
    }

    #[test]
    fn a_short_series_is_naive_and_says_so() {
        let (out, _) = lines("a,1,2,4\nb,5\nc,NA,NA\nd\n", 2, Some(24), None).unwrap();
        assert_eq!((out[0]["model"].as_str(), &out[0]["mean"]), (Some("naive"), &json!([4.0, 4.0])));
        assert!(out[0]["note"].as_str().unwrap().contains("needs"));
        assert!(out[0]["lo95"][1].as_f64() < out[0]["lo80"][1].as_f64());
        assert!(out[0]["lo80"][1].as_f64() < out[0]["lo80"][0].as_f64());
        assert_eq!((&out[1]["mean"], &out[1]["lo80"]), (&json!([5.0, 5.0]), &json!(null)));
        for line in &out[2..] {
            assert_eq!((line["model"].as_str(), line["note"].as_str()), (Some("none"), Some("no finite value")));
        }
    }

    #[test]
    fn gaps_and_constants_are_told() {
        // The first of the three leads and is cut off.
        let gaps = wave(120).replacen("10.", "NaN,10.", 3);
        let (out, _) = lines(&format!("a,{gaps},,NA\nb{}\n", ",7".repeat(60)), 3, Some(12), None).unwrap();
        let note = out[0]["note"].as_str().unwrap();
        assert!(note.contains("2 missing values filled in") && note.contains("2 missing values at the end"), "{note}");
        assert_eq!((out[1]["model"].as_str(), &out[1]["hi95"]), (Some("constant"), &json!([7.0, 7.0, 7.0])));
    }

    #[test]
    fn the_truth_is_scored() {
        let (_, err) = lines(&format!("a,{}", wave(120)), 3, Some(12), Some("a,10,10.5,10.9")).unwrap();
        assert!(err.contains("1 series: MASE ") && err.contains("coverage of 80 %"), "{err}");
        let wrong = lines(&format!("a,{}", wave(120)), 3, Some(12), Some("x,1\na,10,10.5")).unwrap_err().to_string();
        assert!(wrong.ends_with("test.csv: line 2: a has 2 values, the horizon is 3"), "{wrong}");
    }

    #[test]
    fn bad_files_and_a_stop_are_errors() {
        assert!(
            lines("a,1,x", 3, None, None).unwrap_err().to_string().contains("line 1, column 3: \"x\" is no number")
        );
        let gone = ForecastArgs { train: "/nowhere/at/all".into(), horizon: 1, season: None, test: None, threads: 1 };
        let stop = AtomicBool::new(true);
        assert!(
            run(&gone, &mut Vec::new(), &mut Vec::new(), &stop).unwrap_err().to_string().contains("/nowhere/at/all")
        );
    }
}
