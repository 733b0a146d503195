//! Who belongs together: each candidate goes to the one that explains it, and what nobody explains is the head of a group.

use super::rank::{Candidate, Scene};
use crate::model::incident::Subject;
use chrono::TimeDelta;

/// An explanation below this is none.
const EXPLAINED: f64 = 0.5;
/// Heads that began within this time of each other may have one cause.
const TOGETHER: TimeDelta = TimeDelta::minutes(5);

/// Candidates of one cause by index, the likeliest cause first. Never empty.
pub type Group = Vec<usize>;

/// All groups that are grave enough to be incidents.
pub fn groups(scene: &Scene<'_>) -> Vec<Group> {
    let all = &scene.candidates;
    let mut heads: Vec<usize> = (0..all.len()).map(|i| head(all, i)).collect();
    join_weak(scene, &mut heads);
    let mut groups: Vec<Group> = Vec::new();
    for at in 0..all.len() {
        let mut group: Group = (0..all.len()).filter(|i| heads[*i] == at).collect();
        if !group.iter().any(|i| all[*i].opens) {
            continue;
        }
        group.sort_by(|a, b| {
            let score = all[*b].score().total_cmp(&all[*a].score());
            score.then(all[*a].onset.cmp(&all[*b].onset)).then_with(|| all[*a].subject.cmp(&all[*b].subject))
        });
        groups.push(group);
    }
    groups
}

/// Follows explanations up to the one that nobody explains.
fn head(all: &[Candidate], from: usize) -> usize {
    let mut at = from;
    for _ in 0..all.len() {
        match all[at].by {
            Some((by, how)) if how >= EXPLAINED => at = by,
            _ => return at,
        }
    }
    // A circle: its strongest is the head.
    let mut best = at;
    let mut next = at;
    loop {
        next = all[next].by.map_or(at, |b| b.0);
        if next == at {
            return best;
        }
        if (all[next].own, next) > (all[best].own, best) {
            best = next;
        }
    }
}

/// More customers at several entrances at once are one cause. Heads that have nothing of their own against them join a neighbour's group: two victims along one path of calls have
/// one cause, even if it does not show itself. Two with causes of their own stay apart.
fn join_weak(scene: &Scene<'_>, heads: &mut [usize]) {
    let all = &scene.candidates;
    let mut distinct: Vec<usize> = heads.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.sort_by(|a, b| all[*b].strong.cmp(&all[*a].strong).then(all[*b].own.total_cmp(&all[*a].own)));
    for i in 1..distinct.len() {
        let weak = distinct[i];
        let demand = all[weak].extra > 0.0;
        if all[weak].strong && !demand {
            continue;
        }
        let near = |other: &usize| {
            heads[*other] == *other
                && (all[*other].onset - all[weak].onset).abs() <= TOGETHER
                && if demand { all[*other].extra > 0.0 } else { neighbours(scene, &all[*other], &all[weak]) }
        };
        if let Some(other) = distinct[..i].iter().find(|o| near(o)).copied() {
            heads.iter_mut().filter(|h| **h == weak).for_each(|h| *h = other);
        }
    }
}

fn neighbours(scene: &Scene<'_>, a: &Candidate, b: &Candidate) -> bool {
    match (&a.key, &b.key) {
        (Some(x), Some(y)) => scene.calls.reaches(x, y) || scene.calls.reaches(y, x) || share(scene, a, b),
        (None, Some(y)) => lies_on(scene, &a.subject, y),
        (Some(x), None) => lies_on(scene, &b.subject, x),
        (None, None) => false,
    }
}

fn lies_on(scene: &Scene<'_>, place: &Subject, key: &crate::model::object::WorkloadKey) -> bool {
    let Some(w) = scene.snapshot().workload(key) else { return false };
    w.pods.iter().filter_map(|p| p.node.as_deref()).any(|n| match place {
        Subject::Node(node) => &**node == n,
        Subject::Zone(zone) => scene.snapshot().node(n).is_some_and(|n| n.zone == *zone),
        _ => false,
    })
}

/// Whether two workloads read one ConfigMap.
fn share(scene: &Scene<'_>, a: &Candidate, b: &Candidate) -> bool {
    let (Some(one), Some(other)) = (&a.key, &b.key) else { return false };
    let maps = |key| scene.snapshot().workload(key).map(|w| w.config_maps.clone()).unwrap_or_default();
    let read = maps(other);
    one.namespace == other.namespace && maps(one).iter().any(|m| read.contains(m))
}
