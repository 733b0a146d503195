//! Custom kinds: defined, served, written.

use crate::case::{Case, Step, case, delete, get, patch, post, put};
use crate::writes::with;
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/twins.example.com/v1/namespaces/NS/widgets";

fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.twins.example.com"}, "spec": {
        "group": "twins.example.com", "scope": "Namespaced", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
            "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"size": {"type": "integer"}, "parts": {"type": "array", "items": {"type": "string"}}}},
                "status": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}})
}

fn widget(name: &str) -> Value {
    json!({"apiVersion": "twins.example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 3, "parts": ["a", "b"]}})
}

fn made(name: &str) -> Step {
    post(WIDGETS, &widget(name)).quiet()
}

/// The cases. The first makes the kind that the others need.
pub fn cases() -> Vec<Case> {
    let at = |name: &str| format!("{WIDGETS}/{name}");
    vec![
        case(
            "custom: a kind is made",
            [
                post(DEFINITIONS, &definition()).quiet(),
                get(WIDGETS).until(200),
                get(WIDGETS),
                get("/apis/twins.example.com/v1"),
                get("/apis/twins.example.com"),
            ],
        ),
        case("custom: create", [post(WIDGETS, &widget("new")), get(at("new")), post(WIDGETS, &widget("new"))]),
        case("custom: no kind", [post(WIDGETS, &json!({"metadata": {"name": "x"}}))]),
        case("custom: another kind", [post(WIDGETS, &with(widget("x"), "/kind", json!("Gadget")))]),
        case(
            "custom: a row",
            [
                made("row"),
                get(at("row")).table().only(["/columnDefinitions/0/name", "/columnDefinitions/1", "/rows/0/cells"]),
            ],
        ),
        case(
            "custom: merge",
            [made("merged"), patch("merge-patch+json", at("merged"), &json!({"spec": {"size": 4, "parts": null}}))],
        ),
        case(
            "custom: json patch",
            [
                made("json"),
                patch("json-patch+json", at("json"), &json!([{"op": "add", "path": "/spec/parts/-", "value": "c"}])),
            ],
        ),
        case("custom: strategic", [patch("strategic-merge-patch+json", at("merged"), &json!({}))]),
        case("custom: update without a version", [made("put"), put(at("put"), &widget("put"))]),
        case(
            "custom: status alone",
            [
                made("status"),
                patch(
                    "merge-patch+json",
                    format!("{}/status", at("status")),
                    &json!({"spec": {"size": 9}, "status": {"size": 1}}),
                )
                .only(["/spec", "/status", "/metadata/generation"]),
                patch("merge-patch+json", at("status"), &json!({"spec": {"size": 9}, "status": {"size": 7}})).only([
                    "/spec",
                    "/status",
                    "/metadata/generation",
                ]),
            ],
        ),
        case(
            "custom: scale",
            [
                made("scaled"),
                get(format!("{}/scale", at("scaled"))),
                patch("merge-patch+json", format!("{}/scale", at("scaled")), &json!({"spec": {"replicas": 5}})),
                get(at("scaled")).only(["/spec"]),
            ],
        ),
        case(
            "custom: apply and conflict",
            [
                patch("apply-patch+yaml", format!("{}?fieldManager=a", at("applied")), &widget("applied"))
                    .only(["/spec", "/metadata/managedFields"]),
                patch(
                    "apply-patch+yaml",
                    format!("{}?fieldManager=b", at("applied")),
                    &with(widget("applied"), "/spec", json!({"size": 8})),
                )
                .only(["/code", "/message", "/details"]),
                patch(
                    "apply-patch+yaml",
                    format!("{}?fieldManager=b&force=true", at("applied")),
                    &with(widget("applied"), "/spec", json!({"size": 8})),
                )
                .only(["/spec", "/metadata/managedFields"]),
            ],
        ),
        case(
            "custom: unknown fields",
            [
                post(
                    format!("{WIDGETS}?dryRun=All&fieldValidation=Strict"),
                    &with(widget("odd"), "/spec", json!({"sizes": 3})),
                ),
                post(
                    format!("{WIDGETS}?dryRun=All&fieldValidation=Warn"),
                    &with(widget("odd"), "/spec", json!({"sizes": 3})),
                )
                .only(["/spec"]),
            ],
        ),
        case(
            "custom: a wrong type",
            [post(format!("{WIDGETS}?dryRun=All"), &with(widget("odd"), "/spec", json!({"size": "many"})))],
        ),
        case("custom: delete", [made("gone"), delete(at("gone"), &Value::Null), get(at("gone"))]),
        case(
            "custom: nothing there",
            [get(at("nothing")), get(format!("{}/status", at("nothing"))), get(format!("{}/nonsense", at("nothing")))],
        ),
    ]
}
