//! Reactive scaling (P8): more replicas where demand is above target and nobody else decides.
//!
//! desired = ceil(current × utilisation ÷ target), as the HPA counts, with its tolerance of 0.1; 20 % more where
//! more than 1 % of requests fail; at most twice the pods (or four more) at once; inside the bounds. Only upwards:
//! shrinking needs more proof than one reading. Where an HPA owns the replicas and stands at its maximum, its maximum is
//! what is raised (§5.4); a replica count that somebody set to nothing is put back.

use super::draft::{Draft, owners};
use super::risk::Change;
use super::{Ask, NoProposal, live, room};
use crate::config::settings::Planning;
use crate::model::cluster::{Owner, Workload};
use crate::model::finding::Evidence;
use crate::model::object::{ObjectRef, Resource, WorkloadKey, WorkloadKind};
use crate::model::plan::{Blast, Risk, Strategy};
use crate::model::series::Signal;
use crate::model::time::short;
use chrono::TimeDelta;
use serde_json::json;

const TOLERANCE: f64 = 0.1;

/// Share of failed requests from which the buffer is added.
const ERRORS: f64 = 0.01;

/// The replicas wanted; `None` if demand is within tolerance or the bounds leave no room.
pub fn desired(current: u32, utilisation: f64, target: f64, errors: Option<f64>, set: &Planning) -> Option<u32> {
    let ratio = utilisation / target;
    if !ratio.is_finite() || ratio <= 1.0 + TOLERANCE {
        return None;
    }
    let mut wanted = (f64::from(current) * ratio).ceil();
    if errors.is_some_and(|e| e > ERRORS) {
        wanted = (wanted * (1.0 + set.error_buffer.max(0.0))).ceil();
    }
    let step = current.saturating_mul(2).max(current.saturating_add(4));
    let bounded = (wanted.min(f64::from(step)) as u32).clamp(set.min_replicas.min(set.max_replicas), set.max_replicas);
    (bounded > current).then_some(bounded)
}

/// Plans the scale-up.
pub fn plan(ask: &Ask<'_>, resource: &str, utilisation: f64, target: f64) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    let object = ask.live()?;
    let key = &workload.key;
    ask.metrics_fresh()?;
    let signal = if resource == "cpu" { Signal::Cpu } else { Signal::Memory };
    let metrics = ask.snapshot.metrics.workloads.get(key);
    if metrics.and_then(|m| m.now(signal).fresh()).is_none() {
        return Err(NoProposal::because(format!("there is no fresh {resource} reading of {key}")));
    }
    let errors = metrics.and_then(|m| m.now(Signal::ErrorRate).fresh());
    if let Some(owner) = owners(ask)?.iter().find(|o| o.owns_replicas() && !o.owns_spec()) {
        return match owner {
            Owner::Hpa(name) => raise_maximum(ask, key, name, resource, (utilisation, target), errors),
            _ => Err(NoProposal::because(format!(
                "{owner} owns the replicas of {key}: raise its maximum if it stands there, or its target if it waits too long"
            ))),
        };
    }
    if let Some(gap) = ask
        .dossier
        .gaps
        .iter()
        .find(|g| ["hpa", "horizontal", "scaledobject"].iter().any(|w| g.to_lowercase().contains(w)))
    {
        return Err(NoProposal::because(format!("it cannot be told who owns the replicas ({gap})")));
    }
    if let Some(since) = ask.history.last_scale_up(key).map(|t| ask.now - t) {
        let rest = TimeDelta::from_std(ask.set.cooldown_up).unwrap_or(TimeDelta::zero()) - since;
        if rest > TimeDelta::zero() {
            return Err(NoProposal::because(format!(
                "it was scaled up {} ago; the next is possible in {}",
                short(since),
                short(rest)
            )));
        }
    }
    let place = match key.kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::ReplicaSet => key.object(),
        _ => None,
    };
    let (Some(place), Some(current)) = (place, object["spec"]["replicas"].as_u64().and_then(|n| u32::try_from(n).ok()))
    else {
        return Err(NoProposal::because(format!("{key} has no replica count of its own")));
    };
    let reckoned = desired(current, utilisation, target, errors, ask.set);
    let Some(wanted) = ask.wanted_replicas(current + 1)?.or(reckoned) else {
        return Err(NoProposal::because(format!(
            "{current} replicas at {:.0} % of {resource} (target {:.0} %): within tolerance, or at the bound of {}",
            utilisation * 100.0,
            target * 100.0,
            ask.set.max_replicas
        )));
    };
    let (wanted, cut) = within_room(ask, workload, current, wanted)?;
    let (forth, back) = live::change(&["spec", "replicas"], &object["spec"]["replicas"], &json!(wanted));
    let title = format!("scale from {current} to {wanted} replicas");
    let sum = format!(
        "ceil({current} × {:.0} % ÷ {:.0} %){}, bounds {} to {}{cut}: {}",
        utilisation * 100.0,
        target * 100.0,
        errors.filter(|e| *e > ERRORS).map_or(String::new(), |e| format!(
            " × {:.2} since {:.1} % of requests fail",
            1.0 + ask.set.error_buffer,
            e * 100.0
        )),
        ask.set.min_replicas,
        ask.set.max_replicas,
        reckoned.map_or_else(|| "no change".to_owned(), |n| n.to_string())
    );
    let mut notes =
        vec!["new pods need room on the nodes and in the quota; unschedulable pods would be found".to_owned()];
    if resource != "cpu" {
        notes.push("more replicas help memory only if it grows with load".to_owned());
    }
    Ok(Draft {
        strategy: Strategy::Scale,
        title: format!("{}/{}: {title}", key.namespace, key.name),
        steps: vec![live::patch_step(title, object, place, forth, back, Some("scale"))?],
        change: Change::ScaleUp,
        blast: Blast {
            pods: wanted - current,
            share_down: 0.0,
            nodes: 0,
            text: format!("{} new pods; none stops", wanted - current),
        },
        effect: format!(
            "{resource} falls to about {:.0} % of its request",
            utilisation * 100.0 * f64::from(current) / f64::from(wanted)
        ),
        notes,
        why: vec![Evidence::new(format!("{key} spec.replicas"), sum, Some(ask.dossier.taken))],
        manifest: Some(json!({"spec": {"replicas": wanted}})),
        at_least: Risk::Low,
    })
}

/// No more pods than the nodes have room for, and what to say if that cut it: pods that find no node serve nobody, and the
/// workload counts as not complete for as long as they wait.
fn within_room(ask: &Ask<'_>, workload: &Workload, current: u32, wanted: u32) -> Result<(u32, String), NoProposal> {
    match room::for_more(ask.snapshot, workload) {
        Some(0) => Err(NoProposal::because(format!(
            "demand is above target, but no node has room for another pod of {}: add a node, or lower the requests of something else",
            workload.key
        ))),
        Some(room) if current.saturating_add(room) < wanted => {
            let most = current + room;
            if ask.wanted.is_some() {
                return Err(NoProposal::because(format!(
                    "{wanted} replicas are too many: the nodes have room for {most}"
                )));
            }
            Ok((most, format!(", room on the nodes for {room} more")))
        }
        _ => Ok((wanted, String::new())),
    }
}

/// The HPA stands at its maximum and demand is above target: its maximum grows, and the HPA decides.
fn raise_maximum(
    ask: &Ask<'_>,
    key: &WorkloadKey,
    name: &str,
    resource: &str,
    (utilisation, target): (f64, f64),
    errors: Option<f64>,
) -> Result<Draft, NoProposal> {
    let live = ask
        .dossier
        .autoscalers
        .iter()
        .find(|a| a["kind"] == "HorizontalPodAutoscaler" && live::text(&a["metadata"]["name"]) == name);
    let Some(live) = live else {
        return Err(NoProposal::because(format!("HPA {name} was not fetched yet")));
    };
    let number = |v: &serde_json::Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
    let (max, current) = (number(&live["spec"]["maxReplicas"]), number(&live["status"]["currentReplicas"]));
    let (Some(max), Some(current)) = (max, current) else {
        return Err(NoProposal::because(format!("HPA {name} does not say what its maximum and its present count are")));
    };
    if current < max {
        return Err(NoProposal::because(format!("HPA {name} has room: {current} of at most {max}; it decides")));
    }
    let by_hand = ask.wanted_replicas(max + 1)?;
    let Some(wanted) = by_hand.or_else(|| desired(max, utilisation, target, errors, ask.set)) else {
        return Err(NoProposal::because(format!(
            "HPA {name} stands at its maximum of {max}; kansole raises none above {} (plan.max_replicas)",
            ask.set.max_replicas
        )));
    };
    let (wanted, cut) = within_room(ask, ask.workload()?, max, wanted)?;
    let (forth, back) = live::change(&["spec", "maxReplicas"], &live["spec"]["maxReplicas"], &json!(wanted));
    let place = ObjectRef::namespaced(Resource::HPAS, key.namespace.clone(), name);
    let title = format!("raise the maximum of HPA {name} from {max} to {wanted}");
    Ok(Draft {
        strategy: Strategy::Scale,
        title: format!("{}/{}: {title}", key.namespace, key.name),
        steps: vec![live::patch_step(title, live, place, forth, back, None)?],
        change: Change::ScaleUp,
        blast: Blast {
            pods: wanted - max,
            share_down: 0.0,
            nodes: 0,
            text: format!("up to {} new pods, as the HPA decides; none stops", wanted - max),
        },
        effect: format!("the HPA may follow {resource} above {max} pods"),
        notes: vec![
            "new pods need room on the nodes and in the quota; the maximum stays until you undo this".to_owned(),
        ],
        why: vec![Evidence::new(
            format!("HPA {}/{name}", key.namespace),
            format!(
                "at its maximum of {max}, and {resource} is at {:.0} % (target {:.0} %){cut}",
                utilisation * 100.0,
                target * 100.0
            ),
            Some(ask.dossier.taken),
        )],
        manifest: None,
        at_least: Risk::Low,
    })
}

/// Puts back the replicas of a workload that somebody scaled to nothing.
pub fn restore(ask: &Ask<'_>, was: u32) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    let object = ask.live()?;
    let key = &workload.key;
    if let Some(owner) = owners(ask)?.iter().find(|o| o.owns_replicas() && !o.owns_spec()) {
        return Err(NoProposal::because(format!("{owner} owns the replicas of {key}: look why it wants none")));
    }
    let place = key.object().filter(|_| object["spec"]["replicas"] == 0);
    let Some(place) = place else {
        return Err(NoProposal::because(format!("{key} is not at zero any more")));
    };
    let wanted = ask.wanted_replicas(1)?.unwrap_or_else(|| was.clamp(1, ask.set.max_replicas.max(1)));
    let (forth, back) = live::change(&["spec", "replicas"], &object["spec"]["replicas"], &json!(wanted));
    let title = format!("scale back from 0 to {wanted} replicas");
    Ok(Draft {
        strategy: Strategy::Scale,
        title: format!("{}/{}: {title}", key.namespace, key.name),
        // Not through `scale`: a Scale leaves out a count of zero, and then there is nothing to test.
        steps: vec![live::patch_step(title, object, place, forth, back, None)?],
        change: Change::Restore,
        blast: Blast { pods: wanted, share_down: 0.0, nodes: 0, text: format!("{wanted} new pods; none stops") },
        effect: "its pods are ready again, and those that call it recover".into(),
        notes: vec![
            "ask who scaled it down, and whether their work is done: managedFields of the object name them".into(),
        ],
        why: Vec::new(),
        manifest: Some(json!({"spec": {"replicas": wanted}})),
        at_least: Risk::Medium,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_as_the_hpa_does() {
        let set = Planning::default();
        for (current, utilisation, errors, want) in [
            (3, 1.05, None, Some(5)), // ceil(3 × 1.5)
            (3, 0.77, None, None),    // 1.1 is within tolerance
            (3, 0.78, None, Some(4)),
            (3, 1.05, Some(0.02), Some(6)), // 20 % more
            (3, 1.05, Some(0.01), Some(5)),
            (2, 70.0, None, Some(6)), // at most four more
            (10, 70.0, None, Some(20)),
            (20, 2.0, None, None), // at the bound
            (3, f64::NAN, None, None),
            (0, 2.0, None, Some(1)),
        ] {
            let got = desired(current, utilisation, 0.7, errors, &set);
            assert_eq!(got.filter(|_| current > 0), want.filter(|_| current > 0), "{current} {utilisation} {errors:?}");
        }
    }

    proptest! {
        #[test]
        fn a_scale_stays_inside_its_bounds_and_never_shrinks(
            current in 0u32..100, utilisation in 0.0f64..1e6, target in 0.01f64..1.0, errors in proptest::option::of(0.0f64..1.0),
            min in 0u32..30, max in 0u32..30,
        ) {
            let set = Planning { min_replicas: min, max_replicas: max, ..Planning::default() };
            if let Some(n) = desired(current, utilisation, target, errors, &set) {
                prop_assert!(n > current && n <= max);
            }
        }
    }
}
