//! Single requests out of the flows: the model knows how many come, how long they take and how many fail; here some of them
//! are drawn from those laws, one by one, and told as the spans that an instrumented shop would send.
//!
//! What is drawn depends on the seed and on the second only. A request's luck is shared in part by the calls it makes, so
//! that slow requests are those with slow calls; each service's durations by themselves keep the model's distribution.

mod one;
mod say;
#[cfg(test)]
mod tests;

use super::graph::{Graph, Node};
use super::pod::Pod;
use crate::model::time::Timestamp;
use crate::sim::machine::Process;
use crate::sim::noise::Noise;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// Spans that wait for their request to end; beyond, no more requests are drawn.
const PENDING: usize = 200_000;

/// Spans of one second.
pub type Batch = Vec<ResourceSpans>;

/// Where the spans go, once somebody wants them.
#[derive(Debug, Clone, Default)]
pub struct Tap(Arc<OnceLock<(mpsc::Sender<Batch>, f64)>>);

impl Tap {
    /// From now on `per_second` requests a second of the simulation are told to `to`, at most as many as come. What it does
    /// not take is lost: the simulation waits for nobody. Only the first call counts.
    pub fn open(&self, to: mpsc::Sender<Batch>, per_second: f64) {
        let _ = self.0.set((to, per_second.max(0.0)));
    }
}

/// A span with the process that made it.
pub struct Made {
    /// What the process says of itself.
    pub maker: Arc<Resource>,
    /// It.
    pub span: Span,
}

/// The shop in one second, as a request sees it.
pub struct Second<'a> {
    /// Services and flows.
    pub graph: &'a Graph,
    /// Processes as the model sees them.
    pub pods: &'a [Pod],
    /// Machines.
    pub nodes: &'a [Node],
    /// What the processes that answer for a service say of themselves.
    pub makers: Vec<Option<Arc<Resource>>>,
}

impl<'a> Second<'a> {
    /// Of the model and of the processes that go with its pods.
    pub fn new<'p>(
        graph: &'a Graph,
        pods: &'a [Pod],
        nodes: &'a [Node],
        processes: impl Iterator<Item = &'p Process>,
    ) -> Self {
        let maker = |(pod, process): (&Pod, &Process)| {
            pod.service.map(|s| Arc::new(say::resource(&graph.services[s], process)))
        };
        Self { graph, pods, nodes, makers: pods.iter().zip(processes).map(maker).collect() }
    }
}

/// Draws requests.
pub struct Sampler {
    tap: Tap,
    noise: Noise,
    /// Parts of requests that are still owed, by flow.
    owed: BTreeMap<usize, f64>,
    /// Spans by the nanosecond at which their request is over.
    pending: BTreeMap<(i64, u64), Vec<Made>>,
    waiting: usize,
    drawn: u64,
}

impl Sampler {
    /// One that tells what it draws through the tap.
    pub fn new(tap: Tap, noise: Noise) -> Self {
        Self { tap, noise: noise.of("requests"), owed: BTreeMap::new(), pending: BTreeMap::new(), waiting: 0, drawn: 0 }
    }

    /// Whether anybody listens.
    pub fn wanted(&self) -> bool {
        self.tap.0.get().is_some_and(|(to, _)| !to.is_closed())
    }

    /// Draws from the requests of the second that ends now (`arrivals` a second, by flow), and tells of those that are over.
    pub fn second(&mut self, second: &Second<'_>, arrivals: &[(usize, f64)], now: Timestamp) {
        let Some((to, per_second)) = self.tap.0.get().cloned() else { return };
        let end = now.timestamp_nanos_opt().unwrap_or_default();
        let all: f64 = arrivals.iter().map(|a| a.1).sum();
        let share = (per_second / all.max(1e-9)).min(1.0);
        for &(flow, rate) in arrivals {
            let owed = self.owed.entry(flow).or_default();
            *owed += rate * share;
            let whole = owed.floor();
            *owed -= whole;
            for i in 0..whole as u64 {
                let noise = self.noise.of(&format!("{}/{flow}/{i}", now.timestamp()));
                // Evenly over the second, each a little off.
                let at = (i as f64 + noise.unit(-1)) / whole;
                self.draw(second, flow, noise, end - 1_000_000_000 + (at * 1e9) as i64);
            }
        }
        self.tell(&to, end);
    }

    fn draw(&mut self, second: &Second<'_>, flow: usize, noise: Noise, start: i64) {
        if self.waiting > PENDING {
            return;
        }
        let made = one::request(second, flow, noise, start);
        for spans in made {
            let Some(over) = spans.iter().map(|m| m.span.end_time_unix_nano).max() else { continue };
            self.drawn += 1;
            self.waiting += spans.len();
            self.pending.insert((over.cast_signed(), self.drawn), spans);
        }
    }

    fn tell(&mut self, to: &mpsc::Sender<Batch>, end: i64) {
        let later = self.pending.split_off(&(end, u64::MAX));
        let over = std::mem::replace(&mut self.pending, later);
        let spans: Vec<Made> = over.into_values().flatten().collect();
        self.waiting -= spans.len();
        if !spans.is_empty() {
            let _ = to.try_send(say::batch(spans));
        }
    }
}
