//! Cordon a node that is lost or short of disk, so that nothing new lands on it; one that is short of disk and cordoned is
//! emptied as far as its pods may move.

use super::draft::Draft;
use super::risk::Change;
use super::{Ask, NoProposal, drain, live};
use crate::model::finding::Fault;
use crate::model::object::{ObjectRef, Resource};
use crate::model::plan::{Blast, Risk, Strategy};
use serde_json::json;

/// From this share of sick nodes on (and at least two), it is systemic, and cordoning would make it worse.
const SYSTEMIC: f64 = 0.20;

/// Plans the cordon.
pub fn plan(ask: &Ask<'_>, node: &str) -> Result<Draft, NoProposal> {
    if let Fault::NodePressure { condition, .. } = &ask.finding.fault
        && &**condition != "DiskPressure"
    {
        return Err(NoProposal::because(format!("{condition}: the kubelet's own taint keeps new pods away already")));
    }
    let object = ask.live()?;
    let nodes = &ask.snapshot.nodes;
    let Some(row) = ask.snapshot.node(node) else {
        return Err(NoProposal::because(format!("node {node} is gone")));
    };
    let cordoned = row.cordoned || object["spec"]["unschedulable"] == true;
    if cordoned
        && matches!(ask.finding.fault, Fault::NodePressure { .. })
        && *row.uid == *live::text(&object["metadata"]["uid"])
    {
        return drain::plan(ask, row);
    }
    if cordoned {
        return Err(NoProposal::because(format!("node {node} is cordoned already; drain it if its pods should move")));
    }
    if *row.uid != *live::text(&object["metadata"]["uid"]) {
        return Err(NoProposal::because(format!("node {node} was replaced by a new one of the same name")));
    }
    let sick = nodes.iter().filter(|n| !n.ready || !n.troubles.is_empty()).count();
    if sick >= 2 && sick as f64 / nodes.len() as f64 > SYSTEMIC {
        return Err(NoProposal::because(format!(
            "{sick} of {} nodes are sick: more than {:.0} % is systemic, and cordoning would leave too little room",
            nodes.len(),
            SYSTEMIC * 100.0
        )));
    }
    let others = nodes.iter().filter(|n| *n.name != *node && n.ready && !n.cordoned && n.troubles.is_empty()).count();
    if others == 0 {
        return Err(NoProposal::because("no other healthy node takes pods: nothing could be scheduled any more"));
    }
    let target = ObjectRef::cluster(Resource::NODES, node);
    let flag = ["spec", "unschedulable"];
    let identity = live::test(&["metadata", "uid"], object["metadata"]["uid"].clone());
    // The API leaves `false` out, so there is usually nothing to test but the node's identity.
    let (forth, back) = match &object["spec"] {
        spec if spec["unschedulable"] == false => live::change(&flag, &json!(false), &json!(true)),
        spec if spec.is_object() => {
            (vec![identity, live::add(&flag, json!(true))], vec![live::test(&flag, json!(true)), live::remove(&flag)])
        }
        _ => (
            vec![identity, live::add(&["spec"], json!({"unschedulable": true}))],
            vec![live::test(&flag, json!(true)), live::remove(&["spec"])],
        ),
    };
    let step = live::patch_step(format!("cordon node {node}"), object, target, forth, back, None)?;
    let pods = ask.finding.pods.len();
    Ok(Draft {
        strategy: Strategy::Isolate,
        title: format!("cordon node {node}"),
        steps: vec![step],
        change: Change::Node,
        blast: Blast {
            pods: 0,
            share_down: 0.0,
            nodes: 1,
            text: format!(
                "1 of {} nodes takes no new pods; the {pods} pods on it stay; {others} healthy nodes remain",
                nodes.len()
            ),
        },
        effect: "no new pods are put on it; it stays cordoned until you undo this".into(),
        notes: vec![format!("pods are not moved: kubectl drain {node} --ignore-daemonsets does that")],
        why: Vec::new(),
        manifest: None,
        at_least: Risk::High,
    })
}
