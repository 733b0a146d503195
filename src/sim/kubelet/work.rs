//! One look at one pod: what its containers do next. The order is the kubelet's SyncPod: see what ended, then volumes,
//! init containers, the others, probes; then the status is written if it changed.

use super::Images;
use super::node::Node;
use super::pod::{Cell, Pod, Role, Run, stamp};
use super::{NAME, status};
use crate::model::time::Timestamp;
use crate::sim::clock::at as moment;
use crate::sim::events::{self, Event};
use crate::sim::fields::Writer;
use crate::sim::machine::Machines;
use crate::sim::noise::Noise;
use crate::sim::object::{self, yes};
use crate::sim::store::{Delete, Store, StoreError};

/// What one look needs.
pub struct Work<'a> {
    /// The store.
    pub store: &'a Store,
    /// Chance.
    pub noise: Noise,
    /// Milliseconds since 1970.
    pub now: i64,
    /// What really runs.
    pub machines: &'a mut Machines,
    /// The pod's node.
    pub node: &'a mut Node,
    /// The image registry.
    pub images: &'a dyn Images,
    /// Requests of the other pods on the node, for resizes: millicores, bytes.
    pub others: &'a dyn Fn(&str, &Pod) -> [i64; 2],
}

impl Work<'_> {
    /// The moment.
    pub fn time(&self) -> Timestamp {
        moment(self.now)
    }

    /// Looks at a pod. Afterwards `pod.wake` says when to look again; gives back whether the pod is done with.
    pub fn look(&mut self, pod: &mut Pod) -> bool {
        pod.wake = i64::MAX;
        self.reap(pod);
        if pod.deadline().is_some() {
            self.terminate(pod);
        } else if pod.failed.is_some() || pod.over() {
            self.wind_down(pod);
        } else {
            self.advance(pod);
        }
        if pod.dirty {
            self.write(pod);
        }
        if pod.cells.iter().any(Cell::runs) {
            return false;
        }
        if pod.deadline().is_some() {
            let how = Delete { grace: Some(0), uid: Some(pod.uid.clone()), ..Delete::default() };
            // Gone already, or another of the same name: either way it is not ours any more.
            drop(self.store.delete("pods", &pod.key.0, &pod.key.1, &how));
            return true;
        }
        pod.over() && !pod.dirty
    }

    fn advance(&mut self, pod: &mut Pod) {
        if pod.start.is_empty() {
            pod.start = stamp(self.now);
            pod.dirty = true;
        }
        if pod.ghost || !self.mount(pod) {
            return;
        }
        if self.inits(pod) {
            for i in 0..pod.cells.len() {
                if pod.cells[i].role == Role::Main && !pod.cells[i].runs() {
                    self.try_start(pod, i);
                }
            }
        }
        for i in 0..pod.cells.len() {
            if pod.cells[i].role != Role::Init {
                self.probe(pod, i);
            }
            if let Some((at, _)) = pod.cells[i].stop {
                pod.again(at);
            }
        }
        self.resize(pod);
    }

    /// Brings the init containers on, one after the other; gives back whether all are done.
    fn inits(&mut self, pod: &mut Pod) -> bool {
        let begun = pod.cells.iter().any(|c| c.role == Role::Main && (c.runs() || c.restarts > 0));
        for i in 0..pod.cells.len() {
            let cell = &pod.cells[i];
            match cell.role {
                Role::Main => return true,
                Role::Init if cell.end().is_some_and(|e| e.exit == 0) || begun => {}
                Role::Init => {
                    if !cell.runs() {
                        self.try_start(pod, i);
                    }
                    return false;
                }
                Role::Sidecar => {
                    if !cell.runs() {
                        self.try_start(pod, i);
                    }
                    self.probe(pod, i);
                    if !pod.cells[i].started && !begun {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// After the last container of a pod ended for good, its sidecars stop.
    fn wind_down(&mut self, pod: &mut Pod) {
        for i in 0..pod.cells.len() {
            if pod.cells[i].runs() {
                self.stop(pod, i, None);
            }
        }
        pod.dirty |= object::text(&pod.object, "status.phase") != pod.phase();
    }

    /// Writes the status.
    pub fn write(&mut self, pod: &mut Pod) {
        pod.dirty = false;
        let (host, now) = (self.node.ip.clone(), stamp(self.now));
        let uid = pod.uid.clone();
        let shown: &Pod = pod;
        let written = self.store.modify("pods", &pod.key.0, &pod.key.1, Writer::status(NAME), |o| {
            if object::text(o, "metadata.uid") != uid {
                return Err(StoreError::NotFound(String::new()));
            }
            status::write(shown, o, &host, &now);
            Ok(())
        });
        if let Ok(stored) = written {
            pod.version = stored.version;
            pod.object = stored.shared();
        }
    }

    /// Tells of a container.
    pub fn tell(&self, pod: &Pod, i: usize, kind: &str, reason: &str, message: &str) {
        let cell = &pod.cells[i];
        let list = if cell.role == Role::Main { "containers" } else { "initContainers" };
        let field = format!("spec.{list}{{{}}}", cell.name);
        self.tell_at(pod, &field, kind, reason, message);
    }

    /// Tells of the pod, or of the part of it that `field` names.
    pub fn tell_at(&self, pod: &Pod, field: &str, kind: &str, reason: &str, message: &str) {
        let event = Event { about: &pod.object, field, kind, reason, message, component: NAME, host: &pod.node };
        events::tell(self.store, self.noise, self.time(), event);
    }

    /// Whether the pod uses its node's address.
    pub fn on_host(pod: &Pod) -> bool {
        yes(&pod.object, "spec.hostNetwork")
    }

    /// Puts a container to waiting.
    pub fn wait(pod: &mut Pod, i: usize, reason: &str, message: &str) {
        let run = Run::Waiting(reason.to_owned(), message.to_owned());
        if pod.cells[i].run != run {
            if let Run::Ended(end) = std::mem::replace(&mut pod.cells[i].run, run) {
                pod.cells[i].last = Some(end);
            }
            pod.dirty = true;
        }
    }
}
