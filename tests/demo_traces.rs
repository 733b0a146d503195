//! The simulated cluster's requests: from its exporter over OTLP and kansole's receiver to what their traces mean.

use chrono::TimeDelta;
use kansole::analyze::traces::Window;
use kansole::autopilot;
use kansole::config::settings::Traces;
use kansole::model::service::{MapSource, TraceInsight};
use kansole::model::snapshot::{ClusterInfo, Snapshot};
use kansole::monitor::connect::ConnectOptions;
use kansole::monitor::traces::spawn;
use kansole::sim::demo::{Demo, Options};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Steps of ten simulated seconds.
const STEPS: usize = 6;

/// What the traces of a minute mean, in which a workload fails so many of its requests.
async fn minute(failing: Option<(&str, f64)>) -> TraceInsight {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let start = "2026-03-10T10:00:00Z".parse().expect("a time");
    let options = Options { speed: 0.0, start: Some(start), ..Options::default() };
    let demo = Demo::start(&options).await.expect("the demo starts");
    let settings = Traces {
        otlp_grpc: "none".into(),
        otlp_http: "127.0.0.1:0".into(),
        quiet: Duration::from_millis(300),
        ..Traces::default()
    };
    let cancel = CancellationToken::new();
    let (mut handle, mut completed) = spawn(&settings, &[], None, &cancel);
    let http = handle.bound.wait_for(|b| b.http.is_some()).await.expect("it listens").http.expect("an address");
    if let Some((workload, share)) = failing {
        demo.machines().lock().outside.failing.insert(workload.to_owned(), share);
        demo.step(TimeDelta::seconds(10));
    }
    demo.export(&format!("http://{http}"), 30.0).expect("a URL");
    // Looked at as they come: only so many wait.
    let clock = demo.clock();
    let looked = tokio::spawn(async move {
        let mut window = Window::new(&[]);
        for _ in 0..STEPS * 250 {
            let trace = tokio::time::timeout(Duration::from_secs(120), completed.recv()).await;
            let trace = trace.expect("traces arrive").expect("the receiver lives");
            window.take(&trace, clock.now());
        }
        window
    });
    for _ in 0..STEPS {
        demo.step(TimeDelta::seconds(10));
        // The exporter sends while the clock stands.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut window = looked.await.expect("it looks to the end");
    let cluster = ClusterInfo {
        id: "demo".into(),
        context: "demo".into(),
        server: "".into(),
        version: "".into(),
        user: "".into(),
        namespaces: None,
    };
    window.insight(&Snapshot::empty(cluster, demo.clock().now()), demo.clock().now(), handle.missed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_dependency_of_the_shop_is_where_its_cascades_begin() {
    let (well, ill) = tokio::join!(minute(None), minute(Some(("shop/payment", 0.9))));
    assert_eq!(well.map.sources, [MapSource::Spans]);
    let names: Vec<String> = well
        .map
        .edges
        .iter()
        .map(|e| {
            format!(
                "{}{}{}",
                well.map.nodes[e.from].name,
                if e.detached { "~" } else { ">" },
                well.map.nodes[e.to].name
            )
        })
        .collect();
    for edge in [
        "frontend>checkout",
        "checkout>payment",
        "payment>users-db",
        "cart>cache",
        "checkout>queue",
        "checkout~order-worker",
    ] {
        assert!(names.iter().any(|n| n == edge), "{edge} is not in {names:?}");
    }
    assert!(well.cascades.iter().all(|c| c.traces < 10), "{:?}", well.cascades);
    let worst = &ill.cascades[0];
    assert_eq!(&*worst.origin, "[payment] POST /charge");
    assert_eq!(worst.path.iter().map(|s| &**s).collect::<Vec<_>>(), ["payment", "checkout", "frontend"]);
    assert!(worst.traces > 30, "{worst:?}");
    // The edge over which it came is the one that carries its failures up.
    let edge = ill.weakest.iter().find(|w| (&*w.from, &*w.to) == ("checkout", "payment")).expect("it was called");
    assert!(edge.carried.is_some_and(|c| c > 0.4), "{edge:?}");
}

/// The whole console but its screen, on a simulated cluster that lives by the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loop_publishes_what_the_traces_of_its_cluster_mean() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let demo = Demo::start(&Options::default()).await.expect("the demo starts");
    let home = tempfile::tempdir().expect("a directory");
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, demo.kubeconfig()).expect("it is written");
    let mut settings = kansole::config::Settings::default();
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    settings.traces.otlp_grpc = "none".into();
    settings.traces.otlp_http = free.to_string();
    demo.export(&format!("http://{free}"), 20.0).expect("a URL");
    let options = autopilot::Options {
        connect: ConnectOptions { kubeconfig: Some(kubeconfig), ..ConnectOptions::default() },
        settings,
        read_only: true,
        journal: autopilot::JournalUse::None,
        state: home.path().to_owned(),
        hold: None,
        actor: "test".into(),
    };
    let (mut handle, _task) = autopilot::spawn(options);
    let known = |w: &autopilot::world::World| {
        let sources = &w.insight.map.sources;
        w.insight.traces > 50 && sources.contains(&MapSource::ServiceGraph)
    };
    let world = handle.wait(Duration::from_secs(240), known).await;
    let world =
        world.unwrap_or_else(|w| panic!("{:?} {:?} {:?}", w.link, w.insight.map.sources, w.snapshot.traces.sources));
    let map = &world.insight.map;
    let frontend = map.nodes.iter().find(|n| &*n.name == "frontend").expect("it is on the map");
    assert_eq!(frontend.workload.as_ref().map(ToString::to_string).as_deref(), Some("shop/Deployment/frontend"));
    assert!(
        map.edges.iter().any(|e| &*map.nodes[e.to].name == "cart" && e.red.p99_ms.is_some() && e.red.rate.is_some())
    );
    assert!(!world.insight.operations.is_empty());
    let weakest = world.insight.weakest.first().expect("some edge is the weakest");
    assert!(weakest.experiment.contains("NetworkChaos") && weakest.experiment.contains("duration: 60s"), "{weakest:?}");
}
