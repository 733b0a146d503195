//! What a process's second of work leaves in its figures: CPU, memory, counters of requests, logs.

use super::law::PERIOD;
use super::pod::{Answer, Cause, Pod};
use crate::model::time::Timestamp;
use crate::sim::machine::{BUCKETS, Process, Requests, State, Usage};

const MIB: f64 = 1_048_576.0;

/// Bytes of what one request holds while it is worked on.
const HELD: f64 = 96.0 * 1024.0;

/// KiB a request leaves for the collector.
const GARBAGE: f64 = 40.0;

/// Share of GETs that ask for what is not there.
const MISSING: f64 = 0.002;

/// Bytes of working set now. `limit` in bytes.
pub fn working_set(pod: &Pod, limit: f64) -> f64 {
    let (b, life) = (&pod.behaviour, &pod.life);
    let mib = |m: f64| m * MIB;
    if b.wanted > 0.0 {
        let wanted = mib(b.wanted);
        // Without room for it, it is over its limit after seven seconds; with it, it stays below.
        return if limit < wanted {
            limit * (0.35 + 0.65 * life.age / 6.5)
        } else {
            0.9 * wanted * (0.5 + life.age / 20.0).min(1.0)
        };
    }
    // From a third to all of its base while it starts.
    let base = mib(b.memory) * (0.35 + 0.65 * (life.age / b.start.max(1.0)).min(1.0)) * (1.0 + b.leak_rate * life.age);
    let heap = if b.heap > 0.0 {
        mib(b.heap) * ((life.worked * GARBAGE / 1024.0 + life.age * 0.004 * b.heap) / b.heap).fract()
    } else {
        0.0
    };
    let grows = mib(b.grows) * (1.0 - (-life.worked / 900.0).exp());
    let held = pod.in_flight * HELD;
    // A broker keeps what waits in it in memory.
    let waits = if b.broker { pod.waiting.unwrap_or(0.0) * 2048.0 } else { 0.0 };
    base + heap + grows + held + waits + life.leaked * 1024.0 + mib(b.holds) * life.warmth + 0.15 * page(pod)
}

/// Bytes of page cache.
fn page(pod: &Pod) -> f64 {
    let b = &pod.behaviour;
    b.page * MIB * (1.0 - (-pod.life.age / 900.0 - pod.life.worked / 20_000.0).exp())
}

/// Adds `seconds` of what the pod does now.
pub fn advance(usage: &mut Usage, pod: &Pod, limit: Option<f64>, seconds: f64) {
    let b = &pod.behaviour;
    usage.cores = pod.used;
    usage.cpu_seconds[0] += pod.used * 0.82 * seconds;
    usage.cpu_seconds[1] += pod.used * 0.18 * seconds;
    if pod.limit.is_finite() {
        // Only periods in which it ran are counted.
        let periods = (pod.used * 400.0).min(1.0) * seconds / PERIOD;
        usage.cfs[0] += periods;
        usage.cfs[1] += periods * pod.throttled.0;
        usage.cfs[2] += periods * pod.throttled.0 * pod.throttled.1;
    }
    let cap = limit.unwrap_or(f64::INFINITY);
    usage.working_set = working_set(pod, cap);
    usage.cache = page(pod).min((cap - usage.working_set).max(0.0) + 0.15 * page(pod));
    usage.rss = (usage.working_set - 0.15 * page(pod)).max(0.5 * usage.working_set) * 0.97;
    let full = if cap.is_finite() { ((usage.working_set / cap - 0.92) / 0.08).clamp(0.0, 1.0) } else { 0.0 };
    let served: f64 = pod.answers.iter().map(|a| a.served).sum();
    let done = served * seconds;
    let short = (pod.wanted / pod.cores.max(1e-3) - 1.0).clamp(0.0, 1.0);
    usage.stalled[0] += seconds * (pod.throttled.0 * 0.6 + 0.5 * short + 0.02 * pod.crowd * pod.used).min(1.0);
    usage.stalled[1] += seconds * 0.25 * full * full;
    let disk = (b.io[0] + b.io[1]) * served / 120e6 * pod.slow;
    usage.stalled[2] += seconds * disk.min(0.9);
    let calls = pod.links.iter().map(Vec::len).sum::<usize>() as f64;
    usage.network[0] += done * (700.0 + 900.0 * calls) + 60.0 * seconds;
    usage.network[1] += done * (2600.0 + 500.0 * calls) + 80.0 * seconds;
    usage.io[0] += done * b.io[0];
    usage.io[1] += done * (b.io[1] + b.line) + b.chatter * seconds;
    // The kubelet rotates logs at five times 10 MiB; chatter goes to files of its own.
    let log = usage.disk % (50.0 * MIB) + done * b.line;
    usage.disk = if b.chatter > 0.0 { usage.disk + b.chatter * seconds } else { log };
    usage.in_flight = pod.in_flight;
    usage.threads = (8.0 + pod.in_flight.min(pod.workers) + if b.heap > 20.0 { 12.0 } else { 0.0 }).round();
    usage.waiting = pod.waiting;
    if b.keys > 0.0 {
        let [hits, misses] = usage.cached.unwrap_or_default();
        let share = pod.hits();
        usage.cached = Some([hits + done * share, misses + done * (1.0 - share)]);
    }
    if pod.started() && !pod.life.stuck {
        for (route, answer) in b.routes.iter().zip(&pod.answers) {
            count(usage, &route.route, answer, seconds);
        }
    }
}

/// Counts requests by code.
fn count(usage: &mut Usage, route: &str, answer: &Answer, seconds: f64) {
    if answer.served + answer.rejected <= 0.0 {
        return;
    }
    let (method, path) = route.split_once(' ').unwrap_or(("GET", route));
    let missing = if method == "GET" && path.contains('{') { MISSING } else { 0.0 };
    let [own, unavailable, late] = answer.failed;
    let fine = (1.0 - own - unavailable - late).max(0.0);
    let within = BUCKETS.map(|bound| answer.takes.within(bound));
    let mean = answer.takes.mean();
    let served = answer.served * seconds;
    for (code, n) in [(200, fine * (1.0 - missing)), (404, fine * missing), (500, own), (503, unavailable), (504, late)]
    {
        if n > 0.0 {
            add(usage, (method, path, code), served * n, mean, &within);
        }
    }
    if answer.rejected > 0.0 {
        add(usage, (method, path, 503), answer.rejected * seconds, 0.001, &[1.0; BUCKETS.len()]);
    }
}

fn add(usage: &mut Usage, (method, route, code): (&str, &str, u16), n: f64, mean: f64, within: &[f64; BUCKETS.len()]) {
    let found = usage.requests.iter().position(|r| r.code == code && r.route == route && r.method == method);
    let i = found.unwrap_or_else(|| {
        usage.requests.push(Requests {
            method: method.to_owned(),
            route: route.to_owned(),
            code,
            ..Requests::default()
        });
        usage.requests.len() - 1
    });
    let r = &mut usage.requests[i];
    r.count += n;
    r.seconds += n * mean;
    r.buckets.iter_mut().zip(within).for_each(|(b, share)| *b += n * share);
}

/// What the process says in this second, and whether it ends.
pub fn speak(process: &mut Process, pod: &mut Pod, now: Timestamp) {
    if pod.life.age <= 1.0 && pod.crash.is_none() && !pod.behaviour.routes.is_empty() && pod.life.worked <= 0.0 {
        process.say(now, format!("starting {}", process.image));
    }
    if let Some(text) = pod.crash.clone()
        && pod.life.age >= 1.0
    {
        text.lines().for_each(|l| process.say(now, l));
        process.state = State::Exited(1);
        return;
    }
    if let Some(batch) = pod.behaviour.batch {
        work(process, pod, batch, now);
        return;
    }
    let started = pod.life.age - pod.behaviour.start;
    if (0.0..1.0).contains(&started) && !pod.behaviour.routes.is_empty() {
        process.say(now, format!("listening on :8080, started in {:.1} s", pod.life.age));
    }
    let failing: f64 = pod.answers.iter().map(|a| (a.served + a.rejected) * a.fails()).sum();
    pod.life.unsaid[0] += failing;
    if pod.life.unsaid[0] >= 1.0
        && let Some(cause) = pod.cause
        && pod.started()
    {
        let text = reason(pod, cause);
        let times = pod.life.unsaid[0] as u64;
        text.lines().for_each(|l| process.say(now, l));
        if times > 1 {
            process.say(now, format!("level=error msg=\"request failed\" times={times}"));
        }
        pod.life.unsaid[0] = 0.0;
    }
    if now.timestamp() % 10 == (pod.place.pod.len() as i64) % 10
        && let Some((route, answer)) = pod.behaviour.routes.iter().zip(&pod.answers).find(|(_, a)| a.served > 0.05)
    {
        let ms = answer.takes.mean() * 1000.0;
        process.say(
            now,
            format!("level=info msg=\"{}\" status=200 duration={ms:.1}ms in_flight={:.0}", route.route, pod.in_flight),
        );
    }
}

/// A batch does its work, or gives up.
fn work(process: &mut Process, pod: &mut Pod, batch: super::catalogue::Batch, now: Timestamp) {
    if pod.life.without >= 15.0 {
        process.say(
            now,
            "level=fatal msg=\"cannot query orders\" err=\"dial tcp: lookup orders-db: connect: connection refused\"",
        );
        process.state = State::Exited(1);
    } else if pod.life.done >= batch.seconds {
        process.say(now, format!("level=info msg=\"done\" rows={}", (batch.rate * batch.seconds * 180.0) as i64));
        process.state = State::Exited(0);
    } else if now.timestamp() % 30 == 0 {
        process.say(now, format!("level=info msg=\"progress\" done={:.0}%", 100.0 * pod.life.done / batch.seconds));
    }
}

/// A line about why requests fail.
fn reason(pod: &Pod, cause: Cause) -> String {
    let of = |route: usize, link: usize| pod.links.get(route).and_then(|l| l.get(link));
    let (to, host, ms, pool) = match cause {
        Cause::Late(r, l) | Cause::Upstream(r, l) | Cause::Refused(r, l) | Cause::Pool(r, l) | Cause::NoHost(r, l) => {
            of(r, l).map_or(("", "", 0.0, 0.0), |l| (l.to.as_str(), l.host.as_str(), l.timeout * 1000.0, l.pool))
        }
        _ => ("", "", 0.0, 0.0),
    };
    let what = match cause {
        Cause::Own if !pod.behaviour.fault.is_empty() => {
            return format!("level=error status=500 {}", pod.behaviour.fault);
        }
        Cause::Own => "internal error".to_owned(),
        Cause::Full => format!("server overloaded: {:.0} requests in flight, accept queue full", pod.in_flight),
        Cause::Late(..) => format!("context deadline exceeded calling {to} after {ms:.0}ms"),
        Cause::Upstream(..) => format!("{to} answered with an error: 503 Service Unavailable"),
        Cause::Refused(..) => format!("dial tcp: {host}: connect: connection refused calling {to}"),
        Cause::Pool(..) => format!("connection pool exhausted: {pool:.0} of {pool:.0} connections to {to} in use"),
        Cause::NoHost(..) => format!("dial tcp: lookup {host}: no such host"),
    };
    let status = if matches!(cause, Cause::Late(..)) {
        504
    } else if cause == Cause::Own {
        500
    } else {
        503
    };
    format!("level=error status={status} err=\"{what}\"")
}
