//! Learning and predicting beside scikit-learn and PyTorch: the same data, sizes and machine, one thread each.
//!
//! `KANSOLE_PYTHON` names a Python that has numpy, scikit-learn and torch; without it only our own times are told.

use crate::report::Report;
use kansole::ml::forest::{self, Forest};
use kansole::ml::iforest::{self, IsolationForest};
use kansole::ml::net::{self, Net, Samples, Shape};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// The script that times the peers.
const SCRIPT: &str = include_str!("../peers/learning.py");
/// The least of so many times counts, ours and theirs.
const REPEATS: usize = 5;
/// Rows and columns; tables of the size of a fleet's history.
const ISOLATION: (usize, usize) = (10_000, 20);
const FOREST: (usize, usize) = (1000, 74);
const CODER: (usize, usize) = (2000, 20);
/// Windows, one for each workload, and the steps and values of a window.
const WINDOWS: (usize, usize, usize) = (1000, 60, 7);
const EPOCHS: (usize, usize) = (5, 1);

/// Made-up numbers that are the same each time: waves with noise, different in each column.
fn table(rows: usize, columns: usize) -> Vec<f64> {
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let value = |at: usize| {
        let (row, column) = ((at / columns) as f64, (at % columns) as f64);
        (row * 0.01 * (1.0 + column)).sin() * (1.0 + column) + noise()
    };
    (0..rows * columns).map(value).collect()
}

/// The least time in seconds of a few runs, and what the last gave.
fn least<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let mut timed = || {
        let began = Instant::now();
        let found = run();
        (began.elapsed().as_secs_f64(), found)
    };
    (1..REPEATS).fold(timed(), |(least, _), _| {
        let (time, found) = timed();
        (least.min(time), found)
    })
}

fn params(epochs: usize) -> net::Params {
    net::Params { epochs, ..net::Params::default() }
}

/// Trains a net on one thread, as long as is asked for.
fn fit(shape: &Shape, samples: Samples, epochs: usize) -> Net {
    let trained = net::train(shape, samples, &params(epochs), &AtomicBool::new(false), |_| {});
    trained.expect("made-up samples can be learned from").net
}

/// The data: name and values.
type Data = Vec<(&'static str, Vec<f64>)>;

/// Our times in seconds, by the names the script uses, and the data they are of.
fn ours() -> (Vec<(&'static str, f64)>, Data) {
    let isolation = table(ISOLATION.0, ISOLATION.1);
    let fitted = || IsolationForest::fit(&isolation, ISOLATION.1, iforest::Params::default());
    let (isolation_fit, model) = least(fitted);
    let (isolation_score, _) = least(|| model.as_ref().map(|model| model.score_many(&isolation)));

    let rows = table(FOREST.0, FOREST.1);
    let targets: Vec<f64> = rows.chunks_exact(FOREST.1).map(|row| row[0] * row[1] + row[2].abs() + row[73]).collect();
    let (forest_fit, model) = least(|| Forest::regression(&rows, FOREST.1, &targets, forest::Params::default()));
    let (forest_predict, _) = least(|| model.as_ref().map(|model| model.predict_many(&rows)));

    let coded = table(CODER.0, CODER.1);
    let shape = Shape::autoencoder(CODER.1);
    let (coder_fit, model) = least(|| fit(&shape, Samples::Rows(&coded), EPOCHS.0));
    let (coder_predict, _) = least(|| model.predict(&coded));

    let (count, steps, features) = WINDOWS;
    let windows = table(count, steps * features);
    let wanted: Vec<f64> = windows.chunks_exact(steps * features).flat_map(|w| [w[0], w[200], w[419]]).collect();
    let shape = Shape::regression(steps, features);
    let (lstm_fit, model) = least(|| fit(&shape, Samples::Numbers(&windows, &wanted), EPOCHS.1));
    let (lstm_predict, _) = least(|| model.predict(&windows));
    let (lstm_one, _) = least(|| model.predict(&windows[..steps * features]));
    let times = vec![
        ("isolation fit", isolation_fit),
        ("isolation score", isolation_score),
        ("forest fit", forest_fit),
        ("forest predict", forest_predict),
        ("coder fit", coder_fit),
        ("coder predict", coder_predict),
        ("lstm fit", lstm_fit),
        ("lstm predict", lstm_predict),
        ("lstm predict one", lstm_one),
    ];
    let data = vec![
        ("isolation", isolation),
        ("forest", rows),
        ("forest_targets", targets),
        ("coder", coded),
        ("windows", windows),
        ("window_targets", wanted),
    ];
    (times, data)
}

/// What the script has to know besides the data.
fn sizes() -> Value {
    let Shape::Autoencoder { hidden: coder, .. } = Shape::autoencoder(CODER.1) else {
        unreachable!("it is an autoencoder's shape");
    };
    let Shape::Lstm { steps, features, hidden, dense, outputs, .. } = Shape::regression(WINDOWS.1, WINDOWS.2) else {
        unreachable!("it is an LSTM's shape");
    };
    let net::Params { batch, dropout, validation, .. } = params(1);
    let judged = |rows: usize| (rows as f64 * validation).ceil() as usize;
    json!({
        "repeats": REPEATS,
        "isolation": { "columns": ISOLATION.1 },
        "forest": { "columns": FOREST.1, "tried": FOREST.1 / 3 },
        "coder": {
            "columns": CODER.1, "hidden": coder, "epochs": EPOCHS.0, "batch": batch, "validation": judged(CODER.0),
        },
        "lstm": {
            "steps": steps, "features": features, "hidden": hidden, "dense": dense, "outputs": outputs,
            "dropout": dropout, "epochs": EPOCHS.1, "batch": batch, "validation": judged(WINDOWS.0),
        },
    })
}

/// Runs the script on the same data; its answer, or why there is none.
fn peers(python: &str, data: &Data) -> Result<Value, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let write = |name: &str, bytes: &[u8]| -> Result<(), String> {
        let path: &Path = folder.path();
        std::fs::write(path.join(name), bytes).map_err(|error| error.to_string())
    };
    write("learning.py", SCRIPT.as_bytes())?;
    write("sizes.json", sizes().to_string().as_bytes())?;
    for (name, values) in data {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        write(&format!("{name}.f64"), &bytes)?;
    }
    let script = folder.path().join("learning.py");
    let said = Command::new(python).arg(script).arg(folder.path()).output().map_err(|error| error.to_string())?;
    if !said.status.success() {
        let words = String::from_utf8_lossy(&said.stderr);
        return Err(words.lines().last().unwrap_or("it said nothing").to_owned());
    }
    serde_json::from_slice(&said.stdout).map_err(|error| error.to_string())
}

/// Times of fits and predictions, and their ratios to the peers'.
pub fn figures(report: &mut Report) {
    let (times, data) = ours();
    let python = std::env::var("KANSOLE_PYTHON");
    let theirs = if let Ok(python) = &python {
        peers(python, &data).unwrap_or_else(|error| {
            report.told("scikit-learn and PyTorch", format!("{python} could not run them: {error}"));
            Value::Null
        })
    } else {
        report.told("scikit-learn and PyTorch", "not compared: KANSOLE_PYTHON names no Python that has them");
        Value::Null
    };
    if let Some(versions) = theirs["versions"].as_str() {
        report.told("peers, one thread each", versions);
    }
    // once more after them: on a shared machine the least of one short while may be another's doing
    let again = ours().0;
    for ((name, time), (_, again)) in times.into_iter().zip(again) {
        let time = time.min(again);
        if name == "lstm predict" {
            report.judged("LSTM for 1000 workloads", format!("{time:.3} s on one core"), "<= 1 s", time <= 1.0);
        }
        let Some(peer) = theirs["seconds"][name].as_f64() else {
            report.told(name, format!("{:.2} ms", time * 1e3));
            continue;
        };
        let most = if name == "lstm fit" { 2.0 } else { 1.0 };
        let measured = format!("{:.2} ms, theirs {:.2} ms: ratio {:.2}", time * 1e3, peer * 1e3, time / peer);
        report.judged(name, measured, &format!("<= {most} x"), time <= most * peer);
    }
}
