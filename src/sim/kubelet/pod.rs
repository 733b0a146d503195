//! A pod as its kubelet knows it: what is wanted, and where each of its containers stands.

use super::probe::Probes;
use crate::model::time::Timestamp;
use crate::sim::clock::{at as moment, rfc3339};
use crate::sim::machine::Place;
use crate::sim::object::{at, int, list, text};
use crate::sim::scheduler::table::{FILLER, Key};
use crate::sim::store::Stored;
use serde_json::{Value, json};
use std::sync::Arc;

/// Longest crash back-off, milliseconds.
pub const LONGEST: i64 = 300_000;

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the next.
    Init,
    /// Starts among the init containers and stays.
    Sidecar,
    /// One of `spec.containers`.
    Main,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// Exit code.
    pub exit: i32,
    /// `Completed`, `Error`, `OOMKilled`, …
    pub reason: String,
    /// Termination message.
    pub message: String,
    /// Milliseconds since 1970: its start and its end.
    pub from: i64,
    /// See `from`.
    pub to: i64,
    /// Its id.
    pub id: String,
}

impl End {
    /// As in `state.terminated`.
    pub fn json(&self) -> Value {
        let mut v = json!({"exitCode": self.exit, "reason": self.reason, "startedAt": stamp(self.from), "finishedAt": stamp(self.to)});
        if !self.message.is_empty() {
            v["message"] = self.message.as_str().into();
        }
        if !self.id.is_empty() {
            v["containerID"] = self.id.as_str().into();
        }
        v
    }

    fn read(v: &Value) -> Self {
        Self {
            exit: int(v, "exitCode").unwrap_or(0) as i32,
            reason: text(v, "reason").to_owned(),
            message: text(v, "message").to_owned(),
            from: when(text(v, "startedAt")),
            to: when(text(v, "finishedAt")),
            id: text(v, "containerID").to_owned(),
        }
    }
}

/// Where a container stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Run {
    /// Not started, with reason and message.
    Waiting(String, String),
    /// Runs since.
    Running(i64),
    /// Ended.
    Ended(End),
}

/// Where the image of a container is.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Pull {
    /// Not asked for.
    #[default]
    None,
    /// Comes: since, until.
    Coming(i64, i64),
    /// It has come: what to say about it, once.
    Here(String),
    /// It could not be had: back-off in milliseconds, when to try again, why; whether the back-off was told.
    Failed(i64, i64, String, bool),
}

/// A container.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Where it stands.
    pub run: Run,
    /// How the run before ended.
    pub last: Option<End>,
    /// Restarts.
    pub restarts: u32,
    /// Passes readiness.
    pub ready: bool,
    /// Passed startup.
    pub started: bool,
    /// `containerd://…` of the present or last run; empty before the first.
    pub id: String,
    /// The image it runs, resolved; empty before the first run.
    pub image_id: String,
    /// Crash back-off: milliseconds, and when it was last raised.
    pub backoff: Option<(i64, i64)>,
    /// The image.
    pub pull: Pull,
    /// Not before this time again, after a failed start.
    pub retry: i64,
    /// Probes of the present run.
    pub probes: Probes,
    /// Is being stopped: when it will have ended, its exit code, and whether it ends for good.
    pub stop: Option<(i64, i32)>,
    /// The resources it runs with.
    pub applied: Value,
    /// Starts again at once and without back-off (resize).
    pub afresh: bool,
}

impl Cell {
    /// Whether it runs.
    pub fn runs(&self) -> bool {
        matches!(self.run, Run::Running(_))
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<&End> {
        if let Run::Ended(end) = &self.run { Some(end) } else { None }
    }

    fn new(spec: &Value, role: Role, waits: &str, status: Option<&Value>) -> Self {
        let mut cell = Self {
            name: text(spec, "name").to_owned(),
            role,
            run: Run::Waiting(waits.to_owned(), String::new()),
            last: None,
            restarts: 0,
            ready: false,
            started: false,
            id: String::new(),
            image_id: String::new(),
            backoff: None,
            pull: Pull::None,
            retry: 0,
            probes: Probes::default(),
            stop: None,
            applied: at(spec, "resources").cloned().unwrap_or_else(|| json!({})),
            afresh: false,
        };
        if let Some(status) = status {
            cell.adopt(status);
        }
        cell
    }

    /// Takes over what its status says.
    fn adopt(&mut self, status: &Value) {
        let at = |path| at(status, path);
        self.restarts = int(status, "restartCount").unwrap_or(0) as u32;
        self.ready = at("ready").and_then(Value::as_bool).unwrap_or(false);
        self.started = at("started").and_then(Value::as_bool).unwrap_or(self.ready);
        text(status, "containerID").clone_into(&mut self.id);
        text(status, "imageID").clone_into(&mut self.image_id);
        self.last = at("lastState.terminated").map(End::read);
        if let Some(resources) = at("resources") {
            self.applied = resources.clone();
        }
        if let Some(running) = at("state.running") {
            self.run = Run::Running(when(text(running, "startedAt")));
        } else if let Some(ended) = at("state.terminated") {
            self.run = Run::Ended(End::read(ended));
        } else if let Some(waiting) = at("state.waiting") {
            self.run = Run::Waiting(text(waiting, "reason").to_owned(), text(waiting, "message").to_owned());
        }
        if let Some(last) = self.last.as_ref().or(self.end()) {
            let backoff =
                10_000_i64.checked_shl(self.restarts.saturating_sub(1)).unwrap_or(LONGEST).clamp(10_000, LONGEST);
            self.backoff = (self.restarts > 0).then_some((backoff, last.from));
        }
    }
}

/// A pod on a node.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Namespace and name.
    pub key: Key,
    /// UID.
    pub uid: String,
    /// Node.
    pub node: String,
    /// The object as last seen.
    pub object: Arc<Value>,
    /// Its resourceVersion.
    pub version: u64,
    /// Init containers in order, then the others.
    pub cells: Vec<Cell>,
    /// `status.startTime`; empty until the kubelet took it.
    pub start: String,
    /// Address; empty before it has one.
    pub ip: String,
    /// Its volumes are there.
    pub mounted: bool,
    /// Back-off of the mounts: milliseconds, and when to try again.
    pub mount: (i64, i64),
    /// Why it failed as a whole: reason and message (`Evicted`).
    pub failed: Option<(String, String)>,
    /// Its containers have been told to stop.
    pub stopping: bool,
    /// The status must be written.
    pub dirty: bool,
    /// When to look again.
    pub wake: i64,
    /// No process stands behind it: one of the many pods that only fill a fleet.
    pub ghost: bool,
    /// Resize: since when it goes on, for which generation it was judged.
    pub resize: Option<i64>,
    /// Of a resize: condition, reason, message.
    pub resizing: Option<(&'static str, String, String)>,
}

impl Pod {
    /// Takes a pod over with what its status says already.
    pub fn adopt(stored: &Stored) -> Self {
        let object = stored.shared();
        let inits = list(&object, "spec.initContainers");
        let waits = if inits.is_empty() { "ContainerCreating" } else { "PodInitializing" };
        let status = |of: &str, name: &str| list(&object, of).iter().find(|s| text(s, "name") == name);
        let mut cells: Vec<Cell> = inits
            .iter()
            .map(|c| {
                let role = if text(c, "restartPolicy") == "Always" { Role::Sidecar } else { Role::Init };
                Cell::new(c, role, waits, status("status.initContainerStatuses", text(c, "name")))
            })
            .collect();
        let mains = list(&object, "spec.containers").iter();
        cells.extend(
            mains.map(|c| Cell::new(c, Role::Main, waits, status("status.containerStatuses", text(c, "name")))),
        );
        let ip = text(&object, "status.podIP").to_owned();
        Self {
            key: (stored.namespace.clone(), stored.name.clone()),
            uid: stored.uid.clone(),
            node: text(&object, "spec.nodeName").to_owned(),
            version: stored.version,
            start: text(&object, "status.startTime").to_owned(),
            mounted: !ip.is_empty(),
            ip,
            cells,
            mount: (0, 0),
            // What has failed as a whole stays so, whatever its containers say.
            failed: (text(&object, "status.phase") == "Failed")
                .then(|| (text(&object, "status.reason").to_owned(), text(&object, "status.message").to_owned())),
            stopping: false,
            dirty: false,
            wake: i64::MAX,
            ghost: stored.labels.contains_key(FILLER) && text(&object, "status.phase") == "Running",
            resize: None,
            resizing: None,
            object,
        }
    }

    /// The specification of container `i`.
    pub fn spec(&self, i: usize) -> &Value {
        spec(&self.object, i)
    }

    /// Where container `i` is.
    pub fn place(&self, i: usize) -> Place {
        Place { namespace: self.key.0.clone(), pod: self.key.1.clone(), container: self.cells[i].name.clone() }
    }

    /// An annotation, or empty.
    pub fn annotation(&self, key: &str) -> &str {
        at(&self.object, "metadata.annotations").and_then(|a| a.get(key)).and_then(Value::as_str).unwrap_or_default()
    }

    /// What the rig's annotation asks to happen to container `i` (tests/rig/README.md).
    pub fn fault(&self, i: usize) -> &str {
        let victim = self.annotation("kansole.dev/container");
        let first = self.cells.iter().find(|c| c.role == Role::Main).map_or("", |c| c.name.as_str());
        let victim = if victim.is_empty() { first } else { victim };
        if self.cells[i].name == victim { self.annotation("kansole.dev/fault") } else { "" }
    }

    /// `restartPolicy`.
    pub fn policy(&self) -> &str {
        match text(&self.object, "spec.restartPolicy") {
            "" => "Always",
            policy => policy,
        }
    }

    /// When its deletion must be over; `None` if it is not being deleted.
    pub fn deadline(&self) -> Option<i64> {
        let stamp = text(&self.object, "metadata.deletionTimestamp");
        (!stamp.is_empty()).then(|| when(stamp))
    }

    /// Whether container `i` starts again after it ended with `exit`.
    pub fn restarts(&self, i: usize, exit: i32) -> bool {
        match (self.cells[i].role, self.policy()) {
            (Role::Sidecar, _) => true,
            (Role::Init, policy) => exit != 0 && policy != "Never",
            (Role::Main, "Always") => true,
            (Role::Main, policy) => policy == "OnFailure" && exit != 0,
        }
    }

    /// Asks to be looked at again at `ms`.
    pub fn again(&mut self, ms: i64) {
        self.wake = self.wake.min(ms);
    }

    /// `Pending`, `Running`, `Succeeded` or `Failed` (kubelet getPhase).
    pub fn phase(&self) -> &'static str {
        if self.failed.is_some() {
            return "Failed";
        }
        let over =
            |i: usize| self.cells[i].end().is_some_and(|e| self.deadline().is_some() || !self.restarts(i, e.exit));
        let of = |role: Role| (0..self.cells.len()).filter(move |i| self.cells[*i].role == role);
        if of(Role::Init).any(|i| over(i) && self.cells[i].end().is_some_and(|e| e.exit != 0)) {
            return "Failed";
        }
        if of(Role::Main).all(over) {
            let fine = of(Role::Main).all(|i| self.cells[i].end().is_some_and(|e| e.exit == 0));
            return if fine { "Succeeded" } else { "Failed" };
        }
        let begun = |i: usize| self.cells[i].runs() || self.cells[i].end().is_some() || self.cells[i].last.is_some();
        if of(Role::Main).any(begun) && of(Role::Main).all(begun) { "Running" } else { "Pending" }
    }

    /// Whether it has ended for good.
    pub fn over(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }
}

/// The specification of container `i` of a pod.
pub fn spec(pod: &Value, i: usize) -> &Value {
    let inits = list(pod, "spec.initContainers");
    let mains = list(pod, "spec.containers");
    inits.get(i).or_else(|| mains.get(i - inits.len())).unwrap_or(&Value::Null)
}

/// Milliseconds as Kubernetes writes a time.
pub fn stamp(ms: i64) -> String {
    rfc3339(moment(ms))
}

/// A time as Kubernetes writes it in milliseconds; 0 if it is none.
pub fn when(stamp: &str) -> i64 {
    stamp.parse::<Timestamp>().map_or(0, |t| t.timestamp_millis())
}
