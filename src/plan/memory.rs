//! Raise a container's memory limit after it was killed at it.
//!
//! VPA's rule: the larger of +`memory_bump` and ×`memory_factor` over the largest of request, measured peak and
//! limit, rounded up to a whole mebibyte. Capped by LimitRange, ResourceQuota and the largest node; stopped after
//! `memory_raises`, since a container that keeps growing needs a person. Source: VPA RecordOOM; reference §5.3.

use super::draft::{Draft, owners};
use super::risk::Change;
use super::{Ask, NoProposal, blast, live};
use crate::config::settings::Planning;
use crate::model::cluster::Owner;
use crate::model::finding::Evidence;
use crate::model::object::WorkloadKind;
use crate::model::plan::{Risk, Strategy};
use crate::model::quantity::{Bytes, MIB};
use serde_json::{Value, json};

/// VPA's amount, in bytes: never below any of the three.
pub fn raised(request: u64, peak: u64, limit: u64, set: &Planning) -> u64 {
    let base = request.max(peak).max(limit);
    let factor = (base as f64 * set.memory_factor.max(1.0)).ceil() as u64;
    Bytes(base.saturating_add(set.memory_bump).max(factor)).round_up_mib().0
}

/// A bound on the new limit, and who set it.
struct Cap {
    bytes: u64,
    by: String,
}

/// Plans the raise, or says why not.
pub fn plan(ask: &Ask<'_>, container: &str, killed_at: u64, peak: Option<u64>) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    let object = ask.live()?;
    let key = &workload.key;
    let target = match key.kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => key.object(),
        _ => None,
    };
    let Some(target) = target else {
        let why = format!(
            "the template of a {} cannot be changed; raise the memory limit of {container} where it is made",
            key.kind.as_str()
        );
        return Err(NoProposal::because(why));
    };
    stand_back(ask, container)?;
    let template = &object["spec"]["template"];
    let Some((list, index, spec)) = live::container(template, container) else {
        return Err(NoProposal::because(format!("the live template has no container {container} any more")));
    };
    let old = spec["resources"]["limits"]["memory"].clone();
    let Some(limit) = old.as_str().and_then(Bytes::parse) else {
        let why = format!(
            "the template sets no memory limit for {container} (a LimitRange does): write one into the template first"
        );
        return Err(NoProposal::because(why));
    };
    if limit.0 > killed_at {
        let why = format!(
            "the limit of {container} is {old} already, above the {} it was killed at; wait for the rollout",
            Bytes(killed_at)
        );
        return Err(NoProposal::because(why));
    }
    let request_raw = spec["resources"]["requests"]["memory"].clone();
    let request = request_raw.as_str().and_then(Bytes::parse);
    let reckoned = raised(request.map_or(0, |r| r.0), peak.unwrap_or(0), limit.0, ask.set);
    let want = wanted(ask, limit.0, reckoned)?;
    let (caps, mut notes) = caps(ask, object, limit.0, request == Some(limit));
    let tightest = caps.into_iter().min_by_key(|c| c.bytes);
    if let Some(cap) = tightest.as_ref().filter(|c| ask.wanted.is_some() && want > c.bytes) {
        return Err(NoProposal::because(format!("{} is too much: {}", Bytes(want), cap.by)));
    }
    let new = tightest.as_ref().map_or(want, |c| want.min(c.bytes / MIB * MIB));
    if new <= limit.0 {
        let by = tightest.map_or_else(String::new, |c| c.by);
        return Err(NoProposal::because(format!("{container} needs more than {old}, but {by}")));
    }
    if let Some(cap) = tightest.filter(|_| new < want) {
        notes.push(format!("held at {} instead of {}: {}", Bytes(new), Bytes(want), cap.by));
    }
    let new_text = json!(Bytes(new).to_string());
    let index_text = index.to_string();
    let base = ["spec", "template", "spec", list, &index_text];
    let at = |rest: &[&'static str]| -> Vec<String> {
        base.iter().copied().chain(rest.iter().copied()).map(str::to_owned).collect()
    };
    let name = live::test(&refs(&at(&["name"])), json!(container));
    let (mut forth, mut back) = (vec![name.clone()], vec![name]);
    let mut fields = vec![(at(&["resources", "limits", "memory"]), &old)];
    // Guaranteed stays Guaranteed: a request that equals the limit follows it.
    if request == Some(limit) {
        fields.push((at(&["resources", "requests", "memory"]), &request_raw));
        notes.push("the request equals the limit and follows it, so that the QoS class stays".into());
    } else if request.is_none() {
        notes.push("no memory request is set, so the API server makes it follow the limit".into());
    }
    for (path, old) in &fields {
        let (f, b) = live::change(&refs(path), old, &new_text);
        forth.extend(f);
        back.extend(b);
    }
    notes.extend(about(ask, spec, &key.kind, object));
    let mut resources = json!({"limits": {"memory": new_text}});
    if fields.len() > 1 {
        resources["requests"] = json!({"memory": new_text});
    }
    let title = format!("raise memory limit of container {container} from {} to {}", live::text(&old), Bytes(new));
    let step = live::patch_step(title.clone(), object, target, forth, back, None)?;
    let peak_words = peak.map_or("no peak measured".to_owned(), |p| format!("peak {}", Bytes(p).round_up_mib()));
    let sum = format!(
        "limit {}, request {}, {peak_words}: the larger of +{} and ×{} is {}",
        live::text(&old),
        request_raw.as_str().unwrap_or("none"),
        Bytes(ask.set.memory_bump),
        ask.set.memory_factor,
        Bytes(reckoned)
    );
    let unknown_nodes = ask.snapshot.nodes.is_empty();
    Ok(Draft {
        strategy: Strategy::Reconfigure,
        title: format!("{}/{}: {title}", key.namespace, key.name),
        steps: vec![step],
        change: Change::Template,
        blast: blast::rollout(object, workload.replicas.desired),
        effect: format!("{container} is no longer killed at its memory limit"),
        notes,
        why: vec![Evidence::new(
            format!("{key} spec.template.spec.{list}[name={container}].resources"),
            sum,
            Some(ask.dossier.taken),
        )],
        manifest: Some(json!({"spec": {"template": {"spec": {list: [{"name": container, "resources": resources}]}}}})),
        at_least: if unknown_nodes { Risk::Medium } else { Risk::Low },
    })
}

/// What the limit shall be: what a person wants, in whole mebibytes, else what was reckoned.
fn wanted(ask: &Ask<'_>, limit: u64, reckoned: u64) -> Result<u64, NoProposal> {
    let Some(text) = ask.wanted else { return Ok(reckoned) };
    match Bytes::parse(text.trim()).map(Bytes::round_up_mib) {
        Some(bytes) if bytes.0 > limit => Ok(bytes.0),
        Some(_) => Err(NoProposal::because(format!("{text} is not above the {} it was killed at", Bytes(limit)))),
        None => Err(NoProposal::because(format!("{text:?} is not an amount of memory such as 300Mi or 1Gi"))),
    }
}

fn refs(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// Reasons to leave the limit alone, whatever its size.
fn stand_back(ask: &Ask<'_>, container: &str) -> Result<(), NoProposal> {
    let workload = ask.workload()?;
    let raises = ask.history.memory_raises(&workload.key, container, ask.now);
    if raises >= ask.set.memory_raises {
        return Err(NoProposal::because(format!(
            "the memory of {container} was raised {raises} times in 8 days already: more would only delay; a person must look for a leak"
        )));
    }
    if let Some(vpa) = owners(ask)?.iter().find(|o| matches!(o, Owner::Vpa(_))) {
        return Err(NoProposal::because(format!(
            "{vpa} owns the requests and limits: raise its resourcePolicy.containerPolicies[].maxAllowed instead"
        )));
    }
    if workload.paused || ask.live()?["spec"]["paused"] == true {
        return Err(NoProposal::because("the Deployment is paused: nothing would roll out; resume it first"));
    }
    Ok(())
}

/// The bounds that apply, and notes about those that could not be checked.
fn caps(ask: &Ask<'_>, object: &Value, limit: u64, request_follows: bool) -> (Vec<Cap>, Vec<String>) {
    let mut caps = Vec::new();
    let mut notes = Vec::new();
    match ask.snapshot.nodes.iter().max_by_key(|n| n.memory) {
        Some(node) => caps.push(Cap {
            bytes: (node.memory.0 as f64 * ask.set.memory_node_share) as u64,
            by: format!(
                "{:.0} % of the largest node {} ({}) is the most",
                ask.set.memory_node_share * 100.0,
                node.name,
                Bytes(node.memory.0 / MIB * MIB)
            ),
        }),
        None => notes.push("node sizes are not known, so it is not checked that the pods still fit on a node".into()),
    }
    for item in &ask.dossier.limits {
        let name = live::text(&item["metadata"]["name"]);
        let ranges = item["spec"]["limits"].as_array();
        for range in ranges.into_iter().flatten().filter(|r| r["type"] == "Container") {
            if let Some(max) = range["max"]["memory"].as_str().and_then(Bytes::parse) {
                caps.push(Cap { bytes: max.0, by: format!("LimitRange {name} allows at most {max}") });
            }
        }
        let pods = ask.workload().map_or(1, |w| w.replicas.desired.max(1));
        let surge = blast::surge(object, pods);
        for field in ["limits.memory", "requests.memory", "memory"] {
            if field != "limits.memory" && !request_follows {
                continue;
            }
            let amount = |of: &str| item["status"][of][field].as_str().and_then(Bytes::parse);
            let (Some(hard), Some(used)) = (amount("hard"), amount("used")) else { continue };
            // While rolling, the extra pods count in full, and every pod counts with its growth.
            let left = hard.0.saturating_sub(used.0).saturating_sub(u64::from(surge) * pod_total(object));
            let each = left / u64::from(pods + surge);
            caps.push(Cap {
                bytes: limit.saturating_add(each),
                by: format!(
                    "quota {name} has {} of {field} left, for {pods} pods and {surge} extra while rolling",
                    Bytes(hard.0.saturating_sub(used.0))
                ),
            });
        }
    }
    (caps, notes)
}

/// Memory limits of all containers of the live template.
fn pod_total(object: &Value) -> u64 {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array();
    let limits = containers.into_iter().flatten().filter_map(|c| c["resources"]["limits"]["memory"].as_str());
    limits.filter_map(Bytes::parse).map(|b| b.0).sum()
}

/// What the operator must know about this container.
fn about(ask: &Ask<'_>, container: &Value, kind: &WorkloadKind, object: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    let env = container["env"].as_array().into_iter().flatten().filter(|e| {
        matches!(live::text(&e["name"]), "JAVA_TOOL_OPTIONS" | "JDK_JAVA_OPTIONS" | "_JAVA_OPTIONS" | "JAVA_OPTS")
    });
    let args = ["command", "args"].into_iter().flat_map(|f| container[f].as_array().into_iter().flatten());
    if env.map(|e| live::text(&e["value"])).chain(args.map(live::text)).any(|t| t.contains("-Xmx")) {
        notes.push("-Xmx fixes the Java heap: a higher limit leaves more room beside the heap, but does not grow it; consider -XX:MaxRAMPercentage".into());
    }
    let key = ask.workload().map(|w| &w.key).ok();
    for hpa in
        ask.snapshot.hpas.iter().filter(|h| Some(&h.target) == key && h.resources.iter().any(|r| &**r == "memory"))
    {
        notes.push(format!(
            "HPA {} scales on memory utilisation: a larger request lowers it, and so the replicas",
            hpa.name
        ));
    }
    if object["spec"]["updateStrategy"]["type"] == "OnDelete" {
        notes.push(format!(
            "updateStrategy OnDelete: each pod of this {} must be deleted before it gets the new limit",
            kind.as_str()
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_amount_is_vpas() {
        let set = Planning::default();
        for (request, peak, limit, want) in [
            (64, 0, 128, 228), // +100 MiB is more than ×1.2
            (128, 0, 128, 228),
            (512, 0, 1024, 1229),    // ×1.2 = 1228.8, rounded up
            (512, 1100, 1024, 1320), // the peak counts
            (0, 0, 500, 600),        // both rules agree
            (2048, 0, 1024, 2458),   // so does the request
        ] {
            assert_eq!(raised(request * MIB, peak * MIB, limit * MIB, &set) / MIB, want, "{request} {peak} {limit}");
        }
    }

    proptest! {
        #[test]
        fn a_raise_is_always_above_what_was(r in 0u64..1 << 40, p in 0u64..1 << 40, l in 1u64..1 << 40) {
            let new = raised(r, p, l, &Planning::default());
            prop_assert!(new >= r.max(p).max(l) + 100 * MIB && new.is_multiple_of(MIB));
        }
    }
}
