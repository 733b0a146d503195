//! Move pods off a node whose disk is full, once it is cordoned: what has ended goes first, because its files go with it, then
//! pods that run, those that asked for the most disk first (§5.6, §5.8).
//!
//! The kubelet would evict them itself, without grace and whatever their disruption budgets say. Here each one must fit
//! elsewhere, belong to a controller that makes a new one, and have no data of its own on the node. How much disk a pod uses
//! is not asked for: that needs `nodes/proxy`, which is as good as a shell on the node.

use super::draft::Draft;
use super::risk::Change;
use super::{Ask, NoProposal, budget, live, room};
use crate::model::cluster::NodeRow;
use crate::model::object::ObjectRef;
use crate::model::plan::{Blast, Gate, Inverse, Op, Risk, Step, Strategy};
use crate::model::pod::PodRow;
use crate::model::quantity::parse_quantity;
use serde_json::Value;
use std::cmp::Reverse;

/// Pods moved by one plan; the rest follow while the node is still short of disk.
const MOST: usize = 6;
/// Seconds between two running pods, for the new one to start.
const BETWEEN: u32 = 30;

/// Plans it for a cordoned node.
pub fn plan(ask: &Ask<'_>, row: &NodeRow) -> Result<Draft, NoProposal> {
    let node = &row.name;
    let object = ask.live()?;
    let mut stay: Vec<String> = Vec::new();
    let mut ended: Vec<&Value> = Vec::new();
    let mut running: Vec<(&Value, &PodRow)> = Vec::new();
    for pod in &ask.dossier.pods {
        let name = live::text(&pod["metadata"]["name"]);
        match why_not(ask, pod) {
            Some(why) => stay.push(format!("{name} ({why})")),
            None if matches!(live::text(&pod["status"]["phase"]), "Failed" | "Succeeded") => ended.push(pod),
            None => match known(ask, pod) {
                Some(seen) => running.push((pod, seen)),
                None => stay.push(format!("{name} (replaced since it was seen)")),
            },
        }
    }
    running.sort_by_key(|(pod, _)| Reverse(disk(pod)));
    let fits = room::elsewhere(ask.snapshot, node, running.iter().map(|(_, seen)| *seen));
    let mut steps = Vec::new();
    for pod in ended.iter().take(MOST) {
        steps.push(live::evict_step(pod, Gate::None, "it has ended, and its files go with it")?);
    }
    let (gone, mut moved) = (steps.len(), 0);
    for ((pod, _), fits) in running.iter().zip(fits) {
        if gone + moved >= MOST {
            break;
        }
        if !fits {
            stay.push(format!("{} (no other node has room for it)", live::text(&pod["metadata"]["name"])));
            continue;
        }
        if moved > 0 {
            steps.push(wait(object, node)?);
        }
        steps.push(live::evict_step(pod, Gate::None, "the disk of its node is full")?);
        moved += 1;
    }
    if gone + moved == 0 {
        let stays = if stay.is_empty() { "no pod of the watched namespaces is on it".into() } else { stay.join(", ") };
        return Err(NoProposal::because(format!("node {node} is cordoned, and no pod on it can be moved: {stays}")));
    }
    let mut notes = vec![
        "what fills the disk may be no pod at all: look at images, logs and the node itself (kubectl describe node)"
            .to_owned(),
        "cordoned until you undo that; pods do not come back by themselves".to_owned(),
    ];
    if !stay.is_empty() {
        notes.push(format!("these stay: {}", stay.join(", ")));
    }
    Ok(Draft {
        strategy: Strategy::Isolate,
        title: format!("node {node}: remove {gone} ended pods and move {moved} running ones, since its disk is full"),
        steps,
        change: Change::Node,
        blast: Blast {
            pods: moved as u32,
            share_down: 0.0,
            nodes: 1,
            text: format!("{moved} pods start elsewhere, one every {BETWEEN} s, as their disruption budgets allow"),
        },
        effect: "less lies on its disk, and the kubelet evicts nobody".into(),
        notes,
        why: Vec::new(),
        manifest: None,
        at_least: Risk::High,
    })
}

/// Why a pod is left where it is, in a few words.
fn why_not(ask: &Ask<'_>, pod: &Value) -> Option<String> {
    let meta = &pod["metadata"];
    let owned_by = |kind: &str| meta["ownerReferences"].as_array().is_some_and(|o| o.iter().any(|r| r["kind"] == kind));
    if !meta["annotations"]["kubernetes.io/config.mirror"].is_null() || owned_by("Node") {
        return Some("static".into());
    }
    if owned_by("DaemonSet") {
        return Some("of a DaemonSet".into());
    }
    if !meta["deletionTimestamp"].is_null() {
        return Some("leaving already".into());
    }
    if !live::has_controller(pod) {
        return Some("nobody would make it again".into());
    }
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let local =
        |v: &Value| (v["emptyDir"].is_object() && v["emptyDir"]["medium"] != "Memory") || v["hostPath"].is_object();
    if volumes.into_iter().any(local) {
        return Some("it has data on the node".into());
    }
    budget::allows(&ask.dossier.budgets, pod).err().map(|no| no.why)
}

/// The pod as it is watched, if it still is the same one.
fn known<'a>(ask: &Ask<'a>, pod: &Value) -> Option<&'a PodRow> {
    let uid = live::text(&pod["metadata"]["uid"]);
    ask.snapshot.workloads.iter().flat_map(|w| w.pods.iter()).find(|p| *p.uid == *uid).map(AsRef::as_ref)
}

/// Bytes of the node's disk that a pod asks for.
fn disk(pod: &Value) -> u64 {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let asks =
        containers.filter_map(|c| c["resources"]["requests"]["ephemeral-storage"].as_str().and_then(parse_quantity));
    asks.sum::<f64>() as u64
}

fn wait(node: &Value, name: &str) -> Result<Step, NoProposal> {
    let target = ObjectRef::cluster(crate::model::object::Resource::NODES, name);
    Ok(Step {
        title: format!("wait {BETWEEN} s for the new pod").into(),
        op: Op::Wait { seconds: BETWEEN },
        bound: live::bind(node, &target)?,
        target,
        inverse: Inverse::NotNeeded { why: "nothing is written".into() },
        gate: Gate::None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{self, Scenario};
    use super::*;
    use crate::model::cluster::NodeTrouble;
    use crate::model::fixtures as fx;
    use crate::model::quantity::{Bytes, Cpu, MIB};
    use serde_json::json;
    use std::sync::Arc;

    /// n1 is short of disk and cordoned; the three pods of cart are on it, and n2 to n5 have `free` each.
    fn full(free: u64) -> Scenario {
        scenario::sick_node(NodeTrouble::DiskPressure, 1).edit(|s| {
            let mut nodes: Vec<NodeRow> = s.snapshot.nodes.iter().map(|n| (**n).clone()).collect();
            for node in &mut nodes {
                (node.cpu, node.memory, node.pods) = (Cpu(4000), Bytes(free * MIB), 110);
            }
            nodes[0].cordoned = true;
            s.snapshot = fx::with_nodes(s.snapshot.clone(), nodes);
            let pods = s.snapshot.workloads[0].pods.clone();
            s.dossier.pods = pods.iter().map(|p| fx::live_pod(p, json!({"app": "cart"}))).collect();
        })
    }

    fn evicted(s: &Scenario) -> Vec<Arc<str>> {
        let made = s.run().unwrap();
        assert_eq!((made.strategy, made.risk), (Strategy::Isolate, Risk::High), "{} {:?}", made.title, made.notes);
        made.plan.steps.iter().filter(|s| s.writes()).map(|s| s.target.name.clone()).collect()
    }

    #[test]
    fn what_has_ended_goes_first_and_what_asked_for_most_disk_next() {
        let s = full(1024).edit(|s| {
            s.dossier.pods[1]["status"]["phase"] = "Failed".into();
            s.dossier.pods[2]["spec"]["containers"][0]["resources"] = json!({"requests": {"ephemeral-storage": "5Gi"}});
        });
        let names = |i: usize| Arc::<str>::from(live::text(&s.dossier.pods[i]["metadata"]["name"]));
        assert_eq!(evicted(&s), [names(1), names(2), names(0)]);
    }

    #[test]
    fn what_has_data_nobody_makes_again_or_fits_nowhere_stays() {
        let s = full(1024).edit(|s| {
            s.dossier.pods[0]["spec"]["volumes"] = json!([{"name": "d", "emptyDir": {}}]);
            s.dossier.pods[1]["metadata"]["ownerReferences"] = json!([{"kind": "DaemonSet", "controller": true}]);
        });
        assert_eq!(evicted(&s).len(), 1);
        let notes = s.run().unwrap().notes.join(" ");
        assert!(notes.contains("data on the node") && notes.contains("of a DaemonSet"), "{notes}");
        let tight = full(70).edit(|s| s.snapshot.nodes = s.snapshot.nodes[..2].into());
        assert_eq!(evicted(&tight).len(), 1, "n2 has room for one pod of 64Mi");
        let none = full(60).run().unwrap();
        assert_eq!(none.strategy, Strategy::Advise);
        assert!(none.notes[0].contains("no other node has room"), "{:?}", none.notes);
    }

    #[test]
    fn budgets_hold_here_too() {
        let s = full(1024).edit(|s| {
            s.dossier.budgets = vec![json!({"metadata": {"name": "cart", "namespace": "shop"},
                "spec": {"selector": {"matchLabels": {"app": "cart"}}},
                "status": {"disruptionsAllowed": 0, "currentHealthy": 3, "desiredHealthy": 3}})];
        });
        assert_eq!(s.run().unwrap().strategy, Strategy::Advise);
        let elsewhere = s.edit(|s| s.dossier.budgets[0]["metadata"]["namespace"] = "other".into());
        assert_eq!(evicted(&elsewhere).len(), 3, "a budget holds in its own namespace");
    }
}
