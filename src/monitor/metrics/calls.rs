//! Who calls whom: by a mesh's metrics, or by the service graph that Tempo's metrics generator or OpenTelemetry's connector
//! exports with the dimensions `k8s.namespace.name` of both ends. Calls from and to what is no workload here are left out.

use super::histogram::Buckets;
use super::pods::PodIndex;
use crate::model::failure::Call;
use crate::monitor::prometheus::answer::{Labels, Sample};
use crate::monitor::prometheus::edges::{Edges, Failed};
use crate::monitor::prometheus::profile::{Profile, join};
use crate::monitor::prometheus::{PromClient, PromError};
use std::collections::BTreeMap;

/// What is asked of calls, each per second.
#[derive(Debug, Clone, PartialEq)]
pub struct Queries {
    edges: &'static Edges,
    /// All calls.
    pub total: String,
    /// Failed ones.
    pub failed: String,
    /// How long the caller waited: buckets, and milliseconds in their unit.
    buckets: Option<(String, f64)>,
}

impl Queries {
    /// For what the server has; `None`: nobody counts calls.
    pub fn new(profile: &Profile) -> Option<Self> {
        let counted = profile.calls?;
        let edges = counted.edges;
        let by = [edges.client.0, edges.client.1, edges.server.0, edges.server.1].join(",");
        let (cluster, window) = (profile.cluster.as_deref().unwrap_or_default(), profile.window_s());
        let rate = |by: &str, metric: &str, matcher: &str| {
            let matchers = join([edges.selector, matcher, cluster]);
            format!("sum by ({by}) (rate({metric}{{{matchers}}}[{window}s]))")
        };
        let failed = match edges.failed {
            Failed::Matcher(matcher) => rate(&by, edges.total, matcher),
            Failed::Counter(counter) => rate(&by, counter, ""),
        };
        let buckets = counted.bucket.map(|(metric, unit_ms)| (rate(&format!("{by},le"), metric, ""), unit_ms));
        Some(Self { edges, total: rate(&by, edges.total, ""), failed, buckets })
    }

    /// Numbers of the workloads at both ends of a series.
    pub fn ends(&self, index: &PodIndex, labels: &Labels) -> Option<(usize, usize)> {
        let end = |(namespace, name): (&str, &str)| index.workload_named(labels.get(namespace)?, labels.get(name)?);
        Some((end(self.edges.client)?, end(self.edges.server)?))
    }

    /// Asks all of it at once.
    pub async fn ask(&self, client: &PromClient) -> Result<Answers, PromError> {
        let buckets = async {
            match &self.buckets {
                Some((query, _)) => client.query(query).await.map(|a| a.data),
                None => Ok(Vec::new()),
            }
        };
        let (total, failed, buckets) =
            tokio::try_join!(client.query(&self.total), client.query(&self.failed), buckets)?;
        Ok(Answers { total: total.data, failed: failed.data, buckets })
    }

    /// Who calls whom now.
    pub fn read(&self, index: &PodIndex, answers: &Answers) -> Vec<Call> {
        let sums = |samples: &[Sample]| {
            let mut sums: BTreeMap<(usize, usize), f64> = BTreeMap::new();
            for sample in samples {
                if let (Some(ends), Some(value)) = (self.ends(index, &sample.labels), sample.value.float()) {
                    *sums.entry(ends).or_default() += value;
                }
            }
            sums
        };
        let (total, failed) = (sums(&answers.total), sums(&answers.failed));
        let mut took: BTreeMap<(usize, usize), Buckets> = BTreeMap::new();
        for sample in &answers.buckets {
            let bucket = (self.ends(index, &sample.labels), sample.labels.get("le"), sample.value.float());
            if let (Some(ends), Some(le), Some(value)) = bucket {
                took.entry(ends).or_default().add(le, value);
            }
        }
        let unit_ms = self.buckets.as_ref().map_or(1.0, |b| b.1);
        let key = |i: usize| index.workloads[i].0.clone();
        let call = |(ends, rate): (&(usize, usize), &f64)| Call {
            caller: key(ends.0),
            callee: key(ends.1),
            rate: *rate,
            failed: Some((failed.get(ends).copied().unwrap_or(0.0) / rate).clamp(0.0, 1.0)),
            // Beyond the last finite bound the true value is larger than can be told: better none than that one.
            took_ms: [0.5, 0.95, 0.99].map(|q| {
                took.get(ends)?.quantile(q).filter(|found| !found.saturated).map(|found| found.value * unit_ms)
            }),
        };
        total.iter().filter(|(_, rate)| **rate > 0.0 && rate.is_finite()).map(call).collect()
    }
}

/// Asks what there is to ask; `None`: nobody counts calls, or no answer came.
pub async fn ask(client: &PromClient, profile: &Profile) -> Option<(Queries, Answers)> {
    let queries = Queries::new(profile)?;
    let answers = queries.ask(client).await.ok()?;
    Some((queries, answers))
}

/// What Prometheus said of calls.
#[derive(Debug, Default)]
pub struct Answers {
    total: Vec<Sample>,
    failed: Vec<Sample>,
    buckets: Vec<Sample>,
}

#[cfg(test)]
mod tests {
    use super::super::queries::tests::profile;
    use super::*;
    use crate::config::settings::Connection;
    use crate::model::object::{WorkloadKey, WorkloadKind};
    use crate::monitor::prometheus::client::Limits;
    use crate::monitor::prometheus::edges::EDGES;
    use crate::monitor::prometheus::transport::Transport;
    use serde_json::{Value, json};
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    /// A server whose series have these labels for namespace and name of both ends.
    fn graph(names: [&'static str; 4]) -> impl Fn(&Request) -> ResponseTemplate {
        move |request| {
            let body = String::from_utf8_lossy(&request.body).into_owned() + request.url.as_str();
            let edge = |client: &str, server: &str, le: Option<&str>, value: &str| {
                let mut metric = json!({names[0]: "shop", names[1]: client, names[2]: "shop", names[3]: server});
                if let Some(le) = le {
                    metric["le"] = le.into();
                }
                json!({"metric": metric, "value": [1_700_000_000, value]})
            };
            let edges: Value = if body.contains("_bucket") {
                json!([
                    edge("cart", "db", Some("0.1"), "4"),
                    edge("cart", "db", Some("0.2"), "7.8"),
                    edge("cart", "db", Some("+Inf"), "8")
                ])
            } else if ["failed", "5..", "%225..%22"].iter().any(|w| body.contains(w)) {
                json!([edge("cart", "db", None, "2")])
            } else {
                json!([
                    edge("cart", "db", None, "8"),
                    edge("cart", "cache", None, "NaN"),
                    edge("stranger", "cart", None, "5"),
                    edge("db", "cart", None, "0")
                ])
            };
            ResponseTemplate::new(200)
                .set_body_json(json!({"status": "success", "data": {"resultType": "vector", "result": edges}}))
        }
    }

    fn key(name: &str) -> WorkloadKey {
        WorkloadKey::new("shop", WorkloadKind::Deployment, name)
    }

    async fn found(profile: &Profile) -> Vec<Call> {
        let edges = profile.calls.unwrap().edges;
        let server = MockServer::start().await;
        let names = [edges.client.0, edges.client.1, edges.server.0, edges.server.1];
        Mock::given(any()).respond_with(graph(names)).mount(&server).await;
        let limits = Limits { timeout: std::time::Duration::from_secs(10), in_flight: 1, answer: 1 << 20 };
        let client = PromClient::new(Transport::url(&server.uri(), &Connection::default()).unwrap(), limits);
        let index = PodIndex::of_keys(["cart", "db", "cache"].map(key));
        let queries = Queries::new(profile).unwrap();
        queries.read(&index, &queries.ask(&client).await.unwrap())
    }

    #[tokio::test]
    async fn calls_between_known_workloads_come_with_failures_and_durations() {
        let call = Call {
            caller: key("cart"),
            callee: key("db"),
            rate: 8.0,
            failed: Some(0.25),
            // The 99th lies beyond the last bound.
            took_ms: [Some(100.0), None, None],
        };
        let mut graph = found(&profile()).await;
        assert_eq!(graph[0].took_ms[1].map(f64::round), Some(195.0));
        graph[0].took_ms[1] = None;
        assert_eq!(graph, [call]);
    }

    #[tokio::test]
    async fn a_mesh_tells_the_same_of_its_callers_side() {
        let mut mesh = profile();
        let labels = [EDGES[0].client, EDGES[0].server].map(|e| [e.0.to_owned(), e.1.to_owned()]).concat();
        mesh.calls = EDGES[0].resolve(&labels, |_| true);
        mesh.cluster = Some("cluster=\"ours\"".into());
        let queries = Queries::new(&mesh).unwrap();
        assert_eq!(
            queries.failed,
            "sum by (source_workload_namespace,source_workload,destination_workload_namespace,destination_workload) \
             (rate(istio_requests_total{reporter=\"source\",response_code=~\"5..\",cluster=\"ours\"}[120s]))"
        );
        let calls = found(&mesh).await;
        assert_eq!((calls.len(), calls[0].rate, calls[0].took_ms[0]), (1, 8.0, Some(0.1)));
        mesh.calls = None;
        assert_eq!(Queries::new(&mesh), None, "nobody counts");
    }
}
