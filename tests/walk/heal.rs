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
fn a_value_is_set_by_hand_before_it_is_approved_and_undone_like_any_other() {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    rig.rig(&["apply", "oom"]);
    let config = rig.config("");
    let mut term = console(&rig, &config, &[]);
    let (first, _) = oom_proposal(&rig, &config);
    open_action(&mut term, "ledger");
    term.wait("the diff", SHORT, |s| s.contains("228Mi"));
    // `i` asks for another value; what is no amount is refused and nothing changes.
    press(&mut term, "i");
    term.wait("the prompt", SHORT, |s| s.contains("set instead"));
    term.keys("\x15much\r");
    term.wait("the refusal", SHORT, |s| s.contains("is not an amount of memory"));
    press(&mut term, "i");
    term.keys("\x15300Mi\r");
    let item = rig.action(&config, "ledger-oom", LONG, |i| {
        state(i) == "proposed" && i["proposal"]["title"].as_str().is_some_and(|t| t.contains("to 300Mi"))
    });
    let id = item["proposal"]["id"].as_str().unwrap().to_owned();
    assert_ne!(id, first, "another plan has another name");
    assert!(item["proposal"]["notes"].to_string().contains("the planner reckoned 228Mi"), "{item:#}");
    // The old one cannot be approved any more; the new one is, by its own hash.
    assert_eq!(state(&rig.action(&config, &first, SHORT, |_| true)), "superseded");
    let hash = item["proposal"]["hash"].as_str().unwrap();
    rig.kansole(&config, &["actions", "approve", &id, "--hash", hash]);
    rig.action(&config, &id, LONG, |i| matches!(state(i), "verifying" | "done"));
    assert_eq!(rig.memory_limit("ledger"), "300Mi");
    rig.action(&config, &id, LONG, |i| state(i) == "done");
    rig.kansole(&config, &["actions", "revert", &id]);
    rig.action(&config, &id, LONG, |i| state(i) == "reverted");
    assert_eq!(rig.memory_limit("ledger"), "128Mi");
    quit(term);
    rig.delete(&["deploy/ledger"]);
    // The same once more, from the journal, in the same panes: nothing can be done in it.
    let args = rig.args(&config, &["journal", "replay", "--action", &id, "--speed", "1000"]);
    let mut term = super::Term::start(&args, &[], 140, 40);
    term.wait("the replay", SHORT, |s| s.contains("REPLAY") && s.contains(&format!("action {id}")));
    term.keys("4");
    term.wait("the end of it", LONG, |s| s.contains("REPLAY PAUSED") && s.contains("reverted"));
    press(&mut term, "K");
    term.wait("the refusal", SHORT, |s| s.contains("this is a replay"));
    quit(term);
}

#[test]
fn two_are_approved_by_one_question_and_carried_out_in_turn() {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    rig.rig(&["apply", "shop"]);
    rig.kubectl(&["-n", "shop", "rollout", "status", "deploy/web", "--timeout=60s"]);
    rig.rig(&["apply", "oom"]);
    rig.rig(&["apply", "bad-image"]);
    let config = rig.config("");
    let mut term = console(&rig, &config, &[]);
    let (oom, _) = oom_proposal(&rig, &config);
    let free = |i: &serde_json::Value| {
        state(i) == "proposed" && !i["preview"].is_null() && i["blocked"] == serde_json::json!([])
    };
    let release = rig.action(&config, "web-bad-release", LONG, free);
    let release = release["proposal"]["id"].as_str().unwrap().to_owned();
    term.keys("4");
    for (word, marked) in [("ledger", "1 marked"), ("web", "2 marked, 1 of them hidden")] {
        term.keys(&format!("/\x15{word}\r"));
        term.wait("the filter", SHORT, |s| s.contains(&format!("filter {word}")));
        term.keys(" ");
        term.wait("the mark", SHORT, |s| s.contains(marked));
    }
    press(&mut term, "a");
    term.wait("the question", SHORT, |s| s.contains("Approve 2 actions, 1 of them hidden?") && s.contains("ledger"));
    term.keys("y");
    for id in [&oom, &release] {
        let done = rig.action(&config, id, LONG, |i| state(i) == "done");
        assert_eq!(done["state"]["verdict"], "effective", "{done:#}");
    }
    quit(term);
    let kinds = rig.journal_kinds(&config);
    assert_eq!(kinds.iter().filter(|k| *k == "approved").count(), 2, "{kinds:?}");
    assert!(!kinds.iter().any(|k| k == "refused"), "waiting for its turn is no refusal: {kinds:?}");
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
