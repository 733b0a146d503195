//! Pods.

use super::{message, reason_of, specs, uid};
use crate::model::pod::{ContainerRow, ContainerSpec, ContainerTrouble, Phase, PodRow, PodTrouble, Terminated};
use crate::model::text;
use crate::monitor::intern::Interner;
use crate::monitor::lite::{ContainerStatusLite, PodLite, PodStatusLite, TerminatedLite, condition};

/// One pod as a row.
pub fn pod(raw: &PodLite, names: &mut Interner) -> PodRow {
    let (meta, status) = (&raw.metadata, &raw.status);
    let phase = phase(&status.phase);
    let specs = specs(&raw.spec, names);
    PodRow {
        namespace: names.text(&meta.namespace),
        name: text::clean(&meta.name).into(),
        uid: uid(&meta.uid),
        resource_version: uid(&meta.resource_version),
        owner: meta.controller().map(|o| names.owner(&o.kind, &o.name)),
        node: raw.spec.node_name.as_deref().filter(|n| !n.is_empty()).map(|n| names.text(n)),
        containers: containers(&specs, status, phase, names),
        specs,
        phase,
        ready: condition(&status.conditions, "Ready", "True").is_some(),
        deleting: meta.deletion_timestamp.is_some(),
        created: meta.creation_timestamp.unwrap_or_default(),
        trouble: trouble(status, phase, names),
    }
}

fn phase(raw: &str) -> Phase {
    match raw {
        "Pending" => Phase::Pending,
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        _ => Phase::Unknown,
    }
}

/// States in the order of the specs; empty until the kubelet reports any.
fn containers(
    specs: &[ContainerSpec],
    status: &PodStatusLite,
    phase: Phase,
    names: &mut Interner,
) -> Box<[ContainerRow]> {
    if status.container_statuses.is_empty() && status.init_container_statuses.is_empty() {
        return Box::default();
    }
    let row = |spec: &ContainerSpec| {
        let list = if spec.init { &status.init_container_statuses } else { &status.container_statuses };
        match list.iter().find(|s| *text::clean(&s.name) == *spec.name) {
            Some(s) => container(s, spec.init, phase, names),
            None => ContainerRow { restarts: 0, ready: false, running: false, trouble: None },
        }
    };
    specs.iter().map(row).collect()
}

fn container(s: &ContainerStatusLite, init: bool, phase: Phase, names: &mut Interner) -> ContainerRow {
    let waiting = s.state.waiting.as_ref().map(|w| (names.text(&w.reason), message(&w.message)));
    // An init container that ended well, or a pod that ended well, is as it should be.
    let well = |t: &TerminatedLite| t.exit_code == 0 && (init || phase == Phase::Succeeded);
    let ended = s.state.terminated.as_ref().filter(|t| !well(t)).map(|t| terminated(t, names));
    let last = s.last_state.terminated.as_ref().map(|t| terminated(t, names));
    let trouble = (waiting.is_some() || ended.is_some() || last.is_some())
        .then(|| Box::new(ContainerTrouble { waiting, terminated: ended, last }));
    ContainerRow { restarts: s.restart_count, ready: s.ready, running: s.state.running.is_some(), trouble }
}

fn terminated(t: &TerminatedLite, names: &mut Interner) -> Terminated {
    Terminated { reason: names.text(&t.reason), exit_code: t.exit_code, started: t.started_at, finished: t.finished_at }
}

fn trouble(status: &PodStatusLite, phase: Phase, names: &mut Interner) -> Option<Box<PodTrouble>> {
    let reason = status.reason.as_deref().filter(|r| !r.is_empty());
    let trouble = PodTrouble {
        reason: reason.map(|r| (names.text(r), message(status.message.as_deref().unwrap_or_default()))),
        unschedulable: condition(&status.conditions, "PodScheduled", "False").map(|c| reason_of(c, names)),
        not_ready: condition(&status.conditions, "Ready", "False").filter(|_| phase != Phase::Succeeded).map(|c| {
            let (reason, message) = reason_of(c, names);
            (reason, message, c.last_transition_time)
        }),
    };
    (trouble != PodTrouble::default()).then(|| Box::new(trouble))
}
