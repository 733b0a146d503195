//! Demand above target: what triggers reactive scaling (P8).
//!
//! Utilisation is use over request of the running pods, averaged over the last three minutes, and only from
//! fresh samples. The tolerance is the HPA's (0.1), so that the two would agree. A workload whose HPA still has
//! room is left to it; one whose HPA stands at its maximum is told.

use super::case::{Draft, Scene};
use crate::model::cluster::Workload;
use crate::model::finding::{Evidence, Fault, Severity, Subject};
use crate::model::object::WorkloadKind;
use crate::model::pod::Phase;
use crate::model::quantity::{human_bytes, human_cores};
use crate::model::series::Signal;
use chrono::TimeDelta;

/// Above target by no more than this is on target (HPA).
const TOLERANCE: f64 = 0.1;

/// Demand is averaged over this.
const WINDOW: TimeDelta = TimeDelta::minutes(3);

/// CPU and memory demand above target, the worse one first.
pub fn find(scene: &Scene<'_>, workload: &Workload) -> Vec<Draft> {
    let scalable =
        matches!(workload.key.kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::ReplicaSet);
    if !scalable || workload.replicas.desired == 0 || !scene.metrics_fresh() || hpa_has_room(scene, workload) {
        return Vec::new();
    }
    let mut found: Vec<(f64, Draft)> = [Signal::Cpu, Signal::Memory]
        .into_iter()
        .filter_map(|signal| {
            let (utilisation, used, requested) = utilisation(scene, workload, signal)?;
            let target = if signal == Signal::Cpu { scene.planning.cpu_target } else { scene.planning.memory_target };
            let over = utilisation / target;
            (target > 0.0 && over > 1.0 + TOLERANCE)
                .then(|| (over, draft(scene, workload, signal, utilisation, target, (used, requested))))
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, d)| d).take(1).collect()
}

fn hpa_has_room(scene: &Scene<'_>, workload: &Workload) -> bool {
    let hpa = scene.snapshot.hpas.iter().find(|h| h.target == workload.key);
    hpa.is_some_and(|h| h.current < h.max && h.blocked.is_none())
}

/// Use over request, use, and request of all running pods. `None` if anything is missing: a container without a
/// request has no utilisation.
fn utilisation(scene: &Scene<'_>, workload: &Workload, signal: Signal) -> Option<(f64, f64, f64)> {
    let metrics = scene.snapshot.metrics.workloads.get(&workload.key)?;
    metrics.now(signal).fresh()?;
    let samples: Vec<f64> = metrics.history(signal).range(scene.now - WINDOW, scene.now).map(|(_, v)| v).collect();
    let (last, _) = metrics.history(signal).last()?;
    if samples.len() < 2 || !scene.within(Some(last), scene.freshness()) {
        return None;
    }
    let mut requested = 0.0;
    for pod in workload.live_pods().filter(|p| p.phase == Phase::Running) {
        for spec in pod.specs.iter().filter(|s| !s.init) {
            requested += if signal == Signal::Cpu {
                spec.resources.cpu_request.as_ref()?.value.cores()
            } else {
                spec.resources.memory_request.as_ref()?.value.0 as f64
            };
        }
    }
    let used = samples.iter().sum::<f64>() / samples.len() as f64;
    (requested > 0.0).then(|| (used / requested, used, requested))
}

fn draft(
    scene: &Scene<'_>,
    workload: &Workload,
    signal: Signal,
    utilisation: f64,
    target: f64,
    (used, requested): (f64, f64),
) -> Draft {
    let show = |v: f64| if signal == Signal::Cpu { human_cores(v) } else { human_bytes(v) };
    let resource = signal.title();
    let key = &workload.key;
    let mut evidence = vec![Evidence::new(
        format!("prometheus {resource} of all pods, mean of 3m"),
        format!(
            "{} used of {} requested: {:.0} % (target {:.0} %)",
            show(used),
            show(requested),
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
        severity: if utilisation >= 1.0 { Severity::High } else { Severity::Warning },
        title: format!(
            "{}/{}: {resource} at {:.0} % of its request, target {:.0} %",
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
