//! Walk e: `kill -9` at any moment of an action. After the restart the journal verifies, nothing is applied
//! twice, and what was in flight is finished, undone or handed over.

use super::{LONG, Rig, Term, console, oom_proposal, quit};
use crate::rig::state;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Moments after the approval at which the console is killed, milliseconds: from before the dry-run to deep
/// inside verification. What state each one hit is printed.
const AFTER_APPROVAL: [u64; 7] = [0, 8, 20, 40, 80, 1500, 4000];
/// Moments after the operator's undo.
const AFTER_REVERT: [u64; 3] = [0, 12, 40];

/// A console with an approved raise of ledger's memory. A state directory of its own: the third raise of one
/// container would be refused, rightly.
struct Approved {
    rig: Rig,
    config: PathBuf,
    term: Term,
    id: String,
    at: Instant,
}

fn approved() -> Approved {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    rig.rig(&["apply", "oom"]);
    let config = rig.config("");
    let term = console(&rig, &config, &[]);
    let (id, hash) = oom_proposal(&rig, &config);
    let out = rig.kansole(&config, &["actions", "approve", &id, "--hash", &hash]);
    let at = Instant::now();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Approved { rig, config, term, id, at }
}

impl Approved {
    /// Kills the console so long after `since`, and tells what state the journal holds.
    fn kill(&mut self, since: Instant, moment: u64) -> String {
        std::thread::sleep(Duration::from_millis(moment).saturating_sub(since.elapsed())); // the moment is the test
        self.term.kill();
        let left = self.rig.queue(&self.config);
        let left = left.iter().find(|i| i["proposal"]["id"] == self.id.as_str()).expect("the action is in the journal");
        self.rig.journal_kinds(&self.config);
        state(left).to_owned()
    }

    /// Starts kansole again, waits for the end of what was in flight, and checks the promises.
    fn recover(self) -> Value {
        let term = console(&self.rig, &self.config, &[]);
        let end = self.rig.action(&self.config, &self.id, LONG, |i| {
            !matches!(state(i), "approved" | "dry_run" | "applying" | "verifying" | "reverting")
        });
        let limit = self.rig.memory_limit("ledger");
        match state(&end) {
            "done" => assert_eq!(limit, "228Mi"),
            "reverted" | "superseded" | "failed" | "refused" => assert_eq!(limit, "128Mi"),
            other => assert_eq!(other, "handed_over"),
        }
        quit(term);
        let (config, id) = (&self.config, &self.id);
        let entries = self.rig.json(config, &["journal", "list", "--last", "1000", "--action", id, "--format", "json"]);
        let applied = entries.as_array().unwrap().iter().filter(|e| e["kind"] == "applied").count();
        assert!(applied <= 1, "applied {applied} times");
        self.rig.journal_kinds(config);
        self.rig.delete(&["deploy/ledger"]);
        end["state"].clone()
    }
}

#[test]
fn e_kill_9_at_any_moment_applies_nothing_twice_and_leaves_nothing_open() {
    let mut hit = BTreeSet::new();
    for moment in AFTER_APPROVAL {
        let mut action = approved();
        let found = action.kill(action.at, moment);
        println!("killed {moment} ms after approval, {found}; ended {}", action.recover());
        hit.insert(found);
    }
    println!("states hit: {hit:?}");
    assert!(hit.contains("verifying"), "late kills hit verification: {hit:?}");
}

#[test]
fn e_kill_9_while_undoing_leaves_nothing_half_undone() {
    for moment in AFTER_REVERT {
        let mut action = approved();
        action.rig.action(&action.config, &action.id, LONG, |i| state(i) == "done");
        let out = action.rig.kansole(&action.config, &["actions", "revert", &action.id]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let found = action.kill(Instant::now(), moment);
        println!("killed {moment} ms after the undo, {found}; ended {}", action.recover());
    }
}
