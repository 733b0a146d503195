//! A dossier holds what belongs to its subject, and names what it could not read.

use super::*;
use crate::model::snapshot::ClusterInfo;
use crate::model::time;
use serde_json::json;
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn client(server: &MockServer) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap()
}

fn snapshot() -> Snapshot {
    let text = |t: &str| Arc::from(t);
    let cluster = ClusterInfo {
        id: text("c"),
        context: text("x"),
        server: text("s"),
        version: text("v"),
        user: text("u"),
        namespaces: None,
    };
    Snapshot::empty(cluster, time::now())
}

async fn answer(server: &MockServer, at: &str, body: Value) {
    Mock::given(path(at)).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(server).await;
}

fn owned(name: &str, owner: &str) -> Value {
    json!({"metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": owner}]}})
}

#[tokio::test]
async fn a_deployments_dossier_holds_its_own_revisions_pods_and_autoscalers_and_names_its_gaps() {
    let server = MockServer::start().await;
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "uid": "d"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}}}});
    answer(&server, "/apis/apps/v1/namespaces/shop/deployments/web", deployment).await;
    Mock::given(path("/apis/apps/v1/namespaces/shop/replicasets"))
        .and(query_param("labelSelector", "app=web"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({"items": [owned("rs1", "d"), owned("rs2", "other")]})),
        )
        .mount(&server)
        .await;
    answer(&server, "/api/v1/namespaces/shop/pods", json!({"items": [owned("p1", "rs1"), owned("p2", "rs2")]})).await;
    let hpa = |target: &str| json!({"metadata": {"name": target}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": target}}});
    answer(
        &server,
        "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers",
        json!({"items": [hpa("web"), hpa("api")]}),
    )
    .await;
    answer(&server, "/api/v1/namespaces/shop/limitranges", json!({"items": null})).await;
    answer(&server, "/api/v1/namespaces/shop", json!({"kind": "Namespace"})).await;
    Mock::given(path("/apis/policy/v1/namespaces/shop/poddisruptionbudgets"))
        .respond_with(
            ResponseTemplate::new(403).set_body_json(json!({"code": 403, "message": "no", "reason": "Forbidden"})),
        )
        .mount(&server)
        .await;
    let service = |name: &str, app: &str, backup: Option<&str>| json!({"metadata": {"name": name, "annotations": {BACKUP: backup}}, "spec": {"selector": {"app": app}}});
    let services =
        [service("web", "web", Some("standby")), service("api", "api", None), json!({"metadata": {"name": "none"}})];
    answer(&server, "/api/v1/namespaces/shop/services", json!({"items": services})).await;
    let standby = json!({"kind": "Deployment", "metadata": {"name": "standby"}});
    answer(&server, "/apis/apps/v1/namespaces/shop/deployments/standby", standby).await;
    let subject = Subject::Workload(WorkloadKey::new("shop", WorkloadKind::Deployment, "web"));
    let d = fetch(&client(&server), &subject, &snapshot()).await;
    let names = |all: &[Value]| {
        all.iter().filter_map(|v| v["metadata"]["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&d.revisions), names(&d.pods), names(&d.autoscalers)),
        (vec!["rs1".into()], vec!["p1".into()], vec!["web".into()])
    );
    assert_eq!((names(&d.services), names(&d.backups)), (vec!["web".into()], vec!["standby".into()]));
    assert_eq!((d.revisions[0]["apiVersion"].as_str(), d.pods[0]["kind"].as_str()), (Some("apps/v1"), Some("Pod")));
    assert_eq!(
        d.gaps.iter().map(|g| &**g).collect::<Vec<_>>(),
        ["resourcequotas: not found", "poddisruptionbudgets: forbidden"]
    );
    assert_eq!((d.subject, d.namespace.is_some(), d.object.is_some()), (Some(subject), true, true));
}

#[tokio::test]
async fn an_unreachable_server_leaves_gaps_and_not_silence() {
    let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let d = fetch(&client, &Subject::Node("n1".into()), &snapshot()).await;
    assert_eq!((d.object.is_none(), d.pods.is_empty(), d.gaps.len()), (true, true, 3));
    assert!(d.gaps[0].starts_with("Node/n1: Connection refused"), "{:?}", d.gaps);
}
