//! Which containers are followed: those of the pods that there are now, and how it stands with each.

use super::Logs;
use crate::autopilot::world::World;
use crate::console::effect::{Effect, Following, LogsOf};
use crate::model::logs::{Ask, Since, State};
use crate::model::object::PodKey;
use crate::model::pod::PodRow;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Containers that are followed at once; what is beyond them is counted and not followed.
pub const MOST: usize = 32;

/// Lines from the end that are read of each container of many.
const TAIL: u32 = 200;

/// A container that is followed, or was.
#[derive(Debug)]
pub struct Source {
    pub key: (PodKey, Option<Arc<str>>),
    /// Of the question that was asked last.
    pub id: u64,
    pub asked: bool,
    pub state: State,
    pub stop: CancellationToken,
    /// What stands before its lines.
    pub name: String,
    /// Lines that came faster than they were taken.
    pub dropped: u64,
}

impl Source {
    fn ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Logs {
    /// Takes pods that came into the list, lets those go that went, and asks for what was not asked for yet.
    pub(super) fn follow(&mut self, world: &World) -> Vec<Effect> {
        let Some(of) = &self.of else { return Vec::new() };
        // Batches come many times a second; pods change with a world.
        if self.seen.replace(world.seq) == Some(world.seq) {
            return Vec::new();
        }
        let wanted = wanted(world, of);
        let gone = |s: &&mut Source| !s.ended() && !wanted.contains(&s.key);
        for source in self.sources.iter_mut().filter(gone) {
            source.stop.cancel();
            source.state = State::Ended { why: "the pod is gone".into() };
        }
        let new: Vec<_> = wanted.into_iter().filter(|w| !self.sources.iter().any(|s| s.key == *w)).collect();
        let room = MOST.saturating_sub(self.sources.iter().filter(|s| !s.ended()).count());
        self.left_out = new.len().saturating_sub(room);
        let named = !new.is_empty();
        for key in new.into_iter().take(room) {
            self.next_id += 1;
            self.sources.push(Source {
                key,
                id: self.next_id,
                asked: false,
                state: State::Opening,
                stop: CancellationToken::new(),
                name: String::new(),
                dropped: 0,
            });
        }
        if named {
            self.name();
        }
        let (previous, since) = (self.previous, self.since);
        let ask = |source: &mut Source| {
            source.asked = true;
            let (pod, container) = source.key.clone();
            let ask = Ask { id: source.id, pod, container, previous, since: since.unwrap_or(Since::Tail(TAIL)) };
            Effect::Follow(Following { ask, stop: source.stop.clone() })
        };
        self.sources.iter_mut().filter(|s| !s.asked).map(ask).collect()
    }

    /// Names sources by what tells them apart: the pod without its workload's name, and the container where there are several.
    fn name(&mut self) {
        let stem = match &self.of {
            Some(LogsOf::Workload(key)) => format!("{}-", key.name),
            _ => String::new(),
        };
        let first = self.sources.first().map(|s| s.key.clone());
        let one_pod = self.sources.iter().all(|s| Some(&s.key.0) == first.as_ref().map(|k| &k.0));
        let one_container = self.sources.iter().all(|s| Some(&s.key.1) == first.as_ref().map(|k| &k.1));
        for source in &mut self.sources {
            let (pod, container) = &source.key;
            let pod = pod.name.strip_prefix(&*stem).filter(|rest| !rest.is_empty()).unwrap_or(&pod.name);
            let container = container.as_deref().unwrap_or_default();
            source.name = match (one_pod, one_container || container.is_empty()) {
                (true, true) => String::new(),
                (true, false) => container.to_owned(),
                (false, true) => pod.to_owned(),
                (false, false) => format!("{pod}/{container}"),
            };
        }
    }
}

/// The containers whose logs are meant, as of now.
fn wanted(world: &World, of: &LogsOf) -> Vec<(PodKey, Option<Arc<str>>)> {
    let s = &world.snapshot;
    match of {
        LogsOf::Container(pod, container) => vec![(pod.clone(), Some(container.clone()))],
        LogsOf::Workload(key) => {
            let pods = s.workload(key).into_iter().flat_map(|w| w.pods.iter());
            pods.flat_map(|p| containers(p)).collect()
        }
        LogsOf::Pods(pods) => {
            let find = |key: &PodKey| {
                let mut all =
                    s.workloads.iter().filter(|w| w.key.namespace == key.namespace).flat_map(|w| w.pods.iter());
                all.find(|p| *p.name == *key.name)
            };
            // What is not watched is read all the same: its first container.
            let of = |key: &PodKey| find(key).map_or_else(|| vec![(key.clone(), None)], |p| containers(p));
            pods.iter().flat_map(of).collect()
        }
    }
}

/// Containers of a pod that may say something: init containers while the pod is not past them.
fn containers(pod: &PodRow) -> Vec<(PodKey, Option<Arc<str>>)> {
    let key = PodKey { namespace: pod.namespace.clone(), name: (*pod.name).into() };
    pod.each_container()
        .filter(|(spec, row)| !spec.init || row.is_some_and(|r| r.running || r.trouble.is_some() && !r.ready))
        .map(|(spec, _)| (key.clone(), Some(spec.name.clone())))
        .collect()
}
