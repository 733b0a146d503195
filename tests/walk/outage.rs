//! Walk f: API server and Prometheus go and come back under the running console.

use super::{LONG, Rig, console, quit};
use crate::rig::state;
use std::time::Duration;

/// Starts what was stopped, whatever became of the test: the next one needs it.
struct Restart<'a>(&'a Rig);

impl Drop for Restart<'_> {
    fn drop(&mut self) {
        self.0.rig(&["start", "apiserver"]);
        self.0.rig(&["start", "prometheus"]);
    }
}

#[test]
fn f_outages_are_shown_with_ages_and_end_by_themselves() {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    let config = rig.config("");
    let restart = Restart(&rig);
    let term = console(&rig, &config, &[]);
    // Prometheus has answered once: one that never did has failed, it is not old.
    rig.until("fresh data", LONG, || term.text(), |t| !t.contains("stale") && answered(t, "prom"));

    rig.rig(&["stop", "prometheus"]);
    term.wait("the age of the metrics", LONG, |s| s.contains("prom") && stale_in(s, "prom"));
    rig.rig(&["stop", "apiserver"]);
    let since = chrono::Utc::now();
    term.wait("the age of the cluster's data", LONG, |s| stale_in(s, "api"));
    // What was proposed before may wait; nothing new is.
    let created = |i: &serde_json::Value| {
        let text = i["proposal"]["created"].as_str().expect("a time");
        text.parse::<chrono::DateTime<chrono::Utc>>().expect("RFC 3339")
    };
    let new = |i: &serde_json::Value| state(i) == "proposed" && created(i) > since;
    assert!(!rig.queue_of_running().iter().any(new), "nothing is proposed from stale data");

    drop(restart);
    term.wait("everything fresh again", Duration::from_secs(120), |s| !stale_in(s, "api") && !stale_in(s, "prom"));
    // And it works: a new fault is found and proposed.
    rig.rig(&["apply", "oom"]);
    rig.action(&config, "ledger-oom", LONG, |i| state(i) == "proposed" && !i["preview"].is_null());
    quit(term);
    rig.delete(&["deploy/ledger"]);
}

/// Whether the header gives a source's age, and nothing else of it.
fn answered(screen: &str, source: &str) -> bool {
    let age = |part: &str| {
        part.trim()
            .strip_prefix(source)
            .is_some_and(|age| age.trim().ends_with('s') && age.trim().starts_with(|c: char| c.is_ascii_digit()))
    };
    screen.lines().take(3).any(|l| l.split('·').any(age))
}

/// Whether the header marks a source as stale.
fn stale_in(screen: &str, source: &str) -> bool {
    screen
        .lines()
        .take(3)
        .any(|l| l.split('·').any(|part| part.contains(source) && (part.contains("stale") || part.contains("lost"))))
}
