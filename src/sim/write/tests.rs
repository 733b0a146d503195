//! Writes from body to store, as a client sees them.

use super::*;
use crate::sim::clock::{Clock, at};
use crate::sim::noise::Noise;
use serde_json::json;
use std::sync::Arc;

pub fn store() -> Store {
    let store = Store::new(Arc::new(Clock::new(at(1_800_000_000_000), 0.0)), Noise::new(1));
    let spaces = store.registry.get("namespaces").unwrap();
    let target = Target { kind: &spaces, version: "v1", namespace: "", name: "", subresource: "" };
    create(&store, target, br#"{"metadata":{"name":"shop"}}"#, &by("test")).unwrap();
    store
}

pub fn by(manager: &str) -> Options {
    Options { field_manager: manager.to_owned(), ..Options::default() }
}

/// What is done to an object of a kind in namespace shop.
pub struct Act<'a>(pub &'a Store, pub &'a str);

impl Act<'_> {
    pub fn target<T>(&self, name: &str, subresource: &str, act: impl FnOnce(Target<'_>) -> T) -> T {
        let kind = self.0.registry.get(self.1).unwrap();
        let namespace = if kind.namespaced { "shop" } else { "" };
        act(Target { kind: &kind, version: &kind.versions[0], namespace, name, subresource })
    }
    pub fn create(&self, body: &Value) -> Result<Written, Status> {
        self.target("", "", |t| create(self.0, t, body.to_string().as_bytes(), &by("test")))
    }
    pub fn put(&self, name: &str, sub: &str, body: &Value) -> Result<Written, Status> {
        self.target(name, sub, |t| update(self.0, t, body.to_string().as_bytes(), &by("test")))
    }
    pub fn patch(&self, name: &str, sub: &str, how: Patch, body: &Value, options: &Options) -> Result<Written, Status> {
        self.target(name, sub, |t| patch(self.0, t, how, body.to_string().as_bytes(), options))
    }
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}}})
}

#[test]
fn a_deployment_is_created_as_the_real_server_creates_it() {
    let s = store();
    let made = Act(&s, "deployments.apps").create(&deployment()).unwrap();
    assert!(made.created);
    let spec = &made.object["spec"];
    assert_eq!((&spec["replicas"], &spec["strategy"]["rollingUpdate"]["maxSurge"]), (&json!(1), &json!("25%")));
    let container = &spec["template"]["spec"]["containers"][0];
    assert_eq!((&container["imagePullPolicy"], &container["resources"]), (&json!("IfNotPresent"), &json!({})));
    // Read off a real 1.36 server.
    let expected = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {"f:progressDeadlineSeconds":{},"f:replicas":{},"f:revisionHistoryLimit":{},"f:selector":{},
        "f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}},"f:type":{}},
        "f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":
        {".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{},"f:terminationMessagePath":{},
        "f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},
        "f:terminationGracePeriodSeconds":{}}}}});
    assert_eq!(made.object["metadata"]["managedFields"][0]["fieldsV1"], expected);
    assert_eq!(made.object["metadata"]["generation"], 1);
    assert_eq!(made.object["status"], json!({}));
}

#[test]
fn patches_of_every_kind_write_and_a_patch_that_changes_nothing_does_not() {
    let s = store();
    let d = Act(&s, "deployments.apps");
    d.create(&deployment()).unwrap();
    let merged = d.patch("web", "", Patch::Merge, &json!({"spec": {"replicas": 3}}), &by("a")).unwrap().object;
    assert_eq!((&merged["spec"]["replicas"], &merged["metadata"]["generation"]), (&json!(3), &json!(2)));
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}}}});
    let strategic = d.patch("web", "", Patch::Strategic, &image, &by("b")).unwrap().object;
    assert_eq!(strategic["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:2");
    let again = d.patch("web", "", Patch::Strategic, &image, &by("c")).unwrap().object;
    assert_eq!(again["metadata"]["resourceVersion"], strategic["metadata"]["resourceVersion"]);
    let tested =
        d.patch("web", "", Patch::Json, &json!([{"op": "test", "path": "/spec/replicas", "value": 9}]), &by("a"));
    assert_eq!(tested.unwrap_err().code, 422);
    let dry = Options { dry_run: true, ..by("a") };
    let pretended = d
        .patch("web", "", Patch::Json, &json!([{"op": "replace", "path": "/spec/replicas", "value": 9}]), &dry)
        .unwrap();
    assert_eq!(
        (&pretended.object["spec"]["replicas"], s.version()),
        (&json!(9), s.get("deployments.apps", "shop", "web").unwrap().version)
    );
}

#[test]
fn status_and_scale_are_written_apart() {
    let s = store();
    let d = Act(&s, "deployments.apps");
    let mut object = d.create(&deployment()).unwrap().object;
    object["status"] = json!({"replicas": 7});
    object["spec"]["replicas"] = json!(2);
    let main = d.put("web", "", &object).unwrap().object;
    assert_eq!((&main["spec"]["replicas"], &main["status"]), (&json!(2), &json!({})));
    object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    object["spec"]["replicas"] = json!(5);
    let status = d.put("web", "status", &object).unwrap().object;
    assert_eq!((&status["spec"]["replicas"], &status["status"]["replicas"]), (&json!(2), &json!(7)));
    let scale =
        d.patch("web", "scale", Patch::Merge, &json!({"spec": {"replicas": 4}}), &by("kubectl")).unwrap().object;
    assert_eq!(scale["status"], json!({"replicas": 7, "selector": "app=web"}));
    let stored = s.get("deployments.apps", "shop", "web").unwrap().value();
    let scaled =
        stored["metadata"]["managedFields"].as_array().unwrap().iter().find(|m| m["subresource"] == "scale").unwrap();
    assert_eq!(scaled["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
    let old = d.put("web", "", &json!({"metadata": {"name": "web", "resourceVersion": "1"}, "spec": object["spec"]}));
    assert_eq!(
        old.unwrap_err().message,
        "Operation cannot be fulfilled on deployments.apps \"web\": the object has been modified; please apply your changes to the latest version and try again"
    );
}

#[test]
fn apply_owns_conflicts_forces_and_takes_away() {
    let s = store();
    let d = Act(&s, "deployments.apps");
    let mut config = deployment();
    config["spec"]["replicas"] = json!(3);
    let made = d.patch("web", "", Patch::Apply, &config, &by("a")).unwrap();
    assert!(made.created);
    let again = d.patch("web", "", Patch::Apply, &config, &by("a")).unwrap().object;
    assert_eq!(
        again["metadata"]["resourceVersion"], made.object["metadata"]["resourceVersion"],
        "applied twice is applied once"
    );
    let mine =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 5}});
    let refused = d.patch("web", "", Patch::Apply, &mine, &by("b")).unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (409, "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas")
    );
    let forced = d.patch("web", "", Patch::Apply, &mine, &Options { force: true, ..by("b") }).unwrap().object;
    assert_eq!(forced["spec"]["replicas"], 5);
    config["spec"].as_object_mut().unwrap().remove("replicas");
    config["metadata"].as_object_mut().unwrap().remove("labels");
    let left = d.patch("web", "", Patch::Apply, &config, &by("a")).unwrap().object;
    assert_eq!((&left["spec"]["replicas"], &left["metadata"].get("labels")), (&json!(5), &None));
}
