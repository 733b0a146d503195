//! Reactive scaling (P8): more replicas where demand is above target and nobody else decides.
//!
//! desired = ceil(current × utilisation ÷ target), as the HPA counts, with its tolerance of 0.1; 20 % more where
//! more than 1 % of requests fail; at most twice the pods (or four more) at once; inside the bounds. Only upwards:
//! shrinking needs more proof than one reading.

use super::draft::{Draft, owners};
use super::risk::Change;
use super::{Ask, NoProposal, live};
use crate::config::settings::Planning;
use crate::model::finding::Evidence;
use crate::model::object::WorkloadKind;
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
    if let Some(owner) = owners(ask)?.iter().find(|o| o.owns_replicas() && !o.owns_spec()) {
        return Err(NoProposal::because(format!(
            "{owner} owns the replicas of {key}: raise its maximum if it stands there, or its target if it waits too long"
        )));
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
    let errors = metrics.and_then(|m| m.now(Signal::ErrorRate).fresh());
    let Some(wanted) = desired(current, utilisation, target, errors, ask.set) else {
        return Err(NoProposal::because(format!(
            "{current} replicas at {:.0} % of {resource} (target {:.0} %): within tolerance, or at the bound of {}",
            utilisation * 100.0,
            target * 100.0,
            ask.set.max_replicas
        )));
    };
    let (forth, back) = live::change(&["spec", "replicas"], &object["spec"]["replicas"], &json!(wanted));
    let title = format!("scale from {current} to {wanted} replicas");
    let sum = format!(
        "ceil({current} × {:.0} % ÷ {:.0} %){}, bounds {} to {}: {wanted}",
        utilisation * 100.0,
        target * 100.0,
        errors.filter(|e| *e > ERRORS).map_or(String::new(), |e| format!(
            " × {:.2} since {:.1} % of requests fail",
            1.0 + ask.set.error_buffer,
            e * 100.0
        )),
        ask.set.min_replicas,
        ask.set.max_replicas
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
