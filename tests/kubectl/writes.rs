//! Commands that write objects.

use crate::desk::{Desk, has};
use crate::reads::{web, with_web};
use serde_json::{Value, json};

fn settings(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data})
}

#[test]
fn create_makes_objects_and_a_dry_run_makes_none() {
    let desk = Desk::new();
    let said = desk.ok("create deployment web --image=registry.example/web:1 --replicas=2 --dry-run=server");
    assert_eq!(said, "deployment.apps/web created (server dry run)\n");
    has(&desk.fails("get deployment web"), &["NotFound"]);
    let shown = desk.ok("create deployment web --image=registry.example/web:1 --dry-run=server -o yaml");
    has(&shown, &["terminationGracePeriodSeconds: 30", "uid:"]);
    assert_eq!(desk.ok("create deployment web --image=registry.example/web:1"), "deployment.apps/web created\n");
    let again = desk.fails("create deployment web --image=registry.example/web:1");
    assert_eq!(again, "error: failed to create deployment: deployments.apps \"web\" already exists\n");
    assert_eq!(desk.ok("create namespace team"), "namespace/team created\n");
    assert_eq!(desk.ok("create serviceaccount robot -n team"), "serviceaccount/robot created\n");
    assert_eq!(desk.ok("expose deployment web --port=80"), "service/web exposed\n");
    let broken = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Bad_Name"}, "dada": {}});
    let said = desk.with("create -f -", &broken.to_string());
    assert_eq!(said.code, 1);
    has(&said.err, &["strict decoding error: unknown field \"dada\""]);
    let said = desk.with("create --validate=ignore -f -", &broken.to_string());
    has(&said.err, &["a lowercase RFC 1123 subdomain must consist of"]);
    let odd = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "odd"}, "dada": {}});
    let said = desk.with("create --validate=warn -f -", &odd.to_string());
    assert_eq!(said.out, "configmap/odd created\n");
    has(&said.err, &["Warning: unknown field \"dada\""]);
}

#[test]
fn apply_merges_three_ways() {
    let desk = Desk::new();
    assert_eq!(desk.ok_with("apply -f -", &settings(json!({"a": "1", "b": "2"}))), "configmap/settings created\n");
    assert_eq!(desk.ok_with("apply -f -", &settings(json!({"a": "1", "b": "2"}))), "configmap/settings unchanged\n");
    desk.ok("patch configmap settings -p {\"data\":{\"other\":\"kept\"}}");
    assert_eq!(desk.ok_with("apply -f -", &settings(json!({"a": "9"}))), "configmap/settings configured\n");
    assert_eq!(desk.object("configmap settings")["data"], json!({"a": "9", "other": "kept"}), "b is taken away");
    has(&desk.ok("apply view-last-applied configmap settings"), &["a: \"9\""]);
    let file = desk.file("web.json", &web(1));
    desk.ok(&format!("apply -f {file}"));
    has(&desk.ok(&format!("apply -f {file} --prune -l app=web --dry-run=server")), &["(server dry run)"]);
    has(&desk.ok(&format!("delete -f {file}")), &["deployment.apps \"web\" deleted", "service \"web\" deleted"]);
}

#[test]
fn apply_on_the_server_tells_conflicts_and_forces() {
    let desk = Desk::new();
    let server = "apply --server-side -f -";
    let said = desk.ok_with(&format!("{server} --field-manager=one"), &settings(json!({"a": "1", "b": "2"})));
    assert_eq!(said, "configmap/settings serverside-applied\n");
    let other = settings(json!({"a": "9"}));
    let said = desk.with(&format!("{server} --field-manager=two"), &other.to_string());
    assert_eq!(said.code, 1);
    has(&said.err, &["error: Apply failed with 1 conflict: conflict with \"one\": .data.a", "--force-conflicts"]);
    desk.ok_with(&format!("{server} --field-manager=two --force-conflicts"), &other);
    let shown = desk.object("configmap settings --show-managed-fields");
    let owner = |name: &str| {
        let all = shown["metadata"]["managedFields"].as_array().expect("a list");
        all.iter().find(|m| m["manager"] == name).expect("an owner")["fieldsV1"].clone()
    };
    assert_eq!(owner("two"), json!({"f:data": {"f:a": {}}}));
    assert_eq!(owner("one"), json!({"f:data": {"f:b": {}}}));
    desk.ok_with(&format!("{server} --field-manager=one"), &settings(json!({})));
    assert_eq!(desk.object("configmap settings")["data"], json!({"a": "9"}), "what one no longer names is gone");
    let said = desk.with(
        server,
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "dada": {}}).to_string(),
    );
    has(&said.err, &["field not declared in schema"]);
}

#[test]
fn patches_of_each_kind_and_edits_of_fields() {
    let desk = with_web(1);
    let patched = "deployment.apps/web patched\n";
    assert_eq!(desk.ok("patch deployment web -p {\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"registry.example/web:2.0\"}]}}}}"), patched);
    assert_eq!(desk.ok("patch deployment web --type=merge -p {\"spec\":{\"paused\":true}}"), patched);
    let json_patch =
        "patch deployment web --type=json -p [{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":2}]";
    assert_eq!(desk.ok(json_patch), patched);
    assert_eq!(desk.ok(json_patch), "deployment.apps/web patched (no change)\n");
    let now = desk.object("deployment web");
    assert_eq!((&now["spec"]["replicas"], &now["spec"]["paused"]), (&json!(2), &json!(true)));
    let images: Vec<&Value> =
        now["spec"]["template"]["spec"]["containers"].as_array().unwrap().iter().map(|c| &c["image"]).collect();
    assert_eq!(images, ["registry.example/web:2.0", "registry.example/web:1.0"], "merged by name");
    has(
        &desk.fails("patch deployment web --type=json -p [{\"op\":\"test\",\"path\":\"/spec/replicas\",\"value\":7}]"),
        &["The request is invalid"],
    );
    has(
        &desk.fails("patch deployment web -p {\"spec\":{\"replicas\":\"many\"}}"),
        &["cannot unmarshal string into Go struct field"],
    );
    has(
        &desk.fails("patch deployment web --subresource=scale --type=merge -p {\"spec\":{\"replicas\":-1}}"),
        &["must be greater than or equal to 0"],
    );
    assert_eq!(
        desk.ok("set image deployment/web main=registry.example/web:3.0"),
        "deployment.apps/web image updated\n"
    );
    assert_eq!(desk.ok("set env deployment/web MODE=fast"), "deployment.apps/web env updated\n");
    assert_eq!(
        desk.ok("set resources deployment/web -c main --requests=cpu=20m"),
        "deployment.apps/web resource requirements updated\n"
    );
    assert_eq!(desk.ok("label deployment web tier=front"), "deployment.apps/web labeled\n");
    has(&desk.fails("label deployment web tier=back"), &["already has a value (front), and --overwrite is false"]);
    assert_eq!(desk.ok("label deployment web tier-"), "deployment.apps/web unlabeled\n");
    assert_eq!(desk.ok("annotate deployment web note=seen"), "deployment.apps/web annotated\n");
    has(&desk.fails("label deployment web a=-b"), &["a valid label must be an empty string"]);
    let shown = desk.object("deployment web");
    assert_eq!(shown["metadata"]["annotations"]["note"], "seen");
    assert_eq!(shown["metadata"]["labels"], json!({"app": "web"}));
}

#[test]
fn diff_shows_what_an_apply_would_change() {
    let desk = Desk::new();
    let file = desk.file("settings.json", &settings(json!({"a": "1"})));
    desk.ok(&format!("apply -f {file}"));
    assert_eq!(desk.ok(&format!("diff -f {file}")), "");
    let file = desk.file("settings.json", &settings(json!({"a": "2"})));
    for server_side in ["false", "true --force-conflicts"] {
        let said = desk.run(&format!("diff -f {file} --server-side={server_side}"));
        assert_eq!(said.code, 1, "{}", said.err);
        has(&said.out, &["-  a: \"1\"", "+  a: \"2\""]);
    }
    assert_eq!(desk.object("configmap settings")["data"], json!({"a": "1"}), "nothing is written");
}

#[test]
fn replace_and_delete() {
    let desk = with_web(1);
    desk.ok_with("create -f -", &settings(json!({"a": "1"})));
    assert_eq!(desk.ok_with("replace -f -", &settings(json!({"b": "2"}))), "configmap/settings replaced\n");
    assert_eq!(desk.object("configmap settings")["data"], json!({"b": "2"}));
    let mut old = settings(json!({}));
    old["metadata"]["resourceVersion"] = json!("1");
    has(&desk.with("replace -f -", &old.to_string()).err, &["the object has been modified"]);
    has(&desk.ok("delete configmap settings --dry-run=server"), &["deleted", "(server dry run)"]);
    has(&desk.ok("delete configmap settings"), &["configmap \"settings\" deleted"]);
    has(&desk.fails("delete configmap settings"), &["NotFound"]);
    assert_eq!(desk.ok("delete configmap settings --ignore-not-found"), "");
    // In the foreground: the pods go first, and the command waits until all is gone.
    has(
        &desk.ok("delete deployment web --cascade=foreground --wait --timeout=80s"),
        &["deployment.apps \"web\" deleted"],
    );
    assert_eq!(desk.ok("get pods -l app=web -o name"), "");
    desk.ok("create namespace team");
    desk.ok("create configmap inside -n team");
    has(&desk.ok("delete namespace team --timeout=80s"), &["namespace \"team\" deleted"]);
    has(&desk.fails("get configmap inside -n team"), &["NotFound"]);
}

#[test]
fn wait_waits_for_conditions_fields_and_deletion() {
    let desk = Desk::new();
    desk.ok("create deployment web --image=registry.example/web:1");
    has(
        &desk.ok("wait deployment/web --for=condition=Available --timeout=80s"),
        &["deployment.apps/web condition met"],
    );
    has(&desk.ok("wait pods -l app=web --for=jsonpath={.status.phase}=Running --timeout=80s"), &["condition met"]);
    let said = desk.fails("wait deployment/web --for=condition=Broken --timeout=1s");
    has(&said, &["timed out waiting for the condition on deployments/web"]);
    desk.ok("create configmap gone");
    desk.ok("delete configmap gone");
    assert_eq!(desk.ok("wait configmap/gone --for=delete --timeout=5s"), "");
    has(&desk.fails("wait configmap/gone --for=create --timeout=1s"), &["timed out"]);
}
