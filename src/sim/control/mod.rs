//! The controllers of kube-controller-manager 1.36, as one actor: they share what they know of pods and owners, and each
//! keeps a queue of objects to look at again. A change only marks objects as dirty; a reconcile compares what is with
//! what should be and writes the difference, so that a steady object costs a look and no write.
//! Source of what they do: k8s.io/kubernetes/pkg/controller.

mod context;
mod cronjob;
mod daemonset;
mod deployment;
mod disruption;
mod endpoints;
mod garbage;
pub mod hpa;
mod job;
mod namespace;
mod node;
mod pods;
mod queue;
mod replicaset;
mod revisions;
mod select;
mod statefulset;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod world;

use super::engine::Actor;
use super::machine::Shared;
use super::noise::Noise;
use super::store::{Change, Store, What};
use crate::model::time::Timestamp;
use context::Context;
use queue::{Id, Queue};
use std::collections::VecDeque;
use std::sync::Arc;
use world::{Seen, World};

pub use deployment::sets::template_hash;
pub use namespace::resource as resource_of_definition;
pub use pods::{admit, qos_class};
pub use select::{matches, selects_nothing};

/// Field manager of everything the controllers write.
pub const MANAGER: &str = "kube-controller-manager";

/// One controller.
trait Controller: Send {
    /// Marks in `queue` what `seen` makes worth a look.
    fn observe(&mut self, seen: &Seen<'_>, world: &World, queue: &mut Queue);
    /// Looks at one object; gives back when to look again if nothing happens until then.
    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp>;
}

/// All controllers and what they share.
struct Manager {
    store: Arc<Store>,
    machines: Shared,
    noise: Noise,
    world: World,
    parts: Vec<(Box<dyn Controller>, Queue)>,
    /// When each version of an Event expires, in the order they were written.
    expiring: VecDeque<(Timestamp, Id, u64)>,
}

/// The controllers, ready for the engine.
pub fn actors(store: &Arc<Store>, machines: &Shared, noise: Noise) -> Vec<Box<dyn Actor>> {
    let parts: Vec<Box<dyn Controller>> = vec![
        Box::new(deployment::Deployments),
        Box::new(replicaset::ReplicaSets),
        Box::new(statefulset::StatefulSets),
        Box::new(daemonset::DaemonSets::default()),
        Box::new(job::Jobs),
        Box::new(cronjob::CronJobs),
        Box::new(endpoints::Endpoints::default()),
        Box::new(disruption::Budgets::default()),
        Box::new(hpa::Autoscalers::default()),
        Box::new(node::Lifecycle::default()),
        Box::new(node::Evictions::default()),
        Box::new(node::Orphans),
        Box::new(garbage::Collector),
        Box::new(namespace::Namespaces::default()),
        Box::new(namespace::Definitions),
    ];
    vec![Box::new(Manager {
        store: store.clone(),
        machines: machines.clone(),
        noise: noise.of("control"),
        world: World::default(),
        parts: parts.into_iter().map(|p| (p, Queue::default())).collect(),
        expiring: VecDeque::new(),
    })]
}

impl Actor for Manager {
    fn name(&self) -> &'static str {
        "controllers"
    }

    fn observe(&mut self, change: &Change) {
        let object = &change.object;
        if &*object.key == "events" && change.what != What::Deleted {
            let until = self.store.clock().now() + super::clock::seconds(super::events::TTL_SECONDS as f64);
            self.expiring.push_back((until, Id::of(object), object.version));
        }
        let Some(seen) = self.world.note(change, &self.store.registry, self.store.clock().now()) else { return };
        for (part, queue) in &mut self.parts {
            part.observe(&seen, &self.world, queue);
        }
    }

    fn due(&self) -> Option<Timestamp> {
        let expiring = self.expiring.front().map(|(t, ..)| *t);
        self.parts.iter().filter_map(|(_, q)| q.due()).chain(expiring).min()
    }

    fn act(&mut self, now: Timestamp) {
        let cx = Context { store: &self.store, machines: &self.machines, noise: self.noise, now, world: &self.world };
        while let Some((_, id, version)) = self.expiring.pop_front_if(|(t, ..)| *t <= now) {
            // A later version has an entry of its own.
            if let Some(event) = self.store.get(&id.key, &id.namespace, &id.name).filter(|e| e.version == version) {
                cx.delete(&id, &event.uid);
            }
        }
        for (part, queue) in &mut self.parts {
            for id in queue.take(now) {
                if let Some(again) = part.reconcile(&cx, &id) {
                    queue.at(id, again.max(now + super::clock::seconds(0.001)));
                }
            }
        }
    }
}
