//! Walk d: step mode through one whole loop, each phase's product on the screen.

use super::{LONG, Rig, SHORT, console, open_action, press, quit};
use crate::rig::state;

#[test]
fn d_each_phase_waits_for_a_key_and_shows_its_product() {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    rig.rig(&["apply", "oom"]);
    rig.until(
        "the first OOM kill",
        LONG,
        || rig.kubectl(&["-n", "shop", "get", "pods", "-l", "app.kubernetes.io/name=ledger", "-o", "json"]),
        |t| t.contains("OOMKilled"),
    );
    let config = rig.config("");
    let mut term = console(&rig, &config, &["--mode", "step"]);
    term.expect("STEP", SHORT);
    assert!(
        !term.text().to_lowercase().contains("oom"),
        "nothing is analyzed before the operator says so:\n{}",
        term.text()
    );
    press(&mut term, "S");
    term.wait("the monitor phase", SHORT, |s| s.contains("monitor") && s.contains("4 nodes"));
    press(&mut term, "S");
    term.wait("the analyze phase", SHORT, |s| s.contains("analyze") && s.contains("ledger"));
    assert!(rig.queue(&config).iter().all(|i| state(i) != "proposed"), "nothing is planned yet");
    press(&mut term, "S");
    term.wait("the plan phase", LONG, |s| s.contains("plan") && s.contains("ledger-oom"));
    press(&mut term, "S");
    term.wait("the execute phase", SHORT, |s| s.contains("execute") && s.contains("approval"));
    let id = rig.action(&config, "ledger-oom", SHORT, |i| state(i) == "proposed" && !i["preview"].is_null())["proposal"]["id"].as_str().unwrap().to_owned();
    open_action(&mut term, "ledger");
    term.expect("228Mi", SHORT);
    press(&mut term, "a");
    rig.action(&config, &id, LONG, |i| state(i) == "done");
    assert_eq!(rig.memory_limit("ledger"), "228Mi");
    quit(term);
    rig.delete(&["deploy/ledger"]);
}
