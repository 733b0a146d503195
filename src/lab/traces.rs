//! `kansole lab traces`: the critical path of every trace of a file.

use crate::analyze::traces::critical::CriticalPath;
use crate::model::trace::Trace;
use crate::monitor::traces::file;
use serde_json::{Map, Number, Value, json};
use std::io::Write;
use std::path::Path;

/// Prints a JSON object per trace to `out`, and to `say` what a reader of them should know. Times are microseconds.
pub fn run(path: &Path, out: &mut impl Write, say: &mut impl Write) -> anyhow::Result<()> {
    let traces = file::read(path)?;
    let mut rootless = 0;
    for trace in &traces {
        match CriticalPath::of(trace) {
            Some(path) => writeln!(out, "{}", line(trace, &path))?,
            None => rootless += 1,
        }
    }
    out.flush()?;
    if rootless > 0 {
        writeln!(say, "{rootless} of {} traces have no root (no spans, or only circles) and no line", traces.len())?;
    }
    Ok(())
}

fn line(trace: &Trace, path: &CriticalPath) -> Value {
    let times = path.by_operation(trace).into_iter().map(|(name, own)| (name, micros(own)));
    let root = &path.steps[0];
    let m = &path.mended;
    json!({
        "traceID": &*trace.id,
        "root": trace.spans[root.span].name(),
        "duration": micros(root.duration),
        "criticalPath": Value::Object(times.collect::<Map<_, _>>()),
        "spans": trace.spans.len(),
        "onPath": path.steps.len(),
        "roots": path.roots,
        "mended": {
            "moved": m.moved, "cut": m.cut, "outside": m.outside, "apart": m.apart, "orphans": m.orphans,
            "duplicates": m.duplicates, "negative": trace.negative,
        },
    })
}

/// Whole where it is.
fn micros(nanos: i64) -> Value {
    if nanos % 1000 == 0 {
        return Value::from(nanos / 1000);
    }
    Number::from_f64(nanos as f64 / 1000.0).map_or(Value::Null, Value::Number)
}
