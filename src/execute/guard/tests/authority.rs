//! By whose leave auto acts: ladder, confirmation, windows, Lease, and the budgets beside them.

use super::*;

/// A plan that makes something smaller, with fresh proof of use: what auto may do only inside a window.
fn shrinking() -> Case {
    let mut c = case();
    with_proposal(&mut c.item, |p| {
        p.effect.recovery_s = Some(60);
        p.plan = patch_plan(
            json!([{"op": "test", "path": "/spec/replicas", "value": 3}, {"op": "replace", "path": "/spec/replicas", "value": 2}]),
        );
    });
    let metrics = WorkloadMetrics {
        now: std::array::from_fn(|_| Reading::Value { value: 0.2, at: t0() }),
        history: std::array::from_fn(|_| Series::new(30, TimeDelta::hours(1))),
    };
    c.snapshot.metrics.workloads = Arc::new([(cart(), Arc::new(metrics))].into());
    c
}

fn window(cron: &str, minutes: u64, namespaces: &[&str]) -> settings::Window {
    settings::Window {
        cron: cron.into(),
        duration: std::time::Duration::from_secs(minutes * 60),
        timezone: "UTC".into(),
        namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect(),
    }
}

#[test]
fn g13_optimisation_needs_a_window_with_time_left_and_healing_needs_none() {
    let with = |windows: Vec<settings::Window>| {
        let mut guard = guard();
        guard.set_settings(settings::Guard { window: windows, ..settings::Guard::default() });
        guard
    };
    // t0 is 22:13:20 UTC; the plan needs 60 s, and ten minutes to be judged.
    let mut c = shrinking();
    assert_eq!(gates(&c), ["g13"], "no window is not every window");
    let open = |minutes| with(vec![window("0 22 * * *", minutes, &[])]);
    assert!(gates_with(&open(60), &c).is_empty());
    assert!(gates_with(&open(25), &c).is_empty(), "11:40 left");
    assert_eq!(gates_with(&open(24), &c), ["g13"], "10:40 left is not enough");
    assert_eq!(gates_with(&open(13), &c), ["g13"], "closed");
    assert_eq!(gates_with(&with(vec![window("0 22 * * *", 60, &["pay"])]), &c), ["g13"], "another namespace's");
    assert_eq!(gates_with(&with(vec![window("never", 60, &[])]), &c), ["g13"], "what cannot be read opens nothing");
    let closed_and_open = with(vec![window("0 3 * * *", 60, &[]), window("0 22 * * *", 60, &["shop"])]);
    assert!(gates_with(&closed_and_open, &c).is_empty(), "one that is open is enough");
    with_proposal(&mut c.item, |p| p.effect.recovery_s = Some(3600));
    assert_eq!(gates_with(&open(60), &c), ["g13"], "a longer plan needs a longer window");
    c.actor = Actor::Person;
    assert!(gates(&c).is_empty(), "a person chooses the time");
    assert!(gates_with(&with(vec![window("0 3 * * *", 60, &[])]), &case()).is_empty(), "healing does not wait");
}

#[test]
fn g19_auto_needs_the_lease_and_a_person_does_not() {
    use crate::model::authority::LeaseView;
    for lease in [
        LeaseView::Unknown,
        LeaseView::Free,
        LeaseView::Other { holder: "bob@box".into() },
        LeaseView::Failed { why: "forbidden".into() },
    ] {
        let mut c = case();
        c.lease = lease;
        assert_eq!(gates(&c), ["g19"], "{}", c.lease);
        c.actor = Actor::Person;
        assert!(gates(&c).is_empty());
    }
}

#[test]
fn g07_auto_is_off_unless_a_person_has_confirmed_it() {
    let mut c = case();
    for (ago, ok) in [
        (TimeDelta::hours(12) - TimeDelta::seconds(1), true),
        (TimeDelta::hours(12), false),
        (TimeDelta::hours(-1), false),
    ] {
        c.confirmed = Some(t0() - ago);
        assert_eq!(gates(&c).is_empty(), ok, "{ago}");
    }
    c.confirmed = None;
    assert_eq!(gates(&c), ["g07"]);
    c.actor = Actor::Person;
    assert!(gates(&c).is_empty(), "who approves is there");
}

#[test]
fn g08_budgets_per_kind_and_per_node() {
    use crate::model::action::Verdict::Effective;
    let many = |n: u32, edit: &dyn Fn(&mut crate::model::plan::Proposal)| {
        let items: Vec<_> = (0..n)
            .map(|i| {
                let mut item = past(TimeDelta::minutes(30), &format!("p{i}"), done(Effective));
                with_proposal(&mut item, |p| {
                    let key = crate::model::object::WorkloadKey::new(
                        "other",
                        crate::model::object::WorkloadKind::Deployment,
                        "web",
                    );
                    p.subject = Subject::Workload(key);
                    edit(p);
                });
                item
            })
            .collect();
        Guard::new(settings::Guard::default(), GuardHistory::from_items(&items))
    };
    let c = case();
    assert!(gates_with(&many(9, &|_| {}), &c).is_empty());
    assert_eq!(gates_with(&many(10, &|_| {}), &c), ["g08"], "ten reconfigurations in an hour");
    assert!(gates_with(&many(10, &|p| p.strategy = crate::model::plan::Strategy::Restart), &c).is_empty());
    let cordon = |n: &str| {
        let mut s = raise_step("cart");
        s.target = crate::model::object::ObjectRef::cluster(Resource::NODES, n);
        s
    };
    let mut c = case();
    with_proposal(&mut c.item, |p| p.plan.steps = vec![cordon("n1")]);
    c.rights =
        c.item.proposal.plan.steps.iter().filter_map(crate::model::plan::Step::right).map(|r| (r, true)).collect();
    let on = |n: u32, node: &'static str| many(n, &move |p| p.plan.steps = vec![cordon(node)]);
    assert!(gates_with(&on(1, "n1"), &c).is_empty());
    assert_eq!(gates_with(&on(2, "n1"), &c), ["g08"], "the same node for the third time");
    assert!(gates_with(&on(2, "n2"), &c).is_empty());
    let about = many(2, &|p| p.subject = Subject::Node("n1".into()));
    assert_eq!(gates_with(&about, &c), ["g08"], "what is about the node counts too");
}

#[test]
fn g06_successes_lead_up_the_ladder_and_harm_leads_down() {
    use crate::model::action::Verdict::{Effective, Harmful, Neutral, Unknown};
    use crate::model::authority::Rung;
    let start = |rung| settings::Guard { rung_start: rung, ..settings::Guard::default() };
    let hours = |states: &[ActionState]| -> Vec<QueueItem> {
        let n = states.len();
        states
            .iter()
            .enumerate()
            .map(|(i, s)| past(TimeDelta::hours((n - i) as i64 * 2), &format!("d{i}"), s.clone()))
            .collect()
    };
    let rung = |settings: settings::Guard, states: &[ActionState]| {
        let guard = Guard::new(settings, GuardHistory::from_items(&hours(states)));
        let ladder = guard.ladder();
        assert!(ladder.len() == 1 && ladder[0].engine == "healing" && &*ladder[0].namespace == "shop", "{ladder:?}");
        (ladder[0].rung, ladder[0].successes)
    };
    let good = || done(Effective);
    assert_eq!(rung(start(Rung::Approve), &[good(), good()]), (Rung::Approve, 2));
    assert_eq!(rung(start(Rung::Approve), &[good(), good(), good()]), (Rung::Canary, 0));
    assert_eq!(rung(start(Rung::Approve), &[good(), good(), done(Neutral), good()]), (Rung::Approve, 1), "in a row");
    assert_eq!(rung(start(Rung::Approve), &vec![good(); 7]), (Rung::Auto, 1), "there is nothing above");
    let low = settings::Guard { rung_ceiling: Rung::Canary, ..start(Rung::Approve) };
    assert_eq!(rung(low, &vec![good(); 9]).0, Rung::Canary, "the ceiling");
    assert_eq!(rung(start(Rung::Recommend), &vec![good(); 9]).0, Rung::Recommend, "what was set by hand stays");
    for bad in [
        done(Harmful),
        ActionState::Reverted { verdict: Some(Harmful), why: String::new() },
        ActionState::Failed { why: String::new() },
        ActionState::HandedOver { why: String::new() },
    ] {
        assert_eq!(rung(start(Rung::Auto), &[good(), bad.clone()]).0, Rung::Approve, "{bad:?}");
    }
    assert_eq!(rung(start(Rung::Auto), &[done(Neutral), done(Unknown)]).0, Rung::Auto);
    assert_eq!(rung(start(Rung::Auto), &[done(Neutral), done(Unknown), done(Neutral)]).0, Rung::Canary);
    assert_eq!(rung(start(Rung::Auto), &[done(Neutral), done(Neutral), good(), done(Neutral)]).0, Rung::Auto);
    assert_eq!(rung(start(Rung::Auto), &vec![ActionState::Refused { reasons: vec![] }; 9]).0, Rung::Auto, "never ran");
}

#[test]
fn g06_each_rung_lets_do_what_it_says() {
    use crate::model::authority::Rung;
    for (rung, auto, person) in [
        (Rung::Observe, false, false),
        (Rung::Recommend, false, false),
        (Rung::Approve, false, true),
        (Rung::Canary, true, true),
        (Rung::Auto, true, true),
    ] {
        let mut guard = guard();
        guard.set_settings(settings::Guard { rung_start: rung, ..settings::Guard::default() });
        for (actor, may) in [(Actor::Auto, auto), (Actor::Person, person)] {
            let mut c = case();
            c.actor = actor;
            assert_eq!(gates_with(&guard, &c), if may { vec![] } else { vec!["g06"] }, "{rung} {actor:?}");
        }
    }
    // The first rule that fits, by engine, namespace and action.
    let rule = |engine: &str, namespace: &str, action: &str, start| settings::RungRule {
        engine: engine.into(),
        namespace: namespace.into(),
        action: action.into(),
        start,
        ceiling: Rung::Auto,
    };
    let with = |rules: Vec<settings::RungRule>| {
        let mut guard = guard();
        guard.set_settings(settings::Guard { rung: rules, ..settings::Guard::default() });
        gates_with(&guard, &case()).is_empty()
    };
    assert!(!with(vec![rule("healing", "shop", "reconfigure", Rung::Approve)]));
    assert!(with(vec![
        rule("scaling", "*", "*", Rung::Observe),
        rule("*", "pay", "*", Rung::Observe),
        rule("*", "*", "restart", Rung::Observe)
    ]));
    assert!(with(vec![rule("*", "shop", "*", Rung::Auto), rule("*", "*", "*", Rung::Observe)]));
}

#[test]
fn g06_on_canary_the_next_workload_waits_for_the_first() {
    use crate::model::action::Verdict::{Effective, Neutral};
    let other = |ago: TimeDelta, state: ActionState| {
        let mut item = past(ago, "first", state);
        let key = crate::model::object::WorkloadKey::new("shop", crate::model::object::WorkloadKind::Deployment, "web");
        with_proposal(&mut item, |p| p.subject = Subject::Workload(key));
        Guard::new(settings::Guard { concurrent: 9, ..settings::Guard::default() }, GuardHistory::from_items([&item]))
    };
    let minutes = TimeDelta::minutes;
    let verifying = ActionState::Verifying { since: t0(), settle: t0(), until: t0(), complete: true };
    assert_eq!(gates_with(&other(minutes(30), verifying.clone()), &case()), ["g06"], "not judged yet");
    assert_eq!(gates_with(&other(minutes(300), verifying), &case()), ["g06"], "however long that takes");
    assert_eq!(gates_with(&other(minutes(30), done(Neutral)), &case()), ["g06"], "it did not help there");
    assert!(gates_with(&other(minutes(60), done(Neutral)), &case()).is_empty());
    assert!(gates_with(&other(minutes(30), done(Effective)), &case()).is_empty());
    let mut person = case();
    person.actor = Actor::Person;
    assert!(gates_with(&other(minutes(30), done(Neutral)), &person).is_empty());
    let mut auto = other(minutes(30), done(Neutral));
    auto.set_settings(settings::Guard {
        rung_start: crate::model::authority::Rung::Auto,
        ..settings::Guard::default()
    });
    assert!(gates_with(&auto, &case()).is_empty(), "on auto it does not wait");
}
