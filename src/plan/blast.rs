//! What a rollout touches, counted as the controllers count.

use crate::model::plan::Blast;
use serde_json::Value;

/// Resolves `25%` or `1` of `pods`.
fn resolve(value: &Value, default: &str, pods: u32, up: bool) -> (u32, String) {
    let written = match value {
        Value::Number(n) => n.to_string(),
        Value::String(s) => s.clone(),
        _ => default.to_owned(),
    };
    let number = match written.strip_suffix('%').map(str::parse::<f64>) {
        Some(Ok(percent)) => {
            let exact = percent / 100.0 * f64::from(pods);
            if up { exact.ceil() as u32 } else { exact.floor() as u32 }
        }
        Some(Err(_)) => 0,
        None => written.parse().unwrap_or(0),
    };
    let words = if written.ends_with('%') { format!("{written} of {pods} = {number}") } else { written };
    (number, words)
}

/// Extra pods that a rollout of this workload makes for a while.
pub fn surge(object: &Value, pods: u32) -> u32 {
    match object["kind"].as_str() {
        Some("Deployment") if object["spec"]["strategy"]["type"] != "Recreate" => {
            resolve(&object["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%", pods, true).0
        }
        _ => 0,
    }
}

/// What a change of the template of a live Deployment, StatefulSet or DaemonSet does to its pods.
///
/// Deployment controller: maxUnavailable rounds down, maxSurge rounds up, and if both come to 0, one pod may be
/// unavailable (`ResolveFenceposts`). DaemonSet controller: maxUnavailable rounds up. StatefulSet: one by one.
pub fn rollout(object: &Value, pods: u32) -> Blast {
    let spec = &object["spec"];
    let (down, text) = match object["kind"].as_str() {
        Some("Deployment") if spec["strategy"]["type"] == "Recreate" => {
            (pods, format!("all {pods} pods at once (strategy Recreate)"))
        }
        Some("Deployment") => {
            let rolling = &spec["strategy"]["rollingUpdate"];
            let (mut down, down_words) = resolve(&rolling["maxUnavailable"], "25%", pods, false);
            let (surge, surge_words) = resolve(&rolling["maxSurge"], "25%", pods, true);
            let mut text = format!(
                "{pods} pods rolling: {down} down at once (maxUnavailable {down_words}), {surge} extra (maxSurge {surge_words})"
            );
            if down == 0 && surge == 0 {
                down = 1;
                text += "; both are 0, so the controller takes 1 down";
            }
            (down, text)
        }
        Some("StatefulSet") if spec["updateStrategy"]["type"] == "OnDelete" => {
            (0, format!("0 of {pods} pods until each is deleted (updateStrategy OnDelete)"))
        }
        Some("StatefulSet") => {
            (1, format!("{pods} pods one by one from the highest ordinal; each must be ready before the next"))
        }
        Some("DaemonSet") if spec["updateStrategy"]["type"] == "OnDelete" => {
            (0, format!("0 of {pods} pods until each is deleted (updateStrategy OnDelete)"))
        }
        _ => {
            let (down, words) = resolve(&spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"], "1", pods, true);
            (down, format!("{pods} pods rolling: {down} down at once (maxUnavailable {words})"))
        }
    };
    Blast { pods, share_down: share(down, pods), nodes: 0, text }
}

/// Evictions one after the other: one pod of `pods` is down at a time.
pub fn evictions(count: u32, pods: u32) -> Blast {
    let text = if count == 1 {
        format!("1 of {pods} pods, by eviction")
    } else {
        format!("{count} of {pods} pods, evicted one by one; each time the next waits until all are ready")
    };
    Blast { pods: count, share_down: share(1, pods), nodes: 0, text }
}

fn share(down: u32, pods: u32) -> f64 {
    if pods == 0 { 0.0 } else { f64::from(down.min(pods)) / f64::from(pods) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unavailable_rounds_down_and_surge_rounds_up() {
        let d = |unavailable: Value, surge: Value| {
            json!({"kind": "Deployment", "spec": {"strategy": {"type":
            "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}}})
        };
        let b = rollout(&d(json!("25%"), json!("25%")), 3);
        assert_eq!((b.pods, b.share_down), (3, 0.0));
        assert!(b.text.contains("25% of 3 = 0") && b.text.contains("25% of 3 = 1"), "{}", b.text);
        assert_eq!(rollout(&d(json!("25%"), json!("25%")), 5).share_down, 0.2);
        assert_eq!(rollout(&d(json!(0), json!(0)), 4).share_down, 0.25, "ResolveFenceposts");
        assert_eq!(rollout(&d(json!(9), json!(0)), 4).share_down, 1.0);
        assert_eq!(surge(&d(json!(0), json!("25%")), 5), 2);
        let recreate = json!({"kind": "Deployment", "spec": {"strategy": {"type": "Recreate"}}});
        assert_eq!((rollout(&recreate, 4).share_down, surge(&recreate, 4)), (1.0, 0));
        let daemon =
            json!({"kind": "DaemonSet", "spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "10%"}}}});
        assert_eq!(rollout(&daemon, 15).share_down, 2.0 / 15.0, "a DaemonSet rounds up");
        assert_eq!(rollout(&json!({"kind": "StatefulSet", "spec": {}}), 4).share_down, 0.25);
    }
}
