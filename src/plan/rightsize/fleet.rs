//! Advice for every container of a cluster: what was read of it, held against what its pods ask for now.

use super::super::whatif;
use super::step::{Advice, advise};
use super::{Asked, Resource, TooLittle, Usage};
use crate::model::pod::Resources;
use crate::model::sizing::{ContainerKey, Prices, Resize, Sizing, Sizings, UsageHistory, amounts, asked};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Works everything out; `None` if it was cancelled. Containers of workloads that are gone are left out.
pub fn all(history: &UsageHistory, snapshot: &Snapshot, now: Timestamp, cancel: &AtomicBool) -> Option<Sizings> {
    let (mut all, mut silent) = (Vec::new(), BTreeMap::new());
    for ((key, container), pods) in &history.containers {
        if cancel.load(Ordering::Relaxed) {
            return None;
        }
        let Some(workload) = snapshot.workload(key) else { continue };
        let Some(spec) = asked(workload, container).filter(|s| !s.init) else { continue };
        let hpas = snapshot.hpas.iter().filter(|h| h.target == *key);
        let based = |on: &str| hpas.clone().any(|h| h.resources.iter().any(|r| &**r == on));
        let usage = Usage {
            pods: (**pods).clone(),
            cpu: of(&spec.resources, "cpu"),
            memory: of(&spec.resources, "memory"),
            containers: workload.template.iter().filter(|s| !s.init).count().max(1),
            replicas: workload.live_pods().count(),
            hpa: (based("cpu"), based("memory")),
        };
        one(&(key.clone(), container.clone()), &usage, &mut all, &mut silent);
    }
    Some(Sizings {
        made: Some(now),
        read: history.read,
        all: all.into(),
        silent,
        refused: history.refused.clone(),
        failed: history.failed.clone(),
        prices: Prices::default(),
        autoscalers: snapshot.hpas.iter().map(|h| Arc::new(whatif::of(h, snapshot, now))).collect(),
    })
}

fn of(resources: &Resources, resource: &str) -> Asked {
    let (request, limit) = amounts(resources, resource);
    Asked { request, limit }
}

fn one(place: &ContainerKey, usage: &Usage, all: &mut Vec<Arc<Sizing>>, silent: &mut BTreeMap<ContainerKey, Arc<str>>) {
    for resource in [Resource::Cpu, Resource::Memory] {
        match advise(usage, resource) {
            Ok(advice) => all.push(Arc::new(said_of(place, resource, &advice))),
            Err(few @ (TooLittle::Samples(_) | TooLittle::Hours(_))) => {
                silent.insert(place.clone(), format!("{}: {few}", resource.name()).into());
            }
        }
    }
}

fn said_of((key, container): &ContainerKey, resource: Resource, advice: &Advice) -> Sizing {
    let name: Arc<str> = resource.name().into();
    let next = advice.new_request.map(|new_request| Resize {
        container: container.clone(),
        resource: name.clone(),
        request: advice.request,
        limit: advice.limit,
        new_request,
        new_limit: advice.new_limit,
    });
    Sizing {
        key: key.clone(),
        container: container.clone(),
        resource: name,
        request: advice.request,
        limit: advice.limit,
        target: advice.vpa.target,
        lower: advice.vpa.lower,
        upper: advice.vpa.upper,
        peak: advice.peak,
        days: advice.days,
        censored: advice.censored,
        next,
        waste: advice.waste,
        saving: advice.saving,
        why: advice.why.iter().map(|w| w.as_str().into()).collect(),
    }
}

/// Samples of a pod at one level, for tests.
#[cfg(test)]
pub fn steady(hours: u32, cpu: f64, memory: f64) -> Vec<super::Sample> {
    let sample = |hour: u32| super::Sample {
        time: f64::from(hour) * 3600.0,
        cpu: Some(cpu),
        memory: Some(memory),
        throttled: None,
        killed: false,
    };
    (0..hours).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures as fx;
    use crate::model::sizing::stands;
    use crate::plan::rightsize::Sample;

    fn history(pods: Vec<Vec<Sample>>) -> UsageHistory {
        let key = (fx::healthy("cart", 2).key, Arc::from("app"));
        UsageHistory { read: Some(fx::now()), containers: [(key, Arc::new(pods))].into(), ..UsageHistory::default() }
    }

    fn work_out(history: &UsageHistory, snapshot: &Snapshot) -> Sizings {
        all(history, snapshot, fx::now(), &AtomicBool::new(false)).unwrap()
    }

    #[test]
    fn every_container_is_held_against_what_its_pods_ask_for() {
        let snapshot = fx::snapshot(vec![fx::healthy("cart", 2)]);
        let told = work_out(&history(vec![steady(192, 0.5, 10e6); 2]), &snapshot);
        let cpu = told.all.iter().find(|s| &*s.resource == "cpu").unwrap();
        // 100m is asked for, and half a core is used: half more in one step
        let next = cpu.next.as_ref().unwrap();
        assert!(next.grows() && (next.new_request - 0.15).abs() < 1e-9, "{cpu:?}");
        assert!(cpu.waste.unwrap() < -0.8 && (cpu.saving.unwrap() + 0.1).abs() < 1e-9, "both pods count: {cpu:?}");
        assert_eq!(told.of(&cpu.key).count(), 2);
        assert!(stands(asked(&snapshot.workloads[0], "app").unwrap(), next));
    }

    #[test]
    fn too_little_is_told_and_gone_workloads_are_left_out() {
        let snapshot = fx::snapshot(vec![fx::healthy("cart", 2)]);
        let told = work_out(&history(vec![steady(20, 0.5, 10e6)]), &snapshot);
        assert!(told.all.is_empty() && told.silent.values().all(|w| w.contains("20 samples")), "{told:?}");
        assert_eq!(work_out(&history(vec![steady(192, 0.5, 10e6)]), &fx::snapshot(vec![])).all.len(), 0);
        let stop = AtomicBool::new(true);
        assert_eq!(all(&history(vec![steady(192, 0.5, 10e6)]), &snapshot, fx::now(), &stop), None);
    }

    #[test]
    fn pods_that_were_resized_in_place_speak_for_themselves() {
        let mut cart = fx::healthy("cart", 2);
        let resized = fx::container("app", "shop/cart:1", Some("96Mi"), Some("192Mi"));
        let row = |p: &Arc<crate::model::pod::PodRow>| {
            let mut p = (**p).clone();
            p.specs = Arc::from([resized.clone()]);
            Arc::new(p)
        };
        let one = [row(&cart.pods[0]), cart.pods[1].clone()];
        let both: Arc<[_]> = cart.pods.iter().map(row).collect();
        cart.pods = one.into();
        assert_eq!(asked(&cart, "app").unwrap(), &cart.template[0], "they differ: the template's");
        cart.pods = both;
        assert_eq!(asked(&cart, "app").unwrap(), &resized);
    }
}
