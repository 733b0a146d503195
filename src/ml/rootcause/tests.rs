//! What a ranking promises, on small shops.

use super::*;

fn measure(node: &str, family: &str, normal: &[f64], incident: &[f64]) -> Measure {
    let worse = if family == "availability" { Worse::Down } else { Worse::Up };
    let (node, family, statistic) = (node.into(), family.into(), String::new());
    Measure { node, family, statistic, worse, normal: normal.to_vec(), incident: incident.to_vec() }
}

/// Forty quiet values around `level`, each series with its own small ripple.
fn quiet(level: f64, seed: usize) -> Vec<f64> {
    (0..40).map(|i| level * (1.0 + 0.03 * (((i + 7 * seed) * 37 % 17) as f64 / 17.0 - 0.5))).collect()
}

fn calls(list: &[(&str, &[&str])]) -> Calls {
    list.iter().map(|(a, b)| ((*a).to_owned(), b.iter().map(|b| (*b).to_owned()).collect())).collect()
}

/// front calls cart and search, search calls db; db is slow, and its slowness is in all that wait for it.
fn shop() -> (Vec<Measure>, Calls) {
    let course = [0.0, 0.0, 0.5, 1.0, 0.6];
    let slow = |node: &str, level: f64, more: f64, seed: usize| {
        let incident: Vec<f64> = course.iter().map(|c| level + more * c).collect();
        measure(node, "latency", &quiet(level, seed), &incident)
    };
    let measures = vec![
        slow("front", 0.2, 0.1, 1),
        slow("cart", 0.02, 0.0, 2),
        slow("search", 0.05, 0.1, 3),
        slow("db", 0.01, 0.1, 4),
        slow("elsewhere", 0.01, 0.3, 5),
    ];
    (measures, calls(&[("front", &["cart", "search"]), ("search", &["db"]), ("other", &["elsewhere"])]))
}

fn order(ranking: &Ranking) -> Vec<&str> {
    ranking.suspects.iter().map(|s| &*s.node).collect()
}

#[test]
fn the_deepest_callee_that_explains_its_callers_comes_first_and_strangers_last() {
    let (measures, calls) = shop();
    let found = by_calls(&measures, &calls, "front", 2).unwrap();
    assert_eq!((found.symptom.as_str(), order(&found)[0]), ("latency", "db"));
    let search = found.suspects.iter().find(|s| s.node == "search").unwrap();
    assert!(search.reached && search.explained > 0.9, "{search:?}");
    let stranger = found.suspects.iter().position(|s| s.node == "elsewhere").unwrap();
    assert!(!found.suspects[stranger].reached && stranger >= 3);
}

#[test]
fn a_callee_a_little_out_of_its_normal_does_not_take_its_callers_place() {
    let (mut measures, calls) = shop();
    measures[3].incident = vec![0.01, 0.01, 0.012, 0.01, 0.0115];
    let found = by_calls(&measures, &calls, "front", 2).unwrap();
    assert_eq!(order(&found)[0], "search");
}

#[test]
fn nodes_without_measurements_are_looked_through() {
    let (mut measures, calls) = shop();
    measures.remove(2);
    let found = by_calls(&measures, &calls, "front", 2).unwrap();
    assert_eq!(order(&found)[0], "db");
}

#[test]
fn a_callers_view_of_a_service_stands_back_for_the_service() {
    let (mut measures, mut calls) = shop();
    measures.remove(3);
    let mut view = measures[2].clone();
    view.node = "search.example".into();
    view.incident.iter_mut().for_each(|v| *v *= 1.05);
    measures.push(view);
    calls.get_mut("front").unwrap().insert("search.example".into());
    let found = by_calls(&measures, &calls, "front", 2).unwrap();
    assert_eq!(order(&found)[..2], ["search", "search.example"]);
}

#[test]
fn units_change_nothing() {
    let (measures, calls) = shop();
    let plain = by_calls(&measures, &calls, "front", 2).unwrap();
    for changed in 0..measures.len() {
        let mut other = measures.clone();
        let m = &mut other[changed];
        m.normal.iter_mut().chain(&mut m.incident).for_each(|v| *v *= 1e6);
        assert_eq!(order(&by_calls(&other, &calls, "front", 2).unwrap()), order(&plain));
        assert_eq!(names(&by_deviation(&other)), names(&by_deviation(&measures)));
    }
}

fn names(all: &[Suspect]) -> Vec<&str> {
    all.iter().map(|s| &*s.node).collect()
}

#[test]
fn without_a_normal_the_values_before_the_onset_are_it() {
    let (mut measures, calls) = shop();
    for m in &mut measures {
        m.normal.clear();
    }
    assert_eq!(order(&by_calls(&measures, &calls, "front", 2).unwrap())[0], "db");
    assert!(by_calls(&measures, &calls, "front", 0).is_none(), "nothing to compare with");
    assert!(by_calls(&measures, &calls, "nobody", 2).is_none());
}

#[test]
fn availability_falls_when_things_get_worse() {
    let normal: Vec<f64> = (0..40).map(|i| if i % 9 == 0 { 99.9 } else { 100.0 }).collect();
    let low = [100.0, 100.0, 97.0, 95.0, 99.0];
    let high = [100.0, 100.0, 100.0, 100.0, 99.9];
    let measures = vec![
        measure("front", "availability", &normal, &low),
        measure("search", "availability", &normal, &low),
        measure("cart", "availability", &normal, &high),
    ];
    let found = by_calls(&measures, &calls(&[("front", &["cart", "search"])]), "front", 2).unwrap();
    assert_eq!(order(&found)[0], "search");
}

#[test]
fn a_table_is_ranked_by_how_far_its_worst_column_is_out() {
    let all = by_deviation(&[
        measure("a", "cpu", &quiet(1.0, 1), &[1.0, 1.3]),
        measure("b", "mem", &quiet(5e8, 2), &[5e8, 9e8]),
        measure("b", "cpu", &quiet(1.0, 3), &[1.0, 1.0]),
        measure("c", "errors", &[0.0; 30], &[0.0, 3.0]),
        measure("d", "cpu", &[], &[7.0]),
        measure("e", "cpu", &quiet(1.0, 1), &[f64::NAN, f64::INFINITY]),
    ]);
    assert_eq!(names(&all), ["b", "a", "c"]);
    assert_eq!((all[0].metric.as_str(), all[2].deviation), ("mem", 1.0));
}

#[test]
fn circles_of_calls_and_missing_values_have_an_answer() {
    let (mut measures, mut calls) = shop();
    calls.insert("db".into(), ["front".to_owned(), "db".into()].into());
    measures[3].incident[3] = f64::NAN;
    let found = by_calls(&measures, &calls, "front", 2).unwrap();
    assert!(found.suspects.iter().all(|s| s.score.is_finite()));
    for m in &mut measures {
        m.incident.fill(f64::NAN);
    }
    assert!(by_calls(&measures, &calls, "front", 2).is_none());
}

/// Noise from a seed.
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About 1, mostly within so much of it; now and then a spike to several times as much.
    fn about(&mut self, spread: f64, spikes: f64) -> f64 {
        let bell = (0..6).map(|_| self.unit()).sum::<f64>() - 3.0;
        let spike = if self.unit() < spikes { 1.0 + 3.0 * self.unit() } else { 1.0 };
        (1.0 + spread * bell).max(0.05) * spike
    }
}

/// Who calls whom in the shop of the tables, and what a service's latency is at rest, in seconds.
const SOCKS: [(&str, f64, &[&str]); 7] = [
    ("front-end", 0.08, &["catalogue", "carts", "orders", "user"]),
    ("catalogue", 0.004, &[]),
    ("carts", 0.006, &["carts-db"]),
    ("carts-db", 0.002, &[]),
    ("orders", 0.03, &["carts", "user", "payment"]),
    ("user", 0.003, &[]),
    ("payment", 0.002, &[]),
];

fn waits_for(caller: &str, callee: &str) -> bool {
    let calls = SOCKS.iter().find(|s| s.0 == caller).map_or(&[][..], |s| s.2);
    caller == callee || calls.iter().any(|c| waits_for(c, callee))
}

/// Ten minutes of a second each: a normal half and one in which `fault` strikes `culprit` after 60 s.
fn socks(culprit: &str, fault: &str, seed: u64) -> Vec<Measure> {
    let mut noise = Noise(seed);
    let mut all = Vec::new();
    let mut column = |node: &str, family: &str, spread: f64, spikes: f64, level: &dyn Fn(bool) -> f64| {
        let mut values = |hurt: bool| -> Vec<f64> {
            let value = |(i, n): (usize, f64)| if i % 97 == 13 { f64::NAN } else { level(hurt && i >= 60) * n };
            (0..300).map(|i| (i, noise.about(spread, spikes))).map(value).collect()
        };
        let (normal, incident) = (values(false), values(true));
        let (node, family, statistic) = (node.into(), family.into(), String::new());
        all.push(Measure { node, family, statistic, worse: Worse::Up, normal, incident });
    };
    for (name, latency, _) in SOCKS {
        let (own, waits) = (name == culprit, waits_for(name, culprit));
        column(name, "cpu", 0.3, 0.005, &|hurt| match (hurt && own, fault) {
            (true, "cpu") => 0.9,
            (true, _) => 0.04,
            _ => 0.05,
        });
        column(name, "mem", 0.01, 0.0, &|hurt| if hurt && own && fault == "mem" { 1.1e9 } else { 3e8 });
        let slower = match fault {
            "cpu" => 0.05,
            "delay" => 0.5,
            "loss" => 0.4,
            _ => 0.0,
        };
        for family in ["lat_50", "lat_90"] {
            column(name, family, 0.4, 0.02, &|hurt| latency + if hurt && waits { slower } else { 0.0 });
        }
        // The load generator tries again: more of everything.
        column(name, "load", 0.2, 0.0, &|hurt| if hurt { 900.0 } else { 30.0 });
    }
    column("node-1", "cpu", 0.1, 0.0, &|hurt| if hurt { 3.0 } else { 0.5 });
    column("istio-ingressgateway", "mem", 0.0, 0.0, &|_| 7.0);
    all
}

#[test]
fn of_a_shop_in_trouble_the_culprit_comes_first_among_those_that_suffer_with_it() {
    for fault in ["cpu", "mem", "delay", "loss"] {
        for culprit in ["catalogue", "carts", "carts-db", "orders", "user", "payment"] {
            for seed in 1..4 {
                let all = by_deviation(&socks(culprit, fault, seed));
                assert_eq!(all[0].node, culprit, "{fault} {seed}: {:?}", &all[..3]);
            }
        }
    }
}

#[test]
fn neither_units_nor_the_order_of_columns_nor_their_sampling_change_a_table() {
    let measures = socks("carts", "mem", 7);
    let first = |all: &[Measure]| names(&by_deviation(all)).iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let plain = first(&measures);
    for (i, factor) in (0..measures.len()).flat_map(|i| [1e-6, 1e6].map(|f| (i, f))) {
        let mut other = measures.clone();
        let m = &mut other[i];
        m.normal.iter_mut().chain(&mut m.incident).for_each(|v| *v *= factor);
        assert_eq!(first(&other), plain);
    }
    let mut other = measures.clone();
    other.reverse();
    assert_eq!(first(&other), plain);
    for m in &mut other {
        m.incident = m.incident.iter().copied().step_by(10).collect();
        m.normal = m.normal.iter().copied().step_by(5).collect();
    }
    assert_eq!(first(&other)[0], "carts");
    let mut gone = measures.clone();
    gone.iter_mut().filter(|m| m.node == "user").for_each(|m| m.normal.fill(f64::NAN));
    assert_eq!(first(&gone)[0], "carts");
}

#[test]
fn along_calls_neither_the_order_of_columns_nor_an_empty_one_changes_anything() {
    let (mut measures, calls) = shop();
    let plain = by_calls(&measures, &calls, "front", 2).unwrap();
    measures.reverse();
    measures.push(measure("search", "latency", &[f64::NAN; 40], &[f64::NAN; 5]));
    assert_eq!(order(&by_calls(&measures, &calls, "front", 2).unwrap()), order(&plain));
}
