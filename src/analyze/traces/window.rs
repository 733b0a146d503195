//! The last quarter of an hour of traces, in pieces that are counted by themselves and added up.

use super::look::{Objective, look};
use super::map;
use super::tally::{Held, Sum, Totals};
use super::weak;
use crate::config::settings::Slo;
use crate::model::service::{Cascade, OperationTime, SpanBreach, TraceInsight};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::model::trace::Trace;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Seconds that are looked back, and of a piece.
pub const SECONDS: u32 = 900;
const WINDOW: i64 = SECONDS as i64;
const PIECE: i64 = 30;
/// Operations and cascades that are told.
const OPERATIONS: usize = 200;
const CASCADES: usize = 50;

/// Traces of the last [`WINDOW`] seconds, summed up.
#[derive(Debug, Default)]
pub struct Window {
    objectives: Vec<Objective>,
    /// By the number of the piece.
    pieces: BTreeMap<i64, Totals>,
    /// The first moment that was listened to.
    since: Option<i64>,
    /// Traces that could not be read: no root.
    rootless: u64,
}

impl Window {
    /// An empty one that holds traces against these objectives.
    pub fn new(slos: &[Slo]) -> Self {
        Self { objectives: slos.iter().filter_map(Objective::of).collect(), ..Self::default() }
    }

    /// Takes a trace. What is older than the window is not looked at; what claims to come from the future is of now.
    pub fn take(&mut self, trace: &Trace, now: Timestamp) {
        let now = now.timestamp();
        let at = trace.extent().map_or(now, |(_, end)| end.div_euclid(1_000_000_000)).min(now);
        if at <= now - WINDOW {
            return;
        }
        self.since = Some(self.since.map_or(at, |s| s.min(at)));
        self.forget(now);
        let piece = self.pieces.entry(at.div_euclid(PIECE)).or_default();
        self.rootless += u64::from(!look(trace, &self.objectives, piece));
    }

    fn forget(&mut self, now: i64) {
        self.pieces = self.pieces.split_off(&(now - WINDOW).div_euclid(PIECE));
    }

    /// What all of them mean, beside what metrics say of the same services. `missed` traces never came here.
    pub fn insight(&mut self, snapshot: &Snapshot, now: Timestamp, missed: u64) -> TraceInsight {
        let second = now.timestamp();
        self.forget(second);
        let mut totals = Totals::default();
        for piece in self.pieces.values() {
            totals.merge(piece);
        }
        // The first piece may have begun before anybody listened.
        let first = self.pieces.keys().next().map_or(second, |p| p * PIECE);
        let covered = (second - first.max(self.since.unwrap_or(second))).clamp(1, WINDOW + PIECE);
        let map = Arc::new(map::draw(&totals, covered as f64, snapshot, now));
        TraceInsight {
            operations: operations(&totals).into(),
            cascades: cascades(&totals).into(),
            breaches: self.breaches(&totals).into(),
            weakest: weak::edges(&totals, &map, snapshot).into(),
            map,
            traces: totals.traces,
            missed: missed + self.rootless,
        }
    }

    fn breaches(&self, totals: &Totals) -> Vec<SpanBreach> {
        let breach = |objective: &Objective| {
            let held: &Held = totals.objectives.0.get(&objective.name)?;
            if held.broken == 0 || held.broken as f64 <= objective.allowed * held.all as f64 {
                return None;
            }
            let all: u64 = held.blamed.0.values().map(|f| f.traces).sum();
            let most = held.blamed.0.iter().max_by(|a, b| a.1.traces.cmp(&b.1.traces).then_with(|| b.0.cmp(a.0)));
            let (operation, fell) = most?;
            Some(SpanBreach {
                slo: objective.name.clone(),
                operation: told(operation),
                broken: (held.broken, held.all),
                share: fell.traces as f64 / all.max(1) as f64,
                example: fell.example.clone().unwrap_or_default(),
            })
        };
        self.objectives.iter().filter_map(breach).collect()
    }
}

/// `[service] operation`
fn told((service, operation): &(Arc<str>, Arc<str>)) -> Arc<str> {
    format!("[{service}] {operation}").into()
}

fn operations(totals: &Totals) -> Vec<OperationTime> {
    let mut all: Vec<_> = totals.operations.0.iter().collect();
    all.sort_by(|a, b| b.1.own.cmp(&a.1.own).then_with(|| a.0.cmp(b.0)));
    all.truncate(OPERATIONS);
    let time = |(operation, spent): (&(Arc<str>, Arc<str>), &super::tally::Spent)| {
        let own = spent.own as f64 / 1e6;
        OperationTime {
            service: operation.0.clone(),
            operation: operation.1.clone(),
            traces: spent.traces,
            own_ms: own / spent.traces.max(1) as f64,
            share: spent.own as f64 / totals.critical.max(1) as f64,
            saving_ms: own / 2.0 / totals.traces.max(1) as f64,
        }
    };
    all.into_iter().map(time).collect()
}

fn cascades(totals: &Totals) -> Vec<Cascade> {
    let mut all: Vec<_> = totals.falls.0.iter().collect();
    all.sort_by(|(a, x), (b, y)| y.traces.cmp(&x.traces).then_with(|| (&a.origin, &a.path).cmp(&(&b.origin, &b.path))));
    all.truncate(CASCADES);
    let cascade = |(fall, fell): (&super::tally::Fall, &super::tally::Fell)| Cascade {
        origin: told(&fall.origin),
        path: fall.path.clone(),
        traces: fell.traces,
        message: fell.message.clone(),
        example: fell.example.clone().unwrap_or_default(),
    };
    all.into_iter().map(cascade).collect()
}
