//! `kansole lab rightsize`: requests and limits from recorded usage, one JSON object per container of a workload.

use super::{headed, readings};
use crate::model::quantity::{Bytes, Cpu};
use crate::plan::rightsize::step::{Advice, advise};
use crate::plan::rightsize::{Asked, Resource, Sample, TooLittle, Usage};
use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Seconds since the newest sample after which a pod counts as gone, or twice the step if that is longer.
const GONE: f64 = 600.0;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Columns that are read.
const COLUMNS: [&str; 12] = [
    "time",
    "workload",
    "container",
    "pod",
    "cpu",
    "memory",
    "cpu_request",
    "cpu_limit",
    "memory_request",
    "memory_limit",
    "throttled",
    "killed",
];

/// Flags of `lab rightsize`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The table's columns: time (unix seconds or RFC 3339), workload (a name, or KIND/NAMESPACE/NAME for \
a patch), container, pod, cpu (cores), memory (bytes of the working set); and where they are known cpu_request, cpu_limit (cores), \
memory_request, memory_limit (bytes), throttled (share of periods, 0 to 1), killed (1 if it was killed for memory since the row \
before). Empty cells were not measured. Requests and limits are those of a container's newest row.\n\n\
The target is that of the Vertical Pod Autoscaler's recommender (percentiles of a histogram that halves in a day, and 15 %); KRR's \
stands beside it. A step up is 50 % of CPU and 30 % of memory at most; a step down half of that, after a week, and never where use was \
cut off at a limit. Changes below 10 % are left."
)]
pub struct RightsizeArgs {
    /// Recorded usage as CSV, a row per pod, container and time.
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// An HPA divides this resource by the workload's request: `WORKLOAD=cpu` or `WORKLOAD=memory`; may be repeated.
    #[arg(long, value_name = "WORKLOAD=RESOURCE", value_parser = hpa)]
    pub hpa: Vec<(String, bool)>,
}

/// A workload and whether it is CPU that its HPA looks at.
fn hpa(text: &str) -> Result<(String, bool), String> {
    match text.rsplit_once('=') {
        Some((workload, "cpu")) => Ok((workload.to_owned(), true)),
        Some((workload, "memory")) => Ok((workload.to_owned(), false)),
        _ => Err("write WORKLOAD=cpu or WORKLOAD=memory".to_owned()),
    }
}

/// Containers by workload and name.
type Containers = BTreeMap<(String, String), Held>;

/// What a file tells of a container.
#[derive(Default)]
struct Held {
    pods: BTreeMap<String, Vec<Sample>>,
    /// Time of the row that told requests and limits, and those.
    asked: Option<(f64, Asked, Asked)>,
}

/// Runs the command: a line per container to `out`, the sums to `err`.
pub fn run(args: &RightsizeArgs, out: &mut impl Write, err: &mut impl Write) -> anyhow::Result<()> {
    let mut containers = read(&args.data)?;
    let newest =
        containers.values().flat_map(|held| held.pods.values().flatten()).map(|s| s.time).fold(f64::MIN, f64::max);
    for (workload, _) in &args.hpa {
        if !containers.keys().any(|(known, _)| known == workload) {
            bail!("--hpa {workload}: {} has no such workload", args.data.display());
        }
    }
    let mut of: BTreeMap<String, usize> = BTreeMap::new();
    for (workload, _) in containers.keys() {
        *of.entry(workload.clone()).or_default() += 1;
    }
    let mut sums = [[0.0; 2]; 2];
    for ((workload, container), held) in &mut containers {
        let has = |cpu: bool| args.hpa.iter().any(|(name, is_cpu)| name == workload && *is_cpu == cpu);
        let usage = usage(held, of[workload], newest, (has(true), has(false)));
        let advice = [Resource::Cpu, Resource::Memory].map(|resource| advise(&usage, resource));
        for ((sums, advice), unit) in sums.iter_mut().zip(&advice).zip([1.0, GIB]) {
            if let (Ok(advice), true) = (advice, usage.replicas > 0) {
                sums[0] += advice.waste.unwrap_or(0.0).max(0.0) / unit;
                sums[1] += advice.saving.unwrap_or(0.0) / unit;
            }
        }
        writeln!(out, "{}", line(workload, container, &usage, &advice))?;
    }
    out.flush()?;
    let [[cores, saved_cores], [gib, saved_gib]] = sums;
    writeln!(
        err,
        "requested above the target: {cores:.3} cores, {gib:.3} GiB; one step gives back {saved_cores:.3} cores, {saved_gib:.3} GiB"
    )?;
    Ok(())
}

/// The samples of all pods, and how many of these still run.
fn usage(held: &mut Held, containers: usize, newest: f64, hpa: (bool, bool)) -> Usage {
    held.pods.values_mut().for_each(|samples| samples.sort_by(|a, b| a.time.total_cmp(&b.time)));
    let runs = |samples: &&Vec<Sample>| {
        let mut steps: Vec<f64> = samples.windows(2).map(|pair| pair[1].time - pair[0].time).collect();
        steps.sort_by(f64::total_cmp);
        let step = steps.get(steps.len() / 2).copied().unwrap_or(0.0);
        samples.last().is_some_and(|last| newest - last.time <= GONE.max(2.0 * step))
    };
    let replicas = held.pods.values().filter(runs).count();
    let (_, cpu, memory) = held.asked.unwrap_or_default();
    Usage { pods: held.pods.values().cloned().collect(), cpu, memory, containers, replicas, hpa }
}

fn line(workload: &str, container: &str, usage: &Usage, advice: &[Result<Advice, TooLittle>; 2]) -> Value {
    let mut line = json!({"workload": workload, "container": container, "pods": usage.replicas});
    if usage.replicas == 0 {
        line["why"] = json!("no pod of it was measured at the end of the file: it does not run any more");
        return line;
    }
    for (resource, advice) in [Resource::Cpu, Resource::Memory].into_iter().zip(advice) {
        line[resource.name()] = match advice {
            Ok(advice) => json!(advice),
            Err(why) => json!({"why": [why.to_string()]}),
        };
    }
    line["patch"] = json!(patch(workload, container, advice));
    line
}

/// The change as a strategic merge patch, as Kustomize takes it; nothing if nothing changes or the kind is not told.
fn patch(workload: &str, container: &str, advice: &[Result<Advice, TooLittle>; 2]) -> Option<Value> {
    let mut parts = workload.splitn(3, '/');
    let (kind, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
    if !matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet") {
        return None;
    }
    let (mut requests, mut limits) = (Map::new(), Map::new());
    for (resource, advice) in [Resource::Cpu, Resource::Memory].into_iter().zip(advice) {
        let written = |value: f64| match resource {
            Resource::Cpu => Cpu((value * 1000.0).round() as u64).to_string(),
            Resource::Memory => Bytes(value as u64).to_string(),
        };
        let Ok(advice) = advice else { continue };
        if let Some(request) = advice.new_request {
            requests.insert(resource.name().to_owned(), json!(written(request)));
        }
        if let Some(limit) = advice.new_limit {
            limits.insert(resource.name().to_owned(), json!(written(limit)));
        }
    }
    if requests.is_empty() {
        return None;
    }
    let mut resources = json!({"requests": requests});
    if !limits.is_empty() {
        resources["limits"] = json!(limits);
    }
    Some(json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"spec": {"containers": [{"name": container, "resources": resources}]}}},
    }))
}

/// Reads a file; what can't be read is told with its line and column.
fn read(path: &Path) -> anyhow::Result<Containers> {
    let (header, mut reader) = headed::open(path)?;
    let places = COLUMNS.map(|name| header.iter().position(|column| column == name));
    if let Some(at) = (0..4).find(|at| places[*at].is_none()) {
        bail!("{}:1: no column {:?}; the columns are {}", path.display(), COLUMNS[at], COLUMNS.join(", "));
    }
    if places[4].or(places[5]).is_none() {
        bail!("{}:1: neither a column \"cpu\" nor \"memory\": there is no usage", path.display());
    }
    let mut found = Containers::new();
    for record in reader.records() {
        let record = record.with_context(|| path.display().to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |at: usize| places[at].and_then(|place| record.get(place)).unwrap_or_default();
        let wrong = |at: usize, what: &str| {
            let shown: String = cell(at).chars().take(40).collect();
            let column = places[at].map_or(0, |place| place + 1);
            anyhow::anyhow!("{}:{line}: column {column} ({}): {shown:?} {what}", path.display(), COLUMNS[at])
        };
        let number = |at: usize| -> anyhow::Result<Option<f64>> {
            let text = cell(at);
            if text.is_empty() || ["na", "nan", "null"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
                return Ok(None);
            }
            let read = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
            read.map(Some).ok_or_else(|| wrong(at, "is no number of at least 0"))
        };
        let time = readings::seconds(cell(0)).ok_or_else(|| wrong(0, "is no time"))?;
        if let Some(at) = (1..4).find(|at| cell(*at).is_empty()) {
            return Err(wrong(at, "is no name"));
        }
        let positive = |at: usize| number(at).map(|value| value.filter(|value| *value > 0.0));
        let cpu = Asked { request: positive(6)?, limit: positive(7)? };
        let memory = Asked { request: positive(8)?, limit: positive(9)? };
        let sample = Sample {
            time,
            cpu: number(4)?,
            memory: number(5)?,
            throttled: number(10)?,
            killed: number(11)?.is_some_and(|value| value > 0.0),
        };
        let held = found.entry((cell(1).to_owned(), cell(2).to_owned())).or_default();
        held.pods.entry(cell(3).to_owned()).or_default().push(sample);
        if held.asked.is_none_or(|(told, ..)| told <= time) {
            held.asked = Some((time, cpu, memory));
        }
    }
    if found.is_empty() {
        bail!("{}: no rows", path.display());
    }
    Ok(found)
}
