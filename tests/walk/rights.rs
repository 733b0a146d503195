//! Walk g: a viewer-only token, and a token for one namespace.

use super::{LONG, Rig};
use serde_json::Value;

fn once(rig: &Rig, kubeconfig: &str, more: &[&str]) -> Value {
    let config = rig.config("");
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_kansole"))
        .args(["once", "--kubeconfig", kubeconfig, "--config", config.to_str().unwrap()])
        .args(more)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn g_a_viewer_sees_everything_and_is_told_the_missing_verb() {
    let rig = Rig::here();
    rig.rig(&["apply", "oom"]);
    let viewer = std::env::var("KANSOLE_RIG_VIEWER").unwrap();
    let report = rig.until(
        "the proposal",
        LONG,
        || once(&rig, &viewer, &[]),
        |r| {
            r["proposals"]
                .as_array()
                .unwrap()
                .iter()
                .any(|p| p["proposal"]["id"].as_str().unwrap().starts_with("ledger-oom"))
        },
    );
    assert_eq!(report["summary"]["nodes"], 4);
    let proposal = report["proposals"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["proposal"]["id"].as_str().unwrap().starts_with("ledger-oom"))
        .unwrap();
    let blocked = proposal["blocked"].to_string();
    assert!(blocked.contains("g18") && blocked.contains("patch deployments"), "the missing verb is named: {blocked}");
    rig.delete(&["deploy/ledger"]);
}

#[test]
fn g_one_namespace_is_shown_whole_and_the_rest_as_denied() {
    let rig = Rig::here();
    let team = std::env::var("KANSOLE_RIG_TEAM_A").unwrap();
    rig.rig(&["apply", "team-a"]);
    let report = once(&rig, &team, &["-n", "team-a"]);
    assert!(report["summary"]["workloads"].as_u64().unwrap() >= 1, "{report:#}");
    let denied: Vec<&Value> =
        report["sources"].as_array().unwrap().iter().filter(|s| s["state"]["state"] == "denied").collect();
    let nodes = denied.iter().find(|s| s["name"] == "nodes").expect("nodes are denied");
    let why = nodes["state"]["why"].as_str().unwrap();
    assert!(why.contains("cannot list") || why.contains("cannot watch"), "the verb is named: {why}");
    let pods = report["sources"].as_array().unwrap().iter().find(|s| s["name"] == "pods").unwrap();
    assert_eq!(pods["state"]["state"], "live");
    // On the screen: readable things are there, denied ones say so.
    let config = rig.config("");
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_kansole"))
        .args([
            "snapshot",
            "--pane",
            "overview",
            "--size",
            "140x40",
            "-n",
            "team-a",
            "--kubeconfig",
            &team,
            "--config",
            config.to_str().unwrap(),
        ])
        .output()
        .unwrap();
    let frame = String::from_utf8_lossy(&out.stdout);
    assert!(frame.contains("denied") && frame.contains("nodes"), "{frame}");
    rig.kubectl(&["-n", "team-a", "delete", "deploy", "--all", "--wait=true"]);
}
