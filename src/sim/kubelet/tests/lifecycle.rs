//! A pod's life from its binding to its end.

use super::*;

#[test]
fn a_pod_is_bound_pulled_started_ready_and_deleted() {
    let mut w = world(vec![], idle);
    w.run(1.0);
    w.create(pod(
        "a",
        json!({"readinessProbe": {"httpGet": {"path": "/", "port": 80}}, "env": [{"name": "X", "value": "1"}]}),
    ));
    w.run(0.1);
    let p = w.pod("a");
    assert_eq!((text(&p, "spec.nodeName"), text(&p, "status.phase")), ("n1", "Pending"));
    assert_eq!(w.waiting("a").0, "ContainerCreating");
    assert_eq!(w.condition("a", "Ready").2, "containers with unready status: [app]");
    w.run(20.0);
    let (p, s) = (w.pod("a"), w.status("a"));
    assert_eq!(text(&p, "status.phase"), "Running");
    assert_eq!(w.condition("a", "Ready"), ("True".into(), String::new(), String::new()));
    assert!(text(&p, "status.podIP").starts_with("10.244.1."), "{}", text(&p, "status.podIP"));
    assert_eq!((text(&p, "status.hostIP"), text(&p, "status.qosClass")), ("10.0.0.1", "BestEffort"));
    assert_eq!((at(&s, "ready"), int(&s, "restartCount")), (Some(&json!(true)), Some(0)));
    assert_eq!(w.told("a", "Scheduled"), ["Successfully assigned shop/a to n1"]);
    assert_eq!(w.told("a", "Started"), ["Container started"]);
    assert!(w.told("a", "Pulled")[0].starts_with("Successfully pulled image \"shop/app:1\" in "));
    assert_eq!(w.process("a").unwrap().config.get("X").map(String::as_str), Some("1"));
    w.store.delete("pods", "shop", "a", &Delete::default()).unwrap();
    w.run(0.1);
    assert_eq!(w.condition("a", "Ready").0, "False");
    w.run(3.0);
    assert!(w.store.get("pods", "shop", "a").is_none() && w.process("a").is_none());
    assert_eq!(w.told("a", "Killing"), ["Stopping container app"]);
}

#[test]
fn what_crashes_backs_off_from_ten_seconds_to_five_minutes_and_is_forgiven() {
    let mut w = world(vec![], |ran, p| {
        if ran >= 1000 && p.annotations.contains_key("crash") {
            p.say(moment(START), "boom");
            p.state = State::Exited(1);
        }
    });
    let mut p = pod("a", json!({}));
    set(&mut p, "metadata.annotations", json!({"crash": "yes"}));
    w.create(p);
    let mut delays = Vec::new();
    for _ in 0..2000 {
        w.run(1.0);
        let (reason, message) = w.waiting("a");
        if reason == "CrashLoopBackOff" && delays.last() != Some(&message) {
            delays.push(message);
        }
    }
    let seen: Vec<&str> = delays.iter().map(|m| m.split(' ').nth(1).unwrap()).collect();
    assert_eq!(seen, ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s"]);
    let s = w.status("a");
    assert_eq!((text(&s, "lastState.terminated.reason"), int(&s, "lastState.terminated.exitCode")), ("Error", Some(1)));
    assert!(int(&s, "restartCount").unwrap() >= 6);
    let uid = text(&w.pod("a"), "metadata.uid").to_owned();
    assert_eq!(w.told("a", "BackOff"), [format!("Back-off restarting failed container app in pod a_shop({uid})")]);
    let place = Place { namespace: "shop".into(), pod: "a".into(), container: "app".into() };
    assert_eq!(w.machines.lock().previous[&place].back().unwrap().text, "boom");
}

#[test]
fn memory_over_the_limit_is_killed_and_says_so() {
    let mut w = world(vec![], |ran, p| p.usage.working_set = ran as f64 * 1024.0);
    w.create(pod("a", json!({"resources": {"limits": {"memory": "16Mi"}}})));
    w.run(40.0);
    let s = w.status("a");
    assert!(int(&s, "restartCount").unwrap() >= 1, "{s}");
    assert_eq!(
        (text(&s, "lastState.terminated.reason"), int(&s, "lastState.terminated.exitCode")),
        ("OOMKilled", Some(137))
    );
}
