//! How well a workload, a node or a pod is, as tables and the overview say it.

use crate::autopilot::world::World;
use crate::console::theme::{Glyphs, Role};
use crate::model::cluster::{NodeRow, Workload};
use crate::model::finding::{Severity, Subject};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::pod::{Phase, PodRow};
use crate::model::snapshot::SourceState;
use std::collections::HashMap;

/// How well something is. Ordered: later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Health {
    Good,
    Unknown,
    Warning,
    Bad,
}

impl Health {
    /// The word for filters.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    /// Its sign.
    pub fn glyph(self, glyphs: &Glyphs) -> &'static str {
        match self {
            Self::Good => glyphs.good,
            Self::Unknown => glyphs.unknown,
            Self::Warning => glyphs.warning,
            Self::Bad => glyphs.bad,
        }
    }

    /// Its colour.
    pub fn role(self) -> Role {
        match self {
            Self::Good => Role::Good,
            Self::Unknown => Role::Stale,
            Self::Warning => Role::Warning,
            Self::Bad => Role::Bad,
        }
    }
}

/// The worst finding per workload.
pub type Worst = HashMap<WorkloadKey, Severity>;

/// Gathers the worst finding per workload.
pub fn worst(world: &World) -> Worst {
    let mut map = Worst::new();
    for f in &*world.findings {
        if let Subject::Workload(key) = &f.subject {
            let entry = map.entry(key.clone()).or_insert(f.severity);
            *entry = (*entry).max(f.severity);
        }
    }
    map
}

/// How troubling a pod's status word is: 0 fine (or no pod), 1 on its way, 2 wrong.
pub fn status_rank(status: &str) -> u8 {
    match status {
        "Running" | "Completed" | "-" => 0,
        "ContainerCreating" | "PodInitializing" | "Pending" | "Terminating" => 1,
        _ => 2,
    }
}

/// The colour of a pod's status word.
pub fn status_role(status: &str) -> Role {
    match status_rank(status) {
        0 => Role::Text,
        1 => Role::Warning,
        _ => Role::Bad,
    }
}

/// The status of a workload's worst pod; `-` without pods.
pub fn worst_status(workload: &Workload) -> &str {
    workload.pods.iter().map(|p| p.status()).max_by_key(|s| status_rank(s)).unwrap_or("-")
}

/// How well a pod is.
pub fn of_pod(pod: &PodRow) -> Health {
    match (status_rank(pod.status()), pod.phase) {
        (2, _) => Health::Bad,
        (1, _) => Health::Warning,
        (_, Phase::Running) if !pod.ready => Health::Warning,
        _ => Health::Good,
    }
}

/// How well a workload is: its findings first, then its controller, then its pods. Where pods may not be
/// listed and nothing else tells, it is unknown.
pub fn of_workload(workload: &Workload, worst: &Worst, pods_known: bool) -> Health {
    let found = match worst.get(&workload.key) {
        Some(Severity::Critical | Severity::High) => Health::Bad,
        Some(Severity::Warning) => Health::Warning,
        _ => Health::Good,
    };
    let (ready, wanted) = workload.readiness();
    let finishes = matches!(workload.key.kind, WorkloadKind::Job | WorkloadKind::CronJob);
    let seen = if workload.stuck.is_some() {
        Health::Bad
    } else if !pods_known {
        Health::Unknown
    } else if status_rank(worst_status(workload)) == 2 {
        if ready == 0 && !finishes { Health::Bad } else { Health::Warning }
    } else if ready < wanted && !finishes {
        Health::Warning
    } else {
        Health::Good
    };
    found.max(seen)
}

/// How well a node is.
pub fn of_node(node: &NodeRow) -> Health {
    if !node.ready {
        Health::Bad
    } else if !node.troubles.is_empty() || node.cordoned {
        Health::Warning
    } else {
        Health::Good
    }
}

/// Whether pods were ever listed, so that their absence means something.
pub fn pods_known(world: &World) -> bool {
    match world.snapshot.source("pods") {
        SourceState::Live { .. } => true,
        SourceState::Failed { last, .. } => last.is_some(),
        _ => false,
    }
}

/// Numbers of the whole cluster, counted once per world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Tally {
    pub workloads: usize,
    pub healthy: usize,
    pub nodes: usize,
    pub nodes_ready: usize,
    pub ready: usize,
    pub unready: usize,
    pub pending: usize,
    pub failing: usize,
    pub done: usize,
    pub leaving: usize,
}

impl Tally {
    /// Counts workloads, nodes and pods by state.
    pub fn of(world: &World) -> Self {
        let (worst, known) = (worst(world), pods_known(world));
        let mut t = Self {
            workloads: world.snapshot.workloads.len(),
            nodes: world.snapshot.nodes.len(),
            nodes_ready: world.snapshot.nodes.iter().filter(|n| n.ready).count(),
            ..Self::default()
        };
        for w in &*world.snapshot.workloads {
            t.healthy += usize::from(of_workload(w, &worst, known) == Health::Good);
            for p in &*w.pods {
                let place = match (status_rank(p.status()), p.phase) {
                    _ if p.deleting => &mut t.leaving,
                    (2, _) => &mut t.failing,
                    (1, _) => &mut t.pending,
                    (_, Phase::Succeeded) => &mut t.done,
                    _ if p.ready => &mut t.ready,
                    _ => &mut t.unready,
                };
                *place += 1;
            }
        }
        t
    }
}
