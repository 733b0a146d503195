//! `kansole lab rootcause`: suspects from tables of measurements, with or without a graph of calls.

use super::matrix::{Matrix, MatrixError, number, read_graph};
use crate::ml::rootcause::{Measure, Ranking, Suspect, Worse, by_calls, by_deviation};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

/// Flags of `lab rootcause`.
#[derive(Debug, clap::Args)]
pub struct RootcauseArgs {
    /// Measurements around the incident: PetShop's layout (rows microservice, metric, statistic, then unix seconds), or a
    /// plain table `time,service_metric,…`.
    #[arg(long, value_name = "FILE")]
    pub metrics: PathBuf,
    /// Who calls whom: a table with callers in its first column, callees in its first row, and 1 where one calls the other.
    #[arg(long, value_name = "FILE", requires = "target")]
    pub graph: Option<PathBuf>,
    /// Measurements while all was well, in the same layout.
    #[arg(long, value_name = "FILE")]
    pub normal: Option<PathBuf>,
    /// The node that suffers.
    #[arg(long, value_name = "NODE", requires = "graph")]
    pub target: Option<String>,
    /// When it was noticed, in unix seconds; default: what --metrics holds is all of the incident.
    #[arg(long, value_name = "UNIX")]
    pub at: Option<f64>,
    /// At most so many suspects.
    #[arg(long, value_name = "K")]
    pub top: Option<usize>,
}

/// Prints the suspects, worst first, as one JSON object.
pub fn run(args: &RootcauseArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let metrics = Matrix::read(&args.metrics)?;
    let normal = args.normal.as_deref().map(Matrix::read).transpose()?;
    let onset = args.at.map_or(0, |at| metrics.onset(at));
    if normal.is_none() && onset == 0 {
        anyhow::bail!(
            "{}: nothing tells what is normal: name a file with --normal, or with --at a time after the first rows",
            args.metrics.display()
        );
    }
    let measures = measures(&metrics, normal.as_ref());
    let (symptom, mut ranked) = match (&args.graph, &args.target) {
        (Some(graph), Some(target)) => {
            let calls = read_graph(graph)?;
            if !metrics.columns.iter().any(|c| c.node == *target) {
                return Err(MatrixError::Target { path: args.metrics.clone(), target: target.clone() }.into());
            }
            match by_calls(&measures, &calls, target, onset) {
                Some(Ranking { symptom, suspects }) => (Some(symptom), suspects),
                None => (None, Vec::new()),
            }
        }
        _ => (None, by_deviation(&after(measures, normal.is_some(), onset))),
    };
    ranked.truncate(args.top.unwrap_or(usize::MAX));
    let ranked: Vec<Value> = ranked.iter().map(line).collect();
    writeln!(out, "{}", json!({"ranked": ranked, "symptom": symptom}))?;
    out.flush()?;
    Ok(())
}

/// Without a graph: what is before the onset is normal, what comes after it is not.
fn after(mut measures: Vec<Measure>, told: bool, onset: usize) -> Vec<Measure> {
    for m in &mut measures {
        let later = m.incident.split_off(onset.min(m.incident.len()));
        let before = std::mem::replace(&mut m.incident, later);
        // A column that the normal file lacks or has only gaps in, has its own past.
        if !told || !m.normal.iter().any(|v| v.is_finite()) {
            m.normal = before;
        }
    }
    measures
}

fn line(s: &Suspect) -> Value {
    json!({
        "node": s.node, "metric": s.metric, "score": number(s.score), "deviation": number(s.deviation),
        "alike": number(s.alike), "explained": number(s.explained), "reached": s.reached,
    })
}

/// Every column whose direction is known.
fn measures(metrics: &Matrix, normal: Option<&Matrix>) -> Vec<Measure> {
    let normals: HashMap<_, _> =
        normal.into_iter().flat_map(|n| n.columns.iter().zip(&n.values)).map(|(c, v)| (c.key(), v)).collect();
    let columns = metrics.columns.iter().zip(&metrics.values);
    columns
        .filter_map(|(column, incident)| {
            Some(Measure {
                node: column.node.clone(),
                family: column.metric.clone(),
                statistic: column.statistic.clone(),
                worse: direction(&column.metric, !column.statistic.is_empty())?,
                normal: normals.get(&column.key()).map(|v| (*v).clone()).unwrap_or_default(),
                incident: incident.clone(),
            })
        })
        .collect()
}

/// Which way is worse, by the name of the metric. How many requests there are is no symptom of a service that has its
/// latency and availability beside it.
fn direction(metric: &str, detailed: bool) -> Option<Worse> {
    let name = metric.to_ascii_lowercase();
    if ["availab", "uptime", "success"].iter().any(|w| name.contains(w)) {
        return Some(Worse::Down);
    }
    (!(detailed && name.contains("request"))).then_some(Worse::Up)
}
