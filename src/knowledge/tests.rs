//! The promises of the journal: durable, in order, unchangeable without being seen, one writer.

use super::{Journal, JournalError};
use crate::model::action::{ActionState, Approval, QueueItem};
use crate::model::finding::{Fault, Subject};
use crate::model::journal::{Kind, Ledger, Record};
use crate::model::plan::{Blast, Expectation, Plan, Proposal, Risk, Strategy, canonical, sha256_hex};
use crate::model::time;
use chrono::DateTime;
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

fn record(kind: Kind, payload: Value) -> Record {
    Record { at: time::now(), actor: "ann@box".into(), kind, action: None, object: Some("shop/cart".into()), payload }
}

pub(super) fn item(id: &str, state: ActionState) -> QueueItem {
    let at = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
    let plan = Plan { cluster: "c".into(), steps: vec![] };
    let proposal = Proposal {
        id: id.into(),
        finding: "not-ready:x".into(),
        fault: Fault::NotReady { why: "x".into() },
        subject: Subject::Cluster,
        strategy: Strategy::Advise,
        title: "t".into(),
        why: vec![],
        hash: plan.hash(),
        plan,
        blast: Blast::default(),
        risk: Risk::Low,
        effect: Expectation { text: "e".into(), recovery_s: None, probability: Some(0.1), basis: "prior".into() },
        notes: vec![],
        export: None,
        onset: crate::model::plan::Onset::default(),
        created: at,
        expires: at,
    };
    let approval = Some(Approval { by: "ann@box".into(), at, hash: proposal.hash.clone() });
    QueueItem {
        proposal: Arc::new(proposal),
        state,
        preview: None,
        blocked: vec![],
        approval,
        story: vec![],
        outcome: None,
    }
}

fn filled(path: &Path, n: usize) -> Journal {
    let journal = Journal::open(path).unwrap();
    for i in 0..n {
        journal.append(record(Kind::Proposed, json!({"n": i, "b": 0.1, "a": "é\u{1F600}"}))).unwrap();
    }
    journal
}

/// Changes the file behind the journal's back, as somebody with an editor would.
fn tamper(path: &Path, sql: &str) {
    let db = Connection::open(path).unwrap();
    db.execute_batch(&format!(
        "DROP TRIGGER IF EXISTS journal_no_update; DROP TRIGGER IF EXISTS journal_no_delete; {sql}"
    ))
    .unwrap();
}

#[test]
fn what_was_appended_is_there_after_reopening_and_the_chain_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/journal.db");
    drop(filled(&path, 5));
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.append(record(Kind::Intent, Value::Null)).unwrap(), 6);
    let report = journal.verify().unwrap();
    assert_eq!((report.entries, report.head_seq), (6, 6));
    let tail = journal.tail(2).unwrap();
    assert_eq!(tail.iter().map(|e| e.seq).collect::<Vec<_>>(), vec![6, 5], "newest first");
    assert_eq!(tail[0].prev, tail[1].hash);
    assert_eq!(tail[0].hash, report.head_hash);
    assert_eq!(journal.range(2, 3).unwrap().len(), 2);
    assert_eq!(journal.entry(9).unwrap(), None);
    assert!(journal.integrity_check().unwrap().is_empty());
}

#[test]
fn an_export_can_be_checked_without_kansole() {
    let dir = tempfile::tempdir().unwrap();
    let journal = filled(&dir.path().join("j.db"), 3);
    let mut out = Vec::new();
    assert_eq!(journal.export(&mut out).unwrap(), 3);
    let mut prev = "0".repeat(64);
    for line in String::from_utf8(out).unwrap().lines() {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        let hash = entry.as_object_mut().unwrap().remove("hash").unwrap();
        assert_eq!(entry["prev"], prev.as_str());
        assert_eq!(hash, sha256_hex(canonical(&entry).as_bytes()).as_str());
        prev = hash.as_str().unwrap().to_owned();
    }
}

#[test]
fn only_one_may_write_and_the_second_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j.db");
    let first = filled(&path, 1);
    match Journal::open(&path) {
        Err(JournalError::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    let reader = Journal::open_read_only(&path).unwrap();
    first.append(record(Kind::Intent, Value::Null)).unwrap();
    assert_eq!(reader.tail(9).unwrap().len(), 2, "sees what is appended meanwhile");
    assert!(reader.append(record(Kind::Intent, Value::Null)).unwrap_err().to_string().contains("reading only"));
    drop(first);
    assert!(Journal::open(&path).is_ok(), "the lock goes with its holder");
}

#[test]
fn a_child_being_started_does_not_keep_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j.db");
    let lock = super::lock::WriterLock::take(&path).unwrap();
    // A child between fork and exec holds what this copy holds: the same open file description.
    let shared = lock.shared();
    drop(lock);
    super::lock::WriterLock::take(&path).expect("free although a copy of the descriptor is still open");
    drop(shared);
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/j.db");
    let _journal = filled(&path, 1);
    let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn entries_cannot_be_changed_or_removed_through_sql() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j.db");
    drop(filled(&path, 2));
    let db = Connection::open(&path).unwrap();
    for sql in ["UPDATE journal SET actor = 'x'", "DELETE FROM journal WHERE seq = 2"] {
        assert!(db.execute_batch(sql).unwrap_err().to_string().contains("append-only"), "{sql}");
    }
}

#[test]
fn gaps_reordering_and_forged_rows_are_seen_where_they_are() {
    let cases = [
        ("DELETE FROM journal WHERE seq = 3", 3),
        ("DELETE FROM journal WHERE seq = 1", 1),
        (
            "UPDATE journal SET seq = 99 WHERE seq = 3; UPDATE journal SET seq = 3 WHERE seq = 4; UPDATE journal SET seq = 4 WHERE seq = 99",
            3,
        ),
        ("UPDATE journal SET seq = -3 WHERE seq = 3", 1),
        (
            "INSERT INTO journal SELECT 0, at, actor, kind, action, object, payload, prev, hash FROM journal WHERE seq = 2",
            1,
        ),
    ];
    for (sql, seq) in cases {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.db");
        let journal = filled(&path, 5);
        tamper(&path, sql);
        assert_eq!(journal.verify().unwrap_err().seq, seq, "{sql}");
        drop(journal);
        assert!(matches!(Journal::open(&path), Err(JournalError::Damaged { .. })), "not opened for writing: {sql}");
    }
}

#[test]
fn a_truncated_end_shows_in_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j.db");
    let journal = filled(&path, 4);
    let before = journal.verify().unwrap();
    tamper(&path, "DELETE FROM journal WHERE seq = 4");
    let after = journal.verify().unwrap();
    assert_ne!((before.head_seq, &before.head_hash), (after.head_seq, &after.head_hash));
    assert!(after.to_string().contains("compare the head"), "and the report says that it must be compared");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_flipped_byte_is_seen_at_its_entry(seq in 1i64..=4, column in 0usize..8, at in 0usize..200, flip in 1u8..=127) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.db");
        let journal = filled(&path, 4);
        let column = ["at", "actor", "kind", "object", "payload", "prev", "hash", "action"][column];
        let db = Connection::open(&path).unwrap();
        let text: Option<String> = db.query_row(&format!("SELECT {column} FROM journal WHERE seq = ?1"), [seq], |r| r.get(0)).unwrap();
        let mut bytes = text.clone().unwrap_or_default().into_bytes();
        if bytes.is_empty() { bytes.push(b'x'); } else { let i = at % bytes.len(); bytes[i] ^= flip; }
        drop(db);
        tamper(&path, "");
        let db = Connection::open(&path).unwrap();
        // As text even where it is no UTF-8 any more: that is what a damaged page holds.
        db.execute(&format!("UPDATE journal SET {column} = CAST(?1 AS TEXT) WHERE seq = ?2"), rusqlite::params![bytes, seq]).unwrap();
        let found = journal.verify().unwrap_err().seq as i64;
        prop_assert!(found == seq, "{column} of {seq} flipped, seen at {found}");
    }
}

#[test]
fn items_are_stored_with_their_entry_and_covered_by_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j.db");
    let journal = Journal::open(&path).unwrap();
    let flying = item("cart-1", ActionState::Applying { step: 0 });
    let dry = item("cart-3", ActionState::DryRun);
    journal.record_item(record(Kind::Intent, json!({"step": 0})), &flying).unwrap();
    journal.record_item(record(Kind::Expired, Value::Null), &item("cart-2", ActionState::Expired)).unwrap();
    journal.record_item(record(Kind::DryRun, Value::Null), &dry).unwrap();
    assert_eq!(journal.in_flight().unwrap(), vec![flying.clone(), dry]);
    assert_eq!(journal.items(2).unwrap().len(), 2);
    assert_eq!(journal.item("cart-1").unwrap(), Some(flying));
    assert_eq!(journal.verify().unwrap().actions, 3);
    tamper(&path, "UPDATE actions SET item = replace(item, 'ann@box', 'eve@box') WHERE id = 'cart-1'");
    assert_eq!(journal.verify().unwrap_err().seq, 1);
    tamper(&path, "DELETE FROM actions WHERE id = 'cart-1'");
    assert!(journal.verify().is_err());
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j.db");
    let journal = filled(&path, 3);
    let big = json!({"big": "x".repeat(200_000)});
    let pages: i64 = {
        let db = journal.connection();
        let now: i64 = db.pragma_query_value(None, "page_count", |r| r.get(0)).unwrap();
        db.pragma_update(None, "max_page_count", now + 2).unwrap();
        now
    };
    let full = journal.record_item(record(Kind::Intent, big.clone()), &item("a", ActionState::DryRun)).unwrap_err();
    assert!(full.to_string().contains("full"), "{full}");
    assert_eq!(journal.verify().unwrap().entries, 3);
    assert!(journal.in_flight().unwrap().is_empty(), "neither half of it is there");
    journal.connection().pragma_update(None, "max_page_count", pages + 10_000).unwrap();
    assert_eq!(journal.append(record(Kind::Intent, big)).unwrap(), 4, "and it goes on when there is room");
    assert_eq!(journal.verify().unwrap().entries, 4);
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "dear diary, ".repeat(1000)).unwrap();
    let other = dir.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    for path in [&text, &other] {
        let before = std::fs::read(path).unwrap();
        let error = Journal::open(path).unwrap_err();
        assert!(matches!(error, JournalError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("move it away"));
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
    let newer = dir.path().join("newer.db");
    drop(filled(&newer, 1));
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert!(matches!(Journal::open(&newer), Err(JournalError::Version { found: 2, .. })));
    assert!(matches!(Journal::open_read_only(&dir.path().join("none.db")), Err(JournalError::Io { .. })));
}

/// Not a test by itself: the child of the test below, which writes until it is killed.
#[test]
fn child_writes_until_killed() {
    let Some(path) = std::env::var_os("KANSOLE_TEST_JOURNAL") else { return };
    let journal = Journal::open(Path::new(&path)).unwrap();
    for i in 0.. {
        let flying = item(&format!("a{}", i % 7), ActionState::Applying { step: i });
        let seq = journal.record_item(record(Kind::Intent, json!({"i": i})), &flying).unwrap();
        println!("seq={seq}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    use std::io::{BufRead as _, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("j.db");
    let mut acknowledged = 0;
    for round in 0..6u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["knowledge::tests::child_writes_until_killed", "--exact", "--nocapture"])
            .env("KANSOLE_TEST_JOURNAL", &path)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while let Some(Ok(line)) = lines.next() {
            if let Some((_, seq)) = line.split_once("seq=") {
                acknowledged = seq.trim().parse::<u64>().unwrap();
                seen += 1;
                if seen == 5 + round * 7 {
                    child.kill().unwrap(); // SIGKILL, in the middle of whatever it does now
                }
            }
        }
        child.wait().unwrap();
        let journal = Journal::open(&path).unwrap();
        let report = journal.verify().unwrap();
        assert!(report.head_seq >= acknowledged, "round {round}: {} < {acknowledged}", report.head_seq);
        assert!(journal.integrity_check().unwrap().is_empty());
        let last = journal.in_flight().unwrap().pop().unwrap();
        let written = journal.tail(1).unwrap().pop().unwrap();
        assert_eq!(written.record.action, Some(last.proposal.id.clone()), "entry and item are of one transaction");
    }
}
