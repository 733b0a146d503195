//! What the machines themselves count: CPU modes, memory, disk, network, pressure; and the calls between services.

use super::graph::{Edge, SYSTEM};
use super::pod::Pod;
use crate::sim::machine::{Calls, Machine, Machines, State};
use std::collections::BTreeMap;

const GIB: f64 = 1_073_741_824.0;

/// Bytes a second that a disk reads and writes at most.
const DISK: f64 = 250e6;

/// What the processes on a machine do together, in one second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Load {
    /// Cores used, cores wanted.
    pub cores: f64,
    /// Cores wanted.
    pub wanted: f64,
    /// Bytes of memory.
    pub memory: f64,
    /// Bytes a second received and sent, read and written.
    pub network: [f64; 2],
    /// Bytes a second read and written.
    pub io: [f64; 2],
    /// Bytes of logs and writable layers; more or fewer than a second ago.
    pub disk: f64,
}

/// Adds what a process does.
pub fn add(load: &mut Load, pod: &Pod, memory: f64) {
    let served: f64 = pod.answers.iter().map(|a| a.served).sum();
    let b = &pod.behaviour;
    load.cores += pod.used;
    load.wanted += pod.wanted;
    load.memory += memory;
    load.network[0] += served * 1600.0 + 60.0;
    load.network[1] += served * 3100.0 + 80.0;
    load.io[0] += served * b.io[0];
    load.io[1] += served * (b.io[1] + b.line) + b.chatter;
}

/// Share of a machine's time that the hypervisor gives to a neighbour: what runs here gets its turns as much more rarely.
pub fn stolen(m: &Machine) -> f64 {
    (m.stolen_cores / m.cores.max(0.1)).clamp(0.0, 0.95)
}

/// Moves one machine by `seconds`.
pub fn work(m: &mut Machine, load: &Load, seconds: f64) {
    if !m.powered {
        m.memory_used = 0.0;
        return;
    }
    let here = 1.0 - stolen(m);
    let used = (load.cores + SYSTEM).min(m.cores * here);
    // Waiting for a turn counts for those only who have something to do.
    let steal = used * (1.0 - here) / here;
    let busy = ((load.io[0] + load.io[1] + m.disk_filling) / DISK).min(1.0);
    let rest = (m.cores - used - steal).max(0.0);
    let waits = (0.3 * busy * rest).min(rest);
    for (total, part) in m.cpu_seconds.iter_mut().zip([rest - waits, waits, steal, used * 0.22, used * 0.78]) {
        *total += part * seconds;
    }
    m.memory_used = (0.9 * GIB + load.memory).min(m.memory);
    if m.disk_filling == 0.0 {
        // Whoever wrote it is gone, and with it what it wrote.
        m.disk_used -= std::mem::take(&mut m.disk_filled);
    }
    let filled = (m.disk_filling * seconds).min((m.disk - m.disk_used).max(0.0));
    m.disk_filled += filled;
    m.disk_used = (m.disk_used + load.disk + filled).clamp(0.0, m.disk);
    m.network.iter_mut().zip(load.network).for_each(|(t, rate)| *t += (rate + 1500.0) * seconds);
    m.io[0] += (load.io[0] + 2000.0) * seconds;
    m.io[1] += (load.io[1] + m.disk_filling + 9000.0) * seconds;
    m.io[2] += busy * seconds;
    let short = ((load.wanted + SYSTEM) / (m.cores * here).max(0.1)).min(2.0);
    // A little waiting at any load, and always some beyond all cores.
    m.pressure[0] += (0.04 * short + 0.9 * ((short - 0.85) / 0.3).clamp(0.0, 1.0)).min(1.0) * seconds;
    m.pressure[1] += ((m.memory_used / m.memory.max(1.0) - 0.94) / 0.06).clamp(0.0, 1.0) * 0.5 * seconds;
    m.pressure[2] += (0.6 * busy * busy).min(1.0) * seconds;
}

/// Moves all machines by `seconds`; `pods` go with the processes, in their order, `disks` with the
/// machines: what was on them before.
pub fn advance(machines: &mut Machines, pods: &[Pod], disks: &mut [f64], seconds: f64) {
    let mut loads = vec![Load::default(); disks.len()];
    for (pod, process) in pods.iter().zip(machines.processes.values()) {
        if let Some(load) = loads.get_mut(pod.node).filter(|_| process.state == State::Running) {
            add(load, pod, process.usage.working_set);
            load.disk += process.usage.disk;
        }
    }
    for (load, before) in loads.iter_mut().zip(disks) {
        let now = load.disk;
        load.disk -= *before;
        *before = now;
    }
    for (m, load) in machines.nodes.values_mut().zip(&loads) {
        work(m, load, seconds);
    }
}

/// Adds `seconds` of an edge's calls.
pub fn calls(all: &mut BTreeMap<(String, String), Calls>, (caller, callee): (&str, &str), edge: &Edge, seconds: f64) {
    let c = all.entry((caller.to_owned(), callee.to_owned())).or_default();
    c.total += edge.total * seconds;
    c.failed += edge.failed * seconds;
    c.retried += edge.retried * seconds;
    c.server_seconds += edge.server * seconds;
    c.client_seconds += edge.client * seconds;
    c.buckets.iter_mut().zip(edge.buckets).for_each(|(b, n)| *b += n * seconds);
}
