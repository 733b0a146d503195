//! Which container's log is meant by what is under the cursor.

use super::super::health;
use super::level::{self, Place};
use super::{Workloads, rows};
use crate::autopilot::world::Detail;
use crate::console::command::PaneId;
use crate::console::effect::{Effect, LogsOf, Target};
use crate::model::object::PodKey;
use crate::model::pod::PodRow;
use std::sync::Arc;

/// Lines of a log that are fetched.
pub const LOG_LINES: u32 = 500;

impl Workloads {
    /// The pod and container whose log is meant, and how often that container has restarted if that is known.
    /// Of a workload it is the worst pod, of a pod the container in trouble.
    pub(super) fn log_of(&self) -> Option<(PodKey, Option<Arc<str>>, Option<u32>)> {
        let world = self.world.as_ref()?;
        let s = &world.snapshot;
        let mut wanted = None;
        let pod: &Arc<PodRow> = match self.place()? {
            Place::Workload(i) => s.workloads[i as usize].pods.iter().max_by_key(|p| health::of_pod(p))?,
            Place::Pod(i, j) => &s.workloads[i as usize].pods[j as usize],
            Place::Container(i, j, c) => {
                let pod = &s.workloads[i as usize].pods[j as usize];
                wanted = Some(pod.specs[c as usize].name.clone());
                pod
            }
            _ => return None,
        };
        let found = match &wanted {
            Some(name) => pod.each_container().find(|(spec, _)| spec.name == *name),
            None => pod
                .each_container()
                .filter(|(spec, row)| !spec.init || row.is_some_and(|r| r.trouble.is_some() && !r.ready))
                .max_by_key(|(spec, row)| rows::container_state(spec, *row).0),
        };
        let restarts = found.and_then(|(_, row)| row.map(|r| r.restarts));
        Some((level::pod_key(pod), wanted.or_else(|| found.map(|(spec, _)| spec.name.clone())), restarts))
    }

    /// What leads to the logs of what is under the cursor: of a workload those of all its pods.
    pub(super) fn follow(&self) -> Option<Effect> {
        let world = self.world.as_ref()?;
        let s = &world.snapshot;
        let of = match self.place()? {
            Place::Workload(i) => LogsOf::Workload(s.workloads[i as usize].key.clone()),
            Place::Pod(i, j) => LogsOf::Pods(vec![level::pod_key(&s.workloads[i as usize].pods[j as usize])]),
            Place::Container(i, j, c) => {
                let pod = &s.workloads[i as usize].pods[j as usize];
                LogsOf::Container(level::pod_key(pod), pod.specs[c as usize].name.clone())
            }
            _ => return None,
        };
        Some(Effect::Go(PaneId::Logs, Some(Target::Logs(of))))
    }

    /// What fetches the log of the instance before the last restart.
    pub(super) fn previous(&self) -> Option<Effect> {
        let (pod, container, _) = self.log_of()?;
        Some(Effect::Fetch(Detail::Logs { pod, container, previous: true, tail: LOG_LINES }))
    }
}
