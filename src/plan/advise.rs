//! What a person should do where the API cannot help, or should not: exact commands and manifests.

use super::draft::Draft;
use super::{Ask, NoProposal};
use crate::model::finding::{Fault, Subject};
use crate::model::object::WorkloadKey;

/// Advice for a fault. `no` is why nothing is done by itself; its text is shown first, if it has any.
pub fn plan(ask: &Ask<'_>, no: &NoProposal) -> Result<Draft, NoProposal> {
    let (title, mut notes) = match &ask.finding.subject {
        Subject::Workload(key) => workload(key, &ask.finding.fault, ask),
        Subject::Node(node) => about_node(node),
        Subject::Cluster => return Err(no.clone()),
    };
    if !no.why.is_empty() {
        notes.insert(0, format!("nothing is done by itself: {}", no.why));
    }
    Ok(Draft::advice(title, notes))
}

fn workload(key: &WorkloadKey, fault: &Fault, ask: &Ask<'_>) -> (String, Vec<String>) {
    let WorkloadKey { namespace: ns, name, .. } = key;
    let kind = key.kind.as_str().to_lowercase();
    let pod = ask.finding.pods.first().map_or("POD", |p| &*p.name);
    let describe = format!("kubectl describe pod -n {ns} {pod}");
    let (what, notes) = match fault {
        Fault::MissingConfig { what } => missing(ns, what, &kind, name),
        Fault::ImageError { image, reason } => (
            format!("correct image {image}"),
            vec![
                format!("{reason}: check that the image and tag exist, and that imagePullSecrets of the pod may pull it"),
                format!("kubectl set image -n {ns} {kind}/{name} CONTAINER={image}   # with the right tag"),
                describe,
            ],
        ),
        Fault::LivenessKills { container } => (
            format!("give container {container} a startup probe"),
            vec![
                "the kubelet kills it before it answers: a slow start needs a startupProbe, a slow answer a longer timeout".to_owned(),
                format!(
                    "in the template of container {container}: startupProbe: {{httpGet or exec as in livenessProbe, periodSeconds: 10, failureThreshold: 30}}"
                ),
                format!("kubectl logs -n {ns} {pod} -c {container} --previous"),
            ],
        ),
        Fault::Unschedulable { why } => (unschedulable(why), vec![describe, "kubectl get nodes -o wide".to_owned()]),
        Fault::OomNode { node } => (
            format!("give the pods on node {node} memory requests that match what they use"),
            vec![
                "the node was full: pods that use more than they request are killed first".to_owned(),
                format!("kubectl top pods -A --sort-by=memory; kubectl describe node {node}"),
            ],
        ),
        Fault::ConfigEdit { map, .. } => (
            format!("put ConfigMap {map} back to what it was"),
            vec![
                format!("kubectl get configmap -n {ns} {map} -o yaml --show-managed-fields   # who changed it, and when"),
                format!("kubectl edit configmap -n {ns} {map}"),
                format!("kubectl rollout restart -n {ns} {kind}/{name}   # unless it reads it again by itself"),
            ],
        ),
        Fault::CrashLoop { container, exit_code } => (
            format!("find out why container {container} exits with code {exit_code}"),
            vec![
                format!("kubectl logs -n {ns} {pod} -c {container} --previous"),
                exit_hint(*exit_code).to_owned(),
                "the kubelet backs off and retries; restarting by hand changes nothing".to_owned(),
            ],
        ),
        _ => (
            "find out why it is not ready".to_owned(),
            vec![describe, format!("kubectl logs -n {ns} {pod}"), format!("kubectl rollout status -n {ns} {kind}/{name}")],
        ),
    };
    (format!("{ns}/{name}: {what}"), notes)
}

fn missing(ns: &str, what: &str, kind: &str, name: &str) -> (String, Vec<String>) {
    let words: Vec<&str> = what.split_whitespace().collect();
    let notes = match words.as_slice() {
        ["ConfigMap", object] => vec![format!("kubectl create configmap -n {ns} {object} --from-file=…")],
        ["Secret", object] => vec![format!("kubectl create secret generic -n {ns} {object} --from-file=…")],
        ["key", key, "in", of, object] => {
            let object = object.rsplit('/').next().unwrap_or(object);
            vec![format!("add key {key}: kubectl edit {} -n {ns} {object}", of.to_lowercase())]
        }
        _ => vec![format!("the kubelet says: {what}")],
    };
    let or = format!("or correct the reference: kubectl edit -n {ns} {kind}/{name}");
    (format!("create {what}, which the template names"), [notes, vec![or]].concat())
}

/// What the scheduler's message asks for.
fn unschedulable(why: &str) -> String {
    let hints = [
        ("Insufficient cpu", "free or add CPU: lower requests, scale something down, or add a node"),
        ("Insufficient memory", "free or add memory: lower requests, scale something down, or add a node"),
        ("untolerated taint", "add a toleration, or remove the taint from a node"),
        ("node affinity", "correct nodeSelector or affinity: no node matches"),
        ("volume node affinity", "its volume is in another zone than the free nodes"),
        (
            "unbound immediate PersistentVolumeClaims",
            "its PersistentVolumeClaim is not bound: check StorageClass and provisioner",
        ),
        ("topology spread", "relax topologySpreadConstraints, or add nodes to the empty zones"),
        ("Too many pods", "the nodes have no pod slots left: add a node"),
        ("unschedulable", "nodes are cordoned: kubectl uncordon NODE"),
    ];
    let found: Vec<&str> = hints.iter().filter(|(word, _)| why.contains(word)).map(|(_, hint)| *hint).collect();
    if found.is_empty() { format!("make room: {why}") } else { found.join("; ") }
}

/// What an exit code usually means.
fn exit_hint(code: i32) -> &'static str {
    match code {
        0 => "exit code 0: it ends by itself; a Job, not a service, or its command is wrong",
        126 | 127 => "the command cannot be run or is not in the image: check command and args",
        137 => "killed from outside (SIGKILL) without an out-of-memory mark",
        139 => "it crashed (segmentation fault): look for a core or a wrong library",
        143 => "it was asked to stop (SIGTERM)",
        _ => "the program gave up by itself: its log says why",
    }
}

fn about_node(node: &str) -> (String, Vec<String>) {
    (
        format!("look after node {node}"),
        vec![
            format!("kubectl describe node {node}"),
            format!("kubectl get pods -A -o wide --field-selector spec.nodeName={node}"),
        ],
    )
}
