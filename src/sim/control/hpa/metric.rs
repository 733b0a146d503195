//! One metric of an autoscaler: its numbers, what it asks for, and how the status tells it.

use super::decide::{self, Pod, Sample, Target, Tolerances};
use super::look::Round;
use crate::sim::control::world::moment;
use crate::sim::object::{amount, at, condition, int, list, set, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a metric asks for.
pub struct Found {
    pub replicas: i64,
    /// As the event names it.
    pub name: String,
    /// The entry of `status.currentMetrics`.
    pub status: Value,
}

/// Why a metric says nothing.
pub struct Failure {
    /// Of the condition.
    pub reason: &'static str,
    /// As the condition tells it.
    pub cause: String,
    /// As the event about all metrics tells it.
    pub error: String,
}

impl Round<'_> {
    pub fn metric(&mut self, spec: &Value) -> Result<Found, Failure> {
        match text(spec, "type") {
            "Resource" => self.resource(spec, "resource", "").map_err(|cause| Failure {
                reason: "FailedGetResourceMetric",
                error: format!("failed to get {} resource metric value: {cause}", text(spec, "resource.name")),
                cause,
            }),
            "ContainerResource" => {
                let container = text(spec, "containerResource.container");
                self.resource(spec, "containerResource", container).map_err(|cause| Failure {
                    reason: "FailedGetContainerResourceMetric",
                    error: format!("failed to get {container} container metric value: {cause}"),
                    cause,
                })
            }
            "Pods" => Err(absent("FailedGetPodsMetric", "pods", "custom", text(spec, "pods.metric.name"))),
            "Object" => Err(absent("FailedGetObjectMetric", "object", "custom", text(spec, "object.metric.name"))),
            "External" => {
                Err(absent("FailedGetExternalMetric", "external", "external", text(spec, "external.metric.name")))
            }
            other => {
                let cause = format!("unknown metric source type \"{other}\"");
                Err(Failure { reason: "InvalidMetricSourceType", error: cause.clone(), cause })
            }
        }
    }

    fn resource(&mut self, spec: &Value, field: &str, container: &str) -> Result<Found, String> {
        let source = at(spec, field).cloned().unwrap_or_default();
        let resource = text(&source, "name");
        let (target, what) = match (
            thousandths(at(&source, "target.averageValue")),
            int(&source, "target.averageUtilization"),
        ) {
            (Some(v), _) => (Target::Average(v), "usage"),
            (None, Some(percent)) => (Target::Utilization(percent), "utilization"),
            (None, None) => {
                return Err("invalid resource metric source: neither an average utilization target nor an average value (usage) target was set".into());
            }
        };
        let failed = |why: String| format!("failed to get {resource} {what}: {why}");
        let (pods, samples) = self.numbers(resource, container);
        if samples.is_empty() && !self.measured() {
            return Err(failed(format!(
                "unable to get metrics for resource {resource}: no metrics returned from resource metrics API"
            )));
        }
        let cpu = resource == "cpu";
        let (current, now) = (self.scene.current, self.scene.now);
        let found = decide::propose(current, target, cpu, self.tolerances(), &pods, samples, now).map_err(failed)?;
        let kind = if container.is_empty() { "" } else { " container" };
        let name = match target {
            Target::Average(_) => format!("{resource} resource"),
            Target::Utilization(_) => format!("{resource}{kind} resource utilization (percentage of request)"),
        };
        let mut now = json!({"averageValue": quantity(found.average, resource == "memory")});
        if let Some(percent) = found.utilization {
            set(&mut now, "averageUtilization", percent);
        }
        let mut told = json!({"name": resource, "current": now});
        if !container.is_empty() {
            set(&mut told, "container", container);
        }
        Ok(Found { replicas: found.replicas, name, status: json!({"type": text(spec, "type"), field: told}) })
    }

    fn tolerances(&self) -> Tolerances {
        Tolerances::of(self.scene.hpa["spec"].get("behavior"))
    }

    /// Whether anything is measured of any pod.
    fn measured(&mut self) -> bool {
        let usage = &mut self.scene.usage;
        self.scene.pods.iter().any(|pod| {
            let mut of = |c, resource| usage(text(pod, "metadata.name"), text(c, "name"), resource).is_some();
            containers(pod).any(|c| of(c, "cpu") || of(c, "memory"))
        })
    }

    /// The pods, and what those use that can be measured in all their containers.
    fn numbers(&mut self, resource: &str, container: &str) -> (Vec<Pod>, BTreeMap<String, Sample>) {
        let (mut pods, mut samples) = (Vec::new(), BTreeMap::new());
        for pod in self.scene.pods {
            let (name, phase) = (text(pod, "metadata.name"), text(pod, "status.phase"));
            let since = |c| moment(text(c, "lastTransitionTime")).unwrap_or_default();
            pods.push(Pod {
                name: name.to_owned(),
                ignored: at(pod, "metadata.deletionTimestamp").is_some() || phase == "Failed",
                pending: phase == "Pending",
                ready: condition(pod, "Ready").map(|c| (text(c, "status") != "False", since(c))),
                started: moment(text(pod, "status.startTime")),
                request: Some(request(pod, resource, container)),
            });
            let parts: Option<Vec<Sample>> = containers(pod)
                .map(|c| text(c, "name"))
                .filter(|c| container.is_empty() || *c == container)
                .map(|c| (self.scene.usage)(name, c, resource))
                .collect();
            if let Some(first) = parts.as_ref().and_then(|p| p.first()) {
                let value = parts.iter().flatten().map(|s| s.value).sum();
                samples.insert(name.to_owned(), Sample { value, ..*first });
            }
        }
        (pods, samples)
    }
}

/// The answer when the API of a metric is not served.
fn absent(reason: &'static str, kind: &str, api: &str, name: &str) -> Failure {
    let why = if api == "custom" {
        "no custom metrics API (custom.metrics.k8s.io) registered".to_owned()
    } else {
        format!("the server could not find the requested resource (get {name}.external.metrics.k8s.io)")
    };
    let get = if api == "external" { "external metric" } else { "metric" };
    let cause = format!("unable to get {get} {name}: unable to fetch metrics from {api} metrics API: {why}");
    let error = match kind {
        "external" => {
            format!("failed to get {name} external metric value: failed to get {name} external metric: {cause}")
        }
        _ => format!("failed to get {kind} metric value: {cause}"),
    };
    Failure { reason, cause, error }
}

/// The containers that run with the pod.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "spec.containers")
        .iter()
        .chain(list(pod, "spec.initContainers").iter().filter(|c| text(c, "restartPolicy") == "Always"))
}

/// What a pod requests, in thousandths: what it says as a whole, else the sum of its containers.
fn request(pod: &Value, resource: &str, container: &str) -> Result<i64, String> {
    let name = text(pod, "metadata.name");
    let whole = at(pod, "spec.resources.requests").filter(|r| r.as_object().is_some_and(|r| !r.is_empty()));
    if let Some(requests) = whole.filter(|_| container.is_empty()) {
        return thousandths(requests.get(resource))
            .ok_or_else(|| format!("missing pod-level request for {resource} in Pod {name}"));
    }
    let mut sum = None;
    for c in containers(pod).filter(|c| container.is_empty() || text(c, "name") == container) {
        let own = thousandths(at(c, "resources.requests").and_then(|r| r.get(resource)))
            .ok_or_else(|| format!("missing request for {resource} in container {} of Pod {name}", text(c, "name")))?;
        *sum.get_or_insert(0) += own;
    }
    match sum {
        Some(n) => Ok(n),
        None if container.is_empty() => Ok(0),
        None => Err(format!("container {container} not found in Pod {name}")),
    }
}

/// A quantity in thousandths of its unit, rounded up, but not over the noise of the multiplication.
fn thousandths(quantity: Option<&Value>) -> Option<i64> {
    let value = amount(quantity)? * 1000.0;
    let near = value.round();
    Some(if (value - near).abs() <= near.abs() * 1e-12 { near } else { value.ceil() } as i64)
}

/// Thousandths as a quantity in its canonical form (resource.Quantity): `250m`, `2`, `5k`; bytes as `64Mi` where they are
/// whole.
fn quantity(thousandths: i64, bytes: bool) -> String {
    let whole = thousandths % 1000 == 0;
    let (mut number, base, units): (i64, i64, &[&str]) = match (bytes && whole, thousandths.abs() >= 1_024_000) {
        (true, true) => (thousandths / 1000, 1024, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]),
        _ => (thousandths, 1000, &["m", "", "k", "M", "G", "T", "P"]),
    };
    if number == 0 {
        return "0".to_owned();
    }
    let mut unit = 0;
    while number % base == 0 && unit + 1 < units.len() {
        number /= base;
        unit += 1;
    }
    format!("{number}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_written_as_the_api_server_does() {
        let read = |text: &str| thousandths(Some(&json!(text)));
        assert_eq!([read("9m"), read("13m"), read("2.007"), read("1u")], [Some(9), Some(13), Some(2007), Some(1)]);
        assert_eq!(read("64Mi"), Some(64 * 1024 * 1024 * 1000));
        let cases = [(0, "0"), (250, "250m"), (2000, "2"), (5_000_000, "5k")];
        assert!(cases.iter().all(|(n, text)| quantity(*n, false) == *text));
        let cases = [(67_108_864_000, "64Mi"), (1_500, "1500m"), (1_000_000, "1k"), (1_025_000, "1025"), (0, "0")];
        assert!(cases.iter().all(|(n, text)| quantity(*n, true) == *text));
    }

    #[test]
    fn what_a_pod_requests_as_a_whole_goes_before_its_containers() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {
            "resources": {"requests": {"cpu": "1"}},
            "containers": [{"name": "a", "resources": {"requests": {"cpu": "300m", "memory": "1Ki"}}}],
        }});
        assert_eq!(request(&pod, "cpu", ""), Ok(1000));
        assert_eq!(request(&pod, "cpu", "a"), Ok(300));
        assert_eq!(request(&pod, "memory", ""), Err("missing pod-level request for memory in Pod p".to_owned()));
    }
}
