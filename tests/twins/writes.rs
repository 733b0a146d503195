//! Bodies, defaults and validation: what a create or update makes of what it is given, or why it refuses.

use crate::case::{Case, case, patch, post, put};
use serde_json::{Value, json};

pub const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/NS/deployments";
pub const MAPS: &str = "/api/v1/namespaces/NS/configmaps";
const PODS: &str = "/api/v1/namespaces/NS/pods";

/// A deployment that runs nothing.
pub fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "nginx:1"}]}}}})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}})
}

/// The same with a value at a JSON pointer (its parent must be there); null takes it away.
pub fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = object.pointer_mut(parent).expect("a parent");
    match (parent, value) {
        (Value::Object(map), Value::Null) => drop(map.shift_remove(key)),
        (Value::Object(map), value) => drop(map.insert(key.to_owned(), value)),
        (Value::Array(items), value) => items.push(value),
        _ => panic!("no container at {pointer}"),
    }
    object
}

/// Bodies that are no object of the kind.
fn bodies() -> Vec<Case> {
    let raw = [
        ("empty", ""),
        ("no JSON", "zzz"),
        ("cut off", "{\"a\":"),
        ("comma at the end", "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\"},}"),
        ("an array", "[]"),
        ("a string", "\"x\""),
        ("nothing in it", "{}"),
        ("no kind", "{\"metadata\":{\"name\":\"x\"}}"),
        (
            "another kind of the group",
            "{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"metadata\":{\"name\":\"x\"}}",
        ),
        ("another kind", "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"}}"),
        ("no such kind", "{\"apiVersion\":\"apps/v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"}}"),
        ("another version", "{\"apiVersion\":\"v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\"}}"),
        ("text after it", "{} {}"),
        ("a bad escape", "{\"a\":\"\\q\"}"),
        ("a number with zeros", "{\"a\":01}"),
        ("no colon", "{\"a\" 1}"),
    ];
    let typed = [
        ("replicas in words", "/spec/replicas", json!("3")),
        ("half a replica", "/spec/replicas", json!(1.5)),
        ("too many replicas", "/spec/replicas", json!(3_000_000_000_i64)),
        ("a number as name", "/metadata/name", json!(5)),
        ("a number as label", "/metadata/labels/n", json!(1)),
        ("a list as specification", "/spec", json!([])),
        ("paused in words", "/spec/paused", json!("yes")),
        ("an object as list", "/spec/template/spec/containers", json!({"name": "x"})),
        ("a number as container's name", "/spec/template/spec/containers", json!([{"name": 3}])),
        ("a string as container", "/spec/template/spec/containers", json!(["x"])),
        (
            "a bad quantity",
            "/spec/template/spec/containers",
            json!([{"name": "c", "image": "i", "resources": {"requests": {"cpu": "abc"}}}]),
        ),
        ("a bad time", "/metadata/creationTimestamp", json!("yesterday")),
        ("a list as annotations", "/metadata/annotations", json!(["a"])),
        ("a boolean as policy", "/spec/template/spec/restartPolicy", json!(true)),
        ("an object as share", "/spec/strategy", json!({"rollingUpdate": {"maxSurge": {"a": 1}}})),
    ];
    let raw =
        raw.into_iter().map(|(name, body)| case(format!("body: {name}"), [post(DEPLOYMENTS, &Value::Null).raw(body)]));
    let typed = typed.into_iter().map(|(name, pointer, value)| {
        case(
            format!("type: {name}"),
            [post(format!("{DEPLOYMENTS}?dryRun=All"), &with(deployment("typed"), pointer, value))],
        )
    });
    raw.chain(typed).collect()
}

/// Fields that the kind does not know, or that come twice.
fn unknown() -> Vec<Case> {
    let odd = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"odd","lables":{"a":"b"}},"data":{"a":"1"},"foo":1,"foo":2,"immutable":false,"immutable":false}"#;
    ["Ignore", "Warn", "Strict"]
        .into_iter()
        .map(|v| case(format!("fieldValidation={v}"), [post(format!("{MAPS}?dryRun=All&fieldValidation={v}"), &Value::Null).raw(odd)]))
        .chain([
            case("unknown fields in containers", [post(format!("{DEPLOYMENTS}?dryRun=All&fieldValidation=Strict"),
                &with(deployment("odd"), "/spec/template/spec/containers", json!([{"name": "a", "image": "b", "imagePullPolice": "Always", "env": [{"name": "A", "valeu": "1"}]}])))]),
            case("unknown fields in a merge patch", [
                post(MAPS, &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "odd-patched"}})).quiet(),
                patch("merge-patch+json", format!("{MAPS}/odd-patched?fieldValidation=Strict"), &json!({"dada": {"a": "1"}})).only(["/code", "/reason", "/details/causes/0/field"]),
                patch("strategic-merge-patch+json", format!("{MAPS}/odd-patched?fieldValidation=Strict"), &json!({"dada": {"a": "1"}})).only(["/code", "/reason", "/details/causes/0/field"]),
                patch("json-patch+json", format!("{MAPS}/odd-patched?fieldValidation=Strict"), &json!([{"op": "add", "path": "/dada", "value": {}}])).only(["/code", "/reason", "/details/causes/0/field"]),
            ]),
        ])
        .collect()
}

/// One minimal object of each kind: everything the server fills in.
fn defaults() -> Vec<Case> {
    let template = json!({"metadata": {"labels": {"app": "d"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "nginx:1"}]}});
    let always = with(template.clone(), "/spec/restartPolicy", Value::Null);
    let selector = json!({"matchLabels": {"app": "d"}});
    let n = "namespaces/NS";
    let all: Vec<(&str, String, Value)> = vec![
        (
            "Deployment",
            format!("/apis/apps/v1/{n}/deployments"),
            json!({"spec": {"selector": selector, "template": always}}),
        ),
        (
            "Recreate",
            format!("/apis/apps/v1/{n}/deployments"),
            json!({"spec": {"replicas": 2, "strategy": {"type": "Recreate"}, "selector": selector, "template": always}}),
        ),
        (
            "ReplicaSet",
            format!("/apis/apps/v1/{n}/replicasets"),
            json!({"spec": {"selector": selector, "template": always}}),
        ),
        (
            "StatefulSet",
            format!("/apis/apps/v1/{n}/statefulsets"),
            json!({"spec": {"serviceName": "d", "selector": selector, "template": always,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}}]}}),
        ),
        (
            "DaemonSet",
            format!("/apis/apps/v1/{n}/daemonsets"),
            json!({"spec": {"selector": selector, "template": always}}),
        ),
        ("Job", format!("/apis/batch/v1/{n}/jobs"), json!({"spec": {"template": template}})),
        (
            "CronJob",
            format!("/apis/batch/v1/{n}/cronjobs"),
            json!({"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": template}}}}),
        ),
        (
            "HorizontalPodAutoscaler",
            format!("/apis/autoscaling/v2/{n}/horizontalpodautoscalers"),
            json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}}),
        ),
        (
            "HorizontalPodAutoscaler with behavior",
            format!("/apis/autoscaling/v2/{n}/horizontalpodautoscalers"),
            json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"},
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}}),
        ),
        (
            "PodDisruptionBudget",
            format!("/apis/policy/v1/{n}/poddisruptionbudgets"),
            json!({"spec": {"minAvailable": 1, "selector": selector}}),
        ),
        (
            "Service",
            format!("/api/v1/{n}/services"),
            json!({"spec": {"selector": {"app": "d"}, "ports": [{"port": 80}]}}),
        ),
        (
            "NodePort",
            format!("/api/v1/{n}/services"),
            json!({"spec": {"type": "NodePort", "selector": {"app": "d"}, "ports": [{"port": 80, "targetPort": "http"}]}}),
        ),
        (
            "headless Service",
            format!("/api/v1/{n}/services"),
            json!({"spec": {"clusterIP": "None", "selector": {"app": "d"}, "ports": [{"port": 80}]}}),
        ),
        (
            "ExternalName",
            format!("/api/v1/{n}/services"),
            json!({"spec": {"type": "ExternalName", "externalName": "example.com"}}),
        ),
        ("ConfigMap", format!("/api/v1/{n}/configmaps"), json!({"data": {"a": "1", "empty": ""}})),
        (
            "Secret",
            format!("/api/v1/{n}/secrets"),
            json!({"stringData": {"password": "hidden?"}, "data": {"a": "YQ=="}}),
        ),
        ("ServiceAccount", format!("/api/v1/{n}/serviceaccounts"), json!({})),
        (
            "Lease",
            format!("/apis/coordination.k8s.io/v1/{n}/leases"),
            json!({"spec": {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}}),
        ),
        (
            "NetworkPolicy",
            format!("/apis/networking.k8s.io/v1/{n}/networkpolicies"),
            json!({"spec": {"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}}),
        ),
        (
            "Ingress",
            format!("/apis/networking.k8s.io/v1/{n}/ingresses"),
            json!({"spec": {"rules": [{"host": "a.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "d", "port": {"number": 80}}}}]}}]}}),
        ),
        (
            "Role",
            format!("/apis/rbac.authorization.k8s.io/v1/{n}/roles"),
            json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        ),
        (
            "RoleBinding",
            format!("/apis/rbac.authorization.k8s.io/v1/{n}/rolebindings"),
            json!({"roleRef": {"kind": "Role", "name": "d"}, "subjects": [{"kind": "User", "name": "me"}, {"kind": "ServiceAccount", "name": "d", "namespace": "d"}]}),
        ),
        (
            "PersistentVolumeClaim",
            format!("/api/v1/{n}/persistentvolumeclaims"),
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1.5Gi"}}}}),
        ),
        (
            "Endpoints",
            format!("/api/v1/{n}/endpoints"),
            json!({"subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}]}),
        ),
        (
            "EndpointSlice",
            format!("/apis/discovery.k8s.io/v1/{n}/endpointslices"),
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"]}], "ports": [{"port": 80}]}),
        ),
        ("PriorityClass", "/apis/scheduling.k8s.io/v1/priorityclasses".into(), json!({"value": 5})),
        ("StorageClass", "/apis/storage.k8s.io/v1/storageclasses".into(), json!({"provisioner": "example.com/none"})),
        ("Namespace", "/api/v1/namespaces".into(), json!({})),
    ];
    let made = all.into_iter().map(|(name, path, mut body)| {
        body["metadata"] = json!({"name": "d"});
        case(format!("defaults of {name}"), [post(format!("{path}?dryRun=All"), &body)])
    });
    let rich = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "d"}, "spec": {
        "initContainers": [{"name": "first", "image": "busybox:latest", "args": []}],
        "containers": [{"name": "main", "image": "registry:5000/nginx@sha256:0123456789012345678901234567890123456789012345678901234567890123",
            "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"cpu": "0.25"}},
            "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}, {"name": "EMPTY"}],
            "readinessProbe": {"httpGet": {"port": 80}}, "livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 5},
            "lifecycle": {"preStop": {"httpGet": {"port": "web"}}}, "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}]}],
        "volumes": [{"name": "config", "configMap": {"name": "d"}}, {"name": "empty", "emptyDir": {}}, {"name": "host", "hostPath": {"path": "/"}}],
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}]}});
    let path = "/api/v1/namespaces/default/pods?dryRun=All";
    let pods = [
        // Without a service account's token, so that no volume with a random name is mounted.
        case("defaults of Pod", [post(path, &with(pod("d"), "/spec/automountServiceAccountToken", json!(false)))]),
        case("defaults of a rich Pod", [post(path, &with(rich, "/spec/automountServiceAccountToken", json!(false)))]),
    ];
    made.chain(pods).collect()
}

/// What is refused with 422, and how.
fn validation() -> Vec<Case> {
    let container = |more: Value| {
        let mut c = json!({"name": "main", "image": "nginx:1"});
        c.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!([c])
    };
    let at = "/spec/template/spec/containers";
    let deployments = [
        ("nothing in the specification", "/spec", json!({})),
        ("negative replicas", "/spec/replicas", json!(-1)),
        ("a bad name", "/metadata/name", json!("Bad_Name")),
        ("a long name", "/metadata/name", json!("a".repeat(254))),
        ("a bad label", "/metadata/labels", json!({"d": "e f"})),
        ("a bad annotation", "/metadata/annotations", json!({"a/b/c": ""})),
        (
            "an owner without anything",
            "/metadata/ownerReferences",
            json!([{"apiVersion": "", "kind": "", "name": "", "uid": ""}]),
        ),
        ("another selector than labels", "/spec/selector", json!({"matchLabels": {"app": "other"}})),
        ("an empty selector", "/spec/selector", json!({})),
        ("an unknown strategy", "/spec/strategy", json!({"type": "Blue"})),
        ("no room to roll", "/spec/strategy", json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}})),
        ("Recreate that rolls", "/spec/strategy", json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}})),
        ("a bad percentage", "/spec/strategy", json!({"rollingUpdate": {"maxSurge": "ten"}})),
        ("a deadline before it is ready", "/spec/minReadySeconds", json!(700)),
        ("no containers", at, json!([])),
        ("a container without anything", at, json!([{}])),
        ("the same name twice", at, json!([{"name": "a", "image": "b"}, {"name": "a", "image": "b"}])),
        ("a bad container name", at, json!([{"name": "A", "image": "b"}])),
        (
            "requests over limits",
            at,
            container(
                json!({"resources": {"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}}),
            ),
        ),
        ("negative requests", at, container(json!({"resources": {"requests": {"cpu": "-1"}}}))),
        ("a bad resource", at, container(json!({"resources": {"requests": {"beer": "1"}}}))),
        ("a port too high", at, container(json!({"ports": [{"containerPort": 70000}]}))),
        ("a port without number", at, container(json!({"ports": [{"name": "http"}]}))),
        (
            "a bad port name",
            at,
            container(json!({"ports": [{"name": "This_Is_A_Very_Long_Name", "containerPort": 80}]})),
        ),
        (
            "ports of one name",
            at,
            container(json!({"ports": [{"name": "http", "containerPort": 80}, {"name": "http", "containerPort": 81}]})),
        ),
        ("a bad protocol", at, container(json!({"ports": [{"containerPort": 80, "protocol": "ICMP"}]}))),
        ("a bad pull policy", at, container(json!({"imagePullPolicy": "Sometimes"}))),
        ("a variable without name", at, container(json!({"env": [{"value": "1"}]}))),
        (
            "a variable with two values",
            at,
            container(
                json!({"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
            ),
        ),
        ("a mount of nothing", at, container(json!({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}))),
        ("a probe of nothing", at, container(json!({"livenessProbe": {"periodSeconds": 1}}))),
        (
            "a probe of two things",
            at,
            container(json!({"livenessProbe": {"tcpSocket": {"port": 80}, "httpGet": {"port": 80}}})),
        ),
        (
            "a probe that succeeds twice",
            at,
            container(json!({"livenessProbe": {"tcpSocket": {"port": 80}, "successThreshold": 2}})),
        ),
        ("a restart policy", "/spec/template/spec/restartPolicy", json!("Never")),
        ("an unknown restart policy", "/spec/template/spec/restartPolicy", json!("Perhaps")),
        ("a negative grace period", "/spec/template/spec/terminationGracePeriodSeconds", json!(-5)),
        (
            "volumes of one name",
            "/spec/template/spec/volumes",
            json!([{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]),
        ),
        ("a bad node selector", "/spec/template/spec/nodeSelector", json!({"a b": "c"})),
        ("a bad toleration", "/spec/template/spec/tolerations", json!([{"operator": "Equal", "effect": "Nothing"}])),
    ];
    let n = "namespaces/NS";
    let target = json!({"kind": "Deployment", "name": "x"});
    let others: Vec<(&str, String, Value)> = vec![
        ("ConfigMap: bad keys", format!("/api/v1/{n}/configmaps"), json!({"data": {"a b": "1", "..": "2"}})),
        ("Service: no ports", format!("/api/v1/{n}/services"), json!({"spec": {"selector": {"a": "b"}}})),
        (
            "Service: bad ports",
            format!("/api/v1/{n}/services"),
            json!({"spec": {"ports": [{"port": 0}, {"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}}),
        ),
        (
            "Service: bad type",
            format!("/api/v1/{n}/services"),
            json!({"spec": {"type": "Inside", "ports": [{"port": 80}]}}),
        ),
        (
            "HorizontalPodAutoscaler: zero",
            format!("/apis/autoscaling/v2/{n}/horizontalpodautoscalers"),
            json!({"spec": {"maxReplicas": 0, "scaleTargetRef": target}}),
        ),
        (
            "HorizontalPodAutoscaler: crossed",
            format!("/apis/autoscaling/v2/{n}/horizontalpodautoscalers"),
            json!({"spec": {"minReplicas": 5, "maxReplicas": 2, "scaleTargetRef": {}}}),
        ),
        (
            "PodDisruptionBudget: both",
            format!("/apis/policy/v1/{n}/poddisruptionbudgets"),
            json!({"spec": {"minAvailable": 1, "maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}}}),
        ),
        (
            "PodDisruptionBudget: negative",
            format!("/apis/policy/v1/{n}/poddisruptionbudgets"),
            json!({"spec": {"minAvailable": -1}}),
        ),
        (
            "CronJob: a bad schedule",
            format!("/apis/batch/v1/{n}/cronjobs"),
            json!({"spec": {"schedule": "often", "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}}}}}),
        ),
        (
            "Job: restarts always",
            format!("/apis/batch/v1/{n}/jobs"),
            json!({"spec": {"backoffLimit": -1, "template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}}),
        ),
        (
            "Lease: no time",
            format!("/apis/coordination.k8s.io/v1/{n}/leases"),
            json!({"spec": {"leaseDurationSeconds": 0}}),
        ),
        (
            "RoleBinding: no role",
            format!("/apis/rbac.authorization.k8s.io/v1/{n}/rolebindings"),
            json!({"roleRef": {"kind": "Thing"}}),
        ),
        ("StatefulSet: nothing", format!("/apis/apps/v1/{n}/statefulsets"), json!({"spec": {}})),
        ("DaemonSet: nothing", format!("/apis/apps/v1/{n}/daemonsets"), json!({"spec": {}})),
        ("ReplicaSet: nothing", format!("/apis/apps/v1/{n}/replicasets"), json!({"spec": {}})),
        ("PersistentVolumeClaim: nothing", format!("/api/v1/{n}/persistentvolumeclaims"), json!({"spec": {}})),
    ];
    let many = others.into_iter().map(|(name, path, mut body)| {
        body["metadata"] = json!({"name": "invalid"});
        case(format!("invalid {name}"), [post(format!("{path}?dryRun=All"), &body)])
    });
    let names = [
        ("Namespace", "/api/v1/namespaces".to_owned(), "a.b"),
        ("Service", format!("/api/v1/{n}/services"), "1a"),
        ("Role", format!("/apis/rbac.authorization.k8s.io/v1/{n}/roles"), "a/b"),
    ]
    .map(|(kind, path, name)| {
        case(
            format!("invalid name of {kind}"),
            [post(
                format!("{path}?dryRun=All"),
                &json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}),
            )],
        )
    });
    deployments
        .into_iter()
        .map(|(name, pointer, value)| {
            case(
                format!("invalid: {name}"),
                [post(format!("{DEPLOYMENTS}?dryRun=All"), &with(deployment("invalid"), pointer, value))],
            )
        })
        .chain(many)
        .chain(names)
        .collect()
}

/// Names, namespaces, versions and UIDs that do not fit.
fn identity() -> Vec<Case> {
    let map =
        |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}});
    let path = |name: &str| format!("{MAPS}/{name}");
    vec![
        case("a create, the same again", [post(MAPS, &map("twice")), post(MAPS, &map("twice"))]),
        case("a generated name", [post(MAPS, &json!({"metadata": {"generateName": "made-"}}))]),
        case("no such namespace", [post("/api/v1/namespaces/nowhere/configmaps", &map("x"))]),
        case("another namespace in the body", [post(MAPS, &with(map("x"), "/metadata/namespace", json!("other")))]),
        case("a version on creation", [post(MAPS, &with(map("x"), "/metadata/resourceVersion", json!("5")))]),
        case(
            "PUT under another name",
            [
                post(MAPS, &map("put")).quiet(),
                put(path("put"), &map("other")),
                put(path("put"), &with(map("put"), "/metadata/name", Value::Null)),
                put(path("put"), &with(map("put"), "/metadata/namespace", json!("other"))),
            ],
        ),
        case("PUT of nothing", [put(path("nothing-there"), &map("nothing-there"))]),
        case(
            "PUT of another version",
            [
                post(MAPS, &map("old")).quiet(),
                put(path("old"), &with(map("old"), "/metadata/resourceVersion", json!("5"))),
                put(path("old"), &with(map("old"), "/metadata/resourceVersion", json!("abc"))),
            ],
        ),
        case(
            "PUT of another UID",
            [post(MAPS, &map("uid")).quiet(), put(path("uid"), &with(map("uid"), "/metadata/uid", json!("abc")))],
        ),
        case(
            "PUT of this version",
            [
                post(MAPS, &map("new")).quiet().keep("rv", "/metadata/resourceVersion"),
                put(path("new"), &json!({"metadata": {"name": "new", "resourceVersion": "{rv}"}, "data": {"b": "2"}})),
            ],
        ),
        case("PUT of the same", [post(MAPS, &map("same")).quiet(), put(path("same"), &map("same"))]),
        case(
            "PUT in a dry run",
            [
                post(MAPS, &map("dry")).quiet(),
                put(format!("{}?dryRun=All", path("dry")), &with(map("dry"), "/data", json!({"b": "2"}))),
                crate::case::get(path("dry")),
            ],
        ),
        case(
            "a patch's version",
            [
                post(MAPS, &map("patched")).quiet(),
                patch("merge-patch+json", path("patched"), &json!({"metadata": {"resourceVersion": "5"}})),
                patch("merge-patch+json", path("patched"), &json!({"metadata": {"name": "other"}})),
                patch("merge-patch+json", path("patched"), &json!({"metadata": {"uid": "abc"}})),
                patch(
                    "merge-patch+json",
                    path("patched"),
                    &json!({"metadata": {"labels": {"a b": "c d"}, "annotations": {"a/b/c": ""}}}),
                ),
            ],
        ),
        case(
            "labels patched wrongly",
            [
                post(DEPLOYMENTS, &deployment("labelled")).quiet(),
                patch(
                    "merge-patch+json",
                    format!("{DEPLOYMENTS}/labelled"),
                    &json!({"metadata": {"labels": {"a": "-"}}, "spec": {"replicas": -1}}),
                ),
                patch(
                    "merge-patch+json",
                    format!("{DEPLOYMENTS}/labelled/status"),
                    &json!({"metadata": {"labels": {"a": "-"}}}),
                )
                .only(["/metadata/labels", "/message"]),
                // The status is the controller's, who is there or not.
            ],
        ),
        case(
            "immutable data",
            [
                post(MAPS, &with(map("fixed"), "/immutable", json!(true))).quiet(),
                patch("merge-patch+json", path("fixed"), &json!({"data": {"a": "2"}})),
                patch("merge-patch+json", path("fixed"), &json!({"immutable": null})),
            ],
        ),
        case(
            "an immutable selector",
            [
                post(DEPLOYMENTS, &deployment("fixed")).quiet(),
                put(
                    format!("{DEPLOYMENTS}/fixed"),
                    &with(
                        with(deployment("fixed"), "/spec/selector", json!({"matchLabels": {"app": "y"}})),
                        "/spec/template/metadata/labels",
                        json!({"app": "y"}),
                    ),
                ),
            ],
        ),
        case(
            "an immutable address",
            [
                post(
                    "/api/v1/namespaces/NS/services",
                    &json!({"metadata": {"name": "fixed"}, "spec": {"ports": [{"port": 80}]}}),
                )
                .quiet(),
                patch(
                    "merge-patch+json",
                    "/api/v1/namespaces/NS/services/fixed",
                    &json!({"spec": {"clusterIP": "None"}}),
                )
                .only(["/code", "/reason"]),
            ],
        ),
        case(
            "a pod that changes",
            [
                post(
                    PODS,
                    &with(
                        with(pod("fixed"), "/spec/nodeName", json!("nowhere")),
                        "/spec/serviceAccountName",
                        json!("default"),
                    ),
                )
                .quiet(),
                patch(
                    "strategic-merge-patch+json",
                    format!("{PODS}/fixed"),
                    &json!({"spec": {"restartPolicy": "Never"}}),
                )
                .only(["/code", "/reason", "/details/name"]),
            ],
        ),
    ]
}

/// All of them.
pub fn cases() -> Vec<Case> {
    [bodies(), unknown(), defaults(), validation(), identity()].concat()
}
