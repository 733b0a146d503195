//! The walk on the demo: the real binary on a real tty, on the embedded cluster whose clock runs fast. See, explain,
//! approve, verify, undo; what the journal says afterwards.

#[path = "support/term.rs"]
mod term;

use kansole::knowledge::Journal;
use std::time::Duration;
use term::Term;

/// Long enough for a busy machine; a wait ends as soon as what it waits for is there.
const LONG: Duration = Duration::from_secs(120);

/// The demo with this scenario, its journal in `state`, its clock four times as fast.
fn demo(scenario: &str, state: &std::path::Path) -> Term {
    let config = state.join("config.toml");
    std::fs::write(&config, "[guard]\ncooldown = \"1s\"\nobserve = \"60s\"\n").expect("written");
    let args =
        ["demo", "--scenario", scenario, "--speed", "4", "--seed", "1", "--config", config.to_str().expect("utf-8")];
    let term = Term::start(&args, &[("KANSOLE_STATE_DIR", state.to_str().expect("utf-8"))], 140, 50);
    term.expect("6/6 ready", LONG);
    term
}

/// Presses a key that controls something, as a person who reads does: the console is deaf to it for a moment after the
/// screen moved.
fn press(term: &mut Term, key: &str) {
    std::thread::sleep(Duration::from_millis(600));
    term.keys(key);
}

/// Opens the one action that the filter leaves.
fn open(term: &mut Term, filter: &str) {
    term.keys("4");
    term.keys("/");
    term.keys(&format!("{filter}\r"));
    term.wait("a proposal", LONG, |s| s.contains("Queue:") && s.contains("proposed"));
    // The row that the filter left, not the prompt that was open a moment ago.
    press(term, "\r");
    term.wait("the detail", LONG, |s| s.contains("WHAT EXACTLY"));
}

/// Leaves, and gives the kinds of the journal's entries, oldest first, of a journal that verifies.
fn leave(mut term: Term, state: &std::path::Path) -> Vec<String> {
    term.keys("q");
    let text = term.text();
    assert_eq!(term.ended(Duration::from_secs(30)), 0, "a clean end; the screen showed:\n{text}");
    let dirs = std::fs::read_dir(state).expect("the state directory").flatten();
    let file = dirs.map(|d| d.path().join("journal.db")).find(|f| f.exists()).expect("the cluster's journal");
    let journal = Journal::open_read_only(&file).expect("it opens");
    journal.verify().expect("the chain holds");
    let entries = journal.tail(1000).expect("it is read");
    entries.iter().rev().map(|e| e.record.kind.as_str().to_owned()).collect()
}

#[test]
fn an_oom_crash_loop_is_seen_explained_approved_verified_and_undone() {
    let state = tempfile::tempdir().expect("a directory");
    let mut term = demo("oom-crash-loop", state.path());
    term.wait("the finding", LONG, |s| s.contains("shop/cart") && s.contains("killed at its memory limit"));
    open(&mut term, "cart-oom");
    term.wait("why and what", LONG, |s| s.contains("OOMKilled") && s.contains("80Mi"));
    press(&mut term, "a");
    term.wait("the verdict", LONG, |s| s.contains("state") && s.contains("effective"));
    press(&mut term, "u");
    press(&mut term, "y");
    term.wait("the undo", LONG, |s| s.contains("reverted"));
    let kinds = leave(term, state.path());
    let order = [
        "session_started",
        "finding_opened",
        "proposed",
        "approved",
        "intent",
        "applied",
        "outcome",
        "reverted",
        "session_ended",
    ];
    let mut at = 0;
    for kind in order {
        at += kinds[at..]
            .iter()
            .position(|k| k == kind)
            .unwrap_or_else(|| panic!("{kind} is missing or out of order in {kinds:?}"));
    }
}

#[test]
fn another_scenario_is_a_key_away() {
    let state = tempfile::tempdir().expect("a directory");
    let mut term = demo("quiet-day", state.path());
    term.keys("D");
    term.wait("the scenarios", LONG, |s| s.contains("bad-release") && s.contains("quiet-day"));
    // Down the list, which begins with the present one under the cursor.
    press(&mut term, "j");
    press(&mut term, "\r");
    term.wait("the fault", LONG, |s| s.contains("shop/cart") && s.contains("killed at its memory limit"));
    leave(term, state.path());
}
