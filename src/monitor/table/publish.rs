//! Snapshots out: only what changed is put together anew, everything else is shared with the last one.

use super::assemble::is_middle;
use super::{News, Parts, Table};
use crate::model::cluster::{EventRow, NamespaceRow, Owner};
use crate::model::object::{ObjectRef, WorkloadKey, WorkloadKind};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

impl Table {
    /// Everything as it is now.
    pub fn publish(&mut self) -> Parts {
        if std::mem::take(&mut self.stale.scalers) {
            self.index_scalers();
        }
        self.publish_workloads();
        if std::mem::take(&mut self.stale.nodes) {
            self.parts.nodes = sorted(self.nodes.iter(), |n| n.name.clone());
        }
        if std::mem::take(&mut self.stale.hpas) {
            self.parts.hpas = sorted(self.hpas.iter(), |h| (h.namespace.clone(), h.name.clone()));
        }
        if std::mem::take(&mut self.stale.pdbs) {
            self.parts.pdbs = sorted(self.pdbs.iter(), |p| (p.namespace.clone(), p.name.clone()));
        }
        if std::mem::take(&mut self.stale.config_maps) {
            self.parts.config_maps = sorted(self.config_maps.iter(), |m| (m.namespace.clone(), m.name.clone()));
        }
        if std::mem::take(&mut self.stale.events) {
            self.parts.events = fold(self.events.iter(), self.most_events);
        }
        self.parts.sources = self.sources.publish();
        self.news = News::None;
        self.parts.clone()
    }

    fn index_scalers(&mut self) {
        let mut index: HashMap<WorkloadKey, Vec<Owner>> = HashMap::new();
        for scaler in self.scalers.iter() {
            if let Some(owner) = &scaler.owner {
                let owners = index.entry(scaler.target.clone()).or_default();
                if !owners.contains(owner) {
                    owners.push(owner.clone());
                }
            }
        }
        for owners in index.values_mut() {
            owners.sort_by_key(ToString::to_string);
        }
        self.scalers_by_target = index;
    }

    fn publish_workloads(&mut self) {
        if self.stale.workloads.is_empty() && !self.stale.namespaces {
            return;
        }
        let (replica_sets, jobs) = (self.sources.settled("replicasets"), self.sources.settled("jobs"));
        let mut changed = false;
        for key in std::mem::take(&mut self.stale.workloads) {
            // While ReplicaSets are still being listed, whose pods these are is not known yet: they are
            // held back for a moment instead of being shown under a name that will vanish.
            let settled = if key.kind == WorkloadKind::ReplicaSet { replica_sets } else { jobs };
            if is_middle(&key.kind) && !settled && self.controllers.get(&key).is_none() {
                continue;
            }
            changed = true;
            match self.assemble(&key) {
                Some(workload) => {
                    self.built.insert(key, Arc::new(workload));
                }
                None => {
                    self.built.remove(&key);
                }
            }
        }
        if changed {
            self.parts.workloads = self.built.values().cloned().collect();
        }
        let derived = !self.sources.listed("namespaces");
        if std::mem::take(&mut self.stale.namespaces) || (derived && changed) {
            self.publish_namespaces(derived);
        }
    }

    /// Namespaces as listed; where that is refused, those that are watched or that something is in.
    fn publish_namespaces(&mut self, derived: bool) {
        let mut rows: Vec<Arc<NamespaceRow>> = self.namespaces.iter().cloned().collect();
        let used = self.built.keys().map(|k| &k.namespace).filter(|_| derived);
        let more: BTreeSet<&Arc<str>> =
            used.chain(self.sources.namespaces()).filter(|n| self.namespaces.get(n).is_none()).collect();
        let row = |name: &Arc<str>| Arc::new(NamespaceRow { name: name.clone(), opted_in: false, terminating: false });
        rows.extend(more.into_iter().map(row));
        if let Some(limit) = &self.limited_to {
            rows.retain(|r| limit.contains(&r.name));
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        self.parts.namespaces = rows.into();
    }
}

fn sorted<'a, T: 'a, K: Ord>(rows: impl Iterator<Item = &'a Arc<T>>, key: impl Fn(&T) -> K) -> Arc<[Arc<T>]> {
    let mut rows: Vec<Arc<T>> = rows.cloned().collect();
    rows.sort_by_cached_key(|r| key(r));
    rows.into()
}

/// Events newest first; those of one object for one reason become one, with the latest message and all counts.
fn fold<'a>(rows: impl Iterator<Item = &'a Arc<EventRow>>, most: usize) -> Arc<[Arc<EventRow>]> {
    let mut newest: Vec<&Arc<EventRow>> = rows.collect();
    newest.sort_unstable_by(|a, b| b.last.cmp(&a.last).then_with(|| a.uid.cmp(&b.uid)));
    let mut seen: HashMap<(&ObjectRef, &str), usize> = HashMap::with_capacity(newest.len());
    let mut out: Vec<Arc<EventRow>> = Vec::with_capacity(newest.len().min(most));
    for row in newest {
        if let Some(&i) = seen.get(&(&row.object, &*row.reason)) {
            let first = Arc::make_mut(&mut out[i]);
            first.count = first.count.saturating_add(row.count);
        } else if out.len() < most {
            seen.insert((&row.object, &row.reason), out.len());
            out.push(row.clone());
        }
    }
    out.into()
}
