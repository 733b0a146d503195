//! Who suffers, from what and since when: pods that are missing, and signals that left their normal in the rings.

use super::Seen;
use crate::ml::change::ChangePoints;
use crate::ml::drift::sorted;
use crate::model::cluster::Workload;
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::series::{Series, Signal};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What is normal is read from so much of the past, which ends before the trouble.
const NORMAL: TimeDelta = TimeDelta::minutes(60);
/// The newest samples are not taken for normal: they may be the trouble's first.
const NEW: TimeDelta = TimeDelta::minutes(2);
/// Fewer samples are no normal.
const FEW: usize = 20;
/// Normal spreads at which a signal is out, and at which it still is once it was.
const OUT: f64 = 6.0;
const STILL: f64 = 3.0;
/// Fewer requests a second than these say nothing of errors and latency.
const FEW_REQUESTS: f64 = 0.3;
/// A pod that is missing for less may be on its way.
const SHORT: TimeDelta = TimeDelta::seconds(25);
/// A trouble is over when nothing was seen of it for so long.
const CALM: TimeDelta = TimeDelta::seconds(90);
/// A share of the processors' time that neighbours take without anybody minding ends here.
const STOLEN: f64 = 0.1;
/// Samples by which a change point may move an onset.
const NEAR: i32 = 3;

/// What somebody suffers from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// No pod of it serves.
    Gone,
    /// Pods of it are missing.
    Short,
    /// Requests fail.
    Errors,
    /// It is slow.
    Slow,
    /// It is asked far more than it was.
    Demand,
    /// It uses more of the processor than it did.
    Cpu,
    /// It holds more memory than it did.
    Memory,
}

impl Kind {
    /// Whether others feel it.
    pub fn hurts(self) -> bool {
        matches!(self, Self::Gone | Self::Short | Self::Errors | Self::Slow)
    }
}

/// One thing somebody suffers from.
#[derive(Debug, Clone, PartialEq)]
pub struct Symptom {
    pub kind: Kind,
    /// When it began.
    pub onset: Timestamp,
    /// When it was seen last.
    pub last: Timestamp,
    /// How bad, 0..1.
    pub size: f64,
    /// Observed over normal; only of demand.
    pub times: f64,
    /// Observed less normal, in the signal's unit.
    pub more: f64,
    /// For people: what was measured, and what is normal.
    pub says: String,
}

/// All that somebody suffers from, the worst kind first.
pub type Troubles = BTreeMap<WorkloadKey, Vec<Symptom>>;

/// Remembers since when.
#[derive(Debug, Default)]
pub struct Sight {
    known: HashMap<(WorkloadKey, Kind), Symptom>,
    /// Nodes whose processors neighbours take: since when, seen last, and their share.
    robbed: BTreeMap<Arc<str>, (Timestamp, Timestamp, f64)>,
}

impl Sight {
    /// Who suffers now.
    pub fn look(&mut self, seen: &Seen, now: Timestamp) -> Troubles {
        self.nodes(seen, now);
        for w in seen.snapshot.workloads.iter() {
            if let Some((kind, size, says)) = pods(w) {
                let entry = self.known.entry((w.key.clone(), kind));
                let s = entry.or_insert(Symptom {
                    kind,
                    onset: now,
                    last: now,
                    size,
                    times: 1.0,
                    more: 0.0,
                    says: String::new(),
                });
                if now - s.last > CALM {
                    s.onset = now;
                }
                (s.last, s.size, s.says) = (now, size, says);
            }
            self.signals(seen, w, now);
        }
        self.known.retain(|(key, _), s| now - s.last <= CALM && seen.snapshot.workload(key).is_some());
        let mut all = Troubles::new();
        let lasting = |s: &Symptom| s.kind != Kind::Short || s.last - s.onset >= SHORT;
        for ((key, _), s) in self.known.iter().filter(|(_, s)| lasting(s)) {
            all.entry(key.clone()).or_default().push(s.clone());
        }
        for list in all.values_mut() {
            list.sort_by_key(|s| s.kind);
        }
        all
    }

    /// Nodes whose processors neighbours on the same machine take: since when, and what share.
    pub fn robbed(&self) -> impl Iterator<Item = (&Arc<str>, Timestamp, f64)> {
        self.robbed.iter().map(|(node, (since, _, share))| (node, *since, *share))
    }

    fn nodes(&mut self, seen: &Seen, now: Timestamp) {
        for (node, reading) in seen.snapshot.metrics.node_stolen.iter() {
            if let Some(share) = reading.fresh().filter(|s| *s >= STOLEN) {
                // The rate covers a window: it began up to a step before it was seen.
                let step = TimeDelta::seconds(i64::from(seen.snapshot.metrics.step));
                let entry = self.robbed.entry(node.clone()).or_insert((now - step, now, share));
                (entry.1, entry.2) = (now, share);
            }
        }
        self.robbed.retain(|_, (_, last, _)| now - *last <= CALM);
    }

    /// Signals out of their normal.
    fn signals(&mut self, seen: &Seen, w: &Workload, now: Timestamp) {
        let Some(metrics) = seen.snapshot.metrics.workloads.get(&w.key) else { return };
        let rate = metrics.now(Signal::RequestRate).fresh().unwrap_or(0.0);
        let worse: [(Signal, Kind); 6] = [
            (Signal::ErrorRate, Kind::Errors),
            (Signal::LatencyP50, Kind::Slow),
            (Signal::LatencyP99, Kind::Slow),
            (Signal::RequestRate, Kind::Demand),
            (Signal::Cpu, Kind::Cpu),
            (Signal::Memory, Kind::Memory),
        ];
        for (signal, kind) in worse {
            if matches!(kind, Kind::Errors | Kind::Slow) && rate < FEW_REQUESTS {
                continue;
            }
            self.signal(w, metrics.history(signal), signal, kind, now);
        }
    }

    fn signal(&mut self, w: &Workload, series: &Series, signal: Signal, kind: Kind, now: Timestamp) {
        let id = (w.key.clone(), kind);
        let was = self.known.get(&id);
        let until = was.map_or(now, |s| s.onset) - NEW;
        let Some(normal) = Normal::of(series, signal, until) else { return };
        let recent: Vec<(Timestamp, f64)> = series.range(until, now).collect();
        let Some(&(at, value)) = recent.last() else { return };
        if now - at > CALM {
            return;
        }
        let away = normal.away(value);
        let enough = matters(signal, value, normal.median);
        if was.is_some_and(|s| s.last > at) || away < STILL || !enough {
            return;
        }
        if was.is_none() {
            // One sample alone may be a spike, unless it is far out.
            let before = recent.iter().rev().nth(1).map_or(0.0, |(_, v)| normal.away(*v));
            if away < OUT || (before < STILL && away < 3.0 * OUT) {
                return;
            }
        }
        let onset = was.map_or_else(|| onset(&recent, &normal, series.step()), |s| s.onset);
        let size = size(signal, away, value);
        let says = format!("{} {}, normally {}", signal.title(), show(signal, value), show(signal, normal.median));
        let times = if normal.median > 0.0 { value / normal.median } else { 1.0 };
        if was.is_none_or(|s| size >= s.size || s.last < at) {
            self.known.insert(id, Symptom { kind, onset, last: at, size, times, more: value - normal.median, says });
        }
    }
}

/// Pods that are missing.
fn pods(w: &Workload) -> Option<(Kind, f64, String)> {
    let serves = matches!(w.key.kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet);
    let (ready, wanted) = w.readiness();
    if !serves || w.uid.is_empty() || wanted == 0 || ready >= wanted {
        return None;
    }
    let says = format!("{ready} of {wanted} pods are ready");
    let kind = if ready == 0 { Kind::Gone } else { Kind::Short };
    Some((kind, 1.0 - f64::from(ready) / f64::from(wanted), says))
}

/// What a signal is while all is well.
struct Normal {
    median: f64,
    spread: f64,
}

impl Normal {
    fn of(series: &Series, signal: Signal, until: Timestamp) -> Option<Self> {
        let values: Vec<f64> = series.range(until - NORMAL, until).map(|(_, v)| v).collect();
        let values = sorted(&values);
        if values.len() < FEW {
            return None;
        }
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        let median = at(0.5);
        let floor = match signal {
            Signal::ErrorRate => 0.005,
            Signal::LatencyP50 | Signal::LatencyP99 => 0.12 * median,
            Signal::RequestRate | Signal::Cpu | Signal::Connections => 0.12 * median,
            Signal::Memory => 0.05 * median,
        };
        let spread = (at(0.75) - at(0.25)).max((at(0.99) - median) / 3.0).max(floor);
        (spread > 0.0).then_some(Self { median, spread })
    }

    /// How far above, in spreads.
    fn away(&self, value: f64) -> f64 {
        (value - self.median) / self.spread
    }
}

/// Whether a difference is one that anybody would mind.
fn matters(signal: Signal, value: f64, normal: f64) -> bool {
    match signal {
        Signal::ErrorRate => value - normal >= 0.02,
        Signal::LatencyP50 | Signal::LatencyP99 => value >= 1.5 * normal && value - normal >= 0.01,
        Signal::RequestRate => value >= 1.8 * normal && value >= 1.0,
        Signal::Cpu => value >= 1.8 * normal && value - normal >= 0.02,
        Signal::Memory => value >= 1.3 * normal,
        Signal::Connections => false,
    }
}

/// How bad, 0..1.
fn size(signal: Signal, away: f64, value: f64) -> f64 {
    let far = away / (away + 4.0 * OUT);
    match signal {
        Signal::ErrorRate => far.max(value.clamp(0.0, 1.0)),
        _ => far,
    }
}

/// When it left its normal: the first of the unbroken run of samples that are out, moved to the change point of the series if that
/// is near. A sample stands for the time since the one before.
fn onset(recent: &[(Timestamp, f64)], normal: &Normal, step: u32) -> Timestamp {
    let first = recent.iter().rposition(|(_, v)| normal.away(*v) < STILL / 2.0).map_or(0, |i| i + 1);
    let mut points = ChangePoints::new(240.0, normal.median, normal.spread);
    let run = recent.iter().map(|(_, v)| points.push(*v)).last().unwrap_or(0);
    let changed = recent.len().saturating_sub(run);
    let near = (changed as i64 - first as i64).abs() <= i64::from(NEAR);
    let index = if near { changed.min(first) } else { first };
    recent[index.min(recent.len() - 1)].0 - TimeDelta::seconds(i64::from(step))
}

fn show(signal: Signal, value: f64) -> String {
    match signal {
        Signal::ErrorRate => format!("{:.1} %", value * 100.0),
        Signal::LatencyP50 | Signal::LatencyP99 if value < 1.0 => format!("{:.0} ms", value * 1000.0),
        Signal::Memory => format!("{:.0} MiB", value / 1_048_576.0),
        _ => format!("{value:.2} {}", signal.unit()),
    }
}
