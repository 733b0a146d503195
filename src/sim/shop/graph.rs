//! The services and the calls between them, solved for one second: demand goes from the entrances to the callees, answers
//! come back from the callees to the entrances.

use super::catalogue::Catalogue;
use super::law::{self, Takes};
use super::pod::Pod;
use super::serve;
use super::world::World;
use crate::sim::machine::BUCKETS;
use std::collections::BTreeMap;

/// A route of a service.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Its service.
    pub service: usize,
    /// Requests a second, tries included.
    pub offered: f64,
    /// How long it takes at each of its endpoints.
    pub parts: Vec<Takes>,
    /// Seconds in the mean, of what is answered.
    pub mean: f64,
    /// Share that fails, other than by being late.
    pub fails: f64,
    /// Share answered within each of [`BUCKETS`].
    pub within: [f64; BUCKETS.len()],
}

/// A service: the pods of one workload behind one name.
#[derive(Debug, Clone)]
pub struct Service {
    /// Namespace.
    pub namespace: String,
    /// Name, of the Service and of the workload.
    pub name: String,
    /// `namespace/name`.
    pub key: String,
    /// Its first flow.
    pub first: usize,
    /// Routes.
    pub routes: Vec<String>,
    /// Its processes, by index.
    pub pods: Vec<usize>,
    /// How many of them get requests.
    pub endpoints: usize,
    /// Messages that wait, for a broker.
    pub depth: f64,
    /// The broker it takes from.
    pub consumes: Option<usize>,
    /// Share of what it is asked that it has, for a cache.
    pub hits: f64,
    /// Share of its endpoints that do not hear a caller on each machine, the last for callers from outside; empty: all do.
    pub deaf: Vec<f64>,
}

/// Calls from a service (`None`: from outside) to another, in one second.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    /// All; failed; tried again.
    pub total: f64,
    /// Failed.
    pub failed: f64,
    /// Tried again.
    pub retried: f64,
    /// Seconds at the server.
    pub server: f64,
    /// Seconds at the client.
    pub client: f64,
    /// Server durations within each of [`BUCKETS`].
    pub buckets: [f64; BUCKETS.len()],
}

/// A machine, as far as calls and cores go.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Zone.
    pub zone: String,
    /// Powered.
    pub up: bool,
    /// Reaches other zones.
    pub connected: bool,
    /// Cores.
    pub cores: f64,
    /// Share of its cores' time that the hypervisor gives to others, below 1.
    pub stolen: f64,
}

/// Seconds that stand for never.
pub const STUCK: f64 = 600.0;

/// Cores the system itself uses.
pub const SYSTEM: f64 = 0.12;

/// Services, callers before callees.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Services.
    pub services: Vec<Service>,
    /// Flows.
    pub flows: Vec<Flow>,
    /// Edges by caller (`None`: from outside) and callee.
    pub edges: BTreeMap<(Option<usize>, usize), Edge>,
    /// Whether some machine is down or cut off.
    pub cut: bool,
}

impl Graph {
    /// The shop's, without processes.
    pub fn shop() -> Self {
        let (all, world) = (Catalogue::shop(), World::shop());
        let named: Vec<(&str, &str)> = world
            .workloads
            .iter()
            .filter(|w| all.service(&w.name).is_some_and(|b| !b.routes.is_empty()))
            .map(|w| (w.namespace.as_str(), w.name.as_str()))
            .collect();
        let depth = |name: &str| longest(all, name);
        let mut order = named;
        // A service that calls nobody comes last: the longer the way down, the earlier.
        order.sort_by_key(|(_, name)| std::cmp::Reverse(depth(name)));
        let mut graph = Self { services: Vec::new(), flows: Vec::new(), edges: BTreeMap::new(), cut: false };
        for (namespace, name) in &order {
            let behaviour = all.service(name).expect("only known names are in the list");
            let service = graph.services.len();
            let routes: Vec<String> = behaviour.routes.iter().map(|r| r.route.clone()).collect();
            let first = graph.flows.len();
            graph.flows.extend(routes.iter().map(|_| Flow {
                service,

                offered: 0.0,
                parts: vec![Takes::new(0.0, (behaviour.cpu + behaviour.latency) / 1000.0, behaviour.sigma, 0.0)],
                mean: (behaviour.cpu + behaviour.latency) / 1000.0,
                fails: 0.0,
                within: [1.0; BUCKETS.len()],
            }));
            graph.services.push(Service {
                namespace: (*namespace).to_owned(),
                name: (*name).to_owned(),
                key: format!("{namespace}/{name}"),
                first,
                routes,
                pods: Vec::new(),
                endpoints: 0,
                depth: 0.0,
                consumes: None,
                hits: 0.0,
                deaf: Vec::new(),
            });
        }
        for i in 0..graph.services.len() {
            let s = &graph.services[i];
            let from = all.service(&s.name).map(|b| b.consumes.clone()).unwrap_or_default();
            graph.services[i].consumes = graph.service_of(&s.namespace, &from);
        }
        graph
    }

    /// The service of that name.
    pub fn service_of(&self, namespace: &str, name: &str) -> Option<usize> {
        self.services.iter().position(|s| s.name == name && s.namespace == namespace)
    }

    /// The flow of that service and route.
    pub fn flow_of(&self, namespace: &str, name: &str, route: &str) -> Option<usize> {
        let s = &self.services[self.service_of(namespace, name)?];
        s.routes.iter().position(|r| r == route).map(|r| s.first + r)
    }

    /// One second: `entrances` brings requests to flows from outside; `seconds` is what queues fill and drain by.
    pub fn step(&mut self, pods: &mut [Pod], nodes: &[Node], entrances: &[(usize, f64)], seconds: f64) {
        self.cut = nodes.iter().any(|n| !n.up || !n.connected);
        self.flows.iter_mut().for_each(|f| f.offered = 0.0);
        self.edges.values_mut().for_each(|e| *e = Edge::default());
        for (flow, rate) in entrances {
            self.flows[*flow].offered += rate;
        }
        for s in 0..self.services.len() {
            self.look(s, pods, nodes);
        }
        for s in 0..self.services.len() {
            self.spread(s, pods, nodes, seconds);
        }
        crowd(pods, nodes);
        for s in (0..self.services.len()).rev() {
            for i in 0..self.services[s].pods.len() {
                let p = self.services[s].pods[i];
                serve::serve(&mut pods[p], self, seconds);
            }
            self.gather(s, pods, nodes);
        }
        self.outside(entrances);
    }

    /// Gives a service's requests to its endpoints, and passes on what these ask of others.
    fn spread(&mut self, s: usize, pods: &mut [Pod], nodes: &[Node], seconds: f64) {
        let service = &self.services[s];
        let n = service.endpoints as f64;
        let (first, routes) = (service.first, service.routes.len());
        let pull = service.consumes.map(|broker| self.services[broker].depth);
        for i in 0..self.services[s].pods.len() {
            let p = self.services[s].pods[i];
            let pod = &mut pods[p];
            for route in 0..routes.min(pod.answers.len()) {
                pod.answers[route].offered = match pull {
                    // A consumer takes what there is, as fast as it can; it needs no endpoint for that. It finds its pace by
                    // and by: what it takes comes only as what it has taken is done.
                    Some(depth) if pod.started() => {
                        let each = depth / seconds / self.services[s].pods.len() as f64;
                        let room = (serve::capacity(pod, self) - pod.life.backlog).max(0.0);
                        let before = pod.answers[route].offered;
                        each.min(before + 0.2 * (room - before))
                    }
                    _ if pod.endpoint && reached(nodes, pod.node) => self.flows[first + route].offered / n,
                    _ => 0.0,
                };
            }
            for route in 0..pod.links.len().min(pod.answers.len()) {
                for l in 0..pod.links[route].len() {
                    let asked = pod.answers[route].offered * pod.accepts;
                    self.ask(s, &pod.links[route][l], asked, pod.node);
                }
            }
        }
        if let Some(broker) = self.services[s].consumes {
            let taken: f64 = self.services[s].pods.iter().flat_map(|p| &pods[*p].answers).map(|a| a.offered).sum();
            let depth = &mut self.services[broker].depth;
            *depth = (*depth - taken * seconds).max(0.0);
        }
    }

    /// `asked` requests a second of a process make this call.
    fn ask(&mut self, s: usize, link: &super::pod::Link, asked: f64, node: usize) {
        let Some(flow) = link.flow else { return };
        let callee = self.flows[flow].service;
        let wanted = asked * link.per * self.misses(link);
        if wanted <= 0.0 {
            return;
        }
        let try_ = serve::attempt(self, link, node);
        let (tries, fails) = (serve::tries(&try_, link.retries), try_.fails());
        // A pool that is too small lets through only what its connections can carry.
        let through = if link.pool > 0.0 { (link.pool / (try_.wait * wanted * tries).max(1e-9)).min(1.0) } else { 1.0 };
        let rate = wanted * tries * through;
        self.flows[flow].offered += rate;
        let f = &self.flows[flow];
        let arrives = rate * (1.0 - try_.lost);
        let edge = self.edges.entry((Some(s), callee)).or_default();
        edge.total += rate;
        edge.failed += rate * fails;
        edge.retried += wanted * (tries - 1.0) * through;
        edge.server += arrives * f.mean;
        edge.client += rate * (try_.wait + 0.0004);
        edge.buckets.iter_mut().zip(f.within).for_each(|(b, share)| *b += arrives * share);
    }

    /// Share of calls that the cache in front does not answer.
    pub fn misses(&self, link: &super::pod::Link) -> f64 {
        link.behind.map_or(1.0, |cache| 1.0 - self.services[cache].hits)
    }

    /// Share of a service's endpoints that do not hear a caller on `node`; all of them if there are none.
    pub fn lost(&self, callee: usize, node: usize) -> f64 {
        let service = &self.services[callee];
        if service.endpoints == 0 {
            return 1.0;
        }
        service.deaf.get(node).or(service.deaf.last()).copied().unwrap_or(0.0)
    }

    /// Looks who answers for a service, who hears whom, and how warm a cache is.
    fn look(&mut self, s: usize, pods: &[Pod], nodes: &[Node]) {
        let service = &mut self.services[s];
        let endpoints = || service.pods.iter().map(|p| &pods[*p]).filter(|p| p.endpoint);
        let n = endpoints().count();
        let fails = self.flows[service.first].fails.clamp(0.0, 1.0);
        let hits = endpoints().map(Pod::hits).sum::<f64>() / n.max(1) as f64 * (1.0 - fails);
        let mut deaf = Vec::new();
        if self.cut && n > 0 {
            let hears = |to: &Pod, from: Option<&Node>| match (nodes.get(to.node), from) {
                (Some(to), Some(from)) => to.up && (to.zone == from.zone || to.connected && from.connected),
                (Some(to), None) => to.up && to.connected,
                (None, _) => true,
            };
            let share = |from: Option<&Node>| 1.0 - endpoints().filter(|p| hears(p, from)).count() as f64 / n as f64;
            deaf = nodes.iter().map(|from| share(Some(from))).chain([share(None)]).collect();
        }
        (service.endpoints, service.hits, service.deaf) = (n, hits, deaf);
    }

    /// What a service's pods together look like to callers.
    fn gather(&mut self, s: usize, pods: &[Pod], nodes: &[Node]) {
        let service = &self.services[s];
        for route in 0..service.routes.len() {
            let flow = &mut self.flows[service.first + route];
            let (mut n, mut fails, mut served, mut mean) = (0.0, 0.0, 0.0, 0.0);
            let mut within = [0.0; BUCKETS.len()];
            flow.parts.clear();
            for pod in service.pods.iter().map(|p| &pods[*p]).filter(|p| p.endpoint && reached(nodes, p.node)) {
                n += 1.0;
                let Some(answer) = pod.answers.get(route) else {
                    // Something else runs there: nobody listens on the port.
                    fails += 1.0;
                    continue;
                };
                fails += answer.fails();
                flow.parts.push(answer.takes);
                if answer.takes.fixed < STUCK {
                    served += 1.0;
                    mean += answer.takes.mean();
                    within.iter_mut().zip(BUCKETS).for_each(|(w, bound)| *w += answer.takes.within(bound));
                }
            }
            flow.fails = if n > 0.0 { fails / n } else { 1.0 };
            if served > 0.0 {
                flow.mean = mean / served;
                flow.within = within.map(|w| w / served);
            }
        }
        let broker = Catalogue::shop().service(&service.name).is_some_and(|b| b.broker);
        if broker {
            let published: f64 = service.pods.iter().flat_map(|p| &pods[*p].answers).map(|a| a.served).sum();
            self.services[s].depth += published;
        }
        if let Some(broker) = self.services[s].consumes {
            // What a consumer failed to do goes back.
            let back = |a: &super::pod::Answer| a.served * a.failed.iter().sum::<f64>() + a.rejected;
            let back: f64 = self.services[s].pods.iter().flat_map(|p| &pods[*p].answers).map(back).sum();
            self.services[broker].depth += back;
        }
    }

    fn outside(&mut self, entrances: &[(usize, f64)]) {
        for (flow, rate) in entrances {
            let f = &self.flows[*flow];
            let callee = f.service;
            let lost = self.lost(callee, usize::MAX);
            let failed = 1.0 - (1.0 - lost) * (1.0 - f.fails);
            let (arrives, mean, within) = (rate * (1.0 - lost), f.mean, f.within);
            let edge = self.edges.entry((None, callee)).or_default();
            edge.total += rate;
            edge.failed += rate * failed;
            edge.server += arrives * mean;
            edge.client += arrives * (mean + 0.02);
            edge.buckets.iter_mut().zip(within).for_each(|(b, share)| *b += arrives * share);
        }
    }
}

/// Whether requests come through to a process on the machine.
pub fn reached(nodes: &[Node], node: usize) -> bool {
    nodes.get(node).is_none_or(|n| n.up && n.connected)
}

/// How many calls deep it goes from a service.
fn longest(all: &Catalogue, name: &str) -> usize {
    let Some(behaviour) = all.service(name) else { return 0 };
    let calls = behaviour.routes.iter().flat_map(|r| &r.calls).map(|c| 1 + longest(all, &c.to)).max().unwrap_or(0);
    let takes = if behaviour.consumes.is_empty() { 0 } else { 1 + longest(all, &behaviour.consumes) };
    calls.max(takes)
}

/// Shares each machine's cores among its processes.
fn crowd(pods: &mut [Pod], nodes: &[Node]) {
    let mut on: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (i, pod) in pods.iter_mut().enumerate() {
        let backlog = pod.life.backlog;
        pod.wanted = ((pod.offered() + backlog) * pod.each() + idle(pod)).min(pod.limit);
        pod.cores = pod.limit;
        (pod.crowd, pod.stolen) = (0.0, 0.0);
        if let Some(all) = on.get_mut(pod.node) {
            all.push(i);
        }
    }
    for (node, all) in nodes.iter().zip(on) {
        let whole = node.cores * (1.0 - node.stolen);
        let free = (whole - SYSTEM).max(0.05 * whole);
        let wanted: f64 = all.iter().map(|&i| pods[i].wanted).sum();
        let crowd = ((wanted + SYSTEM) / whole.max(0.1)).min(1.0);
        let over = wanted > free;
        let wants: Vec<(f64, f64)> =
            if over { all.iter().map(|&i| (pods[i].wanted, pods[i].request.max(0.002))).collect() } else { Vec::new() };
        let got = law::share(free, &wants);
        let spare = (free - wanted).max(0.0);
        for (k, &i) in all.iter().enumerate() {
            pods[i].crowd = crowd;
            pods[i].stolen = node.stolen;
            // With room to spare a process may take more than it wants in the mean.
            pods[i].cores =
                if over { got[k].max(0.001) } else { (pods[i].wanted + spare).min(pods[i].limit).max(0.001) };
        }
    }
}

/// Cores a process uses without requests: its runtime, its start, its batch.
pub fn idle(pod: &Pod) -> f64 {
    let b = &pod.behaviour;
    let starting = if pod.life.age < b.start && b.start > 1.5 { 0.6 } else { 0.0 };
    b.idle + starting + b.batch.map_or(0.0, |batch| batch.cores)
}
