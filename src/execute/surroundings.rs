//! What the guard must know about a target beside the snapshot: who else owns it, and which disruption
//! budgets cover its pods. Taken from the live objects of a dossier.

use crate::model::cluster::Owner;
use crate::model::dossier::Dossier;
use crate::model::object::{ObjectRef, Resource};
use crate::model::ownership;
use serde_json::Value;
use std::sync::Arc;

/// One disruption budget with the pods of the target that it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its name.
    pub name: Arc<str>,
    /// `status.disruptionsAllowed`; `None` if its status is older than its spec and so says nothing.
    pub allowed: Option<u32>,
    /// Names of covered pods.
    pub pods: Vec<Arc<str>>,
}

/// Owners and budgets around one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// Who else writes its desired state.
    pub owners: Vec<Owner>,
    /// Who declares the ConfigMaps it reads and the Services before it, for plans that write to those.
    pub beside: Vec<(ObjectRef, Owner)>,
    /// What could not be read, such as `hpas: forbidden`.
    pub gaps: Vec<Arc<str>>,
    /// Budgets of its namespace that cover at least one of its pods.
    pub budgets: Vec<Budget>,
}

impl Surroundings {
    /// Reads them from a dossier.
    pub fn of(dossier: &Dossier) -> Self {
        let owners = dossier.object.as_ref().map_or_else(Vec::new, |o| ownership::owners(o, &dossier.autoscalers));
        let budgets = dossier.budgets.iter().filter_map(|b| budget(b, &dossier.pods)).collect();
        let maps = dossier.configs.iter().map(|f| (Resource::CONFIGMAPS, &f.live));
        let services = dossier.services.iter().map(|s| (Resource::SERVICES, s));
        let beside = maps.chain(services).flat_map(|(resource, object)| declared(resource, object)).collect();
        Self { owners, beside, gaps: dossier.gaps.clone(), budgets }
    }
}

/// Who declares an object beside the target, one entry for each.
fn declared(resource: Resource, object: &Value) -> Vec<(ObjectRef, Owner)> {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    let place = ObjectRef::namespaced(resource, text("namespace"), text("name"));
    ownership::owners(object, &[]).into_iter().map(|owner| (place.clone(), owner)).collect()
}

fn budget(budget: &Value, pods: &[Value]) -> Option<Budget> {
    let selector = &budget["spec"]["selector"];
    let covered: Vec<Arc<str>> = pods
        .iter()
        .filter(|p| {
            let (theirs, ours) = (&budget["metadata"]["namespace"], &p["metadata"]["namespace"]);
            (theirs.is_null() || ours.is_null() || theirs == ours) && selects(selector, &p["metadata"]["labels"])
        })
        .filter_map(|p| p["metadata"]["name"].as_str().map(Arc::from))
        .collect();
    if covered.is_empty() {
        return None;
    }
    let status = &budget["status"];
    let current = status["observedGeneration"].as_i64() >= budget["metadata"]["generation"].as_i64();
    let allowed = status["disruptionsAllowed"].as_u64().filter(|_| current).map(|n| n as u32);
    Some(Budget { name: budget["metadata"]["name"].as_str().unwrap_or("?").into(), allowed, pods: covered })
}

/// Whether a label selector matches. An empty one matches everything (policy/v1); an operator that is not
/// known counts as a match, because a budget may never be overlooked.
fn selects(selector: &Value, labels: &Value) -> bool {
    if selector.is_null() {
        return false;
    }
    let exact = selector["matchLabels"].as_object().is_none_or(|m| m.iter().all(|(k, v)| labels[k.as_str()] == *v));
    let expressions = selector["matchExpressions"].as_array().is_none_or(|all| {
        all.iter().all(|e| {
            let label = &labels[e["key"].as_str().unwrap_or_default()];
            let listed = e["values"].as_array().is_some_and(|v| v.contains(label));
            match e["operator"].as_str() {
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some("Exists") => !label.is_null(),
                Some("DoesNotExist") => label.is_null(),
                _ => true,
            }
        })
    });
    exact && expressions
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn budgets_are_matched_by_labels_and_expressions() {
        let pod = |name: &str, app: &str| json!({"metadata": {"name": name, "labels": {"app": app}}});
        let pods = vec![pod("a", "cart"), pod("b", "cart"), pod("c", "web")];
        let pdb = |selector: Value, seen: i64| {
            json!({"metadata": {"name": "pdb", "generation": 2}, "spec": {"selector": selector},
                "status": {"disruptionsAllowed": 1, "observedGeneration": seen}})
        };
        let names = |selector: Value| budget(&pdb(selector, 2), &pods).map(|b| b.pods.len());
        assert_eq!(names(json!({"matchLabels": {"app": "cart"}})), Some(2));
        assert_eq!(names(json!({})), Some(3), "an empty selector covers all");
        assert_eq!(names(Value::Null), None);
        let only =
            |op: &str, v: Value| names(json!({"matchExpressions": [{"key": "app", "operator": op, "values": v}]}));
        assert_eq!(only("In", json!(["web"])), Some(1));
        assert_eq!(only("NotIn", json!(["web"])), Some(2));
        assert_eq!(only("DoesNotExist", json!([])), None);
        assert_eq!(only("Newer", json!([])), Some(3), "an unknown operator overlooks nothing");
        assert_eq!(budget(&pdb(json!({}), 1), &pods).unwrap().allowed, None, "a stale status says nothing");
    }
}
