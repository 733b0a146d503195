use super::*;
use crate::model::trace::TracesView;
use crate::monitor::traces::run::spawn;
use chrono::Utc;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{header, path, path_regex, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const WAIT: Duration = Duration::from_secs(30);

fn settings(server: &MockServer) -> settings::Traces {
    let none = || "none".to_owned();
    settings::Traces { url: server.uri(), otlp_grpc: none(), otlp_http: none(), ..settings::Traces::default() }
}

async fn answer(server: &MockServer, at: &str, status: u16, body: &Value) {
    Mock::given(path(at)).respond_with(ResponseTemplate::new(status).set_body_json(body)).mount(server).await;
}

/// What the first round gives.
async fn first(
    settings: &settings::Traces,
    kube: Option<&kube::Client>,
    until: impl Fn(&TracesView) -> bool,
) -> Arc<TracesView> {
    let cancel = CancellationToken::new();
    let (mut handle, _completed) = spawn(settings, &[], kube, &cancel);
    let seen = handle.views.wait_for(|v| until(v));
    let view = tokio::time::timeout(WAIT, seen).await.expect("in time").unwrap().clone();
    cancel.cancel();
    view
}

fn live(v: &TracesView) -> bool {
    v.sources.iter().any(|s| matches!(s.state, SourceState::Live { .. }))
}

fn why(v: &TracesView) -> Option<String> {
    v.sources.iter().find_map(|s| match &s.state {
        SourceState::Failed { why, .. } | SourceState::Denied { why } => Some(why.to_string()),
        _ => None,
    })
}

fn told(v: &Arc<TracesView>) -> String {
    why(v).expect("it waited for a reason")
}

/// An OTLP span that ended so many seconds ago.
fn span(trace: &str, id: &str, ago: i64) -> Value {
    let start = Utc::now().timestamp_nanos_opt().unwrap() - ago * 1_000_000_000;
    json!({"traceId": trace, "spanId": id, "name": "op", "startTimeUnixNano": start.to_string(),
        "endTimeUnixNano": (start + 1000).to_string()})
}

fn request(spans: &[Value]) -> Value {
    let service = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
    json!({"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": spans}]}]})
}

const A: &str = "0000000000000000000000000000000a";
const B: &str = "0000000000000000000000000000000b";

#[tokio::test]
async fn jaegers_newer_interface_is_read_in_chunks_and_what_still_grows_is_left_for_later() {
    let server = MockServer::start().await;
    answer(&server, "/api/v3/services", 200, &json!({"services": ["cart", "shop"]})).await;
    let chunk = |spans: &[Value]| json!({"result": request(spans)}).to_string();
    // Two chunks, one trace in both; and one that is not at rest.
    let body = [
        chunk(&[span(A, "00000000000000a1", 30), span(B, "00000000000000b1", 1)]),
        chunk(&[span(A, "00000000000000a2", 30)]),
    ]
    .join("\n");
    Mock::given(path("/api/v3/traces"))
        .and(query_param("query.service_name", "shop"))
        .respond_with(move |r: &Request| {
            let time = |name: &str| {
                let found = r.url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
                found.and_then(|v| chrono::DateTime::parse_from_rfc3339(&v).ok())
            };
            let both = time("query.start_time_min").zip(time("query.start_time_max"));
            assert!(both.is_some_and(|(from, to)| from < to), "{}", r.url);
            ResponseTemplate::new(200).set_body_string(body.clone())
        })
        .mount(&server)
        .await;
    // No trace of that service: 404.
    let none = json!({"error": {"httpCode": 404, "message": "No traces found"}});
    Mock::given(path("/api/v3/traces"))
        .and(query_param("query.service_name", "cart"))
        .respond_with(ResponseTemplate::new(404).set_body_json(none))
        .mount(&server)
        .await;
    let view = first(&settings(&server), None, |v| live(v) && v.received > 0).await;
    assert_eq!(view.kept.iter().map(|t| (&*t.id, t.spans.len())).collect::<Vec<_>>(), [(A, 2)]);
    assert_eq!((&*view.sources[0].name, view.sources[0].spans), (&*format!("Jaeger {}", server.uri()), 2));
}

#[tokio::test]
async fn a_jaeger_without_the_newer_interface_is_read_by_the_older() {
    let server = MockServer::start().await;
    // Its page answers whatever it does not know.
    let page = ResponseTemplate::new(200).set_body_raw("<!doctype html>", "text/html");
    answer(&server, "/api/services", 200, &json!({"data": ["shop"], "total": 1})).await;
    let start = Utc::now().timestamp_micros() - 30_000_000;
    let span = json!({"traceID": "a", "spanID": "b", "operationName": "op", "startTime": start, "duration": 5,
        "processID": "p1", "references": []});
    let traces =
        json!({"data": [{"traceID": "a", "spans": [span], "processes": {"p1": {"serviceName": "shop", "tags": []}}}]});
    Mock::given(path("/api/traces"))
        .and(query_param("service", "shop"))
        .respond_with(ResponseTemplate::new(200).set_body_json(traces))
        .mount(&server)
        .await;
    Mock::given(path_regex(".*")).respond_with(page).with_priority(9).mount(&server).await;
    let view = first(&settings(&server), None, |v| live(v) && v.received > 0).await;
    assert_eq!((&*view.kept[0].id, &*view.kept[0].spans[0].service), (A, "shop"));
}

#[tokio::test]
async fn tempo_is_searched_with_the_tenant_and_its_older_interface_is_fallen_back_to() {
    let server = MockServer::start().await;
    let tenant = || header("X-Scope-OrgID", "team-a");
    let found = |ids: &[&str]| {
        let traces: Vec<_> = ids.iter().map(|id| json!({"traceID": id, "rootServiceName": "shop"})).collect();
        ResponseTemplate::new(200).set_body_json(json!({"traces": traces, "metrics": {}}))
    };
    Mock::given(path("/api/search"))
        .and(tenant())
        .and(query_param("q", "{status=error}"))
        .respond_with(found(&["a"]))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(path("/api/search")).and(tenant()).respond_with(found(&["a", "b", "../x"])).mount(&server).await;
    let newer = json!({"trace": request(&[span(A, "00000000000000a1", 30)])});
    Mock::given(path("/api/v2/traces/a"))
        .and(tenant())
        .respond_with(ResponseTemplate::new(200).set_body_json(newer))
        .expect(1)
        .mount(&server)
        .await;
    // As base64, and under the older name.
    let batches = request(&[span("AAAAAAAAAAAAAAAAAAAACw==", "AAAAAAAAALE=", 30)])["resourceSpans"].take();
    Mock::given(path("/api/traces/b"))
        .and(tenant())
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"batches": batches})))
        .mount(&server)
        .await;
    let settings = settings::Traces { tenant: Some("team-a".into()), ..settings(&server) };
    let view = first(&settings, None, |v| live(v) && v.received == 2).await;
    let mut ids: Vec<_> = view.kept.iter().map(|t| &*t.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [A, B]);
    assert!(view.sources[0].name.starts_with("Tempo http://"), "{:?}", view.sources);
}

#[tokio::test]
async fn what_is_wrong_names_the_url_and_the_remedy() {
    let server = MockServer::start().await;
    Mock::given(path_regex(".*"))
        .respond_with(ResponseTemplate::new(401).set_body_string("no org id"))
        .mount(&server)
        .await;
    let said = told(&first(&settings(&server), None, |v| why(v).is_some()).await);
    assert!(said.contains(&server.uri()) && said.contains("traces.tenant") && said.contains("no org id"), "{said}");

    let other = MockServer::start().await;
    Mock::given(path_regex(".*"))
        .respond_with(ResponseTemplate::new(200).set_body_raw("<html>", "text/html"))
        .mount(&other)
        .await;
    let said = told(&first(&settings(&other), None, |v| why(v).is_some()).await);
    assert!(said.contains("neither Jaeger nor Tempo") && said.contains("200 with a web page"), "{said}");

    let gone = settings::Traces { url: "http://127.0.0.1:1".into(), ..settings(&other) };
    let said = told(&first(&gone, None, |v| why(v).is_some()).await);
    assert!(said.contains("http://127.0.0.1:1 cannot be reached") && said.contains("--traces"), "{said}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told_and_what_other_services_gave_is_kept() {
    let server = MockServer::start().await;
    answer(&server, "/api/v3/services", 200, &json!({"services": ["cart", "shop"]})).await;
    let good = json!({"result": request(&[span(A, "00000000000000a1", 30)])}).to_string();
    for (service, body) in [("cart", good[..good.len() - 9].to_owned()), ("shop", good)] {
        Mock::given(path("/api/v3/traces"))
            .and(query_param("query.service_name", service))
            .respond_with(ResponseTemplate::new(200).set_body_string(body))
            .mount(&server)
            .await;
    }
    let view = first(&settings(&server), None, |v| v.received > 0 && why(v).is_some()).await;
    assert_eq!(view.kept.len(), 1);
    let said = why(&view).unwrap();
    assert!(said.contains("/api/v3/traces: EOF"), "{said}");
}

#[tokio::test]
async fn a_backend_in_the_cluster_is_found_and_read_through_the_api_server() {
    let server = MockServer::start().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = kube::Config::new(server.uri().parse().unwrap());
    config.default_retry = false;
    let client = kube::Client::try_from(config).unwrap();
    let service = |name: &str, port: i32| json!({"metadata": {"name": name, "namespace": "o11y"}, "spec": {"ports": [{"name": "http", "port": port}]}});
    let list = json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": {},
        "items": [service("shop", 80), service("tempo", 3200), service("jaeger-query", 16686)]});
    answer(&server, "/api/v1/services", 200, &list).await;
    // The first does not answer; the second does.
    let dead = "/api/v1/namespaces/o11y/services/jaeger-query:16686/proxy/api/v3/services";
    answer(&server, dead, 503, &json!({"message": "no endpoints available"})).await;
    let alive = "/api/v1/namespaces/o11y/services/tempo:3200/proxy";
    answer(&server, &format!("{alive}/api/search"), 200, &json!({"traces": [{"traceID": "a"}], "metrics": {}})).await;
    let whole = json!({"trace": request(&[span(A, "00000000000000a1", 30)])});
    answer(&server, &format!("{alive}/api/v2/traces/a"), 200, &whole).await;
    let settings = settings::Traces { url: "auto".into(), ..settings(&server) };
    let view = first(&settings, Some(&client), |v| live(v) && v.received > 0).await;
    assert_eq!(&*view.sources[0].name, "Tempo service proxy o11y/tempo:3200");
}

#[tokio::test]
async fn where_services_may_not_be_listed_that_is_told() {
    let server = MockServer::start().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = kube::Config::new(server.uri().parse().unwrap());
    config.default_retry = false;
    let client = kube::Client::try_from(config).unwrap();
    let denied = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 403,
        "reason": "Forbidden", "message": "services is forbidden"});
    Mock::given(path_regex(".*")).respond_with(ResponseTemplate::new(403).set_body_json(denied)).mount(&server).await;
    let settings = settings::Traces { url: "auto".into(), ..settings(&server) };
    let view = first(&settings, Some(&client), |v| why(v).is_some()).await;
    assert!(matches!(view.sources[0].state, SourceState::Denied { .. }));
    let said = told(&view);
    assert!(said.contains("services is forbidden") && said.contains("--traces"), "{said}");
}

#[tokio::test]
async fn a_cluster_without_a_backend_is_told_as_that() {
    let server = MockServer::start().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
    let list = json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": {}, "items": []});
    answer(&server, "/api/v1/services", 200, &list).await;
    let settings = settings::Traces { url: "auto".into(), ..settings(&server) };
    let view = first(&settings, Some(&client), |v| !v.sources.is_empty()).await;
    assert_eq!((view.sources.len(), &view.sources[0].state), (1, &SourceState::NotServed));
}

#[test]
fn ids_are_remembered_in_one_writing_and_in_bounded_number() {
    let mut seen = Seen::default();
    assert!(seen.add(full("A")) && !seen.add(full("0a")) && seen.has("a"));
    for i in 0..REMEMBERED + 10 {
        seen.add(full(&format!("{i:x}f")));
    }
    assert!(!seen.has("a") && seen.ids.len() == REMEMBERED);
}
