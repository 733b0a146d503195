//! Commands about what runs: rollouts, scales, nodes.

use crate::desk::{Desk, has};
use crate::reads::with_web;
use serde_json::json;

#[test]
fn rollouts_are_followed_told_and_undone() {
    let desk = with_web(2);
    desk.ok("annotate deployment web kubernetes.io/change-cause=first");
    desk.ok("set image deployment/web main=registry.example/web:2.0");
    desk.ok("annotate deployment web kubernetes.io/change-cause=second --overwrite");
    let seen = desk.ok("rollout status deployment/web --timeout=80s");
    has(&seen, &["deployment \"web\" successfully rolled out"]);
    let history = desk.ok("rollout history deployment/web");
    has(&history, &["REVISION  CHANGE-CAUSE", "1         first", "2         second"]);
    has(&desk.ok("rollout history deployment/web --revision=1"), &["revision #1", "registry.example/web:1.0"]);
    has(&desk.fails("rollout history deployment/web --revision=9"), &["unable to find the specified revision"]);
    assert_eq!(desk.ok("rollout undo deployment/web"), "deployment.apps/web rolled back\n");
    desk.ok("rollout status deployment/web --timeout=80s");
    has(&desk.ok("get deployment web -o wide"), &["registry.example/web:1.0"]);
    has(&desk.ok("rollout history deployment/web"), &["3         first"]);
    assert_eq!(desk.ok("rollout pause deployment/web"), "deployment.apps/web paused\n");
    has(&desk.fails("rollout restart deployment/web"), &["can't restart paused deployment"]);
    assert_eq!(desk.ok("rollout resume deployment/web"), "deployment.apps/web resumed\n");
    let before = desk.ok("get pods -l app=web -o name");
    assert_eq!(desk.ok("rollout restart deployment/web"), "deployment.apps/web restarted\n");
    desk.ok("rollout status deployment/web --timeout=80s");
    // A rollout is done while the old pods still have their grace period.
    for old in before.lines() {
        desk.ok(&format!("wait --for=delete {old} --timeout=80s"));
    }
    let after = desk.ok("get pods -l app=web -o name");
    assert!(after.lines().count() == 2 && after.lines().all(|p| !before.contains(p)), "new pods: {before}{after}");
    // One that cannot finish.
    desk.ok("set image deployment/web main=registry.example/web:bad");
    has(&desk.fails("rollout status deployment/web --timeout=2s"), &["timed out waiting for the condition"]);
}

#[test]
fn daemon_sets_and_stateful_sets_roll_too() {
    let desk = Desk::new();
    let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "main", "image": "registry.example/x:1"}]}});
    let spec = json!({"selector": {"matchLabels": {"app": "x"}}, "template": template});
    desk.ok_with(
        "create -f -",
        &json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": spec}),
    );
    has(&desk.ok("rollout status daemonset/agent --timeout=80s"), &["daemon set \"agent\" successfully rolled out"]);
    let mut spec = spec;
    spec["serviceName"] = json!("store");
    spec["replicas"] = json!(2);
    spec["selector"]["matchLabels"] = json!({"app": "y"});
    spec["template"]["metadata"]["labels"] = json!({"app": "y"});
    desk.ok_with(
        "create -f -",
        &json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "store"}, "spec": spec}),
    );
    has(
        &desk.ok("rollout status statefulset/store --timeout=80s"),
        &["partitioned roll out complete: 2 new pods have been updated"],
    );
    has(&desk.ok("get pods -l app=y"), &["store-0", "store-1"]);
    desk.ok("set image daemonset/agent main=registry.example/x:2");
    desk.ok("rollout status daemonset/agent --timeout=80s");
    has(&desk.ok("rollout history daemonset/agent"), &["1 ", "2 "]);
    has(&desk.ok("rollout undo daemonset/agent"), &["rolled back"]);
}

#[test]
fn scale_changes_replicas_with_preconditions() {
    let desk = with_web(1);
    assert_eq!(desk.ok("scale deployment/web --replicas=3"), "deployment.apps/web scaled\n");
    desk.ok("rollout status deployment/web --timeout=80s");
    has(&desk.ok("get deployment web"), &["3/3"]);
    has(&desk.fails("scale deployment/web --replicas=1 --current-replicas=7"), &["Expected replicas to be 7, was 3"]);
    has(
        &desk.ok("get deployment web --subresource=scale -o yaml"),
        &["kind: Scale", "replicas: 3", "selector: app=web"],
    );
    has(&desk.fails("scale deployment/nothing --replicas=1"), &["deployments.apps \"nothing\" not found"]);
    assert_eq!(desk.ok("scale deployment/web --replicas=0 --timeout=60s"), "deployment.apps/web scaled\n");
    desk.ok("wait pods -l app=web --for=delete --timeout=80s");
}

#[test]
fn cordon_and_drain_empty_a_node_as_the_budget_allows() {
    let desk = with_web(4);
    assert_eq!(desk.ok("cordon n1"), "node/n1 cordoned\n");
    assert_eq!(desk.ok("cordon n1"), "node/n1 already cordoned\n");
    has(&desk.ok("get node n1"), &["Ready,SchedulingDisabled"]);
    assert_eq!(desk.ok("uncordon n1"), "node/n1 uncordoned\n");
    let node = desk.object("pods -l app=web")["items"][0]["spec"]["nodeName"].as_str().expect("scheduled").to_owned();
    let drain = format!("drain {node} --pod-selector=app=web --ignore-daemonsets --delete-emptydir-data");
    // A budget that allows nothing: the drain tries again and again until its time is over.
    desk.ok("create poddisruptionbudget web --selector=app=web --min-available=4");
    desk.ok("wait pdb/web --for=jsonpath={.status.currentHealthy}=4 --timeout=80s");
    let said = desk.run(&format!("{drain} --timeout=3s"));
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    has(&said.err, &["Cannot evict pod as it would violate the pod's disruption budget."]);
    desk.ok("delete pdb web");
    desk.ok("create poddisruptionbudget web --selector=app=web --max-unavailable=1");
    let said = desk.ok(&format!("{drain} --timeout=85s"));
    has(&said, &["evicted", &format!("node/{node} drained")]);
    assert_eq!(desk.ok(&format!("get pods -l app=web --field-selector=spec.nodeName={node} -o name")), "");
    desk.ok("rollout status deployment/web --timeout=80s");
    has(
        &desk.ok(&format!("describe node {node}")),
        &["Unschedulable:      true", "node.kubernetes.io/unschedulable:NoSchedule"],
    );
    desk.ok(&format!("uncordon {node}"));
    assert_eq!(desk.ok(&format!("taint node {node} key=value:NoSchedule")), format!("node/{node} tainted\n"));
    assert_eq!(desk.ok(&format!("taint node {node} key-")), format!("node/{node} untainted\n"));
}

#[test]
fn jobs_run_to_their_end() {
    let desk = Desk::new();
    desk.ok("create cronjob often --image=registry.example/once:1 --schedule=@hourly");
    assert_eq!(desk.ok("create job now --from=cronjob/often"), "job.batch/now created\n");
    has(&desk.ok("get cronjob often"), &["@hourly", "False"]);
    has(&desk.ok("get job now"), &["now", "/1"]);
}
