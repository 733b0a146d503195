//! The queue's promises, and its laws under any sequence of calls.

use super::*;
use crate::execute::fixture::*;
use crate::model::action::Verdict;
use chrono::TimeDelta;
use proptest::prelude::*;

fn offered(rv: &str, limit: &str) -> Arc<Proposal> {
    let mut p = proposal(vec![raise_step("cart")]);
    p.plan.steps[0].bound.resource_version = rv.into();
    p.plan.steps[0].title = limit.into();
    if let crate::model::plan::Op::Patch { patch, .. } = &mut p.plan.steps[0].op {
        *patch = serde_json::from_value(serde_json::json!([{"op": "replace", "path": LIMIT, "value": limit}])).unwrap();
    }
    p.hash = p.plan.hash();
    p.id = Proposal::make_id(&p.fault, &p.subject, &p.hash);
    Arc::new(p)
}

#[test]
fn the_same_change_does_not_pile_up_and_stays_what_was_read() {
    let mut q = Queue::new(10);
    let first = offered("1", "256Mi");
    assert_eq!(q.offer(first.clone(), t0()), Offer::Added);
    for rv in ["2", "3", "4"] {
        assert_eq!(q.offer(offered(rv, "256Mi"), t0()), Offer::Kept(first.id.clone()), "only versions moved");
    }
    assert!(q.approve(&first.id, &first.hash, "ann", t0()).is_ok(), "what is on the screen can be approved");
}

#[test]
fn a_new_plan_for_the_same_trouble_takes_the_place_of_the_old() {
    let mut q = Queue::new(10);
    let (old, new) = (offered("1", "256Mi"), offered("2", "512Mi"));
    q.offer(old.clone(), t0());
    assert_eq!(q.offer(new.clone(), t0()), Offer::Replaced(old.id.clone()));
    assert_eq!(q.get(&old.id).unwrap().state.word(), "superseded");
    assert_eq!(q.items().iter().filter(|i| i.pending()).count(), 1, "one plan for one trouble");
    assert!(matches!(q.approve(&old.id, &old.hash, "ann", t0()), Err(QueueError::Transition { .. })));
}

#[test]
fn an_approval_names_the_hash_in_time() {
    let mut q = Queue::new(10);
    let p = offered("1", "256Mi");
    q.offer(p.clone(), t0());
    assert!(matches!(q.approve(&p.id, "other", "ann", t0()), Err(QueueError::OtherHash { .. })));
    assert!(matches!(q.approve("nothing", &p.hash, "ann", t0()), Err(QueueError::Unknown(_))));
    assert!(matches!(q.approve(&p.id, &p.hash, "ann", p.expires), Err(QueueError::Expired { .. })));
    assert_eq!(q.expire(p.expires).len(), 1);
    assert!(q.expire(p.expires).is_empty());
}

#[test]
fn a_no_is_remembered_and_a_refused_permit_gives_the_item_back() {
    let mut q = Queue::new(10);
    let p = offered("1", "256Mi");
    q.offer(p.clone(), t0());
    q.approve(&p.id, &p.hash, "ann", t0()).unwrap();
    q.unapprove(&p.id, vec![Refusal::new("g06", "paused", "resume")], t0()).unwrap();
    let item = q.get(&p.id).unwrap();
    assert!(item.pending() && item.approval.is_none() && item.blocked.len() == 1);
    q.reject(&p.id, "ann", "not now", t0()).unwrap();
    assert_eq!(q.offer(offered("2", "256Mi"), t0()), Offer::Declined(p.id.clone()));
    assert_eq!(q.offer(offered("2", "512Mi"), t0()), Offer::Added, "something else may be asked");
}

#[test]
fn withdrawn_when_the_trigger_is_gone_and_bounded_when_ended() {
    let mut q = Queue::new(3);
    for i in 0..9 {
        q.offer(offered("1", &format!("{i}Mi")), t0());
    }
    assert_eq!(q.items().len(), 4, "one waits, the last three ended ones are kept");
    assert_eq!(q.withdraw(|_| false, t0()).len(), 1);
    assert_eq!(q.items().len(), 3);
}

#[test]
fn only_what_was_applied_can_be_undone() {
    let reverting = ActionState::Reverting { why: String::new() };
    let done = ActionState::Done { verdict: Verdict::Effective, why: String::new() };
    assert!(may_become(&done, &reverting));
    for state in [ActionState::Expired, ActionState::Refused { reasons: vec![] }, ActionState::Proposed] {
        assert!(!may_become(&state, &reverting), "{state:?}");
    }
}

#[test]
fn what_the_queue_approved_gets_its_permit_from_the_guard() {
    let mut case = Case::new(vec![raise_step("cart")]);
    let mut q = Queue::new(3);
    q.offer(case.item.proposal.clone(), t0());
    case.item = (*q.approve(&case.item.proposal.id, &case.item.proposal.hash, "auto", t0()).unwrap()).clone();
    case.queue = q.items().to_vec();
    let mut guard =
        crate::execute::Guard::new(crate::config::settings::Guard::default(), crate::execute::GuardHistory::default());
    let approval = case.item.approval.clone().unwrap();
    assert!(guard.permit(&case.request(), approval.clone()).is_ok());
    let twice = guard.permit(&case.request(), approval.clone()).unwrap_err();
    assert!(twice.iter().any(|r| r.gate == "g02"), "one approval is one run");
    let later = Approval { at: t0() - TimeDelta::seconds(1), ..approval };
    assert!(guard.permit(&case.request(), later).is_err(), "another approval is not this one");
}

/// Any state, as somebody might try to put an item into it.
fn states() -> Vec<ActionState> {
    let s = String::new;
    vec![
        ActionState::Proposed,
        ActionState::Approved { by: s(), at: t0() },
        ActionState::DryRun,
        ActionState::Applying { step: 0 },
        ActionState::Verifying { since: t0(), settle: t0(), until: t0(), complete: true },
        ActionState::Reverting { why: s() },
        ActionState::Done { verdict: Verdict::Neutral, why: s() },
        ActionState::Reverted { verdict: None, why: s() },
        ActionState::Rejected { by: s(), reason: s() },
        ActionState::Expired,
        ActionState::Superseded { why: s() },
        ActionState::Refused { reasons: vec![] },
        ActionState::Failed { why: s() },
        ActionState::HandedOver { why: s() },
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_calls_breaks_the_laws(calls in prop::collection::vec((0usize..7, 0usize..4, 0usize..14), 1..60)) {
        let mut q = Queue::new(4);
        let proposals: Vec<_> = (0..4).map(|i| offered(&i.to_string(), &format!("{}Mi", 100 + i / 2))).collect();
        let all = states();
        for (n, (call, which, state)) in calls.into_iter().enumerate() {
            let now = t0() + TimeDelta::seconds(n as i64);
            let p = &proposals[which];
            let before = q.items();
            match call {
                0 | 1 => { q.offer(p.clone(), now); }
                2 => { let _ = q.approve(&p.id, &p.hash, "ann", now); }
                3 => { let _ = q.reject(&p.id, "ann", "no", now); }
                4 => { let _ = q.unapprove(&p.id, vec![], now); }
                5 => { q.withdraw(|_| state % 2 == 0, now); }
                _ => if let Some(old) = q.get(&p.id).cloned() {
                    let mut item = (*old).clone();
                    item.state = all[state].clone();
                    let _ = q.update(Arc::new(item));
                }
            }
            let items = q.items();
            for old in before.iter() {
                // The same life of an item: a new offer of an ended plan starts another one.
                let Some(new) = items.iter().find(|i| i.proposal.id == old.proposal.id && i.story.starts_with(&old.story[..1])) else { continue };
                if old.state.ended() && new.state != old.state {
                    prop_assert!(!matches!(new.state, ActionState::Approved{..} | ActionState::DryRun | ActionState::Applying{..} | ActionState::Verifying{..}), "an ended item ran: {:?} → {:?}", old.state, new.state);
                }
                if old.state != new.state {
                    prop_assert!(may_become(&old.state, &new.state) || call < 2, "{:?} → {:?}", old.state, new.state);
                }
            }
            prop_assert!(items.iter().filter(|i| i.state.in_flight()).count() <= 1, "two in flight on one target");
            prop_assert!(items.iter().filter(|i| i.pending()).count() <= 1, "piled up");
            prop_assert!(items.iter().filter(|i| i.state.ended()).count() <= 4, "ended items are bounded");
        }
    }
}
