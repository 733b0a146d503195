//! Pods: the defaults of a pod's specification wherever it stands, and what admission adds to a pod that is created.

use super::{default, each};
use crate::sim::object::{amount, at, int, list, set, text};
use crate::sim::store::Store;
use serde_json::{Value, json};

/// The defaults of the pod specification at `path`.
pub fn fill(object: &mut Value, path: &str) {
    let Some(spec) = path.split('.').try_fold(&mut *object, |v, key| v.get_mut(key)).filter(|s| s.is_object()) else {
        return;
    };
    default(spec, "restartPolicy", "Always");
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "schedulerName", "default-scheduler");
    default(spec, "securityContext", json!({}));
    if let Some(account) = at(spec, "serviceAccountName").or_else(|| at(spec, "serviceAccount")).cloned() {
        set(spec, "serviceAccountName", account.clone());
        set(spec, "serviceAccount", account);
    }
    let host = spec["hostNetwork"] == true;
    for containers in ["containers", "initContainers", "ephemeralContainers"] {
        for c in each(spec, containers) {
            container(c, host, containers == "ephemeralContainers");
        }
    }
    for v in each(spec, "volumes") {
        volume(v);
    }
}

fn container(c: &mut Value, host: bool, ephemeral: bool) {
    default(c, "terminationMessagePath", "/dev/termination-log");
    default(c, "terminationMessagePolicy", "File");
    let image = text(c, "image");
    let tag = image.rsplit('/').next().unwrap_or(image);
    let latest = !image.is_empty() && !image.contains('@') && tag.split_once(':').is_none_or(|(_, t)| t == "latest");
    default(c, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    default(c, "resources", json!({}));
    for port in each(c, "ports") {
        default(port, "protocol", "TCP");
        if host && let Some(number) = at(port, "containerPort").cloned() {
            default(port, "hostPort", number);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(p) = c.get_mut(probe).filter(|p| p.is_object()) {
            default(p, "timeoutSeconds", 1);
            default(p, "periodSeconds", 10);
            default(p, "successThreshold", 1);
            default(p, "failureThreshold", 3);
            handler(p);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(h) = c.get_mut("lifecycle").and_then(|l| l.get_mut(hook)) {
            handler(h);
        }
    }
    for variable in each(c, "env") {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            default(field, "apiVersion", "v1");
        }
    }
    if ephemeral {
        return;
    }
    // A limit without a request is the request, too.
    if let Some(Value::Object(limits)) = at(c, "resources.limits").cloned() {
        for (name, limit) in limits {
            if at(c, "resources.requests").is_none() {
                set(c, "resources.requests", json!({}));
            }
            let requests = &mut c["resources"]["requests"];
            if requests.get(&name).is_none_or(Value::is_null) {
                requests[&name] = limit;
            }
        }
    }
}

fn handler(h: &mut Value) {
    if h["httpGet"].is_object() {
        default(h, "httpGet.path", "/");
        default(h, "httpGet.scheme", "HTTP");
    }
    if h["grpc"].is_object() {
        default(h, "grpc.service", "");
    }
}

fn volume(v: &mut Value) {
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if v[source].is_object() {
            default(v, &format!("{source}.defaultMode"), 420);
        }
    }
    if v["hostPath"].is_object() {
        default(v, "hostPath.type", "");
    }
    for source in each(v, "projected.sources") {
        if source["serviceAccountToken"].is_object() {
            default(source, "serviceAccountToken.expirationSeconds", 3600);
        }
        for item in each(source, "downwardAPI.items") {
            if let Some(field) = item.get_mut("fieldRef").filter(|f| f.is_object()) {
                default(field, "apiVersion", "v1");
            }
        }
    }
    for item in each(v, "downwardAPI.items") {
        if let Some(field) = item.get_mut("fieldRef").filter(|f| f.is_object()) {
            default(field, "apiVersion", "v1");
        }
    }
    let sources = ["configMap", "secret", "downwardAPI", "projected", "emptyDir", "hostPath", "persistentVolumeClaim"];
    let known = v.as_object().is_some_and(|m| m.keys().any(|k| k != "name"));
    if !known && sources.iter().all(|s| v.get(*s).is_none()) {
        set(v, "emptyDir", json!({}));
    }
}

/// What the admission plugins and the registry add to a new pod: service account, priority, tolerations, status.
pub fn admit(store: &Store, pod: &mut Value) {
    default(pod, "spec.serviceAccountName", "default");
    let account = pod["spec"]["serviceAccountName"].clone();
    set(pod, "spec.serviceAccount", account);
    priority(store, pod);
    default(pod, "spec.preemptionPolicy", "PreemptLowerPriority");
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = list(pod, "spec.tolerations").iter().any(|t| {
            (text(t, "key") == key || text(t, "key").is_empty() && text(t, "operator") == "Exists")
                && matches!(text(t, "effect"), "" | "NoExecute")
        });
        if !tolerated {
            let mut all = list(pod, "spec.tolerations").to_vec();
            all.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
            set(pod, "spec.tolerations", all);
        }
    }
    set(pod, "status", json!({"phase": "Pending", "qosClass": qos(pod)}));
}

fn priority(store: &Store, pod: &mut Value) {
    let named = text(pod, "spec.priorityClassName").to_owned();
    let classes = || store.list("priorityclasses.scheduling.k8s.io", None).1;
    let class = if named.is_empty() {
        classes().into_iter().map(|c| c.value()).find(|c| c["globalDefault"] == true)
    } else {
        store.get("priorityclasses.scheduling.k8s.io", "", &named).map(|c| c.value())
    };
    let built_in = match named.as_str() {
        "system-node-critical" => 2_000_001_000,
        "system-cluster-critical" => 2_000_000_000,
        _ => 0,
    };
    set(pod, "spec.priority", class.as_ref().and_then(|c| int(c, "value")).unwrap_or(built_in));
    if let Some(class) = &class {
        set(pod, "spec.priorityClassName", text(class, "metadata.name"));
        if let Some(policy) = at(class, "preemptionPolicy") {
            set(pod, "spec.preemptionPolicy", policy.clone());
        }
    }
}

/// The pod's quality of service: `Guaranteed`, `Burstable` or `BestEffort` (pkg/apis/core/v1/helper/qos).
pub fn qos(pod: &Value) -> &'static str {
    let (mut any, mut guaranteed) = (false, true);
    let all = list(pod, "spec.containers").iter().chain(list(pod, "spec.initContainers"));
    for container in all {
        for resource in ["cpu", "memory"] {
            let of = |part: &str| amount(at(container, &format!("resources.{part}.{resource}"))).filter(|v| *v > 0.0);
            let (request, limit) = (of("requests"), of("limits"));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|r| Some(r) == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
