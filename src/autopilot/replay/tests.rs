//! A replay tells what was written down, in order, and lets nobody act.

use super::*;
use crate::model::action::{ActionState, QueueItem, Verdict};
use crate::model::finding::{Fault, Finding};
use crate::model::fixtures as fx;
use crate::model::journal::Record;
use crate::model::mode::Mode;
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::plan::{Blast, Expectation, Onset, Plan, Proposal, Risk, Strategy};
use serde_json::{Value, json};

fn at(s: i64) -> Timestamp {
    fx::now() + TimeDelta::seconds(s)
}

fn finding() -> Finding {
    let key = WorkloadKey::new("shop", WorkloadKind::Deployment, "cart");
    Finding {
        id: "leak:cart".into(),
        fault: Fault::Leak { container: None, per_hour: 0.4, r2: 0.98, seconds_to_limit: None },
        subject: crate::model::finding::Subject::Workload(key),
        severity: crate::model::finding::Severity::High,
        title: "cart leaks".into(),
        evidence: Vec::new(),
        pods: Vec::new(),
        since: at(60),
        related: Vec::new(),
    }
}

fn item() -> QueueItem {
    let f = finding();
    let proposal = Proposal {
        id: "cart-leak-1".into(),
        finding: f.id.clone(),
        fault: f.fault.clone(),
        subject: f.subject.clone(),
        strategy: Strategy::Restart,
        title: "restart cart".into(),
        why: Vec::new(),
        plan: Plan { cluster: "c1".into(), steps: Vec::new() },
        hash: "h".into(),
        blast: Blast::default(),
        risk: Risk::Low,
        effect: Expectation { text: "fresh".into(), recovery_s: None, probability: None, basis: "none".into() },
        notes: Vec::new(),
        export: None,
        onset: Onset::default(),
        created: at(61),
        expires: at(961),
    };
    QueueItem {
        proposal: Arc::new(proposal),
        state: ActionState::Proposed,
        preview: None,
        blocked: Vec::new(),
        approval: None,
        story: Vec::new(),
        outcome: None,
    }
}

/// A session with a finding that is healed, and a second session after it.
fn journal(dir: &std::path::Path) -> Journal {
    let journal = Journal::open(&dir.join("journal.db")).unwrap();
    let write = |s: i64, kind: Kind, payload: Value| {
        let record = Record { at: at(s), actor: "kansole".into(), kind, action: None, object: None, payload };
        journal.append(record).unwrap();
    };
    let act = |s: i64, kind: Kind, state: ActionState, payload: Value| {
        let mut item = item();
        item.state = state;
        let action = Some(item.proposal.id.clone());
        let record = Record { at: at(s), actor: "alice@ops".into(), kind, action, object: None, payload };
        journal.append_with_item(record, &item).unwrap();
    };
    write(
        0,
        Kind::SessionStarted,
        json!({"context": "prod", "server": "https://x", "version": "v1.35", "mode": "manual"}),
    );
    write(60, Kind::FindingOpened, json!(finding()));
    act(61, Kind::Proposed, ActionState::Proposed, json!({"proposal": *item().proposal}));
    act(70, Kind::Approved, ActionState::Approved { by: "alice@ops".into(), at: at(70) }, json!({"hash": "h"}));
    act(71, Kind::Intent, ActionState::Applying { step: 0 }, json!({"patch": []}));
    let verifying = ActionState::Verifying { since: at(72), settle: at(372), until: at(672), complete: true };
    act(72, Kind::Verifying, verifying, Value::Null);
    write(300, Kind::FindingClosed, json!({"id": "leak:cart", "lasted_s": 240}));
    act(672, Kind::Outcome, ActionState::Done { verdict: Verdict::Effective, why: "gone".into() }, Value::Null);
    write(700, Kind::SessionEnded, json!({}));
    write(9000, Kind::SessionStarted, json!({"context": "prod", "mode": "observe"}));
    journal
}

fn reel(part: &Part) -> Result<Reel, ReplayError> {
    let dir = tempfile::tempdir().unwrap();
    Reel::of(&journal(dir.path()), part)
}

#[test]
fn an_action_is_found_with_the_finding_it_answers_and_what_came_before_tells_how_things_stood() {
    let reel = reel(&Part::Action("cart-leak-1".into())).unwrap();
    assert_eq!((reel.begins(), reel.entries.last().unwrap().record.at), (at(60), at(672)));
    let past = Past::before(&reel);
    let world = past.world(1, &Link::Connected);
    assert_eq!((world.mode, &*world.snapshot.cluster.context), (Mode::Manual, "prod"));
    assert!(world.findings.is_empty() && world.queue.is_empty(), "the first entry has not happened yet");
}

#[test]
fn what_is_not_there_is_named() {
    for (part, word) in [
        (Part::Incident("inc-9".into()), "incident inc-9"),
        (Part::Action("nobody".into()), "action nobody"),
        (Part::Entries(99, None), "entry 99"),
        (Part::Entries(5, Some(2)), "entries from 5 to 2"),
    ] {
        let why = reel(&part).unwrap_err().to_string();
        assert!(why.contains(word) && why.contains("journal list"), "{why}");
    }
    assert_eq!(reel(&Part::LastSession).unwrap().begins(), at(9000));
}

#[test]
fn every_state_an_action_went_through_is_shown_at_its_time() {
    let reel = reel(&Part::Entries(1, None)).unwrap();
    let mut past = Past::before(&reel);
    let mut states = Vec::new();
    for entry in &reel.entries {
        past.take(entry, true);
        let world = past.world(1, &Link::Connected);
        states.push((world.findings.len(), world.queue.first().map(|i| i.state.word())));
    }
    let p = Some;
    assert_eq!(
        states,
        [
            (0, None),
            (1, None),
            (1, p("proposed")),
            (1, p("approved")),
            (1, p("applying")),
            (1, p("verifying")),
            (0, p("verifying")),
            (0, p("effective")),
            (0, p("effective")),
            (0, p("effective")),
        ]
    );
    let world = past.world(1, &Link::Connected);
    assert_eq!(world.queue[0].approval.as_ref().unwrap().by, "alice@ops");
    assert_eq!(past.untold(), 0);
    assert_eq!(world.mode, Mode::Observe);
}

#[tokio::test(start_paused = true)]
async fn it_plays_by_its_clock_jumps_what_is_empty_and_refuses_every_act() {
    let reel = reel(&Part::Action("cart-leak-1".into())).unwrap();
    let clock = Arc::new(Clock::new(reel.begins(), 100_000.0));
    let (mut handle, task) = spawn(reel, clock);
    let limit = Duration::from_secs(60);
    let over = handle.wait(limit, |w| w.messages.iter().any(|m| m.text.contains("the replay is over"))).await.unwrap();
    assert_eq!(over.queue[0].state.word(), "effective");
    assert!(matches!(over.link, Link::Replay { paused: true, .. }));
    for command in [
        Command::Approve { id: "cart-leak-1".into(), hash: "h".into() },
        Command::SetMode { mode: Mode::Auto },
        Command::Kill { on: true },
        Command::Revert { id: "cart-leak-1".into() },
    ] {
        assert!(handle.command(command).await.unwrap_err().contains("nothing can be done in the past"));
    }
    assert!(handle.command(Command::Step).await.unwrap_err().contains("over"));
    handle.command(Command::Refresh).await.unwrap();
    handle.command(Command::Pause { on: true }).await.unwrap();
    handle.command(Command::Refresh).await.unwrap();
    handle.command(Command::Shutdown).await.unwrap();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_paused_replay_goes_on_entry_by_entry() {
    let reel = reel(&Part::Action("cart-leak-1".into())).unwrap();
    let clock = Arc::new(Clock::new(reel.begins(), 0.01));
    clock.pause(true);
    let (handle, _task) = spawn(reel, clock.clone());
    assert_eq!(handle.command(Command::Step).await.unwrap(), "finding_opened");
    assert_eq!(handle.command(Command::Step).await.unwrap(), "proposed");
    let world = handle.worlds.borrow().clone();
    assert_eq!(world.queue[0].state.word(), "proposed");
    assert_eq!(clock.now(), at(61), "the clock stands where the entry was written");
    assert_eq!(handle.command(Command::Step).await.unwrap(), "approved");
}
