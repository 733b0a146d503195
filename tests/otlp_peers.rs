//! Real exporters against our receiver, and a real Jaeger against our reader. Started by tests/peers/otlp.sh, which has them
//! ready and names them in the environment.

use kansole::config::settings::Traces;
use kansole::model::trace::{Span, Trace};
use kansole::monitor::traces::{TracesHandle, file, spawn};
use serde_json::Value;
use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything, on a machine that is busy.
const WAIT: Duration = Duration::from_secs(120);

struct Rig {
    handle: TracesHandle,
    completed: mpsc::Receiver<Arc<Trace>>,
    http: String,
    grpc: String,
    cancel: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

async fn listen() -> Rig {
    let settings = Traces {
        otlp_grpc: "127.0.0.1:0".into(),
        otlp_http: "127.0.0.1:0".into(),
        quiet: Duration::from_secs(2),
        ..Traces::default()
    };
    let cancel = CancellationToken::new();
    let (handle, completed) = spawn(&settings, &[], None, &cancel);
    let mut bound = handle.bound.clone();
    let b = *bound.wait_for(|b| b.grpc.is_some() && b.http.is_some()).await.unwrap();
    let (http, grpc) = (b.http.unwrap().to_string(), b.grpc.unwrap().to_string());
    Rig { handle, completed, http, grpc, cancel }
}

impl Rig {
    async fn completed(&mut self, count: usize) -> HashMap<String, Arc<Trace>> {
        let mut all = HashMap::new();
        while all.len() < count {
            let next = tokio::time::timeout(WAIT, self.completed.recv()).await;
            let trace = next.unwrap_or_else(|_| panic!("{} of {count} traces came", all.len())).unwrap();
            let known = all.insert(trace.id.to_string(), trace);
            assert!(known.is_none(), "a trace is complete only once");
        }
        all
    }
}

fn program(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        eprintln!("{variable} is not set: tests/peers/otlp.sh could not get it, so this is not tested");
    }
    found
}

/// Sends by the SDK; what was sent.
fn send(protocol: &str, compression: &str, endpoint: &str, traces: usize) -> Value {
    let python = std::env::var("KANSOLE_PEER_PYTHON").expect("run tests/peers/otlp.sh, which sets KANSOLE_PEER_PYTHON");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/send.py");
    let out = Command::new(python)
        .args([script, protocol, compression, endpoint, &traces.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(out.status.success());
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Every span that was sent is there as it was sent, and no other.
fn same(sent: &Value, service: &str, found: &HashMap<String, Arc<Trace>>) -> usize {
    let mut spans = 0;
    for (id, expected) in sent.as_object().unwrap() {
        let trace = found.get(id).unwrap_or_else(|| panic!("trace {id} is missing"));
        let expected = expected.as_object().unwrap();
        assert_eq!(trace.spans.len(), expected.len(), "{id}");
        for span in &trace.spans {
            same_span(&expected[&*span.id], span);
            assert_eq!(&*span.service, service);
            let o = &span.origin;
            let told =
                [&o.namespace, &o.workload, &o.pod, &o.node, &o.version].map(|t| t.as_deref().unwrap_or_default());
            assert_eq!(told, ["shop", "cart", "cart-7d9f-abcde", "node-1", "1.2.3"]);
            assert_eq!(span.host.as_deref(), Some("cart-7d9f-abcde"));
            spans += 1;
        }
    }
    spans
}

fn same_span(sent: &Value, span: &Span) {
    assert_eq!(sent["parent"].as_str(), span.parent.as_deref());
    assert_eq!(sent["name"], &*span.operation);
    assert_eq!(sent["kind"].as_str().unwrap(), format!("{:?}", span.kind).to_uppercase());
    assert_eq!(sent["start"], span.start);
    assert_eq!(sent["duration"], span.duration);
    assert_eq!(sent["error"], span.error);
    assert_eq!(sent["message"].as_str(), span.message.as_deref());
    for (key, value) in sent["attributes"].as_object().unwrap() {
        let found = span.attributes.iter().find(|(k, _)| **k == **key).unwrap_or_else(|| panic!("{key} is missing"));
        let text = match value {
            Value::String(s) => s.clone(),
            Value::Array(list) => {
                format!("[{}]", list.iter().map(|v| v.as_str().unwrap()).collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        };
        assert_eq!(text, &*found.1, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_the_sdk_for_python_arrive_complete_and_correct() {
    for (protocol, compression) in [("grpc", "none"), ("grpc", "gzip"), ("http", "none"), ("http", "gzip")] {
        let mut rig = listen().await;
        let endpoint = if protocol == "grpc" { rig.grpc.clone() } else { format!("http://{}/v1/traces", rig.http) };
        let sent = tokio::task::spawn_blocking(move || send(protocol, compression, &endpoint, 500)).await.unwrap();
        let found = rig.completed(500).await;
        let spans = same(&sent, &format!("shop-{protocol}-{compression}"), &found);
        let view = rig.handle.view();
        assert!(view.dropped.is_empty(), "{:?}", view.dropped);
        eprintln!("SDK for Python, {protocol}, {compression}: {spans} spans of {} traces, all as sent", found.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_telemetrygen_arrive_complete() {
    let Some(program) = program("KANSOLE_PEER_TELEMETRYGEN") else { return };
    for protocol in ["grpc", "http"] {
        let mut rig = listen().await;
        let endpoint = if protocol == "grpc" { rig.grpc.clone() } else { rig.http.clone() };
        let mut command = Command::new(&program);
        command.args(["traces", "--otlp-insecure", "--otlp-endpoint", &endpoint, "--traces", "150", "--workers", "2"]);
        // All of them fit into its own queue of 2048 spans: beyond that it drops what it makes.
        command.args(["--child-spans", "4", "--rate", "0", "--service", "gen", "--status-code", "Error"]);
        if protocol == "http" {
            command.arg("--otlp-http");
        }
        let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let found = rig.completed(300).await;
        for trace in found.values() {
            let roots: Vec<_> = trace.spans.iter().filter(|s| s.parent.is_none()).collect();
            assert_eq!((trace.spans.len(), roots.len(), &*roots[0].operation), (5, 1, "lets-go"), "{}", trace.id);
            assert!(trace.spans.iter().all(|s| s.error && &*s.service == "gen"));
            assert!(trace.spans.iter().all(|s| s.parent.is_none() || s.parent.as_ref() == Some(&roots[0].id)));
        }
        assert!(rig.handle.view().dropped.is_empty(), "{:?}", rig.handle.view().dropped);
        eprintln!("telemetrygen, {protocol}: {} traces of 5 spans", found.len());
    }
}

/// Ends the program with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_jaeger_is_read_by_both_its_interfaces() {
    let Some(program) = program("KANSOLE_PEER_JAEGER") else { return };
    let (query, receive) = (free_port(), free_port());
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("jaeger.yaml");
    let text = include_str!("peers/jaeger.yaml").replace("QUERY", &query.to_string());
    std::fs::write(&config, text.replace("RECEIVE", &receive.to_string())).unwrap();
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let child = Command::new(program).arg("--config").arg(&config).stdout(log.try_clone().unwrap()).stderr(log).spawn();
    let _running = Running(child.unwrap());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let base = format!("http://127.0.0.1:{query}");
    let up = async {
        while client.get(format!("{base}/api/services")).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(WAIT, up).await.expect("Jaeger starts");
    // Fewer than a round asks for.
    let endpoint = format!("http://127.0.0.1:{receive}/v1/traces");
    let sent = tokio::task::spawn_blocking(move || send("http", "gzip", &endpoint, 60)).await.unwrap();

    let settings = Traces {
        url: base.clone(),
        otlp_grpc: "none".into(),
        otlp_http: "none".into(),
        poll: Duration::from_secs(5),
        ..Traces::default()
    };
    let cancel = CancellationToken::new();
    let (handle, completed) = spawn(&settings, &[], None, &cancel);
    let mut rig = Rig { handle, completed, http: String::new(), grpc: String::new(), cancel };
    let found = rig.completed(60).await;
    let spans = same(&sent, "shop-http-gzip", &found);
    eprintln!("{}: {spans} spans of {} traces, all as sent", rig.handle.view().sources[0].name, found.len());

    // Its older interface, as its page saves it.
    let saved =
        client.get(format!("{base}/api/traces?service=shop-http-gzip&limit=100&lookback=1h")).send().await.unwrap();
    let path = dir.path().join("saved.json");
    std::fs::write(&path, saved.bytes().await.unwrap()).unwrap();
    let older: HashMap<String, Arc<Trace>> =
        file::read(&path).unwrap().into_iter().map(|t| (t.id.to_string(), Arc::new(t))).collect();
    assert_eq!(older.len(), 60);
    for (id, trace) in &older {
        assert_eq!(trace.spans.len(), 4);
        for span in &trace.spans {
            let newer = found[id].spans.iter().find(|s| s.id == span.id).unwrap();
            // Jaeger's own format counts in microseconds.
            assert_eq!((span.start, span.duration), (newer.start / 1000 * 1000, newer.duration / 1000 * 1000));
            let rest = |s: &Span| {
                (s.parent.clone(), s.operation.clone(), s.kind, s.error, s.message.clone(), s.origin.pod.clone())
            };
            assert_eq!(rest(span), rest(newer));
        }
    }
    eprintln!("the same by its older interface");
}
