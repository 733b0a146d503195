//! What differs between an object and what `kubectl apply` was given last: what somebody changed by hand since.
//!
//! Only what was declared is compared: values that the server, controllers or webhooks filled in are no change.

use super::table::secret;
use crate::model::object::ObjectRef;
use crate::model::text::clean_lines;
use crate::monitor::detail::DetailError;
use crate::monitor::live;
use kube::Client;
use serde_json::{Map, Value};
use similar::TextDiff;

/// Where kubectl keeps what it was given.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A unified diff from what was applied to what is live, or why there is none.
///
/// # Errors
/// Secrets are refused without asking the server; otherwise what the server said.
pub async fn drift(client: &Client, object: &ObjectRef) -> Result<String, DetailError> {
    if secret(&object.resource) || object.resource.kind == "Secret" {
        return Err(DetailError::Secret(object.clone()));
    }
    let unreadable = |why: String| DetailError::Unreadable { what: object.to_string(), why };
    let live = live::get(client, &object.path()).await.map_err(|p| unreadable(p.why))?;
    compare(&live).map(|text| clean_lines(&text)).map_err(unreadable)
}

fn compare(live: &Value) -> Result<String, String> {
    let Some(applied) = live["metadata"]["annotations"][APPLIED].as_str() else {
        return Ok("it was not made by `kubectl apply`: there is no last-applied-configuration to compare with".into());
    };
    let declared: Value =
        serde_json::from_str(applied).map_err(|e| format!("its last-applied-configuration is no JSON: {e}"))?;
    let written = |value: &Value| serde_saphyr::to_string(value).map_err(|e| e.to_string());
    let (before, now) = (written(&declared)?, written(&of(&declared, live))?);
    if before == now {
        return Ok("everything that was applied is as it was applied".into());
    }
    Ok(TextDiff::from_lines(&before, &now).unified_diff().header("last applied", "live").to_string())
}

/// The part of the live value that was declared.
fn of(declared: &Value, live: &Value) -> Value {
    match (declared, live) {
        (Value::Object(wanted), Value::Object(found)) => {
            let kept = |(key, value): (&String, &Value)| Some((key.clone(), of(value, found.get(key)?)));
            Value::Object(wanted.iter().filter_map(kept).collect::<Map<_, _>>())
        }
        (Value::Array(wanted), Value::Array(found)) => {
            let named = |v: &Value| v["name"].as_str().map(str::to_owned);
            if !wanted.is_empty() && wanted.iter().all(|v| named(v).is_some()) {
                // Lists by name, such as containers: what others added beside is theirs.
                let same = |w: &Value| found.iter().find(|f| named(f) == named(w)).map(|f| of(w, f));
                return Value::Array(wanted.iter().filter_map(same).collect());
            }
            if wanted.len() != found.len() {
                return Value::Array(found.clone());
            }
            Value::Array(wanted.iter().zip(found).map(|(w, f)| of(w, f)).collect())
        }
        (_, live) => live.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live(spec: &Value, declared: &Value) -> Value {
        json!({"metadata": {"name": "web", "uid": "1", "annotations": {APPLIED: declared.to_string()}}, "spec": spec})
    }

    #[test]
    fn only_what_was_declared_is_compared() {
        let declared = json!({"metadata": {"name": "web"}, "spec": {"replicas": 2, "containers": [{"name": "app", "image": "a:1"}]}});
        let same = json!({"replicas": 2, "strategy": "Rolling", "containers": [
            {"name": "sidecar", "image": "s"}, {"name": "app", "image": "a:1", "imagePullPolicy": "Always"}]});
        assert!(compare(&live(&same, &declared)).unwrap().starts_with("everything"));
        let moved = json!({"replicas": 5, "containers": [{"name": "app", "image": "a:2"}]});
        let diff = compare(&live(&moved, &declared)).unwrap();
        for line in ["--- last applied", "+++ live", "-  replicas: 2", "+  replicas: 5"] {
            assert!(diff.lines().any(|l| l == line), "{line} is not in\n{diff}");
        }
        assert!(diff.contains("a:1") && diff.contains("a:2") && !diff.contains("uid"), "{diff}");
        let gone = json!({"replicas": 2});
        assert!(
            compare(&live(&gone, &declared)).unwrap().contains("-  containers:"),
            "what was taken away is a change"
        );
    }

    #[test]
    fn an_object_that_was_not_applied_or_has_a_broken_note_says_so() {
        assert!(compare(&json!({"metadata": {}})).unwrap().contains("not made by `kubectl apply`"));
        let broken = json!({"metadata": {"annotations": {APPLIED: "{"}}});
        assert!(compare(&broken).unwrap_err().contains("no JSON"));
    }
}
