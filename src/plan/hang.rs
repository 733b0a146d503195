//! A deadlock: pods run, use no CPU and answer nobody although they are asked. Evidence first, then the hanging pods are
//! restarted one after the other (§5.0, §5.1).

use super::draft::Draft;
use super::risk::Change;
use super::{Ask, NoProposal, live, replace};
use crate::model::finding::Evidence;
use crate::model::object::PodKey;
use crate::model::plan::{Blast, Gate, Inverse, Op, Risk, Step, Strategy};
use crate::model::quantity::human_cores;
use crate::model::series::Signal;
use chrono::TimeDelta;
use serde_json::Value;

/// Share of its usual CPU below which a pod does nothing (§5.0).
const IDLE: f64 = 0.01;
/// Cores per pod that are usual at least: of one that never did much, nothing can be told.
const LEAST: f64 = 0.005;
/// What is usual is the median of this long.
const USUAL: TimeDelta = TimeDelta::hours(6);
/// A reading older than this says nothing about now.
const FRESH: TimeDelta = TimeDelta::minutes(2);
/// Requests per second at least: whom nobody asks may be idle.
const ASKED: f64 = 0.1;
/// Pods restarted by one plan.
const MOST: usize = 10;
/// Seconds between two of them, for the new one to start and to be asked.
const BETWEEN: u32 = 60;

/// What says that a pod hangs: `None` where it works, or where it cannot be told.
pub fn evidence(ask: &Ask<'_>, pod: &PodKey) -> Option<Evidence> {
    let workload = ask.workload().ok()?;
    let metrics = ask.snapshot.metrics.workloads.get(&workload.key)?;
    let called = ask.snapshot.metrics.calls.iter().filter(|c| c.callee == workload.key).map(|c| c.rate).sum::<f64>();
    let asked = metrics.now(Signal::RequestRate).fresh().unwrap_or(0.0).max(called);
    let usage = ask.snapshot.metrics.pods.get(pod).filter(|u| ask.now - u.at <= FRESH)?;
    let mut past: Vec<f64> = metrics
        .history(Signal::Cpu)
        .range(ask.now - USUAL, ask.now)
        .map(|(_, v)| v)
        .filter(|v| v.is_finite())
        .collect();
    past.sort_by(f64::total_cmp);
    let usual = past.get(past.len() / 2)? / f64::from(workload.replicas.desired.max(1));
    let cpu = f64::from(usage.cpu);
    (asked >= ASKED && usual >= LEAST && cpu <= usual * IDLE).then(|| {
        let says = format!(
            "{} cores, usually {}, while the workload is asked {asked:.1} times a second: its threads wait",
            human_cores(cpu),
            human_cores(usual)
        );
        Evidence::new(format!("prometheus cpu of pod {}", pod.name), says, Some(usage.at))
    })
}

/// Restarts every pod that the finding names, one after the other, if each of them is proven to hang.
pub fn restart(ask: &Ask<'_>) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    let object = ask.live()?;
    ask.metrics_fresh()?;
    let mut why = Vec::new();
    for pod in &ask.finding.pods {
        let Some(proof) = evidence(ask, pod) else {
            return Err(NoProposal::because(format!(
                "it is not proven that pod {} hangs: a restart would only destroy the evidence",
                pod.name
            )));
        };
        why.push(proof);
    }
    let named = |p: &&Value| ask.finding.pods.iter().any(|k| *k.name == *live::text(&p["metadata"]["name"]));
    let mut steps: Vec<Step> = Vec::new();
    for pod in ask.dossier.pods.iter().filter(named).take(MOST) {
        replace::check(ask, pod)?;
        if !steps.is_empty() {
            steps.push(wait(object, workload.key.object())?);
        }
        steps.push(live::evict_step(pod, Gate::None, "it hangs")?);
    }
    let count = steps.iter().filter(|s| s.writes()).count();
    if count == 0 {
        return Err(NoProposal::because("the hanging pods are gone, or were not fetched yet"));
    }
    let all = workload.live_pods().count();
    Ok(Draft {
        strategy: Strategy::Restart,
        title: format!(
            "{}/{}: restart the {count} pods that hang, one every {BETWEEN} s",
            workload.key.namespace, workload.key.name
        ),
        steps,
        change: Change::Evict,
        blast: Blast {
            pods: count as u32,
            share_down: 0.0,
            nodes: 0,
            text: format!("{count} of {all} pods, one after the other, which hang already; none that serves"),
        },
        effect: "new pods answer".into(),
        notes: vec![
            "what made them wait for each other is in the program and may come back".into(),
            "their threads and logs are gone afterwards: look at them first if you need them".into(),
        ],
        why,
        manifest: None,
        at_least: Risk::Low,
    })
}

fn wait(object: &Value, place: Option<crate::model::object::ObjectRef>) -> Result<Step, NoProposal> {
    let target = place.ok_or_else(|| NoProposal::because("kansole does not know this kind"))?;
    Ok(Step {
        title: format!("wait {BETWEEN} s for the new pod").into(),
        op: Op::Wait { seconds: BETWEEN },
        bound: live::bind(object, &target)?,
        target,
        inverse: Inverse::NotNeeded { why: "nothing is written".into() },
        gate: Gate::None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{self, Scenario};
    use super::*;
    use crate::model::finding::Fault;
    use crate::model::fixtures as fx;
    use crate::model::snapshot::PodUsage;
    use std::sync::Arc;

    /// `sick` of four pods are not ready and use `cpu` cores; usually the four use 0.4, and they are asked `rate` times a second.
    fn hangs(sick: usize, cpu: f32, rate: f64) -> Scenario {
        scenario::crashing(4, sick).edit(|s| {
            s.finding.fault = Fault::NotReady { why: "Readiness probe failed".into() };
            let mut rows: Vec<_> = fx::healthy("cart", 4).pods.iter().map(|p| (**p).clone()).collect();
            rows.iter_mut().take(sick).for_each(|p| fx::not_ready(p, 120, "ContainersNotReady", "app"));
            let workload = fx::deployment("cart", rows, fx::healthy("cart", 4).revisions.to_vec());
            s.snapshot = fx::with_metrics(
                fx::snapshot(vec![workload]),
                "cart",
                3600,
                &[(Signal::Cpu, &|ago| if ago < 120 { 0.1 } else { 0.4 }), (Signal::RequestRate, &move |_| rate)],
            );
            let usage = PodUsage { cpu, memory: 1.0, memory_share: None, throttled: None, at: fx::now() };
            s.snapshot.metrics.pods = Arc::new(s.finding.pods.iter().map(|p| (p.clone(), usage)).collect());
        })
    }

    #[test]
    fn pods_that_are_proven_to_hang_are_restarted_one_after_the_other() {
        let made = hangs(3, 0.0002, 5.0).run().unwrap();
        assert_eq!(made.strategy, Strategy::Restart, "{} {:?}", made.title, made.notes);
        let kinds: Vec<bool> = made.plan.steps.iter().map(Step::writes).collect();
        assert_eq!(kinds, [true, false, true, false, true], "with a wait between two");
        assert!(made.why.iter().any(|e| e.says.contains("its threads wait")), "{:?}", made.why);
    }

    #[test]
    fn without_proof_nothing_is_restarted() {
        assert_eq!(hangs(3, 0.05, 5.0).run().unwrap().strategy, Strategy::Advise, "it works");
        assert_eq!(hangs(3, 0.0002, 0.0).run().unwrap().strategy, Strategy::Advise, "nobody asks");
        let blind = hangs(3, 0.0002, 5.0).edit(|s| s.snapshot.metrics.pods = Arc::default());
        assert_eq!(blind.run().unwrap().strategy, Strategy::Advise, "nothing is measured");
    }
}
