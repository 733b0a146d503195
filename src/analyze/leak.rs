//! Leaks: memory that grows steadily whatever the traffic does, also across restarts.
//!
//! The ring of the workload's working set is cut where it jumps (a restart, a rollout, a new replica), and one
//! slope is fitted through all pieces, each with its own level (the within estimator of panel regression). So a
//! saw-tooth with three restarts is one fit, and more replicas are not growth.

use super::case::{Draft, Scene, delta};
use crate::model::cluster::Workload;
use crate::model::finding::{Evidence, Fault, Severity, Subject};
use crate::model::quantity::human_bytes;
use crate::model::series::Signal;
use crate::model::time::{Timestamp, age, short};
use chrono::TimeDelta;
use std::fmt::Write as _;

/// A step from one sample to the next by more than this share is a restart or a change of scale, not growth.
const JUMP: f64 = 0.15;

/// A piece shorter than this says nothing about a slope per hour.
const PIECE: usize = 10;

/// From this share of the memory's own growth on, growing traffic explains it, if both move together.
const TRAFFIC: f64 = 0.5;

/// A straight line through pieces that share their slope.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Units per hour.
    pub slope: f64,
    /// Coefficient of determination within the pieces.
    pub r2: f64,
    /// Pieces used.
    pub pieces: usize,
    /// Hours covered by them.
    pub hours: f64,
}

/// Fits `points` (hours, value), cut where the value jumps. `None` without a piece of [`PIECE`] points.
pub fn fit(points: &[(f64, f64)]) -> Option<Fit> {
    fit_cut(points, PIECE, JUMP, JUMP)
}

/// The same with a least number of points in a piece, and the shares by which a value may rise and fall within one.
pub fn fit_cut(points: &[(f64, f64)], least: usize, rise: f64, fall: f64) -> Option<Fit> {
    let mut pieces: Vec<&[(f64, f64)]> = Vec::new();
    let mut start = 0;
    for i in 1..=points.len() {
        let step = |i: usize| (points[i].1 - points[i - 1].1) / points[i - 1].1.abs();
        let jumps = i < points.len() && (step(i) > rise || step(i) < -fall);
        if i == points.len() || jumps {
            pieces.push(&points[start..i]);
            start = i;
        }
    }
    pieces.retain(|p| p.len() >= least);
    let (mut sxx, mut sxy, mut syy, mut hours) = (0.0, 0.0, 0.0, 0.0);
    for piece in &pieces {
        let n = piece.len() as f64;
        let mx = piece.iter().map(|p| p.0).sum::<f64>() / n;
        let my = piece.iter().map(|p| p.1).sum::<f64>() / n;
        for (x, y) in *piece {
            sxx += (x - mx) * (x - mx);
            sxy += (x - mx) * (y - my);
            syy += (y - my) * (y - my);
        }
        hours += piece[piece.len() - 1].0 - piece[0].0;
    }
    if sxx <= 0.0 {
        return None;
    }
    let slope = sxy / sxx;
    Some(Fit { slope, r2: if syy > 0.0 { slope * sxy / syy } else { 0.0 }, pieces: pieces.len(), hours })
}

/// Looks for a leak. `kills` are out-of-memory kills of the same workload, which then become its evidence.
///
/// Needs fresh readings over at least `leak_window` since the youngest pod started: caches fill after a start.
pub fn find(scene: &Scene<'_>, workload: &Workload, kills: &[Evidence]) -> Option<Draft> {
    let metrics = scene.snapshot.metrics.workloads.get(&workload.key)?;
    let level = metrics.now(Signal::Memory).fresh()?;
    let series = metrics.history(Signal::Memory);
    let (last, _) = series.last()?;
    if level <= 0.0 || !scene.metrics_fresh() || !scene.within(Some(last), scene.freshness()) {
        return None;
    }
    let window = delta(scene.set.leak_window);
    let youngest = workload.live_pods().map(|p| p.created).max()?;
    let from = youngest.max(scene.now - window * 4);
    if scene.now - from < window {
        return None;
    }
    let points = |s: Signal| -> Vec<(f64, f64)> {
        let hours = |t: Timestamp| (t - from).as_seconds_f64() / 3600.0;
        metrics.history(s).range(from, scene.now).map(|(t, v)| (hours(t), v)).collect()
    };
    let memory = points(Signal::Memory);
    let expected = (scene.now - from).num_seconds() / i64::from(series.step());
    if (memory.len() as i64) < expected / 2 {
        return None;
    }
    let whole = fit(&memory)?;
    let recent = fit(&memory[memory.len() / 2..])?;
    let mean = memory.iter().map(|p| p.1).sum::<f64>() / memory.len() as f64;
    // The larger level gives the smaller share: in doubt it is no leak.
    let base = level.max(mean);
    let per_hour = whole.slope / base;
    let steady = whole.hours >= window.as_seconds_f64() / 3600.0 * 0.8;
    let growing = per_hour >= scene.set.leak_per_hour && whole.r2 >= scene.set.leak_r2;
    // A cache that fills flattens out; a leak does not.
    if !(steady && growing && recent.slope >= whole.slope / 2.0)
        || explained_by_traffic(&memory, &points(Signal::RequestRate), per_hour)
    {
        return None;
    }
    Some(draft(scene, workload, level, per_hour, whole, kills, scene.now - from))
}

/// Whether requests grew along with memory: then it is load, not a leak. Without a request rate it cannot be told.
fn explained_by_traffic(memory: &[(f64, f64)], requests: &[(f64, f64)], per_hour: f64) -> bool {
    let Some(trend) = fit(requests) else { return false };
    let mean = requests.iter().map(|p| p.1).sum::<f64>() / requests.len() as f64;
    if mean <= 0.0 || trend.slope / mean < per_hour * TRAFFIC {
        return false;
    }
    correlation(memory, requests).is_some_and(|r| r >= 0.8)
}

/// Pearson's r over the times both were measured.
fn correlation(a: &[(f64, f64)], b: &[(f64, f64)]) -> Option<f64> {
    let mut pairs = Vec::with_capacity(a.len());
    let mut j = 0;
    for (x, y) in a {
        while j < b.len() && b[j].0 < *x {
            j += 1;
        }
        if j < b.len() && b[j].0 == *x {
            pairs.push((*y, b[j].1));
        }
    }
    let n = pairs.len() as f64;
    let (ma, mb) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let (mut saa, mut sbb, mut sab) = (0.0, 0.0, 0.0);
    for (x, y) in &pairs {
        saa += (x - ma) * (x - ma);
        sbb += (y - mb) * (y - mb);
        sab += (x - ma) * (y - mb);
    }
    (saa > 0.0 && sbb > 0.0).then(|| sab / (saa * sbb).sqrt())
}

fn draft(
    scene: &Scene<'_>,
    workload: &Workload,
    level: f64,
    per_hour: f64,
    fit: Fit,
    kills: &[Evidence],
    span: TimeDelta,
) -> Draft {
    let containers: Vec<_> = workload.template.iter().filter(|s| !s.init).collect();
    let limit: Option<f64> = workload
        .live_pods()
        .map(|p| {
            p.specs
                .iter()
                .filter(|s| !s.init)
                .map(|s| Some(s.resources.memory_limit.as_ref()?.value.0 as f64))
                .sum::<Option<f64>>()
        })
        .sum();
    let left = limit.map(|l| ((l - level) / fit.slope * 3600.0).max(0.0));
    let key = &workload.key;
    let mut title = format!("{}/{}: memory leaks {:.0} % an hour", key.namespace, key.name, per_hour * 100.0);
    let in_words = left.map(|s| short(TimeDelta::seconds(s.min(1e9) as i64)));
    if let Some(left) = &in_words {
        let _ = write!(title, ", limit reached in {left}");
    }
    let says = format!(
        "{} now; slope {}/h over {} (r² {:.2}, {} stretch{} between restarts or changes of scale)",
        human_bytes(level),
        human_bytes(fit.slope),
        age(scene.now, scene.now - span),
        fit.r2,
        fit.pieces,
        if fit.pieces == 1 { "" } else { "es" },
    );
    let mut evidence =
        vec![Evidence::new("prometheus container_memory_working_set_bytes, all pods", says, Some(scene.now))];
    evidence.extend_from_slice(kills);
    let soon = left.is_some_and(|s| s < 3600.0) || !kills.is_empty();
    Draft {
        fault: Fault::Leak {
            container: (containers.len() == 1).then(|| containers[0].name.clone()),
            per_hour,
            r2: fit.r2,
            seconds_to_limit: left,
        },
        subject: Subject::Workload(key.clone()),
        detail: None,
        severity: if soon { Severity::High } else { Severity::Warning },
        title,
        evidence,
        pods: workload.live_pods().map(|p| super::case::key(p)).collect(),
        related: Vec::new(),
    }
}
