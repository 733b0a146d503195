//! How containers end: by themselves, killed, or with their pod.

use super::pod::{End, LONGEST, Pod, Role, Run};
use super::work::Work;
use crate::sim::machine::State;
use crate::sim::object::{controller, int, text};

/// Milliseconds until a container that ended is seen and started again (the period of the kubelet's relist).
const RELIST: i64 = 1_000;

/// Milliseconds of running after which the crash back-off starts anew (twice the longest back-off).
const FORGET: i64 = 2 * LONGEST;

/// Milliseconds after which the rig's `crash` and `job` faults, and images tagged `:crash`, end a container.
const FAULT_AFTER: [i64; 2] = [3_000, 2_000];

impl Work<'_> {
    /// Sees which containers have ended.
    pub(super) fn reap(&mut self, pod: &mut Pod) {
        let mut lost = false;
        for i in 0..pod.cells.len() {
            let Run::Running(since) = pod.cells[i].run else { continue };
            let place = pod.place(i);
            if let Some((at, exit)) = pod.cells[i].stop
                && at <= self.now
            {
                let reason = if exit == 0 { "Completed" } else { "Error" };
                self.ended(pod, i, exit, reason, "");
                continue;
            }
            if pod.ghost {
                continue;
            }
            match self.machines.processes.get(&place).filter(|p| p.uid == pod.uid).map(|p| p.state) {
                Some(State::Exited(exit)) => {
                    let oom = self.node.oom.remove(&place);
                    let reason = if oom {
                        "OOMKilled"
                    } else if exit == 0 {
                        "Completed"
                    } else {
                        "Error"
                    };
                    self.ended(pod, i, exit, reason, "");
                }
                None => lost |= self.lost(pod, i),
                Some(State::Running) => self.crash(pod, i, since),
            }
        }
        if lost && pod.deadline().is_none() {
            self.new_sandbox(pod);
        }
    }

    /// The machine went down under container `i`; it starts again without back-off.
    fn lost(&mut self, pod: &mut Pod, i: usize) -> bool {
        self.ended(pod, i, 255, "Unknown", "");
        pod.cells[i].afresh = true;
        true
    }

    /// With its machine a pod loses its sandbox, and its address with that.
    fn new_sandbox(&mut self, pod: &mut Pod) {
        let message = "Pod sandbox changed, it will be killed and re-created.";
        self.tell_at(pod, "", "Normal", "SandboxChanged", message);
        if !Self::on_host(pod) {
            self.node.release(&pod.ip);
            let since = format!("{}/{}", pod.uid, self.now);
            pod.ip = self.node.address(&since, self.noise);
        }
    }

    /// The rig's ways to end a container.
    fn crash(&mut self, pod: &mut Pod, i: usize, since: i64) {
        let job = controller(&pod.object).is_some_and(|(kind, ..)| kind == "Job");
        let tagged = text(pod.spec(i), "image").ends_with(":crash");
        let after = match pod.fault(i) {
            "job" if job => FAULT_AFTER[1],
            "crash" => FAULT_AFTER[0],
            _ if tagged => FAULT_AFTER[0],
            _ => return,
        };
        if self.now >= since + after {
            let message = if job { "" } else { "panic: cannot read configuration: unknown key" };
            self.ended(pod, i, 1, "Error", message);
        } else {
            pod.again(since + after);
        }
    }

    /// Records the end of container `i`.
    pub(super) fn ended(&mut self, pod: &mut Pod, i: usize, exit: i32, reason: &str, message: &str) {
        let place = pod.place(i);
        if let Some(process) = self.machines.processes.remove(&place) {
            self.machines.previous.insert(place.clone(), process.log);
        }
        self.node.oom.remove(&place);
        self.machines.outside.locked.remove(&place);
        let (now, cell) = (self.now, &mut pod.cells[i]);
        let from = if let Run::Running(since) = cell.run { since } else { now };
        let (reason, message) = (reason.to_owned(), message.to_owned());
        cell.run = Run::Ended(End { exit, reason, message, from, to: now, id: cell.id.clone() });
        (cell.ready, cell.stop) = (false, None);
        cell.started = false;
        cell.retry = now + RELIST;
        cell.pull = super::pod::Pull::None;
        pod.dirty = true;
        pod.again(now + RELIST);
    }

    /// Whether container `i`, which has ended, may start now; says `CrashLoopBackOff` where it has to wait.
    pub(super) fn may_restart(&mut self, pod: &mut Pod, i: usize) -> bool {
        let cell = &mut pod.cells[i];
        if let Some(end) = cell.end()
            && !cell.afresh
            && self.now < end.to + RELIST
        {
            let at = end.to + RELIST;
            pod.again(at);
            return false;
        }
        let Some(end) = cell.end().or(cell.last.as_ref()).cloned() else { return true };
        if std::mem::take(&mut cell.afresh) {
            return true;
        }
        if cell.retry > self.now {
            let at = cell.retry;
            pod.again(at);
            return false;
        }
        let valid = cell.backoff.filter(|(_, raised)| end.to - raised <= FORGET);
        let Some((backoff, _)) = valid else {
            cell.backoff = None;
            return true;
        };
        let until = end.to + backoff;
        if until <= self.now {
            return true;
        }
        let name = format!("{}_{}({})", pod.key.1, pod.key.0, pod.uid);
        let container = pod.cells[i].name.clone();
        let message =
            format!("back-off {} restarting failed container={container} pod={name}", go_seconds(backoff / 1000));
        if !matches!(&pod.cells[i].run, Run::Waiting(reason, _) if reason == "CrashLoopBackOff") {
            let told = format!("Back-off restarting failed container {container} in pod {name}");
            self.tell(pod, i, "Warning", "BackOff", &told);
        }
        Self::wait(pod, i, "CrashLoopBackOff", &message);
        pod.again(until);
        false
    }

    /// Raises the crash back-off as container `i` starts.
    pub(super) fn raise(pod: &mut Pod, i: usize, now: i64) {
        let cell = &mut pod.cells[i];
        if cell.end().is_some() || cell.last.is_some() {
            let next = cell.backoff.map_or(10_000, |(b, _)| (b * 2).min(LONGEST));
            cell.backoff = Some((next, now));
        }
    }

    /// Sends container `i` the signal to end. One that cannot answer takes the whole grace period.
    pub(super) fn stop(&mut self, pod: &mut Pod, i: usize, grace: Option<i64>) {
        if pod.cells[i].stop.is_some() {
            return;
        }
        let place = pod.place(i);
        let grace =
            grace.or_else(|| int(&pod.object, "spec.terminationGracePeriodSeconds")).unwrap_or(30).max(0) * 1000;
        let sleep = int(pod.spec(i), "lifecycle.preStop.sleep.seconds").unwrap_or(0).max(0) * 1000;
        let hung = self.machines.outside.locked.contains(&place)
            || self.machines.processes.get(&place).is_some_and(|p| !p.live);
        let run = i64::from(pod.cells[i].restarts);
        let takes = sleep + 800 + (self.noise.of("stop").of(&pod.uid).of(&place.container).unit(run) * 1200.0) as i64;
        let stop = if hung || takes > grace { (self.now + grace, 137) } else { (self.now + takes, 0) };
        pod.cells[i].stop = Some(stop);
        pod.again(stop.0);
    }

    /// Ends a pod that is being deleted: its containers, then its sidecars.
    pub(super) fn terminate(&mut self, pod: &mut Pod) {
        let deadline = pod.deadline().unwrap_or(self.now);
        if !pod.stopping {
            pod.stopping = true;
            pod.dirty |= pod.cells.iter().any(|c| c.ready);
            pod.cells.iter_mut().for_each(|c| c.ready = false);
        }
        let main = pod.cells.iter().any(|c| c.role != Role::Sidecar && c.runs());
        for i in 0..pod.cells.len() {
            if !pod.cells[i].runs() || main && pod.cells[i].role == Role::Sidecar {
                continue;
            }
            if pod.cells[i].stop.is_none() {
                let message = format!("Stopping container {}", pod.cells[i].name);
                self.tell(pod, i, "Normal", "Killing", &message);
                self.stop(pod, i, None);
            }
            // A shorter grace period than first asked for counts from then.
            let (at, exit) = pod.cells[i].stop.unwrap_or((self.now, 137));
            let stop = if at > deadline { (deadline.max(self.now), 137) } else { (at, exit) };
            pod.cells[i].stop = Some(stop);
            if stop.0 <= self.now {
                self.ended(pod, i, stop.1, if stop.1 == 0 { "Completed" } else { "Error" }, "");
            } else {
                pod.again(stop.0);
            }
        }
        if pod.cells.iter().any(super::pod::Cell::runs) {
            pod.again(self.now.max(deadline.min(self.now + RELIST)));
        }
    }
}

/// Seconds as Go prints a duration: `10s`, `1m20s`, `5m0s`.
pub fn go_seconds(s: i64) -> String {
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}
