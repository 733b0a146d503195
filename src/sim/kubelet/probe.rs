//! Startup, liveness and readiness probes: when they are due, what they find, and what follows from it.

use super::pod::{Pod, Run, spec};
use super::work::Work;
use crate::sim::object::{at, int, text};
use serde_json::Value;

/// The probes of one run of a container.
#[derive(Debug, Clone, Default)]
pub struct Probes {
    /// Startup, liveness, readiness.
    each: [Probe; 3],
    /// The run that they are about, by its start.
    of: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Probe {
    /// When it is next due; 0: not planned.
    next: i64,
    good: i64,
    bad: i64,
}

const KINDS: [(&str, &str); 3] =
    [("startupProbe", "Startup"), ("livenessProbe", "Liveness"), ("readinessProbe", "Readiness")];
const STARTUP: usize = 0;
const LIVENESS: usize = 1;

/// Milliseconds after its start at which the rig's `liveness` fault has a container killed.
const FAULT_AFTER: i64 = 9_000;

impl Work<'_> {
    /// Asks the probes of container `i` that are due.
    pub(super) fn probe(&mut self, pod: &mut Pod, i: usize) {
        let Run::Running(since) = pod.cells[i].run else { return };
        if pod.cells[i].stop.is_some() {
            return;
        }
        if pod.cells[i].probes.of != since {
            pod.cells[i].probes = Probes { of: since, ..Probes::default() };
        }
        self.faults(pod, i, since);
        if !pod.cells[i].started && at(pod.spec(i), "startupProbe").is_none() {
            pod.cells[i].started = true;
            pod.dirty = true;
        }
        let object = pod.object.clone();
        for (which, (field, _)) in KINDS.iter().enumerate() {
            if (which == STARTUP) == pod.cells[i].started {
                continue;
            }
            let next = pod.cells[i].probes.each[which].next;
            if next > self.now {
                pod.again(next);
                continue;
            }
            let Some(probe) = at(spec(&object, i), field) else { continue };
            self.one(pod, i, which, probe, since);
            if pod.cells[i].stop.is_some() {
                return;
            }
        }
        let unready = pod.fault(i) == "not-ready";
        let cell = &pod.cells[i];
        if cell.started && !cell.ready && !unready && at(pod.spec(i), "readinessProbe").is_none() {
            pod.cells[i].ready = true;
            pod.dirty = true;
        }
    }

    fn one(&mut self, pod: &mut Pod, i: usize, which: usize, spec: &Value, since: i64) {
        let seconds = |field: &str, default: i64| int(spec, field).unwrap_or(default);
        let mut state = pod.cells[i].probes.each[which];
        if state.next == 0 {
            // On whole seconds, after the shop has moved.
            let first = (since + seconds("initialDelaySeconds", 0) * 1000).max(self.now);
            state.next = (first + 999) / 1000 * 1000;
        }
        if state.next <= self.now {
            let answer = self.answer(pod, i, which, spec);
            match &answer {
                Ok(()) => (state.good, state.bad) = (state.good + 1, 0),
                Err(why) => {
                    (state.good, state.bad) = (0, state.bad + 1);
                    let message = format!("{} probe failed: {why}", KINDS[which].1);
                    self.tell(pod, i, "Warning", "Unhealthy", &message);
                }
            }
            state.next += seconds("periodSeconds", 10).max(1) * 1000;
            pod.cells[i].probes.each[which] = state;
            if answer.is_ok() && state.good >= seconds("successThreshold", 1) {
                Self::passed(pod, i, which);
            } else if state.bad >= seconds("failureThreshold", 3) {
                let grace = int(spec, "terminationGracePeriodSeconds");
                self.failed(pod, i, which, grace);
            }
        }
        pod.cells[i].probes.each[which] = state;
        // A probe that starts to count now (after startup) is asked within the same turn's next second.
        pod.again(state.next);
    }

    fn passed(pod: &mut Pod, i: usize, which: usize) {
        let cell = &mut pod.cells[i];
        match which {
            STARTUP if !cell.started => cell.started = true,
            LIVENESS | STARTUP => return,
            _ if !cell.ready => cell.ready = true,
            _ => return,
        }
        pod.dirty = true;
    }

    fn failed(&mut self, pod: &mut Pod, i: usize, which: usize, grace: Option<i64>) {
        if which != STARTUP && which != LIVENESS {
            if pod.cells[i].ready {
                pod.cells[i].ready = false;
                pod.dirty = true;
            }
            return;
        }
        let kind = KINDS[which].1.to_lowercase();
        let message = format!("Container {} failed {kind} probe, will be restarted", pod.cells[i].name);
        self.tell(pod, i, "Normal", "Killing", &message);
        self.stop(pod, i, grace);
    }

    /// What the endpoint answers, as the prober words it.
    fn answer(&self, pod: &Pod, i: usize, which: usize, spec: &Value) -> Result<(), String> {
        let place = pod.place(i);
        let outside = &self.machines.outside;
        let Some(process) = self.machines.processes.get(&place) else { return Ok(()) };
        let hung = outside.locked.contains(&place);
        let fine = match which {
            STARTUP => process.started_up,
            LIVENESS => process.started_up && process.live && !hung,
            _ => {
                process.started_up
                    && process.ready
                    && !hung
                    && !outside.unready.contains(&place)
                    && pod.fault(i) != "not-ready"
            }
        };
        if fine {
            return Ok(());
        }
        let port = port(pod, i, spec);
        let refused = format!("dial tcp {}:{port}: connect: connection refused", pod.ip);
        Err(if at(spec, "exec").is_some() {
            "command failed".to_owned()
        } else if at(spec, "grpc").is_some() {
            "service unhealthy (responded with \"NOT_SERVING\")".to_owned()
        } else if at(spec, "tcpSocket").is_some() {
            refused
        } else {
            let scheme = text(spec, "httpGet.scheme").to_lowercase();
            let scheme = if scheme.is_empty() { "http" } else { &scheme };
            let url = format!("Get \"{scheme}://{}:{port}{}\"", pod.ip, text(spec, "httpGet.path"));
            match (process.started_up, hung || which == LIVENESS && !process.live) {
                (false, _) => format!("{url}: {refused}"),
                (_, true) => {
                    format!("{url}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
                }
                _ => "HTTP probe failed with statuscode: 503".to_owned(),
            }
        })
    }

    /// What the rig's annotations ask for, whether or not there is a probe that would find it.
    fn faults(&mut self, pod: &mut Pod, i: usize, since: i64) {
        match pod.fault(i) {
            "not-ready" if pod.cells[i].ready || !pod.cells[i].started => {
                pod.cells[i].started = true;
                pod.cells[i].ready = false;
                pod.dirty = true;
                let message = "Readiness probe failed: HTTP probe failed with statuscode: 503";
                self.tell(pod, i, "Warning", "Unhealthy", message);
            }
            "liveness" if self.now >= since + FAULT_AFTER => {
                let why = format!("Get \"http://{}:8080/healthz\": context deadline exceeded", pod.ip);
                self.tell(pod, i, "Warning", "Unhealthy", &format!("Liveness probe failed: {why}"));
                let message = format!("Container {} failed liveness probe, will be restarted", pod.cells[i].name);
                self.tell(pod, i, "Normal", "Killing", &message);
                pod.cells[i].stop = Some((self.now, 137));
                pod.again(self.now);
            }
            "liveness" => pod.again(since + FAULT_AFTER),
            _ => {}
        }
    }
}

/// The port a probe asks, by number or by name.
fn port(pod: &Pod, i: usize, spec: &Value) -> i64 {
    let port = ["httpGet.port", "tcpSocket.port", "grpc.port"].iter().find_map(|p| at(spec, p));
    match port {
        Some(Value::String(name)) => {
            let ports = crate::sim::object::list(pod.spec(i), "ports");
            ports.iter().find(|p| text(p, "name") == name).and_then(|p| int(p, "containerPort")).unwrap_or(0)
        }
        Some(n) => n.as_i64().unwrap_or(0),
        None => 0,
    }
}
