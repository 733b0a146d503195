//! Walk h: somebody edits the object between approval and write, and between write and verdict.

use super::{LONG, Rig, console, oom_proposal, quit};
use crate::rig::state;

#[test]
fn h_an_edit_before_the_write_refuses_the_plan_and_makes_a_new_one() {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    rig.rig(&["apply", "oom"]);
    let config = rig.config("");
    let term = console(&rig, &config, &[]);
    let (id, hash) = oom_proposal(&rig, &config);
    rig.kubectl(&["-n", "shop", "annotate", "deploy/ledger", "example.org/edited-by=alice", "--overwrite"]);
    let out = rig.kansole(&config, &["actions", "approve", &id, "--hash", &hash]);
    if out.status.success() {
        let end = rig.action(&config, &id, LONG, |i| state(i) == "refused");
        assert!(end["state"].to_string().contains("changed"), "{end:#}");
    }
    assert_eq!(rig.memory_limit("ledger"), "128Mi", "what was approved no longer fitted, so nothing was written");
    let new =
        rig.action(&config, "ledger-oom", LONG, |i| state(i) == "proposed" && i["proposal"]["hash"] != hash.as_str());
    assert_ne!(new["proposal"]["hash"], hash.as_str(), "replanned on the edited object");
    quit(term);
    rig.delete(&["deploy/ledger"]);
}

#[test]
fn h_an_edit_after_the_write_is_never_reverted_over() {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    rig.rig(&["apply", "oom"]);
    let config = rig.config("");
    let term = console(&rig, &config, &[]);
    let (id, hash) = oom_proposal(&rig, &config);
    let out = rig.kansole(&config, &["actions", "approve", &id, "--hash", &hash]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    rig.action(&config, &id, LONG, |i| state(i) == "verifying");
    // Alice lowers it to a value that will be killed again: a harmful change, but hers.
    rig.kubectl(&["-n", "shop", "set", "resources", "deploy/ledger", "--limits=memory=150Mi"]);
    let end = rig.action(&config, &id, LONG, |i| matches!(state(i), "done" | "reverted" | "handed_over" | "failed"));
    assert_ne!(state(&end), "reverted", "{end:#}");
    assert_eq!(rig.memory_limit("ledger"), "150Mi", "her change stands");
    assert!(
        end["state"].to_string().contains("kubectl") || end["state"].to_string().contains("changed"),
        "it says who: {end:#}"
    );
    quit(term);
    rig.delete(&["deploy/ledger"]);
}
