//! The faults of the simulated cluster's servers, one after the other, as a client on a real socket meets them.

use http::Request;
use http_body_util::BodyExt;
use kansole::sim::demo::{Demo, Options, fault};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Nothing on this machine takes so long.
const LONG: Duration = Duration::from_secs(20);

/// A cluster whose time stands still, and its two clients.
struct Cluster {
    demo: Demo,
    api: Client,
    web: reqwest::Client,
}

struct Answer {
    code: u16,
    retry_after: Option<String>,
    date: String,
    text: String,
}

impl Cluster {
    async fn start(faults: &[&str]) -> Self {
        // Fails only if another test installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let faults = faults.iter().map(|f| fault(f).expect("a well-formed fault")).collect();
        let options = Options { bare: true, speed: 0.0, scenario: "quiet-day".into(), faults, ..Options::default() };
        let demo = Demo::start(&options).await.expect("it starts");
        let kubeconfig = Kubeconfig::from_yaml(&demo.kubeconfig()).expect("a kubeconfig");
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        // What is refused shall be seen, not asked again.
        config.default_retry = false;
        Self { demo, api: Client::try_from(config).expect("a client"), web: reqwest::Client::new() }
    }

    /// Sets a fault as a script does.
    async fn set(&self, fault: &str) {
        let url = format!("http://127.0.0.1:{}/sim/fault?set={fault}", self.demo.ports().prometheus);
        let answer = self.web.post(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    }

    async fn open(&self, method: &str, path: &str, body: &Value) -> http::Response<Body> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        self.api.send(request.body(Body::from(body)).expect("a request")).await.expect("an answer")
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.open(method, path, body).await;
        let code = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (retry_after, date) = (header("retry-after"), header("date").unwrap_or_default());
        let bytes = answer.into_body().collect().await.expect("a whole body").to_bytes();
        Answer { code, retry_after, date, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null).await
    }

    async fn make(&self, name: &str) -> Value {
        let body = json!({"metadata": {"name": name, "labels": {"made": "here"}}});
        let made = self.send("POST", MAPS, &body).await;
        assert_eq!(made.code, 201, "{}", made.text);
        serde_json::from_str(&made.text).expect("JSON")
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_holds_every_answer_back() {
    let cluster = Cluster::start(&[]).await;
    cluster.set("latency=1500ms").await;
    let start = Instant::now();
    assert_eq!(cluster.get(MAPS).await.code, 200);
    assert!(start.elapsed() >= Duration::from_millis(1500), "{:?}", start.elapsed());
    cluster.set("latency=0s").await;
    let start = Instant::now();
    assert_eq!(cluster.get(MAPS).await.code, 200);
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_answers_429_and_says_when_to_come_back() {
    let cluster = Cluster::start(&["throttled=100%"]).await;
    let refused = cluster.get(MAPS).await;
    assert_eq!((refused.code, refused.retry_after.as_deref()), (429, Some("1")));
    assert_eq!(refused.text, "Too many requests, please try again later.\n", "as API priority and fairness says it");
    let half = |codes: &[u16]| codes.iter().filter(|c| **c == 429).count();
    cluster.set("throttled=50%").await;
    let mut codes = Vec::new();
    for _ in 0..60 {
        codes.push(cluster.get(MAPS).await.code);
    }
    assert!((15..=45).contains(&half(&codes)), "a share of the requests: {codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_answers_5xx_and_writes_nothing() {
    let cluster = Cluster::start(&[]).await;
    cluster.set("failing=100%").await;
    let body = json!({"metadata": {"name": "never"}});
    let failed = cluster.send("POST", MAPS, &body).await;
    assert_eq!(failed.code, 500);
    let status = parsed(&failed.text);
    assert_eq!((&status["kind"], &status["message"]), (&json!("Status"), &json!("etcdserver: request timed out")));
    cluster.set("failing=0").await;
    assert_eq!(cluster.get(&format!("{MAPS}/never")).await.code, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_loses_its_connection_after_so_many_events() {
    let cluster = Cluster::start(&["reset-after=3"]).await;
    for name in ["a", "b", "c", "d", "e"] {
        cluster.make(name).await;
    }
    let path = format!("{MAPS}?watch=1&labelSelector=made%3Dhere");
    let mut body = cluster.open("GET", &path, &Value::Null).await.into_body();
    let mut bytes = Vec::new();
    let end = loop {
        match timeout(LONG, body.frame()).await.expect("it does not hang") {
            Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |d| d)),
            end => break end,
        }
    };
    assert!(matches!(end, Some(Err(_))), "broken, not ended");
    let events = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).count();
    assert!((3..=5).contains(&events), "what was sent before arrives: {events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_answers_end_in_the_middle_of_their_json() {
    let cluster = Cluster::start(&[]).await;
    let whole = cluster.get("/api/v1/nodes").await;
    cluster.set("truncated=100%").await;
    let cut = cluster.get("/api/v1/nodes").await;
    assert_eq!(cut.code, 200);
    assert!(serde_json::from_str::<Value>(&cut.text).is_err());
    assert!(whole.text.starts_with(&cut.text) && !cut.text.is_empty(), "half of what it would have been");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_list_is_an_older_one() {
    let cluster = Cluster::start(&[]).await;
    let made = cluster.make("fresh").await;
    let version = |v: &Value| v["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok()).unwrap();
    cluster.set("stale=100%").await;
    let stale = parsed(&cluster.get(MAPS).await.text);
    assert!(version(&stale) < version(&made), "{stale}");
    assert!(stale["items"].as_array().unwrap().iter().all(|m| m["metadata"]["name"] != "fresh"), "not there yet");
    cluster.set("stale=0").await;
    let fresh = parsed(&cluster.get(MAPS).await.text);
    assert!(fresh["items"].as_array().unwrap().iter().any(|m| m["metadata"]["name"] == "fresh"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_watch_is_told_410_and_ends() {
    let cluster = Cluster::start(&[]).await;
    let version = parsed(&cluster.get(MAPS).await.text)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    cluster.set("expired=100%").await;
    let path = format!("{MAPS}?watch=1&resourceVersion={version}");
    let told = timeout(LONG, cluster.get(&path)).await.expect("it ends");
    let event = parsed(told.text.trim());
    assert_eq!((told.code, &event["type"]), (200, &json!("ERROR")));
    assert_eq!((&event["object"]["code"], &event["object"]["reason"]), (&json!(410), &json!("Expired")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skewed_clock_shows_in_the_date() {
    let cluster = Cluster::start(&["skew=-90s"]).await;
    let date = cluster.get(MAPS).await.date;
    let date = chrono::DateTime::parse_from_rfc2822(&date).expect("a date").with_timezone(&chrono::Utc);
    let behind = (cluster.demo.clock().now() - date).num_milliseconds();
    assert!((90_000..91_000).contains(&behind), "{behind} ms: a date has whole seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_has_faults_of_its_own() {
    let cluster = Cluster::start(&["prometheus.failing=100%"]).await;
    let url = format!("http://127.0.0.1:{}/api/v1/query?query=up", cluster.demo.ports().prometheus);
    assert_eq!(cluster.web.get(&url).send().await.expect("an answer").status(), 503);
    assert_eq!(cluster.get(MAPS).await.code, 200, "the API server is well");
    cluster.set("prometheus.failing=0").await;
    assert_eq!(cluster.web.get(&url).send().await.expect("an answer").status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_is_none_is_refused_with_the_remedy() {
    let cluster = Cluster::start(&[]).await;
    let url = format!("http://127.0.0.1:{}/sim/fault?set=latncy=1s", cluster.demo.ports().prometheus);
    let answer = cluster.web.post(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("latency"));
}
