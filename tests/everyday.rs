//! The program from outside, on a scripted API server: what every `cargo test` sees without a cluster.

#[path = "support/scripted.rs"]
mod scripted;

use scripted::{Scripted, shop};
use serde_json::Value;
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn once_tells_findings_and_proposals_and_writes_nothing() {
    let cluster = Scripted::start(shop(chrono::Utc::now())).await;
    let out = cluster.kansole(&["once"]).await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["summary"]["workloads"], 5);
    assert_eq!(report["findings"][0]["fault"]["class"], "oom_container", "{:#}", report["findings"]);
    let proposal = &report["proposals"][0];
    assert!(proposal["proposal"]["title"].as_str().unwrap().contains("128Mi to 228Mi"), "{proposal:#}");
    assert!(proposal["preview"]["diffs"][0].as_str().unwrap().contains("228Mi"), "the server's own diff");
    assert_eq!(cluster.writes(), 0);
    assert!(!cluster.path("state").exists(), "nothing is kept either");
}

/// What does not change from run to run: words, without ages, ids and the spaces between columns.
fn words(svg: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in svg.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().filter(|w| !w.chars().any(|c| c.is_ascii_digit())).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_in_the_readme_is_what_the_program_draws() {
    let cluster = Scripted::start(shop(chrono::Utc::now())).await;
    let out = cluster
        .kansole(&[
            "snapshot", "--pane", "actions", "--press", "enter", "--size", "110x38", "--format", "svg", "--color",
            "true", "--mode", "manual",
        ])
        .await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let fresh = String::from_utf8(out.stdout).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/console.svg");
    if std::env::var_os("KANSOLE_BLESS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        words(&fresh),
        words(&kept),
        "docs/console.svg is out of date: KANSOLE_BLESS=1 cargo test --test everyday draws it anew"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_are_not_built_yet_say_so_with_exit_code_2() {
    let cluster = Scripted::start(vec![]).await;
    let out = cluster.kansole(&["agent"]).await;
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("not built yet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_and_messages_name_the_place_and_the_remedy() {
    let cluster = Scripted::start(vec![]).await;
    let write = |name: &str, text: &str| std::fs::write(cluster.path(name), text).unwrap();
    // A kubeconfig that is not there, is not YAML, has no such context; a server that refuses connections.
    let run = async |args: &[&str]| {
        let out = tokio::process::Command::new(env!("CARGO_BIN_EXE_kansole"))
            .args(args)
            .env("XDG_STATE_HOME", cluster.dir.path())
            .output()
            .await
            .unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let file = |name: &str| cluster.path(name).display().to_string();
    let (code, says) = run(&["once", "--kubeconfig", &file("missing")]).await;
    assert_eq!(code, Some(3), "{says}");
    assert!(says.contains("missing") && says.contains("--kubeconfig"), "{says}");
    write("bad", "clusters: [unclosed");
    let (code, says) = run(&["once", "--kubeconfig", &file("bad")]).await;
    assert_eq!(code, Some(3), "{says}");
    assert!(says.contains("bad:1:"), "file and line: {says}");
    let (code, says) = run(&["once", "--kubeconfig", &file("kubeconfig"), "--context", "prod"]).await;
    assert_eq!(code, Some(3), "{says}");
    assert!(says.contains("prod") && says.contains("shop"), "the known contexts are listed: {says}");
    // A configuration with a mistake.
    write("wrong.toml", "[guard]\nper_hour = 10\nintervall = \"5s\"\n");
    let (code, says) = run(&["once", "--kubeconfig", &file("kubeconfig"), "--config", &file("wrong.toml")]).await;
    assert_eq!(code, Some(2), "{says}");
    assert!(says.contains("wrong.toml:3:1") && says.contains("interval"), "{says}");
}
