//! One request, from its entrance down: who serves it, how long each part takes, and what goes wrong.

use super::say::{self, Failure, SpanKind};
use super::{Made, Second};
use crate::sim::noise::Noise;
use crate::sim::shop::graph::{STUCK, reached};
use crate::sim::shop::law::{self, Takes};
use crate::sim::shop::pod::{Answer, Link};
use crate::sim::shop::serve::{BACKOFF, CONNECT, Meets, POOL, meet};

/// How much of a request's luck its calls share: a slow one is slow because something it waits for is.
const SHARED: f64 = 0.98;
/// Seconds on the wire, one way.
const WIRE: f64 = 0.0002;
/// Seconds that a process works before, between and after its calls at least, as a share of what the calls take.
const OWN: f64 = 0.02;
/// Seconds after which a refused connection is known to be.
const REFUSED: f64 = 0.002;

/// Numbers drawn one after the other.
struct Dice(Noise, i64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.1 += 1;
        self.0.unit(self.1)
    }

    fn hits(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    fn normal(&mut self) -> f64 {
        self.1 += 1;
        // Apart from the others: a normal number takes twelve.
        self.0.of("normal").normal(self.1)
    }

    fn id(&mut self) -> [u8; 8] {
        self.1 += 1;
        self.0.of("id").bits(self.1).to_be_bytes()
    }
}

/// Who answers a try of a call.
enum Target {
    /// The host does not exist.
    Unknown,
    /// Nobody listens (true), or nobody hears.
    Lost(bool),
    /// A process's route; seconds it takes, seconds each way to it, and its luck.
    Process { pod: usize, route: usize, took: f64, wire: f64, luck: f64 },
}

struct Request<'a> {
    second: &'a Second<'a>,
    dice: Dice,
    trace: [u8; 16],
    made: Vec<Made>,
    /// What went on when it was already answered: consumers of its messages.
    after: Vec<Vec<Made>>,
}

/// The spans of one request at a flow that began at `start`, nanoseconds; and those of each message it led to. Empty if it
/// never arrived.
pub fn request(second: &Second<'_>, flow: usize, noise: Noise, start: i64) -> Vec<Vec<Made>> {
    let mut dice = Dice(noise, 0);
    let mut trace = [0; 16];
    trace[..8].copy_from_slice(&dice.id());
    trace[8..].copy_from_slice(&dice.id());
    let mut request = Request { second, dice, trace, made: Vec::new(), after: Vec::new() };
    if let Target::Process { pod, route, took, luck, .. } = request.target(flow, usize::MAX, None)
        && took < STUCK
    {
        let _ = request.serve((pod, route), SpanKind::Server, None, (start, took, luck));
    }
    let mut all = vec![request.made];
    all.append(&mut request.after);
    all
}

/// Whether a request of this luck makes a call that the share `used` makes, and its luck among those that do: slow
/// requests are those that call more, and of all that call the luck is normal again.
fn makes(used: f64, luck: f64) -> Option<f64> {
    if used >= 1.0 {
        return Some(luck);
    }
    let among = (law::normal(luck) - (1.0 - used)) / used;
    (used > 0.0 && among > 0.0).then(|| law::quantile(among))
}

fn nanos(seconds: f64) -> i64 {
    (seconds * 1e9) as i64
}

impl Request<'_> {
    /// Whom a try reaches, from a machine, for a caller with this luck; without one it comes from outside.
    fn target(&mut self, flow: usize, node: usize, luck: Option<f64>) -> Target {
        let graph = self.second.graph;
        let service = &graph.services[graph.flows[flow].service];
        let route = flow - service.first;
        let refused = service.endpoints == 0;
        if refused || self.dice.hits(graph.lost(graph.flows[flow].service, node)) {
            return Target::Lost(refused);
        }
        let there = |p: &&usize| {
            let pod = &self.second.pods[**p];
            pod.endpoint && reached(self.second.nodes, pod.node)
        };
        let all: Vec<usize> = service.pods.iter().filter(there).copied().collect();
        let Some(&pod) = all.get((self.dice.unit() * all.len() as f64) as usize) else { return Target::Lost(false) };
        let Some(answer) = self.second.pods[pod].answers.get(route) else { return Target::Lost(true) };
        let (took, luck) = self.takes(answer.takes, luck);
        Target::Process { pod, route, took, wire: WIRE, luck }
    }

    /// How long it takes, and with what luck: in part the caller's, if there is one.
    fn takes(&mut self, takes: Takes, caller: Option<f64>) -> (f64, f64) {
        let own = self.dice.normal();
        let luck = caller.map_or(own, |luck| SHARED * luck + (1.0 - SHARED * SHARED).sqrt() * own);
        (takes.at(luck), luck)
    }

    /// Lets a process serve, and says so. When it was over, and how it went.
    fn serve(
        &mut self,
        (pod, route): (usize, usize),
        kind: SpanKind,
        parent: Option<[u8; 8]>,
        (start, took, luck): (i64, f64, f64),
    ) -> (i64, Result<(), Failure>) {
        let (second, id) = (self.second, self.dice.id());
        let process = &second.pods[pod];
        let answer = process.answers[route];
        let (end, outcome) = if self.dice.hits(turned_away(&answer)) {
            (start + nanos(0.001), Err(Failure::new(503, "server overloaded: accept queue full")))
        } else {
            self.work((pod, route), id, (start, took, luck))
        };
        let mut span = say::span(self.trace, id, parent, kind, (start, end));
        let status = outcome.as_ref().err().map_or(200, |f: &Failure| f.status);
        say::served(&mut span, &process.behaviour.routes[route].route, status);
        if let Err(why) = &outcome {
            say::fail(&mut span, why);
        }
        self.tell(pod, span);
        (end, outcome)
    }

    fn tell(&mut self, pod: usize, span: opentelemetry_proto::tonic::trace::v1::Span) {
        if let Some(maker) = &self.second.makers[pod] {
            self.made.push(Made { maker: maker.clone(), span });
        }
    }

    /// The work itself: calls one after the other, as the model counts them, with its own work around them.
    fn work(
        &mut self,
        (pod, route): (usize, usize),
        id: [u8; 8],
        (start, took, luck): (i64, f64, f64),
    ) -> (i64, Result<(), Failure>) {
        let process = &self.second.pods[pod];
        let answer = process.answers[route];
        let mut outcome = Ok(());
        if self.dice.hits(answer.failed[0]) {
            let fault = process.behaviour.fault.lines().next().filter(|f| !f.is_empty());
            outcome = Err(Failure::new(500, fault.unwrap_or("internal error")));
        }
        let none = Vec::new();
        let links = process.links.get(route).unwrap_or(&none);
        let mut calls = Vec::new();
        for link in links {
            let meets = meet(process, link, self.second.graph, answer.offered);
            if let Some(luck) = makes(meets.used, luck) {
                let first = self.attempt(link, process.node, luck);
                calls.push((link, meets, first, luck));
            }
        }
        // What a caller gives up on takes as long as it does; the rest has to fit into what the model says it takes.
        let wait = |(link, _, target, _): &(&Link, Meets, Target, f64)| match target {
            Target::Process { took, wire, .. } => took.min(link.timeout) + 2.0 * wire,
            _ => 0.0,
        };
        let all: f64 = calls.iter().map(wait).sum();
        let fits = if all > 0.0 { (took * (1.0 - OWN) / all).min(1.0) } else { 1.0 };
        let gap = nanos((took - all * fits).max(OWN * took) / (calls.len() + 1) as f64);
        let mut at = start + gap;
        for (link, meets, mut first, luck) in calls {
            if let Target::Process { took, wire, .. } = &mut first
                && *took <= link.timeout
            {
                *took *= fits;
                *wire *= fits;
            }
            let (over, answered) = self.call(pod, id, (link, &meets), first, (at, luck));
            at = over + gap;
            if let Err(why) = answered
                && !link.optional
                && outcome.is_ok()
            {
                outcome = Err(why);
            }
        }
        (at.max(start + nanos(took)), outcome)
    }

    fn attempt(&mut self, link: &Link, node: usize, luck: f64) -> Target {
        link.flow.map_or(Target::Unknown, |flow| self.target(flow, node, Some(luck)))
    }

    /// A call with its tries. When it was over, and with what the caller fails if it needs the answer.
    fn call(
        &mut self,
        pod: usize,
        parent: [u8; 8],
        (link, meets): (&Link, &Meets),
        first: Target,
        (mut at, luck): (i64, f64),
    ) -> (i64, Result<(), Failure>) {
        if self.dice.hits(meets.pool) {
            let over = at + nanos(POOL);
            let id = self.dice.id();
            let mut span = say::span(self.trace, id, Some(parent), SpanKind::Internal, (at, over));
            span.name = format!("get connection {}", link.to);
            let text =
                format!("connection pool exhausted: {0:.0} of {0:.0} connections to {1} in use", link.pool, link.to);
            let why = Failure::new(503, text);
            say::fail(&mut span, &why);
            self.tell(pod, span);
            return (over, Err(why));
        }
        // How often the budget lets it try again after a failure.
        let f = meets.attempt.fails();
        let free: f64 = (1..=link.retries).map(|k| f.powi(k.cast_signed())).sum();
        let allowed = if free > 0.0 { ((meets.tries - 1.0) / free).min(1.0) } else { 1.0 };
        let (mut target, mut left) = (first, link.retries);
        loop {
            let (over, answered) = self.once(pod, parent, link, target, at);
            if answered.is_ok() || left == 0 || !self.dice.hits(allowed) {
                return (over, answered);
            }
            left -= 1;
            at = over + nanos(BACKOFF);
            target = self.attempt(link, self.second.pods[pod].node, luck);
        }
    }

    /// One try.
    fn once(
        &mut self,
        pod: usize,
        parent: [u8; 8],
        link: &Link,
        target: Target,
        at: i64,
    ) -> (i64, Result<(), Failure>) {
        let id = self.dice.id();
        let route = self.route(link);
        let mut callee = None;
        let (mut over, mut answered) = match target {
            Target::Unknown => {
                (at + nanos(0.01), Err(Failure::new(503, format!("lookup {}: no such host", link.host))))
            }
            Target::Lost(true) => {
                let why = format!("dial tcp: {}: connect: connection refused", link.host);
                (at + nanos(REFUSED), Err(Failure::new(503, why)))
            }
            Target::Lost(false) => {
                let why = format!("dial tcp: {}: i/o timeout", link.host);
                (at + nanos(CONNECT.min(link.timeout)), Err(Failure::new(503, why)))
            }
            Target::Process { pod: there, route: which, took, wire, luck } => {
                callee = Some(there);
                let arrives = at + nanos(wire);
                let (over, answered) = if took >= STUCK {
                    (at + nanos(took), Ok(()))
                } else if route.contains('/') {
                    self.serve((there, which), SpanKind::Server, Some(id), (arrives, took, luck))
                } else {
                    // Databases, caches and brokers make no spans.
                    let fails = self.second.pods[there].answers[which].fails();
                    let failed = self.dice.hits(fails).then(|| Failure::new(503, format!("{}: server error", link.to)));
                    (arrives + nanos(took), failed.map_or(Ok(()), Err))
                };
                (over + nanos(wire), answered)
            }
        };
        let gives_up = at + nanos(link.timeout);
        let mut status = callee.map(|_| answered.as_ref().err().map_or(200, |f| f.status));
        if callee.is_some() && over > gives_up {
            let why = format!("context deadline exceeded calling {} after {:.0}ms", link.to, link.timeout * 1000.0);
            (over, answered, status) = (gives_up, Err(Failure::new(504, why)), None);
        } else if let (Err(why), true) = (&mut answered, route.contains('/') && callee.is_some()) {
            let text = format!("{} answered with an error: {}", link.to, why.status);
            // To the caller's own caller it is an upstream that failed.
            *why = Failure::new(if why.status == 504 { 504 } else { 503 }, text);
        }
        let mut span = say::span(self.trace, id, Some(parent), SpanKind::Client, (at, over));
        say::called(&mut span, link, &route, callee.map(|p| &self.second.pods[p]), status);
        if let Err(why) = &answered {
            say::fail(&mut span, why);
        }
        self.tell(pod, span);
        if answered.is_ok() && callee.is_some_and(|p| self.second.pods[p].behaviour.broker) {
            self.consume(link, id, over);
        }
        (over, answered)
    }

    /// The route that a link goes to, as its service names it.
    fn route(&self, link: &Link) -> String {
        let graph = self.second.graph;
        let named = link.flow.map(|flow| {
            let service = &graph.services[graph.flows[flow].service];
            service.routes[flow - service.first].clone()
        });
        named.unwrap_or_else(|| link.route.clone())
    }

    /// Somebody takes the message when those before it are done.
    fn consume(&mut self, link: &Link, producer: [u8; 8], at: i64) {
        let graph = self.second.graph;
        let broker = link.flow.map(|f| graph.flows[f].service);
        let Some(service) = graph.services.iter().find(|s| s.consumes.is_some() && s.consumes == broker) else {
            return;
        };
        let taken = |p: &usize| self.second.pods[*p].answers.iter().map(|a| a.served).sum::<f64>();
        let rates: Vec<f64> = service.pods.iter().map(taken).collect();
        let all: f64 = rates.iter().sum();
        let depth = broker.map_or(0.0, |b| graph.services[b].depth);
        let mut lot = self.dice.unit() * all;
        let pick = rates.iter().position(|r| {
            lot -= r;
            lot < 0.0
        });
        let Some(pod) = pick.map(|i| service.pods[i]).filter(|_| all > 0.0) else { return };
        let wait = depth / all + 0.002 * (1.0 + self.dice.unit());
        let (took, luck) = self.takes(self.second.pods[pod].answers[0].takes, None);
        let before = std::mem::take(&mut self.made);
        let _ = self.serve((pod, 0), SpanKind::Consumer, Some(producer), (at + nanos(wait), took, luck));
        let made = std::mem::replace(&mut self.made, before);
        self.after.push(made);
    }
}

/// Share of what comes that is turned away.
fn turned_away(answer: &Answer) -> f64 {
    let all = answer.served + answer.rejected;
    if all > 0.0 { answer.rejected / all } else { 0.0 }
}
