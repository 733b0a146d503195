//! A failure ends the sequence and carries what must be undone.

use super::*;
use crate::model::plan::Inverse;

/// A plan over `n` deployments d0, d1, … and a server that holds them.
fn many(n: usize) -> (Case, Server) {
    let names: Vec<String> = (0..n).map(|i| format!("d{i}")).collect();
    let mut case = Case::new(names.iter().map(|n| raise_step(n)).collect());
    case.actor = Actor::Person;
    (case, Server::with(names.iter().map(|n| named(n, "128Mi"))))
}

#[tokio::test(start_paused = true)]
async fn a_failure_short_circuits_and_undoes_exactly_what_was_written_last_first() {
    for failing in 0..4 {
        let (case, server) = many(4);
        let stage = Stage::new(server);
        stage.live(healthy);
        stage.server.mishaps(std::iter::repeat_n(Mishap::None, failing));
        stage.server.mishaps([Mishap::Refuse(403, "no")]);
        let ended = run(permit(&case, "ann@box"), stage.deps.clone()).await;
        let expected = if failing == 0 { "refused" } else { "failed" };
        assert_eq!(ended.state.word(), expected, "{:?}", ended.state);
        for i in 0..4 {
            assert_eq!(memory(&stage.server, &format!("d{i}")), "128Mi", "step {i} when {failing} fails");
        }
        let written: Vec<String> =
            stage.server.writes().iter().map(|w| w.split("deployments/").nth(1).unwrap()[..2].to_owned()).collect();
        let forward = (0..=failing).map(|i| format!("d{i}"));
        let back = (0..failing).rev().map(|i| format!("d{i}"));
        assert_eq!(written, forward.chain(back).collect::<Vec<_>>(), "nothing after the failure, undone in reverse");
    }
}

#[tokio::test(start_paused = true)]
async fn two_steps_on_one_object_expect_each_other() {
    let mut second = raise_step("cart");
    let patch = json!([{"op": "test", "path": "/spec/replicas", "value": 3}, {"op": "replace", "path": "/spec/replicas", "value": 4}]);
    second.op = Op::Patch { patch: serde_json::from_value(patch).unwrap(), subresource: None };
    second.inverse = Inverse::Impossible { why: "test".into() };
    let mut case = Case::new(vec![raise_step("cart"), second]);
    case.actor = Actor::Person;
    let stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.live(|_| {
        let mut w = healed();
        (w.generation, w.observed_generation) = (3, 3);
        (w, vec![])
    });
    let ended = run(permit(&case, "ann@box"), stage.deps.clone()).await;
    assert_eq!(ended.state.word(), "effective", "{:?}", ended.story);
    assert_eq!(stage.server.deployment("cart")["spec"]["replicas"], 4);
}

#[tokio::test(start_paused = true)]
async fn the_kill_switch_stops_the_undo_too_and_a_person_is_told() {
    let (case, server) = many(2);
    let stage = Stage::new(server);
    stage.live(healthy);
    let kill = stage.kill.clone();
    stage.server.0.lock().unwrap().before = Some(Box::new(move |line, _| {
        if line.starts_with("PATCH") && line.contains("d1") && !line.contains("dryRun") {
            kill.set(true);
        }
    }));
    stage.server.mishaps([Mishap::None, Mishap::Refuse(403, "no")]);
    let ended = run(permit(&case, "ann@box"), stage.deps.clone()).await;
    assert_eq!(ended.state.word(), "handed over");
    assert_eq!(stage.server.writes().len(), 2, "both writes of the plan, and nothing after the switch");
}

#[tokio::test(start_paused = true)]
async fn the_operators_undo_goes_back_and_not_over_others() {
    for changed in [false, true] {
        let mut case = Case::new(vec![raise_step("cart")]);
        let stage = Stage::new(Server::with([deployment("128Mi")]));
        stage.live(healthy);
        let ended = run(permit(&case, AUTO), stage.deps.clone()).await;
        if changed {
            stage.server.edit("cart", LIMIT, json!("1Gi"));
        }
        (case.item, case.actor, case.now) = (ended, Actor::Person, stage.now());
        let mut guard = Guard::new(settings::Guard::default(), GuardHistory::default());
        let permit = guard.permit_revert(&case.request(), "ann@box").unwrap();
        let reverted = revert(permit, stage.deps.clone()).await;
        let (word, left) = if changed { ("handed over", "1Gi") } else { ("reverted", "128Mi") };
        assert_eq!(
            (reverted.state.word(), memory(&stage.server, "cart").as_str()),
            (word, left),
            "{:?}",
            reverted.state
        );
        if changed {
            assert!(format!("{:?}", reverted.state).contains("bob-edit"), "it says who");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_permit_permits_only_what_it_is_for() {
    let case = Case::new(vec![raise_step("cart")]);
    let stage = Stage::new(Server::with([deployment("128Mi")]));
    let untouched = revert(permit(&case, AUTO), stage.deps.clone()).await;
    assert_eq!(untouched.state.word(), "approved");
    let untouched = crate::execute::resume(permit(&case, AUTO), stage.deps.clone()).await;
    assert_eq!(untouched.state.word(), "approved");
    assert_eq!(stage.server.writes(), [] as [String; 0]);
}
