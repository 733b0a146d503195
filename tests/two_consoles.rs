//! Two consoles on two machines, both in auto: one acts. Each has its own state directory, as on machines of their own;
//! they meet only in the cluster.

use kansole::autopilot::handle::LoopHandle;
use kansole::autopilot::world::{Command, World};
use kansole::autopilot::{JournalUse, Options, spawn};
use kansole::config::Settings;
use kansole::config::settings::{Notice, Notify, NotifyFormat, Secret};
use kansole::model::authority::LeaseView;
use kansole::model::mode::Mode;
use kansole::monitor::connect::ConnectOptions;
use kansole::sim::demo::{self, Demo};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Longer than a Lease, its takeover and a busy machine need together.
const LONG: Duration = Duration::from_secs(90);

fn console(kubeconfig: &Path, state: &Path, actor: &str, hook: &str) -> LoopHandle {
    let told = Notify {
        url: Secret(format!("{hook}/{actor}")),
        url_env: None,
        format: NotifyFormat::Json,
        secret_file: None,
        on: Notice::ALL.to_vec(),
    };
    let mut settings = Settings { notify: vec![told], ..Settings::default() };
    settings.guard.mode = Mode::Auto;
    settings.connection.prometheus = "none".into();
    settings.traces.url = "none".into();
    spawn(Options {
        connect: ConnectOptions { kubeconfig: Some(kubeconfig.into()), context: None, namespaces: vec![] },
        settings,
        read_only: false,
        journal: JournalUse::Open,
        state: state.into(),
        hold: None,
        actor: actor.into(),
    })
    .0
}

async fn until(console: &mut LoopHandle, what: &str, done: impl Fn(&World) -> bool) -> Arc<World> {
    match console.wait(LONG, done).await {
        Ok(world) => world,
        Err(last) => panic!("{what}: {:?}, {:?}", last.brakes, last.messages.iter().take(5).collect::<Vec<_>>()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g19_two_consoles_never_act_at_once() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = demo::Options { bare: true, speed: 1.0, scenario: "quiet-day".into(), ..demo::Options::default() };
    let cluster = Demo::start(&options).await.expect("it starts");
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, cluster.kubeconfig()).unwrap();
    let hook = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&hook).await;
    let mut ann = console(&kubeconfig, &dir.path().join("ann"), "ann@one", &hook.uri());
    let mut bob = console(&kubeconfig, &dir.path().join("bob"), "bob@two", &hook.uri());

    // Paused, nobody wants it.
    until(&mut ann, "ann looks", |w| w.brakes.lease == LeaseView::Free).await;
    ann.command(Command::Pause { on: false }).await.unwrap();
    until(&mut ann, "ann takes it", |w| w.brakes.lease.is_mine()).await;
    until(&mut bob, "bob connects", |w| w.brakes.lease != LeaseView::Unknown).await;
    bob.command(Command::Pause { on: false }).await.unwrap();
    let other = |w: &World| matches!(&w.brakes.lease, LeaseView::Other { holder } if holder.starts_with("ann@one/"));
    let world = until(&mut bob, "bob sees who holds it", other).await;
    assert!(!world.brakes.paused, "bob waits for his turn");

    // The API server fails for longer than a Lease lasts: ann stops, and does not go on by herself afterwards.
    let fault = |set: &str| {
        let url = format!("http://127.0.0.1:{}/sim/fault?set={set}", cluster.ports().prometheus);
        async move { assert_eq!(reqwest::Client::new().post(url).send().await.unwrap().status(), 200) }
    };
    fault("failing=100%25").await;
    let lost = until(&mut ann, "ann loses it", |w| !w.brakes.lease.is_mine()).await;
    assert!(lost.brakes.paused, "losing the Lease pauses auto");
    fault("failing=0").await;
    until(&mut bob, "bob takes over", |w| w.brakes.lease.is_mine()).await;
    let other = |w: &World| matches!(&w.brakes.lease, LeaseView::Other { holder } if holder.starts_with("bob@two/"));
    let world = until(&mut ann, "ann sees who holds it", other).await;
    assert!(world.brakes.paused);
    // Ann is told, by bell and by webhook; nobody is told of what bob did by hand.
    assert_eq!(world.alerts, 1);
    let told = hook.received_requests().await.unwrap();
    let told: Vec<_> = told.iter().map(|r| (r.url.path(), String::from_utf8_lossy(&r.body))).collect();
    assert!(told.len() == 1 && told[0].0 == "/ann@one", "{told:?}");
    assert!(told[0].1.contains("\"paused\"") && told[0].1.contains("the Lease is lost"), "{told:?}");

    // Who leaves gives it back.
    bob.command(Command::Shutdown).await.unwrap();
    until(&mut ann, "it is free", |w| w.brakes.lease == LeaseView::Free).await;
}
