//! Rows of workloads and what scales and guards them (printers.go).

use super::human;
use super::row::Row;
use crate::sim::object::{at, holds, int, text};
use serde_json::Value;

const TEMPLATE: &str = "spec.template.spec.containers";

/// The cells of an object of one of these kinds.
pub fn cells(key: &str, row: Row<'_>) -> Option<Vec<Value>> {
    let [names, images] = row.containers(TEMPLATE);
    let (name, age) = (row.name(), row.age());
    Some(match key {
        "deployments.apps" => vec![
            name,
            row.of("status.readyReplicas", "spec.replicas"),
            row.int("status.updatedReplicas"),
            row.int("status.availableReplicas"),
            age,
            names,
            images,
            row.selector("spec.selector"),
        ],
        "replicasets.apps" | "replicationcontrollers" => vec![
            name,
            row.int("spec.replicas"),
            row.int("status.replicas"),
            row.int("status.readyReplicas"),
            age,
            names,
            images,
            if key == "replicasets.apps" { row.selector("spec.selector") } else { row.labels("spec.selector") },
        ],
        "statefulsets.apps" => vec![name, row.of("status.readyReplicas", "spec.replicas"), age, names, images],
        "daemonsets.apps" => vec![
            name,
            row.int("status.desiredNumberScheduled"),
            row.int("status.currentNumberScheduled"),
            row.int("status.numberReady"),
            row.int("status.updatedNumberScheduled"),
            row.int("status.numberAvailable"),
            row.labels("spec.template.spec.nodeSelector"),
            age,
            names,
            images,
            row.selector("spec.selector"),
        ],
        "controllerrevisions.apps" => vec![name, owner(row.object).into(), row.int("revision"), age],
        "jobs.batch" => vec![
            name,
            job_status(row.object).into(),
            completions(row.object).into(),
            job_duration(row).into(),
            age,
            names,
            images,
            row.selector("spec.selector"),
        ],
        "cronjobs.batch" => cron_job(row),
        "horizontalpodautoscalers.autoscaling" => vec![
            name,
            format!(
                "{}/{}",
                text(row.object, "spec.scaleTargetRef.kind"),
                text(row.object, "spec.scaleTargetRef.name")
            )
            .into(),
            metrics(row).into(),
            int(row.object, "spec.minReplicas").map_or("<unset>".to_owned(), |n| n.to_string()).into(),
            row.int("spec.maxReplicas"),
            row.int("status.currentReplicas"),
            age,
        ],
        "poddisruptionbudgets.policy" => vec![
            name,
            int_or_text(at(row.object, "spec.minAvailable")).into(),
            int_or_text(at(row.object, "spec.maxUnavailable")).into(),
            row.int("status.disruptionsAllowed"),
            age,
        ],
        "podtemplates" => {
            let [names, images] = row.containers("template.spec.containers");
            vec![name, names, images, row.labels("template.metadata.labels")]
        }
        _ => return None,
    })
}

fn cron_job(row: Row<'_>) -> Vec<Value> {
    let suspend = at(row.object, "spec.suspend").and_then(Value::as_bool);
    let last = at(row.object, "status.lastScheduleTime");
    let [names, images] = row.containers("spec.jobTemplate.spec.template.spec.containers");
    vec![
        row.name(),
        row.text("spec.schedule"),
        row.or("spec.timeZone", "<none>"),
        suspend.map_or("<unset>", |s| if s { "True" } else { "False" }).into(),
        row.list("status.active").len().into(),
        last.map_or_else(|| "<none>".to_owned(), |l| human::since(Some(l), row.now)).into(),
        row.age(),
        names,
        images,
        row.selector("spec.jobTemplate.spec.selector"),
    ]
}

fn owner(object: &Value) -> String {
    let Some((kind, name, uid)) = crate::sim::object::controller(object) else { return "<none>".into() };
    let owners = crate::sim::object::list(object, "metadata.ownerReferences");
    let version = owners.iter().find(|o| text(o, "uid") == uid).map_or("", |o| text(o, "apiVersion"));
    let group = version.split_once('/').map_or(String::new(), |(g, _)| format!(".{g}"));
    format!("{}{group}/{name}", kind.to_lowercase())
}

fn job_status(job: &Value) -> &'static str {
    const BEFORE: [(&str, &str); 2] = [("Complete", "Complete"), ("Failed", "Failed")];
    const AFTER: [(&str, &str); 3] =
        [("Suspended", "Suspended"), ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet")];
    let first = |all: &[(&str, &'static str)]| all.iter().find(|(c, _)| holds(job, c)).map(|(_, s)| *s);
    let going = at(job, "metadata.deletionTimestamp").map(|_| "Terminating");
    first(&BEFORE).or(going).or_else(|| first(&AFTER)).unwrap_or("Running")
}

fn completions(job: &Value) -> String {
    let done = int(job, "status.succeeded").unwrap_or(0);
    match (int(job, "spec.completions"), int(job, "spec.parallelism").unwrap_or(0)) {
        (Some(all), _) => format!("{done}/{all}"),
        (None, parallel @ 2..) => format!("{done}/1 of {parallel}"),
        (None, _) => format!("{done}/1"),
    }
}

fn job_duration(row: Row<'_>) -> String {
    let Some(start) = human::time(at(row.object, "status.startTime")) else { return String::new() };
    let end = human::time(at(row.object, "status.completionTime")).unwrap_or(row.now);
    human::duration((end - start).num_seconds())
}

fn int_or_text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(s)) => s.clone(),
        Some(value) => value.to_string(),
        None => "N/A".to_owned(),
    }
}

/// `cpu: 40%/60%, …` (`formatHPAMetrics`).
fn metrics(row: Row<'_>) -> String {
    let (specs, now) = (row.list("spec.metrics"), row.list("status.currentMetrics"));
    if specs.is_empty() {
        return "<none>".into();
    }
    let all: Vec<String> =
        specs.iter().enumerate().map(|(i, spec)| metric(spec, now.get(i).unwrap_or(&Value::Null))).collect();
    let shown = all.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(", ");
    if all.len() > 2 { format!("{shown} + {} more...", all.len() - 2) } else { shown }
}

fn metric(spec: &Value, now: &Value) -> String {
    let kind = text(spec, "type");
    let source = match kind {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".into(),
    };
    let target = |field: &str| at(spec, &format!("{source}.target.{field}"));
    let current = |field: &str| {
        let found = at(now, &format!("{source}.current.{field}"));
        found.map_or_else(|| "<unknown>".to_owned(), plain)
    };
    let resource = matches!(kind, "Resource" | "ContainerResource");
    if let Some(average) = target("averageValue") {
        let both = format!("{}/{}", current("averageValue"), plain(average));
        return match kind {
            "Pods" => both,
            _ if resource => format!("{}: {both}", text(spec, &format!("{source}.name"))),
            _ => format!("{both} (avg)"),
        };
    }
    if !resource {
        return format!("{}/{}", current("value"), target("value").map_or_else(|| "0".to_owned(), plain));
    }
    let percent = |p: String| if p == "<unknown>" { p } else { format!("{p}%") };
    let wanted = target("averageUtilization").map_or_else(|| "<auto>".to_owned(), |t| format!("{}%", plain(t)));
    format!("{}: {}/{wanted}", text(spec, &format!("{source}.name")), percent(current("averageUtilization")))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_autoscaler_tells_its_metrics() {
        let object = json!({"spec": {"metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
            {"type": "Pods", "pods": {"target": {"averageValue": "10"}}},
            {"type": "External", "external": {"target": {"value": "5"}}}]},
            "status": {"currentMetrics": [{"type": "Resource", "resource": {"current": {"averageUtilization": 40}}}]}});
        let row = Row { object: &object, now: crate::sim::clock::at(0) };
        assert_eq!(metrics(row), "cpu: 40%/60%, <unknown>/10 + 1 more...");
    }
}
