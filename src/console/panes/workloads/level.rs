//! The levels of the tree: which rows there are, by which key, and with which columns.

use super::super::health::{self, Health, Worst};
use crate::autopilot::world::World;
use crate::console::widgets::filter::{Field, Filter};
use crate::console::widgets::table::{Column, HIDDEN};
use crate::model::cluster::{Owner, Workload};
use crate::model::object::{PodKey, WorkloadKey};
use crate::model::pod::PodRow;
use std::sync::Arc;

/// Which pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every pod.
    All,
    /// Those of one workload.
    Workload(WorkloadKey),
    /// Those on one node.
    Node(Arc<str>),
}

/// A level of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// Namespaces, and above them: all workloads, all pods, nodes.
    Namespaces,
    /// Nodes.
    Nodes,
    /// Workloads of one namespace, or all.
    Workloads(Option<Arc<str>>),
    /// Pods.
    Pods(Scope),
    /// Containers of one pod.
    Containers(PodKey),
}

impl Level {
    /// What its rows are.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Nodes => "nodes",
            Self::Workloads(_) => "workloads",
            Self::Pods(_) => "pods",
            Self::Containers(_) => "containers",
        }
    }
}

/// What a row is, for as long as it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The entry that leads to all workloads.
    AllWorkloads,
    /// The entry that leads to all pods.
    AllPods,
    /// The entry that leads to the nodes.
    AllNodes,
    /// A namespace.
    Namespace(Arc<str>),
    /// A node.
    Node(Arc<str>),
    /// A workload.
    Workload(WorkloadKey),
    /// A pod.
    Pod(PodKey),
    /// A container of the pod of this level.
    Container(Arc<str>),
}

/// Where a row's data is in the world it was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// One of the three entries above the namespaces.
    Special(u8),
    /// Namespace by number.
    Namespace(u32),
    /// Node by number.
    Node(u32),
    /// Workload by number.
    Workload(u32),
    /// Pod by number of its workload and its own.
    Pod(u32, u32),
    /// Container by number of workload, pod and its own.
    Container(u32, u32, u32),
}

const GLYPH: Column = Column::text("", 1, 1, 0);
const CPU: [Column; 6] = [
    Column::number("CPU", 6, 12, 3),
    Column::number("%CPU/R", 6, 6, 7),
    Column::number("%CPU/L", 6, 6, 6),
    Column::number("MEM", 6, 12, 2),
    Column::number("%MEM/R", 6, 6, 7),
    Column::number("%MEM/L", 6, 6, 3),
];

/// Columns of the screen of an hour's history.
pub const TREND: u16 = 12;

/// The columns of a level. `name` is the length of its longest name.
pub fn columns(level: &Level, name: u16) -> Vec<Column<'static>> {
    let name = name.clamp(12, 64);
    match level {
        Level::Namespaces => vec![
            GLYPH,
            Column::text("NAMESPACE", 16, name.max(16), 0),
            Column::number("WORKLOADS", 9, 9, 1),
            Column::number("TROUBLED", 8, 8, 0),
            Column::number("PODS", 6, 6, 1),
            Column::text("AUTOMATION", 10, 10, 2),
            Column::text("STATE", 6, 11, 3),
        ],
        Level::Nodes => vec![
            GLYPH,
            Column::text("NODE", 14, name.max(14), 0),
            Column::text("STATUS", 10, 40, 0),
            Column::number("PODS", 7, 9, 1),
            Column::number("CPU", 6, 8, 3),
            Column::number("MEMORY", 7, 8, 3),
            Column::number("%MEM", 5, 12, 2),
            Column::text("ZONE", 8, 16, 5),
            Column::text("VERSION", 8, 14, 4),
            Column::number("AGE", 5, 5, 2),
        ],
        Level::Workloads(one) => {
            let mut c = vec![
                GLYPH,
                Column::text("NAMESPACE", 9, 20, if one.is_some() { HIDDEN } else { 1 }),
                Column::text("NAME", 12, name, 0),
                Column::text("KIND", 4, 12, 4),
                Column::number("READY", 5, 7, 0),
                Column::text("STATUS", 12, 22, 1),
                Column::number("RST", 3, 5, 2),
                Column::number("AGE", 5, 5, 4),
            ];
            c.extend(CPU);
            c.extend([
                Column::text("OWNER", 5, 18, 4),
                Column::text("AUTO", 4, 4, 5),
                Column::text("IMAGE", 20, 60, 8),
                Column::text("CPU 1H", TREND, TREND, 9),
                Column::text("MEM 1H", TREND, TREND, 9),
            ]);
            c
        }
        Level::Pods(scope) => {
            let mut c = vec![
                GLYPH,
                Column::text("NAMESPACE", 9, 20, if matches!(scope, Scope::Workload(_)) { HIDDEN } else { 1 }),
                Column::text("POD", 16, name.max(16), 0),
                Column::number("READY", 5, 5, 0),
                Column::text("STATUS", 12, 26, 1),
                Column::number("RST", 3, 5, 1),
                Column::number("AGE", 5, 5, 4),
            ];
            c.extend(CPU);
            c.extend([Column::text("NODE", 8, 28, 4), Column::text("IMAGE", 14, 60, 8)]);
            c
        }
        Level::Containers(_) => vec![
            GLYPH,
            Column::text("CONTAINER", 12, name, 0),
            Column::text("TYPE", 4, 4, 6),
            Column::text("STATE", 9, 22, 0),
            Column::number("RST", 3, 5, 0),
            Column::text("LAST END", 12, 30, 1),
            Column::number("CPU R", 5, 7, 3),
            Column::number("CPU L", 5, 7, 3),
            Column::number("MEM R", 5, 8, 2),
            Column::number("MEM L", 5, 8, 2),
            Column::text("PROBES", 6, 8, 5),
            Column::text("IMAGE", 14, 60, 4),
        ],
    }
}

/// The rows of a level that pass the filter, in the order of the snapshot.
pub fn places(level: &Level, world: &World, worst: &Worst, filter: &Filter) -> Vec<Place> {
    let s = &world.snapshot;
    match level {
        Level::Namespaces => {
            let special = if filter.is_empty() { 3 } else { 0 };
            let named = (0..s.namespaces.len() as u32).filter(|&i| {
                let name = &*s.namespaces[i as usize].name;
                filter.passes(&[(Field::Text, name), (Field::Namespace, name)])
            });
            (0..special).map(Place::Special).chain(named.map(Place::Namespace)).collect()
        }
        Level::Nodes => (0..s.nodes.len() as u32)
            .filter(|&i| {
                let n = &s.nodes[i as usize];
                let health = health::of_node(n).word();
                filter.passes(&[
                    (Field::Text, &n.name),
                    (Field::Node, &n.name),
                    (Field::Text, &n.zone),
                    (Field::Health, health),
                ])
            })
            .map(Place::Node)
            .collect(),
        Level::Workloads(ns) => {
            let known = health::pods_known(world);
            (0..s.workloads.len() as u32)
                .filter(|&i| {
                    let w = &s.workloads[i as usize];
                    ns.as_ref().is_none_or(|ns| *ns == w.key.namespace)
                        && (filter.is_empty() || workload_passes(filter, w, health::of_workload(w, worst, known)))
                })
                .map(Place::Workload)
                .collect()
        }
        Level::Pods(scope) => {
            let mut out = Vec::new();
            for (i, w) in s.workloads.iter().enumerate() {
                if matches!(scope, Scope::Workload(key) if *key != w.key) {
                    continue;
                }
                for (j, p) in w.pods.iter().enumerate() {
                    let here = !matches!(scope, Scope::Node(n) if p.node.as_ref() != Some(n));
                    if here && (filter.is_empty() || pod_passes(filter, p)) {
                        out.push(Place::Pod(i as u32, j as u32));
                    }
                }
            }
            out
        }
        Level::Containers(key) => find_pod(world, key).map_or_else(Vec::new, |(i, j)| {
            let pod = &s.workloads[i].pods[j];
            (0..pod.specs.len() as u32)
                .filter(|&c| filter.passes(&[(Field::Text, &pod.specs[c as usize].name)]))
                .map(|c| Place::Container(i as u32, j as u32, c))
                .collect()
        }),
    }
}

/// Where a pod is: number of its workload, and its own there.
pub fn find_pod(world: &World, key: &PodKey) -> Option<(usize, usize)> {
    world.snapshot.workloads.iter().enumerate().find_map(|(i, w)| {
        if w.key.namespace != key.namespace {
            return None;
        }
        w.pods.binary_search_by(|p| (*p.name).cmp(&*key.name)).ok().map(|j| (i, j))
    })
}

fn workload_passes(filter: &Filter, w: &Workload, health: Health) -> bool {
    let owners: Vec<String> = w.owners.iter().map(Owner::to_string).collect();
    let mut values: Vec<(Field, &str)> = vec![
        (Field::Text, &w.key.name),
        (Field::Namespace, &w.key.namespace),
        (Field::Kind, w.key.kind.as_str()),
        (Field::Kind, w.key.kind.short()),
        (Field::Health, health.word()),
        (Field::State, health::worst_status(w)),
    ];
    values.extend(owners.iter().map(|o| (Field::Owner, o.as_str())));
    values.extend(w.template.iter().map(|c| (Field::Text, &*c.image)));
    values.extend(w.pods.iter().filter_map(|p| p.node.as_deref()).map(|n| (Field::Node, n)));
    filter.passes(&values)
}

fn pod_passes(filter: &Filter, p: &PodRow) -> bool {
    let mut values: Vec<(Field, &str)> = vec![
        (Field::Text, &p.name),
        (Field::Namespace, &p.namespace),
        (Field::Kind, "Pod"),
        (Field::Node, p.node.as_deref().unwrap_or_default()),
        (Field::Health, health::of_pod(p).word()),
        (Field::State, p.status()),
    ];
    values.extend(p.specs.iter().map(|c| (Field::Text, &*c.image)));
    filter.passes(&values)
}

/// The key of a row.
pub fn key_of(place: Place, world: &World) -> Key {
    let s = &world.snapshot;
    match place {
        Place::Special(0) => Key::AllWorkloads,
        Place::Special(1) => Key::AllPods,
        Place::Special(_) => Key::AllNodes,
        Place::Namespace(i) => Key::Namespace(s.namespaces[i as usize].name.clone()),
        Place::Node(i) => Key::Node(s.nodes[i as usize].name.clone()),
        Place::Workload(i) => Key::Workload(s.workloads[i as usize].key.clone()),
        Place::Pod(i, j) => Key::Pod(pod_key(&s.workloads[i as usize].pods[j as usize])),
        Place::Container(i, j, c) => {
            Key::Container(s.workloads[i as usize].pods[j as usize].specs[c as usize].name.clone())
        }
    }
}

/// The key of a pod.
pub fn pod_key(p: &PodRow) -> PodKey {
    PodKey { namespace: p.namespace.clone(), name: (*p.name).into() }
}

/// Bytes of the longest name of a level: an upper bound of its columns.
pub fn longest(rows: &[Place], world: &World) -> u16 {
    let s = &world.snapshot;
    let length = |place: &Place| match *place {
        Place::Special(_) => 14,
        Place::Namespace(i) => s.namespaces[i as usize].name.len(),
        Place::Node(i) => s.nodes[i as usize].name.len(),
        Place::Workload(i) => s.workloads[i as usize].key.name.len(),
        Place::Pod(i, j) => s.workloads[i as usize].pods[j as usize].name.len(),
        Place::Container(i, j, c) => s.workloads[i as usize].pods[j as usize].specs[c as usize].name.len(),
    };
    rows.iter().map(length).max().unwrap_or(0).min(64) as u16
}
