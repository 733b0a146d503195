//! Promises of the queue.

use super::super::fixtures::{ago, ctx, item, now, proposal, troubled, unicode};
use super::super::tests::draw;
use super::*;
use crate::autopilot::world;
use crate::autopilot::world::{Brakes, Command};
use crate::model::action::{ActionState, QueueItem, Verdict};
use crate::model::mode::Mode;
use crate::model::plan::Risk;
use rows::Group;

/// A pane that has the focus and has seen the world once.
fn opened(world: &Arc<World>) -> Actions {
    let theme = unicode();
    let before = Ctx { now: ago(1), ..ctx(world, &theme, true) };
    let mut pane = Actions::default();
    pane.sync(&Ctx { focused: false, ..before });
    pane.sync(&before);
    pane
}

fn ids(pane: &Actions) -> Vec<String> {
    let word = |key| match key {
        Key::Item(id) => id.to_string(),
        Key::New => "-- new --".to_owned(),
        Key::Head(name) => format!("[{name}]"),
    };
    (0..pane.rows.entries.len()).map(|i| word(pane.rows.key(i))).collect()
}

/// Puts the cursor on the first proposal of a class.
fn select(pane: &mut Actions, class: &str) {
    let place = pane.rows.all.iter().find(|r| r.item.pending() && r.item.proposal.fault.class() == class).unwrap();
    pane.cursor.select(Key::Item(place.id().clone()));
    pane.seek();
}

fn with_queue(world: &World, f: impl FnOnce(&mut Vec<Arc<QueueItem>>)) -> Arc<World> {
    let mut next = world.clone();
    let mut queue = world.queue.to_vec();
    f(&mut queue);
    next.queue = queue.into();
    Arc::new(next)
}

fn free(class: &str, risk: Risk) -> Arc<World> {
    let world = troubled();
    with_queue(&world, |queue| {
        for i in queue.iter_mut().filter(|i| i.pending() && i.proposal.fault.class() == class) {
            let mut free = (**i).clone();
            free.blocked.clear();
            Arc::make_mut(&mut free.proposal).risk = risk;
            *i = Arc::new(free);
        }
    })
}

fn no(pane: &Actions, world: &Arc<World>, focused: bool) -> Option<String> {
    pane.why_not(CommandId::Approve, &ctx(world, &unicode(), focused))
}

#[test]
fn rows_do_not_move_while_the_queue_has_the_focus() {
    let world = Arc::new(troubled());
    let mut pane = opened(&world);
    let before = ids(&pane);
    pane.step(Motion::Down);
    let selected = pane.cursor.key().cloned();
    let changed = with_queue(&world, |queue| {
        // One ends, one leaves, one comes.
        let finding = world.findings[3].clone();
        let mut ended = (*queue[1]).clone();
        ended.state = ActionState::Done { verdict: Verdict::Effective, why: "gone".into() };
        queue[1] = Arc::new(ended);
        queue.remove(0);
        let mut fresh = proposal(&finding, Risk::Low, "another one", true);
        fresh.id = "new-one".into();
        queue.insert(0, Arc::new(item(fresh, ActionState::Proposed)));
    });
    let theme = unicode();
    pane.sync(&ctx(&changed, &theme, true));
    let mut expected = before.clone();
    expected.extend(["-- new --".to_owned(), "new-one".to_owned()]);
    assert_eq!(ids(&pane), expected);
    assert_eq!(pane.cursor.key().cloned(), selected);
    let text = draw(&pane, &changed, &theme, (100, 14));
    assert!(text.contains("1 new") && text.contains("gone") && text.contains("effective"), "{text}");
    pane.step(Motion::Bottom);
    pane.step(Motion::Up);
    assert_ne!(pane.cursor.key(), Some(&Key::New), "the line is no row");
    pane.sync(&ctx(&changed, &theme, false));
    assert!(!ids(&pane).contains(&"-- new --".to_owned()), "in order again once nobody looks");
    assert_eq!(ids(&pane).len(), changed.queue.len());
}

#[test]
fn approving_needs_the_focus() {
    let world = free("oom", Risk::Low);
    let mut pane = opened(&world);
    select(&mut pane, "oom");
    assert_eq!(no(&pane, &world, true), None);
    assert_eq!(no(&pane, &world, false).as_deref(), Some("the queue has no focus"));
}

#[test]
fn the_danger_decides_how_a_yes_is_given() {
    for risk in [Risk::Low, Risk::Medium, Risk::High] {
        let world = free("oom", risk);
        let mut pane = opened(&world);
        select(&mut pane, "oom");
        let p = pane.selected().unwrap().item.proposal.clone();
        let send = Effect::Send(Command::Approve { id: p.id.clone(), hash: p.hash.clone() });
        match (risk, &pane.run(CommandId::Approve, &ctx(&world, &unicode(), true))[..]) {
            (Risk::Low, [effect]) => assert_eq!(*effect, send),
            (Risk::Medium, [Effect::Ask(q)]) => assert_eq!((q.typed.as_deref(), &*q.then), (None, &send)),
            (Risk::High, [Effect::Ask(q)]) => assert_eq!((q.typed.as_deref(), &*q.then), (Some("cart"), &send)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_plan_that_changed_is_not_approved_until_it_was_seen() {
    let world = free("oom", Risk::Low);
    let theme = unicode();
    let mut pane = opened(&world);
    select(&mut pane, "oom");
    pane.run(CommandId::Open, &ctx(&world, &theme, true));
    assert_eq!(no(&pane, &world, true), None);
    let seen = pane.selected().unwrap().item.proposal.hash.clone();
    let next = with_queue(&world, |queue| {
        for i in queue.iter_mut().filter(|i| i.pending() && i.proposal.hash == seen) {
            let mut other = (**i).clone();
            let p = Arc::make_mut(&mut other.proposal);
            p.plan.steps[0].bound.resource_version = "11".into();
            p.hash = p.plan.hash();
            *i = Arc::new(other);
        }
    });
    for focused in [true, false, true] {
        pane.sync(&Ctx { now: ago(1), ..ctx(&next, &theme, focused) });
    }
    assert!(no(&pane, &next, true).unwrap().contains("press Enter to see the new plan"));
    let text = draw(&pane, &next, &theme, (90, 30));
    assert!(text.contains("CHANGED"), "{text}");
    assert_eq!(pane.why_not(CommandId::Open, &ctx(&next, &theme, true)), None);
    pane.run(CommandId::Open, &ctx(&next, &theme, true));
    assert_eq!(no(&pane, &next, true), None);
    match &pane.run(CommandId::Approve, &ctx(&next, &theme, true))[..] {
        [Effect::Send(Command::Approve { hash, .. })] => assert_ne!(*hash, seen),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_pressed_twice_does_not_jump_and_approve() {
    let world = free("oom", Risk::Low);
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let id = world.queue.iter().find(|i| i.pending() && i.proposal.fault.class() == "oom").unwrap().proposal.id.clone();
    let mut pane = opened(&world);
    assert!(pane.go(&Target::Action(id), &c));
    assert!(no(&pane, &world, true).unwrap().contains("look first"));
    let later = Ctx { now: ago(-1), ..c };
    assert_eq!(pane.why_not(CommandId::Approve, &later), None);
}

#[test]
fn esc_never_approves() {
    let world = free("oom", Risk::Low);
    let theme = unicode();
    let mut pane = opened(&world);
    select(&mut pane, "oom");
    for _ in 0..3 {
        assert_eq!(pane.run(CommandId::Back, &ctx(&world, &theme, true)), vec![]);
        pane.run(CommandId::Open, &ctx(&world, &theme, true));
    }
}

#[test]
fn every_reason_against_is_told() {
    let base = free("oom", Risk::Low);
    let reason = |f: &dyn Fn(&mut World)| {
        let mut world = (*base).clone();
        f(&mut world);
        let world = Arc::new(world);
        let mut pane = opened(&world);
        select(&mut pane, "oom");
        no(&pane, &world, true).unwrap_or_default()
    };
    let brakes = |b: Brakes| move |w: &mut World| w.brakes = b.clone();
    assert!(reason(&brakes(Brakes { killed: Some("file".into()), ..Brakes::default() })).contains("kill switch"));
    assert!(
        reason(&brakes(Brakes { read_only: Some("--read-only".into()), ..Brakes::default() })).contains("read-only")
    );
    assert!(reason(&|w| w.mode = Mode::Observe).contains("observe mode"));
    let expired = |w: &mut World| {
        w.queue = with_queue(w, |q| {
            for i in q.iter_mut() {
                let mut old = (**i).clone();
                Arc::make_mut(&mut old.proposal).expires = ago(60);
                *i = Arc::new(old);
            }
        })
        .queue
        .clone();
    };
    assert!(reason(&expired).contains("it expired 60s ago"));
    let mut pane = opened(&base);
    select(&mut pane, "saturated");
    assert!(no(&pane, &base, true).unwrap().contains("HPA frontend owns replicas (g06): raise maxReplicas"));
    select(&mut pane, "missing-config");
    assert!(no(&pane, &base, true).unwrap().contains("advice"));
}

#[test]
fn only_what_was_applied_can_be_reverted_and_it_asks_first() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let c = ctx(&world, &theme, true);
    let mut pane = opened(&world);
    let verifying = world.queue.iter().find(|i| i.state.word() == "verifying").unwrap();
    pane.cursor.select(Key::Item(verifying.proposal.id.clone()));
    pane.seek();
    assert_eq!(pane.why_not(CommandId::Revert, &c), None);
    match &pane.run(CommandId::Revert, &c)[..] {
        [Effect::Ask(q)] => {
            assert!(q.body.iter().any(|l| l.contains("228Mi -> 128Mi")), "{:?}", q.body);
            assert_eq!(*q.then, Effect::Send(Command::Revert { id: verifying.proposal.id.clone() }));
        }
        other => panic!("{other:?}"),
    }
    assert!(pane.why_not(CommandId::Approve, &c).unwrap().contains("it is verifying"));
    select(&mut pane, "oom");
    assert!(pane.why_not(CommandId::Revert, &c).unwrap().contains("nothing of it is applied"));
}

#[test]
fn x_hides_what_has_ended_and_the_head_says_so() {
    let world = Arc::new(troubled());
    let theme = unicode();
    let mut pane = opened(&world);
    pane.run(CommandId::Ended, &ctx(&world, &theme, true));
    let text = draw(&pane, &world, &theme, (80, 12));
    assert!(!text.contains("neutral") && text.contains("1 hidden"), "{text}");
}

#[test]
fn the_countdown_of_verification_is_told_in_words() {
    let state = |settle: i64, until: i64| ActionState::Verifying {
        since: ago(600),
        settle: ago(-settle),
        until: ago(-until),
        complete: true,
    };
    let at: Timestamp = now();
    assert_eq!(detail::countdown(&state(180, 480), at).as_deref(), Some("settling, 3m left"));
    assert_eq!(detail::countdown(&state(-10, 290), at).as_deref(), Some("observing, 4m50s left"));
    assert_eq!(detail::countdown(&state(-310, -10), at).as_deref(), Some("being judged"));
}

#[test]
fn going_to_an_action_opens_it() {
    let world = Arc::new(troubled());
    let mut pane = Actions::default();
    let id = world.queue[3].proposal.id.clone();
    assert!(pane.go(&Target::Action(id.clone()), &ctx(&world, &unicode(), true)));
    assert_eq!(pane.trail(), &*id);
    assert!(!pane.go(&Target::Action("nobody".into()), &ctx(&world, &unicode(), true)));
}

/// A queue in which every plan with steps is free to be approved, with these risks in turn.
fn free_all(risks: &[Risk]) -> Arc<World> {
    let mut risks = risks.iter().cycle();
    with_queue(&troubled(), |queue| {
        for i in queue.iter_mut().filter(|i| i.pending() && !i.proposal.plan.steps.is_empty()) {
            let mut free = (**i).clone();
            free.blocked.clear();
            Arc::make_mut(&mut free.proposal).risk = *risks.next().unwrap();
            *i = Arc::new(free);
        }
    })
}

/// Marks every row that can be marked, from the top.
fn mark_all(pane: &mut Actions, c: &Ctx) -> Vec<ActionId> {
    pane.run(CommandId::Top, c);
    for _ in 0..pane.rows.entries.len() {
        if pane.why_not(CommandId::MarkAction, c).is_none() {
            pane.run(CommandId::MarkAction, c);
        } else {
            pane.run(CommandId::Down, c);
        }
    }
    pane.marks.rows(&pane.rows).iter().map(|r| r.id().clone()).collect()
}

#[test]
fn several_are_approved_by_one_question_that_lists_them_and_each_by_the_plan_that_was_seen() {
    let world = free_all(&[Risk::Low]);
    let (theme, mut pane) = (unicode(), opened(&world));
    let c = ctx(&world, &theme, true);
    let marked = mark_all(&mut pane, &c);
    let advice = world.queue.iter().find(|i| i.pending() && i.proposal.plan.steps.is_empty()).unwrap();
    assert!(marked.contains(&advice.proposal.id), "advice can be rejected, so it can be marked");
    let why = pane.why_not(CommandId::Approve, &c).unwrap();
    assert!(why.contains("advice") && why.contains("take its mark away"), "{why}");
    pane.marks.toggle(std::slice::from_ref(&advice.proposal.id));
    let blocked: Vec<ActionId> = pane
        .chosen()
        .iter()
        .filter(|s| gate::approve_in_line(s, &world, now(), true).is_some())
        .map(|s| s.id().clone())
        .collect();
    pane.marks.toggle(&blocked);
    let left: Vec<ActionId> = pane.chosen().iter().map(|s| s.id().clone()).collect();
    assert!(left.len() >= 2, "{left:?}");
    // What the filter hides is approved, too, and counted wherever the number is told.
    pane.set_filter(left[0].to_string(), &c);
    let text = draw(&pane, &world, &theme, (110, 12));
    assert!(text.contains(&format!("{} marked, {} of them hidden", left.len(), left.len() - 1)), "{text}");
    assert_eq!(pane.why_not(CommandId::Approve, &c), None);
    match &pane.run(CommandId::Approve, &c)[..] {
        [Effect::Ask(q)] => {
            assert_eq!(q.title, format!("Approve {} actions, {} of them hidden?", left.len(), left.len() - 1));
            assert_eq!(q.risk, Risk::Medium, "several are always asked about, whatever their risk");
            let plans = left
                .iter()
                .map(|id| world::Shown { id: id.clone(), hash: world.item(id).unwrap().proposal.hash.clone() })
                .collect();
            assert_eq!(*q.then, Effect::Send(Command::ApproveAll { plans }));
            for id in &left {
                let title = &*world.item(id).unwrap().proposal.title;
                assert!(q.body.iter().any(|l| l.contains(title)), "{:?}", q.body);
            }
        }
        other => panic!("{other:?}"),
    }
    match &pane.run(CommandId::Reject, &c)[..] {
        [Effect::Prompt(p)] => {
            assert!(p.label.contains("hidden"), "{}", p.label);
            assert_eq!(p.purpose, Purpose::RejectReason(left.clone()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(pane.run(CommandId::Snooze, &c).len(), left.len());
    assert_eq!(pane.run(CommandId::Back, &c), vec![]);
    assert!(pane.marks.is_empty(), "the first step back takes the marks away");
}

#[test]
fn high_risk_is_never_approved_among_others() {
    let world = free_all(&[Risk::High]);
    let (theme, mut pane) = (unicode(), opened(&world));
    let c = ctx(&world, &theme, true);
    select(&mut pane, "oom");
    pane.run(CommandId::MarkAction, &c);
    assert!(pane.why_not(CommandId::Approve, &c).unwrap().contains("high risk: it is approved alone"));
}

#[test]
fn a_mark_goes_with_what_it_marked() {
    let world = free_all(&[Risk::Low]);
    let (theme, mut pane) = (unicode(), opened(&world));
    select(&mut pane, "oom");
    let id = pane.selected().unwrap().id().clone();
    pane.run(CommandId::MarkAction, &ctx(&world, &theme, true));
    assert!(pane.marks.has(&id));
    let ended = with_queue(&world, |queue| {
        let i = queue.iter_mut().find(|i| i.proposal.id == id).unwrap();
        let mut done = (**i).clone();
        done.state = ActionState::Superseded { why: "the trigger is gone".into() };
        *i = Arc::new(done);
    });
    pane.sync(&ctx(&ended, &theme, true));
    assert!(pane.marks.is_empty());
}

#[test]
fn groups_have_heads_that_mark_all_of_them() {
    let world = free_all(&[Risk::Low]);
    let (theme, mut pane) = (unicode(), opened(&world));
    let c = ctx(&world, &theme, true);
    pane.run(CommandId::GroupActions, &c);
    assert_eq!(pane.rows.group, Group::State);
    let lines = ids(&pane);
    assert!(lines.iter().any(|l| l == "[waiting]") && lines.iter().any(|l| l == "[ended]"), "{lines:?}");
    pane.cursor.select(Key::Head("waiting".into()));
    pane.seek();
    assert_eq!(pane.why_not(CommandId::MarkAction, &c), None);
    pane.run(CommandId::MarkAction, &c);
    let waiting = world.queue.iter().filter(|i| i.pending() && !i.proposal.plan.steps.is_empty()).count();
    assert_eq!(pane.marks.count(&pane.rows), (waiting, 0));
    assert!(pane.why_not(CommandId::Open, &c).unwrap().contains("no action here"));
    let text = draw(&pane, &world, &theme, (100, 20));
    assert!(text.contains("by state") && text.contains("waiting"), "{text}");
    for _ in 0..4 {
        pane.run(CommandId::GroupActions, &c);
    }
    assert_eq!(pane.rows.group, Group::None);
}

#[test]
fn another_value_is_asked_for_where_there_is_one_to_set() {
    let world = free_all(&[Risk::Low]);
    let (theme, mut pane) = (unicode(), opened(&world));
    let c = ctx(&world, &theme, true);
    select(&mut pane, "oom");
    let p = pane.selected().unwrap().item.proposal.clone();
    assert_eq!(pane.why_not(CommandId::Adjust, &c), None);
    match &pane.run(CommandId::Adjust, &c)[..] {
        [Effect::Prompt(prompt)] => {
            assert_eq!(Some(&prompt.initial), p.adjustable().as_ref());
            assert_eq!(prompt.purpose, Purpose::Adjust { id: p.id.clone(), hash: p.hash.clone() });
        }
        other => panic!("{other:?}"),
    }
    select(&mut pane, "missing-config");
    assert!(pane.why_not(CommandId::Adjust, &c).unwrap().contains("nothing to set"));
}
