//! Commands that read.

use crate::desk::{Desk, has};
use serde_json::{Value, json};

/// A deployment of two containers that ask for little, and its service.
pub fn web(replicas: u32) -> Value {
    let container = |name: &str| {
        json!({"name": name, "image": "registry.example/web:1.0", "ports": [{"containerPort": 8080}],
            "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}})
    };
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container("main"), container("helper")]}}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}},
    ]})
}

/// A desk where it runs.
pub fn with_web(replicas: u32) -> Desk {
    let desk = Desk::new();
    has(&desk.ok_with("apply -f -", &web(replicas)), &["deployment.apps/web created", "service/web created"]);
    has(&desk.ok("rollout status deployment/web --timeout=80s"), &["deployment \"web\" successfully rolled out"]);
    desk
}

#[test]
fn get_prints_tables_objects_and_selections() {
    let desk = with_web(3);
    has(&desk.ok("get deployment web"), &["READY", "UP-TO-DATE", "3/3"]);
    let wide = desk.ok("get pods -o wide");
    has(&wide, &["NODE", "NOMINATED NODE", "READINESS GATES", "2/2", "Running", "10."]);
    has(&desk.ok("get pods -o yaml"), &["kind: List", "schedulerName: default-scheduler", "phase: Running"]);
    let names = desk.ok("get pods -l app=web -o name");
    assert_eq!(names.lines().count(), 3, "{names}");
    assert_eq!(desk.ok("get pods --chunk-size=1 -l app=web -o name"), names, "pages make up the same list");
    assert_eq!(desk.ok("get pods -l app!=web,app -o name"), "");
    let first = names.lines().next().expect("three");
    let node = desk.ok(&format!("get {first} -o jsonpath={{.spec.nodeName}}"));
    let there = desk.ok(&format!("get pods --field-selector spec.nodeName={node},status.phase=Running -o name"));
    has(&there, &[first]);
    assert_eq!(desk.ok("get pods --field-selector spec.nodeName=nowhere -o name"), "");
    has(&desk.ok("get all"), &["pod/web-", "service/web", "deployment.apps/web", "replicaset.apps/web-"]);
    has(&desk.ok("get nodes"), &["n1", "Ready", "VERSION"]);
    has(&desk.ok("get deploy,svc -A"), &["NAMESPACE", "kube-system", "service/web"]);
    has(&desk.ok("get pods -L app --show-labels"), &["APP", "LABELS", "pod-template-hash="]);
    assert_eq!(desk.fails("get pod nothing"), "Error from server (NotFound): pods \"nothing\" not found\n");
    assert_eq!(desk.fails("get nonsense"), "error: the server doesn't have a resource type \"nonsense\"\n");
    has(&desk.fails("get pods -l a=-b"), &["unable to parse requirement"]);
}

#[test]
fn get_watch_shows_what_happens() {
    let desk = with_web(1);
    let seen = desk.follow("get pods -w", || drop(desk.ok("scale deployment/web --replicas=2")), "2/2");
    has(&seen.join("\n"), &["NAME"]);
    let seen = desk.follow(
        "get deployment web -w --output-watch-events",
        || drop(desk.ok("annotate deployment web note=seen")),
        "MODIFIED",
    );
    has(&seen.join("\n"), &["EVENT", "ADDED"]);
}

#[test]
fn describe_tells_of_every_kind() {
    let desk = with_web(1);
    desk.ok("autoscale deployment/web --cpu=60% --min=1 --max=3");
    desk.ok("create configmap settings --from-literal=a=1");
    desk.ok("create secret generic hidden --from-literal=password=x");
    desk.ok("create job once --image=registry.example/once:1");
    desk.ok("create cronjob often --image=registry.example/once:1 --schedule=@hourly");
    desk.ok("create poddisruptionbudget web --selector=app=web --min-available=1");
    desk.ok("create role reader --verb=get --resource=pods");
    let tells = [
        (
            "pod -l app=web",
            vec!["Node:", "QoS Class:", "Burstable", "Conditions:", "Successfully assigned", "Container started"],
        ),
        ("node n1", vec!["Allocatable:", "Non-terminated Pods:", "Allocated resources:", "MemoryPressure", "Lease:"]),
        (
            "deployment web",
            vec!["StrategyType:", "RollingUpdate", "NewReplicaSet:", "ScalingReplicaSet", "Scaled up replica set"],
        ),
        ("replicaset -l app=web", vec!["Controlled By:", "Deployment/web", "SuccessfulCreate"]),
        ("service web", vec!["Selector:", "app=web", "Endpoints:", ":8080"]),
        ("hpa web", vec!["Reference:", "Deployment/web", "Min replicas:", "resource cpu on pods"]),
        ("configmap settings", vec!["Data", "a:"]),
        ("secret hidden", vec!["password:", "1 bytes"]),
        ("job once", vec!["Completions:", "SuccessfulCreate"]),
        ("cronjob often", vec!["Schedule:", "Concurrency Policy:"]),
        ("pdb web", vec!["Min available:", "Selector:"]),
        ("role reader", vec!["PolicyRule:", "pods"]),
        ("namespace default", vec!["Status:", "Active"]),
    ];
    for (what, parts) in tells {
        has(&desk.ok(&format!("describe {what}")), &parts);
    }
    has(&desk.fails("describe pod nothing"), &["Error from server (NotFound): pods \"nothing\" not found"]);
}

/// A pod of an image that the catalogue of the shop knows, and that speaks.
fn cart(desk: &Desk) {
    let container = |name: &str| json!({"name": name, "image": "registry.example/shop/cart:1.18.2"});
    let spec = json!({"containers": [container("main"), container("helper")]});
    desk.ok_with(
        "create -f -",
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cart"}, "spec": spec}),
    );
    desk.ok("wait pod/cart --for=condition=Ready --timeout=80s");
}

#[test]
fn logs_are_of_one_container() {
    let desk = Desk::new();
    cart(&desk);
    let seen = desk.follow("logs cart -c main -f", || (), "listening on :8080");
    assert_eq!(seen[0], "starting registry.example/shop/cart:1.18.2");
    has(&desk.ok("logs cart -c main"), &["starting", "listening"]);
    has(&desk.ok("logs cart --all-containers --prefix --timestamps"), &["/helper] 20", "/main] 20", "Z starting"]);
    assert_eq!(desk.ok("logs cart -c main --tail=0"), "");
    assert_eq!(desk.ok("logs cart -c main --tail=1").lines().count(), 1);
    assert_eq!(desk.ok("logs cart -c main --limit-bytes=5"), "start");
    has(&desk.ok("logs cart -c main --since=1h"), &["starting"]);
    has(&desk.run("logs cart").err, &["Defaulted container \"main\" out of: main, helper"]);
    has(&desk.fails("logs cart -c nothing"), &["container nothing is not valid for pod cart"]);
    has(&desk.fails("logs nothing"), &["pods \"nothing\" not found"]);
    has(
        &desk.fails("logs cart -c main --previous"),
        &["previous terminated container \"main\" in pod \"cart\" not found"],
    );
    desk.ok("run never --image=registry.example/once:1 --overrides={\"spec\":{\"nodeSelector\":{\"a\":\"b\"}}}");
    assert_eq!(desk.ok("logs never"), "", "it is on no node yet");
    desk.ok("run absent --image=registry.example/once:bad");
    desk.ok("wait pod/absent --for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff --timeout=80s");
    has(&desk.fails("logs absent"), &["is waiting to start: trying and failing to pull image"]);
}

#[test]
fn logs_of_what_crashed_are_those_of_its_last_run() {
    let desk = Desk::new();
    // A release that ends at its start, and is started again or not.
    desk.ok("run again --image=registry.example/shop/payment:2.3.0");
    desk.ok("run once --image=registry.example/shop/payment:2.3.0 --restart=Never");
    let crash = "panic: runtime error: invalid memory address";
    desk.ok("wait pod/once --for=jsonpath={.status.phase}=Failed --timeout=80s");
    let all = desk.ok("logs once");
    let previous = "previous terminated container \"once\" in pod \"once\" not found";
    has(&desk.fails("logs once --previous"), &[previous]);
    let waits = "jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff";
    desk.ok(&format!("wait pod/again --for={waits} --timeout=80s"));
    has(&desk.ok("logs again --previous"), &[crash]);
    desk.ok(&format!("wait pod/again --for={waits} --timeout=80s"));
    assert_eq!(desk.ok("logs again"), all, "no process runs: the last that ended");
    has(&all, &[crash]);
}

#[test]
fn top_measures_nodes_and_pods() {
    let desk = with_web(1);
    let nodes = desk.ok("top nodes");
    has(&nodes, &["CPU(cores)", "MEMORY(%)", "n1", "n4"]);
    let pods = desk.ok("top pods --containers -l app=web");
    has(&pods, &["POD", "NAME", "main", "helper", "Mi"]);
    has(&desk.ok("top pods -A --sort-by=memory"), &["NAMESPACE", "kube-system"]);
    has(&desk.fails("top pod nothing"), &["NotFound"]);
}

#[test]
fn explain_and_discovery_know_the_kinds() {
    let desk = Desk::new();
    has(&desk.ok("explain deployment.spec.strategy"), &["GROUP:      apps", "rollingUpdate", "DeploymentStrategy"]);
    has(&desk.ok("explain pod.spec.containers.resources --recursive"), &["limits", "requests"]);
    has(&desk.ok("explain scaledobjects"), &["GROUP:      keda.sh", "KIND:       ScaledObject"]);
    has(&desk.fails("explain pod.spec.nonsense"), &["field \"nonsense\" does not exist"]);
    let all = desk.ok("api-resources");
    has(&all, &["deployments", "deploy", "apps/v1", "horizontalpodautoscalers", "scaledobjects", "NAMESPACED"]);
    has(&desk.ok("api-resources --verbs=list --namespaced=false -o name"), &["nodes\n", "clusterroles.rbac"]);
    has(&desk.ok("api-versions"), &["apps/v1\n", "autoscaling/v2\n", "metrics.k8s.io/v1beta1\n"]);
    has(&desk.ok("version"), &["Server Version: v1."]);
    has(&desk.ok("cluster-info"), &["control plane", "is running at"]);
}

#[test]
fn events_are_listed_and_filtered() {
    let desk = with_web(1);
    let all = desk.ok("events");
    has(&all, &["LAST SEEN", "Scheduled", "ScalingReplicaSet", "Deployment/web"]);
    let of = desk.ok("events --for deployment/web");
    has(&of, &["ScalingReplicaSet"]);
    assert!(!of.contains("Scheduled"), "{of}");
    has(&desk.ok("get events --field-selector reason=Scheduled"), &["Successfully assigned default/web-"]);
    assert!(!desk.ok("events --types=Warning").contains("Normal"));
}

#[test]
fn auth_can_i_tells_who_may_what() {
    let desk = Desk::new();
    assert_eq!(desk.ok("auth can-i delete nodes"), "yes\n");
    let refused = desk.run("auth can-i delete nodes --as viewer");
    assert_eq!((refused.code, refused.out.as_str()), (1, "no\n"), "{}", refused.err);
    let list = desk.ok("auth can-i --list --as viewer");
    has(&list, &["Resources", "Non-Resource URLs", "selfsubjectaccessreviews.authorization.k8s.io", "/healthz"]);
    desk.ok("create role reader --verb=get,list --resource=pods,pods/log");
    desk.ok("create rolebinding reader --role=reader --user=eve");
    assert_eq!(desk.ok("auth can-i list pods --as eve"), "yes\n");
    assert_eq!(desk.ok("auth can-i get pods --subresource=log --as eve"), "yes\n");
    assert_eq!(desk.run("auth can-i create pods --as eve").out, "no\n");
    has(&desk.ok("auth can-i --list --as eve"), &["pods/log", "[get list]"]);
    let said = desk.fails("get secrets --as eve");
    has(
        &said,
        &[
            "secrets is forbidden: User \"eve\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\"",
        ],
    );
    has(&desk.ok("auth whoami"), &["Username", "admin"]);
}
