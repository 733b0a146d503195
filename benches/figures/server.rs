//! A small API server on a loopback port: streaming lists and watches of the synthetic cluster over HTTP/1.1,
//! with a given number of pod updates a second. It answers what kansole asks and nothing else.

use crate::synthetic::Cluster;
use serde_json::json;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Between two bursts of updates.
const BEAT: Duration = Duration::from_millis(10);

/// The server; it ends with its runtime.
pub struct Server {
    /// Where it listens.
    pub url: String,
    /// Updates sent so far.
    pub updates: Arc<AtomicU64>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct State {
    cluster: Arc<Cluster>,
    /// Updates of pods per second.
    rate: u64,
    updates: Arc<AtomicU64>,
}

impl Server {
    /// Serves a cluster.
    pub fn start(cluster: Cluster, rate: u64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let updates = Arc::<AtomicU64>::default();
        let state = State { cluster: Arc::new(cluster), rate, updates: updates.clone() };
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let state = state.clone();
                tokio::spawn(async move {
                    let (reader, writer) = stream.into_split();
                    // A client that goes away is no error here.
                    let _ = state.serve(BufReader::new(reader), writer).await;
                });
            }
        });
        Self { url, updates, _runtime: runtime }
    }
}

impl State {
    async fn serve(&self, mut reader: impl AsyncBufReadExt + Unpin, mut out: OwnedWriteHalf) -> io::Result<()> {
        loop {
            let (mut first, mut length) = (String::new(), 0);
            if reader.read_line(&mut first).await? == 0 {
                return Ok(());
            }
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).await?;
                let line = line.trim_end().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(n) = line.strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap_or(0);
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).await?;
            let mut words = first.split(' ');
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let query: HashMap<&str, &str> = query.split('&').filter_map(|p| p.split_once('=')).collect();
            if query.contains_key("watch") {
                return self.watch(path, &query, &mut out).await;
            }
            let (status, answer) = self.answer(method, path, &body);
            let length = answer.len();
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
            out.write_all(head.as_bytes()).await?;
            if method != "HEAD" {
                out.write_all(answer.as_bytes()).await?;
            }
        }
    }

    fn answer(&self, method: &str, path: &str, body: &[u8]) -> (&'static str, String) {
        let not_found =
            || json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": path});
        match path {
            "/version" => ("200 OK", json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0"}).to_string()),
            "/apis" => ("200 OK", json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}).to_string()),
            "/api/v1/namespaces/kube-system" => ("200 OK", self.cluster.namespace(None)),
            _ if method == "POST" && path.contains("selfsubject") => {
                let mut review: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
                review["status"] =
                    json!({"allowed": true, "resourceRules": [], "nonResourceRules": [], "incomplete": false});
                ("201 Created", review.to_string())
            }
            _ if path.ends_with('z') => ("200 OK", "ok".to_owned()),
            _ => ("404 Not Found", not_found().to_string()),
        }
    }

    /// One watch: the objects if they are asked for, then updates, until its time is up.
    async fn watch(&self, path: &str, query: &HashMap<&str, &str>, out: &mut OwnedWriteHalf) -> io::Result<()> {
        let plural = path.rsplit('/').next().unwrap_or_default();
        let seconds = query.get("timeoutSeconds").and_then(|s| s.parse().ok()).unwrap_or(60);
        let end = Instant::now() + Duration::from_secs(seconds);
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
            .await?;
        if query.get("sendInitialEvents") == Some(&"true") {
            for object in self.cluster.list(plural) {
                send(out, &format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n")).await?;
            }
            let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "X", "apiVersion": "v1", "metadata":
                {"resourceVersion": "1000", "annotations": {"k8s.io/initial-events-end": "true"}}}});
            send(out, &format!("{bookmark}\n")).await?;
        } else if plural == "pods" && self.rate > 0 {
            self.stream(end, out).await?;
        }
        sleep_until(end).await;
        out.write_all(b"0\r\n\r\n").await
    }

    /// Updates of pods all over the cluster, evenly in time.
    async fn stream(&self, end: Instant, out: &mut OwnedWriteHalf) -> io::Result<()> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let began = Instant::now();
        let mut sent = 0;
        while Instant::now() < end {
            beat.tick().await;
            let due = began.elapsed().as_millis() as u64 * self.rate / 1000;
            while sent < due {
                sent += 1;
                let n = self.updates.fetch_add(1, Ordering::Relaxed) as usize;
                let object = self.cluster.pod(n * 7919 % self.cluster.pods, 1 + (n / self.cluster.pods) as u64);
                send(out, &format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}\n")).await?;
            }
        }
        Ok(())
    }
}

async fn send(out: &mut OwnedWriteHalf, text: &str) -> io::Result<()> {
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    out.write_all(chunk.as_bytes()).await
}
