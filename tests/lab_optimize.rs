//! `kansole lab optimize`: spaces, formulas and observations from files, by the program itself.

use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SPACE: &str = r#"
constraints = ["cpu * workers <= 16", 'if codec == "zstd" then cpu >= 0.5', "cost <= 9"]

[parameters.cpu]
type = "continuous"
low = 0.1
high = 4.0
scale = "log"
current = 1.0

[parameters.workers]
type = "integer"
low = 1
high = 20
current = 2

[parameters.codec]
type = "categorical"
choices = ["none", "gzip", "zstd"]
current = "none"

[parameters.prefetch]
type = "boolean"
current = false

[objectives.latency]
column = "p99_ms"
formula = '10 + 80 / (cpu * workers) + (if codec == "zstd" then 0 else 6) + (if prefetch then -2 else 0)'

[objectives.cost]
formula = "cpu * workers + (if prefetch then 1 else 0)"
"#;

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

fn optimize(space: &Path, objective: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kansole"))
        .args(["lab", "optimize", "--objective", objective, "--budget", "600", "--space"])
        .arg(space)
        .args(more)
        .output()
        .expect("kansole runs")
}

fn result(out: &Output) -> Value {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("one JSON object")
}

fn refused(out: &Output) -> String {
    assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stdout));
    assert!(out.stdout.is_empty());
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// The configuration as the constraints and formulas see it: cpu, workers, codec, prefetch.
fn parts(told: &Value) -> (f64, f64, String, bool) {
    let held = &told["configuration"];
    let number = |key: &str| held[key].as_f64().expect(key);
    (number("cpu"), number("workers"), held["codec"].as_str().unwrap().to_owned(), held["prefetch"].as_bool().unwrap())
}

fn truth((cpu, workers, codec, prefetch): &(f64, f64, String, bool)) -> f64 {
    10.0 + 80.0 / (cpu * workers) + if codec == "zstd" { 0.0 } else { 6.0 } - if *prefetch { 2.0 } else { 0.0 }
}

#[test]
fn each_phase_tells_its_best_and_the_answer_keeps_every_constraint() {
    let files = Files::new();
    let space = files.write("space.toml", SPACE);
    let args = ["--evaluations", "40"];
    let told = result(&optimize(&space, "latency", &args));
    let names: Vec<&str> = told["phases"].as_array().unwrap().iter().map(|p| p["phase"].as_str().unwrap()).collect();
    assert_eq!(names, ["random", "gradient", "genetic", "bayesian", "dqn", "polish"]);
    for phase in told["phases"].as_array().unwrap() {
        assert!(phase["evaluations"].as_u64().unwrap() <= 40, "{phase}");
        assert!(phase["best"].as_f64().unwrap() >= told["predicted"]["latency"]["value"].as_f64().unwrap() - 1e-9);
        let (cpu, workers, codec, prefetch) = parts(phase);
        assert!(cpu * workers <= 16.0 && (codec != "zstd" || cpu >= 0.5));
        assert!(cpu * workers + f64::from(u8::from(prefetch)) <= 9.0, "{phase}");
    }
    let best = parts(&told);
    // 8 cores and prefetching, or 9 without: 10 + 80 / 8 - 2 is the least
    assert!((truth(&best) - 18.0).abs() < 0.05 && best.2 == "zstd" && best.3, "{told}");
    assert_eq!(told["current"]["predicted"]["latency"]["value"], 56.0);
    assert!(told["phases"][1]["betterThanRandom"].is_boolean());
    let front = told["pareto"].as_array().unwrap();
    let values =
        |at: &str| -> Vec<f64> { front.iter().map(|p| p["predicted"][at]["value"].as_f64().unwrap()).collect() };
    assert!(front.len() > 3 && values("latency").is_sorted() && values("cost").is_sorted_by(|a, b| a >= b), "{told}");

    let mut again = result(&optimize(&space, "latency", &args));
    let mut first = told;
    for told in [&mut again, &mut first] {
        told["phases"].as_array_mut().unwrap().iter_mut().for_each(|phase| phase["seconds"] = Value::Null);
    }
    assert_eq!(again, first, "the same seed repeats it");

    let balanced = result(&optimize(&space, "balance", &args));
    let (latency, cost) = (truth(&parts(&balanced)), balanced["predicted"]["cost"]["value"].as_f64().unwrap());
    assert!(latency > 18.1 && cost < 8.9, "neither end of the front: {balanced}");
}

/// Observations of the formulas with a little noise, of configurations in a part of the space.
fn observed(rows: usize, value: impl Fn(&(f64, f64, String, bool), f64) -> f64) -> String {
    let mut text = "time,cpu,workers,codec,prefetch,p99_ms,cost\n".to_owned();
    for at in 0..rows {
        let wave = |by: f64| (at as f64 * by).sin() * 0.5 + 0.5;
        let (cpu, workers) = (0.5 + 1.5 * wave(12.9898), (2.0 + 4.99 * wave(78.233)).floor());
        let (codec, prefetch) = (["none", "gzip", "zstd"][at % 3], at % 2 == 0);
        let held = (cpu, workers, codec.to_owned(), prefetch);
        let cost = cpu * workers + f64::from(u8::from(prefetch));
        let _ = writeln!(text, "{at},{cpu},{workers},{codec},{prefetch},{},{cost}", value(&held, wave(3.77) - 0.5));
    }
    text
}

#[test]
fn what_was_observed_takes_the_place_of_formulas_and_nothing_is_said_where_nothing_is_known() {
    let files = Files::new();
    let space = files.write("space.toml", SPACE);
    let data = files.write("data.csv", &observed(60, |held, noise| truth(held) + 0.5 * noise));
    let told = result(&optimize(&space, "latency", &["--evaluations", "40", "--data", data.to_str().unwrap()]));
    assert_eq!(told["source"], "observations");
    let held_out = &told["models"][0]["heldOut"];
    assert!(held_out["skill"].as_f64().unwrap() > 0.8, "{told}");
    assert!(held_out["within95"].as_f64().unwrap() > 0.8, "{told}");
    let predicted = &told["predicted"]["latency"];
    let (low, high) = (predicted["lo95"].as_f64().unwrap(), predicted["hi95"].as_f64().unwrap());
    let best = parts(&told);
    assert_eq!(predicted["known"], true);
    assert!(low <= truth(&best) + 1.0 && truth(&best) - 1.0 <= high && low < high, "{} {told}", truth(&best));
    assert!(best.1 <= 10.0, "nobody ever saw more than six workers: {told}");
    assert!(truth(&best) <= told["observed"]["value"].as_f64().unwrap() + 1.0, "{told}");
}

#[test]
fn observations_that_teach_nothing_are_refused() {
    let files = Files::new();
    let space = files.write("space.toml", SPACE);
    let noise = files.write("noise.csv", &observed(60, |_, noise| 50.0 + noise));
    let says = refused(&optimize(&space, "latency", &["--data", noise.to_str().unwrap()]));
    assert!(says.contains("do not tell latency") && says.contains("held out"), "{says}");
    let few = files.write("few.csv", &observed(9, |held, _| truth(held)));
    let says = refused(&optimize(&space, "latency", &["--data", few.to_str().unwrap()]));
    assert!(says.contains("few.csv") && says.contains("9 different configurations; at least 10"), "{says}");
    let good = observed(20, |held, _| truth(held));
    let bad = files.write("bad.csv", &good.replacen("gzip", "lz4", 1));
    let says = refused(&optimize(&space, "latency", &["--data", bad.to_str().unwrap()]));
    assert!(says.contains("bad.csv:3: column 4 (codec): \"lz4\" is none of the choices none, gzip, zstd"), "{says}");
    let bad = files.write("bad.csv", &good.replacen("workers", "threads", 1));
    let says = refused(&optimize(&space, "latency", &["--data", bad.to_str().unwrap()]));
    assert!(says.contains("no column \"workers\""), "{says}");
    let bad = files.write("bad.csv", &good.replacen("p99_ms", "p95_ms", 1));
    let says = refused(&optimize(&space, "latency", &["--data", bad.to_str().unwrap()]));
    assert!(says.contains("no column \"p99_ms\" for latency"), "{says}");
}

#[test]
fn what_can_not_be_is_told_with_its_place() {
    let files = Files::new();
    let with = |from: &str, to: &str| {
        assert!(SPACE.contains(from));
        files.write("space.toml", &SPACE.replacen(from, to, 1))
    };
    let says = |path: &Path, objective: &str| refused(&optimize(path, objective, &["--evaluations", "30"]));
    let found = says(&with("cpu * workers <= 16", "cpu * workers > 80"), "latency");
    assert!(
        found.contains("no configuration keeps all constraints") && found.contains("cpu * workers > 80"),
        "{found}"
    );
    let found = says(&with("cost <= 9", "cost <= 0"), "latency");
    assert!(found.contains("no configuration that was tried keeps `cost <= 0`"), "{found}");
    let found = says(&with("cost <= 9", "costs <= 9"), "latency");
    assert!(
        found.contains("space.toml:2:") && found.contains("key constraints[2]") && found.contains("costs"),
        "{found}"
    );
    let found = says(&with("high = 20", "high = \"twenty\""), "latency");
    assert!(found.contains("space.toml:14:1: key parameters.workers.high"), "{found}");
    let found = says(&with("80 / (cpu * workers)", "sqrt(0 - 1)"), "latency");
    assert!(found.contains("gives no number"), "{found}");
    let found = says(&with("high = 20", "high = 20"), "latncy");
    assert!(found.contains("no objective \"latncy\"; did you mean \"latency\"?"), "{found}");
    assert!(says(Path::new("/nowhere.toml"), "latency").contains("/nowhere.toml"));
    let out = Command::new(env!("CARGO_BIN_EXE_kansole")).args(["lab", "optimize"]).output().expect("kansole runs");
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn a_policy_is_kept_for_the_next_run_and_a_damaged_one_is_refused() {
    let files = Files::new();
    let space = files.write("space.toml", SPACE);
    let policy = files.0.path().join("policy");
    let args = ["--evaluations", "25", "--policy", policy.to_str().unwrap()];
    result(&optimize(&space, "latency", &args));
    let first = std::fs::read(&policy).expect("kept");
    result(&optimize(&space, "latency", &args));
    let second = std::fs::read(&policy).expect("kept");
    assert!(first != second && first.len() == second.len());
    std::fs::write(&policy, &second[..second.len() / 2]).expect("cut");
    let says = refused(&optimize(&space, "latency", &args));
    assert!(says.contains("not a whole net"), "{says}");
    assert_eq!(std::fs::read(&policy).unwrap().len(), second.len() / 2, "left as it was");
}
