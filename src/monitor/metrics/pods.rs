//! Which workload a pod belongs to: by the snapshot for pods that are there, and by the shape of their
//! names for pods that are long gone.

use crate::model::object::{PodKey, WorkloadKey, WorkloadKind};
use crate::model::pod::PodRow;
use crate::model::snapshot::Snapshot;
use std::collections::HashMap;
use std::sync::Arc;

/// A pod of the snapshot.
#[derive(Debug, Clone)]
pub struct IndexedPod {
    /// Its name.
    pub key: PodKey,
    /// Number of its workload in [`PodIndex::workloads`].
    pub workload: usize,
    /// Its row.
    pub row: Arc<PodRow>,
}

impl IndexedPod {
    /// Whether samples of it must be there: it serves. A pod that has just become ready and was not scraped yet
    /// counts too: without it the sum of a fresh rollout would look like a fall in load.
    pub fn is_expected(&self) -> bool {
        self.row.ready && !self.row.deleting
    }
}

/// Pods and workloads of one snapshot, by name.
#[derive(Debug, Default)]
pub struct PodIndex {
    /// Workloads, in the snapshot's order, with the range of their pods in `pods`.
    pub workloads: Vec<(WorkloadKey, std::ops::Range<usize>)>,
    /// Pods, those of one workload together.
    pub pods: Vec<IndexedPod>,
    by_name: HashMap<Arc<str>, Names>,
}

/// The names of one namespace.
#[derive(Debug, Default)]
struct Names {
    pods: HashMap<Arc<str>, usize>,
    workloads: HashMap<(Arc<str>, WorkloadKind), usize>,
    replica_sets: HashMap<Arc<str>, usize>,
}

impl PodIndex {
    /// Indexes a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut index = Self::default();
        for (number, workload) in snapshot.workloads.iter().enumerate() {
            let names = index.by_name.entry(workload.key.namespace.clone()).or_default();
            names.workloads.insert((workload.key.name.clone(), workload.key.kind.clone()), number);
            for revision in workload.revisions.iter() {
                names.replica_sets.insert(revision.name.clone(), number);
            }
            let first = index.pods.len();
            for row in workload.pods.iter() {
                let name: Arc<str> = Arc::from(&*row.name);
                names.pods.insert(name.clone(), index.pods.len());
                let key = PodKey { namespace: row.namespace.clone(), name };
                index.pods.push(IndexedPod { key, workload: number, row: row.clone() });
            }
            index.workloads.push((workload.key.clone(), first..index.pods.len()));
        }
        index
    }

    /// Knows these workloads by name, and none of their pods: for the past, where pods go by the shape of their names.
    pub fn of_keys(keys: impl IntoIterator<Item = WorkloadKey>) -> Self {
        let mut index = Self::default();
        for (number, key) in keys.into_iter().enumerate() {
            let names = index.by_name.entry(key.namespace.clone()).or_default();
            names.workloads.insert((key.name.clone(), key.kind.clone()), number);
            index.workloads.push((key, 0..0));
        }
        index
    }

    /// The number of a pod that is there.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<usize> {
        self.by_name.get(namespace)?.pods.get(name).copied()
    }

    /// The number of a workload that a mesh or an ingress names without its kind.
    pub fn workload_named(&self, namespace: &str, name: &str) -> Option<usize> {
        let names = self.by_name.get(namespace)?;
        [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet]
            .into_iter()
            .find_map(|kind| names.workloads.get(&(Arc::from(name), kind)).copied())
    }

    /// The number of the workload a pod belongs or belonged to: as the snapshot says; else by the names of
    /// known ReplicaSets; else by the shape that each controller gives its pods' names.
    pub fn workload_of(&self, namespace: &str, pod: &str) -> Option<usize> {
        let names = self.by_name.get(namespace)?;
        if let Some(i) = names.pods.get(pod) {
            return Some(self.pods[*i].workload);
        }
        let get = |name: &str, kind| names.workloads.get(&(Arc::from(name), kind)).copied();
        let (base, suffix) = pod.rsplit_once('-')?;
        if suffix.len() == 5 && is_random(suffix) {
            if let Some(i) = names.replica_sets.get(base) {
                return Some(*i);
            }
            if let Some((name, hash)) = base.rsplit_once('-')
                && hash.len() <= 10
                && is_random(hash)
                && let Some(i) = get(name, WorkloadKind::Deployment)
            {
                return Some(i);
            }
            if let Some(i) = get(base, WorkloadKind::DaemonSet).or_else(|| get(base, WorkloadKind::Job)) {
                return Some(i);
            }
        }
        suffix.bytes().all(|b| b.is_ascii_digit()).then(|| get(base, WorkloadKind::StatefulSet))?
    }
}

/// A regular expression of the names a workload's pods have or had, for long ranges. The pod's own name for
/// kinds without a known shape.
pub fn name_pattern(key: &WorkloadKey) -> String {
    let name = crate::monitor::prometheus::profile::escape(&key.name);
    match key.kind {
        WorkloadKind::Deployment => format!("{name}-[a-z0-9]{{1,10}}-[a-z0-9]{{5}}"),
        WorkloadKind::StatefulSet => format!("{name}-[0-9]+"),
        WorkloadKind::ReplicaSet | WorkloadKind::DaemonSet | WorkloadKind::Job => format!("{name}-[a-z0-9]{{5}}"),
        WorkloadKind::CronJob => format!("{name}-[0-9]+-[a-z0-9]{{5}}"),
        WorkloadKind::Pod | WorkloadKind::Other(_) => name,
    }
}

fn is_random(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::metrics::fixtures::{snapshot, workload};

    #[test]
    fn pods_that_are_gone_find_their_workload_by_name() {
        let mut cart = workload("shop", WorkloadKind::Deployment, "cart", &["cart-7d9f4b5c6d-abcde"]);
        cart.revisions = Arc::from([crate::model::cluster::Revision {
            number: 1,
            name: "cart-green-5f6".into(),
            uid: "u".into(),
            created: crate::model::time::now(),
            desired: 0,
            ready: 0,
            available: 0,
            template: Arc::from([]),
            last_healthy: None,
        }]);
        let index = PodIndex::new(&snapshot(vec![
            cart,
            workload("shop", WorkloadKind::Deployment, "cart-api", &[]),
            workload("shop", WorkloadKind::StatefulSet, "db", &["db-0"]),
            workload("shop", WorkloadKind::DaemonSet, "agent", &[]),
        ]));
        let name = |pod: &str| index.workload_of("shop", pod).map(|i| index.workloads[i].0.name.to_string());
        assert_eq!(name("cart-7d9f4b5c6d-abcde").as_deref(), Some("cart"), "known");
        assert_eq!(name("cart-green-5f6-x2x2x").as_deref(), Some("cart"), "by its ReplicaSet");
        assert_eq!(name("cart-abc12-zzzzz").as_deref(), Some("cart"), "by shape");
        assert_eq!(name("cart-api-6bd9-zzzzz").as_deref(), Some("cart-api"), "the longest name wins");
        assert_eq!(name("db-12").as_deref(), Some("db"));
        assert_eq!(name("agent-4x7kq").as_deref(), Some("agent"));
        for stranger in ["cart", "cart-x", "other-7d9f-abcde", "db-1a", "cart-7d9f-ABCDE"] {
            assert_eq!(name(stranger), None, "{stranger}");
        }
        assert_eq!(index.workload_of("else", "db-0"), None, "names do not cross namespaces");
    }
}
