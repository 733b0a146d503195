//! The walk: an operator heals a real cluster from the terminal. Real API server, real controllers, KWOK,
//! real Prometheus, the real binary on a real tty. Run by `tests/rig/rig run -- cargo test --features rig`.

#[path = "../support/rig.rs"]
mod rig;
#[path = "../support/term.rs"]
mod term;

mod auto;
mod crash;
mod heal;
mod notify;
mod outage;
mod rbac;
mod rights;
mod step;
mod toctou;

use rig::Rig;
use std::path::Path;
use std::time::Duration;
use term::Term;

/// Long enough for a busy machine; a wait ends as soon as what it waits for is there.
const LONG: Duration = Duration::from_secs(180);
/// For what the screen does by itself.
const SHORT: Duration = Duration::from_secs(10);

/// The console on the rig, connected and showing the overview.
fn console(rig: &Rig, config: &Path, more: &[&str]) -> Term {
    let term = Term::start(&rig.args(config, more), &[], 140, 40);
    term.expect("4/4 ready", Duration::from_secs(30));
    term
}

/// Waits until the raise of ledger's memory can be approved; its id and hash.
fn oom_proposal(rig: &Rig, config: &Path) -> (String, String) {
    let item = rig.action(config, "ledger-oom", LONG, |i| {
        rig::state(i) == "proposed" && !i["preview"].is_null() && i["blocked"] == serde_json::json!([])
    });
    let text = |key: &str| item["proposal"][key].as_str().expect("a string").to_owned();
    (text("id"), text("hash"))
}

/// Goes to Actions and opens the one action of this workload.
fn open_action(term: &mut Term, workload: &str) {
    term.keys("4");
    term.keys("/");
    term.keys(&format!("{workload}\r"));
    term.expect(workload, SHORT);
    term.keys("\r");
    term.wait("the detail", SHORT, |s| s.contains("WHAT EXACTLY") || s.contains("WHY"));
}

/// Presses a key that controls something. For a moment after the screen moved under it, and while it is held
/// down, the console is deaf to such keys, on purpose; so this waits as a person who reads would.
fn press(term: &mut Term, key: &str) {
    std::thread::sleep(Duration::from_millis(600));
    term.keys(key);
}

/// Quits and waits for the end.
fn quit(mut term: Term) {
    term.keys("q");
    let text = term.text();
    assert_eq!(term.ended(Duration::from_secs(30)), 0, "a clean end; the screen showed:\n{text}");
}
