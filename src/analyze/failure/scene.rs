//! All workloads at one moment, and who calls whom: what each one sees of its neighbours.

use super::sight::Sight;
use super::window::Window;
use crate::model::failure::{Call, Past, State, TimeToFailure};
use crate::model::object::WorkloadKey;
use crate::model::series::Signal;
use std::collections::{BTreeMap, BTreeSet};

/// A workload that is called.
#[derive(Debug, Clone, PartialEq)]
pub struct Callee {
    /// Which one.
    pub key: WorkloadKey,
    /// How it is.
    pub state: Option<State>,
    /// Share of our calls that fail.
    pub failed: Option<f64>,
    /// Our calls over our requests; `None`: our requests are not measured.
    pub per_request: Option<f64>,
    /// Whether it becomes slower or fails more, by its trends.
    pub worsens: bool,
    /// The worst of what it calls itself that fails, and how that is.
    pub behind: Option<(WorkloadKey, State)>,
    /// When it reaches a limit.
    pub time: Option<TimeToFailure>,
    /// Its p99 over its own past.
    pub slower: Option<f64>,
    /// Its share of errors and its p99 over what makes it unhealthy, whichever is worse.
    pub near: Option<f64>,
    /// Its CPU, and its memory, over their limits.
    pub cpu: Option<f64>,
    #[allow(missing_docs)]
    pub memory: Option<f64>,
    /// Its ready pods over wanted ones.
    pub ready: Option<f64>,
    /// Whether nothing of it is wanted any more.
    pub gone: bool,
}

/// What a workload has around it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Around {
    /// What it calls; empty where nobody measures calls.
    pub callees: Vec<Callee>,
    /// Whether calls are measured anywhere: else nothing can be said of dependencies.
    pub known: bool,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scene {
    /// What each workload's window shows.
    pub sights: BTreeMap<WorkloadKey, Sight>,
    calls: Vec<Call>,
}

impl Scene {
    /// Looks at windows.
    pub fn new(windows: impl IntoIterator<Item = (WorkloadKey, Window)>, calls: Vec<Call>) -> Self {
        Self { sights: windows.into_iter().map(|(key, window)| (key, Sight::new(&window))).collect(), calls }
    }

    /// The scene at slot `end` of a past, as far as these records (by number) see it: they themselves, what they call, and
    /// what that calls.
    pub fn of_past(past: &Past, end: usize, wanted: &[usize]) -> Self {
        let measured = past.calls.iter().filter(|c| c.rate.get(end).is_some_and(|r| *r > 0.0));
        let calls: Vec<Call> = measured
            .map(|c| Call {
                caller: c.caller.clone(),
                callee: c.callee.clone(),
                rate: f64::from(c.rate[end]),
                failed: c.failed.get(end).filter(|f| f.is_finite()).map(|f| f64::from(*f)),
                took_ms: [None; 3],
            })
            .collect();
        let mut needed: BTreeSet<&WorkloadKey> = wanted.iter().map(|r| &past.records[*r].key).collect();
        for _ in 0..2 {
            let called: Vec<&WorkloadKey> =
                calls.iter().filter(|c| needed.contains(&c.caller)).map(|c| &c.callee).collect();
            needed.extend(called);
        }
        let seen = past.records.iter().filter(|r| needed.contains(&r.key));
        let windows: Vec<_> = seen.map(|r| (r.key.clone(), Window::of_record(r, end, past.step))).collect();
        Self::new(windows, calls)
    }

    /// What `key` has around it.
    pub fn around(&self, key: &WorkloadKey) -> Around {
        let callees = self.calls.iter().filter(|c| c.caller == *key && c.callee != *key);
        Around { callees: callees.map(|c| self.callee(c)).collect(), known: !self.calls.is_empty() }
    }

    fn callee(&self, call: &Call) -> Callee {
        let sight = self.sights.get(&call.callee);
        let behind = self.calls.iter().filter(|c| c.caller == call.callee && c.callee != call.caller);
        let failing = behind.filter_map(|c| Some((c.callee.clone(), self.sights.get(&c.callee)?.state?)));
        Callee {
            key: call.callee.clone(),
            state: sight.and_then(|s| s.state),
            failed: call.failed,
            per_request: self.sights.get(&call.caller).and_then(|own| {
                let requests = own.level(Signal::RequestRate).now.filter(|r| *r > 0.0)?;
                Some(call.rate / requests)
            }),
            worsens: sight.is_some_and(|s| s.worsens.is_some()),
            behind: failing.filter(|(_, s)| s.is_failure()).max_by_key(|(_, s)| *s),
            time: sight.and_then(|s| s.memory?.reaches()),
            slower: sight.and_then(|s| s.level(Signal::LatencyP99).ratio()),
            near: sight.and_then(|s| s.near),
            cpu: sight.and_then(|s| Some(s.cpu?.level)),
            memory: sight.and_then(|s| Some(s.memory?.level)),
            ready: sight.and_then(|s| s.ready),
            gone: sight.is_some_and(|s| s.gone),
        }
    }
}
