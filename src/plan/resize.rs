//! Other requests and limits for a workload that asks for too much or too little (P10).
//!
//! In place where the server can (`pods/resize`, GA in 1.35, on by default since 1.33): no pod restarts, and what replaces
//! them comes with the template's sizes, whose patch is exported. Else by the template, which is a rollout. Where somebody
//! else declares the object, only the patch is exported. Grows after an hour's rest and shrinks after a day's.
//! Source: KEP-1287; reference §5.3.

use super::draft::{Draft, owners};
use super::risk::Change;
use super::{Ask, NoProposal, blast, live};
use crate::model::cluster::Owner;
use crate::model::object::{ObjectRef, Resource, WorkloadKind};
use crate::model::plan::{Blast, Risk, Step, Strategy};
use crate::model::quantity::{Bytes, Cpu, parse_quantity};
use crate::model::sizing::Resize;
use crate::model::time::short;
use chrono::TimeDelta;
use json_patch::PatchOperation;
use serde_json::{Value, json};

/// Pods that are resized in place by one plan at most.
const MOST_PODS: usize = 20;
/// The first version whose servers and kubelets resize in place without being told to.
const IN_PLACE: (u32, u32) = (1, 33);

/// Plans it, or says why not.
pub fn plan(ask: &Ask<'_>, grow: bool, changes: &[Resize]) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    let object = ask.live()?;
    ask.metrics_fresh()?;
    rested(ask, grow)?;
    if let Some(vpa) = owners(ask)?.iter().find(|o| matches!(o, Owner::Vpa(_))) {
        return Err(NoProposal::because(format!(
            "{vpa} owns the requests and limits: change its resourcePolicy instead"
        )));
    }
    let template = &object["spec"]["template"];
    let mut fragments = Vec::new();
    for change in changes {
        let Some((list, _, spec)) = live::container(template, &change.container) else {
            return Err(NoProposal::because(format!(
                "the live template has no container {} any more",
                change.container
            )));
        };
        fragments.push((list, fragment(spec, change)));
    }
    fits(ask, changes)?;
    let manifest = manifest(&fragments);
    let why_not = match in_place(ask, changes) {
        Ok(pods) => return pods_plan(ask, grow, changes, &pods, manifest),
        Err(why) => why,
    };
    let target = match workload.key.kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => workload.key.object(),
        _ => None,
    };
    let Some(target) = target.filter(|_| !workload.paused && object["spec"]["paused"] != true) else {
        return Err(NoProposal::because(format!(
            "{} does not roll out a change of its template now, and not in place: {why_not}",
            workload.key
        )));
    };
    let (mut forth, mut back) = (Vec::new(), Vec::new());
    for change in changes {
        let Some((list, index, spec)) = live::container(template, &change.container) else { continue };
        let index = index.to_string();
        let base = ["spec", "template", "spec", list, &index];
        let (f, b) = patch(spec, &base, change)?;
        forth.extend(f);
        back.extend(b);
    }
    let title = title(changes);
    let step = live::patch_step(title.clone(), object, target, forth, back, None)?;
    Ok(Draft {
        strategy: Strategy::Rightsize,
        title: format!("{}/{}: {title}", workload.key.namespace, workload.key.name),
        steps: vec![step],
        change: Change::Template,
        blast: blast::rollout(object, workload.replicas.desired),
        effect: effect(grow),
        notes: vec![format!("by a rollout and not in place: {why_not}")],
        why: Vec::new(),
        manifest: Some(manifest),
        at_least: if grow { Risk::Low } else { Risk::Medium },
    })
}

/// Whether the last change of this workload is long enough ago.
fn rested(ask: &Ask<'_>, grow: bool) -> Result<(), NoProposal> {
    let Some(last) = ask.history.last_rightsizing(&ask.workload()?.key) else { return Ok(()) };
    let rest = if grow { ask.set.rightsize_grow } else { ask.set.rightsize_shrink };
    let left = TimeDelta::from_std(rest).unwrap_or(TimeDelta::MAX) - (ask.now - last);
    if left <= TimeDelta::zero() {
        return Ok(());
    }
    let verb = if grow { "grows" } else { "shrinks" };
    Err(NoProposal::because(format!(
        "its size was changed {} ago; it {verb} again in {} at the earliest",
        short(ask.now - last),
        short(left)
    )))
}

/// Whether a container that grows still fits on the largest node, and into what a LimitRange allows.
fn fits(ask: &Ask<'_>, changes: &[Resize]) -> Result<(), NoProposal> {
    for change in changes.iter().filter(|c| c.grows()) {
        let most = change.new_limit.unwrap_or(change.new_request).max(change.new_request);
        let room = ask.snapshot.nodes.iter().map(|n| if is_cpu(change) { n.cpu.cores() } else { n.memory.0 as f64 });
        if let Some(largest) = room.reduce(f64::max).filter(|r| change.new_request > ask.set.memory_node_share * r) {
            return Err(NoProposal::because(format!(
                "{} of {} for {} are more than {:.0} % of the largest node ({})",
                written(change, change.new_request),
                change.resource,
                change.container,
                100.0 * ask.set.memory_node_share,
                written(change, largest)
            )));
        }
        for item in &ask.dossier.limits {
            for range in item["spec"]["limits"].as_array().into_iter().flatten().filter(|r| r["type"] == "Container") {
                let max = range["max"][&*change.resource].as_str().and_then(parse_quantity);
                if max.is_some_and(|max| most > max) {
                    return Err(NoProposal::because(format!(
                        "LimitRange {} allows a container at most {} of {}",
                        live::text(&item["metadata"]["name"]),
                        written(change, max.unwrap_or_default()),
                        change.resource
                    )));
                }
            }
        }
    }
    Ok(())
}

/// The live pods, if all of them can be resized in place; else why not.
fn in_place<'a>(ask: &Ask<'a>, changes: &[Resize]) -> Result<Vec<&'a Value>, String> {
    let workload = ask.workload().map_err(|no| no.why)?;
    let able = |version: &str| version_of(version).is_some_and(|v| v >= IN_PLACE);
    let server = &ask.snapshot.cluster.version;
    if !able(server) {
        return Err(format!("the server ({server}) does not resize in place"));
    }
    let old = workload.live_pods().filter_map(|p| p.node.as_deref()).find(|name| {
        let node = ask.snapshot.nodes.iter().find(|n| *n.name == **name);
        node.is_none_or(|n| !able(&n.version))
    });
    if let Some(node) = old {
        return Err(format!("the kubelet of {node} is too old for it, or not known"));
    }
    if let Some(c) = changes.iter().find(|c| !is_cpu(c) && c.new_limit.zip(c.limit).is_some_and(|(new, old)| new < old))
    {
        return Err(format!("the memory limit of {} falls, and a running process could be killed at it", c.container));
    }
    if let Some(c) = changes.iter().find(|c| c.request.is_none()) {
        return Err(format!(
            "{} requests no {} yet, and the QoS class of a running pod stays",
            c.container, c.resource
        ));
    }
    let all = workload.live_pods().count();
    if all == 0 || all > MOST_PODS {
        return Err(format!("{all} pods; between 1 and {MOST_PODS} are resized one by one"));
    }
    let mut pods = Vec::new();
    for row in workload.live_pods() {
        let pod = ask.dossier.pods.iter().find(|p| live::text(&p["metadata"]["uid"]) == &*row.uid);
        let pod = pod.ok_or_else(|| format!("pod {} was not fetched", row.name))?;
        if !live::is_ready(pod) {
            return Err(format!("pod {} is not ready", row.name));
        }
        for change in changes {
            let named = |c: &&Value| c["name"] == *change.container;
            let spec = pod["spec"]["containers"].as_array().into_iter().flatten().find(named);
            let spec = spec.ok_or_else(|| format!("pod {} has no running container {}", row.name, change.container))?;
            let policies = spec["resizePolicy"].as_array().into_iter().flatten();
            if policies
                .clone()
                .any(|p| p["resourceName"] == *change.resource && p["restartPolicy"] == "RestartContainer")
            {
                return Err(format!(
                    "{} restarts for a change of {} (resizePolicy)",
                    change.container, change.resource
                ));
            }
        }
        pods.push(pod);
    }
    Ok(pods)
}

/// `v1.36.2` as (1, 36).
fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split('.');
    let minor = parts.clone().nth(1)?;
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    Some((parts.next()?.parse().ok()?, digits.parse().ok()?))
}

fn pods_plan(
    ask: &Ask<'_>,
    grow: bool,
    changes: &[Resize],
    pods: &[&Value],
    manifest: Value,
) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    let title = title(changes);
    let mut steps: Vec<Step> = Vec::new();
    for pod in pods {
        let name = live::text(&pod["metadata"]["name"]);
        let (mut forth, mut back) = (Vec::new(), Vec::new());
        for change in changes {
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten().enumerate();
            let Some((index, spec)) = containers.into_iter().find(|(_, c)| c["name"] == *change.container) else {
                continue;
            };
            let (f, b) = patch(spec, &["spec", "containers", &index.to_string()], change)?;
            forth.extend(f);
            back.extend(b);
        }
        let place = ObjectRef::namespaced(Resource::PODS, workload.key.namespace.clone(), name);
        steps.push(live::patch_step(format!("pod {name}: {title}"), pod, place, forth, back, Some("resize"))?);
    }
    let count = steps.len();
    Ok(Draft {
        strategy: Strategy::Rightsize,
        title: format!("{}/{}: {title}, in place", workload.key.namespace, workload.key.name),
        steps,
        change: Change::InPlace,
        blast: Blast {
            pods: count as u32,
            share_down: 0.0,
            nodes: 0,
            text: format!("{count} running pods, one after the other; none restarts"),
        },
        effect: effect(grow),
        notes: vec![
            "new pods come with the template's sizes: put the exported patch into the template with the next release"
                .to_owned(),
            "a node without room defers the change; the pod's condition PodResizePending says so".to_owned(),
        ],
        why: Vec::new(),
        manifest: Some(manifest),
        at_least: Risk::Low,
    })
}

fn effect(grow: bool) -> String {
    if grow {
        "its pods are placed where there is room for what they use".to_owned()
    } else {
        "what was reserved and not used is free for others".to_owned()
    }
}

fn is_cpu(change: &Resize) -> bool {
    &*change.resource == "cpu"
}

/// As written into a patch.
fn written(change: &Resize, value: f64) -> String {
    if is_cpu(change) {
        Cpu((value * 1000.0).round() as u64).to_string()
    } else {
        Bytes(value.round() as u64).to_string()
    }
}

fn title(changes: &[Resize]) -> String {
    let one = |c: &Resize| {
        let from = c.request.map_or("nothing".to_owned(), |r| written(c, r));
        format!("{} {} request from {from} to {}", c.container, c.resource, written(c, c.new_request))
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Operations there and back below a live container. What it asks for must be what was held against its use.
fn patch(
    spec: &Value,
    base: &[&str],
    change: &Resize,
) -> Result<(Vec<PatchOperation>, Vec<PatchOperation>), NoProposal> {
    let name: Vec<&str> = base.iter().copied().chain(["name"]).collect();
    let check = live::test(&name, json!(&*change.container));
    let (mut forth, mut back) = (vec![check.clone()], vec![check]);
    let fields = [("requests", change.request, Some(change.new_request)), ("limits", change.limit, change.new_limit)];
    for (field, before, after) in fields {
        let old = &spec["resources"][field][&*change.resource];
        let is = old.as_str().and_then(parse_quantity).or_else(|| old.as_f64());
        let same = match (is, before) {
            (None, None) => true,
            (Some(is), Some(before)) => (is - before).abs() <= 1e-9 * before.abs().max(1.0),
            _ => false,
        };
        if !same {
            return Err(NoProposal::because(format!(
                "{field}.{} of {} is {} now; its use was held against another: wait for the next hour",
                change.resource,
                change.container,
                if old.is_null() { "not set".to_owned() } else { old.to_string() }
            )));
        }
        let Some(after) = after else { continue };
        let new = json!(written(change, after));
        let path: Vec<&str> = base.iter().copied().chain(["resources", field, &*change.resource]).collect();
        if !old.is_null() {
            let (f, b) = live::change(&path, old, &new);
            forth.extend(f);
            back.extend(b);
        } else if spec["resources"][field].is_object() {
            forth.push(live::add(&path, new.clone()));
            back.extend([live::test(&path, new), live::remove(&path)]);
        } else {
            return Err(NoProposal::because(format!(
                "the template has no {field} for {}: write them by hand once",
                change.container
            )));
        }
    }
    Ok((forth, back))
}

/// The container's part of a strategic merge patch.
fn fragment(spec: &Value, change: &Resize) -> Value {
    let mut resources = json!({"requests": {}});
    resources["requests"][&*change.resource] = json!(written(change, change.new_request));
    if let Some(limit) = change.new_limit {
        resources["limits"] = json!({});
        resources["limits"][&*change.resource] = json!(written(change, limit));
    }
    json!({"name": spec["name"], "resources": resources})
}

/// All fragments as one manifest: those of one container merged.
fn manifest(fragments: &[(&'static str, Value)]) -> Value {
    let mut lists: Vec<(&str, Vec<Value>)> = Vec::new();
    for (list, part) in fragments {
        let at = lists.iter().position(|(l, _)| l == list).unwrap_or_else(|| {
            lists.push((list, Vec::new()));
            lists.len() - 1
        });
        let known = lists[at].1.iter_mut().find(|c| c["name"] == part["name"]);
        match known {
            None => lists[at].1.push(part.clone()),
            Some(known) => {
                for (field, values) in part["resources"].as_object().into_iter().flatten() {
                    for (resource, value) in values.as_object().into_iter().flatten() {
                        known["resources"][field][resource] = value.clone();
                    }
                }
            }
        }
    }
    let mut spec = json!({});
    for (list, containers) in lists {
        spec[list] = json!(containers);
    }
    json!({"spec": {"template": {"spec": spec}}})
}

#[cfg(test)]
mod tests;
