//! Get, list, delete, discovery, and how they refuse.

use crate::case::{Case, Step, case, delete, get, patch, post, put};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/NS/configmaps";

fn map(name: &str, group: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"case": group, "name": name}},
        "data": {"a": "1"}})
}

fn made(group: &str, names: &[&str]) -> Vec<Step> {
    names.iter().map(|n| post(MAPS, &map(&format!("{group}-{n}"), group)).quiet()).collect()
}

fn with(mut steps: Vec<Step>, more: Vec<Step>) -> Vec<Step> {
    steps.extend(more);
    steps
}

/// Requests that are refused, or answered without any object: one case each.
const ALONE: [&str; 62] = [
    "/version/nothing",
    "/api",
    "/api/v2",
    "/apis/nonsense.io",
    "/apis/nonsense.io/v1",
    "/apis/nonsense.io/v1/things",
    "/apis/apps",
    "/apis/apps/v2",
    "/apis/apps/v1/nothings",
    "/apis/autoscaling",
    "/healthz",
    "/livez",
    "/readyz",
    "/nothing",
    "/api/v1/namespaces/nowhere",
    "/api/v1/namespaces/nowhere/pods",
    "/api/v1/namespaces/NS/pods/nothing",
    "/api/v1/namespaces/NS/pods/nothing/log",
    "/api/v1/namespaces/NS/pods/nothing/status",
    "/api/v1/namespaces/NS/pods/nothing/nonsense",
    "/api/v1/namespaces/NS/nodes",
    "/api/v1/namespaces/NS/services/nothing/proxy/",
    "/api/v1/nodes/nothing",
    "/api/v1/pods/nothing",
    "/apis/apps/v1/namespaces/NS/deployments/nothing",
    "/apis/apps/v1/namespaces/NS/deployments/nothing/scale",
    "/apis/apps/v1/namespaces/NS/daemonsets/nothing/scale",
    "/apis/batch/v1/namespaces/NS/jobs",
    "/api/v1/namespaces/NS/pods",
    "/api/v1/pods?limit=a",
    "/api/v1/pods?timeoutSeconds=a&watch=1",
    "/api/v1/pods?resourceVersion=abc",
    "/api/v1/pods?resourceVersion=-1",
    "/api/v1/pods?resourceVersionMatch=Exact",
    "/api/v1/pods?resourceVersionMatch=Nonsense&resourceVersion=1",
    "/api/v1/pods?resourceVersionMatch=Exact&resourceVersion=0",
    "/api/v1/pods?resourceVersionMatch=Exact&resourceVersion=1&continue=abc",
    "/api/v1/pods?resourceVersion=999999999",
    "/api/v1/pods?sendInitialEvents=true",
    "/api/v1/pods?watch=1&sendInitialEvents=true",
    "/api/v1/pods?watch=1&resourceVersionMatch=NotOlderThan",
    "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=Exact",
    "/api/v1/pods?watch=1&resourceVersion=abc",
    "/api/v1/pods?continue=abc",
    "/api/v1/pods?continue=%21",
    "/api/v1/pods?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MzEzLCJzdGFydCI6Ii9kZWZhdWx0XHUwMDAwIn0&resourceVersion=4",
    "/api/v1/pods?labelSelector=a%20b",
    "/api/v1/pods?labelSelector=a%20in%20c",
    "/api/v1/pods?labelSelector=a,,b",
    "/api/v1/pods?labelSelector=-a",
    "/api/v1/pods?labelSelector=a%3D-b",
    "/api/v1/pods?labelSelector=a%3Ex",
    "/api/v1/pods?labelSelector=a%3D%3D%3Db",
    "/api/v1/pods?fieldSelector=a",
    "/api/v1/pods?fieldSelector=a.b%3Dc",
    "/api/v1/pods?fieldSelector=a%3Db%3Dc",
    "/api/v1/pods?fieldSelector=status.phase%3Db%5Cc",
    "/api/v1/nodes?fieldSelector=metadata.namespace%3Db",
    "/api/v1/configmaps?fieldSelector=a%3Db",
    "/api/v1/events?fieldSelector=a%3Db",
    "/apis/batch/v1/jobs?fieldSelector=a%3Db",
    "/apis/apps/v1/replicasets?fieldSelector=status.replicas%3D1",
];

/// Lists whose selectors select among three objects.
const SELECTORS: [&str; 12] = [
    "labelSelector=case%3Dselect",
    "labelSelector=case%3Dselect,name%21%3Dselect-a",
    "labelSelector=case%3Dselect,name%20in%20(select-a,select-c)",
    "labelSelector=case%3Dselect,name%20notin%20(select-a)",
    "labelSelector=case%3Dselect,%21nothing",
    "labelSelector=case%3Dselect,nothing",
    "labelSelector=case%3Dselect&fieldSelector=metadata.name%3Dselect-b",
    "labelSelector=case%3Dselect&fieldSelector=metadata.name%21%3Dselect-b",
    "labelSelector=case%3Dselect&fieldSelector=metadata.namespace%3Dtwins",
    "labelSelector=case%3Dselect&fieldSelector=metadata.namespace%3Dother",
    "labelSelector=case%3Dselect&resourceVersion=0",
    "labelSelector=case%3Dselect&limit=2&resourceVersion=0",
];

/// The cases.
pub fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = ALONE.iter().map(|p| case(*p, [get(*p)])).collect();
    all.extend(methods());
    all.push(case("objects to select", with(made("select", &["a", "b", "c"]), vec![])));
    all.extend(SELECTORS.iter().map(|s| case(format!("configmaps?{s}"), [get(format!("{MAPS}?{s}"))])));
    all.extend(pages());
    all.extend(deletions());
    all.extend(forms());
    all
}

fn methods() -> Vec<Case> {
    vec![
        case("PUT on a collection", [put("/api/v1/pods", &json!({}))]),
        case("PATCH on a collection", [patch("merge-patch+json", MAPS, &json!({}))]),
        case("POST on an object", [post(format!("{MAPS}/nothing"), &json!({}))]),
        case("DELETE of what is not there", [delete(format!("{MAPS}/nothing"), &Value::Null)]),
        case("DELETE on a collection that cannot", [delete("/api/v1/namespaces", &Value::Null)]),
        case("nothing acceptable", [get("/api/v1/pods").header("accept", "text/html")]),
        case("unknown type of body", [post(MAPS, &map("typed", "x")).header("content-type", "text/plain")]),
        case("unknown type of patch", [patch("nonsense", format!("{MAPS}/nothing"), &json!({}))]),
        case("includeObject that is not known", [get(format!("{MAPS}?includeObject=Nonsense")).table()]),
    ]
}

fn pages() -> Vec<Case> {
    let page = |more: &str| get(format!("{MAPS}?labelSelector=case%3Dpage&limit=2{more}"));
    let names = ["/items/0/metadata/name", "/items/1/metadata/name", "/metadata/remainingItemCount"];
    vec![
        case(
            "pages",
            with(
                made("page", &["a", "b", "c", "d", "e"]),
                vec![
                    page("").keep("next", "/metadata/continue"),
                    page("&continue={next}").keep("next", "/metadata/continue"),
                    page("&continue={next}"),
                ],
            ),
        ),
        case(
            "a page is of the version of the first",
            with(
                made("same", &["a", "b", "c"]),
                vec![
                    get(format!("{MAPS}?labelSelector=case%3Dsame&limit=1"))
                        .keep("next", "/metadata/continue")
                        .keep("version", "/metadata/resourceVersion"),
                    delete(format!("{MAPS}/same-b"), &Value::Null).quiet(),
                    post(MAPS, &map("same-d", "same")).quiet(),
                    get(format!("{MAPS}?labelSelector=case%3Dsame&limit=5&continue={{next}}")).only(names),
                    get(format!(
                        "{MAPS}?labelSelector=case%3Dsame&resourceVersion={{version}}&resourceVersionMatch=Exact"
                    )),
                    get(format!(
                        "{MAPS}?labelSelector=case%3Dsame&resourceVersion={{version}}&resourceVersionMatch=NotOlderThan"
                    )),
                    get(format!("{MAPS}?labelSelector=case%3Dsame&resourceVersion={{version}}")),
                    get(format!("{MAPS}?labelSelector=case%3Dsame&resourceVersion={{version}}&limit=10")),
                ],
            ),
        ),
    ]
}

fn deletions() -> Vec<Case> {
    let one = |name: &str, options: Value| {
        let path = format!("{MAPS}/{name}");
        case(
            format!("delete: {name}"),
            [
                post(MAPS, &map(name, "delete")).quiet().keep("uid", "/metadata/uid"),
                delete(path.clone(), &options),
                get(path),
            ],
        )
    };
    let held = |name: &str| {
        let mut map = map(name, "held");
        map["metadata"]["finalizers"] = json!(["example.com/hold"]);
        map
    };
    let free = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    vec![
        one("plain", Value::Null),
        one("dry", json!({"dryRun": ["All"]})),
        one("dry-wrong", json!({"dryRun": ["Some"]})),
        one("right-uid", json!({"preconditions": {"uid": "{uid}"}})),
        one("wrong-uid", json!({"preconditions": {"uid": "another"}})),
        one("wrong-version", json!({"preconditions": {"resourceVersion": "1"}})),
        one("background", json!({"propagationPolicy": "Background"})),
        one("wrong-propagation", json!({"propagationPolicy": "Nonsense"})),
        one("with-kind", json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})),
        case(
            "delete: a finalizer holds",
            [
                post(MAPS, &held("held")).quiet(),
                delete(format!("{MAPS}/held"), &Value::Null),
                delete(format!("{MAPS}/held"), &Value::Null),
                patch("json-patch+json", format!("{MAPS}/held"), &free),
                get(format!("{MAPS}/held")),
            ],
        ),
        case(
            "delete: a collection",
            with(
                made("many", &["a", "b"]),
                vec![
                    delete(format!("{MAPS}?labelSelector=case%3Dmany"), &Value::Null),
                    get(format!("{MAPS}?labelSelector=case%3Dmany")),
                ],
            ),
        ),
        case(
            "delete: a collection, dry",
            with(
                made("dry-many", &["a", "b"]),
                vec![
                    delete(format!("{MAPS}?labelSelector=case%3Ddry-many&dryRun=All"), &Value::Null),
                    get(format!("{MAPS}?labelSelector=case%3Ddry-many")),
                ],
            ),
        ),
        case("delete: bad body", [delete(format!("{MAPS}/nothing"), &Value::Null).raw("{")]),
    ]
}

fn forms() -> Vec<Case> {
    let meta = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let metas = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let proto = "application/vnd.kubernetes.protobuf,application/json";
    vec![
        case(
            "metadata of one",
            [get("/api/v1/namespaces/default").header("accept", meta).only([
                "/kind",
                "/apiVersion",
                "/metadata/name",
                "/metadata/labels",
            ])],
        ),
        case("metadata of many", [get(format!("{MAPS}?labelSelector=case%3Dselect")).header("accept", metas)]),
        case(
            "the first form that can be served",
            [get(format!("{MAPS}?labelSelector=case%3Dselect")).header("accept", "application/xml,application/json")],
        ),
        case(
            "protobuf is not insisted on",
            [get("/apis/apps/v1/namespaces/NS/deployments/nothing").header("accept", proto)],
        ),
    ]
}
