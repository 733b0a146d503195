//! Nodes, namespaces, events, autoscalers and budgets.

use super::{message, reason_of, target_kind, uid};
use crate::model::autoscaler::{Bounds, DOWNSCALE_STABILIZATION, Scaling, Target, Tolerances};
use crate::model::cluster::{ConfigMapRow, EventRow, HpaRow, NamespaceRow, NodeRow, NodeTrouble, Owner, PdbRow};
use crate::model::object::{ObjectRef, Resource, WorkloadKey, WorkloadKind};
use crate::model::quantity::{Bytes, Cpu, parse_quantity};
use crate::model::text;
use crate::monitor::intern::Interner;
use crate::monitor::lite::{
    EventLite, HpaLite, HpaSpecLite, Involved, Meta, MetricLite, NamespaceLite, NodeLite, PdbLite, ScaledObjectLite,
    TargetRef, VpaLite, condition,
};
use std::sync::Arc;

/// Node conditions and the status in which they are trouble.
const TROUBLES: [(&str, &str, NodeTrouble); 6] = [
    ("Ready", "False", NodeTrouble::NotReady),
    ("Ready", "Unknown", NodeTrouble::Unknown),
    ("MemoryPressure", "True", NodeTrouble::MemoryPressure),
    ("DiskPressure", "True", NodeTrouble::DiskPressure),
    ("PIDPressure", "True", NodeTrouble::PidPressure),
    ("NetworkUnavailable", "True", NodeTrouble::NetworkUnavailable),
];

/// One node as a row.
pub fn node(raw: &NodeLite, names: &mut Interner) -> NodeRow {
    let (meta, status) = (&raw.metadata, &raw.status);
    let troubles = TROUBLES.iter().filter_map(|(kind, bad, trouble)| {
        let c = condition(&status.conditions, kind, bad)?;
        Some((*trouble, c.last_transition_time, message(&c.message)))
    });
    let amount = |raw: &Option<String>| raw.clone().unwrap_or_default();
    NodeRow {
        name: names.text(&meta.name),
        uid: uid(&meta.uid),
        resource_version: uid(&meta.resource_version),
        ready: condition(&status.conditions, "Ready", "True").is_some(),
        cordoned: raw.spec.unschedulable,
        troubles: troubles.collect(),
        cpu: Cpu::parse(&amount(&status.allocatable.cpu)).unwrap_or_default(),
        memory: Bytes::parse(&amount(&status.allocatable.memory)).unwrap_or_default(),
        pods: parse_quantity(&amount(&status.allocatable.pods)).unwrap_or_default() as u32,
        zone: names.text(meta.labels.get("topology.kubernetes.io/zone").unwrap_or_default()),
        version: names.text(&status.node_info.kubelet_version),
        created: meta.creation_timestamp.unwrap_or_default(),
    }
}

/// One namespace as a row.
pub fn namespace(raw: &NamespaceLite, names: &mut Interner) -> NamespaceRow {
    NamespaceRow {
        name: names.text(&raw.metadata.name),
        opted_in: raw.metadata.labels.get("autonomous-enabled") == Some("true"),
        terminating: raw.status.phase == "Terminating" || raw.metadata.deletion_timestamp.is_some(),
    }
}

/// One event as a row. `None` if it bears no time at all.
pub fn event(raw: &EventLite, names: &mut Interner) -> Option<EventRow> {
    let series = raw.series.as_ref();
    let times = [series.and_then(|s| s.last_observed_time), raw.last_timestamp, raw.event_time];
    let last = times.into_iter().flatten().max().or(raw.metadata.creation_timestamp)?;
    Some(EventRow {
        uid: uid(&raw.metadata.uid),
        object: involved(&raw.involved_object, names),
        warning: raw.kind == "Warning",
        reason: names.text(&raw.reason),
        message: (*message(&raw.message)).into(),
        count: series.map_or(raw.count.unwrap_or(1), |s| s.count).max(1),
        last,
    })
}

/// The object an event is about; kinds that are not known get a plural by guess, good enough for a name.
fn involved(raw: &Involved, names: &mut Interner) -> ObjectRef {
    let known = [Resource::NODES, Resource::HPAS, Resource::PDBS, Resource::NAMESPACES, Resource::SERVICES];
    let resource = WorkloadKind::from_kind(&raw.kind)
        .resource()
        .or_else(|| known.into_iter().find(|r| r.kind == raw.kind))
        .unwrap_or_else(|| {
            let (group, version) = raw.api_version.split_once('/').unwrap_or(("", &raw.api_version));
            let owned = |t: &str| text::clean(t).into_owned().into();
            Resource {
                group: owned(group),
                version: owned(version),
                kind: owned(&raw.kind),
                plural: owned(&format!("{}s", raw.kind.to_lowercase())),
                namespaced: !raw.namespace.is_empty(),
            }
        });
    let namespace = (resource.namespaced && !raw.namespace.is_empty()).then(|| names.text(&raw.namespace));
    ObjectRef { resource, namespace, name: names.text(&raw.name) }
}

/// One horizontal autoscaler as a row.
pub fn hpa(raw: &HpaLite, names: &mut Interner) -> HpaRow {
    let (spec, status) = (&raw.spec, &raw.status);
    let metrics = spec.metrics.iter().filter_map(|m| m.resource.as_ref().or(m.container_resource.as_ref()));
    let blocked = ["AbleToScale", "ScalingActive"].iter().find_map(|c| condition(&status.conditions, c, "False"));
    HpaRow {
        namespace: names.text(&raw.metadata.namespace),
        name: names.text(&raw.metadata.name),
        target: target(&raw.metadata, &spec.scale_target_ref, names),
        min: spec.min_replicas.unwrap_or(1),
        max: spec.max_replicas,
        current: status.current_replicas,
        desired: status.desired_replicas,
        resources: metrics.map(|m| names.text(&m.name)).collect(),
        blocked: blocked.map(|c| reason_of(c, names)),
        scaling: Some(Arc::new(scaling(&raw.spec))),
    }
}

fn scaling(spec: &HpaSpecLite) -> Scaling {
    let behavior = spec.behavior.as_ref();
    let cpu = match &spec.metrics[..] {
        [MetricLite { resource: Some(cpu), .. }] if cpu.name == "cpu" => {
            let value = || {
                Some(Target::Average((parse_quantity(cpu.target.average_value.as_deref()?)? * 1000.0).ceil() as i64))
            };
            value().or_else(|| cpu.target.average_utilization.map(Target::Utilization))
        }
        _ => None,
    };
    let (min, max) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
    Scaling {
        bounds: Bounds::with(i64::from(min), i64::from(max), behavior, DOWNSCALE_STABILIZATION),
        tolerances: Tolerances::of(behavior),
        cpu,
    }
}

/// One disruption budget as a row.
pub fn pdb(raw: &PdbLite, names: &mut Interner) -> PdbRow {
    let selector = &raw.spec.selector;
    let pairs = selector.match_labels.iter().map(|(k, v)| (names.text(k), names.text(v))).collect();
    PdbRow {
        namespace: names.text(&raw.metadata.namespace),
        name: names.text(&raw.metadata.name),
        selector: selector.match_expressions.is_empty().then_some(pairs),
        allowed: raw.status.disruptions_allowed,
        healthy: raw.status.current_healthy,
        desired: raw.status.desired_healthy,
    }
}

/// A ConfigMap, by its metadata.
pub fn config_map(meta: &Meta, names: &mut Interner) -> ConfigMapRow {
    ConfigMapRow {
        namespace: names.text(&meta.namespace),
        name: names.text(&meta.name),
        version: meta.resource_version.as_str().into(),
    }
}

/// An autoscaler as an owner of what it targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaler {
    /// What it acts on.
    pub target: WorkloadKey,
    /// How it is named as an owner; `None` if it only recommends.
    pub owner: Option<Owner>,
    /// Plural of its kind where it has no row of its own (all but HPAs).
    pub counted: Option<Arc<str>>,
}

/// The owner an HPA stands for: KEDA's ScaledObject, if KEDA made it.
pub fn scaler_of_hpa(raw: &HpaLite, names: &mut Interner) -> Scaler {
    let owner = match raw.metadata.labels.get("scaledobject.keda.sh/name") {
        Some(keda) => Owner::Keda(names.text(keda)),
        None => Owner::Hpa(names.text(&raw.metadata.name)),
    };
    Scaler { target: target(&raw.metadata, &raw.spec.scale_target_ref, names), owner: Some(owner), counted: None }
}

/// A vertical autoscaler: an owner unless its mode is `Off`. `None` without a target.
pub fn vpa(raw: &VpaLite, names: &mut Interner) -> Option<Scaler> {
    let mode = raw.spec.update_policy.as_ref().and_then(|p| p.update_mode.as_deref());
    let owner = (mode != Some("Off")).then(|| Owner::Vpa(names.text(&raw.metadata.name)));
    Some(Scaler { target: target(&raw.metadata, raw.spec.target_ref.as_ref()?, names), owner, counted: None })
}

/// A KEDA ScaledObject. `None` without a target.
pub fn scaled_object(raw: &ScaledObjectLite, names: &mut Interner) -> Option<Scaler> {
    let target = target(&raw.metadata, raw.spec.scale_target_ref.as_ref()?, names);
    Some(Scaler { target, owner: Some(Owner::Keda(names.text(&raw.metadata.name))), counted: None })
}

fn target(meta: &Meta, target: &TargetRef, names: &mut Interner) -> WorkloadKey {
    let name: Arc<str> = names.text(&target.name);
    WorkloadKey { namespace: names.text(&meta.namespace), name, kind: target_kind(target.kind.as_deref()) }
}
