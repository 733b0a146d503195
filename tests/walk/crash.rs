//! Walk e: `kill -9` at any moment of an action. After the restart the journal verifies, nothing is applied
//! twice, and what was in flight is finished, undone or handed over.

use super::{LONG, Rig, console, quit};
use crate::rig::state;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Moments after the approval at which the console is killed, milliseconds: from before the dry-run to
/// deep inside verification. What state each one hit is printed.
const MOMENTS: [u64; 9] = [0, 3, 8, 15, 30, 60, 150, 1500, 5000];

#[test]
fn e_kill_9_at_any_moment_applies_nothing_twice_and_leaves_nothing_open() {
    let rig = Rig::here();
    let mut hit = BTreeSet::new();
    for moment in MOMENTS {
        rig.delete(&["deploy/ledger"]);
        rig.rig(&["apply", "oom"]);
        let config = rig.config("");
        let mut term = console(&rig, &config, &[]);
        let item = rig.action(&config, "ledger-oom", LONG, |i| {
            state(i) == "proposed" && !i["preview"].is_null() && i["blocked"] == serde_json::json!([])
        });
        let (id, hash) = (
            item["proposal"]["id"].as_str().unwrap().to_owned(),
            item["proposal"]["hash"].as_str().unwrap().to_owned(),
        );
        let out = rig.kansole(&config, &["actions", "approve", &id, "--hash", &hash]);
        let approved = Instant::now();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        std::thread::sleep(Duration::from_millis(moment).saturating_sub(approved.elapsed())); // the moment is the test
        term.kill();
        drop(term);
        // Dead: the journal is what is left.
        let left = rig.queue(&config);
        let left = left.iter().rfind(|i| i["proposal"]["id"] == id.as_str()).expect("the action is in the journal");
        hit.insert(state(left).to_owned());
        println!("killed {moment} ms after approval: {}", state(left));
        rig.journal_kinds(&config);
        let written_before = writes(&rig, &config, &id);
        // The next start looks at the cluster and brings it to an end.
        let term = console(&rig, &config, &[]);
        let end = rig.action(&config, &id, LONG, |i| {
            !matches!(state(i), "approved" | "dry_run" | "applying" | "verifying" | "reverting")
        });
        println!("    ended: {}", end["state"]);
        let limit = rig.memory_limit("ledger");
        match state(&end) {
            "done" => assert_eq!(limit, "228Mi"),
            "reverted" => assert_eq!(limit, "128Mi"),
            // Never written, or a person must look: the object is as one of the two left it.
            _ => assert!(limit == "128Mi" || limit == "228Mi", "{limit}"),
        }
        quit(term);
        let applied = writes(&rig, &config, &id);
        assert!(applied <= 1, "applied {applied} times ({written_before} before the kill)");
        rig.journal_kinds(&config);
    }
    println!("states hit: {hit:?}");
    assert!(hit.contains("verifying"), "late kills hit verification: {hit:?}");
    rig.delete(&["deploy/ledger"]);
}

/// How often the journal says that the action's write was answered by the server.
fn writes(rig: &Rig, config: &std::path::Path, id: &str) -> usize {
    let entries = rig.json(config, &["journal", "list", "--last", "1000", "--action", id, "--format", "json"]);
    entries.as_array().unwrap().iter().filter(|e| e["kind"] == "applied").count()
}
