//! What queries promise; `tests/promql_differential.rs` compares much more with the real Prometheus.

use super::engine::{Engine, Options, Output};
use super::eval::QueryError;
use super::memory::Memory;
use super::storage::STALE;
use std::sync::Arc;
use std::time::Duration;

const T: i64 = 1_700_000_000_000;

fn engine() -> Engine {
    let mut m = Memory::default();
    let every = |n: i64, f: fn(i64) -> f64| (0..=n).map(move |i| (T + i * 30_000, f(i)));
    for (pod, slope) in [("a", 1.0), ("b", 2.0)] {
        let grow = (0..=20).map(move |i| (T + i * 30_000, i as f64 * 30.0 * slope));
        m.add(&[("__name__", "cpu_total"), ("namespace", "shop"), ("pod", pod)], grow);
        m.add(&[("__name__", "limit"), ("pod", pod), ("team", "x")], every(20, |_| 4.0));
    }
    m.add(&[("__name__", "gone")], every(2, |_| 1.0).chain([(T + 90_000, f64::from_bits(STALE))]));
    m.add(&[("__name__", "edge")], [(T, 7.0)]);
    Engine::new(Arc::new(m), || T + 600_000)
}

fn vector(query: &str, at: i64) -> Vec<(String, f64)> {
    match engine().instant(query, at, Options::default()).unwrap().value {
        Output::Vector(rows) => rows.into_iter().map(|(m, s)| (m.to_string(), s.value)).collect(),
        other => panic!("{other:?}"),
    }
}

fn error(query: &str) -> String {
    engine().instant(query, T + 600_000, Options::default()).unwrap_err().to_string()
}

#[test]
fn a_rate_loses_its_name_and_sums_by_label() {
    let sum = vector("round(sum by (namespace) (rate(cpu_total[2m])), 0.001)", T + 600_000);
    assert_eq!(sum, [(r#"{namespace="shop"}"#.into(), 3.0)]);
    assert_eq!(vector("rate(cpu_total{pod='a'}[2m])", T + 600_000)[0].0, r#"{namespace="shop", pod="a"}"#);
}

#[test]
fn the_left_edge_belongs_to_the_window_before() {
    assert_eq!(vector("count_over_time(cpu_total{pod='a'}[1m])", T + 600_000)[0].1, 2.0);
    assert_eq!(vector("edge", T + 299_999).len(), 1);
    assert_eq!(vector("edge", T + 300_000).len(), 0);
}

#[test]
fn a_series_that_has_ended_is_gone_at_once() {
    assert_eq!(vector("gone", T + 80_000).len(), 1);
    assert_eq!(vector("gone", T + 91_000).len(), 0);
    assert_eq!(vector("count_over_time(gone[10m])", T + 91_000)[0].1, 3.0, "the marker is no sample");
}

#[test]
fn subqueries_are_aligned_to_absolute_time() {
    // T is 20 s after a full minute.
    let times = vector("max_over_time(timestamp(cpu_total{pod='a'} + 0)[5m:1m])", T + 600_000);
    assert_eq!(times[0].1 as i64 % 60, 0);
}

#[test]
fn many_to_one_needs_to_be_said() {
    let text = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
    assert_eq!(error("cpu_total * on (team) vector(1)"), text);
    let found = vector("cpu_total / on (pod) group_left (team) limit", T + 30_000);
    assert_eq!(found[0], (r#"{namespace="shop", pod="a", team="x"}"#.into(), 7.5));
    let duplicate = error("cpu_total + on (namespace) cpu_total");
    assert!(duplicate.starts_with(
        r#"found duplicate series for the match group {namespace="shop"} on the right hand-side of the operation: ["#
    ));
}

#[test]
fn unary_minus_binds_weaker_than_power() {
    match engine().instant("-2^2", T, Options::default()).unwrap().value {
        Output::Scalar(s) => assert_eq!(s.value, -4.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_query_that_would_explode_is_refused() {
    let mut small = engine();
    small.limits.max_samples = 10;
    let refused = small.range("cpu_total", T, T + 600_000, 1000, Options::default()).unwrap_err();
    assert!(refused.to_string().contains("too many samples"));
    let late = Options { timeout: Some(Duration::ZERO), ..Options::default() };
    assert_eq!(engine().instant("cpu_total", T, late).unwrap_err(), QueryError::Timeout("expression evaluation"));
}

#[test]
fn deep_and_long_queries_are_refused_on_a_small_stack() {
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let minus = format!("{}up", "-".repeat(100_000));
    let chain = format!("1{}", "+1".repeat(100_000));
    let modest = format!("vector(1){}", "+up".repeat(3000));
    let nested = format!("{}vector(1){}", "abs(".repeat(199), ")".repeat(199));
    let tries = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for query in [deep, minus, chain, modest] {
            assert!(matches!(engine().instant(&query, T, Options::default()), Err(QueryError::Bad(_))));
        }
        assert!(engine().instant(&nested, T, Options::default()).is_ok());
    });
    tries.unwrap().join().unwrap();
}
