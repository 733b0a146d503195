//! Tests of the profile: what is read back, and whose numbers they are.

use super::*;

#[test]
fn retention_is_read_as_prometheus_writes_it() {
    assert_eq!(retention("15d"), Some(15.0 * 86_400.0));
    assert_eq!(retention("1w2d or 10GiB"), Some(9.0 * 86_400.0));
    assert_eq!(retention("10GiB"), None, "by size only: how far back is unknown");
    assert_eq!(retention(""), None);
}

#[test]
fn names_cannot_break_out_of_a_matcher() {
    assert_eq!(matcher("job", "a\"} or up{x=\"\\"), "job=\"a\\\"} or up{x=\\\"\\\\\"");
    assert_eq!(escape("node-1.example"), "node-1\\\\.example");
}

/// A server that holds the nodes `n1` of cluster `a` and `n2` of cluster `b`.
async fn shared() -> (wiremock::MockServer, PromClient) {
    use crate::config::settings::Connection;
    use crate::monitor::prometheus::{Transport, client::Limits};
    let server = wiremock::MockServer::start().await;
    let answer = |request: &wiremock::Request| {
        let query = request.url.query_pairs().find(|(k, _)| k == "query").map(|(_, v)| v.into_owned());
        let query = query.unwrap_or_default();
        let all = !query.contains("node=~");
        let result: Vec<_> = [("a", "n1"), ("b", "n2")]
            .iter()
            .filter(|(_, node)| all || query.contains(node))
            .map(|(c, _)| serde_json::json!({"metric": {"cluster": c}, "value": [1_700_000_000, "1"]}))
            .collect();
        wiremock::ResponseTemplate::new(200)
            .set_body_json(serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
    };
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    let limits = Limits { timeout: std::time::Duration::from_secs(5), in_flight: 2, answer: 100_000 };
    let transport = Transport::url(&server.uri(), &Connection::default()).unwrap();
    (server, PromClient::new(transport, limits))
}

#[tokio::test]
async fn another_clusters_numbers_are_never_taken_for_ours() {
    let (_server, client) = shared().await;
    let of = async |nodes: &[&str]| {
        let nodes: Vec<String> = nodes.iter().map(|n| (*n).to_owned()).collect();
        cluster(&client, &nodes).await
    };
    assert_eq!(of(&["n2"]).await, Ok(Some("b".to_owned())));
    for strangers in [&["n9"][..], &[], &["n1", "n2"]] {
        let e = of(strangers).await.unwrap_err().to_string();
        assert!(e.contains("several clusters (a, b)"), "{e}");
    }
}
