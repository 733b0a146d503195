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
