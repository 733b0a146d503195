//! What must be there before a container runs: images, ConfigMaps, init containers.

use super::*;

fn config_map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data})
}

#[test]
fn an_image_that_cannot_be_pulled_backs_off_and_a_right_one_starts() {
    let mut w = world(vec![], idle);
    w.create(pod("a", json!({"image": "shop/app:bad"})));
    w.run(2.0);
    let (reason, message) = w.waiting("a");
    assert_eq!(reason, "ErrImagePull");
    assert!(message.contains("docker.io/shop/app:bad: not found"), "{message}");
    w.run(5.0);
    assert_eq!(w.waiting("a").0, "ImagePullBackOff");
    assert!(w.waiting("a").1.starts_with("Back-off pulling image \"shop/app:bad\": ErrImagePull: rpc error"));
    assert_eq!(text(&w.pod("a"), "status.phase"), "Pending");
    w.run(600.0);
    let pulls = w.store.list("events", Some("shop")).1;
    let pulls = pulls.iter().map(|e| e.value()).find(|e| text(e, "reason") == "Pulling").unwrap();
    // At once, and after 10, 20, 40, 80, 160 and 300 seconds (and some for asking).
    assert!((6..=7).contains(&int(&pulls, "count").unwrap()), "{pulls}");
    w.change("pods", "shop", "a", |o| o["spec"]["containers"][0]["image"] = "shop/app:1".into());
    w.run(310.0);
    assert_eq!(text(&w.pod("a"), "status.phase"), "Running");
}

#[test]
fn a_missing_config_map_holds_the_container_until_it_is_there() {
    let mut w = world(vec![], idle);
    w.create(pod(
        "env",
        json!({"envFrom": [{"configMapRef": {"name": "cfg"}}],
        "env": [{"name": "URL", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "url"}}},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p", "optional": true}}}]}),
    ));
    let mut volume = pod("volume", json!({"volumeMounts": [{"name": "v", "mountPath": "/etc/app"}]}));
    volume["spec"]["volumes"] = json!([{"name": "v", "configMap": {"name": "cfg"}}]);
    w.create(volume);
    w.run(20.0);
    assert_eq!(w.waiting("env"), ("CreateContainerConfigError".into(), "configmap \"cfg\" not found".into()));
    assert!(w.told("env", "Failed").contains(&"Error: configmap \"cfg\" not found".to_owned()));
    assert_eq!(w.waiting("volume").0, "ContainerCreating");
    assert_eq!(
        w.told("volume", "FailedMount"),
        ["MountVolume.SetUp failed for volume \"v\" : configmap \"cfg\" not found"]
    );
    w.create(config_map("cfg", json!({"other": "1"})));
    w.run(60.0);
    assert_eq!(w.waiting("env").1, "couldn't find key url in ConfigMap shop/cfg");
    assert_eq!(text(&w.pod("volume"), "status.phase"), "Running");
    w.change("configmaps", "shop", "cfg", |o| set(o, "data.url", "http://db"));
    w.run(60.0);
    let config = w.process("env").unwrap().config;
    assert_eq!(config["URL"], "http://db");
    assert_eq!(config["ConfigMap cfg/url"], "http://db");
    assert_eq!(config["other"], "1");
    assert_eq!(w.process("volume").unwrap().config["ConfigMap cfg/other"], "1");
    assert!(!w.process("volume").unwrap().config.contains_key("ConfigMap cfg/url"), "read at the start");
}

#[test]
fn init_containers_run_in_order_and_sidecars_stay() {
    let mut w = world(vec![], |ran, p| {
        if p.place.container.starts_with("init") && ran >= 2000 {
            p.state = State::Exited(0);
        }
    });
    let mut p = pod("a", json!({}));
    p["spec"]["initContainers"] = json!([
        {"name": "init1", "image": "x:1"}, {"name": "side", "image": "x:1", "restartPolicy": "Always"}, {"name": "init2", "image": "x:1"}]);
    w.create(p);
    w.run(1.0);
    assert_eq!(w.waiting("a").0, "PodInitializing");
    assert_eq!(w.condition("a", "Initialized").2, "containers with incomplete status: [init1 side init2]");
    w.run(40.0);
    let p = w.pod("a");
    assert_eq!(text(&p, "status.phase"), "Running");
    let inits = list(&p, "status.initContainerStatuses");
    let states: Vec<bool> = inits.iter().map(|s| at(s, "state.running").is_some()).collect();
    assert_eq!(states, [false, true, false]);
    assert_eq!(text(&inits[0], "state.terminated.reason"), "Completed");
    assert!(text(&inits[0], "state.terminated.finishedAt") <= text(&inits[1], "state.running.startedAt"));
    assert_eq!(w.condition("a", "Ready").0, "True");
    w.store.delete("pods", "shop", "a", &Delete::default()).unwrap();
    w.run(5.0);
    assert!(w.store.get("pods", "shop", "a").is_none() && w.machines.lock().processes.is_empty());
}

#[test]
fn pods_that_end_are_restarted_by_their_policy() {
    let mut w = world(vec![], |ran, p| {
        if ran >= 3000 {
            p.state = State::Exited(p.annotations["exit"].parse().unwrap());
        }
    });
    for (name, policy, exit) in
        [("done", "Never", "0"), ("broken", "Never", "3"), ("again", "OnFailure", "1"), ("fine", "OnFailure", "0")]
    {
        let mut p = pod(name, json!({}));
        set(&mut p, "metadata.annotations", json!({"exit": exit}));
        set(&mut p, "spec.restartPolicy", policy);
        w.create(p);
    }
    w.run(60.0);
    let phases = ["done", "broken", "again", "fine"].map(|n| text(&w.pod(n), "status.phase").to_owned());
    assert_eq!(phases, ["Succeeded", "Failed", "Running", "Succeeded"]);
    assert!(int(&w.status("again"), "restartCount").unwrap() >= 2);
    assert_eq!(int(&w.status("broken"), "state.terminated.exitCode"), Some(3));
    assert_eq!(w.condition("done", "Ready").1, "PodCompleted");
    assert_eq!(w.condition("broken", "Ready").1, "PodFailed");
    assert!(w.process("done").is_none());
}
