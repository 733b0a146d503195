//! Probes, kills, resizes, and the behaviours that the rig's annotations ask for.

use super::*;

fn annotated(name: &str, container: Value, annotations: Value) -> Value {
    let mut p = pod(name, container);
    set(&mut p, "metadata.annotations", annotations);
    p
}

#[test]
fn readiness_and_liveness_follow_what_the_process_answers() {
    let mut w = world(vec![], |ran, p| {
        p.ready = !(20_000..60_000).contains(&ran);
        p.live = ran < 100_000;
    });
    w.create(pod(
        "a",
        json!({"readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 5},
        "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 5}}),
    ));
    w.run(15.0);
    assert_eq!(w.condition("a", "Ready").0, "True");
    w.run(30.0);
    assert_eq!(w.condition("a", "Ready").2, "containers with unready status: [app]");
    assert_eq!(w.told("a", "Unhealthy"), ["Readiness probe failed: HTTP probe failed with statuscode: 503"]);
    w.run(30.0);
    assert_eq!(w.condition("a", "Ready").0, "True");
    assert_eq!(int(&w.status("a"), "restartCount"), Some(0));
    // Three failures, then 30 seconds of grace that a hung process uses up, then a start without back-off.
    w.run(80.0);
    let s = w.status("a");
    assert_eq!((int(&s, "restartCount"), int(&s, "lastState.terminated.exitCode")), (Some(1), Some(137)));
    assert_eq!(w.told("a", "Killing"), ["Container app failed liveness probe, will be restarted"]);
    let ip = text(&w.pod("a"), "status.podIP").to_owned();
    let timeout = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    assert!(
        w.told("a", "Unhealthy").contains(&format!("Liveness probe failed: Get \"http://{ip}:8080/live\": {timeout}"))
    );
}

#[test]
fn a_startup_probe_holds_the_others_back_and_a_slow_start_is_killed_without_one() {
    let mut w = world(vec![], |ran, p| p.started_up = ran >= 45_000);
    let live = json!({"tcpSocket": {"port": 80}, "periodSeconds": 5});
    w.create(pod(
        "a",
        json!({"startupProbe": {"tcpSocket": {"port": 80}, "failureThreshold": 10}, "livenessProbe": live}),
    ));
    w.create(pod("b", json!({"livenessProbe": live})));
    w.run(40.0);
    assert_eq!(at(&w.status("a"), "started"), Some(&json!(false)));
    w.run(30.0);
    assert_eq!((at(&w.status("a"), "started"), at(&w.status("a"), "ready")), (Some(&json!(true)), Some(&json!(true))));
    assert_eq!(int(&w.status("a"), "restartCount"), Some(0));
    assert!(int(&w.status("b"), "restartCount").unwrap() >= 1);
}

#[test]
fn an_unready_endpoint_and_a_locked_process_are_seen_from_outside() {
    let mut w = world(vec![], idle);
    w.create(pod("a", json!({"readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 2}})));
    w.run(15.0);
    let place = Place { namespace: "shop".into(), pod: "a".into(), container: "app".into() };
    w.machines.lock().outside.unready.insert(place.clone());
    w.run(10.0);
    assert_eq!(w.condition("a", "Ready").0, "False");
    w.machines.lock().outside.unready.clear();
    w.machines.lock().outside.locked.insert(place.clone());
    w.store.delete("pods", "shop", "a", &Delete::default()).unwrap();
    w.run(25.0);
    assert!(w.process("a").is_some(), "it cannot answer the signal");
    w.run(6.0);
    assert!(w.store.get("pods", "shop", "a").is_none());
    assert!(w.machines.lock().outside.locked.is_empty(), "gone with the process");
}

#[test]
fn the_rigs_annotations_do_what_they_do_there() {
    let mut w = world(vec![], idle);
    let fault = |f: &str| json!({"kansole.dev/fault": f});
    for f in ["not-ready", "missing-config", "liveness", "crash"] {
        w.create(annotated(f, json!({}), fault(f)));
    }
    w.create(pod("tagged", json!({"image": "shop/app:crash"})));
    let mut job = annotated("job", json!({}), fault("job"));
    job["metadata"]["ownerReferences"] = json!([{"kind": "Job", "name": "j", "uid": "u", "controller": true}]);
    set(&mut job, "spec.restartPolicy", "Never");
    w.create(job);
    w.run(60.0);
    assert_eq!(w.condition("not-ready", "Ready").1, "ContainersNotReady");
    assert_eq!(
        w.waiting("missing-config"),
        ("CreateContainerConfigError".into(), "configmap \"web-config\" not found".into())
    );
    assert_eq!(int(&w.status("liveness"), "lastState.terminated.exitCode"), Some(137));
    assert_eq!(int(&w.status("crash"), "lastState.terminated.exitCode"), Some(1));
    assert!(int(&w.status("tagged"), "restartCount").unwrap() >= 1);
    assert_eq!(text(&w.pod("job"), "status.phase"), "Failed");
    for f in ["not-ready", "missing-config"] {
        w.change("pods", "shop", f, |o| set(o, "metadata.annotations", json!({})));
    }
    w.run(60.0);
    assert_eq!([w.condition("not-ready", "Ready").0, w.condition("missing-config", "Ready").0], ["True", "True"]);
}

#[test]
fn a_resize_is_done_in_place_or_says_why_not() {
    let mut w = world(vec![], |_, p| p.usage.working_set = 100e6);
    let sized = |cpu: &str, memory: &str| json!({"requests": {"cpu": cpu}, "limits": {"memory": memory}});
    w.create(pod("a", json!({"resources": sized("100m", "200Mi")})));
    w.run(20.0);
    let resize = |w: &World, to: Value| w.change("pods", "shop", "a", |o| o["spec"]["containers"][0]["resources"] = to);
    resize(&w, sized("300m", "400Mi"));
    w.run(0.1);
    assert_eq!(w.condition("a", "PodResizeInProgress").0, "True");
    w.run(2.0);
    let (s, p) = (w.status("a"), w.process("a").unwrap());
    assert_eq!((text(&s, "resources.limits.memory"), text(&s, "allocatedResources.cpu")), ("400Mi", "300m"));
    assert_eq!((p.requests[0], p.limits[1]), (0.3, Some(400.0 * 1024.0 * 1024.0)));
    assert_eq!((w.condition("a", "PodResizeInProgress").0, int(&s, "restartCount")), (String::new(), Some(0)));
    resize(&w, sized("300m", "50Mi"));
    w.run(3.0);
    assert_eq!(w.condition("a", "PodResizeInProgress").1, "Error");
    assert_eq!(w.process("a").unwrap().limits[1], Some(400.0 * 1024.0 * 1024.0));
    resize(&w, sized("5", "400Mi"));
    w.run(3.0);
    assert_eq!(w.condition("a", "PodResizePending").1, "Infeasible");
    resize(&w, sized("300m", "400Mi"));
    w.run(3.0);
    w.create(pod("b", json!({"resources": {"requests": {"cpu": "3"}}})));
    w.run(20.0);
    resize(&w, sized("2", "400Mi"));
    w.run(3.0);
    assert_eq!(w.condition("a", "PodResizePending").1, "Deferred");
    w.store.delete("pods", "shop", "b", &Delete::default()).unwrap();
    w.run(20.0);
    assert_eq!((w.condition("a", "PodResizePending").0, w.process("a").unwrap().requests[0]), (String::new(), 2.0));
    w.change("pods", "shop", "a", |o| {
        let c = &mut o["spec"]["containers"][0];
        c["resizePolicy"] = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
        c["resources"] = sized("2", "500Mi");
    });
    w.run(10.0);
    assert_eq!(
        (int(&w.status("a"), "restartCount"), w.process("a").unwrap().limits[1]),
        (Some(1), Some(500.0 * 1024.0 * 1024.0))
    );
}
