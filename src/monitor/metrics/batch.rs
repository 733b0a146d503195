//! One step's answers: all queries of a step, asked together.

use super::queries::Live;
use crate::monitor::prometheus::answer::Sample;
use crate::monitor::prometheus::{PromClient, PromError};
use futures::future::{join, join_all};

/// What one query brought.
pub type Outcome = Result<Vec<Sample>, PromError>;

/// Answers of one request family.
#[derive(Debug)]
pub struct FamilyBatch {
    /// Requests per second.
    pub total: Outcome,
    /// Failed requests per second; `None` if no label tells.
    pub bad: Option<Outcome>,
    /// Buckets per second; `None` without a classic histogram.
    pub buckets: Option<Outcome>,
    /// Unix time of the newest sample.
    pub sampled: Outcome,
    /// Seconds in the unit of the buckets.
    pub unit: f64,
}

/// Answers of one step; `None` where the profile has nothing to ask.
#[derive(Debug, Default)]
pub struct Batch {
    /// Whether the server answers at all; asked even where the profile has nothing else to ask.
    pub alive: Option<Outcome>,
    /// Cores per pod.
    pub cpu: Option<Outcome>,
    /// Working set per container.
    pub memory: Option<Outcome>,
    /// Time of the newest cAdvisor sample per pod.
    pub sampled: Option<Outcome>,
    /// Share of CPU periods in which a pod was held back.
    pub throttled: Option<Outcome>,
    /// Per request family.
    pub families: Vec<FamilyBatch>,
    /// Requests in flight, and the time of the newest sample.
    pub in_flight: Option<(Outcome, Outcome)>,
    /// Share of memory in use per node.
    pub node_memory: Option<Outcome>,
    /// Share of the processors' time that neighbours took, per node.
    pub node_stolen: Option<Outcome>,
}

async fn ask(client: &PromClient, query: &str) -> Outcome {
    client.query(query).await.map(|a| a.data)
}

async fn ask_some(client: &PromClient, query: Option<&str>) -> Option<Outcome> {
    match query {
        Some(q) => Some(ask(client, q).await),
        None => None,
    }
}

impl Batch {
    /// Asks everything; the client bounds how many queries are under way.
    pub async fn fetch(client: &PromClient, live: &Live) -> Self {
        let families = join_all(live.families.iter().map(|f| async {
            let rates = join(ask(client, &f.total), ask_some(client, f.bad.as_deref()));
            let rest = join(ask_some(client, f.buckets.as_deref()), ask(client, &f.sampled));
            let ((total, bad), (buckets, sampled)) = join(rates, rest).await;
            FamilyBatch { total, bad, buckets, sampled, unit: f.unit }
        }));
        let in_flight = async {
            match &live.in_flight {
                Some((values, times)) => Some(join(ask(client, values), ask(client, times)).await),
                None => None,
            }
        };
        let usage = futures::future::join4(
            ask_some(client, live.cpu.as_deref()),
            ask_some(client, live.memory.as_deref()),
            ask_some(client, live.sampled.as_deref()),
            ask_some(client, live.throttled.as_deref()),
        );
        let nodes = join(ask_some(client, live.node_memory.as_deref()), ask_some(client, live.node_stolen.as_deref()));
        let rest = join(nodes, ask(client, "vector(1)"));
        let ((cpu, memory, sampled, throttled), families, in_flight, ((node_memory, node_stolen), alive)) =
            futures::future::join4(usage, families, in_flight, rest).await;
        Self { alive: Some(alive), cpu, memory, sampled, throttled, families, in_flight, node_memory, node_stolen }
    }

    /// The error that says the whole server is lost: every query failed, and not because of the query.
    pub fn lost(&self) -> Option<&PromError> {
        let mut first = None;
        for outcome in self.outcomes() {
            match outcome {
                Ok(_) => return None,
                Err(e) if e.is_about_the_query() => return None,
                Err(e) => first = first.or(Some(e)),
            }
        }
        first
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        let single = [
            &self.alive,
            &self.cpu,
            &self.memory,
            &self.sampled,
            &self.throttled,
            &self.node_memory,
            &self.node_stolen,
        ];
        let single = single.into_iter().flatten();
        let families = self
            .families
            .iter()
            .flat_map(|f| [Some(&f.total), f.bad.as_ref(), f.buckets.as_ref(), Some(&f.sampled)].into_iter().flatten());
        single.chain(families).chain(self.in_flight.iter().flat_map(|(a, b)| [a, b]))
    }
}
