//! The map of services: from spans, and where metrics count the same calls, with their numbers: they see every request,
//! while spans are often of some only.

use super::tally::{Served, Totals, Way, Who};
use crate::model::failure::Call;
use crate::model::object::WorkloadKey;
use crate::model::series::Signal;
use crate::model::service::{MapSource, Red, ServiceEdge, ServiceMap, ServiceNode};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A node while it is put together.
#[derive(Default)]
struct Draft {
    workload: Option<WorkloadKey>,
    served: Option<Served>,
    red: Red,
}

/// The map of `covered` seconds of traces, and of the metrics of the snapshot.
pub fn draw(totals: &Totals, covered: f64, snapshot: &Snapshot, now: Timestamp) -> ServiceMap {
    let names = Names::of(totals, snapshot);
    let mut nodes: BTreeMap<Who, Draft> = BTreeMap::new();
    let mut edges: BTreeMap<Way, (Option<Served>, Red)> = BTreeMap::new();
    for (who, served) in &totals.services.0 {
        let node = nodes.entry(names.one(who)).or_default();
        node.workload = node.workload.take().or_else(|| names.workload(who, served.workload.as_deref()));
        super::tally::Sum::merge(node.served.get_or_insert_default(), served);
    }
    for ((from, to, detached), crossed) in &totals.edges.0 {
        let way = (names.one(from), names.one(to), *detached);
        for end in [&way.0, &way.1] {
            let node = nodes.entry(end.clone()).or_default();
            node.workload = node.workload.take().or_else(|| names.workload(end, None));
        }
        super::tally::Sum::merge(edges.entry(way).or_default().0.get_or_insert_default(), &crossed.calls);
    }
    for node in nodes.values_mut() {
        node.red = red(node.served.as_ref(), covered);
    }
    for (calls, numbers) in edges.values_mut() {
        *numbers = red(calls.as_ref(), covered);
    }
    // What counts every call tells most.
    let mut sources = Vec::new();
    if !snapshot.metrics.calls.is_empty() {
        let profile = snapshot.metrics.profile.as_ref();
        sources.push(profile.and_then(|p| p.calls).unwrap_or(MapSource::ServiceGraph));
        snapshot.metrics.calls.iter().for_each(|call| add(call, &mut nodes, &mut edges));
    }
    let mut measured = false;
    for node in nodes.values_mut() {
        measured |= measure(node, snapshot);
    }
    if measured && !sources.contains(&requests(snapshot)) {
        sources.push(requests(snapshot));
    }
    if totals.traces > 0 {
        sources.push(MapSource::Spans);
    }
    finish(nodes, edges, sources, now)
}

/// Where the request metrics of workloads come from.
fn requests(snapshot: &Snapshot) -> MapSource {
    let family = snapshot.metrics.profile.as_ref().and_then(|p| p.requests.as_deref()).unwrap_or_default();
    if family.starts_with("istio_") || family.starts_with("response_total") {
        MapSource::Mesh
    } else if family.starts_with("traces_span") || family.starts_with("calls_total") {
        MapSource::SpanMetrics
    } else {
        MapSource::Requests
    }
}

fn red(served: Option<&Served>, covered: f64) -> Red {
    let Some(served) = served.filter(|s| s.took.count() > 0) else { return Red::default() };
    let count = served.took.count() as f64;
    let ms = |q: f64| served.took.quantile(q).map(|nanos| nanos / 1e6);
    Red {
        rate: Some(count / covered),
        failed: Some(served.failed as f64 / count),
        p50_ms: ms(0.5),
        p95_ms: ms(0.95),
        p99_ms: ms(0.99),
    }
}

/// A call that metrics count.
fn add(call: &Call, nodes: &mut BTreeMap<Who, Draft>, edges: &mut BTreeMap<Way, (Option<Served>, Red)>) {
    let mut end = |key: &WorkloadKey| {
        let known = nodes.iter().find(|(_, n)| n.workload.as_ref() == Some(key)).map(|(who, _)| who.clone());
        known.unwrap_or_else(|| {
            let who = Who { name: key.name.clone(), namespace: Some(key.namespace.clone()) };
            nodes.entry(who.clone()).or_default().workload = Some(key.clone());
            who
        })
    };
    let (from, to) = (end(&call.caller), end(&call.callee));
    // The same calls as spans know them, waited for or not.
    let detached = edges.contains_key(&(from.clone(), to.clone(), true));
    let way = (from, to, detached);
    let red = &mut edges.entry(way).or_default().1;
    (red.rate, red.failed) = (Some(call.rate), call.failed.or(red.failed));
    // Spans tell durations finer than buckets do, where there are any.
    if red.p50_ms.is_none() {
        [red.p50_ms, red.p95_ms, red.p99_ms] = call.took_ms;
    }
}

/// Takes rate and failures, and where no span tells them durations, from a workload's metrics.
fn measure(node: &mut Draft, snapshot: &Snapshot) -> bool {
    let metrics = node.workload.as_ref().and_then(|key| snapshot.metrics.workloads.get(key));
    let Some(metrics) = metrics else { return false };
    let get = |signal| metrics.now(signal).fresh();
    let Some(rate) = get(Signal::RequestRate) else { return false };
    node.red.rate = Some(rate);
    node.red.failed = get(Signal::ErrorRate).or(node.red.failed);
    if node.red.p50_ms.is_none() {
        node.red.p50_ms = get(Signal::LatencyP50).map(|s| s * 1000.0);
        node.red.p99_ms = get(Signal::LatencyP99).map(|s| s * 1000.0);
    }
    true
}

fn finish(
    nodes: BTreeMap<Who, Draft>,
    edges: BTreeMap<Way, (Option<Served>, Red)>,
    sources: Vec<MapSource>,
    now: Timestamp,
) -> ServiceMap {
    let at: HashMap<&Who, usize> = nodes.keys().enumerate().map(|(i, who)| (who, i)).collect();
    let edges = edges
        .iter()
        .map(|((from, to, detached), (_, red))| ServiceEdge {
            from: at[from],
            to: at[to],
            detached: *detached,
            red: *red,
        })
        .collect();
    let node = |(who, draft): (&Who, &Draft)| ServiceNode {
        name: who.name.clone(),
        namespace: who.namespace.clone(),
        workload: draft.workload.clone(),
        red: draft.red,
    };
    ServiceMap {
        nodes: nodes.iter().map(node).collect(),
        edges,
        at: (!sources.is_empty()).then_some(now),
        sources,
        window_s: super::window::SECONDS,
    }
}

/// Which names are the same service, and which workload it is.
struct Names<'a> {
    /// Namespaces in which spans tell of a service of the name.
    spaces: HashMap<&'a Arc<str>, BTreeSet<&'a Arc<str>>>,
    /// Workloads by name.
    workloads: HashMap<&'a str, Vec<&'a WorkloadKey>>,
}

impl<'a> Names<'a> {
    fn of(totals: &'a Totals, snapshot: &'a Snapshot) -> Self {
        let mut spaces: HashMap<_, BTreeSet<_>> = HashMap::new();
        for who in totals.services.0.keys() {
            if let Some(namespace) = &who.namespace {
                spaces.entry(&who.name).or_default().insert(namespace);
            }
        }
        let mut workloads: HashMap<&str, Vec<&WorkloadKey>> = HashMap::new();
        for w in &*snapshot.workloads {
            workloads.entry(&w.key.name).or_default().push(&w.key);
        }
        Self { spaces, workloads }
    }

    /// The service with its namespace, where only one of the name is known.
    fn one(&self, who: &Who) -> Who {
        let only = self.spaces.get(&who.name).filter(|s| who.namespace.is_none() && s.len() == 1);
        only.and_then(|s| s.first()).map_or_else(
            || who.clone(),
            |namespace| Who { name: who.name.clone(), namespace: Some((*namespace).clone()) },
        )
    }

    /// The workload of the name that its spans told, else of its own name: in its namespace, or the only one anywhere.
    fn workload(&self, who: &Who, told: Option<&str>) -> Option<WorkloadKey> {
        let named = |name: &str| {
            let all = self.workloads.get(name)?;
            match &who.namespace {
                Some(namespace) => all.iter().find(|k| k.namespace == *namespace),
                None => all.first().filter(|_| all.len() == 1),
            }
        };
        told.and_then(named).or_else(|| named(&who.name)).map(|k| (*k).clone())
    }
}
