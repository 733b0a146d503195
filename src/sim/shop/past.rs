//! What was before the simulation began: the same laws at their steady state, every ten minutes of the last 14 days,
//! worked out by day when somebody asks, and added up backwards from the values at the start.

use super::graph::{Edge, Graph, Node};
use super::machines::{self, Load};
use super::pod::Pod;
use super::{arrivals, usage};
use crate::model::time::Timestamp;
use crate::sim::clock::seconds;
use crate::sim::machine::{Calls, Machine, Machines, Past, Place, State, Usage};
use crate::sim::noise::Noise;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Seconds between two solved moments, and how many a day has.
const STEP: f64 = 600.0;
const DAY: usize = 144;

/// Days that are known.
const DAYS: usize = 14;

/// Seconds over which the past wavers, and how far.
const WAVER: (f64, f64) = (300.0, 0.05);

/// What happens in a second at one moment, or has happened between it and the start.
#[derive(Debug, Clone, Default)]
struct Moment {
    /// By process, in the table's order.
    usage: Vec<Usage>,
    nodes: Vec<Machine>,
    calls: BTreeMap<(String, String), Calls>,
}

/// Rates of one day and, at its moments, the totals from there to the start.
#[derive(Debug)]
struct Day {
    rates: Vec<Moment>,
    since: Vec<Moment>,
}

/// The past of everything that runs at the start.
pub struct History {
    start: Timestamp,
    noise: Noise,
    graph: Graph,
    pods: Vec<Pod>,
    limits: Vec<Option<f64>>,
    nodes: Vec<Node>,
    places: BTreeMap<Place, usize>,
    began: Vec<Timestamp>,
    /// How it stood at the start.
    live: Moment,
    names: BTreeMap<String, usize>,
    days: Mutex<Vec<Day>>,
}

impl History {
    /// The past of these machines, as they stand at `start`; `noise` as given to [`super::Shop::new`].
    pub fn new(machines: &Machines, noise: Noise, start: Timestamp) -> Self {
        let mut graph = Graph::shop();
        let nodes: Vec<Node> = machines
            .nodes
            .values()
            .map(|m| Node {
                name: m.name.clone(),
                zone: m.zone.clone(),
                up: true,
                connected: true,
                cores: m.cores,
                stolen: 0.0,
            })
            .collect();
        let running = || machines.processes.values().filter(|p| p.state == State::Running);
        let mut pods: Vec<Pod> = running()
            .map(|p| {
                let node = nodes.iter().position(|n| n.name == p.node).unwrap_or(usize::MAX);
                let mut pod = Pod::new(p, &graph, node, 86_400.0);
                (pod.endpoint, pod.life.warmth) = (pod.crash.is_none(), 1.0);
                pod
            })
            .collect();
        for (i, pod) in pods.iter_mut().enumerate() {
            if let Some(service) = pod.service {
                graph.services[service].pods.push(i);
            }
        }
        let live = Moment {
            usage: running().map(|p| p.usage.clone()).collect(),
            nodes: machines.nodes.values().cloned().collect(),
            calls: machines.calls.clone(),
        };
        Self {
            start,
            noise: noise.of("shop"),
            pods,
            limits: running().map(|p| p.limits[1]).collect(),
            places: running().enumerate().map(|(i, p)| (p.place.clone(), i)).collect(),
            began: running().map(|p| p.started).collect(),
            names: machines.nodes.keys().enumerate().map(|(i, n)| (n.clone(), i)).collect(),
            graph,
            nodes,
            live,
            days: Mutex::default(),
        }
    }

    /// What a second at `at` brings.
    fn rates(&self, (graph, pods): (&mut Graph, &mut Vec<Pod>), at: Timestamp) -> Moment {
        let entrances = arrivals(graph, at, self.noise, |_| 1.0);
        for _ in 0..3 {
            graph.step(pods, &self.nodes, &entrances, 1.0);
        }
        let mut loads = vec![Load::default(); self.nodes.len()];
        let mut moment = Moment::default();
        for (i, pod) in pods.iter_mut().enumerate() {
            if pod.service.is_none() {
                pod.used = super::graph::idle(pod).min(pod.limit);
            }
            let mut usage = Usage::default();
            usage::advance(&mut usage, pod, self.limits[i], 1.0);
            if let Some(load) = loads.get_mut(pod.node) {
                machines::add(load, pod, self.live.usage[i].working_set);
            }
            moment.usage.push(usage);
        }
        for (live, load) in self.live.nodes.iter().zip(&loads) {
            let mut m = Machine {
                powered: true,
                cores: live.cores,
                memory: live.memory,
                disk: live.disk,
                ..Machine::default()
            };
            machines::work(&mut m, load, 1.0);
            moment.nodes.push(m);
        }
        for ((caller, callee), edge) in graph.edges.iter().filter(|(_, e): &(_, &Edge)| e.total > 0.0) {
            let caller = caller.map_or("user", |c| graph.services[c].key.as_str());
            machines::calls(&mut moment.calls, (caller, &graph.services[*callee].key), edge, 1.0);
        }
        moment
    }

    fn solve(&self, days: &mut Vec<Day>, wanted: usize) {
        if days.len() > wanted {
            return;
        }
        let (mut graph, mut pods) = (self.graph.clone(), self.pods.clone());
        while days.len() <= wanted {
            let mut since = days.last().and_then(|d| d.since.last().cloned()).unwrap_or_else(|| self.nothing());
            let mut day = Day { rates: Vec::with_capacity(DAY), since: vec![since.clone()] };
            for k in 0..DAY {
                let middle = (days.len() * DAY + k) as f64 * STEP + STEP / 2.0;
                let rates = self.rates((&mut graph, &mut pods), self.start - seconds(middle));
                since = since.plus(&rates, STEP);
                day.rates.push(rates);
                day.since.push(since.clone());
            }
            days.push(day);
        }
    }

    fn nothing(&self) -> Moment {
        Moment {
            usage: vec![Usage::default(); self.pods.len()],
            nodes: vec![Machine::default(); self.nodes.len()],
            calls: BTreeMap::new(),
        }
    }

    /// What `read` makes of the totals between `at` and the start and of the rates then; `key` wavers for itself.
    fn at<T>(&self, key: &str, at: Timestamp, read: impl FnOnce(&Moment, &Moment, f64) -> Option<T>) -> Option<T> {
        let ago = (self.start - at).num_milliseconds() as f64 / 1000.0;
        if !(0.0..=(DAYS * DAY) as f64 * STEP).contains(&ago) {
            return None;
        }
        // The time itself wavers, so that all totals of one thing stay in step with each other. It never runs backwards:
        // the slope of the noise is far below one over its size.
        let noise = self.noise.of("past").of(key);
        let t = |ago: f64| noise.smooth(-ago, WAVER.0);
        let ago = (ago + WAVER.0 * WAVER.1 * (t(ago) - t(0.0))).clamp(0.0, (DAYS * DAY) as f64 * STEP - 1.0);
        let k = (ago / STEP) as usize;
        let mut days = self.days.lock().expect("no panic while the days are held");
        self.solve(&mut days, k / DAY);
        let day = &days[k / DAY];
        read(&day.since[k % DAY], &day.rates[k % DAY], ago - k as f64 * STEP)
    }

    /// What a process did a second in the mean of the last week, every five hours looked at.
    fn mean(&self) -> Moment {
        let (mut graph, mut pods) = (self.graph.clone(), self.pods.clone());
        let times = 34;
        (0..times).fold(self.nothing(), |sum, i| {
            let at = self.start - seconds(f64::from(i) * 5.0 * 3600.0 - f64::from(i % 2) * 1800.0);
            sum.plus(&self.rates((&mut graph, &mut pods), at), 1.0 / f64::from(times))
        })
    }
}

impl Past for History {
    fn usage(&self, place: &Place, at: Timestamp) -> Option<Usage> {
        let i = *self.places.get(place)?;
        if at < self.began[i] {
            return None;
        }
        let live = &self.live.usage[i];
        self.at(&format!("{}/{}", place.namespace, place.pod), at, |since, rates, seconds| {
            let (since, rates) = (&since.usage[i], &rates.usage[i]);
            let mut then = minus(live, since, rates, seconds);
            let age = (at - self.began[i]).num_milliseconds() as f64 / 1000.0;
            let t = (self.start - at).num_milliseconds() as f64 / 1000.0;
            let noise = self.noise.of("memory").of(&place.pod);
            let wave = 1.0 + 0.02 * (noise.smooth(-t, 1800.0) - noise.smooth(0.0, 1800.0)) * (t / 60.0).min(1.0);
            // It grew into its memory within minutes of its start.
            let grown = (0.7 + 0.3 * (age / 900.0).min(1.0)) * wave.clamp(0.85, 1.1);
            let grown = if t <= 0.0 { 1.0 } else { grown };
            (then.working_set, then.rss, then.cache) = (live.working_set * grown, live.rss * grown, live.cache * grown);
            Some(then)
        })
    }

    fn machine(&self, node: &str, at: Timestamp) -> Option<Machine> {
        let i = *self.names.get(node)?;
        let live = &self.live.nodes[i];
        if at < live.booted {
            return None;
        }
        self.at(node, at, |since, rates, seconds| {
            let (since, rates) = (&since.nodes[i], &rates.nodes[i]);
            let mut then = live.clone();
            let back = |live: f64, since: f64, rate: f64| (live - since - rate * seconds).max(0.0);
            for k in 0..5 {
                then.cpu_seconds[k] = back(live.cpu_seconds[k], since.cpu_seconds[k], rates.cpu_seconds[k]);
            }
            for k in 0..2 {
                then.network[k] = back(live.network[k], since.network[k], rates.network[k]);
            }
            for k in 0..3 {
                then.io[k] = back(live.io[k], since.io[k], rates.io[k]);
                then.pressure[k] = back(live.pressure[k], since.pressure[k], rates.pressure[k]);
            }
            Some(then)
        })
    }

    fn calls(&self, caller: &str, callee: &str, at: Timestamp) -> Option<Calls> {
        let key = (caller.to_owned(), callee.to_owned());
        let live = self.live.calls.get(&key)?;
        let none = Calls::default();
        self.at(callee, at, |since, rates, seconds| {
            let (since, rates) = (since.calls.get(&key).unwrap_or(&none), rates.calls.get(&key).unwrap_or(&none));
            let back = |live: f64, since: f64, rate: f64| (live - since - rate * seconds).max(0.0);
            let mut then = Calls {
                total: back(live.total, since.total, rates.total),
                failed: back(live.failed, since.failed, rates.failed),
                retried: back(live.retried, since.retried, rates.retried),
                server_seconds: back(live.server_seconds, since.server_seconds, rates.server_seconds),
                client_seconds: back(live.client_seconds, since.client_seconds, rates.client_seconds),
                buckets: live.buckets,
            };
            for (k, bucket) in then.buckets.iter_mut().enumerate() {
                *bucket = back(live.buckets[k], since.buckets[k], rates.buckets[k]);
            }
            Some(then)
        })
    }
}

/// `live` without what came since: totals go back, gauges are those of `rates`.
fn minus(live: &Usage, since: &Usage, rates: &Usage, seconds: f64) -> Usage {
    if since.cpu_seconds == [0.0; 2] && seconds <= 0.0 {
        return live.clone();
    }
    let back = |live: f64, since: f64, rate: f64| (live - since - rate * seconds).max(0.0);
    let mut then = live.clone();
    for k in 0..2 {
        then.cpu_seconds[k] = back(live.cpu_seconds[k], since.cpu_seconds[k], rates.cpu_seconds[k]);
        then.network[k] = back(live.network[k], since.network[k], rates.network[k]);
        then.io[k] = back(live.io[k], since.io[k], rates.io[k]);
    }
    for k in 0..3 {
        then.cfs[k] = back(live.cfs[k], since.cfs[k], rates.cfs[k]);
        then.stalled[k] = back(live.stalled[k], since.stalled[k], rates.stalled[k]);
    }
    (then.cores, then.in_flight, then.threads) = (rates.cores, rates.in_flight, rates.threads);
    if let (Some(cached), Some(since), Some(rates)) = (&mut then.cached, since.cached, rates.cached) {
        for k in 0..2 {
            cached[k] = back(cached[k], since[k], rates[k]);
        }
    }
    for r in &mut then.requests {
        let same = |o: &&crate::sim::machine::Requests| o.code == r.code && o.route == r.route && o.method == r.method;
        let (old, rate) = (since.requests.iter().find(same), rates.requests.iter().find(same));
        let of = |f: fn(&crate::sim::machine::Requests) -> f64| (old.map_or(0.0, f), rate.map_or(0.0, f));
        let ((c0, c1), (s0, s1)) = (of(|r| r.count), of(|r| r.seconds));
        let buckets = |k: usize| (old.map_or(0.0, |o| o.buckets[k]), rate.map_or(0.0, |o| o.buckets[k]));
        for k in 0..r.buckets.len() {
            let (b0, b1) = buckets(k);
            r.buckets[k] = back(r.buckets[k], b0, b1);
        }
        (r.count, r.seconds) = (back(r.count, c0, c1), back(r.seconds, s0, s1));
    }
    then
}

impl Moment {
    /// This and `times` seconds of `rates`.
    fn plus(mut self, rates: &Self, times: f64) -> Self {
        for (u, r) in self.usage.iter_mut().zip(&rates.usage) {
            plus(u, r, times);
        }
        for (m, r) in self.nodes.iter_mut().zip(&rates.nodes) {
            m.cpu_seconds.iter_mut().zip(r.cpu_seconds).for_each(|(a, b)| *a += b * times);
            m.network.iter_mut().zip(r.network).for_each(|(a, b)| *a += b * times);
            m.io.iter_mut().zip(r.io).for_each(|(a, b)| *a += b * times);
            m.pressure.iter_mut().zip(r.pressure).for_each(|(a, b)| *a += b * times);
        }
        for (key, r) in &rates.calls {
            let c = self.calls.entry(key.clone()).or_default();
            c.total += r.total * times;
            c.failed += r.failed * times;
            c.retried += r.retried * times;
            c.server_seconds += r.server_seconds * times;
            c.client_seconds += r.client_seconds * times;
            c.buckets.iter_mut().zip(r.buckets).for_each(|(a, b)| *a += b * times);
        }
        self
    }
}

/// Adds `times` seconds of `rates` to totals.
fn plus(u: &mut Usage, rates: &Usage, times: f64) {
    u.cpu_seconds.iter_mut().zip(rates.cpu_seconds).for_each(|(a, b)| *a += b * times);
    u.cfs.iter_mut().zip(rates.cfs).for_each(|(a, b)| *a += b * times);
    u.stalled.iter_mut().zip(rates.stalled).for_each(|(a, b)| *a += b * times);
    u.network.iter_mut().zip(rates.network).for_each(|(a, b)| *a += b * times);
    u.io.iter_mut().zip(rates.io).for_each(|(a, b)| *a += b * times);
    if let Some(cached) = rates.cached {
        let all = u.cached.get_or_insert([0.0; 2]);
        all.iter_mut().zip(cached).for_each(|(a, b)| *a += b * times);
    }
    for r in &rates.requests {
        let found = u.requests.iter().position(|o| o.code == r.code && o.route == r.route && o.method == r.method);
        let i = found.unwrap_or_else(|| {
            let (count, seconds, buckets) = Default::default();
            u.requests.push(crate::sim::machine::Requests { count, seconds, buckets, ..r.clone() });
            u.requests.len() - 1
        });
        let o = &mut u.requests[i];
        o.count += r.count * times;
        o.seconds += r.seconds * times;
        o.buckets.iter_mut().zip(r.buckets).for_each(|(a, b)| *a += b * times);
    }
}

/// Gives what runs at `now`, and started days ago as [`super::age`] has it, the totals that it would have by now. Gives the
/// past that runs on into these. To be called once, after the warm-up.
pub fn settle(machines: &mut Machines, noise: Noise, now: Timestamp) -> History {
    let booted = now - seconds(41.0 * 86_400.0);
    let mean = History::new(machines, noise, now).mean();
    let running = machines.processes.values_mut().filter(|p| p.state == State::Running);
    for (p, rates) in running.zip(&mean.usage) {
        plus(&mut p.usage, rates, (now - p.started).num_seconds().max(0) as f64);
    }
    for (m, rates) in machines.nodes.values_mut().zip(&mean.nodes) {
        m.booted = m.booted.min(booted);
        let up = (now - m.booted).num_seconds() as f64;
        m.cpu_seconds.iter_mut().zip(rates.cpu_seconds).for_each(|(a, b)| *a += b * up);
        m.network.iter_mut().zip(rates.network).for_each(|(a, b)| *a += b * up);
        m.io.iter_mut().zip(rates.io).for_each(|(a, b)| *a += b * up);
        m.pressure.iter_mut().zip(rates.pressure).for_each(|(a, b)| *a += b * up);
    }
    let long = Moment { calls: std::mem::take(&mut machines.calls), ..Moment::default() };
    machines.calls = long.plus(&Moment { calls: mean.calls, ..Moment::default() }, 15.0 * 86_400.0).calls;
    History::new(machines, noise, now)
}
