//! Whether disruption budgets would let a pod be evicted, so that nobody approves what the server refuses.
//!
//! Source: the eviction subresource (pkg/registry/core/pod/storage/eviction.go).

use super::NoProposal;
use super::live::text;
use serde_json::Value;

/// Checks the budgets of the namespace for one live pod. Each budget is asked for one disruption.
pub fn allows(budgets: &[Value], pod: &Value) -> Result<(), NoProposal> {
    let name = text(&pod["metadata"]["name"]);
    if matches!(text(&pod["status"]["phase"]), "Pending" | "Succeeded" | "Failed") {
        return Ok(());
    }
    // Around a node there are budgets of many namespaces; each holds in its own.
    let own = |b: &&Value| {
        let (theirs, ours) = (&b["metadata"]["namespace"], &pod["metadata"]["namespace"]);
        theirs.is_null() || ours.is_null() || theirs == ours
    };
    let matching: Vec<&Value> = budgets.iter().filter(own).filter(|b| selects(&b["spec"]["selector"], pod)).collect();
    if matching.len() > 1 {
        let names: Vec<&str> = matching.iter().map(|b| text(&b["metadata"]["name"])).collect();
        return Err(NoProposal::because(format!(
            "{} PDBs select pod {name} ({}): the server refuses every eviction; keep one of them",
            names.len(),
            names.join(", ")
        )));
    }
    let Some(budget) = matching.first() else { return Ok(()) };
    let status = &budget["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    if number("disruptionsAllowed") > 0 {
        return Ok(());
    }
    let (healthy, desired) = (number("currentHealthy"), number("desiredHealthy"));
    let lenient = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" || (desired > 0 && healthy >= desired);
    if !super::live::is_ready(pod) && lenient {
        return Ok(());
    }
    Err(NoProposal::because(format!(
        "PDB {} allows no disruption ({healthy} healthy, {desired} wanted): pod {name} would not be evicted",
        text(&budget["metadata"]["name"])
    )))
}

/// Whether a label selector selects a pod. An empty selector selects every pod.
fn selects(selector: &Value, pod: &Value) -> bool {
    let label = |key: &str| pod["metadata"]["labels"][key].as_str();
    let pairs = selector["matchLabels"].as_object();
    let labels = pairs.into_iter().flatten().all(|(k, v)| label(k) == v.as_str());
    let expressions = selector["matchExpressions"].as_array();
    labels
        && expressions.into_iter().flatten().all(|e| {
            let have = label(text(&e["key"]));
            let among = have.is_some_and(|h| e["values"].as_array().into_iter().flatten().any(|v| v == h));
            match text(&e["operator"]) {
                "In" => among,
                "NotIn" => !among,
                "Exists" => have.is_some(),
                "DoesNotExist" => have.is_none(),
                // An operator we do not know: in doubt the budget counts.
                _ => true,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn budgets_say_no_as_the_server_would() {
        let pod = |ready: &str| {
            json!({"metadata": {"name": "p", "labels": {"app": "cart"}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
        };
        let pdb = |name: &str, allowed: u32, healthy: u32| {
            json!({"metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": "cart"}}},
            "status": {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": 2}})
        };
        assert!(allows(&[pdb("a", 1, 3)], &pod("True")).is_ok());
        assert!(allows(&[pdb("a", 0, 2)], &pod("True")).unwrap_err().why.contains("PDB a allows no disruption"));
        assert!(allows(&[pdb("a", 0, 2)], &pod("False")).is_ok(), "an unready pod may go if enough are healthy");
        assert!(allows(&[pdb("a", 0, 1)], &pod("False")).is_err());
        assert!(allows(&[pdb("a", 1, 3), pdb("b", 1, 3)], &pod("True")).unwrap_err().why.contains("2 PDBs"));
        let other = json!({"spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["cart"]}]}}});
        assert!(allows(&[other], &pod("True")).is_ok());
    }
}
