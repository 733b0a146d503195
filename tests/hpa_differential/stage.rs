//! The rig's cluster: the namespace, the Deployments, their pods and autoscalers.
//!
//! No scheduler is named in the pods, so that they come and go by the ReplicaSet controller, but are in the state that
//! the test writes, since when it says.

use crate::PATIENCE;
use crate::server::{GROUP, Metrics};
use crate::traces::{Dress, Trace};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::StreamExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher;
use kube::{Client, Config};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Events are told sooner after what they tell of.
const SOON: Duration = Duration::from_secs(5);

/// After this, other watches have told what the one of the test has told.
const OTHERS: Duration = Duration::from_millis(200);

/// Objects of a kind as they are now, by name.
type Known = watch::Receiver<BTreeMap<String, Value>>;

/// Where the traces are played.
pub struct Stage {
    client: Client,
    /// Its namespace.
    pub namespace: String,
    pods: Known,
    deployments: Known,
    autoscalers: Known,
    events: Known,
}

/// Seconds of `--horizontal-pod-autoscaler-downscale-stabilization`, as the rig's controller was started with.
pub fn stabilization() -> i64 {
    let flags = std::env::var("KANSOLE_RIG_CONTROLLER_FLAGS").unwrap_or_default();
    let flag = "--horizontal-pod-autoscaler-downscale-stabilization=";
    let value = flags.split_whitespace().find_map(|f| f.strip_prefix(flag)?.strip_suffix('s')?.parse().ok());
    value.expect("run tests/hpa_differential.sh")
}

fn kind(version: &str, kind: &str, plural: &str) -> ApiResource {
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// Follows a kind.
fn follow(client: &Client, namespace: &str, kind: &ApiResource) -> Known {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, kind);
    let (sender, receiver) = watch::channel(BTreeMap::new());
    tokio::spawn(async move {
        let mut events = pin!(watcher(api, watcher::Config::default()));
        while let Some(event) = events.next().await {
            let value = |o: &DynamicObject| serde_json::to_value(o).expect("it was JSON");
            let name = |o: &DynamicObject| o.metadata.name.clone().unwrap_or_default();
            // An error is followed by another attempt of the watcher.
            match event {
                Ok(watcher::Event::Apply(o) | watcher::Event::InitApply(o)) => {
                    sender.send_modify(|all| drop(all.insert(name(&o), value(&o))));
                }
                Ok(watcher::Event::Delete(o)) => sender.send_modify(|all| drop(all.remove(&name(&o)))),
                Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => {}
            }
        }
    });
    receiver
}

fn of_app(all: &BTreeMap<String, Value>, app: &str) -> Vec<Value> {
    all.values().filter(|p| p["metadata"]["labels"]["app"] == app).cloned().collect()
}

/// It counts for the ReplicaSet.
fn active(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null() && pod["status"]["phase"] != "Failed"
}

/// The patch that makes a pod's status so.
fn status(dress: Dress) -> Value {
    let ago = |s: i64| (Utc::now() - TimeDelta::seconds(s)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let (ready, started, since) = match dress {
        Dress::Ready => ("True", 3600, 3500),
        Dress::Is { ready, started, since } => (if ready { "True" } else { "False" }, started, since),
        Dress::Pending | Dress::Deleting => return json!({"phase": "Pending"}),
        Dress::Failed => return json!({"phase": "Failed"}),
        Dress::Unknown => return json!({"phase": "Running", "startTime": ago(3600), "conditions": []}),
    };
    let condition = json!({"type": "Ready", "status": ready, "lastTransitionTime": ago(since)});
    json!({"phase": "Running", "startTime": ago(started), "conditions": [condition]})
}

impl Stage {
    /// Prepares the cluster: the namespace, and the metrics API behind the API server.
    pub async fn set() -> (Self, Metrics) {
        // Fails only if it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config::infer().await.expect("run tests/hpa_differential.sh");
        let client = Client::try_from(config).expect("a client");
        let metrics = Metrics::default();
        let port = metrics.serve().await;
        let namespace = format!("hpa-{}", Utc::now().timestamp());
        let follow = |k: ApiResource| follow(&client, &namespace, &k);
        let stage = Self {
            pods: follow(kind("v1", "Pod", "pods")),
            deployments: follow(kind("apps/v1", "Deployment", "deployments")),
            autoscalers: follow(kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")),
            events: follow(kind("v1", "Event", "events")),
            client: client.clone(),
            namespace: namespace.clone(),
        };
        stage.post("/api/v1/namespaces", json!({"metadata": {"name": namespace}})).await;
        let service =
            json!({"metadata": {"name": "metrics"}, "spec": {"type": "ExternalName", "externalName": "localhost"}});
        stage.post(&format!("/api/v1/namespaces/{namespace}/services"), service).await;
        let api = json!({"metadata": {"name": "v1beta1.metrics.k8s.io"}, "spec": {
            "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"name": "metrics", "namespace": namespace, "port": port},
        }});
        stage.delete(API_SERVICE).await;
        stage.post("/apis/apiregistration.k8s.io/v1/apiservices", api).await;
        stage.until_served().await;
        (stage, metrics)
    }

    async fn until_served(&self) {
        let all: Api<DynamicObject> =
            Api::all_with(self.client.clone(), &kind("apiregistration.k8s.io/v1", "APIService", "apiservices"));
        let mut seen = pin!(watcher::watch_object(all, "v1beta1.metrics.k8s.io"));
        let available = async {
            while let Some(object) = seen.next().await {
                let conditions = object.ok().flatten().map(|o| o.data["status"]["conditions"].clone());
                let all = conditions.and_then(|c| c.as_array().cloned()).unwrap_or_default();
                if all.iter().any(|c| c["type"] == "Available" && c["status"] == "True") {
                    return;
                }
            }
        };
        timeout(PATIENCE, available).await.expect("the API server reaches the test's metrics API");
        let (code, answer) = self.send("GET", GROUP, Value::Null).await;
        assert_eq!(code, 200, "{answer}");
    }

    /// Takes down what is not in the namespace, and the namespace.
    pub async fn strike(&self) {
        self.delete(API_SERVICE).await;
        self.delete(&format!("/api/v1/namespaces/{}", self.namespace)).await;
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.body(kube::client::Body::from(bytes)).expect("a well-formed request");
        let answer = self.client.send(request).await.expect("the API server answers");
        let code = answer.status().as_u16();
        let bytes = http_body_util::BodyExt::collect(answer.into_body()).await.expect("a whole body").to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (code, answer) = self.send("POST", path, body).await;
        assert_eq!(code, 201, "{path}: {answer}");
        answer
    }

    async fn delete(&self, path: &str) {
        let (code, answer) = self.send("DELETE", path, Value::Null).await;
        assert!(matches!(code, 200 | 202 | 404), "{path}: {answer}");
    }

    fn path(&self, group: &str, plural: &str, name: &str) -> String {
        format!("/apis/{group}/namespaces/{}/{plural}/{name}", self.namespace).trim_end_matches('/').to_owned()
    }

    /// Makes or scales a trace's Deployment.
    pub async fn deploy(&self, trace: &Trace, replicas: i64) {
        let (name, path) = (trace.name, self.path("apps/v1", "deployments", ""));
        let labels = json!({"app": name});
        let template = json!({"metadata": {"labels": labels}, "spec": {
            "schedulerName": "the-test", "terminationGracePeriodSeconds": 0, "containers": trace.containers,
        }});
        let spec = json!({"replicas": replicas, "selector": {"matchLabels": labels}, "template": template});
        let (code, answer) = self.send("POST", &path, json!({"metadata": {"name": name}, "spec": spec})).await;
        if code == 409 {
            let scale = json!({"spec": {"replicas": replicas}});
            let (code, answer) = self.send("PATCH", &format!("{path}/{name}"), scale).await;
            assert_eq!(code, 200, "{answer}");
        } else {
            assert_eq!(code, 201, "{answer}");
        }
    }

    /// Makes a trace's autoscaler; gives it back as the API server defaults it.
    pub async fn create(&self, trace: &Trace, name: &str) -> Value {
        let mut spec = trace.spec.clone();
        spec["scaleTargetRef"] = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": trace.name});
        let object = json!({"metadata": {"name": name}, "spec": spec});
        self.post(&self.path("autoscaling/v2", "horizontalpodautoscalers", ""), object).await
    }

    /// The autoscaler.
    pub async fn autoscaler(&self, name: &str) -> Value {
        self.send("GET", &self.path("autoscaling/v2", "horizontalpodautoscalers", name), Value::Null).await.1
    }

    /// What the target is scaled to; `None` if there is no target.
    pub async fn scale(&self, name: &str) -> Option<i64> {
        let path = self.path("apps/v1", "deployments", &format!("{name}/scale"));
        let (code, answer) = self.send("GET", &path, Value::Null).await;
        // Zero is not written.
        (code == 200).then(|| answer["spec"]["replicas"].as_i64().unwrap_or(0))
    }

    /// Removes the autoscaler, and what keeps its pods from going.
    pub async fn remove(&self, name: &str) {
        self.delete(&self.path("autoscaling/v2", "horizontalpodautoscalers", name)).await;
        let pods = of_app(&self.pods.borrow(), name);
        for pod in pods {
            if !pod["metadata"]["finalizers"].is_null() {
                self.patch_pod(&pod, json!({"metadata": {"finalizers": null}}), "").await;
            }
        }
    }

    async fn patch_pod(&self, pod: &Value, patch: Value, subresource: &str) {
        let pods: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &kind("v1", "Pod", "pods"));
        let (name, params) = (pod["metadata"]["name"].as_str().unwrap_or_default(), PatchParams::default());
        let done = match subresource {
            "" => pods.patch(name, &params, &Patch::Merge(patch)).await,
            _ => pods.patch_subresource(subresource, name, &params, &Patch::Merge(patch)).await,
        };
        done.unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    async fn until(&self, known: &Known, what: &str, done: impl FnMut(&BTreeMap<String, Value>) -> bool) {
        let mut known = known.clone();
        let found = timeout(PATIENCE, known.wait_for(done)).await.is_ok_and(|seen| seen.is_ok());
        assert!(found, "waited for {what}; there is {:#?}", known.borrow().values());
    }

    /// Waits until a target is scaled to a number.
    pub async fn until_scaled(&self, name: &str, replicas: i64) {
        let scaled = |all: &BTreeMap<String, Value>| all.get(name).is_some_and(|d| d["spec"]["replicas"] == replicas);
        self.until(&self.deployments, &format!("{name} to be scaled to {replicas}"), scaled).await;
    }

    /// Waits until the autoscaler tells a reason.
    pub async fn until_told(&self, name: &str, reason: &str) {
        let told = |all: &BTreeMap<String, Value>| {
            let conditions = all.get(name).and_then(|h| h["status"]["conditions"].as_array());
            conditions.is_some_and(|all| all.iter().any(|c| c["reason"] == reason))
        };
        self.until(&self.autoscalers, &format!("{name} to tell {reason}"), told).await;
    }

    /// Waits until as many rescalings are told by events as are expected, which they must be; what differs.
    pub async fn events(&self, name: &str, expected: &[String]) -> Result<(), String> {
        let told = |all: &BTreeMap<String, Value>| -> Vec<String> {
            let own =
                all.values().filter(|e| e["involvedObject"]["name"] == name && e["reason"] == "SuccessfulRescale");
            let mut told: Vec<String> = own
                .flat_map(|e| {
                    let times = e["count"].as_u64().unwrap_or(1) as usize;
                    std::iter::repeat_n(e["message"].as_str().unwrap_or_default().to_owned(), times)
                })
                .collect();
            told.sort();
            told
        };
        self.until(&self.events, &format!("{} events about {name}", expected.len()), |all| {
            told(all).len() >= expected.len()
        })
        .await;
        let mut expected = expected.to_vec();
        expected.sort();
        let told = told(&self.events.borrow());
        if told == expected { Ok(()) } else { Err(format!("{name}: events {told:?}, simulated {expected:?}")) }
    }

    /// Whether an event tells, or soon tells, that so many statuses of the autoscaler were refused.
    pub async fn refused(&self, name: &str, times: u64) -> bool {
        let told = |all: &BTreeMap<String, Value>| {
            let of = |e: &&Value| e["involvedObject"]["name"] == name && e["reason"] == "FailedUpdateStatus";
            all.values().filter(of).map(|e| e["count"].as_u64().unwrap_or(1)).sum::<u64>() >= times
        };
        timeout(SOON, self.events.clone().wait_for(told)).await.is_ok_and(|seen| seen.is_ok())
    }

    /// Brings the pods of an app into the state that is wanted of the first ones by name, the others ready; waits until
    /// there are `replicas` active ones. Gives back all, by name.
    pub async fn dress(&self, app: &str, replicas: i64, dress: &[Dress]) -> Vec<Value> {
        let whole =
            |all: &BTreeMap<String, Value>| of_app(all, app).iter().filter(|p| active(p)).count() as i64 == replicas;
        self.until(&self.pods, &format!("{replicas} pods of {app}"), whole).await;
        let mut dressed = BTreeMap::new();
        // Those that are taken out of the count are replaced: twice suffices, and the end is checked.
        for round in 0..2 {
            let pods = of_app(&self.pods.borrow(), app);
            for (i, pod) in pods.iter().filter(|p| active(p)).enumerate() {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                let wanted = if round == 0 { dress.get(i).copied().unwrap_or(Dress::Ready) } else { Dress::Ready };
                let as_ever = wanted == Dress::Ready && is(pod, Dress::Ready) && old(pod);
                if dressed.contains_key(&name) || as_ever {
                    continue;
                }
                if wanted == Dress::Deleting {
                    self.patch_pod(pod, json!({"metadata": {"finalizers": ["example.com/kept"]}}), "").await;
                    self.delete(&format!("/api/v1/namespaces/{}/pods/{name}", self.namespace)).await;
                } else {
                    self.patch_pod(pod, json!({"status": status(wanted)}), "status").await;
                }
                dressed.insert(name, wanted);
            }
            self.until(&self.pods, &format!("{replicas} pods of {app} in their state"), |all| {
                whole(all) && dressed.iter().all(|(name, wanted)| all.get(name).is_none_or(|p| is(p, *wanted)))
            })
            .await;
        }
        if !dressed.is_empty() {
            // The controller has a watch of its own, which tells nobody how far it is.
            sleep(OTHERS).await;
        }
        of_app(&self.pods.borrow(), app)
    }
}

/// Started longer ago than any youth lasts.
fn old(pod: &Value) -> bool {
    let started = pod["status"]["startTime"].as_str().and_then(|t| DateTime::parse_from_rfc3339(t).ok());
    started.is_some_and(|t| Utc::now() - t.to_utc() > TimeDelta::seconds(3000))
}

/// Whether a pod is in a state.
fn is(pod: &Value, dress: Dress) -> bool {
    let (phase, ready) = (&pod["status"]["phase"], &pod["status"]["conditions"][0]["status"]);
    match dress {
        Dress::Ready => phase == "Running" && ready == "True",
        Dress::Is { ready: wanted, .. } => phase == "Running" && ready == if wanted { "True" } else { "False" },
        Dress::Unknown => phase == "Running" && ready.is_null(),
        Dress::Pending => phase == "Pending",
        Dress::Failed => phase == "Failed",
        Dress::Deleting => !pod["metadata"]["deletionTimestamp"].is_null(),
    }
}

const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io";
