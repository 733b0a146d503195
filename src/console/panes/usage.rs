//! Use against requests and limits, for pods and for whole workloads.

use super::show;
use crate::console::theme::{Glyphs, Role};
use crate::console::widgets::bar::share_role;
use crate::console::widgets::table::Cell;
use crate::console::widgets::unit::Unit;
pub use crate::model::bounds::Bounds;
use crate::model::cluster::Workload;
use crate::model::object::PodKey;
use crate::model::reading::Reading;
use crate::model::series::Signal;
use crate::model::snapshot::{MetricsView, SourceState};
use crate::model::time::Timestamp;
use chrono::TimeDelta;

/// What was measured, as readings.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Usage {
    pub cpu: Reading,
    pub memory: Reading,
}

/// Why nothing is there: the server has no such series, or it could not be asked.
fn nothing(metrics: &MetricsView) -> Reading {
    match &metrics.state {
        SourceState::Failed { why, .. } => Reading::Failed { why: why.clone() },
        SourceState::Denied { why } => Reading::Failed { why: why.clone() },
        _ => Reading::Absent,
    }
}

/// The latest use of a workload.
pub fn of_workload(metrics: &MetricsView, workload: &Workload) -> Usage {
    match metrics.workloads.get(&workload.key) {
        Some(m) => Usage { cpu: m.now(Signal::Cpu).clone(), memory: m.now(Signal::Memory).clone() },
        None => Usage { cpu: nothing(metrics), memory: nothing(metrics) },
    }
}

/// The latest use of a pod. Older than two steps (at least 45 s) it is stale.
pub fn of_pod(metrics: &MetricsView, key: &PodKey, now: Timestamp) -> Usage {
    let limit = TimeDelta::seconds((i64::from(metrics.step) * 2).max(45));
    match metrics.pods.get(key) {
        Some(u) => Usage {
            cpu: Reading::from_sample(f64::from(u.cpu), u.at, now, limit),
            memory: Reading::from_sample(f64::from(u.memory), u.at, now, limit),
        },
        None => Usage { cpu: nothing(metrics), memory: nothing(metrics) },
    }
}

/// A share of a bound as a cell: a percentage, the sign of a missing number, or `none` without a bound.
pub fn share(reading: &Reading, bound: Option<f64>, glyphs: &Glyphs) -> Cell<'static> {
    let Some(bound) = bound.filter(|b| *b > 0.0) else { return Cell::muted("none") };
    match reading {
        Reading::Value { value, .. } => Cell::new(format!("{:.0}%", value / bound * 100.0), share_role(value / bound)),
        Reading::Zero { .. } => Cell::plain("0%"),
        Reading::Stale { value, .. } => Cell::new(format!("{:.0}%", value / bound * 100.0), Role::Stale),
        Reading::Absent => Cell::new(show::absent(glyphs), Role::Stale),
        Reading::Failed { .. } => Cell::new(show::FAILED, Role::Stale),
    }
}

/// More than was requested is allowed and no reason to worry.
fn of_request(cell: Cell<'static>) -> Cell<'static> {
    if cell.role == Role::Stale { cell } else { Cell::plain(cell.text) }
}

/// The six cells CPU, %CPU/R, %CPU/L, MEM, %MEM/R, %MEM/L.
pub fn cells(usage: &Usage, bounds: &Bounds, now: Timestamp, glyphs: &Glyphs) -> [Cell<'static>; 6] {
    [
        show::reading(&usage.cpu, Unit::Cores, now, glyphs),
        of_request(share(&usage.cpu, bounds.cpu_request, glyphs)),
        share(&usage.cpu, bounds.cpu_limit, glyphs),
        show::reading(&usage.memory, Unit::Bytes, now, glyphs),
        of_request(share(&usage.memory, bounds.memory_request, glyphs)),
        share(&usage.memory, bounds.memory_limit, glyphs),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_without_a_number_or_a_bound_is_never_a_percentage() {
        let g = Glyphs::UNICODE;
        assert_eq!(&*share(&Reading::Absent, Some(1.0), &g).text, "–");
        assert_eq!(&*share(&Reading::Failed { why: "x".into() }, Some(1.0), &g).text, "?");
        assert_eq!(&*share(&Reading::Value { value: 0.5, at: Timestamp::UNIX_EPOCH }, None, &g).text, "none");
        let over = share(&Reading::Value { value: 1.9, at: Timestamp::UNIX_EPOCH }, Some(2.0), &g);
        assert_eq!((&*over.text, over.role), ("95%", Role::Bad));
    }
}
