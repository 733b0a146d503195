//! Watches: order, selectors, the state at the start, bookmarks, and versions that are too old.

use crate::case::{Case, Step, case, delete, get, patch, post, watch};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/NS/configmaps";

fn map(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}})
}

fn merge(name: &str, body: Value) -> Step {
    patch("merge-patch+json", format!("{MAPS}/{name}"), &body).quiet()
}

fn start() -> Step {
    get(format!("{MAPS}?limit=1")).quiet().keep("version", "/metadata/resourceVersion")
}

fn history(case: &str) -> Vec<Step> {
    let labels = json!({"case": case, "in": "yes"});
    let name = format!("{case}-a");
    vec![
        start(),
        post(MAPS, &map(&name, labels)).quiet(),
        merge(&name, json!({"data": {"a": "1"}})),
        merge(&name, json!({"data": {"a": "1"}})),
        merge(&name, json!({"metadata": {"labels": {"in": "no"}}})),
        merge(&name, json!({"data": {"a": "2"}})),
        merge(&name, json!({"metadata": {"labels": {"in": "yes"}}})),
        delete(format!("{MAPS}/{name}"), &Value::Null).quiet(),
    ]
}

fn seen(name: &str, query: &str, events: usize) -> Case {
    let mut steps = history(name);
    steps.push(watch(format!("{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={{version}}&{query}"), events));
    case(format!("watch: {name}"), steps)
}

/// The cases.
pub fn cases() -> Vec<Case> {
    let initial =
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&watch=1&timeoutSeconds=2";
    let mut by_name = seen("by-name", "fieldSelector=metadata.name%3Dby-name-a", 6);
    by_name.steps.insert(1, post(MAPS, &map("by-name-b", json!({}))).quiet());
    let two = |group: &str| {
        ["a", "b"].map(|n| post(MAPS, &map(&format!("{group}-{n}"), json!({"case": group}))).quiet()).to_vec()
    };
    let mut listed = two("first");
    listed.push(watch(format!("{MAPS}?{initial}&labelSelector=case%3Dfirst"), 3));
    let mut any = two("any");
    any.push(watch(format!("{MAPS}?watch=1&timeoutSeconds=1&resourceVersion=0&labelSelector=case%3Dany"), 2));
    let mut unset = two("unset");
    unset.push(watch(format!("{MAPS}?watch=1&timeoutSeconds=1&labelSelector=case%3Dunset"), 2));
    let mut rows = two("rows");
    rows.push(watch(format!("{MAPS}?watch=1&timeoutSeconds=1&labelSelector=case%3Drows"), 2).table());
    let mut metas = two("metas");
    let accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    metas
        .push(watch(format!("{MAPS}?watch=1&timeoutSeconds=1&labelSelector=case%3Dmetas"), 2).header("accept", accept));
    vec![
        seen("all", "labelSelector=case%3Dall", 6),
        seen("starts-and-stops", "labelSelector=case%3Dstarts-and-stops,in%3Dyes", 6),
        seen("never", "labelSelector=nothing%3Dever", 1),
        by_name,
        case("watch: the state first, and a mark", listed),
        case("watch: from any version", any),
        case("watch: from no version", unset),
        case("watch: rows", rows),
        case("watch: metadata", metas),
        case(
            "watch: ends quietly",
            [
                start(),
                watch(format!("{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={{version}}&labelSelector=a%3Db"), 1),
            ],
        ),
    ]
}
