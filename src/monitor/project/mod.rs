//! From wire shapes to rows: pure functions, with an interner for what rows share.

mod controller;
mod others;
mod pod;

pub use controller::{Controller, controller};
pub use others::{Scaler, config_map, event, hpa, namespace, node, pdb, scaled_object, scaler_of_hpa, vpa};
pub use pod::pod;

use super::intern::Interner;
use super::lite::{Condition, ContainerLite, PodSpecLite, Quantities};
use crate::model::object::WorkloadKind;
use crate::model::pod::{Amount, ContainerSpec, Probes, Resources, Uid};
use crate::model::quantity::{Bytes, Cpu};
use crate::model::text;
use std::sync::Arc;

/// Longest message that is kept, in bytes; the rest is in the object's YAML.
const LONGEST_MESSAGE: usize = 1024;

/// A cleaned UID.
pub fn uid(raw: &str) -> Uid {
    text::clean(raw).into()
}

/// A cleaned message of bounded length.
pub fn message(raw: &str) -> Arc<str> {
    let mut end = raw.len().min(LONGEST_MESSAGE);
    while !raw.is_char_boundary(end) {
        end -= 1;
    }
    Arc::from(&*text::clean(&raw[..end]))
}

/// Reason (shared) and message of a condition.
fn reason_of(c: &Condition, names: &mut Interner) -> (Arc<str>, Arc<str>) {
    (names.text(&c.reason), message(&c.message))
}

/// The containers of a spec, init containers first, shared with every equal list.
fn specs(spec: &PodSpecLite, names: &mut Interner) -> Arc<[ContainerSpec]> {
    let init = spec.init_containers.iter().map(|c| (c, true));
    let all = init.chain(spec.containers.iter().map(|c| (c, false)));
    let list = all.map(|(c, init)| container_spec(c, init, names)).collect();
    names.specs(list)
}

fn container_spec(c: &ContainerLite, init: bool, names: &mut Interner) -> ContainerSpec {
    let (requests, limits) = (&c.resources.requests, &c.resources.limits);
    ContainerSpec {
        name: names.text(&c.name),
        image: names.text(&c.image),
        resources: Resources {
            cpu_request: cpu(requests, names),
            cpu_limit: cpu(limits, names),
            memory_request: memory(requests, names),
            memory_limit: memory(limits, names),
        },
        probes: Probes {
            liveness: c.liveness_probe.is_some(),
            readiness: c.readiness_probe.is_some(),
            startup: c.startup_probe.is_some(),
        },
        init,
    }
}

fn cpu(q: &Quantities, names: &mut Interner) -> Option<Amount<Cpu>> {
    let raw = q.cpu.as_deref()?;
    Some(Amount { value: Cpu::parse(raw)?, raw: names.text(raw) })
}

fn memory(q: &Quantities, names: &mut Interner) -> Option<Amount<Bytes>> {
    let raw = q.memory.as_deref()?;
    Some(Amount { value: Bytes::parse(raw)?, raw: names.text(raw) })
}

/// A controller's kind; the kind of a target that names none is a Deployment's (KEDA's default).
fn target_kind(kind: Option<&str>) -> WorkloadKind {
    WorkloadKind::from_kind(&text::clean(kind.unwrap_or("Deployment")))
}

#[cfg(test)]
mod tests;
