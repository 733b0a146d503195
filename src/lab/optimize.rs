//! `kansole lab optimize`: the best configuration of a space, by formulas or by what was observed.

mod model;
mod observations;
mod spacefile;
mod surrogate;

use crate::ml::net::Net;
use crate::ml::optimize::bayes::Bayes;
use crate::ml::optimize::dqn::Dqn;
use crate::ml::optimize::genetic::Genetic;
use crate::ml::optimize::gradient::Gradient;
use crate::ml::optimize::portfolio::{self, Budget, Found, Told};
use crate::ml::optimize::{Phase, Progress, Stop, pareto};
use anyhow::{Context, bail};
use clap::Args;
use model::Model;
use serde_json::{Map, Value, json};
use spacefile::{Direction, Problem};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Configurations of the Pareto front that are printed.
const FRONT: usize = 50;

/// The format of both files, for `--help`.
pub const FORMAT: &str = r#"The space is a TOML file:

  constraints = ["cpu * replicas <= 16", 'if codec == "zstd" then memory >= 512', "cost <= 12"]

  [parameters.cpu]
  type = "continuous"      # or integer, categorical, boolean
  low = 0.1
  high = 4.0
  scale = "log"            # or linear, which is the default
  current = 1.0            # optional: what is in use; it is tried first and shown beside

  [parameters.codec]
  type = "categorical"
  choices = ["none", "gzip", "zstd"]

  [objectives.latency]     # latency, cost: less is better; throughput, availability: more
  direction = "minimise"   # or maximise; needed for other names
  formula = "20 + 100 / (cpu * replicas)"
  column = "p99_ms"        # of --data; default: the objective's name

Constraints hold in every configuration that is tried; those that name an objective hold in every one that is printed,
with --data for the whole 90 % interval of the prediction. Expressions know + - * / ^ < <= > >= == != and or not,
if … then … else …, min max abs sqrt exp log sin cos; `names with other characters` stand in backticks.

Observations are a CSV file whose header names the parameters and the objectives' columns; other columns are left out.
With them every objective is a Gaussian process fitted to at least ten different configurations. It is examined on
configurations it was not fitted to, refuses if it is no better than their mean, and nothing is tried where it knows little."#;

/// Flags of `lab optimize`.
#[derive(Debug, Args)]
#[command(after_long_help = FORMAT)]
pub struct OptimizeArgs {
    /// What can be chosen, what must hold, what is wanted: a TOML file; `--help` shows its format.
    #[arg(long, value_name = "FILE")]
    pub space: PathBuf,
    /// An objective of the space, or `balance` for all of them. With more than one the Pareto front is printed too.
    #[arg(long, value_name = "NAME")]
    pub objective: String,
    /// Most time for all phases together.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub budget: Duration,
    /// What was observed, as CSV: a model of it takes the place of the formulas.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Most evaluations of each phase; the same seed repeats a run that the budget did not cut short.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = evaluations)]
    pub evaluations: usize,
    /// Seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Where what deep Q-learning learned is read from, if it is there, and kept for the next run on the same parameters.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.001..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "write seconds between 0.001 and 86400".to_owned())
}

fn evaluations(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=100_000).contains(count));
    count.ok_or_else(|| "write a whole number between 1 and 100000".to_owned())
}

/// Runs the command: the result to `out`, progress to `err`. When `cancel` is set it ends at the next evaluation and prints
/// what was found until then.
pub fn run(args: &OptimizeArgs, out: &mut impl Write, err: &mut impl Write, cancel: &AtomicBool) -> anyhow::Result<()> {
    let began = Instant::now();
    let problem = Problem::read(&args.space)?;
    let wanted = problem.wanted(&args.objective)?;
    let told = args.data.as_deref().map(|path| observations::read(path, &problem)).transpose()?;
    let mut model = match args.data.as_ref().zip(told.as_ref()) {
        Some((path, told)) => {
            let (rows, different) = (told.rows.len(), told.different());
            writeln!(err, "{}: {rows} rows, {different} different configurations", path.display())?;
            Model::learned(&problem, told, &wanted, cancel).with_context(|| path.display().to_string())?
        }
        None => Model::formulas(&problem, &wanted)?,
    };
    model.look_around(args.seed)?;
    let mut dqn = Dqn::default();
    let shape = dqn.shape(problem.space.dimensions().len());
    dqn.policy = args.policy.as_deref().filter(|path| path.exists()).map(|path| policy(path, &shape)).transpose()?;
    let found = {
        let mut phases: Vec<Box<dyn Phase + '_>> = vec![
            Box::new(Gradient::default()),
            Box::new(Genetic::default()),
            Box::new(Bayes::default()),
            Box::new(&mut dqn),
        ];
        let starts = model.starts();
        let budget = Budget {
            evaluations: args.evaluations,
            time: args.budget.saturating_sub(began.elapsed()),
            cancel,
            seed: args.seed,
        };
        let mut teller = Teller { err, last: Instant::now(), phase: "", sign: model.sign() };
        portfolio::run(&problem.space, &mut model, &mut phases, &starts, budget, &mut |name, progress| {
            teller.hear(name, progress);
        })
        .map_err(|hopeless| anyhow::anyhow!("{}: {hopeless}", args.space.display()))?
    };
    if let (Some(path), Some(net)) = (&args.policy, &dqn.policy) {
        keep(path, net)?;
    }
    let Some((phase, best)) = found.best() else {
        bail!("{}: {}", args.space.display(), model.why_nothing());
    };
    let result = json!({
        "objective": args.objective,
        "direction": wanted.direction().map(Direction::name),
        "source": if args.data.is_some() { "observations" } else { "formulas" },
        "seed": args.seed,
        "models": model.cards(),
        "phases": found.phases.iter().map(|told| line(told, &model)).collect::<Vec<_>>(),
        "cancelled": found.phases.iter().any(|told| told.ended == Stop::Cancelled),
        "foundBy": phase,
        "configuration": model.configuration(&best.point),
        "predicted": model.predicted(&best.point),
        "current": model.current().map(|point| json!({
            "configuration": model.configuration(point),
            "predicted": model.predicted(point),
            "breaks": problem.space.broken(point),
        })),
        "observed": model.best_observed(),
        "pareto": front(&found, &model),
        "notes": model.notes(),
    });
    writeln!(out, "{result}")?;
    out.flush()?;
    Ok(())
}

fn policy(path: &Path, shape: &crate::ml::net::Shape) -> anyhow::Result<Net> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Net::from_bytes(&bytes, shape).map_err(|bad| {
        anyhow::anyhow!(
            "{}: {bad}; it was learned for other parameters or is damaged: name another file",
            path.display()
        )
    })
}

/// Written beside and then renamed, so that there is never half a policy.
fn keep(path: &Path, net: &Net) -> anyhow::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    std::fs::write(&beside, net.to_bytes())
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("{}: the policy can't be kept", path.display()))
}

/// Tells of progress, at most once a second and at the beginning of each phase.
struct Teller<'a, W> {
    err: &'a mut W,
    last: Instant,
    phase: &'static str,
    sign: f64,
}

impl<W: Write> Teller<'_, W> {
    fn hear(&mut self, name: &'static str, progress: Progress) {
        if name == self.phase && self.last.elapsed() < Duration::from_secs(1) {
            return;
        }
        (self.phase, self.last) = (name, Instant::now());
        let best =
            if progress.best.is_finite() { format!("{:.6}", self.sign * progress.best) } else { "none".to_owned() };
        // who closed stderr does not want to know
        let _ = writeln!(self.err, "{name}: {} evaluations, best {best}", progress.evaluations);
    }
}

/// A phase as it is printed.
fn line(told: &Told, model: &Model) -> Value {
    let score = |score: Option<f64>| score.map(|score| model.sign() * score);
    let best = told.best.map(|at| &told.history[at]);
    let ended = match told.ended {
        Stop::Cancelled => "cancelled",
        Stop::Time => "time",
        Stop::Evaluations => "evaluations",
        Stop::Exhausted => "nothing left to try",
        Stop::Done => "its steps",
    };
    let mut line = json!({
        "phase": told.name,
        "best": score(told.score()),
        "evaluations": told.history.len(),
        "configuration": best.map(|state| model.configuration(&state.point)),
        "converged": told.converged,
        "ended": ended,
        "seconds": (told.took.as_secs_f64() * 1e3).round() / 1e3,
    });
    if told.name == "polish" {
        line["before"] = json!(score(told.to_beat));
        line["adds"] = json!(told.adds);
    } else if told.name != "random" {
        line["randomAfterAsMany"] = json!(score(told.to_beat));
        line["betterThanRandom"] = json!(told.adds);
    }
    line
}

/// What can't be bettered in one objective without another, of everything that was tried; sorted by the first objective
/// and thinned evenly if there is much. Nothing with one objective.
fn front(found: &Found, model: &Model) -> Option<Vec<Value>> {
    if model.objectives() < 2 {
        return None;
    }
    let states = || found.phases.iter().flat_map(|told| &told.history).filter(|state| state.outcome.score.is_finite());
    let rows: Vec<Vec<f64>> = states().map(|state| model.signed(&state.outcome.metrics)).collect();
    let states: Vec<_> = states().collect();
    let mut best = pareto::front(&rows);
    best.sort_by(|a, b| rows[*a][0].total_cmp(&rows[*b][0]));
    let (all, shown) = (best.len(), best.len().min(FRONT));
    let thinned = (0..shown).map(|at| best[if shown > 1 { at * (all - 1) / (shown - 1) } else { 0 }]);
    let told = |at: usize| {
        let point = &states[at].point;
        json!({"configuration": model.configuration(point), "predicted": model.predicted(point)})
    };
    Some(thinned.map(told).collect())
}

/// A number, or null where there is none.
fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}

/// An object of named values.
fn object(pairs: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(pairs.collect::<Map<_, _>>())
}
