//! Detach one sick pod: its labels are taken away, so that neither its ReplicaSet nor a Service picks it any more. A new pod
//! takes its place, and the sick one stays as it is for whoever wants to look into it.
//!
//! Where an eviction did not help, another one would only destroy the evidence again (§5.5). Only for Deployments: a
//! StatefulSet keeps the identity, and a DaemonSet would put the new pod beside the old one on the same node.

use super::draft::Draft;
use super::risk::Change;
use super::{Ask, NoProposal, blast, live};
use crate::model::object::WorkloadKind;
use crate::model::plan::{Risk, Strategy};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The label of detached pods; `deploy/quarantine.yaml` cuts those that have it off from the network.
pub const ISOLATED: &str = "kansole.dev/isolated";

/// Plans it for the first pod that the finding names.
pub fn detach(ask: &Ask<'_>) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    ask.live()?;
    let key = &workload.key;
    if key.kind != WorkloadKind::Deployment {
        return Err(NoProposal::because(format!("pods of a {} are not detached", key.kind.as_str())));
    }
    let ready = workload.live_pods().filter(|p| p.ready).count();
    if ready == 0 {
        return Err(NoProposal::because("no other pod serves: detaching one would not help"));
    }
    let named = |pod: &&Value| ask.finding.pods.iter().any(|k| *k.name == *live::text(&pod["metadata"]["name"]));
    let pod = ask.dossier.pods.iter().filter(named).find(|p| p["metadata"]["deletionTimestamp"].is_null());
    let Some(pod) = pod else {
        return Err(NoProposal::because("the troubled pod is gone, or was not fetched yet"));
    };
    let name = live::text(&pod["metadata"]["name"]);
    let own = |set: &&Value| {
        let owners = pod["metadata"]["ownerReferences"].as_array();
        owners.is_some_and(|o| o.iter().any(|r| r["uid"] == set["metadata"]["uid"]))
    };
    let Some(set) = ask.dossier.revisions.iter().find(own) else {
        return Err(NoProposal::because(format!("the ReplicaSet of pod {name} was not fetched yet")));
    };
    // All that anybody selects it by, so that it neither comes back to its ReplicaSet nor serves again when it recovers.
    let services = ask.dossier.services.iter().map(|s| &s["spec"]["selector"]);
    let selectors = services.chain([&set["spec"]["selector"]["matchLabels"]]);
    let keys: BTreeSet<&String> = selectors.filter_map(Value::as_object).flat_map(serde_json::Map::keys).collect();
    let labels = &pod["metadata"]["labels"];
    let (mut forth, mut back) = (Vec::new(), Vec::new());
    for label in keys.into_iter().filter(|k| !labels[k.as_str()].is_null()) {
        let path = ["metadata", "labels", label.as_str()];
        forth.extend([live::test(&path, labels[label.as_str()].clone()), live::remove(&path)]);
        back.push(live::add(&path, labels[label.as_str()].clone()));
    }
    if forth.is_empty() {
        return Err(NoProposal::because(format!("pod {name} has none of the labels that it is selected by")));
    }
    let mark = ["metadata", "labels", ISOLATED];
    forth.push(live::add(&mark, json!("true")));
    back.splice(0..0, [live::test(&mark, json!("true")), live::remove(&mark)]);
    let target =
        crate::model::object::ObjectRef::namespaced(crate::model::object::Resource::PODS, key.namespace.clone(), name);
    let title = format!("detach pod {name} from its ReplicaSet and its Services");
    let all = workload.live_pods().count() as u32;
    let mut touched = blast::evictions(1, all);
    touched.text = format!("1 of {all} pods is put aside; a new one takes its place");
    Ok(Draft {
        strategy: Strategy::Isolate,
        title: format!("{}/{}: {title}: replacing it did not help", key.namespace, key.name),
        steps: vec![live::patch_step(title, pod, target, forth, back, None)?],
        change: Change::Evict,
        blast: touched,
        effect: "a new pod takes its place, and nobody is sent to the sick one".into(),
        notes: vec![
            format!("pod {name} stays until you delete it: kubectl delete pod -n {} {name}", key.namespace),
            format!(
                "its network is cut only where deploy/quarantine.yaml is applied, and by a CNI that enforces it; it selects {ISOLATED}=true"
            ),
            "undoing this gives it back to its ReplicaSet, which then removes one pod".to_owned(),
        ],
        why: Vec::new(),
        manifest: None,
        at_least: Risk::High,
    })
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{self, Scenario};
    use super::*;
    use crate::model::action::Verdict;
    use crate::model::finding::Fault;
    use crate::model::fixtures as fx;
    use crate::model::plan::{Inverse, Op};

    /// One of four pods hangs, and was replaced lately without success.
    fn hangs_again() -> Scenario {
        scenario::crashing(4, 1).edit(|s| {
            s.finding.fault = Fault::NotReady { why: "Readiness probe failed".into() };
            let restart = scenario::leak(3).run().unwrap();
            s.history.applied(&restart, fx::now());
            s.history.judged(Strategy::Restart, Verdict::Neutral, None);
            let mut set = fx::live_replica_set("cart", "cart-aaa", 1, "shop/cart:1", 3);
            set["spec"]["selector"] = json!({"matchLabels": {"app": "cart", "pod-template-hash": "aaa"}});
            s.dossier.revisions = vec![set];
            s.dossier.services =
                vec![json!({"metadata": {"name": "cart"}, "spec": {"selector": {"app": "cart", "tier": "web"}}})];
            let sick = s.finding.pods[0].name.to_string();
            for pod in s.dossier.pods.iter_mut().filter(|p| p["metadata"]["name"] == sick.as_str()) {
                pod["metadata"]["labels"] =
                    json!({"app": "cart", "pod-template-hash": "aaa", "tier": "web", "kept": "yes"});
                pod["metadata"]["ownerReferences"] =
                    json!([{"kind": "ReplicaSet", "uid": "uid-cart-aaa", "controller": true}]);
            }
        })
    }

    #[test]
    fn a_pod_that_hangs_again_is_put_aside_with_everything_that_selects_it_removed() {
        let s = hangs_again();
        let made = s.run().unwrap();
        assert_eq!((made.strategy, made.risk), (Strategy::Isolate, Risk::High), "{}", made.title);
        let step = &made.plan.steps[0];
        let (Op::Patch { patch: forth, .. }, Inverse::Patch { patch: back }) = (&step.op, &step.inverse) else {
            panic!("{step:?}")
        };
        let pod = s.dossier.pods.iter().find(|p| p["metadata"]["name"] == *step.target.name).unwrap();
        let mut there = pod.clone();
        json_patch::patch(&mut there, forth).unwrap();
        assert_eq!(there["metadata"]["labels"], json!({"kept": "yes", ISOLATED: "true"}));
        json_patch::patch(&mut there, back).unwrap();
        assert_eq!(&there, pod, "and it can be given back");
        assert!(made.why.iter().any(|e| e.source.contains("before it goes")), "{:?}", made.why);
    }

    #[test]
    fn the_first_hang_is_replaced_and_the_last_pod_that_serves_is_not_detached() {
        let first = hangs_again().edit(|s| s.history = super::super::History::default());
        assert_eq!(first.run().unwrap().strategy, Strategy::Restart);
        let unfetched = hangs_again().edit(|s| s.dossier.revisions.clear());
        assert_ne!(unfetched.run().unwrap().strategy, Strategy::Isolate, "its ReplicaSet is not known");
    }
}
