//! The shop's objects, as somebody would have applied them, and how old they are.

use super::catalogue::REGISTRY;
use super::world::{Workload, World};
use crate::model::time::Timestamp;
use crate::sim::clock::{rfc3339, seconds};
use crate::sim::noise::Noise;
use crate::sim::object::{controller, owned_by, set, text};
use serde_json::{Map, Value, json};

/// Everything the shop applies, in order: namespaces, configuration, workloads, what goes with them.
pub fn manifests() -> Vec<Value> {
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"autonomous-enabled": "true", "team": "shop"}}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "legacy", "labels": {"team": "backoffice"}}}),
    ];
    for w in &World::shop().workloads {
        if !w.config.is_empty() {
            let mut map = bare("v1", "ConfigMap", w, &format!("{}-config", w.name));
            set(&mut map, "data", json!(w.config));
            all.push(map);
        }
        if !matches!(w.kind.as_str(), "CronJob" | "DaemonSet") && w.tier != "worker" {
            all.push(service(w));
        }
        all.push(workload(w));
        if let Some([min, max, cpu]) = w.hpa {
            all.push(hpa(w, min, max, cpu));
        }
        if !w.pdb.is_empty() {
            let mut pdb = bare("policy/v1", "PodDisruptionBudget", w, &w.name);
            let min: Value = w.pdb.parse::<i64>().map_or_else(|_| json!(w.pdb), Value::from);
            set(&mut pdb, "spec", json!({"minAvailable": min, "selector": {"matchLabels": selector(w)}}));
            all.push(pdb);
        }
    }
    all
}

fn selector(w: &Workload) -> Value {
    json!({"app.kubernetes.io/name": w.name})
}

fn labels(w: &Workload, tag: Option<&str>) -> Value {
    let mut all = json!({"app.kubernetes.io/name": w.name, "app.kubernetes.io/part-of": w.namespace, "app.kubernetes.io/component": w.tier});
    if let Some(tag) = tag {
        set(&mut all, "version", tag);
        // A dotted path would split this one.
        if let Value::Object(map) = &mut all {
            map.insert("app.kubernetes.io/version".to_owned(), tag.into());
            map.remove("version");
        }
    }
    all
}

fn bare(api: &str, kind: &str, w: &Workload, name: &str) -> Value {
    let mut metadata = json!({"name": name, "namespace": w.namespace, "labels": labels(w, None)});
    if w.argocd
        && let Value::Object(map) = &mut metadata
    {
        let group = api.rsplit_once('/').map_or("", |(g, _)| g);
        let id = format!("shop:{group}/{kind}:{}/{name}", w.namespace);
        map.insert("annotations".to_owned(), json!({"argocd.argoproj.io/tracking-id": id}));
        if let Some(Value::Object(labels)) = map.get_mut("labels") {
            labels.insert("argocd.argoproj.io/instance".to_owned(), "shop".into());
        }
    }
    json!({"apiVersion": api, "kind": kind, "metadata": metadata})
}

fn service(w: &Workload) -> Value {
    let mut service = bare("v1", "Service", w, &w.name);
    let port = if w.port == 8080 { 80 } else { w.port };
    let mut spec = json!({"selector": selector(w), "ports": [{"name": port_name(w), "port": port, "protocol": "TCP", "targetPort": port_name(w)}]});
    if w.kind == "StatefulSet" {
        set(&mut spec, "clusterIP", "None");
    }
    set(&mut service, "spec", spec);
    service
}

fn port_name(w: &Workload) -> &'static str {
    match w.port {
        5432 => "postgres",
        6379 => "redis",
        5672 => "amqp",
        _ => "http",
    }
}

fn hpa(w: &Workload, min: i64, max: i64, cpu: i64) -> Value {
    let mut hpa = bare("autoscaling/v2", "HorizontalPodAutoscaler", w, &w.name);
    set(
        &mut hpa,
        "spec",
        json!({
            "minReplicas": min, "maxReplicas": max,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": w.kind, "name": w.name},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": cpu}}}],
        }),
    );
    hpa
}

/// The pod template with this tag.
fn template(w: &Workload, tag: &str) -> Value {
    let mut container = json!({
        "name": w.name, "image": format!("{REGISTRY}{}:{tag}", w.name),
        "resources": {
            "requests": {"cpu": w.cpu[0], "memory": w.memory[0]}, "limits": {"cpu": w.cpu[1], "memory": w.memory[1]},
        },
    });
    if !w.config.is_empty() {
        set(&mut container, "envFrom", json!([{"configMapRef": {"name": format!("{}-config", w.name)}}]));
    }
    let probes = match (w.kind.as_str(), w.tier.as_str()) {
        ("CronJob", _) | (_, "agent") => None,
        (_, "data") => {
            set(&mut container, "ports", json!([{"name": port_name(w), "containerPort": w.port, "protocol": "TCP"}]));
            Some((json!({"tcpSocket": {"port": port_name(w)}}), json!({"tcpSocket": {"port": port_name(w)}})))
        }
        _ => {
            set(&mut container, "ports", json!([{"name": "http", "containerPort": w.port, "protocol": "TCP"}]));
            Some((
                json!({"httpGet": {"path": "/ready", "port": "http"}}),
                json!({"httpGet": {"path": "/healthz", "port": "http"}}),
            ))
        }
    };
    if let Some((mut ready, mut live)) = probes {
        let mut start = live.clone();
        for (probe, period, timeout, failures) in [(&mut ready, 5, 1, 2), (&mut live, 10, 2, 3), (&mut start, 2, 2, 45)]
        {
            set(probe, "periodSeconds", period);
            set(probe, "timeoutSeconds", timeout);
            set(probe, "failureThreshold", failures);
        }
        set(&mut container, "readinessProbe", ready);
        set(&mut container, "livenessProbe", live);
        set(&mut container, "startupProbe", start);
    }
    let mut spec = json!({"containers": [container], "terminationGracePeriodSeconds": 30});
    if w.tier == "service" || w.tier == "web" {
        set(
            &mut spec,
            "topologySpreadConstraints",
            json!([{
                "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(w)},
            }]),
        );
    }
    if w.tier == "data" && !w.storage.is_empty() {
        set(&mut spec, "securityContext", json!({"fsGroup": 999}));
    }
    json!({
        "metadata": {"labels": labels(w, Some(tag)), "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}},
        "spec": spec,
    })
}

fn workload(w: &Workload) -> Value {
    let tag = w.tags.first().map_or("latest", String::as_str);
    let template = template(w, tag);
    let (api, mut spec) = match w.kind.as_str() {
        "CronJob" => {
            let mut template = template;
            set(&mut template, "spec.restartPolicy", "Never");
            let job = json!({"spec": {"backoffLimit": 2, "ttlSecondsAfterFinished": 7200, "template": template}});
            let spec = json!({
                "schedule": w.schedule, "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 1, "jobTemplate": job,
            });
            ("batch/v1", spec)
        }
        "DaemonSet" => {
            let mut template = template;
            set(&mut template, "spec.tolerations", json!([{"operator": "Exists"}]));
            ("apps/v1", json!({"selector": {"matchLabels": selector(w)}, "template": template}))
        }
        "StatefulSet" => {
            let spec = json!({
                "replicas": w.replicas, "serviceName": w.name, "selector": {"matchLabels": selector(w)}, "template": template,
                "podManagementPolicy": "OrderedReady",
            });
            ("apps/v1", spec)
        }
        _ => {
            let spec = json!({
                "replicas": w.replicas, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 120,
                "selector": {"matchLabels": selector(w)}, "template": template,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            });
            ("apps/v1", spec)
        }
    };
    let mut object = bare(api, &w.kind, w, &w.name);
    if w.hpa.is_some() {
        // Where an autoscaler decides, the manifest does not.
        set(&mut spec, "replicas", w.replicas);
    }
    set(&mut object, "spec", spec);
    object
}

/// The ReplicaSets of the releases before the present one of a stored Deployment, oldest first, without replicas: what a
/// rollback goes back to. To be stored before the Deployment's controller first sees it.
pub fn history(deployment: &Value, now: Timestamp) -> Vec<Value> {
    let (namespace, name) = (text(deployment, "metadata.namespace"), text(deployment, "metadata.name"));
    let Some(w) = World::shop().workloads.iter().find(|w| w.namespace == namespace && w.name == name) else {
        return Vec::new();
    };
    let noise = Noise::new(0).of("history").of(namespace).of(name);
    let old = w.tags.iter().skip(1).rev().enumerate();
    old.map(|(i, tag)| {
        let hash = noise.suffix(i as i64, 10);
        let mut template = template(w, tag);
        let mut labels = labels(w, Some(tag));
        if let Value::Object(map) = &mut labels {
            map.insert("pod-template-hash".to_owned(), hash.as_str().into());
        }
        set(&mut template, "metadata.labels", labels.clone());
        let mut selector = selector(w);
        if let Value::Object(map) = &mut selector {
            map.insert("pod-template-hash".to_owned(), hash.as_str().into());
        }
        let mut annotations = Map::new();
        annotations.insert("deployment.kubernetes.io/desired-replicas".to_owned(), w.replicas.to_string().into());
        annotations.insert("deployment.kubernetes.io/max-replicas".to_owned(), (w.replicas + 1).to_string().into());
        annotations.insert("deployment.kubernetes.io/revision".to_owned(), (i + 1).to_string().into());
        let born = now - seconds((60.0 - 22.0 * i as f64).max(13.0) * 86_400.0);
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{name}-{hash}"), "namespace": namespace, "labels": labels, "annotations": annotations,
                "creationTimestamp": rfc3339(born), "ownerReferences": [owned_by(deployment)],
            },
            "spec": {"replicas": 0, "selector": {"matchLabels": selector}, "template": template},
            "status": {"replicas": 0, "observedGeneration": 1},
        })
    })
    .collect()
}

/// Whether what a controller of this kind runs has run for days at the start.
pub(super) fn ages(kind: &str) -> bool {
    matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
}

/// Days since the pods of a workload were started.
pub(super) fn days(namespace: &str, name: &str) -> f64 {
    (16.0 + 25.0 * Noise::new(0).of("age").of(namespace).of(name).unit(0)).floor()
}

/// Makes an object as old as a world that has run for weeks would have it: specifications by two months, what controllers
/// made of them by days. Times in its status and managedFields move along. What is old already stays.
pub fn age(object: &mut Value, now: Timestamp) {
    let namespace = text(object, "metadata.namespace").to_owned();
    let kind = text(object, "kind").to_owned();
    let app = object.pointer("/metadata/labels/app.kubernetes.io~1name").and_then(Value::as_str);
    let name = app.unwrap_or_else(|| text(object, "metadata.name")).to_owned();
    let recent = chrono::DateTime::parse_from_rfc3339(text(object, "metadata.creationTimestamp"))
        .is_ok_and(|t| now - t.to_utc() < seconds(86_400.0));
    let by = match kind.as_str() {
        "Pod" | "ReplicaSet" | "ControllerRevision" => {
            let of_days = controller(object).is_some_and(|(kind, _, _)| ages(kind));
            if of_days { days(&namespace, &name) } else { 0.0 }
        }
        "Event" | "Job" | "Lease" | "Node" => 0.0,
        _ => 63.0,
    };
    if by <= 0.0 || !recent {
        return;
    }
    let shift = seconds(by * 86_400.0);
    let earlier = |text: &str| {
        let t = chrono::DateTime::parse_from_rfc3339(text).ok()?.to_utc();
        Some(Value::from(rfc3339(t - shift)))
    };
    if let Some(status) = object.get_mut("status") {
        walk(status, &earlier);
    }
    for path in ["/metadata/creationTimestamp", "/metadata/managedFields"] {
        if let Some(value) = object.pointer_mut(path) {
            walk(value, &earlier);
        }
    }
}

/// Puts every time in `value` where `earlier` says.
fn walk(value: &mut Value, earlier: &impl Fn(&str) -> Option<Value>) {
    match value {
        Value::String(s) if s.len() >= 20 && s.as_bytes()[4] == b'-' && s.ends_with('Z') => {
            if let Some(new) = earlier(s) {
                *value = new;
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|v| walk(v, earlier)),
        Value::Object(all) => all.values_mut().for_each(|v| walk(v, earlier)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::object::list;
    use crate::sim::resource::Registry;

    #[test]
    fn every_object_is_of_a_served_kind_and_the_namespace_says_whether_it_takes_part() {
        let all = manifests();
        let kinds = Registry::default();
        for o in &all {
            assert!(kinds.of_kind(text(o, "apiVersion"), text(o, "kind")).is_some(), "{o}");
        }
        assert_eq!(all[0].pointer("/metadata/labels/autonomous-enabled"), Some(&json!("true")));
        assert!(all[1].pointer("/metadata/labels/autonomous-enabled").is_none());
        let frontend =
            all.iter().find(|o| text(o, "kind") == "Deployment" && text(o, "metadata.name") == "frontend").unwrap();
        let old = history(frontend, crate::sim::clock::at(0));
        let images: Vec<_> = old.iter().map(|o| text(&list(o, "spec.template.spec.containers")[0], "image")).collect();
        assert_eq!(images, ["registry.example/shop/frontend:2.7.4", "registry.example/shop/frontend:2.8.0"]);
    }

    #[test]
    fn an_object_ages_once_and_its_status_with_it() {
        let now = crate::sim::clock::at(1_790_000_000_000);
        let t = rfc3339(now - seconds(300.0));
        let mut pod = json!({
            "kind": "Pod",
            "metadata": {"name": "a", "namespace": "shop", "creationTimestamp": t, "labels": {"app.kubernetes.io/name": "cart"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "cart-1", "uid": "u", "controller": true}]},
            "status": {"startTime": t},
        });
        age(&mut pod, now);
        let once = pod.clone();
        age(&mut pod, now);
        assert_eq!(pod, once);
        assert_eq!(text(&pod, "status.startTime"), rfc3339(now - seconds(300.0 + 86_400.0 * days("shop", "cart"))));
    }
}
