//! Deeds that press on what runs. Each standing deed says what it does to which knob now; a knob stands where all of
//! them together put it, and goes back to neutral when none is left.

use super::deed::{Deed, Fault, Name, Server};
use crate::model::time::Timestamp;
use crate::sim::clock::seconds;
use crate::sim::machine::{Machines, Place};
use chrono::TimeDelta;
use std::collections::BTreeMap;

/// Something that can be pressed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knob {
    /// Load of an entrance.
    Load(String),
    /// Slowness of a workload.
    Slow(String),
    /// Failures of a workload.
    Failing(String),
    /// Readiness of a container.
    Unready(Place),
    /// Power of a machine.
    Power(String),
    /// Network of a machine.
    Network(String),
    /// Kubelet of a machine.
    Kubelet(String),
    /// Exporters of a machine.
    Exporting(String),
    /// Exporter of a container.
    Metrics(Place),
    /// Cores stolen on a machine.
    Stolen(String),
    /// Bytes a second written on a machine.
    Filling(String),
    /// Price of an instance type.
    Price(String),
    /// Fault of a server.
    Server(Server, Fault),
}

/// Where knobs stand that are not neutral. For those that are on or off the number is 1: pressed.
pub type Knobs = BTreeMap<Knob, f64>;

/// What a standing deed presses on.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Nodes, for deeds on machines.
    pub nodes: Vec<String>,
    /// Containers, for deeds on pods: those that ran when it began.
    pub places: Vec<Place>,
}

/// Containers of a workload that run, in order; of `pods` pods at most.
pub fn containers(machines: &Machines, workload: &Name, pods: Option<usize>) -> Vec<Place> {
    let mine = machines
        .processes
        .iter()
        .filter(|(place, process)| place.namespace == workload.namespace && process.workload.1 == workload.name);
    let mut chosen: Vec<Place> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for (place, _) in mine {
        if !seen.contains(&place.pod.as_str()) {
            if pods.is_some_and(|n| seen.len() == n) {
                break;
            }
            seen.push(&place.pod);
        }
        chosen.push(place.clone());
    }
    chosen
}

/// What `deed` reaches as it begins; the error says why it reaches nothing.
pub fn reach(machines: &Machines, deed: &Deed) -> Result<Reach, String> {
    let nodes = match deed {
        Deed::Power { nodes, .. }
        | Deed::StopKubelet { nodes }
        | Deed::FillDisk { nodes, .. }
        | Deed::StealCpu { nodes, .. } => nodes.clone(),
        Deed::Partition { zone: None, nodes } => nodes.clone(),
        Deed::Partition { zone: Some(zone), .. } => {
            let inside = machines.nodes.values().filter(|m| m.zone == *zone);
            let nodes: Vec<String> = inside.map(|m| m.name.clone()).collect();
            if nodes.is_empty() {
                return Err(format!("there is no node in zone {zone:?}"));
            }
            nodes
        }
        _ => Vec::new(),
    };
    if let Some(unknown) = nodes.iter().find(|n| !machines.nodes.contains_key(*n)) {
        return Err(format!("there is no node {unknown:?}"));
    }
    let places = match deed {
        Deed::Lock { workload, pods } | Deed::Unready { workload, pods, .. } => {
            let places = containers(machines, workload, *pods);
            if places.is_empty() {
                return Err(format!("no pod of {workload} runs"));
            }
            places
        }
        _ => Vec::new(),
    };
    Ok(Reach { nodes, places })
}

/// How far a ramp has come, 0..1.
fn progress(since: Timestamp, now: Timestamp, ramp: TimeDelta) -> f64 {
    if ramp <= TimeDelta::zero() {
        return 1.0;
    }
    ((now - since).num_milliseconds() as f64 / ramp.num_milliseconds() as f64).clamp(0.0, 1.0)
}

/// Whether something that goes on and off in turns is on: the first half of each turn.
fn on(since: Timestamp, now: Timestamp, every: Option<TimeDelta>) -> bool {
    every.is_none_or(|e| (now - since).num_milliseconds().rem_euclid(e.num_milliseconds()) * 2 < e.num_milliseconds())
}

/// When a deed that stands since `since` next presses otherwise.
pub fn next(deed: &Deed, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let second = seconds(1.0);
    match deed {
        Deed::Load { ramp, .. } | Deed::Slow { ramp, .. } | Deed::Failing { ramp, .. } => {
            (now < since + *ramp).then(|| (now + second).min(since + *ramp))
        }
        Deed::Unready { every: Some(every), .. } => Some(flip(since, now, *every)),
        // Processes that started since are silenced too.
        Deed::DropMetrics { every, .. } => Some(every.map_or(now + second, |e| flip(since, now, e).min(now + second))),
        _ => None,
    }
}

fn flip(since: Timestamp, now: Timestamp, every: TimeDelta) -> Timestamp {
    let half = every / 2;
    let passed = (now - since).num_milliseconds() / half.num_milliseconds();
    since + half * i32::try_from(passed + 1).unwrap_or(i32::MAX)
}

/// Adds what a deed presses now to `knobs`.
pub fn press(deed: &Deed, reach: &Reach, machines: &Machines, (since, now): (Timestamp, Timestamp), knobs: &mut Knobs) {
    let mut times = |knob: Knob, factor: f64| *knobs.entry(knob).or_insert(1.0) *= factor;
    let eased = |factor: f64, ramp: &TimeDelta| 1.0 + (factor - 1.0) * progress(since, now, *ramp);
    match deed {
        Deed::Load { entrance, factor, ramp } => times(Knob::Load(entrance.clone()), eased(*factor, ramp)),
        Deed::Slow { workload, factor, ramp } => times(Knob::Slow(workload.to_string()), eased(*factor, ramp)),
        Deed::Price { instances, factor } => times(Knob::Price(instances.clone()), *factor),
        Deed::Failing { workload, share, ramp } => {
            let entry = knobs.entry(Knob::Failing(workload.to_string())).or_insert(0.0);
            *entry = 1.0 - (1.0 - *entry) * (1.0 - share * progress(since, now, *ramp));
        }
        Deed::FillDisk { rate, .. } => add(knobs, &reach.nodes, Knob::Filling, *rate),
        Deed::StealCpu { cores, .. } => add(knobs, &reach.nodes, Knob::Stolen, *cores),
        Deed::Power { on: false, .. } => add(knobs, &reach.nodes, Knob::Power, 1.0),
        Deed::Partition { .. } => add(knobs, &reach.nodes, Knob::Network, 1.0),
        Deed::StopKubelet { .. } => add(knobs, &reach.nodes, Knob::Kubelet, 1.0),
        Deed::Unready { every, .. } if on(since, now, *every) => {
            knobs.extend(reach.places.iter().map(|p| (Knob::Unready(p.clone()), 1.0)));
        }
        Deed::DropMetrics { targets, every } if on(since, now, *every) => {
            let nodes = machines.nodes.keys().filter(|n| targets.is_match(n));
            knobs.extend(nodes.map(|n| (Knob::Exporting(n.clone()), 1.0)));
            let path = |p: &Place| format!("{}/{}/{}", p.namespace, p.pod, p.container);
            let places = machines.processes.keys().filter(|p| targets.is_match(&path(p)));
            knobs.extend(places.map(|p| (Knob::Metrics(p.clone()), 1.0)));
        }
        Deed::Server { server, fault, amount } => drop(knobs.insert(Knob::Server(*server, *fault), *amount)),
        _ => {}
    }
}

fn add(knobs: &mut Knobs, nodes: &[String], knob: impl Fn(String) -> Knob, amount: f64) {
    for node in nodes {
        *knobs.entry(knob(node.clone())).or_insert(0.0) += amount;
    }
}

/// Puts a knob where it should stand; `None` is neutral. Faults of servers are not the machines'.
pub fn turn(machines: &mut Machines, knob: &Knob, to: Option<f64>) {
    fn entry(map: &mut BTreeMap<String, f64>, key: &str, to: Option<f64>) {
        match to {
            Some(value) => drop(map.insert(key.to_owned(), value)),
            None => drop(map.remove(key)),
        }
    }
    let outside = &mut machines.outside;
    match knob {
        Knob::Load(name) => entry(&mut outside.load, name, to),
        Knob::Slow(name) => entry(&mut outside.slow, name, to),
        Knob::Failing(name) => entry(&mut outside.failing, name, to),
        Knob::Price(name) => entry(&mut outside.price, name, to),
        Knob::Unready(place) if to.is_some() => drop(outside.unready.insert(place.clone())),
        Knob::Unready(place) => drop(outside.unready.remove(place)),
        Knob::Metrics(place) => {
            if let Some(process) = machines.processes.get_mut(place) {
                process.exporting = to.is_none();
            }
        }
        Knob::Server(..) => {}
        Knob::Power(node)
        | Knob::Network(node)
        | Knob::Kubelet(node)
        | Knob::Exporting(node)
        | Knob::Stolen(node)
        | Knob::Filling(node) => {
            let Some(machine) = machines.nodes.get_mut(node) else { return };
            match knob {
                Knob::Power(_) => machine.powered = to.is_none(),
                Knob::Network(_) => machine.connected = to.is_none(),
                Knob::Kubelet(_) => machine.kubelet = to.is_none(),
                Knob::Exporting(_) => machine.exporting = to.is_none(),
                Knob::Stolen(_) => machine.stolen_cores = to.unwrap_or(0.0),
                _ => machine.disk_filling = to.unwrap_or(0.0),
            }
        }
    }
}
