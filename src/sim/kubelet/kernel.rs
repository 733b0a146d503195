//! What the kernel does about memory: kills a container at its limit, and the worst offender when the machine has none
//! left (mm/oom_kill.c; scores as pkg/kubelet/qos/policy.go sets them).

use super::Kubelet;
use super::pod::Pod;
use crate::sim::machine::{Machines, Place, Process, State};
use crate::sim::object::text;
use crate::sim::scheduler::requests::qos;

/// 128 + SIGKILL.
const KILLED: i32 = 137;

impl Kubelet {
    /// Kills what has more memory than it may.
    pub(super) fn out_of_memory(&mut self, now: i64, machines: &mut Machines) {
        for process in machines.processes.values_mut() {
            if process.state == State::Running && process.limits[1].is_some_and(|l| process.usage.working_set > l) {
                process.state = State::Exited(KILLED);
                if let Some(node) = self.nodes.get_mut(&process.node) {
                    node.oom.insert(process.place.clone());
                }
            }
        }
        let short: Vec<(String, f64, f64)> = machines
            .nodes
            .values()
            .filter(|m| m.powered && m.memory > 0.0 && m.memory_used > m.memory)
            .map(|m| (m.name.clone(), m.memory_used - m.memory, m.memory))
            .collect();
        for (name, over, memory) in short {
            self.system_oom(&name, over, memory, now, machines);
        }
    }

    /// Kills by score until `over` bytes are free again.
    fn system_oom(&mut self, name: &str, mut over: f64, memory: f64, now: i64, machines: &mut Machines) {
        while over > 0.0 {
            let candidates = machines.processes.values().filter(|p| p.node == name && p.state == State::Running);
            let scored = candidates.map(|p| (self.score(p, memory), p.place.clone()));
            let Some((_, place)) = scored.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(&a.1))) else {
                return;
            };
            let Some(process) = machines.processes.get_mut(&place) else { return };
            process.state = State::Exited(KILLED);
            over -= process.usage.working_set.max(1.0);
            if let Some(node) = self.nodes.get_mut(name) {
                node.oom.insert(place.clone());
            }
            self.tell_system_oom(name, &place, now);
        }
    }

    fn tell_system_oom(&self, name: &str, place: &Place, now: i64) {
        let Some(node) = self.store.get("nodes", "", name) else { return };
        let pid = 1_000 + self.noise.of("pid").of(&place.pod).bits(now) % 60_000;
        let message = format!("System OOM encountered, victim process: {}, pid: {pid}", place.container);
        self.tell_node(&node.value(), "Warning", "SystemOOM", &message, now);
    }

    /// The kernel's badness: share of the memory in thousandths, and what the kubelet adds to it.
    fn score(&self, process: &Process, memory: f64) -> f64 {
        let pod = self.pods.get(&(process.place.namespace.clone(), process.place.pod.clone()));
        let class = pod.map_or("BestEffort", class);
        let adjust = match class {
            "Guaranteed" => -997.0,
            "BestEffort" => 1000.0,
            _ => (1000.0 - 1000.0 * process.requests[1] / memory).clamp(3.0, 999.0),
        };
        1000.0 * process.usage.working_set / memory + adjust
    }
}

/// The pod's class, as its status or its requests say.
pub fn class(pod: &Pod) -> &'static str {
    match text(&pod.object, "status.qosClass") {
        "Guaranteed" => "Guaranteed",
        "Burstable" => "Burstable",
        "BestEffort" => "BestEffort",
        _ => qos(&pod.object["spec"]),
    }
}
