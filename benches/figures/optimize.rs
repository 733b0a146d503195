//! Optimisers beside SciPy, DEAP, Optuna, scikit-optimize and PyTorch: the same functions, evaluations and machine, 20 seeds.
//!
//! `KANSOLE_PYTHON` names a Python that has scipy, deap, optuna, torch and, if it is to be compared, scikit-optimize;
//! without it only our own values and times are told.

use crate::report::Report;
use kansole::ml::optimize::bayes::Bayes;
use kansole::ml::optimize::dqn::Dqn;
use kansole::ml::optimize::functions::{self, Function};
use kansole::ml::optimize::genetic::Genetic;
use kansole::ml::optimize::gradient::Gradient;
use kansole::ml::optimize::{Limits, Phase, Progress, RandomSearch, Search};
use serde_json::Value;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// The script that runs the peers.
const SCRIPT: &str = include_str!("../peers/optimize.py");
const SEEDS: u64 = 20;
/// Two values this near are alike.
const ALIKE: f64 = 1e-6;
/// Most of the peer's time that may be taken.
const SHARE: f64 = 0.1;

/// A name the script uses, evaluations, functions (all if none is named), and how a phase is made.
type Contest = (&'static str, &'static str, usize, &'static [&'static str], fn() -> Box<dyn Phase>);

const CONTESTS: [Contest; 5] = [
    ("gradient", "SciPy L-BFGS-B", 200, &["rosenbrock 4", "rastrigin 4", "ackley 4", "branin", "hartmann 6"], || {
        Box::new(Gradient::default())
    }),
    ("genetic", "DEAP", 804, &[], || Box::new(Genetic::default())),
    ("bayesian", "Optuna TPE", 60, &[], || Box::new(Bayes::default())),
    ("gaussian", "scikit-optimize GP", 30, &["branin"], || Box::new(Bayes::default())),
    ("dqn", "PyTorch DQN", 800, &["branin", "hartmann 6"], || Box::new(Dqn::default())),
];

/// The best values of all seeds, and the seconds of a run.
fn ours(function: &Function, most: usize, make: fn() -> Box<dyn Phase>) -> (Vec<f64>, f64) {
    let began = Instant::now();
    let values = (0..SEEDS).map(|seed| {
        let (cancel, mut value) = (AtomicBool::new(false), |x: &[f64]| (function.value)(x));
        let limits = Limits { evaluations: most, deadline: None, cancel: &cancel };
        let mut report = |_: Progress| {};
        let mut search = Search::new(&function.space, &mut value, limits, &mut report);
        make().run(&mut search, seed);
        search.best().map_or(f64::INFINITY, |best| best.outcome.score)
    });
    (values.collect(), began.elapsed().as_secs_f64() / SEEDS as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

/// What the script says, or why it says nothing.
fn peers(python: &str) -> Result<Value, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let script = folder.path().join("optimize.py");
    std::fs::write(&script, SCRIPT).map_err(|error| error.to_string())?;
    let said = Command::new(python).arg(script).arg(SEEDS.to_string()).output().map_err(|error| error.to_string())?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).lines().last().unwrap_or("it said nothing").to_owned());
    }
    serde_json::from_slice(&said.stdout).map_err(|error| error.to_string())
}

/// Values and times of every contest, as how far above the least value the median seed ends.
pub fn figures(report: &mut Report) {
    let all = functions::all();
    let python = std::env::var("KANSOLE_PYTHON");
    let theirs = if let Ok(python) = &python {
        peers(python).unwrap_or_else(|error| {
            report.told("optimisation peers", format!("{python} could not run them: {error}"));
            Value::Null
        })
    } else {
        report.told("optimisation peers", "not compared: KANSOLE_PYTHON names no Python that has them");
        Value::Null
    };
    if let Some(versions) = theirs["versions"].as_str() {
        report.told("peers, one thread each", versions);
    }
    for (name, peer, most, chosen, make) in CONTESTS {
        let (mut time, mut their_time) = (0.0, 0.0);
        for function in all.iter().filter(|f| chosen.is_empty() || chosen.contains(&f.name)) {
            let (values, seconds) = ours(function, most, make);
            let (random, _) = ours(function, most, || Box::new(RandomSearch));
            let off = median(values) - function.least;
            let plain = median(random) - function.least;
            let figure = format!("{name}, {}", function.name);
            let told = &theirs["peers"][name][function.name];
            let Some(values) = told["values"].as_array() else {
                report.told(&figure, format!("{off:.2e} off, random {plain:.2e}, {:.2} ms", seconds * 1e3));
                continue;
            };
            let their = median(values.iter().filter_map(Value::as_f64).collect()) - function.least;
            (time, their_time) = (time + seconds, their_time + told["seconds"].as_f64().unwrap_or(f64::NAN));
            let measured = format!("{off:.2e} off after {most}, {peer} {their:.2e}, random {plain:.2e}");
            report.judged(&figure, measured, "<= theirs", off <= their + ALIKE);
        }
        if their_time > 0.0 {
            let measured = format!("{:.2} ms, {peer} {:.2} ms: {:.3}", time * 1e3, their_time * 1e3, time / their_time);
            report.judged(&format!("{name}, time"), measured, &format!("<= {SHARE} x"), time <= SHARE * their_time);
        }
    }
}
