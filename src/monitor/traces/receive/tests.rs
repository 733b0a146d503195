use super::http::Status;
use crate::config::settings::Traces;
use crate::model::snapshot::SourceState;
use crate::model::trace::{Trace, TracesView};
use crate::monitor::traces::proto::tests::{request, span, text};
use crate::monitor::traces::{TracesHandle, spawn};
use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything, on a machine that is busy.
const WAIT: Duration = Duration::from_secs(30);

struct Rig {
    handle: TracesHandle,
    completed: mpsc::Receiver<Arc<Trace>>,
    client: reqwest::Client,
    http: String,
    grpc: String,
    cancel: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn settings() -> Traces {
    Traces {
        otlp_grpc: "127.0.0.1:0".into(),
        otlp_http: "127.0.0.1:0".into(),
        quiet: Duration::from_millis(100),
        message: 256 * 1024,
        ..Traces::default()
    }
}

async fn rig(settings: Traces) -> Rig {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cancel = CancellationToken::new();
    let (handle, completed) = spawn(&settings, &[], None, &cancel);
    let mut bound = handle.bound.clone();
    let all = bound.wait_for(|b| b.grpc.is_some() && b.http.is_some());
    let b = *tokio::time::timeout(WAIT, all).await.unwrap().unwrap();
    let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let (http, grpc) = (format!("http://{}/v1/traces", b.http.unwrap()), format!("http://{}", b.grpc.unwrap()));
    Rig { handle, completed, client, http, grpc, cancel }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

impl Rig {
    async fn post(&self, headers: &[(&str, &str)], body: Vec<u8>) -> reqwest::Response {
        let mut request = self.client.post(&self.http).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Calls Export with one framed message.
    async fn call(&self, message: &[u8], zipped: bool) -> reqwest::Response {
        let client = reqwest::Client::builder().tls_certs_only([]).http2_prior_knowledge().build().unwrap();
        let mut body = vec![u8::from(zipped)];
        body.extend((message.len() as u32).to_be_bytes());
        body.extend(message);
        let url = format!("{}/opentelemetry.proto.collector.trace.v1.TraceService/Export", self.grpc);
        let request = client.post(url).header("content-type", "application/grpc").header("te", "trailers");
        let request = if zipped { request.header("grpc-encoding", "gzip") } else { request };
        request.body(body).send().await.unwrap()
    }

    async fn completed(&mut self, count: usize) -> Vec<Arc<Trace>> {
        let mut all = Vec::new();
        while all.len() < count {
            all.push(tokio::time::timeout(WAIT, self.completed.recv()).await.unwrap().unwrap());
        }
        all.sort_by_key(|t| t.id.clone());
        all
    }

    async fn view(&self, until: impl Fn(&TracesView) -> bool) -> Arc<TracesView> {
        let mut views = self.handle.views.clone();
        tokio::time::timeout(WAIT, views.wait_for(|v| until(v))).await.unwrap().unwrap().clone()
    }
}

#[tokio::test]
async fn protobuf_json_and_gzip_arrive_over_http_and_protobuf_and_gzip_over_grpc() {
    let mut rig = rig(settings()).await;
    let message = |trace| request(vec![span(trace, 1), span(trace, 2)]).encode_to_vec();
    let json = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"03030303030303030303030303030303","spanId":"0101010101010101",
        "name":"op1","startTimeUnixNano":"1700000000000000000","endTimeUnixNano":1700000000000001000}]}]}]}"#;
    for (headers, body) in [
        (&[PROTOBUF][..], message(1)),
        (&[PROTOBUF, GZIP], gzip(&message(2))),
        (&[JSON], json.to_vec()),
        (&[JSON], b"{}".to_vec()),
    ] {
        let answer = rig.post(headers, body).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(&headers[0].1[..16]));
        let body = answer.bytes().await.unwrap();
        assert!(body.is_empty() || &body[..] == b"{}", "{body:?}");
    }
    for (trace, zipped) in [(4, false), (5, true)] {
        let plain = message(trace);
        let answer = rig.call(&if zipped { gzip(&plain) } else { plain }, zipped).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(&answer.bytes().await.unwrap()[..], [0; 5], "an empty message: nothing was rejected");
    }
    let all = rig.completed(5).await;
    assert_eq!(all.iter().map(|t| t.spans.len()).collect::<Vec<_>>(), [2, 2, 1, 2, 2]);
    let view = rig.view(|v| v.received == 9 && v.kept.len() == 5).await;
    assert!(view.dropped.is_empty() && view.rate > 0.0, "{view:?}");
    let spans: Vec<_> = view.sources.iter().map(|s| (s.name[..9].to_owned(), s.spans)).collect();
    assert_eq!(spans, [("OTLP gRPC".to_owned(), 4), ("OTLP HTTP".to_owned(), 5)]);
    assert!(view.sources.iter().all(|s| matches!(s.state, SourceState::Live { .. })));
}

#[tokio::test]
async fn what_cannot_be_taken_over_http_is_refused_in_the_protocols_words_and_counted() {
    let rig = rig(settings()).await;
    let good = request(vec![span(1, 1), Span { attributes: vec![text("k", "v")], ..span(1, 2) }]).encode_to_vec();
    let large = vec![0; 300 * 1024];
    for (headers, body, status, says) in [
        (&[PROTOBUF][..], good[..good.len() - 7].to_vec(), 400, "ends early"),
        (&[PROTOBUF], vec![0xff; 64], 400, "not an OTLP export request"),
        (&[PROTOBUF, GZIP], good.clone(), 400, "not gzip"),
        (
            &[JSON],
            b"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":5".to_vec(),
            400,
            "resourceSpans[0].scopeSpans[0].spans[0].traceId",
        ),
        (&[PROTOBUF], large.clone(), 413, "as sent"),
        (&[PROTOBUF, GZIP], gzip(&large), 413, "after decompression"),
        // A thousandfold.
        (&[PROTOBUF, GZIP], gzip(&vec![0; 64 * 1024 * 1024]), 413, "after decompression"),
        (&[("content-type", "text/plain")], good.clone(), 415, "application/x-protobuf"),
        (&[PROTOBUF, ("content-encoding", "zstd")], good.clone(), 415, "gzip"),
    ] {
        let answer = rig.post(headers, body).await;
        assert_eq!(answer.status(), status, "{says}");
        let proto = answer.headers()["content-type"] == PROTOBUF.1;
        let bytes = answer.bytes().await.unwrap();
        let told = if proto {
            Status::decode(bytes).unwrap().message
        } else {
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["message"].as_str().unwrap().to_owned()
        };
        assert!(told.contains(says), "{told}");
    }
    let get = rig.client.get(&rig.http).send().await.unwrap();
    assert_eq!(get.status(), 405);
    let counts = |v: &TracesView| v.dropped.iter().map(|d| d.count).collect::<Vec<_>>();
    // Something that arrives makes a new view.
    assert_eq!(rig.post(&[PROTOBUF], good).await.status(), 200);
    let view = rig.view(|v| v.received == 2).await;
    assert_eq!(counts(&view), [4, 3, 2], "{:?}", view.dropped);
}

#[tokio::test]
async fn spans_without_a_valid_id_are_rejected_and_the_others_taken() {
    let mut rig = rig(settings()).await;
    let bad = [
        Span { trace_id: vec![], ..span(1, 1) },
        Span { trace_id: vec![0; 16], ..span(1, 1) },
        Span { span_id: vec![1; 7], ..span(1, 1) },
        Span { span_id: vec![1; 4096], ..span(1, 1) },
    ];
    let message = request(bad.into_iter().chain([span(1, 1)]).collect()).encode_to_vec();
    let answer = rig.post(&[PROTOBUF], message.clone()).await;
    assert_eq!(answer.status(), 200);
    let partial = ExportTraceServiceResponse::decode(answer.bytes().await.unwrap()).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 4);
    assert!(partial.error_message.contains("16 bytes"));
    let answer = rig.call(&message, false).await.bytes().await.unwrap();
    let partial = ExportTraceServiceResponse::decode(&answer[5..]).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 4);
    assert_eq!(rig.completed(1).await[0].spans.len(), 1, "the same span twice is one");
}

#[tokio::test]
async fn over_the_rate_senders_are_asked_to_wait() {
    let rig = rig(Traces { spans_per_second: 1, ..settings() }).await;
    let message = request((1..=200).map(|n| span(1, n)).collect()).encode_to_vec();
    assert_eq!(rig.post(&[PROTOBUF], message.clone()).await.status(), 200, "one message may go over it");
    let answer = rig.post(&[PROTOBUF], message.clone()).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    let told = Status::decode(answer.bytes().await.unwrap()).unwrap();
    assert!(told.message.contains("traces.spans_per_second"), "{}", told.message);
    let answer = rig.call(&message, false).await;
    assert_eq!(answer.headers()["grpc-status"], "8");
    let details = answer.headers()["grpc-status-details-bin"].as_bytes();
    let details = base64::engine::general_purpose::STANDARD_NO_PAD.decode(details).unwrap();
    assert!(details.windows(9).any(|w| w == b"RetryInfo"), "without it exporters give up");
    let view = rig.view(|v| v.dropped.iter().any(|d| d.count == 2)).await;
    assert!(view.dropped[0].why.contains("rate limit"), "{:?}", view.dropped);
}

#[tokio::test]
async fn what_cannot_be_taken_over_grpc_is_refused_and_counted_once() {
    let rig = rig(settings()).await;
    let good = request(vec![span(1, 1)]).encode_to_vec();
    for (message, zipped, code) in [
        (good[..good.len() - 7].to_vec(), false, "3"),
        (vec![0; 300 * 1024], false, "11"),
        (gzip(&vec![0; 64 * 1024 * 1024]), true, "8"),
        (good.clone(), true, "13"),
    ] {
        let answer = rig.call(&message, zipped).await;
        assert_eq!(answer.headers()["grpc-status"], code);
    }
    let other = format!("{}/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", rig.grpc);
    let client = reqwest::Client::builder().tls_certs_only([]).http2_prior_knowledge().build().unwrap();
    let answer = client.post(other).header("content-type", "application/grpc").send().await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "12", "unimplemented");
    rig.call(&good, false).await;
    let view = rig.view(|v| v.received == 1).await;
    assert_eq!(view.dropped.iter().map(|d| d.count).collect::<Vec<_>>(), [2, 2], "{:?}", view.dropped);
}

#[tokio::test]
async fn a_port_in_use_is_told_with_its_remedy_and_taken_when_it_is_free() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let settings = Traces { otlp_grpc: "none".into(), otlp_http: address.to_string(), ..settings() };
    let (mut handle, _completed) = spawn(&settings, &[], None, &cancel);
    let failed = |v: &Arc<TracesView>| v.sources.iter().any(|s| matches!(s.state, SourceState::Failed { .. }));
    let view = tokio::time::timeout(WAIT, handle.views.wait_for(failed)).await.unwrap().unwrap().clone();
    let SourceState::Failed { why, .. } = &view.sources[0].state else { panic!("{view:?}") };
    let port = format!("port {} is in use", address.port());
    assert!(why.contains(&port) && why.contains("traces.otlp_http"), "{why}");
    drop(taken);
    let bound = handle.bound.wait_for(|b| b.http == Some(address));
    tokio::time::timeout(WAIT, bound).await.unwrap().unwrap();
    cancel.cancel();
}

#[tokio::test]
async fn turned_off_nothing_listens_and_nobody_waits_for_traces() {
    let settings = Traces { url: "none".into(), ..settings() };
    let (handle, mut completed) = spawn(&settings, &[], None, &CancellationToken::new());
    assert!(completed.recv().await.is_none());
    assert_eq!((handle.view().sources.len(), *handle.bound.borrow()), (0, super::Bound::default()));
}

#[tokio::test]
async fn who_never_ends_the_head_of_a_request_is_not_waited_for() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (news, _inbox) = mpsc::channel(1);
    let gate = Arc::new(super::Gate::new(&settings(), Arc::default(), news));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let served = tokio::spawn(super::http::bounded(listener, gate, cancel.clone(), Duration::from_millis(200)));
    let mut slow = tokio::net::TcpStream::connect(at).await.unwrap();
    slow.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(WAIT, slow.read_to_end(&mut answer)).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    // Who is idle does not hold up the end.
    let _idle = tokio::net::TcpStream::connect(at).await.unwrap();
    cancel.cancel();
    tokio::time::timeout(WAIT, served).await.unwrap().unwrap().unwrap();
}
