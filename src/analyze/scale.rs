//! Demand above target: what triggers reactive scaling (P8).
//!
//! CPU is held against requests, as the HPA does. Memory is held against limits where every container has one:
//! using more than was requested is no trouble while nothing is killed for it. Both are means over the running
//! pods and the last three minutes, and only from fresh samples. The tolerance is the HPA's (0.1), so that the two would agree. A workload whose HPA still has
//! room is left to it; one whose HPA stands at its maximum is told.

use super::case::{Draft, Scene};
use crate::model::cluster::{Revision, Workload};
use crate::model::finding::{Evidence, Fault, Severity, Subject};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::pod::{Phase, Resources};
use crate::model::quantity::{human_bytes, human_cores};
use crate::model::series::Signal;
use chrono::TimeDelta;
use std::collections::HashSet;
use std::sync::Arc;

/// Above target by no more than this is on target (HPA).
const TOLERANCE: f64 = 0.1;

/// Share of the memory limit from which a kill is near.
const NEAR_LIMIT: f64 = 0.95;

/// So long after a rollout that changed what containers ask for, use and base are of two templates.
const SETTLED: TimeDelta = TimeDelta::minutes(5);

/// Whether the newest revision is young and asks for other resources than the one before.
fn is_rebased(scene: &Scene<'_>, workload: &Workload) -> bool {
    let [newest, before, ..] = &*workload.revisions else { return false };
    let asks = |r: &Revision| r.template.iter().map(|c| (c.name.clone(), c.resources.clone())).collect::<Vec<_>>();
    scene.within(Some(newest.created), SETTLED) && asks(newest) != asks(before)
}

/// Demand is averaged over this.
const WINDOW: TimeDelta = TimeDelta::minutes(3);

/// So many calls away from what is broken, demand is no demand: callers ask again, and those behind them are asked more.
const NEAR: usize = 2;

/// Demand of every workload that has no trouble of its own and none near it.
///
/// When a database is gone, its callers try again and again, and everything that these call is asked more often. More pods
/// of them would only ask more: what is broken is healed first.
pub fn all(scene: &Scene<'_>, drafts: &[Draft]) -> Vec<Draft> {
    let of = |d: &Draft| if let Subject::Workload(key) = &d.subject { Some(key.clone()) } else { None };
    let troubled: HashSet<WorkloadKey> = drafts.iter().filter_map(of).collect();
    let mut near: HashSet<WorkloadKey> =
        drafts.iter().filter(|d| d.severity >= Severity::High).filter_map(of).collect();
    for _ in 0..NEAR {
        let calls = scene.snapshot.metrics.calls.iter();
        let next: Vec<WorkloadKey> = calls
            .flat_map(|c| [(&c.caller, &c.callee), (&c.callee, &c.caller)])
            .filter(|(from, to)| near.contains(*from) && !near.contains(*to))
            .map(|(_, to)| to.clone())
            .collect();
        near.extend(next);
    }
    let calm = |w: &&Arc<Workload>| !troubled.contains(&w.key) && !near.contains(&w.key);
    scene.snapshot.workloads.iter().filter(calm).flat_map(|w| find(scene, w)).collect()
}

/// CPU and memory demand above target, the worse one first.
fn find(scene: &Scene<'_>, workload: &Workload) -> Vec<Draft> {
    let scalable =
        matches!(workload.key.kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::ReplicaSet);
    if !scalable
        || workload.replicas.desired == 0
        || !scene.metrics_fresh()
        || hpa_has_room(scene, workload)
        || is_rebased(scene, workload)
    {
        return Vec::new();
    }
    let mut found: Vec<(f64, Draft)> = [Signal::Cpu, Signal::Memory]
        .into_iter()
        .filter_map(|signal| {
            let (utilisation, used, base) = utilisation(scene, workload, signal)?;
            let target = if signal == Signal::Cpu { scene.planning.cpu_target } else { scene.planning.memory_target };
            let over = utilisation / target;
            (target > 0.0 && over > 1.0 + TOLERANCE)
                .then(|| (over, draft(scene, workload, signal, utilisation, target, (used, base))))
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, d)| d).take(1).collect()
}

fn hpa_has_room(scene: &Scene<'_>, workload: &Workload) -> bool {
    let hpa = scene.snapshot.hpas.iter().find(|h| h.target == workload.key);
    hpa.is_some_and(|h| h.current < h.max && h.blocked.is_none())
}

/// What use is held against, in cores or bytes, and what that is called.
type Base = (f64, &'static str);

/// Use over its base, use, and base. `None` if anything is missing: a container without a request has no
/// utilisation.
fn utilisation(scene: &Scene<'_>, workload: &Workload, signal: Signal) -> Option<(f64, f64, Base)> {
    let metrics = scene.snapshot.metrics.workloads.get(&workload.key)?;
    metrics.now(signal).fresh()?;
    let samples: Vec<f64> = metrics.history(signal).range(scene.now - WINDOW, scene.now).map(|(_, v)| v).collect();
    let (last, _) = metrics.history(signal).last()?;
    if samples.len() < 2 || !scene.within(Some(last), scene.freshness()) {
        return None;
    }
    let base = if signal == Signal::Cpu {
        (sum(workload, |r| Some(r.cpu_request.as_ref()?.value.cores()))?, "request")
    } else {
        sum(workload, |r| Some(r.memory_limit.as_ref()?.value.0 as f64))
            .map(|v| (v, "limit"))
            .or_else(|| Some((sum(workload, |r| Some(r.memory_request.as_ref()?.value.0 as f64))?, "request")))?
    };
    let used = samples.iter().sum::<f64>() / samples.len() as f64;
    (base.0 > 0.0).then(|| (used / base.0, used, base))
}

/// Sum of one amount over all containers of all running pods; `None` if any has none.
fn sum(workload: &Workload, amount: impl Fn(&Resources) -> Option<f64>) -> Option<f64> {
    let running = workload.live_pods().filter(|p| p.phase == Phase::Running);
    running.flat_map(|p| p.specs.iter().filter(|s| !s.init)).map(|s| amount(&s.resources)).sum()
}

fn draft(
    scene: &Scene<'_>,
    workload: &Workload,
    signal: Signal,
    utilisation: f64,
    target: f64,
    (used, (base, base_name)): (f64, Base),
) -> Draft {
    let show = |v: f64| if signal == Signal::Cpu { human_cores(v) } else { human_bytes(v) };
    let resource = signal.title();
    let key = &workload.key;
    let mut evidence = vec![Evidence::new(
        format!("prometheus {resource} of all pods, mean of 3m"),
        format!(
            "{} used, {base_name} {}: {:.0} % (target {:.0} %)",
            show(used),
            show(base),
            utilisation * 100.0,
            target * 100.0
        ),
        Some(scene.now),
    )];
    let hpa = scene.snapshot.hpas.iter().find(|h| h.target == *key);
    evidence.extend(hpa.map(|h| {
        let says = match &h.blocked {
            Some((reason, message)) => format!("cannot scale: {reason}: {message}"),
            None => format!("stands at its maximum of {} replicas", h.max),
        };
        Evidence::new(format!("hpa {}/{} status", h.namespace, h.name), says, Some(scene.now))
    }));
    Draft {
        fault: Fault::Saturated { resource: resource.into(), utilisation, target },
        subject: Subject::Workload(key.clone()),
        detail: Some(resource.to_owned()),
        // Above its CPU request a pod still runs; near its memory limit it is about to be killed.
        severity: if signal == Signal::Memory && base_name == "limit" && utilisation >= NEAR_LIMIT {
            Severity::High
        } else {
            Severity::Warning
        },
        title: format!(
            "{}/{}: {resource} at {:.0} % of its {base_name}, target {:.0} %",
            key.namespace,
            key.name,
            utilisation * 100.0,
            target * 100.0
        ),
        evidence,
        pods: Vec::new(),
        related: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::Analyzer;
    use crate::config::settings::{Analyze, Planning};
    use crate::model::failure::Call;
    use crate::model::fixtures as fx;

    /// Classes found where `worker` needs more CPU than it asked for, calls `db`, and is called by `queue`; `front` is far.
    fn found(edit: impl Fn(&mut Workload), calls: &[(&str, &str)]) -> Vec<String> {
        let mut db = fx::healthy("db", 3);
        edit(&mut db);
        let mut snapshot = fx::snapshot(vec![db, fx::healthy("worker", 3)]);
        snapshot = fx::with_metrics(snapshot, "worker", 600, &[(Signal::Cpu, &|_| 0.3)]);
        let key = |name: &str| WorkloadKey::new("shop", WorkloadKind::Deployment, name);
        snapshot.metrics.calls = calls
            .iter()
            .map(|(caller, callee)| Call {
                caller: key(caller),
                callee: key(callee),
                rate: 5.0,
                failed: None,
                took_ms: [None; 3],
            })
            .collect();
        let findings = Analyzer::new().analyze(&snapshot, &Analyze::default(), &Planning::default(), &[], fx::now());
        findings.iter().map(|f| f.id.to_string()).collect()
    }

    #[test]
    fn demand_near_something_broken_is_no_demand() {
        const DEMAND: &str = "saturated:shop/Deployment/worker:cpu";
        let broken = |w: &mut Workload| {
            let mut pods: Vec<_> = w.pods.iter().map(|p| (**p).clone()).collect();
            for pod in &mut pods {
                fx::crashed(pod, "Error", 1, 6, 5, 30);
            }
            w.pods = pods.into_iter().map(Arc::new).collect();
        };
        let has = |found: Vec<String>| found.iter().any(|id| id == DEMAND);
        assert!(has(found(|_| {}, &[("worker", "db")])), "nothing is broken");
        assert!(!has(found(broken, &[("worker", "db")])), "what it calls is broken");
        assert!(!has(found(broken, &[("queue", "db"), ("queue", "worker")])), "who calls it asks again and again");
        assert!(has(found(broken, &[("a", "db"), ("b", "a"), ("b", "worker")])), "it is far away");
    }
}
