//! What a pod asks of a node, as the scheduler and the kubelet's admission count it (k8s.io/component-helpers
//! resource.PodRequests): containers and sidecars together, or the largest init container, plus the overhead.

use super::super::object::{amount, at, list, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Requests: millicores, bytes of memory and of ephemeral storage, and what else is counted, by resource name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Millicores.
    pub cpu: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of ephemeral storage.
    pub disk: i64,
    /// Extended resources, such as `nvidia.com/gpu`.
    pub other: BTreeMap<String, i64>,
}

impl Ask {
    /// A resource list (`requests`, `limits`, `allocatable`, `overhead`); a malformed quantity counts as nothing.
    pub fn of(resources: Option<&Value>) -> Self {
        let mut ask = Self::default();
        let Some(Value::Object(map)) = resources else { return ask };
        for (name, quantity) in map {
            let Some(n) = amount(Some(quantity)) else { continue };
            match name.as_str() {
                "cpu" => ask.cpu = (n * 1000.0).ceil() as i64,
                "memory" => ask.memory = n.ceil() as i64,
                "ephemeral-storage" => ask.disk = n.ceil() as i64,
                "pods" => {}
                _ => drop(ask.other.insert(name.clone(), n.ceil() as i64)),
            }
        }
        ask
    }

    /// Adds `sign` times the other.
    pub fn add(&mut self, more: &Self, sign: i64) {
        self.cpu += sign * more.cpu;
        self.memory += sign * more.memory;
        self.disk += sign * more.disk;
        for (name, n) in &more.other {
            *self.other.entry(name.clone()).or_default() += sign * n;
        }
    }

    fn max(&mut self, other: &Self) {
        self.cpu = self.cpu.max(other.cpu);
        self.memory = self.memory.max(other.memory);
        self.disk = self.disk.max(other.disk);
        for (name, n) in &other.other {
            let mine = self.other.entry(name.clone()).or_default();
            *mine = (*mine).max(*n);
        }
    }
}

/// What the whole pod asks for.
pub fn of_pod(spec: &Value) -> Ask {
    let requests = |c: &Value| Ask::of(at(c, "resources.requests"));
    let mut running = Ask::default();
    for c in list(spec, "containers") {
        running.add(&requests(c), 1);
    }
    let (mut sidecars, mut peak) = (Ask::default(), Ask::default());
    for init in list(spec, "initContainers") {
        let own = requests(init);
        let mut now = sidecars.clone();
        now.add(&own, 1);
        peak.max(&now);
        if text(init, "restartPolicy") == "Always" {
            sidecars.add(&own, 1);
        }
    }
    running.add(&sidecars, 1);
    running.max(&peak);
    // Requests of the pod as a whole take the place of the sum (KEP-2837).
    let whole = Ask::of(at(spec, "resources.requests"));
    if whole.cpu > 0 {
        running.cpu = whole.cpu;
    }
    if whole.memory > 0 {
        running.memory = whole.memory;
    }
    running.add(&Ask::of(at(spec, "overhead")), 1);
    running
}

/// `Guaranteed`, `Burstable` or `BestEffort` (pkg/apis/core/v1/helper/qos).
pub fn qos(spec: &Value) -> &'static str {
    let (mut any, mut guaranteed) = (false, true);
    for c in list(spec, "containers").iter().chain(list(spec, "initContainers")) {
        let (requests, limits) = (Ask::of(at(c, "resources.requests")), Ask::of(at(c, "resources.limits")));
        any |= requests.cpu > 0 || requests.memory > 0 || limits.cpu > 0 || limits.memory > 0;
        guaranteed &= limits.cpu > 0
            && limits.memory > 0
            && (requests.cpu == 0 || requests.cpu == limits.cpu)
            && (requests.memory == 0 || requests.memory == limits.memory);
    }
    match (any, guaranteed) {
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
        (false, _) => "BestEffort",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(cpu: &str, memory: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}})
    }

    #[test]
    fn init_containers_count_by_the_largest_and_sidecars_stay() {
        let mut sidecar = container("50m", "10Mi");
        sidecar["restartPolicy"] = "Always".into();
        let spec = json!({"containers": [container("100m", "64Mi"), container("150m", "64Mi")],
            "initContainers": [sidecar, container("1", "32Mi")], "overhead": {"cpu": "10m"}});
        let ask = of_pod(&spec);
        assert_eq!((ask.cpu, ask.memory), (1050 + 10, 138 << 20));
    }

    #[test]
    fn quality_of_service_follows_requests_and_limits() {
        let same = json!({"containers": [{"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]});
        let less = json!({"containers": [{"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}]});
        assert_eq!(
            [qos(&same), qos(&less), qos(&json!({"containers": [{}]}))],
            ["Guaranteed", "Burstable", "BestEffort"]
        );
    }
}
