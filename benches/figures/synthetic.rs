//! A synthetic cluster as the API server would send it: pods of about 5 kB with managedFields, environment
//! and probes, ten to a Deployment with its ReplicaSet. Nothing is random, so every run sees the same cluster.

use serde_json::{Value, json};

/// Pods of one workload.
const REPLICAS: usize = 10;
/// Every so many workloads one is killed at its memory limit, so that engines have something to find.
const SICK_EVERY: usize = 100;
/// When everything was made.
const MADE: &str = "2026-11-20T08:00:00Z";

/// JSON with the places that differ between objects marked, so that making one costs next to nothing.
struct Form(Vec<String>);

impl Form {
    /// Places are written `@NAME@`; even parts are text, odd ones are names.
    fn new(json: &Value) -> Self {
        // These are no words in the real thing.
        let text = ["READY", "READYPODS"]
            .iter()
            .fold(json.to_string(), |t, p| t.replace(&format!("\"@{p}@\""), &format!("@{p}@")));
        Self(text.split('@').map(str::to_owned).collect())
    }

    fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let mut out = String::with_capacity(6 * 1024);
        for (i, part) in self.0.iter().enumerate() {
            if i % 2 == 0 { out.push_str(part) } else { out.push_str(&value(part)) }
        }
        out
    }
}

/// A cluster of so many pods.
pub struct Cluster {
    /// How many pods.
    pub pods: usize,
    pod: Form,
    sick_pod: Form,
    deployment: Form,
    replica_set: Form,
    node: Form,
    namespace: Form,
}

impl Cluster {
    /// Prepares a cluster of so many pods.
    pub fn new(pods: usize) -> Self {
        Self {
            pods,
            pod: Form::new(&pod(false)),
            sick_pod: Form::new(&pod(true)),
            deployment: Form::new(&deployment()),
            replica_set: Form::new(&replica_set()),
            node: Form::new(&node()),
            namespace: Form::new(&json!({"apiVersion": "v1", "kind": "Namespace", "status": {"phase": "Active"},
                "metadata": {"name": "@NAME@", "uid": "@UID@", "resourceVersion": "1", "creationTimestamp": MADE}})),
        }
    }

    /// How many workloads.
    pub fn workloads(&self) -> usize {
        self.pods.div_ceil(REPLICAS)
    }

    /// How many nodes.
    pub fn nodes(&self) -> usize {
        self.pods.div_ceil(100).clamp(1, 2000)
    }

    /// Objects of a plural, each as JSON; of `kube-system` too, which gives the cluster its identity.
    pub fn list(&self, plural: &str) -> Box<dyn Iterator<Item = String> + Send + '_> {
        match plural {
            "pods" => Box::new((0..self.pods).map(|i| self.pod(i, 0))),
            "deployments" => Box::new((0..self.workloads()).map(|w| Self::workload(&self.deployment, w, 0xd))),
            "replicasets" => Box::new((0..self.workloads()).map(|w| Self::workload(&self.replica_set, w, 0xe))),
            "nodes" => Box::new((0..self.nodes()).map(|n| self.node(n))),
            "namespaces" => Box::new((0..=40).map(|n| self.namespace(if n == 40 { None } else { Some(n) }))),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Pod `i` after so many changes. One in fifty becomes unready with every other change, just now: too short
    /// for a finding, but its row looks different.
    pub fn pod(&self, i: usize, changes: u64) -> String {
        let w = i / REPLICAS;
        let ready = changes.is_multiple_of(2) || !i.is_multiple_of(50);
        let form = if w % SICK_EVERY == SICK_EVERY - 1 { &self.sick_pod } else { &self.pod };
        form.fill(|place| match place {
            "POD" => format!("{}-{:05x}", rs_name(w), i * 7919 % 0xf_ffff),
            "UID" => uid(0xa, i),
            "VERSION" => (100_000 + i as u64 + changes * 1_000_000).to_string(),
            "NODE" => format!("node-{:04}.eu-central.example", i % self.nodes()),
            "IP" => format!("10.{}.{}.{}", i >> 16 & 255, i >> 8 & 255, i & 255),
            "READY" => ready.to_string(),
            "READYWORD" => if ready { "True" } else { "False" }.to_owned(),
            "SINCE" => {
                if changes == 0 {
                    MADE.to_owned()
                } else {
                    now()
                }
            }
            other => of_workload(other, w),
        })
    }

    /// The live Deployment of workload `w`.
    pub fn deployment(&self, w: usize) -> String {
        Self::workload(&self.deployment, w, 0xd)
    }

    fn workload(form: &Form, w: usize, kind: u8) -> String {
        form.fill(|place| match place {
            "UID" => uid(kind, w),
            "READYPODS" => if w % SICK_EVERY == SICK_EVERY - 1 { 0 } else { REPLICAS }.to_string(),
            other => of_workload(other, w),
        })
    }

    fn node(&self, n: usize) -> String {
        self.node.fill(|place| match place {
            "NAME" => format!("node-{n:04}.eu-central.example"),
            "UID" => uid(0xb, n),
            _ => format!("eu-central-1{}", ['a', 'b', 'c'][n % 3]),
        })
    }

    /// Namespace number `n`; `None` is `kube-system`.
    pub fn namespace(&self, n: Option<usize>) -> String {
        self.namespace.fill(|place| match place {
            "NAME" => n.map_or_else(|| "kube-system".to_owned(), namespace),
            _ => uid(0xc, n.map_or(0, |n| n + 1)),
        })
    }
}

fn of_workload(place: &str, w: usize) -> String {
    match place {
        "NS" => namespace(w % 40),
        "APP" => app(w),
        "RS" => rs_name(w),
        "RSUID" => uid(0xe, w),
        "DEPUID" => uid(0xd, w),
        other => panic!("no value for {other}"),
    }
}

fn namespace(n: usize) -> String {
    format!("team-{n:02}-{}", ["shop", "payments", "search", "data"][n % 4])
}

fn app(w: usize) -> String {
    format!("{}-{w:04}", ["checkout", "cart", "ledger", "recommendation", "frontend"][w % 5])
}

fn rs_name(w: usize) -> String {
    format!("{}-{:010x}", app(w), w * 0x9e37_79b1 % 0xff_ffff_ffff)
}

fn uid(kind: u8, n: usize) -> String {
    format!("{kind:08x}-5f1c-4b7e-9a3d-{n:012x}")
}

fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn template() -> Value {
    let env: Vec<Value> =
        ["DATABASE_URL", "CACHE_ADDR", "LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT", "REGION", "FEATURE_FLAGS"]
            .iter()
            .map(
                |name| json!({"name": name, "value": format!("value-of-{}-as-somebody-wrote-it", name.to_lowercase())}),
            )
            .chain([
                json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}),
                json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "@APP@-secrets", "key": "token"}}}),
                json!({"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "@APP@-config", "key": "mode"}}}),
            ])
            .collect();
    let probe = |path: &str| {
        json!({"httpGet": {"path": path, "port": 8080, "scheme": "HTTP"}, "initialDelaySeconds": 5,
        "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3})
    };
    let mounts = json!([{"name": "config", "mountPath": "/etc/app", "readOnly": true},
        {"name": "kube-api-access", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
    json!({"metadata": {"labels": {"app.kubernetes.io/name": "@APP@", "app.kubernetes.io/part-of": "@NS@"}}, "spec": {
        "containers": [
            {"name": "app", "image": "registry.example/@NS@/@APP@:1.27.3", "env": env, "volumeMounts": mounts,
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
                "livenessProbe": probe("/healthz"), "readinessProbe": probe("/ready"),
                "terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"},
            {"name": "proxy", "image": "registry.example/mesh/proxy:1.30.1", "volumeMounts": mounts,
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                "readinessProbe": probe("/proxy/ready"), "securityContext": {"runAsNonRoot": true}}],
        "volumes": [{"name": "config", "configMap": {"name": "@APP@-config", "defaultMode": 420}},
            {"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}],
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "@APP@", "schedulerName": "default-scheduler",
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]}})
}

/// What `managedFields` looks like for a manager and the paths it owns.
fn managed(manager: &str, paths: &[&str]) -> Value {
    let owned: serde_json::Map<String, Value> =
        paths.iter().map(|p| (format!("f:{p}"), json!({".": {}, "f:value": {}, "f:lastTransitionTime": {}}))).collect();
    json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "time": MADE, "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/name": {}}}, "f:spec": owned}})
}

fn pod(sick: bool) -> Value {
    let mut pod = template();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    let labels = pod["metadata"]["labels"].take();
    pod["metadata"] = json!({"name": "@POD@", "generateName": "@RS@-", "namespace": "@NS@", "uid": "@UID@",
        "resourceVersion": "@VERSION@", "creationTimestamp": MADE, "labels": labels,
        "annotations": {"prometheus.io/scrape": "true", "kubectl.kubernetes.io/restartedAt": MADE},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "@RS@", "uid": "@RSUID@",
            "controller": true, "blockOwnerDeletion": true}],
        "managedFields": [
            managed("kube-controller-manager", &["containers", "dnsPolicy", "enableServiceLinks", "restartPolicy",
                "schedulerName", "securityContext", "terminationGracePeriodSeconds", "volumes", "tolerations"]),
            managed("kubelet", &["conditions", "containerStatuses", "hostIP", "phase", "podIP", "podIPs", "startTime"])]});
    pod["spec"]["nodeName"] = "@NODE@".into();
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": MADE});
    let word = if sick { "False" } else { "@READYWORD@" };
    let healthy = |name: &str| {
        json!({"name": name, "restartCount": 0, "started": true, "ready": "@READY@",
        "image": format!("registry.example/{name}:1.27.3"), "containerID": "containerd://5f1c4b7e9a3d5f1c4b7e9a3d5f1c4b7e",
        "state": {"running": {"startedAt": MADE}}, "lastState": {}})
    };
    let mut app = healthy("app");
    if sick {
        let now = now();
        app["ready"] = false.into();
        app["restartCount"] = 6.into();
        app["state"] =
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 2m40s restarting failed container"}});
        app["lastState"] =
            json!({"terminated": {"reason": "OOMKilled", "exitCode": 137, "startedAt": now, "finishedAt": now}});
    }
    pod["status"] = json!({"phase": "Running", "hostIP": "192.168.7.9", "podIP": "@IP@", "podIPs": [{"ip": "@IP@"}],
        "startTime": MADE, "qosClass": "Burstable", "containerStatuses": [app, healthy("proxy")],
        "conditions": [condition("PodReadyToStartContainers", "True"), condition("Initialized", "True"),
            condition("Ready", word), condition("ContainersReady", word), condition("PodScheduled", "True")]});
    if !sick {
        for turning in [2, 3] {
            pod["status"]["conditions"][turning]["lastTransitionTime"] = "@SINCE@".into();
        }
    }
    pod
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "@APP@", "namespace": "@NS@", "uid": "@UID@", "resourceVersion": "900", "generation": 3,
            "creationTimestamp": MADE, "annotations": {"deployment.kubernetes.io/revision": "1"},
            "managedFields": [managed("kubectl", &["replicas", "selector", "strategy", "template"])]},
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": {"app.kubernetes.io/name": "@APP@"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, "template": template()},
        "status": {"observedGeneration": 3, "replicas": REPLICAS, "updatedReplicas": REPLICAS, "readyReplicas": "@READYPODS@",
            "availableReplicas": "@READYPODS@"}})
}

fn replica_set() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "@RS@", "namespace": "@NS@", "uid": "@UID@", "resourceVersion": "901", "generation": 1,
            "creationTimestamp": MADE, "annotations": {"deployment.kubernetes.io/revision": "1"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "@APP@", "uid": "@DEPUID@", "controller": true}]},
        "spec": {"replicas": REPLICAS, "template": template()},
        "status": {"replicas": REPLICAS, "readyReplicas": "@READYPODS@", "availableReplicas": "@READYPODS@"}})
}

fn node() -> Value {
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "@NAME@", "uid": "@UID@", "resourceVersion": "5", "creationTimestamp": MADE,
            "labels": {"topology.kubernetes.io/zone": "@ZONE@", "kubernetes.io/hostname": "@NAME@"}}, "spec": {},
        "status": {"allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"}, "nodeInfo": {"kubeletVersion": "v1.36.0"},
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": MADE}]}})
}
