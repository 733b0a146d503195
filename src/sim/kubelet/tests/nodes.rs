//! Nodes: their reports, power, pressure; what was loaded; and that the size of a step does not matter.

use super::*;

fn node_condition(w: &World, kind: &str) -> (String, String) {
    let node = w.store.get("nodes", "", "n1").unwrap().value();
    let c = condition(&node, kind).cloned().unwrap_or(Value::Null);
    (text(&c, "status").to_owned(), text(&c, "reason").to_owned())
}

fn renewed(w: &World) -> String {
    let lease = w.store.get("leases.coordination.k8s.io", "kube-node-lease", "n1");
    lease.map_or_else(String::new, |l| text(&l.value(), "spec.renewTime").to_owned())
}

fn running(name: &str) -> Value {
    let mut p = pod(name, json!({}));
    p["spec"]["nodeName"] = "n1".into();
    p["metadata"]["uid"] = format!("uid-{name}").into();
    let since = "2027-01-15T07:00:00Z";
    let c = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": since});
    let conditions: Vec<Value> =
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(c).to_vec();
    p["status"] = json!({"phase": "Running", "podIP": "10.244.1.9", "startTime": since,
        "conditions": conditions,
        "containerStatuses": [{"name": "app", "image": "shop/app:1", "imageID": "x", "containerID": "containerd://1", "ready": true,
            "started": true, "restartCount": 2, "lastState": {}, "state": {"running": {"startedAt": since}}}]});
    p
}

#[test]
fn what_was_loaded_runs_on_and_nothing_is_written() {
    let mut filler = running("filler");
    filler["metadata"]["labels"] = json!({"kansole.dev/filler": "true"});
    let mut w = world(vec![running("a"), filler], idle);
    let before = w.store.get("pods", "shop", "a").unwrap().version;
    w.run(300.0);
    assert_eq!(w.store.get("pods", "shop", "a").unwrap().version, before);
    assert!(w.events("a").is_empty() && w.events("filler").is_empty());
    let p = w.process("a").unwrap();
    assert_eq!(
        (p.restarts, p.started.to_rfc3339(), p.workload),
        (2, "2027-01-15T07:00:00+00:00".into(), ("Pod".into(), "a".into()))
    );
    assert!(w.process("filler").is_none());
    w.store.delete("pods", "shop", "filler", &Delete::default()).unwrap();
    w.run(5.0);
    assert!(w.store.get("pods", "shop", "filler").is_none());
}

#[test]
fn a_node_reports_while_it_can_and_comes_back() {
    let mut w = world(vec![running("a")], idle);
    w.run(20.0);
    assert_eq!(node_condition(&w, "Ready"), ("True".into(), "KubeletReady".into()));
    let lease = renewed(&w);
    assert!(!lease.is_empty());
    w.run(10.0);
    assert!(renewed(&w) > lease);
    w.machines.lock().nodes.get_mut("n1").unwrap().powered = false;
    w.run(2.0);
    let silent = renewed(&w);
    assert!(w.process("a").is_none(), "without power nothing runs");
    w.change("nodes", "", "n1", |o| {
        crate::sim::object::set_condition(
            o,
            "Ready",
            "Unknown",
            "NodeStatusUnknown",
            "Kubelet stopped posting node status.",
            "2027-01-15T08:01:00Z",
        );
    });
    w.run(100.0);
    assert_eq!((renewed(&w), node_condition(&w, "Ready").0), (silent, "Unknown".into()));
    w.machines.lock().nodes.get_mut("n1").unwrap().powered = true;
    w.run(20.0);
    assert_eq!(node_condition(&w, "Ready").0, "True");
    assert_eq!(w.told("n1", "NodeReady"), ["Node n1 status is now: NodeReady"; 1]);
    assert_eq!(w.told("n1", "Rebooted").len(), 1);
    let s = w.status("a");
    assert_eq!(
        (int(&s, "restartCount"), int(&s, "lastState.terminated.exitCode"), at(&s, "ready")),
        (Some(3), Some(255), Some(&json!(true)))
    );
    assert_eq!(w.told("a", "SandboxChanged"), ["Pod sandbox changed, it will be killed and re-created."]);
}

#[test]
fn a_node_that_is_cut_off_runs_on_and_ends_its_deleted_pods_when_it_is_back() {
    let mut w = world(vec![running("a"), running("b")], idle);
    w.run(5.0);
    w.machines.lock().nodes.get_mut("n1").unwrap().connected = false;
    w.run(2.0);
    w.store.delete("pods", "shop", "b", &Delete::default()).unwrap();
    w.run(100.0);
    assert!(w.process("a").is_some() && w.process("b").is_some() && w.store.get("pods", "shop", "b").is_some());
    w.machines.lock().nodes.get_mut("n1").unwrap().connected = true;
    w.run(5.0);
    assert!(w.store.get("pods", "shop", "b").is_none() && w.process("b").is_none());
    assert_eq!((int(&w.status("a"), "restartCount"), w.told("n1", "Rebooted").len()), (Some(2), 0));
}

#[test]
fn annotations_on_a_node_say_what_it_reports() {
    let mut w = world(vec![], idle);
    w.run(1.0);
    for (fault, kind, status, reason) in [
        ("not-ready", "Ready", "False", "KubeletNotReady"),
        ("memory-pressure", "MemoryPressure", "True", "KubeletHasInsufficientMemory"),
        ("disk-pressure", "DiskPressure", "True", "KubeletHasDiskPressure"),
        ("", "DiskPressure", "False", "KubeletHasNoDiskPressure"),
    ] {
        w.change("nodes", "", "n1", |o| set(o, "metadata.annotations", json!({"kansole.dev/fault": fault})));
        w.run(1.0);
        assert_eq!(node_condition(&w, kind), (status.to_owned(), reason.to_owned()));
    }
    assert_eq!(node_condition(&w, "Ready").0, "True");
}

#[test]
fn short_memory_evicts_who_uses_more_than_asked() {
    let mut w = world(vec![], |_, p| p.usage.working_set = 500.0 * 1024.0 * 1024.0);
    w.create(pod("modest", json!({"resources": {"requests": {"memory": "1Gi"}}})));
    w.create(pod("greedy", json!({"resources": {"requests": {"memory": "100Mi"}}})));
    w.run(20.0);
    w.machines.lock().nodes.get_mut("n1").unwrap().memory_used = (8192.0 - 50.0) * 1024.0 * 1024.0;
    w.run(10.0);
    w.machines.lock().nodes.get_mut("n1").unwrap().memory_used = 0.0;
    w.run(5.0);
    let p = w.pod("greedy");
    assert_eq!((text(&p, "status.phase"), text(&p, "status.reason")), ("Failed", "Evicted"));
    let message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 51200Ki. Container app was using 512000Ki, request is 100Mi, has larger consumption of memory. ";
    assert_eq!(text(&p, "status.message"), message);
    assert_eq!(w.told("greedy", "Evicted"), [message]);
    assert_eq!(w.condition("greedy", "DisruptionTarget").1, "TerminationByKubelet");
    assert_eq!(text(&w.pod("modest"), "status.phase"), "Running");
    assert_eq!(node_condition(&w, "MemoryPressure").0, "True");
    w.run(320.0);
    assert_eq!(node_condition(&w, "MemoryPressure").0, "False");
}

#[test]
fn a_full_disk_loses_unused_images_first_and_then_pods() {
    let mut w = world(vec![], |_, p| p.usage.disk = 5e9);
    w.create(pod("a", json!({})));
    w.run(20.0);
    w.machines.lock().nodes.get_mut("n1").unwrap().disk_used = 95e9;
    w.run(10.0);
    let p = w.pod("a");
    assert!(text(&p, "status.message").starts_with("The node was low on resource: ephemeral-storage. Threshold quantity: 10000000000, available: 4882812Ki. Container app was using 4882812Ki, request is 0"), "{}", text(&p, "status.message"));
    assert_eq!(node_condition(&w, "DiskPressure").0, "True");
}

#[test]
fn a_machine_without_memory_kills_by_score() {
    let mut w = world(vec![], |_, p| p.usage.working_set = 1e9);
    w.create(pod(
        "guaranteed",
        json!({"resources": {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "1", "memory": "2Gi"}}}),
    ));
    w.create(pod("any", json!({})));
    w.run(20.0);
    w.machines.lock().nodes.get_mut("n1").unwrap().memory_used = 8.3e9 + 300e6;
    w.run(1.0);
    w.machines.lock().nodes.get_mut("n1").unwrap().memory_used = 0.0;
    w.run(5.0);
    assert_eq!(text(&w.status("any"), "lastState.terminated.reason"), "OOMKilled");
    assert_eq!(int(&w.status("guaranteed"), "restartCount"), Some(0));
    assert!(w.told("n1", "SystemOOM")[0].starts_with("System OOM encountered, victim process: app, pid: "));
}

/// Everything that is stored, as text.
fn dump(w: &World) -> String {
    let kinds = w.store.registry.all();
    let all = kinds.iter().flat_map(|k| w.store.list(&k.key(), None).1);
    let lines: Vec<String> = all.map(|o| format!("{} {} {}", o.key, o.version, o.body)).collect();
    lines.join("\n")
}

#[test]
fn the_size_of_a_step_changes_nothing() {
    let history = |step: f64| {
        let mut w = world(vec![running("loaded")], |ran, p| {
            p.live = ran % 200_000 < 100_000;
            p.usage.working_set = ran as f64 * 500.0;
            if p.place.pod == "crashing" && ran >= 7000 {
                p.state = State::Exited(2);
            }
        });
        let live = json!({"livenessProbe": {"tcpSocket": {"port": 80}}, "readinessProbe": {"tcpSocket": {"port": 80}}});
        w.create(pod("probed", live));
        w.create(pod("crashing", json!({})));
        w.create(pod("bad", json!({"image": "x:bad"})));
        w.create(pod("leaking", json!({"resources": {"limits": {"memory": "64Mi"}}})));
        w.create(pod("missing", json!({"envFrom": [{"configMapRef": {"name": "cfg"}}]})));
        w.create(pod("large", json!({"resources": {"requests": {"cpu": "100"}}})));
        for _ in 0..(1800.0 / step) as usize {
            w.run(step);
        }
        dump(&w)
    };
    let (one, sixty) = (history(1.0), history(60.0));
    assert!(one.len() > 10_000);
    assert_eq!(one, sixty);
}
