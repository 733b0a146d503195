//! Servers that answer wrongly, and what the table hears of it.

use super::*;
use crate::model::object::Resource;
use crate::monitor::feed::Watched;
use crate::monitor::lite::BareLite;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

const PODS: &str = "/api/v1/pods";

struct Rig {
    server: MockServer,
    changes: mpsc::Receiver<Message>,
    out: mpsc::Sender<Message>,
}

impl Rig {
    async fn new() -> Self {
        let (out, changes) = mpsc::channel(64);
        Self { server: MockServer::start().await, changes, out }
    }

    fn client(&self) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = kube::Config::new(self.server.uri().parse().unwrap());
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    /// Starts a watch that ends with the test.
    fn start(&self, may_yield: bool) -> tokio::task::JoinHandle<()> {
        let context = Context { client: self.client(), out: self.out.clone(), renew: 30 };
        let feed = Arc::new(Feed { watched: Watched::of(&Resource::PODS).unwrap(), namespace: None });
        tokio::spawn(run::<BareLite>(context, feed, Object::Counted, may_yield))
    }

    async fn next(&mut self) -> String {
        match timeout(Duration::from_secs(20), self.changes.recv()).await.unwrap().unwrap() {
            Message::Delta(delta) => word(&delta.change),
            Message::Api(_) => "api".to_owned(),
        }
    }

    async fn words(&mut self, n: usize) -> Vec<String> {
        let mut words = Vec::new();
        for _ in 0..n {
            words.push(self.next().await);
        }
        words
    }
}

fn word(change: &Change) -> String {
    let name = |o: &Object| if let Object::Counted(o) = o { o.metadata.name.clone() } else { "?".to_owned() };
    match change {
        Change::Begin => "begin".to_owned(),
        Change::Listed(o) => format!("listed {}", name(o)),
        Change::ListDone => "done".to_owned(),
        Change::Applied(o) => format!("applied {}", name(o)),
        Change::Deleted(o) => format!("deleted {}", name(o)),
        Change::Alive => "alive".to_owned(),
        Change::Failed(why) => format!("failed {why}"),
        Change::Denied(why) => format!("denied {why}"),
        Change::NotServed => "not served".to_owned(),
        Change::Closed => "closed".to_owned(),
    }
}

fn pod(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "uid": name, "resourceVersion": version}})
}

fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

fn refuse(code: u16, reason: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(code).set_body_json(status(code, reason, message))
}

fn streaming() -> wiremock::MockBuilder {
    Mock::given(method("GET")).and(path(PODS)).and(query_param("sendInitialEvents", "true"))
}

fn listing() -> wiremock::MockBuilder {
    Mock::given(method("GET")).and(path(PODS)).and(query_param_is_missing("watch"))
}

fn watching(version: &str) -> wiremock::MockBuilder {
    Mock::given(method("GET"))
        .and(path(PODS))
        .and(query_param("watch", "true"))
        .and(query_param("resourceVersion", version))
        .and(query_param_is_missing("sendInitialEvents"))
}

fn body(lines: &[String]) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(lines.concat())
}

/// A watch that stays open long enough for the test to end first.
fn silent() -> ResponseTemplate {
    ResponseTemplate::new(200).set_delay(Duration::from_secs(14))
}

#[tokio::test]
async fn a_streamed_list_ends_with_its_bookmark_and_the_watch_goes_on_from_there() {
    let mut rig = Rig::new().await;
    let end = json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"resourceVersion": "7", "annotations": {"k8s.io/initial-events-end": "true"}}});
    let mark = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}});
    streaming().respond_with(body(&[event("ADDED", &pod("a", "3")), event("BOOKMARK", &end)])).mount(&rig.server).await;
    watching("7")
        .respond_with(body(&[
            event("MODIFIED", &pod("a", "8")),
            event("DELETED", &pod("a", "9")),
            event("BOOKMARK", &mark),
        ]))
        .mount(&rig.server)
        .await;
    watching("9").respond_with(silent()).mount(&rig.server).await;
    let _watch = rig.start(false);
    assert_eq!(rig.words(7).await, ["begin", "listed a", "done", "alive", "applied a", "deleted a", "alive"]);
}

#[tokio::test]
async fn a_server_without_streaming_lists_is_listed_in_pages() {
    let mut rig = Rig::new().await;
    streaming()
        .respond_with(refuse(422, "Invalid", "resourceVersionMatch is forbidden for watch"))
        .expect(1)
        .mount(&rig.server)
        .await;
    let page = |name: &str, next: &str| json!({"metadata": {"resourceVersion": "7", "continue": next}, "items": [pod(name, "1")]});
    listing()
        .and(query_param_is_missing("continue"))
        .respond_with(ResponseTemplate::new(200).set_body_json(page("a", "more")))
        .mount(&rig.server)
        .await;
    listing()
        .and(query_param("continue", "more"))
        .respond_with(ResponseTemplate::new(200).set_body_json(page("b", "")))
        .mount(&rig.server)
        .await;
    watching("7").respond_with(silent()).mount(&rig.server).await;
    let _watch = rig.start(false);
    assert_eq!(rig.words(4).await, ["begin", "listed a", "listed b", "done"]);
}

/// A list that works, once streaming was refused.
async fn listable(rig: &Rig, version: &str) {
    streaming().respond_with(refuse(400, "BadRequest", "unknown")).mount(&rig.server).await;
    let list = json!({"metadata": {"resourceVersion": version}, "items": null});
    listing().respond_with(ResponseTemplate::new(200).set_body_json(list)).mount(&rig.server).await;
}

#[tokio::test]
async fn a_version_that_is_too_old_leads_to_a_new_list_and_not_to_an_error() {
    let mut rig = Rig::new().await;
    listable(&rig, "7").await;
    let gone = event("ERROR", &status(410, "Expired", "too old resource version: 7 (99)"));
    watching("7").respond_with(body(&[gone])).up_to_n_times(1).mount(&rig.server).await;
    watching("7").respond_with(silent()).mount(&rig.server).await;
    let _watch = rig.start(false);
    assert_eq!(rig.words(5).await, ["begin", "done", "alive", "begin", "done"]);
}

#[tokio::test]
async fn a_refusal_carries_the_servers_words_and_is_not_hammered() {
    let mut rig = Rig::new().await;
    let words = "pods is forbidden: User \"viewer\" cannot list resource \"pods\"";
    Mock::given(method("GET")).respond_with(refuse(403, "Forbidden", words)).expect(1).mount(&rig.server).await;
    let _watch = rig.start(false);
    assert_eq!(rig.next().await, format!("denied 403: {words}"));
    assert!(timeout(Duration::from_millis(1500), rig.changes.recv()).await.is_err(), "asked again much later");
}

#[tokio::test]
async fn a_refusal_can_hand_over_to_single_namespaces() {
    let rig = Rig::new().await;
    Mock::given(method("GET")).respond_with(refuse(403, "Forbidden", "no")).mount(&rig.server).await;
    timeout(Duration::from_secs(10), rig.start(true)).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_expired_token_is_told_with_its_remedy() {
    let mut rig = Rig::new().await;
    Mock::given(method("GET")).respond_with(refuse(401, "Unauthorized", "Unauthorized")).mount(&rig.server).await;
    let _watch = rig.start(false);
    let said = rig.next().await;
    assert!(said.starts_with("denied 401") && said.contains("log in again"), "{said}");
}

#[tokio::test]
async fn truncated_json_is_a_failure_and_is_tried_again() {
    let mut rig = Rig::new().await;
    streaming().respond_with(refuse(422, "Invalid", "no")).mount(&rig.server).await;
    listing()
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_string("{\"metadata\": {\"resourceVersion\": \"7\"}, \"items\": [{\"meta"),
        )
        .up_to_n_times(1)
        .mount(&rig.server)
        .await;
    let list = json!({"metadata": {"resourceVersion": "7"}, "items": []});
    listing().respond_with(ResponseTemplate::new(200).set_body_json(list)).mount(&rig.server).await;
    watching("7").respond_with(silent()).mount(&rig.server).await;
    let _watch = rig.start(false);
    let words = rig.words(4).await;
    assert!(words[1].starts_with("failed the answer is not what the API promises"), "{words:?}");
    assert_eq!([&*words[0], &*words[2], &*words[3]], ["begin", "begin", "done"]);
}

#[tokio::test]
async fn a_server_in_trouble_fails_at_once_instead_of_being_retried_in_secret() {
    let mut rig = Rig::new().await;
    Mock::given(method("GET")).respond_with(refuse(503, "ServiceUnavailable", "etcd is down")).mount(&rig.server).await;
    let _watch = rig.start(false);
    assert_eq!(rig.next().await, "failed 503: etcd is down");
}

#[tokio::test]
async fn a_kind_that_is_not_there_is_not_served() {
    let mut rig = Rig::new().await;
    Mock::given(method("GET")).respond_with(refuse(404, "NotFound", "not found")).mount(&rig.server).await;
    let _watch = rig.start(false);
    assert_eq!(rig.next().await, "not served");
}

#[tokio::test]
async fn a_connection_that_breaks_goes_on_from_where_it_was() {
    let mut rig = Rig::new().await;
    listable(&rig, "7").await;
    watching("7").respond_with(body(&[event("ADDED", &pod("a", "8"))])).expect(1).mount(&rig.server).await;
    watching("8").respond_with(body(&[event("ADDED", &pod("b", "9"))])).expect(1).mount(&rig.server).await;
    watching("9").respond_with(silent()).mount(&rig.server).await;
    let _watch = rig.start(false);
    assert_eq!(rig.words(6).await, ["begin", "done", "alive", "applied a", "alive", "applied b"]);
}
