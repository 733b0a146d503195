//! Walk c: auto mode starts paused, heals where it was invited and nowhere else, and the kill switch stops it.

use super::{LONG, Rig, SHORT, console, quit};
use crate::rig::state;
use std::time::Duration;

#[test]
fn c_auto_starts_paused_then_heals_the_opted_in_namespace_only() {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    rig.kubectl(&["-n", "legacy", "delete", "deploy", "--all", "--ignore-not-found", "--wait=true"]);
    rig.rig(&["apply", "oom", "legacy"]);
    let config = rig.config("");
    let mut term = console(&rig, &config, &["--mode", "auto"]);
    term.expect("PAUSED", SHORT);
    let ready = rig.action(&config, "ledger-oom", LONG, |i| state(i) == "proposed" && !i["preview"].is_null());
    assert!(ready["approval"].is_null(), "paused: nobody approved");
    assert_eq!(rig.memory_limit("ledger"), "128Mi");
    term.keys("P");
    term.keys("y");
    let done = rig.action(&config, "ledger-oom", LONG, |i| state(i) == "done");
    assert_eq!(done["approval"]["by"], "auto");
    assert_eq!(done["state"]["verdict"], "effective", "{done:#}");
    assert_eq!(rig.memory_limit("ledger"), "228Mi");
    // The other namespace has the same fault, never opted in, and was left alone; the console says why.
    let other = rig.queue(&config).into_iter().rfind(|i| {
        i["proposal"]["subject"]["workload"]["namespace"] == "legacy"
            && i["proposal"]["fault"]["class"] == "oom_container"
    });
    let other = other.expect("the fault in legacy has a proposal");
    assert_eq!(state(&other), "proposed");
    assert!(other["blocked"].to_string().contains("g21"), "{other:#}");
    // Auto may be at the next trouble already: leaving asks then, and yes leaves it to be finished or handed over.
    term.keys("q");
    let asked = |term: &super::Term| term.text().contains("Leave while actions are under way?");
    for _ in 0..20 {
        if asked(&term) {
            term.keys("y");
            break;
        }
        std::thread::sleep(Duration::from_millis(100)); // the end or a question: neither tells of the other
    }
    assert_eq!(term.ended(Duration::from_secs(60)), 0, "a clean end");
    rig.delete(&["deploy/ledger"]);
    rig.kubectl(&["-n", "legacy", "delete", "deploy", "--all", "--wait=true"]);
}

#[test]
fn c_the_kill_switch_stops_a_write_by_key_file_and_configmap() {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    rig.rig(&["apply", "oom"]);
    let config = rig.config("");
    let mut term = console(&rig, &config, &[]);
    let item = rig.action(&config, "ledger-oom", LONG, |i| state(i) == "proposed" && !i["preview"].is_null());
    let id = item["proposal"]["id"].as_str().unwrap().to_owned();
    let hash = item["proposal"]["hash"].as_str().unwrap().to_owned();
    let refused = |what: &str| {
        let out = rig.kansole(&config, &["actions", "approve", &id, "--hash", &hash]);
        assert!(!out.status.success(), "{what}: approval goes through");
        let says = String::from_utf8_lossy(&out.stderr).to_lowercase();
        assert!(says.contains("kill") || says.contains("g07"), "{what}: {says}");
        assert_eq!(rig.memory_limit("ledger"), "128Mi", "{what}");
    };
    term.keys("K");
    term.keys("y");
    term.expect("KILL", SHORT);
    refused("key");
    term.keys("K");
    term.keys("y");
    term.wait("release", SHORT, |s| !s.contains("KILLED"));
    // The file: laid down by hand where the terminal is dead.
    let dir = std::fs::read_dir(rig.state.path())
        .unwrap()
        .flatten()
        .find(|e| e.path().is_dir())
        .expect("the cluster's directory");
    let kill = dir.path().join("kill");
    std::fs::write(&kill, "").unwrap();
    term.expect("KILL", Duration::from_secs(15));
    refused("file");
    std::fs::remove_file(&kill).unwrap();
    term.wait("release", Duration::from_secs(15), |s| !s.contains("KILLED"));
    // The ConfigMap: for everybody at once.
    let _ = std::process::Command::new("kubectl")
        .args(["--kubeconfig", &rig.kubeconfig, "create", "namespace", "kansole"])
        .output();
    rig.kubectl(&["-n", "kansole", "create", "configmap", "kill-switch", "--from-literal=kill=true"]);
    term.expect("KILL", Duration::from_secs(15));
    refused("ConfigMap");
    rig.kubectl(&["delete", "namespace", "kansole", "--wait=true"]);
    quit(term);
    rig.delete(&["deploy/ledger"]);
}
