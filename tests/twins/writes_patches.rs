//! Patches, server-side apply and the subresources that are written.

use crate::case::{Case, Step, case, get, patch, post, put};
use crate::writes::{DEPLOYMENTS, MAPS, deployment, with};
use serde_json::{Value, json};

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn made(name: &str) -> Step {
    post(MAPS, &map(name, json!({"a": "1", "b": "2"}))).quiet()
}

/// The refusal of a wrong type shows the whole object, UID and times and all: only what is wrong is compared.
fn unfit(name: &str, step: Step) -> Step {
    if name == "a wrong type" { step.only(["/code", "/reason", "/details/causes/0/field"]) } else { step }
}

fn json_patches() -> Vec<Case> {
    [
        ("add", json!([{"op": "add", "path": "/data/c", "value": "3"}])),
        ("replace", json!([{"op": "replace", "path": "/data/a", "value": "9"}])),
        ("replace what is not there", json!([{"op": "replace", "path": "/data/z", "value": "9"}])),
        ("remove", json!([{"op": "remove", "path": "/data/a"}])),
        ("remove what is not there", json!([{"op": "remove", "path": "/data/z"}])),
        ("add below nothing", json!([{"op": "add", "path": "/x/y", "value": "1"}])),
        ("test", json!([{"op": "test", "path": "/data/a", "value": "1"}])),
        ("a test that fails", json!([{"op": "test", "path": "/data/a", "value": "2"}])),
        ("a test of nothing", json!([{"op": "test", "path": "/data/z", "value": "2"}])),
        ("move", json!([{"op": "move", "from": "/data/a", "path": "/data/c"}])),
        ("copy", json!([{"op": "copy", "from": "/data/a", "path": "/data/c"}])),
        ("move of nothing", json!([{"op": "move", "from": "/data/z", "path": "/data/c"}])),
        ("an unknown operation", json!([{"op": "double", "path": "/data/a"}])),
        ("an object", json!({"op": "add"})),
        ("nothing", json!([])),
        ("a wrong type", json!([{"op": "replace", "path": "/data/a", "value": 5}])),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (name, body))| {
        let at = format!("json-{i}");
        let patched = patch("json-patch+json", format!("{MAPS}/{at}"), &body);
        case(format!("json patch: {name}"), [made(&at), unfit(name, patched)])
    })
    .collect()
}

fn merge_patches() -> Vec<Case> {
    [
        ("a value", "merge", json!({"data": {"a": "9", "c": "3"}})),
        ("a null", "merge", json!({"data": {"a": null}})),
        ("a list", "merge", json!([1])),
        ("a wrong type", "merge", json!({"data": {"a": {"b": "c"}}})),
        ("nothing", "merge", json!({})),
        ("everything null", "merge", json!({"data": null})),
        ("labels", "merge", json!({"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})),
        ("replace", "strategic-merge", json!({"data": {"$patch": "replace", "z": "1"}})),
        ("delete", "strategic-merge", json!({"data": {"$patch": "delete"}})),
        ("an unknown directive", "strategic-merge", json!({"data": {"$patch": "shuffle"}})),
        ("a list, strategically", "strategic-merge", json!([1])),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (name, kind, body))| {
        let at = format!("merge-{i}");
        let patched = patch(&format!("{kind}-patch+json"), format!("{MAPS}/{at}"), &body);
        case(format!("{kind} patch: {name}"), [made(&at), unfit(name, patched)])
    })
    .chain([case(
        "broken patches",
        [
            made("broken"),
            patch("json-patch+json", format!("{MAPS}/broken"), &Value::Null).raw("[{"),
            patch("merge-patch+json", format!("{MAPS}/broken"), &Value::Null).raw("{\"a\":"),
            patch("strategic-merge-patch+json", format!("{MAPS}/broken"), &Value::Null).raw("zzz"),
            patch("apply-patch+yaml", format!("{MAPS}/broken?fieldManager=a"), &Value::Null).raw("a: ["),
        ],
    )])
    .chain([case("patch of nothing", [patch("merge-patch+json", format!("{MAPS}/nothing-here"), &json!({}))])])
    .collect()
}

/// Strategic merge patches of a pod template.
fn strategic() -> Vec<Case> {
    let two = |name: &str| {
        let containers = json!([{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}], "ports": [{"containerPort": 80}]},
            {"name": "b", "image": "b:1"}]);
        with(deployment(name), "/spec/template/spec/containers", containers)
    };
    let template = |spec: Value| json!({"spec": {"template": {"spec": spec}}});
    [
        ("an image", template(json!({"containers": [{"name": "a", "image": "a:2"}]}))),
        ("a new container", template(json!({"containers": [{"name": "c", "image": "c:1"}]}))),
        ("a container deleted", template(json!({"containers": [{"name": "b", "$patch": "delete"}]}))),
        ("containers replaced", template(json!({"containers": [{"$patch": "replace"}, {"name": "z", "image": "z:1"}]}))),
        ("another order", template(json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "b", "image": "b:2"}]}))),
        ("against its order", template(json!({"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"name": "b", "image": "b:2"}, {"name": "a"}]}))),
        ("not in its order", template(json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b", "image": "b:2"}]}))),
        ("a new one by its order", template(json!({"$setElementOrder/containers": [{"name": "a"}, {"name": "c"}, {"name": "b"}], "containers": [{"name": "c", "image": "c:1"}]}))),
        ("only an order", template(json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}))),
        ("an order and a deletion", template(json!({"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a", "$patch": "delete"}]}))),
        ("without its key", template(json!({"containers": [{"image": "a:2"}]}))),
        ("a variable", template(json!({"containers": [{"name": "a", "env": [{"name": "Y", "value": null}, {"name": "Z", "value": "3"}]}]}))),
        ("a port", template(json!({"containers": [{"name": "a", "ports": [{"containerPort": 81, "name": "more"}]}]}))),
        ("volumes and retained keys", template(json!({"volumes": [{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}}]}))),
        ("the strategy's retained keys", json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})),
        ("node selector", template(json!({"nodeSelector": {"a": "b"}, "tolerations": [{"key": "a", "operator": "Exists"}]}))),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (name, body))| {
        let at = format!("strategic-{i}");
        let parts = ["/spec/template/spec", "/spec/strategy", "/message", "/details"];
        let patched = patch("strategic-merge-patch+json", format!("{DEPLOYMENTS}/{at}?dryRun=All"), &body).only(parts);
        case(format!("strategic patch: {name}"), [post(DEPLOYMENTS, &two(&at)).quiet(), patched])
    })
    .collect()
}

fn apply(manager: &str, name: &str, body: &Value) -> Step {
    patch("apply-patch+yaml", format!("{MAPS}/{name}?fieldManager={manager}"), body)
}

fn force(manager: &str, name: &str, body: &Value) -> Step {
    patch("apply-patch+yaml", format!("{MAPS}/{name}?force=true&fieldManager={manager}"), body)
}

fn server_side() -> Vec<Case> {
    let ab = |name: &str| map(name, json!({"a": "1", "b": "2"}));
    let sole = |name: &str, value: &str| map(name, json!({"a": value}));
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ssa"}, "spec": {"ports": ports}});
    let services = |manager: &str| format!("/api/v1/namespaces/NS/services/ssa?fieldManager={manager}");
    let at = "/metadata/managedFields";
    vec![
        case("apply makes it", [apply("a", "ssa-new", &ab("ssa-new"))]),
        case("apply twice", [apply("a", "ssa-twice", &ab("ssa-twice")).quiet(), apply("a", "ssa-twice", &ab("ssa-twice"))]),
        case("apply in a dry run", [patch("apply-patch+yaml", format!("{MAPS}/ssa-dry?dryRun=All&fieldManager=a"), &ab("ssa-dry")), get(format!("{MAPS}/ssa-dry"))]),
        case("parameters of a write that do not fit", [
            patch("apply-patch+yaml", format!("{MAPS}/ssa-dry?dryRun=Some"), &ab("ssa-dry")),
            patch("merge-patch+json", format!("{MAPS}/ssa-dry?force=true"), &json!({})),
            patch("merge-patch+json", format!("{MAPS}/ssa-dry?fieldValidation=Perhaps"), &json!({})),
            post(format!("{MAPS}?fieldValidation=Perhaps&dryRun=Some"), &ab("ssa-dry")),
            put(format!("{MAPS}/ssa-dry?fieldManager={}", "m".repeat(129)), &ab("ssa-dry")),
            put(format!("{MAPS}/ssa-dry?fieldManager=a%07b"), &ab("ssa-dry")),
        ]),
        case("apply without manager", [patch("apply-patch+yaml", format!("{MAPS}/ssa-none"), &ab("ssa-none"))]),
        case("apply in YAML", [patch("apply-patch+yaml", format!("{MAPS}/ssa-yaml?fieldManager=a"), &Value::Null).raw("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ssa-yaml\ndata:\n  a: \"1\"\n")]),
        case("one conflict", [apply("a", "ssa-one", &ab("ssa-one")).quiet(), apply("b", "ssa-one", &sole("ssa-one", "9"))]),
        case("many conflicts", [apply("a", "ssa-many", &ab("ssa-many")).quiet(), apply("b", "ssa-many", &map("ssa-many", json!({"a": "8", "b": "9"})))]),
        case("conflicts with two", [apply("a", "ssa-two", &sole("ssa-two", "1")).quiet(), apply("b", "ssa-two", &map("ssa-two", json!({"b": "2"}))).quiet(),
            apply("c", "ssa-two", &map("ssa-two", json!({"a": "8", "b": "9"})))]),
        case("force", [apply("a", "ssa-force", &ab("ssa-force")).quiet(), force("b", "ssa-force", &sole("ssa-force", "9"))]),
        case("the same value is shared", [apply("a", "ssa-share", &ab("ssa-share")).quiet(), apply("b", "ssa-share", &sole("ssa-share", "1")),
            apply("a", "ssa-share", &map("ssa-share", json!({"b": "2"})))]),
        case("what is no longer applied goes", [apply("a", "ssa-gone", &ab("ssa-gone")).quiet(), apply("a", "ssa-gone", &sole("ssa-gone", "1")), apply("a", "ssa-gone", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa-gone"}}))]),
        case("an update takes a field", [apply("a", "ssa-taken", &ab("ssa-taken")).quiet(), patch("merge-patch+json", format!("{MAPS}/ssa-taken?fieldManager=u"), &json!({"data": {"a": "9", "c": "3"}})),
            apply("a", "ssa-taken", &ab("ssa-taken")).only(["/code", "/reason", "/details/causes/0/field"]), force("a", "ssa-taken", &ab("ssa-taken"))]),
        case("an update takes a field away", [apply("a", "ssa-away", &ab("ssa-away")).quiet(), patch("merge-patch+json", format!("{MAPS}/ssa-away?fieldManager=u"), &json!({"data": {"a": null}}))]),
        case("apply on what was made otherwise", [post(format!("{MAPS}?fieldManager=u"), &ab("ssa-later")).quiet(), apply("a", "ssa-later", &sole("ssa-later", "1"))]),
        case("managedFields in a body", [apply("a", "ssa-mf", &with(ab("ssa-mf"), "/metadata/managedFields", json!([])))]),
        case("apply of another name", [apply("a", "ssa-name", &ab("ssa-other")), apply("a", "ssa-name", &json!({"apiVersion": "v1", "kind": "ConfigMap"}))]),
        case("apply without a kind", [apply("a", "ssa-kind", &json!({"metadata": {"name": "ssa-kind"}}))]),
        case("apply of another version", [apply("a", "ssa-version", &json!({"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "ssa-version"}}))]),
        case("apply of a version that is gone", [made("ssa-rv"), apply("a", "ssa-rv", &with(ab("ssa-rv"), "/metadata/resourceVersion", json!("5")))]),
        case("apply of another kind", [apply("a", "ssa-kind", &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ssa-kind"}})),
            apply("a", "ssa-kind", &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "ssa-kind"}})),
            apply("a", "ssa-kind", &json!({"apiVersion": "v1", "metadata": {"name": "ssa-kind"}}))]),
        case("apply of a wrong type", [apply("a", "ssa-type", &map("ssa-type", json!({"a": 5}))), apply("a", "ssa-type", &map("ssa-type", json!({"a": 5, "b": true, "c": {"d": [1, "e", null]}}))),
            apply("a", "ssa-type", &map("ssa-type", json!([1]))), apply("a", "ssa-type", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": "x"})),
            apply("a", "ssa-type", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa-type", "namespace": "twins", "finalizers": "x", "generation": "x", "annotations": 3}, "immutable": "yes"}))]),
        case("apply of wrong lists", [
            patch("apply-patch+yaml", services("a"), &service(json!([{"name": "http"}]))),
            patch("apply-patch+yaml", services("a"), &service(json!([{"port": 80}, {"port": 80, "name": "x"}]))),
            patch("apply-patch+yaml", services("a"), &service(json!([5]))),
            patch("apply-patch+yaml", services("a"), &service(json!([{"port": 80, "nodeport": 5}]))),
            patch("apply-patch+yaml", services("a"), &service(json!([{"port": 80, "protocol": 6}]))),
            patch("apply-patch+yaml", services("a"), &service(json!({"port": 80}))),
        ]),
        case("apply of an unknown field", [patch("apply-patch+yaml", format!("{MAPS}/ssa-odd?fieldManager=a&fieldValidation=Strict"), &with(ab("ssa-odd"), "/dada", json!({})))]),
        case("lists by their keys", [
            patch("apply-patch+yaml", services("a"), &service(json!([{"name": "http", "port": 80}]))).only([at, "/spec/ports"]),
            patch("apply-patch+yaml", services("b"), &service(json!([{"name": "more", "port": 81, "protocol": "UDP"}]))).only([at, "/spec/ports"]),
            patch("apply-patch+yaml", services("b"), &service(json!([{"name": "other", "port": 80, "protocol": "TCP"}]))).only(["/code", "/message", "/details"]),
            patch("apply-patch+yaml", services("a"), &service(json!([]))).only([at, "/spec/ports"]),
        ]),
        case("finalizers are a set", [
            apply("a", "ssa-set", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa-set", "finalizers": ["example.com/a"]}})).quiet(),
            apply("b", "ssa-set", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa-set", "finalizers": ["example.com/b"], "labels": {"x": "y"}}})),
            apply("a", "ssa-set", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa-set"}})),
            apply("b", "ssa-set", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa-set"}})),
        ]),
        case("apply of a deployment", [patch("apply-patch+yaml", format!("{DEPLOYMENTS}/ssa?fieldManager=a&dryRun=All"), &deployment("ssa"))]),
        case("managedFields cleared", [made("ssa-cleared"), patch("merge-patch+json", format!("{MAPS}/ssa-cleared"), &json!({"metadata": {"managedFields": [{}]}})),
            patch("merge-patch+json", format!("{MAPS}/ssa-cleared"), &json!({"data": {"z": "1"}})), apply("a", "ssa-cleared", &sole("ssa-cleared", "1"))]),
    ]
}

fn subresources() -> Vec<Case> {
    let budget = |name: &str| json!({"metadata": {"name": name}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}});
    let pod = |name: &str| {
        json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": {"serviceAccountName": "default", "nodeName": "nowhere", "automountServiceAccountToken": false,
        "containers": [{"name": "main", "image": "nginx:1", "resources": {"requests": {"cpu": "100m"}}}]}})
    };
    // One that nobody schedules stays; one on a node that is not there is collected after a while.
    let unbound =
        |name: &str| with(with(pod(name), "/spec/nodeName", Value::Null), "/spec/schedulerName", json!("nobody"));
    let pods = "/api/v1/namespaces/NS/pods";
    let eviction = |name: &str| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "twins"}});
    vec![
        case(
            "scale",
            [
                post(DEPLOYMENTS, &deployment("scale")).quiet(),
                get(format!("{DEPLOYMENTS}/scale/scale")),
                patch(
                    "merge-patch+json",
                    format!("{DEPLOYMENTS}/scale/scale?dryRun=All"),
                    &json!({"spec": {"replicas": 2}}),
                ),
                put(
                    format!("{DEPLOYMENTS}/scale/scale?dryRun=All"),
                    &json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "scale", "namespace": "twins"}, "spec": {"replicas": 3}}),
                ),
                patch("merge-patch+json", format!("{DEPLOYMENTS}/scale/scale"), &json!({"spec": {"replicas": -1}})),
                unfit(
                    "a wrong type",
                    patch(
                        "merge-patch+json",
                        format!("{DEPLOYMENTS}/scale/scale"),
                        &json!({"spec": {"replicas": "many"}}),
                    ),
                ),
                put(
                    format!("{DEPLOYMENTS}/scale/scale?dryRun=All"),
                    &json!({"metadata": {"name": "scale", "namespace": "twins"}, "spec": {"replicas": "many"}}),
                ),
                put(
                    format!("{DEPLOYMENTS}/scale/scale?dryRun=All"),
                    &json!({"metadata": {"name": "other", "namespace": "twins"}, "spec": {"replicas": 1}}),
                ),
                patch(
                    "merge-patch+json",
                    format!("{DEPLOYMENTS}/scale/scale"),
                    &json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 1}}),
                ),
                patch("merge-patch+json", format!("{DEPLOYMENTS}/nothing/scale"), &json!({})),
            ],
        ),
        case(
            "status is written alone",
            [
                post("/apis/policy/v1/namespaces/NS/poddisruptionbudgets", &budget("status")).quiet(),
                patch(
                    "merge-patch+json",
                    "/apis/policy/v1/namespaces/NS/poddisruptionbudgets/status/status?dryRun=All",
                    &json!({"spec": {"minAvailable": 9}, "status": {"expectedPods": 7}}),
                )
                .only(["/spec", "/status/expectedPods"]),
                patch(
                    "merge-patch+json",
                    "/apis/policy/v1/namespaces/NS/poddisruptionbudgets/status?dryRun=All",
                    &json!({"spec": {"minAvailable": 2}, "status": {"expectedPods": 7}}),
                )
                .only(["/spec", "/status/expectedPods", "/metadata/generation"]),
            ],
        ),
        case(
            "a pod is evicted",
            [
                post(pods, &unbound("evicted")).quiet(),
                post(format!("{pods}/evicted/eviction?dryRun=All"), &eviction("evicted")),
                post(format!("{pods}/evicted/eviction"), &eviction("other")),
                post(format!("{pods}/nobody/eviction"), &eviction("nobody")),
                post(
                    format!("{pods}/evicted/eviction"),
                    &with(eviction("evicted"), "/deleteOptions", json!({"preconditions": {"uid": "abc"}})),
                ),
                post(format!("{pods}/evicted/eviction"), &eviction("evicted")),
            ],
        ),
        case(
            "a binding",
            [
                post(pods, &pod("bound")).quiet(),
                post(
                    format!("{pods}/bound/binding"),
                    &json!({"metadata": {"name": "bound"}, "target": {"kind": "Node", "name": "n2"}}),
                ),
                post(
                    format!("{pods}/bound/binding"),
                    &json!({"metadata": {"name": "bound"}, "target": {"kind": "Node"}}),
                ),
                post(
                    format!("{pods}/bound/binding"),
                    &json!({"metadata": {"name": "bound"}, "target": {"kind": "Pod", "name": "n2"}}),
                ),
                post(
                    format!("{pods}/nobody/binding"),
                    &json!({"metadata": {"name": "nobody"}, "target": {"kind": "Node", "name": "n2"}}),
                ),
            ],
        ),
        resizes("a resize", &pod("resized"), "resized"),
        resizes("a resize without a node", &unbound("unbound"), "unbound"),
    ]
}

/// An autoscaler through the version that is not stored.
fn versions() -> Vec<Case> {
    let (v1, v2) = (
        "/apis/autoscaling/v1/namespaces/NS/horizontalpodautoscalers",
        "/apis/autoscaling/v2/namespaces/NS/horizontalpodautoscalers",
    );
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "nothing"});
    let old = |name: &str| json!({"metadata": {"name": name}, "spec": {"scaleTargetRef": target, "maxReplicas": 5, "targetCPUUtilizationPercentage": 70}});
    let rich = json!({"metadata": {"name": "hpa-rich"}, "spec": {"scaleTargetRef": target, "maxReplicas": 5, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}, "metrics": [
        {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "100"}}},
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
        {"type": "External", "external": {"metric": {"name": "lag"}, "target": {"type": "Value", "value": "30"}}}]}});
    let parts = ["/apiVersion", "/spec", "/code", "/message"];
    let notes = ["/metadata/annotations/autoscaling.alpha.kubernetes.io~1metrics"];
    vec![
        case(
            "an autoscaler made in v1",
            [
                post(v1, &old("hpa-old")).only(parts),
                get(format!("{v2}/hpa-old")).only(parts),
                get(format!("{v1}/hpa-old")).only(parts),
            ],
        ),
        case(
            "an autoscaler patched in v1",
            [
                post(v1, &old("hpa-patched")).quiet(),
                patch(
                    "merge-patch+json",
                    format!("{v1}/hpa-patched"),
                    &json!({"spec": {"targetCPUUtilizationPercentage": 50}}),
                )
                .only(parts),
                patch(
                    "json-patch+json",
                    format!("{v1}/hpa-patched"),
                    &json!([{"op": "replace", "path": "/spec/maxReplicas", "value": 7}]),
                )
                .only(parts),
                get(format!("{v2}/hpa-patched")).only(parts),
                patch("merge-patch+json", format!("{v1}/nothing"), &json!({})).only(parts),
            ],
        ),
        case(
            "an autoscaler applied in v1",
            [
                patch(
                    "apply-patch+yaml",
                    format!("{v1}/hpa-applied?fieldManager=a"),
                    &with(
                        with(old("hpa-applied"), "/apiVersion", json!("autoscaling/v1")),
                        "/kind",
                        json!("HorizontalPodAutoscaler"),
                    ),
                )
                .only(parts),
                get(format!("{v2}/hpa-applied")).only(parts),
            ],
        ),
        case(
            "an autoscaler of v2 in v1",
            [
                post(v2, &rich).quiet(),
                get(format!("{v1}/hpa-rich")).only(parts),
                get(format!("{v1}/hpa-rich")).only(notes),
            ],
        ),
    ]
}

/// What a resize may change, and what not.
fn resizes(name: &str, pod: &Value, at: &str) -> Case {
    let pods = "/api/v1/namespaces/NS/pods";
    let parts =
        ["/spec/containers/0/resources", "/spec/containers/0/image", "/reason", "/code", "/message", "/details"];
    let mut pod = pod.clone();
    pod["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}});
    let resize = |container: Value| {
        let mut container = container;
        container["name"] = json!("main");
        let body = json!({"spec": {"containers": [container]}});
        patch("strategic-merge-patch+json", format!("{pods}/{at}/resize?dryRun=All"), &body).only(parts)
    };
    case(
        name,
        [
            post(pods, &pod).quiet(),
            resize(json!({"resources": {"requests": {"cpu": "200m"}}})),
            resize(json!({"resources": {"limits": {"memory": "256Mi"}}})),
            resize(json!({"resources": {"limits": {"memory": "96Mi"}}})),
            resize(json!({"resources": {"requests": {"memory": null}}})),
            resize(json!({"resources": {"requests": {"cpu": null}}})),
            resize(json!({"resources": {"limits": null}})),
            resize(json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}})),
            resize(
                json!({"resources": {"requests": {"cpu": "200m", "memory": "1Gi"}, "limits": {"cpu": "200m", "memory": "1Gi"}}}),
            ),
            resize(json!({"resources": {"requests": {"ephemeral-storage": "1Gi"}}})),
            resize(json!({"image": "nginx:2"})),
            resize(
                json!({"name": "main", "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}),
            ),
        ],
    )
}

/// All of them.
pub fn cases() -> Vec<Case> {
    [json_patches(), merge_patches(), strategic(), server_side(), subresources(), versions()].concat()
}
