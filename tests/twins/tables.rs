//! Tables: columns of every kind, and cells of objects whose status is given.

use crate::case::{Case, case, get, patch, post};
use serde_json::{Value, json};

/// Kinds whose columns are compared (no objects match).
const KINDS: [&str; 34] = [
    "/api/v1/pods",
    "/api/v1/services",
    "/api/v1/endpoints",
    "/api/v1/nodes",
    "/api/v1/namespaces",
    "/api/v1/configmaps",
    "/api/v1/secrets",
    "/api/v1/serviceaccounts",
    "/api/v1/events",
    "/api/v1/persistentvolumeclaims",
    "/api/v1/persistentvolumes",
    "/api/v1/replicationcontrollers",
    "/api/v1/limitranges",
    "/api/v1/resourcequotas",
    "/api/v1/podtemplates",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/replicasets",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/daemonsets",
    "/apis/apps/v1/controllerrevisions",
    "/apis/batch/v1/jobs",
    "/apis/batch/v1/cronjobs",
    "/apis/autoscaling/v2/horizontalpodautoscalers",
    "/apis/policy/v1/poddisruptionbudgets",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/coordination.k8s.io/v1/leases",
    "/apis/events.k8s.io/v1/events",
    "/apis/networking.k8s.io/v1/ingresses",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/storage.k8s.io/v1/storageclasses",
    "/apis/scheduling.k8s.io/v1/priorityclasses",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
];

/// A pod nobody runs (its scheduler does not exist), with a status of our own.
fn pod(name: &str, status: Value) -> Case {
    let pods = "/api/v1/namespaces/NS/pods";
    let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}],
            "initContainers": [{"name": "i", "image": "i:1"}]}});
    case(
        format!("pod row: {name}"),
        [
            post(pods, &object).quiet(),
            patch("merge-patch+json", format!("{pods}/{name}/status"), &json!({"status": status})).quiet(),
            get(format!("{pods}/{name}")).table().only(["/rows/0/cells", "/rows/0/conditions"]),
        ],
    )
}

fn container(name: &str, ready: bool, state: Value) -> Value {
    json!({"name": name, "ready": ready, "restartCount": 0, "image": "a:1", "imageID": "", "state": state})
}

fn pods() -> Vec<Case> {
    let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    let waiting = |why: &str| json!({"waiting": {"reason": why}});
    let ended = |code: i64, why: &str| json!({"terminated": {"exitCode": code, "reason": why}});
    let init = container("i", true, ended(0, "Completed"));
    let of = |phase: &str, a: Value, b: Value| json!({"phase": phase, "initContainerStatuses": [init], "containerStatuses": [a, b]});
    vec![
        pod("pending", json!({"phase": "Pending"})),
        pod("running", of("Running", container("a", true, running.clone()), container("b", true, running.clone()))),
        pod(
            "one-waits",
            of("Running", container("a", true, running.clone()), container("b", false, waiting("CrashLoopBackOff"))),
        ),
        pod(
            "pull",
            of(
                "Pending",
                container("a", false, waiting("ImagePullBackOff")),
                container("b", false, waiting("ContainerCreating")),
            ),
        ),
        pod(
            "oom",
            of("Running", container("a", false, ended(137, "OOMKilled")), container("b", true, running.clone())),
        ),
        pod("code", of("Running", container("a", false, ended(3, "")), container("b", true, running.clone()))),
        pod(
            "done",
            of("Succeeded", container("a", false, ended(0, "Completed")), container("b", false, ended(0, "Completed"))),
        ),
        pod(
            "failed",
            of("Failed", container("a", false, ended(1, "Error")), container("b", false, ended(0, "Completed"))),
        ),
        pod("evicted", json!({"phase": "Failed", "reason": "Evicted"})),
        pod("init", json!({"phase": "Pending", "initContainerStatuses": [container("i", false, running)]})),
        pod(
            "init-fails",
            json!({"phase": "Pending", "initContainerStatuses": [container("i", false, ended(2, "Error"))]}),
        ),
    ]
}

/// The cases.
pub fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = KINDS
        .iter()
        .map(|path| {
            let list = get(format!("{path}?labelSelector=none%3Dat-all")).table();
            case(format!("columns: {path}"), [list.only(["/kind", "/apiVersion", "/columnDefinitions", "/rows"])])
        })
        .collect();
    all.extend(pods());
    let rows = ["/rows/0/cells", "/rows/0/object/kind", "/rows/0/object/metadata/name"];
    let one = |name: &str, path: &str, object: Value| {
        let at = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
        case(format!("row: {name}"), [post(path, &object).quiet(), get(at).table().only(rows)])
    };
    all.extend([
        one("config map", "/api/v1/namespaces/NS/configmaps", json!({"metadata": {"name": "row"}, "data": {"a": "1", "b": "2"}, "binaryData": {"c": "eA=="}})),
        one("secret", "/api/v1/namespaces/NS/secrets", json!({"metadata": {"name": "row"}, "stringData": {"a": "1"}})),
        one("lease", "/apis/coordination.k8s.io/v1/namespaces/NS/leases", json!({"metadata": {"name": "row"}, "spec": {"holderIdentity": "me"}})),
        one("network policy", "/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies", json!({"metadata": {"name": "row"},
            "spec": {"podSelector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "Z", "operator": "In", "values": ["y", "x"]}, {"key": "q", "operator": "Exists"}]}}})),
        one("ingress", "/apis/networking.k8s.io/v1/namespaces/NS/ingresses", json!({"metadata": {"name": "row"},
            "spec": {"tls": [{"hosts": ["a.example"]}], "rules": [{"host": "a.example"}, {"host": "b.example"}, {"host": "c.example"}, {"host": "d.example"}]}})),
        one("role binding", "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings", json!({"metadata": {"name": "row"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}]})),
        one("cron job", "/apis/batch/v1/namespaces/NS/cronjobs", json!({"metadata": {"name": "row"}, "spec": {"schedule": "0 0 1 1 *", "suspend": true,
            "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}}}}})),
        one("claim", "/api/v1/namespaces/NS/persistentvolumeclaims", json!({"metadata": {"name": "row"},
            "spec": {"storageClassName": "none", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})),
        one("event", "/api/v1/namespaces/NS/events", json!({"metadata": {"name": "row"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "twins", "fieldPath": "spec"},
            "reason": "Because", "message": " hello ", "type": "Normal", "source": {"component": "c", "host": "h"}, "count": 3,
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z"})),
        one("autoscaler", "/apis/autoscaling/v2/namespaces/NS/horizontalpodautoscalers", json!({"metadata": {"name": "row"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nothing"}, "minReplicas": 2, "maxReplicas": 5,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]}})),
        one("budget", "/apis/policy/v1/namespaces/NS/poddisruptionbudgets", json!({"metadata": {"name": "row"}, "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}})),
        one("service", "/api/v1/namespaces/NS/services", json!({"metadata": {"name": "row"}, "spec": {"clusterIP": "None", "selector": {"b": "1", "a": "2"},
            "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81, "protocol": "UDP"}]}})),
    ]);
    all.push(case(
        "an event in its other shape",
        [
            get("/apis/events.k8s.io/v1/namespaces/NS/events/row"),
            get("/apis/events.k8s.io/v1/namespaces/NS/events/row").table().only(rows),
        ],
    ));
    for include in ["None", "Object", "Metadata"] {
        all.push(case(
            format!("includeObject {include}"),
            [get(format!("/api/v1/namespaces/NS/configmaps/row?includeObject={include}")).table()],
        ));
    }
    all
}
