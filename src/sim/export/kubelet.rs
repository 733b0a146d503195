//! The kubelet's own `/metrics`: what it runs, and the volumes it has mounted.

use super::{Family, Sink, View, gauge};

static NAME: Family = gauge("kubelet_node_name", "[STABLE] The node's name. The count is always 1.");
static PODS: Family = gauge("kubelet_running_pods", "[BETA] Number of pods that have a running pod sandbox");
static CONTAINERS: Family = gauge("kubelet_running_containers", "[BETA] Number of containers currently running");
static VOLUME: [Family; 3] = [
    gauge("kubelet_volume_stats_capacity_bytes", "[ALPHA] Capacity in bytes of the volume"),
    gauge("kubelet_volume_stats_used_bytes", "[ALPHA] Number of used bytes in the volume"),
    gauge("kubelet_volume_stats_available_bytes", "[ALPHA] Number of available bytes in the volume"),
];

/// All of this page.
pub(in crate::sim) fn families(all: &mut Vec<&'static Family>) {
    all.extend(VOLUME.iter().chain([&NAME, &PODS, &CONTAINERS]));
}

/// The kubelet of a node.
pub(super) fn own(node: &str, view: &dyn View, sink: &mut dyn Sink) {
    sink.base(&[]);
    let running = view.on(node);
    let mut pods: Vec<_> = running.iter().map(|p| (&p.place.namespace, &p.place.pod)).collect();
    pods.dedup();
    sink.put(&NAME, "", &[("node", node)], 1.0);
    sink.put(&PODS, "", &[], pods.len() as f64);
    sink.put(&CONTAINERS, "", &[("container_state", "running")], running.len() as f64);
}

/// A mounted claim. What the pod's processes keep on disk is taken to lie in it.
pub(super) fn volume(namespace: &str, pod: &str, claim: &str, view: &dyn View, sink: &mut dyn Sink) {
    let Some(capacity) = view.known().claims.get(&(namespace.to_owned(), claim.to_owned())) else { return };
    let disks: Vec<f64> = view.pod(namespace, pod).iter().filter_map(|p| Some(view.usage(&p.place)?.disk)).collect();
    if disks.is_empty() {
        return;
    }
    let used = disks.iter().sum::<f64>().floor().min(*capacity);
    sink.base(&[("namespace", namespace), ("persistentvolumeclaim", claim)]);
    for (family, value) in VOLUME.iter().zip([*capacity, used, capacity - used]) {
        sink.put(family, "", &[], value);
    }
}
