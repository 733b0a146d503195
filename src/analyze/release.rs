//! Releases that fail, objects that are missing, images that cannot be pulled.
//!
//! A release is to blame only if nothing else is: every failing pod belongs to the newest revision, an older
//! revision serves now or was seen healthy, the rollout is recent, and the newest revision never ran well for
//! long. If every revision fails, something outside the template changed, and rolling back would not help.

use super::case::{Case, Draft, Scene, delta, end_evidence, event_evidence, last_end, states, wait_evidence, waiting};
use crate::model::cluster::Revision;
use crate::model::finding::{Evidence, Fault};
use crate::model::object::WorkloadKind;
use crate::model::pod::{ContainerSpec, Phase, PodRow};
use crate::model::time::age;
use chrono::TimeDelta;
use std::sync::Arc;

const IMAGE: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
];
const CONFIG: [&str; 1] = ["CreateContainerConfigError"];
const START: [&str; 3] = ["CreateContainerError", "RunContainerError", "PostStartHookError"];

/// A revision that was fully available this long after it was made ran well: its later failures have another cause.
const RAN_WELL: TimeDelta = TimeDelta::minutes(10);

/// What a failing pod says of itself, and where.
struct Symptom {
    says: Arc<str>,
    evidence: Evidence,
    /// It failed so early or so clearly that the template can be the cause.
    clear: bool,
}

/// The symptom of a pod that may come from its template; `None` if nothing of the kind is seen.
fn symptom(scene: &Scene<'_>, pod: &PodRow) -> Option<Symptom> {
    for (spec, row) in states(pod) {
        if let Some((reason, message)) = waiting(row)
            && [&IMAGE[..], &CONFIG, &START].iter().any(|list| list.contains(&&**reason))
        {
            let says = if CONFIG.contains(&&**reason) { format!("{reason}: {message}").into() } else { reason.clone() };
            return Some(Symptom { says, evidence: wait_evidence(scene, pod, spec, row)?, clear: true });
        }
        if let Some((end, _)) = last_end(row)
            && end.exit_code != 0
            && &*end.reason != "OOMKilled"
            && (scene.within(end.finished, delta(scene.set.oom_recent)) || scene.restarts.rising(pod, scene.now))
        {
            let ran = end.started.zip(end.finished).map(|(from, to)| to - from);
            let soon = ran.is_some_and(|r| r <= delta(scene.set.crash_soon));
            let says = match ran.filter(|_| soon) {
                Some(ran) => format!("exit code {} after {} s", end.exit_code, ran.num_seconds()),
                None => format!("exit code {}", end.exit_code),
            };
            return Some(Symptom { says: says.into(), evidence: end_evidence(scene, pod, spec, row)?, clear: soon });
        }
    }
    let (reason, message, since) = pod.trouble.as_ref()?.not_ready.as_ref()?;
    let waits = pod.phase == Phase::Running && scene.older(*since, scene.set.not_ready_grace);
    waits.then(|| Symptom {
        says: "never ready".into(),
        evidence: Evidence::new(
            format!("pod {}/{} status.conditions[type=Ready]", pod.namespace, pod.name),
            format!("False: {reason}: {message}"),
            *since,
        ),
        clear: false,
    })
}

/// The newest revision fails, and only it.
pub fn bad_release(case: &mut Case<'_>) -> Vec<Draft> {
    let draft = match case.workload.key.kind {
        WorkloadKind::Deployment => deployment(case),
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => by_image(case),
        _ => None,
    };
    draft.into_iter().collect()
}

fn deployment(case: &mut Case<'_>) -> Option<Draft> {
    let workload = case.workload;
    let (newest, older) = workload.revisions.split_first()?;
    let recent = case.scene.within(Some(newest.created), delta(case.scene.set.release_recent));
    let ran_well = newest.last_healthy.is_some_and(|at| at - newest.created > RAN_WELL);
    let good = older.iter().find(|r| r.available > 0).or_else(|| older.iter().find(|r| r.last_healthy.is_some()))?;
    if !recent || ran_well {
        return None;
    }
    let of = |pod: &PodRow, revision: &Revision| pod.owner.as_ref().is_some_and(|o| o.1 == revision.name);
    let failing: Vec<(&PodRow, Symptom)> =
        case.pods.iter().filter_map(|p| Some((*p, symptom(case.scene, p)?))).collect();
    // Symptoms that come late need a stronger contrast: the older revision must serve right now.
    let clear = failing.iter().any(|(_, s)| s.clear) || good.available > 0;
    if failing.is_empty() || !clear || !failing.iter().all(|(p, _)| of(p, newest)) {
        return None;
    }
    let proof = Evidence::new(
        format!("replicaset {}/{} (revision {})", workload.key.namespace, good.name, good.number),
        match good.last_healthy.filter(|_| good.available == 0) {
            Some(at) => format!("was fully available {} ago", age(case.scene.now, at)),
            None => format!("status.availableReplicas {}", good.available),
        },
        good.last_healthy.or(Some(case.scene.now)),
    );
    let made = Evidence::new(
        format!("replicaset {}/{} metadata.creationTimestamp", workload.key.namespace, newest.name),
        format!("revision {} rolled out {} ago", newest.number, age(case.scene.now, newest.created)),
        Some(newest.created),
    );
    release_draft(case, newest.number, Some(good.number), [proof, made])
}

/// For kinds without ReplicaSets: pods with the template's images fail, pods with other images are ready.
fn by_image(case: &mut Case<'_>) -> Option<Draft> {
    let workload = case.workload;
    let newest = |pod: &PodRow| {
        workload
            .template
            .iter()
            .all(|t: &ContainerSpec| pod.specs.iter().any(|s| s.name == t.name && s.image == t.image))
    };
    let good = workload.live_pods().find(|p| p.ready && !newest(p))?;
    let failing: Vec<(&PodRow, Symptom)> =
        case.pods.iter().filter_map(|p| Some((*p, symptom(case.scene, p)?))).collect();
    let recent = failing.iter().all(|(p, _)| case.scene.within(Some(p.created), delta(case.scene.set.release_recent)));
    if failing.is_empty() || !recent || !failing.iter().all(|(p, _)| newest(p)) {
        return None;
    }
    let proof = Evidence::new(
        format!("pod {}/{} status.conditions[type=Ready]", good.namespace, good.name),
        format!("True, with the older image {}", good.specs.iter().find(|s| !s.init).map_or("?", |s| &*s.image)),
        Some(case.scene.now),
    );
    release_draft(case, workload.generation.max(0) as u64, None, [proof])
}

fn release_draft(
    case: &mut Case<'_>,
    revision: u64,
    good: Option<u64>,
    proof: impl IntoIterator<Item = Evidence>,
) -> Option<Draft> {
    let scene = case.scene;
    let pods = case.claim(|p| symptom(scene, p).is_some());
    let symptoms: Vec<Symptom> = pods.iter().filter_map(|p| symptom(case.scene, p)).collect();
    let says = symptoms.first()?.says.clone();
    let mut evidence: Vec<Evidence> = symptoms.into_iter().take(3).map(|s| s.evidence).collect();
    evidence.extend(proof);
    let key = &case.workload.key;
    let healthy = good.map_or_else(|| "the older pods are healthy".to_owned(), |n| format!("revision {n} was healthy"));
    let what = if matches!(key.kind, WorkloadKind::Deployment) {
        format!("revision {revision} fails")
    } else {
        "the new template fails".to_owned()
    };
    let title = format!("{}/{}: {what} ({says}), {healthy}; {}", key.namespace, key.name, case.ready_words());
    let fault = Fault::BadRelease { revision, symptom: says };
    Some(case.draft(fault, &pods, title, evidence).detail(revision.to_string()))
}

/// A ConfigMap, Secret or key that the template names does not exist.
pub fn missing_config(case: &mut Case<'_>) -> Vec<Draft> {
    let scene = case.scene;
    let pods = case.claim(|p| missing(scene, p).is_some());
    let mut found: Vec<(String, Evidence)> = pods.iter().filter_map(|p| missing(scene, p)).collect();
    if found.is_empty() {
        return Vec::new();
    }
    let (what, _) = found[0].clone();
    found.dedup_by(|a, b| a.1 == b.1);
    let key = &case.workload.key;
    let title = format!("{}/{}: {what} is missing ({})", key.namespace, key.name, case.ready_words());
    let evidence = found.into_iter().map(|(_, e)| e).collect();
    vec![case.draft(Fault::MissingConfig { what: what.into() }, &pods, title, evidence)]
}

fn missing(scene: &Scene<'_>, pod: &PodRow) -> Option<(String, Evidence)> {
    for (spec, row) in states(pod) {
        if let Some((reason, message)) = waiting(row)
            && CONFIG.contains(&&**reason)
        {
            let what = missing_object(message).unwrap_or_else(|| message.to_string());
            return Some((what, wait_evidence(scene, pod, spec, row)?));
        }
    }
    // A volume from a missing object keeps the pod in ContainerCreating; only the event says why.
    if pod.phase != Phase::Pending {
        return None;
    }
    let event = scene.events(pod).find(|e| &*e.reason == "FailedMount" && missing_object(&e.message).is_some())?;
    Some((missing_object(&event.message)?, event_evidence(event)))
}

/// Reads what is missing out of a kubelet's message: `ConfigMap web-config`, `key URL in Secret shop/db`.
///
/// Messages: kubelet_pods.go (`couldn't find key %v in ConfigMap %v/%v`), volume plugins (`references
/// non-existent config key: %s`), and the API server's `configmap "x" not found`.
pub fn missing_object(message: &str) -> Option<String> {
    if let Some((_, rest)) = message.split_once("couldn't find key ") {
        let (key, of) = rest.split_once(" in ")?;
        let mut words = of.split_whitespace();
        return Some(format!("key {key} in {} {}", words.next()?, words.next()?.trim_end_matches(['.', ','])));
    }
    if let Some((_, key)) = message.split_once("references non-existent config key: ") {
        return Some(format!("key {}", key.split_whitespace().next()?));
    }
    for (word, kind) in [("configmap \"", "ConfigMap"), ("secret \"", "Secret")] {
        if let Some((_, rest)) = message.split_once(word)
            && let Some((name, after)) = rest.split_once('"')
            && after.trim_start().starts_with("not found")
        {
            return Some(format!("{kind} {name}"));
        }
    }
    None
}

/// An image cannot be pulled, and no older revision serves.
pub fn image_error(case: &mut Case<'_>) -> Vec<Draft> {
    let scene = case.scene;
    let stuck = |pod: &PodRow| {
        states(pod).find_map(|(spec, row)| {
            let (reason, _) = waiting(row)?;
            [&IMAGE[..], &START]
                .iter()
                .any(|list| list.contains(&&**reason))
                .then(|| (spec.image.clone(), reason.clone()))
        })
    };
    let pods = case.claim(|p| stuck(p).is_some());
    let Some((image, reason)) = pods.first().and_then(|p| stuck(p)) else { return Vec::new() };
    let evidence =
        pods.iter().flat_map(|p| states(p).filter_map(move |(s, r)| wait_evidence(scene, p, s, r))).collect::<Vec<_>>();
    let key = &case.workload.key;
    let trouble = if IMAGE.contains(&&*reason) { "cannot be pulled" } else { "cannot be started" };
    let title = format!("{}/{}: image {image} {trouble}: {reason} ({})", key.namespace, key.name, case.ready_words());
    vec![case.draft(Fault::ImageError { image, reason }, &pods, title, evidence)]
}

#[cfg(test)]
mod tests {
    use super::missing_object;
    use proptest::prelude::*;

    #[test]
    fn names_what_the_kubelet_misses() {
        for (message, what) in [
            (r#"configmap "web-config" not found"#, Some("ConfigMap web-config")),
            (r#"secret "db" not found"#, Some("Secret db")),
            ("couldn't find key URL in ConfigMap shop/web", Some("key URL in ConfigMap shop/web")),
            ("couldn't find key pass in Secret shop/db", Some("key pass in Secret shop/db")),
            (r#"MountVolume.SetUp failed for volume "cfg" : configmap "cfg" not found"#, Some("ConfigMap cfg")),
            ("configmap references non-existent config key: app.toml", Some("key app.toml")),
            ("container has runAsNonRoot and image will run as root", None),
            ("", None),
        ] {
            assert_eq!(missing_object(message).as_deref(), what, "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_message_breaks_it(s in ".*", t in "(couldn't find key |configmap \"|secret \").*") {
            let _ = (missing_object(&s), missing_object(&t));
        }
    }
}
