//! The figures of the console and of the simulated cluster, each beside its limit: `cargo bench --bench figures`.
//!
//! Words after `--` choose some: `cargo bench --bench figures -- draw keys`. Times are of this machine at this
//! moment and are noisy on a shared one; bytes, writes, frames and findings are exact counts.

mod causes;
mod demo;
mod failure;
mod healing;
mod inside;
mod learning;
mod optimize;
mod process;
mod program;
mod pty;
mod recordings;
mod report;
mod requests;
mod server;
mod synthetic;
mod traces;
mod work;

use report::Report;

/// Name and measurement.
const FIGURES: [(&str, fn(&mut Report)); 18] = [
    ("start", program::first_frame),
    ("memory", work::memory),
    ("large", program::large),
    ("draw", work::drawing),
    ("requests", requests::drawing),
    ("idle", program::idle),
    ("keys", program::keys),
    ("ingest", work::ingestion),
    ("demo", demo::start),
    ("speed", demo::speed),
    ("fleet", demo::fleet),
    ("learning", learning::figures),
    ("optimize", optimize::figures),
    ("failure", failure::foreseen),
    ("traces", traces::received),
    ("insight", traces::analysed),
    ("causes", causes::told),
    ("healing", healing::healed),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, pods, metrics] = &args[..]
        && flag == work::CHILD
    {
        work::child(pods.parse().expect("a number of pods"), metrics == "true");
        return;
    }
    if args.first().is_some_and(|a| a == traces::CHILD) {
        traces::child();
        return;
    }
    let chosen: Vec<&String> = args.iter().filter(|a| !a.starts_with("--")).collect();
    let mut report = Report::default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    eprintln!("{cores} cores, load {} before the start: times are noisy on a shared machine", load.trim());
    for (name, measure) in FIGURES {
        if chosen.is_empty() || chosen.iter().any(|c| *c == name) {
            eprintln!("{name}:");
            measure(&mut report);
        }
    }
    report.print();
}
