//! Services ranked from a plain table of measurements, without knowing who calls whom.

use super::{Measure, Suspect, Worse, quantile};
use crate::ml::drift::sorted;
use std::collections::BTreeMap;

/// Ranks services by the largest deviation of their measurements (BARO, Pham et al., FSE 2024, with a floor under the
/// spread that keeps units out), worst first.
///
/// Three things differ from the published rule. The spread also covers what a column does now and then while all is well, so that
/// spikes it always had say nothing. What callers share with the service they wait for (latency, errors) counts half of
/// what is a service's own (processor, memory, disk). How much there is to do is no cause, and machinery such as nodes and
/// meshes stands back for services: both are ranked only behind everything else.
pub fn by_deviation(measures: &[Measure]) -> Vec<Suspect> {
    let mut best: BTreeMap<&str, (f64, f64, &Measure)> = BTreeMap::new();
    for m in measures {
        let Some(deviation) = deviation(m) else { continue };
        let weighed = deviation * Kind::of(&m.family).weight() * if is_machinery(&m.node) { BACK } else { 1.0 };
        let entry = best.entry(&m.node).or_insert((weighed, deviation, m));
        if weighed > entry.0 || (weighed >= entry.0 && m.name() < entry.2.name()) {
            *entry = (weighed, deviation, m);
        }
    }
    let mut all: Vec<Suspect> = best
        .into_iter()
        .map(|(node, (score, deviation, m))| Suspect {
            node: node.to_owned(),
            metric: m.name(),
            score,
            deviation,
            alike: 0.0,
            explained: 0.0,
            reached: true,
        })
        .collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all
}

/// How far a column is out of its normal, in its normal spreads; below 0: it went the good way.
fn deviation(m: &Measure) -> Option<f64> {
    let normal = sorted(&m.normal);
    let sign = if m.worse == Worse::Up { 1.0 } else { -1.0 };
    let median = if normal.is_empty() { return None } else { quantile(&normal, 0.5) };
    let incident = sorted(&m.incident.iter().map(|v| sign * (v - median)).collect::<Vec<_>>());
    // One spike among many values is no course of things: of a long incident not the greatest value counts.
    let skipped = (incident.len() / SPIKES_PER).min(MOST_SPIKES);
    let most = *incident.get(incident.len().checked_sub(1 + skipped)?)?;
    let away = sorted(&normal.iter().map(|v| sign * (v - median)).collect::<Vec<_>>());
    let range = quantile(&normal, 0.75) - quantile(&normal, 0.25);
    let spread = range.max(quantile(&away, 0.99) / 3.0).max(0.05 * median.abs());
    // What was always 0 and no longer is, has no scale of its own: one of the incident's.
    let own = incident.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
    let scale = if spread > 0.0 { spread } else { own };
    Some(if scale > 0.0 { most / scale } else { 0.0 })
}

/// One value in so many may be a spike, and so many at most are skipped.
const SPIKES_PER: usize = 30;
const MOST_SPIKES: usize = 2;
/// What stands behind everything else keeps so much of its score.
const BACK: f64 = 0.05;

/// What a column is about, by the words of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A service's own: processor, memory, disk, network.
    Own,
    /// Shared with whoever waits for it: latency, errors.
    Shared,
    /// How much there is to do.
    Load,
}

impl Kind {
    fn of(family: &str) -> Self {
        let name = family.to_ascii_lowercase();
        let begins = |starts: &[&str]| {
            name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| starts.iter().any(|s| word.starts_with(s)))
        };
        if begins(&["cpu", "mem", "disk", "fs", "socket", "network", "thread", "heap", "gc"]) {
            Self::Own
        } else if begins(&["lat", "duration", "response", "rt", "err", "fail", "timeout", "availab", "success"]) {
            Self::Shared
        } else if begins(&["load", "workload", "request", "qps", "rps", "throughput", "traffic", "call"]) {
            Self::Load
        } else {
            Self::Own
        }
    }

    fn weight(self) -> f64 {
        match self {
            Self::Own => 1.0,
            Self::Shared => 0.5,
            Self::Load => BACK,
        }
    }
}

/// Whether a name is a machine's or a mesh's rather than a service's.
fn is_machinery(node: &str) -> bool {
    let name = node.to_ascii_lowercase();
    let begins = [
        "node",
        "istio",
        "envoy",
        "linkerd",
        "kube-",
        "kubelet",
        "gke-",
        "aks-",
        "eks-",
        "ip-",
        "prometheus",
        "cadvisor",
        "host",
    ];
    begins.iter().any(|b| {
        name.strip_prefix(b)
            .is_some_and(|rest| b.ends_with('-') || !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    })
}
