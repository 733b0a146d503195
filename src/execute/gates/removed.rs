//! Every gate has a test that fails when the gate is removed: this removes each and looks.

use super::GATES;
use std::process::Command;

/// Which gate is removed in this process, by its place in [`GATES`].
const REMOVED: &str = "KANSOLE_TEST_REMOVED_GATE";

/// Whether this process lives without a gate.
pub(super) fn is(gate: usize) -> bool {
    std::env::var(REMOVED).is_ok_and(|v| v == gate.to_string())
}

/// Runs the guard's own tests without a gate, in a process of their own; gives the names of those that failed.
fn failing_without(gate: Option<usize>) -> Vec<String> {
    let mut run = Command::new(std::env::current_exe().unwrap());
    run.args(["execute::guard::tests::", "--test-threads", "1"]).env_remove(REMOVED);
    if let Some(gate) = gate {
        run.env(REMOVED, gate.to_string());
    }
    let out = run.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let failed = text.lines().filter_map(|l| l.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    let failed: Vec<String> = failed.map(str::to_owned).collect();
    assert_eq!(out.status.success(), failed.is_empty(), "{text}");
    failed
}

#[test]
fn every_gate_has_a_test_that_fails_if_the_gate_is_removed() {
    assert_eq!(failing_without(None), [] as [&str; 0], "with all of them nothing fails");
    let unproven: Vec<usize> = (0..GATES.len()).filter(|i| failing_without(Some(*i)).is_empty()).collect();
    assert!(unproven.is_empty(), "gates (by their place in GATES) that no test would miss: {unproven:?}");
}
