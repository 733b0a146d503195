//! Room on the nodes: how many more pods of a workload the scheduler could place at all.
//!
//! Requests against what is allocatable, as the scheduler's own NodeResourcesFit does. Taints, affinity and volumes are
//! not looked at, so that it is a bound from above: pods that do not fit by this would stay Pending for certain.

use crate::model::cluster::{NodeRow, Workload};
use crate::model::pod::{ContainerSpec, Phase, PodRow};
use crate::model::snapshot::Snapshot;
use std::collections::HashMap;

/// What pods ask for: CPU in thousandths, memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Shape {
    cpu: u64,
    memory: u64,
}

impl Shape {
    fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, memory: self.memory + other.memory }
    }

    /// Of one pod: its containers together, or its greediest init container, whichever is more.
    fn of(specs: &[ContainerSpec]) -> Self {
        let one = |s: &ContainerSpec| Self {
            cpu: s.resources.cpu_request.as_ref().map_or(0, |a| a.value.0),
            memory: s.resources.memory_request.as_ref().map_or(0, |a| a.value.0),
        };
        let mains = specs.iter().filter(|s| !s.init).map(one);
        let sum = mains.fold(Self::default(), Self::plus);
        specs
            .iter()
            .filter(|s| s.init)
            .map(one)
            .fold(sum, |a, b| Self { cpu: a.cpu.max(b.cpu), memory: a.memory.max(b.memory) })
    }
}

/// How many more pods of the workload's template fit, those that wait for a node already counted in; `None` where it
/// cannot be told: nodes are not watched, or the template asks for nothing.
pub fn for_more(snapshot: &Snapshot, workload: &Workload) -> Option<u32> {
    let shape = Shape::of(&workload.template);
    if snapshot.nodes.is_empty() || shape == Shape::default() {
        return None;
    }
    let mut used: HashMap<&str, (Shape, u32)> = HashMap::new();
    let mut waiting = 0;
    let there = |p: &&PodRow| !matches!(p.phase, Phase::Succeeded | Phase::Failed);
    for pod in snapshot.workloads.iter().flat_map(|w| w.pods.iter()).map(AsRef::as_ref).filter(there) {
        let Some(node) = &pod.node else {
            waiting += u32::from(!pod.deleting);
            continue;
        };
        let asks = Shape::of(&pod.specs);
        let (all, pods) = used.entry(node).or_default();
        *all = all.plus(asks);
        *pods += 1;
    }
    let open = |n: &&NodeRow| n.ready && !n.cordoned && n.troubles.is_empty();
    let fits = snapshot.nodes.iter().map(AsRef::as_ref).filter(open).map(|node| {
        let (used, pods) = used.get(&*node.name).copied().unwrap_or_default();
        let times = |free: u64, each: u64| free.checked_div(each).unwrap_or(u64::MAX);
        let by_cpu = times(node.cpu.0.saturating_sub(used.cpu), shape.cpu);
        let by_memory = times(node.memory.0.saturating_sub(used.memory), shape.memory);
        by_cpu.min(by_memory).min(u64::from(node.pods.saturating_sub(pods)))
    });
    let all = u32::try_from(fits.sum::<u64>()).unwrap_or(u32::MAX);
    Some(all.saturating_sub(waiting))
}

/// Which of these pods would find room on other nodes than `node`, placed one after the other, each where the most memory is
/// left. Like [`for_more`], a bound from above.
pub fn elsewhere<'a>(snapshot: &Snapshot, node: &str, pods: impl Iterator<Item = &'a PodRow>) -> Vec<bool> {
    let mut free: Vec<(Shape, u32)> = Vec::new();
    let open = |n: &&NodeRow| *n.name != *node && n.ready && !n.cordoned && n.troubles.is_empty();
    let used = |name: &str| {
        let there =
            |p: &&PodRow| p.node.as_deref() == Some(name) && !matches!(p.phase, Phase::Succeeded | Phase::Failed);
        let on_it = snapshot.workloads.iter().flat_map(|w| w.pods.iter()).map(AsRef::as_ref).filter(there);
        on_it.fold((Shape::default(), 0), |(all, n), p| (all.plus(Shape::of(&p.specs)), n + 1))
    };
    for other in snapshot.nodes.iter().map(AsRef::as_ref).filter(open) {
        let (taken, pods) = used(&other.name);
        let left =
            Shape { cpu: other.cpu.0.saturating_sub(taken.cpu), memory: other.memory.0.saturating_sub(taken.memory) };
        free.push((left, other.pods.saturating_sub(pods)));
    }
    pods.map(|pod| {
        let asks = Shape::of(&pod.specs);
        let fits = |(left, pods): &&mut (Shape, u32)| *pods > 0 && left.cpu >= asks.cpu && left.memory >= asks.memory;
        let Some((left, pods)) = free.iter_mut().filter(fits).max_by_key(|(left, _)| left.memory) else { return false };
        *left = Shape { cpu: left.cpu - asks.cpu, memory: left.memory - asks.memory };
        *pods -= 1;
        true
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures as fx;
    use crate::model::quantity::{Bytes, Cpu, MIB};

    /// Room for pods of 100m and 64Mi on nodes of one core; the pods of the fixture lie on `n1`.
    fn room(edit: impl FnOnce(&mut Vec<NodeRow>, &mut Workload)) -> Option<u32> {
        let mut nodes = vec![fx::node("n1"), fx::node("n2")];
        for node in &mut nodes {
            (node.cpu, node.memory, node.pods) = (Cpu(1000), Bytes(1024 * MIB), 110);
        }
        let mut cart = fx::healthy("cart", 3);
        edit(&mut nodes, &mut cart);
        for_more(&fx::with_nodes(fx::snapshot(vec![cart.clone()]), nodes), &cart)
    }

    #[test]
    fn room_is_what_requests_leave_on_nodes_that_take_pods() {
        assert_eq!(room(|_, _| {}), Some(17), "seven beside the three, ten on the other");
        assert_eq!(room(|n, _| n[1].cordoned = true), Some(7));
        assert_eq!(room(|n, _| n[1].ready = false), Some(7));
        assert_eq!(room(|n, _| n[1].memory = Bytes(130 * MIB)), Some(9), "memory bounds it, too");
        assert_eq!(room(|n, _| n[1].pods = 1), Some(8), "and places for pods");
        assert_eq!(room(|n, _| n.clear()), None, "nodes are not known");
    }

    #[test]
    fn pods_that_wait_for_a_node_come_first() {
        let waits = |_: &mut Vec<NodeRow>, w: &mut Workload| {
            let mut pods: Vec<PodRow> = w.pods.iter().map(|p| (**p).clone()).collect();
            fx::unschedulable(&mut pods[0], 60, "0/2 nodes are available");
            w.pods = pods.into_iter().map(std::sync::Arc::new).collect();
        };
        assert_eq!(room(waits), Some(17), "one place more, and one that is taken already");
    }
}
