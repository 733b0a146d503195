//! Use against requests and limits, for pods and for whole workloads.

use super::show;
use crate::console::theme::{Glyphs, Role};
use crate::console::widgets::bar::share_role;
use crate::console::widgets::table::Cell;
use crate::console::widgets::unit::Unit;
use crate::model::cluster::Workload;
use crate::model::object::PodKey;
use crate::model::pod::ContainerSpec;
use crate::model::reading::Reading;
use crate::model::series::Signal;
use crate::model::snapshot::{MetricsView, SourceState};
use crate::model::time::Timestamp;
use chrono::TimeDelta;

/// What is asked for and allowed, in cores and bytes. `None`: at least one container does not say, so
/// there is no sum (and, for a limit, no bound).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[allow(missing_docs)]
pub struct Bounds {
    pub cpu_request: Option<f64>,
    pub cpu_limit: Option<f64>,
    pub memory_request: Option<f64>,
    pub memory_limit: Option<f64>,
}

impl Bounds {
    /// Of the containers of one pod, without init containers.
    pub fn of(specs: &[ContainerSpec]) -> Self {
        let sum = |f: &dyn Fn(&ContainerSpec) -> Option<f64>| {
            let mut main = specs.iter().filter(|s| !s.init).peekable();
            main.peek()?;
            main.map(f).sum::<Option<f64>>()
        };
        Self {
            cpu_request: sum(&|s| s.resources.cpu_request.as_ref().map(|a| a.value.cores())),
            cpu_limit: sum(&|s| s.resources.cpu_limit.as_ref().map(|a| a.value.cores())),
            memory_request: sum(&|s| s.resources.memory_request.as_ref().map(|a| a.value.0 as f64)),
            memory_limit: sum(&|s| s.resources.memory_limit.as_ref().map(|a| a.value.0 as f64)),
        }
    }

    /// Of all pods of a workload that should serve; without pods, of its template times the wanted pods.
    pub fn of_workload(workload: &Workload) -> Self {
        let mut pods = workload.live_pods().map(|p| Self::of(&p.specs)).peekable();
        if pods.peek().is_none() {
            let n = f64::from(workload.replicas.desired);
            let one = Self::of(&workload.template);
            let times = |v: Option<f64>| v.filter(|_| n > 0.0).map(|v| v * n);
            return Self {
                cpu_request: times(one.cpu_request),
                cpu_limit: times(one.cpu_limit),
                memory_request: times(one.memory_request),
                memory_limit: times(one.memory_limit),
            };
        }
        let add = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        pods.reduce(|a, b| Self {
            cpu_request: add(a.cpu_request, b.cpu_request),
            cpu_limit: add(a.cpu_limit, b.cpu_limit),
            memory_request: add(a.memory_request, b.memory_request),
            memory_limit: add(a.memory_limit, b.memory_limit),
        })
        .unwrap_or_default()
    }

    /// Request and limit that belong to a signal.
    pub fn for_signal(&self, signal: Signal) -> (Option<f64>, Option<f64>) {
        match signal {
            Signal::Cpu => (self.cpu_request, self.cpu_limit),
            Signal::Memory => (self.memory_request, self.memory_limit),
            _ => (None, None),
        }
    }
}

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

    #[test]
    fn one_container_without_a_limit_leaves_the_pod_without_one() {
        let spec = |limit: Option<u64>| ContainerSpec {
            name: "c".into(),
            image: "i".into(),
            resources: crate::model::pod::Resources {
                memory_limit: limit
                    .map(|v| crate::model::pod::Amount { value: crate::model::quantity::Bytes(v), raw: "".into() }),
                ..Default::default()
            },
            probes: crate::model::pod::Probes::default(),
            init: false,
        };
        assert_eq!(Bounds::of(&[spec(Some(1)), spec(Some(2))]).memory_limit, Some(3.0));
        assert_eq!(Bounds::of(&[spec(Some(1)), spec(None)]).memory_limit, None);
        assert_eq!(Bounds::of(&[]).memory_limit, None);
    }
}
