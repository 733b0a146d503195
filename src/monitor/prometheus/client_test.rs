//! Tests of the client: every wrong answer ends in an error with place and remedy.

use super::*;
use crate::config::settings::Connection;
use serde_json::json;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const LIMITS: Limits = Limits { timeout: Duration::from_secs(5), in_flight: 2, answer: 4096 };

async fn server(answer: ResponseTemplate) -> (MockServer, PromClient) {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/query")).respond_with(answer).mount(&server).await;
    let client = client(&server.uri(), &Connection::default());
    (server, client)
}

fn client(url: &str, connection: &Connection) -> PromClient {
    PromClient::new(Transport::url(url, connection).unwrap(), LIMITS)
}

async fn fails(answer: ResponseTemplate) -> (PromError, String) {
    let (_server, client) = server(answer).await;
    let e = client.query("up").await.unwrap_err();
    let text = e.to_string();
    assert!(text.contains("http://127.0.0.1:"), "names the place: {text}");
    (e, text)
}

fn vector() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"status": "success", "warnings": ["w\u{1b}"], "infos": ["i"],
        "data": {"resultType": "vector", "result": [{"metric": {"job": "x"}, "value": [1_700_000_000, "1"]}]}}))
}

#[tokio::test]
async fn html_instead_of_json_names_the_likely_address() {
    let page = ResponseTemplate::new(200).set_body_raw("<!doctype html><title>Grafana</title>", "text/html");
    let (e, text) = fails(page).await;
    assert!(matches!(e, PromError::NotPrometheus { .. }));
    assert!(text.contains("is not a Prometheus API") && text.contains("/prometheus?"), "{text}");
    let (e, _) = fails(ResponseTemplate::new(200).set_body_string("ok")).await;
    assert!(matches!(e, PromError::NotPrometheus { .. }));
    let (e, _) = fails(ResponseTemplate::new(200)).await;
    assert!(matches!(e, PromError::NotPrometheus { .. }), "an empty body");
}

#[tokio::test]
async fn missing_rights_come_with_what_to_set() {
    let (e, text) = fails(ResponseTemplate::new(401).set_body_string("Unauthorized")).await;
    assert!(matches!(e, PromError::Denied { code: 401, .. }));
    assert!(text.contains("prometheus_token_file"), "{text}");
    let (_, text) = fails(ResponseTemplate::new(403).set_body_raw("<html>", "text/html")).await;
    assert!(text.contains("X-Scope-OrgID"), "{text}");
}

#[tokio::test]
async fn a_refused_query_is_shown_with_the_query() {
    for code in [400, 422] {
        let body = json!({"status": "error", "errorType": "execution", "error": "too many samples"});
        let (e, text) = fails(ResponseTemplate::new(code).set_body_json(body)).await;
        assert!(e.is_about_the_query());
        assert!(text.contains("too many samples") && text.contains("The query was: up"), "{text}");
    }
}

#[tokio::test]
async fn cut_and_huge_answers_are_errors_and_not_data() {
    let cut = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"x"},"va"#;
    let (e, _) = fails(ResponseTemplate::new(200).set_body_raw(cut, "application/json")).await;
    assert!(matches!(e, PromError::BadJson { .. }), "{e:?}");
    let (e, text) = fails(ResponseTemplate::new(200).set_body_string("{".repeat(5000))).await;
    assert!(matches!(e, PromError::TooLarge { limit: 4096, .. }), "{e:?}");
    assert!(text.contains("recording rules"));
}

#[tokio::test]
async fn slowness_ends_at_the_timeout_whoever_notices_it() {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/query")).respond_with(vector().set_delay(Duration::from_secs(30))).mount(&server).await;
    let limits = Limits { timeout: Duration::from_millis(50), ..LIMITS };
    let client = PromClient::new(Transport::url(&server.uri(), &Connection::default()).unwrap(), limits);
    assert!(matches!(client.query("up").await, Err(PromError::Timeout { .. })));
    let body = json!({"status": "error", "errorType": "timeout", "error": "query timed out"});
    let (e, _) = fails(ResponseTemplate::new(503).set_body_json(body)).await;
    assert!(matches!(e, PromError::Timeout { .. }));
    let (e, text) = fails(ResponseTemplate::new(503).set_body_string("no endpoints")).await;
    assert!(matches!(e, PromError::Http { code: 503, .. }) && text.contains("no ready pod"), "{text}");
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_a_plain_port_is_a_tls_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let gone = client(&format!("http://127.0.0.1:{port}"), &Connection::default());
    let e = gone.query("up").await.unwrap_err();
    assert!(matches!(e, PromError::Unreachable { .. }), "{e:?}");
    let (server, _) = server(vector()).await;
    let tls = client(&server.uri().replace("http", "https"), &Connection::default());
    let e = tls.query("up").await.unwrap_err();
    assert!(matches!(e, PromError::Tls { .. }), "{e:?}");
    assert!(e.to_string().contains("prometheus_ca_file"));
}

#[tokio::test]
async fn notes_are_kept_and_cleaned() {
    let (_server, client) = server(vector()).await;
    let got = client.query("up").await.unwrap();
    assert_eq!(got.notes, ["w", "i"]);
    assert_eq!(got.data[0].value.float(), Some(1.0));
}

#[tokio::test]
async fn no_series_is_an_answer_and_not_an_error() {
    let body = json!({"status": "success", "data": {"resultType": "vector", "result": []}});
    let (_server, client) = server(ResponseTemplate::new(200).set_body_json(body)).await;
    assert!(client.query("nothing").await.unwrap().data.is_empty());
}

#[tokio::test]
async fn tokens_are_read_again_and_headers_are_sent() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let connection = Connection {
        prometheus_token_file: Some(file.path().display().to_string()),
        prometheus_headers: [("X-Scope-OrgID".to_owned(), "shop".to_owned())].into(),
        ..Connection::default()
    };
    let server = MockServer::start().await;
    for token in ["one", "two"] {
        std::fs::write(file.path(), format!("{token}\n")).unwrap();
        let guard = Mock::given(header("authorization", format!("Bearer {token}")))
            .and(header("x-scope-orgid", "shop"))
            .respond_with(vector())
            .expect(1)
            .mount_as_scoped(&server)
            .await;
        client(&server.uri(), &connection).query("up").await.unwrap();
        drop(guard);
    }
    std::fs::remove_file(file.path()).unwrap();
    let e = client(&server.uri(), &connection).query("up").await.unwrap_err();
    assert!(e.to_string().contains("connection.prometheus_token_file"), "{e}");
}

#[tokio::test]
async fn long_queries_travel_in_a_body() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path("/base/api/v1/query")).respond_with(vector()).expect(1).mount(&server).await;
    let long = format!("up{{pod=~\"{}\"}}", "a|".repeat(4000));
    client(&format!("{}/base/", server.uri()), &Connection::default()).query(&long).await.unwrap();
}

#[tokio::test]
async fn through_the_api_server_it_is_a_read_with_the_service_in_the_path() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/api/v1/namespaces/mon/services/https:prom:web/proxy/prometheus/api/v1/query"))
        .respond_with(vector())
        .mount(&server)
        .await;
    let mut config = kube::Config::new(server.uri().parse().unwrap());
    config.default_retry = false;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut proxy = super::super::transport::ServiceProxy {
        client: kube::Client::try_from(config).unwrap(),
        namespace: "mon".into(),
        service: "prom".into(),
        port: "web".into(),
        https: true,
        prefix: "/prometheus".into(),
    };
    let good = PromClient::new(Transport::ServiceProxy(Box::new(proxy.clone())), LIMITS);
    assert_eq!(good.query("up").await.unwrap().data.len(), 1);
    let denied = json!({"kind": "Status", "message": "services \"prom\" is forbidden", "code": 403});
    Mock::given(path("/api/v1/namespaces/mon/services/prom:web/proxy/api/v1/query"))
        .respond_with(ResponseTemplate::new(403).set_body_json(denied))
        .mount(&server)
        .await;
    (proxy.https, proxy.prefix) = (false, String::new());
    let e = PromClient::new(Transport::ServiceProxy(Box::new(proxy)), LIMITS).query("up").await.unwrap_err();
    let text = e.to_string();
    assert!(
        text.contains("is forbidden") && text.contains("services/proxy") && text.contains("mon/prom:web"),
        "{text}"
    );
}

#[test]
fn bad_settings_name_the_key() {
    let text = |c: &Connection, url: &str| Transport::url(url, c).err().unwrap().to_string();
    assert!(text(&Connection::default(), "prometheus:9090").contains("http://"));
    let missing = Connection { prometheus_ca_file: Some("/nowhere/ca.pem".into()), ..Connection::default() };
    assert!(text(&missing, "https://p").contains("prometheus_ca_file = /nowhere/ca.pem"));
    let header =
        Connection { prometheus_headers: [("bad header".to_owned(), String::new())].into(), ..Connection::default() };
    assert!(text(&header, "http://p").contains("prometheus_headers.bad header"));
}
