//! One process as the model sees it: what it is (from image, configuration, annotations), what it has gone through since
//! its start, what is asked of it this second, and how it answers.

use super::catalogue::{Behaviour, Call, Catalogue, host};
use super::graph::Graph;
use super::law::Takes;
use crate::sim::machine::{Place, Process};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A call as this process makes it.
#[derive(Debug, Clone)]
pub struct Link {
    /// The flow it goes to; `None`: the host in its configuration does not exist, or is another service without that route.
    pub flow: Option<usize>,
    /// Whom it means to call, for its log.
    pub to: String,
    /// What it means to call there.
    pub route: String,
    /// The host in its configuration.
    pub host: String,
    /// Calls a request, seconds it waits, times it tries again, connections (0: no bound).
    pub per: f64,
    /// Seconds it waits.
    pub timeout: f64,
    /// Times it tries again.
    pub retries: u32,
    /// Connections; 0: no bound.
    pub pool: f64,
    /// The answer can do without.
    pub optional: bool,
    /// The service (a cache) in front.
    pub behind: Option<usize>,
}

/// Why requests fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its own code.
    Own,
    /// No worker and no room to wait.
    Full,
    /// The callee (route, link) did not answer in time.
    Late(usize, usize),
    /// The callee answered with an error.
    Upstream(usize, usize),
    /// Nobody listens.
    Refused(usize, usize),
    /// No free connection.
    Pool(usize, usize),
    /// The host does not exist.
    NoHost(usize, usize),
}

/// How a route was answered in a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer {
    /// Requests a second that came.
    pub offered: f64,
    /// That were worked on.
    pub served: f64,
    /// That were turned away.
    pub rejected: f64,
    /// How long they took.
    pub takes: Takes,
    /// Shares of the served that ended with 500, 503, 504.
    pub failed: [f64; 3],
}

impl Answer {
    /// Share of all that came that failed.
    pub fn fails(&self) -> f64 {
        let all = self.served + self.rejected;
        if all <= 0.0 { 0.0 } else { (self.served * self.failed.iter().sum::<f64>() + self.rejected) / all }
    }
}

/// What a process has gone through since its start.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// Seconds.
    pub age: f64,
    /// Requests worked on.
    pub worked: f64,
    /// Requests that wait.
    pub backlog: f64,
    /// KiB lost.
    pub leaked: f64,
    /// 0 cold to 1 warm.
    pub warmth: f64,
    /// Seconds of its batch that are done.
    pub done: f64,
    /// Seconds without what its batch needs.
    pub without: f64,
    /// Its workers wait for each other.
    pub stuck: bool,
    /// Failures and requests since the last line about them.
    pub unsaid: [f64; 2],
}

/// A process.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Where.
    pub place: Place,
    /// The run.
    pub id: String,
    /// Annotations it was read with.
    pub annotations: BTreeMap<String, String>,
    /// What it does.
    pub behaviour: Arc<Behaviour>,
    /// Calls by route.
    pub links: Vec<Vec<Link>>,
    /// Requests at once.
    pub workers: f64,
    /// It ends at once with this text.
    pub crash: Option<String>,
    /// The service it answers for.
    pub service: Option<usize>,
    /// The machine, by index; none known: `usize::MAX`.
    pub node: usize,
    /// Cores requested, cores allowed.
    pub request: f64,
    /// Cores allowed.
    pub limit: f64,
    /// Services send to it.
    pub endpoint: bool,
    /// Factor on its waiting, and share it fails.
    pub slow: f64,
    /// Share it fails of itself.
    pub failing: f64,
    /// What it has gone through.
    pub life: Life,
    /// Cores its machine gives it, and how much its machine has to do (0..1).
    pub cores: f64,
    /// How busy its machine is.
    pub crowd: f64,
    /// Share of its machine's time that the hypervisor gives to others, below 1.
    pub stolen: f64,
    /// Answers by route.
    pub answers: Vec<Answer>,
    /// Share of what is offered that is begun.
    pub accepts: f64,
    /// Cores used; wanted.
    pub used: f64,
    /// Cores wanted.
    pub wanted: f64,
    /// Share of periods throttled, and seconds in each.
    pub throttled: (f64, f64),
    /// Requests being worked on or waiting.
    pub in_flight: f64,
    /// The main reason for failures.
    pub cause: Option<Cause>,
    /// Messages that wait, for brokers and consumers.
    pub waiting: Option<f64>,
}

impl Pod {
    /// Reads a process that has just started (or is new to the model).
    pub fn new(process: &Process, graph: &Graph, node: usize, age: f64) -> Self {
        let behaviour = Catalogue::shop().of(process);
        let mut crash = (!behaviour.crash.is_empty()).then(|| behaviour.crash.clone());
        let env = |key: &str| process.config.get(key).map(String::as_str);
        let namespace = &process.place.namespace;
        let mut links = Vec::new();
        for route in &behaviour.routes {
            let all = route.calls.iter().map(|c| link(c, namespace, graph, &env, &mut crash)).collect();
            links.push(all);
        }
        let workers = number("WORKERS", env("WORKERS"), behaviour.workers, &mut crash).max(1.0);
        let routes = behaviour.routes.len();
        let mut pod = Self {
            place: process.place.clone(),
            id: process.id.clone(),
            annotations: process.annotations.clone(),
            links,
            workers,
            crash,
            // What brings its own requests stands for itself, whatever it is called.
            service: graph.service_of(namespace, &process.workload.1).filter(|_| routes > 0 && behaviour.rps <= 0.0),
            node,
            request: 0.0,
            limit: 0.0,
            endpoint: false,
            slow: 1.0,
            failing: 0.0,
            life: Life { age, ..Life::default() },
            cores: 1.0,
            crowd: 0.0,
            stolen: 0.0,
            answers: vec![Answer::default(); routes],
            accepts: 1.0,
            used: 0.0,
            wanted: 0.0,
            throttled: (0.0, 0.0),
            in_flight: 0.0,
            cause: None,
            waiting: None,
            behaviour,
        };
        pod.limits(process);
        pod
    }

    /// Follows the process's requests and limits, which a resize changes.
    pub fn limits(&mut self, process: &Process) {
        self.request = process.requests[0];
        self.limit = process.limits[0].unwrap_or(f64::INFINITY).max(0.001);
    }

    /// Whether it has finished starting; less CPU than it wants makes that longer.
    pub fn started(&self) -> bool {
        self.life.age >= self.behaviour.start && self.crash.is_none()
    }

    /// Seconds of CPU a request takes now; more until it is warm.
    pub fn each(&self) -> f64 {
        let cold = (self.behaviour.warm - 1.0) * (-(self.life.age - self.behaviour.start).max(0.0) / 40.0).exp();
        self.behaviour.cpu / 1000.0 * (1.0 + cold)
    }

    /// Requests a second that come.
    pub fn offered(&self) -> f64 {
        self.answers.iter().map(|a| a.offered).sum()
    }

    /// Share of what it is asked that its cache has.
    pub fn hits(&self) -> f64 {
        self.behaviour.hits * self.life.warmth
    }
}

fn number(key: &str, value: Option<&str>, otherwise: f64, crash: &mut Option<String>) -> f64 {
    let Some(text) = value else { return otherwise };
    match text.trim().parse::<f64>() {
        Ok(n) if n.is_finite() && n >= 0.0 => n,
        _ => {
            crash.get_or_insert_with(|| format!("panic: {key}: strconv.Atoi: parsing {text:?}: invalid syntax"));
            otherwise
        }
    }
}

fn link<'a>(
    call: &Call,
    namespace: &str,
    graph: &Graph,
    env: &impl Fn(&str) -> Option<&'a str>,
    crash: &mut Option<String>,
) -> Link {
    let get = |key: &str| if key.is_empty() { None } else { env(key) };
    let mut name = call.to.clone();
    let mut space = namespace.to_owned();
    let mut shown = call.to.clone();
    if let Some(url) = get(&call.url) {
        match host(url) {
            Ok(found) => {
                let mut parts = found.split('.');
                parts.next().unwrap_or_default().clone_into(&mut name);
                if let Some(other) = parts.next() {
                    other.clone_into(&mut space);
                }
                found.clone_into(&mut shown);
            }
            Err(why) => {
                crash.get_or_insert_with(|| {
                    format!(
                        "panic: {}: {why}\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:27 +0x1d4",
                        call.url
                    )
                });
            }
        }
    }
    Link {
        flow: graph.flow_of(&space, &name, &call.route),
        route: call.route.clone(),
        to: name,
        host: shown,
        per: call.per,
        timeout: number(&call.timeout_key, get(&call.timeout_key), call.timeout, crash).max(1.0) / 1000.0,
        retries: call.retries,
        pool: if call.pool > 0.0 {
            number(&call.pool_key, get(&call.pool_key), call.pool, crash).max(0.001)
        } else {
            0.0
        },
        optional: call.optional,
        behind: graph.service_of(namespace, &call.behind),
    }
}
