//! Sends the shop's spans where somebody wants them: OTLP over HTTP in protobuf, as an SDK's exporter does. What cannot be
//! sent is lost and counted in the log; the simulation never waits for it.

use super::shop::Batch;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use std::time::Duration;
use tokio::sync::mpsc;

/// Seconds of spans that wait to be sent.
pub const QUEUE: usize = 32;
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// After a failure nothing is sent for so long.
const PAUSE: Duration = Duration::from_secs(2);

/// Sends until nothing comes any more. `endpoint` is what `OTEL_EXPORTER_OTLP_ENDPOINT` would be: `/v1/traces` is added to a
/// URL without a path.
pub async fn export(client: reqwest::Client, endpoint: String, mut batches: mpsc::Receiver<Batch>) {
    let url = url(&endpoint);
    let mut lost = 0_usize;
    while let Some(resource_spans) = batches.recv().await {
        let spans = count(&resource_spans);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let sent =
            client.post(&url).header("content-type", "application/x-protobuf").timeout(TIMEOUT).body(body).send();
        let failed = match sent.await {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(answer.status().to_string()),
            Err(e) => Some(e.to_string()),
        };
        match failed {
            None if lost > 0 => {
                tracing::info!("{url} takes spans again; {lost} were lost");
                lost = 0;
            }
            None => {}
            Some(why) => {
                if lost == 0 {
                    tracing::warn!("spans of the simulated cluster are lost: {url}: {why}");
                }
                lost += spans;
                tokio::time::sleep(PAUSE).await;
                while let Ok(old) = batches.try_recv() {
                    lost += count(&old);
                }
            }
        }
    }
}

fn count(batch: &Batch) -> usize {
    batch.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum()
}

fn url(endpoint: &str) -> String {
    let base = endpoint.trim_end_matches('/');
    let has_path = base.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path { base.to_owned() } else { format!("{base}/v1/traces") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use wiremock::matchers::{header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    #[test]
    fn the_path_is_the_standard_s_unless_one_is_given() {
        assert_eq!(url("http://127.0.0.1:4318"), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(url("http://127.0.0.1:4318/"), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(url("http://collector/otlp/v1/traces"), "http://collector/otlp/v1/traces");
    }

    #[tokio::test]
    async fn what_is_sent_is_an_export_request_and_a_refusal_ends_nothing() {
        let server = MockServer::start().await;
        let post = || {
            Mock::given(method("POST")).and(path("/v1/traces")).and(header("content-type", "application/x-protobuf"))
        };
        post().respond_with(ResponseTemplate::new(503)).up_to_n_times(1).mount(&server).await;
        post().respond_with(ResponseTemplate::new(200)).mount(&server).await;
        let (tx, rx) = mpsc::channel(QUEUE);
        let task = tokio::spawn(export(client(), server.uri(), rx));
        let batch = |name: &str| {
            let span = Span { name: name.into(), ..Span::default() };
            let spans = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
            vec![ResourceSpans { scope_spans: vec![spans], ..ResourceSpans::default() }]
        };
        tx.send(batch("refused")).await.unwrap();
        while server.received_requests().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        // Whatever came during the pause after the refusal is lost; what comes after it is sent.
        let mut tries = 0;
        while server.received_requests().await.unwrap().len() < 2 {
            let _ = tx.try_send(batch("sent"));
            tries += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(tries < 600, "nothing was sent after the refusal");
        }
        drop(tx);
        task.await.unwrap();
        let all = server.received_requests().await.unwrap();
        let request = ExportTraceServiceRequest::decode(&*all[1].body).unwrap();
        assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].name, "sent");
    }

    fn client() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::new()
    }
}
