//! Gates on who else writes the same fields. They hold for persons too: a patch over somebody else's desired
//! state is reverted at best. The plan's `export` is what they can commit instead.

use super::Context;
use crate::model::action::Refusal;
use crate::model::cluster::Owner;
use crate::model::object::Resource;

/// G15: autoscalers keep what is theirs: replicas (HPA, KEDA), requests and limits (VPA), and a request that
/// is the base of an HPA's percentage.
pub(super) fn g15_autoscalers_keep_their_own(c: &Context<'_>) -> Vec<Refusal> {
    let touches = c.touches();
    let mut reasons = Vec::new();
    for owner in owners(c) {
        let autoscaler = matches!(owner, Owner::Hpa(_) | Owner::Keda(_) | Owner::Vpa(_));
        let replicas = touches.replicas && owner.owns_replicas();
        let resources = touches.resources && owner.owns_resources();
        if autoscaler && (replicas || resources) {
            let what = if replicas { "replicas" } else { "requests and limits" };
            reasons.push(Refusal::new("g15", format!("{owner} sets the {what}"), "change its bounds instead"));
        }
    }
    if touches.resources
        && let Some(key) = c.request.item.proposal.workload()
    {
        let based = c.request.snapshot.hpas.iter().filter(|h| h.target == *key);
        for hpa in based.filter(|h| h.resources.iter().any(|r| changes_request(c, r))) {
            let why = format!("HPA {} scales on a share of the request that would change", hpa.name);
            reasons.push(Refusal::new("g15", why, "change it together with the HPA's target"));
        }
    }
    reasons
}

/// G16: what Git, Helm or an operator declares is changed there.
pub(super) fn g16_declared_elsewhere(c: &Context<'_>) -> Vec<Refusal> {
    let touches = c.touches();
    if !touches.spec {
        return Vec::new(); // Evicting a pod changes nobody's desired state.
    }
    let written = crate::execute::touches::targets(&c.request.item.proposal.plan);
    let beside = c.request.surroundings.iter().flat_map(|s| s.beside.iter());
    let beside = beside.filter(|(object, _)| written.contains(&object)).map(|(_, owner)| owner.clone());
    let mut reasons: Vec<Refusal> = owners(c)
        .into_iter()
        .chain(beside)
        .filter(Owner::owns_spec)
        .map(|owner| {
            let remedy = match owner {
                Owner::ArgoCd(_) | Owner::Flux(_) => "commit the exported patch to its repository",
                Owner::Helm(_) => "change the values and upgrade the release",
                _ => "change the custom resource",
            };
            Refusal::new("g16", format!("{owner} declares it and would revert the change"), remedy)
        })
        .collect();
    // Nodes are declared by no workload owner; everything else needs a look at the live object first.
    if c.request.item.proposal.plan.steps.iter().all(|s| s.target.resource == Resource::NODES) {
        return reasons;
    }
    match c.request.surroundings {
        None => reasons.push(Refusal::new("g16", "its owners were not looked at", "wait a moment")),
        Some(around) if c.auto() || touches.replicas || touches.resources => {
            let unknown = around.gaps.iter().filter(|g| is_about_owners(g));
            reasons.extend(unknown.map(|gap| {
                Refusal::new("g16", format!("not known who owns it ({gap})"), "ask for the right to read it")
            }));
        }
        Some(_) => {}
    }
    reasons
}

/// Gaps that could hide an owner.
fn is_about_owners(gap: &str) -> bool {
    ["hpas", "horizontalpodautoscalers", "vpas", "verticalpodautoscalers", "scaledobjects", "autoscalers", "object"]
        .iter()
        .any(|kind| gap.starts_with(kind))
}

/// Owners from the live object and from the snapshot, each once.
fn owners(c: &Context<'_>) -> Vec<Owner> {
    let mut all: Vec<Owner> = c.request.surroundings.map(|s| s.owners.clone()).unwrap_or_default();
    if let Some(workload) = c.request.item.proposal.workload().and_then(|key| c.request.snapshot.workload(key)) {
        all.extend(workload.owners.iter().filter(|o| !all.contains(o)).cloned().collect::<Vec<_>>());
    }
    all
}

/// Whether the plan changes the request of `cpu` or `memory`.
fn changes_request(c: &Context<'_>, resource: &str) -> bool {
    use crate::model::plan::Op;
    use json_patch::PatchOperation as P;
    c.request.item.proposal.plan.steps.iter().any(|step| match &step.op {
        Op::Patch { patch, .. } => patch.iter().any(|op| {
            let path = op.path().as_str();
            let value = match op {
                P::Add(a) => &a.value,
                P::Replace(r) => &r.value,
                P::Remove(_) => return path.ends_with(&format!("/requests/{resource}")),
                _ => return false,
            };
            path.ends_with(&format!("/requests/{resource}"))
                || (path.ends_with("/requests") && !value[resource].is_null())
                || (path.ends_with("/resources") && !value["requests"][resource].is_null())
        }),
        _ => false,
    })
}
