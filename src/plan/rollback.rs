//! Back to the last healthy revision.
//!
//! "Last healthy" is not "previous": it is the newest older revision that serves now or was once seen fully
//! available. The template comes from the live ReplicaSet without its `pod-template-hash`, as kubectl does, or
//! from the ControllerRevision of a StatefulSet or DaemonSet; annotations of the workload itself are left alone,
//! so that nothing but the template moves. Source: kubectl polymorphichelpers/rollback.go; reference §5.2.

use super::draft::Draft;
use super::risk::Change;
use super::{Ask, NoProposal, advise, blast, live};
use crate::model::finding::Evidence;
use crate::model::object::WorkloadKind;
use crate::model::plan::{Gate, Risk, Step, Strategy};
use crate::model::time::age;
use serde_json::{Value, json};

/// A revision to go back to.
struct Target {
    number: u64,
    template: Value,
    proof: Evidence,
}

/// Plans the rollback of `revision`, or advises where there is nothing to roll back to.
pub fn plan(ask: &Ask<'_>, revision: u64) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    let object = ask.live()?;
    if workload.paused || object["spec"]["paused"] == true {
        return Err(NoProposal::because("the Deployment is paused: a rollback would not roll out; resume it first"));
    }
    let found = match workload.key.kind {
        WorkloadKind::Deployment => replica_set(ask, object, revision)?,
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => controller_revision(ask, object),
        _ => None,
    };
    let Some(target) = found else {
        return advise::plan(ask, &NoProposal::because("no older revision is known to have been healthy"));
    };
    let Some(place) = workload.key.object() else {
        return Err(NoProposal::because(format!("{} cannot be rolled back", workload.key)));
    };
    let old = &object["spec"]["template"];
    let (forth, back) = live::change(&["spec", "template"], old, &target.template);
    let title = format!("roll back to revision {} ({})", target.number, live::images(&target.template));
    let mut steps = vec![live::patch_step(title.clone(), object, place, forth, back, None)?];
    let mut notes = vec![
        "not restored: contents of ConfigMaps and Secrets, replicas, volumes, CRDs, and migrations of databases"
            .to_owned(),
    ];
    if object["kind"] == "StatefulSet" && object["spec"]["podManagementPolicy"] != "Parallel" {
        let stuck = broken_pod(ask)?;
        notes.push("an ordered StatefulSet waits for its broken pod for ever (kubernetes#67250), so that pod is evicted after the patch".to_owned());
        steps.extend(stuck);
    }
    if object["spec"]["updateStrategy"]["type"] == "OnDelete" {
        notes.push("updateStrategy OnDelete: each pod must be deleted before it goes back".to_owned());
    }
    let key = &workload.key;
    Ok(Draft {
        strategy: Strategy::Rollback,
        title: format!("{}/{}: {title}", key.namespace, key.name),
        steps,
        change: Change::Template,
        blast: blast::rollout(object, workload.replicas.desired),
        effect: format!("all pods run revision {} again and are ready", target.number),
        notes,
        why: vec![target.proof],
        manifest: Some(json!({"spec": {"template": exported(&target.template)}})),
        at_least: Risk::Low,
    })
}

/// The newest healthy ReplicaSet older than the failing one, whose template differs from the live one.
fn replica_set(ask: &Ask<'_>, object: &Value, failing: u64) -> Result<Option<Target>, NoProposal> {
    let workload = ask.workload()?;
    let number = |o: &Value| -> Option<u64> {
        o["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str()?.parse().ok()
    };
    if let Some(current) = number(object).filter(|n| *n != failing) {
        let why = format!("revision {failing} failed, but the Deployment is at revision {current} by now");
        return Err(NoProposal::because(why));
    }
    let uid = &object["metadata"]["uid"];
    let mut candidates: Vec<(u64, &Value)> = ask
        .dossier
        .revisions
        .iter()
        .filter(|rs| rs["metadata"]["ownerReferences"].as_array().is_some_and(|o| o.iter().any(|r| r["uid"] == *uid)))
        .filter_map(|rs| Some((number(rs)?, rs)))
        .filter(|(n, _)| *n < failing)
        .collect();
    candidates.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    for (number, rs) in candidates {
        let name = live::text(&rs["metadata"]["name"]);
        let available = rs["status"]["availableReplicas"].as_u64().unwrap_or(0);
        let seen = workload.revisions.iter().find(|r| &*r.name == name).and_then(|r| r.last_healthy);
        let says = match seen {
            _ if available > 0 => format!("status.availableReplicas {available}: it serves now"),
            Some(at) => format!("was fully available {} ago", age(ask.now, at)),
            None => continue,
        };
        let mut template = rs["spec"]["template"].clone();
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove("pod-template-hash");
        }
        if template == object["spec"]["template"] {
            continue;
        }
        let source = format!("replicaset {}/{name} (revision {number})", workload.key.namespace);
        return Ok(Some(Target {
            number,
            template,
            proof: Evidence::new(source, says, seen.or(Some(ask.dossier.taken))),
        }));
    }
    Ok(None)
}

/// The newest older ControllerRevision that ready pods run, or that a StatefulSet last rolled out in full.
fn controller_revision(ask: &Ask<'_>, object: &Value) -> Option<Target> {
    let uid = &object["metadata"]["uid"];
    let mut owned: Vec<&Value> = ask
        .dossier
        .revisions
        .iter()
        .filter(|r| r["metadata"]["ownerReferences"].as_array().is_some_and(|o| o.iter().any(|r| r["uid"] == *uid)))
        .collect();
    owned.sort_by_key(|r| std::cmp::Reverse(r["revision"].as_i64()));
    let complete = live::text(&object["status"]["currentRevision"]);
    let updating = live::text(&object["status"]["updateRevision"]);
    for revision in owned {
        let name = live::text(&revision["metadata"]["name"]);
        let hash = live::text(&revision["metadata"]["labels"]["controller-revision-hash"]);
        let runs = |pod: &&Value| {
            let label = live::text(&pod["metadata"]["labels"]["controller-revision-hash"]);
            !label.is_empty() && (label == name || label == hash)
        };
        let serves = ask.dossier.pods.iter().filter(runs).find(|p| live::is_ready(p));
        let was_complete = !complete.is_empty() && name == complete && complete != updating;
        let says = match serves {
            Some(pod) => format!("pod {} runs it and is ready", live::text(&pod["metadata"]["name"])),
            None if was_complete => "status.currentRevision: it was rolled out in full".to_owned(),
            None => continue,
        };
        let mut template = revision["data"]["spec"]["template"].clone();
        template.as_object_mut()?.remove("$patch");
        if template == object["spec"]["template"] || name == updating {
            continue;
        }
        let number = revision["revision"].as_u64()?;
        let proof = Evidence::new(format!("controllerrevision {name}"), says, Some(ask.dossier.taken));
        return Some(Target { number, template, proof });
    }
    None
}

/// The broken pod that blocks an ordered StatefulSet, as a step; none if no pod is broken.
fn broken_pod(ask: &Ask<'_>) -> Result<Option<Step>, NoProposal> {
    let named = |pod: &&Value| ask.finding.pods.iter().any(|k| *k.name == *live::text(&pod["metadata"]["name"]));
    let pod = ask.dossier.pods.iter().filter(named).find(|p| !live::is_ready(p));
    pod.map(|p| live::evict_step(p, Gate::WorkloadReady, "it blocks the ordered rollback")).transpose()
}

/// What a person needs to commit: the images of the good template (its other fields are in their own history).
fn exported(template: &Value) -> Value {
    let containers = template["spec"]["containers"].as_array();
    let images: Vec<Value> =
        containers.into_iter().flatten().map(|c| json!({"name": c["name"], "image": c["image"]})).collect();
    json!({"spec": {"containers": images}})
}
