//! How one process answers in one second: cores, workers, connections and what it waits for bound what it can do; what
//! comes faster waits, and what finds no room is turned away.

use super::graph::{Graph, STUCK, idle};
use super::law::{self, Takes};
use super::pod::{Answer, Cause, Link, Pod};

/// Seconds after which a caller gives up on a machine that does not answer.
pub const CONNECT: f64 = 1.0;

/// Share of calls that may be tries again, as retry budgets have it.
const BUDGET: f64 = 0.6;

/// Seconds a caller waits for a connection of its pool.
pub const POOL: f64 = 0.5;

/// Seconds it waits before it tries again.
pub const BACKOFF: f64 = 0.05;

/// One try of a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Try {
    /// Seconds the caller waits.
    pub wait: f64,
    /// Share that never arrives: nobody listens, or the machine is out of reach.
    pub lost: f64,
    /// Share that comes too late.
    pub late: f64,
    /// Share answered with an error.
    pub error: f64,
}

impl Try {
    /// Share that fails.
    pub fn fails(&self) -> f64 {
        (self.lost + self.late + self.error).clamp(0.0, 1.0)
    }
}

/// What a try of this call from `node` meets, as the callee answered last.
pub fn attempt(graph: &Graph, link: &Link, node: usize) -> Try {
    let Some(flow) = link.flow else { return Try { wait: 0.01, lost: 1.0, ..Try::default() } };
    let f = &graph.flows[flow];
    let refused = graph.services[f.service].endpoints == 0;
    let (lost, fails) = (graph.lost(f.service, node), f.fails.clamp(0.0, 1.0));
    let n = f.parts.len().max(1) as f64;
    let (mut late, mut wait) = (0.0, 0.0);
    for takes in &f.parts {
        late += (1.0 - takes.within(link.timeout)) / n;
        wait += takes.until(link.timeout) / n;
    }
    let lost_wait = if refused { 0.002 } else { CONNECT.min(link.timeout) };
    let arrives = 1.0 - lost;
    Try { wait: wait * arrives + lost_wait * lost, lost, late: late * (1.0 - fails) * arrives, error: fails * arrives }
}

/// Tries a call takes in the mean, within the budget.
pub fn tries(t: &Try, retries: u32) -> f64 {
    let f = t.fails();
    let more: f64 = (1..=retries).map(|k| f.powi(k.cast_signed())).sum();
    1.0 + more.min(BUDGET)
}

/// What the calls of a link meet in one second.
pub struct Meets {
    /// One try.
    pub attempt: Try,
    /// Tries in the mean.
    pub tries: f64,
    /// Calls a request.
    pub used: f64,
    /// Seconds a call takes, with all its tries and its wait for a connection.
    pub each: f64,
    /// Share of calls that fail in the end.
    pub fails: f64,
    /// Share that gets no connection.
    pub pool: f64,
}

/// What the calls of a link meet if `rate` requests a second make them.
pub fn meet(pod: &Pod, link: &Link, graph: &Graph, rate: f64) -> Meets {
    let t = attempt(graph, link, pod.node);
    let many = tries(&t, link.retries);
    let used = link.per * graph.misses(link);
    let mut each = t.wait * many + BACKOFF * (many - 1.0);
    let f = t.fails();
    // Each try again mends what the try before it missed; the budget allows only so many.
    let mut fails = (f - (many - 1.0) * (1.0 - f)).max(f.powi(link.retries.cast_signed() + 1)).clamp(0.0, 1.0);
    let mut pool = 0.0;
    if link.pool > 0.0 && rate > 0.0 {
        let busy = rate * used * each / link.pool;
        pool = (1.0 - 1.0 / busy.max(1.0)).clamp(0.0, 1.0);
        each = each * (1.0 - pool) + law::wait(each, link.pool, busy).min(POOL) * (1.0 - pool) + POOL * pool;
        fails = pool + (1.0 - pool) * fails;
    }
    Meets { attempt: t, tries: many, used, each, fails, pool }
}

/// Seconds a route waits for others, and the shares of requests that end with 503 and 504 because of them.
fn waits(pod: &Pod, route: usize, graph: &Graph, rate: f64) -> (f64, [f64; 2], Option<(f64, Cause)>) {
    let (mut wait, mut fine, mut late_share, mut worst) = (0.0, 1.0, 0.0, None::<(f64, Cause)>);
    for (l, link) in pod.links[route].iter().enumerate() {
        let Meets { attempt: t, used, each, fails, pool: pool_fails, .. } = meet(pod, link, graph, rate);
        let f = t.fails();
        wait += used * each;
        let share = used.min(1.0) * fails;
        let kind = if pool_fails > 0.5 * fails {
            Cause::Pool(route, l)
        } else if link.flow.is_none() {
            Cause::NoHost(route, l)
        } else if t.late >= t.lost.max(t.error) {
            Cause::Late(route, l)
        } else if t.lost >= t.error {
            Cause::Refused(route, l)
        } else {
            Cause::Upstream(route, l)
        };
        if share > worst.map_or(1e-6, |(w, _)| w) && !link.optional {
            worst = Some((share, kind));
        }
        if !link.optional {
            if f > 0.0 {
                late_share += fine * share * (1.0 - pool_fails) * t.late / f;
            }
            fine *= 1.0 - share;
        }
    }
    let failed = 1.0 - fine;
    let late = late_share.min(failed);
    (wait, [failed - late, late], worst)
}

/// Seconds a request of the present mix holds a worker, and of it those on the CPU and those waiting for its turn there.
struct Hold {
    all: f64,
    cpu: f64,
    turn: f64,
    own: f64,
}

fn hold(pod: &Pod, offered: f64, waits: f64) -> Hold {
    let each = pod.each();
    // A lone request runs on one core at most; where the machine is full it runs slower.
    // A core of which others have a share takes longer for the same work.
    let slower = 1.0 / (1.0 - pod.stolen);
    let cpu = each * slower / pod.cores.clamp(0.001, 1.0).max(pod.limit.min(1.0));
    let busy = offered * each / pod.cores;
    let limit_wait = pod.throttled.0 * pod.throttled.1;
    let machine_wait = law::wait(each * slower, 4.0, pod.crowd);
    let turn = law::wait(each * slower, pod.cores.max(1.0), busy) + machine_wait + limit_wait;
    let own = pod.behaviour.latency / 1000.0 * pod.slow;
    Hold { all: (cpu + turn + own + waits).max(1e-6), cpu, turn, own }
}

/// Requests a second that a process can do, as its callees answered last.
pub fn capacity(pod: &Pod, graph: &Graph) -> f64 {
    if pod.life.stuck || !pod.started() {
        return 0.0;
    }
    let rate = pod.offered().max(0.1);
    let wait = (0..pod.links.len()).map(|r| waits(pod, r, graph, rate).0).sum::<f64>() / pod.links.len().max(1) as f64;
    (pod.cores.min(pod.limit) / pod.each().max(1e-9)).min(pod.workers / hold(pod, 0.0, wait).all) * 0.95
}

/// Answers for one second.
pub fn serve(pod: &mut Pod, graph: &Graph, seconds: f64) {
    let offered = pod.offered();
    pod.cause = None;
    if !pod.started() || pod.life.stuck {
        idle_or_stuck(pod, offered, seconds);
        return;
    }
    let each = pod.each();
    pod.throttled = if pod.limit.is_finite() { law::throttled(offered, each, pod.limit) } else { (0.0, 0.0) };
    let routes = pod.answers.len();
    let mut out = [(0.0, [0.0; 2]); 8];
    let mut worst: Option<(f64, Cause)> = None;
    let mut mean_wait = 0.0;
    for (route, slot) in out.iter_mut().enumerate().take(routes.min(8)) {
        let rate = pod.answers[route].offered;
        let (wait, shares, cause) =
            if route < pod.links.len() { waits(pod, route, graph, rate) } else { Default::default() };
        *slot = (wait, shares);
        mean_wait += wait * if offered > 0.0 { rate / offered } else { 1.0 / routes as f64 };
        if let Some((share, why)) = cause
            && share * rate > worst.map_or(0.0, |(w, _)| w)
        {
            worst = Some((share * rate, why));
        }
    }
    let h = hold(pod, offered, mean_wait);
    let by_cpu = pod.cores.min(pod.limit) / each.max(1e-9);
    let can = by_cpu.min(pod.workers / h.all).max(1e-6);
    let line = law::wait(h.all, pod.workers, offered * h.all / pod.workers);
    // While it keeps up nothing is left over; else what is left waits, as far as there is room.
    let todo = offered * seconds + pod.life.backlog;
    let begun = todo.min(can * seconds);
    let room = pod.behaviour.backlog + (pod.workers - can * h.all).max(0.0);
    let left = todo - begun;
    let turned = (left - room).max(0.0);
    pod.life.backlog = left - turned;
    let (served, rejected) = (begun / seconds, turned / seconds);
    let fixed = pod.life.backlog / can;
    let own_fails = 1.0 - (1.0 - pod.behaviour.errors) * (1.0 - pod.failing);
    let ratio = |part: f64| if offered > 0.0 { part / offered } else { 0.0 };
    pod.accepts = if offered > 0.0 { (served / offered).min(4.0) } else { 1.0 };
    for (route, (wait, [unavailable, late])) in out.iter().copied().enumerate().take(routes.min(8)) {
        let share = if offered > 0.0 { pod.answers[route].offered / offered } else { 1.0 / routes as f64 };
        let left = 1.0 - own_fails;
        pod.answers[route] = Answer {
            offered: pod.answers[route].offered,
            served: served * share,
            rejected: rejected * share,
            takes: Takes::new(fixed, h.cpu + h.own + wait, pod.behaviour.sigma, h.turn + line),
            failed: [own_fails, unavailable * left, late * left],
        };
    }
    let own = (own_fails * served, Cause::Own);
    let full = (rejected, Cause::Full);
    pod.cause = [Some(own), Some(full), worst]
        .into_iter()
        .flatten()
        .filter(|(w, _)| *w > 0.0)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c);
    pod.used = (served * each + rejected * 0.0002 + idle(pod)).min(pod.limit).min(pod.cores.max(0.001));
    if offered * each > pod.limit {
        pod.throttled = (1.0, law::PERIOD * (1.0 - pod.limit / (offered * each)).clamp(0.05, 0.9));
    }
    // Little's law: what is inside is what is begun times how long it takes, and what waits.
    pod.in_flight = served * (h.all + line) + pod.life.backlog;
    pod.life.worked += begun;
    pod.life.leaked += begun * pod.behaviour.leak;
    if pod.behaviour.keys > 0.0 {
        pod.life.warmth += (1.0 - pod.life.warmth) * (1.0 - (-begun / pod.behaviour.keys).exp());
    }
    pod.life.unsaid[1] += begun * ratio(offered);
    if pod.behaviour.deadlock > 0.0 && pod.life.worked >= pod.behaviour.deadlock {
        pod.life.stuck = true;
    }
}

/// A process that does not answer: it is not there yet, or its workers wait for each other.
fn idle_or_stuck(pod: &mut Pod, offered: f64, seconds: f64) {
    let stuck = pod.life.stuck;
    let room = pod.workers + pod.behaviour.backlog;
    if stuck {
        pod.life.backlog = (pod.life.backlog + offered * seconds).min(room);
    }
    for answer in &mut pod.answers {
        // Nothing is answered, and nothing counted: callers give up by themselves, or are refused.
        let takes = if stuck { Takes::new(STUCK, 0.1, 0.5, 0.0) } else { Takes::new(0.0, 0.001, 0.5, 0.0) };
        let rejected = if stuck { 0.0 } else { answer.offered };
        *answer = Answer { offered: answer.offered, served: 0.0, rejected, takes, failed: [0.0; 3] };
    }
    pod.accepts = 0.0;
    pod.throttled = (0.0, 0.0);
    pod.in_flight = if stuck { pod.life.backlog } else { 0.0 };
    pod.used = idle(pod).min(pod.limit).min(pod.cores.max(0.001));
    if pod.used >= pod.limit {
        pod.throttled = (0.8, 0.04);
    }
}
