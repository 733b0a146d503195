//! kill -9 in every state: the next start finds what was in flight, looks at the cluster, and applies nothing.

use super::*;
use crate::execute::resume;

/// The item as the ledger held it when kansole died after its n-th entry.
fn stored(stage: &Stage, n: usize) -> QueueItem {
    stage.ledger.entries.lock().unwrap()[n].1.clone().unwrap()
}

/// Takes an item up again over what the cluster is now.
async fn take_up(stage: &Stage, item: QueueItem) -> (QueueItem, Vec<String>) {
    let mut case = Case::new(vec![raise_step("cart")]);
    (case.item, case.actor, case.now) = (item, Actor::Person, stage.now());
    let mut guard = Guard::new(settings::Guard::default(), GuardHistory::default());
    let permit = guard.permit_resume(&case.request()).unwrap();
    let before = stage.server.writes().len();
    let ended = resume(permit, stage.deps.clone()).await;
    (ended, stage.server.writes().split_off(before))
}

async fn ran() -> Stage {
    let stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.live(healthy);
    run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn nothing_is_applied_twice_whatever_the_state_at_the_crash() {
    let stage = ran().await;
    // 0: dry-run. 1: intent. 2: applied. 3, 4: verifying.
    let expected = ["superseded", "effective", "effective", "effective", "effective"];
    for (n, word) in expected.into_iter().enumerate() {
        let item = stored(&stage, n);
        assert!(item.state.in_flight());
        let (ended, writes) = take_up(&stage, item).await;
        assert_eq!(ended.state.word(), word, "after entry {n}: {:?}", ended.state);
        assert_eq!(writes, [] as [String; 0], "after entry {n}");
        assert_eq!(memory(&stage.server, "cart"), "256Mi");
    }
}

#[tokio::test(start_paused = true)]
async fn an_intent_that_never_became_a_write_ends_as_failed() {
    let stage = ran().await;
    let item = stored(&stage, 1);
    stage.server.put(deployment("128Mi"));
    let (ended, writes) = take_up(&stage, item).await;
    assert_eq!((ended.state.word(), writes.len()), ("failed", 0));
}

#[tokio::test(start_paused = true)]
async fn the_same_values_from_somebody_else_are_not_taken_for_ours() {
    let stage = ran().await;
    let item = stored(&stage, 1);
    stage.server.put(deployment("256Mi")); // without our annotation
    let (ended, writes) = take_up(&stage, item).await;
    assert_eq!((ended.state.word(), writes.len()), ("failed", 0));
    assert_eq!(memory(&stage.server, "cart"), "256Mi");
}

#[tokio::test(start_paused = true)]
async fn a_change_by_somebody_else_meanwhile_is_handed_over() {
    let stage = ran().await;
    let item = stored(&stage, 3);
    stage.server.edit("cart", LIMIT, json!("1Gi"));
    let (ended, writes) = take_up(&stage, item).await;
    assert_eq!((ended.state.word(), writes.len()), ("handed over", 0));
}

#[tokio::test(start_paused = true)]
async fn an_undo_goes_on_and_is_not_repeated() {
    for done in [false, true] {
        let stage = ran().await;
        let mut item = stored(&stage, 4);
        item.state = ActionState::Reverting { why: "harmful".into() };
        if done {
            stage.server.put(deployment("128Mi"));
        }
        let (ended, writes) = take_up(&stage, item).await;
        assert_eq!((ended.state.word(), writes.len()), ("reverted", usize::from(!done)));
        assert_eq!(memory(&stage.server, "cart"), "128Mi");
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_plan_is_undone() {
    let mut case = Case::new(vec![raise_step("d0"), raise_step("d1")]);
    case.actor = Actor::Person;
    let stage = Stage::new(Server::with([named("d0", "128Mi"), named("d1", "128Mi")]));
    stage.live(healthy);
    run(permit(&case, "ann@box"), stage.deps.clone()).await;
    let item = stored(&stage, 2); // the first step was written, the second was not
    stage.server.put(named("d1", "128Mi"));
    let (ended, writes) = take_up(&stage, item).await;
    assert_eq!((ended.state.word(), writes.len()), ("reverted", 1), "{:?}", ended.state);
    assert_eq!(memory(&stage.server, "d0"), "128Mi");
}

#[tokio::test(start_paused = true)]
async fn closing_while_verifying_leaves_it_in_flight() {
    let stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.live(healthy);
    let cancel = stage.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        cancel.cancel();
    });
    let item = run(permit(&Case::new(vec![raise_step("cart")]), AUTO), stage.deps.clone()).await;
    assert_eq!(item.state.word(), "verifying");
    let entries = kinds(&stage).len();
    let last = stored(&stage, entries - 1);
    assert_eq!(last.state, item.state, "and so it is stored");
}

#[test]
fn a_stored_plan_that_is_not_the_approved_one_is_not_taken_up() {
    let mut case = Case::new(vec![raise_step("cart")]);
    case.item.state = ActionState::Applying { step: 0 };
    case.item.approval = Some(Approval { by: AUTO.into(), at: t0(), hash: "x".into() });
    let mut guard = Guard::new(settings::Guard::default(), GuardHistory::default());
    assert_eq!(guard.permit_resume(&case.request()).unwrap_err()[0].gate, "g02");
}
