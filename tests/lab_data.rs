//! `kansole lab traces|rootcause` on published cases: `KANSOLE_DATA` names the folder that holds `critical-path/*.json`
//! (CRISP's, with the times they expect) and `petshop/SCENARIO/…`.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder, or a word about why nothing is tested.
fn data(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("KANSOLE_DATA") else {
        eprintln!("skipped: KANSOLE_DATA is not set; it names the folder with {name}");
        return None;
    };
    Some(Path::new(&folder).join(name))
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let list = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = list.map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// What the program prints, line by line.
fn lab(args: &[&str]) -> Vec<Value> {
    let out = Command::new(env!("CARGO_BIN_EXE_kansole")).arg("lab").args(args).output().expect("kansole runs");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("JSON is text");
    text.lines().map(|l| serde_json::from_str(l).expect("a JSON object per line")).collect()
}

#[test]
fn every_critical_path_is_the_published_one() {
    let Some(folder) = data("critical-path") else { return };
    let mut cases = 0;
    for file in entries(&folder).iter().filter(|f| f.extension().is_some_and(|e| e == "json")) {
        let testing = &json(file)["testing"];
        // Older cases list the times alone.
        let expected = if testing.is_array() { &testing[0] } else { &testing["opTimeExclusive"] };
        let found = lab(&["traces", file.to_str().expect("a readable path")]);
        assert_eq!(found[0]["criticalPath"], *expected, "{}", file.display());
        cases += 1;
    }
    println!("{cases} critical paths agree");
    assert!(cases > 0, "{} holds no case", folder.display());
}

#[test]
fn the_cause_is_ranked_first_in_nearly_every_published_incident() {
    let Some(folder) = data("petshop") else { return };
    let (mut first, mut among_three, mut all) = (0, 0, 0);
    for scenario in entries(&folder).iter().filter(|s| s.is_dir()) {
        let (mut one, mut three, mut count) = (0, 0, 0);
        for issue in entries(&scenario.join("train")) {
            let about = json(&issue.join("target.json"));
            let cause = about["root_cause"]["node"].as_str().expect("a cause");
            let (graph, normal) = (scenario.join("graph.csv"), scenario.join("noissue/metrics.csv"));
            let (metrics, at) = (issue.join("metrics.csv"), about["target"]["timestamp"].to_string());
            let target = about["target"]["node"].as_str().expect("a target");
            let text = |p: &Path| p.to_str().expect("a readable path").to_owned();
            let (metrics, graph) = (text(&metrics), text(&graph));
            let mut args = vec!["rootcause", "--metrics", &metrics, "--graph", &graph, "--target", target, "--at", &at];
            let told = text(&normal);
            if normal.exists() {
                args.extend(["--normal", &told]);
            }
            let found = lab(&args);
            let ranked = found[0]["ranked"].as_array().expect("a list");
            let at = ranked.iter().position(|r| r["node"] == cause);
            count += 1;
            one += usize::from(at == Some(0));
            three += usize::from(at.is_some_and(|at| at < 3));
        }
        println!("{}: first {one}, among three {three} of {count}", scenario.display());
        (first, among_three, all) = (first + one, among_three + three, all + count);
    }
    assert!(first * 100 >= 85 * all && among_three * 100 >= 95 * all && all > 0, "{first}, {among_three} of {all}");
}
