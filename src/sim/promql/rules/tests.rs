use super::*;
use crate::sim::promql::memory::Memory;
use crate::sim::promql::storage::{Matcher, Meta, Series, Storage};
use std::sync::Arc;

const T: i64 = 1_700_000_000_000;

/// A gauge that is 1 from minute 1 to minute 4, and then 0.
fn engine() -> Engine {
    let mut m = Memory::default();
    let value = |i: i64| f64::from(u8::from((2..8).contains(&i)));
    m.add(&[("__name__", "broken"), ("pod", "a")], (0..60).map(|i| (T + i * 30_000, value(i))));
    Engine::new(Arc::new(m), || T)
}

fn rules(extra: &str) -> Rules {
    let text = format!(
        "groups:\n- name: g\n  rules:\n  - alert: Broken\n    expr: broken == 1\n    for: 1m\n{extra}    labels: {{severity: page}}\n    \
         annotations: {{summary: 'Pod {{{{ $labels.pod }}}}'}}\n  - record: broken:sum\n    expr: sum(broken == 1)\n"
    );
    Rules::parse(&text, "test.yaml", 30_000).unwrap()
}

/// The states of the alert at each half minute.
fn states(mut rules: Rules, n: i64) -> Vec<String> {
    let engine = engine();
    let state =
        |rules: &Rules| rules.describe("alert", true)["groups"][0]["rules"][0]["state"].as_str().unwrap().to_owned();
    (0..n)
        .map(|i| {
            rules.evaluate(&engine, T + i * 30_000, &mut drop);
            state(&rules)
        })
        .collect()
}

#[test]
fn an_alert_waits_fires_and_resolves() {
    let told = states(rules(""), 10);
    assert_eq!(
        told[1..10],
        ["inactive", "pending", "pending", "firing", "firing", "firing", "firing", "inactive", "inactive"]
    );
    let kept = states(rules("    keep_firing_for: 1m\n"), 12);
    assert_eq!(kept[7..], ["firing", "firing", "firing", "inactive", "inactive"]);
}

#[test]
fn what_rules_give_is_recorded_and_ended() {
    let (mut rules, engine) = (rules(""), engine());
    let mut at = |i: i64| {
        let mut given = Vec::new();
        rules.evaluate(&engine, T + i * 30_000, &mut |r| given.push(r));
        given
    };
    at(0);
    let given = at(2);
    let names: Vec<_> = given.iter().map(|r| r.labels["__name__"].as_str()).collect();
    assert_eq!(names, ["ALERTS", "ALERTS_FOR_STATE", "broken:sum"]);
    assert_eq!(given[0].labels["alertstate"], "pending");
    assert_eq!(given[0].labels["severity"], "page");
    assert_eq!(given[1].sample.value, (T / 1000 + 60) as f64);
    let fires = at(4);
    assert!(fires.iter().any(|r| r.labels.get("alertstate").is_some_and(|s| s == "firing") && r.sample.value == 1.0));
    let pending = fires.iter().find(|r| r.labels.get("alertstate").is_some_and(|s| s == "pending")).unwrap();
    assert_eq!(pending.sample.value.to_bits(), STALE, "the pending series has ended");
    let over = at(9);
    assert!(over.iter().all(|r| r.sample.value.to_bits() == STALE) && over.len() == 3);
}

/// A storage that is written to while it is read.
#[derive(Default)]
struct Open(std::sync::Mutex<Memory>);

impl Storage for Open {
    fn select(&self, matchers: &[Matcher], after: i64, to: i64) -> Vec<Arc<dyn Series>> {
        self.0.lock().unwrap().select(matchers, after, to)
    }

    fn metadata(&self) -> BTreeMap<String, Meta> {
        BTreeMap::new()
    }

    fn oldest(&self) -> i64 {
        T
    }
}

#[test]
fn a_rule_reads_what_the_rules_before_it_gave() {
    let text = "groups: [{name: g, rules: [{record: a, expr: vector(2)}, {record: b, expr: a * 3}]}]";
    let (mut rules, storage) = (Rules::parse(text, "test.yaml", 30_000).unwrap(), Arc::new(Open::default()));
    let engine = Engine::new(storage.clone(), || T);
    let mut given = Vec::new();
    rules.evaluate(&engine, T, &mut |r| {
        let labels: Vec<_> = r.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        storage.0.lock().unwrap().add(&labels, [(r.sample.at, r.sample.value)]);
        given.push((r.labels[NAME].clone(), r.sample.value));
    });
    assert_eq!(given, [("a".to_owned(), 2.0), ("b".to_owned(), 6.0)]);
}

#[test]
fn wrong_files_are_told_with_their_place() {
    let wrong = |text: &str| Rules::parse(text, "r.yaml", 1).unwrap_err().to_string();
    assert!(
        wrong("groups:\n- name: a\n  rules:\n  - alert: B\n    expr: sum(\n")
            .starts_with("r.yaml: group \"a\", rule 1: could not")
    );
    assert!(wrong("groups: [{name: a, rules: [{expr: up}]}]").contains("one of 'record' or 'alert' must be set"));
    assert!(wrong("groups: [{name: a}, {name: a}]").contains("repeated"));
    let unknown = wrong("groups:\n- name: a\n  colour: red\n");
    assert!(unknown.contains("colour") && unknown.contains('3'), "{unknown}");
    assert!(wrong("groups: [{name: a, rules: [{record: b, expr: up, for: 1m}]}]").contains("'for'"));
}

#[test]
fn the_rules_that_come_along_are_sound() {
    let mut rules = Rules::parse(DEFAULT, "rules.yaml", 30_000).unwrap();
    rules.evaluate(&engine(), T, &mut drop);
    let told = rules.describe("", true).to_string();
    assert!(told.contains("KubePodCrashLooping") && !told.contains("lastError"), "{told}");
}
