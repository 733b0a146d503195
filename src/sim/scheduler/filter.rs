//! Where a pod may go: the scheduler's filter plugins, in its order; the first that refuses gives the reason.

use super::super::object::{at, list, text};
use super::requests::Ask;
use super::selector::{self, Labels};
use super::table::{Node, Port};
use super::topology::Relations;
use serde_json::Value;

/// A pod that looks for a node.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The pod's `spec`.
    pub spec: &'a Value,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its labels.
    pub labels: &'a Labels,
    /// What it asks for.
    pub ask: Ask,
    /// Host ports.
    pub ports: Vec<Port>,
}

/// Why a node is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// As in `FailedScheduling`; several when resources are short.
    pub reasons: Vec<String>,
    /// Whether removing pods from the node could help.
    pub resolvable: bool,
}

fn never(reason: impl Into<String>) -> Refusal {
    Refusal { reasons: vec![reason.into()], resolvable: false }
}

/// Why `node` is refused; `None`: the pod may go there.
pub fn refused(pod: &Wanted<'_>, name: &str, node: &Node, relations: &Relations) -> Option<Refusal> {
    let tolerations = list(pod.spec, "tolerations");
    let cordon = || serde_json::json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
    if node.unschedulable && !selector::tolerated(&cordon(), tolerations) {
        return Some(never("node(s) were unschedulable"));
    }
    let untolerated =
        |t: &&Value| matches!(text(t, "effect"), "NoSchedule" | "NoExecute") && !selector::tolerated(t, tolerations);
    if let Some(taint) = node.taints.iter().find(untolerated) {
        return Some(never(format!(
            "node(s) had untolerated taint {{{}: {}}}",
            text(taint, "key"),
            text(taint, "value")
        )));
    }
    if !affine(pod.spec, name, &node.labels) {
        return Some(never("node(s) didn't match Pod's node affinity/selector"));
    }
    let clash = |a: &Port, b: &Port| {
        let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0";
        a.0 == b.0 && a.1 == b.1 && (any(&a.2) || any(&b.2) || a.2 == b.2)
    };
    if pod.ports.iter().any(|p| node.ports.iter().any(|q| clash(p, q))) {
        let reasons = vec!["node(s) didn't have free ports for the requested pod ports".to_owned()];
        return Some(Refusal { reasons, resolvable: true });
    }
    fits(&pod.ask, node).or_else(|| relations.refused(node))
}

const REQUIRED_NODES: &str = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";

/// The one node that a pod's required affinity names, as DaemonSets name it; the pod can go nowhere else.
pub fn pinned(spec: &Value) -> Option<&str> {
    let terms = at(spec, REQUIRED_NODES).map(|r| list(r, "nodeSelectorTerms"))?;
    let [name] = named(terms.first()?)? else { return None };
    terms.iter().all(|t| named(t).is_some_and(|all| all == [name.clone()])).then(|| name.as_str()).flatten()
}

/// The nodes that a term names.
fn named(term: &Value) -> Option<&[Value]> {
    let mut fields = list(term, "matchFields").iter();
    fields.find(|f| text(f, "key") == "metadata.name" && text(f, "operator") == "In").map(|f| list(f, "values"))
}

/// Node selector and required node affinity.
pub fn affine(spec: &Value, name: &str, labels: &Labels) -> bool {
    let required = at(spec, REQUIRED_NODES);
    let chosen = at(spec, "nodeSelector").and_then(Value::as_object);
    chosen.into_iter().flatten().all(|(k, v)| labels.get(k).is_some_and(|l| v == l.as_str()))
        && required.is_none_or(|r| list(r, "nodeSelectorTerms").iter().any(|t| selector::term(t, name, labels)))
}

fn fits(ask: &Ask, node: &Node) -> Option<Refusal> {
    let mut reasons = Vec::new();
    let (mut resolvable, room, used) = (true, &node.room, &node.used);
    if node.pods + 1 > node.slots {
        reasons.push("Too many pods".to_owned());
    }
    let mut check = |name: &str, want: i64, room: i64, used: i64| {
        if want > 0 && want > room - used {
            reasons.push(format!("Insufficient {name}"));
            resolvable &= want <= room;
        }
    };
    check("cpu", ask.cpu, room.cpu, used.cpu);
    check("memory", ask.memory, room.memory, used.memory);
    check("ephemeral-storage", ask.disk, room.disk, used.disk);
    for (name, want) in &ask.other {
        let of = |a: &Ask| a.other.get(name).copied().unwrap_or(0);
        check(name, *want, of(room), of(used));
    }
    (!reasons.is_empty()).then_some(Refusal { reasons, resolvable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_pinned_when_every_term_names_the_same_one_node() {
        let spec = |terms: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}});
        let on = |names: &[&str]| json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": names}]});
        assert_eq!(pinned(&spec(json!([on(&["n1"]), on(&["n1"])]))), Some("n1"));
        assert_eq!(pinned(&spec(json!([on(&["n1"]), on(&["n2"])]))), None);
        assert_eq!(pinned(&spec(json!([on(&["n1", "n2"])]))), None);
        let labelled = json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]});
        assert_eq!(pinned(&spec(json!([on(&["n1"]), labelled]))), None);
        assert_eq!(pinned(&json!({})), None);
    }
}
