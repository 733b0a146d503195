//! Rows of the threat model that hold while an action runs, and not before.

use super::*;

#[tokio::test(start_paused = true)]
async fn g04_what_the_server_refuses_to_dry_run_is_not_written() {
    // The plan tests for 128Mi: the server's dry-run says that this is not so.
    let mut case = Case::new(vec![raise_step("cart")]);
    case.actor = Actor::Person;
    let stage = Stage::new(Server::with([deployment("64Mi")]));
    let ended = run(permit(&case, "ann@box"), stage.deps.clone()).await;
    assert_eq!(refusal(&ended).0, "g04", "{:?}", ended.state);
    assert_eq!(stage.server.writes(), [] as [String; 0]);
    assert!(ended.preview.is_some_and(|p| p.refused.is_some()), "and the operator sees what the server said");
}

#[tokio::test(start_paused = true)]
async fn g23_what_a_server_or_an_object_says_is_text_and_moves_no_cursor() {
    let mut case = Case::new(vec![raise_step("cart")]);
    case.actor = Actor::Person;
    let stage = Stage::new(Server::with([deployment("128Mi")]));
    stage.server.mishaps([Mishap::Refuse(403, "no\u{1b}]0;approved\u{7}\u{1b}[2J\r\nby policy")]);
    let ended = run(permit(&case, "ann@box"), stage.deps.clone()).await;
    let (gate, why) = refusal(&ended);
    assert_eq!(gate, "g18");
    assert!(why.contains("by policy") && !why.chars().any(char::is_control), "{why:?}");
    // Who wrote last is a name that anybody may choose.
    let mut object = deployment("128Mi");
    object["metadata"]["managedFields"] = json!([{"manager": "a\u{1b}[31mb\u{202e}", "time": "t\u{7}"}]);
    let who = crate::execute::recheck::newest_manager(&object).unwrap();
    assert!(!who.chars().any(char::is_control), "{who:?}");
}

#[test]
fn g14_a_number_that_is_none_is_no_improvement() {
    use crate::execute::health::settled_harm;
    use crate::model::action::Health;
    let health = |p99: f64, errors: f64| Health { p99_s: Some(p99), error_rate: Some(errors), ..Health::default() };
    let calm = health(0.1, 0.0);
    assert!(settled_harm(&calm, &health(0.5, 0.2)).is_some());
    assert!(settled_harm(&calm, &health(0.5, 0.005)).is_none(), "slower, and within the objective");
    // A reading that is no number never gets so far: it is stale or failed, and what was not read is not better.
    for nonsense in [f64::NAN, f64::INFINITY] {
        let limit = TimeDelta::seconds(60);
        let reading = crate::model::reading::Reading::from_sample(nonsense, t0(), t0(), limit);
        assert_eq!(reading.fresh(), None);
    }
}

#[test]
fn g14_being_held_back_at_the_cpu_limit_is_harm() {
    use crate::execute::health::held_back;
    use crate::model::action::Health;
    let health = |share: Option<f64>| Health { throttled: share, ..Health::default() };
    let judged = |before, after| held_back(&health(before), &health(after)).is_some();
    assert!(judged(Some(0.3), Some(0.55)), "more than half of all periods");
    assert!(judged(Some(0.1), Some(0.35)), "20 points more");
    assert!(!judged(Some(0.1), Some(0.25)));
    assert!(!judged(Some(0.7), Some(0.75)), "it was so before");
    assert!(!judged(None, Some(0.9)) && !judged(Some(0.1), None), "what is not known is no harm");
}

#[test]
fn g14_a_budget_that_is_used_up_is_harm_if_pods_are_missing() {
    use crate::execute::health::{Baseline, allowed, used_up};
    use crate::model::cluster::PdbRow;
    let case = Case::new(vec![raise_step("cart")]);
    let proposal = &case.item.proposal;
    let with = |left: u32, healthy: u32| {
        let row = PdbRow {
            namespace: "shop".into(),
            name: "cart".into(),
            selector: None,
            allowed: left,
            healthy,
            desired: 2,
        };
        let mut snapshot = case.snapshot.clone();
        snapshot.pdbs = std::sync::Arc::from([std::sync::Arc::new(row)]);
        snapshot
    };
    let names: Vec<std::sync::Arc<str>> = vec!["cart".into()];
    let base = |left: u32, names: &[std::sync::Arc<str>]| {
        let mut base = Baseline::default();
        base.before.budgets = allowed(proposal, names, &with(left, 3));
        base
    };
    assert!(used_up(proposal, &base(1, &names), &with(0, 2)).is_some_and(|why| why.contains("budget cart")));
    assert_eq!(used_up(proposal, &base(1, &names), &with(1, 3)), None);
    assert_eq!(used_up(proposal, &base(1, &names), &with(0, 3)), None, "all wanted pods are healthy: fewer are wanted");
    assert_eq!(used_up(proposal, &base(0, &names), &with(0, 2)), None, "it allowed none before");
    assert_eq!(used_up(proposal, &base(1, &[]), &with(0, 2)), None, "another workload's budget");
}
