//! One test per gate; each fails if its gate is removed. All start from a case that nothing speaks against.

use super::*;
use crate::execute::fixture::*;
use crate::execute::surroundings::Budget;
use crate::model::cluster::{HpaRow, Owner};
use crate::model::finding::{Fault, Subject};
use crate::model::object::Resource;
use crate::model::plan::{Op, Strategy};
use crate::model::reading::Reading;
use crate::model::series::Series;
use crate::model::snapshot::{SourceState, WorkloadMetrics};
use chrono::TimeDelta;
use serde_json::json;

mod authority;
mod places;

fn guard() -> Guard {
    Guard::new(settings::Guard::default(), GuardHistory::default())
}

fn gates(case: &Case) -> Vec<String> {
    gates_with(&guard(), case)
}

fn gates_with(guard: &Guard, case: &Case) -> Vec<String> {
    let mut names: Vec<String> = guard.review(&case.request()).into_iter().map(|r| r.gate).collect();
    names.dedup();
    names
}

fn case() -> Case {
    Case::new(vec![raise_step("cart")])
}

fn workload_of(case: &mut Case, edit: impl FnOnce(&mut crate::model::cluster::Workload)) {
    let mut w = workload();
    edit(&mut w);
    case.snapshot.workloads = Arc::from([Arc::new(w)]);
}

/// A past action of auto on the case's subject, `ago` before now, in this state.
fn past(ago: TimeDelta, id: &str, state: ActionState) -> QueueItem {
    let mut item = item(vec![raise_step("cart")]);
    with_proposal(&mut item, |p| p.id = id.into());
    item.approval = Some(Approval { by: AUTO.into(), at: t0() - ago, hash: item.proposal.hash.clone() });
    item.state = state;
    item
}

fn done(verdict: crate::model::action::Verdict) -> ActionState {
    ActionState::Done { verdict, why: String::new() }
}

#[test]
fn nothing_speaks_against_the_good_case() {
    assert_eq!(guard().review(&case().request()), vec![]);
    let c = case();
    let permit = guard().permit(&c.request(), approval(&c.item, AUTO)).unwrap();
    assert_eq!((permit.approver(), permit.plan()), (AUTO, &c.item.proposal.plan));
}

#[test]
fn g01_stale_data_is_no_basis() {
    let old = SourceState::Live { last: t0() - TimeDelta::seconds(61) };
    let mut c = case();
    c.actor = Actor::Person;
    c.snapshot.api.state = old.clone();
    assert_eq!(gates(&c), ["g01"], "holds for persons too");
    for kind in ["pods", "deployments"] {
        let mut c = case();
        let mut sources = c.snapshot.sources.to_vec();
        sources.iter_mut().find(|s| &*s.name == kind).unwrap().state = old.clone();
        c.snapshot.sources = sources.into();
        assert_eq!(gates(&c), ["g01"], "{kind}");
    }
    let mut c = case();
    c.snapshot.sources = Arc::from([]);
    assert_eq!(gates(&c), ["g01"], "a kind that is not watched is not fresh");
    let mut c = case();
    c.snapshot.metrics.state = old;
    assert_eq!(gates(&c), [] as [&str; 0], "a fault read off the API does not need metrics");
    with_proposal(&mut c.item, |p| {
        p.fault = Fault::Saturated { resource: "cpu".into(), utilisation: 1.2, target: 0.7 };
    });
    assert_eq!(gates(&c), ["g01"], "one read off metrics does");
}

#[test]
fn g01_nothing_shrinks_without_fresh_proof() {
    let mut c = case();
    c.actor = Actor::Person; // holds for everybody, and auto needs a window besides
    with_proposal(&mut c.item, |p| {
        p.plan = patch_plan(
            json!([{"op": "test", "path": "/spec/replicas", "value": 3}, {"op": "replace", "path": "/spec/replicas", "value": 2}]),
        );
    });
    assert_eq!(gates(&c), ["g01"], "not measured at all");
    let metrics = |reading: Reading| WorkloadMetrics {
        now: std::array::from_fn(|_| reading.clone()),
        history: std::array::from_fn(|_| Series::new(30, TimeDelta::hours(1))),
    };
    for (reading, ok) in [
        (Reading::Value { value: 0.2, at: t0() }, true),
        (Reading::Zero { at: t0() }, true),
        (Reading::Stale { value: 0.2, at: t0() }, false),
        (Reading::Absent, false),
        (Reading::Failed { why: "x".into() }, false),
    ] {
        c.snapshot.metrics.workloads = Arc::new([(cart(), Arc::new(metrics(reading.clone())))].into());
        assert_eq!(gates(&c).is_empty(), ok, "{reading:?}");
    }
}

#[test]
fn g02_only_the_plan_that_was_shown() {
    let mut c = case();
    let shown = approval(&c.item, AUTO);
    with_proposal(&mut c.item, |p| p.plan.steps[0].title = "something else".into());
    let refused = guard().permit(&c.request(), shown).unwrap_err();
    assert_eq!(refused[0].gate, "g02");
    let mut c = case();
    Arc::make_mut(&mut c.item.proposal).plan.steps[0].title = "something else".into();
    assert_eq!(gates(&c), ["g02"], "the hash beside it is not the plan's");
    let mut c = case();
    with_proposal(&mut c.item, |p| p.plan.cluster = "elsewhere".into());
    assert_eq!(gates(&c), ["g02"], "another cluster's plan");
    let mut c = case();
    with_proposal(&mut c.item, |p| p.plan.steps.clear());
    assert_eq!(gates(&c), ["g02"], "advice cannot run");
}

#[test]
fn g02_an_approval_says_who_and_is_used_once() {
    let mut c = case();
    let of = |c: &Case, by: &str| guard().permit(&c.request(), approval(&c.item, by)).unwrap_err()[0].gate.clone();
    assert_eq!(of(&c, "ann@box"), "g02", "a person's name on what auto asks");
    assert_eq!(of(&c, ""), "g02");
    c.item.state = done(crate::model::action::Verdict::Effective);
    assert_eq!(of(&c, AUTO), "g02", "an action that has run does not run again");
}

#[test]
fn g03_the_trigger_must_still_be_there() {
    let mut c = case();
    c.findings.clear();
    assert_eq!(gates(&c), ["g03"]);
}

#[test]
fn g05_approvals_end() {
    let mut c = case();
    with_proposal(&mut c.item, |p| p.expires = t0());
    assert_eq!(gates(&c), ["g05"]);
    let c = case();
    let mut early = approval(&c.item, AUTO);
    early.at = c.item.proposal.created - TimeDelta::seconds(1);
    assert_eq!(guard().permit(&c.request(), early).unwrap_err()[0].gate, "g05", "older than the plan");
}

#[test]
fn g06_the_mode_decides_who_may() {
    for (mode, auto, person) in [
        (Mode::Observe, false, false),
        (Mode::Manual, false, true),
        (Mode::Step, false, true),
        (Mode::Auto, true, true),
    ] {
        for (actor, may) in [(Actor::Auto, auto), (Actor::Person, person)] {
            let mut c = case();
            (c.mode, c.actor) = (mode, actor);
            assert_eq!(gates(&c).is_empty(), may, "{mode} {actor:?}");
        }
    }
    let mut c = case();
    c.paused = true;
    assert_eq!(gates(&c), ["g06"]);
    c.actor = Actor::Person;
    assert!(gates(&c).is_empty(), "pausing auto does not stop a person");
    c.read_only = Some("--read-only");
    assert_eq!(gates(&c), ["g06"]);
}

#[test]
fn g07_the_kill_switch_stops_everybody() {
    let mut c = case();
    c.killed = Some("the kill switch is on");
    assert_eq!(gates(&c), ["g07"]);
    c.actor = Actor::Person;
    assert_eq!(gates(&c), ["g07"]);
}

#[test]
fn g08_limits_by_hour_namespace_and_at_once() {
    use crate::model::action::Verdict::Effective;
    let elsewhere = |i: u32, ns: &str| {
        let mut item = past(TimeDelta::minutes(30), &format!("p{i}"), done(Effective));
        let key = crate::model::object::WorkloadKey::new(ns, crate::model::object::WorkloadKind::Deployment, "web");
        with_proposal(&mut item, |p| {
            p.subject = Subject::Workload(key);
            p.strategy = [Strategy::Restart, Strategy::Rollback, Strategy::Scale][i as usize % 3];
        });
        item
    };
    let with = |n: u32, ns: &str| {
        let items: Vec<_> = (0..n).map(|i| elsewhere(i, ns)).collect();
        Guard::new(settings::Guard::default(), GuardHistory::from_items(&items))
    };
    let mut c = case();
    assert!(gates_with(&with(5, "shop"), &c).is_empty());
    assert_eq!(gates_with(&with(6, "shop"), &c), ["g08"], "six in this namespace");
    assert!(gates_with(&with(19, "other"), &c).is_empty());
    assert_eq!(gates_with(&with(20, "other"), &c), ["g08"], "twenty in all");
    c.actor = Actor::Person;
    assert!(gates_with(&with(20, "other"), &c).is_empty(), "what auto used up does not stop a person");
    let mut other = elsewhere(0, "other");
    other.state = ActionState::DryRun;
    with_proposal(&mut other, |p| p.plan.steps = vec![raise_step("web")]);
    c.queue = vec![Arc::new(other)];
    assert_eq!(gates(&c), ["g08"], "one at a time holds for everybody");
    let mut c = case();
    with_proposal(&mut c.item, |p| p.plan.steps[0].target.namespace = None);
    assert!(gates(&c).contains(&"g08".to_owned()), "what cannot be counted is refused");
}

#[test]
fn g08_a_permit_takes_its_slot_and_a_restart_refills_nothing() {
    let mut guard = guard();
    let c = case();
    let permit = guard.permit(&c.request(), approval(&c.item, AUTO)).unwrap();
    assert!(gates_with(&guard, &c).contains(&"g09".to_owned()), "the pause began with the permit");
    let mut ended = permit.item().clone();
    ended.state = done(crate::model::action::Verdict::Neutral);
    let restored = Guard::new(settings::Guard::default(), GuardHistory::from_items([&ended]));
    assert_eq!(gates_with(&restored, &c), ["g09"]);
    ended.state = ActionState::Refused { reasons: vec![] };
    guard.conclude(&ended);
    assert!(gates_with(&guard, &c).is_empty(), "what never came to a write gives its slot back");
}

#[test]
fn g09_pause_streak_and_memory() {
    use crate::model::action::Verdict::{Effective, Harmful, Neutral};
    let history = |items: Vec<QueueItem>| Guard::new(settings::Guard::default(), GuardHistory::from_items(&items));
    let mut c = case();
    with_proposal(&mut c.item, |p| p.plan = patch_plan(json!([{"op": "add", "path": "/spec/paused", "value": false}])));
    let hours = |h: i64| TimeDelta::hours(h);
    assert_eq!(gates_with(&history(vec![past(TimeDelta::seconds(299), "a", done(Effective))]), &c), ["g09"]);
    assert!(gates_with(&history(vec![past(TimeDelta::seconds(300), "a", done(Effective))]), &c).is_empty());
    let bad =
        |last| vec![past(hours(4), "a", done(Neutral)), past(hours(3), "b", done(Harmful)), past(hours(2), "c", last)];
    let stopped = gates_with(&history(bad(done(Neutral))), &c);
    assert!(stopped.contains(&"g09".to_owned()), "three in a row did not help: {stopped:?}");
    let streak = |last| gates_with(&history(bad(last)), &c).contains(&"g09".to_owned());
    assert!(!streak(done(Effective)), "one that helped ends the row");
    assert!(!streak(ActionState::Expired), "one that never ran does not count");
    c.actor = Actor::Person;
    assert!(gates_with(&history(bad(done(Neutral))), &c).is_empty(), "the person who looks is not stopped");
    let c = case();
    let raised = |n: i64| (0..n).map(|i| past(hours(2 + i), &format!("r{i}"), done(Effective))).collect();
    assert!(gates_with(&history(raised(2)), &c).is_empty());
    assert_eq!(gates_with(&history(raised(3)), &c), ["g09"], "memory is raised three times, no more");
}

#[test]
fn g10_one_actor_per_target() {
    let mut c = case();
    c.actor = Actor::Person;
    let mut other = item(vec![raise_step("cart")]);
    with_proposal(&mut other, |p| {
        p.id = "other".into();
        p.subject = Subject::Cluster; // another engine, the same object
    });
    other.state = ActionState::Approved { by: "x".into(), at: t0() };
    c.queue = vec![Arc::new(other)];
    let mut guard = guard();
    guard.set_settings(settings::Guard { concurrent: 5, ..settings::Guard::default() });
    assert_eq!(gates_with(&guard, &c), ["g10"]);
}

#[test]
fn g11_systemic_trouble_stops_auto() {
    let mut c = case();
    c.findings.push(finding("systemic:cluster", Fault::Systemic { share: 0.4, scope: "namespace shop".into() }));
    assert_eq!(gates(&c), ["g11"]);
    c.actor = Actor::Person;
    assert!(gates(&c).is_empty());
    let mut c = case();
    c.actor = Actor::Auto;
    let node = |n: &str| {
        let mut s = raise_step("cart");
        s.target = crate::model::object::ObjectRef::cluster(Resource::NODES, n);
        s
    };
    with_proposal(&mut c.item, |p| p.plan.steps = vec![node("n1"), node("n2")]);
    assert!(gates(&c).contains(&"g11".to_owned()), "more than one node");
}

#[test]
fn g12_evictions_are_counted_against_budgets() {
    let mut c = Case::new(vec![evict_step("a"), evict_step("b")]);
    c.actor = Actor::Person;
    let budget = |allowed| Budget { name: "pdb".into(), allowed, pods: vec!["a".into(), "b".into()] };
    let with = |c: &mut Case, budgets| c.surroundings = Some(Surroundings { budgets, ..Surroundings::default() });
    with(&mut c, vec![budget(Some(2))]);
    assert!(gates(&c).is_empty());
    with(&mut c, vec![budget(Some(1))]);
    assert_eq!(gates(&c), ["g12"], "each dry-run would pass, both together do not");
    with_proposal(&mut c.item, |p| p.plan.steps[0].gate = crate::model::plan::Gate::WorkloadReady);
    assert!(gates(&c).is_empty(), "one after the other does");
    with(&mut c, vec![budget(None)]);
    assert_eq!(gates(&c), ["g12"], "a stale budget allows nothing");
    with(&mut c, vec![budget(Some(2)), budget(Some(2))]);
    assert_eq!(gates(&c), ["g12"], "two budgets on one pod");
    c.surroundings = None;
    assert!(gates(&c).contains(&"g12".to_owned()), "not looked at");
    c.surroundings = Some(Surroundings { gaps: vec!["pdbs: forbidden".into()], ..Surroundings::default() });
    assert_eq!(gates(&c), ["g12"], "not readable");
}

#[test]
fn g12_single_replicas_need_a_person() {
    let mut c = case();
    workload_of(&mut c, |w| w.replicas.desired = 1);
    assert_eq!(gates(&c), ["g12"]);
    c.actor = Actor::Person;
    assert!(gates(&c).is_empty());
}

#[test]
fn g14_auto_does_only_what_can_be_undone() {
    let mut c = case();
    with_proposal(&mut c.item, |p| p.plan.steps[0].inverse = Inverse::Impossible { why: "x".into() });
    assert_eq!(gates(&c), ["g14"]);
    let mut c = case();
    with_proposal(&mut c.item, |p| p.risk = crate::model::plan::Risk::High);
    assert_eq!(gates(&c), ["g14"]);
    c.actor = Actor::Person;
    assert!(gates(&c).is_empty());
}

#[test]
fn g15_autoscalers_keep_what_is_theirs() {
    let own = |c: &mut Case, owner: Owner| workload_of(c, |w| w.owners = Arc::from([owner]));
    let mut c = case();
    c.actor = Actor::Person;
    own(&mut c, Owner::Vpa("v".into()));
    assert_eq!(gates(&c), ["g15"], "holds for persons too");
    own(&mut c, Owner::Hpa("h".into()));
    assert!(gates(&c).is_empty(), "an HPA does not own limits");
    with_proposal(&mut c.item, |p| {
        p.plan = patch_plan(
            json!([{"op": "test", "path": "/spec/replicas", "value": 3}, {"op": "replace", "path": "/spec/replicas", "value": 4}]),
        );
    });
    assert_eq!(gates(&c), ["g15"], "it owns replicas");
    let mut c = case();
    let path = "/spec/template/spec/containers/0/resources/requests/memory";
    with_proposal(&mut c.item, |p| {
        p.plan = patch_plan(
            json!([{"op": "test", "path": path, "value": "1Mi"}, {"op": "replace", "path": path, "value": "2Mi"}]),
        );
    });
    let hpa = HpaRow {
        namespace: "shop".into(),
        name: "h".into(),
        target: cart(),
        min: 1,
        max: 5,
        current: 3,
        desired: 3,
        resources: Box::new(["memory".into()]),
        blocked: None,
        scaling: None,
    };
    c.snapshot.hpas = Arc::from([Arc::new(hpa)]);
    assert_eq!(gates(&c), ["g15"], "a changed request would move the HPA's percentage");
}

#[test]
fn g16_what_is_declared_elsewhere_is_changed_there() {
    for owner in
        [Owner::ArgoCd("a".into()), Owner::Flux("f".into()), Owner::Helm("h".into()), Owner::Operator("o".into())]
    {
        let mut c = case();
        c.actor = Actor::Person;
        c.surroundings = Some(Surroundings { owners: vec![owner.clone()], ..Surroundings::default() });
        assert_eq!(gates(&c), ["g16"], "{owner}");
        let mut c = Case::new(vec![evict_step("a")]);
        c.surroundings = Some(Surroundings { owners: vec![owner], ..Surroundings::default() });
        assert!(gates(&c).is_empty(), "evicting a pod changes nobody's desired state");
    }
    let mut c = case();
    c.surroundings = None;
    assert_eq!(gates(&c), ["g16"], "not looked at is not nobody");
    c.surroundings = Some(Surroundings { gaps: vec!["hpas: forbidden".into()], ..Surroundings::default() });
    assert_eq!(gates(&c), ["g16"], "not readable is not nobody");
}

#[test]
fn g18_a_right_that_is_missing_or_unknown() {
    for known in [Some(false), None] {
        let mut c = case();
        c.actor = Actor::Person;
        let right = c.item.proposal.plan.steps[0].right().unwrap();
        c.rights.clear();
        c.rights.extend(known.map(|k| (right, k)));
        assert_eq!(gates(&c), ["g18"], "{known:?}");
    }
}

#[test]
fn g21_auto_acts_only_where_it_was_let_in() {
    let mut c = case();
    workload_of(&mut c, |w| w.opted_in = false);
    assert_eq!(gates(&c), ["g21"]);
    c.actor = Actor::Person;
    assert!(gates(&c).is_empty());
    let c = case();
    let mut guard = guard();
    guard.set_settings(settings::Guard { protected: vec!["shop".into()], ..settings::Guard::default() });
    assert_eq!(gates_with(&guard, &c), ["g21"]);
    let mut c = case();
    with_proposal(&mut c.item, |p| p.plan.steps[0].target.namespace = Some("kube-system".into()));
    assert!(gates(&c).contains(&"g21".to_owned()), "a step that reaches into kube-system");
}

#[test]
fn g22_auto_stands_back_when_its_own_ground_shakes() {
    for (latency, skew) in [(Some(2001.0), Some(0.0)), (None, Some(0.0)), (Some(5.0), Some(-31.0)), (Some(5.0), None)] {
        let mut c = case();
        (c.snapshot.api.latency_ms, c.snapshot.api.clock_skew_s) = (latency, skew);
        assert_eq!(gates(&c), ["g22"], "{latency:?} {skew:?}");
        c.actor = Actor::Person;
        assert!(gates(&c).is_empty());
    }
}

#[test]
fn g22_auto_stands_back_when_it_is_throttled_or_its_exporters_are_down() {
    use crate::model::snapshot::Targets;
    let mut c = case();
    c.snapshot.api.throttled = 2;
    assert!(gates(&c).is_empty());
    c.snapshot.api.throttled = 3;
    assert_eq!(gates(&c), ["g22"]);
    c.actor = Actor::Person;
    assert!(gates(&c).is_empty());
    let mut c = case();
    let down = |c: &mut Case, down| {
        c.snapshot.metrics.targets = Arc::from([Targets { name: "cAdvisor".into(), all: 10, down }]);
    };
    down(&mut c, 3);
    assert!(gates(&c).is_empty(), "a fault read off the API is healed: the dead node took its exporter with it");
    with_proposal(&mut c.item, |p| {
        p.fault = Fault::Saturated { resource: "cpu".into(), utilisation: 1.2, target: 0.7 };
    });
    assert_eq!(gates(&c), ["g22"], "one read off metrics is not");
    down(&mut c, 2);
    assert!(gates(&c).is_empty(), "a fifth may be down");
}

#[test]
fn an_undo_needs_something_that_was_applied() {
    let mut c = case();
    c.actor = Actor::Person;
    assert_eq!(guard().permit_revert(&c.request(), "ann@box").unwrap_err()[0].gate, "g14");
    c.item.approval = Some(approval(&c.item, "ann@box"));
    c.item.state = done(crate::model::action::Verdict::Effective);
    assert!(guard().permit_revert(&c.request(), "ann@box").is_ok());
    c.killed = Some("killed");
    assert_eq!(guard().permit_revert(&c.request(), "ann@box").unwrap_err()[0].gate, "g07");
    c.killed = None;
    with_proposal(&mut c.item, |p| p.plan.steps = vec![evict_step("a")]);
    let gates: Vec<_> = guard().permit_revert(&c.request(), "x").unwrap_err().into_iter().map(|r| r.gate).collect();
    assert!(gates.contains(&"g14".to_owned()), "an eviction has no undo");
    assert!(matches!(c.item.proposal.plan.steps[0].op, Op::Evict { .. }));
}
