//! Which of the possible nodes is best: the default plugins with their default weights, image locality left out
//! (pkg/scheduler/framework/plugins).

use super::super::object::{list, text};
use super::filter::Wanted;
use super::selector::{Labels, tolerated};
use super::table::{Node, Table, counted};
use super::topology::{liked_nodes, preferred, soft};
use serde_json::Value;
use std::collections::BTreeMap;

/// A possible node.
pub type Candidate<'t> = (&'t str, &'t Node);

/// Scores, in the order of the candidates; higher is better.
pub fn scores(
    pod: &Wanted<'_>,
    owner: Option<&str>,
    table: &Table,
    namespaces: &BTreeMap<String, Labels>,
    nodes: &[Candidate<'_>],
) -> Vec<f64> {
    let ask = counted(&pod.ask);
    let mut total: Vec<f64> = nodes.iter().map(|(_, n)| fit(ask, n)).collect();
    let mut add = |weight: f64, scores: Vec<f64>| total.iter_mut().zip(scores).for_each(|(t, s)| *t += weight * s);
    let intolerable = |n: &Node| {
        let bad = |t: &&Value| text(t, "effect") == "PreferNoSchedule" && !tolerated(t, list(pod.spec, "tolerations"));
        n.taints.iter().filter(bad).count() as f64
    };
    add(3.0, downwards(nodes.iter().map(|(_, n)| intolerable(n)).collect()));
    add(2.0, upwards(nodes.iter().map(|(name, n)| liked_nodes(pod.spec, name, &n.labels) as f64).collect()));
    let likes = preferred(pod, table, namespaces);
    if !likes.is_empty() {
        let of = |n: &Node| likes.iter().filter(|((k, v), _)| n.labels.get(k) == Some(v)).map(|(_, w)| *w as f64).sum();
        add(2.0, between(nodes.iter().map(|(_, n)| of(n)).collect()));
    }
    let spread = soft(pod, owner, table);
    if !spread.is_empty() {
        let of = |n: &Node| -> f64 {
            let each = spread.iter().map(|(key, counts, skew)| {
                let count = n.labels.get(key).and_then(|v| counts.get(v)).copied().unwrap_or(0) as f64;
                count * (counts.len() as f64 + 2.0).ln() + (*skew as f64 - 1.0)
            });
            each.sum()
        };
        add(2.0, level(nodes.iter().map(|(_, n)| of(n)).collect()));
    }
    total
}

/// LeastAllocated and BalancedAllocation, each 0..100.
fn fit(ask: [i64; 2], node: &Node) -> f64 {
    let room = [node.room.cpu, node.room.memory];
    let share = |i: usize| match room[i] {
        0 => 1.0,
        r => ((node.counted[i] + ask[i]) as f64 / r as f64).min(1.0),
    };
    let (cpu, memory) = (share(0), share(1));
    let least = ((1.0 - cpu) * 100.0).floor() + ((1.0 - memory) * 100.0).floor();
    (least / 2.0).floor() + ((1.0 - (cpu - memory).abs() / 2.0) * 100.0).floor()
}

/// 100 for the highest.
fn upwards(mut all: Vec<f64>) -> Vec<f64> {
    let max = all.iter().copied().fold(0.0, f64::max);
    for s in &mut all {
        *s = if max > 0.0 { (*s * 100.0 / max).floor() } else { 0.0 };
    }
    all
}

/// 100 for none.
fn downwards(all: Vec<f64>) -> Vec<f64> {
    upwards(all).into_iter().map(|s| 100.0 - s).collect()
}

/// 0 for the lowest, 100 for the highest.
fn between(mut all: Vec<f64>) -> Vec<f64> {
    let (min, max) = all.iter().fold((f64::MAX, f64::MIN), |(a, b), s| (a.min(*s), b.max(*s)));
    for s in &mut all {
        *s = if max > min { (100.0 * (*s - min) / (max - min)).floor() } else { 0.0 };
    }
    all
}

/// 100 for the emptiest, as PodTopologySpread normalises.
fn level(mut all: Vec<f64>) -> Vec<f64> {
    let (min, max) = all.iter().fold((f64::MAX, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
    for s in &mut all {
        *s = if max > 0.0 { (100.0 * (max + min - *s) / max).floor() } else { 100.0 };
    }
    all
}
