//! What verification concludes, and what it does about it.

use super::*;
use crate::model::cluster::Workload;
use crate::model::finding::Fault;
use crate::model::pod::{ContainerRow, ContainerTrouble, Phase, PodRow, Terminated};

/// Runs the raise in a world that `make` describes from the seconds since the start.
async fn in_world(
    case: &Case,
    make: impl Fn(i64) -> (Workload, bool) + Send + 'static,
    meddle: impl FnOnce(&Stage),
) -> (QueueItem, Stage) {
    let stage = Stage::new(Server::with([deployment("128Mi")]));
    let trigger = case.findings[0].clone();
    stage.live(move |now| {
        let (w, present) = make((now - t0()).num_seconds());
        (w, present.then(|| trigger.clone()).into_iter().collect())
    });
    meddle(&stage);
    (run(permit(case, AUTO), stage.deps.clone()).await, stage)
}

/// Somebody edits the Deployment twenty seconds after the start.
fn edit_later(stage: &Stage, pointer: &'static str, value: Value) {
    let server = stage.server.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        server.edit("cart", pointer, value);
    });
}

fn raise() -> Case {
    Case::new(vec![raise_step("cart")])
}

/// The same plan as an answer to a fault that does not itself restart containers.
fn not_ready() -> Case {
    let mut case = raise();
    with_proposal(&mut case.item, |p| p.fault = Fault::NotReady { why: "x".into() });
    case
}

/// A pod made `created` seconds after the start, with this many restarts, killed for memory if `oom`.
fn pod(created: i64, restarts: u32, oom: bool) -> Arc<PodRow> {
    let at = t0() + TimeDelta::seconds(created);
    let finished = Some(at + TimeDelta::seconds(5));
    let end = Terminated { reason: "OOMKilled".into(), exit_code: 137, started: None, finished };
    let trouble = oom.then(|| Box::new(ContainerTrouble { last: Some(end), ..Default::default() }));
    Arc::new(PodRow {
        namespace: "shop".into(),
        name: format!("cart-{created}").into(),
        uid: format!("u-{created}").into(),
        resource_version: "1".into(),
        owner: None,
        node: None,
        specs: Arc::from([]),
        containers: Box::new([ContainerRow { restarts, ready: true, running: true, trouble }]),
        phase: Phase::Running,
        ready: true,
        deleting: false,
        created: at,
        trouble: None,
    })
}

fn with_pods(pods: Vec<Arc<PodRow>>) -> Workload {
    let mut w = healed();
    w.pods = pods.into();
    w
}

#[tokio::test(start_paused = true)]
async fn a_trigger_that_stays_is_neutral_and_is_not_undone() {
    let (ended, stage) = in_world(&raise(), |_| (healed(), true), |_| {}).await;
    assert_eq!((ended.state.word(), memory(&stage.server, "cart").as_str()), ("neutral", "256Mi"));
    assert_eq!(ended.outcome.unwrap().before.available, Some(3), "judged against the health before");
}

#[tokio::test(start_paused = true)]
async fn harm_ends_it_at_once_and_is_undone() {
    let worlds: [(&str, fn() -> Workload); 4] = [
        ("killed for memory", || with_pods(vec![pod(15, 1, true)])),
        ("restarts", || with_pods(vec![pod(15, 2, false)])),
        ("fewer pods", || {
            let mut w = healed();
            w.replicas.available = 2;
            w
        }),
        ("not progress", || {
            let mut w = healed();
            w.stuck = Some(("ProgressDeadlineExceeded".into(), "x".into()));
            w
        }),
    ];
    for (why, world) in worlds {
        let after = move |s: i64| (if s < 20 { healed() } else { world() }, false);
        let (ended, stage) = in_world(&not_ready(), after, |_| {}).await;
        assert_eq!(ended.state.word(), "reverted", "{why}: {:?}", ended.state);
        assert!(format!("{:?}", ended.state).contains(why), "{why}: {:?}", ended.state);
        assert_eq!(ended.outcome.unwrap().verdict, Verdict::Harmful);
        assert_eq!(memory(&stage.server, "cart"), "128Mi");
        assert!(stage.now() < t0() + TimeDelta::minutes(2), "{why}: without waiting for the window");
        assert!(kinds(&stage).contains(&Kind::RevertIntent), "the undo has its own intent");
    }
}

#[tokio::test(start_paused = true)]
async fn what_old_pods_still_suffer_is_no_harm() {
    let (ended, _) = in_world(&not_ready(), |_| (with_pods(vec![pod(-60, 9, true)]), false), |_| {}).await;
    assert_eq!(ended.state.word(), "effective");
}

#[tokio::test(start_paused = true)]
async fn a_further_kill_after_a_raise_says_not_cured_rather_than_worse() {
    let (ended, stage) = in_world(&raise(), |_| (with_pods(vec![pod(15, 3, true)]), true), |_| {}).await;
    assert_eq!((ended.state.word(), memory(&stage.server, "cart").as_str()), ("neutral", "256Mi"));
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_does_not_complete_is_undone() {
    let stuck = |_| {
        let mut w = healed();
        w.replicas.updated = 1;
        (w, true)
    };
    let (ended, stage) = in_world(&raise(), stuck, |_| {}).await;
    assert_eq!((ended.state.word(), memory(&stage.server, "cart").as_str()), ("reverted", "128Mi"));
    assert!(format!("{:?}", ended.state).contains("not complete"));
}

#[tokio::test(start_paused = true)]
async fn without_fresh_data_the_verdict_is_unknown_and_it_is_undone() {
    let stage = Stage::new(Server::with([deployment("128Mi")]));
    // One world after the write, and then silence.
    let worlds = stage.worlds.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let _ = worlds.send((Arc::new(snapshot(t0() + TimeDelta::seconds(2), healed())), Arc::from([])));
        std::future::pending::<()>().await;
    });
    let ended = run(permit(&raise(), AUTO), stage.deps.clone()).await;
    assert_eq!((ended.state.word(), memory(&stage.server, "cart").as_str()), ("reverted", "128Mi"));
    assert_eq!(ended.outcome.unwrap().verdict, Verdict::Unknown);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_undone_over_somebody_elses_change() {
    for harm in [false, true] {
        let world = move |s: i64| {
            let mut w = if harm && s > 30 { with_pods(vec![pod(15, 5, false)]) } else { healed() };
            if s > 60 {
                (w.generation, w.observed_generation) = (3, 3);
            }
            (w, false)
        };
        let image = "/spec/template/spec/containers/0/image";
        let (ended, stage) = in_world(&not_ready(), world, |s| edit_later(s, image, json!("bobs"))).await;
        assert_eq!(ended.state.word(), "unknown", "{:?}", ended.state);
        assert!(format!("{:?}", ended.state).contains("bob-edit"), "{:?}", ended.state);
        assert_eq!(memory(&stage.server, "cart"), "256Mi", "both changes stay");
        assert_eq!(stage.server.writes().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn scaling_meanwhile_is_not_a_change_of_what_is_verified() {
    let world = |s: i64| {
        let mut w = healed();
        if s > 20 {
            (w.generation, w.observed_generation) = (3, 3);
        }
        (w, false)
    };
    let (ended, _) = in_world(&raise(), world, |s| edit_later(s, "/spec/replicas", json!(5))).await;
    assert_eq!(ended.state.word(), "effective");
}

#[tokio::test(start_paused = true)]
async fn waiting_writes_nothing_and_is_judged_by_the_trigger() {
    for (present, word) in [(true, "neutral"), (false, "effective")] {
        let mut case = raise();
        with_proposal(&mut case.item, |p| p.plan.steps[0].op = Op::Wait { seconds: 90 });
        let (ended, stage) = in_world(&case, move |_| (workload(), present), |_| {}).await;
        assert_eq!(ended.state.word(), word);
        assert_eq!(stage.server.writes(), [] as [String; 0]);
        assert!((TimeDelta::seconds(90)..TimeDelta::seconds(100)).contains(&(stage.now() - t0())));
    }
}

#[tokio::test(start_paused = true)]
async fn an_objective_that_begins_to_burn_fast_is_harm_only_after_settling() {
    for (begins, word) in [(-60, "effective"), (400, "reverted")] {
        let case = raise();
        let stage = Stage::new(Server::with([deployment("128Mi")]));
        let fault = Fault::SloBurn { slo: "answers".into(), burn: 20.0, factor: 14.4, budget_left: None };
        let burn = Arc::new(Finding { since: t0() + TimeDelta::seconds(begins), ..(*finding("slo", fault)).clone() });
        let at = burn.since;
        stage.live(move |now| (healed(), (now >= at).then(|| burn.clone()).into_iter().collect()));
        let ended = run(permit(&case, AUTO), stage.deps.clone()).await;
        assert_eq!(ended.state.word(), word, "{begins}: {:?}", ended.story);
        if word == "reverted" {
            assert!(format!("{:?}", ended.state).contains("burns 20 times"), "{:?}", ended.state);
        } else {
            let gone = ended.outcome.unwrap().after.gone_since.expect("the trigger is gone");
            assert!(gone < t0() + TimeDelta::seconds(60), "recovered when it was first seen, not when it was judged");
        }
    }
}
