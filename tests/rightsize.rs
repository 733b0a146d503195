//! Right-sizing from end to end on the simulated cluster: eight days of every container are read, a person asks for a
//! size, the proposal is approved, running pods are resized where they are, and what came of it is verified.

use kansole::autopilot;
use kansole::autopilot::world::{Command, World};
use kansole::model::action::{ActionState, Verdict};
use kansole::model::object::WorkloadKey;
use kansole::model::plan::{Op, Strategy};
use kansole::model::sizing::{amounts, asked};
use kansole::monitor::connect::ConnectOptions;
use kansole::sim::demo::{Demo, Options};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Long enough for a busy machine; a wait ends as soon as what it waits for is there.
const LONG: Duration = Duration::from_secs(600);

fn uids(world: &World, key: &WorkloadKey) -> BTreeSet<String> {
    let workload = world.snapshot.workload(key).expect("it is there");
    workload.live_pods().map(|p| p.uid.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_needs_another_size_gets_it_in_place_and_verified() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let demo = Demo::start(&Options::default()).await.expect("the demo starts");
    let home = tempfile::tempdir().expect("a directory");
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, demo.kubeconfig()).expect("it is written");
    let mut settings = kansole::config::Settings::default();
    settings.traces.otlp_grpc = "none".into();
    settings.traces.otlp_http = "none".into();
    // The charts of a whole day are not looked at, and reading them takes a debug build minutes.
    settings.monitor.history = Duration::from_secs(3600);
    settings.guard.settle = Duration::from_secs(2);
    settings.guard.observe = Duration::from_secs(5);
    let options = autopilot::Options {
        connect: ConnectOptions { kubeconfig: Some(kubeconfig), ..ConnectOptions::default() },
        settings,
        read_only: false,
        journal: autopilot::JournalUse::Open,
        state: home.path().to_owned(),
        hold: None,
        actor: "test".into(),
    };
    let (mut handle, _task) = autopilot::spawn(options);
    let world = handle.wait(LONG, |w| w.sizings.made.is_some() && !w.sizings.all.is_empty()).await;
    let world = world.unwrap_or_else(|w| panic!("{:?} {:?} {:?}", w.link, w.sizings, w.snapshot.metrics.state));
    assert!(world.sizings.refused.is_empty(), "{:?}", world.sizings.refused);
    assert_eq!(world.findings.iter().filter(|f| f.fault.class() == "missized").count(), 0, "nobody asked");
    // Of the shop, a Deployment of which only CPU changes: it can be done in place.
    let only_cpu = |key: &WorkloadKey| world.sizings.of(key).all(|s| s.next.is_none() || &*s.resource == "cpu");
    let wanted = world.sizings.all.iter().find(|s| {
        s.next.is_some()
            && s.request.is_some()
            && &*s.key.namespace == "shop"
            && only_cpu(&s.key)
            && s.key.kind.as_str() == "Deployment"
    });
    let wanted = wanted.unwrap_or_else(|| panic!("no CPU of the shop changes: {:#?}", world.sizings.all)).clone();
    let (key, before) = (wanted.key.clone(), uids(&world, &wanted.key));
    handle.command(Command::Rightsize { workload: key.clone() }).await.expect("it is planned");
    let mine = |w: &World| {
        w.queue
            .iter()
            .find(|i| i.proposal.strategy == Strategy::Rightsize && i.proposal.workload() == Some(&key))
            .cloned()
    };
    let ready = handle.wait(LONG, |w| mine(w).is_some_and(|i| i.preview.is_some() && i.blocked.is_empty())).await;
    let ready = ready.unwrap_or_else(|w| panic!("{:#?} {:#?} {:?}", mine(&w), w.unplanned, w.messages));
    let item = mine(&ready).expect("it is there");
    assert_eq!(item.preview.as_ref().and_then(|p| p.refused.clone()), None);
    let in_place = |op: &Op| matches!(op, Op::Patch { subresource: Some(s), .. } if s == "resize");
    assert!(item.proposal.plan.steps.iter().all(|s| in_place(&s.op)), "{:#?}", item.proposal);
    assert!(item.proposal.export.as_ref().is_some_and(|e| e.contains("resources:")), "{:?}", item.proposal.export);
    let approve = Command::Approve { id: item.proposal.id.clone(), hash: item.proposal.hash.clone() };
    handle.command(approve).await.expect("a person may");
    let done = handle.wait(LONG, |w| mine(w).is_some_and(|i| i.state.ended())).await;
    let done = done.unwrap_or_else(|w| panic!("{:#?}", mine(&w)));
    let state = &mine(&done).expect("it is there").state;
    assert!(matches!(state, ActionState::Done { verdict: Verdict::Effective, .. }), "{state:?}");
    assert_eq!(uids(&done, &key), before, "no pod was replaced");
    let workload: Arc<_> = done.snapshot.workload(&key).expect("it is there").clone();
    let now = asked(&workload, &wanted.container).expect("its container");
    let next = wanted.next.as_ref().expect("it changes");
    assert_eq!(amounts(&now.resources, "cpu").0, Some(next.new_request));
}
