//! Receiving traces: a child receives OTLP over HTTP while this process sends. What counts is the child's CPU time, so the
//! sender and whatever else the machine does are left out.

use crate::process;
use crate::report::{Report, repeat};
use kansole::analyze::traces::Window;
use kansole::analyze::traces::critical::CriticalPath;
use kansole::config::settings::Traces;
use kansole::model::time;
use kansole::model::trace::{self as model, Trace};
use kansole::monitor::traces::spawn;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the child that receives is called with.
pub const CHILD: &str = "--child-traces";
/// Messages, traces of one, spans of one of those.
const SENT: (u64, u64, u64) = (400, 100, 10);
/// Wanted, spans per second on one core.
const LIMIT: f64 = 20_000.0;
/// Resident memory that is allowed with the default of 64 MiB for traces, MiB.
const MEMORY: f64 = 200.0;

/// The child: receives until its standard input ends; prints its address first, then spans received, traces handed on and
/// bytes held.
pub fn child() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let settings = Traces {
            otlp_grpc: "none".into(),
            otlp_http: "127.0.0.1:0".into(),
            spans_per_second: u32::MAX,
            ..Traces::default()
        };
        let cancel = CancellationToken::new();
        let (mut handle, mut completed) = spawn(&settings, &[], None, &cancel);
        let http = handle.bound.wait_for(|b| b.http.is_some()).await.expect("it listens").http;
        println!("{}", http.expect("an address"));
        let looked = tokio::spawn(async move {
            let mut count = 0u64;
            while completed.recv().await.is_some() {
                count += 1;
            }
            count
        });
        let all = SENT.0 * SENT.1 * SENT.2;
        handle.views.wait_for(|v| v.received == all).await.expect("all arrive");
        let (now, peak) = process::memory(std::process::id());
        let cpu = process::cpu(std::process::id()).as_secs_f64();
        let v = handle.view();
        println!("{cpu} {now} {peak} {} {}", v.bytes.0, v.kept.len());
        let _ = std::io::stdin().read(&mut [0]);
        cancel.cancel();
        drop(handle);
        looked.abort();
    });
}

/// A message of its own traces, with the attributes that an instrumented HTTP service sends.
fn message(number: u64, now: u64) -> Vec<u8> {
    let text = |key: &str, text: String| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(text)) }),
        ..KeyValue::default()
    };
    let span = |trace: u64, n: u64| {
        let start = now + trace * 1_000_000 + n * 10_000;
        let id = |n: u64| (trace * 1000 + n + 1).to_be_bytes().to_vec();
        Span {
            trace_id: (u128::from(trace) + 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
                .to_be_bytes()
                .to_vec(),
            span_id: id(n),
            parent_span_id: if n == 0 { vec![] } else { id((n - 1) / 3) },
            name: format!("GET /api/{}", n % 7),
            kind: 2 + (n % 2) as i32,
            start_time_unix_nano: start,
            end_time_unix_nano: start + 500_000 + trace * 7919 % 100_000,
            attributes: vec![
                text("http.request.method", "GET".into()),
                text("http.route", format!("/api/{}", n % 7)),
                text("url.path", format!("/api/{}/{trace}", n % 7)),
                text("server.address", format!("svc-{}.shop.svc.cluster.local", n % 12)),
                text("network.peer.address", format!("10.0.{}.{}", n, trace % 250)),
                text("user_agent.original", "shop-client/1.4".into()),
            ],
            status: (trace % 100 == 7).then(|| Status { code: 2, message: "upstream failed".into() }),
            ..Span::default()
        }
    };
    let resource = |service: u64| Resource {
        attributes: vec![
            text("service.name", format!("svc-{service}")),
            text("k8s.namespace.name", "shop".into()),
            text("k8s.pod.name", format!("svc-{service}-7d9f6-abcde")),
            text("k8s.node.name", "node-1".into()),
        ],
        ..Resource::default()
    };
    let (_, traces, spans) = SENT;
    let resource_spans = (0..spans).map(|n| ResourceSpans {
        resource: Some(resource(n)),
        scope_spans: vec![ScopeSpans {
            spans: (0..traces).map(|t| span(number * traces + t, n)).collect(),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }.encode_to_vec()
}

/// Spans per second of one core, and memory.
pub fn received(report: &mut Report) {
    let this = std::env::current_exe().expect("this program");
    let mut child =
        Command::new(this).arg(CHILD).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a child");
    let mut said = BufReader::new(child.stdout.take().expect("its output"));
    let mut address = String::new();
    said.read_line(&mut address).expect("its address");
    let url = format!("http://{}/v1/traces", address.trim());
    let before = process::cpu(child.id()).as_secs_f64();
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime.block_on(async {
        let client = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
        let now = chrono::Utc::now().timestamp_nanos_opt().unwrap_or_default() as u64;
        for number in 0..SENT.0 {
            let request = client.post(&url).header("content-type", "application/x-protobuf").body(message(number, now));
            let answer = request.send().await.expect("an answer");
            assert!(answer.status().is_success(), "{}", answer.status());
        }
    });
    let took = began.elapsed().as_secs_f64();
    let mut line = String::new();
    said.read_line(&mut line).expect("its figures");
    let numbers: Vec<f64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [cpu, now, peak, held, kept] = numbers[..] else { panic!("no figures: {line}") };
    drop(child.stdin.take());
    let _ = child.wait();
    let spans = (SENT.0 * SENT.1 * SENT.2) as f64;
    let rate = spans / (cpu - before);
    report.judged(
        "OTLP over HTTP received and stored, per second of one core",
        format!("{rate:.0} spans ({spans:.0} in {took:.1} s, {:.1} s of CPU)", cpu - before),
        &format!("{LIMIT:.0}"),
        rate >= LIMIT,
    );
    report.judged(
        "memory while doing so, 64 MiB allowed for traces",
        format!(
            "{now:.0} MiB resident, {peak:.0} at its greatest; {:.0} MiB by its own account, {kept:.0} traces kept",
            held / 1_048_576.0
        ),
        &format!("{MEMORY:.0} MiB"),
        peak <= MEMORY,
    );
}

/// A request that fans out: every span but the first is below one of those before it, callers and callees in turn.
fn request(number: i64, spans: i64, now: i64) -> Trace {
    let (took, start) = (1_000_000_000_i64, now - 2_000_000_000);
    let span = |i: i64| {
        let parent = (i > 0).then(|| (i - 1) / 4);
        // Each lies within its parent, beside its three siblings.
        let (mut from, mut length, mut at) = (0, took, i);
        let mut way = Vec::new();
        while at > 0 {
            way.push((at - 1) % 4);
            at = (at - 1) / 4;
        }
        for &step in way.iter().rev() {
            length /= 5;
            from += length / 2 + step * length;
        }
        model::Span {
            id: format!("{i:016x}").into(),
            parent: parent.map(|p| format!("{p:016x}").into()),
            service: format!("service-{}", way.len() % 5).into(),
            operation: format!("GET /{}", i % 20).into(),
            kind: if i % 2 == 0 { model::SpanKind::Server } else { model::SpanKind::Client },
            start: start + from,
            duration: length,
            error: (number + i) % 97 == 0,
            ..model::Span::default()
        }
    };
    Trace { id: format!("{number:032x}").into(), spans: (0..spans).map(span).collect(), negative: 0 }
}

/// What traces mean: a critical path, and many traces a second.
pub fn analysed(report: &mut Report) {
    let now = time::now();
    let nanos = now.timestamp_nanos_opt().unwrap_or_default();
    let large = request(0, 10_000, nanos);
    let paths = repeat(3, 30, || {
        let began = Instant::now();
        let path = CriticalPath::of(&large).expect("it has a root");
        assert!(path.steps.len() > 10);
        began.elapsed()
    });
    report.judged("critical path of a trace of 10 000 spans", paths.words(), "20 ms", paths.p99() <= 20.0);
    let traces: Vec<Trace> = (0..4_000).map(|i| request(i, 20, nanos)).collect();
    let spans: usize = traces.iter().map(|t| t.spans.len()).sum();
    let mut window = Window::new(&[]);
    let began = Instant::now();
    for t in &traces {
        window.take(t, now);
    }
    let rate = spans as f64 / began.elapsed().as_secs_f64();
    report.judged("spans analysed per second of one core", format!("{rate:.0}"), &format!("{LIMIT:.0}"), rate >= LIMIT);
}
