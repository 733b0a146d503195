//! HorizontalPodAutoscalers (pkg/controller/podautoscaler): gathers what a [`look`] takes into account, and writes the
//! scale, the status and the events that come of it.

pub mod look;
mod metric;
#[cfg(test)]
mod tests;
mod usage;

pub use crate::model::autoscaler as decide;

use super::context::{Context, replicas};
use super::queue::{Id, Queue};
use super::select;
use super::world::{Seen, World};
use super::{Controller, MANAGER};
use crate::model::time::Timestamp;
use crate::sim::clock::seconds;
use crate::sim::fields::Writer;
use crate::sim::machine::Place;
use crate::sim::object::{at, set, text};
use crate::sim::resource::Resource;
use crate::sim::write::scale;
use decide::{DOWNSCALE_STABILIZATION, History};
use look::{Look, Scene};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use usage::Meter;

const KEY: &str = "horizontalpodautoscalers.autoscaling";
const COMPONENT: &str = "horizontal-pod-autoscaler";
/// Seconds between two looks at one autoscaler (`--horizontal-pod-autoscaler-sync-period`).
const SYNC: f64 = 15.0;

/// What it remembers between looks.
#[derive(Default)]
pub struct Autoscalers {
    history: BTreeMap<Id, History>,
    next: BTreeMap<Id, Timestamp>,
    meter: Meter,
    /// The selectors of the targets they scale by metrics.
    selectors: BTreeMap<Id, Value>,
}

impl Controller for Autoscalers {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        if seen.key() != KEY {
            return;
        }
        let id = seen.id();
        if seen.gone() {
            self.history.remove(&id);
            self.selectors.remove(&id);
            self.next.remove(&id);
        } else if let Some(next) = self.next.get(&id) {
            // A change is looked at with the next round, not before.
            queue.at(id, *next);
        } else {
            queue.add(id);
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let hpa = cx.get(id)?;
        let look = match target(cx, &hpa) {
            Err(why) => look::without_target(&hpa, &why, cx.now),
            Ok((kind, target, scaled)) => {
                let look = self.look(cx, id, &hpa, (&kind, &scaled));
                if let Some(n) = look.scale {
                    let writer = Writer { manager: MANAGER, subresource: "scale" };
                    cx.write(&target, writer, |v| set(v, "spec.replicas", n));
                }
                look
            }
        };
        for (kind, reason, message) in &look.events {
            cx.event(&hpa, kind, reason, message, COMPONENT);
        }
        if Some(&look.status) != hpa.get("status") {
            cx.update_status(id, |v| set(v, "status", look.status));
        }
        let next = cx.now + seconds(SYNC);
        self.next.insert(id.clone(), next);
        if self.next.first_key_value().is_some_and(|(first, _)| first == id) {
            self.meter.tidy(&cx.machines.lock());
        }
        Some(next)
    }
}

impl Autoscalers {
    fn look(&mut self, cx: &Context<'_>, id: &Id, hpa: &Value, (kind, scaled): (&Resource, &Value)) -> Look {
        let selector = at(scaled, "spec.selector");
        self.selectors.insert(id.clone(), selector.cloned().unwrap_or_default());
        let known = cx.world.pods_in(&id.namespace).filter(|p| select::matches(selector, &p.stored.labels));
        let selected: Vec<_> = known.map(|p| &p.stored).collect();
        let pods: Vec<Value> = selected.iter().map(|p| p.value()).collect();
        let claims = self.selectors.iter().filter(|(other, selector)| {
            let matches = |labels| select::matches(Some(*selector), labels);
            other.namespace == id.namespace && selected.iter().any(|p| matches(&p.labels))
        });
        let claimants: Vec<String> = claims.map(|(other, _)| format!("{}/{}", other.namespace, other.name)).collect();
        let scale = scale::of(cx.store, kind, scaled);
        let machines = cx.machines.lock();
        let mut usage = |pod: &str, container: &str, resource: &str| {
            let place = Place { namespace: id.namespace.clone(), pod: pod.to_owned(), container: container.to_owned() };
            self.meter.measure(&machines, &place, resource, cx.now)
        };
        let scene = Scene {
            hpa,
            current: replicas(scaled),
            pods: &pods,
            selector: text(&scale, "status.selector"),
            claimants: &claimants,
            usage: &mut usage,
            stabilization: DOWNSCALE_STABILIZATION,
            now: cx.now,
        };
        look::look(scene, self.history.entry(id.clone()).or_default())
    }
}

/// The object an autoscaler scales, or why it cannot be had.
fn target(cx: &Context<'_>, hpa: &Value) -> Result<(Arc<Resource>, Id, Arc<Value>), String> {
    let (version, kind, name) = (
        text(hpa, "spec.scaleTargetRef.apiVersion"),
        text(hpa, "spec.scaleTargetRef.kind"),
        text(hpa, "spec.scaleTargetRef.name"),
    );
    let kind = match cx.store.registry.of_kind(version, kind) {
        None => {
            let group = version.rsplit_once('/').map_or("", |v| v.0);
            return Err(format!("no matches for kind \"{kind}\" in group \"{group}\""));
        }
        Some(k) if !k.has("scale") => return Err("the server could not find the requested resource".to_owned()),
        Some(kind) => kind,
    };
    let id = Id::new(&kind.key(), text(hpa, "metadata.namespace"), name);
    let found = cx.get(&id).ok_or_else(|| format!("{} \"{name}\" not found", kind.key()))?;
    Ok((kind, id, found))
}
