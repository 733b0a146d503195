//! Metrics of calls between workloads: which meshes and trace pipelines count them, and how they name both ends.

use crate::model::service::MapSource;

/// Labels of a namespace and of a workload's name in it.
type End = (&'static str, &'static str);

/// Which of the calls failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Those this matcher selects of the same counter.
    Matcher(&'static str),
    /// Those another counter counts; it does not exist before the first failure.
    Counter(&'static str),
}

/// A family of call metrics, as it is documented.
#[derive(Debug, PartialEq)]
pub struct Edges {
    /// What the map says its numbers come from.
    pub source: MapSource,
    /// Counter of calls.
    pub total: &'static str,
    /// Failed ones.
    pub failed: Failed,
    /// Matcher that always applies, or empty.
    pub selector: &'static str,
    /// Who calls.
    pub client: End,
    /// Who is called.
    pub server: End,
    /// Classic histograms of durations as the caller sees them, best first.
    buckets: &'static [&'static str],
    /// Milliseconds in the histograms' unit.
    unit_ms: f64,
}

/// The family that counts calls on a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counted {
    /// Which.
    pub edges: &'static Edges,
    /// Its histogram of durations and the milliseconds in its unit, if it is there.
    pub bucket: Option<(&'static str, f64)>,
}

/// All families, most telling first: a mesh sees every call, a service graph may be made of sampled traces.
pub static EDGES: [Edges; 3] = [
    Edges {
        source: MapSource::Mesh,
        total: "istio_requests_total",
        failed: Failed::Matcher("response_code=~\"5..\""),
        // The caller's proxy also counts what never arrived.
        selector: "reporter=\"source\"",
        client: ("source_workload_namespace", "source_workload"),
        server: ("destination_workload_namespace", "destination_workload"),
        buckets: &["istio_request_duration_milliseconds_bucket"],
        unit_ms: 1.0,
    },
    Edges {
        source: MapSource::Mesh,
        total: "response_total",
        failed: Failed::Matcher("classification=\"failure\""),
        selector: "direction=\"outbound\"",
        client: ("namespace", "deployment"),
        server: ("dst_namespace", "dst_deployment"),
        buckets: &["response_latency_ms_bucket"],
        unit_ms: 1.0,
    },
    Edges {
        source: MapSource::ServiceGraph,
        total: "traces_service_graph_request_total",
        failed: Failed::Counter("traces_service_graph_request_failed_total"),
        selector: "",
        client: ("client_k8s_namespace_name", "client"),
        server: ("server_k8s_namespace_name", "server"),
        buckets: &[
            "traces_service_graph_request_client_seconds_bucket",
            "traces_service_graph_request_server_seconds_bucket",
        ],
        unit_ms: 1000.0,
    },
];

impl Edges {
    /// The family as it is on a server, from the names of its labels and of the metrics that exist. `None` if the labels do
    /// not tell both ends.
    pub fn resolve(&'static self, labels: &[String], exists: impl Fn(&str) -> bool) -> Option<Counted> {
        let ends = [self.client.0, self.client.1, self.server.0, self.server.1];
        let told = ends.iter().all(|end| labels.iter().any(|l| l == end));
        let bucket = self.buckets.iter().find(|b| exists(b)).map(|b| (*b, self.unit_ms));
        told.then_some(Counted { edges: self, bucket })
    }

    /// Every metric name that detection asks for.
    pub fn names() -> impl Iterator<Item = &'static str> {
        EDGES.iter().flat_map(|e| std::iter::once(e.total).chain(e.buckets.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_needs_the_labels_of_both_ends() {
        let labels = |e: &Edges| [e.client.0, e.client.1, e.server.0, e.server.1].map(str::to_owned).to_vec();
        for edges in &EDGES {
            let mut all = labels(edges);
            let found = edges.resolve(&all, |name| name.ends_with("_bucket")).unwrap();
            assert_eq!((found.edges.total, found.bucket.map(|b| b.0)), (edges.total, Some(edges.buckets[0])));
            all.pop();
            assert_eq!(edges.resolve(&all, |_| true), None, "half an end names nobody");
        }
    }
}
