//! `kansole lab rightsize`: recorded usage in, requests and limits out, by the program itself.

use serde_json::Value;
use std::fmt::Write as _;
use std::process::{Command, Output};

const HEADER: &str =
    "time,workload,container,pod,cpu,memory,cpu_request,cpu_limit,memory_request,memory_limit,throttled,killed\n";
const MIB: f64 = 1024.0 * 1024.0;

fn rightsize(text: &str, more: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("usage.csv");
    std::fs::write(&file, text).expect("written");
    Command::new(env!("CARGO_BIN_EXE_kansole"))
        .args(["lab", "rightsize", "--data"])
        .arg(&file)
        .args(more)
        .output()
        .expect("kansole runs")
}

fn lines(out: &Output) -> Vec<Value> {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout.clone()).expect("utf-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object per line")).collect()
}

/// Rows every ten minutes of two pods of one container that ask for 2 cores and 1 GiB, twice that at most.
fn rows(workload: &str, days: u32, cpu: f64, memory_mib: f64) -> String {
    let mut text = String::new();
    for at in 0..days * 144 {
        for pod in ["a", "b"] {
            let time = 1_700_000_000 + (14 * 144 - days * 144 + at) * 600;
            let (wave, memory) = (1.0 + 0.1 * f64::from(at % 7) / 7.0, memory_mib * MIB);
            let _ = writeln!(
                text,
                "{time},{workload},app,{pod},{},{memory},2,4,{},{},0,",
                cpu * wave,
                1024.0 * MIB,
                2048.0 * MIB
            );
        }
    }
    text
}

#[test]
fn too_much_shrinks_by_a_step_with_a_patch_and_its_saving() {
    let text = format!("{HEADER}{}", rows("Deployment/shop/cart", 14, 0.3, 900.0));
    let out = rightsize(&text, &[]);
    let told = &lines(&out)[0];
    assert_eq!((told["pods"].as_u64(), told["cpu"]["newRequest"].as_f64()), (Some(2), Some(1.5)));
    assert_eq!(told["cpu"]["newLimit"], 3.0);
    assert_eq!(told["cpu"]["saving"], 1.0);
    assert!(told["cpu"]["vpa"]["target"].as_f64().unwrap() < 0.45 && told["cpu"]["krr"].as_f64().unwrap() < 0.34);
    let memory = &told["memory"];
    assert!(memory["newRequest"].is_null(), "900 MiB of 1024 with bucket and margin: {memory}");
    let resources = &told["patch"]["spec"]["template"]["spec"]["containers"][0]["resources"];
    assert_eq!(resources["requests"], serde_json::json!({"cpu": "1500m"}));
    assert_eq!(told["patch"]["metadata"], serde_json::json!({"name": "cart", "namespace": "shop"}));
    assert!(String::from_utf8_lossy(&out.stderr).contains("one step gives back 1.000 cores, 0.000 GiB"));
}

#[test]
fn nothing_shrinks_early_at_a_limit_or_under_an_hpa_and_what_is_gone_is_left() {
    let mut gone = String::new();
    for line in rows("gone", 14, 0.3, 900.0).lines().take(1500) {
        let _ = writeln!(gone, "{line}");
    }
    let all = [
        rows("early", 3, 0.3, 900.0),
        rows("full", 14, 0.3, 2040.0),
        rows("scaled", 14, 0.3, 900.0),
        rows("young", 1, 0.3, 900.0).lines().take(60).fold(String::new(), |text, line| text + line + "\n"),
        gone,
    ];
    let told = lines(&rightsize(&format!("{HEADER}{}", all.concat()), &["--hpa", "scaled=cpu"]));
    let of = |name: &str| told.iter().find(|line| line["workload"] == name).unwrap();
    let why = |told: &Value| told["why"].to_string();
    assert!(
        of("early")["cpu"]["newRequest"].is_null()
            && why(&of("early")["cpu"]).contains("days are too few to shrink by")
    );
    let full = &of("full")["memory"];
    assert!(
        full["censored"] == true
            && full["newRequest"].as_f64().unwrap() > 1024.0 * MIB
            && why(full).contains("95 % of the limit")
    );
    assert!(
        of("scaled")["cpu"]["newRequest"].is_null()
            && why(&of("scaled")["cpu"]).contains("an HPA divides by this request")
    );
    assert!(why(of("gone")).contains("does not run any more") && of("gone")["cpu"].is_null());
    assert!(of("early")["patch"].is_null(), "a bare name has no kind to patch");
}

#[test]
fn what_can_not_be_read_is_told_with_line_and_column() {
    let says = |text: &str, more: &[&str]| {
        let out = rightsize(text, more);
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    assert!(says("time,workload,pod,cpu\n", &[]).contains("usage.csv:1: no column \"container\""));
    assert!(says("time,workload,container,pod\n", &[]).contains("there is no usage"));
    assert!(says(HEADER, &[]).contains("no rows"));
    let found = says(&format!("{HEADER}1700000000,w,app,a,much,1,,,,,,\n"), &[]);
    assert!(found.contains("usage.csv:2: column 5 (cpu): \"much\" is no number"), "{found}");
    let found = says(&format!("{HEADER}noon,w,app,a,1,1,,,,,,\n"), &[]);
    assert!(found.contains("column 1 (time): \"noon\" is no time"), "{found}");
    let found = says(&format!("{HEADER}1700000000,w,app,a,1,1,,,,,,\n"), &["--hpa", "v=cpu"]);
    assert!(found.contains("--hpa v: ") && found.contains("no such workload"), "{found}");
    let few = lines(&rightsize(&format!("{HEADER}1700000000,w,app,a,1,,,,,,,\n"), &[]));
    assert!(few[0]["cpu"]["why"][0].as_str().unwrap().contains("1 samples; at least 100"));
    assert!(few[0]["memory"]["why"][0].as_str().unwrap().contains("0 samples"));
}
