//! `kansole lab`: the contract of its commands, by the program itself.

use serde_json::Value;
use std::fmt::Write as _;
use std::process::{Command, Output};

fn lab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kansole")).arg("lab").args(args).output().expect("kansole runs")
}

fn lines(out: &Output) -> Vec<Value> {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout.clone()).expect("utf-8");
    text.lines().map(|l| serde_json::from_str(l).expect("a JSON object per line")).collect()
}

/// A daily wave with a little of something that never repeats.
fn wave(t: usize) -> f64 {
    let t = t as f64;
    100.0 + 30.0 * (t * std::f64::consts::TAU / 24.0).sin() + 3.0 * (t * 12.9898).sin() * (t * 0.731).cos()
}

#[test]
fn a_forecast_has_a_line_per_series_with_ordered_intervals() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("train.csv");
    let mut text = String::new();
    for id in ["a", "b"] {
        let values: Vec<String> = (0..24 * 8).map(|t| wave(t).to_string()).collect();
        let _ = writeln!(text, "{id},{}", values.join(","));
    }
    std::fs::write(&file, text).expect("written");
    let all = lines(&lab(&["forecast", "--train", file.to_str().unwrap(), "--horizon", "6", "--season", "24"]));
    assert_eq!(all.iter().map(|l| l["id"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b"]);
    for line in all {
        assert!(line["model"].is_string());
        let list =
            |key: &str| -> Vec<f64> { line[key].as_array().expect(key).iter().map(|v| v.as_f64().unwrap()).collect() };
        let keys = ["lo95", "lo80", "mean", "hi80", "hi95"].map(list);
        for h in 0..6 {
            assert!(keys.windows(2).all(|k| k[0][h] <= k[1][h]), "{line}");
            assert!((keys[2][h] - wave(24 * 8 + h)).abs() < 10.0, "{line}");
        }
    }
}

#[test]
fn an_anomaly_is_a_row_s_own_and_nothing_that_comes_later_changes_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, rows: usize| {
        let mut text = "timestamp,value\n".to_owned();
        for t in 0..rows {
            let value = if t == 700 { 400.0 } else { wave(t) };
            let _ = writeln!(text, "{},{value}", 1_700_000_000 + t * 300);
        }
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("written");
        lines(&lab(&["anomaly", "--data", file.to_str().unwrap()]))
    };
    let all = write("all.csv", 1000);
    assert_eq!(all.len(), 1000);
    assert!(all.iter().all(|r| (0.0..=1.0).contains(&r["score"].as_f64().unwrap()) && r["detector"].is_string()));
    let flagged: Vec<usize> = (0..1000).filter(|t| all[*t]["anomaly"] == true).collect();
    assert!(flagged.contains(&700), "{flagged:?}");
    assert!(flagged.iter().all(|t| *t >= 150), "the first 15 % are probation: {flagged:?}");
    let part = write("part.csv", 800);
    assert!(part.iter().zip(&all).all(|(a, b)| a["score"] == b["score"]));
}

#[test]
fn a_bad_file_is_told_by_line_and_column() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("bad.csv");
    std::fs::write(&file, "timestamp,value\n1,2\n2,two\n").expect("written");
    let out = lab(&["anomaly", "--data", file.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(1));
    let says = String::from_utf8_lossy(&out.stderr);
    assert!(says.contains("bad.csv:3:3") && says.contains("two"), "{says}");
    std::fs::write(&file, "a,1,2,x3\n").expect("written");
    let out = lab(&["forecast", "--train", file.to_str().unwrap(), "--horizon", "2"]);
    let says = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && says.contains("line 1, column 4") && says.contains("x3"), "{says}");
    let out = lab(&["forecast", "--train", "/nowhere.csv", "--horizon", "2"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("/nowhere.csv"));
    assert_eq!(lab(&["forecast", "--horizon", "2"]).status.code(), Some(2));
    assert_eq!(lab(&["anomaly"]).status.code(), Some(2));
}

#[test]
fn a_trace_has_its_critical_path_in_microseconds_and_a_rootless_one_is_told_of() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("traces.json");
    let span = |id: &str, parent: &str, start: u32, duration: u32| {
        let references =
            if parent.is_empty() { vec![] } else { vec![serde_json::json!({"refType": "CHILD_OF", "spanID": parent})] };
        serde_json::json!({"spanID": id, "operationName": id, "startTime": start, "duration": duration,
            "processID": "p", "references": references})
    };
    let trace = |id: &str, spans: Vec<Value>| serde_json::json!({"traceID": id, "spans": spans, "processes": {"p": {"serviceName": "shop", "tags": []}}});
    let whole = trace("t1", vec![span("a", "", 0, 100), span("b", "a", 10, 30), span("c", "a", 50, 20)]);
    let circle = trace("t2", vec![span("a", "b", 0, 1), span("b", "a", 0, 1)]);
    std::fs::write(&file, serde_json::json!({"data": [whole, circle]}).to_string()).expect("written");
    let out = lab(&["traces", file.to_str().unwrap()]);
    let all = lines(&out);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["traceID"], "t1");
    assert_eq!(all[0]["criticalPath"], serde_json::json!({"[shop] a": 50, "[shop] b": 30, "[shop] c": 20}));
    assert!(String::from_utf8_lossy(&out.stderr).contains("1 of 2 traces have no root"));
}

#[test]
fn suspects_are_ranked_from_a_table_alone_and_along_a_graph() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: String| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("written");
        file.to_str().unwrap().to_owned()
    };
    let ripple = |t: usize| 1.0 + 0.02 * (t as f64 * 1.7).sin();
    let table = |from: usize, slow: f64| {
        let mut text = "time,front_latency,db_latency,cart_latency\n".to_owned();
        for t in from..from + 60 {
            let more = if t % 60 >= 20 { slow } else { 0.0 };
            let _ = writeln!(text, "{t},{},{},{}", ripple(t) + more, 0.1 * ripple(t + 3) + more, 0.2 * ripple(t + 5));
        }
        text
    };
    let (normal, metrics) = (write("normal.csv", table(0, 0.0)), write("metrics.csv", table(60, 0.5)));
    let nodes = |out: &Output| -> Vec<String> {
        let ranked = lines(out)[0]["ranked"].as_array().expect("a list").clone();
        ranked.iter().map(|r| r["node"].as_str().expect("a name").to_owned()).collect()
    };
    let plain = lab(&["rootcause", "--metrics", &metrics, "--normal", &normal, "--top", "2"]);
    assert_eq!(nodes(&plain), ["db", "front"]);
    let graph = write("graph.csv", ",front,db,cart\nfront,0,1,1\ndb,0,0,0\ncart,0,0,0\n".into());
    let along = ["rootcause", "--metrics", &metrics, "--graph", &graph, "--target", "front", "--at", "80"];
    assert_eq!(nodes(&lab(&along))[0], "db", "what was before is normal enough");
    let stranger = lab(&["rootcause", "--metrics", &metrics, "--graph", &graph, "--target", "x", "--at", "80"]);
    assert!(String::from_utf8_lossy(&stranger.stderr).contains("no column is about \"x\""));
    let nothing = lab(&["rootcause", "--metrics", &metrics]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("name a file with --normal"));
    assert_eq!(lab(&["rootcause", "--metrics", &metrics, "--graph", &graph]).status.code(), Some(2));
}
