//! Rows in and out, and which workloads that touches.

use super::assemble::{direct, parent};
use super::shelf::Key;
use super::{News, Table};
use crate::model::cluster::EventRow;
use crate::model::object::WorkloadKey;
use crate::model::pod::PodRow;
use crate::model::text;
use crate::model::time::Timestamp;
use crate::monitor::feed::{Feed, Object, What};
use crate::monitor::lite::{ControllerLite, Meta, PodLite};
use crate::monitor::project::{self, Controller, Scaler};
use std::sync::Arc;

impl Table {
    /// Puts an object in; gives how many more there are now.
    pub(super) fn put(&mut self, feed: &Feed, object: Object, epoch: u32, now: Timestamp) -> i64 {
        self.news = News::Change;
        let names = &mut self.names;
        let known = match object {
            Object::Pod(raw) => return self.put_pod(&raw, epoch),
            Object::Controller(raw) => return self.put_controller(feed, &raw, epoch, now),
            Object::Event(raw) => {
                let Some(row) = project::event(&raw, names) else { return 0 };
                return self.put_event(Key::of(&raw.metadata.uid), row, epoch);
            }
            Object::Node(raw) => {
                self.stale.nodes = true;
                self.nodes.put(Key::of(&raw.metadata.uid), Arc::new(project::node(&raw, names)), epoch).is_some()
            }
            Object::Namespace(raw) => {
                let row = Arc::new(project::namespace(&raw, names));
                let name = row.name.clone();
                let old = self.namespaces.put(name.clone(), row.clone(), epoch);
                self.stale.namespaces = true;
                if old.as_ref().is_none_or(|o| o.opted_in != row.opted_in) {
                    self.touch_namespace(&name);
                }
                old.is_some()
            }
            Object::Hpa(raw) => {
                self.stale.hpas = true;
                let key = Key::of(&raw.metadata.uid);
                let scaler = project::scaler_of_hpa(&raw, names);
                let known = self.hpas.put(key, Arc::new(project::hpa(&raw, names)), epoch).is_some();
                self.put_scaler(key, Some(scaler), epoch);
                known
            }
            Object::Vpa(raw) => {
                let scaler = project::vpa(&raw, names);
                return self.put_counted_scaler(feed, &raw.metadata, scaler, epoch);
            }
            Object::ScaledObject(raw) => {
                let scaler = project::scaled_object(&raw, names);
                return self.put_counted_scaler(feed, &raw.metadata, scaler, epoch);
            }
            Object::Pdb(raw) => {
                self.stale.pdbs = true;
                self.pdbs.put(Key::of(&raw.metadata.uid), Arc::new(project::pdb(&raw, names)), epoch).is_some()
            }
            Object::ConfigMap(raw) => {
                self.stale.config_maps = true;
                let row = Arc::new(project::config_map(&raw.metadata, names));
                self.config_maps.put(Key::of(&raw.metadata.uid), row, epoch).is_some()
            }
            Object::Counted(raw) => return self.put_counted(feed, &raw.metadata, epoch),
        };
        i64::from(!known)
    }

    /// Takes an object out; gives how many fewer there are now.
    pub(super) fn remove(&mut self, feed: &Feed, object: &Object) -> i64 {
        self.news = News::Change;
        let gone = match object {
            Object::Pod(raw) => {
                let pod = self.pods.take(&Key::of(&raw.metadata.uid));
                pod.inspect(|p| self.unlink(p)).is_some()
            }
            Object::Controller(raw) => return self.remove_controller(feed, &raw.metadata),
            Object::Event(raw) => {
                self.stale.events = true;
                self.events.take(&Key::of(&raw.metadata.uid)).is_some()
            }
            Object::Node(raw) => {
                self.stale.nodes = true;
                self.nodes.take(&Key::of(&raw.metadata.uid)).is_some()
            }
            Object::Namespace(raw) => {
                self.stale.namespaces = true;
                let name = self.names.text(&raw.metadata.name);
                self.touch_namespace(&name);
                self.namespaces.take(&name).is_some()
            }
            Object::Hpa(raw) => {
                self.stale.hpas = true;
                let key = Key::of(&raw.metadata.uid);
                self.take_scaler(key);
                self.hpas.take(&key).is_some()
            }
            Object::Pdb(raw) => {
                self.stale.pdbs = true;
                self.pdbs.take(&Key::of(&raw.metadata.uid)).is_some()
            }
            Object::ConfigMap(raw) => {
                self.stale.config_maps = true;
                self.config_maps.take(&Key::of(&raw.metadata.uid)).is_some()
            }
            Object::Vpa(raw) => self.take_counted(&raw.metadata),
            Object::ScaledObject(raw) => self.take_counted(&raw.metadata),
            Object::Counted(raw) => self.take_counted(&raw.metadata),
        };
        i64::from(gone)
    }

    /// Ends a list: what was not in it is gone. Gives how many that were.
    pub(super) fn sweep(&mut self, feed: &Feed, epoch: u32) -> i64 {
        let inside = |ns: &Arc<str>| feed.namespace.as_ref().is_none_or(|n| n == ns);
        let gone = match &feed.watched.what {
            What::Pod => {
                let gone = self.pods.sweep(epoch, |p| inside(&p.namespace));
                for p in &gone {
                    self.unlink(p);
                }
                gone.len()
            }
            What::Controller(kind) => {
                let gone = self.controllers.sweep(epoch, |c| c.key.kind == *kind && inside(&c.key.namespace));
                for c in &gone {
                    self.forget(c);
                }
                gone.len()
            }
            What::Event => {
                self.stale.events = true;
                self.events.sweep(epoch, |e| e.object.namespace.as_ref().is_none_or(inside)).len()
            }
            What::Node => {
                self.stale.nodes = true;
                self.nodes.sweep(epoch, |_| true).len()
            }
            What::Namespace => {
                self.stale.namespaces = true;
                let gone = self.namespaces.sweep(epoch, |n| inside(&n.name));
                for n in &gone {
                    self.touch_namespace(&n.name);
                }
                gone.len()
            }
            What::Hpa => {
                self.stale.hpas = true;
                let owned = |s: &Scaler| s.counted.is_none() && inside(&s.target.namespace);
                self.sweep_scalers(epoch, owned);
                self.hpas.sweep(epoch, |h| inside(&h.namespace)).len()
            }
            What::Pdb => {
                self.stale.pdbs = true;
                self.pdbs.sweep(epoch, |p| inside(&p.namespace)).len()
            }
            What::ConfigMap => {
                self.stale.config_maps = true;
                self.config_maps.sweep(epoch, |m| inside(&m.namespace)).len()
            }
            What::Vpa | What::ScaledObject | What::Counted => {
                let plural = &*feed.watched.resource.plural;
                let owned = |s: &Scaler| s.counted.as_deref() == Some(plural) && inside(&s.target.namespace);
                self.sweep_scalers(epoch, owned);
                self.counted.sweep(epoch, |(p, ns)| **p == *plural && inside(ns)).len()
            }
        };
        if gone > 0 {
            self.news = News::Change;
        }
        gone as i64
    }

    fn put_pod(&mut self, raw: &PodLite, epoch: u32) -> i64 {
        let row = Arc::new(project::pod(raw, &mut self.names));
        let old = self.pods.put(Key::of(&raw.metadata.uid), row.clone(), epoch);
        if let Some(old) = &old {
            self.unlink(old);
        }
        let group = direct(&row);
        self.stale.workloads.insert(self.top(&group));
        let pods = self.groups.entry(group).or_default();
        let at = pods.partition_point(|p| p.name < row.name);
        pods.insert(at, row);
        i64::from(old.is_none())
    }

    /// Takes a pod out of its group.
    fn unlink(&mut self, pod: &Arc<PodRow>) {
        let group = direct(pod);
        self.stale.workloads.insert(self.top(&group));
        if let Some(pods) = self.groups.get_mut(&group) {
            let from = pods.partition_point(|p| p.name < pod.name);
            if let Some(i) = pods[from..].iter().position(|p| Arc::ptr_eq(p, pod)) {
                pods.remove(from + i);
            }
            if pods.is_empty() {
                self.groups.remove(&group);
            }
        }
    }

    fn put_controller(&mut self, feed: &Feed, raw: &ControllerLite, epoch: u32, now: Timestamp) -> i64 {
        let What::Controller(kind) = &feed.watched.what else { return 0 };
        let mut new = project::controller(kind, raw, &mut self.names, now);
        let key = new.key.clone();
        let old = self.controllers.take(&key);
        if let Some(old) = old.as_ref().filter(|o| o.uid == new.uid) {
            // It was healthy until this very change, or when it was last seen so.
            let until = if old.healthy() { Some(now) } else { old.last_healthy };
            new.last_healthy = new.last_healthy.or(until);
        }
        let grown = i64::from(old.is_none());
        let above = parent(&new);
        if let Some(before) = old.as_ref().and_then(parent).filter(|b| Some(b) != above.as_ref()) {
            self.leave(&before, &key);
        }
        if let Some(above) = above {
            self.children.entry(above.clone()).or_default().insert(key.clone());
            self.stale.workloads.insert(above);
        }
        self.stale.workloads.insert(key.clone());
        self.controllers.put(key, new, epoch);
        grown
    }

    fn remove_controller(&mut self, feed: &Feed, meta: &Meta) -> i64 {
        let What::Controller(kind) = &feed.watched.what else { return 0 };
        let (namespace, name) = (self.names.text(&meta.namespace), self.names.text(&meta.name));
        let key = WorkloadKey { namespace, name, kind: kind.clone() };
        // One of the same name may have been made anew before its predecessor's end is told.
        if self.controllers.get(&key).is_none_or(|c| c.uid != project::uid(&meta.uid)) {
            return 0;
        }
        let gone = self.controllers.take(&key);
        if let Some(gone) = &gone {
            self.forget(gone);
        }
        i64::from(gone.is_some())
    }

    /// After a controller is gone: whoever made it, and its orphans, look again.
    fn forget(&mut self, gone: &Controller) {
        if let Some(above) = parent(gone) {
            self.leave(&above, &gone.key);
        }
        self.stale.workloads.insert(gone.key.clone());
    }

    fn leave(&mut self, above: &WorkloadKey, child: &WorkloadKey) {
        if let Some(children) = self.children.get_mut(above) {
            children.remove(child);
            if children.is_empty() {
                self.children.remove(above);
            }
        }
        self.stale.workloads.insert(above.clone());
    }

    fn put_event(&mut self, key: Key, row: EventRow, epoch: u32) -> i64 {
        self.stale.events = true;
        let known = self.events.put(key, Arc::new(row), epoch).is_some();
        let before = self.events.len();
        if before > self.most_events + self.most_events / 4 {
            let mut times: Vec<Timestamp> = self.events.iter().map(|e| e.last).collect();
            times.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = times[self.most_events.saturating_sub(1)];
            self.events.retain(|e| e.last >= oldest);
        }
        i64::from(!known) - (before - self.events.len()) as i64
    }

    fn put_scaler(&mut self, key: Key, scaler: Option<Scaler>, epoch: u32) {
        let old = match scaler {
            Some(new) => {
                self.stale.workloads.insert(new.target.clone());
                self.scalers.put(key, new, epoch)
            }
            None => self.scalers.take(&key),
        };
        self.stale.workloads.extend(old.map(|o| o.target));
        self.stale.scalers = true;
    }

    fn take_scaler(&mut self, key: Key) {
        self.stale.workloads.extend(self.scalers.take(&key).map(|s| s.target));
        self.stale.scalers = true;
    }

    fn sweep_scalers(&mut self, epoch: u32, owned: impl Fn(&Scaler) -> bool) {
        for gone in self.scalers.sweep(epoch, owned) {
            self.stale.workloads.insert(gone.target);
            self.stale.scalers = true;
        }
    }

    fn put_counted_scaler(&mut self, feed: &Feed, meta: &Meta, scaler: Option<Scaler>, epoch: u32) -> i64 {
        let plural = self.names.text(&feed.watched.resource.plural);
        self.put_scaler(Key::of(&meta.uid), scaler.map(|s| Scaler { counted: Some(plural), ..s }), epoch);
        self.put_counted(feed, meta, epoch)
    }

    fn put_counted(&mut self, feed: &Feed, meta: &Meta, epoch: u32) -> i64 {
        let row = (self.names.text(&feed.watched.resource.plural), self.names.text(&meta.namespace));
        i64::from(self.counted.put(Key::of(&meta.uid), row, epoch).is_none())
    }

    fn take_counted(&mut self, meta: &Meta) -> bool {
        let key = Key::of(&meta.uid);
        self.take_scaler(key);
        self.counted.take(&key).is_some()
    }

    /// Opt-in of a namespace holds for all its workloads.
    fn touch_namespace(&mut self, name: &str) {
        let name = text::clean(name);
        let inside = self.built.keys().filter(|k| *k.namespace == *name).cloned();
        self.stale.workloads.extend(inside);
    }
}
