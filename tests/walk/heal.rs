//! Walk a and b: a fault, a proposal, a keystroke, a verified change, an undo; and objects that have another owner.

use super::{LONG, Rig, SHORT, console, oom_proposal, open_action, press, quit};
use crate::rig::state;

#[test]
fn a_oom_is_shown_explained_approved_verified_and_undone() {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    rig.rig(&["apply", "oom"]);
    let config = rig.config("");
    let mut term = console(&rig, &config, &[]);
    // Within a minute the fault is in Overview…
    term.wait("the OOM finding", std::time::Duration::from_secs(60), |s| {
        s.contains("ledger") && s.to_lowercase().contains("oom")
    });
    // …and the proposal in Actions.
    // Nothing may stop it, once the server has said what the user may do.
    let (id, _) = oom_proposal(&rig, &config);
    open_action(&mut term, "ledger");
    term.wait("the diff", SHORT, |s| s.contains("128Mi") && s.contains("228Mi") && s.contains("OOMKilled"));
    // `a` approves; dry-run, applying and verifying follow, up to the verdict.
    press(&mut term, "a");
    rig.action(&config, &id, LONG, |i| matches!(state(i), "verifying" | "done"));
    assert_eq!(rig.memory_limit("ledger"), "228Mi", "kubectl sees the new limit");
    let managers = rig.kubectl(&[
        "-n",
        "shop",
        "get",
        "deploy/ledger",
        "--show-managed-fields",
        "-o",
        "jsonpath={.metadata.managedFields[*].manager}",
    ]);
    assert!(managers.split(' ').any(|m| m == "kansole"), "field manager kansole: {managers}");
    let done = rig.action(&config, &id, LONG, |i| state(i) == "done");
    assert_eq!(done["state"]["verdict"], "effective", "{done:#}");
    // `u` undoes it.
    term.keys("u");
    term.keys("y");
    rig.action(&config, &id, LONG, |i| state(i) == "reverted");
    assert_eq!(rig.memory_limit("ledger"), "128Mi");
    quit(term);
    let kinds = rig.journal_kinds(&config);
    let order = [
        "session_started",
        "finding_opened",
        "proposed",
        "approved",
        "intent",
        "applied",
        "outcome",
        "revert_intent",
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
    rig.delete(&["deploy/ledger"]);
}

#[test]
fn b_a_bad_image_is_rolled_back_to_the_last_healthy_revision() {
    let rig = Rig::here();
    rig.rig(&["apply", "shop"]);
    rig.kubectl(&["-n", "shop", "rollout", "status", "deploy/web", "--timeout=60s"]);
    let good = rig.image("web");
    rig.rig(&["apply", "bad-image"]);
    let config = rig.config("");
    let mut term = console(&rig, &config, &[]);
    let item = rig.action(&config, "web-bad-release", LONG, |i| state(i) == "proposed" && !i["preview"].is_null());
    let id = item["proposal"]["id"].as_str().unwrap().to_owned();
    // The release is what the incident is laid to.
    rig.until(
        "the incident",
        LONG,
        || rig.json(&config, &["once", "--mode", "manual"])["incidents"].clone(),
        |all| {
            let incidents = all.as_array().unwrap().iter().filter(|i| i["ended"].is_null());
            let mut first = incidents.map(|i| &i["causes"][0]);
            first.any(|c| {
                c["subject"]["change"][1] == "Deployment shop/web" && c["what"].to_string().contains("web:bad")
            })
        },
    );
    open_action(&mut term, "web");
    term.wait("why and what", SHORT, |s| s.contains(":bad") && s.contains(&good));
    press(&mut term, "a");
    let done = rig.action(&config, &id, LONG, |i| state(i) == "done");
    assert_eq!(done["state"]["verdict"], "effective", "{done:#}");
    assert_eq!(rig.image("web"), good);
    quit(term);
    rig.rig(&["apply", "shop"]);
}

#[test]
fn b_what_argo_cd_or_an_hpa_owns_is_not_patched_and_the_reason_is_shown() {
    let rig = Rig::here();
    rig.rig(&["apply", "shop"]);
    rig.kubectl(&["-n", "shop", "rollout", "status", "deploy/recommendations", "--timeout=60s"]);
    // A bad release on the Deployment that Argo CD owns, and more load than one pod serves on the one an HPA owns.
    rig.kubectl(&[
        "-n",
        "shop",
        "set",
        "image",
        "deploy/recommendations",
        "recommendations=registry.example/recommendations:bad",
    ]);
    rig.kubectl(&[
        "-n",
        "shop",
        "patch",
        "deploy/search",
        "--type=json",
        "-p",
        r#"[{"op":"add","path":"/spec/template/metadata/annotations/kansole.dev~1rps","value":"2000"}]"#,
    ]);
    let before = rig.field("deploy/recommendations", "{.metadata.generation}");
    let config = rig.config("");
    let mut term = console(&rig, &config, &[]);
    let item = rig.action(&config, "recommendations-bad-release", LONG, |i| state(i) == "proposed");
    assert_eq!(item["proposal"]["plan"]["steps"], serde_json::json!([]), "there is nothing to approve");
    assert!(
        item["proposal"]["export"].as_str().is_some_and(|e| e.contains("registry.example/recommendations:1")),
        "the patch to commit is there"
    );
    open_action(&mut term, "recommendations");
    term.expect("Argo CD", SHORT);
    press(&mut term, "a");
    assert_eq!(rig.field("deploy/recommendations", "{.metadata.generation}"), before, "untouched");
    // The HPA's replicas are left alone, and the console says whose they are.
    let report = rig.until(
        "the saturated workload",
        LONG,
        || rig.json(&config, &["once", "--mode", "manual"]),
        |r| {
            r["findings"].as_array().is_some_and(|f| {
                f.iter()
                    .any(|f| f["fault"]["class"] == "saturated" && f["id"].as_str().unwrap_or("").contains("search"))
            })
        },
    );
    let text = report.to_string();
    assert!(text.contains("HPA search"), "{text}");
    // Where it stands at its maximum, that may be raised; its replicas are nobody else's.
    let of_search = report["proposals"].as_array().unwrap().iter().map(|p| &p["proposal"]);
    let of_search = of_search.filter(|p| p["id"].as_str().unwrap().starts_with("search-"));
    for step in of_search.flat_map(|p| p["plan"]["steps"].as_array().unwrap()) {
        assert_eq!(step["target"]["resource"]["kind"], "HorizontalPodAutoscaler", "what the HPA owns: {step}");
    }
    quit(term);
    rig.rig(&["apply", "shop"]);
    rig.kubectl(&[
        "-n",
        "shop",
        "set",
        "image",
        "deploy/recommendations",
        "recommendations=registry.example/recommendations:1.4.0",
    ]);
}
