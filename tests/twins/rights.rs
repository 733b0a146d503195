//! Refusals of those who may not, and reviews.

use crate::case::{Case, case, delete, get, patch, post};
use serde_json::{Value, json};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/NS";

fn review(user: &str, attributes: Value) -> crate::case::Step {
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}});
    post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body).by(user).only([
        "/kind",
        "/spec",
        "/status/allowed",
    ])
}

/// The cases.
pub fn cases() -> Vec<Case> {
    let eve = "eve";
    let mut all = vec![case(
        "a role for eve",
        [
            post(
                format!("{RBAC}/roles"),
                &json!({"metadata": {"name": "reader"}, "rules": [
                    {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
                    {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["known"], "verbs": ["get"]},
                    {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["get"]}]}),
            )
            .quiet(),
            post(
                format!("{RBAC}/rolebindings"),
                &json!({"metadata": {"name": "eve"}, "subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}],
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}}),
            )
            .quiet(),
            // The real server's authorizer reads its own watch; its answer tells when it knows.
            get("/api/v1/namespaces/NS/pods?labelSelector=none%3Dat-all").quiet(),
        ],
    )];
    for path in [
        "/api/v1/pods",
        "/api/v1/nodes",
        "/api/v1/nodes/n1",
        "/api/v1/namespaces/NS/secrets",
        "/api/v1/namespaces/NS/secrets/other",
        "/api/v1/namespaces/NS/secrets/known",
        "/api/v1/namespaces/NS/pods/nothing",
        "/api/v1/namespaces/NS/pods/nothing/status",
        "/apis/apps/v1/namespaces/NS/deployments",
        "/apis/apps/v1/namespaces/NS/deployments/nothing",
        "/apis/apps/v1/namespaces/NS/deployments/nothing/scale",
        "/api/v1/namespaces/NS",
        "/api/v1/namespaces/other/pods",
        "/apis/nonsense.io/v1/things",
        "/metrics",
        "/nothing",
        "/api/v1/namespaces/NS/pods?watch=1",
    ] {
        all.push(case(format!("eve gets {path}"), [get(path).by(eve)]));
    }
    all.extend([
        case("eve deletes", [delete("/api/v1/namespaces/NS/pods/nothing", &Value::Null).by(eve)]),
        case("eve deletes all", [delete("/api/v1/namespaces/NS/pods", &Value::Null).by(eve)]),
        case("eve creates", [post("/api/v1/namespaces/NS/pods", &json!({})).by(eve)]),
        case(
            "eve patches",
            [patch("merge-patch+json", "/apis/apps/v1/namespaces/NS/deployments/a/scale", &json!({})).by(eve)],
        ),
        case("eve evicts", [post("/api/v1/namespaces/NS/pods/a/eviction", &json!({})).by(eve)]),
        case("eve may", [review(eve, json!({"verb": "list", "resource": "pods", "namespace": "twins"}))]),
        case(
            "eve may a subresource",
            [review(eve, json!({"verb": "get", "resource": "pods", "subresource": "log", "namespace": "twins"}))],
        ),
        case("eve may not", [review(eve, json!({"verb": "delete", "resource": "pods", "namespace": "twins"}))]),
        case("eve may not elsewhere", [review(eve, json!({"verb": "list", "resource": "pods"}))]),
        case(
            "eve may by name",
            [review(eve, json!({"verb": "get", "resource": "secrets", "name": "known", "namespace": "twins"}))],
        ),
        case(
            "nobody's token",
            [get("/version").header("authorization", "Bearer nobodys").only(["/message", "/reason", "/code"])],
        ),
    ]);
    all
}
