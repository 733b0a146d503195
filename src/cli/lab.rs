//! `kansole lab`: the engines on files.

use super::args::{AnomalyArgs, LabCmd};
use super::{Done, Failure, runtime};
use crate::lab::anomaly::Task;
use crate::lab::forecast::ForecastArgs;
use crate::lab::optimize::OptimizeArgs;
use crate::lab::{anomaly, forecast, optimize, rightsize, rootcause, traces};
use crate::ml::anomaly::Kind;
use std::io::{BufWriter, ErrorKind, stderr, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn run(cmd: &LabCmd) -> Done {
    let done = match cmd {
        LabCmd::Forecast(args) => predict(args)?,
        LabCmd::Anomaly(args) => score(args),
        LabCmd::Rootcause(args) => rootcause::run(args, &mut BufWriter::new(stdout().lock())),
        LabCmd::Optimize(args) => search(args)?,
        LabCmd::Rightsize(args) => rightsize::run(args, &mut BufWriter::new(stdout().lock()), &mut stderr().lock()),
        LabCmd::Traces(args) => traces::run(&args.file, &mut BufWriter::new(stdout().lock()), &mut stderr().lock()),
    };
    match done {
        // A reader that closed the pipe early is not an error.
        Err(e) if e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) => Ok(()),
        done => Ok(done?),
    }
}

/// Set by Ctrl-C, as long as the runtime is there.
fn interrupted() -> Result<(tokio::runtime::Runtime, Arc<AtomicBool>), Failure> {
    let cancel = Arc::new(AtomicBool::new(false));
    let (runtime, told) = (runtime()?, cancel.clone());
    runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.store(true, Ordering::Relaxed);
        }
    });
    Ok((runtime, cancel))
}

/// Ctrl-C ends the search and prints what was found until then.
fn search(args: &OptimizeArgs) -> Result<anyhow::Result<()>, Failure> {
    let (_runtime, cancel) = interrupted()?;
    Ok(optimize::run(args, &mut BufWriter::new(stdout().lock()), &mut stderr().lock(), &cancel))
}

/// Ctrl-C ends the computation, not only the process: threads are joined and nothing half is printed.
fn predict(args: &ForecastArgs) -> Result<anyhow::Result<()>, Failure> {
    let (_runtime, cancel) = interrupted()?;
    Ok(forecast::run(args, &mut BufWriter::new(stdout().lock()), &mut stderr(), &cancel))
}

fn score(args: &AnomalyArgs) -> anyhow::Result<()> {
    let kind = if args.counter { Kind::Counter } else { Kind::Gauge };
    let task = match (&args.data, &args.score_nab) {
        (Some(path), _) => Task::Data { path: path.clone(), kind },
        (None, Some(directory)) => Task::ScoreNab(directory.clone()),
        (None, None) => anyhow::bail!("say what to score: --data FILE or --score-nab DIR"),
    };
    anomaly::run(&task, &mut BufWriter::new(stdout().lock()), &mut stderr().lock())
}
