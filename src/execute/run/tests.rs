//! Runs against a scripted server on paused time: what is refused writes nothing, what is changed meanwhile is
//! not overwritten, what fails is undone, and what was in flight is never applied twice.

use super::*;
use crate::execute::fixture::server::{Mishap, Server};
use crate::execute::fixture::stage::{Stage, healed, permit};
use crate::execute::fixture::*;
use crate::execute::guard::{AUTO, Actor, Guard};
use crate::execute::history::GuardHistory;
use crate::model::action::Approval;
use crate::model::mode::Mode;
use crate::model::plan::ACTION_ANNOTATION;
use proptest::prelude::*;

mod crash;
#[cfg(feature = "rig")]
mod rig;
mod storm;
mod undoing;
mod verifying;

fn memory(server: &Server, name: &str) -> String {
    server.deployment(name).pointer(LIMIT).unwrap().as_str().unwrap().to_owned()
}

fn healthy(_: Timestamp) -> (crate::model::cluster::Workload, Vec<Arc<Finding>>) {
    (healed(), vec![])
}

fn refusal(item: &QueueItem) -> (&str, &str) {
    match &item.state {
        ActionState::Refused { reasons } => (&reasons[0].gate, &reasons[0].why),
        other => panic!("{other:?}"),
    }
}

fn kinds(stage: &Stage) -> Vec<Kind> {
    stage.ledger.entries.lock().unwrap().iter().map(|(r, _)| r.kind).collect()
}

#[tokio::test(start_paused = true)]
async fn an_approved_raise_is_written_once_verified_and_effective() {
    let case = Case::new(vec![raise_step("cart")]);
    let mut stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.live(healthy);
    let ended = run(permit(&case, AUTO), stage.deps.clone()).await;
    assert_eq!(ended.state.word(), "effective", "{:?}", ended.story);
    assert_eq!(memory(&stage.server, "cart"), "256Mi");
    let writes = stage.server.writes();
    assert_eq!(writes.len(), 1);
    assert!(writes[0].contains("fieldManager=kansole&fieldValidation=Strict"), "{}", writes[0]);
    let live = stage.server.deployment("cart");
    assert_eq!(
        live["metadata"]["annotations"][ACTION_ANNOTATION],
        format!("{}/{}", case.item.proposal.id, case.item.proposal.hash)
    );
    let words: Vec<_> = stage.told().iter().map(|i| i.state.word()).collect();
    assert_eq!(words, ["dry-run", "applying", "applying", "verifying", "verifying", "effective"]);
    let written: Vec<_> = kinds(&stage).iter().map(|k| k.as_str()).collect();
    assert_eq!(written, ["dry_run", "intent", "applied", "verifying", "verifying", "outcome"]);
    let diff = &ended.preview.unwrap().diffs[0];
    assert!(diff.contains("128Mi") && diff.lines().any(|l| l.starts_with('+') && l.contains("256Mi")), "{diff}");
    assert!(stage.now() >= t0() + TimeDelta::minutes(10), "settled and observed in full");
}

#[tokio::test(start_paused = true)]
async fn the_intent_is_written_down_before_the_write_or_nothing_is_done() {
    for n in 0..3 {
        let ledger = MemoryLedger { refuse_from: Some(n), ..MemoryLedger::default() };
        let stage = Stage::with_ledger(Server::with([deployment("128Mi")]), ledger);
        stage.live(healthy);
        let ended = run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
        if n < 2 {
            assert_eq!(refusal(&ended).0, "g20");
            assert_eq!(stage.server.writes(), [] as [String; 0]);
        } else {
            assert_eq!(stage.server.writes().len(), 1);
            assert!(
                ended.story.iter().any(|m| m.what.contains("not in the journal")),
                "and the story says what is missing"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g03_a_target_changed_after_the_approval_is_not_written() {
    let cases: [(&str, Value, &str); 3] = [
        ("/spec/replicas", json!(5), "bob-edit at 2026-06-01"),
        ("/metadata/uid", json!("another"), "another object"),
        ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"), "being deleted"),
    ];
    for (place, value, why) in cases {
        let stage = Stage::new(Server::with([deployment("128Mi")]));
        let server = stage.server.clone();
        // After the dry-run, so that only the look right before the write can see it.
        let mut once = Some(value);
        server.0.lock().unwrap().before = Some(Box::new(move |line, objects| {
            if line.contains("dryRun=All") {
                return;
            }
            if objects.len() == 1 && line.starts_with("GET") {
                seen_dry_run(line, objects, place, &mut once);
            }
        }));
        let ended = run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
        assert!(matches!(ended.state, ActionState::Refused { .. }), "{place}: {:?}", ended.state);
        assert_eq!(stage.server.writes(), [] as [String; 0], "{place}");
        let text = format!("{:?}", ended.state);
        assert!(text.contains(why), "{place}: {text}");
    }
}

/// Changes the object at the second read of it: the first is the dry-run's.
fn seen_dry_run(line: &str, objects: &mut HashMap<String, Value>, place: &str, value: &mut Option<Value>) {
    let path = "/apis/apps/v1/namespaces/shop/deployments/cart";
    if !line.ends_with(path) {
        return;
    }
    let object = objects.get_mut(path).unwrap();
    if object["seen"].is_null() {
        object["seen"] = json!(true);
        return;
    }
    object.as_object_mut().unwrap().remove("seen");
    if let Some(value) = value.take() {
        if place.starts_with("/spec") {
            object["metadata"]["generation"] = json!(2);
            object["metadata"]["managedFields"] = json!([{"manager": "bob-edit", "time": "2026-06-01T00:00:00Z"}]);
        }
        let (parent, key) = place.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value;
    }
}

#[tokio::test(start_paused = true)]
async fn g17_a_moving_status_is_looked_at_again_and_a_moving_spec_is_not_overwritten() {
    let status = Mishap::Race("/status/availableReplicas", json!(2));
    let stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.live(healthy);
    stage.server.mishaps([status.clone(), status.clone()]);
    let ended = run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
    assert_eq!((ended.state.word(), stage.server.writes().len()), ("effective", 3));

    let stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.server.mishaps([Mishap::Race("/spec/replicas", json!(9))]);
    let ended = run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
    assert_eq!(refusal(&ended).0, "g03");
    assert_eq!(memory(&stage.server, "cart"), "128Mi");

    let stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.server.mishaps([status.clone(), status.clone(), status]);
    let ended = run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
    assert_eq!(refusal(&ended).0, "g17", "contended");
    assert_eq!(memory(&stage.server, "cart"), "128Mi");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_did_not_come_is_found_out_and_never_repeated() {
    let stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.live(healthy);
    stage.server.mishaps([Mishap::LoseAnswer]);
    let ended = run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
    assert_eq!((ended.state.word(), stage.server.writes().len()), ("effective", 1), "it had been written");

    for lost in [Mishap::LoseRequest, Mishap::Refuse(504, "gateway timeout")] {
        let stage = Stage::new(Server::with([deployment("128Mi")]));
        stage.server.mishaps([lost]);
        let ended = run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
        assert!(refusal(&ended).1.contains("not written"), "{:?}", ended.state);
        assert_eq!(stage.server.writes().len(), 1, "and it was not sent again");
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_honoured_within_bounds() {
    let busy = Mishap::Refuse(429, "too many requests");
    let stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.live(healthy);
    stage.server.mishaps([busy.clone(), busy.clone()]);
    let ended = run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
    assert_eq!((ended.state.word(), stage.server.writes().len()), ("effective", 3));

    let stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.server.mishaps(std::iter::repeat_n(busy, 9));
    let ended = run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
    assert_eq!((refusal(&ended).0, stage.server.writes().len()), ("g12", 5));
    assert_eq!(stage.now(), t0() + TimeDelta::seconds(12), "Retry-After: 3, four times");
}

#[tokio::test(start_paused = true)]
async fn an_eviction_names_the_pod_by_uid_in_the_words_of_policy_v1() {
    let pod = json!({"kind": "Pod", "metadata": {"name": "a", "uid": "u-a", "resourceVersion": "1"}});
    let stage = Stage::new(Server::with([pod]));
    stage.live(healthy);
    let ended = run(permit(&Case::new(vec![evict_step("a")]), AUTO), stage.deps.clone()).await;
    assert_eq!(ended.state.word(), "effective");
    let state = stage.server.0.lock().unwrap();
    let body = &state.bodies[0];
    assert_eq!((&body["apiVersion"], &body["kind"]), (&json!("policy/v1"), &json!("Eviction")));
    assert_eq!(body["deleteOptions"]["preconditions"]["uid"], "u-a");
    assert_eq!(body["deleteOptions"]["gracePeriodSeconds"], 7);
}

#[tokio::test(start_paused = true)]
async fn g07_the_kill_switch_holds_between_dry_run_and_write() {
    let dry_run = |stage: &Stage, act: Box<dyn Fn(&mut HashMap<String, Value>) + Send>| {
        stage.server.0.lock().unwrap().before = Some(Box::new(move |line, objects| {
            if line.contains("dryRun=All") {
                act(objects);
            }
        }));
    };
    let configmap = "/api/v1/namespaces/kansole/configmaps/kill-switch";
    for way in ["flag", "file", "configmap"] {
        for actor in [Actor::Auto, Actor::Person] {
            let stage = Stage::new(Server::with([deployment("128Mi")]));
            let (flag, file) = (stage.kill.clone(), stage.kill_file.clone());
            dry_run(
                &stage,
                Box::new(move |objects| match way {
                    "flag" => flag.set(true),
                    "file" => std::fs::write(&file, "").unwrap(),
                    _ => {
                        objects.insert(configmap.to_owned(), json!({"data": {"kill": "true"}}));
                    }
                }),
            );
            let mut case = Case::new(vec![raise_step("cart")]);
            case.actor = actor;
            let by = if actor == Actor::Auto { AUTO } else { "ann@box" };
            let ended = run(permit(&case, by), stage.deps.clone()).await;
            assert_eq!(refusal(&ended).0, "g07", "{way}");
            assert_eq!(stage.server.writes(), [] as [String; 0], "{way}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g07_an_unreadable_configmap_stops_auto_and_warns_persons() {
    let broken = |actor| async move {
        let stage = Stage::new(Server::default());
        let dead = kube::Client::new(
            tower::service_fn(|_: http::Request<kube::client::Body>| async {
                Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("refused"))
            }),
            "default",
        );
        let switch = KillSwitch::new(stage.kill.clone(), &stage.kill_file, "a/b", dead).unwrap();
        switch.check(actor).await
    };
    assert!(broken(Actor::Auto).await.unwrap_err().to_string().contains("auto may not act"));
    assert!(broken(Actor::Person).await.unwrap().unwrap().contains("a/b"));
    let stage = Stage::new(Server::default());
    for bad in ["", "name", "/name", "ns/", "a/b/c"] {
        let switch = KillSwitch::new(stage.kill.clone(), &stage.kill_file, bad, stage.deps.act.clone());
        assert!(switch.unwrap_err().contains("namespace/name"), "{bad:?}: an unset switch is not an open one");
    }
}

/// What may go wrong on the way of one action.
#[derive(Debug, Clone)]
struct Hazards {
    mode: usize,
    person: bool,
    paused: bool,
    killed: bool,
    stale: bool,
    gone: bool,
    rights: Option<bool>,
    owned: bool,
    opted_in: bool,
    hash: bool,
    expired: bool,
    edited: bool,
    deleted: bool,
    flag: bool,
    closing: bool,
    ledger: Option<usize>,
    dry_refused: bool,
    evicts: bool,
}

fn hazards() -> impl Strategy<Value = Hazards> {
    let rare = || proptest::bool::weighted(0.12);
    let first = (
        0usize..4,
        any::<bool>(),
        rare(),
        rare(),
        rare(),
        rare(),
        proptest::option::weighted(0.9, proptest::bool::weighted(0.9)),
        rare(),
        proptest::bool::weighted(0.9),
    );
    let second = (
        rare(),
        rare(),
        rare(),
        rare(),
        rare(),
        rare(),
        proptest::option::weighted(0.2, 0usize..3),
        rare(),
        any::<bool>(),
    );
    (first, second).prop_map(|(a, b)| Hazards {
        mode: a.0,
        person: a.1,
        paused: a.2,
        killed: a.3,
        stale: a.4,
        gone: a.5,
        rights: a.6,
        owned: a.7,
        opted_in: a.8,
        hash: b.0,
        expired: b.1,
        edited: b.2,
        deleted: b.3,
        flag: b.4,
        closing: b.5,
        ledger: b.6,
        dry_refused: b.7,
        evicts: b.8,
    })
}

/// Drives one action through guard and run with these hazards.
async fn drive(h: Hazards) -> (Option<QueueItem>, Stage) {
    let pod = json!({"kind": "Pod", "metadata": {"name": "a", "uid": "u-a", "resourceVersion": "1"}});
    let ledger = MemoryLedger { refuse_from: h.ledger, ..MemoryLedger::default() };
    let stage = Stage::with_ledger(Server::with([deployment("128Mi"), pod]), ledger);
    stage.live(healthy);
    let mut case = Case::new(vec![if h.evicts { evict_step("a") } else { raise_step("cart") }]);
    case.mode = Mode::ALL[h.mode];
    case.actor = if h.person { Actor::Person } else { Actor::Auto };
    (case.paused, case.killed) = (h.paused, h.killed.then_some("killed"));
    let mut w = workload();
    w.opted_in = h.opted_in;
    let taken = if h.stale { t0() - TimeDelta::minutes(5) } else { t0() };
    case.snapshot = snapshot(taken, w);
    if h.gone {
        case.findings.clear();
    }
    let right = case.item.proposal.plan.steps[0].right().unwrap();
    case.rights = h.rights.map(|r| (right, r)).into_iter().collect();
    if h.owned {
        let owner = crate::model::cluster::Owner::ArgoCd("app".into());
        case.surroundings = Some(crate::execute::Surroundings { owners: vec![owner], ..Default::default() });
    }
    let mut approval = approval(&case.item, if h.person { "ann@box" } else { AUTO });
    if h.hash {
        approval.hash = "0".repeat(64);
    }
    if h.expired {
        case.now = t0() + TimeDelta::hours(1);
    }
    let mut guard = Guard::new(settings::Guard::default(), GuardHistory::default());
    let Ok(permit) = guard.permit(&case.request(), approval) else { return (None, stage) };
    if h.edited {
        stage.server.edit("cart", "/spec/replicas", json!(7));
        stage.server.0.lock().unwrap().objects.insert(
            "/api/v1/namespaces/shop/pods/a".into(),
            json!({"kind": "Pod", "metadata": {"name": "a", "uid": "u-new", "resourceVersion": "5"}}),
        );
    }
    if h.deleted {
        stage.server.0.lock().unwrap().objects.clear();
    }
    stage.kill.set(h.flag);
    if h.closing {
        stage.cancel.cancel();
    }
    if h.dry_refused {
        // An admission webhook that says no: what it says to the dry-run it would say to the write.
        let mut server = stage.server.0.lock().unwrap();
        server.before = Some(Box::new(|line, objects| {
            if line.contains("dryRun=All") {
                objects.clear();
            }
        }));
    }
    (Some(run(permit, stage.deps.clone()).await), stage)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Rule 3: no permit, no write. Every refused path sends nothing but reads and dry-runs, and every write
    /// has an intent that was written down before.
    #[test]
    fn every_refused_path_sends_nothing_but_reads(h in hazards()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (refused, writes, intents, blocked) = runtime.block_on(async {
            let expected_block = h.flag || h.closing || h.edited || h.deleted || h.dry_refused || h.ledger.is_some_and(|n| n < 2);
            let (ended, stage) = drive(h.clone()).await;
            let refused = ended.is_none_or(|i| matches!(i.state, ActionState::Refused { .. }));
            let intents = kinds(&stage).iter().filter(|k| matches!(k, Kind::Intent | Kind::RevertIntent)).count();
            (refused, stage.server.writes(), intents, expected_block)
        });
        if refused {
            prop_assert!(writes.is_empty(), "{h:?} was refused and wrote {writes:?}");
        }
        prop_assert!(writes.len() <= intents, "{writes:?} with {intents} intents");
        if blocked || h.killed || h.stale || h.gone || h.hash || h.expired || h.mode == 0 || h.rights != Some(true) {
            prop_assert!(refused, "{h:?} had to be refused");
        }
    }
}
