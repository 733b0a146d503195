//! How containers start: volumes, image, configuration, process.

use super::config::{self, Missing};
use super::pod::{Pod, Pull, Role, Run};
use super::stop::go_seconds;
use super::work::Work;
use crate::sim::machine::{Process, State, Usage};
use crate::sim::object::{amount, at, controller, strings, text};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// Milliseconds of the first and the longest back-off of mounts and of pulls.
const MOUNT: (i64, i64) = (500, 122_000);
const PULL: (i64, i64) = (10_000, 300_000);

/// Milliseconds after which a container whose configuration is missing is tried again.
const CONFIG: i64 = 11_000;

/// Milliseconds for which `ErrImagePull` stands before it says `ImagePullBackOff`.
const SHOWN: i64 = 3_000;

/// Bytes a second that an image comes with.
const BANDWIDTH: f64 = 60e6;

impl Work<'_> {
    /// Whether the pod's volumes are there and it has an address.
    pub(super) fn mount(&mut self, pod: &mut Pod) -> bool {
        if pod.mounted {
            return true;
        }
        if pod.mount.1 > self.now {
            pod.again(pod.mount.1);
            return false;
        }
        let missing = config::volumes(self.store, &pod.object);
        if let Some((volume, why)) = missing {
            let message = format!("MountVolume.SetUp failed for volume \"{volume}\" : {why}");
            self.tell_at(pod, "", "Warning", "FailedMount", &message);
            let backoff = if pod.mount.0 == 0 { MOUNT.0 } else { (pod.mount.0 * 2).min(MOUNT.1) };
            pod.mount = (backoff, self.now + backoff);
            pod.again(pod.mount.1);
            return false;
        }
        pod.mounted = true;
        pod.ip = if Self::on_host(pod) { self.node.ip.clone() } else { self.node.address(&pod.uid, self.noise) };
        pod.dirty = true;
        true
    }

    /// Starts container `i`, if it may and everything is there.
    pub(super) fn try_start(&mut self, pod: &mut Pod, i: usize) {
        let exit = pod.cells[i].end().map(|e| e.exit);
        if exit.is_some_and(|e| !pod.cells[i].afresh && !pod.restarts(i, e)) || !self.may_restart(pod, i) {
            return;
        }
        if pod.cells[i].retry > self.now {
            let retry = pod.cells[i].retry;
            pod.again(retry);
            return;
        }
        if !self.image(pod, i) {
            return;
        }
        let config = match config::of(self.store, &pod.object, pod.spec(i), &pod.ip, &self.node.ip) {
            _ if pod.fault(i) == "missing-config" => Err(Missing("configmap \"web-config\" not found".to_owned())),
            found => found,
        };
        match config {
            Ok(config) => self.create(pod, i, config),
            Err(Missing(why)) => {
                self.tell(pod, i, "Warning", "Failed", &format!("Error: {why}"));
                Self::wait(pod, i, "CreateContainerConfigError", &why);
                let jitter = self.noise.of("config").of(&pod.uid).unit(self.now / 1000) * 4000.0;
                pod.cells[i].retry = self.now + CONFIG + jitter as i64;
                pod.cells[i].pull = Pull::None;
                pod.again(pod.cells[i].retry);
            }
        }
    }

    /// Whether the image of container `i` is there; sees that it comes.
    fn image(&mut self, pod: &mut Pod, i: usize) -> bool {
        let image = text(pod.spec(i), "image").to_owned();
        match pod.cells[i].pull.clone() {
            Pull::Coming(_, until) if until > self.now => {
                pod.again(until);
                false
            }
            Pull::Coming(since, _) => match self.images.size(&image) {
                Ok(bytes) => {
                    self.node.images.insert(image.clone(), bytes);
                    let took = go_millis(self.now - since);
                    let text = format!(
                        "Successfully pulled image \"{image}\" in {took} ({took} including waiting). Image size: {bytes} bytes."
                    );
                    self.tell(pod, i, "Normal", "Pulled", &text);
                    pod.cells[i].pull = Pull::Here(String::new());
                    true
                }
                Err(why) => {
                    self.unpulled(pod, i, &image, &why, PULL.0);
                    false
                }
            },
            Pull::Failed(backoff, until, why, told) => self.backed_off(pod, i, &image, (backoff, until), why, told),
            Pull::Here(_) => true,
            Pull::None => self.ask(pod, i, &image),
        }
    }

    fn ask(&mut self, pod: &mut Pod, i: usize, image: &str) -> bool {
        let latest = image.rsplit('/').next().is_none_or(|n| !n.contains(':') || n.ends_with(":latest"));
        let policy = match text(pod.spec(i), "imagePullPolicy") {
            "" if latest => "Always",
            "" => "IfNotPresent",
            policy => policy,
        };
        let here = self.node.images.contains_key(image);
        if policy == "Never" && !here {
            let why = format!("Container image \"{image}\" is not present with pull policy of Never");
            self.tell(pod, i, "Warning", "ErrImageNeverPull", &why);
            self.tell(pod, i, "Warning", "Failed", "Error: ErrImageNeverPull");
            Self::wait(pod, i, "ErrImageNeverPull", &why);
            pod.cells[i].retry = self.now + CONFIG;
            pod.again(pod.cells[i].retry);
            return false;
        }
        if here && policy != "Always" {
            let text = format!("Container image \"{image}\" already present on machine and can be accessed by the pod");
            self.tell(pod, i, "Normal", "Pulled", &text);
            pod.cells[i].pull = Pull::Here(String::new());
            return true;
        }
        self.tell(pod, i, "Normal", "Pulling", &format!("Pulling image \"{image}\""));
        let chance = self.noise.of("pull").of(&self.node.name).of(image).unit(self.now / 1000);
        // Asking the registry takes a while; the layers come only if they are not here.
        let mut takes = 300.0 + 500.0 * chance;
        if let (false, Ok(bytes)) = (here, self.images.size(image)) {
            takes += bytes as f64 / BANDWIDTH * (0.7 + 0.6 * chance) * 1000.0;
        }
        let until = self.now + takes as i64;
        pod.cells[i].pull = Pull::Coming(self.now, until);
        pod.again(until);
        false
    }

    fn unpulled(&mut self, pod: &mut Pod, i: usize, image: &str, why: &str, backoff: i64) {
        self.tell(pod, i, "Warning", "Failed", &format!("Failed to pull image \"{image}\": {why}"));
        self.tell(pod, i, "Warning", "Failed", "Error: ErrImagePull");
        Self::wait(pod, i, "ErrImagePull", why);
        pod.cells[i].pull = Pull::Failed(backoff, self.now + backoff, why.to_owned(), false);
        pod.again(self.now + SHOWN);
    }

    fn backed_off(
        &mut self,
        pod: &mut Pod,
        i: usize,
        image: &str,
        (backoff, until): (i64, i64),
        why: String,
        told: bool,
    ) -> bool {
        if until <= self.now {
            self.tell(pod, i, "Normal", "Pulling", &format!("Pulling image \"{image}\""));
            match self.images.size(image) {
                Ok(_) => pod.cells[i].pull = Pull::Coming(self.now, self.now + 1_000),
                Err(why) => self.unpulled(pod, i, image, &why, (backoff * 2).min(PULL.1)),
            }
            pod.again(self.now + 1_000);
        } else if told {
            pod.again(until);
        } else if self.now >= until - backoff + SHOWN {
            let text = format!("Back-off pulling image \"{image}\": ErrImagePull: {why}");
            self.tell(pod, i, "Normal", "BackOff", &format!("Back-off pulling image \"{image}\""));
            self.tell(pod, i, "Warning", "Failed", "Error: ImagePullBackOff");
            Self::wait(pod, i, "ImagePullBackOff", &text);
            pod.cells[i].pull = Pull::Failed(backoff, until, why, true);
            pod.again(until);
        } else {
            pod.again(until - backoff + SHOWN);
        }
        false
    }

    fn create(&mut self, pod: &mut Pod, i: usize, config: std::collections::BTreeMap<String, String>) {
        Self::raise(pod, i, self.now);
        let now = self.now;
        let spec = pod.spec(i).clone();
        let cell = &mut pod.cells[i];
        if let Run::Ended(end) = std::mem::replace(&mut cell.run, Run::Running(now)) {
            cell.last = Some(end);
        }
        if cell.last.is_some() {
            cell.restarts += 1;
        }
        cell.id = format!("containerd://{}", sha(&format!("{}/{}/{}", pod.uid, cell.name, cell.restarts)));
        cell.image_id = image_id(text(&spec, "image"));
        (cell.ready, cell.started, cell.stop, cell.pull) = (false, false, None, Pull::None);
        cell.applied = at(&spec, "resources").cloned().unwrap_or_else(|| serde_json::json!({}));
        pod.dirty = true;
        self.tell(pod, i, "Normal", "Created", "Container created");
        self.tell(pod, i, "Normal", "Started", "Container started");
        let process = self.process(pod, i, config, now);
        self.machines.processes.insert(process.place.clone(), process);
        if pod.cells[i].role == Role::Init {
            pod.cells[i].started = true;
        }
    }

    /// The process behind container `i`, as it is at its start.
    pub(super) fn process(
        &self,
        pod: &Pod,
        i: usize,
        config: std::collections::BTreeMap<String, String>,
        since: i64,
    ) -> Process {
        let cell = &pod.cells[i];
        let of = |path: &str| amount(at(&cell.applied, path));
        Process {
            place: pod.place(i),
            uid: pod.uid.clone(),
            node: pod.node.clone(),
            workload: self.workload(pod),
            image: text(pod.spec(i), "image").to_owned(),
            id: cell.id.clone(),
            restarts: cell.restarts,
            started: crate::sim::clock::at(since),
            config,
            annotations: strings(&pod.object, "metadata.annotations"),
            requests: [of("requests.cpu").unwrap_or(0.0), of("requests.memory").unwrap_or(0.0)],
            limits: [of("limits.cpu"), of("limits.memory")],
            state: State::Running,
            ready: cell.ready,
            live: true,
            started_up: cell.started,
            exporting: true,
            usage: Usage::default(),
            log: VecDeque::new(),
        }
    }

    /// The workload at the top of the owner references; the pod itself if nobody owns it.
    fn workload(&self, pod: &Pod) -> (String, String) {
        let Some((kind, name, _)) = controller(&pod.object) else { return ("Pod".to_owned(), pod.key.1.clone()) };
        let above = match kind {
            "ReplicaSet" => self.store.get("replicasets.apps", &pod.key.0, name),
            "Job" => self.store.get("jobs.batch", &pod.key.0, name),
            _ => None,
        };
        let above = above.map(|s| s.shared());
        let top = above.as_deref().and_then(controller).map(|(kind, name, _)| (kind.to_owned(), name.to_owned()));
        top.unwrap_or_else(|| (kind.to_owned(), name.to_owned()))
    }
}

/// The digest that stands for an image's content.
pub fn image_id(image: &str) -> String {
    let repository = image.split('@').next().unwrap_or(image);
    let tag = repository.rfind(':').filter(|i| !repository[*i..].contains('/'));
    format!("{}@sha256:{}", &repository[..tag.unwrap_or(repository.len())], sha(image))
}

/// SHA-256 in hexadecimal.
pub fn sha(text: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut s, b| {
        // Writing to a String cannot fail.
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// Milliseconds as Go prints a duration: `412ms`, `2.345s`, `1m3.2s`.
fn go_millis(ms: i64) -> String {
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let fraction = format!("{:03}", ms % 1000);
    let fraction = fraction.trim_end_matches('0');
    let whole = go_seconds(ms / 1000);
    match fraction {
        "" => whole,
        f => format!("{}.{f}s", whole.trim_end_matches('s')),
    }
}

/// The specification's resources, or an empty object.
pub fn resources(spec: &Value) -> Value {
    at(spec, "resources").cloned().unwrap_or_else(|| serde_json::json!({}))
}
