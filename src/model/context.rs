//! Enrichment (M5): where a workload runs, what version of it, since when, who keeps it, and what was said of it.

use super::cluster::{EventRow, Owner, Workload};
use super::object::WorkloadKey;
use super::snapshot::Snapshot;
use super::time::{Timestamp, age};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a measurement of a workload belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// Whose.
    pub key: WorkloadKey,
    /// Nodes its pods are on, sorted.
    pub nodes: Vec<Arc<str>>,
    /// Zones of those nodes, sorted; empty where nodes have none.
    pub zones: Vec<Arc<str>>,
    /// Tag or digest of its first container's image; `None`: the reference has neither.
    pub version: Option<Arc<str>>,
    /// Number of its present revision and when that was rolled out; `None` for kinds whose revisions are not watched.
    pub revision: Option<(u64, Timestamp)>,
    /// Who keeps its desired state: the GitOps source, an operator, autoscalers.
    pub owners: Arc<[Owner]>,
    /// Warnings about it and its pods, newest first, a few.
    pub warnings: Vec<Arc<EventRow>>,
}

/// Warnings that are kept.
const WARNINGS: usize = 5;

impl Context {
    /// What a snapshot knows of a workload; `None` if it does not know it.
    pub fn of(snapshot: &Snapshot, key: &WorkloadKey) -> Option<Self> {
        let workload = snapshot.workload(key)?;
        let nodes: BTreeSet<Arc<str>> = workload.live_pods().filter_map(|p| p.node.clone()).collect();
        let zones: BTreeSet<Arc<str>> =
            nodes.iter().filter_map(|n| Some(snapshot.node(n)?.zone.clone())).filter(|z| !z.is_empty()).collect();
        let about = |e: &EventRow| {
            let namespace = e.object.namespace.as_deref() == Some(&*key.namespace);
            let name = &*e.object.name;
            namespace && (name == &*key.name || workload.pods.iter().any(|p| *p.name == *name))
        };
        Some(Self {
            key: key.clone(),
            nodes: nodes.into_iter().collect(),
            zones: zones.into_iter().collect(),
            version: version(workload),
            revision: workload.revisions.first().map(|r| (r.number, r.created)),
            owners: workload.owners.clone(),
            warnings: snapshot.events.iter().filter(|e| e.warning && about(e)).take(WARNINGS).cloned().collect(),
        })
    }

    /// One line: version, revision and its age, source, nodes and zones.
    pub fn line(&self, now: Timestamp) -> String {
        let mut parts = Vec::new();
        if let Some(version) = &self.version {
            parts.push(format!("version {version}"));
        }
        if let Some((number, at)) = self.revision {
            parts.push(format!("revision {number}, {} old", age(now, at)));
        }
        parts.extend(self.owners.iter().map(|o| format!("kept by {o}")));
        let names = |all: &[Arc<str>]| all.iter().map(|n| &**n).collect::<Vec<_>>().join(", ");
        if !self.nodes.is_empty() {
            let zones = if self.zones.is_empty() { String::new() } else { format!(" ({})", names(&self.zones)) };
            parts.push(format!("on {}{zones}", names(&self.nodes)));
        }
        parts.join("; ")
    }
}

/// Tag, or digest, of the first container that is no init container.
fn version(workload: &Workload) -> Option<Arc<str>> {
    let image = &workload.template.iter().find(|c| !c.init)?.image;
    let name = image.rsplit('/').next().unwrap_or(image);
    let (at, tag) = (name.split_once('@').map(|(_, digest)| digest), name.split('@').next()?.split_once(':'));
    tag.map(|(_, tag)| tag).or(at).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures;

    #[test]
    fn a_workload_knows_its_version_nodes_and_zones() {
        let mut cart = fixtures::deployment("cart", vec![], vec![]);
        let mut template = cart.template.to_vec();
        for c in &mut template {
            c.image = "registry.example:5000/shop/cart:1.18.2@sha256:abc".into();
        }
        cart.template = template.into();
        let key = cart.key.clone();
        let snapshot = fixtures::snapshot(vec![cart]);
        let context = Context::of(&snapshot, &key).expect("it is there");
        assert_eq!(context.version.as_deref(), (!snapshot.workloads[0].template.is_empty()).then_some("1.18.2"));
        let stranger = WorkloadKey { name: "other".into(), ..key };
        assert!(Context::of(&snapshot, &stranger).is_none());
    }
}
