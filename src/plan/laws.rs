//! Laws of every patch that is proposed.

use super::scenario::{Scenario, leak, oom_at, release, saturated, sick_node};
use crate::model::cluster::NodeTrouble;
use crate::model::plan::{Bound, Inverse, Op, Proposal};
use crate::model::quantity::{Bytes, MIB};
use json_patch::{Patch, PatchOperation};
use proptest::prelude::*;
use serde_json::Value;

/// Applies every patch and then its inverse to the live object, and checks what must hold at each step.
fn obeys(scenario: &Scenario, proposal: &Proposal) {
    let original = scenario.dossier.object.clone().unwrap();
    let mut live = original.clone();
    for step in &proposal.plan.steps {
        let (Op::Patch { patch: forth, .. }, Inverse::Patch { patch: back }) = (&step.op, &step.inverse) else {
            continue;
        };
        assert_eq!(Some(&step.bound), Bound::to(&original).as_ref());
        assert!(tests_something(forth) && tests_something(back));
        json_patch::patch(&mut live, forth).expect("tests hold on the live object");
        assert_ne!(live, original, "a plan changes something");
        assert!(json_patch::patch(&mut live.clone(), forth).is_err() || idempotent(forth), "a second time is noticed");
        json_patch::patch(&mut live, back).expect("the inverse tests what was written");
        assert_eq!(live, original);
    }
    assert_eq!(proposal.hash, proposal.plan.hash());
    assert!(!proposal.why.is_empty() && !proposal.blast.text.is_empty());
}

fn tests_something(patch: &Patch) -> bool {
    patch.0.iter().any(|op| matches!(op, PatchOperation::Test(_)))
}

/// A cordon says the same when it is said twice; its `test` is on the node's identity.
fn idempotent(patch: &Patch) -> bool {
    patch.0.iter().any(|op| matches!(op, PatchOperation::Add(_)))
}

#[test]
fn every_kind_of_patch_can_be_undone_exactly() {
    for scenario in [
        release(),
        leak(3),
        saturated(3, 1.05),
        sick_node(NodeTrouble::NotReady, 1),
        sick_node(NodeTrouble::DiskPressure, 1),
    ] {
        obeys(&scenario, &scenario.run().unwrap());
    }
    for spec in
        [Value::Null, serde_json::json!({"unschedulable": false}), serde_json::json!({"podCIDR": "10.0.0.0/24"})]
    {
        let mut scenario = sick_node(NodeTrouble::NotReady, 1);
        let object = scenario.dossier.object.as_mut().unwrap();
        if spec.is_null() {
            object.as_object_mut().unwrap().remove("spec");
        } else {
            object["spec"] = spec;
        }
        obeys(&scenario, &scenario.run().unwrap());
    }
}

proptest! {
    #[test]
    fn a_memory_plan_raises_fits_and_can_be_undone(
        request in 1u64..4096, limit in 1u64..8192, peak in proptest::option::of(0u64..16_384), quota in proptest::option::of(1u64..65_536),
    ) {
        let mut scenario = oom_at(&format!("{}Mi", request.min(limit)), &format!("{limit}Mi"));
        if let crate::model::finding::Fault::OomContainer { peak: p, .. } = &mut scenario.finding.fault {
            *p = peak.map(|m| m * MIB);
        }
        if let Some(q) = quota {
            scenario.dossier.limits = vec![serde_json::json!({"metadata": {"name": "q"},
                "status": {"hard": {"limits.memory": format!("{q}Mi")}, "used": {"limits.memory": "0"}}})];
        }
        if let Ok(proposal) = scenario.run() {
            obeys(&scenario, &proposal);
            let mut after = scenario.dossier.object.clone().unwrap();
            let Op::Patch { patch, .. } = &proposal.plan.steps[0].op else { panic!() };
            json_patch::patch(&mut after, patch).unwrap();
            let resources = &after["spec"]["template"]["spec"]["containers"][0]["resources"];
            let read = |v: &Value| Bytes::parse(v.as_str().unwrap()).unwrap().0;
            let new = read(&resources["limits"]["memory"]);
            prop_assert!(new > limit * MIB, "never below the current limit");
            prop_assert!(new as f64 <= 8192.0 * 0.8 * MIB as f64, "fits on a node");
            prop_assert!(read(&resources["requests"]["memory"]) <= new);
        }
    }

    #[test]
    fn a_scale_plan_stays_inside_its_bounds(replicas in 1usize..25, utilisation in 0.0f64..20.0, max in 1u32..30) {
        let mut scenario = saturated(replicas, utilisation);
        scenario.set.max_replicas = max;
        if let Ok(proposal) = scenario.run() {
            obeys(&scenario, &proposal);
            let Op::Patch { patch, .. } = &proposal.plan.steps[0].op else { panic!() };
            let new = serde_json::to_value(patch).unwrap()[1]["value"].as_u64().unwrap();
            prop_assert!(new > replicas as u64 && new <= u64::from(max));
        }
    }

    #[test]
    fn no_live_object_breaks_the_planner(text in "[a-z0-9%-]{0,6}", number in any::<i64>()) {
        for mut scenario in [oom_at("64Mi", "128Mi"), release(), saturated(3, 1.05), sick_node(NodeTrouble::NotReady, 1), leak(2)] {
            for value in [Value::Null, text.clone().into(), number.into(), serde_json::json!([text.clone()])] {
                for path in ["/spec", "/spec/template", "/spec/replicas", "/spec/strategy/rollingUpdate/maxSurge", "/metadata/annotations", "/spec/template/spec/containers"] {
                    let before = scenario.dossier.object.clone();
                    if let Some(place) = scenario.dossier.object.as_mut().and_then(|o| o.pointer_mut(path)) {
                        *place = value.clone();
                    }
                    let _ = scenario.run();
                    scenario.dossier.object = before;
                }
            }
        }
    }
}
