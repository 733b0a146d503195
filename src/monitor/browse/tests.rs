//! Promises of browsing, against a server that answers what it is told to.

use super::*;
use crate::model::browse::Ask;
use crate::model::object::{ObjectRef, Resource};
use crate::monitor::detail::DetailError;
use chrono::DateTime;
use serde_json::{Value, json};
use wiremock::matchers::{any, header, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

async fn server() -> (MockServer, Client) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = MockServer::start().await;
    let client = Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
    (server, client)
}

fn ask(resource: Resource, namespace: Option<&str>) -> Ask {
    Ask { cluster: "c".into(), resource, namespace: namespace.map(Into::into) }
}

fn secrets() -> Resource {
    Resource { kind: "Secret".into(), plural: "secrets".into(), ..Resource::CONFIGMAPS }
}

fn page(names: &[&str], next: &str) -> Value {
    let rows: Vec<Value> = names
        .iter()
        .map(|n| {
            json!({"cells": [n, "1/2", 3, null], "object": {"metadata": {"name": n, "namespace": "shop",
            "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "cart"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-1", "controller": true}]}}})
        })
        .collect();
    json!({"kind": "Table", "metadata": {"continue": next}, "rows": rows, "columnDefinitions": [
        {"name": "Name", "type": "string", "priority": 0}, {"name": "Ready", "type": "string", "priority": 0},
        {"name": "Restarts", "type": "integer", "priority": 0}, {"name": "Node\u{1b}", "type": "string", "priority": 1}]})
}

#[tokio::test]
async fn a_table_is_read_page_by_page_with_labels_owner_and_clean_text() {
    let (server, client) = server().await;
    let at = "/api/v1/namespaces/shop/pods";
    let answer = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    let first = Mock::given(path(at)).and(query_param_is_missing("continue"));
    first.respond_with(answer(page(&["a", "b\u{1b}[31m"], "t"))).mount(&server).await;
    Mock::given(path(at)).and(query_param("continue", "t")).respond_with(answer(page(&["c"], ""))).mount(&server).await;
    let got = table::list(&client, &ask(Resource::PODS, Some("shop"))).await.unwrap();
    let names: Vec<&str> = got.rows.iter().map(|r| &*r.name).collect();
    assert_eq!((names, got.more), (vec!["a", "b[31m", "c"], false));
    assert_eq!(got.rows[0].cells.iter().map(|c| &**c).collect::<Vec<_>>(), ["a", "1/2", "3", ""]);
    assert_eq!(&*got.rows[0].labels[0], "app=cart");
    assert_eq!(got.rows[0].owner.as_ref().map(|o| &*o.name), Some("cart-1"), "the controller, not the first");
    assert!(got.columns[2].number && got.columns[3].wide && &*got.columns[3].name == "Node");
}

#[tokio::test]
async fn of_secrets_nothing_but_printed_cells_is_asked_for() {
    let (server, client) = server().await;
    let table = json!({"kind": "Table", "rows": [{"cells": ["token", "Opaque", 1], "object": null}], "columnDefinitions":
        [{"name": "Name", "type": "string"}, {"name": "Type", "type": "string"}, {"name": "Data", "type": "integer"}]});
    Mock::given(query_param("includeObject", "None"))
        .and(header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"))
        .respond_with(ResponseTemplate::new(200).set_body_json(table))
        .mount(&server)
        .await;
    let got = table::list(&client, &ask(secrets(), Some("shop"))).await.unwrap();
    assert_eq!((&*got.rows[0].name, got.rows[0].namespace.as_deref()), ("token", Some("shop")));
    let asked = server.received_requests().await.unwrap().len();
    assert!(table::list(&client, &ask(secrets(), None)).await.unwrap_err().why.contains("choose a namespace"));
    let object = ObjectRef::namespaced(secrets(), "shop", "token");
    let described = describe::describe(&client, &object, DateTime::UNIX_EPOCH).await;
    assert!(matches!(described, Err(DetailError::Secret(_))));
    assert_eq!(server.received_requests().await.unwrap().len(), asked, "neither was asked for");
}

#[tokio::test]
async fn a_plain_list_of_secrets_is_not_looked_at_and_one_of_others_gives_names() {
    let (server, client) = server().await;
    let plain = json!({"kind": "List", "items": [{"metadata": {"name": "x", "annotations": {"a": "s3cr3t"}}}]});
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(plain)).mount(&server).await;
    assert!(table::list(&client, &ask(secrets(), Some("shop"))).await.unwrap_err().why.contains("no Table"));
    let got = table::list(&client, &ask(Resource::CONFIGMAPS, Some("shop"))).await.unwrap();
    assert_eq!((&*got.columns[1].name, &*got.rows[0].name), ("Age", "x"));
    assert!(!format!("{got:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn what_the_server_refuses_is_said_in_its_words() {
    let (server, client) = server().await;
    let body =
        json!({"kind": "Status", "code": 403, "reason": "Forbidden", "message": "pods is forbidden: User \"ada\""});
    Mock::given(any()).respond_with(ResponseTemplate::new(403).set_body_json(body)).mount(&server).await;
    let said = table::list(&client, &ask(Resource::PODS, None)).await.unwrap_err();
    assert_eq!((said.trouble, &*said.why), (Trouble::Forbidden, "403: pods is forbidden: User \"ada\""));
}

#[tokio::test]
async fn servers_without_aggregated_discovery_tell_their_kinds_group_by_group() {
    let (server, client) = server().await;
    let kinds = |name: &str, kind: &str| {
        json!({"resources": [
        {"name": name, "kind": kind, "singularName": "", "namespaced": true, "verbs": ["list"], "shortNames": ["dp"]},
        {"name": format!("{name}/status"), "kind": kind, "namespaced": true, "verbs": ["list"]},
        {"name": "reviews", "kind": "Review", "namespaced": false, "verbs": ["create"]}]})
    };
    let group = json!({"groups": [{"name": "apps", "preferredVersion": {"version": "v1"}},
        {"name": "down.io", "preferredVersion": {"version": "v1"}}]});
    for (at, body) in [
        ("/api", json!({"versions": ["v1"]})),
        ("/api/v1", kinds("pods", "Pod")),
        ("/apis", group),
        ("/apis/apps/v1", kinds("deployments", "Deployment")),
    ] {
        Mock::given(path(at)).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    }
    let found = kinds::kinds(&client).await.unwrap();
    let names: Vec<Vec<String>> = found.iter().map(|k| k.names().collect()).collect();
    assert_eq!(names, [vec!["pods", "pod", "dp"], vec!["deployments", "deployment", "dp", "deployments.apps"]]);
}

#[tokio::test]
async fn an_object_is_described_with_owner_conditions_and_events_newest_first() {
    let (server, client) = server().await;
    let object = json!({"metadata": {"name": "cart", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 3,
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"all\":1}", "team": "shop"},
        "ownerReferences": [{"kind": "App", "name": "shop", "controller": true}]},
        "status": {"observedGeneration": 2, "replicas": 4, "conditions": [{"type": "Available", "status": "False",
            "reason": "MinimumReplicasUnavailable", "lastTransitionTime": "2026-01-01T00:50:00Z"}]}});
    let event = |at: &str, reason: &str, count: u32| json!({"lastTimestamp": at, "reason": reason, "type": "Warning", "count": count, "message": "m"});
    let events = json!({"items": [event("2026-01-01T00:10:00Z", "Old", 1), event("2026-01-01T00:59:00Z", "New", 7)]});
    let at = "/apis/apps/v1/namespaces/shop/deployments/cart";
    Mock::given(path(at)).respond_with(ResponseTemplate::new(200).set_body_json(object)).mount(&server).await;
    Mock::given(path("/api/v1/namespaces/shop/events"))
        .and(query_param("fieldSelector", "involvedObject.name=cart,involvedObject.kind=Deployment"))
        .respond_with(ResponseTemplate::new(200).set_body_json(events))
        .mount(&server)
        .await;
    let cart = ObjectRef::namespaced(Resource::DEPLOYMENTS, "shop", "cart");
    let now = "2026-01-01T01:00:00Z".parse().unwrap();
    insta::assert_snapshot!("describe", describe::describe(&client, &cart, now).await.unwrap());
}
