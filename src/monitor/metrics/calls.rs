//! Who calls whom, by the service graph that Tempo's metrics generator or OpenTelemetry's connector exports, with the
//! dimensions `k8s.namespace.name` of both ends. Calls from and to what is no workload here are left out.

use super::pods::PodIndex;
use crate::model::failure::Call;
use crate::monitor::prometheus::answer::{Labels, Sample};
use crate::monitor::prometheus::profile::Profile;
use crate::monitor::prometheus::{PromClient, PromError};
use std::collections::BTreeMap;

/// Labels of namespace and name of both ends.
const CLIENT: (&str, &str) = ("client_k8s_namespace_name", "client");
const SERVER: (&str, &str) = ("server_k8s_namespace_name", "server");

/// Queries of calls and of failed calls, both per second.
pub fn queries(profile: &Profile) -> [String; 2] {
    let by = format!("{},{},{},{}", CLIENT.0, CLIENT.1, SERVER.0, SERVER.1);
    let (cluster, window) = (profile.cluster.as_deref().unwrap_or_default(), profile.window_s());
    ["traces_service_graph_request_total", "traces_service_graph_request_failed_total"]
        .map(|metric| format!("sum by ({by}) (rate({metric}{{{cluster}}}[{window}s]))"))
}

/// Numbers of the workloads at both ends.
pub fn ends(index: &PodIndex, labels: &Labels) -> Option<(usize, usize)> {
    let end = |(namespace, name): (&str, &str)| index.workload_named(labels.get(namespace)?, labels.get(name)?);
    Some((end(CLIENT)?, end(SERVER)?))
}

/// Answers of [`queries`], asked together: all calls, and those that failed.
pub async fn ask(client: &PromClient, profile: &Profile) -> Result<[Vec<Sample>; 2], PromError> {
    let [total, failed] = queries(profile);
    let (total, failed) = tokio::try_join!(client.query(&total), client.query(&failed))?;
    Ok([total.data, failed.data])
}

/// Who calls whom now; empty where nobody measures it.
pub fn read(index: &PodIndex, answers: &[Vec<Sample>; 2]) -> Vec<Call> {
    let [total, failed] = answers.each_ref().map(|samples| {
        let mut sums: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for sample in samples {
            if let (Some(ends), Some(value)) = (ends(index, &sample.labels), sample.value.float()) {
                *sums.entry(ends).or_default() += value;
            }
        }
        sums
    });
    let key = |i: usize| index.workloads[i].0.clone();
    let call = |(ends, rate): (&(usize, usize), &f64)| Call {
        caller: key(ends.0),
        callee: key(ends.1),
        rate: *rate,
        failed: Some((failed.get(ends).copied().unwrap_or(0.0) / rate).clamp(0.0, 1.0)),
    };
    total.iter().filter(|(_, rate)| **rate > 0.0 && rate.is_finite()).map(call).collect()
}

#[cfg(test)]
mod tests {
    use super::super::queries::tests::profile;
    use super::*;
    use crate::config::settings::Connection;
    use crate::model::object::{WorkloadKey, WorkloadKind};
    use crate::monitor::prometheus::client::Limits;
    use crate::monitor::prometheus::transport::Transport;
    use serde_json::json;
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    fn graph(request: &Request) -> ResponseTemplate {
        let body = String::from_utf8_lossy(&request.body).into_owned() + request.url.as_str();
        let edge = |client: &str, server: &str, value: &str| {
            json!({"metric": {"client_k8s_namespace_name": "shop", "client": client,
                "server_k8s_namespace_name": "shop", "server": server}, "value": [1_700_000_000, value]})
        };
        let edges = if body.contains("failed") {
            json!([edge("cart", "db", "2")])
        } else {
            json!([
                edge("cart", "db", "8"),
                edge("cart", "cache", "NaN"),
                edge("stranger", "cart", "5"),
                edge("db", "cart", "0")
            ])
        };
        ResponseTemplate::new(200)
            .set_body_json(json!({"status": "success", "data": {"resultType": "vector", "result": edges}}))
    }

    #[tokio::test]
    async fn calls_between_known_workloads_come_with_their_share_of_failures() {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(graph).mount(&server).await;
        let limits = Limits { timeout: std::time::Duration::from_secs(10), in_flight: 1, answer: 1 << 20 };
        let client = PromClient::new(Transport::url(&server.uri(), &Connection::default()).unwrap(), limits);
        let key = |name: &str| WorkloadKey::new("shop", WorkloadKind::Deployment, name);
        let index = PodIndex::of_keys(["cart", "db", "cache"].map(key));
        let found = read(&index, &ask(&client, &profile()).await.unwrap());
        assert_eq!(found, [Call { caller: key("cart"), callee: key("db"), rate: 8.0, failed: Some(0.25) }]);
    }
}
