//! A scripted API server for everyday tests: it serves given objects over the real wire protocol (lists,
//! watches, gets, server-side dry-runs, access reviews) and counts what would have been written. It has no
//! controllers: what happens after a write is the business of the tests on the real control plane.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

/// The server and what it was given.
pub struct Scripted {
    _server: MockServer,
    /// Kubeconfig, configuration and state of this test.
    pub dir: tempfile::TempDir,
    writes: Arc<AtomicUsize>,
}

#[allow(dead_code, reason = "each test target uses its part")]
impl Scripted {
    /// Serves these objects; each needs apiVersion, kind and metadata.
    pub async fn start(objects: Vec<Value>) -> Self {
        let server = MockServer::start().await;
        let writes = Arc::new(AtomicUsize::new(0));
        let (world, counter) = (Arc::new(Mutex::new(objects)), writes.clone());
        Mock::given(any())
            .respond_with(move |r: &Request| answer(r, &world.lock().unwrap(), &counter))
            .mount(&server)
            .await;
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "shop",
            "clusters": [{"name": "c", "cluster": {"server": server.uri()}}],
            "users": [{"name": "ops", "user": {"token": "t"}}],
            "contexts": [{"name": "shop", "context": {"cluster": "c", "user": "ops"}}],
        });
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        let state = dir.path().join("state");
        std::fs::write(
            dir.path().join("config.toml"),
            format!("[connection]\nprometheus = \"none\"\nstate_dir = {:?}\n", state.display().to_string()),
        )
        .unwrap();
        Self { _server: server, dir, writes }
    }

    /// Writes that were not dry-runs.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// A file of this test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs kansole against it, without blocking the server.
    pub async fn kansole(&self, args: &[&str]) -> std::process::Output {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_kansole"))
            .args(args)
            .arg("--kubeconfig")
            .arg(self.path("kubeconfig"))
            .arg("--config")
            .arg(self.path("config.toml"))
            .env("LANG", "C.UTF-8")
            .env_remove("NO_COLOR")
            .output()
            .await
            .unwrap()
    }
}

/// Plural of a kind, as far as tests use them.
fn plural(kind: &str) -> String {
    format!("{}s", kind.to_lowercase())
}

fn path_of(object: &Value) -> (String, String) {
    let version = object["apiVersion"].as_str().unwrap();
    let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let plural = plural(object["kind"].as_str().unwrap());
    let name = object["metadata"]["name"].as_str().unwrap();
    let collection = match object["metadata"]["namespace"].as_str() {
        Some(ns) => format!("{root}/namespaces/{ns}/{plural}"),
        None => format!("{root}/{plural}"),
    };
    (format!("{root}/{plural}"), format!("{collection}/{name}"))
}

fn answer(request: &Request, world: &[Value], writes: &AtomicUsize) -> ResponseTemplate {
    let path = request.url.path();
    let query = |key: &str| request.url.query_pairs().find(|(k, _)| k == key).map(|(_, v)| v.into_owned());
    let ok = |v: Value| ResponseTemplate::new(200).set_body_json(v);
    match request.method.as_str() {
        "GET" if path == "/version" => ok(json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0"})),
        "GET" if path == "/apis" => ok(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})),
        "GET" if path == "/api" => ok(json!({"kind": "APIVersions", "versions": ["v1"]})),
        "GET" if query("sendInitialEvents").is_some() => {
            status(422, "Invalid", "sendInitialEvents is forbidden for watch")
        }
        // A watch that has nothing to say for as long as anybody listens.
        "GET" if query("watch").is_some() => ResponseTemplate::new(200)
            .set_body_raw("", "application/json")
            .set_delay(std::time::Duration::from_secs(600)),
        "GET" => world.iter().find(|o| path_of(o).1 == path).map_or_else(|| list(path, world), |o| ok(o.clone())),
        "POST" if path.contains("selfsubject") => {
            let mut review: Value = request.body_json().unwrap_or_default();
            review["status"] =
                json!({"allowed": true, "resourceRules": [], "nonResourceRules": [], "incomplete": false});
            ResponseTemplate::new(201).set_body_json(review)
        }
        "PATCH" if query("dryRun").as_deref() == Some("All") => match world.iter().find(|o| path_of(o).1 == path) {
            Some(object) => {
                let mut object = object.clone();
                let patch: json_patch::Patch = request.body_json().unwrap();
                match json_patch::patch(&mut object, &patch) {
                    Ok(()) => ok(object),
                    Err(e) => status(422, "Invalid", &e.to_string()),
                }
            }
            None => status(404, "NotFound", "not found"),
        },
        _ => {
            writes.fetch_add(1, Ordering::SeqCst);
            status(403, "Forbidden", "this server takes no writes")
        }
    }
}

fn list(path: &str, world: &[Value]) -> ResponseTemplate {
    // Collections of one namespace and of all.
    let items: Vec<&Value> = world
        .iter()
        .filter(|o| {
            let (all, one) = path_of(o);
            all == path || one.rsplit_once('/').is_some_and(|(collection, _)| collection == path)
        })
        .collect();
    // Collections end in a plural; anything else is one object that is not there.
    if !path.ends_with('s') {
        return status(404, "NotFound", "not found");
    }
    ResponseTemplate::new(200).set_body_json(json!({
        "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1000"}, "items": items,
    }))
}

fn status(code: u16, reason: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(code).set_body_json(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": message,
    }))
}

/// A small shop in which the ledger is killed at its memory limit. `now` is when.
#[allow(dead_code, reason = "each test target uses its part")]
pub fn shop(now: chrono::DateTime<chrono::Utc>) -> Vec<Value> {
    let at = |minutes: i64| (now - chrono::TimeDelta::minutes(minutes)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut world = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "ns-system", "resourceVersion": "1", "creationTimestamp": at(9000)}, "status": {"phase": "Active"}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "ns-shop", "resourceVersion": "1", "labels": {"autonomous-enabled": "true"}, "creationTimestamp": at(9000)}, "status": {"phase": "Active"}}),
    ];
    for n in ["n1", "n2", "n3"] {
        world.push(json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": n, "uid": format!("node-{n}"), "resourceVersion": "1", "creationTimestamp": at(9000), "labels": {"topology.kubernetes.io/zone": "zone-a"}},
            "spec": {}, "status": {"allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"}, "nodeInfo": {"kubeletVersion": "v1.36.0"},
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": at(9000)}]}}));
    }
    for (name, replicas, killed) in
        [("cart", 2, false), ("checkout", 2, false), ("frontend", 3, false), ("ledger", 2, true), ("payment", 2, false)]
    {
        world.extend(deployment(name, replicas, killed, &at));
    }
    world
}

fn deployment(name: &str, replicas: usize, killed: bool, at: &dyn Fn(i64) -> String) -> Vec<Value> {
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": name, "image": format!("registry.example/{name}:1.4.0"),
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}}}]}});
    let ready = if killed { 0 } else { replicas };
    let mut rs_template = template.clone();
    rs_template["metadata"]["labels"]["pod-template-hash"] = "6b457bcfb4".into();
    let rs = format!("{name}-6b457bcfb4");
    let mut out = vec![
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "shop", "uid": format!("d-{name}"), "resourceVersion": "10", "generation": 1, "creationTimestamp": at(4000), "annotations": {"deployment.kubernetes.io/revision": "1"}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, "template": template},
            "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": ready, "availableReplicas": ready}}),
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": rs, "namespace": "shop", "uid": format!("rs-{name}"), "resourceVersion": "10", "generation": 1, "creationTimestamp": at(4000), "annotations": {"deployment.kubernetes.io/revision": "1"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": format!("d-{name}"), "controller": true}]},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": rs_template},
            "status": {"replicas": replicas, "readyReplicas": ready, "availableReplicas": ready}}),
    ];
    for i in 0..replicas {
        let state = if killed {
            json!({"name": name, "image": format!("registry.example/{name}:1.4.0"), "ready": false, "restartCount": 6,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 2m40s restarting failed container"}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "startedAt": at(3), "finishedAt": at(1)}}})
        } else {
            json!({"name": name, "image": format!("registry.example/{name}:1.4.0"), "ready": true, "restartCount": 0, "started": true, "state": {"running": {"startedAt": at(4000)}}})
        };
        let word = if killed { "False" } else { "True" };
        out.push(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("{rs}-x{i}k7d"), "namespace": "shop", "uid": format!("p-{name}-{i}"), "resourceVersion": "20", "creationTimestamp": at(4000), "labels": {"app": name},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": rs, "uid": format!("rs-{name}"), "controller": true}]},
            "spec": {"nodeName": format!("n{}", i % 3 + 1), "containers": template["spec"]["containers"]},
            "status": {"phase": "Running", "containerStatuses": [state], "conditions": [{"type": "Ready", "status": word, "reason": "ContainersNotReady", "lastTransitionTime": at(5)}, {"type": "PodScheduled", "status": "True"}]}}));
    }
    out
}
