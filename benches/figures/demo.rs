//! Figures of the simulated cluster: how soon the demo shows itself, how fast its time can run, and how large it can be.

use crate::process;
use crate::pty::Pty;
use crate::report::{Report, Samples};
use chrono::TimeDelta;
use kansole::sim::demo::{Demo, Options};
use kansole::sim::world::fleet::Size;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Longest wait for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// From the start of `kansole demo` to its cluster on the screen, and to the first fault found.
pub fn start(report: &mut Report) {
    let mut times = Vec::new();
    for _ in 0..5 {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let mut pty = Pty::run(dir.path(), &["demo"]);
        let shown = pty.wait("six nodes", PATIENCE, |s| s.text().contains("6/6 ready"));
        times.push(shown.duration_since(pty.started));
        if times.len() == 1 {
            let found = pty.wait("the first fault", PATIENCE, |s| s.text().contains("killed at its memory limit"));
            let after = found.duration_since(pty.started).as_secs_f64();
            report.judged("demo: first fault found", format!("{after:.1} s after start"), "60 s", after <= 60.0);
        }
        pty.keys("q");
    }
    let times = Samples::of(&times);
    report.judged("demo: cluster on the screen, from spawn", times.words(), "3 s", times.quantile(1.0) <= 3000.0);
}

/// Simulated time per real time, on one core: the whole shop with its controllers, exporters, rules and a scenario.
pub fn speed(report: &mut Report) {
    let demo = started(&Options { speed: 0.0, ..Options::default() });
    let hour = TimeDelta::hours(1);
    let before = Instant::now();
    demo.0.step(hour);
    let factor = hour.num_seconds() as f64 / before.elapsed().as_secs_f64();
    report.judged("demo: simulated seconds a second", format!("{factor:.0}"), "1000", factor >= 1000.0);
    let query = "sum by (service) (rate(http_server_request_duration_seconds_count[5m]))";
    let now = demo.0.clock().now().timestamp();
    let url = format!("http://127.0.0.1:{}/api/v1/", demo.0.ports().prometheus);
    let mut of = |what: &str, path: String| {
        let times: Vec<Duration> = (0..10).map(|_| get(&demo, &format!("{url}{path}"), None).1).collect();
        report.told(what, Samples::of(&times).words());
    };
    let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    of("demo: rate of all services now", format!("query?query={encoded}"));
    of(
        "demo: the same over a day, every minute",
        format!("query_range?query={encoded}&start={}&end={now}&step=60", now - 86_400),
    );
    of(
        "demo: the same over a fortnight, hourly",
        format!("query_range?query={encoded}&start={}&end={now}&step=3600", now - 14 * 86_400),
    );
}

/// A thousand nodes and a hundred thousand pods.
pub fn fleet(report: &mut Report) {
    let before = Instant::now();
    let size = Size { nodes: 1000, pods: 100_000 };
    let demo = started(&Options { speed: 0.0, fleet: size, ..Options::default() });
    report.told("fleet of 1 000 nodes, 100 000 pods: built", format!("{:.1} s", before.elapsed().as_secs_f64()));
    let base = format!("https://127.0.0.1:{}/api/v1/pods", demo.0.ports().api);
    let (mut pods, mut bytes, mut next, began) = (0, 0, String::new(), Instant::now());
    loop {
        let (body, _) = get(&demo, &format!("{base}?limit=500&continue={next}"), Some("demo-admin-token"));
        bytes += body.len();
        let list: Value = serde_json::from_slice(&body).expect("a list");
        pods += list["items"].as_array().map_or(0, Vec::len);
        list["metadata"]["continue"].as_str().unwrap_or_default().clone_into(&mut next);
        if next.is_empty() {
            break;
        }
    }
    let took = began.elapsed().as_secs_f64();
    let said = format!("{took:.1} s for {pods} pods, {} MB, read and parsed", bytes / 1_000_000);
    report.told("fleet: listed in pages of 500", said);
    let (body, took) = get(&demo, &format!("{base}?resourceVersion=0"), Some("demo-admin-token"));
    report.told("fleet: listed at once", format!("{:.1} s, {} MB", took.as_secs_f64(), body.len() / 1_000_000));
    let (before, minute) = (Instant::now(), TimeDelta::minutes(1));
    demo.0.step(minute);
    let factor = 60.0 / before.elapsed().as_secs_f64();
    report.told("fleet: simulated seconds a second", format!("{factor:.0}"));
    let (now, peak) = process::memory(std::process::id());
    report.told("fleet: memory of server and reader", format!("{now:.0} MiB resident, {peak:.0} MiB at its greatest"));
}

/// A demo, with the runtime that serves it.
fn started(options: &Options) -> (Demo, tokio::runtime::Runtime) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let demo = runtime.block_on(Demo::start(options)).expect("the demo starts");
    (demo, runtime)
}

/// One answer in full, and how long it took.
fn get(demo: &(Demo, tokio::runtime::Runtime), url: &str, token: Option<&str>) -> (Vec<u8>, Duration) {
    // The certificate is the demo's own, made a moment ago.
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build().expect("a client");
    let before = Instant::now();
    let body = demo.1.block_on(async {
        let request = token.iter().fold(client.get(url), reqwest::RequestBuilder::bearer_auth);
        let answer = request.send().await.expect("an answer").error_for_status().expect("a good one");
        answer.bytes().await.expect("a whole one").to_vec()
    });
    (body, before.elapsed())
}
